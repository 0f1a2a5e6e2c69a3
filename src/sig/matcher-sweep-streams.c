/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The streams that are swept below the noise
 *
 * Channel plans of one band lie in each other's gaps. The centres of two channels are often much
 * nearer than a bandwidth; these are cut out as one, around their middle, with a filter that passes
 * both whole. A chirp of either is then one with a carrier that is off by half of what lies between
 * the centres, and aliases to a line as one in the middle does: what the chirps of a channel cost
 * is the noise that the wider filter lets in, at most 0.9 dB, and all the rest is done once.
 *
 * Carriers are rarely off by more than a few hundredths of a bandwidth, so the filter's slope
 * begins at the channel's edge: what it takes of such a chirp's end is less than what more noise
 * would cost all.
 */

#include <errno.h>
#include <math.h>
#include <string.h>

#include "links-impl.h"
#include "matcher-sweep-impl.h"
#include "uw/base/err.h"
#include "uw/dsp/channel.h"
#include "uw/dsp/fft.h"
#include "uw/dsp/front.h"
#include "uw/dsp/sweep.h"

#define FALSE_RATE_HZ 40.0 /* hits a second, stream and spreading factor in noise */
#define LONG_SHARE    0.3  /* of it for the longest symbols: to look at a hit costs as it is long */
#define SAME_HZ       20e3 /* channels of two plans that are one */
#define IN_BAND       0.35 /* of a channel's width must lie in the band beyond its centre */
#define TOGETHER      0.25 /* bandwidths between the centres of channels that are one stream */
#define BEYOND        6    /* symbols behind the longest packet: is it longer? */

/* Windows that a preamble fills whatever their alignment, per spreading factor. */
static bool runs_of(const struct uw_sweeper *m, struct uw_stream *stream,
                    struct uw_sweep_config *ret) {
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
            int symbols = (int)ceil(x->airtime_s * x->bandwidth_hz / (double)(1 << x->sf));
            if (symbols + BEYOND > stream->symbols[x->sf])
                stream->symbols[x->sf] = symbols + BEYOND;
            stream->sync_word = s->sync_word;
            any = true;
        }
    }
    return any;
}

/* The longest stretch that a suspect asks for, and what comes in until it is looked at. */
static size_t room_of(const struct uw_stream *s) {
    size_t most = 0;

    for (int sf = UW_SWEEP_SF_MIN; sf <= UW_SWEEP_SF_MAX; ++sf) {
        size_t symbols = (size_t)(s->symbols[sf] + 2 * s->preamble_max[sf] + 12);

        if (s->symbols[sf] > 0 && symbols << (sf + 1) > most)
            most = symbols << (sf + 1);
    }
    return most + s->per_frame + 4 * UW_SWEEP_BLOCK;
}

static int add_sweep(struct uw_sweeper *m, struct uw_stream *s, bool down,
                     void (*hit)(void *userdata, const struct uw_sweep_hit *hit)) {
    struct uw_sweep_config config = {
        .lines = m->lines,
        .down = down,
        .false_rate_hz = FALSE_RATE_HZ,
        .rate_share = {[8] = LONG_SHARE, [9] = LONG_SHARE},
        .bandwidth_hz = s->bandwidth_hz,
    };

    if (!runs_of(m, s, &config))
        return 0;
    return uw_sweep_new(&config, hit, s, &s->sweeps[down]);
}

/* One channel, unless there is one already, or it lies outside. */
static void add_channel(struct uw_sweeper *m, const struct uw_signature *signature,
                        double offset_hz, double bandwidth_hz) {
    double rate = m->env.config->rate_hz;

    if (fabs(offset_hz) + IN_BAND * bandwidth_hz > 0.5 * rate || m->n_streams == UW_STREAMS_MAX)
        return;
    for (size_t i = 0; i < m->n_streams; ++i) {
        if (fabs(m->streams[i].centre_hz - offset_hz) < SAME_HZ &&
            m->streams[i].bandwidth_hz == bandwidth_hz)
            return;
    }
    m->streams[m->n_streams++] = (struct uw_stream){
        .centre_hz = offset_hz,
        .bandwidth_hz = bandwidth_hz,
        .matcher = m,
        .directions = {signature->direction != UW_SIG_DOWN, signature->direction != UW_SIG_UP},
    };
}

