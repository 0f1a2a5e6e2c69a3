/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * LoRa packets below the noise, made from their definition at any fraction of a sample, any carrier
 * and any clock, in noise of a channel's filter: is the preamble one, where is it, how long?
 */

#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "signal.h"
#include "uw/dsp/faint.h"
#include "uw/dsp/fft.h"
#include "uw/dsp/lines.h"

#define POOL         (1 << 18) /* samples of noise; every trial begins anywhere in it */
#define TAPS         63
#define CUTOFF       0.27 /* turns a sample: somewhat beyond the edge of the band at 0.25 */
#define SYNC_WORD    0x12
#define PREAMBLE_MIN 8
#define PREAMBLE_MAX 12
#define RUN          (PREAMBLE_MIN - 1)
#define CLOCK_SHARE  (500e3 / 915e6)
#define N_MAX        (96 << 10)

/* Noise of power 1 per sample if it were white; its power in the filter's band. */
static float complex *pool;
static double pool_power;
static float complex *x;
static struct uw_faint *faint;
static struct uw_lines *lines;

/* A windowed sinc over white noise. */
static void make_pool(void) {
    static float complex white[POOL + TAPS];
    double taps[TAPS];
    double sum = 0.0;
    uint64_t random = 91;

    for (int i = 0; i < TAPS; ++i) {
        const double t = i - (TAPS - 1) / 2;
        const double hann = 0.5 + 0.5 * cos(2.0 * SIGNAL_PI * t / (TAPS + 1));

        taps[i] =
            hann * (t == 0.0 ? 2.0 * CUTOFF : sin(2.0 * SIGNAL_PI * CUTOFF * t) / (SIGNAL_PI * t));
        sum += taps[i];
    }
    for (int i = 0; i < TAPS; ++i) {
        taps[i] /= sum;
        pool_power += taps[i] * taps[i];
    }
    signal_noise(white, POOL + TAPS, 1.0, &random);
    for (size_t i = 0; i < POOL; ++i) {
        float complex y = 0.0f;

        for (size_t k = 0; k < TAPS; ++k)
            y += (float)taps[k] * white[i + k];
        pool[i] = y;
    }
}

static int set_up(void **state) {
    (void)state;
    pool = uw_fft_alloc(POOL);
    x = uw_fft_alloc(N_MAX);
    if (!pool || !x || uw_lines_new(&lines) < 0 || uw_faint_new(lines, &faint) < 0)
        return -1;
    make_pool();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    faint = uw_faint_free(faint);
    assert_null(uw_faint_free(NULL));
    lines = uw_lines_free(lines);
    uw_fft_dealloc(pool);
    uw_fft_dealloc(x);
    return 0;
}

static void take_noise(size_t n, uint64_t *random) {
    const size_t from = (size_t)(signal_random(random) % POOL);

    assert_true(n <= N_MAX);
    for (size_t i = 0; i < n; ++i)
        x[i] = pool[(from + i) % POOL];
}

struct packet {
    int sf, preamble, data;
    bool down;
    double start;  /* samples at two a chip */
    double offset; /* of the carrier, in bandwidths, as the mirrored packet has it if down */
    double clock;  /* the transmitter's is faster by this */
    double snr;    /* power of a symbol's line over the noise's, without the noise */
};

/* Turns of an up-chirp of `value`, t of 0 .. 1 symbols from its begin. */
static double chirp_turns(double value, double bins, double t) {
    const double wrap = 1.0 - value / bins;

    return bins * ((value / bins - 0.5) * t + 0.5 * t * t - (t > wrap ? t - wrap : 0.0));
}

/* Phase of the packet `at` symbols from its begin, without the carrier. False: it is not on. */
static bool packet_turns(const struct packet *p, double at, double *ret_turns) {
    const double bins = 1 << p->sf;
    const double behind = at - p->preamble;

    if (at < 0.0 || behind >= 4.25 + p->data)
        return false;
    if (behind < 0.0) {
        *ret_turns = chirp_turns(0.0, bins, at - floor(at));
    } else if (behind < 2.0) {
        const int nibble = behind < 1.0 ? SYNC_WORD >> 4 : SYNC_WORD & 15;

        *ret_turns = chirp_turns(8.0 * nibble, bins, behind - floor(behind));
    } else if (behind < 4.25) {
        *ret_turns = -chirp_turns(0.0, bins, behind - floor(behind));
    } else {
        const int i = (int)(behind - 4.25);
        const int value = (i * 37 + 11) * 5 % (int)bins;

        *ret_turns = chirp_turns(value, bins, behind - 4.25 - i);
    }
    return true;
}

