/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What others print
 *
 * Libraries for programmers print to stdio's standard error as they please: librtlsdr a line for
 * each retune that has not locked, twice a second for ever. In a log of events with a limit that is
 * an event like any other.
 */
#include <stdio.h>
#include <string.h>

#include "uw/base/log.h"

#define LINE_LEN 512

/* Called with the stream's lock, with what one or more calls of printf() have made. */
static ssize_t take(void *cookie, const char *text, size_t len) {
    const char *end = text + len;

    (void)cookie;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t n = (size_t)((newline ? newline : end) - text);
        char line[LINE_LEN];

        if (n > 0) {
            snprintf(line, sizeof(line), "%.*s", (int)(n < sizeof(line) ? n : sizeof(line) - 1),
                     text);
            /* the last words of this program go the same way */
            uw_log(strstr(line, "Assertion") ? UW_LOG_ERROR : UW_LOG_INFO, "library", "%s", line);
        }
        text += n + 1;
    }
    return (ssize_t)len;
}

void uw_log_take_stdio(void) {
    FILE *f = fopencookie(NULL, "w", (cookie_io_functions_t){.write = take});

    if (!f)
        return;
    setvbuf(f, NULL, _IOLBF, 4 * LINE_LEN);
    stderr = f;
}
