/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * LoRa preambles below the noise, one at a time
 *
 * The sweep (sweep.c) adds powers of windows, because that is cheap; what it suspects is added here
 * in phase. A run of equal chirps dechirped by the same chirp, symbol after symbol, is one tone
 * through all windows (two, a bandwidth apart, if the windows are not aligned): with n windows its
 * line is n times as high over the noise, and the fraction of the line is its turn from window to
 * window. A clock that is off by e turns it quadratically, by pi e 2^SF w^2 after w windows, which
 * is tried for the worst clock either way.
 *
 * The preamble alone says u = delta + c (lora.c): the carrier c moves the grid of symbols by as
 * many chips. So the sync word and the delimiter are looked for on grids an eighth of a symbol
 * apart. On the grid of c' the sync symbols stand at c' + 8 * nibble, whatever c, and the
 * delimiter's down-chirps at 2 c - c': they tell c.
 *
 * A line of power z over noise of mean 1 is signal of power s with the likelihood ratio
 * exp(-s) I0(2 sqrt(s z)) (S. O. Rice, "Mathematical Analysis of Random Noise", 1945); a data
 * symbol, whose value is not known, is in any of 2^SF lines with equal probability.
 */

#include "uw/dsp/faint.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "faint-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/fft.h"
#include "uw/dsp/lines.h"

#define TURNS      16    /* samples whose turns are made once */
#define GRIDS      8     /* a symbol: distance of the grids that are tried */
#define CLOCK_MAX  80e-6 /* of the quadratic turn */
#define FRACTIONS  4     /* of 1 / run of a turn: fineness of the turn from window to window */
#define PLACES_MAX 32
#define SAME_TURN  0.1 /* radians over a symbol */
#define SAME_PLACE 1.5 /* lines */
#define DOWN_REACH                                                                                 \
    8 /* the delimiter's line is looked for within 1 / 8 of the lines to each side                 \
       */

static void faint_freep(struct uw_faint **faint) {
    *faint = uw_faint_free(*faint);
}

struct uw_faint *uw_faint_free(struct uw_faint *faint) {
    if (!faint)
        return NULL;
    for (size_t i = 0; i < N_SF; ++i) {
        uw_fft_dealloc(faint->up[i]);
        free(faint->half[i]);
    }
    uw_fft_dealloc(faint->a);
    uw_fft_dealloc(faint->b);
    for (size_t n = 1; n <= RUN_MAX; ++n)
        free(faint->turns[n]);
    free(faint->reference);
    free(faint->down);
    free(faint);
    return NULL;
}

double uw_gamma_tail(int shape, double t) {
    double term = exp(-t);
    double sum = term;

    for (int i = 1; i < shape; ++i) {
        term *= t / i;
        sum += term;
    }
    return sum;
}

static int new_sf(struct uw_faint *faint, size_t i) {
    size_t chips = (size_t)1 << (UW_FAINT_SF_MIN + i);

    faint->up[i] = uw_fft_alloc(2 * chips);
    faint->half[i] = calloc(2 * UNIT_MAX, sizeof(float));
    if (!faint->up[i] || !faint->half[i])
        return uw_err(-ENOMEM);
    for (size_t k = 0; k < UNIT_MAX; ++k) {
        double phase = -UW_PI * (double)(k % chips) / (double)chips;

        faint->half[i][k] = (float)cos(phase);
        faint->half[i][UNIT_MAX + k] = (float)sin(phase);
    }
    for (size_t k = 0; k < 2 * chips; ++k) {
        double t = 0.5 * (double)k;
        double phase = UW_PI * fmod(t * t / (double)chips - t, 2.0);

        faint->up[i][k] = (float)cos(phase) + I * (float)sin(phase);
    }
    return 0;
}

/* In whole vectors; those too many do not turn, as the first. */
static size_t turns_of(size_t n) {
    return (FRACTIONS * n + LANES - 1) / LANES * LANES;
}

