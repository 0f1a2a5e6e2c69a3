/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_BASE_STR_H
#define UW_BASE_STR_H

/*
 * Strings and numbers
 *
 * Threads: any. Numbers are parsed whole (no trailing garbage), with range, independent of locale.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies as much as fits, always terminates. Returns false if it was cut. */
bool uw_str_copy(char *dst, size_t size, const char *src);
bool uw_str_ends_with(const char *s, const char *suffix);
/* 0 or UW_E_INPUT. Frequencies may carry k, M or G ("915M", "2.4e6"). Never NaN nor infinite. */
int uw_str_to_double(const char *s, double min, double max, double *ret);
int uw_str_to_int64(const char *s, int64_t min, int64_t max, int64_t *ret);
/* True if s is 1..31 characters of [A-Za-z0-9_-]: names that go into topics and identifiers. */
bool uw_str_is_name(const char *s);
/* Reads a whole file, at most max bytes; adds a zero that is not counted. Caller frees *ret.
 * 0, -ENOMEM, or UW_E_INPUT with text in diag (struct uw_diag of err.h). */
struct uw_diag;
int uw_file_read(const char *path, size_t max, struct uw_diag *diag, char **ret, size_t *ret_len);

#endif
