/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_BASE_LOG_H
#define UW_BASE_LOG_H

/*
 * Log: one line an event on standard error, "<level> <part>: text"
 *
 * Libraries below src/engine do not log (they return); engine, app and tools do. When standard
 * error is the systemd journal (JOURNAL_STREAM is set) lines carry the "<n>" priority prefix.
 * Secrets are never passed here. Threads: any; a line is written with one write(2).
 */

enum uw_log_level { UW_LOG_ERROR, UW_LOG_WARNING, UW_LOG_INFO, UW_LOG_DEBUG };

void uw_log_set_level(enum uw_log_level level);
void uw_log(enum uw_log_level level, const char *part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
