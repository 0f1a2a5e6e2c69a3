/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * FSK packets of known length
 *
 * For every time on air T that an enabled link with an FSK air rate uses: the mean power over a box
 * of T must stand above the noise, fall to the noise right before and right behind, and be there at
 * both ends inside. That measures begin and length together, which the tracker of links then wants
 * at an exact period and on a grid. The carrier is the mean frequency over the packet (phase of the
 * first autocorrelation), freed of the pull of the noise, which is centred in the cut.
 *
 * Packets are held until all that was on the air with them has been looked at: what a much stronger
 * one casts elsewhere would take its slot.
 */

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "held-impl.h"
#include "links-impl.h"
#include "matcher-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/fft.h"

#define LENGTHS_MAX 16
#define CUT_WIDTH   1.2 /* lengths' bandwidths */
#define CUT_RATE    1.3 /* ... of the cut */
#define WINDOW_MIN  8192
#define MARGIN_S    0.5e-3
#define EDGE_S      70e-6 /* looked at on each side of each end */
#define GUARD_S     12e-6 /* ... this far from it */
#define MIN_RATIO   1.5   /* mean power over noise in the cut: -3 dB */
#define INSIDE      0.5   /* share of the power at both ends inside */
#define OUTSIDE     0.4   /* ... outside */
/* Energy within half the deviation of the carrier: random GFSK has up to 0.67 there (h 2/3, BT 0.5,
 * 60 bits of preamble in 197), a keyed carrier 0.83 to 1; about as strong as the noise it may pass.
 */
#define CENTRE_MOST  0.72
#define INDEX_MIN    0.3 /* of modulation: with less there is no telling */
#define SNIPPET_MAX  2048
#define SNIPPET_LAGS 20    /* samples that two packets' begins may be off */
#define SNIPPET_HZ   120e3 /* ... and the centres of their cuts */
#define SAME_SHARE                                                                                 \
    0.4 /* of the signals' energy in common: random payloads share their header, a tenth */
#define START_ERROR_S 10e-6
#define HELD_S        1e-3 /* bursts that end together come within this */

struct length {
    double airtime_s, bandwidth_hz, symbol_rate, deviation_hz;
};

/* The latest packet's samples, to see whether the next one is the same again. */
struct snippet {
    const struct length *length;
    size_t n;
    double start;         /* input sample */
    double energy, share; /* share: of the signal in it */
    float complex samples[SNIPPET_MAX];
};

struct matcher {
    struct uw_matcher_env env;
    struct uw_fft *fft; /* of SNIPPET_MAX */
    struct snippet last, now;
    struct uw_held held;
    size_t n_lengths;
    struct length lengths[LENGTHS_MAX];
    double longest_s;
    /* a window that slides over the piece; both in the front end's scratch memory */
    size_t max, base, have;
    float complex *cut; /* samples base .. base + have of the piece */
    double *sum;        /* of power up to each of them, and to the end */
};

static void matcher_free(void *matcher) {
    struct matcher *m = matcher;

    if (!m)
        return;
    uw_fft_free(m->fft);
    free(m);
}

static void matcher_freep(struct matcher **m) {
    matcher_free(*m);
}

static void add_lengths(struct matcher *m, const struct uw_signature *s) {
    for (int i = 0; i < s->n_variants; ++i) {
        const struct uw_sig_variant *v = &s->variants[i];
        bool known = v->modulation != UW_SIG_FSK || v->airtime_s <= 0.0;

        for (size_t j = 0; j < m->n_lengths; ++j)
            known |= m->lengths[j].airtime_s == v->airtime_s &&
                     m->lengths[j].bandwidth_hz == v->bandwidth_hz;
        if (!known && m->n_lengths < LENGTHS_MAX)
            m->lengths[m->n_lengths++] = (struct length){
                .airtime_s = v->airtime_s,
                .bandwidth_hz = v->bandwidth_hz,
                .symbol_rate = v->symbol_rate,
                .deviation_hz = v->deviation_hz,
            };
    }
}

