/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * OFDM on a 15 kHz raster: DJI DroneID bursts and an LTE-like downlink
 *
 * Each symbol is built in the frequency domain, every carrier weighted with the receiver's passband
 * where it falls, and transformed at four times the width that this receiver sees or more. A symbol
 * is periodic in its useful time, so any instant of it, prefix included, is found by interpolating
 * on a circle (8-point Lagrange: error below -75 dB at this oversampling): no filter, no delay, any
 * receiver rate, any fractional start.
 *
 * DroneID (github.com/proto17/dji_droneid; RUB-SysSec/DroneSecurity): 15.36 MS/s numerology, prefix
 * 80 samples in the first and last symbol and 72 between, Zadoff-Chu symbols of length 601 with
 * roots 600 and 147, centre zeroed, QPSK elsewhere. LTE: prefix 160 once in seven symbols, else
 * 144, of 2048; primary synchronisation (root 25) each 5 ms.
 */

#include "synth-impl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "uw/base/err.h"
#include "uw/base/util.h"

#define SPACING_HZ   15e3
#define CHIP_HZ      15.36e6 /* unit of DroneID's prefixes; LTE's are of twice the rate */
#define TAPS         8
#define OVERSAMPLING 4
#define N_ZC         601
#define LTE_SLOT     7  /* symbols */
#define LTE_HALF     70 /* symbols in 5 ms */

struct voice_ofdm {
    int n;     /* transform length */
    int k_max; /* carriers on each side */
    int k_mid; /* carrier that is transformed as 0: the one nearest to the receiver's centre */
    int k_low, k_high; /* carriers that the receiver sees */
    double useful_s, chip_s;
    int64_t symbol;
    double start_s, stop_s, prefix_s; /* of this symbol, from the burst's start */
    double hz_per_carrier, offset_hz;
    double *spec_re, *spec_im; /* n each */
    double *cos_table;         /* n: cos(2 pi k/n) */
};

static void fft_inverse(const double *table, double *re, double *im, int n) {
    for (int i = 1, j = 0; i < n; i++) {
        int bit = n >> 1;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j |= bit;
        if (i < j) {
            double t = re[i];
            re[i] = re[j];
            re[j] = t;
            t = im[i];
            im[i] = im[j];
            im[j] = t;
        }
    }
    for (int len = 2; len <= n; len <<= 1) {
        int half = len / 2, step = n / len;
        for (int i = 0; i < n; i += len) {
            for (int k = 0; k < half; k++) {
                double wr = table[k * step], wi = table[(k * step + 3 * n / 4) & (n - 1)];
                int a = i + k, b = a + half;
                double tr = re[b] * wr - im[b] * wi, ti = re[b] * wi + im[b] * wr;
                re[b] = re[a] - tr;
                im[b] = im[a] - ti;
                re[a] += tr;
                im[a] += ti;
            }
        }
    }
}

static int n_symbols(enum ofdm_layout layout) {
    return layout == OFDM_DRONEID ? 9 : 8;
}

/* Prefix in chips of 15.36 MHz. */
static double prefix_chips(enum ofdm_layout layout, int64_t symbol) {
    if (layout == OFDM_LTE)
        return symbol % LTE_SLOT == 0 ? 80 : 72;
    return symbol == 0 || symbol == n_symbols(layout) - 1 ? 80 : 72;
}

static int zc_root(enum ofdm_layout layout, int64_t symbol) {
    int first = layout == OFDM_DRONEID ? 3 : 2;
    if (symbol == first)
        return 600;
    return symbol == first + 2 ? 147 : 0;
}

static void carrier_set(struct voice_ofdm *o, const struct rx *rx, int k, double re, double im) {
    if (k < o->k_low || k > o->k_high)
        return;
    double g = rx_gain(rx, o->offset_hz + k * o->hz_per_carrier);
    int bin = (k - o->k_mid) & (o->n - 1);
    o->spec_re[bin] = g * re;
    o->spec_im[bin] = g * im;
}

static void symbol_values(struct voice *v, const struct rx *rx, int root, int length) {
    struct voice_ofdm *o = v->ofdm;
    int half = (length - 1) / 2;
    for (int n = 0; n < length; n++) {
        if (n == half)
            continue;
        double a = -UW_PI * fmod((double)root * n * (n + 1), 2.0 * length) / length;
        carrier_set(o, rx, n - half, cos(a), sin(a));
    }
}

static void symbol_build(struct voice *v, const struct rx *rx) {
    struct voice_ofdm *o = v->ofdm;
    const struct wave *w = &v->b.wave;
    for (int i = 0; i < o->n; i++)
        o->spec_re[i] = o->spec_im[i] = 0;
    for (int k = -o->k_max; k <= o->k_max; k++) {
        uint64_t bits = rng_next(&v->rng);
        double r = sqrt(0.5);
        if (k != 0)
            carrier_set(o, rx, k, bits >> 63 ? r : -r, bits >> 62 & 1 ? r : -r);
    }
    if (w->layout == OFDM_LTE && o->symbol % LTE_HALF == LTE_SLOT - 1)
        symbol_values(v, rx, 25, 63);
    int root = w->layout == OFDM_LTE ? 0 : zc_root(w->layout, o->symbol);
    if (root > 0)
        symbol_values(v, rx, root, N_ZC);
    fft_inverse(o->cos_table, o->spec_re, o->spec_im, o->n);
    double scale = 1 / sqrt(2.0 * o->k_max);
    for (int i = 0; i < o->n; i++) {
        o->spec_re[i] *= scale;
        o->spec_im[i] *= scale;
    }
}

