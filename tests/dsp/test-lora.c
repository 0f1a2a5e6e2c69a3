/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * LoRa packets made from their definition, at any fraction of a sample and any carrier, measured
 * without and with noise; and the preamble's statistic in noise against its law
 */

#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "signal.h"
#include "uw/dsp/fft.h"
#include "uw/dsp/lora.h"

#define RUN    5
#define N_DATA 12

struct packet {
    int sf, preamble, symbols, sync[2];
    double start;  /* samples at 2 per chip */
    double offset; /* of the carrier, in bandwidths */
    double amplitude;
};

/* Turns of a chirp of `value` since its begin, at t of 0..1 symbols: the frequency rises from
 * value / bins - 1/2 bandwidths and wraps at the top. `bins` bandwidths times a symbol. */
static double chirp_turns(double value, double bins, double t) {
    const double f0 = value / bins - 0.5;
    const double wrap = 1.0 - value / bins;

    return bins * (f0 * t + 0.5 * t * t - (t > wrap ? t - wrap : 0.0));
}

static int data_value(int i, int bins) {
    return (i * 37 + 11) * 5 % bins;
}

/* Value of symbol k of the packet, or down-chirps, in quarters for the last; false behind the end.
 */
static bool symbol_at(const struct packet *p, double symbols, double *ret_begin, double *ret_value,
                      bool *ret_down) {
    const double delimiter = p->preamble + 2.0;
    const int bins = 1 << p->sf;

    *ret_down = false;
    *ret_value = 0.0;
    if (symbols < 0.0 || symbols >= delimiter + 2.25 + p->symbols)
        return false;
    *ret_begin = floor(symbols);
    if (symbols >= delimiter + 2.25) {
        const int i = (int)floor(symbols - delimiter - 2.25);

        *ret_begin = delimiter + 2.25 + i;
        *ret_value = data_value(i, bins);
    } else if (symbols >= delimiter) {
        *ret_down = true;
    } else if (symbols >= p->preamble) {
        *ret_value = p->sync[(int)(symbols - p->preamble)];
    }
    return true;
}

static void add_packet(const struct packet *p, float complex *x, size_t n) {
    const double bins = 1 << p->sf;

    for (size_t i = 0; i < n; ++i) {
        const double symbols = ((double)i - p->start) / (2.0 * bins);
        double begin, value;
        bool down;

        if (!symbol_at(p, symbols, &begin, &value, &down))
            continue;
        double turns = chirp_turns(value, bins, symbols - begin);
        if (down)
            turns = -turns;
        /* each chirp begins at phase 0, as whole ones also end there */
        x[i] += (float)p->amplitude * signal_turn(turns + p->offset * 0.5 * (double)i);
    }
}

static size_t packet_samples(const struct packet *p) {
    return (size_t)((p->preamble + 4.25 + p->symbols + 6.0) * (2 << p->sf)) + (size_t)p->start;
}

static struct packet random_packet(int sf, uint64_t *random) {
    const int bins = 1 << sf;

    return (struct packet){
        .sf = sf,
        .preamble = 8 + (int)(signal_random(random) % 7),
        .symbols = N_DATA,
        .sync = {8 % bins, 16 % bins},
        .start = (2.0 + 3.0 * signal_uniform(random)) * 2.0 * bins,
        .offset = 0.4 * (signal_uniform(random) - 0.5),
        .amplitude = 1.0,
    };
}

struct errors {
    double start, offset, stop;
    int found, complete, preamble, symbols, sync;
};

