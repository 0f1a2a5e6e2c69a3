/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_DSP_ZC_H
#define UW_DSP_ZC_H

/*
 * Joint Zadoff-Chu search for the DJI DroneID burst: roots 600 and 147, two OFDM symbols apart
 *
 * Numerology: 15.36 MS/s, 1024-point symbols with 15 kHz carriers, 601 of them around the centre;
 * times here are in seconds or in samples of whatever rate the caller has (10 MS/s and more). The
 * theory stands in zc.c.
 *
 * Threads: one per object. Ownership: all memory is taken in uw_zc_new().
 */

#include <complex.h>
#include <stdbool.h>
#include <stddef.h>

#define UW_ZC_CARRIER_HZ      15e3
#define UW_ZC_BAND_HZ         (601 * UW_ZC_CARRIER_HZ)
#define UW_ZC_CORE_S          (1024 / 15.36e6) /* one symbol without its cyclic prefix */
#define UW_ZC_SYMBOL_S        (1096 / 15.36e6)
#define UW_ZC_SPACING_S       (2192 / 15.36e6) /* from root 600 to root 147 */
#define UW_ZC_BEFORE_O2_S     (3368 / 15.36e6) /* start of the burst to the core of root 600 */
#define UW_ZC_BEFORE_LEGACY_S (2272 / 15.36e6)
#define UW_ZC_AFTER_S                                                                              \
    (6512 / 15.36e6) /* core of root 600 to the end of the burst, both layouts                     \
                      */

#define UW_ZC_RATE_MIN_HZ 10e6
#define UW_ZC_SPAN_MAX_HZ 900e3

enum uw_zc_layout { UW_ZC_UNDECIDED, UW_ZC_O2, UW_ZC_LEGACY };

struct uw_zc_params {
    double span_hz; /* the centre of a burst is within +- span of 0; at most UW_ZC_SPAN_MAX_HZ */
    double pfa;     /* of one search over one piece, at most */
};

/* Both correlations of one cell, as exponential variables: 1 nat each in noise. */
struct uw_zc_cell {
    double rho_600, rho_147; /* |<x,z>|^2 / (|x|^2 |z|^2), energy within the band of the carriers */
    double nats_600, nats_147;
};

struct uw_zc_hit {
    double sample;    /* where the core of root 600 begins */
    double offset_hz; /* true centre, relative to 0 */
    struct uw_zc_cell cell;
    double joint; /* nats_600 + nats_147 */
    double llr;   /* -ln of the bound on finding such a joint value in noise; grows from -ln(pfa) */
    double score; /* 0..1, amplitude: root of the mean rho */
    double power; /* mean power of the burst, units of the samples squared */
    double snr_db; /* in UW_ZC_BAND_HZ, from the correlation: echoes and offsets count as noise */
    enum uw_zc_layout layout;
    double layout_llr; /* nats for O2 against legacy */
};

struct uw_zc;

/* For rates up to max_rate_hz and pieces up to max_samples. 0, -EINVAL, -ENOMEM. */
int uw_zc_new(double max_rate_hz, size_t max_samples, struct uw_zc **ret_zc);
struct uw_zc *uw_zc_free(struct uw_zc *zc);
void uw_zc_freep(struct uw_zc **zc);
/* Makes the references for a rate, if it is another one than before. 0, -EINVAL. No allocation. */
int uw_zc_set_rate(struct uw_zc *zc, double rate_hz);

/* Finds the bursts of a piece, in the order of time; at most max. Needs uw_zc_set_rate(). */
size_t uw_zc_search(struct uw_zc *zc, const struct uw_zc_params *params, const float complex *x,
                    size_t n, struct uw_zc_hit *hits, size_t max);
/* The number of cells that such a search may look at. */
double uw_zc_cells(const struct uw_zc *zc, const struct uw_zc_params *params, size_t n);
/* The least joint value that a search accepts for a false-alarm rate over that many cells. */
double uw_zc_threshold(double cells, double pfa);
/* One cell: root 600 at `sample`, both symbols at that offset. False if it is not all inside x. */
bool uw_zc_measure(struct uw_zc *zc, const struct uw_zc_params *params, const float complex *x,
                   size_t n, double sample, double offset_hz, struct uw_zc_cell *ret_cell);

#endif
