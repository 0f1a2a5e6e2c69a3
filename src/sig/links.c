/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * From packets to links
 *
 * A link sends packets of one length on a lattice of slots (its packet period) and changes its
 * channel every few slots. A packet joins the emitter whose lattice and waveform it fits; otherwise
 * it begins a new emitter for each signature and period it could belong to. The lattice follows the
 * emitter's clock: receiver and transmitter crystals differ by up to 100 ppm.
 *
 * Evidence is counted in nats against traffic of the same waveform that comes at any time and on
 * any carrier:
 *
 *   a packet within +-tolerance of a slot      ln(period / (2 tolerance)), at most 3
 *   a dwell's carrier on the channel plan       links-judge.c, -3 .. 3
 *   a foreign sync word                        -1.5 a packet
 *   more packets on one carrier than any air rate sends: it never hops; the emitter is put aside
 *
 * Each term is bounded, so that no amount of one kind stands for another; and the rule for an alert
 * asks for all kinds: three dwells and, where two or more channels are visible, two of them.
 */

#include "links-impl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/base/util.h"

#define KNOWN_LLR        4.0 /* nats before an emitter is spoken of */
#define WEAK_KNOWN_LLR   12.0
#define SAME_CHANNEL_HZ  60e3 /* both ends of a link, each with its own crystal */
#define SAME_OFFSET_HZ   1e3  /* ... one end, found again by the same receiver */
#define RUN_S            1.0
#define STRETCHES_MAX    64
#define WEAK_PD          0.4 /* a weak link's packet is heard by its preamble */
#define WEAK_NATS_MAX    5.0
#define SILENCE_PD       0.25
#define SILENCE_NATS_MAX 5.0
#define NEW_S            4.0  /* an emitter of one packet is forgotten after this */
#define OLD_S            10.0 /* ... any other */
#define REPORT_S         0.1  /* findings of one emitter, unless its state changes */
#define MIN_DWELLS       3
#define PATIENCE_S       2.4 /* an alert waits so long for the name of the air rate */
#define WEAK_PATIENCE_S  1.5 /* ... of a link whose packets are not all heard */
#define MIN_LLR          6.0
#define ODDS             6.0 /* prior: nats against a link being there */
#define LLR_MIN          (-20.0)
#define PACKET_NATS_MAX  3.0
#define FADE_DB          12.0
#define PLACE_RIGHT      0.7 /* share of weak packets */
#define WHOLE_NATS       1.0
#define FOREIGN_SYNC     (-1.5)

/* Where a whole packet was, so that its preamble is not taken for a weak one. */
struct stretch {
    double start, stop, offset_hz, bandwidth_hz;
};

struct uw_links {
    struct uw_matcher_env env;
    size_t n_stretches;
    struct stretch stretches[STRETCHES_MAX];
    void (*orphan)(void *userdata, const struct uw_packet *packet);
    void *orphan_userdata;
    uint64_t next_number;
    struct emitter emitters[LINK_EMITTERS_MAX];
};

int uw_links_new(const struct uw_matcher_env *env, struct uw_links **ret_links) {
    struct uw_links *links = calloc(1, sizeof(*links));

    if (!links)
        return uw_err(-ENOMEM);
    links->env = *env;
    *ret_links = links;
    return 0;
}

struct uw_links *uw_links_free(struct uw_links *links) {
    free(links);
    return NULL;
}

void uw_links_on_orphan(struct uw_links *links,
                        void (*orphan)(void *userdata, const struct uw_packet *packet),
                        void *userdata) {
    links->orphan = orphan;
    links->orphan_userdata = userdata;
}

static bool same_waveform(const struct emitter *e, const struct uw_packet *p, double rate_hz) {
    for (int i = 0; i < e->signature->n_variants; ++i) {
        if (e->variants[i].possible &&
            uw_link_variant_fits(e->signature, &e->signature->variants[i], p, rate_hz))
            return p->down == e->first_packet.down;
    }
    return false;
}

