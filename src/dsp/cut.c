/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Overlap-save (overlap-impl.h) on what the history holds, for any channel at any time.
 *
 * The mixing is in two parts: whole bins cost nothing but a quarter turn now and then; what is left
 * of the frequency, half a bin at most, is taken out of the samples.
 */

#include "cut-impl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "overlap-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/fft.h"

#define SIZES_MAX 80
#define SIZE_MIN  16
#define ANEW      32 /* products of turns in a row: rounding must not add up */

/* Twice these are output rates wherever a whole multiple of eight bins makes them: LoRa at two
 * samples a chip needs no resampling then. */
static const double lora_hz[] = {125e3, 250e3, 500e3, 812.5e3};

struct size {
    size_t k;
    struct uw_fft *inverse;
};

struct uw_cutter {
    const struct uw_history *history;
    size_t n;
    double rate_hz;
    size_t n_sizes;
    struct size sizes[SIZES_MAX]; /* ascending */
    /* of the piece that is being cut: */
    float *gain;            /* filter over n, once for each component of the bins from -k/2 on */
    float complex *turn;    /* of the rest of the frequency, over a frame's samples */
    float complex *samples; /* of a frame */
};

struct uw_cutter *uw_cutter_free(struct uw_cutter *cutter) {
    if (!cutter)
        return NULL;
    for (size_t i = 0; i < cutter->n_sizes; ++i)
        uw_fft_free(cutter->sizes[i].inverse);
    free(cutter->gain);
    uw_fft_dealloc(cutter->turn);
    uw_fft_dealloc(cutter->samples);
    free(cutter);
    return NULL;
}

static void cutter_freep(struct uw_cutter **cutter) {
    *cutter = uw_cutter_free(*cutter);
}

static int add_size(struct uw_cutter *c, size_t k) {
    int r;

    if (c->n_sizes == SIZES_MAX)
        return 0;
    r = uw_fft_new_inverse(k, &c->sizes[c->n_sizes].inverse);
    if (r == 0)
        c->sizes[c->n_sizes++].k = k;
    return r;
}

/* Sizes for LoRa between two others. */
static int add_lora(struct uw_cutter *c, size_t above, size_t below) {
    int r = 0;

    for (size_t i = 0; r == 0 && i < UW_ARRAY_SIZE(lora_hz); ++i) {
        double k = 2.0 * lora_hz[i] * (double)c->n / c->rate_hz;
        size_t whole = (size_t)llround(k);

        if (fabs(k - round(k)) < 1e-9 && whole % 8 == 0 && whole > above && whole < below)
            r = add_size(c, whole);
    }
    return r;
}

/* Sizes 8 m without large factors, about 12 % apart, from SIZE_MIN to n. */
static int add_sizes(struct uw_cutter *c) {
    size_t k = SIZE_MIN < c->n ? SIZE_MIN : c->n;
    int r = add_size(c, k);

    while (r == 0 && k < c->n) {
        size_t next = 8 * uw_fft_good_size((k + k / 8) / 8 + 1);

        next = next < c->n ? next : c->n;
        r = add_lora(c, k, next);
        if (r == 0)
            r = add_size(c, next);
        k = next;
    }
    return r;
}

int uw_cutter_new(const struct uw_history *history, size_t n, double rate_hz,
                  struct uw_cutter **ret_cutter) {
    UW_CLEANUP(cutter_freep) struct uw_cutter *c = calloc(1, sizeof(*c));
    int r;

    if (!c)
        return uw_err(-ENOMEM);
    c->history = history;
    c->n = n;
    c->rate_hz = rate_hz;
    c->gain = calloc(2 * n, sizeof(*c->gain));
    c->turn = uw_fft_alloc(n);
    c->samples = uw_fft_alloc(n);
    if (!c->gain || !c->turn || !c->samples)
        return uw_err(-ENOMEM);
    r = add_sizes(c);
    if (r < 0)
        return r;
    *ret_cutter = c;
    c = NULL;
    return 0;
}

static size_t choose_size(const struct uw_cutter *c, double bandwidth_hz, double min_rate_hz) {
    double bin_hz = c->rate_hz / (double)c->n;
    double need = fmax(bandwidth_hz / bin_hz + 16.0, min_rate_hz / bin_hz);
    size_t i = 0;

    while (i + 1 < c->n_sizes && (double)c->sizes[i].k < need - 1e-6)
        ++i;
    return i;
}

double uw_cutter_rate(const struct uw_cutter *c, double bandwidth_hz, double min_rate_hz) {
    return c->rate_hz / (double)c->n *
           (double)c->sizes[choose_size(c, bandwidth_hz, min_rate_hz)].k;
}

