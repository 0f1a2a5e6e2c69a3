/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A link against traffic of its own waveform
 *
 * Networks of LoRa nodes send the same chirps, often at regular times, and round periods are
 * popular. What they do not do is hop as a link does; and their packets have any length.
 *
 * Which channel. Traffic that keeps to one channel or a few favours those it was heard on: with
 * counts n_c of N dwells and V visible channels it takes channel c next with (n_c + a / V) / (N +
 * a) (Polya's urn, a = 1). A link takes any of them with 1 / V.
 *
 * When again. In each block of as many hops as there are channels a link visits every channel once,
 * at random places (ExpressLRS: the sync channel first). Between two visits in successive blocks of
 * n hops lie d hops with the probability d / n^2 for d < n: two visits soon after each other are
 * rare. Traffic that comes at any time would have 1 / (2 n). With visits missed, d grows: nothing
 * is said for d >= n.
 *
 * How long. The likelihood of a packet of k data symbols is the product of those of its symbols;
 * a link's packets have one of the lengths of its air rates, others any.
 */

#include <math.h>

#include "links-impl.h"

#define URN          1.0
#define HOP_NATS_MIN (-3.0)
#define LENGTH_MIN   (-3.0)
#define LENGTH_MAX   2.0
#define SYMBOLS_MIN  4 /* of data, in a packet */
#define OFF          1 /* symbols: the firmware's table of times on air against the formula */
#define VARIANT_MIN  (-5.0)

double uw_link_judge_hop(const struct emitter *e, const struct uw_detector_config *config,
                         int channel, int64_t slot) {
    const struct uw_sig_variant *v = uw_link_variant(e, true);
    double visible = fmax(uw_link_visible(e, config), e->n_channels);
    double n = (double)(e->n_dwells - 1);
    double nats;
    int n_channels;

    if (!isfinite(config->freq_hz) || n < 1.0 || visible < 2.0 || !v)
        return 0.0;
    nats = log(1.0 / visible) - log((e->channel_dwells[channel] + URN / visible) / (n + URN));
    (void)uw_link_share(e, config, &n_channels);
    if (e->channel_dwells[channel] > 0) {
        double hop = round(v->period_s / e->period_s) * v->packets_per_hop;
        double apart = (double)(slot - e->channel_slots[channel]) / hop;

        if (apart < n_channels)
            nats += log(fmax(2.0 * apart / n_channels, 1e-3));
    }
    return fmax(nats, HOP_NATS_MIN);
}

static double log_sum(double a, double b) {
    double most = fmax(a, b);

    return most + log(exp(a - most) + exp(b - most));
}

/* Nats of the packet under an air rate's length, a symbol more or less. */
static double length_nats(const struct uw_sig_variant *v, const struct uw_extent *x) {
    double symbols = v->airtime_s * v->bandwidth_hz / (double)(1 << v->sf);
    int n = (int)lround(symbols - v->preamble - 4.25);
    int preamble = v->preamble < x->n_preamble ? v->preamble : x->n_preamble;
    double sum = -INFINITY;

    for (int i = n - OFF; i <= n + OFF; ++i) {
        int k = i < 0 ? 0 : i > x->n_data ? x->n_data : i;

        sum = log_sum(sum, (double)x->data[k]);
    }
    return sum - log(2.0 * OFF + 1.0) + (double)x->preamble[preamble];
}

double uw_link_judge_length(struct emitter *e, const struct uw_packet *p) {
    const struct uw_signature *s = e->signature;
    const struct uw_extent *x = &p->extent;
    double any = -INFINITY;
    double best = -INFINITY;
    double each[UW_SIG_VARIANTS_MAX];

    if (x->n_data < SYMBOLS_MIN || x->n_preamble == 0)
        return 0.0;
    for (int i = 0; i < s->n_variants; ++i) {
        each[i] = e->variants[i].possible ? length_nats(&s->variants[i], x) : -INFINITY;
        best = fmax(best, each[i]);
    }
    for (int i = 0; i < s->n_variants; ++i)
        e->variants[i].log_likelihood += fmax(each[i] - best, VARIANT_MIN);
    /* other traffic: any number of data symbols, any preamble of those */
    double preamble = -INFINITY;
    for (int i = 1; i <= x->n_preamble; ++i)
        preamble = log_sum(preamble, (double)x->preamble[i]);
    for (int i = SYMBOLS_MIN; i <= x->n_data; ++i)
        any = log_sum(any, (double)x->data[i]);
    any += preamble - log((double)(x->n_data - SYMBOLS_MIN + 1)) - log(4.0);
    return fmin(fmax(best - any, LENGTH_MIN), LENGTH_MAX);
}
