/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The plain view, fed with bodies and times; what it prints is looked at. */

#include <math.h>
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
#include "uw/base/time.h"
#include "uw/msg/json.h"
#include "watch-view.h"

#define BEGIN_REAL (INT64_C(1790000000) * UW_NS_PER_S)

struct fixture {
    struct uw_view *view;
    FILE *f;
    char *text;
    size_t len;
    size_t seen; /* of the text, by expect() */
    int64_t now; /* since the beginning */
    uint64_t seq[UW_MSG_TYPE_N];
};

static int set_up(void **state) {
    struct fixture *x = calloc(1, sizeof(*x));
    struct uw_view_config config = {.endpoint = "tcp://127.0.0.1:5580"};

    setenv("TZ", "UTC", 1);
    x->f = open_memstream(&x->text, &x->len);
    config.out = x->f;
    assert_int_equal(uw_view_new(&config, 0, &x->view), 0);
    *state = x;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *x = *state;

    uw_view_free(x->view);
    fclose(x->f);
    free(x->text);
    free(x);
    return 0;
}

static void advance(struct fixture *x, double seconds) {
    int64_t end = x->now + (int64_t)(seconds * 1e9);

    for (; x->now < end; x->now += 100000000)
        uw_view_tick(x->view, x->now, BEGIN_REAL + x->now);
    fflush(x->f);
}

static void give(struct fixture *x, char *json) {
    uw_view_message(x->view, json, strlen(json), x->now, BEGIN_REAL + x->now);
    free(json);
    fflush(x->f);
}

static void fill_head(struct fixture *x, struct uw_head *head, enum uw_msg_type type) {
    snprintf(head->site, sizeof(head->site), "stadium");
    snprintf(head->node, sizeof(head->node), "roof");
    snprintf(head->run, sizeof(head->run), "run1");
    head->seq = ++x->seq[type];
    head->time_ns = BEGIN_REAL + x->now;
}

static void give_health(struct fixture *x, enum uw_rx_state state, double age_s) {
    struct uw_health h;
    char *json;

    uw_health_init(&h);
    fill_head(x, &h.head, UW_MSG_HEALTH);
    h.n_receivers = 1;
    snprintf(h.receivers[0].receiver, UW_NAME_LEN, "north");
    h.receivers[0].state = state;
    h.receivers[0].freq_hz = 915e6;
    h.receivers[0].rate_hz = 2.4e6;
    h.receivers[0].last_sample_age_s = age_s;
    if (state != UW_RX_OK)
        snprintf(h.receivers[0].advice, UW_TEXT_LEN, "check its cable");
    assert_int_equal(uw_health_encode(&h, &json), 0);
    give(x, json);
}

static void fill_alert(struct fixture *x, struct uw_alert *a, enum uw_alert_event event,
                       enum uw_alert_state state) {
    uw_alert_init(a);
    fill_head(x, &a->head, UW_MSG_ALERT);
    snprintf(a->alert, sizeof(a->alert), "run1-a1");
    snprintf(a->track, sizeof(a->track), "run1-t1");
    a->kind = UW_ALERT_UAS;
    a->event = event;
    a->state = state;
    a->severity = UW_SEVERITY_WARNING;
    snprintf(a->family, sizeof(a->family), "expresslrs");
    snprintf(a->signature, sizeof(a->signature), "expresslrs-900");
    a->confidence = 0.97;
    snprintf(a->headline, sizeof(a->headline), "ExpressLRS control link");
    snprintf(a->reason, sizeof(a->reason), "because of its timing");
    snprintf(a->advice, sizeof(a->advice), "look up");
    a->first_seen_ns = BEGIN_REAL;
    a->last_seen_ns = BEGIN_REAL + x->now;
}

static void give_alert(struct fixture *x, enum uw_alert_event event, enum uw_alert_state state) {
    struct uw_alert a;
    char *json;

    fill_alert(x, &a, event, state);
    assert_int_equal(uw_alert_encode(&a, &json), 0);
    give(x, json);
}

/* The words are in what was printed since the last look. */
static void expect(struct fixture *x, const char *words) {
    if (!strstr(x->text + x->seen, words))
        fail_msg("no \"%s\" in:\n%s", words, x->text + x->seen);
}

static void expect_not(struct fixture *x, const char *words) {
    if (strstr(x->text + x->seen, words))
        fail_msg("\"%s\" in:\n%s", words, x->text + x->seen);
}

static void looked(struct fixture *x) {
    x->seen = x->len;
}

static void live(struct fixture *x, int seconds) {
    for (int i = 0; i < seconds; i++) {
        give_health(x, UW_RX_OK, 0.1);
        advance(x, 1);
    }
}

static void test_quiet(void **state) {
    struct fixture *x = *state;
    size_t lines = 0;

    live(x, 30);
    expect(x, "OK        1 of 1 receiver listening; no drone link heard");
    expect_not(x, "NO DATA");
    for (const char *s = x->text; *s; s++)
        lines += *s == '\n';
    assert_in_range(lines, 1, 3); /* calm: no line without news */
    looked(x);
    live(x, 120); /* but signs of life */
    expect(x, "OK        1 of 1");
}

static void test_silence(void **state) {
    struct fixture *x = *state;

    live(x, 5);
    looked(x);
    advance(x, 1.5);
    expect_not(x, "NO DATA");
    advance(x, 0.4); /* 2.9 s after the last one */
    expect(x, "NO DATA   from the node for 3 s: the system may be deaf");
    expect(x, "tcp://127.0.0.1:5580");
    looked(x);
    advance(x, 30);
    assert_int_equal(x->len, x->seen); /* once is enough */
    advance(x, 40);
    expect(x, "NO DATA   from the node for 1 min");
    looked(x);
    live(x, 1);
    expect(x, "DATA      from the node again, after 1 min");
    expect(x, "OK ");
}

