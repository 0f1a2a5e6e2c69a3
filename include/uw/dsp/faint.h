/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_DSP_FAINT_H
#define UW_DSP_FAINT_H

/*
 * A suspected LoRa preamble below the noise: whether it is one, and where exactly
 *
 * Powers are given over the noise of their own line (1 in the mean without a signal), so that sums
 * of n of them are Gamma distributed with shape n over noise.
 *
 * Threads: one at a time per object. Ownership: input is borrowed for the call.
 */

#include <complex.h>
#include <stdbool.h>
#include <stddef.h>

#define UW_FAINT_SF_MIN       5
#define UW_FAINT_SF_MAX       9
#define UW_FAINT_PREAMBLE_MAX 24
#define UW_FAINT_DATA_MAX     64
#define UW_FAINT_PLACES       4

struct uw_faint;
struct uw_lines;

struct uw_faint_suspect {
    int sf;
    bool down;           /* inverted chirps */
    size_t at;           /* sample of the input at which the run's first window begins */
    int run;             /* windows of a symbol in it */
    double line;         /* 0 .. 2^SF: where the run's line stands */
    double density;      /* of the noise inside the band over its mean in the input */
    double offset_max;   /* carrier, in bandwidths, */
    double offset_bias;  /* ... around this */
    double offset_sigma; /* ... with this standard deviation */
    double offset_apart; /* a second channel's bias less the first's; 0: there is one channel */
    double clock_share;  /* clock error over carrier offset in bandwidths: bandwidth / carrier; 0:
                            not  known */
    int preamble_min, preamble_max; /* up-chirps before the sync word */
    int sync_word;
};

struct uw_faint_packet {
    double sync;      /* sample of the input at which the sync word begins */
    double offset;    /* carrier, in bandwidths */
    double symbol;    /* samples */
    double line_snr;  /* of a symbol's line: its power over the noise, less 1 */
    double following; /* of the sync word's and the delimiter's four symbols: sum of their powers */
    double sum;       /* `following` and the nats of such an offset */
    int n_preamble;   /* entries in `preamble` */
    float preamble[UW_FAINT_PREAMBLE_MAX]; /* nats that up-chirp i + 1 before the sync word is there
                                            */
    double known;                          /* nats of the preamble's sure part */
    double told;                           /* nats of the data symbols up to where they tell most */
    int n_data;
    float data[UW_FAINT_DATA_MAX]; /* nats that data symbol i is there */
};

/* Upper tail of the Gamma distribution of whole shape: n powers of noise sum to more than t. */
double uw_gamma_tail(int shape, double t);

/* `lines` must outlive it, and may serve others. */
int uw_faint_new(const struct uw_lines *lines, struct uw_faint **ret_faint);
struct uw_faint *uw_faint_free(struct uw_faint *faint);

/* Samples, two a chip, that the suspect needs in front of and behind `at`. */
size_t uw_faint_before(int sf);
size_t uw_faint_behind(int sf, int preamble_max);

/*
 * Adds the windows of the run in phase. Over noise the result, at a place that was not chosen,
 * exceeds t with about 140 to 210 exp(-t) around t = 11 (counted: two tones, a maximum over turns);
 * over a preamble it is about run times line_snr. x: as many samples as uw_faint_before() and
 * uw_faint_behind() say around `at`.
 */
double uw_faint_run(struct uw_faint *faint, const float complex *x,
                    const struct uw_faint_suspect *suspect);
/* The UW_FAINT_PLACES likeliest places of sync word and delimiter; fills sync, offset, symbol,
 * following and sum of each. Returns about how many places there were to choose from. */
int uw_faint_follow(struct uw_faint *faint, const float complex *x,
                    const struct uw_faint_suspect *suspect,
                    struct uw_faint_packet ret_places[UW_FAINT_PLACES]);
/* How long it is: fills in the rest, as far as n samples go. */
void uw_faint_extent(struct uw_faint *faint, const float complex *x, size_t n,
                     const struct uw_faint_suspect *suspect, struct uw_faint_packet *packet);

#endif
