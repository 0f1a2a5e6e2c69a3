/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Channels cut out of the history of spectra: frequency, amplitude, phase and time */

#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "listen.h"
#include "signal.h"

#define RATE 2.4e6
#define N    60000
#define MAX  20000

static float complex x[N];
static float complex y[MAX];
static struct listen l;

struct channel {
    double centre_hz, bandwidth_hz, min_rate_hz;
};

static const struct channel channels[] = {
    {0.0, 500e3, 0.0},        {-612345.0, 500e3, 1.0e6}, {900e3, 500e3, 1.5e6},
    {333333.3, 125e3, 250e3}, {-1000e3, 60e3, 0.0},      {100.0, 812.5e3, 1.625e6},
    {0.0, 1800e3, 2.4e6},
};
#define N_CHANNELS (sizeof(channels) / sizeof(channels[0]))

static size_t cut(const struct channel *c, uint64_t start, uint64_t stop, double *ret_start,
                  double *ret_rate) {
    const size_t n = uw_front_cut(l.front, start, stop, c->centre_hz, c->bandwidth_hz,
                                  c->min_rate_hz, y, MAX, ret_start, ret_rate);

    if (n > 0) {
        assert_true(n <= MAX);
        assert_true(*ret_rate >= c->min_rate_hz - 1e-6 && *ret_rate <= RATE + 1e-6);
        assert_true(*ret_rate >= c->bandwidth_hz);
    }
    return n;
}

static void listen_to_x(void) {
    listen_begin(&l, RATE, 0.0);
    listen_push(&l, x, N);
}

/* A tone anywhere in the flat part: the right frequency, +-0.2 dB and 2 degrees in every sample. */
static void test_tone(void **state) {
    uint64_t random = 31;

    (void)state;
    for (size_t i = 0; i < 4 * N_CHANNELS; ++i) {
        const struct channel *c = &channels[i % N_CHANNELS];
        const double f = c->centre_hz + (signal_uniform(&random) - 0.5) * 0.98 * c->bandwidth_hz;
        const uint64_t start = 1000 + signal_random(&random) % 20000;
        double first, rate;
        double complex reference = 0.0;
        double worst_db = 0.0;
        double worst_deg = 0.0;

        for (size_t k = 0; k < N; ++k)
            x[k] = 0.5f * signal_turn(f / RATE * (double)k);
        listen_to_x();
        const size_t n = cut(c, start, start + 15000, &first, &rate);
        assert_true(fabs((double)n - 15000 * rate / RATE) <= 1.0);
        assert_true(first <= (double)start && first > (double)start - RATE / rate);
        for (size_t m = 0; m < n; ++m) {
            const double at = first + (double)m * RATE / rate;
            /* what the channel's own oscillator did since sample `first` is taken back */
            const double turns = f / RATE * at - c->centre_hz / RATE * ((double)m * RATE / rate);
            const double complex z =
                (double complex)y[m] * conj((double complex)signal_turn(turns));

            if (m == 0)
                reference = z / cabs(z);
            worst_db = fmax(worst_db, fabs(20.0 * log10(cabs(z) / 0.5)));
            worst_deg = fmax(worst_deg, fabs(carg(z / reference)) * 180.0 / SIGNAL_PI);
        }
        print_message("channel %zu at %.0f: %.3f dB %.2f degrees\n", i % N_CHANNELS, f, worst_db,
                      worst_deg);
        /* a narrow channel's slope is short, its impulse response longer than the overlap */
        assert_true(worst_db < (c->bandwidth_hz < 100e3 ? 0.4 : 0.2) && worst_deg < 2.0);
        listen_end(&l);
    }
}

