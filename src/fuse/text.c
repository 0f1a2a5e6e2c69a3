/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What an operator reads at three in the morning: what, where, how sure, why, what to do
 *
 * Names of products stay on the level of the radio link: neither model nor owner follows from a
 * waveform. Numbers are formatted from integers, so that no locale can change a comma.
 */
#include "fuse-impl.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/str.h"
#include "uw/base/util.h"

struct text {
    char *at;
    size_t room; /* with the zero */
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...) {
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text->at, text->room, format, args);
    va_end(args);
    if (n < 0)
        return;
    if ((size_t)n >= text->room)
        n = (int)text->room - 1;
    text->at += n;
    text->room -= (size_t)n;
}

/* value with one (tenths) decimal */
static void add_tenths(struct text *text, double value, const char *unit) {
    long long tenths = llround(value * 10);

    add(text, "%s%lld.%lld %s", tenths < 0 ? "-" : "", llabs(tenths) / 10, llabs(tenths) % 10,
        unit);
}

static const char *family_title(const char *family) {
    static const struct {
        const char *family, *title;
    } titles[] = {
        {"analog-video", "analogue video"},
        {"crossfire", "TBS Crossfire"},
        {"dji-droneid", "DJI DroneID"},
        {"dji-ocusync", "DJI OcuSync"},
        {"expresslrs", "ExpressLRS"},
        {"frsky-r9", "FrSky R9"},
        {"mlrs", "mLRS"},
        {"openlrs", "openLRS"},
        {"rc-fm", "FM radio control"},
        {"sik", "SiK telemetry"},
    };

    for (size_t i = 0; i < UW_ARRAY_SIZE(titles); i++)
        if (strcmp(titles[i].family, family) == 0)
            return titles[i].title;
    return family;
}

static const char *role_title(enum uw_role role) {
    switch (role) {
    case UW_ROLE_CONTROL:
        return "Drone control link";
    case UW_ROLE_TELEMETRY:
        return "Drone telemetry link";
    case UW_ROLE_VIDEO:
        return "Drone video link";
    case UW_ROLE_REMOTE_ID:
        return "Drone identification signal";
    default:
        return "Radio link";
    }
}

static void headline(const struct uw_track *t, struct text text) {
    if (strcmp(t->family, "unknown-fhss") == 0) /* what it is used for is not known */
        add(&text, "%sHopping control link of unknown make", t->authorised ? "Authorised: " : "");
    else
        add(&text, "%s%s: %s", t->authorised ? "Authorised: " : "", role_title(t->role),
            family_title(t->family));
    if (t->variant[0])
        add(&text, " %s", t->variant);
    if (t->domain[0])
        add(&text, " (%s)", t->domain);
}

static const char *plural(int64_t n) {
    return n == 1 ? "" : "s";
}

static void add_counts(struct text *text, const struct uw_evidence *e) {
    if (e->bursts > 0)
        add(text, " %lld packet%s", (long long)e->bursts, plural(e->bursts));
    else
        add(text, " a signal");
    if (e->dwells > 0)
        add(text, " in %lld hop%s", (long long)e->dwells, plural(e->dwells));
    if (e->channels > 0 && e->channels_visible >= e->channels)
        add(text, " on %lld of %lld visible channel%s", (long long)e->channels,
            (long long)e->channels_visible, plural(e->channels_visible));
    else if (e->channels > 0)
        add(text, " on %lld channel%s", (long long)e->channels, plural(e->channels));
}

