/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_ENGINE_PLAN_IMPL_H
#define UW_SRC_ENGINE_PLAN_IMPL_H

/*
 * Private to src/engine: the planner's parts
 *
 *   plan.c         links and bands, who hears what
 *   plan-choose.c  centres for receivers
 *   plan-wait.c    how long it takes
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

#endif
