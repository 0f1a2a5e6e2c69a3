/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The front end's contract: what blocks, gaps, DC, and an imbalance of I and Q do to the bursts */

#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "listen.h"
#include "signal.h"

#define RATE 250e3
#define N    150000 /* 0.6 s */

static float complex x[N];
static struct listen a, b;

static void noise_with_tones(uint64_t seed) {
    signal_noise(x, N, 1e-4, &seed);
    for (int i = 0; i < 40; ++i) {
        const size_t from = 2000 + (size_t)(signal_uniform(&seed) * 140000);

        signal_add_tone(x, from, from + 300 + (size_t)(signal_uniform(&seed) * 4000), 0.02,
                        0.9 * signal_uniform(&seed) - 0.45);
    }
}

static void assert_same(const struct listen *l, const struct listen *m) {
    assert_int_equal(l->n, m->n);
    assert_int_equal(l->n_progress, m->n_progress);
    for (size_t i = 0; i < l->n; ++i) {
        const struct uw_burst *p = &l->bursts[i];
        const struct uw_burst *q = &m->bursts[i];

        assert_true(p->number == q->number && p->start == q->start && p->stop == q->stop);
        assert_true(p->lower_hz == q->lower_hz && p->upper_hz == q->upper_hz);
        assert_true(p->centre_hz == q->centre_hz && p->snr_db == q->snr_db);
        assert_true(p->power_dbfs == q->power_dbfs && p->open == q->open);
    }
}

/* Equal to the last bit, whatever the blocks; and in the order of the end. */
static void test_block_sizes(void **state) {
    static const size_t blocks[] = {1, 7, 48, 64, 4096, 65537};
    uint64_t random = 21;

    (void)state;
    noise_with_tones(20);
    listen_begin(&a, RATE, 0.0);
    listen_push(&a, x, N);
    listen_end(&a);
    assert_true(a.n > 20);
    for (size_t i = 1; i < a.n; ++i)
        assert_true(a.bursts[i].stop >= a.bursts[i - 1].stop);
    for (size_t k = 0; k <= sizeof(blocks) / sizeof(blocks[0]); ++k) {
        listen_begin(&b, RATE, 0.0);
        for (size_t i = 0; i < N;) {
            size_t m =
                k < sizeof(blocks) / sizeof(blocks[0]) ? blocks[k] : signal_random(&random) % 500;

            m = m < N - i ? m : N - i;
            listen_push(&b, x + i, m);
            i += m;
        }
        assert_int_equal(uw_front_samples(b.front), N);
        listen_end(&b);
        assert_same(&a, &b);
    }
}

/* Lost samples: numbers go on as if they had come; a burst across the gap is two. */
static void test_gap(void **state) {
    enum { LOST = 12345, AT = 90000 };
    size_t n_before = 0;
    size_t n_after = 0;
    uint64_t seed = 22;

    (void)state;
    signal_noise(x, N, 1e-4, &seed);
    signal_add_tone(x, AT - 5000, AT + 5000, 0.02, 0.2);
    signal_add_tone(x, 110000, 114000, 0.02, -0.3);
    listen_begin(&a, RATE, 0.0);
    const uint64_t n = uw_front_n_fft(a.front);
    listen_push(&a, x, AT);
    uw_front_gap(a.front, LOST);
    assert_int_equal(uw_front_samples(a.front), AT + LOST);
    listen_push(&a, x + AT, N - AT);
    listen_end(&a);
    for (size_t i = 0; i < a.n; ++i) {
        const struct uw_burst *p = &a.bursts[i];

        if (p->power_dbfs < -37.0)
            continue;
        if (p->stop < AT + LOST) {
            ++n_before;
            assert_true(labs((long)p->start - (AT - 5000)) < (long)n);
            assert_true(labs((long)p->stop - AT) <= (long)n);
        } else if (n_after++ == 0) {
            assert_true(p->start >= AT + LOST && p->start < AT + LOST + n);
            assert_true(labs((long)p->stop - (AT + LOST + 5000)) < (long)n);
        } else {
            assert_true(labs((long)p->start - (110000 + LOST)) < (long)n);
            assert_true(labs((long)p->stop - (114000 + LOST)) < (long)n);
        }
    }
    assert_true(n_before == 1 && n_after == 2);
}

