/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Live receivers that go and come back, a fusion thread that hangs, clock and disk: what is said.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../../src/engine/engine-impl.h"
#include "../rx/fake-detector.h"
#include "uw/base/iq-format.h"
#include "uw/base/thread.h"
#include "uw/base/time.h"

#define TEXT_MAX (4 << 20)

static const char *signatures;
static const char fifo[] = "uw-test-live.fifo";
static const char recording[] = "uw-test-live.cu8";

static int make(void **state) {
    FILE *f = fopen(recording, "wb");
    uint32_t x = 1;

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    unlink(fifo);
    if (!f || mkfifo(fifo, 0600) < 0)
        return -1;
    for (int i = 0; i < 2 * 250000; i++) {
        x = x * 1664525u + 1013904223u;
        fputc((int)(96 + (x >> 26)), f);
    }
    return fclose(f);
}

static int clean(void **state) {
    (void)state;
    return unlink(fifo) || unlink(recording);
}

/* Gives noise until it is stopped. */
struct writer {
    struct uw_thread *thread;
    atomic_bool stop, pause;
};

static void write_noise(void *userdata) {
    struct writer *w = userdata;
    int fd = open(fifo, O_WRONLY);
    unsigned char data[4000];
    uint32_t x = 7;

    while (!atomic_load(&w->stop)) {
        for (size_t i = 0; i < sizeof(data); i++) {
            x = x * 1664525u + 1013904223u;
            data[i] = (unsigned char)(96 + (x >> 26));
        }
        while (atomic_load(&w->pause) && !atomic_load(&w->stop))
            clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = 1000000}, NULL);
        if (write(fd, data, sizeof(data)) < 0)
            break;
    }
    close(fd);
}

static void start_writer(struct writer *w) {
    atomic_store(&w->stop, false);
    atomic_store(&w->pause, false);
    assert_int_equal(uw_thread_start("writer", write_noise, w, &w->thread), 0);
}

static void stop_writer(struct writer *w) {
    atomic_store(&w->stop, true);
    w->thread = uw_thread_join(w->thread);
}

struct world {
    struct uw_engine *engine;
    pthread_mutex_t mutex;
    char *text;
    size_t len;
    int n[UW_MSG_TYPE_N];
    atomic_int hang_ms; /* the next message holds up fusion for so long */
};

static void on_message(void *userdata, enum uw_msg_type type, const char *topic, const char *json) {
    struct world *w = userdata;
    int ms = atomic_exchange(&w->hang_ms, 0);
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

    if (ms)
        clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
    pthread_mutex_lock(&w->mutex);
    w->n[type]++;
    if (w->len + strlen(topic) + strlen(json) + 3 < TEXT_MAX)
        w->len += (size_t)sprintf(w->text + w->len, "%s %s\n", topic, json);
    pthread_mutex_unlock(&w->mutex);
}

static void begin(struct world *w, const struct uw_engine_config *config) {
    struct uw_diag diag = {0};

    *w = (struct world){.text = calloc(1, TEXT_MAX)};
    pthread_mutex_init(&w->mutex, NULL);
    if (uw_engine_new(config, &diag, on_message, NULL, w, &w->engine))
        fail_msg("%s", diag.text[0]);
    assert_int_equal(uw_engine_start(w->engine, &diag), 0);
}

static void end(struct world *w) {
    struct uw_diag diag = {0};

    uw_engine_stop(w->engine);
    assert_true(uw_engine_wait(w->engine, 2000));
    assert_int_equal(uw_engine_finish(w->engine, &diag, NULL), 0);
    uw_engine_free(w->engine);
    pthread_mutex_destroy(&w->mutex);
    free(w->text);
}

static size_t mark(struct world *w) {
    size_t at;

    pthread_mutex_lock(&w->mutex);
    at = w->len;
    pthread_mutex_unlock(&w->mutex);
    return at;
}

/* One line with all the words, after `from`. */
static bool has_line(struct world *w, size_t from, const char *const *words) {
    bool found = false;

    pthread_mutex_lock(&w->mutex);
    for (const char *line = w->text + from; !found && *line;) {
        const char *next = strchr(line, '\n');
        size_t len = next ? (size_t)(next - line) : strlen(line);
        char *copy = strndup(line, len);

        found = true;
        for (const char *const *word = words; *word; word++)
            found = found && strstr(copy, *word);
        free(copy);
        line += len + (next != NULL);
    }
    pthread_mutex_unlock(&w->mutex);
    return found;
}

#define WORDS(...)                                                                                 \
    (const char *const[]) {                                                                        \
        __VA_ARGS__, NULL                                                                          \
    }

