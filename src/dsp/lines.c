/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A window of N = 16 M samples is M rows of 16. Its transform is M points long down the columns, a
 * turn of each element, and 16 points along the rows (W. M. Gentleman and G. Sande, "Fast Fourier
 * Transforms: for fun and profit", 1966). Every step treats 16 columns as one vector; between the
 * two the square is transposed. A unit of 256 samples is 16 rows, whether of one window or of
 * eight, so all sizes share what comes after the first step. 512 samples are halved by a step of
 * radix 2 before.
 *
 * The vectors are the compiler's (GCC, Clang): plain arithmetic by elements, in a form that gets
 * the processor's registers. tests/dsp/test-lines.c has the sum that defines the transform.
 */

#include "uw/dsp/lines.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "uw/base/err.h"
#include "uw/base/util.h"

#define N_SF   (UW_LINES_SF_MAX - UW_LINES_SF_MIN + 1)
#define SIDE   16
#define SQUARE 256
#define LONG   512

#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(64), may_alias));
typedef float any_vec __attribute__((vector_size(64), aligned(4), may_alias)); /* anywhere */
typedef float half_vec __attribute__((vector_size(32), may_alias));
typedef float any_half __attribute__((vector_size(32), aligned(4), may_alias));

struct square {
    _Alignas(64) float re[SQUARE];
    _Alignas(64) float im[SQUARE];
};

struct uw_lines {
    struct square turns[N_SF + 1]; /* of 2^(SF_MIN + i); the longest has two: even, odd columns */
    struct square halves;          /* W_32^row, in all columns */
    struct chirp {
        _Alignas(64) float re[LONG];
        _Alignas(64) float im[LONG];
    } chirps[2][N_SF]; /* the conjugates: of up-chirps, of down-chirps; a unit */
};

struct uw_lines *uw_lines_free(struct uw_lines *lines) {
    free(lines);
    return NULL;
}

/* W_n^k. */
static void set_turn(struct square *s, size_t at, size_t n, size_t k) {
    double phase = -2.0 * UW_PI * (double)(k % n) / (double)n;

    s->re[at] = (float)cos(phase);
    s->im[at] = (float)sin(phase);
}

static void make_chirp(struct chirp *chirp, int sf, bool down) {
    size_t n = (size_t)1 << sf;

    for (size_t i = 0; i < LONG; ++i) {
        double t = (double)(i % n);
        double phase = UW_PI * fmod(t * t / (double)n - t, 2.0);

        chirp->re[i] = (float)cos(phase);
        chirp->im[i] = (float)sin(down ? phase : -phase);
    }
}

int uw_lines_new(struct uw_lines **ret_lines) {
    struct uw_lines *l = aligned_alloc(_Alignof(struct uw_lines), sizeof(*l));

    if (!l)
        return uw_err(-ENOMEM);
    for (size_t at = 0; at < SQUARE; ++at) {
        size_t row = at / SIDE;
        size_t column = at % SIDE;

        for (size_t i = 0; i + 1 < N_SF; ++i)
            set_turn(&l->turns[i], at, (size_t)32 << i, row % ((size_t)2 << i) * column);
        set_turn(&l->turns[N_SF - 1], at, LONG, 2 * row * column);
        set_turn(&l->turns[N_SF], at, LONG, (2 * row + 1) * column);
        set_turn(&l->halves, at, 32, row);
    }
    for (int sf = UW_LINES_SF_MIN; sf <= UW_LINES_SF_MAX; ++sf) {
        make_chirp(&l->chirps[0][sf - UW_LINES_SF_MIN], sf, false);
        make_chirp(&l->chirps[1][sf - UW_LINES_SF_MIN], sf, true);
    }
    *ret_lines = l;
    return 0;
}

void uw_lines_chirp(const struct uw_lines *lines, int sf, bool down, const float **ret_re,
                    const float **ret_im) {
    const struct chirp *chirp = &lines->chirps[down][sf - UW_LINES_SF_MIN];

    *ret_re = chirp->re;
    *ret_im = chirp->im;
}

/* Four points, in place: rows at, at + step ... */
INLINE void radix4(vec *re, vec *im, size_t at, size_t step) {
    vec *r0 = re + at, *r1 = r0 + step, *r2 = r1 + step, *r3 = r2 + step;
    vec *i0 = im + at, *i1 = i0 + step, *i2 = i1 + step, *i3 = i2 + step;
    vec ar = *r0 + *r2, ai = *i0 + *i2, br = *r0 - *r2, bi = *i0 - *i2;
    vec cr = *r1 + *r3, ci = *i1 + *i3, dr = *r1 - *r3, di = *i1 - *i3;

    *r0 = ar + cr;
    *i0 = ai + ci;
    *r2 = ar - cr;
    *i2 = ai - ci;
    *r1 = br + di;
    *i1 = bi - dr;
    *r3 = br - di;
    *i3 = bi + dr;
}

INLINE void turn(vec *re, vec *im, float c, float s) {
    vec r = *re * c - *im * s;

    *im = *re * s + *im * c;
    *re = r;
}

/* 16 points. Row q + 4 j then holds point j + 4 q: rows are taken in the order of `order16`. */
INLINE void fft16(vec *re, vec *im) {
    const float c1 = 0.92387953f; /* cos(pi / 8) */
    const float s1 = 0.38268343f;
    const float h = 0.70710678f;

    for (size_t j = 0; j < 4; ++j)
        radix4(re, im, j, 4);
    turn(&re[5], &im[5], c1, -s1);
    turn(&re[9], &im[9], h, -h);
    turn(&re[13], &im[13], s1, -c1);
    turn(&re[6], &im[6], h, -h);
    turn(&re[10], &im[10], 0.0f, -1.0f);
    turn(&re[14], &im[14], -h, -h);
    turn(&re[7], &im[7], s1, -c1);
    turn(&re[11], &im[11], -h, -h);
    turn(&re[15], &im[15], -c1, s1);
    for (size_t q = 0; q < 4; ++q)
        radix4(re, im, 4 * q, 1);
}

/* Point k of fft16() is in this row. */
INLINE size_t row16(size_t k) {
    return k % 4 * 4 + k / 4;
}

/* 8 points, in order; rows at ... at + 7. */
INLINE void fft8(vec *re, vec *im) {
    const float h = 0.70710678f;
    vec r[8], i[8];

    for (size_t k = 0; k < 4; ++k) {
        r[k] = re[2 * k];
        i[k] = im[2 * k];
        r[4 + k] = re[2 * k + 1];
        i[4 + k] = im[2 * k + 1];
    }
    radix4(r, i, 0, 1);
    radix4(r, i, 4, 1);
    turn(&r[5], &i[5], h, -h);
    turn(&r[6], &i[6], 0.0f, -1.0f);
    turn(&r[7], &i[7], -h, -h);
    for (size_t k = 0; k < 4; ++k) {
        re[k] = r[k] + r[4 + k];
        im[k] = i[k] + i[4 + k];
        re[4 + k] = r[k] - r[4 + k];
        im[4 + k] = i[k] - i[4 + k];
    }
}

INLINE void fft2(vec *re, vec *im) {
    vec r = re[0] - re[1], i = im[0] - im[1];

    re[0] += re[1];
    im[0] += im[1];
    re[1] = r;
    im[1] = i;
}

/* 8 rows of 8, from rows of 16 to rows of 16. */
#if UW_HAS_CLONES
#define PAIR(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
INLINE void transpose8(const float *restrict x, float *restrict y) {
    half_vec a[8], b[8];

    for (size_t i = 0; i < 8; ++i)
        a[i] = *(const any_half *)(x + i * SIDE);
    for (size_t i = 0; i < 8; i += 2) {
        b[i] = PAIR(a[i], a[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
        b[i + 1] = PAIR(a[i], a[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    }
    for (size_t i = 0; i < 8; i += 4) {
        for (size_t k = 0; k < 2; ++k) {
            a[i + k] = PAIR(b[i + k], b[i + k + 2], 0, 1, 8, 9, 4, 5, 12, 13);
            a[i + k + 2] = PAIR(b[i + k], b[i + k + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    }
    for (size_t i = 0; i < 4; ++i) {
        *(any_half *)(y + i * SIDE) = PAIR(a[i], a[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        *(any_half *)(y + (i + 4) * SIDE) = PAIR(a[i], a[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}
#else
INLINE void transpose8(const float *restrict x, float *restrict y) {
    for (size_t i = 0; i < 8; ++i) {
        for (size_t k = 0; k < 8; ++k)
            y[k * SIDE + i] = x[i * SIDE + k];
    }
}
#endif

INLINE void transpose(const float *restrict x, float *restrict y) {
    for (size_t i = 0; i < SIDE; i += 8) {
        for (size_t k = 0; k < SIDE; k += 8)
            transpose8(x + i * SIDE + k, y + k * SIDE + i);
    }
}

/* The rows in fft16()'s order, turned, into the order of points. */
INLINE void turn_rows(const vec *re, const vec *im, const struct square *turns, int in_order,
                      struct square *ret) {
    for (size_t k = 0; k < SIDE; ++k) {
        vec r = re[in_order ? k : row16(k)];
        vec i = im[in_order ? k : row16(k)];
        vec c = *(const vec *)(turns->re + k * SIDE);
        vec s = *(const vec *)(turns->im + k * SIDE);

        *(vec *)(ret->re + k * SIDE) = r * c - i * s;
        *(vec *)(ret->im + k * SIDE) = r * s + i * c;
    }
}

INLINE void along_rows(const struct square *s, vec *re, vec *im) {
    struct square t;

    transpose(s->re, t.re);
    transpose(s->im, t.im);
    for (size_t k = 0; k < SIDE; ++k) {
        re[k] = *(const vec *)(t.re + k * SIDE);
        im[k] = *(const vec *)(t.im + k * SIDE);
    }
    fft16(re, im);
}

/* The second step: along the rows. Powers in rows of points, columns of rows. For all sizes once:
 * it is most of the code. */
UW_CLONES
static void second(const struct square *s, float *power) {
    vec re[SIDE], im[SIDE];

    along_rows(s, re, im);
    for (size_t k = 0; k < SIDE; ++k) {
        size_t row = row16(k);

        *(any_vec *)(power + k * SIDE) = re[row] * re[row] + im[row] * im[row];
    }
}

/* The same, amplitudes. */
UW_CLONES
static void second_lines(const struct square *s, float *ret_re, float *ret_im) {
    vec re[SIDE], im[SIDE];

    along_rows(s, re, im);
    for (size_t k = 0; k < SIDE; ++k) {
        *(vec *)(ret_re + k * SIDE) = re[row16(k)];
        *(vec *)(ret_im + k * SIDE) = im[row16(k)];
    }
}

/* A row of the input times the chirp. */
INLINE void load(const float *x_re, const float *x_im, const float *c_re, const float *c_im,
                 vec *ret_re, vec *ret_im) {
    vec r = *(const any_vec *)x_re;
    vec i = *(const any_vec *)x_im;

    *ret_re = r;
    *ret_im = i;
    if (c_re) {
        vec c = *(const any_vec *)c_re;
        vec s = *(const any_vec *)c_im;

        *ret_re = r * c - i * s;
        *ret_im = r * s + i * c;
    }
}

INLINE void first(vec *re, vec *im, size_t rows) {
    for (size_t w = 0; w < SIDE; w += rows) {
        if (rows == 2)
            fft2(re + w, im + w);
        else if (rows == 4)
            radix4(re, im, w, 1);
        else if (rows == 8)
            fft8(re + w, im + w);
        else
            fft16(re, im);
    }
}

INLINE void run_square(const struct square *turns, size_t rows, const float *x_re,
                       const float *x_im, const float *c_re, const float *c_im, float *power) {
    vec re[SIDE], im[SIDE];
    struct square s;
    _Alignas(64) float sideways[SQUARE];

    for (size_t k = 0; k < SIDE; ++k)
        load(x_re + k * SIDE, x_im + k * SIDE, c_re ? c_re + k * SIDE : NULL,
             c_re ? c_im + k * SIDE : NULL, &re[k], &im[k]);
    first(re, im, rows);
    turn_rows(re, im, turns, rows < SIDE, &s);
    second(&s, rows < SIDE ? sideways : power);
    if (rows < SIDE)
        transpose(sideways, power);
}

/* The first step of 512 points, up to the turned squares: of even lines, of odd ones. */
INLINE void first_long(const struct uw_lines *l, const float *x_re, const float *x_im,
                       const float *c_re, const float *c_im, struct square *ret_even,
                       struct square *ret_odd) {
    vec even_re[SIDE], even_im[SIDE], odd_re[SIDE], odd_im[SIDE];

    for (size_t k = 0; k < SIDE; ++k) {
        size_t at = k * SIDE;
        vec ar, ai, br, bi;
        vec c = *(const vec *)(l->halves.re + at);
        vec t = *(const vec *)(l->halves.im + at);

        load(x_re + at, x_im + at, c_re ? c_re + at : NULL, c_re ? c_im + at : NULL, &ar, &ai);
        at += SQUARE;
        load(x_re + at, x_im + at, c_re ? c_re + at : NULL, c_re ? c_im + at : NULL, &br, &bi);
        even_re[k] = ar + br;
        even_im[k] = ai + bi;
        ar -= br;
        ai -= bi;
        odd_re[k] = ar * c - ai * t;
        odd_im[k] = ar * t + ai * c;
    }
    fft16(even_re, even_im);
    turn_rows(even_re, even_im, &l->turns[N_SF - 1], 0, ret_even);
    fft16(odd_re, odd_im);
    turn_rows(odd_re, odd_im, &l->turns[N_SF], 0, ret_odd);
}

INLINE void run_long(const struct uw_lines *l, const float *x_re, const float *x_im,
                     const float *c_re, const float *c_im, float *power) {
    struct square even, odd;

    first_long(l, x_re, x_im, c_re, c_im, &even, &odd);
    second(&even, power);
    second(&odd, power + SQUARE);
}

#define FORM(name, size, ...)                                                                      \
    UW_CLONES                                                                                      \
    static void name(const struct uw_lines *l, const float *re, const float *im, const float *c,   \
                     const float *s, float *power) {                                               \
        if (c)                                                                                     \
            __VA_ARGS__(size, re, im, c, s, power);                                                \
        else                                                                                       \
            __VA_ARGS__(size, re, im, NULL, NULL, power);                                          \
    }

#define SQUARE_OF(i, ...) run_square(&l->turns[i], (size_t)2 << (i), __VA_ARGS__)
#define LONG_OF(i, ...)   run_long(l, __VA_ARGS__)

FORM(run5, 0, SQUARE_OF)
FORM(run6, 1, SQUARE_OF)
FORM(run7, 2, SQUARE_OF)
FORM(run8, 3, SQUARE_OF)
FORM(run9, 4, LONG_OF)

/* Amplitudes of 256 lines, and the first of them behind the last. */
struct row {
    _Alignas(64) float re[SQUARE + SIDE];
    _Alignas(64) float im[SQUARE + SIDE];
};

INLINE void take_lines(const struct square *s, struct row *ret) {
    second_lines(s, ret->re, ret->im);
    for (size_t i = 0; i < SIDE; ++i) {
        ret->re[SQUARE + i] = ret->re[i];
        ret->im[SQUARE + i] = ret->im[i];
    }
}

INLINE void take_powers(const struct row *x, float *power) {
    for (size_t i = 0; i < SQUARE; ++i)
        power[i] = x->re[i] * x->re[i] + x->im[i] * x->im[i];
}

/* Between each line of a and the line of b that is `ahead` places on. */
INLINE void take_between(const struct row *a, const struct row *b, size_t ahead, float *power) {
    for (size_t i = 0; i < SQUARE; ++i) {
        float re = a->re[i] - b->re[i + ahead];
        float im = a->im[i] - b->im[i + ahead];

        power[i] = 0.5f * (re * re + im * im);
    }
}

/* Of windows of `rows` rows, before the square is turned upright: line c * rows + r of a window
 * stands in row c, and r places behind the window's first. */
INLINE void take_between_sideways(const struct row *x, size_t rows, float *power) {
    for (size_t i = 0; i < SQUARE; i += SIDE) {
        for (size_t q = 0; q < SIDE; ++q) {
            bool last = q % rows == rows - 1;
            float next_re = x->re[i + q + SIDE + 1 - rows];
            float next_im = x->im[i + q + SIDE + 1 - rows];
            float re = x->re[i + q] - (last ? next_re : x->re[i + q + 1]);
            float im = x->im[i + q] - (last ? next_im : x->im[i + q + 1]);

            power[i + q] = 0.5f * (re * re + im * im);
        }
    }
}

INLINE void between_square(const struct square *turns, size_t rows, const float *x_re,
                           const float *x_im, const float *c_re, const float *c_im, float *power,
                           float *between) {
    vec re[SIDE], im[SIDE];
    struct square turned;
    struct row row;
    _Alignas(64) float sideways[2][SQUARE];

    for (size_t k = 0; k < SQUARE; k += SIDE)
        load(x_re + k, x_im + k, c_re + k, c_im + k, &re[k / SIDE], &im[k / SIDE]);
    first(re, im, rows);
    turn_rows(re, im, turns, rows < SIDE, &turned);
    take_lines(&turned, &row);
    take_powers(&row, rows < SIDE ? sideways[0] : power);
    if (rows < SIDE) {
        take_between_sideways(&row, rows, sideways[1]);
        transpose(sideways[0], power);
        transpose(sideways[1], between);
    } else {
        take_between(&row, &row, 1, between);
    }
}

#define BETWEEN(name, i)                                                                           \
    UW_CLONES                                                                                      \
    static void name(const struct uw_lines *l, const float *re, const float *im, const float *c,   \
                     const float *s, float *power, float *between) {                               \
        between_square(&l->turns[i], (size_t)2 << (i), re, im, c, s, power, between);              \
    }

BETWEEN(between5, 0)
BETWEEN(between6, 1)
BETWEEN(between7, 2)
BETWEEN(between8, 3)

UW_CLONES
static void between9(const struct uw_lines *l, const float *re, const float *im, const float *c,
                     const float *s, float *power, float *between) {
    struct square even, odd;
    struct row rows[2];

    first_long(l, re, im, c, s, &even, &odd);
    take_lines(&even, &rows[0]);
    take_lines(&odd, &rows[1]);
    take_powers(&rows[0], power);
    take_powers(&rows[1], power + SQUARE);
    take_between(&rows[0], &rows[1], 0, between);
    take_between(&rows[1], &rows[0], 1, between + SQUARE);
}

void uw_lines_run_between(const struct uw_lines *lines, int sf, const float *re, const float *im,
                          const float *chirp_re, const float *chirp_im, float *ret_power,
                          float *ret_between) {
    static void (*const forms[N_SF])(const struct uw_lines *, const float *, const float *,
                                     const float *, const float *, float *,
                                     float *) = {between5, between6, between7, between8, between9};

    forms[sf - UW_LINES_SF_MIN](lines, re, im, chirp_re, chirp_im, ret_power, ret_between);
}

void uw_lines_run(const struct uw_lines *lines, int sf, const float *re, const float *im,
                  const float *chirp_re, const float *chirp_im, float *ret_power) {
    static void (*const forms[N_SF])(const struct uw_lines *, const float *, const float *,
                                     const float *, const float *,
                                     float *) = {run5, run6, run7, run8, run9};

    forms[sf - UW_LINES_SF_MIN](lines, re, im, chirp_re, chirp_im, ret_power);
}
