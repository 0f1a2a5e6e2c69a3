/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Joint Zadoff-Chu statistic
 *
 * Model. A symbol core of T = 66.67 us has the carriers k = n - 300, n = 0..600, without n = 300:
 *     z_u(t) = sum_n exp(-j pi u n (n + 1) / 601) exp(j 2 pi 15 kHz k t),
 * root u = 600 first and u = 147 D = 142.708 us after it.
 *
 * One cell. The window x of a start t, mixed down by f, against z normalised to 1:
 *     rho = |<x, z>|^2 / |x|^2.
 * |x|^2 counts the 9.015 MHz of the carriers alone, so noise in it has M = 601 dimensions. If it is
 * white and Gaussian, of any level, rho is the share of a random direction that falls on a fixed
 * one: P(rho > r) = (1 - r)^(M - 1), and g = -(M - 1) ln(1 - rho) is exponential with mean 1: nats.
 * (Energy in part of the band or of the window only has D < M dimensions, and the reference D / M
 * of its energy in them: rho keeps its mean and has the shorter tail.) The two symbols do not
 * overlap, hence in noise the sum J = g_600 + g_147 has P(J > j) = (1 + j) exp(-j), which is the
 * generalised likelihood ratio with the noise level and both amplitudes unknown. It needs no phase
 * between the symbols and therefore no carrier better than the lattice.
 *
 * Threshold. A search looks at no more than N cells; P(any J > j) <= N (1 + j) exp(-j) whatever
 * their correlation and whatever is skipped on the way. The threshold solves that for the rate
 * asked for.
 *
 * Each root must also stand alone (a chirp with the slope of root 600, or another user of root 147,
 * must not pass on one root): g of either over what a lattice of noise reaches once in 1000 tries,
 * and the two rho within a factor of 4, as they are symbols of equal power 143 us apart.
 *
 * Order of work. Root 600 = -1 (mod 601) is a plain down-chirp: nearly blind to the carrier, but a
 * carrier error f moves its peak by f * T / 9.015 MHz. (1) Root 600 by fast convolution at f = 0;
 * its peaks are candidates t0. (2) Cyclic prefixes around t0 give the carrier modulo 15 kHz. (3)
 * Root 147 on the 15 kHz lattice from there, at the time t0 - f T / 9.015 MHz + D that the carrier
 * demands; also a quarter, half and three quarters of a step further, because below -9 dB the
 * prefixes err. (4) The best cell is refined: times within 0.1 us, carrier to 1.25 kHz, both roots
 * at the same carrier. A shift of d carriers would need 148 d = 0 (mod 601) to look the same to
 * both roots; the nearest within 0.1 us is d = 134 (2 MHz), outside the lattice.
 */

#include "uw/dsp/zc.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/fft.h"
#include "zc-impl.h"

enum {
    N_LANES = 8,    /* independent sums: vectors without changed results */
    N_QUARTERS = 4, /* lattice steps per carrier */
    N_FINE = 3,     /* refinement steps of carrier */
    N_CANDIDATES = 24,
    LAG_PAD = 64,
};

#define TRIGGER_NATS    12.5 /* root 600 alone makes a candidate: 1 in 270 000 cells of noise */
#define SPACING_ERROR_S 0.1e-6
#define PEAK_APART_S    10e-6 /* one candidate per so much time */
#define LONE_PFA        1e-3
#define BALANCE         4.0

struct candidate {
    double sample;
    float rho;
};

/* What the refinement has found: the hit in the making, and where its two windows begin. */
struct match {
    struct uw_zc_hit hit;
    size_t start[2];
    double energy[2]; /* in the band */
};

/* A window that is being compared with one root: squares for lags around `half` (in half samples).
 */
struct lags {
    long half;
    double nats[2 * LAG_PAD + 1], rho[2 * LAG_PAD + 1];
};

static const int roots[2] = {600, 147};

static size_t core_samples(double rate_hz) {
    return (size_t)floor(rate_hz * UW_ZC_CORE_S + 1e-6);
}

