/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Which air rate, which channel plan
 *
 * Air rates that share a waveform differ in how many packets they send before they hop. Slots are
 * numbered by the packet period; a dwell is a run of packets on one carrier. Under a variant of n
 * packets a hop, spaced m slots, a dwell spans at most (n - 1) m slots, and each packet is heard
 * with probability P_GOOD: a binomial likelihood.
 *
 * A channel plan is judged by three things. The residual of each dwell's carrier to the plan's
 * nearest channel after one common offset (transmitter and receiver crystals): Gauss against
 * uniform over the channel spacing. The sync channel, which comes back exactly every n_channels
 * hops. And the number of dwells heard against the number that hops through all its channels would
 * have brought into the receiver's band.
 */

#include <math.h>
#include <stddef.h>

#include "links-impl.h"
#include "uw/base/util.h"

#define P_GOOD           0.9 /* a packet is heard on a good channel */
#define P_POOR           0.5 /* ... on a poor one: faded, or half outside the band */
#define POOR_SHARE       0.3
#define P_SAME_BY_CHANCE 0.03   /* two payloads are taken for one */
#define P_SAME_SEEN      0.93   /* a payload sent again is seen to be */
#define IMPOSSIBLE       (-6.0) /* nats against what a hypothesis forbids: a collision may fake it */
#define DECIDED          4.6    /* nats between the best and the second: 99 % */
#define GRID_SIGMA_HZ                                                                              \
    6e3 /* of one dwell's carrier: also the other end of the link, with its own crystal */
#define GRID_LIMIT_HZ  30e3
#define CARRIER_NATS   3.0 /* that one dwell's tells for or against a plan at most */
#define CARRIERS       2.0 /* of one link at most (Gemini): each brings its own dwells */
#define SAME_OFFSET_HZ 1e3 /* of one end, found again by the same receiver */
#define SURE_DWELLS    3   /* that agree: the plan's offset is known */
#define END_HZ         3e3 /* whole packets of one crystal: measured within this */
#define END_PACKETS    4
#define AIRTIME_SHARE  0.02 /* the firmware's table against the formula */

bool uw_link_modulation_fits(const struct uw_signature *s, const struct uw_sig_variant *v,
                             const struct uw_packet *p) {
    if (v->modulation != p->modulation)
        return false;
    if (v->modulation == UW_SIG_LORA)
        return v->sf == p->sf && fabs(v->bandwidth_hz - p->bandwidth_hz) < 1.0 &&
               (s->direction == UW_SIG_EITHER || (s->direction == UW_SIG_DOWN) == p->down);
    return p->bandwidth_hz > 0.5 * v->bandwidth_hz && p->bandwidth_hz < 1.5 * v->bandwidth_hz;
}

bool uw_link_variant_fits(const struct uw_signature *s, const struct uw_sig_variant *v,
                          const struct uw_packet *p, double rate_hz) {
    double airtime = (p->stop - p->start) / rate_hz;
    double tolerance = 2.0 * (p->start_error_s + p->stop_error_s) + AIRTIME_SHARE * v->airtime_s;

    /* a symbol more or less: where the count begins and ends */
    if (v->modulation == UW_SIG_LORA)
        tolerance += 1.5 * (double)(1 << v->sf) / v->bandwidth_hz;
    return uw_link_modulation_fits(s, v, p) &&
           (p->weak || fabs(airtime - v->airtime_s) <= tolerance);
}

bool uw_link_in_band(const struct uw_signature *s, const struct uw_detector_config *config) {
    double centre = config->freq_hz;
    double half = 0.5 * config->rate_hz;

    if (!isfinite(centre) || s->n_domains == 0)
        return true;
    for (int d = 0; d < s->n_domains; ++d) {
        for (int c = 0; c < s->domains[d].n_channels; ++c) {
            if (fabs(s->domains[d].channel_hz[c] - centre) <= half)
                return true;
        }
    }
    return false;
}

static int count_visible(const struct uw_sig_domain *d, const struct uw_detector_config *config,
                         double bandwidth_hz) {
    int n = 0;

    for (int i = 0; i < d->n_channels; ++i)
        n += uw_link_is_inside(d->channel_hz[i] - config->freq_hz, bandwidth_hz, config->rate_hz);
    return n;
}

