/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli.h"
#include "uw/base/util.h"

static const struct uw_cli_option options[] = {
    {'r', "rate", "HZ", "a rate"},
    {256, "feed", "[ENDPOINT]", "a feed"},
    {257, "json", NULL, "one line\nand another"},
    {258, "block", "N", NULL},
};

static const struct uw_cli cli = {
    .usage = "x y",
    .summary = "Says what.",
    .options = options,
    .n_options = UW_ARRAY_SIZE(options),
};

/* getopt permutes its argv, so each run gets a copy. */
struct line {
    int argc;
    char *argv[12];
};

static void parse(struct line *line, const char *text) {
    static char buf[256];

    snprintf(buf, sizeof(buf), "%s", text);
    memset(line, 0, sizeof(*line));
    for (char *word = strtok(buf, " "); word; word = strtok(NULL, " "))
        line->argv[line->argc++] = word;
    uw_cli_rewind();
}

static void test_options(void **state) {
    struct line line;
    const char *arg;
    int first = -1;

    (void)state;
    parse(&line, "cmd one -r 5 --json two --feed --feed=x --rate=7 -- --json");
    assert_int_equal(uw_cli_next(&cli, line.argc, line.argv, &arg, &first), 'r');
    assert_string_equal(arg, "5");
    assert_int_equal(uw_cli_next(&cli, line.argc, line.argv, &arg, &first), 257);
    assert_null(arg);
    assert_int_equal(uw_cli_next(&cli, line.argc, line.argv, &arg, &first), 256);
    assert_null(arg);
    assert_int_equal(uw_cli_next(&cli, line.argc, line.argv, &arg, &first), 256);
    assert_string_equal(arg, "x");
    assert_int_equal(uw_cli_next(&cli, line.argc, line.argv, &arg, &first), 'r');
    assert_string_equal(arg, "7");
    assert_int_equal(uw_cli_next(&cli, line.argc, line.argv, &arg, &first), UW_CLI_END);
    assert_int_equal(line.argc - first, 3);
    assert_string_equal(line.argv[first], "one");
    assert_string_equal(line.argv[first + 2], "--json");
}

static void test_bad_options(void **state) {
    static const char *const lines[] = {"cmd -z", "cmd --rate", "cmd -r", "cmd --nonsense",
                                        "cmd --json=1"};

    (void)state;
    for (size_t i = 0; i < UW_ARRAY_SIZE(lines); i++) {
        struct line line;
        const char *arg;
        int first;

        parse(&line, lines[i]);
        assert_int_equal(uw_cli_next(&cli, line.argc, line.argv, &arg, &first), UW_CLI_BAD);
    }
}

static void test_help(void **state) {
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    (void)state;
    uw_cli_print_help(&cli, f);
    fclose(f);
    assert_non_null(strstr(text, "-r, --rate HZ"));
    assert_non_null(strstr(text, "--feed[=ENDPOINT]"));
    assert_non_null(strstr(text, "--help"));
    assert_null(strstr(text, "block")); /* hidden */
    free(text);
}

static void test_nearest(void **state) {
    static const char *const words[] = {"replay", "watch", "feed", "signatures", "synth"};
    const size_t n = UW_ARRAY_SIZE(words);

    (void)state;
    assert_string_equal(uw_cli_nearest("relpay", words, n), "replay");
    assert_string_equal(uw_cli_nearest("repaly", words, n), "replay");
    assert_string_equal(uw_cli_nearest("sig", words, n), "signatures");
    assert_string_equal(uw_cli_nearest("wtch", words, n), "watch");
    assert_null(uw_cli_nearest("compile", words, n));
    assert_null(uw_cli_nearest("x", words, n));
    assert_null(uw_cli_nearest("a-word-that-is-much-longer-than-any-of-these", words, n));
}

static void check_cell(const char *s, size_t width, const char *wanted) {
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    uw_cli_print_cell(f, s, width);
    fclose(f);
    assert_string_equal(text, wanted);
    free(text);
}

static void test_cell(void **state) {
    (void)state;
    check_cell("abc", 5, "abc  ");
    check_cell("abcde", 5, "abcde");
    check_cell("abcdef", 5, "abcd…");
    check_cell("äöü", 4, "äöü ");
    check_cell("äöüß", 3, "äö…");
    check_cell("a\033[2Jb", 8,
               "a?[2Jb  "); /* what comes from outside must not steer the terminal */
    assert_int_equal(uw_cli_width("äbc…"), 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options), cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_help),    cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_cell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
