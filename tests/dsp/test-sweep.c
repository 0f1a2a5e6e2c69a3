/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Preambles below the noise: false hits as asked for, Pd at stated SNR, and what a hit says about
 * time and line; from a modulator of the test's own
 */

#undef NDEBUG
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "signal.h"
#include "uw/dsp/fft.h"
#include "uw/dsp/lines.h"
#include "uw/dsp/sweep.h"

#define BANDWIDTH 500e3
#define SAMPLES   (2 * UW_SWEEP_BLOCK) /* of a block */
#define BLOCKS    8                    /* of a trial */
#define N         (BLOCKS * SAMPLES)
#define HITS_MAX  100000
#define UP_CHIRPS 8

static float complex x[N];

struct written {
    size_t n;
    struct uw_sweep_hit hits[HITS_MAX];
};

static struct written w, w2;
static struct uw_lines *tables;

static void on_hit(void *userdata, const struct uw_sweep_hit *hit) {
    struct written *to = userdata;

    assert_true(to->n < HITS_MAX);
    to->hits[to->n++] = *hit;
}

static struct uw_sweep *new_sweep(bool down, int sf_min, int sf_max, double false_rate_hz,
                                  struct written *to) {
    struct uw_sweep_config config = {
        .lines = tables, .down = down, .false_rate_hz = false_rate_hz, .bandwidth_hz = BANDWIDTH};
    struct uw_sweep *sweep = NULL;

    for (int sf = sf_min; sf <= sf_max; ++sf)
        config.run[sf] = UP_CHIRPS - 1;
    to->n = 0;
    assert_int_equal(uw_sweep_new(&config, on_hit, to, &sweep), 0);
    return sweep;
}

/* One sample a chip of two. */
static void run(struct uw_sweep *sweep, const float complex *samples, size_t n_blocks) {
    float re[UW_SWEEP_BLOCK], im[UW_SWEEP_BLOCK];

    for (size_t i = 0; i < n_blocks; ++i) {
        for (size_t k = 0; k < UW_SWEEP_BLOCK; ++k) {
            re[k] = crealf(samples[i * SAMPLES + 2 * k]);
            im[k] = cimagf(samples[i * SAMPLES + 2 * k]);
        }
        uw_sweep_block(sweep, re, im);
    }
}

/* n chirps of 2^sf chips from chip `begin` (of any fraction) on, `offset` lines off the carrier. */
static void add_preamble(int sf, int n, bool down, double begin, double offset, double amplitude) {
    const double chips = (double)(1 << sf);

    for (size_t i = 0; i < N; ++i) {
        const double at = 0.5 * (double)i - begin;
        const double u = fmod(at, chips);
        const double half_turns = u * u / chips - u;

        if (at >= 0.0 && at < n * chips)
            x[i] += (float)amplitude *
                    signal_turn((down ? -0.5 : 0.5) * half_turns + offset * at / chips);
    }
}

/* As a channel's filter leaves it: flat over 1.12 bandwidths, nothing beyond; power 1 in one
 * bandwidth. */
static void make_channel_noise(uint64_t *random) {
    static struct uw_fft *fft;
    const size_t half = (size_t)(0.28 * N);
    float complex *y;

    if (!fft)
        assert_int_equal(uw_fft_new_inverse(N, &fft), 0);
    y = uw_fft_buffer(fft);
    memset(y, 0, N * sizeof(*y));
    for (size_t i = 0; i < half; ++i) {
        /* N / 2 bins are one bandwidth */
        y[i] = sqrtf(2.0f / N) * signal_normal(random);
        y[N - 1 - i] = sqrtf(2.0f / N) * signal_normal(random);
    }
    uw_fft_run(fft);
    memcpy(x, y, N * sizeof(*y));
}

