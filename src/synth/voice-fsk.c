/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * FSK with or without Gaussian shaping, keyed carriers, impulses
 *
 * Phase of an FSK signal: sum over bits b_k of b_k h/2 q((t - kT)/T) cycles, h = 2 fdev/baud, where
 * q rises from 0 to 1 as the integral of the shaped pulse (a ramp over one symbol without shaping).
 * Bits before the window have q = 1 and are summed once; the ones inside are looked up.
 */

#include "synth-impl.h"

#include <math.h>

#include "uw/base/util.h"

#define PREAMBLE_BITS 16

/* q over FSK_SPAN symbols, the bit's own symbol in the middle. */
static void pulse_fill(float *q, double bt) {
    double k = UW_PI * bt * sqrt(2 / log(2)), sum = 0;
    int half = FSK_SPAN / 2;
    for (int i = 0; i <= FSK_SPAN * FSK_GRID + 1; i++) {
        double t = (i + 0.5) / FSK_GRID - half; /* bit from 0 to 1 */
        q[i] = (float)sum;
        if (bt > 0)
            sum += 0.5 * (erf(k * t) - erf(k * (t - 1))) / FSK_GRID;
        else if (t > 0 && t < 1)
            sum += 1.0 / FSK_GRID;
    }
}

void voice_fsk_open(struct voice *v, const struct rx *rx) {
    struct voice_fsk *f = &v->fsk;
    f->spb = rx->r->rate_hz * rx->clock / (v->b.wave.baud * v->b.clock);
    f->first = -FSK_SPAN;
    for (int i = 0; i < FSK_SPAN; i++)
        f->bits[i] = 0;
    pulse_fill(f->q, v->b.wave.bt);
}

/* How many samples from `since` on lie in bit `now`; at least 1, at most max. */
static int bit_run(double since, double spb, int64_t now, int max) {
    double left = ceil((double)(now + 1) * spb - since);
    return left >= max ? max : left < 1 ? 1 : (int)left;
}

static float next_bit(struct voice *v, int64_t index) {
    if (index < 0)
        return 0;
    if (index < PREAMBLE_BITS)
        return index & 1 ? 1.0f : -1.0f;
    return rng_next(&v->rng) >> 63 ? 1.0f : -1.0f;
}

/* Makes the window end with bit `last`. */
static void window_move(struct voice *v, int64_t last, double half_h) {
    struct voice_fsk *f = &v->fsk;
    while (f->first + FSK_SPAN - 1 < last) {
        f->base = fmod(f->base + half_h * (double)f->bits[0], 1);
        for (int i = 1; i < FSK_SPAN; i++)
            f->bits[i - 1] = f->bits[i];
        f->first++;
        f->bits[FSK_SPAN - 1] = next_bit(v, f->first + FSK_SPAN - 1);
    }
}

/* Phase in cycles, less the carrier's, of the samples in bit `now` from place x on, shaped. */
static void shaped_phase(const struct voice_fsk *f, int64_t now, double x, double half_h,
                         float *phase, int len) {
    double place = (x - (double)now) * FSK_GRID, step = FSK_GRID / f->spb;
    for (int k = 0; k < len; k++) {
        double at = fmin(fmax(place + k * step, 0), FSK_GRID);
        int cell = (int)at;
        float part = (float)(at - cell), sum = 0;
        for (int i = 0; i < FSK_SPAN; i++) {
            /* bit first+i began half+... symbols before: place in its pulse */
            const float *q = f->q + (FSK_SPAN - 1 - i) * FSK_GRID + cell;
            sum += f->bits[i] * (q[0] + part * (q[1] - q[0]));
        }
        phase[k] = (float)half_h * sum;
    }
}

/* The same without shaping: older bits are whole, this one is a ramp. */
static void plain_phase(const struct voice_fsk *f, int64_t now, double x, double half_h,
                        float *phase, int len) {
    double sum = 0, slope = half_h * (double)f->bits[FSK_SPAN / 2 - 1] / f->spb;
    for (int i = 0; i < FSK_SPAN / 2 - 1; i++)
        sum += (double)f->bits[i];
    float first = (float)(half_h * sum + slope * (x - (double)now) * f->spb), step = (float)slope;
    for (int k = 0; k < len; k++)
        phase[k] = first + step * (float)k;
}

void voice_fsk_run(struct voice *v, uint64_t n, float *re, float *im, int len) {
    struct voice_fsk *f = &v->fsk;
    double half_h = v->b.wave.deviation_hz / v->b.wave.baud;
    float phase[PIECE];
    for (int k = 0; k < len;) {
        double since = (double)(n + (uint64_t)k) - v->s0, x = since / f->spb;
        int64_t now = (int64_t)floor(x);
        window_move(v, now + FSK_SPAN / 2, half_h);
        int run = bit_run(since, f->spb, now, len - k);
        if (v->b.wave.bt > 0)
            shaped_phase(f, now, x, half_h, phase + k, run);
        else
            plain_phase(f, now, x, half_h, phase + k, run);
        double carrier = v->phase0 + v->cps * since + f->base;
        float from = (float)(carrier - floor(carrier)), step = (float)v->cps;
        for (int i = 0; i < run; i++)
            phase[k + i] += from + step * (float)i;
        k += run;
    }
    cis_run(phase, re, im, (size_t)len);
}

/* The amplitude of bit `now`; bits are drawn in order. */
static float keyed_amplitude(struct voice *v, int64_t now) {
    struct voice_fsk *f = &v->fsk;
    const struct wave *w = &v->b.wave;
    while (f->first < now) { /* alternates first, so that every burst starts on */
        int64_t k = ++f->first;
        bool on = k < PREAMBLE_BITS ? !(k & 1) : rng_next(&v->rng) >> 63;
        if (w->frame_bits > 0 && k % w->frame_bits >= w->keyed_bits)
            on = true;
        f->bits[0] = on ? 1 : (float)(1 - w->depth);
    }
    return f->bits[0];
}

void voice_ook_run(struct voice *v, uint64_t n, float *re, float *im, int len) {
    double since = (double)n - v->s0, spb = v->fsk.spb;
    chirp_run(v->phase0 + v->cps * since, v->cps, 0, re, im, len);
    for (int k = 0; k < len;) {
        int64_t now = (int64_t)floor((since + k) / spb);
        int run = bit_run(since + k, spb, now, len - k);
        float a = keyed_amplitude(v, now);
        for (int i = k; i < k + run && a < 1; i++) {
            re[i] *= a;
            im[i] *= a;
        }
        k += run;
    }
}

void voice_impulse_run(struct voice *v, uint64_t n, float *re, float *im, int len) {
    double width = v->s1 - v->s0;
    float cr = (float)cos(2 * UW_PI * v->phase0), ci = (float)sin(2 * UW_PI * v->phase0);
    for (int k = 0; k < len; k++) {
        double u = ((double)n + k - v->s0) / width;
        float a = u >= 0 && u <= 1 ? (float)(0.5 - 0.5 * cos(2 * UW_PI * u)) : 0;
        re[k] = a * cr;
        im[k] = a * ci;
    }
}
