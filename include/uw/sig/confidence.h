/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SIG_CONFIDENCE_H
#define UW_SIG_CONFIDENCE_H

/*
 * How sure it is that what is followed is a hopping link of that signature
 *
 * Not the evidence turned into a probability (that is right only if every model behind it is), but
 * how often such things were right when it was counted: a score of a few features of how the
 * hopping was seen, and laws fitted to a campaign of weak, impaired and strong links, look-alikes
 * and background, one for what has met the rule for an alert and one for what is only followed
 * (src/sig/confidence.c has the tables and their provenance, docs/detection.md the formula and how
 * well it holds).
 *
 * Pure. Threads: any.
 */

#include <stdbool.h>
#include <stdint.h>

/* What there is to be seen of a link. */
struct uw_link_seen {
    double nats;             /* all evidence */
    int64_t packets, dwells; /* 0 packets: nothing is known */
    int64_t weak;            /* of the packets, heard below the noise */
    int64_t channels;        /* distinct carriers */
    int64_t visible;         /* channels of its plan that the receiver can hear; -1: not known */
    int packets_per_hop;     /* of the likeliest air rate */
    double hops; /* that it made on visible channels since the first packet; NAN: not known */
    double grid_error_hz; /* of its carriers on the plan; NAN: not known */
    double snr_db;        /* of the last packet */
    bool named, placed;   /* air rate, channel plan are decided */
    bool ruled;           /* it met the behaviour rule for an alert, now or before */
};

#define UW_LINK_FEATURES 11

/* Each grows with what speaks for the link, and is bounded. */
void uw_link_features(const struct uw_link_seen *seen, double ret_x[UW_LINK_FEATURES]);
/* "nats", "dwells", ...; NULL behind the last. */
const char *uw_link_feature_name(int i);
/* Orders links by how likely they are right; no feature's growth makes it less. */
double uw_link_score(const struct uw_link_seen *seen);
/* The gate of the rule for an alert: a score, which stays where it is when the laws are fitted. */
bool uw_link_is_likely(const struct uw_link_seen *seen);
/* 0 .. uw_link_confidence_most(): never surer than the calibration was long. Neither a feature's
 * growth nor the rule makes it less. */
double uw_link_confidence(const struct uw_link_seen *seen);
double uw_link_confidence_most(void);
/* The same bound for hoppers without a name. */
double uw_unnamed_confidence_most(void);

#endif
