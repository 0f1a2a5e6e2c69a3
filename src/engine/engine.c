/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "uw/engine/engine.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "engine-impl.h"
#include "uw/base/log.h"
#include "uw/base/str.h"
#include "uw/base/thread.h"
#include "uw/base/time.h"
#include "uw/base/util.h"
#include "uw/engine/plan.h"
#include "uw/sig/signature.h"

/* "r20261123T201500" */
static void make_run(char run[UW_NAME_LEN]) {
    time_t now = (time_t)(uw_clock_real_ns() / UW_NS_PER_S);
    struct tm tm;

    gmtime_r(&now, &tm);
    strftime(run, UW_NAME_LEN, "r%Y%m%dT%H%M%S", &tm);
}

static int check_name(const char *what, const char *name, struct uw_diag *diag) {
    if (uw_str_is_name(name))
        return 0;
    return uw_diag_add(diag, "%s \"%s\": 1 to 31 of A-Z a-z 0-9 _ - are needed", what, name);
}

static int check_receivers(const struct uw_engine_config *c, struct uw_diag *diag) {
    if (c->n_receivers < 1 || c->n_receivers > UW_RX_MAX)
        return uw_diag_add(diag, "receivers: 1 to %d are needed", UW_RX_MAX);
    for (int i = 0; i < c->n_receivers; i++) {
        const char *name = c->receivers[i].name;
        int r = check_name("receiver", name, diag);
        if (r)
            return r;
        if (strlen(name) + strlen(c->run) > UW_RX_NAMES_LEN)
            return uw_diag_add(diag,
                               "receiver \"%s\": together with the run \"%s\" the name is "
                               "longer than %d characters",
                               name, c->run, UW_RX_NAMES_LEN);
        for (int k = 0; k < i; k++)
            if (strcmp(name, c->receivers[k].name) == 0)
                return uw_diag_add(diag, "receiver \"%s\": there are two of that name", name);
    }
    return 0;
}

int uw_engine_check(const struct uw_engine_config *c, struct uw_diag *diag) {
    int r;

    r = check_name("site", c->site, diag);
    if (r == 0)
        r = check_name("node", c->node, diag);
    if (r == 0)
        r = check_name("run", c->run, diag);
    if (r == 0)
        r = check_receivers(c, diag);
    if (r == 0 && !c->signature_dir[0])
        r = uw_diag_add(diag, "signatures: no directory is given");
    return r;
}

int uw_engine_enable_signatures(const struct uw_engine_config *c, struct uw_sigdb *db,
                                struct uw_diag *diag) {
    const char *ids[UW_SIGNATURES_MAX];

    for (int i = 0; i < c->n_signatures; i++)
        ids[i] = c->signatures[i];
    return c->n_signatures > 0 ? uw_sigdb_enable(db, ids, (size_t)c->n_signatures, diag) : 0;
}

int uw_engine_load_signatures(const struct uw_engine_config *c, struct uw_diag *diag,
                              struct uw_sigdb **ret_db) {
    UW_CLEANUP(uw_sigdb_freep) struct uw_sigdb *db = NULL;
    int r;

    r = uw_sigdb_load(c->signature_dir, diag, &db);
    if (r == 0)
        r = uw_engine_enable_signatures(c, db, diag);
    if (r)
        return r;
    *ret_db = db;
    db = NULL;
    return 0;
}

static void on_track(void *userdata, const struct uw_track *track) {
    struct uw_engine *engine = userdata;

    uw_publish_track(&engine->publisher, track);
}

static void on_alert(void *userdata, const struct uw_alert *alert) {
    struct uw_engine *engine = userdata;

    uw_publish_alert(&engine->publisher, alert);
}

static void fill_head(struct uw_engine *engine) {
    const struct uw_engine_config *c = &engine->config;

    uw_str_copy(engine->head.site, sizeof(engine->head.site), c->site);
    uw_str_copy(engine->head.node, sizeof(engine->head.node), c->node);
    uw_str_copy(engine->head.run, sizeof(engine->head.run), c->run);
    engine->head.exercise = c->exercise;
}

