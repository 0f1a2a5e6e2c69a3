/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Is this train of bursts a control link that hops?
 *
 * The bursts are of one length, width and level. What else sends such bursts, and what tells it
 * from a control link:
 *
 * - Many senders at any time: the hops lie on no lattice. uw_hop_lattice(), against chance.
 * - A regular sender, slow or single: the period is longer than a link's, or there is one channel.
 * - Slots shared by many (TDMA, slotted Aloha): levels differ from packet to packet on a channel,
 *   where they are measured well, and carriers where the receiver is driven to its limit; and
 *   silence: of channels that all lie in the band, every slot of a link is heard.
 * - Senders that each keep a channel and take turns: every channel comes round at one place of a
 *   cycle. A link that hops in a fixed order has more channels than that.
 * - Readers of tags, calls: they stay for many packets, or for long, before they change, one alone
 *   or several at a time.
 * - A sweep: goes to the next channel each time.
 * - Telephones that hop: 217 hops a second.
 *
 * Only the first packet on a channel counts: what repeats itself there proves nothing about hops.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hopper-impl.h"
#include "uw/base/util.h"

#define WINDOW_S     6.0
#define SPAN_MIN_S   2.2
#define PARTS        5 /* of the span, in each of which it is heard */
#define PERIOD_MIN_S 4e-3
#define PERIOD_MAX_S 0.15
#define BURSTS_MIN   10
#define DWELLS_MIN   8
#define DWELL_GAP_S  0.25 /* on the same channel: another visit */
#define STAY_MAX_S   0.2
#define STAY_SHARE   0.1
#define STAY_EARLY   0.25 /* of a period: packets within a hop are closer than the hop less this */
#define PACKETS_MAX  8    /* a hop */
#define STAY_SIGMAS  3.0
#define LEFT_NATS    4.6 /* one judgement of a link in a hundred may be lost */
#define CHANNELS_MIN 3
#define TAKING_TURNS 5 /* channels in a fixed order that are believed to be one sender's */
#define INSIDE_SHARE 0.55
/* Times at random reach so many nats about once in exp(30) judgements: with 24 trains, each judged
 * 1.7 times a second, once in 8,000 years; the margin is for traffic that is regular in ways of its
 * own. */
#define LATTICE_NATS      30.0
#define PART_SHARE        0.2 /* of a train's bursts: up to four links */
#define RASTER_NATS       1.0
#define RASTER_ERROR      0.12 /* of the step */
#define CARRIER_HZ        3e3  /* deviation of one burst's, of FSK */
#define CARRIER_MIN_HZ    1e3
#define FINE_CHANNELS     5
#define LORA_TOLERANCE_HZ 4e3
#define TOLERANCE_MIN_HZ  8e3
#define TOLERANCE_MAX_HZ  20e3
#define GSM_FRAME_S       (60.0 / 13e3) /* 3GPP TS 45.002: 120 ms / 26 */
#define GSM_ERROR         300e-6
#define CHANNEL_WIDTHS    0.3 /* least step of a raster, in widths */
#define BESIDE_SHARE      0.15
#define STRAY             0.3 /* of the usual number of bursts on a channel */
#define DIFFERENCES_MIN   6
#define CYCLE_MAX         128 /* slots */
#define CYCLE_SHARE       0.85
#define SWEEP_SHARE       0.7
#define OCCUPIED          0.4
#define DUTY_MIN          0.04
#define DUTY_MAX          0.99

/* The bursts of the window in order of their begin, and what is made of them. */
struct work {
    size_t n;
    const struct hop_burst *burst[HOP_BURSTS_MAX];
    int channel[HOP_BURSTS_MAX]; /* or -1 */
    int n_channels;
    double carrier_hz[HOP_CHANNELS_MAX];
    int visits[HOP_CHANNELS_MAX];

