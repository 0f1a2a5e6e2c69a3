/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sample.h"

#include "uw/base/str.h"
#include "uw/base/util.h"

#define NS_2026       INT64_C(1795456956120000000) /* 2026-11-23T18:02:36.12Z */
#define SET(to, text) assert_copied(uw_str_copy((to), sizeof(to), (text)))

static void assert_copied(bool copied) {
    if (!copied)
        __builtin_trap();
}

static void head(struct uw_head *h, uint64_t seq, bool exercise) {
    SET(h->site, "arena");
    SET(h->node, "roof-1");
    SET(h->run, "20261123T180000Z");
    h->seq = seq;
    h->time_ns = NS_2026;
    h->exercise = exercise;
}

static void position(struct uw_position *p) {
    p->lat = 52.5145123;
    p->lon = -13.2394567;
    p->error_m = 150.0;
    SET(p->basis, "three receivers' powers");
}

static void tuning(struct uw_tuning *t) {
    t->centre_hz = 915e6;
    t->rate_hz = 2.4e6;
    t->gain_db = 33.8;
}

static void quality(struct uw_quality *q) {
    q->lost_samples = 0;
    q->clip_ratio = 0.00012;
    q->noise_dbfs = -41.237;
}

static void detection_minimal(union any_record *r) {
    struct uw_detection *d = &r->detection;

    uw_detection_init(d);
    head(&d->head, 1, false);
    SET(d->detection, "rx0-1");
    SET(d->receiver, "rx0");
    SET(d->signature, "lorawan");
    SET(d->family, "lorawan");
    d->role = UW_ROLE_BACKGROUND;
    d->drone = false;
    d->t_start_ns = NS_2026 - 61700000;
    d->t_end_ns = NS_2026;
}

static void detection_offset(union any_record *r) {
    struct uw_detection *d = &r->detection;

    detection_minimal(r);
    d->freq_hz = -312500.04;
    d->bandwidth_hz = 125e3;
    d->tuning.rate_hz = 1e6;
}

static void detection_full(union any_record *r) {
    struct uw_detection *d = &r->detection;

    uw_detection_init(d);
    head(&d->head, 4711, true);
    SET(d->detection, "rx0-4711");
    SET(d->receiver, "rx0");
    SET(d->emitter, "rx0-e3");
    SET(d->signature, "expresslrs-900");
    SET(d->family, "expresslrs");
    d->role = UW_ROLE_CONTROL;
    d->drone = true;
    SET(d->variant, "200Hz");
    SET(d->domain, "FCC915");
    d->freq_hz = 915.5e6;
    d->bandwidth_hz = 500e3;
    d->snr_db = -3.456;
    d->power_dbfs = -38.1;
    d->llr = 7.1254;
    d->confidence = 0.99871;
    d->t_start_ns = NS_2026 - 200000000;
    d->t_end_ns = NS_2026;
    d->evidence = (struct uw_evidence){
        .bursts = 40,
        .dwells = 10,
        .channels = 4,
        .channels_visible = 4,
        .hop_interval_s = 0.02,
        .period_s = 0.005,
        .airtime_s = 0.004416,
        .channel_spacing_hz = 433333.25,
        .grid_error_hz = 812.5,
        .offset_hz = -4575.0,
        .score = 0.43,
    };
    SET(d->evidence.rule, "period+dwell+grid");
    tuning(&d->tuning);
    quality(&d->quality);
    SET(d->source, "remote-id");
    position(&d->position);
    d->bearing_deg = 271.5;
    d->bearing_error_deg = 12.25;
    SET(d->claimed_id, "1596F0123456789");
}

static void track_minimal(union any_record *r) {
    struct uw_track *t = &r->track;

    uw_track_init(t);
    head(&t->head, 1, false);
    SET(t->track, "t1");
    SET(t->family, "dji-droneid");
    SET(t->signature, "dji-droneid");
    t->drone = true;
    t->role = UW_ROLE_REMOTE_ID;
    t->first_seen_ns = NS_2026 - 1000000000;
    t->last_seen_ns = NS_2026;
}

