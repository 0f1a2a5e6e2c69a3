/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Hopping control links that fit no signature
 *
 * Bursts of one length, width and level make a train; LoRa packets that were measured whole, which
 * are timed much better, make trains of their own. A train is judged about twice a second
 * (hopper-judge.c), and spoken of when two judgements in a row agree about its period. Trains that
 * are several links' are taken apart (hopper-apart.c).
 *
 * It yields to links that have a name: to any whose packets or hops have its period or a small
 * multiple of it, and it waits for those that its waveform, length and period would fit. What keeps
 * the very lattice of another train, at another level or width, is the same sender's: its other
 * end, its image in the receiver, its splatter. So is what is on the other's channel whenever both
 * are heard (hopper-pieces.c): of a sender's trains one speaks, another goes on for it.
 *
 * Below 1.8 GHz only. Above, every pair of earphones hops like a control link.
 */

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hopper-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"

#define FREQ_MAX_HZ    1.8e9
#define LENGTH_MIN_S   0.9e-3
#define LENGTH_MAX_S   0.145
#define WIDTH_MIN_HZ   15e3
#define WIDTH_MAX_HZ   900e3
#define LENGTH_ERROR_S 0.3e-3
#define LENGTH_ERROR   0.06
#define WIDTH_RATIO    3.0
#define SMOOTHING      0.1 /* of level and width */
#define JUDGE_S        0.6
#define OLD_S          3.0
#define LIMIT_DBFS     (-1.0) /* a full-scale carrier has 0 */
#define AGREED         2
#define PERIOD_ERROR   400e-6
#define WEAK_PERIOD    1e-3
#define MULTIPLES      8
#define SAME_PHASE_S   1.5e-3
#define OWN_PHASE      0.1 /* of a period */
#define OWN_LEVEL_DB   2.0
#define MEETINGS_MIN   2.0 /* expected, to be silent: it is asked again */
#define MEETINGS_SURE  5.0 /* ... to take a number over: that is for good */
#define MEET_S         1.0 /* what is silent for so long meets nobody */
#define NAMED_S        6.0
#define NAMED_MIN      0.1 /* confidence that a name is right: what has less is likelier a hopper's */
#define PATIENCE_S     7.0
#define ODDS           6.0 /* prior: nats against a link being there, as for named links */

