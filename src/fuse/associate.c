/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which track a detection belongs to
 *
 * A receiver's detector already follows links; it knows timing and grid to a precision that a
 * record does not carry. So its emitter is the atom here, and the questions left are two: do two
 * receivers hear the same link, and is this new emitter a link that the same receiver lost a while
 * ago?
 *
 * Between receivers the carrier offset says nothing: each crystal adds its own error, up to 60 ppm
 * or 55 kHz at 915 MHz, more than any two transmitters differ. Within one receiver that error is
 * common, and a crystal drifts far less than 3 ppm in the seconds for which a track lives: 5 kHz
 * at 2.4 GHz with room for the measurement. Links that stay on one carrier (video, background) can
 * be told apart by it at any receiver that knows where it is tuned.
 *
 * Where several tracks would do, the one that has appeared closest in time to the new emitter is
 * taken (every receiver hears a link begin at the same moment), then the older one.
 *
 * What was taken for a lost link that had come back shows itself as another when the lost one is
 * heard again: a detector never goes back to an emitter. It is separated then, and goes to the
 * track in which another receiver's has gone before, if there is one. It is always the later one
 * that goes, so that receivers that heard the links begin in the same order do not go crosswise.
 */
#include "fuse-impl.h"

#include <math.h>
#include <string.h>

#include "uw/base/time.h"

#define OFFSET_TOLERANCE_HZ 5e3
#define OFFSET_SAME_HZ      1e3
#define LEVEL_TOLERANCE_DB  25.0 /* fading, and an aircraft that has moved during coast_s */
#define LEVEL_SAME_DB       12.0 /* ... that has not moved: fading alone */
#define CARRIER_TOLERANCE   60e-6
#define TURNS               2 /* one could be what came late or was given away wrongly */

struct uw_fuse_member *uw_fuse_find_member(struct uw_fuse_track *track,
                                           const struct uw_detection *d) {
    for (int i = 0; i < track->n_members; i++) {
        struct uw_fuse_member *m = &track->members[i];
        if (strcmp(m->emitter, d->emitter) == 0 && strcmp(m->receiver, d->receiver) == 0)
            return m;
    }
    return NULL;
}

/* Both known and different. */
static bool names_contradict(const char *a, const char *b) {
    return a[0] != 0 && b[0] != 0 && strcmp(a, b) != 0;
}

/* NAN on either side is no contradiction. */
static bool apart(double a, double b, double tolerance) {
    return fabs(a - b) > tolerance;
}

static bool stays_on_carrier(const struct uw_detection *d) {
    return d->role == UW_ROLE_VIDEO || d->role == UW_ROLE_BACKGROUND;
}

/* After lost samples or a deep fade a detector may find the link again at once, under a new name.
 * That is taken for one link only if the two do not overlap and everything that is measured agrees:
 * of two links whose crystals are good to 10 ppm one pair in ten is within OFFSET_SAME_HZ, and
 * those two would have to take turns. */
static bool is_continued(const struct uw_fuse_track *track, const struct uw_fuse_member *m,
                         const struct uw_detection *d) {
    const struct uw_track *t = &track->record;

    return d->t_start_ns != UW_TIME_NONE && m->last_end_ns <= d->t_start_ns && d->variant[0] &&
           strcmp(t->variant, d->variant) == 0 && strcmp(t->domain, d->domain) == 0 &&
           fabs(m->evidence.offset_hz - d->evidence.offset_hz) <= OFFSET_SAME_HZ &&
           !apart(m->snr_db, d->snr_db, LEVEL_SAME_DB);
}

/* The same receiver's earlier emitter: silent long enough, and like the new one? */
static bool could_resume(const struct uw_fuse *fuse, const struct uw_fuse_track *track,
                         const struct uw_fuse_member *m, const struct uw_detection *d) {
    int64_t start = uw_fuse_start_of(d);

    if (m->last_end_ns > start - fuse->coast_ns && !is_continued(track, m, d))
        return false;
    return !apart(m->evidence.offset_hz, d->evidence.offset_hz, OFFSET_TOLERANCE_HZ) &&
           !apart(m->power_dbfs, d->power_dbfs, LEVEL_TOLERANCE_DB);
}

