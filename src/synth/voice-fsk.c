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

void voice_fsk_run(struct voice *v, uint64_t n, float *re, float *im, int len) {
    struct voice_fsk *f = &v->fsk;
    double half_h = v->b.wave.deviation_hz / v->b.wave.baud;
    int half = FSK_SPAN / 2;
    for (int k = 0; k < len; k++) {
        double since = (double)(n + (uint64_t)k) - v->s0;
        double x = since / f->spb;
        int64_t now = (int64_t)floor(x);
        window_move(v, now + half, half_h);
        double place = (x - (double)now) * FSK_GRID;
        int cell = (int)place;
        float part = (float)(place - cell), sum = 0;
        for (int i = 0; i < FSK_SPAN; i++) {
            /* bit first+i began half+... symbols before: place in its pulse */
            const float *q = f->q + (FSK_SPAN - 1 - i) * FSK_GRID + cell;
            sum += f->bits[i] * (q[0] + part * (q[1] - q[0]));
        }
        double cycles = v->phase0 + v->cps * since + f->base + half_h * (double)sum;
        float angle = (float)(2 * UW_PI * (cycles - floor(cycles)));
        re[k] = cosf(angle);
        im[k] = sinf(angle);
    }
}

void voice_ook_run(struct voice *v, uint64_t n, float *re, float *im, int len) {
    struct voice_fsk *f = &v->fsk;
    double since = (double)n - v->s0;
    chirp_run(v->phase0 + v->cps * since, v->cps, 0, re, im, len);
    for (int k = 0; k < len; k++) {
        int64_t now = (int64_t)((since + k) / f->spb);
        for (; f->first < now; f->first++) /* alternates first, so that every burst starts on */
            f->bits[0] = f->first < PREAMBLE_BITS ? (f->first & 1 ? 1.0f : 0.0f)
                                                  : (float)(rng_next(&v->rng) >> 63);
        re[k] *= f->bits[0];
        im[k] *= f->bits[0];
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
