/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_DSP_TONES_IMPL_H
#define UW_SRC_DSP_TONES_IMPL_H

/*
 * Private to src/dsp: steady tones, taken out of spectra
 *
 * Harmonics of a receiver's own clock, mixer products, unmodulated carriers. A frame's transform
 * has no window: a tone 10 dB over the whole band's noise leaks over a LoRa channel and deafens it.
 *
 * Threads: one. Ownership: the caller's.
 */

#include <complex.h>
#include <stddef.h>

struct uw_floor;
struct uw_tones;

/* Frames of n samples, `hop` apart. 0 or -ENOMEM. */
int uw_tones_new(size_t n, size_t hop, struct uw_tones **ret_tones);
struct uw_tones *uw_tones_free(struct uw_tones *tones);
/* All are forgotten. */
void uw_tones_clear(struct uw_tones *tones);
/* The next frame does not follow the one before. */
void uw_tones_break(struct uw_tones *tones);
/* Follows the tones through a frame's transform (n bins, from 0 Hz on) and takes them out of it. */
void uw_tones_clean(struct uw_tones *tones, float complex *spectrum);
/* Once a frame, behind it: now and then looks for new tones, in the noise floor (of Hann power,
 * lowest frequency first). */
void uw_tones_look(struct uw_tones *tones, const struct uw_floor *floor);
/* How many are taken out, for tests. */
size_t uw_tones_count(const struct uw_tones *tones);

#endif
