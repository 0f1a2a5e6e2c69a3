/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "ring-impl.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/dsp/fft.h"

int uw_ring_init(struct uw_ring *ring, size_t room) {
    room += (UW_RING_BLOCK - room % UW_RING_BLOCK) % UW_RING_BLOCK;
    *ring = (struct uw_ring){.room = room, .samples = uw_fft_alloc(room)};
    return ring->samples ? 0 : uw_err(-ENOMEM);
}

void uw_ring_deinit(struct uw_ring *ring) {
    uw_fft_dealloc(ring->samples);
    *ring = (struct uw_ring){0};
}

float complex *uw_ring_next(struct uw_ring *ring, size_t n) {
    size_t at = (size_t)(ring->n % ring->room);

    return n <= ring->room - at ? ring->samples + at : NULL;
}

void uw_ring_add(struct uw_ring *ring, const float complex *samples, size_t n) {
    size_t at = (size_t)(ring->n % ring->room);
    size_t first = n < ring->room - at ? n : ring->room - at;

    if (samples != ring->samples + at) {
        memcpy(ring->samples + at, samples, first * sizeof(*samples));
        memcpy(ring->samples, samples + first, (n - first) * sizeof(*samples));
    }
    ring->n += n;
}

const float complex *uw_ring_block(const struct uw_ring *ring, uint64_t from) {
    return ring->samples + from % ring->room;
}

const float complex *uw_ring_get(const struct uw_ring *ring, uint64_t from, size_t n,
                                 float complex *scratch) {
    size_t at = (size_t)(from % ring->room);
    size_t first = ring->room - at;

    assert(n <= ring->room);
    if (n <= first)
        return ring->samples + at;
    memcpy(scratch, ring->samples + at, first * sizeof(*scratch));
    memcpy(scratch + first, ring->samples, (n - first) * sizeof(*scratch));
    return scratch;
}