static bool is_multiple(double period_s, double slot_s) {
    double ratio = period_s / slot_s;

    return ratio > 0.5 && fabs(ratio - round(ratio)) < 1e-3;
}

void uw_link_judge_begin(struct emitter *e, const struct uw_detector_config *config,
                         const struct uw_packet *p) {
    const struct uw_signature *s = e->signature;

    for (int i = 0; i < s->n_variants; ++i) {
        e->variants[i] = (struct variant_score){
            .possible = uw_link_variant_fits(s, &s->variants[i], p, config->rate_hz) &&
                        is_multiple(s->variants[i].period_s, e->period_s),
            .origin = LINK_NO_SLOT,
        };
    }
    for (int i = 0; i < s->n_domains; ++i) {
        e->domains[i] = (struct domain_score){
            .possible = isfinite(config->freq_hz),
            .visible = isfinite(config->freq_hz)
                           ? count_visible(&s->domains[i], config, p->bandwidth_hz)
                           : 0,
            .last_sync_slot = LINK_NO_SLOT,
        };
        e->domains[i].most_visible = e->domains[i].visible;
    }
}

/* Slots up to slot_before were listened to where the receiver was, those from slot_after on are
 * where it is now. */
static void move_plan(struct domain_score *score, const struct uw_sig_domain *d,
                      const struct uw_detector_config *config, double bandwidth_hz,
                      double slot_before, double slot_after) {
    score->heard_slots += score->visible * fmax(slot_before - score->listening_since, 0.0);
    score->listening_since = slot_after;
    if (score->possible)
        score->visible = count_visible(d, config, bandwidth_hz);
    if (score->visible > score->most_visible)
        score->most_visible = score->visible;
}

void uw_link_move(struct emitter *e, const struct uw_detector_config *config, uint64_t sample,
                  uint64_t n, double shift_hz) {
    double slot = uw_link_slot(e, config->rate_hz);
    double after = ((double)sample - e->reference) / slot + (double)e->reference_slot;
    double before = after - (double)n / slot;

    for (int i = 0; i < e->signature->n_domains; ++i)
        move_plan(&e->domains[i], &e->signature->domains[i], config, e->first_packet.bandwidth_hz,
                  before, after);
    /* a shorter gap spoils a packet as a collision does: that is allowed for */
    if (shift_hz != 0.0 || after - before > 0.5) {
        e->dwell_cut = true;
        e->blind_slot = (int64_t)ceil(after);
    }
    e->silent_from =
        shift_hz != 0.0 ? (double)sample : fmax(e->last_start, e->silent_from) + (double)n;
    e->dwell_offset_hz -= shift_hz;
    e->offset_hz -= shift_hz;
    e->first_packet.offset_hz -= shift_hz;
    for (int i = 0; i < LINK_END_PACKETS; ++i)
        e->end.offset_hz[i] -= shift_hz;
    for (int c = 0; c < e->n_channels; ++c)
        e->channels_hz[c] -= shift_hz;
    for (int i = 0; i < e->n_kept; ++i)
        e->kept[i].offset_hz -= shift_hz;
}

static double log_choose(int n, int k) {
    int sign; /* lgamma() would leave it in a global variable */

    return lgamma_r(n + 1.0, &sign) - lgamma_r(k + 1.0, &sign) - lgamma_r(n - k + 1.0, &sign);
}

static double binomial(int n, int k, double p) {
    return pow(p, k) * pow(1.0 - p, n - k);
}

/* Below the noise any share p of the packets may be heard: the probability of k of n, the first and
 * the last of them `span` packets apart, over all p and all places of the pattern in the dwell. */
static double weak_dwell(int n, int span, int k) {
    return log((double)(n - span)) - log(n + 1.0) - log_choose(n, k);
}

static void judge_variant(struct emitter *e, struct variant_score *score,
                          const struct uw_sig_variant *v, bool at_begin) {
    int64_t m = uw_link_slots_per_packet(e, v);
    int64_t span = e->dwell_last - e->dwell_first;
    int n = v->packets_per_hop;
    int k = e->dwell_packets;

    if (span % m != 0 || span / m + 1 > n || k > n) {
        score->log_likelihood += IMPOSSIBLE;
        return;
    }
    if (k == n)
        score->origin = e->dwell_first;
    if (at_begin) /* may have begun before the recording, or before the receiver came here */
        return;
    if (e->n_weak > 0) {
        score->log_likelihood += weak_dwell(n, (int)(span / m), k);
        return;
    }
    score->log_likelihood += log_choose(n, k) + log(binomial(n, k, P_GOOD) * (1.0 - POOR_SHARE) +
                                                    binomial(n, k, P_POOR) * POOR_SHARE);
}

