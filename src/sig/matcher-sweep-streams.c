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
#include <stdlib.h>
#include <string.h>

#include "links-impl.h"
#include "matcher-sweep-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/channel.h"
#include "uw/dsp/fft.h"
#include "uw/dsp/front.h"
#include "uw/dsp/sweep.h"

#define FALSE_RATE_HZ  10.0 /* hits a second, stream and spreading factor in noise */
#define LONG_SHARE     0.3 /* of it for the longest symbols: to look at a hit costs as it is long */
#define SAME_HZ        20e3 /* channels of two plans that are one */
#define SAME_CENTRE_HZ 1e3  /* synthesizers have steps */
#define IN_BAND        0.45 /* of a channel's width must lie in the band beyond its centre */
#define TOGETHER       0.25 /* bandwidths between the centres of channels that are one stream */
#define BEYOND         6    /* symbols behind the longest packet: is it longer? */
#define FRAMES_S       1e-3 /* of the front end, a few of which are under way */
#define HISTORY_MAX_S  0.45 /* ... keeps half a second where it has the room */

/* What is to be one stream. */
struct cut {
    double centre_hz, bandwidth_hz;
    double apart_hz; /* a second channel's centre less this; 0: there is none */
    bool directions[2];
};

struct cuts {
    size_t n;
    struct cut list[UW_STREAMS_MAX];
};

static bool is_swept(const struct uw_signature *s, const struct uw_sig_variant *x) {
    return s->enabled && s->drone && s->matcher == UW_SIG_MATCH_LINK &&
           x->modulation == UW_SIG_LORA && x->sf <= UW_SWEEP_SF_MAX && x->preamble >= 4 &&
           s->sync_word >= 0;
}

/* Of a packet of this form, from its begin. */
static int symbols_of(const struct uw_sig_variant *x) {
    return (int)ceil(x->airtime_s * x->bandwidth_hz / (double)(1 << x->sf)) + BEYOND;
}

/* What a suspect asks for around its preamble and the symbols behind, and what comes in until it is
 * looked at; two samples a chip. */
static size_t stretch_of(int sf, int symbols, int preamble_max) {
    return ((size_t)(symbols + 2 * preamble_max + 12) << (sf + 1)) + 4 * UW_SWEEP_BLOCK;
}

static double history_of(const struct uw_sig_variant *x) {
    return (double)stretch_of(x->sf, symbols_of(x), x->preamble) / (2.0 * x->bandwidth_hz) +
           FRAMES_S;
}

double uw_sweep_history_s(const struct uw_sigdb *db) {
    double most = 0.0;

    for (size_t i = 0; i < uw_sigdb_len(db); ++i) {
        const struct uw_signature *s = uw_sigdb_at(db, i);

        for (int v = 0; v < s->n_variants; ++v) {
            if (is_swept(s, &s->variants[v]))
                most = fmax(most, history_of(&s->variants[v]));
        }
    }
    return fmin(most, HISTORY_MAX_S);
}

/* Windows that a preamble fills whatever their alignment, per spreading factor. */
static bool runs_of(const struct uw_sweeper *m, struct uw_stream *stream,
                    struct uw_sweep_config *ret) {
    const struct uw_sigdb *db = m->env.config->db;
    bool any = false;

    for (size_t i = 0; i < uw_sigdb_len(db); ++i) {
        const struct uw_signature *s = uw_sigdb_at(db, i);

        for (int v = 0; v < s->n_variants; ++v) {
            const struct uw_sig_variant *x = &s->variants[v];

            /* of a packet longer than the history nothing could be looked at */
            if (!is_swept(s, x) || !uw_link_in_band(s, m->env.config) ||
                fabs(x->bandwidth_hz - stream->bandwidth_hz) > 1.0 ||
                history_of(x) > uw_front_history_s(m->env.front))
                continue;
            if (ret->run[x->sf] == 0 || x->preamble - 1 < ret->run[x->sf])
                ret->run[x->sf] = x->preamble - 1;
            if (x->preamble > stream->preamble_max[x->sf])
                stream->preamble_max[x->sf] = x->preamble;
            stream->preamble_min[x->sf] = ret->run[x->sf] + 1;
            if (symbols_of(x) > stream->symbols[x->sf])
                stream->symbols[x->sf] = symbols_of(x);
            stream->sync_word = s->sync_word;
            any = true;
        }
    }
    return any;
}

static size_t room_of(const struct uw_stream *s) {
    size_t most = 0;

    for (int sf = UW_SWEEP_SF_MIN; sf <= UW_SWEEP_SF_MAX; ++sf) {
        size_t n = stretch_of(sf, s->symbols[sf], s->preamble_max[sf]);

        if (s->symbols[sf] > 0 && n > most)
            most = n;
    }
    return most + 2 * s->chips;
}

