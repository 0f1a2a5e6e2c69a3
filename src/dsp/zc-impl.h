/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_DSP_ZC_IMPL_H
#define UW_SRC_DSP_ZC_IMPL_H

/* Private to src/dsp: what the files of the Zadoff-Chu search share. Threads: one. */

#include <complex.h>
#include <stddef.h>

#include "uw/dsp/fft.h"
#include "uw/dsp/zc.h"

#define UW_ZC_N              601
#define UW_ZC_RIDGE_S_PER_HZ (UW_ZC_CORE_S / UW_ZC_BAND_HZ)

struct uw_zc_reference {
    float *re[2], *im[2]; /* beginning on a sample; half a sample after it */
};

struct uw_zc {
    double max_rate_hz, rate_hz;
    size_t max_samples, max_core, n_core;
    struct uw_fft *fft;
    float complex *spectrum;       /* of root 600 */
    struct uw_zc_reference ref[2]; /* root 600, 147 */
    float *memory;                 /* of the references and the mixed window */
    float *mix_re, *mix_im;
    float *rho;     /* root 600 at every sample */
    double *energy; /* sum of |x|^2 before every sample */
};

/* One search. */
struct uw_zc_piece {
    struct uw_zc *zc;
    const float complex *x;
    size_t n;
    int n_lattice;
    int n_lags; /* half samples either side */
};

/* Energy of a stretch; all of it must be inside. */
double uw_zc_energy(const struct uw_zc_piece *p, size_t start, size_t len);
/* Carrier modulo 15 kHz of the burst whose root 600 stands near t0. */
double uw_zc_prefix_carrier(const struct uw_zc_piece *p, double t0, double span_hz);
/* Sets layout and layout_llr. */
void uw_zc_decide_layout(const struct uw_zc_piece *p, struct uw_zc_hit *hit);

#endif