/* noise: power in the input's rate, twice the bandwidth. */
static void measure(struct uw_lora *lora, const struct packet *p, double noise, bool inverted,
                    uint64_t *random, struct errors *e) {
    const size_t n = packet_samples(p);
    const double bins = 1 << p->sf;
    float complex *x = uw_fft_alloc(n);
    struct uw_lora_packet got;
    size_t at = 0;

    assert_non_null(x);
    if (noise > 0.0)
        signal_noise(x, n, noise, random);
    add_packet(p, x, n);
    /* inverted packets are the conjugates; whoever looks for them conjugates again */
    for (size_t i = 0; inverted && i < n; ++i)
        x[i] = conjf(conjf(x[i]));
    const double share = uw_lora_preamble(lora, p->sf, x, n, 0, &at);
    if (share > 0.0 && uw_lora_measure(lora, p->sf, x, n, at, &got)) {
        assert_true(share <= 1.01 && got.score <= 1.0 && at < n);
        ++e->found;
        if (got.complete) {
            const double stop = p->start + (p->preamble + 4.25 + p->symbols) * 2.0 * bins;

            ++e->complete;
            e->preamble += got.n_preamble == p->preamble;
            e->symbols += got.n_symbols == p->symbols && !got.cut;
            e->sync += got.sync[0] == p->sync[0] && got.sync[1] == p->sync[1];
            if (got.n_preamble == p->preamble)
                e->start = fmax(e->start, 0.5 * fabs(got.start - p->start));
            if (got.n_symbols == p->symbols)
                e->stop = fmax(e->stop, 0.5 * fabs(got.stop - stop));
            e->offset = fmax(e->offset, bins * fabs(got.offset - p->offset));
        }
    }
    uw_fft_dealloc(x);
}

static void test_clean(void **state) {
    struct uw_lora *lora = NULL;
    uint64_t random = 41;

    (void)state;
    assert_int_equal(uw_lora_new(&lora), 0);
    for (int sf = UW_LORA_SF_MIN; sf <= UW_LORA_SF_MAX; ++sf) {
        const int runs = sf > 9 ? 6 : 20;
        struct errors e = {0};

        for (int i = 0; i < runs; ++i) {
            const struct packet p = random_packet(sf, &random);

            measure(lora, &p, 1e-3, i & 1, &random, &e);
        }
        print_message(
            "SF%d, 27 dB: of %d found %d complete %d preamble %d symbols %d sync %d; start "
            "%.2f stop %.2f chips, offset %.2f bins at worst\n",
            sf, runs, e.found, e.complete, e.preamble, e.symbols, e.sync, e.start, e.stop,
            e.offset);
        assert_true(e.found == runs && e.complete == runs && e.preamble == runs);
        assert_true(e.symbols == runs && e.sync == runs);
        assert_true(e.start < 0.1 && e.stop < 0.1 && e.offset < 0.1);
    }
    uw_lora_free(lora);
}

static void test_3_db(void **state) {
    struct uw_lora *lora = NULL;
    uint64_t random = 42;

    (void)state;
    assert_int_equal(uw_lora_new(&lora), 0);
    for (int sf = UW_LORA_SF_MIN; sf <= UW_LORA_SF_MAX; ++sf) {
        const int runs = sf > 9 ? 6 : 40;
        struct errors e = {0};

        for (int i = 0; i < runs; ++i) {
            const struct packet p = random_packet(sf, &random);

            measure(lora, &p, 2.0 / pow(10.0, 0.3), i & 1, &random, &e);
        }
        print_message(
            "SF%d, +3 dB: of %d found %d complete %d preamble %d symbols %d sync %d; start "
            "%.2f stop %.2f chips, offset %.2f bins at worst\n",
            sf, runs, e.found, e.complete, e.preamble, e.symbols, e.sync, e.start, e.stop,
            e.offset);
        assert_true(e.found == runs && e.complete == runs);
        assert_true(e.preamble == runs && e.symbols >= runs * 9 / 10 && e.sync == runs);
        assert_true(e.start < 1.0 && e.stop < 1.0 && e.offset < 0.4);
    }
    uw_lora_free(lora);
}

