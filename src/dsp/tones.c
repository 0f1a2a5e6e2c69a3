/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A tone stands in the floor as a peak of a bin or two: what is on the air for part of the time
 * does not get there, what is modulated is wider or turns its phase. So a peak is a suspect; its
 * complex amplitude is measured frame by frame and must turn from each to the next by one and the
 * same angle. That angle tells the frequency to a small part of a bin, which is what it takes: of a
 * tone that is taken out at a frequency d bins off there remains (2 pi d)^2 / 12 of its power.
 *
 * With b the frequency in bins, a frame of n samples has A D(b - k) in bin k, D(x) = (1 - exp(j 2
 * pi x)) / (1 - exp(j 2 pi x / n)). A is the least-squares fit over the bins near b, where the tone
 * is and other signals have little; A D is then subtracted from all bins. Amplitude and phase are
 * taken from each frame anew: a step of the gain, or samples that were lost, spoil one frame.
 */

#include "tones-impl.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/fft.h"
#include "uw/dsp/floor.h"

#define TONES_MAX   8
#define NEAR        8   /* bins on each side that the amplitude is fitted to */
#define LOOK_FRAMES 128 /* between looks, and of a measurement */
#define PEAK        8.0 /* over the floor beside it: weaker ones do no harm to a LoRa channel */
#define BESIDE_FROM 4   /* bins from the peak */
#define BESIDE_TO   8
#define N_BESIDE    (BESIDE_TO - BESIDE_FROM + 1)
#define SAME_BINS   3.0
#define SURE        0.8 /* share of the power that turns evenly */
#define LOST        0.5
#define GONE        3.0 /* over the floor */
#define REST_LOOKS  64  /* a suspect that was none is left alone so long */
#define HANN_POWER  0.375
#define RAISED      1e-3 /* bins: a table is made anew for so much */

enum state { FREE, SUSPECT, TONE, REFUSED };

struct tone {
    enum state state;
    double bin;  /* from -n/2 */
    double made; /* for which the table is */
    float complex *table;
    float complex before; /* amplitude in the frame before */
    bool follows;
    double complex turn;
    double power;
    size_t n_frames;
    unsigned rest;
    double floor; /* power beside it, of a bin without a window */
};

struct uw_tones {
    size_t n, hop;
    size_t n_frames; /* since the last look */
    size_t n_tones;  /* any state but FREE */
    struct tone tones[TONES_MAX];
};

int uw_tones_new(size_t n, size_t hop, struct uw_tones **ret_tones) {
    struct uw_tones *t = calloc(1, sizeof(*t));
    bool whole = t != NULL;

    for (size_t i = 0; whole && i < TONES_MAX; ++i) {
        t->tones[i].table = uw_fft_alloc(n);
        whole = t->tones[i].table != NULL;
    }
    if (!whole) {
        uw_tones_free(t);
        return uw_err(-ENOMEM);
    }
    t->n = n;
    t->hop = hop;
    *ret_tones = t;
    return 0;
}

struct uw_tones *uw_tones_free(struct uw_tones *tones) {
    if (!tones)
        return NULL;
    for (size_t i = 0; i < TONES_MAX; ++i)
        uw_fft_dealloc(tones->tones[i].table);
    free(tones);
    return NULL;
}

void uw_tones_clear(struct uw_tones *tones) {
    for (size_t i = 0; i < TONES_MAX; ++i)
        tones->tones[i].state = FREE;
    tones->n_tones = 0;
    tones->n_frames = 0;
}

void uw_tones_break(struct uw_tones *tones) {
    for (size_t i = 0; i < TONES_MAX; ++i)
        tones->tones[i].follows = false;
}

size_t uw_tones_count(const struct uw_tones *tones) {
    size_t n = 0;

    for (size_t i = 0; i < TONES_MAX; ++i)
        n += tones->tones[i].state == TONE;
    return n;
}

static double complex leak(double x, double n) {
    double complex below = 1.0 - cexp(I * 2.0 * UW_PI * x / n);

    return cabs(below) < 1e-12 ? n : (1.0 - cexp(I * 2.0 * UW_PI * x)) / below;
}

static void make_table(const struct uw_tones *t, struct tone *tone) {
    for (size_t k = 0; k < t->n; ++k)
        tone->table[k] = (float complex)leak(tone->bin - (double)k, (double)t->n);
    tone->made = tone->bin;
}

/* The nearest bin, in the order of the transform. */
static size_t middle(const struct uw_tones *t, const struct tone *tone) {
    return (size_t)((lround(tone->bin) + (long)t->n) % (long)t->n);
}

static float complex amplitude(const struct uw_tones *t, const struct tone *tone,
                               const float complex *x) {
    size_t first = middle(t, tone) + t->n - NEAR;
    float complex sum = 0.0f;
    float power = 0.0f;

    for (size_t i = 0; i <= 2 * NEAR; ++i) {
        size_t k = (first + i) % t->n;
        float re = crealf(tone->table[k]);
        float im = cimagf(tone->table[k]);

        sum += x[k] * conjf(tone->table[k]);
        power += re * re + im * im;
    }
    return sum / power;
}

UW_CLONES
static void subtract(size_t n, float re, float im, const float *restrict table, float *restrict x) {
    for (size_t i = 0; i < n; ++i) {
        x[2 * i] -= re * table[2 * i] - im * table[2 * i + 1];
        x[2 * i + 1] -= re * table[2 * i + 1] + im * table[2 * i];
    }
}

