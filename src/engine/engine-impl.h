/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_ENGINE_ENGINE_IMPL_H
#define UW_SRC_ENGINE_ENGINE_IMPL_H

/*
 * Private to src/engine
 *
 *   config.c   the configuration file
 *   engine.c   life of the whole
 *   check.c    what --check-config finds beyond the form
 *   receiver.c one receiver
 *   reload.c   another configuration while it runs
 *   fusion.c   the fusion thread: what comes in, in which order it is used
 *   order.c    records held until their turn
 *   publish.c  numbering, encoding, the feed and its memory for late joiners
 *   health.c   states of the receivers, alerts about them, the message
 *   system.c   clock, disk, load, fusion itself
 *   coverage.c which bands are listened to, and which should be
 *   condition.c hysteresis
 *   previous.c numbers of the run before
 *   selftest.c before anything starts
 *   words.c    what people read about all that
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
#include "uw/sig/signature.h"

/* --- order.c: a heap on (time, receiver's rank, number). One thread. --- */

struct uw_order_item {
    int64_t time_ns;
    int rank; /* of the receiver's name among all names */
    uint64_t number;
    struct uw_detection *detection; /* owned; NULL: the receiver has failed here */
};

/* Live receivers are waited for lag_s; whoever sends a flood meanwhile does not get more room than
 * this (about 1 KiB each): the earliest are then used before their turn, and counted. */
#define UW_ORDER_MAX 65536
/* Files are waited for without limit, but none runs further ahead of the slowest than this. */
#define UW_TURN_S 10

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
void uw_publish_audit(struct uw_publisher *p, const struct uw_audit *a);
/* A uw_feed_subscribed_fn: repeats what a late joiner has to know. */
void uw_publish_cached(void *publisher, const char *prefix, size_t len);
void uw_publisher_deinit(struct uw_publisher *p);

/* --- condition.c: hysteresis. Plain data; monotonic times. --- */

struct uw_condition {
    bool known, bad, raised;
    int64_t since_ns; /* that it is bad, or not */
};

enum uw_condition_step {
    UW_CONDITION_QUIET,
    UW_CONDITION_BAD, /* it is, or has become, worth an alert: set it */
    UW_CONDITION_GETTING_BETTER,
    UW_CONDITION_OVER, /* now: clear it */
};

enum uw_condition_step uw_condition_step(struct uw_condition *c, bool bad, int64_t now_ns,
                                         int64_t raise_ns, int64_t clear_ns);

/* --- words.c --- */

struct uw_words {
    char headline[UW_TEXT_LEN], reason[UW_TEXT_LEN], advice[UW_TEXT_LEN];
};

const char *uw_words_reason(enum uw_rx_problem problem);
const char *uw_words_advice(enum uw_rx_problem problem);
void uw_words_receiver(const struct uw_health_receiver *h, struct uw_words *w);
void uw_words_band(const struct uw_health_blind *b, struct uw_words *w);

/* --- coverage.c: bands that the enabled signatures of drones need. Pure. --- */

#define UW_BANDS_MAX 64

struct uw_band {
    char name[UW_NAME_LEN]; /* "FCC915 903.5-926.9 MHz" */
    double low_hz, high_hz; /* lowest and highest channel */
    int n_channels;
    double channel_hz[UW_SIG_CHANNELS_MAX];
    bool wanted;      /* somebody is set to listen to it */
    bool covered;     /* ... and does */
    int64_t since_ns; /* of blindness, node time; UW_TIME_NONE: not blind */
    char why[UW_TEXT_LEN];
    struct uw_condition condition;
    /* from the samples that have come, whatever the plan says */
    int64_t heard_mono_ns; /* when somebody last listened there; 0: never yet */
    int64_t listened_ns;   /* in all, of all receivers */
    int64_t was_blind_ns;  /* the latest time that nobody did */
    int64_t blind_ns;      /* in all, up to then */
};

struct uw_coverage {
    int64_t mono_ns; /* now; 0: samples are not counted, states decide alone */
    int n;
    struct uw_band bands[UW_BANDS_MAX];
};

/* Somebody who listens, or should. */
struct uw_listener {
    const char *name;
    double freq_hz, rate_hz;       /* NAN: not known: covers nothing */
    const struct uw_rx_walk *walk; /* NULL, or n 0: it is at freq_hz */
    bool hears;
    const char *why_not; /* a reason, when it does not */
};

