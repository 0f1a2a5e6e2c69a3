/* SPDX-License-Identifier: GPL-3.0-or-later */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/thread.h"
#include "uw/bus/bus.h"

#define N_ORDER 2000

struct sending {
    struct uw_bus *bus;
    const char *endpoint;
    int n;
    _Atomic int sent;
    int r; /* of the last send; read after the join */
};

static struct uw_diag diag;

static void pause_ms(long ms) {
    const struct timespec t = {.tv_nsec = ms * 1000000};

    (void)nanosleep(&t, NULL);
}

static void send_many(void *userdata) {
    struct sending *s = userdata;
    struct uw_bus_sender *sender = NULL;
    struct uw_progress p;

    s->r = uw_bus_sender_new(s->bus, s->endpoint, NULL, &sender);
    uw_progress_init(&p);
    (void)uw_str_copy(p.receiver, sizeof(p.receiver), "rx0");
    p.time_ns = 0;
    for (int i = 0; i < s->n && s->r == 0; i++) {
        p.number = (uint64_t)i;
        s->r = uw_bus_send_progress(sender, &p, true);
        if (s->r == 0)
            atomic_store(&s->sent, i + 1);
    }
    (void)uw_bus_sender_free(sender);
}

static void expect_numbers(struct uw_bus_receiver *receiver, int n) {
    for (int i = 0; i < n; i++) {
        struct uw_bus_item item;

        assert_int_equal(uw_bus_receive(receiver, 5000, &diag, &item), 0);
        assert_int_equal(item.type, UW_MSG_PROGRESS);
        assert_int_equal(item.progress.number, i);
    }
}

/* The sender may come first: it waits, and nothing is lost although it closes at once. */
static void order_is_kept(const char *endpoint, bool sender_first) {
    struct sending s = {.endpoint = endpoint, .n = N_ORDER};
    struct uw_bus_receiver *receiver;
    struct uw_thread *thread = NULL;

    assert_int_equal(uw_bus_new(&s.bus), 0);
    if (sender_first) {
        assert_int_equal(uw_thread_start("send", send_many, &s, &thread), 0);
        pause_ms(50);
    }
    assert_int_equal(uw_bus_receiver_new(s.bus, endpoint, &diag, &receiver), 0);
    if (!sender_first) {
        s.endpoint = uw_bus_receiver_endpoint(receiver);
        assert_int_equal(uw_thread_start("send", send_many, &s, &thread), 0);
    }
    expect_numbers(receiver, N_ORDER);
    (void)uw_thread_join(thread);
    assert_int_equal(s.r, 0);
    (void)uw_bus_receiver_free(receiver);
    (void)uw_bus_free(s.bus);
}

static void order_inproc(void **state) {
    (void)state;
    order_is_kept("inproc://order", false);
}

static void order_inproc_connect_first(void **state) {
    (void)state;
    order_is_kept("inproc://order", true);
}

static void order_ipc(void **state) {
    char endpoint[64];

    (void)state;
    (void)snprintf(endpoint, sizeof(endpoint), "ipc:///tmp/uw-test-inner-%d", (int)getpid());
    order_is_kept(endpoint, true);
}

static void order_tcp(void **state) {
    (void)state;
    order_is_kept("tcp://127.0.0.1:*", false);
}

/* A sender that waits gets no further than the queue is long, and goes on when there is space. */
static void sender_waits_for_space(void **state) {
    struct sending s = {.endpoint = "inproc://pressure", .n = N_ORDER};
    struct uw_bus_receiver *receiver;
    struct uw_thread *thread;
    int sent;

    (void)state;
    assert_int_equal(uw_bus_new(&s.bus), 0);
    assert_int_equal(uw_bus_receiver_new(s.bus, s.endpoint, &diag, &receiver), 0);
    assert_int_equal(uw_thread_start("send", send_many, &s, &thread), 0);
    do {
        sent = atomic_load(&s.sent);
        pause_ms(100);
    } while (atomic_load(&s.sent) != sent || sent == 0);
    assert_in_range(sent, 256, 1024);
    expect_numbers(receiver, N_ORDER);
    (void)uw_thread_join(thread);
    (void)uw_bus_receiver_free(receiver);
    (void)uw_bus_free(s.bus);
}

