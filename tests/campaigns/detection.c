/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The campaign's worker: single runs in memory, one JSON line a run
 *
 *   detection pd PLAN RATE SNR_DB FIRST LAST [WORD]...       seeds FIRST..LAST of one point
 *   detection links PLAN RATE N SNR_DB FIRST LAST [WORD]...  the same of N links at once (crowd.c)
 *   detection scenario FILE SECONDS SEED [LEVEL_DB] [WORD]   alerts and candidates of a scenario
 *   detection receivers FILE                                 how many a scenario has
 *   detection list                                           plans, rates and time limits
 *   detection features                                       what confidence rests on
 *
 * detection.py drives it: in parallel, resumable, with tables and plots. docs/scoring.md describes
 * what is measured.
 *
 * A run of "pd" draws everything from its seed: start 0.3 to 0.8 s after the recording's, hop
 * phase, receiver +-60 ppm, transmitter +-20 ppm and the aircraft's telemetry likewise, noise. The
 * time to alert counts from the transmitter's start. "brief" ends a run at its first right alert;
 * "below" looks below the noise, too; "impaired" adds 1 % lost samples (2.5 ms each quarter of a
 * second), which the receiver reports as live ones do, gain steps within +-6 dB each second or so,
 * and a tone of its own at -20 dBFS (10 dB over the whole noise); with "untold" it does not report
 * them.
 */

#undef NDEBUG

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runs.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/util.h"

#define LOSS_EVERY_S 0.25
#define PEAK_MIN     1.0 /* nats; tracks that never had more are only counted */

static const struct plan plans[] = {
    {"FCC915", 915.0e6, 2.4e6, UW_IQ_CU8, false},
    {"EU868", 866.4e6, 2.4e6, UW_IQ_CU8, false},
    {"EU868-3.x", 866.4e6, 2.4e6, UW_IQ_CU8, false},
    {"ISM2G4", 2440.0e6, 10e6, UW_IQ_CI8, true},
};

/* Time limits: those of the targets; what they leave open has that of the same packet rate. */
static const struct rate rates[] = {
    {"200Hz", false, 3, 500e3, 6},      {"100Hz", false, 4, 500e3, 7},
    {"50Hz", false, 8, 500e3, 8},       {"25Hz", false, 15, 500e3, 9},
    {"100HzFull", false, 4, 500e3, 6},  {"D50", false, 3, 500e3, 6},
    {"250Hz", false, 3, 500e3, 5},      {"200HzFull", false, 3, 500e3, 5},
    {"X100Full", false, 4, 500e3, 6},   {"X150", false, 3, 500e3, 6},
    {"500Hz", true, 3, 812.5e3, 5},     {"333HzFull", true, 3, 812.5e3, 5},
    {"250Hz", true, 3, 812.5e3, 6},     {"150Hz", true, 3, 812.5e3, 7},
    {"100HzFull", true, 4, 812.5e3, 7}, {"50Hz", true, 8, 812.5e3, 8},
};

double draw(uint64_t *state, double low, double high) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return low + (high - low) * (double)(z >> 11) * 0x1p-53;
}

static void impair(struct uw_synth_receiver *rx, double duration_s, uint64_t *state) {
    for (double t = 0.1; t < duration_s - 2 * LOSS_EVERY_S && rx->n_losses < UW_SYNTH_MAX_EVENTS;
         t += LOSS_EVERY_S)
        rx->losses[rx->n_losses++] = (struct uw_synth_loss){
            .at_s = t + draw(state, 0, 0.2),
            .samples = (uint64_t)(0.01 * LOSS_EVERY_S * rx->rate_hz),
        };
    for (double t = draw(state, 0.2, 1.0); t < duration_s && rx->n_gains < UW_SYNTH_MAX_EVENTS;
         t += draw(state, 0.5, 1.5))
        rx->gains[rx->n_gains++] = (struct uw_synth_gain_step){t, draw(state, -6, 6)};
    rx->n_birdies = 1;
    rx->birdies[0].freq_hz = rx->freq_hz + rx->rate_hz * draw(state, -0.4, 0.4);
    rx->birdies[0].dbfs = -20;
}

struct uw_scenario *scenario_of(const struct plan *plan, uint64_t seed, uint64_t *state) {
    struct uw_scenario *s = NULL;
    struct uw_synth_receiver *rx;

