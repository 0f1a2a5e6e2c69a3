/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * One sender or many, by levels and carriers
 *
 * From visit to visit of a channel one sender's level is the same but for LEVEL_SIGMA_DB a time
 * (and now and then it is something else's), those of many senders differ. But of many only the few
 * strongest may be heard, and the sender of a slot in a cycle is the same each time. So the
 * carriers have a say, too: not that it is one sender, but that it is not. A receiver that is
 * driven to its limit shows all levels alike: there they are nearly all there is.
 *
 * Carriers are measured as the mean over random symbols, whose deviation is not known. Of FSK with
 * symbols of a rate R for a time T it is R h / 2 over the root of R T; with a bandwidth of (h + 1)
 * R and a modulation index h of 2 that is the root of B / (3 T), with 3 it is 1.3 of that, and with
 * 1/2 a third. Each hypothesis has the deviation that suits it best; without levels to go by, at
 * most that of an index of 2. Senders of short, wide packets, whose crystals differ by no more than
 * that, or LoRa nodes with crystals better than some 2 ppm, are one.
 */

#include <math.h>

#include "hopper-impl.h"
#include "uw/base/util.h"

#define LEVEL_SIGMA_DB  0.5
#define LEVELS_SIGMA_DB 3.0 /* of many senders, within what makes a train */
#define STRAYS          0.1
#define FAR             3.0 /* deviations of many senders: what is further apart is something else's */
#define CARRIERS_SHARE  5e-6  /* of many senders, crystals of +-10 ppm */
#define CENTRE_HZ       900e6 /* where it is not known */
#define LORA_SIGMA_HZ   500.0
#define LEVEL_NATS      0.6  /* half of what a level of one sender says in the mean */
#define DOUBT           3.0  /* nats for many that carriers may reach by chance */
#define LORA_VISITS_MIN 8    /* whose carriers are measured well */
#define VISITS_MIN      16   /* after the first, for carriers to tell */
#define SENDER_NATS     12.0 /* many senders reach them in one of exp(12) judgements at most */

static const double scales[] = {1.3, 1.15, 1.0, 0.85, 0.7, 0.6, 0.5, 0.42, 0.35};
#define N_SCALES UW_ARRAY_SIZE(scales)
#define N_WIDE   2 /* of these for a modulation index of more than 2 */

static double density(double x, double sigma) {
    return exp(-0.5 * x * x / (sigma * sigma)) / (sigma * sqrt(2.0 * UW_PI));
}

/* Log-likelihood of a difference of two visits whose measures have a deviation of sigma, or are now
 * and then something else's, with a deviation of `stray`. */
static double with_strays(double difference, double sigma, double stray) {
    return log((1.0 - STRAYS) * density(difference, sqrt(2.0) * sigma) +
               STRAYS * density(difference, sqrt(2.0) * stray));
}

/* Nats of two levels. */
static double weigh_levels(double difference_db) {
    return with_strays(difference_db, LEVEL_SIGMA_DB, sqrt(2.0) * LEVELS_SIGMA_DB) -
           log(density(difference_db, sqrt(2.0) * LEVELS_SIGMA_DB));
}

/* Log-likelihoods of the carriers, for each scale of the error of measurement. */
struct carriers {
    size_t n;
    double sigma[N_SCALES], many[N_SCALES];
    double one_nats[N_SCALES], many_nats[N_SCALES];
};

static void begin_carriers(const struct hop_train *t, const struct hop_band *band,
                           struct carriers *c) {
    double centre_hz = isfinite(band->centre_hz) ? band->centre_hz : CENTRE_HZ;
    double sigma_hz = t->lora ? LORA_SIGMA_HZ : sqrt(t->bandwidth_hz / (3.0 * t->length_s));

    *c = (struct carriers){0};
    for (size_t i = 0; i < N_SCALES; ++i) {
        c->sigma[i] = scales[i] * sigma_hz;
        c->many[i] = hypot(c->sigma[i], CARRIERS_SHARE * centre_hz);
    }
}

static void add_carriers(struct carriers *c, double difference_hz) {
    double d = fmin(fabs(difference_hz), FAR * c->many[N_WIDE]);
    double stray = sqrt(2.0) * c->many[N_WIDE];

    ++c->n;
    for (size_t i = 0; i < N_SCALES; ++i) {
        c->one_nats[i] += with_strays(d, c->sigma[i], stray);
        c->many_nats[i] += with_strays(d, c->many[i], stray);
    }
}

static double best_of(const double nats[N_SCALES], size_t from) {
    double best = nats[from];

    for (size_t i = from + 1; i < N_SCALES; ++i)
        best = fmax(best, nats[i]);
    return best;
}

/* Nats for one sender, from this scale on. */
static double weigh_carriers(const struct carriers *c, size_t from) {
    return best_of(c->one_nats, from) - best_of(c->many_nats, from);
}

bool uw_hop_is_one_sender(const struct hop_train *t, const struct hop_burst *const *first,
                          const int *where, size_t n, const struct hop_band *band,
                          double *ret_nats) {
    const struct hop_burst *before[HOP_CHANNELS_MAX] = {NULL};
    struct carriers c;
    size_t n_levels = 0;
    double levels = 0.0;

    begin_carriers(t, band, &c);
    for (size_t i = 0; i < n; ++i) {
        const struct hop_burst *b = first[i];
        const struct hop_burst *last = before[where[i]];

        before[where[i]] = b;
        if (!last)
            continue;
        add_carriers(&c, b->offset_hz - last->offset_hz);
        if ((double)fminf(last->power_db, b->power_db) > band->limit_dbfs)
            continue;
        ++n_levels;
        levels += weigh_levels((double)(b->power_db - last->power_db));
    }
    if (n_levels == c.n) {
        *ret_nats = levels + fmin(weigh_carriers(&c, 0), 0.0);
        return *ret_nats >= SENDER_NATS;
    }
    *ret_nats = levels + weigh_carriers(&c, N_WIDE);
    return *ret_nats >= fmin(SENDER_NATS, LEVEL_NATS * (double)n_levels) - DOUBT &&
           c.n >= (t->lora ? LORA_VISITS_MIN : VISITS_MIN);
}
