/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * LoRa links below the noise
 *
 * Every channel of the enabled links that lies in the receiver's band, or two that lie close
 * together (matcher-sweep-streams.c), is cut out of the shared spectra at one sample a chip and
 * swept for preambles (uw/dsp/sweep.h), cheaply and with many false hits. A hit is a suspect: once
 * it can be cut out of the history at two samples a chip, its run is added in phase, what follows a
 * preamble is looked for (uw/dsp/faint.h), and what is left is measured to its end. The tracker of
 * links knows what noise makes, and lets only those packets speak that lie on a lattice of slots.
 *
 * A hit says where its line stands: with a carrier offset of c chips a symbol began `line - c`
 * chips before the window. What follows a preamble, sync word and delimiter, tells c and the place,
 * and refuses chirps of other networks, and hits on a channel that is not the packet's own.
 *
 * Packets are held until they must have ended: what the burst finder has measured whole is left
 * to it, and of packets that overlap (two channel plans, neighbouring spreading factors) the
 * strongest counts.
 */

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "held-impl.h"
#include "links-impl.h"
#include "matcher-impl.h"
#include "matcher-sweep-impl.h"
#include "shadow-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/channel.h"
#include "uw/dsp/faint.h"
#include "uw/dsp/fft.h"
#include "uw/dsp/lines.h"
#include "uw/dsp/sweep.h"

#define RUN_PASS      19.0
#define TELLS         (-0.7) /* nats that what follows a run must tell to be looked at */
#define SURE          2.5    /* nats that a packet must tell by itself to begin a link */
#define WEAK_FALSE_HZ 1.0
#define RATE_S        4.0  /* time constant of the measured rate of packets */
#define FOLLOW_SHARE  1.8  /* `following` over the mean power of the run: 4 for a packet */
#define SHADOW        30.0 /* times stronger something else is on the air: not believed */
#define STRONG        1.5  /* over noise: the burst finder has it */
#define SHADOW_MIN    0.1  /* of the noise in the whole band: what else there must be */
#define PLACE_NATS    8.0  /* a place that is so much worse is not looked at */
#define RUNS_APART    6.0  /* symbols between the runs of one packet at most */
#define HELD_SYMBOLS  4.0  /* a run that is found so much later may be of the same packet */

static void matcher_free(void *matcher) {
    struct uw_sweeper *m = matcher;

    if (!m)
        return;
    uw_sweep_streams_deinit(m);
    uw_faint_free(m->faint);
    uw_lines_free(m->lines);
    free(m);
}

static void matcher_freep(struct uw_sweeper **m) {
    matcher_free(*m);
}

/* Rate of hits on this stream: an exponential mean, so that a busy channel's hits weigh less. */
static double follow_rate(struct uw_stream *s, int sf, bool follows, double at, double rate_hz) {
    double since = (at - s->last_hit[follows][sf]) / rate_hz;
    double *rate = &s->hit_rate[follows][sf];

    *rate = *rate * exp(-since / RATE_S) + 1.0 / RATE_S;
    s->last_hit[follows][sf] = at;
    return fmax(*rate, WEAK_FALSE_HZ);
}

