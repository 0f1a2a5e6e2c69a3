/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Bursts: false alarms of the cells in noise; place, width and power of tones and wide bursts */

#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../src/dsp/bursts-impl.h"
#include "listen.h"
#include "signal.h"

#define N_FFT  1024
#define BIN_HZ 1e6 /* so wide that no gap between runs is bridged */
#define POOL   (1u << 22)
#define PERIOD 4096

struct count {
    size_t n;
    size_t by_width[4]; /* up to 5 bins, 6 .. 30, 31 .. 120, more */
};

static void count_burst(void *userdata, const struct uw_burst *burst) {
    struct count *c = userdata;
    const double bins = (burst->upper_hz - burst->lower_hz) / BIN_HZ;

    ++c->n;
    ++c->by_width[bins < 5.5 ? 0 : bins < 30.5 ? 1 : bins < 120.5 ? 2 : 3];
}

/*
 * Frames of one row are reported each by itself, so that every run of marked cells is counted. The
 * rows are Hann powers of white noise, over their true mean. Bins and windows overlap, so that
 * neighbours fire together and a run counts once: the rate of runs lies below that of cells.
 */
static void test_cell_false_alarms(void **state) {
    static const double pfa[] = {1e-3, 1e-4};
    static const int n_frames[] = {6000, 12000};
    static float complex x[N_FFT];
    static float power[N_FFT];
    static float inverse[N_FFT];
    uint64_t random = 11;

    (void)state;
    for (size_t k = 0; k < N_FFT; ++k)
        inverse[k] = 1.0f / 0.375f;
    for (int p = 0; p < 2; ++p) {
        const struct uw_bursts_config config = {
            .n_fft = N_FFT,
            .hop = N_FFT * 3 / 4,
            .rate_hz = N_FFT * BIN_HZ,
            .cell_pfa = pfa[p],
            .max_frames = 1,
        };
        struct count c = {0};
        struct uw_bursts *bursts = NULL;

        assert_int_equal(uw_bursts_new(&config, count_burst, &c, &bursts), 0);
        for (int f = 0; f < n_frames[p]; ++f) {
            signal_noise(x, N_FFT, 1.0, &random);
            for (size_t k = 0; k < N_FFT; ++k) {
                const float complex h =
                    0.5f * x[k] - 0.25f * (x[(k + 1) % N_FFT] + x[(k + N_FFT - 1) % N_FFT]);

                power[k] = crealf(h) * crealf(h) + cimagf(h) * cimagf(h);
            }
            uw_bursts_frame(bursts, (uint64_t)f, power, inverse);
        }
        uw_bursts_free(bursts);
        /* windows of 1, 4; 16; 64; 256 bins, overlapping by half */
        const double cells[4] = {N_FFT + 511, 127, 31, 7};
        for (int w = 0; w < 4; ++w) {
            const double rate = (double)c.by_width[w] / (cells[w] * n_frames[p]);

            print_message("pfa %g, width class %d: %zu runs, %.2f of the stated rate\n", pfa[p], w,
                          c.by_width[w], rate / pfa[p]);
            assert_true(rate > 0.25 * pfa[p] || cells[w] * n_frames[p] * pfa[p] < 20.0);
            assert_true(rate < 1.3 * pfa[p] + 3.0 * sqrt(pfa[p] / (cells[w] * n_frames[p])));
        }
    }
}

/* Through the whole front end a burst needs a second frame, but there a hundredth of the noise is
 * enough for one that is known: some 2 % of the cells' rate, one in 100 s at 2.4 MS/s by default.
 */
