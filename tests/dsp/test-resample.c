/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The resampler against the formula of what it resamples */

#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "signal.h"
#include "uw/dsp/resample.h"

#define N_IN    4096
#define N_OUT   3000
#define N_TONES 24

struct tones {
    double freq[N_TONES]; /* turns per input sample */
    double complex amplitude[N_TONES];
};

/* Tones spread over +-band of the Nyquist band, each of random phase. */
static struct tones make_tones(double band, uint64_t *random) {
    struct tones t;

    for (int i = 0; i < N_TONES; ++i) {
        t.freq[i] = 0.5 * band * (2.0 * (i + 0.5) / N_TONES - 1.0);
        t.amplitude[i] = cexp(I * 2.0 * SIGNAL_PI * signal_uniform(random));
    }
    return t;
}

static double complex value(const struct tones *t, double at) {
    double complex sum = 0.0;

    for (int i = 0; i < N_TONES; ++i)
        sum += t->amplitude[i] * cexp(I * 2.0 * SIGNAL_PI * fmod(t->freq[i] * at, 1.0));
    return sum;
}

static double error_db(const struct uw_resampler *r, double band, double first, double step,
                       uint64_t seed) {
    static float complex in[N_IN];
    static float complex out[N_OUT];
    const struct tones t = make_tones(band, &seed);
    double error = 0.0;
    double power = 0.0;

    for (size_t i = 0; i < N_IN; ++i)
        in[i] = (float complex)value(&t, (double)i);
    uw_resample(r, in, N_IN, first, step, out, N_OUT);
    for (size_t m = 0; m < N_OUT; ++m) {
        const double at = first + (double)m * step;

        if (at < 8.0 || at > N_IN - 9.0)
            continue;
        const double complex want = value(&t, at);
        const double complex d = (double complex)out[m] - want;
        error += creal(d) * creal(d) + cimag(d) * cimag(d);
        power += creal(want) * creal(want) + cimag(want) * cimag(want);
    }
    assert_true(power > 0.0);
    return 10.0 * log10(error / power);
}

static void test_band_limited(void **state) {
    static const struct {
        double first, step;
    } cases[] = {{10.0, 1.0}, {10.37, 0.9601}, {20.5, 1.3}, {9.123, 0.25}, {11.9, 1.00006}};
    struct uw_resampler *r = NULL;

    (void)state;
    assert_int_equal(uw_resampler_new(&r), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        const double db = error_db(r, 0.8, cases[i].first, cases[i].step, i + 1);

        print_message("first %.3f step %.5f: %.1f dB\n", cases[i].first, cases[i].step, db);
        assert_true(db < -50.0);
    }
    uw_resampler_free(r);
}

/* Whole instants give the samples back; a constant stays one at any instant (to rounding). */
static void test_exact(void **state) {
    struct uw_resampler *r = NULL;
    float complex in[64];
    float complex out[32];
    uint64_t random = 9;

    (void)state;
    assert_int_equal(uw_resampler_new(&r), 0);
    signal_noise(in, 64, 1.0, &random);
    uw_resample(r, in, 64, 16.0, 1.0, out, 32);
    for (int i = 0; i < 32; ++i)
        assert_true(cabsf(out[i] - in[16 + i]) < 1e-6f);
    for (int i = 0; i < 64; ++i)
        in[i] = 1.0f - 2.0f * I;
    uw_resample(r, in, 64, 10.01, 0.997, out, 32);
    for (int i = 0; i < 32; ++i)
        assert_true(cabsf(out[i] - in[0]) < 1e-5f);
    uw_resampler_free(r);
}

/* Outside of the input is zero, however far; near the end nothing is read past it. */
static void test_outside(void **state) {
    struct uw_resampler *r = NULL;
    float complex around[60];
    const float complex *in = around + 20;
    float complex out[64];

    (void)state;
    for (int i = 0; i < 60; ++i)
        around[i] = i >= 20 && i < 40 ? 1.0f : NAN;
    assert_int_equal(uw_resampler_new(&r), 0);
    uw_resample(r, in, 20, -1000.25, 1.0, out, 64);
    for (int i = 0; i < 64; ++i)
        assert_true(out[i] == 0.0f);
    uw_resample(r, in, 20, 1e6, 1.0, out, 64);
    for (int i = 0; i < 64; ++i)
        assert_true(out[i] == 0.0f);
    uw_resample(r, in, 20, -20.999999999, 1.0, out, 64); /* rounds up to the last phase */
    for (int i = 0; i < 64; ++i)
        assert_true(isfinite(crealf(out[i])) && isfinite(cimagf(out[i])));
    assert_true(out[0] == 0.0f && cabsf(out[31] - 1.0f) < 0.01f && out[63] == 0.0f);
    uw_resampler_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_band_limited),
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_outside),
    };

    return cmocka_run_group_tests_name("resample", tests, NULL, NULL);
}
