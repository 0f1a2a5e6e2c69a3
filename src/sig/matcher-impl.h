/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_SIG_MATCHER_IMPL_H
#define UW_SRC_SIG_MATCHER_IMPL_H

/*
 * Private to src/sig: what a matcher implements
 *
 * A matcher is a const descriptor plus functions over its own state. It is made once for a detector
 * if an enabled signature has its modulation, allocates only in new(), sees bursts in the order of
 * their end, may cut samples out of the front end's history during burst(), and gives findings
 * through env->emit(). The detector puts findings into the order of their stop; a matcher may give
 * a finding whose stop lies at most 50 ms of signal before the latest progress.
 */

#include <complex.h>
#include <stdbool.h>
#include <stdint.h>

#include "uw/dsp/front.h"
#include "uw/sig/detector.h"

struct uw_links;
struct uw_hopper;

struct uw_matcher_env {
    const struct uw_detector_config *config;
    struct uw_front *front;
    struct uw_links *links;   /* of all matchers together: links-impl.h */
    struct uw_hopper *hopper; /* or NULL: hopper-impl.h */
    void (*emit)(void *userdata, struct uw_finding *finding); /* numbers finding->emitter's owner */
    void *userdata;
};

struct uw_matcher_ops {
    const char *name;
    enum uw_sig_modulation modulation; /* made if an enabled signature has it */
    bool optional;                     /* ... and the configuration asks for below_noise */
    int (*new)(const struct uw_matcher_env *env, void **ret_matcher);
    void (*free)(void *matcher);
    /* Of the rest each may be NULL. burst returns true if the burst is explained: matchers further
     * down the table do not see it. */
    bool (*burst)(void *matcher, const struct uw_burst *burst);
    /* Every frame of the front end (uw/dsp/front.h). */
    void (*frame)(void *matcher, const float complex *spectrum, uint64_t sample, bool begins);
    void (*progress)(void *matcher, uint64_t sample);
    void (*flush)(void *matcher);
    /* The receiver is about to listen elsewhere: what is held has to be given now, while offsets
     * are still those of the old centre. */
    void (*leave)(void *matcher);
    /* The receiver listens at another centre now (env->config has it): offsets in samples to come
     * are smaller by shift_hz. All bursts from before have been given. Without it the matcher knows
     * nothing that depends on the centre. */
    void (*retune)(void *matcher, double shift_hz);
};

extern const struct uw_matcher_ops uw_matcher_lora;
extern const struct uw_matcher_ops uw_matcher_droneid;
extern const struct uw_matcher_ops uw_matcher_packet;
extern const struct uw_matcher_ops uw_matcher_sweep;
extern const struct uw_matcher_ops uw_matcher_hopper;

#endif
