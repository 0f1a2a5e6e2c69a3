/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * One transform for everyone
 *
 * Frames of n samples overlap by a quarter and are transformed without a window. Such spectra serve
 * two purposes: with overlap-save, any channel is cut out of them by multiplying a few bins with a
 * filter and transforming them back (the filter's impulse response must stay shorter than the
 * overlap); and a Hann window, which the burst finder needs against leakage, is a three-tap filter
 * over the bins: H[k] = X[k] / 2 - (X[k-1] + X[k+1]) / 4. So one FFT at 4/3 times the sample rate
 * does it all.
 *
 * What the receiver adds of its own, DC, image, tones, is taken out of the spectra (balance-impl.h,
 * tones-impl.h).
 *
 * Before the noise floor is known nothing can be found: the first frames are kept, the floor is
 * learned from them by exact quantiles, and then they are looked at like all others.
 */

#include "uw/dsp/front.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "balance-impl.h"
#include "bursts-impl.h"
#include "centres-impl.h"
#include "cut-impl.h"
#include "history-impl.h"
#include "tones-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/channel.h"
#include "uw/dsp/convert.h"
#include "uw/dsp/fft.h"
#include "uw/dsp/floor.h"
#include "uw/dsp/sums.h"

#define FRAME_S     0.16e-3   /* length of a frame, about */
#define HISTORY_S   0.5       /* kept, if history_bytes allow */
#define LEARN_S     0.1       /* of the first frames */
#define LEARN_BYTES (8 << 20) /* ... if that much fits */
#define LEARN_SLICE (1 << 20) /* bytes at a time */
#define FLOOR_S     0.08      /* time constant of the noise floor */
#define BURST_MAX_S 0.3
#define FILL_S      4e-3 /* a longer gap ends what is open */
#define PROGRESS_S  0.025
#define HANN_POWER  0.375

struct uw_front {
    struct uw_front_config config;
    struct uw_front_ops ops;
    void *userdata;
    size_t n, hop;
    size_t n_history; /* frames */
    size_t n_learn;

    struct uw_fft *fft;
    float complex *pending; /* samples of the next frame: the transform's input, which it keeps */
    size_t n_pending;
    struct uw_history *history;
    float complex *spectrum; /* of the latest frame, or of one out of the history */
    float *power;            /* of one frame, lowest frequency first */
    void *scratch;
    size_t scratch_bytes;
    struct uw_centres centres;
    struct uw_centre *at; /* the one that is listened at */
    struct uw_bursts *bursts;
    struct uw_cutter *cutter;

    uint64_t base_frame; /* frames before it are not in the history: start, or after a gap */
    uint64_t n_frames;   /* in the history so far */
    uint64_t n_looked;   /* of these, given to the burst finder */
    uint64_t first_frame_sample; /* sample of frame base_frame */
    uint64_t n_samples;
    uint64_t n_clipped;
    uint64_t hole_from, hole_to; /* samples that are made up */
    uint64_t noise;              /* ... from this */
    uint64_t next_progress;

    struct uw_balance balance;
};

void uw_front_config_init(struct uw_front_config *config) {
    *config = (struct uw_front_config){
        .rate_hz = NAN,
        .format = UW_IQ_CU8,
        .cell_pfa = 1e-7,
        .history_bytes = 25u << 19,
        .n_centres = 1,
        .freq_hz = NAN,
    };
}

/* What it costs that LoRa channels of this bandwidth cannot be cut out at one sample a chip, for
 * which they must be a whole multiple of eight bins: 0 (they can) to 1 (nor can they at two). */
static double awkwardness(size_t n, double rate_hz, double bandwidth_hz) {
    if (uw_channel_suits(n, rate_hz, 0.5 * bandwidth_hz))
        return 0.0;
    return 2.0 * bandwidth_hz <= rate_hz && uw_channel_suits(n, rate_hz, bandwidth_hz) ? 0.6 : 1.0;
}

static double cost_of(size_t n, double want, double rate_hz) {
    double cost = fabs(log2((double)n / want));

    cost += 4.0 * awkwardness(n, rate_hz, 500e3);
    cost += 2.0 * awkwardness(n, rate_hz, 812.5e3);
    cost += (n & (n - 1)) == 0 ? 0.0 : 0.3; /* powers of two transform fastest */
    cost += n % 7 == 0 ? 0.5 : 0.0;         /* ... and sevens slowest of what is looked at */
    return cost;
}