/* Into the noise in x; for a packet of inverted chirps x becomes the mirror image. */
static void add_packet(const struct packet *p, size_t n) {
    const double symbol = (double)(2 << p->sf) / (1.0 + p->clock);
    const float a = (float)sqrt(p->snr / (double)(2 << p->sf));

    for (size_t i = 0; i < n; ++i) {
        double turns;

        if (packet_turns(p, ((double)i - p->start) / symbol, &turns))
            x[i] += a * signal_turn(turns + 0.5 * p->offset * (double)i);
        if (p->down)
            x[i] = conjf(x[i]);
    }
}

static double symmetric(uint64_t *random) {
    return 2.0 * signal_uniform(random) - 1.0;
}

/* What the sweep would say of the packet: a run somewhere in the preamble, its line to a quarter.
 */
static struct uw_faint_suspect suspect_of(const struct packet *p, uint64_t *random) {
    const double bins = 1 << p->sf;
    const double spare = p->preamble - RUN;
    const double at = ceil(p->start + spare * signal_uniform(random) * 2.0 * bins);
    const double line = 0.5 * (at - p->start) + p->offset * bins + 0.25 * symmetric(random);

    return (struct uw_faint_suspect){
        .sf = p->sf,
        .down = p->down,
        .at = (size_t)at,
        .run = RUN,
        .line = line - bins * floor(line / bins),
        .density = 1.0 / pool_power,
        .offset_max = 0.18,
        .offset_sigma = 0.073,
        .preamble_min = PREAMBLE_MIN,
        .preamble_max = PREAMBLE_MAX,
        .sync_word = SYNC_WORD,
    };
}

/* A line's power over the noise as it is measured: the signal is in the energy, too. */
static double measured_snr(const struct packet *p) {
    return p->snr * pool_power / (pool_power + p->snr / (double)(2 << p->sf));
}

static size_t samples_of(const struct packet *p) {
    const struct uw_faint_suspect s = {.sf = p->sf};
    const size_t behind = uw_faint_behind(s.sf, PREAMBLE_MAX);
    const size_t whole = (size_t)(p->data + 6) << (p->sf + 1);

    return (size_t)p->start + ((size_t)p->preamble << (p->sf + 1)) +
           (whole > behind ? whole : behind);
}

static void test_gamma(void **state) {
    (void)state;
    for (double t = 0.0; t < 30.0; t += 1.7) {
        const double e = exp(-t);

        assert_true(fabs(uw_gamma_tail(1, t) - e) <= 1e-12 * e);
        assert_true(fabs(uw_gamma_tail(2, t) - e * (1.0 + t)) <= 1e-12 * e * (1.0 + t));
        const double four = e * (1.0 + t + t * t / 2.0 + t * t * t / 6.0);
        assert_true(fabs(uw_gamma_tail(4, t) - four) <= 1e-12 * four);
    }
    /* an even number of degrees of freedom: chi-square's tables, 5 % and 1 % */
    assert_true(fabs(uw_gamma_tail(5, 0.5 * 18.307) - 0.05) < 1e-5);
    assert_true(fabs(uw_gamma_tail(10, 0.5 * 37.566) - 0.01) < 1e-5);
    assert_true(fabs(uw_gamma_tail(7, 0.0) - 1.0) < 1e-12);
}

/* Of noise the run's power falls by a nat a unit, but for the choice of the turn and the two tones
 * that are added without their phase. */
