/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_TESTS_CAMPAIGNS_FIELD_H
#define UW_TESTS_CAMPAIGNS_FIELD_H

/*
 * One receiver of a scenario through generator, detector, reporter and fusion, in memory
 *
 * The parts are those of the daemon (src/rx/report.c with its merging, src/fuse with its rules), so
 * an alert here is an alert there; only threads, bus and journal are left out. Several settings of
 * the false-alert rate run beside each other on the same detections.
 *
 * Threads: any, one run each. Everything aborts the program on errors.
 */

#include <stdbool.h>
#include <stdint.h>

#include "uw/fuse/fuse.h"
#include "uw/sig/confidence.h"
#include "uw/sig/signature.h"
#include "uw/synth/synth.h"

#define FIELD_SETTINGS_MAX 4
#define FIELD_LIST_MAX     4096
#define FIELD_EMITTERS_MAX 8

/* What was on the air, for runs that ask which track follows whom. */
struct field_burst {
    double start_s, stop_s, low_hz, high_hz;
    int emitter; /* index in the scenario, below FIELD_EMITTERS_MAX */
};

struct field_truth {
    size_t n, room;
    double longest_s;           /* of all bursts */
    struct field_burst *bursts; /* in the order of their starts */
};

/* Whom the emitter of a detection has been: how many of its bursts were told of where a link had
 * one, when one had one elsewhere, and when nobody had (all those of a detection go by its last).
 */
struct field_heard {
    char emitter[UW_ID_LEN];
    int64_t bursts;
    int64_t there, aside, none;
};

/* With what the alert rested on: the detection that raised it. */
struct field_alert {
    double time_s, confidence, llr, age_s; /* age: of its track */
    struct uw_evidence evidence;
    struct field_heard heard; /* with a truth */
    double snr_db;
    char track[UW_ID_LEN];
    char family[UW_NAME_LEN], variant[UW_NAME_LEN], domain[UW_NAME_LEN];
};

/* A track of a drone's link. */
struct field_track {
    char track[UW_ID_LEN];
    char family[UW_NAME_LEN];
    double first_s;
    double confidence, llr; /* the highest that it had */
    bool confirmed;         /* ever */
    int64_t last_seen_ns;
    int votes[FIELD_EMITTERS_MAX]; /* how often it was heard where this emitter had a burst, ... */
    int aside[FIELD_EMITTERS_MAX]; /* ... when it had one elsewhere in the band, ... */
    int strangers;                 /* ... and when nobody had */
};

/* What confidence rests on, and whether it was right: each time that the packets of an emitter have
 * doubled, and when it raised an alert. */
struct field_sample {
    int setting; /* whose alert; -1: none */
    char family[UW_NAME_LEN];
    double time_s, confidence;
    double x[UW_LINK_FEATURES];
    bool ruled;
    struct field_heard heard;
};

struct field_setting {
    double false_alerts_per_hour;
    const struct field_truth *truth; /* or NULL */
    const struct uw_detection *now;  /* what fusion is being told ... */
    const struct field_heard *heard; /* ... and of whom */
    struct uw_fuse *fuse;
    uint64_t n_alerts; /* ever; of which the first FIELD_LIST_MAX are kept */
    struct field_alert alerts[FIELD_LIST_MAX];
    uint64_t n_tracks; /* the same */
    struct field_track tracks[FIELD_LIST_MAX];
};

struct field {
    /* set by the caller */
    bool below_noise;
    bool tells_losses;       /* the receiver knows what its `losses` took, as live ones do */
    const char *stop_family; /* ends at the first right alert of this family; NULL: never */
    double stop_from_s;
    const struct field_truth *truth;
    int n_settings;
    struct field_setting settings[FIELD_SETTINGS_MAX]; /* their rates are the caller's */
    double seconds;                                    /* filled in: that were run */
    size_t n_samples; /* the same; the first FIELD_LIST_MAX are kept */
    struct field_sample samples[FIELD_LIST_MAX];
};

void field_run(const struct uw_scenario *scenario, int receiver, const struct uw_sigdb *db,
               struct field *field);

/* The family is named, after start_s, and its emitter has been where the truth has bursts for at
 * least half of its own. A NULL family is never right. */
bool field_is_right(const struct field_alert *alert, const char *family, double start_s);
bool field_sample_is_right(const struct field_sample *sample, const char *family, double start_s);

/* Bursts that reach into the receiver's band, in the time that a receiver which tells its losses
 * (or does not) gives them; the caller frees with field_truth_free(). */
void field_truth_of(const struct uw_scenario *scenario, int receiver, bool tells_losses,
                    struct field_truth *ret);
void field_truth_free(struct field_truth *truth);

#endif
