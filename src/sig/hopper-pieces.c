/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Trains that one sender's bursts make when they are heard in pieces
 *
 * About as strong as the noise, some of a sender's bursts are found whole and others in part, which
 * begin later or end sooner: they make a train of their own, of the same period at another phase.
 * One sender is on one channel at a time. So where both trains have something within half a period,
 * it is on the same channel; of two senders, each wherever its hops take it, it rarely is.
 */

#include <math.h>

#include "hopper-impl.h"

#define LOOK_S     10.0 /* of the newest bursts: hops of many channels meet seldom in the band */
#define DISORDER_S 0.05 /* pieces are measured later than what was whole */
#define APART_MIN  2.0  /* meetings on two channels, of two senders, for a verdict */
#define APART_MOST 0.2  /* of these that one sender's may have: others are on the air */

static const struct hop_burst *newest(const struct hop_train *t, size_t k) {
    return &t->bursts[(t->next + HOP_BURSTS_MAX - 1 - k) % HOP_BURSTS_MAX];
}

/* What the other train has within half a period of a burst: nothing, the burst's channel, another
 * one. */
enum meeting { MEETING_NONE, MEETING_SAME, MEETING_OTHER };

/* *from: the other's bursts before are too new, for older ones than b, too. */
static enum meeting meet(const struct hop_train *o, const struct hop_burst *b, double period_s,
                         double channel_hz, size_t *from) {
    enum meeting m = MEETING_NONE;

    while (*from < o->n && newest(o, *from)->start_s > b->start_s + 0.5 * period_s + DISORDER_S)
        ++*from;
    for (size_t k = *from; k < o->n; ++k) {
        const struct hop_burst *c = newest(o, k);

        if (c->start_s < b->start_s - 0.5 * period_s - DISORDER_S)
            break;
        if (fabs(c->start_s - b->start_s) > 0.5 * period_s)
            continue;
        if (fabs(c->offset_hz - b->offset_hz) < channel_hz)
            return MEETING_SAME;
        m = MEETING_OTHER;
    }
    return m;
}

/* The share of the slots since then in which a train was heard. */
static double heard_share(const struct hop_train *t, double period_s, double since_s) {
    double first_s = INFINITY;
    size_t n = 0;

    for (size_t k = 0; k < t->n && newest(t, k)->start_s > since_s; ++k) {
        if (newest(t, k)->start_s < first_s - 0.5 * period_s) { /* bursts of one slot are one */
            first_s = newest(t, k)->start_s;
            ++n;
        }
    }
    return n < 2 ? 0.0 : fmin((double)(n - 1) * period_s / (t->last_s - first_s), 1.0);
}

enum hop_sender uw_hop_sender(const struct hop_train *t, const struct hop_train *o) {
    double period_s = fmin(t->lattice.period_s, o->lattice.period_s);
    double channel_hz = 0.5 * fmax(t->bandwidth_hz, o->bandwidth_hz); /* of weak ones' carriers */
    double until_s = fmin(t->last_s, o->last_s);
    double since_s = fmax(newest(o, o->n - 1)->start_s, until_s - LOOK_S);
    size_t from = 0;
    int n = 0;
    int apart = 0;

    for (size_t k = 0; k < t->n && newest(t, k)->start_s >= since_s; ++k) {
        const struct hop_burst *b = newest(t, k);

        if (b->start_s > until_s)
            continue;
        ++n;
        apart += meet(o, b, period_s, channel_hz, &from) == MEETING_OTHER;
    }
    double expected = n * heard_share(o, period_s, since_s);

    if (expected < APART_MIN)
        return HOP_SENDER_OPEN;
    return apart < APART_MOST * expected ? HOP_SENDER_ONE : HOP_SENDER_TWO;
}
