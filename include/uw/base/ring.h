/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_BASE_RING_H
#define UW_BASE_RING_H

/*
 * Bounded queue of pointers between two threads
 *
 * uw_ring_try_push() and uw_ring_try_pop() neither block nor allocate (single producer, single
 * consumer, lock free; the wake-up of a sleeping consumer is a futex-backed semaphore post).
 * uw_ring_push() waits for space and uw_ring_pop() for an item. uw_ring_close() makes every present
 * and later push fail; pops go on until the ring is empty and then return NULL: a shutdown drains.
 *
 * Threads: push from one thread, pop from one other, close from any.
 * Ownership: a successful push gives the item to the ring, a pop gives it to the caller.
 */

#include <stddef.h>

struct uw_ring;

enum {
    UW_RING_E_FULL = 1,
    UW_RING_E_CLOSED = 2,
};

/* Capacity is rounded up to a power of two. 0 or -ENOMEM. */
int uw_ring_new(size_t capacity, struct uw_ring **ret_ring);
/* Does not free the items. NULL is fine. Returns NULL. */
struct uw_ring *uw_ring_free(struct uw_ring *ring);
void uw_ring_freep(struct uw_ring **ring);

/* 0, UW_RING_E_FULL or UW_RING_E_CLOSED. */
int uw_ring_try_push(struct uw_ring *ring, void *item);
/* Waits for space. 0 or UW_RING_E_CLOSED. */
int uw_ring_push(struct uw_ring *ring, void *item);
/* NULL if there is none now. */
void *uw_ring_try_pop(struct uw_ring *ring);
/* Waits; NULL only when closed and empty. */
void *uw_ring_pop(struct uw_ring *ring);
size_t uw_ring_used(const struct uw_ring *ring);
void uw_ring_close(struct uw_ring *ring);

#endif