static void test_noise_bursts(void **state) {
    static const double pfa[] = {1e-3, 1e-4, 0.0};
    enum { BLOCK = 65536, BLOCKS = 24 };
    static float complex x[BLOCK];
    static struct listen l;
    uint64_t random = 12;

    (void)state;
    for (int p = 0; p < 3; ++p) {
        listen_begin(&l, 2.4e6, pfa[p]);
        const double cells = (double)(BLOCK * BLOCKS / uw_front_hop(l.front)) * 1.66 *
                             (double)uw_front_n_fft(l.front);
        for (int i = 0; i < BLOCKS; ++i) {
            signal_noise(x, BLOCK, 1e-3, &random);
            listen_push(&l, x, BLOCK);
        }
        assert_true(fabs(uw_front_noise_dbfs(l.front) + 30.0) < 0.1);
        assert_true(fabs(10.0 * log10(uw_front_noise_density(l.front, -5e5, 5e5) * 2.4e6) + 30.0) <
                    0.1);
        listen_end(&l);
        print_message("pfa %g: %zu bursts in %.2g cells, %.2g a cell\n", pfa[p], l.n, cells,
                      (double)l.n / cells);
        assert_true((double)l.n <= 0.1 * pfa[p] * cells);
        assert_true(l.n_progress > 10);
    }
}

/* Noise from a pool, each time from another place: cheap at high rates. */
static void pool_noise(float complex *x, size_t n, double power, uint64_t *random) {
    static float complex pool[POOL];
    static int ready;
    uint64_t seed = 13;
    const float a = (float)sqrt(power);
    const size_t at = signal_random(random) % POOL;

    if (!ready)
        signal_noise(pool, POOL, 1.0, &seed);
    ready = 1;
    for (size_t i = 0; i < n; ++i)
        x[i] = a * pool[(at + i) % POOL];
}

struct shape {
    double rate_hz, centre_hz, width_hz; /* width 0: a tone */
    double snr_db;                       /* in the width; of a tone: in one bin */
    double length_s;
    size_t from, to; /* samples, from the begin */
};

/* Carriers of equal power and random phase, rate / PERIOD apart; one period, again and again. */
static void add_wide(float complex *x, const struct shape *s, double power, uint64_t *random) {
    static float complex period[PERIOD];
    const double grid = s->rate_hz / PERIOD;
    const long first = lround((s->centre_hz - 0.5 * s->width_hz) / grid);
    const long last = lround((s->centre_hz + 0.5 * s->width_hz) / grid);
    const double a = sqrt(power / (double)(last - first + 1));

    for (size_t i = 0; i < PERIOD; ++i)
        period[i] = 0.0f;
    for (long c = first; c <= last; ++c) {
        const double phase = signal_uniform(random);

        for (size_t i = 0; i < PERIOD; ++i)
            period[i] += (float)a * signal_turn((double)c * (double)i / PERIOD + phase);
    }
    for (size_t i = s->from; i < s->to; ++i)
        x[i] += period[i % PERIOD];
}

/* One burst in noise of 1e-4 (-40 dBFS); what comes out, with the bins' width. */
static struct uw_burst hear(const struct shape *s, double *ret_power_dbfs, double *ret_bin_hz,
                            uint64_t *random) {
    static struct listen l;
    const double noise = 1e-4;
    size_t n = s->to + (size_t)(0.01 * s->rate_hz);
    float complex *x = malloc(n * sizeof(*x));

    assert_non_null(x);
    listen_begin(&l, s->rate_hz, 0.0);
    const double bin_hz = s->rate_hz / (double)uw_front_n_fft(l.front);
    const double width = s->width_hz > 0.0 ? s->width_hz : bin_hz;
    const double power = noise * width / s->rate_hz * pow(10.0, 0.1 * s->snr_db);
    pool_noise(x, n, noise, random);
    if (s->width_hz > 0.0)
        add_wide(x, s, power, random);
    else
        signal_add_tone(x, s->from, s->to, sqrt(power), s->centre_hz / s->rate_hz);
    listen_push(&l, x, n);
    listen_end(&l);
    free(x);
    size_t best = 0;
    for (size_t i = 1; i < l.n; ++i) {
        if (l.bursts[i].power_dbfs > l.bursts[best].power_dbfs)
            best = i;
    }
    assert_true(l.n > 0);
    /* some frames of one bin may be noise, at times; nothing else may be there */
    for (size_t i = 0; i < l.n; ++i) {
        const struct uw_burst *o = &l.bursts[i];

        if (i != best)
            print_message("beside %zu..%zu: burst %llu..%llu %g..%g Hz, %.1f dB\n", s->from, s->to,
                          (unsigned long long)o->start, (unsigned long long)o->stop, o->lower_hz,
                          o->upper_hz, o->snr_db);
        assert_true(i == best || ((double)(o->stop - o->start) < 3.6 * s->rate_hz / bin_hz &&
                                  o->upper_hz - o->lower_hz < 2.5 * bin_hz));
    }
    assert_true(l.n <= 2);
    *ret_power_dbfs = 10.0 * log10(power);
    *ret_bin_hz = bin_hz;
    return l.bursts[best];
}

