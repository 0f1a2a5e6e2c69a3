/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One receiver with a fake detector: same output whatever the blocks and delays; live losses count.
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
#include <time.h>
#include <unistd.h>

#include "fake-detector.h"
#include "uw/base/err.h"
#include "uw/base/iq-format.h"
#include "uw/base/time.h"
#include "uw/bus/bus.h"
#include "uw/iq/source.h"
#include "uw/msg/json.h"
#include "uw/rx/rx.h"

#define N_SAMPLES 501234 /* two seconds at 250 kHz, and an end inside a period */
#define ENDPOINT  "inproc://test"
#define TEXT_MAX  (1 << 20)

static char path[] = "uw-test-rx-XXXXXX";

static int write_recording(void **state) {
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "wb");
    uint32_t x = 1;

    (void)state;
    if (!f)
        return -1;
    for (int i = 0; i < 2 * N_SAMPLES; i++) {
        x = x * 1664525u + 1013904223u;
        fputc((int)(96 + (x >> 26)), f);
    }
    return fclose(f);
}

static int remove_recording(void **state) {
    (void)state;
    return unlink(path);
}

static struct uw_source *open_source(enum uw_source_type type) {
    struct uw_source_params params;
    struct uw_source *source = NULL;
    struct uw_diag diag = {0};

    uw_source_params_init(&params);
    params.type = type;
    params.path = path;
    params.format = UW_IQ_CU8;
    params.rate_hz = 250e3;
    params.freq_hz = 915e6;
    assert_int_equal(uw_source_open(&params, &diag, &source), 0);
    return source;
}

struct run {
    char *text; /* all messages */
    size_t len;
    int n_detections, n_progress;
    bool ended, failed;
    struct uw_rx_stats stats;
    int64_t lost;
};

static void take(struct run *run, const struct uw_bus_item *item, int64_t *progress_ns) {
    char *json = NULL;

    assert_false(run->ended);
    if (item->type == UW_MSG_DETECTION) {
        assert_true(item->detection.t_end_ns >= *progress_ns);
        assert_int_equal(uw_detection_encode(&item->detection, &json), 0);
        run->n_detections++;
    } else {
        assert_int_equal(item->progress.number, run->n_detections);
        assert_true(item->progress.time_ns >= *progress_ns);
        *progress_ns = item->progress.time_ns;
        assert_int_equal(uw_progress_encode(&item->progress, &json), 0);
        run->n_progress++;
        run->ended = item->progress.end;
        run->failed = item->progress.failed;
        run->lost = item->progress.quality.lost_samples;
    }
    if (run->len + strlen(json) + 2 < TEXT_MAX)
        run->len += (size_t)sprintf(run->text + run->len, "%s\n", json);
    free(json);
}

/* stop_after: progress messages; 0: to the end */
static void run_rx(enum uw_source_type type, size_t block, unsigned seed, int stop_after,
                   struct run *run) {
    struct uw_rx_config config = {.name = "rx0",
                                  .source = open_source(type),
                                  .endpoint = ENDPOINT,
                                  .head = {.site = "s", .node = "n", .run = "r"},
                                  .block_samples = block,
                                  .delay_seed = seed};
    struct uw_bus_receiver *receiver = NULL;
    struct uw_bus_item *item = malloc(sizeof(*item));
    struct uw_diag diag = {0};
    struct uw_rx *rx = NULL;
    int64_t progress_ns = INT64_MIN;

    memset(run, 0, sizeof(*run));
    run->text = malloc(TEXT_MAX);
    assert_int_equal(uw_bus_new(&config.bus), 0);
    assert_int_equal(uw_bus_receiver_new(config.bus, ENDPOINT, &diag, &receiver), 0);
    assert_int_equal(uw_rx_new(&config, &rx), 0);
    assert_int_equal(uw_rx_start(rx), 0);
    while (!run->ended) {
        assert_int_equal(uw_bus_receive(receiver, 5000, &diag, item), 0);
        take(run, item, &progress_ns);
        if (stop_after && run->n_progress == stop_after)
            uw_rx_stop(rx);
    }
    assert_int_equal(uw_rx_join(rx, &diag), 0);
    uw_rx_stats(rx, &run->stats);
    uw_rx_free(rx);
    uw_bus_receiver_free(receiver);
    uw_bus_free(config.bus);
    free(item);
}

static void test_blocks_and_delays_do_not_matter(void **state) {
    static const struct {
        size_t block;
        unsigned seed;
    } cases[] = {{1, 0}, {17, 0}, {977, 5}, {4999, 6}, {5001, 7}, {65536, 8}, {1000003, 9}};
    struct run reference, run;

    (void)state;
    run_rx(UW_SOURCE_FILE, 0, 0, 0, &reference);
    assert_int_equal(reference.stats.samples, N_SAMPLES);
    assert_int_equal(reference.stats.detections, reference.n_detections);
    /* hopper: ten and the flush; beacon: two groups of four */
    assert_in_range(reference.n_detections, 17, 20);
    assert_int_equal(reference.n_progress, 10 + 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        run_rx(UW_SOURCE_FILE, cases[i].block, cases[i].seed, 0, &run);
        assert_string_equal(run.text, reference.text);
        free(run.text);
    }
    free(reference.text);
}

static void test_stop_flushes(void **state) {
    struct run run;

    (void)state;
    run_rx(UW_SOURCE_FILE, 100, 0, 2, &run);
    assert_true(run.ended);
    assert_false(run.failed);
    assert_true(run.stats.samples <= N_SAMPLES);
    assert_true(run.stats.ended);
    free(run.text);
}

static void test_live_drops_and_counts(void **state) {
    struct run run;

    (void)state;
    fake_gaps = fake_n_gaps = 0;
    fake_slow_ns = 16000000; /* 16 ms for each 4 ms of signal */
    run_rx(UW_SOURCE_LOOP, 1000, 0, 2, &run);
    fake_slow_ns = 0;
    assert_true(run.stats.lost > 0);
    assert_int_equal(run.stats.lost, fake_gaps);
    assert_int_equal(run.stats.lost, run.lost);
    /* few holes, half a queue of 32 blocks long, and between them signal without */
    assert_true(fake_n_gaps > 0 && fake_gaps >= fake_n_gaps * 12 * 1000);
    assert_false(run.failed);
    free(run.text);
}

static void test_live_keeps_up(void **state) {
    struct run run;

    (void)state;
    run_rx(UW_SOURCE_LOOP, 0, 0, 2, &run);
    assert_int_equal(run.stats.lost, 0);
    free(run.text);
}

/* Nobody takes from the bus: free must not hang. */
static void test_free_without_reader(void **state) {
    struct uw_rx_config config = {.name = "rx0",
                                  .source = open_source(UW_SOURCE_LOOP),
                                  .endpoint = ENDPOINT,
                                  .head = {.site = "s", .node = "n", .run = "r"}};
    struct uw_rx *rx = NULL;

    (void)state;
    assert_int_equal(uw_bus_new(&config.bus), 0);
    assert_int_equal(uw_rx_new(&config, &rx), 0);
    assert_int_equal(uw_rx_start(rx), 0);
    uw_bus_shutdown(config.bus);
    uw_rx_free(rx);
    uw_bus_free(config.bus);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_and_delays_do_not_matter),
        cmocka_unit_test(test_stop_flushes),
        cmocka_unit_test(test_live_drops_and_counts),
        cmocka_unit_test(test_live_keeps_up),
        cmocka_unit_test(test_free_without_reader),
    };

    return cmocka_run_group_tests(tests, write_recording, remove_recording);
}
