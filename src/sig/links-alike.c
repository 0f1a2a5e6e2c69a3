/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A link against traffic of its own waveform
 *
 * Networks of LoRa nodes send the same chirps, often at regular times, and round periods are
 * popular: of such traffic it is no wonder that it keeps to a link's lattice, or raster, or even to
 * the length of its packets. Each of these is believed once, for as much as it is rare among
 * networks, however often it is seen; to the contrary each counts every time. What such traffic
 * does not do is hop as a link does, and of that each dwell is new evidence:
 *
 * Which channel. Traffic that keeps to one channel or a few favours those it was heard on: with
 * counts n_c of N dwells and V visible channels it takes channel c next with (n_c + a / V) / (N +
 * a) (Polya's urn, a = 1). A link takes any of them with 1 / V. What lies between the channels says
 * nothing of that: a weak packet whose place is wrong, or something else, which is anywhere.
 *
 * When again. In each block of as many hops as there are channels a link visits every channel once,
 * at random places (ExpressLRS: the sync channel first). Between two visits in successive blocks of
 * n hops lie d hops with the probability d / n^2 for d < n, (2 n - d) / n^2 for n < d < 2 n: two
 * visits soon after each other are rare. Traffic that comes at any time has 1 / (2 n). A visit that
 * went unheard makes d greater, never less.
 *
 * A Gemini link has two carriers, half the plan apart, that both hop: its visits of a channel come
 * at any time, twice as often, and where one carrier goes to the channel that the other leaves, it
 * stays twice as long. What that says against a link is therefore not believed further than such a
 * link is rare; alone that raises no alert.
 *
 * How often. Where a dwell brings one packet of four, most dwells bring none: the share of packets
 * heard follows from how many each dwell brought, and with it how many dwells a link would have
 * been heard in (Poisson). More than that, of two carriers at that, speaks against it.
 *
 * Which slots. A link sends in each of its slots, and any of them may be heard. A network whose
 * slots are two to eight of the link's uses one in so many, and what lies elsewhere is noise. But
 * every second slot may be the other end's (ExpressLRS with telemetry 1:2, which MAVLink wants),
 * and that too weak.
 *
 * How long. The likelihood of a packet of k data symbols is the product of those of its symbols;
 * a link's packets have one of the lengths of its air rates, others any.
 *
 * Which way up. The delimiter of a packet with inverted chirps is two and a quarter of them the
 * right way up. Too weak to be measured whole, such packets pass for a link's now and then: a sync
 * word is found somewhere behind, and they keep to their own link's lattice and hop as it does. But
 * of a link's packet all chirps of the preamble are there; of a delimiter those of three windows at
 * most, anywhere. Each packet's likelihood ratio counts, as far as its place is right; the raster
 * once more, as the carrier of a delimiter is read wrong. The third of the sums of which the least
 * is an emitter's evidence.
 */

#include <math.h>
#include <string.h>

#include "links-impl.h"

#define RARITY       4.0 /* nats: one such network for 55 chances of noise */
#define LATTICE_MAX  4.5 /* one such network in 90 keeps a link's lattice to the microsecond */
#define RASTER_MAX   3.5 /* ... in 33 a link's raster */
#define LENGTHS_MAX  3.5 /* ... the length of its packets */
#define GEMINI       5.0 /* one link in 150 sends on two carriers at once */
#define URN          1.0
#define FIRST_HZ     (0.6 * LINK_CHANNEL_HZ) /* as an error, what LINK_CHANNEL_HZ reaches, and more */
#define SLOTS_MOST   8                       /* of a link in one of a network's */
#define STRAYS       0.1                     /* of its packets lie elsewhere */
#define SLOTS_MAX    10.0                    /* nats */
#define TELEMETRY    2.5 /* ... of one slot in two: one link in ten is so, and one end of it heard */
#define UNHEARD      0.3 /* of the visits */
#define HOP_NATS_MIN (-6.0)
#define LENGTH_MIN   (-2.0)
#define LENGTH_MAX   2.0
#define SYMBOLS_MIN  4 /* of data, in a packet */
#define SURE_CHIRPS  8
#define SURE_NATS    6.0
#define OFF          1 /* symbols: the firmware's table of times on air against the formula */
#define VARIANT_MIN  (-1.5)
#define DELIMITER    3   /* windows that two chirps and a quarter reach into */
#define WAY_UP_MAX   5.0 /* of one packet, as much as its time tells at most */
#define BELIEF       0.6 /* a place that is a little off spoils all symbols alike: not independent */

bool uw_link_is_two_dwells(const struct emitter *e) {
    int64_t span = e->dwell_last - e->dwell_first;

    for (int i = 0; i < e->signature->n_variants; ++i) {
        const struct uw_sig_variant *v = &e->signature->variants[i];
        int64_t m = uw_link_slots_per_packet(e, v);

        if (e->variants[i].possible && span % m == 0 && span / m < 2 * (int64_t)v->packets_per_hop)
            return true;
    }
    return false;
}

double uw_link_alike_nats(const struct link_alike *alike) {
    double returns = alike->returns + alike->kept_returns;

    return RARITY + fmin(alike->lattice, LATTICE_MAX) + fmin(alike->raster, RASTER_MAX) +
           fmin(alike->length, LENGTHS_MAX) + alike->hops + alike->kept_hops +
           fmax(-returns - GEMINI, 0.0) + alike->crowd + alike->slots;
}

/* Nats of a visit `apart` blocks after the one before. */
static double revisit(double apart) {
    if (apart < 1.0)
        return log(fmax(2.0 * apart, 1e-3));
    if (apart < 2.0)
        return log((1.0 - UNHEARD) * 2.0 * (2.0 - apart) + UNHEARD);
    return 0.0;
}

/* Dwells on the plan's channels so far. */
struct urn {
    double dwells, channels;
    double here[UW_SIG_CHANNELS_MAX];
    int64_t last_slot[UW_SIG_CHANNELS_MAX]; /* where there was one */
};

/* Those that are not kept any more. */
static void begin_urn(const struct emitter *e, int plan, double centre_hz, struct urn *urn) {
    *urn = (struct urn){0};
    for (int i = 0; i < e->n_channels; ++i) {
        /* a channel's carrier is that of its first dwell: its node's, where there are many */
        int c = e->channel_judged[i] > 0
                    ? uw_link_plan_channel(e, plan, centre_hz + e->channels_hz[i], true, FIRST_HZ)
                    : LINK_NONE;

        if (c == LINK_NONE)
            continue;
        urn->channels += urn->here[c] == 0.0;
        if (urn->here[c] == 0.0 || e->channel_slots[i] > urn->last_slot[c])
            urn->last_slot[c] = e->channel_slots[i];
        urn->here[c] += e->channel_judged[i];
        urn->dwells += e->channel_judged[i];
    }
}

static int channel_of(const struct emitter *e, int plan, double centre_hz,
                      const struct link_dwell *d) {
    return uw_link_plan_channel(e, plan, centre_hz + d->offset_hz, d->weak, d->error_hz);
}

/* Nats of the first n of the kept dwells, each against all those before it. What lies between the
 * channels is left out. */
static double judge_kept(const struct emitter *e, const struct uw_detector_config *config,
                         const struct uw_sig_variant *v, int n, double *ret_returns) {
    struct urn urn;
    double hop = (double)(uw_link_slots_per_packet(e, v) * v->packets_per_hop);
    double in_band = uw_link_visible(e, config);
    double sum = 0.0;
    int plan = uw_link_plan(e);
    int n_channels;

    *ret_returns = 0.0;
    begin_urn(e, plan, config->freq_hz, &urn);
    (void)uw_link_share(e, config, &n_channels);
    for (int i = 0; i < n; ++i) {
        const struct link_dwell *d = &e->kept[i];
        int c = channel_of(e, plan, config->freq_hz, d);
        double nats = 0.0;

        if (c == LINK_NONE)
            continue;
        urn.channels += urn.here[c] == 0.0;
        double visible = fmax(in_band, urn.channels);
        if (visible >= 2.0)
            nats = log(1.0 / visible) - log((urn.here[c] + URN / visible) / (urn.dwells + URN));
        if (urn.here[c] > 0.0) {
            double soon = revisit((double)(d->slot - urn.last_slot[c]) / (hop * n_channels));

            nats += soon;
            *ret_returns += soon;
        }
        sum += fmax(nats, HOP_NATS_MIN);
        ++urn.dwells;
        ++urn.here[c];
        urn.last_slot[c] = d->slot;
    }
    return sum;
}

void uw_link_judge_hop(struct emitter *e, const struct uw_detector_config *config,
                       const struct uw_packet *p, int64_t slot) {
    const struct uw_sig_variant *v = uw_link_variant(e, true);
    double returns;

    if (!isfinite(config->freq_hz) || !v)
        return;
    if (e->n_kept == LINK_DWELLS_KEPT) {
        /* the older half is judged for good */
        e->alike.hops += judge_kept(e, config, v, LINK_DWELLS_KEPT / 2, &returns);
        e->alike.returns += returns;
        int plan = uw_link_plan(e);
        for (int i = 0; i < LINK_DWELLS_KEPT / 2; ++i) {
            if (channel_of(e, plan, config->freq_hz, &e->kept[i]) == LINK_NONE)
                continue;
            ++e->channel_judged[e->kept[i].channel];
            e->channel_slots[e->kept[i].channel] = e->kept[i].slot;
        }
        e->n_kept -= LINK_DWELLS_KEPT / 2;
        memmove(e->kept, e->kept + LINK_DWELLS_KEPT / 2, (size_t)e->n_kept * sizeof(e->kept[0]));
    }
    e->kept[e->n_kept++] = (struct link_dwell){.channel = e->dwell_channel,
                                               .offset_hz = p->offset_hz,
                                               .error_hz = p->offset_error_hz,
                                               .weak = p->weak,
                                               .slot = slot};
    e->alike.kept_hops = judge_kept(e, config, v, e->n_kept, &e->alike.kept_returns);
}

/* Nats for one slot in `of`, against each as likely. */
static double one_slot_in(const struct emitter *e, int64_t per_packet, int of) {
    int n = e->n_slots < LINK_SLOTS_KEPT ? (int)e->n_slots : LINK_SLOTS_KEPT;
    int count[SLOTS_MOST] = {0};
    int most = 0;

    for (int i = 0; i < n; ++i) {
        int64_t turn = e->slots[i] % (per_packet * of); /* of the network's slots */
        int *c = &count[(turn < 0 ? turn + per_packet * of : turn) / per_packet];

        ++*c;
        most = *c > most ? *c : most;
    }
    return most * log((1.0 - STRAYS) * of) + (n - most) * log(STRAYS * of / (of - 1.0));
}

double uw_link_judge_slots(const struct emitter *e) {
    const struct uw_sig_variant *v = uw_link_variant(e, true);
    double tried = log(0.5 * SLOTS_MOST * (SLOTS_MOST + 1.0) - 1.0); /* 2 + 3 + ... of them */
    double most = 0.0;

    for (int of = 2; v && of <= SLOTS_MOST; ++of) {
        double nats = one_slot_in(e, uw_link_slots_per_packet(e, v), of) - tried;

        most = fmax(most, fmin(nats, of == 2 ? TELEMETRY : SLOTS_MAX));
    }
    return -most;
}

static double log_sum(double a, double b) {
    double most = fmax(a, b);

    return most + log(exp(a - most) + exp(b - most));
}

/* Nats of the packet under an air rate's length, a symbol more or less; of at most `most` data
 * symbols. */
static double length_nats(const struct uw_sig_variant *v, const struct uw_extent *x, int most) {
    double symbols = v->airtime_s * v->bandwidth_hz / (double)(1 << v->sf);
    int n = (int)lround(symbols - v->preamble - 4.25);
    int preamble = v->preamble < x->n_preamble ? v->preamble : x->n_preamble;
    double sum = -INFINITY;

    for (int i = n - OFF; i <= n + OFF; ++i) {
        int k = i < 0 ? 0 : i > most ? most : i;

        sum = log_sum(sum, (double)x->data[k]);
    }
    return sum - log(2.0 * OFF + 1.0) + (double)x->preamble[preamble];
}

double uw_link_judge_length(struct emitter *e, const struct uw_packet *p) {
    const struct uw_signature *s = e->signature;
    const struct uw_extent *x = &p->places[0].extent;
    double any = -INFINITY;
    double best = -INFINITY;
    double each[UW_SIG_VARIANTS_MAX];

    /* behind that the next packet may be on the air */
    int room = (int)(e->period_s * p->bandwidth_hz / (double)(1 << p->sf)) - SURE_CHIRPS - 6;
    int most = room < x->n_data ? room : x->n_data;
    int sure = x->n_preamble < SURE_CHIRPS ? x->n_preamble : SURE_CHIRPS;
    /* a place that is a little off shows less of the packet than there is */
    if (most < SYMBOLS_MIN || (double)x->preamble[sure] < SURE_NATS)
        return 0.0;
    for (int i = 0; i < s->n_variants; ++i) {
        each[i] = e->variants[i].possible ? length_nats(&s->variants[i], x, most) : -INFINITY;
        best = fmax(best, each[i]);
    }
    for (int i = 0; i < s->n_variants; ++i)
        e->variants[i].log_likelihood += fmax(BELIEF * (each[i] - best), VARIANT_MIN);
    /* other traffic: any number of data symbols, any preamble of those */
    double preamble = -INFINITY;
    for (int i = 1; i <= x->n_preamble; ++i)
        preamble = log_sum(preamble, (double)x->preamble[i]);
    for (int i = SYMBOLS_MIN; i <= most; ++i)
        any = log_sum(any, (double)x->data[i]);
    any += preamble - log((double)(most - SYMBOLS_MIN + 1)) - log(4.0);
    return fmin(fmax(best - any, LENGTH_MIN), LENGTH_MAX);
}

double uw_link_judge_preamble(const struct emitter *e, const struct uw_packet *p) {
    const struct uw_extent *x = &p->places[0].extent;
    const struct uw_sig_variant *v = uw_link_variant(e, true);
    double delimiter = -INFINITY;

    if (!p->weak) /* measured as what it is */
        return WAY_UP_MAX;
    if (!v || x->n_preamble < DELIMITER)
        return 0.0;
    /* one air rate for all packets: with the longest preamble of any, a delimiter may lie in it */
    double link = (double)x->preamble[v->preamble < x->n_preamble ? v->preamble : x->n_preamble];
    for (int i = DELIMITER; i <= x->n_preamble; ++i)
        delimiter = log_sum(delimiter, (double)x->preamble[i] - (double)x->preamble[i - DELIMITER]);
    delimiter -= log((double)(x->n_preamble - DELIMITER + 1));
    if (link - delimiter > WAY_UP_MAX)
        return WAY_UP_MAX;
    return log(LINK_PLACE_RIGHT * exp(link - delimiter) + 1.0 - LINK_PLACE_RIGHT);
}

double uw_link_upright_nats(const struct link_alike *alike) {
    return RARITY + fmin(alike->raster, RASTER_MAX) + alike->preamble;
}
