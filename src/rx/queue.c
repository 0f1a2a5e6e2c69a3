/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "rx-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"

struct uw_rx_queue {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool closed, aborted;
    uint64_t carried; /* lost samples that belong before the next block pushed */
    bool torn;        /* ... and what it is to say */
    uint64_t dropped;
    size_t n_queued;
    size_t n_free, wanted; /* 0: nobody waits for free blocks */
    struct uw_rx_block *free;
    struct uw_rx_block *first, *last;
    size_t n_blocks;
    struct uw_rx_block *blocks;
    unsigned char *data;
};

int uw_rx_queue_new(size_t n_blocks, size_t block_bytes, struct uw_rx_queue **ret_queue) {
    struct uw_rx_queue *queue = calloc(1, sizeof(*queue));

    if (!queue)
        return uw_err(-ENOMEM);
    pthread_mutex_init(&queue->mutex, NULL);
    pthread_cond_init(&queue->cond, NULL);
    queue->blocks = calloc(n_blocks, sizeof(*queue->blocks));
    queue->data = calloc(n_blocks, block_bytes);
    if (!queue->blocks || !queue->data) {
        uw_rx_queue_free(queue);
        return uw_err(-ENOMEM);
    }
    uw_touch(queue->data, n_blocks * block_bytes);
    for (size_t i = 0; i < n_blocks; i++) {
        queue->blocks[i].data = queue->data + i * block_bytes;
        queue->blocks[i].next = queue->free;
        queue->free = &queue->blocks[i];
    }
    queue->n_blocks = queue->n_free = n_blocks;
    *ret_queue = queue;
    return 0;
}

struct uw_rx_queue *uw_rx_queue_free(struct uw_rx_queue *queue) {
    if (!queue)
        return NULL;
    pthread_cond_destroy(&queue->cond);
    pthread_mutex_destroy(&queue->mutex);
    free(queue->blocks);
    free(queue->data);
    free(queue);
    return NULL;
}

static struct uw_rx_block *unlink_first(struct uw_rx_queue *queue) {
    struct uw_rx_block *block = queue->first;

    if (block) {
        queue->first = block->next;
        if (!queue->first)
            queue->last = NULL;
        queue->n_queued--;
    }
    return block;
}

/* What the oldest block held is now missing before the one that follows it. */
static struct uw_rx_block *drop_oldest(struct uw_rx_queue *queue) {
    struct uw_rx_block *block = unlink_first(queue);

    queue->dropped += block->n;
    if (queue->first) {
        queue->first->lost += block->lost + block->n;
        queue->first->torn |= block->torn;
    } else {
        queue->carried += block->lost + block->n;
        queue->torn |= block->torn;
    }
    return block;
}

/* Half of the queue goes at once. Block by block, what is left of an overload would have a hole
 * every few blocks, and no packet longer than these would ever be whole. */
static struct uw_rx_block *steal(struct uw_rx_queue *queue) {
    size_t n = (queue->n_queued + 1) / 2;
    struct uw_rx_block *block = n > 0 ? drop_oldest(queue) : NULL;

    for (size_t i = 1; i < n; i++) {
        struct uw_rx_block *more = drop_oldest(queue);

        more->next = queue->free;
        queue->free = more;
        queue->n_free++;
    }
    return block;
}

struct uw_rx_block *uw_rx_queue_free_take(struct uw_rx_queue *queue, bool may_steal) {
    struct uw_rx_block *block = NULL;

    pthread_mutex_lock(&queue->mutex);
    while (!queue->aborted) {
        block = queue->free;
        if (block) {
            queue->free = block->next;
            queue->n_free--;
            break;
        }
        if (may_steal)
            block = steal(queue);
        if (block)
            break;
        /* on one core, block by block, the threads would do little but wake each other */
        queue->wanted = may_steal || queue->n_blocks < 4 ? 1 : queue->n_blocks / 2;
        while (!queue->aborted && queue->n_free < queue->wanted)
            pthread_cond_wait(&queue->cond, &queue->mutex);
        queue->wanted = 0;
    }
    pthread_mutex_unlock(&queue->mutex);
    return block;
}

void uw_rx_queue_push(struct uw_rx_queue *queue, struct uw_rx_block *block) {
    pthread_mutex_lock(&queue->mutex);
    block->next = NULL;
    block->lost += queue->carried;
    block->torn |= queue->torn;
    queue->carried = 0;
    queue->torn = false;
    if (queue->last)
        queue->last->next = block;
    else
        queue->first = block;
    queue->last = block;
    queue->n_queued++;
    pthread_cond_broadcast(&queue->cond);
    pthread_mutex_unlock(&queue->mutex);
}

struct uw_rx_block *uw_rx_queue_pop(struct uw_rx_queue *queue) {
    struct uw_rx_block *block = NULL;

    pthread_mutex_lock(&queue->mutex);
    while (!queue->aborted && !queue->first && !queue->closed)
        pthread_cond_wait(&queue->cond, &queue->mutex);
    if (!queue->aborted)
        block = unlink_first(queue);
    pthread_mutex_unlock(&queue->mutex);
    return block;
}

void uw_rx_queue_free_give(struct uw_rx_queue *queue, struct uw_rx_block *block) {
    pthread_mutex_lock(&queue->mutex);
    block->next = queue->free;
    queue->free = block;
    queue->n_free++;
    if (queue->wanted > 0 && queue->n_free >= queue->wanted)
        pthread_cond_broadcast(&queue->cond);
    pthread_mutex_unlock(&queue->mutex);
}

void uw_rx_queue_count(struct uw_rx_queue *queue, size_t *ret_blocks, uint64_t *ret_dropped) {
    pthread_mutex_lock(&queue->mutex);
    *ret_blocks = queue->n_queued;
    *ret_dropped = queue->dropped;
    pthread_mutex_unlock(&queue->mutex);
}

void uw_rx_queue_close(struct uw_rx_queue *queue) {
    pthread_mutex_lock(&queue->mutex);
    queue->closed = true;
    pthread_cond_broadcast(&queue->cond);
    pthread_mutex_unlock(&queue->mutex);
}

void uw_rx_queue_abort(struct uw_rx_queue *queue) {
    pthread_mutex_lock(&queue->mutex);
    queue->aborted = true;
    pthread_cond_broadcast(&queue->cond);
    pthread_mutex_unlock(&queue->mutex);
}
