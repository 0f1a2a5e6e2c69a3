/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Is the system deaf? Once a second and on change, by the wall clock
 *
 * A live receiver that is silent for SILENT_S is lost, and that is an alert. Losing samples or
 * clipping makes it degraded, which is for the technician's screen: shown in health, no alert. A
 * file that has come to its end is no fault.
 */
#include <math.h>
#include <stdio.h>

#include "engine-impl.h"
#include "uw/base/str.h"
#include "uw/base/time.h"

#define PERIOD_NS     UW_NS_PER_S
#define SILENT_S      3.0
#define LOSS_MEMORY_S 10 /* losses are mentioned for this long */
#define CLIP_MANY     0.01

static double age_s(const struct uw_engine *engine, const struct uw_rx_stats *stats, int64_t now) {
    int64_t since = stats->last_sample_mono_ns ? stats->last_sample_mono_ns : engine->start_mono_ns;

    return now > since ? (double)(now - since) / (double)UW_NS_PER_S : 0;
}

static enum uw_rx_state judge(struct uw_engine_rx *r, const struct uw_rx_stats *stats, double age,
                              int64_t now, const char **advice) {
    if (stats->lost > r->lost_before) {
        r->lost_before = stats->lost;
        r->lost_mono_ns = now;
    }
    *advice = "";
    if (stats->failed || r->failed) {
        *advice = "Reading has failed: check the device, its cable or the file, then restart.";
        return UW_RX_LOST;
    }
    if (stats->ended)
        return UW_RX_OK;
    if (r->info.live && age > SILENT_S) {
        *advice = "No samples arrive: check the device, its cable and the host.";
        return UW_RX_LOST;
    }
    if (r->lost_mono_ns && now - r->lost_mono_ns < LOSS_MEMORY_S * UW_NS_PER_S) {
        *advice = "Samples are being lost: the host is too busy or the USB port too slow.";
        return UW_RX_DEGRADED;
    }
    if (stats->clip_ratio > CLIP_MANY) {
        *advice = "The signal is too strong for the receiver: lower the gain or add a filter.";
        return UW_RX_DEGRADED;
    }
    return UW_RX_OK;
}

static void fill(struct uw_health_receiver *h, const struct uw_engine_rx *r,
                 const struct uw_rx_stats *stats, double age, const char *advice) {
    uw_str_copy(h->receiver, sizeof(h->receiver), r->name);
    h->state = r->state;
    h->freq_hz = r->info.freq_hz;
    h->rate_hz = r->info.rate_hz;
    h->lost_samples = (int64_t)stats->lost;
    h->clip_ratio = stats->clip_ratio;
    h->noise_dbfs = stats->noise_dbfs;
    h->last_sample_age_s = age;
    uw_str_copy(h->advice, sizeof(h->advice), advice);
}

static void add_blind(struct uw_health *h, struct uw_engine_rx *r) {
    struct uw_health_blind *b;
    double low = (r->info.freq_hz - r->info.rate_hz / 2) / 1e6;
    double high = (r->info.freq_hz + r->info.rate_hz / 2) / 1e6;

    if (r->state != UW_RX_LOST) {
        r->silent_since_ns = UW_TIME_NONE;
        return;
    }
    if (r->silent_since_ns == UW_TIME_NONE)
        r->silent_since_ns = h->head.time_ns;
    if (isnan(r->info.freq_hz) || h->n_blind == UW_BLIND_MAX)
        return;
    b = &h->blind[h->n_blind++];
    snprintf(b->band, sizeof(b->band), "%lld-%lld MHz", llround(low), llround(high));
    b->since_ns = r->silent_since_ns;
    snprintf(b->why, sizeof(b->why), "Receiver %s is lost.", r->name);
}

static void tell_fusion(struct uw_engine *engine, const struct uw_engine_rx *r,
                        const char *advice) {
    enum uw_rx_state state = r->state == UW_RX_LOST ? UW_RX_LOST : UW_RX_OK;
    int64_t time = engine->time_ns != UW_TIME_NONE ? engine->time_ns : r->info.start_ns;

    if (r->info.live)
        (void)uw_fuse_receiver_state(engine->fuse, r->name, state, time,
                                     state == UW_RX_LOST ? advice : NULL);
}

static int64_t time_of_health(const struct uw_engine *engine) {
    int64_t time = engine->head.time_ns;

    if (engine->any_live)
        return uw_clock_real_ns();
    for (int i = 0; i < engine->n_receivers; i++)
        if (engine->receivers[i].progress_ns > time)
            time = engine->receivers[i].progress_ns;
    return time;
}

void uw_engine_health(struct uw_engine *engine, int64_t now) {
    bool changed = false;
    struct uw_health h;

    uw_health_init(&h);
    h.head = engine->head;
    h.head.time_ns = time_of_health(engine);
    h.n_receivers = engine->n_receivers;
    for (int i = 0; i < engine->n_receivers; i++) {
        struct uw_engine_rx *r = &engine->receivers[i];
        struct uw_rx_stats stats;
        enum uw_rx_state before = r->state;
        const char *advice;
        double age;

        uw_rx_stats(r->rx, &stats);
        age = age_s(engine, &stats, now);
        r->state = judge(r, &stats, age, now, &advice);
        changed |= r->state != before;
        fill(&h.receivers[i], r, &stats, age, advice);
        add_blind(&h, r);
        tell_fusion(engine, r, advice);
    }
    h.queue_fusion = (int64_t)engine->order.n;
    if (!engine->publisher.feed ||
        (!changed && engine->health_mono_ns && now - engine->health_mono_ns < PERIOD_NS))
        return;
    h.queue_feed_dropped = (int64_t)uw_feed_dropped(engine->publisher.feed);
    engine->health_mono_ns = now;
    uw_publish_health(&engine->publisher, &h);
}
