/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_DSP_OVERLAP_IMPL_H
#define UW_SRC_DSP_OVERLAP_IMPL_H

/*
 * Private to src/dsp: overlap-save on the shared spectra
 *
 * Frames of n bins (a multiple of 8) with a hop of 3/4 n. The bins around a channel's centre are
 * filtered, folded onto k points (a multiple of 8) and transformed back. As long as the filter's
 * response is shorter than the overlap, all but the first and the last eighth of the k points are
 * samples of the channel.
 *
 * Threads: any.
 */

#include <complex.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "uw/base/util.h"

/* Amplitude of the channel filter k bins from the channel's centre: flat, then a raised-cosine
 * slope. */
static inline double uw_overlap_filter(double k, double flat, double stop) {
    double a = fabs(k);

    if (a <= flat)
        return 1.0;
    return a < stop ? 0.5 + 0.5 * cos(UW_PI * (a - flat) / (stop - flat)) : 0.0;
}

static inline size_t uw_overlap_first(size_t k) {
    return k / 8;
}

static inline size_t uw_overlap_valid(size_t k) {
    return k * 3 / 4;
}

/* What a channel centred on this bin has turned by since frame 0: each hop is 3/4 of the bin's
 * whole turns back, a quarter on. */
static inline float complex uw_overlap_turn(long bin, uint64_t frame) {
    static const float complex turns[4] = {1.0f, I, -1.0f, -I};

    return turns[(uint64_t)((bin % 4 + 4) % 4) * (frame % 4) % 4];
}

/* Bins of a spectrum and points of a transform that lie side by side. */
struct uw_overlap_stretch {
    size_t from, to, n;
};

/* From i to at most hi bins away from the channel's centre, as far as neither side wraps. */
static inline struct uw_overlap_stretch uw_overlap_stretch(size_t n, size_t k, long bin, long i,
                                                           long hi) {
    size_t from = (size_t)(bin + i < 0 ? bin + i + (long)n : bin + i);
    size_t to = (size_t)((i % (long)k + (long)k) % (long)k);
    size_t count = (size_t)(hi + 1 - i);

    count = count < n - from ? count : n - from;
    count = count < k - to ? count : k - to;
    return (struct uw_overlap_stretch){.from = from, .to = to, .n = count};
}

#endif