    assert(uw_scenario_new(&s) == 0);
    s->seed = seed;
    s->n_receivers = 1;
    rx = &s->receivers[0];
    uw_synth_receiver_init(rx);
    (void)uw_str_copy(rx->name, sizeof(rx->name), "rx");
    rx->rate_hz = plan->rate_hz;
    rx->freq_hz = plan->centre_hz;
    rx->format = plan->format;
    rx->noise_dbfs = -30;
    rx->ppm = draw(state, -60, 60);
    return s;
}

struct uw_synth_emitter *link_of(struct uw_scenario *s, const struct plan *plan,
                                 const struct rate *rate, double snr_db, uint64_t *state) {
    struct uw_synth_emitter *e = &s->emitters[s->n_emitters++];

    uw_synth_emitter_init(e, UW_SYNTH_EXPRESSLRS);
    (void)snprintf(e->name, sizeof(e->name), "link%d", s->n_emitters);
    (void)uw_str_copy(e->variant, sizeof(e->variant), rate->name);
    (void)uw_str_copy(e->domain, sizeof(e->domain), plan->domain);
    e->level_db = snr_db;
    e->ppm = draw(state, -20, 20);
    e->telemetry_ppm = draw(state, -20, 20);
    e->start_s = draw(state, 0.3, 0.8);
    return e;
}

static struct uw_scenario *make(const struct plan *plan, const struct rate *rate, double snr_db,
                                uint64_t seed, int impaired) {
    uint64_t state = seed * 1000003;
    struct uw_scenario *s = scenario_of(plan, seed, &state);

    /* a little longer than the limit: what is heard at its end is decided after it */
    s->duration_s = link_of(s, plan, rate, snr_db, &state)->start_s + rate->limit_s + 0.3;
    if (impaired)
        impair(&s->receivers[0], s->duration_s, &state);
    return s;
}

/* What the receiver could have heard before the limit. */
struct offer {
    double rate_hz, start_s, limit_s;
    int packets;
    double on_air_s;
};

static bool on_burst(const struct uw_synth_burst *b, void *userdata) {
    struct offer *o = userdata;
    double stop_s = (b->start + b->count) / o->rate_hz;

    if (b->in_band >= 0.999 && stop_s <= o->start_s + o->limit_s) {
        ++o->packets;
        o->on_air_s += b->count / o->rate_hz;
    }
    return true;
}

static void print_tracks(const struct field_setting *s, const char *family, double start_s) {
    uint64_t n = s->n_tracks < FIELD_LIST_MAX ? s->n_tracks : FIELD_LIST_MAX;
    bool any = false;

    printf("\"candidates\":%llu,\"tracks\":[", (unsigned long long)s->n_tracks);
    for (uint64_t i = 0; i < n; ++i) {
        const struct field_track *t = &s->tracks[i];
        bool right = family && strcmp(t->family, family) == 0 && t->first_s >= start_s &&
                     t->votes[0] > 0 && 2 * t->votes[0] >= t->aside[0] + t->strangers;

        if (t->llr < PEAK_MIN)
            continue;
        printf("%s[%.2f,%.5f,%d]", any ? "," : "", t->llr, t->confidence, right);
        any = true;
    }
    printf("]");
}

/* JSON has no NAN. */
static double number(double x) {
    return isfinite(x) ? x : -1;
}

void print_evidence(const struct field_alert *a) {
    const struct uw_evidence *e = &a->evidence;

    printf("\"evidence\":[%.2f,%.1f,%lld,%lld,%lld,%lld,%.0f,%.0f,%.4f,%.3f]", number(a->llr),
           number(a->snr_db), (long long)e->bursts, (long long)e->dwells, (long long)e->channels,
           (long long)e->channels_visible, number(e->grid_error_hz), number(e->offset_hz),
           number(e->hop_interval_s), number(a->age_s));
}

/* "right": it names the family of what is on the air, and was heard there; "heard": how many of its
 * bursts were where the link sent, elsewhere in its time, and when nobody sent. */
