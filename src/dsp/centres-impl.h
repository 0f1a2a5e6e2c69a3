/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_DSP_CENTRES_IMPL_H
#define UW_SRC_DSP_CENTRES_IMPL_H

/*
 * Private to src/dsp: what the front end knows of each centre frequency that it comes back to
 *
 * Threads: one. Ownership: a centre belongs to its list and stays where it is.
 */

#include <complex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uw_floor;
struct uw_tones;

/* What is on the air there, and the mixer's leakage. */
struct uw_centre {
    double freq_hz; /* NAN: not used yet, or a first centre that is not known */
    uint64_t left;  /* 0: never; else in which order */
    struct uw_floor *floor;
    struct uw_tones *tones;
    bool learned; /* the floor is one */
    float complex dc;
    uint64_t n_dc; /* frames that made it */
};

struct uw_centres {
    size_t n;
    uint64_t n_left;
    struct uw_centre *centres; /* the first is where the receiver begins */
};

/* n centres; the floors as in uw_floor_new(), the tones as in uw_tones_new(). All zero is the empty
 * state. 0 or -ENOMEM. */
int uw_centres_init(struct uw_centres *centres, size_t n, double freq_hz, size_t n_bins, size_t hop,
                    double floor_frames);
void uw_centres_deinit(struct uw_centres *centres);
/* Leaves one centre for another: the place that has it, or the one left longest ago, emptied. */
struct uw_centre *uw_centres_move(struct uw_centres *centres, struct uw_centre *from,
                                  double freq_hz);

#endif
