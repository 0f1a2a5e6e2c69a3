/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A front end that is moved between centres: what it knows of each, and what does not carry over */

#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "listen.h"
#include "signal.h"

#define RATE  1e6
#define VISIT 300000 /* samples: 0.3 s */
#define NOISE 1e-4

static float complex x[VISIT];
static struct listen l;

static void begin(size_t n_centres, double first_hz) {
    static const struct uw_front_ops ops = {.burst = listen_burst, .progress = listen_progress};
    struct uw_front_config config;

    memset(&l, 0, sizeof(l));
    uw_front_config_init(&config);
    config.rate_hz = RATE;
    config.format = UW_IQ_CF32;
    config.n_centres = n_centres;
    config.freq_hz = first_hz;
    assert_int_equal(uw_front_new(&config, &ops, &l, &l.front), 0);
}

/* Noise of this power, with a tone over [from, to) that stands 30 dB over it in its bin. */
static void visit(uint64_t seed, double power, size_t from, size_t to) {
    signal_noise(x, VISIT, power, &seed);
    signal_add_tone(x, from, to, sqrt(power), 0.11);
    listen_push(&l, x, VISIT);
}

/* A signal that is on for the first 95 ms of a visit is a burst at a centre that is known, and part
 * of the floor at one that has to be learned. */
static void come_back(size_t n_centres, bool heard) {
    size_t before;
    double longest = 0.0;

    begin(n_centres, 915e6);
    visit(1, NOISE, 0, 0);
    uw_front_retune(l.front, 434e6, 0);
    visit(2, 100.0 * NOISE, 0, 0);
    uw_front_retune(l.front, 915e6, 5000);
    before = l.n;
    visit(3, NOISE, 0, 95000);
    listen_end(&l);
    for (size_t i = before; i < l.n; ++i)
        longest = fmax(longest, (double)(l.bursts[i].stop - l.bursts[i].start) / RATE);
    if (heard)
        assert_true(longest > 0.09 && longest < 0.1);
    else
        assert_true(longest < 0.05);
}

static void test_known_centre(void **state) {
    (void)state;
    come_back(2, true);
}

static void test_forgotten_centre(void **state) {
    (void)state;
    come_back(1, false);
}

/* The place that was left longest ago gives way. */
static void test_oldest_gives_way(void **state) {
    (void)state;
    begin(2, 1e9);
    visit(1, NOISE, 0, 0);
    uw_front_retune(l.front, 2e9, 0);
    visit(2, 100.0 * NOISE, 0, 0);
    uw_front_retune(l.front, 3e9, 0); /* in the place of 1e9 */
    visit(3, 1e4 * NOISE, 0, 0);
    assert_true(fabs(uw_front_noise_dbfs(l.front) - 10.0 * log10(1e4 * NOISE)) < 0.5);
    uw_front_retune(l.front, 2e9, 0);
    assert_true(fabs(uw_front_noise_dbfs(l.front) - 10.0 * log10(100.0 * NOISE)) < 0.5);
    uw_front_retune(l.front, 1e9, 0);
    assert_true(isnan(uw_front_noise_dbfs(l.front))); /* not learned yet */
    listen_end(&l);
}

/* A step of the noise by 20 dB is no burst when it comes with the centre; a tone that ends with the
 * visit ends there, and the next visit's samples follow the gap. */
static void test_nothing_carries_over(void **state) {
    (void)state;
    begin(2, 1e9);
    visit(1, NOISE, 290000, VISIT);
    assert_int_equal(uw_front_samples(l.front), VISIT);
    uw_front_retune(l.front, 2e9, 7000);
    assert_int_equal(uw_front_samples(l.front), VISIT + 7000);
    assert_int_equal(l.n, 1);
    assert_true(fabs((double)l.bursts[0].stop - VISIT) < 500.0);
    visit(2, 100.0 * NOISE, 200000, 210000);
    listen_end(&l);
    assert_int_equal(l.n, 2);
    assert_true(fabs((double)l.bursts[1].start - (VISIT + 7000 + 200000)) < 500.0);
}

/* A tone of 50 ms that loses n samples in its middle: one burst, or two. */
static void lose(uint64_t n, size_t bursts) {
    uint64_t seed = 4;

    begin(1, NAN);
    signal_noise(x, VISIT, NOISE, &seed);
    signal_add_tone(x, 200000, 250000, sqrt(NOISE), 0.11);
    listen_push(&l, x, 225000);
    uw_front_gap(l.front, n);
    listen_push(&l, x + 225000, VISIT - 225000);
    listen_end(&l);
    assert_int_equal(l.n, bursts);
    assert_true(fabs((double)l.bursts[0].start - 200000.0) < 500.0);
    assert_true(fabs((double)l.bursts[bursts - 1].stop - (250000.0 + (double)n)) < 500.0);
    assert_true(l.bursts[0].snr_db > 15.0);
}

static void test_holes_are_bridged(void **state) {
    (void)state;
    lose(100, 1);
    lose(1000, 1);
    lose(3900, 1);
    lose(6000, 2);
}

/* Over a hole in the noise nothing is heard, and the floor stays where it was. */
static void test_holes_make_no_bursts(void **state) {
    uint64_t seed = 5;
    double before;

    (void)state;
    begin(1, NAN);
    signal_noise(x, VISIT, NOISE, &seed);
    listen_push(&l, x, 150000);
    before = uw_front_noise_dbfs(l.front);
    for (size_t at = 150000; at < VISIT; at += 5000) {
        uw_front_gap(l.front, 2500);
        listen_push(&l, x + at, 5000);
    }
    assert_true(fabs(uw_front_noise_dbfs(l.front) - before) < 0.3);
    listen_end(&l);
    assert_int_equal(l.n, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_centre),      cmocka_unit_test(test_forgotten_centre),
        cmocka_unit_test(test_oldest_gives_way),  cmocka_unit_test(test_nothing_carries_over),
        cmocka_unit_test(test_holes_are_bridged), cmocka_unit_test(test_holes_make_no_bursts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
