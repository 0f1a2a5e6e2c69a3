/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From the end of the block that completes the evidence to the alert on the feed
 *
 * Links come and go in a recording that is played at the speed of the signal through the engine,
 * with a client on its feed. They use a plan of three channels, all of which are heard, so that
 * half a second is enough for an alert; and fusion forgets a link soon, so that the next one is a
 * link of its own. Neither changes what an alert has to go through. An alert says at which instant
 * of the signal its evidence was complete (last_seen); the receiver had the block with that instant
 * when its last sample was due. The clock starts before the engine does, so the time until the
 * first sample is read counts, too.
 */

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench-impl.h"
#include "uaswatch/client.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/thread.h"
#include "uw/base/time.h"
#include "uw/base/util.h"
#include "uw/engine/engine.h"

#define RUNS    2  /* engines at once */
#define LINKS   64 /* in each */
#define FIRST_S 1.0
#define EVERY_S 1.1
#define LIVES_S 0.7
#define COAST_S 0.1 /* fusion's: silent for so long */
#define CLEAR_S 0.2 /* ... and gone */
#define RATE_HZ 2.4e6
#define FREQ_HZ 433.8e6
#define BLOCK_S 0.02 /* of a receiver */

struct run {
    const struct uw_bench *bench;
    struct uw_bench_input input;
    struct uw_engine_config config;
    struct uw_diag diag;
    int error;
    int n;
    double ms[2 * LINKS];
};

static int make_input(struct run *run, int number) {
    size_t size = 256 + LINKS * 256, used;
    char *text = malloc(size);
    double seconds = FIRST_S + LINKS * EVERY_S + LIVES_S;
    int r;

    if (!text)
        return uw_err(-ENOMEM);
    used = (size_t)snprintf(text, size,
                            "duration_s = %.1f; seed = %d; receivers = ( { rate_hz = %.1f;"
                            " freq_hz = %.1f; } ); emitters = (",
                            seconds + 0.1, 100 + number, RATE_HZ, FREQ_HZ);
    for (int i = 0; i < LINKS && used < size; i++)
        used += (size_t)snprintf(text + used, size - used,
                                 "%s { link = \"expresslrs\"; variant = \"%s\"; domain = \"EU433\";"
                                 " snr_db = 15.0; start_s = %.2f; stop_s = %.2f; ppm = %.1f; }",
                                 i ? "," : "", i % 3 == 2 ? "100Hz" : "200Hz", 1.0 + i * EVERY_S,
                                 1.0 + i * EVERY_S + LIVES_S, (double)(i * 7 % 33) - 16.0);
    if (used < size)
        used += (size_t)snprintf(text + used, size - used, ");");
    r = used < size
            ? uw_bench_input_text(text, (size_t)(seconds * RATE_HZ), run->bench->diag, &run->input)
            : uw_err(-E2BIG);
    free(text);
    return r;
}

static void take(struct run *run, const struct uaswatch_message *message, int64_t begin_ns) {
    int64_t now = uw_clock_mono_ns(), seen_ns;
    json_t *body = json_loadb(message->json, message->json_len, 0, NULL);
    const char *event = json_string_value(json_object_get(body, "event"));
    const char *kind = json_string_value(json_object_get(body, "kind"));
    const char *seen = json_string_value(json_object_get(body, "last_seen"));

    if (event && kind && seen && strcmp(event, "raised") == 0 && strcmp(kind, "uas") == 0 &&
        !message->repeated && run->n < 2 * LINKS && uw_time_parse(seen, &seen_ns) == 0) {
        double block_s = ceil((double)seen_ns / 1e9 / BLOCK_S) * BLOCK_S;

        run->ms[run->n++] = (double)(now - begin_ns) / 1e6 - 1e3 * block_s;
    }
    json_decref(body);
}

static int listen(struct run *run, struct uw_engine *engine, struct uaswatch_client *client) {
    struct uaswatch_message message;
    int64_t begin_ns = uw_clock_mono_ns();
    int r = uw_engine_start(engine, &run->diag);

    if (r == 0)
        r = uaswatch_client_new(uw_engine_feed_endpoint(engine), &client);
    if (r == 0)
        r = uaswatch_client_subscribe(client, "v1.alert.");
    while (r == 0 && !uw_engine_wait(engine, 0)) {
        int got = uaswatch_client_receive(client, 100, &message);

        if (got == 1)
            take(run, &message, begin_ns);
        else if (got < 0 && got != -EINTR)
            r = got;
    }
    if (r != 0)
        uw_engine_stop(engine);
    uaswatch_client_free(client);
    return r;
}

static void run_main(void *userdata) {
    struct run *run = userdata;
    struct uw_engine *engine = NULL;
    int r = uw_engine_new(&run->config, &run->diag, NULL, NULL, NULL, &engine);

    if (r == 0) {
        r = listen(run, engine, NULL);
        if (r == 0)
            r = uw_engine_finish(engine, &run->diag, NULL);
    }
    uw_engine_free(engine);
    run->error = r;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void sum_up(struct run *runs, struct uw_bench_latency *ret) {
    double all[RUNS * 2 * LINKS];
    int n = 0;

    for (int i = 0; i < RUNS; i++)
        for (int k = 0; k < runs[i].n; k++)
            all[n++] = runs[i].ms[k];
    *ret = (struct uw_bench_latency){.n = n};
    if (n == 0)
        return;
    qsort(all, (size_t)n, sizeof(all[0]), compare);
    /* the nearest rank */
    ret->p50_ms = all[(int)ceil(0.50 * n) - 1];
    ret->p99_ms = all[(int)ceil(0.99 * n) - 1];
    ret->max_ms = all[n - 1];
}

int uw_bench_latency(const struct uw_bench *bench, struct uw_bench_latency *ret) {
    struct run *runs = calloc(RUNS, sizeof(*runs));
    struct uw_thread *threads[RUNS] = {NULL};
    int r = runs ? 0 : uw_err(-ENOMEM);

    for (int i = 0; i < RUNS && r == 0; i++) {
        runs[i].bench = bench;
        runs[i].input.fd = -1;
        r = make_input(&runs[i], i);
        uw_bench_engine_config(bench, runs[i].input.path, RATE_HZ, FREQ_HZ, &runs[i].config);
        runs[i].config.receivers[0].source.paced = true;
        runs[i].config.feed = true;
        runs[i].config.fuse.coast_s = COAST_S;
        runs[i].config.fuse.clear_s = CLEAR_S;
        uw_str_copy(runs[i].config.feed_endpoint, UW_PATH_LEN, "tcp://127.0.0.1:*");
    }
    for (int i = 0; i < RUNS && r == 0; i++)
        r = uw_thread_start("uw-bench", run_main, &runs[i], &threads[i]);
    for (int i = 0; i < RUNS && runs; i++) {
        threads[i] = uw_thread_join(threads[i]);
        for (int k = 0; k < runs[i].diag.n; k++)
            uw_diag_add(bench->diag, "%s", runs[i].diag.text[k]);
        if (r == 0)
            r = runs[i].error;
        if (runs[i].input.samples)
            uw_bench_input_deinit(&runs[i].input);
    }
    if (r == 0)
        sum_up(runs, ret);
    free(runs);
    return r;
}