static void add_signature(struct uw_sweeper *m, const struct uw_signature *s) {
    for (int v = 0; v < s->n_variants; ++v) {
        if (s->variants[v].modulation != UW_SIG_LORA)
            continue;
        for (int d = 0; d < s->n_domains; ++d) {
            for (int c = 0; c < s->domains[d].n_channels; ++c)
                add_channel(m, s, s->domains[d].channel_hz[c] - m->env.config->freq_hz,
                            s->variants[v].bandwidth_hz);
        }
    }
}

static bool go_together(const struct uw_stream *a, const struct uw_stream *b) {
    return a->apart_hz == 0.0 && b->apart_hz == 0.0 && a->bandwidth_hz == b->bandwidth_hz &&
           memcmp(a->directions, b->directions, sizeof(a->directions)) == 0 &&
           fabs(a->centre_hz - b->centre_hz) < TOGETHER * a->bandwidth_hz;
}

/* Makes one stream of the two channels that are nearest to each other. */
static bool join_two(struct uw_sweeper *m) {
    struct uw_stream *s = m->streams;
    size_t one = 0;
    size_t other = 0;

    for (size_t i = 0; i < m->n_streams; ++i) {
        for (size_t k = i + 1; k < m->n_streams; ++k) {
            double apart = fabs(s[k].centre_hz - s[i].centre_hz);

            if (go_together(&s[i], &s[k]) &&
                (other == 0 || apart < fabs(s[other].centre_hz - s[one].centre_hz))) {
                one = i;
                other = k;
            }
        }
    }
    if (other == 0)
        return false;
    s[one].apart_hz = s[other].centre_hz - s[one].centre_hz;
    s[other] = s[--m->n_streams];
    return true;
}

/* Returns a positive code if it does not suit the receiver's rate. */
static int make_stream(struct uw_sweeper *m, struct uw_stream *s,
                       void (*hit)(void *userdata, const struct uw_sweep_hit *hit)) {
    double middle = s->centre_hz + 0.5 * s->apart_hz;
    double slack = 0.5 * fabs(s->apart_hz);
    int r = uw_channel_new(uw_front_n_fft(m->env.front), m->env.config->rate_hz, middle,
                           s->bandwidth_hz, slack, 2.0 * s->bandwidth_hz, &s->channel);

    if (r)
        return r;
    s->cut_hz = middle + uw_channel_residual_hz(s->channel);
    s->per_frame = uw_channel_per_frame(s->channel);
    s->carrier_hz = m->env.config->freq_hz + middle;
    s->density = uw_channel_density(s->channel);
    for (int down = 0; down < 2 && r == 0; ++down) {
        if (s->directions[down])
            r = add_sweep(m, s, down == 1, hit);
    }
    return r ? r : uw_ring_init(&s->ring, room_of(s));
}

/* What streams share, as large as any of them wants it. */
static int add_scratch(struct uw_sweeper *m) {
    size_t frame = 1;
    size_t stretch = 1;

    for (size_t i = 0; i < m->n_streams; ++i) {
        frame = m->streams[i].per_frame > frame ? m->streams[i].per_frame : frame;
        stretch = m->streams[i].ring.room > stretch ? m->streams[i].ring.room : stretch;
    }
    m->frame = uw_fft_alloc(frame);
    m->stretch = uw_fft_alloc(stretch);
    return m->frame && m->stretch ? 0 : uw_err(-ENOMEM);
}

int uw_sweep_streams_new(struct uw_sweeper *m,
                         void (*hit)(void *userdata, const struct uw_sweep_hit *hit)) {
    const struct uw_sigdb *db = m->env.config->db;

    /* without a centre frequency there are no channels: such recordings are searched burst by burst
     */
    for (size_t i = 0; isfinite(m->env.config->freq_hz) && i < uw_sigdb_len(db); ++i) {
        const struct uw_signature *s = uw_sigdb_at(db, i);

        if (s->enabled && s->drone && s->matcher == UW_SIG_MATCH_LINK)
            add_signature(m, s);
    }
    while (join_two(m))
        ;
    for (size_t i = 0; i < m->n_streams;) {
        int r = make_stream(m, &m->streams[i], hit);

        if (r < 0)
            return r;
        if (r > 0)
            m->streams[i] = m->streams[--m->n_streams];
        else
            ++i;
    }
    return add_scratch(m);
}
