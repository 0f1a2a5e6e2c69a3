/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "conf-impl.h"

/* What a message calls a setting: its key, or "key[i]" for the element of a list. */
struct place {
    struct uw_conf *conf;
    const config_setting_t *setting;
    char key[96];
};

static const char *type_name(const config_setting_t *setting) {
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_GROUP:
        return "a group { }";
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
    case CONFIG_TYPE_FLOAT:
        return "a number";
    case CONFIG_TYPE_STRING:
        return "a string";
    case CONFIG_TYPE_BOOL:
        return "true or false";
    case CONFIG_TYPE_ARRAY:
    case CONFIG_TYPE_LIST:
        return "a list";
    default:
        return "something else";
    }
}

static bool find_key(struct place *at, struct uw_conf *conf, const struct uw_conf_node *node,
                     const char *key, bool required) {
    at->conf = conf;
    at->setting = uw_conf_member(conf, node, key, required);
    snprintf(at->key, sizeof(at->key), "%s", key);
    return at->setting != NULL;
}

static bool find_element(struct place *at, struct uw_conf *conf, const struct uw_conf_node *list,
                         size_t i) {
    const config_setting_t *setting = uw_conf_setting(list);

    if (i >= uw_conf_list_len(list))
        return false;
    at->conf = conf;
    at->setting = config_setting_get_elem(setting, (unsigned)i);
    snprintf(at->key, sizeof(at->key), "%.60s[%zu]", setting->name ? setting->name : "", i);
    return at->setting != NULL;
}

static void wrong_type(const struct place *at, const char *expected) {
    uw_conf_mistake_at(at->conf, at->setting->line, at->key, "must be %s, not %s", expected,
                       type_name(at->setting));
}

static void out_of_range(const struct place *at, double x, double min, double max) {
    if (max >= DBL_MAX)
        uw_conf_mistake_at(at->conf, at->setting->line, at->key,
                           "%.12g is out of range (allowed: at least %.12g)", x, min);
    else if (min <= -DBL_MAX)
        uw_conf_mistake_at(at->conf, at->setting->line, at->key,
                           "%.12g is out of range (allowed: at most %.12g)", x, max);
    else
        uw_conf_mistake_at(at->conf, at->setting->line, at->key,
                           "%.12g is out of range (allowed: %.12g to %.12g)", x, min, max);
}

/* Has been told when the file was scanned. */
static bool is_masked(const struct place *at) {
    return at->conf->masked && config_setting_type(at->setting) == CONFIG_TYPE_FLOAT &&
           config_setting_get_float(at->setting) == UW_CONF_MASK_VALUE;
}

static bool read_double(const struct place *at, double min, double max, double *value) {
    double x;

    if (is_masked(at))
        return false;
    switch (config_setting_type(at->setting)) {
    case CONFIG_TYPE_INT:
        x = config_setting_get_int(at->setting);
        break;
    case CONFIG_TYPE_INT64:
        x = (double)config_setting_get_int64(at->setting);
        break;
    case CONFIG_TYPE_FLOAT:
        x = config_setting_get_float(at->setting);
        break;
    default:
        wrong_type(at, "a number");
        return false;
    }
    /* so written that NaN fails, too */
    if (!(x >= min && x <= max) || !isfinite(x)) {
        out_of_range(at, x, min, max);
        return false;
    }
    *value = x;
    return true;
}

bool uw_conf_get_double(struct uw_conf *conf, const struct uw_conf_node *node, const char *key,
                        bool required, double min, double max, double *value) {
    struct place at;

    return find_key(&at, conf, node, key, required) && read_double(&at, min, max, value);
}

bool uw_conf_list_double(struct uw_conf *conf, const struct uw_conf_node *list, size_t i,
                         double min, double max, double *value) {
    struct place at;

    return find_element(&at, conf, list, i) && read_double(&at, min, max, value);
}

/* A float counts as an integer if it is one and a double holds it exactly: 2.4e6. */
static bool integer_of(const config_setting_t *setting, int64_t *ret) {
    double x;

    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_INT:
        *ret = config_setting_get_int(setting);
        return true;
    case CONFIG_TYPE_INT64:
        *ret = config_setting_get_int64(setting);
        return true;
    case CONFIG_TYPE_FLOAT:
        x = config_setting_get_float(setting);
        if (!(fabs(x) <= 0x1p53) || x != trunc(x))
            return false;
        *ret = (int64_t)x;
        return true;
    default:
        return false;
    }
}

bool uw_conf_get_int(struct uw_conf *conf, const struct uw_conf_node *node, const char *key,
                     bool required, int64_t min, int64_t max, int64_t *value) {
    struct place at;
    int64_t x;

    if (!find_key(&at, conf, node, key, required))
        return false;
    if (!config_setting_is_number(at.setting)) {
        wrong_type(&at, "a whole number");
        return false;
    }
    if (is_masked(&at))
        return false;
    if (!integer_of(at.setting, &x)) {
        uw_conf_mistake_at(conf, at.setting->line, key, "%.12g is not a whole number",
                           config_setting_get_float(at.setting));
        return false;
    }
    if (x < min || x > max) {
        uw_conf_mistake_at(conf, at.setting->line, key,
                           "%lld is out of range (allowed: %lld to %lld)", (long long)x,
                           (long long)min, (long long)max);
        return false;
    }
    *value = x;
    return true;
}

