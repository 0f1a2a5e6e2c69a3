/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The period under a list of times, the raster under a list of carriers
 *
 * Both are one problem: points on a lattice, with errors, strays and most of the places empty. The
 * Rayleigh periodogram |sum exp(2 pi i f t)|^2 / n (N. I. Fisher, "Statistical Analysis of Circular
 * Data", 1993) has its maxima at the lattice's frequency and the multiples of it; the few highest
 * are refined by regression of the times on the numbers of their slots, and the one whose lattice
 * says most is taken: of a lattice and its divisors that is the widest.
 */

#include <math.h>
#include <string.h>

#include "hopper-impl.h"
#include "uw/base/util.h"

#define LANES      16
#define FREQ_MIN   1.0   /* Hz: slower than any link hops */
#define FREQ_MAX   260.0 /* a little more than the fastest */
#define STEP       0.4   /* of the periodogram, in 1 / span */
#define PEAKS      64    /* room for a slow lattice and all its multiples */
#define TIMES_MIN  6
#define COHERENCE  0.3 /* least part of n that a lattice's line has */
#define REFINEMENT 3
#define N_WINDOWS  4

#define RASTER_MIN_HZ 25e3
#define RASTER_MAX_HZ 1.2e6
#define RASTER_STEP   0.25
#define RASTER_ERRORS 5.0   /* a raster is at least so many errors wide */
#define ENTROPY       4.133 /* sqrt(2 pi e): a normal density's width */

static const double windows_s[N_WINDOWS] = {40e-6, 150e-6, 300e-6, 600e-6};

/* Points turned by a phase that grows with the frequency. */
struct wheel {
    float re[HOP_CHANNELS_MAX], im[HOP_CHANNELS_MAX];
    float step_re[HOP_CHANNELS_MAX], step_im[HOP_CHANNELS_MAX];
};

_Static_assert(HOP_EVENTS_MAX % LANES == 0 && HOP_CHANNELS_MAX % LANES == 0 &&
                   HOP_EVENTS_MAX <= HOP_CHANNELS_MAX,
               "the wheel turns whole lanes");

static void wheel_begin(struct wheel *w, const double *x, size_t n, double first, double step) {
    memset(w, 0, sizeof(*w));
    for (size_t i = 0; i < n; ++i) {
        double y = x[i] - x[0];

        w->re[i] = (float)cos(2.0 * UW_PI * first * y);
        w->im[i] = (float)sin(2.0 * UW_PI * first * y);
        w->step_re[i] = (float)cos(2.0 * UW_PI * step * y);
        w->step_im[i] = (float)sin(2.0 * UW_PI * step * y);
    }
}

/* Power of the sum of the points; then turns each by its step. */
static double wheel_turn(struct wheel *w, size_t n_padded) {
    float re[LANES] = {0};
    float im[LANES] = {0};
    double sum_re = 0.0;
    double sum_im = 0.0;

    for (size_t i = 0; i < n_padded; i += LANES) {
        for (size_t l = 0; l < LANES; ++l) {
            float a = w->re[i + l];
            float b = w->im[i + l];

            re[l] += a;
            im[l] += b;
            w->re[i + l] = a * w->step_re[i + l] - b * w->step_im[i + l];
            w->im[i + l] = a * w->step_im[i + l] + b * w->step_re[i + l];
        }
    }
    for (size_t l = 0; l < LANES; ++l) {
        sum_re += (double)re[l];
        sum_im += (double)im[l];
    }
    return sum_re * sum_re + sum_im * sum_im;
}

struct peaks {
    size_t n;
    double at[PEAKS], power[PEAKS];
};

static void peaks_add(struct peaks *p, double at, double power) {
    size_t i;

    if (p->n == PEAKS && power <= p->power[PEAKS - 1])
        return;
    if (p->n < PEAKS)
        ++p->n;
    for (i = p->n - 1; i > 0 && p->power[i - 1] < power; --i) {
        p->at[i] = p->at[i - 1];
        p->power[i] = p->power[i - 1];
    }
    p->at[i] = at;
    p->power[i] = power;
}

/* The highest maxima of the periodogram of x between two frequencies. Returns the number of
 * frequencies that were tried. */
static size_t find_peaks(const double *x, size_t n, double first, double last, double step,
                         struct peaks *ret) {
    size_t n_steps = (size_t)((last - first) / step) + 2;
    size_t n_padded = (n + LANES - 1) / LANES * LANES;
    double least = COHERENCE * (double)n * (double)n;
    double before = 0.0;
    double here = 0.0;
    struct wheel w;

    ret->n = 0;
    wheel_begin(&w, x, n, first, step);
    for (size_t k = 0; k <= n_steps; ++k) {
        double next = wheel_turn(&w, n_padded);

        if (k > 0 && here >= before && here > next && here > least)
            peaks_add(ret, first + (double)(k - 1) * step, here);
        before = here;
        here = next;
    }
    return n_steps;
}

/* Regression of x on the numbers of its slots, those within a window of one only. */
static bool refine(const double *x, size_t n, double window, double *period, double *begin) {
    double s0 = 0.0;
    double s1 = 0.0;
    double s2 = 0.0;
    double t0 = 0.0;
    double t1 = 0.0;

    for (size_t i = 0; i < n; ++i) {
        double k = round((x[i] - *begin) / *period);
        double y = x[i] - *begin;

        if (fabs(y - k * *period) > window)
            continue;
        s0 += 1.0;
        s1 += k;
        s2 += k * k;
        t0 += y;
        t1 += k * y;
    }
    double det = s0 * s2 - s1 * s1;
    if (s0 < 3.0 || det < 0.5)
        return false;
    *begin += (s2 * t0 - s1 * t1) / det;
    *period = (s0 * t1 - s1 * t0) / det;
    return *period > 0.0;
}

/* The phase of the line at frequency f: the begin of a slot. */
static double begin_of(const double *x, size_t n, double f) {
    double re = 0.0;
    double im = 0.0;

    for (size_t i = 0; i < n; ++i) {
        re += cos(2.0 * UW_PI * f * (x[i] - x[0]));
        im += sin(2.0 * UW_PI * f * (x[i] - x[0]));
    }
    return x[0] + atan2(im, re) / (2.0 * UW_PI * f);
}

static size_t count_inside(const double *x, size_t n, double period, double begin, double window) {
    size_t inside = 0;

    for (size_t i = 0; i < n; ++i)
        inside += fabs(remainder(x[i] - begin, period)) <= window;
    return inside;
}

/* ln of the likelihood ratio of k of n at their own rate against the rate q. */
static double binomial_nats(size_t k, size_t n, double q) {
    double p = (double)k / (double)n;
    double nats = 0.0;

    if (p <= q)
        return 0.0;
    nats = (double)k * log(p / q);
    if (k < n)
        nats += (double)(n - k) * log((1.0 - p) / (1.0 - q));
    return nats;
}

/* The best window for the lattice near frequency f. */
static void weigh(const double *t, size_t n, double f, double error_s, double tried,
                  struct hop_lattice *best) {
    for (size_t j = 0; j < N_WINDOWS; ++j) {
        double window = windows_s[j];
        double period = 1.0 / f;
        double begin = begin_of(t, n, f);
        bool good = window >= 2.0 * error_s && window < 0.2 * period;

        for (int i = 0; good && i < REFINEMENT; ++i)
            good = refine(t, n, i == 0 ? 0.25 * period : 2.0 * window, &period, &begin);
        if (!good || window >= 0.2 * period)
            continue;
        double q = 2.0 * window / period;
        size_t inside = count_inside(t, n, period, begin, window);
        double nats = binomial_nats(inside, n, q) - log(tried * N_WINDOWS / q);
        if (nats > best->nats)
            *best = (struct hop_lattice){
                .period_s = period,
                .begin_s = begin,
                .window_s = window,
                .n = n,
                .inside = inside,
                .nats = nats,
            };
    }
}

bool uw_hop_lattice(const double *t_s, size_t n, double error_s, struct hop_lattice *ret) {
    struct peaks peaks;

    *ret = (struct hop_lattice){0};
    if (n > HOP_EVENTS_MAX) {
        t_s += n - HOP_EVENTS_MAX;
        n = HOP_EVENTS_MAX;
    }
    double span = n > 0 ? t_s[n - 1] - t_s[0] : 0.0;
    if (n < TIMES_MIN || span < 2.0 / FREQ_MAX)
        return false;
    double tried = (double)find_peaks(t_s, n, FREQ_MIN, FREQ_MAX, STEP / span, &peaks);
    for (size_t i = 0; i < peaks.n; ++i)
        weigh(t_s, n, peaks.at[i], error_s, tried, ret);
    return ret->nats > 0.0;
}

bool uw_hop_raster(const double *f_hz, size_t n, double error_hz, struct hop_raster *ret) {
    double span = n > 0 ? f_hz[n - 1] - f_hz[0] : 0.0;
    double narrowest = fmax(RASTER_MIN_HZ, RASTER_ERRORS * error_hz);
    struct peaks peaks;

    *ret = (struct hop_raster){0};
    if (n < 3 || n > HOP_CHANNELS_MAX || span < 2.0 * narrowest)
        return false;
    double tried = (double)find_peaks(f_hz, n, 1.0 / RASTER_MAX_HZ, 1.0 / narrowest,
                                      RASTER_STEP / span, &peaks);
    for (size_t i = 0; i < peaks.n; ++i) {
        double step = 1.0 / peaks.at[i];
        double first = begin_of(f_hz, n, peaks.at[i]);
        double sum = 0.0;

        if (!refine(f_hz, n, 0.3 * step, &step, &first) ||
            !refine(f_hz, n, 0.3 * step, &step, &first))
            continue;
        for (size_t k = 0; k < n; ++k) {
            double r = remainder(f_hz[k] - first, step);

            sum += r * r;
        }
        double error = fmax(sqrt(sum / (double)(n - 2)), 0.5 * error_hz);
        double nats = (double)(n - 2) * log(step / (ENTROPY * error)) - log(RASTER_STEP * tried);
        if (nats > ret->nats)
            *ret = (struct hop_raster){
                .step_hz = step,
                .first_hz = first,
                .error_hz = error,
                .nats = nats,
            };
    }
    return ret->nats > 0.0;
}