static int add_sweep(struct uw_sweeper *m, struct uw_stream *s, bool down) {
    struct uw_sweep_config config = {
        .lines = m->lines,
        .down = down,
        .false_rate_hz = FALSE_RATE_HZ,
        .rate_share = {[8] = LONG_SHARE, [9] = LONG_SHARE},
        .bandwidth_hz = s->bandwidth_hz,
    };

    if (!runs_of(m, s, &config))
        return 0;
    return uw_sweep_new(&config, m->hit, s, &s->sweeps[down]);
}

/* One channel, unless there is one already, or it lies outside. */
static void add_channel(const struct uw_signature *signature, double offset_hz, double rate_hz,
                        double bandwidth_hz, struct cuts *cuts) {
    if (fabs(offset_hz) + IN_BAND * bandwidth_hz > 0.5 * rate_hz || cuts->n == UW_STREAMS_MAX)
        return;
    for (size_t i = 0; i < cuts->n; ++i) {
        if (fabs(cuts->list[i].centre_hz - offset_hz) < SAME_HZ &&
            cuts->list[i].bandwidth_hz == bandwidth_hz)
            return;
    }
    cuts->list[cuts->n++] = (struct cut){
        .centre_hz = offset_hz,
        .bandwidth_hz = bandwidth_hz,
        .directions = {signature->direction != UW_SIG_DOWN, signature->direction != UW_SIG_UP},
    };
}

static void add_signature(const struct uw_detector_config *config, const struct uw_signature *s,
                          struct cuts *cuts) {
    for (int v = 0; v < s->n_variants; ++v) {
        if (!is_swept(s, &s->variants[v]))
            continue;
        for (int d = 0; d < s->n_domains; ++d) {
            for (int c = 0; c < s->domains[d].n_channels; ++c)
                add_channel(s, s->domains[d].channel_hz[c] - config->freq_hz, config->rate_hz,
                            s->variants[v].bandwidth_hz, cuts);
        }
    }
}

static bool go_together(const struct cut *a, const struct cut *b) {
    return a->apart_hz == 0.0 && b->apart_hz == 0.0 && a->bandwidth_hz == b->bandwidth_hz &&
           memcmp(a->directions, b->directions, sizeof(a->directions)) == 0 &&
           fabs(a->centre_hz - b->centre_hz) < TOGETHER * a->bandwidth_hz;
}

/* Makes one stream of the two channels that are nearest to each other. */
static bool join_two(struct cuts *cuts) {
    struct cut *c = cuts->list;
    size_t one = 0;
    size_t other = 0;

    for (size_t i = 0; i < cuts->n; ++i) {
        for (size_t k = i + 1; k < cuts->n; ++k) {
            double apart = fabs(c[k].centre_hz - c[i].centre_hz);

            if (go_together(&c[i], &c[k]) &&
                (other == 0 || apart < fabs(c[other].centre_hz - c[one].centre_hz))) {
                one = i;
                other = k;
            }
        }
    }
    if (other == 0)
        return false;
    c[one].apart_hz = c[other].centre_hz - c[one].centre_hz;
    c[other] = c[--cuts->n];
    return true;
}

static void choose_cuts(const struct uw_detector_config *config, struct cuts *ret) {
    ret->n = 0;
    /* without a centre frequency there are no channels: such recordings are searched burst by burst
     */
    for (size_t i = 0; isfinite(config->freq_hz) && i < uw_sigdb_len(config->db); ++i) {
        add_signature(config, uw_sigdb_at(config->db, i), ret);
    }
    while (join_two(ret))
        ;
}

static bool can_be_cut(double rate_hz, double bandwidth_hz) {
    return 2.0 * bandwidth_hz <= rate_hz &&
           uw_channel_suits(uw_front_frame_size(rate_hz), rate_hz, bandwidth_hz);
}

bool uw_sweep_is_possible(const struct uw_detector_config *config) {
    struct cuts cuts;

    if (!isfinite(config->freq_hz))
        return uw_sweep_history_s(config->db) == 0.0; /* nothing asks for any */
    choose_cuts(config, &cuts);
    for (size_t i = 0; i < cuts.n; ++i) {
        if (can_be_cut(config->rate_hz, cuts.list[i].bandwidth_hz))
            return true;
    }
    return cuts.n == 0;
}

static void free_stream(struct uw_stream *s) {
    uw_channel_free(s->channel);
    uw_sweep_free(s->sweeps[0]);
    uw_sweep_free(s->sweeps[1]);
    free(s->re);
    free(s->im);
}

