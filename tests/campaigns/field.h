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
#include "uw/sig/signature.h"
#include "uw/synth/synth.h"

#define FIELD_SETTINGS_MAX 4
#define FIELD_LIST_MAX     8192

struct field_alert {
    double time_s, confidence;
    char track[UW_ID_LEN];
    char family[UW_NAME_LEN], variant[UW_NAME_LEN], domain[UW_NAME_LEN];
};

/* A track of a drone's link. */
struct field_track {
    char track[UW_ID_LEN];
    char family[UW_NAME_LEN];
    double first_s;
    double confidence, llr; /* the highest that it had */
};

struct field_setting {
    double false_alerts_per_hour;
    struct field *field;
    struct uw_fuse *fuse;
    uint64_t n_alerts; /* ever; of which the first FIELD_LIST_MAX are kept */
    struct field_alert alerts[FIELD_LIST_MAX];
    uint64_t n_tracks; /* the same */
    struct field_track tracks[FIELD_LIST_MAX];
};

struct field {
    int n_settings;
    struct field_setting settings[FIELD_SETTINGS_MAX];
    double seconds; /* that were run */
};

/* The caller sets n_settings and their rates; the rest is filled in. */
void field_run(const struct uw_scenario *scenario, int receiver, const struct uw_sigdb *db,
               bool stop_at_alert, bool below_noise, struct field *field);

#endif
