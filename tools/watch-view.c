/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The plain view of a node
 *
 * Three things can be wrong, and the worst is said first: nothing comes from the node (then nothing
 * is known at all), a receiver is lost or degraded (then part of the sky is unheard), a drone link
 * is there. Times in the left column are those of the operator's clock; those of the signal are
 * translated into the same, unless it is a recording from another day.
 */
#include "watch-view.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/time.h"
#include "uw/msg/json.h"
#include "watch-text.h"

#define ALERTS_MAX    64
#define TRACKS_MAX    64
#define DETAIL_COLUMN 20 /* where the text of details begins */
#define HEARTBEAT_NS  (60 * UW_NS_PER_S)
#define SETTLE_NS     (2 * UW_NS_PER_S)
#define STALE_S       3.0 /* samples older than this: the receiver gives nothing */

struct shown_alert {
    char alert[UW_ID_LEN];
    struct uw_alert last;
    int64_t since_mono_ns;
};

enum condition { COND_WAITING, COND_NO_DATA, COND_DEAF, COND_PARTLY, COND_OK };

struct uw_view {
    struct uw_view_config config;
    int64_t begin_mono_ns;
    int64_t settled_mono_ns; /* from here on gaps in seq are losses */
    int64_t last_mono_ns;    /* of the latest message; UW_TIME_NONE: none yet */
    int64_t status_mono_ns;  /* when the status line was last drawn */
    bool silent;             /* it has been said that nothing comes */
    bool line_open;          /* the status line is on the screen */
    char run[UW_NAME_LEN];   /* of the node */
    char status_key[256];    /* the meaning of the last status line that was printed */
    bool have_health;
    struct uw_health health;
    int n_alerts; /* that have not ended */
    struct shown_alert alerts[ALERTS_MAX];
    size_t n_tracks; /* ever; a ring */
    struct uw_track tracks[TRACKS_MAX];
    uint64_t next_seq[UW_MSG_TYPE_N];
    uint64_t missed, missed_said;
    uint64_t unreadable;
};

int uw_view_new(const struct uw_view_config *config, int64_t now_mono_ns,
                struct uw_view **ret_view) {
    struct uw_view *view = calloc(1, sizeof(*view));

    if (!view)
        return uw_err(-ENOMEM);
    view->config = *config;
    view->begin_mono_ns = now_mono_ns;
    view->last_mono_ns = UW_TIME_NONE;
    view->status_mono_ns = now_mono_ns;
    *ret_view = view;
    return 0;
}

struct uw_view *uw_view_free(struct uw_view *view) {
    free(view);
    return NULL;
}

static void clear_line(struct uw_view *view) {
    if (view->line_open)
        fprintf(view->config.out, "\r\033[K");
    view->line_open = false;
}

void uw_view_end(struct uw_view *view) {
    clear_line(view);
    fflush(view->config.out);
}

/* "21:04:05  WORD     text": an event, which stays on the screen. */
static void print_event(struct uw_view *view, int64_t now_real_ns, const char *colour,
                        const char *word, const char *text) {
    char clock[UW_CLOCK_LEN];
    bool painted = view->config.colour && colour[0];

    clear_line(view);
    fprintf(view->config.out, "%s  %s%-9s%s %s\n", uw_text_clock(now_real_ns, now_real_ns, clock),
            painted ? colour : "", word, painted ? UW_PLAIN : "", text);
}

/* On a terminal lines are broken between words, so that the left column stays clear. */
static void print_detail(struct uw_view *view, const char *word, const char *text) {
    size_t room = view->config.columns >= DETAIL_COLUMN + 30
                      ? (size_t)view->config.columns - DETAIL_COLUMN
                      : SIZE_MAX;
    size_t left = strlen(text);

    if (left == 0)
        return;
    fprintf(view->config.out, "          %-9s ", word);
    while (left > room) {
        size_t n = room;

        while (n > 0 && text[n] != ' ')
            n--;
        if (n == 0)
            break; /* one long word: the terminal breaks it */
        fprintf(view->config.out, "%.*s\n%*s", (int)n, text, DETAIL_COLUMN, "");
        text += n + 1;
        left -= n + 1;
    }
    fprintf(view->config.out, "%s\n", text);
}

