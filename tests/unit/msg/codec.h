/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_TEST_CODEC_H
#define UW_TEST_CODEC_H

/* The encoder and the decoder of any type through one door. */

#include "sample.h"
#include "uw/msg/json.h"

static inline int any_encode(enum uw_msg_type type, const union any_record *r, char **ret) {
    switch (type) {
    case UW_MSG_DETECTION:
        return uw_detection_encode(&r->detection, ret);
    case UW_MSG_TRACK:
        return uw_track_encode(&r->track, ret);
    case UW_MSG_ALERT:
        return uw_alert_encode(&r->alert, ret);
    case UW_MSG_HEALTH:
        return uw_health_encode(&r->health, ret);
    case UW_MSG_SPECTRUM:
        return uw_spectrum_encode(&r->spectrum, ret);
    case UW_MSG_AUDIT:
        return uw_audit_encode(&r->audit, ret);
    default:
        return uw_progress_encode(&r->progress, ret);
    }
}

static inline int any_decode(enum uw_msg_type type, const char *json, size_t len,
                             struct uw_diag *diag, union any_record *r) {
    switch (type) {
    case UW_MSG_DETECTION:
        return uw_detection_decode(json, len, diag, &r->detection);
    case UW_MSG_TRACK:
        return uw_track_decode(json, len, diag, &r->track);
    case UW_MSG_ALERT:
        return uw_alert_decode(json, len, diag, &r->alert);
    case UW_MSG_HEALTH:
        return uw_health_decode(json, len, diag, &r->health);
    case UW_MSG_SPECTRUM:
        return uw_spectrum_decode(json, len, diag, &r->spectrum);
    case UW_MSG_AUDIT:
        return uw_audit_decode(json, len, diag, &r->audit);
    default:
        return uw_progress_decode(json, len, diag, &r->progress);
    }
}

#endif
