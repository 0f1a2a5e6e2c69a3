/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_ENGINE_PLAN_IMPL_H
#define UW_SRC_ENGINE_PLAN_IMPL_H

/*
 * Private to src/engine: the planner's parts
 *
 *   plan.c         links and bands, who hears what
 *   plan-choose.c  centres for receivers
 *   plan-wait.c    how long it takes
 *   plan-joint.c   ... for several receivers that stay
 *
 * Threads: any.
 */

#include <stdbool.h>
#include <stdint.h>

#include "uw/engine/plan.h"

/* --- plan.c --- */

bool uw_plan_is_target(const struct uw_signature *s);
bool uw_plan_in_region(const struct uw_sig_domain *d, const char *region);
/* Whether the whole signal fits. */
bool uw_plan_visible(const struct uw_plan_receiver *r, double centre_hz, double channel_hz,
                     double bandwidth_hz);
bool uw_plan_hops(const struct uw_signature *s, const struct uw_sig_variant *v);

/* --- plan-choose.c --- */

/* Fills plan->walks from plan->links and plan->bands. 0 or -ENOMEM. */
int uw_plan_choose(const struct uw_plan_config *config, struct uw_plan *plan);

/* --- plan-wait.c --- */

/* Fills the times of one link. 0 or -ENOMEM. */
int uw_plan_wait(const struct uw_plan_config *config, const struct uw_plan *plan,
                 struct uw_plan_link *link);

/* --- plan-joint.c --- */

/* Channels that the same receivers hear. */
struct uw_plan_cell {
    uint32_t receivers;
    int n;
};

struct uw_plan_joint {
    int n_channels;
    bool sync;               /* the first hop of a block goes to the sync channel */
    uint32_t sync_receivers; /* who hears it */
    int n_cells;             /* without the sync channel */
    struct uw_plan_cell cells[UW_SIG_CHANNELS_MAX];
    int k; /* dwells that it takes, at most UW_PLAN_NAME_DWELLS */
};

/* unknown[h], h from 0 to n_hops: probability that after h hops nobody has heard k dwells. 0 or
 * -ENOMEM. */
int uw_plan_joint(const struct uw_plan_joint *in, double *unknown, int n_hops);

#endif
