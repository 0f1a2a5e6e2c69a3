/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "uw/base/time.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "uw/base/err.h"

/*
 * The calendar is proleptic Gregorian, counted in days from 1970-01-01 with the year starting in
 * March, so that the leap day is the last one. gmtime() would do for formatting, but not for
 * parsing: timegm() takes "31 February" without a word.
 */

#define DAYS_TO_1970 719468 /* from 0000-03-01 */
#define DAYS_PER_ERA 146097 /* of 400 years */

__extension__ typedef __int128 int128;

static int64_t floor_div(int64_t a, int64_t b) {
    int64_t q = a / b;

    return a % b < 0 ? q - 1 : q;
}

static int64_t days_from_date(int64_t year, int month, int day) {
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = floor_div(y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970;
}

static void date_from_days(int64_t days, int *year, int *month, int *day) {
    int64_t z = days + DAYS_TO_1970;
    int64_t era = floor_div(z, DAYS_PER_ERA);
    int64_t doe = z - era * DAYS_PER_ERA;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t m = (5 * doy + 2) / 153;

    *day = (int)(doy - (153 * m + 2) / 5 + 1);
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = (int)(yoe + era * 400 + (*month <= 2 ? 1 : 0));
}

const char *uw_time_format(int64_t time_ns, char buf[UW_TIME_LEN]) {
    int64_t s = floor_div(time_ns, UW_NS_PER_S);
    /* one step at a time: s * UW_NS_PER_S does not fit for the first second of the range */
    int64_t ns = time_ns % UW_NS_PER_S;
    int64_t days = floor_div(s, 86400);
    unsigned sec = (unsigned)(s - days * 86400);
    unsigned us;
    int year, month, day;

    if (ns < 0)
        ns += UW_NS_PER_S;
    date_from_days(days, &year, &month, &day);
    us = (unsigned)(ns / 1000);
    /* The remainders say to the compiler that the buffer is large enough. */
    snprintf(buf, UW_TIME_LEN, "%04d-%02d-%02dT%02u:%02u:%02u.%06uZ", year % 10000, month % 100,
             day % 100, sec / 3600 % 24, sec / 60 % 60, sec % 60, us % 1000000);
    return buf;
}

/* Takes exactly n digits; false if they are not there or out of range. */
static bool take_digits(const char **p, int n, int min, int max, int *ret) {
    int x = 0;

    for (int i = 0; i < n; i++, (*p)++) {
        if (**p < '0' || **p > '9')
            return false;
        x = x * 10 + (**p - '0');
    }
    *ret = x;
    return x >= min && x <= max;
}

static bool take_char(const char **p, const char *any_of) {
    for (; *any_of; any_of++) {
        if (**p == *any_of) {
            (*p)++;
            return true;
        }
    }
    return false;
}

static int days_of_month(int year, int month) {
    return (int)(days_from_date(month == 12 ? year + 1 : year, month % 12 + 1, 1) -
                 days_from_date(year, month, 1));
}

static bool take_fraction(const char **p, int64_t *ret_ns) {
    int64_t unit = UW_NS_PER_S / 10;

    *ret_ns = 0;
    if (!take_char(p, "."))
        return true;
    if (**p < '0' || **p > '9')
        return false;
    for (; **p >= '0' && **p <= '9'; (*p)++, unit /= 10) {
        if (unit == 0)
            return false;
        *ret_ns += unit * (**p - '0');
    }
    return true;
}

static bool take_offset(const char **p, int *ret_minutes) {
    int hours, minutes, sign;

    *ret_minutes = 0;
    if (take_char(p, "Zz"))
        return true;
    sign = **p == '-' ? -1 : 1;
    if (!take_char(p, "+-") || !take_digits(p, 2, 0, 23, &hours) || !take_char(p, ":") ||
        !take_digits(p, 2, 0, 59, &minutes))
        return false;
    *ret_minutes = sign * (hours * 60 + minutes);
    return true;
}

int uw_time_parse(const char *text, int64_t *ret_time_ns) {
    int year, month, day, hour, min, sec, offset;
    const char *p = text;
    int64_t days, s, ns, fraction;

    if (!take_digits(&p, 4, 0, 9999, &year) || !take_char(&p, "-") ||
        !take_digits(&p, 2, 1, 12, &month) || !take_char(&p, "-") ||
        !take_digits(&p, 2, 1, days_of_month(year, month), &day) || !take_char(&p, "Tt "))
        return UW_E_INPUT;
    if (!take_digits(&p, 2, 0, 23, &hour) || !take_char(&p, ":") ||
        !take_digits(&p, 2, 0, 59, &min) || !take_char(&p, ":") ||
        !take_digits(&p, 2, 0, 60, &sec) || !take_fraction(&p, &fraction) ||
        !take_offset(&p, &offset) || *p)
        return UW_E_INPUT;

    days = days_from_date(year, month, day);
    s = days * 86400 + hour * 3600 + min * 60 - offset * 60;
    /* A leap second exists only as 23:59:60 UTC; as everywhere in POSIX it is the second after. */
    if (sec == 60 && floor_div(s, 86400) * 86400 + 86340 != s)
        return UW_E_INPUT;
    s += sec;
    if (__builtin_mul_overflow(s, UW_NS_PER_S, &ns) || __builtin_add_overflow(ns, fraction, &ns) ||
        ns == UW_TIME_NONE)
        return UW_E_INPUT;
    *ret_time_ns = ns;
    return 0;
}

int64_t uw_time_of_sample(int64_t start_ns, uint64_t index, double rate_hz) {
    int64_t rate_mhz = llround(rate_hz * 1e3);
    int128 t;

    assert(rate_mhz > 0);
    t = (int128)index * 1000 * UW_NS_PER_S;
    t = (t + rate_mhz / 2) / rate_mhz + start_ns;
    return t > INT64_MAX ? INT64_MAX : (int64_t)t;
}

static int64_t clock_ns(clockid_t id) {
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * UW_NS_PER_S + ts.tv_nsec;
}

int64_t uw_clock_real_ns(void) {
    return clock_ns(CLOCK_REALTIME);
}

int64_t uw_clock_mono_ns(void) {
    return clock_ns(CLOCK_MONOTONIC);
}