int uw_zc_new(double max_rate_hz, size_t max_samples, struct uw_zc **ret_zc) {
    UW_CLEANUP(uw_zc_freep) struct uw_zc *zc = NULL;
    if (!(max_rate_hz >= UW_ZC_RATE_MIN_HZ) || max_rate_hz > 1e9)
        return uw_err(-EINVAL);
    zc = calloc(1, sizeof(*zc));
    if (!zc)
        return uw_err(-ENOMEM);
    zc->max_rate_hz = max_rate_hz;
    zc->max_samples = max_samples;
    zc->max_core = core_samples(max_rate_hz);

    size_t n_fft = 4096;
    while (n_fft < 4 * zc->max_core)
        n_fft *= 2;
    int r = uw_fft_new(n_fft, &zc->fft);
    if (r < 0)
        return r;
    const size_t len = zc->max_core + LAG_PAD;
    zc->spectrum = uw_fft_alloc(n_fft);
    zc->memory = calloc(10 * len, sizeof(float));
    zc->rho = calloc(max_samples + 1, sizeof(float));
    zc->energy = calloc(max_samples + 1, sizeof(double));
    if (!zc->spectrum || !zc->memory || !zc->rho || !zc->energy)
        return uw_err(-ENOMEM);
    float *p = zc->memory;
    for (int i = 0; i < 4; i++, p += 2 * len) {
        zc->ref[i / 2].re[i % 2] = p;
        zc->ref[i / 2].im[i % 2] = p + len;
    }
    zc->mix_re = p;
    zc->mix_im = p + len;

    *ret_zc = zc;
    zc = NULL;
    return 0;
}

struct uw_zc *uw_zc_free(struct uw_zc *zc) {
    if (!zc)
        return NULL;
    uw_fft_free(zc->fft);
    uw_fft_dealloc(zc->spectrum);
    free(zc->memory);
    free(zc->rho);
    free(zc->energy);
    free(zc);
    return NULL;
}

void uw_zc_freep(struct uw_zc **zc) {
    *zc = uw_zc_free(*zc);
}

/* One root sampled at the rate, `early` samples before its core begins, as the cyclic prefix
 * continues it. */
static void make_reference(const struct uw_zc *zc, int root, double early, float *re, float *im) {
    memset(re, 0, (zc->max_core + LAG_PAD) * sizeof(*re));
    memset(im, 0, (zc->max_core + LAG_PAD) * sizeof(*im));
    for (int n = 0; n < UW_ZC_N; n++) {
        const int k = n - UW_ZC_N / 2;
        if (k == 0)
            continue;
        const double turn = 2 * UW_PI * UW_ZC_CARRIER_HZ * k / zc->rate_hz;
        const double phase =
            -UW_PI * (double)((long)root * n * (n + 1) % (2 * UW_ZC_N)) / UW_ZC_N - turn * early;
        const double complex step = cexp(I * turn);
        double complex z = cexp(I * phase);
        for (size_t m = 0; m < zc->n_core; m++, z *= step) {
            re[m] += (float)creal(z);
            im[m] += (float)cimag(z);
        }
    }
    double energy = 0;
    for (size_t m = 0; m < zc->n_core; m++)
        energy += (double)(re[m] * re[m] + im[m] * im[m]);
    const float scale = (float)(1 / sqrt(energy));
    for (size_t m = 0; m < zc->n_core; m++) {
        re[m] *= scale;
        im[m] *= scale;
    }
}

int uw_zc_set_rate(struct uw_zc *zc, double rate_hz) {
    if (!(rate_hz >= UW_ZC_RATE_MIN_HZ) || rate_hz > zc->max_rate_hz * (1 + 1e-9))
        return uw_err(-EINVAL);
    if (!(fabs(rate_hz - zc->rate_hz) > 0))
        return 0;
    zc->rate_hz = rate_hz;
    zc->n_core = core_samples(rate_hz);
    if (zc->n_core > zc->max_core)
        zc->n_core = zc->max_core;
    for (int i = 0; i < 4; i++)
        make_reference(zc, roots[i / 2], 0.5 * (i % 2), zc->ref[i / 2].re[i % 2],
                       zc->ref[i / 2].im[i % 2]);

    float complex *buffer = uw_fft_buffer(zc->fft);
    const size_t n_fft = uw_fft_size(zc->fft);
    memset(buffer, 0, n_fft * sizeof(*buffer));
    for (size_t m = 0; m < zc->n_core; m++)
        buffer[m] = zc->ref[0].re[0][m] + I * zc->ref[0].im[0][m];
    uw_fft_run(zc->fft);
    memcpy(zc->spectrum, buffer, n_fft * sizeof(*buffer));
    return 0;
}

