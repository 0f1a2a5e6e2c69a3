/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_SIG_CHIPS_IMPL_H
#define UW_SRC_SIG_CHIPS_IMPL_H

/*
 * Private to src/sig: a piece of a LoRa channel as two samples a chip, cut out of the front end's
 * history
 *
 * Threads: one. Ownership: samples lie in the front end's scratch memory: they are there until the
 * next cut, or until the callback returns in which they were cut.
 */

#include <complex.h>
#include <stddef.h>
#include <stdint.h>

#include "uw/dsp/front.h"

struct uw_resampler;

struct uw_chips {
    struct uw_resampler *resampler;
    size_t max;
    float complex *cut;     /* a part, where the front end cannot cut at two samples a chip */
    float complex *samples; /* of the latest piece */
};

/* Sample i of a piece was input sample first + i * step. */
struct uw_chips_piece {
    size_t n;
    double first, step;
};

/* For pieces of at most this many chips. 0 or -ENOMEM; all zero is the empty state, and is left
 * behind. */
int uw_chips_init(struct uw_chips *chips, double longest, struct uw_front *front);
void uw_chips_deinit(struct uw_chips *chips);
/* The input samples [start, stop) around centre_hz; rate_hz is the receiver's. n is 0 if they are
 * not in the history. */
struct uw_chips_piece uw_chips_cut(struct uw_chips *chips, struct uw_front *front, double rate_hz,
                                   uint64_t start, uint64_t stop, double centre_hz,
                                   double bandwidth_hz);

#endif
