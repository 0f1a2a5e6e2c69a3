/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_ENGINE_ENGINE_H
#define UW_ENGINE_ENGINE_H

/*
 * The wiring: receivers, inner bus, fusion thread, feed
 *
 * uaswatchd and "uaswatch replay" both only fill a struct uw_engine_config (from a file, the
 * command line or both) and run it.
 *
 * Message sequences are a function of input and configuration alone (health apart) as long as all
 * receivers are files. With a live receiver the wall clock decides how long the slowest is waited
 * for (lag_s), when a silent one raises an alert of kind `receiver`, and nothing else. When no
 * receiver is heard from, event time stands still: what cannot be heard is not declared gone.
 *
 * Threads: all calls from one; the callback comes from the fusion thread, in the order of the feed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uw/fuse/fuse.h"
#include "uw/iq/source.h"
#include "uw/msg/record.h"

struct uw_diag;
struct uw_engine;

#define UW_PATH_LEN       512
#define UW_SIGNATURES_MAX 64
#define UW_STOPS_MAX      32

struct uw_engine_receiver {
    char name[UW_NAME_LEN];
    char path[UW_PATH_LEN];
    char device[UW_PATH_LEN];
    struct uw_source_params source; /* .path and .device are set from these by the engine */
    /* Of sources that can be tuned. Neither: they stay at source.freq_hz. */
    bool plan; /* the planner chooses (uw/engine/plan.h); source.freq_hz is only where it begins */
    int n_stops; /* not 0: these centres, one after the other */
    double centre_hz[UW_STOPS_MAX];
    double dwell_s; /* at each of them */
};

/* When the state of the system itself is worth an alert. Times are of the wall clock. */
struct uw_engine_health_config {
    double silent_s;        /* a live receiver without samples for this long is lost */
    double degraded_s;      /* one that hears less than it should, for this long: an alert */
    double clear_s;         /* what was lost must be well for this long to be told so */
    double blind_s;         /* a band that nobody listens to for this long: an alert */
    double clock_step_s;    /* a jump of the computer's clock by more than this: an alert */
    double disk_free_bytes; /* less than this in state_directory: an alert */
};

struct uw_engine_config {
    char site[UW_NAME_LEN];
    char node[UW_NAME_LEN];
    char run[UW_NAME_LEN]; /* "": made from the time of the start */
    bool exercise;
    char region[UW_NAME_LEN]; /* whose channel plans are planned for; "": all */
    char signature_dir[UW_PATH_LEN];
    int n_signatures; /* 0: all */
    char signatures[UW_SIGNATURES_MAX][UW_NAME_LEN];
    int n_receivers;
    struct uw_engine_receiver receivers[UW_RX_MAX];
    char bus_endpoint[UW_PATH_LEN];
    bool feed;
    char feed_endpoint[UW_PATH_LEN];
    double lag_s;  /* live receivers are waited for this long */
    int log_level; /* enum uw_log_level; for the program, which sets it */
    struct uw_fuse_config fuse;
    struct uw_engine_health_config health;
    char state_dir[UW_PATH_LEN]; /* what is kept; "": nothing is */
    bool below_noise;            /* look for LoRa links below the noise, too */
    size_t block_samples;        /* tests */
    unsigned delay_seed;         /* tests */
    size_t order_max; /* tests; 0: as many records may wait for their turn as there is room for */
};

struct uw_engine_summary {
    double seconds;                       /* of signal, the longest receiver */
    uint64_t samples, detections, tracks; /* samples: that went through the detectors */
    uint64_t alerts;                      /* of kind uas */
    uint64_t dropped;                     /* samples lost, by the sources or for want of time */
    uint64_t late;                        /* detections that came after their turn (live only) */
    double wall_s;
};

/* Everything that is sent on the feed, as it is sent. */
typedef void (*uw_engine_message_fn)(void *userdata, enum uw_msg_type type, const char *topic,
                                     const char *json);
/* The record behind the next message, for pictures and annotations. May be NULL. */
typedef void (*uw_engine_detection_fn)(void *userdata, const struct uw_detection *d);

void uw_engine_config_init(struct uw_engine_config *config); /* defaults */
/* Reads a configuration file over the defaults; paths in it are relative to its directory, the
 * signatures' default is "signatures" beside it, and the feed is on unless it is switched off.
 * Without `need_receivers` the receivers may be missing. */
