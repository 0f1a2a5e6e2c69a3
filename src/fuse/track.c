/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tracks: evidence, state machine, records
 *
 *                PROVEN                QUIET
 *   tentative ───────────► confirmed ─────────► coasting
 *       ▲                   │     ▲               │   │
 *       └─────── DOUBTED ───┘     └─ HEARD/PROVEN ┘   │ GONE
 *            (from coasting too)                      ▼
 *                          GONE from every state:   ended
 *
 * A tentative track does not coast: it has promised nothing. Hysteresis: PROVEN takes the threshold
 * and the behaviour rule, DOUBTED a fall below half of it.
 */
#include "fuse-impl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/time.h"

enum uw_track_state uw_fuse_next_state(enum uw_track_state state, enum uw_fuse_event event) {
    static const enum uw_track_state next[UW_TRACK_STATE_N][UW_FUSE_EVENT_N] = {
        [UW_TRACK_TENTATIVE] = {[UW_FUSE_HEARD] = UW_TRACK_TENTATIVE,
                                [UW_FUSE_PROVEN] = UW_TRACK_CONFIRMED,
                                [UW_FUSE_DOUBTED] = UW_TRACK_TENTATIVE,
                                [UW_FUSE_QUIET] = UW_TRACK_TENTATIVE,
                                [UW_FUSE_GONE] = UW_TRACK_ENDED},
        [UW_TRACK_CONFIRMED] = {[UW_FUSE_HEARD] = UW_TRACK_CONFIRMED,
                                [UW_FUSE_PROVEN] = UW_TRACK_CONFIRMED,
                                [UW_FUSE_DOUBTED] = UW_TRACK_TENTATIVE,
                                [UW_FUSE_QUIET] = UW_TRACK_COASTING,
                                [UW_FUSE_GONE] = UW_TRACK_ENDED},
        [UW_TRACK_COASTING] = {[UW_FUSE_HEARD] = UW_TRACK_CONFIRMED,
                               [UW_FUSE_PROVEN] = UW_TRACK_CONFIRMED,
                               [UW_FUSE_DOUBTED] = UW_TRACK_TENTATIVE,
                               [UW_FUSE_QUIET] = UW_TRACK_COASTING,
                               [UW_FUSE_GONE] = UW_TRACK_ENDED},
        [UW_TRACK_ENDED] = {[UW_FUSE_HEARD] = UW_TRACK_ENDED,
                            [UW_FUSE_PROVEN] = UW_TRACK_ENDED,
                            [UW_FUSE_DOUBTED] = UW_TRACK_ENDED,
                            [UW_FUSE_QUIET] = UW_TRACK_ENDED,
                            [UW_FUSE_GONE] = UW_TRACK_ENDED},
    };

    return next[state][event];
}

static void emit(struct uw_fuse *fuse, struct uw_fuse_track *track) {
    uw_fuse_head(fuse, &track->record.head);
    track->changed = false;
    fuse->ops.track(fuse->userdata, &track->record);
}

static void take_state(struct uw_fuse_track *track, enum uw_fuse_event event) {
    enum uw_track_state next = uw_fuse_next_state(track->record.state, event);

    if (next != track->record.state)
        track->changed = true;
    track->record.state = next;
}

int uw_fuse_track_new(struct uw_fuse *fuse, const struct uw_detection *d,
                      struct uw_fuse_track **ret_track) {
    struct uw_fuse_track *track = calloc(1, sizeof(*track));
    struct uw_track *t;

    if (!track)
        return uw_err(-ENOMEM);
    t = &track->record;
    uw_track_init(t);
    uw_fuse_identifier(fuse, 't', ++fuse->n_tracks_ever, t->track);
    t->state = UW_TRACK_TENTATIVE;
    uw_str_copy(t->family, sizeof(t->family), d->family);
    uw_str_copy(t->signature, sizeof(t->signature), d->signature);
    t->drone = d->drone;
    t->role = d->role;
    t->llr = 0;
    t->n_receivers = 0;
    t->first_seen_ns = uw_fuse_start_of(d);
    t->last_seen_ns = d->t_end_ns;
    track->changed = true;
    *ret_track = track;
    return 0;
}

/* For a new emitter; if there is none, that of the one that has been silent longest. */
static struct uw_fuse_member *place_for_member(struct uw_fuse_track *track) {
    struct uw_fuse_member *m = &track->members[0];

    if (track->n_members < UW_FUSE_MEMBERS)
        return &track->members[track->n_members++];
    for (int i = 1; i < track->n_members; i++)
        if (track->members[i].last_end_ns < m->last_end_ns)
            m = &track->members[i];
    return m;
}

static struct uw_fuse_member *add_member(struct uw_fuse_track *track,
                                         const struct uw_detection *d) {
    struct uw_fuse_member *m = place_for_member(track);

    memset(m, 0, sizeof(*m));
    uw_str_copy(m->receiver, sizeof(m->receiver), d->receiver);
    uw_str_copy(m->emitter, sizeof(m->emitter), d->emitter);
    m->first_start_ns = uw_fuse_start_of(d);
    m->last_end_ns = d->t_end_ns;
    m->confidence = NAN;
    return m;
}

