/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "uw/msg/record.h"

#include <math.h>

#include "uw/base/time.h"

static void head_init(struct uw_head *head) {
    *head = (struct uw_head){.time_ns = UW_TIME_NONE};
}

static void position_init(struct uw_position *p) {
    *p = (struct uw_position){.lat = NAN, .lon = NAN, .error_m = NAN};
}

static void evidence_init(struct uw_evidence *e) {
    *e = (struct uw_evidence){
        .bursts = -1,
        .dwells = -1,
        .channels = -1,
        .channels_visible = -1,
        .hop_interval_s = NAN,
        .period_s = NAN,
        .airtime_s = NAN,
        .channel_spacing_hz = NAN,
        .grid_error_hz = NAN,
        .offset_hz = NAN,
        .score = NAN,
    };
}

static void tuning_init(struct uw_tuning *t) {
    *t = (struct uw_tuning){.centre_hz = NAN, .rate_hz = NAN, .gain_db = NAN};
}

static void quality_init(struct uw_quality *q) {
    *q = (struct uw_quality){.lost_samples = -1, .clip_ratio = NAN, .noise_dbfs = NAN};
}

void uw_detection_init(struct uw_detection *d) {
    *d = (struct uw_detection){
        .role = UW_ROLE_CONTROL,
        .freq_hz = NAN,
        .bandwidth_hz = NAN,
        .snr_db = NAN,
        .power_dbfs = NAN,
        .llr = NAN,
        .confidence = NAN,
        .t_start_ns = UW_TIME_NONE,
        .t_end_ns = UW_TIME_NONE,
        .bearing_deg = NAN,
        .bearing_error_deg = NAN,
    };
    head_init(&d->head);
    evidence_init(&d->evidence);
    tuning_init(&d->tuning);
    quality_init(&d->quality);
    position_init(&d->position);
}

void uw_track_init(struct uw_track *t) {
    *t = (struct uw_track){
        .state = UW_TRACK_TENTATIVE,
        .role = UW_ROLE_CONTROL,
        .confidence = NAN,
        .llr = NAN,
        .freq_hz = NAN,
        .first_seen_ns = UW_TIME_NONE,
        .last_seen_ns = UW_TIME_NONE,
        .trend = UW_TREND_UNKNOWN,
    };
    head_init(&t->head);
    position_init(&t->position);
}

void uw_alert_init(struct uw_alert *a) {
    *a = (struct uw_alert){
        .kind = UW_ALERT_UAS,
        .event = UW_ALERT_RAISED,
        .state = UW_ALERT_ACTIVE,
        .severity = UW_SEVERITY_INFO,
        .problem = UW_RX_PROBLEM_NONE,
        .confidence = NAN,
        .first_seen_ns = UW_TIME_NONE,
        .last_seen_ns = UW_TIME_NONE,
        .ack_at_ns = UW_TIME_NONE,
    };
    head_init(&a->head);
}

void uw_health_init(struct uw_health *h) {
    *h = (struct uw_health){
        .queue_fusion = -1,
        .queue_fusion_early = -1,
        .queue_fusion_late = -1,
        .queue_feed_dropped = -1,
        .disk_free_bytes = -1,
    };
    head_init(&h->head);
    for (int i = 0; i < UW_RX_MAX; i++)
        h->receivers[i] = (struct uw_health_receiver){
            .state = UW_RX_OK,
            .problem = UW_RX_PROBLEM_NONE,
            .since_ns = UW_TIME_NONE,
            .freq_hz = NAN,
            .rate_hz = NAN,
            .gain_db = NAN,
            .lost_samples = -1,
            .dropped_samples = -1,
            .discarded_samples = -1,
            .reopened = -1,
            .queue_blocks = -1,
            .clip_ratio = NAN,
            .noise_dbfs = NAN,
            .drift_ppm = NAN,
            .last_sample_age_s = NAN,
        };
    for (int i = 0; i < UW_BLIND_MAX; i++)
        h->blind[i] = (struct uw_health_blind){.since_ns = UW_TIME_NONE};
}

void uw_spectrum_init(struct uw_spectrum *s) {
    *s = (struct uw_spectrum){.freq_hz = NAN, .rate_hz = NAN, .bins = -1, .span_s = NAN};
    head_init(&s->head);
}

void uw_audit_init(struct uw_audit *a) {
    *a = (struct uw_audit){0};
    head_init(&a->head);
}

void uw_progress_init(struct uw_progress *p) {
    *p = (struct uw_progress){.time_ns = UW_TIME_NONE};
    tuning_init(&p->tuning);
    quality_init(&p->quality);
}
