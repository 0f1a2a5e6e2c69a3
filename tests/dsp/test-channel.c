/* SPDX-License-Identifier: GPL-3.0-or-later */

/* One channel as a stream: frequency, level, phase and time over many frames; and the band's edges
 */

#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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
    double centre_hz, bandwidth_hz, slack_hz, out_rate_hz;
};

/* Centres on bins of all remainders by four, and off them; all rates that suit 2.4 MHz. */
static const struct layout layouts[] = {
    {0.0, 500e3, 30e3, 1.0e6},      {6250.0, 500e3, 30e3, 1.0e6},  {-12500.0, 500e3, 30e3, 1.0e6},
    {18750.0, 500e3, 30e3, 1.0e6},  {-612345.0, 500e3, 30e3, 1e6}, {853210.0, 500e3, 30e3, 1e6},
    {333333.3, 125e3, 7500, 250e3}, {-1000e3, 250e3, 15e3, 500e3}, {100.0, 1200e3, 0.0, 2.4e6},
};
#define N_LAYOUTS (sizeof(layouts) / sizeof(layouts[0]))

static struct uw_channel *new_channel(const struct layout *l) {
    struct uw_channel *channel = NULL;

    assert_int_equal(uw_channel_new(N_FFT, RATE, l->centre_hz, l->bandwidth_hz, l->slack_hz,
                                    l->out_rate_hz, &channel),
                     0);
    return channel;
}

/* All frames of x through the channel; the number of samples in y. */
static size_t run(struct uw_channel *channel) {
    struct uw_fft *fft = NULL;
    size_t n = 0;

    assert_int_equal(uw_fft_new(N_FFT, &fft), 0);
    for (size_t f = 0; f < FRAMES; ++f) {
        memcpy(uw_fft_buffer(fft), x + f * N_FFT * 3 / 4, N_FFT * sizeof(*x));
        uw_fft_run(fft);
        assert_true(n + uw_channel_per_frame(channel) <= OUT_MAX);
        uw_channel_run(channel, uw_fft_buffer(fft), f, y + n);
        n += uw_channel_per_frame(channel);
    }
    uw_fft_free(fft);
    return n;
}

static double power_of(const float complex *z, size_t n) {
    double sum = 0.0;

    for (size_t i = 0; i < n; ++i)
        sum += (double)(crealf(z[i]) * crealf(z[i]) + cimagf(z[i]) * cimagf(z[i]));
    return sum / (double)n;
}

/* Against an ideal oscillator at f less the stream's own centre, every sample of n in y: the worst
 * departure in level and, from the first sample on, in phase. */
