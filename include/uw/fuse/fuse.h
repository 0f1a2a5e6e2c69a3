/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_FUSE_FUSE_H
#define UW_FUSE_FUSE_H

/*
 * Fusion: detections in, tracks and alerts out
 *
 * Pure: no clock, socket, file or thread. The caller hands in detections in the order (t_end,
 * receiver, number) and says how far the signal has come; everything that depends on time (track
 * updates each second of signal, coasting, clearing) happens on a fixed grid of event time, so the
 * output is a function of the input alone.
 *
 * Evidence is a log-likelihood ratio in nats, added up per track (Wald's sequential test, A. Wald,
 * "Sequential Tests of Statistical Hypotheses", 1945): an alert is raised when the sum passes
 * ln(trials_per_hour / false_alerts_per_hour) and the signature's own rule is met (drone, and not
 * background).
 *
 * What counts as one link. An emitter of a receiver stays with the track it first joined, unless it
 * turns out to be another link than an earlier one of its receiver there: when the two are heard in
 * turn, the later one moves, with its evidence, to another track. A new emitter joins a live track
 * if signature and role agree, variant and domain do not contradict, and either no emitter of the
 * same receiver is in it (another receiver hears the same link), or the receiver's own have been
 * silent for coast_s and carrier offset and level fit (the same link again), or they ended before
 * it begins and variant, domain and carrier offset are the same (found again at once). Two emitters
 * of one receiver alive at the same time are two links.
 *
 * Confidence is what the detector says: the latest word of the receiver that is surest of those
 * that have heard the link within coast_s of its latest packet: it falls, too. Two receivers are no
 * surer than the surer one, as what is mistaken for a link at one antenna is mistaken at the other.
 * Where nobody has said anything it is the posterior 1 / (1 + exp(-(llr - prior))) with prior =
 * ln(trials_per_hour): one real link an hour among that many trials.
 *
 * Threads: one at a time. Ownership: config strings are copied; records passed to the callbacks are
 * valid during the call only.
 */

#include <stdbool.h>
#include <stdint.h>

#include "uw/msg/record.h"

struct uw_fuse_config {
    char site[UW_NAME_LEN];
    char node[UW_NAME_LEN];
    char run[UW_NAME_LEN];
    bool exercise;
    double false_alerts_per_hour; /* > 0 */
    double trials_per_hour;       /* independent chances of a false alert: see docs/detection.md */
    double coast_s;               /* no detection for this long: coasting */
    double clear_s;               /* ... for this long: track ended, alert cleared */
    double update_s;              /* an active alert is updated at most this often */
    int64_t max_tracks;
};

struct uw_fuse_ops {
    /* head is complete but for seq, which the caller numbers. */
    void (*track)(void *userdata, const struct uw_track *track);
    void (*alert)(void *userdata, const struct uw_alert *alert);
};

struct uw_fuse;

/* What happens to a track; the state machine is uw_fuse_next_state(), a pure table. */
enum uw_fuse_event {
    UW_FUSE_HEARD,   /* a detection; the evidence does not (or need not any more) suffice */
    UW_FUSE_PROVEN,  /* a detection; the evidence suffices for an alert */
    UW_FUSE_DOUBTED, /* a detection that took the evidence below half of the threshold */
    UW_FUSE_QUIET,   /* nothing for coast_s */
    UW_FUSE_GONE,    /* nothing for clear_s, or the end of input */
    UW_FUSE_EVENT_N
};
enum uw_track_state uw_fuse_next_state(enum uw_track_state state, enum uw_fuse_event event);

void uw_fuse_config_init(struct uw_fuse_config *config); /* defaults */
int uw_fuse_new(const struct uw_fuse_config *config, const struct uw_fuse_ops *ops, void *userdata,
                struct uw_fuse **ret_fuse);
struct uw_fuse *uw_fuse_free(struct uw_fuse *fuse);
/* Nats that an alert takes. */
double uw_fuse_threshold(const struct uw_fuse *fuse);
/* Detections in order; time first advances to d->t_end_ns. A detection seen before (same
 * identifier) is not counted again. 0 or -ENOMEM. */
int uw_fuse_detection(struct uw_fuse *fuse, const struct uw_detection *d);
/* The signal of every receiver has come to time_ns. */
int uw_fuse_advance(struct uw_fuse *fuse, int64_t time_ns);
/* End of all input: open tracks end, active alerts are cleared with the reason "end of input" when
 * `ended` (recordings), or are left (a daemon that stops). */
int uw_fuse_finish(struct uw_fuse *fuse, bool ended);

#define UW_FUSE_CONDITIONS_MAX 64

/* Something is the matter with the system itself. */
struct uw_fuse_condition {
    enum uw_alert_kind kind; /* coverage, receiver or system */
    const char *subject;     /* the band, receiver or part: at most one alert for each */
    enum uw_severity severity;
    enum uw_rx_problem problem;
    const char *headline, *reason, *advice; /* reason and advice may be NULL */
    int64_t since_ns;                       /* UW_TIME_NONE: now */
};
/* Raises the alert, or updates it when severity, problem or a text differs (texts alone at most
 * every update_s). Time does not advance: what is the matter with a receiver may be known only by
 * the clock, at a time to which its signal will never come. 0, or UW_E_AGAIN when there are
 * UW_FUSE_CONDITIONS_MAX alerts already. */
int uw_fuse_condition_set(struct uw_fuse *fuse, const struct uw_fuse_condition *condition,
                          int64_t time_ns);
/* Clears it; nothing if there is none. */
void uw_fuse_condition_clear(struct uw_fuse *fuse, enum uw_alert_kind kind, const char *subject,
                             const char *headline, const char *reason, int64_t time_ns);
/* Takes new limits and the mark of an exercise from a configuration; names and run stay. What
 * there is stays, too: a stricter limit clears no alert. 0, -EINVAL or -ENOMEM. */
int uw_fuse_configure(struct uw_fuse *fuse, const struct uw_fuse_config *config);
int64_t uw_fuse_n_tracks(const struct uw_fuse *fuse); /* that ever were */
int64_t uw_fuse_n_alerts(const struct uw_fuse *fuse); /* of kind uas that ever were raised */
/* Detections that found no room (max_tracks), and tentative tracks that had to make room. */
int64_t uw_fuse_n_dropped(const struct uw_fuse *fuse);

#endif
