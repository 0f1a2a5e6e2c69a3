/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_SIG_LINKS_ALIKE_IMPL_H
#define UW_SRC_SIG_LINKS_ALIKE_IMPL_H

/*
 * Private to src/sig: a link against traffic of its own waveform (links-alike.c)
 *
 * Threads: one.
 */

#include <stdbool.h>
#include <stdint.h>

#define LINK_DWELLS_KEPT 64
#define LINK_SLOTS_KEPT  64

struct emitter;
struct uw_detector_config;
struct uw_packet;

/* Nats against traffic of the same waveform that keeps to a lattice of its own (links-alike.c). */
struct link_alike {
    double lattice, raster, length; /* each believed to a limit */
    double hops;
    double kept_hops;             /* the same, of the dwells that are kept */
    double returns, kept_returns; /* the part of them that comes from the times of visits */
    double crowd;                 /* of the number of dwells, now; not above 0 */
    double slots;                 /* of the slots of the latest packets, now; not above 0 */
    double preamble;              /* against delimiters of inverted packets, and for whole ones */
};

/* A dwell that is judged again when more is known of the plan. */
struct link_dwell {
    int channel; /* in channels_hz */
    double offset_hz, error_hz;
    bool weak;
    int64_t slot;
};

/* Whether it could be two in a row, as a Gemini link's second carrier comes to where its first was.
 */
bool uw_link_is_two_dwells(const struct emitter *e);
/* What the channels of the dwells say against traffic that stays on its channels, with the one that
 * this packet begins: into `alike`. Called when the plans have been judged with it. */
void uw_link_judge_hop(struct emitter *e, const struct uw_detector_config *config,
                       const struct uw_packet *p, int64_t slot);
/* The sum, with the rarity of such traffic. */
double uw_link_alike_nats(const struct link_alike *alike);
/* What a packet's up-chirps say against the two of an inverted packet's delimiter: nats. */
double uw_link_judge_preamble(const struct emitter *e, const struct uw_packet *p);
/* The sum, with the rarity of such traffic. */
double uw_link_upright_nats(const struct link_alike *alike);
/* What the number of dwells heard says against a link, given how many packets each brought: nats,
 * not above 0, of all dwells so far. */
double uw_link_judge_crowd(const struct emitter *e);
/* What the slots of its latest packets say against a link, which sends in each of them: nats, not
 * above 0. */
double uw_link_judge_slots(const struct emitter *e);
/* What a weak packet's length says of the air rates, and against traffic of any length: nats. */
double uw_link_judge_length(struct emitter *e, const struct uw_packet *p);

#endif
