/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_ENGINE_PLAN_H
#define UW_ENGINE_PLAN_H

/*
 * Which receiver listens where, and what is to be expected of it
 *
 * A plan is a function of what it is given: signatures, region, receivers. No clock, no chance.
 *
 * What a link does. It stays on a channel for one dwell of n packets, one period P apart, then
 * hops. In blocks of N hops it visits each of its N channels once, in an order that nobody knows;
 * with a sync channel the first hop of each block goes there (ExpressLRS: FHSS.cpp). It is switched
 * on at a moment and at a place of its sequence that are uniform.
 *
 * What a receiver hears. A channel is visible from a centre if it lies in the usable band with its
 * whole width. A packet is heard if its channel is visible and the receiver listens from its begin
 * to its end: not while it tunes. Levels are not part of it: the promise is for links that are
 * strong enough for every such packet (signal to noise of some dB; see docs/measurements.md).
 *
 * When it is known (docs/detection.md): a first detection takes packets of two dwells, an alert
 * those of three and at least three packets more than dwells (none, where there is one a hop).
 * Where another air rate differs by sending more packets a hop, the alert waits for
 * UW_PLAN_NAME_DWELLS dwells. Each receiver counts for itself; the first that is there counts for
 * all.
 *
 * The waiting time. With m visible channels left among the r hops left of a block, the next hop is
 * visible with probability m / r: drawing without replacement. For a receiver that walks the
 * planner follows the distribution of (m, dwells heard, packets heard) from hop to hop, for each
 * place in the block that the link may begin at and many phases of the walk, and gets the
 * probability S(t) that the link is still unknown at t. If several centres of a walk see different
 * channels of one plan, hops are taken as independent, each visible with (visible channels) / N.
 * Receivers that stay are taken together, as what one hears another does not (closed form in
 * src/engine/plan-joint.c); receivers that walk are independent of them and of each other: S is the
 * product. The expected time is the integral of S, the worst one where S falls to 1 %. In the
 * simplest case, one receiver that stares at V of N channels and hops drawn independently, dwell
 * number k comes after k N / V hops in the mean, with probability of still being unknown after h
 * hops
 *
 *     S(h) = sum over i < k of  C(h, i) (V / N)^i (1 - V / N)^(h - i)
 *
 * A signal that does not hop stays on one of its N channels, with equal probability. It is known
 * when a receiver has listened there for UW_PLAN_LOOK_S.
 *
 * How receivers are spread. Channels that lie together are a band. A band needs as many centres as
 * let every channel plan in it be heard on two channels (all, where there are fewer), and all
 * channels of what does not hop. If there are receivers enough each stares at one; the others go
 * where the wait is longest, to channels that nobody hears yet. If there are fewer, each walks over
 * several, longest where the wait is longest.
 *
 * Threads: any; a plan is not changed once made. Ownership: the caller's; it borrows the database.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uw/engine/engine.h"
#include "uw/msg/record.h"
#include "uw/sig/signature.h"

#define UW_PLAN_STOPS_MAX    UW_STOPS_MAX
#define UW_PLAN_BANDS_MAX    32
#define UW_PLAN_LINKS_MAX    512
#define UW_PLAN_USABLE_SHARE 0.9  /* of the rate, where nothing else is known: filters' slopes */
#define UW_PLAN_SETTLE_S     0.05 /* a retune: the synthesizer, and samples of before */
#define UW_PLAN_DWELL_MIN_S  0.25 /* a noise floor takes 0.1 s, a slow link's dwell 0.08 */
#define UW_PLAN_CYCLE_S      2.0  /* a walk comes back within: links are remembered for 4 s */
#define UW_PLAN_LOOK_S       0.25
#define UW_PLAN_NAME_DWELLS  6
#define UW_PLAN_WORST        0.01 /* the worst time is exceeded by this share */

struct uw_plan_stop {
    double centre_hz, dwell_s;
};

