/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What leaves: numbered per type, encoded once, on the feed and to the callback in the same order
 *
 * Whoever subscribes late is told the last word on every live track, every active alert and health.
 * The newest goes first in each type, as a repeated message carries its old number and a falling
 * number is no gap.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine-impl.h"
#include "uw/base/str.h"
#include "uw/msg/json.h"

static void note_error(struct uw_publisher *p, int r) {
    if (r < 0 && p->error == 0)
        p->error = r;
}

static void send(struct uw_publisher *p, enum uw_msg_type type, const char *topic,
                 const char *json) {
    if (p->feed)
        note_error(p, uw_feed_publish(p->feed, topic, json, NULL, 0));
    if (p->message)
        p->message(p->userdata, type, topic, json);
}

static void clear_entry(struct uw_cached *c) {
    free(c->topic);
    free(c->json);
}

static struct uw_cached *find_entry(struct uw_publisher *p, enum uw_msg_type type, const char *id) {
    for (size_t i = 0; i < p->n_cached; i++)
        if (p->cached[i].type == type && strcmp(p->cached[i].id, id) == 0)
            return &p->cached[i];
    return NULL;
}

static struct uw_cached *add_entry(struct uw_publisher *p, enum uw_msg_type type, const char *id) {
    struct uw_cached *c;

    if (p->n_cached == p->n_room) {
        size_t room = p->n_room ? 2 * p->n_room : 32;
        c = realloc(p->cached, room * sizeof(*c));
        if (!c)
            return NULL;
        p->cached = c;
        p->n_room = room;
    }
    c = &p->cached[p->n_cached++];
    *c = (struct uw_cached){.type = type};
    uw_str_copy(c->id, sizeof(c->id), id);
    return c;
}

static void forget(struct uw_publisher *p, enum uw_msg_type type, const char *id) {
    struct uw_cached *c = find_entry(p, type, id);

    if (!c)
        return;
    clear_entry(c);
    *c = p->cached[--p->n_cached];
}

/* Takes the text. */
static void remember(struct uw_publisher *p, enum uw_msg_type type, const char *id,
                     const char *topic, char *json) {
    struct uw_cached *c = find_entry(p, type, id);

    if (!c)
        c = add_entry(p, type, id);
    if (!c) {
        free(json);
        note_error(p, uw_err(-ENOMEM));
        return;
    }
    clear_entry(c);
    c->seq = p->seq[type];
    c->json = json;
    c->topic = strdup(topic);
    if (!c->topic)
        note_error(p, uw_err(-ENOMEM));
}

/* Takes the text. `last` is the last word on `id`. */
static void finish(struct uw_publisher *p, enum uw_msg_type type, const char *id, bool last,
                   const char *topic, char *json) {
    send(p, type, topic, json);
    if (p->feed && !last) {
        remember(p, type, id, topic, json);
        return;
    }
    forget(p, type, id);
    free(json);
}

void uw_publish_detection(struct uw_publisher *p, const struct uw_detection *d) {
    struct uw_detection copy = *d;
    char topic[UW_TOPIC_LEN];
    char *json;
    int r;

    copy.head.seq = ++p->seq[UW_MSG_DETECTION];
    r = uw_detection_encode(&copy, &json);
    if (r) {
        note_error(p, r);
        return;
    }
    uw_detection_topic(&copy, topic);
    send(p, UW_MSG_DETECTION, topic, json);
    free(json);
}

void uw_publish_track(struct uw_publisher *p, const struct uw_track *t) {
    struct uw_track copy = *t;
    char topic[UW_TOPIC_LEN];
    char *json;
    int r;

    copy.head.seq = ++p->seq[UW_MSG_TRACK];
    r = uw_track_encode(&copy, &json);
    if (r) {
        note_error(p, r);
        return;
    }
    uw_track_topic(&copy, topic);
    finish(p, UW_MSG_TRACK, t->track, t->state == UW_TRACK_ENDED, topic, json);
}

void uw_publish_alert(struct uw_publisher *p, const struct uw_alert *a) {
    struct uw_alert copy = *a;
    char topic[UW_TOPIC_LEN];
    char *json;
    int r;

    copy.head.seq = ++p->seq[UW_MSG_ALERT];
    r = uw_alert_encode(&copy, &json);
    if (r) {
        note_error(p, r);
        return;
    }
    uw_alert_topic(&copy, topic);
    finish(p, UW_MSG_ALERT, a->alert, a->state == UW_ALERT_ENDED, topic, json);
}

void uw_publish_health(struct uw_publisher *p, const struct uw_health *h) {
    struct uw_health copy = *h;
    char topic[UW_TOPIC_LEN];
    char *json;
    int r;

    copy.head.seq = ++p->seq[UW_MSG_HEALTH];
    r = uw_health_encode(&copy, &json);
    if (r) {
        note_error(p, r);
        return;
    }
    uw_msg_topic(UW_MSG_HEALTH, &copy.head, "", topic);
    finish(p, UW_MSG_HEALTH, "", false, topic, json);
}

void uw_publish_audit(struct uw_publisher *p, const struct uw_audit *a) {
    struct uw_audit copy = *a;
    char topic[UW_TOPIC_LEN];
    char *json;
    int r;

    copy.head.seq = ++p->seq[UW_MSG_AUDIT];
    r = uw_audit_encode(&copy, &json);
    if (r) {
        note_error(p, r);
        return;
    }
    uw_msg_topic(UW_MSG_AUDIT, &copy.head, "", topic);
    send(p, UW_MSG_AUDIT, topic, json);
    free(json);
}

/* The newest that is older than `seq`. */
static const struct uw_cached *newest_below(const struct uw_publisher *p, enum uw_msg_type type,
                                            uint64_t seq) {
    const struct uw_cached *best = NULL;

    for (size_t i = 0; i < p->n_cached; i++) {
        const struct uw_cached *c = &p->cached[i];
        if (c->type == type && c->seq < seq && (!best || c->seq > best->seq))
            best = c;
    }
    return best;
}

void uw_publish_cached(void *publisher, const char *prefix, size_t len) {
    static const enum uw_msg_type types[] = {UW_MSG_ALERT, UW_MSG_TRACK, UW_MSG_HEALTH};
    struct uw_publisher *p = publisher;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        const struct uw_cached *c = newest_below(p, types[i], UINT64_MAX);
        for (; c; c = newest_below(p, types[i], c->seq)) {
            if (c->topic && strlen(c->topic) >= len && memcmp(c->topic, prefix, len) == 0)
                note_error(p, uw_feed_publish(p->feed, c->topic, c->json, NULL, 0));
        }
    }
}

void uw_publisher_deinit(struct uw_publisher *p) {
    for (size_t i = 0; i < p->n_cached; i++)
        clear_entry(&p->cached[i]);
    free(p->cached);
    p->cached = NULL;
    p->n_cached = p->n_room = 0;
}
