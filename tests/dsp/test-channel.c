/* SPDX-License-Identifier: GPL-3.0-or-later */

/* One channel as samples, one a chip of every frame and two a chip out of the history: frequency,
 * level, phase and time over many frames; and the band's edges */

#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "listen.h"
#include "signal.h"
#include "uw/dsp/channel.h"
#include "uw/dsp/fft.h"
#include "uw/dsp/front.h"

#define RATE     2.4e6
#define N_FFT    384
#define FRAMES   40
#define N        (N_FFT + (FRAMES - 1) * N_FFT * 3 / 4)
#define OUT_MAX  (FRAMES * N_FFT)
#define DEGREES  (180.0 / SIGNAL_PI)
#define FLAT_DB  0.2
#define PHASE_OF 1.0 /* degrees */

static float complex x[N];
static float complex y[OUT_MAX];

struct layout {
    double centre_hz, bandwidth_hz, slack_hz, chip_hz;
};

/* Centres on bins of all remainders by four, and off them; rates that suit 2.4 MHz, and one of
 * which chips are every second sample. */
static const struct layout layouts[] = {
    {0.0, 500e3, 30e3, 500e3},      {6250.0, 500e3, 30e3, 500e3},    {-12500.0, 500e3, 30e3, 500e3},
    {18750.0, 500e3, 30e3, 500e3},  {-612345.0, 500e3, 30e3, 500e3}, {853210.0, 500e3, 30e3, 500e3},
    {333333.3, 125e3, 7500, 125e3}, {-1000e3, 250e3, 15e3, 250e3},   {100.0, 1100e3, 0.0, 1.2e6},
};
#define N_LAYOUTS (sizeof(layouts) / sizeof(layouts[0]))

static struct uw_channel *new_channel(const struct layout *l) {
    struct uw_channel *channel = NULL;

    assert_int_equal(uw_channel_new(N_FFT, RATE, l->centre_hz, l->bandwidth_hz, l->slack_hz,
                                    l->chip_hz, &channel),
                     0);
    return channel;
}

/* All frames of x through the channel, one sample a chip. */
static size_t run_chips(struct uw_channel *channel) {
    const size_t chips = uw_channel_chips(channel);
    float re[N_FFT], im[N_FFT];
    struct uw_fft *fft = NULL;

    assert_true(FRAMES * chips <= OUT_MAX);
    assert_int_equal(uw_fft_new(N_FFT, &fft), 0);
    for (size_t f = 0; f < FRAMES; ++f) {
        memcpy(uw_fft_buffer(fft), x + f * N_FFT * 3 / 4, N_FFT * sizeof(*x));
        uw_fft_run(fft);
        uw_channel_run(channel, uw_fft_buffer(fft), f, re, im);
        for (size_t i = 0; i < chips; ++i)
            y[f * chips + i] = re[i] + I * im[i];
    }
    uw_fft_free(fft);
    return FRAMES * chips;
}

static struct uw_front *new_front(void) {
    static struct listen listen;

    listen_begin(&listen, RATE, 0.0);
    assert_int_equal(uw_front_n_fft(listen.front), N_FFT);
    assert_int_equal(uw_front_hop(listen.front), N_FFT * 3 / 4);
    return listen.front;
}

/* The same out of a front end's history, two samples a chip. Before a tenth of a second has gone it
 * takes nothing out but DC. */
static size_t run_cut(struct uw_channel *channel) {
    struct uw_front *front = new_front();
    const size_t n = FRAMES * 2 * uw_channel_chips(channel);

    assert_true(n <= OUT_MAX);
    for (size_t k = 0; k < N; k += 1000)
        uw_front_push(front, x + k, k + 1000 < N ? 1000 : N - k);
    assert_true(uw_channel_cut(channel, front, 0, FRAMES, y));
    uw_front_free(front);
    return n;
}

/* Samples a chip, and the number of samples in y. */
static size_t run(struct uw_channel *channel, int rate) {
    return rate == 1 ? run_chips(channel) : run_cut(channel);
}

static double power_of(const float complex *z, size_t n) {
    double sum = 0.0;

    for (size_t i = 0; i < n; ++i)
        sum += (double)(crealf(z[i]) * crealf(z[i]) + cimagf(z[i]) * cimagf(z[i]));
    return sum / (double)n;
}

