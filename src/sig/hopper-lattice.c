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

#define LANES       16
#define FREQ_MIN    1.0   /* Hz: slower than any link hops */
#define FREQ_MAX    260.0 /* a little more than the fastest */
#define STEP        0.4   /* of the periodogram, in 1 / span */
#define PEAKS       64    /* room for a slow lattice and all its multiples */
#define TIMES_MIN   6
#define COHERENCE   0.3 /* least part of n that a lattice's line has */
#define REFINEMENT  3
#define N_WINDOWS   4
#define WINDOW_MOST 0.2 /* of a period, half a slot's width: more tells nothing apart */

#define PART_WINDOW_S  300e-6
#define PART_LINES     2.0 /* the second harmonic of the fastest, as the first of two may cancel */
#define PART_COHERENCE 0.08
#define PART_PEAKS     16 /* highest maxima that are looked at ... */
#define PART_MULTIPLE  4  /* ... each as one of a slower lattice's first lines */
#define PART_TRIALS                                                                                \
    3000 /* periods at most, of the strongest maxima: on hostile times too it ends */
#define PART_MOST   0.8
#define PART_COARSE 1.5
#define PART_FINE   0.5

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
                         double coherence, struct peaks *ret) {
    size_t n_steps = (size_t)((last - first) / step) + 2;
    size_t n_padded = (n + LANES - 1) / LANES * LANES;
    double least = coherence * (double)n * (double)n;
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

bool uw_hop_is_inside(const struct hop_lattice *l, double t_s) {
    return fabs(remainder(t_s - l->begin_s, l->period_s)) <= l->window_s;
}

static size_t count_inside(const double *t, size_t n, const struct hop_lattice *l) {
    size_t inside = 0;

    for (size_t i = 0; i < n; ++i)
        inside += uw_hop_is_inside(l, t[i]);
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
        bool good = window >= 2.0 * error_s && window < WINDOW_MOST * period;

        for (int i = 0; good && i < REFINEMENT; ++i)
            good = refine(t, n, i == 0 ? 0.25 * period : 2.0 * window, &period, &begin);
        if (!good || window >= WINDOW_MOST * period)
            continue;
        double q = 2.0 * window / period;
        struct hop_lattice l = {.period_s = period, .begin_s = begin, .window_s = window, .n = n};
        l.inside = count_inside(t, n, &l);
        l.nats = binomial_nats(l.inside, n, q) - log(tried * N_WINDOWS / q);
        if (l.nats > best->nats)
            *best = l;
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
    double tried = (double)find_peaks(t_s, n, FREQ_MIN, FREQ_MAX, STEP / span, COHERENCE, &peaks);
    for (size_t i = 0; i < peaks.n; ++i)
        weigh(t_s, n, peaks.at[i], error_s, tried, ret);
    return ret->nats > 0.0;
}

/* The begin of the slots of a period that most times lie within a window of. */
static size_t densest(const double *t, size_t n, double period, double window, double *ret_begin) {
    double phase[2 * HOP_EVENTS_MAX];
    size_t most = 0;
    size_t from = 0;

    for (size_t i = 0; i < n; ++i) {
        double x = fmod(t[i] - t[0], period);
        size_t at = i;

        for (; at > 0 && phase[at - 1] > x; --at)
            phase[at] = phase[at - 1];
        phase[at] = x;
    }
    for (size_t i = 0; i < n; ++i)
        phase[n + i] = phase[i] + period;
    for (size_t i = 0; i < 2 * n; ++i) {
        while (phase[i] - phase[from] > 2.0 * window)
            ++from;
        if (i - from + 1 > most && i - from < n) {
            most = i - from + 1;
            *ret_begin = t[0] + 0.5 * (phase[i] + phase[from]);
        }
    }
    return most;
}

/* The lattice near the multiple of a line's period that says most of a part of the times. */
static void look_near(const double *t, size_t n, double f, int multiple, size_t *trials_left,
                      struct hop_lattice *ret) {
    double span = t[n - 1] - t[0];
    double fine = PART_FINE * ret->window_s * f / span; /* what smears the times by so much of it */
    double begin = 0.0;

    ret->inside = 0;
    for (double x = fmax(f - 0.5 * STEP / span, 0.5 * f);
         x<f + 0.5 * STEP / span && * trials_left> 0; x += fine, --*trials_left) {
        double period = (double)multiple / x;
        size_t inside = densest(t, n, period, ret->window_s, &begin);

        if (inside > ret->inside) {
            ret->period_s = period;
            ret->begin_s = begin;
            ret->inside = inside;
        }
    }
}

static double part_window_s(double error_s) {
    return fmax(PART_WINDOW_S, 2.0 * error_s);
}

bool uw_hop_follow(const double *t, size_t n, double error_s, struct hop_lattice *l) {
    l->window_s = part_window_s(error_s);
    /* from the last ones to all, as the period gets known */
    for (size_t all = n < HOP_EVENTS_MAX ? n : HOP_EVENTS_MAX;; all = 2 * all < n ? 2 * all : n) {
        for (int i = 0; i < REFINEMENT; ++i) {
            if (!refine(t + (n - all), all, l->window_s, &l->period_s, &l->begin_s))
                return false;
        }
        if (all == n)
            break;
    }
    l->n = n;
    l->inside = count_inside(t, n, l);
    return l->window_s <= WINDOW_MOST * l->period_s;
}

/* How many lie on a lattice k times as fine. */
static double inside_finer(const double *t, size_t n, const struct hop_lattice *l, int k) {
    struct hop_lattice finer = *l;

    finer.period_s = l->period_s / k;
    finer.window_s = fmin(l->window_s, 0.1 * finer.period_s);
    return (double)count_inside(t, n, &finer);
}

/* Whether it is only each second, third or fourth slot of what explains more. */
static bool is_coarse(const double *t, size_t n, const struct hop_lattice *l, double period_min_s) {
    bool coarse = false;

    for (int k = 2; k <= PART_MULTIPLE && l->period_s >= k * period_min_s; ++k)
        coarse |= inside_finer(t, n, l, k) > PART_COARSE * (double)l->inside;
    return coarse;
}

bool uw_hop_part(const double *t_s, size_t n, double error_s, double period_min_s,
                 double period_max_s, struct hop_lattice *ret) {
    const size_t m = HOP_EVENTS_MAX;
    double window = part_window_s(error_s);
    const double *last;
    struct peaks peaks;
    double most = PART_MOST * (double)n;
    size_t trials_left = PART_TRIALS;
    bool common = false;

    *ret = (struct hop_lattice){0};
    if (n < m || window > WINDOW_MOST * period_min_s)
        return false;
    last = t_s + (n - m);
    if (last[m - 1] - last[0] < 4.0 * period_min_s)
        return false;
    double step = STEP / (last[m - 1] - last[0]);
    double tried = (double)find_peaks(last, m, 1.0 / period_max_s, PART_LINES / period_min_s, step,
                                      PART_COHERENCE, &peaks);
    for (size_t i = 0; i < peaks.n && i < PART_PEAKS && !common; ++i) {
        for (int k = 1; k <= PART_MULTIPLE; ++k) {
            double period = (double)k / peaks.at[i];
            struct hop_lattice l = {.window_s = 0.5 * window};

            if (period < period_min_s || period > period_max_s)
                continue;
            /* narrow at first: phases that lie near each other are not taken for one that drifts */
            look_near(last, m, peaks.at[i], k, &trials_left, &l);
            if (l.inside < TIMES_MIN || !uw_hop_follow(t_s, n, error_s, &l) ||
                l.period_s < period_min_s)
                continue;
            double q = 2.0 * window / l.period_s;
            common |= (double)l.inside > most;
            l.nats =
                binomial_nats(l.inside, n, q) - log(tried * PART_MULTIPLE / (PART_FINE * q * q));
            if (l.nats > ret->nats && !is_coarse(t_s, n, &l, period_min_s))
                *ret = l;
        }
    }
    /* a single sender, or many in common slots: no mixture of links that know nothing of each
     * other */
    return ret->nats > 0.0 && !common && inside_finer(t_s, n, ret, 2) <= most;
}

bool uw_hop_raster(const double *f_hz, size_t n, double error_hz, struct hop_raster *ret) {
    double span = n > 0 ? f_hz[n - 1] - f_hz[0] : 0.0;
    double narrowest = fmax(RASTER_MIN_HZ, RASTER_ERRORS * error_hz);
    struct peaks peaks;

    *ret = (struct hop_raster){0};
    if (n < 3 || n > HOP_CHANNELS_MAX || span < 2.0 * narrowest)
        return false;
    double tried = (double)find_peaks(f_hz, n, 1.0 / RASTER_MAX_HZ, 1.0 / narrowest,
                                      RASTER_STEP / span, COHERENCE, &peaks);
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
