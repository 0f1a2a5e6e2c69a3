/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Has it gone deaf?
 *
 * The one thing that a receiver always hears is noise. So each centre frequency remembers how loud
 * the noise was while all was well, and when it falls by FALL_DB and stays there, something is
 * wrong. Neither the tuner nor its library says what: a synthesiser without lock is reported as
 * success (librtlsdr ignores it), and an empty band looks the same as a cable that has come off. A
 * probe tells them apart: far away the synthesiser locks and noise is heard again, but without
 * antenna it is as quiet there as here. Often the way there and back is the cure, too.
 *
 * Without anything remembered the noise is only judged in two cases: at (almost) the highest gain,
 * where the converter's steps should be small against it (LEAST_DBFS, of 8 bit samples), and when
 * there is none at all (SILENT_DBFS).
 *
 * What this cannot see: a passive antenna that is pulled off leaves the tuner's own noise, which is
 * almost as loud at these frequencies. Cables and amplifiers, the tuner and its supply are seen.
 * And a strong steady signal that was there from the start looks like noise that has gone when it
 * ends.
 *
 * The gain's steps are not exact: after a change the expectation is shifted and believed with
 * FALL_UNSURE_DB of doubt until it has been learnt anew.
 */
#include "judge-impl.h"

#include <math.h>

#define FALL_DB        5.0
#define FALL_UNSURE_DB 9.0
#define NEAR_DB        3.0
#define LEAST_DBFS     (-41.0)
#define SILENT_DBFS    (-60.0)
#define GAIN_HIGH_DB   8.0 /* below the highest */
#define LOW_WINDOWS    4
#define NEAR_WINDOWS   3
#define LEARN_WINDOWS  20
#define DOWN_WINDOWS   600.0
#define UP_WINDOWS     36000.0
#define CLIP_MUCH      1e-3
#define PROBE_DB       4.0
#define PROBE_WINDOWS  2
#define PROBE_PAUSE    300 /* windows until the next */
#define LATE_WINDOWS   600
#define AWAY_WINDOWS   50
#define SAME_HZ        0.5e6

void uw_diagnose_init(struct uw_diagnose *d, enum uw_iq_format format) {
    *d = (struct uw_diagnose){
        .gain_max_db = NAN,
        .coarse = format == UW_IQ_CU8 || format == UW_IQ_CI8,
    };
}

static const struct uw_diagnose_place *find(const struct uw_diagnose *d, double freq_hz) {
    for (int i = 0; i < UW_DIAGNOSE_PLACES; i++)
        if (d->places[i].freq_hz > 0 && fabs(d->places[i].freq_hz - freq_hz) < SAME_HZ)
            return &d->places[i];
    return NULL;
}

/* Of the frequency, or instead of the one that has not been visited for the longest time. */
static struct uw_diagnose_place *place_of(struct uw_diagnose *d, double freq_hz, double gain_db) {
    const struct uw_diagnose_place *known = find(d, freq_hz);
    struct uw_diagnose_place *oldest = &d->places[0];

    if (known)
        return &d->places[known - d->places];
    for (int i = 1; i < UW_DIAGNOSE_PLACES; i++)
        if (d->places[i].used < oldest->used)
            oldest = &d->places[i];
    *oldest =
        (struct uw_diagnose_place){.freq_hz = freq_hz, .gain_db = gain_db, .expected_dbfs = NAN};
    return oldest;
}

static void follow_gain(struct uw_diagnose_place *p, double gain_db) {
    if (isnan(p->gain_db))
        p->gain_db = gain_db;
    if (isnan(gain_db) || gain_db == p->gain_db)
        return;
    /* Where the converter's own noise was a good part, more gain raises the sum by less. */
    p->expected_dbfs += fmin(gain_db - p->gain_db, (gain_db - p->gain_db) / 2);
    p->gain_db = gain_db;
    p->learnt = 0;
    p->low = 0;
}

/* Strong signals raise a floor and are no noise, so it is believed when it is low: the least of the
 * first windows, after that down in a minute and up by a decibel in an hour. */
static void learn(struct uw_diagnose_place *p, double floor_dbfs) {
    double up = fmin(floor_dbfs - p->expected_dbfs, 1);

    if (isnan(p->expected_dbfs) || (p->learnt < LEARN_WINDOWS && up < 0))
        p->expected_dbfs = floor_dbfs;
    else if (up < 0)
        p->expected_dbfs += up / DOWN_WINDOWS;
    else
        p->expected_dbfs += up / UP_WINDOWS;
    p->learnt++;
}

