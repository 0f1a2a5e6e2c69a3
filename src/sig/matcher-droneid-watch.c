/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Radiometer for DroneID
 *
 * A burst at -9 dB raises the power of its 9 MHz by an eighth for 643 us. That is lost in one cell
 * of the burst finder, but the sum over all its N = 5800 time-frequency cells has a standard
 * deviation of 1 / sqrt(N) = 1.3 %. So the powers of the spectra are summed over channels of 9
 * MHz, 1.5 MHz apart, and as many frames as a burst lasts, and compared with the slow mean of the
 * same channel, which starts at the noise floor and takes no more than a little from any frame. A
 * local maximum over SIGMAS is a suspect; what it is, the Zadoff-Chu search decides. A channel that
 * stays far off its mean has another gain now (or was silent): its mean starts anew, or it would
 * take as long as that lasted.
 *
 * What stands out further is a burst of the front end and no business of this file. A busy band has
 * suspects all the time; a budget per signal time (never a clock) keeps the cost bounded.
 */

#include "matcher-droneid-watch.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/err.h"

#define SEGMENT_HZ   1.5e6
#define CHANNEL_HZ   9e6
#define BURST_S      643e-6
#define SIGMAS       4.5
#define EXCESS_MAX   0.8  /* of power over the mean: -1 dB, which the burst finder sees */
#define CLIP_SIGMAS  5.0  /* of one frame, for the mean */
#define MEAN_S       0.1  /* time constant of the mean */
#define OFF          4.0  /* times the mean, or a part of it: not the same noise any more ... */
#define OFF_S        0.02 /* ... if it lasts */
#define PER_SEARCH_S 2e-3 /* budget: one suspect in so much time on average ... */
#define SAVED_MAX    16.0 /* ... of which so many may be saved up */
#define OVERLAP_LOSS 0.88 /* independent share of frames that overlap by a quarter */

enum { N_SEGMENTS = 64, N_RING = 32 };

struct uw_droneid_watch {
    struct uw_front *front;
    double rate_hz, segment_hz;
    size_t n_segments, n_span, n_frames; /* segments of a channel, frames of a burst */
    double cells;                        /* time-frequency cells of a channel in one frame */
    uint64_t next;                       /* sample to go on at */
    bool begun;                          /* the means are set */
    size_t n_ring;                       /* frames in a row */
    double ring[N_RING][N_SEGMENTS];
    double mean[N_SEGMENTS];
    size_t off[N_SEGMENTS]; /* frames in a row far off the mean */
    double saved;
    /* the highest of late */
    double best;
    size_t best_channel, best_age;
    uint64_t best_sample;
};

int uw_droneid_watch_new(struct uw_front *front, double rate_hz,
                         struct uw_droneid_watch **ret_watch) {
    struct uw_droneid_watch *w = calloc(1, sizeof(*w));

    if (!w)
        return uw_err(-ENOMEM);
    w->front = front;
    w->rate_hz = rate_hz;
    w->n_segments = (size_t)fmin(lround(rate_hz / SEGMENT_HZ), N_SEGMENTS);
    w->segment_hz = rate_hz / (double)w->n_segments;
    w->n_span = (size_t)fmax(1, lround(CHANNEL_HZ / w->segment_hz));
    w->n_frames = (size_t)fmax(1, lround(BURST_S * rate_hz / (double)uw_front_hop(front)));
    if (w->n_frames > N_RING)
        w->n_frames = N_RING;
    w->cells = (double)(uw_front_n_fft(front) * w->n_span) / (double)w->n_segments;
    w->saved = SAVED_MAX;
    *ret_watch = w;
    return 0;
}

struct uw_droneid_watch *uw_droneid_watch_free(struct uw_droneid_watch *watch) {
    free(watch);
    return NULL;
}

static size_t n_channels(const struct uw_droneid_watch *w) {
    return w->n_segments >= w->n_span ? w->n_segments - w->n_span + 1 : 0;
}

static double lower_edge(const struct uw_droneid_watch *w, size_t channel) {
    return (double)channel * w->segment_hz - w->rate_hz / 2;
}

static double channel_power(const struct uw_droneid_watch *w, const double *parts, size_t channel) {
    double sum = 0;

    for (size_t i = 0; i < w->n_span; ++i)
        sum += parts[channel + i];
    return sum;
}

