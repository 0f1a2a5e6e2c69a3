/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The preamble's equal chirps, dechirped in successive windows of one symbol with any alignment,
 * all have their line in the same place. Every PIECE chips are scaled to the same energy (a strong
 * neighbour then weighs no more than noise), so that the mean power of a window's lines is known,
 * and powers over it are added over as many windows as the preamble fills: over noise the sum of
 * `run` exponential variables, Gamma distributed with shape `run`. Its threshold t follows from the
 * wanted rate of false hits: with 2^SF lines and B / 2^SF windows a second there are B new sums a
 * second, of which about 1 in run / 2 is independent of its neighbours in time; Q(run, t) B = rate
 * is solved for t. What passes is no packet yet: the lattice of slots decides (src/sig).
 *
 * A tone between two lines loses up to 3.9 dB. So there are two lanes of sums: that of the lines,
 * and that of what stands half-way between them, |X[k] - X[k+1]|^2 / 2: of a tone half-way 0.9 dB
 * less than its own line would have, and of white noise the same mean as of a line. 1.4 dB are lost
 * at most. One sample a chip is enough for both.
 *
 * Of what all this costs most is to read and write, not to add. So what is kept of a window is each
 * line's sum of all powers so far: the run's is that of now less that of `run` windows ago. All of
 * a block's windows go over a few lines at a time, whose sum so far stays in registers; amplitudes
 * become powers, of both lanes, are added, and the differences held against the threshold
 * in one go. Lines stand in an order that makes this possible (lines.c).
 */

/* vectors are arguments of inline functions alone */
#pragma GCC diagnostic ignored "-Wpsabi"

#include "uw/dsp/sweep.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "largest-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/faint.h"
#include "uw/dsp/lines.h"

#define N_SF     (UW_SWEEP_SF_MAX + 1)
#define RUN_MAX  32
#define LANES    2
#define OPEN_MAX 16
#define PIECE    ((size_t)1 << UW_SWEEP_SF_MIN)
#define LINES    (UW_SWEEP_BLOCK + UW_LINES_PAD * UW_SWEEP_BLOCK / PIECE)
#define WINDOWS  (UW_SWEEP_BLOCK / PIECE) /* of a block, at most */
#define ANEW                                                                                       \
    1024 /* windows, whole blocks, after which the sums begin anew: the larger they are, the       \
            coarser; 1e-4 of a power here */

#define INLINE static inline __attribute__((always_inline))

/* As many lines as the registers of a processor with AVX-512 take; the last few of a window. */
#define WIDE 16
typedef float wide __attribute__((vector_size(4 * WIDE), aligned(4), may_alias));
typedef float narrow __attribute__((vector_size(4 * UW_LINES_LANES), aligned(4), may_alias));
typedef int wide_mask __attribute__((vector_size(4 * WIDE)));
typedef int narrow_mask __attribute__((vector_size(4 * UW_LINES_LANES)));

/* From row to row: were it a whole page, what is written would have to be told from what is read
 * next. */
#define PITCH(n) (LANES * (n) + WIDE)

struct open_hit {
    bool used;
    size_t line;
    float sum, left, right;
    uint64_t window; /* last of the run */
};

