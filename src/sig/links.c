/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * From packets to links
 *
 * A link sends packets of one length on a lattice of slots (its packet period) and changes its
 * channel every few slots. A packet joins the emitter whose lattice and waveform it fits; otherwise
 * it begins a new emitter for each signature and period it could belong to. The lattice follows the
 * emitter's clock: receiver and transmitter crystals differ by up to 100 ppm.
 */

#include "links-impl.h"
#include "links-jump-impl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/base/util.h"

#define NEW_S   4.0  /* an emitter of one packet is forgotten after this */
#define OLD_S   10.0 /* ... any other */
#define FADE_DB 12.0
#define ITS_S   2.0

int uw_links_new(const struct uw_matcher_env *env, struct uw_links **ret_links) {
    struct uw_links *links = calloc(1, sizeof(*links));

    if (!links)
        return uw_err(-ENOMEM);
    links->env = *env;
    links->torn = -INFINITY;
    *ret_links = links;
    return 0;
}

struct uw_links *uw_links_free(struct uw_links *links) {
    free(links);
    return NULL;
}

void uw_links_on_orphan(struct uw_links *links,
                        void (*orphan)(void *userdata, const struct uw_packet *packet),
                        void *userdata) {
    links->orphan = orphan;
    links->orphan_userdata = userdata;
}

static bool same_waveform(const struct emitter *e, const struct uw_packet *p, double rate_hz) {
    for (int i = 0; i < e->signature->n_variants; ++i) {
        if (e->variants[i].possible &&
            uw_link_variant_fits(e->signature, &e->signature->variants[i], p, rate_hz))
            return p->down == e->first_packet.down;
    }
    return false;
}

/* Who takes a packet, and who keeps its place: what is known not to be a link must not be found
 * anew with every packet. */
static double rank(const struct emitter *e) {
    return e->never_hops || e->is_image ? INFINITY : e->llr;
}

/* A free place, or the one whose loss hurts least: one packet only, and longest silent. */
static struct emitter *free_place(struct uw_links *links) {
    struct emitter *least = NULL;

    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        struct emitter *e = &links->emitters[i];

        if (!e->used)
            return e;
        if (!least || rank(e) < rank(least) ||
            (rank(e) == rank(least) && e->last_start < least->last_start))
            least = e;
    }
    return least;
}

/* Begins an emitter for each lattice that the packet could lie on: the periods of the variants it
 * fits, but for multiples of another. */
static bool begin_all(struct uw_links *links, const struct uw_signature *s,
                      const struct uw_packet *p) {
    double rate = links->env.config->rate_hz;
    bool known = false;

    for (int i = 0; i < s->n_variants; ++i) {
        double period = s->variants[i].period_s;
        bool skip = !uw_link_variant_fits(s, &s->variants[i], p, rate);

        for (int j = 0; j < s->n_variants && !skip; ++j) {
            double other = s->variants[j].period_s;
            double ratio = other > 0.0 ? period / other : 0.5;
            bool divides = fabs(ratio - round(ratio)) < 1e-3;

            /* the first of several with the same period stands for all */
            skip = divides && (ratio > 1.5 || (ratio > 0.5 && j < i)) &&
                   uw_link_variant_fits(s, &s->variants[j], p, rate);
        }
        if (!skip) {
            uw_link_begin(links, free_place(links), s, period, p);
            known = true;
        }
    }
    return known;
}

/* Emitters that took the same packets at first: the one that goes on wins. */
static void drop_rivals(struct uw_links *links, const struct emitter *winner) {
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        struct emitter *e = &links->emitters[i];

        if (e != winner && e->used && e->n_packets <= 2 && e->llr < winner->llr &&
            e->last_start >= winner->last_start - 1.0 && e->first_start >= winner->first_start &&
            fabs(e->offset_hz - winner->offset_hz) < LINK_CHANNEL_HZ)
            e->used = false;
    }
}

static bool is_followed(const struct uw_links *links, const struct uw_signature *s) {
    return s->enabled && s->matcher == UW_SIG_MATCH_LINK && uw_link_in_band(s, links->env.config);
}

