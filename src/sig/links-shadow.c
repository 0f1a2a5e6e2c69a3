/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What a strong packet casts elsewhere
 *
 * Beside its channel: splatter, products of clipping, all at the very time of the packet. What is
 * OUTSHONE_DB weaker than a whole packet at the same time is not believed, as in shadow-impl.h; but
 * that one takes for noise what is on the air nearly all the time, and whole packets are certain.
 *
 * A whole FSK packet looks alike at its harmonics: what begins and ends with another and is CAST_DB
 * weaker is that one's.
 *
 * A chirp is one line through time and frequency: cut out part of a bandwidth aside, it is the same
 * chirp so much of a symbol earlier or later. Of a link's packet that collides with another's, the
 * hit aside may be the stronger, and alone. So a weak packet on the line of a channel of a link
 * that is spoken of, in one of its slots, is that link's. Another link lies so by chance, one pair
 * in some fifty, and then with all its packets until the crystals part them; in a plan whose
 * channels overlap (EU868-3.x) also on its own channels. Where the edge of the band cuts a channel,
 * a packet measured whole is read so, too.
 *
 * Nor is what keeps to the channel and the time of a train that never hops and has more packets. A
 * train that is on the air most of the time has become noise to the burst finder, so that no packet
 * of it is whole; but the search below the noise finds in its chirps those of other spreading
 * factors, too, always at the same place in its slots. A link on that channel has others, or, where
 * no other is in the band, a crystal of its own.
 *
 * At other times: a tuner's image. It shows a channel that lies outside the band (an R820T: about
 * 7.14 MHz away), 30 dB to 50 dB weaker and mirrored: up-chirps as down-chirps. A link hops between
 * the band and its image, so the image is heard when the link is not; but it keeps the link's
 * slots. An emitter whose lattice is that of mirrored packets LINK_IMAGE_DB stronger is such an
 * image. By chance another link lies so in one of fifty. Of few weak packets the emitter's clock
 * may come out wrong: then only what is near in time tells.
 *
 * After samples were lost, lattices say nothing: the clock tells of a loss some time behind it, and
 * of how much to a millisecond at best. What is heard below the noise then, LINK_IMAGE_DB under
 * whole packets of its waveform, is theirs, until for LINK_TORN_S nothing was lost.
 */

#include <math.h>

#include "links-impl.h"
#include "links-jump-impl.h"

#define OUTSHONE_DB   15.0
#define CAST_DB       10.0  /* a clipped signal's third harmonic has as much less */
#define CAST_S        40e-6 /* what is one packet's begins and ends together */
#define ASIDE_LEAST   0.25  /* of a bandwidth: less is another's crystal, or the link itself */
#define ASIDE_SYMBOLS 0.1
#define ASIDE_AGE_S   2.0
#define TRAIN_SIGMAS  3.0
#define TRAIN_SHARE   0.6   /* the rest is noise; of two channels a link is on each half the time */
#define IMAGE_AGE_S   2.0   /* behind that the lattice is not known well enough */
#define IMAGE_CLOCK   80e-6 /* its own clock may be wrong by so much: of few weak packets */
#define IMAGES_MIN    2     /* mirrored packets on the lattice: the first may be another's */
#define IMAGE_SYMBOL  0.35  /* the image's carrier, read wrong, shifts its begin by chips */
#define LATTICE_SDS   4.0   /* what lattice.c allows */

/* Longest time on air of a link's packet of this modulation: where a faint packet's end was missed,
 * its rest is on the air all the same. */
static double longest_airtime(const struct uw_links *links, const struct uw_packet *p) {
    const struct uw_sigdb *db = links->env.config->db;
    double longest = 0.0;

    for (size_t i = 0; i < uw_sigdb_len(db); ++i) {
        const struct uw_signature *s = uw_sigdb_at(db, i);

        for (int v = 0; s->matcher == UW_SIG_MATCH_LINK && v < s->n_variants; ++v) {
            if (uw_link_modulation_fits(s, &s->variants[v], p))
                longest = fmax(longest, s->variants[v].airtime_s);
        }
    }
    return longest;
}

