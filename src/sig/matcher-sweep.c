/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * LoRa links below the noise
 *
 * Every channel of the enabled links that lies in the receiver's band is cut out of the shared
 * spectra at two samples a chip and swept for preambles (uw/dsp/sweep.h) at a rate of false hits
 * that the tracker of links can bear: it knows what noise makes, and lets only those hits speak
 * that lie on a lattice of slots.
 *
 * A hit says where its line stands: with a carrier offset of c chips a symbol began `line - c`
 * chips before the window. What follows a preamble, sync word and delimiter, tells c and the place
 * (uw_lora_verify()), and refuses most of what noise makes, chirps of other networks, and hits on a
 * channel that is not the packet's own.
 *
 * Hits are held until a packet could have ended: what the burst finder has measured whole is left
 * to it, and of hits that overlap (two channel plans, neighbouring spreading factors) the strongest
 * counts.
 */

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "chips-impl.h"
#include "links-impl.h"
#include "matcher-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/channel.h"
#include "uw/dsp/fft.h"
#include "uw/dsp/lora.h"
#include "uw/dsp/sweep.h"

#define CHANNELS_MAX  192
#define HITS_MAX      128
#define FALSE_RATE_HZ 16.0 /* hits a second, channel and spreading factor in noise */
#define SLACK_SHARE                                                                                \
    0.06                   /* carrier offset that passes the channel's filter whole, in bandwidths \
                            */
#define SAME_HZ       20e3 /* channels of two plans that are one */
#define IN_BAND       0.35 /* half widths of a channel that must lie in the band: 0.5 is all of it */
#define VERIFIED      28.0 /* of uw_lora_verify(): one in ten of what noise makes passes */
#define WEAK_FALSE_HZ (0.1 * 2.0 * FALSE_RATE_HZ)
#define RATE_S        4.0 /* time constant of the measured rate of hits */

struct stream {
    double centre_hz, bandwidth_hz; /* centre: offset from the receiver's */
    struct uw_channel *channel;
    struct uw_sweep *sweeps[2]; /* up, down; or NULL */
    float complex *block;
    size_t n_block, per_frame;
    double begin;    /* input sample of the stream's sample 0 */
    uint64_t frames; /* since then */
    struct matcher *matcher;
    bool down;                            /* of the sweep that runs */
    double hit_rate[UW_SWEEP_SF_MAX + 1]; /* measured, per second */
    double last_hit[UW_SWEEP_SF_MAX + 1]; /* input sample */
    int preamble_min[UW_SWEEP_SF_MAX + 1], preamble_max[UW_SWEEP_SF_MAX + 1];
    int sync_word;
};

struct hit {
    struct uw_packet packet;
    double sum;   /* in standard deviations above noise: comparable between spreading factors */
    double until; /* input sample: held that long */
};

struct matcher {
    struct uw_matcher_env env;
    struct uw_lora *lora;
    struct uw_chips chips;
    size_t n_streams;
    struct stream streams[CHANNELS_MAX];
    size_t n_hits;
    struct hit hits[HITS_MAX];
};

static void matcher_free(void *matcher) {
    struct matcher *m = matcher;

    if (!m)
        return;
    for (size_t i = 0; i < m->n_streams; ++i) {
        uw_channel_free(m->streams[i].channel);
        uw_sweep_free(m->streams[i].sweeps[0]);
        uw_sweep_free(m->streams[i].sweeps[1]);
        uw_fft_dealloc(m->streams[i].block);
    }
    uw_lora_free(m->lora);
    uw_chips_deinit(&m->chips);
    free(m);
}

static void matcher_freep(struct matcher **m) {
    matcher_free(*m);
}

static void hold(struct matcher *m, const struct hit *hit) {
    struct hit *weakest = &m->hits[0];

    if (m->n_hits < HITS_MAX) {
        m->hits[m->n_hits++] = *hit;
        return;
    }
    for (size_t i = 1; i < m->n_hits; ++i) {
        if (m->hits[i].sum < weakest->sum)
            weakest = &m->hits[i];
    }
    if (hit->sum > weakest->sum)
        *weakest = *hit;
}

