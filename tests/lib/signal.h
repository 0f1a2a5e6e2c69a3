/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_TESTS_LIB_SIGNAL_H
#define UW_TESTS_LIB_SIGNAL_H

/* Noise and tones for the physics tests, from formulas alone. Threads: any. */

#include <complex.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define SIGNAL_PI 3.14159265358979323846

/* splitmix64 */
static inline uint64_t signal_random(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Open interval (0, 1). */
static inline double signal_uniform(uint64_t *state) {
    return ((double)(signal_random(state) >> 11) + 0.5) * 0x1p-53;
}

/* Circular Gaussian of mean power 1, by Box and Muller. */
static inline float complex signal_normal(uint64_t *state) {
    const float r = sqrtf(-logf((float)signal_uniform(state)));
    const float a = (float)(2.0 * SIGNAL_PI * signal_uniform(state));

    return r * cosf(a) + I * (r * sinf(a));
}

static inline void signal_noise(float complex *x, size_t n, double power, uint64_t *state) {
    const float a = (float)sqrt(power);

    for (size_t i = 0; i < n; ++i)
        x[i] = a * signal_normal(state);
}

/* exp(j 2 pi turns), exact for many turns. */
static inline float complex signal_turn(double turns) {
    const double a = 2.0 * SIGNAL_PI * (turns - floor(turns));

    return (float)cos(a) + I * (float)sin(a);
}

/* Adds amplitude * exp(j 2 pi f i) to x[i], i counted from `from`, for from <= i < to. */
static inline void signal_add_tone(float complex *x, size_t from, size_t to, double amplitude,
                                   double turns_per_sample) {
    for (size_t i = from; i < to; ++i)
        x[i] += (float)amplitude * signal_turn(turns_per_sample * (double)i);
}

#endif