static void ring_bell(struct uw_view *view) {
    if (view->config.columns > 0)
        fputc('\a', view->config.out);
}

static const struct uw_track *find_track(const struct uw_view *view, const char *id) {
    size_t n = view->n_tracks < TRACKS_MAX ? view->n_tracks : TRACKS_MAX;

    for (size_t i = 0; i < n; i++)
        if (strcmp(view->tracks[i].track, id) == 0)
            return &view->tracks[i];
    return NULL;
}

static void note_track(struct uw_view *view, const struct uw_track *t) {
    size_t n = view->n_tracks < TRACKS_MAX ? view->n_tracks : TRACKS_MAX;

    for (size_t i = 0; i < n; i++)
        if (strcmp(view->tracks[i].track, t->track) == 0) {
            view->tracks[i] = *t;
            return;
        }
    view->tracks[view->n_tracks++ % TRACKS_MAX] = *t;
}

static struct shown_alert *find_alert(struct uw_view *view, const char *id) {
    for (int i = 0; i < view->n_alerts; i++)
        if (strcmp(view->alerts[i].alert, id) == 0)
            return &view->alerts[i];
    return NULL;
}

static void print_alert_details(struct uw_view *view, const struct uw_alert *a,
                                int64_t now_real_ns) {
    char text[2 * UW_TEXT_LEN], clock[UW_CLOCK_LEN], age[UW_DURATION_LEN];

    if (a->first_seen_ns != UW_TIME_NONE) {
        snprintf(text, sizeof(text), "%s (%sfor %s)",
                 uw_text_clock(a->first_seen_ns, now_real_ns, clock),
                 a->kind == UW_ALERT_UAS ? "heard " : "",
                 uw_text_duration(a->head.time_ns - a->first_seen_ns, age));
        print_detail(view, "since", text);
    }
    if (!isnan(a->confidence)) {
        snprintf(text, sizeof(text), "%s (%.3f)", uw_text_confidence(a->confidence), a->confidence);
        print_detail(view, "how sure", text);
    }
    if (a->kind == UW_ALERT_UAS) {
        uw_text_where(find_track(view, a->track), text, sizeof(text));
        print_detail(view, "where", text);
    }
    if (a->authorised) {
        snprintf(text, sizeof(text), "yes, by the rule \"%s\"", a->authorised_rule);
        print_detail(view, "own drone", text);
    }
    print_detail(view, "why", a->reason);
    print_detail(view, "advice", a->advice);
    snprintf(text, sizeof(text), "%s, node %s of %s", a->alert, a->head.node, a->head.site);
    print_detail(view, "alert", text);
}

static void alert_headline(const struct uw_alert *a, char *text, size_t size) {
    snprintf(text, size, "%s%s: %s", a->head.exercise ? "EXERCISE, " : "",
             uw_text_severity(a->severity), a->headline);
}

static void alert_raised(struct uw_view *view, const struct uw_alert *a, int64_t now_real_ns) {
    char text[UW_TEXT_LEN + 64];

    alert_headline(a, text, sizeof(text));
    ring_bell(view);
    print_event(view, now_real_ns, UW_BOLD_RED, uw_text_kind(a->kind), text);
    print_alert_details(view, a, now_real_ns);
}

static void alert_ended(struct uw_view *view, const struct uw_alert *a, int64_t now_real_ns) {
    char text[2 * UW_TEXT_LEN + 64], age[UW_DURATION_LEN] = "";

    if (a->first_seen_ns != UW_TIME_NONE && a->last_seen_ns != UW_TIME_NONE)
        uw_text_duration(a->last_seen_ns - a->first_seen_ns, age);
    snprintf(text, sizeof(text), "%s%s%s%s%s%s", a->headline,
             !age[0]                   ? ""
             : a->kind == UW_ALERT_UAS ? " (was heard for "
                                       : " (after ",
             age, age[0] ? ")" : "", a->reason[0] ? ": " : "", a->reason);
    print_event(view, now_real_ns, UW_BOLD, "OVER", text);
}