static void follow(struct tone *tone, float complex a) {
    double re = (double)crealf(a);
    double im = (double)cimagf(a);

    if (tone->follows) {
        tone->turn += (double complex)a * conj((double complex)tone->before);
        tone->power += re * re + im * im;
        ++tone->n_frames;
    }
    tone->before = a;
    tone->follows = true;
}

void uw_tones_clean(struct uw_tones *t, float complex *x) {
    for (size_t i = 0; t->n_tones > 0 && i < TONES_MAX; ++i) {
        struct tone *tone = &t->tones[i];

        if (tone->state != SUSPECT && tone->state != TONE)
            continue;
        float complex a = amplitude(t, tone, x);
        follow(tone, a);
        if (tone->state == TONE)
            subtract(t->n, crealf(a), cimagf(a), (const float *)tone->table, (float *)x);
    }
}

static void measure_anew(struct tone *tone) {
    tone->turn = 0.0;
    tone->power = 0.0;
    tone->n_frames = 0;
}

/* What the frames since the last look say of one. */
static void judge(struct uw_tones *t, struct tone *tone) {
    double n = (double)t->n;
    double expected = 2.0 * UW_PI * tone->bin * (double)t->hop / n;
    double complex turn = tone->turn * cexp(-I * expected);
    double even = tone->power > 0.0 ? cabs(turn) / tone->power : 0.0;
    double over = tone->n_frames ? tone->power / (double)tone->n_frames * n * n / tone->floor : 0.0;

    if (tone->n_frames < LOOK_FRAMES / 2) /* gaps */
        return;
    if (over < GONE || even < LOST || (tone->state == SUSPECT && even < SURE)) {
        tone->state = REFUSED;
        tone->rest = REST_LOOKS;
        return;
    }
    tone->bin += carg(turn) / (2.0 * UW_PI) * n / (double)t->hop;
    if (fabs(tone->bin - tone->made) > RAISED)
        make_table(t, tone);
    tone->state = TONE;
    measure_anew(tone);
}

static double floor_at(const struct uw_tones *t, const struct uw_floor *floor, long k) {
    return uw_floor_at(floor, (size_t)((k + (long)t->n) % (long)t->n));
}

static double mean_floor(const struct uw_tones *t, const struct uw_floor *floor, long from,
                         long to) {
    double sum = 0.0;

    for (long k = from; k <= to; ++k)
        sum += floor_at(t, floor, k);
    return sum / (double)(to - from + 1);
}

static bool is_known(const struct uw_tones *t, double bin) {
    for (size_t i = 0; i < TONES_MAX; ++i) {
        const struct tone *tone = &t->tones[i];

        if (tone->state != FREE && fabs(remainder(tone->bin - bin, (double)t->n)) < SAME_BINS)
            return true;
    }
    return false;
}

/* A peak at bin k, which counts from the lowest frequency, between its neighbours. */
static void look_at(struct uw_tones *t, const struct uw_floor *floor, long k, double before,
                    double here, double behind) {
    double bin = (double)(k - (long)(t->n / 2));
    double beside;

    /* their mean is as much of any of them at least: nearly always this is enough */
    if (here < PEAK / N_BESIDE * floor_at(t, floor, k + BESIDE_FROM))
        return;
    beside = fmax(mean_floor(t, floor, k - BESIDE_TO, k - BESIDE_FROM),
                  mean_floor(t, floor, k + BESIDE_FROM, k + BESIDE_TO));
    if (here < PEAK * beside || is_known(t, bin))
        return;
    for (size_t i = 0; i < TONES_MAX; ++i) {
        struct tone *tone = &t->tones[i];

        if (tone->state != FREE)
            continue;
        /* between two bins the Hann powers of both sides tell where: their roots' ratio */
        tone->bin = bin + (sqrt(behind) - sqrt(before)) / (sqrt(here) + sqrt(fmax(before, behind)));
        tone->floor = beside / HANN_POWER;
        tone->state = SUSPECT;
        tone->follows = false;
        make_table(t, tone);
        measure_anew(tone);
        ++t->n_tones;
        return;
    }
}

static void find_peaks(struct uw_tones *t, const struct uw_floor *floor) {
    double before = uw_floor_at(floor, t->n - 1);
    double here = uw_floor_at(floor, 0);

    for (size_t k = 0; k < t->n; ++k) {
        const double behind = uw_floor_at(floor, k + 1 < t->n ? k + 1 : 0);

        if (!(here < before || here < behind))
            look_at(t, floor, (long)k, before, here, behind);
        before = here;
        here = behind;
    }
}

void uw_tones_look(struct uw_tones *t, const struct uw_floor *floor) {
    if (++t->n_frames < LOOK_FRAMES)
        return;
    t->n_frames = 0;
    for (size_t i = 0; i < TONES_MAX; ++i) {
        struct tone *tone = &t->tones[i];

        if (tone->state == SUSPECT || tone->state == TONE)
            judge(t, tone);
        if (tone->state == REFUSED && --tone->rest == 0) {
            tone->state = FREE;
            --t->n_tones;
        }
    }
    if (t->n > 4 * BESIDE_TO)
        find_peaks(t, floor);
}
