/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the numbering of the run before ended
 *
 * A subscriber that was away over a restart can see by it whether it has missed the end of the old
 * run. It is written when a run ends well and taken away when the next begins: after a crash nobody
 * knows, and nothing is said.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine-impl.h"
#include "uw/base/log.h"
#include "uw/base/str.h"
#include "uw/msg/json.h"

#define FILE_MAX 4096
#define FORMAT   "uaswatch-run 1"

static void path_of(const struct uw_engine *engine, const char *suffix,
                    char path[2 * UW_PATH_LEN]) {
    snprintf(path, 2 * UW_PATH_LEN, "%s/last-run%s", engine->config.state_dir, suffix);
}

static bool is_run(const char *run) {
    return uw_str_is_name(run);
}

/* "run r20261123T180000" or "alert 12"; anything else makes the whole file worthless. */
static bool take_line(struct uw_previous *p, const char *key, const char *value) {
    int64_t n;

    if (strcmp(key, "run") == 0 && is_run(value)) {
        uw_str_copy(p->run, sizeof(p->run), value);
        return true;
    }
    for (int type = 0; type < UW_MSG_PROGRESS; type++)
        if (strcmp(key, uw_msg_type_name((enum uw_msg_type)type)) == 0 &&
            uw_str_to_int64(value, 1, INT64_C(9007199254740991), &n) == 0) {
            p->seq[type] = (uint64_t)n;
            return true;
        }
    return false;
}

int uw_previous_parse(char *text, struct uw_previous *ret) {
    struct uw_previous p = {0};
    char *save = NULL, *line = strtok_r(text, "\n", &save);

    if (!line || strcmp(line, FORMAT) != 0)
        return UW_E_INPUT;
    while ((line = strtok_r(NULL, "\n", &save))) {
        char *space = strchr(line, ' ');
        if (!space)
            return UW_E_INPUT;
        *space = 0;
        if (!take_line(&p, line, space + 1))
            return UW_E_INPUT;
    }
    if (!p.run[0])
        return UW_E_INPUT;
    *ret = p;
    return 0;
}

void uw_engine_read_previous(struct uw_engine *engine) {
    char path[2 * UW_PATH_LEN], *text = NULL;
    struct uw_diag diag = {0};
    size_t len;

    if (!engine->config.state_dir[0])
        return;
    path_of(engine, "", path);
    if (access(path, F_OK) < 0)
        return;
    if (uw_file_read(path, FILE_MAX, &diag, &text, &len) ||
        uw_previous_parse(text, &engine->previous))
        uw_log_kv(UW_LOG_WARNING, "engine", "what the last run left cannot be read",
                  uw_log_s("file", path), uw_log_s("why", diag.n ? diag.text[0] : "its format"));
    free(text);
    (void)unlink(path);
}

static bool write_file(const struct uw_engine *engine, const char *path) {
    FILE *f = fopen(path, "we");
    bool good;

    if (!f)
        return false;
    fprintf(f, FORMAT "\nrun %s\n", engine->config.run);
    for (int type = 0; type < UW_MSG_PROGRESS; type++)
        if (engine->publisher.seq[type] > 0)
            fprintf(f, "%s %" PRIu64 "\n", uw_msg_type_name((enum uw_msg_type)type),
                    engine->publisher.seq[type]);
    good = fflush(f) == 0 && fsync(fileno(f)) == 0;
    return fclose(f) == 0 && good;
}

void uw_engine_write_previous(const struct uw_engine *engine) {
    char path[2 * UW_PATH_LEN], new[2 * UW_PATH_LEN];

    if (!engine->config.state_dir[0])
        return;
    path_of(engine, "", path);
    path_of(engine, ".new", new);
    if (!write_file(engine, new) || rename(new, path) < 0)
        uw_log_kv(UW_LOG_WARNING, "engine", "the end of this run cannot be kept",
                  uw_log_s("file", path), uw_log_s("why", strerror(errno)));
}
