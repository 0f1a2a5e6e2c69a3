/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_TESTS_LIB_TRIAL_H
#define UW_TESTS_LIB_TRIAL_H

/* One run of generator into detector, in memory. Threads: any, one trial each. */

#include <stdbool.h>
#include <stdint.h>

#include "uw/sig/detector.h"
#include "uw/synth/synth.h"

#define TRIAL_EMITTERS_MAX 64

struct trial_emitter {
    uint64_t emitter;
    const struct uw_signature *signature;
    double llr;
    double alert_s;      /* NAN: none */
    const char *variant; /* as the alert says, or NULL */
    const char *domain;
    const char *last_variant; /* as the last finding says */
    const char *last_domain;
    int64_t bursts;
};

struct trial {
    int n_emitters;
    struct trial_emitter emitters[TRIAL_EMITTERS_MAX];
    double threshold;
    double rate_hz;
    int64_t n_findings;
    bool stop_at_alert;
};

/* Runs receiver 0 of the scenario; an emitter whose evidence passes threshold_nats while its rule
 * is met raises an alert. Fills *ret; stops at the first alert if `stop_at_alert`. Aborts the
 * program on any error. */
void trial_run(const struct uw_scenario *scenario, const struct uw_sigdb *db, double threshold_nats,
               bool stop_at_alert, struct trial *ret);
/* The same with struct uw_detector_config.below_noise. */
void trial_run_below(const struct uw_scenario *scenario, const struct uw_sigdb *db,
                     double threshold_nats, bool stop_at_alert, struct trial *ret);
/* The first alert, or NULL. */
const struct trial_emitter *trial_alert(const struct trial *trial);
int trial_n_alerts(const struct trial *trial);
/* The database of the source tree, or abort. */
struct uw_sigdb *trial_db(const char *directory);

#endif
