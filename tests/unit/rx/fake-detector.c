/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fake-detector.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "uw/dsp/front.h"
#include "uw/sig/detector.h"

_Atomic long fake_slow_ns;
_Atomic unsigned long fake_gaps;
_Atomic unsigned long fake_n_gaps;

struct uw_detector {
    struct uw_detector_ops ops;
    void *userdata;
    struct uw_front *front;
    size_t sample_size;
    double centre_hz;
    uint64_t position;
    uint64_t sum;
    int64_t bursts;
};

static struct uw_signature hopper = {
    .id = "fake-hopper", .family = "expresslrs", .role = UW_SIG_CONTROL, .drone = true};
static struct uw_signature beacon = {
    .id = "fake-beacon", .family = "dji-droneid", .role = UW_SIG_REMOTE_ID, .drone = true};

static void no_burst(void *userdata, const struct uw_burst *burst) {
    (void)userdata;
    (void)burst;
}

static void no_progress(void *userdata, uint64_t sample) {
    (void)userdata;
    (void)sample;
}

int uw_detector_new(const struct uw_detector_config *config, const struct uw_detector_ops *ops,
                    void *userdata, struct uw_detector **ret_detector) {
    static const struct uw_front_ops front_ops = {.burst = no_burst, .progress = no_progress};
    struct uw_detector *d = calloc(1, sizeof(*d));
    struct uw_front_config fc;
    int r;

    uw_front_config_init(&fc);
    fc.rate_hz = config->rate_hz;
    fc.format = config->format;
    r = uw_front_new(&fc, &front_ops, NULL, &d->front);
    if (r) {
        free(d);
        return r;
    }
    d->centre_hz = config->freq_hz;
    d->ops = *ops;
    d->userdata = userdata;
    d->sample_size = uw_iq_format_size(config->format);
    *ret_detector = d;
    return 0;
}

struct uw_detector *uw_detector_free(struct uw_detector *d) {
    if (d)
        uw_front_free(d->front);
    free(d);
    return NULL;
}

static void find(struct uw_detector *d, const struct uw_signature *s, uint64_t emitter,
                 uint64_t stop, uint64_t length) {
    struct uw_finding f = {
        .signature = s,
        .emitter = emitter,
        .centre_hz = d->centre_hz,
        .freq_hz = 1000,
        .bandwidth_hz = 500e3,
        .snr_db = 3,
        .power_dbfs = -30,
        .llr = (s == &beacon ? 4 : 1) + (double)(d->sum % 7),
        .confidence = 0.9,
        .start = stop - length,
        .stop = stop,
        .bursts = ++d->bursts,
        .dwells = s == &hopper ? d->bursts : -1,
        .channels = 2,
        .channels_visible = 3,
        .hop_interval_s = NAN,
        .period_s = NAN,
        .airtime_s = NAN,
        .grid_error_hz = NAN,
        .offset_hz = NAN,
        .score = NAN,
        .rule = "fake",
        .alertable = true,
    };

    d->ops.finding(d->userdata, &f);
}

static void at_boundary(struct uw_detector *d) {
    uint64_t period = d->position / FAKE_PERIOD;

    if (period % 40 == 0)
        for (uint64_t i = 4; i > 0; i--)
            find(d, &beacon, 2, d->position - i * 100, 50);
    find(d, &hopper, 1, d->position, FAKE_PERIOD / 2);
    if (period % 10 == 0)
        d->ops.progress(d->userdata, d->position);
}

void uw_detector_push(struct uw_detector *d, const void *samples, size_t n) {
    const unsigned char *p = samples;
    struct timespec t = {.tv_nsec = fake_slow_ns};

    if (t.tv_nsec)
        nanosleep(&t, NULL);
    while (n > 0) {
        size_t step = FAKE_PERIOD - d->position % FAKE_PERIOD;
        step = step < n ? step : n;
        uw_front_push(d->front, p, step);
        for (size_t i = 0; i < step * d->sample_size; i++)
            d->sum += p[i];
        p += step * d->sample_size;
        n -= step;
        d->position += step;
        if (d->position % FAKE_PERIOD == 0)
            at_boundary(d);
    }
}

void uw_detector_torn(struct uw_detector *detector) {
    (void)detector;
}

void uw_detector_gap(struct uw_detector *d, uint64_t n_lost) {
    fake_gaps += n_lost;
    fake_n_gaps++;
    uw_front_gap(d->front, n_lost);
    d->position += n_lost;
    if (d->position / (10 * FAKE_PERIOD) != (d->position - n_lost) / (10 * FAKE_PERIOD))
        d->ops.progress(d->userdata, d->position);
}

int uw_detector_retune(struct uw_detector *d, double freq_hz, uint64_t n_lost) {
    uw_detector_gap(d, n_lost);
    d->centre_hz = freq_hz;
    return 0;
}

void uw_detector_flush(struct uw_detector *d) {
    uw_front_flush(d->front);
    if (d->position)
        find(d, &hopper, 1, d->position, 1);
}

const struct uw_front *uw_detector_front(const struct uw_detector *d) {
    return d->front;
}

bool uw_detector_can_sweep(const struct uw_detector_config *config) {
    (void)config;
    return true;
}
