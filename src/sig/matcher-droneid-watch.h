/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_SIG_MATCHER_DRONEID_WATCH_H
#define UW_SRC_SIG_MATCHER_DRONEID_WATCH_H

/*
 * Private to the DroneID matcher: where energy of its width and length lies, below what the front
 * end calls a burst
 *
 * Threads: one. Ownership: the front end must outlive the watch.
 */

#include <stdbool.h>
#include <stdint.h>

#include "uw/dsp/front.h"

struct uw_droneid_watch;

struct uw_droneid_suspect {
    uint64_t start, stop;
    double lower_hz, upper_hz; /* of the possible centre */
};

int uw_droneid_watch_new(struct uw_front *front, double rate_hz,
                         struct uw_droneid_watch **ret_watch);
struct uw_droneid_watch *uw_droneid_watch_free(struct uw_droneid_watch *watch);
/* Goes through the spectra that have come since; false at their end. */
bool uw_droneid_watch_next(struct uw_droneid_watch *watch, struct uw_droneid_suspect *ret_suspect);

#endif
