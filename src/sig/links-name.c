/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Which number a link goes by
 *
 * Samples that were lost without a word (a recording does not tell) move all packets behind them
 * off their lattice, and the link is found anew. It is taken for the one before if rate, plan and
 * carrier are the same, and not one packet of the old one has come since the new one's begin
 * (strays apart): two links whose crystals agree by chance would have to take turns.
 *
 * Where a receiver finds by its clock that it loses, again and again, a link's lattices take turns
 * within tenths of a second, and the old one comes back. Then an emitter that has rate, plan,
 * carrier and level of another goes by the other's number beside it: they are one link. Of two
 * links whose crystals are good to 20 ppm one pair in eighteen is so taken for one, for as long as
 * that lasts.
 *
 * A packet that lost samples to a hole is measured badly: it falls off its lattice and begins an
 * emitter of its own. Such strays must neither take the link's number nor be another link, so
 * beside a link of the same rate, plan and carrier an emitter is not spoken of before it is a train
 * of packets.
 */

#include <math.h>
#include <stddef.h>

#include "links-impl.h"
#include "links-jump-impl.h"

#define OLD_DWELLS        3 /* of a link that others may be taken for */
#define TRAIN             3 /* packets more than dwells */
#define RUN_PACKETS       3
#define BESIDE            0.35 /* symbols */
#define IMAGE_DB          30.0 /* what tuners reject of the image */
#define DELIMITER_SYMBOLS 1.5
#define ALERTED_S         2.0 /* behind that the lattice is not known well enough */
#define MOST              0.6
#define NETWORK_LLR       (-10.0)
#define NETWORK_PACKETS   3 /* for one of the emitter's */
#define NETWORK_S         1.0
#define STEP_S            25e-6 /* two carriers of a link begin closer together */
#define STEP_SIGMAS       4.0
#define STEP_SLOTS        4
#define SYMBOL_LATE       0.1 /* ... about one whole symbol */

bool uw_link_is_train(const struct emitter *e) {
    const struct uw_sig_variant *v = uw_link_variant(e, true);

    /* of two packets a hop, both are heard too seldom below the noise */
    return v && (v->packets_per_hop == 1 ||
                 e->n_packets >= e->n_dwells + (v->packets_per_hop > 2 ? TRAIN : TRAIN - 1));
}

static bool is_alike(const struct emitter *old, const struct emitter *e) {
    return old->used && old->number != 0 && old->signature == e->signature &&
           old->first_packet.down == e->first_packet.down && uw_link_agrees(old, e, 0.0);
}

static struct emitter *find_alike(struct emitter *emitters, const struct emitter *e, bool silent) {
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        struct emitter *old = &emitters[i];

        if (is_alike(old, e) && old->n_dwells >= OLD_DWELLS &&
            (!silent || old->last_stop <= e->run_start))
            return old;
    }
    return NULL;
}

/* Whether it has been heard as a link of old's air rate is, wherever its lattice lies: most packets
 * of a hop, on each of two channels that no edge cuts. Of those of a link that collisions delay
 * one comes at a time. */
static bool is_whole(const struct emitter *old, const struct emitter *e, double rate_hz) {
    const struct uw_sig_variant *v = uw_link_variant(old, true);
    double n_packets = (double)(e->n_packets - e->n_weak);
    int n = 0;

    for (int i = 0; i < e->n_channels; ++i)
        n += e->channel_packets[i] > 1 &&
             uw_link_is_inside(e->channels_hz[i], e->bandwidth_hz, rate_hz);
    return v && n >= 2 && n_packets > MOST * (double)(e->n_dwells * v->packets_per_hop);
}

double uw_link_symbol(const struct emitter *e, double rate_hz) {
    return (double)(1 << e->first_packet.sf) / e->bandwidth_hz * rate_hz;
}

double uw_link_lattices_apart(const struct emitter *a, const struct emitter *b, double rate_hz) {
    const struct emitter *fine = a->period_s <= b->period_s ? a : b;
    const struct emitter *coarse = fine == a ? b : a;
    double ratio = coarse->period_s / fine->period_s;

    if (fabs(ratio - round(ratio)) > 1e-3)
        return INFINITY;
    return remainder(coarse->reference - fine->reference, uw_link_slot(fine, rate_hz));
}

