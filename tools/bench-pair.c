/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Cores: how one thread is pinned, and what a second receiver on a second core costs the first
 */

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "bench-impl.h"
#include "uw/base/err.h"
#include "uw/base/thread.h"
#include "uw/base/time.h"
#include "uw/base/util.h"
#include "uw/sig/detector.h"

#define BLOCK_S 0.02

int uw_bench_cores(int *cores, int max) {
    cpu_set_t set;
    int n = 0;

    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 0;
    for (int i = 0; i < CPU_SETSIZE && n < max; i++)
        if (CPU_ISSET(i, &set))
            cores[n++] = i;
    return n;
}

int uw_bench_pin(int core) {
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(core, &set);
    return sched_setaffinity(0, sizeof(set), &set) == 0 ? 0 : -errno;
}

struct racer {
    const struct uw_bench_input *input;
    struct uw_detector *detector;
    pthread_barrier_t *gate;
    int core;
    double msps;
};

static void ignore_finding(void *userdata, const struct uw_finding *finding) {
    (void)userdata;
    (void)finding;
}

static void ignore_progress(void *userdata, uint64_t sample) {
    (void)userdata;
    (void)sample;
}

static void push(struct racer *racer, size_t n) {
    size_t block = (size_t)(BLOCK_S * racer->input->place->rate_hz);

    for (size_t i = 0; i < n; i += block)
        uw_detector_push(racer->detector, racer->input->samples + 2 * i,
                         n - i < block ? n - i : block);
}

static void race(void *userdata) {
    struct racer *racer = userdata;
    size_t n = racer->input->n;
    size_t warm = (size_t)racer->input->place->rate_hz;
    int64_t begin;

    (void)uw_bench_pin(racer->core);
    push(racer, warm < n ? warm : n);
    pthread_barrier_wait(racer->gate);
    begin = uw_clock_mono_ns();
    push(racer, n);
    racer->msps = (double)n / 1e6 / ((double)(uw_clock_mono_ns() - begin + 1) / 1e9);
}

/* n receivers at once, each on its core; the sum of their speeds. */
static int run(const struct uw_sigdb *db, const struct uw_bench_input *input, const int *cores,
               int n, double *ret_msps) {
    static const struct uw_detector_ops ops = {.finding = ignore_finding,
                                               .progress = ignore_progress};
    struct uw_detector_config config = {.rate_hz = input->place->rate_hz,
                                        .freq_hz = input->place->freq_hz,
                                        .format = UW_IQ_CU8,
                                        .db = db};
    struct racer racers[2] = {{0}};
    struct uw_thread *threads[2] = {NULL};
    pthread_barrier_t gate;
    int r = 0;

    for (int i = 0; i < n && r == 0; i++)
        r = uw_detector_new(&config, &ops, NULL, &racers[i].detector);
    pthread_barrier_init(&gate, NULL, (unsigned)n);
    *ret_msps = 0;
    for (int i = 0; i < n && r == 0; i++) {
        racers[i].input = input;
        racers[i].gate = &gate;
        racers[i].core = cores[i];
        r = uw_thread_start("uw-bench", race, &racers[i], &threads[i]);
    }
    if (r != 0 && threads[0])
        pthread_barrier_wait(&gate); /* in place of the one that could not be started */
    for (int i = 0; i < n; i++) {
        uw_thread_join(threads[i]);
        uw_detector_free(racers[i].detector);
        *ret_msps += racers[i].msps;
    }
    pthread_barrier_destroy(&gate);
    return r;
}

int uw_bench_pair(const struct uw_bench *bench, const struct uw_bench_input *input,
                  struct uw_bench_pair *ret) {
    UW_CLEANUP(uw_sigdb_freep) struct uw_sigdb *db = NULL;
    int r = 0;

    /* whoever calls has the cores of the process again */
    ret->n = 0;
    if (uw_bench_cores(ret->cores, 2) < 2)
        return 0;
    r = uw_sigdb_load(bench->signatures, bench->diag, &db);
    for (int i = 0; i < bench->repeat && r == 0; i++) {
        r = run(db, input, ret->cores, 1, &ret->one[i]);
        if (r == 0)
            r = run(db, input, ret->cores, 2, &ret->two[i]);
        if (r == 0)
            ret->n++;
    }
    return r;
}