double uw_link_judge_dwell(struct emitter *e) {
    const struct uw_signature *s = e->signature;
    double best = IMPOSSIBLE;

    for (int i = 0; i < s->n_variants; ++i) {
        double before = e->variants[i].log_likelihood;

        if (!e->variants[i].possible)
            continue;
        judge_variant(e, &e->variants[i], &s->variants[i], e->n_dwells <= 1 || e->dwell_cut);
        best = fmax(best, e->variants[i].log_likelihood - before);
    }
    return best <= IMPOSSIBLE ? IMPOSSIBLE : 0.0;
}

void uw_link_judge_repeat(struct emitter *e, bool same_dwell, bool same) {
    for (int i = 0; i < e->signature->n_variants; ++i) {
        const struct uw_sig_variant *v = &e->signature->variants[i];
        double p = P_SAME_BY_CHANCE;

        if (!e->variants[i].possible)
            continue;
        if (same_dwell && v->repeats > 1)
            p = P_SAME_SEEN;
        else if (!same_dwell && v->repeats > v->packets_per_hop)
            p = 0.5; /* every second hop goes on with the payload */
        e->variants[i].log_likelihood += log(same ? p : 1.0 - p);
    }
}

const struct uw_sig_variant *uw_link_variant(const struct emitter *e, bool best) {
    const struct uw_signature *s = e->signature;
    int first = LINK_NONE;
    double second = -INFINITY;

    for (int i = 0; i < s->n_variants; ++i) {
        if (!e->variants[i].possible)
            continue;
        if (first == LINK_NONE ||
            e->variants[i].log_likelihood > e->variants[first].log_likelihood) {
            second = first == LINK_NONE ? second : e->variants[first].log_likelihood;
            first = i;
        } else {
            second = fmax(second, e->variants[i].log_likelihood);
        }
    }
    if (first == LINK_NONE || (!best && e->variants[first].log_likelihood - second < DECIDED))
        return NULL;
    return &s->variants[first];
}

static int nearest_channel(const struct uw_sig_domain *d, double freq_hz) {
    int best = 0;

    for (int i = 1; i < d->n_channels; ++i) {
        if (fabs(d->channel_hz[i] - freq_hz) < fabs(d->channel_hz[best] - freq_hz))
            best = i;
    }
    return best;
}

/* Mean distance of the channels, which may be listed in any order. */
static double spacing(const struct uw_sig_domain *d) {
    double low = d->channel_hz[0];
    double high = low;

    for (int i = 1; i < d->n_channels; ++i) {
        low = fmin(low, d->channel_hz[i]);
        high = fmax(high, d->channel_hz[i]);
    }
    return high > low ? (high - low) / (d->n_channels - 1) : 500e3;
}

/* The hop that a slot belongs to. */
static int64_t hop_of(const struct emitter *e, const struct uw_sig_variant *v, int64_t origin,
                      int64_t slot) {
    int64_t length = uw_link_slots_per_packet(e, v) * v->packets_per_hop;

    slot -= origin;
    return slot >= 0 ? slot / length : -((length - 1 - slot) / length);
}

/* Two visits to the plan's sync channel are a multiple of n_channels hops apart. Only a decided air
 * rate can tell. */
static void judge_sync(struct emitter *e, struct domain_score *score, const struct uw_sig_domain *d,
                       int channel) {
    const struct uw_sig_variant *v = uw_link_variant(e, false);
    int64_t origin = v ? e->variants[v - e->signature->variants].origin : LINK_NO_SLOT;
    int64_t before = score->last_sync_slot;

    if (channel != d->sync)
        return;
    score->last_sync_slot = e->dwell_first;
    if (origin == LINK_NO_SLOT || before == LINK_NO_SLOT)
        return;
    int64_t apart = hop_of(e, v, origin, e->dwell_first) - hop_of(e, v, origin, before);
    if (apart > 0)
        score->sync_score += apart % d->n_channels == 0 ? log((double)d->n_channels) : IMPOSSIBLE;
    score->sync_score = fmin(score->sync_score, 12.0);
}

