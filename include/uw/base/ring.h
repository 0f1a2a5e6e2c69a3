/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_BASE_RING_H
#define UW_BASE_RING_H

/*
 * Bounded queue of pointers between two threads
 *
 * Lock free: neither side ever waits, allocates or calls the kernel, so a callback of a driver may
 * push. Who wants to sleep until there is something brings an eventfd of his own.
 *
 * Threads: push from one, pop from one other; uw_ring_used() from either of the two.
 * Ownership: a push that succeeds gives the item to the ring, a pop gives it to the caller.
 */

#include <stdbool.h>
#include <stddef.h>

struct uw_ring;

/* Room for at least so many items. 0 or -ENOMEM. */
int uw_ring_new(size_t capacity, struct uw_ring **ret_ring);
/* Does not free the items. NULL is fine. Returns NULL. */
struct uw_ring *uw_ring_free(struct uw_ring *ring);
void uw_ring_freep(struct uw_ring **ring);

/* False: full. The item may not be NULL. */
bool uw_ring_push(struct uw_ring *ring, void *item);
/* NULL: empty. */
void *uw_ring_pop(struct uw_ring *ring);
/* As the caller's side sees it: at least so many for who pops, at most for who pushes. */
size_t uw_ring_used(const struct uw_ring *ring);

#endif
