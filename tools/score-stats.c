/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Intervals and percentiles of "uaswatch score"; docs/scoring.md has the formulas. */

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "score-impl.h"
#include "uw/base/err.h"

#define Z95 1.959963984540054

int uw_score_grow(void **list, size_t n, size_t *cap, size_t size) {
    size_t want = *cap ? *cap * 2 : 16;
    void *p;

    if (n < *cap)
        return 0;
    p = realloc(*list, want * size);
    if (!p)
        return uw_err(-ENOMEM);
    *list = p;
    *cap = want;
    return 0;
}

void uw_score_wilson(size_t k, size_t n, double *ret_low, double *ret_high) {
    double m = (double)n, p, middle, half;

    *ret_low = 0;
    *ret_high = 1;
    if (n == 0)
        return;
    p = (double)k / m;
    middle = (p + Z95 * Z95 / (2 * m)) / (1 + Z95 * Z95 / m);
    half = Z95 / (1 + Z95 * Z95 / m) * sqrt(p * (1 - p) / m + Z95 * Z95 / (4 * m * m));
    if (k > 0)
        *ret_low = fmax(middle - half, 0);
    if (k < n)
        *ret_high = fmin(middle + half, 1);
}

/* P(X <= k) of a Poisson variable, summed from the largest term so that nothing underflows. */
static double poisson_cdf(size_t k, double mean) {
    double term = 1, sum = 1;

    for (size_t i = k; i > 0; i--) {
        term *= (double)i / mean;
        sum += term;
    }
    return sum * exp((double)k * log(mean) - mean - lgamma((double)k + 1));
}

double uw_score_poisson_upper(size_t k) {
    double low = (double)k + 0.1, high = (double)k + 10 * sqrt((double)k + 1);

    for (int i = 0; i < 100; i++) {
        double middle = 0.5 * (low + high);

        if (poisson_cdf(k, middle) > 0.05)
            low = middle;
        else
            high = middle;
    }
    return high;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double uw_score_percentile(double *x, size_t n, double p) {
    double place;
    size_t i;

    if (n == 0)
        return NAN;
    qsort(x, n, sizeof(*x), compare);
    place = p * (double)(n - 1);
    i = (size_t)place;
    if (i + 1 >= n)
        return x[n - 1];
    return x[i] + (place - (double)i) * (x[i + 1] - x[i]);
}