/* Takes over what it knows of bands that stay. */
void uw_coverage_init(struct uw_coverage *c, const struct uw_sigdb *db, const char *region);
void uw_coverage_update(struct uw_coverage *c, const struct uw_listener *listeners, int n,
                        int64_t time_ns);
/* Samples of this much time have come from a receiver at the centre. */
void uw_coverage_heard(struct uw_coverage *c, double freq_hz, double rate_hz, int64_t listened_ns,
                       int64_t mono_ns);

/* --- one receiver as fusion and health see it --- */

struct uw_engine_rx {
    struct uw_engine *engine;
    struct uw_engine_receiver config; /* its own copy */
    const char *name;                 /* in it */
    struct uw_rx *rx;
    struct uw_source_info info;
    int rank;

    /* fusion thread */
    bool ended, failed, stale;
    int64_t progress_ns; /* UW_TIME_NONE: none yet */
    int64_t heard_mono_ns;
    uint64_t number;
    struct uw_quality quality;
    struct uw_rx_walk walk; /* where it is to listen; n 0: not told yet */

    /* health, in the fusion thread */
    struct uw_health_receiver health;
    struct uw_condition lost, degraded;
    int64_t begin_mono_ns; /* from here on samples are missed */
    uint64_t lost_before, dropped_before;
    int64_t settled_mono_ns;               /* from here on losses count */
    int64_t lost_mono_ns, dropped_mono_ns; /* when samples were last lost; 0: never */
};

/* --- system.c: what is the matter with the node itself; fusion thread --- */

struct uw_engine_system {
    int64_t anchor_real_ns, anchor_mono_ns; /* the node's time goes on evenly from here */
    int64_t loop_mono_ns;                   /* of fusion's latest round */
    int64_t stood_still_ns, stood_still_at_mono_ns;
    uint64_t feed_dropped_before, fusion_early_before;
    int64_t feed_dropped_mono_ns, fusion_early_mono_ns;
    struct uw_condition clock, disk, feed, fusion, load;
};

/* --- previous.c: numbers of the run before. `text` is changed. 0 or UW_E_INPUT. --- */

struct uw_previous {
    char run[UW_NAME_LEN]; /* "": not known */
    uint64_t seq[UW_MSG_TYPE_N];
};

int uw_previous_parse(char *text, struct uw_previous *ret);

#define UW_OLD_DBS_MAX 8
#define UW_PAST_MAX    64

/* A receiver that was there before. */
struct uw_past {
    char name[UW_NAME_LEN];
    struct uw_rx_counts counts;
};

/* In the fusion thread, between two rounds. */
typedef void (*uw_engine_call_fn)(struct uw_engine *engine, void *userdata);

struct uw_engine {
    struct uw_engine_config config;
    uw_engine_detection_fn detection;
    void *userdata;
    struct uw_head head;
    struct uw_sigdb *db;
    struct uw_bus *bus;
    int n_receivers;
    struct uw_engine_rx *receivers[UW_RX_MAX];
    bool any_live;
    struct uw_previous previous;
    int next_rank;
    unsigned n_past;
    struct uw_past past[UW_PAST_MAX];
    int n_old_dbs; /* that a receiver may still use */
    struct uw_sigdb *old_dbs[UW_OLD_DBS_MAX];
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
    uint64_t n_detections, n_late, n_refused, n_early;
    int64_t health_mono_ns, serve_mono_ns;
    struct uw_coverage coverage;
    const struct uw_sigdb *plan_db; /* is changed here before the old one is freed */
    uint32_t planned_for;           /* receivers that were alive when the plan was made, as bits */
    struct uw_engine_system system;

    /* between the threads */
    atomic_bool stopping;
    _Atomic int64_t fusion_pulse_ns, feed_pulse_ns; /* monotonic: signs of life */
    _Atomic bool changing;                          /* receivers that end now are not the end */
    _Atomic int64_t disk_free_bytes;                /* -1: not known */
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool ready, done;
    uw_engine_call_fn call; /* NULL: none waits */
    void *call_userdata;
    int64_t turn_ns;  /* time_ns as files' producers know it; UW_TIME_NONE: not yet */
    bool turn_is_off; /* nobody is held back any more */
    pthread_cond_t turn_cond;
    int thread_error;
    struct uw_diag thread_diag;
    char feed_endpoint[UW_PATH_LEN];
};

/* Borrows database and engine. */
int uw_engine_rx_new(struct uw_engine *engine, const struct uw_engine_config *config,
                     const struct uw_sigdb *db, int i, struct uw_diag *diag,
                     struct uw_engine_rx **ret);
