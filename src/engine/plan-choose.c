/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Centres for receivers
 *
 * What is to be heard is a list of items: a channel plan at one signal width. Candidate centres are
 * those that put a run of neighbouring channels of an item into the middle of a receiver's band; no
 * other centre hears more. Everything is compared in a fixed order, with ties broken by the lower
 * frequency or the earlier receiver, so that the same input gives the same plan.
 *
 * Why a stare beats a walk within a band: a link hops through all its channels alike, so a receiver
 * hears as many dwells wherever it is, and while it tunes it hears none. Only bands, and signals
 * that do not hop, are worth walking for.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plan-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"

#define ITEMS_MAX  256
#define JOBS_MAX   (UW_RX_MAX * UW_PLAN_STOPS_MAX)
#define SPUR_HZ    28.8e6 /* harmonics of an RTL-SDR's clock */
#define CYCLE_STEP 0.75   /* s of a walk for each of its centres */

/* A channel plan at one width; several air rates share it. */
struct item {
    const struct uw_sig_domain *domain;
    double bandwidth_hz;
    int band;
    bool hops;
    double hop_s;      /* the slowest */
    double spacing_hz; /* between the two nearest channels */
    bool served;       /* hops: on as many channels as can be asked for */
    bool heard[UW_SIG_CHANNELS_MAX];
};

/* Something to listen to. */
struct job {
    int band;
    double centre_hz;
    double need_s; /* time per visible dwell of its slowest link */
};

struct chooser {
    const struct uw_plan_config *config;
    struct uw_plan *plan;
    int n_items;
    struct item items[ITEMS_MAX];
    int n_jobs;
    struct job jobs[JOBS_MAX];
};

/* How good a centre is; the first that differs decides. */
struct score {
    int gain;         /* items served, and channels of what does not hop, that were not before */
    double worst;     /* least share of visible channels among the items */
    double sum;       /* of the shares */
    int sync, spurs;  /* sync channels; harmonics in visible channels */
    double centre_hz; /* NAN: nothing is heard */
};

static bool better(const struct score *a, const struct score *b) {
    const double margin = 1e-9;

    if (isnan(a->centre_hz) || isnan(b->centre_hz))
        return isnan(b->centre_hz) && !isnan(a->centre_hz);
    if (a->gain != b->gain)
        return a->gain > b->gain;
    if (fabs(a->worst - b->worst) > margin)
        return a->worst > b->worst;
    if (fabs(a->sum - b->sum) > margin)
        return a->sum > b->sum;
    if (a->spurs != b->spurs)
        return a->spurs < b->spurs;
    if (a->sync != b->sync)
        return a->sync > b->sync;
    return a->centre_hz < b->centre_hz;
}

static double nearest_two(const struct uw_sig_domain *d) {
    double least = INFINITY;

    for (int a = 0; a < d->n_channels; a++)
        for (int b = 0; b < a; b++)
            least = fmin(least, fabs(d->channel_hz[a] - d->channel_hz[b]));
    return least;
}

static void find_items(struct chooser *ch) {
    for (int l = 0; l < ch->plan->n_links; l++) {
        const struct uw_plan_link *link = &ch->plan->links[l];
        bool hops = uw_plan_hops(link->signature, link->variant);
        double hop_s = hops ? link->variant->period_s * fmax(link->variant->packets_per_hop, 1.0)
                            : UW_PLAN_LOOK_S;
        int i = 0;

        if (!link->domain)
            continue;
        while (i < ch->n_items &&
               (ch->items[i].domain != link->domain || ch->items[i].hops != hops ||
                ch->items[i].bandwidth_hz != link->variant->bandwidth_hz))
            i++;
        if (i == ITEMS_MAX)
            continue;
        if (i == ch->n_items)
            ch->items[ch->n_items++] = (struct item){.domain = link->domain,
                                                     .bandwidth_hz = link->variant->bandwidth_hz,
                                                     .band = link->band,
                                                     .spacing_hz = nearest_two(link->domain),
                                                     .hops = hops};
        ch->items[i].hop_s = fmax(ch->items[i].hop_s, hop_s);
    }
}

/* Visible channels of an item; `fresh`: only those that nobody hears yet. */
static int count(const struct item *item, const struct uw_plan_receiver *r, double centre_hz,
                 bool fresh) {
    int n = 0;

    for (int c = 0; c < item->domain->n_channels; c++)
        n += !(fresh && item->heard[c]) &&
             uw_plan_visible(r, centre_hz, item->domain->channel_hz[c], item->bandwidth_hz);
    return n;
}