/* The evidence that counts is the lesser: what the likelier alternative leaves of it. */
static void balance(struct emitter *e) {
    double llr = fmax(fmin(e->random_llr, uw_link_alike_nats(&e->alike)), LLR_MIN);

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

static void end_dwell(struct emitter *e) {
    if (!e->dwell_open)
        return;
    double nats = uw_link_judge_dwell(e);
    e->alike.hops += nats / 2.0; /* a stray packet in it is likelier there than on a hop's raster */
    add_nats(e, nats);
    e->dwell_open = false;
}

/* The place of a carrier among those heard. */
static int channel_of(struct emitter *e, double offset_hz) {
    for (int i = 0; i < e->n_channels; ++i) {
        if (fabs(e->channels_hz[i] - offset_hz) < SAME_CHANNEL_HZ)
            return i;
    }
    if (e->n_channels == LINK_CHANNELS_MAX)
        return LINK_CHANNELS_MAX - 1;
    e->channels_hz[e->n_channels] = offset_hz;
    e->channel_packets[e->n_channels] = 0;
    e->channel_dwells[e->n_channels] = 0;
    return e->n_channels++;
}

/* Longest dwell, in slots from the first to the last packet, that any possible variant makes. */
static int64_t longest_dwell(const struct emitter *e) {
    int64_t most = 0;

    for (int i = 0; i < e->signature->n_variants; ++i) {
        const struct uw_sig_variant *v = &e->signature->variants[i];
        int64_t span = llround(v->period_s / e->period_s) * (v->packets_per_hop - 1);

        if (e->variants[i].possible && span > most)
            most = span;
    }
    return most;
}

static void begin_dwell(struct uw_links *links, struct emitter *e, const struct uw_packet *p,
                        int64_t slot) {
    end_dwell(e);
    e->dwell_open = true;
    e->dwell_first = slot;
    e->dwell_last = slot;
    e->dwell_packets = 1;
    e->dwell_offset_hz = p->offset_hz;
    e->dwell_cut = slot <= e->blind_slot + longest_dwell(e);
    ++e->n_dwells;
    e->dwell_channel = channel_of(e, p->offset_hz);
    e->alike.hops += uw_link_judge_hop(e, links->env.config, e->dwell_channel, slot);
    ++e->channel_dwells[e->dwell_channel];
    e->channel_slots[e->dwell_channel] = slot;
    double nats = uw_link_judge_carrier(e, links->env.config, p->offset_hz, p->offset_error_hz);
    if (p->weak) /* its place, and with it the carrier, may be wrong */
        nats = log(PLACE_RIGHT * exp(nats) + 1.0 - PLACE_RIGHT);
    e->alike.raster += nats;
    add_nats(e, nats);
}

static void take_packet(struct emitter *e, const struct uw_packet *p, double rate_hz) {
    ++e->channel_packets[e->dwell_channel];
    e->any_weak |= p->weak;
    /* a whole packet would not be here with another length */
    e->alike.length += !p->weak ? WHOLE_NATS : p->follows ? 0.0 : uw_link_judge_length(e, p);
    balance(e);
    e->snr_db = p->snr_db;
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

static bool same_dwell(const struct emitter *e, const struct uw_packet *p, int64_t slot) {
    return fabs(p->offset_hz - e->dwell_offset_hz) < SAME_CHANNEL_HZ &&
           slot - e->dwell_last <= longest_dwell(e);
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
    if (!same_dwell(e, p, fit->slot)) {
        (void)uw_link_share(e, links->env.config, &n_channels);
        here = 1.0 / n_channels;
    }
    return fmin(log(WEAK_PD * here / (p->false_rate_hz * window_s)), WEAK_NATS_MAX);
}

/* What the silence since the last packet says against the link: it should have been heard so often.
 */
static double silence_nats(const struct uw_links *links, const struct emitter *e, double start) {
    const struct uw_sig_variant *v = uw_link_variant(e, true);
    double since = (start - fmax(e->last_start, e->silent_from)) / links->env.config->rate_hz;
    int n_channels;

    if (!v)
        return 0.0;
    return -fmin(SILENCE_PD * uw_link_share(e, links->env.config, &n_channels) * since /
                     v->period_s,
                 SILENCE_NATS_MAX);
}

static void join(struct uw_links *links, struct emitter *e, const struct uw_packet *packet,
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
    if (p.weak)
        add_nats(e, silence_nats(links, e, p.start));
    double nats = packet_nats(links, e, &p, fit);
    e->alike.lattice += nats;
    add_nats(e, nats);
    if (foreign_sync(e, &p))
        add_to_all(e, FOREIGN_SYNC);
    if (p.same >= 0 && fit->slot == e->dwell_last + 1 && fabs(p.same_as - e->last_start) < 0.5)
        uw_link_judge_repeat(e, same_dwell(e, &p, fit->slot), p.same == 1);
    uw_link_follow(e, links->env.config->rate_hz, &p, fit->slot);
    if (same_dwell(e, &p, fit->slot)) {
        e->dwell_last = fit->slot;
        ++e->dwell_packets;
        if (e->dwell_last - e->dwell_first > 2 * longest_dwell(e) + 2)
            e->never_hops = true;
    } else {
        begin_dwell(links, e, &p, fit->slot);
    }
    ++e->n_packets;
    take_packet(e, &p, links->env.config->rate_hz);
}

/* A free place, or the one whose loss hurts least: one packet only, and longest silent. */
static struct emitter *free_place(struct uw_links *links) {
    struct emitter *least = NULL;

    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        struct emitter *e = &links->emitters[i];

        if (!e->used)
            return e;
        if (!least || e->llr < least->llr ||
            (e->llr == least->llr && e->last_start < least->last_start))
            least = e;
    }
    return least;
}

static void begin(struct uw_links *links, const struct uw_signature *s, double period_s,
                  const struct uw_packet *p) {
    struct emitter *e = free_place(links);
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
    e->first_packet = *p;
    e->n_packets = 1;
    e->airtime_s = NAN;
    /* without a centre no plan can be tested: that is not held against it */
    e->alike.raster = isfinite(links->env.config->freq_hz) ? 0.0 : INFINITY;
    e->llr = fmin(0.0, uw_link_alike_nats(&e->alike));
    uw_link_judge_begin(e, links->env.config, p);
    take_packet(e, p, rate);
    begin_dwell(links, e, p, 0);
    if (foreign_sync(e, p))
        add_to_all(e, FOREIGN_SYNC);
}

/* Begins an emitter for each lattice that the packet could lie on: the periods of the variants it
 * fits, but for multiples of another. */
static bool begin_all(struct uw_links *links, const struct uw_signature *s,
                      const struct uw_packet *p) {
    double rate = links->env.config->rate_hz;
    bool known = false;

    for (int i = 0; i < s->n_variants; ++i) {
        double period = s->variants[i].period_s;
        bool skip = !uw_link_variant_fits(s, &s->variants[i], p, rate);

        for (int j = 0; j < s->n_variants && !skip; ++j) {
            double other = s->variants[j].period_s;
            double ratio = other > 0.0 ? period / other : 0.5;
            bool divides = fabs(ratio - round(ratio)) < 1e-3;

            /* the first of several with the same period stands for all */
            skip = divides && (ratio > 1.5 || (ratio > 0.5 && j < i)) &&
                   uw_link_variant_fits(s, &s->variants[j], p, rate);
        }
        if (!skip) {
            begin(links, s, period, p);
            known = true;
        }
    }
    return known;
}

/* Channels that were heard more than by one packet, which noise may have made. */
static int sure_channels(const struct emitter *e) {
    int n = 0;

    for (int i = 0; i < e->n_channels; ++i)
        n += e->channel_packets[i] > 1;
    return n;
}

static bool is_alertable(const struct uw_links *links, const struct emitter *e) {
    const struct uw_sig_variant *v = uw_link_variant(e, true);
    int visible = uw_link_visible(e, links->env.config);

    if (!e->signature->drone || e->never_hops || !v || e->llr < MIN_LLR || e->n_dwells < MIN_DWELLS)
        return false;
    int channels = v->packets_per_hop > 1 ? sure_channels(e) : e->n_channels;
    if (visible == 0 || (visible != 1 && channels < 2))
        return false;
    /* a little patience gives the alert its name; some air rates cannot be told apart by then */
    if (!uw_link_variant(e, false) &&
        e->last_start - e->first_start <
            (e->any_weak ? WEAK_PATIENCE_S : PATIENCE_S) * links->env.config->rate_hz)
        return false;
    return uw_link_is_train(e);
}

static void report(struct uw_links *links, struct emitter *e) {
    const struct uw_sig_variant *likely = uw_link_variant(e, true);
    const struct uw_sig_variant *variant = uw_link_variant(e, false);
    const struct uw_sig_domain *domain = uw_link_domain(e, links->env.config);

    if (e->number == 0 &&
        !uw_link_give_number(links->emitters, e, links->env.config->rate_hz, &links->next_number))
        return;
    bool alertable = is_alertable(links, e);
    struct uw_finding f = {
        .signature = e->signature,
        .variant = variant ? variant->name : NULL,
        .domain = domain ? domain->name : NULL,
        .freq_hz = e->offset_hz,
        .bandwidth_hz = e->bandwidth_hz,
        .snr_db = e->snr_db,
        .power_dbfs = e->power_dbfs,
        .llr = e->new_llr,
        .confidence = 1.0 / (1.0 + exp(ODDS - e->llr)),
        .start = (uint64_t)fmax(e->reported, 0.0),
        .stop = (uint64_t)fmax(e->last_stop, 0.0),
        .bursts = e->n_packets,
        .dwells = e->n_dwells,
        .channels = e->n_channels,
        .channels_visible = uw_link_visible(e, links->env.config),
        .period_s = likely ? likely->period_s : NAN,
        .hop_interval_s = likely ? likely->period_s * likely->packets_per_hop : NAN,
        .airtime_s = e->airtime_s,
        .score = NAN,
        .rule = alertable ? "period+dwell+channels" : NULL,
        .alertable = alertable,
    };

    f.emitter = e->number;
    f.grid_error_hz = uw_link_grid_error(e, &f.offset_hz);
    e->new_llr = 0.0;
    e->was_alertable = alertable;
    e->reported = e->last_stop;
    links->env.emit(links->env.userdata, &f);
}

/* Nats before an emitter is spoken of at all: noise makes many more weak packets than whole ones.
 */
static double known_llr(const struct emitter *e) {
    return e->first_packet.weak ? WEAK_KNOWN_LLR : KNOWN_LLR;
}

static void maybe_report(struct uw_links *links, struct emitter *e) {
    double since = (e->last_stop - e->reported) / links->env.config->rate_hz;

    if (e->n_dwells < 2 || e->never_hops ||
        (e->llr < known_llr(e) && (e->number == 0 || e->first_packet.weak)))
        return;
    if (since >= REPORT_S || is_alertable(links, e) != e->was_alertable)
        report(links, e);
}

/* Emitters that took the same packets at first: the one that goes on wins. */
static void drop_rivals(struct uw_links *links, const struct emitter *winner) {
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        struct emitter *e = &links->emitters[i];

        if (e != winner && e->used && e->n_packets <= 2 && e->llr < winner->llr &&
            e->last_start >= winner->last_start - 1.0 && e->first_start >= winner->first_start)
            e->used = false;
    }
}

