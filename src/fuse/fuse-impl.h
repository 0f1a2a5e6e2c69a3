/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_FUSE_FUSE_IMPL_H
#define UW_SRC_FUSE_FUSE_IMPL_H

/*
 * Private to src/fuse: the state of fusion
 *
 *   fuse.c       time, limits, the calls of the header
 *   associate.c  which track a detection belongs to
 *   track.c      evidence, state machine, track records
 *   alert.c      life-cycle of alerts about links
 *   condition.c  ... and about the system itself
 *   text.c       what people read
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uw/base/time.h"
#include "uw/fuse/fuse.h"

/* Everything that depends on time alone happens at multiples of this. */
#define UW_FUSE_TICK_NS INT64_C(250000000)
#define UW_FUSE_MEMBERS 24
/* Negative evidence is remembered this far (nats), so that a link that appears later is not held
 * back by what was doubted before it came: the reflecting barrier of Page's cumulative sum test. */
#define UW_FUSE_LLR_FLOOR (-5.0)

/* One receiver's emitter inside a track, with its latest detection. */
struct uw_fuse_member {
    char receiver[UW_NAME_LEN];
    char emitter[UW_ID_LEN];
    char last_detection[UW_ID_LEN];
    double llr;
    double confidence; /* the detector's latest; NAN: it never said */
    double freq_hz, power_dbfs, snr_db;
    bool centre_known, rule_met;
    int64_t first_start_ns, last_end_ns;
    int n_turns; /* between it and an earlier emitter of its receiver */
    struct uw_evidence evidence;
};

/* A name that detections have given to the link, with the evidence of those that did. */
#define UW_FUSE_VOTES 4
struct uw_fuse_vote {
    char name[UW_NAME_LEN];
    double weight;
};

/* An alert's own part; for kind uas inside its track, for the other kinds in a list. */
struct uw_fuse_alarm {
    bool active;
    int64_t sent_ns;
    char subject[UW_NAME_LEN]; /* not of kind uas */
    struct uw_alert record;
};

struct uw_fuse_track {
    struct uw_track record;
    int n_members;
    struct uw_fuse_member members[UW_FUSE_MEMBERS];
    struct uw_fuse_vote variants[UW_FUSE_VOTES], domains[UW_FUSE_VOTES];
    bool rule_met;
    bool changed; /* a track record is due */
    struct uw_fuse_alarm alarm;
};

struct uw_fuse {
    struct uw_fuse_config config;
    struct uw_fuse_ops ops;
    void *userdata;
    int64_t coast_ns, clear_ns, update_ns;
    double threshold, prior;
    int64_t time_ns;
    size_t n_tracks;
    struct uw_fuse_track **tracks; /* in the order of their numbers */
    struct uw_fuse_alarm conditions[UW_FUSE_CONDITIONS_MAX];
    int64_t n_tracks_ever, n_alerts_ever, n_uas_ever, n_dropped;
};

enum uw_fuse_cause { UW_FUSE_SILENT, UW_FUSE_EVIDENCE_GONE, UW_FUSE_INPUT_ENDED, UW_FUSE_NO_ROOM };

struct uw_fuse_track *uw_fuse_find_track(struct uw_fuse *fuse, const struct uw_detection *d);
struct uw_fuse_member *uw_fuse_find_member(struct uw_fuse_track *track,
                                           const struct uw_detection *d);
/* d's member of the track if it has turned out to be another link than the rest; else NULL. */
struct uw_fuse_member *uw_fuse_find_stranger(struct uw_fuse_track *track,
                                             const struct uw_detection *d);
/* A track of which m, whose latest detection is d, may be the first of its receiver; NULL: none. */
struct uw_fuse_track *uw_fuse_find_home(struct uw_fuse *fuse, const struct uw_fuse_member *m,
                                        const struct uw_detection *d);

/* Its end where it does not say when it began. */
static inline int64_t uw_fuse_start_of(const struct uw_detection *d) {
    return d->t_start_ns == UW_TIME_NONE ? d->t_end_ns : d->t_start_ns;
}

/* "<run>-<letter><number>" */
void uw_fuse_identifier(const struct uw_fuse *fuse, char letter, int64_t number,
                        char id[UW_ID_LEN]);
void uw_fuse_head(const struct uw_fuse *fuse, struct uw_head *head);
int uw_fuse_track_new(struct uw_fuse *fuse, const struct uw_detection *d,
                      struct uw_fuse_track **ret_track);
/* Moves a member and what it has brought to another track. */
void uw_fuse_track_move(struct uw_fuse *fuse, struct uw_fuse_track *from,
                        struct uw_fuse_member *member, struct uw_fuse_track *to);
/* Takes the state that the evidence asks for, and tells. */
void uw_fuse_track_settle(struct uw_fuse *fuse, struct uw_fuse_track *track);
void uw_fuse_track_detection(struct uw_fuse *fuse, struct uw_fuse_track *track,
                             const struct uw_detection *d);
void uw_fuse_track_tick(struct uw_fuse *fuse, struct uw_fuse_track *track);
void uw_fuse_track_end(struct uw_fuse *fuse, struct uw_fuse_track *track, enum uw_fuse_cause cause);
/* The member that has brought the most evidence. */
const struct uw_fuse_member *uw_fuse_strongest(const struct uw_fuse_track *track);

/* Sends the record at head.time_ns. */
void uw_fuse_alarm_send(struct uw_fuse *fuse, struct uw_fuse_alarm *alarm,
                        enum uw_alert_event event, int64_t time_ns);
void uw_fuse_alarm_number(struct uw_fuse *fuse, struct uw_alert *alert);
void uw_fuse_alarm_raise(struct uw_fuse *fuse, struct uw_fuse_track *track);
void uw_fuse_alarm_refresh(struct uw_fuse *fuse, struct uw_fuse_track *track);
void uw_fuse_alarm_clear(struct uw_fuse *fuse, struct uw_fuse_track *track,
                         enum uw_fuse_cause cause);

void uw_fuse_text_track(const struct uw_fuse_track *track, struct uw_alert *alert);
void uw_fuse_text_cleared(enum uw_fuse_cause cause, double clear_s, struct uw_alert *alert);

#endif
