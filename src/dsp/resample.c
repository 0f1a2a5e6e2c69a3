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
    float taps[PHASES + 1][TAPS];
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

            r->taps[p][t] = (float)(sinc * window);
            sum += sinc * window;
        }
        for (int t = 0; t < TAPS; ++t)
            r->taps[p][t] /= (float)sum;
    }
    *ret_resampler = r;
    return 0;
}

struct uw_resampler *uw_resampler_free(struct uw_resampler *resampler) {
    free(resampler);
    return NULL;
}

void uw_resample(const struct uw_resampler *resampler, const float complex *in, size_t n_in,
                 double first, double step, float complex *out, size_t n_out) {
    for (size_t m = 0; m < n_out; ++m) {
        double at = first + (double)m * step;
        double whole = floor(at);
        const float *taps = resampler->taps[(size_t)((at - whole) * PHASES + 0.5)];
        long i0 = (long)whole - TAPS / 2 + 1;
        float re = 0.0f;
        float im = 0.0f;

        for (long t = 0; t < TAPS; ++t) {
            long i = i0 + t;

            if (i < 0 || i >= (long)n_in)
                continue;
            re += taps[t] * crealf(in[i]);
            im += taps[t] * cimagf(in[i]);
        }
        out[m] = re + I * im;
    }
}