static double nats_of(double rho) {
    if (!(rho > 0))
        return 0;
    return -(UW_ZC_N - 1) * log1p(-fmin(rho, 1 - 1e-12));
}

/* Energy of a window in the band around `offset_hz`: its zero-padded spectrum there, by Parseval.
 */
static double band_energy(const struct uw_zc_piece *p, size_t start, double offset_hz) {
    struct uw_zc *zc = p->zc;
    float complex *buffer = uw_fft_buffer(zc->fft);
    const size_t n_fft = uw_fft_size(zc->fft);
    const double bin_hz = zc->rate_hz / (double)n_fft;
    memcpy(buffer, p->x + start, zc->n_core * sizeof(*buffer));
    memset(buffer + zc->n_core, 0, (n_fft - zc->n_core) * sizeof(*buffer));
    uw_fft_run(zc->fft);
    const long first = lround((offset_hz - UW_ZC_BAND_HZ / 2) / bin_hz);
    const long n = lround(UW_ZC_BAND_HZ / bin_hz);
    double sum = 0;
    for (long k = 0; k < n && k < (long)n_fft; k++) {
        const float complex v = buffer[(size_t)(first + k + 2 * (long)n_fft) % n_fft];
        sum += (double)(crealf(v) * crealf(v) + cimagf(v) * cimagf(v));
    }
    return sum / (double)n_fft;
}

static void sum_energy(const struct uw_zc_piece *p) {
    double sum = 0;
    for (size_t i = 0; i < p->n; i++) {
        p->zc->energy[i] = sum;
        const float re = crealf(p->x[i]), im = cimagf(p->x[i]);
        sum += (double)(re * re + im * im);
    }
    p->zc->energy[p->n] = sum;
}

/* Root 600 at every sample, by overlap-save. */
static void convolve(const struct uw_zc_piece *p) {
    struct uw_zc *zc = p->zc;
    float complex *buffer = uw_fft_buffer(zc->fft);
    const size_t n_fft = uw_fft_size(zc->fft), n_valid = n_fft - zc->n_core + 1;
    const size_t n_out = p->n - zc->n_core + 1;
    const double scale = 1 / ((double)n_fft * (double)n_fft);
    for (size_t base = 0; base < n_out; base += n_valid) {
        const size_t n_in = p->n - base < n_fft ? p->n - base : n_fft;
        memcpy(buffer, p->x + base, n_in * sizeof(*buffer));
        memset(buffer + n_in, 0, (n_fft - n_in) * sizeof(*buffer));
        uw_fft_run(zc->fft);
        /* the inverse through the conjugate: only magnitudes are wanted */
        for (size_t k = 0; k < n_fft; k++)
            buffer[k] = conjf(buffer[k]) * zc->spectrum[k];
        uw_fft_run(zc->fft);
        const size_t n_here = n_out - base < n_valid ? n_out - base : n_valid;
        for (size_t i = 0; i < n_here; i++) {
            const double re = (double)crealf(buffer[i]), im = (double)cimagf(buffer[i]);
            const double energy = uw_zc_energy(p, base + i, zc->n_core);
            zc->rho[base + i] = energy > 0 ? (float)((re * re + im * im) * scale / energy) : 0;
        }
    }
}

static bool is_peak(const float *rho, size_t n, size_t i, size_t apart) {
    const size_t first = i > apart ? i - apart : 0;
    const size_t last = i + apart < n ? i + apart : n - 1;
    for (size_t k = first; k <= last; k++)
        if (rho[k] > rho[i] || (k < i && !(rho[k] < rho[i])))
            return false;
    return true;
}

/* Where between the samples the peak is. */
static double vertex(const float *rho, size_t n, size_t i) {
    if (i == 0 || i + 1 >= n)
        return (double)i;
    const double a = (double)rho[i - 1], b = (double)rho[i], c = (double)rho[i + 1];
    const double curve = a - 2 * b + c;
    return (double)i + (curve < 0 ? fmax(-0.5, fmin(0.5, 0.5 * (a - c) / curve)) : 0);
}

