/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The stream of samples of one receiver
 *
 * Samples are made in blocks of a fixed size on the receiver's own clock (so nothing depends on how
 * they are read): noise, the voices that sound, birdies, gain steps, IQ imbalance, DC, and at last
 * the sample format with its clipping. Samples that the receiver loses are made and thrown away.
 */

#include "synth-impl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/base/util.h"

#define BLOCK 4096

struct uw_synth {
    struct uw_scenario *scenario;
    struct rx rx;
    struct schedule *schedule;
    struct voice *voices;
    size_t n_voices, voices_cap;
    struct zig zig;
    struct rng noise;
    float sigma;
    uint64_t n, n_end; /* samples of the receiver's clock: made, in all */
    float re[BLOCK], im[BLOCK];
    size_t have, used; /* of the block in re, im */
};

struct uw_synth *uw_synth_free(struct uw_synth *synth) {
    if (!synth)
        return NULL;
    for (size_t i = 0; i < synth->n_voices; i++)
        voice_close(&synth->voices[i]);
    free(synth->voices);
    free(synth->schedule);
    uw_scenario_free(synth->scenario);
    free(synth);
    return NULL;
}

void uw_synth_freep(struct uw_synth **synth) {
    *synth = uw_synth_free(*synth);
}

int uw_synth_new(const struct uw_scenario *scenario, int receiver, struct uw_diag *diag,
                 struct uw_synth **ret_synth) {
    int r = scenario_check(scenario, receiver, diag);
    if (r != 0)
        return r;
    UW_CLEANUP(uw_synth_freep) struct uw_synth *s = calloc(1, sizeof(*s));
    if (!s)
        return uw_err(-ENOMEM);
    s->scenario = malloc(sizeof(*s->scenario));
    if (!s->scenario)
        return uw_err(-ENOMEM);
    *s->scenario = *scenario;
    rx_init(&s->rx, s->scenario, receiver);
    r = schedule_new(s->scenario, &s->schedule);
    if (r < 0)
        return r;
    zig_init(&s->zig);
    rng_init(&s->noise, s->rx.seed);
    if (rx_has_noise(&s->rx))
        s->sigma = (float)sqrt(0.5 * pow(10, s->rx.r->noise_dbfs / 10));
    s->n_end = (uint64_t)llround(scenario->duration_s * s->rx.r->rate_hz);
    *ret_synth = s;
    s = NULL;
    return 0;
}

static int voices_grow(struct uw_synth *s) {
    if (s->n_voices < s->voices_cap)
        return 0;
    size_t cap = s->voices_cap ? 2 * s->voices_cap : 16;
    struct voice *voices = realloc(s->voices, cap * sizeof(*voices));
    if (!voices)
        return uw_err(-ENOMEM);
    s->voices = voices;
    s->voices_cap = cap;
    return 0;
}

static bool is_heard(const struct rx *rx, const struct burst *b) {
    if (isnan(b->freq_hz))
        return true;
    return fabs(rx_offset_hz(rx, b->freq_hz)) - 0.51 * b->wave.bw_hz < rx->edge_hz;
}

/* Starts what begins before sample n_stop. */
static int voices_start(struct uw_synth *s, uint64_t n_stop) {
    double rate = s->rx.r->rate_hz * s->rx.clock;
    int source = -1;
    while (schedule_peek(s->schedule, &source) * rate < (double)n_stop) {
        struct burst b;
        schedule_pop(s->schedule, source, &b);
        if (!is_heard(&s->rx, &b))
            continue;
        int r = voices_grow(s);
        if (r < 0)
            return r;
        struct voice *v = &s->voices[s->n_voices++];
        r = voice_open(v, &s->rx, s->scenario, &b);
        if (r < 0)
            return r;
    }
    return 0;
}

static void voices_add(struct uw_synth *s, size_t n) {
    for (size_t i = 0; i < s->n_voices;) {
        struct voice *v = &s->voices[i];
        voice_add(v, &s->rx, s->n, s->re, s->im, n);
        if (v->s1 > (double)(s->n + n)) {
            i++;
            continue;
        }
        voice_close(v);
        *v = s->voices[--s->n_voices];
    }
}

static void birdies_add(struct uw_synth *s, size_t n) {
    const struct uw_synth_receiver *r = s->rx.r;
    float sre[PIECE], sim[PIECE];
    for (int i = 0; i < r->n_birdies; i++) {
        double f = (r->birdies[i].freq_hz - r->freq_hz) / r->rate_hz;
        float a = (float)pow(10, r->birdies[i].dbfs / 20);
        for (size_t k = 0; k < n; k += PIECE) {
            int len = n - k < PIECE ? (int)(n - k) : PIECE;
            chirp_run(f * (double)(s->n + k), f, 0, sre, sim, len);
            for (int j = 0; j < len; j++) {
                s->re[k + (size_t)j] += a * sre[j];
                s->im[k + (size_t)j] += a * sim[j];
            }
        }
    }
}

