/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How long it takes until a link is known: the distribution of include/uw/engine/plan.h, hop by hop
 *
 * For receivers that stay there is a closed form (plan-joint.c). For one that walks the state is
 * (m, k, e): visible channels left in the block, dwells heard, and packets heard beyond one a
 * dwell, the latter two as far as the rule for an alert asks. A hop moves it by drawing without
 * replacement. The link's place in its block and the walk's phase when it begins are averaged over:
 * all places, with phases spread evenly between them by the golden ratio.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plan-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"

#define BINS       8192
#define SPAN       30.0 /* times K dwells in the mean: what the bins reach over */
#define PHASES     128
#define NEGLIGIBLE 1e-6
#define K_MAX      UW_PLAN_NAME_DWELLS
#define SPARE      3    /* packets more than dwells: src/sig/links.c */
#define CYCLES     8.0  /* ... and at least of walks */
#define STILL_S    60.0 /* what the bins reach over for what does not hop */
#define HOPS_MAX   1024 /* of receivers that stay: by then every channel has come many times */
#define GOLDEN     0.6180339887498949
#define CRUMBS     1e-9 /* s, of rounding at the edges of windows */

/* The link. */
struct shape {
    int n_channels, n_packets;
    bool sync;
    double period_s, airtime_s, hop_s;
    int k_detection, k_alert, spare;
};

/* One receiver, as the link meets it. */
struct view {
    int n;
    double from[UW_PLAN_STOPS_MAX], to[UW_PLAN_STOPS_MAX]; /* listening, within a cycle */
    int visible[UW_PLAN_STOPS_MAX];
    double cycle_s; /* 0: all the time */
    bool sync_visible;
    bool independent; /* centres with different channels of the plan */
    int most_visible;
};

struct table {
    double detection[BINS], alert[BINS]; /* probability of falling into the bin */
    double bin_s;
};

typedef double state[UW_SIG_CHANNELS_MAX + 1][K_MAX + 1][SPARE + 1];

struct work {
    struct table one;        /* of the receiver at hand */
    double unknown[2][BINS]; /* by nobody: detection, alert */
    double hops[HOPS_MAX + 1];
    state now, next;
};

/* Another air rate of the same packets sends more of them a hop: this one is known late. (Repeated
 * payloads, by which FSK rates are told apart, are not looked at in LoRa.) */
static bool has_larger_twin(const struct uw_signature *s, const struct uw_sig_variant *v) {
    for (int i = 0; i < s->n_variants; i++) {
        const struct uw_sig_variant *o = &s->variants[i];

        if (o != v && o->modulation == v->modulation && o->sf == v->sf &&
            o->bandwidth_hz == v->bandwidth_hz && o->period_s == v->period_s &&
            fabs(o->airtime_s - v->airtime_s) < 0.02 * v->airtime_s &&
            (v->modulation == UW_SIG_LORA || o->repeats == v->repeats) &&
            o->packets_per_hop > v->packets_per_hop)
            return true;
    }
    return false;
}

static struct shape shape_of(const struct uw_plan_link *link) {
    const struct uw_sig_variant *v = link->variant;
    struct shape s = {
        .n_channels = link->domain->n_channels,
        .n_packets = v->packets_per_hop > 0 ? v->packets_per_hop : 1,
        .sync = link->domain->sync >= 0,
        .period_s = v->period_s,
        .airtime_s = fmin(v->airtime_s, v->period_s),
        .k_detection = 1,
        .k_alert = 1,
    };

    s.hop_s = s.n_packets * s.period_s;
    if (link->signature->matcher == UW_SIG_MATCH_LINK) {
        s.k_detection = 2;
        s.k_alert = has_larger_twin(link->signature, v) ? UW_PLAN_NAME_DWELLS : 3;
        s.spare = s.n_packets > 1 ? SPARE : 0;
    }
    return s;
}

/* Channels of the domain that are visible at one stop, as flags. */
static int see(const struct uw_plan_receiver *r, double centre_hz, const struct uw_plan_link *link,
               bool *flags) {
    int n = 0;

    for (int c = 0; c < link->domain->n_channels; c++) {
        flags[c] =
            uw_plan_visible(r, centre_hz, link->domain->channel_hz[c], link->variant->bandwidth_hz);
        n += flags[c];
    }
    return n;
}

