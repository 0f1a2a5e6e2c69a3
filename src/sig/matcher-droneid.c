/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * DJI DroneID
 *
 * A burst of the front end says where to look: which times, and between which centres a signal of 9
 * MHz could lie that gave such edges. That piece is cut out, a little longer, once for every 1.5
 * MHz of possible centres, and searched for the two Zadoff-Chu symbols (uw/dsp/zc.h), which give
 * start, centre and layout by themselves. Bursts that are merged with others are found the same
 * way; long ones are searched in windows that overlap by more than a DroneID.
 *
 * One burst is proof enough for an alert: the false-alarm rate PFA of one search is set so low that
 * a thousand searches a second make one in a hundred years.
 */

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "matcher-droneid-watch.h"
#include "matcher-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/zc.h"

#define PFA             3e-13
#define HALF_BAND_HZ    4.5e6
#define WIDTH_MIN_HZ    3e6   /* of a burst: less is no part of a DroneID that stands out */
#define CENTRE_SLACK_HZ 500e3 /* of the burst's edges */
#define CENTRE_STEP_HZ  1.5e6
#define CUT_BAND_HZ     11e6
#define CUT_RATE_HZ     15.36e6
#define CUT_RATE_MAX_HZ 20e6 /* the front end's next rate above lies below this */
#define WINDOW_S        2e-3
#define OVERLAP_S       750e-6
#define PAD_S           100e-6 /* of a burst's edges, which are as sharp as a frame is short */
#define AIRTIME_S       660e-6
#define SAME_S          150e-6 /* two hits so near in time ... */
#define SAME_HZ         9e6    /* ... and frequency are one burst */
#define GHOST_SCORE_MAX 0.8    /* theirs is below */
#define RASTER_HZ       350e3  /* 60 ppm at 5.8 GHz */
#define LLR_MAX         40.0
#define AIRTIME_ERROR_S 10e-6

enum { N_RECENT = 32, N_HITS = 32, N_EMITTERS = 8 };

struct found {
    double start, stop; /* samples */
    double freq_hz;
    struct uw_zc_hit hit;
    uint64_t emitter;
};

struct droneid {
    struct uw_matcher_env env;
    const struct uw_signature *signature;
    const char *variant[3]; /* by enum uw_zc_layout */
    struct uw_zc *zc;
    struct uw_droneid_watch *watch;
    double max_rate_hz;
    size_t max_samples;
    float complex *samples;
    size_t n_hits;
    struct found hits[N_HITS]; /* of the window that is being searched, in the order of start */
    size_t n_recent;           /* ever */
    struct found recent[N_RECENT];
};

static void droneid_free(void *matcher) {
    struct droneid *d = matcher;

    if (!d)
        return;
    uw_zc_free(d->zc);
    uw_droneid_watch_free(d->watch);
    free(d->samples);
    free(d);
}

static void droneid_freep(struct droneid **d) {
    droneid_free(*d);
}

static const char *variant_of(const struct uw_signature *signature, double airtime_s) {
    for (int i = 0; i < signature->n_variants; ++i) {
        if (fabs(signature->variants[i].airtime_s - airtime_s) < AIRTIME_ERROR_S)
            return signature->variants[i].name;
    }
    return NULL;
}

static const struct uw_signature *find_signature(const struct uw_sigdb *db) {
    for (size_t i = 0; i < uw_sigdb_len(db); ++i) {
        const struct uw_signature *s = uw_sigdb_at(db, i);

        if (s->enabled && s->matcher == UW_SIG_MATCH_DRONEID)
            return s;
    }
    return NULL;
}

