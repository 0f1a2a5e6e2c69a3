/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tones of half a millisecond among GMSK
 *
 * Windows of 0.36 ms, a quarter of that apart: at least two lie wholly in a burst. A window is of a
 * tone if most of the power around the channel is in one line. GMSK with random bits spreads over
 * 100 kHz and more, a window of it never has that. The best window of a burst is measured as a
 * carrier's segment is (carrier.c).
 *
 * What is a tone for longer than a burst is none, and what does not keep the frames' rhythm is no
 * base station.
 */
#include "uw/dsp/fcch.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "carrier-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/fft.h"

#define WINDOW_S    0.36e-3
#define TONE_MAX    8     /* windows that a burst can fill */
#define APART_S     0.040 /* nine frames and a bit */
#define SHARE       0.6   /* of the power around the channel that is in the line */
#define LINE_BINS   2     /* to either side: the main lobe of a Hann window, and half a bin */
#define CHANNEL_HZ  100e3
#define BURSTS_MIN  8
#define BURSTS_MAX  8192
#define SECONDS_MIN 1.0
#define A_SECOND    (5 / (51 * UW_FCCH_FRAME_S)) /* bursts of a station */
#define PRESENT     0.5
#define RHYTHM      0.08 /* of a frame */
#define IN_RHYTHM   0.8
#define SCATTER_HZ  200.0
#define OUTLIER_HZ  1000.0

struct burst {
    double at_s, freq_hz, snr;
};

struct uw_fcch {
    struct uw_fcch_config config;
    struct uw_fft *fft;
    size_t n, hop, have;
    float *window;
    float complex *x;
    double time_s; /* of x[0] */
    double heard_s;
    int n_tone; /* windows in a row that are of a tone, and what they are */
    struct burst tone[TONE_MAX];
    int n_bursts;
    struct burst *bursts;
};

struct uw_fcch *uw_fcch_free(struct uw_fcch *fcch) {
    if (!fcch)
        return NULL;
    uw_fft_free(fcch->fft);
    free(fcch->window);
    free(fcch->x);
    free(fcch->bursts);
    free(fcch);
    return NULL;
}

void uw_fcch_freep(struct uw_fcch **fcch) {
    *fcch = uw_fcch_free(*fcch);
}

int uw_fcch_new(const struct uw_fcch_config *config, struct uw_fcch **ret_fcch) {
    UW_CLEANUP(uw_fcch_freep) struct uw_fcch *f = calloc(1, sizeof(*f));
    int r;

    if (!f)
        return uw_err(-ENOMEM);
    if (!(fabs(config->freq_hz + UW_FCCH_TONE_HZ) + config->span_hz + CHANNEL_HZ <
          config->rate_hz / 2))
        return -EINVAL;
    f->config = *config;
    f->n = uw_fft_good_size((size_t)(WINDOW_S * config->rate_hz / 4)) * 4;
    f->hop = f->n / 4;
    f->window = calloc(f->n, sizeof(*f->window));
    f->x = calloc(f->n, sizeof(*f->x));
    f->bursts = calloc(BURSTS_MAX, sizeof(*f->bursts));
    if (!f->window || !f->x || !f->bursts)
        return uw_err(-ENOMEM);
    for (size_t i = 0; i < f->n; i++)
        f->window[i] = (float)(0.5 - 0.5 * cos(2 * UW_PI * (double)i / (double)f->n));
    r = uw_fft_new(f->n, &f->fft);
    if (r)
        return r;
    *ret_fcch = f;
    f = NULL;
    return 0;
}

static double power_of(const struct uw_fcch *f, long bin) {
    long n = (long)f->n;
    float complex v = uw_fft_buffer(f->fft)[(size_t)(((bin % n) + n) % n)];

    return crealf(v) * crealf(v) + cimagf(v) * cimagf(v);
}

/* The line's bin, or false if the window is not of a tone. */
static bool find_tone(const struct uw_fcch *f, long *ret_bin, double *ret_snr) {
    double bin_hz = f->config.rate_hz / (double)f->n;
    double middle = f->config.freq_hz + UW_FCCH_TONE_HZ;
    long low = lround((middle - f->config.span_hz) / bin_hz);
    long high = lround((middle + f->config.span_hz) / bin_hz);
    long beside = lround(CHANNEL_HZ / bin_hz), best = low;
    double all = 0, line = 0, most = -1;

    for (long k = low - beside; k <= high + beside; k++) {
        double p = power_of(f, k);
        all += p;
        if (k >= low && k <= high && p > most) {
            most = p;
            best = k;
        }
    }
    for (long k = best - LINE_BINS; k <= best + LINE_BINS; k++)
        line += power_of(f, k);
    *ret_bin = best;
    *ret_snr = line / fmax(all - line, 1e-30);
    return line > SHARE * all;
}

/* The window in the middle lies wholly in the burst, those at the ends do not. */
static void end_tone(struct uw_fcch *f) {
    struct burst *last = f->n_bursts ? &f->bursts[f->n_bursts - 1] : NULL;
    int n = f->n_tone;
    const struct burst *a, *b;
    struct burst burst;

    f->n_tone = 0;
    if (n > TONE_MAX || f->n_bursts == BURSTS_MAX)
        return;
    a = &f->tone[(n - 1) / 2];
    b = &f->tone[n / 2];
    burst.at_s = (a->at_s + b->at_s) / 2;
    burst.freq_hz = (a->freq_hz + b->freq_hz) / 2;
    burst.snr = (a->snr + b->snr) / 2;
    if (last && burst.at_s - last->at_s < APART_S) {
        if (burst.snr > last->snr) /* one of the two was chance */
            *last = burst;
        return;
    }
    f->bursts[f->n_bursts++] = burst;
}

