/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_IQ_JUDGE_IMPL_H
#define UW_IQ_JUDGE_IMPL_H

/*
 * Inside src/iq: what samples say about the receiver they come from
 *
 *   judge.c     measures: noise floor, peaks, clipping, in windows of a tenth of a second
 *   gain.c      chooses the gain from that
 *   diagnose.c  finds a receiver that has gone deaf, or whose oscillator has lost its lock
 *
 * All are functions of the samples alone. Powers are dBFS of the complex sample (design: full scale
 * is 1), less what is constant.
 *
 * Threads: one. Ownership: the caller's structs; nothing is allocated.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uw/base/iq-format.h"

#define UW_JUDGE_SLICES  100 /* in a window */
#define UW_JUDGE_SLICE_S 1e-3

struct uw_judge {
    enum uw_iq_format format;
    double rate_hz;
    size_t slice_len;
    int n_slices;
    double slices[UW_JUDGE_SLICES]; /* mean powers, linear */
    /* the slice that is being filled */
    size_t n;
    double sum_i, sum_q, sum_square;
    uint64_t n_clipped, n_total; /* of the window */
};

struct uw_judge_window {
    double floor_dbfs; /* power that a fifth of the slices stay below: between bursts */
    double peak_db;    /* strongest slice over the floor */
    double clip_ratio; /* share of samples at an end of the scale */
};

void uw_judge_init(struct uw_judge *judge, enum uw_iq_format format, double rate_hz);
/* What was measured before does not belong to what comes. */
void uw_judge_restart(struct uw_judge *judge);
/* Takes samples until a window is full or all are taken; returns how many. *ret_full says whether
 * *ret_window has been written. */
size_t uw_judge_feed(struct uw_judge *judge, const void *samples, size_t n, bool *ret_full,
                     struct uw_judge_window *ret_window);

#define UW_GAINS_MAX    128
#define UW_GAIN_WINDOWS 30

struct uw_gain {
    int n;
    double steps_db[UW_GAINS_MAX]; /* ascending */
    int step;
    int age;                        /* windows since the last move */
    int windows;                    /* since the beginning */
    int clips;                      /* windows that clipped, of late */
    int wait;                       /* windows for which a quiet moment has been waited for */
    int n_floors;                   /* windows since the gain changed, UW_GAIN_WINDOWS at most */
    double floors[UW_GAIN_WINDOWS]; /* theirs, latest first */
    int no_rise;    /* windows for which the gain is not raised, because it clipped */
    int rise_pause; /* ... the next time */
    double peak_before;
};

void uw_gain_init(struct uw_gain *gain, const double *steps_db, int n, double now_db);
/* After each window. True: *ret_db is to be set. */
bool uw_gain_window(struct uw_gain *gain, const struct uw_judge_window *window, double *ret_db);

#define UW_DIAGNOSE_PLACES 32

enum uw_diagnosis {
    UW_DIAGNOSIS_WELL,
    UW_DIAGNOSIS_DEAF,
    UW_DIAGNOSIS_UNLOCKED,
};

/* What is known of one centre frequency. */
struct uw_diagnose_place {
    double freq_hz; /* 0: free */
    double gain_db;
    double expected_dbfs; /* the floor as it was when all was well */
    double floor_dbfs;    /* latest */
    int learnt;           /* windows in it, since the gain changed */
    int low, high;        /* windows in a row below and near what is expected */
    int asked;            /* windows until the next probe may be asked for */
    uint64_t used;
    enum uw_diagnosis diagnosis;
};

struct uw_diagnose {
    double gain_max_db; /* NAN: the tuner's steps are not known */
    bool coarse;        /* samples of 8 bits */
    uint64_t clock;     /* windows */
    double probed_hz;   /* place that the running probe is for; 0: none */
    int n_probe;
    double probe_dbfs;
    struct uw_diagnose_place places[UW_DIAGNOSE_PLACES];
};

void uw_diagnose_init(struct uw_diagnose *d, enum uw_iq_format format);
/* After each window. True: the noise is missing here, and a probe elsewhere would tell why: tune to
 * *ret_probe_hz, give a window or two to uw_diagnose_probe(), come back. */
bool uw_diagnose_window(struct uw_diagnose *d, const struct uw_judge_window *window, double freq_hz,
                        double gain_db, double *ret_probe_hz);
/* A window at the probe's frequency. True: that is enough. */
bool uw_diagnose_probe(struct uw_diagnose *d, const struct uw_judge_window *window);
/* The worst of all places, and where. */
enum uw_diagnosis uw_diagnose_now(const struct uw_diagnose *d, double *ret_freq_hz);
/* Of late it has heard well at some other place than those with a diagnosis. */
bool uw_diagnose_hears(const struct uw_diagnose *d);
/* Something is suspected here: no time to change the gain. */
bool uw_diagnose_doubts(const struct uw_diagnose *d, double freq_hz);

#endif
