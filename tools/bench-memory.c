/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Peak memory: a process of its own runs the engine with its feed over one recording or two, and
 * says how much it ever held (VmHWM). The second receiver's share is the difference.
 */

#include <errno.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench-impl.h"
#include "cmd.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/util.h"
#include "uw/engine/engine.h"

extern char **environ;

void uw_bench_engine_config(const struct uw_bench *bench, const char *path, double rate_hz,
                            double freq_hz, struct uw_engine_config *config) {
    struct uw_engine_receiver *rx = &config->receivers[0];

    uw_engine_config_init(config);
    uw_str_copy(config->run, sizeof(config->run), "bench");
    uw_str_copy(config->signature_dir, sizeof(config->signature_dir), bench->signatures);
    config->n_receivers = 1;
    uw_str_copy(rx->name, sizeof(rx->name), "rx");
    uw_str_copy(rx->path, sizeof(rx->path), path);
    rx->source.type = UW_SOURCE_FILE;
    rx->source.format = UW_IQ_CU8;
    rx->source.rate_hz = rate_hz;
    rx->source.freq_hz = freq_hz;
    rx->source.start_ns = 0;
}

static double peak_mib(void) {
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    double kib = NAN;

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "VmHWM: %lf kB", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib / 1024.0;
}

static int run_engine(const struct uw_bench *bench, struct uw_engine_config *config) {
    struct uw_engine *engine = NULL;
    int r = uw_engine_new(config, bench->diag, NULL, NULL, NULL, &engine);

    if (r == 0)
        r = uw_engine_start(engine, bench->diag);
    if (r == 0) {
        while (!uw_engine_wait(engine, 1000))
            ;
        r = uw_engine_finish(engine, bench->diag, NULL);
    }
    uw_engine_free(engine);
    return r;
}

int uw_bench_memory_child(const struct uw_bench *bench, const char *what) {
    struct uw_engine_config *config = malloc(sizeof(*config));
    char path[UW_BENCH_PATH_LEN];
    double rate_hz, freq_hz;
    int copies, r;

    if (!config || sscanf(what, "%d,%lf,%lf,%31s", &copies, &rate_hz, &freq_hz, path) != 4 ||
        copies < 1 || copies > 2) {
        free(config);
        return UW_EXIT_USAGE;
    }
    uw_bench_engine_config(bench, path, rate_hz, freq_hz, config);
    config->below_noise = true;
    config->feed = true;
    uw_str_copy(config->feed_endpoint, sizeof(config->feed_endpoint), "tcp://127.0.0.1:*");
    if (copies == 2) {
        config->receivers[1] = config->receivers[0];
        uw_str_copy(config->receivers[1].name, sizeof(config->receivers[1].name), "rx2");
        config->n_receivers = 2;
    }
    r = run_engine(bench, config);
    free(config);
    if (r != 0)
        return UW_EXIT_INPUT;
    printf("%.3f\n", peak_mib());
    return UW_EXIT_OK;
}

static int measure(const struct uw_bench *bench, const struct uw_bench_input *input, int copies,
                   double *ret_mib) {
    char what[128];
    char *args[] = {(char[]){"uaswatch"}, (char[]){"bench"}, (char[]){"--memory-of"}, what, NULL};
    posix_spawn_file_actions_t actions;
    char text[64] = "";
    int fds[2], status = 0, r;
    pid_t pid;

    snprintf(what, sizeof(what), "%d,%.1f,%.1f,%s", copies, input->place->rate_hz,
             input->place->freq_hz, input->path);
    if (pipe(fds) != 0)
        return uw_err(-errno);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, fds[0]);
    r = posix_spawn(&pid, "/proc/self/exe", &actions, NULL, args, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    if (r == 0) {
        size_t used = 0;
        ssize_t n;

        while (used < sizeof(text) - 1 &&
               (n = read(fds[0], text + used, sizeof(text) - 1 - used)) > 0)
            used += (size_t)n;
        waitpid(pid, &status, 0);
    }
    close(fds[0]);
    if (r != 0)
        return uw_err(-r);
    if (status != 0 || sscanf(text, "%lf", ret_mib) != 1)
        return uw_diag_add(bench->diag, "bench: the process for memory has failed");
    return 0;
}

int uw_bench_memory(const struct uw_bench *bench, const struct uw_bench_input *input,
                    struct uw_bench_memory *ret) {
    int r = measure(bench, input, 1, &ret->one_mib);

    ret->place = input->place;
    return r == 0 ? measure(bench, input, 2, &ret->two_mib) : r;
}
