/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_RX_RX_H
#define UW_RX_RX_H

/*
 * One receiver: capture thread -> ring of pooled blocks -> producer thread -> inner bus
 *
 * A file waits for ring space; a live source drops the oldest block and counts. The producer sends
 * detections and, several times a second of signal, progress; the last progress has `end`.
 *
 * A tunable source may be walked over several centres (uw_rx_set_walk()); the detector keeps the
 * links that it follows from one to the next.
 *
 * Threads: new/start/stop/join/free from one; uw_rx_stats() from any (relaxed atomics).
 * Ownership: takes the source (closed by uw_rx_free()); borrows database and bus.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uw/msg/record.h"

struct uw_bus;
struct uw_detector;
struct uw_diag;
struct uw_rx;
struct uw_sigdb;
struct uw_source;
struct uw_source_health;
struct uw_source_info;

#define UW_RX_NAMES_LEN 33

struct uw_rx_config {
    const char *name;
    struct uw_source *source; /* taken */
    const struct uw_sigdb *db;
    struct uw_bus *bus;
    const char *endpoint; /* of the inner bus */
    struct uw_head head;  /* site, node, run, exercise for its records; run and name together at
                           * most UW_RX_NAMES_LEN characters (identifiers hold both) */
    bool below_noise;     /* struct uw_detector_config */
    size_t block_samples; /* 0: chosen from the rate; odd sizes are for tests */
    unsigned delay_seed;  /* not 0: random delays of both threads, for tests of determinism */
    /* Not NULL, file sources: called by the producer before it says that it has come to time_ns,
     * and returns when it may: so a quick file does not run away from a slow one. */
    void (*wait_turn)(void *userdata, int64_t time_ns);
    void *userdata;
};

/* One centre: a stare. Several: one after the other, each for its dwell of signal, and again. */
#define UW_RX_CENTRES_MAX 32
struct uw_rx_walk {
    int n; /* 0: where the source is */
    double centre_hz[UW_RX_CENTRES_MAX];
    double dwell_s[UW_RX_CENTRES_MAX];
};

struct uw_rx_stats {
    uint64_t samples;    /* through the detector */
    uint64_t lost;       /* samples, by the source or the ring */
    uint64_t dropped;    /* of these, by the ring */
    size_t queue_blocks; /* that wait in the ring */
    uint64_t detections;
    int64_t last_sample_mono_ns;   /* when the latest block came in; 0: none yet */
    double clip_ratio, noise_dbfs; /* clip_ratio: of the latest half second */
    double freq_hz;                /* where it listens; NAN: not known */
    /* Signs of life of the two threads, monotonic; 0: not yet. Of a live source they come several
     * times a second, with samples or without. */
    int64_t capture_pulse_ns, producer_pulse_ns;
    bool ended, failed;
};

/* What identifiers are made of. */
struct uw_rx_counts {
    uint64_t detections, emitters;
};

/* 0 or -errno; on failure the source stays with the caller. */
int uw_rx_new(const struct uw_rx_config *config, struct uw_rx **ret_rx);
/* From the next block on. Any thread, at any time. 0; -EOPNOTSUPP if the source cannot be tuned;
 * -EINVAL. */
int uw_rx_set_walk(struct uw_rx *rx, const struct uw_rx_walk *walk);
/* Before uw_rx_start(): numbers of identifiers go on from here. After uw_rx_join(): where they have
 * come to. */
void uw_rx_set_counts(struct uw_rx *rx, const struct uw_rx_counts *counts);
void uw_rx_counts(const struct uw_rx *rx, struct uw_rx_counts *ret);
int uw_rx_start(struct uw_rx *rx);
void uw_rx_stop(struct uw_rx *rx);
/* Waits for both threads. If the source failed, UW_E_INPUT with its text in diag. */
int uw_rx_join(struct uw_rx *rx, struct uw_diag *diag);
struct uw_rx *uw_rx_free(struct uw_rx *rx);
void uw_rx_stats(const struct uw_rx *rx, struct uw_rx_stats *ret);
/* What the source says of itself; any thread. */
void uw_rx_source_health(const struct uw_rx *rx, struct uw_source_health *ret);
const struct uw_source_info *uw_rx_source_info(const struct uw_rx *rx);

/*
 * Other signatures while it runs, in two steps: the detector is made, which may fail, and handed
 * over, which may not. The producer flushes its old detector at the next block and goes on with the
 * new one; no sample is lost, links that were followed are found again under other numbers. The old
 * database must live until uw_rx_renewed().
 */
int uw_rx_renew_prepare(const struct uw_rx *rx, const struct uw_sigdb *db, bool below_noise,
                        struct uw_detector **ret_detector);
void uw_rx_renew(struct uw_rx *rx, struct uw_detector *detector); /* takes it */
/* The detector handed over last is in use, or never will be as the receiver has ended. */
bool uw_rx_renewed(const struct uw_rx *rx);

#endif
