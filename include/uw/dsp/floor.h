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
/* First estimate from `rows` frames of n powers each (row-major), by exact quantiles; rows are
 * smoothed over neighbouring bins when they are few. May reorder `power`'s columns. */
void uw_floor_learn(struct uw_floor *floor, float *power, size_t rows);
/* One frame of n powers. Returns true if the whole floor was moved: the gain had changed. */
bool uw_floor_update(struct uw_floor *floor, const float *power);
/* 1 / mean noise power per bin. */
const float *uw_floor_inverse(const struct uw_floor *floor);
/* Mean over all bins of the noise power. */
double uw_floor_mean(const struct uw_floor *floor);
double uw_floor_at(const struct uw_floor *floor, size_t bin);

#endif
