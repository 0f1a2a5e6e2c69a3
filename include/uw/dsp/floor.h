/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_DSP_FLOOR_H
#define UW_DSP_FLOOR_H

/*
 * Noise floor per bin by order statistics
 *
 * Follows the lower quartile of each bin's power over time, so that traffic on the air for up to
 * about half of the time hardly moves it. Power of complex Gaussian noise in a bin is exponential:
 * its lower quartile is -ln(3/4) of its mean.
 *
 * Threads: one.
 */

#include <stdbool.h>
#include <stddef.h>

struct uw_floor;

/* n bins; time constant in frames. 0 or -ENOMEM. */
int uw_floor_new(size_t n, double frames, struct uw_floor **ret_floor);
struct uw_floor *uw_floor_free(struct uw_floor *floor);
/* Bins on each side that are learned from together, so many as there are few rows; 0 from 100 rows
 * on. */
size_t uw_floor_halo(const struct uw_floor *floor, size_t rows);
/* First estimate of `count` bins from `first` on, by exact quantiles: from `rows` frames, each of
 * them the powers from the halo before the first bin to the halo behind the last (row-major; beyond
 * the band's end its begin follows). */
void uw_floor_learn(struct uw_floor *floor, size_t first, size_t count, const float *power,
                    size_t rows);
/* One frame of n powers, of a Hann window over samples whose full-scale carrier has a power of 1.
 * Returns true if the whole floor was moved: the gain had changed. */
bool uw_floor_update(struct uw_floor *floor, const float *power);
/* 1 / mean noise power per bin. */
const float *uw_floor_inverse(const struct uw_floor *floor);
/* Mean over all bins of the noise power. */
double uw_floor_mean(const struct uw_floor *floor);
double uw_floor_at(const struct uw_floor *floor, size_t bin);

#endif