/* Gaps at bad moments: before anything, while learning, twice in a row, at the very end. */
static void test_gaps_at_bad_moments(void **state) {
    uint64_t seed = 23;

    (void)state;
    signal_noise(x, N, 1e-4, &seed);
    signal_add_tone(x, 100000, 104000, 0.02, 0.2);
    listen_begin(&a, RATE, 0.0);
    uw_front_gap(a.front, 1000);
    listen_push(&a, x, 15000);
    uw_front_gap(a.front, 1);
    uw_front_gap(a.front, 5);
    listen_push(&a, x + 15000, 25000);
    uw_front_gap(a.front, UINT32_MAX);
    listen_push(&a, x + 40000, N - 40000);
    uw_front_gap(a.front, 7);
    const uint64_t shift = 1000 + 1 + 5 + (uint64_t)UINT32_MAX;
    bool found = false;
    for (size_t i = 0; i < a.n; ++i)
        found |= a.bursts[i].start < shift + 104000 && a.bursts[i].stop > shift + 100000 &&
                 fabs(a.bursts[i].centre_hz - 50e3) < 5e3;
    assert_true(found);
    assert_int_equal(uw_front_samples(a.front), N + shift + 7);
    listen_end(&a);
}

/* Nothing, less than one frame, and less than the floor is learned from. */
static void test_short_streams(void **state) {
    uint64_t seed = 24;

    (void)state;
    signal_noise(x, N, 1e-4, &seed);
    signal_add_tone(x, 1000, 2000, 0.05, 0.2);
    for (size_t n = 0; n <= 3000; n = n < 4 ? n + 1 : 2 * n) {
        listen_begin(&a, RATE, 0.0);
        listen_push(&a, x, n);
        assert_true(isnan(uw_front_noise_dbfs(a.front)));
        listen_end(&a);
    }
    listen_begin(&a, RATE, 0.0);
    listen_push(&a, x, 6000);
    listen_end(&a);
    bool found = false;
    for (size_t i = 0; i < a.n; ++i)
        found |=
            labs((long)a.bursts[i].start - 1000) < 64 && labs((long)a.bursts[i].stop - 2000) < 64;
    assert_true(found);
}

static size_t count_near(const struct listen *l, double freq_hz, double width_hz, uint64_t from) {
    size_t n = 0;

    for (size_t i = 0; i < l->n; ++i)
        n += l->bursts[i].start >= from && fabs(l->bursts[i].centre_hz - freq_hz) < width_hz;
    return n;
}

/* A constant 30 dB over the whole noise is no burst, and a tone 12 kHz beside it still is. */
static void test_dc(void **state) {
    uint64_t seed = 25;

    (void)state;
    signal_noise(x, N, 1e-4, &seed);
    for (size_t i = 0; i < N; ++i)
        x[i] += 0.2f - 0.24f * I;
    signal_add_tone(x, 120000, 124000, 0.02, 0.048);
    listen_begin(&a, RATE, 0.0);
    listen_push(&a, x, N);
    listen_end(&a);
    assert_int_equal(count_near(&a, 0.0, 6e3, 50000), 0);
    assert_int_equal(count_near(&a, 12e3, 3e3, 118000), 1);
}

/* Rises and falls slowly, so that its begin and end do not light up the whole band. */
static void add_soft_tone(float complex *y, size_t n, double amplitude, double turns_per_sample) {
    for (size_t i = 0; i < n; ++i)
        y[i] += (float)(amplitude * pow(sin(SIGNAL_PI * (double)i / (double)n), 2.0)) *
                signal_turn(turns_per_sample * (double)i);
}

/* Tones of 3 ms at 300 kHz on one side, every 7 ms for 0.6 s at 1 MS/s, `beta` of them (and of the
 * noise) mirrored. */
static size_t listen_to_image(float complex beta, double noise, double turns_per_sample) {
    enum { M = 600000 };
    const double rate = 1e6;
    float complex *y = malloc(M * sizeof(*y));
    uint64_t seed = 26;
    size_t n_bursts = 0;

    assert_non_null(y);
    signal_noise(y, M, noise, &seed);
    for (size_t from = 3000; from + 4000 < M; from += 7000, ++n_bursts)
        add_soft_tone(y + from, 3000, 0.05, turns_per_sample);
    for (size_t i = 0; i < M; ++i)
        y[i] += beta * conjf(y[i]);
    listen_begin(&a, rate, 0.0);
    listen_push(&a, y, M);
    listen_end(&a);
    free(y);
    return n_bursts;
}

