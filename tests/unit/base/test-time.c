/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "uw/base/err.h"
#include "uw/base/time.h"

static void test_format(void **state) {
    char buf[UW_TIME_LEN];

    (void)state;
    assert_string_equal(uw_time_format(0, buf), "1970-01-01T00:00:00.000000Z");
    assert_string_equal(uw_time_format(1795456956120000999, buf), "2026-11-23T18:02:36.120000Z");
    assert_string_equal(uw_time_format(-1, buf), "1969-12-31T23:59:59.999999Z");
    assert_string_equal(uw_time_format(-1000, buf), "1969-12-31T23:59:59.999999Z");
    assert_string_equal(uw_time_format(-1001, buf), "1969-12-31T23:59:59.999998Z");
    assert_string_equal(uw_time_format(INT64_MAX, buf), "2262-04-11T23:47:16.854775Z");
    assert_string_equal(uw_time_format(INT64_MIN, buf), "1677-09-21T00:12:43.145224Z");
}

/* The C library's calendar is the reference. */
static void test_calendar(void **state) {
    char buf[UW_TIME_LEN], expected[UW_TIME_LEN];

    (void)state;
    for (int64_t s = -9000000000; s < 9000000000; s += 12345677) {
        time_t t = (time_t)s;
        int64_t back = 0;
        struct tm tm;

        gmtime_r(&t, &tm);
        strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.000000Z", &tm);
        assert_string_equal(uw_time_format(s * UW_NS_PER_S, buf), expected);
        assert_int_equal(uw_time_parse(buf, &back), 0);
        assert_int_equal(back, s * UW_NS_PER_S);
    }
}

static int64_t parsed(const char *text) {
    int64_t t = 0;

    if (uw_time_parse(text, &t) != 0)
        fail_msg("'%s' was refused", text);
    return t;
}

static void test_parse(void **state) {
    (void)state;
    assert_int_equal(parsed("1970-01-01T00:00:00Z"), 0);
    assert_int_equal(parsed("2026-11-23T18:02:36.12Z"), 1795456956120000000);
    assert_int_equal(parsed("2026-11-23T18:02:36.123456789Z"), 1795456956123456789);
    assert_int_equal(parsed("2026-11-23t20:02:36+02:00"), 1795456956000000000);
    assert_int_equal(parsed("2026-11-23 12:32:36-05:30"), 1795456956000000000);
    assert_int_equal(parsed("2024-02-29T00:00:00Z"), 1709164800000000000);
    assert_int_equal(parsed("2016-12-31T23:59:60Z"), 1483228800000000000);
    assert_int_equal(parsed("1969-12-31T23:59:59.999999999Z"), -1);
}

static void test_parse_refuses(void **state) {
    static const char *const bad[] = {
        "",
        "2026-11-23",
        "2026-11-23T18:02:36",
        "2026-11-23T18:02:36Zx",
        "2026-11-23T18:02:36.Z",
        "2026-11-23T18:02:36.1234567890Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-11-31T00:00:00Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T18:60:36Z",
        "2026-11-23T18:02:60Z",
        "2026-11-23T18:02:61Z",
        "2026-11-23T18:02:36+24:00",
        "2026-11-23T18:02:36+0200",
        "9999-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "-026-11-23T18:02:36Z",
        " 2026-11-23T18:02:36Z",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t t = 77;

        if (uw_time_parse(bad[i], &t) != UW_E_INPUT)
            fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(t, 77);
    }
}

static void test_time_of_sample(void **state) {
    const uint64_t large = (UINT64_C(1) << 53) - 1;

    (void)state;
    assert_int_equal(uw_time_of_sample(5, 0, 2.4e6), 5);
    assert_int_equal(uw_time_of_sample(0, 1, 2.4e6), 417); /* 416.67 */
    assert_int_equal(uw_time_of_sample(0, 2400000, 2.4e6), UW_NS_PER_S);
    /* a day and a sample: a double of nanoseconds could not tell */
    assert_int_equal(uw_time_of_sample(1795456956000000000, UINT64_C(86400) * 2400000 + 3, 2.4e6),
                     1795456956000000000 + 86400 * UW_NS_PER_S + 1250);
    assert_int_equal(uw_time_of_sample(0, large, 50e6), (int64_t)(large * 20));
    assert_int_equal(uw_time_of_sample(-7, 1000, 1000.001), -7 + 999999000);
    assert_int_equal(uw_time_of_sample(0, large, 250e3), INT64_MAX);
}

static void test_clocks(void **state) {
    int64_t a = uw_clock_mono_ns(), b = uw_clock_mono_ns();

    (void)state;
    assert_true(b >= a);
    assert_true(uw_clock_real_ns() > 1700000000 * UW_NS_PER_S);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),         cmocka_unit_test(test_calendar),
        cmocka_unit_test(test_parse),          cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_time_of_sample), cmocka_unit_test(test_clocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
