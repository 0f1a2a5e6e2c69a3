/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "writer-impl.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/err.h"

static void append(struct uw_writer *w, const char *data, size_t n) {
    if (w->r < 0)
        return;
    if (w->size - w->len <= n) {
        size_t size = (w->len + n + 1) * 2;
        char *buf = realloc(w->buf, size);

        if (!buf) {
            w->r = uw_err(-ENOMEM);
            return;
        }
        w->buf = buf;
        w->size = size;
    }
    memcpy(w->buf + w->len, data, n);
    w->len += n;
    w->buf[w->len] = '\0';
}

void uw_writer_deinit(struct uw_writer *w) {
    free(w->buf);
    *w = (struct uw_writer){0};
}

int uw_writer_steal(struct uw_writer *w, char **ret_text) {
    if (w->r < 0)
        return w->r;
    *ret_text = w->buf;
    *w = (struct uw_writer){0};
    return 0;
}

void uw_writer_cut(struct uw_writer *w, size_t len) {
    if (w->r < 0)
        return;
    w->len = len;
    w->buf[len] = '\0';
}

void uw_writer_raw(struct uw_writer *w, const char *text) {
    append(w, text, strlen(text));
}

static bool is_tail(unsigned char c) {
    return (c & 0xc0) == 0x80;
}

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
size_t uw_utf8_sequence(const unsigned char *s) {
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        return is_tail(s[1]) ? 2 : 0;
    if (s[0] >= 0xe0 && s[0] <= 0xef) {
        if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f))
            return 0;
        return is_tail(s[1]) && is_tail(s[2]) ? 3 : 0;
    }
    if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
            return 0;
        return is_tail(s[1]) && is_tail(s[2]) && is_tail(s[3]) ? 4 : 0;
    }
    return 0;
}

static void control(struct uw_writer *w, unsigned char c) {
    static const char hex[] = "0123456789abcdef";
    char text[] = "\\u0000";

    switch (c) {
    case '\n':
        append(w, "\\n", 2);
        return;
    case '\r':
        append(w, "\\r", 2);
        return;
    case '\t':
        append(w, "\\t", 2);
        return;
    default:
        text[4] = hex[c >> 4];
        text[5] = hex[c & 15];
        append(w, text, 6);
    }
}

void uw_writer_string(struct uw_writer *w, const char *s) {
    append(w, "\"", 1);
    while (*s) {
        unsigned char c = (unsigned char)*s;
        size_t n = uw_utf8_sequence((const unsigned char *)s);

        if (n == 0) {
            append(w, "?", 1);
            n = 1;
        } else if (c < 0x20) {
            control(w, c);
        } else {
            if (c == '"' || c == '\\')
                append(w, "\\", 1);
            append(w, s, n);
        }
        s += n;
    }
    append(w, "\"", 1);
}

/* At least `digits` digits. */
static void digits_of(struct uw_writer *w, uint64_t value, int digits) {
    char text[24];
    size_t i = sizeof(text);

    do {
        text[--i] = (char)('0' + value % 10);
        value /= 10;
        digits--;
    } while (value > 0 || digits > 0);
    append(w, text + i, sizeof(text) - i);
}

void uw_writer_uint(struct uw_writer *w, uint64_t value) {
    digits_of(w, value, 1);
}

void uw_writer_real(struct uw_writer *w, double value, int decimals) {
    static const uint64_t scales[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};
    uint64_t scale, n;

    assert(decimals >= 0 && decimals <= 7 && isfinite(value));
    scale = scales[decimals];
    n = (uint64_t)llround(fabs(value) * (double)scale);
    if (value < 0 && n > 0)
        append(w, "-", 1);
    digits_of(w, n / scale, 1);
    if (decimals > 0) {
        append(w, ".", 1);
        digits_of(w, n % scale, decimals);
    }
}
