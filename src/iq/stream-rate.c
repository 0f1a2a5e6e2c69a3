/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The sender's rate by what has arrived
 *
 * The slope of the lag against the nominal rate, between the ends of short windows. A wrong rate
 * has the same slope in all of them; where samples are lost now and then, some have it and some
 * not. A wrong rate is so told from loss, and a sender that lies about its rate is found out.
 */
#include <math.h>
#include <string.h>

#include "stream-impl.h"
#include "uw/base/time.h"

#define WINDOW_S    0.2
#define WRONG       0.01 /* ten times what a bad oscillator is off */
#define STEADY      0.02
#define STRAIGHT    0.05
#define FEW_WINDOWS 5
#define SEEN_S      0.05 /* a flood never pauses: look this often all the same */

static double seconds(int64_t ns) {
    return (double)ns / (double)UW_NS_PER_S;
}

void uw_stream_rate_restart(struct uw_stream_rate *r, uint64_t received, int64_t now_ns) {
    r->since_ns = r->seen_ns = r->origin_ns = now_ns;
    r->received = received;
    r->least = HUGE_VAL;
    r->n = 0;
}

static void push_window(struct uw_stream_rate *r) {
    const size_t n = UW_STREAM_RATE_WINDOWS;

    memmove(&r->lag[1], &r->lag[0], n * sizeof(r->lag[0]));
    memmove(&r->at[1], &r->at[0], n * sizeof(r->at[0]));
    r->lag[0] = r->least;
    r->at[0] = r->least_at;
    if (r->n <= UW_STREAM_RATE_WINDOWS)
        r->n++;
}

/* The greatest distance of the lags from the line through the first and the last of them. */
static double bend(const struct uw_stream_rate *r, int n, double mean) {
    double most = 0;

    for (int i = 1; i < n; i++)
        most = fmax(most, fabs(r->lag[i] - r->lag[n] - mean * (r->at[i] - r->at[n])));
    return most;
}

/* A wrong rate makes a straight line of the lags, losses make steps. A few windows tell on a quiet
 * machine; on a busy one, which notes an arrival some ms late, it takes them all. */
static void judge(struct uw_stream_rate *r) {
    const int few = FEW_WINDOWS, all = UW_STREAM_RATE_WINDOWS;
    double low = HUGE_VAL, high = -HUGE_VAL, mean;

    if (r->n <= few)
        return;
    for (int i = 0; i < few; i++) {
        double slope = (r->lag[i] - r->lag[i + 1]) / (r->at[i] - r->at[i + 1]);
        low = fmin(low, slope);
        high = fmax(high, slope);
    }
    mean = (r->lag[0] - r->lag[few]) / (r->at[0] - r->at[few]);
    r->rate_hz = r->nominal_hz * (1 - mean);
    /* too many, in all of them: no loss does that */
    r->wrong = high < -WRONG || (fabs(mean) > WRONG && high - low < fmax(STEADY, 0.2 * fabs(mean)));
    if (r->wrong || r->n <= all)
        return;
    mean = (r->lag[0] - r->lag[all]) / (r->at[0] - r->at[all]);
    r->wrong = fabs(mean) > WRONG && bend(r, all, mean) < STRAIGHT * fabs(r->lag[0] - r->lag[all]);
}

void uw_stream_rate_note(struct uw_stream_rate *r, uint64_t received, int64_t now_ns,
                         bool drained) {
    double window = fmax(WINDOW_S, UW_STREAM_QUANTA * r->quantum_s);
    double at = seconds(now_ns - r->origin_ns);
    double lag = at - (double)(received - r->received) / r->nominal_hz;

    if (seconds(now_ns - r->seen_ns) > 2 * window) { /* a stall says nothing of the rate */
        uw_stream_rate_restart(r, received, now_ns);
        return;
    }
    if (!drained && seconds(now_ns - r->seen_ns) < SEEN_S)
        return;
    r->seen_ns = now_ns;
    if (lag < r->least) {
        r->least = lag;
        r->least_at = at;
    }
    if (seconds(now_ns - r->since_ns) < window)
        return;
    /* two minima at one place have no slope between them */
    if (r->n == 0 || r->least_at > r->at[0] + window / 4) {
        push_window(r);
        judge(r);
    }
    r->since_ns = now_ns;
    r->least = HUGE_VAL;
}