/* Everything between the beginning and the end; an update that says nothing new is passed over. */
static void alert_changed(struct uw_view *view, const struct uw_alert *before,
                          const struct uw_alert *a, int64_t now_real_ns) {
    char text[2 * UW_TEXT_LEN + 64];

    if (a->event == UW_ALERT_UPDATED) {
        if (strcmp(before->headline, a->headline) == 0 && before->severity == a->severity)
            return;
        alert_headline(a, text, sizeof(text));
        print_event(view, now_real_ns, UW_BOLD_RED, "NOW", text);
        return;
    }
    if (a->event == UW_ALERT_ESCALATED) {
        alert_raised(view, a, now_real_ns);
        return;
    }
    snprintf(text, sizeof(text), "%s%s%s%s%s", a->headline, a->ack_by[0] ? ", by " : "", a->ack_by,
             a->ack_note[0] ? ": " : "", a->ack_note);
    print_event(view, now_real_ns, UW_BOLD, uw_text_event(a->event), text);
}

static void show_alert(struct uw_view *view, const struct uw_alert *a, int64_t now_mono_ns,
                       int64_t now_real_ns) {
    struct shown_alert *shown = find_alert(view, a->alert);

    if (shown && a->head.seq <= shown->last.head.seq)
        return; /* repeated for a new subscription */
    if (a->state == UW_ALERT_ENDED) {
        if (shown) {
            alert_ended(view, a, now_real_ns);
            *shown = view->alerts[--view->n_alerts];
        }
        return;
    }
    if (shown) {
        alert_changed(view, &shown->last, a, now_real_ns);
        shown->last = *a;
        return;
    }
    alert_raised(view, a, now_real_ns);
    if (view->n_alerts == ALERTS_MAX)
        return;
    shown = &view->alerts[view->n_alerts++];
    uw_str_copy(shown->alert, sizeof(shown->alert), a->alert);
    shown->last = *a;
    shown->since_mono_ns = now_mono_ns;
}

/* seq counts without gaps in each type; what is missing was lost on the way here. But at first the
 * node repeats the last of its older messages, which have gaps between them. */
static void count_missed(struct uw_view *view, enum uw_msg_type type, const struct uw_head *head,
                         int64_t now_mono_ns, int64_t now_real_ns) {
    char text[160];

    if (strcmp(view->run, head->run) != 0) {
        if (view->run[0]) {
            snprintf(text, sizeof(text),
                     "was started again (run %s); earlier alerts no longer count", head->run);
            print_event(view, now_real_ns, UW_BOLD, "NODE", text);
        }
        uw_str_copy(view->run, sizeof(view->run), head->run);
        memset(view->next_seq, 0, sizeof(view->next_seq));
        view->n_alerts = 0;
        view->n_tracks = 0;
    }
    if (now_mono_ns >= view->settled_mono_ns && view->next_seq[type] != 0 &&
        head->seq > view->next_seq[type])
        view->missed += head->seq - view->next_seq[type];
    if (head->seq >= view->next_seq[type])
        view->next_seq[type] = head->seq + 1;
}

static void note_data(struct uw_view *view, int64_t now_mono_ns, int64_t now_real_ns) {
    char text[96], age[UW_DURATION_LEN];

    if (view->silent && view->last_mono_ns != UW_TIME_NONE) {
        snprintf(text, sizeof(text), "from the node again, after %s without",
                 uw_text_duration(now_mono_ns - view->last_mono_ns, age));
        print_event(view, now_real_ns, UW_BOLD_GREEN, "DATA", text);
    } else if (view->last_mono_ns == UW_TIME_NONE) {
        snprintf(text, sizeof(text), "from the node at %.60s", view->config.endpoint);
        print_event(view, now_real_ns, UW_BOLD_GREEN, "DATA", text);
    }
    if (view->silent || view->last_mono_ns == UW_TIME_NONE)
        view->settled_mono_ns = now_mono_ns + SETTLE_NS;
    view->silent = false;
    view->last_mono_ns = now_mono_ns;
}