/* Found at all, over the SNR in the bandwidth. */
static void test_detection_curve(void **state) {
    static const double snrs[] = {0.0, -3.0, -5.0, -9.0};
    struct uw_lora *lora = NULL;
    uint64_t random = 43;

    (void)state;
    assert_int_equal(uw_lora_new(&lora), 0);
    for (int sf = 5; sf <= 9; sf += 2) {
        int found[4];

        for (int s = 0; s < 4; ++s) {
            struct errors e = {0};

            for (int i = 0; i < 30; ++i) {
                const struct packet p = random_packet(sf, &random);

                measure(lora, &p, 2.0 * pow(10.0, -0.1 * snrs[s]), false, &random, &e);
            }
            found[s] = e.found;
        }
        print_message("SF%d: found %d %d %d %d of 30 at 0, -3, -5, -9 dB\n", sf, found[0], found[1],
                      found[2], found[3]);
        assert_true(found[0] == 30);
        if (sf > 5)
            assert_true(found[1] == 30);
    }
    uw_lora_free(lora);
}

/* The other direction, another spreading factor or bandwidth, a tone: none of them is a preamble.
 */
static void test_foreign(void **state) {
    struct uw_lora *lora = NULL;
    uint64_t random = 44;

    (void)state;
    assert_int_equal(uw_lora_new(&lora), 0);
    for (int sf = 6; sf <= 9; ++sf) {
        const struct packet p = random_packet(sf, &random);
        const size_t n = packet_samples(&p);
        float complex *x = uw_fft_alloc(n);
        struct uw_lora_packet got;
        size_t at;

        assert_non_null(x);
        signal_noise(x, n, 0.1, &random);
        add_packet(&p, x, n);
        assert_true(uw_lora_preamble(lora, sf, x, n, 0, &at) > 0.5);
        assert_true(uw_lora_preamble(lora, sf - 1, x, n, 0, &at) == 0.0);
        assert_true(uw_lora_preamble(lora, sf + 1, x, n, 0, &at) == 0.0);
        for (size_t i = 0; i < n; ++i)
            x[i] = conjf(x[i]);
        /* its delimiter is two of the other kind: a share of the run, but no preamble */
        if (uw_lora_preamble(lora, sf, x, n, 0, &at) > 0.0)
            assert_false(uw_lora_measure(lora, sf, x, n, at, &got) && got.complete);
        signal_noise(x, n, 0.1, &random);
        signal_add_tone(x, 0, n, 1.0, 0.123);
        assert_true(uw_lora_preamble(lora, sf, x, n, 0, &at) == 0.0);
        uw_fft_dealloc(x);
    }
    uw_lora_free(lora);
}

/* Pieces that end anywhere inside the packet are measured without reading past them. */
static void test_cut_pieces(void **state) {
    struct uw_lora *lora = NULL;
    uint64_t random = 45;
    const struct packet p = random_packet(7, &random);
    const size_t whole = packet_samples(&p);

    (void)state;
    assert_int_equal(uw_lora_new(&lora), 0);
    for (size_t n = 1; n < whole; n += 97) {
        float complex *x = uw_fft_alloc(n); /* of this size: a tool may see what lies behind */
        struct uw_lora_packet got;
        size_t at = 0;

        assert_non_null(x);
        add_packet(&p, x, n);
        if (uw_lora_preamble(lora, 7, x, n, 0, &at) > 0.0 &&
            uw_lora_measure(lora, 7, x, n, at, &got) && got.complete) {
            assert_true(got.n_symbols <= N_DATA && got.stop <= (double)n + 256.0);
            if (n < (size_t)(p.start + (p.preamble + 4.25 + p.symbols) * 256.0) - 300 &&
                got.n_symbols > 0)
                assert_true(got.cut);
        }
        uw_fft_dealloc(x);
    }
    assert_true(uw_lora_preamble(lora, 7, NULL, 0, 0, &(size_t){0}) == 0.0);
    uw_lora_free(lora);
}

/*
 * In noise: A and B, the line's two tones, are independent and exponential of mean 1 in units of
 * the window's energy, so (|A| + |B|)^2 has the mean 2 + pi / 2 and RUN of them 17.85. Counted here
 * with a transform of the test's own; a threshold of 48 is passed 6 in 1e5 times, and
 * the tail falls by a nat in three.
 */
