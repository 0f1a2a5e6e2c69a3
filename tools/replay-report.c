/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What "uaswatch replay" prints
 *
 * For people a calm table: one line when a link is first heard, one for each turn of an alert, and
 * at the end what it all amounts to. Track updates are many and say little: they only serve to know
 * the latest frequency. JSON is passed on as it came, but for health, which depends on the clock
 * and would make equal runs differ.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "replay-impl.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/time.h"
#include "uw/msg/json.h"

#define HEARD_MAX   64  /* signatures */
#define TRACKS_MAX  512 /* remembered; older ones make room */
#define PROGRESS_S  1.0
#define BAR_COLUMNS 30

/* What was heard of one signature. */
struct heard {
    char signature[UW_NAME_LEN];
    char family[UW_NAME_LEN];
    bool drone;
    uint64_t detections;
    double freq_hz, snr_db; /* of the latest */
    bool shown;
    bool absolute; /* freq_hz is one, not an offset */
};

struct known_track {
    char track[UW_ID_LEN];
    double freq_hz;
    bool shown;
};

struct uw_report {
    pthread_mutex_t lock;
    bool json;
    bool colour;
    bool header_done;
    bool progress_shown;
    char recording[UW_PATH_LEN]; /* "": all of them together */
    size_t n_heard;
    struct heard heard[HEARD_MAX];
    size_t n_tracks; /* ever; the ring holds the last TRACKS_MAX */
    struct known_track tracks[TRACKS_MAX];
};

#define BOLD_RED "\033[1;31m"
#define BOLD     "\033[1m"
#define DIM      "\033[2m"
#define PLAIN    "\033[0m"

int uw_report_new(bool json, struct uw_report **ret_report) {
    struct uw_report *report = calloc(1, sizeof(*report));

    if (!report)
        return uw_err(-ENOMEM);
    pthread_mutex_init(&report->lock, NULL);
    report->json = json;
    report->colour = uw_cli_colour(stdout);
    *ret_report = report;
    return 0;
}

struct uw_report *uw_report_free(struct uw_report *report) {
    if (report)
        pthread_mutex_destroy(&report->lock);
    free(report);
    return NULL;
}

static void clear_progress(struct uw_report *report) {
    if (report->progress_shown)
        fprintf(stderr, "\r\033[K");
    report->progress_shown = false;
}

void uw_report_begin(struct uw_report *report, const char *recording) {
    pthread_mutex_lock(&report->lock);
    uw_str_copy(report->recording, sizeof(report->recording), recording);
    report->n_heard = 0;
    report->n_tracks = 0;
    pthread_mutex_unlock(&report->lock);
}

static struct heard *find_heard(struct uw_report *report, const char *signature) {
    for (size_t i = 0; i < report->n_heard; i++)
        if (strcmp(report->heard[i].signature, signature) == 0)
            return &report->heard[i];
    return NULL;
}

void uw_report_detection(struct uw_report *report, const struct uw_detection *d) {
    struct heard *h;

    pthread_mutex_lock(&report->lock);
    h = find_heard(report, d->signature);
    if (!h && report->n_heard < HEARD_MAX) {
        h = &report->heard[report->n_heard++];
        memset(h, 0, sizeof(*h));
        uw_str_copy(h->signature, sizeof(h->signature), d->signature);
        uw_str_copy(h->family, sizeof(h->family), d->family);
        h->drone = d->drone;
    }
    if (h) {
        h->detections++;
        h->freq_hz = d->freq_hz;
        h->snr_db = d->snr_db;
        h->absolute = !isnan(d->tuning.centre_hz);
    }
    pthread_mutex_unlock(&report->lock);
}

/* Time of day: for a recording without a start this is the position in it. */
static void print_time(int64_t time_ns) {
    char buf[UW_TIME_LEN];

    uw_time_format(time_ns, buf);
    printf("%.12s  ", buf + strlen("1970-01-01T"));
}

static void format_mhz(char *buf, size_t size, double freq_hz, bool absolute) {
    if (isnan(freq_hz))
        snprintf(buf, size, "-");
    else
        snprintf(buf, size, absolute ? "%.3f" : "%+.3f", freq_hz / 1e6);
}

static const char *or_dash(const char *s) {
    return s[0] ? s : "-";
}

struct row {
    int64_t time_ns;
    const char *signature, *variant, *domain;
    double freq_hz, confidence;
};