static size_t find_candidates(const struct uw_zc_piece *p, struct candidate *out) {
    const struct uw_zc *zc = p->zc;
    const size_t n = p->n - zc->n_core + 1, apart = (size_t)(PEAK_APART_S * zc->rate_hz);
    const float trigger = (float)-expm1(-TRIGGER_NATS / (UW_ZC_N - 1));
    size_t n_found = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(zc->rho[i] >= trigger) || !is_peak(zc->rho, n, i, apart))
            continue;
        if (n_found == N_CANDIDATES) {
            /* full: the weakest goes, the order of time stays */
            size_t weakest = 0;
            for (size_t k = 1; k < n_found; k++)
                if (out[k].rho < out[weakest].rho)
                    weakest = k;
            if (out[weakest].rho >= zc->rho[i])
                continue;
            memmove(out + weakest, out + weakest + 1, (n_found - weakest - 1) * sizeof(*out));
            n_found--;
        }
        out[n_found++] = (struct candidate){vertex(zc->rho, n, i), zc->rho[i]};
    }
    return n_found;
}

/* x[first...] mixed down by `offset_hz` into the two float rows. */
static void mix(const struct uw_zc_piece *p, size_t first, size_t len, double offset_hz) {
    struct uw_zc *zc = p->zc;
    const double turn = -2 * UW_PI * offset_hz / zc->rate_hz;
    float lane_re[N_LANES], lane_im[N_LANES];
    for (int l = 0; l < N_LANES; l++) {
        lane_re[l] = (float)cos(turn * l);
        lane_im[l] = (float)sin(turn * l);
    }
    double complex base = 1;
    const double complex step = cexp(I * turn * N_LANES);
    for (size_t m = 0; m < len; m += N_LANES, base *= step) {
        const float b_re = (float)creal(base), b_im = (float)cimag(base);
        const size_t n = len - m < N_LANES ? len - m : N_LANES;
        for (size_t l = 0; l < n; l++) {
            const float w_re = b_re * lane_re[l] - b_im * lane_im[l];
            const float w_im = b_re * lane_im[l] + b_im * lane_re[l];
            const float x_re = crealf(p->x[first + m + l]), x_im = cimagf(p->x[first + m + l]);
            zc->mix_re[m + l] = x_re * w_re - x_im * w_im;
            zc->mix_im[m + l] = x_re * w_im + x_im * w_re;
        }
    }
}

/* |<window, reference>|^2; the rows may be read N_LANES - 1 samples past the core, where the
 * reference is 0. */
static double correlate(const struct uw_zc *zc, const float *w_re, const float *w_im,
                        const float *z_re, const float *z_im) {
    float sum_re[N_LANES] = {0}, sum_im[N_LANES] = {0};
    for (size_t m = 0; m < zc->n_core; m += N_LANES)
        for (size_t l = 0; l < N_LANES; l++) {
            sum_re[l] += w_re[m + l] * z_re[m + l] + w_im[m + l] * z_im[m + l];
            sum_im[l] += w_im[m + l] * z_re[m + l] - w_re[m + l] * z_im[m + l];
        }
    double re = 0, im = 0;
    for (int l = 0; l < N_LANES; l++) {
        re += (double)sum_re[l];
        im += (double)sum_im[l];
    }
    return re * re + im * im;
}

/* One root in a window that begins near `sample`, at n lags of half a sample either side. */
static bool measure_lags(const struct uw_zc_piece *p, int which, double sample, double offset_hz,
                         int n, struct lags *ret) {
    const struct uw_zc *zc = p->zc;
    const long half = lround(2 * sample);
    const long first = (half - n) >> 1, last = (half + n) >> 1;
    if (!(fabs(sample) < 1e15) || first < 0 || last + (long)zc->n_core > (long)p->n)
        return false;
    const size_t len = zc->n_core + (size_t)(last - first);
    mix(p, (size_t)first, len, offset_hz);
    memset(zc->mix_re + len, 0, N_LANES * sizeof(float));
    memset(zc->mix_im + len, 0, N_LANES * sizeof(float));
    ret->half = half;
    for (int i = -n; i <= n; i++) {
        const long start = (half + i) >> 1;
        const int odd = (int)((half + i) & 1);
        const float *z_re = zc->ref[which].re[odd], *z_im = zc->ref[which].im[odd];
        const double power =
            correlate(zc, zc->mix_re + (start - first), zc->mix_im + (start - first), z_re, z_im);
        const double energy = uw_zc_energy(p, (size_t)start, zc->n_core);
        ret->rho[i + n] = energy > 0 ? power / energy : 0;
        ret->nats[i + n] = nats_of(ret->rho[i + n]);
    }
    return true;
}