/* One pass of several transforms equals as many of one. */
static void test_batch(void **state) {
    const size_t n = 64;
    const size_t count = 8;
    struct uw_fft *batch = NULL;
    struct uw_fft *single = NULL;
    float complex *out = uw_fft_alloc(n * count);
    uint64_t random = 50;

    (void)state;
    assert_int_equal(uw_fft_new_batch(n, count, &batch), 0);
    assert_int_equal(uw_fft_new(n, &single), 0);
    assert_int_equal(uw_fft_size(batch), n);
    signal_noise(uw_fft_buffer(batch), n * count, 1.0, &random);
    uw_fft_run_to(batch, out);
    for (size_t i = 0; i < count; ++i) {
        memcpy(uw_fft_buffer(single), uw_fft_buffer(batch) + i * n, n * sizeof(*out));
        uw_fft_run(single);
        for (size_t k = 0; k < n; ++k)
            assert_true(cabsf(out[i * n + k] - uw_fft_buffer(single)[k]) < 1e-4f);
    }
    uw_fft_dealloc(out);
    uw_fft_free(single);
    batch = uw_fft_free(batch);
    assert_int_equal(uw_fft_new_batch(0, 1, &batch), -EINVAL);
    assert_int_equal(uw_fft_new_batch(1, 0, &batch), -EINVAL);
    assert_int_equal(uw_fft_new_batch(1u << 20, 1u << 20, &batch), -EINVAL);
    assert_null(batch);
}

/*
 * Hits in white noise, per spreading factor, of both lanes. The threshold makes rate * seconds
 * sums pass on average; hits are fewer, for two reasons that both are the noise's own:
 *
 *   A sum that passes keeps run - 1 of its windows in the next sum, which therefore often passes
 *   too: both are one hit.
 *
 *   Powers over their own window's mean have a lighter tail than the exponential powers that the
 *   threshold is made for (of 2^SF powers none is more than 2^SF means): most at small SF.
 *
 * Both are figured from independent draws by model() below, which knows nothing of chirps.
 */
static double gamma_tail(int shape, double t) {
    double term = exp(-t);
    double sum = term;

    for (int i = 1; i < shape; ++i) {
        term *= t / i;
        sum += term;
    }
    return sum;
}

struct cell {
    double rows[UP_CHIRPS - 1];
    double sum, best;
    long last; /* window of best; -1: none */
};

/* Hits a second that independent exponential powers give, in the definition's own words. */
static double model(int run, int lines, double rate_hz, double seconds, uint64_t *random) {
    static struct cell cells[1 << UW_SWEEP_SF_MAX];
    const long windows = lround(seconds * BANDWIDTH / lines);
    double threshold = run;
    long hits = 0;

    memset(cells, 0, sizeof(cells));
    while (gamma_tail(run, threshold) > rate_hz / BANDWIDTH)
        threshold += 1e-3;
    for (int i = 0; i < lines; ++i)
        cells[i].last = -1;
    for (long k = 0; k < windows; ++k) {
        double total = 0.0;

        for (int i = 0; i < lines; ++i) {
            cells[i].sum -= cells[i].rows[k % run];
            cells[i].rows[k % run] = -(double)logf((float)signal_uniform(random));
            total += cells[i].rows[k % run];
        }
        for (int i = 0; i < lines; ++i) {
            struct cell *c = &cells[i];

            c->rows[k % run] *= lines / total;
            c->sum += c->rows[k % run];
            if (c->last >= 0 && k >= c->last + run) {
                ++hits;
                c->last = -1;
            }
            if (c->sum > threshold && (c->last < 0 || c->sum > c->best)) {
                c->best = c->sum;
                c->last = k;
            }
        }
    }
    return (double)hits / seconds;
}

struct counts {
    double n[UW_SWEEP_SF_MAX + 1];
};

