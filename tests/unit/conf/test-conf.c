/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <locale.h>
#include <math.h>
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
#include "uw/base/util.h"
#include "uw/conf/conf.h"

static struct uw_diag diag;

static int parse(const char *text, struct uw_conf **ret_conf) {
    memset(&diag, 0, sizeof(diag));
    return uw_conf_parse("t.conf", text, strlen(text), &diag, ret_conf);
}

static void assert_said(int i, const char *begin, const char *part) {
    if (i >= diag.n)
        fail_msg("only %d messages, none '%s...%s'", diag.n, begin, part);
    if (strncmp(diag.text[i], begin, strlen(begin)) != 0 || !strstr(diag.text[i], part))
        fail_msg("'%s' is not '%s...%s...'", diag.text[i], begin, part);
}

/* The text must be refused with exactly one message. */
static void assert_refused(const char *text, const char *begin, const char *part) {
    struct uw_conf *conf = NULL;

    if (parse(text, &conf) != UW_E_INPUT)
        fail_msg("was taken: %s", text);
    assert_null(conf);
    assert_said(0, begin, part);
    if (diag.n != 1)
        fail_msg("%d messages, the second is '%s'", diag.n, diag.text[1]);
}

static const char good[] = "# comment with 99999999999 and \"a quote\n"
                           "site = \"arena\"; // another 1e999\n"
                           "/* 1e999 nan @include\n \" */ rate_hz = 2.4e6;\n"
                           "big = 2400000000L; hex = 0x7fffffff; neg = -2147483648;\n"
                           "on = true; mode : \"fast\"\n"
                           "group = { inner = 3; inf = 1; };\n"
                           "list = ( { a = 1; }, { a = 2; } );\n"
                           "array = [ 1.5, -2.5, +3.0 ];\n"
                           "words = ( \"x\\\"9999999999\", \"y\" );\n";

static void test_reads_what_is_there(void **state) {
    static const char *const modes[] = {"slow", "fast", NULL};
    UW_CLEANUP(uw_conf_freep) struct uw_conf *conf = NULL;
    const struct uw_conf_node *root, *group, *list;
    const char *s = NULL;
    int64_t n = 0;
    double x = 0;
    bool on = false;
    int mode = -1;

    (void)state;
    assert_int_equal(parse(good, &conf), 0);
    root = uw_conf_root(conf);
    assert_true(uw_conf_get_string(conf, root, "site", true, 5, &s));
    assert_string_equal(s, "arena");
    assert_true(uw_conf_get_double(conf, root, "rate_hz", true, 250e3, 50e6, &x));
    assert_true(x == 2.4e6);
    assert_true(uw_conf_get_int(conf, root, "rate_hz", true, 1, INT64_MAX, &n));
    assert_int_equal(n, 2400000);
    assert_true(uw_conf_get_int(conf, root, "big", true, 0, INT64_MAX, &n));
    assert_int_equal(n, 2400000000);
    assert_true(uw_conf_get_double(conf, root, "big", true, 0, 1e12, &x));
    assert_true(x == 2.4e9);
    assert_true(uw_conf_get_int(conf, root, "hex", true, 0, INT64_MAX, &n));
    assert_int_equal(n, INT32_MAX);
    assert_true(uw_conf_get_int(conf, root, "neg", true, INT64_MIN, 0, &n));
    assert_int_equal(n, INT32_MIN);
    assert_true(uw_conf_get_bool(conf, root, "on", true, &on));
    assert_true(on);
    assert_true(uw_conf_get_enum(conf, root, "mode", true, modes, &mode));
    assert_int_equal(mode, 1);

    group = uw_conf_get_group(conf, root, "group", true);
    assert_true(uw_conf_get_int(conf, group, "inner", true, 1, 5, &n));
    assert_int_equal(n, 3);
    assert_true(uw_conf_get_int(conf, group, "inf", true, 1, 5, &n));
    uw_conf_end(conf, group);

    list = uw_conf_get_list(conf, root, "list", true, 1, 2);
    assert_int_equal(uw_conf_list_len(list), 2);
    group = uw_conf_list_group(conf, list, 1);
    assert_true(uw_conf_get_int(conf, group, "a", true, 1, 5, &n));
    assert_int_equal(n, 2);
    group = uw_conf_list_group(conf, list, 0);
    assert_true(uw_conf_get_int(conf, group, "a", true, 1, 5, &n));
    list = uw_conf_get_list(conf, root, "array", true, 3, 3);
    assert_true(uw_conf_list_double(conf, list, 1, -3, 3, &x));
    assert_true(x == -2.5);
    list = uw_conf_get_list(conf, root, "words", true, 0, 9);
    assert_true(uw_conf_list_string(conf, list, 0, 20, &s));
    assert_string_equal(s, "x\"9999999999");

    uw_conf_end(conf, root);
    assert_int_equal(diag.n, 0);
    assert_false(uw_conf_failed(conf));
}

