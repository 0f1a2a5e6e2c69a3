/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What every message looks like. A change here goes with docs/schema/, docs/feed.md and
 * tests/data/golden/ in one commit; an addition raises the minor number in uw_msg_schema().
 */
#include "field-impl.h"

#include <jansson.h>
#include <math.h>

#include "uw/base/err.h"
#include "uw/base/util.h"

#define COUNT_MAX 9007199254740991.0 /* 2^53 - 1: exact in every JSON reader */
#define HZ_MAX    1e12
#define DB_MAX    1000.0
#define NATS_MAX  1e9
#define S_MAX     1e9

#define SIZEOF(T, m) sizeof(((T *)NULL)->m)

#define STRING(k, sort, T, m)                                                                      \
    .key = (k), .kind = (sort), .offset = offsetof(T, m), .size = SIZEOF(T, m)
#define NAME(k, T, m) STRING(k, UW_FIELD_NAME, T, m)
#define ID(k, T, m)   STRING(k, UW_FIELD_ID, T, m)
#define TEXT(k, T, m) STRING(k, UW_FIELD_TEXT, T, m)
#define BOOL(k, T, m) .key = (k), .kind = UW_FIELD_BOOL, .offset = offsetof(T, m)
#define TIME(k, T, m) .key = (k), .kind = UW_FIELD_TIME, .offset = offsetof(T, m)
#define CHOICE(k, sort, T, m, list)                                                                \
    .key = (k), .kind = (sort), .offset = offsetof(T, m), .words = (list),                         \
    .n_words = UW_ARRAY_SIZE(list)
#define WORD(k, T, m, list)  CHOICE(k, UW_FIELD_WORD, T, m, list)
#define STATE(k, T, m, list) CHOICE(k, UW_FIELD_STATE, T, m, list)
#define COUNT(k, T, m)       .key = (k), .kind = UW_FIELD_INT, .offset = offsetof(T, m), .max = COUNT_MAX
#define UCOUNT(k, T, m, least)                                                                     \
    .key = (k), .kind = UW_FIELD_UINT, .offset = offsetof(T, m), .min = (least), .max = COUNT_MAX
#define REAL(k, T, m, places, least, most)                                                         \
    .key = (k), .kind = UW_FIELD_REAL, .offset = offsetof(T, m), .decimals = (places),             \
    .min = (least), .max = (most)
#define HZ(k, T, m)        REAL(k, T, m, 1, 0.0, HZ_MAX)
#define HZ_SIGNED(k, T, m) REAL(k, T, m, 1, -HZ_MAX, HZ_MAX)
#define DB(k, T, m)        REAL(k, T, m, 2, -DB_MAX, DB_MAX)
#define SECONDS(k, T, m)   REAL(k, T, m, 6, 0.0, S_MAX)
#define SHARE(k, T, m)     REAL(k, T, m, 4, 0.0, 1.0)
#define NATS(k, T, m)      REAL(k, T, m, 3, -NATS_MAX, NATS_MAX)
/* A struct inside the record, and members that lie flat in it. */
#define OBJECT(k, T, m, list)                                                                      \
    .key = (k), .kind = UW_FIELD_OBJECT, .offset = offsetof(T, m), .members = (list)
#define FLAT(k, list) .key = (k), .kind = UW_FIELD_OBJECT, .members = (list)
#define SEVERAL(k, sort, T, m, n, list)                                                            \
    .key = (k), .kind = (sort), .offset = offsetof(T, m), .size = SIZEOF(T, m[0]),                 \
    .members = (list), .count_offset = offsetof(T, n), .max_count = UW_ARRAY_SIZE(((T *)NULL)->m)
#define LIST(k, T, m, n, list) SEVERAL(k, UW_FIELD_LIST, T, m, n, list)
#define NAMES(k, T, m, n)      SEVERAL(k, UW_FIELD_NAMES, T, m, n, NULL)
#define MUST                   .required = true
#define END                                                                                        \
    { .key = NULL }

#define HEAD(T)                                                                                    \
    {NAME("site", T, head.site), MUST}, {NAME("node", T, head.node), MUST},                        \
        {ID("run", T, head.run), MUST}, {UCOUNT("seq", T, head.seq, 1)}, {                         \
        TIME("time", T, head.time_ns), MUST                                                        \
    }
