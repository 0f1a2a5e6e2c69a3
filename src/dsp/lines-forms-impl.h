/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The forms of lines.c, for one number of squares side by side in a vector: included once for each
 *
 * Before: SIDES (1 or 2), FORM(name) that tells the names of one from those of the other, and
 * FORM_TARGET, what the forms are compiled for. All three are undefined at the end.
 *
 * Of two squares one is the lower, one the upper half of each vector: same steps, no exchange. So
 * every number is worked out as with one, to the bit.
 *
 * Threads: any.
 */

#define WIDTH (SIDES * SIDE)
#define vec   FORM(vec)
#define row   FORM(row)
#define plus  FORM(plus)
#define minus FORM(minus)
#define times FORM(times)
#define fft4  FORM(fft4)
#define fft8  FORM(fft8)

typedef float vec __attribute__((vector_size(4 * WIDTH), may_alias));
typedef float FORM(any_vec) __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

/* WIDTH numbers side by side. */
struct row {
    vec re, im;
};

INLINE struct row plus(struct row a, struct row b) {
    return (struct row){a.re + b.re, a.im + b.im};
}

INLINE struct row minus(struct row a, struct row b) {
    return (struct row){a.re - b.re, a.im - b.im};
}

/* a - i b, a + i b. */
INLINE struct row FORM(behind)(struct row a, struct row b) {
    return (struct row){a.re + b.im, a.im - b.re};
}

INLINE struct row FORM(ahead)(struct row a, struct row b) {
    return (struct row){a.re - b.im, a.im + b.re};
}

