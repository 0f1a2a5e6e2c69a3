/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * uaswatch bench: how fast each stage and the whole chain are on this machine
 */

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench-impl.h"
#include "cli.h"
#include "cmd.h"
#include "uw/base/build-info.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/util.h"

#define SECONDS       10.0
#define QUICK_SECONDS 0.1
#define WIDE_HZ       5e6
#define WIDE_SHARE    0.4 /* of the seconds where the rate is high */

enum { OPT_CORE = 256, OPT_QUICK, OPT_LATENCY, OPT_SECONDS, OPT_REPEAT, OPT_MEMORY_OF };

static const struct uw_cli_option options[] = {
    {'j', "json", NULL, "one JSON object"},
    {OPT_CORE, "core", "N", "pin to this core (default: the last one there is)"},
    {'i', "input", "NAME", "only this input, such as noise-915 or busy-866.4"},
    {OPT_REPEAT, "repeat", "N", "repetitions of every stage, interleaved (default 5)"},
    {OPT_SECONDS, "seconds", "S", "of signal in each input (default 10; at 10 MS/s 0.4 of it)"},
    {OPT_LATENCY, "latency", NULL, "also from block to alert on the feed; takes a minute"},
    {OPT_QUICK, "quick", NULL, "a moment of everything: shows that it works, measures nothing"},
    {OPT_MEMORY_OF, "memory-of", "WHAT", NULL}, /* the process whose memory is measured */
};

static const struct uw_cli cli = {
    .usage = "uaswatch bench [OPTION]...",
    .summary = "Measures millions of samples a second on one core, for each stage and for the\n"
               "whole chain from raw samples to alerts, with the bare FFT beside it.\n"
               "docs/bench.md says what each figure means.",
    .options = options,
    .n_options = UW_ARRAY_SIZE(options),
    .epilogue = "Examples:\n"
                "  uaswatch bench\n"
                "  uaswatch bench --input noise-915 --repeat 9\n",
};

static void tell(const struct uw_bench *bench, const char *what) {
    if (!bench->quick && isatty(STDERR_FILENO))
        fprintf(stderr, "%s ...\n", what);
}

static bool is_wanted(const struct uw_bench *bench, const struct uw_bench_place *place) {
    return !bench->only || strcmp(bench->only, place->name) == 0;
}

/* What is measured once for each rate, on noise. */
static int run_others(const struct uw_bench *bench, const struct uw_bench_input *input,
                      const cpu_set_t *all, struct uw_bench_report *report) {
    int r;

    (void)sched_setaffinity(0, sizeof(*all), all);
    r = uw_bench_memory(bench, input, &report->memory[report->n_memory]);
    if (r == 0)
        report->n_memory++;
    if (r == 0 && report->pair.n == 0)
        r = uw_bench_pair(bench, input, &report->pair);
    return r;
}

static int run_place(const struct uw_bench *bench, const struct uw_bench_place *place,
                     const cpu_set_t *all, struct uw_bench_report *report) {
    struct uw_bench_input input = {.fd = -1};
    double seconds = bench->seconds * (place->rate_hz > WIDE_HZ ? WIDE_SHARE : 1.0);
    bool is_new_rate = report->n_memory == 0 ||
                       report->memory[report->n_memory - 1].place->rate_hz != place->rate_hz;
    int r;

    tell(bench, place->name);
    r = uw_bench_input_new(place, seconds, bench->diag, &input);
    if (r == 0)
        r = uw_bench_pin(bench->core);
    if (r == 0)
        r = uw_bench_stages(bench, &input, &report->results[report->n_results]);
    if (r == 0)
        report->n_results++;
    if (r == 0 && is_new_rate && report->n_memory < (int)UW_ARRAY_SIZE(report->memory))
        r = run_others(bench, &input, all, report);
    (void)sched_setaffinity(0, sizeof(*all), all);
    uw_bench_input_deinit(&input);
    return r;
}

