/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Steady tones in spectra without a window: what is left of them, and what is left alone
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <complex.h>
#include <math.h>
#include <string.h>

#include "../../src/dsp/bursts-impl.h"
#include "../../src/dsp/tones-impl.h"
#include "uw/base/util.h"
#include "uw/dsp/fft.h"
#include "uw/dsp/floor.h"

#define N      384
#define HOP    288
#define FRAMES 2000
#define LEARN  100

struct bench {
    struct uw_tones *tones;
    struct uw_floor *floor;
    struct uw_fft *fft;
    float complex *spectrum;
    uint64_t random;
    uint64_t at;
    float complex samples[N];
    double left; /* power over the last half, per bin, noise is N */
    size_t n_left;
};

static double uniform(struct bench *b) {
    b->random = b->random * 6364136223846793005u + 1442695040888963407u;
    return ((double)(b->random >> 11) + 0.5) * 0x1p-53;
}

static float complex noise(struct bench *b) {
    double r = sqrt(-log(uniform(b)));

    return (float complex)(r * cexp(I * 2.0 * UW_PI * uniform(b)));
}

static void begin(struct bench *b, uint64_t seed) {
    memset(b, 0, sizeof(*b));
    b->random = seed;
    assert_int_equal(uw_tones_new(N, HOP, &b->tones), 0);
    assert_int_equal(uw_floor_new(N, 600.0, &b->floor), 0);
    assert_int_equal(uw_fft_new(N, &b->fft), 0);
    b->spectrum = uw_fft_alloc(N);
}

static void end(struct bench *b) {
    uw_tones_free(b->tones);
    uw_floor_free(b->floor);
    uw_fft_free(b->fft);
    uw_fft_dealloc(b->spectrum);
}

/* FRAMES frames of noise of power 1 and what `signal` adds at each sample. */
static void run(struct bench *b, float complex (*signal)(uint64_t at, const double *how),
                const double *how) {
    static float rows[LEARN][N];
    float power[N];

    for (int frame = 0; frame < FRAMES; ++frame) {
        size_t keep = frame ? N - HOP : 0;

        memmove(b->samples, b->samples + HOP, keep * sizeof(*b->samples));
        for (size_t i = keep; i < N; ++i, ++b->at)
            b->samples[i] = noise(b) + signal(b->at, how);
        memcpy(uw_fft_buffer(b->fft), b->samples, sizeof(b->samples));
        uw_fft_run_to(b->fft, b->spectrum);
        uw_tones_clean(b->tones, b->spectrum);
        uw_hann_power(b->spectrum, N, power);
        if (frame < LEARN)
            memcpy(rows[frame], power, sizeof(power));
        if (frame == LEARN)
            uw_floor_learn(b->floor, 0, N, rows[0], LEARN);
        if (frame >= LEARN) {
            uw_floor_update(b->floor, power);
            uw_tones_look(b->tones, b->floor);
        }
        for (size_t k = 0; frame >= FRAMES / 2 && k < N; ++k, ++b->n_left)
            b->left += (double)(crealf(b->spectrum[k]) * crealf(b->spectrum[k]) +
                                cimagf(b->spectrum[k]) * cimagf(b->spectrum[k]));
    }
    b->left /= (double)b->n_left * N;
}

static float complex tone(uint64_t at, const double *how) {
    double turns = fmod(how[0] / N * (double)at, 1.0);

    return (float complex)(how[1] * cexp(I * 2.0 * UW_PI * turns));
}

/* 10 dB over all of the noise, at any place between two bins: nothing of it remains. */
static void test_a_tone_is_gone(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 12; ++seed) {
        struct bench b;

        begin(&b, seed);
        double how[2] = {(uniform(&b) - 0.5) * 0.9 * N, sqrt(10.0)};
        run(&b, tone, how);
        assert_int_equal(uw_tones_count(b.tones), 1);
        if (fabs(10.0 * log10(b.left)) > 0.05)
            fail_msg("seed %d, bin %.2f: %.3f dB left", (int)seed, how[0], 10.0 * log10(b.left));
        end(&b);
    }
}

