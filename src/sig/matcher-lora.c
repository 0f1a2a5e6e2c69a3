/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * LoRa packets in bursts
 *
 * Each burst is cut out at every LoRa bandwidth that its own width allows, brought to exactly two
 * samples a chip, and searched for preambles of every spreading factor in both directions; the
 * best-heard one is measured and the search goes on behind it. Slope-degenerate pairs (SF7 at 250
 * kHz has the slope of SF9 at 500 kHz) are told apart by the width of the burst and by the score.
 *
 * Packets of a waveform that a hopping link uses go to the tracker of links; all others, and those
 * whose sync word belongs to a known network, are background.
 */

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "chips-impl.h"
#include "hopper-impl.h"
#include "links-impl.h"
#include "matcher-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/lora.h"

#define N_BANDWIDTHS   4
#define COMMON_HZ      500e3 /* what has more is one link: looked for where that can be heard */
#define WIDTH_MIN      0.62  /* of a burst, in bandwidths */
#define WIDTH_MAX      1.6
#define PIECE_S        0.32 /* longest piece looked at */
#define MARGIN_S       0.6e-3
#define GRID_HZ        25e3 /* a background packet is on a channel within this and the crystals */
#define CRYSTALS       60e-6
#define SEARCH_LEAD_S  2e-3 /* of a piece before its packet: margin, the packet before */
#define SEARCH_SYMBOLS 40
#define PACKET_SYMBOLS 12  /* preamble, sync word and delimiter */
#define CLEAR_SCORE    0.5 /* no other spreading factor gets so much of a packet's energy */
#define KNOWN_MAX      64
#define BACKGROUND_LLR 3.0
#define BACKGROUND_S   60.0 /* a background emitter is another one after this silence */

static const double bandwidths[N_BANDWIDTHS] = {125e3, 250e3, 500e3, 812.5e3};

struct known {
    uint64_t number;
    const struct uw_signature *signature;
    double offset_hz;
    double last;
    int64_t packets;
};

struct matcher {
    struct uw_matcher_env env;
    struct uw_lora *lora;
    struct uw_chips chips;
    bool wide; /* bandwidths above COMMON_HZ are looked at */
    uint64_t next_number;
    struct known known[KNOWN_MAX];
};

static void matcher_free(void *matcher) {
    struct matcher *m = matcher;

    if (!m)
        return;
    uw_lora_free(m->lora);
    uw_chips_deinit(&m->chips);
    free(m);
}

static void matcher_freep(struct matcher **m) {
    matcher_free(*m);
}

static int sync_word(int sf, const int sync[2]) {
    int high, low;

    if (sync[0] < 0 || sync[1] < 0)
        return -1;
    /* each nibble is sent as a symbol of eight times its value */
    high = (sync[0] + 4) / 8 % 16;
    low = (sync[1] + 4) / 8 % 16;
    if (abs(sync[0] - 8 * high) > 2 || abs(sync[1] - 8 * low) > 2)
        return -1;
    return sf >= 7 ? 16 * high + low : -1; /* below, eight times a nibble wraps */
}

static bool on_channel(const struct uw_signature *s, double freq_hz) {
    for (int d = 0; d < s->n_domains; ++d) {
        for (int c = 0; c < s->domains[d].n_channels; ++c) {
            if (fabs(freq_hz - s->domains[d].channel_hz[c]) < GRID_HZ + CRYSTALS * freq_hz)
                return true;
        }
    }
    return s->n_domains == 0;
}

static const struct uw_sig_variant *chirp_variant(const struct uw_signature *s,
                                                  const struct uw_packet *p) {
    if (s->direction != UW_SIG_EITHER && (s->direction == UW_SIG_DOWN) != p->down)
        return NULL;
    for (int i = 0; i < s->n_variants; ++i) {
        const struct uw_sig_variant *v = &s->variants[i];

        if (v->sf == p->sf && fabs(v->bandwidth_hz - p->bandwidth_hz) < 1.0)
            return v;
    }
    return NULL;
}

/* The background signature that explains a packet best: its sync word, else its channel, else the
 * general one. */
