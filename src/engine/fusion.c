/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The fusion thread
 *
 * A receiver's progress at time t promises that all its records that end before t have been sent.
 * So what ends before the least progress of all receivers is complete, and is used in the order
 * (end, receiver, number): this order, and with it everything that follows, does not depend on
 * which thread was faster. A receiver that has ended is not waited for; a live one only for lag_s
 * of wall clock.
 *
 * Fusion advances to a record's end before the record is published, so what falls due between two
 * records is published between them.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine-impl.h"
#include "uw/base/log.h"
#include "uw/base/str.h"
#include "uw/base/time.h"

#define POLL_MS        50
#define POLL_NS        (POLL_MS * INT64_C(1000000))
#define FEED_LINGER_MS 300

static struct uw_engine_rx *find_receiver(struct uw_engine *engine, const char *name) {
    for (int i = 0; i < engine->n_receivers; i++)
        if (strcmp(engine->receivers[i]->name, name) == 0)
            return engine->receivers[i];
    return NULL;
}

static void refuse(struct uw_engine *engine, const char *why) {
    if (engine->n_refused++ == 0)
        uw_log(UW_LOG_WARNING, "fusion", "message refused: %s", why);
}

static int hold(struct uw_engine *engine, const struct uw_order_item *item) {
    int r = uw_order_push(&engine->order, item);

    if (r)
        free(item->detection);
    return r;
}

static int take_detection(struct uw_engine *engine, const struct uw_detection *d) {
    struct uw_engine_rx *rx = find_receiver(engine, d->receiver);
    struct uw_order_item item;

    if (!rx || rx->ended) {
        refuse(engine, "detection of a receiver that is not configured or has ended");
        return 0;
    }
    item = (struct uw_order_item){.time_ns = d->t_end_ns, .rank = rx->rank, .number = ++rx->number};
    item.detection = malloc(sizeof(*item.detection));
    if (!item.detection)
        return uw_err(-ENOMEM);
    *item.detection = *d;
    /* whoever sent it, it is published as this run's */
    item.detection->head = engine->head;
    item.detection->head.time_ns = d->t_end_ns;
    if (engine->time_ns != UW_TIME_NONE && d->t_end_ns < engine->time_ns)
        engine->n_late++;
    return hold(engine, &item);
}

/* Blind time is counted from what has come in, not from what was planned. */
static void account(struct uw_engine *engine, struct uw_engine_rx *rx,
                    const struct uw_progress *p) {
    double lost = (double)(p->quality.lost_samples - rx->quality.lost_samples);
    int64_t since = p->time_ns - rx->progress_ns;

    rx->heard_mono_ns = uw_clock_mono_ns();
    if (rx->progress_ns == UW_TIME_NONE || rx->health.state == UW_RX_LOST)
        return;
    since -= (int64_t)(fmax(lost, 0.0) / rx->info.rate_hz * 1e9);
    if (since > 0)
        uw_coverage_heard(&engine->coverage, p->tuning.centre_hz, rx->info.rate_hz, since,
                          rx->heard_mono_ns);
}

static int take_progress(struct uw_engine *engine, const struct uw_progress *p) {
    struct uw_engine_rx *rx = find_receiver(engine, p->receiver);

    if (!rx || rx->ended) {
        refuse(engine, "progress of a receiver that is not configured or has ended");
        return 0;
    }
    if (engine->any_live)
        account(engine, rx, p);
    if (p->time_ns > rx->progress_ns)
        rx->progress_ns = p->time_ns;
    rx->stale = false;
    rx->quality = p->quality;
    rx->ended = p->end;
    rx->failed = p->failed;
    if (!p->failed)
        return 0;
    return hold(engine, &(struct uw_order_item){
                            .time_ns = rx->progress_ns, .rank = rx->rank, .number = ++rx->number});
}

static int take(struct uw_engine *engine, const struct uw_bus_item *item) {
    return item->type == UW_MSG_DETECTION ? take_detection(engine, &item->detection)
                                          : take_progress(engine, &item->progress);
}

