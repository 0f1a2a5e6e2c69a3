/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "held-impl.h"

#include <math.h>

void uw_held_add(struct uw_held *held, const struct uw_held_hit *hit) {
    struct uw_held_hit *weakest = &held->hits[0];

    if (held->n < UW_HELD_MAX) {
        held->hits[held->n++] = *hit;
        return;
    }
    for (size_t i = 1; i < held->n; ++i) {
        if (held->hits[i].sum < weakest->sum)
            weakest = &held->hits[i];
    }
    if (hit->sum > weakest->sum)
        *weakest = *hit;
}

/* Whether two hits can be of one packet: same time within a run, overlapping bands. */
static bool same_packet(const struct uw_packet *a, const struct uw_packet *b) {
    return a->start < b->stop && b->start < a->stop &&
           fabs(a->offset_hz - b->offset_hz) < a->bandwidth_hz;
}

static bool is_strongest(const struct uw_held *held, const struct uw_held_hit *hit) {
    for (size_t i = 0; i < held->n; ++i) {
        const struct uw_held_hit *other = &held->hits[i];

        if (other != hit && other->sum > hit->sum && same_packet(&other->packet, &hit->packet))
            return false;
    }
    return true;
}

/* What is weaker than a hit that speaks goes with it, or it would be the strongest next. */
static void drop_same(struct uw_held *held, const struct uw_held_hit *hit) {
    for (size_t i = 0; i < held->n;) {
        if (same_packet(&held->hits[i].packet, &hit->packet))
            held->hits[i] = held->hits[--held->n];
        else
            ++i;
    }
}

bool uw_held_next(struct uw_held *held, double sample, struct uw_packet *ret_packet) {
    for (;;) {
        size_t next = held->n;

        for (size_t i = 0; i < held->n; ++i) {
            if (held->hits[i].until < sample &&
                (next == held->n || held->hits[i].packet.start < held->hits[next].packet.start))
                next = i;
        }
        if (next == held->n)
            return false;
        struct uw_held_hit hit = held->hits[next];
        held->hits[next] = held->hits[--held->n];
        if (!is_strongest(held, &hit))
            continue;
        drop_same(held, &hit);
        *ret_packet = hit.packet;
        return true;
    }
}