static int new_turns(struct uw_faint *faint, size_t n) {
    size_t many = turns_of(n);

    faint->turns[n] = calloc(2 * many, sizeof(float));
    if (!faint->turns[n])
        return uw_err(-ENOMEM);
    for (size_t i = 0; i < many; ++i) {
        double phase = i < FRACTIONS * n ? 2.0 * UW_PI * (double)i / (double)(FRACTIONS * n) : 0.0;

        faint->turns[n][i] = (float)cos(phase);
        faint->turns[n][many + i] = (float)sin(phase);
    }
    return 0;
}

int uw_faint_new(const struct uw_lines *lines, struct uw_faint **ret_faint) {
    UW_CLEANUP(faint_freep) struct uw_faint *faint = uw_alloc_zeroed(1, sizeof(*faint));
    int r = 0;

    if (!faint)
        return uw_err(-ENOMEM);
    faint->lines = lines;
    for (size_t i = 0; i < N_SF && r == 0; ++i)
        r = new_sf(faint, i);
    for (size_t n = 1; n <= RUN_MAX && r == 0; ++n)
        r = new_turns(faint, n);
    if (r < 0)
        return r;
    faint->a = uw_fft_alloc(RUN_MAX);
    faint->b = uw_fft_alloc(RUN_MAX);
    faint->reference = calloc(4 * CHIPS_MAX, sizeof(float));
    faint->down = calloc(PLACES_MAX * CHIPS_MAX, sizeof(float));
    if (!faint->a || !faint->b || !faint->reference || !faint->down)
        return uw_err(-ENOMEM);
    *ret_faint = faint;
    faint = NULL;
    return 0;
}

size_t uw_faint_before(int sf) {
    return (size_t)3 << sf; /* a symbol and a half */
}

size_t uw_faint_behind(int sf, int preamble_max) {
    return (size_t)(preamble_max + 7) << (sf + 1);
}

/* Every stride-th sample of the up-chirp (sign -1: of its conjugate) times a turn that goes on from
 * sample to sample: `small` has the turns of TURNS samples, `large` that of each TURNS. n is a
 * multiple of it; real parts come apart from imaginary ones. */
UW_CLONES
static void turn_chirp(const float *restrict up, size_t stride, float sign,
                       const float small[restrict 2][TURNS], const float *restrict large, size_t n,
                       float *restrict re, float *restrict im) {
    for (size_t b = 0; b < n / TURNS; ++b) {
        float lr = large[2 * b];
        float li = large[2 * b + 1];

        for (size_t k = 0; k < TURNS; ++k) {
            const float *u = up + 2 * stride * (b * TURNS + k);
            float tr = small[0][k] * lr - small[1][k] * li;
            float ti = small[0][k] * li + small[1][k] * lr;
            float ui = sign * u[1];

            re[b * TURNS + k] = u[0] * tr - ui * ti;
            im[b * TURNS + k] = u[0] * ti + ui * tr;
        }
    }
}

/* n samples (a multiple of TURNS) of the chirp, turned by `step` each, into the reference. */
static void make_turned(struct uw_faint *faint, int sf, size_t stride, size_t n, bool conjugate,
                        double step) {
    float small[2][TURNS];
    float complex large[2 * CHIPS_MAX / TURNS];
    double complex turn = 1.0;
    double complex by = cos(step) + I * sin(step);
    const struct made *made = &faint->made;

    /* from symbol to symbol of a packet next to nothing changes */
    if (made->sf == sf && made->stride == stride && made->conjugate == conjugate &&
        fabs(made->step - step) * (double)n < SAME_TURN)
        return;
    faint->made = (struct made){.sf = sf, .stride = stride, .conjugate = conjugate, .step = step};
    for (size_t k = 0; k < TURNS; ++k, turn *= by) {
        small[0][k] = (float)creal(turn);
        small[1][k] = (float)cimag(turn);
    }
    by = turn;
    turn = 1.0;
    for (size_t b = 0; b < n / TURNS; ++b, turn *= by)
        large[b] = (float complex)turn;
    turn_chirp((const float *)faint->up[sf - UW_FAINT_SF_MIN], stride, conjugate ? -1.0f : 1.0f,
               (const float(*)[TURNS])small, (const float *)large, n, faint->reference,
               faint->reference + n);
}