static bool has_spur(const struct item *item, const struct uw_plan_receiver *r, double centre_hz) {
    for (int c = 0; c < item->domain->n_channels; c++) {
        double f = item->domain->channel_hz[c];

        if (uw_plan_visible(r, centre_hz, f, item->bandwidth_hz) &&
            fabs(f - round(f / SPUR_HZ) * SPUR_HZ) < 0.5 * item->bandwidth_hz)
            return true;
    }
    return false;
}

/* Channels that a hopping item asks for: two, if one receiver can hear two of them at all. */
static int wanted(const struct item *item, const struct uw_plan_receiver *r) {
    return item->spacing_hz + item->bandwidth_hz <= r->usable_hz ? 2 : 1;
}

static struct score judge(const struct chooser *ch, const struct uw_plan_receiver *r, int band,
                          double centre_hz, bool fresh) {
    struct score score = {.worst = INFINITY, .centre_hz = centre_hz};

    for (int i = 0; i < ch->n_items; i++) {
        const struct item *item = &ch->items[i];
        int n;

        if (item->band != band || item->bandwidth_hz > r->usable_hz)
            continue;
        n = count(item, r, centre_hz, fresh);
        if (!item->hops)
            score.gain += count(item, r, centre_hz, true);
        else if (!item->served)
            score.gain += n >= wanted(item, r);
        score.sum += (double)n / item->domain->n_channels;
        score.worst = fmin(score.worst, (double)n / item->domain->n_channels);
        if (n > 0 && item->domain->sync >= 0)
            score.sync += uw_plan_visible(
                r, centre_hz, item->domain->channel_hz[item->domain->sync], item->bandwidth_hz);
        score.spurs += has_spur(item, r, centre_hz);
    }
    if (score.sum <= 0.0)
        score.centre_hz = NAN;
    return score;
}

/* The centre of the run of channels that begins with this one. */
static double centre_of_run(const struct item *item, const struct uw_plan_receiver *r, int from) {
    double low = item->domain->channel_hz[from];
    double high = low;

    for (int c = 0; c < item->domain->n_channels; c++) {
        double f = item->domain->channel_hz[c];

        if (f > high && f + item->bandwidth_hz <= low + r->usable_hz)
            high = f;
    }
    /* whole kilohertz: for people, and because synthesizers are asked for whole hertz */
    return fmin(fmax(round(0.5 * (low + high) / 1e3) * 1e3, r->freq_min_hz), r->freq_max_hz);
}

static struct score best_centre(const struct chooser *ch, const struct uw_plan_receiver *r,
                                int band, bool fresh) {
    struct score best = {.centre_hz = NAN};

    for (int i = 0; i < ch->n_items; i++) {
        const struct item *item = &ch->items[i];

        for (int c = 0; item->band == band && item->bandwidth_hz <= r->usable_hz &&
                        c < item->domain->n_channels;
             c++) {
            struct score s = judge(ch, r, band, centre_of_run(item, r, c), fresh);

            if (better(&s, &best))
                best = s;
        }
    }
    return best;
}

/* Somebody listens here from now on. */
static void serve(struct chooser *ch, const struct uw_plan_receiver *r, double centre_hz) {
    for (int i = 0; i < ch->n_items; i++) {
        struct item *item = &ch->items[i];

        item->served |= item->hops && count(item, r, centre_hz, false) >= wanted(item, r);
        for (int c = 0; c < item->domain->n_channels; c++)
            item->heard[c] |=
                uw_plan_visible(r, centre_hz, item->domain->channel_hz[c], item->bandwidth_hz);
    }
}

static double need_of(const struct chooser *ch, const struct uw_plan_receiver *r, int band,
                      double centre_hz) {
    double need = 0.0;

    for (int i = 0; i < ch->n_items; i++) {
        const struct item *item = &ch->items[i];
        int n = item->band == band ? count(item, r, centre_hz, false) : 0;

        if (n > 0)
            need =
                fmax(need, item->hops ? item->hop_s * item->domain->n_channels / n : item->hop_s);
    }
    return need;
}

static bool is_free(const struct chooser *ch, int r) {
    const struct uw_plan_receiver *rx = &ch->config->receivers[r];

    return rx->alive && rx->n_fixed == 0;
}

static int n_free(const struct chooser *ch) {
    int n = 0;

    for (int r = 0; r < ch->config->n_receivers; r++)
        n += is_free(ch, r);
    return n;
}