/* All columns but the last, which is free text. */
static void print_row(struct uw_report *report, const struct row *row) {
    const struct heard *h = find_heard(report, row->signature);
    char mhz[32], snr[16] = "-", sure[16] = "-";

    if (!report->header_done)
        printf("%s%-12s  %-15s %-9s %-9s %9s %6s %5s  %s%s\n", report->colour ? BOLD : "", "TIME",
               "SIGNATURE", "VARIANT", "DOMAIN", "MHz", "SNR dB", "SURE", "WHAT",
               report->colour ? PLAIN : "");
    report->header_done = true;
    format_mhz(mhz, sizeof(mhz), row->freq_hz, !h || h->absolute);
    if (h && !isnan(h->snr_db))
        snprintf(snr, sizeof(snr), "%.1f", h->snr_db);
    if (!isnan(row->confidence))
        snprintf(sure, sizeof(sure), "%.2f", row->confidence);
    print_time(row->time_ns);
    uw_cli_print_cell(stdout, or_dash(row->signature), 15);
    putchar(' ');
    uw_cli_print_cell(stdout, or_dash(row->variant), 9);
    putchar(' ');
    uw_cli_print_cell(stdout, or_dash(row->domain), 9);
    printf(" %9s %6s %5s  ", mhz, snr, sure);
}

static const char *role_text(const struct uw_track *t) {
    static const char *const texts[UW_ROLE_N] = {
        [UW_ROLE_CONTROL] = "control link",
        [UW_ROLE_TELEMETRY] = "telemetry link",
        [UW_ROLE_VIDEO] = "video link",
        [UW_ROLE_REMOTE_ID] = "remote identification",
        [UW_ROLE_BACKGROUND] = "background, no drone",
    };

    return t->role < UW_ROLE_N ? texts[t->role] : "link";
}

static struct known_track *find_track(struct uw_report *report, const char *id) {
    size_t n = report->n_tracks < TRACKS_MAX ? report->n_tracks : TRACKS_MAX;

    for (size_t i = 0; i < n; i++)
        if (strcmp(report->tracks[i].track, id) == 0)
            return &report->tracks[i];
    return NULL;
}

static struct known_track *note_track(struct uw_report *report, const struct uw_track *t) {
    struct known_track *known = find_track(report, t->track);

    if (!known) {
        known = &report->tracks[report->n_tracks++ % TRACKS_MAX];
        uw_str_copy(known->track, sizeof(known->track), t->track);
        known->freq_hz = NAN;
        known->shown = false;
    }
    if (!isnan(t->freq_hz))
        known->freq_hz = t->freq_hz;
    return known;
}

/* Whether a track deserves a line. A first burst says little, so a drone's link must have become
 * more likely than not; background is told once a signature. An alert has a line of its own. */
static bool is_news(struct uw_report *report, const struct uw_track *t,
                    const struct known_track *known) {
    struct heard *h = find_heard(report, t->signature);
    bool first = h && !h->shown;

    if (t->role != UW_ROLE_BACKGROUND)
        return !known->shown && t->state == UW_TRACK_TENTATIVE && t->confidence >= 0.5;
    if (first)
        h->shown = true;
    return first;
}

static void show_track(struct uw_report *report, const struct uw_track *t) {
    struct known_track *known = note_track(report, t);
    struct row row = {t->head.time_ns, t->signature,   t->variant,
                      t->domain,       known->freq_hz, t->confidence};

    if (!is_news(report, t, known))
        return;
    known->shown = true;
    clear_progress(report);
    print_row(report, &row);
    printf("heard: %s%s\n", role_text(t), t->authorised ? " (own drone)" : "");
}

static void show_alert(struct uw_report *report, const struct uw_alert *a) {
    const struct known_track *known = find_track(report, a->track);
    struct row row = {a->head.time_ns, a->signature, a->variant, a->domain, NAN, a->confidence};
    bool raised = a->event == UW_ALERT_RAISED || a->event == UW_ALERT_ESCALATED;
    bool over = a->state == UW_ALERT_ENDED;

    if (a->kind == UW_ALERT_RECEIVER || (!raised && !over))
        return; /* a recording that cannot be read on gets an error line, which says more */
    if (known)
        row.freq_hz = known->freq_hz;
    clear_progress(report);
    if (report->colour && raised)
        printf(BOLD_RED);
    print_row(report, &row);
    printf("%s%s: %s%s\n", a->head.exercise ? "EXERCISE " : "", raised ? "ALERT" : "alert over",
           a->headline, report->colour && raised ? PLAIN : "");
    if (a->reason[0])
        printf("%s%14s%s%s\n", report->colour ? DIM : "", "", a->reason,
               report->colour ? PLAIN : "");
}

void uw_report_message(struct uw_report *report, enum uw_msg_type type, const char *json) {
    struct uw_track t;
    struct uw_alert a;

    pthread_mutex_lock(&report->lock);
    if (report->json) {
        if (type != UW_MSG_HEALTH) {
            clear_progress(report);
            puts(json);
        }
    } else if (type == UW_MSG_TRACK && uw_track_decode(json, strlen(json), NULL, &t) == 0) {
        show_track(report, &t);
    } else if (type == UW_MSG_ALERT && uw_alert_decode(json, strlen(json), NULL, &a) == 0) {
        show_alert(report, &a);
    }
    pthread_mutex_unlock(&report->lock);
}