/* Without a large prime factor; with a seven only where it may serve a channel. */
static bool is_good(size_t n, double rate_hz) {
    return uw_fft_good_size(n) == n ||
           (n % 7 == 0 && uw_fft_good_size(n / 7) == n / 7 && rate_hz >= 2 * 500e3);
}

/* Near FRAME_S, without large prime factors, suited to the LoRa bandwidths of drone links; of
 * equals the nearest. */
size_t uw_front_frame_size(double rate_hz) {
    double want = fmin(fmax(rate_hz * FRAME_S, 32.0), 16384.0);
    size_t best = 0;
    double best_cost = INFINITY;

    for (size_t n = 32; (double)n < 1.45 * want; n += 8) {
        double cost = cost_of(n, want, rate_hz);

        if (1.5 * (double)n < want || !is_good(n / 8, rate_hz) || cost >= best_cost)
            continue;
        best_cost = cost;
        best = n;
    }
    return best;
}

struct uw_front *uw_front_free(struct uw_front *front) {
    if (!front)
        return NULL;
    uw_cutter_free(front->cutter);
    uw_history_free(front->history);
    uw_bursts_free(front->bursts);
    uw_centres_deinit(&front->centres);
    uw_fft_free(front->fft);
    uw_fft_dealloc(front->spectrum);
    free(front->power);
    free(front->scratch);
    free(front);
    return NULL;
}

static void front_freep(struct uw_front **front) {
    *front = uw_front_free(*front);
}

static void on_burst(void *userdata, const struct uw_burst *burst) {
    struct uw_front *front = userdata;
    struct uw_burst b = *burst;
    uint64_t shift = front->first_frame_sample - front->base_frame * front->hop;

    b.start += shift;
    b.stop += shift;
    front->ops.burst(front->userdata, &b);
}

static int new_buffers(struct uw_front *front) {
    double frame_rate = front->config.rate_hz / (double)front->hop;
    size_t frame_bytes = uw_history_frame_bytes(front->n);
    struct uw_bursts_config bursts = {
        .n_fft = front->n,
        .hop = front->hop,
        .rate_hz = front->config.rate_hz,
        .cell_pfa = front->config.cell_pfa,
    };
    int r;

    front->n_history = (size_t)(HISTORY_S * frame_rate);
    if (front->n_history > front->config.history_bytes / frame_bytes)
        front->n_history = front->config.history_bytes / frame_bytes;
    front->n_learn = (size_t)(LEARN_S * frame_rate);
    if (front->n_learn > LEARN_BYTES / (front->n * sizeof(float)))
        front->n_learn = LEARN_BYTES / (front->n * sizeof(float));
    if ((double)front->n_history < front->config.history_min_s * frame_rate)
        front->n_history = (size_t)ceil(front->config.history_min_s * frame_rate);
    if (front->n_history < 32)
        front->n_history = 32;
    if (front->n_learn > front->n_history / 2)
        front->n_learn = front->n_history / 2;
    bursts.max_frames = (size_t)(BURST_MAX_S * frame_rate);
    if (bursts.max_frames > front->n_history * 3 / 4)
        bursts.max_frames = front->n_history * 3 / 4;

    front->spectrum = uw_fft_alloc(front->n);
    front->power = uw_alloc_zeroed(front->n, sizeof(float));
    if (!front->spectrum || !front->power)
        return uw_err(-ENOMEM);
    r = uw_front_reserve(front, LEARN_SLICE);
    if (r == 0)
        r = uw_history_new(front->n, front->n_history, &front->history);
    if (r == 0)
        r = uw_fft_new(front->n, &front->fft);
    if (r < 0)
        return r;
    front->pending = uw_fft_buffer(front->fft);
    r = uw_centres_init(&front->centres, front->config.n_centres, front->config.freq_hz, front->n,
                        front->hop, FLOOR_S * frame_rate);
    if (r < 0)
        return r;
    front->at = front->centres.centres;
    r = uw_bursts_new(&bursts, on_burst, front, &front->bursts);
    if (r < 0)
        return r;
    return uw_cutter_new(front->history, front->n, front->config.rate_hz, &front->cutter);
}