static void on_hit(void *userdata, const struct uw_sweep_hit *h) {
    struct uw_stream *s = userdata;
    double symbols = (double)(1 << h->sf);
    double sign = s->down ? -1.0 : 1.0;
    /* the cut's own centre may be off by part of a bin: known, unlike the transmitter's offset */
    double mirrored = s->down ? fmod(symbols - h->line, symbols) : h->line;
    struct uw_suspect *place = &s->suspects[s->n_suspects];

    if (h->chip < 1.5 * symbols) /* its grid would begin before the stream */
        return;
    if (s->n_suspects == UW_SUSPECTS_MAX) {
        place = &s->suspects[0];
        for (size_t i = 1; i < UW_SUSPECTS_MAX; ++i) {
            if (s->suspects[i].sum < place->sum)
                place = &s->suspects[i];
        }
        if (place->is_packet || place->sum >= h->sum)
            return;
    } else {
        ++s->n_suspects;
    }
    *place = (struct uw_suspect){
        .at =
            {
                .sf = h->sf,
                .down = s->down,
                .run = h->run,
                .line = mirrored,
                .density = s->density,
                .offset_max = LINK_CRYSTALS * s->carrier_hz / s->bandwidth_hz,
                .offset_bias = sign * (s->centre_hz - s->cut_hz) / s->bandwidth_hz,
                .offset_apart = sign * s->apart_hz / s->bandwidth_hz,
                .offset_sigma = LINK_CRYSTALS_SIGMA * s->carrier_hz / s->bandwidth_hz,
                .clock_share = sign * s->bandwidth_hz / s->carrier_hz,
                .preamble_min = s->preamble_min[h->sf],
                .preamble_max = s->preamble_max[h->sf],
                .sync_word = s->sync_word,
            },
        .begin = (uint64_t)(2.0 * h->chip),
        .sum = h->sum,
    };
    place->due = place->begin + uw_faint_behind(h->sf, s->preamble_max[h->sf]);
}

/* How many there are, two a chip. */
static uint64_t n_samples(const struct uw_stream *s) {
    return s->frames * 2 * s->chips;
}

/* n samples from `from` on, of those that there are; NULL if the front end no longer has them. They
 * stay until others are asked for, of whatever stream. */
static const float complex *samples_at(const struct uw_stream *s, uint64_t from, size_t n) {
    struct uw_sweeper *m = s->matcher;
    size_t per_frame = 2 * s->chips;
    uint64_t first = from / per_frame;
    uint64_t last = (from + n - 1) / per_frame;

    if (n > s->room ||
        !uw_channel_cut(s->channel, m->env.front, s->first + first * uw_front_hop(m->env.front),
                        (size_t)(last + 1 - first), m->stretch))
        return NULL;
    return m->stretch + from % per_frame;
}

/* Signal over noise in its band from the power of a symbol's line. */
static double snr_of(const struct uw_faint_suspect *at, double power) {
    double share = fmin(power * at->density / (double)(2UL << at->sf), 0.99);

    return 2.0 / at->density * share / (1.0 - share);
}

/* The least signal over noise that is believed beside what else was on the air. */
static double snr_believed(const struct uw_sweeper *m, double start, double stop,
                           double bandwidth_hz) {
    double excess = uw_shadow_excess(&m->shadow, start, stop);

    return excess > SHADOW_MIN ? excess * m->env.config->rate_hz / bandwidth_hz / SHADOW : 0.0;
}

/* Of the runs that one packet makes, on several streams, the strongest is remembered. */
static void remember_strong(struct uw_sweeper *m, const struct uw_stream *s,
                            const struct uw_suspect *x, double start) {
    double step = m->env.config->rate_hz / (2.0 * s->bandwidth_hz);
    double symbol = (double)(2UL << x->at.sf) * step;

    for (size_t i = 0; i < UW_STRONG_MAX && i < m->n_strong; ++i) {
        struct uw_strong_run *other = &m->strong[i];

        if (fabs(start - other->start) < RUNS_APART * symbol) {
            other->snr = fmax(other->snr, x->snr);
            return;
        }
    }
    m->strong[m->n_strong++ % UW_STRONG_MAX] = (struct uw_strong_run){
        .start = start,
        .stop = start + (s->symbols[x->at.sf] - HELD_SYMBOLS) * symbol,
        .snr = x->snr,
    };
}

/* Whether a strong run's packet was on the air most of the time of one that is so much weaker.
 * The shadow takes for noise what is nearly always there, and so does the burst finder. */
static bool is_outshone(const struct uw_sweeper *m, double start, double stop, double snr) {
    size_t n = m->n_strong < UW_STRONG_MAX ? m->n_strong : UW_STRONG_MAX;

    for (size_t i = 0; i < n; ++i) {
        const struct uw_strong_run *x = &m->strong[i];
        double both = fmin(x->stop, stop) - fmax(x->start, start);

        if (both > 0.5 * (stop - start) && x->snr > SHADOW * snr)
            return true;
    }
    return false;
}

