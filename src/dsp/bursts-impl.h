/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_DSP_BURSTS_IMPL_H
#define UW_SRC_DSP_BURSTS_IMPL_H

/*
 * Private to src/dsp: the burst finder. Rows of power come in the order of frequency (lowest
 * first).
 *
 * Threads: one.
 */

#include <complex.h>
#include <stddef.h>
#include <stdint.h>

#include "uw/dsp/front.h"

struct uw_bursts;

/* Power under a Hann window of a spectrum that was made without one; lowest frequency first. */
void uw_hann_power(const float complex *spectrum, size_t n, float *power);

struct uw_bursts_config {
    size_t n_fft, hop;
    double rate_hz;
    double cell_pfa;
    size_t max_frames; /* a longer burst is reported in pieces */
};

int uw_bursts_new(const struct uw_bursts_config *config,
                  void (*report)(void *userdata, const struct uw_burst *burst), void *userdata,
                  struct uw_bursts **ret_bursts);
struct uw_bursts *uw_bursts_free(struct uw_bursts *bursts);
/* power and inverse floor of frame number `frame`; frames come in order, gaps end what is open. */
void uw_bursts_frame(struct uw_bursts *bursts, uint64_t frame, const float *power,
                     const float *inverse_floor);
void uw_bursts_flush(struct uw_bursts *bursts);
/* Forgets what is open. */
void uw_bursts_drop(struct uw_bursts *bursts);

#endif