int uw_front_new(const struct uw_front_config *config, const struct uw_front_ops *ops,
                 void *userdata, struct uw_front **ret_front) {
    UW_CLEANUP(front_freep) struct uw_front *front = NULL;
    int r;

    if (!(config->rate_hz >= 1e3) || !(config->rate_hz <= 1e9) || config->n_centres < 1)
        return uw_err(-EINVAL);
    front = calloc(1, sizeof(*front));
    if (!front)
        return uw_err(-ENOMEM);
    front->config = *config;
    front->ops = *ops;
    front->userdata = userdata;
    front->n = uw_front_frame_size(config->rate_hz);
    front->hop = front->n * 3 / 4;
    front->next_progress = (uint64_t)(config->rate_hz * PROGRESS_S);
    front->balance = (struct uw_balance){
        .n = front->n,
        .frame_s = (double)front->hop / config->rate_hz,
    };
    r = new_buffers(front);
    if (r < 0)
        return r;
    *ret_front = front;
    front = NULL;
    return 0;
}

int uw_front_reserve(struct uw_front *front, size_t bytes) {
    void *more;

    if (bytes <= front->scratch_bytes)
        return 0;
    more = uw_alloc_zeroed(1, bytes);
    if (!more)
        return uw_err(-ENOMEM);
    free(front->scratch);
    front->scratch = more;
    front->scratch_bytes = bytes;
    return 0;
}

void *uw_front_scratch(struct uw_front *front) {
    return front->scratch;
}

/* A frame out of the history, whole. */
static const float complex *frame_at(const struct uw_front *front, uint64_t frame) {
    uw_history_get(front->history, frame, 0, front->n, NULL, front->spectrum);
    return front->spectrum;
}

static void report_progress(struct uw_front *front) {
    uint64_t done = front->first_frame_sample + (front->n_looked - front->base_frame) * front->hop;
    uint64_t back = 4 * front->hop + front->n;

    if (done < front->next_progress + back)
        return;
    front->next_progress = done - back + (uint64_t)(front->config.rate_hz * PROGRESS_S);
    front->ops.progress(front->userdata, done - back);
}

static void look(struct uw_front *front, uint64_t frame, const float complex *spectrum) {
    uint64_t sample = front->first_frame_sample + (frame - front->base_frame) * front->hop;

    /* over a hole the powers stay what they were: what was on the air is taken to be on still */
    if (sample >= front->hole_to || sample + front->n <= front->hole_from) {
        uw_hann_power(spectrum, front->n, front->power);
        if (uw_floor_update(front->at->floor, front->power))
            uw_bursts_drop(front->bursts); /* what seemed to be a burst as wide as the band */
        uw_tones_look(front->at->tones, front->at->floor);
    }
    front->n_looked = frame + 1;
    if (front->ops.frame)
        front->ops.frame(front->userdata, spectrum, sample, frame == front->base_frame);
    uw_bursts_frame(front->bursts, frame, front->power, uw_floor_inverse(front->at->floor));
    report_progress(front);
}

/* The floor from the rows that have been kept, as many bins at a time as there is room for. */
static void learn(struct uw_front *front, size_t rows) {
    float *powers = front->scratch; /* nobody handles a burst now */
    const size_t n = front->n;
    const size_t halo = uw_floor_halo(front->at->floor, rows);
    const size_t room = LEARN_SLICE / sizeof(float) / rows;
    const size_t width = room < n + 2 * halo ? room : n + 2 * halo;
    size_t count = width - 2 * halo;

    for (size_t first = 0; first < n; first += count) {
        count = count < n - first ? count : n - first;
        for (size_t r = 0; r < rows; ++r) {
            uw_hann_power(frame_at(front, front->n_looked + r), n, front->power);
            for (size_t k = 0; k < count + 2 * halo; ++k)
                powers[r * (count + 2 * halo) + k] = front->power[(first + n - halo + k) % n];
        }
        uw_floor_learn(front->at->floor, first, count, powers, rows);
    }
}

/* The floor from what has been kept, then everything kept is looked at. */
static void finish_learning(struct uw_front *front) {
    size_t rows = (size_t)(front->n_frames - front->n_looked);

    if (front->at->learned || rows == 0)
        return;
    front->at->learned = true;
    learn(front, rows);
    while (front->n_looked < front->n_frames)
        look(front, front->n_looked, frame_at(front, front->n_looked));
}