static void place(struct shape *s, uint64_t *random) {
    s->from = (size_t)((0.05 + 0.001 * signal_uniform(random)) * s->rate_hz);
    s->to = s->from + (size_t)(s->length_s * s->rate_hz);
}

static const double rates[] = {250e3, 2.4e6, 10e6, 50e6};

/* Tones: of 20 to 45 dB in one bin, and the whole range of places. */
static void test_tones(void **state) {
    static const double snrs[] = {20.0, 30.0, 45.0};
    uint64_t random = 14;

    (void)state;
    for (int r = 0; r < 4; ++r) {
        double worst_power = 0.0;
        double worst_time = 0.0;
        double worst_centre = 0.0;

        for (int k = 0; k < 6; ++k) {
            struct shape s = {.rate_hz = rates[r], .snr_db = snrs[k % 3], .length_s = 8e-3};
            double power_dbfs, bin_hz;

            s.centre_hz = rates[r] * (0.9 * signal_uniform(&random) - 0.45);
            place(&s, &random);
            const struct uw_burst b = hear(&s, &power_dbfs, &bin_hz, &random);
            const double n = s.rate_hz / bin_hz;
            worst_power = fmax(worst_power, fabs(b.power_dbfs - power_dbfs));
            worst_centre = fmax(worst_centre, fabs(b.centre_hz - s.centre_hz) / bin_hz);
            worst_time = fmax(worst_time, fabs((double)b.start - (double)s.from) / n);
            worst_time = fmax(worst_time, fabs((double)b.stop - (double)s.to) / n);
            assert_true(b.lower_hz <= s.centre_hz && s.centre_hz <= b.upper_hz);
            assert_true(b.upper_hz - b.lower_hz < 6.5 * bin_hz);
            assert_false(b.open);
        }
        print_message("%g S/s, tones: power %.2f dB, time %.2f frames, centre %.2f bins at worst\n",
                      rates[r], worst_power, worst_time, worst_centre);
        assert_true(worst_power < 0.6 && worst_time < 1.0 && worst_centre < 0.25);
    }
}

