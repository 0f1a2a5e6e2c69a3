/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A receiver that walks comes back to the same few centres. A floor learned anew at each visit
 * would take what is on the air in the first tenth of a second for noise: a slow hopper that stays
 * on one channel for 80 ms would go unheard in most visits that begin with it.
 */

#include "centres-impl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "tones-impl.h"
#include "uw/base/err.h"
#include "uw/dsp/floor.h"

int uw_centres_init(struct uw_centres *centres, size_t n, double freq_hz, size_t n_bins, size_t hop,
                    double floor_frames) {
    int r = 0;

    centres->centres = calloc(n, sizeof(*centres->centres));
    if (!centres->centres)
        return uw_err(-ENOMEM);
    centres->n = n;
    for (size_t i = 0; r == 0 && i < n; ++i) {
        centres->centres[i].freq_hz = i == 0 ? freq_hz : NAN;
        r = uw_floor_new(n_bins, floor_frames, &centres->centres[i].floor);
        if (r == 0)
            r = uw_tones_new(n_bins, hop, &centres->centres[i].tones);
    }
    return r;
}

void uw_centres_deinit(struct uw_centres *centres) {
    for (size_t i = 0; i < centres->n; ++i) {
        uw_floor_free(centres->centres[i].floor);
        uw_tones_free(centres->centres[i].tones);
    }
    free(centres->centres);
    *centres = (struct uw_centres){0};
}

struct uw_centre *uw_centres_move(struct uw_centres *centres, struct uw_centre *from,
                                  double freq_hz) {
    struct uw_centre *oldest = NULL;

    from->left = ++centres->n_left;
    for (size_t i = 0; i < centres->n; ++i) {
        struct uw_centre *c = &centres->centres[i];

        if (c->freq_hz == freq_hz)
            return c;
        if (!oldest || c->left < oldest->left)
            oldest = c;
    }
    oldest->freq_hz = freq_hz;
    oldest->learned = false;
    oldest->dc = 0.0f;
    oldest->n_dc = 0;
    uw_tones_clear(oldest->tones);
    return oldest;
}