/* Takes the common offset from this carrier; nats of its size as an error of two crystals. */
static double begin_offset(struct domain_score *score, double offset_hz, double freq_hz) {
    double share = offset_hz / freq_hz;

    if (fabs(share) > LINK_CRYSTALS)
        return IMPOSSIBLE;
    score->offset_hz = offset_hz;
    score->dwells = 1;
    score->close = 0;
    score->misses = 0;
    score->square_sum = 0.0;
    return -0.5 * share * share / (LINK_CRYSTALS_SIGMA * LINK_CRYSTALS_SIGMA);
}

/* One dwell's carrier under one plan; nats against a carrier anywhere between two channels. */
static double judge_domain(struct emitter *e, struct domain_score *score,
                           const struct uw_sig_domain *d, double freq_hz, double error_hz) {
    double sigma = hypot(GRID_SIGMA_HZ, error_hz);
    double limit = hypot(GRID_LIMIT_HZ, 3.0 * error_hz);
    int channel = nearest_channel(d, freq_hz - score->offset_hz);
    double offset = freq_hz - d->channel_hz[channel];
    double residual = offset - score->offset_hz;
    double nats = IMPOSSIBLE;

    if (score->dwells == 0) {
        nats = begin_offset(score, offset, freq_hz);
    } else if (fabs(residual) <= limit) {
        nats = log(spacing(d) / (sigma * sqrt(2.0 * UW_PI))) -
               0.5 * residual * residual / (sigma * sigma);
        ++score->dwells;
        score->close += fabs(residual) <= 2.0 * sigma;
        /* a weak packet's place may be wrong, and its carrier with it */
        if (e->n_weak == 0 || fabs(residual) <= 2.0 * sigma || score->close == 0)
            score->offset_hz += residual / (score->close + 1);
        score->square_sum += residual * residual;
    } else if (++score->misses > score->dwells) {
        /* the carrier that began it was the one that was wrong */
        nats = begin_offset(score, offset, freq_hz);
    }
    score->log_likelihood += nats;
    if (nats > IMPOSSIBLE)
        judge_sync(e, score, d, channel);
    return nats;
}

/* What the plan that fits best says, in nats. One plan must explain all dwells: if each took the
 * plan that suits it, several together would be no raster at all. */
static double best_plan(const struct emitter *e) {
    double best = -INFINITY;

    for (int i = 0; i < e->signature->n_domains; ++i) {
        if (e->domains[i].possible)
            best = fmax(best, e->domains[i].nats);
    }
    return best;
}

double uw_link_judge_carrier(struct emitter *e, const struct uw_detector_config *config,
                             const struct uw_packet *p) {
    const struct uw_signature *s = e->signature;
    double before = best_plan(e);

    for (int i = 0; i < s->n_domains; ++i) {
        struct domain_score *score = &e->domains[i];

        if (!score->possible)
            continue;
        double nats = judge_domain(e, score, &s->domains[i], config->freq_hz + p->offset_hz,
                                   p->offset_error_hz);
        nats = fmin(fmax(nats, -CARRIER_NATS), CARRIER_NATS);
        if (p->weak) /* its place, and with it the carrier, may be wrong */
            nats = log(LINK_PLACE_RIGHT * exp(nats) + 1.0 - LINK_PLACE_RIGHT);
        score->nats += nats;
    }
    return isfinite(before) ? best_plan(e) - before : 0.0; /* 0: no plan can be tested */
}

/* Dwells on channels that were visible while the receiver listened, since the first. */
static double expected_dwells(const struct emitter *e, const struct domain_score *score,
                              const struct uw_sig_domain *d, const struct uw_sig_variant *v) {
    double heard = score->heard_slots +
                   score->visible * fmax((double)e->dwell_last - score->listening_since, 0.0);
    double hop = (double)(uw_link_slots_per_packet(e, v) * v->packets_per_hop);

    return fmax((heard / hop + score->most_visible) / d->n_channels, 0.1);
}

