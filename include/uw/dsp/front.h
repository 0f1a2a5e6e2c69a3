/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_DSP_FRONT_H
#define UW_DSP_FRONT_H

/*
 * The front end that everyone shares: raw samples in; overlapped spectra, noise floor and bursts
 * out
 *
 *   samples -> float -> frames of n_fft with hop 3/4 n_fft -> FFT -> DC and IQ imbalance taken out
 *           -> history of spectra (a channel is cut out of it by an inverse FFT of its bins)
 *           -> Hann power -> noise floor per bin (order statistics) -> cells over threshold ->
 * bursts
 *
 * Frames depend on the sample count alone, never on the size of the blocks.
 *
 * Threads: one. Ownership: burst and view pointers are valid during the callback.
 */

#include <complex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uw/base/iq-format.h"

struct uw_front;

struct uw_front_config {
    double rate_hz;
    enum uw_iq_format format;
    double cell_pfa;      /* false-alarm rate of one smoothed cell of the burst finder */
    size_t history_bytes; /* of spectra, half a second at most */
    double history_min_s; /* ... but so long at least, whatever it takes */
    size_t n_centres;     /* whose noise floors are remembered; 1: it is never retuned */
    double freq_hz;       /* the first centre; NAN: not known */
};

/* One connected patch of energy in time and frequency. Frequencies are offsets from the centre. */
struct uw_burst {
    uint64_t number;           /* in order of their end */
    uint64_t start, stop;      /* samples since the start of the stream */
    double lower_hz, upper_hz; /* edges of the occupied band */
    double centre_hz;          /* power-weighted */
    double snr_db;             /* in [lower, upper] */
    double power_dbfs;
    bool open; /* still going on: reported because it has reached the longest length */
};

struct uw_front_ops {
    /* A burst has ended (or been cut). Called in the order of the end. */
    void (*burst)(void *userdata, const struct uw_burst *burst);
    /* All bursts that end before `sample` have been reported; several times a second of signal. */
    void (*progress)(void *userdata, uint64_t sample);
    /* May be NULL. Every frame, before its bursts: n_fft bins without a window, DC and image taken
     * out; its first sample. `begins`: it does not follow the previous one (begin of the stream, or
     * behind a gap). */
    void (*frame)(void *userdata, const float complex *spectrum, uint64_t sample, bool begins);
};

void uw_front_config_init(struct uw_front_config *config);
int uw_front_new(const struct uw_front_config *config, const struct uw_front_ops *ops,
                 void *userdata, struct uw_front **ret_front);
struct uw_front *uw_front_free(struct uw_front *front);
/* n raw samples of config.format. */
void uw_front_push(struct uw_front *front, const void *samples, size_t n);
/* Samples were lost here: the stream goes on `n` samples later. Up to 4 ms of them are made up, as
 * noise of the floor's power over which bursts go on as they were: a packet with a hole stays one.
 * Behind a longer gap open bursts are ended, and the history begins anew. */
void uw_front_gap(struct uw_front *front, uint64_t n);
/* A gap of n samples (which may be 0) behind which the receiver listens at another centre, in Hz.
 * The noise floor is the one that was left there; at a centre that is new, or that was left longest
 * ago, it is learned as at the start. */
void uw_front_retune(struct uw_front *front, double freq_hz, uint64_t n);
/* End of the stream: everything still open is reported. */
void uw_front_flush(struct uw_front *front);

uint64_t uw_front_samples(const struct uw_front *front);
size_t uw_front_n_fft(const struct uw_front *front);
/* What uw_front_n_fft() is for receivers of this rate. Any thread. */
size_t uw_front_frame_size(double rate_hz);
size_t uw_front_hop(const struct uw_front *front);
/* Length of the history. */
double uw_front_history_s(const struct uw_front *front);
/* Noise power in dBFS over the whole band; NAN before there is one. */
double uw_front_noise_dbfs(const struct uw_front *front);
/* Share of samples at full scale since the start. */
double uw_front_clip_ratio(const struct uw_front *front);
/* Noise density, power per Hz (full scale 1), around an offset. */
double uw_front_noise_density(const struct uw_front *front, double lower_hz, double upper_hz);

/*
 * Power of the next frame in the history that begins at or after *sample, in n_parts about equal
 * parts of the band, lowest frequency first; *sample becomes its begin. False if there is none yet.
 */
bool uw_front_parts(struct uw_front *front, uint64_t *sample, size_t n_parts, double *parts);
/* The same of n parts from `first` on alone, which costs by as much less. */
bool uw_front_some_parts(struct uw_front *front, uint64_t *sample, size_t n_parts, size_t first,
                         size_t n, double *parts);

/* `count` bins from bin `first` on, first + count <= n_fft, of the frame in the history that begins
 * at `sample`. False if there is no such frame. */
bool uw_front_bins(const struct uw_front *front, uint64_t sample, size_t first, size_t count,
                   float complex *out);

/*
 * Cuts a channel out of the history: about the samples [start, stop), filtered to centre +-
 * bandwidth / 2 (flat to there, then a raised-cosine slope), mixed to its centre, at the rate that
 * comes back (at least min_rate_hz where the receiver's rate allows). Sample m of the output was
 * input sample *ret_start + m * rate_hz / *ret_rate_hz; *ret_start is at most one output sample
 * before `start`, later if the history no longer reaches that far. Amplitudes are kept. Returns the
 * number of samples written, at most max; 0 if that piece is no longer, or not yet, in the history.
 */
size_t uw_front_cut(struct uw_front *front, uint64_t start, uint64_t stop, double centre_hz,
                    double bandwidth_hz, double min_rate_hz, float complex *out, size_t max,
                    double *ret_start, double *ret_rate_hz);

/* The same piece after piece, for who has no room for all of it. One cut at a time: reading ends
 * when another begins. */
struct uw_front_cut {
    double start;   /* *ret_start of uw_front_cut() */
    double rate_hz; /* of the samples */
    size_t n;       /* samples that there are */
    size_t done;    /* ... that have been read */
    /* the front end's own */
    size_t size, skip;
    uint64_t frame;
    long bin, lo, hi;
    double step;
};

/* The rate at which such a channel comes. */
double uw_front_cut_rate(const struct uw_front *front, double bandwidth_hz, double min_rate_hz);
/* False if that piece is no longer, or not yet, in the history. */
bool uw_front_cut_begin(struct uw_front *front, uint64_t start, uint64_t stop, double centre_hz,
                        double bandwidth_hz, double min_rate_hz, struct uw_front_cut *ret_cut);
/* At most max samples; fewer only at the end. */
size_t uw_front_cut_read(struct uw_front *front, struct uw_front_cut *cut, float complex *out,
                         size_t max);

/*
 * Memory for whoever handles a burst, frame or progress: what it holds is lost when the callback
 * returns. At least as many bytes as the most that anybody has reserved; aligned for SIMD. To be
 * reserved before the first sample. 0 or -ENOMEM.
 */
int uw_front_reserve(struct uw_front *front, size_t bytes);
void *uw_front_scratch(struct uw_front *front);

#endif