static void test_missing_leaves_the_default(void **state) {
    UW_CLEANUP(uw_conf_freep) struct uw_conf *conf = NULL;
    const struct uw_conf_node *root;
    double x = 7.5;

    (void)state;
    assert_int_equal(parse("a = 1;\nb = { c = 1; };", &conf), 0);
    root = uw_conf_root(conf);
    assert_false(uw_conf_get_double(conf, root, "x", false, 0, 1, &x));
    assert_false(uw_conf_failed(conf));
    assert_false(uw_conf_get_double(conf, root, "x", true, 0, 1, &x));
    assert_true(x == 7.5);
    assert_said(0, "t.conf:1: x: ", "missing");
    assert_false(
        uw_conf_get_double(conf, uw_conf_get_group(conf, root, "b", true), "d", true, 0, 1, &x));
    assert_said(1, "t.conf:2: d: ", "missing");
    /* a group that is not there has no members, and that was said already */
    assert_false(uw_conf_get_double(conf, NULL, "d", true, 0, 1, &x));
    uw_conf_end(conf, NULL);
    assert_int_equal(diag.n, 2);
}

static void test_all_mistakes_in_one_run(void **state) {
    static const char *const modes[] = {"slow", "fast", NULL};
    UW_CLEANUP(uw_conf_freep) struct uw_conf *conf = NULL;
    const struct uw_conf_node *root, *list;
    const char *s = NULL;
    int64_t n = 42;
    double x = 42;
    bool on = true;
    int mode = 42;

    (void)state;
    assert_int_equal(parse("number = \"7\";\n"
                           "range = 70;\n"
                           "whole = 1.5;\n"
                           "on = 1;\n"
                           "long_text = \"abcdef\";\n"
                           "latin1 = \"caf\xe9\";\n"
                           "control = \"a\\nb\";\n"
                           "mode = \"fats\";\n"
                           "group = 3;\n"
                           "list = ( 1,\n \"two\" );\n"
                           "none = ();\n"
                           "rat_hz = 1.0;\n"
                           "zzz = 2;\n"
                           "huge = 5000000000L;\n",
                           &conf),
                     0);
    root = uw_conf_root(conf);
    assert_false(uw_conf_get_double(conf, root, "number", true, 0, 9, &x));
    assert_false(uw_conf_get_double(conf, root, "range", true, 1, 9, &x));
    assert_false(uw_conf_get_int(conf, root, "whole", true, 1, 9, &n));
    assert_false(uw_conf_get_bool(conf, root, "on", true, &on));
    assert_false(uw_conf_get_string(conf, root, "long_text", true, 5, &s));
    assert_false(uw_conf_get_string(conf, root, "latin1", true, 50, &s));
    assert_false(uw_conf_get_string(conf, root, "control", true, 50, &s));
    assert_false(uw_conf_get_enum(conf, root, "mode", true, modes, &mode));
    assert_null(uw_conf_get_group(conf, root, "group", true));
    list = uw_conf_get_list(conf, root, "list", true, 1, 2);
    assert_false(uw_conf_list_double(conf, list, 1, 0, 9, &x));
    assert_null(uw_conf_list_group(conf, list, 0));
    assert_null(uw_conf_get_list(conf, root, "none", true, 1, 2));
    assert_false(uw_conf_get_double(conf, root, "rate_hz", false, 0, 9, &x));
    assert_false(uw_conf_get_int(conf, root, "huge", true, 1, INT32_MAX, &n));
    uw_conf_mistake(conf, list, "must be sorted");
    uw_conf_end(conf, root);

    assert_said(0, "t.conf:1: number: ", "must be a number, not a string");
    assert_said(1, "t.conf:2: range: ", "70 is out of range (allowed: 1 to 9)");
    assert_said(2, "t.conf:3: whole: ", "not a whole number");
    assert_said(3, "t.conf:4: on: ", "must be true or false");
    assert_said(4, "t.conf:5: long_text: ", "too long (allowed: 5 bytes");
    assert_said(5, "t.conf:6: latin1: ", "UTF-8");
    assert_said(6, "t.conf:7: control: ", "control character");
    assert_said(7, "t.conf:8: mode: ", "(allowed: \"slow\", \"fast\")");
    assert_said(8, "t.conf:9: group: ", "must be a group");
    assert_said(9, "t.conf:11: list[1]: ", "must be a number");
    assert_said(10, "t.conf:10: list[0]: ", "must be a group");
    assert_said(11, "t.conf:12: none: ", "has 0 elements (allowed: 1 to 2)");
    assert_said(12, "t.conf:15: huge: ", "5000000000 is out of range");
    assert_said(13, "t.conf:10: list: ", "must be sorted");
    assert_said(14, "t.conf:13: rat_hz: ", "unknown key; did you mean 'rate_hz'?");
    assert_said(15, "t.conf:14: zzz: ", "unknown key");
    assert_null(strstr(diag.text[15], "mean"));
    assert_int_equal(diag.n, 16);
    assert_true(uw_conf_failed(conf));
    assert_true(x == 42 && n == 42 && on && mode == 42 && !s);
}