static void look(struct uw_fcch *f) {
    float complex *y = uw_fft_buffer(f->fft);
    double snr;
    long bin;

    for (size_t i = 0; i < f->n; i++)
        y[i] = f->window[i] * f->x[i];
    uw_fft_run(f->fft);
    if (!find_tone(f, &bin, &snr)) {
        if (f->n_tone)
            end_tone(f);
        return;
    }
    if (f->n_tone < TONE_MAX)
        f->tone[f->n_tone] = (struct burst){
            .at_s = f->time_s + 0.5 * (double)f->n / f->config.rate_hz,
            .freq_hz =
                uw_carrier_refine(f->x, f->n, (double)bin) * f->config.rate_hz / (double)f->n,
            .snr = snr,
        };
    f->n_tone++;
}

void uw_fcch_push(struct uw_fcch *fcch, const float complex *x, size_t n) {
    fcch->heard_s += (double)n / fcch->config.rate_hz;
    while (n) {
        size_t k = fcch->n - fcch->have;

        k = k < n ? k : n;
        memcpy(fcch->x + fcch->have, x, k * sizeof(*x));
        fcch->have += k;
        x += k;
        n -= k;
        if (fcch->have < fcch->n)
            continue;
        look(fcch);
        memmove(fcch->x, fcch->x + fcch->hop, (fcch->n - fcch->hop) * sizeof(*x));
        fcch->have -= fcch->hop;
        fcch->time_s += (double)fcch->hop / fcch->config.rate_hz;
    }
}

void uw_fcch_gap(struct uw_fcch *fcch, double seconds) {
    fcch->time_s += (double)fcch->have / fcch->config.rate_hz + seconds;
    fcch->have = 0;
    fcch->n_tone = 0;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Those near the median: a strong data burst may look like a tone once in a while. */
static int choose(const struct uw_fcch *f, struct uw_carrier_point *points, double *ret_snr) {
    double *sorted = calloc((size_t)f->n_bursts, sizeof(*sorted)), median;
    int n = 0;

    if (!sorted)
        return 0;
    for (int i = 0; i < f->n_bursts; i++)
        sorted[i] = f->bursts[i].freq_hz;
    qsort(sorted, (size_t)f->n_bursts, sizeof(*sorted), compare_doubles);
    median = sorted[f->n_bursts / 2];
    free(sorted);
    *ret_snr = 0;
    for (int i = 0; i < f->n_bursts; i++)
        if (fabs(f->bursts[i].freq_hz - median) < OUTLIER_HZ) {
            points[n].at_s = f->bursts[i].at_s;
            points[n++].freq_hz = f->bursts[i].freq_hz;
            *ret_snr += f->bursts[i].snr;
        }
    *ret_snr /= n;
    return n;
}

/* The share of the steps from burst to burst that are whole frames. */
static double rhythm(const struct uw_carrier_point *points, int n) {
    int good = 0;

    for (int i = 1; i < n; i++) {
        double frames = (points[i].at_s - points[i - 1].at_s) / UW_FCCH_FRAME_S;
        good += fabs(frames - round(frames)) < RHYTHM;
    }
    return n > 1 ? (double)good / (n - 1) : 0;
}

void uw_fcch_result(const struct uw_fcch *fcch, struct uw_carrier_result *ret) {
    struct uw_carrier_result result = {.n_segments = fcch->n_bursts,
                                       .seconds = fcch->heard_s,
                                       .freq_hz = NAN,
                                       .error_hz = NAN,
                                       .drift_hz_s = NAN,
                                       .snr_db = NAN,
                                       .other_hz = NAN};
    struct uw_carrier_point *points = NULL;
    struct uw_carrier_line line;
    double snr, steady;
    int n = 0;

    if (fcch->heard_s < SECONDS_MIN)
        result.verdict = UW_CARRIER_SHORT;
    else if (fcch->n_bursts < BURSTS_MIN)
        result.verdict = UW_CARRIER_NONE;
    else
        points = calloc((size_t)fcch->n_bursts, sizeof(*points));
    if (points)
        n = choose(fcch, points, &snr);
    if (n >= 3) {
        steady = rhythm(points, n);
        uw_carrier_fit(points, n, &line);
        result.n_segments = n;
        result.freq_hz = line.freq_hz - UW_FCCH_TONE_HZ;
        result.error_hz = line.error_hz;
        result.drift_hz_s = line.drift_hz_s;
        result.snr_db = 10 * log10(snr);
        if (steady < IN_RHYTHM || line.rms_hz > SCATTER_HZ)
            result.verdict = UW_CARRIER_UNSTEADY;
        else if (n < PRESENT * A_SECOND * fcch->heard_s)
            result.verdict = UW_CARRIER_FADING;
        else if (fabs(result.freq_hz - fcch->config.freq_hz) > 0.97 * fcch->config.span_hz)
            result.verdict = UW_CARRIER_EDGE;
    }
    free(points);
    *ret = result;
}
