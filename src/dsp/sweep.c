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
 */

#include "uw/dsp/sweep.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/faint.h"
#include "uw/dsp/fft.h"

#define N_SF     (UW_SWEEP_SF_MAX + 1)
#define RUN_MAX  32
#define LANES    2
#define OPEN_MAX 16
#define REFRESH                                                                                    \
    1024 /* windows after which the sums are made anew: rounding errors must not add up */

struct open_hit {
    bool used;
    size_t line;
    float sum, left, right;
    uint64_t window; /* last of the run */
};

struct stage {
    int run;
    float threshold;
    float complex *chirp; /* UW_SWEEP_BLOCK samples: the conjugate chirp, repeated */
    struct uw_fft *fft;   /* UW_SWEEP_BLOCK / 2^SF transforms of 2^SF */
    float *rows;          /* run rows of 2^SF powers */
    float *sum;
    uint64_t window; /* since the stream began */
    struct open_hit open[OPEN_MAX];
};

struct uw_sweep {
    struct uw_sweep_config config;
    void (*hit)(void *userdata, const struct uw_sweep_hit *hit);
    void *userdata;
    float complex *lines; /* UW_SWEEP_BLOCK: spectra of a block */
    struct stage stages[N_SF][LANES];
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

        uw_fft_dealloc(s->chirp);
        uw_fft_free(s->fft);
        free(s->rows);
        free(s->sum);
    }
    uw_fft_dealloc(sweep->lines);
    free(sweep);
    return NULL;
}

static void sweep_freep(struct uw_sweep **sweep) {
    *sweep = uw_sweep_free(*sweep);
}

static int new_stage(const struct uw_sweep_config *config, int sf, struct stage *stage) {
    size_t n = (size_t)1 << sf;

    stage->run = config->run[sf] < RUN_MAX ? config->run[sf] : RUN_MAX;
    stage->threshold = solve_threshold(stage->run, config->false_rate_hz / config->bandwidth_hz);
    stage->chirp = uw_fft_alloc(UW_SWEEP_BLOCK);
    stage->rows = calloc((size_t)stage->run * n, sizeof(float));
    stage->sum = calloc(n, sizeof(float));
    if (!stage->chirp || !stage->rows || !stage->sum)
        return uw_err(-ENOMEM);
    for (size_t i = 0; i < UW_SWEEP_BLOCK; ++i) {
        double t = (double)(i % n);
        double phase = UW_PI * fmod(t * t / (double)n - t, 2.0);

        if (!config->down)
            phase = -phase;
        stage->chirp[i] = (float)cos(phase) + I * (float)sin(phase);
    }
    return uw_fft_new_batch(n, UW_SWEEP_BLOCK / n, &stage->fft);
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
    sweep->lines = uw_fft_alloc(UW_SWEEP_BLOCK);
    if (!sweep->lines)
        return uw_err(-ENOMEM);
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
    struct uw_sweep_hit hit = {
        .sf = sf,
        /* negative for a run that the stream's begin cuts short */
        .chip = ((double)o->window + 1.0 - s->run) * (double)(1 << sf) + 0.5 * lane,
        .line = (double)o->line + off_bin(o),
        .sum = (double)o->sum,
        .run = s->run,
    };

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
        .sum = s->sum[line],
        .left = s->sum[(line + n - 1) % n],
        .right = s->sum[(line + 1) % n],
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
    if (place)
        *place = hit;
}

static void close_old(struct uw_sweep *sweep, int sf, int lane) {
    struct stage *s = &sweep->stages[sf][lane];

    for (size_t i = 0; i < OPEN_MAX; ++i) {
        struct open_hit *o = &s->open[i];

        if (o->used && s->window >= o->window + (uint64_t)s->run) {
            give(sweep, sf, lane, o);
            o->used = false;
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

/* Powers of n lines, divided by their mean, take the place of the oldest row. Returns whether any
 * sum passes. */
UW_CLONES
static int add_window(const float *restrict y, size_t n, float threshold, float *restrict row,
                      float *restrict sum, float *restrict power) {
    float total = 1e-30f;
    float part[16] = {0};
    int any = 0;

    for (size_t b = 0; b < n; ++b)
        power[b] = y[2 * b] * y[2 * b] + y[2 * b + 1] * y[2 * b + 1];
    for (size_t b = 0; b < n; b += 16) {
        for (size_t i = 0; i < 16; ++i)
            part[i] += power[b + i];
    }
    for (size_t i = 0; i < 16; ++i)
        total += part[i];
    float scale = (float)n / total;
    for (size_t b = 0; b < n; ++b) {
        float p = power[b] * scale;

        sum[b] += p - row[b];
        row[b] = p;
        any |= sum[b] > threshold;
    }
    return any;
}

/* Every second sample of x, times the chirp. */
UW_CLONES
static void multiply(const float *restrict x, const float *restrict chirp, float *restrict out,
                     size_t n) {
    for (size_t i = 0; i < n; ++i) {
        float re = x[4 * i] * chirp[2 * i] - x[4 * i + 1] * chirp[2 * i + 1];
        float im = x[4 * i] * chirp[2 * i + 1] + x[4 * i + 1] * chirp[2 * i];

        out[2 * i] = re;
        out[2 * i + 1] = im;
    }
}

static void run_stage(struct uw_sweep *sweep, int sf, int lane, const float complex *x) {
    struct stage *s = &sweep->stages[sf][lane];
    float power[1 << UW_SWEEP_SF_MAX];
    size_t n = (size_t)1 << sf;
    float complex *y = uw_fft_buffer(s->fft);

    multiply((const float *)(x + lane), (const float *)s->chirp, (float *)y, UW_SWEEP_BLOCK);
    uw_fft_run_to(s->fft, sweep->lines);
    for (size_t w = 0; w < UW_SWEEP_BLOCK / n; ++w) {
        float *row = s->rows + (size_t)(s->window % (uint64_t)s->run) * n;

        if (add_window((const float *)(sweep->lines + w * n), n, s->threshold, row, s->sum,
                       power)) {
            for (size_t b = 0; b < n; ++b) {
                if (s->sum[b] > s->threshold)
                    note(s, sf, b);
            }
        }
        close_old(sweep, sf, lane);
        if (++s->window % REFRESH == 0)
            refresh(s, n);
    }
}

void uw_sweep_block(struct uw_sweep *sweep, const float complex *samples) {
    for (int sf = UW_SWEEP_SF_MIN; sf <= UW_SWEEP_SF_MAX; ++sf) {
        for (int lane = 0; lane < LANES && sweep->stages[sf][0].run > 0; ++lane)
            run_stage(sweep, sf, lane, samples);
    }
}
