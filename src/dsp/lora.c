/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * LoRa, seen from outside
 *
 * A symbol is a chirp over the bandwidth B in T = 2^SF / B seconds; its value is the frequency it
 * begins at, and it wraps once from the top to the bottom. Times the conjugate of the plain
 * up-chirp it becomes two tones, B apart, one before and one behind the wrap; so does any window of
 * length T over two equal symbols. Sampled at B both would fall onto one line, but with opposite
 * sign when the window begins half a chip off: up to 6 dB are lost. At 2 B the tones A and B are
 * apart, and
 * (|A| + |B|)^2 puts them together whatever their phases. The transform is padded to half bins
 * against scalloping.
 *
 * The preamble of equal up-chirps gives the same line in window after window, whatever their
 * alignment; each window is divided by its own energy, and RUN windows are added. The line stands
 * at (in bins of B / 2^SF)
 *
 *     up-chirps:    u = delta + c        delta: chips from the last symbol's begin to the window's
 *     down-chirps:  d = c - delta        c: carrier offset
 *
 * so that the delimiter (2.25 down-chirps after the two sync symbols) separates time and frequency:
 * with the windows' distance p in chips, 2 c = u + d + p (mod 2^SF). Half the ambiguity, 2^SF / 2,
 * is resolved by the burst's own centre.
 *
 * See C. Bernier, F. Dehmas and N. Deparis, "Low Complexity LoRa Frame Synchronization for
 * Ultra-Low Power Software-Defined Radios", IEEE Trans. Commun. 68 (2020).
 */

#include "uw/dsp/lora.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/fft.h"

#define RUN 5
#define RUN_THRESHOLD                                                                              \
    78.0f             /* 1e-9 a line: noise passes 48 with 5.6e-5, and e times less each 2.9 on */
#define PRESENT 0.25f /* of the preamble's line power: a symbol is there */
#define SHARE_MIN                                                                                  \
    0.12f /* of the energy: -8 dB in the band, where no burst would have stood out                 \
           */
#define WINDOWS_MAX  16384
#define PREAMBLE_MIN 4
#define PREAMBLE_MAX 64
#define SYMBOLS_MAX  2048
#define N_SF         (UW_LORA_SF_MAX - UW_LORA_SF_MIN + 1)

struct uw_lora {
    struct uw_fft *fft[N_SF]; /* of 4 * 2^SF: a symbol at two samples a chip, padded to half bins */
    float complex *up[N_SF];  /* 2 * 2^SF samples of the plain up-chirp */
    float *rows;              /* RUN rows of powers */
    float *sum;
    float *most;             /* per window */
    float complex *spectrum; /* of the latest window: 4 samples a chip */
    float flip;              /* -1: the input's conjugate is meant */
};

struct line {
    double bin;  /* of 2^SF bins, fractional */
    float power; /* over the window's energy: 3.6 in the mean for noise */
};

struct uw_lora *uw_lora_free(struct uw_lora *lora) {
    if (!lora)
        return NULL;
    for (size_t i = 0; i < N_SF; ++i) {
        uw_fft_free(lora->fft[i]);
        uw_fft_dealloc(lora->up[i]);
    }
    uw_fft_dealloc(lora->spectrum);
    free(lora->rows);
    free(lora->sum);
    free(lora->most);
    free(lora);
    return NULL;
}

static void lora_freep(struct uw_lora **lora) {
    *lora = uw_lora_free(*lora);
}

