/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What cyclic prefixes and energies tell: the carrier modulo 15 kHz, and which layout a burst has.
 */

#include "uw/dsp/zc.h"

#include <math.h>

#include "uw/base/util.h"
#include "zc-impl.h"

#define LAYOUT_NATS 3.0 /* 1 in 20 is wrong at worst; less is undecided */

double uw_zc_energy(const struct uw_zc_piece *p, size_t start, size_t len) {
    const double energy = p->zc->energy[start + len] - p->zc->energy[start];
    /* what is left of rounding after something strong is not a signal */
    return energy > 1e-13 * p->zc->energy[p->n] ? energy : 0;
}

/* Correlation of one stretch with the same one symbol core later, added to the sum. */
static double complex prefix(const struct uw_zc_piece *p, double start, double len,
                             double *energy) {
    const double rate = p->zc->rate_hz;
    const long n_len = lround(len * rate), n_core = lround(UW_ZC_CORE_S * rate);
    const long first = lround(start);
    if (first < 0 || first + n_len + n_core > (long)p->n)
        return 0;
    double complex sum = 0;
    for (long i = first; i < first + n_len; i++)
        sum += (double complex)(conjf(p->x[i]) * p->x[i + n_core]);
    const double e1 = uw_zc_energy(p, (size_t)first, (size_t)n_len);
    const double e2 = uw_zc_energy(p, (size_t)(first + n_core), (size_t)n_len);
    *energy += sqrt(e1 * e2);
    return sum;
}

/* Carrier modulo 15 kHz from the prefixes of the seven symbols that both layouts share. */
double uw_zc_prefix_carrier(const struct uw_zc_piece *p, double t0, double span_hz) {
    const double rate = p->zc->rate_hz, len = 72 / 15.36e6;
    const double reach = UW_ZC_RIDGE_S_PER_HZ * span_hz;
    double complex best = 0;
    double energy = 0;
    for (double tau = -reach; tau <= reach; tau += 0.5e-6) {
        double complex sum = 0;
        for (int s = -2; s <= 4; s++)
            sum += prefix(p, t0 + (tau + s * UW_ZC_SYMBOL_S - len) * rate, len, &energy);
        if (cabs(sum) > cabs(best))
            best = sum;
    }
    const double delay = (double)lround(UW_ZC_CORE_S * rate) / rate;
    return carg(best) / (2 * UW_PI * delay);
}

/* Mean power between two times after the core; -1 if less than a quarter of a symbol of it is
 * inside. */
static double mean_power(const struct uw_zc_piece *p, double sample, double from_s, double to_s) {
    const double rate = p->zc->rate_hz;
    const long first = lround(fmax(0, sample + from_s * rate));
    const long last = lround(fmin((double)p->n, sample + to_s * rate));
    if ((double)(last - first) < 0.25 * UW_ZC_SYMBOL_S * rate)
        return -1;
    return uw_zc_energy(p, (size_t)first, (size_t)(last - first)) / (double)(last - first);
}

/*
 * The layouts differ in one symbol more before root 600. Two likelihood ratios: the energy there
 * against that of the burst and of the noise around it (Gamma), and its cyclic prefix at the
 * carrier's phase (about normal).
 */
void uw_zc_decide_layout(const struct uw_zc_piece *p, struct uw_zc_hit *hit) {
    const double rate = p->zc->rate_hz, t = hit->sample, start = t - UW_ZC_BEFORE_O2_S * rate;
    const double first = mean_power(p, t, -UW_ZC_BEFORE_O2_S, -UW_ZC_BEFORE_LEGACY_S);
    const double burst = mean_power(p, t, -UW_ZC_BEFORE_LEGACY_S, UW_ZC_AFTER_S);
    const double before = mean_power(p, start, -UW_ZC_SYMBOL_S, 0);
    const double after = mean_power(p, t, UW_ZC_AFTER_S, UW_ZC_AFTER_S + UW_ZC_SYMBOL_S);
    double noise = before >= 0 && (after < 0 || before < after) ? before : after;
    noise = fmax(noise < 0 ? burst - hit->power : noise, 1e-6 * burst);
    if (start < 0 || !(first > 0) || !(burst > noise))
        return;

    /* half of it: the noise, too, is known from one symbol only */
    double llr = 0.5 * UW_ZC_BAND_HZ * UW_ZC_SYMBOL_S *
                 (log(noise / burst) + first * (1 / noise - 1 / burst));
    llr = fmax(-15, fmin(15, llr));
    double energy = 0;
    const double complex sum = prefix(p, start, 80 / 15.36e6, &energy);
    const double delay = (double)lround(UW_ZC_CORE_S * rate) / rate;
    const double share = 1 - noise / burst;
    if (energy > 0) {
        const double c = creal(sum * cexp(-I * 2 * UW_PI * hit->offset_hz * delay)) / energy;
        llr += UW_ZC_BAND_HZ * 80 / 15.36e6 * (2 * c * share - share * share);
    }
    hit->layout_llr = llr;
    if (fabs(llr) >= LAYOUT_NATS)
        hit->layout = llr > 0 ? UW_ZC_O2 : UW_ZC_LEGACY;
}
