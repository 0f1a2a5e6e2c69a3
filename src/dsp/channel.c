/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "uw/dsp/channel.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "overlap-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/fft.h"
#include "uw/dsp/front.h"

#define SLOPE_HZ                                                                                   \
    60e3 /* of the filter beyond bandwidth / 2 + slack, where the rate has bins for it */

#define AT_ONCE 16 /* chips */

/*
 * The way back at one rate: k points, and the bins from -(k / 2 + folds) to k / 2 + folds - 1 off
 * the channel's centre, of which the outer ones fold. What the filter does not pass has a gain of
 * zero.
 */
struct way {
    size_t k, folds; /* multiples of 8, of 4 */
    float *gain;     /* over n, once for each component */
    struct uw_fft *inverse;
};

struct uw_channel {
    size_t n, hop;
    long bin;                 /* of the centre */
    struct way halves, whole; /* points a chip; `whole` may be unused */
    const struct way *chips;  /* one of them */
    size_t stride;            /* its points a chip */
    float complex *samples;   /* of a frame */
    float complex *bins;      /* of a frame, in order */
    double residual_hz;
};

struct uw_channel *uw_channel_free(struct uw_channel *channel) {
    if (!channel)
        return NULL;
    uw_fft_free(channel->whole.inverse);
    uw_fft_free(channel->halves.inverse);
    free(channel->whole.gain);
    free(channel->halves.gain);
    uw_fft_dealloc(channel->samples);
    uw_fft_dealloc(channel->bins);
    free(channel);
    return NULL;
}

static void channel_freep(struct uw_channel **channel) {
    *channel = uw_channel_free(*channel);
}

/* How many bins a way needs. */
static size_t width_of(const struct way *way) {
    return way->k + 2 * way->folds;
}

/* How far its first one lies from the channel's centre. */
static long reach_of(const struct way *way) {
    return (long)(way->k / 2 + way->folds);
}

/* The filter reaches `stop` bins to either side. */
static int make_way(const struct uw_channel *ch, size_t k, double flat, double stop,
                    struct way *way) {
    size_t beyond = stop > 0.5 * (double)k ? (size_t)ceil(stop - 0.5 * (double)k) : 0;

    way->k = k;
    way->folds = (beyond + 3) / 4 * 4;
    if (way->folds > k / 2 || width_of(way) > ch->n)
        return UW_CHANNEL_E_RATE;
    way->gain = uw_alloc_zeroed(width_of(way), 2 * sizeof(*way->gain));
    if (!way->gain)
        return uw_err(-ENOMEM);
    for (size_t i = 0; i < width_of(way); ++i) {
        long off = (long)i - reach_of(way);
        double g = uw_overlap_filter((double)off, flat, stop) / (double)ch->n;

        /* bins beyond the receiver's band belong to its other end */
        if (ch->bin + off >= (long)ch->n / 2 || ch->bin + off < -(long)ch->n / 2)
            g = 0.0;
        way->gain[2 * i] = (float)g;
        way->gain[2 * i + 1] = (float)g;
    }
    return uw_fft_new_inverse(k, &way->inverse);
}

bool uw_channel_suits(size_t n_fft, double rate_hz, double chip_hz) {
    double eights = 2.0 * chip_hz / rate_hz * (double)n_fft / 8.0;

    return eights > 0.5 && fabs(eights - round(eights)) < 1e-7;
}

int uw_channel_new(size_t n_fft, double rate_hz, double centre_hz, double bandwidth_hz,
                   double slack_hz, double chip_hz, struct uw_channel **ret_channel) {
    UW_CLEANUP(channel_freep) struct uw_channel *ch = NULL;
    double bin_hz = rate_hz / (double)n_fft;
    double flat = (0.5 * bandwidth_hz + slack_hz) / bin_hz;
    double stop = flat + fmax(8.0, SLOPE_HZ / bin_hz);
    size_t halves = (size_t)llround(2.0 * chip_hz / bin_hz);
    int r;

    if (!uw_channel_suits(n_fft, rate_hz, chip_hz) || halves > n_fft)
        return UW_CHANNEL_E_RATE;
    ch = calloc(1, sizeof(*ch));
    if (!ch)
        return uw_err(-ENOMEM);
    ch->n = n_fft;
    ch->hop = uw_overlap_valid(n_fft);
    ch->bin = lround(centre_hz / bin_hz);
    ch->residual_hz = (double)ch->bin * bin_hz - centre_hz;
    ch->samples = uw_fft_alloc(halves);
    ch->bins = uw_fft_alloc(n_fft);
    if (!ch->samples || !ch->bins)
        return uw_err(-ENOMEM);
    r = make_way(ch, halves, flat, stop, &ch->halves);
    if (r)
        return r;
    /* where half as many points are no multiple of eight, or too few for the filter's slopes, the
     * chips are every second sample */
    r = halves % 16 == 0 ? make_way(ch, halves / 2, flat, stop, &ch->whole) : UW_CHANNEL_E_RATE;
    if (r < 0)
        return r;
    ch->chips = r == 0 ? &ch->whole : &ch->halves;
    ch->stride = r == 0 ? 1 : 2;
    *ret_channel = ch;
    ch = NULL;
    return 0;
}