struct stage {
    int run;
    float threshold;
    size_t n_rows;   /* those of a block are written before the oldest that it needs are given up */
    float *rows;     /* of 2^SF sums so far, both lanes' one behind the other, in the order of
                        uw_lines_place() */
    float *sum;      /* a window's runs, the same way, over the mean of a line; where one passes */
    size_t latest;   /* row */
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

/* One sample a chip of a block; each piece has energy 1. */
struct block {
    _Alignas(64) float re[UW_SWEEP_BLOCK];
    _Alignas(64) float im[UW_SWEEP_BLOCK];
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

static int new_stage(const struct uw_sweep_config *config, int sf, struct stage *stage) {
    size_t n = (size_t)1 << sf;
    double share = config->rate_share[sf] > 0.0 ? config->rate_share[sf] : 1.0;
    double rate_hz = share * config->false_rate_hz;

    stage->due = UINT64_MAX;
    stage->run = config->run[sf] < RUN_MAX ? config->run[sf] : RUN_MAX;
    stage->threshold = solve_threshold(stage->run, rate_hz / config->bandwidth_hz);
    stage->n_rows = (size_t)stage->run + (UW_SWEEP_BLOCK >> sf);
    stage->rows = uw_alloc_zeroed(stage->n_rows, PITCH(n) * sizeof(float));
    stage->sum = uw_alloc_zeroed(LANES * n, sizeof(float));
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
        memset(s->rows, 0, s->n_rows * PITCH((size_t)1 << sf) * sizeof(float));
        memset(s->open, 0, sizeof(s->open));
        s->due = UINT64_MAX;
        s->latest = 0;
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

/* The row that is so many further in the ring than the latest one; of n_rows - k it is the one k
 * before it. */
static size_t row_behind(const struct stage *s, size_t by) {
    size_t at = s->latest + by;

    return at < s->n_rows ? at : at - s->n_rows;
}

UW_CLONES
static void subtract(size_t n, const float *restrict base, float *restrict row) {
    for (size_t i = 0; i < n; ++i)
        row[i] -= base[i];
}

/* All sums so far less the oldest one that the next window needs. */
static void begin_anew(struct stage *s, size_t n) {
    float *base = s->rows + row_behind(s, s->n_rows + 1 - (size_t)s->run) * PITCH(n);

    for (size_t r = 0; r < s->n_rows; ++r) {
        if (s->rows + r * PITCH(n) != base)
            subtract(LANES * n, base, s->rows + r * PITCH(n));
    }
    memset(base, 0, LANES * n * sizeof(*base));
}

/* A block's windows: where their amplitudes are, and the rows. */
struct windows {
    size_t n, n_lines;
    size_t stride; /* from one's amplitudes to the next one's */
    const float *re, *im;
    float threshold;     /* of the lines; of what is between them twice that, as it is not halved */
    const float *before; /* the row before the first one */
    const float *old[WINDOWS]; /* the row `run` windows before each */
    float *rows[WINDOWS];
};

/*
 * A few lines, from b on, of all windows, and what stands half-way to the lines above, which are
 * `above` away: powers are added to the sums so far. In *any are numbers negative where a run
 * passes: of what is greater the compiler would make a vector element by element.
 */
#define ADD_LINES(name, vec, mask)                                                                 \
    INLINE void name(const struct windows *w, size_t b, ptrdiff_t above, mask *any) {              \
        const size_t n = w->n_lines;                                                               \
        const vec t = w->threshold - (vec){0}, twice = t + t;                                      \
        vec line = *(const vec *)(w->before + b), between = *(const vec *)(w->before + n + b);     \
                                                                                                   \
        for (size_t i = 0; i < w->n; ++i) {                                                        \
            const float *re = w->re + i * w->stride + b, *im = w->im + i * w->stride + b;          \
            vec r = *(const vec *)re, m = *(const vec *)im;                                        \
            vec dr = r - *(const vec *)(re + above), dm = m - *(const vec *)(im + above);          \
                                                                                                   \
            line += r * r + m * m;                                                                 \
            between += dr * dr + dm * dm;                                                          \
            *(vec *)(w->rows[i] + b) = line;                                                       \
            *(vec *)(w->rows[i] + n + b) = between;                                                \
            vec x = line - *(const vec *)(w->old[i] + b);                                          \
            vec y = between - *(const vec *)(w->old[i] + n + b);                                   \
            *any |= (mask)(t - x) | (mask)(twice - y);                                             \
        }                                                                                          \
    }

ADD_LINES(add_wide, wide, wide_mask)
ADD_LINES(add_narrow, narrow, narrow_mask)

/* Lines [from, to), 16 at least. The last ones may be added twice, from the same sums so far. */
INLINE void add_stretch(const struct windows *w, size_t from, size_t to, ptrdiff_t above,
                        wide_mask *any) {
    for (size_t b = from; b < to; b += WIDE)
        add_wide(w, b + WIDE < to ? b : to - WIDE, above, any);
}

/* Returns whether any run passes. */
UW_CLONES
static bool add_windows(const struct windows *w, size_t last) {
    size_t tail = w->n_lines - UW_LINES_LANES;
    wide_mask any = {0};
    narrow_mask any_tail = {0};
    int ret = 0;

    /* stretches whose upper neighbours stand in one piece: uw_lines_above() */
    if (last > 0)
        add_stretch(w, 0, last, UW_LINES_SQUARE, &any);
    add_stretch(w, last, tail, 1 - (ptrdiff_t)last, &any);
    add_narrow(w, tail, UW_LINES_LANES, &any_tail);
    for (size_t i = 0; i < WIDE; ++i)
        ret |= any[i];
    for (size_t i = 0; i < UW_LINES_LANES; ++i)
        ret |= any_tail[i];
    return ret < 0;
}

/* n sums of neighbours, from twice as many. */
INLINE void add_pairs(size_t n, const float *restrict in, float *restrict out) {
    for (size_t i = 0; i < n; ++i)
        out[i] = in[2 * i] + in[2 * i + 1];
}

/* Energies of pieces: halves added to halves, and then neighbours, which makes vectors of all. */
INLINE void measure(const float *restrict re, const float *restrict im, float *restrict energy) {
    float sums[2][UW_SWEEP_BLOCK / 2];

    for (size_t k = 0; k < WINDOWS; ++k) {
        const float *r = re + k * PIECE, *m = im + k * PIECE;

        for (size_t i = 0; i < PIECE / 2; ++i)
            sums[0][k * PIECE / 2 + i] =
                (r[i] * r[i] + m[i] * m[i]) +
                (r[i + PIECE / 2] * r[i + PIECE / 2] + m[i + PIECE / 2] * m[i + PIECE / 2]);
    }
    _Static_assert(PIECE == 32, "four steps from half a piece to one sum");
    add_pairs(UW_SWEEP_BLOCK / 4, sums[0], sums[1]);
    add_pairs(UW_SWEEP_BLOCK / 8, sums[1], sums[0]);
    add_pairs(UW_SWEEP_BLOCK / 16, sums[0], sums[1]);
    add_pairs(WINDOWS, sums[1], energy);
}

/* What is no number would stay in the sums: such a piece is silence. */
UW_CLONES
static void scale_pieces(const float *restrict re, const float *restrict im, float *restrict ret_re,
                         float *restrict ret_im) {
    float energy[WINDOWS];

    measure(re, im, energy);
    for (size_t k = 0; k < WINDOWS; ++k)
        energy[k] = 1.0f / sqrtf(energy[k] + 1e-30f);
    for (size_t k = 0; k < WINDOWS; ++k) {
        bool is_number = energy[k] > 0.0f;

        for (size_t i = k * PIECE; is_number && i < (k + 1) * PIECE; ++i) {
            ret_re[i] = re[i] * energy[k];
            ret_im[i] = im[i] * energy[k];
        }
        for (size_t i = k * PIECE; !is_number && i < (k + 1) * PIECE; ++i)
            ret_re[i] = ret_im[i] = 0.0f;
    }
}

/* The mean power of a window's lines, which is its energy (M.-A. Parseval). */
static float mean_of(int sf) {
    return (float)(1 << (sf - UW_SWEEP_SF_MIN));
}

/* The lines whose sums pass, a bit each. */
static void mark(const float *sum, int sf, float threshold, uint64_t *ret_lines) {
    for (size_t k = 0; k < (size_t)1 << sf; ++k) {
        size_t line;

        if (sum[k] <= threshold)
            continue;
        line = uw_lines_line(sf, k);
        ret_lines[line / 64] |= (uint64_t)1 << line % 64;
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

/* The runs of one window, of one lane. Returns the largest. */
UW_CLONES
static float take_sums(size_t n, const float *restrict row, const float *restrict old, float scale,
                       float *restrict sum) {
    for (size_t i = 0; i < n; ++i)
        sum[i] = (row[i] - old[i]) * scale;
    return uw_largest(n, sum);
}

/* A block in which a sum passes, window by window. */
static void note_windows(struct uw_sweep *sweep, int sf, const struct windows *w) {
    struct stage *s = &sweep->stages[sf];

    for (size_t i = 0; i < w->n; ++i, ++s->window) {
        for (int lane = 0; lane < LANES; ++lane) {
            size_t n = w->n_lines, from = (size_t)lane * n;
            float scale = (lane == 0 ? 1.0f : 0.5f) / mean_of(sf);

            if (take_sums(n, w->rows[i] + from, w->old[i] + from, scale, s->sum + from) >
                s->threshold)
                note_all(s, sf, lane);
        }
        if (s->window >= s->due)
            close_old(sweep, sf);
    }
}

/* A block's amplitudes into the sums. */
static void run_stage(struct uw_sweep *sweep, int sf, struct windows *w) {
    struct stage *s = &sweep->stages[sf];
    size_t pitch = PITCH(w->n_lines);
    size_t at = row_behind(s, 1);
    size_t old = row_behind(s, s->n_rows + 1 - (size_t)s->run);

    w->before = s->rows + s->latest * pitch;
    for (size_t i = 0; i < w->n; ++i) {
        w->rows[i] = s->rows + at * pitch;
        w->old[i] = s->rows + old * pitch;
        at = at + 1 < s->n_rows ? at + 1 : 0;
        old = old + 1 < s->n_rows ? old + 1 : 0;
    }
    w->threshold = s->threshold * mean_of(sf);
    if (add_windows(w, uw_lines_last(sf))) {
        note_windows(sweep, sf, w);
    } else {
        s->window += w->n - 1; /* the last one */
        if (s->window >= s->due)
            close_old(sweep, sf);
        ++s->window;
    }
    s->latest = row_behind(s, w->n);
    if (s->window % ANEW == 0)
        begin_anew(s, w->n_lines);
}

static void run_sf(struct uw_sweep *sweep, int sf, const struct block *x) {
    _Alignas(64) float line_re[LINES], line_im[LINES];
    struct windows w;
    const float *re, *im;

    uw_lines_chirp(sweep->config.lines, sf, sweep->config.down, &re, &im);
    uw_lines_amplitudes(sweep->config.lines, sf, UW_SWEEP_BLOCK, x->re, x->im, re, im, line_re,
                        line_im);
    w.n = UW_SWEEP_BLOCK >> sf;
    w.n_lines = (size_t)1 << sf;
    w.stride = uw_lines_stride(sf);
    w.re = line_re;
    w.im = line_im;
    run_stage(sweep, sf, &w);
}

void uw_sweep_block(struct uw_sweep *sweep, const float *re, const float *im) {
    struct block x;

    scale_pieces(re, im, x.re, x.im);
    for (int sf = UW_SWEEP_SF_MIN; sf <= UW_SWEEP_SF_MAX; ++sf) {
        if (sweep->stages[sf].run > 0)
            run_sf(sweep, sf, &x);
    }
}