static void compare(const struct uw_channel *channel, const struct layout *l, double f,
                    double amplitude, size_t n, double *ret_db, double *ret_degrees) {
    const double own = l->centre_hz + uw_channel_residual_hz(channel);
    double complex reference = 0.0;

    *ret_db = 0.0;
    *ret_degrees = 0.0;
    for (size_t i = 0; i < n; ++i) {
        const double complex z =
            (double complex)y[i] *
            conj((double complex)signal_turn((f - own) / l->out_rate_hz * (double)i));

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
    for (size_t i = 0; i < 6 * N_LAYOUTS; ++i) {
        const struct layout *l = &layouts[i % N_LAYOUTS];
        struct uw_channel *channel = new_channel(l);
        const double half = 0.5 * l->bandwidth_hz + l->slack_hz;
        const double f = l->centre_hz + (2.0 * signal_uniform(&random) - 1.0) * half;
        double db, degrees;

        assert_true(fabs(uw_channel_residual_hz(channel)) <= 0.5 * RATE / N_FFT + 1e-6);
        assert_int_equal(uw_channel_per_frame(channel) * 4, N_FFT * 3 * l->out_rate_hz / RATE);
        if (fabs(f) < 0.5 * RATE - 60e3) {
            for (size_t k = 0; k < N; ++k)
                x[k] = 0.5f * signal_turn(f / RATE * (double)k + 0.3);
            compare(channel, l, f, 0.5, run(channel), &db, &degrees);
            print_message("layout %zu at %.0f: %.3f dB %.2f degrees\n", i % N_LAYOUTS, f, db,
                          degrees);
            assert_true(db < FLAT_DB && degrees < PHASE_OF);
        }
        uw_channel_free(channel);
    }
}

/* The same from the front end's own frames, in blocks of another size. */
struct heard {
    struct uw_channel *channel;
    uint64_t frames;
    size_t n;
};

static void on_burst(void *userdata, const struct uw_burst *burst) {
    (void)userdata;
    (void)burst;
}

static void on_progress(void *userdata, uint64_t sample) {
    (void)userdata;
    (void)sample;
}

static void on_frame(void *userdata, const float complex *spectrum, uint64_t sample, bool begins) {
    struct heard *h = userdata;

    assert_int_equal(begins, h->frames == 0);
    assert_int_equal(sample, h->frames * N_FFT * 3 / 4);
    if (h->n + uw_channel_per_frame(h->channel) > OUT_MAX)
        return;
    uw_channel_run(h->channel, spectrum, h->frames++, y + h->n);
    h->n += uw_channel_per_frame(h->channel);
}

static void test_front_frames(void **state) {
    static const struct uw_front_ops ops = {
        .burst = on_burst, .progress = on_progress, .frame = on_frame};
    const struct layout *l = &layouts[4];
    const double f = l->centre_hz + 123456.7;
    struct heard h = {.channel = new_channel(l)};
    struct uw_front *front = NULL;
    struct uw_front_config config;
    double db, degrees;

    (void)state;
    uw_front_config_init(&config);
    config.rate_hz = RATE;
    config.format = UW_IQ_CF32;
    assert_int_equal(uw_front_new(&config, &ops, &h, &front), 0);
    assert_int_equal(uw_front_n_fft(front), N_FFT);
    assert_int_equal(uw_front_hop(front), N_FFT * 3 / 4);
    for (size_t k = 0; k < N; ++k)
        x[k] = 0.5f * signal_turn(f / RATE * (double)k);
    for (size_t k = 0; k < N; k += 1000)
        uw_front_push(front, x + k, k + 1000 < N ? 1000 : N - k);
    uw_front_flush(front);
    assert_true(h.frames >= FRAMES - 1);
    compare(h.channel, l, f, 0.5, h.n, &db, &degrees);
    print_message("front: %.3f dB %.2f degrees\n", db, degrees);
    /* it has taken a little off as the image of its balance */
    assert_true(db < FLAT_DB && degrees < PHASE_OF);
    uw_channel_free(h.channel);
    uw_front_free(front);
}

/* Output sample m lies at input sample n_fft / 8 + m * rate / out_rate: the centre of an impulse's
 * energy, anywhere in a frame, to a quarter of an output sample. */
static void test_time(void **state) {
    uint64_t random = 43;

    (void)state;
    for (size_t i = 0; i < 10 * N_LAYOUTS; ++i) {
        const struct layout *l = &layouts[i % N_LAYOUTS];
        struct uw_channel *channel = new_channel(l);
        const size_t at = N / 4 + signal_random(&random) % (N / 2);
        const double ratio = RATE / l->out_rate_hz;
        double energy = 0.0;
        double moment = 0.0;

        memset(x, 0, sizeof(x));
        x[at] = 1.0f;
        const size_t n = run(channel);
        for (size_t m = 0; m < n; ++m) {
            const double e = power_of(&y[m], 1);

            energy += e;
            moment += e * (double)m;
        }
        assert_true(fabs(N_FFT / 8 + moment / energy * ratio - (double)at) < 0.25 * ratio);
        uw_channel_free(channel);
    }
}

/* Tones well beyond the slope: what the frames' rectangular window leaves of them. */
static void test_stop_band(void **state) {
    (void)state;
    for (size_t i = 0; i < N_LAYOUTS; ++i) {
        const struct layout *l = &layouts[i];
        struct uw_channel *channel = new_channel(l);
        const double away = 0.5 * l->bandwidth_hz + l->slack_hz + 60e3 + 30e3;
        const double f = l->centre_hz + (l->centre_hz > 0.0 ? -away : away);

        for (size_t k = 0; k < N; ++k)
            x[k] = 0.5f * signal_turn(f / RATE * (double)k);
        const size_t n = run(channel);
        const double db = 10.0 * log10(power_of(y, n) / 0.25);
        print_message("layout %zu: %.1f dB beyond the slope\n", i, db);
        assert_true(db < -50.0);
        uw_channel_free(channel);
    }
}

/* A channel that reaches over the end of the band: tones on bins of the other end, which lie where
 * the channel's missing bins would be, leave nothing but rounding; its own part passes. */
static void test_band_edge(void **state) {
    (void)state;
    for (int side = -1; side <= 1; side += 2) {
        const struct layout l = {side * 1.1e6, 500e3, 30e3, 1.0e6};
        struct uw_channel *channel = new_channel(&l);
        double db, degrees;

        for (int bin = 1; bin < 50; ++bin) {
            const double turns = -side * (0.5 - (double)bin / N_FFT);

            for (size_t k = 0; k < N; ++k)
                x[k] = 0.9f * signal_turn(turns * (double)k);
            const size_t n = run(channel);
            assert_true(10.0 * log10(power_of(y, n) / 0.81 + 1e-30) < -100.0);
        }
        const double f = side * (1.1e6 - 100e3);
        for (size_t k = 0; k < N; ++k)
            x[k] = 0.5f * signal_turn(f / RATE * (double)k);
        compare(channel, &l, f, 0.5, run(channel), &db, &degrees);
        assert_true(db < FLAT_DB && degrees < PHASE_OF);
        uw_channel_free(channel);
    }
}

/* Sizes that do not fit are refused and leave the pointer alone; those that do fit are taken. */
static void test_sizes(void **state) {
    static const struct {
        size_t n_fft;
        double rate_hz, out_rate_hz;
        int result;
    } cases[] = {
        {384, 2.4e6, 1.0e6, 0},
        {384, 2.4e6, 250e3, 0},
        {384, 2.4e6, 50e3, 0},
        {384, 2.4e6, 2.4e6, 0},
        {320, 2.0e6, 1.0e6, 0},
        {384, 2.4e6, 1.01e6, UW_CHANNEL_E_RATE},
        {384, 2.4e6, 975e3, UW_CHANNEL_E_RATE}, /* 156 bins: no multiple of 8 */
        {384, 2.4e6, 25e3, UW_CHANNEL_E_RATE},  /* 4 bins */
        {384, 2.4e6, 0.0, UW_CHANNEL_E_RATE},
        {384, 2.4e6, 2.45e6, UW_CHANNEL_E_RATE},
        {512, 2.56e6, 1.0e6, 0},
        {384, 2.048e6, 1.0e6, UW_CHANNEL_E_RATE},
        {512, 3.2e6, 1.0e6, 0},
        {400, 2.4e6, 1.0e6, UW_CHANNEL_E_RATE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        struct uw_channel *channel = NULL;
        const int r = uw_channel_new(cases[i].n_fft, cases[i].rate_hz, 0.0, 20e3, 1e3,
                                     cases[i].out_rate_hz, &channel);

        if (r != cases[i].result)
            print_message("case %zu: %d\n", i, r);
        assert_int_equal(r, cases[i].result);
        assert_true((channel != NULL) == (r == 0));
        assert_null(uw_channel_free(channel));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tone),      cmocka_unit_test(test_front_frames),
        cmocka_unit_test(test_time),      cmocka_unit_test(test_stop_band),
        cmocka_unit_test(test_band_edge), cmocka_unit_test(test_sizes),
    };

    return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