static void find_stale(struct uw_engine *engine, int64_t now) {
    int64_t lag = (int64_t)(engine->config.lag_s * 1e9);

    for (int i = 0; i < engine->n_receivers; i++) {
        struct uw_engine_rx *rx = engine->receivers[i];
        if (rx->info.live && !rx->ended && now - rx->heard_mono_ns > lag)
            rx->stale = true;
    }
}

/* The least progress of those that are waited for; INT64_MAX if there is none. */
static int64_t horizon(const struct uw_engine *engine) {
    int64_t least = INT64_MAX;

    for (int i = 0; i < engine->n_receivers; i++) {
        const struct uw_engine_rx *rx = engine->receivers[i];
        if (!rx->ended && !rx->stale && rx->progress_ns < least)
            least = rx->progress_ns;
    }
    return least;
}

static int64_t furthest(const struct uw_engine *engine) {
    int64_t most = UW_TIME_NONE;

    for (int i = 0; i < engine->n_receivers; i++)
        if (engine->receivers[i]->progress_ns > most)
            most = engine->receivers[i]->progress_ns;
    return most;
}

static int advance(struct uw_engine *engine, int64_t time_ns) {
    if (time_ns > engine->time_ns)
        engine->time_ns = time_ns;
    return uw_fuse_advance(engine->fuse, time_ns);
}

static const char *name_of_rank(const struct uw_engine *engine, int rank) {
    for (int i = 0; i < engine->n_receivers; i++)
        if (engine->receivers[i]->rank == rank)
            return engine->receivers[i]->name;
    return "";
}

static int use(struct uw_engine *engine, const struct uw_order_item *item) {
    int r = advance(engine, item->time_ns);

    if (r)
        return r;
    if (!item->detection)
        return uw_engine_tell_failed(engine, name_of_rank(engine, item->rank), item->time_ns);
    engine->n_detections++;
    if (engine->detection)
        engine->detection(engine->userdata, item->detection);
    uw_publish_detection(&engine->publisher, item->detection);
    return uw_fuse_detection(engine->fuse, item->detection);
}

void uw_engine_wait_turn(void *userdata, int64_t time_ns) {
    struct uw_engine_rx *rx = userdata;
    struct uw_engine *engine = rx->engine;

    pthread_mutex_lock(&engine->mutex);
    for (;;) {
        int64_t turn = engine->turn_ns == UW_TIME_NONE ? rx->info.start_ns : engine->turn_ns;
        if (engine->turn_is_off || time_ns - turn <= UW_TURN_S * UW_NS_PER_S)
            break;
        pthread_cond_wait(&engine->turn_cond, &engine->mutex);
    }
    pthread_mutex_unlock(&engine->mutex);
}

/* The slowest file has come here: the others may go on. */
static void move_turn(struct uw_engine *engine, bool off) {
    pthread_mutex_lock(&engine->mutex);
    engine->turn_ns = engine->time_ns;
    engine->turn_is_off |= off;
    pthread_cond_broadcast(&engine->turn_cond);
    pthread_mutex_unlock(&engine->mutex);
}

/* Only with live receivers: files are held back at their end. */
static bool is_too_much(struct uw_engine *engine) {
    size_t most = engine->config.order_max ? engine->config.order_max : UW_ORDER_MAX;

    if (!engine->any_live || engine->order.n <= most)
        return false;
    if (engine->n_early++ == 0)
        uw_log_kv(UW_LOG_WARNING, "fusion", "records are used before their turn: too many wait",
                  uw_log_i("waiting", engine->order.n));
    return true;
}

static int release(struct uw_engine *engine) {
    int64_t until = horizon(engine);
    const struct uw_order_item *first;
    int r = 0;

    while (r == 0 && (first = uw_order_first(&engine->order)) &&
           (first->time_ns < until || is_too_much(engine))) {
        struct uw_order_item item = uw_order_pop(&engine->order);
        r = use(engine, &item);
        free(item.detection);
    }
    if (until == INT64_MAX)
        until = furthest(engine);
    if (r == 0 && until != UW_TIME_NONE)
        r = advance(engine, until);
    if (!engine->any_live && engine->time_ns != UW_TIME_NONE)
        move_turn(engine, false);
    return r ? r : engine->publisher.error;
}