int uw_engine_config_load(const char *path, bool need_receivers, struct uw_diag *diag,
                          struct uw_engine_config *config);

/* As a daemon would load it, and everything else that a start would find wrong: signature files and
 * names, recordings, endpoints, the state directory. All mistakes at once, with file and line; no
 * device, port or pipe is touched. What is good but costs more than its owner may think goes into
 * remarks. 0, -errno or UW_E_INPUT. */
int uw_engine_config_check(const char *path, struct uw_diag *diag, struct uw_diag *remarks);

/*
 * Before anything starts: that this machine computes what it should (the FFT against a closed form,
 * the LoRa matcher on a packet of plain mathematics), can write to the state directory and has a
 * clock that is set. 0, or UW_E_INPUT with all that failed in diag. `say` is told each result and
 * may be NULL.
 */
typedef void (*uw_engine_self_test_fn)(void *userdata, const char *name, bool good,
                                       const char *detail);
int uw_engine_self_test(const struct uw_engine_config *config, struct uw_diag *diag,
                        uw_engine_self_test_fn say, void *userdata);

int uw_engine_new(const struct uw_engine_config *config, struct uw_diag *diag,
                  uw_engine_message_fn message, uw_engine_detection_fn detection, void *userdata,
                  struct uw_engine **ret_engine);
int uw_engine_start(struct uw_engine *engine, struct uw_diag *diag);
/* True once every receiver has ended and fusion has finished. Waits up to timeout_ms. */
bool uw_engine_wait(struct uw_engine *engine, int timeout_ms);
/* Stops the sources; what is inside is flushed. */
void uw_engine_stop(struct uw_engine *engine);
/* Joins everything. 0, -errno, or UW_E_INPUT when a receiver failed (texts in diag). */
int uw_engine_finish(struct uw_engine *engine, struct uw_diag *diag,
                     struct uw_engine_summary *ret_summary);
struct uw_engine *uw_engine_free(struct uw_engine *engine);

/*
 * While it runs, for a daemon; from the thread that started it.
 */

/* Each second or so: measures the disk. */
void uw_engine_tick(struct uw_engine *engine);
#define UW_ENGINE_WHO_LEN 64
/* That many times limit_s may a call of a device's library take: only a new process ends one that
 * does not come back, but a restart makes the other receivers deaf for seconds. While one of them
 * gives samples it is therefore a last resort. */
#define UW_ENGINE_DEVICE_TIMES         3
#define UW_ENGINE_DEVICE_TIMES_HEARING 120
/* Whether capture and producer of every live receiver, fusion and the feed have each shown a sign
 * of life within limit_s (the feed: a second more; its messages must have come back through
 * libzmq's thread), and the threads of its device within the times above. If not, `who` has not.
 * True of recordings without a feed, which may take their time. */
bool uw_engine_is_alive(const struct uw_engine *engine, double limit_s,
                        char who[UW_ENGINE_WHO_LEN]);
/*
 * Goes over to another configuration without a restart: receivers are added, taken out, retuned or
 * opened anew, signatures, alerts, health, lag and exercise changed; what is the same goes on
 * undisturbed, and so do tracks and alerts. Site, node, bus and feed cannot be changed while it
 * runs, nor anything in a set of recordings. Says on the feed what it has done (audit, with `actor`
 * and `object`).
 *
 * 0, or on any mistake UW_E_INPUT or -errno with the reason in diag: then everything is as it was
 * before, and the feed has an audit message that says so.
 */
int uw_engine_reload(struct uw_engine *engine, const struct uw_engine_config *config,
                     const char *actor, const char *object, struct uw_diag *diag);
/* On the feed: somebody did something. Texts are cut. 0, or UW_E_AGAIN: fusion has ended. */
int uw_engine_audit(struct uw_engine *engine, const char *actor, const char *action,
                    const char *object, const char *detail);

/* Share of the files done, 0..1; NAN when not known. */
double uw_engine_fraction(const struct uw_engine *engine);
/* What the feed is bound to, after uw_engine_start(); NULL when it is off. */
const char *uw_engine_feed_endpoint(const struct uw_engine *engine);

#endif
