/* SPDX-License-Identifier: GPL-3.0-or-later */

/* How much there was in the band besides noise, from spectra drawn by the law of noise */

#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shadow-impl.h"
#include "signal.h"

#define BINS     1024
#define STEP     512 /* samples from frame to frame */
#define LEARNING 400 /* frames */

static struct uw_shadow shadow;

/* `frames` frames from number `from` on, of this power in every bin. */
static void feed(size_t from, size_t frames, double power, uint64_t *random) {
    static float complex x[BINS];

    for (size_t i = from; i < from + frames; ++i) {
        signal_noise(x, BINS, power, random);
        uw_shadow_frame(&shadow, x, BINS, (uint64_t)i * STEP, i == 0);
    }
}

static double excess(size_t from, size_t frames) {
    return uw_shadow_excess(&shadow, (double)from * STEP, (double)(from + frames) * STEP);
}

/* A frame's energy has the standard deviation 1 / sqrt(BINS), its lower quartile lies 0.67 of that
 * below the mean; the quartile is followed in steps of a hundredth, so to some hundredths.
 * Whatever the gain. */
static void test_noise(void **state) {
    static const double gains[] = {1e-9, 1.0, 1e6};

    (void)state;
    for (int g = 0; g < 3; ++g) {
        uint64_t random = 11;
        double worst = 0.0;

        memset(&shadow, 0, sizeof(shadow));
        feed(0, LEARNING + 200, gains[g], &random);
        for (size_t i = LEARNING; i < LEARNING + 200; i += 10)
            worst = fmax(worst, fabs(excess(i, 10) - 0.67 / sqrt(BINS)));
        print_message("noise of %.0e: excess %.3f, at worst %.3f off in 10 frames\n", gains[g],
                      excess(LEARNING, 200), worst);
        assert_true(fabs(excess(LEARNING, 200) - 0.67 / sqrt(BINS)) < 0.04);
        assert_true(worst < 0.08);
    }
}

/* A signal with the power that the noise has in the whole band, in one bin or in a quarter. */
static void test_signal(void **state) {
    (void)state;
    for (size_t width = 1; width <= BINS; width *= 4) {
        static float complex x[BINS];
        uint64_t random = 12 + width;

        memset(&shadow, 0, sizeof(shadow));
        feed(0, LEARNING, 2.0, &random);
        for (size_t i = LEARNING; i < LEARNING + 20; ++i) {
            signal_noise(x, BINS, 2.0, &random);
            for (size_t k = 0; k < width; ++k) {
                const float a = (float)sqrt(2.0 * BINS / (double)width);

                x[k] += a * signal_turn(signal_uniform(&random));
            }
            uw_shadow_frame(&shadow, x, BINS, (uint64_t)i * STEP, false);
        }
        feed(LEARNING + 20, 40, 2.0, &random);
        print_message("signal in %zu bins: excess %.3f\n", width, excess(LEARNING, 20));
        assert_true(fabs(excess(LEARNING, 20) - 1.0) < 0.12);
        /* half of the time half of it; before and behind nothing */
        assert_true(fabs(excess(LEARNING - 20, 40) - 0.5) < 0.1);
        assert_true(fabs(excess(LEARNING - 40, 40)) < 0.1);
        assert_true(fabs(excess(LEARNING + 20, 40)) < 0.1);
    }
}

/* A link that is on the air for a third of the time is not taken for noise. */
static void test_busy(void **state) {
    uint64_t random = 13;
    size_t at = 0;

    (void)state;
    memset(&shadow, 0, sizeof(shadow));
    for (; at < 990; at += 30) {
        feed(at, 20, 1.0, &random);
        feed(at + 20, 10, 4.0, &random);
    }
    print_message("of three stronger by 3: %.3f, between %.3f\n", excess(at - 10, 10),
                  excess(at - 30, 20));
    assert_true(fabs(excess(at - 10, 10) - 3.0) < 0.4);
    assert_true(fabs(excess(at - 30, 20)) < 0.1);
}

/* Noise that rises is followed up to a limit of time, and so is one that falls. */
static void test_follows(void **state) {
    static const double powers[] = {2.0, 0.5};

    (void)state;
    for (int k = 0; k < 2; ++k) {
        uint64_t random = 14;

        memset(&shadow, 0, sizeof(shadow));
        feed(0, LEARNING, 1.0, &random);
        feed(LEARNING, 1000, powers[k], &random);
        assert_true(fabs(excess(LEARNING, 10) - 0.0) < 0.1);
        assert_true(fabs(excess(LEARNING + 900, 100)) < 0.1);
    }
}

static void test_unknown(void **state) {
    uint64_t random = 15;

    (void)state;
    memset(&shadow, 0, sizeof(shadow));
    assert_true(excess(0, 100) == 0.0);
    feed(0, UW_SHADOW_FRAMES + 500, 1.0, &random);
    assert_true(excess(0, 500) == 0.0); /* overwritten */
    assert_true(excess(500, 1) != 0.0);
    assert_true(excess(UW_SHADOW_FRAMES + 500, 100) == 0.0); /* to come */
    assert_true(excess(600, 0) == 0.0);
    assert_true(uw_shadow_excess(&shadow, 600.0 * STEP + 1.0, 601.0 * STEP) == 0.0);
    assert_true(uw_shadow_excess(&shadow, 600.0 * STEP, 599.0 * STEP) == 0.0);
    /* a front that gives only zeros has no noise to compare with */
    memset(&shadow, 0, sizeof(shadow));
    feed(0, 100, 0.0, &random);
    assert_true(excess(0, 100) == 0.0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_noise),   cmocka_unit_test(test_signal),  cmocka_unit_test(test_busy),
        cmocka_unit_test(test_follows), cmocka_unit_test(test_unknown),
    };

    return cmocka_run_group_tests_name("shadow", tests, NULL, NULL);
}