/* Filter and turns of a piece. No bins from the other end of the band: the band's end is an end. */
static void prepare(struct uw_cutter *c, struct uw_front_cut *cut, double bandwidth_hz,
                    double residual_hz) {
    long n = (long)c->n;
    long k = (long)c->sizes[cut->size].k;
    double bin_hz = c->rate_hz / (double)c->n;
    double flat = 0.5 * bandwidth_hz / bin_hz;
    double stop = fmin(0.5 * (double)k, flat + fmax(8.0, 0.25 * flat));

    if (k < n && flat > 0.5 * (double)k - 8.0)
        flat = 0.5 * (double)k - 8.0;
    cut->lo = -k / 2 > -n / 2 - cut->bin ? -k / 2 : -n / 2 - cut->bin;
    cut->hi = k / 2 < n / 2 - cut->bin ? k / 2 - 1 : n / 2 - 1 - cut->bin;
    if (k < n) {
        cut->lo = cut->lo > -(long)stop ? cut->lo : -(long)stop;
        cut->hi = cut->hi < (long)stop ? cut->hi : (long)stop;
    }
    for (long i = cut->lo; i <= cut->hi; ++i) {
        float h = (k == n ? 1.0f : (float)uw_overlap_filter((double)i, flat, stop)) / (float)n;

        c->gain[2 * (i + k / 2)] = h;
        c->gain[2 * (i + k / 2) + 1] = h;
    }
    cut->step = -2.0 * UW_PI * residual_hz / cut->rate_hz;
    double complex by = cexp(I * cut->step);
    double complex z = 1.0;
    for (long i = 0; i < (long)uw_overlap_valid((size_t)k); ++i, z *= by) {
        if (i % ANEW == 0)
            z = cexp(I * cut->step * (double)i);
        c->turn[i] = (float complex)z;
    }
}

bool uw_cutter_begin(struct uw_cutter *c, const struct uw_cut_range *range, uint64_t start,
                     uint64_t stop, double centre_hz, double bandwidth_hz, double min_rate_hz,
                     struct uw_front_cut *ret_cut) {
    size_t hop = c->n * 3 / 4;
    double bin_hz = c->rate_hz / (double)c->n;
    size_t size = choose_size(c, bandwidth_hz, min_rate_hz);
    size_t k = c->sizes[size].k;
    double ratio = (double)c->n / (double)k; /* input samples per output sample */
    /* time of the first valid output of a frame is that of its sample n / 8 */
    uint64_t valid = range->origin + c->n / 8;

    if (stop <= valid || stop <= start || range->end == range->first)
        return false;
    if (start < valid)
        start = valid;
    uint64_t skipped = (start - valid) / hop;
    double in_frame = floor((double)((start - valid) % hop) / ratio);
    size_t want = (size_t)((double)(stop - start) / ratio);
    if (skipped >= range->end - range->first || want == 0)
        return false;
    size_t left =
        (size_t)(range->end - range->first - skipped) * uw_overlap_valid(k) - (size_t)in_frame;
    *ret_cut = (struct uw_front_cut){
        .start = (double)(valid + skipped * hop) + in_frame * ratio,
        .rate_hz = c->rate_hz / ratio,
        .n = want < left ? want : left,
        .frame = range->first + skipped,
        .skip = (size_t)in_frame,
        .size = size,
        .bin = lround(centre_hz / bin_hz),
    };
    prepare(c, ret_cut, bandwidth_hz, centre_hz - (double)ret_cut->bin * bin_hz);
    return true;
}

/* The filtered bins of a frame, back to samples: the valid ones. */
static const float complex *run_frame(const struct uw_cutter *c, const struct uw_front_cut *cut) {
    struct uw_fft *inverse = c->sizes[cut->size].inverse;
    float complex *y = uw_fft_buffer(inverse);
    size_t k = c->sizes[cut->size].k;
    struct uw_overlap_stretch s;

    memset(y, 0, k * sizeof(*y));
    for (long i = cut->lo; i <= cut->hi; i += (long)s.n) {
        s = uw_overlap_stretch(c->n, k, cut->bin, i, cut->hi);
        uw_history_get(c->history, cut->frame, s.from, s.n, c->gain + 2 * (i + (long)k / 2),
                       y + s.to);
    }
    uw_fft_run_to(inverse, c->samples);
    return c->samples + uw_overlap_first(k);
}

/* The products by twos: as one complex product gcc 12 makes fused operations of it on processors
 * that have them, whatever -ffp-contract says. */
UW_CLONES
static void rotate(size_t n, const float *restrict y, const float *restrict turn, float re,
                   float im, float *restrict out) {
    for (size_t i = 0; i < n; ++i)
        out[2 * i] = y[2 * i] * (turn[2 * i] * re - turn[2 * i + 1] * im) -
                     y[2 * i + 1] * (turn[2 * i] * im + turn[2 * i + 1] * re);
    for (size_t i = 0; i < n; ++i)
        out[2 * i + 1] = y[2 * i] * (turn[2 * i] * im + turn[2 * i + 1] * re) +
                         y[2 * i + 1] * (turn[2 * i] * re - turn[2 * i + 1] * im);
}

size_t uw_cutter_read(struct uw_cutter *c, struct uw_front_cut *cut, float complex *out,
                      size_t max) {
    size_t per_frame = uw_overlap_valid(c->sizes[cut->size].k);
    size_t n = 0;

    while (n < max && cut->done < cut->n) {
        const float complex *y = run_frame(c, cut);
        size_t m = per_frame - cut->skip;
        double angle = cut->step * ((double)cut->done - (double)cut->skip);
        double complex z = cexp(I * fmod(angle, 2.0 * UW_PI)) *
                           (double complex)uw_overlap_turn(cut->bin, cut->frame);

        m = m < max - n ? m : max - n;
        m = m < cut->n - cut->done ? m : cut->n - cut->done;
        rotate(m, (const float *)(y + cut->skip), (const float *)(c->turn + cut->skip),
               (float)creal(z), (float)cimag(z), (float *)(out + n));
        n += m;
        cut->done += m;
        cut->skip += m;
        if (cut->skip == per_frame) {
            cut->skip = 0;
            ++cut->frame;
        }
    }
    return n;
}
