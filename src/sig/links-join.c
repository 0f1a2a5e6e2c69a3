/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What a packet says of the link that it joins
 *
 * Evidence is counted in nats against traffic of the same waveform that comes at any time and on
 * any carrier:
 *
 *   a packet within +-tolerance of a slot      ln(period / (2 tolerance)), at most 3
 *   a dwell's carrier on the channel plan       links-judge.c, -3 .. 3
 *   a foreign sync word                        -1.5 a packet
 *   more packets on one carrier than any air rate sends: it never hops; the emitter is put aside
 *
 * Each term is bounded, so that no amount of one kind stands for another.
 */

#include <math.h>
#include <string.h>

#include "links-impl.h"
#include "links-jump-impl.h"

#define BACKGROUND_S     1.0 /* between two findings of a train that never hops */
#define RUN_S            1.0
#define WEAK_PD          0.4 /* a weak link's packet is heard by its preamble */
#define WEAK_NATS_MAX    5.0
#define SILENCE_PD       0.25 /* a weak link's packet is heard at all */
#define SILENCE_WHOLE_PD 0.05 /* ... one that can be measured whole, in the worst place */
#define SILENCE_NATS_MAX 5.0
#define LLR_MIN          (-20.0)
#define PACKET_NATS_MAX  3.0
#define WHOLE_NATS       1.0
#define FOREIGN_SYNC     (-1.5)
#define REPAID_NATS      1.5 /* of what a jump has cost */
#define REPAID_PACKETS   3   /* of a dwell without another: at any time few nodes send as many */

/* The evidence that counts is the least: what the likeliest alternative leaves of it. */
static double least(const struct emitter *e) {
    return fmin(e->random_llr,
                fmin(uw_link_alike_nats(&e->alike), uw_link_upright_nats(&e->alike)));
}

static void balance(struct emitter *e) {
    double llr = fmax(least(e), LLR_MIN);

    e->new_llr += llr - e->llr;
    e->llr = llr;
}

static void add_nats(struct emitter *e, double nats) {
    e->random_llr = fmax(e->random_llr + nats, LLR_MIN);
    balance(e);
}

/* Against any other traffic. */
static void add_to_all(struct emitter *e, double nats) {
    e->alike.hops += nats;
    add_nats(e, nats);
}

void uw_link_end_dwell(struct emitter *e) {
    if (e->dwell_open && e->dwell_packets > 0) {
        double nats = uw_link_judge_dwell(e);

        /* a stray packet in it is likelier there than on a hop's raster */
        e->alike.hops += nats / 2.0;
        if (uw_link_is_two_dwells(e)) /* Gemini's: bounded with the times of its visits */
            e->alike.returns += nats / 2.0;
        add_nats(e, nats);
    }
    e->dwell_open = false;
}

void uw_link_tear(struct emitter *e, int64_t slot, double nats) {
    bool on = e->dwell_open;

    e->dwell_cut = true;
    uw_link_end_dwell(e);
    /* it may go on behind the hole */
    e->dwell_open = on;
    e->dwell_first = slot;
    e->dwell_packets = 0;
    if (e->blind_slot < slot - 1)
        e->blind_slot = slot - 1;
    for (int i = 0; i < e->signature->n_variants; ++i)
        e->variants[i].origin = LINK_NO_SLOT;
    for (int i = 0; i < e->signature->n_domains; ++i)
        e->domains[i].last_sync_slot = LINK_NO_SLOT;
    e->n_slots = 0;
    e->alike.slots = 0.0;
    e->debt -= nats;
    add_to_all(e, nats);
}

void uw_link_repay(struct emitter *e, const struct uw_packet *p) {
    const struct uw_sig_variant *v = uw_link_variant(e, true);
    double nats = fmin(e->debt, REPAID_NATS);

    if (p->weak || nats <= 0.0 || !v)
        return;
    /* of an air rate with fewer packets a hop, the next hop */
    if (v->packets_per_hop >= REPAID_PACKETS
            ? e->dwell_packets != REPAID_PACKETS
            : e->dwell_packets != 1 || e->n_packets - e->jump_packets < REPAID_PACKETS)
        return;
    e->debt -= nats;
    add_to_all(e, nats);
}

/* The place of a carrier among those heard. */
static int channel_of(struct emitter *e, double offset_hz) {
    for (int i = 0; i < e->n_channels; ++i) {
        if (fabs(e->channels_hz[i] - offset_hz) < LINK_CHANNEL_HZ)
            return i;
    }
    if (e->n_channels == LINK_CHANNELS_MAX)
        return LINK_CHANNELS_MAX - 1;
    e->channels_hz[e->n_channels] = offset_hz;
    e->channel_packets[e->n_channels] = 0;
    e->channel_judged[e->n_channels] = 0;
    return e->n_channels++;
}