static void print_alerts(const struct field_setting *s, const char *family, double start_s) {
    uint64_t n = s->n_alerts < FIELD_LIST_MAX ? s->n_alerts : FIELD_LIST_MAX;

    printf("\"alerts\":[");
    for (uint64_t i = 0; i < n; ++i) {
        const struct field_alert *a = &s->alerts[i];
        bool right = field_is_right(a, family, start_s);

        printf("%s{\"time_s\":%.4f,\"confidence\":%.6f,\"family\":\"%s\",\"variant\":\"%s\","
               "\"domain\":\"%s\",\"right\":%s,\"heard\":[%lld,%lld,%lld],",
               i ? "," : "", a->time_s - start_s, a->confidence, a->family, a->variant, a->domain,
               right ? "true" : "false", (long long)a->heard.there, (long long)a->heard.aside,
               (long long)a->heard.none);
        print_evidence(a);
        printf("}");
    }
    printf("],");
}

/* 3600: no evidence is asked for, so that its alerts are all that meet the behaviour rule. */
void settings_of(struct field *field) {
    static const double per_hour[] = {DEFAULT_RATE, 1, 10, 3600};

    field->n_settings = 4;
    for (int i = 0; i < field->n_settings; ++i)
        field->settings[i].false_alerts_per_hour = per_hour[i];
}

void print_said(const struct field *field, const char *family, double start_s) {
    bool any = false;

    printf("\"said\":[");
    for (int i = 0; i < field->n_settings; ++i) {
        const struct field_setting *s = &field->settings[i];

        for (uint64_t k = 0; k < s->n_alerts && k < FIELD_LIST_MAX; ++k) {
            const struct field_alert *a = &s->alerts[k];

            printf("%s[%d,%.5f,%d,\"%s\"]", any ? "," : "", i, number(a->confidence),
                   field_is_right(a, family, start_s), a->family);
            any = true;
        }
    }
    printf("],");
}

void print_samples(const struct field *field, const char *family, double start_s) {
    printf("\"samples\":[");
    for (size_t i = 0; i < field->n_samples; ++i) {
        const struct field_sample *s = &field->samples[i];

        printf("%s[%d,%d,%.5f", i ? "," : "", s->setting, field_sample_is_right(s, family, start_s),
               s->confidence);
        for (int k = 0; k < UW_LINK_FEATURES; ++k)
            printf(",%.4g", s->x[k]);
        printf(",%d]", s->ruled);
    }
    printf("],");
}

static void run_pd(const struct plan *plan, const struct rate *rate, double snr_db, uint64_t seed,
                   const struct words *words, const struct uw_sigdb *db, struct field *field) {
    UW_CLEANUP(uw_scenario_freep)
    struct uw_scenario *s = make(plan, rate, snr_db, seed, words->impaired);
    struct offer offer = {plan->rate_hz, s->emitters[0].start_s, rate->limit_s, 0, 0};
    struct field_truth truth;

    assert(uw_synth_truth(s, 0, NULL, on_burst, &offer) == 0);
    field_truth_of(s, 0, words->impaired == IMPAIRED, &truth);
    *field = (struct field){.truth = &truth,
                            .tells_losses = words->impaired == IMPAIRED,
                            .below_noise = words->below,
                            .stop_family = words->brief ? "expresslrs" : NULL,
                            .stop_from_s = offer.start_s};
    settings_of(field);
    field_run(s, 0, db, field);
    printf("{\"kind\":\"pd\",\"plan\":\"%s\",\"rate\":\"%s\",\"snr_db\":%g,\"impaired\":%d,"
           "\"seed\":%llu,\"limit_s\":%g,\"packets\":%d,\"on_air_s\":%.4f,",
           plan->domain, rate->name, snr_db, words->impaired, (unsigned long long)seed,
           rate->limit_s, offer.packets, offer.on_air_s);
    print_said(field, "expresslrs", offer.start_s);
    if (words->samples)
        print_samples(field, "expresslrs", offer.start_s);
    print_alerts(&field->settings[0], "expresslrs", offer.start_s);
    print_tracks(&field->settings[0], "expresslrs", offer.start_s);
    printf("}\n");
    fflush(stdout);
    field_truth_free(&truth);
}

/* The highest evidence of each track that met the behaviour rule. */
static void print_ruled(const struct field_setting *s) {
    bool any = false;

    printf("\"ruled\":[");
    for (uint64_t i = 0; i < s->n_tracks && i < FIELD_LIST_MAX; ++i) {
        for (uint64_t k = 0; k < s->n_alerts && k < FIELD_LIST_MAX; ++k) {
            if (strcmp(s->alerts[k].track, s->tracks[i].track) != 0)
                continue;
            printf("%s%.2f", any ? "," : "", s->tracks[i].llr);
            any = true;
            break;
        }
    }
    printf("],");
}

