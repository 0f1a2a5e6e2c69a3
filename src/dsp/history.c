/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "history-impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "largest-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"

#define FULL      32767.0f
#define TINY      1e-30f /* below it a block is silence */
#define LARGE     1e30f  /* above it, or no number: it is no signal */
#define BLOCK_LEN (2 * UW_HISTORY_BLOCK)
#define LINE      64 /* bytes of the cache */

struct uw_history {
    size_t n, n_blocks, n_frames;
    int16_t *bins;  /* n_frames rows of 2 n components */
    float *scale;   /* n_frames rows of n_blocks */
    float *inverse; /* n_blocks, of the frame that is put */
};

static size_t blocks_of(size_t n) {
    return (n + UW_HISTORY_BLOCK - 1) / UW_HISTORY_BLOCK;
}

size_t uw_history_frame_bytes(size_t n) {
    return 2 * n * sizeof(int16_t) + blocks_of(n) * sizeof(float);
}

struct uw_history *uw_history_free(struct uw_history *history) {
    if (!history)
        return NULL;
    free(history->bins);
    free(history->scale);
    free(history->inverse);
    free(history);
    return NULL;
}

int uw_history_new(size_t n, size_t n_frames, struct uw_history **ret_history) {
    struct uw_history *h = calloc(1, sizeof(*h));

    if (!h)
        return uw_err(-ENOMEM);
    h->n = n;
    h->n_blocks = blocks_of(n);
    h->n_frames = n_frames;
    h->bins = uw_alloc_zeroed(n_frames, 2 * n * sizeof(*h->bins));
    h->scale = calloc(n_frames, h->n_blocks * sizeof(*h->scale));
    h->inverse = calloc(h->n_blocks, sizeof(*h->inverse));
    if (!h->bins || !h->scale || !h->inverse) {
        uw_history_free(h);
        return uw_err(-ENOMEM);
    }
    *ret_history = h;
    return 0;
}

size_t uw_history_frames(const struct uw_history *history) {
    return history->n_frames;
}

/* To the nearest: truncation rounds down what is positive. */
static inline void pack(size_t n, const float *restrict x, float inverse, int16_t *restrict q) {
    for (size_t i = 0; i < n; ++i)
        q[i] = (int16_t)((int32_t)(x[i] * inverse + 32768.5f) - 32768);
}

/* n components; `inverse` has room for a number each block. */
UW_CLONES
static void pack_all(size_t n, const float *restrict x, int16_t *restrict q, float *restrict scale,
                     float *restrict inverse) {
    size_t n_whole = n / BLOCK_LEN;
    size_t n_blocks = (n + BLOCK_LEN - 1) / BLOCK_LEN;

    for (size_t b = 0; b < n_whole; ++b)
        scale[b] = uw_largest(BLOCK_LEN, x + b * BLOCK_LEN);
    if (n_blocks > n_whole)
        scale[n_whole] = uw_largest(n % BLOCK_LEN, x + n_whole * BLOCK_LEN);
    /* no power of two: the largest component uses the whole range */
    for (size_t b = 0; b < n_blocks; ++b) {
        float most = scale[b] > TINY && scale[b] < LARGE ? scale[b] : 0.0f;

        inverse[b] = most > 0.0f ? FULL / most : 0.0f;
        scale[b] = most * (1.0f / FULL);
    }
    for (size_t b = 0; b < n_blocks; ++b) {
        if (inverse[b] <= 0.0f)
            memset(q + b * BLOCK_LEN, 0, (b < n_whole ? BLOCK_LEN : n % BLOCK_LEN) * sizeof(*q));
        else if (b < n_whole)
            pack(BLOCK_LEN, x + b * BLOCK_LEN, inverse[b], q + b * BLOCK_LEN);
        else
            pack(n % BLOCK_LEN, x + b * BLOCK_LEN, inverse[b], q + b * BLOCK_LEN);
    }
}

/* The row that is written next comes into the cache while others are at work: the whole history is
 * too large for it. */
static void expect(const struct uw_history *h, size_t row) {
    const char *next = (const char *)(h->bins + row * 2 * h->n);

    for (size_t i = 0; i < 2 * h->n * sizeof(*h->bins); i += LINE)
        __builtin_prefetch(next + i, 1);
}

void uw_history_put(struct uw_history *h, uint64_t frame, const float complex *spectrum) {
    size_t row = (size_t)(frame % h->n_frames);

    pack_all(2 * h->n, (const float *)spectrum, h->bins + row * 2 * h->n,
             h->scale + row * h->n_blocks, h->inverse);
    expect(h, (row + 1) % h->n_frames);
}

/* Components [from, to) of a row. */
UW_CLONES
static void unpack(size_t from, size_t to, const int16_t *restrict q, const float *restrict scale,
                   const float *restrict gain, float *restrict out) {
    while (from < to) {
        size_t block = from / BLOCK_LEN;
        size_t n = (block + 1) * BLOCK_LEN < to ? (block + 1) * BLOCK_LEN - from : to - from;
        float s = scale[block];

        for (size_t i = 0; i < n; ++i)
            out[i] = (float)q[from + i] * (s * gain[i]);
        from += n;
        out += n;
        gain += n;
    }
}

/* The same with a gain of 1. */
UW_CLONES
static void unpack_plain(size_t from, size_t to, const int16_t *restrict q,
                         const float *restrict scale, float *restrict out) {
    while (from < to) {
        size_t block = from / BLOCK_LEN;
        size_t n = (block + 1) * BLOCK_LEN < to ? (block + 1) * BLOCK_LEN - from : to - from;
        float s = scale[block];

        for (size_t i = 0; i < n; ++i)
            out[i] = (float)q[from + i] * s;
        from += n;
        out += n;
    }
}

void uw_history_get(const struct uw_history *h, uint64_t frame, size_t first, size_t count,
                    const float *gain, float complex *out) {
    size_t row = (size_t)(frame % h->n_frames);
    const int16_t *q = h->bins + row * 2 * h->n;
    const float *scale = h->scale + row * h->n_blocks;

    if (gain)
        unpack(2 * first, 2 * (first + count), q, scale, gain, (float *)out);
    else
        unpack_plain(2 * first, 2 * (first + count), q, scale, (float *)out);
}