static void gain_apply(struct uw_synth *s, size_t n) {
    const struct uw_synth_receiver *r = s->rx.r;
    for (int i = 0; i < r->n_gains; i++) {
        double from = floor(r->gains[i].at_s * r->rate_hz) - (double)s->n;
        double to = (double)n;
        if (i + 1 < r->n_gains)
            to = fmin(to, floor(r->gains[i + 1].at_s * r->rate_hz) - (double)s->n);
        float a = (float)pow(10, r->gains[i].gain_db / 20);
        for (size_t k = from > 0 ? (size_t)from : 0; (double)k < to; k++) {
            s->re[k] *= a;
            s->im[k] *= a;
        }
    }
}

/* Q is seen with another gain and leaning towards I. */
static void faults_apply(struct uw_synth *s, size_t n) {
    const struct uw_synth_receiver *r = s->rx.r;
    bool imbalance = r->iq_gain_db != 0 || r->iq_phase_deg != 0;
    if (!imbalance && !(r->dc_i != 0) && !(r->dc_q != 0))
        return;
    double phase = r->iq_phase_deg * UW_PI / 180, gain = pow(10, r->iq_gain_db / 20);
    float qi = (float)(gain * sin(phase)), qq = (float)(gain * cos(phase));
    float di = (float)r->dc_i, dq = (float)r->dc_q;
    for (size_t k = 0; k < n; k++) {
        float i = s->re[k], q = s->im[k];
        s->re[k] = i + di;
        s->im[k] = qi * i + qq * q + dq;
    }
}

static int block_make(struct uw_synth *s) {
    size_t n = s->n_end - s->n < BLOCK ? (size_t)(s->n_end - s->n) : BLOCK;
    if (s->sigma > 0) {
        zig_fill(&s->zig, &s->noise, s->sigma, s->re, s->im, n);
    } else {
        memset(s->re, 0, n * sizeof(float));
        memset(s->im, 0, n * sizeof(float));
    }
    int r = voices_start(s, s->n + n);
    if (r < 0)
        return r;
    voices_add(s, n);
    birdies_add(s, n);
    gain_apply(s, n);
    faults_apply(s, n);
    s->n += n;
    s->have = n;
    s->used = 0;
    return 0;
}

/* How many samples from place `at` of the block are wanted (positive) or lost (negative). */
static int64_t run_length(const struct uw_synth *s, size_t at, size_t max) {
    const struct uw_synth_receiver *r = s->rx.r;
    uint64_t n = s->n - s->have + at;
    for (int i = 0; i < r->n_losses; i++) {
        uint64_t from = (uint64_t)floor(r->losses[i].at_s * r->rate_hz);
        uint64_t to = from + r->losses[i].samples;
        if (n >= from && n < to)
            return to - n < max ? -(int64_t)(to - n) : -(int64_t)max;
        if (n < from && from - n < max)
            max = (size_t)(from - n);
    }
    return (int64_t)max;
}

int uw_synth_read(struct uw_synth *synth, void *out, size_t n, size_t *ret_n) {
    enum uw_iq_format format = synth->rx.r->format;
    size_t done = 0, size = uw_iq_format_size(format);
    while (done < n) {
        if (synth->used == synth->have) {
            if (synth->n == synth->n_end)
                break;
            int r = block_make(synth);
            if (r < 0)
                return r;
        }
        size_t at = synth->used;
        int64_t run = run_length(synth, at, synth->have - at);
        if (run < 0) {
            synth->used += (size_t)-run;
            continue;
        }
        size_t take = (size_t)run < n - done ? (size_t)run : n - done;
        samples_write(format, synth->re + at, synth->im + at, take, (char *)out + done * size);
        synth->used += take;
        done += take;
    }
    *ret_n = done;
    return 0;
}

int uw_synth_truth(const struct uw_scenario *scenario, int receiver, struct uw_diag *diag,
                   uw_synth_burst_fn fn, void *userdata) {
    int r = scenario_check(scenario, receiver, diag);
    if (r != 0)
        return r;
    struct schedule *schedule;
    r = schedule_new(scenario, &schedule);
    if (r < 0)
        return r;
    struct rx rx;
    rx_init(&rx, scenario, receiver);
    int source = -1;
    while (isfinite(schedule_peek(schedule, &source))) {
        struct burst b;
        struct uw_synth_burst truth;
        schedule_pop(schedule, source, &b);
        rx_truth(&rx, scenario, &b, &truth);
        if (!fn(&truth, userdata))
            break;
    }
    free(schedule);
    return 0;
}
