/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf-impl.h"
#include "uw/base/err.h"

/*
 * libconfig converts literals with atoi() and atof(): what does not fit is wrapped or becomes
 * infinite without a word. So the text is looked at before. The scan knows comments and strings
 * exactly as libconfig's lexer does, takes every run of number-like characters as one word, and
 * refuses words that are not wholly a number: then there is no literal that libconfig sees and the
 * scan does not.
 *
 * libconfig's parser and destructor recurse, and its look-up of duplicates is quadratic: depth and
 * number of settings are limited here, too.
 */

#define DEPTH_MAX    16
#define SETTINGS_MAX 20000
#define MISTAKES_MAX 100 /* a binary file is no configuration with a million mistakes */

struct scan {
    const char *name;
    const char *p, *end; /* *end is 0 */
    unsigned line;
    unsigned depth, n_settings;
    unsigned n_mistakes;
    struct uw_diag *diag;
};

__attribute__((format(printf, 2, 3))) static void mistake(struct scan *s, const char *format, ...) {
    char text[256];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    uw_diag_add(s->diag, "%s:%u: %s", s->name, s->line, text);
    s->n_mistakes++;
}

static bool starts_with(const struct scan *s, const char *what) {
    size_t n = strlen(what);

    return (size_t)(s->end - s->p) >= n && memcmp(s->p, what, n) == 0;
}

static void skip_block_comment(struct scan *s) {
    unsigned start = s->line;

    for (s->p += 2; s->p < s->end; s->p++) {
        if (starts_with(s, "*/")) {
            s->p += 2;
            return;
        }
        s->line += *s->p == '\n';
    }
    s->line = start;
    mistake(s, "a comment begins here and does not end");
}

static void skip_string(struct scan *s) {
    unsigned start = s->line;

    for (s->p++; s->p < s->end; s->p++) {
        if (*s->p == '"') {
            s->p++;
            return;
        }
        if (starts_with(s, "\\x00"))
            mistake(s, "\\x00 is not allowed in a string");
        /* only these two matter for finding the end */
        if (starts_with(s, "\\\"") || starts_with(s, "\\\\"))
            s->p++;
        s->line += *s->p == '\n';
    }
    s->line = start;
    mistake(s, "a string begins here and does not end");
}

/* Splits off "L" or "LL". */
static bool take_long_suffix(const char *word, size_t *len) {
    size_t n = *len;

    while (*len > 0 && n - *len < 2 && word[*len - 1] == 'L')
        --*len;
    return *len < n;
}

static bool is_hex_word(const char *word, size_t len) {
    if (len < 3 || word[0] != '0' || (word[1] != 'x' && word[1] != 'X'))
        return false;
    for (size_t i = 2; i < len; i++) {
        if (!isxdigit((unsigned char)word[i]))
            return false;
    }
    return true;
}

/* The value of len digits; false if it is over the limit. */
static bool fits(const char *digits, size_t len, unsigned base, uint64_t limit) {
    uint64_t x = 0;

    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)digits[i];
        unsigned digit = isdigit(c) ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;

        if (x > (limit - digit) / base)
            return false;
        x = x * base + digit;
    }
    return true;
}

static void check_integer(struct scan *s, const char *word, size_t len, bool is_long, bool is_hex) {
    size_t sign = word[0] == '-' || word[0] == '+', prefix = is_hex ? 2 : sign;
    uint64_t limit = is_long ? (uint64_t)INT64_MAX : (uint64_t)INT32_MAX;
    int shown = len > 40 ? 40 : (int)len;

    if (word[0] == '-')
        limit++;
    if (fits(word + prefix, len - prefix, is_hex ? 16 : 10, limit))
        return;
    if (is_long)
        mistake(s, "the integer %.*s does not fit in 64 bits", shown, word);
    else
        mistake(s,
                "the integer %.*s does not fit in 32 bits: write it with L at the end, or as a "
                "number with a point or exponent",
                shown, word);
}

/* [+-]digits[.digits][e[+-]digits], digits on one side of the point at least.
 * 0: no number; 1: integer; 2: float. */
static int number_kind(const char *word, size_t len) {
    size_t i = 0, n_digits = 0;
    int kind = 1;

    if (word[i] == '-' || word[i] == '+')
        i++;
    for (; i < len && isdigit((unsigned char)word[i]); i++)
        n_digits++;
    if (i < len && word[i] == '.') {
        kind = 2;
        for (i++; i < len && isdigit((unsigned char)word[i]); i++)
            n_digits++;
    }
    if (n_digits == 0)
        return 0;
    if (i == len)
        return kind;
    if (word[i] != 'e' && word[i] != 'E')
        return 0;
    i++;
    if (i < len && (word[i] == '-' || word[i] == '+'))
        i++;
    if (i == len)
        return 0;
    while (i < len && isdigit((unsigned char)word[i]))
        i++;
    return i == len ? 2 : 0;
}