/* Against an ideal oscillator at f less the stream's own centre, every sample of y: the worst
 * departure in level and, from the first sample on, in phase. */
static void compare(struct uw_channel *channel, const struct layout *l, int rate, double f,
                    double amplitude, double *ret_db, double *ret_degrees) {
    const double own = l->centre_hz + uw_channel_residual_hz(channel);
    const size_t n = run(channel, rate);
    double complex reference = 0.0;

    *ret_db = 0.0;
    *ret_degrees = 0.0;
    for (size_t i = 0; i < n; ++i) {
        const double complex z =
            (double complex)y[i] *
            conj((double complex)signal_turn((f - own) / (rate * l->chip_hz) * (double)i));

        if (i == 0)
            reference = z / cabs(z);
        *ret_db = fmax(*ret_db, fabs(20.0 * log10(cabs(z) / amplitude)));
        *ret_degrees = fmax(*ret_degrees, fabs(carg(z / reference)) * DEGREES);
    }
}

/* A tone anywhere in the flat part, at any phase to the bins: right frequency, level and phase in
 * every sample of every frame, so that nothing happens at the joints. */
static void test_tone(void **state) {
    uint64_t random = 41;

    (void)state;
    for (size_t i = 0; i < 12 * N_LAYOUTS; ++i) {
        const struct layout *l = &layouts[i % N_LAYOUTS];
        const int rate = 1 + (int)(i / N_LAYOUTS % 2);
        struct uw_channel *channel = new_channel(l);
        const double half = 0.5 * l->bandwidth_hz + l->slack_hz;
        double f = l->centre_hz + (2.0 * signal_uniform(&random) - 1.0) * half;
        double db, degrees;

        /* a front end takes out what is DC of a tone: of one on a bin nothing */
        if (rate == 2)
            f = trunc(f * N_FFT / RATE) * RATE / N_FFT;

        assert_true(fabs(uw_channel_residual_hz(channel)) <= 0.5 * RATE / N_FFT + 1e-6);
        assert_int_equal(uw_channel_chips(channel) * 4, N_FFT * 3 * l->chip_hz / RATE);
        if (fabs(f) < 0.5 * RATE - 60e3 && (rate == 1 || f != 0.0)) {
            for (size_t k = 0; k < N; ++k)
                x[k] = 0.5f * signal_turn(f / RATE * (double)k + 0.3);
            compare(channel, l, rate, f, 0.5, &db, &degrees);
            print_message("layout %zu, %d a chip, at %.0f: %.3f dB %.2f degrees\n", i % N_LAYOUTS,
                          rate, f, db, degrees);
            assert_true(db < FLAT_DB && degrees < PHASE_OF);
        }
        uw_channel_free(channel);
    }
}

/* What has been cut at two samples a chip is, every second one, what was there at one, to what 16
 * bits keep; whatever frame it begins with but for a turn. */
static void test_both(void **state) {
    static float complex chips[OUT_MAX];
    uint64_t random = 44;

    (void)state;
    signal_noise(x, N, 0.1, &random);
    for (size_t i = 0; i < N_LAYOUTS; ++i) {
        struct uw_channel *channel = new_channel(&layouts[i]);
        struct uw_front *front = new_front();
        const size_t n = uw_channel_chips(channel);
        double energy = 0.0;
        double off = 0.0;

        run_chips(channel);
        memcpy(chips, y, FRAMES * n * sizeof(*y));
        uw_front_push(front, x, N);
        for (size_t first = 0; first < 4; ++first) {
            const float complex turn[4] = {1.0f, I, -1.0f, -I};
            float complex best = 0.0f;

            assert_true(uw_channel_cut(channel, front, first * N_FFT * 3 / 4, FRAMES - first, y));
            for (size_t k = 0; k < 4; ++k) {
                if (cabsf(y[40] * turn[k] - chips[first * n + 20]) <
                    cabsf(y[40] * best - chips[first * n + 20]))
                    best = turn[k];
            }
            for (size_t k = 0; k < (FRAMES - first) * n; ++k) {
                energy += power_of(&chips[first * n + k], 1);
                off += power_of(&(float complex){y[2 * k] * best - chips[first * n + k]}, 1);
            }
        }
        print_message("layout %zu: %.1f dB apart\n", i, 10.0 * log10(off / energy));
        /* DC is the mean of what has been, and no longer there */
        assert_true(off < energy * (fabs(layouts[i].centre_hz) < 400e3 ? 1e-2 : 1e-6));
        uw_front_free(front);
        uw_channel_free(channel);
    }
}

