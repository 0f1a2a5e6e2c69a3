/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Does the planner keep its promises?
 *
 *   plan [--runs N] [--seed S] [--dongles 1,2,4,8] [--regions FCC,EU] [--tolerance PERCENT]
 *   plan --rf RUNS [--dongles 4] [--regions FCC915]
 *
 * First form: packets without samples. Each link of the plan is switched on N times, at a random
 * place of a hop sequence as ExpressLRS builds it and a random moment of every receiver's walk. The
 * rules of docs/detection.md, written again here, say when it is detected and when it is an alert.
 * Mean and 99 % of both are set against what the plan promised; the exit status is 1 if one is off
 * by more than the tolerance and by more than a hop.
 *
 * Second form: samples through the real detector, at +10 dB with an R820T's faults, for every air
 * rate of the channel plan; says how many runs had their alert within 5 s. Receivers that stare
 * only.
 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signal.h"
#include "trial.h"
#include "uw/base/err.h"
#include "uw/engine/plan.h"
#include "uw/synth/synth.h"

#define RATE_HZ     2.4e6
#define RF_S        5.0
#define RF_ALERT    14.8
#define LIMIT_S     600.0
#define SEQUENCE    256
#define PATIENCE_S  2.4
#define NAMED_NATS  4.6
#define FORGET_ONE  4.0
#define FORGET_ANY  10.0
#define COUNTS_MAX  8
#define REGIONS_MAX 8

struct options {
    int64_t runs, seed, rf;
    double tolerance;
    int n_counts, counts[COUNTS_MAX];
    int n_regions;
    const char *regions[REGIONS_MAX];
};

/* --- a link --- */

struct sequence {
    int n;
    int channel[SEQUENCE];
};

static int draw(uint64_t *state, int n) {
    return (int)(signal_random(state) % (uint64_t)n);
}

/* Blocks of all channels: the sync channel first, the others in any order (FHSS.cpp). */
static struct sequence hop_sequence(const struct uw_sig_domain *d, uint64_t *state) {
    struct sequence s = {.n = SEQUENCE / d->n_channels * d->n_channels};
    int first = d->sync >= 0 ? 1 : 0;

    for (int block = 0; block < s.n; block += d->n_channels) {
        int *c = &s.channel[block];

        for (int i = 0; i < d->n_channels; i++)
            c[i] = i;
        if (first) {
            c[0] = d->sync;
            c[d->sync] = 0;
        }
        for (int i = d->n_channels - 1; i > first; i--) {
            int k = first + draw(state, i - first + 1);
            int t = c[i];

            c[i] = c[k];
            c[k] = t;
        }
    }
    return s;
}

/* --- a receiver's tracker, as far as it matters when --- */

struct tracker {
    double phase_s, cycle_s;
    int64_t dwells, packets, channels;
    bool heard_channel[UW_SIG_CHANNELS_MAX];
    double first_s, last_s;
    long hop; /* of the dwell that is going on */
    int in_dwell;
    double nats; /* for this air rate, against one of four packets a hop */
};

/* Probability of k of n packets: src/sig/links-judge.c. */
static double share(int n, int k) {
    double choose = tgamma(n + 1.0) / tgamma(k + 1.0) / tgamma(n - k + 1.0);

    return choose * (0.7 * pow(0.9, k) * pow(0.1, n - k) + 0.3 * pow(0.5, n));
}

static bool has_twin(const struct uw_plan_link *l) {
    return strcmp(l->variant->name, "D50") == 0; /* 200Hz has its packets, and four a hop */
}

static void take_packet(struct tracker *t, const struct uw_plan_link *l, long hop, int channel,
                        double stop_s) {
    double silent = stop_s - t->last_s;

    if (t->packets > 0 && silent > (t->packets == 1 ? FORGET_ONE : FORGET_ANY))
        *t = (struct tracker){.phase_s = t->phase_s, .cycle_s = t->cycle_s, .hop = -1};
    if (t->packets == 0)
        t->first_s = stop_s;
    if (hop != t->hop) {
        if (t->dwells > 1)
            t->nats += log(share(l->variant->packets_per_hop, t->in_dwell) /
                           share(2 * l->variant->packets_per_hop, t->in_dwell));
        t->dwells++;
        t->in_dwell = 0;
        t->hop = hop;
    }
    if (!t->heard_channel[channel]) {
        t->heard_channel[channel] = true;
        t->channels++;
    }
    t->in_dwell++;
    t->packets++;
    t->last_s = stop_s;
}

static bool is_detected(const struct tracker *t) {
    return t->dwells >= 2;
}

