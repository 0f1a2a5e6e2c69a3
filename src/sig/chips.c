/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "chips-impl.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/dsp/fft.h"
#include "uw/dsp/resample.h"

#define PASS     1.2 /* bandwidths that pass the channel's filter whole */
#define RATE     2.0 /* bandwidths */
#define OWN_RATE 2.2 /* of the cut for a piece with a mirror image */
#define PART     2048
#define CONTEXT  16 /* samples that a resampled one may need on each side, and more */

static int init_common(struct uw_chips *chips, double longest, size_t n_fft) {
    int r;

    memset(chips, 0, sizeof(*chips));
    r = uw_resampler_new(&chips->resampler);
    if (r < 0)
        return r;
    chips->max = (size_t)(longest * RATE) + 4 * n_fft + 4096;
    chips->cut = uw_fft_alloc(PART);
    return chips->cut ? 0 : uw_err(-ENOMEM);
}

int uw_chips_init(struct uw_chips *chips, double longest, size_t n_fft) {
    int r = init_common(chips, longest, n_fft);

    if (r == 0) {
        chips->own = uw_fft_alloc(chips->max);
        chips->mirrored = uw_fft_alloc(chips->max);
        if (!chips->own || !chips->mirrored)
            r = uw_err(-ENOMEM);
    }
    if (r < 0)
        uw_chips_deinit(chips);
    return r;
}

int uw_chips_init_shared(struct uw_chips *chips, double longest, struct uw_front *front) {
    int r = init_common(chips, longest, uw_front_n_fft(front));

    if (r == 0)
        r = uw_front_reserve(front, chips->max * sizeof(*chips->samples));
    if (r < 0)
        uw_chips_deinit(chips);
    return r;
}

void uw_chips_deinit(struct uw_chips *chips) {
    uw_resampler_free(chips->resampler);
    uw_fft_dealloc(chips->cut);
    uw_fft_dealloc(chips->own);
    uw_fft_dealloc(chips->mirrored);
    memset(chips, 0, sizeof(*chips));
}

/* Part by part to a `step`-th of the rate; n samples come out. */
static void resample(struct uw_chips *chips, struct uw_front *front, struct uw_front_cut *cut,
                     double step, size_t n) {
    size_t base = 0; /* cut sample at the begin of the buffer */
    size_t have = 0;
    size_t m = 0;

    while (m < n) {
        have += uw_front_cut_read(front, cut, chips->cut + have, PART - have);
        /* what lies far enough from the buffer's end, unless that is the end of all */
        size_t can = n;
        if (cut->done < cut->n) {
            can = (size_t)((double)(base + have - CONTEXT) / step);
            can = can < n ? can : n;
        }
        double first = (double)m * step - (double)base;
        uw_resample(chips->resampler, chips->cut, have, first, step, chips->samples + m, can - m);
        m = can;
        size_t next = (size_t)((double)m * step);
        size_t used = next > base + CONTEXT ? next - CONTEXT - base : 0;
        used = used < have ? used : have;
        memmove(chips->cut, chips->cut + used, (have - used) * sizeof(*chips->cut));
        base += used;
        have -= used;
    }
}

struct uw_chips_piece uw_chips_cut(struct uw_chips *chips, struct uw_front *front, double rate_hz,
                                   uint64_t start, uint64_t stop, double centre_hz,
                                   double bandwidth_hz) {
    struct uw_chips_piece piece = {.step = rate_hz / (RATE * bandwidth_hz)};
    struct uw_front_cut cut;

    chips->samples = chips->own ? chips->own : uw_front_scratch(front);
    double min_rate = (chips->own ? OWN_RATE : RATE) * bandwidth_hz;
    if (!uw_front_cut_begin(front, start, stop, centre_hz, PASS * bandwidth_hz, min_rate, &cut))
        return piece;
    piece.first = cut.start;
    double step = cut.rate_hz / (RATE * bandwidth_hz);
    piece.n = (size_t)((double)cut.n / step);
    if (piece.n > chips->max)
        piece.n = chips->max;
    if (fabs(step - 1.0) < 1e-9)
        piece.n = uw_front_cut_read(front, &cut, chips->samples, piece.n);
    else
        resample(chips, front, &cut, step, piece.n);
    for (size_t i = 0; chips->mirrored && i < piece.n; ++i)
        chips->mirrored[i] = conjf(chips->samples[i]);
    return piece;
}
