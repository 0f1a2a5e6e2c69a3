/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "shadow-impl.h"

#include <math.h>

#include "uw/dsp/sums.h"

#define QUARTILE 0.25
#define STEP     0.01 /* of the quartile's stochastic approximation (Robbins and Monro, 1951) */
#define LEARN    64   /* frames with a step of 1 / n */

void uw_shadow_frame(struct uw_shadow *shadow, const float complex *spectrum, size_t n_bins,
                     uint64_t sample, bool begins) {
    float energy = uw_energy(spectrum, n_bins);
    size_t at = (size_t)(shadow->n_frames % UW_SHADOW_FRAMES);

    if (begins && shadow->noise <= 0.0)
        shadow->noise = (double)energy;
    double step = shadow->n_frames < LEARN ? 1.0 / (double)(shadow->n_frames + 2) : STEP;
    shadow->noise *=
        (double)energy < shadow->noise ? 1.0 - step * (1.0 - QUARTILE) : 1.0 + step * QUARTILE;
    shadow->samples[at] = (double)sample;
    shadow->energy[at] = energy;
    ++shadow->n_frames;
}

double uw_shadow_excess(const struct uw_shadow *shadow, double start, double stop) {
    size_t n = shadow->n_frames < UW_SHADOW_FRAMES ? (size_t)shadow->n_frames : UW_SHADOW_FRAMES;
    double sum = 0.0;
    size_t count = 0;

    /* from the latest back: what is asked for is hardly ever long ago */
    for (size_t i = 1; i <= n; ++i) {
        size_t at = (size_t)((shadow->n_frames - i) % UW_SHADOW_FRAMES);

        if (shadow->samples[at] < start)
            break;
        if (shadow->samples[at] < stop) {
            sum += (double)shadow->energy[at];
            ++count;
        }
    }
    return count > 0 && shadow->noise > 0.0 ? sum / ((double)count * shadow->noise) - 1.0 : 0.0;
}
