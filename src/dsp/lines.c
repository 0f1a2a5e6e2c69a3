/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Everything is made of transforms of 64 points, in vectors of 8: 8 points down the columns of a
 * square of 8 by 8, a turn of each element, and 8 points along its rows, for which the square is
 * transposed (W. M. Gentleman and G. Sande, "Fast Fourier Transforms: for fun and profit", 1966).
 * A square and what is worked out of it just fit into the 16 registers of 32 bytes that a processor
 * with AVX2 has; with more per vector or more rows most of the work would be to put things away.
 * With AVX-512 there are 32 of 64 bytes: two squares go side by side (lines-forms-impl.h).
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

typedef float octet __attribute__((vector_size(32), may_alias));
typedef float any_octet __attribute__((vector_size(32), aligned(4), may_alias)); /* anywhere */

/* Of INPUT's samples times the chirp the amplitudes. */
#define INPUT const float *x_re, const float *x_im, const float *c_re, const float *c_im

struct uw_lines;
typedef void form(const struct uw_lines *lines, INPUT, float *re, float *im);

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
    size_t sides;      /* squares that the forms have side by side */
    form *const *forms;
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

void uw_lines_chirp(const struct uw_lines *lines, int sf, bool down, const float **ret_re,
                    const float **ret_im) {
    const struct chirp *chirp = &lines->chirps[down][sf - UW_LINES_SF_MIN];

    *ret_re = chirp->re;
    *ret_im = chirp->im;
}

/* From the second element of a on. */
#if UW_HAS_CLONES
INLINE octet after(octet a, octet b) {
    return __builtin_shufflevector(a, b, 1, 2, 3, 4, 5, 6, 7, 8);
}
#else
INLINE octet after(octet a, octet b) {
    return (octet){a[1], a[2], a[3], a[4], a[5], a[6], a[7], b[0]};
}
#endif

/* The first square's last lines again, each one's upper neighbour in its place. */
INLINE void put_tail(float *re, float *im, size_t square, size_t n) {
    *(any_octet *)(re + n) = after(*(any_octet *)(re + square - SIDE), *(any_octet *)re);
    *(any_octet *)(im + n) = after(*(any_octet *)(im + square - SIDE), *(any_octet *)im);
}

#define SIDES       1
#define FORM(name)  name##_one
#define FORM_TARGET UW_CLONES
#include "lines-forms-impl.h"

#if UW_HAS_CLONES
#define SIDES       2
#define FORM(name)  name##_two
#define FORM_TARGET __attribute__((target("arch=x86-64-v4")))
#include "lines-forms-impl.h"
#endif

/* Two squares fill the registers of a processor with AVX-512, of which there are twice as many. */
static void choose_forms(struct uw_lines *l) {
    static form *const one[N_SF] = {run5_one, run6_one, run7_one, run8_one, run9_one};

    l->sides = 1;
    l->forms = one;
#if UW_HAS_CLONES
    static form *const two[N_SF] = {run5_two, run6_two, run7_two, run8_two, run9_two};

    if (__builtin_cpu_supports("x86-64-v4")) {
        l->sides = 2;
        l->forms = two;
    }
#endif
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
    choose_forms(l);
    *ret_lines = l;
    return 0;
}

void uw_lines_amplitudes(const struct uw_lines *lines, int sf, size_t n, const float *re,
                         const float *im, const float *chirp_re, const float *chirp_im,
                         float *ret_re, float *ret_im) {
    size_t chips = (size_t)1 << sf;
    size_t at_once = chips > lines->sides * SQUARE ? chips : lines->sides * SQUARE;
    form *run = lines->forms[sf - UW_LINES_SF_MIN];

    if (!chirp_re) {
        chirp_re = lines->flat.re;
        chirp_im = lines->flat.im;
    }
    for (size_t i = 0; i < n; i += at_once) {
        size_t to = (i >> sf) * uw_lines_stride(sf);

        run(lines, re + i, im + i, chirp_re, chirp_im, ret_re + to, ret_im + to);
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
    _Alignas(64) float line_re[LONG + UW_LINES_PAD], line_im[LONG + UW_LINES_PAD];
    size_t n = (size_t)1 << sf;

    uw_lines_amplitudes(lines, sf, uw_lines_unit(sf), re, im, chirp_re, chirp_im, line_re, line_im);
    for (size_t i = 0; i < uw_lines_unit(sf); i += n) {
        size_t from = (i >> sf) * uw_lines_stride(sf);

        take_powers(n, line_re + from, line_im + from, ret_power + i);
    }
}
