/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "chips-impl.h"

#include <errno.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/dsp/fft.h"
#include "uw/dsp/resample.h"

#define PASS       1.2 /* bandwidths that pass the channel's filter whole */
#define CUT_RATE   2.2 /* bandwidths; a cut comes back at up to CUT_EXCESS times that */
#define CUT_EXCESS 1.4

int uw_chips_init(struct uw_chips *chips, double longest, size_t n_fft) {
    int r;

    memset(chips, 0, sizeof(*chips));
    r = uw_resampler_new(&chips->resampler);
    if (r < 0)
        return r;
    chips->max = (size_t)(longest * CUT_RATE * CUT_EXCESS) + 4 * n_fft + 4096;
    chips->cut = uw_fft_alloc(chips->max);
    chips->samples = uw_fft_alloc(chips->max);
    chips->mirrored = uw_fft_alloc(chips->max);
    if (!chips->cut || !chips->samples || !chips->mirrored) {
        uw_chips_deinit(chips);
        return uw_err(-ENOMEM);
    }
    return 0;
}

void uw_chips_deinit(struct uw_chips *chips) {
    uw_resampler_free(chips->resampler);
    uw_fft_dealloc(chips->cut);
    uw_fft_dealloc(chips->samples);
    uw_fft_dealloc(chips->mirrored);
    memset(chips, 0, sizeof(*chips));
}

struct uw_chips_piece uw_chips_cut(struct uw_chips *chips, struct uw_front *front, double rate_hz,
                                   uint64_t start, uint64_t stop, double centre_hz,
                                   double bandwidth_hz) {
    struct uw_chips_piece piece = {.step = rate_hz / (2.0 * bandwidth_hz)};
    double cut_rate;
    size_t n =
        uw_front_cut(front, start, stop, centre_hz, PASS * bandwidth_hz, CUT_RATE * bandwidth_hz,
                     chips->cut, chips->max, &piece.first, &cut_rate);

    if (n == 0)
        return piece;
    double step = cut_rate / (2.0 * bandwidth_hz);
    piece.n = (size_t)((double)n / step);
    if (piece.n > chips->max)
        piece.n = chips->max;
    uw_resample(chips->resampler, chips->cut, n, 0.0, step, chips->samples, piece.n);
    for (size_t i = 0; i < piece.n; ++i)
        chips->mirrored[i] = conjf(chips->samples[i]);
    return piece;
}
