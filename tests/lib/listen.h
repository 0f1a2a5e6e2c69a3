/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_TESTS_LIB_LISTEN_H
#define UW_TESTS_LIB_LISTEN_H

/* A front end that writes down its bursts; for programs that include cmocka.h first. Threads: one.
 */

#include <complex.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "uw/dsp/front.h"

#define LISTEN_MAX 4096

struct listen {
    struct uw_front *front;
    size_t n;
    struct uw_burst bursts[LISTEN_MAX];
    size_t n_progress;
    uint64_t progress;
};

static inline void listen_burst(void *userdata, const struct uw_burst *burst) {
    struct listen *l = userdata;

    /* nothing may end before a progress that has been given */
    assert_true(burst->stop >= l->progress);
    assert_true(burst->start < burst->stop);
    assert_true(burst->lower_hz <= burst->upper_hz);
    assert_int_equal(burst->number, l->n);
    assert_true(l->n < LISTEN_MAX);
    l->bursts[l->n++] = *burst;
}

static inline void listen_progress(void *userdata, uint64_t sample) {
    struct listen *l = userdata;

    assert_true(sample >= l->progress);
    assert_true(sample <= uw_front_samples(l->front));
    l->progress = sample;
    ++l->n_progress;
}

/* cf32 in. cell_pfa 0: as it is by default. */
static inline void listen_begin(struct listen *l, double rate_hz, double cell_pfa) {
    static const struct uw_front_ops ops = {.burst = listen_burst, .progress = listen_progress};
    struct uw_front_config config;

    memset(l, 0, sizeof(*l));
    uw_front_config_init(&config);
    config.rate_hz = rate_hz;
    config.format = UW_IQ_CF32;
    if (cell_pfa > 0.0)
        config.cell_pfa = cell_pfa;
    assert_int_equal(uw_front_new(&config, &ops, l, &l->front), 0);
}

static inline void listen_push(struct listen *l, const float complex *x, size_t n) {
    uw_front_push(l->front, x, n);
}

static inline void listen_end(struct listen *l) {
    uw_front_flush(l->front);
    assert_true(l->progress == uw_front_samples(l->front));
    l->front = uw_front_free(l->front);
}

#endif
