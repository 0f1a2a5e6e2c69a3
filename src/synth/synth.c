/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The stream of samples of one receiver
 *
 * Samples are made in blocks of a fixed size on the receiver's own clock (so nothing depends on how
 * they are read): noise, the voices that sound and birdies through the IF filter, then gain steps,
 * the cubic law, IQ imbalance, DC, and at last the sample format with its clipping. Samples that
 * the receiver loses are made and thrown away. The filter's delay is made up for: its input runs
 * FIR_HALF samples ahead.
 */

#include "synth-impl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/base/util.h"

#define BLOCK      4096
#define CLOCK_HZ   28.8e6 /* of the dongle, whose harmonics are heard */
#define LINEAR     190    /* dB; an intercept above makes no difference */
#define LEAK_REACH 5      /* widths from its middle leakage is 20 dB down, and left out beyond */
/* An image that lies so far below the noise in its own width is left out. */
#define IMAGE_FLOOR 1e-4

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
    uint64_t kept;     /* of those read, the ones that no listed loss took */
    bool filtered;
    struct fir fir;
    float raw_re[BLOCK + 2 * FIR_HALF + FIR_ROOM], raw_im[BLOCK + 2 * FIR_HALF + FIR_ROOM];
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
    s->filtered = fir_init(&s->fir, s->rx.r);
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

static bool is_heard(const struct rx *rx, const struct burst *b, bool image) {
    if (isnan(b->freq_hz))
        return true;
    double reach = b->wave.kind == WAVE_LEAK ? LEAK_REACH : 0.51;
    return fabs(voice_offset_hz(rx, b, image)) - reach * b->wave.bw_hz < rx->edge_hz;
}

static int voice_start(struct uw_synth *s, const struct burst *b, bool image) {
    int r = voices_grow(s);
    if (r < 0)
        return r;
    return voice_open(&s->voices[s->n_voices++], &s->rx, s->scenario, b, image);
}

static bool has_image(const struct uw_synth *s, const struct burst *b) {
    const struct rx *rx = &s->rx;
    if (!(rx->r->image_db < 0) || isnan(b->freq_hz) || !is_heard(rx, b, true))
        return false;
    double amp = rx_amplitude(rx, s->scenario, b) * pow(10, rx->r->image_db / 20);
    return !rx_has_noise(rx) || amp * amp > IMAGE_FLOOR * rx->noise_psd * b->wave.bw_hz;
}

/* Starts what begins before sample n_stop. */
static int voices_start(struct uw_synth *s, uint64_t n_stop) {
    double rate = s->rx.r->rate_hz * s->rx.clock;
    int source = -1, r = 0;
    while (r == 0 && schedule_peek(s->schedule, &source) * rate < (double)n_stop) {
        struct burst b;
        schedule_pop(s->schedule, source, &b);
        if (is_heard(&s->rx, &b, false))
            r = voice_start(s, &b, false);
        if (r == 0 && has_image(s, &b))
            r = voice_start(s, &b, true);
    }
    return r;
}

static void voices_add(struct uw_synth *s, uint64_t n0, float *re, float *im, size_t n) {
    for (size_t i = 0; i < s->n_voices;) {
        struct voice *v = &s->voices[i];
        voice_add(v, &s->rx, n0, re, im, n);
        if (v->s1 > (double)(n0 + n)) {
            i++;
            continue;
        }
        voice_close(v);
        *v = s->voices[--s->n_voices];
    }
}

static void tone_add(const struct uw_synth *s, double freq_hz, double dbfs, uint64_t n0, float *re,
                     float *im, size_t n) {
    const struct uw_synth_receiver *r = s->rx.r;
    float sre[PIECE], sim[PIECE];
    double f = (freq_hz - r->freq_hz) / r->rate_hz;
    struct cgain g = {pow(10, dbfs / 20), 0};
    for (size_t k = 0; k < n; k += PIECE) {
        int len = n - k < PIECE ? (int)(n - k) : PIECE;
        chirp_run(f * (double)(n0 + k), f, 0, sre, sim, len);
        mix_run(sre, sim, g, g, re + k, im + k, len);
    }
}