static const struct uw_signature *background_of(const struct matcher *m, const struct uw_packet *p,
                                                const struct uw_sig_variant **ret_variant) {
    const struct uw_sigdb *db = m->env.config->db;
    const struct uw_signature *best = NULL;
    int best_score = 0;

    for (size_t i = 0; i < uw_sigdb_len(db); ++i) {
        const struct uw_signature *s = uw_sigdb_at(db, i);
        const struct uw_sig_variant *v;
        double freq = m->env.config->freq_hz + p->offset_hz;
        int score = 1;

        if (!s->enabled || s->matcher != UW_SIG_MATCH_CHIRP)
            continue;
        v = chirp_variant(s, p);
        if (!v)
            continue;
        if (s->sync_word >= 0 && p->sync >= 0) {
            if (s->sync_word != p->sync)
                continue;
            score += 4;
        } else if (s->sync_word >= 0 && (!isfinite(freq) || s->n_domains == 0)) {
            continue; /* nothing speaks for it */
        }
        if (s->n_domains > 0 && isfinite(freq)) {
            if (!on_channel(s, freq) && score == 1)
                continue;
            score += on_channel(s, freq) ? 2 : 0;
        }
        if (score > best_score) {
            best = s;
            best_score = score;
            *ret_variant = v;
        }
    }
    return best;
}

/* The background emitter with this signature and carrier; a new one takes the place longest silent.
 */
static struct known *find_known(struct matcher *m, const struct uw_signature *s,
                                const struct uw_packet *p) {
    double silence = BACKGROUND_S * m->env.config->rate_hz;
    struct known *oldest = &m->known[0];

    for (size_t i = 0; i < KNOWN_MAX; ++i) {
        struct known *k = &m->known[i];

        if (k->signature == s && fabs(k->offset_hz - p->offset_hz) < GRID_HZ &&
            p->start - k->last < silence)
            return k;
        if (!k->signature || (oldest->signature && k->last < oldest->last))
            oldest = k;
    }
    *oldest = (struct known){
        .number = ++m->next_number,
        .signature = s,
        .offset_hz = p->offset_hz,
    };
    return oldest;
}

static void report_background(void *userdata, const struct uw_packet *p) {
    struct matcher *m = userdata;
    const struct uw_sig_variant *v = NULL;
    const struct uw_signature *s = background_of(m, p, &v);
    struct known *k;

    if (!s)
        return;
    k = find_known(m, s, p);
    k->last = p->start;
    ++k->packets;
    struct uw_finding f = {
        .signature = s,
        .emitter = 2 * k->number + 1, /* even numbers are links */
        .variant = v->name,
        .freq_hz = p->offset_hz,
        .bandwidth_hz = p->bandwidth_hz,
        .snr_db = p->snr_db,
        .power_dbfs = p->power_dbfs,
        .llr = BACKGROUND_LLR,
        .confidence = s->sync_word >= 0 && p->sync == s->sync_word ? 0.95 : 0.6,
        .start = (uint64_t)fmax(p->start, 0.0),
        .stop = (uint64_t)fmax(p->stop, 0.0),
        .bursts = k->packets,
        .dwells = -1,
        .channels = -1,
        .channels_visible = -1,
        .hop_interval_s = NAN,
        .period_s = NAN,
        .airtime_s = (p->stop - p->start) / m->env.config->rate_hz,
        .grid_error_hz = NAN,
        .offset_hz = NAN,
        .score = NAN,
        .rule = s->sync_word >= 0 && p->sync == s->sync_word ? "sync-word" : "waveform",
    };
    m->env.emit(m->env.userdata, &f);
}

/* Whether a link with more than COMMON_HZ can be heard at this centre, or at any. */
static bool is_wide(const struct matcher *m, bool anywhere) {
    const struct uw_sigdb *db = m->env.config->db;

    for (size_t i = 0; i < uw_sigdb_len(db); ++i) {
        const struct uw_signature *s = uw_sigdb_at(db, i);

        for (int v = 0; s->enabled && v < s->n_variants; ++v) {
            if (s->variants[v].modulation == UW_SIG_LORA &&
                s->variants[v].bandwidth_hz > COMMON_HZ &&
                (anywhere || s->matcher != UW_SIG_MATCH_LINK || uw_link_in_band(s, m->env.config)))
                return true;
        }
    }
    return false;
}

