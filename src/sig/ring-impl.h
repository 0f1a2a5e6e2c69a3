/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_SIG_RING_IMPL_H
#define UW_SRC_SIG_RING_IMPL_H

/*
 * Private to src/sig: the latest samples of a stream
 *
 * Samples are numbered from 0. Blocks of UW_RING_BLOCK samples, counted from sample 0, lie in one
 * piece; any other stretch may have to be copied.
 *
 * Threads: one. Ownership: the caller's.
 */

#include <complex.h>
#include <stddef.h>
#include <stdint.h>

#define UW_RING_BLOCK 1024

struct uw_ring {
    size_t room;
    uint64_t n; /* samples so far */
    float complex *samples;
};

/* Holds at least `room` samples; -ENOMEM. */
int uw_ring_init(struct uw_ring *ring, size_t room);
void uw_ring_deinit(struct uw_ring *ring);
/* Where the next n samples may be written; NULL if they would wrap. Then call uw_ring_add() with
 * what this has returned, or with another place they are copied from. */
float complex *uw_ring_next(struct uw_ring *ring, size_t n);
void uw_ring_add(struct uw_ring *ring, const float complex *samples, size_t n);
/* The block that begins at sample `from`, a multiple of UW_RING_BLOCK. */
const float complex *uw_ring_block(const struct uw_ring *ring, uint64_t from);
/* n samples from `from` on, which the ring must hold; `scratch` has room for them. */
const float complex *uw_ring_get(const struct uw_ring *ring, uint64_t from, size_t n,
                                 float complex *scratch);

#endif
