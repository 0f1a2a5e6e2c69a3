/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Base stations made from the definition of GSM: the frequency of their carrier, and what is none
 */

#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "signal.h"
#include "uw/dsp/fcch.h"

#define RATE  1000000.0
#define BIT   (1625e3 / 6) /* a second */
#define SLOT  156.25       /* bits */
#define BLOCK 5000

struct station {
    double offset_hz; /* of its carrier from the centre */
    double snr_db;    /* in 200 kHz */
    double seconds;
    bool no_fcch;   /* nothing but data */
    double every_s; /* not 0: tones as long as these bursts, but in this rhythm */
    double cw_hz;   /* not 0: a carrier that is always there */
    uint64_t seed;
};

/* In the first slot of frames 0, 10, 20, 30, 40 of 51, for 148 bits. */
static bool is_fcch(const struct station *s, double t) {
    double frame = floor(t / UW_FCCH_FRAME_S), in_frame = t - frame * UW_FCCH_FRAME_S;
    int number = (int)fmod(frame, 51);

    if (s->no_fcch)
        return false;
    if (s->every_s > 0)
        return fmod(t, s->every_s) < 148 / BIT;
    return number % 10 == 0 && number < 50 && in_frame < 148 / BIT;
}

/* Minimum shift keying, whose spectrum GMSK narrows a little: a bit turns the phase by a quarter.
 */
static struct uw_carrier_result hear(const struct station *s) {
    const struct uw_fcch_config config = {.rate_hz = RATE, .freq_hz = 150e3, .span_hz = 90e3};
    static float complex x[BLOCK];
    struct uw_carrier_result result;
    struct uw_fcch *f = NULL;
    uint64_t random = s->seed;
    double phase = 0, noise = pow(10, -s->snr_db / 10) * RATE / 200e3;
    long bit = -1;
    int sign = 1;

    assert_int_equal(uw_fcch_new(&config, &f), 0);
    for (size_t from = 0; from < (size_t)(s->seconds * RATE); from += BLOCK) {
        signal_noise(x, BLOCK, noise, &random);
        for (size_t i = 0; i < BLOCK; i++) {
            double t = (double)(from + i) / RATE;

            if ((long)(t * BIT) != bit) {
                bit = (long)(t * BIT);
                sign = signal_uniform(&random) < 0.5 ? -1 : 1;
            }
            phase += (s->offset_hz + (is_fcch(s, t) ? 1 : sign) * BIT / 4) / RATE;
            x[i] += signal_turn(phase);
            if (s->cw_hz != 0)
                x[i] += 20 * signal_turn(s->cw_hz * t);
        }
        uw_fcch_push(f, x, BLOCK);
    }
    uw_fcch_result(f, &result);
    uw_fcch_free(f);
    return result;
}

static struct station plain(void) {
    return (struct station){.offset_hz = 150e3, .snr_db = 12, .seconds = 2, .seed = 1};
}

static void test_tone_is_a_quarter_of_the_bits(void **state) {
    (void)state;
    assert_true(fabs(UW_FCCH_TONE_HZ - BIT / 4) < 1e-6);
    assert_true(fabs(UW_FCCH_FRAME_S - 8 * SLOT / BIT) < 1e-12);
}

static void test_finds_the_carrier(void **state) {
    static const double offsets[] = {70123.4, 149000, 150000, 231999.9};

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct station s = plain();
        struct uw_carrier_result r;

        s.offset_hz = offsets[i];
        s.seed = (uint64_t)i + 1;
        r = hear(&s);
        if (r.verdict != UW_CARRIER_GOOD)
            fail_msg("%s, %d bursts", uw_carrier_verdict_name(r.verdict), r.n_segments);
        assert_true(abs(r.n_segments - 42) <= 3); /* 5 in 51 frames */
        assert_true(fabs(r.freq_hz - s.offset_hz) < 4 * r.error_hz);
        assert_true(r.error_hz < 20); /* 0.02 ppm at 900 MHz */
    }
}

/* Of the bound of a window of 0.36 ms, and the error that is told against the one that is made. */
static void test_error(void **state) {
    double squares = 0, told = 0, bound;
    const int n = 12;

    (void)state;
    for (int i = 0; i < n; i++) {
        struct station s = plain();
        struct uw_carrier_result r;

        s.seed = (uint64_t)(100 + i);
        s.seconds = 1.2;
        s.offset_hz += 137.0 * i;
        r = hear(&s);
        assert_int_equal(r.verdict, UW_CARRIER_GOOD);
        squares += (r.freq_hz - s.offset_hz) * (r.freq_hz - s.offset_hz);
        told += r.error_hz * r.error_hz;
    }
    bound = uw_carrier_bound_hz(RATE, 360, pow(10, 1.2) * 200e3 / RATE) / sqrt(25);
    /* 12 runs: a standard deviation is known to 20 % */
    assert_true(sqrt(squares / n) < 2 * bound && sqrt(squares / n) > 0.5 * bound);
    assert_true(sqrt(told / n) > 0.6 * sqrt(squares / n));
    assert_true(sqrt(told / n) < 3 * sqrt(squares / n));
}

static void expect(enum uw_carrier_verdict want, const struct station *s) {
    struct uw_carrier_result r = hear(s);

    if (r.verdict != want)
        fail_msg("\"%s\" (%d bursts) instead of \"%s\"", uw_carrier_verdict_name(r.verdict),
                 r.n_segments, uw_carrier_verdict_name(want));
}

static void test_refuses(void **state) {
    struct station s = plain();

    (void)state;
    s.no_fcch = true;
    expect(UW_CARRIER_NONE, &s);
    s = plain();
    s.snr_db = -20;
    expect(UW_CARRIER_NONE, &s);
    s = plain();
    s.cw_hz = 200e3;
    expect(UW_CARRIER_NONE, &s);
    s = plain();
    s.every_s = 0.0473;
    expect(UW_CARRIER_UNSTEADY, &s);
    s = plain();
    s.every_s = 60 * UW_FCCH_FRAME_S;
    s.seconds = 3.5;
    expect(UW_CARRIER_FADING, &s);
    s = plain();
    s.seconds = 0.9;
    expect(UW_CARRIER_SHORT, &s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tone_is_a_quarter_of_the_bits),
        cmocka_unit_test(test_finds_the_carrier),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
