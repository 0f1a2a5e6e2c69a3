/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Stages: a table of ways to go over the input once
 *
 * In each repetition every stage has its turn, so that what disturbs the machine for a while
 * disturbs them alike. What is made once at the start (plans, the first noise floor) is not timed:
 * detectors are fed WARM_S of signal before the clock starts. Only the chain runs from its start
 * to its end, as replay does.
 */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench-impl.h"
#include "uw/base/err.h"
#include "uw/base/time.h"
#include "uw/base/util.h"
#include "uw/dsp/convert.h"
#include "uw/dsp/fft.h"
#include "uw/dsp/floor.h"
#include "uw/dsp/front.h"
#include "uw/engine/engine.h"
#include "uw/sig/detector.h"

#define WARM_S      1.0
#define BLOCK_S     0.02 /* as a receiver hands them on */
#define STAGE_MAX_S 3.0  /* a slow stage is left after so long */
#define ROWS        32   /* different frames for the stages that work on one */

struct timed {
    double wall_s, cpu_s;
    size_t samples;
};

struct work {
    const struct uw_bench *bench;
    const struct uw_bench_input *input;
    struct uw_bench_result *result;
    size_t n_fft, hop;
    struct uw_sigdb *db;
    struct uw_fft *fft;
    struct uw_floor *floor;
    float complex *frames; /* ROWS spectra */
    float *powers;         /* of these */
    const char *signature; /* the one that is on, or NULL: all */
    bool below_noise;
};

typedef int (*stage_fn)(struct work *w, struct timed *ret);

