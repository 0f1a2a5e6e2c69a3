/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_SIG_HOPPER_IMPL_H
#define UW_SRC_SIG_HOPPER_IMPL_H

/*
 * Private to src/sig: hopping control links that no signature describes
 *
 * hopper-lattice.c finds periods in times and rasters in carriers, hopper-judge.c weighs a train of
 * bursts, hopper-levels.c by levels and carriers, hopper-apart.c takes trains apart,
 * hopper-pieces.c tells which are one sender's, matcher-hopper.c sorts bursts into trains and gives
 * the findings.
 *
 * Threads: one. No function here allocates but uw_hopper_new().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "links-impl.h"

#define HOP_EVENTS_MAX   48  /* times that a period is looked for in */
#define HOP_BURSTS_MAX   640 /* kept of a train: 2.5 s at 250 a second */
#define HOP_CHANNELS_MAX 64
#define HOP_LEVEL_DB     6.0 /* one sender's bursts are as strong as each other within this */

/* What lies under a list of times. */
struct hop_lattice {
    double period_s;
    double begin_s; /* of a slot near the first time */
    double window_s;
    size_t n, inside; /* times; of these, within +-window_s of a slot */
    double nats;      /* against times that are spread evenly over the period; what was tried taken
                         off */
};

/*
 * The period between 4 ms and 1 s whose lattice explains the times best. t_s: ascending, n of them
 * (the last HOP_EVENTS_MAX are used), each measured to error_s. The nats are the likelihood ratio
 * of two binomials: `inside` of n at the best rate, against a chance of 2 window / period each;
 * less the logarithm of the number of independent periods, phases and windows that were tried, so
 * that times at random reach x nats with a probability of about exp(-x) or less. False: fewer than
 * 6 times, or nothing there.
 */
bool uw_hop_lattice(const double *t_s, size_t n, double error_s, struct hop_lattice *ret);

/*
 * The same for a part of the times, the rest being other links' of the same period, or anything:
 * the lattice that explains them best, looked for in the last HOP_EVENTS_MAX and followed back
 * through all n; of lines that are equally good the strongest ones only, as the work is bounded
 * (some 10 ms of a processor). The window is 0.3 ms, or twice error_s. False: fewer than
 * HOP_EVENTS_MAX times, or these within four of the shortest periods; a window of more than a fifth
 * of that; nothing there; or more than four of five on one lattice, or on one twice as fine, which
 * leaves no other part.
 */
bool uw_hop_part(const double *t_s, size_t n, double error_s, double period_min_s,
                 double period_max_s, struct hop_lattice *ret);

/* A lattice that is about known, fitted to the times in uw_hop_part()'s window of its slots: to the
 * last HOP_EVENTS_MAX, then back to all n. False: too few are there, or the window is more than a
 * fifth of the period. */
bool uw_hop_follow(const double *t_s, size_t n, double error_s, struct hop_lattice *lattice);

/* Whether a time is within the lattice's window of a slot. */
bool uw_hop_is_inside(const struct hop_lattice *l, double t_s);

struct hop_raster {
    double step_hz, first_hz; /* first_hz: of a channel near the lowest */
    double error_hz;          /* root mean square */
    double nats;              /* against carriers anywhere; what was tried taken off */
};

/* The widest raster of 25 kHz to 1.2 MHz that the carriers (ascending, 3 to HOP_CHANNELS_MAX) lie
 * on to about error_hz each. False: none. */
bool uw_hop_raster(const double *f_hz, size_t n, double error_hz, struct hop_raster *ret);

/* One burst of a train. */
struct hop_burst {
    double start_s; /* since the start of the stream */
    double offset_hz;
    float length_s, power_db;
};

struct hop_train {
    bool used;
    bool parted; /* it takes the bursts in its slots only */
    bool lora;   /* packets that were measured whole; else bursts as they were found */
    bool down;
    int sf;
    double bandwidth_hz; /* nominal of LoRa, else running mean of the occupied width */
    double length_s, power_db, snr_db;
    double last_s;
    double time_error_s;
    size_t n, next; /* ring; next: place of the next burst */
    struct hop_burst bursts[HOP_BURSTS_MAX];
    size_t n_new; /* bursts since it was judged */
    double judged_s;

    /* what is said of it */
    uint64_t number;                     /* 0: nothing yet */
    int agreed;                          /* judgements in a row with the same period */
    double agreed_s, good_s, reported_s; /* first and last of these; the last finding */
    /* since when it may be another's pieces, before it has a number; 0: it was not */
    double open_s;
    double llr, given_llr;
    int64_t n_bursts, n_dwells;
    struct hop_lattice lattice; /* of its hops */
    struct hop_lattice slots;   /* of its packets, one or several a hop; of a parted train */
    double waits_s;             /* since when it would be taken apart; 0: it would not */
};

/* Where the i-th of the n latest bursts of a train lies in its ring. */
static inline size_t uw_hop_place(const struct hop_train *t, size_t n, size_t i) {
    return (t->next + HOP_BURSTS_MAX - n + i) % HOP_BURSTS_MAX;
}

/* Whether both are of one waveform, the bandwidth apart. */
static inline bool uw_hop_same_waveform(const struct hop_train *a, const struct hop_train *b) {
    return a->lora == b->lora && a->down == b->down && a->sf == b->sf;
}