static int make_fuse(struct uw_engine *engine) {
    static const struct uw_fuse_ops ops = {.track = on_track, .alert = on_alert};
    struct uw_fuse_config fc = engine->config.fuse;

    uw_str_copy(fc.site, sizeof(fc.site), engine->head.site);
    uw_str_copy(fc.node, sizeof(fc.node), engine->head.node);
    uw_str_copy(fc.run, sizeof(fc.run), engine->head.run);
    fc.exercise = engine->head.exercise;
    return uw_fuse_new(&fc, &ops, engine, &engine->fuse);
}

static int make_parts(struct uw_engine *engine, struct uw_diag *diag) {
    int r;

    if (!engine->config.run[0])
        make_run(engine->config.run);
    r = uw_engine_check(&engine->config, diag);
    if (r)
        return r;
    fill_head(engine);
    r = uw_engine_load_signatures(&engine->config, diag, &engine->db);
    if (r)
        return r;
    r = uw_bus_new(&engine->bus);
    if (r)
        return r;
    r = make_fuse(engine);
    for (int i = 0; r == 0 && i < engine->config.n_receivers; i++) {
        r = uw_engine_rx_new(engine, &engine->config, engine->db, i, diag, &engine->receivers[i]);
        engine->n_receivers += r == 0;
    }
    engine->next_rank = engine->n_receivers;
    for (int i = 0; i < engine->n_receivers; i++)
        engine->any_live |= engine->receivers[i]->info.live;
    if (r == 0)
        r = uw_engine_check_kinds(engine->receivers, engine->n_receivers, diag);
    if (r == 0 && !uw_plan_knows_region(engine->db, engine->config.region))
        r = uw_diag_add(diag, UW_NO_REGION, engine->config.region);
    if (r == 0) {
        uw_coverage_init(&engine->coverage, engine->db, engine->config.region);
        engine->plan_db = engine->db;
        uw_engine_replan(engine);
        for (int i = 0; i < engine->n_receivers; i++)
            if (engine->receivers[i]->walk.n == 0) /* the plan says it of the others */
                uw_engine_rx_say_limits(engine, engine->receivers[i]);
    }
    return r;
}

int uw_engine_new(const struct uw_engine_config *config, struct uw_diag *diag,
                  uw_engine_message_fn message, uw_engine_detection_fn detection, void *userdata,
                  struct uw_engine **ret_engine) {
    struct uw_engine *engine = calloc(1, sizeof(*engine));
    pthread_condattr_t attr;
    int r;

    if (!engine)
        return uw_err(-ENOMEM);
    pthread_mutex_init(&engine->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&engine->cond, &attr);
    pthread_cond_init(&engine->turn_cond, NULL);
    pthread_condattr_destroy(&attr);
    engine->config = *config;
    engine->publisher.message = message;
    engine->publisher.userdata = userdata;
    engine->detection = detection;
    engine->userdata = userdata;
    engine->time_ns = UW_TIME_NONE;
    engine->turn_ns = UW_TIME_NONE;
    engine->disk_free_bytes = -1;
    r = make_parts(engine, diag);
    if (r) {
        uw_engine_free(engine);
        return r;
    }
    *ret_engine = engine;
    return 0;
}

static int copy_diag(int r, const struct uw_diag *from, struct uw_diag *diag) {
    for (int i = 0; i < from->n; i++)
        uw_diag_add(diag, "%s", from->text[i]);
    return r;
}

static bool wait_for(struct uw_engine *engine, const bool *flag, int timeout_ms) {
    struct timespec until;
    bool is;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (timeout_ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&engine->mutex);
    while (!*flag)
        if (timeout_ms < 0)
            pthread_cond_wait(&engine->cond, &engine->mutex);
        else if (pthread_cond_timedwait(&engine->cond, &engine->mutex, &until))
            break;
    is = *flag;
    pthread_mutex_unlock(&engine->mutex);
    return is;
}

static int error_of_thread(struct uw_engine *engine) {
    int r;

    pthread_mutex_lock(&engine->mutex);
    r = engine->thread_error;
    pthread_mutex_unlock(&engine->mutex);
    return r;
}

