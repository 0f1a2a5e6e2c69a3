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
 * what is known of it.
 *
 * Two links may be so alike: crystals of 20 ppm agree by chance in one of eighteen pairs at 900
 * MHz. They share one emitter until they are told apart: one of them is heard on another channel
 * between two packets of one dwell of the other; or packet by packet in turn; or the lattice that
 * was left comes back, as behind some losses it does. The last is taken back if there are more
 * lattices than two links have. What has not been told from a link that is spoken of waits.
 *
 * Other traffic may come at any time, and a jump would explain that as well: the first JUMPS_TOLD
 * of what has never been alerted count JUMP_NATS each, or DWELL_NATS behind a dwell of more packets
 * than a node sends to be sure; whole dwells behind it pay that back (links-join.c).
 */

#include <math.h>
#include <stddef.h>

#include "links-impl.h"
#include "links-jump-impl.h"

#define JUMP_NATS       (-3.0)
#define DWELL_NATS      (-1.5)
#define DWELL_PACKETS   3
#define JUMPS_TOLD      4
#define KNOWN_NATS      (-10.0)
#define PACKETS_MIN     2
#define UNCUT_MIN       4
#define CUT_HZ          30e3 /* off, of a carrier read on a channel that is cut */
#define SYMBOLS_OFF     3.5
#define SYMBOL_SHARE    0.1 /* about a whole symbol */
#define LATTICE_PACKETS 3
#define RETURNS         2
#define IN_TURN         3
#define SILENT_S        4.0
#define MORE_SHARE      1.5 /* of the dwells of one link */
#define MORE_DWELLS     1.0
#define SUCCESSION_S    1.0
#define MANY_S          10.0

bool uw_link_is_whole(const struct emitter *e) {
    return 2 * e->n_weak < e->n_packets;
}

/* Whether it has been heard on channels that the edge of the band cuts, and hardly elsewhere: there
 * carriers are read kHz off, and levels. */
static bool is_cut(const struct emitter *e) {
    return 2 * e->n_cut > e->n_packets && e->n_packets - e->n_cut < UNCUT_MIN;
}

/* Whether they could be one link, their lattices apart. */
static bool is_alike(const struct emitter *old, const struct emitter *e) {
    double above_db = old->level_db - e->level_db;

    if (!old->used || old == e || old->signature != e->signature || old->period_s != e->period_s ||
        old->first_packet.down != e->first_packet.down || old->never_hops || old->is_image ||
        !uw_link_is_whole(old) || above_db < -LINK_LEVEL_DB ||
        (above_db > LINK_LEVEL_DB && !is_cut(e)))
        return false;
    const struct uw_sig_variant *v = uw_link_variant(old, false);
    const struct uw_sig_variant *w = uw_link_variant(e, false);
    return (!v || !w || v == w) && uw_link_agrees(old, e, is_cut(e) ? CUT_HZ : 0.0);
}

/* Which of two is another's continuation: the one that is not spoken of, or says less. */
static bool goes_first(const struct emitter *a, const struct emitter *b) {
    if (a->alerted != b->alerted)
        return a->alerted;
    return (a->number != 0) != (b->number != 0) ? a->number != 0 : a->llr > b->llr;
}

/* Nothing is known of it that the other should know: that it is no link, for one. */
static bool is_young(const struct emitter *e, const struct emitter *old) {
    return !e->alerted && e->n_packets <= old->n_packets && e->llr > KNOWN_NATS;
}

/* Whether their lattices are a few whole symbols apart, as those of packets measured badly. */
static bool is_symbols_off(const struct emitter *old, const struct emitter *e, double rate_hz) {
    double apart = uw_link_lattices_apart(old, e, rate_hz) / uw_link_symbol(old, rate_hz);

    return old->first_packet.modulation == UW_SIG_LORA && fabs(apart) < SYMBOLS_OFF &&
           fabs(apart - round(apart)) < SYMBOL_SHARE;
}

static bool may_jump(const struct emitter *old, const struct emitter *e,
                     const struct uw_detector_config *config, const struct uw_packet *p) {
    return old->used && old != e && old->signature == e->signature &&
           old->period_s == e->period_s && old->first_packet.down == p->down &&
           uw_link_is_whole(old) && old->n_packets >= PACKETS_MIN && !old->never_hops &&
           !old->is_image && is_young(e, old) && goes_first(old, e) &&
           old->last_stop <= e->last_start && fabs(old->level_db - p->snr_db) <= LINK_LEVEL_DB &&
           uw_link_is_its_crystal(old, config, p) &&
           uw_link_keeps_time(old, config->rate_hz, e, p) &&
           !uw_link_same_lattice(old, e, config->rate_hz) &&
           !is_symbols_off(old, e, config->rate_hz);
}

/* Whether an emitter whose lattice comes back is two links: not if a few packets measured badly
 * were all that made it leave, nor if it has been on more lattices of late than two links have. */
static bool takes_turns(const struct emitter *e, double rate_hz, const struct uw_packet *p) {
    const struct uw_sig_variant *v = uw_link_variant(e, true);
    bool many = e->n_jumps > 1 && p->start - e->last_jumps[1] < MANY_S * rate_hz;
    int least = v && v->packets_per_hop < LATTICE_PACKETS ? 2 : LATTICE_PACKETS;

    return e->returns >= RETURNS || (!many && e->n_packets - e->jump_packets >= least);
}