struct uw_plan_receiver {
    char name[UW_NAME_LEN];
    double rate_hz;
    double usable_hz;                /* around the centre; at most the rate */
    double freq_min_hz, freq_max_hz; /* centres it can be tuned to */
    bool alive;                      /* false: is given nothing */
    int n_fixed;                     /* 0: to be planned; else it listens there */
    struct uw_plan_stop fixed[UW_PLAN_STOPS_MAX];
};

struct uw_plan_config {
    const struct uw_sigdb *db;
    const char *region; /* "FCC", "EU" ..., the name of one domain, or "": everywhere */
    double settle_s;
    bool skip_times; /* the times stay INFINITY: they take most of the work */
    int n_receivers;
    struct uw_plan_receiver receivers[UW_RX_MAX];
};

struct uw_plan_walk {
    int n; /* 0: nothing to hear, or dead; 1: it stares */
    struct uw_plan_stop stops[UW_PLAN_STOPS_MAX];
};

enum uw_plan_why {
    UW_PLAN_COVERED,
    UW_PLAN_PARTLY,       /* does not hop, and some of its channels are never listened to */
    UW_PLAN_UNREACHABLE,  /* no receiver can be tuned there */
    UW_PLAN_TOO_WIDE,     /* no receiver's band is as wide as the signal */
    UW_PLAN_NO_RECEIVER,  /* those that could hear it are dead, or listen elsewhere */
    UW_PLAN_NO_FREQUENCY, /* the database does not know its channels */
    UW_PLAN_WHY_N
};

/* One air rate in one channel plan. */
struct uw_plan_link {
    const struct uw_signature *signature;
    const struct uw_sig_variant *variant;
    const struct uw_sig_domain *domain; /* NULL: not known */
    int band;                           /* -1: not known */
    enum uw_plan_why why;
    uint32_t receivers; /* who hears some of it: bit 1 << index */
    int channels;       /* of the domain that are listened to by anyone */
    /* Seconds from its begin; INFINITY: never. */
    double detection_mean_s, detection_worst_s, alert_mean_s, alert_worst_s;
};

struct uw_plan_band {
    double lower_hz, upper_hz; /* edges of the outermost channels */
    uint32_t receivers;        /* who hears a channel in it */
    double absent_s;           /* longest time that nobody listens there, in a walk; INFINITY */
};

struct uw_plan {
    int n_receivers;
    struct uw_plan_walk walks[UW_RX_MAX];
    int n_bands;
    struct uw_plan_band bands[UW_PLAN_BANDS_MAX];
    int n_links;
    struct uw_plan_link links[UW_PLAN_LINKS_MAX];
};

void uw_plan_config_init(struct uw_plan_config *config);
/* What a configuration says: all receivers alive; region is borrowed from it. Dongles are taken to
 * reach as far as an R820T does; recordings, and who is not walked or planned, stay where they are.
 */
void uw_plan_config_from(const struct uw_engine_config *engine, const struct uw_sigdb *db,
                         struct uw_plan_config *config);
/* 0; -EINVAL: a receiver makes no sense (the caller has checked the configuration); -ENOMEM. */
int uw_plan_new(const struct uw_plan_config *config, struct uw_plan **ret_plan);
struct uw_plan *uw_plan_free(struct uw_plan *plan);
void uw_plan_freep(struct uw_plan **plan);
/* Whether the region, or the domain, of that name exists ("" does). */
bool uw_plan_knows_region(const struct uw_sigdb *db, const char *region);
/* Whether a receiver at the centre hears some channel of the band. */
bool uw_plan_hears(const struct uw_plan_config *config, const struct uw_plan *plan, int receiver,
                   double centre_hz, int band);
const char *uw_plan_why_name(enum uw_plan_why why); /* "covered", "unreachable" */
const char *uw_plan_why_text(enum uw_plan_why why); /* a sentence for people */
/* "903.2-927.2 MHz" */
void uw_plan_band_name(const struct uw_plan_band *band, char name[UW_NAME_LEN]);

#endif