/* Keeps the list of receivers in alphabetical order. */
static void add_receiver(struct uw_fuse_track *track, const char *receiver) {
    struct uw_track *t = &track->record;
    int at = 0;

    while (at < t->n_receivers && strcmp(t->receivers[at], receiver) < 0)
        at++;
    if (at < t->n_receivers && strcmp(t->receivers[at], receiver) == 0)
        return;
    if (t->n_receivers == UW_RX_MAX)
        return;
    for (int i = t->n_receivers; i > at; i--)
        memcpy(t->receivers[i], t->receivers[i - 1], sizeof(t->receivers[i]));
    uw_str_copy(t->receivers[at], sizeof(t->receivers[at]), receiver);
    t->n_receivers++;
    track->changed = true;
}

const struct uw_fuse_member *uw_fuse_strongest(const struct uw_fuse_track *track) {
    const struct uw_fuse_member *best = &track->members[0];

    for (int i = 1; i < track->n_members; i++)
        if (track->members[i].llr > best->llr)
            best = &track->members[i];
    return best;
}

/* A name is the one with the most evidence behind it, so that neither two receivers of different
 * opinion nor one hop misread make the track flicker. */
static void vote(struct uw_fuse_track *track, struct uw_fuse_vote votes[UW_FUSE_VOTES],
                 const char *name, double llr, char result[UW_NAME_LEN]) {
    struct uw_fuse_vote *own = NULL, *best = &votes[0], *least = &votes[0];

    if (!name[0])
        return;
    for (int i = 0; i < UW_FUSE_VOTES; i++) {
        if (strcmp(votes[i].name, name) == 0)
            own = &votes[i];
        if (votes[i].weight < least->weight)
            least = &votes[i];
    }
    if (!own) {
        own = least;
        *own = (struct uw_fuse_vote){0};
        uw_str_copy(own->name, sizeof(own->name), name);
    }
    own->weight += isfinite(llr) && llr > 0 ? llr : 1e-3;
    for (int i = 1; i < UW_FUSE_VOTES; i++)
        if (votes[i].weight > best->weight)
            best = &votes[i];
    if (strcmp(best->name, result) != 0) {
        uw_str_copy(result, UW_NAME_LEN, best->name);
        track->changed = true;
    }
}

/* A hopper that fitted no entry at first may be named later by the same emitter; a name once given
 * is kept. */
static void settle_signature(struct uw_fuse_track *track, const struct uw_detection *d) {
    struct uw_track *t = &track->record;

    if (strcmp(t->signature, d->signature) == 0 || strncmp(t->family, "unknown", 7) != 0)
        return;
    uw_str_copy(t->family, sizeof(t->family), d->family);
    uw_str_copy(t->signature, sizeof(t->signature), d->signature);
    t->role = d->role;
    t->drone = d->drone;
    track->changed = true;
}

static void update_member(struct uw_fuse_member *m, const struct uw_detection *d) {
    uw_str_copy(m->last_detection, sizeof(m->last_detection), d->detection);
    m->freq_hz = d->freq_hz;
    m->power_dbfs = d->power_dbfs;
    m->snr_db = d->snr_db;
    if (isfinite(d->confidence))
        m->confidence = d->confidence;
    m->centre_known = !isnan(d->tuning.centre_hz);
    m->evidence = d->evidence;
    if (d->t_end_ns > m->last_end_ns)
        m->last_end_ns = d->t_end_ns;
}

/* What the best informed receiver says now. Receivers are not counted twice: what is mistaken for a
 * link at one antenna is at the next. One that has fallen silent while others go on does not hold
 * up what it once said. NAN: nobody has said. */
static double said_now(const struct uw_fuse *fuse, const struct uw_fuse_track *track) {
    double most = NAN;
    int64_t newest = INT64_MIN;

    for (int i = 0; i < track->n_members; i++)
        if (track->members[i].last_end_ns > newest)
            newest = track->members[i].last_end_ns;
    for (int i = 0; i < track->n_members; i++)
        if (newest - track->members[i].last_end_ns < fuse->coast_ns)
            most = fmax(most, track->members[i].confidence); /* passes over a NAN */
    return most;
}

static void say_confidence(const struct uw_fuse *fuse, struct uw_fuse_track *track) {
    struct uw_track *t = &track->record;

    t->confidence = said_now(fuse, track);
    /* nobody has said: one real link an hour among that many trials */
    if (isnan(t->confidence) && t->drone)
        t->confidence = 1 / (1 + exp(fuse->prior - t->llr));
}