/* First look: is it a preamble, and not beside something strong? */
static bool look(struct uw_sweeper *m, const struct uw_stream *s, struct uw_suspect *x) {
    double step = m->env.config->rate_hz / (2.0 * s->bandwidth_hz);
    double start = s->begin + (double)x->begin * step;
    size_t n = (size_t)x->at.run << (x->at.sf + 1);
    double stop = start + (double)n * step;
    double least = snr_believed(m, start, stop, s->bandwidth_hz);
    const float complex *samples;

    /* what need not be looked at at all is most of it on a busy band */
    if (least > STRONG || uw_links_covers(m->env.links, start, stop, s->cut_hz))
        return false;
    samples = samples_at(s, x->begin, n);
    if (!samples)
        return false;
    x->at.at = 0;
    x->run = uw_faint_run(m->faint, samples, &x->at);
    x->snr = snr_of(&x->at, x->run / x->at.run);
    if (x->snr >= STRONG)
        remember_strong(m, s, x, start);
    return x->run >= RUN_PASS && x->snr >= least;
}

/* Running sums, so that a length is one look. */
static void take_extent(struct uw_extent *x, const struct uw_faint_packet *fp) {
    x->n_preamble = fp->n_preamble;
    for (int i = 0; i < fp->n_preamble; ++i)
        x->preamble[i + 1] = x->preamble[i] + fp->preamble[i];
    x->n_data = fp->n_data;
    for (int i = 0; i < fp->n_data; ++i)
        x->data[i + 1] = x->data[i] + fp->data[i];
}

/* The place as the tracker wants it: at most UW_FAINT_PLACES, the likeliest first. */
static void take_place(const struct uw_stream *s, const struct uw_suspect *x,
                       const struct uw_faint_packet *fp, double sync, struct uw_packet *p) {
    double step = s->matcher->env.config->rate_hz / (2.0 * s->bandwidth_hz); /* input samples */
    double start = sync - s->preamble_min[x->at.sf] * fp->symbol;
    double offset = (x->at.down ? -1.0 : 1.0) * fp->offset;
    struct uw_place place = {
        .start = s->begin + start * step,
        .offset_hz = s->cut_hz + offset * s->bandwidth_hz,
        .nats = fp->told + fp->known + fp->sum,
    };
    int at = p->n_places++;

    take_extent(&place.extent, fp);
    for (; at > 0 && place.nats > p->places[at - 1].nats; --at)
        p->places[at] = p->places[at - 1];
    p->places[at] = place;
}

/* Where is what follows a preamble? Most of what looked like one has none, and needs no more of the
 * samples. Returns how many there were to choose from; 0: there is none. */
static int find_sync(struct uw_sweeper *m, const struct uw_stream *s, struct uw_suspect *x,
                     struct uw_faint_packet places[UW_FAINT_PLACES]) {
    int sf = x->at.sf;
    size_t before = uw_faint_before(sf);
    size_t n = before + uw_faint_behind(sf, s->preamble_max[sf]);
    const float complex *samples = samples_at(s, x->begin - before, n);
    int n_places;
    bool any = false;

    if (!samples)
        return 0;
    x->at.at = before;
    n_places = uw_faint_follow(m->faint, samples, &x->at, places);
    for (int i = 0; i < UW_FAINT_PLACES; ++i) {
        struct uw_faint_packet *fp = &places[i];

        /* half a symbol away, where the carrier would be a half bandwidth off, a strong packet
         * passes with a quarter of its energy: what follows must be as strong as the preamble was
         */
        if (fp->sum < places[0].sum - PLACE_NATS ||
            fp->following < FOLLOW_SHARE * x->run / x->at.run)
            fp->sum = 0.0;
        any |= fp->sum > 0.0;
    }
    return any ? n_places : 0;
}

/* Second look, when its longest form has ended: where does it go on, and how long is it? Fills in
 * the places and what goes with the likeliest. Returns nats that it is a packet, but for the run's.
 */
