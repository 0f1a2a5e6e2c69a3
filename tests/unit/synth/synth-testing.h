/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SYNTH_TESTING_H
#define SYNTH_TESTING_H

/* What the generator's tests share: scenarios built in code, whole recordings in memory. */

#undef NDEBUG
#include <assert.h>
#include <complex.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/synth/synth.h"

#define NO_NOISE (-200.0)

/* One receiver, cf32, no noise, and no emitter. */
static inline struct uw_scenario *make_scenario(double rate_hz, double freq_hz, double duration_s) {
    struct uw_scenario *s = NULL;
    assert(uw_scenario_new(&s) == 0);
    uw_synth_receiver_init(&s->receivers[0]);
    s->n_receivers = 1;
    s->receivers[0].rate_hz = rate_hz;
    s->receivers[0].freq_hz = freq_hz;
    s->receivers[0].format = UW_IQ_CF32;
    s->receivers[0].noise_dbfs = NO_NOISE;
    s->duration_s = duration_s;
    return s;
}

/* At 0 dBFS. */
static inline struct uw_synth_emitter *add_emitter(struct uw_scenario *s, enum uw_synth_link link) {
    struct uw_synth_emitter *e = &s->emitters[s->n_emitters++];
    uw_synth_emitter_init(e, link);
    e->level_is_dbfs = true;
    e->level_db = 0;
    return e;
}

static inline void use_channel(struct uw_synth_emitter *e, double freq_hz) {
    e->channels_hz[0] = freq_hz;
    e->n_channels = 1;
}

static inline struct uw_synth_emitter *add_elrs(struct uw_scenario *s, const char *variant,
                                                const char *domain) {
    struct uw_synth_emitter *e = add_emitter(s, UW_SYNTH_EXPRESSLRS);
    snprintf(e->variant, sizeof(e->variant), "%s", variant);
    snprintf(e->domain, sizeof(e->domain), "%s", domain);
    return e;
}

/* All samples of a receiver, in its format; the caller frees. */
static inline void *read_all(const struct uw_scenario *s, int receiver, size_t step,
                             size_t *ret_n) {
    struct uw_synth *synth = NULL;
    struct uw_diag diag = {0};
    const struct uw_synth_receiver *r = &s->receivers[receiver];
    size_t size = uw_iq_format_size(r->format), n = 0, got;
    size_t cap = (size_t)(s->duration_s * r->rate_hz) + step + 1;
    char *data = malloc(cap * size);
    assert(data && uw_synth_new(s, receiver, &diag, &synth) == 0);
    do {
        assert(n + step <= cap);
        assert(uw_synth_read(synth, data + n * size, step, &got) == 0);
        n += got;
    } while (got == step);
    uw_synth_free(synth);
    *ret_n = n;
    return data;
}

struct truth {
    struct uw_synth_burst *bursts;
    size_t n, cap;
};

static inline bool truth_add(const struct uw_synth_burst *burst, void *userdata) {
    struct truth *t = userdata;
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 256;
        t->bursts = realloc(t->bursts, t->cap * sizeof(t->bursts[0]));
        assert(t->bursts);
    }
    t->bursts[t->n++] = *burst;
    return true;
}

static inline struct truth read_truth(const struct uw_scenario *s, int receiver) {
    struct truth t = {0};
    struct uw_diag diag = {0};
    assert(uw_synth_truth(s, receiver, &diag, truth_add, &t) == 0);
    return t;
}

/* Mean power of samples from..to-1. */
static inline double mean_power(const float complex *x, size_t from, size_t to) {
    double sum = 0;
    for (size_t i = from; i < to; i++)
        sum += (double)(crealf(x[i]) * crealf(x[i]) + cimagf(x[i]) * cimagf(x[i]));
    return sum / (double)(to - from);
}

static inline double to_db(double power) {
    return 10 * log10(power);
}

/* Sum of x[n] exp(-2 pi i (a + f n + c n^2/2)), in double: a DFT bin when c is 0. */
static inline double complex correlate(const float complex *x, size_t n, double a, double f,
                                       double c) {
    double complex sum = 0;
    for (size_t k = 0; k < n; k++) {
        double p = a + f * (double)k + 0.5 * c * (double)k * (double)k;
        double angle = -2 * UW_PI * (p - floor(p));
        sum += (double complex)x[k] * (cos(angle) + I * sin(angle));
    }
    return sum;
}

#endif