int uw_lora_new(struct uw_lora **ret_lora) {
    UW_CLEANUP(lora_freep) struct uw_lora *lora = calloc(1, sizeof(*lora));

    if (!lora)
        return uw_err(-ENOMEM);
    lora->flip = 1.0f;
    for (size_t s = 0; s < N_SF; ++s) {
        size_t n = (size_t)1 << (UW_LORA_SF_MIN + s);
        int r = uw_fft_new(4 * n, &lora->fft[s]);

        if (r < 0)
            return r;
        lora->up[s] = uw_fft_alloc(2 * n);
        if (!lora->up[s])
            return uw_err(-ENOMEM);
        for (size_t i = 0; i < 2 * n; ++i) {
            double t = 0.5 * (double)i; /* chips */
            double phase = UW_PI * fmod(t * t / (double)n - t, 2.0);

            lora->up[s][i] = (float)cos(phase) + I * (float)sin(phase);
        }
    }
    size_t bins = (size_t)2 << UW_LORA_SF_MAX;
    lora->spectrum = uw_fft_alloc(2 * bins);
    lora->rows = calloc(RUN * bins, sizeof(float));
    lora->sum = calloc(bins, sizeof(float));
    lora->most = calloc(WINDOWS_MAX, sizeof(float));
    if (!lora->spectrum || !lora->rows || !lora->sum || !lora->most)
        return uw_err(-ENOMEM);
    *ret_lora = lora;
    lora = NULL;
    return 0;
}

void uw_lora_mirror(struct uw_lora *lora, bool mirror) {
    lora->flip = mirror ? -1.0f : 1.0f;
}

/* y = x (or its conjugate) times the conjugate chirp (or the chirp), on interleaved components; the
 * energy of x by eight partial sums, so that it is the same on every processor. */
UW_CLONES
static float multiply(size_t n, const float *restrict x, float flip, const float *restrict up,
                      float sign, float *restrict y) {
    float part[16] = {0};
    float energy = 0.0f;

    for (size_t i = 0; i < n; ++i) {
        float re = x[2 * i];
        float im = flip * x[2 * i + 1];
        float c = up[2 * i];
        float s = sign * up[2 * i + 1];

        y[2 * i] = re * c - im * s;
        y[2 * i + 1] = re * s + im * c;
    }
    for (size_t i = 0; i < 2 * n; i += 16) {
        for (size_t k = 0; k < 16; ++k)
            part[k] += x[i + k] * x[i + k];
    }
    for (size_t k = 0; k < 16; ++k)
        energy += part[k];
    return energy;
}

/* Spectrum of the window at x, times the conjugate chirp (or, for down-chirps, the chirp), in
 * lora->spectrum. Returns the window's energy. */
static float dechirp(struct uw_lora *lora, int sf, const float complex *x, bool down) {
    size_t s = (size_t)(sf - UW_LORA_SF_MIN);
    size_t n = (size_t)2 << sf;
    float complex *y = uw_fft_buffer(lora->fft[s]);
    float energy = multiply(n, (const float *)x, lora->flip, (const float *)lora->up[s],
                            down ? 1.0f : -1.0f, (float *)y);

    /* the second half stays zero */
    uw_fft_run_to(lora->fft[s], lora->spectrum);
    return energy;
}

/* Power of half bin b of a spectrum of 2 `bins` half bins, with its partner a bandwidth away. */
static float power_of(const float complex *y, size_t b, size_t bins) {
    float complex p = y[b];
    float complex q = y[b + bins];
    float pp = crealf(p) * crealf(p) + cimagf(p) * cimagf(p);
    float qq = crealf(q) * crealf(q) + cimagf(q) * cimagf(q);

    return pp + qq + 2.0f * sqrtf(pp * qq);
}

/* power_of() of all half bins; the first of the greatest. What is no number is no line. */
UW_CLONES
static size_t greatest(size_t bins, const float *restrict y, float *restrict powers) {
    float part[16];
    float most = -1.0f;
    size_t at = 0;

    for (size_t b = 0; b < bins; ++b) {
        const float *p = y + 2 * b;
        const float *q = p + 2 * bins;
        float pp = p[0] * p[0] + p[1] * p[1];
        float qq = q[0] * q[0] + q[1] * q[1];

        powers[b] = pp + qq + 2.0f * sqrtf(pp * qq);
    }
    for (size_t k = 0; k < 16; ++k)
        part[k] = -1.0f;
    for (size_t b = 0; b < bins; b += 16) {
        for (size_t k = 0; k < 16; ++k)
            part[k] = powers[b + k] > part[k] ? powers[b + k] : part[k];
    }
    for (size_t k = 0; k < 16; ++k)
        most = part[k] > most ? part[k] : most;
    while (at < bins && !(powers[at] == most))
        ++at;
    return at < bins ? at : 0;
}