#define BANDWIDTHS(sf)                                                                             \
    { "LoRa SF" #sf "/125", "LoRa SF" #sf "/250", "LoRa SF" #sf "/500" }

static const char *const lora_names[8][3] = {BANDWIDTHS(5),  BANDWIDTHS(6), BANDWIDTHS(7),
                                             BANDWIDTHS(8),  BANDWIDTHS(9), BANDWIDTHS(10),
                                             BANDWIDTHS(11), BANDWIDTHS(12)};

#define WEAK_DB        4.5 /* below, the burst finder's edges are not good enough */
#define PIECES_GAP_S   2.5e-3
#define PIECES_HZ      60e3
#define PIECES_WAIT_S  8e-3  /* so long after its end it is measured */
#define PIECES_RATE_HZ 100.0 /* short ones measured a second at most */
#define PIECE_S        20e-3 /* so much longer costs as much as one more */

int uw_hopper_new(const struct uw_matcher_env *env, struct uw_hopper **ret_hopper) {
    const struct uw_signature *signature = NULL;
    struct uw_hopper *h;

    *ret_hopper = NULL;
    for (size_t i = 0; i < uw_sigdb_len(env->config->db) && !signature; ++i) {
        const struct uw_signature *s = uw_sigdb_at(env->config->db, i);

        if (s->enabled && s->matcher == UW_SIG_MATCH_HOPPER)
            signature = s;
    }
    if (!signature)
        return 0;
    h = calloc(1, sizeof(*h));
    if (!h)
        return uw_err(-ENOMEM);
    h->env = *env;
    h->signature = signature;
    *ret_hopper = h;
    return 0;
}

struct uw_hopper *uw_hopper_free(struct uw_hopper *hopper) {
    free(hopper);
    return NULL;
}

/* How badly a burst fits a train: 1 is the limit. */
static double misfit(const struct hop_train *t, const struct hop_train *like) {
    double length =
        fabs(t->length_s - like->length_s) / fmax(LENGTH_ERROR_S, LENGTH_ERROR * t->length_s);
    double level = fabs(t->power_db - like->power_db) / HOP_LEVEL_DB;
    double width = fabs(log(t->bandwidth_hz / like->bandwidth_hz)) / log(WIDTH_RATIO);

    if (!uw_hop_same_waveform(t, like) || (t->lora && t->bandwidth_hz != like->bandwidth_hz))
        return INFINITY;
    return fmax(length, fmax(level, width));
}

struct hop_train *uw_hop_free_place(struct uw_hopper *h, double now_s) {
    struct hop_train *least = &h->trains[0];
    double least_worth = INFINITY;

    for (size_t i = 0; i < HOP_TRAINS_MAX; ++i) {
        struct hop_train *t = &h->trains[i];
        double idle = now_s - t->last_s;
        double worth = !t->used ? -1.0 : (double)t->n * exp(-idle) + (t->number ? 1e3 : 0.0);

        if (worth < least_worth) {
            least_worth = worth;
            least = t;
        }
    }
    return least;
}

/* Whether a burst is on the lattice of a train that is spoken of, and about as strong. */
static bool is_its_own(const struct hop_train *t, const struct hop_train *like, double start_s) {
    double phase_s = fmin(SAME_PHASE_S, OWN_PHASE * t->lattice.period_s);

    return t->number && t->good_s > start_s - NAMED_S &&
           fabs(t->power_db - like->power_db) < OWN_LEVEL_DB &&
           fabs(remainder(start_s - t->lattice.begin_s, t->lattice.period_s)) < phase_s;
}

static void add(struct uw_hopper *h, const struct hop_train *like, const struct hop_burst *b) {
    struct hop_train *best = NULL;
    double best_misfit = 1.0;

    for (size_t i = 0; i < HOP_TRAINS_MAX; ++i) {
        struct hop_train *t = &h->trains[i];
        double m = t->used ? misfit(t, like) : INFINITY;

        /* what a train has parted with is offered to the part first, in its slots */
        if (t->parted && m < 1.0)
            m = uw_hop_is_inside(&t->slots, b->start_s) ? m - 1.0 : INFINITY;
        else if (m < 1.0 && is_its_own(t, like, b->start_s))
            m -= 1.0;
        if (m < best_misfit) {
            best_misfit = m;
            best = t;
        }
    }
    if (!best) {
        best = uw_hop_free_place(h, b->start_s);
        *best = *like;
        best->used = true;
        best->judged_s = b->start_s;
    }
    size_t before = uw_hop_place(best, 1, 0);
    ++best->n_bursts;
    best->n_dwells += best->n == 0 || uw_hop_changes(&best->bursts[before], b);
    best->power_db += SMOOTHING * (like->power_db - best->power_db);
    best->bandwidth_hz *= pow(like->bandwidth_hz / best->bandwidth_hz, SMOOTHING);
    best->length_s += SMOOTHING * (like->length_s - best->length_s);
    best->snr_db = like->snr_db;
    best->last_s = b->start_s;
    best->bursts[best->next] = *b;
    best->next = (best->next + 1) % HOP_BURSTS_MAX;
    best->n += best->n < HOP_BURSTS_MAX;
    ++best->n_new;
}

static void add_piece(struct uw_hopper *h, const struct hop_piece *p) {
    double rate = h->env.config->rate_hz;
    double length = (double)(p->stop - p->start) / rate;
    struct hop_train like = {
        .bandwidth_hz = p->width_hz,
        .length_s = length,
        .power_db = p->power_dbfs,
        .snr_db = p->snr_db,
        .time_error_s = 0.5 * (double)uw_front_hop(h->env.front) / rate,
    };
    struct hop_burst burst = {
        .start_s = (double)p->start / rate,
        .offset_hz = p->centre_hz,
        .length_s = (float)length,
        .power_db = (float)p->power_dbfs,
    };

    if (length >= LENGTH_MIN_S && length <= LENGTH_MAX_S)
        add(h, &like, &burst);
}

/* Weak bursts come in pieces: joined to the one before on the same carrier. */
static void keep_piece(struct uw_hopper *h, const struct hop_piece *p) {
    uint64_t gap = (uint64_t)(PIECES_GAP_S * h->env.config->rate_hz);

    for (size_t i = 0; i < h->n_pieces; ++i) {
        struct hop_piece *q = &h->pieces[i];

        if (fabs(q->centre_hz - p->centre_hz) > PIECES_HZ || p->start > q->stop + gap ||
            q->start > p->stop + gap)
            continue;
        /* the longer one knows carrier and width better */
        if (p->stop - p->start > q->stop - q->start) {
            q->centre_hz = p->centre_hz;
            q->width_hz = p->width_hz;
        }
        q->start = q->start < p->start ? q->start : p->start;
        q->stop = q->stop > p->stop ? q->stop : p->stop;
        return;
    }
    if (h->n_pieces < HOP_PIECES_MAX)
        h->pieces[h->n_pieces++] = *p;
}

static void measure_pieces(struct uw_hopper *h, uint64_t sample) {
    double rate = h->env.config->rate_hz;
    uint64_t wait = (uint64_t)(PIECES_WAIT_S * rate);
    size_t kept = 0;

    for (size_t i = 0; i < h->n_pieces; ++i) {
        struct hop_piece *p = &h->pieces[i];

        double length = (double)(p->stop - p->start) / rate;
        double cost = 1.0 + length / PIECE_S;

        if (p->stop + wait > sample) {
            h->pieces[kept++] = *p;
        } else if (length <= LENGTH_MAX_S && h->allowance >= cost) {
            h->allowance -= cost;
            if (uw_hop_edges(h->env.front, rate, p))
                add_piece(h, p);
        }
    }
    h->n_pieces = kept;
}

static bool matcher_burst(void *matcher, const struct uw_burst *b) {
    struct uw_hopper *h = matcher;
    double width = b->upper_hz - b->lower_hz;
    struct hop_piece piece = {
        .start = b->start,
        .stop = b->stop,
        .centre_hz = b->centre_hz,
        .width_hz = width,
        .snr_db = b->snr_db,
        .power_dbfs = b->power_dbfs,
    };

    if (b->open || width < WIDTH_MIN_HZ || width > WIDTH_MAX_HZ ||
        h->env.config->freq_hz > FREQ_MAX_HZ)
        return false;
    if (b->snr_db < WEAK_DB)
        keep_piece(h, &piece);
    else
        add_piece(h, &piece);
    return false;
}

void uw_hopper_packet(struct uw_hopper *h, const struct uw_packet *p) {
    if (!h || p->weak || h->env.config->freq_hz > FREQ_MAX_HZ)
        return;
    double rate = h->env.config->rate_hz;
    double length = (p->stop - p->start) / rate;
    struct hop_train like = {
        .lora = true,
        .down = p->down,
        .sf = p->sf,
        .bandwidth_hz = p->bandwidth_hz,
        .length_s = length,
        .power_db = p->power_dbfs,
        .snr_db = p->snr_db,
        .time_error_s = fmax(p->start_error_s, 15e-6),
    };
    struct hop_burst burst = {
        .start_s = p->start / rate,
        .offset_hz = p->offset_hz,
        .length_s = (float)length,
        .power_db = (float)p->power_dbfs,
    };

    if (length >= LENGTH_MIN_S && length <= LENGTH_MAX_S)
        add(h, &like, &burst);
}

void uw_hopper_named(struct uw_hopper *h, const struct uw_finding *f) {
    if (!h || f->signature == h->signature || f->signature->matcher != UW_SIG_MATCH_LINK ||
        !f->signature->drone || !isfinite(f->period_s) || f->confidence < NAMED_MIN)
        return;
    double now_s = (double)f->stop / h->env.config->rate_hz;
    struct hop_named *n = &h->named[h->next_named];
    for (size_t i = 0; i < HOP_NAMED_MAX; ++i) {
        if (fabs(h->named[i].period_s - f->period_s) < 1e-9 &&
            fabs(h->named[i].hop_s - f->hop_interval_s) < 1e-9)
            n = &h->named[i];
    }
    if (n == &h->named[h->next_named])
        h->next_named = (h->next_named + 1) % HOP_NAMED_MAX;
    *n = (struct hop_named){
        .until_s = now_s + NAMED_S,
        .period_s = f->period_s,
        .hop_s = f->hop_interval_s,
    };
}

bool uw_hop_is_multiple(double a, double b) {
    double ratio = a > b ? a / b : b / a;

    return ratio < MULTIPLES + 0.5 && fabs(ratio - round(ratio)) < PERIOD_ERROR * ratio;
}

/* Whether packets every named_s can make the period: all, or one of a few of them; and two or four
 * for one, as its air rate may be mistaken. A third of it is another link's: 150 and 50 packets a
 * second are common. */
static bool comes_of(double period_s, double named_s) {
    double parts = round(named_s / period_s);

    return uw_hop_is_multiple(period_s, named_s) && (parts <= 1.0 || parts == 2.0 || parts == 4.0);
}

static bool has_a_name(const struct uw_hopper *h, double period_s, double now_s) {
    for (size_t i = 0; i < HOP_NAMED_MAX; ++i) {
        const struct hop_named *n = &h->named[i];

        if (n->until_s > now_s &&
            (comes_of(period_s, n->period_s) ||
             (period_s > 0.99 * n->hop_s && uw_hop_is_multiple(period_s, n->hop_s))))
            return true;
    }
    return false;
}

/* Whether the air rate of a link that could be heard here explains all but the channels. */
static bool may_get_a_name(const struct uw_hopper *h, const struct hop_train *t, double period_s) {
    const struct uw_detector_config *config = h->env.config;

    for (size_t i = 0; i < uw_sigdb_len(config->db); ++i) {
        const struct uw_signature *s = uw_sigdb_at(config->db, i);

        if (!s->enabled || s->matcher != UW_SIG_MATCH_LINK ||
            (t->lora && s->direction != UW_SIG_EITHER && (s->direction == UW_SIG_DOWN) != t->down))
            continue;
        for (int k = 0; k < s->n_variants; ++k) {
            const struct uw_sig_variant *v = &s->variants[k];
            bool fits = t->lora ? v->modulation == UW_SIG_LORA && v->sf == t->sf &&
                                      v->bandwidth_hz == t->bandwidth_hz
                                : fabs(log(v->bandwidth_hz / t->bandwidth_hz)) < log(WIDTH_RATIO);

            if (fits && uw_hop_is_multiple(period_s, v->period_s) &&
                fabs(v->airtime_s - t->length_s) < fmax(0.5e-3, 0.05 * v->airtime_s))
                return true;
        }
    }
    return false;
}

/* Whether a train that is spoken of keeps the lattice of another one. */
static bool is_in_phase(const struct hop_train *t, const struct hop_train *o) {
    const struct hop_lattice *l = &o->lattice;
    double shorter = fmin(l->period_s, t->lattice.period_s);
    /* one sender's two ends or images are of two kinds, or they were one train */
    double phase_s = (t->parted || o->parted) && misfit(o, t) < 1.0
                         ? fmax(l->window_s, t->lattice.window_s)
                         : SAME_PHASE_S;

    return fabs(remainder(l->begin_s - t->lattice.begin_s, shorter)) <
           phase_s + PERIOD_ERROR * fabs(l->begin_s - t->lattice.begin_s);
}

/* Whether they have not met often enough to tell, and it is worth waiting for. */
static bool is_open(struct hop_train *t, const struct hop_train *o, double now_s) {
    if (t->number || o->last_s < now_s - MEET_S)
        return false;
    if (t->open_s <= 0.0)
        t->open_s = now_s;
    return now_s - t->open_s < PATIENCE_S;
}

/* Another train that is spoken of and is the same sender's, or may be. Of several the one that was
 * spoken of last. */
static struct hop_train *find_other(struct uw_hopper *h, struct hop_train *t, double now_s,
                                    const struct hop_verdict *v) {
    struct hop_train *found = NULL;

    for (size_t i = 0; i < HOP_TRAINS_MAX; ++i) {
        struct hop_train *o = &h->trains[i];

        if (o == t || !o->used || o->number == 0 || (found && found->reported_s > o->reported_s))
            continue;
        if (uw_hop_is_image(t, now_s, v, o)) {
            found = o;
            continue;
        }
        /* weak bursts' times tell the period no better than to one in a thousand */
        bool is_multiple = uw_hop_is_multiple(o->lattice.period_s, t->lattice.period_s);
        if (!is_multiple && fabs(o->lattice.period_s / t->lattice.period_s - 1.0) > WEAK_PERIOD)
            continue;
        bool is_fresh = o->reported_s >= now_s - NAMED_S;
        enum hop_sender sender = uw_hop_sender(t, o, is_fresh ? MEETINGS_MIN : MEETINGS_SURE);

        if (sender == HOP_SENDER_ONE || (is_fresh && is_multiple && is_in_phase(t, o)) ||
            (is_fresh && sender == HOP_SENDER_OPEN && is_open(t, o, now_s)))
            found = o;
    }
    return found;
}

/* The sender is heard better in another train now. */
static void take_over(struct hop_train *t, struct hop_train *o) {
    t->number = o->number;
    t->llr = o->llr;
    t->given_llr = o->given_llr;
    t->reported_s = o->reported_s;
    t->n_bursts += o->n_bursts;
    t->n_dwells += o->n_dwells;
    uw_hop_unname(o);
    o->n_bursts = o->n_dwells = 0;
    o->used = !o->parted;
}

static const char *variant_of(const struct hop_train *t) {
    int b = t->bandwidth_hz < 200e3 ? 0 : t->bandwidth_hz < 400e3 ? 1 : 2;

    return t->lora && t->bandwidth_hz < 600e3 && t->sf >= 5 && t->sf <= 12
               ? lora_names[t->sf - 5][b]
               : NULL;
}

static void report(struct uw_hopper *h, struct hop_train *t, const struct hop_verdict *v) {
    double rate = h->env.config->rate_hz;
    const struct hop_burst *last = &t->bursts[uw_hop_place(t, 1, 0)];
    double begin = t->number ? t->reported_s : v->begin_s;

    if (t->number == 0)
        t->number = ++h->next_number;
    t->llr = fmax(t->llr, v->llr);
    struct uw_finding f = {
        .signature = h->signature,
        .emitter = t->number,
        .variant = variant_of(t),
        .freq_hz = last->offset_hz,
        .bandwidth_hz = t->bandwidth_hz,
        .snr_db = t->snr_db,
        .power_dbfs = t->power_db,
        .llr = t->llr - t->given_llr,
        .confidence = uw_unnamed_confidence_most() / (1.0 + exp(ODDS - v->llr)),
        .start = (uint64_t)(fmax(begin, 0.0) * rate),
        .stop = (uint64_t)((last->start_s + (double)last->length_s) * rate),
        .bursts = t->n_bursts,
        .dwells = t->n_dwells,
        .channels = (int64_t)v->n_channels,
        .channels_visible = isfinite(h->env.config->freq_hz)
                                ? (int64_t)fmax(v->n_visible, (double)v->n_channels)
                                : -1,
        .hop_interval_s = v->lattice.period_s,
        .period_s = isfinite(v->packet_s) ? v->packet_s : v->lattice.period_s,
        .airtime_s = t->length_s,
        .channel_spacing_hz = v->raster.step_hz,
        .grid_error_hz = v->raster.error_hz,
        .offset_hz = NAN,
        .score = NAN,
        .rule = "period+dwell+channels",
        .alertable = true,
    };
    t->given_llr = t->llr;
    t->reported_s = last->start_s;
    h->env.emit(h->env.userdata, &f);
}

static void judge(struct uw_hopper *h, struct hop_train *t, double now_s,
                  const struct hop_band *band) {
    double before_s = t->lattice.period_s;
    struct hop_verdict v;

    t->judged_s = now_s;
    t->n_new = 0;
    uw_hop_judge(t, now_s, band, &v);
    if (v.reason) {
        t->agreed = 0;
        if (t->parted)
            t->used = now_s - t->good_s <= (t->number ? HOP_GONE_S : OLD_S);
        else if (!v.may_be_several || v.n_bursts < HOP_EVENTS_MAX)
            t->waits_s = 0.0;
        else if (t->waits_s <= 0.0)
            t->waits_s = now_s;
        return;
    }
    t->waits_s = 0.0;
    t->lattice = v.lattice;
    if (t->parted)
        (void)uw_hop_slots(t, now_s, &v, &t->slots);
    t->good_s = now_s;
    t->agreed =
        t->agreed > 0 && uw_hop_is_multiple(before_s, v.lattice.period_s) ? t->agreed + 1 : 1;
    if (t->agreed == 1)
        t->agreed_s = now_s;
    if (t->agreed < AGREED || has_a_name(h, v.lattice.period_s, now_s) ||
        (may_get_a_name(h, t, v.lattice.period_s) && now_s - t->agreed_s < PATIENCE_S))
        return;
    struct hop_train *other = find_other(h, t, now_s, &v);
    /* what is so much stronger goes on for its image at once */
    bool is_better = other && t->number == 0 && t->power_db > other->power_db + LINK_IMAGE_DB;
    if (other && other->reported_s >= now_s - NAMED_S && !is_better)
        return;
    if (other && t->number == 0)
        take_over(t, other);
    report(h, t, &v);
}

static void matcher_progress(void *matcher, uint64_t sample) {
    struct uw_hopper *h = matcher;
    double now_s = (double)sample / h->env.config->rate_hz;
    const struct hop_band band = {
        .centre_hz = h->env.config->freq_hz,
        .usable_hz = 0.42 * h->env.config->rate_hz,
        /* floats may be of any scale */
        .limit_dbfs = h->env.config->format == UW_IQ_CF32 ? INFINITY : LIMIT_DBFS,
    };

    h->allowance = fmin(h->allowance + PIECES_RATE_HZ * (now_s - h->now_s), PIECES_RATE_HZ);
    h->now_s = now_s;
    measure_pieces(h, sample);
    for (size_t i = 0; i < HOP_TRAINS_MAX; ++i) {
        struct hop_train *t = &h->trains[i];

        if (!t->used)
            continue;
        if (now_s - t->last_s > (t->number ? HOP_GONE_S : OLD_S))
            t->used = false;
        else if (t->n_new >= HOP_NEW_MIN && now_s - t->judged_s >= JUDGE_S)
            judge(h, t, now_s, &band);
    }
    uw_hop_take_one_apart(h, now_s, &band);
}

static void matcher_retune(void *matcher, double shift_hz) {
    struct uw_hopper *h = matcher;

    h->n_pieces = 0;
    for (size_t i = 0; i < HOP_TRAINS_MAX; ++i) {
        for (size_t k = 0; k < HOP_BURSTS_MAX; ++k)
            h->trains[i].bursts[k].offset_hz -= shift_hz;
    }
}

static int matcher_new(const struct uw_matcher_env *env, void **ret_matcher) {
    /* the detector's own, as it is the LoRa matcher's too */
    *ret_matcher = env->hopper;
    if (env->hopper)
        env->hopper->env = *env;
    return 0;
}

static void matcher_free(void *matcher) {
    (void)matcher;
}

const struct uw_matcher_ops uw_matcher_hopper = {
    .name = "hopper",
    .modulation = UW_SIG_ANY,
    .new = matcher_new,
    .free = matcher_free,
    .burst = matcher_burst,
    .progress = matcher_progress,
    .retune = matcher_retune,
};