void uw_link_remember(struct uw_links *links, const struct uw_packet *p) {
    double longest = p->start + longest_airtime(links, p) * links->env.config->rate_hz;

    for (size_t i = 0; i < LINK_STRETCHES; ++i) {
        const struct uw_packet *known = &links->stretches[i].packet;

        if (known->start == p->start && known->offset_hz == p->offset_hz)
            return; /* it was held since */
    }
    links->stretches[links->n_stretches++ % LINK_STRETCHES] = (struct stretch){
        .packet = *p,
        .stop = fmax(p->stop, longest),
    };
}

bool uw_links_covers(const struct uw_links *links, double start, double stop, double offset_hz) {
    for (size_t i = 0; i < LINK_STRETCHES; ++i) {
        const struct stretch *s = &links->stretches[i];

        if (s->packet.start < stop && s->stop > start &&
            fabs(s->packet.offset_hz - offset_hz) < s->packet.bandwidth_hz)
            return true;
    }
    return false;
}

bool uw_link_is_outshone(const struct uw_links *links, const struct uw_packet *p) {
    for (size_t i = 0; i < LINK_STRETCHES; ++i) {
        const struct stretch *s = &links->stretches[i];
        double both = fmin(s->stop, p->stop) - fmax(s->packet.start, p->start);

        if (both > 0.5 * (p->stop - p->start) && s->packet.snr_db > p->snr_db + OUTSHONE_DB)
            return true;
    }
    return false;
}

/* Whether a place lies on the line of the link's chirp in one of its slots, a part of the bandwidth
 * away from its channel. */
static bool is_on_line(const struct emitter *link, int plan,
                       const struct uw_detector_config *config, const struct uw_packet *p,
                       const struct uw_place *place) {
    const struct uw_sig_domain *d = &link->signature->domains[plan];
    double freq = config->freq_hz + place->offset_hz - link->domains[plan].offset_hz;
    double symbol = uw_link_symbol(link, config->rate_hz);
    double since = place->start - link->reference;
    double sigma = sqrt(link->var_reference + since * since * link->var_clock);

    for (int c = 0; c < d->n_channels; ++c) {
        double aside = (freq - d->channel_hz[c]) / p->bandwidth_hz; /* of a symbol, too */
        double offset_hz = d->channel_hz[c] + link->domains[plan].offset_hz - config->freq_hz;

        if (!p->weak && uw_link_is_inside(offset_hz, p->bandwidth_hz, config->rate_hz))
            continue;
        if (fabs(aside) > ASIDE_LEAST && fabs(aside) < 1.0 &&
            fabs(remainder(since - (p->down ? -aside : aside) * symbol,
                           uw_link_slot(link, config->rate_hz))) <
                ASIDE_SYMBOLS * symbol + LATTICE_SDS * sigma)
            return true;
    }
    return false;
}

bool uw_link_is_aside(const struct uw_links *links, const struct uw_packet *p) {
    const struct uw_detector_config *config = links->env.config;
    const struct uw_place whole = {.start = p->start, .offset_hz = p->offset_hz};
    const struct uw_place *places = p->weak ? p->places : &whole;
    const int n_places = p->weak ? p->n_places : 1;

    if (p->modulation != UW_SIG_LORA || !isfinite(config->freq_hz))
        return false;
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        const struct emitter *link = &links->emitters[i];

        if (!link->used || !link->alerted || link->first_packet.sf != p->sf ||
            link->first_packet.down != p->down ||
            fabs(link->bandwidth_hz - p->bandwidth_hz) > 1.0 ||
            p->snr_db > link->snr_db + LINK_LEVEL_DB ||
            p->start - link->last_start > ASIDE_AGE_S * config->rate_hz)
            continue;
        int plan = uw_link_plan(link);
        for (int k = 0; plan != LINK_NONE && k < n_places; ++k) {
            if (is_on_line(link, plan, config, p, &places[k]))
                return true;
        }
    }
    return false;
}

/* Whether nearly all that was heard of the emitter lies on the channel of the other. */
static bool keeps_to_channel(const struct emitter *e, const struct emitter *other) {
    double reach = 0.25 * (e->bandwidth_hz + other->bandwidth_hz);
    int64_t on = 0;
    int64_t n = 0;

    for (int i = 0; i < e->n_channels; ++i) {
        n += e->channel_packets[i];
        if (fabs(e->channels_hz[i] - other->dwell_offset_hz) < reach)
            on += e->channel_packets[i];
    }
    return (double)on > TRAIN_SHARE * (double)n;
}

