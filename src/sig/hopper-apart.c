/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Several links of one make in one train
 *
 * About as strong as each other, they are one train at first, which is no link's. It is taken apart
 * by lattices: a part has slots, and takes the bursts in them from then on. Links whose slots cross
 * as their crystals drift are one for that while, and the part may be given up and found again,
 * with another number if it was silent for long.
 */

#include <math.h>

#include "hopper-impl.h"

#define SAME_HZ   20e3 /* the same channel as the burst before */
#define PARTS_MAX 3    /* lattices tried to take a train apart */
#define APART_S   0.1  /* for each of them: it is costly, whatever is on the air */

void uw_hop_leave_out(struct hop_train *t, const struct hop_lattice *slots) {
    size_t n = t->n;

    t->n = 0;
    for (size_t i = 0; i < n; ++i) {
        struct hop_burst b = t->bursts[uw_hop_place(t, n, i)];

        if (!uw_hop_is_inside(slots, b.start_s))
            t->bursts[uw_hop_place(t, n, t->n++)] = b;
    }
    t->next = uw_hop_place(t, n, t->n);
}

bool uw_hop_changes(const struct hop_burst *before, const struct hop_burst *b) {
    return fabs(before->offset_hz - b->offset_hz) > SAME_HZ;
}

void uw_hop_count(struct hop_train *t) {
    t->n_bursts = (int64_t)t->n;
    t->n_dwells = t->n > 0;
    for (size_t i = 1; i < t->n; ++i)
        t->n_dwells += uw_hop_changes(&t->bursts[uw_hop_place(t, t->n, i - 1)],
                                      &t->bursts[uw_hop_place(t, t->n, i)]);
}

void uw_hop_unname(struct hop_train *t) {
    t->number = 0;
    t->agreed = 0;
    t->open_s = 0.0;
    t->llr = t->given_llr = 0.0;
}

/* A train that is not spoken of. */
static void begin_anew(struct hop_train *t) {
    uw_hop_unname(t);
    uw_hop_count(t);
}

/* Finds a link among the bursts of a train that is none: those of one lattice, or what is left
 * without them. h->part is a train of it alone, with its slots and its hops. Returns the number of
 * lattices tried. */
static int find_part(struct uw_hopper *h, const struct hop_train *t, double now_s,
                     const struct hop_band *band, bool *ret_found) {
    struct hop_verdict v;
    int tried = 0;

    *ret_found = false;
    h->rest = *t;
    while (!*ret_found && tried < PARTS_MAX) {
        ++tried;
        if (!uw_hop_take_part(&h->rest, now_s, &h->part))
            break;
        uw_hop_judge(&h->part, now_s, band, &v);
        *ret_found = !v.reason;
        if (v.reason) {
            uw_hop_leave_out(&h->rest, &h->part.slots);
            uw_hop_judge(&h->rest, now_s, band, &v);
            *ret_found = !v.reason && uw_hop_slots(&h->rest, now_s, &v, &h->rest.slots);
            if (*ret_found)
                h->part = h->rest;
        }
        h->part.lattice = v.lattice;
    }
    return tried;
}

/* Several links of one make, as strong as each other, are one train at first: each has its lattice.
 * One is parted with, the others stay, and the next may be at the next judgement. */
static void take_apart(struct uw_hopper *h, struct hop_train *t, double now_s,
                       const struct hop_band *band) {
    struct hop_train *part = uw_hop_free_place(h, now_s);
    bool found;

    t->waits_s = 0.0;
    if (part == t || (part->used && part->number))
        return;
    h->apart_s = now_s + APART_S * find_part(h, t, now_s, band, &found);
    if (!found)
        return;
    *part = h->part;
    part->parted = true;
    uw_hop_leave_out(t, &part->slots);
    /* one of the two may be what was spoken of */
    bool known = t->number && now_s - t->good_s <= HOP_GONE_S;
    bool is_part = known && uw_hop_is_multiple(t->lattice.period_s, part->lattice.period_s) &&
                   uw_hop_is_inside(&part->slots, t->lattice.begin_s);
    if (!is_part)
        begin_anew(part);
    if (is_part || !known)
        begin_anew(t);
    part->good_s = now_s;
    part->n_new = t->n_new = HOP_NEW_MIN;
}

void uw_hop_take_one_apart(struct uw_hopper *h, double now_s, const struct hop_band *band) {
    struct hop_train *first = NULL;

    if (now_s < h->apart_s)
        return;
    for (size_t i = 0; i < HOP_TRAINS_MAX; ++i) {
        struct hop_train *t = &h->trains[i];

        if (t->used && t->waits_s > 0.0 && (!first || t->waits_s < first->waits_s))
            first = t;
    }
    if (first)
        take_apart(h, first, now_s, band);
}