bool uw_conf_get_bool(struct uw_conf *conf, const struct uw_conf_node *node, const char *key,
                      bool required, bool *value) {
    struct place at;

    if (!find_key(&at, conf, node, key, required))
        return false;
    if (config_setting_type(at.setting) != CONFIG_TYPE_BOOL) {
        wrong_type(&at, "true or false");
        return false;
    }
    *value = config_setting_get_bool(at.setting);
    return true;
}

/* Length of the UTF-8 sequence at s; 0 if it is none (too long, surrogate, above U+10FFFF, cut). */
static size_t utf8_len(const unsigned char *s) {
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

    if (s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

/* NULL, or what is wrong with the text. */
static const char *text_fault(const char *text) {
    const unsigned char *s = (const unsigned char *)text;

    while (*s) {
        size_t n = utf8_len(s);

        if (n == 0)
            return "is not valid UTF-8";
        if (*s < 0x20 || *s == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0))
            return "has a control character in it";
        s += n;
    }
    return NULL;
}

static bool read_string(const struct place *at, size_t max_len, const char **value) {
    const char *text, *fault;

    if (config_setting_type(at->setting) != CONFIG_TYPE_STRING) {
        wrong_type(at, "a string");
        return false;
    }
    text = config_setting_get_string(at->setting);
    /* bytes, not characters: who copies it has a buffer of bytes */
    if (strlen(text) > max_len) {
        uw_conf_mistake_at(at->conf, at->setting->line, at->key,
                           "is too long (allowed: %zu bytes, has %zu)", max_len, strlen(text));
        return false;
    }
    fault = text_fault(text);
    if (fault) {
        uw_conf_mistake_at(at->conf, at->setting->line, at->key, "%s", fault);
        return false;
    }
    *value = text;
    return true;
}

bool uw_conf_get_string(struct uw_conf *conf, const struct uw_conf_node *node, const char *key,
                        bool required, size_t max_len, const char **value) {
    struct place at;

    return find_key(&at, conf, node, key, required) && read_string(&at, max_len, value);
}

bool uw_conf_list_string(struct uw_conf *conf, const struct uw_conf_node *list, size_t i,
                         size_t max_len, const char **value) {
    struct place at;

    return find_element(&at, conf, list, i) && read_string(&at, max_len, value);
}

bool uw_conf_get_enum(struct uw_conf *conf, const struct uw_conf_node *node, const char *key,
                      bool required, const char *const *words, int *value) {
    char all[256];
    size_t n = 0;
    struct place at;
    const char *text;

    if (!find_key(&at, conf, node, key, required) || !read_string(&at, SIZE_MAX, &text))
        return false;
    all[0] = 0;
    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], text) == 0) {
            *value = i;
            return true;
        }
        if (n < sizeof(all))
            n +=
                (size_t)snprintf(all + n, sizeof(all) - n, "%s\"%s\"", i > 0 ? ", " : "", words[i]);
    }
    uw_conf_mistake_at(conf, at.setting->line, key, "\"%.64s\" is not known (allowed: %s)", text,
                       all);
    return false;
}

const struct uw_conf_node *uw_conf_get_group(struct uw_conf *conf, const struct uw_conf_node *node,
                                             const char *key, bool required) {
    struct place at;

    if (!find_key(&at, conf, node, key, required))
        return NULL;
    if (!config_setting_is_group(at.setting)) {
        wrong_type(&at, "a group { }");
        return NULL;
    }
    return (const struct uw_conf_node *)at.setting;
}

const struct uw_conf_node *uw_conf_get_list(struct uw_conf *conf, const struct uw_conf_node *node,
                                            const char *key, bool required, size_t min,
                                            size_t max) {
    const struct uw_conf_node *list;
    struct place at;
    size_t n;

    if (!find_key(&at, conf, node, key, required))
        return NULL;
    if (!config_setting_is_list(at.setting) && !config_setting_is_array(at.setting)) {
        wrong_type(&at, "a list");
        return NULL;
    }
    list = (const struct uw_conf_node *)at.setting;
    n = uw_conf_list_len(list);
    if (n < min || n > max) {
        uw_conf_mistake_at(conf, at.setting->line, key, "has %zu elements (allowed: %zu to %zu)", n,
                           min, max);
        return NULL;
    }
    return list;
}

size_t uw_conf_list_len(const struct uw_conf_node *list) {
    return list ? (size_t)config_setting_length(uw_conf_setting(list)) : 0;
}

const struct uw_conf_node *uw_conf_list_at(const struct uw_conf_node *list, size_t i) {
    if (i >= uw_conf_list_len(list))
        return NULL;
    return (const struct uw_conf_node *)config_setting_get_elem(uw_conf_setting(list), (unsigned)i);
}

const struct uw_conf_node *uw_conf_list_group(struct uw_conf *conf, const struct uw_conf_node *list,
                                              size_t i) {
    struct place at;

    if (!find_element(&at, conf, list, i))
        return NULL;
    if (!config_setting_is_group(at.setting)) {
        wrong_type(&at, "a group { }");
        return NULL;
    }
    return (const struct uw_conf_node *)at.setting;
}
