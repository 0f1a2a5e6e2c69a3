/* SPDX-License-Identifier: MIT */
#ifndef UASWATCH_STREAM_IMPL_H
#define UASWATCH_STREAM_IMPL_H

/*
 * Sequence numbers: what is a gap, a repetition, a new run
 *
 * Threads: one. Ownership: plain data.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAM_NAME_LEN 64
/* Types times nodes; beyond that, gaps are not looked for. */
#define STREAMS_MAX 256

struct stream {
    char key[4 * STREAM_NAME_LEN]; /* "v1.<type>.<site>.<node>." */
    char run[STREAM_NAME_LEN];
    uint64_t seq; /* the highest */
};

struct streams {
    size_t n;
    struct stream stream[STREAMS_MAX];
};

struct stream_verdict {
    uint64_t lost;
    bool repeated, new_run;
};

/* `whole`: the subscriptions include everything under `key`. */
struct stream_verdict streams_judge(struct streams *streams, const char *key, const char *run,
                                    uint64_t seq, bool whole);

#endif
