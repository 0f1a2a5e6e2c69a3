/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_SIG_SHADOW_IMPL_H
#define UW_SRC_SIG_SHADOW_IMPL_H

/*
 * Private to src/sig: how much stronger than noise the whole band was, and when
 *
 * A strong packet casts shadows: splatter beside its channel, images, products of clipping. They
 * repeat with its symbols, as preambles do. What is much weaker than something that was on the air
 * at the same time is not believed.
 *
 * Threads: one. Ownership: plain data, the caller's.
 */

#include <complex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UW_SHADOW_FRAMES 1024

struct uw_shadow {
    double noise; /* lower quartile of a frame's energy, followed */
    uint64_t n_frames;
    double samples[UW_SHADOW_FRAMES]; /* begin of a frame */
    float energy[UW_SHADOW_FRAMES];
};

/* n_bins bins of the frame that begins at `sample`. */
void uw_shadow_frame(struct uw_shadow *shadow, const float complex *spectrum, size_t n_bins,
                     uint64_t sample, bool begins);
/* Mean power over [start, stop) samples, over the noise in the whole band, less 1: what was there
 * besides noise. 0 if not known. */
double uw_shadow_excess(const struct uw_shadow *shadow, double start, double stop);

#endif