static void symbol_next(struct voice *v, const struct rx *rx) {
    struct voice_ofdm *o = v->ofdm;
    o->symbol++;
    o->start_s = o->stop_s;
    o->prefix_s = prefix_chips(v->b.wave.layout, o->symbol) * o->chip_s;
    o->stop_s = o->start_s + o->prefix_s + o->useful_s;
    symbol_build(v, rx);
}

/* Which carriers fall into the receiver's band. */
static void carriers_choose(struct voice_ofdm *o, const struct rx *rx) {
    double low = ceil((-rx->edge_hz - o->offset_hz) / o->hz_per_carrier);
    double high = floor((rx->edge_hz - o->offset_hz) / o->hz_per_carrier);
    o->k_low = (int)fmin(fmax(low, -o->k_max), o->k_max);
    o->k_high = (int)fmin(fmax(high, o->k_low), o->k_max);
    o->k_mid = (o->k_low + o->k_high) / 2;
    for (o->n = 256; o->n < OVERSAMPLING * (o->k_high - o->k_low + 1);)
        o->n *= 2;
}

int voice_ofdm_open(struct voice *v, const struct rx *rx) {
    struct voice_ofdm *o = calloc(1, sizeof(*o));
    if (!o)
        return uw_err(-ENOMEM);
    v->ofdm = o;
    double clock = v->b.clock;
    o->k_max = v->b.wave.carriers / 2;
    o->useful_s = 1 / (SPACING_HZ * clock);
    o->chip_s = 1 / (CHIP_HZ * clock);
    o->offset_hz = v->cps * rx->r->rate_hz;
    o->hz_per_carrier = SPACING_HZ * clock / rx->clock;
    o->symbol = -1;
    carriers_choose(o, rx);
    o->spec_re = calloc((size_t)o->n, sizeof(double));
    o->spec_im = calloc((size_t)o->n, sizeof(double));
    o->cos_table = calloc((size_t)o->n, sizeof(double));
    if (!o->spec_re || !o->spec_im || !o->cos_table)
        return uw_err(-ENOMEM);
    for (int i = 0; i < o->n; i++)
        o->cos_table[i] = cos(2 * UW_PI * i / o->n);
    return 0;
}

void voice_ofdm_close(struct voice *v) {
    if (!v->ofdm)
        return;
    free(v->ofdm->spec_re);
    free(v->ofdm->spec_im);
    free(v->ofdm->cos_table);
    free(v->ofdm);
    v->ofdm = NULL;
}

/* Lagrange weights for the points -3 .. 4 at 0 <= p < 1. */
static void weights(double p, double w[TAPS]) {
    static const double scale[TAPS] = {-1.0 / 5040, 1.0 / 720, -1.0 / 240, 1.0 / 144,
                                       -1.0 / 144,  1.0 / 240, -1.0 / 720, 1.0 / 5040};
    double below = 1, above = 1;
    for (int i = 0; i < TAPS; i++) {
        w[i] = below * scale[i];
        below *= p - (i - 3);
    }
    for (int i = TAPS - 1; i >= 0; i--) {
        w[i] *= above;
        above *= p - (i - 3);
    }
}

/* The symbol's value at a place on its circle. */
static void circle_at(const struct voice_ofdm *o, double place, float *re, float *im) {
    double w[TAPS], sr = 0, si = 0;
    int cell = (int)place;
    weights(place - cell, w);
    for (int i = 0; i < TAPS; i++) {
        int at = (cell + i - 3) & (o->n - 1);
        sr += w[i] * o->spec_re[at];
        si += w[i] * o->spec_im[at];
    }
    *re = (float)sr;
    *im = (float)si;
}

/* Up to len samples of one symbol; returns how many. */
static int ofdm_segment(struct voice *v, const struct rx *rx, uint64_t n, float *re, float *im,
                        int len) {
    struct voice_ofdm *o = v->ofdm;
    double rate = rx->r->rate_hz * rx->clock, since = (double)n - v->s0;
    float cr[PIECE], ci[PIECE];
    while (since / rate >= o->stop_s)
        symbol_next(v, rx);
    double left = ceil(o->stop_s * rate - since);
    if (left < len)
        len = left < 1 ? 1 : (int)left;
    double turn = (since / rate - o->start_s - o->prefix_s) / o->useful_s;
    double step = 1 / (rate * o->useful_s);
    chirp_run(v->phase0 + v->cps * since + o->k_mid * turn, v->cps + o->k_mid * step, 0, cr, ci,
              len);
    for (int k = 0; k < len; k++) {
        double u = turn + k * step;
        float a, b;
        circle_at(o, (u - floor(u)) * o->n, &a, &b);
        re[k] = a * cr[k] - b * ci[k];
        im[k] = a * ci[k] + b * cr[k];
    }
    return len;
}

void voice_ofdm_run(struct voice *v, const struct rx *rx, uint64_t n, float *re, float *im,
                    int len) {
    for (int k = 0; k < len;)
        k += ofdm_segment(v, rx, n + (uint64_t)k, re + k, im + k, len - k);
}
