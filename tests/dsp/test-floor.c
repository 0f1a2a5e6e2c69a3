/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The noise floor against closed forms: power of complex noise in a bin is exponential, of mean 1
 * here
 */

#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "signal.h"
#include "uw/dsp/floor.h"

#define N      512
#define FRAMES 500.0 /* time constant: about 0.08 s at a hop of 0.16 ms */

static float exponential(uint64_t *random, double mean) {
    return (float)(-mean * log(signal_uniform(random)));
}

/* Mean per bin: flat, a slope of 20 dB over the band, or one bin 15 dB higher. */
static double shape_at(int shape, size_t k) {
    if (shape == 1)
        return pow(10.0, 2.0 * (double)k / N);
    return shape == 2 && k == 100 ? 30.0 : 1.0;
}

/* In parts of so many bins, each with its halo. */
static struct uw_floor *learned_in(int shape, size_t rows, size_t part, uint64_t *random) {
    struct uw_floor *floor = NULL;
    float *power = malloc(rows * N * sizeof(*power));
    float *some = malloc(rows * 2 * N * sizeof(*power));

    assert_non_null(power);
    assert_non_null(some);
    for (size_t i = 0; i < rows * N; ++i)
        power[i] = exponential(random, shape_at(shape, i % N));
    assert_int_equal(uw_floor_new(N, FRAMES, &floor), 0);
    const size_t halo = uw_floor_halo(floor, rows);
    assert_true(rows < 100 || halo == 0);
    for (size_t first = 0; first < N; first += part) {
        const size_t count = part < N - first ? part : N - first;
        const size_t width = count + 2 * halo;

        for (size_t r = 0; r < rows; ++r) {
            for (size_t k = 0; k < width; ++k)
                some[r * width + k] = power[r * N + (first + N - halo + k) % N];
        }
        uw_floor_learn(floor, first, count, some, rows);
    }
    free(some);
    free(power);
    return floor;
}

static struct uw_floor *learned(int shape, size_t rows, uint64_t *random) {
    return learned_in(shape, rows, N, random);
}

/* In parts it comes out the same, bin by bin. */
static void test_learn_in_parts(void **state) {
    static const size_t all_rows[] = {1, 7, 33, 99, 100, 500};

    (void)state;
    for (size_t i = 0; i < sizeof(all_rows) / sizeof(all_rows[0]); ++i) {
        uint64_t random = 20 + i;
        struct uw_floor *whole = learned_in(1, all_rows[i], N, &random);

        random = 20 + i;
        struct uw_floor *parts = learned_in(1, all_rows[i], 97, &random);
        for (size_t k = 0; k < N; ++k) {
            assert_true(uw_floor_at(whole, k) > 0.0);
            assert_true(uw_floor_at(whole, k) == uw_floor_at(parts, k));
        }
        uw_floor_free(whole);
        uw_floor_free(parts);
    }
}

/* Largest error of one bin, its RMS, and the mean error of all, in dB. */
static double worst_db(const struct uw_floor *floor, int shape, double *ret_rms, double *ret_mean) {
    double worst = 0.0;
    double square = 0.0;
    double sum = 0.0;

    for (size_t k = 0; k < N; ++k) {
        const double db = 10.0 * log10(uw_floor_at(floor, k) / shape_at(shape, k));

        worst = fmax(worst, fabs(db));
        square += db * db;
        sum += db;
        assert_true(fabs((double)uw_floor_inverse(floor)[k] * uw_floor_at(floor, k) - 1.0) < 1e-3);
    }
    *ret_rms = sqrt(square / N);
    *ret_mean = sum / N;
    return worst;
}

/*
 * From r rows the quartile's relative error is sqrt(p (1 - p) / r) / ((1 - p) -ln(1 - p)) =
 * 2.007 / sqrt(r): 0.28 dB RMS at r = 1000; the largest of 512 bins at 3.1 sigma.
 */
static void test_learn(void **state) {
    uint64_t random = 1;

    (void)state;
    for (int shape = 0; shape < 3; ++shape) {
        struct uw_floor *floor = learned(shape, 1000, &random);
        double rms, mean;
        const double worst = worst_db(floor, shape, &rms, &mean);

        print_message("learned, shape %d: worst %.2f rms %.2f mean %.3f dB\n", shape, worst, rms,
                      mean);
        assert_true(rms < 0.34 && worst < 1.3 && fabs(mean) < 0.06);
        uw_floor_free(floor);
    }
}

