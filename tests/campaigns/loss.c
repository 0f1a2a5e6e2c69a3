/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What do lost samples and a walk over centres cost?
 *
 *   loss [--runs N] [--share S] [--snr DB] [--below 1] [--domain D] [--seconds S] [--untold 1]
 *
 * One ExpressLRS link (at +10 dB) in FCC915 (or EU868), for 8 s, through the detector, --below with
 * the search below the noise: at one centre and on a walk over two (0.5 s each, 0.05 s lost at each
 * retune), with a share of the samples lost at random in pieces of some lengths, each told to the
 * detector as a receiver counts it. --untold: at one centre, and not told, as in a recording. For
 * each air rate: runs without an alert, with two, with a second emitter spoken of, and the mean
 * time to the alert.
 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signal.h"
#include "trial.h"
#include "uw/base/err.h"
#include "uw/sig/detector.h"
#include "uw/synth/synth.h"

#define RATE_HZ   2.4e6
#define DWELL_S   0.5
#define SETTLE_S  0.05
#define THRESHOLD 14.8
#define PIECE     4800
#define PIECE_MAX 65536
#define HEARD_MAX 64

static const struct domain {
    const char *name;
    double centres_hz[2];
} domains[] = {{"FCC915", {915.5e6, 905.9e6}}, {"EU868", {866.4e6, 867.0e6}}};

struct words {
    double share, snr_db, seconds;
    int runs;
    bool below, untold;
    const struct domain *domain;
};

struct heard {
    uint64_t emitter;
    double llr, alert_s;
};

struct run {
    int n;
    struct heard heard[HEARD_MAX];
};

struct totals {
    int silent, doubled, others, alerts;
    double alert_s;
};

static void on_finding(void *userdata, const struct uw_finding *f) {
    struct run *run = userdata;
    int i = 0;

    if (!f->signature->drone)
        return;
    while (i < run->n && run->heard[i].emitter != f->emitter)
        i++;
    assert(i < HEARD_MAX);
    if (i == run->n)
        run->heard[run->n++] = (struct heard){.emitter = f->emitter, .alert_s = NAN};
    run->heard[i].llr += f->llr;
    if (f->alertable && run->heard[i].llr >= THRESHOLD && isnan(run->heard[i].alert_s))
        run->heard[i].alert_s = (double)f->stop / RATE_HZ;
}

static void on_progress(void *userdata, uint64_t sample) {
    (void)userdata;
    (void)sample;
}

static struct uw_scenario *scene(const struct words *w, const char *variant, int n_centres,
                                 uint64_t seed) {
    struct uw_scenario *s = NULL;
    struct uw_synth_emitter *e;

    assert(uw_scenario_new(&s) == 0);
    s->duration_s = w->seconds;
    s->seed = seed;
    s->n_receivers = n_centres;
    for (int i = 0; i < n_centres; i++) {
        uw_synth_receiver_init(&s->receivers[i]);
        snprintf(s->receivers[i].name, sizeof(s->receivers[i].name), "at%d", i);
        s->receivers[i].rate_hz = RATE_HZ;
        s->receivers[i].freq_hz = w->domain->centres_hz[i];
        s->receivers[i].format = UW_IQ_CU8;
        s->receivers[i].ppm = 20.0;
    }
    s->n_emitters = 1;
    e = &s->emitters[0];
    uw_synth_emitter_init(e, UW_SYNTH_EXPRESSLRS);
    snprintf(e->name, sizeof(e->name), "pilot");
    snprintf(e->variant, sizeof(e->variant), "%s", variant);
    snprintf(e->domain, sizeof(e->domain), "%s", w->domain->name);
    e->level_db = w->snr_db;
    e->ppm = -6.0;
    e->phase = -1.0;
    return s;
}

/* Time goes on at every centre; what the one listened to gives is in out. */
static size_t read_all(struct uw_synth *const *synths, int n_centres, int at, size_t piece,
                       unsigned char *out) {
    static unsigned char other[2 * PIECE_MAX];
    size_t n = 0;

    for (int i = 0; i < n_centres; i++)
        assert(uw_synth_read(synths[i], i == at ? out : other, piece, &n) == 0);
    return n;
}