static struct view view_of(const struct uw_plan_config *config, const struct uw_plan *plan,
                           int receiver, const struct uw_plan_link *link) {
    const struct uw_plan_walk *walk = &plan->walks[receiver];
    bool first[UW_SIG_CHANNELS_MAX], flags[UW_SIG_CHANNELS_MAX];
    struct view v = {.n = walk->n};
    bool any = false;

    for (int i = 0; i < walk->n; i++) {
        v.visible[i] = see(&config->receivers[receiver], walk->stops[i].centre_hz, link, flags);
        if (walk->n > 1) {
            v.from[i] = v.cycle_s + config->settle_s;
            v.to[i] = v.from[i] + walk->stops[i].dwell_s;
            v.cycle_s = v.to[i];
        }
        if (v.visible[i] == 0)
            continue;
        if (any && memcmp(first, flags, (size_t)link->domain->n_channels) != 0)
            v.independent = true;
        if (!any)
            memcpy(first, flags, sizeof(first));
        any = true;
        if (link->domain->sync >= 0)
            v.sync_visible |= flags[link->domain->sync];
        if (v.visible[i] > v.most_visible)
            v.most_visible = v.visible[i];
    }
    return v;
}

/* The stop at which the receiver listens to the whole of [t, t + length), or -1. */
static int listening(const struct view *v, double t, double length) {
    double x;

    if (v->cycle_s == 0.0)
        return v->most_visible > 0 ? 0 : -1;
    x = fmod(t, v->cycle_s);
    for (int i = 0; i < v->n; i++)
        if (v->visible[i] > 0 && x >= v->from[i] - CRUMBS && x + length <= v->to[i] + CRUMBS)
            return i;
    return -1;
}

/* One hop of the link. */
struct hop {
    double t, phase; /* phase: of the walk when the link began */
    int place;       /* in its block */
};

/* Packets of the hop that are heard if its channel is visible; the first, and the stop. */
static int heard(const struct shape *s, const struct view *v, const struct hop *at, int *ret_first,
                 int *ret_stop) {
    int n = 0;

    *ret_stop = -1;
    for (int i = 0; i < s->n_packets; i++) {
        int stop = listening(v, at->t + at->phase + i * s->period_s, s->airtime_s);

        if (stop < 0 || (n > 0 && stop != *ret_stop))
            continue;
        if (n++ == 0) {
            *ret_first = i;
            *ret_stop = stop;
        }
    }
    return n;
}

static void put(double *bins, double bin_s, double t, double mass) {
    double bin = t / bin_s;

    if (bin < BINS)
        bins[(size_t)bin] += mass;
}

/* Mass that hears this dwell, from state (k, e); returns true if the alert is out. */
static bool hear(const struct shape *s, struct table *table, double t, int first, int n, int *k,
                 int *e, double mass) {
    int needed = 1 + (s->spare > *e ? s->spare - *e : 0);

    if (++*k == s->k_detection)
        put(table->detection, table->bin_s, t + first * s->period_s + s->airtime_s, mass);
    if (*k >= s->k_alert && n >= needed) {
        put(table->alert, table->bin_s, t + (first + needed - 1) * s->period_s + s->airtime_s,
            mass);
        return true;
    }
    *k = *k < s->k_alert ? *k : s->k_alert;
    *e = *e + n - 1 < s->spare ? *e + n - 1 : s->spare;
    return false;
}

/* Probability that the hop's channel is visible with m visible ones left among r. */
static double chance(const struct shape *s, const struct view *v, int place, int m, int stop) {
    if (v->independent)
        return stop >= 0 ? (double)v->visible[stop] / s->n_channels : 0.0;
    if (s->sync && place == 0)
        return v->sync_visible ? 1.0 : 0.0;
    return (double)m / (s->n_channels - place);
}

