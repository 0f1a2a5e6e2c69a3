/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Runs a fuzz target on every file of the directories in the arguments, once: a regression test
 * that needs neither clang nor luck. Inputs that once crashed are kept in the corpus.
 */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "uw/base/err.h"
#include "uw/base/str.h"

#define INPUT_MAX ((size_t)16 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int run_file(const char *path) {
    struct uw_diag diag = {0};
    char *data = NULL;
    size_t len = 0;

    if (uw_file_read(path, INPUT_MAX, &diag, &data, &len) != 0) {
        uw_diag_print(&diag, stderr);
        return 1;
    }
    /* An exact copy: the byte after the end must be out of bounds for the sanitizers. */
    data = realloc(data, len > 0 ? len : 1);
    if (!data)
        return 1;
    LLVMFuzzerTestOneInput((const uint8_t *)data, len);
    free(data);
    return 0;
}

static int run_directory(const char *path) {
    struct dirent **entries;
    int n, n_run = 0, n_bad = 0;

    n = scandir(path, &entries, NULL, alphasort);
    if (n < 0) {
        perror(path);
        return 1;
    }
    for (int i = 0; i < n; i++) {
        char file[4096];

        snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            n_run++;
            n_bad += run_file(file);
        }
        free(entries[i]);
    }
    free(entries);
    printf("%s: %d inputs\n", path, n_run);
    return n_run == 0 || n_bad > 0;
}

int main(int argc, char **argv) {
    int bad = argc < 2;

    for (int i = 1; i < argc; i++)
        bad |= run_directory(argv[i]);
    return bad;
}
