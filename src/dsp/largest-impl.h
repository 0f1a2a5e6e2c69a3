/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_DSP_LARGEST_IMPL_H
#define UW_SRC_DSP_LARGEST_IMPL_H

/* Private to src/dsp: the largest of many numbers. Threads: any. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The largest magnitude of n numbers, 0 of none, by their bits, which are in the order of the
 * numbers: for whole numbers compilers make vectors of it. What is no number is the largest of all.
 * To be compiled into the caller's clones. */
static inline float uw_largest(size_t n, const float *x) {
    uint32_t most = 0;
    float value;

    for (size_t i = 0; i < n; ++i) {
        uint32_t bits;

        memcpy(&bits, x + i, sizeof(bits));
        bits &= 0x7fffffff;
        most = bits > most ? bits : most;
    }
    memcpy(&value, &most, sizeof(value));
    return value;
}

#endif