    size_t n_dwells; /* that begin in the window */
    double begin_s[HOP_BURSTS_MAX];
    const struct hop_burst *first[HOP_BURSTS_MAX]; /* of its bursts */
    int where[HOP_BURSTS_MAX];                     /* channel */
    double before_s[HOP_BURSTS_MAX]; /* from the burst before, which was elsewhere or long ago */
    size_t n_long;                   /* of these stay long */
    size_t n_gaps;                   /* packet to packet within dwells */
    double gaps_s[HOP_BURSTS_MAX];
};

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *x, size_t n) {
    if (n == 0)
        return NAN;
    qsort(x, n, sizeof(*x), by_value);
    return n % 2 ? x[n / 2] : 0.5 * (x[n / 2 - 1] + x[n / 2]);
}

static void collect(const struct hop_train *t, double now_s, struct work *w) {
    w->n = 0;
    for (size_t i = 0; i < t->n; ++i) {
        const struct hop_burst *b = &t->bursts[uw_hop_place(t, t->n, i)];
        size_t at = w->n;

        if (b->start_s < now_s - WINDOW_S)
            continue;
        for (; at > 0 && w->burst[at - 1]->start_s > b->start_s; --at)
            w->burst[at] = w->burst[at - 1];
        w->burst[at] = b;
        ++w->n;
    }
}

/* Carriers that lie together are a channel. False: they lie everywhere. */
static bool find_channels(const struct hop_train *t, struct work *w) {
    double tolerance = t->lora
                           ? LORA_TOLERANCE_HZ
                           : fmin(fmax(0.1 * t->bandwidth_hz, TOLERANCE_MIN_HZ), TOLERANCE_MAX_HZ);
    double sorted[HOP_BURSTS_MAX];
    size_t from = 0;

    w->n_channels = 0;
    for (size_t i = 0; i < w->n; ++i)
        sorted[i] = w->burst[i]->offset_hz;
    qsort(sorted, w->n, sizeof(sorted[0]), by_value);
    for (size_t i = 1; i <= w->n; ++i) {
        if (i < w->n && sorted[i] - sorted[i - 1] <= tolerance)
            continue;
        if (w->n_channels == HOP_CHANNELS_MAX || sorted[i - 1] - sorted[from] > 5.0 * tolerance)
            return false;
        w->carrier_hz[w->n_channels] = 0.5 * (sorted[(from + i) / 2] + sorted[(from + i - 1) / 2]);
        w->visits[w->n_channels++] = (int)(i - from);
        from = i;
    }
    return true;
}

/* Whether carriers stand beside each other that cannot be channels of one link: senders, each with
 * its own crystal. A few are let pass, the other end of a link. */
static bool has_several_senders(const struct hop_train *t, const struct work *w) {
    int beside = 0;

    for (int c = 1; c < w->n_channels; ++c) {
        int a = w->visits[c - 1];
        int b = w->visits[c];

        if (w->carrier_hz[c] - w->carrier_hz[c - 1] < CHANNEL_WIDTHS * t->bandwidth_hz)
            beside += a < b ? a : b;
    }
    return beside > BESIDE_SHARE * (double)w->n;
}

/* Visits of the channel that the median burst is on: strays are many channels, but few bursts. */
static double usual_visits(const struct work *w) {
    double visits[HOP_BURSTS_MAX];
    size_t n = 0;

    for (int c = 0; c < w->n_channels; ++c) {
        for (int i = 0; i < w->visits[c]; ++i)
            visits[n++] = w->visits[c];
    }
    return median(visits, n);
}

/* The most visited channel that is still to be decided on; -1: none. */
static int most_visited(const struct work *w, const bool *decided) {
    int most = -1;

    for (int c = 0; c < w->n_channels; ++c) {
        if (!decided[c] && (most < 0 || w->visits[c] > w->visits[most]))
            most = c;
    }
    return most;
}

/* Leaves out what is no channel of its own: what is heard much less often than the others, and what
 * stands so near one that is heard more often that both are one, which weak bursts show here and
 * there. */
static void leave_strays(const struct hop_train *t, struct work *w) {
    double usual = usual_visits(w);
    double apart = CHANNEL_WIDTHS * t->bandwidth_hz;
    bool decided[HOP_CHANNELS_MAX] = {false};
    bool keep[HOP_CHANNELS_MAX] = {false};
    int kept = 0;

    for (int c = most_visited(w, decided); c >= 0; c = most_visited(w, decided)) {
        decided[c] = true;
        keep[c] = w->visits[c] >= STRAY * usual;
        for (int o = 0; o < w->n_channels; ++o)
            keep[c] &= o == c || !keep[o] || fabs(w->carrier_hz[o] - w->carrier_hz[c]) >= apart;
    }
    for (int c = 0; c < w->n_channels; ++c) {
        if (!keep[c])
            continue;
        w->carrier_hz[kept] = w->carrier_hz[c];
        w->visits[kept++] = w->visits[c];
    }
    w->n_channels = kept;
}