void uw_faint_make_reference(struct uw_faint *faint, int sf, double line) {
    make_turned(faint, sf, 1, (size_t)2 << sf, true, -UW_PI * line / (double)((size_t)1 << sf));
}

/* Four samples side by side, real and imaginary parts in turn. */
typedef float vec __attribute__((vector_size(32), may_alias));
typedef float any_vec __attribute__((vector_size(32), aligned(4), may_alias)); /* anywhere */

#define TWICE(x, i) ((vec){x[i], x[i], x[i + 1], x[i + 1], x[i + 2], x[i + 2], x[i + 3], x[i + 3]})

/* Sums of x times the reference over its even and its odd samples, and the energy of x. sign: -1
 * for inverted chirps. Four samples by both parts of the reference, as they lie: what belongs
 * together is put together at the end. */
UW_CLONES
static float correlate(const float *restrict x, const float *restrict re, const float *restrict im,
                       size_t n, float sign, float ret_sums[restrict 4]) {
    vec by_re[2] = {0}, by_im[2] = {0}, square[2] = {0};
    float energy = 0.0f;

    for (size_t i = 0; i < n; i += 8) {
        for (size_t k = 0; k < 2; ++k) {
            vec v = *(const any_vec *)(x + 2 * i + 8 * k);

            by_re[k] += v * TWICE(re, i + 4 * k);
            by_im[k] += v * TWICE(im, i + 4 * k);
            square[k] += v * v;
        }
    }
    by_re[0] += by_re[1];
    by_im[0] += by_im[1];
    square[0] += square[1];
    for (size_t k = 0; k < 4; k += 2) { /* even, odd ones */
        vec p = by_re[0];
        vec q = by_im[0];

        ret_sums[k] = (p[k] + p[k + 4]) - sign * (q[k + 1] + q[k + 5]);
        ret_sums[k + 1] = (q[k] + q[k + 4]) + sign * (p[k + 1] + p[k + 5]);
    }
    for (size_t k = 0; k < 8; ++k)
        energy += square[0][k];
    return energy;
}

/* The two tones of the window at x in the reference's line, over the root of the noise's power. */
static void tones(const struct uw_faint *faint, const struct uw_faint_suspect *s,
                  const float complex *x, float complex *ret_a, float complex *ret_b) {
    size_t n = (size_t)2 << s->sf;
    float sums[4];
    float energy = correlate((const float *)x, faint->reference, faint->reference + n, n,
                             s->down ? -1.0f : 1.0f, sums);
    float scale = 1.0f / sqrtf(energy * (float)s->density + 1e-30f);

    *ret_a = scale * ((sums[0] + sums[2]) + I * (sums[1] + sums[3]));
    *ret_b = scale * ((sums[0] - sums[2]) + I * (sums[1] - sums[3]));
}

float uw_faint_line_power(const struct uw_faint *faint, const struct uw_faint_suspect *s,
                          const float complex *x) {
    float complex a, b;

    tones(faint, s, x, &a, &b);
    return crealf(a) * crealf(a) + cimagf(a) * cimagf(a);
}