/* Longest dwell, in slots from the first to the last packet, that any possible variant makes. */
int64_t uw_link_longest_dwell(const struct emitter *e) {
    int64_t most = 0;

    for (int i = 0; i < e->signature->n_variants; ++i) {
        const struct uw_sig_variant *v = &e->signature->variants[i];
        int64_t span = uw_link_slots_per_packet(e, v) * (v->packets_per_hop - 1);

        if (e->variants[i].possible && span > most)
            most = span;
    }
    return most;
}

static void begin_dwell(struct uw_links *links, struct emitter *e, const struct uw_packet *p,
                        int64_t slot) {
    uw_link_end_dwell(e);
    e->dwell_open = true;
    e->dwell_first = slot;
    e->dwell_last = slot;
    e->dwell_packets = 1;
    e->dwell_offset_hz = p->offset_hz;
    e->dwell_cut = slot <= e->blind_slot + uw_link_longest_dwell(e);
    ++e->n_dwells;
    e->dwell_channel = channel_of(e, p->offset_hz);
    double nats = uw_link_judge_carrier(e, links->env.config, p);
    uw_link_judge_hop(e, links->env.config, p, slot);
    e->alike.crowd = uw_link_judge_crowd(e);
    e->alike.slots = uw_link_judge_slots(e);
    e->alike.raster += nats;
    add_nats(e, nats);
}

static void take_end(struct emitter *e, const struct uw_detector_config *config,
                     const struct uw_packet *p, int64_t slot) {
    if (p->weak || p->modulation != UW_SIG_LORA)
        return;
    if (uw_link_is_other_end(e, config, p)) {
        e->end.other_slot = slot;
        return;
    }
    e->end.offset_hz[e->end.n++ % LINK_END_PACKETS] = p->offset_hz;
}

static void take_packet(struct emitter *e, const struct uw_packet *p, double rate_hz) {
    ++e->channel_packets[e->dwell_channel];
    e->n_weak += p->weak;
    e->n_cut += !uw_link_is_inside(p->offset_hz, p->bandwidth_hz, rate_hz);
    /* a whole packet would not be here with another length */
    e->alike.length += !p->weak ? WHOLE_NATS : p->follows ? 0.0 : uw_link_judge_length(e, p);
    e->alike.preamble += uw_link_judge_preamble(e, p);
    balance(e);
    e->snr_db = p->snr_db;
    if (!p->weak || isnan(e->airtime_s))
        e->level_db = p->snr_db;
    e->power_dbfs = p->power_dbfs;
    e->offset_hz = p->offset_hz;
    e->bandwidth_hz = p->bandwidth_hz;
    if (!p->weak)
        e->airtime_s = (p->stop - p->start) / rate_hz;
    e->last_start = p->start;
    e->last_stop = p->stop;
}

static bool foreign_sync(const struct emitter *e, const struct uw_packet *p) {
    return p->sync >= 0 && e->signature->sync_word >= 0 && p->sync != e->signature->sync_word;
}

bool uw_link_same_dwell(const struct emitter *e, const struct uw_packet *p, int64_t slot) {
    return fabs(p->offset_hz - e->dwell_offset_hz) < LINK_CHANNEL_HZ &&
           slot - e->dwell_last <= uw_link_longest_dwell(e);
}

static void take_slot(struct emitter *e, int64_t slot) {
    int64_t on = slot - e->dwell_last;

    e->taken = (on < 64 ? e->taken << on : 0) | 1;
    e->slots[e->n_slots++ % LINK_SLOTS_KEPT] = slot;
}

/* A whole packet against traffic of its waveform at any time; a weak one against what noise makes
 * of it. */
static double packet_nats(const struct uw_links *links, const struct emitter *e,
                          const struct uw_packet *p, const struct link_fit *fit) {
    double window_s = fit->window * fmax(p->n_places, 1.0) / links->env.config->rate_hz;
    double here = 1.0; /* probability that the link is on this channel in this slot */
    int n_channels;

    if (!p->weak)
        return fmin(log(e->period_s / window_s), PACKET_NATS_MAX);
    if (!uw_link_same_dwell(e, p, fit->slot)) {
        (void)uw_link_share(e, links->env.config, &n_channels);
        here = 1.0 / n_channels;
    }
    return fmin(log(WEAK_PD * here / (p->false_rate_hz * window_s)), WEAK_NATS_MAX);
}

