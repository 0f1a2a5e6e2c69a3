/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The picture is read back: strong cells are bright and at the right place, boxes stand around
 * detections, labels do not cover each other, and its size is bounded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../../src/sink/spectrogram-impl.h"
#include "uw/base/err.h"
#include "uw/base/time.h"
#include "uw/msg/record.h"
#include "uw/sink/spectrogram.h"

#define N_BINS 512

static char path[] = "/tmp/uw-spec-XXXXXX";

struct picture {
    png_image png;
    uint8_t *rgb;
};

static struct uw_spectrogram *new_spectrogram(void) {
    const struct uw_spectrogram_params params = {.title = "test",
                                                 .rate_hz = 2.4e6,
                                                 .freq_hz = 915e6,
                                                 .start_ns = UW_NS_PER_S,
                                                 .row_s = 1e-3,
                                                 .n_bins = N_BINS};
    struct uw_spectrogram *s;

    assert_int_equal(uw_spectrogram_new(&params, &s), 0);
    return s;
}

/* Noise of a fixed generator, and a block of signal in rows t0..t1, bins b0..b1. */
static void add_rows(struct uw_spectrogram *s, int n, int t0, int t1, int b0, int b1) {
    uint32_t x = 1;
    float row[N_BINS];

    for (int t = 0; t < n; t++) {
        for (int b = 0; b < N_BINS; b++) {
            x = x * 1664525u + 1013904223u;
            row[b] = -90.0f + 6.0f * (float)(x >> 8) / 16777216.0f;
            if (t >= t0 && t < t1 && b >= b0 && b < b1)
                row[b] += 40.0f;
        }
        assert_int_equal(uw_spectrogram_row(s, row, N_BINS), 0);
    }
}

static struct picture write_and_read(struct uw_spectrogram *s) {
    struct picture p = {.png = {.version = PNG_IMAGE_VERSION}};

    assert_int_equal(uw_spectrogram_write(s, path, NULL), 0);
    assert_true(png_image_begin_read_from_file(&p.png, path));
    p.png.format = PNG_FORMAT_RGB;
    p.rgb = malloc(PNG_IMAGE_SIZE(p.png));
    assert_non_null(p.rgb);
    assert_true(png_image_finish_read(&p.png, NULL, p.rgb, 0, NULL));
    return p;
}

static int brightness(const struct picture *p, int x, int y) {
    const uint8_t *c = p->rgb + 3 * ((size_t)y * p->png.width + (size_t)x);

    return c[0] + c[1] + c[2];
}

/* Where the plot lies (112, 80; 1024 wide) is fixed by the drawing. */
static void test_place(void **state) {
    struct uw_spectrogram *s = new_spectrogram();
    struct picture p;

    (void)state;
    add_rows(s, 600, 150, 300, 128, 192); /* a quarter to a half down; a quarter to 3/8 across */
    p = write_and_read(s);
    assert_int_equal(p.png.width, 112 + 1024 + 128);
    assert_true(p.png.height > 600 && p.png.height < 900);
    assert_true(brightness(&p, 112 + 320, 80 + 225) > 550);
    assert_true(brightness(&p, 112 + 262, 80 + 160) > 550);
    assert_true(brightness(&p, 112 + 240, 80 + 225) < 400);
    assert_true(brightness(&p, 112 + 400, 80 + 225) < 400);
    assert_true(brightness(&p, 112 + 320, 80 + 140) < 400);
    assert_true(brightness(&p, 112 + 320, 80 + 310) < 400);
    free(p.rgb);
    uw_spectrogram_free(s);
}

/* A hundred thousand rows: bounded, and a burst of one row is still there. */
static void test_long(void **state) {
    struct uw_spectrogram *s = new_spectrogram();
    struct picture p;
    int best = 0;

    (void)state;
    add_rows(s, 100001, 50000, 50001, 100, 400);
    assert_int_equal(s->merge, 128);
    assert_true(uw_spec_rows(s) > UW_SPEC_ROWS_MAX / 2 && uw_spec_rows(s) <= UW_SPEC_ROWS_MAX);
    p = write_and_read(s);
    assert_true(p.png.height < 1400);
    for (int y = 0; y < (int)uw_spec_rows(s); y++) {
        if (brightness(&p, 112 + 512, 80 + y) > 500) {
            assert_int_equal(y, 50000 / 128);
            best++;
        }
    }
    assert_int_equal(best, 1);
    free(p.rgb);
    uw_spectrogram_free(s);
}

