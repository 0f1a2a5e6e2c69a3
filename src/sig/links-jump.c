/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Links across samples that were lost without a word
 *
 * A recording does not tell what it lost, and a live receiver's clock tells of it late. Behind the
 * hole all packets come off their lattice, earlier by what is missing, and would begin an emitter
 * anew: before three dwells have been heard on one lattice nothing is said, and of a link that is
 * spoken of each lattice would be another.
 *
 * One transmitter is at one place at a time. So where another lattice has two packets in
 * succession, measured whole, of an emitter's air rate and plan, on its crystal and at its level,
 * and the emitter is not heard between them, the emitter is taken to have jumped there: it keeps
 * what is known of it. Two links so alike (crystals of 20 ppm agree by chance in one of eighteen
 * pairs) share one emitter until they are seen apart: one of them is heard on another channel
 * between two packets of one dwell of the other, or the lattice that was left last has come back,
 * as it would behind one loss in sixty.
 *
 * Other traffic may come at any time, and a jump would explain that as well: the first JUMPS_TOLD
 * of what has never been alerted count JUMP_NATS each, or DWELL_NATS behind a dwell of more packets
 * than a node sends to be sure. (Pairs at any time, six nodes and twelve a minute: no alert in an
 * hour. Three a second: two alerts in three minutes, as many as without jumps.)
 */

#include <math.h>
#include <stddef.h>

#include "links-impl.h"

#define JUMP_NATS     (-3.0)
#define DWELL_NATS    (-1.5)
#define DWELL_PACKETS 3
#define JUMPS_TOLD    4
#define LEVEL_DB      6.0
#define PACKETS_MIN   2
#define UNCUT_MIN     4
#define SUCCESSION_S  1.0
#define MANY_S        10.0

bool uw_link_is_whole(const struct emitter *e) {
    return 2 * e->n_weak < e->n_packets;
}

/* Whether they could be one link, their lattices apart. On channels that the edge of the band cuts
 * carriers are read wrong, and levels. */
static bool is_alike(const struct emitter *old, const struct emitter *e) {
    double above_db = old->level_db - e->level_db;

    if (!old->used || old == e || old->signature != e->signature || old->period_s != e->period_s ||
        old->first_packet.down != e->first_packet.down || !uw_link_is_whole(old))
        return false;
    if (2 * e->n_cut > e->n_packets && e->n_packets - e->n_cut < UNCUT_MIN)
        return above_db >= -LEVEL_DB;
    return fabs(above_db) <= LEVEL_DB && uw_link_agrees(old, e);
}

/* Which of two is another's continuation: the one that is not spoken of, or says less. */
static bool goes_first(const struct emitter *a, const struct emitter *b) {
    if (a->alerted != b->alerted)
        return a->alerted;
    return (a->number != 0) != (b->number != 0) ? a->number != 0 : a->llr > b->llr;
}

static bool may_jump(const struct emitter *old, const struct emitter *e,
                     const struct uw_detector_config *config, const struct uw_packet *p) {
    return old->used && old != e && old->signature == e->signature &&
           old->period_s == e->period_s && old->first_packet.down == p->down &&
           uw_link_is_whole(old) && old->n_packets >= PACKETS_MIN && !old->never_hops &&
           !old->is_image && !e->alerted && goes_first(old, e) && old->last_stop <= e->last_start &&
           fabs(old->level_db - p->snr_db) <= LEVEL_DB && uw_link_is_its_crystal(old, config, p) &&
           uw_link_keeps_time(old, config->rate_hz, e, p) &&
           !uw_link_same_lattice(old, e, config->rate_hz);
}

/* Whether it has been on more lattices of late than two links have. */
static bool is_torn(const struct emitter *e, double rate_hz, const struct uw_packet *p) {
    return e->n_jumps > 1 && p->start - e->last_jumps[1] < MANY_S * rate_hz;
}

struct emitter *uw_link_jumped(struct uw_links *links, struct emitter *e,
                               const struct uw_packet *p) {
    double rate = links->env.config->rate_hz;
    struct emitter *best = NULL;

    if (p->weak || e->whole_run < 1 || e->apart ||
        p->start - e->last_start > SUCCESSION_S * rate)
        return NULL;
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        struct emitter *old = &links->emitters[i];

        if (may_jump(old, e, links->env.config, p) && (!best || goes_first(old, best)))
            best = old;
    }
    if (best && uw_link_has_left(best, rate, p) && !is_torn(best, rate, p)) {
        e->apart = LINK_RETURNED;
        return NULL;
    }
    return best;
}

static double jump_nats(const struct emitter *e) {
    if (e->alerted || e->n_jumps >= JUMPS_TOLD)
        return 0.0;
    return e->dwell_packets >= DWELL_PACKETS ? DWELL_NATS : JUMP_NATS;
}

/* The slot that a packet behind the hole is taken to be in: nobody knows how many are missing. */
static int64_t slot_behind(const struct emitter *e, double start, double rate_hz) {
    double slots = round((start - e->reference) / uw_link_slot(e, rate_hz));

    return (int64_t)fmax((double)e->reference_slot + slots, (double)e->dwell_last + 1.0);
}

void uw_link_jump(struct uw_links *links, struct emitter *old, struct emitter *e,
                  const struct uw_packet *p) {
    double rate = links->env.config->rate_hz;
    int64_t slot = slot_behind(old, e->last_start, rate);
    struct link_fit fit = {.slot = slot, .window = old->period_s * rate};

    /* there are more lattices than two links have */
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        if (links->emitters[i].apart == LINK_RETURNED && is_alike(old, &links->emitters[i]))
            links->emitters[i].apart = LINK_NOT_APART;
    }
    uw_link_move_lattice(old, e, slot);
    uw_link_tear(old, slot, jump_nats(old));
    ++old->n_jumps;
    old->last_jumps[1] = old->last_jumps[0];
    old->last_jumps[0] = p->start;
    e->used = false;
    if (e->n_packets == 1)
        uw_link_join(links, old, &e->first_packet, &fit);
    fit = uw_link_fit(old, rate, p);
    uw_link_join(links, old, p, &fit);
}

bool uw_link_is_not_apart(const struct uw_links *links, const struct emitter *e) {
    for (size_t i = 0; i < LINK_EMITTERS_MAX && !e->apart; ++i) {
        const struct emitter *old = &links->emitters[i];

        if (old->alerted && old->number != e->number && is_alike(old, e))
            return true;
    }
    return false;
}

void uw_link_tell_apart(struct uw_links *links, struct emitter *e, const struct uw_packet *p) {
    /* noise may have made a weak one */
    if (p->weak || e->whole_run < 2)
        return;
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        struct emitter *other = &links->emitters[i];

        if (is_alike(other, e) && other->last_start > e->last_start &&
            other->last_start < p->start &&
            fabs(other->offset_hz - e->dwell_offset_hz) > LINK_CHANNEL_HZ)
            e->apart = other->apart = LINK_TOGETHER;
    }
}
