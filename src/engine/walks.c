/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The plan at work: who listens where now, and again when a receiver is lost or comes back
 *
 * A receiver is out of the plan while its loss is an alert, so that one that comes and goes does
 * not move all others each time. Receivers that cannot be tuned, and those whose owner has said
 * where they listen, are planned around.
 */
#include <math.h>
#include <string.h>

#include "engine-impl.h"
#include "uw/base/log.h"
#include "uw/base/str.h"
#include "uw/engine/plan.h"

#define ANYWHERE_HZ 100e6

static bool is_alive(const struct uw_engine_rx *r) {
    return !r->lost.raised && !r->ended;
}

static void describe(const struct uw_engine_rx *r, struct uw_plan_receiver *p) {
    const struct uw_engine_receiver *c = &r->config;
    double fixed_hz = r->info.tunable ? c->source.freq_hz : r->info.freq_hz;

    *p = (struct uw_plan_receiver){
        .rate_hz = r->info.rate_hz,
        .usable_hz = UW_PLAN_USABLE_SHARE * r->info.rate_hz,
        .freq_min_hz = r->info.freq_hz_min,
        .freq_max_hz = r->info.freq_hz_max,
        .alive = is_alive(r),
    };
    uw_str_copy(p->name, sizeof(p->name), r->name);
    if (r->info.tunable && c->plan)
        return;
    for (int i = 0; r->info.tunable && i < c->n_stops; i++)
        p->fixed[p->n_fixed++] = (struct uw_plan_stop){c->centre_hz[i], c->dwell_s};
    if (p->n_fixed == 0 && isfinite(fixed_hz))
        p->fixed[p->n_fixed++] = (struct uw_plan_stop){fixed_hz, 1.0};
    if (p->n_fixed == 0)
        p->alive = false; /* nobody knows where it listens */
}

static void send_to(const struct uw_engine *engine, struct uw_engine_rx *r,
                    const struct uw_plan_walk *walk) {
    struct uw_rx_walk w = {.n = walk->n};

    /* who is lost goes on with what it had: its bands are those that are missed */
    if (walk->n == 0)
        return;
    for (int i = 0; i < walk->n; i++) {
        w.centre_hz[i] = walk->stops[i].centre_hz;
        w.dwell_s[i] = walk->stops[i].dwell_s;
    }
    if (memcmp(&w, &r->walk, sizeof(w)) == 0)
        return;
    r->walk = w;
    uw_engine_rx_say_limits(engine, r);
    if (!r->info.tunable || uw_rx_set_walk(r->rx, &w) != 0)
        return;
    uw_log_kv(UW_LOG_INFO, "plan", w.n == 1 ? "listens at" : "walks from",
              uw_log_s("receiver", r->name), uw_log_r("freq_hz", w.centre_hz[0]),
              uw_log_i("centres", w.n));
}

double uw_engine_first_centre(const struct uw_engine_config *c, const struct uw_sigdb *db, int i) {
    const struct uw_engine_receiver *r = &c->receivers[i];
    struct uw_plan_config config;
    struct uw_plan *plan = NULL;
    double first_hz = r->source.freq_hz;
    double longest = 0.0;

    if (r->n_stops > 0)
        return r->centre_hz[0];
    if (!r->plan)
        return first_hz;
    uw_plan_config_from(c, db, &config);
    config.skip_times = true;
    if (uw_plan_new(&config, &plan) != 0)
        return first_hz;
    for (int k = 0; k < plan->walks[i].n; k++) {
        if (plan->walks[i].stops[k].dwell_s <= longest)
            continue;
        longest = plan->walks[i].stops[k].dwell_s;
        first_hz = plan->walks[i].stops[k].centre_hz;
    }
    uw_plan_free(plan);
    /* nothing that it could hear: it has to be somewhere */
    return isfinite(first_hz) ? first_hz : ANYWHERE_HZ;
}

void uw_engine_replan(struct uw_engine *engine) {
    struct uw_plan_config config;
    struct uw_plan *plan = NULL;

    uw_plan_config_init(&config);
    config.db = engine->plan_db;
    config.region = engine->config.region;
    config.skip_times = true;
    config.n_receivers = engine->n_receivers;
    for (int i = 0; i < engine->n_receivers; i++)
        describe(engine->receivers[i], &config.receivers[i]);
    engine->planned_for = 0;
    for (int i = 0; i < engine->n_receivers; i++)
        engine->planned_for |= is_alive(engine->receivers[i]) ? 1u << i : 0;
    if (uw_plan_new(&config, &plan) != 0) {
        uw_log(UW_LOG_ERROR, "plan", "there is no plan: receivers stay where they are");
        return;
    }
    for (int i = 0; i < engine->n_receivers; i++)
        send_to(engine, engine->receivers[i], &plan->walks[i]);
    uw_plan_free(plan);
}

void uw_engine_keep_plan(struct uw_engine *engine) {
    uint32_t alive = 0;

    for (int i = 0; i < engine->n_receivers; i++)
        alive |= is_alive(engine->receivers[i]) ? 1u << i : 0;
    if (alive != engine->planned_for)
        uw_engine_replan(engine);
}
