/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "uw/msg/json.h"

#include "field-impl.h"

const char *uw_msg_type_name(enum uw_msg_type type) {
    return uw_msg_words[type];
}

const char *uw_msg_schema(enum uw_msg_type type) {
    static const char *const schemas[UW_MSG_TYPE_N] = {
        [UW_MSG_DETECTION] = "detection/1.1", [UW_MSG_TRACK] = "track/1.0",
        [UW_MSG_ALERT] = "alert/1.1",         [UW_MSG_HEALTH] = "health/1.1",
        [UW_MSG_SPECTRUM] = "spectrum/1.0",   [UW_MSG_AUDIT] = "audit/1.0",
        [UW_MSG_PROGRESS] = "progress/1.0",
    };

    return schemas[type];
}

int uw_detection_encode(const struct uw_detection *d, char **ret_json) {
    return uw_record_encode(UW_MSG_DETECTION, d, ret_json);
}

int uw_track_encode(const struct uw_track *t, char **ret_json) {
    return uw_record_encode(UW_MSG_TRACK, t, ret_json);
}

int uw_alert_encode(const struct uw_alert *a, char **ret_json) {
    return uw_record_encode(UW_MSG_ALERT, a, ret_json);
}

int uw_health_encode(const struct uw_health *h, char **ret_json) {
    return uw_record_encode(UW_MSG_HEALTH, h, ret_json);
}

int uw_spectrum_encode(const struct uw_spectrum *s, char **ret_json) {
    return uw_record_encode(UW_MSG_SPECTRUM, s, ret_json);
}

int uw_audit_encode(const struct uw_audit *a, char **ret_json) {
    return uw_record_encode(UW_MSG_AUDIT, a, ret_json);
}

int uw_progress_encode(const struct uw_progress *p, char **ret_json) {
    return uw_record_encode(UW_MSG_PROGRESS, p, ret_json);
}

int uw_detection_decode(const char *json, size_t len, struct uw_diag *diag,
                        struct uw_detection *d) {
    return uw_record_decode(UW_MSG_DETECTION, json, len, diag, d);
}

int uw_track_decode(const char *json, size_t len, struct uw_diag *diag, struct uw_track *t) {
    return uw_record_decode(UW_MSG_TRACK, json, len, diag, t);
}

int uw_alert_decode(const char *json, size_t len, struct uw_diag *diag, struct uw_alert *a) {
    return uw_record_decode(UW_MSG_ALERT, json, len, diag, a);
}

int uw_health_decode(const char *json, size_t len, struct uw_diag *diag, struct uw_health *h) {
    return uw_record_decode(UW_MSG_HEALTH, json, len, diag, h);
}

int uw_spectrum_decode(const char *json, size_t len, struct uw_diag *diag, struct uw_spectrum *s) {
    return uw_record_decode(UW_MSG_SPECTRUM, json, len, diag, s);
}

int uw_audit_decode(const char *json, size_t len, struct uw_diag *diag, struct uw_audit *a) {
    return uw_record_decode(UW_MSG_AUDIT, json, len, diag, a);
}

int uw_progress_decode(const char *json, size_t len, struct uw_diag *diag, struct uw_progress *p) {
    return uw_record_decode(UW_MSG_PROGRESS, json, len, diag, p);
}
