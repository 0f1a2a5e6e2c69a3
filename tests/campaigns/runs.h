/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_TESTS_CAMPAIGNS_RUNS_H
#define UW_TESTS_CAMPAIGNS_RUNS_H

/* What the worker's kinds of runs share: plans, rates, words, random draws. */

#include <stdbool.h>
#include <stdint.h>

#include "field.h"

#define DEFAULT_RATE (1.0 / 720) /* false alerts an hour: one in thirty days */

#define IMPAIRED 1 /* and the receiver says what it has lost */
#define UNTOLD   2 /* and it does not know */

/* Words behind the arguments. */
struct words {
    bool brief, below, gemini;
    bool samples; /* of what confidence rests on */
    int impaired; /* 0, IMPAIRED, UNTOLD */
    enum uw_synth_tuner tuner;
    double level_db; /* NAN: as the scenario says */
};

struct plan {
    const char *domain;
    double centre_hz, rate_hz;
    enum uw_iq_format format;
    bool is_2g4;
};

struct rate {
    const char *name;
    bool is_2g4;
    double limit_s, bandwidth_hz;
    int sf;
};

/* Uniform; splitmix64. */
double draw(uint64_t *state, double low, double high);
/* A scenario of one receiver, as the plan says, whose crystal is drawn within 60 ppm. */
struct uw_scenario *scenario_of(const struct plan *plan, uint64_t seed, uint64_t *state);
/* One more link, 0.3 to 0.8 s after the recording's start; both of its ends within 20 ppm. */
struct uw_synth_emitter *link_of(struct uw_scenario *s, const struct plan *plan,
                                 const struct rate *rate, double snr_db, uint64_t *state);

/* The member "evidence" of an alert: nats, SNR, bursts, dwells, channels, channels that are
 * visible, grid error and offset in Hz, hop interval and age of the track in s; -1: not known. */
void print_evidence(const struct field_alert *a);

/* The settings of each run: the default, and three laxer ones. */
void settings_of(struct field *field);
/* The line's member "said": [setting, confidence, right, family] of the alerts of all settings. */
void print_said(const struct field *field, const char *family, double start_s);
/* The line's member "samples": [setting or -1, right, confidence, features..., ruled] each. */
void print_samples(const struct field *field, const char *family, double start_s);

/* n links at once, the weakest at snr_db, the strongest 20 dB above it (crowd.c). */
void run_links(const struct plan *plan, const struct rate *rate, int n, double snr_db,
               uint64_t seed, const struct words *words, const struct uw_sigdb *db,
               struct field *field);

#endif