static void test_wide_bursts(void **state) {
    static const double snrs[] = {0.0, 3.0, 7.0, 22.0};
    uint64_t random = 15;
    int n_late = 0;

    (void)state;
    for (int r = 0; r < 4; ++r) {
        for (int k = 0; k < 4; ++k) {
            struct shape s = {.rate_hz = rates[r],
                              .width_hz = r == 0   ? 60e3
                                          : r == 3 ? 9e6
                                                   : 500e3,
                              .snr_db = snrs[k] + (r == 0   ? 8.0
                                                   : r == 3 ? 0.0
                                                            : 3.0),
                              .length_s = 4e-3};
            double power_dbfs, bin_hz;

            s.centre_hz = (rates[r] - 1.1 * s.width_hz) * (signal_uniform(&random) - 0.5);
            place(&s, &random);
            const struct uw_burst b = hear(&s, &power_dbfs, &bin_hz, &random);
            const double n = s.rate_hz / bin_hz;
            const double lower = (b.lower_hz - (s.centre_hz - 0.5 * s.width_hz)) / s.width_hz;
            const double upper = (b.upper_hz - (s.centre_hz + 0.5 * s.width_hz)) / s.width_hz;
            const double early = ((double)b.start - (double)s.from) / n;
            const double late = ((double)b.stop - (double)s.to) / n;

            print_message("%g S/s, %g dB: power %+.2f snr %+.2f dB; edges %+.1f %+.1f %%, centre "
                          "%+.1f %%; begin %+.2f end %+.2f frames\n",
                          rates[r], s.snr_db, b.power_dbfs - power_dbfs, b.snr_db - s.snr_db,
                          100.0 * lower, 100.0 * upper,
                          100.0 * (b.centre_hz - s.centre_hz) / s.width_hz, early, late);
            const double bins = 1.5 * bin_hz / s.width_hz; /* resolution of the Hann window */
            /* near the threshold a burst is as wide as the window that has found it */
            const bool weak = k < 2;
            assert_true(fabs(b.power_dbfs - power_dbfs) < (weak ? 1.5 : 0.7));
            assert_true(fabs(b.snr_db - s.snr_db) <
                        (weak ? 8.0 : 0.6 + 10.0 * log10(1.0 + 2.0 * bins)));
            assert_true(fabs(lower) < (weak ? 3.0 : 0.04 + bins));
            assert_true(fabs(upper) < (weak ? 3.0 : 0.04 + bins));
            assert_true(fabs(b.centre_hz - s.centre_hz) <
                        (weak ? 0.5 : 0.03) * s.width_hz + 0.3 * bin_hz);
            /* noise lets a known burst go on, 1 % for each of two frames */
            assert_true(early > -1.0 && early < (weak ? 3.0 : 1.0));
            assert_true(late > (weak ? -3.0 : -1.0) && late < 2.6);
            n_late += late > 1.0;
        }
    }
    assert_true(n_late <= 2);
}

/* A tone that goes on is reported in pieces, the first ones open, without holes between. */
static void test_long_burst(void **state) {
    enum { N = 240000 };
    static float complex x[N];
    static struct listen l;
    uint64_t random = 16;

    (void)state;
    signal_noise(x, N, 1e-4, &random);
    signal_add_tone(x, 20000, 230000, 0.1, 0.1); /* 0.84 s at 250 kS/s */
    listen_begin(&l, 250e3, 0.0);
    const uint64_t n = uw_front_n_fft(l.front);
    listen_push(&l, x, N);
    listen_end(&l);
    assert_int_equal(l.n, 3);
    assert_true(l.bursts[0].open && l.bursts[1].open && !l.bursts[2].open);
    for (size_t i = 1; i < 3; ++i)
        assert_true(l.bursts[i].start <= l.bursts[i - 1].stop + n);
    assert_true(l.bursts[0].start < 20000 + n && l.bursts[2].stop + n > 230000);
}

/* Two at once, and one after the other by 2 ms, stay two. */
static void test_neighbours(void **state) {
    enum { N = 480000 };
    static float complex x[N];
    static struct listen l;
    uint64_t random = 17;

    (void)state;
    signal_noise(x, N, 1e-4, &random);
    signal_add_tone(x, 300000, 320000, 0.01, 0.1);
    signal_add_tone(x, 310000, 330000, 0.01, 0.2); /* 240 kHz away */
    signal_add_tone(x, 324800, 330000, 0.01, 0.1);
    listen_begin(&l, 2.4e6, 0.0);
    listen_push(&l, x, N);
    listen_end(&l);
    assert_int_equal(l.n, 3);
    assert_true(fabs(l.bursts[0].centre_hz - 240e3) < 5e3);
    assert_true(labs((long)l.bursts[0].stop - 320000) < 512);
    for (size_t i = 1; i < l.n; ++i)
        assert_true(l.bursts[i].stop >= l.bursts[i - 1].stop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cell_false_alarms),
        cmocka_unit_test(test_noise_bursts),
        cmocka_unit_test(test_tones),
        cmocka_unit_test(test_wide_bursts),
        cmocka_unit_test(test_long_burst),
        cmocka_unit_test(test_neighbours),
    };

    return cmocka_run_group_tests_name("front-burst", tests, NULL, NULL);
}
