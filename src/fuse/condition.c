/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Alerts about the system itself: a receiver, a band, a part of the node
 *
 * Whether something is the matter, and when it is over, is decided by the caller, who knows clocks
 * and devices; here it gets an identifier and a life-cycle. What was cleared and comes again is a
 * new alert.
 */
#include "fuse-impl.h"

#include <stddef.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/time.h"

static struct uw_fuse_alarm *find(struct uw_fuse *fuse, enum uw_alert_kind kind,
                                  const char *subject) {
    for (size_t i = 0; i < UW_FUSE_CONDITIONS_MAX; i++) {
        struct uw_fuse_alarm *alarm = &fuse->conditions[i];
        if (alarm->active && alarm->record.kind == kind &&
            strncmp(alarm->subject, subject, sizeof(alarm->subject) - 1) == 0)
            return alarm;
    }
    return NULL;
}

static struct uw_fuse_alarm *find_free(struct uw_fuse *fuse) {
    for (size_t i = 0; i < UW_FUSE_CONDITIONS_MAX; i++)
        if (!fuse->conditions[i].active)
            return &fuse->conditions[i];
    return NULL;
}

static void name_subject(struct uw_alert *a, const char *subject) {
    if (a->kind == UW_ALERT_RECEIVER)
        uw_str_copy(a->receiver, sizeof(a->receiver), subject);
    else if (a->kind == UW_ALERT_COVERAGE)
        uw_str_copy(a->band, sizeof(a->band), subject);
    else
        uw_str_copy(a->part, sizeof(a->part), subject);
}

static void copy_text(char text[UW_TEXT_LEN], const char *new) {
    uw_str_copy(text, UW_TEXT_LEN, new ? new : "");
}

static void fill(struct uw_alert *a, const struct uw_fuse_condition *c, int64_t time_ns) {
    a->severity = c->severity;
    a->problem = c->problem;
    copy_text(a->headline, c->headline);
    copy_text(a->reason, c->reason);
    copy_text(a->advice, c->advice);
    a->last_seen_ns = time_ns > a->first_seen_ns ? time_ns : a->first_seen_ns;
}

static struct uw_fuse_alarm *begin(struct uw_fuse *fuse, const struct uw_fuse_condition *c,
                                   int64_t time_ns) {
    struct uw_fuse_alarm *alarm = find_free(fuse);

    if (!alarm)
        return NULL;
    memset(alarm, 0, sizeof(*alarm));
    uw_alert_init(&alarm->record);
    uw_fuse_alarm_number(fuse, &alarm->record);
    uw_str_copy(alarm->subject, sizeof(alarm->subject), c->subject);
    alarm->record.kind = c->kind;
    name_subject(&alarm->record, c->subject);
    alarm->record.first_seen_ns = c->since_ns != UW_TIME_NONE ? c->since_ns : time_ns;
    return alarm;
}

int uw_fuse_condition_set(struct uw_fuse *fuse, const struct uw_fuse_condition *c,
                          int64_t time_ns) {
    struct uw_fuse_alarm *alarm = find(fuse, c->kind, c->subject);
    struct uw_alert before;
    bool differs, matters;

    if (!alarm) {
        alarm = begin(fuse, c, time_ns);
        if (!alarm)
            return UW_E_AGAIN;
        fill(&alarm->record, c, time_ns);
        uw_fuse_alarm_send(fuse, alarm, UW_ALERT_RAISED, time_ns);
        return 0;
    }
    before = alarm->record;
    fill(&alarm->record, c, time_ns);
    matters = before.severity != alarm->record.severity || before.problem != alarm->record.problem;
    differs = strcmp(before.headline, alarm->record.headline) != 0 ||
              strcmp(before.reason, alarm->record.reason) != 0 ||
              strcmp(before.advice, alarm->record.advice) != 0;
    if (matters || (differs && time_ns - alarm->sent_ns >= fuse->update_ns))
        uw_fuse_alarm_send(fuse, alarm, UW_ALERT_UPDATED, time_ns);
    else
        alarm->record = before;
    return 0;
}

void uw_fuse_condition_clear(struct uw_fuse *fuse, enum uw_alert_kind kind, const char *subject,
                             const char *headline, const char *reason, int64_t time_ns) {
    struct uw_fuse_alarm *alarm = find(fuse, kind, subject);

    if (!alarm)
        return;
    fill(&alarm->record,
         &(struct uw_fuse_condition){
             .severity = alarm->record.severity,
             .problem = alarm->record.problem,
             .headline = headline,
             .reason = reason,
             .advice = "No action.",
         },
         time_ns);
    uw_fuse_alarm_send(fuse, alarm, UW_ALERT_CLEARED, time_ns);
}