/* Whether the emitter's slots come with the train's, by the same crystal as far as is known. */
static bool shares_clock(const struct emitter *e, const struct emitter *train, double rate_hz) {
    double sigma = sqrt(e->var_clock + train->var_clock);

    return isfinite(uw_link_lattices_apart(e, train, rate_hz)) &&
           fabs(e->clock - train->clock) < TRAIN_SIGMAS * sigma;
}

bool uw_link_is_of_train(const struct uw_links *links, const struct emitter *e) {
    if (e->alerted || 2 * e->n_weak <= e->n_packets)
        return false;
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        const struct emitter *o = &links->emitters[i];

        if (o != e && o->used && o->never_hops && o->n_packets > e->n_packets &&
            keeps_to_channel(e, o) && shares_clock(e, o, links->env.config->rate_hz))
            return true;
    }
    return false;
}

bool uw_links_is_harmonic(const struct uw_links *links, const struct uw_packet *p) {
    double reach = CAST_S * links->env.config->rate_hz;

    for (size_t i = 0; i < LINK_STRETCHES; ++i) {
        const struct uw_packet *other = &links->stretches[i].packet;

        if (other->modulation == p->modulation && fabs(other->start - p->start) < reach &&
            fabs(other->stop - p->stop) < reach && other->snr_db > p->snr_db + CAST_DB)
            return true;
    }
    return false;
}

/* Whether the packet is of the emitter's waveform, either way round, and so much stronger. */
static bool is_stronger(const struct emitter *e, const struct uw_packet *p) {
    const struct uw_packet *first = &e->first_packet;

    return p->modulation == UW_SIG_LORA && first->modulation == UW_SIG_LORA && p->sf == first->sf &&
           fabs(p->bandwidth_hz - first->bandwidth_hz) < 1.0 &&
           p->snr_db > e->snr_db + LINK_IMAGE_DB;
}

/* Whether most of the mirrored packets so shortly before or after its latest are on its lattice. */
static bool has_mirrored(const struct uw_links *links, const struct emitter *e,
                         const struct uw_sig_variant *v, double age_s) {
    double rate = links->env.config->rate_hz;
    double symbol = uw_link_symbol(e, rate); /* theirs, too */
    int on = 0;
    int off = 0;

    for (size_t i = 0; i < LINK_STRETCHES; ++i) {
        struct uw_packet p = links->stretches[i].packet;

        if (!is_stronger(e, &p) || p.down == e->first_packet.down ||
            fabs(p.start - e->last_start) > age_s * rate)
            continue;
        /* a weak packet's begin is reckoned from its sync word */
        if (p.preamble > 0)
            p.start += (p.preamble - v->preamble) * symbol;
        p.start_error_s = IMAGE_SYMBOL / LATTICE_SDS * symbol / rate;
        if (uw_link_fit(e, rate, &p).misfit <= 1.0)
            ++on;
        else
            ++off;
    }
    return on >= IMAGES_MIN && on > off;
}

bool uw_link_is_image(const struct uw_links *links, const struct emitter *e) {
    const struct uw_sig_variant *v = uw_link_variant(e, true);
    double rate = links->env.config->rate_hz;
    double near_s = IMAGE_SYMBOL * uw_link_symbol(e, rate) / (IMAGE_CLOCK * rate);

    return v && (has_mirrored(links, e, v, IMAGE_AGE_S) ||
                 has_mirrored(links, e, v, fmin(near_s, IMAGE_AGE_S)));
}

bool uw_link_is_cast(const struct uw_links *links, const struct emitter *e) {
    double rate = links->env.config->rate_hz;
    int n = 0;

    if (e->alerted || 2 * e->n_weak <= e->n_packets || !uw_link_is_torn(links, e))
        return false;
    for (size_t i = 0; i < LINK_STRETCHES; ++i) {
        const struct uw_packet *p = &links->stretches[i].packet;

        n += is_stronger(e, p) && fabs(p->start - e->last_start) <= IMAGE_AGE_S * rate;
    }
    return n >= IMAGES_MIN;
}
