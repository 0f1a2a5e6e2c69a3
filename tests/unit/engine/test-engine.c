/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The whole wiring with a fake detector: determinism, failures, the feed, late joiners, stopping.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "../rx/fake-detector.h"
#include "uw/base/err.h"
#include "uw/base/iq-format.h"
#include "uw/base/time.h"
#include "uw/engine/engine.h"

#define TEXT_MAX (4 << 20)

static const char *signatures;
static const char recording[] = "uw-test-engine.cu8";
static const char broken[] = "uw-test-engine-broken.cf32";

static int write_recordings(void **state) {
    FILE *f = fopen(recording, "wb");
    FILE *g = fopen(broken, "wb");
    uint32_t x = 1;

    (void)state;
    if (!f || !g)
        return -1;
    for (int i = 0; i < 2 * 250123; i++) {
        x = x * 1664525u + 1013904223u;
        fputc((int)(96 + (x >> 26)), f);
    }
    for (int i = 0; i < 2 * 100000; i++) {
        float value = i == 150000 ? NAN : (float)(i % 7) * 0.01f;
        fwrite(&value, sizeof(value), 1, g);
    }
    return fclose(f) || fclose(g);
}

static int remove_recordings(void **state) {
    (void)state;
    return unlink(recording) || unlink(broken);
}

struct result {
    char *text;
    size_t len;
    int n[UW_MSG_TYPE_N];
    uint64_t n_records;
    int64_t last_time_ns;
    struct uw_engine_summary summary;
    struct uw_diag diag;
};

static void on_message(void *userdata, enum uw_msg_type type, const char *topic, const char *json) {
    struct result *r = userdata;
    char seq[40];

    r->n[type]++;
    snprintf(seq, sizeof(seq), "\"seq\":%d,", r->n[type]);
    assert_non_null(strstr(json, seq)); /* from 1, without gaps */
    if (r->len + strlen(topic) + strlen(json) + 3 < TEXT_MAX)
        r->len += (size_t)sprintf(r->text + r->len, "%s %s\n", topic, json);
}

static void on_detection(void *userdata, const struct uw_detection *d) {
    struct result *r = userdata;

    r->n_records++;
    assert_int_equal(r->n_records, r->n[UW_MSG_DETECTION] + 1);
    assert_true(d->t_end_ns >= r->last_time_ns); /* in the order of time */
    r->last_time_ns = d->t_end_ns;
}

static void set_receiver(struct uw_engine_config *config, int i, const char *name, const char *path,
                         double rate_hz) {
    struct uw_engine_receiver *r = &config->receivers[i];

    strcpy(r->name, name);
    strcpy(r->path, path);
    r->source.format = strstr(path, "cf32") ? UW_IQ_CF32 : UW_IQ_CU8;
    r->source.rate_hz = rate_hz;
    r->source.freq_hz = 915e6;
    config->n_receivers = i + 1;
}

/* Two receivers whose clocks, lengths and rates differ, not in the order of their names. */
static void two_files(struct uw_engine_config *config) {
    uw_engine_config_init(config);
    strcpy(config->run, "r1");
    strcpy(config->signature_dir, signatures);
    set_receiver(config, 0, "west", recording, 250e3);
    set_receiver(config, 1, "east", recording, 300e3);
    config->receivers[1].source.start_ns = 20000000;
}

static void result_init(struct result *r) {
    memset(r, 0, sizeof(*r));
    r->last_time_ns = INT64_MIN;
    r->text = calloc(1, TEXT_MAX);
    assert_non_null(r->text);
}

static int run(const struct uw_engine_config *config, struct result *r) {
    struct uw_engine *engine = NULL;
    int error;

    result_init(r);
    assert_int_equal(uw_engine_new(config, &r->diag, on_message, on_detection, r, &engine), 0);
    assert_int_equal(uw_engine_start(engine, &r->diag), 0);
    assert_true(uw_engine_wait(engine, 20000));
    error = uw_engine_finish(engine, &r->diag, &r->summary);
    uw_engine_free(engine);
    return error;
}