#define HEAD_EXERCISE(T)                                                                           \
    HEAD(T), {                                                                                     \
        BOOL("exercise", T, head.exercise), MUST                                                   \
    }

const char *const uw_msg_words[UW_MSG_TYPE_N] = {
    [UW_MSG_DETECTION] = "detection", [UW_MSG_TRACK] = "track",       [UW_MSG_ALERT] = "alert",
    [UW_MSG_HEALTH] = "health",       [UW_MSG_SPECTRUM] = "spectrum", [UW_MSG_AUDIT] = "audit",
    [UW_MSG_PROGRESS] = "progress",
};

static const char *const role_words[UW_ROLE_N] = {"control", "telemetry", "video", "remote-id",
                                                  "background"};
static const char *const track_state_words[UW_TRACK_STATE_N] = {"tentative", "confirmed",
                                                                "coasting", "ended"};
static const char *const trend_words[] = {NULL, "approaching", "steady", "leaving"};
static const char *const authorised_words[] = {"none", "match"};
static const char *const kind_words[UW_ALERT_KIND_N] = {"uas", "coverage", "receiver", "system"};
static const char *const event_words[UW_ALERT_EVENT_N] = {"raised", "updated",  "acknowledged",
                                                          "noted",  "silenced", "escalated",
                                                          "closed", "expired",  "cleared"};
static const char *const alert_state_words[UW_ALERT_STATE_N] = {"active", "acknowledged",
                                                                "silenced", "ended"};
static const char *const severity_words[UW_SEVERITY_N] = {"info", "advisory", "warning",
                                                          "critical"};
static const char *const rx_state_words[UW_RX_STATE_N] = {"ok", "degraded", "lost"};
static const char *const problem_words[UW_RX_PROBLEM_N] = {
    NULL,       "absent",   "stalled", "losing",      "clipping",   "deaf",
    "unlocked", "drifting", "refused", "unreachable", "overloaded", "failed",
};

static const struct uw_field position_fields[] = {
    {REAL("lat", struct uw_position, lat, 7, -90.0, 90.0), MUST},
    {REAL("lon", struct uw_position, lon, 7, -180.0, 180.0), MUST},
    {REAL("error_m", struct uw_position, error_m, 1, 0.0, 1e8)},
    {TEXT("basis", struct uw_position, basis)},
    END,
};

static const struct uw_field evidence_fields[] = {
    {COUNT("bursts", struct uw_evidence, bursts)},
    {COUNT("dwells", struct uw_evidence, dwells)},
    {COUNT("channels", struct uw_evidence, channels)},
    {COUNT("channels_visible", struct uw_evidence, channels_visible)},
    {SECONDS("hop_interval_s", struct uw_evidence, hop_interval_s)},
    {SECONDS("period_s", struct uw_evidence, period_s)},
    {SECONDS("airtime_s", struct uw_evidence, airtime_s)},
    {REAL("channel_spacing_hz", struct uw_evidence, channel_spacing_hz, 1, 0.1, HZ_MAX)},
    {HZ("grid_error_hz", struct uw_evidence, grid_error_hz)},
    {HZ_SIGNED("offset_hz", struct uw_evidence, offset_hz)},
    {SHARE("score", struct uw_evidence, score)},
    {TEXT("rule", struct uw_evidence, rule)},
    END,
};

static const struct uw_field tuning_fields[] = {
    {HZ("centre_hz", struct uw_tuning, centre_hz)},
    {HZ("rate_hz", struct uw_tuning, rate_hz)},
    {DB("gain_db", struct uw_tuning, gain_db)},
    END,
};

static const struct uw_field quality_fields[] = {
    {COUNT("lost_samples", struct uw_quality, lost_samples)},
    {SHARE("clip_ratio", struct uw_quality, clip_ratio)},
    {DB("noise_dbfs", struct uw_quality, noise_dbfs)},
    END,
};

static bool centre_unknown(const void *record) {
    const struct uw_detection *d = record;

    return !isfinite(d->tuning.centre_hz);
}

static bool centre_known(const void *record) {
    return !centre_unknown(record);
}

