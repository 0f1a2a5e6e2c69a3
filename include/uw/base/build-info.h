/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_BASE_BUILD_INFO_H
#define UW_BASE_BUILD_INFO_H

/*
 * What the build knows: the version, and where the files that come with the programs lie
 *
 * Threads: any.
 */

#include <stddef.h>

/* "0.1.0" */
const char *uw_version(void);
/* The directory that holds signatures/ and scenarios/: $UASWATCH_CONFIG_DIR if set; config/ of the
 * source tree for a program that runs from the build directory; else the installed one. Returns
 * buf. */
const char *uw_config_dir(char *buf, size_t size);
/* `dir` holds the directory of signatures that the configuration file at `path` gave, by default
 * "signatures" beside the file. If there is none by default, the one of uw_config_dir() takes its
 * place: a file of one's own need not lie next to a database. path NULL: no file. */
void uw_find_signatures(const char *path, char *dir, size_t size);
/* Where the administrator's uaswatch.conf lies. */
const char *uw_system_config_dir(void);

#endif
