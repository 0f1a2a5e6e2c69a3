/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_MSG_RECORD_H
#define UW_MSG_RECORD_H

/*
 * The records of the feed, as plain data
 *
 * Unknown is NAN for a double, "" for a string, -1 for a count, UW_TIME_NONE for a time: unknown
 * fields are left out of the JSON, never written as 0 or "". Strings are always terminated.
 *
 * Threads: plain data. Ownership: whoever holds the struct; no pointers inside.
 */

#include <stdbool.h>
#include <stdint.h>

#define UW_NAME_LEN  32  /* site, node, receiver, signature ... with the zero */
#define UW_ID_LEN    48  /* identifiers: counters under the run */
#define UW_TEXT_LEN  240 /* headline, reason, advice */
#define UW_RX_MAX    16  /* receivers of one site */
#define UW_BLIND_MAX 16

enum uw_msg_type {
    UW_MSG_DETECTION,
    UW_MSG_TRACK,
    UW_MSG_ALERT,
    UW_MSG_HEALTH,
    UW_MSG_SPECTRUM,
    UW_MSG_AUDIT,
    UW_MSG_PROGRESS, /* inside the chain only, never on the feed */
    UW_MSG_TYPE_N
};

/* What every body carries. */
struct uw_head {
    char site[UW_NAME_LEN];
    char node[UW_NAME_LEN];
    char run[UW_NAME_LEN];
    uint64_t seq;    /* per type and run, from 1 */
    int64_t time_ns; /* the signal's time */
    bool exercise;
};

enum uw_role {
    UW_ROLE_CONTROL,
    UW_ROLE_TELEMETRY,
    UW_ROLE_VIDEO,
    UW_ROLE_REMOTE_ID,
    UW_ROLE_BACKGROUND,
    UW_ROLE_N
};

struct uw_evidence {
    int64_t bursts;
    int64_t dwells;
    int64_t channels;         /* distinct ones heard */
    int64_t channels_visible; /* of the signature's grid inside the receiver's band */
    double hop_interval_s;
    double period_s; /* packet period */
    double airtime_s;
    double channel_spacing_hz; /* estimated, where no plan tells it */
    double grid_error_hz;      /* rms residual to the grid after one common offset */
    double offset_hz;          /* that common offset */
    double score;              /* waveform statistic 0..1, where one is meant (DroneID: joint ZC) */
    char rule[UW_NAME_LEN];    /* what decided, e.g. "period+dwell+grid" */
};

struct uw_tuning {
    double centre_hz; /* NAN: not known */
    double rate_hz;
    double gain_db;
};

struct uw_quality {
    int64_t lost_samples;
    double clip_ratio;
    double noise_dbfs;
};

struct uw_position {
    double lat, lon; /* degrees WGS 84; NAN: not known */
    double error_m;
    char basis[UW_NAME_LEN];
};

struct uw_detection {
    struct uw_head head;
    char detection[UW_ID_LEN];
    char receiver[UW_NAME_LEN];
    char emitter[UW_ID_LEN];
    char signature[UW_NAME_LEN];
    char family[UW_NAME_LEN];
    enum uw_role role;
    bool drone;
    char variant[UW_NAME_LEN];
    char domain[UW_NAME_LEN];
    double freq_hz; /* absolute when tuning.centre_hz is known, else the offset from the centre */
    double bandwidth_hz;
    double snr_db; /* in bandwidth_hz */
    double power_dbfs;
    double llr; /* nats, new since this emitter's previous detection */
    double confidence;
    int64_t t_start_ns, t_end_ns;
    struct uw_evidence evidence;
    struct uw_tuning tuning;
    struct uw_quality quality;
    /* from other sensors only */
    char source[UW_NAME_LEN];
    struct uw_position position;
    double bearing_deg, bearing_error_deg;
    char claimed_id[UW_ID_LEN];
};

enum uw_track_state {
    UW_TRACK_TENTATIVE,
    UW_TRACK_CONFIRMED,
    UW_TRACK_COASTING,
    UW_TRACK_ENDED,
    UW_TRACK_STATE_N
};
enum uw_trend { UW_TREND_UNKNOWN, UW_TREND_APPROACHING, UW_TREND_STEADY, UW_TREND_LEAVING };

struct uw_track {
    struct uw_head head;
    char track[UW_ID_LEN];
    enum uw_track_state state;
    char family[UW_NAME_LEN];
    char signature[UW_NAME_LEN];
    char variant[UW_NAME_LEN];
    char domain[UW_NAME_LEN];
    bool drone;
    enum uw_role role;
    double confidence;
    double llr;
    double freq_hz; /* of the latest detection */
    int64_t first_seen_ns, last_seen_ns;
    int n_receivers;
    char receivers[UW_RX_MAX][UW_NAME_LEN];
    struct uw_position position;
    enum uw_trend trend;
    bool authorised;
    char authorised_rule[UW_NAME_LEN];
};

