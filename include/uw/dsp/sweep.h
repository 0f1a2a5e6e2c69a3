/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_DSP_SWEEP_H
#define UW_DSP_SWEEP_H

/*
 * LoRa preambles below the noise, continuously, on one channel and in one chirp direction
 *
 * Threads: one. Ownership: the caller's; `lines` must outlive the sweep.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UW_SWEEP_SF_MIN 5
#define UW_SWEEP_SF_MAX 9
#define UW_SWEEP_BLOCK  512 /* chips */

struct uw_lines;
struct uw_sweep;

/* A run of equal chirps that noise would rarely make. */
struct uw_sweep_hit {
    int sf;
    double chip; /* of the channel's stream: begin of the run's first window */
    double line; /* 0 .. 2^SF: where the windows' line stands */
    double sum;  /* of the run's powers over their means */
    int run;     /* windows in it */
};

struct uw_sweep_config {
    const struct uw_lines *lines; /* may serve many sweeps */
    bool down;                    /* inverted chirps */
    int run[UW_SWEEP_SF_MAX + 1]; /* windows added, per spreading factor; 0: not looked for */
    double false_rate_hz;         /* hits a second and spreading factor in noise */
    double rate_share[UW_SWEEP_SF_MAX + 1]; /* of it, for this spreading factor; 0: all of it */
    double bandwidth_hz;
};

int uw_sweep_new(const struct uw_sweep_config *config,
                 void (*hit)(void *userdata, const struct uw_sweep_hit *hit), void *userdata,
                 struct uw_sweep **ret_sweep);
struct uw_sweep *uw_sweep_free(struct uw_sweep *sweep);
/* UW_SWEEP_BLOCK chips, a sample each. */
void uw_sweep_block(struct uw_sweep *sweep, const float *re, const float *im);
/* The stream begins anew: what is in the runs is forgotten. */
void uw_sweep_reset(struct uw_sweep *sweep);

#endif