/* What the silence since the last packet says against the link: it should have been heard so often.
 * A control link sends in every slot; other traffic need not. */
static double silence_nats(const struct uw_links *links, const struct emitter *e,
                           const struct uw_packet *p) {
    const struct uw_sig_variant *v = uw_link_variant(e, true);
    /* a weak packet that was held comes after a gap that is behind it */
    double since = fmax(p->start - fmax(e->last_start, e->silent_from), 0.0);
    double pd = p->weak ? SILENCE_PD : SILENCE_WHOLE_PD;
    int n_channels;

    if (!v || !e->signature->drone)
        return 0.0;
    double slots = since / (links->env.config->rate_hz * v->period_s);
    return -fmin(pd * uw_link_share(e, links->env.config, &n_channels) * slots, SILENCE_NATS_MAX);
}

/* What never hops is no link, whatever else it is: now and then one of its packets tells so. */
static void tell_background(const struct uw_links *links, struct emitter *e,
                            const struct uw_packet *p) {
    if (!links->orphan || p->start - e->reported < BACKGROUND_S * links->env.config->rate_hz)
        return;
    e->reported = p->start;
    links->orphan(links->orphan_userdata, p);
}

void uw_link_join(struct uw_links *links, struct emitter *e, const struct uw_packet *packet,
                  const struct link_fit *fit) {
    struct uw_packet p = *packet;

    if (p.weak) {
        p.places[0] = p.places[fit->place];
        p.start = p.places[0].start;
        p.offset_hz = p.places[0].offset_hz;
    }
    if (p.start - e->last_start > RUN_S * links->env.config->rate_hz) {
        e->run_start = p.start;
        e->run_packets = 0;
    }
    ++e->run_packets;
    e->whole_run = p.weak ? 0 : e->whole_run + 1;
    add_nats(e, silence_nats(links, e, &p));
    double nats = packet_nats(links, e, &p, fit);
    e->alike.lattice += nats;
    add_nats(e, nats);
    if (foreign_sync(e, &p))
        add_to_all(e, FOREIGN_SYNC);
    if (p.same >= 0 && fit->slot == e->dwell_last + 1 && fabs(p.same_as - e->last_start) < 0.5)
        uw_link_judge_repeat(e, uw_link_same_dwell(e, &p, fit->slot), p.same == 1);
    uw_link_follow(e, links->env.config->rate_hz, &p, fit->slot);
    take_slot(e, fit->slot);
    if (uw_link_same_dwell(e, &p, fit->slot)) {
        uw_link_tell_apart(links, e, &p);
        e->dwell_last = fit->slot;
        ++e->dwell_packets;
        if (e->dwell_last - e->dwell_first > 2 * uw_link_longest_dwell(e) + 2)
            e->never_hops = true;
    } else {
        begin_dwell(links, e, &p, fit->slot);
    }
    ++e->n_packets;
    take_packet(e, &p, links->env.config->rate_hz);
    take_end(e, links->env.config, &p, fit->slot);
    if (e->never_hops && !p.weak)
        tell_background(links, e, &p);
}

void uw_link_begin(struct uw_links *links, struct emitter *e, const struct uw_signature *s,
                   double period_s, const struct uw_packet *p) {
    double rate = links->env.config->rate_hz;

    memset(e, 0, sizeof(*e));
    e->used = true;
    e->signature = s;
    e->period_s = period_s;
    uw_link_begin_lattice(e, p, rate);
    e->blind_slot = INT64_MIN / 2; /* the first dwell is not judged by its length anyway */
    e->first_start = p->start;
    e->reported = p->start;
    e->run_start = p->start;
    e->run_packets = 1;
    e->whole_run = !p->weak;
    e->first_packet = *p;
    e->n_packets = 1;
    e->taken = 1;
    e->end.other_slot = INT64_MIN / 2;
    e->airtime_s = NAN;
    /* without a centre no plan can be tested: that is not held against it */
    e->alike.raster = isfinite(links->env.config->freq_hz) ? 0.0 : INFINITY;
    e->llr = least(e);
    uw_link_judge_begin(e, links->env.config, p);
    take_packet(e, p, rate);
    take_end(e, links->env.config, p, 0);
    begin_dwell(links, e, p, 0);
    if (foreign_sync(e, p))
        add_to_all(e, FOREIGN_SYNC);
}
