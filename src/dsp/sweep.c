/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The preamble's equal chirps, dechirped in successive windows of one symbol with any alignment,
 * all have their line in the same place. Powers are divided by their window's mean (a strong
 * neighbour then weighs no more than noise) and added over as many windows as the preamble fills:
 * over noise the sum of `run` exponential variables, Gamma distributed with shape `run`. Its
 * threshold t follows from the wanted rate of false hits: with 2^SF lines and B / 2^SF windows a
 * second there are B new sums a second, of which about 1 in run / 2 is independent of its
 * neighbours in time; Q(run, t) B = rate is solved for t. What passes is no packet yet: the lattice
 * of slots decides (src/sig).
 *
 * A tone between two lines loses up to 3.9 dB. So there are two lanes of sums: that of the lines,
 * and that of what stands half-way between them (uw/dsp/lines.h): 1.4 dB are lost at most. One
 * sample a chip is enough for both.
 */

#include "uw/dsp/sweep.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/faint.h"
#include "uw/dsp/lines.h"

#define N_SF     (UW_SWEEP_SF_MAX + 1)
#define RUN_MAX  32
#define LANES    2
#define OPEN_MAX 16
#define PIECE    ((size_t)1 << UW_SWEEP_SF_MIN)
#define REFRESH                                                                                    \
    1024 /* windows, whole blocks, after which the sums are made anew: rounding errors must not    \
            add up */

struct open_hit {
    bool used;
    size_t line;
    float sum, left, right;
    uint64_t window; /* last of the run */
};

struct stage {
    int run;
    float threshold;
    float *rows; /* run rows of 2^SF powers, in the order of uw_lines_place() */
    float *sum;
    size_t oldest;   /* row */
    uint64_t window; /* since the stream began */
    size_t n_open;
    struct open_hit open[OPEN_MAX];
};

struct uw_sweep {
    struct uw_sweep_config config;
    void (*hit)(void *userdata, const struct uw_sweep_hit *hit);
    void *userdata;
    struct stage stages[N_SF][LANES];
};

/* One sample a chip of a block. */
struct block {
    _Alignas(64) float re[UW_SWEEP_BLOCK];
    _Alignas(64) float im[UW_SWEEP_BLOCK];
    float energy[UW_SWEEP_BLOCK >> UW_SWEEP_SF_MIN]; /* of its pieces */
};

static float solve_threshold(int run, double probability) {
    double low = run;
    double high = run + 200.0;

    for (int i = 0; i < 60; ++i) {
        double mid = 0.5 * (low + high);

        if (uw_gamma_tail(run, mid) > probability)
            low = mid;
        else
            high = mid;
    }
    return (float)high;
}

struct uw_sweep *uw_sweep_free(struct uw_sweep *sweep) {
    if (!sweep)
        return NULL;
    for (size_t i = 0; i < N_SF * LANES; ++i) {
        struct stage *s = &sweep->stages[i / LANES][i % LANES];

        free(s->rows);
        free(s->sum);
    }
    free(sweep);
    return NULL;
}

static void sweep_freep(struct uw_sweep **sweep) {
    *sweep = uw_sweep_free(*sweep);
}

/* n a multiple of 16: whole lines of the cache. */
static float *new_floats(size_t n) {
    float *x = aligned_alloc(64, n * sizeof(*x));

    if (x)
        memset(x, 0, n * sizeof(*x));
    return x;
}

static int new_stage(const struct uw_sweep_config *config, int sf, struct stage *stage) {
    size_t n = (size_t)1 << sf;
    double share = config->rate_share[sf] > 0.0 ? config->rate_share[sf] : 1.0;
    double rate_hz = share * config->false_rate_hz;

    stage->run = config->run[sf] < RUN_MAX ? config->run[sf] : RUN_MAX;
    stage->threshold = solve_threshold(stage->run, rate_hz / config->bandwidth_hz);
    stage->rows = new_floats((size_t)stage->run * n);
    stage->sum = new_floats(n);
    return stage->rows && stage->sum ? 0 : uw_err(-ENOMEM);
}

