/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>

#include "uw/base/str.h"
#include "uw/engine/engine.h"
#include "uw/engine/plan.h"

/* What an RTL2832U with an R820T tunes to. */
#define RTL_MIN_HZ   24e6
#define RTL_MAX_HZ   1766e6
#define SOAPY_MIN_HZ 1e6
#define SOAPY_MAX_HZ 6e9

static bool is_dongle(enum uw_source_type type) {
    return type == UW_SOURCE_RTLSDR || type == UW_SOURCE_RTLTCP;
}

static void take_receiver(const struct uw_engine_receiver *from, struct uw_plan_receiver *r) {
    bool soapy = from->source.type == UW_SOURCE_SOAPY;

    *r = (struct uw_plan_receiver){
        .rate_hz = from->source.rate_hz,
        .usable_hz = UW_PLAN_USABLE_SHARE * from->source.rate_hz,
        .freq_min_hz = soapy ? SOAPY_MIN_HZ : RTL_MIN_HZ,
        .freq_max_hz = soapy ? SOAPY_MAX_HZ : RTL_MAX_HZ,
        .alive = true,
    };
    uw_str_copy(r->name, sizeof(r->name), from->name);
    /* a recording says only when it is opened what it is */
    if (!(r->rate_hz > 0.0)) {
        r->rate_hz = r->usable_hz = 1.0;
        r->alive = false;
    }
    if (from->plan)
        return;
    r->n_fixed = from->n_stops;
    for (int i = 0; i < from->n_stops; i++)
        r->fixed[i] = (struct uw_plan_stop){from->centre_hz[i], from->dwell_s};
    if (from->n_stops == 0 && isfinite(from->source.freq_hz)) {
        r->n_fixed = 1;
        r->fixed[0] = (struct uw_plan_stop){from->source.freq_hz, 1.0};
    }
    if (!is_dongle(from->source.type) && !soapy && r->n_fixed == 0)
        r->alive = false;
}

void uw_plan_config_from(const struct uw_engine_config *engine, const struct uw_sigdb *db,
                         struct uw_plan_config *config) {
    uw_plan_config_init(config);
    config->db = db;
    config->region = engine->region;
    config->n_receivers = engine->n_receivers;
    for (int i = 0; i < engine->n_receivers; i++)
        take_receiver(&engine->receivers[i], &config->receivers[i]);
}
