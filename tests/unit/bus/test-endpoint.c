/* SPDX-License-Identifier: GPL-3.0-or-later */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "uw/base/err.h"
#include "uw/bus/bus.h"

static struct uw_diag diag;

static int group_setup(void **state) {
    static struct uw_bus *bus;

    if (uw_bus_new(&bus) != 0)
        return -1;
    *state = bus;
    return 0;
}

static int group_teardown(void **state) {
    (void)uw_bus_free(*state);
    return 0;
}

static void expect(struct uw_bus *bus, const char *endpoint, int r, const char *text) {
    struct uw_feed *feed = NULL;

    diag.n = 0;
    assert_int_equal(uw_feed_new(bus, endpoint, &diag, &feed), r);
    assert_null(feed);
    assert_int_equal(diag.n, 1);
    if (!strstr(diag.text[0], text) || !strstr(diag.text[0], "feed: "))
        fail_msg("\"%s\" is not in \"%s\"", text, diag.text[0]);
    assert_null(strpbrk(diag.text[0], "\n\x1b"));
}

static void network_is_refused_without_keys(void **state) {
    static const char *const endpoints[] = {
        "tcp://*:5580",         "tcp://0.0.0.0:5580",   "tcp://192.168.1.2:5580",
        "tcp://eth0:5580",      "tcp://[::]:5580",      "tcp://example.org:5580",
        "tcp://127.0.0.1.x:80", "tcp://127.1:5580",     "tcp://eth0;127.0.0.1:5580",
        "tcp://[::1:5580",      "tcp://128.0.0.1:5580", "tcp://[::ffff:1.2.3.4]:5580",
        "tcp://lo:5580",        "tcp://[]:5580",
    };

    for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
        expect(*state, endpoints[i], UW_E_REFUSED, "loopback");
        assert_non_null(strstr(diag.text[0], endpoints[i]));
    }
}

static void malformed_is_named(void **state) {
    char path[140], endpoint[600];

    expect(*state, NULL, UW_E_INPUT, "empty");
    expect(*state, "", UW_E_INPUT, "empty");
    expect(*state, "5580", UW_E_INPUT, "must be inproc://");
    expect(*state, "udp://127.0.0.1:5580", UW_E_INPUT, "must be inproc://");
    expect(*state, "pgm://eth0;239.1.1.1:5580", UW_E_INPUT, "must be inproc://");
    expect(*state, "inproc://", UW_E_INPUT, "must be inproc://");
    expect(*state, "tcp://", UW_E_INPUT, "ADDRESS:PORT");
    expect(*state, "tcp://:5580", UW_E_INPUT, "ADDRESS:PORT");
    expect(*state, "tcp://127.0.0.1", UW_E_INPUT, "ADDRESS:PORT");
    expect(*state, "tcp://127.0.0.1:", UW_E_INPUT, "port");
    expect(*state, "tcp://127.0.0.1:0", UW_E_INPUT, "port");
    expect(*state, "tcp://127.0.0.1:65536", UW_E_INPUT, "port");
    expect(*state, "tcp://127.0.0.1:80x", UW_E_INPUT, "port");
    expect(*state, "ipc://relative", UW_E_INPUT, "must start with /");
    expect(*state, "ipc:///", UW_E_INPUT, "must start with /");
    expect(*state, "ipc:///tmp/\x1b[31m", UW_E_INPUT, "printable");
    expect(*state, "tcp://127.0.0.1:5580\n", UW_E_INPUT, "printable");
    expect(*state, "ipc:///no/such/directory/x", UW_E_INPUT, "/no/such/directory/x");
    memset(path, 'p', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    (void)snprintf(endpoint, sizeof(endpoint), "ipc:///%s", path);
    expect(*state, endpoint, UW_E_INPUT, "longer than");
    memset(endpoint, 'a', sizeof(endpoint));
    endpoint[sizeof(endpoint) - 1] = '\0';
    expect(*state, endpoint, UW_E_INPUT, "longer than");
}

static void address_in_use_is_said(void **state) {
    struct uw_feed *feed;
    char path[64], endpoint[80];

    assert_int_equal(uw_feed_new(*state, "tcp://127.0.0.1:*", &diag, &feed), 0);
    expect(*state, uw_feed_endpoint(feed), UW_E_INPUT, "in use");
    assert_non_null(strstr(diag.text[0], uw_feed_endpoint(feed)));
    (void)uw_feed_free(feed, 0);

    (void)snprintf(path, sizeof(path), "/tmp/uw-test-endpoint-%d", (int)getpid());
    (void)snprintf(endpoint, sizeof(endpoint), "ipc://%s", path);
    assert_int_equal(uw_feed_new(*state, endpoint, &diag, &feed), 0);
    expect(*state, endpoint, UW_E_INPUT, "in use");
    (void)uw_feed_free(feed, 0);
}

/* libzmq removes what lies at the path before it binds. */
static void file_is_never_taken_for_a_socket(void **state) {
    char path[64], endpoint[80];
    struct stat st;
    int fd;

    (void)snprintf(path, sizeof(path), "/tmp/uw-test-file-%d", (int)getpid());
    (void)snprintf(endpoint, sizeof(endpoint), "ipc://%s", path);
    fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    expect(*state, endpoint, UW_E_INPUT, "no socket");
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    (void)unlink(path);
}

static void loopback_is_taken(void **state) {
    static const char *const endpoints[] = {"tcp://127.0.0.1:*", "tcp://localhost:*",
                                            "tcp://127.9.8.7:*", "inproc://feed"};

    for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
        struct uw_feed *feed;

        assert_int_equal(uw_feed_new(*state, endpoints[i], &diag, &feed), 0);
        assert_null(strchr(uw_feed_endpoint(feed), '*'));
        (void)uw_feed_free(feed, 0);
    }
}

static void ipc_is_for_user_and_group(void **state) {
    struct uw_feed *feed;
    char path[64], endpoint[80];
    struct stat st;

    (void)snprintf(path, sizeof(path), "/tmp/uw-test-mode-%d", (int)getpid());
    (void)snprintf(endpoint, sizeof(endpoint), "ipc://%s", path);
    assert_int_equal(uw_feed_new(*state, endpoint, &diag, &feed), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    (void)uw_feed_free(feed, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(network_is_refused_without_keys),
        cmocka_unit_test(malformed_is_named),
        cmocka_unit_test(address_in_use_is_said),
        cmocka_unit_test(file_is_never_taken_for_a_socket),
        cmocka_unit_test(loopback_is_taken),
        cmocka_unit_test(ipc_is_for_user_and_group),
    };

    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