static void listen(const struct words *w, struct uw_detector *d, struct uw_synth *const *synths,
                   int n_centres, size_t piece, double share, uint64_t seed) {
    static unsigned char block[2 * PIECE_MAX];
    uint64_t listened = 0, lost = 0;
    bool moved = false;
    int at = 0;

    for (size_t n; (n = read_all(synths, n_centres, at, piece, block)) > 0;) {
        if ((moved && (double)lost < SETTLE_S * RATE_HZ) || signal_uniform(&seed) < share) {
            lost += n;
            continue;
        }
        if (moved)
            assert(uw_detector_retune(d, w->domain->centres_hz[at], lost) == 0);
        else if (lost && !w->untold)
            uw_detector_gap(d, lost);
        uw_detector_push(d, block, n);
        listened += n;
        lost = 0;
        moved = n_centres > 1 && (double)listened >= DWELL_S * RATE_HZ;
        if (moved) {
            at = (at + 1) % n_centres;
            listened = 0;
        }
    }
}

/* piece 0: nothing is lost */
static void one(const struct uw_sigdb *db, const struct words *w, const char *variant,
                int n_centres, size_t piece, uint64_t seed, struct totals *t) {
    static const struct uw_detector_ops ops = {.finding = on_finding, .progress = on_progress};
    struct uw_detector_config config = {.rate_hz = RATE_HZ,
                                        .freq_hz = w->domain->centres_hz[0],
                                        .format = UW_IQ_CU8,
                                        .db = db,
                                        .n_centres = (size_t)n_centres,
                                        .below_noise = w->below};
    struct uw_scenario *s = scene(w, variant, n_centres, seed);
    struct uw_synth *synths[2] = {NULL, NULL};
    struct uw_detector *d = NULL;
    struct uw_diag diag = {0};
    struct run run = {0};
    int alerts = 0;

    for (int i = 0; i < n_centres; i++)
        assert(uw_synth_new(s, i, &diag, &synths[i]) == 0);
    assert(uw_detector_new(&config, &ops, &run, &d) == 0);
    listen(w, d, synths, n_centres, piece ? piece : PIECE, piece ? w->share : 0.0, seed);
    uw_detector_flush(d);
    uw_detector_free(d);
    for (int i = 0; i < n_centres; i++)
        uw_synth_free(synths[i]);
    uw_scenario_free(s);
    for (int i = 0; i < run.n; i++) {
        if (isnan(run.heard[i].alert_s))
            continue;
        t->alert_s += run.heard[i].alert_s;
        t->alerts++;
        alerts++;
    }
    t->silent += alerts == 0;
    t->doubled += alerts > 1;
    t->others += run.n > 1;
}

int main(int argc, char **argv) {
    static const char *const variants[] = {"200Hz", "100Hz", "50Hz",     "25Hz",
                                           "250Hz", "D50",   "K1000Full"};
    static const size_t pieces[] = {0, 480, 4800, 16384, PIECE_MAX};
    struct uw_sigdb *db = trial_db(UW_SIGNATURES);
    struct words w = {.share = 0.01, .snr_db = 10.0, .seconds = 8.0, .runs = 8, .domain = domains};

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--runs") == 0)
            w.runs = atoi(argv[i + 1]);
        if (strcmp(argv[i], "--share") == 0)
            w.share = atof(argv[i + 1]);
        if (strcmp(argv[i], "--snr") == 0)
            w.snr_db = atof(argv[i + 1]);
        if (strcmp(argv[i], "--below") == 0)
            w.below = atoi(argv[i + 1]) != 0;
        if (strcmp(argv[i], "--untold") == 0)
            w.untold = atoi(argv[i + 1]) != 0;
        if (strcmp(argv[i], "--seconds") == 0)
            w.seconds = atof(argv[i + 1]);
        if (strcmp(argv[i], "--domain") == 0 && strcmp(argv[i + 1], domains[1].name) == 0)
            w.domain = &domains[1];
    }
    printf("%-9s %-9s %-10s %5s %9s %9s %13s %10s\n", "CENTRES", "LOST", "AIR RATE", "RUNS",
           "NO ALERT", "TWO", "OTHER EMITTER", "ALERT s");
    for (int n = 1; n <= (w.untold ? 1 : 2); n++)
        for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]); p++)
            for (size_t v = 0; v < sizeof(variants) / sizeof(variants[0]); v++) {
                struct totals t = {0};

                for (int i = 1; i <= w.runs; i++)
                    one(db, &w, variants[v], n, pieces[p], (uint64_t)i * 77, &t);
                printf("%-9d %5.1f ms  %-10s %5d %9d %9d %13d %10.2f\n", n,
                       1e3 * (double)pieces[p] / RATE_HZ, variants[v], w.runs, t.silent, t.doubled,
                       t.others, t.alert_s / t.alerts);
                fflush(stdout);
            }
    uw_sigdb_free(db);
    return 0;
}