/* How long it took, seconds. */
static double expect(struct world *w, size_t from, double limit_s, const char *const *words) {
    int64_t begin_ns = uw_clock_mono_ns();
    struct timespec t = {.tv_nsec = 10000000};
    double seconds = 0;

    while (!has_line(w, from, words)) {
        seconds = (double)(uw_clock_mono_ns() - begin_ns) / 1e9;
        if (seconds > limit_s)
            fail_msg("no message with %s %s within %.1f s", words[0], words[1] ? words[1] : "",
                     limit_s);
        clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
    }
    return seconds;
}

static void set_receiver(struct uw_engine_config *config, const char *name,
                         enum uw_source_type type, const char *path, double freq_hz) {
    struct uw_engine_receiver *r = &config->receivers[config->n_receivers++];

    uw_source_params_init(&r->source);
    strcpy(r->name, name);
    strcpy(r->path, path);
    r->source.type = type;
    r->source.format = UW_IQ_CU8;
    r->source.rate_hz = 250e3;
    r->source.freq_hz = freq_hz;
}

static void configure(struct uw_engine_config *config) {
    uw_engine_config_init(config);
    strcpy(config->run, "r1");
    strcpy(config->signature_dir, signatures);
    config->feed = true;
    strcpy(config->feed_endpoint, "tcp://127.0.0.1:*");
    config->health.clear_s = 0.4;
    config->health.blind_s = 0.3;
}

static void test_receiver_lost_and_back(void **state) {
    static struct uw_engine_config config;
    struct writer writer;
    struct world w;
    size_t at;
    int detections;

    (void)state;
    configure(&config);
    set_receiver(&config, "mast", UW_SOURCE_PIPE, fifo, 915e6);
    set_receiver(&config, "gate", UW_SOURCE_LOOP, recording, 868e6);
    start_writer(&writer);
    begin(&w, &config);
    expect(&w, 0, 3, WORDS("v1.health.", "\"mast\",\"state\":\"ok\"", "\"gate\",\"state\":\"ok\""));
    expect(&w, 0, 3, WORDS("v1.detection.", "\"receiver\":\"mast\""));
    assert_false(has_line(&w, 0, WORDS("\"kind\":\"receiver\"")));
    assert_false(has_line(&w, 0, WORDS("\"band\":")));

    at = mark(&w);
    detections = w.n[UW_MSG_DETECTION];
    stop_writer(&writer);
    assert_true(expect(&w, at, 3,
                       WORDS("v1.alert.", "\"kind\":\"receiver\"", "\"raised\"",
                             "\"receiver\":\"mast\"", "\"problem\":\"absent\"")) < 2);
    expect(&w, at, 2,
           WORDS("v1.alert.", "\"kind\":\"coverage\"", "\"raised\"", "\"band\":\"FCC915"));
    expect(&w, at, 2,
           WORDS("v1.health.", "\"lost\"", "\"absent\"", "\"blind\":[{\"band\":\"FCC915"));
    expect(&w, at, 2, WORDS("\"kind\":\"coverage\"", "\"raised\"", "Receiver mast is lost"));
    assert_false(has_line(&w, at, WORDS("\"band\":\"EU868 "))); /* gate hears it */
    at = mark(&w);
    expect(&w, at, 3, WORDS("v1.detection.", "\"receiver\":\"gate\"")); /* nobody is held back */
    assert_true(w.n[UW_MSG_DETECTION] > detections);

    at = mark(&w);
    start_writer(&writer);
    expect(&w, at, 3, WORDS("v1.alert.", "\"receiver\":\"mast\"", "\"cleared\"", "works again"));
    expect(&w, at, 3, WORDS("v1.alert.", "\"kind\":\"coverage\"", "\"cleared\""));
    expect(&w, at, 3,
           WORDS("v1.health.", "\"mast\",\"state\":\"ok\"", "\"reopened\":1", "\"blind\":[]"));
    end(&w);
    stop_writer(&writer);
}

static void shift_clock(struct uw_engine *engine, void *seconds) {
    engine->system.anchor_real_ns += *(int *)seconds * UW_NS_PER_S;
}

