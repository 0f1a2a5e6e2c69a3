/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is the matter with the node itself
 *
 * clock   The time of live receivers goes on evenly from the start. When somebody sets the clock of
 *         the computer, all times that are sent are off by that much until the next start.
 * disk    What the main thread has measured (a file system that hangs must not hold up fusion).
 * feed    Messages that ZeroMQ did not take.
 * fusion  This very thread stood still, or records found no room. While it stands still it cannot
 *         say so: subscribers see the silence, and the watchdog ends it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine-impl.h"
#include "uw/base/log.h"
#include "uw/base/time.h"

#define MEMORY_NS      (10 * UW_NS_PER_S) /* what happens now and then is mentioned for so long */
#define STOOD_STILL_NS (2 * UW_NS_PER_S)

int64_t uw_engine_node_time(const struct uw_engine *engine, int64_t mono_ns) {
    return engine->system.anchor_real_ns + (mono_ns - engine->system.anchor_mono_ns);
}

void uw_engine_system_init(struct uw_engine *engine) {
    engine->system.anchor_mono_ns = uw_clock_mono_ns();
    engine->system.anchor_real_ns = uw_clock_real_ns();
    engine->system.loop_mono_ns = engine->system.anchor_mono_ns;
}

static void tell(struct uw_engine *engine, struct uw_condition *c, bool bad, int64_t now,
                 const struct uw_words *words, const char *part, enum uw_severity severity,
                 const char *over) {
    struct uw_fuse_condition condition = {
        .kind = UW_ALERT_SYSTEM,
        .subject = part,
        .severity = severity,
        .headline = words->headline,
        .reason = words->reason,
        .advice = words->advice,
        .since_ns = UW_TIME_NONE,
    };
    bool before = c->raised;
    enum uw_condition_step step =
        uw_condition_step(c, bad, now, 0, (int64_t)llround(engine->config.health.clear_s * 1e9));

    if (c->raised != before)
        uw_log_kv(c->raised ? UW_LOG_WARNING : UW_LOG_INFO, "health",
                  c->raised ? words->headline : over, uw_log_s("part", part),
                  uw_log_s("why", c->raised ? words->reason : NULL));
    uw_engine_tell(engine, step, &condition, over, "It is over.", uw_engine_node_time(engine, now));
}

/* By how much at least: this thread may have stood still between two readings. */
static int64_t clock_off(const struct uw_engine *engine) {
    int64_t before = uw_engine_node_time(engine, uw_clock_mono_ns());
    int64_t real = uw_clock_real_ns();
    int64_t after = uw_engine_node_time(engine, uw_clock_mono_ns());

    if (real > after)
        return real - after;
    return real < before ? real - before : 0;
}

static void watch_clock(struct uw_engine *engine, int64_t now) {
    int64_t off = clock_off(engine);
    struct uw_words w = {.headline = "The clock of this computer was changed"};
    double step_s = (double)off / 1e9;

    snprintf(w.reason, sizeof(w.reason),
             "It is %lld ms %s of the time that the receivers go by since the start.",
             llabs((long long)(off / 1000000)), off > 0 ? "ahead" : "behind");
    snprintf(w.advice, sizeof(w.advice),
             "All times that are sent are off by that much. Restart uaswatchd at a quiet moment, "
             "and see that the clock is set before it starts.");
    tell(engine, &engine->system.clock, fabs(step_s) > engine->config.health.clock_step_s, now, &w,
         "clock", UW_SEVERITY_ADVISORY, "The clock of this computer is right again");
}

static void watch_disk(struct uw_engine *engine, int64_t now) {
    int64_t free_bytes = atomic_load_explicit(&engine->disk_free_bytes, memory_order_relaxed);
    double limit = engine->config.health.disk_free_bytes;
    bool was = engine->system.disk.raised;
    struct uw_words w = {.headline = "The disk of this computer is nearly full"};

    snprintf(w.reason, sizeof(w.reason), "%lld MB are free in the directory of its state.",
             (long long)(free_bytes / 1000000));
    snprintf(w.advice, sizeof(w.advice),
             "What happens soon cannot be recorded any more: delete what is not needed.");
    /* a tenth more must be free before it is told that it is over */
    tell(engine, &engine->system.disk,
         free_bytes >= 0 && (double)free_bytes < (was ? 1.1 : 1.0) * limit, now, &w, "disk",
         UW_SEVERITY_ADVISORY, "The disk has room again");
}

static bool grows(uint64_t n, uint64_t *before, int64_t *at_mono_ns, int64_t now) {
    if (n > *before)
        *at_mono_ns = now;
    *before = n;
    return *at_mono_ns && now - *at_mono_ns < MEMORY_NS;
}

static void watch_feed(struct uw_engine *engine, int64_t now) {
    struct uw_engine_system *s = &engine->system;
    uint64_t n = engine->publisher.feed ? uw_feed_dropped(engine->publisher.feed) : 0;
    struct uw_words w = {
        .headline = "Messages of the feed were lost",
        .reason = "They could not be handed over to the network.",
        .advice = "Consoles may miss alerts: see that memory is free, and look at their counters.",
    };

    tell(engine, &s->feed, grows(n, &s->feed_dropped_before, &s->feed_dropped_mono_ns, now), now,
         &w, "feed", UW_SEVERITY_WARNING, "The feed is whole again");
}

static void watch_fusion(struct uw_engine *engine, int64_t now) {
    struct uw_engine_system *s = &engine->system;
    bool dropped = grows(engine->n_early, &s->fusion_early_before, &s->fusion_early_mono_ns, now);
    struct uw_words w = {.headline = "Alerts were held up in this computer"};

    if (now - s->loop_mono_ns > STOOD_STILL_NS) {
        s->stood_still_ns = now - s->loop_mono_ns;
        s->stood_still_at_mono_ns = now;
    }
    s->loop_mono_ns = now;
    if (dropped)
        snprintf(w.reason, sizeof(w.reason),
                 "More was heard at once than can be held: some of it was used out of its order.");
    else
        snprintf(w.reason, sizeof(w.reason), "Fusion stood still for %lld.%lld s.",
                 (long long)(s->stood_still_ns / UW_NS_PER_S),
                 (long long)(s->stood_still_ns / (UW_NS_PER_S / 10) % 10));
    snprintf(w.advice, sizeof(w.advice),
             "Alerts came late. Look for other programs that use the processor or the disk.");
    tell(engine, &s->fusion,
         dropped || (s->stood_still_at_mono_ns && now - s->stood_still_at_mono_ns < MEMORY_NS), now,
         &w, "fusion", UW_SEVERITY_WARNING, "Alerts come in time again");
}

void uw_engine_system_step(struct uw_engine *engine, int64_t now) {
    watch_fusion(engine, now);
    watch_clock(engine, now);
    watch_disk(engine, now);
    watch_feed(engine, now);
}
