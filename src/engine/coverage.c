/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which bands should be listened to, and which are
 *
 * A band is the channel plan (domain) of an enabled signature of a drone's link. A hopping link can
 * be heard wherever one of its channels is in a receiver's band, so that is what covers it; how
 * soon, is another question. A band is wanted as soon as one receiver is set to it: what nobody has
 * been set to is not in the dark, but out of the plan. A wanted band that no receiver hears is
 * blind.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine-impl.h"
#include "plan-impl.h"
#include "uw/base/str.h"
#include "uw/base/time.h"

/* The edges of a receiver's band are lost in its filter. */
#define USABLE 0.9
/* The planner's walks come back within UW_PLAN_CYCLE_S and a little. */
#define UNHEARD_NS (3 * UW_NS_PER_S)

static void name_band(struct uw_band *band, const char *domain) {
    /* from integers, so that no locale changes the point */
    long long low = llround(band->low_hz / 1e5), high = llround(band->high_hz / 1e5);
    int n;

    if (low == high)
        n = snprintf(band->name, sizeof(band->name), "%.12s %lld.%lld MHz", domain, low / 10,
                     low % 10);
    else
        n = snprintf(band->name, sizeof(band->name), "%.12s %lld.%lld-%lld.%lld MHz", domain,
                     low / 10, low % 10, high / 10, high % 10);
    if (n >= (int)sizeof(band->name))
        uw_str_copy(band->name, sizeof(band->name), domain);
}

static void add_band(struct uw_coverage *c, const struct uw_sig_domain *d) {
    struct uw_band *band = &c->bands[c->n];

    if (c->n == UW_BANDS_MAX || d->n_channels == 0)
        return;
    *band = (struct uw_band){.low_hz = INFINITY, .high_hz = -INFINITY, .since_ns = UW_TIME_NONE};
    for (int i = 0; i < d->n_channels; i++) {
        band->channel_hz[band->n_channels++] = d->channel_hz[i];
        band->low_hz = fmin(band->low_hz, d->channel_hz[i]);
        band->high_hz = fmax(band->high_hz, d->channel_hz[i]);
    }
    name_band(band, d->name);
    for (int i = 0; i < c->n; i++)
        if (strcmp(c->bands[i].name, band->name) == 0)
            return;
    c->n++;
}

static void keep(struct uw_coverage *c, const struct uw_coverage *before) {
    for (int i = 0; i < c->n; i++)
        for (int k = 0; k < before->n; k++)
            if (strcmp(c->bands[i].name, before->bands[k].name) == 0) {
                c->bands[i].since_ns = before->bands[k].since_ns;
                c->bands[i].condition = before->bands[k].condition;
                c->bands[i].heard_mono_ns = before->bands[k].heard_mono_ns;
                c->bands[i].listened_ns = before->bands[k].listened_ns;
                c->bands[i].was_blind_ns = before->bands[k].was_blind_ns;
                c->bands[i].blind_ns = before->bands[k].blind_ns;
            }
}

void uw_coverage_init(struct uw_coverage *c, const struct uw_sigdb *db, const char *region) {
    struct uw_coverage before = *c;

    c->n = 0;
    for (size_t i = 0; i < uw_sigdb_len(db); i++) {
        const struct uw_signature *s = uw_sigdb_at(db, i);
        for (int d = 0; s->drone && s->enabled && d < s->n_domains; d++)
            if (uw_plan_in_region(&s->domains[d], region))
                add_band(c, &s->domains[d]);
    }
    keep(c, &before);
}

static bool reaches(double freq_hz, double rate_hz, const struct uw_band *band) {
    double half = rate_hz / 2 * USABLE;

    if (!isfinite(freq_hz) || !isfinite(half))
        return false;
    for (int i = 0; i < band->n_channels; i++)
        if (fabs(band->channel_hz[i] - freq_hz) <= half)
            return true;
    return false;
}

static bool covers(const struct uw_listener *l, const struct uw_band *band) {
    if (!l->walk || l->walk->n == 0)
        return reaches(l->freq_hz, l->rate_hz, band);
    for (int i = 0; i < l->walk->n; i++)
        if (reaches(l->walk->centre_hz[i], l->rate_hz, band))
            return true;
    return false;
}

void uw_coverage_heard(struct uw_coverage *c, double freq_hz, double rate_hz, int64_t listened_ns,
                       int64_t mono_ns) {
    for (int i = 0; i < c->n; i++) {
        if (!reaches(freq_hz, rate_hz, &c->bands[i]))
            continue;
        c->bands[i].heard_mono_ns = mono_ns;
        c->bands[i].listened_ns += listened_ns > 0 ? listened_ns : 0;
    }
}

/* Nobody has been there for longer than any walk stays away. */
static bool is_unheard(const struct uw_band *band, int64_t mono_ns) {
    return mono_ns && band->heard_mono_ns && mono_ns - band->heard_mono_ns > UNHEARD_NS;
}

static void see_again(struct uw_band *band, int64_t time_ns) {
    if (band->since_ns == UW_TIME_NONE)
        return;
    band->was_blind_ns = time_ns > band->since_ns ? time_ns - band->since_ns : 0;
    band->blind_ns += band->was_blind_ns;
    band->since_ns = UW_TIME_NONE;
}

static void look(struct uw_band *band, const struct uw_listener *listeners, int n, int64_t time_ns,
                 int64_t mono_ns) {
    const struct uw_listener *missing = NULL;

    band->wanted = band->covered = false;
    for (int i = 0; i < n; i++) {
        if (!covers(&listeners[i], band))
            continue;
        band->wanted = true;
        band->covered |= listeners[i].hears;
        missing = listeners[i].hears ? missing : &listeners[i];
    }
    band->covered &= !is_unheard(band, mono_ns);
    if (!band->wanted || band->covered) {
        see_again(band, time_ns);
        return;
    }
    if (band->since_ns == UW_TIME_NONE)
        band->since_ns =
            mono_ns && band->heard_mono_ns ? time_ns - (mono_ns - band->heard_mono_ns) : time_ns;
    if (missing)
        snprintf(band->why, sizeof(band->why), "Receiver %s is lost: %.180s", missing->name,
                 missing->why_not ? missing->why_not : "");
    else
        snprintf(band->why, sizeof(band->why), "No samples come from this band.");
}

void uw_coverage_update(struct uw_coverage *c, const struct uw_listener *listeners, int n,
                        int64_t time_ns) {
    for (int i = 0; i < c->n; i++)
        look(&c->bands[i], listeners, n, time_ns, c->mono_ns);
}
