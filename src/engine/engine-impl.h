/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_ENGINE_ENGINE_IMPL_H
#define UW_SRC_ENGINE_ENGINE_IMPL_H

/*
 * Private to src/engine
 *
 *   config.c   the configuration file
 *   engine.c   life of the whole
 *   fusion.c   the fusion thread: what comes in, in which order it is used
 *   order.c    records held until their turn
 *   publish.c  numbering, encoding, the feed and its memory for late joiners
 *   health.c   states of the receivers
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uw/base/err.h"
#include "uw/bus/bus.h"
#include "uw/engine/engine.h"
#include "uw/rx/rx.h"

/* --- order.c: a heap on (time, receiver's rank, number). One thread. --- */

struct uw_order_item {
    int64_t time_ns;
    int rank; /* of the receiver's name among all names */
    uint64_t number;
    struct uw_detection *detection; /* owned; NULL: the receiver has failed here */
};

struct uw_order {
    struct uw_order_item *items;
    size_t n, n_room;
};

int uw_order_push(struct uw_order *order, const struct uw_order_item *item);
const struct uw_order_item *uw_order_first(const struct uw_order *order); /* or NULL */
struct uw_order_item uw_order_pop(struct uw_order *order);                /* not empty */
void uw_order_deinit(struct uw_order *order);

/* --- publish.c. One thread. --- */

struct uw_cached {
    enum uw_msg_type type;
    char id[UW_ID_LEN];
    uint64_t seq;
    char *topic, *json;
};

struct uw_publisher {
    struct uw_feed *feed; /* NULL: off */
    uw_engine_message_fn message;
    void *userdata;
    uint64_t seq[UW_MSG_TYPE_N];
    size_t n_cached, n_room;
    struct uw_cached *cached;
    int error; /* the first */
};

void uw_publish_detection(struct uw_publisher *p, const struct uw_detection *d);
void uw_publish_track(struct uw_publisher *p, const struct uw_track *t);
void uw_publish_alert(struct uw_publisher *p, const struct uw_alert *a);
void uw_publish_health(struct uw_publisher *p, const struct uw_health *h);
/* A uw_feed_subscribed_fn: repeats what a late joiner has to know. */
void uw_publish_cached(void *publisher, const char *prefix, size_t len);
void uw_publisher_deinit(struct uw_publisher *p);

/* --- one receiver as fusion and health see it --- */

struct uw_engine_rx {
    const char *name; /* in the config */
    struct uw_rx *rx;
    struct uw_source_info info;
    int rank;

    /* fusion thread */
    bool ended, failed, stale;
    int64_t progress_ns; /* UW_TIME_NONE: none yet */
    int64_t heard_mono_ns;
    uint64_t number;
    struct uw_quality quality;

    /* health, in the fusion thread */
    enum uw_rx_state state;
    uint64_t lost_before;
    int64_t lost_mono_ns; /* when samples were last lost; 0: never */
    int64_t silent_since_ns;
};

struct uw_engine {
    struct uw_engine_config config;
    uw_engine_detection_fn detection;
    void *userdata;
    struct uw_head head;
    struct uw_sigdb *db;
    struct uw_bus *bus;
    int n_receivers;
    struct uw_engine_rx receivers[UW_RX_MAX];
    bool any_live;
    bool rx_started, finished;
    int64_t start_mono_ns;

    /* fusion thread's own */
    struct uw_thread *thread;
    struct uw_bus_receiver *receiver;
    struct uw_publisher publisher;
    struct uw_fuse *fuse;
    struct uw_order order;
    struct uw_bus_item item;
    struct uw_diag receive_diag;
    int64_t time_ns; /* to which fusion has come */
    uint64_t n_detections, n_late, n_refused;
    int64_t health_mono_ns, serve_mono_ns;

    /* between the threads */
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool ready, done;
    int thread_error;
    struct uw_diag thread_diag;
    char feed_endpoint[UW_PATH_LEN];
};

void uw_engine_fusion_main(void *engine);
/* From the fusion thread, as often as it likes. */
void uw_engine_health(struct uw_engine *engine, int64_t now_mono_ns);

#endif