static void test_literals_that_would_wrap(void **state) {
    (void)state;
    assert_refused("a = 1;\nfreq = 2400000000;", "t.conf:2: ", "2400000000 does not fit in 32");
    assert_refused("a = 2147483648;", "t.conf:1: ", "32 bits");
    assert_refused("a = -2147483649;", "t.conf:1: ", "32 bits");
    assert_refused("a = 0x80000000;", "t.conf:1: ", "32 bits");
    assert_refused("a = 9223372036854775808L;", "t.conf:1: ", "64 bits");
    assert_refused("a = -9223372036854775809LL;", "t.conf:1: ", "64 bits");
    assert_refused("a = 0x8000000000000000L;", "t.conf:1: ", "64 bits");
    assert_refused("a = 99999999999999999999999999999999999999999999999999;", "t.conf:1: ", "32");
    assert_refused("a = [ 1, 4294967297 ];", "t.conf:1: ", "32 bits");
}

static void test_limits_of_literals_are_taken(void **state) {
    UW_CLEANUP(uw_conf_freep) struct uw_conf *conf = NULL;
    int64_t n = 0;

    (void)state;
    assert_int_equal(parse("a = 9223372036854775807L; b = -9223372036854775808L;\n"
                           "c = 0x7fffffffffffffffL; d = 2147483647; e = 1.e3; f = .5; g = 0XffL;",
                           &conf),
                     0);
    assert_true(uw_conf_get_int(conf, uw_conf_root(conf), "a", true, 0, INT64_MAX, &n));
    assert_true(n == INT64_MAX);
    assert_true(uw_conf_get_int(conf, uw_conf_root(conf), "b", true, INT64_MIN, 0, &n));
    assert_true(n == INT64_MIN);
    assert_true(uw_conf_get_int(conf, uw_conf_root(conf), "c", true, 0, INT64_MAX, &n));
    assert_true(n == INT64_MAX);
    assert_true(uw_conf_get_int(conf, uw_conf_root(conf), "g", true, 0, INT64_MAX, &n));
    assert_int_equal(n, 255);
}

static void test_what_is_not_finite(void **state) {
    (void)state;
    assert_refused("a = 1e999;", "t.conf:1: ", "too large");
    assert_refused("\n\na = -1.0e400;", "t.conf:3: ", "too large");
    assert_refused("a = nan;", "t.conf:1: ", "must be finite");
    assert_refused("a = (1.0, NaN);", "t.conf:1: ", "must be finite");
    assert_refused("a = inf;", "t.conf:1: ", "must be finite");
    assert_refused("a = -Infinity;", "t.conf:1: ", "must be finite");
    assert_refused("a = 12abc;", "t.conf:1: ", "'12abc' is not a number");
    assert_refused("a = 1.5L;", "t.conf:1: ", "not a number");
    assert_refused("a = 0x1p3;", "t.conf:1: ", "not a number");
    assert_refused("a = 5e;", "t.conf:1: ", "not a number");
}