/* Rate of hits on this stream: an exponential mean, so that a busy channel's hits weigh less. */
static double follow_rate(struct stream *s, int sf, double at, double rate_hz) {
    double since = (at - s->last_hit[sf]) / rate_hz;

    s->hit_rate[sf] = s->hit_rate[sf] * exp(-since / RATE_S) + 1.0 / RATE_S;
    s->last_hit[sf] = at;
    return fmax(s->hit_rate[sf], WEAK_FALSE_HZ);
}

/* Measures what follows the preamble. Returns false if it is not what follows one. */
static bool verify(struct matcher *m, const struct stream *s, const struct uw_sweep_hit *h,
                   double begin, double *ret_start, double *ret_offset_hz) {
    double rate = m->env.config->rate_hz;
    double symbol = (double)(1 << h->sf) / s->bandwidth_hz * rate; /* input samples */
    double margin = (double)uw_front_n_fft(m->env.front) + 2.0 * symbol;
    double from = fmax(begin - margin, 0.0);
    double to = begin + (s->preamble_max[h->sf] + 6.0) * symbol + margin;
    double sync, offset, score;
    struct uw_chips_piece cut = uw_chips_cut(&m->chips, m->env.front, rate, (uint64_t)from,
                                             (uint64_t)to, s->centre_hz, s->bandwidth_hz);

    score = uw_lora_verify(m->lora, h->sf, s->down ? m->chips.mirrored : m->chips.samples, cut.n,
                           (begin - cut.first) / cut.step, h->run - 1, s->preamble_max[h->sf] + 1,
                           s->sync_word, &sync, &offset);
    /* half a symbol away, where the carrier would be a half bandwidth off, a strong packet passes
     * with a quarter of its energy: what follows must be as strong as the preamble was */
    if (score < VERIFIED || score < 4.0 * h->sum / h->run)
        return false;
    *ret_start = cut.first + sync * cut.step - s->preamble_min[h->sf] * symbol;
    *ret_offset_hz = (s->down ? -offset : offset) * s->bandwidth_hz;
    return true;
}

static void on_hit(void *userdata, const struct uw_sweep_hit *h) {
    struct stream *s = userdata;
    struct matcher *m = s->matcher;
    double rate = m->env.config->rate_hz;
    double chip = rate / s->bandwidth_hz; /* input samples */
    double symbols = (double)(1 << h->sf);
    double residual = uw_channel_residual_hz(s->channel) * (s->down ? -1.0 : 1.0);
    /* the cut's own centre may be off by part of a bin: known, unlike the transmitter's offset */
    double mirrored = s->down ? fmod(symbols - h->line, symbols) : h->line;
    double line = mirrored + residual * symbols / s->bandwidth_hz;
    double signal = fmax(h->sum / h->run - 1.0, 0.1) / symbols;
    struct hit hit = {.sum = (h->sum - h->run) / sqrt(h->run)};
    double start, offset_hz;

    if (!verify(m, s, h, s->begin + (h->chip - line) * chip, &start, &offset_hz))
        return;
    hit.packet = (struct uw_packet){
        .modulation = UW_SIG_LORA,
        .same = -1,
        .sf = h->sf,
        .down = s->down,
        .sync = -1,
        .bandwidth_hz = s->bandwidth_hz,
        .start = start,
        .stop = start + (h->run + 5) * symbols * chip,
        .start_error_s = 0.5 / s->bandwidth_hz,
        .stop_error_s = 1.0,
        .offset_hz = s->centre_hz + offset_hz,
        .offset_error_hz = 0.4 * s->bandwidth_hz / symbols,
        .snr_db = 10.0 * log10(signal / (1.0 - fmin(signal, 0.9))),
        .power_dbfs = NAN,
        .weak = true,
        .symbol_s = symbols / s->bandwidth_hz,
    };
    hit.packet.false_rate_hz = follow_rate(s, h->sf, start, rate);
    /* the longest packet that begins so: preamble and about 45 symbols */
    hit.until = start + 58.0 * symbols * chip + 2e-3 * rate;
    hold(m, &hit);
}