static bool is_followed(const struct uw_links *links, const struct uw_signature *s) {
    return s->enabled && s->matcher == UW_SIG_MATCH_LINK && uw_link_in_band(s, links->env.config);
}

bool uw_links_waveform(const struct uw_links *links, const struct uw_packet *packet) {
    const struct uw_sigdb *db = links->env.config->db;

    for (size_t i = 0; i < uw_sigdb_len(db); ++i) {
        const struct uw_signature *s = uw_sigdb_at(db, i);

        for (int v = 0; is_followed(links, s) && v < s->n_variants; ++v) {
            if (uw_link_modulation_fits(s, &s->variants[v], packet))
                return true;
        }
    }
    return false;
}

/* The best established emitter on whose lattice the packet lies. *ret_past: one whose slot it is
 * has already had it. */
static struct emitter *find_emitter(struct uw_links *links, const struct uw_packet *packet,
                                    struct link_fit *ret_fit, bool *ret_past) {
    struct emitter *best = NULL;

    *ret_past = false;
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        struct emitter *e = &links->emitters[i];
        struct link_fit fit;

        if (!e->used || !same_waveform(e, packet, links->env.config->rate_hz))
            continue;
        /* noise on the lattice of a strong link; fading is allowed for */
        if (packet->weak && packet->snr_db < e->snr_db - FADE_DB)
            continue;
        bool in_time = false;
        fit = packet->weak ? uw_link_fit_weak(e, links->env.config, packet, &in_time)
                           : uw_link_fit(e, links->env.config->rate_hz, packet);
        if (fit.misfit > 1.0) {
            *ret_past |= in_time && e->n_packets > MIN_DWELLS;
            continue;
        }
        if (fit.slot <= e->dwell_last) {
            *ret_past |= e->n_packets > 1 || packet->weak;
            continue;
        }
        if (!best || e->llr > best->llr || (e->llr == best->llr && fit.misfit < ret_fit->misfit)) {
            best = e;
            *ret_fit = fit;
        }
    }
    return best;
}