/* Two cuts that overlap agree but for one constant phase: pieces may be cut at will. */
static void test_pieces_agree(void **state) {
    static float complex other[MAX];
    uint64_t random = 32;

    (void)state;
    signal_noise(x, N, 0.01, &random);
    listen_to_x();
    for (size_t i = 0; i < N_CHANNELS; ++i) {
        double first, rate, first2, rate2;
        double complex sum = 0.0;
        double power = 0.0;
        double power2 = 0.0;
        const size_t n = cut(&channels[i], 5000, 20000, &first, &rate);

        for (size_t m = 0; m < n; ++m)
            other[m] = y[m];
        const size_t n2 = cut(&channels[i], 7777, 20000, &first2, &rate2);
        assert_true(rate == rate2 && n2 < n);
        const double apart = (first2 - first) * rate / RATE;
        assert_true(fabs(apart - round(apart)) < 1e-6);
        for (size_t m = 0; m < n2 && m + (size_t)lround(apart) < n; ++m) {
            const double complex p = (double complex)other[m + (size_t)lround(apart)];
            const double complex q = (double complex)y[m];

            sum += p * conj(q);
            power += creal(p * conj(p));
            power2 += creal(q * conj(q));
        }
        assert_true(cabs(sum) / sqrt(power * power2) > 1.0 - 1e-6);
    }
    listen_end(&l);
}

/* Tones beyond the slope: what frames without a window and a response cut to the overlap leave. */
static void test_stop_band(void **state) {
    (void)state;
    listen_begin(&l, RATE, 0.0);
    const double bin_hz = RATE / (double)uw_front_n_fft(l.front);
    listen_end(&l);
    for (size_t i = 0; i < N_CHANNELS; ++i) {
        const struct channel *c = &channels[i];
        /* slope: a quarter of half the width, at least 8 bins; four bins on, between two bins */
        const double slope = fmax(0.125 * c->bandwidth_hz, 8.0 * bin_hz) + 4.37 * bin_hz;
        const double f =
            c->centre_hz + (c->centre_hz > 0.0 ? -1.0 : 1.0) * (0.5 * c->bandwidth_hz + slope);
        double first, rate;
        double worst = 0.0;

        if (c->bandwidth_hz > 1e6)
            continue; /* no room beside it */
        for (size_t k = 0; k < N; ++k)
            x[k] = 0.5f * signal_turn(f / RATE * (double)k);
        listen_to_x();
        const size_t n = cut(c, 5000, 15000, &first, &rate);
        assert_true(n > 0);
        for (size_t m = 0; m < n; ++m)
            worst = fmax(worst, (double)cabsf(y[m]));
        print_message("channel %zu: %.1f dB beyond the slope\n", i, 20.0 * log10(worst / 0.5));
        assert_true(20.0 * log10(worst / 0.5) < -25.0);
        listen_end(&l);
    }
}

/* The time of sample m is *ret_start + m * ratio: an impulse's peak, by the centre of its energy,
 * to a quarter of an output sample; anywhere in a frame. */
static void test_impulse(void **state) {
    uint64_t random = 33;

    (void)state;
    for (size_t i = 0; i < 20 * N_CHANNELS; ++i) {
        const struct channel *c = &channels[i % N_CHANNELS];
        const size_t at = 10000 + signal_random(&random) % 10000;
        const uint64_t start = at - 700 - signal_random(&random) % 600;
        double first, rate;
        double moment = 0.0;
        double energy = 0.0;

        for (size_t k = 0; k < N; ++k)
            x[k] = k == at ? 0.9f : 0.0f;
        listen_to_x();
        const size_t n = cut(c, start, start + 4000, &first, &rate);
        assert_true(n > 0);
        for (size_t m = 0; m < n; ++m) {
            const double e = (double)(crealf(y[m]) * crealf(y[m]) + cimagf(y[m]) * cimagf(y[m]));

            energy += e;
            moment += e * (double)m;
        }
        const double heard = first + moment / energy * RATE / rate;
        assert_true(fabs(heard - (double)at) < 0.25 * RATE / rate);
        listen_end(&l);
    }
}

