/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_TOOLS_BENCH_IMPL_H
#define UW_TOOLS_BENCH_IMPL_H

/*
 * The parts of "uaswatch bench": inputs, stages, two receivers, memory, latency, report
 *
 * Every speed is taken twice: by the clock on the wall, which is what counts, and by the
 * processor time that was used, which other programs on the machine disturb less.
 *
 * Threads: the main one, except for what bench-pair.c and bench-latency.c start themselves.
 * Ownership: an input and the results belong to who made them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uw/base/iq-format.h"

struct uw_diag;
struct uw_engine_config;

#define UW_BENCH_REPEAT_MAX 25
#define UW_BENCH_STAGES_MAX 80
#define UW_BENCH_INPUTS     6
#define UW_BENCH_PATH_LEN   32
#define UW_BENCH_NAME_LEN   48

/* A place in the spectrum, quiet or busy. */
struct uw_bench_place {
    const char *name;
    double freq_hz, rate_hz;
    bool busy;
    const char *emitters; /* of the scenario */
};

/* Samples in memory, cu8, with a name by which a receiver can open them as a file. */
struct uw_bench_input {
    const struct uw_bench_place *place;
    int fd;
    char path[UW_BENCH_PATH_LEN];
    uint8_t *samples;
    size_t n;
};

extern const struct uw_bench_place uw_bench_places[UW_BENCH_INPUTS];

/* `seconds` of one place; -ENOMEM, -errno, UW_E_INPUT. */
int uw_bench_input_new(const struct uw_bench_place *place, double seconds, struct uw_diag *diag,
                       struct uw_bench_input *ret);
/* The same of any scenario for the given receiver. */
int uw_bench_input_text(const char *text, size_t n_max, struct uw_diag *diag,
                        struct uw_bench_input *ret);
void uw_bench_input_deinit(struct uw_bench_input *input);

struct uw_bench_spread {
    double median, min, max;
};

struct uw_bench_stage {
    char name[UW_BENCH_NAME_LEN];
    int n;
    double wall[UW_BENCH_REPEAT_MAX], cpu[UW_BENCH_REPEAT_MAX]; /* MS/s */
    double of_fft[UW_BENCH_REPEAT_MAX]; /* by processor time, in the same repetition */
};

struct uw_bench_result {
    const struct uw_bench_place *place;
    size_t n_samples, n_fft, hop;
    uint64_t alerts, tracks, detections; /* of the chain's latest run */
    int n_stages;
    struct uw_bench_stage stages[UW_BENCH_STAGES_MAX];
};

/* What the run is: the command line, and where the signatures are. */
struct uw_bench {
    int core;
    int repeat;
    double seconds;
    bool quick, json, latency;
    const char *only; /* name of one place, or NULL */
    char signatures[512];
    struct uw_diag *diag;
};

/* All stages of one place, interleaved. */
int uw_bench_stages(const struct uw_bench *bench, const struct uw_bench_input *input,
                    struct uw_bench_result *ret);

/* The same detector on one core, then two on two cores at once. */
struct uw_bench_pair {
    int cores[2];
    int n;                                                     /* 0: there is one core only */
    double one[UW_BENCH_REPEAT_MAX], two[UW_BENCH_REPEAT_MAX]; /* MS/s, `two` for both together */
};
int uw_bench_pair(const struct uw_bench *bench, const struct uw_bench_input *input,
                  struct uw_bench_pair *ret);

/* Peak memory of a process with one receiver and with two, in MiB. */
struct uw_bench_memory {
    const struct uw_bench_place *place;
    double one_mib, two_mib;
};
int uw_bench_memory(const struct uw_bench *bench, const struct uw_bench_input *input,
                    struct uw_bench_memory *ret);
/* In the process that is measured: runs the engine over n copies of the file and prints its peak.
 * Returns the exit status. */
int uw_bench_memory_child(const struct uw_bench *bench, const char *what);

struct uw_bench_latency {
    int n; /* alerts; 0: not measured */
    double p50_ms, p99_ms, max_ms;
};
int uw_bench_latency(const struct uw_bench *bench, struct uw_bench_latency *ret);

struct uw_bench_report {
    int n_results;
    struct uw_bench_result *results;
    int n_memory;
    struct uw_bench_memory memory[2];
    struct uw_bench_pair pair;
    struct uw_bench_latency latency;
};
int uw_bench_print(const struct uw_bench *bench, const struct uw_bench_report *report);

/* Middle, least and greatest of n figures. */
struct uw_bench_spread uw_bench_spread(const double *v, int n);
/* The engine on one recording as it is for replay: everything on, no feed. */
void uw_bench_engine_config(const struct uw_bench *bench, const char *path, double rate_hz,
                            double freq_hz, struct uw_engine_config *config);
/* This thread, and those it will start, on one core; -errno. */
int uw_bench_pin(int core);
/* Cores this process may use; at most max. */
int uw_bench_cores(int *cores, int max);

#endif
