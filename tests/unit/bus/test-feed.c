/* SPDX-License-Identifier: GPL-3.0-or-later */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "uw/base/err.h"
#include "uw/base/time.h"
#include "uw/bus/bus.h"

struct fixture {
    struct uw_bus *bus;
    struct uw_feed *feed;
    void *context;
    void *sockets[2];
    int n_sockets;
    int n_subscribed;
    char prefix[64];
};

static struct uw_diag diag;

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));

    if (!f || uw_bus_new(&f->bus) != 0)
        return -1;
    f->context = zmq_ctx_new();
    *state = f;
    return uw_feed_new(f->bus, "tcp://127.0.0.1:*", &diag, &f->feed);
}

static int teardown(void **state) {
    struct fixture *f = *state;

    for (int i = 0; i < f->n_sockets; i++)
        (void)zmq_close(f->sockets[i]);
    (void)zmq_ctx_term(f->context);
    (void)uw_feed_free(f->feed, 0);
    (void)uw_bus_free(f->bus);
    free(f);
    return 0;
}

static void *subscriber(struct fixture *f, const char *topic, int hwm) {
    void *socket = zmq_socket(f->context, ZMQ_SUB);
    int zero = 0, timeout = 5000;

    assert_non_null(socket);
    f->sockets[f->n_sockets++] = socket;
    assert_int_equal(zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof(zero)), 0);
    assert_int_equal(zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout, sizeof(timeout)), 0);
    assert_int_equal(zmq_setsockopt(socket, ZMQ_RCVHWM, &hwm, sizeof(hwm)), 0);
    assert_int_equal(zmq_setsockopt(socket, ZMQ_SUBSCRIBE, topic, strlen(topic)), 0);
    assert_int_equal(zmq_connect(socket, uw_feed_endpoint(f->feed)), 0);
    return socket;
}

/* The owner of the feed repeats the last alert for whoever comes late. */
static void repeat_last(void *userdata, const char *prefix, size_t len) {
    struct fixture *f = userdata;

    f->n_subscribed++;
    (void)snprintf(f->prefix, sizeof(f->prefix), "%.*s", (int)len, prefix);
    assert_int_equal(uw_feed_publish(f->feed, "v1.alert.s.n.a1.", "{\"seq\":1}", NULL, 0), 0);
}

static void serve_until(struct fixture *f, int n) {
    int64_t end = uw_clock_mono_ns() + 5 * UW_NS_PER_S;

    while (f->n_subscribed < n && uw_clock_mono_ns() < end)
        assert_int_equal(uw_feed_serve(f->feed, repeat_last, f), 0);
    assert_int_equal(f->n_subscribed, n);
}

static void expect_frame(void *socket, const char *text, bool more) {
    char buf[64];
    int n = zmq_recv(socket, buf, sizeof(buf), 0), flag;
    size_t size = sizeof(flag);

    assert_int_equal(n, (int)strlen(text));
    assert_memory_equal(buf, text, strlen(text));
    assert_int_equal(zmq_getsockopt(socket, ZMQ_RCVMORE, &flag, &size), 0);
    assert_int_equal(flag, more);
}

static void late_joiner_gets_the_last(void **state) {
    struct fixture *f = *state;
    void *first, *second;

    /* nobody listens yet */
    assert_int_equal(uw_feed_publish(f->feed, "v1.alert.s.n.a1.", "{\"seq\":1}", NULL, 0), 0);
    first = subscriber(f, "v1.alert.", 100);
    serve_until(f, 1);
    assert_string_equal(f->prefix, "v1.alert.");
    expect_frame(first, "v1.alert.s.n.a1.", true);
    expect_frame(first, "{\"seq\":1}", false);
    /* the same prefix again is news, too: it is somebody else */
    second = subscriber(f, "v1.alert.", 100);
    serve_until(f, 2);
    expect_frame(second, "v1.alert.s.n.a1.", true);
    expect_frame(second, "{\"seq\":1}", false);
}

