/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Life-cycle of alerts: raised, updated, cleared
 *
 * An update is sent only for what changes an operator's picture (what it is, who hears it, whether
 * it is still heard, how sure), and at most every update_s: what changes sooner waits for the next
 * tick of event time after that. Acknowledging and silencing are the operator's and need a control
 * channel.
 */
#include "fuse-impl.h"

#include <math.h>
#include <string.h>

#include "uw/base/str.h"

#define CONFIDENCE_STEP 0.05

void uw_fuse_alarm_send(struct uw_fuse *fuse, struct uw_fuse_alarm *alarm,
                        enum uw_alert_event event, int64_t time_ns) {
    struct uw_alert *a = &alarm->record;

    uw_fuse_head(fuse, &a->head);
    a->head.time_ns = time_ns;
    a->event = event;
    a->state = event == UW_ALERT_CLEARED ? UW_ALERT_ENDED : UW_ALERT_ACTIVE;
    alarm->active = event != UW_ALERT_CLEARED;
    alarm->sent_ns = time_ns;
    fuse->ops.alert(fuse->userdata, a);
}

static void send(struct uw_fuse *fuse, struct uw_fuse_alarm *alarm, enum uw_alert_event event) {
    uw_fuse_alarm_send(fuse, alarm, event, fuse->time_ns);
}

void uw_fuse_alarm_number(struct uw_fuse *fuse, struct uw_alert *a) {
    uw_fuse_identifier(fuse, 'a', ++fuse->n_alerts_ever, a->alert);
}

/*
 * A link that controls, carries pictures or announces an aircraft wants somebody to look now; one
 * that only behaves like a control link is for information until more is known. Nothing is critical
 * yet: that needs a position inside a zone, or an intent, and neither is known to this program.
 */
static enum uw_severity severity_of(const struct uw_track *t) {
    if (t->authorised)
        return UW_SEVERITY_INFO;
    if (strncmp(t->family, "unknown", 7) == 0)
        return UW_SEVERITY_ADVISORY;
    return UW_SEVERITY_WARNING;
}

static void fill(struct uw_fuse_track *track) {
    const struct uw_track *t = &track->record;
    struct uw_alert *a = &track->alarm.record;

    a->kind = UW_ALERT_UAS;
    a->severity = severity_of(t);
    uw_str_copy(a->track, sizeof(a->track), t->track);
    uw_str_copy(a->family, sizeof(a->family), t->family);
    uw_str_copy(a->signature, sizeof(a->signature), t->signature);
    uw_str_copy(a->variant, sizeof(a->variant), t->variant);
    uw_str_copy(a->domain, sizeof(a->domain), t->domain);
    a->authorised = t->authorised;
    uw_str_copy(a->authorised_rule, sizeof(a->authorised_rule), t->authorised_rule);
    a->confidence = t->confidence;
    a->first_seen_ns = t->first_seen_ns;
    a->last_seen_ns = t->last_seen_ns;
    uw_fuse_text_track(track, a);
}

void uw_fuse_alarm_raise(struct uw_fuse *fuse, struct uw_fuse_track *track) {
    uw_alert_init(&track->alarm.record);
    uw_fuse_alarm_number(fuse, &track->alarm.record);
    fuse->n_uas_ever++;
    fill(track);
    send(fuse, &track->alarm, UW_ALERT_RAISED);
}

/* The headline holds what it is; coasting and the receivers are in the advice. */
static bool differs(const struct uw_alert *old, const struct uw_alert *new) {
    return old->severity != new->severity || strcmp(old->headline, new->headline) != 0 ||
           strcmp(old->signature, new->signature) != 0 || strcmp(old->advice, new->advice) != 0 ||
           fabs(old->confidence - new->confidence) >= CONFIDENCE_STEP;
}

void uw_fuse_alarm_refresh(struct uw_fuse *fuse, struct uw_fuse_track *track) {
    struct uw_fuse_alarm *alarm = &track->alarm;
    struct uw_alert sent = alarm->record;

    fill(track);
    if (!differs(&sent, &alarm->record)) {
        alarm->record = sent;
        return;
    }
    if (fuse->time_ns - alarm->sent_ns < fuse->update_ns) {
        alarm->record = sent;
        return;
    }
    send(fuse, alarm, UW_ALERT_UPDATED);
}

void uw_fuse_alarm_clear(struct uw_fuse *fuse, struct uw_fuse_track *track,
                         enum uw_fuse_cause cause) {
    fill(track);
    uw_fuse_text_cleared(cause, fuse->config.clear_s, &track->alarm.record);
    send(fuse, &track->alarm, UW_ALERT_CLEARED);
}
