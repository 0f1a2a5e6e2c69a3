/* SPDX-License-Identifier: GPL-3.0-or-later */

#undef NDEBUG

#include "trial.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "uw/base/err.h"

static struct trial_emitter *find(struct trial *t, const struct uw_finding *f) {
    for (int i = 0; i < t->n_emitters; ++i) {
        if (t->emitters[i].emitter == f->emitter)
            return &t->emitters[i];
    }
    if (t->n_emitters == TRIAL_EMITTERS_MAX)
        return NULL;
    t->emitters[t->n_emitters] = (struct trial_emitter){
        .emitter = f->emitter,
        .signature = f->signature,
        .alert_s = NAN,
    };
    return &t->emitters[t->n_emitters++];
}

static void on_finding(void *userdata, const struct uw_finding *f) {
    struct trial *t = userdata;
    struct trial_emitter *e = find(t, f);

    ++t->n_findings;
    if (!e)
        return;
    e->llr += f->llr;
    e->bursts = f->bursts;
    e->last_variant = f->variant;
    e->last_domain = f->domain;
    if (isnan(e->alert_s) && f->alertable && e->llr >= t->threshold) {
        e->alert_s = (double)f->stop / t->rate_hz;
        e->variant = f->variant;
        e->domain = f->domain;
    }
}

static void on_progress(void *userdata, uint64_t sample) {
    (void)userdata;
    (void)sample;
}

static void run(const struct uw_scenario *scenario, const struct uw_sigdb *db,
                double threshold_nats, bool stop_at_alert, bool below_noise, struct trial *ret) {
    static const struct uw_detector_ops ops = {.finding = on_finding, .progress = on_progress};
    const struct uw_synth_receiver *rx = &scenario->receivers[0];
    struct uw_detector_config config = {
        .rate_hz = rx->rate_hz,
        .freq_hz = rx->freq_hz,
        .format = rx->format,
        .db = db,
        .below_noise = below_noise,
    };
    struct uw_detector *detector = NULL;
    struct uw_synth *synth = NULL;
    struct uw_diag diag = {0};
    size_t n = 65536;
    void *block = malloc(n * uw_iq_format_size(rx->format));
    size_t got = n;

    *ret = (struct trial){.threshold = threshold_nats, .rate_hz = rx->rate_hz};
    int r = uw_synth_new(scenario, 0, &diag, &synth);
    uw_diag_print(&diag, stderr);
    assert(r == 0 && block);
    assert(uw_detector_new(&config, &ops, ret, &detector) == 0);
    while (got == n && !(stop_at_alert && trial_alert(ret))) {
        assert(uw_synth_read(synth, block, n, &got) == 0);
        uw_detector_push(detector, block, got);
    }
    uw_detector_flush(detector);
    uw_detector_free(detector);
    uw_synth_free(synth);
    free(block);
}

void trial_run(const struct uw_scenario *scenario, const struct uw_sigdb *db, double threshold_nats,
               bool stop_at_alert, struct trial *ret) {
    run(scenario, db, threshold_nats, stop_at_alert, false, ret);
}

void trial_run_below(const struct uw_scenario *scenario, const struct uw_sigdb *db,
                     double threshold_nats, bool stop_at_alert, struct trial *ret) {
    run(scenario, db, threshold_nats, stop_at_alert, true, ret);
}

const struct trial_emitter *trial_alert(const struct trial *trial) {
    const struct trial_emitter *first = NULL;

    for (int i = 0; i < trial->n_emitters; ++i) {
        const struct trial_emitter *e = &trial->emitters[i];

        if (!isnan(e->alert_s) && (!first || e->alert_s < first->alert_s))
            first = e;
    }
    return first;
}

int trial_n_alerts(const struct trial *trial) {
    int n = 0;

    for (int i = 0; i < trial->n_emitters; ++i)
        n += !isnan(trial->emitters[i].alert_s);
    return n;
}

struct uw_sigdb *trial_db(const char *directory) {
    struct uw_sigdb *db = NULL;
    struct uw_diag diag = {0};
    int r = uw_sigdb_load(directory, &diag, &db);

    uw_diag_print(&diag, stderr);
    assert(r == 0);
    return db;
}
