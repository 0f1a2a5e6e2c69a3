/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "uw/base/err.h"
#include "uw/base/log.h"
#include "uw/base/thread.h"

/* What fn() writes to standard error. */
static const char *caught(void (*fn)(void)) {
    static char text[8192];
    int pipe_fds[2], before = dup(STDERR_FILENO);
    ssize_t n;

    assert_int_equal(pipe(pipe_fds), 0);
    dup2(pipe_fds[1], STDERR_FILENO);
    fn();
    dup2(before, STDERR_FILENO);
    close(before);
    close(pipe_fds[1]);
    n = read(pipe_fds[0], text, sizeof(text) - 1);
    close(pipe_fds[0]);
    text[n > 0 ? n : 0] = 0;
    return text;
}

static void log_some(void) {
    char large[4000];

    uw_log(UW_LOG_WARNING, "rx", "lost %d samples", 5);
    uw_log(UW_LOG_DEBUG, "rx", "not shown");
    uw_log_set_level(UW_LOG_DEBUG);
    uw_log(UW_LOG_DEBUG, "bus", "a\nb");
    uw_log_set_level(UW_LOG_INFO);
    memset(large, 'x', sizeof(large));
    large[sizeof(large) - 1] = 0;
    uw_log(UW_LOG_INFO, "bus", "%s", large);
}

static void test_lines(void **state) {
    const char *text = caught(log_some);

    (void)state;
    assert_int_equal(strncmp(text, "warning rx: lost 5 samples\ndebug bus: a?b\ninfo bus: xxx", 55),
                     0);
    assert_int_equal(strlen(strstr(text, "info bus")), 2047);
    assert_int_equal(text[strlen(text) - 1], '\n');
}

static void raise_errors(void) {
    uw_err(0);
    uw_err(UW_E_INPUT);
    assert_int_equal(uw_err(-12), -12);
}

static void test_only_fatal_errors_are_reported(void **state) {
    const char *text = caught(raise_errors);

    (void)state;
    assert_int_equal(strncmp(text, "error: raise_errors @ ", 22), 0);
    assert_non_null(strstr(text, "Cannot allocate memory\n"));
    assert_ptr_equal(strchr(text, '\n') + 1, text + strlen(text));
}

struct seen {
    char name[16];
    bool term_blocked;
};

static void look(void *p) {
    struct seen *seen = p;
    sigset_t mask;

    pthread_getname_np(pthread_self(), seen->name, sizeof(seen->name));
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    seen->term_blocked = sigismember(&mask, SIGTERM);
}

static void test_threads_have_names_and_no_signals(void **state) {
    struct uw_thread *thread = NULL;
    struct seen seen = {0};
    sigset_t mask;

    (void)state;
    assert_int_equal(uw_thread_start("a-name-that-is-too-long", look, &seen, &thread), 0);
    assert_null(uw_thread_join(thread));
    assert_string_equal(seen.name, "a-name-that-is-");
    assert_true(seen.term_blocked);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    assert_false(sigismember(&mask, SIGTERM));
    assert_null(uw_thread_join(NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_only_fatal_errors_are_reported),
        cmocka_unit_test(test_threads_have_names_and_no_signals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