/* One hop of all mass; returns what is left. */
static double step(const struct shape *s, const struct view *v, struct work *w,
                   const struct hop *at, int m_max) {
    bool draws = !v->independent && !(s->sync && at->place == 0);
    double left = 0.0;
    int first = 0;
    int stop;
    int n = heard(s, v, at, &first, &stop);

    for (int m = 0; m <= m_max; m++)
        memset(w->next[m], 0, sizeof(w->next[m]));
    for (int m = 0; m <= m_max; m++) {
        double p = chance(s, v, at->place, m, stop);
        int m_after = draws && m > 0 ? m - 1 : m;

        for (int k = 0; k <= s->k_alert; k++) {
            for (int e = 0; e <= s->spare; e++) {
                double mass = w->now[m][k][e];
                int k_after = k, e_after = e;

                if (mass <= 0.0)
                    continue;
                w->next[m][k][e] += mass * (1.0 - p);
                left += mass * (1.0 - p);
                if (p <= 0.0 ||
                    (n > 0 && hear(s, &w->one, at->t, first, n, &k_after, &e_after, mass * p)))
                    continue;
                w->next[m_after][k_after][e_after] += mass * p;
                left += mass * p;
            }
        }
    }
    memcpy(w->now, w->next, (size_t)(m_max + 1) * sizeof(w->now[0]));
    return left;
}

/* A new block: all its visible channels are ahead again. */
static void new_block(struct work *w, int m_max) {
    for (int m = 0; m < m_max; m++) {
        for (int k = 0; k <= K_MAX; k++)
            for (int e = 0; e <= SPARE; e++)
                w->now[m_max][k][e] += w->now[m][k][e];
        memset(w->now[m], 0, sizeof(w->now[m]));
    }
}

static double log_choose(int n, int k) {
    int sign; /* lgamma() would leave it in a global variable */

    return lgamma_r(n + 1.0, &sign) - lgamma_r(k + 1.0, &sign) - lgamma_r(n - k + 1.0, &sign);
}

/* Visible channels left when the link begins at this place: hypergeometric. */
static void begin(const struct shape *s, struct work *w, int place, int m_max, double mass) {
    int all = s->n_channels - (s->sync ? 1 : 0);
    int left = s->sync && place == 0 ? all : s->n_channels - place;

    memset(w->now, 0, (size_t)(m_max + 1) * sizeof(w->now[0]));
    for (int m = 0; m <= m_max; m++) {
        if (m > left || m_max - m > all - left)
            continue;
        w->now[m][0][0] = mass * exp(log_choose(m_max, m) + log_choose(all - m_max, left - m) -
                                     log_choose(all, left));
    }
}

/* The table of one receiver that hears a hopping link. */
static void follow(const struct shape *s, const struct view *v, struct work *w) {
    int starts = v->cycle_s > 0.0 && s->n_channels < PHASES ? PHASES : s->n_channels;
    int m_max = v->independent ? 0 : v->most_visible - (s->sync && v->sync_visible ? 1 : 0);

    memset(w->one.detection, 0, sizeof(w->one.detection));
    memset(w->one.alert, 0, sizeof(w->one.alert));
    for (int i = 0; i < starts; i++) {
        struct hop at = {.place = i % s->n_channels, .phase = fmod(i * GOLDEN, 1.0) * v->cycle_s};
        double left = 1.0 / starts;

        begin(s, w, at.place, m_max, left);
        for (long h = 0; left > NEGLIGIBLE / starts && at.t < BINS * w->one.bin_s; h++) {
            if (at.place == 0 && h > 0)
                new_block(w, m_max);
            left = step(s, v, w, &at, m_max);
            at.place = (at.place + 1) % s->n_channels;
            at.t = (double)(h + 1) * s->hop_s;
        }
    }
}

