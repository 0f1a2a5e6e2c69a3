/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Self-test
 *
 * fft    A sum of two complex exponentials with a whole number of turns: its transform is known in
 *        closed form, n a at the two bins and nothing elsewhere.
 * lora   A packet made here by plain mathematics, sharing nothing with the matcher. A chirp of 2^SF
 *        chips at two samples a chip has n = 2^(SF+1) samples; its frequency rises from -1/4 to 1/4
 *        cycles a sample, so that symbol s has at sample i the frequency
 *
 *            f = (-1/4 + s / 2^(SF+1) + i / (2 n)) wrapped into [-1/4, 1/4)
 *
 *        Ten of s = 0, the sync word 0x12 (s = 8 and 16), two and a quarter mirrored ones, twenty
 *        data symbols. It must be found where it is, with its sync word and its carrier offset; the
 *        mirror image of it must not be taken for one.
 * disk   A file in the state directory can be written to the medium and deleted.
 * clock  The real clock is set; the monotonic one never goes back and is fine enough.
 */
#include <complex.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine-impl.h"
#include "uw/base/time.h"
#include "uw/base/util.h"
#include "uw/dsp/fft.h"
#include "uw/dsp/lora.h"

#define FFT_N 4096

/* The least time that can be true: 2026-01-01. */
#define REAL_MIN_NS (INT64_C(1767225600) * UW_NS_PER_S)

bool uw_self_test_fft(double spoil, char detail[UW_SELF_TEST_LEN]) {
    const size_t k1 = 1234, k2 = FFT_N - 77;
    struct uw_fft *fft = NULL;
    double worst = 0;

    if (uw_fft_new(FFT_N, &fft)) {
        snprintf(detail, UW_SELF_TEST_LEN, "no transform could be made");
        return false;
    }
    for (size_t i = 0; i < FFT_N; i++) {
        double a = 2 * UW_PI * (double)(k1 * i % FFT_N) / FFT_N;
        double b = 2 * UW_PI * (double)(k2 * i % FFT_N) / FFT_N;
        uw_fft_buffer(fft)[i] = (float complex)(cexp(I * a) + (0.25 + spoil) * cexp(I * b));
    }
    uw_fft_run(fft);
    for (size_t k = 0; k < FFT_N; k++) {
        double expected = k == k1 ? FFT_N : k == k2 ? 0.25 * FFT_N : 0;
        worst = fmax(worst, cabs((double complex)uw_fft_buffer(fft)[k] - expected));
    }
    uw_fft_free(fft);
    snprintf(detail, UW_SELF_TEST_LEN, "%d points, greatest error %.1e", FFT_N, worst / FFT_N);
    return worst / FFT_N < 1e-5;
}

#define SF        7
#define SYMBOL    (2 << SF) /* samples */
#define LEAD      3000      /* samples of silence before the packet */
#define N_VECTOR  (LEAD + 40 * SYMBOL)
#define OFFSET    0.06 /* of the carrier, bandwidths */
#define SYNC_WORD 0x12

struct vector {
    float complex *x;
    size_t n;
    double phase; /* turns */
    double mirror;
};

/* A tone of silence would have none of the noise that a receiver has: so there is a little. */
static double noise(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (double)(*state >> 8) / (1 << 24) - 0.5;
}

static void add_chirp(struct vector *v, int symbol, double share, double direction) {
    for (int i = 0; i < (int)(share * SYMBOL) && v->n < N_VECTOR; i++) {
        double f = -0.25 + (double)symbol / SYMBOL + (double)i / (2 * SYMBOL);

        if (f >= 0.25)
            f -= 0.5;
        v->x[v->n++] += (float complex)cexp(2 * I * UW_PI * v->phase);
        v->phase += v->mirror * direction * f + OFFSET / 2;
        v->phase -= floor(v->phase);
    }
}

static void make_packet(struct vector *v) {
    uint32_t state = 1;

    for (size_t i = 0; i < N_VECTOR; i++)
        v->x[i] = (float complex)(0.1 * noise(&state) + 0.1 * I * noise(&state));
    v->n = LEAD;
    for (int i = 0; i < 10; i++)
        add_chirp(v, 0, 1, 1);
    add_chirp(v, 8 * (SYNC_WORD >> 4), 1, 1);
    add_chirp(v, 8 * (SYNC_WORD & 15), 1, 1);
    add_chirp(v, 0, 1, -1);
    add_chirp(v, 0, 1, -1);
    add_chirp(v, 0, 0.25, -1);
    for (int i = 0; i < 20; i++)
        add_chirp(v, (37 * i + 11) % (1 << SF), 1, 1);
}

