/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_DSP_CARRIER_H
#define UW_DSP_CARRIER_H

/*
 * The frequency of a steady carrier, with its error
 *
 * Samples are taken in segments of about SEGMENT_S. In each the strongest line within the span is
 * found (Hann window), and its frequency estimated by interpolation on two Fourier coefficients
 * half a bin beside it (E. Aboutanios, B. Mulgrew, "Iterative frequency estimation by interpolation
 * on Fourier coefficients", IEEE Trans. Signal Processing 53 (2005) 1237): 1.015 times the
 * Cramer-Rao bound. Over the segments a straight line is fitted: a crystal that warms up drifts.
 * What is not narrow, not alone, not always there or not where the line says is refused.
 *
 * Threads: one at a time for each object. Ownership: the caller's.
 */

#include <complex.h>
#include <stddef.h>

struct uw_carrier;

#define UW_CARRIER_AVOID_MAX 8

struct uw_carrier_config {
    double rate_hz;
    double freq_hz; /* where it should be, from the centre */
    double span_hz; /* and how far away it may be */
    int n_avoid;    /* frequencies that are the receiver's own: centre, clock harmonics */
    struct {
        double freq_hz, width_hz; /* from the centre; to either side */
    } avoid[UW_CARRIER_AVOID_MAX];
};

enum uw_carrier_verdict {
    UW_CARRIER_GOOD,
    UW_CARRIER_SHORT,     /* too few segments to judge */
    UW_CARRIER_NONE,      /* no line that stands out */
    UW_CARRIER_AMBIGUOUS, /* another line is nearly as strong */
    UW_CARRIER_WIDE,      /* modulated: most power is not in the line */
    UW_CARRIER_FADING,    /* not there all the time, or of changing strength */
    UW_CARRIER_UNSTEADY,  /* its frequency wanders more than a crystal's does */
    UW_CARRIER_EDGE,      /* at the end of the span: the true one may lie outside */
    UW_CARRIER_VERDICT_N
};

struct uw_carrier_result {
    enum uw_carrier_verdict verdict;
    int n_segments;
    double seconds;
    double freq_hz;  /* from the centre, at the middle of the time */
    double error_hz; /* standard error of freq_hz, from the segments' scatter, never below the
                        Cramer-Rao bound */
    double drift_hz_s;
    double snr_db;   /* in the whole rate */
    double other_hz; /* ambiguous: where the other is */
};

int uw_carrier_new(const struct uw_carrier_config *config, struct uw_carrier **ret_carrier);
struct uw_carrier *uw_carrier_free(struct uw_carrier *carrier);
void uw_carrier_freep(struct uw_carrier **carrier);
void uw_carrier_push(struct uw_carrier *carrier, const float complex *x, size_t n);
/* Samples are missing here: the segment begins anew, time goes on. */
void uw_carrier_gap(struct uw_carrier *carrier, double seconds);
void uw_carrier_result(const struct uw_carrier *carrier, struct uw_carrier_result *ret);
const char *uw_carrier_verdict_name(enum uw_carrier_verdict verdict);

/* Standard deviation that no unbiased estimate of a frequency is below: n samples at rate_hz, SNR
 * as a power ratio, phase and amplitude unknown (Rife and Boorstyn 1974). */
double uw_carrier_bound_hz(double rate_hz, double n, double snr);

#endif
