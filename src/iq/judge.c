/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Noise floor, peaks and clipping
 *
 * The power of slices of a millisecond, less their mean (an offset of the converter is no noise).
 * Bursts fill some slices and leave others, so the floor is taken by order: the power that a fifth
 * of the slices of a window stay below. Of noise alone, with 2400 samples in a slice, that is 0.1
 * dB under the mean.
 */
#include "judge-impl.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/util.h"

#define QUANTILE  0.2
#define CLIP_CF32 0.999f

struct sums {
    double i, q, square;
    uint64_t clipped;
};

void uw_judge_init(struct uw_judge *judge, enum uw_iq_format format, double rate_hz) {
    *judge = (struct uw_judge){
        .format = format,
        .rate_hz = rate_hz,
        .slice_len = (size_t)(rate_hz * UW_JUDGE_SLICE_S),
    };
}

void uw_judge_restart(struct uw_judge *judge) {
    uw_judge_init(judge, judge->format, judge->rate_hz);
}

/* Integers throughout: a slice of 8 bit samples fits 64 bits with room to spare. */
UW_CLONES static void sum_u8(const unsigned char *x, size_t n, int offset, struct sums *s) {
    int64_t i_sum = 0, q_sum = 0, square = 0;
    const int low = offset ? -253 : -255; /* some make signed samples that end at -127 */
    uint32_t clipped = 0;

    for (size_t k = 0; k < n; k++) {
        /* ci8 is turned into cu8 by its uppermost bit */
        int i = (x[2 * k] ^ offset) * 2 - 255, q = (x[2 * k + 1] ^ offset) * 2 - 255;

        i_sum += i;
        q_sum += q;
        square += i * i + q * q;
        clipped += (uint32_t)((i == 255) | (i <= low) | (q == 255) | (q <= low));
    }
    s->i = (double)i_sum / 255;
    s->q = (double)q_sum / 255;
    s->square = (double)square / (255.0 * 255.0);
    s->clipped = clipped;
}

UW_CLONES static void sum_i16(const int16_t *x, size_t n, struct sums *s) {
    int64_t i_sum = 0, q_sum = 0, square = 0;
    uint32_t clipped = 0;

    for (size_t k = 0; k < n; k++) {
        int64_t i = x[2 * k], q = x[2 * k + 1];

        i_sum += i;
        q_sum += q;
        square += i * i + q * q;
        clipped += (uint32_t)((i >= 32767) | (i <= -32767) | (q >= 32767) | (q <= -32767));
    }
    s->i = (double)i_sum / 32767.5;
    s->q = (double)q_sum / 32767.5;
    s->square = (double)square / (32767.5 * 32767.5);
    s->clipped = clipped;
}

static void sum_f32(const float *x, size_t n, struct sums *s) {
    *s = (struct sums){0};
    for (size_t k = 0; k < n; k++) {
        float i = x[2 * k], q = x[2 * k + 1];

        s->i += i;
        s->q += q;
        s->square += (double)(i * i + q * q);
        s->clipped += fabsf(i) >= CLIP_CF32 || fabsf(q) >= CLIP_CF32;
    }
}

static void measure(const struct uw_judge *judge, const void *samples, size_t n, struct sums *s) {
    switch (judge->format) {
    case UW_IQ_CU8:
        sum_u8(samples, n, 0, s);
        break;
    case UW_IQ_CI8:
        sum_u8(samples, n, 0x80, s);
        break;
    case UW_IQ_CI16:
        sum_i16(samples, n, s);
        break;
    default:
        sum_f32(samples, n, s);
    }
}

static void end_slice(struct uw_judge *judge) {
    double n = (double)judge->n, i = judge->sum_i / n, q = judge->sum_q / n;
    double power = judge->sum_square / n - i * i - q * q;

    judge->slices[judge->n_slices++] = power > 0 ? power : 0;
    judge->n = 0;
    judge->sum_i = judge->sum_q = judge->sum_square = 0;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double db_of(double power) {
    return 10 * log10(power + 1e-12);
}

static void end_window(struct uw_judge *judge, struct uw_judge_window *w) {
    double sorted[UW_JUDGE_SLICES];

    memcpy(sorted, judge->slices, sizeof(sorted));
    qsort(sorted, UW_JUDGE_SLICES, sizeof(sorted[0]), compare);
    w->floor_dbfs = db_of(sorted[(int)(QUANTILE * UW_JUDGE_SLICES)]);
    w->peak_db = db_of(sorted[UW_JUDGE_SLICES - 1]) - w->floor_dbfs;
    w->clip_ratio = (double)judge->n_clipped / (double)judge->n_total;
    judge->n_slices = 0;
    judge->n_clipped = judge->n_total = 0;
}

size_t uw_judge_feed(struct uw_judge *judge, const void *samples, size_t n, bool *ret_full,
                     struct uw_judge_window *ret_window) {
    const size_t size = uw_iq_format_size(judge->format);
    size_t done = 0;

    *ret_full = false;
    while (done < n && !*ret_full) {
        size_t part = judge->slice_len - judge->n;
        struct sums s;

        if (part > n - done)
            part = n - done;
        measure(judge, (const unsigned char *)samples + done * size, part, &s);
        judge->sum_i += s.i;
        judge->sum_q += s.q;
        judge->sum_square += s.square;
        judge->n_clipped += s.clipped;
        judge->n_total += part;
        judge->n += part;
        done += part;
        if (judge->n == judge->slice_len)
            end_slice(judge);
        if (judge->n_slices == UW_JUDGE_SLICES) {
            end_window(judge, ret_window);
            *ret_full = true;
        }
    }
    return done;
}
