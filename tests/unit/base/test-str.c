/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "uw/base/err.h"
#include "uw/base/iq-format.h"
#include "uw/base/str.h"
#include "uw/base/util.h"

static void test_copy(void **state) {
    char buf[4] = "zzz";

    (void)state;
    assert_true(uw_str_copy(buf, sizeof(buf), "abc"));
    assert_string_equal(buf, "abc");
    assert_false(uw_str_copy(buf, sizeof(buf), "abcd"));
    assert_string_equal(buf, "abc");
    assert_false(uw_str_copy(buf, 0, ""));
    assert_true(uw_str_ends_with("x.cu8", ".cu8"));
    assert_false(uw_str_ends_with("8", ".cu8"));
}

static void test_double(void **state) {
    static const struct {
        const char *text;
        double value;
    } good[] = {
        {"0", 0},         {"-1.5", -1.5},         {"+.5", .5},
        {"5.", 5},        {"915M", 915e6},        {"866.4M", 866.4e6},
        {"2400k", 2.4e6}, {"5.8G", 5.8e9},        {"2.4e6", 2.4e6},
        {"1E-3", 1e-3},   {"868.350M", 868.35e6}, {"1e3k", 1e6},
    };
    static const char *const bad[] = {
        "",
        " 1",
        "1 ",
        "nan",
        "inf",
        "-inf",
        "1e999",
        "0x10",
        "1,5",
        "1.5.2",
        "e5",
        "1e",
        "1e+",
        ".",
        "-",
        "--1",
        "915m",
        "915MM",
        "915MHz",
        "1e9999999999999999999",
        "11111111111111111111111111111111111111111111111111111111111111111111111",
    };

    (void)state;
    for (size_t i = 0; i < UW_ARRAY_SIZE(good); i++) {
        double x = -99;

        assert_int_equal(uw_str_to_double(good[i].text, -1e12, 1e12, &x), 0);
        if (x != good[i].value)
            fail_msg("%s gave %.17g", good[i].text, x);
    }
    for (size_t i = 0; i < UW_ARRAY_SIZE(bad); i++) {
        double x = -99;

        if (uw_str_to_double(bad[i], -1e308, 1e308, &x) != UW_E_INPUT || x != -99)
            fail_msg("'%s' was taken", bad[i]);
    }
}

static void test_double_range(void **state) {
    double x = -99;

    (void)state;
    assert_int_equal(uw_str_to_double("5", 5, 6, &x), 0);
    assert_int_equal(uw_str_to_double("6", 5, 6, &x), 0);
    assert_int_equal(uw_str_to_double("6.0001", 5, 6, &x), UW_E_INPUT);
    assert_int_equal(uw_str_to_double("4.9", 5, 6, &x), UW_E_INPUT);
}

static void test_int64(void **state) {
    static const char *const bad[] = {"",
                                      "-",
                                      "+",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "0x1",
                                      "1e3",
                                      "--1",
                                      "9223372036854775808",
                                      "-9223372036854775809"};
    int64_t n = 0;

    (void)state;
    assert_int_equal(uw_str_to_int64("9223372036854775807", INT64_MIN, INT64_MAX, &n), 0);
    assert_true(n == INT64_MAX);
    assert_int_equal(uw_str_to_int64("-9223372036854775808", INT64_MIN, INT64_MAX, &n), 0);
    assert_true(n == INT64_MIN);
    assert_int_equal(uw_str_to_int64("007", 0, 7, &n), 0);
    assert_int_equal(n, 7);
    assert_int_equal(uw_str_to_int64("8", 0, 7, &n), UW_E_INPUT);
    for (size_t i = 0; i < UW_ARRAY_SIZE(bad); i++) {
        if (uw_str_to_int64(bad[i], INT64_MIN, INT64_MAX, &n) != UW_E_INPUT || n != 7)
            fail_msg("'%s' was taken", bad[i]);
    }
}