static void count_in_noise(double rate_hz, size_t n_blocks, uint64_t seed, struct counts *ret) {
    struct uw_sweep *sweep = new_sweep(false, UW_SWEEP_SF_MIN, UW_SWEEP_SF_MAX, rate_hz, &w);
    uint64_t random = seed;

    memset(ret, 0, sizeof(*ret));
    for (size_t i = 0; i < n_blocks; ++i) {
        signal_noise(x, SAMPLES, 1.0, &random);
        run(sweep, x, 1);
    }
    for (size_t i = 0; i < w.n; ++i) {
        const struct uw_sweep_hit *h = &w.hits[i];
        const double chip = fmod(h->chip, (double)(1 << h->sf));

        assert_true(h->sf >= UW_SWEEP_SF_MIN && h->sf <= UW_SWEEP_SF_MAX);
        assert_int_equal(h->run, UP_CHIRPS - 1);
        assert_true(gamma_tail(h->run, h->sum) <= rate_hz / BANDWIDTH * 1.001);
        assert_true(h->line >= -0.5 && h->line <= (1 << h->sf) - 0.5);
        assert_true(chip == 0.0); /* windows begin on whole symbols */
        assert_true(h->chip >= 0.0 && h->chip < (double)(n_blocks * UW_SWEEP_BLOCK));
        ++ret->n[h->sf];
    }
    uw_sweep_free(sweep);
}

/* Many: against the model, each with its Poisson error; and 5 % for what the model leaves out
 * (lines next to each other are one hit). */
static void test_noise(void **state) {
    const double rate_hz = 400.0;
    const size_t n_blocks = 4000;
    const double seconds = (double)n_blocks * UW_SWEEP_BLOCK / BANDWIDTH;
    const double model_s = 6.0;
    uint64_t random = 52;
    struct counts c;

    (void)state;
    count_in_noise(rate_hz, n_blocks, 51, &c);
    for (int sf = UW_SWEEP_SF_MIN; sf <= UW_SWEEP_SF_MAX; ++sf) {
        const double hz = 2.0 * model(UP_CHIRPS - 1, 1 << sf, rate_hz, model_s, &random);
        const double got = c.n[sf] / seconds;
        const double sigma = sqrt(hz / seconds + 2.0 * hz / model_s);

        print_message("SF%d: %.1f Hz of 2 times %g; model %.1f +- %.1f\n", sf, got, rate_hz, hz,
                      sigma);
        assert_true(fabs(got - hz) < 4.0 * sigma + 0.05 * hz);
        assert_true(got < 2.0 * rate_hz);
    }
}

/* Few, as in use: against what 250 s of model() gave at 8 Hz, within 4 sigma of Poisson; never more
 * than asked for. */
static void test_rare_noise(void **state) {
    static const double share[] = {0.207, 0.345, 0.427, 0.498, 0.524}; /* of 8 Hz, SF 5 .. 9 */
    const double rate_hz = 8.0;
    const size_t n_blocks = 8000;
    const double seconds = (double)n_blocks * UW_SWEEP_BLOCK / BANDWIDTH;
    struct counts c;

    (void)state;
    count_in_noise(rate_hz, n_blocks, 53, &c);
    for (int sf = UW_SWEEP_SF_MIN; sf <= UW_SWEEP_SF_MAX; ++sf) {
        const double expected = 2.0 * share[sf - UW_SWEEP_SF_MIN] * rate_hz * seconds;

        print_message("SF%d: %g hits, expected %.1f\n", sf, c.n[sf], expected);
        assert_true(fabs(c.n[sf] - expected) < 4.0 * sqrt(expected));
        assert_true(c.n[sf] < 2.0 * rate_hz * seconds);
    }
}

/* The hit of the largest sum, or NULL. */
static const struct uw_sweep_hit *strongest(const struct written *from) {
    const struct uw_sweep_hit *best = NULL;

    for (size_t i = 0; i < from->n; ++i) {
        if (!best || from->hits[i].sum > best->sum)
            best = &from->hits[i];
    }
    return best;
}

struct found {
    int n;        /* trials whose strongest hit is the preamble, to a chip modulo a symbol */
    int shifted;  /* of these, more than two symbols away */
    double worst; /* chips, modulo a symbol */
    double rms;
};

/* Preambles at any time and up to 6 % of the bandwidth off, in the noise of one bandwidth. */
static struct found look_for(int sf, bool down, double snr_db, int n_trials, uint64_t seed) {
    const double chips = (double)(1 << sf);
    struct found found = {0};
    uint64_t random = seed;