/* A gain that steps, samples that are missing: amplitude and phase are each frame's own. */
static float complex shaken(uint64_t at, const double *how) {
    uint64_t lost = at / 40000 * 137;

    return tone(at + lost, how) * (at / 90000 % 2 ? 2.0f : 1.0f);
}

static void test_steps_and_losses(void **state) {
    struct bench b;
    double how[2] = {57.37, 3.0};

    (void)state;
    begin(&b, 3);
    run(&b, shaken, how);
    assert_int_equal(uw_tones_count(b.tones), 1);
    /* one frame in a hundred holds a jump, and with it up to all of the tone: 15 dB */
    if (fabs(10.0 * log10(b.left)) > 0.6)
        fail_msg("%.3f dB left", 10.0 * log10(b.left));
    end(&b);
}

static float complex two(uint64_t at, const double *how) {
    return tone(at, how) + tone(at, how + 2);
}

static void test_two_tones(void **state) {
    struct bench b;
    double how[4] = {-40.3, 4.0, 101.8, 1.0};

    (void)state;
    begin(&b, 4);
    run(&b, two, how);
    assert_int_equal(uw_tones_count(b.tones), 2);
    assert_true(fabs(10.0 * log10(b.left)) < 0.05);
    end(&b);
}

/* Frequency modulation with noise-like data, 12 kHz at 2.4 MS/s, on the air all the time. */
static float complex modulated(uint64_t at, const double *how) {
    static double phase;
    uint64_t symbol = at / 500;
    uint64_t z = symbol * 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    phase += 2.0 * UW_PI * (how[0] + (z >> 40 & 1 ? 0.9 : -0.9)) / N;
    return (float complex)(how[1] * cexp(I * phase));
}

/* A chirp over a fifth of the band, again and again. */
static float complex chirps(uint64_t at, const double *how) {
    double t = (double)(at % 1229) / 1229.0;

    return (float complex)(how[1] * cexp(I * UW_PI * 0.2 * 1229.0 * (t * t - t)));
}

static void test_signals_are_left_alone(void **state) {
    float complex (*const signals[])(uint64_t, const double *) = {modulated, chirps};

    (void)state;
    for (int i = 0; i < 2; ++i) {
        struct bench b;
        double how[2] = {33.3, 2.0};

        begin(&b, 5);
        run(&b, signals[i], how);
        assert_int_equal(uw_tones_count(b.tones), 0);
        assert_true(fabs(10.0 * log10(b.left / 5.0)) < 0.1);
        end(&b);
    }
}

/* A chirp beside a tone keeps its energy. */
static float complex beside(uint64_t at, const double *how) {
    return chirps(at, how + 2) + tone(at, how);
}

static void test_chirps_beside_a_tone(void **state) {
    struct bench b;
    double how[4] = {20.6, 3.0, 0.0, 0.5};

    (void)state;
    begin(&b, 6);
    run(&b, beside, how);
    assert_int_equal(uw_tones_count(b.tones), 1);
    assert_true(fabs(10.0 * log10(b.left / 1.25)) < 0.1);
    end(&b);
}

static float complex ends(uint64_t at, const double *how) {
    return at < 1000 * HOP ? tone(at, how) : 0.0f;
}

static void test_a_tone_that_ends(void **state) {
    struct bench b;
    double how[2] = {20.6, 3.0};

    (void)state;
    begin(&b, 7);
    run(&b, ends, how);
    assert_int_equal(uw_tones_count(b.tones), 0);
    end(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_tone_is_gone),
        cmocka_unit_test(test_steps_and_losses),
        cmocka_unit_test(test_two_tones),
        cmocka_unit_test(test_signals_are_left_alone),
        cmocka_unit_test(test_chirps_beside_a_tone),
        cmocka_unit_test(test_a_tone_that_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
