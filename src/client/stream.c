/* SPDX-License-Identifier: MIT */
#include "stream-impl.h"

#include <stdio.h>
#include <string.h>

static struct stream *find(struct streams *streams, const char *key) {
    struct stream *s;

    for (size_t i = 0; i < streams->n; i++)
        if (strcmp(streams->stream[i].key, key) == 0)
            return &streams->stream[i];
    if (streams->n == STREAMS_MAX)
        return NULL;
    s = &streams->stream[streams->n++];
    *s = (struct stream){0};
    (void)snprintf(s->key, sizeof(s->key), "%s", key);
    return s;
}

/*
 * For a late joiner the publisher repeats the newest message of a type first. So the first message
 * that is seen is the highest there has been, older ones are repetitions, and every later jump is a
 * loss.
 */
struct stream_verdict streams_judge(struct streams *streams, const char *key, const char *run,
                                    uint64_t seq, bool whole) {
    struct stream_verdict v = {0};
    struct stream *s = find(streams, key);

    if (!s)
        return v;
    if (strcmp(s->run, run) != 0) {
        v.new_run = s->run[0] != '\0';
        (void)snprintf(s->run, sizeof(s->run), "%s", run);
        s->seq = seq;
        return v;
    }
    if (seq <= s->seq) {
        v.repeated = true;
        return v;
    }
    v.lost = whole ? seq - s->seq - 1 : 0;
    s->seq = seq;
    return v;
}
