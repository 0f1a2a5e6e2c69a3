/* SPDX-License-Identifier: GPL-3.0-or-later */

#undef NDEBUG

#include "field.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rx-impl.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/time.h"
#include "uw/sig/detector.h"

#define BLOCK       65536
#define HELD_MAX    1024
#define HEARD_MAX   256
#define LATEST_MAX  256
#define NEAR_S      0.03 /* "uaswatch score" asks for the same nearness */
#define NEAR_HZ     10e3
#define NEAR_WIDTHS 0.25
#define IN_BAND     0.02 /* a strong link is heard by its skirts */

/* The latest finding of an emitter that is a hopping link. */
struct latest {
    uint64_t emitter;
    int64_t next; /* number of packets at which it is sampled again */
    struct uw_link_seen seen;
};

/* Detections are held, in the order of their ends, until nothing earlier can come: what the engine
 * does for many receivers. */
struct listener {
    struct field *field;
    struct uw_rx_report report;
    double rate_hz;
    size_t n_held;
    struct uw_detection held[HELD_MAX];
    size_t n_heard;
    struct field_heard heard[HEARD_MAX]; /* a ring */
    size_t n_latest;
    struct latest latest[LATEST_MAX]; /* a ring */
};

static double seconds_of(int64_t time_ns) {
    return (double)time_ns * 1e-9;
}

/* The emitter whose burst was on the air there and then, or only then (`anywhere`), and ended
 * nearest; -1: nobody. */
static int who(const struct field_truth *truth, double time_s, double freq_hz, bool anywhere) {
    double best_s = NEAR_S;
    size_t low = 0, high = truth->n;
    int found = -1;

    while (low < high) { /* the first that may still be on */
        size_t middle = (low + high) / 2;
        bool over = truth->bursts[middle].start_s + truth->longest_s < time_s - NEAR_S;

        low = over ? middle + 1 : low;
        high = over ? high : middle;
    }
    for (; low < truth->n && truth->bursts[low].start_s < time_s + NEAR_S; ++low) {
        const struct field_burst *b = &truth->bursts[low];
        double near_hz = NEAR_HZ + NEAR_WIDTHS * (b->high_hz - b->low_hz);
        double off_hz = fabs(0.5 * (b->low_hz + b->high_hz) - freq_hz);

        if ((!anywhere && off_hz > near_hz) || fabs(b->stop_s - time_s) >= best_s)
            continue;
        best_s = fabs(b->stop_s - time_s);
        found = b->emitter;
    }
    return found;
}

static void vote(struct field_track *track, const struct field_truth *truth,
                 const struct uw_track *t) {
    double time_s = seconds_of(t->last_seen_ns);
    int there, then;

    if (!truth || t->last_seen_ns == track->last_seen_ns)
        return;
    track->last_seen_ns = t->last_seen_ns;
    there = who(truth, time_s, t->freq_hz, false);
    then = who(truth, time_s, t->freq_hz, true);
    if (there >= 0)
        ++track->votes[there];
    else if (then >= 0)
        ++track->aside[then];
    else
        ++track->strangers;
}

static void on_track(void *userdata, const struct uw_track *t) {
    struct field_setting *s = userdata;
    struct field_track *track = NULL;

    if (!t->drone || t->role == UW_ROLE_BACKGROUND)
        return;
    for (uint64_t i = 0; i < s->n_tracks && i < FIELD_LIST_MAX && !track; ++i)
        if (strcmp(s->tracks[i].track, t->track) == 0)
            track = &s->tracks[i];
    if (!track) {
        if (s->n_tracks++ >= FIELD_LIST_MAX)
            return;
        track = &s->tracks[s->n_tracks - 1];
        *track = (struct field_track){.last_seen_ns = UW_TIME_NONE};
        uw_str_copy(track->track, sizeof(track->track), t->track);
        track->first_s = seconds_of(t->head.time_ns);
        track->confidence = track->llr = -INFINITY;
    }
    uw_str_copy(track->family, sizeof(track->family), t->family);
    track->confidence = fmax(track->confidence, t->confidence);
    track->llr = fmax(track->llr, t->llr);
    track->confirmed |= t->state == UW_TRACK_CONFIRMED;
    vote(track, s->truth, t);
}