static bool is_low(const struct uw_diagnose *d, const struct uw_diagnose_place *p,
                   double floor_dbfs) {
    double fall = p->learnt < LEARN_WINDOWS ? FALL_UNSURE_DB : FALL_DB;

    if (floor_dbfs < SILENT_DBFS)
        return true;
    if (d->coarse && p->gain_db > d->gain_max_db - GAIN_HIGH_DB && floor_dbfs < LEAST_DBFS)
        return true;
    return floor_dbfs < p->expected_dbfs - fall;
}

static double probe_for(double freq_hz) {
    if (freq_hz > 1000e6)
        return 900e6;
    return freq_hz > 400e6 ? freq_hz - 150e6 : freq_hz + 150e6;
}

/* What makes a receiver deaf does so everywhere. If it hears well here, places that it has not
 * visited since are as good as new, until they are. */
static void forget_deafness(struct uw_diagnose *d) {
    for (int i = 0; i < UW_DIAGNOSE_PLACES; i++) {
        struct uw_diagnose_place *p = &d->places[i];

        if (p->diagnosis != UW_DIAGNOSIS_DEAF || d->clock - p->used < AWAY_WINDOWS)
            continue;
        p->diagnosis = UW_DIAGNOSIS_WELL;
        p->low = p->asked = 0;
    }
}

bool uw_diagnose_window(struct uw_diagnose *d, const struct uw_judge_window *w, double freq_hz,
                        double gain_db, double *ret_probe_hz) {
    struct uw_diagnose_place *p;

    d->clock++;
    if (!(freq_hz > 0))
        return false;
    p = place_of(d, freq_hz, gain_db);
    p->used = d->clock;
    p->floor_dbfs = w->floor_dbfs;
    follow_gain(p, gain_db);
    if (p->asked > 0)
        p->asked--;
    if (!is_low(d, p, w->floor_dbfs)) {
        p->low = 0;
        if (p->diagnosis == UW_DIAGNOSIS_WELL && w->clip_ratio < CLIP_MUCH)
            learn(p, w->floor_dbfs);
        else if (w->floor_dbfs > p->expected_dbfs - NEAR_DB || isnan(p->expected_dbfs))
            p->high++;
        if (p->diagnosis == UW_DIAGNOSIS_WELL && p->learnt >= LEARN_WINDOWS)
            forget_deafness(d);
        if (p->high >= NEAR_WINDOWS) {
            p->diagnosis = UW_DIAGNOSIS_WELL;
            p->asked = 0;
        }
        return false;
    }
    p->high = 0;
    if (++p->low < LOW_WINDOWS || p->asked > 0)
        return false;
    p->asked = PROBE_PAUSE;
    d->probed_hz = p->freq_hz;
    d->n_probe = 0;
    d->probe_dbfs = -HUGE_VAL;
    *ret_probe_hz = probe_for(p->freq_hz);
    return true;
}

bool uw_diagnose_probe(struct uw_diagnose *d, const struct uw_judge_window *w) {
    struct uw_diagnose_place *p;

    if (d->probed_hz == 0)
        return true;
    d->probe_dbfs = fmax(d->probe_dbfs, w->floor_dbfs);
    if (++d->n_probe < PROBE_WINDOWS)
        return false;
    p = place_of(d, d->probed_hz, NAN);
    /* Should the way back cure it, a few windows will say so. */
    p->diagnosis =
        d->probe_dbfs > p->floor_dbfs + PROBE_DB ? UW_DIAGNOSIS_UNLOCKED : UW_DIAGNOSIS_DEAF;
    p->high = 0;
    d->probed_hz = 0;
    return true;
}

enum uw_diagnosis uw_diagnose_now(const struct uw_diagnose *d, double *ret_freq_hz) {
    enum uw_diagnosis worst = UW_DIAGNOSIS_WELL;

    for (int i = 0; i < UW_DIAGNOSE_PLACES; i++)
        if (d->places[i].freq_hz > 0 && d->places[i].diagnosis > worst) {
            worst = d->places[i].diagnosis;
            *ret_freq_hz = d->places[i].freq_hz;
        }
    return worst;
}

bool uw_diagnose_hears(const struct uw_diagnose *d) {
    for (int i = 0; i < UW_DIAGNOSE_PLACES; i++)
        if (d->places[i].freq_hz > 0 && d->places[i].diagnosis == UW_DIAGNOSIS_WELL &&
            d->places[i].low == 0 && d->clock - d->places[i].used < LATE_WINDOWS)
            return true;
    return false;
}

bool uw_diagnose_doubts(const struct uw_diagnose *d, double freq_hz) {
    const struct uw_diagnose_place *p = find(d, freq_hz);

    return p && (p->low > 0 || p->diagnosis != UW_DIAGNOSIS_WELL);
}
