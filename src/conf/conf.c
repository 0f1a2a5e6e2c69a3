/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "uw/conf/conf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf-impl.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/util.h"

#define FILE_MAX  ((size_t)1024 * 1024)
#define KEY_SHOWN 64 /* longer keys are cut in messages and get no suggestion */

locale_t uw_conf_c_locale(void) {
    /* In glibc and musl the C locale is a constant object: it needs no freelocale(). */
    return newlocale(LC_ALL_MASK, "C", NULL);
}

const config_setting_t *uw_conf_setting(const struct uw_conf_node *node) {
    return (const config_setting_t *)node;
}

static void free_info(void *p) {
    struct node_info *info = p;

    if (!info)
        return;
    for (size_t i = 0; i < info->n_keys; i++)
        free(info->keys[i]);
    free(info->keys);
    free(info);
}

static int add_info(config_setting_t *setting) {
    struct node_info *info = calloc(1, sizeof(*info));
    int n, r;

    if (!info)
        return uw_err(-ENOMEM);
    config_setting_set_hook(setting, info);
    if (!config_setting_is_aggregate(setting))
        return 0;
    n = config_setting_length(setting);
    for (int i = 0; i < n; i++) {
        r = add_info(config_setting_get_elem(setting, (unsigned)i));
        if (r < 0)
            return r;
    }
    return 0;
}

static int explain_failure(const config_t *config, const char *name, struct uw_diag *diag) {
    const char *text = config_error_text(config);
    int line = config_error_line(config);

    if (text && strstr(text, "duplicate"))
        return uw_diag_add(diag, "%s:%d: the same key twice in one group", name, line);
    return uw_diag_add(diag, "%s:%d: %s", name, line, text ? text : "syntax error");
}

static int parse_text(struct uw_conf *conf, const char *text) {
    locale_t before;
    int ok;

    before = uselocale(uw_conf_c_locale());
    ok = config_read_string(&conf->config, text);
    uselocale(before);
    if (!ok && conf->masked)
        return UW_E_INPUT; /* as in an array of integers: that has been told */
    if (!ok)
        return explain_failure(&conf->config, conf->name, conf->diag);
    return add_info(config_root_setting(&conf->config));
}

static void freep(char **p) {
    free(*p);
}

static int parse(const char *name, const char *text, size_t len, bool all, struct uw_diag *diag,
                 struct uw_conf **ret_conf) {
    UW_CLEANUP(uw_conf_freep) struct uw_conf *conf = NULL;
    UW_CLEANUP(freep) char *copy = NULL;
    int r;

    if (len > FILE_MAX)
        return uw_diag_add(diag, "%s: larger than %zu bytes", name, FILE_MAX);
    conf = calloc(1, sizeof(*conf));
    if (!conf)
        return uw_err(-ENOMEM);
    config_init(&conf->config);
    config_set_destructor(&conf->config, free_info);
    conf->diag = diag;
    conf->name = strdup(name);
    copy = malloc(len + 1);
    if (!conf->name || !copy)
        return uw_err(-ENOMEM);
    memcpy(copy, text, len);
    copy[len] = 0;

    conf->n_mistakes = uw_conf_scan(name, copy, len, diag, &conf->masked);
    if (conf->n_mistakes > 0 && !(all && conf->masked))
        return UW_E_INPUT;
    r = parse_text(conf, copy);
    if (r != 0)
        return r;
    *ret_conf = conf;
    conf = NULL;
    return 0;
}

int uw_conf_parse(const char *name, const char *text, size_t len, struct uw_diag *diag,
                  struct uw_conf **ret_conf) {
    return parse(name, text, len, false, diag, ret_conf);
}

static int load(const char *path, bool all, struct uw_diag *diag, struct uw_conf **ret_conf) {
    UW_CLEANUP(freep) char *text = NULL;
    size_t len;
    int r;

    r = uw_file_read(path, FILE_MAX, diag, &text, &len);
    if (r != 0)
        return r;
    return parse(path, text, len, all, diag, ret_conf);
}

int uw_conf_load(const char *path, struct uw_diag *diag, struct uw_conf **ret_conf) {
    return load(path, false, diag, ret_conf);
}

int uw_conf_load_all(const char *path, struct uw_diag *diag, struct uw_conf **ret_conf) {
    return load(path, true, diag, ret_conf);
}

struct uw_conf *uw_conf_free(struct uw_conf *conf) {
    if (!conf)
        return NULL;
    config_destroy(&conf->config);
    free(conf->name);
    free(conf);
    return NULL;
}

void uw_conf_freep(struct uw_conf **conf) {
    *conf = uw_conf_free(*conf);
}

bool uw_conf_failed(const struct uw_conf *conf) {
    return conf->n_mistakes > 0;
}

const struct uw_conf_node *uw_conf_root(struct uw_conf *conf) {
    return (const struct uw_conf_node *)config_root_setting(&conf->config);
}