static void test_same_bytes_whatever_the_threads_do(void **state) {
    static const struct {
        size_t block;
        unsigned seed;
        bool paced, swap;
    } cases[] = {{0, 1, false, false},     {313, 2, false, false}, {4999, 3, false, false},
                 {50001, 4, false, false}, {0, 5, false, true},    {1000003, 0, false, false},
                 {0, 0, true, false},      {7777, 6, false, true}};
    struct uw_engine_config config;
    struct result reference, r;

    (void)state;
    two_files(&config);
    assert_int_equal(run(&config, &reference), 0);
    assert_true(reference.n[UW_MSG_DETECTION] > 10);
    assert_true(reference.n[UW_MSG_TRACK] > 4);
    assert_true(reference.n[UW_MSG_ALERT] >= 4);
    assert_int_equal(reference.n[UW_MSG_HEALTH], 0);
    assert_int_equal(reference.summary.detections, reference.n_records);
    assert_int_equal(reference.summary.samples, 2 * 250123);
    assert_int_equal(reference.summary.alerts, 2); /* hopper and beacon, each heard twice */
    assert_int_equal(reference.summary.tracks, 2);
    assert_int_equal(reference.summary.dropped, 0);
    assert_true(fabs(reference.summary.seconds - 250123 / 250e3) < 1e-9);
    assert_non_null(strstr(reference.text, "end of input"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        two_files(&config);
        config.block_samples = cases[i].block;
        config.delay_seed = cases[i].seed;
        config.receivers[0].source.paced = config.receivers[1].source.paced = cases[i].paced;
        if (cases[i].swap) {
            struct uw_engine_receiver t = config.receivers[0];
            config.receivers[0] = config.receivers[1];
            config.receivers[1] = t;
        }
        assert_int_equal(run(&config, &r), 0);
        assert_string_equal(r.text, reference.text);
        free(r.text);
    }
    free(reference.text);
}

static void test_stricter_rate_means_fewer_alerts(void **state) {
    struct uw_engine_config config;
    struct result r;

    (void)state;
    two_files(&config);
    config.fuse.false_alerts_per_hour = 1e-300;
    assert_int_equal(run(&config, &r), 0);
    assert_int_equal(r.summary.alerts, 0);
    assert_int_equal(r.summary.tracks, 2);
    free(r.text);
}

static void test_failing_file_is_told(void **state) {
    struct uw_engine_config config;
    struct result r;

    (void)state;
    two_files(&config);
    set_receiver(&config, 2, "bad", broken, 250e3);
    assert_int_equal(run(&config, &r), UW_E_INPUT);
    assert_int_equal(r.diag.n, 1);
    assert_non_null(strstr(r.diag.text[0], "75000"));
    assert_non_null(strstr(r.text, "Receiver bad is deaf"));
    /* the others go on to their end */
    assert_true(r.summary.samples >= 2 * 250123);
    free(r.text);
}

static void assert_refused(const struct uw_engine_config *config, const char *text) {
    struct uw_engine *engine = NULL;
    struct uw_diag diag = {0};

    assert_int_equal(uw_engine_new(config, &diag, NULL, NULL, NULL, &engine), UW_E_INPUT);
    assert_true(diag.n > 0);
    if (!strstr(diag.text[0], text))
        fail_msg("\"%s\" is not in \"%s\"", text, diag.text[0]);
}

static void test_bad_configurations(void **state) {
    struct uw_engine_config config;

    (void)state;
    two_files(&config);
    strcpy(config.receivers[1].name, "west");
    assert_refused(&config, "west");
    two_files(&config);
    strcpy(config.receivers[1].name, "a.b");
    assert_refused(&config, "a.b");
    two_files(&config);
    strcpy(config.run, "a-run-of-thirty-characters-----");
    assert_refused(&config, "longer than");
    two_files(&config);
    config.n_receivers = 0;
    assert_refused(&config, "receivers");
    two_files(&config);
    strcpy(config.receivers[0].path, "no-such-file.cu8");
    assert_refused(&config, "no-such-file.cu8");
    two_files(&config);
    config.n_signatures = 1;
    strcpy(config.signatures[0], "no-such-link");
    assert_refused(&config, "no-such-link");
    two_files(&config);
    strcpy(config.signature_dir, "no-such-directory");
    assert_refused(&config, "no-such-directory");
}

static void test_feed_endpoint_in_use(void **state) {
    struct uw_engine_config config;
    struct uw_engine *first = NULL, *second = NULL;
    struct uw_diag diag = {0};

    (void)state;
    two_files(&config);
    config.receivers[0].source.type = UW_SOURCE_LOOP;
    assert_refused(&config, "recordings and live receivers");
    config.receivers[1].source.type = UW_SOURCE_LOOP;
    config.feed = true;
    strcpy(config.feed_endpoint, "tcp://127.0.0.1:*");
    assert_int_equal(uw_engine_new(&config, &diag, NULL, NULL, NULL, &first), 0);
    assert_int_equal(uw_engine_start(first, &diag), 0);
    strcpy(config.feed_endpoint, uw_engine_feed_endpoint(first));
    assert_int_equal(uw_engine_new(&config, &diag, NULL, NULL, NULL, &second), 0);
    assert_int_equal(uw_engine_start(second, &diag), UW_E_INPUT);
    assert_true(diag.n > 0);
    uw_engine_free(second);
    uw_engine_free(first); /* without stop, wait or finish */
}

/* Receives until all three types have come whose names are in `want`, or time is up. */
static void await_topics(void *socket, const char *const *want, int n) {
    int64_t until = uw_clock_mono_ns() + 5 * UW_NS_PER_S;
    int missing = (1 << n) - 1;

    while (missing && uw_clock_mono_ns() < until) {
        char topic[300], body[70000];
        int len = zmq_recv(socket, topic, sizeof(topic) - 1, 0);
        if (len < 0)
            continue;
        topic[len < 299 ? len : 299] = 0;
        len = zmq_recv(socket, body, sizeof(body), 0);
        assert_true(len > 0);
        for (int i = 0; i < n; i++)
            if (strncmp(topic, want[i], strlen(want[i])) == 0)
                missing &= ~(1 << i);
    }
    assert_int_equal(missing, 0);
}

static void test_live_feed_late_joiner_and_stop(void **state) {
    static const char *const want[] = {"v1.alert.site.node.", "v1.track.site.node.",
                                       "v1.health.site.node."};
    struct uw_engine_config config;
    struct uw_engine *engine = NULL;
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_SUB);
    int timeout = 200;
    int64_t stopped;
    struct result r;

    (void)state;
    result_init(&r);
    two_files(&config);
    config.n_receivers = 1;
    config.receivers[0].source.type = UW_SOURCE_LOOP;
    config.feed = true;
    strcpy(config.feed_endpoint, "tcp://127.0.0.1:*");
    assert_int_equal(uw_engine_new(&config, &r.diag, on_message, NULL, &r, &engine), 0);
    assert_int_equal(uw_engine_start(engine, &r.diag), 0);
    assert_true(isnan(uw_engine_fraction(engine)));
    assert_false(uw_engine_wait(engine, 1800)); /* the alert has been raised long before */
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout, sizeof(timeout));
    assert_int_equal(zmq_connect(socket, uw_engine_feed_endpoint(engine)), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(zmq_setsockopt(socket, ZMQ_SUBSCRIBE, want[i], strlen(want[i])), 0);
    await_topics(socket, want, 3);
    stopped = uw_clock_mono_ns();
    uw_engine_stop(engine);
    assert_true(uw_engine_wait(engine, 1000));
    assert_int_equal(uw_engine_finish(engine, &r.diag, &r.summary), 0);
    uw_engine_free(engine);
    assert_true(uw_clock_mono_ns() - stopped < UW_NS_PER_S);
    assert_true(r.n[UW_MSG_HEALTH] >= 2);
    assert_true(r.n[UW_MSG_ALERT] >= 1);
    assert_null(strstr(r.text, "\"cleared\"")); /* the link is not gone because we stop */
    assert_null(strstr(r.text, "deaf"));
    zmq_close(socket);
    zmq_ctx_term(context);
    free(r.text);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bytes_whatever_the_threads_do),
        cmocka_unit_test(test_stricter_rate_means_fewer_alerts),
        cmocka_unit_test(test_failing_file_is_told),
        cmocka_unit_test(test_bad_configurations),
        cmocka_unit_test(test_feed_endpoint_in_use),
        cmocka_unit_test(test_live_feed_late_joiner_and_stop),
    };

    if (argc != 2)
        return 2;
    signatures = argv[1];
    return cmocka_run_group_tests(tests, write_recordings, remove_recordings);
}