/* x + beta conj(x), beta = -30 dB: the image of bursts 50 dB over their bin's noise is heard at
 * first and gone once the imbalance is known; the bursts stay. */
static void test_image(void **state) {
    (void)state;
    for (double sign = -1.0; sign < 2.0; sign += 2.0) {
        const size_t n_bursts = listen_to_image(0.0316f * (0.6f + 0.8f * I), 1e-6, 0.3 * sign);
        const size_t all = count_near(&a, -300e3 * sign, 20e3, 0);

        assert_int_equal(count_near(&a, 300e3 * sign, 20e3, 0), n_bursts);
        print_message("images: %zu of %zu bursts\n", all, n_bursts);
        assert_true(all >= 20); /* in a quarter of a second: else this test would show nothing */
        assert_int_equal(count_near(&a, -300e3 * sign, 20e3, 300000), 0);
    }
}

/* A balanced receiver is left alone: no image is made where there was none. */
static void test_no_image(void **state) {
    const size_t n_bursts = listen_to_image(0.0f, 1e-7, 0.3);

    (void)state;
    assert_int_equal(count_near(&a, -300e3, 20e3, 0), 0);
    assert_int_equal(count_near(&a, 300e3, 20e3, 0), n_bursts);
}

static void test_clip_ratio(void **state) {
    uint64_t seed = 28;

    (void)state;
    signal_noise(x, 10000, 1e-4, &seed);
    for (int i = 0; i < 100; ++i)
        x[i * 90] = 1.0f;
    listen_begin(&a, RATE, 0.0);
    assert_true(uw_front_clip_ratio(a.front) == 0.0);
    listen_push(&a, x, 10000);
    assert_true(fabs(uw_front_clip_ratio(a.front) - 0.01) < 1e-12);
    listen_end(&a);
}

static void test_bad_rates(void **state) {
    static const double rates[] = {0.0, -1.0, 999.0, 1.1e9, NAN, INFINITY};
    static const struct uw_front_ops ops = {.burst = listen_burst, .progress = listen_progress};
    struct uw_front_config config;
    struct uw_front *front = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); ++i) {
        uw_front_config_init(&config);
        config.rate_hz = rates[i];
        assert_true(uw_front_new(&config, &ops, NULL, &front) < 0);
        assert_null(front);
    }
}

/* Frames of receivers' and recordings' rates, so that none moves unseen; and of all others that
 * they are near 0.16 ms, and suit overlap-save. */
static void test_frame_size(void **state) {
    static const struct {
        double rate_hz;
        size_t n;
    } cases[] = {
        {250e3, 32},     {0.96e6, 128},  {1.0e6, 128},  {1.024e6, 160}, {1.2e6, 192},
        {1.4e6, 224},    {1.44e6, 288},  {1.8e6, 288},  {1.92e6, 384},  {2.0e6, 256},
        {2.048e6, 320},  {2.4e6, 384},   {2.56e6, 512}, {2.8e6, 448},   {2.88e6, 576},
        {3.2e6, 512},    {5e6, 640},     {7e6, 896},    {8e6, 1024},    {10e6, 1280},
        {15.36e6, 3072}, {19.2e6, 3072}, {20e6, 2560},  {25e6, 3200},   {30.72e6, 6144},
        {40e6, 5120},    {50e6, 6400},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        if (uw_front_frame_size(cases[i].rate_hz) != cases[i].n)
            print_message("%g MS/s\n", cases[i].rate_hz / 1e6);
        assert_int_equal(uw_front_frame_size(cases[i].rate_hz), cases[i].n);
    }
    for (double rate = 250e3; rate <= 50e6; rate += 37e3) {
        const size_t n = uw_front_frame_size(rate);
        assert_true(n % 8 == 0 && n >= 32);
        assert_true((double)n <= 1.45 * 0.16e-3 * rate && (double)n >= 0.16e-3 * rate / 1.5 - 8.0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_block_sizes),
        cmocka_unit_test(test_gap),
        cmocka_unit_test(test_gaps_at_bad_moments),
        cmocka_unit_test(test_short_streams),
        cmocka_unit_test(test_dc),
        cmocka_unit_test(test_image),
        cmocka_unit_test(test_no_image),
        cmocka_unit_test(test_clip_ratio),
        cmocka_unit_test(test_bad_rates),
        cmocka_unit_test(test_frame_size),
    };

    return cmocka_run_group_tests_name("front", tests, NULL, NULL);
}