static bool is_alert(const struct tracker *t, const struct uw_plan_link *l, int visible) {
    bool named = !has_twin(l) || t->nats >= NAMED_NATS || t->last_s - t->first_s >= PATIENCE_S;

    return t->dwells >= 3 && named &&
           (l->variant->packets_per_hop == 1 || t->packets >= t->dwells + 3) &&
           (visible == 1 || t->channels >= 2);
}

/* --- one life of a link --- */

struct life {
    const struct uw_plan_config *config;
    const struct uw_plan *plan;
    const struct uw_plan_link *link;
    struct tracker trackers[UW_RX_MAX];
    int visible[UW_RX_MAX];
    double detected_s, alert_s;
};

static bool sees(const struct uw_plan_receiver *r, double centre_hz, const struct uw_plan_link *l,
                 int channel) {
    return fabs(l->domain->channel_hz[channel] - centre_hz) + l->variant->bandwidth_hz / 2 <=
           r->usable_hz / 2 + 1e3;
}

/* Whether the receiver listens at a centre that sees the channel from start to stop. */
static bool hears(const struct life *life, int r, int channel, double start_s, double stop_s) {
    const struct uw_plan_walk *walk = &life->plan->walks[r];
    const struct uw_plan_receiver *rx = &life->config->receivers[r];
    const struct tracker *t = &life->trackers[r];
    double at = 0.0, x;

    if (walk->n == 1)
        return sees(rx, walk->stops[0].centre_hz, life->link, channel);
    x = fmod(start_s + t->phase_s, t->cycle_s);
    for (int i = 0; i < walk->n; i++) {
        double from = at + life->config->settle_s;

        at = from + walk->stops[i].dwell_s;
        if (x >= from && x + stop_s - start_s <= at)
            return sees(rx, walk->stops[i].centre_hz, life->link, channel);
    }
    return false;
}

static void begin(struct life *life, uint64_t *state) {
    life->detected_s = life->alert_s = INFINITY;
    for (int r = 0; r < life->plan->n_receivers; r++) {
        const struct uw_plan_walk *walk = &life->plan->walks[r];
        struct tracker *t = &life->trackers[r];

        *t = (struct tracker){.hop = -1};
        life->visible[r] = 0;
        for (int i = 0; i < walk->n; i++) {
            int n = 0;

            t->cycle_s += walk->stops[i].dwell_s + life->config->settle_s;
            for (int c = 0; c < life->link->domain->n_channels; c++)
                n += sees(&life->config->receivers[r], walk->stops[i].centre_hz, life->link, c);
            life->visible[r] = n > life->visible[r] ? n : life->visible[r];
        }
        t->phase_s = t->cycle_s * signal_uniform(state);
    }
}

static void one_packet(struct life *life, long hop, int channel, double start_s) {
    const struct uw_plan_link *l = life->link;
    double stop_s = start_s + l->variant->airtime_s;

    for (int r = 0; r < life->plan->n_receivers; r++) {
        struct tracker *t = &life->trackers[r];

        if (life->visible[r] == 0 || !hears(life, r, channel, start_s, stop_s))
            continue;
        take_packet(t, l, hop, channel, stop_s);
        if (is_detected(t))
            life->detected_s = fmin(life->detected_s, stop_s);
        if (is_alert(t, l, life->visible[r]))
            life->alert_s = fmin(life->alert_s, stop_s);
    }
}

static void live(struct life *life, uint64_t *state) {
    const struct uw_sig_variant *v = life->link->variant;
    struct sequence s = hop_sequence(life->link->domain, state);
    int at = draw(state, s.n);
    double hop_s = v->period_s * v->packets_per_hop;

    begin(life, state);
    for (long h = 0; !isfinite(life->alert_s) && (double)h * hop_s < LIMIT_S; h++)
        for (int i = 0; i < v->packets_per_hop; i++)
            one_packet(life, h, s.channel[(at + h) % s.n], (double)h * hop_s + i * v->period_s);
}

/* --- promise and truth --- */

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

struct figures {
    double mean, worst;
};

static struct figures sum_up(double *t, int64_t n) {
    struct figures f = {0};

    qsort(t, (size_t)n, sizeof(*t), by_value);
    for (int64_t i = 0; i < n; i++)
        f.mean += t[i] / (double)n;
    f.worst = t[(int64_t)(0.99 * (double)n)];
    return f;
}

struct tally {
    int compared, off, by_a_hop;
    double farthest; /* of promise over truth, less 1 */
    char what[128];
};

