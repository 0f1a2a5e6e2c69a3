/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * How many ExpressLRS links are alerted in time, with the right variant and domain
 *
 * recognition [--seeds N] [--snr DB] [--only TEXT] [--detail]: every air rate in every channel plan
 * of interest, N seeds each (hop sequence, start phase, noise, crystals of +-20 ppm at the
 * transmitter and +-60 ppm at the receiver); one line a case. Run by hand; figures are kept in
 * docs/measurements.md.
 */

#undef NDEBUG

#include <assert.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trial.h"
#include "uw/base/str.h"
#include "uw/base/util.h"

struct plan {
    const char *domain;
    double centre_hz, rate_hz;
};

static const struct plan plans[] = {
    {"FCC915", 915.0e6, 2.4e6},    {"AU915", 921.5e6, 2.4e6}, {"EU868", 866.4e6, 2.4e6},
    {"EU868-3.x", 866.4e6, 2.4e6}, {"EU433", 433.8e6, 2.4e6}, {"ISM2G4", 2440.0e6, 10e6},
};
static const char *const rates_900[] = {"200Hz", "100HzFull", "100Hz",    "50Hz", "25Hz",     "D50",
                                        "250Hz", "200HzFull", "X100Full", "X150", "K1000Full"};
static const char *const rates_2g4[] = {"500Hz", "333HzFull", "250Hz", "150Hz", "100HzFull", "50Hz",
                                        "F1000", "F500",      "D500",  "D250",  "K1000"};

struct tally {
    int runs, in_time, alerts, wrong_variant, no_variant, wrong_domain, no_domain, extra;
    double time_sum, time_max;
};

static double deadline(const char *rate) {
    return strcmp(rate, "50Hz") == 0 || strcmp(rate, "25Hz") == 0 ? 8.0 : 3.0;
}

static void run_one(const struct plan *plan, const char *rate, double snr_db, unsigned seed,
                    const struct uw_sigdb *db, struct tally *tally, bool detail) {
    UW_CLEANUP(uw_scenario_freep) struct uw_scenario *s = NULL;
    struct trial trial;
    const struct trial_emitter *a;

    assert(uw_scenario_new(&s) == 0);
    s->duration_s = deadline(rate);
    s->seed = seed;
    s->n_receivers = 1;
    uw_synth_receiver_init(&s->receivers[0]);
    (void)uw_str_copy(s->receivers[0].name, sizeof(s->receivers[0].name), "rx0");
    s->receivers[0].rate_hz = plan->rate_hz;
    s->receivers[0].freq_hz = plan->centre_hz;
    s->receivers[0].format = UW_IQ_CU8;
    s->receivers[0].noise_dbfs = -30.0;
    s->receivers[0].ppm = 60.0 * sin(12.9898 * seed + 1.0);
    s->n_emitters = 1;
    uw_synth_emitter_init(&s->emitters[0], UW_SYNTH_EXPRESSLRS);
    (void)uw_str_copy(s->emitters[0].name, sizeof(s->emitters[0].name), "elrs");
    (void)uw_str_copy(s->emitters[0].variant, sizeof(s->emitters[0].variant), rate);
    (void)uw_str_copy(s->emitters[0].domain, sizeof(s->emitters[0].domain), plan->domain);
    s->emitters[0].level_db = snr_db;
    s->emitters[0].ppm = 20.0 * sin(78.233 * seed + 2.0);
    trial_run(s, db, 14.8, false, &trial);
    a = trial_alert(&trial);
    ++tally->runs;
    if (detail) {
        for (int i = 0; i < trial.n_emitters; ++i) {
            const struct trial_emitter *e = &trial.emitters[i];

            printf("    seed %u: %s e%llu llr %.1f bursts %lld alert %.2f s %s %s\n", seed,
                   e->signature->id, (unsigned long long)e->emitter, e->llr, (long long)e->bursts,
                   e->alert_s, e->last_variant ? e->last_variant : "-",
                   e->last_domain ? e->last_domain : "-");
        }
    }
    if (!a)
        return;
    ++tally->alerts;
    tally->extra += trial_n_alerts(&trial) - 1;
    tally->in_time += a->alert_s <= deadline(rate);
    tally->time_sum += a->alert_s;
    tally->time_max = fmax(tally->time_max, a->alert_s);
    tally->no_variant += !a->variant;
    tally->wrong_variant += a->variant && strcmp(a->variant, rate) != 0;
    tally->no_domain += !a->domain;
    tally->wrong_domain += a->domain && strcmp(a->domain, plan->domain) != 0;
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"seeds", required_argument, NULL, 's'},
                                            {"snr", required_argument, NULL, 'd'},
                                            {"only", required_argument, NULL, 'o'},
                                            {"detail", no_argument, NULL, 'v'},
                                            {0}};
    int64_t seeds = 40;
    double snr_db = 3.0;
    const char *only = "";
    bool detail = false;
    struct uw_sigdb *db = trial_db(UW_SOURCE_DIR "/config/signatures");

    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 's' && uw_str_to_int64(optarg, 1, 100000, &seeds))
            return 2;
        if (c == 'd' && uw_str_to_double(optarg, -40.0, 60.0, &snr_db))
            return 2;
        if (c == 'o')
            only = optarg;
        if (c == 'v')
            detail = true;
        if (c == '?')
            return 2;
    }
    printf("%-20s %5s %8s %6s %6s  %s\n", "plan rate", "runs", "in time", "mean s", "max s",
           "variant wrong/open, domain wrong/open, further alerts");
    for (size_t p = 0; p < sizeof(plans) / sizeof(plans[0]); ++p) {
        bool is_2g4 = plans[p].centre_hz > 1e9;

        for (size_t r = 0; r < 11; ++r) {
            const char *rate = is_2g4 ? rates_2g4[r] : rates_900[r];
            char name[64];
            struct tally tally = {0};

            (void)snprintf(name, sizeof(name), "%s %s", plans[p].domain, rate);
            if (!strstr(name, only))
                continue;
            for (unsigned seed = 1; seed <= (unsigned)seeds; ++seed)
                run_one(&plans[p], rate, snr_db, seed, db, &tally, detail);
            printf("%-20s %5d %7.1f%% %6.2f %6.2f  %d/%d %d/%d %d\n", name, tally.runs,
                   100.0 * tally.in_time / tally.runs,
                   tally.alerts ? tally.time_sum / tally.alerts : NAN, tally.time_max,
                   tally.wrong_variant, tally.no_variant, tally.wrong_domain, tally.no_domain,
                   tally.extra);
            fflush(stdout);
        }
    }
    uw_sigdb_free(db);
    return 0;
}