void uw_view_message(struct uw_view *view, const char *json, size_t len, int64_t now_mono_ns,
                     int64_t now_real_ns) {
    enum uw_msg_type type;
    struct uw_health health;
    struct uw_track track;
    struct uw_alert alert;
    int r = uw_msg_peek_type(json, len, NULL, &type);

    if (r == 0)
        note_data(view, now_mono_ns, now_real_ns);
    if (r == 0 && type == UW_MSG_HEALTH) {
        r = uw_health_decode(json, len, NULL, &health);
        if (r == 0) {
            count_missed(view, type, &health.head, now_mono_ns, now_real_ns);
            view->health = health;
            view->have_health = true;
        }
    } else if (r == 0 && type == UW_MSG_TRACK) {
        r = uw_track_decode(json, len, NULL, &track);
        if (r == 0) {
            count_missed(view, type, &track.head, now_mono_ns, now_real_ns);
            note_track(view, &track);
        }
    } else if (r == 0 && type == UW_MSG_ALERT) {
        r = uw_alert_decode(json, len, NULL, &alert);
        if (r == 0) {
            count_missed(view, type, &alert.head, now_mono_ns, now_real_ns);
            show_alert(view, &alert, now_mono_ns, now_real_ns);
        }
    }
    view->unreadable += r != 0;
}

static bool hears(const struct uw_health_receiver *rx) {
    return rx->state != UW_RX_LOST &&
           (isnan(rx->last_sample_age_s) || rx->last_sample_age_s < STALE_S);
}

/* The latest alert about the system itself. */
static const struct uw_alert *find_trouble(const struct uw_view *view) {
    for (int i = view->n_alerts - 1; i >= 0; i--)
        if (view->alerts[i].last.kind != UW_ALERT_UAS)
            return &view->alerts[i].last;
    return NULL;
}

static enum condition condition_of(const struct uw_view *view, int *ret_hearing) {
    const struct uw_health *h = &view->health;
    bool good = true;

    *ret_hearing = 0;
    for (int i = 0; i < h->n_receivers; i++) {
        *ret_hearing += hears(&h->receivers[i]);
        good = good && h->receivers[i].state == UW_RX_OK && hears(&h->receivers[i]);
    }
    if (view->silent)
        return COND_NO_DATA;
    if (view->last_mono_ns == UW_TIME_NONE || !view->have_health)
        return COND_WAITING;
    if (*ret_hearing == 0)
        return COND_DEAF;
    return good && h->n_blind == 0 && !find_trouble(view) ? COND_OK : COND_PARTLY;
}

/* The first thing that is wrong, with what can be done. */
static void describe_trouble(const struct uw_view *view, char *text, size_t size) {
    const struct uw_alert *trouble = find_trouble(view);
    const struct uw_health *h = &view->health;

    for (int i = 0; i < h->n_receivers; i++) {
        const struct uw_health_receiver *rx = &h->receivers[i];

        if (rx->state == UW_RX_OK && hears(rx))
            continue;
        snprintf(text, size, "; %s %s%s%s", rx->receiver,
                 hears(rx) ? "is degraded" : "gives no samples", rx->advice[0] ? ": " : "",
                 rx->advice);
        return;
    }
    if (h->n_blind > 0)
        snprintf(text, size, "; blind in %s%s%s", h->blind[0].band, h->blind[0].why[0] ? ": " : "",
                 h->blind[0].why);
    else if (trouble)
        snprintf(text, size, "; %s", trouble->headline);
}

static void describe_alerts(const struct uw_view *view, char *text, size_t size) {
    const struct uw_alert *last = NULL;
    int n = 0;

    for (int i = 0; i < view->n_alerts; i++)
        if (view->alerts[i].last.kind == UW_ALERT_UAS) {
            last = &view->alerts[i].last;
            n++;
        }
    if (n == 0)
        snprintf(text, size, "no drone link heard");
    else if (n == 1)
        snprintf(text, size, "1 DRONE LINK: %s", last->headline);
    else
        snprintf(text, size, "%d DRONE LINKS, the last: %s", n, last->headline);
}