static void compare(struct tally *tally, const struct options *o, double promised, double truth,
                    double hop_s, const char *what) {
    double error = promised / truth - 1.0;

    tally->compared++;
    /* times come in steps of a hop: a share of 1 % may fall on either side of one */
    if (fabs(error) > o->tolerance / 100.0 && fabs(promised - truth) < 1.05 * hop_s) {
        tally->by_a_hop++;
        return;
    }
    if (!(fabs(error) <= o->tolerance / 100.0)) {
        tally->off++;
        printf("OFF: %s: promised %.4f s, found %.4f s (%+.1f %%)\n", what, promised, truth,
               100.0 * error);
    }
    if (!(fabs(error) <= tally->farthest)) {
        tally->farthest = fabs(error);
        snprintf(tally->what, sizeof(tally->what), "%s", what);
    }
}

static void try_link(const struct options *o, struct life *life, struct tally *tally,
                     uint64_t *state, const char *where) {
    const struct uw_plan_link *l = life->link;
    double *detected = calloc((size_t)o->runs, sizeof(*detected));
    double *alert = calloc((size_t)o->runs, sizeof(*alert));
    struct figures d, a;
    double hop_s = l->variant->period_s * l->variant->packets_per_hop;
    char what[96];

    assert(detected && alert);
    for (int64_t i = 0; i < o->runs; i++) {
        live(life, state);
        detected[i] = life->detected_s;
        alert[i] = life->alert_s;
    }
    d = sum_up(detected, o->runs);
    a = sum_up(alert, o->runs);
    snprintf(what, sizeof(what), "%s %s %s", where, l->domain->name, l->variant->name);
    printf("%-34s detection %7.3f %7.3f of %7.3f %7.3f  alert %7.3f %7.3f of %7.3f %7.3f\n", what,
           l->detection_mean_s, l->detection_worst_s, d.mean, d.worst, l->alert_mean_s,
           l->alert_worst_s, a.mean, a.worst);
    compare(tally, o, l->detection_mean_s, d.mean, hop_s, what);
    compare(tally, o, l->detection_worst_s, d.worst, hop_s, what);
    compare(tally, o, l->alert_mean_s, a.mean, hop_s, what);
    compare(tally, o, l->alert_worst_s, a.worst, hop_s, what);
    free(detected);
    free(alert);
}

static struct uw_plan_config dongles(const struct uw_sigdb *db, const char *region, int n) {
    struct uw_plan_config config;

    uw_plan_config_init(&config);
    config.db = db;
    config.region = region;
    config.n_receivers = n;
    for (int i = 0; i < n; i++)
        config.receivers[i] = (struct uw_plan_receiver){.rate_hz = RATE_HZ,
                                                        .usable_hz = UW_PLAN_USABLE_SHARE * RATE_HZ,
                                                        .freq_min_hz = 24e6,
                                                        .freq_max_hz = 1766e6,
                                                        .alive = true};
    return config;
}

static void try_packets(const struct options *o, const struct uw_sigdb *db, const char *region,
                        int n, struct tally *tally) {
    struct uw_plan_config config = dongles(db, region, n);
    struct life *life = calloc(1, sizeof(*life));
    struct uw_plan *plan = NULL;
    uint64_t state = (uint64_t)o->seed;
    char where[32];

    assert(life && uw_plan_new(&config, &plan) == 0);
    snprintf(where, sizeof(where), "%s x%d", region, n);
    life->config = &config;
    life->plan = plan;
    for (int i = 0; i < plan->n_links; i++) {
        life->link = &plan->links[i];
        if (life->link->why == UW_PLAN_COVERED &&
            life->link->signature->matcher == UW_SIG_MATCH_LINK)
            try_link(o, life, tally, &state, where);
    }
    free(life);
    uw_plan_free(plan);
}

/* --- samples --- */

static struct uw_scenario *scene(const struct uw_plan_link *l, double centre_hz, uint64_t seed) {
    struct uw_scenario *s = NULL;
    uint64_t state = seed;
    struct uw_synth_receiver *r;
    struct uw_synth_emitter *e;

    assert(uw_scenario_new(&s) == 0);
    s->duration_s = RF_S;
    s->seed = seed;
    s->n_receivers = 1;
    r = &s->receivers[0];
    uw_synth_receiver_init(r);
    uw_synth_receiver_set_tuner(r, UW_SYNTH_R820T);
    snprintf(r->name, sizeof(r->name), "rx");
    r->rate_hz = RATE_HZ;
    r->freq_hz = centre_hz;
    r->format = UW_IQ_CU8;
    r->ppm = 120.0 * signal_uniform(&state) - 60.0;
    s->n_emitters = 1;
    e = &s->emitters[0];
    uw_synth_emitter_init(e, UW_SYNTH_EXPRESSLRS);
    snprintf(e->name, sizeof(e->name), "pilot");
    snprintf(e->variant, sizeof(e->variant), "%.23s", l->variant->name);
    snprintf(e->domain, sizeof(e->domain), "%.23s", l->domain->name);
    e->level_db = 10.0;
    e->ppm = 40.0 * signal_uniform(&state) - 20.0;
    return s;
}