    for (int i = 0; i < n_trials; ++i) {
        struct uw_sweep *sweep = new_sweep(down, sf, sf, 8.0, &w);
        const double begin = 300.0 + 1024.0 * signal_uniform(&random);
        const double offset = 0.12 * chips * (signal_uniform(&random) - 0.5);

        make_channel_noise(&random);
        add_preamble(sf, UP_CHIRPS, down, begin, offset, pow(10.0, snr_db / 20.0));
        run(sweep, x, BLOCKS);
        const struct uw_sweep_hit *h = strongest(&w);
        if (h) {
            /* begin of run = begin of preamble + line, modulo a symbol */
            const double line = h->line - offset;
            const double since = fmod((down ? -line : line) + 2.0 * chips, chips);
            const double apart = h->chip - since - begin;
            const double symbols = round(apart / chips);
            const double error = fabs(apart - symbols * chips);

            if (error <= 1.0 && fabs(symbols) <= 5.0) {
                ++found.n;
                found.shifted += fabs(symbols) > 2.0;
                found.worst = fmax(found.worst, error);
                found.rms += error * error;
            }
        }
        uw_sweep_free(sweep);
    }
    found.rms = sqrt(found.rms / fmax(found.n, 1));
    print_message("SF%d %s %g dB: %d of %d, %d shifted; rms %.2f chips, at most %.2f\n", sf,
                  down ? "down" : "up", snr_db, found.n, n_trials, found.shifted, found.rms,
                  found.worst);
    return found;
}

/* Well above the noise every preamble is found, and its begin to two symbols at most. Lanes half a
 * chip apart, and lines split in two where a window meets the next chirp between two chips, leave
 * 0.27 chips rms; 0.33 if a line's place were not interpolated. */
static void test_strong(void **state) {
    double square = 0.0;

    (void)state;
    for (int sf = 5; sf <= 7; ++sf) {
        for (int i = 0; i < 4; ++i) {
            const struct found f = look_for(sf, i % 2 == 1, i < 2 ? 20.0 : 0.0, 60, 70);

            assert_int_equal(f.n, 60);
            assert_int_equal(f.shifted, 0);
            square += f.rms * f.rms / 12.0;
        }
    }
    assert_true(sqrt(square) < 0.30);
}

#define PIECE 32 /* chips that are scaled to the same energy */

/* Power of one line of one window of chips, over the mean of the window's lines; or of what stands
 * between it and the next: half that of their difference. */
static double line_power(const float complex *window, int lines, int line, bool between) {
    double complex sum = 0.0;
    double energy = 0.0;

    for (int i = 0; i < lines; ++i) {
        for (int k = 0; i % PIECE == 0 && k < PIECE; ++k) {
            const double complex z = (double complex)window[(size_t)(i + k) * 2];

            energy = (k > 0 ? energy : 0.0) + creal(z * conj(z));
        }
        const double complex z = (double complex)window[(size_t)i * 2] / sqrt(energy);
        const double half_turns = (double)(i * i) / lines - i;
        const double complex next = signal_turn(-(double)i / lines);
        const double complex turn = signal_turn(0.5 * half_turns + (double)line * i / lines);

        sum += z * conj(turn) * (between ? (1.0 - next) / sqrt(2.0) : 1.0);
    }
    return creal(sum * conj(sum)) / (lines / PIECE);
}

/* A hit's sum is what the words say, whenever it comes: also after thousands of windows, when the
 * running sums have been made anew. */
static void test_sum(void **state) {
    enum { BLOCKS_LONG = 160 }; /* 2560 windows of SF5 */
    static float complex noise[BLOCKS_LONG * SAMPLES];
    struct uw_sweep *sweep = new_sweep(false, 5, 6, 2000.0, &w);
    uint64_t random = 76;

    (void)state;
    signal_noise(noise, BLOCKS_LONG * SAMPLES, 1.0, &random);
    run(sweep, noise, BLOCKS_LONG);
    print_message("sums: %zu hits\n", w.n);
    assert_true(w.n > 100);
    for (size_t i = 0; i < w.n; ++i) {
        const struct uw_sweep_hit *h = &w.hits[i];
        const int lines = 1 << h->sf;
        double nearest = INFINITY;

        /* the line is the nearest to `line` but for a draw */
        for (int k = -4; k <= 3; ++k) {
            const int line = ((int)lround(h->line) + (k >> 1) + lines) % lines;
            double sum = 0.0;

            for (int r = 0; r < h->run; ++r)
                sum += line_power(noise + lround(2.0 * h->chip) + (ptrdiff_t)2 * r * lines, lines,
                                  line, k % 2 != 0);
            nearest = fmin(nearest, fabs(sum - h->sum));
        }
        assert_true(nearest < 1e-2);
    }
    uw_sweep_free(sweep);
}

