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
 * and that of what stands half-way between them, |X[k] - X[k+1]|^2 / 2: of a tone half-way 0.9 dB
 * less than its own line would have, and of white noise the same mean as of a line. 1.4 dB are lost
 * at most. One sample a chip is enough for both.
 *
 * Of what all this costs most is to read and write, not to add. So a window's amplitudes become
 * powers, of both lanes, are scaled, added and held against the threshold in one go, while they are
 * in registers; lines stand in an order that makes this possible (lines.c).
 */

/* vectors are arguments of inline functions alone */
#pragma GCC diagnostic ignored "-Wpsabi"

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
#define LINES    (UW_SWEEP_BLOCK + UW_LINES_LANES * UW_SWEEP_BLOCK / PIECE)
#define REFRESH                                                                                    \
    1024 /* windows, whole blocks, after which the sums are made anew: rounding errors must not    \
            add up */

#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(4 * UW_LINES_LANES), may_alias));
typedef float any_vec __attribute__((vector_size(4 * UW_LINES_LANES), aligned(4), may_alias));
typedef int mask __attribute__((vector_size(4 * UW_LINES_LANES)));
typedef long long wide __attribute__((vector_size(4 * UW_LINES_LANES)));

struct open_hit {
    bool used;
    size_t line;
    float sum, left, right;
    uint64_t window; /* last of the run */
};

struct stage {
    int run;
    float threshold;
    float *rows;     /* run rows of 2^SF powers of each lane, in the order of uw_lines_place() */
    float *sum;      /* the lanes' one behind the other, too */
    size_t oldest;   /* row */
    uint64_t window; /* since the stream began */
    uint64_t due;    /* no hit is closed before this window; UINT64_MAX: none is open */
    struct open_hit open[LANES][OPEN_MAX];
};

struct uw_sweep {
    struct uw_sweep_config config;
    void (*hit)(void *userdata, const struct uw_sweep_hit *hit);
    void *userdata;
    struct stage stages[N_SF];
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
    for (size_t i = 0; i < N_SF; ++i) {
        free(sweep->stages[i].rows);
        free(sweep->stages[i].sum);
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

    stage->due = UINT64_MAX;
    stage->run = config->run[sf] < RUN_MAX ? config->run[sf] : RUN_MAX;
    stage->threshold = solve_threshold(stage->run, rate_hz / config->bandwidth_hz);
    stage->rows = new_floats((size_t)stage->run * LANES * n);
    stage->sum = new_floats(LANES * n);
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
        int r = config->run[sf] > 0 ? new_stage(config, sf, &sweep->stages[sf]) : 0;

        if (r < 0)
            return r;
    }
    *ret_sweep = sweep;
    sweep = NULL;
    return 0;
}

