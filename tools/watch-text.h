/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_TOOLS_WATCH_TEXT_H
#define UW_TOOLS_WATCH_TEXT_H

/*
 * Figures and enumerations as words for an operator. Threads: any; the time zone is the process's.
 */

#include <stddef.h>
#include <stdint.h>

#include "uw/msg/record.h"

#define UW_CLOCK_LEN    32
#define UW_DURATION_LEN 32

#define UW_PLAIN      "\033[0m"
#define UW_BOLD       "\033[1m"
#define UW_BOLD_RED   "\033[1;31m"
#define UW_BOLD_GREEN "\033[1;32m"

/* "21:04:05" local time, or date and UTC when it is more than a day away from now. Returns buf. */
const char *uw_text_clock(int64_t time_ns, int64_t now_ns, char buf[UW_CLOCK_LEN]);
/* "0 s", "12 s", "3 min 05 s", "2 h 10 min". Returns buf. */
const char *uw_text_duration(int64_t ns, char buf[UW_DURATION_LEN]);
const char *uw_text_confidence(double confidence);
const char *uw_text_severity(enum uw_severity severity);
const char *uw_text_kind(enum uw_alert_kind kind);
const char *uw_text_event(enum uw_alert_event event);
/* Position if it is known, and who hears it on which frequency. track may be NULL. */
void uw_text_where(const struct uw_track *track, char *text, size_t size);

#endif