/* What the history does not hold is refused: not there yet, no frame's begin, behind a gap. */
static void test_history(void **state) {
    struct uw_channel *channel = new_channel(&layouts[4]);
    struct uw_front *front = new_front();
    const uint64_t hop = N_FFT * 3 / 4;

    (void)state;
    memset(x, 0, sizeof(x));
    assert_false(uw_channel_cut(channel, front, 0, 1, y));
    uw_front_push(front, x, N);
    assert_true(uw_channel_cut(channel, front, 0, FRAMES, y));
    assert_true(uw_channel_cut(channel, front, (FRAMES - 1) * hop, 1, y));
    assert_false(uw_channel_cut(channel, front, (FRAMES - 1) * hop, 2, y));
    assert_false(uw_channel_cut(channel, front, FRAMES * hop, 1, y));
    assert_false(uw_channel_cut(channel, front, 1, 1, y));
    assert_false(uw_channel_cut(channel, front, UINT64_MAX, 1, y));
    uw_front_gap(front, 1000000);
    uw_front_push(front, x, N);
    assert_false(uw_channel_cut(channel, front, 0, 1, y));
    assert_false(uw_channel_cut(channel, front, (FRAMES - 1) * hop, 1, y));
    assert_true(uw_channel_cut(channel, front, N + 1000000, FRAMES, y));
    for (size_t n = 0; (double)n < uw_front_history_s(front) * RATE; n += N)
        uw_front_push(front, x, N);
    assert_false(uw_channel_cut(channel, front, N + 1000000, 1, y));
    uw_front_free(front);
    uw_channel_free(channel);
}

/* Output sample m lies at input sample n_fft / 8 + m * rate / output rate: the centre of an
 * impulse's energy, anywhere in a frame, to a quarter of an output sample; to half a chip where
 * what is beyond the rate folds. */
static void test_time(void **state) {
    uint64_t random = 43;

    (void)state;
    for (size_t i = 0; i < 10 * N_LAYOUTS; ++i) {
        const struct layout *l = &layouts[i % N_LAYOUTS];
        struct uw_channel *channel = new_channel(l);
        const size_t at = N / 4 + signal_random(&random) % (N / 2);
        /* the front end takes DC out, also what an impulse has of it */
        const int rate = fabs(l->centre_hz) > l->bandwidth_hz ? 1 + (int)(i / N_LAYOUTS % 2) : 1;
        const double ratio = RATE / (rate * l->chip_hz);
        double energy = 0.0;
        double moment = 0.0;

        memset(x, 0, sizeof(x));
        x[at] = 1.0f;
        const size_t n = run(channel, rate);
        for (size_t m = 0; m < n; ++m) {
            const double e = power_of(&y[m], 1);

            energy += e;
            moment += e * (double)m;
        }
        const double off = N_FFT / 8 + moment / energy * ratio - (double)at;
        print_message("layout %zu, %d a chip: %.2f samples off of %.2f\n", i % N_LAYOUTS, rate, off,
                      ratio);
        assert_true(fabs(off) < (rate == 1 ? 0.5 : 0.25) * ratio);
        uw_channel_free(channel);
    }
}

/* Tones well beyond the slope: what the frames' rectangular window leaves of them. */
static void test_stop_band(void **state) {
    (void)state;
    for (size_t i = 0; i < 2 * N_LAYOUTS; ++i) {
        const struct layout *l = &layouts[i % N_LAYOUTS];
        const int rate = 1 + (int)(i / N_LAYOUTS);
        struct uw_channel *channel = new_channel(l);
        const double away = 0.5 * l->bandwidth_hz + l->slack_hz + 60e3 + 30e3;
        const double f = l->centre_hz + (l->centre_hz > 0.0 ? -away : away);

        for (size_t k = 0; k < N; ++k)
            x[k] = 0.5f * signal_turn(f / RATE * (double)k);
        const size_t n = run(channel, rate);
        const double db = 10.0 * log10(power_of(y, n) / 0.25);
        print_message("layout %zu, %d a chip: %.1f dB beyond the slope\n", i % N_LAYOUTS, rate, db);
        assert_true(db < -50.0);
        uw_channel_free(channel);
    }
}