static void test_noise_tail(void **state) {
    enum { SF = 7, SYMBOL = 2 << SF, LINES = 1 << SF, WINDOWS = 20000 };
    static float recent[RUN][LINES];
    static float complex x[SYMBOL];
    static long count[100];
    struct uw_fft *fft = NULL;
    uint64_t random = 46;
    double mean = 0.0;
    long n = 0;

    (void)state;
    assert_int_equal(uw_fft_new(SYMBOL, &fft), 0);
    for (int w = 0; w < WINDOWS; ++w) {
        float complex *y = uw_fft_buffer(fft);
        double energy = 0.0;

        signal_noise(x, SYMBOL, 1.0, &random);
        for (size_t i = 0; i < SYMBOL; ++i) {
            energy += creal((double complex)x[i] * conj((double complex)x[i]));
            y[i] = x[i]; /* noise times a chirp is noise */
        }
        uw_fft_run(fft);
        for (size_t b = 0; b < LINES; ++b) {
            const float s = cabsf(y[b]) + cabsf(y[b + LINES]);
            double sum = 0.0;

            recent[w % RUN][b] = s * s / (float)energy;
            for (int r = 0; r < RUN; ++r)
                sum += (double)recent[r][b];
            if (w < RUN - 1)
                continue;
            mean += sum;
            ++n;
            for (int t = 0; t < 100 && t < (int)sum; ++t)
                ++count[t];
        }
    }
    uw_fft_free(fft);
    mean /= (double)n;
    print_message("mean %.2f (theory %.2f); lines above:", mean, RUN * (2.0 + SIGNAL_PI / 2.0));
    for (int t = 24; t < 56 && count[t] > 0; t += 4)
        print_message(" %d: %.1e", t, (double)count[t] / (double)n);
    const double slope = log((double)count[36] / (double)count[40]) / 4.0;
    print_message("; slope %.2f nats\n", slope);
    assert_true(fabs(mean - RUN * (2.0 + SIGNAL_PI / 2.0)) < 0.2);
    assert_true(count[48] > 0 && (double)count[48] / (double)n < 1e-4);
    assert_true(slope > 0.3);
}

/* The real thing over the same kind of noise, in pieces of 20 symbols, and what passes it. From SF
 * 6 on the least share of energy is the higher bar, and nothing does. */
static void test_noise(void **state) {
    enum { N = 1 << 19 };
    struct uw_lora *lora = NULL;
    float complex *x = uw_fft_alloc(N);
    uint64_t random = 47;

    (void)state;
    assert_non_null(x);
    assert_int_equal(uw_lora_new(&lora), 0);
    signal_noise(x, N, 1.0, &random);
    for (int sf = UW_LORA_SF_MIN; sf <= UW_LORA_SF_MAX; ++sf) {
        const size_t piece = (size_t)20 * (size_t)(2 << sf);
        int n_pieces = 0;
        int passed = 0;
        int measured = 0;

        for (size_t i = 0; i + piece <= N; i += piece, ++n_pieces) {
            struct uw_lora_packet got;
            size_t at;

            if (uw_lora_preamble(lora, sf, x + i, piece, 0, &at) <= 0.0)
                continue;
            ++passed;
            measured += uw_lora_measure(lora, sf, x + i, piece, at, &got) && got.complete;
        }
        const double lines = 16.0 * (2 << sf) * n_pieces;
        print_message("SF%d, noise: of %d pieces %d pass, %.1e a line; %d measured\n", sf, n_pieces,
                      passed, passed / lines, measured);
        assert_true(sf == 5 ? passed / lines < 1e-4 : passed == 0);
    }
    uw_fft_dealloc(x);
    uw_lora_free(lora);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean),           cmocka_unit_test(test_3_db),
        cmocka_unit_test(test_detection_curve), cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_cut_pieces),      cmocka_unit_test(test_noise_tail),
        cmocka_unit_test(test_noise),
    };

    return cmocka_run_group_tests_name("lora", tests, NULL, NULL);
}