INLINE struct row times(struct row a, struct row b) {
    return (struct row){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

/* What stands there. */
INLINE struct row FORM(at)(const float *re, const float *im, size_t i) {
    return (struct row){*(const FORM(any_vec) *)(re + i), *(const FORM(any_vec) *)(im + i)};
}

/* SIDE numbers of each square, which are `apart` from each other. */
#if SIDES == 1
INLINE vec FORM(load)(const float *x, size_t apart) {
    (void)apart;
    return *(const any_octet *)x;
}

INLINE void FORM(store)(vec v, float *x, size_t apart) {
    (void)apart;
    *(any_octet *)x = v;
}
#else
INLINE vec FORM(load)(const float *x, size_t apart) {
    any_octet a = *(const any_octet *)x, b = *(const any_octet *)(x + apart);

    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

INLINE void FORM(store)(vec v, float *x, size_t apart) {
    *(any_octet *)x = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7);
    *(any_octet *)(x + apart) = __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
}
#endif

INLINE struct row FORM(at_each)(const float *re, const float *im, size_t i, size_t apart) {
    return (struct row){FORM(load)(re + i, apart), FORM(load)(im + i, apart)};
}

INLINE void FORM(put_each)(struct row x, float *re, float *im, size_t i, size_t apart) {
    FORM(store)(x.re, re + i, apart);
    FORM(store)(x.im, im + i, apart);
}

INLINE void fft4(struct row a, struct row b, struct row c, struct row d, struct row *ret_0,
                 struct row *ret_1, struct row *ret_2, struct row *ret_3) {
    struct row s = plus(a, c), t = minus(a, c), u = plus(b, d), v = minus(b, d);

    *ret_0 = plus(s, u);
    *ret_1 = FORM(behind)(t, v);
    *ret_2 = minus(s, u);
    *ret_3 = FORM(ahead)(t, v);
}

/* In place, in order. */
INLINE void fft8(struct row x[8]) {
    struct row b0 = minus(x[0], x[4]), b1 = minus(x[1], x[5]);
    struct row b2 = minus(x[2], x[6]), b3 = minus(x[3], x[7]);
    struct row c1 = {(b1.re + b1.im) * HALF, (b1.im - b1.re) * HALF}; /* W_8 b1 */
    struct row c3 = {(b3.im - b3.re) * HALF, (b3.re + b3.im) * HALF}; /* its im is less this */
    struct row t = FORM(behind)(b0, b2), u = FORM(ahead)(b0, b2);
    struct row s1 = {c1.re + c3.re, c1.im - c3.im}, s3 = {c1.re - c3.re, c1.im + c3.im};

    fft4(plus(x[0], x[4]), plus(x[1], x[5]), plus(x[2], x[6]), plus(x[3], x[7]), &x[0], &x[2],
         &x[4], &x[6]);
    x[1] = plus(t, s1);
    x[5] = minus(t, s1);
    x[3] = FORM(behind)(u, s3);
    x[7] = FORM(ahead)(u, s3);
}

/* Of each square: a and b as the eight of its half of a vector, by number. */
#if !UW_HAS_CLONES
#define EACH(a, b, i0, i1, i2, i3, i4, i5, i6, i7)                                                 \
    ((vec){OF(a, b, i0), OF(a, b, i1), OF(a, b, i2), OF(a, b, i3), OF(a, b, i4), OF(a, b, i5),     \
           OF(a, b, i6), OF(a, b, i7)})
#define OF(a, b, i) ((i) < 8 ? (a)[(i) % 8] : (b)[(i) % 8])
#elif SIDES == 1
#define EACH(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define OF(i) ((i) < 8 ? (i) : (i) + 8) /* the second operand's numbers begin at 16 */
#define EACH(a, b, i0, i1, i2, i3, i4, i5, i6, i7)                                                 \
    __builtin_shufflevector(a, b, OF(i0), OF(i1), OF(i2), OF(i3), OF(i4), OF(i5), OF(i6), OF(i7),  \
                            OF(i0) + 8, OF(i1) + 8, OF(i2) + 8, OF(i3) + 8, OF(i4) + 8,            \
                            OF(i5) + 8, OF(i6) + 8, OF(i7) + 8)
#endif

INLINE void FORM(transpose)(vec a[8]) {
    vec b[8];

    for (size_t i = 0; i < 8; i += 2) {
        b[i] = EACH(a[i], a[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        b[i + 1] = EACH(a[i], a[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (size_t i = 0; i < 8; i += 4) {
        a[i] = EACH(b[i], b[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        a[i + 1] = EACH(b[i], b[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        a[i + 2] = EACH(b[i + 1], b[i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
        a[i + 3] = EACH(b[i + 1], b[i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    for (size_t i = 0; i < 4; ++i) {
        b[i] = EACH(a[i], a[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        b[i + 4] = EACH(a[i], a[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
    for (size_t i = 0; i < 8; ++i)
        a[i] = b[i];
}

/* Turned, transposed, along the rows. */
INLINE void FORM(second)(struct row x[8], const struct square *turns) {
    vec re[8], im[8];

    for (size_t k = 0; k < 8; ++k) {
        struct row r = x[k];

        if (k > 0)
            r = times(r, FORM(at_each)(turns->re, turns->im, k * SIDE, 0));
        re[k] = r.re;
        im[k] = r.im;
    }
    FORM(transpose)(re);
    FORM(transpose)(im);
    for (size_t k = 0; k < 8; ++k)
        x[k] = (struct row){re[k], im[k]};
    fft8(x);
}

INLINE void FORM(run_square)(struct row x[8], const struct square *turns, float *ret_re,
                             float *ret_im, size_t apart) {
    fft8(x);
    FORM(second)(x, turns);
    for (size_t k = 0; k < 8; ++k)
        FORM(put_each)(x[k], ret_re, ret_im, k * SIDE, apart);
}

/* Times the chirp: what stands there, of each square. */
#define IN(i)      times(FORM(at)(x_re, x_im, i), FORM(at)(c_re, c_im, i))
#define IN_EACH(i) times(FORM(at_each)(x_re, x_im, i, SQUARE), FORM(at_each)(c_re, c_im, i, SQUARE))

/* 2 SIDES windows. */
FORM_TARGET
static void FORM(run5)(const struct uw_lines *l, INPUT, float *re, float *im) {
    const size_t n = SQUARE / 2, stride = n + UW_LINES_PAD;
    struct row x[8];

    for (size_t k = 0; k < 8; ++k)
        x[k] = IN_EACH(k * SIDE);
    fft4(x[0], x[1], x[2], x[3], &x[0], &x[1], &x[2], &x[3]);
    fft4(x[4], x[5], x[6], x[7], &x[4], &x[5], &x[6], &x[7]);
    FORM(second)(x, &l->inner[0]);
    for (size_t k = 0; k < 4; ++k) {
        struct row a = x[2 * k], b = x[2 * k + 1];
        struct row lower = {EACH(a.re, b.re, 0, 1, 2, 3, 8, 9, 10, 11),
                            EACH(a.im, b.im, 0, 1, 2, 3, 8, 9, 10, 11)};
        struct row upper = {EACH(a.re, b.re, 4, 5, 6, 7, 12, 13, 14, 15),
                            EACH(a.im, b.im, 4, 5, 6, 7, 12, 13, 14, 15)};

        FORM(put_each)(lower, re, im, k * SIDE, 2 * stride);
        FORM(put_each)(upper, re + stride, im + stride, k * SIDE, 2 * stride);
    }
    for (size_t w = 0; w < 2 * SIDES; ++w)
        put_tail(re + w * stride, im + w * stride, n, n);
}

/* SIDES windows. */
FORM_TARGET
static void FORM(run6)(const struct uw_lines *l, INPUT, float *re, float *im) {
    const size_t stride = SQUARE + UW_LINES_PAD;
    struct row x[8];

    for (size_t k = 0; k < 8; ++k)
        x[k] = IN_EACH(k * SIDE);
    FORM(run_square)(x, &l->inner[1], re, im, stride);
    for (size_t w = 0; w < SIDES; ++w)
        put_tail(re + w * stride, im + w * stride, SQUARE, SQUARE);
}

/* The squares that the step of radix p has made. */
INLINE void FORM(run_squares)(const struct uw_lines *l, const struct square *s, size_t p, float *re,
                              float *im) {
    for (size_t b = 0; b < p; b += SIDES) {
        struct row x[8];

        for (size_t k = 0; k < 8; ++k)
            x[k] = FORM(at_each)(s[b].re, s[b].im, k * SIDE, sizeof(*s) / sizeof(float));
        FORM(run_square)(x, &l->inner[1], re + b * SQUARE, im + b * SQUARE, SQUARE);
    }
    put_tail(re, im, SQUARE, p * SQUARE);
}

/* Where the radix's step leaves line b: turned, into its square. */
INLINE void FORM(leave)(struct row x, const struct square *turns, size_t b, size_t i,
                        struct square *s) {
    if (b > 0)
        x = times(x, FORM(at)(turns[b].re, turns[b].im, i));
    *(FORM(any_vec) *)(s[b].re + i) = x.re;
    *(FORM(any_vec) *)(s[b].im + i) = x.im;
}

/* Radix p, 2, 4 or 8, in place, in order. */
INLINE void FORM(step)(struct row *x, size_t p) {
    struct row a = x[0];

    if (p == 8) {
        fft8(x);
    } else if (p == 4) {
        fft4(x[0], x[1], x[2], x[3], &x[0], &x[1], &x[2], &x[3]);
    } else {
        x[0] = plus(a, x[1]);
        x[1] = minus(a, x[1]);
    }
}

/* A window of p squares. */
INLINE void FORM(run_long)(const struct uw_lines *l, INPUT, float *re, float *im, size_t p,
                           const struct square *turns) {
    struct square s[P_MAX];

    for (size_t i = 0; i < SQUARE; i += WIDTH) {
        struct row x[P_MAX];

        for (size_t b = 0; b < p; ++b)
            x[b] = IN(i + b * SQUARE);
        FORM(step)(x, p);
        for (size_t b = 0; b < p; ++b)
            FORM(leave)(x[b], turns, b, i, s);
    }
    FORM(run_squares)(l, s, p, re, im);
}

FORM_TARGET
static void FORM(run7)(const struct uw_lines *l, INPUT, float *re, float *im) {
    FORM(run_long)(l, x_re, x_im, c_re, c_im, re, im, 2, l->outer[0]);
}

FORM_TARGET
static void FORM(run8)(const struct uw_lines *l, INPUT, float *re, float *im) {
    FORM(run_long)(l, x_re, x_im, c_re, c_im, re, im, 4, l->outer[1]);
}

FORM_TARGET
static void FORM(run9)(const struct uw_lines *l, INPUT, float *re, float *im) {
    FORM(run_long)(l, x_re, x_im, c_re, c_im, re, im, 8, l->outer[2]);
}

#undef IN_EACH
#undef IN
#undef EACH
#undef OF
#undef fft8
#undef fft4
#undef times
#undef minus
#undef plus
#undef row
#undef vec
#undef WIDTH
#undef FORM_TARGET
#undef FORM
#undef SIDES
