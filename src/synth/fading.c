/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Fading as a sum of sinusoids (Clarke's model, random angles): a closed form of time, so that it
 * can be asked for anywhere in any order. Carriers in the same coherence bandwidth share the paths'
 * phases, others have their own. Shadowing is a sum of slow sinusoids in dB.
 */

#include "synth-impl.h"

#include <math.h>

#include "uw/base/util.h"

void fade_init(struct fade *f, const struct uw_synth_emitter *e, uint64_t seed, int receiver,
               double freq_hz) {
    const struct uw_synth_fading *p = &e->fading;
    *f = (struct fade){.kind = p->kind,
                       .shadow_db = p->shadow_db,
                       .t0_s = e->start_s,
                       .ramp_db_per_s = e->ramp_db_per_s};
    f->flat = p->kind == UW_SYNTH_FADING_NONE && !(p->shadow_db > 0) && !(e->ramp_db_per_s != 0);
    if (f->flat)
        return;
    struct rng rng;
    uint64_t place = rng_hash(seed, (uint64_t)receiver, 10);
    rng_init(&rng, place);
    for (int i = 0; i < SHADOW_PATHS; i++) {
        f->shadow_hz[i] = (0.1 + rng_uniform(&rng)) / (2 * UW_PI * p->shadow_s);
        f->shadow_phase[i] = rng_uniform(&rng);
    }
    double k = p->kind == UW_SYNTH_FADING_RICIAN ? pow(10, p->k_db / 10) : 0;
    f->direct = sqrt(k / (k + 1));
    f->scatter = sqrt(1 / (k + 1) / FADE_PATHS);
    double cell = isnan(freq_hz) ? 0 : floor(freq_hz / p->coherence_hz);
    rng_init(&rng, rng_hash(place, (uint64_t)(int64_t)cell, 11));
    f->direct_hz = p->doppler_hz * (2 * rng_uniform(&rng) - 1);
    f->direct_phase = rng_uniform(&rng);
    for (int i = 0; i < FADE_PATHS; i++) {
        f->hz[i] = p->doppler_hz * cos(2 * UW_PI * (i + rng_uniform(&rng)) / FADE_PATHS);
        f->phase[i] = rng_uniform(&rng);
    }
}

static void add_path(struct cgain *g, double amplitude, double cycles) {
    double angle = 2 * UW_PI * (cycles - floor(cycles));
    g->re += amplitude * cos(angle);
    g->im += amplitude * sin(angle);
}

struct cgain fade_at(const struct fade *f, double t_s) {
    struct cgain g = {1, 0};
    if (f->flat)
        return g;
    if (f->kind != UW_SYNTH_FADING_NONE) {
        g.re = 0;
        if (f->direct > 0)
            add_path(&g, f->direct, f->direct_hz * t_s + f->direct_phase);
        for (int i = 0; i < FADE_PATHS; i++)
            add_path(&g, f->scatter, f->hz[i] * t_s + f->phase[i]);
    }
    double db = f->ramp_db_per_s * (t_s - f->t0_s);
    struct cgain slow = {0, 0};
    if (f->shadow_db > 0)
        for (int i = 0; i < SHADOW_PATHS; i++)
            add_path(&slow, 1, f->shadow_hz[i] * t_s + f->shadow_phase[i]);
    db += f->shadow_db * slow.re * sqrt(2.0 / SHADOW_PATHS);
    double level = pow(10, db / 20);
    g.re *= level;
    g.im *= level;
    return g;
}