static void live_sender_does_not_wait(void **state) {
    struct uw_bus_receiver *receiver;
    struct uw_bus_sender *sender;
    struct uw_progress p;
    struct uw_bus *bus;
    int n = 0, r;

    (void)state;
    uw_progress_init(&p);
    (void)uw_str_copy(p.receiver, sizeof(p.receiver), "rx0");
    p.time_ns = 0;
    assert_int_equal(uw_bus_new(&bus), 0);
    assert_int_equal(uw_bus_receiver_new(bus, "inproc://live", &diag, &receiver), 0);
    assert_int_equal(uw_bus_sender_new(bus, "inproc://live", &diag, &sender), 0);
    do {
        p.number = (uint64_t)n;
        r = uw_bus_send_progress(sender, &p, false);
        n += r == 0;
    } while (r == 0 && n < 10000);
    assert_int_equal(r, UW_E_AGAIN);
    expect_numbers(receiver, n); /* what was taken arrives whole */
    (void)uw_bus_sender_free(sender);
    (void)uw_bus_receiver_free(receiver);
    (void)uw_bus_free(bus);
}

static void shutdown_wakes_the_sender(void **state) {
    struct sending s = {.endpoint = "inproc://shutdown", .n = N_ORDER};
    struct uw_bus_receiver *receiver;
    struct uw_thread *thread;
    struct uw_bus_item item;

    (void)state;
    assert_int_equal(uw_bus_new(&s.bus), 0);
    assert_int_equal(uw_bus_receiver_new(s.bus, s.endpoint, &diag, &receiver), 0);
    assert_int_equal(uw_thread_start("send", send_many, &s, &thread), 0);
    pause_ms(50);
    uw_bus_shutdown(s.bus);
    (void)uw_thread_join(thread);
    assert_int_equal(s.r, -UW_BUS_ETERM);
    assert_int_equal(uw_bus_receive(receiver, -1, &diag, &item), -UW_BUS_ETERM);
    (void)uw_bus_receiver_free(receiver);
    (void)uw_bus_free(s.bus);
}

static void receive_until_end(void *userdata) {
    struct sending *s = userdata;
    struct uw_bus_receiver *receiver;
    struct uw_bus_item item;

    s->r = uw_bus_receiver_new(s->bus, s->endpoint, NULL, &receiver);
    if (s->r != 0)
        return;
    s->r = uw_bus_receive(receiver, -1, NULL, &item);
    (void)uw_bus_receiver_free(receiver);
}

static void shutdown_wakes_the_receiver(void **state) {
    struct sending s = {.endpoint = "inproc://idle"};
    struct uw_thread *thread;

    (void)state;
    assert_int_equal(uw_bus_new(&s.bus), 0);
    assert_int_equal(uw_thread_start("recv", receive_until_end, &s, &thread), 0);
    pause_ms(20);
    uw_bus_shutdown(s.bus);
    (void)uw_thread_join(thread);
    assert_int_equal(s.r, -UW_BUS_ETERM);
    (void)uw_bus_free(s.bus);
}

static void timeout_is_again(void **state) {
    struct uw_bus_receiver *receiver;
    struct uw_bus_item item;
    struct uw_bus *bus;

    (void)state;
    assert_int_equal(uw_bus_new(&bus), 0);
    assert_int_equal(uw_bus_receiver_new(bus, "inproc://timeout", &diag, &receiver), 0);
    assert_int_equal(uw_bus_receive(receiver, 0, &diag, &item), UW_E_AGAIN);
    assert_int_equal(uw_bus_receive(receiver, 10, &diag, &item), UW_E_AGAIN);
    (void)uw_bus_receiver_free(receiver);
    (void)uw_bus_free(bus);
}

/* A stranger on the ipc or tcp end, with a socket of his own. */
struct stranger {
    void *context, *socket;
    struct uw_bus *bus;
    struct uw_bus_receiver *receiver;
};

static int stranger_setup(void **state) {
    struct stranger *s = calloc(1, sizeof(*s));

    if (!s || uw_bus_new(&s->bus) != 0)
        return -1;
    if (uw_bus_receiver_new(s->bus, "tcp://127.0.0.1:*", &diag, &s->receiver) != 0)
        return -1;
    s->context = zmq_ctx_new();
    s->socket = zmq_socket(s->context, ZMQ_PUSH);
    *state = s;
    return zmq_connect(s->socket, uw_bus_receiver_endpoint(s->receiver));
}