static const struct uw_field detection_fields[] = {
    HEAD_EXERCISE(struct uw_detection),
    {ID("detection", struct uw_detection, detection), MUST},
    {NAME("receiver", struct uw_detection, receiver), MUST},
    {ID("emitter", struct uw_detection, emitter)},
    {NAME("signature", struct uw_detection, signature), MUST},
    {NAME("family", struct uw_detection, family), MUST},
    {WORD("role", struct uw_detection, role, role_words), MUST},
    {BOOL("drone", struct uw_detection, drone), MUST},
    {TEXT("variant", struct uw_detection, variant)},
    {TEXT("domain", struct uw_detection, domain)},
    {HZ("freq_hz", struct uw_detection, freq_hz), .left_out = centre_unknown},
    {HZ_SIGNED("offset_from_centre_hz", struct uw_detection, freq_hz), .left_out = centre_known},
    {HZ("bandwidth_hz", struct uw_detection, bandwidth_hz)},
    {DB("snr_db", struct uw_detection, snr_db)},
    {DB("power_dbfs", struct uw_detection, power_dbfs)},
    {NATS("llr", struct uw_detection, llr)},
    {SHARE("confidence", struct uw_detection, confidence)},
    {TIME("t_start", struct uw_detection, t_start_ns), MUST},
    {TIME("t_end", struct uw_detection, t_end_ns), MUST},
    {OBJECT("evidence", struct uw_detection, evidence, evidence_fields)},
    {OBJECT("tuning", struct uw_detection, tuning, tuning_fields)},
    {OBJECT("quality", struct uw_detection, quality, quality_fields)},
    {TEXT("source", struct uw_detection, source)},
    {OBJECT("position", struct uw_detection, position, position_fields)},
    {REAL("bearing_deg", struct uw_detection, bearing_deg, 2, 0.0, 360.0)},
    {REAL("bearing_error_deg", struct uw_detection, bearing_error_deg, 2, 0.0, 180.0)},
    {TEXT("claimed_id", struct uw_detection, claimed_id)},
    END,
};

static const struct uw_field track_authorised_fields[] = {
    {STATE("state", struct uw_track, authorised, authorised_words), MUST},
    {TEXT("rule", struct uw_track, authorised_rule)},
    END,
};

static const struct uw_field track_fields[] = {
    HEAD_EXERCISE(struct uw_track),
    {ID("track", struct uw_track, track), MUST},
    {WORD("state", struct uw_track, state, track_state_words), MUST},
    {NAME("family", struct uw_track, family), MUST},
    {NAME("signature", struct uw_track, signature), MUST},
    {TEXT("variant", struct uw_track, variant)},
    {TEXT("domain", struct uw_track, domain)},
    {BOOL("drone", struct uw_track, drone), MUST},
    {WORD("role", struct uw_track, role, role_words), MUST},
    {SHARE("confidence", struct uw_track, confidence)},
    {NATS("llr", struct uw_track, llr)},
    {HZ("freq_hz", struct uw_track, freq_hz)},
    {TIME("first_seen", struct uw_track, first_seen_ns), MUST},
    {TIME("last_seen", struct uw_track, last_seen_ns), MUST},
    {NAMES("receivers", struct uw_track, receivers, n_receivers), MUST},
    {OBJECT("position", struct uw_track, position, position_fields)},
    {WORD("trend", struct uw_track, trend, trend_words)},
    {FLAT("authorised", track_authorised_fields), MUST},
    END,
};

static const struct uw_field alert_authorised_fields[] = {
    {STATE("state", struct uw_alert, authorised, authorised_words), MUST},
    {TEXT("rule", struct uw_alert, authorised_rule)},
    END,
};

static const struct uw_field alert_ack_fields[] = {
    {TEXT("by", struct uw_alert, ack_by), MUST},
    {TIME("at", struct uw_alert, ack_at_ns)},
    {TEXT("note", struct uw_alert, ack_note)},
    END,
};

static bool not_uas(const void *record) {
    return ((const struct uw_alert *)record)->kind != UW_ALERT_UAS;
}