static double clock_s(clockid_t id) {
    struct timespec t;

    clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void start(struct timed *t) {
    *t = (struct timed){.wall_s = clock_s(CLOCK_MONOTONIC),
                        .cpu_s = clock_s(CLOCK_PROCESS_CPUTIME_ID)};
}

static void stop(struct timed *t, size_t samples) {
    t->wall_s = clock_s(CLOCK_MONOTONIC) - t->wall_s;
    t->cpu_s = clock_s(CLOCK_PROCESS_CPUTIME_ID) - t->cpu_s;
    t->samples = samples;
}

/* The transform alone: nothing is copied, and a frame counts for the samples that are new in it. */
static int run_fft(struct work *w, struct timed *t) {
    size_t frames = w->input->n / w->hop;

    memcpy(uw_fft_buffer(w->fft), w->frames, w->n_fft * sizeof(*w->frames));
    start(t);
    for (size_t i = 0; i < frames; i++)
        uw_fft_run_to(w->fft, w->frames + (i % ROWS) * w->n_fft);
    stop(t, frames * w->hop);
    return 0;
}

static int run_convert(struct work *w, struct timed *t) {
    size_t frames = w->input->n / w->hop;
    size_t clipped = 0;

    start(t);
    for (size_t i = 0; i < frames; i++)
        clipped += uw_convert(UW_IQ_CU8, w->input->samples + 2 * i * w->hop, w->hop,
                              uw_fft_buffer(w->fft));
    stop(t, frames * w->hop);
    return clipped <= frames * w->hop ? 0 : uw_err(-ERANGE);
}

/* The least that any front end has to do: conversion, overlap, transform. */
static int run_transform(struct work *w, struct timed *t) {
    size_t frames = w->input->n / w->hop - 2;
    float complex *x = uw_fft_buffer(w->fft);
    size_t keep = w->n_fft - w->hop;

    start(t);
    for (size_t i = 0; i < frames; i++) {
        memmove(x, x + w->hop, keep * sizeof(*x));
        uw_convert(UW_IQ_CU8, w->input->samples + 2 * (i * w->hop + keep), w->hop, x + keep);
        uw_fft_run_to(w->fft, w->frames + (i % ROWS) * w->n_fft);
    }
    stop(t, frames * w->hop);
    return 0;
}

static int run_floor(struct work *w, struct timed *t) {
    size_t frames = w->input->n / w->hop;

    start(t);
    for (size_t i = 0; i < frames; i++)
        uw_floor_update(w->floor, w->powers + (i % ROWS) * w->n_fft);
    stop(t, frames * w->hop);
    return 0;
}

static void ignore_burst(void *userdata, const struct uw_burst *burst) {
    (void)userdata;
    (void)burst;
}

static void ignore_progress(void *userdata, uint64_t sample) {
    (void)userdata;
    (void)sample;
}

static void ignore_finding(void *userdata, const struct uw_finding *finding) {
    (void)userdata;
    (void)finding;
}

typedef void (*push_fn)(void *object, const void *samples, size_t n);

/* n = 0: the end, at which what has been held back is done. */
static void push_front(void *object, const void *samples, size_t n) {
    if (n > 0)
        uw_front_push(object, samples, n);
    else
        uw_front_flush(object);
}

static void push_detector(void *object, const void *samples, size_t n) {
    if (n > 0)
        uw_detector_push(object, samples, n);
    else
        uw_detector_flush(object);
}

/* Returns how many samples have been pushed in the time there is. */
static size_t push_all(const struct work *w, push_fn push, void *object, size_t n) {
    size_t block = (size_t)(BLOCK_S * w->input->place->rate_hz);
    double until = clock_s(CLOCK_MONOTONIC) + STAGE_MAX_S;
    size_t i = 0;

    while (i < n && clock_s(CLOCK_MONOTONIC) < until) {
        size_t m = n - i < block ? n - i : block;

        push(object, w->input->samples + 2 * i, m);
        i += m;
    }
    return i;
}

static void run_warm(struct work *w, push_fn push, void *object, struct timed *t) {
    size_t warm = (size_t)(WARM_S * w->input->place->rate_hz);

    size_t n;

    push_all(w, push, object, warm < w->input->n ? warm : w->input->n);
    start(t);
    n = push_all(w, push, object, w->input->n);
    push(object, NULL, 0);
    stop(t, n);
}

static int run_front(struct work *w, struct timed *t) {
    static const struct uw_front_ops ops = {.burst = ignore_burst, .progress = ignore_progress};
    struct uw_front_config config;
    struct uw_front *front = NULL;
    int r;

    uw_front_config_init(&config);
    config.rate_hz = w->input->place->rate_hz;
    r = uw_front_new(&config, &ops, NULL, &front);
    if (r != 0)
        return r;
    run_warm(w, push_front, front, t);
    uw_front_free(front);
    return 0;
}

static int run_detector(struct work *w, struct timed *t) {
    static const struct uw_detector_ops ops = {.finding = ignore_finding,
                                               .progress = ignore_progress};
    struct uw_detector_config config = {.rate_hz = w->input->place->rate_hz,
                                        .freq_hz = w->input->place->freq_hz,
                                        .format = UW_IQ_CU8,
                                        .below_noise = w->below_noise};
    UW_CLEANUP(uw_sigdb_freep) struct uw_sigdb *db = NULL;
    struct uw_detector *detector = NULL;
    int r = uw_sigdb_load(w->bench->signatures, w->bench->diag, &db);

    if (r == 0 && w->signature)
        r = uw_sigdb_enable(db, &w->signature, 1, w->bench->diag);
    config.db = db;
    if (r == 0)
        r = uw_detector_new(&config, &ops, NULL, &detector);
    if (r != 0)
        return r;
    run_warm(w, push_detector, detector, t);
    uw_detector_free(detector);
    return 0;
}

/* The engine as replay runs it, all its threads on this core: file, queue, detector, bus, fusion.
 */
static int run_chain(struct work *w, struct timed *t) {
    struct uw_engine_config *config = malloc(sizeof(*config));
    struct uw_engine *engine = NULL;
    struct uw_engine_summary summary = {0};
    int r;

    if (!config)
        return uw_err(-ENOMEM);
    uw_bench_engine_config(w->bench, w->input->path, w->input->place->rate_hz,
                           w->input->place->freq_hz, config);
    config->below_noise = w->below_noise;
    r = uw_engine_new(config, w->bench->diag, NULL, NULL, NULL, &engine);
    free(config);
    if (r != 0)
        return r;
    start(t);
    r = uw_engine_start(engine, w->bench->diag);
    if (r == 0) {
        while (!uw_engine_wait(engine, 1000))
            ;
        r = uw_engine_finish(engine, w->bench->diag, &summary);
    }
    stop(t, summary.samples);
    uw_engine_free(engine);
    w->result->alerts = summary.alerts;
    w->result->tracks = summary.tracks;
    w->result->detections = summary.detections;
    return r;
}

static int measure(struct work *w, const char *name, stage_fn run) {
    struct uw_bench_result *result = w->result;
    struct uw_bench_stage *stage = NULL;
    struct timed t = {0};
    int r;

    for (int i = 0; i < result->n_stages && !stage; i++)
        if (strcmp(result->stages[i].name, name) == 0)
            stage = &result->stages[i];
    if (!stage) {
        if (result->n_stages == UW_BENCH_STAGES_MAX)
            return uw_err(-E2BIG);
        stage = &result->stages[result->n_stages++];
        snprintf(stage->name, sizeof(stage->name), "%s", name);
    }
    r = run(w, &t);
    if (r != 0)
        return r;
    stage->wall[stage->n] = (double)t.samples / 1e6 / fmax(t.wall_s, 1e-9);
    stage->cpu[stage->n] = (double)t.samples / 1e6 / fmax(t.cpu_s, 1e-9);
    /* the transform is the first stage, so its figure of this repetition is there */
    stage->of_fft[stage->n] = stage->cpu[stage->n] / result->stages[0].cpu[stage->n];
    stage->n++;
    return 0;
}

static int repeat_once(struct work *w) {
    static const struct {
        const char *name;
        stage_fn run;
    } fixed[] = {
        {"fft", run_fft},     {"convert", run_convert}, {"transform", run_transform},
        {"floor", run_floor}, {"front", run_front},
    };
    char name[UW_BENCH_NAME_LEN];
    int r = 0;

    for (size_t i = 0; i < UW_ARRAY_SIZE(fixed) && r == 0; i++)
        r = measure(w, fixed[i].name, fixed[i].run);
    for (size_t i = 0; i < uw_sigdb_len(w->db) && r == 0; i++) {
        w->signature = uw_sigdb_at(w->db, i)->id;
        snprintf(name, sizeof(name), "detector:%s", w->signature);
        r = measure(w, name, run_detector);
    }
    w->signature = NULL;
    for (int below = 0; below < 2 && r == 0; below++) {
        w->below_noise = below == 1;
        r = measure(w, below ? "detector+below" : "detector", run_detector);
        if (r == 0)
            r = measure(w, below ? "chain+below" : "chain", run_chain);
    }
    w->below_noise = false;
    return r;
}

/* Spectra and powers of the first frames of the input. */
static int prepare(struct work *w) {
    static const struct uw_front_ops ops = {.burst = ignore_burst, .progress = ignore_progress};
    struct uw_front_config config;
    struct uw_front *front = NULL;
    int r;

    uw_front_config_init(&config);
    config.rate_hz = w->input->place->rate_hz;
    r = uw_front_new(&config, &ops, NULL, &front);
    if (r != 0)
        return r;
    w->n_fft = uw_front_n_fft(front);
    w->hop = uw_front_hop(front);
    uw_front_free(front);
    if (w->input->n < (ROWS + 2) * w->n_fft)
        return uw_diag_add(w->bench->diag, "bench: the input is too short");
    w->frames = uw_fft_alloc(ROWS * w->n_fft);
    w->powers = calloc(ROWS * w->n_fft, sizeof(*w->powers));
    if (!w->frames || !w->powers)
        return uw_err(-ENOMEM);
    r = uw_fft_new(w->n_fft, &w->fft);
    if (r == 0)
        r = uw_floor_new(w->n_fft, 500.0, &w->floor);
    for (size_t i = 0; r == 0 && i < ROWS; i++) {
        uw_convert(UW_IQ_CU8, w->input->samples + 2 * i * w->hop, w->n_fft, uw_fft_buffer(w->fft));
        uw_fft_run_to(w->fft, w->frames + i * w->n_fft);
    }
    for (size_t i = 0; r == 0 && i < ROWS * w->n_fft; i++)
        w->powers[i] = crealf(w->frames[i]) * crealf(w->frames[i]) +
                       cimagf(w->frames[i]) * cimagf(w->frames[i]);
    if (r == 0) {
        size_t halo = uw_floor_halo(w->floor, ROWS);

        uw_floor_learn(w->floor, halo, w->n_fft - 2 * halo, w->powers, ROWS);
    }
    return r;
}

int uw_bench_stages(const struct uw_bench *bench, const struct uw_bench_input *input,
                    struct uw_bench_result *ret) {
    struct work w = {.bench = bench, .input = input, .result = ret};
    int r = uw_sigdb_load(bench->signatures, bench->diag, &w.db);

    *ret = (struct uw_bench_result){.place = input->place, .n_samples = input->n};
    if (r == 0)
        r = prepare(&w);
    ret->n_fft = w.n_fft;
    ret->hop = w.hop;
    for (int i = 0; i < bench->repeat && r == 0; i++)
        r = repeat_once(&w);
    uw_sigdb_free(w.db);
    uw_fft_free(w.fft);
    uw_floor_free(w.floor);
    uw_fft_dealloc(w.frames);
    free(w.powers);
    return r;
}
