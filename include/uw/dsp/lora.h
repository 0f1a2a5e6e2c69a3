/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_DSP_LORA_H
#define UW_DSP_LORA_H

/*
 * LoRa packets by their outer structure: preamble, sync word, start-of-frame delimiter, length
 *
 * The data symbols are counted, never read.
 *
 * Threads: one at a time per object. Ownership: input is borrowed for the call.
 */

#include <complex.h>
#include <stdbool.h>
#include <stddef.h>

#define UW_LORA_SF_MIN 5
#define UW_LORA_SF_MAX 12

struct uw_lora;

struct uw_lora_packet {
    double start;   /* of the first up-chirp heard, in samples of the input (2 per chip) */
    double stop;    /* end of the last symbol */
    double offset;  /* carrier from the centre of the input, in units of the bandwidth */
    double score;   /* share of the preamble's energy in its dechirped line, 0..1 */
    double timing;  /* expected error of start, samples (one sigma) */
    int n_preamble; /* up-chirps */
    int n_symbols;  /* data symbols after the delimiter */
    int sync[2];    /* the two sync symbols, 0 .. 2^SF - 1 */
    bool complete;  /* delimiter found: start and offset hold */
    bool cut;       /* the symbols go on to the end of the input: stop is no end */
};

int uw_lora_new(struct uw_lora **ret_lora);
struct uw_lora *uw_lora_free(struct uw_lora *lora);

/* From here on the input is taken for its conjugate: packets in the other chirp direction. */
void uw_lora_mirror(struct uw_lora *lora, bool mirror);

/*
 * How well a preamble of this spreading factor is heard anywhere in x[from, n): the largest share
 * of energy, over any RUN successive symbols, in one dechirped line; 0 if it does not pass the
 * threshold that noise passes once in 1e9 lines. x has 2 samples a chip (2 * bandwidth per second).
 * *ret_at is where that run begins.
 */
double uw_lora_preamble(struct uw_lora *lora, int sf, const float complex *x, size_t n, size_t from,
                        size_t *ret_at);
/* Measures the packet whose preamble run begins at `at`. Returns false if there is none after all.
 */
bool uw_lora_measure(struct uw_lora *lora, int sf, const float complex *x, size_t n, size_t at,
                     struct uw_lora_packet *ret_packet);

#endif