static bool all_ended(const struct uw_engine *engine) {
    if (atomic_load_explicit(&engine->changing, memory_order_acquire))
        return false;
    for (int i = 0; i < engine->n_receivers; i++)
        if (!engine->receivers[i]->ended)
            return false;
    return true;
}

/* What goes by the wall clock: not at all when all receivers are files and the feed is off. */
static void by_the_clock(struct uw_engine *engine) {
    int64_t now;

    if (!engine->any_live && !engine->publisher.feed)
        return;
    now = uw_clock_mono_ns();
    if (now - engine->serve_mono_ns < POLL_NS)
        return;
    engine->serve_mono_ns = now;
    atomic_store_explicit(&engine->fusion_pulse_ns, now, memory_order_relaxed);
    find_stale(engine, now);
    uw_engine_health(engine, now);
    if (engine->publisher.feed)
        (void)uw_feed_serve(engine->publisher.feed, uw_publish_cached, &engine->publisher);
}

/* What the engine's own thread wants done here. */
static void answer_call(struct uw_engine *engine) {
    uw_engine_call_fn call;
    void *userdata;

    pthread_mutex_lock(&engine->mutex);
    call = engine->call;
    userdata = engine->call_userdata;
    pthread_mutex_unlock(&engine->mutex);
    if (!call)
        return;
    call(engine, userdata); /* the other thread waits */
    pthread_mutex_lock(&engine->mutex);
    engine->call = NULL;
    pthread_cond_broadcast(&engine->cond);
    pthread_mutex_unlock(&engine->mutex);
}

static int run(struct uw_engine *engine) {
    int timeout_ms = engine->any_live || engine->publisher.feed ? POLL_MS : -1;
    int r;

    while (!all_ended(engine)) {
        engine->receive_diag.n = 0;
        r = uw_bus_receive(engine->receiver, timeout_ms, &engine->receive_diag, &engine->item);
        if (r < 0)
            return r;
        if (r == UW_E_INPUT)
            refuse(engine, engine->receive_diag.n ? engine->receive_diag.text[0] : "unreadable");
        if (r == 0) {
            r = take(engine, &engine->item);
            if (r)
                return r;
        }
        answer_call(engine);
        by_the_clock(engine);
        r = release(engine);
        if (r)
            return r;
    }
    r = uw_fuse_finish(engine->fuse, !engine->any_live);
    return r ? r : engine->publisher.error;
}

static int open_sockets(struct uw_engine *engine) {
    int r;

    r = uw_bus_receiver_new(engine->bus, engine->config.bus_endpoint, &engine->thread_diag,
                            &engine->receiver);
    if (r || !engine->config.feed)
        return r;
    r = uw_feed_new(engine->bus, engine->config.feed_endpoint, &engine->thread_diag,
                    &engine->publisher.feed);
    if (r == 0)
        uw_str_copy(engine->feed_endpoint, sizeof(engine->feed_endpoint),
                    uw_feed_endpoint(engine->publisher.feed));
    return r;
}

static void tell(struct uw_engine *engine, bool done, int r) {
    pthread_mutex_lock(&engine->mutex);
    engine->ready = true;
    engine->done = done;
    engine->thread_error = r;
    pthread_cond_broadcast(&engine->cond);
    pthread_mutex_unlock(&engine->mutex);
}

void uw_engine_fusion_main(void *userdata) {
    struct uw_engine *engine = userdata;
    int r = open_sockets(engine);

    if (r == 0) {
        tell(engine, false, 0);
        r = run(engine);
    }
    /* producers that wait for room or their turn must not wait for ever */
    if (r) {
        uw_bus_shutdown(engine->bus);
        move_turn(engine, true);
    }
    engine->receiver = uw_bus_receiver_free(engine->receiver);
    engine->publisher.feed = uw_feed_free(engine->publisher.feed, FEED_LINGER_MS);
    tell(engine, true, r);
}