/* The same after a million windows, to 1e-2: what is kept does not get coarser. The same noise
 * again and again makes the same hits. */
static void test_long(void **state) {
    enum { BLOCKS_AGAIN = 64, TIMES = 1000 }; /* 1024 windows of SF5 each time */
    static float complex noise[BLOCKS_AGAIN * SAMPLES];
    struct uw_sweep *sweep = new_sweep(false, 5, 5, 400.0, &w);
    uint64_t random = 79;

    (void)state;
    signal_noise(noise, BLOCKS_AGAIN * SAMPLES, 1.0, &random);
    run(sweep, noise, BLOCKS_AGAIN);
    for (int i = 1; i < TIMES; ++i) {
        w2.n = w.n;
        memcpy(w2.hits, w.hits, w.n * sizeof(*w.hits));
        w.n = 0;
        run(sweep, noise, BLOCKS_AGAIN);
        if (i < 3) /* the first time something else was before it */
            continue;
        assert_true(w.n > 10);
        assert_int_equal(w.n, w2.n);
        for (size_t k = 0; k < w.n; ++k) {
            assert_true(w.hits[k].chip - w2.hits[k].chip == BLOCKS_AGAIN * UW_SWEEP_BLOCK);
            assert_true(fabs(w.hits[k].sum - w2.hits[k].sum) < 1e-2);
        }
    }
    uw_sweep_free(sweep);
}

/* A preamble that one run just holds is found to the same sum wherever it lies: also where the sums
 * begin anew, after 1024 windows of its own or of another spreading factor. */
static void test_anywhere(void **state) {
    (void)state;
    for (int sf = UW_SWEEP_SF_MIN; sf <= 7; ++sf) {
        const size_t chips = (size_t)1 << sf;
        float re[UW_SWEEP_BLOCK], im[UW_SWEEP_BLOCK];
        uint64_t random = 80;

        for (long before = 0; before <= 10; ++before) {
            /* windows of the preamble in front of number 1024 */
            const size_t begin = (1024 - (size_t)before) * chips;
            struct uw_sweep *sweep = new_sweep(false, sf, sf, 1e-6, &w);

            for (size_t at = 0; at < (1024 + 32) * chips; at += UW_SWEEP_BLOCK) {
                for (size_t i = 0; i < UW_SWEEP_BLOCK; ++i) {
                    const bool is_in = at + i >= begin && at + i < begin + (UP_CHIRPS - 1) * chips;
                    const double u = (double)((at + i) % chips);
                    const float complex z =
                        0.1f * signal_normal(&random) +
                        (is_in ? signal_turn(0.5 * (u * u / (double)chips - u)) : 0.0f);

                    re[i] = crealf(z);
                    im[i] = cimagf(z);
                }
                uw_sweep_block(sweep, re, im);
            }
            const struct uw_sweep_hit *h = strongest(&w);
            /* all of 2^SF lines' power in one */
            assert_non_null(h);
            assert_true(fabs(h->sum / (0.99 * (UP_CHIRPS - 1) * (double)chips) - 1.0) < 0.02);
            assert_true(fabs(h->chip - (double)begin) <= (double)chips);
            uw_sweep_free(sweep);
        }
    }
}

/* Strong chirps that drift by a line or more a symbol open several hits side by side, whose sums
 * overlap: their lines are lines of the spectrum all the same. */
