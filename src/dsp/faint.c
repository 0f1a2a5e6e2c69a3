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

#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/fft.h"

#define N_SF       (UW_FAINT_SF_MAX - UW_FAINT_SF_MIN + 1)
#define CHIPS_MAX  ((size_t)1 << UW_FAINT_SF_MAX)
#define RUN_MAX    24
#define TURNS      16    /* samples whose turns are made once */
#define GRIDS      8     /* a symbol: distance of the grids that are tried */
#define CLOCK_MAX  80e-6 /* of the quadratic turn */
#define FRACTIONS  4     /* of 1 / run of a turn: fineness of the turn from window to window */
#define PLACES_MAX 32
#define SNR_MIN    0.5 /* of a line, where the measured one is lower */
#define SNR_MAX    60.0
#define DATA_SHARE                                                                                 \
    0.7 /* of a line's power is left in a data symbol, which wraps, half a chip off */
#define GIVE_UP    3.0 /* nats */
#define SAME_TURN  0.1 /* radians over a symbol */
#define SAME_PLACE 1.5 /* lines */
#define DOWN_REACH                                                                                 \
    8 /* the delimiter's line is looked for within 1 / 8 of the lines to each side                 \
       */

struct made {
    int sf; /* 0: nothing */
    size_t stride;
    bool conjugate;
    double step;
};

struct uw_faint {
    float complex *up[N_SF];   /* 2^(SF+1) samples of the plain up-chirp, two a chip */
    struct uw_fft *fft[N_SF];  /* of 2^SF */
    struct uw_fft *fft2[N_SF]; /* of 2^(SF+1), padded to half lines */
    float complex *spectrum;
    float complex *turns[RUN_MAX + 1]; /* FRACTIONS * n turns of a circle */
    float *reference;                  /* real parts, then imaginary parts, of 2 * CHIPS_MAX */
    struct made made;                  /* what is in it */
    float complex *a, *b;
    float *down; /* rows of half lines */
};

static void faint_freep(struct uw_faint **faint) {
    *faint = uw_faint_free(*faint);
}

struct uw_faint *uw_faint_free(struct uw_faint *faint) {
    if (!faint)
        return NULL;
    for (size_t i = 0; i < N_SF; ++i) {
        uw_fft_dealloc(faint->up[i]);
        uw_fft_free(faint->fft[i]);
        uw_fft_free(faint->fft2[i]);
    }
    uw_fft_dealloc(faint->spectrum);
    uw_fft_dealloc(faint->a);
    uw_fft_dealloc(faint->b);
    for (size_t n = 1; n <= RUN_MAX; ++n)
        uw_fft_dealloc(faint->turns[n]);
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
    int r = uw_fft_new(chips, &faint->fft[i]);

    if (r == 0)
        r = uw_fft_new(2 * chips, &faint->fft2[i]);
    if (r < 0)
        return r;
    faint->up[i] = uw_fft_alloc(2 * chips);
    if (!faint->up[i])
        return uw_err(-ENOMEM);
    for (size_t k = 0; k < 2 * chips; ++k) {
        double t = 0.5 * (double)k;
        double phase = UW_PI * fmod(t * t / (double)chips - t, 2.0);

        faint->up[i][k] = (float)cos(phase) + I * (float)sin(phase);
    }
    return 0;
}

static int new_turns(struct uw_faint *faint, size_t n) {
    faint->turns[n] = uw_fft_alloc(FRACTIONS * n);
    if (!faint->turns[n])
        return uw_err(-ENOMEM);
    for (size_t i = 0; i < FRACTIONS * n; ++i) {
        double phase = 2.0 * UW_PI * (double)i / (double)(FRACTIONS * n);

        faint->turns[n][i] = (float)cos(phase) + I * (float)sin(phase);
    }
    return 0;
}