/* (|sum a| + |sum b|)^2 for LANES turns from window to window. */
UW_CLONES
static float turn_windows(const float complex *restrict a, const float complex *restrict b,
                          size_t n, const float *restrict re, const float *restrict im) {
    float ar[LANES] = {0}, ai[LANES] = {0}, br[LANES] = {0}, bi[LANES] = {0};
    float tr[LANES], ti[LANES], sum[LANES];
    float most = 0.0f;

    for (size_t i = 0; i < LANES; ++i) {
        tr[i] = 1.0f;
        ti[i] = 0.0f;
    }
    for (size_t w = 0; w < n; ++w) {
        float pr = crealf(a[w]), pi = cimagf(a[w]), qr = crealf(b[w]), qi = cimagf(b[w]);

        for (size_t i = 0; i < LANES; ++i) {
            float r = tr[i] * re[i] - ti[i] * im[i];

            ar[i] += pr * tr[i] - pi * ti[i];
            ai[i] += pr * ti[i] + pi * tr[i];
            br[i] += qr * tr[i] - qi * ti[i];
            bi[i] += qr * ti[i] + qi * tr[i];
            ti[i] = tr[i] * im[i] + ti[i] * re[i];
            tr[i] = r;
        }
    }
    for (size_t i = 0; i < LANES; ++i) {
        float aa = ar[i] * ar[i] + ai[i] * ai[i];
        float bb = br[i] * br[i] + bi[i] * bi[i];

        sum[i] = aa + bb + 2.0f * sqrtf(aa * bb);
    }
    for (size_t i = 0; i < LANES; ++i)
        most = sum[i] > most ? sum[i] : most;
    return most;
}

/* The greatest (|sum a| + |sum b|)^2 / n over turns from window to window. */
static float most_in_phase(const struct uw_faint *faint, size_t n) {
    size_t many = turns_of(n);
    float most = 0.0f;

    for (size_t i = 0; i < many; i += LANES) {
        float sum =
            turn_windows(faint->a, faint->b, n, faint->turns[n] + i, faint->turns[n] + many + i);

        most = sum > most ? sum : most;
    }
    return most / (float)n;
}

/* Turns for window w by `square` * w^2 cycles from the middle, the same on both sides of it. */
static void make_bend(size_t n, double square, float complex ret_turns[RUN_MAX]) {
    for (size_t w = 0; w < (n + 1) / 2; ++w) {
        double t = (double)w - 0.5 * (double)(n - 1);
        double phase = -2.0 * UW_PI * square * t * t;

        ret_turns[w] = (float)cos(phase) + I * (float)sin(phase);
        ret_turns[n - 1 - w] = ret_turns[w];
    }
}

static void bend(struct uw_faint *faint, size_t n, const float complex turns[RUN_MAX]) {
    for (size_t w = 0; w < n; ++w) {
        faint->a[w] *= turns[w];
        faint->b[w] *= turns[w];
    }
}

/* The most of all bends to either side, `worst` at most. */
static float most_bent(struct uw_faint *faint, size_t n, double worst, int bends) {
    float complex turns[RUN_MAX];
    float most = 0.0f;

    make_bend(n, -worst, turns);
    bend(faint, n, turns);
    make_bend(n, worst / bends, turns);
    for (int k = -bends; k <= bends; ++k) {
        float sum = k != 0 ? most_in_phase(faint, n) : 0.0f;

        most = sum > most ? sum : most;
        bend(faint, n, turns);
    }
    return most;
}

double uw_faint_run(struct uw_faint *faint, const float complex *x,
                    const struct uw_faint_suspect *s) {
    size_t n = s->run < RUN_MAX ? (size_t)s->run : RUN_MAX;
    size_t symbol = (size_t)2 << s->sf;
    double worst = 0.5 * CLOCK_MAX * (double)(symbol / 2);
    int bends = worst * (double)(n * n) > 1.0 ? 2 : worst * (double)(n * n) > 0.25 ? 1 : 0;
    float best;

    uw_faint_make_reference(faint, s->sf, s->line);
    for (size_t w = 0; w < n; ++w)
        tones(faint, s, x + s->at + w * symbol, &faint->a[w], &faint->b[w]);
    best = most_in_phase(faint, n);
    if (bends > 0) {
        float bent = most_bent(faint, n, worst, bends);

        best = bent > best ? bent : best;
    }
    return (double)best;
}

