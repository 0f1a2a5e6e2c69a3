/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Hysteresis in time: what comes and goes is told once
 *
 * Something must be bad for raise_ns without a break before it is told, and good for clear_ns
 * before that is. Times are of the monotonic clock.
 */
#include "engine-impl.h"

enum uw_condition_step uw_condition_step(struct uw_condition *c, bool bad, int64_t now_ns,
                                         int64_t raise_ns, int64_t clear_ns) {
    if (!c->known || bad != c->bad) {
        c->known = true;
        c->bad = bad;
        c->since_ns = now_ns;
    }
    if (!c->raised && bad && now_ns - c->since_ns >= raise_ns)
        c->raised = true;
    if (c->raised && !bad && now_ns - c->since_ns >= clear_ns) {
        c->raised = false;
        return UW_CONDITION_OVER;
    }
    if (!c->raised)
        return UW_CONDITION_QUIET;
    return bad ? UW_CONDITION_BAD : UW_CONDITION_GETTING_BETTER;
}
