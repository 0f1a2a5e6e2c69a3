/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_BASE_TIME_H
#define UW_BASE_TIME_H

/*
 * Times
 *
 * A time is int64_t nanoseconds since 1970-01-01T00:00:00Z. Inside the chain it comes from sample
 * counts (event time); the clocks below are for sources, health and programs only.
 *
 * Threads: any.
 */

#include <stdint.h>

#define UW_NS_PER_S  INT64_C(1000000000)
#define UW_TIME_NONE INT64_MIN
#define UW_TIME_LEN  32 /* of a formatted time, with its zero */

/* "2026-11-23T18:02:36.120000Z": UTC, always six decimals (truncated towards the past). */
const char *uw_time_format(int64_t time_ns, char buf[UW_TIME_LEN]);
/* RFC 3339 with any offset and up to nine decimals. Returns 0 or UW_E_INPUT. */
int uw_time_parse(const char *text, int64_t *ret_time_ns);
/* Time of sample `index` at `rate_hz` after start, rounded to the nearest ns; exact to 1 ns for
 * index < 2^53 (128-bit arithmetic on the rate in mHz). */
int64_t uw_time_of_sample(int64_t start_ns, uint64_t index, double rate_hz);

int64_t uw_clock_real_ns(void);
int64_t uw_clock_mono_ns(void);

#endif
