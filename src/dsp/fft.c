/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "uw/dsp/fft.h"

#include <errno.h>
#include <fftw3.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/base/util.h"

struct uw_fft {
    size_t n;
    float complex *buf;
    fftwf_plan in_place;
    fftwf_plan outer;
};

static pthread_mutex_t planner_lock = PTHREAD_MUTEX_INITIALIZER;

float complex *uw_fft_alloc(size_t n) {
    return uw_alloc_zeroed(n, sizeof(float complex));
}

void uw_fft_dealloc(float complex *p) {
    free(p);
}

static int fft_new(size_t n, int sign, struct uw_fft **ret_fft) {
    UW_CLEANUP(uw_fft_freep) struct uw_fft *fft = NULL;
    float complex *other;

    if (n == 0 || n > INT_MAX)
        return uw_err(-EINVAL);
    fft = calloc(1, sizeof(*fft));
    if (!fft)
        return uw_err(-ENOMEM);
    fft->n = n;
    fft->buf = uw_fft_alloc(n);
    other = uw_fft_alloc(n);
    if (!fft->buf || !other) {
        uw_fft_dealloc(other);
        return uw_err(-ENOMEM);
    }
    pthread_mutex_lock(&planner_lock);
    fft->in_place = fftwf_plan_dft_1d((int)n, (fftwf_complex *)fft->buf, (fftwf_complex *)fft->buf,
                                      sign, FFTW_ESTIMATE);
    fft->outer = fftwf_plan_dft_1d((int)n, (fftwf_complex *)fft->buf, (fftwf_complex *)other, sign,
                                   FFTW_ESTIMATE | FFTW_PRESERVE_INPUT);
    pthread_mutex_unlock(&planner_lock);
    uw_fft_dealloc(other);
    if (!fft->in_place || !fft->outer)
        return uw_err(-ENOTSUP);
    *ret_fft = fft;
    fft = NULL;
    return 0;
}

int uw_fft_new(size_t n, struct uw_fft **ret_fft) {
    return fft_new(n, FFTW_FORWARD, ret_fft);
}

int uw_fft_new_inverse(size_t n, struct uw_fft **ret_fft) {
    return fft_new(n, FFTW_BACKWARD, ret_fft);
}

int uw_fft_new_batch(size_t n, size_t count, struct uw_fft **ret_fft) {
    UW_CLEANUP(uw_fft_freep) struct uw_fft *fft = NULL;
    float complex *other;
    int size = (int)n;

    if (n == 0 || count == 0 || n > INT_MAX / count)
        return uw_err(-EINVAL);
    fft = calloc(1, sizeof(*fft));
    if (!fft)
        return uw_err(-ENOMEM);
    fft->n = n;
    fft->buf = uw_fft_alloc(n * count);
    other = uw_fft_alloc(n * count);
    if (!fft->buf || !other) {
        uw_fft_dealloc(other);
        return uw_err(-ENOMEM);
    }
    pthread_mutex_lock(&planner_lock);
    fft->outer = fftwf_plan_many_dft(1, &size, (int)count, (fftwf_complex *)fft->buf, NULL, 1, size,
                                     (fftwf_complex *)other, NULL, 1, size, FFTW_FORWARD,
                                     FFTW_ESTIMATE | FFTW_PRESERVE_INPUT);
    pthread_mutex_unlock(&planner_lock);
    uw_fft_dealloc(other);
    if (!fft->outer)
        return uw_err(-ENOTSUP);
    *ret_fft = fft;
    fft = NULL;
    return 0;
}

struct uw_fft *uw_fft_free(struct uw_fft *fft) {
    if (!fft)
        return NULL;
    pthread_mutex_lock(&planner_lock);
    if (fft->in_place)
        fftwf_destroy_plan(fft->in_place);
    if (fft->outer)
        fftwf_destroy_plan(fft->outer);
    pthread_mutex_unlock(&planner_lock);
    uw_fft_dealloc(fft->buf);
    free(fft);
    return NULL;
}

void uw_fft_freep(struct uw_fft **fft) {
    *fft = uw_fft_free(*fft);
}

float complex *uw_fft_buffer(struct uw_fft *fft) {
    return fft->buf;
}

size_t uw_fft_size(const struct uw_fft *fft) {
    return fft->n;
}

void uw_fft_run(struct uw_fft *fft) {
    fftwf_execute(fft->in_place);
}

void uw_fft_run_to(struct uw_fft *fft, float complex *out) {
    fftwf_execute_dft(fft->outer, (fftwf_complex *)fft->buf, (fftwf_complex *)out);
}

size_t uw_fft_good_size(size_t n) {
    for (;; ++n) {
        size_t m = n;

        while (m % 2 == 0 && m > 1)
            m /= 2;
        while (m % 3 == 0 && m > 1)
            m /= 3;
        while (m % 5 == 0 && m > 1)
            m /= 5;
        if (m == 1)
            return n;
    }
}