static int droneid_new(const struct uw_matcher_env *env, void **ret_matcher) {
    UW_CLEANUP(droneid_freep) struct droneid *d = calloc(1, sizeof(*d));
    const double rate_hz = env->config->rate_hz;

    if (!d)
        return uw_err(-ENOMEM);
    d->env = *env;
    d->signature = find_signature(env->config->db);
    /* a receiver that cannot hold the signal never sees one: the matcher stays idle */
    if (d->signature && rate_hz >= UW_ZC_RATE_MIN_HZ) {
        d->variant[UW_ZC_O2] = variant_of(d->signature, UW_ZC_BEFORE_O2_S + UW_ZC_AFTER_S);
        d->variant[UW_ZC_LEGACY] = variant_of(d->signature, UW_ZC_BEFORE_LEGACY_S + UW_ZC_AFTER_S);
        d->max_rate_hz = fmin(rate_hz, CUT_RATE_MAX_HZ);
        d->max_samples = (size_t)(WINDOW_S * d->max_rate_hz);
        d->samples = calloc(d->max_samples, sizeof(*d->samples));
        if (!d->samples)
            return uw_err(-ENOMEM);
        int r = uw_zc_new(d->max_rate_hz, d->max_samples, &d->zc);
        if (r == 0)
            r = uw_droneid_watch_new(env->front, rate_hz, &d->watch);
        if (r < 0)
            return r;
    }
    *ret_matcher = d;
    d = NULL;
    return 0;
}

static bool same_burst(const struct found *a, const struct found *b, double rate_hz) {
    return fabs(a->stop - b->stop) < SAME_S * rate_hz && fabs(a->freq_hz - b->freq_hz) < SAME_HZ;
}

/* Keeps the better one of two that are one burst, and the order of start. */
static void collect(struct droneid *d, const struct found *found) {
    const double rate_hz = d->env.config->rate_hz;
    size_t n = 0;

    for (size_t i = 0; i < d->n_hits; ++i) {
        if (same_burst(&d->hits[i], found, rate_hz)) {
            if (d->hits[i].hit.joint >= found->hit.joint)
                return;
        }
    }
    for (size_t i = 0; i < d->n_hits; ++i) {
        if (!same_burst(&d->hits[i], found, rate_hz))
            d->hits[n++] = d->hits[i];
    }
    if (n == N_HITS)
        return;
    size_t at = n;
    while (at > 0 && d->hits[at - 1].start > found->start)
        --at;
    memmove(d->hits + at + 1, d->hits + at, (n - at) * sizeof(*d->hits));
    d->hits[at] = *found;
    d->n_hits = n + 1;
}

/* One cut: times in samples, centre +- span. */
static void search_cut(struct droneid *d, uint64_t start, uint64_t stop, double centre_hz,
                       double span_hz) {
    const double rate_hz = d->env.config->rate_hz;
    const struct uw_zc_params params = {.span_hz = span_hz, .pfa = PFA};
    struct uw_zc_hit hits[8];
    double cut_start = 0, cut_hz = 0;
    const size_t n =
        uw_front_cut(d->env.front, start, stop, centre_hz, fmin(CUT_BAND_HZ, rate_hz),
                     fmin(CUT_RATE_HZ, rate_hz), d->samples, d->max_samples, &cut_start, &cut_hz);

    if (n == 0 || cut_hz < UW_ZC_RATE_MIN_HZ || cut_hz > d->max_rate_hz * (1 + 1e-9) ||
        uw_zc_set_rate(d->zc, cut_hz) != 0)
        return;
    const size_t n_hits = uw_zc_search(d->zc, &params, d->samples, n, hits, UW_ARRAY_SIZE(hits));
    for (size_t i = 0; i < n_hits; ++i) {
        const struct uw_zc_hit *h = &hits[i];
        const double core = cut_start + h->sample * rate_hz / cut_hz;
        /* the likelier layout, even where it is not decided */
        const double before = h->layout_llr < 0 ? UW_ZC_BEFORE_LEGACY_S : UW_ZC_BEFORE_O2_S;
        const struct found found = {
            .start = fmax(core - before * rate_hz, 0),
            .stop = core + UW_ZC_AFTER_S * rate_hz,
            .freq_hz = centre_hz + h->offset_hz,
            .hit = *h,
        };
        collect(d, &found);
    }
}