static void test_noise_run(void **state) {
    enum { TRIALS = 20000, LEVELS = 16 };
    static const int sfs[] = {5, 6, 7};

    (void)state;
    for (int k = 0; k < 3; ++k) {
        uint64_t random = 101 + (uint64_t)k;
        int above[LEVELS] = {0};
        const int sf = sfs[k];
        const size_t n = (size_t)(RUN + 2) << (sf + 1);

        for (int i = 0; i < TRIALS; ++i) {
            const struct packet p = {.sf = sf, .preamble = RUN + 1, .down = i & 1};
            const struct uw_faint_suspect s = suspect_of(&p, &random);

            take_noise(n, &random);
            const double power = uw_faint_run(faint, x, &s);
            assert_true(isfinite(power) && power >= 0.0);
            for (int t = 0; t < LEVELS && t < power; ++t)
                ++above[t];
        }
        const double first = log((double)above[8] / above[11]) / 3.0;
        const double many = (double)above[11] / TRIALS / exp(-11.0);
        print_message("SF%d, noise: above 5, 8, 11: %.1e %.1e %.1e; %.2f nats a unit, as of %.0f "
                      "hypotheses\n",
                      sf, (double)above[5] / TRIALS, (double)above[8] / TRIALS,
                      (double)above[11] / TRIALS, first, many);
        assert_true(above[11] > 20);
        assert_true(first > 0.75 && first < 1.15);
        assert_true(many > 10.0 && many < 300.0);
    }
}

struct tally {
    int trials, found, listed;
    double run; /* over what it should be */
};

/* One packet: the run, and whether the first place is the right one, or any. */
static void place(const struct packet *p, uint64_t *random, struct tally *tally) {
    const double bins = 1 << p->sf;
    const double symbol = 2.0 * bins / (1.0 + p->clock);
    const double sync = p->start + p->preamble * symbol;
    struct uw_faint_packet places[UW_FAINT_PLACES];
    const struct uw_faint_suspect s = suspect_of(p, random);
    const size_t n = samples_of(p);
    bool listed = false;

    take_noise(n, random);
    add_packet(p, n);
    tally->run += uw_faint_run(faint, x, &s) / (RUN * measured_snr(p));
    assert_true(uw_faint_follow(faint, x, &s, places) > 0);
    for (int i = 0; i < UW_FAINT_PLACES; ++i) {
        const bool right = fabs(places[i].sync - sync) < 2.0 && /* a chip */
                           fabs(places[i].offset - p->offset) * bins < 1.0;

        assert_true(i == 0 || places[i].sum <= places[i - 1].sum);
        if (places[i].sum > 0.0)
            assert_true(fabs(places[i].symbol - 2.0 * bins) < 1e-9); /* no clock is known */
        tally->found += i == 0 && right;
        listed |= right;
    }
    tally->listed += listed;
    ++tally->trials;
}

static void test_places(void **state) {
    enum { TRIALS = 200, N_SF = UW_FAINT_SF_MAX - UW_FAINT_SF_MIN + 1 };
    static const double snrs[] = {4.0, 8.0};
    /* right at once, and among the four, of a hundred: what 400 others had, less 10 at the lower
     * SNR and less 5 at the higher */
    static const int bounds[2][N_SF][2] = {
        {{51, 72}, {50, 69}, {46, 69}, {39, 60}, {30, 51}},
        {{91, 94}, {90, 94}, {90, 94}, {87, 92}, {86, 91}},
    };

    (void)state;
    for (int sf = UW_FAINT_SF_MIN; sf <= UW_FAINT_SF_MAX; ++sf) {
        for (int k = 0; k < 2; ++k) {
            struct tally tally = {0};
            uint64_t random = 110 + (uint64_t)sf;
            const int *bound = bounds[k][sf - UW_FAINT_SF_MIN];

            for (int i = 0; i < TRIALS; ++i) {
                const struct packet p = {
                    .sf = sf,
                    .preamble = PREAMBLE_MIN + (int)(signal_random(&random) % 5),
                    .data = 8,
                    .down = i & 1,
                    .start = (2.0 + signal_uniform(&random)) * (2 << sf),
                    .offset = 0.18 * symmetric(&random),
                    .clock = sf == UW_FAINT_SF_MAX ? 80e-6 * symmetric(&random) : 0.0,
                    .snr = snrs[k],
                };

                place(&p, &random, &tally);
            }
            print_message("SF%d, line %.0f over noise: of %d right %d, among the four %d; run %.2f "
                          "of its mean\n",
                          sf, snrs[k], tally.trials, tally.found, tally.listed,
                          tally.run / tally.trials);
            assert_true(100 * tally.found >= bound[0] * tally.trials);
            assert_true(100 * tally.listed >= bound[1] * tally.trials);
            assert_true(tally.run / tally.trials > 0.85 && tally.run / tally.trials < 1.2);
        }
    }
}