/* The place of the last part of a path, without its ending. */
static void print_name(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;

    printf("%.*s", (int)strcspn(name, "."), name);
}

static void run_scenario(const struct uw_scenario *s, const char *path, int receiver,
                         const struct words *words, const struct uw_sigdb *db,
                         struct field *field) {
    *field = (struct field){.below_noise = words->below};
    settings_of(field);
    field_run(s, receiver, db, field);
    printf("{\"kind\":\"scenario\",\"scenario\":\"");
    print_name(path);
    printf("\",\"receiver\":\"%s\",\"seed\":%llu,\"seconds\":%.3f,", s->receivers[receiver].name,
           (unsigned long long)s->seed, field->seconds);
    if (!isnan(words->level_db))
        printf("\"level_db\":%g,", words->level_db);
    printf("\"settings\":[");
    for (int i = 0; i < 4; ++i)
        printf("%s{\"per_hour\":%.9g,\"alerts\":%llu}", i ? "," : "",
               field->settings[i].false_alerts_per_hour,
               (unsigned long long)field->settings[i].n_alerts);
    printf("],");
    print_ruled(&field->settings[3]);
    print_said(field, NULL, 0);
    if (words->samples)
        print_samples(field, NULL, 0);
    print_alerts(&field->settings[0], NULL, 0);
    print_tracks(&field->settings[0], NULL, 0);
    printf("}\n");
    fflush(stdout);
}

static bool read_words(int n, char **args, struct words *ret) {
    *ret = (struct words){.level_db = NAN};
    for (int i = 0; i < n; ++i) {
        if (strcmp(args[i], "brief") == 0)
            ret->brief = true;
        else if (strcmp(args[i], "impaired") == 0)
            ret->impaired = IMPAIRED;
        else if (strcmp(args[i], "untold") == 0)
            ret->impaired = UNTOLD;
        else if (strcmp(args[i], "below") == 0)
            ret->below = true;
        else if (strcmp(args[i], "samples") == 0)
            ret->samples = true;
        else if (strcmp(args[i], "gemini") == 0)
            ret->gemini = true;
        else if (strcmp(args[i], "r820t") == 0)
            ret->tuner = UW_SYNTH_R820T;
        else if (strcmp(args[i], "zero-if") == 0)
            ret->tuner = UW_SYNTH_ZERO_IF;
        else if (uw_str_to_double(args[i], -60, 80, &ret->level_db) != 0)
            return false;
    }
    return true;
}

static const struct plan *find_plan(const char *domain) {
    for (size_t i = 0; i < UW_ARRAY_SIZE(plans); ++i)
        if (strcmp(plans[i].domain, domain) == 0)
            return &plans[i];
    return NULL;
}

static const struct rate *find_rate(const struct plan *plan, const char *name) {
    for (size_t i = 0; plan && i < UW_ARRAY_SIZE(rates); ++i)
        if (rates[i].is_2g4 == plan->is_2g4 && strcmp(rates[i].name, name) == 0)
            return &rates[i];
    return NULL;
}

static int do_link(int argc, char **argv, bool several, const struct uw_sigdb *db,
                   struct field *field) {
    const struct plan *plan = argc > 1 ? find_plan(argv[0]) : NULL;
    const struct rate *rate = plan ? find_rate(plan, argv[1]) : NULL;
    int at = several ? 3 : 2; /* place of the SNR */
    struct words words;
    double snr_db;
    int64_t n_links = 1, first, last;

    if (!rate || argc < at + 3 ||
        (several && uw_str_to_int64(argv[2], 1, FIELD_EMITTERS_MAX, &n_links)) ||
        uw_str_to_double(argv[at], -60, 80, &snr_db) ||
        uw_str_to_int64(argv[at + 1], 1, 1000000000, &first) ||
        uw_str_to_int64(argv[at + 2], first, 1000000000, &last) ||
        !read_words(argc - at - 3, argv + at + 3, &words))
        return 2;
    for (int64_t seed = first; seed <= last; ++seed) {
        if (several)
            run_links(plan, rate, (int)n_links, snr_db, (uint64_t)seed, &words, db, field);
        else
            run_pd(plan, rate, snr_db, (uint64_t)seed, &words, db, field);
    }
    return 0;
}