/* False if there is no noise floor yet. */
static bool begin_channel(struct uw_droneid_watch *w, size_t channel) {
    const double width_hz = (double)w->n_span * w->segment_hz;
    const double lower_hz = lower_edge(w, channel);

    w->mean[channel] = width_hz * uw_front_noise_density(w->front, lower_hz, lower_hz + width_hz);
    w->off[channel] = 0;
    return w->mean[channel] > 0;
}

static void begin(struct uw_droneid_watch *w) {
    for (size_t c = 0; c < n_channels(w); ++c) {
        if (!begin_channel(w, c))
            return;
    }
    w->begun = true;
}

/* Deviations of the highest channel, over the last frames of the ring. */
static double look(const struct uw_droneid_watch *w, size_t *ret_channel) {
    const double scale = sqrt((double)w->n_frames * w->cells * OVERLAP_LOSS);
    double best = 0;

    for (size_t c = 0; c < n_channels(w); ++c) {
        double sum = 0;

        for (size_t i = 0; i < w->n_frames; ++i)
            sum += channel_power(w, w->ring[(w->n_ring - 1 - i) % N_RING], c);
        const double excess = sum / ((double)w->n_frames * w->mean[c]) - 1;
        if (excess * scale > best && excess < EXCESS_MAX) {
            best = excess * scale;
            *ret_channel = c;
        }
    }
    return best;
}

static void update_means(struct uw_droneid_watch *w, const double *parts) {
    const double share = (double)uw_front_hop(w->front) / (MEAN_S * w->rate_hz);
    const double limit = CLIP_SIGMAS / sqrt(w->cells);
    const size_t off_frames = (size_t)(OFF_S / MEAN_S / share);

    for (size_t c = 0; c < n_channels(w); ++c) {
        const double ratio = channel_power(w, parts, c) / w->mean[c];

        w->mean[c] *= 1 + share * fmax(-limit, fmin(limit, ratio - 1));
        w->off[c] = ratio > OFF || ratio < 1 / OFF ? w->off[c] + 1 : 0;
        if (w->off[c] > off_frames && !begin_channel(w, c))
            w->begun = false;
    }
}

static bool report(struct uw_droneid_watch *w, struct uw_droneid_suspect *ret) {
    const size_t n_fft = uw_front_n_fft(w->front), hop = uw_front_hop(w->front);
    const double centre_hz = lower_edge(w, w->best_channel) + (double)w->n_span * w->segment_hz / 2;

    w->best = 0;
    if (w->saved < 1)
        return false;
    w->saved -= 1;
    /* one segment either side, as noise may lift a neighbour of the true channel */
    *ret = (struct uw_droneid_suspect){
        .start = w->best_sample - (w->n_frames - 1) * hop,
        .stop = w->best_sample + n_fft,
        .lower_hz = centre_hz - 1.5 * w->segment_hz,
        .upper_hz = centre_hz + 1.5 * w->segment_hz,
    };
    return true;
}

bool uw_droneid_watch_next(struct uw_droneid_watch *w, struct uw_droneid_suspect *ret_suspect) {
    const size_t hop = uw_front_hop(w->front);

    if (!w->begun)
        begin(w);
    while (w->begun) {
        double *parts = w->ring[w->n_ring % N_RING];
        uint64_t sample = w->next;

        if (!uw_front_parts(w->front, &sample, w->n_segments, parts))
            return false;
        if (sample != w->next && w->n_ring > 0) {
            /* samples are missing */
            memcpy(w->ring[0], parts, sizeof(w->ring[0]));
            w->n_ring = 0;
            w->best = 0;
        }
        w->next = sample + hop;
        ++w->n_ring;
        w->saved = fmin(SAVED_MAX, w->saved + (double)hop / (PER_SEARCH_S * w->rate_hz));

        size_t channel = 0;
        const double height = w->n_ring >= w->n_frames ? look(w, &channel) : 0;
        update_means(w, w->ring[(w->n_ring - 1) % N_RING]);
        if (height > SIGMAS && height > w->best) {
            w->best = height;
            w->best_channel = channel;
            w->best_age = 0;
            w->best_sample = sample;
        } else if (w->best > 0 && ++w->best_age >= w->n_frames / 2 + 1 && report(w, ret_suspect)) {
            return true;
        }
    }
    return false;
}
