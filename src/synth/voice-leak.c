/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What leaks from a neighbouring down-link: noise that comes and goes in slots
 *
 * Density falls from freq_hz to both sides as 1/(1 + (2 f/bandwidth)^2): inside the band it is a
 * shoulder, from outside a slope. A short complex FIR of the root of that curve (its first Fourier
 * terms over the receiver's band) shapes white noise. A slot is on or off by the burst's seed and
 * its number alone. The noise under it is the sum of four uniform bytes each way: bell-shaped,
 * but without the tails of thermal noise.
 */

#include "synth-impl.h"

#include <math.h>
#include <string.h>

#include "uw/base/util.h"

#define POINTS 256

void voice_leak_open(struct voice *v, const struct rx *rx) {
    struct voice_leak *l = &v->leak;
    double rate = rx->r->rate_hz, half = 0.5 * v->b.wave.bw_hz, peak = rate / v->b.wave.bw_hz;
    double hr[LEAK_TAPS] = {0}, hi[LEAK_TAPS] = {0};
    l->slot_len = v->b.wave.slot_s * rate * rx->clock / v->b.clock;
    l->slot = -1;
    for (int i = 0; i < POINTS; i++) {
        double f = (i + 0.5) / POINTS - 0.5, x = (f - v->cps) * rate / half;
        double g = sqrt(peak / (1 + x * x)) * rx_gain(rx, f * rate) / POINTS;
        for (int d = 0; d < LEAK_TAPS; d++) {
            hr[d] += g * cos(2 * UW_PI * f * (d - LEAK_HALF));
            hi[d] += g * sin(2 * UW_PI * f * (d - LEAK_HALF));
        }
    }
    for (int d = 0; d < LEAK_TAPS; d++) {
        l->hr[d] = (float)hr[d];
        l->hi[d] = (float)hi[d];
    }
}

/* Sum of the four bytes, less its mean, scaled to variance 1/2. */
static inline float bell(uint32_t bits) {
    uint32_t pairs = (bits & 0xff00ff) + (bits >> 8 & 0xff00ff);
    int sum = (int)((pairs & 0xffff) + (pairs >> 16));
    return (float)(sum - 510) * 4.7841964e-3f;
}

UW_CLONES static void bell_run(const uint64_t *bits, float *re, float *im, int n) {
    for (int k = 0; k < n; k++) {
        re[k] = bell((uint32_t)bits[k]);
        im[k] = bell((uint32_t)(bits[k] >> 32));
    }
}

/* The numbers come one after the other; what is made of them does not have to. */
static void bell_fill(struct rng *rng, float *re, float *im, int n) {
    uint64_t bits[PIECE];
    struct rng local = *rng;
    for (int k = 0; k < n; k++)
        bits[k] = rng_next(&local);
    *rng = local;
    bell_run(bits, re, im, n);
}

static void slot_start(struct voice *v, int64_t slot) {
    struct voice_leak *l = &v->leak;
    l->slot = slot;
    rng_init(&v->rng, rng_hash(v->b.seed, (uint64_t)slot, 14));
    l->on = rng_uniform(&v->rng) < v->b.wave.duty;
    bell_fill(&v->rng, l->wr, l->wi, LEAK_TAPS - 1);
}

static void noise_run(struct voice *v, float *re, float *im, int len) {
    struct voice_leak *l = &v->leak;
    float xr[PIECE + LEAK_TAPS - 1 + LEAK_ROOM], xi[PIECE + LEAK_TAPS - 1 + LEAK_ROOM];
    for (int i = 0; i < LEAK_TAPS - 1; i++) {
        xr[i] = l->wr[i];
        xi[i] = l->wi[i];
    }
    bell_fill(&v->rng, xr + LEAK_TAPS - 1, xi + LEAK_TAPS - 1, len);
    memset(xr + LEAK_TAPS - 1 + len, 0, LEAK_ROOM * sizeof(float));
    memset(xi + LEAK_TAPS - 1 + len, 0, LEAK_ROOM * sizeof(float));
    leak_filter(l, xr, xi, re, im, (size_t)len);
    for (int i = 0; i < LEAK_TAPS - 1; i++) {
        l->wr[i] = xr[len + i];
        l->wi[i] = xi[len + i];
    }
}

void voice_leak_run(struct voice *v, uint64_t n, float *re, float *im, int len) {
    struct voice_leak *l = &v->leak;
    for (int k = 0; k < len;) {
        double since = (double)(n + (uint64_t)k) - v->s0;
        int64_t slot = l->slot_len > 0 ? (int64_t)floor(since / l->slot_len) : 0;
        int run = len - k;
        if (slot != l->slot)
            slot_start(v, slot);
        if (l->slot_len > 0) {
            double left = ceil((double)(slot + 1) * l->slot_len - since);
            run = left >= run ? run : left < 1 ? 1 : (int)left;
        }
        for (int i = k; i < k + run && !l->on; i++)
            re[i] = im[i] = 0;
        if (l->on)
            noise_run(v, re + k, im + k, run);
        k += run;
    }
}