static void test_never_there(void **state) {
    struct fixture *x = *state;

    advance(x, 1);
    expect(x, "WAITING");
    advance(x, 2);
    expect(x, "NO DATA");
}

static void test_alert(void **state) {
    struct fixture *x = *state;

    live(x, 2);
    looked(x);
    give_alert(x, UW_ALERT_RAISED, UW_ALERT_ACTIVE);
    expect(x, "DRONE     warning: ExpressLRS control link");
    expect(x, "since     14:13:20 (heard for 2 s)");
    expect(x, "how sure  very likely (0.970)");
    expect(x, "where     unknown");
    expect(x, "because of its timing");
    expect(x, "look up");
    live(x, 1);
    expect(x, "1 DRONE LINK: ExpressLRS control link");
    looked(x);
    give_alert(x, UW_ALERT_UPDATED, UW_ALERT_ACTIVE);
    assert_int_equal(x->len, x->seen);
    give_alert(x, UW_ALERT_CLEARED, UW_ALERT_ENDED);
    expect(x, "OVER      ExpressLRS control link (was heard for 3 s)");
    live(x, 1);
    expect(x, "no drone link heard");
}

/* On a terminal no line is longer than it is wide, and the left column holds times only. */
static void test_terminal(void **state) {
    struct fixture *x = *state;
    struct uw_view_config config = {.out = x->f, .columns = 60, .endpoint = "tcp://127.0.0.1:5580"};
    struct uw_alert a;
    char *json;

    uw_view_free(x->view);
    assert_int_equal(uw_view_new(&config, 0, &x->view), 0);
    live(x, 1);
    fill_alert(x, &a, UW_ALERT_RAISED, UW_ALERT_ACTIVE);
    snprintf(a.reason, sizeof(a.reason),
             "north heard ten packets in three hops on all of the visible channels, one every five "
             "milliseconds, within a kilohertz of the raster");
    looked(x);
    assert_int_equal(uw_alert_encode(&a, &json), 0);
    give(x, json);
    live(x, 2);
    for (char *line = strtok(x->text + x->seen, "\n"); line; line = strtok(NULL, "\n")) {
        const char *drawn = strrchr(line, '\r'); /* the status line is drawn over and over */

        assert_in_range(uw_cli_width(drawn ? drawn + 4 : line), 1, 60);
        assert_true(line[0] == ' ' || line[0] == '\r' || line[0] == '\a' || line[0] == '1');
    }
}

static void test_repeated(void **state) {
    struct fixture *x = *state;

    live(x, 1);
    give_alert(x, UW_ALERT_RAISED, UW_ALERT_ACTIVE);
    looked(x);
    x->seq[UW_MSG_ALERT]--; /* the cache of the feed sends it again */
    give_alert(x, UW_ALERT_RAISED, UW_ALERT_ACTIVE);
    assert_int_equal(x->len, x->seen);
}

static void test_missed(void **state) {
    struct fixture *x = *state;

    live(x, 1);
    x->seq[UW_MSG_HEALTH] += 7; /* what the node repeats at first has gaps */
    live(x, 3);
    expect_not(x, "MISSED");
    x->seq[UW_MSG_HEALTH] += 4;
    live(x, 1);
    expect(x, "MISSED    4 messages");
}

static void test_receiver_lost(void **state) {
    struct fixture *x = *state;

    give_health(x, UW_RX_LOST, 8);
    advance(x, 0.2);
    expect(x, "DEAF      0 of 1 receiver listening");
    expect(x, "north gives no samples: check its cable");
    looked(x);
    give_health(x, UW_RX_DEGRADED, 0.1);
    advance(x, 0.2);
    expect(x, "DEGRADED  1 of 1 receiver listening");
}

/* The line is not green while the node says that something is wrong with itself. */
static void test_system_alert(void **state) {
    struct fixture *x = *state;
    struct uw_alert a;
    char *json;

    live(x, 3);
    looked(x);
    fill_alert(x, &a, UW_ALERT_RAISED, UW_ALERT_ACTIVE);
    a.kind = UW_ALERT_SYSTEM;
    snprintf(a.headline, sizeof(a.headline), "The clock was changed");
    assert_int_equal(uw_alert_encode(&a, &json), 0);
    give(x, json);
    live(x, 1);
    expect(x, "SYSTEM    warning: The clock was changed");
    expect(x, "DEGRADED  1 of 1 receiver listening; no drone link heard; The clock was changed");
    expect_not(x, "heard for");
    looked(x);
    fill_alert(x, &a, UW_ALERT_CLEARED, UW_ALERT_ENDED);
    a.kind = UW_ALERT_SYSTEM;
    assert_int_equal(uw_alert_encode(&a, &json), 0);
    give(x, json);
    live(x, 1);
    expect(x, "OVER      ExpressLRS control link (after 4 s)");
    expect(x, "OK        1 of 1 receiver listening");
}

static void test_garbage(void **state) {
    struct fixture *x = *state;

    give(x, strdup("{"));
    give(x, strdup("{\"type\":\"alert\"}"));
    give(x, strdup("[]"));
    live(x, 1);
    expect(x, "OK");
}

int main(void) {
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_quiet),        CASE(test_silence),       CASE(test_never_there),
        CASE(test_alert),        CASE(test_terminal),      CASE(test_repeated),
        CASE(test_missed),       CASE(test_receiver_lost), CASE(test_garbage),
        CASE(test_system_alert),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