static int stranger_teardown(void **state) {
    struct stranger *s = *state;
    int zero = 0;

    (void)zmq_setsockopt(s->socket, ZMQ_LINGER, &zero, sizeof(zero));
    (void)zmq_close(s->socket);
    (void)zmq_ctx_term(s->context);
    (void)uw_bus_receiver_free(s->receiver);
    (void)uw_bus_free(s->bus);
    free(s);
    return 0;
}

static void refused(struct stranger *s, const char *text) {
    struct uw_bus_item item;
    uint64_t before = uw_bus_receiver_refused(s->receiver);

    diag.n = 0;
    assert_int_equal(uw_bus_receive(s->receiver, 5000, &diag, &item), UW_E_INPUT);
    assert_int_equal(diag.n, 1);
    if (!strstr(diag.text[0], text))
        fail_msg("\"%s\" is not in \"%s\"", text, diag.text[0]);
    assert_int_equal(uw_bus_receiver_refused(s->receiver), before + 1);
}

static void sends(struct stranger *s, const char *data, size_t len, int flags) {
    assert_int_equal(zmq_send(s->socket, data, len, flags), (int)len);
}

static void garbage_is_refused_and_counted(void **state) {
    static const char good[] = "{\"type\":\"progress\",\"schema\":\"progress/1.0\",\"receiver\":"
                               "\"rx0\",\"time\":\"1970-01-01T00:00:00.000000Z\",\"number\":0,"
                               "\"samples\":0,\"end\":false,\"failed\":false}";
    struct stranger *s = *state;
    struct uw_bus_item item;
    char *big = malloc(100000);

    assert_non_null(big);
    memset(big, ' ', 100000);
    sends(s, "x", 1, 0);
    refused(s, "two frames");
    sends(s, "", 0, ZMQ_SNDMORE);
    sends(s, "", 0, ZMQ_SNDMORE);
    sends(s, big, 100000, ZMQ_SNDMORE);
    sends(s, "", 0, 0);
    refused(s, "two frames");
    sends(s, "progress", 8, ZMQ_SNDMORE);
    sends(s, "{", 1, 0);
    refused(s, "is not JSON");
    sends(s, "progress", 8, ZMQ_SNDMORE);
    sends(s, big, 100000, 0);
    refused(s, "longer than 65536");
    sends(s, big, 100000, ZMQ_SNDMORE);
    sends(s, good, sizeof(good) - 1, 0);
    refused(s, "first frame");
    sends(s, "alert", 5, ZMQ_SNDMORE);
    sends(s, good, sizeof(good) - 1, 0);
    refused(s, "first frame");
    sends(s, "detection", 9, ZMQ_SNDMORE);
    sends(s, good, sizeof(good) - 1, 0);
    refused(s, "type: must be detection");
    sends(s, "progress", 8, ZMQ_SNDMORE);
    sends(s, good, sizeof(good) - 1, 0);
    assert_int_equal(uw_bus_receive(s->receiver, 5000, &diag, &item), 0);
    assert_string_equal(item.progress.receiver, "rx0");
    free(big);
}

/* Far too long: the peer loses its connection, we lose nothing. */
static void flood_is_cut_off(void **state) {
    struct stranger *s = *state;
    struct uw_bus_item item;
    char *big = calloc(1, 1 << 20);

    assert_non_null(big);
    sends(s, "progress", 8, ZMQ_SNDMORE);
    sends(s, big, 1 << 20, 0);
    assert_int_equal(uw_bus_receive(s->receiver, 300, &diag, &item), UW_E_AGAIN);
    free(big);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_inproc),
        cmocka_unit_test(order_inproc_connect_first),
        cmocka_unit_test(order_ipc),
        cmocka_unit_test(order_tcp),
        cmocka_unit_test(sender_waits_for_space),
        cmocka_unit_test(live_sender_does_not_wait),
        cmocka_unit_test(shutdown_wakes_the_sender),
        cmocka_unit_test(shutdown_wakes_the_receiver),
        cmocka_unit_test(timeout_is_again),
        cmocka_unit_test_setup_teardown(garbage_is_refused_and_counted, stranger_setup,
                                        stranger_teardown),
        cmocka_unit_test_setup_teardown(flood_is_cut_off, stranger_setup, stranger_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