/* Word and text of the status line; *key is what has to change for a new one to be printed. */
static const char *describe(const struct uw_view *view, int64_t now_mono_ns, char *text,
                            size_t size, const char **ret_colour) {
    char trouble[UW_TEXT_LEN + 96] = "", alerts[UW_TEXT_LEN + 48], age[UW_DURATION_LEN];
    int hearing;
    enum condition condition = condition_of(view, &hearing);
    int64_t since = view->last_mono_ns == UW_TIME_NONE ? view->begin_mono_ns : view->last_mono_ns;

    *ret_colour = condition == COND_OK && view->n_alerts == 0 ? UW_BOLD_GREEN : UW_BOLD_RED;
    if (condition == COND_NO_DATA) {
        snprintf(text, size, "from the node for %s: the system may be deaf",
                 uw_text_duration(now_mono_ns - since, age));
        return "NO DATA";
    }
    if (condition == COND_WAITING) {
        snprintf(text, size, "for the node at %s", view->config.endpoint);
        return "WAITING";
    }
    describe_trouble(view, trouble, sizeof(trouble));
    describe_alerts(view, alerts, sizeof(alerts));
    snprintf(text, size, "%d of %d receiver%s listening; %s%s", hearing, view->health.n_receivers,
             view->health.n_receivers == 1 ? "" : "s", alerts, trouble);
    if (condition == COND_DEAF)
        return "DEAF";
    return condition == COND_OK ? "OK" : "DEGRADED";
}

static void draw_status(struct uw_view *view, int64_t now_mono_ns, int64_t now_real_ns) {
    char text[4 * UW_TEXT_LEN], clock[UW_CLOCK_LEN];
    const char *colour;
    const char *word = describe(view, now_mono_ns, text, sizeof(text), &colour);
    bool painted = view->config.colour;
    char key[sizeof(view->status_key)];
    bool due;

    if (view->config.columns > 0) {
        if (view->line_open && now_mono_ns - view->status_mono_ns < UW_NS_PER_S)
            return;
        fprintf(view->config.out, "\r\033[K%s  %s%-9s%s ",
                uw_text_clock(now_real_ns, now_real_ns, clock), painted ? colour : "", word,
                painted ? UW_PLAIN : "");
        if (view->config.columns > 24)
            uw_cli_print_cut(view->config.out, text, (size_t)view->config.columns - 21);
        view->line_open = true;
        view->status_mono_ns = now_mono_ns;
        return;
    }
    /* the seconds of silence change all the time: not worth a line each */
    snprintf(key, sizeof(key), "%s %.240s", word, view->silent ? "" : text);
    due = strcmp(key, view->status_key) != 0 && !view->silent;
    if (!due && now_mono_ns - view->status_mono_ns < HEARTBEAT_NS)
        return;
    print_event(view, now_real_ns, "", word, text);
    uw_str_copy(view->status_key, sizeof(view->status_key), key);
    view->status_mono_ns = now_mono_ns;
}

static void say_silence(struct uw_view *view, int64_t now_mono_ns, int64_t now_real_ns) {
    bool never = view->last_mono_ns == UW_TIME_NONE;
    int64_t since = never ? view->begin_mono_ns : view->last_mono_ns;
    char text[256];

    if (view->silent || now_mono_ns - since < UW_VIEW_SILENCE_NS)
        return;
    view->silent = true;
    view->status_mono_ns = now_mono_ns;
    uw_str_copy(view->status_key, sizeof(view->status_key), "");
    ring_bell(view);
    snprintf(text, sizeof(text), "from the node for %.0f s: the system may be deaf",
             (double)(now_mono_ns - since) / 1e9);
    print_event(view, now_real_ns, UW_BOLD_RED, "NO DATA", text);
    snprintf(text, sizeof(text), "see that uaswatchd runs and that %.120s is its feed",
             view->config.endpoint);
    print_detail(view, "advice", text);
}

void uw_view_tick(struct uw_view *view, int64_t now_mono_ns, int64_t now_real_ns) {
    char text[128];

    say_silence(view, now_mono_ns, now_real_ns);
    if (view->missed != view->missed_said) {
        snprintf(text, sizeof(text), "%llu messages of the node did not arrive here",
                 (unsigned long long)(view->missed - view->missed_said));
        print_event(view, now_real_ns, UW_BOLD, "MISSED", text);
        view->missed_said = view->missed;
    }
    draw_status(view, now_mono_ns, now_real_ns);
    fflush(view->config.out);
}