static int run(const struct uw_bench *bench) {
    struct uw_bench_report report = {0};
    cpu_set_t all;
    int r = 0;

    if (sched_getaffinity(0, sizeof(all), &all) != 0)
        return uw_err(-errno);
    report.results = calloc(UW_BENCH_INPUTS, sizeof(*report.results));
    if (!report.results)
        return uw_err(-ENOMEM);
    for (int i = 0; i < UW_BENCH_INPUTS && r == 0; i++)
        if (is_wanted(bench, &uw_bench_places[i]))
            r = run_place(bench, &uw_bench_places[i], &all, &report);
    if (r == 0 && bench->latency) {
        tell(bench, "latency");
        r = uw_bench_latency(bench, &report.latency);
    }
    if (r == 0)
        r = uw_bench_print(bench, &report);
    free(report.results);
    return r;
}

static int check_core(const char *arg, struct uw_bench *bench) {
    int cores[1024];
    int n = uw_bench_cores(cores, (int)UW_ARRAY_SIZE(cores));
    int64_t core;

    if (n == 0)
        return uw_cli_usage_error("bench", "the cores of this machine cannot be told");
    bench->core = cores[n - 1];
    if (!arg)
        return 0;
    if (uw_str_to_int64(arg, 0, 1 << 20, &core) == 0)
        for (int i = 0; i < n; i++)
            if (cores[i] == core) {
                bench->core = (int)core;
                return 0;
            }
    return uw_cli_usage_error("bench", "--core %s: this process may not use such a core", arg);
}

static int check_input(const struct uw_bench *bench) {
    const char *names[UW_BENCH_INPUTS];
    const char *near;

    for (int i = 0; i < UW_BENCH_INPUTS; i++) {
        names[i] = uw_bench_places[i].name;
        if (is_wanted(bench, &uw_bench_places[i]))
            return 0;
    }
    near = uw_cli_nearest(bench->only, names, UW_BENCH_INPUTS);
    return uw_cli_usage_error("bench", "--input %s: there is no such input; take %s", bench->only,
                              near ? near : "noise-915, busy-915, ...");
}

/* The exit status if the command line is wrong. */
static int take_option(struct uw_bench *bench, int c, const char *arg) {
    int64_t n;

    switch (c) {
    case 'j':
        bench->json = true;
        break;
    case 'i':
        bench->only = arg;
        return check_input(bench);
    case OPT_CORE:
        return check_core(arg, bench);
    case OPT_QUICK:
        bench->quick = true;
        break;
    case OPT_LATENCY:
        bench->latency = true;
        break;
    case OPT_REPEAT:
        if (uw_str_to_int64(arg, 1, UW_BENCH_REPEAT_MAX, &n) != 0)
            return uw_cli_usage_error("bench", "--repeat %s: 1 to %d are possible", arg,
                                      UW_BENCH_REPEAT_MAX);
        bench->repeat = (int)n;
        break;
    case OPT_SECONDS:
        if (uw_str_to_double(arg, 0.1, 100.0, &bench->seconds) != 0)
            return uw_cli_usage_error("bench", "--seconds %s: 0.1 to 100 are possible", arg);
        break;
    default:
        break;
    }
    return 0;
}

int uw_cmd_bench(int argc, char **argv) {
    static struct uw_diag diag;
    struct uw_bench bench = {.repeat = 5, .seconds = SECONDS, .diag = &diag};
    const char *arg = NULL, *memory_of = NULL;
    char dir[400];
    int first = argc, c, r = check_core(NULL, &bench);

    while (r == 0 && (c = uw_cli_next(&cli, argc, argv, &arg, &first)) != UW_CLI_END) {
        if (c < 0)
            return c == UW_CLI_HELP ? UW_EXIT_OK : UW_EXIT_USAGE;
        if (c == OPT_MEMORY_OF)
            memory_of = arg;
        r = take_option(&bench, c, arg);
    }
    if (r != 0)
        return r;
    if (first != argc)
        return uw_cli_usage_error("bench", "\"%s\": no arguments are taken", argv[first]);
    if (bench.quick) {
        bench.seconds = QUICK_SECONDS;
        bench.repeat = 1;
    }
    snprintf(bench.signatures, sizeof(bench.signatures), "%s/signatures",
             uw_config_dir(dir, sizeof(dir)));
    if (memory_of)
        return uw_bench_memory_child(&bench, memory_of);
    r = run(&bench);
    if (r != 0)
        return uw_cli_report(r, &diag);
    return uw_cli_flush() ? UW_EXIT_OK : UW_EXIT_INPUT;
}
