/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_DSP_BALANCE_IMPL_H
#define UW_SRC_DSP_BALANCE_IMPL_H

/*
 * Private to src/dsp: DC and the image, taken out of spectra
 *
 * Threads: one.
 */

#include <complex.h>
#include <stddef.h>
#include <stdint.h>

struct uw_centre;

/* n, frame_s (from frame to frame) are given, the rest begins as 0. */
struct uw_balance {
    size_t n;
    double frame_s;
    float complex square; /* slow mean of x^2 */
    float power;          /* slow mean of |x|^2 */
    float complex beta;   /* what is taken out; 0: nothing */
    uint64_t looks;
};

/* A frame's transform: n bins, from 0 Hz on. The centre keeps its DC. */
void uw_balance_frame(struct uw_balance *balance, struct uw_centre *at, uint64_t frame,
                      float complex *x);

#endif