/* Of the links that can be heard at this centre, or at any. */
static void choose_lengths(struct matcher *m, bool anywhere) {
    const struct uw_detector_config *config = m->env.config;

    m->n_lengths = 0;
    for (size_t i = 0; i < uw_sigdb_len(config->db); ++i) {
        const struct uw_signature *s = uw_sigdb_at(config->db, i);

        if (s->enabled && s->matcher == UW_SIG_MATCH_LINK &&
            (anywhere || uw_link_in_band(s, config)))
            add_lengths(m, s);
    }
}

static void matcher_retune(void *matcher, double shift_hz) {
    struct matcher *m = matcher;

    (void)shift_hz;
    choose_lengths(m, false);
    m->last.length = NULL; /* of the old list */
}

static double cut_rate(const struct matcher *m, const struct length *l) {
    double bandwidth = CUT_WIDTH * l->bandwidth_hz;

    return uw_front_cut_rate(m->env.front, bandwidth, CUT_RATE * bandwidth);
}

/* Samples before a box that are looked at. */
static size_t look_back(double rate_hz) {
    return (size_t)(EDGE_S * rate_hz) + (size_t)(GUARD_S * rate_hz) + 1;
}

/* Samples from the first place of a box of n samples on that are looked at: it moves by its length,
 * and a rival's lies around it. */
static size_t look_ahead(const struct matcher *m, size_t n, double rate_hz) {
    size_t longest = (size_t)(m->longest_s * rate_hz + 0.5);

    return n + (n > longest ? n : longest) + look_back(rate_hz);
}

static int matcher_new(const struct uw_matcher_env *env, void **ret_matcher) {
    UW_CLEANUP(matcher_freep) struct matcher *m = calloc(1, sizeof(*m));
    int r;

    if (!m)
        return uw_err(-ENOMEM);
    m->env = *env;
    /* room for what any centre may ask for */
    choose_lengths(m, env->config->n_centres > 1);
    m->max = WINDOW_MIN;
    for (size_t i = 0; i < m->n_lengths; ++i)
        m->longest_s = fmax(m->longest_s, m->lengths[i].airtime_s);
    for (size_t i = 0; i < m->n_lengths; ++i) {
        double rate = cut_rate(m, &m->lengths[i]);
        size_t n = (size_t)(m->lengths[i].airtime_s * rate + 0.5);
        size_t room = 2 * (look_back(rate) + look_ahead(m, n, rate));

        m->max = room > m->max ? room : m->max;
    }
    choose_lengths(m, false);
    r = uw_front_reserve(env->front, m->max * sizeof(*m->cut) + (m->max + 1) * sizeof(*m->sum));
    if (r == 0)
        r = uw_fft_new(SNIPPET_MAX, &m->fft);
    if (r < 0)
        return r;
    *ret_matcher = m;
    m = NULL;
    return 0;
}

struct piece {
    double centre_hz, rate_hz, first; /* first: input sample of sample 0 */
    double noise;                     /* power in the cut */
    size_t n;
    struct uw_front_cut cut;
};

static bool cut_piece(struct matcher *m, const struct uw_burst *b, const struct length *l,
                      struct piece *ret) {
    double rate = m->env.config->rate_hz;
    double bandwidth = CUT_WIDTH * l->bandwidth_hz;
    uint64_t margin = (uint64_t)(MARGIN_S * rate) + uw_front_n_fft(m->env.front);
    uint64_t start = b->start > margin ? b->start - margin : 0;

    if (!uw_front_cut_begin(m->env.front, start, b->stop + margin, b->centre_hz, bandwidth,
                            CUT_RATE * bandwidth, &ret->cut))
        return false;
    ret->n = ret->cut.n;
    ret->first = ret->cut.start;
    ret->rate_hz = ret->cut.rate_hz;
    ret->centre_hz = b->centre_hz;
    ret->noise = bandwidth * uw_front_noise_density(m->env.front, b->centre_hz - 0.5 * bandwidth,
                                                    b->centre_hz + 0.5 * bandwidth);
    m->sum = uw_front_scratch(m->env.front);
    m->cut = (float complex *)(m->sum + m->max + 1);
    m->base = 0;
    m->have = 0;
    m->sum[0] = 0.0;
    return ret->noise > 0.0;
}