static void test_drift(void **state) {
    uint64_t random = 77;
    size_t n = 0;

    (void)state;
    for (int i = 0; i < 150; ++i) {
        struct uw_sweep *sweep = new_sweep(false, 5, 9, 8.0, &w);
        const double chips = (double)(1 << (5 + signal_random(&random) % 5));
        const float amplitude = (float)pow(10.0, 1.5 * signal_uniform(&random));
        const double speed = 1.0 + 0.02 * (signal_uniform(&random) - 0.5);
        double u = 0.0;
        double turns = 0.0;

        for (int b = 0; b < 30; ++b) {
            for (size_t k = 0; k < SAMPLES; ++k) {
                turns += 0.5 * (u / chips - 0.5);
                u += 0.5 * speed;
                u -= u >= chips ? chips : 0.0;
                x[k] = signal_normal(&random) + amplitude * signal_turn(turns);
            }
            run(sweep, x, 1);
        }
        for (size_t k = 0; k < w.n; ++k) {
            assert_true(w.hits[k].line >= -0.5);
            assert_true(w.hits[k].line <= (double)(1 << w.hits[k].sf) - 0.5);
        }
        n += w.n;
        uw_sweep_free(sweep);
    }
    print_message("drift: %zu hits\n", n);
    assert_true(n > 1000);
}

/* A carrier far above the noise is spread over all lines: no more hits than noise makes. */
static void test_carrier(void **state) {
    const size_t n_blocks = 2000;
    const double seconds = (double)n_blocks * UW_SWEEP_BLOCK / BANDWIDTH;
    struct uw_sweep *sweep = new_sweep(false, 5, UW_SWEEP_SF_MAX, 8.0, &w);
    uint64_t random = 75;

    (void)state;
    for (size_t i = 0; i < n_blocks; ++i) {
        signal_noise(x, SAMPLES, 1.0, &random);
        for (size_t k = 0; k < SAMPLES; ++k)
            x[k] += 10.0f * signal_turn(0.08137 * (double)(i * SAMPLES + k));
        run(sweep, x, 1);
    }
    print_message("carrier: %zu hits of %.0f\n", w.n, 10.0 * 8.0 * seconds);
    assert_true((double)w.n < 10.0 * 8.0 * seconds);
    uw_sweep_free(sweep);
}

/* Pd at the threshold of 8 hits a second, from 600 to 2400 trials with another seed; both errors
 * are binomial, 4 sigma. */
static void test_weak(void **state) {
    static const struct {
        int sf;
        double snr_db, pd;
        int of; /* trials behind pd */
    } cases[] = {
        {6, -9.0, 0.978, 1200},
        {6, -12.0, 0.673, 2400},
        {5, -9.0, 0.535, 1200},
        {7, -12.0, 0.987, 2400},
    };
    const int n = 200;

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); ++i) {
        const double pd = cases[i / 2].pd;
        const struct found f = look_for(cases[i / 2].sf, i % 2 == 1, cases[i / 2].snr_db, n, 71);
        const double sigma = sqrt(pd * (1.0 - pd) * (1.0 / n + 1.0 / cases[i / 2].of));

        assert_true(fabs((double)f.n / n - pd) < 4.0 * sigma);
        assert_true(f.rms < 0.38);
        assert_true(f.shifted <= f.n / 10);
    }
}

/* Each direction hears its own chirps only. */
static void test_direction(void **state) {
    (void)state;
    for (int i = 0; i < 4; ++i) {
        struct uw_sweep *sweep = new_sweep(i % 2 == 1, 6, 6, 1e-3, &w);
        uint64_t random = 72;

        make_channel_noise(&random);
        add_preamble(6, UP_CHIRPS, i / 2 == 1, 700.3, 1.7, 1.0);
        run(sweep, x, BLOCKS);
        assert_true((w.n > 0) == (i % 2 == i / 2));
        uw_sweep_free(sweep);
    }
}

/* After a reset nothing is left of what was before: neither runs nor hits that were still open,
 * nor the count of chips; all is as in a new one. */