/* The same for a signal that stays on one channel, all of which are as likely. */
static void find_still(const struct uw_plan_config *config, const struct uw_plan *plan,
                       int receiver, const struct uw_plan_link *link, const struct view *v,
                       struct table *table) {
    const struct uw_plan_receiver *r = &config->receivers[receiver];
    const struct uw_plan_walk *walk = &plan->walks[receiver];
    double mass = 1.0 / (link->domain->n_channels * PHASES);

    memset(table->detection, 0, sizeof(table->detection));
    for (int c = 0; c < link->domain->n_channels * PHASES; c++) {
        double phase = (double)(c % PHASES) / PHASES * v->cycle_s;
        double soonest = INFINITY;

        for (int i = 0; i < walk->n; i++) {
            double wait = 0.0;

            if (!uw_plan_visible(r, walk->stops[i].centre_hz, link->domain->channel_hz[c / PHASES],
                                 link->variant->bandwidth_hz))
                continue;
            if (v->cycle_s > 0.0 && (phase < v->from[i] || phase + UW_PLAN_LOOK_S > v->to[i]))
                wait = v->from[i] - phase + (phase < v->from[i] ? 0.0 : v->cycle_s);
            soonest = fmin(soonest, wait);
        }
        if (isfinite(soonest))
            put(table->detection, table->bin_s, soonest + UW_PLAN_LOOK_S, mass);
    }
    memcpy(table->alert, table->detection, sizeof(table->alert));
}

/* Dwells a second that all receivers hear together, and the longest of their walks. */
static double rate_of(const struct uw_plan_config *config, const struct uw_plan *plan,
                      const struct uw_plan_link *link, double hop_s, double *ret_cycle_s) {
    double rate = 0.0;

    *ret_cycle_s = 0.0;
    for (int r = 0; r < plan->n_receivers; r++) {
        struct view v = view_of(config, plan, r, link);

        *ret_cycle_s = fmax(*ret_cycle_s, v.cycle_s);
        for (int i = 0; i < v.n; i++)
            rate += (v.cycle_s > 0.0 ? (v.to[i] - v.from[i]) / v.cycle_s : 1.0) * v.visible[i] /
                    (link->domain->n_channels * hop_s);
    }
    return rate;
}

/* Takes what one receiver knows into what nobody does. */
static void combine(struct work *w) {
    double detection = 1.0;
    double alert = 1.0;

    for (size_t i = 0; i < BINS; i++) {
        detection -= w->one.detection[i];
        alert -= w->one.alert[i];
        w->unknown[0][i] *= fmax(detection, 0.0);
        w->unknown[1][i] *= fmax(alert, 0.0);
    }
}

static void sum_up(const double *unknown, double bin_s, double *ret_mean, double *ret_worst) {
    double sum = 0.5; /* within a bin, its middle */
    size_t i = 0;

    for (i = 0; i < BINS; i++)
        sum += unknown[i];
    *ret_mean = unknown[BINS - 1] < UW_PLAN_WORST ? sum * bin_s : INFINITY;
    for (i = 0; i < BINS && unknown[i] > UW_PLAN_WORST; i++)
        ;
    *ret_worst = i < BINS ? ((double)i + 1.0) * bin_s : INFINITY;
}

/* Dwells that it takes if each is heard whole, and how much of the last. */
static int dwells_needed(const struct shape *s, int k, int spare, double *ret_offset_s) {
    int needed = 1 + spare - (k - 1) * (s->n_packets - 1);

    for (; needed > s->n_packets; k++)
        needed = 1 + spare - k * (s->n_packets - 1);
    *ret_offset_s = ((needed > 1 ? needed : 1) - 1) * s->period_s + s->airtime_s;
    return k;
}

/* Whether all of a's channels are b's, too; of equals the first counts. */
static bool adds_nothing(const bool *a, const bool *b, int n, bool a_first) {
    bool same = true;

    for (int c = 0; c < n; c++) {
        if (a[c] && !b[c])
            return false;
        same &= a[c] == b[c];
    }
    return !(same && a_first);
}