static void remember(struct uw_links *links, const struct uw_packet *p) {
    struct stretch *s = &links->stretches[links->n_stretches++ % STRETCHES_MAX];

    *s = (struct stretch){
        .start = p->start,
        .stop = p->stop,
        .offset_hz = p->offset_hz,
        .bandwidth_hz = p->bandwidth_hz,
    };
}

bool uw_links_covers(const struct uw_links *links, double start, double stop, double offset_hz) {
    for (size_t i = 0; i < STRETCHES_MAX; ++i) {
        const struct stretch *s = &links->stretches[i];

        if (s->start < stop && s->stop > start && fabs(s->offset_hz - offset_hz) < s->bandwidth_hz)
            return true;
    }
    return false;
}

bool uw_links_packet(struct uw_links *links, const struct uw_packet *packet) {
    const struct uw_sigdb *db = links->env.config->db;
    struct link_fit fit = {0};
    bool past;
    bool known = false;
    struct emitter *e = find_emitter(links, packet, &fit, &past);

    if (!packet->weak)
        remember(links, packet);
    if (e) {
        join(links, e, packet, &fit);
        drop_rivals(links, e);
        maybe_report(links, e);
        return true;
    }
    if ((past && packet->weak) || packet->follows)
        return past;
    for (size_t i = 0; i < uw_sigdb_len(db); ++i) {
        const struct uw_signature *s = uw_sigdb_at(db, i);

        if (is_followed(links, s))
            known |= begin_all(links, s, packet);
    }
    return known;
}

