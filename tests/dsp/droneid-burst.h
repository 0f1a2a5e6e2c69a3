/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_TESTS_DSP_DRONEID_BURST_H
#define UW_TESTS_DSP_DRONEID_BURST_H

/*
 * A DroneID burst and noise for tests, straight from the definition: every carrier of every symbol
 * summed at the sample times, at any rate, start and offset. Shares nothing with the detector.
 */

#include <complex.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define BURST_PI 3.14159265358979323846

struct burst_spec {
    int n_symbols; /* 9, or 8 for the legacy layout */
    int root_a;    /* 600 */
    int root_b;    /* 147 */
    double rate_hz;
    double start;     /* sample, with its fraction */
    double offset_hz; /* centre */
    double power;     /* mean, while it lasts */
};

static inline uint64_t burst_random(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline double burst_uniform(uint64_t *state) {
    return ((double)(burst_random(state) >> 11) + 0.5) / 9007199254740992.0;
}

/* Complex, mean power 1. */
static inline float complex burst_gauss(uint64_t *state) {
    const double r = sqrt(-log(burst_uniform(state)));
    return (float complex)(r * cexp(I * 2 * BURST_PI * burst_uniform(state)));
}

static inline void burst_noise(float complex *x, size_t n, double power, uint64_t *state) {
    const float scale = (float)sqrt(power);
    for (size_t i = 0; i < n; i++)
        x[i] = scale * burst_gauss(state);
}

static inline double complex burst_carrier(const struct burst_spec *spec, int symbol, int k,
                                           uint64_t *state) {
    const int first = spec->n_symbols == 9 ? 3 : 2;
    const int root = symbol == first ? spec->root_a : symbol == first + 2 ? spec->root_b : 0;
    const long n = k + 300;
    if (root)
        return cexp(-I * BURST_PI * (double)(root * n * (n + 1) % 1202) / 601);
    return cexp(I * (BURST_PI / 4 + BURST_PI / 2 * (double)(burst_random(state) & 3)));
}

/* Adds the burst to x. */
static inline void burst_add(const struct burst_spec *spec, float complex *x, size_t n,
                             uint64_t *state) {
    const double scale = sqrt(spec->power / 600), rate = spec->rate_hz;
    double t0 = spec->start / rate;
    for (int s = 0; s < spec->n_symbols; s++) {
        const double cp = (s == 0 || s == spec->n_symbols - 1 ? 80 : 72) / 15.36e6;
        const double t1 = t0 + cp + 1024 / 15.36e6;
        const long first = (long)ceil(fmax(t0 * rate, 0));
        const long last = (long)ceil(fmin(t1 * rate, (double)n));
        for (int k = -300; k <= 300; k++) {
            const double complex data = burst_carrier(spec, s, k, state);
            const double f = 15e3 * k;
            /* the offset runs through the burst, the carriers start anew with each core */
            double complex z = scale * data *
                               cexp(I * 2 * BURST_PI *
                                    (f * ((double)first / rate - t0 - cp) +
                                     spec->offset_hz * ((double)first - spec->start) / rate));
            const double complex step = cexp(I * 2 * BURST_PI * (f + spec->offset_hz) / rate);
            for (long i = first; k != 0 && i < last; i++, z *= step)
                x[i] += (float complex)z;
        }
        t0 = t1;
    }
}

#endif
