/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "uw/base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "uw/base/err.h"

#define NUMBER_MAX 64 /* characters of a number that anybody means */

bool uw_str_copy(char *dst, size_t size, const char *src) {
    size_t n = strlen(src);
    bool fits = n < size;

    if (size == 0)
        return false;
    if (!fits)
        n = size - 1;
    memcpy(dst, src, n);
    dst[n] = 0;
    return fits;
}

bool uw_str_ends_with(const char *s, const char *suffix) {
    size_t n = strlen(s), m = strlen(suffix);

    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Length of [+-]digits[.digits] with at least one digit; 0 if that is not what stands here. */
static size_t mantissa_len(const char *s) {
    size_t i = 0, n_digits = 0;

    if (s[i] == '+' || s[i] == '-')
        i++;
    for (; is_digit(s[i]); i++)
        n_digits++;
    if (s[i] == '.')
        i++;
    for (; is_digit(s[i]); i++)
        n_digits++;
    return n_digits > 0 ? i : 0;
}

/* Takes "e[+-]digits" at *s, if it is there. Returns false if it is malformed. */
static bool take_exponent(const char **s, int *ret) {
    const char *p = *s;
    int sign = 1, e = 0;

    *ret = 0;
    if (*p != 'e' && *p != 'E')
        return true;
    p++;
    if (*p == '+' || *p == '-')
        sign = *p++ == '-' ? -1 : 1;
    if (!is_digit(*p))
        return false;
    for (; is_digit(*p); p++) {
        if (e < 10000)
            e = e * 10 + (*p - '0');
    }
    *ret = sign * e;
    *s = p;
    return true;
}

static int take_suffix(const char **s) {
    switch (**s) {
    case 'k':
        (*s)++;
        return 3;
    case 'M':
        (*s)++;
        return 6;
    case 'G':
        (*s)++;
        return 9;
    default:
        return 0;
    }
}

/* Only what looks like a number reaches strtod(), which would also take "nan", "0x1p3" or blanks;
 * the suffix becomes part of the exponent, so that "866.4M" is the double next to 866.4e6. */
int uw_str_to_double(const char *s, double min, double max, double *ret) {
    char text[NUMBER_MAX + 16];
    size_t n = mantissa_len(s);
    const char *p = s + n;
    int exponent;
    double x;

    if (n == 0 || n > NUMBER_MAX || !take_exponent(&p, &exponent))
        return UW_E_INPUT;
    exponent += take_suffix(&p);
    if (*p)
        return UW_E_INPUT;
    memcpy(text, s, n);
    snprintf(text + n, sizeof(text) - n, "e%d", exponent);

    /* In glibc and musl the C locale is a constant object: it needs no freelocale(). */
    x = strtod_l(text, NULL, newlocale(LC_ALL_MASK, "C", NULL));
    if (!isfinite(x) || x < min || x > max)
        return UW_E_INPUT;
    *ret = x;
    return 0;
}

int uw_str_to_int64(const char *s, int64_t min, int64_t max, int64_t *ret) {
    bool negative = *s == '-';
    int64_t x = 0;

    if (*s == '-' || *s == '+')
        s++;
    if (!is_digit(*s))
        return UW_E_INPUT;
    for (; is_digit(*s); s++) {
        int digit = *s - '0';

        if (__builtin_mul_overflow(x, 10, &x) ||
            __builtin_add_overflow(x, negative ? -digit : digit, &x))
            return UW_E_INPUT;
    }
    if (*s || x < min || x > max)
        return UW_E_INPUT;
    *ret = x;
    return 0;
}

bool uw_str_is_name(const char *s) {
    size_t n = strlen(s);

    return n >= 1 && n <= 31 &&
           strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == n;
}

/* Reads to the end, at most max + 1 bytes, into a buffer that grows. Returns its length or -errno.
 */
static ssize_t read_all(int fd, size_t max, char **buf) {
    size_t n = 0, size = 0;
    ssize_t r = 1;

    while (r > 0 && n <= max) {
        if (n == size) {
            char *p;

            size = size == 0 ? 4096 : size * 2;
            p = realloc(*buf, size + 1);
            if (!p)
                return -ENOMEM;
            *buf = p;
        }
        r = read(fd, *buf + n, size - n);
        if (r < 0 && errno != EINTR)
            return -errno;
        if (r < 0)
            r = 1;
        else
            n += (size_t)r;
    }
    return (ssize_t)n;
}

int uw_file_read(const char *path, size_t max, struct uw_diag *diag, char **ret, size_t *ret_len) {
    char *buf = NULL;
    ssize_t n;
    int fd;

    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return uw_diag_add(diag, "%s: cannot be opened: %s", path, strerror(errno));
    n = read_all(fd, max, &buf);
    close(fd);
    if (n >= 0 && (size_t)n <= max) {
        buf[n] = 0;
        *ret = buf;
        *ret_len = (size_t)n;
        return 0;
    }
    free(buf);
    if (n == -ENOMEM)
        return uw_err(-ENOMEM);
    if (n < 0)
        return uw_diag_add(diag, "%s: cannot be read: %s", path, strerror((int)-n));
    return uw_diag_add(diag, "%s: larger than %zu bytes", path, max);
}
