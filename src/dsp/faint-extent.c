/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * How long a packet is whose sync word has been found: from symbol to symbol, the nats that it is
 * there. faint.c says where the formulas come from.
 */

#include <math.h>

#include "faint-impl.h"
#include "largest-impl.h"
#include "uw/base/util.h"
#include "uw/dsp/lines.h"

#define SNR_MIN 0.5 /* of a line, where the measured one is lower */
#define SNR_MAX 60.0
#define GIVE_UP 3.0 /* nats */
#define DATA_SHARE                                                                                 \
    0.7 /* of a line's power is left in a data symbol, which wraps, half a chip off */

UW_CLONES
static float largest(const float *power, size_t n) {
    return uw_largest(n, power);
}

/* ln I0(x): its series' asymptote beyond 4 (Abramowitz and Stegun 9.8.1, 9.8.2, leading terms). */
static double log_bessel(double x) {
    double q = x * x / 14.0625;

    if (x < 3.75)
        return log(1.0 + q * (3.5156229 + q * (3.0899424 + q * (1.2067492 + q * 0.2659732))));
    return x - 0.5 * log(2.0 * UW_PI * x) + 0.125 / x;
}

/* Power over the noise of up-chirp number `place` behind the sync word's begin. */
static bool chirp_power(struct uw_faint *faint, const float complex *x, size_t n,
                        const struct uw_faint_suspect *s, const struct uw_faint_packet *p,
                        double place, double *ret_power) {
    double chips = (double)((size_t)1 << s->sf);
    double at = p->sync + place * p->symbol;
    double begin = round(at);

    if (begin < 0.0 || begin + 2.0 * chips > (double)n)
        return false;
    uw_faint_make_reference(faint, s->sf, p->offset * chips + 0.5 * (begin - at));
    *ret_power = (double)uw_faint_line_power(faint, s, x + (size_t)begin);
    return true;
}

/* The strongest line over the noise of up to n_powers data symbols, the first at `place`. Returns
 * how many there are. */
static int data_powers(struct uw_faint *faint, const float complex *x, size_t n,
                       const struct uw_faint_suspect *s, const struct uw_faint_packet *p,
                       double place, int n_powers, double *ret_powers) {
    size_t chips = (size_t)1 << s->sf;
    float energy[UNIT_MAX >> UW_FAINT_SF_MIN];
    int done;

    for (done = 0; done < n_powers; ++done) {
        double at = p->sync + (place + done) * p->symbol;
        double begin = round(at);

        if (begin < 0.0 || begin + 2.0 * (double)chips > (double)n)
            break;
        energy[done] =
            uw_faint_dechirp(faint, s, x + (size_t)begin, false,
                             p->offset * (double)chips + 0.5 * (begin - at), (size_t)done);
    }
    if (done > 0)
        uw_lines_run(faint->lines, s->sf, faint->re, faint->im, NULL, NULL, faint->power[0]);
    for (int i = 0; i < done; ++i)
        ret_powers[i] =
            (double)(largest(faint->power[0] + (size_t)i * chips, chips) / (energy[i] + 1e-30f));
    return done;
}

/* Nats that data symbol is there whose strongest line has power z. */
static double data_nats(double z, double snr, double lines) {
    double there = exp(log_bessel(2.0 * sqrt(snr * z)) - snr);
    /* ... or another line is the strongest, and the symbol's below it: nearly Gaussian in
     * amplitude */
    double below = 0.5 * erfc(sqrt(snr) - sqrt(z));

    return log((there + (lines - 1.0) * below) / lines);
}

/* The data symbols: as far as there are samples, or until nothing is there. */
static void take_data(struct uw_faint *faint, const float complex *x, size_t n,
                      const struct uw_faint_suspect *s, struct uw_faint_packet *p) {
    int at_once = (int)(uw_lines_unit(s->sf) >> s->sf);
    double lines = (double)((size_t)1 << s->sf);
    double power[UNIT_MAX >> UW_FAINT_SF_MIN];
    double told = 0.0;
    int in = 0; /* powers, and how many of them have been used */
    int used = 0;

    p->told = 0.0;
    for (p->n_data = 0; p->n_data < UW_FAINT_DATA_MAX; ++p->n_data, ++used) {
        if (used == in) {
            used = 0;
            in = data_powers(faint, x, n, s, p, 4.25 + p->n_data, at_once, power);
            if (in == 0)
                return;
        }
        p->data[p->n_data] = (float)data_nats(power[used], DATA_SHARE * p->line_snr, lines);
        told += (double)p->data[p->n_data];
        p->told = fmax(p->told, told);
        /* nothing is there; a single symbol may be weak */
        if (p->n_data > 0 && told < p->told - GIVE_UP && p->told < GIVE_UP)
            return;
    }
}

void uw_faint_extent(struct uw_faint *faint, const float complex *x, size_t n,
                     const struct uw_faint_suspect *s, struct uw_faint_packet *p) {
    double power[UW_FAINT_PREAMBLE_MAX];
    double sum = 0.0;
    int sure = s->preamble_min < UW_FAINT_PREAMBLE_MAX ? s->preamble_min : UW_FAINT_PREAMBLE_MAX;

    p->n_preamble = 0;
    while (p->n_preamble < UW_FAINT_PREAMBLE_MAX && p->n_preamble < s->preamble_max + 2 &&
           chirp_power(faint, x, n, s, p, -1.0 - p->n_preamble, &power[p->n_preamble]))
        ++p->n_preamble;
    for (int i = 0; i < sure && i < p->n_preamble; ++i)
        sum += power[i];
    p->line_snr = fmin(fmax(sum / sure - 1.0, SNR_MIN), SNR_MAX);
    p->known = 0.0;
    for (int i = 0; i < p->n_preamble; ++i) {
        double nats = log_bessel(2.0 * sqrt(p->line_snr * power[i])) - p->line_snr;

        p->preamble[i] = (float)nats;
        p->known += i < sure ? nats : 0.0;
    }
    take_data(faint, x, n, s, p);
}
