/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A constant offset (DC) falls into bin 0 alone, where its slow mean is taken out. An imbalance of
 * I and Q puts beta conj(X[-k]) onto bin k; beta = E[x^2] / (2 E|x|^2) is estimated blindly from
 * the samples' improperness (no signal of interest is improper), see L. Anttila, M. Valkama and M.
 * Renfors, "Circularity-Based I/Q Imbalance Compensation in Wideband Direct-Conversion Receivers",
 * IEEE Trans. Veh. Technol. 57 (2008).
 *
 * The sum of x[k] x[-k] is made of plain sums over components, one with the mirror image and one
 * with its real and imaginary parts exchanged: nothing is left to sort inside the sums.
 */

#include "balance-impl.h"

#include <math.h>
#include <string.h>

#include "centres-impl.h"
#include "uw/base/util.h"

#define SLOW_S   0.5    /* time constant of DC and IQ imbalance */
#define BETA_MIN 0.003f /* -50 dB: an imbalance below is left alone */
#define EVERY    8      /* frames between looks at the imbalance */
#define LANES    16     /* partial sums */
#define PIECE    64     /* bins */
#define SEEN_S   0.25   /* not before: a few bursts are no statistics */

/* n bins backwards from `last` on; e has real and imaginary parts exchanged. */
UW_CLONES
static void mirror(size_t n, const float complex *last, float *restrict m, float *restrict e) {
    for (size_t k = 0; k < n; ++k) {
        uint64_t bin;

        memcpy(&bin, last - k, sizeof(bin));
        memcpy(m + 2 * k, &bin, sizeof(bin));
        bin = bin << 32 | bin >> 32;
        memcpy(e + 2 * k, &bin, sizeof(bin));
    }
}

/* Products with the mirror image, with it exchanged, and squares: onto LANES sums each, the same on
 * every processor. */
UW_CLONES
static void add_products(size_t n, const float *restrict x, const float *restrict m,
                         const float *restrict e, float *restrict sums) {
    for (size_t i = 0; i + LANES <= n; i += LANES) {
        for (size_t k = 0; k < LANES; ++k) {
            sums[k] += x[i + k] * m[i + k];
            sums[LANES + k] += x[i + k] * e[i + k];
            sums[2 * LANES + k] += x[i + k] * x[i + k] + m[i + k] * m[i + k];
        }
    }
}

/* Bins [from, to) and their mirror images, at most PIECE. */
static void add_piece(const float complex *x, size_t n, size_t from, size_t to, float *sums) {
    float a[2 * PIECE], m[2 * PIECE], e[2 * PIECE];
    const size_t count = 2 * (to - from);

    memcpy(a, x + from, count * sizeof(*a));
    mirror(to - from, x + n - from, m, e);
    for (size_t i = count; i < 2 * PIECE && i % LANES != 0; ++i)
        a[i] = m[i] = e[i] = 0.0f;
    add_products((count + LANES - 1) / LANES * LANES, a, m, e, sums);
}

/* All bins but DC: of each pair x[k], x[-k], which is its own at half the rate, the product counts
 * twice. */
static void slow_imbalance(struct uw_balance *b, const float complex *x) {
    const size_t h = b->n / 2;
    const float re_h = crealf(x[h]), im_h = cimagf(x[h]);
    float sums[3 * LANES] = {0};
    float re = 0.0f, im = 0.0f, power = re_h * re_h + im_h * im_h;

    for (size_t k = 1; k < h; k += PIECE)
        add_piece(x, b->n, k, h - k < PIECE ? h : k + PIECE, sums);
    for (size_t k = 0; k < LANES; ++k) {
        re += k % 2 ? -sums[k] : sums[k];
        im += sums[LANES + k];
        power += sums[2 * LANES + k];
    }
    const float complex square = 2.0f * (re + I * im) + x[h] * x[h];
    ++b->looks;
    float a = 1.0f / (float)fmin((double)b->looks, SLOW_S / (EVERY * b->frame_s));
    b->square += a * (square - b->square);
    b->power += a * (power - b->power);
    b->beta = 0.0f;
    if ((double)(b->looks * EVERY) * b->frame_s >= SEEN_S && b->power > 0.0f)
        b->beta = b->square / (2.0f * b->power);
    if (!(cabsf(b->beta) >= BETA_MIN)) /* nor if it is no number */
        b->beta = 0.0f;
}

void uw_balance_frame(struct uw_balance *b, struct uw_centre *at, uint64_t frame,
                      float complex *x) {
    float a = 1.0f / (float)fmin((double)++at->n_dc, SLOW_S / b->frame_s);

    at->dc += a * (x[0] - at->dc);
    x[0] -= at->dc;
    if (frame % EVERY == 0)
        slow_imbalance(b, x);
    if (b->beta == 0.0f)
        return;
    for (size_t k = 1; k < b->n - k; ++k) {
        const float complex beta = b->beta;
        float complex up = x[k];
        float complex down = x[b->n - k];

        x[k] = up - beta * conjf(down);
        x[b->n - k] = down - beta * conjf(up);
    }
}