static void add_measures(struct text *text, const struct uw_fuse_member *m) {
    const struct uw_evidence *e = &m->evidence;

    if (isfinite(e->period_s)) {
        add(text, ", one every ");
        add_tenths(text, e->period_s * 1e3, "ms");
    }
    if (isfinite(e->channel_spacing_hz)) { /* nobody's plan: what a reader can look up */
        if (isfinite(e->airtime_s)) {
            add(text, ", each ");
            add_tenths(text, e->airtime_s * 1e3, "ms long");
        }
        if (isfinite(e->hop_interval_s)) {
            add(text, ", a hop every ");
            add_tenths(text, e->hop_interval_s * 1e3, "ms");
        }
        add(text, ", channels ");
        add_tenths(text, e->channel_spacing_hz / 1e3, "kHz apart");
    }
    if (isfinite(e->grid_error_hz)) {
        add(text, ", within ");
        add_tenths(text, e->grid_error_hz / 1e3, "kHz of the channel raster");
    }
    if (isfinite(e->score))
        add(text, ", waveform match %lld %%", llround(e->score * 100));
    if (isfinite(m->freq_hz) && m->centre_known) {
        add(text, ", last at ");
        add_tenths(text, m->freq_hz / 1e6, "MHz");
    }
}

static void add_confidence(struct text *text, double confidence) {
    long long permille;

    if (!isfinite(confidence))
        return;
    permille = (long long)floor(confidence * 1000);
    if (permille >= 999)
        add(text, ". Sure to over 99.9 %%");
    else
        add(text, ". Sure to %lld.%lld %%", permille / 10, permille % 10);
}

static void reason(const struct uw_fuse_track *track, struct text text) {
    const struct uw_fuse_member *m = uw_fuse_strongest(track);

    add(&text, "%s heard", m->receiver);
    add_counts(&text, &m->evidence);
    add_measures(&text, m);
    add_confidence(&text, track->record.confidence);
    add(&text, ".");
}

static void add_receivers(struct text *text, const struct uw_track *t) {
    int shown = t->n_receivers < 3 ? t->n_receivers : 3;

    add(text, t->n_receivers == 1 ? "receiver " : "receivers ");
    for (int i = 0; i < shown; i++)
        add(text, "%s%s", i == 0 ? "" : (i == t->n_receivers - 1 ? " and " : ", "),
            t->receivers[i]);
    if (t->n_receivers > shown)
        add(text, " and %d more", t->n_receivers - shown);
}

static void advice(const struct uw_track *t, struct text text) {
    if (t->authorised) {
        add(&text, "On the list of authorised drones (%s): no action, check that it was expected.",
            t->authorised_rule);
        return;
    }
    if (t->state == UW_TRACK_COASTING)
        add(&text, "Not heard at the moment. ");
    if (strcmp(t->family, "unknown-fhss") == 0)
        add(&text, "It may steer a drone, a model or a machine. ");
    add(&text, t->role == UW_ROLE_REMOTE_ID ? "Look for a drone near "
                                            : "Look for a drone and its pilot near ");
    add_receivers(&text, t);
    add(&text, "; position unknown, anywhere in radio range. "
               "Tell the duty lead and follow the venue's drone plan.");
}

void uw_fuse_text_track(const struct uw_fuse_track *track, struct uw_alert *alert) {
    headline(&track->record, (struct text){alert->headline, sizeof(alert->headline)});
    reason(track, (struct text){alert->reason, sizeof(alert->reason)});
    advice(&track->record, (struct text){alert->advice, sizeof(alert->advice)});
}

void uw_fuse_text_cleared(enum uw_fuse_cause cause, double clear_s, struct uw_alert *alert) {
    struct text reason_text = {alert->reason, sizeof(alert->reason)};
    struct text advice_text = {alert->advice, sizeof(alert->advice)};

    switch (cause) {
    case UW_FUSE_EVIDENCE_GONE:
        add(&reason_text, "What was heard later speaks against it.");
        add(&advice_text, "The alert was probably false. Stand down as the venue's plan says.");
        break;
    case UW_FUSE_INPUT_ENDED:
        add(&reason_text, "end of input");
        add(&advice_text, "The recording ends here; whether the link went on is not known.");
        break;
    case UW_FUSE_NO_ROOM:
        add(&reason_text, "Too many links at once: this one is not followed any more.");
        add(&advice_text, "Whether the link goes on is not known. Keep watching.");
        break;
    default:
        add(&reason_text, "Nothing heard of this link for ");
        add_tenths(&reason_text, clear_s, "s.");
        add(&advice_text, "The drone may have landed, left or gone out of range. "
                          "Keep watching as the venue's plan says.");
    }
}
