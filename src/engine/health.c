/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Is the system deaf? Twenty times a second, by the wall clock
 *
 * A receiver's state comes from its source, which knows the device, and from its samples. What is
 * lost is an alert at once, what is degraded when it lasts (struct uw_condition); bands that nobody
 * listens to any more are alerts of their own. A file that has come to its end is no fault.
 *
 * The message goes out once a second and on change.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine-impl.h"
#include "uw/base/log.h"
#include "uw/base/str.h"
#include "uw/base/time.h"

#define PERIOD_NS     UW_NS_PER_S
#define LOSS_MEMORY_S 10 /* losses are mentioned for this long */
#define CLIP_MANY     0.01
#define SETTLE_NS     UW_NS_PER_S
#define LOAD_RAISE_NS (2 * UW_NS_PER_S)

static int64_t to_ns(double seconds) {
    return (int64_t)llround(seconds * 1e9);
}

struct judgement {
    enum uw_rx_state state;
    enum uw_rx_problem problem;
};

/* The enumerations have the same order up to UNREACHABLE. */
_Static_assert((int)UW_SOURCE_PROBLEM_N == (int)UW_RX_PROBLEM_OVERLOADED, "words of problems");
_Static_assert((int)UW_SOURCE_STATE_N == (int)UW_RX_STATE_N, "words of states");

static bool is_recent(int64_t mono_ns, int64_t now) {
    return mono_ns && now - mono_ns < LOSS_MEMORY_S * UW_NS_PER_S;
}

static void note_losses(struct uw_engine_rx *r, const struct uw_rx_stats *stats, int64_t now) {
    /* what is dropped is counted at once, what is lost when its place in the signal has come */
    uint64_t by_source = stats->lost > stats->dropped ? stats->lost - stats->dropped : 0;

    if (stats->dropped > r->dropped_before)
        r->dropped_mono_ns = now;
    /* what is missing because it was not there is told with its first samples, and is over */
    if (!r->settled_mono_ns || r->health.state == UW_RX_LOST)
        r->settled_mono_ns = now + SETTLE_NS;
    /* a device's own health tells losses from what a retune or a change of gain takes */
    if (by_source > r->lost_before && now > r->settled_mono_ns && !r->info.tunable)
        r->lost_mono_ns = now;
    r->dropped_before = stats->dropped;
    r->lost_before = by_source;
}

/* A computer that drops samples may be why a device loses some, too: no cable mends that. */
enum uw_rx_problem uw_engine_lessened_by(const struct uw_source_health *s, bool drops, bool loses,
                                         double clip_ratio) {
    if (drops && (s->state == UW_SOURCE_OK || s->problem == UW_SOURCE_PROBLEM_LOSING))
        return UW_RX_PROBLEM_OVERLOADED;
    if (s->state == UW_SOURCE_DEGRADED)
        return (enum uw_rx_problem)s->problem;
    if (loses)
        return UW_RX_PROBLEM_LOSING;
    return clip_ratio > CLIP_MANY ? UW_RX_PROBLEM_CLIPPING : UW_RX_PROBLEM_NONE;
}

static struct judgement judge(const struct uw_engine *engine, const struct uw_engine_rx *r,
                              const struct uw_rx_stats *stats, const struct uw_source_health *s,
                              double age, int64_t now) {
    struct judgement j;

    if (stats->failed || r->failed)
        return (struct judgement){UW_RX_LOST, UW_RX_PROBLEM_FAILED};
    if (stats->ended || !r->info.live)
        return (struct judgement){UW_RX_OK, UW_RX_PROBLEM_NONE};
    if (s->state == UW_SOURCE_LOST)
        return (struct judgement){UW_RX_LOST, (enum uw_rx_problem)s->problem};
    if (age > engine->config.health.silent_s) /* or just back, and still without samples */
        return (struct judgement){
            UW_RX_LOST, r->health.state == UW_RX_LOST ? r->health.problem : UW_RX_PROBLEM_STALLED};
    j.problem = uw_engine_lessened_by(s, is_recent(r->dropped_mono_ns, now),
                                      is_recent(r->lost_mono_ns, now), stats->clip_ratio);
    j.state = j.problem == UW_RX_PROBLEM_NONE ? UW_RX_OK : UW_RX_DEGRADED;
    return j;
}

static double age_s(const struct uw_engine_rx *r, const struct uw_rx_stats *stats, int64_t now) {
    int64_t since = stats->last_sample_mono_ns ? stats->last_sample_mono_ns : r->begin_mono_ns;

    return now > since ? (double)(now - since) / (double)UW_NS_PER_S : 0;
}