bool uw_links_waveform(const struct uw_links *links, const struct uw_packet *packet) {
    const struct uw_sigdb *db = links->env.config->db;

    for (size_t i = 0; i < uw_sigdb_len(db); ++i) {
        const struct uw_signature *s = uw_sigdb_at(db, i);

        for (int v = 0; is_followed(links, s) && v < s->n_variants; ++v) {
            if (uw_link_modulation_fits(s, &s->variants[v], packet))
                return true;
        }
    }
    return false;
}

/* Whether the packet can be of this emitter, lattice apart. */
static bool takes(const struct emitter *e, const struct uw_packet *p) {
    if (e->never_hops && fabs(p->offset_hz - e->dwell_offset_hz) > LINK_CHANNEL_HZ)
        return false;
    if (e->is_image && p->snr_db > e->snr_db + FADE_DB)
        return false;
    /* noise on the lattice of a strong link, or a strong link that noise was there before; fading
     * is allowed for */
    if (p->weak)
        return p->snr_db >= e->snr_db - FADE_DB;
    return !isnan(e->airtime_s) || p->snr_db <= e->snr_db + FADE_DB;
}

/* Whether a weak packet that lies on the emitter's lattice is its own, come late: a whole one in a
 * later slot, which need not be held, has overtaken it. If the slot has had a packet, it was this
 * one, or on another channel. */
static bool is_late(const struct emitter *e, const struct uw_packet *p,
                    const struct link_fit *fit) {
    int64_t age = e->dwell_last - fit->slot;

    if (!p->weak || e->n_packets <= LINK_DWELLS_MIN || age >= 64)
        return false;
    return (e->taken >> age & 1) == 0 ||
           (fit->slot >= e->dwell_first &&
            fabs(p->places[fit->place].offset_hz - e->dwell_offset_hz) < LINK_CHANNEL_HZ);
}

/* The best established emitter on whose lattice the packet lies. *ret_past: one whose slot it is
 * has already had it. */
static struct emitter *find_emitter(struct uw_links *links, const struct uw_packet *packet,
                                    struct link_fit *ret_fit, bool *ret_past) {
    struct emitter *best = NULL;
    const struct emitter *owner = NULL; /* of a packet that came late */
    bool best_home = false;
    bool best_other = false;

    *ret_past = false;
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        struct emitter *e = &links->emitters[i];
        struct link_fit fit;

        if (!e->used || !same_waveform(e, packet, links->env.config->rate_hz))
            continue;
        if (!takes(e, packet))
            continue;
        bool in_time = false;
        fit = packet->weak ? uw_link_fit_weak(e, links->env.config, packet, &in_time)
                           : uw_link_fit(e, links->env.config->rate_hz, packet);
        if (fit.misfit > 1.0) {
            *ret_past |= in_time && e->n_packets > LINK_DWELLS_MIN;
            continue;
        }
        if (fit.slot <= e->dwell_last) {
            *ret_past |= e->n_packets > 1 || packet->weak;
            if (is_late(e, packet, &fit) && (!owner || rank(e) > rank(owner)))
                owner = e;
            continue;
        }
        bool home = uw_link_same_dwell(e, packet, fit.slot);
        bool other = uw_link_is_other_end(e, links->env.config, packet);
        bool better = best && other != best_other     ? !other
                      : best && home != best_home     ? home
                      : best && rank(e) != rank(best) ? rank(e) > rank(best)
                                                      : !best || fit.misfit < ret_fit->misfit;
        if (better) {
            best = e;
            best_home = home;
            best_other = other;
            *ret_fit = fit;
        }
    }
    if (best && owner && rank(owner) > rank(best))
        return NULL;
    return best_other && uw_link_is_stranger(best, ret_fit) ? NULL : best;
}

void uw_links_heard(struct uw_links *links, const struct uw_packet *packet) {
    uw_link_remember(links, packet);
}

