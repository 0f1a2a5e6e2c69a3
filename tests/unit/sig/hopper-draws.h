/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_TESTS_UNIT_SIG_HOPPER_DRAWS_H
#define UW_TESTS_UNIT_SIG_HOPPER_DRAWS_H

/*
 * Random draws of the tests of hoppers, from one state
 *
 * Threads: one. Include it in one file of a program only.
 */

#include <math.h>
#include <stdint.h>

static uint64_t state;

static inline double uniform(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) / 9007199254740992.0;
}

/* Of 50 that are 200 kHz apart; ten lie in the band. */
static inline double any_channel(void) {
    return -4.9e6 + 200e3 * floor(50.0 * uniform());
}

static inline double normal(void) {
    return sqrt(-2.0 * log(uniform() + 1e-300)) * cos(6.283185307179586 * uniform());
}

#endif