static bool are_alike(const struct chooser *ch, int a, int b) {
    const struct uw_plan_receiver *x = &ch->config->receivers[a];
    const struct uw_plan_receiver *y = &ch->config->receivers[b];

    return x->usable_hz == y->usable_hz && x->freq_min_hz == y->freq_min_hz &&
           x->freq_max_hz == y->freq_max_hz;
}

/* The best that any free receiver can do for a band. */
static struct score best_of_all(const struct chooser *ch, int band, int *ret_receiver) {
    struct score best = {.centre_hz = NAN};

    for (int r = 0; r < ch->config->n_receivers; r++) {
        struct score s;

        if (!is_free(ch, r) || (r > 0 && is_free(ch, r - 1) && are_alike(ch, r, r - 1)))
            continue;
        s = best_centre(ch, &ch->config->receivers[r], band, false);
        if (better(&s, &best)) {
            best = s;
            *ret_receiver = r;
        }
    }
    return best;
}

static void find_jobs(struct chooser *ch) {
    for (int band = 0; band < ch->plan->n_bands; band++) {
        for (;;) {
            int r = 0;
            struct score s = best_of_all(ch, band, &r);
            const struct uw_plan_receiver *rx = &ch->config->receivers[r];

            if (isnan(s.centre_hz) || s.gain == 0 || ch->n_jobs == JOBS_MAX)
                break;
            ch->jobs[ch->n_jobs++] = (struct job){.band = band,
                                                  .centre_hz = s.centre_hz,
                                                  .need_s = need_of(ch, rx, band, s.centre_hz)};
            serve(ch, rx, s.centre_hz);
        }
    }
}

static void take_fixed(struct chooser *ch) {
    for (int r = 0; r < ch->config->n_receivers; r++) {
        const struct uw_plan_receiver *rx = &ch->config->receivers[r];
        struct uw_plan_walk *walk = &ch->plan->walks[r];

        if (!rx->alive)
            continue;
        walk->n = rx->n_fixed;
        for (int i = 0; i < rx->n_fixed; i++) {
            walk->stops[i] = rx->fixed[i];
            serve(ch, rx, rx->fixed[i].centre_hz);
        }
    }
}

static bool can_hear(const struct chooser *ch, int r, const struct job *job) {
    const struct uw_plan_receiver *rx = &ch->config->receivers[r];

    return job->centre_hz >= rx->freq_min_hz && job->centre_hz <= rx->freq_max_hz &&
           need_of(ch, rx, job->band, job->centre_hz) > 0.0;
}

/* The free receiver for a job: the one with least to do; of equals the one that can do least else.
 */
static int receiver_for(const struct chooser *ch, const double *load, const struct job *job) {
    int best = -1;
    int best_can = 0;

    for (int r = 0; r < ch->config->n_receivers; r++) {
        int can = 0;

        if (!is_free(ch, r) || !can_hear(ch, r, job) || ch->plan->walks[r].n == UW_PLAN_STOPS_MAX)
            continue;
        for (int j = 0; j < ch->n_jobs; j++)
            can += can_hear(ch, r, &ch->jobs[j]);
        if (best < 0 || load[r] < load[best] || (load[r] == load[best] && can < best_can)) {
            best = r;
            best_can = can;
        }
    }
    return best;
}

static int by_need(const void *a, const void *b) {
    const struct job *x = a;
    const struct job *y = b;

    if (x->need_s != y->need_s)
        return x->need_s < y->need_s ? 1 : -1;
    return (x->centre_hz > y->centre_hz) - (x->centre_hz < y->centre_hz);
}

/* Longest work first, each to whom has least: no receiver's share of the time is far from fair. */
static void give_jobs(struct chooser *ch) {
    double load[UW_RX_MAX] = {0};

    qsort(ch->jobs, (size_t)ch->n_jobs, sizeof(ch->jobs[0]), by_need);
    for (int j = 0; j < ch->n_jobs; j++) {
        int r = receiver_for(ch, load, &ch->jobs[j]);
        struct uw_plan_walk *walk;

        if (r < 0)
            continue;
        walk = &ch->plan->walks[r];
        walk->stops[walk->n++] = (struct uw_plan_stop){ch->jobs[j].centre_hz, ch->jobs[j].need_s};
        load[r] += ch->jobs[j].need_s;
    }
}

static int by_centre(const void *a, const void *b) {
    const struct uw_plan_stop *x = a;
    const struct uw_plan_stop *y = b;

    return (x->centre_hz > y->centre_hz) - (x->centre_hz < y->centre_hz);
}