/* What is not in the history comes back as nothing; a part of it as that part. */
static void test_out_of_history(void **state) {
    const struct channel *c = &channels[1];
    uint64_t random = 34;
    double first, rate;

    (void)state;
    listen_begin(&l, RATE, 0.0);
    assert_int_equal(cut(c, 0, 1000, &first, &rate), 0);
    signal_noise(x, N, 0.01, &random);
    for (int i = 0; i < 25; ++i) /* 0.625 s, more than is kept */
        listen_push(&l, x, N);
    const uint64_t end = uw_front_samples(l.front);
    assert_int_equal(cut(c, 1000, 30000, &first, &rate), 0);
    assert_int_equal(cut(c, end + 1, end + 5000, &first, &rate), 0);
    assert_int_equal(cut(c, end + 1000000, end + 2000000, &first, &rate), 0);
    assert_int_equal(cut(c, end - 9000, end - 9000, &first, &rate), 0);
    /* the newest: cut off at the last whole frame */
    size_t n = cut(c, end - 5000, end + 5000, &first, &rate);
    assert_true(n > 0 && first + (double)n * RATE / rate <= (double)end);
    assert_true(first + (double)n * RATE / rate > (double)end - 1024.0);
    /* the oldest half a second: begins later than asked */
    n = cut(c, end - (uint64_t)(0.55 * RATE), end - (uint64_t)(0.495 * RATE), &first, &rate);
    assert_true(n > 0 && first > (double)end - 0.51 * RATE);
    assert_true(fabs(first + (double)n * RATE / rate - ((double)end - 0.495 * RATE)) <
                2.0 * RATE / rate);
    listen_end(&l);
}

/* Across a gap nothing is made up: what was before it is out of reach, what comes after is right.
 */
static void test_gap(void **state) {
    const struct channel *c = &channels[1];
    double first, rate;
    size_t best = 0;

    (void)state;
    for (size_t k = 0; k < N; ++k)
        x[k] = k == 40000 ? 0.9f : 0.0f;
    listen_begin(&l, RATE, 0.0);
    listen_push(&l, x, 30000);
    uw_front_gap(l.front, 777);
    listen_push(&l, x + 30000, N - 30000);
    assert_int_equal(cut(c, 10000, 20000, &first, &rate), 0);
    const size_t n = cut(c, 40000, 41500, &first, &rate);
    for (size_t m = 0; m < n; ++m) {
        if (cabsf(y[m]) > cabsf(y[best]))
            best = m;
    }
    assert_true(fabs(first + (double)best * RATE / rate - 40777.0) <= RATE / rate);
    listen_end(&l);
}

/* Cuts of two signals and of their sum: what the sum has more is what the history's 16 bits take
 * away. A strong carrier elsewhere in the band must not cost a weak signal anything. */
static void test_precision(void **state) {
    static float complex strong[MAX], weak[MAX];
    uint64_t random = 35;

    (void)state;
    for (size_t i = 0; i < N_CHANNELS; ++i) {
        const struct channel *c = &channels[i];
        const double f = c->centre_hz > 0.0 ? -1.1e6 : 1.1e6;
        double first, rate;
        double error = 0.0;
        double power = 0.0;
        size_t n = 0;

        if (c->bandwidth_hz > 1e6)
            continue; /* holds the carrier */
        for (int part = 0; part < 3; ++part) {
            random = 35;
            signal_noise(x, N, part == 0 ? 0.0 : 1e-5, &random);
            for (size_t k = 0; part != 1 && k < N; ++k)
                x[k] += 0.9f * signal_turn(f / RATE * (double)k);
            listen_to_x();
            n = cut(c, 5000, 20000, &first, &rate);
            for (size_t m = 0; m < n && part < 2; ++m)
                (part == 0 ? strong : weak)[m] = y[m];
            listen_end(&l);
        }
        assert_true(n > 0);
        for (size_t m = 0; m < n; ++m) {
            const double d = (double)cabsf(y[m] - strong[m] - weak[m]);

            error += d * d;
            power += (double)(cabsf(weak[m]) * cabsf(weak[m]));
        }
        print_message("channel %zu: %.1f dB\n", i, 10.0 * log10(power / error));
        assert_true(10.0 * log10(power / error) > 60.0);
    }
}

