/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "uw/engine/plan.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"

#define SLACK_HZ    1e3 /* centres are whole kilohertz */
#define BAND_GAP_HZ 2e6 /* channels nearer than this are one band */

static const char *const why_names[UW_PLAN_WHY_N] = {
    [UW_PLAN_COVERED] = "covered",         [UW_PLAN_PARTLY] = "partly",
    [UW_PLAN_UNREACHABLE] = "unreachable", [UW_PLAN_TOO_WIDE] = "too-wide",
    [UW_PLAN_NO_RECEIVER] = "no-receiver", [UW_PLAN_NO_FREQUENCY] = "no-frequency",
};

static const char *const why_texts[UW_PLAN_WHY_N] = {
    [UW_PLAN_COVERED] = "covered",
    [UW_PLAN_PARTLY] = "some of its channels are never listened to",
    [UW_PLAN_UNREACHABLE] = "no receiver can be tuned there",
    [UW_PLAN_TOO_WIDE] = "its signal is wider than any receiver's band",
    [UW_PLAN_NO_RECEIVER] = "no receiver is left for it",
    [UW_PLAN_NO_FREQUENCY] = "its frequencies are not known",
};

const char *uw_plan_why_name(enum uw_plan_why why) {
    return why_names[why];
}

const char *uw_plan_why_text(enum uw_plan_why why) {
    return why_texts[why];
}

void uw_plan_config_init(struct uw_plan_config *config) {
    *config = (struct uw_plan_config){.region = "", .settle_s = UW_PLAN_SETTLE_S};
}

struct uw_plan *uw_plan_free(struct uw_plan *plan) {
    free(plan);
    return NULL;
}

void uw_plan_freep(struct uw_plan **plan) {
    *plan = uw_plan_free(*plan);
}

bool uw_plan_is_target(const struct uw_signature *s) {
    /* what fits no entry has no band that a receiver could be sent to */
    return s->enabled && s->drone && s->matcher != UW_SIG_MATCH_HOPPER;
}

bool uw_plan_hops(const struct uw_signature *s, const struct uw_sig_variant *v) {
    return v->period_s > 0.0 && v->airtime_s > 0.0 &&
           (s->matcher == UW_SIG_MATCH_LINK || s->matcher == UW_SIG_MATCH_DRONEID);
}

bool uw_plan_in_region(const struct uw_sig_domain *d, const char *region) {
    if (region[0] == 0 || strcmp(d->name, region) == 0)
        return true;
    for (int i = 0; i < UW_SIG_REGION_N; i++)
        if (strcmp(uw_sig_region_name(i), region) == 0)
            return d->regions == 0 || (d->regions >> i & 1u);
    return false;
}

bool uw_plan_knows_region(const struct uw_sigdb *db, const char *region) {
    if (region[0] == 0)
        return true;
    for (int i = 0; i < UW_SIG_REGION_N; i++)
        if (strcmp(uw_sig_region_name(i), region) == 0)
            return true;
    for (size_t i = 0; i < uw_sigdb_len(db); i++) {
        const struct uw_signature *s = uw_sigdb_at(db, i);

        for (int d = 0; d < s->n_domains; d++)
            if (strcmp(s->domains[d].name, region) == 0)
                return true;
    }
    return false;
}

bool uw_plan_visible(const struct uw_plan_receiver *r, double centre_hz, double channel_hz,
                     double bandwidth_hz) {
    return fabs(channel_hz - centre_hz) + 0.5 * bandwidth_hz <= 0.5 * r->usable_hz + SLACK_HZ;
}

bool uw_plan_hears(const struct uw_plan_config *config, const struct uw_plan *plan, int receiver,
                   double centre_hz, int band) {
    for (int i = 0; i < plan->n_links; i++) {
        const struct uw_plan_link *l = &plan->links[i];

        for (int c = 0; l->band == band && c < l->domain->n_channels; c++)
            if (uw_plan_visible(&config->receivers[receiver], centre_hz, l->domain->channel_hz[c],
                                l->variant->bandwidth_hz))
                return true;
    }
    return false;
}

void uw_plan_band_name(const struct uw_plan_band *band, char name[UW_NAME_LEN]) {
    snprintf(name, UW_NAME_LEN, "%.1f-%.1f MHz", fmin(band->lower_hz, 1e12) / 1e6,
             fmin(band->upper_hz, 1e12) / 1e6);
}

