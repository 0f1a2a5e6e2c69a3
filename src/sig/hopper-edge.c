/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Begin and end of a burst that is about as strong as the noise
 *
 * The burst finder hears such a burst in pieces. Its power in the frames around it, in its own
 * band, is compared with a level half-way between noise and signal: the stretch over which the
 * excess adds up to most is the burst (the maximum-likelihood box for an excess that is about
 * normal; found in one pass by J. B. Kadane's algorithm, J. Bentley, "Programming Pearls", 1984).
 */

#include <math.h>

#include "hopper-impl.h"

#define PART_HZ     25e3
#define PARTS_MAX   1024
#define FRAMES_MAX  512
#define AROUND_S    5e-3
#define BAND        0.7 /* of the width, to each side */
#define BAND_MIN_HZ 30e3
#define BAND_MAX_HZ 400e3
#define PASSES      2
#define EXCESS_MIN  0.3 /* of the noise in the band, over the burst */

struct rows {
    size_t n_frames, n_parts, n;
    size_t first_part;
    double noise; /* in the band */
    uint64_t sample[FRAMES_MAX];
    float power[FRAMES_MAX]; /* in the band */
};

static bool read_rows(struct uw_front *front, double rate_hz, const struct hop_piece *piece,
                      struct rows *r) {
    double half = fmin(fmax(BAND * piece->width_hz, BAND_MIN_HZ), BAND_MAX_HZ);
    uint64_t around = (uint64_t)(AROUND_S * rate_hz);
    uint64_t sample = piece->start > around ? piece->start - around : 0;
    double parts[PARTS_MAX];

    r->n_parts = (size_t)(rate_hz / PART_HZ);
    r->n_parts = r->n_parts < uw_front_n_fft(front) ? r->n_parts : uw_front_n_fft(front);
    if (r->n_parts > PARTS_MAX || r->n_parts < 4)
        return false;
    double part_hz = rate_hz / (double)r->n_parts;
    double lowest = floor((piece->centre_hz - half + 0.5 * rate_hz) / part_hz + 0.5);
    double highest = floor((piece->centre_hz + half + 0.5 * rate_hz) / part_hz + 0.5);
    if (lowest < 0.0 || highest > (double)r->n_parts || highest <= lowest)
        return false;
    r->first_part = (size_t)lowest;
    r->n = (size_t)(highest - lowest);
    r->noise = (double)r->n * part_hz *
               uw_front_noise_density(front, piece->centre_hz - half, piece->centre_hz + half);
    for (r->n_frames = 0; r->n_frames < FRAMES_MAX && sample < piece->stop + around; ++sample) {
        double sum = 0.0;

        if (!uw_front_some_parts(front, &sample, r->n_parts, r->first_part, r->n, parts))
            break;
        for (size_t i = 0; i < r->n; ++i)
            sum += parts[i];
        r->sample[r->n_frames] = sample;
        r->power[r->n_frames++] = (float)sum;
    }
    return r->n_frames > 2 && r->noise > 0.0;
}

/* The stretch [*from, *to] of frames with the greatest excess over the level. */
static void find_stretch(const struct rows *r, double level, size_t *from, size_t *to) {
    double best = 0.0;
    double sum = 0.0;
    size_t begin = 0;

    for (size_t i = 0; i < r->n_frames; ++i) {
        if (sum <= 0.0) {
            sum = 0.0;
            begin = i;
        }
        sum += (double)r->power[i] - level;
        if (sum > best) {
            best = sum;
            *from = begin;
            *to = i;
        }
    }
}

static double excess(const struct rows *r, size_t from, size_t to) {
    double sum = 0.0;

    for (size_t i = from; i <= to; ++i)
        sum += (double)r->power[i];
    return sum / (double)(to - from + 1) - r->noise;
}

/* Power-weighted middle of its spectrum. */
static double centre(struct uw_front *front, double rate_hz, const struct rows *r, size_t from,
                     size_t to) {
    double noise = r->noise / (double)r->n;
    double part_hz = rate_hz / (double)r->n_parts;
    double profile[PARTS_MAX] = {0.0};
    double parts[PARTS_MAX];
    double total = 0.0;
    double moment = 0.0;

    for (size_t k = from; k <= to; ++k) {
        uint64_t sample = r->sample[k];

        if (!uw_front_some_parts(front, &sample, r->n_parts, r->first_part, r->n, parts))
            break;
        for (size_t i = 0; i < r->n; ++i)
            profile[i] += parts[i] - noise;
    }
    for (size_t i = 0; i < r->n; ++i) {
        total += profile[i];
        moment += profile[i] * ((double)(r->first_part + i) + 0.5);
    }
    return total > 0.0 ? moment / total * part_hz - 0.5 * rate_hz : NAN;
}

bool uw_hop_edges(struct uw_front *front, double rate_hz, struct hop_piece *piece) {
    size_t n_fft = uw_front_n_fft(front);
    size_t from = 0;
    size_t to = 0;
    struct rows r;

    if (!read_rows(front, rate_hz, piece, &r))
        return false;
    while (from + 1 < r.n_frames && r.sample[from] + n_fft / 2 < piece->start)
        ++from;
    to = from;
    while (to + 1 < r.n_frames && r.sample[to] + n_fft < piece->stop)
        ++to;
    for (int i = 0; i < PASSES; ++i)
        find_stretch(&r, r.noise + 0.5 * excess(&r, from, to), &from, &to);
    double signal = excess(&r, from, to);
    double middle = centre(front, rate_hz, &r, from, to);
    if (signal < EXCESS_MIN * r.noise || !isfinite(middle))
        return false;
    piece->start = r.sample[from] + n_fft / 8;
    piece->stop = r.sample[to] + n_fft - n_fft / 8;
    piece->centre_hz = middle;
    piece->snr_db = 10.0 * log10(signal / r.noise);
    piece->power_dbfs = 10.0 * log10(signal);
    return true;
}