/* A burst that is about as strong as the noise, or what was heard of it. */
struct hop_piece {
    uint64_t start, stop; /* samples */
    double centre_hz, width_hz, snr_db, power_dbfs;
};

/* Finds its begin, end, carrier and level in the front end's history. False: it is not there, or
 * nothing stands out. */
bool uw_hop_edges(struct uw_front *front, double rate_hz, struct hop_piece *piece);

/* What a judgement found. */
struct hop_verdict {
    struct hop_lattice lattice; /* of the hops */
    struct hop_raster raster;
    double packet_s;     /* packet to packet on a channel; NAN: one packet a hop */
    double begin_s;      /* of the first burst in it */
    size_t n_bursts;     /* looked at */
    size_t n_dwells;     /* that keep the lattice */
    size_t n_channels;   /* heard */
    double n_visible;    /* places of the raster in the band */
    double sender_nats;  /* for one sender against many */
    double llr;          /* nats, bounded, for a finding */
    const char *reason;  /* why it is no control link, or NULL */
    bool may_be_several; /* which may be as it is more than one */
};

/* What may be one of several links of one make in a train that is no link's: bursts on a lattice of
 * their own. *ret_part is a train of them alone, with its slots; it has yet to be judged. False:
 * there is none. */
bool uw_hop_take_part(const struct hop_train *t, double now_s, struct hop_train *ret_part);
/* The slots of the packets of a train that was judged to be a link. False: most are in none. */
bool uw_hop_slots(const struct hop_train *t, double now_s, const struct hop_verdict *verdict,
                  struct hop_lattice *ret);
/* Whether a burst is on another channel than the one before. */
bool uw_hop_changes(const struct hop_burst *before, const struct hop_burst *burst);
/* Counts its bursts, and the dwells that they make. */
void uw_hop_count(struct hop_train *t);
/* It is not spoken of any more. */
void uw_hop_unname(struct hop_train *t);
/* Takes the bursts in the slots out of the train. */
void uw_hop_leave_out(struct hop_train *t, const struct hop_lattice *slots);

enum hop_sender { HOP_SENDER_OPEN, HOP_SENDER_ONE, HOP_SENDER_TWO };

/* Whether two trains of about one period, or of small multiples, are one sender's, whose bursts are
 * heard in pieces: in the slots in which both were heard they were on one channel. Open: two
 * senders should not have met so often yet, on two channels. */
enum hop_sender uw_hop_sender(const struct hop_train *t, const struct hop_train *other,
                              double meetings);

/* Whether a train that was judged to be a link and another, much stronger or weaker one are a
 * sender and its image. */
bool uw_hop_is_image(const struct hop_train *t, double now_s, const struct hop_verdict *verdict,
                     const struct hop_train *other);

/* Where the receiver listens. */
struct hop_band {
    double centre_hz;  /* NAN: not known */
    double usable_hz;  /* half the width in which a carrier is heard */
    double limit_dbfs; /* above it all levels are alike; INFINITY: there is none */
};

/* Whether n visits are one sender's, by levels and carriers: `first` burst of each, `where` its
 * channel. *ret_nats: for one against many. */
bool uw_hop_is_one_sender(const struct hop_train *t, const struct hop_burst *const *first,
                          const int *where, size_t n, const struct hop_band *band,
                          double *ret_nats);

/* Weighs the bursts of the last seconds before now_s. */
void uw_hop_judge(const struct hop_train *t, double now_s, const struct hop_band *band,
                  struct hop_verdict *ret);

#define HOP_TRAINS_MAX 24
#define HOP_NAMED_MAX  8
#define HOP_PIECES_MAX 32
#define HOP_NEW_MIN    4    /* bursts that a new judgement is worth */
#define HOP_GONE_S     10.0 /* so long after its last good judgement it is forgotten */

/* A link with a name, as it is known until then. */
struct hop_named {
    double until_s;
    double period_s, hop_s;
};

struct uw_hopper {
    struct uw_matcher_env env;
    const struct uw_signature *signature;
    uint64_t next_number;
    size_t next_named;
    struct hop_named named[HOP_NAMED_MAX];
    size_t n_pieces;
    struct hop_piece pieces[HOP_PIECES_MAX]; /* that wait for what may follow them */
    double allowance;                        /* pieces that may be measured */
    double now_s;                            /* of the latest progress */
    struct hop_train trains[HOP_TRAINS_MAX];
    struct hop_train part, rest; /* of the one that is taken apart */
    double apart_s;              /* not before is another */
};

/* A place that is free, or the train that has least to say. */
struct hop_train *uw_hop_free_place(struct uw_hopper *hopper, double now_s);
/* Whether one period is a small multiple of the other. */
bool uw_hop_is_multiple(double a, double b);
/* Takes apart the train that has waited longest for it, unless it is too soon: none is left waiting
 * for ever. */
void uw_hop_take_one_apart(struct uw_hopper *hopper, double now_s, const struct hop_band *band);

/* *ret_hopper is NULL if no enabled signature asks for it. */
int uw_hopper_new(const struct uw_matcher_env *env, struct uw_hopper **ret_hopper);
struct uw_hopper *uw_hopper_free(struct uw_hopper *hopper);
/* A LoRa packet that was measured whole; hopper may be NULL. */
void uw_hopper_packet(struct uw_hopper *hopper, const struct uw_packet *packet);
/* A finding of another matcher; hopper may be NULL. */
void uw_hopper_named(struct uw_hopper *hopper, const struct uw_finding *finding);

#endif
