/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The quartile is followed by stochastic approximation (Robbins and Monro, 1951) on a logarithmic
 * scale: a power below the estimate lowers it by the factor 1 - eta (1 - p), one above raises it by
 * 1 + eta p. In equilibrium a share p of the powers lies below. One compare, one product and one
 * quotient a bin: cheap enough to run on every frame, and without any window whose length would
 * have to suit all traffic. Compared are the bits: positive floats are in the order of their bits,
 * and of whole numbers every compiler makes vectors without a branch, for which a float comparison,
 * that might trap, is too much to some.
 *
 * A change of gain moves all bins at once. It shows in the share of bins below the estimate,
 * which then leaves p for good; when it has been far off for STEP_FRAMES frames in a row, the whole
 * floor is moved by the factor that brings the share back: share = 1 - exp(-x / mean).
 *
 * A signal that is stronger than the receiver can show lights up the whole band, too, with what
 * clipping makes of it, as long as a packet lasts; or there is less noise then, as a sample at full
 * scale has none. Nothing is learned from it, unless it is there all the time.
 */

#include "uw/dsp/floor.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/sums.h"

#define QUANTILE         0.25f
#define QUANTILE_TO_MEAN 3.4760595f /* 1 / -ln(1 - QUANTILE) */
#define ROWS_MIN         100
#define SETTLE_FRAMES    10
#define STEP_FRAMES      40
#define SHARE_LOW        0.10f /* +5 dB */
#define SHARE_HIGH       0.55f /* -4.4 dB */
#define POWER_MIN        1e-20f
#define HANN_POWER       0.375f /* mean square of a Hann window */
#define LIMIT            0.7f   /* of a full-scale carrier's power: the receiver clips */
#define DRIVEN           8.0    /* time constants: longer than a packet */
#define LIMIT_NOISE      0.07f  /* ... more noise is not a receiver's: floats of another scale */

struct uw_floor {
    size_t n;
    float up, down;
    int off;      /* frames in a row with a share out of bounds; sign is the side */
    int settling; /* frames left of looking closely behind a step */
    float settle_sum;
    double driven;     /* frames in a row at the receiver's limit */
    double driven_max; /* so many are no packet: they are learned from */
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
    floor->driven_max = DRIVEN * fmax(frames, 8.0);
    floor->up = 1.0f + eta * QUANTILE;
    floor->down = 1.0f - eta * (1.0f - QUANTILE);
    floor->quantile = uw_alloc_zeroed(n, sizeof(float));
    floor->inverse = uw_alloc_zeroed(n, sizeof(float));
    if (!floor->quantile || !floor->inverse)
        return uw_err(-ENOMEM);
    *ret_floor = floor;
    floor = NULL;
    return 0;
}

/* The value of rank m among n, by Hoare's selection; reorders v. */
static float select_rank(float *v, size_t n, size_t m) {
    size_t lo = 0;
    size_t hi = n - 1;

    while (lo < hi) {
        float pivot = v[lo + (hi - lo) / 2];
        size_t i = lo;
        size_t j = hi;

        for (;; ++i, --j) {
            while (v[i] < pivot)
                ++i;
            while (pivot < v[j])
                --j;
            if (i >= j)
                break;
            float t = v[i];
            v[i] = v[j];
            v[j] = t;
        }
        /* all of [lo, j] <= pivot <= all behind j */
        if (m <= j)
            hi = j;
        else
            lo = j + 1;
    }
    return v[m];
}

UW_CLONES
static void invert(size_t n, const float *restrict quantile, float *restrict inverse) {
    for (size_t k = 0; k < n; ++k)
        inverse[k] = 1.0f / (quantile[k] * QUANTILE_TO_MEAN);
}

/* Neighbours on each side that make one sample with a bin: at least ROWS_MIN values for the
 * quartile: 13 % of error, 0.6 dB. */
size_t uw_floor_halo(const struct uw_floor *floor, size_t rows) {
    size_t half = 0;

    while (rows > 0 && (2 * half + 1) * rows < ROWS_MIN && half < floor->n / 16)
        ++half;
    return half;
}