/* Two channels in one stream, 0.24 bandwidths apart: carriers of both are found, each with what its
 * own channel says of its clock. */
static void test_two_channels(void **state) {
    enum { TRIALS = 200, SF = 7 };
    static const double biases[] = {0.12, -0.12};
    const double bins = 1 << SF;
    uint64_t random = 117;

    (void)state;
    for (int c = 0; c < 2; ++c) {
        int listed = 0;

        for (int i = 0; i < TRIALS; ++i) {
            const double own = 0.1 * symmetric(&random);
            const struct packet p = {
                .sf = SF,
                .preamble = PREAMBLE_MIN,
                .data = 8,
                .down = i & 1,
                .start = (2.0 + signal_uniform(&random)) * (2 << SF),
                .offset = biases[c] + own,
                .snr = 8.0,
            };
            struct uw_faint_packet places[UW_FAINT_PLACES];
            struct uw_faint_suspect s = suspect_of(&p, &random);
            bool found = false;

            s.offset_bias = biases[0];
            s.offset_apart = biases[1] - biases[0];
            s.clock_share = 1e-3;
            take_noise(samples_of(&p), &random);
            add_packet(&p, samples_of(&p));
            assert_true(uw_faint_follow(faint, x, &s, places) > 0);
            for (int k = 0; k < UW_FAINT_PLACES; ++k) {
                if (fabs(places[k].sync - p.start - 2.0 * bins * p.preamble) > 2.0 ||
                    fabs(places[k].offset - p.offset) * bins > 1.0)
                    continue;
                found = true;
                /* nearly one chip of 128 is 0.008 */
                assert_true(fabs(2.0 * bins / places[k].symbol - 1.0 - 1e-3 * own) < 1e-5);
            }
            listed += found;
        }
        print_message("of two channels, number %d: %d of %d listed\n", c, listed, TRIALS);
        assert_true(listed >= 0.88 * TRIALS);
    }
}

/* Of noise there is nothing to follow: the best of so many places is as good as chance has it. */
static void test_noise_places(void **state) {
    enum { TRIALS = 300, SF = 6 };
    const struct packet p = {.sf = SF, .preamble = 10, .start = 3 << (SF + 1)};
    uint64_t random = 120;
    int rare = 0;

    (void)state;
    for (int i = 0; i < TRIALS; ++i) {
        struct uw_faint_packet places[UW_FAINT_PLACES];
        const struct uw_faint_suspect s = suspect_of(&p, &random);

        take_noise(samples_of(&p), &random);
        const int n = uw_faint_follow(faint, x, &s, places);
        rare += n * uw_gamma_tail(4, places[0].sum) < 0.1;
    }
    print_message("SF%d, noise: of %d best places %d are as one in ten\n", SF, TRIALS, rare);
    assert_true(rare <= TRIALS / 10);
}

static int peak(const float *nats, int n) {
    double sum = 0.0;
    double most = -INFINITY;
    int at = 0;

    for (int i = 0; i < n; ++i) {
        sum += (double)nats[i];
        if (sum > most) {
            most = sum;
            at = i + 1;
        }
    }
    return at;
}

/* The places' first, to its end. */
static struct uw_faint_packet measure(const struct packet *p, double clock_share,
                                      uint64_t *random) {
    struct uw_faint_packet places[UW_FAINT_PLACES];
    struct uw_faint_suspect s = suspect_of(p, random);
    const size_t n = samples_of(p);

    s.clock_share = clock_share;
    take_noise(n, random);
    add_packet(p, n);
    (void)uw_faint_follow(faint, x, &s, places);
    uw_faint_extent(faint, x, n, &s, &places[0]);
    return places[0];
}

