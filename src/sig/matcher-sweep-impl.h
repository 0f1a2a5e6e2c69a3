/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_SIG_MATCHER_SWEEP_IMPL_H
#define UW_SRC_SIG_MATCHER_SWEEP_IMPL_H

/*
 * Private to src/sig: what the parts of the matcher below the noise share
 *
 * Threads: one. Ownership: the matcher's.
 */

#include <complex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "held-impl.h"
#include "matcher-impl.h"
#include "shadow-impl.h"
#include "uw/dsp/faint.h"
#include "uw/dsp/sweep.h"

#define UW_STREAMS_MAX  192
#define UW_SUSPECTS_MAX 64 /* of one stream at a time */
#define UW_STRONG_MAX   64

struct uw_channel;
struct uw_lines;

struct uw_suspect {
    struct uw_faint_suspect at; /* .at is filled in when it is looked at */
    uint64_t begin;             /* sample of the stream, two a chip */
    uint64_t due;
    double sum; /* of the sweep */
    bool is_packet;
    double snr;            /* of the run */
    double run, following; /* of the looks */
};

/* A run that was too strong to be followed, and the time that its packet may be on the air. */
struct uw_strong_run {
    double start, stop; /* input samples */
    double snr;
};

struct uw_stream {
    double centre_hz, bandwidth_hz; /* centre: offset from the receiver's */
    double apart_hz;                /* a second channel's centre less this; 0: there is none */
    double cut_hz;                  /* where it is cut out */
    struct uw_channel *channel;
    struct uw_sweep *sweeps[2]; /* up, down; or NULL */
    size_t chips;               /* of a frame */
    float *re, *im;             /* one sample a chip, of what is not swept yet */
    size_t n_chips;             /* ... so many */
    size_t room;                /* samples that may be asked for at a time */
    uint64_t first;             /* input sample at which frame 0 begins */
    double begin;               /* input sample of the stream's sample 0; two samples a chip */
    uint64_t frames;            /* since then */
    struct uw_sweeper *matcher;
    bool down;                               /* of the sweep that runs */
    double hit_rate[2][UW_SWEEP_SF_MAX + 1]; /* measured, per second; of what only follows: [1] */
    double last_hit[2][UW_SWEEP_SF_MAX + 1]; /* input sample */
    int preamble_min[UW_SWEEP_SF_MAX + 1], preamble_max[UW_SWEEP_SF_MAX + 1];
    int symbols[UW_SWEEP_SF_MAX + 1]; /* of the longest packet, from its begin */
    int sync_word;
    double carrier_hz, density; /* the channel's: uw_channel_density() */
    size_t n_suspects;
    struct uw_suspect suspects[UW_SUSPECTS_MAX];
};

/* The streams of a centre that the receiver listens at, or has listened at. */
struct uw_stream_set {
    double freq_hz;   /* the centre; NAN: not known */
    uint64_t visited; /* the latest time, as uw_sweeper.visits was */
    size_t n;
    struct uw_stream *streams; /* NULL: not used yet */
};

struct uw_sweeper {
    struct uw_matcher_env env;
    void (*hit)(void *userdata, const struct uw_sweep_hit *hit); /* with the stream */
    struct uw_shadow shadow;
    size_t n_strong; /* ever; of which the latest are kept */
    struct uw_strong_run strong[UW_STRONG_MAX];
    struct uw_faint *faint;
    struct uw_lines *lines;
    float complex *stretch; /* samples of one stream that are looked at */
    size_t stretch_len;
    uint64_t visits;
    size_t n_sets; /* room: as many as the detector remembers centres */
    struct uw_stream_set *sets;
    struct uw_stream_set *set; /* the present centre's */
    struct uw_held held;
};

/* How long spectra must be kept for what is heard below the noise of the enabled signatures, 0.45 s
 * at most: longer packets are not looked for. */
double uw_sweep_history_s(const struct uw_sigdb *db);
/* uw_detector_can_sweep() */
bool uw_sweep_is_possible(const struct uw_detector_config *config);
/*
 * The receiver listens at env.config->freq_hz from now on: m->set has the streams of the enabled
 * links' channels in its band. They are made when a centre is visited for the first time (and again
 * if more than n_sets others have been visited since); what all centres' streams share grows with
 * them. -ENOMEM: m->set has no streams.
 */
int uw_sweep_streams_visit(struct uw_sweeper *m);
void uw_sweep_streams_deinit(struct uw_sweeper *m);

#endif
