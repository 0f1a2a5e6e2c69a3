/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What it means for a person on duty
 *
 * One state and one sentence, of what is to be mended first: a device that is not there, then one
 * that is there and silent, then one that hears nothing, then one that hears less than it should.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "live-core-impl.h"
#include "uw/base/str.h"
#include "uw/base/time.h"

#define GRACE_S   2.0 /* a stream that has begun may take so long until it flows */
#define SILENT_S  1.0 /* nothing for so long is a stall */
#define LOSS_S    5.0 /* losses are mentioned for so long */
#define LOSS_MUCH 1e-3
#define CLIP_MANY 0.01
#define DRIFT_PPM 150.0 /* the worst dongles are off by 100 */

struct view {
    enum uw_source_problem trouble;
    char advice[UW_SOURCE_ADVICE_LEN];
    int64_t begun_ns, now_ns;
};

static void say(struct uw_source_health *h, enum uw_source_state state,
                enum uw_source_problem problem, const char *advice) {
    h->state = state;
    h->problem = problem;
    uw_str_copy(h->advice, sizeof(h->advice), advice);
}

static double age_s(int64_t now, int64_t then) {
    return (double)(now - then) / (double)UW_NS_PER_S;
}

/* Is anything coming at all? */
static bool judge_flow(const struct uw_live *live, const struct view *v,
                       struct uw_source_health *h) {
    bool began = atomic_load_explicit(&live->flowing, memory_order_relaxed) != 0;
    double silent = age_s(v->now_ns, atomic_load_explicit(&live->came_ns, memory_order_relaxed));

    if (v->trouble != UW_SOURCE_PROBLEM_NONE) {
        bool early = !began && v->trouble == UW_SOURCE_PROBLEM_STALLED &&
                     age_s(v->now_ns, live->base_ns) < GRACE_S;

        say(h, early ? UW_SOURCE_DEGRADED : UW_SOURCE_LOST, v->trouble, v->advice);
        return false;
    }
    if (silent > SILENT_S && age_s(v->now_ns, v->begun_ns) > SILENT_S) {
        say(h, UW_SOURCE_LOST, UW_SOURCE_PROBLEM_STALLED,
            "The device is open and gives no samples: pull it out and put it back, or try another "
            "port.");
        return false;
    }
    silent = age_s(v->now_ns, atomic_load_explicit(&live->gave_ns, memory_order_relaxed));
    if (began && silent > SILENT_S && age_s(v->now_ns, v->begun_ns) > GRACE_S) {
        say(h, UW_SOURCE_LOST, UW_SOURCE_PROBLEM_LOSING,
            "So many samples are lost that nothing can be heard: use a USB port of its own, a "
            "better "
            "cable, or a host with less to do.");
        return false;
    }
    return true;
}

static bool judge_hearing(const struct uw_live *live, struct uw_source_health *h) {
    int diagnosis = atomic_load_explicit(&live->diagnosis, memory_order_relaxed);
    double mhz = atomic_load_explicit(&live->bad_freq_hz, memory_order_relaxed) / 1e6;
    bool hears = atomic_load_explicit(&live->hears, memory_order_relaxed);
    char text[UW_SOURCE_ADVICE_LEN];

    if (diagnosis == UW_DIAGNOSIS_UNLOCKED) {
        snprintf(text, sizeof(text),
                 "The tuner does not lock at %.3f MHz%s: cool the dongle, use one that is made for "
                 "this band, or choose another frequency.",
                 mhz, hears ? ", elsewhere it hears" : "");
        /* a receiver that walks has other places that it is good for */
        say(h, hears ? UW_SOURCE_DEGRADED : UW_SOURCE_LOST, UW_SOURCE_PROBLEM_UNLOCKED, text);
        return false;
    }
    if (diagnosis == UW_DIAGNOSIS_DEAF) {
        snprintf(text, sizeof(text),
                 "The noise at %.3f MHz has gone: check antenna, cable, amplifier and its supply; "
                 "restart if it was meant to.",
                 mhz);
        say(h, UW_SOURCE_LOST, UW_SOURCE_PROBLEM_DEAF, text);
        return false;
    }
    return true;
}

static void judge_quality(const struct uw_live *live, const struct view *v,
                          struct uw_source_health *h) {
    int64_t lost_ns = atomic_load_explicit(&live->losing_ns, memory_order_relaxed);
    double share = atomic_load_explicit(&live->loss_share, memory_order_relaxed);
    char text[UW_SOURCE_ADVICE_LEN];
    bool losing = lost_ns && age_s(v->now_ns, lost_ns) < LOSS_S;
    bool clips = atomic_load_explicit(&live->clip_ratio, memory_order_relaxed) > CLIP_MANY;

    if (losing && (share > LOSS_MUCH || !clips)) {
        snprintf(text, sizeof(text),
                 "Samples are being lost (%.2g %%): use a USB port of its own, a better cable, or "
                 "a host with less to do.",
                 fmax(share * 100, 0.01));
        say(h, UW_SOURCE_DEGRADED, UW_SOURCE_PROBLEM_LOSING, text);
    } else if (clips) {
        say(h, UW_SOURCE_DEGRADED, UW_SOURCE_PROBLEM_CLIPPING,
            isnan(live->fixed_gain_db)
                ? "A signal is too strong even at low gain: move the antenna or add a filter."
                : "Signals are too strong: lower gain_db, leave it out, or add a filter.");
    } else if (fabs(h->drift_ppm) > DRIFT_PPM) {
        snprintf(text, sizeof(text),
                 "The dongle's clock is off by %.0f ppm: let it cool, set ppm, or replace it.",
                 h->drift_ppm);
        say(h, UW_SOURCE_DEGRADED, UW_SOURCE_PROBLEM_DRIFTING, text);
    }
}

static void judge(struct uw_live *live, struct uw_source_health *h) {
    struct view v;

    pthread_mutex_lock(&live->mutex);
    v.trouble = live->trouble;
    memcpy(v.advice, live->advice, sizeof(v.advice));
    v.begun_ns = live->shared.begun_ns;
    h->reopened = live->shared.n_reopened;
    pthread_mutex_unlock(&live->mutex);
    v.now_ns = uw_live_now(live);
    h->lost = atomic_load_explicit(&live->n_lost, memory_order_relaxed);
    h->discarded =
        atomic_load_explicit(&live->n_discarded, memory_order_relaxed) +
        atomic_load_explicit(&live->n_dropped_bytes, memory_order_relaxed) / live->sample_bytes;
    h->pulse_mono_ns = atomic_load_explicit(&live->pulse_ns, memory_order_relaxed);
    h->late = atomic_load_explicit(&live->n_late, memory_order_relaxed);
    h->drift_ppm = atomic_load_explicit(&live->drift_ppm, memory_order_relaxed);
    h->gain_db = atomic_load_explicit(&live->now_gain_db, memory_order_relaxed);
    if (judge_flow(live, &v, h) && judge_hearing(live, h))
        judge_quality(live, &v, h);
}

void uw_live_health(struct uw_source *source, struct uw_source_health *health) {
    struct uw_live *live = source->live;

    judge(live, health);
    pthread_mutex_lock(&live->mutex);
    if (health->state != live->last_state) {
        live->last_state = health->state;
        live->since_ns = uw_live_now(live);
    }
    health->since_mono_ns = live->since_ns;
    pthread_mutex_unlock(&live->mutex);
}
