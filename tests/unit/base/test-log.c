/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <math.h>
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
#include "uw/base/time.h"

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

static void log_fields(void) {
    uw_log_kv(UW_LOG_WARNING, "rx", "samples lost", uw_log_s("receiver", "mast"), uw_log_i("n", 5),
              uw_log_r("freq_hz", 915e6), uw_log_r("gain_db", NAN), uw_log_s("why", NULL));
    uw_log_kv(UW_LOG_INFO, "rx", "said", uw_log_s("text", "a \"b\"\n\\"), uw_log_s("none", ""),
              uw_log_s("eq", "a=b"), uw_log_s("secret_key", "hunter2"));
    uw_log_kv(UW_LOG_DEBUG, "rx", "not shown", uw_log_i("n", 1));
}

static void test_fields(void **state) {
    (void)state;
    assert_string_equal(
        caught(log_fields),
        "warning rx: samples lost receiver=mast n=5 freq_hz=915000000\n"
        "info rx: said text=\"a \\\"b\\\"?\\\\\" none=\"\" eq=\"a=b\" secret_key=(not written)\n");
}

static int64_t later_ns;

/* Twenty times the same, of two receivers, and a text that is passed on each time anew. */
static void log_a_storm(void) {
    for (int i = 0; i < 20; i++) {
        uw_log_kv(UW_LOG_WARNING, "rx", "storm", uw_log_s("receiver", i % 2 ? "a" : "b"),
                  uw_log_i("n", i));
        uw_log(UW_LOG_WARNING, "bus", "storm of %d", i);
        uw_log(UW_LOG_ERROR, "uaswatchd", "%s", i % 2 ? "first" : "second");
    }
    uw_log_tick(uw_clock_mono_ns());
    uw_log_tick(later_ns);
    uw_log(UW_LOG_WARNING, "bus", "storm of %d", 100);
}

static int count(const char *text, const char *words) {
    int n = 0;

    for (const char *p = text; (p = strstr(p, words)); p++)
        n++;
    return n;
}

static void test_the_same_message_is_limited(void **state) {
    const char *text;

    (void)state;
    later_ns = uw_clock_mono_ns() + (UW_LOG_WINDOW_S + 1) * UW_NS_PER_S;
    text = caught(log_a_storm);
    assert_int_equal(count(text, "storm receiver=a n="), 5 + 1);
    assert_int_equal(count(text, "storm receiver=b n="), 5 + 1);
    assert_int_equal(count(text, "bus: storm of "), 5 + 1); /* the last one in a new window */
    assert_int_equal(count(text, "uaswatchd: first"), 5);
    assert_non_null(strstr(text, "warning log: 5 more suppressed: storm receiver=a n=1\n"));
    assert_non_null(strstr(text, "warning log: 15 more suppressed: storm of 0\n"));
    assert_int_equal(count(text, "error log: 5 more suppressed: "), 2);
    assert_non_null(strstr(text, "storm of 100\n"));
}

static void log_many_kinds(void) {
    char part[16];

    for (int i = 0; i < 7; i++)
        uw_log(UW_LOG_INFO, "first", "of %d", i);
    for (int i = 0; i < 200; i++) {
        snprintf(part, sizeof(part), "p%d", i);
        uw_log(UW_LOG_INFO, part, "once");
    }
    uw_log_flush();
}

static void test_a_full_table_forgets_nothing(void **state) {
    const char *text = caught(log_many_kinds);

    (void)state;
    assert_int_equal(count(text, ": once\n"), 200);
    assert_int_equal(count(text, "2 more suppressed: of 0\n"), 1);
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
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_the_same_message_is_limited),
        cmocka_unit_test(test_a_full_table_forgets_nothing),
        cmocka_unit_test(test_only_fatal_errors_are_reported),
        cmocka_unit_test(test_threads_have_names_and_no_signals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
