/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One receiver of the engine: from its configuration to its threads
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine-impl.h"
#include "uw/base/log.h"
#include "uw/base/time.h"
#include "uw/sig/detector.h"

static int rank_of(const struct uw_engine_config *config, const char *name) {
    int rank = 0;

    for (int i = 0; i < config->n_receivers; i++)
        rank += strcmp(config->receivers[i].name, name) < 0;
    return rank;
}

struct uw_engine_rx *uw_engine_rx_free(struct uw_engine_rx *r) {
    if (!r)
        return NULL;
    uw_rx_free(r->rx);
    free(r);
    return NULL;
}

int uw_engine_rx_new(struct uw_engine *engine, const struct uw_engine_config *config,
                     const struct uw_sigdb *db, int i, struct uw_diag *diag,
                     struct uw_engine_rx **ret) {
    struct uw_engine_rx *r = calloc(1, sizeof(*r));
    struct uw_rx_config rc = {
        .db = db,
        .bus = engine->bus,
        .endpoint = engine->config.bus_endpoint,
        .head = engine->head,
        .below_noise = config->below_noise,
        .block_samples = config->block_samples,
        .wait_turn = uw_engine_wait_turn,
        .userdata = r,
    };
    struct uw_source_params params;
    int error;

    if (!r)
        return uw_err(-ENOMEM);
    r->engine = engine;
    r->config = config->receivers[i];
    r->config.source.path = r->config.path;
    r->config.source.device = r->config.device;
    r->name = rc.name = r->config.name;
    r->rank = rank_of(config, r->name);
    r->progress_ns = UW_TIME_NONE;
    r->begin_mono_ns = r->heard_mono_ns = uw_clock_mono_ns();
    if (config->delay_seed)
        rc.delay_seed = config->delay_seed * 977 + (unsigned)r->rank + 1;
    params = r->config.source;
    params.freq_hz = uw_engine_first_centre(config, db, i);
    /* one that comes later counts from the same time as the others, whatever the clock says now */
    if (engine->rx_started && params.type != UW_SOURCE_FILE && params.start_ns == UW_TIME_NONE)
        params.start_ns = uw_engine_node_time(engine, r->begin_mono_ns);
    error = uw_source_open(&params, diag, &rc.source);
    if (error) {
        free(r);
        return error;
    }
    r->info = *uw_source_info(rc.source);
    error = uw_rx_new(&rc, &r->rx);
    if (error) {
        uw_source_close(rc.source);
        free(r);
        return error;
    }
    *ret = r;
    return 0;
}

bool uw_engine_can_sweep(const struct uw_engine_receiver *c, const struct uw_sigdb *db,
                         double rate_hz, double freq_hz) {
    struct uw_detector_config d = {
        .rate_hz = rate_hz, .freq_hz = c->plan ? NAN : freq_hz, .db = db};

    if (c->n_stops == 0)
        return uw_detector_can_sweep(&d);
    for (int i = 0; i < c->n_stops; i++) {
        d.freq_hz = c->centre_hz[i];
        if (!uw_detector_can_sweep(&d))
            return false;
    }
    return true;
}

void uw_engine_rx_say_limits(const struct uw_engine_rx *r, const struct uw_engine_config *config,
                             const struct uw_sigdb *db) {
    if (config->below_noise &&
        !uw_engine_can_sweep(&r->config, db, r->info.rate_hz, r->info.freq_hz))
        uw_log_kv(UW_LOG_WARNING, "engine", UW_NO_SWEEP, uw_log_s("receiver", r->name),
                  uw_log_r("rate_hz", r->info.rate_hz));
}

/* Fusion would wait for the recordings' old times, and hold back what the live ones hear. */
int uw_engine_check_kinds(struct uw_engine_rx *const *receivers, int n, struct uw_diag *diag) {
    for (int i = 1; i < n; i++)
        if (receivers[i]->info.live != receivers[0]->info.live)
            return uw_diag_add(
                diag,
                "receiver %s: recordings and live receivers cannot be in one configuration; "
                "\"loop\" plays a recording as if it were live",
                receivers[i]->name);
    return 0;
}

/* Whatever is added to the configuration of a receiver is compared, too. */
bool uw_engine_rx_is_same(const struct uw_engine_receiver *a, const struct uw_engine_receiver *b,
                          bool but_frequency) {
    struct uw_engine_receiver x = *a, y = *b;

    x.source.path = y.source.path = NULL;
    x.source.device = y.source.device = NULL;
    x.source.start_ns = y.source.start_ns = UW_TIME_NONE;
    if (but_frequency)
        x.source.freq_hz = y.source.freq_hz = NAN;
    return memcmp(&x, &y, sizeof(x)) == 0;
}
