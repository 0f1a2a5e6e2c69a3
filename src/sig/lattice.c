/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The lattice of slots that an emitter's packets begin on
 *
 * Its state is the time of one slot and the ratio of the emitter's clock to the receiver's,
 * followed by a Kalman filter (R. E. Kalman, "A New Approach to Linear Filtering and Prediction
 * Problems", 1960): so the window for the next packet is as wide as what is known allows, after a
 * gap of seconds as after a few milliseconds.
 */

#include <math.h>

#include "links-impl.h"

#define CLOCK_MAX     120e-6 /* ratio of clocks, less 1, that is believed */
#define CLOCK_SIGMA   40e-6  /* ... expected */
#define CLOCK_DRIFT   1e-6
#define TURN_ROUND_S  10e-6 /* both ends of a link keep the lattice about as well as this */
#define SIGMAS        4.0
#define TOLERANCE_MAX 0.2 /* slots */

static double nominal_slot(const struct emitter *e, double rate_hz) {
    return e->period_s * rate_hz;
}

double uw_link_slot(const struct emitter *e, double rate_hz) {
    return nominal_slot(e, rate_hz) * (1.0 + e->clock);
}

/* Variance of one packet's time: its measurement, and the turn-round of the two ends of the link.
 */
static double time_variance(const struct uw_packet *p, double rate_hz) {
    double sigma = rate_hz * hypot(p->start_error_s, TURN_ROUND_S);

    return sigma * sigma;
}

/* Half width of the window around the slot `steps` behind the reference, in samples. */
static double tolerance(const struct emitter *e, double rate_hz, const struct uw_packet *p,
                        double steps) {
    double span = steps * nominal_slot(e, rate_hz);
    double variance = e->var_reference + 2.0 * span * e->covariance + span * span * e->var_clock +
                      time_variance(p, rate_hz);

    return fmin(SIGMAS * sqrt(variance), TOLERANCE_MAX * uw_link_slot(e, rate_hz));
}

static struct link_fit fit_at(const struct emitter *e, double rate_hz, const struct uw_packet *p,
                              double start) {
    double slot = uw_link_slot(e, rate_hz);
    double x = (start - e->reference) / slot;
    double nearest = round(x);
    double t = tolerance(e, rate_hz, p, nearest);

    return (struct link_fit){
        .misfit = fabs(x - nearest) * slot / t,
        .slot = e->reference_slot + (int64_t)nearest,
        .window = 2.0 * t,
    };
}

struct link_fit uw_link_fit(const struct emitter *e, double rate_hz, const struct uw_packet *p) {
    return fit_at(e, rate_hz, p, p->start);
}

struct link_fit uw_link_fit_weak(const struct emitter *e, const struct uw_detector_config *config,
                                 const struct uw_packet *p, bool *ret_time) {
    struct link_fit best = {.misfit = INFINITY};

    *ret_time = false;
    for (int i = 0; i < p->n_places; ++i) {
        struct link_fit f = fit_at(e, config->rate_hz, p, p->places[i].start);

        if (f.misfit > 1.0)
            continue;
        f.place = i;
        if (uw_link_on_raster(e, config, p->places[i].offset_hz, p->offset_error_hz))
            return f;
        if (!*ret_time && !uw_link_raster_is_known(e, config))
            best = f;
        *ret_time = true;
    }
    return best;
}

/* Whether a packet lies on a lattice of the emitter's clock, with a slot at `reference`. */
static bool lies_on(const struct emitter *clock, double rate_hz, double reference, double variance,
                    const struct uw_packet *p) {
    double slot = uw_link_slot(clock, rate_hz);
    double span = p->start - reference;
    double sigma = sqrt(variance + time_variance(p, rate_hz) + span * span * clock->var_clock);

    return fabs(remainder(span, slot)) <= fmin(SIGMAS * sigma, TOLERANCE_MAX * slot);
}

bool uw_link_has_left(const struct emitter *e, double rate_hz, const struct uw_packet *p) {
    return e->n_jumps > 0 && lies_on(e, rate_hz, e->left, e->var_left, p);
}

bool uw_link_keeps_time(const struct emitter *e, double rate_hz, const struct emitter *other,
                        const struct uw_packet *p) {
    return lies_on(e, rate_hz, other->reference, other->var_reference, p);
}

void uw_link_move_lattice(struct emitter *e, const struct emitter *to, int64_t slot) {
    e->left = e->reference;
    e->var_left = e->var_reference;
    e->reference = to->reference;
    e->reference_slot = slot;
    e->covariance = 0.0;
    e->var_reference = to->var_reference;
}

void uw_link_follow(struct emitter *e, double rate_hz, const struct uw_packet *p, int64_t slot) {
    double steps = (double)(slot - e->reference_slot);
    double span = steps * nominal_slot(e, rate_hz);
    double predicted = e->reference + steps * uw_link_slot(e, rate_hz);
    double p00 = e->var_reference + 2.0 * span * e->covariance + span * span * e->var_clock;
    double p01 = e->covariance + span * e->var_clock;
    double s = p00 + time_variance(p, rate_hz);
    double error = p->start - predicted;

    e->reference = predicted + p00 / s * error;
    e->clock = fmin(fmax(e->clock + p01 / s * error, -CLOCK_MAX), CLOCK_MAX);
    e->var_reference = p00 * (1.0 - p00 / s);
    e->covariance = p01 * (1.0 - p00 / s);
    /* crystals drift: the clock is never known better than CLOCK_DRIFT */
    e->var_clock = fmax(e->var_clock - p01 * p01 / s, CLOCK_DRIFT * CLOCK_DRIFT);
    e->reference_slot = slot;
}

void uw_link_begin_lattice(struct emitter *e, const struct uw_packet *p, double rate_hz) {
    e->reference = p->start;
    e->reference_slot = 0;
    e->clock = 0.0;
    e->covariance = 0.0;
    e->var_reference = time_variance(p, rate_hz);
    e->var_clock = CLOCK_SIGMA * CLOCK_SIGMA;
}