int uw_sweep_new(const struct uw_sweep_config *config,
                 void (*hit)(void *userdata, const struct uw_sweep_hit *hit), void *userdata,
                 struct uw_sweep **ret_sweep) {
    UW_CLEANUP(sweep_freep) struct uw_sweep *sweep = calloc(1, sizeof(*sweep));

    if (!sweep)
        return uw_err(-ENOMEM);
    sweep->config = *config;
    sweep->hit = hit;
    sweep->userdata = userdata;
    for (int sf = UW_SWEEP_SF_MIN; sf <= UW_SWEEP_SF_MAX; ++sf) {
        for (int lane = 0; lane < LANES && config->run[sf] > 0; ++lane) {
            int r = new_stage(config, sf, &sweep->stages[sf][lane]);

            if (r < 0)
                return r;
        }
    }
    *ret_sweep = sweep;
    sweep = NULL;
    return 0;
}

void uw_sweep_reset(struct uw_sweep *sweep) {
    for (int i = UW_SWEEP_SF_MIN * LANES; i < N_SF * LANES; ++i) {
        int sf = i / LANES;
        struct stage *s = &sweep->stages[sf][i % LANES];

        if (s->run == 0)
            continue;
        memset(s->rows, 0, ((size_t)s->run << sf) * sizeof(float));
        memset(s->sum, 0, sizeof(float) << sf);
        memset(s->open, 0, sizeof(s->open));
        s->n_open = 0;
        s->oldest = 0;
        s->window = 0;
    }
}

/* Where the line stands from its bin, by the parabola through three amplitudes. Half a bin at most:
 * a neighbour that another hit has taken may be larger. */
static double off_bin(const struct open_hit *o) {
    double left = sqrt((double)o->left);
    double right = sqrt((double)o->right);
    double curve = left - 2.0 * sqrt((double)o->sum) + right;

    return curve < 0.0 ? fmin(fmax(0.5 * (left - right) / curve, -0.5), 0.5) : 0.0;
}

static void give(struct uw_sweep *sweep, int sf, int lane, const struct open_hit *o) {
    const struct stage *s = &sweep->stages[sf][lane];
    double chips = (double)(1 << sf);
    struct uw_sweep_hit hit = {
        .sf = sf,
        /* negative for a run that the stream's begin cuts short */
        .chip = ((double)o->window + 1.0 - s->run) * chips,
        .line = (double)o->line + off_bin(o) + 0.5 * lane,
        .sum = (double)o->sum,
        .run = s->run,
    };

    if (hit.line > chips - 0.5)
        hit.line -= chips;
    sweep->hit(sweep->userdata, &hit);
}

/* A sum over the threshold: the same run seen a window later or a line aside is one hit, the
 * largest. */
static void note(struct stage *s, int sf, size_t line) {
    size_t n = (size_t)1 << sf;
    struct open_hit *place = NULL;
    struct open_hit hit = {
        .used = true,
        .line = line,
        .sum = s->sum[uw_lines_place(sf, line)],
        .left = s->sum[uw_lines_place(sf, (line + n - 1) % n)],
        .right = s->sum[uw_lines_place(sf, (line + 1) % n)],
        .window = s->window,
    };

    for (size_t i = 0; i < OPEN_MAX; ++i) {
        struct open_hit *o = &s->open[i];

        if (!o->used) {
            place = place ? place : o;
        } else if (((line + n - o->line + 2) % n) <= 4) {
            if (hit.sum > o->sum)
                *o = hit;
            return;
        }
    }
    if (place) {
        *place = hit;
        ++s->n_open;
    }
}

static void close_old(struct uw_sweep *sweep, int sf, int lane) {
    struct stage *s = &sweep->stages[sf][lane];

    for (size_t i = 0; i < OPEN_MAX; ++i) {
        struct open_hit *o = &s->open[i];

        if (o->used && s->window >= o->window + (uint64_t)s->run) {
            give(sweep, sf, lane, o);
            o->used = false;
            --s->n_open;
        }
    }
}

static void refresh(struct stage *s, size_t n) {
    memset(s->sum, 0, n * sizeof(float));
    for (size_t r = 0; r < (size_t)s->run; ++r) {
        for (size_t b = 0; b < n; ++b)
            s->sum[b] += s->rows[r * n + b];
    }
}

/* Powers of windows of n lines, times their scale, take the place of the oldest rows, from row
 * *at on. Returns after how many windows a sum passes, or that none does: n_windows + 1. */