/* The strongest line of the window at x, refined between half bins by a parabola through the
 * amplitudes. */
static struct line strongest(struct uw_lora *lora, int sf, const float complex *x, bool down) {
    size_t bins = (size_t)2 << sf;
    float energy = dechirp(lora, sf, x, down);
    const float complex *y = lora->spectrum;
    size_t best = greatest(bins, (const float *)y, lora->sum);
    float most = lora->sum[best];
    double left = sqrt((double)power_of(y, (best + bins - 1) % bins, bins));
    double right = sqrt((double)power_of(y, (best + 1) % bins, bins));
    double mid = sqrt((double)most);
    double curve = left - 2.0 * mid + right;
    double shift = curve < 0.0 ? 0.5 * (left - right) / curve : 0.0;

    return (struct line){
        .bin = 0.5 * ((double)best + shift),
        .power = energy > 0.0f ? most / energy : 0.0f,
    };
}

/* Power in the line at `bin` of the window that was transformed last, the better of the half bins
 * beside it. */
static float power_at(const struct uw_lora *lora, int sf, double bin) {
    long bins = 2L << sf;
    const float complex *y = lora->spectrum;
    long b = lround(2.0 * bin);
    float most = 0.0f;

    for (long d = -1; d <= 1; ++d)
        most = fmaxf(most, power_of(y, (size_t)(((b + d) % bins + bins) % bins), (size_t)bins));
    return most;
}

/* Power over energy of the window at x in the line at `bin`. */
static float line_power(struct uw_lora *lora, int sf, const float complex *x, bool down, double bin,
                        float *ret_absolute) {
    float energy = dechirp(lora, sf, x, down);

    *ret_absolute = power_at(lora, sf, bin);
    return energy > 0.0f ? *ret_absolute / energy : 0.0f;
}

/* The first of the runs that are nearly as strong as the strongest: a piece may hold several
 * packets, and the tail of one before its first. lora->most holds the strongest line of the run
 * that ends at each window. */
static size_t first_strong(const struct uw_lora *lora, size_t n_windows, float strongest) {
    size_t w = RUN - 1;

    while (lora->most[w] < 0.6f * strongest)
        ++w;
    for (size_t v = w + 1; v < n_windows && v <= w + RUN; ++v) {
        if (lora->most[v] > lora->most[w])
            w = v;
    }
    return w;
}

/* The window's powers into the run's sums, in place of the oldest; the greatest sum. */
UW_CLONES
static float add_window(size_t n, const float *restrict y, float scale, float *restrict row,
                        float *restrict sum) {
    float part[16] = {0};
    float most = 0.0f;

    for (size_t b = 0; b < n; ++b) {
        const float *p = y + 2 * b;
        const float *q = p + 2 * n;
        float pp = p[0] * p[0] + p[1] * p[1];
        float qq = q[0] * q[0] + q[1] * q[1];
        float power = (pp + qq + 2.0f * sqrtf(pp * qq)) * scale;

        sum[b] += power - row[b];
        row[b] = power;
    }
    for (size_t b = 0; b < n; b += 16) {
        for (size_t k = 0; k < 16; ++k)
            part[k] = sum[b + k] > part[k] ? sum[b + k] : part[k];
    }
    for (size_t k = 0; k < 16; ++k)
        most = part[k] > most ? part[k] : most;
    return most;
}

