/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_DSP_FFT_H
#define UW_DSP_FFT_H

/*
 * Complex FFT, single precision
 *
 * The only part that knows FFTW. Making and freeing plans is serialised here, because FFTW's
 * planner is not thread safe; running a plan is. Plans are made with FFTW_ESTIMATE: never from
 * timing, so that equal input gives equal output on the same machine.
 *
 * Threads: one at a time per object. Ownership: the buffer is the object's.
 */

#include <complex.h>
#include <stddef.h>

struct uw_fft;

/* Forward, X[k] = sum x[i] exp(-j 2 pi i k / n); 0, -ENOMEM, -EINVAL. */
int uw_fft_new(size_t n, struct uw_fft **ret_fft);
/* Inverse without the factor 1/n. */
int uw_fft_new_inverse(size_t n, struct uw_fft **ret_fft);
/* Forward, `count` transforms of n samples one behind the other in one buffer of n * count; only by
 * uw_fft_run_to(): in place FFTW would allocate at every run. */
int uw_fft_new_batch(size_t n, size_t count, struct uw_fft **ret_fft);
struct uw_fft *uw_fft_free(struct uw_fft *fft);
void uw_fft_freep(struct uw_fft **fft);

/* n samples, transformed in place by uw_fft_run(); aligned for SIMD. */
float complex *uw_fft_buffer(struct uw_fft *fft);
size_t uw_fft_size(const struct uw_fft *fft);
void uw_fft_run(struct uw_fft *fft);
/* From the buffer into `out`, which must be as aligned as a buffer of uw_fft_alloc(). The buffer
 * keeps its contents. */
void uw_fft_run_to(struct uw_fft *fft, float complex *out);

/* Aligned memory for n samples, zeroed; NULL without memory. */
float complex *uw_fft_alloc(size_t n);
void uw_fft_dealloc(float complex *p);

/* The least n' >= n without prime factors above 5: sizes that transform fast. */
size_t uw_fft_good_size(size_t n);

#endif
