/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "uw/dsp/sums.h"

#include <stdbool.h>

#include "uw/base/util.h"

#define INLINE static inline __attribute__((always_inline))
#define PARTS  64 /* four vectors: additions take as long */

/* Halves onto halves: of known sizes, which the compiler keeps in registers. */
INLINE float add_up(const float parts[PARTS]) {
    float a[16], b[8], c[4];

    for (size_t k = 0; k < 16; ++k)
        a[k] = (parts[k] + parts[k + 16]) + (parts[k + 32] + parts[k + 48]);
    for (size_t k = 0; k < 8; ++k)
        b[k] = a[k] + a[k + 8];
    for (size_t k = 0; k < 4; ++k)
        c[k] = b[k] + b[k + 4];
    return (c[0] + c[2]) + (c[1] + c[3]);
}

/* Of the numbers or of their squares, which the compiler knows. */
INLINE float add_all(const float *restrict x, size_t n, bool squares) {
    float parts[PARTS] = {0};
    size_t i = 0;

    for (; i + PARTS <= n; i += PARTS) {
        for (size_t k = 0; k < PARTS; ++k)
            parts[k] += squares ? x[i + k] * x[i + k] : x[i + k];
    }
    for (size_t k = 0; i < n; ++i, ++k)
        parts[k] += squares ? x[i] * x[i] : x[i];
    return add_up(parts);
}

UW_CLONES
static float sum(const float *x, size_t n) {
    return add_all(x, n, false);
}

UW_CLONES
static float sum_squares(const float *x, size_t n) {
    return add_all(x, n, true);
}

float uw_sum(const float *x, size_t n) {
    return sum(x, n);
}

float uw_energy(const float complex *x, size_t n) {
    return sum_squares((const float *)x, 2 * n);
}