/* Whether two lattices are one, a packet measured badly allowed for: a weak one whose carrier was
 * read wrong is off by chips, one that the band's edge or a collision cuts by a symbol. */
bool uw_link_same_lattice(const struct emitter *a, const struct emitter *b, double rate_hz) {
    double symbol = uw_link_symbol(a, rate_hz);
    double apart = uw_link_lattices_apart(a, b, rate_hz);

    return fabs(apart) < BESIDE * symbol ||
           (fabs(fabs(apart) - symbol) < SYMBOL_LATE * symbol && !is_whole(a, b, rate_hz));
}

/* Whether e's weak hits are made of the image of a link 30 dB and more stronger, which shows its
 * packets mirrored: among their up-chirps, turned down, the delimiter behind preamble and sync word
 * is up. So they come at that one place in the link's slots. */
static bool is_delimiter(const struct emitter *old, const struct emitter *e, double rate_hz) {
    const struct uw_sig_variant *v = uw_link_variant(old, true);
    double symbol = uw_link_symbol(old, rate_hz);
    double slot = uw_link_slot(old, rate_hz);

    if (!v || !isnan(e->airtime_s) || old->snr_db < e->snr_db + IMAGE_DB)
        return false;
    double delimiter = (v->preamble + 2) * symbol;
    return fabs(remainder(e->reference - old->reference - delimiter, slot)) <
           DELIMITER_SYMBOLS * symbol;
}

/* Of two whose evidence is at its limit, the one that was spoken of first. */
static bool goes_first(const struct emitter *a, const struct emitter *b) {
    return a->llr > b->llr || (a->llr == b->llr && (b->number == 0 || a->number < b->number));
}

static bool has_slot(const struct emitter *e, int64_t slot) {
    for (int i = 0; i < LINK_SLOTS_KEPT && i < e->n_slots; ++i) {
        if (e->slots[i] == slot)
            return true;
    }
    return false;
}

static double slot_at(const struct emitter *e, int i, double rate_hz) {
    return e->reference + (double)(e->slots[i] - e->reference_slot) * uw_link_slot(e, rate_hz);
}

/* How often e has sent in two slots in a row while the other was about. */
static int n_pairs(const struct emitter *e, const struct emitter *other, double rate_hz) {
    double first = INFINITY, last = -INFINITY;
    int n = 0;

    for (int i = 0; i < LINK_SLOTS_KEPT && i < other->n_slots; ++i) {
        first = fmin(first, slot_at(other, i, rate_hz));
        last = fmax(last, slot_at(other, i, rate_hz));
    }
    for (int i = 0; i < LINK_SLOTS_KEPT && i < e->n_slots; ++i) {
        double at = slot_at(e, i, rate_hz);

        n += at >= first && at <= last && has_slot(e, e->slots[i] + 1);
    }
    return n;
}

/* In how many slots both have sent. */
static int n_shared(const struct emitter *a, const struct emitter *b, double rate_hz) {
    int n = 0;

    for (int i = 0; i < LINK_SLOTS_KEPT && i < a->n_slots; ++i) {
        double slots = round((slot_at(a, i, rate_hz) - b->reference) / uw_link_slot(b, rate_hz));

        n += has_slot(b, b->reference_slot + (int64_t)slots);
    }
    return n;
}

/* Whether two that were measured whole are never quite in step, or leave each other, and do not
 * take turns as the ends of a link do: the one that answers never sends twice in a row. The two
 * carriers of a Gemini link begin together by one clock, and so does what a converter makes of
 * one. */
static bool is_out_of_step(const struct emitter *a, const struct emitter *b, double rate_hz) {
    double apart = uw_link_lattices_apart(a, b, rate_hz);
    double sigma = sqrt(a->var_reference + b->var_reference);
    double clock_sigma = sqrt(a->var_clock + b->var_clock);

    if (a->period_s != b->period_s || !uw_link_is_whole(a) || !uw_link_is_whole(b) ||
        2 * a->n_cut > a->n_packets || 2 * b->n_cut > b->n_packets ||
        (fabs(apart) < STEP_S * rate_hz + STEP_SIGMAS * sigma &&
         fabs(a->clock - b->clock) < STEP_SIGMAS * clock_sigma))
        return false;
    return n_shared(a, b, rate_hz) >= STEP_SLOTS ||
           (n_pairs(a, b, rate_hz) >= STEP_SLOTS && n_pairs(b, a, rate_hz) >= STEP_SLOTS);
}

