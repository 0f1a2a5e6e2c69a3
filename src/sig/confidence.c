/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * How sure a link is: counted, not derived
 *
 *   confidence = most / (1 + exp(-(intercept + sum of weight_i x_i)))
 *
 * with weights that are not negative, so that nothing that speaks for a link makes it less sure.
 * `most` is Laplace's rule of succession, (right + 1) / (all + 2) of the surest quarter of the
 * alerts it was fitted to: the next may yet be the first that is wrong.
 */

#include "uw/sig/confidence.h"

#include <math.h>
#include <stddef.h>

#include "uw/base/util.h"

/* clang-format off */
/* table begin: "tests/campaigns/detection.py calibrate --write" writes it
 * 2026-11-24, a63ef3f, rounds 1 to 6:
 * 286 alerts, 4 of them wrong; 1495 others, 773 wrong */
#define MOST      0.9952
#define INTERCEPT (-10.354)

static const double weights[UW_LINK_FEATURES] = {
    2.343, /* nats */
    0.000, /* dwells */
    0.215, /* channels */
    0.000, /* no surplus */
    5.816, /* fill */
    3.272, /* coverage */
    4.914, /* pace */
    0.000, /* whole */
    1.645, /* grid */
    0.524, /* consistent */
    0.000, /* named */
    3.701, /* ruled */
};
/* table end */
/* clang-format on */

#define NATS_MAX        40.0
#define DWELLS_MAX      20.0
#define SURPLUS_MAX     3.0
#define OVERFULL_MAX    2.0
#define GRID_HZ         10e3
#define GRID_MAX        1.5
#define GRID_UNKNOWN    0.5
#define SNR_WEAK        (-10.0)
#define SNR_SPAN        10.0
#define CHANNELS_NORMAL 3.0

static const char *const names[UW_LINK_FEATURES] = {
    "nats", "dwells", "channels", "no surplus", "fill",  "coverage",
    "pace", "whole",  "grid",     "consistent", "named", "ruled",
};

static double clamp(double x, double low, double high) {
    return fmin(fmax(x, low), high);
}

const char *uw_link_feature_name(int i) {
    return i >= 0 && i < UW_LINK_FEATURES ? names[i] : NULL;
}

void uw_link_features(const struct uw_link_seen *s, double ret_x[UW_LINK_FEATURES]) {
    double dwells = fmax((double)s->dwells, 1.0), packets = fmax((double)s->packets, 1.0);
    double visible = s->visible > 0 ? (double)s->visible : CHANNELS_NORMAL;
    double channels = (double)s->channels, full = dwells * fmax(s->packets_per_hop, 1);
    double share = isfinite(s->hops) ? dwells / fmax(s->hops, 1.0) : 1.0;
    double grid = isfinite(s->grid_error_hz) ? s->grid_error_hz / GRID_HZ : GRID_UNKNOWN;
    double weak = clamp((double)s->weak / packets, 0.0, 1.0);
    double x[UW_LINK_FEATURES] = {
        log(clamp(s->nats, 1.0, NATS_MAX)),
        log(fmin(dwells, DWELLS_MAX)),
        fmin(channels / fmin(visible, CHANNELS_NORMAL), 1.0),
        s->visible < 0 ? 0.0 : -clamp(channels - visible, 0.0, SURPLUS_MAX),
        fmin(packets / full, 1.0),
        fmin(share, 1.0),
        -clamp(log(share), 0.0, OVERFULL_MAX),
        1.0 - weak,
        -clamp(grid, 0.0, GRID_MAX),
        /* what is that strong is not heard below the noise */
        -weak * clamp((s->snr_db - SNR_WEAK) / SNR_SPAN, 0.0, 1.0),
        (s->named ? 0.5 : 0.0) + (s->placed ? 0.5 : 0.0),
        s->ruled ? 1.0 : 0.0,
    };

    for (int i = 0; i < UW_LINK_FEATURES; ++i)
        ret_x[i] = x[i];
}

double uw_link_confidence_most(void) {
    return MOST;
}

double uw_link_confidence(const struct uw_link_seen *seen) {
    double x[UW_LINK_FEATURES];
    double logit = INTERCEPT;

    uw_link_features(seen, x);
    for (int i = 0; i < UW_LINK_FEATURES; ++i)
        logit += weights[i] * x[i];
    return uw_link_confidence_most() / (1.0 + exp(-logit));
}