/* Of a channel's carrier: the median of its visits'; of the channel that is visited least. Of few
 * channels chance makes too many rasters so fine. */
static double carrier_error(const struct hop_train *t, const struct work *w, int n) {
    double least = INFINITY;

    if (t->lora)
        return CARRIER_MIN_HZ;
    if (n < FINE_CHANNELS)
        return CARRIER_HZ;
    for (int c = 0; c < w->n_channels; ++c)
        least = fmin(least, w->visits[c]);
    return fmax(CARRIER_HZ / sqrt(least), CARRIER_MIN_HZ);
}

/* The raster of all channels, or without the outermost: what the edge of the band cuts is not
 * measured where it is. */
static bool find_raster(const struct hop_train *t, struct work *w, struct hop_raster *ret) {
    for (int trial = 0; trial < 4; ++trial) {
        int first = trial & 1;
        int n = w->n_channels - first - (trial >> 1);

        if (n < CHANNELS_MIN ||
            !uw_hop_raster(w->carrier_hz + first, (size_t)n, carrier_error(t, w, n), ret) ||
            ret->nats < RASTER_NATS + (trial > 0 ? log(4.0) : 0.0) ||
            ret->error_hz > RASTER_ERROR * ret->step_hz ||
            ret->step_hz < CHANNEL_WIDTHS * t->bandwidth_hz)
            continue;
        memmove(w->carrier_hz, w->carrier_hz + first, (size_t)n * sizeof(w->carrier_hz[0]));
        memmove(w->visits, w->visits + first, (size_t)n * sizeof(w->visits[0]));
        w->n_channels = n;
        return true;
    }
    return false;
}

/* Each burst to its channel. */
static void assign(struct work *w) {
    for (size_t i = 0; i < w->n; ++i) {
        double apart = 2.0 * TOLERANCE_MAX_HZ;

        w->channel[i] = -1;
        for (int c = 0; c < w->n_channels; ++c) {
            double d = fabs(w->burst[i]->offset_hz - w->carrier_hz[c]);

            if (d < apart) {
                apart = d;
                w->channel[i] = c;
            }
        }
    }
}

static void find_dwells(struct work *w) {
    double dwell_s = -INFINITY;
    double last_s = -INFINITY;
    int where = -1;
    bool counted = false;

    w->n_dwells = 0;
    w->n_gaps = 0;
    w->n_long = 0;
    for (size_t i = 0; i < w->n; ++i) {
        double start = w->burst[i]->start_s;

        if (w->channel[i] < 0)
            continue;
        if (w->channel[i] == where && start - last_s < DWELL_GAP_S) {
            w->gaps_s[w->n_gaps++] = start - last_s;
            w->n_long += !counted && start - dwell_s > STAY_MAX_S;
            counted |= start - dwell_s > STAY_MAX_S;
        } else {
            dwell_s = start;
            where = w->channel[i];
            counted = false;
            w->begin_s[w->n_dwells] = start;
            w->before_s[w->n_dwells] = start - last_s;
            w->first[w->n_dwells] = w->burst[i];
            w->where[w->n_dwells++] = where;
        }
        last_s = start;
    }
}

static bool is_heard_throughout(const struct work *w) {
    double from = w->burst[0]->start_s;
    double span = w->burst[w->n - 1]->start_s - from;
    bool heard[PARTS] = {false};

    if (span < SPAN_MIN_S) /* or nothing at all: bursts that began together */
        return false;
    for (size_t i = 0; i < w->n; ++i) {
        size_t part = (size_t)((w->burst[i]->start_s - from) / span * PARTS);

        heard[part < PARTS ? part : PARTS - 1] = true;
    }
    for (size_t i = 0; i < PARTS; ++i) {
        if (!heard[i])
            return false;
    }
    return true;
}