/* Few rows are pooled over neighbours: 100 values or more, 0.87 dB RMS. */
static void test_learn_few_rows(void **state) {
    uint64_t random = 2;

    (void)state;
    for (size_t rows = 1; rows <= 64; rows *= 8) {
        struct uw_floor *floor = learned(0, rows, &random);
        double rms, mean;
        const double worst = worst_db(floor, 0, &rms, &mean);

        print_message("%zu rows: worst %.2f rms %.2f mean %.3f dB\n", rows, worst, rms, mean);
        /* one row reaches 65 values only: no more than an eighth of the band is pooled */
        assert_true(rms < 1.25 && worst < 4.0 && fabs(mean) < 0.4);
        uw_floor_free(floor);
    }
}

/*
 * In equilibrium the estimate wanders by eta / 2 * p (1 - p) / slope about the quantile in the log;
 * slope = x (1 - p) at x = 0.2877: sqrt(0.002 / 2 * 0.1875 / 0.2158) = 0.0295, 0.13 dB.
 */
static void test_update(void **state) {
    uint64_t random = 3;
    struct uw_floor *floor = learned(0, 1000, &random);
    double rms, mean, worst;

    (void)state;
    for (int f = 0; f < 3000; ++f) {
        float power[N];

        for (size_t k = 0; k < N; ++k)
            power[k] = exponential(&random, 1.0);
        uw_floor_update(floor, power);
    }
    worst = worst_db(floor, 0, &rms, &mean);
    print_message("updated: worst %.2f rms %.2f mean %.3f dB\n", worst, rms, mean);
    assert_true(rms < 0.18 && worst < 0.65 && fabs(mean) < 0.03);
    assert_true(fabs(10.0 * log10(uw_floor_mean(floor)) - mean) < 0.1);
    uw_floor_free(floor);
}

/*
 * A share b of strong frames: the quartile of what is left is at 0.25 / (1 - b), so the estimate is
 * ln(1 - 0.25 / (1 - b)) / ln(0.75): +1.86 dB at 30 %. The bias grows with the time constant
 * FRAMES / (0.7 x f(x)) = 2500 frames, and the bins beside do not move.
 */
static void test_busy(void **state) {
    uint64_t random = 4;
    struct uw_floor *floor = learned(0, 1000, &random);
    const double expected = 10.0 * log10(-log(1.0 - 0.25 / 0.7) / -log(0.75));
    double busy = 0.0;
    double quiet = 0.0;
    const size_t n_busy = N * 3 / 10;

    (void)state;
    for (int f = 0; f < 15000; ++f) {
        float power[N];

        for (size_t k = 0; k < N; ++k) {
            const bool on = k < n_busy && signal_uniform(&random) < 0.3;

            power[k] = exponential(&random, on ? 1000.0 : 1.0);
        }
        uw_floor_update(floor, power);
    }
    for (size_t k = 0; k < N; ++k)
        *(k < n_busy ? &busy : &quiet) += 10.0 * log10(uw_floor_at(floor, k));
    busy /= (double)n_busy;
    quiet /= (double)(N - n_busy);
    print_message("30 %% busy: %.2f dB (theory %.2f), quiet bins %.2f dB\n", busy, expected, quiet);
    assert_true(fabs(busy - expected) < 0.15 && fabs(quiet) < 0.05);
    uw_floor_free(floor);
}

/* A third of the band lit up for good must not pull the other bins along (no gain step). */
static void test_band_lit(void **state) {
    uint64_t random = 5;
    struct uw_floor *floor = learned(0, 1000, &random);
    double quiet = 0.0;

    (void)state;
    for (int f = 0; f < 200; ++f) {
        float power[N];

        for (size_t k = 0; k < N; ++k)
            power[k] = exponential(&random, k < N / 3 ? 1000.0 : 1.0);
        uw_floor_update(floor, power);
    }
    for (size_t k = N / 3; k < N; ++k)
        quiet += 10.0 * log10(uw_floor_at(floor, k)) / (double)(N - N / 3);
    print_message("a third lit for 200 frames: the rest moved by %.2f dB\n", quiet);
    assert_true(fabs(quiet) < 0.1);
    uw_floor_free(floor);
}

