/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_SIG_LINKS_JUMP_IMPL_H
#define UW_SRC_SIG_LINKS_JUMP_IMPL_H

/*
 * Private to src/sig: links across samples that were lost without a word
 *
 * Threads: one.
 */

#include <stdbool.h>

#include "links-impl.h"

/* The emitter of which `e`, with this packet of it, is the continuation behind samples that were
 * lost without a word, or NULL (links-jump.c). */
struct emitter *uw_link_jumped(struct uw_links *links, struct emitter *e,
                               const struct uw_packet *p);
/* ... goes on there with the packet; `e` is used no more. */
void uw_link_jump(struct uw_links *links, struct emitter *old, struct emitter *e,
                  const struct uw_packet *p);
/* Whether most of its packets were measured whole. */
bool uw_link_is_whole(const struct emitter *e);
/* Whether another that has been alerted may be the same link: nothing has told them apart yet. */
bool uw_link_is_not_apart(const struct uw_links *links, const struct emitter *e);
/* Whether one that it has been told apart from has yet to be spoken of again: whoever hears of both
 * takes an emitter that begins when another ends for the same. */
bool uw_link_is_waiting(const struct uw_links *links, const struct emitter *e);
/* What a packet that goes on with the emitter's dwell says: which others are not it. */
void uw_link_tell_apart(struct uw_links *links, struct emitter *e, const struct uw_packet *p);
/* Samples of a LoRa emitter's symbol. */
double uw_link_symbol(const struct emitter *e, double rate_hz);
/* Samples from the slots of one to those of the other; infinite where one period is no multiple of
 * the other. */
double uw_link_lattices_apart(const struct emitter *a, const struct emitter *b, double rate_hz);
/* Whether two lattices are one, or would be but for a packet measured badly. */
bool uw_link_same_lattice(const struct emitter *a, const struct emitter *b, double rate_hz);

#endif
