/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One receiver of the engine: from its configuration to its threads
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine-impl.h"
#include "uw/base/log.h"
#include "uw/base/str.h"
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

/* The usual rate nearest to this one at which links are heard below the noise there; NAN: none. */
static double better_rate(const struct uw_detector_config *at) {
    static const double usual_hz[] = {1.0e6, 1.2e6, 1.6e6, 1.8e6,  2.0e6,  2.4e6,  2.5e6, 3.2e6,
                                      4.0e6, 5.0e6, 8.0e6, 10.0e6, 16.0e6, 20.0e6, 25.0e6};
    double best = NAN;

    for (size_t i = 0; i < sizeof(usual_hz) / sizeof(usual_hz[0]); i++) {
        struct uw_detector_config d = *at;

        d.rate_hz = usual_hz[i];
        if (uw_detector_can_sweep(&d) &&
            !(fabs(log(usual_hz[i] / at->rate_hz)) >= fabs(log(best / at->rate_hz))))
            best = usual_hz[i];
    }
    return best;
}

bool uw_engine_sweep_limit(const struct uw_sigdb *db, double rate_hz, const double *centre_hz,
                           int n, char *text, size_t text_len) {
    for (int i = 0; i < n; i++) {
        const struct uw_detector_config d = {.rate_hz = rate_hz, .freq_hz = centre_hz[i], .db = db};

        double better_hz;
        int len;

        if (uw_detector_can_sweep(&d))
            continue;
        if (isnan(d.freq_hz)) {
            uw_str_copy(text, text_len,
                        "the centre frequency is not known: links are heard above the noise only, "
                        "by their waveform alone");
            return true;
        }
        better_hz = better_rate(&d);
        len = snprintf(text, text_len,
                       "links around %.1f MHz are heard above the noise only: their channels "
                       "cannot be cut out at %.6g MS/s",
                       d.freq_hz / 1e6, rate_hz / 1e6);
        if (!isnan(better_hz) && len > 0 && (size_t)len < text_len)
            snprintf(text + len, text_len - (size_t)len, " (at %.6g they can)", better_hz / 1e6);
        return true;
    }
    return false;
}

void uw_engine_rx_say_limits(const struct uw_engine *engine, const struct uw_engine_rx *r) {
    const bool walks = r->walk.n > 0;
    char text[UW_TEXT_LEN];

    if (engine->config.below_noise &&
        uw_engine_sweep_limit(engine->plan_db, r->info.rate_hz,
                              walks ? r->walk.centre_hz : &r->info.freq_hz, walks ? r->walk.n : 1,
                              text, sizeof(text)))
        uw_log_kv(UW_LOG_WARNING, "engine", text, uw_log_s("receiver", r->name));
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
