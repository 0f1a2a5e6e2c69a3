/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Everything is made of transforms of 64 points, in vectors of 8: 8 points down the columns of a
 * square of 8 by 8, a turn of each element, and 8 points along its rows, for which the square is
 * transposed (W. M. Gentleman and G. Sande, "Fast Fourier Transforms: for fun and profit", 1966).
 * A square and what is worked out of it just fit into the 16 registers of 32 bytes that a processor
 * with AVX2 has; with more per vector or more rows most of the work would be to put things away.
 *
 * Of N = 64 P points, P = 2, 4 or 8, a step of radix P before makes P squares, whose lines are
 * those that leave 0 .. P - 1 when divided by P (decimation in frequency). Two windows of 32 points
 * are the upper and the lower half of one square. No line is put where its number says, then, but
 * the line above stands in the same lane of another square, and only from the last square to the
 * first in the next lane: the powers between lines, and sums, need no shuffling either.
 *
 * The vectors are the compiler's (GCC, Clang): plain arithmetic by elements, in a form that gets
 * the processor's registers. tests/dsp/test-lines.c has the sum that defines the transform.
 */

/* vectors are arguments of inline functions alone */
#pragma GCC diagnostic ignored "-Wpsabi"

#include "uw/dsp/lines.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "uw/base/err.h"
#include "uw/base/util.h"

#define N_SF   (UW_LINES_SF_MAX - UW_LINES_SF_MIN + 1)
#define SIDE   UW_LINES_LANES
#define SQUARE UW_LINES_SQUARE
#define LONG   512
#define P_MAX  (LONG / SQUARE)
#define HALF   0.70710678f /* root */

#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(32), may_alias));
typedef float any_vec __attribute__((vector_size(32), aligned(4), may_alias)); /* anywhere */

/* 8 numbers side by side. */
struct row {
    vec re, im;
};

struct square {
    _Alignas(64) float re[SQUARE];
    _Alignas(64) float im[SQUARE];
};

struct uw_lines {
    struct square inner[2];        /* between the steps of a square: of two windows, of one */
    struct square outer[3][P_MAX]; /* after radix 2, 4, 8: of each square */
    struct chirp {
        _Alignas(64) float re[LONG];
        _Alignas(64) float im[LONG];
    } chirps[2][N_SF], /* the conjugates: of up-chirps, of down-chirps; a unit */
        flat;          /* 1 */
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