enum uw_alert_kind {
    UW_ALERT_UAS,
    UW_ALERT_COVERAGE,
    UW_ALERT_RECEIVER,
    UW_ALERT_SYSTEM,
    UW_ALERT_KIND_N
};
enum uw_alert_event {
    UW_ALERT_RAISED,
    UW_ALERT_UPDATED,
    UW_ALERT_ACKNOWLEDGED,
    UW_ALERT_NOTED,
    UW_ALERT_SILENCED_EV,
    UW_ALERT_ESCALATED,
    UW_ALERT_CLOSED,
    UW_ALERT_EXPIRED,
    UW_ALERT_CLEARED,
    UW_ALERT_EVENT_N
};
enum uw_alert_state {
    UW_ALERT_ACTIVE,
    UW_ALERT_ACKED,
    UW_ALERT_SILENCED,
    UW_ALERT_ENDED,
    UW_ALERT_STATE_N
};
enum uw_severity {
    UW_SEVERITY_INFO,
    UW_SEVERITY_ADVISORY,
    UW_SEVERITY_WARNING,
    UW_SEVERITY_CRITICAL,
    UW_SEVERITY_N
};

/* What is the matter with a receiver, for programs; the words are those of the sources'
 * (uw_source_problem_name()) and two more. */
enum uw_rx_problem {
    UW_RX_PROBLEM_NONE,
    UW_RX_PROBLEM_ABSENT,
    UW_RX_PROBLEM_STALLED,
    UW_RX_PROBLEM_LOSING,
    UW_RX_PROBLEM_CLIPPING,
    UW_RX_PROBLEM_DEAF,
    UW_RX_PROBLEM_UNLOCKED,
    UW_RX_PROBLEM_DRIFTING,
    UW_RX_PROBLEM_REFUSED,
    UW_RX_PROBLEM_UNREACHABLE,
    UW_RX_PROBLEM_OVERLOADED, /* this computer does not keep up */
    UW_RX_PROBLEM_FAILED,     /* reading has ended with an error */
    UW_RX_PROBLEM_N
};

struct uw_alert {
    struct uw_head head;
    char alert[UW_ID_LEN];
    enum uw_alert_kind kind;
    enum uw_alert_event event;
    enum uw_alert_state state;
    enum uw_severity severity;
    /* kind uas */
    char track[UW_ID_LEN];
    char family[UW_NAME_LEN];
    char signature[UW_NAME_LEN];
    char variant[UW_NAME_LEN];
    char domain[UW_NAME_LEN];
    bool authorised;
    char authorised_rule[UW_NAME_LEN];
    /* kinds receiver, coverage, system: which */
    char receiver[UW_NAME_LEN];
    enum uw_rx_problem problem;
    char band[UW_NAME_LEN];
    char part[UW_NAME_LEN]; /* "clock", "disk", "feed", "fusion" ... */
    double confidence;
    char headline[UW_TEXT_LEN];
    char reason[UW_TEXT_LEN];
    char advice[UW_TEXT_LEN];
    char zone[UW_NAME_LEN];
    int64_t first_seen_ns, last_seen_ns;
    char ack_by[UW_NAME_LEN];
    int64_t ack_at_ns;
    char ack_note[UW_TEXT_LEN];
};

enum uw_rx_state { UW_RX_OK, UW_RX_DEGRADED, UW_RX_LOST, UW_RX_STATE_N };

struct uw_health_receiver {
    char receiver[UW_NAME_LEN];
    enum uw_rx_state state;
    enum uw_rx_problem problem;
    int64_t since_ns; /* of the state */
    double freq_hz, rate_hz, gain_db;
    int64_t lost_samples;      /* all that are missing */
    int64_t dropped_samples;   /* of these, for want of time in this computer */
    int64_t discarded_samples; /* that came and could not be used */
    int64_t reopened;
    int64_t queue_blocks; /* that wait for the detector */
    double clip_ratio, noise_dbfs, drift_ppm;
    double last_sample_age_s;
    char advice[UW_TEXT_LEN];
};

struct uw_health_blind {
    char band[UW_NAME_LEN];
    int64_t since_ns;
    char why[UW_TEXT_LEN];
};

struct uw_health {
    struct uw_head head;
    int n_receivers;
    struct uw_health_receiver receivers[UW_RX_MAX];
    int n_blind;
    struct uw_health_blind blind[UW_BLIND_MAX];
    int64_t queue_fusion;       /* records waiting for fusion */
    int64_t queue_fusion_early; /* used before their turn for want of room */
    int64_t queue_fusion_late;  /* that came after their turn */
    int64_t queue_feed_dropped;
    int64_t disk_free_bytes; /* -1: not known */
    char previous_run[UW_NAME_LEN];
    uint64_t previous_seq[UW_MSG_TYPE_N];
};

/* A decimated power spectrum; the levels travel in the binary third frame as little-endian float32.
 */
struct uw_spectrum {
    struct uw_head head;
    char receiver[UW_NAME_LEN];
    double freq_hz, rate_hz;
    int64_t bins;
    double span_s;
};

struct uw_audit {
    struct uw_head head;
    char actor[UW_NAME_LEN];
    char action[UW_NAME_LEN];
    char object[UW_ID_LEN];
    char detail[UW_TEXT_LEN];
};

struct uw_progress {
    char receiver[UW_NAME_LEN];
    int64_t time_ns; /* everything that ends before this has been published */
    uint64_t number; /* of the receiver's records so far */
    struct uw_tuning tuning;
    struct uw_quality quality;
    uint64_t samples; /* since the start */
    bool end;         /* the source has ended; nothing follows */
    bool failed;      /* ... with an error */
};

/* Everything unknown. */
void uw_detection_init(struct uw_detection *d);
void uw_track_init(struct uw_track *t);
void uw_alert_init(struct uw_alert *a);
void uw_health_init(struct uw_health *h);
void uw_spectrum_init(struct uw_spectrum *s);
void uw_audit_init(struct uw_audit *a);
void uw_progress_init(struct uw_progress *p);

#endif