static void test_reset(void **state) {
    struct uw_sweep *sweep = new_sweep(false, UW_SWEEP_SF_MIN, UW_SWEEP_SF_MAX, 400.0, &w);
    struct uw_sweep *fresh = new_sweep(false, UW_SWEEP_SF_MIN, UW_SWEEP_SF_MAX, 400.0, &w2);
    uint64_t random = 73;

    (void)state;
    /* a run that is going on at the end of what is given, and hits that wait */
    make_channel_noise(&random);
    add_preamble(6, UP_CHIRPS, false, UW_SWEEP_BLOCK * 2.5, 0.0, 1.0);
    run(sweep, x, 3);
    uw_sweep_reset(sweep);
    w.n = 0;
    make_channel_noise(&random);
    add_preamble(6, UP_CHIRPS, false, 900.0, 0.0, 0.5);
    run(sweep, x, BLOCKS);
    run(fresh, x, BLOCKS);
    assert_true(w.n > 0);
    assert_int_equal(w.n, w2.n);
    for (size_t i = 0; i < w.n; ++i) {
        assert_int_equal(w.hits[i].sf, w2.hits[i].sf);
        assert_true(w.hits[i].chip == w2.hits[i].chip && w.hits[i].line == w2.hits[i].line);
        assert_true(w.hits[i].sum == w2.hits[i].sum && w.hits[i].run == w2.hits[i].run);
    }
    uw_sweep_free(sweep);
    uw_sweep_free(fresh);
}

/* Samples that are no numbers are as if they were not there: neither a hit of their own nor one
 * less of what follows. */
static void test_no_number(void **state) {
    static const float values[] = {NAN, INFINITY, -INFINITY, 3e38f};

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); ++i) {
        struct uw_sweep *sweep = new_sweep(false, UW_SWEEP_SF_MIN, UW_SWEEP_SF_MAX, 1e-3, &w);
        uint64_t random = 78;

        make_channel_noise(&random);
        for (size_t k = 0; k < SAMPLES; k += 1 + 50 * i)
            x[k] = values[i];
        run(sweep, x, BLOCKS);
        assert_int_equal(w.n, 0);
        make_channel_noise(&random);
        add_preamble(6, UP_CHIRPS, false, 700.3, 1.7, 1.0);
        run(sweep, x, BLOCKS);
        assert_true(w.n > 0);
        uw_sweep_free(sweep);
    }
}

/* The stream begins with the end of a preamble, and digital silence or noise follows: where it
 * began, nowhere else. */
static void test_begin(void **state) {
    (void)state;
    for (int i = 0; i < 4; ++i) {
        struct uw_sweep *sweep = new_sweep(false, 6, 6, 8.0, &w);
        uint64_t random = 74;

        memset(x, 0, sizeof(x));
        if (i % 2 == 1)
            make_channel_noise(&random);
        add_preamble(6, 3 + i / 2, false, 0.0, 0.0, 10.0);
        run(sweep, x, BLOCKS);
        const struct uw_sweep_hit *h = strongest(&w);
        assert_non_null(h);
        print_message("begin: chip %g line %g sum %g\n", h->chip, h->line, h->sum);
        assert_true(fabs(h->line) < 0.2);
        assert_true(h->chip > -64.0 * (UP_CHIRPS - 1) && h->chip < 64.0 * UP_CHIRPS);
        assert_true(fmod(h->chip, 64.0) == 0.0);
        uw_sweep_free(sweep);
    }
}

static int set_up(void **state) {
    (void)state;
    return uw_lines_new(&tables);
}

static int tear_down(void **state) {
    (void)state;
    tables = uw_lines_free(tables);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch),      cmocka_unit_test(test_noise),
        cmocka_unit_test(test_rare_noise), cmocka_unit_test(test_strong),
        cmocka_unit_test(test_weak),       cmocka_unit_test(test_direction),
        cmocka_unit_test(test_carrier),    cmocka_unit_test(test_drift),
        cmocka_unit_test(test_sum),        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_begin),      cmocka_unit_test(test_no_number),
        cmocka_unit_test(test_long),       cmocka_unit_test(test_anywhere),
    };

    return cmocka_run_group_tests_name("sweep", tests, set_up, tear_down);
}
