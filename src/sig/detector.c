/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Findings come from several matchers, each a little behind the signal; they are held until the
 * signal is DELAY_S further and then given in the order of their stop (ties: in the order they were
 * made). One that comes later still is given at once with its stop moved to the progress already
 * announced.
 */

#include "uw/sig/detector.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hopper-impl.h"
#include "links-impl.h"
#include "matcher-impl.h"
#include "matcher-sweep-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/front.h"

#define DELAY_S       0.05
#define HELD_MAX      256
#define EMITTER_SHIFT 4 /* emitters of different matchers never share a number */

static const struct uw_matcher_ops *const matchers[] = {
    &uw_matcher_lora,  &uw_matcher_droneid, &uw_matcher_packet,
    &uw_matcher_sweep, &uw_matcher_hopper,
};

#define N_MATCHERS (sizeof(matchers) / sizeof(matchers[0]))

struct plugged {
    const struct uw_matcher_ops *ops;
    struct uw_matcher_env env;
    struct uw_detector *detector;
    void *state;
};

struct uw_detector {
    struct uw_detector_config config;
    struct uw_detector_ops ops;
    void *userdata;
    struct uw_front *front;
    struct plugged plugged[N_MATCHERS + 1]; /* the last is the tracker of links */
    struct uw_links *links;
    struct uw_hopper *hopper;
    uint64_t delay;
    uint64_t announced; /* progress given so far */
    size_t n_held;
    struct uw_finding held[HELD_MAX]; /* by stop */
};

static void give(struct uw_detector *d, size_t n) {
    for (size_t i = 0; i < n; ++i)
        d->ops.finding(d->userdata, &d->held[i]);
    d->n_held -= n;
    memmove(d->held, d->held + n, d->n_held * sizeof(d->held[0]));
}

static void on_finding(void *userdata, struct uw_finding *finding) {
    struct plugged *p = userdata;
    struct uw_detector *d = p->detector;
    size_t i;

    finding->emitter = (finding->emitter << EMITTER_SHIFT) + (uint64_t)(p - d->plugged);
    finding->centre_hz = d->config.freq_hz;
    uw_hopper_named(d->hopper, finding);
    if (finding->stop < d->announced)
        finding->stop = d->announced;
    if (finding->start > finding->stop)
        finding->start = finding->stop;
    if (d->n_held == HELD_MAX)
        give(d, 1);
    for (i = d->n_held; i > 0 && d->held[i - 1].stop > finding->stop; --i)
        d->held[i] = d->held[i - 1];
    d->held[i] = *finding;
    ++d->n_held;
}

static void on_burst(void *userdata, const struct uw_burst *burst) {
    struct uw_detector *d = userdata;

    for (size_t i = 0; i < N_MATCHERS; ++i) {
        if (d->plugged[i].state && d->plugged[i].ops->burst &&
            d->plugged[i].ops->burst(d->plugged[i].state, burst))
            return;
    }
}

static void on_frame(void *userdata, const float complex *spectrum, uint64_t sample, bool begins) {
    struct uw_detector *d = userdata;

    for (size_t i = 0; i < N_MATCHERS; ++i) {
        if (d->plugged[i].state && d->plugged[i].ops->frame)
            d->plugged[i].ops->frame(d->plugged[i].state, spectrum, sample, begins);
    }
}

static void announce(struct uw_detector *d, uint64_t sample) {
    size_t n = 0;

    while (n < d->n_held && d->held[n].stop < sample)
        ++n;
    give(d, n);
    d->announced = sample > d->announced ? sample : d->announced;
    d->ops.progress(d->userdata, d->announced);
}

static void on_progress(void *userdata, uint64_t sample) {
    struct uw_detector *d = userdata;

    for (size_t i = 0; i < N_MATCHERS; ++i) {
        if (d->plugged[i].state && d->plugged[i].ops->progress)
            d->plugged[i].ops->progress(d->plugged[i].state, sample);
    }
    uw_links_progress(d->links, sample);
    if (sample > d->delay)
        announce(d, sample - d->delay);
}

struct uw_detector *uw_detector_free(struct uw_detector *detector) {
    if (!detector)
        return NULL;
    for (size_t i = 0; i < N_MATCHERS; ++i) {
        if (detector->plugged[i].state)
            detector->plugged[i].ops->free(detector->plugged[i].state);
    }
    uw_links_free(detector->links);
    uw_hopper_free(detector->hopper);
    uw_front_free(detector->front);
    free(detector);
    return NULL;
}

static void detector_freep(struct uw_detector **detector) {
    *detector = uw_detector_free(*detector);
}

