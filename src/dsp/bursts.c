/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Cells and bursts
 *
 * Each frame's power over floor is averaged over windows of 1, 4, 16, 64 ... bins that overlap by
 * half, and each average is compared with the threshold of its own width: narrow signals stand out
 * in narrow windows, spread ones (a chirp, OFDM) only in wide ones. The mean of w neighbouring bins
 * under a Hann window has the variance (1 + 2 (2/3)^2 + 2 (1/6)^2) / w = 1.944 / w of its mean
 * squared (the window's correlation between bins is 2/3 and 1/6), and is taken as Gamma distributed
 * of that variance; its quantile by E. B. Wilson and M. M. Hilferty, "The distribution of
 * chi-square", PNAS 17 (1931). What a narrow window has marked counts as noise for the wider ones,
 * so that one strong carrier does not light up its whole neighbourhood.
 *
 * Marked bins make runs; a run joins the open burst whose band so far it touches. The band so far,
 * not the band of the last frame: a chirp that wraps from its top to its bottom stays one burst. A
 * burst ends after HANG empty frames.
 */

#include "bursts-impl.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "largest-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"

/* parts of a clone; a call would leave it for the plain form */
#define INLINE static inline __attribute__((always_inline))

#define OPEN_MAX   64
#define SCALES_MAX 8
#define HANG       1
#define GO_ON_PFA  0.01
#define GAP_HZ     15e3   /* gaps up to this are bridged within a frame */
#define JOIN_HZ    60e3   /* ... between a frame and the open burst: a fast chirp leaps */
#define EDGE_SHARE 0.005f /* of the energy is left outside each edge */
#define LIMIT_DBFS (-1.5) /* a full-scale carrier has 0: the receiver clips */
#define CORE_SHARE 0.6    /* of the energy: what clipping makes has 19 % at most */
#define PRODUCTS   0.1    /* of the core's density: those are three times as wide, 14 dB down */
#define SMOOTH     8      /* of the core's width, for their lines */
#define HANN_POWER 0.375  /* mean square of a Hann window */
#define PIECE      64     /* bins */

struct open_burst {
    bool used;
    size_t lo, hi;        /* bins, inclusive */
    uint64_t first, last; /* frames */
    float *profile;       /* power above the floor per bin, summed over frames */
    double floor_sum;     /* noise power per bin, summed over frames */
};

struct uw_bursts {
    struct uw_bursts_config config;
    void (*report)(void *userdata, const struct uw_burst *burst);
    void *userdata;
    size_t n_scales;
    size_t width[SCALES_MAX];
    float threshold[SCALES_MAX];
    size_t gap, join; /* bins */
    uint64_t number;
    uint64_t frame; /* the latest, +1; 0: none yet */
    float *ratio;
    float *half, *next; /* sums over half a window of the present scale; room for the next one's */
    unsigned char *active;
    size_t n_open;
    struct open_burst open[OPEN_MAX];
};

static inline float hann_bin(const float *left, const float *mid, const float *right) {
    float re = 0.5f * mid[0] - 0.25f * (left[0] + right[0]);
    float im = 0.5f * mid[1] - 0.25f * (left[1] + right[1]);

    return re * re + im * im;
}

/* n bins, at most PIECE, that have neighbours on both sides. Components first, side by side; then
 * pairs are added: to sort real from imaginary parts first takes three times the shuffles. */
INLINE void hann_piece(const float *restrict x, size_t n, float *restrict power) {
    float square[2 * PIECE];

    for (size_t i = 0; i < 2 * n; ++i) {
        const float a = 0.5f * x[i] - 0.25f * (x[i - 2] + x[i + 2]);

        square[i] = a * a;
    }
    for (size_t k = 0; k < n; ++k)
        power[k] = square[2 * k] + square[2 * k + 1];
}

/* As many as you like. Pieces of one known size need no code for their ends; the last one overlaps
 * the one before. */
UW_CLONES
static void hann_bins(const float *restrict x, size_t n, float *restrict power) {
    if (n < PIECE)
        hann_piece(x, n, power);
    for (size_t k = 0; n >= PIECE && k < n; k += PIECE) {
        const size_t at = n - k < PIECE ? n - PIECE : k;

        hann_piece(x + 2 * at, PIECE, power + at);
    }
}

void uw_hann_power(const float complex *spectrum, size_t n, float *power) {
    const float *x = (const float *)spectrum;
    size_t h = n / 2;

    power[h] = hann_bin(x + 2 * (n - 1), x, x + 2);
    hann_bins(x + 2, h - 1, power + h + 1);
    hann_bins(x + 2 * h, h - 1, power);
    power[h - 1] = hann_bin(x + 2 * (n - 2), x + 2 * (n - 1), x);
}

/* Upper quantile of the standard normal distribution: Abramowitz and Stegun, 26.2.23. */
static double normal_quantile(double p) {
    double t = sqrt(-2.0 * log(p));

    return t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                   (1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
}

static float window_threshold(size_t width, double pfa) {
    if (width == 1)
        return (float)-log(pfa);
    double shape = (double)width / 1.944;
    double r = 1.0 - 1.0 / (9.0 * shape) + normal_quantile(pfa) / (3.0 * sqrt(shape));

    return (float)(r * r * r);
}

struct uw_bursts *uw_bursts_free(struct uw_bursts *bursts) {
    if (!bursts)
        return NULL;
    for (size_t i = 0; i < OPEN_MAX; ++i)
        free(bursts->open[i].profile);
    free(bursts->ratio);
    free(bursts->half);
    free(bursts->next);
    free(bursts->active);
    free(bursts);
    return NULL;
}

static void bursts_freep(struct uw_bursts **bursts) {
    *bursts = uw_bursts_free(*bursts);
}

int uw_bursts_new(const struct uw_bursts_config *config,
                  void (*report)(void *userdata, const struct uw_burst *burst), void *userdata,
                  struct uw_bursts **ret_bursts) {
    UW_CLEANUP(bursts_freep) struct uw_bursts *bursts = calloc(1, sizeof(*bursts));
    size_t n = config->n_fft;

    if (!bursts)
        return uw_err(-ENOMEM);
    bursts->config = *config;
    bursts->report = report;
    bursts->userdata = userdata;
    for (size_t w = 1; w <= n / 2 && bursts->n_scales < SCALES_MAX; w *= 4) {
        bursts->width[bursts->n_scales] = w;
        bursts->threshold[bursts->n_scales++] = window_threshold(w, config->cell_pfa);
    }
    bursts->gap = 1 + (size_t)(GAP_HZ * (double)n / config->rate_hz);
    bursts->join = 1 + (size_t)(JOIN_HZ * (double)n / config->rate_hz);
    bursts->ratio = uw_alloc_zeroed(n, sizeof(float));
    bursts->half = uw_alloc_zeroed(n / 2 + 1, sizeof(float));
    bursts->next = uw_alloc_zeroed(n / 2 + 1, sizeof(float));
    bursts->active = calloc(n, 1);
    if (!bursts->ratio || !bursts->half || !bursts->next || !bursts->active)
        return uw_err(-ENOMEM);
    for (size_t i = 0; i < OPEN_MAX; ++i) {
        bursts->open[i].profile = uw_alloc_zeroed(n, sizeof(float));
        if (!bursts->open[i].profile)
            return uw_err(-ENOMEM);
    }
    *ret_bursts = bursts;
    bursts = NULL;
    return 0;
}

/* Power over floor; returns whether any bin passes the threshold. */
UW_CLONES
static bool ratios(size_t n, float threshold, const float *restrict power,
                   const float *restrict inverse_floor, float *restrict ratio) {
    unsigned any = 0;

    for (size_t k = 0; k < n; ++k) {
        float r = power[k] * inverse_floor[k];

        ratio[k] = r;
        any |= r > threshold;
    }
    return any != 0;
}

UW_CLONES
static void mark_bins(size_t n, float threshold, const float *restrict ratio,
                      unsigned char *restrict active) {
    for (size_t k = 0; k < n; ++k)
        active[k] = ratio[k] > threshold;
}

/* What is marked counts as noise from here on. */
UW_CLONES
static void flatten(size_t n, const unsigned char *restrict active, float *restrict ratio) {
    for (size_t k = 0; k < n; ++k)
        ratio[k] = active[k] ? 1.0f : ratio[k];
}

UW_CLONES
static void add_pairs(size_t n_out, const float *restrict in, float *restrict out) {
    for (size_t j = 0; j < n_out; ++j)
        out[j] = in[2 * j] + in[2 * j + 1];
}

UW_CLONES
static void add_fours(size_t n_out, const float *restrict in, float *restrict out) {
    for (size_t j = 0; j < n_out; ++j)
        out[j] = (in[4 * j] + in[4 * j + 1]) + (in[4 * j + 2] + in[4 * j + 3]);
}

/* Whether any two neighbours together pass; behind the last there is -INFINITY. If the largest does
 * not pass twice, which in noise is nearly always so, none do: and what has just been written is
 * read the way it was written, where pairs would have to wait for it. */
UW_CLONES
static bool any_window(size_t n, float threshold, const float *half) {
    unsigned any = 0;

    if (2.0f * uw_largest(n, half) <= threshold)
        return false;
    for (size_t j = 0; j < n; ++j)
        any |= half[j] + half[j + 1] > threshold;
    return any != 0;
}

/* The half windows of the next scale are four of this one's. */
static void widen(struct uw_bursts *b, size_t n_out) {
    float *half = b->next;

    add_fours(n_out, b->half, half);
    b->next = b->half;
    b->half = half;
}

/* Sums of half windows from single bins. */
static void sum_halves(struct uw_bursts *b, size_t scale) {
    size_t n = b->config.n_fft / 2;

    add_pairs(n, b->ratio, b->half);
    for (size_t s = 2; s <= scale; ++s)
        widen(b, n /= 4);
}

static void mark_windows(struct uw_bursts *b, size_t scale) {
    size_t h = b->width[scale] / 2;
    size_t n_half = b->config.n_fft / h;
    float threshold = b->threshold[scale] * (float)(2 * h);

    for (size_t j = 0; j + 1 < n_half; ++j) {
        if (b->half[j] + b->half[j + 1] > threshold)
            memset(b->active + j * h, 1, 2 * h);
    }
}

/* Marks what stands out at any scale; returns whether there is anything. In noise alone, which is
 * nearly always, nothing is written but sums. */
static bool mark(struct uw_bursts *b, const float *power, const float *inverse_floor) {
    size_t n = b->config.n_fft;
    bool any = ratios(n, b->threshold[0], power, inverse_floor, b->ratio);
    bool changed = any;

    if (any) {
        mark_bins(n, b->threshold[0], b->ratio, b->active);
        flatten(n, b->active, b->ratio);
    }
    for (size_t s = 1; s < b->n_scales; ++s) {
        size_t n_half = n / (b->width[s] / 2);

        if (s == 1 || changed)
            sum_halves(b, s);
        else
            widen(b, n_half);
        b->half[n_half] = -INFINITY;
        changed = any_window(n_half, b->threshold[s] * (float)b->width[s], b->half);
        if (!changed)
            continue;
        if (!any)
            memset(b->active, 0, n);
        any = true;
        mark_windows(b, s);
        flatten(n, b->active, b->ratio);
    }
    return any;
}

static double power_dbfs(const struct uw_bursts *b, double total, uint64_t frames) {
    double n = (double)b->config.n_fft;

    return 10.0 * log10(total / ((double)frames * HANN_POWER * n * n));
}

static double energy_at(const struct open_burst *o, size_t k) {
    return fmax((double)o->profile[k], 0.0);
}

/* The sum of a band's energy, and its first moment. */
static double sum_up(const struct open_burst *o, size_t lo, size_t hi, double *ret_moment) {
    double total = 0.0;

    *ret_moment = 0.0;
    for (size_t k = lo; k <= hi; ++k) {
        total += energy_at(o, k);
        *ret_moment += energy_at(o, k) * (double)k;
    }
    return total;
}

/* The narrowest band with the core's share of the energy. */
static void find_core(const struct open_burst *o, double total, size_t *ret_lo, size_t *ret_hi) {
    double sum = 0.0;
    size_t lo = o->lo;

    *ret_lo = o->lo;
    *ret_hi = o->hi;
    for (size_t hi = o->lo; hi <= o->hi; ++hi) {
        sum += energy_at(o, hi);
        for (; lo < hi && sum - energy_at(o, lo) >= CORE_SHARE * total; ++lo)
            sum -= energy_at(o, lo);
        if (sum >= CORE_SHARE * total && hi - lo < *ret_hi - *ret_lo) {
            *ret_lo = lo;
            *ret_hi = hi;
        }
    }
}

/* Without what clipping makes of a signal that is stronger than the receiver can show: harmonics,
 * which would lend it their width. Goes out from the core as long as the density stays. */
static void leave_products(const struct open_burst *o, double total, size_t *ret_lo,
                           size_t *ret_hi) {
    double unused;
    size_t lo, hi;

    find_core(o, total, &lo, &hi);
    size_t step = 1 + (hi - lo) / SMOOTH;
    double least = PRODUCTS * CORE_SHARE * total / (double)(hi - lo + 1) * (double)step;
    while (lo >= o->lo + step && sum_up(o, lo - step, lo - 1, &unused) >= least)
        lo -= step;
    while (hi + step <= o->hi && sum_up(o, hi + 1, hi + step, &unused) >= least)
        hi += step;
    *ret_lo = lo < o->lo + step ? o->lo : lo;
    *ret_hi = hi + step > o->hi ? o->hi : hi;
}

static void report_burst(struct uw_bursts *b, const struct open_burst *o, bool open) {
    double bin_hz = b->config.rate_hz / (double)b->config.n_fft;
    double n = (double)b->config.n_fft;
    uint64_t frames = o->last - o->first + 1;
    double moment;
    size_t lo = o->lo;
    size_t hi = o->hi;

    if (frames < 2 && !open)
        return; /* an impulse */
    double total = sum_up(o, lo, hi, &moment);
    if (total <= 0.0)
        return;
    if (power_dbfs(b, total, frames) > LIMIT_DBFS) {
        leave_products(o, total, &lo, &hi);
        total = sum_up(o, lo, hi, &moment);
    }
    double cut = total * (double)EDGE_SHARE;
    double below = energy_at(o, lo);
    while (lo < hi && below < cut)
        below += energy_at(o, ++lo);
    double above = energy_at(o, hi);
    while (hi > lo && above < cut)
        above += energy_at(o, --hi);

    struct uw_burst burst = {
        .number = b->number++,
        .start = o->first * b->config.hop + b->config.n_fft / 8,
        .stop = o->last * b->config.hop + b->config.n_fft - b->config.n_fft / 8,
        .lower_hz = ((double)lo - 0.5 - n / 2.0) * bin_hz,
        .upper_hz = ((double)hi + 0.5 - n / 2.0) * bin_hz,
        .centre_hz = (moment / total - n / 2.0) * bin_hz,
        .snr_db = 10.0 * log10(total / (o->floor_sum * (double)(hi - lo + 1))),
        .power_dbfs = power_dbfs(b, total, frames),
        .open = open,
    };
    b->report(b->userdata, &burst);
}

static void forget(struct uw_bursts *b, struct open_burst *o) {
    memset(o->profile + o->lo, 0, (o->hi - o->lo + 1) * sizeof(float));
    o->floor_sum = 0.0;
    o->used = false;
    --b->n_open;
}

static void close_burst(struct uw_bursts *b, struct open_burst *o, bool open) {
    report_burst(b, o, open);
    forget(b, o);
}

/* Ends what has been silent, in the order of the last frame. */
static void close_silent(struct uw_bursts *b, uint64_t frame) {
    while (b->n_open > 0) {
        struct open_burst *oldest = NULL;

        for (size_t i = 0; i < OPEN_MAX; ++i) {
            struct open_burst *o = &b->open[i];

            if (o->used && o->last + HANG < frame &&
                (!oldest || o->last < oldest->last ||
                 (o->last == oldest->last && o->lo < oldest->lo)))
                oldest = o;
        }
        if (!oldest)
            return;
        close_burst(b, oldest, false);
    }
}

static bool touches(const struct uw_bursts *b, const struct open_burst *o, size_t lo, size_t hi) {
    return o->used && lo <= o->hi + b->join && o->lo <= hi + b->join;
}

static void merge_into(struct uw_bursts *b, struct open_burst *to, struct open_burst *from) {
    for (size_t k = from->lo; k <= from->hi; ++k) {
        to->profile[k] += from->profile[k];
        from->profile[k] = 0.0f;
    }
    if (from->first < to->first) {
        to->first = from->first;
        to->floor_sum = from->floor_sum;
    }
    to->lo = from->lo < to->lo ? from->lo : to->lo;
    to->hi = from->hi > to->hi ? from->hi : to->hi;
    from->floor_sum = 0.0;
    from->used = false;
    --b->n_open;
}

/* The open burst for a run; several that it touches become one. NULL when all places are taken. */
static struct open_burst *burst_of_run(struct uw_bursts *b, uint64_t frame, size_t lo, size_t hi) {
    struct open_burst *found = NULL;
    struct open_burst *place = NULL;

    for (size_t i = 0; i < OPEN_MAX; ++i) {
        struct open_burst *o = &b->open[i];

        if (!o->used) {
            place = place ? place : o;
        } else if (touches(b, o, lo, hi)) {
            if (found)
                merge_into(b, found, o);
            else
                found = o;
        }
    }
    if (!found && place) {
        found = place;
        found->used = true;
        ++b->n_open;
        found->first = frame;
        found->lo = lo;
        found->hi = hi;
    }
    if (found) {
        found->last = frame;
        found->lo = lo < found->lo ? lo : found->lo;
        found->hi = hi > found->hi ? hi : found->hi;
    }
    return found;
}

static void take_runs(struct uw_bursts *b, uint64_t frame) {
    size_t n = b->config.n_fft;

    for (size_t k = 0; k < n;) {
        const unsigned char *p = memchr(b->active + k, 1, n - k);

        if (!p)
            return;
        size_t lo = (size_t)(p - b->active);
        size_t hi = lo;

        for (size_t j = lo + 1; j < n && j <= hi + b->gap; ++j) {
            if (b->active[j])
                hi = j;
        }
        (void)burst_of_run(b, frame, lo, hi);
        k = hi + 1;
    }
}

/* A known burst is easier to follow than to find: it goes on while the mean over its whole band so
 * far stands above the noise at GO_ON_PFA. */
static void go_on(struct open_burst *o, uint64_t frame, const float *power,
                  const float *inverse_floor) {
    size_t width = o->hi - o->lo + 1;
    float sum = 0.0f;

    for (size_t k = o->lo; k <= o->hi; ++k)
        sum += power[k] * inverse_floor[k];
    if (sum > window_threshold(width, GO_ON_PFA) * (float)width)
        o->last = frame;
}

/* Adds n bins less their noise to the profile; returns the sum of the noise, by partial sums that
 * are the same on every processor. */
UW_CLONES
static double add_bins(size_t n, const float *restrict power, const float *restrict inverse_floor,
                       float *restrict profile) {
    double part[8] = {0};
    double sum = 0.0;
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        for (size_t k = 0; k < 8; ++k) {
            const float noise = 1.0f / inverse_floor[i + k];

            profile[i + k] += power[i + k] - noise;
            part[k] += (double)noise;
        }
    }
    for (; i < n; ++i) {
        const float noise = 1.0f / inverse_floor[i];

        profile[i] += power[i] - noise;
        part[i % 8] += (double)noise;
    }
    for (size_t k = 0; k < 8; ++k)
        sum += part[k];
    return sum;
}

/* Adds this frame to every open burst that is on the air in it. */
static void add_profiles(struct uw_bursts *b, uint64_t frame, const float *power,
                         const float *inverse_floor) {
    for (size_t i = 0; b->n_open > 0 && i < OPEN_MAX; ++i) {
        struct open_burst *o = &b->open[i];

        if (o->used && o->last + 1 + HANG >= frame && o->last != frame)
            go_on(o, frame, power, inverse_floor);
        if (!o->used || o->last != frame)
            continue;
        double floor_sum =
            add_bins(o->hi - o->lo + 1, power + o->lo, inverse_floor + o->lo, o->profile + o->lo);

        o->floor_sum += floor_sum / (double)(o->hi - o->lo + 1);
        if (frame - o->first + 1 >= b->config.max_frames)
            close_burst(b, o, true);
    }
}

void uw_bursts_frame(struct uw_bursts *b, uint64_t frame, const float *power,
                     const float *inverse_floor) {
    if (frame != b->frame)
        uw_bursts_flush(b);
    b->frame = frame + 1;
    if (mark(b, power, inverse_floor))
        take_runs(b, frame);
    add_profiles(b, frame, power, inverse_floor);
    close_silent(b, frame);
}

void uw_bursts_flush(struct uw_bursts *b) {
    close_silent(b, UINT64_MAX);
}

void uw_bursts_drop(struct uw_bursts *b) {
    for (size_t i = 0; i < OPEN_MAX; ++i) {
        if (b->open[i].used)
            forget(b, &b->open[i]);
    }
}
