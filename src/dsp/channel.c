/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "uw/dsp/channel.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "overlap-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/fft.h"

#define SLOPE_HZ                                                                                   \
    60e3 /* of the filter beyond bandwidth / 2 + slack, where the rate has bins for it */

struct uw_channel {
    size_t n, k;
    long bin;    /* of the centre */
    long reach;  /* bins on each side that the filter passes */
    bool folds;  /* these are more than k */
    float *gain; /* 2 reach + 1, over n, once for each component */
    struct uw_fft *inverse;
    float complex *samples; /* of a frame */
    double residual_hz;
};

struct uw_channel *uw_channel_free(struct uw_channel *channel) {
    if (!channel)
        return NULL;
    uw_fft_free(channel->inverse);
    uw_fft_dealloc(channel->samples);
    free(channel->gain);
    free(channel);
    return NULL;
}

static void channel_freep(struct uw_channel **channel) {
    *channel = uw_channel_free(*channel);
}

static void make_gain(struct uw_channel *ch, double flat, double stop) {
    for (long i = -ch->reach; i <= ch->reach; ++i) {
        double g = uw_overlap_filter((double)i, flat, stop) / (double)ch->n;

        /* bins beyond the receiver's band belong to its other end */
        if (ch->bin + i >= (long)ch->n / 2 || ch->bin + i < -(long)ch->n / 2)
            g = 0.0;
        ch->gain[2 * (i + ch->reach)] = (float)g;
        ch->gain[2 * (i + ch->reach) + 1] = (float)g;
    }
}

int uw_channel_new(size_t n_fft, double rate_hz, double centre_hz, double bandwidth_hz,
                   double slack_hz, double out_rate_hz, struct uw_channel **ret_channel) {
    UW_CLEANUP(channel_freep) struct uw_channel *ch = NULL;
    double bin_hz = rate_hz / (double)n_fft;
    double k = out_rate_hz / bin_hz;
    double flat = (0.5 * bandwidth_hz + slack_hz) / bin_hz;
    double stop = flat + fmax(8.0, SLOPE_HZ / bin_hz);
    int r;

    if (fabs(k - 8.0 * round(k / 8.0)) > 1e-6 || k < 8.0 || k > (double)n_fft)
        return UW_CHANNEL_E_RATE;
    ch = calloc(1, sizeof(*ch));
    if (!ch)
        return uw_err(-ENOMEM);
    ch->n = n_fft;
    ch->k = (size_t)llround(k);
    ch->bin = lround(centre_hz / bin_hz);
    ch->residual_hz = (double)ch->bin * bin_hz - centre_hz;
    ch->reach = (long)fmin(floor(stop), (double)n_fft / 2.0 - 1.0);
    ch->folds = 2 * ch->reach + 1 > (long)ch->k;
    ch->gain = calloc((size_t)(2 * ch->reach + 1), 2 * sizeof(float));
    ch->samples = uw_fft_alloc(ch->k);
    if (!ch->gain || !ch->samples)
        return uw_err(-ENOMEM);
    make_gain(ch, flat, stop);
    r = uw_fft_new_inverse(ch->k, &ch->inverse);
    if (r < 0)
        return r;
    *ret_channel = ch;
    ch = NULL;
    return 0;
}

double uw_channel_density(const struct uw_channel *ch) {
    double sum = 0.0;

    for (long i = 0; i <= 2 * ch->reach; ++i)
        sum += (double)(ch->gain[2 * i] * ch->gain[2 * i]);
    return (double)ch->k / (sum * (double)ch->n * (double)ch->n);
}

size_t uw_channel_per_frame(const struct uw_channel *channel) {
    return uw_overlap_valid(channel->k);
}

double uw_channel_residual_hz(const struct uw_channel *channel) {
    return channel->residual_hz;
}

UW_CLONES
static void weigh(size_t n, const float *restrict x, const float *restrict gain,
                  float *restrict y) {
    for (size_t i = 0; i < n; ++i)
        y[i] = x[i] * gain[i];
}

/* The same more. */
UW_CLONES
static void add(size_t n, const float *restrict x, const float *restrict gain, float *restrict y) {
    for (size_t i = 0; i < n; ++i)
        y[i] += x[i] * gain[i];
}

UW_CLONES
static void rotate(size_t n, const float *restrict x, float re, float im, float *restrict y) {
    for (size_t i = 0; i < n; ++i) {
        float a = x[2 * i];
        float b = x[2 * i + 1];

        y[2 * i] = a * re - b * im;
        y[2 * i + 1] = a * im + b * re;
    }
}

void uw_channel_run(struct uw_channel *ch, const float complex *spectrum, uint64_t frame,
                    float complex *out) {
    float complex *y = uw_fft_buffer(ch->inverse);
    const float complex *x = ch->samples + uw_overlap_first(ch->k);
    float complex turn = uw_overlap_turn(ch->bin, frame);
    struct uw_overlap_stretch s;

    /* where nothing folds, what was zero stays so */
    if (ch->folds)
        memset(y, 0, ch->k * sizeof(*y));
    for (long i = -ch->reach; i <= ch->reach; i += (long)s.n) {
        const float *gain = ch->gain + 2 * (i + ch->reach);

        s = uw_overlap_stretch(ch->n, ch->k, ch->bin, i, ch->reach);
        if (ch->folds)
            add(2 * s.n, (const float *)(spectrum + s.from), gain, (float *)(y + s.to));
        else
            weigh(2 * s.n, (const float *)(spectrum + s.from), gain, (float *)(y + s.to));
    }
    uw_fft_run_to(ch->inverse, ch->samples);
    rotate(uw_overlap_valid(ch->k), (const float *)x, crealf(turn), cimagf(turn), (float *)out);
}
