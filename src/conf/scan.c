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
 * The scan also follows the grammar: a message can then say what was expected, and libconfig, which
 * leaks the strings it holds when it meets a syntax error, meets none (but keys that stand twice).
 *
 * libconfig's parser and destructor recurse, and its look-up of duplicates is quadratic: depth and
 * number of settings are limited here, too.
 */

#define DEPTH_MAX    16
#define SETTINGS_MAX 20000
#define MISTAKES_MAX 100 /* a binary file is no configuration with a million mistakes */

/* What may come next. */
enum state {
    KEY,    /* of a group; or its end */
    ASSIGN, /* = or : */
    VALUE,
    VALUE_OR_CLOSE, /* just after ( or [ */
    AFTER,          /* a value: its end mark, the next key (the mark is optional), or a bracket */
};

enum kind { NONE, INT, INT64, FLOAT, BOOL, STRING };

struct scan {
    const char *name;
    const char *p, *end; /* *end is 0 */
    unsigned line;
    unsigned depth, n_settings;
    char open[DEPTH_MAX + 1]; /* the bracket of each level; level 0 is a group without */
    unsigned open_line[DEPTH_MAX + 1];
    enum state state;
    enum kind array_kind; /* of the elements so far: arrays do not nest */
    bool after_string;    /* another string continues it */
    bool lost;            /* after a syntax error only literals are looked at */
    unsigned n_mistakes, n_masked;
    char *text; /* what p goes through */
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

static void syntax_error(struct scan *s, const char *found, size_t len) {
    static const char *const expected[] = {
        [KEY] = "a key",
        [ASSIGN] = "'=' after the key",
        [VALUE] = "a value",
        [VALUE_OR_CLOSE] = "a value",
        [AFTER] = "';', ',' or a closing bracket",
    };
    int shown = len > 40 ? 40 : (int)len;

    if (s->lost)
        return;
    s->lost = true;
    if (len > 0)
        mistake(s, "syntax error: expected %s, not '%.*s'", expected[s->state], shown, found);
    else
        mistake(s, "syntax error: expected %s, but the file ends", expected[s->state]);
}

static char level(const struct scan *s) {
    return s->open[s->depth];
}

/* A scalar of this kind stands at word. */
static void take_value(struct scan *s, enum kind kind, const char *word, size_t len) {
    bool joined = kind == STRING && s->after_string && s->state == AFTER;

    s->after_string = kind == STRING;
    if (joined)
        return;
    if (s->state != VALUE && s->state != VALUE_OR_CLOSE) {
        syntax_error(s, word, len);
        return;
    }
    s->state = AFTER;
    if (level(s) != '[' || s->lost)
        return;
    if (s->array_kind != NONE && s->array_kind != kind) {
        s->lost = true;
        mistake(s, "the elements of an array [ ] must be of one type; a list ( ) may mix them");
    }
    s->array_kind = kind;
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
    s->lost = true;
    mistake(s, "a comment begins here and does not end");
}

static void skip_string(struct scan *s) {
    unsigned start = s->line;

    take_value(s, STRING, "\"", 1);
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
    s->lost = true;
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

/* Refused, and the rest of the file can be looked at all the same. */
static void mask(struct scan *s, const char *word, size_t len) {
    char *at = s->text + (word - s->text);

    if (len < UW_CONF_MASK_LEN)
        return;
    memcpy(at, UW_CONF_MASK, UW_CONF_MASK_LEN);
    memset(at + UW_CONF_MASK_LEN, ' ', len - UW_CONF_MASK_LEN);
    s->n_masked++;
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

static enum kind check_number(struct scan *s, const char *word, size_t len) {
    int shown = len > 40 ? 40 : (int)len;
    unsigned before = s->n_mistakes;
    size_t digits_len = len;
    bool is_long = take_long_suffix(word, &digits_len);
    bool is_hex = is_hex_word(word, digits_len);
    int kind = number_kind(word, digits_len);

    if (is_hex || kind == 1) {
        check_integer(s, word, digits_len, is_long, is_hex);
        if (s->n_mistakes > before)
            mask(s, word, len);
        return is_long ? INT64 : INT;
    }
    if (is_not_finite_word(word + 1, len - 1))
        mistake(s, "%.*s: a number must be finite", shown, word);
    else if (kind == 0 || is_long)
        mistake(s, "'%.*s' is not a number", shown, word);
    else if (!isfinite(strtod_l(word, NULL, uw_conf_c_locale())))
        mistake(s, "the number %.*s is too large", shown, word);
    if (s->n_mistakes > before)
        mask(s, word, len);
    return FLOAT;
}

static bool is_word_char(char c) {
    return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '+' || c == '.' || c == '*';
}

static bool is_number_start(char c) {
    return isdigit((unsigned char)c) || c == '-' || c == '+' || c == '.';
}

static bool is_bool(const char *word, size_t len) {
    return (len == 4 && strncasecmp(word, "true", 4) == 0) ||
           (len == 5 && strncasecmp(word, "false", 5) == 0);
}

static void take_key(struct scan *s, const char *word, size_t len) {
    bool good = isalpha((unsigned char)*word) || *word == '*';

    for (size_t i = 0; i < len; i++)
        good = good && word[i] != '.' && word[i] != '+';
    if (!good && !s->lost) {
        s->lost = true;
        mistake(s, "'%.*s' cannot be a key", len > 40 ? 40 : (int)len, word);
    }
    if (++s->n_settings == SETTINGS_MAX + 1) {
        mistake(s, "more than %d settings", SETTINGS_MAX);
        s->p = s->end;
    }
    s->state = ASSIGN;
}

static void take_name(struct scan *s, const char *word, size_t len) {
    bool wants_value = s->state == VALUE || s->state == VALUE_OR_CLOSE;

    if (is_bool(word, len)) {
        take_value(s, BOOL, word, len);
    } else if (wants_value && is_not_finite_word(word, len)) {
        mistake(s, "%.*s: a number must be finite", (int)len, word);
        take_value(s, FLOAT, word, len);
    } else if (wants_value && !s->lost) {
        s->lost = true;
        mistake(s, "'%.*s' is not a value (a string needs quotes)", len > 40 ? 40 : (int)len, word);
    } else if (s->state == KEY || (s->state == AFTER && level(s) == '{')) {
        take_key(s, word, len);
    } else {
        syntax_error(s, word, len);
    }
}

static void take_word(struct scan *s) {
    const char *word = s->p;
    size_t len;

    while (s->p < s->end && is_word_char(*s->p))
        s->p++;
    len = (size_t)(s->p - word);
    if (is_number_start(*word))
        take_value(s, check_number(s, word, len), word, len);
    else
        take_name(s, word, len);
}

static void refuse_char(struct scan *s) {
    unsigned char c = (unsigned char)*s->p;

    s->lost = true;
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
    if ((s->state != VALUE && s->state != VALUE_OR_CLOSE) || level(s) == '[')
        syntax_error(s, s->p, 1);
    if (s->depth == DEPTH_MAX) {
        mistake(s, "nested deeper than %d levels", DEPTH_MAX);
        s->p = s->end;
        s->lost = true;
        return;
    }
    s->depth++;
    s->open[s->depth] = *s->p;
    s->open_line[s->depth] = s->line;
    s->array_kind = NONE;
    s->state = *s->p == '{' ? KEY : VALUE_OR_CLOSE;
    s->p++;
}

static void close_bracket(struct scan *s) {
    char opened = *s->p == '}' ? '{' : *s->p == ')' ? '(' : '[';
    bool complete = s->state == AFTER || s->state == (opened == '{' ? KEY : VALUE_OR_CLOSE);

    if (s->depth == 0 || level(s) != opened || !complete)
        syntax_error(s, s->p, 1);
    s->depth -= s->depth > 0;
    s->state = AFTER;
    s->p++;
}

static void take_mark(struct scan *s) {
    bool in_group = level(s) == '{';

    if (*s->p == '=' || *s->p == ':') {
        if (s->state != ASSIGN)
            syntax_error(s, s->p, 1);
        s->state = VALUE;
    } else {
        if (s->state != AFTER || (*s->p == ';' && !in_group))
            syntax_error(s, s->p, 1);
        s->state = in_group ? KEY : VALUE;
    }
    s->p++;
}

static void check_end(struct scan *s) {
    if (s->lost)
        return;
    if (s->state != KEY && s->state != AFTER && s->state != VALUE_OR_CLOSE) {
        syntax_error(s, "", 0);
    } else if (s->depth > 0) {
        s->line = s->open_line[s->depth];
        mistake(s, "syntax error: the bracket %c of this line is not closed", level(s));
    }
}

static bool is_any_of(char c, const char *set) {
    return c != 0 && strchr(set, c);
}

static void scan_token(struct scan *s) {
    char c = *s->p;
    bool continues = c == '"';

    if (c == '"')
        skip_string(s);
    else if (is_any_of(c, "{(["))
        open_bracket(s);
    else if (is_any_of(c, "})]"))
        close_bracket(s);
    else if (is_any_of(c, "=:;,"))
        take_mark(s);
    else if (is_word_char(c))
        take_word(s);
    else
        refuse_char(s);
    s->after_string = continues;
}

static void scan_one(struct scan *s) {
    if (*s->p == '#' || starts_with(s, "//")) {
        while (s->p < s->end && *s->p != '\n')
            s->p++;
    } else if (starts_with(s, "/*")) {
        skip_block_comment(s);
    } else if (is_any_of(*s->p, " \t\r\n\f\v")) {
        s->line += *s->p == '\n';
        s->p++;
    } else {
        scan_token(s);
    }
}

unsigned uw_conf_scan(const char *name, char *text, size_t len, struct uw_diag *diag,
                      bool *ret_masked) {
    struct scan s = {
        .name = name, .p = text, .end = text + len, .line = 1, .text = text, .diag = diag};

    s.open[0] = '{';
    while (s.p < s.end && s.n_mistakes < MISTAKES_MAX)
        scan_one(&s);
    check_end(&s);
    *ret_masked = s.n_masked > 0 && s.n_masked == s.n_mistakes;
    return s.n_mistakes;
}
