/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "chips-impl.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/dsp/fft.h"
#include "uw/dsp/resample.h"

#define PASS    1.2 /* bandwidths that pass the channel's filter whole */
#define RATE    2.0 /* bandwidths */
#define PART    2048
#define CONTEXT 16 /* samples that a resampled one may need on each side, and more */

int uw_chips_init(struct uw_chips *chips, double longest, struct uw_front *front) {
    int r;

    memset(chips, 0, sizeof(*chips));
    r = uw_resampler_new(&chips->resampler);
    if (r < 0)
        return r;
    chips->max = (size_t)(longest * RATE) + 4 * uw_front_n_fft(front) + 4096;
    chips->cut = uw_fft_alloc(PART);
    r = chips->cut ? uw_front_reserve(front, chips->max * sizeof(*chips->samples))
                   : uw_err(-ENOMEM);
    if (r < 0)
        uw_chips_deinit(chips);
    return r;
}

void uw_chips_deinit(struct uw_chips *chips) {
    uw_resampler_free(chips->resampler);
    uw_fft_dealloc(chips->cut);
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

    chips->samples = uw_front_scratch(front);
    if (!uw_front_cut_begin(front, start, stop, centre_hz, PASS * bandwidth_hz, RATE * bandwidth_hz,
                            &cut))
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
    return piece;
}