static void on_alert(void *userdata, const struct uw_alert *a) {
    struct field_setting *s = userdata;
    struct field_alert *alert;

    if (a->kind != UW_ALERT_UAS || a->event != UW_ALERT_RAISED)
        return;
    if (s->n_alerts++ >= FIELD_LIST_MAX)
        return;
    alert = &s->alerts[s->n_alerts - 1];
    alert->time_s = seconds_of(a->head.time_ns);
    alert->confidence = a->confidence;
    alert->llr = alert->snr_db = alert->age_s = NAN;
    if (s->now) {
        alert->evidence = s->now->evidence;
        alert->snr_db = s->now->snr_db;
        alert->heard = *s->heard;
    }
    for (uint64_t i = 0; i < s->n_tracks && i < FIELD_LIST_MAX; ++i) {
        if (strcmp(s->tracks[i].track, a->track) != 0)
            continue;
        alert->llr = s->tracks[i].llr;
        alert->age_s = alert->time_s - s->tracks[i].first_s;
    }
    uw_str_copy(alert->track, sizeof(alert->track), a->track);
    uw_str_copy(alert->family, sizeof(alert->family), a->family);
    uw_str_copy(alert->variant, sizeof(alert->variant), a->variant);
    uw_str_copy(alert->domain, sizeof(alert->domain), a->domain);
}

static void take_sample(struct field *field, const struct field_sample *sample,
                        const struct uw_link_seen *seen) {
    struct field_sample *s = &field->samples[field->n_samples];

    if (field->n_samples == FIELD_LIST_MAX)
        return;
    ++field->n_samples;
    *s = *sample;
    uw_link_features(seen, s->x);
    s->ruled = seen->ruled;
}

/* A detection is made of the emitter's latest finding, which has as many packets. */
static void sample_alerts(struct listener *l, const struct uw_detection *d, int setting,
                          uint64_t n_before) {
    const struct field_setting *s = &l->field->settings[setting];
    size_t n = l->n_latest < LATEST_MAX ? l->n_latest : LATEST_MAX;
    char name[UW_ID_LEN];

    if (s->n_alerts == n_before || n_before >= FIELD_LIST_MAX)
        return;
    for (size_t i = 0; i < n; ++i) {
        const struct latest *e = &l->latest[i];
        struct field_sample sample = {.setting = setting,
                                      .time_s = s->alerts[n_before].time_s,
                                      .confidence = s->alerts[n_before].confidence};

        (void)snprintf(name, sizeof(name), "rx-e%llu", (unsigned long long)e->emitter);
        if (strcmp(name, d->emitter) != 0)
            continue;
        (void)uw_str_copy(sample.family, sizeof(sample.family), d->family);
        (void)uw_str_copy(sample.heard.emitter, sizeof(sample.heard.emitter), name);
        take_sample(l->field, &sample, &e->seen);
    }
}

static const struct field_heard *hear(struct listener *l, const struct uw_detection *d) {
    size_t n = l->n_heard < HEARD_MAX ? l->n_heard : HEARD_MAX;
    struct field_heard *h = NULL;

    for (size_t i = 0; i < n && !h; ++i)
        if (strcmp(l->heard[i].emitter, d->emitter) == 0)
            h = &l->heard[i];
    if (!h) {
        h = &l->heard[l->n_heard++ % HEARD_MAX];
        *h = (struct field_heard){.there = 0};
        (void)uw_str_copy(h->emitter, sizeof(h->emitter), d->emitter);
    }
    int64_t more = d->evidence.bursts > h->bursts ? d->evidence.bursts - h->bursts : 1;
    h->bursts = d->evidence.bursts;
    if (!l->field->truth)
        return h;
    if (who(l->field->truth, seconds_of(d->t_end_ns), d->freq_hz, false) >= 0)
        h->there += more;
    else if (who(l->field->truth, seconds_of(d->t_end_ns), d->freq_hz, true) >= 0)
        h->aside += more;
    else
        h->none += more;
    return h;
}

static void give(struct listener *l, int64_t before_ns) {
    size_t n = 0;

    for (; n < l->n_held && l->held[n].t_end_ns < before_ns; ++n) {
        const struct field_heard *heard = hear(l, &l->held[n]);

        for (int i = 0; i < l->field->n_settings; ++i) {
            struct field_setting *s = &l->field->settings[i];

            uint64_t n_alerts = s->n_alerts;

            s->now = &l->held[n];
            s->heard = heard;
            assert(uw_fuse_detection(s->fuse, &l->held[n]) == 0);
            s->now = NULL;
            sample_alerts(l, &l->held[n], i, n_alerts);
        }
    }
    l->n_held -= n;
    memmove(l->held, l->held + n, l->n_held * sizeof(l->held[0]));
}

static void on_detection(void *userdata, const struct uw_detection *d) {
    struct listener *l = userdata;
    size_t i;

    assert(l->n_held < HELD_MAX);
    for (i = l->n_held; i > 0 && l->held[i - 1].t_end_ns > d->t_end_ns; --i)
        l->held[i] = l->held[i - 1];
    l->held[i] = *d;
    ++l->n_held;
}