/* Seconds until the first receiver's alert; NAN: none. */
static double try_samples(const struct uw_sigdb *db, const struct uw_plan *plan,
                          const struct uw_plan_link *l, uint64_t seed) {
    double first = NAN;

    for (int r = 0; r < plan->n_receivers; r++) {
        struct uw_scenario *s = scene(l, plan->walks[r].stops[0].centre_hz, seed);
        const struct trial_emitter *alert;
        struct trial trial;

        if (!isnan(first))
            s->duration_s = first; /* only what is sooner matters */
        trial_run(s, db, RF_ALERT, true, &trial);
        alert = trial_alert(&trial);
        if (alert && strcmp(alert->signature->id, l->signature->id) == 0)
            first = alert->alert_s;
        uw_scenario_free(s);
    }
    return first;
}

static int rf(const struct options *o, const struct uw_sigdb *db) {
    struct uw_plan_config config = dongles(db, o->regions[0], o->counts[0]);
    struct uw_plan *plan = NULL;
    int64_t all = 0, in_time = 0;

    assert(uw_plan_new(&config, &plan) == 0);
    for (int i = 0; i < plan->n_links; i++) {
        const struct uw_plan_link *l = &plan->links[i];
        double *t = calloc((size_t)o->rf, sizeof(*t));
        int64_t good = 0;
        struct figures f;

        assert(t);
        if (l->why != UW_PLAN_COVERED || strcmp(l->domain->name, o->regions[0]) != 0) {
            free(t);
            continue;
        }
        for (int64_t k = 0; k < o->rf; k++) {
            double s = try_samples(db, plan, l, (uint64_t)(o->seed * 1000003 + k * 101 + i));

            t[k] = isnan(s) ? INFINITY : s;
            good += t[k] <= RF_S;
        }
        f = sum_up(t, o->rf);
        printf("%-12s %3lld of %3lld within %.0f s; mean %.2f s (promised %.2f), last %.2f s\n",
               l->variant->name, (long long)good, (long long)o->rf, RF_S, f.mean, l->alert_mean_s,
               t[o->rf - 1]);
        fflush(stdout);
        all += o->rf;
        in_time += good;
        free(t);
    }
    printf("%lld of %lld runs had their alert within %.0f s\n", (long long)in_time, (long long)all,
           RF_S);
    uw_plan_free(plan);
    return (double)in_time >= 0.99 * (double)all ? 0 : 1;
}

/* --- */

static bool take(struct options *o, const char *name, char *value) {
    if (strcmp(name, "--runs") == 0) {
        o->runs = atoll(value);
    } else if (strcmp(name, "--seed") == 0) {
        o->seed = atoll(value);
    } else if (strcmp(name, "--rf") == 0) {
        o->rf = atoll(value);
    } else if (strcmp(name, "--tolerance") == 0) {
        o->tolerance = atof(value);
    } else if (strcmp(name, "--dongles") == 0) {
        o->n_counts = 0;
        for (char *p = strtok(value, ","); p && o->n_counts < COUNTS_MAX; p = strtok(NULL, ","))
            o->counts[o->n_counts++] = atoi(p);
    } else if (strcmp(name, "--regions") == 0) {
        o->n_regions = 0;
        for (char *p = strtok(value, ","); p && o->n_regions < REGIONS_MAX; p = strtok(NULL, ","))
            o->regions[o->n_regions++] = p;
    } else {
        return false;
    }
    return true;
}

int main(int argc, char **argv) {
    struct options o = {.runs = 4000,
                        .seed = 1,
                        .tolerance = 10.0,
                        .n_counts = 4,
                        .counts = {1, 2, 4, 8},
                        .n_regions = 2,
                        .regions = {"FCC", "EU"}};
    struct tally tally = {0};
    struct uw_sigdb *db = trial_db(UW_SIGNATURES);
    int status = 0;

    for (int i = 1; i < argc; i += 2) {
        if (i + 1 >= argc || !take(&o, argv[i], argv[i + 1])) {
            fprintf(stderr, "plan: %s: see the begin of tests/campaigns/plan.c\n", argv[i]);
            return 2;
        }
    }
    if (o.rf > 0) {
        status = rf(&o, db);
    } else {
        for (int r = 0; r < o.n_regions; r++)
            for (int c = 0; c < o.n_counts; c++)
                try_packets(&o, db, o.regions[r], o.counts[c], &tally);
        printf(
            "%d figures compared, %d off by more than %.0f %%, %d more by just one hop; farthest "
            "of the others %.1f %%: %s\n",
            tally.compared, tally.off, o.tolerance, tally.by_a_hop, 100.0 * tally.farthest,
            tally.what);
        status = tally.off > 0;
    }
    uw_sigdb_free(db);
    return status;
}