static void track_full(union any_record *r) {
    struct uw_track *t = &r->track;

    track_minimal(r);
    head(&t->head, 37, true);
    SET(t->track, "t12");
    t->state = UW_TRACK_CONFIRMED;
    SET(t->family, "expresslrs");
    SET(t->signature, "expresslrs-900");
    SET(t->variant, "200Hz");
    SET(t->domain, "FCC915");
    t->role = UW_ROLE_CONTROL;
    t->confidence = 0.9999;
    t->llr = 31.25;
    t->freq_hz = 915.5e6;
    t->n_receivers = 2;
    SET(t->receivers[0], "rx0");
    SET(t->receivers[1], "rx1");
    position(&t->position);
    t->trend = UW_TREND_APPROACHING;
    t->authorised = true;
    SET(t->authorised_rule, "camera drone, match days");
}

static void alert_minimal(union any_record *r) {
    struct uw_alert *a = &r->alert;

    uw_alert_init(a);
    head(&a->head, 1, false);
    SET(a->alert, "a1");
    a->kind = UW_ALERT_COVERAGE;
    a->severity = UW_SEVERITY_WARNING;
    SET(a->headline, "Nothing is heard on 2.4 GHz");
}

static void alert_full(union any_record *r) {
    struct uw_alert *a = &r->alert;

    uw_alert_init(a);
    head(&a->head, 12, true);
    SET(a->alert, "a7");
    a->kind = UW_ALERT_UAS;
    a->event = UW_ALERT_ACKNOWLEDGED;
    a->state = UW_ALERT_ACKED;
    a->severity = UW_SEVERITY_CRITICAL;
    SET(a->track, "t12");
    SET(a->family, "expresslrs");
    SET(a->signature, "expresslrs-900");
    SET(a->variant, "200Hz");
    SET(a->domain, "FCC915");
    a->authorised = true;
    SET(a->authorised_rule, "camera drone, match days");
    a->confidence = 0.9999;
    SET(a->headline, "Drone control link: ExpressLRS 200Hz (FCC915)");
    SET(a->reason, "period, dwell and grid fit on 10 dwells and 4 channels");
    SET(a->advice, "Look for a drone. Ask the \"drone desk\" \xe2\x80\x93 extension 12.");
    SET(a->zone, "north stand");
    a->first_seen_ns = NS_2026 - INT64_C(12000000000);
    a->last_seen_ns = NS_2026;
    SET(a->ack_by, "j.doe");
    a->ack_at_ns = NS_2026 - 500000;
    SET(a->ack_note, "seen from gate B\nsmall, white");
}

static void alert_receiver(union any_record *r) {
    alert_minimal(r);
    r->alert.kind = UW_ALERT_RECEIVER;
    SET(r->alert.receiver, "rx1");
    r->alert.problem = UW_RX_PROBLEM_ABSENT;
}

static void alert_coverage(union any_record *r) {
    alert_minimal(r);
    r->alert.kind = UW_ALERT_COVERAGE;
    SET(r->alert.band, "FCC915 903.5-926.9 MHz");
}

static void alert_system(union any_record *r) {
    alert_minimal(r);
    r->alert.kind = UW_ALERT_SYSTEM;
    SET(r->alert.part, "disk");
}

static void health_minimal(union any_record *r) {
    uw_health_init(&r->health);
    head(&r->health.head, 1, false);
}