static void test_text_that_is_refused(void **state) {
    UW_CLEANUP(uw_conf_freep) struct uw_conf *conf = NULL;
    const char zero[] = "a = 1;\0b = 2;";

    (void)state;
    assert_refused("a = 1;\n@include \"b.conf\"\n", "t.conf:2: ", "@include");
    assert_refused("a = 1;\nb = \"x\ny;", "t.conf:2: ", "string begins here");
    assert_refused("\n/* x\n\n", "t.conf:2: ", "comment begins here");
    assert_refused("a = \"\\x00\";", "t.conf:1: ", "\\x00");
    assert_refused("\xef\xbb\xbf"
                   "a = 1;",
                   "t.conf:1: ", "0xef");
    assert_refused("a = 1;\nb = ;\n", "t.conf:2: ", "expected a value, not ';'");
    assert_refused("a = 1;\n\nb 2;\n", "t.conf:3: ", "expected '=' after the key, not '2'");
    assert_refused("a = { b = 1;\n\n", "t.conf:1: ", "bracket { of this line is not closed");
    assert_refused("a = ( 1,\n ", "t.conf:2: ", "the file ends");
    assert_refused("a = 1; }", "t.conf:1: ", "expected a key, not '}'");
    assert_refused("a = ( 1 };", "t.conf:1: ", "not '}'");
    assert_refused("a = ( 1; 2 );", "t.conf:1: ", "not ';'");
    assert_refused("a = ( 1, );", "t.conf:1: ", "expected a value, not ')'");
    assert_refused("a = [ { b = 1; } ];", "t.conf:1: ", "not '{'");
    assert_refused("a = 1;;", "t.conf:1: ", "expected a key, not ';'");
    assert_refused("a = north;", "t.conf:1: ", "a string needs quotes");
    assert_refused("a.b = 1;", "t.conf:1: ", "'a.b' cannot be a key");
    assert_refused("true = 1;", "t.conf:1: ", "not 'true'");
    assert_refused("a = 1;\nb = 2;\na = 3;", "t.conf:3: ", "twice");
    assert_refused("a = [1, \"b\"];", "t.conf:1: ", "one type");
    assert_refused("a=((((((((((((((((((1))))))))))))))))));", "t.conf:1: ", "deeper than 16");
    memset(&diag, 0, sizeof(diag));
    assert_int_equal(uw_conf_parse("t.conf", zero, sizeof(zero) - 1, &diag, &conf), UW_E_INPUT);
    assert_said(0, "t.conf:1: ", "0x00");
}

static void test_several_bad_literals_in_one_run(void **state) {
    struct uw_conf *conf = NULL;

    (void)state;
    assert_int_equal(parse("a = 3000000000;\nb = 1e999;\nc = nan;\n@include \"x\"\n", &conf),
                     UW_E_INPUT);
    assert_int_equal(diag.n, 4);
    assert_said(0, "t.conf:1: ", "32 bits");
    assert_said(1, "t.conf:2: ", "too large");
    assert_said(2, "t.conf:3: ", "finite");
    assert_said(3, "t.conf:4: ", "@include");
}

static void test_size_is_limited(void **state) {
    size_t len = 1024 * 1024 + 1;
    char *text = malloc(len + 1);
    struct uw_conf *conf = NULL;

    (void)state;
    assert_non_null(text);
    memset(text, ' ', len);
    memset(&diag, 0, sizeof(diag));
    assert_int_equal(uw_conf_parse("t.conf", text, len, &diag, &conf), UW_E_INPUT);
    assert_said(0, "t.conf: ", "larger than 1048576 bytes");
    assert_int_equal(uw_conf_parse("t.conf", text, len - 1, &diag, &conf), 0);
    uw_conf_free(conf);

    conf = NULL;
    for (size_t i = 0; i < len - 1; i++)
        text[i] = "a=1;"[i % 4];
    memset(&diag, 0, sizeof(diag));
    assert_int_equal(uw_conf_parse("t.conf", text, len - 1, &diag, &conf), UW_E_INPUT);
    assert_said(0, "t.conf:1: ", "more than 20000 settings");
    free(text);
}