/* Whether a link that is already spoken of has e's slots: e is its second carrier at the same time
 * (Gemini), packets on a channel that the band's edge cuts, what a tuner or a clipped converter
 * makes of it, or the link measured badly. Another link would be there by a chance of two or three
 * in a hundred; where both are measured whole it is told apart, else it moves away as its crystal
 * does. A link that is still heard keeps its slots though its own evidence sinks, as it does where
 * two carriers share their packets out. */
bool uw_link_is_beside(const struct emitter *emitters, const struct emitter *e, double rate_hz) {
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        const struct emitter *old = &emitters[i];

        if (old->used && old != e && old->number != 0 && old->signature == e->signature &&
            old->first_packet.modulation == UW_SIG_LORA &&
            e->first_packet.modulation == UW_SIG_LORA &&
            old->first_packet.sf == e->first_packet.sf &&
            (goes_first(old, e) || old->was_alertable ||
             (old->alerted && e->last_start - old->last_start < ALERTED_S * rate_hz)) &&
            ((uw_link_same_lattice(old, e, rate_hz) && !is_out_of_step(old, e, rate_hz)) ||
             is_delimiter(old, e, rate_hz)))
            return true;
    }
    return false;
}

bool uw_link_is_of_network(const struct uw_links *links, const struct emitter *e) {
    double rate = links->env.config->rate_hz;

    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        const struct emitter *other = &links->emitters[i];

        if (other->used && other != e && other->signature == e->signature &&
            other->first_packet.modulation == UW_SIG_LORA &&
            other->first_packet.sf == e->first_packet.sf &&
            other->first_packet.down == e->first_packet.down && other->llr <= NETWORK_LLR &&
            other->n_packets >= NETWORK_PACKETS * e->n_packets &&
            e->last_start - other->last_start < NETWORK_S * rate &&
            fabs(uw_link_lattices_apart(other, e, rate)) < BESIDE * uw_link_symbol(e, rate))
            return true;
    }
    return false;
}

bool uw_link_is_torn(const struct uw_links *links, const struct emitter *e) {
    return e->last_start - links->torn < LINK_TORN_S * links->env.config->rate_hz;
}

/* What the emitter is another lattice of; one that has been alerted at any time first. */
static const struct emitter *find_mate(const struct uw_links *links, const struct emitter *e) {
    const struct emitter *found = NULL;

    for (size_t i = 0; i < LINK_EMITTERS_MAX && uw_link_is_torn(links, e); ++i) {
        const struct emitter *mate = &links->emitters[i];

        if (mate != e && is_alike(mate, e) && fabs(mate->level_db - e->level_db) <= LINK_LEVEL_DB &&
            (!found || mate->alerted))
            found = mate;
    }
    return found;
}

/* Whether it is heard below the noise, soon after the other, whose packets were whole: channels
 * that the edge of the band cuts come first behind a hole now and then. */
static bool is_early(const struct uw_links *links, const struct emitter *old,
                     const struct emitter *e) {
    return uw_link_is_whole(old) && !uw_link_is_whole(e) &&
           e->last_start - old->last_stop < ALERTED_S * links->env.config->rate_hz;
}

bool uw_link_give_number(struct uw_links *links, struct emitter *e) {
    struct emitter *old = e->apart ? NULL : find_alike(links->emitters, e, true);

    if (uw_link_is_beside(links->emitters, e, links->env.config->rate_hz) ||
        uw_link_is_waiting(links, e))
        return false;
    if ((old && (e->run_packets < RUN_PACKETS || is_early(links, old, e))) ||
        (!uw_link_is_train(e) && find_alike(links->emitters, e, false)))
        return false;
    if (!old) {
        const struct emitter *mate = find_mate(links, e);

        if (!mate && uw_link_is_not_apart(links, e))
            return false;
        /* odd numbers are background */
        e->number = mate ? mate->number : 2 * ++links->next_number;
        return true;
    }
    e->number = old->number;
    e->alerted |= old->alerted;
    e->apart = old->apart;
    e->reported = fmax(e->reported, old->last_stop);
    old->used = false;
    return true;
}

void uw_link_settle_number(const struct uw_links *links, struct emitter *e) {
    const struct emitter *mate = e->alerted ? NULL : find_mate(links, e);

    if (mate && mate->alerted)
        e->number = mate->number;
}