static void health_full(union any_record *r) {
    struct uw_health *h = &r->health;

    uw_health_init(h);
    head(&h->head, 60, false);
    h->n_receivers = 2;
    SET(h->receivers[0].receiver, "rx0");
    h->receivers[0].freq_hz = 915e6;
    h->receivers[0].rate_hz = 2.4e6;
    h->receivers[0].gain_db = 33.8;
    h->receivers[0].lost_samples = 262144;
    h->receivers[0].dropped_samples = 131072;
    h->receivers[0].discarded_samples = 65536;
    h->receivers[0].reopened = 1;
    h->receivers[0].queue_blocks = 2;
    h->receivers[0].drift_ppm = -1.25;
    h->receivers[0].clip_ratio = 0.0001;
    h->receivers[0].noise_dbfs = -41.24;
    h->receivers[0].last_sample_age_s = 0.05;
    SET(h->receivers[1].receiver, "rx1");
    h->receivers[1].state = UW_RX_LOST;
    h->receivers[1].problem = UW_RX_PROBLEM_ABSENT;
    h->receivers[1].since_ns = NS_2026 - INT64_C(3000000000);
    SET(h->receivers[1].advice, "Check the USB cable.");
    h->n_blind = 1;
    SET(h->blind[0].band, "2400-2483.5 MHz");
    h->blind[0].since_ns = NS_2026 - INT64_C(3000000000);
    SET(h->blind[0].why, "rx1 is lost");
    h->queue_fusion = 3;
    h->queue_fusion_early = 0;
    h->queue_fusion_late = 1;
    h->queue_feed_dropped = 0;
    h->disk_free_bytes = INT64_C(32212254720);
    SET(h->previous_run, "20261122T090000Z");
    for (int i = 0; i < UW_MSG_PROGRESS; i++)
        h->previous_seq[i] = 100 + (uint64_t)i;
}

static void spectrum_minimal(union any_record *r) {
    uw_spectrum_init(&r->spectrum);
    head(&r->spectrum.head, 1, false);
    SET(r->spectrum.receiver, "rx0");
    r->spectrum.bins = 512;
}

static void spectrum_full(union any_record *r) {
    spectrum_minimal(r);
    head(&r->spectrum.head, 9, true);
    r->spectrum.freq_hz = 915e6;
    r->spectrum.rate_hz = 2.4e6;
    r->spectrum.span_s = 0.1;
}

static void audit_minimal(union any_record *r) {
    uw_audit_init(&r->audit);
    head(&r->audit.head, 1, false);
    SET(r->audit.actor, "system");
    SET(r->audit.action, "start");
}

static void audit_full(union any_record *r) {
    uw_audit_init(&r->audit);
    head(&r->audit.head, 2, true);
    SET(r->audit.actor, "j.doe");
    SET(r->audit.action, "acknowledge");
    SET(r->audit.object, "a7");
    SET(r->audit.detail, "seen from gate B");
}

static void progress_minimal(union any_record *r) {
    uw_progress_init(&r->progress);
    SET(r->progress.receiver, "rx0");
    r->progress.time_ns = NS_2026;
}

static void progress_full(union any_record *r) {
    progress_minimal(r);
    r->progress.number = 17;
    tuning(&r->progress.tuning);
    quality(&r->progress.quality);
    r->progress.samples = 2400000;
    r->progress.end = true;
    r->progress.failed = true;
}

const struct sample samples[] = {
    {"detection", UW_MSG_DETECTION, detection_full},
    {"detection-minimal", UW_MSG_DETECTION, detection_minimal},
    {"detection-offset", UW_MSG_DETECTION, detection_offset},
    {"track", UW_MSG_TRACK, track_full},
    {"track-minimal", UW_MSG_TRACK, track_minimal},
    {"alert", UW_MSG_ALERT, alert_full},
    {"alert-minimal", UW_MSG_ALERT, alert_minimal},
    {"alert-receiver", UW_MSG_ALERT, alert_receiver},
    {"alert-coverage", UW_MSG_ALERT, alert_coverage},
    {"alert-system", UW_MSG_ALERT, alert_system},
    {"health", UW_MSG_HEALTH, health_full},
    {"health-minimal", UW_MSG_HEALTH, health_minimal},
    {"spectrum", UW_MSG_SPECTRUM, spectrum_full},
    {"spectrum-minimal", UW_MSG_SPECTRUM, spectrum_minimal},
    {"audit", UW_MSG_AUDIT, audit_full},
    {"audit-minimal", UW_MSG_AUDIT, audit_minimal},
    {"progress", UW_MSG_PROGRESS, progress_full},
    {"progress-minimal", UW_MSG_PROGRESS, progress_minimal},
};
const size_t n_samples = UW_ARRAY_SIZE(samples);