static void add_link(struct uw_plan *plan, const struct uw_signature *s,
                     const struct uw_sig_variant *v, const struct uw_sig_domain *d) {
    if (plan->n_links == UW_PLAN_LINKS_MAX)
        return;
    plan->links[plan->n_links++] = (struct uw_plan_link){
        .signature = s,
        .variant = v,
        .domain = d,
        .band = -1,
        .why = UW_PLAN_NO_FREQUENCY,
        .detection_mean_s = INFINITY,
        .detection_worst_s = INFINITY,
        .alert_mean_s = INFINITY,
        .alert_worst_s = INFINITY,
    };
}

static void find_links(const struct uw_plan_config *config, struct uw_plan *plan) {
    for (size_t i = 0; i < uw_sigdb_len(config->db); i++) {
        const struct uw_signature *s = uw_sigdb_at(config->db, i);

        for (int v = 0; uw_plan_is_target(s) && v < s->n_variants; v++) {
            if (s->n_domains == 0)
                add_link(plan, s, &s->variants[v], NULL);
            for (int d = 0; d < s->n_domains; d++)
                if (uw_plan_in_region(&s->domains[d], config->region))
                    add_link(plan, s, &s->variants[v], &s->domains[d]);
        }
    }
}

static void edges_of(const struct uw_plan_link *link, double *ret_lower, double *ret_upper) {
    double half = 0.5 * link->variant->bandwidth_hz;

    *ret_lower = INFINITY;
    *ret_upper = -INFINITY;
    for (int c = 0; c < link->domain->n_channels; c++) {
        *ret_lower = fmin(*ret_lower, link->domain->channel_hz[c] - half);
        *ret_upper = fmax(*ret_upper, link->domain->channel_hz[c] + half);
    }
}

/* Merges what touches; the list stays in the order of frequency. */
static void add_band(struct uw_plan *plan, double lower, double upper) {
    int n = 0;

    for (int i = 0; i < plan->n_bands; i++) {
        struct uw_plan_band *b = &plan->bands[i];

        if (b->lower_hz <= upper + BAND_GAP_HZ && b->upper_hz >= lower - BAND_GAP_HZ) {
            lower = fmin(lower, b->lower_hz);
            upper = fmax(upper, b->upper_hz);
        } else {
            plan->bands[n++] = *b;
        }
    }
    plan->n_bands = n;
    if (n == UW_PLAN_BANDS_MAX)
        return;
    while (n > 0 && plan->bands[n - 1].lower_hz > lower) {
        plan->bands[n] = plan->bands[n - 1];
        --n;
    }
    plan->bands[n] = (struct uw_plan_band){.lower_hz = lower, .upper_hz = upper};
    ++plan->n_bands;
}

static void find_bands(struct uw_plan *plan) {
    double lower, upper;

    for (int i = 0; i < plan->n_links; i++) {
        if (!plan->links[i].domain)
            continue;
        edges_of(&plan->links[i], &lower, &upper);
        add_band(plan, lower, upper);
    }
    for (int i = 0; i < plan->n_links; i++) {
        if (!plan->links[i].domain)
            continue;
        edges_of(&plan->links[i], &lower, &upper);
        for (int b = 0; b < plan->n_bands; b++)
            if (plan->bands[b].lower_hz <= lower && plan->bands[b].upper_hz >= upper)
                plan->links[i].band = b;
    }
}

/* Why nobody hears a channel of it. */
static enum uw_plan_why why_blind(const struct uw_plan_config *config,
                                  const struct uw_plan_link *link) {
    enum uw_plan_why why = UW_PLAN_UNREACHABLE;

    for (int r = 0; r < config->n_receivers; r++) {
        const struct uw_plan_receiver *rx = &config->receivers[r];

        for (int c = 0; c < link->domain->n_channels; c++) {
            double reach = 0.5 * fmax(rx->usable_hz - link->variant->bandwidth_hz, 0.0);
            double channel = link->domain->channel_hz[c];

            if (channel < rx->freq_min_hz - reach || channel > rx->freq_max_hz + reach)
                continue;
            if (link->variant->bandwidth_hz <= rx->usable_hz)
                return UW_PLAN_NO_RECEIVER;
            why = UW_PLAN_TOO_WIDE;
        }
    }
    return why;
}

