/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What "uaswatch replay --json" said: tracks, alerts of kind uas, and the summary. */

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "score-impl.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/time.h"
#include "uw/msg/json.h"

#define LINE_MAX_BYTES (1 << 20)

struct reader {
    struct uw_score_results *results;
    const char *name;
    struct uw_diag *diag;
    size_t line;
    bool ended; /* the summary has come */
};

static int bad(const struct reader *in, const char *what) {
    return uw_diag_add(in->diag, "%s:%zu: %s", in->name, in->line, what);
}

static double seconds_of(const struct reader *in, int64_t time_ns) {
    return (double)(time_ns - in->results->start_ns) * 1e-9;
}

/* Ids are few and the latest is asked for most. */
static struct uw_score_track *find_track(struct uw_score_results *r, const char *id) {
    for (size_t i = r->n_tracks; i > 0; i--)
        if (strcmp(r->tracks[i - 1].track, id) == 0)
            return &r->tracks[i - 1];
    return NULL;
}

static int add_track(struct reader *in, const struct uw_track *t, struct uw_score_track **ret) {
    struct uw_score_results *res = in->results;
    int r =
        uw_score_grow((void **)&res->tracks, res->n_tracks, &res->tracks_cap, sizeof(*res->tracks));

    if (r < 0)
        return r;
    *ret = &res->tracks[res->n_tracks++];
    memset(*ret, 0, sizeof(**ret));
    uw_str_copy((*ret)->track, sizeof((*ret)->track), t->track);
    (*ret)->first_s = seconds_of(in, t->head.time_ns);
    return 0;
}

static int take_track(struct reader *in, const struct uw_track *t) {
    struct uw_score_track *track = find_track(in->results, t->track);
    struct uw_score_sighting s = {.freq_hz = t->freq_hz};
    int r = track ? 0 : add_track(in, t, &track);

    if (r < 0)
        return r;
    track->drone = t->drone && t->role != UW_ROLE_BACKGROUND;
    if (t->last_seen_ns == UW_TIME_NONE)
        return 0;
    s.time_s = seconds_of(in, t->last_seen_ns);
    if (track->n_seen > 0 && !(s.time_s > track->seen[track->n_seen - 1].time_s))
        return 0; /* heard nothing new */
    r = uw_score_grow((void **)&track->seen, track->n_seen, &track->seen_cap, sizeof(s));
    if (r == 0)
        track->seen[track->n_seen++] = s;
    return r;
}

static int take_alert(struct reader *in, const struct uw_alert *a) {
    struct uw_score_results *res = in->results;
    struct uw_score_alert *alert = NULL;
    int r;

    if (a->kind != UW_ALERT_UAS)
        return 0;
    for (size_t i = res->n_alerts; i > 0 && !alert; i--)
        if (strcmp(res->alerts[i - 1].alert, a->alert) == 0)
            alert = &res->alerts[i - 1];
    if (!alert) {
        if (a->event != UW_ALERT_RAISED)
            return bad(in, "alert: an event of an alert that was not raised before");
        r = uw_score_grow((void **)&res->alerts, res->n_alerts, &res->alerts_cap, sizeof(*alert));
        if (r < 0)
            return r;
        alert = &res->alerts[res->n_alerts++];
        memset(alert, 0, sizeof(*alert));
        uw_str_copy(alert->alert, sizeof(alert->alert), a->alert);
        uw_str_copy(alert->track, sizeof(alert->track), a->track);
        alert->raised_s = seconds_of(in, a->head.time_ns);
        alert->confidence = a->confidence;
    }
    uw_str_copy(alert->family, sizeof(alert->family), a->family);
    uw_str_copy(alert->variant, sizeof(alert->variant), a->variant);
    uw_str_copy(alert->domain, sizeof(alert->domain), a->domain);
    return 0;
}

/* Lines that are no message of the feed: summary, and what "replay --each" prints. */
static int take_other(struct reader *in, const char *line, size_t len) {
    json_t *o = json_loadb(line, len, 0, NULL);
    const char *type = json_string_value(json_object_get(o, "type"));
    const json_t *seconds = json_object_get(o, "seconds");
    bool timed = json_is_number(seconds) && json_number_value(seconds) >= 0;
    int r = 0;

    if (!type)
        r = bad(in, "not a line of uaswatch replay --json");
    else if (strcmp(type, "recording") == 0)
        r = bad(in, "results of replay --each cannot be told apart: replay one by one");
    else if (strcmp(type, "summary") == 0 && !timed)
        r = bad(in, "summary: seconds is needed");
    else if (strcmp(type, "summary") == 0) {
        in->results->seconds = json_number_value(seconds);
        in->ended = true;
    } /* other types are a newer version's */
    json_decref(o);
    return r;
}

/* The decoder's own words, with the line before them. */
static int undecoded(const struct reader *in, int r, const struct uw_diag *why) {
    return r < 0 ? r : bad(in, why->n > 0 ? why->text[0] : "unusable");
}

static int take_line(struct reader *in, const char *line, size_t len) {
    /* too large for the stack */
    static struct uw_track track;
    static struct uw_alert alert;
    static struct uw_diag why;
    enum uw_msg_type type;
    int r;

    why.n = 0;
    if (in->ended)
        return bad(in, "something follows the summary");
    if (uw_msg_peek_type(line, len, &why, &type) != 0)
        return take_other(in, line, len);
    if (type == UW_MSG_TRACK) {
        r = uw_track_decode(line, len, &why, &track);
        return r == 0 ? take_track(in, &track) : undecoded(in, r, &why);
    }
    if (type == UW_MSG_ALERT) {
        r = uw_alert_decode(line, len, &why, &alert);
        return r == 0 ? take_alert(in, &alert) : undecoded(in, r, &why);
    }
    return 0;
}

int uw_score_results_read(struct uw_score_results *results, int64_t start_ns, const char *name,
                          FILE *f, struct uw_diag *diag) {
    struct reader in = {.results = results, .name = name, .diag = diag};
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    int r = 0;

    results->start_ns = start_ns;
    while (r == 0 && (len = getline(&line, &size, f)) > 0) {
        in.line++;
        if (len > LINE_MAX_BYTES)
            r = bad(&in, "a line of more than 1 MiB");
        else
            r = take_line(&in, line, (size_t)len);
    }
    free(line);
    if (r == 0 && ferror(f))
        r = uw_diag_add(diag, "%s: %s", name, strerror(errno));
    if (r == 0 && !in.ended)
        r = uw_diag_add(diag, "%s: no summary at its end: is the replay complete?", name);
    return r;
}

void uw_score_results_deinit(struct uw_score_results *results) {
    for (size_t i = 0; i < results->n_tracks; i++)
        free(results->tracks[i].seen);
    free(results->tracks);
    free(results->alerts);
    memset(results, 0, sizeof(*results));
}
