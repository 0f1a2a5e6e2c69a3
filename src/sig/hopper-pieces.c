/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Trains that are another's: pieces and images
 *
 * About as strong as the noise, some of a sender's bursts are found whole and others in part, which
 * begin later or end sooner: they make a train of their own, of the same period at another phase
 * and about the same level. One sender is on one channel at a time. So where both trains have
 * something in a slot, it is on the same channel; of two senders, each wherever its own hops take
 * it, it rarely is. (Those that hop together, as one network, and are about as strong as each other
 * are one by this.)
 *
 * A tuner shows in the band what lies outside it, mirrored and much weaker: a sender that is strong
 * enough is heard there when it is not heard in the band itself, in the same slots. Of FSK mirrored
 * looks like any other.
 */

#include <math.h>

#include "hopper-impl.h"

#define LOOK_S      30.0 /* of the newest bursts: hops of many channels meet seldom in the band */
#define DISORDER_S  0.05 /* pieces are measured later than what was whole */
#define INSIDE_S    1e-3 /* a piece reaches so far beyond the whole at most */
#define IMAGE_S     6.0
#define IMAGE_MIN   8   /* bursts of the other */
#define IMAGE_SHARE 0.8 /* ... in the slots, which by chance one in seven is at worst (4 ms) */
#define IMAGE_RATIO 1.5 /* of widths */
#define APART_MOST  0.2 /* of the meetings of two senders: others are on the air */

static const struct hop_burst *newest(const struct hop_train *t, size_t k) {
    return &t->bursts[uw_hop_place(t, k + 1, 0)];
}

/* How much sooner than a train's burst the other's of the same slot begins, if one of them is part
 * of the other. A piece lies inside the whole: which one it is their lengths tell. */
static double lead_of(const struct hop_train *t, const struct hop_train *o, double period_s) {
    double late_s = fmod(t->lattice.begin_s - o->lattice.begin_s, period_s);

    if (late_s < 0.0)
        late_s += period_s;
    if (late_s + t->length_s < o->length_s + INSIDE_S)
        return late_s;
    if (period_s - late_s + o->length_s < t->length_s + INSIDE_S)
        return late_s - period_s;
    return 0.0;
}

/* What the other train has within half a period of where its burst should be: nothing, something on
 * the burst's channel, on another one only. */
enum meeting { MEETING_NONE, MEETING_SAME, MEETING_OTHER };

/* *from: the other's bursts before are too new, for older ones than b, too. */
static enum meeting meet(const struct hop_train *o, const struct hop_burst *b, double lead_s,
                         double period_s, double channel_hz, size_t *from) {
    double middle_s = b->start_s - lead_s;
    enum meeting m = MEETING_NONE;

    while (*from < o->n && newest(o, *from)->start_s > middle_s + 0.5 * period_s + DISORDER_S)
        ++*from;
    for (size_t k = *from; k < o->n; ++k) {
        const struct hop_burst *c = newest(o, k);

        if (c->start_s < middle_s - 0.5 * period_s - DISORDER_S)
            break;
        if (fabs(c->start_s - middle_s) > 0.5 * period_s)
            continue;
        if (fabs(c->offset_hz - b->offset_hz) < channel_hz)
            return MEETING_SAME;
        m = MEETING_OTHER;
    }
    return m;
}

/* The share of the slots since then in which a train was heard. */
static double heard_share(const struct hop_train *t, double period_s, double since_s) {
    int64_t first = 0;
    int64_t last = 0;
    int64_t n = 0;

    for (size_t k = 0; k < t->n && newest(t, k)->start_s > since_s; ++k) {
        int64_t slot = llround((newest(t, k)->start_s - t->lattice.begin_s) / period_s);

        if (n == 0)
            last = slot;
        if (n == 0 || slot < first) {
            first = slot;
            ++n;
        }
    }
    return n < 2 ? 0.0 : (double)n / (double)(last - first + 1);
}

enum hop_sender uw_hop_sender(const struct hop_train *t, const struct hop_train *o,
                              double meetings) {
    double period_s = fmin(t->lattice.period_s, o->lattice.period_s);
    double lead_s = lead_of(t, o, period_s);
    double channel_hz = 0.5 * fmax(t->bandwidth_hz, o->bandwidth_hz); /* of weak ones' carriers */
    double until_s = fmin(t->last_s, o->last_s);
    double since_s = until_s - LOOK_S;
    size_t from = 0;
    int n = 0;
    int apart = 0;

    if (!uw_hop_same_waveform(t, o) || fabs(t->power_db - o->power_db) > HOP_LEVEL_DB)
        return HOP_SENDER_TWO;
    if (o->n > 0)
        since_s = fmax(since_s, newest(o, o->n - 1)->start_s);
    for (size_t k = 0; k < t->n && newest(t, k)->start_s >= since_s; ++k) {
        const struct hop_burst *b = newest(t, k);

        if (b->start_s > until_s)
            continue;
        ++n;
        apart += meet(o, b, lead_s, period_s, channel_hz, &from) == MEETING_OTHER;
    }
    double expected = n * heard_share(o, period_s, since_s);

    if (expected < meetings)
        return HOP_SENDER_OPEN;
    return apart < APART_MOST * expected ? HOP_SENDER_ONE : HOP_SENDER_TWO;
}

bool uw_hop_is_image(const struct hop_train *t, double now_s, const struct hop_verdict *verdict,
                     const struct hop_train *o) {
    struct hop_lattice slots;
    int n = 0;
    int inside = 0;

    if (fabs(o->power_db - t->power_db) < LINK_IMAGE_DB || o->lora != t->lora || o->sf != t->sf ||
        (t->lora && o->down == t->down) ||
        fabs(log(o->bandwidth_hz / t->bandwidth_hz)) > log(IMAGE_RATIO) ||
        !uw_hop_slots(t, now_s, verdict, &slots))
        return false;
    for (size_t k = 0; k < o->n && newest(o, k)->start_s > t->last_s - IMAGE_S; ++k) {
        ++n;
        inside += uw_hop_is_inside(&slots, newest(o, k)->start_s);
    }
    return n >= IMAGE_MIN && inside >= IMAGE_SHARE * n;
}
