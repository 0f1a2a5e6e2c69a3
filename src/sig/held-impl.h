/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_SIG_HELD_IMPL_H
#define UW_SRC_SIG_HELD_IMPL_H

/*
 * Private to src/sig: packets that wait until nothing stronger can be the same packet
 *
 * Threads: one. Ownership: the caller's; needs no clean-up.
 */

#include <stdbool.h>
#include <stddef.h>

#include "links-impl.h"

#define UW_HELD_MAX 128

struct uw_held_hit {
    struct uw_packet packet;
    double sum;   /* power over the noise's of all that was tested: comparable */
    double until; /* input sample: held that long */
};

struct uw_held {
    size_t n;
    struct uw_held_hit hits[UW_HELD_MAX];
};

/* If it is full, the weakest is lost. */
void uw_held_add(struct uw_held *held, const struct uw_held_hit *hit);
/* The next, in the order of time, that was held until `sample` and is the strongest of its packet;
 * the others of this packet go with it. */
bool uw_held_next(struct uw_held *held, double sample, struct uw_packet *ret_packet);

#endif
