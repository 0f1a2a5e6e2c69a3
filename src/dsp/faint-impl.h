/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_DSP_FAINT_IMPL_H
#define UW_SRC_DSP_FAINT_IMPL_H

/*
 * Private to src/dsp: what the parts of uw/dsp/faint.h share
 *
 * Threads: one at a time per object. Ownership: as in uw/dsp/faint.h.
 */

#include <complex.h>
#include <stdbool.h>
#include <stddef.h>

#include "uw/dsp/faint.h"

#define N_SF      (UW_FAINT_SF_MAX - UW_FAINT_SF_MIN + 1)
#define CHIPS_MAX ((size_t)1 << UW_FAINT_SF_MAX)
#define RUN_MAX   24
#define LANES     16
#define UNIT_MAX  ((size_t)512)

struct made {
    int sf; /* 0: nothing */
    size_t stride;
    bool conjugate;
    double step;
};

struct uw_faint {
    float complex *up[N_SF]; /* 2^(SF+1) samples of the plain up-chirp, two a chip */
    const struct uw_lines *lines;
    float *half[N_SF]; /* turns by half a line, a unit: real, then UNIT_MAX on imaginary parts */
    _Alignas(64) float re[UNIT_MAX]; /* windows side by side */
    _Alignas(64) float im[UNIT_MAX];
    _Alignas(64) float power[2][UNIT_MAX];
    float *turns[RUN_MAX + 1]; /* FRACTIONS * n turns of a circle: real, imaginary parts */
    float *reference;          /* real parts, then imaginary parts, of 2 * CHIPS_MAX */
    struct made made;          /* what is in it */
    float complex *a, *b;
    float *down; /* rows of half lines */
};

/* The conjugate up-chirp turned so that `line` becomes DC, into the reference; of down-chirps the
 * other way round. */
void uw_faint_make_reference(struct uw_faint *faint, int sf, double line);
/* Power of the reference's line in the window at x, whose symbol is aligned, over the noise. */
float uw_faint_line_power(const struct uw_faint *faint, const struct uw_faint_suspect *s,
                          const float complex *x);
/* Into window w of re and im: x, one sample a chip, times the conjugate chirp (or the chirp, for
 * down-chirps), and turned by `line`. Returns the energy. */
float uw_faint_dechirp(struct uw_faint *faint, const struct uw_faint_suspect *s,
                       const float complex *x, bool down, double line, size_t w);

#endif