/* The lowest number that no burst at the same time has: two at once are two aircraft. */
static uint64_t choose_emitter(const struct droneid *d, const struct found *found) {
    bool taken[N_EMITTERS + 1] = {false};
    const size_t n = d->n_recent < N_RECENT ? d->n_recent : N_RECENT;

    for (size_t i = 0; i < n; ++i) {
        const struct found *r = &d->recent[i];

        if (r->start < found->stop && found->start < r->stop && r->emitter <= N_EMITTERS)
            taken[r->emitter] = true;
    }
    for (uint64_t e = 1; e < N_EMITTERS; ++e) {
        if (!taken[e])
            return e;
    }
    return N_EMITTERS;
}

/* The channel plan that the centre belongs to, if the receiver knows where it listens. */
static void name_domain(const struct droneid *d, struct uw_finding *finding) {
    const double freq_hz = d->env.config->freq_hz + finding->freq_hz;
    double best = RASTER_HZ;

    for (int i = 0; i < d->signature->n_domains; ++i) {
        const struct uw_sig_domain *domain = &d->signature->domains[i];

        for (int k = 0; k < domain->n_channels; ++k) {
            const double error_hz = freq_hz - domain->channel_hz[k];

            if (!(fabs(error_hz) < best))
                continue;
            best = fabs(error_hz);
            finding->domain = domain->name;
            finding->grid_error_hz = error_hz;
        }
    }
}

static void emit(struct droneid *d, struct found *found) {
    const struct uw_zc_hit *hit = &found->hit;
    const double llr = fmin(hit->llr, LLR_MAX), rate_hz = d->env.config->rate_hz;
    const double noise = uw_front_noise_density(d->env.front, found->freq_hz - HALF_BAND_HZ,
                                                found->freq_hz + HALF_BAND_HZ) *
                         UW_ZC_BAND_HZ;

    found->emitter = choose_emitter(d, found);
    d->recent[d->n_recent++ % N_RECENT] = *found;
    struct uw_finding finding = {
        .signature = d->signature,
        .emitter = found->emitter,
        .variant = d->variant[hit->layout],
        .freq_hz = found->freq_hz,
        .bandwidth_hz = 2 * HALF_BAND_HZ,
        /* against the floor; the correlation counts echoes as noise, but needs no floor */
        .snr_db = noise > 0 ? 10 * log10(fmax(hit->power, 1e-30) / noise) : hit->snr_db,
        .power_dbfs = 10 * log10(fmax(hit->power, 1e-30)),
        .llr = llr,
        .confidence = 1 / (1 + exp(-llr)),
        .start = (uint64_t)llround(found->start),
        .stop = (uint64_t)llround(found->stop),
        .bursts = 1,
        .dwells = -1,
        .channels = -1,
        .channels_visible = -1,
        .hop_interval_s = NAN,
        .period_s = NAN,
        .airtime_s = hit->layout == UW_ZC_UNDECIDED ? NAN : (found->stop - found->start) / rate_hz,
        .grid_error_hz = NAN,
        .offset_hz = NAN,
        .score = hit->score,
        .rule = "zadoff-chu",
        .alertable = true,
    };
    name_domain(d, &finding);
    d->env.emit(d->env.userdata, &finding);
}

static bool is_known(const struct droneid *d, const struct found *found) {
    const size_t n = d->n_recent < N_RECENT ? d->n_recent : N_RECENT;

    for (size_t i = 0; i < n; ++i) {
        if (same_burst(&d->recent[i], found, d->env.config->rate_hz))
            return true;
    }
    return false;
}

/*
 * The neighbourhood of a hit. A burst outside the centres that were searched shows ghosts inside,
 * carriers away where both roots nearly agree again (134 of them, and others when it is strong): of
 * everything at that time and within a signal's width the best one stays.
 */