static const struct uw_field alert_fields[] = {
    HEAD_EXERCISE(struct uw_alert),
    {ID("alert", struct uw_alert, alert), MUST},
    {WORD("kind", struct uw_alert, kind, kind_words), MUST},
    {WORD("event", struct uw_alert, event, event_words), MUST},
    {WORD("state", struct uw_alert, state, alert_state_words), MUST},
    {WORD("severity", struct uw_alert, severity, severity_words), MUST},
    {ID("track", struct uw_alert, track)},
    {NAME("family", struct uw_alert, family)},
    {NAME("signature", struct uw_alert, signature)},
    {TEXT("variant", struct uw_alert, variant)},
    {TEXT("domain", struct uw_alert, domain)},
    {FLAT("authorised", alert_authorised_fields), .left_out = not_uas},
    {NAME("receiver", struct uw_alert, receiver)},
    {WORD("problem", struct uw_alert, problem, problem_words)},
    {TEXT("band", struct uw_alert, band)},
    {TEXT("part", struct uw_alert, part)},
    {SHARE("confidence", struct uw_alert, confidence)},
    {TEXT("headline", struct uw_alert, headline), MUST},
    {TEXT("reason", struct uw_alert, reason)},
    {TEXT("advice", struct uw_alert, advice)},
    {TEXT("zone", struct uw_alert, zone)},
    {TIME("first_seen", struct uw_alert, first_seen_ns)},
    {TIME("last_seen", struct uw_alert, last_seen_ns)},
    {FLAT("ack", alert_ack_fields)},
    END,
};

static const struct uw_field health_receiver_fields[] = {
    {NAME("receiver", struct uw_health_receiver, receiver), MUST},
    {WORD("state", struct uw_health_receiver, state, rx_state_words), MUST},
    {WORD("problem", struct uw_health_receiver, problem, problem_words)},
    {TIME("since", struct uw_health_receiver, since_ns)},
    {HZ("freq_hz", struct uw_health_receiver, freq_hz)},
    {HZ("rate_hz", struct uw_health_receiver, rate_hz)},
    {DB("gain_db", struct uw_health_receiver, gain_db)},
    {COUNT("lost_samples", struct uw_health_receiver, lost_samples)},
    {COUNT("dropped_samples", struct uw_health_receiver, dropped_samples)},
    {COUNT("discarded_samples", struct uw_health_receiver, discarded_samples)},
    {COUNT("reopened", struct uw_health_receiver, reopened)},
    {COUNT("queue_blocks", struct uw_health_receiver, queue_blocks)},
    {SHARE("clip_ratio", struct uw_health_receiver, clip_ratio)},
    {DB("noise_dbfs", struct uw_health_receiver, noise_dbfs)},
    {REAL("drift_ppm", struct uw_health_receiver, drift_ppm, 2, -1e6, 1e6)},
    {SECONDS("last_sample_age_s", struct uw_health_receiver, last_sample_age_s)},
    {TEXT("advice", struct uw_health_receiver, advice)},
    END,
};

static const struct uw_field health_blind_fields[] = {
    {TEXT("band", struct uw_health_blind, band), MUST},
    {TIME("since", struct uw_health_blind, since_ns)},
    {TEXT("why", struct uw_health_blind, why)},
    END,
};

static const struct uw_field health_queues_fields[] = {
    {COUNT("fusion", struct uw_health, queue_fusion)},
    {COUNT("fusion_early", struct uw_health, queue_fusion_early)},
    {COUNT("fusion_late", struct uw_health, queue_fusion_late)},
    {COUNT("feed_dropped", struct uw_health, queue_feed_dropped)},
    END,
};

static const struct uw_field previous_seq_fields[] = {
    {UCOUNT("detection", struct uw_health, previous_seq[UW_MSG_DETECTION], 1)},
    {UCOUNT("track", struct uw_health, previous_seq[UW_MSG_TRACK], 1)},
    {UCOUNT("alert", struct uw_health, previous_seq[UW_MSG_ALERT], 1)},
    {UCOUNT("health", struct uw_health, previous_seq[UW_MSG_HEALTH], 1)},
    {UCOUNT("spectrum", struct uw_health, previous_seq[UW_MSG_SPECTRUM], 1)},
    {UCOUNT("audit", struct uw_health, previous_seq[UW_MSG_AUDIT], 1)},
    END,
};

static const struct uw_field previous_run_fields[] = {
    {ID("run", struct uw_health, previous_run), MUST},
    {FLAT("seq", previous_seq_fields)},
    END,
};