static double find_places(struct uw_sweeper *m, const struct uw_stream *s, struct uw_suspect *x,
                          struct uw_packet *p) {
    struct uw_faint_packet places[UW_FAINT_PLACES];
    int sf = x->at.sf;
    int n = find_sync(m, s, x, places);
    uint64_t from = x->begin - uw_faint_before(sf); /* what its places count from */
    /* a preamble may have begun long before the run */
    uint64_t longest = (uint64_t)(s->preamble_max[sf] + 2) << (sf + 1);
    uint64_t begin = from > longest ? from - longest : 0;
    size_t len = (size_t)(n_samples(s) - begin);
    const float complex *samples = n > 0 ? samples_at(s, begin, len) : NULL;
    double best = -INFINITY;
    double nats = -INFINITY;

    for (int i = 0; samples && i < UW_FAINT_PLACES; ++i) {
        struct uw_faint_packet *fp = &places[i];
        double sync = fp->sync + (double)from;

        if (fp->sum <= 0.0)
            continue;
        fp->sync = sync - (double)begin;
        uw_faint_extent(m->faint, samples, len, &x->at, fp);
        take_place(s, x, fp, sync, p);
        if (p->places[0].nats > best) {
            best = p->places[0].nats;
            nats = fp->told - log(n * uw_gamma_tail(4, fp->sum));
            p->snr_db = 10.0 * log10(snr_of(&x->at, fp->line_snr));
            x->following = fp->following;
        }
    }
    return nats;
}

static void speak(struct uw_sweeper *m, struct uw_stream *s, struct uw_suspect *x) {
    double rate = m->env.config->rate_hz;
    int sf = x->at.sf;
    double symbol_s = (double)(1 << sf) / s->bandwidth_hz;
    struct uw_held_hit hit = {
        .packet =
            {
                .modulation = UW_SIG_LORA,
                .same = -1,
                .sf = sf,
                .down = x->at.down,
                .sync = -1,
                .bandwidth_hz = s->bandwidth_hz,
                .start_error_s = 0.5 / s->bandwidth_hz,
                .stop_error_s = 1.0,
                .offset_error_hz = 0.3 / symbol_s,
                .power_dbfs = NAN,
                .weak = x->snr < STRONG,
            },
    };
    double step = rate / (2.0 * s->bandwidth_hz); /* input samples */
    double begin = s->begin + (double)x->begin * step;
    double end = begin + x->at.run * symbol_s * rate;
    /* what is sure to be there of a packet */
    double sure = (s->preamble_min[sf] + 5) * symbol_s * rate;
    double nats = -INFINITY;

    /* Splatter makes many runs, and to follow one is costly. What begins behind the sure part takes
     * nothing away. */
    if (!uw_links_covers(m->env.links, begin, end, s->cut_hz) &&
        !is_outshone(m, begin, begin + sure, x->snr))
        nats = find_places(m, s, x, &hit.packet);
    if (nats < TELLS)
        return;
    hit.packet.start = hit.packet.places[0].start;
    hit.packet.stop = hit.packet.start + sure;
    hit.packet.offset_hz = hit.packet.places[0].offset_hz;
    if (!hit.packet.weak) /* its symbols are not measured beyond a level */
        hit.packet.snr_db = 10.0 * log10(x->snr);
    hit.packet.follows = nats < SURE;
    hit.packet.false_rate_hz = follow_rate(s, sf, hit.packet.follows, hit.packet.start, rate);
    hit.sum = x->run + x->following;
    /* what else there is of the packet has been looked at by then */
    hit.until = s->begin + ((double)x->due + HELD_SYMBOLS * 2.0 * (double)(1 << sf)) * step;
    uw_held_add(&m->held, &hit);
}

static void look_at_suspects(struct uw_sweeper *m, struct uw_stream *s) {
    for (size_t i = 0; i < s->n_suspects;) {
        struct uw_suspect *x = &s->suspects[i];

        if (x->due > n_samples(s)) {
            ++i;
        } else if (!x->is_packet && look(m, s, x)) {
            x->is_packet = true;
            x->due = x->begin + ((uint64_t)s->symbols[x->at.sf] << (x->at.sf + 1));
        } else {
            if (x->is_packet)
                speak(m, s, x);
            *x = s->suspects[--s->n_suspects];
        }
    }
}