struct emitter *uw_link_jumped(struct uw_links *links, struct emitter *e,
                               const struct uw_packet *p) {
    double rate = links->env.config->rate_hz;
    struct emitter *best = NULL;

    if (p->weak || e->whole_run < 1 || e->apart || p->start - e->last_start > SUCCESSION_S * rate)
        return NULL;
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        struct emitter *old = &links->emitters[i];

        if (may_jump(old, e, links->env.config, p) && (!best || goes_first(old, best)))
            best = old;
    }
    if (best && uw_link_has_left(best, rate, p) && takes_turns(best, rate, p)) {
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

/* A jump to a lattice that it did not come from: there are more than two links have. */
static void count_jump(struct uw_links *links, struct emitter *e, const struct uw_packet *p) {
    ++e->n_jumps;
    e->last_jumps[1] = e->last_jumps[0];
    e->last_jumps[0] = p->start;
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        if (links->emitters[i].apart == LINK_RETURNED && is_alike(e, &links->emitters[i]))
            links->emitters[i].apart = LINK_NOT_APART;
    }
}

void uw_link_jump(struct uw_links *links, struct emitter *old, struct emitter *e,
                  const struct uw_packet *p) {
    double rate = links->env.config->rate_hz;
    int64_t slot = slot_behind(old, e->last_start, rate);
    struct link_fit fit = {.slot = slot, .window = old->period_s * rate};
    bool back = uw_link_has_left(old, rate, p);

    uw_link_move_lattice(old, e, slot);
    if (e->n_packets == 1) /* its only packet is followed below */
        old->var_reference = fit.window * fit.window;
    uw_link_tear(old, slot, jump_nats(old));
    old->jump_packets = old->n_packets;
    old->returns = back ? old->returns + 1 : 0;
    if (!back)
        count_jump(links, old, p);
    e->used = false;
    if (e->n_packets == 1)
        uw_link_join(links, old, &e->first_packet, &fit);
    fit = uw_link_fit(old, rate, p);
    uw_link_join(links, old, p, &fit);
}

bool uw_link_is_not_apart(const struct uw_links *links, const struct emitter *e) {
    double rate = links->env.config->rate_hz;

    /* of what is heard below the noise nothing would ever tell it */
    if (e->alerted || e->apart || !(uw_link_is_whole(e) || is_cut(e)))
        return false;
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        const struct emitter *old = &links->emitters[i];

        /* one that was followed wrongly says little: the link is the other */
        if (old->alerted && old->number != e->number && old->llr >= fmin(e->llr, LINK_SURE_NATS) &&
            e->last_start - old->last_start < SILENT_S * rate && is_alike(old, e))
            return true;
    }
    return false;
}

/* Its latest dwells since then on channels that no edge of the band cuts. */
static int dwells_since(const struct emitter *e, double start, double rate_hz) {
    double first = (start - e->reference) / uw_link_slot(e, rate_hz) + (double)e->reference_slot;
    int n = 0;

    for (int i = 0; i < e->n_kept; ++i)
        n += (double)e->kept[i].slot >= first - 0.5 &&
             uw_link_is_inside(e->kept[i].offset_hz, e->bandwidth_hz, rate_hz);
    return n;
}

/* Whether both bring more dwells since the later one began than one link would, which visits every
 * channel once in a block of hops: of holes of half a slot the lattice comes back as well. */
static bool is_more_than_one(const struct emitter *old, const struct emitter *e,
                             const struct uw_detector_config *config) {
    const struct uw_sig_variant *v = uw_link_variant(old, true);
    double rate = config->rate_hz;
    int n_channels;
    double share = uw_link_share(old, config, &n_channels);

    if (!v)
        return true;
    double hops = (e->last_start - e->first_start) / (rate * v->period_s * v->packets_per_hop);
    int n = dwells_since(old, e->first_start, rate) + dwells_since(e, e->first_start, rate);
    return (double)n >= MORE_SHARE * share * (hops + 1.0) + MORE_DWELLS;
}

bool uw_link_is_waiting(const struct uw_links *links, const struct emitter *e) {
    double rate = links->env.config->rate_hz;

    for (size_t i = 0; i < LINK_EMITTERS_MAX && e->apart; ++i) {
        const struct emitter *old = &links->emitters[i];

        if (old->number == 0 || old->llr < fmin(e->llr, LINK_SURE_NATS) ||
            e->last_start - old->last_start > SILENT_S * rate || !is_alike(old, e))
            continue;
        if (old->reported <= e->first_start ||
            (e->apart == LINK_RETURNED && !is_more_than_one(old, e, links->env.config)))
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

        if (other->last_start <= e->last_start || other->last_start >= p->start ||
            !is_alike(other, e))
            continue;
        if (fabs(other->offset_hz - e->dwell_offset_hz) > LINK_CHANNEL_HZ)
            e->apart = other->apart = LINK_TOGETHER;
        else if (!e->apart && !other->apart && other->whole_run >= IN_TURN &&
                 e->whole_run > IN_TURN)
            e->apart = other->apart = LINK_RETURNED; /* packet by packet on one channel */
    }
}