double uw_channel_density(const struct uw_channel *ch) {
    double sum = 0.0;

    for (size_t i = 0; i < width_of(&ch->halves); ++i)
        sum += (double)(ch->halves.gain[2 * i] * ch->halves.gain[2 * i]);
    return (double)ch->halves.k / (sum * (double)ch->n * (double)ch->n);
}

size_t uw_channel_chips(const struct uw_channel *ch) {
    return uw_overlap_valid(ch->chips->k) / ch->stride;
}

double uw_channel_residual_hz(const struct uw_channel *channel) {
    return channel->residual_hz;
}

/* n floats, a multiple of 8. */
static inline void weigh(size_t n, const float *restrict x, const float *restrict gain,
                         float *restrict y) {
    for (size_t i = 0; i < n; i += 8) {
        for (size_t k = 0; k < 8; ++k)
            y[i + k] = x[i + k] * gain[i + k];
    }
}

/* The bins x of a way, weighed and folded into its points. */
UW_CLONES
static void fold(size_t k, size_t folds, const float *restrict x, const float *restrict gain,
                 float *restrict y) {
    size_t inner = k - 2 * folds, upper = k + 2 * folds; /* floats in both: of half the points */

    weigh(inner, x + upper, gain + upper, y);
    for (size_t i = inner; i < upper; i += 8) {
        for (size_t f = i; f < i + 8; ++f)
            y[f] = x[f + upper] * gain[f + upper] + x[f - inner] * gain[f - inner];
    }
    weigh(inner, x + upper - inner, gain + upper - inner, y + upper);
}

/* The first of a way's bins. */
static size_t first_bin(const struct uw_channel *ch, const struct way *way) {
    long bin = (ch->bin - reach_of(way)) % (long)ch->n;

    return (size_t)(bin < 0 ? bin + (long)ch->n : bin);
}

/* The way's bins of a spectrum, in order. */
static const float complex *order(struct uw_channel *ch, const struct way *way,
                                  const float complex *spectrum) {
    size_t from = first_bin(ch, way);
    size_t first = ch->n - from;

    if (width_of(way) <= first)
        return spectrum + from;
    memcpy(ch->bins, spectrum + from, first * sizeof(*spectrum));
    memcpy(ch->bins + first, spectrum, (width_of(way) - first) * sizeof(*spectrum));
    return ch->bins;
}

/* Real and imaginary parts apart, each with a factor. */
static inline void part_some(size_t n, size_t stride, const float *restrict x, float re, float im,
                             float *restrict ret_re, float *restrict ret_im) {
    for (size_t i = 0; i < n; ++i) {
        ret_re[i] = x[2 * stride * i] * re;
        ret_im[i] = x[2 * stride * i + 1] * im;
    }
}

/* Sizes and strides that the compiler knows; the last ones overlap those before. */
UW_CLONES
static void part(size_t n, size_t stride, const float *restrict x, float re, float im,
                 float *restrict ret_re, float *restrict ret_im) {
    if (stride > 1 || n < AT_ONCE) {
        part_some(n, stride, x, re, im, ret_re, ret_im);
        return;
    }
    for (size_t i = 0; i < n; i += AT_ONCE) {
        size_t at = n - i < AT_ONCE ? n - AT_ONCE : i;

        part_some(AT_ONCE, 1, x + 2 * at, re, im, ret_re + at, ret_im + at);
    }
}

void uw_channel_run(struct uw_channel *ch, const float complex *spectrum, uint64_t frame, float *re,
                    float *im) {
    const struct way *way = ch->chips;
    const float *x = (const float *)(ch->samples + uw_overlap_first(way->k));
    float complex turn = uw_overlap_turn(ch->bin, frame);
    size_t n = uw_channel_chips(ch);

    fold(way->k, way->folds, (const float *)order(ch, way, spectrum), way->gain,
         (float *)uw_fft_buffer(way->inverse));
    uw_fft_run_to(way->inverse, ch->samples);
    /* a quarter turn is an exchange */
    if (crealf(turn) != 0.0f)
        part(n, ch->stride, x, crealf(turn), crealf(turn), re, im);
    else
        part(n, ch->stride, x, cimagf(turn), -cimagf(turn), im, re);
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

/* The way's bins of a frame in the history, in order. */
static bool order_old(struct uw_channel *ch, const struct way *way, const struct uw_front *front,
                      uint64_t sample) {
    size_t from = first_bin(ch, way);
    size_t width = width_of(way);
    size_t first = width < ch->n - from ? width : ch->n - from;

    return uw_front_bins(front, sample, from, first, ch->bins) &&
           uw_front_bins(front, sample, 0, width - first, ch->bins + first);
}

bool uw_channel_cut(struct uw_channel *ch, const struct uw_front *front, uint64_t sample,
                    size_t n_frames, float complex *out) {
    const struct way *way = &ch->halves;
    const float *x = (const float *)(ch->samples + uw_overlap_first(way->k));
    size_t n = uw_overlap_valid(way->k);

    for (size_t f = 0; f < n_frames; ++f) {
        float complex turn = uw_overlap_turn(ch->bin, f);

        if (!order_old(ch, way, front, sample + f * ch->hop))
            return false;
        fold(way->k, way->folds, (const float *)ch->bins, way->gain,
             (float *)uw_fft_buffer(way->inverse));
        uw_fft_run_to(way->inverse, ch->samples);
        rotate(n, x, crealf(turn), cimagf(turn), (float *)(out + f * n));
    }
    return true;
}
