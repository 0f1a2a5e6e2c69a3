/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What the analogue side does to the whole band: IF filter and intermodulation
 *
 * The filter's amplitude is 1 up to if_flat_hz and falls as half a cosine to if_edge_db at half the
 * rate; a short symmetric FIR of the curve's first Fourier terms, which is so smooth that it is met
 * within 0.1 dB. Both loops are kernels that the loader may take in a wider form, with the same
 * bits.
 *
 * Third order: of two tones of amplitude A the cubic term makes products of amplitude A^3/a^2, so a
 * is the amplitude where product and tone would meet: the intercept. The law's slope is 0 at
 * |x|^2 = a^2/3; above, the magnitude stays where it is.
 */

#include "synth-impl.h"

#include <math.h>
#include <string.h>

#include "uw/base/util.h"

#define LANES  LEAK_ROOM
#define CHUNK  FIR_ROOM
#define POINTS 512 /* of the curve, from 0 to half the rate */
#define BENT   64  /* samples that the cubic law looks at together */

static double curve(const struct uw_synth_receiver *r, double hz) {
    double edge = pow(10, r->if_edge_db / 20), top = 0.5 * r->rate_hz;
    if (hz <= r->if_flat_hz)
        return 1;
    double x = (hz - r->if_flat_hz) / (top - r->if_flat_hz);
    return edge + (1 - edge) * (0.5 + 0.5 * cos(UW_PI * x));
}

bool fir_init(struct fir *fir, const struct uw_synth_receiver *r) {
    if (!(r->if_flat_hz > 0) || r->if_flat_hz >= 0.5 * r->rate_hz || !(r->if_edge_db < 0))
        return false;
    double sum = 0, h[FIR_HALF + 1];
    for (int d = 0; d <= FIR_HALF; d++) {
        double acc = 0;
        for (int i = 0; i < POINTS; i++) {
            double x = (i + 0.5) / POINTS;
            acc += curve(r, 0.5 * r->rate_hz * x) * cos(UW_PI * x * d);
        }
        h[d] = acc / POINTS;
        sum += d == 0 ? h[d] : 2 * h[d];
    }
    for (int d = 0; d <= FIR_HALF; d++)
        fir->h[d] = (float)(h[d] / sum);
    return true;
}

/* CHUNK outputs at a time, so that the sums stay in registers. */
UW_CLONES void fir_run(const struct fir *fir, const float *x, float *y, size_t n) {
    for (size_t from = 0; from < n; from += CHUNK) {
        float sum[CHUNK];
        const float *mid = x + from + FIR_HALF;
        size_t len = n - from < CHUNK ? n - from : CHUNK;
        for (size_t k = 0; k < CHUNK; k++)
            sum[k] = fir->h[0] * mid[k];
        for (size_t d = 1; d <= FIR_HALF; d++)
            for (size_t k = 0; k < CHUNK; k++)
                sum[k] += fir->h[d] * (*(mid + k - d) + mid[k + d]);
        if (len == CHUNK) /* a copy of known length needs no call */
            memcpy(y + from, sum, sizeof(sum));
        else
            memcpy(y + from, sum, len * sizeof(float));
    }
}

/* The law as it stands; sqrtf() and the division keep the loop from being widened. */
static inline void cubic_one(float c, float top, float hold, float *re, float *im) {
    float p = *re * *re + *im * *im;
    float g = p > top ? hold / sqrtf(p) : 1 - c * p;
    *re *= g;
    *im *= g;
}

/* Most pieces nowhere reach the place where the law is held, and take the short way. */
UW_CLONES void cubic_run(float a, float *restrict re, float *restrict im, size_t n) {
    float c = 1 / (a * a), top = 1 / (3 * c), hold = 2.0f / 3.0f * sqrtf(top);
    size_t k = 0;
    for (; k + BENT <= n; k += BENT) {
        float g[BENT];
        int over = 0;
        for (size_t i = 0; i < BENT; i++) {
            float p = re[k + i] * re[k + i] + im[k + i] * im[k + i];
            over |= p > top;
            g[i] = 1 - c * p;
        }
        for (size_t i = 0; i < BENT && !over; i++) {
            re[k + i] *= g[i];
            im[k + i] *= g[i];
        }
        for (size_t i = 0; i < BENT && over; i++)
            cubic_one(c, top, hold, re + k + i, im + k + i);
    }
    for (; k < n; k++)
        cubic_one(c, top, hold, re + k, im + k);
}

/* LANES results at a time, whose sums stay in registers. */
UW_CLONES void leak_filter(const struct voice_leak *l, const float *xr, const float *xi, float *yr,
                           float *yi, size_t n) {
    for (size_t k0 = 0; k0 < n; k0 += LANES) {
        size_t len = n - k0 < LANES ? n - k0 : LANES;
        float sr[LANES] = {0}, si[LANES] = {0};
        for (size_t i = 0; i < LEAK_TAPS; i++) {
            const float *ar = xr + k0 + LEAK_TAPS - 1 - i, *ai = xi + k0 + LEAK_TAPS - 1 - i;
            float hr = l->hr[i], hi = l->hi[i];
            for (size_t k = 0; k < LANES; k++) {
                sr[k] += hr * ar[k] - hi * ai[k];
                si[k] += hr * ai[k] + hi * ar[k];
            }
        }
        if (len == LANES) { /* a copy of known length needs no call */
            memcpy(yr + k0, sr, sizeof(sr));
            memcpy(yi + k0, si, sizeof(si));
        } else {
            memcpy(yr + k0, sr, len * sizeof(float));
            memcpy(yi + k0, si, len * sizeof(float));
        }
    }
}

/* Sine and cosine of half the angle, at most a quarter turn, by their series; then doubled. Good to
 * some 1e-7. */
UW_CLONES void cis_run(const float *cycles, float *re, float *im, size_t n) {
    const float pi = (float)UW_PI, whole = 12582912.0f; /* 1.5 x 2^23: adding it rounds */
    for (size_t k = 0; k < n; k++) {
        float r = cycles[k] - ((cycles[k] + whole) - whole);
        float x = pi * r, y = x * x;
        float c =
            1 + y * (-1 / 2.0f + y * (1 / 24.0f + y * (-1 / 720.0f +
                                                       y * (1 / 40320.0f - y * (1 / 3628800.0f)))));
        float s =
            x * (1 + y * (-1 / 6.0f +
                          y * (1 / 120.0f +
                               y * (-1 / 5040.0f + y * (1 / 362880.0f - y * (1 / 39916800.0f))))));
        re[k] = 1 - 2 * s * s;
        im[k] = 2 * s * c;
    }
}

UW_CLONES void mix_run(const float *sre, const float *sim, struct cgain g0, struct cgain g1,
                       float *re, float *im, int len) {
    float ar = (float)g0.re, ai = (float)g0.im;
    float br = (float)((g1.re - g0.re) / len), bi = (float)((g1.im - g0.im) / len);
    for (int k = 0; k < len; k++) {
        float gr = ar + br * (float)k, gi = ai + bi * (float)k;
        re[k] += sre[k] * gr - sim[k] * gi;
        im[k] += sre[k] * gi + sim[k] * gr;
    }
}