static bool is_not_finite_word(const char *word, size_t len) {
    static const char *const words[] = {"nan", "inf", "infinity"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strlen(words[i]) == len && strncasecmp(word, words[i], len) == 0)
            return true;
    }
    return false;
}

static void check_number(struct scan *s, const char *word, size_t len) {
    int shown = len > 40 ? 40 : (int)len;
    size_t digits_len = len;
    bool is_long = take_long_suffix(word, &digits_len);
    int kind;

    if (is_hex_word(word, digits_len)) {
        check_integer(s, word, digits_len, is_long, true);
        return;
    }
    kind = number_kind(word, digits_len);
    if (kind == 1)
        check_integer(s, word, digits_len, is_long, false);
    else if (is_not_finite_word(word + 1, len - 1))
        mistake(s, "%.*s: a number must be finite", shown, word);
    else if (kind == 0 || is_long)
        mistake(s, "'%.*s' is not a number", shown, word);
    else if (!isfinite(strtod_l(word, NULL, uw_conf_c_locale())))
        mistake(s, "the number %.*s is too large", shown, word);
}

static bool is_word_char(char c) {
    return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '+' || c == '.' || c == '*';
}

static bool is_number_start(char c) {
    return isdigit((unsigned char)c) || c == '-' || c == '+' || c == '.';
}

/* A key called "inf" is a key; as a value the word would be an unexplained syntax error. */
static void check_name(struct scan *s, const char *word, size_t len) {
    const char *next = word + len;

    if (!is_not_finite_word(word, len))
        return;
    while (isspace((unsigned char)*next))
        next++;
    if (*next != '=' && *next != ':')
        mistake(s, "%.*s: a number must be finite", (int)len, word);
}

static void take_word(struct scan *s) {
    const char *word = s->p;

    while (s->p < s->end && is_word_char(*s->p))
        s->p++;
    if (is_number_start(*word))
        check_number(s, word, (size_t)(s->p - word));
    else
        check_name(s, word, (size_t)(s->p - word));
}

static void refuse_char(struct scan *s) {
    unsigned char c = (unsigned char)*s->p;

    if (starts_with(s, "@include"))
        mistake(s, "@include is not allowed");
    else if (c > 0x20 && c < 0x7f)
        mistake(s, "unexpected character '%c'", c);
    else
        mistake(s, "unexpected byte 0x%02x outside of a string", c);
    /* One mistake a line is enough. */
    while (s->p < s->end && *s->p != '\n')
        s->p++;
}

static void open_bracket(struct scan *s) {
    s->p++;
    if (++s->depth == DEPTH_MAX + 1) {
        mistake(s, "nested deeper than %d levels", DEPTH_MAX);
        s->p = s->end;
    }
}

static void count_setting(struct scan *s) {
    s->p++;
    if (++s->n_settings == SETTINGS_MAX + 1) {
        mistake(s, "more than %d settings", SETTINGS_MAX);
        s->p = s->end;
    }
}

static void scan_one(struct scan *s) {
    char c = *s->p;

    if (c == '#' || starts_with(s, "//")) {
        while (s->p < s->end && *s->p != '\n')
            s->p++;
    } else if (starts_with(s, "/*")) {
        skip_block_comment(s);
    } else if (c == '"') {
        skip_string(s);
    } else if (c != 0 && strchr("{([", c)) {
        open_bracket(s);
    } else if (c != 0 && strchr("})]", c)) {
        s->depth -= s->depth > 0; /* libconfig complains about the balance */
        s->p++;
    } else if (c == '=' || c == ':') {
        count_setting(s);
    } else if (c != 0 && strchr(" \t\r\n\f\v;,", c)) {
        s->line += c == '\n';
        s->p++;
    } else if (is_word_char(c)) {
        take_word(s);
    } else {
        refuse_char(s);
    }
}

unsigned uw_conf_scan(const char *name, const char *text, size_t len, struct uw_diag *diag) {
    struct scan s = {.name = name, .p = text, .end = text + len, .line = 1, .diag = diag};

    while (s.p < s.end && s.n_mistakes < MISTAKES_MAX)
        scan_one(&s);
    return s.n_mistakes;
}