/* Moves the window so that it holds the samples [from, to), as far as there are any. */
static void reach(struct matcher *m, struct piece *piece, size_t from, size_t to) {
    size_t drop = from - m->base;

    if (to <= m->base + m->have || m->base + m->have == piece->n)
        return;
    m->have -= drop;
    m->base = from;
    memmove(m->cut, m->cut + drop, m->have * sizeof(*m->cut));
    memmove(m->sum, m->sum + drop, (m->have + 1) * sizeof(*m->sum));
    size_t i = m->have;
    m->have += uw_front_cut_read(m->env.front, &piece->cut, m->cut + i, m->max - i);
    for (; i < m->have; ++i) {
        double re = (double)crealf(m->cut[i]);
        double im = (double)cimagf(m->cut[i]);

        m->sum[i + 1] = m->sum[i] + re * re + im * im;
    }
}

/* Samples from i on, and the energy in some. */
static const float complex *samples_at(const struct matcher *m, size_t i) {
    return m->cut + (i - m->base);
}

static double energy(const struct matcher *m, size_t from, size_t to) {
    return m->sum[to - m->base] - m->sum[from - m->base];
}

static double mean_power(const struct matcher *m, size_t from, size_t to) {
    return energy(m, from, to) / (double)(to - from);
}

/* Whether a packet of n samples lies exactly at i. */
static bool is_packet(const struct matcher *m, const struct piece *piece, size_t i, size_t n) {
    size_t edge = (size_t)(EDGE_S * piece->rate_hz);
    size_t guard = (size_t)(GUARD_S * piece->rate_hz);
    double power = mean_power(m, i, i + n) - piece->noise;
    double in = piece->noise + INSIDE * power;
    double out = piece->noise + OUTSIDE * power;

    if (power < (MIN_RATIO - 1.0) * piece->noise || i < edge + guard ||
        i + n + guard + edge > piece->n)
        return false;
    return mean_power(m, i, i + edge) > in && mean_power(m, i + n - edge, i + n) > in &&
           mean_power(m, i - guard - edge, i - guard) < out &&
           mean_power(m, i + n + guard, i + n + guard + edge) < out;
}

/* Energy in a box of n samples at i against a level half-way between noise and signal: largest when
 * the box has the packet's own length and place. */
static double box_score(const struct matcher *m, size_t i, size_t n, double level) {
    return energy(m, i, i + n) - (double)n * level;
}

/* Whether another length explains the energy around i better than n does. */
static bool has_rival(const struct matcher *m, const struct piece *piece, const struct length *l,
                      size_t i, size_t n) {
    size_t slack = (size_t)(EDGE_S * piece->rate_hz);
    double level = 0.5 * (mean_power(m, i + n / 4, i + 3 * n / 4) + piece->noise);
    double own = box_score(m, i, n, level);

    for (size_t j = 0; j < m->n_lengths; ++j) {
        size_t other = (size_t)(m->lengths[j].airtime_s * piece->rate_hz + 0.5);

        if (&m->lengths[j] == l)
            continue;
        for (size_t k = i > slack ? i - slack : 0; k <= i + slack && k + other <= piece->n; ++k) {
            if (box_score(m, k, other, level) > own)
                return true;
        }
    }
    return false;
}

static double mean_frequency(const struct matcher *m, const struct piece *piece, size_t i, size_t n,
                             double signal_share) {
    const float complex *x = samples_at(m, i);
    double re = 0.0;
    double im = 0.0;

    for (size_t k = 0; k + 1 < n; ++k) {
        float complex z = x[k + 1] * conjf(x[k]);

        re += (double)crealf(z);
        im += (double)cimagf(z);
    }
    return atan2(im, re) / (2.0 * UW_PI) * piece->rate_hz / fmax(signal_share, 0.2);
}

/* Whether both halves of the packet have the same mean frequency, as random symbols have: a piece
 * of a chirp (one that the edge of the band cuts into pulses) has not. */
static bool is_steady(const struct matcher *m, const struct piece *piece, const struct length *l,
                      size_t i, size_t n) {
    double share = 1.0 - piece->noise / mean_power(m, i, i + n);
    double sigma = l->deviation_hz / sqrt(0.25 * l->airtime_s * l->symbol_rate);
    double apart = mean_frequency(m, piece, i, n / 2, share) -
                   mean_frequency(m, piece, i + n / 2, n - n / 2, share);

    return fabs(apart) < 4.0 * sigma;
}