/* The columns of all frames within +-half bins are one sample of the local floor. */
void uw_floor_learn(struct uw_floor *floor, size_t first, size_t count, const float *power,
                    size_t rows) {
    enum { POOL = 4096 };
    float pool[POOL];
    size_t half = uw_floor_halo(floor, rows);
    size_t width = count + 2 * half;

    if (rows == 0)
        return;
    size_t step = 1 + (2 * half + 1) * rows / POOL;
    for (size_t k = 0; k < count; ++k) {
        size_t n = 0;

        for (size_t d = 0; d < 2 * half + 1; ++d) {
            for (size_t r = 0; r < rows && n < POOL; r += step)
                pool[n++] = power[r * width + k + d];
        }
        float q = select_rank(pool, n, (size_t)((float)n * QUANTILE));
        floor->quantile[first + k] = q > POWER_MIN ? q : POWER_MIN;
    }
    invert(count, floor->quantile + first, floor->inverse + first);
}

static void step(struct uw_floor *floor, float share) {
    float factor = 1.0f / (QUANTILE_TO_MEAN * -log1pf(-share));

    for (size_t k = 0; k < floor->n; ++k)
        floor->quantile[k] = fmaxf(floor->quantile[k] * factor, POWER_MIN);
    invert(floor->n, floor->quantile, floor->inverse);
}

/* Behind a step, every SETTLE_FRAMES frames, until the share is right: one frame's share says
 * little when it is almost 0. */
static bool settle(struct uw_floor *floor, float share) {
    floor->settle_sum += share;
    if (--floor->settling % SETTLE_FRAMES != 0)
        return false;
    share = floor->settle_sum / SETTLE_FRAMES;
    floor->settle_sum = 0.0f;
    if (fabsf(share - QUANTILE) < 0.03f) {
        floor->settling = 0;
        return false;
    }
    step(floor, share);
    return true;
}

static bool follow_gain(struct uw_floor *floor, size_t below) {
    float share = ((float)below + 0.5f) / (float)(floor->n + 1);

    if (floor->settling > 0)
        return settle(floor, share);
    if (share < SHARE_LOW)
        floor->off = floor->off > 0 ? floor->off + 1 : 1;
    else if (share > SHARE_HIGH)
        floor->off = floor->off < 0 ? floor->off - 1 : -1;
    else
        floor->off = 0;
    if (abs(floor->off) < STEP_FRAMES)
        return false;
    floor->off = 0;
    floor->settling = 10 * SETTLE_FRAMES;
    floor->settle_sum = 0.0f;
    step(floor, share);
    return true;
}

static inline uint32_t bits_of(float value) {
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static inline float float_of(uint32_t bits) {
    float value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Returns how many powers lie below. The inverse is improved from that of before, once, by I.
 * Newton's method: a step is so small that its square, the error, does not count; what moves
 * further is inverted. Followed by factors of its own it would drift off by their rounding,
 * decibels in an hour; and divisions are slow. */
UW_CLONES
static unsigned follow(size_t n, float up, float down, const float *restrict power,
                       float *restrict quantile, float *restrict inverse) {
    const uint32_t up_bits = bits_of(up), toggle = bits_of(up) ^ bits_of(down);
    const int32_t least = (int32_t)bits_of(POWER_MIN);
    unsigned below = 0;

    for (size_t k = 0; k < n; ++k) {
        const float before = quantile[k];
        /* what is no number lies above all */
        const int32_t p = (int32_t)(bits_of(power[k]) & 0x7fffffffu);
        const uint32_t is_below = p < (int32_t)bits_of(before) ? ~UINT32_C(0) : 0;
        const int32_t moved = (int32_t)bits_of(before * float_of(up_bits ^ (toggle & is_below)));
        const float q = float_of((uint32_t)(moved < least ? least : moved));

        below -= is_below;
        quantile[k] = q;
        inverse[k] = inverse[k] * (2.0f - inverse[k] * (q * QUANTILE_TO_MEAN));
    }
    return below;
}

/* Whether something other than noise drives the receiver to its limit, and not all the time. */
static bool is_driven(struct uw_floor *floor, const float *power) {
    float full_scale = HANN_POWER * (float)floor->n * (float)floor->n;

    if (!(uw_sum(power, floor->n) > LIMIT * full_scale) ||
        uw_floor_mean(floor) * (double)floor->n > (double)(LIMIT_NOISE * full_scale)) {
        floor->driven = 0.0;
        return false;
    }
    return ++floor->driven < floor->driven_max;
}

bool uw_floor_update(struct uw_floor *floor, const float *power) {
    if (is_driven(floor, power))
        return false;
    unsigned below =
        follow(floor->n, floor->up, floor->down, power, floor->quantile, floor->inverse);

    return follow_gain(floor, below);
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