__attribute__((format(printf, 5, 0))) static void add_text(struct uw_conf *conf, unsigned line,
                                                           const char *key, struct uw_diag *diag,
                                                           const char *format, va_list ap) {
    char text[UW_DIAG_LEN];
    locale_t before = uselocale(uw_conf_c_locale());

    vsnprintf(text, sizeof(text), format, ap);
    uselocale(before);
    /* libconfig gives the root group no line */
    uw_diag_add(diag, "%s:%u: %.*s%s%s", conf->name, line > 0 ? line : 1, KEY_SHOWN, key ? key : "",
                key ? ": " : "", text);
}

__attribute__((format(printf, 4, 0))) static void
add_mistake(struct uw_conf *conf, unsigned line, const char *key, const char *format, va_list ap) {
    add_text(conf, line, key, conf->diag, format, ap);
    conf->n_mistakes++;
}

void uw_conf_mistake_at(struct uw_conf *conf, unsigned line, const char *key, const char *format,
                        ...) {
    va_list ap;

    va_start(ap, format);
    add_mistake(conf, line, key, format, ap);
    va_end(ap);
}

const struct uw_conf_node *uw_conf_find(const struct uw_conf_node *group, const char *key) {
    return (const struct uw_conf_node *)config_setting_get_member(uw_conf_setting(group), key);
}

/* Returns the node's line, 0 if it has none; key is empty if it has no name. */
static unsigned place_of(const struct uw_conf_node *node, char *key, size_t len) {
    const config_setting_t *setting = uw_conf_setting(node);
    const config_setting_t *parent = setting ? setting->parent : NULL;

    key[0] = 0;
    if (setting && setting->name)
        snprintf(key, len, "%.*s", KEY_SHOWN, setting->name);
    else if (parent)
        snprintf(key, len, "%.*s[%d]", KEY_SHOWN, parent->name ? parent->name : "",
                 config_setting_index(setting));
    return setting ? setting->line : 0;
}

void uw_conf_mistake(struct uw_conf *conf, const struct uw_conf_node *node, const char *format,
                     ...) {
    char key[KEY_SHOWN + 24];
    unsigned line = place_of(node, key, sizeof(key));
    va_list ap;

    va_start(ap, format);
    add_mistake(conf, line, key[0] ? key : NULL, format, ap);
    va_end(ap);
}

void uw_conf_remark(struct uw_conf *conf, const struct uw_conf_node *node, struct uw_diag *remarks,
                    const char *format, ...) {
    char key[KEY_SHOWN + 24];
    unsigned line = place_of(node, key, sizeof(key));
    va_list ap;

    va_start(ap, format);
    add_text(conf, line, key[0] ? key : NULL, remarks, format, ap);
    va_end(ap);
}

/* Out of memory costs the suggestion only. */
static void remember_key(struct node_info *group, const char *key) {
    char **keys;

    for (size_t i = 0; i < group->n_keys; i++) {
        if (strcmp(group->keys[i], key) == 0)
            return;
    }
    keys = realloc(group->keys, (group->n_keys + 1) * sizeof(*keys));
    if (!keys)
        return;
    group->keys = keys;
    keys[group->n_keys] = strdup(key);
    if (keys[group->n_keys])
        group->n_keys++;
}

const config_setting_t *uw_conf_member(struct uw_conf *conf, const struct uw_conf_node *node,
                                       const char *key, bool required) {
    const config_setting_t *group = uw_conf_setting(node), *setting;
    struct node_info *info;

    if (!group || !config_setting_is_group(group))
        return NULL;
    remember_key(config_setting_get_hook(group), key);
    setting = config_setting_get_member(group, key);
    if (!setting) {
        if (required)
            uw_conf_mistake_at(conf, group->line, key, "missing (required)");
        return NULL;
    }
    info = config_setting_get_hook(setting);
    info->asked = true;
    return setting;
}

/* Edits (insert, delete, replace) that turn a into b; both at most KEY_SHOWN long. */
static unsigned edit_distance(const char *a, const char *b) {
    unsigned row[KEY_SHOWN + 1];
    size_t n = strlen(a), m = strlen(b);

    for (size_t j = 0; j <= m; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

static const char *nearest_key(const struct node_info *group, const char *key) {
    unsigned best = strlen(key) < 5 ? 2 : 3; /* must be closer than that */
    const char *found = NULL;

    if (strlen(key) > KEY_SHOWN)
        return NULL;
    for (size_t i = 0; i < group->n_keys; i++) {
        unsigned d;

        if (strlen(group->keys[i]) > KEY_SHOWN)
            continue;
        d = edit_distance(key, group->keys[i]);
        if (d < best) {
            best = d;
            found = group->keys[i];
        }
    }
    return found;
}

void uw_conf_end(struct uw_conf *conf, const struct uw_conf_node *node) {
    const config_setting_t *group = uw_conf_setting(node);
    int n;

    if (!group || !config_setting_is_group(group))
        return;
    n = config_setting_length(group);
    for (int i = 0; i < n; i++) {
        const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
        const struct node_info *info = config_setting_get_hook(setting);
        const char *near;

        if (info->asked)
            continue;
        near = nearest_key(config_setting_get_hook(group), setting->name);
        if (near)
            uw_conf_mistake_at(conf, setting->line, setting->name,
                               "unknown key; did you mean '%s'?", near);
        else
            uw_conf_mistake_at(conf, setting->line, setting->name, "unknown key");
    }
}
