/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_DSP_CHANNEL_H
#define UW_DSP_CHANNEL_H

/*
 * One channel of the shared spectra as samples
 *
 * Overlap-save: the bins around the channel's centre are filtered, folded onto as many bins as the
 * output's rate has, and transformed back. Of every frame at one sample a chip, cheaply; of the few
 * that turn out to be worth it, as long as the front end's history has them, at two.
 *
 * Threads: one. Ownership: the caller's.
 */

#include <complex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uw_channel;
struct uw_front;

enum {
    /* not uw_channel_suits(), 2 * chip_hz beyond the rate, or a filter that is wider than that */
    UW_CHANNEL_E_RATE = 1,
};

/* Whether frames of n_fft bins can give 2 * chip_hz: it is a whole multiple of eight bins. */
bool uw_channel_suits(size_t n_fft, double rate_hz, double chip_hz);
/* Frames of n_fft bins, hop 3/4; output at chip_hz or twice that. Signals of this bandwidth up to
 * slack_hz off centre pass whole. */
int uw_channel_new(size_t n_fft, double rate_hz, double centre_hz, double bandwidth_hz,
                   double slack_hz, double chip_hz, struct uw_channel **ret_channel);
struct uw_channel *uw_channel_free(struct uw_channel *channel);
/* Chips that each frame gives; of uw_channel_cut() it is twice as many samples. */
size_t uw_channel_chips(const struct uw_channel *channel);
/* Frame number `frame` (from 0 without gaps), one sample a chip. The first one of frame 0 lies
 * n_fft / 8 input samples behind the frame's begin. */
void uw_channel_run(struct uw_channel *channel, const float complex *spectrum, uint64_t frame,
                    float *re, float *im);
/* The same of n_frames frames, the first of which begins at input sample `sample`, two samples a
 * chip; no value beyond what 16 bits a component keep. False if the history lacks one of them. */
bool uw_channel_cut(struct uw_channel *channel, const struct uw_front *front, uint64_t sample,
                    size_t n_frames, float complex *out);
/* The stream's own centre less the wanted one, Hz: half a bin at most. */
double uw_channel_residual_hz(const struct uw_channel *channel);
/* Density of white noise inside the channel over its mean over twice the chip rate. */
double uw_channel_density(const struct uw_channel *channel);

#endif