static bool is_evenly_used(const struct work *w) {
    double n = 0.0;
    double most = 0.0;

    for (int c = 0; c < w->n_channels; ++c) {
        n += w->visits[c];
        most = fmax(most, w->visits[c]);
    }
    double share = 1.0 / w->n_channels;
    return most / n < share + 0.1 + 3.0 * sqrt(share * (1.0 - share) / n);
}

static long slot_of(const struct hop_lattice *l, double t_s) {
    return lround((t_s - l->begin_s) / l->period_s);
}

/* Slots between visits of the same channel. */
static size_t find_returns(const struct work *w, const struct hop_lattice *l, long *ret) {
    long last[HOP_CHANNELS_MAX];
    bool known[HOP_CHANNELS_MAX] = {false};
    size_t n = 0;

    for (size_t i = 0; i < w->n_dwells; ++i) {
        long slot = slot_of(l, w->begin_s[i]);
        int c = w->where[i];

        if (!uw_hop_is_inside(l, w->begin_s[i]))
            continue;
        if (known[c] && slot > last[c])
            ret[n++] = slot - last[c];
        known[c] = true;
        last[c] = slot;
    }
    return n;
}

/* Whether each channel has one place in a cycle of slots. *ret_known: there are enough to tell. */
static bool takes_turns(const struct work *w, const struct hop_lattice *l, bool *ret_known) {
    long returns[HOP_BURSTS_MAX];
    size_t n = find_returns(w, l, returns);

    *ret_known = n >= DIFFERENCES_MIN;
    /* all, not the returns alone: where little is heard, none of them may be a whole cycle */
    for (long cycle = CHANNELS_MIN; n > 0 && cycle <= CYCLE_MAX; ++cycle) {
        size_t multiples = 0;

        for (size_t k = 0; k < n; ++k)
            multiples += returns[k] % cycle == 0;
        if ((double)multiples >= CYCLE_SHARE * (double)n)
            return true;
    }
    return false;
}

/* Whether it goes on to its neighbour on the raster most times, slot by slot. */
static bool sweeps(const struct work *w, const struct hop_lattice *l, const struct hop_raster *r) {
    size_t steps = 0;
    size_t up = 0;
    size_t down = 0;

    for (size_t i = 1; i < w->n_dwells; ++i) {
        double before = w->begin_s[i - 1];
        double here = w->begin_s[i];

        if (!uw_hop_is_inside(l, before) || !uw_hop_is_inside(l, here) ||
            slot_of(l, here) != slot_of(l, before) + 1)
            continue;
        double by = (w->carrier_hz[w->where[i]] - w->carrier_hz[w->where[i - 1]]) / r->step_hz;
        ++steps;
        up += fabs(by - 1.0) < 0.3;
        down += fabs(by + 1.0) < 0.3;
    }
    return steps >= DIFFERENCES_MIN &&
           (double)(up > down ? up : down) > SWEEP_SHARE * (double)steps;
}

/* Whether the next burst is on the same channel more often than hops are by chance, of those that
 * come a while later. */
static bool stays_over(const struct work *w, double chance, double while_s) {
    double same = 0.0;
    double n = 0.0;

    for (size_t i = 0; i < w->n_gaps; ++i)
        same += w->gaps_s[i] > while_s;
    for (size_t i = 1; i < w->n_dwells; ++i)
        n += w->before_s[i] > while_s;
    n += same;
    return same > n * chance + STAY_SIGMAS * sqrt(n * chance * (1.0 - chance));
}

/* Whether that is so whatever the hop: by senders that stay, and only seem to hop as several are on
 * the air. The lattice may be that of packets, of which a hop has several. */
static bool stays(const struct work *w, const struct hop_lattice *l) {
    size_t visits[HOP_CHANNELS_MAX] = {0};
    double chance = 0.0;

    for (size_t i = 0; i < w->n_dwells; ++i)
        ++visits[w->where[i]];
    for (int c = 0; c < w->n_channels; ++c) {
        double share = (double)visits[c] / (double)w->n_dwells;

        chance += share * share;
    }
    for (int packets = 1; packets <= PACKETS_MAX; ++packets) {
        if (packets * l->period_s > PERIOD_MAX_S)
            break;
        if (!stays_over(w, chance, (packets - STAY_EARLY) * l->period_s))
            return false;
    }
    return true;
}

