/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A ring of samples with marks
 *
 * Only the part up to `released` is promised to the reader. What lies behind it may still be taken
 * back, cut, or get a mark in front of it, once it is known what it is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stream-impl.h"
#include "uw/base/err.h"
#include "uw/iq/source.h"

int uw_stream_ring_init(struct uw_stream_ring *ring, size_t capacity, size_t sample_bytes) {
    ring->data = malloc(capacity * sample_bytes);
    if (!ring->data)
        return uw_err(-ENOMEM);
    ring->capacity = capacity;
    ring->sample_bytes = sample_bytes;
    return 0;
}

void uw_stream_ring_deinit(struct uw_stream_ring *ring) {
    free(ring->data);
    ring->data = NULL;
}

static unsigned char *at(struct uw_stream_ring *ring, uint64_t sample) {
    return ring->data + (size_t)(sample % ring->capacity) * ring->sample_bytes;
}

void *uw_stream_ring_space(struct uw_stream_ring *ring, size_t *ret_n) {
    size_t free_samples = ring->capacity - (size_t)(ring->written - ring->read);
    size_t to_end = ring->capacity - (size_t)(ring->written % ring->capacity);
    size_t n = free_samples < to_end ? free_samples : to_end;

    *ret_n = n ? n * ring->sample_bytes - ring->odd : 0;
    return at(ring, ring->written) + ring->odd;
}

size_t uw_stream_ring_wrote(struct uw_stream_ring *ring, size_t n) {
    size_t bytes = ring->odd + n;
    size_t samples = bytes / ring->sample_bytes;
    size_t odd = bytes % ring->sample_bytes;

    /* What is incomplete was written within the contiguous space, so it lies where it belongs. */
    ring->written += samples;
    ring->odd = odd;
    return samples;
}

static void move_odd(struct uw_stream_ring *ring, uint64_t from, uint64_t to) {
    if (ring->odd)
        memmove(at(ring, to), at(ring, from), ring->odd);
}

size_t uw_stream_ring_rewind(struct uw_stream_ring *ring, size_t n) {
    uint64_t most = ring->written - ring->released;
    uint64_t from = ring->written;

    if (n > most)
        n = (size_t)most;
    if (n == 0)
        return 0;
    ring->written -= n;
    move_odd(ring, from, ring->written);
    /* What stood before samples that are gone stands before the next ones. */
    for (int i = 0; i < ring->n_marks; i++)
        if (ring->marks[i].at > ring->written)
            ring->marks[i].at = ring->written;
    return n;
}

void uw_stream_ring_cut(struct uw_stream_ring *ring, size_t n, size_t after) {
    uint64_t from = ring->written;

    if (n == 0)
        return;
    if (after)
        memmove(at(ring, from - after - n), at(ring, from - after), after * ring->sample_bytes);
    ring->written -= n;
    move_odd(ring, from, ring->written);
}

static void join(struct uw_stream_mark *into, const struct uw_stream_mark *mark) {
    into->lost += mark->lost;
    into->fresh |= mark->fresh;
    if (mark->tuned) {
        into->tuned = true;
        into->freq_hz = mark->freq_hz;
        into->gain_db = mark->gain_db;
    }
}

void uw_stream_ring_mark(struct uw_stream_ring *ring, const struct uw_stream_mark *mark) {
    int i = ring->n_marks;

    while (i > 0 && ring->marks[i - 1].at > mark->at)
        i--;
    if (i > 0 && ring->marks[i - 1].at == mark->at) {
        join(&ring->marks[i - 1], mark);
        return;
    }
    if (ring->n_marks == UW_STREAM_MARKS) {
        /* Too many changes that nobody has taken: it joins the last, and what lies between is lost.
         */
        struct uw_stream_mark *last = &ring->marks[ring->n_marks - 1];
        struct uw_stream_mark joined = *mark;
        uint64_t to = last->at;

        if (mark->at > to) {
            uint64_t gone = ring->written - to, from = ring->written;

            ring->written = to;
            move_odd(ring, from, to);
            if (ring->released > to)
                ring->released = to;
            ring->dropped += gone;
            joined.lost += gone;
        }
        join(last, &joined);
        return;
    }
    memmove(&ring->marks[i + 1], &ring->marks[i], (size_t)(ring->n_marks - i) * sizeof(*mark));
    ring->marks[i] = *mark;
    ring->n_marks++;
}

static void pass_marks(struct uw_stream_ring *ring, struct uw_source_block *block) {
    int n = 0;

    while (n < ring->n_marks && ring->marks[n].at <= ring->read) {
        const struct uw_stream_mark *m = &ring->marks[n++];
        block->lost += m->lost;
        block->fresh |= m->fresh;
        if (m->tuned) {
            ring->freq_hz = m->freq_hz;
            ring->gain_db = m->gain_db;
        }
    }
    ring->n_marks -= n;
    memmove(ring->marks, &ring->marks[n], (size_t)ring->n_marks * sizeof(ring->marks[0]));
}

void uw_stream_ring_take(struct uw_stream_ring *ring, void *buf, size_t n,
                         struct uw_source_block *block) {
    uint64_t until = ring->released;
    size_t to_end;

    block->n = 0;
    if (ring->read == until)
        return;
    pass_marks(ring, block);
    if (ring->n_marks && ring->marks[0].at < until)
        until = ring->marks[0].at;
    if (n > until - ring->read)
        n = (size_t)(until - ring->read);
    to_end = ring->capacity - (size_t)(ring->read % ring->capacity);
    if (to_end > n)
        to_end = n;
    memcpy(buf, at(ring, ring->read), to_end * ring->sample_bytes);
    memcpy((unsigned char *)buf + to_end * ring->sample_bytes, ring->data,
           (n - to_end) * ring->sample_bytes);
    ring->read += n;
    block->n = n;
    block->freq_hz = ring->freq_hz;
    block->gain_db = ring->gain_db;
}
