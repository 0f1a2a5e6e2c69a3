/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The gain, chosen slowly
 *
 * Too little gain, and the converter's steps are coarser than the noise: at 8 bits rounding adds
 * noise of -47 dBFS (two components of a twelfth of a step squared), so a floor at RANGE_LOW is 11
 * dB above it and loses 0.3 dB. Too much, and strong signals clip, which spreads them over the
 * whole band. So the floor is kept in a range, and clipping lowers the gain as long as the floor
 * stays above FLOOR_LEAST, where rounding costs 1.5 dB.
 *
 * The floor of a window is too high when a burst fills it; the least of three seconds is not, and
 * the gain is never lowered for less. A floor that is low cannot be a mistake.
 *
 * A step changes the level of everything, so steps are rare: in the first seconds as often as it
 * takes, then at least MOVE_WINDOWS apart, never while a burst is on the air: not before two
 * windows without a slice more than QUIET_DB above the floor. What does not pause for QUIET_WINDOWS
 * is not a burst. After clipping the gain is not raised for a time that doubles with each relapse.
 *
 * The tuner's steps are what its table says within a few decibels; a rise is aimed at less than
 * what is missing.
 */
#include "judge-impl.h"

#include <math.h>
#include <string.h>

#define RANGE_LOW     (-36.0)
#define RANGE_HIGH    (-27.0)
#define FLOOR_LEAST   (-42.0)
#define CLIP_MUCH     1e-3
#define CLIPS_MANY    3 /* windows, of the last ten or so */
#define CLIP_STEP_DB  4.0
#define RISE_STEP_DB  6.0
#define QUIET_DB      6.0
#define QUIET_WINDOWS 100
#define FAST_WINDOWS  40 /* since the beginning */
#define FAST_MOVE     2
#define CLIP_MOVE     10
#define MOVE_WINDOWS  150
#define PAUSE_LEAST   300
#define PAUSE_MOST    12000

void uw_gain_init(struct uw_gain *gain, const double *steps_db, int n, double now_db) {
    *gain = (struct uw_gain){.n = n < UW_GAINS_MAX ? n : UW_GAINS_MAX, .rise_pause = PAUSE_LEAST};
    for (int i = 0; i < gain->n; i++) {
        gain->steps_db[i] = steps_db[i];
        if (fabs(steps_db[i] - now_db) < fabs(gain->steps_db[gain->step] - now_db))
            gain->step = i;
    }
}

/* The highest step that is at most this gain, but another one than now. */
static int step_down(const struct uw_gain *g, double db) {
    int step = g->step - 1;

    while (step > 0 && g->steps_db[step] > db)
        step--;
    return step;
}

static int step_up(const struct uw_gain *g, double db) {
    int step = g->step;

    while (step + 1 < g->n && g->steps_db[step + 1] <= db)
        step++;
    return step;
}

/* Which step would be right, if it could be taken at once. */
static int wish(const struct uw_gain *g, double floor_dbfs) {
    const double middle = (RANGE_LOW + RANGE_HIGH) / 2, now = g->steps_db[g->step];

    if (g->clips >= CLIPS_MANY && g->step > 0 && floor_dbfs - CLIP_STEP_DB > FLOOR_LEAST)
        return step_down(g, now - CLIP_STEP_DB);
    if (floor_dbfs > RANGE_HIGH && g->step > 0 && g->n_floors == UW_GAIN_WINDOWS)
        return step_down(g, now - (floor_dbfs - middle));
    if (floor_dbfs < RANGE_LOW && g->no_rise == 0 && g->clips == 0)
        return step_up(g, now + fmin(middle - floor_dbfs, RISE_STEP_DB));
    return g->step;
}

/* The least floor since the gain has changed, of the latest windows. */
static double follow_floor(struct uw_gain *g, double floor_dbfs) {
    double least = floor_dbfs;

    if (g->n_floors < UW_GAIN_WINDOWS)
        g->n_floors++;
    memmove(g->floors + 1, g->floors, (UW_GAIN_WINDOWS - 1) * sizeof(g->floors[0]));
    g->floors[0] = floor_dbfs;
    for (int i = 1; i < g->n_floors; i++)
        least = fmin(least, g->floors[i]);
    return least;
}

static bool may_move(const struct uw_gain *g, bool clips) {
    if (g->windows < FAST_WINDOWS)
        return g->age >= FAST_MOVE;
    return g->age >= (clips ? CLIP_MOVE : MOVE_WINDOWS);
}

static void count(struct uw_gain *g, const struct uw_judge_window *w) {
    if (w->clip_ratio > CLIP_MUCH)
        g->clips += 2;
    else if (g->clips > 0)
        g->clips--;
    if (g->clips > 10)
        g->clips = 10;
    g->windows++;
    g->age++;
    if (g->no_rise > 0)
        g->no_rise--;
}

bool uw_gain_window(struct uw_gain *g, const struct uw_judge_window *w, double *ret_db) {
    bool clips, quiet = w->peak_db < QUIET_DB && g->peak_before < QUIET_DB;
    double floor_dbfs;
    int step;

    g->peak_before = w->peak_db;
    if (g->n < 2)
        return false;
    count(g, w);
    clips = g->clips >= CLIPS_MANY;
    floor_dbfs = follow_floor(g, w->floor_dbfs);
    /* a window that a burst fills has no peaks either */
    quiet = quiet && w->floor_dbfs < floor_dbfs + QUIET_DB / 2;
    step = wish(g, floor_dbfs);
    if (step == g->step) {
        g->wait = 0;
        return false;
    }
    if (!may_move(g, clips))
        return false;
    if (!quiet && g->wait++ < QUIET_WINDOWS)
        return false;
    if (step < g->step && clips) {
        g->no_rise = g->rise_pause;
        g->rise_pause = g->rise_pause * 2 < PAUSE_MOST ? g->rise_pause * 2 : PAUSE_MOST;
        g->clips = 0;
    }
    g->step = step;
    g->age = 0;
    g->wait = 0;
    g->n_floors = 0;
    *ret_db = g->steps_db[step];
    return true;
}