static void free_set(struct uw_stream_set *set) {
    for (size_t i = 0; i < set->n; ++i)
        free_stream(&set->streams[i]);
    free(set->streams);
    *set = (struct uw_stream_set){.freq_hz = NAN};
}

/* What streams of all centres share, as large as any of them wants it. */
static int share(struct uw_sweeper *m, const struct uw_stream *s) {
    size_t wanted = s->room + 4 * s->chips; /* whole frames */
    float complex *larger;

    if (wanted <= m->stretch_len)
        return 0;
    larger = uw_fft_alloc(wanted);
    if (!larger)
        return uw_err(-ENOMEM);
    uw_fft_dealloc(m->stretch);
    m->stretch = larger;
    m->stretch_len = wanted;
    return 0;
}

static int new_chips(struct uw_stream *s) {
    size_t n = UW_SWEEP_BLOCK + s->chips;

    s->re = uw_alloc_zeroed(n, sizeof(*s->re));
    s->im = uw_alloc_zeroed(n, sizeof(*s->im));
    return s->re && s->im ? 0 : uw_err(-ENOMEM);
}

/* Returns a positive code if it does not suit the receiver's rate. */
static int make_stream(struct uw_sweeper *m, const struct cut *c, struct uw_stream *s) {
    double middle = c->centre_hz + 0.5 * c->apart_hz;
    double slack = 0.5 * fabs(c->apart_hz);
    int r;

    *s = (struct uw_stream){
        .matcher = m,
        .centre_hz = c->centre_hz,
        .apart_hz = c->apart_hz,
        .bandwidth_hz = c->bandwidth_hz,
        .carrier_hz = m->env.config->freq_hz + middle,
    };
    r = uw_channel_new(uw_front_n_fft(m->env.front), m->env.config->rate_hz, middle,
                       s->bandwidth_hz, slack, s->bandwidth_hz, &s->channel);
    if (r)
        return r;
    s->cut_hz = middle + uw_channel_residual_hz(s->channel);
    s->chips = uw_channel_chips(s->channel);
    s->density = uw_channel_density(s->channel);
    for (int down = 0; down < 2 && r == 0; ++down) {
        if (c->directions[down])
            r = add_sweep(m, s, down == 1);
    }
    s->room = room_of(s);
    if (r == 0)
        r = new_chips(s);
    if (r == 0)
        r = share(m, s);
    if (r)
        free_stream(s);
    return r;
}

static int make_set(struct uw_sweeper *m, struct uw_stream_set *set) {
    struct cuts cuts;

    choose_cuts(m->env.config, &cuts);
    *set = (struct uw_stream_set){
        .freq_hz = m->env.config->freq_hz,
        .streams = calloc(cuts.n > 0 ? cuts.n : 1, sizeof(*set->streams)),
    };
    if (!set->streams)
        return uw_err(-ENOMEM);
    for (size_t i = 0; i < cuts.n; ++i) {
        int r = make_stream(m, &cuts.list[i], &set->streams[set->n]);

        if (r < 0)
            return r;
        set->n += r == 0;
    }
    return 0;
}

/* The set of this centre, or the one that was not visited for longest. */
static struct uw_stream_set *find_set(const struct uw_sweeper *m, double freq_hz) {
    struct uw_stream_set *oldest = &m->sets[0];

    for (size_t i = 0; i < m->n_sets; ++i) {
        struct uw_stream_set *set = &m->sets[i];

        if (set->streams && fabs(set->freq_hz - freq_hz) < SAME_CENTRE_HZ)
            return set;
        if (set->visited < oldest->visited)
            oldest = set;
    }
    free_set(oldest);
    return oldest;
}

int uw_sweep_streams_visit(struct uw_sweeper *m) {
    int r = 0;

    if (!m->sets) {
        m->n_sets = m->env.config->n_centres > 1 ? m->env.config->n_centres : 1;
        m->sets = calloc(m->n_sets, sizeof(*m->sets));
        if (!m->sets)
            return uw_err(-ENOMEM);
    }
    m->set = find_set(m, m->env.config->freq_hz);
    m->set->visited = ++m->visits;
    if (!m->set->streams)
        r = make_set(m, m->set);
    if (r < 0)
        free_set(m->set);
    return r;
}

void uw_sweep_streams_deinit(struct uw_sweeper *m) {
    for (size_t i = 0; i < m->n_sets; ++i)
        free_set(&m->sets[i]);
    free(m->sets);
    uw_fft_dealloc(m->stretch);
}