/* The carrier at which root 147 stands best where root 600 says it must; NAN if nowhere inside. */
static double scan_lattice(const struct uw_zc_piece *p, double t0, double fraction_hz) {
    struct lags lags;
    double best = -1, best_hz = NAN;
    for (int d = -p->n_lattice; d <= p->n_lattice; d++)
        for (int q = 0; q < N_QUARTERS; q++) {
            const double f = fraction_hz + UW_ZC_CARRIER_HZ * (d + (double)q / N_QUARTERS);
            const double t = t0 + (UW_ZC_SPACING_S - UW_ZC_RIDGE_S_PER_HZ * f) * p->zc->rate_hz;
            if (!measure_lags(p, 1, t, f, 1, &lags))
                continue;
            for (int i = 0; i < 3; i++)
                if (lags.rho[i] > best) {
                    best = lags.rho[i];
                    best_hz = f;
                }
        }
    return best_hz;
}

/* The best pair of lags at one carrier whose distance is right. */
static void join(const struct uw_zc_piece *p, const struct lags *a, const struct lags *b, double f,
                 struct match *match) {
    struct uw_zc_hit *hit = &match->hit;
    const double rate2 = 2 * p->zc->rate_hz;
    for (int i = 0; i <= 2 * p->n_lags; i++)
        for (int k = 0; k <= 2 * p->n_lags; k++) {
            const double spacing = (double)(b->half + k - a->half - i) / rate2;
            const double joint = a->nats[i] + b->nats[k];
            if (fabs(spacing - UW_ZC_SPACING_S) > SPACING_ERROR_S || joint <= hit->joint)
                continue;
            hit->joint = joint;
            hit->sample = 0.5 * (double)(a->half + i - p->n_lags);
            hit->offset_hz = f;
            hit->cell = (struct uw_zc_cell){a->rho[i], b->rho[k], a->nats[i], b->nats[k]};
            match->start[0] = (size_t)((a->half + i - p->n_lags) >> 1);
            match->start[1] = (size_t)((b->half + k - p->n_lags) >> 1);
        }
}

/* From the share of all energy in the window to the share of that in the band, which has the known
 * law. */
static void settle(const struct uw_zc_piece *p, struct match *match) {
    struct uw_zc_cell *cell = &match->hit.cell;
    double *rho[2] = {&cell->rho_600, &cell->rho_147};
    for (int i = 0; i < 2; i++) {
        const double all = uw_zc_energy(p, match->start[i], p->zc->n_core);
        match->energy[i] = band_energy(p, match->start[i], match->hit.offset_hz);
        *rho[i] = match->energy[i] > 0 ? fmin(*rho[i] * all / match->energy[i], 1) : 0;
    }
    cell->nats_600 = nats_of(cell->rho_600);
    cell->nats_147 = nats_of(cell->rho_147);
    match->hit.joint = cell->nats_600 + cell->nats_147;
}

static void refine(const struct uw_zc_piece *p, double t0, double f0, struct match *match) {
    const double rate = p->zc->rate_hz;
    const double step = UW_ZC_CARRIER_HZ / N_QUARTERS / N_FINE;
    struct lags a, b;
    for (int i = -(N_FINE / 2); i <= N_FINE / 2; i++) {
        const double f = f0 + i * step, t = t0 - UW_ZC_RIDGE_S_PER_HZ * f * rate;
        if (measure_lags(p, 0, t, f, p->n_lags, &a) &&
            measure_lags(p, 1, t + UW_ZC_SPACING_S * rate, f, p->n_lags, &b))
            join(p, &a, &b, f, match);
    }
    if (match->hit.joint > 0)
        settle(p, match);
}

static void complete(const struct uw_zc_piece *p, double cells, struct match *match) {
    struct uw_zc_hit *hit = &match->hit;
    const double rho[2] = {hit->cell.rho_600, hit->cell.rho_147};
    double signal = 0, noise = 0;
    for (int i = 0; i < 2; i++) {
        const double per_cell = (1 - rho[i]) * match->energy[i] / (UW_ZC_N - 1);
        signal += 0.5 * fmax(rho[i] * match->energy[i] - per_cell, 0);
        noise += 0.5 * per_cell;
    }
    hit->score = sqrt(0.5 * (rho[0] + rho[1]));
    hit->power = signal / (double)p->zc->n_core;
    hit->snr_db = 10 * log10(fmax(signal, 1e-30) / fmax(noise * UW_ZC_N, 1e-30));
    hit->llr = hit->joint - log1p(hit->joint) - log(cells);
    uw_zc_decide_layout(p, hit);
}