UW_CLONES
static size_t add_windows(const float *restrict power, const float *restrict scale,
                          size_t n_windows, size_t n, float threshold, float *restrict rows,
                          size_t n_rows, size_t *restrict at, float *restrict sum) {
    for (size_t w = 0; w < n_windows; ++w) {
        float *restrict row = rows + *at * n;
        int any = 0;

        *at = *at + 1 == n_rows ? 0 : *at + 1;
        for (size_t b = 0; b < n; ++b) {
            float p = power[w * n + b] * scale[w];
            float s = sum[b] + (p - row[b]);

            sum[b] = s;
            row[b] = p;
            any |= s > threshold;
        }
        if (any)
            return w + 1;
    }
    return n_windows + 1;
}

/* Of two samples a chip the first. */
UW_CLONES
static void take_chips(const float *restrict x, float *restrict re, float *restrict im) {
    for (size_t i = 0; i < UW_SWEEP_BLOCK; ++i) {
        re[i] = x[4 * i];
        im[i] = x[4 * i + 1];
    }
}

UW_CLONES
static void measure(const float *restrict re, const float *restrict im, float *restrict energy) {
    for (size_t k = 0; k < UW_SWEEP_BLOCK / PIECE; ++k) {
        float e[16] = {0};

        for (size_t i = 0; i < PIECE; i += 16) {
            for (size_t q = 0; q < 16; ++q) {
                float r = re[k * PIECE + i + q];
                float m = im[k * PIECE + i + q];

                e[q] += r * r + m * m;
            }
        }
        energy[k] = 0.0f;
        for (size_t q = 0; q < 16; ++q)
            energy[k] += e[q];
    }
}

/* The mean power of a window's lines is its energy (M.-A. Parseval). */
static void scale_windows(const struct block *x, int sf, float *scale) {
    size_t pieces = (size_t)1 << (sf - UW_SWEEP_SF_MIN);

    for (size_t w = 0; w < (size_t)UW_SWEEP_BLOCK >> sf; ++w) {
        float energy = 1e-30f;

        for (size_t k = 0; k < pieces; ++k)
            energy += x->energy[w * pieces + k];
        scale[w] = 1.0f / energy;
    }
}

static void note_all(struct stage *s, int sf) {
    size_t n = (size_t)1 << sf;

    for (size_t b = 0; b < n; ++b) {
        if (s->sum[uw_lines_place(sf, b)] > s->threshold)
            note(s, sf, b);
    }
}

/* A block's powers and their scales into the sums. */
static void run_stage(struct uw_sweep *sweep, int sf, int lane, const float *power,
                      const float *scale) {
    struct stage *s = &sweep->stages[sf][lane];
    size_t n = (size_t)1 << sf;
    size_t n_windows = UW_SWEEP_BLOCK / n;

    for (size_t w = 0; w < n_windows;) {
        /* what is open must be closed in time */
        size_t most = s->n_open > 0 ? 1 : n_windows - w;
        size_t done = add_windows(power + w * n, scale + w, most, n, s->threshold, s->rows,
                                  (size_t)s->run, &s->oldest, s->sum);
        bool any = done <= most;

        done = any ? done : most;
        w += done;
        s->window += done - 1; /* of the last one */
        if (any)
            note_all(s, sf);
        if (s->n_open > 0)
            close_old(sweep, sf, lane);
        ++s->window;
    }
    if (s->window % REFRESH == 0)
        refresh(s, n);
}

static void run_sf(struct uw_sweep *sweep, int sf, const struct block *x) {
    _Alignas(64) float power[LANES][UW_SWEEP_BLOCK];
    float scale[UW_SWEEP_BLOCK / PIECE];
    const float *re, *im;

    uw_lines_chirp(sweep->config.lines, sf, sweep->config.down, &re, &im);
    for (size_t i = 0; i < UW_SWEEP_BLOCK; i += uw_lines_unit(sf))
        uw_lines_run_between(sweep->config.lines, sf, x->re + i, x->im + i, re, im, power[0] + i,
                             power[1] + i);
    scale_windows(x, sf, scale);
    for (int lane = 0; lane < LANES; ++lane)
        run_stage(sweep, sf, lane, power[lane], scale);
}

void uw_sweep_block(struct uw_sweep *sweep, const float complex *samples) {
    struct block x;

    take_chips((const float *)samples, x.re, x.im);
    measure(x.re, x.im, x.energy);
    for (int sf = UW_SWEEP_SF_MIN; sf <= UW_SWEEP_SF_MAX; ++sf) {
        if (sweep->stages[sf][0].run > 0)
            run_sf(sweep, sf, &x);
    }
}