double uw_lora_preamble(struct uw_lora *lora, int sf, const float complex *x, size_t n, size_t from,
                        size_t *ret_at) {
    size_t symbol = (size_t)2 << sf; /* samples, and half bins */
    const float complex *y = lora->spectrum;
    size_t n_windows = from < n ? (n - from) / symbol : 0;
    float best = 0.0f;
    size_t w;

    if (n_windows < RUN)
        return 0.0;
    memset(lora->rows, 0, RUN * symbol * sizeof(float));
    memset(lora->sum, 0, symbol * sizeof(float));
    if (n_windows > WINDOWS_MAX)
        n_windows = WINDOWS_MAX;
    for (w = 0; w < n_windows; ++w) {
        float *row = lora->rows + (w % RUN) * symbol;
        float energy = dechirp(lora, sf, x + from + w * symbol, false);
        float scale = energy > 0.0f ? 1.0f / energy : 0.0f;
        float most = add_window(symbol, (const float *)y, scale, row, lora->sum);

        lora->most[w] = w + 1 < RUN ? 0.0f : most;
        best = lora->most[w] > best ? lora->most[w] : best;
    }
    if (best < RUN_THRESHOLD || best < SHARE_MIN * RUN * (float)symbol)
        return 0.0;
    w = first_strong(lora, n_windows, best);
    *ret_at = from + (w + 1 - RUN) * symbol;
    return (double)lora->most[w] / (RUN * (double)symbol);
}

struct sync {
    double up_bin, carrier; /* bins */
    double grid;            /* sample index of a symbol's begin */
    float reference;        /* mean line power of the preamble, absolute */
    size_t after;           /* first window behind the preamble's run */
};

/* Follows the run from `at` while the line stays: its mean position and power. */
static bool follow_run(struct uw_lora *lora, int sf, const float complex *x, size_t n, size_t at,
                       struct sync *sync) {
    size_t symbol = (size_t)2 << sf;
    double bins = (double)((size_t)1 << sf);
    /* second window: the first may hold the begin of the packet only in part */
    struct line first = strongest(lora, sf, x + at + symbol, false);
    double sum = 0.0;
    double power = 0.0;
    size_t count = 0;
    size_t p = at + symbol;

    for (; p + symbol <= n && count < PREAMBLE_MAX; p += symbol, ++count) {
        struct line line = count == 0 ? first : strongest(lora, sf, x + p, false);
        double away = remainder(line.bin - first.bin, bins);

        if (fabs(away) > 1.2)
            break;
        sum += away;
        power += (double)power_at(lora, sf, line.bin);
    }
    if (count < RUN - 2)
        return false;
    sync->up_bin = first.bin + sum / (double)count;
    sync->reference = (float)(power / (double)count);
    sync->after = p;
    return true;
}

/* The delimiter's down-chirps after the run: carrier and symbol grid from them. */
static bool find_delimiter(struct uw_lora *lora, int sf, const float complex *x, size_t n,
                           size_t at, struct sync *sync, size_t *ret_down) {
    size_t symbol = (size_t)2 << sf;
    double bins = (double)((size_t)1 << sf);
    struct line best = {0};
    size_t best_at = 0;
    float best_absolute = 0.0f;
    size_t from = sync->after > 2 * symbol ? sync->after - symbol : 0;

    for (size_t p = from; p + symbol <= n && p < sync->after + 7 * symbol; p += symbol / 4) {
        struct line line = strongest(lora, sf, x + p, true);
        float absolute = power_at(lora, sf, line.bin);

        if (absolute > best_absolute) {
            best = line;
            best_at = p;
            best_absolute = absolute;
        }
    }
    if (best_absolute < 0.4f * sync->reference)
        return false;
    double distance = ((double)best_at - (double)(at + symbol)) / 2.0;
    double c = 0.5 * (sync->up_bin + best.bin + distance);

    sync->carrier = remainder(c, bins / 2.0);
    double delta = sync->up_bin - sync->carrier;
    sync->grid = (double)(at + symbol) - 2.0 * (delta - bins * floor(delta / bins));
    *ret_down = best_at;
    return true;
}

/* Line power of the symbol whose begin is the grid's number k; the line expected at `bin` for a
 * window that begins exactly there. 0 outside of the input. */
static float symbol_power(struct uw_lora *lora, int sf, const float complex *x, size_t n,
                          const struct sync *sync, double k, bool down) {
    double symbol = (double)((size_t)2 << sf);
    double begin = sync->grid + k * symbol;
    double at = round(begin);
    double slip = 0.5 * (at - begin); /* chips: moves the line */
    float absolute;

    if (at < 0.0 || at + symbol > (double)n)
        return 0.0f;
    (void)line_power(lora, sf, x + (size_t)at, down, sync->carrier + (down ? -slip : slip),
                     &absolute);
    return absolute;
}