static void third_frame_is_binary(void **state) {
    struct fixture *f = *state;
    void *socket = subscriber(f, "v1.spectrum.", 100);

    serve_until(f, 1);
    assert_int_equal(uw_feed_publish(f->feed, "v1.health.s.n.", "{}", NULL, 0),
                     0); /* not asked for */
    assert_int_equal(uw_feed_publish(f->feed, "v1.spectrum.s.n.r.", "{}", "\1\2\3", 3), 0);
    expect_frame(socket, "v1.spectrum.s.n.r.", true);
    expect_frame(socket, "{}", true);
    expect_frame(socket, "\1\2\3", false);
}

static void oversize_subscription_is_cut_off(void **state) {
    struct fixture *f = *state;
    char topic[1000];

    memset(topic, 'x', sizeof(topic));
    topic[sizeof(topic) - 1] = '\0';
    (void)subscriber(f, topic, 100);
    (void)subscriber(f, "v1.", 100);
    serve_until(f, 1);
    assert_string_equal(f->prefix, "v1.");
}

/* One subscriber never reads. The feed goes on at its own pace, and the other one gets everything.
 */
static void slow_subscriber_holds_up_nobody(void **state) {
    enum { N = 20000, CHUNK = 200 };
    struct fixture *f = *state;
    void *quick = subscriber(f, "v1.alert.", 0);
    char body[1024], got[1100];
    int64_t longest = 0;

    (void)subscriber(f, "v1.", 1); /* and never reads */
    serve_until(f, 2);
    expect_frame(quick, "v1.alert.s.n.a1.", true); /* of its own subscription */
    expect_frame(quick, "{\"seq\":1}", false);
    memset(body, 'b', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    for (int i = 0; i < N; i += CHUNK) {
        for (int j = i; j < i + CHUNK; j++) {
            int64_t start = uw_clock_mono_ns(), took;

            assert_int_equal(snprintf(body, 9, "%08d", j), 8);
            body[8] = 'b';
            assert_int_equal(uw_feed_publish(f->feed, "v1.alert.x", body, NULL, 0), 0);
            took = uw_clock_mono_ns() - start;
            longest = took > longest ? took : longest;
        }
        /* as its owner does: this is also when libzmq looks at what subscribers have taken */
        assert_int_equal(uw_feed_serve(f->feed, NULL, NULL), 0);
        for (int j = i; j < i + CHUNK; j++) {
            int n = zmq_recv(quick, got, sizeof(got), 0);

            while (n == (int)strlen("v1.alert.s.n.a1.")) { /* repeated for the other subscription */
                (void)zmq_recv(quick, got, sizeof(got), 0);
                n = zmq_recv(quick, got, sizeof(got), 0);
            }
            assert_int_equal(n, (int)strlen("v1.alert.x"));
            assert_int_equal(zmq_recv(quick, got, sizeof(got), 0), (int)sizeof(body) - 1);
            got[8] = '\0';
            assert_int_equal(atoi(got), j);
        }
    }
    assert_true(longest < UW_NS_PER_S); /* it never waited; the machine may have */
}

/* True as soon as a message of that topic has been round; within two seconds. */
static bool comes_back(struct fixture *f, const char *topic) {
    int64_t end = uw_clock_mono_ns() + 2 * UW_NS_PER_S;

    while (uw_clock_mono_ns() < end) {
        assert_int_equal(uw_feed_serve(f->feed, repeat_last, f), 0);
        assert_int_equal(uw_feed_publish(f->feed, topic, "{}", NULL, 0), 0);
        if (uw_feed_came_back(f->feed))
            return true;
    }
    return false;
}

static void hears_itself(void **state) {
    struct fixture *f = *state;

    assert_false(uw_feed_came_back(f->feed));
    assert_true(comes_back(f, "v1.health.s.n."));
    assert_int_equal(f->n_subscribed, 0); /* that was nobody */
    (void)subscriber(f, "v1.health.", 100);
    serve_until(f, 1);
    while (uw_feed_came_back(f->feed)) /* what is still under way */
        zmq_poll(NULL, 0, 50);
    assert_false(comes_back(f, "v1.alert.s.n.a1."));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(late_joiner_gets_the_last, setup, teardown),
        cmocka_unit_test_setup_teardown(hears_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(third_frame_is_binary, setup, teardown),
        cmocka_unit_test_setup_teardown(oversize_subscription_is_cut_off, setup, teardown),
        cmocka_unit_test_setup_teardown(slow_subscriber_holds_up_nobody, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
