/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "uw/base/ring.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <semaphore.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "uw/base/err.h"

/*
 * head counts pushes, tail counts pops; both run on and wrap with the word. The lowest bit of
 * `head` says "closed", and a push moves head by compare-and-exchange: so an item is either in the
 * ring before it is closed, and will be popped, or its push fails. The exchange is contended by
 * nobody but a close, hence at most one retry.
 *
 * Two semaphores count what may be taken without looking at the other side: `items` and `spaces`.
 * Their posts and waits are one atomic operation each unless somebody sleeps. A close posts one
 * more of each; who wakes and finds the ring closed posts it again, so that it stays awake for
 * ever.
 */

#define CLOSED    ((size_t)1)
#define STEP      ((size_t)2)
#define LINE_SIZE 64 /* producer's and consumer's words do not share a cache line */

struct uw_ring {
    size_t mask;
    alignas(LINE_SIZE) _Atomic size_t head; /* STEP per push, | CLOSED */
    sem_t items;
    alignas(LINE_SIZE) _Atomic size_t tail; /* STEP per pop */
    sem_t spaces;
    alignas(LINE_SIZE) void *slots[];
};

int uw_ring_new(size_t capacity, struct uw_ring **ret_ring) {
    struct uw_ring *ring;
    size_t n = 2, size;

    if (capacity > SEM_VALUE_MAX / 4)
        return uw_err(-ENOMEM);
    while (n < capacity)
        n *= 2;

    size = sizeof(*ring) + n * sizeof(ring->slots[0]);
    size = (size + LINE_SIZE - 1) / LINE_SIZE * LINE_SIZE;
    ring = aligned_alloc(LINE_SIZE, size);
    if (!ring)
        return uw_err(-ENOMEM);

    ring->mask = n - 1;
    atomic_init(&ring->head, 0);
    atomic_init(&ring->tail, 0);
    /* They can only fail for a value that is too large, which was checked. */
    sem_init(&ring->items, 0, 0);
    sem_init(&ring->spaces, 0, (unsigned)n);
    for (size_t i = 0; i < n; i++)
        ring->slots[i] = NULL;
    *ret_ring = ring;
    return 0;
}

struct uw_ring *uw_ring_free(struct uw_ring *ring) {
    if (!ring)
        return NULL;
    sem_destroy(&ring->items);
    sem_destroy(&ring->spaces);
    free(ring);
    return NULL;
}

void uw_ring_freep(struct uw_ring **ring) {
    *ring = uw_ring_free(*ring);
}

static bool is_closed(struct uw_ring *ring) {
    return atomic_load_explicit(&ring->head, memory_order_relaxed) & CLOSED;
}

static void sem_wait_for(sem_t *sem) {
    while (sem_wait(sem) < 0)
        assert(errno == EINTR);
}

/* The caller has taken one of `spaces`. */
static int put(struct uw_ring *ring, void *item) {
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

    if (!(head & CLOSED)) {
        /* The consumer left this slot before it posted the space we took. */
        ring->slots[head / STEP & ring->mask] = item;
        /* release: who sees the new head sees the slot */
        if (atomic_compare_exchange_strong_explicit(&ring->head, &head, head + STEP,
                                                    memory_order_release, memory_order_relaxed)) {
            sem_post(&ring->items);
            return 0;
        }
    }
    sem_post(&ring->spaces);
    return UW_RING_E_CLOSED;
}

int uw_ring_try_push(struct uw_ring *ring, void *item) {
    assert(item);
    if (is_closed(ring))
        return UW_RING_E_CLOSED;
    if (sem_trywait(&ring->spaces) < 0)
        return UW_RING_E_FULL;
    return put(ring, item);
}

int uw_ring_push(struct uw_ring *ring, void *item) {
    assert(item);
    if (is_closed(ring))
        return UW_RING_E_CLOSED;
    sem_wait_for(&ring->spaces);
    return put(ring, item);
}

/* The caller has taken one of `items`. */
static void *take(struct uw_ring *ring) {
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    /* acquire: pairs with the release in put() */
    size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    void *item;

    if ((head & ~CLOSED) == tail) {
        assert(head & CLOSED);
        sem_post(&ring->items);
        return NULL;
    }
    item = ring->slots[tail / STEP & ring->mask];
    /* release: the slot has been read before the producer may have it again */
    atomic_store_explicit(&ring->tail, tail + STEP, memory_order_release);
    sem_post(&ring->spaces);
    return item;
}

void *uw_ring_try_pop(struct uw_ring *ring) {
    if (sem_trywait(&ring->items) < 0)
        return NULL;
    return take(ring);
}

void *uw_ring_pop(struct uw_ring *ring) {
    sem_wait_for(&ring->items);
    return take(ring);
}

size_t uw_ring_used(const struct uw_ring *ring) {
    /* tail first: it cannot be ahead of a head that is read later */
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);

    return ((head & ~CLOSED) - tail) / STEP;
}

void uw_ring_close(struct uw_ring *ring) {
    size_t head = atomic_fetch_or_explicit(&ring->head, CLOSED, memory_order_acq_rel);

    if (head & CLOSED)
        return;
    sem_post(&ring->items);
    sem_post(&ring->spaces);
}
