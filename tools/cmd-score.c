/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uaswatch score: what was there against what was said */

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "cmd.h"
#include "score-impl.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/util.h"

#define PATH_MAX_LEN 4096
#define ENDING       ".sigmf-meta"

static const struct uw_cli_option options[] = {
    {'j', "json", NULL, "print one JSON object"},
    {'w', "within", "SECONDS",
     "count a drone as missed unless an alert comes this soon after its\nfirst burst"},
};

static const struct uw_cli cli = {
    .usage = "uaswatch score [OPTION]... TRUTH RESULTS [TRUTH RESULTS]...",
    .summary =
        "Compares what transmitters were on the air with what was said about them: probability of\n"
        "detection, time to alert, false alerts, right and wrong names.\n\n"
        "TRUTH is a .sigmf-meta file of uaswatch synth, RESULTS what uaswatch replay --json "
        "printed\n"
        "for it (\"-\": standard input). If TRUTH is a directory, all of its .sigmf-meta files "
        "are\n"
        "taken: as receivers of one run if RESULTS is a file; each with the file of the same name\n"
        "and the ending .jsonl or .json if RESULTS is a directory. Several pairs are added up.",
    .options = options,
    .n_options = UW_ARRAY_SIZE(options),
    .epilogue = "Example: uaswatch synth config/scenarios/quickstart.conf -o sample\n"
                "         uaswatch replay --json sample.sigmf-meta | "
                "uaswatch score sample.sigmf-meta -\n",
};

static bool is_directory(const char *path) {
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int is_meta(const struct dirent *entry) {
    return uw_str_ends_with(entry->d_name, ENDING);
}

/* The names of the .sigmf-meta files in order; at least one. */
static int list_metas(const char *directory, struct uw_diag *diag, struct dirent ***ret, int *n) {
    *n = scandir(directory, ret, is_meta, alphasort);
    if (*n < 0)
        return uw_diag_add(diag, "%s: %s", directory, strerror(errno));
    if (*n > 0)
        return 0;
    free(*ret);
    return uw_diag_add(diag, "%s: no %s file in it", directory, ENDING);
}

static void free_metas(struct dirent **list, int n) {
    for (int i = 0; i < n; i++)
        free(list[i]);
    free(list);
}

static int read_results(struct uw_score_results *results, const struct uw_score_truth *truth,
                        const char *path, struct uw_diag *diag) {
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *f = is_stdin ? stdin : fopen(path, "r");
    int r;

    if (!f)
        return uw_diag_add(diag, "%s: %s", path, strerror(errno));
    r = uw_score_results_read(results, truth->start_ns, is_stdin ? "standard input" : path, f,
                              diag);
    if (!is_stdin)
        fclose(f);
    return r;
}

static int add_results(struct uw_score *score, const struct uw_score_truth *truth,
                       const char *results_path, struct uw_diag *diag) {
    struct uw_score_results results = {0};
    int r = read_results(&results, truth, results_path, diag);

    if (r == 0)
        r = uw_score_add(score, truth, &results);
    uw_score_results_deinit(&results);
    return r;
}

/* Receivers of one run. */
static int add_together(struct uw_score *score, const char *directory, const char *results_path,
                        struct uw_diag *diag) {
    struct uw_score_truth truth = {0};
    struct dirent **list = NULL;
    char path[PATH_MAX_LEN];
    int n, r = list_metas(directory, diag, &list, &n);

    if (r != 0)
        return r;
    for (int i = 0; i < n && r == 0; i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, list[i]->d_name);
        r = uw_score_truth_add(&truth, path, diag);
    }
    if (r == 0)
        r = add_results(score, &truth, results_path, diag);
    uw_score_truth_deinit(&truth);
    free_metas(list, n);
    return r;
}

static int add_file(struct uw_score *score, const char *truth_path, const char *results_path,
                    struct uw_diag *diag) {
    struct uw_score_truth truth = {0};
    int r = uw_score_truth_add(&truth, truth_path, diag);

    if (r == 0)
        r = add_results(score, &truth, results_path, diag);
    uw_score_truth_deinit(&truth);
    return r;
}

static int add_each(struct uw_score *score, const char *truths, const char *results,
                    struct uw_diag *diag) {
    struct dirent **list = NULL;
    char truth[PATH_MAX_LEN], result[PATH_MAX_LEN];
    struct stat st;
    int n, r = list_metas(truths, diag, &list, &n);

    if (r != 0)
        return r;
    for (int i = 0; i < n && r == 0; i++) {
        int len = (int)(strlen(list[i]->d_name) - strlen(ENDING));

        snprintf(truth, sizeof(truth), "%s/%s", truths, list[i]->d_name);
        snprintf(result, sizeof(result), "%s/%.*s.jsonl", results, len, list[i]->d_name);
        if (stat(result, &st) != 0)
            snprintf(result, sizeof(result), "%s/%.*s.json", results, len, list[i]->d_name);
        r = add_file(score, truth, result, diag);
    }
    free_metas(list, n);
    return r;
}

static int add_pair(struct uw_score *score, const char *truth, const char *results,
                    struct uw_diag *diag) {
    if (!is_directory(truth))
        return add_file(score, truth, results, diag);
    if (is_directory(results))
        return add_each(score, truth, results, diag);
    return add_together(score, truth, results, diag);
}

static int run(char **args, int n, double within_s, bool json) {
    static struct uw_diag diag;
    struct uw_score score = {.within_s = within_s};
    int r = 0;

    for (int i = 0; i + 1 < n && r == 0; i += 2)
        r = add_pair(&score, args[i], args[i + 1], &diag);
    if (r == 0 && json)
        r = uw_score_print_json(&score, stdout);
    else if (r == 0)
        uw_score_print(&score, stdout);
    uw_score_deinit(&score);
    if (r != 0)
        return uw_cli_report(r, &diag);
    return uw_cli_flush() ? UW_EXIT_OK : UW_EXIT_INPUT;
}

int uw_cmd_score(int argc, char **argv) {
    const char *arg = NULL;
    double within_s = INFINITY;
    bool json = false;
    int first = argc, c, n;

    while ((c = uw_cli_next(&cli, argc, argv, &arg, &first)) > 0) {
        if (c == 'j')
            json = true;
        if (c == 'w' && uw_str_to_double(arg, 0, 1e9, &within_s) != 0)
            return uw_cli_usage_error("score", "--within %s: seconds are needed", arg);
    }
    if (c != UW_CLI_END)
        return c == UW_CLI_HELP ? UW_EXIT_OK : UW_EXIT_USAGE;
    n = argc - first;
    if (n == 0 || n % 2 != 0)
        return uw_cli_usage_error("score", "TRUTH and RESULTS come in pairs");
    return run(argv + first, n, within_s, json);
}