static void take_frame(struct uw_front *front) {
    uint64_t frame = front->n_frames;
    float complex *x = front->spectrum;

    uw_fft_run_to(front->fft, x);
    uw_balance_frame(&front->balance, front->at, frame, x);
    uw_tones_clean(front->at->tones, x);
    uw_history_put(front->history, frame, x);
    front->n_frames = frame + 1;
    if (front->at->learned)
        look(front, frame, x);
    else if (front->n_frames - front->n_looked >= front->n_learn)
        finish_learning(front);
    memmove(front->pending, front->pending + front->hop,
            (front->n - front->hop) * sizeof(*front->pending));
    front->n_pending = front->n - front->hop;
}

void uw_front_push(struct uw_front *front, const void *samples, size_t n) {
    const unsigned char *in = samples;
    size_t size = uw_iq_format_size(front->config.format);

    front->n_samples += n;
    while (n > 0) {
        size_t m = front->n - front->n_pending;

        m = m < n ? m : n;
        front->n_clipped +=
            uw_convert(front->config.format, in, m, front->pending + front->n_pending);
        front->n_pending += m;
        in += m * size;
        n -= m;
        if (front->n_pending == front->n)
            take_frame(front);
    }
}

/* Pads the last frame with zeros, so that a signal which ends with the stream is seen to its end.
 */
static void take_rest(struct uw_front *front, uint64_t rows_needed) {
    size_t overlap = front->n_frames > front->base_frame ? front->n - front->hop : 0;

    if (front->n_pending > overlap) {
        memset(front->pending + front->n_pending, 0,
               (front->n - front->n_pending) * sizeof(*front->pending));
        take_frame(front);
    }
    if (!front->at->learned && front->n_frames - front->n_looked < rows_needed)
        front->n_looked = front->n_frames; /* too little to learn a floor from: forgotten */
    finish_learning(front);
    uw_bursts_flush(front->bursts);
    front->n_pending = 0;
}

/* A short gap is filled with noise of the floor's power: a packet that it falls into stays one,
 * less what was lost of it. */
static void fill(struct uw_front *front, uint64_t n) {
    double power = pow(10.0, 0.1 * uw_front_noise_dbfs(front));
    float amplitude = (float)sqrt(1.5 * power) / 32768.0f;

    if (front->n_samples > front->hole_to + front->n)
        front->hole_from = front->n_samples;
    front->n_samples += n;
    front->hole_to = front->n_samples;
    for (; n > 0; --n) {
        int re, im;

        front->noise = front->noise * 6364136223846793005u + 1442695040888963407u;
        re = (int)(front->noise >> 48) - 32768;
        im = (int)(front->noise >> 32 & 0xffffu) - 32768;
        front->pending[front->n_pending++] = amplitude * ((float)re + I * (float)im);
        if (front->n_pending == front->n)
            take_frame(front);
    }
}

static void break_off(struct uw_front *front, uint64_t n) {
    take_rest(front, front->n_learn < 32 ? front->n_learn : 32);
    front->n_samples += n;
    front->base_frame = front->n_frames;
    front->first_frame_sample = front->n_samples;
    uw_tones_break(front->at->tones);
}

void uw_front_gap(struct uw_front *front, uint64_t n) {
    bool goes_on = front->at->learned && front->n_frames > front->base_frame;

    if (n > 0 && goes_on && (double)n <= FILL_S * front->config.rate_hz)
        fill(front, n);
    else
        break_off(front, n);
}

void uw_front_retune(struct uw_front *front, double freq_hz, uint64_t n) {
    break_off(front, n);
    front->at = uw_centres_move(&front->centres, front->at, freq_hz);
}

void uw_front_flush(struct uw_front *front) {
    take_rest(front, 0);
    /* the history may still be cut here */
    front->ops.progress(front->userdata, front->n_samples);
    front->base_frame = front->n_frames;
    front->first_frame_sample = front->n_samples;
}

uint64_t uw_front_samples(const struct uw_front *front) {
    return front->n_samples;
}

double uw_front_history_s(const struct uw_front *front) {
    return (double)(front->n_history * front->hop) / front->config.rate_hz;
}

size_t uw_front_n_fft(const struct uw_front *front) {
    return front->n;
}

size_t uw_front_hop(const struct uw_front *front) {
    return front->hop;
}

double uw_front_noise_dbfs(const struct uw_front *front) {
    double n = (double)front->n;

    if (!front->at->learned)
        return NAN;
    return 10.0 * log10(uw_floor_mean(front->at->floor) / (HANN_POWER * n));
}

double uw_front_clip_ratio(const struct uw_front *front) {
    return front->n_samples ? (double)front->n_clipped / (double)front->n_samples : 0.0;
}

