/* SPDX-License-Identifier: GPL-3.0-or-later */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "uaswatch/client.h"
#include "uw/base/err.h"
#include "uw/base/time.h"
#include "uw/bus/bus.h"

struct fixture {
    struct uw_bus *bus;
    struct uw_feed *feed;
    struct uaswatch_client *client;
    int n_subscribed;
};

static struct uw_diag diag;

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));

    if (!f || uw_bus_new(&f->bus) != 0)
        return -1;
    *state = f;
    if (uw_feed_new(f->bus, "tcp://127.0.0.1:*", &diag, &f->feed) != 0)
        return -1;
    return uaswatch_client_new(uw_feed_endpoint(f->feed), &f->client);
}

static int teardown(void **state) {
    struct fixture *f = *state;

    (void)uaswatch_client_free(f->client);
    (void)uw_feed_free(f->feed, 0);
    (void)uw_bus_free(f->bus);
    free(f);
    return 0;
}

static void count(void *userdata, const char *prefix, size_t len) {
    (void)prefix;
    (void)len;
    ((struct fixture *)userdata)->n_subscribed++;
}

static void subscribe(struct fixture *f, const char *prefix) {
    int64_t end = uw_clock_mono_ns() + 5 * UW_NS_PER_S;

    assert_int_equal(uaswatch_client_subscribe(f->client, prefix), 0);
    while (f->n_subscribed < 2 && uw_clock_mono_ns() < end) /* the sign of life is the other */
        assert_int_equal(uw_feed_serve(f->feed, count, f), 0);
    assert_int_equal(f->n_subscribed, 2);
}

static void publish(struct fixture *f, const char *type, const char *run, int seq) {
    char topic[64], body[200];

    (void)snprintf(topic, sizeof(topic), "v1.%s.s.n.%s", type,
                   strcmp(type, "alert") == 0 ? "a1." : "");
    (void)snprintf(body, sizeof(body),
                   "{\"type\":\"%s\",\"site\":\"s\",\"node\":\"n\",\"run\":\"%s\",\"seq\":%d}",
                   type, run, seq);
    assert_int_equal(uw_feed_publish(f->feed, topic, body, NULL, 0), 0);
}

static struct uaswatch_message expect(struct fixture *f, int seq) {
    struct uaswatch_message message;

    assert_int_equal(uaswatch_client_receive(f->client, 5000, &message), 1);
    assert_int_equal(message.seq, seq);
    return message;
}

static void gaps_repetitions_and_runs(void **state) {
    struct fixture *f = *state;
    struct uaswatch_message m;

    subscribe(f, "v1.alert.");
    publish(f, "alert", "r1", 7); /* the first one that is seen: nothing is known to be lost */
    publish(f, "alert", "r1", 5); /* history, newest first */
    publish(f, "alert", "r1", 8);
    publish(f, "alert", "r1", 12);
    publish(f, "alert", "r1", 12);
    publish(f, "alert", "r2", 3);
    publish(f, "alert", "r2", 5);
    m = expect(f, 7);
    assert_string_equal(m.topic, "v1.alert.s.n.a1.");
    assert_string_equal(m.type, "alert");
    assert_int_equal(m.json_len, strlen(m.json));
    assert_null(m.extra);
    assert_int_equal(m.lost, 0);
    assert_true(expect(f, 5).repeated);
    m = expect(f, 8);
    assert_int_equal(m.lost, 0);
    assert_false(m.repeated || m.new_run);
    assert_int_equal(expect(f, 12).lost, 3);
    assert_true(expect(f, 12).repeated);
    m = expect(f, 3);
    assert_true(m.new_run);
    assert_int_equal(m.lost, 0);
    m = expect(f, 5);
    assert_false(m.new_run);
    assert_int_equal(m.lost, 1);
    assert_int_equal(uaswatch_client_lost(f->client), 4);
}

/* Holes in what was not asked for are no losses. */
static void part_of_a_stream_has_no_gaps(void **state) {
    struct fixture *f = *state;

    subscribe(f, "v1.alert.s.n.a1.");
    publish(f, "alert", "r1", 1);
    publish(f, "alert", "r1", 9);
    (void)expect(f, 1);
    assert_int_equal(expect(f, 9).lost, 0);
}

/* The sign of life resets the silence and is not handed to somebody who wants alerts. */
static void silence_ends_with_any_sign_of_life(void **state) {
    struct fixture *f = *state;
    struct uaswatch_message m;
    double before;

    subscribe(f, "v1.alert.");
    assert_int_equal(uaswatch_client_receive(f->client, 200, &m), 0);
    before = uaswatch_client_silent_s(f->client);
    assert_true(before >= 0.2 && before < 30.0);
    publish(f, "health", "r1", 1);
    assert_int_equal(uaswatch_client_receive(f->client, 100, &m), 0);
    assert_true(uaswatch_client_silent_s(f->client) < before);
}

static void extra_frame_comes_through(void **state) {
    static const char body[] =
        "{\"type\":\"spectrum\",\"site\":\"s\",\"node\":\"n\",\"run\":\"r\",\"seq\":1}";
    struct fixture *f = *state;
    struct uaswatch_message m;

    subscribe(f, "v1.");
    assert_int_equal(uw_feed_publish(f->feed, "v1.spectrum.s.n.r.", body, "\0\1\2", 3), 0);
    m = expect(f, 1);
    assert_int_equal(m.extra_len, 3);
    assert_memory_equal(m.extra, "\0\1\2", 3);
    assert_string_equal(m.json, body);
}

static void garbage_is_counted(void **state) {
    static const char *const bodies[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"type\":\"alert\",\"site\":\"s\",\"node\":\"n\",\"run\":\"r\",\"seq\":0}",
        "{\"type\":\"alert\",\"site\":\"s\",\"node\":\"n\",\"run\":\"r\",\"seq\":\"1\"}",
        "{\"type\":\"alert\",\"site\":7,\"node\":\"n\",\"run\":\"r\",\"seq\":1}",
    };
    struct fixture *f = *state;
    struct uaswatch_message m;

    subscribe(f, "v1.");
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(uw_feed_publish(f->feed, "v1.alert.x.", bodies[i], NULL, 0), 0);
    publish(f, "alert", "r1", 1);
    assert_int_equal(uaswatch_client_receive(f->client, 5000, &m), 1);
    assert_int_equal(uaswatch_client_refused(f->client), 7);
}

static void errors(void **state) {
    struct uaswatch_client *client = NULL;

    (void)state;
    assert_int_equal(uaswatch_client_new("nonsense", &client), -EINVAL);
    assert_int_equal(uaswatch_client_new("foo://x", &client), -EPROTONOSUPPORT);
    assert_null(client);
    assert_null(uaswatch_client_free(NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(gaps_repetitions_and_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(part_of_a_stream_has_no_gaps, setup, teardown),
        cmocka_unit_test_setup_teardown(silence_ends_with_any_sign_of_life, setup, teardown),
        cmocka_unit_test_setup_teardown(extra_frame_comes_through, setup, teardown),
        cmocka_unit_test_setup_teardown(garbage_is_counted, setup, teardown),
        cmocka_unit_test(errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