        set_turn(&l->inner[0], at, SQUARE / 2, row % (SIDE / 2) * column);
        set_turn(&l->inner[1], at, SQUARE, row * column);
        for (size_t i = 0; i < 3; ++i) {
            for (size_t b = 0; b < P_MAX; ++b)
                set_turn(&l->outer[i][b], at, (size_t)128 << i, at * b);
        }
    }
    for (int sf = UW_LINES_SF_MIN; sf <= UW_LINES_SF_MAX; ++sf) {
        make_chirp(&l->chirps[0][sf - UW_LINES_SF_MIN], sf, false);
        make_chirp(&l->chirps[1][sf - UW_LINES_SF_MIN], sf, true);
    }
    for (size_t i = 0; i < LONG; ++i) {
        l->flat.re[i] = 1.0f;
        l->flat.im[i] = 0.0f;
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

INLINE struct row plus(struct row a, struct row b) {
    return (struct row){a.re + b.re, a.im + b.im};
}

INLINE struct row minus(struct row a, struct row b) {
    return (struct row){a.re - b.re, a.im - b.im};
}

/* a - i b, a + i b. */
INLINE struct row behind(struct row a, struct row b) {
    return (struct row){a.re + b.im, a.im - b.re};
}

INLINE struct row ahead(struct row a, struct row b) {
    return (struct row){a.re - b.im, a.im + b.re};
}

INLINE struct row times(struct row a, struct row b) {
    return (struct row){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

INLINE struct row at(const float *re, const float *im, size_t i) {
    return (struct row){*(const any_vec *)(re + i), *(const any_vec *)(im + i)};
}

INLINE void put(struct row x, float *re, float *im, size_t i) {
    *(any_vec *)(re + i) = x.re;
    *(any_vec *)(im + i) = x.im;
}

INLINE void fft4(struct row a, struct row b, struct row c, struct row d, struct row *ret_0,
                 struct row *ret_1, struct row *ret_2, struct row *ret_3) {
    struct row s = plus(a, c), t = minus(a, c), u = plus(b, d), v = minus(b, d);

    *ret_0 = plus(s, u);
    *ret_1 = behind(t, v);
    *ret_2 = minus(s, u);
    *ret_3 = ahead(t, v);
}

/* In place, in order. */
INLINE void fft8(struct row x[8]) {
    struct row b0 = minus(x[0], x[4]), b1 = minus(x[1], x[5]);
    struct row b2 = minus(x[2], x[6]), b3 = minus(x[3], x[7]);
    struct row c1 = {(b1.re + b1.im) * HALF, (b1.im - b1.re) * HALF}; /* W_8 b1 */
    struct row c3 = {(b3.im - b3.re) * HALF, (b3.re + b3.im) * HALF}; /* its im is less this */
    struct row t = behind(b0, b2), u = ahead(b0, b2);
    struct row s1 = {c1.re + c3.re, c1.im - c3.im}, s3 = {c1.re - c3.re, c1.im + c3.im};

    fft4(plus(x[0], x[4]), plus(x[1], x[5]), plus(x[2], x[6]), plus(x[3], x[7]), &x[0], &x[2],
         &x[4], &x[6]);
    x[1] = plus(t, s1);
    x[5] = minus(t, s1);
    x[3] = behind(u, s3);
    x[7] = ahead(u, s3);
}

#if UW_HAS_CLONES
#define PAIR(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
INLINE void transpose(vec a[8]) {
    vec b[8];

    for (size_t i = 0; i < 8; i += 2) {
        b[i] = PAIR(a[i], a[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        b[i + 1] = PAIR(a[i], a[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (size_t i = 0; i < 8; i += 4) {
        a[i] = PAIR(b[i], b[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        a[i + 1] = PAIR(b[i], b[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        a[i + 2] = PAIR(b[i + 1], b[i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
        a[i + 3] = PAIR(b[i + 1], b[i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    for (size_t i = 0; i < 4; ++i) {
        b[i] = PAIR(a[i], a[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        b[i + 4] = PAIR(a[i], a[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
    for (size_t i = 0; i < 8; ++i)
        a[i] = b[i];
}

/* The lower halves of both, the upper halves. */
INLINE vec lower(vec a, vec b) {
    return PAIR(a, b, 0, 1, 2, 3, 8, 9, 10, 11);
}

INLINE vec upper(vec a, vec b) {
    return PAIR(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
}

/* From the second element of a on. */
INLINE vec after(vec a, vec b) {
    return PAIR(a, b, 1, 2, 3, 4, 5, 6, 7, 8);
}
#else
INLINE void transpose(vec a[8]) {
    vec b[8];

    for (size_t i = 0; i < 8; ++i) {
        for (size_t k = 0; k < 8; ++k)
            b[k][i] = a[i][k];
    }
    for (size_t i = 0; i < 8; ++i)
        a[i] = b[i];
}

INLINE vec lower(vec a, vec b) {
    return (vec){a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]};
}

INLINE vec upper(vec a, vec b) {
    return (vec){a[4], a[5], a[6], a[7], b[4], b[5], b[6], b[7]};
}

INLINE vec after(vec a, vec b) {
    return (vec){a[1], a[2], a[3], a[4], a[5], a[6], a[7], b[0]};
}
#endif

/* Turned, transposed, along the rows. */
INLINE void second(struct row x[8], const struct square *turns) {
    vec re[8], im[8];

    for (size_t k = 0; k < 8; ++k) {
        struct row r = k == 0 ? x[k] : times(x[k], at(turns->re, turns->im, k * SIDE));

        re[k] = r.re;
        im[k] = r.im;
    }
    transpose(re);
    transpose(im);
    for (size_t k = 0; k < 8; ++k)
        x[k] = (struct row){re[k], im[k]};
    fft8(x);
}

/* The first square's last lines again, each one's upper neighbour in its place. */
INLINE void put_tail(float *re, float *im, size_t square, size_t n) {
    struct row last = at(re, im, square - SIDE), first = at(re, im, 0);

    put((struct row){after(last.re, first.re), after(last.im, first.im)}, re, im, n);
}

INLINE void run_square(struct row x[8], const struct square *turns, float *ret_re, float *ret_im) {
    fft8(x);
    second(x, turns);
    for (size_t k = 0; k < 8; ++k)
        put(x[k], ret_re, ret_im, k * SIDE);
}

/* Times the chirp. */
INLINE struct row input(const float *x_re, const float *x_im, const float *c_re, const float *c_im,
                        size_t i) {
    return times(at(x_re, x_im, i), at(c_re, c_im, i));
}

#define INPUT const float *x_re, const float *x_im, const float *c_re, const float *c_im
#define IN(i) input(x_re, x_im, c_re, c_im, i)

/* Two windows. */
UW_CLONES
static void run5(const struct uw_lines *l, INPUT, float *re, float *im) {
    const size_t n = SQUARE / 2;
    float *other_re = re + n + SIDE, *other_im = im + n + SIDE;
    struct row x[8];

    for (size_t k = 0; k < 8; ++k)
        x[k] = IN(k * SIDE);
    fft4(x[0], x[1], x[2], x[3], &x[0], &x[1], &x[2], &x[3]);
    fft4(x[4], x[5], x[6], x[7], &x[4], &x[5], &x[6], &x[7]);
    second(x, &l->inner[0]);
    for (size_t k = 0; k < 4; ++k) {
        struct row a = x[2 * k], b = x[2 * k + 1];

        put((struct row){lower(a.re, b.re), lower(a.im, b.im)}, re, im, k * SIDE);
        put((struct row){upper(a.re, b.re), upper(a.im, b.im)}, other_re, other_im, k * SIDE);
    }
    put_tail(re, im, n, n);
    put_tail(other_re, other_im, n, n);
}

UW_CLONES
static void run6(const struct uw_lines *l, INPUT, float *re, float *im) {
    struct row x[8];

    for (size_t k = 0; k < 8; ++k)
        x[k] = IN(k * SIDE);
    run_square(x, &l->inner[1], re, im);
    put_tail(re, im, SQUARE, SQUARE);
}

/* The squares that the step of radix p has made. */
INLINE void run_squares(const struct uw_lines *l, const struct square *s, size_t p, float *re,
                        float *im) {
    for (size_t b = 0; b < p; ++b) {
        struct row x[8];

        for (size_t k = 0; k < 8; ++k)
            x[k] = at(s[b].re, s[b].im, k * SIDE);
        run_square(x, &l->inner[1], re + b * SQUARE, im + b * SQUARE);
    }
    put_tail(re, im, SQUARE, p * SQUARE);
}

UW_CLONES
static void run7(const struct uw_lines *l, INPUT, float *re, float *im) {
    struct square s[2];

    for (size_t i = 0; i < SQUARE; i += SIDE) {
        struct row a = IN(i);
        struct row b = IN(i + SQUARE);

        put(plus(a, b), s[0].re, s[0].im, i);
        b = times(minus(a, b), at(l->outer[0][1].re, l->outer[0][1].im, i));
        put(b, s[1].re, s[1].im, i);
    }
    run_squares(l, s, 2, re, im);
}

UW_CLONES
static void run8(const struct uw_lines *l, INPUT, float *re, float *im) {
    const struct square *turns = l->outer[1];
    struct square s[4];

    for (size_t i = 0; i < SQUARE; i += SIDE) {
        struct row x[4];

        for (size_t b = 0; b < 4; ++b)
            x[b] = IN(i + b * SQUARE);
        fft4(x[0], x[1], x[2], x[3], &x[0], &x[1], &x[2], &x[3]);
        put(x[0], s[0].re, s[0].im, i);
        for (size_t b = 1; b < 4; ++b)
            put(times(x[b], at(turns[b].re, turns[b].im, i)), s[b].re, s[b].im, i);
    }
    run_squares(l, s, 4, re, im);
}

UW_CLONES
static void run9(const struct uw_lines *l, INPUT, float *re, float *im) {
    const struct square *turns = l->outer[2];
    struct square s[8];

    for (size_t i = 0; i < SQUARE; i += SIDE) {
        struct row x[8];

        for (size_t b = 0; b < 8; ++b)
            x[b] = IN(i + b * SQUARE);
        fft8(x);
        put(x[0], s[0].re, s[0].im, i);
        for (size_t b = 1; b < 8; ++b)
            put(times(x[b], at(turns[b].re, turns[b].im, i)), s[b].re, s[b].im, i);
    }
    run_squares(l, s, 8, re, im);
}

void uw_lines_amplitudes(const struct uw_lines *lines, int sf, size_t n, const float *re,
                         const float *im, const float *chirp_re, const float *chirp_im,
                         float *ret_re, float *ret_im) {
    static void (*const forms[N_SF])(const struct uw_lines *, INPUT, float *,
                                     float *) = {run5, run6, run7, run8, run9};
    size_t at_once = (size_t)1 << (sf < 6 ? 6 : sf);

    if (!chirp_re) {
        chirp_re = lines->flat.re;
        chirp_im = lines->flat.im;
    }
    for (size_t i = 0; i < n; i += at_once) {
        size_t to = (i >> sf) * uw_lines_stride(sf);

        forms[sf - UW_LINES_SF_MIN](lines, re + i, im + i, chirp_re, chirp_im, ret_re + to,
                                    ret_im + to);
    }
}

UW_CLONES
static void take_powers(size_t n, const float *restrict re, const float *restrict im,
                        float *restrict power) {
    for (size_t i = 0; i < n; ++i)
        power[i] = re[i] * re[i] + im[i] * im[i];
}

void uw_lines_run(const struct uw_lines *lines, int sf, const float *re, const float *im,
                  const float *chirp_re, const float *chirp_im, float *ret_power) {
    _Alignas(64) float line_re[LONG + SIDE], line_im[LONG + SIDE];
    size_t n = (size_t)1 << sf;

    uw_lines_amplitudes(lines, sf, uw_lines_unit(sf), re, im, chirp_re, chirp_im, line_re, line_im);
    for (size_t i = 0; i < uw_lines_unit(sf); i += n) {
        size_t from = (i >> sf) * uw_lines_stride(sf);

        take_powers(n, line_re + from, line_im + from, ret_power + i);
    }
}