static void fill(struct uw_health_receiver *h, const struct uw_engine_rx *r,
                 const struct uw_rx_stats *stats, const struct uw_source_health *s, double age) {
    h->freq_hz = stats->freq_hz;
    h->rate_hz = r->info.rate_hz;
    h->gain_db = s->gain_db;
    h->lost_samples = (int64_t)stats->lost;
    h->clip_ratio = stats->clip_ratio;
    h->noise_dbfs = stats->noise_dbfs;
    h->drift_ppm = s->drift_ppm;
    if (stats->last_sample_mono_ns || r->info.live)
        h->last_sample_age_s = age;
    if (!r->info.live)
        return;
    h->dropped_samples = (int64_t)stats->dropped;
    h->discarded_samples = (int64_t)s->discarded;
    h->reopened = (int64_t)s->reopened;
    h->queue_blocks = (int64_t)stats->queue_blocks;
}

static void say_change(const struct uw_health_receiver *h) {
    static const char *const words[UW_RX_STATE_N] = {"ok", "degraded", "lost"};

    uw_log_kv(h->state == UW_RX_OK ? UW_LOG_INFO : UW_LOG_WARNING, "health", "receiver",
              uw_log_s("receiver", h->receiver), uw_log_s("state", words[h->state]),
              uw_log_s("why", h->state == UW_RX_OK ? NULL : uw_words_reason(h->problem)),
              uw_log_s("advice", h->advice[0] ? h->advice : NULL), uw_log_r("freq_hz", h->freq_hz),
              uw_log_i("lost_samples", h->lost_samples));
}

/* True: the state has changed. */
static bool look_at(struct uw_engine *engine, struct uw_engine_rx *r, int64_t now,
                    int64_t time_ns) {
    struct uw_health_receiver *h = &r->health;
    enum uw_rx_problem problem = h->problem;
    enum uw_rx_state state = h->state;
    struct uw_source_health source;
    struct uw_rx_stats stats;
    struct judgement j;
    double age;
    bool first = !h->receiver[0];

    uw_rx_stats(r->rx, &stats);
    uw_rx_source_health(r->rx, &source);
    note_losses(r, &stats, now);
    age = age_s(r, &stats, now);
    j = judge(engine, r, &stats, &source, age, now);
    uw_str_copy(h->receiver, sizeof(h->receiver), r->name);
    h->state = j.state;
    h->problem = j.problem;
    fill(h, r, &stats, &source, age);
    h->advice[0] = 0;
    if (j.state != UW_RX_OK)
        uw_str_copy(h->advice, sizeof(h->advice),
                    (int)j.problem == (int)source.problem && source.advice[0]
                        ? source.advice
                        : uw_words_advice(j.problem));
    if (!first && h->state == state && h->problem == problem)
        return false;
    if (first || h->state != state)
        h->since_ns = time_ns;
    if (!first || h->state != UW_RX_OK)
        say_change(h);
    return !first;
}

void uw_engine_tell(struct uw_engine *engine, enum uw_condition_step step,
                    const struct uw_fuse_condition *condition, const char *over_headline,
                    const char *over_reason, int64_t time_ns) {
    if (step == UW_CONDITION_BAD &&
        uw_fuse_condition_set(engine->fuse, condition, time_ns) == UW_E_AGAIN)
        uw_log_kv(UW_LOG_ERROR, "health", "too many alerts at once",
                  uw_log_s("not_raised", condition->headline));
    if (step == UW_CONDITION_OVER)
        uw_fuse_condition_clear(engine->fuse, condition->kind, condition->subject, over_headline,
                                over_reason, time_ns);
}

static struct uw_fuse_condition about_receiver(const struct uw_health_receiver *h,
                                               const struct uw_words *w) {
    return (struct uw_fuse_condition){
        .kind = UW_ALERT_RECEIVER,
        .subject = h->receiver,
        .severity = h->state == UW_RX_LOST ? UW_SEVERITY_WARNING : UW_SEVERITY_ADVISORY,
        .problem = h->problem,
        .headline = w->headline,
        .reason = w->reason,
        .advice = w->advice,
        .since_ns = h->since_ns,
    };
}

