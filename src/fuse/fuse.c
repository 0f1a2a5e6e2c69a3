/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fusion's time and limits
 *
 * Time moves only by what the caller says. On its way it stops at every multiple of UW_FUSE_TICK_NS
 * at which a track lives; there, and at detections, everything happens. As a tick at time t comes
 * before a detection at t, whoever says how far the signal has come may say it in any number of
 * steps: the output is the same.
 */
#include "uw/fuse/fuse.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuse-impl.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/time.h"

void uw_fuse_config_init(struct uw_fuse_config *config) {
    *config = (struct uw_fuse_config){
        .site = "site",
        .node = "node",
        .run = "run",
        .false_alerts_per_hour = 1.0 / 720,
        .trials_per_hour = 3600,
        .coast_s = 3,
        .clear_s = 10,
        .update_s = 1,
        .max_tracks = 256,
    };
}

static int64_t to_ns(double seconds) {
    return (int64_t)llround(seconds * 1e9);
}

static bool config_is_sane(const struct uw_fuse_config *c) {
    return c->false_alerts_per_hour > 0 && c->trials_per_hour > 0 && c->coast_s > 0 &&
           c->clear_s >= c->coast_s && c->clear_s < 1e6 && c->update_s >= 0 && c->update_s < 1e6 &&
           c->max_tracks > 0;
}

static void derive(struct uw_fuse *fuse) {
    const struct uw_fuse_config *config = &fuse->config;

    fuse->coast_ns = to_ns(config->coast_s);
    fuse->clear_ns = to_ns(config->clear_s);
    fuse->update_ns = to_ns(config->update_s);
    fuse->prior = log(config->trials_per_hour);
    fuse->threshold = fuse->prior - log(config->false_alerts_per_hour);
}

int uw_fuse_new(const struct uw_fuse_config *config, const struct uw_fuse_ops *ops, void *userdata,
                struct uw_fuse **ret_fuse) {
    struct uw_fuse *fuse;

    if (!config_is_sane(config))
        return uw_err(-EINVAL);
    fuse = calloc(1, sizeof(*fuse));
    if (!fuse)
        return uw_err(-ENOMEM);
    fuse->tracks = calloc((size_t)config->max_tracks, sizeof(struct uw_fuse_track *));
    if (!fuse->tracks) {
        free(fuse);
        return uw_err(-ENOMEM);
    }
    fuse->config = *config;
    fuse->ops = *ops;
    fuse->userdata = userdata;
    derive(fuse);
    fuse->time_ns = UW_TIME_NONE;
    *ret_fuse = fuse;
    return 0;
}

int uw_fuse_configure(struct uw_fuse *fuse, const struct uw_fuse_config *config) {
    struct uw_fuse_config new = *config;
    struct uw_fuse_track **tracks;

    if (!config_is_sane(config))
        return uw_err(-EINVAL);
    if (new.max_tracks < (int64_t)fuse->n_tracks)
        new.max_tracks = (int64_t)fuse->n_tracks;
    tracks = realloc(fuse->tracks, (size_t) new.max_tracks * sizeof(struct uw_fuse_track *));
    if (!tracks)
        return uw_err(-ENOMEM);
    fuse->tracks = tracks;
    memcpy(new.site, fuse->config.site, sizeof(new.site));
    memcpy(new.node, fuse->config.node, sizeof(new.node));
    memcpy(new.run, fuse->config.run, sizeof(new.run));
    fuse->config = new;
    derive(fuse);
    return 0;
}

struct uw_fuse *uw_fuse_free(struct uw_fuse *fuse) {
    if (!fuse)
        return NULL;
    for (size_t i = 0; i < fuse->n_tracks; i++)
        free(fuse->tracks[i]);
    free(fuse->tracks);
    free(fuse);
    return NULL;
}

double uw_fuse_threshold(const struct uw_fuse *fuse) {
    return fuse->threshold;
}

void uw_fuse_head(const struct uw_fuse *fuse, struct uw_head *head) {
    memset(head, 0, sizeof(*head));
    uw_str_copy(head->site, sizeof(head->site), fuse->config.site);
    uw_str_copy(head->node, sizeof(head->node), fuse->config.node);
    uw_str_copy(head->run, sizeof(head->run), fuse->config.run);
    head->exercise = fuse->config.exercise;
    head->time_ns = fuse->time_ns;
}

void uw_fuse_identifier(const struct uw_fuse *fuse, char letter, int64_t number,
                        char id[UW_ID_LEN]) {
    /* the bound keeps it within UW_ID_LEN beside the longest run */
    snprintf(id, UW_ID_LEN, "%s-%c%llu", fuse->config.run, letter,
             (unsigned long long)number % 1000000000000ULL);
}

static void remove_track(struct uw_fuse *fuse, size_t i) {
    free(fuse->tracks[i]);
    fuse->n_tracks--;
    memmove(&fuse->tracks[i], &fuse->tracks[i + 1],
            (fuse->n_tracks - i) * sizeof(struct uw_fuse_track *));
}