/* Every second sample of x (sign -1: of its conjugate) times the reference, n of them; the energy
 * of x. */
UW_CLONES
static float multiply(const float *restrict x, float sign, const float *restrict re,
                      const float *restrict im, size_t n, float *restrict y_re,
                      float *restrict y_im) {
    float part[LANES] = {0};
    float energy = 0.0f;

    for (size_t i = 0; i < n; ++i) {
        float r = x[4 * i];
        float m = sign * x[4 * i + 1];

        y_re[i] = r * re[i] - m * im[i];
        y_im[i] = r * im[i] + m * re[i];
    }
    for (size_t i = 0; i < n; i += LANES) { /* a chirp has magnitude 1 */
        for (size_t k = 0; k < LANES; ++k)
            part[k] += y_re[i + k] * y_re[i + k] + y_im[i + k] * y_im[i + k];
    }
    for (size_t k = 0; k < LANES; ++k)
        energy += part[k];
    return energy;
}

float uw_faint_dechirp(struct uw_faint *faint, const struct uw_faint_suspect *s,
                       const float complex *x, bool down, double line, size_t w) {
    size_t chips = (size_t)1 << s->sf;

    make_turned(faint, s->sf, 2, chips, !down, -2.0 * UW_PI * line / (double)chips);
    return multiply((const float *)x, s->down ? -1.0f : 1.0f, faint->reference,
                    faint->reference + chips, chips, faint->re + w * chips, faint->im + w * chips);
}

/* Powers of the half lines `middle` +- reach of down-chirps over the noise: one in each of the
 * n_rows windows of a symbol from x on, a row each. */
static void down_rows(struct uw_faint *faint, const struct uw_faint_suspect *s,
                      const float complex *x, size_t n_rows, long middle, long reach, float *row) {
    size_t chips = (size_t)1 << s->sf;
    size_t at_once = uw_lines_unit(s->sf) / chips;
    long halves = 2L << s->sf;
    const float *half = faint->half[s->sf - UW_FAINT_SF_MIN];

    for (size_t k = 0; k < n_rows; k += at_once) {
        size_t n = n_rows - k < at_once ? n_rows - k : at_once;
        float energy[UNIT_MAX >> UW_FAINT_SF_MIN];

        for (size_t w = 0; w < n; ++w)
            energy[w] = uw_faint_dechirp(faint, s, x + 2 * (k + w) * chips, true, 0.0, w) + 1e-30f;
        uw_lines_run(faint->lines, s->sf, faint->re, faint->im, NULL, NULL, faint->power[0]);
        uw_lines_run(faint->lines, s->sf, faint->re, faint->im, half, half + UNIT_MAX,
                     faint->power[1]);
        for (size_t w = 0; w < n; ++w) {
            size_t line = (size_t)((middle - reach + 2 * halves) % halves);

            for (long i = -reach; i <= reach; ++i) {
                size_t place = uw_lines_place(s->sf, line / 2);

                *row++ = faint->power[line % 2][w * chips + place] / energy[w];
                line = line + 1 == (size_t)halves ? 0 : line + 1;
            }
        }
    }
}

/* Into the list, which is sorted, unless a greater one stands for the same place. */
static void take_place(struct uw_faint_packet places[UW_FAINT_PLACES], double chips,
                       const struct uw_faint_packet *p) {
    int at = UW_FAINT_PLACES;
    int same = UW_FAINT_PLACES - 1; /* the last falls out */

    for (int i = UW_FAINT_PLACES - 1; i >= 0; --i) {
        if (fabs(places[i].offset - p->offset) * chips < SAME_PLACE &&
            fabs(places[i].sync - p->sync) < chips)
            same = i;
        if (p->sum > places[i].sum)
            at = i;
    }
    if (at > same)
        return;
    memmove(&places[at + 1], &places[at], (size_t)(same - at) * sizeof(*places));
    places[at] = *p;
}

