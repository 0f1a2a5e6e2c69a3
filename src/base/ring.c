/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "uw/base/ring.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "uw/base/err.h"
#include "uw/base/util.h"

/*
 * head counts pushes, tail counts pops; both run on and wrap with the word, so that head - tail is
 * what is in the ring. Each is written by one side only. A slot is written before the head that
 * covers it is released, and read before the tail that gives it back is.
 */

#define LINE_SIZE    64 /* producer's and consumer's words do not share a cache line */
#define CAPACITY_MAX ((size_t)1 << 24)

struct uw_ring {
    size_t mask;
    alignas(LINE_SIZE) _Atomic size_t head;
    alignas(LINE_SIZE) _Atomic size_t tail;
    alignas(LINE_SIZE) void *slots[];
};

int uw_ring_new(size_t capacity, struct uw_ring **ret_ring) {
    struct uw_ring *ring;
    size_t n = 1, size;

    if (capacity > CAPACITY_MAX)
        return uw_err(-ENOMEM);
    while (n < capacity)
        n *= 2;

    size = sizeof(*ring) + n * sizeof(ring->slots[0]);
    ring = uw_alloc_zeroed(1, size);
    if (!ring)
        return uw_err(-ENOMEM);
    ring->mask = n - 1;
    atomic_init(&ring->head, 0);
    atomic_init(&ring->tail, 0);
    *ret_ring = ring;
    return 0;
}

struct uw_ring *uw_ring_free(struct uw_ring *ring) {
    free(ring);
    return NULL;
}

void uw_ring_freep(struct uw_ring **ring) {
    *ring = uw_ring_free(*ring);
}

bool uw_ring_push(struct uw_ring *ring, void *item) {
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    /* acquire: the consumer has read the slot that is written now */
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);

    assert(item);
    if (head - tail > ring->mask)
        return false;
    ring->slots[head & ring->mask] = item;
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    return true;
}

void *uw_ring_pop(struct uw_ring *ring) {
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    /* acquire: who sees the new head sees the slot, and what the item points at */
    size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    void *item;

    if (head == tail)
        return NULL;
    item = ring->slots[tail & ring->mask];
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
    return item;
}

size_t uw_ring_used(const struct uw_ring *ring) {
    /* tail first: it cannot be ahead of a head that is read later */
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);

    return head - tail;
}