/* Whether the signal's energy lies where its two frequencies put it, and not at the carrier, as
 * that of a keyed one does: readers of tags, which a packet's length and place can be cut from. */
static bool is_spread(struct matcher *m, const struct piece *piece, const struct length *l,
                      size_t i, size_t n) {
    if (2.0 * l->deviation_hz < INDEX_MIN * l->symbol_rate)
        return true;
    float complex *z = uw_fft_buffer(m->fft);
    size_t part = n < SNIPPET_MAX ? n : SNIPPET_MAX;
    double power = mean_power(m, i, i + n);
    double bin_hz = piece->rate_hz / SNIPPET_MAX;
    double carrier = mean_frequency(m, piece, i, n, 1.0 - piece->noise / power) / bin_hz;
    double half = 0.5 * l->deviation_hz / bin_hz;
    double sum = 0.0;

    memset(z, 0, SNIPPET_MAX * sizeof(*z));
    memcpy(z, samples_at(m, i), part * sizeof(*z));
    uw_fft_run(m->fft);
    for (long b = lround(carrier - half); b <= lround(carrier + half); ++b) {
        size_t k = (size_t)b % SNIPPET_MAX; /* negative ones from the end */

        sum += (double)(crealf(z[k]) * crealf(z[k]) + cimagf(z[k]) * cimagf(z[k]));
    }
    double noise = l->deviation_hz * uw_front_noise_density(
                                         m->env.front, piece->centre_hz + (carrier - half) * bin_hz,
                                         piece->centre_hz + (carrier + half) * bin_hz);
    double centre = sum / ((double)part * SNIPPET_MAX) - noise;

    return centre <= CENTRE_MOST * (energy(m, i, i + part) / (double)part - piece->noise);
}

/* Energy that the two snippets have in common at this lag, over the product of theirs; the carriers
 * may differ: the product of one with the conjugate of the other is a tone. */
static double common_energy(struct matcher *m, long lag, double rate_hz) {
    float complex *z = uw_fft_buffer(m->fft);
    size_t n = m->now.n < m->last.n ? m->now.n : m->last.n;
    size_t reach = (size_t)(SNIPPET_HZ / rate_hz * SNIPPET_MAX);
    double most = 0.0;

    memset(z, 0, SNIPPET_MAX * sizeof(*z));
    for (size_t i = SNIPPET_LAGS; i + SNIPPET_LAGS < n; ++i)
        z[i] = m->last.samples[(size_t)((long)i + lag)] * conjf(m->now.samples[i]);
    uw_fft_run(m->fft);
    for (size_t b = 0; b < SNIPPET_MAX; ++b) {
        double re = (double)crealf(z[b]);
        double im = (double)cimagf(z[b]);

        if (b <= reach || b >= SNIPPET_MAX - reach)
            most = fmax(most, re * re + im * im);
    }
    return most / (m->now.energy * m->last.energy);
}

/* Whether this packet is the one before once more: 1, 0, or -1 where there is none right before it.
 */
static int compare_packets(struct matcher *m, const struct piece *piece, const struct length *l,
                           size_t i, size_t n, double start, double share) {
    double rate = m->env.config->rate_hz;
    int same = -1;

    m->now.length = l;
    m->now.n = n < SNIPPET_MAX ? n : SNIPPET_MAX;
    m->now.start = start;
    m->now.share = share;
    m->now.energy = energy(m, i, i + m->now.n);
    memcpy(m->now.samples, samples_at(m, i), m->now.n * sizeof(m->now.samples[0]));
    if (m->last.length == l && start - m->last.start < 2.7 * l->airtime_s * rate) {
        double most = 0.0;

        for (long lag = -SNIPPET_LAGS; lag <= SNIPPET_LAGS; ++lag)
            most = fmax(most, common_energy(m, lag, piece->rate_hz));
        same = most > SAME_SHARE * m->now.share * m->last.share;
    }
    return same;
}