/* Loss and degradation are steps of one alert: it is over when both are. */
static void tell_receiver(struct uw_engine *engine, struct uw_engine_rx *r, int64_t now,
                          int64_t time_ns) {
    const struct uw_engine_health_config *c = &engine->config.health;
    const struct uw_health_receiver *h = &r->health;
    bool was_raised = r->lost.raised || r->degraded.raised;
    /* a computer that does not keep up is one alert, not one for each receiver */
    bool degraded = h->state != UW_RX_OK && h->problem != UW_RX_PROBLEM_OVERLOADED;
    enum uw_condition_step step, lost, less;
    struct uw_words words = {0};
    struct uw_fuse_condition condition;

    lost = uw_condition_step(&r->lost, h->state == UW_RX_LOST, now, 0, to_ns(c->clear_s));
    less = uw_condition_step(&r->degraded, degraded, now, to_ns(c->degraded_s), to_ns(c->clear_s));
    if (!was_raised && !r->lost.raised && !r->degraded.raised)
        return;
    step = lost == UW_CONDITION_BAD || less == UW_CONDITION_BAD ? UW_CONDITION_BAD
                                                                : UW_CONDITION_GETTING_BETTER;
    if (!r->lost.raised && !r->degraded.raised)
        step = UW_CONDITION_OVER;
    uw_words_receiver(h, &words);
    condition = about_receiver(h, &words);
    uw_engine_tell(engine, step, &condition, words.headline, words.reason, time_ns);
}

int uw_engine_tell_failed(struct uw_engine *engine, const char *receiver, int64_t time_ns) {
    struct uw_health_receiver h = {
        .state = UW_RX_LOST, .problem = UW_RX_PROBLEM_FAILED, .since_ns = time_ns};
    struct uw_fuse_condition condition;
    struct uw_words words = {0};

    uw_str_copy(h.receiver, sizeof(h.receiver), receiver);
    uw_words_receiver(&h, &words);
    condition = about_receiver(&h, &words);
    (void)uw_fuse_condition_set(engine->fuse, &condition, time_ns);
    return 0;
}

static void update_coverage(struct uw_engine *engine, int64_t now, int64_t time_ns) {
    struct uw_listener listeners[UW_RX_MAX];

    for (int i = 0; i < engine->n_receivers; i++) {
        const struct uw_engine_rx *r = engine->receivers[i];
        listeners[i] = (struct uw_listener){
            .name = r->name,
            .freq_hz = r->health.freq_hz,
            .rate_hz = r->info.rate_hz,
            .walk = &r->walk,
            .hears = r->health.state != UW_RX_LOST,
            .why_not = uw_words_reason(r->health.problem),
        };
    }
    engine->coverage.mono_ns = now;
    uw_coverage_update(&engine->coverage, listeners, engine->n_receivers, time_ns);
}

static void tell_bands(struct uw_engine *engine, int64_t now, int64_t time_ns) {
    const struct uw_engine_health_config *c = &engine->config.health;

    for (int i = 0; i < engine->coverage.n; i++) {
        struct uw_band *band = &engine->coverage.bands[i];
        struct uw_health_blind blind = {.since_ns = band->since_ns};
        char over[UW_TEXT_LEN]; /* what is said at the end */
        struct uw_words words = {0};
        struct uw_fuse_condition condition;
        enum uw_condition_step step =
            uw_condition_step(&band->condition, band->since_ns != UW_TIME_NONE, now,
                              to_ns(c->blind_s), to_ns(c->clear_s));

        if (step == UW_CONDITION_QUIET)
            continue;
        uw_str_copy(blind.band, sizeof(blind.band), band->name);
        uw_str_copy(blind.why, sizeof(blind.why), band->why);
        uw_words_band(&blind, &words);
        condition = (struct uw_fuse_condition){
            .kind = UW_ALERT_COVERAGE,
            .subject = band->name,
            .severity = UW_SEVERITY_WARNING,
            .headline = words.headline,
            .reason = words.reason,
            .advice = words.advice,
            .since_ns = band->since_ns,
        };
        snprintf(
            over, sizeof(over),
            "A receiver hears this band again. Nobody did for %lld s, since the start for %lld "
            "s in all.",
            llround((double)band->was_blind_ns / 1e9), llround((double)band->blind_ns / 1e9));
        if (step == UW_CONDITION_OVER)
            snprintf(words.headline, sizeof(words.headline), "%s is listened to again", band->name);
        uw_engine_tell(engine, step, &condition, words.headline, over, time_ns);
    }
}

void uw_engine_coverage_renew(struct uw_engine *engine, const struct uw_sigdb *db, int64_t now) {
    struct uw_coverage *c = &engine->coverage, *before = malloc(sizeof(*before));
    char headline[UW_TEXT_LEN];

    if (before)
        *before = *c;
    uw_coverage_init(c, db, engine->config.region);
    for (int i = 0; before && i < before->n; i++) {
        bool stays = false;
        for (int k = 0; k < c->n; k++)
            stays |= strcmp(c->bands[k].name, before->bands[i].name) == 0;
        snprintf(headline, sizeof(headline), "%s need not be listened to", before->bands[i].name);
        if (!stays && before->bands[i].condition.raised)
            uw_fuse_condition_clear(engine->fuse, UW_ALERT_COVERAGE, before->bands[i].name,
                                    headline, "No enabled signature uses it any more.",
                                    uw_engine_node_time(engine, now));
    }
    free(before);
}