static void add_evidence(struct uw_fuse *fuse, struct uw_fuse_track *track,
                         struct uw_fuse_member *m, const struct uw_detection *d) {
    struct uw_track *t = &track->record;
    double llr = isfinite(d->llr) ? d->llr : 0;

    m->llr += llr;
    t->llr = fmax(t->llr + llr, UW_FUSE_LLR_FLOOR);
    if (d->evidence.rule[0])
        m->rule_met = track->rule_met = true;
    say_confidence(fuse, track);
}

static enum uw_fuse_event judge(const struct uw_fuse *fuse, const struct uw_fuse_track *track) {
    bool needs_rule = track->record.role != UW_ROLE_BACKGROUND;

    if (track->record.llr < fuse->threshold / 2)
        return UW_FUSE_DOUBTED;
    if (track->record.llr >= fuse->threshold && (track->rule_met || !needs_rule))
        return UW_FUSE_PROVEN;
    return UW_FUSE_HEARD;
}

/* A track record first, then what follows from it for the operator. */
static void publish(struct uw_fuse *fuse, struct uw_fuse_track *track) {
    const struct uw_track *t = &track->record;

    if (track->changed)
        emit(fuse, track);
    if (!t->drone || t->role == UW_ROLE_BACKGROUND)
        return;
    if (t->state == UW_TRACK_CONFIRMED && !track->alarm.active)
        uw_fuse_alarm_raise(fuse, track);
    else if (t->state == UW_TRACK_TENTATIVE && track->alarm.active)
        uw_fuse_alarm_clear(fuse, track, UW_FUSE_EVIDENCE_GONE);
    else if (track->alarm.active)
        uw_fuse_alarm_refresh(fuse, track);
}

/* The old track keeps the votes for names that the member had a part in; the new one begins with
 * the old one's name. */
void uw_fuse_track_move(struct uw_fuse *fuse, struct uw_fuse_track *from,
                        struct uw_fuse_member *member, struct uw_fuse_track *to) {
    struct uw_track *f = &from->record, *t = &to->record;
    struct uw_fuse_member *m = place_for_member(to);

    *m = *member;
    m->n_turns = 0;
    *member = from->members[--from->n_members];
    f->llr = fmax(f->llr - fmax(m->llr, 0), UW_FUSE_LLR_FLOOR);
    from->rule_met = false;
    for (int i = 0; i < from->n_members; i++)
        from->rule_met |= from->members[i].rule_met;
    say_confidence(fuse, from);
    from->changed = true;

    t->llr = fmax(t->llr + m->llr, UW_FUSE_LLR_FLOOR);
    to->rule_met |= m->rule_met;
    vote(to, to->variants, f->variant, m->llr, t->variant);
    vote(to, to->domains, f->domain, m->llr, t->domain);
    if (m->first_start_ns < t->first_seen_ns)
        t->first_seen_ns = m->first_start_ns;
    add_receiver(to, m->receiver);
    say_confidence(fuse, to);
    to->changed = true;
}

void uw_fuse_track_settle(struct uw_fuse *fuse, struct uw_fuse_track *track) {
    take_state(track, judge(fuse, track));
    publish(fuse, track);
}

void uw_fuse_track_detection(struct uw_fuse *fuse, struct uw_fuse_track *track,
                             const struct uw_detection *d) {
    struct uw_track *t = &track->record;
    struct uw_fuse_member *m = uw_fuse_find_member(track, d);

    if (m && d->detection[0] && strcmp(m->last_detection, d->detection) == 0)
        return;
    if (!m)
        m = add_member(track, d);
    update_member(m, d);
    add_receiver(track, d->receiver);
    add_evidence(fuse, track, m, d);
    settle_signature(track, d);
    vote(track, track->variants, d->variant, d->llr, t->variant);
    vote(track, track->domains, d->domain, d->llr, t->domain);
    t->freq_hz = isnan(d->tuning.centre_hz) ? NAN : d->freq_hz; /* an offset is no frequency */
    if (d->t_start_ns != UW_TIME_NONE && d->t_start_ns < t->first_seen_ns)
        t->first_seen_ns = d->t_start_ns;
    if (d->t_end_ns > t->last_seen_ns)
        t->last_seen_ns = d->t_end_ns;
    uw_fuse_track_settle(fuse, track);
}

void uw_fuse_track_tick(struct uw_fuse *fuse, struct uw_fuse_track *track) {
    int64_t silent = fuse->time_ns - track->record.last_seen_ns;

    if (silent >= fuse->clear_ns) {
        uw_fuse_track_end(fuse, track, UW_FUSE_SILENT);
        return;
    }
    if (silent >= fuse->coast_ns)
        take_state(track, UW_FUSE_QUIET);
    if (fuse->time_ns % UW_NS_PER_S == 0)
        track->changed = true;
    publish(fuse, track);
}

void uw_fuse_track_end(struct uw_fuse *fuse, struct uw_fuse_track *track,
                       enum uw_fuse_cause cause) {
    take_state(track, UW_FUSE_GONE);
    emit(fuse, track);
    if (track->alarm.active)
        uw_fuse_alarm_clear(fuse, track, cause);
}