/* A channel that reaches over the end of the band: tones on bins of the other end, which lie where
 * the channel's missing bins would be, leave nothing but rounding; its own part passes. */
static void test_band_edge(void **state) {
    (void)state;
    for (int side = -1; side <= 1; side += 2) {
        const struct layout l = {side * 1.1e6, 500e3, 30e3, 500e3};
        struct uw_channel *channel = new_channel(&l);
        double db, degrees;

        for (int bin = 1; bin < 50; ++bin) {
            const double turns = -side * (0.5 - (double)bin / N_FFT);

            for (size_t k = 0; k < N; ++k)
                x[k] = 0.9f * signal_turn(turns * (double)k);
            const size_t n = run(channel, 1);
            assert_true(10.0 * log10(power_of(y, n) / 0.81 + 1e-30) < -100.0);
        }
        const double f = side * (1.1e6 - 100e3);
        for (size_t k = 0; k < N; ++k)
            x[k] = 0.5f * signal_turn(f / RATE * (double)k);
        for (int rate = 1; rate <= 2; ++rate) {
            compare(channel, &l, rate, f, 0.5, &db, &degrees);
            assert_true(db < FLAT_DB && degrees < PHASE_OF);
        }
        uw_channel_free(channel);
    }
}

/* Sizes that do not fit are refused and leave the pointer alone; those that do fit are taken. */
static void test_sizes(void **state) {
    static const struct {
        size_t n_fft;
        double rate_hz, bandwidth_hz, chip_hz;
        int result;
        bool suits;
    } cases[] = {
        {384, 2.4e6, 20e3, 500e3, 0, true},
        {384, 2.4e6, 20e3, 125e3, 0, true},
        {384, 2.4e6, 20e3, 1.2e6, 0, true},
        {320, 2.0e6, 20e3, 500e3, 0, true},
        {384, 2.4e6, 20e3, 505e3, UW_CHANNEL_E_RATE, false},
        {384, 2.4e6, 20e3, 487.5e3, UW_CHANNEL_E_RATE, false}, /* 156 bins: no multiple of 8 */
        {384, 2.4e6, 20e3, 12.5e3, UW_CHANNEL_E_RATE, false},  /* 4 bins */
        {384, 2.4e6, 20e3, 25e3, UW_CHANNEL_E_RATE, true}, /* a slope that folds onto the centre */
        {384, 2.4e6, 600e3, 125e3, UW_CHANNEL_E_RATE, true}, /* wider than the chips */
        {384, 2.4e6, 20e3, 0.0, UW_CHANNEL_E_RATE, false},
        {384, 2.4e6, 20e3, NAN, UW_CHANNEL_E_RATE, false},
        {384, 2.4e6, 20e3, 1.225e6, UW_CHANNEL_E_RATE, true},
        {512, 2.56e6, 20e3, 500e3, 0, true},
        {384, 2.048e6, 20e3, 500e3, UW_CHANNEL_E_RATE, false},
        {512, 3.2e6, 20e3, 500e3, 0, true},
        {400, 2.4e6, 20e3, 500e3, UW_CHANNEL_E_RATE, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        struct uw_channel *channel = NULL;
        const int r = uw_channel_new(cases[i].n_fft, cases[i].rate_hz, 0.0, cases[i].bandwidth_hz,
                                     1e3, cases[i].chip_hz, &channel);
        const bool suits = uw_channel_suits(cases[i].n_fft, cases[i].rate_hz, cases[i].chip_hz);

        if (r != cases[i].result)
            print_message("case %zu: %d\n", i, r);
        assert_int_equal(r, cases[i].result);
        assert_true((channel != NULL) == (r == 0));
        assert_true(suits == cases[i].suits);
        assert_null(uw_channel_free(channel));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tone),      cmocka_unit_test(test_both),
        cmocka_unit_test(test_history),   cmocka_unit_test(test_time),
        cmocka_unit_test(test_stop_band), cmocka_unit_test(test_band_edge),
        cmocka_unit_test(test_sizes),
    };

    return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
