/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_DSP_LINES_H
#define UW_DSP_LINES_H

/*
 * Powers of the lines of dechirped LoRa symbols: the FFT of many short windows side by side
 *
 * The windows of a unit lie one behind the other, real parts apart from imaginary ones. A window's
 * powers come in an order of their own that is the same for all windows of its size:
 * uw_lines_place() says where a line stands.
 *
 * Threads: any; an object is not changed once it is made. Ownership: the caller's.
 */

#include <stdbool.h>
#include <stddef.h>

#define UW_LINES_SF_MIN 5
#define UW_LINES_SF_MAX 9
#define UW_LINES_LANES  8  /* floats in a vector */
#define UW_LINES_SQUARE 64 /* lines of a window that stand together */
#define UW_LINES_PAD    16 /* floats behind a window's amplitudes: whole lines of the cache */

struct uw_lines;

int uw_lines_new(struct uw_lines **ret_lines);
struct uw_lines *uw_lines_free(struct uw_lines *lines);

/* Samples in a unit: 2^sf, at least 256. */
static inline size_t uw_lines_unit(int sf) {
    return sf == UW_LINES_SF_MAX ? 512 : 256;
}

/* Where line 0 .. 2^sf - 1 stands among its window's powers and amplitudes. */
static inline size_t uw_lines_place(int sf, size_t line) {
    int shift = sf > 6 ? sf - 6 : 0; /* squares: 1 << shift */

    return (line & (((size_t)1 << shift) - 1)) * UW_LINES_SQUARE + (line >> shift);
}

/* The line that stands there. */
static inline size_t uw_lines_line(int sf, size_t place) {
    return (place % UW_LINES_SQUARE << (sf > 6 ? sf - 6 : 0)) + place / UW_LINES_SQUARE;
}

/* From the amplitudes of a window to the next one's. */
static inline size_t uw_lines_stride(int sf) {
    return ((size_t)1 << sf) + UW_LINES_PAD;
}

/* Where the last square begins. */
static inline size_t uw_lines_last(int sf) {
    return sf > 6 ? ((size_t)1 << sf) - UW_LINES_SQUARE : 0;
}

/*
 * Where the amplitude of the line above stands, wrapping around: a square behind the line, but for
 * those of the last square. Theirs are those of the first square, from the second on, and those of
 * the last UW_LINES_LANES stand behind the window's amplitudes, once more.
 */
static inline size_t uw_lines_above(int sf, size_t place) {
    if (place < uw_lines_last(sf))
        return place + UW_LINES_SQUARE;
    if (place < ((size_t)1 << sf) - UW_LINES_LANES)
        return place - uw_lines_last(sf) + 1;
    return place + UW_LINES_LANES;
}

/* What dechirps a unit of up-chirps (of down-chirps), one sample a chip; belongs to `lines`. */
void uw_lines_chirp(const struct uw_lines *lines, int sf, bool down, const float **ret_re,
                    const float **ret_im);

/*
 * |FFT|^2 of each window of a unit, the windows multiplied by the chirp first: chirp_re and
 * chirp_im are a unit, too, or both NULL. The arrays do not overlap.
 */
void uw_lines_run(const struct uw_lines *lines, int sf, const float *re, const float *im,
                  const float *chirp_re, const float *chirp_im, float *ret_power);

/* The amplitudes themselves, of n samples, whole units; a window's stand uw_lines_stride() from
 * those of the one before. Of the pad behind them the first UW_LINES_LANES are as uw_lines_above()
 * says, the others anything. */
void uw_lines_amplitudes(const struct uw_lines *lines, int sf, size_t n, const float *re,
                         const float *im, const float *chirp_re, const float *chirp_im,
                         float *ret_re, float *ret_im);

#endif