/* Whether all its channels lie in the band and most of its slots are silent all the same. */
static bool is_often_silent(const struct work *w, const struct hop_verdict *v, double usable_hz) {
    double step = v->raster.step_hz;
    double below = (w->carrier_hz[0] + usable_hz) / step;
    double above = (usable_hz - w->carrier_hz[w->n_channels - 1]) / step;
    double slots = (w->begin_s[w->n_dwells - 1] - w->begin_s[0]) / v->lattice.period_s + 1.0;

    return below > 1.3 && above > 1.3 && (double)w->n_dwells / slots < OCCUPIED;
}

/* Whether its channels are left for longer than chance leaves them: by senders that each keep one
 * for seconds, several at a time. Of k visits at random in a span T none falls into some gap of
 * length g with a probability of (k + 1) (1 - g / T)^k at most; so the nats of n channels are s in
 * all with one of (s / n)^n exp(n - s) at most (Chernoff). */
static bool keeps_channels(const struct work *w) {
    double from = w->begin_s[0];
    double span = w->begin_s[w->n_dwells - 1] - from;
    double last[HOP_CHANNELS_MAX], gap[HOP_CHANNELS_MAX] = {0};
    size_t visits[HOP_CHANNELS_MAX] = {0};
    double n = w->n_channels;
    double nats = 0.0;

    for (int c = 0; c < w->n_channels; ++c)
        last[c] = from;
    for (size_t i = 0; i < w->n_dwells; ++i) {
        int c = w->where[i];

        gap[c] = fmax(gap[c], w->begin_s[i] - last[c]);
        last[c] = w->begin_s[i];
        ++visits[c];
    }
    for (int c = 0; c < w->n_channels; ++c) {
        double k = (double)visits[c];

        gap[c] = fmin(fmax(gap[c], from + span - last[c]), (1.0 - 1e-9) * span);
        nats += fmax(-k * log1p(-gap[c] / span) - log(k + 1.0), 0.0);
    }
    return nats > n && nats - n - n * log(nats / n) > LEFT_NATS;
}

static const char too_short[] = "too short";
static const char few_channels[] = "few channels";
static const char telephones[] = "telephones";

/* What speaks against a control link before the times are looked at: it is cheap. */
static const char *judge_channels(const struct hop_train *t, struct work *w,
                                  const struct hop_band *band, struct hop_verdict *v) {
    if (w->n < BURSTS_MIN || !is_heard_throughout(w))
        return too_short;
    if (!find_channels(t, w))
        return "no channels";
    if (has_several_senders(t, w))
        return "several senders";
    if (w->n_channels < CHANNELS_MIN)
        return few_channels;
    leave_strays(t, w);
    /* one that stays, in the train of others that hop: it may be taken apart */
    if (w->n_channels < CHANNELS_MIN)
        return "prefers a channel";
    if (!find_raster(t, w, &v->raster))
        return "no raster";
    assign(w);
    v->n_channels = (size_t)w->n_channels;
    find_dwells(w);
    if (w->n_dwells < DWELLS_MIN)
        return "few hops";
    if ((double)w->n_long > STAY_SHARE * (double)w->n_dwells || keeps_channels(w))
        return "stays too long";
    if (!is_evenly_used(w))
        return "prefers a channel";
    if (!uw_hop_is_one_sender(t, w->first, w->where, w->n_dwells, band, &v->sender_nats))
        return "levels or carriers differ";
    return NULL;
}