int uw_faint_new(struct uw_faint **ret_faint) {
    UW_CLEANUP(faint_freep) struct uw_faint *faint = calloc(1, sizeof(*faint));
    int r = 0;

    if (!faint)
        return uw_err(-ENOMEM);
    for (size_t i = 0; i < N_SF && r == 0; ++i)
        r = new_sf(faint, i);
    for (size_t n = 1; n <= RUN_MAX && r == 0; ++n)
        r = new_turns(faint, n);
    if (r < 0)
        return r;
    faint->spectrum = uw_fft_alloc(2 * CHIPS_MAX);
    faint->a = uw_fft_alloc(RUN_MAX);
    faint->b = uw_fft_alloc(RUN_MAX);
    faint->reference = calloc(4 * CHIPS_MAX, sizeof(float));
    faint->down = calloc(PLACES_MAX * CHIPS_MAX, sizeof(float));
    if (!faint->spectrum || !faint->a || !faint->b || !faint->reference || !faint->down)
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

/* The conjugate up-chirp turned so that `line` becomes DC; of down-chirps the other way round. */
static void make_reference(struct uw_faint *faint, int sf, double line) {
    make_turned(faint, sf, 1, (size_t)2 << sf, true, -UW_PI * line / (double)((size_t)1 << sf));
}

/* Sums of x times the reference over its even and its odd samples, and the energy of x. sign: -1
 * for inverted chirps. */
UW_CLONES
static float correlate(const float *restrict x, const float *restrict re, const float *restrict im,
                       size_t n, float sign, float ret_sums[restrict 4]) {
    float even_re[8] = {0};
    float even_im[8] = {0};
    float odd_re[8] = {0};
    float odd_im[8] = {0};
    float part[8] = {0};
    float energy = 0.0f;

    for (size_t i = 0; i < n; i += 16) {
        for (size_t k = 0; k < 8; ++k) {
            const float *p = x + 2 * (i + 2 * k);
            size_t e = i + 2 * k;
            float a = p[0];
            float b = sign * p[1];
            float c = p[2];
            float d = sign * p[3];

            even_re[k] += a * re[e] - b * im[e];
            even_im[k] += a * im[e] + b * re[e];
            odd_re[k] += c * re[e + 1] - d * im[e + 1];
            odd_im[k] += c * im[e + 1] + d * re[e + 1];
            part[k] += a * a + b * b + c * c + d * d;
        }
    }
    memset(ret_sums, 0, 4 * sizeof(float));
    for (size_t k = 0; k < 8; ++k) {
        ret_sums[0] += even_re[k];
        ret_sums[1] += even_im[k];
        ret_sums[2] += odd_re[k];
        ret_sums[3] += odd_im[k];
        energy += part[k];
    }
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

/* Power of the line in the window at x, whose symbol is aligned: one tone. */
static float line_power(const struct uw_faint *faint, const struct uw_faint_suspect *s,
                        const float complex *x) {
    float complex a, b;

    tones(faint, s, x, &a, &b);
    return crealf(a) * crealf(a) + cimagf(a) * cimagf(a);
}

/* The greatest (|sum a| + |sum b|)^2 / n over turns from window to window. */
static float most_in_phase(const struct uw_faint *faint, size_t n) {
    const float complex *turns = faint->turns[n];
    float most = 0.0f;

    for (size_t i = 0; i < FRACTIONS * n; ++i) {
        float complex a = 0.0f;
        float complex b = 0.0f;
        float complex turn = 1.0f;

        for (size_t w = 0; w < n; ++w) {
            a += faint->a[w] * turn;
            b += faint->b[w] * turn;
            turn *= turns[i];
        }
        float aa = crealf(a) * crealf(a) + cimagf(a) * cimagf(a);
        float bb = crealf(b) * crealf(b) + cimagf(b) * cimagf(b);
        float sum = aa + bb + 2.0f * sqrtf(aa * bb);

        most = sum > most ? sum : most;
    }
    return most / (float)n;
}

/* Turns window w by `square` * w^2 cycles. */
static void bend(struct uw_faint *faint, size_t n, double square) {
    for (size_t w = 0; w < n; ++w) {
        double t = (double)w - 0.5 * (double)(n - 1);
        double phase = -2.0 * UW_PI * square * t * t;
        float complex turn = (float)cos(phase) + I * (float)sin(phase);

        faint->a[w] *= turn;
        faint->b[w] *= turn;
    }
}

double uw_faint_run(struct uw_faint *faint, const float complex *x,
                    const struct uw_faint_suspect *s) {
    size_t n = s->run < RUN_MAX ? (size_t)s->run : RUN_MAX;
    size_t symbol = (size_t)2 << s->sf;
    double worst = 0.5 * CLOCK_MAX * (double)(symbol / 2);
    int bends = worst * (double)(n * n) > 1.0 ? 2 : worst * (double)(n * n) > 0.25 ? 1 : 0;
    float best;

    make_reference(faint, s->sf, s->line);
    for (size_t w = 0; w < n; ++w)
        tones(faint, s, x + s->at + w * symbol, &faint->a[w], &faint->b[w]);
    best = most_in_phase(faint, n);
    if (bends > 0)
        bend(faint, n, -worst);
    for (int k = -bends; k <= bends && bends > 0; ++k) {
        float sum = k != 0 ? most_in_phase(faint, n) : 0.0f;

        best = sum > best ? sum : best;
        bend(faint, n, worst / bends);
    }
    return (double)best;
}

/* Every second sample of x (sign -1: of its conjugate) times the reference, n of them; the energy
 * of x. */
UW_CLONES
static float multiply(const float *restrict x, float sign, const float *restrict re,
                      const float *restrict im, size_t n, float *restrict y) {
    float xr[CHIPS_MAX], xi[CHIPS_MAX];
    float part[16] = {0};
    float energy = 0.0f;

    for (size_t i = 0; i < n; ++i) {
        xr[i] = x[4 * i];
        xi[i] = sign * x[4 * i + 1];
    }
    for (size_t i = 0; i < n; ++i)
        y[2 * i] = xr[i] * re[i] - xi[i] * im[i];
    for (size_t i = 0; i < n; ++i)
        y[2 * i + 1] = xr[i] * im[i] + xi[i] * re[i];
    for (size_t i = 0; i < n; i += 16) {
        for (size_t k = 0; k < 16; ++k)
            part[k] += xr[i + k] * xr[i + k] + xi[i + k] * xi[i + k];
    }
    for (size_t k = 0; k < 16; ++k)
        energy += part[k];
    return energy;
}

/* x, one sample a chip from `at` on, times the conjugate chirp (or the chirp, for down-chirps), and
 * turned by `line`. Returns the energy. */
static float dechirp(struct uw_faint *faint, const struct uw_faint_suspect *s,
                     const float complex *x, bool down, double line, float complex *y) {
    size_t chips = (size_t)1 << s->sf;

    make_turned(faint, s->sf, 2, chips, !down, -2.0 * UW_PI * line / (double)chips);
    return multiply((const float *)x, s->down ? -1.0f : 1.0f, faint->reference,
                    faint->reference + chips, chips, (float *)y);
}

/* The largest power among n lines, a multiple of 16. */
UW_CLONES
static float largest(const float *lines, size_t n) {
    float part[16] = {0};
    float most = 0.0f;

    for (size_t i = 0; i < n; i += 16) {
        for (size_t k = 0; k < 16; ++k) {
            const float *v = lines + 2 * (i + k);
            float power = v[0] * v[0] + v[1] * v[1];

            part[k] = power > part[k] ? power : part[k];
        }
    }
    for (size_t k = 0; k < 16; ++k)
        most = part[k] > most ? part[k] : most;
    return most;
}

/* Powers of the half lines `middle` +- reach of the down-chirp at x, over the noise. */
static void down_row(struct uw_faint *faint, const struct uw_faint_suspect *s,
                     const float complex *x, long middle, long reach, float *row) {
    size_t chips = (size_t)1 << s->sf;
    long halves = 2L << s->sf;
    struct uw_fft *fft = faint->fft2[s->sf - UW_FAINT_SF_MIN];
    float complex *y = uw_fft_buffer(fft);
    float energy = dechirp(faint, s, x, true, 0.0, y);

    memset(y + chips, 0, chips * sizeof(*y));
    uw_fft_run_to(fft, faint->spectrum);
    long half = ((middle - reach) % halves + halves) % halves;
    for (long i = 0; i <= 2 * reach; ++i) {
        float complex v = faint->spectrum[half];

        row[i] = (crealf(v) * crealf(v) + cimagf(v) * cimagf(v)) / (energy + 1e-30f);
        half = half + 1 == halves ? 0 : half + 1;
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

        make_reference(faint, s->sf, carrier + slip + 8.0 * nibble);
        for (int k = 0; k < n_places; ++k)
            sync[i][k] = line_power(faint, s, x + (size_t)(begin + (first - 1 + k + i) * symbol));
    }
    for (int k = 0; k <= n_places; ++k)
        down_row(faint, s, x + (size_t)(begin + (first + 1 + k) * symbol), middle, reach,
                 faint->down + (size_t)k * width);
    for (size_t i = 0; i < width; ++i) {
        double down = 0.5 * (double)(middle + (long)i - reach);
        double c = 0.5 * (down + slip + carrier);
        double off = (c / chips - s->offset_bias) / s->offset_sigma;

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
    int sides = (int)ceil(s->offset_max * GRIDS - 0.5);
    int n = 0;

    for (int i = 0; i < UW_FAINT_PLACES; ++i)
        ret_places[i] = (struct uw_faint_packet){.sum = 0.0, .offset = INFINITY};
    for (int g = -sides; g <= sides; ++g)
        n += follow_grid(faint, x, s, (s->offset_bias + (double)g / GRIDS) * chips, ret_places);
    for (int i = 0; i < UW_FAINT_PLACES; ++i)
        ret_places[i].symbol =
            2.0 * chips / (1.0 + (ret_places[i].offset - s->offset_bias) * s->clock_share);
    return n;
}

/* ln I0(x): its series' asymptote beyond 4 (Abramowitz and Stegun 9.8.1, 9.8.2, leading terms). */
static double log_bessel(double x) {
    double q = x * x / 14.0625;

    if (x < 3.75)
        return log(1.0 + q * (3.5156229 + q * (3.0899424 + q * (1.2067492 + q * 0.2659732))));
    return x - 0.5 * log(2.0 * UW_PI * x) + 0.125 / x;
}

/* Power over the noise of up-chirp number `place` behind the sync word's begin. */
static bool chirp_power(struct uw_faint *faint, const float complex *x, size_t n,
                        const struct uw_faint_suspect *s, const struct uw_faint_packet *p,
                        double place, double *ret_power) {
    double chips = (double)((size_t)1 << s->sf);
    double at = p->sync + place * p->symbol;
    double begin = round(at);

    if (begin < 0.0 || begin + 2.0 * chips > (double)n)
        return false;
    make_reference(faint, s->sf, p->offset * chips + 0.5 * (begin - at));
    *ret_power = (double)line_power(faint, s, x + (size_t)begin);
    return true;
}

/* The strongest line of the data symbol at `place` over the noise. */
static bool data_power(struct uw_faint *faint, const float complex *x, size_t n,
                       const struct uw_faint_suspect *s, const struct uw_faint_packet *p,
                       double place, double *ret_power) {
    size_t chips = (size_t)1 << s->sf;
    struct uw_fft *fft = faint->fft[s->sf - UW_FAINT_SF_MIN];
    double at = p->sync + place * p->symbol;
    double begin = round(at);

    if (begin < 0.0 || begin + 2.0 * (double)chips > (double)n)
        return false;
    float energy = dechirp(faint, s, x + (size_t)begin, false,
                           p->offset * (double)chips + 0.5 * (begin - at), uw_fft_buffer(fft));
    uw_fft_run_to(fft, faint->spectrum);
    *ret_power = (double)(largest((const float *)faint->spectrum, chips) / (energy + 1e-30f));
    return true;
}

void uw_faint_extent(struct uw_faint *faint, const float complex *x, size_t n,
                     const struct uw_faint_suspect *s, struct uw_faint_packet *p) {
    double lines = (double)((size_t)1 << s->sf);
    double power[UW_FAINT_PREAMBLE_MAX];
    double sum = 0.0;
    int sure = s->preamble_min < UW_FAINT_PREAMBLE_MAX ? s->preamble_min : UW_FAINT_PREAMBLE_MAX;

    p->n_preamble = 0;
    while (p->n_preamble < UW_FAINT_PREAMBLE_MAX && p->n_preamble < s->preamble_max + 2 &&
           chirp_power(faint, x, n, s, p, -1.0 - p->n_preamble, &power[p->n_preamble]))
        ++p->n_preamble;
    for (int i = 0; i < sure && i < p->n_preamble; ++i)
        sum += power[i];
    p->line_snr = fmin(fmax(sum / sure - 1.0, SNR_MIN), SNR_MAX);
    p->known = 0.0;
    for (int i = 0; i < p->n_preamble; ++i) {
        double nats = log_bessel(2.0 * sqrt(p->line_snr * power[i])) - p->line_snr;

        p->preamble[i] = (float)nats;
        p->known += i < sure ? nats : 0.0;
    }
    double z;
    double told = 0.0;
    double snr = DATA_SHARE * p->line_snr;
    p->told = 0.0;
    for (p->n_data = 0;
         p->n_data < UW_FAINT_DATA_MAX && data_power(faint, x, n, s, p, 4.25 + p->n_data, &z);
         ++p->n_data) {
        double there = exp(log_bessel(2.0 * sqrt(snr * z)) - snr);
        /* ... or another line is the strongest, and the symbol's below it: nearly Gaussian in
         * amplitude */
        double below = 0.5 * erfc(sqrt(snr) - sqrt(z));

        p->data[p->n_data] = (float)log((there + (lines - 1.0) * below) / lines);
        told += (double)p->data[p->n_data];
        p->told = fmax(p->told, told);
        /* nothing is there; a single symbol may be weak */
        if (p->n_data > 0 && told < p->told - GIVE_UP && p->told < GIVE_UP)
            return;
    }
}