static void test_node_itself(void **state) {
    static struct uw_engine_config config;
    char who[UW_ENGINE_WHO_LEN];
    struct world w;
    int seconds = -2;
    size_t at;

    (void)state;
    configure(&config);
    set_receiver(&config, "gate", UW_SOURCE_LOOP, recording, 868e6);
    strcpy(config.state_dir, ".");
    config.health.disk_free_bytes = 1e18;
    begin(&w, &config);
    expect(&w, 0, 3, WORDS("v1.health."));
    assert_true(uw_engine_is_alive(w.engine, 2, who));
    assert_string_equal(who, "");
    assert_false(has_line(&w, 0, WORDS("disk_free_bytes"))); /* nobody has looked yet */
    uw_engine_tick(w.engine);
    expect(&w, 0, 3, WORDS("v1.health.", "\"disk_free_bytes\":"));
    expect(&w, 0, 1, WORDS("v1.alert.", "\"kind\":\"system\"", "\"part\":\"disk\"", "\"raised\""));

    at = mark(&w);
    assert_int_equal(uw_engine_call(w.engine, shift_clock, &seconds), 0);
    expect(&w, at, 2, WORDS("v1.alert.", "\"part\":\"clock\"", "\"raised\"", " ms ahead"));
    seconds = 2;
    assert_int_equal(uw_engine_call(w.engine, shift_clock, &seconds), 0);
    expect(&w, at, 2, WORDS("v1.alert.", "\"part\":\"clock\"", "\"cleared\""));

    at = mark(&w);
    atomic_store(&w.hang_ms, 2300);
    for (int i = 0; i < 200 && uw_engine_is_alive(w.engine, 0.5, who); i++)
        clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_string_equal(who, "fusion");
    expect(&w, at, 4,
           WORDS("v1.alert.", "\"part\":\"fusion\"", "\"raised\"", "stood still for 2."));
    assert_true(uw_engine_is_alive(w.engine, 2, who));
    assert_int_equal(uw_engine_audit(w.engine, "somebody", "did", "this", "and that"), 0);
    assert_true(has_line(&w, at, WORDS("v1.audit.", "\"actor\":\"somebody\"")));
    end(&w);
}

/* Laid over the receiver's own: whose device's last sign of life was how long ago (0: not told). */
static _Atomic(const struct uw_rx *) hung_rx;
static _Atomic int64_t hung_ns;

void __real_uw_rx_source_health(const struct uw_rx *rx, struct uw_source_health *health);
void __wrap_uw_rx_source_health(const struct uw_rx *rx, struct uw_source_health *health);

void __wrap_uw_rx_source_health(const struct uw_rx *rx, struct uw_source_health *health) {
    __real_uw_rx_source_health(rx, health);
    if (hung_ns && rx == hung_rx)
        health->pulse_mono_ns = uw_clock_mono_ns() - hung_ns;
}

static void begin_long_ago(struct uw_engine *engine, void *nothing) {
    (void)nothing;
    for (int i = 0; i < engine->n_receivers; i++)
        engine->receivers[i]->begin_mono_ns -= 3600 * UW_NS_PER_S;
}

/* A call of a device's library that does not come back is a reason for a restart, but for a good
 * while only if no other receiver would be deaf meanwhile. */
static void test_hung_device(void **state) {
    static struct uw_engine_config config;
    char who[UW_ENGINE_WHO_LEN];
    struct writer writer;
    struct world w;

    (void)state;
    configure(&config);
    set_receiver(&config, "mast", UW_SOURCE_PIPE, fifo, 915e6);
    set_receiver(&config, "gate", UW_SOURCE_PIPE, "uw-test-live-none.fifo", 868e6);
    unlink("uw-test-live-none.fifo");
    assert_int_equal(mkfifo("uw-test-live-none.fifo", 0600), 0); /* nobody writes */
    start_writer(&writer);
    begin(&w, &config);
    expect(&w, 0, 3, WORDS("v1.detection.", "\"receiver\":\"mast\""));
    expect(&w, 0, 5, WORDS("v1.health.", "\"gate\",\"state\":\"lost\""));
    hung_rx = w.engine->receivers[1]->rx;
    assert_int_equal(uw_engine_call(w.engine, begin_long_ago, NULL), 0);

    hung_ns = 14 * UW_NS_PER_S;
    assert_true(uw_engine_is_alive(w.engine, 5, who));
    hung_ns = 595 * UW_NS_PER_S;
    assert_true(uw_engine_is_alive(w.engine, 5, who));
    hung_ns = 601 * UW_NS_PER_S;
    assert_false(uw_engine_is_alive(w.engine, 5, who));
    assert_string_equal(who, "device of gate");

    atomic_store(&writer.pause, true); /* nobody hears now */
    hung_ns = 16 * UW_NS_PER_S;
    for (int i = 0; i < 800 && uw_engine_is_alive(w.engine, 5, who); i++)
        clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_string_equal(who, "device of gate");
    hung_ns = 14 * UW_NS_PER_S;
    assert_true(uw_engine_is_alive(w.engine, 5, who));
    hung_ns = 0;
    end(&w);
    stop_writer(&writer);
    unlink("uw-test-live-none.fifo");
}

/* More than the detector can do: what is shed is counted and said once for all receivers, and links
 * are still alerted. */
