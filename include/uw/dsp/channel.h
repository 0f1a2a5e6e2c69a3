/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_DSP_CHANNEL_H
#define UW_DSP_CHANNEL_H

/*
 * One channel of the shared spectra as a stream of samples
 *
 * Overlap-save: the bins around the channel's centre are filtered, folded onto as many bins as the
 * output's rate has, and transformed back.
 *
 * Threads: one. Ownership: the caller's.
 */

#include <complex.h>
#include <stddef.h>
#include <stdint.h>

struct uw_channel;

enum {
    UW_CHANNEL_E_RATE = 1, /* n_fft * out_rate / rate is no multiple of 8: not for this receiver */
};

/* Frames of n_fft bins, hop 3/4; output at out_rate_hz. Signals of this bandwidth up to slack_hz
 * off centre pass whole. */
int uw_channel_new(size_t n_fft, double rate_hz, double centre_hz, double bandwidth_hz,
                   double slack_hz, double out_rate_hz, struct uw_channel **ret_channel);
struct uw_channel *uw_channel_free(struct uw_channel *channel);
/* Samples that each frame gives. */
size_t uw_channel_per_frame(const struct uw_channel *channel);
/* Frame number `frame` (from 0 without gaps). Output sample 0 lies n_fft / 8 input samples behind
 * the frame's begin. */
void uw_channel_run(struct uw_channel *channel, const float complex *spectrum, uint64_t frame,
                    float complex *out);
/* The stream's own centre less the wanted one, Hz: half a bin at most. */
double uw_channel_residual_hz(const struct uw_channel *channel);
/* Density of white noise inside the channel over its mean over the output's rate. */
double uw_channel_density(const struct uw_channel *channel);

#endif