/* Steps of the gain, both ways: within 1 dB after 125 frames (20 ms at a hop of 0.16 ms). */
static void test_gain_steps(void **state) {
    static const double steps_db[] = {10.0, -10.0, 20.0, -20.0, 6.0, -6.0};
    uint64_t random = 6;
    struct uw_floor *floor = learned(0, 1000, &random);
    double gain_db = 0.0;

    (void)state;
    for (size_t s = 0; s < sizeof(steps_db) / sizeof(steps_db[0]); ++s) {
        gain_db += steps_db[s];
        for (int f = 0; f < 125; ++f) {
            float power[N];

            for (size_t k = 0; k < N; ++k)
                power[k] = exponential(&random, pow(10.0, 0.1 * gain_db));
            uw_floor_update(floor, power);
        }
        const double error = 10.0 * log10(uw_floor_mean(floor)) - gain_db;
        print_message("step %+.0f dB: %+.2f dB left\n", steps_db[s], error);
        assert_true(fabs(error) < 1.0);
    }
    uw_floor_free(floor);
}

/* Packets that drive the receiver to its limit light up the band as more gain would, or let it show
 * less noise: the floor stays. But not if that is so all the time. */
static void test_driven(void **state) {
    uint64_t random = 8;
    struct uw_floor *floor = learned(0, 1000, &random);

    (void)state;
    for (int f = 0; f < 20000; ++f) {
        const bool on_air = f % 100 < 70;
        float power[N];

        for (size_t k = 0; k < N; ++k)
            power[k] = exponential(&random, !on_air ? 1.0 : f % 200 < 100 ? 100.0 : 0.1);
        if (on_air)
            power[N / 3] = 0.375f * N * N; /* a full-scale carrier */
        assert_false(uw_floor_update(floor, power));
    }
    const double packets = 10.0 * log10(uw_floor_mean(floor));
    for (int f = 0; f < 8000; ++f) {
        float power[N];

        for (size_t k = 0; k < N; ++k)
            power[k] = exponential(&random, 0.1);
        power[N / 3] = 0.375f * N * N;
        uw_floor_update(floor, power);
    }
    const double always = 10.0 * log10(uw_floor_at(floor, 1));
    print_message("driven by packets %+.2f dB, all the time %+.2f dB\n", packets, always);
    assert_true(fabs(packets) < 0.5 && fabs(always + 10.0) < 1.0);
    uw_floor_free(floor);
}

/* Silence (all zero) and its end: no infinity, no NaN, and it comes back. */
static void test_silence(void **state) {
    uint64_t random = 7;
    struct uw_floor *floor = learned(0, 100, &random);
    float power[N] = {0};

    (void)state;
    for (int f = 0; f < 30000; ++f)
        uw_floor_update(floor, power);
    for (size_t k = 0; k < N; ++k)
        assert_true(isfinite(uw_floor_inverse(floor)[k]) && uw_floor_inverse(floor)[k] > 0.0f);
    for (int f = 0; f < 1000; ++f) {
        for (size_t k = 0; k < N; ++k)
            power[k] = exponential(&random, 1.0);
        uw_floor_update(floor, power);
    }
    assert_true(fabs(10.0 * log10(uw_floor_mean(floor))) < 1.5);
    uw_floor_free(floor);
}

/* At the least floor there is, where samples are exactly zero, a step of the gain moves nothing:
 * what comes then is seen against a floor and its inverse that belong together. */
static void test_zeros(void **state) {
    uint64_t random = 12;
    float power[N];

    (void)state;
    for (int all = 0; all < 2; ++all) { /* one bin is zero, or all are */
        struct uw_floor *floor = learned(0, 1000, &random);

        for (int f = 0; f < 40000; ++f) {
            const double mean = f < 30000 ? 1.0 : 0.03;

            for (size_t k = 0; k < N; ++k)
                power[k] = (all == 1 && f < 35000) || k == 7 ? 0.0f : exponential(&random, mean);
            uw_floor_update(floor, power);
            for (size_t k = 0; f % 100 == 0 && k < N; ++k)
                assert_true(fabs((double)uw_floor_inverse(floor)[k] * uw_floor_at(floor, k) - 1.0) <
                            1e-2);
        }
        uw_floor_free(floor);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learn_in_parts), cmocka_unit_test(test_learn),
        cmocka_unit_test(test_learn_few_rows), cmocka_unit_test(test_update),
        cmocka_unit_test(test_busy),           cmocka_unit_test(test_band_lit),
        cmocka_unit_test(test_gain_steps),     cmocka_unit_test(test_driven),
        cmocka_unit_test(test_silence),        cmocka_unit_test(test_zeros),
    };

    return cmocka_run_group_tests_name("floor", tests, NULL, NULL);
}