/* Poisson likelihood of the number of dwells heard, given the share of channels that were visible.
 */
static double rate_score(const struct emitter *e, const struct domain_score *score,
                         const struct uw_sig_domain *d) {
    const struct uw_sig_variant *v = uw_link_variant(e, true);

    if (!v || e->n_dwells < 2)
        return 0.0;
    double expected = expected_dwells(e, score, d, v);
    /* nobody knows how many dwells go unheard: each plan may choose, between half of them and none
     */
    double best = -INFINITY;
    for (int tenths = 5; tenths <= 10; ++tenths)
        best = fmax(best,
                    (double)e->n_dwells * log(0.1 * tenths * expected) - 0.1 * tenths * expected);
    return best;
}

static double domain_total(const struct emitter *e, int i) {
    const struct domain_score *score = &e->domains[i];

    if (!score->possible || score->most_visible == 0)
        return -INFINITY;
    return score->log_likelihood + score->sync_score +
           rate_score(e, score, &e->signature->domains[i]);
}

static int best_domain(const struct emitter *e, double *ret_margin) {
    int first = LINK_NONE;
    double most = -INFINITY;
    double second = -INFINITY;

    for (int i = 0; i < e->signature->n_domains; ++i) {
        double total = domain_total(e, i);

        if (total > most) {
            second = most;
            most = total;
            first = i;
        } else {
            second = fmax(second, total);
        }
    }
    *ret_margin = first == LINK_NONE ? 0.0 : most - second;
    return first;
}

int uw_link_plan(const struct emitter *e) {
    double margin;

    return best_domain(e, &margin);
}

double uw_link_judge_crowd(const struct emitter *e) {
    const struct uw_sig_variant *v = uw_link_variant(e, true);
    double dwells = (double)e->n_dwells;
    double best = -INFINITY;
    double most = -INFINITY;
    int i = uw_link_plan(e);

    if (!v || i == LINK_NONE || v->packets_per_hop < 2 || e->n_weak == 0)
        return 0.0;
    double expected = CARRIERS * expected_dwells(e, &e->domains[i], &e->signature->domains[i], v);
    double sent = fmax(dwells * v->packets_per_hop, (double)e->n_packets);
    for (int k = 1; k < 20; ++k) {
        double p = 0.05 * k;                                   /* a packet is heard */
        double heard = 1.0 - pow(1.0 - p, v->packets_per_hop); /* a dwell is */
        double packets = (double)e->n_packets * log(p) +
                         (sent - (double)e->n_packets) * log(1.0 - p) - dwells * log(heard);
        double mean = expected * heard;
        double number = dwells > mean ? dwells * log(mean / dwells) + dwells - mean : 0.0;

        most = fmax(most, packets);
        best = fmax(best, packets + number);
    }
    return best - most;
}

const struct uw_sig_domain *uw_link_domain(const struct emitter *e,
                                           const struct uw_detector_config *config) {
    double margin;
    int i = best_domain(e, &margin);

    (void)config;
    if (i == LINK_NONE || margin < DECIDED || e->domains[i].dwells < 2)
        return NULL;
    return &e->signature->domains[i];
}

/* Within this a mean of n carriers like the packet's may be of a crystal that is known. */
static double same_crystal_hz(const struct uw_packet *p, int n) {
    double error = p->modulation == UW_SIG_LORA ? 0.0 : p->offset_error_hz / sqrt(n);

    return fmax(SAME_OFFSET_HZ, 3.0 * error);
}

bool uw_link_agrees(const struct emitter *old, const struct emitter *e, double error_hz) {
    const struct uw_sig_variant *v = uw_link_variant(old, true);
    int i = uw_link_plan(old);

    return v && i != LINK_NONE && e->variants[v - old->signature->variants].possible &&
           e->domains[i].possible && e->domains[i].dwells > 0 &&
           fabs(e->domains[i].offset_hz - old->domains[i].offset_hz) <=
               fmax(same_crystal_hz(&e->first_packet, e->domains[i].close + 1), error_hz);
}

