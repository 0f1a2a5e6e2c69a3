/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Detections come back as annotations of the right samples, beside the right data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/base/time.h"
#include "uw/iq/source.h"
#include "uw/msg/record.h"
#include "uw/sink/annotate.h"

static char test_dir[64];

static int make_dir(void **state) {
    (void)state;
    strcpy(test_dir, "/tmp/uw-sink-XXXXXX");
    return mkdtemp(test_dir) ? 0 : -1;
}

static int remove_dir(void **state) {
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", test_dir);
    return system(command);
}

static void path_of(const char *name, char path[256]) {
    snprintf(path, 256, "%s/%s", test_dir, name);
}

static void write_text(const char *name, const char *text) {
    char path[256];
    FILE *f;

    path_of(name, path);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static const struct uw_source_info info = {
    .format = UW_IQ_CF32,
    .rate_hz = 50e6,
    .freq_hz = NAN,
    .start_ns = 0,
    .n_samples = 225280,
};

static void burst(struct uw_detection *d, double t_ms, double offset_hz) {
    uw_detection_init(d);
    strcpy(d->signature, "dji-droneid");
    strcpy(d->family, "dji-droneid");
    strcpy(d->variant, "x");
    d->drone = true;
    d->t_start_ns = (int64_t)llround(t_ms * 1e6);
    d->t_end_ns = d->t_start_ns + 650000;
    d->freq_hz = offset_hz;
    d->bandwidth_hz = 9e6;
    d->snr_db = 12.345;
    d->confidence = 0.99;
}

static json_t *load(const char *path) {
    json_t *root = json_load_file(path, 0, NULL);

    assert_non_null(root);
    return root;
}

static const char *global_string(const json_t *root, const char *key) {
    return json_string_value(json_object_get(json_object_get(root, "global"), key));
}

static void annotate(const char *out, const char *recording, int n) {
    struct uw_annotate *a;
    struct uw_detection d;

    assert_int_equal(uw_annotate_new(out, recording, &info, NULL, &a), 0);
    /* Out of order: the file is in order. */
    for (int i = n - 1; i >= 0; i--) {
        burst(&d, 1.859 + 0.7 * i, i % 2 ? -12.46e6 : 2e6);
        assert_int_equal(uw_annotate_add(a, &d), 0);
    }
    assert_int_equal(uw_annotate_finish(a, NULL), 0);
    assert_null(uw_annotate_free(a));
}

static double number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);

    assert_true(json_is_number(value));
    return json_number_value(value);
}

static void test_bursts(void **state) {
    char out[256], recording[256];
    const json_t *a;
    json_t *root;

    (void)state;
    write_text("rec_1M.cf32", "");
    path_of("rec_1M.cf32", recording);
    path_of("out", out);
    annotate(out, recording, 4);
    strcat(out, ".sigmf-meta");
    root = load(out);
    assert_string_equal(global_string(root, "core:datatype"), "cf32_le");
    assert_string_equal(global_string(root, "core:dataset"), "rec_1M.cf32");
    assert_int_equal(json_array_size(json_object_get(root, "annotations")), 4);
    a = json_array_get(json_object_get(root, "annotations"), 1);
    assert_true(number(a, "core:sample_start") == 127950); /* 2.559 ms of 50 MS/s */
    assert_true(number(a, "core:sample_count") == 32500);
    assert_true(number(a, "core:freq_lower_edge") == -16.96e6);
    assert_true(number(a, "core:freq_upper_edge") == -7.96e6);
    assert_true(number(a, "uaswatch:snr_db") == 12.35 || number(a, "uaswatch:snr_db") == 12.34);
    assert_string_equal(json_string_value(json_object_get(a, "core:label")), "dji-droneid x");
    assert_string_equal(json_string_value(json_object_get(a, "core:comment")),
                        "dji-droneid, SNR 12.3 dB, confidence 0.99");
    json_decref(root);
}

/* The original's byte order and header are kept, and it is never overwritten. */
static void test_pair(void **state) {
    static const char meta[] =
        "{\"global\":{\"core:datatype\":\"cf32_be\",\"core:sample_rate\":5e7,\"core:version\":"
        "\"1.0.0\"},\"captures\":[{\"core:sample_start\":0,\"core:header_bytes\":16}]}";
    char out[256], recording[256], own[256];
    struct uw_diag diag = {0};
    struct uw_annotate *a = NULL;
    json_t *root;

    (void)state;
    write_text("p.sigmf-meta", meta);
    write_text("p.sigmf-data", "");
    path_of("p.sigmf-data", recording);
    path_of("found.sigmf-meta", out);
    annotate(out, recording, 1);
    root = load(out);
    assert_string_equal(global_string(root, "core:datatype"), "cf32_be");
    assert_string_equal(global_string(root, "core:dataset"), "p.sigmf-data");
    assert_true(number(json_array_get(json_object_get(root, "captures"), 0), "core:header_bytes") ==
                16);
    json_decref(root);
    path_of("p", own);
    assert_int_equal(uw_annotate_new(own, recording, &info, &diag, &a), UW_E_INPUT);
    assert_int_equal(diag.n, 1);
    assert_non_null(strstr(diag.text[0], "overwrite"));
    assert_null(a);
}

static void test_stdin(void **state) {
    char out[256];
    json_t *root;

    (void)state;
    path_of("s.sigmf-meta", out);
    annotate(out, "-", 0);
    root = load(out);
    assert_null(global_string(root, "core:dataset"));
    assert_true(
        json_is_true(json_object_get(json_object_get(root, "global"), "core:metadata_only")));
    json_decref(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bursts),
        cmocka_unit_test(test_pair),
        cmocka_unit_test(test_stdin),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