static void fill_blind(const struct uw_engine *engine, struct uw_health *h) {
    for (int i = 0; i < engine->coverage.n && h->n_blind < UW_BLIND_MAX; i++) {
        const struct uw_band *band = &engine->coverage.bands[i];
        struct uw_health_blind *b = &h->blind[h->n_blind];

        if (band->since_ns == UW_TIME_NONE)
            continue;
        h->n_blind++;
        uw_str_copy(b->band, sizeof(b->band), band->name);
        b->since_ns = band->since_ns;
        uw_str_copy(b->why, sizeof(b->why), band->why);
    }
}

static int64_t time_of_health(const struct uw_engine *engine, int64_t now) {
    int64_t time = engine->head.time_ns;

    if (engine->any_live)
        return uw_engine_node_time(engine, now);
    for (int i = 0; i < engine->n_receivers; i++)
        if (engine->receivers[i]->progress_ns > time)
            time = engine->receivers[i]->progress_ns;
    return time;
}

/* One alert, however many receivers suffer. */
static void tell_load(struct uw_engine *engine, int64_t now, int64_t time_ns) {
    struct uw_condition *c = &engine->system.load;
    bool bad = false;
    struct uw_fuse_condition condition = {
        .kind = UW_ALERT_SYSTEM,
        .subject = "load",
        .severity = UW_SEVERITY_WARNING,
        .headline = "This computer does not keep up with its receivers",
        .reason = uw_words_reason(UW_RX_PROBLEM_OVERLOADED),
        .advice = "Drones may be missed or found late. Stop other programs, or take fewer "
                  "receivers or lower rates.",
        .since_ns = UW_TIME_NONE,
    };

    for (int i = 0; i < engine->n_receivers; i++)
        bad |= is_recent(engine->receivers[i]->dropped_mono_ns, now);
    uw_engine_tell(engine, uw_condition_step(c, bad, now, LOAD_RAISE_NS, 0), &condition,
                   "This computer keeps up again", "No samples are dropped any more.", time_ns);
}

static void publish(struct uw_engine *engine, int64_t now, int64_t time_ns) {
    struct uw_health h;

    uw_health_init(&h);
    h.head = engine->head;
    h.head.time_ns = time_ns;
    h.n_receivers = engine->n_receivers;
    for (int i = 0; i < engine->n_receivers; i++)
        h.receivers[i] = engine->receivers[i]->health;
    fill_blind(engine, &h);
    h.queue_fusion = (int64_t)engine->order.n;
    h.queue_fusion_early = (int64_t)engine->n_early;
    h.queue_fusion_late = (int64_t)engine->n_late;
    h.queue_feed_dropped = (int64_t)uw_feed_dropped(engine->publisher.feed);
    h.disk_free_bytes = atomic_load_explicit(&engine->disk_free_bytes, memory_order_relaxed);
    uw_str_copy(h.previous_run, sizeof(h.previous_run), engine->previous.run);
    memcpy(h.previous_seq, engine->previous.seq, sizeof(h.previous_seq));
    engine->health_mono_ns = now;
    if (uw_feed_came_back(engine->publisher.feed)) /* an earlier one */
        atomic_store_explicit(&engine->feed_pulse_ns, now, memory_order_relaxed);
    uw_publish_health(&engine->publisher, &h);
}

void uw_engine_health(struct uw_engine *engine, int64_t now) {
    int64_t time_ns = time_of_health(engine, now);
    bool changed = false;

    /* what is queued is drained: that no more comes is no fault */
    if (atomic_load_explicit(&engine->stopping, memory_order_relaxed)) {
        if (engine->publisher.feed && engine->health_mono_ns &&
            now - engine->health_mono_ns >= PERIOD_NS)
            publish(engine, now, time_ns);
        return;
    }
    for (int i = 0; i < engine->n_receivers; i++)
        changed |= look_at(engine, engine->receivers[i], now, time_ns);
    if (engine->any_live) {
        update_coverage(engine, now, time_ns);
        for (int i = 0; i < engine->n_receivers; i++)
            tell_receiver(engine, engine->receivers[i], now, time_ns);
        tell_bands(engine, now, time_ns);
        uw_engine_keep_plan(engine);
        tell_load(engine, now, time_ns);
        uw_engine_system_step(engine, now);
    }
    if (engine->publisher.feed &&
        (changed || !engine->health_mono_ns || now - engine->health_mono_ns >= PERIOD_NS))
        publish(engine, now, time_ns);
}
