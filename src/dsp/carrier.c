/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A steady carrier, segment by segment
 *
 * The Hann window finds the line, because strong neighbours do not leak into it; the rectangular
 * one measures it, because it has the most of every sample. Interpolation on two coefficients half
 * a bin beside the line takes out nearly all of the rest in two steps.
 *
 * A segment is so short that no crystal moves by a bin meanwhile, and so long that a line 40 dB
 * below the noise of the whole band stands out of it. The median of the power of all bins of the
 * span is the noise: a hundred lines would not move it.
 */
#include "uw/dsp/carrier.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "carrier-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/fft.h"

#define SEGMENT_S    0.08
#define SEGMENTS_MIN 8
#define SEGMENTS_MAX 4096
#define STANDS_OUT                                                                                 \
    20.0 /* times the noise of a bin: once in 1e8 bins by chance, less 0.6 for Hann */
#define NEAR_BINS     12
#define OTHER_RATIO   0.1
#define NARROW_SHARE  0.5
#define NARROW_HZ     2000.0
#define PRESENT_SHARE 0.9
#define LEVEL_DB      3.0
#define STEADY_BINS   0.25
#define STEADY_SIGMAS 4.0
#define EDGE          0.97

struct segment {
    double at_s, freq_hz, amplitude, snr;
    bool present;
};

struct uw_carrier {
    struct uw_carrier_config config;
    struct uw_fft *fft;
    size_t n, have;
    float *window;
    float complex *x;
    long low; /* bin of span[0], from the centre */
    size_t n_span;
    double *mean; /* power of the bins of the span, summed over the segments */
    float *power, *sorted;
    bool *avoid;
    double time_s;
    int n_segments;
    struct segment *segments;
};

struct uw_carrier *uw_carrier_free(struct uw_carrier *carrier) {
    if (!carrier)
        return NULL;
    uw_fft_free(carrier->fft);
    free(carrier->window);
    free(carrier->x);
    free(carrier->mean);
    free(carrier->power);
    free(carrier->sorted);
    free(carrier->avoid);
    free(carrier->segments);
    free(carrier);
    return NULL;
}

void uw_carrier_freep(struct uw_carrier **carrier) {
    *carrier = uw_carrier_free(*carrier);
}

static double bin_hz(const struct uw_carrier *c) {
    return c->config.rate_hz / (double)c->n;
}

static void fill_tables(struct uw_carrier *c) {
    const struct uw_carrier_config *config = &c->config;

    for (size_t i = 0; i < c->n; i++)
        c->window[i] = (float)(0.5 - 0.5 * cos(2 * UW_PI * (double)i / (double)c->n));
    for (size_t i = 0; i < c->n_span; i++) {
        double hz = (double)(c->low + (long)i) * bin_hz(c);

        for (int k = 0; k < config->n_avoid; k++)
            c->avoid[i] |= fabs(hz - config->avoid[k].freq_hz) <= config->avoid[k].width_hz;
    }
}

int uw_carrier_new(const struct uw_carrier_config *config, struct uw_carrier **ret_carrier) {
    UW_CLEANUP(uw_carrier_freep) struct uw_carrier *c = calloc(1, sizeof(*c));
    double least = fmax(config->freq_hz - config->span_hz, -config->rate_hz / 2);
    double most = fmin(config->freq_hz + config->span_hz, config->rate_hz / 2);
    int r;

    if (!c)
        return uw_err(-ENOMEM);
    if (!(config->rate_hz > 0) || !(most > least) || config->n_avoid > UW_CARRIER_AVOID_MAX)
        return uw_err(-EINVAL);
    c->config = *config;
    for (c->n = 1024; (double)c->n < SEGMENT_S * config->rate_hz;)
        c->n *= 2;
    c->low = lround(least / bin_hz(c));
    c->n_span = (size_t)(lround(most / bin_hz(c)) - c->low) + 1;
    if (c->n_span > c->n)
        c->n_span = c->n;
    c->window = calloc(c->n, sizeof(*c->window));
    c->x = calloc(c->n, sizeof(*c->x));
    c->mean = calloc(c->n_span, sizeof(*c->mean));
    c->power = calloc(c->n_span, sizeof(*c->power));
    c->sorted = calloc(c->n_span, sizeof(*c->sorted));
    c->avoid = calloc(c->n_span, sizeof(*c->avoid));
    c->segments = calloc(SEGMENTS_MAX, sizeof(*c->segments));
    if (!c->window || !c->x || !c->mean || !c->power || !c->sorted || !c->avoid || !c->segments)
        return uw_err(-ENOMEM);
    r = uw_fft_new(c->n, &c->fft);
    if (r)
        return r;
    fill_tables(c);
    *ret_carrier = c;
    c = NULL;
    return 0;
}