static bool set_piece(struct uw_zc *zc, const struct uw_zc_params *params, const float complex *x,
                      size_t n, struct uw_zc_piece *ret) {
    const double rate = zc->rate_hz;
    if (!(rate > 0) || !(params->span_hz >= 0) || n > zc->max_samples ||
        (double)n < (UW_ZC_SPACING_S + UW_ZC_CORE_S) * rate)
        return false;
    *ret = (struct uw_zc_piece){zc, x, n, 0, 0};
    ret->n_lattice = (int)ceil(fmin(params->span_hz, UW_ZC_SPAN_MAX_HZ) / UW_ZC_CARRIER_HZ);
    ret->n_lags = (int)fmax(1, fmin(SPACING_ERROR_S * 2 * rate, LAG_PAD / 2 - N_LANES));
    return true;
}

double uw_zc_cells(const struct uw_zc *zc, const struct uw_zc_params *params, size_t n) {
    struct uw_zc_piece p;
    if (!set_piece((struct uw_zc *)zc, params, NULL, n, &p))
        return 1;
    return 2.0 * (double)n * (2 * p.n_lattice + 1) * N_QUARTERS * N_FINE * (2 * p.n_lags + 1);
}

double uw_zc_threshold(double cells, double pfa) {
    const double start = log(fmax(cells, 1)) - log(fmin(fmax(pfa, 1e-300), 1));
    double j = start;
    for (int i = 0; i < 60; i++)
        j = start + log1p(j);
    return j;
}

bool uw_zc_measure(struct uw_zc *zc, const struct uw_zc_params *params, const float complex *x,
                   size_t n, double sample, double offset_hz, struct uw_zc_cell *ret_cell) {
    struct uw_zc_piece p;
    struct lags a, b;
    if (!set_piece(zc, params, x, n, &p))
        return false;
    sum_energy(&p);
    if (!measure_lags(&p, 0, sample, offset_hz, 0, &a) ||
        !measure_lags(&p, 1, sample + UW_ZC_SPACING_S * zc->rate_hz, offset_hz, 0, &b))
        return false;
    struct match match = {.hit.offset_hz = offset_hz,
                          .hit.cell = {a.rho[0], b.rho[0], 0, 0},
                          .start = {(size_t)(a.half >> 1), (size_t)(b.half >> 1)}};
    settle(&p, &match);
    *ret_cell = match.hit.cell;
    return true;
}

size_t uw_zc_search(struct uw_zc *zc, const struct uw_zc_params *params, const float complex *x,
                    size_t n, struct uw_zc_hit *hits, size_t max) {
    struct candidate candidates[N_CANDIDATES];
    struct uw_zc_piece p;
    if (!set_piece(zc, params, x, n, &p))
        return 0;
    const double cells = uw_zc_cells(zc, params, n);
    const double threshold = uw_zc_threshold(cells, params->pfa);
    const double lone = log((2 * p.n_lattice + 1) * N_QUARTERS * (2 * p.n_lags + 1) / LONE_PFA);

    sum_energy(&p);
    convolve(&p);
    const size_t n_candidates = find_candidates(&p, candidates);
    size_t n_hits = 0;
    for (size_t i = 0; i < n_candidates && n_hits < max; i++) {
        const double t0 = candidates[i].sample;
        const double f = scan_lattice(&p, t0, uw_zc_prefix_carrier(&p, t0, params->span_hz));
        struct match match = {0};
        if (isnan(f))
            continue;
        refine(&p, t0, f, &match);
        const struct uw_zc_cell *c = &match.hit.cell;
        if (match.hit.joint < threshold || fmin(c->nats_600, c->nats_147) < lone ||
            c->rho_600 > BALANCE * c->rho_147 || c->rho_147 > BALANCE * c->rho_600)
            continue;
        complete(&p, cells, &match);
        hits[n_hits++] = match.hit;
    }
    return n_hits;
}