static void test_locale_does_not_matter(void **state) {
    static const char *const commas[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "it_IT.UTF-8"};
    UW_CLEANUP(uw_conf_freep) struct uw_conf *conf = NULL;
    bool found = false;
    double x = 0;

    (void)state;
    for (size_t i = 0; i < UW_ARRAY_SIZE(commas) && !found; i++)
        found = setlocale(LC_ALL, commas[i]) != NULL;
    if (!found)
        skip();
    assert_int_equal(parse("a = 2.5;", &conf), 0);
    assert_true(uw_conf_get_double(conf, uw_conf_root(conf), "a", true, 0, 9, &x));
    assert_true(x == 2.5);
    assert_false(uw_conf_get_double(conf, uw_conf_root(conf), "a", true, 0, 1.5, &x));
    assert_said(0, "t.conf:1: a: 2.5 is", "1.5");
    setlocale(LC_ALL, "C");
}

static void test_files(void **state) {
    struct uw_conf *conf = NULL;

    (void)state;
    memset(&diag, 0, sizeof(diag));
    assert_int_equal(uw_conf_load("/nonexistent/x.conf", &diag, &conf), UW_E_INPUT);
    assert_said(0, "/nonexistent/x.conf: cannot be opened: ", "No such file");
    assert_int_equal(uw_conf_load("/", &diag, &conf), UW_E_INPUT);
    assert_said(1, "/: cannot be read: ", "directory");
    assert_null(conf);
}

/* A number that does not fit does not hide the other mistakes, and is told of once. */
static void test_all_mistakes(void **state) {
    static const char text[] = "rate = 2400000000; # Hz\n"
                               "count = 99999999999999999999L;\n"
                               "huge = 1e999;\n"
                               "list = ( 1, 4294967296 );\n"
                               "name = 5;\n";
    static const char path[] = "uw-test-conf-all.conf";
    struct uw_conf *conf = NULL;
    const struct uw_conf_node *root;
    FILE *f = fopen(path, "w");
    const char *s = NULL;
    double x = 42;
    int64_t n = 42;

    (void)state;
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    memset(&diag, 0, sizeof(diag));
    assert_int_equal(uw_conf_load(path, &diag, &conf), UW_E_INPUT);
    assert_int_equal(diag.n, 4);
    memset(&diag, 0, sizeof(diag));
    assert_int_equal(uw_conf_load_all(path, &diag, &conf), 0);
    assert_true(uw_conf_failed(conf));
    root = uw_conf_root(conf);
    assert_false(uw_conf_get_double(conf, root, "rate", true, 0, 1, &x));
    assert_false(uw_conf_get_int(conf, root, "count", true, 0, 1, &n));
    assert_false(uw_conf_get_double(conf, root, "huge", true, 0, 1, &x));
    assert_false(uw_conf_list_double(conf, uw_conf_find(root, "list"), 1, 0, 1, &x));
    assert_false(uw_conf_get_string(conf, root, "name", true, 9, &s));
    assert_true(x == 42 && n == 42 && !s);
    assert_said(0, "uw-test-conf-all.conf:1: ", "2400000000 does not fit");
    assert_said(1, "uw-test-conf-all.conf:2: ", "64 bits");
    assert_said(2, "uw-test-conf-all.conf:3: ", "too large");
    assert_said(3, "uw-test-conf-all.conf:4: ", "4294967296 does not fit");
    assert_said(4, "uw-test-conf-all.conf:5: name: ", "must be a string");
    assert_int_equal(diag.n, 5);
    conf = uw_conf_free(conf);

    /* what reads like the mark is a number in a file without such mistakes */
    f = fopen(path, "w");
    assert_non_null(f);
    fputs("rate = 7e307;", f);
    fclose(f);
    memset(&diag, 0, sizeof(diag));
    assert_int_equal(uw_conf_load_all(path, &diag, &conf), 0);
    assert_true(uw_conf_get_double(conf, uw_conf_root(conf), "rate", true, 0, 1e308, &x));
    assert_true(x == 7e307);
    uw_conf_free(conf);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_is_there),
        cmocka_unit_test(test_missing_leaves_the_default),
        cmocka_unit_test(test_all_mistakes_in_one_run),
        cmocka_unit_test(test_literals_that_would_wrap),
        cmocka_unit_test(test_limits_of_literals_are_taken),
        cmocka_unit_test(test_what_is_not_finite),
        cmocka_unit_test(test_text_that_is_refused),
        cmocka_unit_test(test_several_bad_literals_in_one_run),
        cmocka_unit_test(test_size_is_limited),
        cmocka_unit_test(test_locale_does_not_matter),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_all_mistakes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
