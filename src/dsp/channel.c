/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "uw/dsp/channel.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/fft.h"

#define SLOPE_HZ                                                                                   \
    60e3 /* of the filter beyond bandwidth / 2 + slack, where the rate has bins for it */

struct uw_channel {
    size_t n, k;
    long bin;    /* of the centre */
    long reach;  /* bins on each side that the filter passes */
    float *gain; /* 2 reach + 1, over n */
    struct uw_fft *inverse;
    double residual_hz;
};

struct uw_channel *uw_channel_free(struct uw_channel *channel) {
    if (!channel)
        return NULL;
    uw_fft_free(channel->inverse);
    free(channel->gain);
    free(channel);
    return NULL;
}

static void channel_freep(struct uw_channel **channel) {
    *channel = uw_channel_free(*channel);
}

static void make_gain(struct uw_channel *ch, double flat, double stop) {
    for (long i = -ch->reach; i <= ch->reach; ++i) {
        double a = fabs((double)i);
        double g = a <= flat ? 1.0 : 0.5 + 0.5 * cos(UW_PI * (a - flat) / (stop - flat));

        /* bins beyond the receiver's band belong to its other end */
        if (ch->bin + i >= (long)ch->n / 2 || ch->bin + i < -(long)ch->n / 2)
            g = 0.0;
        ch->gain[i + ch->reach] = (float)(g / (double)ch->n);
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
    ch->gain = calloc((size_t)(2 * ch->reach + 1), sizeof(float));
    if (!ch->gain)
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
        sum += (double)(ch->gain[i] * ch->gain[i]);
    return (double)ch->k / (sum * (double)ch->n * (double)ch->n);
}

size_t uw_channel_per_frame(const struct uw_channel *channel) {
    return channel->k * 3 / 4;
}

double uw_channel_residual_hz(const struct uw_channel *channel) {
    return channel->residual_hz;
}

void uw_channel_run(struct uw_channel *ch, const float complex *spectrum, uint64_t frame,
                    float complex *out) {
    float complex *y = uw_fft_buffer(ch->inverse);
    long n = (long)ch->n;
    long k = (long)ch->k;
    /* bin b of frame f has turned by b * 3/4 of a turn since frame f - 1 */
    static const float complex turns[4] = {1.0f, I, -1.0f, -I};
    float complex turn = turns[(uint64_t)(((ch->bin % 4) + 4) % 4) * (frame % 4) % 4];
    long first = ch->bin - ch->reach;
    long to = (((-ch->reach) % k) + k) % k;

    memset(y, 0, ch->k * sizeof(*y));
    for (long i = 0; i <= 2 * ch->reach; ++i) {
        long from = first + i;

        from += from < 0 ? n : 0;
        y[to] += spectrum[from] * ch->gain[i];
        to = to + 1 == k ? 0 : to + 1;
    }
    uw_fft_run(ch->inverse);
    for (size_t i = 0; i < ch->k * 3 / 4; ++i)
        out[i] = y[ch->k / 8 + i] * turn;
}