int uw_engine_start(struct uw_engine *engine, struct uw_diag *diag) {
    int r;

    engine->start_mono_ns = uw_clock_mono_ns();
    for (int i = 0; i < engine->n_receivers; i++) {
        engine->receivers[i]->heard_mono_ns = engine->start_mono_ns;
        engine->receivers[i]->begin_mono_ns = engine->start_mono_ns;
    }
    uw_engine_system_init(engine);
    uw_engine_read_previous(engine);
    r = uw_thread_start("uw-fusion", uw_engine_fusion_main, engine, &engine->thread);
    if (r)
        return r;
    wait_for(engine, &engine->ready, -1);
    r = error_of_thread(engine);
    if (r)
        return copy_diag(r, &engine->thread_diag, diag);
    engine->rx_started = true;
    for (int i = 0; r == 0 && i < engine->n_receivers; i++)
        r = uw_rx_start(engine->receivers[i]->rx);
    return r;
}

bool uw_engine_wait(struct uw_engine *engine, int timeout_ms) {
    return wait_for(engine, &engine->done, timeout_ms);
}

void uw_engine_stop(struct uw_engine *engine) {
    atomic_store_explicit(&engine->stopping, true, memory_order_relaxed);
    for (int i = 0; i < engine->n_receivers; i++)
        uw_rx_stop(engine->receivers[i]->rx);
}

static void sum_up(const struct uw_engine *engine, struct uw_engine_summary *s) {
    *s = (struct uw_engine_summary){
        .detections = engine->n_detections,
        .tracks = (uint64_t)uw_fuse_n_tracks(engine->fuse),
        .alerts = (uint64_t)uw_fuse_n_alerts(engine->fuse),
        .late = engine->n_late,
        .wall_s = (double)(uw_clock_mono_ns() - engine->start_mono_ns) / (double)UW_NS_PER_S,
    };
    for (int i = 0; i < engine->n_receivers; i++) {
        struct uw_rx_stats stats;
        double seconds;

        uw_rx_stats(engine->receivers[i]->rx, &stats);
        seconds = (double)(stats.samples + stats.lost) / engine->receivers[i]->info.rate_hz;
        s->seconds = fmax(s->seconds, seconds);
        s->samples += stats.samples;
        s->dropped += stats.lost;
    }
}

int uw_engine_finish(struct uw_engine *engine, struct uw_diag *diag,
                     struct uw_engine_summary *ret_summary) {
    int r = 0;

    engine->thread = uw_thread_join(engine->thread);
    engine->finished = true;
    if (engine->thread_error)
        uw_engine_stop(engine);
    for (int i = 0; engine->rx_started && i < engine->n_receivers; i++) {
        int error = uw_rx_join(engine->receivers[i]->rx, diag);
        if (error && r == 0)
            r = error;
    }
    if (r == 0 && engine->thread_error && engine->thread_error != -UW_BUS_ETERM)
        r = copy_diag(engine->thread_error, &engine->thread_diag, diag);
    if (engine->n_late)
        uw_log(UW_LOG_WARNING, "fusion", "%llu detections came too late for their turn",
               (unsigned long long)engine->n_late);
    if (engine->n_refused)
        uw_log(UW_LOG_WARNING, "fusion", "%llu messages were refused",
               (unsigned long long)engine->n_refused);
    if (r == 0 && engine->rx_started)
        uw_engine_write_previous(engine);
    if (ret_summary)
        sum_up(engine, ret_summary);
    return r;
}

struct uw_engine *uw_engine_free(struct uw_engine *engine) {
    if (!engine)
        return NULL;
    if (engine->thread) {
        uw_engine_stop(engine);
        uw_bus_shutdown(engine->bus);
        uw_engine_finish(engine, NULL, NULL);
    }
    for (int i = 0; i < engine->n_receivers; i++)
        uw_engine_rx_free(engine->receivers[i]);
    uw_fuse_free(engine->fuse);
    uw_bus_free(engine->bus);
    uw_sigdb_free(engine->db);
    for (int i = 0; i < engine->n_old_dbs; i++)
        uw_sigdb_free(engine->old_dbs[i]);
    uw_order_deinit(&engine->order);
    uw_publisher_deinit(&engine->publisher);
    pthread_cond_destroy(&engine->cond);
    pthread_cond_destroy(&engine->turn_cond);
    pthread_mutex_destroy(&engine->mutex);
    free(engine);
    return NULL;
}

double uw_engine_fraction(const struct uw_engine *engine) {
    double done = 0, total = 0;

    for (int i = 0; i < engine->n_receivers; i++) {
        struct uw_rx_stats stats;

        if (engine->receivers[i]->info.n_samples == 0)
            return NAN;
        uw_rx_stats(engine->receivers[i]->rx, &stats);
        done += (double)stats.samples;
        total += (double)engine->receivers[i]->info.n_samples;
    }
    return total > 0 ? fmin(done / total, 1) : NAN;
}

