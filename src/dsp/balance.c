/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A constant offset (DC) falls into bin 0 alone, where its slow mean is taken out. An imbalance of
 * I and Q puts beta conj(X[-k]) onto bin k; beta = E[x^2] / (2 E|x|^2) is estimated blindly from
 * the samples' improperness (no signal of interest is improper), see L. Anttila, M. Valkama and M.
 * Renfors, "Circularity-Based I/Q Imbalance Compensation in Wideband Direct-Conversion Receivers",
 * IEEE Trans. Veh. Technol. 57 (2008).
 */

#include "balance-impl.h"

#include <math.h>

#include "centres-impl.h"

#define SLOW_S   0.5    /* time constant of DC and IQ imbalance */
#define BETA_MIN 0.003f /* -50 dB: an imbalance below is left alone */
#define EVERY    8      /* frames between looks at the imbalance */
#define SEEN_S   0.25   /* not before: a few bursts are no statistics */

static void slow_imbalance(struct uw_balance *b, const float complex *x) {
    float complex square = 0.0f;
    float power = 0.0f;

    for (size_t k = 1; k < b->n; ++k) {
        square += x[k] * x[b->n - k];
        power += crealf(x[k]) * crealf(x[k]) + cimagf(x[k]) * cimagf(x[k]);
    }
    ++b->looks;
    float a = 1.0f / (float)fmin((double)b->looks, SLOW_S / (EVERY * b->frame_s));
    b->square += a * (square - b->square);
    b->power += a * (power - b->power);
}

void uw_balance_frame(struct uw_balance *b, struct uw_centre *at, uint64_t frame,
                      float complex *x) {
    float a = 1.0f / (float)fmin((double)++at->n_dc, SLOW_S / b->frame_s);

    at->dc += a * (x[0] - at->dc);
    x[0] -= at->dc;
    if (frame % EVERY == 0)
        slow_imbalance(b, x);
    if ((double)(b->looks * EVERY) * b->frame_s < SEEN_S || b->power <= 0.0f)
        return;
    float complex beta = b->square / (2.0f * b->power);
    if (!(cabsf(beta) >= BETA_MIN)) /* nor if it is no number */
        return;
    for (size_t k = 1; k < b->n - k; ++k) {
        float complex up = x[k];
        float complex down = x[b->n - k];

        x[k] = up - beta * conjf(down);
        x[b->n - k] = down - beta * conjf(up);
    }
}