static void birdies_add(const struct uw_synth *s, uint64_t n0, float *re, float *im, size_t n) {
    const struct uw_synth_receiver *r = s->rx.r;
    for (int i = 0; i < r->n_birdies; i++)
        tone_add(s, r->birdies[i].freq_hz, r->birdies[i].dbfs, n0, re, im, n);
    if (!(r->clock_dbfs < 0))
        return;
    /* clock and tuning err alike: a harmonic stands where the nominal frequency is shown */
    double last = floor((r->freq_hz + 0.5 * r->rate_hz) / CLOCK_HZ);
    for (double k = ceil((r->freq_hz - 0.5 * r->rate_hz) / CLOCK_HZ); k <= last; k++)
        if (k > 0)
            tone_add(s, k * CLOCK_HZ, r->clock_dbfs, n0, re, im, n);
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

static void noise_make(struct uw_synth *s, float *re, float *im, size_t n) {
    if (s->sigma > 0) {
        zig_fill(&s->zig, &s->noise, s->sigma, re, im, n);
    } else {
        memset(re, 0, n * sizeof(float));
        memset(im, 0, n * sizeof(float));
    }
}

/* What comes from the antenna and the first stages, samples n0 .. n0+n-1. */
static int band_make(struct uw_synth *s, uint64_t n0, float *re, float *im, size_t n) {
    noise_make(s, re, im, n);
    int r = voices_start(s, n0 + n);
    if (r < 0)
        return r;
    voices_add(s, n0, re, im, n);
    birdies_add(s, n0, re, im, n);
    return 0;
}

static int filtered_make(struct uw_synth *s, size_t n) {
    float *re = s->raw_re, *im = s->raw_im;
    const size_t half = FIR_HALF, all = 2 * FIR_HALF;
    int r = 0;
    if (s->n == 0) {
        noise_make(s, re, im, half);
        r = band_make(s, 0, re + half, im + half, half);
    }
    if (r == 0)
        r = band_make(s, s->n + half, re + all, im + all, n);
    if (r < 0)
        return r;
    fir_run(&s->fir, re, s->re, n);
    fir_run(&s->fir, im, s->im, n);
    memmove(re, re + n, all * sizeof(float));
    memmove(im, im + n, all * sizeof(float));
    return 0;
}

static int block_make(struct uw_synth *s) {
    size_t n = s->n_end - s->n < BLOCK ? (size_t)(s->n_end - s->n) : BLOCK;
    int r = s->filtered ? filtered_make(s, n) : band_make(s, s->n, s->re, s->im, n);
    if (r < 0)
        return r;
    gain_apply(s, n);
    if (s->rx.r->ip3_dbfs < LINEAR)
        cubic_run((float)pow(10, s->rx.r->ip3_dbfs / 20), s->re, s->im, n);
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

/* The same for random losses, which count in samples that are left by the listed ones. */
static int64_t random_run(const struct uw_synth *s, size_t max) {
    uint64_t slot_len = s->rx.loss_slot, length = (uint64_t)s->rx.r->lost_length;
    if (slot_len == 0)
        return (int64_t)max;
    uint64_t place = s->kept % slot_len, from = rx_loss_at(&s->rx, s->kept / slot_len);
    uint64_t stop = place < from ? from : place < from + length ? from + length : slot_len;
    int64_t run = stop - place < max ? (int64_t)(stop - place) : (int64_t)max;
    return stop == from + length ? -run : run;
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
        run = random_run(synth, (size_t)run);
        if (run < 0) {
            synth->used += (size_t)-run;
            synth->kept += (uint64_t)-run;
            continue;
        }
        size_t take = (size_t)run < n - done ? (size_t)run : n - done;
        samples_write(format, synth->re + at, synth->im + at, take, (char *)out + done * size);
        synth->used += take;
        synth->kept += take;
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