static void test_names(void **state) {
    (void)state;
    assert_true(uw_str_is_name("north-roof_2"));
    assert_true(uw_str_is_name("abcdefghijklmnopqrstuvwxyz12345"));
    assert_false(uw_str_is_name("abcdefghijklmnopqrstuvwxyz123456"));
    assert_false(uw_str_is_name(""));
    assert_false(uw_str_is_name("a.b"));
    assert_false(uw_str_is_name("a b"));
    assert_false(uw_str_is_name("caf\xc3\xa9"));
}

static void test_file_read(void **state) {
    char path[] = "uw-test-XXXXXX", *text = NULL;
    static char content[10000];
    struct uw_diag diag = {0};
    size_t len = 0;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    memset(content, 'x', sizeof(content));
    assert_int_equal(write(fd, content, sizeof(content)), sizeof(content));
    close(fd);
    assert_int_equal(uw_file_read(path, sizeof(content), &diag, &text, &len), 0);
    assert_int_equal(len, sizeof(content));
    assert_memory_equal(text, content, len);
    assert_int_equal(text[len], 0);
    free(text);
    assert_int_equal(uw_file_read(path, sizeof(content) - 1, &diag, &text, &len), UW_E_INPUT);
    assert_non_null(strstr(diag.text[0], "larger than 9999 bytes"));
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(uw_file_read(path, 0, &diag, &text, &len), 0);
    assert_int_equal(len, 0);
    assert_int_equal(text[0], 0);
    free(text);
    unlink(path);
    assert_int_equal(uw_file_read(path, 1, &diag, &text, &len), UW_E_INPUT);
    assert_int_equal(strncmp(diag.text[1], path, strlen(path)), 0);
    assert_int_equal(uw_file_read("/", 1, NULL, &text, &len), UW_E_INPUT);
}

static void test_diag(void **state) {
    struct uw_diag diag = {0};
    char out[4096] = {0};
    FILE *f;

    (void)state;
    assert_int_equal(uw_diag_add(NULL, "x"), UW_E_INPUT);
    assert_int_equal(uw_diag_add(&diag, "a\nerror: %s", "forged"), UW_E_INPUT);
    for (int i = 1; i < UW_DIAG_MAX + 3; i++)
        uw_diag_add(&diag, "%0*d", 600, i);
    assert_int_equal(diag.n, UW_DIAG_MAX);
    assert_int_equal(diag.n_dropped, 3);
    assert_int_equal(strlen(diag.text[1]), UW_DIAG_LEN - 1);

    diag.n = 1;
    f = fmemopen(out, sizeof(out), "w");
    assert_non_null(f);
    uw_diag_print(&diag, f);
    fclose(f);
    assert_string_equal(out, "error: a?error: forged\nerror: and 3 more\n");
}

static void test_iq_formats(void **state) {
    enum uw_iq_format format;

    (void)state;
    for (int i = 0; i < UW_IQ_FORMAT_N; i++) {
        assert_int_equal(uw_iq_format_parse(uw_iq_format_name((enum uw_iq_format)i), &format), 0);
        assert_int_equal(format, i);
    }
    assert_int_equal(uw_iq_format_parse("cs8", &format), 0);
    assert_int_equal(format, UW_IQ_CI8);
    assert_int_equal(uw_iq_format_parse("ci16_le", &format), 0);
    assert_int_equal(uw_iq_format_size(format), 4);
    assert_int_equal(uw_iq_format_parse("cf32_le", &format), 0);
    assert_int_equal(uw_iq_format_size(format), 8);
    assert_int_equal(uw_iq_format_parse("cf32_be", &format), UW_E_INPUT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy),  cmocka_unit_test(test_double),
        cmocka_unit_test(test_int64), cmocka_unit_test(test_double_range),
        cmocka_unit_test(test_names), cmocka_unit_test(test_file_read),
        cmocka_unit_test(test_diag),  cmocka_unit_test(test_iq_formats),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
