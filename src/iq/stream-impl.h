/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_IQ_STREAM_IMPL_H
#define UW_IQ_STREAM_IMPL_H

/*
 * Inside src/iq: samples that come from afar, in order, at times of their own, and the clock that
 * says how many there should have been
 *
 * A stream takes what a socket or a driver gives and hands on blocks (struct uw_source_block):
 * n samples of one centre frequency, with what is missing before them. Nothing in it reads a clock,
 * waits or allocates after uw_stream_new(): the caller says what time it is.
 *
 * Threads: one. Ownership: the caller's.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uw_source_block;
struct uw_stream;

struct uw_stream_config {
    double rate_hz;
    size_t sample_bytes;
    size_t quantum;  /* samples that arrive at once as a rule */
    int64_t base_ns; /* monotonic time of sample 0 */
};

struct uw_stream_counts {
    uint64_t received;  /* samples that arrived */
    uint64_t lost;      /* samples of time without samples */
    uint64_t slipped;   /* of those lost: none is missing, the sender's clock is slow */
    uint64_t discarded; /* of those that arrived */
    uint64_t stale;     /* of those discarded: between two centre frequencies */
    double rate_hz;     /* that the peer really sends at; NAN: not known yet */
    bool wrong_rate;    /* it is steady and not the one asked for */
    bool flowing;       /* a stream is there and its time is known */
    double drift_ppm;   /* of its clock against the caller's, positive: fast; NAN: not known yet */
};

int uw_stream_new(const struct uw_stream_config *config, struct uw_stream **ret_stream);
struct uw_stream *uw_stream_free(struct uw_stream *stream);

/* A new stream of samples begins, at this centre. What the old one left that nobody has been
 * promised is gone. The first START_S are discarded: commands take effect meanwhile. */
void uw_stream_begin(struct uw_stream *stream, double freq_hz, double gain_db);
/* The stream has broken off; what has been released can still be taken. */
void uw_stream_end(struct uw_stream *stream);

/* Where the next bytes go. *ret_n 0: full, take some first. */
void *uw_stream_space(struct uw_stream *stream, size_t *ret_n);
/* n bytes have been put there. `drained`: there are no more for now. */
void uw_stream_received(struct uw_stream *stream, size_t n, int64_t now_ns, bool drained);
/* The driver itself says that samples have been lost here; how many the clock will tell. */
void uw_stream_gap(struct uw_stream *stream);

/* Another centre (or gain: same freq) was asked for at `sent_ns`; everything taken from
 * sent + guard on is surely at the new one. */
void uw_stream_retune(struct uw_stream *stream, int64_t sent_ns, int64_t guard_ns, double freq_hz,
                      double gain_db);

/* Up to n samples. block->n == 0: none yet. */
void uw_stream_take(struct uw_stream *stream, void *buf, size_t n, struct uw_source_block *block);
/* How many can be taken. */
size_t uw_stream_ready(const struct uw_stream *stream);
void uw_stream_counts(const struct uw_stream *stream, struct uw_stream_counts *ret);

/*
 * The ring under it (stream-ring.c): samples written, and of those the ones released to the reader;
 * marks say what changes before a sample.
 */
#define UW_STREAM_MARKS 16

struct uw_stream_mark {
    uint64_t at; /* sample before which it stands */
    uint64_t lost;
    bool fresh;
    bool tuned; /* freq_hz and gain_db are new */
    double freq_hz, gain_db;
};

struct uw_stream_ring {
    unsigned char *data;
    size_t capacity; /* samples */
    size_t sample_bytes;
    size_t odd;                       /* bytes of an incomplete sample behind `written` */
    uint64_t read, released, written; /* samples since the beginning */
    uint64_t dropped;                 /* by marks that found no place */
    double freq_hz, gain_db;          /* at `read` */
    int n_marks;
    struct uw_stream_mark marks[UW_STREAM_MARKS];
};

int uw_stream_ring_init(struct uw_stream_ring *ring, size_t capacity, size_t sample_bytes);
void uw_stream_ring_deinit(struct uw_stream_ring *ring);
void *uw_stream_ring_space(struct uw_stream_ring *ring, size_t *ret_n);
/* Returns the whole samples that have come with n bytes; they are contiguous in the ring. */
size_t uw_stream_ring_wrote(struct uw_stream_ring *ring, size_t n);
/* Takes back the last n samples, not further than what has been released. Returns how many. */
size_t uw_stream_ring_rewind(struct uw_stream_ring *ring, size_t n);
/* Cuts n samples out that have `after` samples behind them, all of one uw_stream_ring_wrote(). */
void uw_stream_ring_cut(struct uw_stream_ring *ring, size_t n, size_t after);
/* At `mark->at`, which lies between released and written; joins one that is there. */
void uw_stream_ring_mark(struct uw_stream_ring *ring, const struct uw_stream_mark *mark);
void uw_stream_ring_take(struct uw_stream_ring *ring, void *buf, size_t n,
                         struct uw_source_block *block);

/* The sender's rate (stream-rate.c). */
#define UW_STREAM_RATE_WINDOWS 10
#define UW_STREAM_QUANTA       2.2 /* any window of so many quanta holds the end of a whole one */

struct uw_stream_rate {
    double nominal_hz, quantum_s;
    double rate_hz; /* NAN: not known yet */
    bool wrong;
    int64_t since_ns, seen_ns, origin_ns;
    uint64_t received;      /* at the origin */
    double least, least_at; /* of this window: lag against the nominal rate, when; seconds */
    double lag[UW_STREAM_RATE_WINDOWS + 1], at[UW_STREAM_RATE_WINDOWS + 1]; /* latest first */
    int n;
};

void uw_stream_rate_restart(struct uw_stream_rate *rate, uint64_t received, int64_t now_ns);
void uw_stream_rate_note(struct uw_stream_rate *rate, uint64_t received, int64_t now_ns,
                         bool drained);

#endif