static int do_scenario(int argc, char **argv, const struct uw_sigdb *db, struct field *field) {
    UW_CLEANUP(uw_scenario_freep) struct uw_scenario *s = NULL;
    static struct uw_diag diag;
    struct words words;
    double seconds;
    int64_t seed;

    if (argc < 3 || uw_str_to_double(argv[1], 0.1, 1e6, &seconds) ||
        uw_str_to_int64(argv[2], 1, 1000000000, &seed) || !read_words(argc - 3, argv + 3, &words))
        return 2;
    if (uw_scenario_load(argv[0], &diag, &s) != 0) {
        uw_diag_print(&diag, stderr);
        return 1;
    }
    s->seed = (uint64_t)seed;
    s->duration_s = seconds;
    for (int i = 0; i < s->n_emitters && !isnan(words.level_db); ++i) {
        s->emitters[i].level_is_dbfs = false;
        s->emitters[i].level_db = words.level_db;
    }
    for (int i = 0; i < s->n_receivers; ++i)
        run_scenario(s, argv[0], i, &words, db, field);
    return 0;
}

static int do_list(void) {
    for (size_t p = 0; p < UW_ARRAY_SIZE(plans); ++p)
        for (size_t i = 0; i < UW_ARRAY_SIZE(rates); ++i)
            if (rates[i].is_2g4 == plans[p].is_2g4)
                printf("{\"plan\":\"%s\",\"centre_hz\":%.1f,\"rate_hz\":%.1f,\"rate\":\"%s\","
                       "\"limit_s\":%g,\"bandwidth_hz\":%g,\"sf\":%d}\n",
                       plans[p].domain, plans[p].centre_hz, plans[p].rate_hz, rates[i].name,
                       rates[i].limit_s, rates[i].bandwidth_hz, rates[i].sf);
    return 0;
}

static int do_features(void) {
    for (int i = 0; uw_link_feature_name(i); ++i)
        printf("%s\n", uw_link_feature_name(i));
    return 0;
}

static int do_receivers(const char *path) {
    UW_CLEANUP(uw_scenario_freep) struct uw_scenario *s = NULL;
    static struct uw_diag diag;

    if (uw_scenario_load(path, &diag, &s) != 0) {
        uw_diag_print(&diag, stderr);
        return 1;
    }
    printf("%d\n", s->n_receivers);
    return 0;
}

static struct uw_sigdb *load(void) {
    static struct uw_diag diag;
    struct uw_sigdb *db = NULL;
    int r = uw_sigdb_load(UW_SIGNATURES, &diag, &db);

    uw_diag_print(&diag, stderr);
    assert(r == 0);
    return db;
}

int main(int argc, char **argv) {
    struct uw_sigdb *db = load();
    struct field *field = calloc(1, sizeof(*field));
    int status = 2;

    assert(field);
    if (argc > 1 && strcmp(argv[1], "pd") == 0)
        status = do_link(argc - 2, argv + 2, false, db, field);
    else if (argc > 1 && strcmp(argv[1], "links") == 0)
        status = do_link(argc - 2, argv + 2, true, db, field);
    else if (argc > 1 && strcmp(argv[1], "scenario") == 0)
        status = do_scenario(argc - 2, argv + 2, db, field);
    else if (argc == 3 && strcmp(argv[1], "receivers") == 0)
        status = do_receivers(argv[2]);
    else if (argc == 2 && strcmp(argv[1], "list") == 0)
        status = do_list();
    else if (argc == 2 && strcmp(argv[1], "features") == 0)
        status = do_features();
    if (status == 2)
        fprintf(
            stderr,
            "usage: detection pd PLAN RATE SNR_DB FIRST LAST [brief] [impaired|untold] [below]\n"
            "       detection links PLAN RATE N SNR_DB FIRST LAST [WORD]...\n"
            "       detection scenario FILE SECONDS SEED [LEVEL_DB] [below]\n"
            "       detection receivers FILE\n"
            "       detection list\n"
            "       detection features\n");
    uw_sigdb_free(db);
    free(field);
    return status;
}
