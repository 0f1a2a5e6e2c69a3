/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_CONF_CONF_IMPL_H
#define UW_SRC_CONF_CONF_IMPL_H

/*
 * Private to src/conf
 *
 * A struct uw_conf_node is libconfig's config_setting_t under another name; every setting carries a
 * struct node_info as its hook, made when the file is loaded.
 */

#include <libconfig.h>
#include <locale.h>
#include <stdbool.h>
#include <stddef.h>

#include "uw/conf/conf.h"

struct node_info {
    bool asked;  /* a reader asked for this setting */
    char **keys; /* of a group: the keys that readers asked for, for suggestions */
    size_t n_keys;
};

struct uw_conf {
    config_t config;
    char *name;
    struct uw_diag *diag;
    unsigned n_mistakes;
    bool masked; /* numbers that were refused stand as UW_CONF_MASK, and have been told of */
};

/* Something that nobody writes, in as few characters as a refused number may have. */
#define UW_CONF_MASK       "7e307"
#define UW_CONF_MASK_LEN   5
#define UW_CONF_MASK_VALUE 7e307

/* The C locale, whatever the program has set: numbers are read and written with a point. */
locale_t uw_conf_c_locale(void);

/* Looks at the text as it is written; adds "NAME:LINE: ..." for what libconfig would read wrongly
 * or not at all. Returns the number of mistakes. If all of them are numbers out of range,
 * *ret_masked is set and each has been written over with UW_CONF_MASK: the rest can be read. */
unsigned uw_conf_scan(const char *name, char *text, size_t len, struct uw_diag *diag,
                      bool *ret_masked);

const config_setting_t *uw_conf_setting(const struct uw_conf_node *node);
/* Adds "FILE:LINE: KEY: text"; key may be NULL. */
void uw_conf_mistake_at(struct uw_conf *conf, unsigned line, const char *key, const char *format,
                        ...) __attribute__((format(printf, 4, 5)));
/* The member of a group, marked as asked for; NULL and, if required, a mistake if there is none. */
const config_setting_t *uw_conf_member(struct uw_conf *conf, const struct uw_conf_node *node,
                                       const char *key, bool required);

#endif
