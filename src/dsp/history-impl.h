/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_DSP_HISTORY_IMPL_H
#define UW_SRC_DSP_HISTORY_IMPL_H

/*
 * Private to src/dsp: the latest spectra, in half the space
 *
 * Components are kept as 16-bit numbers with one factor for UW_HISTORY_BLOCK neighbouring bins, so
 * that a strong signal takes away nothing from what is weak elsewhere in the band: the error is 98
 * dB below the strongest component of the same block.
 *
 * Threads: one.
 */

#include <complex.h>
#include <stddef.h>
#include <stdint.h>

#define UW_HISTORY_BLOCK 32 /* bins */

struct uw_history;

/* Bytes that one frame of n bins takes. */
size_t uw_history_frame_bytes(size_t n);
/* The latest n_frames frames of n bins. 0 or -ENOMEM. */
int uw_history_new(size_t n, size_t n_frames, struct uw_history **ret_history);
struct uw_history *uw_history_free(struct uw_history *history);
size_t uw_history_frames(const struct uw_history *history);
/* Takes the place of the frame n_frames before. What is no number becomes 0. */
void uw_history_put(struct uw_history *history, uint64_t frame, const float complex *spectrum);
/* `count` bins from `first` on, first + count <= n, each component times its gain (2 count of
 * them; NULL: 1). */
void uw_history_get(const struct uw_history *history, uint64_t frame, size_t first, size_t count,
                    const float *gain, float complex *out);

#endif
