/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "carrier-impl.h"

#include <math.h>

#include "uw/base/util.h"
#include "uw/dsp/carrier.h"

#define BATCHES 4
#define STRIDE  1024 /* a turning phase is made anew after so many steps */

double complex uw_carrier_transform(const float complex *x, size_t n, double bin) {
    double step = -2 * UW_PI * bin / (double)n;
    double complex turn = cexp(I * step), sum = 0;

    for (size_t from = 0; from < n; from += STRIDE) {
        size_t to = from + STRIDE < n ? from + STRIDE : n;
        double complex phase = cexp(I * fmod(step * (double)from, 2 * UW_PI));

        for (size_t i = from; i < to; i++) {
            sum += phase * x[i];
            phase *= turn;
        }
    }
    return sum;
}

double uw_carrier_refine(const float complex *x, size_t n, double bin) {
    for (int i = 0; i < 2; i++) {
        double complex above = uw_carrier_transform(x, n, bin + 0.5);
        double complex below = uw_carrier_transform(x, n, bin - 0.5);
        double step = 0.5 * creal((above + below) / (above - below));

        if (!isfinite(step))
            break;
        bin += fmax(-1, fmin(1, step));
    }
    return bin;
}

double uw_carrier_bound_hz(double rate_hz, double n, double snr) {
    return rate_hz / (2 * UW_PI) * sqrt(6 / (snr * n * (n * n - 1)));
}

/* Standard error of the mean, by single residuals and by batches of them: slow wander makes
 * neighbours alike, and then the first alone would be too good. */
static double scatter(const struct uw_carrier_point *rest, int n, double *ret_rms) {
    double sum = 0, batches = 0;

    for (int i = 0; i < n; i++)
        sum += rest[i].freq_hz * rest[i].freq_hz;
    *ret_rms = sqrt(sum / (n > 2 ? n - 2 : 1));
    for (int b = 0; b < BATCHES && n >= BATCHES; b++) {
        int from = n * b / BATCHES, to = n * (b + 1) / BATCHES;
        double mean = 0;
        for (int i = from; i < to; i++)
            mean += rest[i].freq_hz;
        mean /= to - from;
        batches += mean * mean;
    }
    /* the fit has taken two of the batches' degrees of freedom */
    return fmax(*ret_rms / sqrt(n), sqrt(batches / (BATCHES - 2) / BATCHES));
}

void uw_carrier_fit(struct uw_carrier_point *points, int n, struct uw_carrier_line *ret) {
    double t = 0, f = 0, tt = 0, tf = 0;

    for (int i = 0; i < n; i++) {
        t += points[i].at_s / n;
        f += points[i].freq_hz / n;
    }
    for (int i = 0; i < n; i++) {
        double dt = points[i].at_s - t;
        tt += dt * dt;
        tf += dt * (points[i].freq_hz - f);
    }
    ret->freq_hz = f;
    ret->drift_hz_s = tt > 0 ? tf / tt : 0;
    for (int i = 0; i < n; i++)
        points[i].freq_hz -= f + ret->drift_hz_s * (points[i].at_s - t);
    ret->error_hz = scatter(points, n, &ret->rms_hz);
}
