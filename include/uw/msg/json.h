/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_MSG_JSON_H
#define UW_MSG_JSON_H

/*
 * JSON both ways, and topics
 *
 * Encoding is compact, keys in the order of the schema, with fixed decimals per unit (Hz 1, dB 2,
 * seconds 6, probability 4, nats 3): equal records give equal bytes. Decoding is strict about types
 * and ranges, ignores unknown keys (a newer minor version), and refuses another major version.
 * Limits: 64 KiB a body, nesting 8.
 *
 * What is unknown, or out of its range, is left out; so is seq 0 (not numbered yet). Times are cut
 * to microseconds. A detection without tuning.centre_hz carries freq_hz as "offset_from_centre_hz".
 *
 * Threads: any. Ownership: encoders return a malloc'ed string that the caller frees.
 */

#include <stddef.h>

#include "uw/msg/record.h"

struct uw_diag;

/* "detection", ... */
const char *uw_msg_type_name(enum uw_msg_type type);
/* "detection/1.1", ... */
const char *uw_msg_schema(enum uw_msg_type type);

/* 0 or -ENOMEM. */
int uw_detection_encode(const struct uw_detection *d, char **ret_json);
int uw_track_encode(const struct uw_track *t, char **ret_json);
int uw_alert_encode(const struct uw_alert *a, char **ret_json);
int uw_health_encode(const struct uw_health *h, char **ret_json);
int uw_spectrum_encode(const struct uw_spectrum *s, char **ret_json);
int uw_audit_encode(const struct uw_audit *a, char **ret_json);
int uw_progress_encode(const struct uw_progress *p, char **ret_json);

/* 0, -ENOMEM, or UW_E_INPUT with "field: what" in diag. The text need not be terminated. */
int uw_msg_peek_type(const char *json, size_t len, struct uw_diag *diag, enum uw_msg_type *ret);
int uw_detection_decode(const char *json, size_t len, struct uw_diag *diag, struct uw_detection *d);
int uw_track_decode(const char *json, size_t len, struct uw_diag *diag, struct uw_track *t);
int uw_alert_decode(const char *json, size_t len, struct uw_diag *diag, struct uw_alert *a);
int uw_health_decode(const char *json, size_t len, struct uw_diag *diag, struct uw_health *h);
int uw_spectrum_decode(const char *json, size_t len, struct uw_diag *diag, struct uw_spectrum *s);
int uw_audit_decode(const char *json, size_t len, struct uw_diag *diag, struct uw_audit *a);
int uw_progress_decode(const char *json, size_t len, struct uw_diag *diag, struct uw_progress *p);

#define UW_TOPIC_LEN 200
/* "v1.<type>.<site>.<node>.<detail>": detail as in the table of docs/feed.md, with its dots; "" if
 * none. */
void uw_msg_topic(enum uw_msg_type type, const struct uw_head *head, const char *detail,
                  char topic[UW_TOPIC_LEN]);
void uw_detection_topic(const struct uw_detection *d, char topic[UW_TOPIC_LEN]);
void uw_track_topic(const struct uw_track *t, char topic[UW_TOPIC_LEN]);
void uw_alert_topic(const struct uw_alert *a, char topic[UW_TOPIC_LEN]);

#endif
