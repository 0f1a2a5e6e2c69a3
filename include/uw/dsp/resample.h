/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_DSP_RESAMPLE_H
#define UW_DSP_RESAMPLE_H

/*
 * Samples at any instants, by a windowed sinc (16 taps, Kaiser window; 256 phases)
 *
 * For signals that are band-limited to 0.8 of the input's Nyquist band the error is below -50 dB.
 *
 * Threads: read-only once made. Ownership: the caller's.
 */

#include <complex.h>
#include <stddef.h>

struct uw_resampler;

int uw_resampler_new(struct uw_resampler **ret_resampler);
struct uw_resampler *uw_resampler_free(struct uw_resampler *resampler);
/* out[m] = in(first + m * step), both in input samples; outside of the input is zero. */
void uw_resample(const struct uw_resampler *resampler, const float complex *in, size_t n_in,
                 double first, double step, float complex *out, size_t n_out);

#endif
