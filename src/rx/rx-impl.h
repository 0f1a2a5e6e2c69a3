/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_RX_RX_IMPL_H
#define UW_SRC_RX_RX_IMPL_H

/*
 * Private to src/rx: the queue of blocks between the two threads, and the reporter
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uw/msg/record.h"
#include "uw/rx/rx.h"
#include "uw/sig/detector.h"

struct uw_rx_block {
    unsigned char *data;
    size_t n;       /* samples */
    uint64_t lost;  /* samples missing before this block */
    double freq_hz; /* struct uw_source_block */
    double gain_db;
    bool fresh, torn;
    struct uw_rx_block *next;
};

/*
 * Blocks in a circle: free -> capture -> queued -> producer -> free. All are allocated at the
 * start.
 *
 * Dropping the oldest block means that the writing side takes from the reading end, which a queue
 * for one writer and one reader cannot do; a mutex held for a few instructions can, and keeps count
 * of what was lost exactly where it was lost.
 *
 * Threads: free_take and push from capture, pop and free_give from the producer, close and abort
 * from any.
 */
struct uw_rx_queue;

int uw_rx_queue_new(size_t n_blocks, size_t block_bytes, struct uw_rx_queue **ret_queue);
struct uw_rx_queue *uw_rx_queue_free(struct uw_rx_queue *queue);
/* `may_steal`: if none is free, the older half of the queue, counted as lost; else waits until half
 * of all are free. NULL after abort. */
struct uw_rx_block *uw_rx_queue_free_take(struct uw_rx_queue *queue, bool may_steal);
void uw_rx_queue_push(struct uw_rx_queue *queue, struct uw_rx_block *block);
/* Waits; NULL when closed and empty, or aborted. */
struct uw_rx_block *uw_rx_queue_pop(struct uw_rx_queue *queue);
void uw_rx_queue_free_give(struct uw_rx_queue *queue, struct uw_rx_block *block);
/* Blocks that wait, and samples in all that were taken back. */
void uw_rx_queue_count(struct uw_rx_queue *queue, size_t *ret_blocks, uint64_t *ret_dropped);
/* No push follows. */
void uw_rx_queue_close(struct uw_rx_queue *queue);
/* Wakes both sides for good. */
void uw_rx_queue_abort(struct uw_rx_queue *queue);

/*
 * Where to tune next (walk.c). The capture thread asks after every block; the walk itself may be
 * changed from any thread.
 */
struct uw_rx_walker;

int uw_rx_walker_new(double rate_hz, struct uw_rx_walker **ret_walker);
struct uw_rx_walker *uw_rx_walker_free(struct uw_rx_walker *walker);
void uw_rx_walker_set(struct uw_rx_walker *walker, const struct uw_rx_walk *walk);
/* n samples have come, n_lost are missing before them, all at freq_hz; n may be 0. True: the source
 * is to be tuned to *ret_freq_hz. */
bool uw_rx_walker_next(struct uw_rx_walker *walker, uint64_t n, uint64_t n_lost, double freq_hz,
                       double *ret_freq_hz);

#define UW_RX_EMITTERS      64
#define UW_RX_PER_SECOND    5
#define UW_RX_ID_PREFIX_LEN (UW_ID_LEN - 11) /* leaves eleven digits */

struct uw_rx_emitter {
    uint64_t number;                 /* the detector's; 0: free */
    uint64_t sent[UW_RX_PER_SECOND]; /* samples at which the latest were sent, a ring */
    unsigned n_sent;
    uint64_t stop; /* of the latest finding */
    bool pending;
    bool spaced; /* evidence grows dwell by dwell: a fifth of a second apart */
    struct uw_detection merged;
};

/*
 * Findings become detections here, at most five a second of signal for each emitter: what comes
 * faster is held back and merged (evidence adds up, the rest is the latest). It is a function of
 * the findings and the progress alone. Threads: one.
 */
struct uw_rx_report {
    struct uw_head head;
    char receiver[UW_NAME_LEN];
    char id_prefix[UW_RX_ID_PREFIX_LEN]; /* "<run>-<receiver>-d" */
    int64_t start_ns;
    uint64_t base;                      /* the detector's sample 0 is this one since start_ns */
    uint64_t emitter_base, emitter_max; /* ... and its emitters are counted from here */
    struct uw_tuning tuning;
    uint64_t n_detections;
    struct uw_rx_emitter emitters[UW_RX_EMITTERS];
    void (*send)(void *userdata, const struct uw_detection *d);
    void *userdata;
};

/* Sets head, receiver and the prefix of identifiers. -ENAMETOOLONG if run and receiver leave no
 * room for a number: the engine has checked that before. */
int uw_rx_report_name(struct uw_rx_report *report, const struct uw_head *head,
                      const char *receiver);
void uw_rx_report_finding(struct uw_rx_report *report, const struct uw_finding *finding,
                          const struct uw_quality *quality);
/* The detector has given everything that stops before `sample`. Sends what is due, and returns the
 * sample before which everything has been sent. */
uint64_t uw_rx_report_progress(struct uw_rx_report *report, uint64_t sample);
/* Sends everything. */
void uw_rx_report_flush(struct uw_rx_report *report);
/* Another detector goes on, whose sample 0 is this one since the start. After a flush. */
void uw_rx_report_restart(struct uw_rx_report *report, uint64_t sample);

#endif