/* Windows that a preamble fills whatever their alignment, per spreading factor. */
static bool runs_of(const struct matcher *m, struct stream *stream, struct uw_sweep_config *ret) {
    const struct uw_sigdb *db = m->env.config->db;
    bool any = false;

    for (size_t i = 0; i < uw_sigdb_len(db); ++i) {
        const struct uw_signature *s = uw_sigdb_at(db, i);

        for (int v = 0; v < s->n_variants; ++v) {
            const struct uw_sig_variant *x = &s->variants[v];

            if (!s->enabled || !s->drone || s->matcher != UW_SIG_MATCH_LINK ||
                !uw_link_in_band(s, m->env.config) || x->modulation != UW_SIG_LORA ||
                fabs(x->bandwidth_hz - stream->bandwidth_hz) > 1.0 || x->sf > UW_SWEEP_SF_MAX ||
                x->preamble < 4 || s->sync_word < 0)
                continue;
            if (ret->run[x->sf] == 0 || x->preamble - 1 < ret->run[x->sf])
                ret->run[x->sf] = x->preamble - 1;
            if (x->preamble > stream->preamble_max[x->sf])
                stream->preamble_max[x->sf] = x->preamble;
            stream->preamble_min[x->sf] = ret->run[x->sf] + 1;
            stream->sync_word = s->sync_word;
            any = true;
        }
    }
    return any;
}

static int add_sweep(struct matcher *m, struct stream *s, bool down) {
    struct uw_sweep_config config = {
        .down = down,
        .false_rate_hz = FALSE_RATE_HZ,
        .bandwidth_hz = s->bandwidth_hz,
    };

    if (!runs_of(m, s, &config))
        return 0;
    return uw_sweep_new(&config, on_hit, s, &s->sweeps[down]);
}

/* One channel, unless there is one already, or it lies outside, or does not suit the receiver's
 * rate. */
static int add_stream(struct matcher *m, const struct uw_signature *signature, double offset_hz,
                      double bandwidth_hz) {
    double rate = m->env.config->rate_hz;
    struct stream *s = &m->streams[m->n_streams];
    int r;

    if (fabs(offset_hz) + IN_BAND * bandwidth_hz > 0.5 * rate || m->n_streams == CHANNELS_MAX)
        return 0;
    for (size_t i = 0; i < m->n_streams; ++i) {
        if (fabs(m->streams[i].centre_hz - offset_hz) < SAME_HZ &&
            m->streams[i].bandwidth_hz == bandwidth_hz)
            return 0;
    }
    *s = (struct stream){.centre_hz = offset_hz, .bandwidth_hz = bandwidth_hz, .matcher = m};
    r = uw_channel_new(uw_front_n_fft(m->env.front), rate, offset_hz, bandwidth_hz,
                       SLACK_SHARE * bandwidth_hz, 2.0 * bandwidth_hz, &s->channel);
    if (r)
        return r < 0 ? r : 0;
    ++m->n_streams;
    s->per_frame = uw_channel_per_frame(s->channel);
    s->block = uw_fft_alloc(2 * UW_SWEEP_BLOCK + s->per_frame);
    if (!s->block)
        return uw_err(-ENOMEM);
    if (signature->direction != UW_SIG_DOWN)
        r = add_sweep(m, s, false);
    if (r == 0 && signature->direction != UW_SIG_UP)
        r = add_sweep(m, s, true);
    return r;
}

static int add_signature(struct matcher *m, const struct uw_signature *s) {
    for (int v = 0; v < s->n_variants; ++v) {
        if (s->variants[v].modulation != UW_SIG_LORA)
            continue;
        for (int d = 0; d < s->n_domains; ++d) {
            for (int c = 0; c < s->domains[d].n_channels; ++c) {
                int r = add_stream(m, s, s->domains[d].channel_hz[c] - m->env.config->freq_hz,
                                   s->variants[v].bandwidth_hz);

                if (r < 0)
                    return r;
            }
        }
    }
    return 0;
}

static int matcher_new(const struct uw_matcher_env *env, void **ret_matcher) {
    UW_CLEANUP(matcher_freep) struct matcher *m = calloc(1, sizeof(*m));

    double longest = 30.0 * (double)(1 << UW_SWEEP_SF_MAX); /* chips: preamble and what follows */
    int r;

    if (!m)
        return uw_err(-ENOMEM);
    m->env = *env;
    r = uw_lora_new(&m->lora);
    if (r == 0)
        r = uw_chips_init(&m->chips, longest, uw_front_n_fft(env->front));
    if (r < 0)
        return r;
    /* without a centre frequency there are no channels: such recordings are searched burst by burst
     */
    for (size_t i = 0; isfinite(env->config->freq_hz) && i < uw_sigdb_len(env->config->db); ++i) {
        const struct uw_signature *s = uw_sigdb_at(env->config->db, i);

        if (s->enabled && s->drone && s->matcher == UW_SIG_MATCH_LINK)
            r = add_signature(m, s);
        if (r < 0)
            return r;
    }
    *ret_matcher = m;
    m = NULL;
    return 0;
}