double uw_front_noise_density(const struct uw_front *front, double lower_hz, double upper_hz) {
    double bin_hz = front->config.rate_hz / (double)front->n;
    double n = (double)front->n;
    long lo = lround(lower_hz / bin_hz + n / 2.0);
    long hi = lround(upper_hz / bin_hz + n / 2.0);
    double sum = 0.0;
    long count = 0;

    for (long k = lo; k <= hi; ++k) {
        if (k < 0 || k >= (long)front->n)
            continue;
        sum += uw_floor_at(front->at->floor, (size_t)k);
        ++count;
    }
    if (count == 0 || !front->at->learned)
        return NAN;
    return sum / (double)count / (HANN_POWER * n) / front->config.rate_hz;
}

/* What of the history is there since the last gap. */
static struct uw_cut_range range_of(const struct uw_front *front) {
    uint64_t first = front->base_frame;

    if (front->n_frames > front->n_history && front->n_frames - front->n_history > first)
        first = front->n_frames - front->n_history;
    return (struct uw_cut_range){
        .first = first,
        .end = front->n_frames,
        .origin = front->first_frame_sample + (first - front->base_frame) * front->hop,
    };
}

bool uw_front_parts(struct uw_front *front, uint64_t *sample, size_t n_parts, double *parts) {
    return uw_front_some_parts(front, sample, n_parts, 0, n_parts, parts);
}

bool uw_front_some_parts(struct uw_front *front, uint64_t *sample, size_t n_parts, size_t first,
                         size_t n_wanted, double *parts) {
    const struct uw_cut_range range = range_of(front);
    const size_t n = front->n;
    const uint64_t frame =
        *sample > range.origin
            ? range.first + (*sample - range.origin + front->hop - 1) / front->hop
            : range.first;

    if (frame >= range.end || n_parts == 0 || n_parts > n || first > n_parts ||
        n_wanted > n_parts - first)
        return false;
    const float complex *x = frame_at(front, frame);
    for (size_t i = first; i < first + n_wanted; ++i) {
        const size_t lo = i * n / n_parts, hi = (i + 1) * n / n_parts;
        float sum = 0.0f;

        if (lo < n / 2)
            sum += uw_energy(x + n / 2 + lo, (hi < n / 2 ? hi : n / 2) - lo);
        if (hi > n / 2)
            sum += uw_energy(x + (lo > n / 2 ? lo - n / 2 : 0), hi - (lo > n / 2 ? lo : n / 2));
        parts[i - first] = (double)sum / ((double)n * (double)n);
    }
    *sample = range.origin + (frame - range.first) * front->hop;
    return true;
}

bool uw_front_bins(const struct uw_front *front, uint64_t sample, size_t first, size_t count,
                   float complex *out) {
    const struct uw_cut_range range = range_of(front);
    const uint64_t frame = range.first + (sample - range.origin) / front->hop;

    if (sample < range.origin || (sample - range.origin) % front->hop != 0 || frame >= range.end)
        return false;
    uw_history_get(front->history, frame, first, count, NULL, out);
    return true;
}

double uw_front_cut_rate(const struct uw_front *front, double bandwidth_hz, double min_rate_hz) {
    return uw_cutter_rate(front->cutter, bandwidth_hz, min_rate_hz);
}

bool uw_front_cut_begin(struct uw_front *front, uint64_t start, uint64_t stop, double centre_hz,
                        double bandwidth_hz, double min_rate_hz, struct uw_front_cut *ret_cut) {
    const struct uw_cut_range range = range_of(front);

    return uw_cutter_begin(front->cutter, &range, start, stop, centre_hz, bandwidth_hz, min_rate_hz,
                           ret_cut);
}

size_t uw_front_cut_read(struct uw_front *front, struct uw_front_cut *cut, float complex *out,
                         size_t max) {
    return uw_cutter_read(front->cutter, cut, out, max);
}

size_t uw_front_cut(struct uw_front *front, uint64_t start, uint64_t stop, double centre_hz,
                    double bandwidth_hz, double min_rate_hz, float complex *out, size_t max,
                    double *ret_start, double *ret_rate_hz) {
    struct uw_front_cut cut;

    if (!uw_front_cut_begin(front, start, stop, centre_hz, bandwidth_hz, min_rate_hz, &cut))
        return 0;
    *ret_start = cut.start;
    *ret_rate_hz = cut.rate_hz;
    return uw_front_cut_read(front, &cut, out, max);
}