/* dwell_s holds the need so far. Time is given in proportion to it, above what each must have. */
static void set_dwells(const struct chooser *ch, struct uw_plan_walk *walk) {
    double settle = walk->n * ch->config->settle_s;
    double rest = fmin(UW_PLAN_CYCLE_S, CYCLE_STEP * walk->n) - settle;
    double sum = 0.0;

    qsort(walk->stops, (size_t)walk->n, sizeof(walk->stops[0]), by_centre);
    for (int i = 0; i < walk->n; i++)
        sum += walk->stops[i].dwell_s;
    for (int i = 0; i < walk->n; i++) {
        double share = walk->stops[i].dwell_s / sum;

        walk->stops[i].dwell_s = fmax(UW_PLAN_DWELL_MIN_S, round(100.0 * share * rest) / 100.0);
    }
}

/* The dwells of an item that one receiver hears in a second. */
static double heard_rate(const struct chooser *ch, int r, const struct item *item) {
    const struct uw_plan_walk *walk = &ch->plan->walks[r];
    double cycle = 0.0;
    double sum = 0.0;

    for (int i = 0; i < walk->n; i++) {
        cycle += walk->stops[i].dwell_s + (walk->n > 1 ? ch->config->settle_s : 0.0);
        sum += walk->stops[i].dwell_s *
               count(item, &ch->config->receivers[r], walk->stops[i].centre_hz, false);
    }
    return walk->n > 0 ? sum / (cycle * item->domain->n_channels * item->hop_s) : 0.0;
}

/* Probability that after t no receiver has heard three dwells, were they independent (Poisson). */
static double unknown_after(const double *rates, int n, double t) {
    double p = 1.0;

    for (int r = 0; r < n; r++) {
        double x = rates[r] * t;

        p *= exp(-x) * (1.0 + x + 0.5 * x * x);
    }
    return p;
}

/* The worst time to an alert, roughly: enough to compare by. */
static double rough_wait(const struct chooser *ch, const struct item *item) {
    double rates[UW_RX_MAX];
    double low = 0.0;
    double high = 1e6;

    for (int r = 0; r < ch->plan->n_receivers; r++)
        rates[r] = heard_rate(ch, r, item);
    for (int i = 0; i < 60; i++) {
        double middle = 0.5 * (low + high);

        if (unknown_after(rates, ch->plan->n_receivers, middle) > UW_PLAN_WORST)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/* The band with the longest wait that this receiver can shorten, `fresh`: by channels that nobody
 * hears; -1: none. */
static int neediest(const struct chooser *ch, int r, bool fresh, struct score *ret) {
    double most = 0.0;
    int best = -1;

    for (int band = 0; band < ch->plan->n_bands; band++) {
        struct score s = best_centre(ch, &ch->config->receivers[r], band, fresh);
        double wait = 0.0;

        if (isnan(s.centre_hz))
            continue;
        for (int i = 0; i < ch->n_items; i++) {
            const struct item *item = &ch->items[i];

            if (item->band == band && item->hops &&
                count(item, &ch->config->receivers[r], s.centre_hz, fresh) > 0)
                wait = fmax(wait, rough_wait(ch, item));
        }
        if (wait > most) {
            most = wait;
            best = band;
            *ret = s;
        }
    }
    return best;
}

/* Receivers without a job: new channels where the wait is longest, else a second pair of ears. */
static void use_idle(struct chooser *ch) {
    for (int r = 0; r < ch->config->n_receivers; r++) {
        struct uw_plan_walk *walk = &ch->plan->walks[r];
        struct score s;

        if (!is_free(ch, r) || walk->n > 0 ||
            (neediest(ch, r, true, &s) < 0 && neediest(ch, r, false, &s) < 0))
            continue;
        walk->n = 1;
        walk->stops[0] = (struct uw_plan_stop){s.centre_hz, 1.0};
        serve(ch, &ch->config->receivers[r], s.centre_hz);
    }
}

int uw_plan_choose(const struct uw_plan_config *config, struct uw_plan *plan) {
    struct chooser *ch = calloc(1, sizeof(*ch));

    if (!ch)
        return uw_err(-ENOMEM);
    ch->config = config;
    ch->plan = plan;
    find_items(ch);
    take_fixed(ch);
    if (n_free(ch) > 0) {
        find_jobs(ch);
        give_jobs(ch);
        for (int r = 0; r < config->n_receivers; r++)
            if (is_free(ch, r) && plan->walks[r].n > 0)
                set_dwells(ch, &plan->walks[r]);
        use_idle(ch);
    }
    free(ch);
    return 0;
}