/* In pieces of any size a cut is the same as at once; what is written ends where it says. */
static void test_read_in_pieces(void **state) {
    static float complex whole[MAX];
    uint64_t random = 36;

    (void)state;
    signal_noise(x, N, 0.01, &random);
    listen_to_x();
    for (size_t i = 0; i < N_CHANNELS; ++i) {
        const struct channel *c = &channels[i];
        struct uw_front_cut piece;
        double first, rate;
        size_t done = 0;
        const size_t n = cut(c, 5100, 20000, &first, &rate);

        for (size_t m = 0; m < n; ++m)
            whole[m] = y[m];
        assert_true(uw_front_cut_begin(l.front, 5100, 20000, c->centre_hz, c->bandwidth_hz,
                                       c->min_rate_hz, &piece));
        assert_true(piece.n == n && piece.start == first && piece.rate_hz == rate);
        assert_true(rate == uw_front_cut_rate(l.front, c->bandwidth_hz, c->min_rate_hz));
        while (done < n) {
            const size_t want = 1 + signal_random(&random) % 700;

            y[want] = 77.0f;
            const size_t m = uw_front_cut_read(l.front, &piece, y, want);
            assert_true(m == (want < n - done ? want : n - done) && y[want] == 77.0f);
            for (size_t k = 0; k < m; ++k)
                assert_true(cabsf(y[k] - whole[done + k]) < 1e-6f);
            done += m;
        }
        assert_int_equal(uw_front_cut_read(l.front, &piece, y, 10), 0);
        assert_false(uw_front_cut_begin(l.front, N + 5000, N + 6000, 0.0, 5e5, 0.0, &piece));
    }
    listen_end(&l);
}

/* Two samples a chip, without resampling, for the LoRa bandwidths that make whole bins. */
static void test_lora_rates(void **state) {
    (void)state;
    listen_begin(&l, RATE, 0.0);
    assert_true(uw_front_cut_rate(l.front, 1.2 * 125e3, 250e3) == 250e3);
    assert_true(uw_front_cut_rate(l.front, 1.2 * 250e3, 500e3) == 500e3);
    assert_true(uw_front_cut_rate(l.front, 1.2 * 500e3, 1e6) == 1e6);
    listen_end(&l);
    listen_begin(&l, 10e6, 0.0);
    assert_true(uw_front_cut_rate(l.front, 1.2 * 812.5e3, 1.625e6) == 1.625e6);
    listen_end(&l);
}

/* Room for whoever asked for most. */
static void test_scratch(void **state) {
    (void)state;
    listen_begin(&l, RATE, 0.0);
    assert_int_equal(uw_front_reserve(l.front, 1000), 0);
    assert_int_equal(uw_front_reserve(l.front, 7654321), 0);
    assert_int_equal(uw_front_reserve(l.front, 2000), 0);
    assert_true((uintptr_t)uw_front_scratch(l.front) % 64 == 0);
    memset(uw_front_scratch(l.front), 0x55, 7654321);
    listen_end(&l);
}

/* Power in parts of the band, lowest frequency first. */
static void test_parts(void **state) {
    double parts[4];
    uint64_t sample = 0;

    (void)state;
    for (size_t k = 0; k < N; ++k)
        x[k] = 0.5f * signal_turn(-0.4375 * (double)k) + 0.1f * signal_turn(0.3125 * (double)k);
    listen_begin(&l, RATE, 0.0);
    assert_false(uw_front_parts(l.front, &sample, 4, parts));
    listen_push(&l, x, N);
    sample = 5001;
    assert_true(uw_front_parts(l.front, &sample, 4, parts));
    assert_true(sample >= 5001 && sample < 5001 + uw_front_hop(l.front));
    assert_true(sample % uw_front_hop(l.front) == 0);
    assert_true(fabs(parts[0] - 0.25) < 1e-4 && fabs(parts[3] - 0.01) < 1e-4);
    assert_true(parts[1] < 1e-5 && parts[2] < 1e-5);
    /* some of them: the same, and no others are touched */
    double some[2] = {NAN, NAN};
    uint64_t again = 5001;
    assert_true(uw_front_some_parts(l.front, &again, 4, 3, 1, some));
    assert_true(again == sample && some[0] == parts[3] && isnan(some[1]));
    assert_false(uw_front_some_parts(l.front, &again, 4, 3, 2, some));
    sample = N + 1;
    assert_false(uw_front_parts(l.front, &sample, 4, parts));
    listen_end(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tone),           cmocka_unit_test(test_pieces_agree),
        cmocka_unit_test(test_stop_band),      cmocka_unit_test(test_impulse),
        cmocka_unit_test(test_out_of_history), cmocka_unit_test(test_gap),
        cmocka_unit_test(test_parts),          cmocka_unit_test(test_precision),
        cmocka_unit_test(test_read_in_pieces), cmocka_unit_test(test_lora_rates),
        cmocka_unit_test(test_scratch),
    };

    return cmocka_run_group_tests_name("front-cut", tests, NULL, NULL);
}
