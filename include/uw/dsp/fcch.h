/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_DSP_FCCH_H
#define UW_DSP_FCCH_H

/*
 * The frequency of a GSM base station, by its frequency correction bursts
 *
 * On the carrier of its broadcast channel a base station sends, in frames 0, 10, 20, 30 and 40 of
 * each 51, a burst of 148 equal bits (3GPP TS 45.002, 5.2.4): with GMSK a pure tone 1625/24 kHz
 * above the carrier (TS 45.004), 0.55 ms long. A frame lasts 60/13 ms. The station's clock is right
 * to 0.05 ppm (TS 45.010, 5.1).
 *
 * Threads: one at a time for each object. Ownership: the caller's.
 */

#include <complex.h>
#include <stddef.h>

#include "uw/dsp/carrier.h"

struct uw_fcch;

#define UW_FCCH_TONE_HZ (1625e3 / 24) /* above the carrier */
#define UW_FCCH_FRAME_S (60e-3 / 13)

struct uw_fcch_config {
    double rate_hz;
    double freq_hz; /* where the channel's carrier should be, from the centre */
    double
        span_hz; /* and how far away it may be; below 100 kHz, or the next channel is meant, too */
};

/* -EINVAL if the channel and its span are not within the band. */
int uw_fcch_new(const struct uw_fcch_config *config, struct uw_fcch **ret_fcch);
struct uw_fcch *uw_fcch_free(struct uw_fcch *fcch);
void uw_fcch_freep(struct uw_fcch **fcch);
void uw_fcch_push(struct uw_fcch *fcch, const float complex *x, size_t n);
/* Samples are missing here. */
void uw_fcch_gap(struct uw_fcch *fcch, double seconds);
/* freq_hz is that of the carrier (the tone less UW_FCCH_TONE_HZ), n_segments the bursts. SHORT:
 * less than a second; NONE: no bursts; FADING: too few of those that should be; UNSTEADY: not in
 * the rhythm of GSM, or their frequencies scatter. */
void uw_fcch_result(const struct uw_fcch *fcch, struct uw_carrier_result *ret);

#endif
