/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_FUSE_FUSE_H
#define UW_FUSE_FUSE_H

/*
 * Fusion: detections in, tracks and alerts out
 *
 * Pure: no clock, socket, file or thread. The caller hands in detections in the order (t_end, receiver,
 * number) and says how far the signal has come; everything that depends on time (track updates each
 * second of signal, coasting, clearing) happens on a fixed grid of event time, so the output is a
 * function of the input alone.
 *
 * Evidence is a log-likelihood ratio in nats, added up per track (Wald's sequential test, A. Wald, "Sequential
 * Tests of Statistical Hypotheses", 1945): an alert is raised when the sum passes
 * ln(trials_per_hour / false_alerts_per_hour) and the signature's own rule is met (drone, and not background).
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

void uw_fuse_config_init(struct uw_fuse_config *config); /* defaults */
int uw_fuse_new(const struct uw_fuse_config *config, const struct uw_fuse_ops *ops, void *userdata,
                struct uw_fuse **ret_fuse);
struct uw_fuse *uw_fuse_free(struct uw_fuse *fuse);
/* Nats that an alert takes. */
double uw_fuse_threshold(const struct uw_fuse *fuse);
/* Detections in order; time first advances to d->t_end_ns. 0 or -ENOMEM. */
int uw_fuse_detection(struct uw_fuse *fuse, const struct uw_detection *d);
/* The signal of every receiver has come to time_ns. */
int uw_fuse_advance(struct uw_fuse *fuse, int64_t time_ns);
/* End of all input: open tracks end, active alerts are cleared with the reason "end of input" when
 * `ended` (recordings), or are left (a daemon that stops). */
int uw_fuse_finish(struct uw_fuse *fuse, bool ended);
int64_t uw_fuse_n_tracks(const struct uw_fuse *fuse); /* that ever were */
int64_t uw_fuse_n_alerts(const struct uw_fuse *fuse); /* of kind uas that ever were raised */

#endif