static const char *judge_times(const struct hop_train *t, struct work *w,
                               const struct hop_band *band, struct hop_verdict *v) {
    struct hop_lattice *l = &v->lattice;
    bool known;

    if (!uw_hop_lattice(w->begin_s, w->n_dwells, t->time_error_s, l) || l->nats < LATTICE_NATS ||
        (double)l->inside < INSIDE_SHARE * (double)l->n)
        return "no period";
    double least = w->n_gaps > 0 ? fmin(median(w->gaps_s, w->n_gaps), l->period_s) : l->period_s;
    if (l->period_s < PERIOD_MIN_S || l->period_s > PERIOD_MAX_S)
        return "another period than a link's";
    double frames = l->period_s / GSM_FRAME_S;
    if (frames < 27.0 && fabs(frames - round(frames)) < GSM_ERROR * frames)
        return telephones;
    if (t->length_s > DUTY_MAX * least || t->length_s < DUTY_MIN * least)
        return "another duty than a link's";
    if (w->n_channels < TAKING_TURNS && takes_turns(w, l, &known))
        return "takes turns";
    if (w->n_channels < TAKING_TURNS && !known)
        return "order not known";
    if (stays(w, l))
        return "stays too long";
    if (sweeps(w, l, &v->raster))
        return "sweeps";
    if (is_often_silent(w, v, band->usable_hz))
        return "often silent";
    return NULL;
}

/* Each kind of evidence is believed to a limit; together no more than a named link's. */
static double sum_up(const struct hop_verdict *v) {
    double even = (double)v->n_channels - 1.0;

    return fmin(0.3 * v->lattice.nats, 10.0) + fmin(v->raster.nats, 4.0) + fmin(even, 4.0) +
           fmin(0.1 * v->sender_nats, 2.0);
}

void uw_hop_judge(const struct hop_train *t, double now_s, const struct hop_band *band,
                  struct hop_verdict *ret) {
    struct work w;

    *ret = (struct hop_verdict){.packet_s = NAN};
    collect(t, now_s, &w);
    ret->reason = judge_channels(t, &w, band, ret);
    if (!ret->reason)
        ret->reason = judge_times(t, &w, band, ret);
    ret->n_bursts = w.n;
    /* several links have no fewer channels than one, and do not make one slower or regular */
    ret->may_be_several = ret->reason && ret->reason != too_short && ret->reason != few_channels &&
                          ret->reason != telephones;
    if (ret->reason)
        return;
    ret->n_dwells = ret->lattice.inside;
    ret->begin_s = w.burst[0]->start_s;
    if (w.n_gaps > w.n / 3)
        ret->packet_s = median(w.gaps_s, w.n_gaps);
    ret->n_visible = floor((band->usable_hz - ret->raster.first_hz) / ret->raster.step_hz) -
                     ceil((-band->usable_hz - ret->raster.first_hz) / ret->raster.step_hz) + 1.0;
    ret->llr = sum_up(ret);
}

static void begins_of(const struct work *w, double *ret_s) {
    for (size_t i = 0; i < w->n; ++i)
        ret_s[i] = w->burst[i]->start_s;
}

bool uw_hop_take_part(const struct hop_train *t, double now_s, struct hop_train *ret_part) {
    double t_s[HOP_BURSTS_MAX];
    struct hop_lattice l;
    struct work w;

    collect(t, now_s, &w);
    begins_of(&w, t_s);
    if (!uw_hop_part(t_s, w.n, t->time_error_s, PERIOD_MIN_S, PERIOD_MAX_S, &l) ||
        l.nats < LATTICE_NATS || (double)l.inside < PART_SHARE * (double)l.n)
        return false;
    *ret_part = *t;
    ret_part->slots = l;
    ret_part->n = 0;
    for (size_t i = 0; i < w.n; ++i) {
        if (uw_hop_is_inside(&l, t_s[i]))
            ret_part->bursts[ret_part->n++] = *w.burst[i];
    }
    ret_part->next = ret_part->n % HOP_BURSTS_MAX;
    return true;
}

bool uw_hop_slots(const struct hop_train *t, double now_s, const struct hop_verdict *verdict,
                  struct hop_lattice *ret) {
    struct hop_lattice l = verdict->lattice;
    double t_s[HOP_BURSTS_MAX];
    struct work w;

    collect(t, now_s, &w);
    begins_of(&w, t_s);
    if (isfinite(verdict->packet_s))
        l.period_s /= fmax(round(l.period_s / verdict->packet_s), 1.0);
    if (!uw_hop_follow(t_s, w.n, t->time_error_s, &l) ||
        (double)l.inside < INSIDE_SHARE * (double)l.n)
        return false;
    *ret = l;
    return true;
}