static void follow(struct listener *l, const struct uw_finding *f) {
    size_t n = l->n_latest < LATEST_MAX ? l->n_latest : LATEST_MAX;
    struct latest *e = NULL;

    for (size_t i = 0; i < n && !e; ++i)
        if (l->latest[i].emitter == f->emitter)
            e = &l->latest[i];
    if (!e) {
        e = &l->latest[l->n_latest++ % LATEST_MAX];
        *e = (struct latest){.emitter = f->emitter};
    }
    e->seen = f->seen;
    if (f->seen.packets < e->next)
        return;
    struct field_sample sample = {
        .setting = -1, .time_s = (double)f->stop / l->rate_hz, .confidence = f->confidence};

    e->next = 2 * f->seen.packets;
    (void)snprintf(sample.heard.emitter, sizeof(sample.heard.emitter), "rx-e%llu",
                   (unsigned long long)f->emitter);
    (void)uw_str_copy(sample.family, sizeof(sample.family), f->signature->family);
    take_sample(l->field, &sample, &f->seen);
}

static void on_finding(void *userdata, const struct uw_finding *f) {
    static const struct uw_quality quality = {.noise_dbfs = NAN};
    struct listener *l = userdata;

    if (f->seen.packets > 0)
        follow(l, f);
    uw_rx_report_finding(&l->report, f, &quality);
}

static void on_progress(void *userdata, uint64_t sample) {
    struct listener *l = userdata;
    uint64_t sure = uw_rx_report_progress(&l->report, sample);
    int64_t time_ns = uw_time_of_sample(0, sure, l->rate_hz);

    give(l, time_ns);
    for (int i = 0; i < l->field->n_settings; ++i)
        assert(uw_fuse_advance(l->field->settings[i].fuse, time_ns) == 0);
}

static struct listener *listener_new(const struct uw_synth_receiver *rx, struct field *field) {
    static const struct uw_head head = {.site = "site", .node = "node", .run = "run"};
    static const struct uw_fuse_ops ops = {.track = on_track, .alert = on_alert};
    struct listener *l = calloc(1, sizeof(*l));

    assert(l);
    l->field = field;
    field->n_samples = 0;
    l->rate_hz = rx->rate_hz;
    l->report.tuning = (struct uw_tuning){rx->freq_hz, rx->rate_hz, NAN};
    l->report.send = on_detection;
    l->report.userdata = l;
    assert(uw_rx_report_name(&l->report, &head, "rx") == 0);
    for (int i = 0; i < field->n_settings; ++i) {
        struct field_setting *s = &field->settings[i];
        struct uw_fuse_config config;

        uw_fuse_config_init(&config);
        config.false_alerts_per_hour = s->false_alerts_per_hour;
        s->n_alerts = s->n_tracks = 0;
        s->truth = field->truth;
        assert(uw_fuse_new(&config, &ops, s, &s->fuse) == 0);
    }
    return l;
}

/* What has been heard of an alert's emitter since: one packet of noise among those that raised it
 * does not make it wrong. */
static void update_heard(const struct listener *l, struct field_heard *heard) {
    size_t n = l->n_heard < HEARD_MAX ? l->n_heard : HEARD_MAX;

    for (size_t k = 0; k < n; ++k)
        if (strcmp(l->heard[k].emitter, heard->emitter) == 0)
            *heard = l->heard[k];
}

static void listener_end(struct listener *l) {
    uw_rx_report_flush(&l->report);
    give(l, INT64_MAX);
    for (size_t i = 0; i < l->field->n_samples; ++i)
        update_heard(l, &l->field->samples[i].heard);
    for (int i = 0; i < l->field->n_settings; ++i) {
        struct field_setting *s = &l->field->settings[i];

        for (uint64_t k = 0; k < s->n_alerts && k < FIELD_LIST_MAX; ++k)
            update_heard(l, &s->alerts[k].heard);
        assert(uw_fuse_finish(s->fuse, true) == 0);
        s->fuse = uw_fuse_free(s->fuse);
    }
    free(l);
}

static bool was_there(const struct field_heard *heard) {
    return heard->there > 0 && 2 * heard->there >= heard->aside + heard->none;
}

bool field_is_right(const struct field_alert *a, const char *family, double start_s) {
    return family && strcmp(a->family, family) == 0 && a->time_s >= start_s && was_there(&a->heard);
}

bool field_sample_is_right(const struct field_sample *s, const char *family, double start_s) {
    return family && strcmp(s->family, family) == 0 && s->time_s >= start_s && was_there(&s->heard);
}