static bool carriers_contradict(const struct uw_fuse_member *m, const struct uw_detection *d) {
    double tolerance;

    if (!m->centre_known || isnan(d->tuning.centre_hz) || isnan(d->freq_hz))
        return false;
    tolerance = fabs(d->freq_hz) * CARRIER_TOLERANCE;
    if (!isnan(d->bandwidth_hz))
        tolerance += d->bandwidth_hz / 2;
    return apart(m->freq_hz, d->freq_hz, tolerance);
}

static bool could_join(const struct uw_fuse *fuse, const struct uw_fuse_track *track,
                       const struct uw_detection *d) {
    const struct uw_track *t = &track->record;

    if (strcmp(t->signature, d->signature) != 0 || strcmp(t->family, d->family) != 0 ||
        t->role != d->role)
        return false;
    if (names_contradict(t->variant, d->variant) || names_contradict(t->domain, d->domain))
        return false;
    for (int i = 0; i < track->n_members; i++) {
        const struct uw_fuse_member *m = &track->members[i];
        if (strcmp(m->receiver, d->receiver) == 0 && !could_resume(fuse, track, m, d))
            return false;
        if (stays_on_carrier(d) && carriers_contradict(m, d))
            return false;
    }
    return true;
}

static int64_t distance(const struct uw_fuse_track *track, int64_t start_ns) {
    int64_t first_ns = track->record.first_seen_ns;

    return start_ns > first_ns ? start_ns - first_ns : first_ns - start_ns;
}

static bool hears(const struct uw_fuse_track *track, const char *receiver) {
    for (int i = 0; i < track->n_members; i++)
        if (strcmp(track->members[i].receiver, receiver) == 0)
            return true;
    return false;
}

/* Of the tracks that d could join the one that has appeared closest to that time; `without`: only
 * of those that this receiver does not hear. */
static struct uw_fuse_track *find_nearest(struct uw_fuse *fuse, const struct uw_detection *d,
                                          int64_t start_ns, const char *without) {
    struct uw_fuse_track *best = NULL;

    for (size_t i = 0; i < fuse->n_tracks; i++) {
        struct uw_fuse_track *track = fuse->tracks[i];
        if (!(without && hears(track, without)) && could_join(fuse, track, d) &&
            (!best || distance(track, start_ns) < distance(best, start_ns)))
            best = track;
    }
    return best;
}

struct uw_fuse_track *uw_fuse_find_track(struct uw_fuse *fuse, const struct uw_detection *d) {
    for (size_t i = 0; i < fuse->n_tracks; i++)
        if (uw_fuse_find_member(fuse->tracks[i], d))
            return fuse->tracks[i];
    return find_nearest(fuse, d, uw_fuse_start_of(d), NULL);
}

struct uw_fuse_member *uw_fuse_find_stranger(struct uw_fuse_track *track,
                                             const struct uw_detection *d) {
    struct uw_fuse_member *m = uw_fuse_find_member(track, d);

    if (!m || d->t_start_ns == UW_TIME_NONE || stays_on_carrier(d))
        return NULL;
    for (int i = 0; i < track->n_members; i++) {
        struct uw_fuse_member *later = &track->members[i];
        if (strcmp(later->receiver, m->receiver) == 0 &&
            later->first_start_ns > m->first_start_ns && d->t_start_ns >= later->first_start_ns &&
            later->last_end_ns > m->last_end_ns)
            later->n_turns++;
    }
    return m->n_turns >= TURNS ? m : NULL;
}

struct uw_fuse_track *uw_fuse_find_home(struct uw_fuse *fuse, const struct uw_fuse_member *m,
                                        const struct uw_detection *d) {
    return find_nearest(fuse, d, m->first_start_ns, m->receiver);
}
