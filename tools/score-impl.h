/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_TOOLS_SCORE_IMPL_H
#define UW_TOOLS_SCORE_IMPL_H

/*
 * Private to "uaswatch score": truth and results of one run, and what they come to over many
 *
 *   score-truth.c    annotations of "uaswatch synth" -> struct uw_score_truth
 *   score-results.c  lines of "uaswatch replay --json" -> struct uw_score_results
 *   score-match.c    which emitter a track was, and the tally
 *   score-stats.c    intervals and percentiles
 *   score-print.c    for people, and as JSON
 *
 * Threads: any, one object at a time. Ownership: x_deinit() frees what is inside.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "uw/msg/record.h"

struct uw_diag;

#define UW_SCORE_WORD_LEN 32
#define UW_SCORE_KEY_LEN  128

/* One transmitter of the scenario, heard by at least one receiver. */
struct uw_score_emitter {
    char name[UW_SCORE_WORD_LEN], link[UW_SCORE_WORD_LEN];
    char variant[UW_SCORE_WORD_LEN], domain[UW_SCORE_WORD_LEN]; /* "": none, or several */
    bool drone;
    double first_s; /* of its first burst in a receiver's band, from the start of the recording */
    size_t n_bursts;
};

struct uw_score_burst {
    double start_s, stop_s;
    double lower_hz, upper_hz; /* NAN: not said */
    size_t emitter;
};

struct uw_score_truth {
    struct uw_score_emitter *emitters;
    size_t n_emitters, emitters_cap;
    struct uw_score_burst *bursts; /* by stop_s once all files are read */
    size_t n_bursts, bursts_cap;
    double longest_s;
    int64_t start_ns; /* of the earliest file */
    bool any;
};

/* Adds one .sigmf-meta: further receivers of the same scenario name the same emitters. 0, -ENOMEM
 * or UW_E_INPUT. */
int uw_score_truth_add(struct uw_score_truth *truth, const char *path, struct uw_diag *diag);
int uw_score_truth_parse(struct uw_score_truth *truth, const char *name, const char *text,
                         size_t len, struct uw_diag *diag);
void uw_score_truth_deinit(struct uw_score_truth *truth);

struct uw_score_sighting {
    double time_s, freq_hz;
};

struct uw_score_track {
    char track[UW_ID_LEN];
    bool drone;     /* a drone's link, and not background */
    double first_s; /* of its first record */
    struct uw_score_sighting *seen;
    size_t n_seen, seen_cap;
};

struct uw_score_alert {
    char alert[UW_ID_LEN], track[UW_ID_LEN];
    double raised_s;
    double confidence;                                                   /* when raised */
    char family[UW_NAME_LEN], variant[UW_NAME_LEN], domain[UW_NAME_LEN]; /* as last said */
};

struct uw_score_results {
    int64_t start_ns; /* times are counted from here */
    struct uw_score_track *tracks;
    size_t n_tracks, tracks_cap;
    struct uw_score_alert *alerts; /* of kind uas */
    size_t n_alerts, alerts_cap;
    double seconds; /* of the summary */
};

/* Reads a whole stream. 0, -ENOMEM or UW_E_INPUT. */
int uw_score_results_read(struct uw_score_results *results, int64_t start_ns, const char *name,
                          FILE *f, struct uw_diag *diag);
void uw_score_results_deinit(struct uw_score_results *results);

/* One kind of drone, or all of them. Times count from the first burst in a receiver's band. */
struct uw_score_row {
    char key[UW_SCORE_KEY_LEN];
    size_t presented, detected;
    double *detect_s, *alert_s;
    size_t n_detect, detect_cap, n_alert, alert_cap;
    size_t tracks, alerts, extra;
};

enum uw_score_field { UW_SCORE_FAMILY, UW_SCORE_VARIANT, UW_SCORE_DOMAIN, UW_SCORE_FIELD_N };

/* "what it was" was called "what was said" so many times. */
struct uw_score_cell {
    enum uw_score_field field;
    char truth[UW_SCORE_WORD_LEN], said[UW_SCORE_WORD_LEN];
    size_t n;
};

struct uw_score_verdict {
    size_t right, unknown, wrong;
};

struct uw_score {
    double within_s; /* an alert after this many seconds is late: missed. INFINITY: never */
    size_t runs;
    double seconds;
    struct uw_score_row all, *rows;
    size_t n_rows, rows_cap;
    size_t background;   /* emitters that are no drone */
    size_t false_alerts; /* alerts that belong to no drone's link */
    size_t late;         /* drones whose first alert came after within_s */
    struct uw_score_cell *cells;
    size_t n_cells, cells_cap;
    struct uw_score_verdict verdict[UW_SCORE_FIELD_N];
};

/* Adds one run. 0 or -ENOMEM. */
int uw_score_add(struct uw_score *score, const struct uw_score_truth *truth,
                 const struct uw_score_results *results);
void uw_score_deinit(struct uw_score *score);
void uw_score_print(const struct uw_score *score, FILE *f);
/* One line. 0 or -ENOMEM. */
int uw_score_print_json(const struct uw_score *score, FILE *f);

/* Whether an emitter with this link is a drone's. */
bool uw_score_is_drone(const char *link);

/* E. B. Wilson's score interval (1927) at 95 %; 0..1 if n is 0. */
void uw_score_wilson(size_t k, size_t n, double *ret_low, double *ret_high);
/* One-sided 95 % upper bound of a Poisson mean after k events; 2.996 for none ("rule of three"). */
double uw_score_poisson_upper(size_t k);
/* Sorts x; interpolates linearly between ranks. NAN if n is 0. */
double uw_score_percentile(double *x, size_t n, double p);

/* Room for one more; 0 or -ENOMEM. */
int uw_score_grow(void **list, size_t n, size_t *cap, size_t size);

#endif
