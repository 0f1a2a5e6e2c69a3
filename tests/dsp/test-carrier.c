/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A carrier's frequency and its error against the Cramer-Rao bound; what must be refused */

#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "signal.h"
#include "uw/dsp/carrier.h"

#define RATE    250000.0
#define SEGMENT 32768 /* what 0.08 s become */
#define BLOCK   4096

struct scene {
    double freq_hz, amplitude, drift_hz_s;
    double second_hz, second_amplitude;
    double fm_hz, fm_deviation_hz;
    double on_share; /* of each 0.5 s; 1: always */
    double wander_hz;
    double noise;
    double seconds;
    uint64_t seed;
};

static struct uw_carrier_result hear(const struct scene *s) {
    const struct uw_carrier_config config = {
        .rate_hz = RATE,
        .freq_hz = 20000,
        .span_hz = 15000,
        .n_avoid = 1,
        .avoid = {{.freq_hz = 10000, .width_hz = 200}},
    };
    static float complex x[BLOCK];
    struct uw_carrier_result result;
    struct uw_carrier *c = NULL;
    uint64_t random = s->seed;
    double phase = 0, wander = 0;
    size_t n = (size_t)(s->seconds * RATE);

    assert_int_equal(uw_carrier_new(&config, &c), 0);
    for (size_t from = 0; from < n; from += BLOCK) {
        signal_noise(x, BLOCK, s->noise, &random);
        for (size_t i = 0; i < BLOCK; i++) {
            double t = (double)(from + i) / RATE;
            double f = s->freq_hz + s->drift_hz_s * t + wander;

            if (s->fm_hz > 0)
                f += s->fm_deviation_hz * cos(2 * SIGNAL_PI * s->fm_hz * t);
            phase += f / RATE;
            if (fmod(t, 0.5) < 0.5 * s->on_share)
                x[i] += (float)s->amplitude * signal_turn(phase);
            x[i] += (float)s->second_amplitude * signal_turn(s->second_hz * t);
        }
        wander += s->wander_hz * (signal_uniform(&random) - 0.5);
        uw_carrier_push(c, x, BLOCK);
    }
    uw_carrier_result(c, &result);
    uw_carrier_free(c);
    return result;
}

static struct scene plain(void) {
    return (struct scene){.freq_hz = 22345.678,
                          .amplitude = 0.1,
                          .noise = 1,
                          .on_share = 1,
                          .seconds = 12.2 * SEGMENT / RATE,
                          .seed = 1};
}

/* -20 and -25 dB in the whole band; at any place between two bins. */
static void test_reaches_the_bound(void **state) {
    (void)state;
    for (int level = 0; level < 2; level++) {
        double squares = 0, reported = 0, bound;
        const int n = 30;

        for (int i = 0; i < n; i++) {
            struct scene s = plain();
            struct uw_carrier_result r;

            s.seed = (uint64_t)(1000 * level + i + 1);
            s.amplitude = level ? pow(10, -25 / 20.0) : 0.1;
            s.freq_hz += i * RATE / SEGMENT / n;
            r = hear(&s);
            assert_int_equal(r.verdict, UW_CARRIER_GOOD);
            assert_int_equal(r.n_segments, 12);
            assert_true(fabs(r.snr_db - 20 * log10(s.amplitude)) < 1);
            squares += (r.freq_hz - s.freq_hz) * (r.freq_hz - s.freq_hz);
            reported += r.error_hz * r.error_hz;
        }
        bound = uw_carrier_bound_hz(RATE, SEGMENT, pow(10, level ? -2.5 : -2)) / sqrt(12);
        /* 30 runs: a standard deviation is known to 13 % */
        assert_true(sqrt(squares / n) < 1.3 * bound);
        assert_true(sqrt(squares / n) > 0.7 * bound);
        /* the error that is told is none that flatters, nor twice too large */
        assert_true(sqrt(reported / n) > 0.95 * bound);
        assert_true(sqrt(reported / n) < 1.9 * bound);
    }
}

