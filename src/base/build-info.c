/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "uw/base/build-info.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build-config.h"
#include "uw/base/str.h"

const char *uw_version(void) {
    return UW_VERSION;
}

const char *uw_system_config_dir(void) {
    return UW_SYSTEM_CONFIG_DIR;
}

/* An installed program must not depend on a source tree that happens to be still there, so it is
 * the place of the program that decides. */
static bool runs_from_build_dir(void) {
    char path[PATH_MAX];
    size_t len = strlen(UW_BUILD_DIR);
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (n <= 0)
        return false;
    path[n] = '\0';
    return strncmp(path, UW_BUILD_DIR, len) == 0 && path[len] == '/';
}

const char *uw_config_dir(char *buf, size_t size) {
    const char *dir = getenv("UASWATCH_CONFIG_DIR");

    if (!dir || !dir[0])
        dir = runs_from_build_dir() ? UW_SOURCE_CONFIG_DIR : UW_DATA_DIR;
    uw_str_copy(buf, size, dir);
    return buf;
}

void uw_find_signatures(const char *path, char *dir, size_t size) {
    static const char name[] = "signatures";
    const char *slash = path ? strrchr(path, '/') : NULL;
    size_t len = slash ? (size_t)(slash - path) + 1 : 0;
    char base[PATH_MAX];

    if (path && (strncmp(dir, path, len) != 0 || strcmp(dir + len, name) != 0))
        return; /* somebody's choice */
    if (path && access(dir, F_OK) == 0)
        return;
    snprintf(dir, size, "%s/%s", uw_config_dir(base, sizeof(base)), name);
}