/* The alert that the run was for. */
static bool is_over(const struct field *field) {
    const struct field_setting *s = &field->settings[0];

    for (uint64_t i = 0; field->stop_family && i < s->n_alerts && i < FIELD_LIST_MAX; ++i)
        if (field_is_right(&s->alerts[i], field->stop_family, field->stop_from_s))
            return true;
    return false;
}

/* Sample of the file before which the loss i lies. */
static double loss_place(const struct uw_synth_receiver *rx, int i) {
    double place = floor(rx->losses[i].at_s * rx->rate_hz);

    for (int k = 0; k < i; ++k)
        place -= (double)rx->losses[k].samples;
    return place;
}

/* `count` samples, the first of which is number n of the file, and what was lost among them. */
static void push(struct uw_detector *detector, const struct uw_synth_receiver *rx, bool tells,
                 uint64_t n, const void *block, size_t count) {
    const char *bytes = block;
    size_t size = uw_iq_format_size(rx->format), done = 0;

    for (int i = 0; tells && i < rx->n_losses; ++i) {
        double place = loss_place(rx, i) - (double)n;

        if (place < 0 || place >= (double)count)
            continue;
        uw_detector_push(detector, bytes + done * size, (size_t)place - done);
        uw_detector_gap(detector, rx->losses[i].samples);
        done = (size_t)place;
    }
    uw_detector_push(detector, bytes + done * size, count - done);
}

void field_run(const struct uw_scenario *scenario, int receiver, const struct uw_sigdb *db,
               struct field *field) {
    static const struct uw_detector_ops ops = {.finding = on_finding, .progress = on_progress};
    const struct uw_synth_receiver *rx = &scenario->receivers[receiver];
    struct listener *l = listener_new(rx, field);
    struct uw_detector_config config = {.rate_hz = rx->rate_hz,
                                        .freq_hz = rx->freq_hz,
                                        .format = rx->format,
                                        .db = db,
                                        .below_noise = field->below_noise};
    struct uw_detector *detector = NULL;
    struct uw_synth *synth = NULL;
    static struct uw_diag diag;
    void *block = malloc(BLOCK * uw_iq_format_size(rx->format));
    size_t got = BLOCK;
    uint64_t n = 0;
    int r = uw_synth_new(scenario, receiver, &diag, &synth);

    uw_diag_print(&diag, stderr);
    assert(r == 0 && block);
    assert(uw_detector_new(&config, &ops, l, &detector) == 0);
    while (got == BLOCK && !is_over(field)) {
        assert(uw_synth_read(synth, block, BLOCK, &got) == 0);
        push(detector, rx, field->tells_losses, n, block, got);
        n += got;
    }
    uw_detector_flush(detector);
    listener_end(l);
    field->seconds = (double)n / rx->rate_hz;
    uw_detector_free(detector);
    uw_synth_free(synth);
    free(block);
}

struct collect {
    struct field_truth *truth;
    const struct uw_synth_receiver *rx;
    bool tells_losses;
};

/* Seconds as the receiver counts them at a sample of the file. */
static double time_at(const struct collect *c, double sample) {
    double lost = 0;

    for (int i = 0; c->tells_losses && i < c->rx->n_losses; ++i)
        if (sample >= loss_place(c->rx, i))
            lost += (double)c->rx->losses[i].samples;
    return (sample + lost) / c->rx->rate_hz;
}

static bool on_burst(const struct uw_synth_burst *b, void *userdata) {
    struct collect *c = userdata;
    struct field_truth *t = c->truth;

    if (b->in_band < IN_BAND)
        return true;
    assert(b->emitter < FIELD_EMITTERS_MAX);
    if (t->n == t->room) {
        t->room = 2 * t->room + 64;
        t->bursts = realloc(t->bursts, t->room * sizeof(*t->bursts));
        assert(t->bursts);
    }
    double start_s = time_at(c, b->start), stop_s = time_at(c, b->start + b->count);
    t->longest_s = fmax(t->longest_s, stop_s - start_s);
    t->bursts[t->n++] = (struct field_burst){.start_s = start_s,
                                             .stop_s = stop_s,
                                             .low_hz = b->lower_hz,
                                             .high_hz = b->upper_hz,
                                             .emitter = b->emitter};
    return true;
}

void field_truth_of(const struct uw_scenario *scenario, int receiver, bool tells_losses,
                    struct field_truth *ret) {
    struct collect c = {ret, &scenario->receivers[receiver], tells_losses};

    *ret = (struct field_truth){.n = 0};
    assert(uw_synth_truth(scenario, receiver, NULL, on_burst, &c) == 0);
}

void field_truth_free(struct field_truth *truth) {
    free(truth->bursts);
    *truth = (struct field_truth){.n = 0};
}