static void remove_ended(struct uw_fuse *fuse) {
    for (size_t i = 0; i < fuse->n_tracks;) {
        if (fuse->tracks[i]->record.state == UW_TRACK_ENDED)
            remove_track(fuse, i);
        else
            i++;
    }
}

static int64_t next_tick(int64_t time_ns) {
    int64_t remainder = time_ns % UW_FUSE_TICK_NS;

    if (remainder < 0)
        remainder += UW_FUSE_TICK_NS;
    return time_ns - remainder + UW_FUSE_TICK_NS;
}

int uw_fuse_advance(struct uw_fuse *fuse, int64_t time_ns) {
    if (time_ns == UW_TIME_NONE)
        return 0;
    if (fuse->time_ns == UW_TIME_NONE)
        fuse->time_ns = time_ns;
    while (fuse->n_tracks > 0 && next_tick(fuse->time_ns) <= time_ns) {
        fuse->time_ns = next_tick(fuse->time_ns);
        for (size_t i = 0; i < fuse->n_tracks; i++)
            uw_fuse_track_tick(fuse, fuse->tracks[i]);
        remove_ended(fuse);
    }
    if (time_ns > fuse->time_ns)
        fuse->time_ns = time_ns;
    return 0;
}

/* A full table must not hide a drone behind the noise of a busy band: background goes first, then
 * the weakest of those that have not been confirmed. False if there is none to spare. */
static bool make_room(struct uw_fuse *fuse) {
    size_t worst = fuse->n_tracks;

    for (size_t i = 0; i < fuse->n_tracks; i++) {
        const struct uw_track *t = &fuse->tracks[i]->record;
        const struct uw_track *w = worst < fuse->n_tracks ? &fuse->tracks[worst]->record : NULL;
        if (t->drone && t->state != UW_TRACK_TENTATIVE)
            continue;
        if (!w || (w->drone && !t->drone) || (w->drone == t->drone && t->llr < w->llr))
            worst = i;
    }
    if (worst == fuse->n_tracks)
        return false;
    uw_fuse_track_end(fuse, fuse->tracks[worst], UW_FUSE_NO_ROOM);
    remove_track(fuse, worst);
    return true;
}

static int add_track(struct uw_fuse *fuse, const struct uw_detection *d,
                     struct uw_fuse_track **ret_track) {
    int r = uw_fuse_track_new(fuse, d, ret_track);

    if (r < 0)
        return r;
    fuse->tracks[fuse->n_tracks++] = *ret_track;
    return 0;
}

/* Two links that were taken for one. Without room for another track they stay together. */
static int separate(struct uw_fuse *fuse, const struct uw_detection *d,
                    struct uw_fuse_track **track) {
    struct uw_fuse_member *stranger = uw_fuse_find_stranger(*track, d);
    struct uw_fuse_track *home;
    int r;

    if (!stranger)
        return 0;
    home = uw_fuse_find_home(fuse, stranger, d);
    if (!home) {
        if (fuse->n_tracks == (size_t)fuse->config.max_tracks)
            return 0;
        r = add_track(fuse, d, &home);
        if (r < 0)
            return r;
    }
    uw_fuse_track_move(fuse, *track, stranger, home);
    uw_fuse_track_settle(fuse, *track);
    *track = home; /* d is still to be told to it, and settles it */
    return 0;
}

int uw_fuse_detection(struct uw_fuse *fuse, const struct uw_detection *d) {
    struct uw_fuse_track *track;
    int r;

    if (d->t_end_ns == UW_TIME_NONE)
        return 0;
    uw_fuse_advance(fuse, d->t_end_ns);
    track = uw_fuse_find_track(fuse, d);
    if (track) {
        r = separate(fuse, d, &track);
    } else {
        if (fuse->n_tracks == (size_t)fuse->config.max_tracks) {
            fuse->n_dropped++;
            if (!d->drone || !make_room(fuse))
                return 0;
        }
        r = add_track(fuse, d, &track);
    }
    if (r < 0)
        return r;
    uw_fuse_track_detection(fuse, track, d);
    return 0;
}

int uw_fuse_finish(struct uw_fuse *fuse, bool ended) {
    if (!ended)
        return 0;
    for (size_t i = 0; i < fuse->n_tracks; i++)
        uw_fuse_track_end(fuse, fuse->tracks[i], UW_FUSE_INPUT_ENDED);
    remove_ended(fuse);
    assert(fuse->n_tracks == 0);
    return 0;
}

int64_t uw_fuse_n_tracks(const struct uw_fuse *fuse) {
    return fuse->n_tracks_ever;
}

int64_t uw_fuse_n_alerts(const struct uw_fuse *fuse) {
    return fuse->n_uas_ever;
}

int64_t uw_fuse_n_dropped(const struct uw_fuse *fuse) {
    return fuse->n_dropped;
}