static void matcher_retune(void *matcher, double shift_hz) {
    struct matcher *m = matcher;

    m->wide = is_wide(m, false);
    for (size_t i = 0; i < KNOWN_MAX; ++i)
        m->known[i].offset_hz -= shift_hz;
}

static int matcher_new(const struct uw_matcher_env *env, void **ret_matcher) {
    UW_CLEANUP(matcher_freep) struct matcher *m = calloc(1, sizeof(*m));
    double widest;
    int r;

    if (!m)
        return uw_err(-ENOMEM);
    m->env = *env;
    m->wide = is_wide(m, false);
    widest = is_wide(m, env->config->n_centres > 1) ? bandwidths[N_BANDWIDTHS - 1] : COMMON_HZ;
    widest = fmin(widest, env->config->rate_hz);
    r = uw_lora_new(&m->lora);
    if (r < 0)
        return r;
    r = uw_chips_init(&m->chips, fmin(PIECE_S, uw_front_history_s(env->front)) * widest,
                      env->front);
    if (r < 0)
        return r;
    uw_links_on_orphan(m->env.links, report_background, m);
    *ret_matcher = m;
    m = NULL;
    return 0;
}

/* A burst as samples, two a chip: sample i was input sample first + i * step. */
struct piece {
    double bandwidth_hz;
    double centre_hz;
    size_t n;
    double first, step;
};

static bool cut_piece(struct matcher *m, const struct uw_burst *b, double bandwidth_hz,
                      struct piece *ret) {
    double rate = m->env.config->rate_hz;
    uint64_t margin = (uint64_t)(MARGIN_S * rate) + uw_front_n_fft(m->env.front);
    uint64_t start = b->start > margin ? b->start - margin : 0;
    struct uw_chips_piece cut = uw_chips_cut(&m->chips, m->env.front, rate, start, b->stop + margin,
                                             b->centre_hz, bandwidth_hz);

    *ret = (struct piece){
        .bandwidth_hz = bandwidth_hz,
        .centre_hz = b->centre_hz,
        .n = cut.n,
        .first = cut.first,
        .step = cut.step,
    };
    return cut.n > 64;
}

struct candidate {
    double score;
    int sf;
    bool down;
    size_t at;
};

/* Samples to search for a preamble of this spreading factor: a packet begins with its burst, or
 * soon behind the packet before it; 0 if no packet fits. */
static size_t search_length(const struct piece *piece, size_t from, int sf) {
    size_t symbol = (size_t)2 << sf;
    size_t lead = (size_t)(SEARCH_LEAD_S * 2.0 * piece->bandwidth_hz) + SEARCH_SYMBOLS * symbol;
    size_t left = piece->n - from;

    if (left < PACKET_SYMBOLS * symbol)
        return 0;
    return lead < left ? lead : left;
}

/* The best-heard preamble behind `from`, over spreading factors and directions. */
static struct candidate find_preamble(struct matcher *m, const struct piece *piece, size_t from) {
    struct candidate best = {0};

    for (int sf = UW_LORA_SF_MIN; sf <= UW_LORA_SF_MAX && best.score < CLEAR_SCORE; ++sf) {
        size_t n = search_length(piece, from, sf);

        for (int down = 0; down < 2 && n > 0; ++down) {
            size_t at;
            uw_lora_mirror(m->lora, down != 0);
            double score = uw_lora_preamble(m->lora, sf, m->chips.samples, from + n, from, &at);

            if (score > best.score)
                best = (struct candidate){.score = score, .sf = sf, .down = down != 0, .at = at};
        }
    }
    return best;
}

/* Whether more than a symbol of the piece lies behind the burst: a packet that fills it outlasts
 * what the burst finder saw. */
static bool runs_on(const struct matcher *m, const struct uw_burst *b, const struct piece *piece,
                    int sf) {
    double end = piece->first + (double)piece->n * piece->step;
    double symbol = m->env.config->rate_hz * (double)(1 << sf) / piece->bandwidth_hz;

    return end - (double)b->stop > 1.5 * symbol;
}