static void begin_stream(struct matcher *m, struct stream *s, uint64_t sample) {
    s->begin = (double)(sample + uw_front_n_fft(m->env.front) / 8);
    s->frames = 0;
    s->n_block = 0;
    for (int d = 0; d < 2; ++d) {
        if (s->sweeps[d])
            uw_sweep_reset(s->sweeps[d]);
    }
}

static void run_blocks(struct stream *s) {
    while (s->n_block >= 2 * UW_SWEEP_BLOCK) {
        for (int d = 0; d < 2; ++d) {
            s->down = d == 1;
            if (s->sweeps[d])
                uw_sweep_block(s->sweeps[d], s->block);
        }
        s->n_block -= 2 * UW_SWEEP_BLOCK;
        memmove(s->block, s->block + 2 * UW_SWEEP_BLOCK, s->n_block * sizeof(*s->block));
    }
}

static void matcher_frame(void *matcher, const float complex *spectrum, uint64_t sample,
                          bool begins) {
    struct matcher *m = matcher;

    for (size_t i = 0; i < m->n_streams; ++i) {
        struct stream *s = &m->streams[i];

        if (begins)
            begin_stream(m, s, sample);
        uw_channel_run(s->channel, spectrum, s->frames++, s->block + s->n_block);
        s->n_block += s->per_frame;
        run_blocks(s);
    }
}

/* Whether two hits can be of one packet: same time within a run, overlapping bands. */
static bool same_packet(const struct uw_packet *a, const struct uw_packet *b) {
    return a->start < b->stop && b->start < a->stop &&
           fabs(a->offset_hz - b->offset_hz) < a->bandwidth_hz;
}

static bool is_strongest(const struct matcher *m, const struct hit *hit) {
    for (size_t i = 0; i < m->n_hits; ++i) {
        const struct hit *other = &m->hits[i];

        if (other != hit && other->sum > hit->sum && same_packet(&other->packet, &hit->packet))
            return false;
    }
    return true;
}

/* What is weaker than a hit that speaks goes with it, or it would be the strongest next. */
static void drop_same(struct matcher *m, const struct hit *hit) {
    for (size_t i = 0; i < m->n_hits;) {
        if (same_packet(&m->hits[i].packet, &hit->packet))
            m->hits[i] = m->hits[--m->n_hits];
        else
            ++i;
    }
}

/* Gives the tracker what has been held long enough, in the order of time. */
static void matcher_progress(void *matcher, uint64_t sample) {
    struct matcher *m = matcher;

    for (;;) {
        size_t next = m->n_hits;

        for (size_t i = 0; i < m->n_hits; ++i) {
            if (m->hits[i].until < (double)sample &&
                (next == m->n_hits || m->hits[i].packet.start < m->hits[next].packet.start))
                next = i;
        }
        if (next == m->n_hits)
            return;
        struct hit hit = m->hits[next];
        const struct uw_packet *p = &hit.packet;

        m->hits[next] = m->hits[--m->n_hits];
        if (!is_strongest(m, &hit))
            continue;
        drop_same(m, &hit);
        if (!uw_links_covers(m->env.links, p->start, p->stop, p->offset_hz))
            (void)uw_links_packet(m->env.links, p);
    }
}

static void matcher_flush(void *matcher) {
    matcher_progress(matcher, UINT64_MAX);
}

const struct uw_matcher_ops uw_matcher_sweep = {
    .name = "sweep",
    .modulation = UW_SIG_LORA,
    .optional = true,
    .first_centre_only = true, /* its channels are cut at fixed offsets */
    .new = matcher_new,
    .free = matcher_free,
    .frame = matcher_frame,
    .progress = matcher_progress,
    .flush = matcher_flush,
};