static int compare_floats(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

/* Mean power of a bin without a line: that of an exponential distribution with this median. */
static double noise_of(struct uw_carrier *c) {
    size_t n = 0;

    for (size_t i = 0; i < c->n_span; i++)
        if (!c->avoid[i])
            c->sorted[n++] = c->power[i];
    if (n == 0)
        return HUGE_VAL;
    qsort(c->sorted, n, sizeof(c->sorted[0]), compare_floats);
    return c->sorted[n / 2] / log(2);
}

static void span_power(struct uw_carrier *c) {
    float complex *y = uw_fft_buffer(c->fft);

    for (size_t i = 0; i < c->n; i++)
        y[i] = c->window[i] * c->x[i];
    uw_fft_run(c->fft);
    for (size_t i = 0; i < c->n_span; i++) {
        float complex v = y[(size_t)(c->low + (long)i + (long)c->n) % c->n];
        c->power[i] = crealf(v) * crealf(v) + cimagf(v) * cimagf(v);
        c->mean[i] += c->power[i];
    }
}

static size_t strongest(const struct uw_carrier *c) {
    size_t best = c->n_span;

    for (size_t i = 0; i < c->n_span; i++)
        if (!c->avoid[i] && (best == c->n_span || c->power[i] > c->power[best]))
            best = i;
    return best;
}

static void measure(struct uw_carrier *c) {
    struct segment *s = &c->segments[c->n_segments];
    double noise, bin;
    size_t peak;

    if (c->n_segments == SEGMENTS_MAX)
        return;
    span_power(c);
    noise = noise_of(c);
    peak = strongest(c);
    c->n_segments++;
    *s = (struct segment){.at_s = c->time_s - 0.5 * (double)c->n / c->config.rate_hz};
    if (peak == c->n_span || !(c->power[peak] > STANDS_OUT * noise))
        return;
    bin = uw_carrier_refine(c->x, c->n, (double)(c->low + (long)peak));
    s->present = true;
    s->freq_hz = bin * bin_hz(c);
    s->amplitude = cabs(uw_carrier_transform(c->x, c->n, bin)) / (double)c->n;
    /* the sum of the squares of a Hann window is 3/8 n */
    s->snr = s->amplitude * s->amplitude / (noise / (0.375 * (double)c->n));
}

void uw_carrier_push(struct uw_carrier *carrier, const float complex *x, size_t n) {
    while (n) {
        size_t k = carrier->n - carrier->have;

        k = k < n ? k : n;
        memcpy(carrier->x + carrier->have, x, k * sizeof(*x));
        carrier->have += k;
        carrier->time_s += (double)k / carrier->config.rate_hz;
        x += k;
        n -= k;
        if (carrier->have == carrier->n) {
            measure(carrier);
            carrier->have = 0;
        }
    }
}

void uw_carrier_gap(struct uw_carrier *carrier, double seconds) {
    carrier->have = 0;
    carrier->time_s += seconds;
}

struct levels {
    int n_present;
    double spread_db, snr, bound_hz;
};

static struct levels levels_of(const struct uw_carrier *c) {
    struct levels l = {0};
    double sum = 0, squares = 0, snr = 0;

    for (int i = 0; i < c->n_segments; i++) {
        const struct segment *s = &c->segments[i];
        double db = 20 * log10(fmax(s->amplitude, 1e-30));
        if (!s->present)
            continue;
        l.n_present++;
        sum += db;
        squares += db * db;
        snr += s->snr;
    }
    if (l.n_present == 0)
        return l;
    l.spread_db = sqrt(fmax(0, squares / l.n_present - sum / l.n_present * sum / l.n_present));
    l.snr = snr / l.n_present;
    l.bound_hz = uw_carrier_bound_hz(c->config.rate_hz, (double)c->n, l.snr);
    return l;
}

/* Looks at the mean spectrum: is the line alone, and is most power near it in it? */
static enum uw_carrier_verdict judge_spectrum(const struct uw_carrier *c, double drifted_hz,
                                              struct uw_carrier_result *ret) {
    long near = NEAR_BINS + lround(fabs(drifted_hz) / bin_hz(c));
    long wide = lround(NARROW_HZ / bin_hz(c));
    long line = lround(ret->freq_hz / bin_hz(c)) - c->low;
    double peak = 0, other = 0, in = 0, around = 0, noise = HUGE_VAL;
    long other_at = 0;

    for (size_t i = 0; i < c->n_span; i++) {
        long away = labs((long)i - line);
        if (c->avoid[i])
            continue;
        if (away <= near)
            peak = fmax(peak, c->mean[i]);
        else if (c->mean[i] > other) {
            other = c->mean[i];
            other_at = (long)i;
        }
    }
    ret->other_hz = (double)(c->low + other_at) * bin_hz(c);
    /* the noise beside the line: the quietest tenth would be too little, the mean too much */
    for (size_t i = 0; i < c->n_span; i++)
        c->sorted[i] = (float)c->mean[i];
    qsort(c->sorted, c->n_span, sizeof(c->sorted[0]), compare_floats);
    noise = c->sorted[c->n_span / 2];
    for (size_t i = 0; i < c->n_span; i++) {
        long away = labs((long)i - line);
        double v = c->mean[i] - noise;
        if (c->avoid[i] || away > near + wide)
            continue;
        around += v;
        if (away <= near)
            in += v;
    }
    if (other > OTHER_RATIO * peak && other > 4 * noise)
        return UW_CARRIER_AMBIGUOUS;
    return in < NARROW_SHARE * around ? UW_CARRIER_WIDE : UW_CARRIER_GOOD;
}

static enum uw_carrier_verdict judge(const struct uw_carrier *c, const struct levels *l, double rms,
                                     struct uw_carrier_result *ret) {
    enum uw_carrier_verdict v = judge_spectrum(c, ret->drift_hz_s * ret->seconds, ret);
    double off = ret->freq_hz - c->config.freq_hz;

    if (v != UW_CARRIER_GOOD)
        return v;
    if (l->n_present < PRESENT_SHARE * c->n_segments || l->spread_db > LEVEL_DB)
        return UW_CARRIER_FADING;
    if (rms > fmax(STEADY_BINS * bin_hz(c), STEADY_SIGMAS * l->bound_hz))
        return UW_CARRIER_UNSTEADY;
    return fabs(off) > EDGE * c->config.span_hz ? UW_CARRIER_EDGE : UW_CARRIER_GOOD;
}

void uw_carrier_result(const struct uw_carrier *carrier, struct uw_carrier_result *ret) {
    struct uw_carrier_result result = {.n_segments = carrier->n_segments,
                                       .seconds = carrier->time_s,
                                       .freq_hz = NAN,
                                       .error_hz = NAN,
                                       .drift_hz_s = NAN,
                                       .snr_db = NAN,
                                       .other_hz = NAN};
    struct levels levels = levels_of(carrier);
    struct uw_carrier_point *points = NULL;
    struct uw_carrier_line line;
    int n = 0;

    if (carrier->n_segments < SEGMENTS_MIN)
        result.verdict = UW_CARRIER_SHORT;
    else if (levels.n_present < 3 || levels.n_present * 2 < carrier->n_segments)
        result.verdict = levels.n_present < 3 ? UW_CARRIER_NONE : UW_CARRIER_FADING;
    else
        points = calloc((size_t)levels.n_present, sizeof(*points));
    if (points) {
        for (int i = 0; i < carrier->n_segments; i++)
            if (carrier->segments[i].present)
                points[n++] = (struct uw_carrier_point){carrier->segments[i].at_s,
                                                        carrier->segments[i].freq_hz};
        uw_carrier_fit(points, n, &line);
        result.freq_hz = line.freq_hz;
        result.drift_hz_s = line.drift_hz_s;
        result.error_hz = fmax(line.error_hz, levels.bound_hz / sqrt(n));
        result.snr_db = 10 * log10(levels.snr);
        result.verdict = judge(carrier, &levels, line.rms_hz, &result);
    }
    free(points);
    *ret = result;
}

const char *uw_carrier_verdict_name(enum uw_carrier_verdict verdict) {
    static const char *const names[UW_CARRIER_VERDICT_N] = {
        [UW_CARRIER_GOOD] = "good",           [UW_CARRIER_SHORT] = "too short",
        [UW_CARRIER_NONE] = "none",           [UW_CARRIER_AMBIGUOUS] = "ambiguous",
        [UW_CARRIER_WIDE] = "modulated",      [UW_CARRIER_FADING] = "not always there",
        [UW_CARRIER_UNSTEADY] = "not steady", [UW_CARRIER_EDGE] = "at the edge",
    };

    return (unsigned)verdict < UW_CARRIER_VERDICT_N ? names[verdict] : "?";
}