void uw_sweep_reset(struct uw_sweep *sweep) {
    for (int sf = UW_SWEEP_SF_MIN; sf <= UW_SWEEP_SF_MAX; ++sf) {
        struct stage *s = &sweep->stages[sf];

        if (s->run == 0)
            continue;
        memset(s->rows, 0, (size_t)s->run * LANES * sizeof(float) << sf);
        memset(s->sum, 0, LANES * sizeof(float) << sf);
        memset(s->open, 0, sizeof(s->open));
        s->due = UINT64_MAX;
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
    const struct stage *s = &sweep->stages[sf];
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
static void note(struct stage *s, int sf, int lane, size_t line) {
    size_t n = (size_t)1 << sf;
    const float *sum = s->sum + (size_t)lane * n;
    struct open_hit *place = NULL;
    struct open_hit hit = {
        .used = true,
        .line = line,
        .sum = sum[uw_lines_place(sf, line)],
        .left = sum[uw_lines_place(sf, (line + n - 1) % n)],
        .right = sum[uw_lines_place(sf, (line + 1) % n)],
        .window = s->window,
    };

    for (size_t i = 0; i < OPEN_MAX; ++i) {
        struct open_hit *o = &s->open[lane][i];

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
        if (s->due > s->window + (uint64_t)s->run)
            s->due = s->window + (uint64_t)s->run;
    }
}

/* Gives the hits whose runs can't be seen again. */
static void close_old(struct uw_sweep *sweep, int sf) {
    struct stage *s = &sweep->stages[sf];

    s->due = UINT64_MAX;
    for (int lane = 0; lane < LANES; ++lane) {
        for (size_t i = 0; i < OPEN_MAX; ++i) {
            struct open_hit *o = &s->open[lane][i];
            uint64_t due = o->window + (uint64_t)s->run;

            if (o->used && s->window >= due) {
                give(sweep, sf, lane, o);
                o->used = false;
            } else if (o->used && due < s->due) {
                s->due = due;
            }
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

/* Whether any element is set. */
INLINE bool is_any(mask x) {
    wide w = (wide)x;

    return (w[0] | w[1] | w[2] | w[3]) != 0;
}

/* A vector of powers takes the place of the oldest one. Returns which sums pass. */
INLINE mask add_powers(vec power, vec threshold, float *row, float *sum) {
    vec s = *(vec *)sum + (power - *(vec *)row);

    *(vec *)row = power;
    *(vec *)sum = s;
    return s > threshold;
}

/* The powers of n amplitudes, and of what stands half-way to the lines above, into the row and the
 * sums of both lanes, n_lines apart. Returns which sums pass. */
INLINE mask add_lines(size_t n, const float *re, const float *im, size_t above, float scale,
                      float threshold, size_t n_lines, float *row, float *sum) {
    vec t = threshold - (vec){0};
    mask any = {0};

    for (size_t b = 0; b < n; b += UW_LINES_LANES) {
        vec r = *(const vec *)(re + b), i = *(const vec *)(im + b);
        vec dr = r - *(const any_vec *)(re + above + b),
            di = i - *(const any_vec *)(im + above + b);

        any |= add_powers((r * r + i * i) * scale, t, row + b, sum + b);
        any |= add_powers((dr * dr + di * di) * (0.5f * scale), t, row + n_lines + b,
                          sum + n_lines + b);
    }
    return any;
}

/* Amplitudes of windows of 2^sf lines into the sums, from row *at on. Returns after how many
 * windows a sum passes, or that none does: n_windows + 1. */
UW_CLONES
static size_t add_windows(const struct stage *s, int sf, const float *re, const float *im,
                          const float *scale, size_t n_windows, size_t *at) {
    size_t n = (size_t)1 << sf;
    size_t last = uw_lines_last(sf);
    size_t tail = n - UW_LINES_LANES;
    float t = s->threshold;

    for (size_t w = 0; w < n_windows; ++w, re += uw_lines_stride(sf), im += uw_lines_stride(sf)) {
        float *row = s->rows + *at * LANES * n;
        float *sum = s->sum;
        mask any;

        *at = *at + 1 == (size_t)s->run ? 0 : *at + 1;
        /* stretches whose upper neighbours stand in one piece: uw_lines_above() */
        any = add_lines(last, re, im, UW_LINES_SQUARE, scale[w], t, n, row, sum);
        any |= add_lines(tail - last, re + last, im + last, 1 - last, scale[w], t, n, row + last,
                         sum + last);
        any |= add_lines(UW_LINES_LANES, re + tail, im + tail, UW_LINES_LANES, scale[w], t, n,
                         row + tail, sum + tail);
        if (is_any(any))
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

/* The lines whose sums pass, a bit each. */
UW_CLONES
static void mark(const float *sum, int sf, float threshold, uint64_t *ret_lines) {
    for (size_t b = 0; b < (size_t)1 << sf; b += UW_LINES_LANES) {
        if (!is_any(*(const vec *)(sum + b) > threshold - (vec){0}))
            continue;
        for (size_t k = b; k < b + UW_LINES_LANES; ++k) {
            size_t line = uw_lines_line(sf, k);

            if (sum[k] > threshold)
                ret_lines[line / 64] |= (uint64_t)1 << line % 64;
        }
    }
}

/* In the lines' order. */
static void note_all(struct stage *s, int sf, int lane) {
    size_t n = (size_t)1 << sf;
    uint64_t lines[((size_t)1 << UW_SWEEP_SF_MAX) / 64] = {0};

    mark(s->sum + (size_t)lane * n, sf, s->threshold, lines);
    for (size_t i = 0; i < UW_ARRAY_SIZE(lines); ++i) {
        for (uint64_t left = lines[i]; left != 0; left &= left - 1)
            note(s, sf, lane, 64 * i + (size_t)__builtin_ctzll(left));
    }
}

/* A block's amplitudes and the scales of their powers into the sums. */
static void run_stage(struct uw_sweep *sweep, int sf, const float *re, const float *im,
                      const float *scale) {
    struct stage *s = &sweep->stages[sf];
    size_t n = (size_t)1 << sf;
    size_t n_windows = UW_SWEEP_BLOCK / n;

    for (size_t w = 0; w < n_windows;) {
        size_t most = n_windows - w;
        size_t from = w * uw_lines_stride(sf);
        size_t done;
        bool any;

        /* what is open must be closed in time */
        if (s->due - s->window < most)
            most = (size_t)(s->due - s->window) + 1;
        done = add_windows(s, sf, re + from, im + from, scale + w, most, &s->oldest);
        any = done <= most;
        done = any ? done : most;
        w += done;
        s->window += done - 1; /* of the last one */
        for (int lane = 0; any && lane < LANES; ++lane)
            note_all(s, sf, lane);
        if (s->window >= s->due)
            close_old(sweep, sf);
        ++s->window;
    }
    if (s->window % REFRESH == 0)
        refresh(s, LANES * n);
}

static void run_sf(struct uw_sweep *sweep, int sf, const struct block *x) {
    _Alignas(64) float line_re[LINES], line_im[LINES];
    float scale[UW_SWEEP_BLOCK / PIECE];
    const float *re, *im;

    uw_lines_chirp(sweep->config.lines, sf, sweep->config.down, &re, &im);
    uw_lines_amplitudes(sweep->config.lines, sf, UW_SWEEP_BLOCK, x->re, x->im, re, im, line_re,
                        line_im);
    scale_windows(x, sf, scale);
    run_stage(sweep, sf, line_re, line_im, scale);
}

void uw_sweep_block(struct uw_sweep *sweep, const float complex *samples) {
    struct block x;

    take_chips((const float *)samples, x.re, x.im);
    measure(x.re, x.im, x.energy);
    for (int sf = UW_SWEEP_SF_MIN; sf <= UW_SWEEP_SF_MAX; ++sf) {
        if (sweep->stages[sf].run > 0)
            run_sf(sweep, sf, &x);
    }
}
