/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdbool.h>
#include <stdio.h>

#include "uw/msg/json.h"

static bool is_plain(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           c == '-';
}

/* One part between two dots: what could be taken for a dot, or is no name, becomes '_'. */
static void part(const char *text, char *out, size_t size) {
    size_t n = 0;

    for (; text[n] && n + 1 < size; n++)
        out[n] = text[n];
    out[n] = '\0';
    for (size_t i = 0; i < n; i++)
        if (!is_plain(out[i]))
            out[i] = '_';
}

void uw_msg_topic(enum uw_msg_type type, const struct uw_head *head, const char *detail,
                  char topic[UW_TOPIC_LEN]) {
    char site[UW_NAME_LEN], node[UW_NAME_LEN];

    part(head->site, site, sizeof(site));
    part(head->node, node, sizeof(node));
    (void)snprintf(topic, UW_TOPIC_LEN, "v1.%s.%s.%s.%s", uw_msg_type_name(type), site, node,
                   detail);
}

void uw_detection_topic(const struct uw_detection *d, char topic[UW_TOPIC_LEN]) {
    char receiver[UW_NAME_LEN], signature[UW_NAME_LEN], detail[2 * UW_NAME_LEN + 2];

    part(d->receiver, receiver, sizeof(receiver));
    part(d->signature, signature, sizeof(signature));
    (void)snprintf(detail, sizeof(detail), "%s.%s.", receiver, signature);
    uw_msg_topic(UW_MSG_DETECTION, &d->head, detail, topic);
}

static void id_topic(enum uw_msg_type type, const struct uw_head *head, const char *id,
                     char topic[UW_TOPIC_LEN]) {
    char name[UW_ID_LEN], detail[UW_ID_LEN + 1];

    part(id, name, sizeof(name));
    (void)snprintf(detail, sizeof(detail), "%s.", name);
    uw_msg_topic(type, head, detail, topic);
}

void uw_track_topic(const struct uw_track *t, char topic[UW_TOPIC_LEN]) {
    id_topic(UW_MSG_TRACK, &t->head, t->track, topic);
}

void uw_alert_topic(const struct uw_alert *a, char topic[UW_TOPIC_LEN]) {
    id_topic(UW_MSG_ALERT, &a->head, a->alert, topic);
}