static void test_extent(void **state) {
    (void)state;
    for (int sf = UW_FAINT_SF_MIN; sf <= UW_FAINT_SF_MAX; ++sf) {
        uint64_t random = 130 + (uint64_t)sf;
        const int trials = sf < 8 ? 40 : 12;
        int data = 0;
        int near = 0;
        int preamble = 0;
        double snr = 0.0;

        for (int i = 0; i < trials; ++i) {
            const struct packet p = {
                .sf = sf,
                .preamble = i & 2 ? 12 : 8,
                .data = 10 + i % 12,
                .down = i & 1,
                .start = (8.0 + signal_uniform(&random)) * (2 << sf),
                .offset = 0.1 * symmetric(&random),
                .snr = 40.0,
            };
            const struct uw_faint_packet got = measure(&p, 0.0, &random);

            assert_true(got.n_preamble > 0 && got.n_preamble <= UW_FAINT_PREAMBLE_MAX);
            assert_true(got.n_data >= 0 && got.n_data <= UW_FAINT_DATA_MAX);
            data += peak(got.data, got.n_data) == p.data;
            preamble += peak(got.preamble, got.n_preamble) == p.preamble;
            snr += got.line_snr / measured_snr(&p);
            near += abs(peak(got.data, got.n_data) - p.data) <= 1;
            assert_true(got.known > 30.0 && got.told >= 0.0);
        }
        print_message("SF%d, line 40 over noise: of %d data %d (a symbol off %d), preamble %d "
                      "right; line %.2f of "
                      "its power\n",
                      sf, trials, data, near - data, preamble, snr / trials);
        /* the first noise behind a packet may pass for a symbol, a last symbol that wraps half a
         * chip off may not */
        assert_true(100 * data >= 85 * trials && 100 * near >= 95 * trials);
        assert_true(100 * preamble >= 95 * trials);
        assert_true(fabs(snr / trials - 1.0) < 0.2);
    }
}

/* A crystal that is off moves carrier and symbols together: where that is known, the symbol's
 * length comes with the carrier. Data symbols are counted also without. */
static void test_clock(void **state) {
    static const double ppm[] = {-80.0, -60.0, 60.0, 80.0};
    uint64_t random = 140;
    int right[2] = {0};

    (void)state;
    for (int i = 0; i < 12; ++i) {
        for (int known = 0; known < 2; ++known) {
            const struct packet p = {
                .sf = 9,
                .preamble = 10,
                .data = 56,
                .start = (8.0 + signal_uniform(&random)) * 1024,
                .offset = 1e-6 * ppm[i / 3] / CLOCK_SHARE,
                .clock = 1e-6 * ppm[i / 3],
                .snr = 12.0,
            };
            const struct uw_faint_packet got = measure(&p, known ? CLOCK_SHARE : 0.0, &random);

            right[known] += abs(peak(got.data, got.n_data) - p.data) <= 1;
            if (known)
                assert_true(fabs(got.symbol - 1024.0 / (1.0 + p.clock)) < 0.01);
        }
    }
    print_message("SF9, clock off by 60 and 80 ppm: of 12 to the end %d, without knowing it %d\n",
                  right[1], right[0]);
    assert_true(right[1] >= 10 && right[0] >= 8);
}

/* Only noise behind the preamble, and pieces that end early. */
static void test_cut(void **state) {
    uint64_t random = 150;
    const struct packet p = {
        .sf = 6,
        .preamble = 8,
        .data = 16,
        .start = 10.3 * 128,
        .snr = 30.0,
    };
    const struct uw_faint_suspect s = suspect_of(&p, &random);
    const size_t n = samples_of(&p);
    int before = 0;

    (void)state;
    take_noise(n, &random);
    add_packet(&p, n);
    for (size_t m = 0; m <= n; m += 50) {
        float complex *piece = uw_fft_alloc(m + 1); /* a tool may see what lies behind */
        struct uw_faint_packet got = {.sync = p.start + 8 * 128.0, .symbol = 128.0};

        assert_non_null(piece);
        for (size_t i = 0; i < m; ++i)
            piece[i] = x[i];
        uw_faint_extent(faint, piece, m, &s, &got);
        assert_true(got.n_data <= UW_FAINT_DATA_MAX && isfinite(got.told));
        assert_true((double)m >= got.sync + (4.25 + got.n_data - 0.01) * 128.0 || got.n_data == 0);
        assert_true(got.n_data >= before);
        before = got.n_data;
        uw_fft_dealloc(piece);
    }
    assert_true(before >= 16);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gamma),        cmocka_unit_test(test_noise_run),
        cmocka_unit_test(test_places),       cmocka_unit_test(test_two_channels),
        cmocka_unit_test(test_noise_places), cmocka_unit_test(test_extent),
        cmocka_unit_test(test_clock),        cmocka_unit_test(test_cut),
    };

    return cmocka_run_group_tests_name("faint", tests, set_up, tear_down);
}