bool uw_link_is_its_crystal(const struct emitter *e, const struct uw_detector_config *config,
                            const struct uw_packet *p) {
    const struct uw_sig_variant *v = uw_link_variant(e, true);
    double freq = config->freq_hz + p->offset_hz;
    int i = uw_link_plan(e);

    if (!v || i == LINK_NONE || !uw_link_variant_fits(e->signature, v, p, config->rate_hz))
        return false;
    const struct uw_sig_domain *d = &e->signature->domains[i];
    freq -= e->domains[i].offset_hz;
    return e->domains[i].dwells > 0 &&
           fabs(freq - d->channel_hz[nearest_channel(d, freq)]) <= same_crystal_hz(p, 1);
}

bool uw_link_is_other_end(const struct emitter *e, const struct uw_detector_config *config,
                          const struct uw_packet *p) {
    double limit = fmax(END_HZ, 4.0 * p->offset_error_hz);
    double freq = config->freq_hz + p->offset_hz;
    int best = uw_link_plan(e);

    if (e->end.n < END_PACKETS || !isfinite(config->freq_hz) || p->weak || best == LINK_NONE)
        return false;
    double least = domain_total(e, best) - DECIDED;
    for (int i = 0; i < e->signature->n_domains; ++i) {
        const struct uw_sig_domain *d = &e->signature->domains[i];

        if (domain_total(e, i) < least)
            continue;
        for (int k = 0; k < LINK_END_PACKETS; ++k) {
            double end = config->freq_hz + e->end.offset_hz[k];
            double here = freq - (end - d->channel_hz[nearest_channel(d, end)]);

            if (fabs(here - d->channel_hz[nearest_channel(d, here)]) <= limit)
                return false;
        }
    }
    return true;
}

bool uw_link_is_stranger(const struct emitter *e, const struct link_fit *fit) {
    const struct uw_sig_variant *v = uw_link_variant(e, true);

    return v && fit->slot - e->end.other_slot <= uw_link_slots_per_packet(e, v);
}

bool uw_link_raster_is_known(const struct emitter *e, const struct uw_detector_config *config) {
    int i = uw_link_plan(e);

    return isfinite(config->freq_hz) && i != LINK_NONE && e->domains[i].close >= SURE_DWELLS &&
           3 * e->domains[i].close >= 2 * (e->domains[i].dwells + e->domains[i].misses);
}

bool uw_link_on_raster(const struct emitter *e, const struct uw_detector_config *config,
                       double offset_hz, double error_hz) {
    int i = uw_link_plan(e);

    if (!isfinite(config->freq_hz) || i == LINK_NONE || e->domains[i].dwells == 0)
        return true;
    return uw_link_plan_channel(e, i, config->freq_hz + offset_hz, true, error_hz) != LINK_NONE;
}

int uw_link_plan_channel(const struct emitter *e, int plan, double freq_hz, bool weak,
                         double error_hz) {
    double limit = weak ? 2.0 * hypot(GRID_SIGMA_HZ, error_hz) : LINK_CHANNEL_HZ;

    if (plan == LINK_NONE)
        return LINK_NONE;
    const struct uw_sig_domain *d = &e->signature->domains[plan];
    double freq = freq_hz - e->domains[plan].offset_hz;
    int channel = nearest_channel(d, freq);
    return fabs(freq - d->channel_hz[channel]) <= limit ? channel : LINK_NONE;
}

double uw_link_share(const struct emitter *e, const struct uw_detector_config *config,
                     int *ret_n_channels) {
    int i = uw_link_plan(e);

    *ret_n_channels = 40;
    if (!isfinite(config->freq_hz) || i == LINK_NONE)
        return 0.1;
    *ret_n_channels = e->signature->domains[i].n_channels;
    return fmax(1.0, e->domains[i].visible) / *ret_n_channels;
}

int uw_link_visible(const struct emitter *e, const struct uw_detector_config *config) {
    int i = uw_link_plan(e);

    if (!isfinite(config->freq_hz))
        return -1;
    return i == LINK_NONE ? 0 : e->domains[i].most_visible;
}

double uw_link_grid_error(const struct emitter *e, double *ret_offset_hz) {
    int i = uw_link_plan(e);

    *ret_offset_hz = NAN;
    if (i == LINK_NONE)
        return NAN;
    *ret_offset_hz = e->domains[i].offset_hz;
    if (e->domains[i].dwells < 2)
        return NAN;
    return sqrt(e->domains[i].square_sum / (e->domains[i].dwells - 1));
}