static void take_packet(struct matcher *m, const struct uw_burst *b, const struct piece *piece,
                        const struct length *l, size_t i, size_t n) {
    double rate = m->env.config->rate_hz;
    double power = mean_power(m, i, i + n);
    double share = 1.0 - piece->noise / power;
    double symbols = l->airtime_s * l->symbol_rate;
    struct uw_packet p = {
        .modulation = UW_SIG_FSK,
        .sync = -1,
        .bandwidth_hz = b->upper_hz - b->lower_hz,
        .start = piece->first + (double)i * rate / piece->rate_hz,
        .start_error_s = START_ERROR_S,
        .stop_error_s = START_ERROR_S,
        .offset_hz = piece->centre_hz + mean_frequency(m, piece, i, n, share),
        /* of a random sequence of +-deviation */
        .offset_error_hz = l->deviation_hz / sqrt(symbols),
        .snr_db = 10.0 * log10(power / piece->noise - 1.0),
        .power_dbfs = 10.0 * log10(power - piece->noise),
    };

    p.stop = p.start + l->airtime_s * rate;
    p.same_as = m->last.start;
    p.same = compare_packets(m, piece, l, i, n, p.start, share);
    m->last = m->now;
    uw_links_heard(m->env.links, &p);
    uw_held_add(&m->held,
                &(struct uw_held_hit){.packet = p, .sum = power, .until = p.stop + HELD_S * rate});
}

/* The positions where the box holds most power, box by box. */
static void search_piece(struct matcher *m, const struct uw_burst *b, struct piece *piece,
                         const struct length *l) {
    size_t n = (size_t)(l->airtime_s * piece->rate_hz + 0.5);
    size_t back = look_back(piece->rate_hz);
    size_t ahead = look_ahead(m, n, piece->rate_hz);

    for (size_t i = 0; i + n < piece->n;) {
        size_t best = i;
        size_t last = i + n < piece->n - n ? i + n : piece->n - n;

        reach(m, piece, i > back ? i - back : 0, i + ahead);
        for (size_t k = i; k <= last; ++k) {
            if (energy(m, k, k + n) > energy(m, best, best + n))
                best = k;
        }
        if (best == last && last + n < piece->n && best > i) {
            i = best; /* still rising: the packet lies further on */
            continue;
        }
        if (is_packet(m, piece, best, n)) {
            if (!has_rival(m, piece, l, best, n) && is_steady(m, piece, l, best, n) &&
                is_spread(m, piece, l, best, n))
                take_packet(m, b, piece, l, best, n);
            i = best + n;
        } else {
            i = best > i ? best + n / 2 : i + n / 2;
        }
    }
}

static bool matcher_burst(void *matcher, const struct uw_burst *b) {
    struct matcher *m = matcher;
    double width = b->upper_hz - b->lower_hz;
    double duration = (double)(b->stop - b->start) / m->env.config->rate_hz;

    for (size_t i = 0; i < m->n_lengths; ++i) {
        const struct length *l = &m->lengths[i];
        struct piece piece;

        if (fabs(b->centre_hz) + 0.4 * l->bandwidth_hz > 0.5 * m->env.config->rate_hz ||
            width < 0.5 * l->bandwidth_hz || width > 1.5 * l->bandwidth_hz ||
            duration < 0.5 * l->airtime_s || m->env.config->rate_hz < l->bandwidth_hz)
            continue;
        if (cut_piece(m, b, l, &piece))
            search_piece(m, b, &piece, l);
    }
    return false;
}

static void matcher_progress(void *matcher, uint64_t sample) {
    struct matcher *m = matcher;
    struct uw_packet p;

    while (uw_held_next(&m->held, (double)sample, &p)) {
        if (!uw_links_is_harmonic(m->env.links, &p))
            (void)uw_links_packet(m->env.links, &p);
    }
}

static void matcher_flush(void *matcher) {
    matcher_progress(matcher, UINT64_MAX);
}

const struct uw_matcher_ops uw_matcher_packet = {
    .name = "packet",
    .modulation = UW_SIG_FSK,
    .new = matcher_new,
    .free = matcher_free,
    .burst = matcher_burst,
    .progress = matcher_progress,
    .flush = matcher_flush,
    .leave = matcher_flush,
    .retune = matcher_retune,
};