static void take_packet(struct matcher *m, const struct uw_burst *b, const struct piece *piece,
                        const struct candidate *c, const struct uw_lora_packet *lp) {
    double sign = c->down ? -1.0 : 1.0;
    struct uw_packet p = {
        .modulation = UW_SIG_LORA,
        .same = -1,
        .sf = c->sf,
        .down = c->down,
        .sync = lp->complete ? sync_word(c->sf, lp->sync) : -1,
        .preamble = lp->n_preamble,
        .bandwidth_hz = piece->bandwidth_hz,
        .start = piece->first + lp->start * piece->step,
        .stop = piece->first + lp->stop * piece->step,
        .start_error_s = lp->timing / (2.0 * piece->bandwidth_hz),
        .stop_error_s = lp->timing / (2.0 * piece->bandwidth_hz),
        .offset_hz = piece->centre_hz + sign * lp->offset * piece->bandwidth_hz,
        .offset_error_hz = 0.1 * piece->bandwidth_hz / (double)(1 << c->sf),
        .snr_db = b->snr_db,
        .power_dbfs = b->power_dbfs,
    };

    if (!lp->complete || (lp->cut && (b->open || runs_on(m, b, piece, c->sf)))) {
        uw_links_heard(m->env.links, &p);
        /* without its end nothing tells a link's packet from others: only what no link uses is
         * reported */
        if (b->open && !uw_links_waveform(m->env.links, &p))
            report_background(m, &p);
        return;
    }
    /* a known network's packet is background whoever else has its waveform; the links weigh it all
     * the same */
    const struct uw_sig_variant *v;
    const struct uw_signature *s = background_of(m, &p, &v);
    bool is_known = s && p.sync >= 0 && s->sync_word == p.sync;

    bool is_followed = uw_links_packet(m->env.links, &p);

    /* of the packets of several links with names a train of another period can be made */
    if (!is_known && !uw_links_explain(m->env.links, &p))
        uw_hopper_packet(m->env.hopper, &p);
    if (!is_followed || is_known)
        report_background(m, &p);
}

static void search_piece(struct matcher *m, const struct uw_burst *b, const struct piece *piece,
                         struct candidate c) {
    while (c.score > 0.0) {
        struct uw_lora_packet lp;
        size_t symbol = (size_t)2 << c.sf;
        size_t next = c.at + 8 * symbol;

        uw_lora_mirror(m->lora, c.down);
        if (uw_lora_measure(m->lora, c.sf, m->chips.samples, piece->n, c.at, &lp)) {
            take_packet(m, b, piece, &c, &lp);
            if (lp.stop > (double)next)
                next = (size_t)lp.stop;
        }
        if (next + 8 * symbol >= piece->n)
            return;
        c = find_preamble(m, piece, next);
    }
}

static bool matcher_burst(void *matcher, const struct uw_burst *b) {
    struct matcher *m = matcher;
    double width = b->upper_hz - b->lower_hz;
    struct candidate best = {0};
    size_t best_bandwidth = 0;
    struct piece piece = {0};

    for (size_t i = 0; i < N_BANDWIDTHS; ++i) {
        double bw = bandwidths[i];
        struct candidate c;

        if (width < WIDTH_MIN * bw || width > WIDTH_MAX * bw || (bw > COMMON_HZ && !m->wide) ||
            m->env.config->rate_hz < 1.05 * bw || !cut_piece(m, b, bw, &piece))
            continue;
        c = find_preamble(m, &piece, 0);
        if (c.score > best.score) {
            best = c;
            best_bandwidth = i;
        }
    }
    if (best.score <= 0.0)
        return false;
    if (piece.bandwidth_hz != bandwidths[best_bandwidth] &&
        !cut_piece(m, b, bandwidths[best_bandwidth], &piece))
        return false;
    search_piece(m, b, &piece, best);
    return true;
}

const struct uw_matcher_ops uw_matcher_lora = {
    .name = "lora",
    .modulation = UW_SIG_LORA,
    .new = matcher_new,
    .free = matcher_free,
    .burst = matcher_burst,
    .retune = matcher_retune,
};