void uw_report_progress(struct uw_report *report, double fraction, double elapsed_s) {
    char bar[BAR_COLUMNS + 1];
    int filled;

    if (elapsed_s < PROGRESS_S || uw_cli_columns(stderr) == 0)
        return;
    pthread_mutex_lock(&report->lock);
    fflush(stdout); /* in order, when both are the same terminal */
    if (isnan(fraction)) {
        fprintf(stderr, "\r\033[Kreplaying, %.0f s", elapsed_s);
    } else {
        filled = (int)(fraction * BAR_COLUMNS);
        for (int i = 0; i < BAR_COLUMNS; i++)
            bar[i] = i < filled ? '#' : '.';
        bar[BAR_COLUMNS] = '\0';
        fprintf(stderr, "\r\033[Kreplaying [%s] %3.0f %%", bar, fraction * 100);
        if (fraction > 0.02)
            fprintf(stderr, ", %.0f s to go", elapsed_s / fraction * (1 - fraction));
    }
    report->progress_shown = true;
    pthread_mutex_unlock(&report->lock);
}

void uw_report_progress_end(struct uw_report *report) {
    pthread_mutex_lock(&report->lock);
    clear_progress(report);
    pthread_mutex_unlock(&report->lock);
}

static void print_json_summary(const char *type, const char *recording,
                               const struct uw_engine_summary *s) {
    double factor = s->wall_s > 0 ? s->seconds / s->wall_s : 0;
    json_t *o = json_pack("{s:s}", "type", type);

    if (recording[0])
        json_object_set_new(o, "recording", json_string(recording));
    json_object_set_new(o, "seconds", json_real(s->seconds));
    json_object_set_new(o, "samples", json_integer((json_int_t)s->samples));
    json_object_set_new(o, "wall_s", json_real(s->wall_s));
    json_object_set_new(o, "realtime_factor", json_real(factor));
    json_object_set_new(o, "detections", json_integer((json_int_t)s->detections));
    json_object_set_new(o, "tracks", json_integer((json_int_t)s->tracks));
    json_object_set_new(o, "alerts", json_integer((json_int_t)s->alerts));
    json_object_set_new(o, "dropped", json_integer((json_int_t)s->dropped));
    json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(o);
}

static void print_heard(const struct uw_report *report, bool drone, const char *intro) {
    bool any = false;
    char mhz[32];

    for (size_t i = 0; i < report->n_heard; i++) {
        const struct heard *h = &report->heard[i];

        if (h->drone != drone)
            continue;
        format_mhz(mhz, sizeof(mhz), h->freq_hz, h->absolute);
        printf("%s%s (%" PRIu64 " detection%s, last at %s MHz)", any ? ", " : intro, h->signature,
               h->detections, h->detections == 1 ? "" : "s", mhz);
        any = true;
    }
    if (any)
        printf(".\n");
}

/* What there is to say when there was no alert. */
static void print_quiet(const struct uw_report *report) {
    printf("No alert.%s\n", report->n_heard == 0 ? " Nothing that is known was heard." : "");
    print_heard(report, true, "Heard, but not enough for an alert: ");
    print_heard(report, false, "Background heard: ");
}

static void print_amount(const struct uw_engine_summary *s) {
    printf("%" PRIu64 " alert%s, %" PRIu64 " track%s, %" PRIu64 " detection%s in %.3g s of signal"
           " (%.3g M samples)",
           s->alerts, s->alerts == 1 ? "" : "s", s->tracks, s->tracks == 1 ? "" : "s",
           s->detections, s->detections == 1 ? "" : "s", s->seconds, (double)s->samples / 1e6);
    if (s->dropped > 0)
        printf(", %" PRIu64 " samples lost", s->dropped);
}

void uw_report_recording(struct uw_report *report, const struct uw_engine_summary *summary) {
    pthread_mutex_lock(&report->lock);
    clear_progress(report);
    if (report->json) {
        print_json_summary("recording", report->recording, summary);
    } else {
        printf("%s: ", report->recording);
        print_amount(summary);
        printf(".\n");
        if (summary->alerts == 0 && report->n_heard > 0) {
            print_heard(report, true, "  heard, but not enough for an alert: ");
            print_heard(report, false, "  background heard: ");
        }
    }
    pthread_mutex_unlock(&report->lock);
}

void uw_report_summary(struct uw_report *report, const struct uw_engine_summary *summary,
                       bool stopped) {
    pthread_mutex_lock(&report->lock);
    clear_progress(report);
    if (report->json) {
        print_json_summary("summary", "", summary);
    } else {
        if (report->header_done)
            putchar('\n');
        if (stopped)
            printf("Stopped before the end.\n");
        if (summary->alerts == 0 && !report->recording[0])
            print_quiet(report);
        print_amount(summary);
        printf("; took %.2f s", summary->wall_s);
        if (summary->wall_s > 0)
            printf(", %.3g times real time", summary->seconds / summary->wall_s);
        printf(".\n");
    }
    pthread_mutex_unlock(&report->lock);
}