static int sync_value(struct uw_lora *lora, int sf, const float complex *x, size_t n,
                      const struct sync *sync, double k) {
    double symbol = (double)((size_t)2 << sf);
    double begin = sync->grid + k * symbol;
    double at = round(begin);
    int bins = 1 << sf;

    if (at < 0.0 || at + symbol > (double)n)
        return -1;
    struct line line = strongest(lora, sf, x + (size_t)at, false);
    double value = line.bin - sync->carrier - 0.5 * (at - begin);

    return (((int)lround(value)) % bins + bins) % bins;
}

/* Data symbols from grid position k on; *ret_cut says that they go on to the end of the input. */
static int count_symbols(struct uw_lora *lora, int sf, const float complex *x, size_t n,
                         const struct sync *sync, double k, bool *ret_cut) {
    double symbol = (double)((size_t)2 << sf);
    int count = 0;
    int missing = 0;

    *ret_cut = false;
    for (int i = 0; i < SYMBOLS_MAX && missing < 2; ++i) {
        double at = round(sync->grid + (k + (double)i) * symbol);
        float absolute;

        if (at + symbol > (double)n) {
            *ret_cut = missing == 0;
            break;
        }
        struct line line = strongest(lora, sf, x + (size_t)at, false);
        absolute = power_at(lora, sf, line.bin);
        if (absolute > PRESENT * sync->reference) {
            count = i + 1;
            missing = 0;
        } else {
            ++missing;
        }
    }
    return count;
}

bool uw_lora_measure(struct uw_lora *lora, int sf, const float complex *x, size_t n, size_t at,
                     struct uw_lora_packet *ret_packet) {
    double symbol = (double)((size_t)2 << sf);
    double bins = 0.5 * symbol;
    struct sync sync;
    struct uw_lora_packet packet = {.sync = {-1, -1}};
    size_t down_at;
    float share;

    if (at + (RUN + 1) * (size_t)symbol > n || !follow_run(lora, sf, x, n, at, &sync))
        return false;
    share = line_power(lora, sf, x + at + (size_t)symbol, false, sync.up_bin, &(float){0});
    packet.score = fmin((double)share / symbol, 1.0);
    packet.start = (double)at;
    packet.stop = (double)n;
    packet.timing = symbol / 4.0;
    if (!find_delimiter(lora, sf, x, n, at, &sync, &down_at)) {
        *ret_packet = packet;
        return true;
    }
    /* the delimiter's first symbol: the pair of down-chirps with most power */
    double near = floor(((double)down_at - sync.grid) / symbol);
    double k_down = near;
    float most = -1.0f;
    for (double k = near - 2.0; k <= near + 2.0; k += 1.0) {
        float pair = symbol_power(lora, sf, x, n, &sync, k, true) +
                     symbol_power(lora, sf, x, n, &sync, k + 1.0, true);

        if (pair > most) {
            most = pair;
            k_down = k;
        }
    }
    while (packet.n_preamble < PREAMBLE_MAX &&
           symbol_power(lora, sf, x, n, &sync, k_down - 3.0 - packet.n_preamble, false) >
               PRESENT * sync.reference)
        ++packet.n_preamble;
    if (packet.n_preamble < PREAMBLE_MIN)
        return false; /* something else that held one line for a while */
    packet.sync[0] = sync_value(lora, sf, x, n, &sync, k_down - 2.0);
    packet.sync[1] = sync_value(lora, sf, x, n, &sync, k_down - 1.0);
    packet.n_symbols = count_symbols(lora, sf, x, n, &sync, k_down + 2.25, &packet.cut);
    packet.complete = true;
    packet.start = sync.grid + (k_down - 2.0 - packet.n_preamble) * symbol;
    packet.stop = sync.grid + (k_down + 2.25 + packet.n_symbols) * symbol;
    packet.offset = sync.carrier / bins;
    packet.timing = 0.5;
    *ret_packet = packet;
    return true;
}
