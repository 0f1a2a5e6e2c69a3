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

struct uw_lines;

int uw_lines_new(struct uw_lines **ret_lines);
struct uw_lines *uw_lines_free(struct uw_lines *lines);

/* Samples in a unit: 2^sf, at least 256. */
static inline size_t uw_lines_unit(int sf) {
    return sf == UW_LINES_SF_MAX ? 512 : 256;
}

/* Where line 0 .. 2^sf - 1 stands among its window's powers. */
static inline size_t uw_lines_place(int sf, size_t line) {
    if (sf < 8)
        return ((line << 4) & (((size_t)1 << sf) - 1)) + (line >> (sf - 4));
    return sf == 8 ? line : ((line & 1) << 8) + ((line >> 5) << 4) + ((line & 31) >> 1);
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

/*
 * The same (a chirp is needed), and the powers half a line above each line, in the same order,
 * wrapping around, from the two lines beside: |X[k] - X[k+1]|^2 / 2. Of a tone half-way that is 0.9
 * dB less than its own line would have, and of white noise the same mean as of a line.
 */
void uw_lines_run_between(const struct uw_lines *lines, int sf, const float *re, const float *im,
                          const float *chirp_re, const float *chirp_im, float *ret_power,
                          float *ret_between);

#endif