static bool judge_packet(const struct uw_lora_packet *p, char detail[UW_SELF_TEST_LEN]) {
    snprintf(detail, UW_SELF_TEST_LEN,
             "packet at %.1f (%d), sync %d %d (8 16), carrier %.4f (%.4f), %d data symbols (20)",
             p->start, LEAD, p->sync[0], p->sync[1], p->offset, OFFSET, p->n_symbols);
    return p->complete && fabs(p->start - LEAD) < 2 && p->sync[0] == 8 * (SYNC_WORD >> 4) &&
           p->sync[1] == 8 * (SYNC_WORD & 15) && fabs(p->offset - OFFSET) < 0.005 &&
           abs(p->n_symbols - 20) <= 1;
}

bool uw_self_test_lora(bool mirrored, char detail[UW_SELF_TEST_LEN]) {
    struct vector v = {.x = calloc(N_VECTOR, sizeof(*v.x)), .mirror = mirrored ? -1 : 1};
    struct uw_lora *lora = NULL;
    struct uw_lora_packet packet = {0};
    bool good = false;
    size_t at = 0;

    snprintf(detail, UW_SELF_TEST_LEN, "no packet found");
    if (v.x && uw_lora_new(&lora) == 0) {
        make_packet(&v);
        good = uw_lora_preamble(lora, SF, v.x, N_VECTOR, 0, &at) > 0 &&
               uw_lora_measure(lora, SF, v.x, N_VECTOR, at, &packet) &&
               judge_packet(&packet, detail);
    }
    uw_lora_free(lora);
    free(v.x);
    return good;
}

bool uw_self_test_disk(const char *dir, char detail[UW_SELF_TEST_LEN]) {
    static const char text[] = "uaswatch was here\n";
    char path[UW_PATH_LEN + 32];
    bool good;
    int fd;

    if (!dir[0]) {
        snprintf(detail, UW_SELF_TEST_LEN, "no state_directory: nothing is kept");
        return true;
    }
    snprintf(path, sizeof(path), "%s/.self-test-%d", dir, (int)getpid());
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    good = fd >= 0 && write(fd, text, sizeof(text)) == sizeof(text) && fsync(fd) == 0;
    snprintf(detail, UW_SELF_TEST_LEN, "%.120s: %s", dir, good ? "writable" : strerror(errno));
    if (fd >= 0) {
        close(fd);
        good = unlink(path) == 0 && good;
    }
    return good;
}

bool uw_self_test_clock(int64_t real_ns, char detail[UW_SELF_TEST_LEN]) {
    int64_t before = uw_clock_mono_ns();
    struct timespec resolution;
    char text[UW_TIME_LEN];
    bool back = false;

    for (int i = 0; i < 10000; i++) {
        int64_t now = uw_clock_mono_ns();
        back |= now < before;
        before = now;
    }
    snprintf(detail, UW_SELF_TEST_LEN, "%s%s", uw_time_format(real_ns, text),
             back                    ? ": the monotonic clock goes back"
             : real_ns < REAL_MIN_NS ? ": the clock is not set"
                                     : "");
    return !back && real_ns >= REAL_MIN_NS && clock_getres(CLOCK_MONOTONIC, &resolution) == 0 &&
           resolution.tv_sec == 0 && resolution.tv_nsec <= 1000000;
}

int uw_engine_self_test(const struct uw_engine_config *config, struct uw_diag *diag,
                        uw_engine_self_test_fn say, void *userdata) {
    char detail[4][UW_SELF_TEST_LEN], mirrored[UW_SELF_TEST_LEN];
    static const char *const names[4] = {"fft", "lora", "disk", "clock"};
    const bool good[4] = {
        uw_self_test_fft(0, detail[0]),
        uw_self_test_lora(false, detail[1]) && !uw_self_test_lora(true, mirrored),
        uw_self_test_disk(config->state_dir, detail[2]),
        uw_self_test_clock(uw_clock_real_ns(), detail[3]),
    };
    int r = 0;

    for (int i = 0; i < 4; i++) {
        if (say)
            say(userdata, names[i], good[i], detail[i]);
        if (!good[i])
            r = uw_diag_add(diag, "self-test %s failed: %s", names[i], detail[i]);
    }
    return r;
}
