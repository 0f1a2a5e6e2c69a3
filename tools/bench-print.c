/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The figures for people, or as one JSON object: docs/bench.md says what each of them means
 */

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench-impl.h"
#include "uw/base/build-info.h"
#include "uw/base/err.h"
#include "uw/base/util.h"

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

struct uw_bench_spread uw_bench_spread(const double *v, int n) {
    double sorted[UW_BENCH_REPEAT_MAX];

    if (n <= 0)
        return (struct uw_bench_spread){NAN, NAN, NAN};
    memcpy(sorted, v, (size_t)n * sizeof(*v));
    qsort(sorted, (size_t)n, sizeof(*v), compare);
    return (struct uw_bench_spread){
        .median = 0.5 * (sorted[(n - 1) / 2] + sorted[n / 2]),
        .min = sorted[0],
        .max = sorted[n - 1],
    };
}

static json_t *spread_json(const double *v, int n) {
    struct uw_bench_spread s = uw_bench_spread(v, n);

    return json_pack("{s:f, s:f, s:f}", "median", s.median, "min", s.min, "max", s.max);
}

static json_t *result_json(const struct uw_bench_result *r) {
    json_t *stages = json_array();

    for (int i = 0; i < r->n_stages; i++) {
        const struct uw_bench_stage *s = &r->stages[i];

        json_array_append_new(stages, json_pack("{s:s, s:o, s:o, s:o}", "stage", s->name, "msps",
                                                spread_json(s->wall, s->n), "cpu_msps",
                                                spread_json(s->cpu, s->n), "of_fft",
                                                spread_json(s->of_fft, s->n)));
    }
    return json_pack("{s:s, s:f, s:f, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "input",
                     r->place->name, "freq_hz", r->place->freq_hz, "rate_hz", r->place->rate_hz,
                     "busy", (int)r->place->busy, "format", "cu8", "samples",
                     (json_int_t)r->n_samples, "n_fft", (json_int_t)r->n_fft, "hop",
                     (json_int_t)r->hop, "detections", (json_int_t)r->detections, "tracks",
                     (json_int_t)r->tracks, "alerts", (json_int_t)r->alerts, "stages", stages);
}

static void processor(char *name, size_t size) {
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[256];

    snprintf(name, size, "unknown");
    while (f && fgets(line, sizeof(line), f)) {
        char *colon = strchr(line, ':');

        if (strncmp(line, "model name", 10) == 0 && colon) {
            colon[strcspn(colon, "\n")] = '\0';
            snprintf(name, size, "%s", colon + (colon[1] == ' ' ? 2 : 1));
            break;
        }
    }
    if (f)
        fclose(f);
}

static json_t *others_json(const struct uw_bench_report *report, json_t *root) {
    json_t *memory = json_array();
    const struct uw_bench_pair *pair = &report->pair;

    for (int i = 0; i < report->n_memory; i++) {
        const struct uw_bench_memory *m = &report->memory[i];

        json_array_append_new(memory, json_pack("{s:s, s:f, s:f, s:f, s:f}", "input",
                                                m->place->name, "one_mib", m->one_mib, "two_mib",
                                                m->two_mib, "receiver_mib", m->two_mib - m->one_mib,
                                                "rest_mib", 2 * m->one_mib - m->two_mib));
    }
    json_object_set_new(root, "memory", memory);
    if (pair->n > 0)
        json_object_set_new(root, "two_cores",
                            json_pack("{s:[i,i], s:o, s:o}", "cores", pair->cores[0],
                                      pair->cores[1], "one_msps", spread_json(pair->one, pair->n),
                                      "two_msps", spread_json(pair->two, pair->n)));
    if (report->latency.n > 0)
        json_object_set_new(root, "latency",
                            json_pack("{s:i, s:f, s:f, s:f}", "alerts", report->latency.n, "p50_ms",
                                      report->latency.p50_ms, "p99_ms", report->latency.p99_ms,
                                      "max_ms", report->latency.max_ms));
    return root;
}

static int print_json(const struct uw_bench *bench, const struct uw_bench_report *report) {
    char cpu[128];
    json_t *results = json_array(), *root;
    char *text;

    processor(cpu, sizeof(cpu));
    for (int i = 0; i < report->n_results; i++)
        json_array_append_new(results, result_json(&report->results[i]));
    root = json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:b, s:o}", "type", "bench", "version",
                     uw_version(), "processor", cpu, "kernels", uw_kernels(), "core", bench->core,
                     "repetitions", bench->repeat, "quick", (int)bench->quick, "inputs", results);
    if (!root)
        return uw_err(-ENOMEM);
    text = json_dumps(others_json(report, root), JSON_COMPACT | JSON_REAL_PRECISION(6));
    if (text)
        puts(text);
    json_decref(root);
    free(text);
    return text ? 0 : uw_err(-ENOMEM);
}

static void print_result(const struct uw_bench_result *r) {
    printf("\n%s: %.1f MHz, %.1f MS/s, cu8, %.1f s; frames of %zu every %zu samples",
           r->place->name, r->place->freq_hz / 1e6, r->place->rate_hz / 1e6,
           (double)r->n_samples / r->place->rate_hz, r->n_fft, r->hop);
    printf("; %llu detections, %llu alerts\n", (unsigned long long)r->detections,
           (unsigned long long)r->alerts);
    printf("  %-32s %9s %9s %9s %9s %8s\n", "stage", "MS/s", "least", "most", "by CPU", "of FFT");
    for (int i = 0; i < r->n_stages; i++) {
        struct uw_bench_spread wall = uw_bench_spread(r->stages[i].wall, r->stages[i].n);
        struct uw_bench_spread cpu = uw_bench_spread(r->stages[i].cpu, r->stages[i].n);
        struct uw_bench_spread of = uw_bench_spread(r->stages[i].of_fft, r->stages[i].n);

        printf("  %-32s %9.1f %9.1f %9.1f %9.1f %7.1f%%\n", r->stages[i].name, wall.median,
               wall.min, wall.max, cpu.median, 100 * of.median);
    }
}

int uw_bench_print(const struct uw_bench *bench, const struct uw_bench_report *report) {
    char cpu[128];

    if (bench->json)
        return print_json(bench, report);
    processor(cpu, sizeof(cpu));
    printf("uaswatch %s on %s, core %d, kernels for %s, median of %d\n", uw_version(), cpu,
           bench->core, uw_kernels(), bench->repeat);
    for (int i = 0; i < report->n_results; i++)
        print_result(&report->results[i]);
    printf("\n");
    for (int i = 0; i < report->n_memory; i++)
        printf("memory, %s: %.1f MiB with one receiver, %.1f MiB with two: %.1f MiB a receiver\n",
               report->memory[i].place->name, report->memory[i].one_mib, report->memory[i].two_mib,
               report->memory[i].two_mib - report->memory[i].one_mib);
    if (report->pair.n > 0) {
        struct uw_bench_spread one = uw_bench_spread(report->pair.one, report->pair.n);
        struct uw_bench_spread two = uw_bench_spread(report->pair.two, report->pair.n);

        printf("two receivers on cores %d and %d: %.1f MS/s together (%.1f to %.1f); one: %.1f\n",
               report->pair.cores[0], report->pair.cores[1], two.median, two.min, two.max,
               one.median);
    } else {
        printf("two receivers: not measured, there is one core only\n");
    }
    if (report->latency.n > 0)
        printf("block to alert on the feed: %.0f ms (median of %d), %.0f ms (99 %%), %.0f ms at "
               "most\n",
               report->latency.p50_ms, report->latency.n, report->latency.p99_ms,
               report->latency.max_ms);
    return 0;
}
