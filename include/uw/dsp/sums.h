/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_DSP_SUMS_H
#define UW_DSP_SUMS_H

/* Sums of many numbers, by partial sums in an order that is the same on every processor. Threads:
 * any. */

#include <complex.h>
#include <stddef.h>

/* Of n numbers. */
float uw_sum(const float *x, size_t n);
/* Of the squared magnitudes of n samples. */
float uw_energy(const float complex *x, size_t n);

#endif