/* What the crystals must have done: the carrier from the channel that is nearer to it. */
static double from_channel(const struct uw_faint_suspect *s, double offset) {
    double first = offset - s->offset_bias;
    double second = first - s->offset_apart;

    return fabs(first) <= fabs(second) ? first : second;
}

/* One grid: the places of sync word and delimiter on it. */
static int follow_grid(struct uw_faint *faint, const float complex *x,
                       const struct uw_faint_suspect *s, double carrier,
                       struct uw_faint_packet places[UW_FAINT_PLACES]) {
    double chips = (double)((size_t)1 << s->sf);
    double symbol = 2.0 * chips;
    double grid = (double)s->at + 2.0 * (carrier - s->line);
    double begin = round(grid);
    double slip = 0.5 * (begin - grid);
    long middle = lround(2.0 * (carrier - slip));
    long reach = (2L << s->sf) / DOWN_REACH;
    size_t width = (size_t)(2 * reach + 1);
    int first = s->run;
    /* the run may have been taken for one that began a window earlier or later */
    int n_places = s->preamble_max + 3 - s->run;
    float sync[2][PLACES_MAX];

    n_places = n_places < 4 ? 4 : n_places > PLACES_MAX - 1 ? PLACES_MAX - 1 : n_places;
    for (int i = 0; i < 2; ++i) {
        int nibble = i == 0 ? s->sync_word >> 4 : s->sync_word & 15;

        uw_faint_make_reference(faint, s->sf, carrier + slip + 8.0 * nibble);
        for (int k = 0; k < n_places; ++k)
            sync[i][k] =
                uw_faint_line_power(faint, s, x + (size_t)(begin + (first - 1 + k + i) * symbol));
    }
    down_rows(faint, s, x + (size_t)(begin + (first + 1) * symbol), (size_t)n_places + 1, middle,
              reach, faint->down);
    for (size_t i = 0; i < width; ++i) {
        double down = 0.5 * (double)(middle + (long)i - reach);
        double c = 0.5 * (down + slip + carrier);
        double off = from_channel(s, c / chips) / s->offset_sigma;

        for (int k = 0; k < n_places; ++k) {
            const float *one = faint->down + (size_t)k * width;
            double following = (double)(sync[0][k] + sync[1][k] + one[i] + one[width + i]);
            double sum = following - 0.5 * off * off;

            if (sum <= places[UW_FAINT_PLACES - 1].sum)
                continue;
            struct uw_faint_packet p = {
                .sum = sum,
                .following = following,
                .offset = c / chips,
                .sync = grid + (first - 1 + k) * symbol + 2.0 * (c - carrier),
            };
            take_place(places, chips, &p);
        }
    }
    return n_places * (int)(width / 2);
}

int uw_faint_follow(struct uw_faint *faint, const float complex *x,
                    const struct uw_faint_suspect *s,
                    struct uw_faint_packet ret_places[UW_FAINT_PLACES]) {
    double chips = (double)((size_t)1 << s->sf);
    double reach = 2.0 * s->offset_max + fabs(s->offset_apart);
    double middle = s->offset_bias + 0.5 * s->offset_apart;
    int n_grids = (int)fmax(ceil(reach * GRIDS), 1.0);
    int n = 0;

    for (int i = 0; i < UW_FAINT_PLACES; ++i)
        ret_places[i] = (struct uw_faint_packet){.sum = 0.0, .offset = INFINITY};
    for (int g = 0; g < n_grids; ++g)
        n += follow_grid(faint, x, s, (middle + (g - 0.5 * (n_grids - 1)) / GRIDS) * chips,
                         ret_places);
    for (int i = 0; i < UW_FAINT_PLACES; ++i)
        ret_places[i].symbol =
            2.0 * chips / (1.0 + from_channel(s, ret_places[i].offset) * s->clock_share);
    return n;
}