const char *uw_engine_feed_endpoint(const struct uw_engine *engine) {
    return engine->feed_endpoint[0] ? engine->feed_endpoint : NULL;
}

int uw_engine_call(struct uw_engine *engine, uw_engine_call_fn fn, void *userdata) {
    bool done;

    pthread_mutex_lock(&engine->mutex);
    engine->call = fn;
    engine->call_userdata = userdata;
    while (engine->call && !engine->done)
        pthread_cond_wait(&engine->cond, &engine->mutex);
    done = !engine->call;
    engine->call = NULL;
    pthread_mutex_unlock(&engine->mutex);
    return done ? 0 : UW_E_AGAIN;
}

void uw_engine_tick(struct uw_engine *engine) {
    const char *dir = engine->config.state_dir;
    struct statvfs fs;

    if (dir[0] && statvfs(dir, &fs) == 0)
        atomic_store_explicit(&engine->disk_free_bytes, (int64_t)fs.f_bavail * (int64_t)fs.f_frsize,
                              memory_order_relaxed);
}

static bool is_old(int64_t pulse_ns, int64_t begin_ns, int64_t now, double limit_s) {
    int64_t since = pulse_ns > begin_ns ? pulse_ns : begin_ns;

    return (double)(now - since) > limit_s * (double)UW_NS_PER_S;
}

/* Does another receiver give samples? Then a restart would cost them. */
static bool others_hear(const struct uw_engine *engine, int except, int64_t now, double limit_s) {
    bool hearing = false;

    for (int i = 0; i < engine->n_receivers && !hearing; i++) {
        const struct uw_engine_rx *r = engine->receivers[i];
        struct uw_rx_stats stats;

        uw_rx_stats(r->rx, &stats);
        hearing = i != except && r->info.live && stats.last_sample_mono_ns &&
                  !is_old(stats.last_sample_mono_ns, 0, now, limit_s);
    }
    return hearing;
}

static const char *who_of(const struct uw_engine_rx *r, int64_t now, double limit_s,
                          double device_limit_s) {
    struct uw_source_health source;
    struct uw_rx_stats stats;

    uw_rx_stats(r->rx, &stats);
    if (!r->info.live || stats.ended)
        return NULL;
    if (is_old(stats.capture_pulse_ns, r->begin_mono_ns, now, limit_s))
        return "capture";
    if (is_old(stats.producer_pulse_ns, r->begin_mono_ns, now, limit_s))
        return "producer";
    uw_rx_source_health(r->rx, &source);
    if (source.pulse_mono_ns && is_old(source.pulse_mono_ns, r->begin_mono_ns, now, device_limit_s))
        return "device";
    return NULL;
}

bool uw_engine_is_alive(const struct uw_engine *engine, double limit_s,
                        char who[UW_ENGINE_WHO_LEN]) {
    int64_t fusion = atomic_load_explicit(&engine->fusion_pulse_ns, memory_order_relaxed);
    int64_t feed = atomic_load_explicit(&engine->feed_pulse_ns, memory_order_relaxed);
    int64_t now = uw_clock_mono_ns();

    if (!engine->any_live && !engine->config.feed)
        return true; /* recordings may take as long as they like */
    uw_str_copy(who, UW_ENGINE_WHO_LEN, "fusion");
    if (is_old(fusion, engine->start_mono_ns, now, limit_s))
        return false;
    uw_str_copy(who, UW_ENGINE_WHO_LEN, "feed");
    /* which speaks once a second */
    if (engine->config.feed && is_old(feed, engine->start_mono_ns, now, limit_s + 1))
        return false;
    for (int i = 0; i < engine->n_receivers; i++) {
        double times = others_hear(engine, i, now, limit_s) ? UW_ENGINE_DEVICE_TIMES_HEARING
                                                            : UW_ENGINE_DEVICE_TIMES;
        const char *what = who_of(engine->receivers[i], now, limit_s, times * limit_s);

        snprintf(who, UW_ENGINE_WHO_LEN, "%s of %s", what ? what : "", engine->receivers[i]->name);
        if (what)
            return false;
    }
    who[0] = 0;
    return true;
}
