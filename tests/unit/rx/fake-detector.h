/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_TESTS_UNIT_RX_FAKE_DETECTOR_H
#define UW_TESTS_UNIT_RX_FAKE_DETECTOR_H

/*
 * A detector whose findings are a function of the sample count: linked in place of the real one
 *
 * Every FAKE_PERIOD samples emitter 1 (a hopper) has a finding, with evidence from the samples'
 * sum; every 40 periods emitter 2 (a burst that stands for itself) has four in a row; progress
 * every 10 periods. `fake_slow_ns` makes each push take that long.
 */

#include <stdatomic.h>

#define FAKE_PERIOD 5000 /* samples: 20 ms at 250 kHz */

extern _Atomic long fake_slow_ns;
extern _Atomic unsigned long fake_gaps;   /* samples given to uw_detector_gap() */
extern _Atomic unsigned long fake_n_gaps; /* calls of it */

#endif
