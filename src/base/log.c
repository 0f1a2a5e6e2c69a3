/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "uw/base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_LEN 2048 /* under PIPE_BUF, so that lines of several threads do not mix */

static _Atomic int log_level = UW_LOG_INFO;
static pthread_once_t journal_once = PTHREAD_ONCE_INIT;
static bool is_journal;

static const struct {
    const char *name;
    int priority; /* of syslog(3) */
} levels[] = {
    [UW_LOG_ERROR] = {"error", 3},
    [UW_LOG_WARNING] = {"warning", 4},
    [UW_LOG_INFO] = {"info", 6},
    [UW_LOG_DEBUG] = {"debug", 7},
};

/* JOURNAL_STREAM names the device and inode of the journal's socket: a program whose standard
 * error was redirected inherits the variable, but does not write to the journal. */
static void look_for_journal(void) {
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long dev, ino;
    struct stat st;

    if (stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0)
        is_journal = st.st_dev == dev && st.st_ino == ino;
}

void uw_log_set_level(enum uw_log_level level) {
    atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

void uw_log(enum uw_log_level level, const char *part, const char *format, ...) {
    char line[LINE_MAX_LEN];
    size_t n, text;
    va_list ap;

    if ((int)level > atomic_load_explicit(&log_level, memory_order_relaxed))
        return;
    pthread_once(&journal_once, look_for_journal);

    line[0] = 0;
    if (is_journal)
        snprintf(line, sizeof(line), "<%d>", levels[level].priority);
    n = strlen(line);
    snprintf(line + n, sizeof(line) - n, "%s %s: ", levels[level].name, part);
    text = strlen(line);
    va_start(ap, format);
    vsnprintf(line + text, sizeof(line) - 1 - text, format, ap);
    va_end(ap);

    /* One event, one line, whatever a peer's text contains. */
    n = strlen(line);
    for (size_t i = text; i < n; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    }
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, n) < 0)
        return; /* nowhere left to say so */
}