/* Where below_noise has no use: the first such of n centres (NAN: none is known), with its reason
 * in text. False: there is none. */
bool uw_engine_sweep_limit(const struct uw_sigdb *db, double rate_hz, const double *centre_hz,
                           int n, char *text, size_t text_len);
/* Logs that, where it listens now. */
void uw_engine_rx_say_limits(const struct uw_engine *engine, const struct uw_engine_rx *r);
struct uw_engine_rx *uw_engine_rx_free(struct uw_engine_rx *r);
bool uw_engine_rx_is_same(const struct uw_engine_receiver *a, const struct uw_engine_receiver *b,
                          bool but_frequency);
int uw_engine_check_kinds(struct uw_engine_rx *const *receivers, int n, struct uw_diag *diag);
/* Names and counts. */
int uw_engine_check(const struct uw_engine_config *config, struct uw_diag *diag);
/* Those that the configuration names, if it names any. */
int uw_engine_enable_signatures(const struct uw_engine_config *config, struct uw_sigdb *db,
                                struct uw_diag *diag);
int uw_engine_load_signatures(const struct uw_engine_config *config, struct uw_diag *diag,
                              struct uw_sigdb **ret_db);
/* From the engine's own thread: has the fusion thread do something, and waits for it. 0, or
 * UW_E_AGAIN: fusion has ended. */
int uw_engine_call(struct uw_engine *engine, uw_engine_call_fn fn, void *userdata);
void uw_engine_read_previous(struct uw_engine *engine);
void uw_engine_write_previous(const struct uw_engine *engine);
void uw_engine_fusion_main(void *engine);
/* For uw_rx_config.wait_turn; userdata is the struct uw_engine_rx. */
void uw_engine_wait_turn(void *rx, int64_t time_ns);
/* --- check.c: beyond the form --- */

struct uw_conf;

void uw_engine_check_file(struct uw_conf *conf, const struct uw_engine_config *config,
                          struct uw_diag *diag, struct uw_diag *remarks);

/* --- selftest.c; each fills detail. `spoil` and `mirrored` are for tests of the tests. --- */

#define UW_SELF_TEST_LEN 200

bool uw_self_test_fft(double spoil, char detail[UW_SELF_TEST_LEN]);
bool uw_self_test_lora(bool mirrored, char detail[UW_SELF_TEST_LEN]);
bool uw_self_test_disk(const char *dir, char detail[UW_SELF_TEST_LEN]);
bool uw_self_test_clock(int64_t real_ns, char detail[UW_SELF_TEST_LEN]);

#define UW_NO_REGION                                                                               \
    "region \"%s\": FCC, EU, AU, IN, TH, or the name of a channel plan (uaswatch signatures)"

/* --- walks.c; in the fusion thread, or before it is started --- */

/* Where receiver i begins: of a walk, where it stays longest. */
double uw_engine_first_centre(const struct uw_engine_config *config, const struct uw_sigdb *db,
                              int i);
/* Makes the plan with the receivers that are alive, and sends them to their places. */
void uw_engine_replan(struct uw_engine *engine);
/* ... if one is lost or has come back since. */
void uw_engine_keep_plan(struct uw_engine *engine);

/* From the fusion thread, as often as it likes. */
/* Why a live receiver that hears hears less than it should: pure. `drops`, `loses`: of late. */
enum uw_rx_problem uw_engine_lessened_by(const struct uw_source_health *s, bool drops, bool loses,
                                         double clip_ratio);
void uw_engine_health(struct uw_engine *engine, int64_t now_mono_ns);
/* Real time as it was when the engine started and has gone on evenly since: the time of live
 * receivers. */
int64_t uw_engine_node_time(const struct uw_engine *engine, int64_t mono_ns);
/* Other signatures: bands that are not wanted any more are no alert. Fusion thread. */
void uw_engine_coverage_renew(struct uw_engine *engine, const struct uw_sigdb *db,
                              int64_t now_mono_ns);
void uw_engine_system_init(struct uw_engine *engine);
void uw_engine_system_step(struct uw_engine *engine, int64_t now_mono_ns);
/* A condition of hysteresis becomes an alert, or its end. */
void uw_engine_tell(struct uw_engine *engine, enum uw_condition_step step,
                    const struct uw_fuse_condition *condition, const char *over_headline,
                    const char *over_reason, int64_t time_ns);
/* The alert about a receiver whose file cannot be read, at its place in the order. */
int uw_engine_tell_failed(struct uw_engine *engine, const char *receiver, int64_t time_ns);

#endif