static void test_overload(void **state) {
    static struct uw_engine_config config;
    struct world w;
    size_t at;

    (void)state;
    configure(&config);
    set_receiver(&config, "gate", UW_SOURCE_LOOP, recording, 868e6);
    set_receiver(&config, "roof", UW_SOURCE_LOOP, recording, 868e6);
    config.health.silent_s = 0.5;
    fake_slow_ns = 70000000; /* for each 20 ms of signal */
    begin(&w, &config);
    expect(&w, 0, 5, WORDS("v1.alert.", "\"kind\":\"system\"", "\"part\":\"load\"", "\"raised\""));
    expect(&w, 0, 2, WORDS("v1.health.", "\"problem\":\"overloaded\""));
    assert_false(has_line(&w, 0, WORDS("\"kind\":\"receiver\""))); /* one alert, not three */
    at = mark(&w);
    expect(&w, at, 3, WORDS("v1.track.", "\"state\":\"confirmed\""));
    expect(&w, 0, 1, WORDS("v1.alert.", "\"kind\":\"uas\"", "\"raised\""));
    /* the end: it takes seconds to drain the queues, and nobody is deaf */
    uw_engine_stop(w.engine);
    assert_true(uw_engine_wait(w.engine, 10000));
    assert_false(has_line(&w, 0, WORDS("\"kind\":\"receiver\"")));
    assert_false(has_line(&w, 0, WORDS("v1.health.", "\"state\":\"lost\"")));
    fake_slow_ns = 0;
    end(&w);
}

/* One receiver is waited for, and more comes from the other than can be held: it is used before its
 * turn, which is said, and alerts come. */
static void test_more_than_can_be_held(void **state) {
    static struct uw_engine_config config;
    struct world w;

    (void)state;
    configure(&config);
    config.lag_s = 60;
    config.order_max = 5;
    set_receiver(&config, "gate", UW_SOURCE_LOOP, recording, 868e6);
    set_receiver(&config, "mast", UW_SOURCE_PIPE, fifo, 915e6); /* nobody writes */
    begin(&w, &config);
    expect(&w, 0, 5, WORDS("v1.alert.", "\"part\":\"fusion\"", "\"raised\"", "out of its order"));
    expect(&w, 0, 5, WORDS("v1.alert.", "\"kind\":\"uas\"", "\"raised\""));
    expect(&w, 0, 3, WORDS("v1.health.", "\"queues\":{\"fusion\":5,\"fusion_early\":"));
    end(&w);
}

static uint64_t heard(const struct world *w, int i) {
    struct uw_rx_stats stats;

    uw_rx_stats(w->engine->receivers[i]->rx, &stats);
    return stats.samples;
}

/* Recordings wait for each other: what one that is slow holds up stays small, and is not lost. */
static void test_no_file_runs_away(void **state) {
    static struct uw_engine_config config;
    static const char lengthy[] = "uw-test-live-long.cu8";
    struct timespec t = {.tv_nsec = 300000000};
    struct uw_engine_summary summary;
    struct uw_diag diag = {0};
    struct writer writer;
    uint64_t before = 0;
    struct world w;
    FILE *f = fopen(lengthy, "wb");

    (void)state;
    assert_non_null(f);
    for (int i = 0; i < 20; i++) /* twenty seconds */
        for (int k = 0; k < 2 * 250; k++) {
            static const char thousand[1000] = {96, 120, 110, 101, 115};
            fwrite(thousand, 1, sizeof(thousand), f);
        }
    fclose(f);
    configure(&config);
    config.feed = false;
    set_receiver(&config, "quick", UW_SOURCE_FILE, lengthy, 915e6);
    set_receiver(&config, "slow", UW_SOURCE_FILE, fifo, 915e6);
    start_writer(&writer); /* it is stopped after its first second or more */
    begin(&w, &config);
    while (heard(&w, 1) < 250000)
        clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = 1000000}, NULL);
    atomic_store(&writer.pause, true);
    for (int i = 0; i < 20 && (before == 0 || heard(&w, 0) != before); i++) {
        before = heard(&w, 0);
        clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
    }
    /* ten seconds ahead of what has been given here, and a progress or two */
    assert_in_range(heard(&w, 0), heard(&w, 1), heard(&w, 1) + 11 * 250000);
    if (heard(&w, 1) < 8 * 250000)
        assert_true(heard(&w, 0) < 20 * 250000);
    stop_writer(&writer);
    assert_true(uw_engine_wait(w.engine, 10000));
    assert_int_equal(uw_engine_finish(w.engine, &diag, &summary), 0);
    assert_int_equal(heard(&w, 0), 20 * 250000);
    uw_engine_free(w.engine);
    free(w.text);
    unlink(lengthy);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_receiver_lost_and_back),
        cmocka_unit_test(test_node_itself),
        cmocka_unit_test(test_hung_device),
        cmocka_unit_test(test_overload),
        cmocka_unit_test(test_no_file_runs_away),
        cmocka_unit_test(test_more_than_can_be_held),
    };

    if (argc != 2)
        return 2;
    signatures = argv[1];
    return cmocka_run_group_tests(tests, make, clean);
}