/* A packet that began an emitter of its own and found no company. Beside a link of the same
 * signature that is on the air it is most likely a packet of that link, measured badly. */
static void orphan(struct uw_links *links, const struct emitter *e) {
    double second = links->env.config->rate_hz;

    if (e->n_dwells >= 2 || !links->orphan || e->first_packet.weak)
        return;
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        const struct emitter *other = &links->emitters[i];

        if (other->used && other->signature == e->signature && other->n_dwells >= 2 &&
            other->last_stop > e->first_start - second &&
            other->first_start < e->last_stop + second)
            return;
    }
    links->orphan(links->orphan_userdata, &e->first_packet);
}

void uw_links_progress(struct uw_links *links, uint64_t sample) {
    double rate = links->env.config->rate_hz;

    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        struct emitter *e = &links->emitters[i];
        double silent = ((double)sample - e->last_stop) / rate;

        if (!e->used)
            continue;
        if (silent > e->period_s * (double)(longest_dwell(e) + 1))
            end_dwell(e);
        if (silent <= (e->n_packets > 1 ? OLD_S : NEW_S))
            continue;
        orphan(links, e);
        e->used = false;
    }
}

void uw_links_gap(struct uw_links *links, uint64_t sample, uint64_t n, double shift_hz) {
    for (size_t i = 0; i < STRETCHES_MAX; ++i)
        links->stretches[i].offset_hz -= shift_hz;
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        if (links->emitters[i].used)
            uw_link_move(&links->emitters[i], links->env.config, sample, n, shift_hz);
    }
}

void uw_links_flush(struct uw_links *links) {
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        struct emitter *e = &links->emitters[i];

        if (!e->used)
            continue;
        end_dwell(e);
        if (e->number != 0 && e->new_llr != 0.0)
            report(links, e);
    }
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        if (links->emitters[i].used)
            orphan(links, &links->emitters[i]);
    }
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i)
        links->emitters[i].used = false;
}