static void mark(struct uw_spectrogram *s, const char *name, double t_s, double len_s, double hz) {
    struct uw_detection d;

    uw_detection_init(&d);
    strcpy(d.signature, name);
    d.t_start_ns = UW_NS_PER_S + (int64_t)llround(t_s * 1e9);
    d.t_end_ns = d.t_start_ns + (int64_t)llround(len_s * 1e9);
    d.freq_hz = hz;
    d.bandwidth_hz = 300e3;
    d.tuning.centre_hz = 915e6;
    assert_int_equal(uw_spectrogram_mark(s, &d), 0);
}

static void test_box(void **state) {
    const struct uw_colour want = uw_spec_kind_colour(0);
    struct uw_spectrogram *s = new_spectrogram();
    struct picture p;
    const uint8_t *c;

    (void)state;
    add_rows(s, 600, 150, 300, 128, 192);
    mark(s, "elrs", 0.150, 0.150, 915e6 - 0.45e6);
    p = write_and_read(s);
    /* The upper edge lies two pixels above row 150, the left one two before bin 128. */
    c = p.rgb + 3 * ((size_t)(80 + 148) * p.png.width + 112 + 320);
    assert_true(c[0] == want.r && c[1] == want.g && c[2] == want.b);
    c = p.rgb + 3 * ((size_t)(80 + 225) * p.png.width + 112 + 254);
    assert_true(c[0] == want.r && c[1] == want.g && c[2] == want.b);
    free(p.rgb);
    uw_spectrogram_free(s);
}

/* Everything out of range, in every direction: drawn or left out, but nothing outside is touched.
 */
static void test_hostile_marks(void **state) {
    struct uw_spectrogram *s = new_spectrogram();
    struct picture p;

    (void)state;
    add_rows(s, 3, 0, 0, 0, 0);
    mark(s, "a", -5, 2, 915e6);
    mark(s, "b", 1e6, 5, 915e6);
    mark(s, "c", 0, -1, 915e6);
    mark(s, "d", 0, 1e9, 915e6);
    mark(s, "e", 0, 0, 1e15);
    mark(s, "f", 0.001, 0, NAN);
    for (int i = 0; i < 6000; i++)
        mark(s, i % 2 ? "g" : "h", 0.0005 * (i % 6), 0, 914e6 + 300.0 * i);
    mark(s, "i", 0, 0, 914.1e6);
    mark(s, "j", 0, 0, 914.1e6);
    assert_int_equal(s->n_marks, UW_SPEC_MARKS_MAX);
    assert_string_equal(s->kinds[UW_SPEC_KINDS_MAX].label, "others");
    p = write_and_read(s);
    free(p.rgb);
    uw_spectrogram_free(s);
}

static void test_mistakes(void **state) {
    struct uw_spectrogram *s = new_spectrogram();
    const float low[N_BINS] = {-INFINITY, NAN, INFINITY};
    struct uw_diag diag = {0};
    struct picture p;

    (void)state;
    assert_int_equal(uw_spectrogram_write(s, path, &diag), UW_E_INPUT); /* no rows */
    assert_int_equal(uw_spectrogram_row(s, low, N_BINS), 0);
    p = write_and_read(s);
    free(p.rgb);
    diag.n = 0;
    assert_int_equal(uw_spectrogram_write(s, "/nowhere/x.png", &diag), UW_E_INPUT);
    assert_non_null(strstr(diag.text[0], "/nowhere/x.png"));
    assert_null(uw_spectrogram_free(s));
    assert_null(uw_spectrogram_free(NULL));
}

static int make_file(void **state) {
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_place),    cmocka_unit_test(test_long),
        cmocka_unit_test(test_box),      cmocka_unit_test(test_hostile_marks),
        cmocka_unit_test(test_mistakes),
    };

    return cmocka_run_group_tests(tests, make_file, remove_file);
}