static void search_ghosts(struct droneid *d, const struct found *hit) {
    const double margin = 2 * PAD_S * d->env.config->rate_hz;
    const uint64_t start = (uint64_t)fmax(hit->start - margin, 0);
    const uint64_t stop = (uint64_t)(hit->stop + margin);

    for (int k = 1; k * CENTRE_STEP_HZ < SAME_HZ; ++k) {
        search_cut(d, start, stop, hit->freq_hz - k * CENTRE_STEP_HZ, CENTRE_STEP_HZ / 2);
        search_cut(d, start, stop, hit->freq_hz + k * CENTRE_STEP_HZ, CENTRE_STEP_HZ / 2);
    }
}

/* All centres from lower to upper; whether there is a DroneID. */
static bool search_window(struct droneid *d, uint64_t start, uint64_t stop, double lower_hz,
                          double upper_hz) {
    const double n_steps = fmax(1, ceil((upper_hz - lower_hz) / CENTRE_STEP_HZ));
    const double step_hz = (upper_hz - lower_hz) / n_steps;
    struct found first[N_HITS];

    d->n_hits = 0;
    for (double i = 0; i < n_steps; ++i)
        search_cut(d, start, stop, lower_hz + (i + 0.5) * step_hz, step_hz / 2 + 30e3);
    const size_t n = d->n_hits;
    memcpy(first, d->hits, n * sizeof(*first));
    for (size_t i = 0; i < n; ++i) {
        if (first[i].hit.score < GHOST_SCORE_MAX && !is_known(d, &first[i]))
            search_ghosts(d, &first[i]);
    }
    for (size_t i = 0; i < d->n_hits; ++i) {
        if (!is_known(d, &d->hits[i]))
            emit(d, &d->hits[i]);
    }
    return d->n_hits > 0;
}

/* Any length of signal, in windows. */
static bool search_piece(struct droneid *d, uint64_t start, uint64_t stop, double lower_hz,
                         double upper_hz) {
    const double rate_hz = d->env.config->rate_hz;
    const double limit_hz = fmax(0, rate_hz / 2 - HALF_BAND_HZ);
    const uint64_t window = (uint64_t)(WINDOW_S * rate_hz);
    const uint64_t step = window - (uint64_t)(OVERLAP_S * rate_hz);
    bool any = false;

    lower_hz = fmax(lower_hz, -limit_hz);
    upper_hz = fmin(upper_hz, limit_hz);
    if (upper_hz < lower_hz)
        return false;
    for (;; start += step) {
        any |= search_window(d, start, start + window < stop ? start + window : stop, lower_hz,
                             upper_hz);
        if (start + window >= stop)
            return any;
    }
}

static bool droneid_burst(void *matcher, const struct uw_burst *burst) {
    struct droneid *d = matcher;

    if (!d->zc || burst->upper_hz - burst->lower_hz < WIDTH_MIN_HZ)
        return false;
    /* a burst wider than the signal may hold it anywhere, a narrower one is a part of it */
    const double rate_hz = d->env.config->rate_hz;
    const double a = burst->lower_hz + HALF_BAND_HZ, b = burst->upper_hz - HALF_BAND_HZ;
    const double length_s = (double)(burst->stop - burst->start) / rate_hz;
    const uint64_t pad = (uint64_t)((PAD_S + fmax(0, AIRTIME_S - length_s)) * rate_hz);

    return search_piece(d, burst->start > pad ? burst->start - pad : 0, burst->stop + pad,
                        fmin(a, b) - CENTRE_SLACK_HZ, fmax(a, b) + CENTRE_SLACK_HZ);
}

static void droneid_progress(void *matcher, uint64_t sample) {
    struct droneid *d = matcher;
    const uint64_t pad = (uint64_t)(2 * PAD_S * d->env.config->rate_hz);
    struct uw_droneid_suspect s;

    (void)sample;
    while (d->watch && uw_droneid_watch_next(d->watch, &s))
        (void)search_piece(d, s.start > pad ? s.start - pad : 0, s.stop + pad, s.lower_hz,
                           s.upper_hz);
}

const struct uw_matcher_ops uw_matcher_droneid = {
    .name = "droneid",
    .modulation = UW_SIG_OFDM_ZC,
    .new = droneid_new,
    .free = droneid_free,
    .burst = droneid_burst,
    .progress = droneid_progress,
};