static const struct uw_field health_fields[] = {
    HEAD(struct uw_health),
    {LIST("receivers", struct uw_health, receivers, n_receivers, health_receiver_fields), MUST},
    {LIST("blind", struct uw_health, blind, n_blind, health_blind_fields), MUST},
    {FLAT("queues", health_queues_fields)},
    {COUNT("disk_free_bytes", struct uw_health, disk_free_bytes)},
    {FLAT("previous_run", previous_run_fields)},
    END,
};

static const struct uw_field spectrum_fields[] = {
    HEAD_EXERCISE(struct uw_spectrum),
    {NAME("receiver", struct uw_spectrum, receiver), MUST},
    {HZ("freq_hz", struct uw_spectrum, freq_hz)},
    {HZ("rate_hz", struct uw_spectrum, rate_hz)},
    {COUNT("bins", struct uw_spectrum, bins), MUST},
    {SECONDS("span_s", struct uw_spectrum, span_s)},
    END,
};

static const struct uw_field audit_fields[] = {
    HEAD_EXERCISE(struct uw_audit),
    {TEXT("actor", struct uw_audit, actor), MUST},
    {TEXT("action", struct uw_audit, action), MUST},
    {TEXT("object", struct uw_audit, object)},
    {TEXT("detail", struct uw_audit, detail)},
    END,
};

static const struct uw_field progress_fields[] = {
    {NAME("receiver", struct uw_progress, receiver), MUST},
    {TIME("time", struct uw_progress, time_ns), MUST},
    {UCOUNT("number", struct uw_progress, number, 0), MUST},
    {OBJECT("tuning", struct uw_progress, tuning, tuning_fields)},
    {OBJECT("quality", struct uw_progress, quality, quality_fields)},
    {UCOUNT("samples", struct uw_progress, samples, 0), MUST},
    {BOOL("end", struct uw_progress, end), MUST},
    {BOOL("failed", struct uw_progress, failed), MUST},
    END,
};

static int detection_check(const void *record, const struct json_t *body, struct uw_diag *diag) {
    const struct uw_detection *d = record;

    if (d->t_end_ns < d->t_start_ns)
        return uw_diag_add(diag, "t_end: before t_start");
    if (centre_known(d) && json_object_get(body, "offset_from_centre_hz"))
        return uw_diag_add(diag, "offset_from_centre_hz: tuning.centre_hz is known, "
                                 "freq_hz is meant");
    if (centre_unknown(d) && json_object_get(body, "freq_hz"))
        return uw_diag_add(diag, "freq_hz: tuning.centre_hz is missing");
    return 0;
}

static int track_check(const void *record, const struct json_t *body, struct uw_diag *diag) {
    const struct uw_track *t = record;

    (void)body;
    if (t->last_seen_ns < t->first_seen_ns)
        return uw_diag_add(diag, "last_seen: before first_seen");
    return 0;
}

static int alert_check(const void *record, const struct json_t *body, struct uw_diag *diag) {
    const struct uw_alert *a = record;

    if (json_object_get(body, "first_seen") && json_object_get(body, "last_seen") &&
        a->last_seen_ns < a->first_seen_ns)
        return uw_diag_add(diag, "last_seen: before first_seen");
    return 0;
}

#define INIT(type)                                                                                 \
    static void type##_init(void *record) {                                                        \
        uw_##type##_init(record);                                                                  \
    }
INIT(detection)
INIT(track)
INIT(alert)
INIT(health)
INIT(spectrum)
INIT(audit)
INIT(progress)

#define TABLE(type) .fields = type##_fields, .size = sizeof(struct uw_##type), .init = type##_init

const struct uw_table uw_msg_tables[UW_MSG_TYPE_N] = {
    [UW_MSG_DETECTION] = {TABLE(detection), .check = detection_check},
    [UW_MSG_TRACK] = {TABLE(track), .check = track_check},
    [UW_MSG_ALERT] = {TABLE(alert), .check = alert_check},
    [UW_MSG_HEALTH] = {TABLE(health)},
    [UW_MSG_SPECTRUM] = {TABLE(spectrum)},
    [UW_MSG_AUDIT] = {TABLE(audit)},
    [UW_MSG_PROGRESS] = {TABLE(progress)},
};
