/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Several links of one product at once: which track follows whom
 *
 * All have the same air rate and channel plan; hop order, phase, start, crystals and the level of
 * the aircraft's telemetry (within 10 dB of the handset's) are drawn. Levels lie at even distances
 * from the weakest to SPREAD_DB above it and fall to the links in a random order. A run lasts twice
 * the time limit of one link, and two seconds. One link alone is the test of whether a strong one
 * becomes two, by its image, by clipping, by its skirts.
 */

#undef NDEBUG

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runs.h"
#include "uw/base/util.h"

#define SPREAD_DB 20

static void levels_draw(struct uw_scenario *s, double snr_db, uint64_t *state) {
    int n = s->n_emitters;
    int place[FIELD_EMITTERS_MAX];

    for (int i = 0; i < n; ++i)
        place[i] = i;
    for (int i = n - 1; i > 0; --i) {
        int other = (int)fmin(draw(state, 0, i + 1), i);
        int kept = place[i];

        place[i] = place[other];
        place[other] = kept;
    }
    for (int i = 0; i < n; ++i)
        s->emitters[i].level_db = snr_db + (n > 1 ? SPREAD_DB * place[i] / (n - 1.0) : 0);
}

static void print_track(const struct field_track *t, const struct field_setting *s, int n) {
    const struct field_alert *first = NULL;
    int alerts = 0;

    for (uint64_t i = 0; i < s->n_alerts && i < FIELD_LIST_MAX; ++i) {
        if (strcmp(s->alerts[i].track, t->track) != 0)
            continue;
        first = first ? first : &s->alerts[i];
        ++alerts;
    }
    printf("{\"first_s\":%.3f,\"family\":\"%s\",\"confirmed\":%s,\"alerts\":%d,\"llr\":%.1f,",
           t->first_s, t->family, t->confirmed ? "true" : "false", alerts, t->llr);
    if (first) {
        printf("\"said\":%.6f,\"variant\":\"%s\",\"domain\":\"%s\",", first->confidence,
               first->variant, first->domain);
        print_evidence(first);
        printf(",");
    }
    printf("\"strangers\":%d,\"votes\":[", t->strangers);
    for (int i = 0; i < n; ++i)
        printf("%s%d", i ? "," : "", t->votes[i]);
    printf("],\"aside\":[");
    for (int i = 0; i < n; ++i)
        printf("%s%d", i ? "," : "", t->aside[i]);
    printf("]}");
}

void run_links(const struct plan *plan, const struct rate *rate, int n, double snr_db,
               uint64_t seed, const struct words *words, const struct uw_sigdb *db,
               struct field *field) {
    UW_CLEANUP(uw_scenario_freep) struct uw_scenario *s = NULL;
    uint64_t state = seed * 1000003 + (uint64_t)n;
    struct field_setting *setting = &field->settings[0];
    struct field_truth truth;

    s = scenario_of(plan, seed, &state);
    uw_synth_receiver_set_tuner(&s->receivers[0], words->tuner);
    for (int i = 0; i < n; ++i) {
        struct uw_synth_emitter *e = link_of(s, plan, rate, snr_db, &state);

        e->telemetry_db = draw(&state, -10, 10);
        e->gemini = words->gemini;
    }
    levels_draw(s, snr_db, &state);
    s->duration_s = 2 * rate->limit_s + 2;
    field_truth_of(s, 0, false, &truth);
    *field = (struct field){.below_noise = words->below, .truth = &truth};
    settings_of(field);
    field_run(s, 0, db, field);
    printf("{\"kind\":\"links\",\"plan\":\"%s\",\"rate\":\"%s\",\"n\":%d,\"snr_db\":%g,"
           "\"gemini\":%s,\"tuner\":%d,\"seed\":%llu,\"seconds\":%.2f,\"alerts\":%llu,\"levels\":[",
           plan->domain, rate->name, n, snr_db, words->gemini ? "true" : "false", (int)words->tuner,
           (unsigned long long)seed, field->seconds, (unsigned long long)setting->n_alerts);
    for (int i = 0; i < n; ++i)
        printf("%s%g", i ? "," : "", s->emitters[i].level_db);
    printf("],");
    print_said(field, "expresslrs", 0);
    if (words->samples)
        print_samples(field, "expresslrs", 0);
    printf("\"tracks\":[");
    for (uint64_t i = 0; i < setting->n_tracks && i < FIELD_LIST_MAX; ++i) {
        printf("%s", i ? "," : "");
        print_track(&setting->tracks[i], setting, n);
    }
    printf("]}\n");
    fflush(stdout);
    field_truth_free(&truth);
}
