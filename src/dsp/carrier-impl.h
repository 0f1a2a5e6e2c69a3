/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_DSP_CARRIER_IMPL_H
#define UW_DSP_CARRIER_IMPL_H

/*
 * Inside src/dsp: what the estimators of a frequency share
 *
 * Threads: any. Nothing is allocated.
 */

#include <complex.h>
#include <stddef.h>

/* sum x[i] exp(-j 2 pi bin i / n); bin need not be whole. */
double complex uw_carrier_transform(const float complex *x, size_t n, double bin);
/* From within a bin of the peak to the peak (uw/dsp/carrier.h has the source). */
double uw_carrier_refine(const float complex *x, size_t n, double bin);

struct uw_carrier_point {
    double at_s, freq_hz;
};

struct uw_carrier_line {
    double freq_hz; /* at the mean of the times */
    double drift_hz_s;
    double error_hz; /* standard error of freq_hz */
    double rms_hz;   /* of what is left */
};

/* The straight line through three points or more; leaves the residuals in points[].freq_hz. */
void uw_carrier_fit(struct uw_carrier_point *points, int n, struct uw_carrier_line *ret);

#endif