static void test_bound_formula(void **state) {
    (void)state;
    /* by hand: rate 1000, n 100, SNR 10: 1000 / 2 pi sqrt(6 / (10 * 100 * 9999)) */
    assert_true(fabs(uw_carrier_bound_hz(1000, 100, 10) - 0.12329) < 1e-4);
}

static void test_drift_is_followed(void **state) {
    struct scene s = plain();
    struct uw_carrier_result r;

    (void)state;
    s.drift_hz_s = 3;
    r = hear(&s);
    assert_int_equal(r.verdict, UW_CARRIER_GOOD);
    assert_true(fabs(r.drift_hz_s - 3) < 0.2);
    /* at the middle of the time: 12 whole segments of the 12.2 */
    assert_true(fabs(r.freq_hz - s.freq_hz - 3 * 6 * SEGMENT / RATE) < 0.2);
}

/* A wandering crystal: the true mean frequency is within the error that is told. */
static void test_wander_widens_the_error(void **state) {
    struct scene s = plain();
    struct uw_carrier_result r;

    (void)state;
    s.wander_hz = 0.7;
    r = hear(&s);
    assert_int_equal(r.verdict, UW_CARRIER_GOOD);
    assert_true(r.error_hz > 3 * uw_carrier_bound_hz(RATE, SEGMENT, 0.01) / sqrt(12));
}

static void expect(enum uw_carrier_verdict want, const struct scene *s) {
    struct uw_carrier_result r = hear(s);

    if (r.verdict != want)
        fail_msg("\"%s\" instead of \"%s\"", uw_carrier_verdict_name(r.verdict),
                 uw_carrier_verdict_name(want));
}

static void test_refuses(void **state) {
    struct scene s = plain();

    (void)state;
    s.seconds = 7 * SEGMENT / RATE;
    expect(UW_CARRIER_SHORT, &s);
    for (uint64_t seed = 1; seed < 10; seed++) {
        s = plain();
        s.amplitude = 0;
        s.seed = seed;
        expect(UW_CARRIER_NONE, &s);
    }
    s = plain();
    s.second_hz = 30000;
    s.second_amplitude = 0.06;
    expect(UW_CARRIER_AMBIGUOUS, &s);
    s.second_amplitude = 0.02; /* 14 dB below is no rival */
    expect(UW_CARRIER_GOOD, &s);
    s = plain();
    s.on_share = 0.5;
    expect(UW_CARRIER_FADING, &s);
    s = plain();
    s.wander_hz = 20;
    expect(UW_CARRIER_UNSTEADY, &s);
    s = plain();
    s.freq_hz = 5100;
    expect(UW_CARRIER_EDGE, &s);
}

/* Speech on FM, AM and the like are not carriers, even where one component is a line. */
static void test_refuses_modulation(void **state) {
    static const struct {
        double rate_hz, deviation_hz;
    } fm[] = {{1000, 3000}, {130, 1500}, {40, 400}, {3, 800}};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct scene s = plain();
        struct uw_carrier_result r;

        s.amplitude = 1;
        s.fm_hz = fm[i].rate_hz;
        s.fm_deviation_hz = fm[i].deviation_hz;
        r = hear(&s);
        if (r.verdict == UW_CARRIER_GOOD)
            fail_msg("FM of %g Hz, %g Hz deviation is taken for a carrier", fm[i].rate_hz,
                     fm[i].deviation_hz);
    }
}

/* A receiver's own line is not taken, however strong. */
static void test_avoids(void **state) {
    struct scene s = plain();
    struct uw_carrier_result r;

    (void)state;
    s.second_hz = 10020;
    s.second_amplitude = 10;
    r = hear(&s);
    assert_int_equal(r.verdict, UW_CARRIER_GOOD);
    assert_true(fabs(r.freq_hz - s.freq_hz) < 0.5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bound_formula),
        cmocka_unit_test(test_reaches_the_bound),
        cmocka_unit_test(test_drift_is_followed),
        cmocka_unit_test(test_wander_widens_the_error),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_refuses_modulation),
        cmocka_unit_test(test_avoids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
