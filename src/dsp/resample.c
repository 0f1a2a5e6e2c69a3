/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "uw/dsp/resample.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "uw/base/err.h"
#include "uw/base/util.h"

#define TAPS        16
#define PHASES      256
#define KAISER_BETA 5.0

struct uw_resampler {
    float taps[PHASES + 1][2 * TAPS]; /* each twice: for either component */
};

/* Modified Bessel function of the first kind, order 0, by its series. */
static double bessel_i0(double x) {
    double term = 1.0;
    double sum = 1.0;

    for (int k = 1; k < 30; ++k) {
        term *= (0.5 * x / k) * (0.5 * x / k);
        sum += term;
    }
    return sum;
}

int uw_resampler_new(struct uw_resampler **ret_resampler) {
    struct uw_resampler *r = calloc(1, sizeof(*r));

    if (!r)
        return uw_err(-ENOMEM);
    for (int p = 0; p <= PHASES; ++p) {
        double sum = 0.0;

        for (int t = 0; t < TAPS; ++t) {
            double x = (double)(t - TAPS / 2 + 1) - (double)p / PHASES;
            double w = 2.0 * x / TAPS;
            double sinc = fabs(x) < 1e-9 ? 1.0 : sin(UW_PI * x) / (UW_PI * x);
            double window = fabs(w) < 1.0 ? bessel_i0(KAISER_BETA * sqrt(1.0 - w * w)) : 0.0;

            r->taps[p][2 * t] = (float)(sinc * window);
            sum += sinc * window;
        }
        for (int t = 0; t < TAPS; ++t) {
            r->taps[p][2 * t] /= (float)sum;
            r->taps[p][2 * t + 1] = r->taps[p][2 * t];
        }
    }
    *ret_resampler = r;
    return 0;
}

struct uw_resampler *uw_resampler_free(struct uw_resampler *resampler) {
    free(resampler);
    return NULL;
}

/* Where output m lies: the first input sample it needs, and its row of taps. */
static inline long place(double first, double step, size_t m, size_t *ret_row) {
    double at = first + (double)m * step;
    double whole = floor(at);

    *ret_row = (size_t)((at - whole) * PHASES + 0.5);
    return (long)whole - TAPS / 2 + 1;
}

/* Near the ends, where samples are missing. */
static float complex one(const float *taps, const float complex *in, long n_in, long i0) {
    float re = 0.0f;
    float im = 0.0f;

    for (long t = 0; t < TAPS; ++t) {
        if (i0 + t < 0 || i0 + t >= n_in)
            continue;
        re += taps[2 * t] * crealf(in[i0 + t]);
        im += taps[2 * t] * cimagf(in[i0 + t]);
    }
    return re + I * im;
}

/* Components of the products, added by halves until one of each is left. */
UW_CLONES
static void inside(const float (*restrict taps)[2 * TAPS], const float *restrict in, double first,
                   double step, size_t from, size_t to, float *restrict out) {
    for (size_t m = from; m < to; ++m) {
        float v[2 * TAPS];
        size_t row;
        const float *x = in + 2 * place(first, step, m, &row);

        for (size_t i = 0; i < 2 * TAPS; ++i)
            v[i] = taps[row][i] * x[i];
        for (size_t i = 0; i < 16; ++i)
            v[i] += v[i + 16];
        for (size_t i = 0; i < 8; ++i)
            v[i] += v[i + 8];
        for (size_t i = 0; i < 4; ++i)
            v[i] += v[i + 4];
        out[2 * m] = v[0] + v[2];
        out[2 * m + 1] = v[1] + v[3];
    }
}

void uw_resample(const struct uw_resampler *resampler, const float complex *in, size_t n_in,
                 double first, double step, float complex *out, size_t n_out) {
    size_t from = 0;
    size_t to = n_out;
    size_t row;

    while (from < n_out && place(first, step, from, &row) < 0)
        ++from;
    while (to > from && place(first, step, to - 1, &row) + TAPS > (long)n_in)
        --to;
    for (size_t m = 0; m < from; ++m) {
        long i0 = place(first, step, m, &row);

        out[m] = one(resampler->taps[row], in, (long)n_in, i0);
    }
    inside(resampler->taps, (const float *)in, first, step, from, to, (float *)out);
    for (size_t m = to; m < n_out; ++m) {
        long i0 = place(first, step, m, &row);

        out[m] = one(resampler->taps[row], in, (long)n_in, i0);
    }
}