static bool hears_channel(const struct uw_plan_receiver *r, const struct uw_plan_walk *walk,
                          double channel_hz, double bandwidth_hz) {
    for (int i = 0; i < walk->n; i++)
        if (uw_plan_visible(r, walk->stops[i].centre_hz, channel_hz, bandwidth_hz))
            return true;
    return false;
}

static void judge_link(const struct uw_plan_config *config, const struct uw_plan *plan,
                       struct uw_plan_link *link) {
    for (int c = 0; c < link->domain->n_channels; c++) {
        bool heard = false;

        for (int r = 0; r < plan->n_receivers; r++) {
            if (!hears_channel(&config->receivers[r], &plan->walks[r], link->domain->channel_hz[c],
                               link->variant->bandwidth_hz))
                continue;
            link->receivers |= 1u << r;
            heard = true;
        }
        link->channels += heard;
    }
    if (link->channels == 0)
        link->why = why_blind(config, link);
    else if (!uw_plan_hops(link->signature, link->variant) &&
             link->channels < link->domain->n_channels)
        link->why = UW_PLAN_PARTLY;
    else
        link->why = UW_PLAN_COVERED;
}

/* Longest time within a receiver's walk that it does not listen in the band. */
static double absence(const struct uw_plan_config *config, const struct uw_plan *plan, int r,
                      int band) {
    const struct uw_plan_walk *walk = &plan->walks[r];
    double longest = 0.0;
    double away = 0.0;
    bool any = false;

    for (int i = 0; i < 2 * walk->n; i++) { /* twice around, so that no pause is cut in two */
        const struct uw_plan_stop *s = &walk->stops[i % walk->n];

        if (walk->n > 1)
            away += config->settle_s;
        if (uw_plan_hears(config, plan, r, s->centre_hz, band)) {
            longest = any ? fmax(longest, away) : longest;
            any = true;
            away = 0.0;
        } else {
            away += s->dwell_s;
        }
    }
    return any ? longest : INFINITY;
}

static void judge_bands(const struct uw_plan_config *config, struct uw_plan *plan) {
    for (int b = 0; b < plan->n_bands; b++) {
        struct uw_plan_band *band = &plan->bands[b];

        band->absent_s = INFINITY;
        for (int r = 0; r < plan->n_receivers; r++)
            band->absent_s = fmin(band->absent_s, absence(config, plan, r, b));
        for (int i = 0; i < plan->n_links; i++)
            if (plan->links[i].band == b)
                band->receivers |= plan->links[i].receivers;
    }
}

static bool is_sane(const struct uw_plan_config *config) {
    if (config->n_receivers < 0 || config->n_receivers > UW_RX_MAX || !config->region ||
        !(config->settle_s >= 0.0))
        return false;
    for (int i = 0; i < config->n_receivers; i++) {
        const struct uw_plan_receiver *r = &config->receivers[i];

        if (!(r->rate_hz > 0.0) || !(r->usable_hz > 0.0) || r->usable_hz > r->rate_hz ||
            !(r->freq_min_hz <= r->freq_max_hz) || r->n_fixed < 0 || r->n_fixed > UW_PLAN_STOPS_MAX)
            return false;
    }
    return true;
}

static int make(const struct uw_plan_config *config, struct uw_plan *plan) {
    int r;

    plan->n_receivers = config->n_receivers;
    find_links(config, plan);
    find_bands(plan);
    r = uw_plan_choose(config, plan);
    for (int i = 0; r == 0 && i < plan->n_links; i++) {
        if (!plan->links[i].domain)
            continue;
        judge_link(config, plan, &plan->links[i]);
        if (!config->skip_times)
            r = uw_plan_wait(config, plan, &plan->links[i]);
    }
    judge_bands(config, plan);
    return r;
}

int uw_plan_new(const struct uw_plan_config *config, struct uw_plan **ret_plan) {
    UW_CLEANUP(uw_plan_freep) struct uw_plan *plan = NULL;
    int r;

    if (!is_sane(config))
        return uw_err(-EINVAL);
    plan = calloc(1, sizeof(*plan));
    if (!plan)
        return uw_err(-ENOMEM);
    r = make(config, plan);
    if (r)
        return r;
    *ret_plan = plan;
    plan = NULL;
    return 0;
}
