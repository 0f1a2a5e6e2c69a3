/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_BASE_LOG_H
#define UW_BASE_LOG_H

/*
 * Log: one line an event on standard error
 *
 *     <level> <part>: text key=value key="value with spaces"
 *
 * Libraries below src/engine do not log (they return); engine, app and tools do. When standard
 * error is the systemd journal (JOURNAL_STREAM names it) lines carry the "<n>" priority prefix of
 * sd-daemon(3).
 *
 * The same message comes UW_LOG_BURST times in UW_LOG_WINDOW_S seconds at most; what is more is
 * counted, and the count is said when the window is over ("N more suppressed"). The same message
 * means the same part and the same format or text; for uw_log_kv() also the same first field, so
 * that one receiver's trouble does not hide another's.
 *
 * Secrets are never passed here; a field whose key says that it is one is not written.
 *
 * Threads: any; a line is written with one write(2). Takes a lock: not for the sample path.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UW_LOG_BURST    5
#define UW_LOG_WINDOW_S 10

enum uw_log_level { UW_LOG_ERROR, UW_LOG_WARNING, UW_LOG_INFO, UW_LOG_DEBUG };

enum uw_log_kind { UW_LOG_KIND_TEXT, UW_LOG_KIND_INT, UW_LOG_KIND_REAL };

/* NULL text and a real number that is not finite: the field is left out. */
struct uw_log_field {
    const char *key;
    enum uw_log_kind kind;
    const char *text;
    long long integer;
    double real;
};

#define uw_log_s(k, v) ((struct uw_log_field){.key = (k), .kind = UW_LOG_KIND_TEXT, .text = (v)})
#define uw_log_i(k, v)                                                                             \
    ((struct uw_log_field){.key = (k), .kind = UW_LOG_KIND_INT, .integer = (long long)(v)})
#define uw_log_r(k, v) ((struct uw_log_field){.key = (k), .kind = UW_LOG_KIND_REAL, .real = (v)})

void uw_log_set_level(enum uw_log_level level);
void uw_log(enum uw_log_level level, const char *part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void uw_log_fields(enum uw_log_level level, const char *part, const char *text,
                   const struct uw_log_field *fields, size_t n);
/* uw_log_kv(UW_LOG_WARNING, "rx", "samples lost", uw_log_s("receiver", name), uw_log_i("n", 5)) */
#define uw_log_kv(level, part, text, ...)                                                          \
    uw_log_fields((level), (part), (text), (const struct uw_log_field[]){__VA_ARGS__},             \
                  sizeof((const struct uw_log_field[]){__VA_ARGS__}) /                             \
                      sizeof(struct uw_log_field))
/* For uw_err(): "error: func @ file:line: what", whatever the level, limited as the others. */
void uw_log_origin(const char *func, const char *file, int line, const char *what);
/* From now on what libraries print to stdio's stderr are events of the part "library", at the level
 * info and limited as all others. Once, before there are threads. */
void uw_log_take_stdio(void);
/* Says how much was suppressed in windows that are over at this monotonic time: now and then. */
void uw_log_tick(int64_t now_mono_ns);
/* Says it of all: before the end. */
void uw_log_flush(void);

#endif