/* Whether an enabled signature needs this matcher. */
static bool is_needed(const struct uw_sigdb *db, const struct uw_matcher_ops *ops) {
    for (size_t i = 0; i < uw_sigdb_len(db); ++i) {
        const struct uw_signature *s = uw_sigdb_at(db, i);

        for (int v = 0; s->enabled && v < s->n_variants; ++v) {
            if (s->variants[v].modulation == ops->modulation)
                return true;
        }
    }
    return false;
}

static struct uw_matcher_env make_env(struct uw_detector *d, size_t i) {
    d->plugged[i].detector = d;
    return (struct uw_matcher_env){
        .config = &d->config,
        .front = d->front,
        .links = d->links,
        .hopper = d->hopper,
        .emit = on_finding,
        .userdata = &d->plugged[i],
    };
}

static int plug(struct uw_detector *d, size_t i) {
    struct plugged *p = &d->plugged[i];

    p->ops = matchers[i];
    p->env = make_env(d, i);
    if (!is_needed(d->config.db, p->ops) || (p->ops->optional && !d->config.below_noise))
        return 0;
    return p->ops->new (&p->env, &p->state);
}

int uw_detector_new(const struct uw_detector_config *config, const struct uw_detector_ops *ops,
                    void *userdata, struct uw_detector **ret_detector) {
    UW_CLEANUP(detector_freep) struct uw_detector *d = calloc(1, sizeof(*d));
    static const struct uw_front_ops front_ops = {
        .burst = on_burst, .progress = on_progress, .frame = on_frame};
    struct uw_front_config front;
    int r;

    if (!d)
        return uw_err(-ENOMEM);
    d->config = *config;
    d->ops = *ops;
    d->userdata = userdata;
    d->delay = (uint64_t)(DELAY_S * config->rate_hz);
    uw_front_config_init(&front);
    front.rate_hz = config->rate_hz;
    front.format = config->format;
    front.freq_hz = config->freq_hz;
    front.history_min_s = config->below_noise ? uw_sweep_history_s(config->db) : 0.0;
    front.n_centres = config->n_centres > 1 ? config->n_centres : 1;
    r = uw_front_new(&front, &front_ops, d, &d->front);
    if (r == 0) {
        struct uw_matcher_env env = make_env(d, N_MATCHERS);

        r = uw_links_new(&env, &d->links);
        if (r == 0)
            r = uw_hopper_new(&env, &d->hopper);
    }
    for (size_t i = 0; r == 0 && i < N_MATCHERS; ++i)
        r = plug(d, i);
    if (r < 0)
        return r;
    *ret_detector = d;
    d = NULL;
    return 0;
}

void uw_detector_push(struct uw_detector *detector, const void *samples, size_t n) {
    uw_front_push(detector->front, samples, n);
}

void uw_detector_gap(struct uw_detector *detector, uint64_t n_lost) {
    uw_front_gap(detector->front, n_lost);
    uw_links_gap(detector->links, uw_front_samples(detector->front), n_lost, 0.0);
}

void uw_detector_torn(struct uw_detector *detector) {
    uw_links_torn(detector->links, uw_front_samples(detector->front));
}

int uw_detector_retune(struct uw_detector *detector, double freq_hz, uint64_t n_lost) {
    double shift = freq_hz - detector->config.freq_hz;

    if (!isfinite(shift) || detector->config.n_centres < 2)
        return uw_err(-EINVAL);
    if (shift == 0.0) {
        uw_detector_gap(detector, n_lost);
        return 0;
    }
    uw_front_retune(detector->front, freq_hz, n_lost);
    for (size_t i = 0; i < N_MATCHERS; ++i) {
        if (detector->plugged[i].state && detector->plugged[i].ops->leave)
            detector->plugged[i].ops->leave(detector->plugged[i].state);
    }
    detector->config.freq_hz = freq_hz;
    uw_links_gap(detector->links, uw_front_samples(detector->front), n_lost, shift);
    for (size_t i = 0; i < N_MATCHERS; ++i) {
        if (detector->plugged[i].state && detector->plugged[i].ops->retune)
            detector->plugged[i].ops->retune(detector->plugged[i].state, shift);
    }
    return 0;
}

void uw_detector_flush(struct uw_detector *detector) {
    uw_front_flush(detector->front);
    for (size_t i = 0; i < N_MATCHERS; ++i) {
        if (detector->plugged[i].state && detector->plugged[i].ops->flush)
            detector->plugged[i].ops->flush(detector->plugged[i].state);
    }
    uw_links_flush(detector->links);
    give(detector, detector->n_held);
    announce(detector, uw_front_samples(detector->front));
}

bool uw_detector_can_sweep(const struct uw_detector_config *config) {
    return uw_sweep_is_possible(config);
}

const struct uw_front *uw_detector_front(const struct uw_detector *detector) {
    return detector->front;
}
