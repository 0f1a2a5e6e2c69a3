/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The quartile is followed by stochastic approximation (Robbins and Monro, 1951) on a logarithmic
 * scale: a power below the estimate lowers it by the factor 1 - eta (1 - p), one above raises it by
 * 1 + eta p. In equilibrium a share p of the powers lies below. One compare and one product a bin:
 * cheap enough to run on every frame, and without any window whose length would have to suit all
 * traffic.
 *
 * A change of gain moves all bins at once. It shows in the share of bins below the estimate,
 * which then leaves p for good; when it has been far off for STEP_FRAMES frames in a row, the whole
 * floor is moved by the factor that brings the share back: share = 1 - exp(-x / mean).
 */

#include "uw/dsp/floor.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "uw/base/err.h"
#include "uw/base/util.h"

#define QUANTILE         0.25f
#define QUANTILE_TO_MEAN 3.4760595f /* 1 / -ln(1 - QUANTILE) */
#define STEP_FRAMES      40
#define SHARE_LOW        0.10f /* +5 dB */
#define SHARE_HIGH       0.55f /* -4.4 dB */
#define POWER_MIN        1e-20f

struct uw_floor {
    size_t n;
    float up, down;
    int off; /* frames in a row with a share out of bounds; sign is the side */
    float *quantile;
    float *inverse;
};

struct uw_floor *uw_floor_free(struct uw_floor *floor) {
    if (!floor)
        return NULL;
    free(floor->quantile);
    free(floor->inverse);
    free(floor);
    return NULL;
}

static void floor_freep(struct uw_floor **floor) {
    *floor = uw_floor_free(*floor);
}

int uw_floor_new(size_t n, double frames, struct uw_floor **ret_floor) {
    UW_CLEANUP(floor_freep) struct uw_floor *floor = calloc(1, sizeof(*floor));
    float eta = (float)(1.0 / fmax(frames, 8.0));

    if (!floor)
        return uw_err(-ENOMEM);
    floor->n = n;
    floor->up = 1.0f + eta * QUANTILE;
    floor->down = 1.0f - eta * (1.0f - QUANTILE);
    floor->quantile = calloc(n, sizeof(float));
    floor->inverse = calloc(n, sizeof(float));
    if (!floor->quantile || !floor->inverse)
        return uw_err(-ENOMEM);
    *ret_floor = floor;
    floor = NULL;
    return 0;
}

static int compare_float(const void *a, const void *b) {
    float x = *(const float *)a;
    float y = *(const float *)b;

    return (x > y) - (x < y);
}

static void refresh(struct uw_floor *floor) {
    for (size_t k = 0; k < floor->n; ++k)
        floor->inverse[k] = 1.0f / (floor->quantile[k] * QUANTILE_TO_MEAN);
}

/* The columns of all frames within +-half bins are one sample of the local floor. */
void uw_floor_learn(struct uw_floor *floor, float *power, size_t rows) {
    enum { POOL = 4096 };
    float pool[POOL];
    size_t half = 0;

    if (rows == 0)
        return;
    /* at least 100 values for the quartile: 13 % of error, 0.6 dB */
    while ((2 * half + 1) * rows < 100 && half < floor->n / 16)
        ++half;
    size_t step = 1 + (2 * half + 1) * rows / POOL;
    for (size_t k = 0; k < floor->n; ++k) {
        size_t n = 0;

        for (size_t d = 0; d < 2 * half + 1; ++d) {
            size_t bin = (k + floor->n - half + d) % floor->n;

            for (size_t r = 0; r < rows && n < POOL; r += step)
                pool[n++] = power[r * floor->n + bin];
        }
        qsort(pool, n, sizeof(float), compare_float);
        float q = pool[(size_t)((float)n * QUANTILE)];
        floor->quantile[k] = q > POWER_MIN ? q : POWER_MIN;
    }
    refresh(floor);
}

static void follow_gain(struct uw_floor *floor, size_t below) {
    float share = ((float)below + 0.5f) / (float)(floor->n + 1);

    if (share < SHARE_LOW)
        floor->off = floor->off > 0 ? floor->off + 1 : 1;
    else if (share > SHARE_HIGH)
        floor->off = floor->off < 0 ? floor->off - 1 : -1;
    else
        floor->off = 0;
    if (abs(floor->off) < STEP_FRAMES)
        return;
    floor->off = 0;
    float factor = 1.0f / (QUANTILE_TO_MEAN * -log1pf(-share));
    for (size_t k = 0; k < floor->n; ++k)
        floor->quantile[k] *= factor;
    refresh(floor);
}

void uw_floor_update(struct uw_floor *floor, const float *power) {
    float *q = floor->quantile;
    float *inv = floor->inverse;
    float up = floor->up;
    float down = floor->down;
    float inv_up = 1.0f / up;
    float inv_down = 1.0f / down;
    unsigned below = 0;

    for (size_t k = 0; k < floor->n; ++k) {
        int is_below = power[k] < q[k];

        below += (unsigned)is_below;
        q[k] *= is_below ? down : up;
        inv[k] *= is_below ? inv_down : inv_up;
    }
    for (size_t k = 0; k < floor->n; ++k) {
        if (q[k] < POWER_MIN) {
            q[k] = POWER_MIN;
            inv[k] = 1.0f / (POWER_MIN * QUANTILE_TO_MEAN);
        }
    }
    follow_gain(floor, below);
}

const float *uw_floor_inverse(const struct uw_floor *floor) {
    return floor->inverse;
}

double uw_floor_at(const struct uw_floor *floor, size_t bin) {
    return (double)floor->quantile[bin] * (double)QUANTILE_TO_MEAN;
}

double uw_floor_mean(const struct uw_floor *floor) {
    double sum = 0.0;

    for (size_t k = 0; k < floor->n; ++k)
        sum += (double)floor->quantile[k];
    return sum * (double)QUANTILE_TO_MEAN / (double)floor->n;
}