static int matcher_new(const struct uw_matcher_env *env, void **ret_matcher) {
    UW_CLEANUP(matcher_freep) struct uw_sweeper *m = calloc(1, sizeof(*m));
    int r;

    if (!m)
        return uw_err(-ENOMEM);
    m->env = *env;
    m->hit = on_hit;
    r = uw_lines_new(&m->lines);
    if (r == 0)
        r = uw_faint_new(m->lines, &m->faint);
    if (r < 0)
        return r;
    r = uw_sweep_streams_visit(m);
    if (r < 0)
        return r;
    *ret_matcher = m;
    m = NULL;
    return 0;
}

static void begin_stream(struct uw_sweeper *m, struct uw_stream *s, uint64_t sample) {
    s->first = sample;
    s->begin = (double)(sample + uw_front_n_fft(m->env.front) / 8);
    s->frames = 0;
    s->n_chips = 0;
    s->n_suspects = 0;
    for (int d = 0; d < 2; ++d) {
        if (s->sweeps[d])
            uw_sweep_reset(s->sweeps[d]);
    }
}

static void sweep_block(struct uw_stream *s) {
    for (int d = 0; d < 2; ++d) {
        s->down = d == 1;
        if (s->sweeps[d])
            uw_sweep_block(s->sweeps[d], s->re, s->im);
    }
    s->n_chips -= UW_SWEEP_BLOCK;
    memmove(s->re, s->re + UW_SWEEP_BLOCK, s->n_chips * sizeof(*s->re));
    memmove(s->im, s->im + UW_SWEEP_BLOCK, s->n_chips * sizeof(*s->im));
    look_at_suspects(s->matcher, s);
}

static void matcher_frame(void *matcher, const float complex *spectrum, uint64_t sample,
                          bool begins) {
    struct uw_sweeper *m = matcher;

    uw_shadow_frame(&m->shadow, spectrum, uw_front_n_fft(m->env.front), sample, begins);
    for (size_t i = 0; i < m->set->n; ++i) {
        struct uw_stream *s = &m->set->streams[i];

        if (begins)
            begin_stream(m, s, sample);
        uw_channel_run(s->channel, spectrum, s->frames++, s->re + s->n_chips, s->im + s->n_chips);
        s->n_chips += s->chips;
        while (s->n_chips >= UW_SWEEP_BLOCK)
            sweep_block(s);
    }
}

/* Gives the tracker what has been held long enough. */
static void matcher_progress(void *matcher, uint64_t sample) {
    struct uw_sweeper *m = matcher;
    struct uw_packet p;

    while (uw_held_next(&m->held, (double)sample, &p)) {
        if (uw_links_covers(m->env.links, p.start, p.stop, p.offset_hz) ||
            is_outshone(m, p.start, p.stop, pow(10.0, p.snr_db / 10.0)))
            continue;
        if (p.weak)
            (void)uw_links_packet(m->env.links, &p);
        else
            uw_links_heard(m->env.links, &p);
    }
}

static void matcher_flush(void *matcher) {
    matcher_progress(matcher, UINT64_MAX);
}

/* Without the memory nothing below the noise is heard here; at other centres it still is. */
static void matcher_retune(void *matcher, double shift_hz) {
    (void)shift_hz; /* nothing is held: matcher_flush() has been there */
    (void)uw_sweep_streams_visit(matcher);
}

const struct uw_matcher_ops uw_matcher_sweep = {
    .name = "sweep",
    .modulation = UW_SIG_LORA,
    .optional = true,
    .new = matcher_new,
    .free = matcher_free,
    .frame = matcher_frame,
    .progress = matcher_progress,
    .flush = matcher_flush,
    .leave = matcher_flush,
    .retune = matcher_retune,
};
