/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Random numbers
 *
 * xoshiro256++ (Blackman and Vigna), seeded through splitmix64, and the ziggurat of Marsaglia and
 * Tsang with 256 layers for normal numbers. One 64-bit draw serves one complex sample: each half
 * gives 8 bits of layer, a sign and 23 bits of place, all different bits, so that the correlation
 * of the original 32-bit method (layer taken from the place's bits) does not arise. The tail beyond
 * 3.65 sigma is exact.
 */

#include "synth-impl.h"

#include <math.h>
#include <string.h>

#include "uw/base/util.h"

#define ZIG_R 3.6541528853610088
#define ZIG_V 0.00492867323399

static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t rng_hash(uint64_t a, uint64_t b, uint64_t c) {
    uint64_t h = mix(a + UINT64_C(0x9e3779b97f4a7c15));
    h = mix(h ^ (b + UINT64_C(0x632be59bd9b4e019)));
    return mix(h ^ (c + UINT64_C(0xd1b54a32d192ed03)));
}

void rng_init(struct rng *rng, uint64_t seed) {
    for (int i = 0; i < 4; i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        rng->s[i] = mix(seed);
    }
}

double rng_uniform(struct rng *rng) {
    return (double)(rng_next(rng) >> 11) * 0x1p-53;
}

unsigned rng_below(struct rng *rng, unsigned n) {
    return (unsigned)(((rng_next(rng) >> 32) * n) >> 32);
}

double rng_exponential(struct rng *rng) {
    return -log(1 - rng_uniform(rng));
}

double rng_normal(struct rng *rng) {
    return sqrt(2 * rng_exponential(rng)) * cos(2 * UW_PI * rng_uniform(rng));
}

void zig_init(struct zig *zig) {
    double x = ZIG_R, f = exp(-0.5 * x * x);
    zig->x[0] = (float)(ZIG_V / f);
    zig->x[1] = (float)x;
    zig->f[0] = 0;
    zig->f[1] = (float)f;
    for (int i = 2; i < ZIG_N; i++) {
        x = sqrt(-2 * log(ZIG_V / x + f));
        f = exp(-0.5 * x * x);
        zig->x[i] = (float)x;
        zig->f[i] = (float)f;
    }
    zig->x[ZIG_N] = 0;
    zig->f[ZIG_N] = 1;
}

/* Everything but the quick case: the tail, and the wedge above the next layer's edge. */
static float zig_slow(const struct zig *zig, struct rng *rng, uint32_t bits) {
    for (;;) {
        unsigned i = bits & 0xff;
        float sign = (bits & 0x100) ? -1.0f : 1.0f;
        float x = (float)(bits >> 9) * 0x1p-23f * zig->x[i];
        if (x < zig->x[i + 1])
            return sign * x;
        if (i == 0) {
            double t, y;
            do {
                t = rng_exponential(rng) / ZIG_R;
                y = rng_exponential(rng);
            } while (2 * y < t * t);
            return sign * (float)(ZIG_R + t);
        }
        double y = zig->f[i] + rng_uniform(rng) * (double)(zig->f[i + 1] - zig->f[i]);
        if (y < exp(-0.5 * (double)x * (double)x))
            return sign * x;
        bits = (uint32_t)(rng_next(rng) >> 32);
    }
}

static inline float zig_one(const struct zig *zig, struct rng *rng, uint32_t bits) {
    unsigned i = bits & 0xff;
    float x = (float)(int32_t)(bits >> 9) * 0x1p-23f * zig->x[i];
    if (__builtin_expect(!(x < zig->x[i + 1]), 0))
        return zig_slow(zig, rng, bits);
    /* the sign by its bit: no processor foresees a branch that random numbers take */
    uint32_t u;
    memcpy(&u, &x, sizeof(u));
    u ^= (bits & 0x100) << 23;
    memcpy(&x, &u, sizeof(x));
    return x;
}

void zig_fill(const struct zig *zig, struct rng *rng, float sigma, float *re, float *im, size_t n) {
    struct rng local = *rng;
    for (size_t k = 0; k < n; k++) {
        uint64_t bits = rng_next(&local);
        re[k] = sigma * zig_one(zig, &local, (uint32_t)bits);
        im[k] = sigma * zig_one(zig, &local, (uint32_t)(bits >> 32));
    }
    *rng = local;
}
