/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What libraries print becomes lines of the log: whole, one by one, limited. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "uw/base/log.h"

/* Standard error goes into a pipe from here on; cmocka's own words, too. */
static int pipe_fd[2];

static int begin(void **state) {
    (void)state;
    if (pipe(pipe_fd) < 0 || dup2(pipe_fd[1], STDERR_FILENO) < 0)
        return -1;
    uw_log_take_stdio();
    return 0;
}

static const char *said(void) {
    static char text[65536];
    ssize_t n;

    fflush(stderr);
    n = read(pipe_fd[0], text, sizeof(text) - 1);
    assert_true(n > 0);
    text[n] = 0;
    return text;
}

static void test_lines(void **state) {
    const char *text;

    (void)state;
    fprintf(stderr, "Found %s ", "Rafael");
    fprintf(stderr, "tuner\n\nsecond\x1b[2J line\nthird");
    fputs(" line\n", stderr);
    text = said();
    assert_string_equal(text, "info library: Found Rafael tuner\ninfo library: second?[2J line\n"
                              "info library: third line\n");
}

static void test_long_line(void **state) {
    char line[5000];
    const char *text;

    (void)state;
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = 0;
    fprintf(stderr, "%s\nafter\n", line);
    text = said();
    assert_non_null(strstr(text, "info library: xxxxxxxxxx"));
    assert_non_null(strstr(text, "info library: after\n"));
}

static void test_limit(void **state) {
    const char *text;
    int n = 0;

    (void)state;
    for (int i = 0; i < 1000; i++)
        fprintf(stderr, "[R82XX] PLL not locked!\n");
    uw_log_flush();
    text = said();
    for (const char *p = text; (p = strstr(p, "library: [R82XX]")); p++)
        n++;
    assert_int_equal(n, UW_LOG_BURST);
    assert_non_null(strstr(text, "995 more suppressed"));
}

static void test_last_words(void **state) {
    (void)state;
    uw_log_set_level(UW_LOG_ERROR);
    fprintf(stderr, "gossip\nx: a.c:1: f: Assertion `0' failed.\n");
    assert_string_equal(said(), "error library: x: a.c:1: f: Assertion `0' failed.\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_last_words),
    };

    return cmocka_run_group_tests(tests, begin, NULL);
}