/* Receivers that stay, together. */
static struct uw_plan_joint stayers(const struct uw_plan_config *config, const struct uw_plan *plan,
                                    const struct uw_plan_link *link, const struct shape *s) {
    struct uw_plan_joint joint = {.n_channels = s->n_channels, .sync = s->sync};
    bool flags[UW_RX_MAX][UW_SIG_CHANNELS_MAX] = {{false}};
    uint32_t useful = 0;

    for (int r = 0; r < plan->n_receivers; r++)
        if (plan->walks[r].n == 1 &&
            see(&config->receivers[r], plan->walks[r].stops[0].centre_hz, link, flags[r]) > 0)
            useful |= 1u << r;
    for (int r = 0; r < plan->n_receivers; r++)
        for (int o = 0; o < plan->n_receivers; o++)
            if (o != r && (useful >> r & 1u) && (useful >> o & 1u) &&
                adds_nothing(flags[r], flags[o], s->n_channels, r < o))
                useful &= ~(1u << r);
    for (int c = 0; c < s->n_channels; c++) {
        uint32_t who = 0;
        int i = 0;

        for (int r = 0; r < plan->n_receivers; r++)
            who |= (useful >> r & 1u) && flags[r][c] ? 1u << r : 0;
        if (s->sync && c == link->domain->sync) {
            joint.sync_receivers = who;
            continue;
        }
        while (i < joint.n_cells && joint.cells[i].receivers != who)
            i++;
        if (who && i == joint.n_cells)
            joint.cells[joint.n_cells++].receivers = who;
        if (who)
            joint.cells[i].n++;
    }
    return joint;
}

static int stay(const struct uw_plan_joint *all, const struct shape *s, struct work *w) {
    struct uw_plan_joint joint = *all;

    for (int what = 0; what < 2; what++) {
        double offset_s;
        int n_hops, r;

        joint.k = what == 0 ? dwells_needed(s, s->k_detection, 0, &offset_s)
                            : dwells_needed(s, s->k_alert, s->spare, &offset_s);
        n_hops = (int)fmin(BINS * w->one.bin_s / s->hop_s + 1.0, HOPS_MAX);
        r = uw_plan_joint(&joint, w->hops, n_hops);
        if (r)
            return r;
        for (size_t i = 0; i < BINS; i++) {
            double t = ((double)i + 0.5) * w->one.bin_s - offset_s;
            double h = t < 0.0 ? 0.0 : fmin(floor(t / s->hop_s) + 1.0, n_hops);

            w->unknown[what][i] *= w->hops[(int)h];
        }
    }
    return 0;
}

static int follow_all(const struct uw_plan_config *config, const struct uw_plan *plan,
                      const struct uw_plan_link *link, const struct shape *s, struct work *w) {
    bool hops = uw_plan_hops(link->signature, link->variant);
    struct uw_plan_joint joint = stayers(config, plan, link, s);

    for (size_t i = 0; i < BINS; i++)
        w->unknown[0][i] = w->unknown[1][i] = 1.0;
    for (int r = 0; r < plan->n_receivers; r++) {
        struct view v = view_of(config, plan, r, link);

        if (v.most_visible == 0 || (hops && v.cycle_s == 0.0))
            continue;
        if (hops)
            follow(s, &v, w);
        else
            find_still(config, plan, r, link, &v, &w->one);
        combine(w);
    }
    return hops && (joint.n_cells > 0 || joint.sync_receivers) ? stay(&joint, s, w) : 0;
}

int uw_plan_wait(const struct uw_plan_config *config, const struct uw_plan *plan,
                 struct uw_plan_link *link) {
    struct shape s = shape_of(link);
    bool hops = uw_plan_hops(link->signature, link->variant);
    double cycle_s;
    double rate = rate_of(config, plan, link, hops ? s.hop_s : 1.0, &cycle_s);
    struct work *w;
    int r;

    if (!(rate > 0.0))
        return 0;
    w = malloc(sizeof(*w));
    if (!w)
        return uw_err(-ENOMEM);
    w->one.bin_s = (hops ? fmax(SPAN * s.k_alert / rate, CYCLES * cycle_s) : STILL_S) / BINS;
    r = follow_all(config, plan, link, &s, w);
    sum_up(w->unknown[0], w->one.bin_s, &link->detection_mean_s, &link->detection_worst_s);
    sum_up(w->unknown[1], w->one.bin_s, &link->alert_mean_s, &link->alert_worst_s);
    free(w);
    return r;
}
