/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_CONF_CONF_H
#define UW_CONF_CONF_H

/*
 * Typed reading of libconfig files
 *
 * Every reader call takes a node (a group), a key and a range, and on a mistake adds one message
 * "FILE:LINE: key: what is wrong" to the diag given at load and counts it; the value is then left
 * as it was. So a caller reads everything, calls uw_conf_end() on every group (which refuses the
 * keys that nobody asked for), and at last asks uw_conf_failed(): all mistakes are found in one
 * run.
 *
 * Before libconfig sees the text, numbers are looked at as they are written: an integer literal
 * that does not fit its type (libconfig would wrap it), a float that overflows to infinity and NaN
 * are refused. @include is refused. A file is at most 1 MiB.
 *
 * Defaults: the caller puts the default into *value first. `required` keys that are missing are
 * mistakes.
 *
 * Threads: one. Ownership: nodes and strings live as long as the conf.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uw_diag;
struct uw_conf;
struct uw_conf_node; /* a setting inside the file */

/* 0, -ENOMEM, or UW_E_INPUT with the mistakes in diag. diag is kept for the readers. */
int uw_conf_load(const char *path, struct uw_diag *diag, struct uw_conf **ret_conf);
/* Goes on after numbers that are out of range, so that all mistakes are found: 0 also then, and
 * uw_conf_failed(). Such a number reads as if it were not there. */
int uw_conf_load_all(const char *path, struct uw_diag *diag, struct uw_conf **ret_conf);
/* The same from memory, not going on; `name` stands for the path in messages. */
int uw_conf_parse(const char *name, const char *text, size_t len, struct uw_diag *diag,
                  struct uw_conf **ret_conf);
struct uw_conf *uw_conf_free(struct uw_conf *conf);
void uw_conf_freep(struct uw_conf **conf);
bool uw_conf_failed(const struct uw_conf *conf);

const struct uw_conf_node *uw_conf_root(struct uw_conf *conf);
/* What a key of a group stands for, of whatever type, to hang a mistake on; or NULL. */
const struct uw_conf_node *uw_conf_find(const struct uw_conf_node *group, const char *key);
/* Adds a mistake at this node, for checks of the caller's own. */
void uw_conf_mistake(struct uw_conf *conf, const struct uw_conf_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same text for `remarks`, of what is no mistake. */
void uw_conf_remark(struct uw_conf *conf, const struct uw_conf_node *node, struct uw_diag *remarks,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Each returns true if the key was there and good. Numbers accept integers and floats. */
bool uw_conf_get_double(struct uw_conf *conf, const struct uw_conf_node *node, const char *key,
                        bool required, double min, double max, double *value);
bool uw_conf_get_int(struct uw_conf *conf, const struct uw_conf_node *node, const char *key,
                     bool required, int64_t min, int64_t max, int64_t *value);
bool uw_conf_get_bool(struct uw_conf *conf, const struct uw_conf_node *node, const char *key,
                      bool required, bool *value);
/* At most max_len characters, valid UTF-8, no control characters. */
bool uw_conf_get_string(struct uw_conf *conf, const struct uw_conf_node *node, const char *key,
                        bool required, size_t max_len, const char **value);
/* One of the words (NULL-terminated list); *value is its index. */
bool uw_conf_get_enum(struct uw_conf *conf, const struct uw_conf_node *node, const char *key,
                      bool required, const char *const *words, int *value);
/* A group, or NULL. */
const struct uw_conf_node *uw_conf_get_group(struct uw_conf *conf, const struct uw_conf_node *node,
                                             const char *key, bool required);
/* A list or array with min..max elements, or NULL. */
const struct uw_conf_node *uw_conf_get_list(struct uw_conf *conf, const struct uw_conf_node *node,
                                            const char *key, bool required, size_t min, size_t max);
size_t uw_conf_list_len(const struct uw_conf_node *list);
/* Element i, of whatever type, to hang a mistake on; or NULL. */
const struct uw_conf_node *uw_conf_list_at(const struct uw_conf_node *list, size_t i);
/* Element i of a list of groups; a mistake and NULL if it is no group. */
const struct uw_conf_node *uw_conf_list_group(struct uw_conf *conf, const struct uw_conf_node *list,
                                              size_t i);
bool uw_conf_list_double(struct uw_conf *conf, const struct uw_conf_node *list, size_t i,
                         double min, double max, double *value);
bool uw_conf_list_string(struct uw_conf *conf, const struct uw_conf_node *list, size_t i,
                         size_t max_len, const char **value);
/* Refuses every key of the group that no reader asked for ("unknown key"). */
void uw_conf_end(struct uw_conf *conf, const struct uw_conf_node *node);

#endif
