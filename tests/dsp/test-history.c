/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The history of spectra: what goes in comes out, to 16 bits of its neighbourhood */

#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/dsp/history-impl.h"
#include "signal.h"

#define N_MAX  1280
#define FRAMES 5

static float complex x[FRAMES][N_MAX];
static float complex y[N_MAX];
static const size_t sizes[] = {32, 40, 384, 1280, 1000};

/* The largest component of the block that bin k is in. */
static float block_peak(const float complex *v, size_t n, size_t k) {
    size_t first = k / UW_HISTORY_BLOCK * UW_HISTORY_BLOCK;
    float most = 0.0f;

    for (size_t i = first; i < n && i < first + UW_HISTORY_BLOCK; ++i)
        most = fmaxf(most, fmaxf(fabsf(crealf(v[i])), fabsf(cimagf(v[i]))));
    return most;
}

static void check(const float complex *in, const float complex *out, size_t n, size_t first,
                  size_t count) {
    for (size_t k = 0; k < count; ++k) {
        const float limit = block_peak(in, n, first + k) * 0.51f / 32767.0f;

        assert_true(fabsf(crealf(out[k]) - crealf(in[first + k])) <= limit);
        assert_true(fabsf(cimagf(out[k]) - cimagf(in[first + k])) <= limit);
    }
}

/* Every component is right to half a step of its block, whatever stands elsewhere; frames are kept
 * apart and the latest ones are there. */
static void test_round_trip(void **state) {
    uint64_t random = 51;

    (void)state;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); ++s) {
        const size_t n = sizes[s];
        struct uw_history *h;

        assert_int_equal(uw_history_new(n, 3, &h), 0);
        for (uint64_t f = 0; f < FRAMES; ++f) {
            signal_noise(x[f], n, 1.0, &random);
            x[f][(7 * f + 11) % n] = 4e4f;             /* 92 dB above the noise */
            x[f][(5 * f + 3) % n] = 1e-9f - 2e-9f * I; /* far below it */
            uw_history_put(h, f, x[f]);
        }
        for (uint64_t f = FRAMES - 3; f < FRAMES; ++f) {
            uw_history_get(h, f, 0, n, NULL, y);
            check(x[f], y, n, 0, n);
            for (int i = 0; i < 50; ++i) {
                const size_t first = signal_random(&random) % n;
                const size_t count = signal_random(&random) % (n - first + 1);

                memset(y, 0x55, sizeof(y));
                const float complex guard = y[count];
                uw_history_get(h, f, first, count, NULL, y);
                check(x[f], y, n, first, count);
                assert_memory_equal(&guard, &y[count], sizeof(guard));
            }
        }
        assert_null(uw_history_free(h));
    }
    assert_null(uw_history_free(NULL));
}

static void test_gain(void **state) {
    static float gain[2 * N_MAX];
    static float complex plain[N_MAX];
    uint64_t random = 52;
    struct uw_history *h;

    (void)state;
    assert_int_equal(uw_history_new(384, 1, &h), 0);
    signal_noise(x[0], 384, 1.0, &random);
    uw_history_put(h, 0, x[0]);
    for (size_t i = 0; i < 2 * N_MAX; ++i)
        gain[i] = (float)signal_uniform(&random);
    uw_history_get(h, 0, 100, 200, NULL, plain);
    uw_history_get(h, 0, 100, 200, gain, y);
    for (size_t k = 0; k < 200; ++k) {
        assert_float_equal(crealf(y[k]), crealf(plain[k]) * gain[2 * k], 1e-6);
        assert_float_equal(cimagf(y[k]), cimagf(plain[k]) * gain[2 * k + 1], 1e-6);
    }
    uw_history_free(h);
}

/* Silence, and what is no number or no signal, comes back as zeros; the blocks beside it are whole.
 */
static void test_no_numbers(void **state) {
    static const float bad[] = {NAN, INFINITY, -INFINITY, 1e35f, 0.0f, 1e-40f};
    uint64_t random = 53;
    struct uw_history *h;

    (void)state;
    assert_int_equal(uw_history_new(384, 2, &h), 0);
    for (size_t b = 0; b < sizeof(bad) / sizeof(bad[0]); ++b) {
        signal_noise(x[0], 384, 1.0, &random);
        for (size_t k = 64; k < 96; ++k)
            x[0][k] = fabsf(bad[b]) < 1e-30f ? bad[b] : x[0][k];
        x[0][70] = bad[b];
        uw_history_put(h, b, x[0]);
        uw_history_get(h, b, 0, 384, NULL, y);
        for (size_t k = 64; k < 96; ++k)
            assert_true(y[k] == 0.0f);
        check(x[0], y, 384, 0, 64);
        uw_history_get(h, b, 96, 288, NULL, y);
        check(x[0], y, 384, 96, 288);
    }
    uw_history_free(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_gain),
        cmocka_unit_test(test_no_numbers),
    };

    return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