/* Whether it may be a packet of the link that came at another time, as behind lost samples. */
static bool may_be_its(const struct emitter *e, const struct uw_detector_config *config,
                       const struct uw_packet *p) {
    return e->llr >= LINK_SURE_NATS && uw_link_is_whole(e) &&
           p->start - e->last_start < ITS_S * config->rate_hz &&
           fabs(p->snr_db - e->level_db) <= LINK_LEVEL_DB && p->down == e->first_packet.down &&
           uw_link_is_its_crystal(e, config, p);
}

bool uw_links_explain(const struct uw_links *links, const struct uw_packet *packet) {
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        const struct emitter *e = &links->emitters[i];

        if (e->used && e->alerted &&
            ((e->last_start == packet->start && e->offset_hz == packet->offset_hz) ||
             may_be_its(e, links->env.config, packet)))
            return true;
    }
    return false;
}

bool uw_links_packet(struct uw_links *links, const struct uw_packet *packet) {
    const struct uw_sigdb *db = links->env.config->db;
    struct link_fit fit = {0};
    bool past;
    bool known = false;

    if (!packet->weak)
        uw_link_remember(links, packet);
    else if (uw_link_is_outshone(links, packet))
        return true;
    struct emitter *e = find_emitter(links, packet, &fit, &past);

    if (!(e && e->alerted) && uw_link_is_aside(links, packet))
        return true;
    if (e) {
        struct emitter *old = uw_link_jumped(links, e, packet);

        if (old) {
            uw_link_jump(links, old, e, packet);
            e = old;
        } else {
            uw_link_join(links, e, packet, &fit);
            uw_link_repay(e, packet);
        }
        drop_rivals(links, e);
        uw_link_maybe_report(links, e);
        return true;
    }
    if ((past && packet->weak) || packet->follows)
        return past;
    for (size_t i = 0; i < uw_sigdb_len(db); ++i) {
        const struct uw_signature *s = uw_sigdb_at(db, i);

        if (is_followed(links, s))
            known |= begin_all(links, s, packet);
    }
    return known;
}

/* A packet that began an emitter of its own and found no company. Beside a link of the same
 * signature that is on the air it is most likely a packet of that link, measured badly. */
static void orphan(struct uw_links *links, const struct emitter *e) {
    double second = links->env.config->rate_hz;

    if (e->n_dwells >= 2 || !links->orphan || e->first_packet.weak)
        return;
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        const struct emitter *other = &links->emitters[i];

        if (other->used && other->signature == e->signature && other->n_dwells >= 2 &&
            other->last_stop > e->first_start - second &&
            other->first_start < e->last_stop + second)
            return;
    }
    links->orphan(links->orphan_userdata, &e->first_packet);
}

void uw_links_progress(struct uw_links *links, uint64_t sample) {
    double rate = links->env.config->rate_hz;

    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        struct emitter *e = &links->emitters[i];
        double silent = ((double)sample - e->last_stop) / rate;

        if (!e->used)
            continue;
        if (silent > e->period_s * (double)(uw_link_longest_dwell(e) + 1))
            uw_link_end_dwell(e);
        if (silent <= (e->n_packets > 1 ? OLD_S : NEW_S))
            continue;
        orphan(links, e);
        e->used = false;
    }
}

void uw_links_gap(struct uw_links *links, uint64_t sample, uint64_t n, double shift_hz) {
    for (size_t i = 0; i < LINK_STRETCHES; ++i)
        links->stretches[i].packet.offset_hz -= shift_hz;
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        if (links->emitters[i].used)
            uw_link_move(&links->emitters[i], links->env.config, sample, n, shift_hz);
    }
}

void uw_links_torn(struct uw_links *links, uint64_t sample) {
    links->torn = (double)sample;
}

void uw_links_flush(struct uw_links *links) {
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        struct emitter *e = &links->emitters[i];

        if (!e->used)
            continue;
        uw_link_end_dwell(e);
        if (e->number != 0 && e->new_llr != 0.0)
            uw_link_report(links, e);
    }
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        if (links->emitters[i].used)
            orphan(links, &links->emitters[i]);
    }
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i)
        links->emitters[i].used = false;
}
