/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "uw/base/err.h"
#include "uw/conf/conf.h"

#define DEPTH_MAX 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void read_group(struct uw_conf *conf, const struct uw_conf_node *node, int depth);

static void read_list(struct uw_conf *conf, const struct uw_conf_node *list, int depth) {
    const char *s;
    double x;

    for (size_t i = 0; i < uw_conf_list_len(list); i++) {
        if (uw_conf_list_double(conf, list, i, -1e12, 1e12, &x) && !isfinite(x))
            abort();
        uw_conf_list_string(conf, list, i, 16, &s);
        read_group(conf, uw_conf_list_group(conf, list, i), depth + 1);
    }
}

static void read_group(struct uw_conf *conf, const struct uw_conf_node *node, int depth) {
    static const char *const keys[] = {"a", "b", "rate_hz", "group", "list"};
    static const char *const words[] = {"slow", "fast", NULL};
    const char *s;
    int64_t n;
    double x;
    bool on;
    int word;

    if (!node || depth > DEPTH_MAX)
        return;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (uw_conf_get_double(conf, node, keys[i], false, -1e12, 1e12, &x) && !isfinite(x))
            abort();
        if (uw_conf_get_int(conf, node, keys[i], false, -5, 5, &n) && (n < -5 || n > 5))
            abort();
        uw_conf_get_bool(conf, node, keys[i], false, &on);
        uw_conf_get_string(conf, node, keys[i], false, 16, &s);
        uw_conf_get_enum(conf, node, keys[i], false, words, &word);
        read_group(conf, uw_conf_get_group(conf, node, keys[i], true), depth + 1);
        read_list(conf, uw_conf_get_list(conf, node, keys[i], true, 0, 1000), depth);
    }
    uw_conf_mistake(conf, node, "%d", depth);
    uw_conf_end(conf, node);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    static struct uw_diag diag;
    struct uw_conf *conf = NULL;
    int r;

    diag.n = 0;
    diag.n_dropped = 0;
    r = uw_conf_parse("fuzz.conf", (const char *)data, len, &diag, &conf);
    /* Refused with a reason, or taken: nothing between. */
    if ((r == 0) != (conf != NULL) || (r == UW_E_INPUT && diag.n == 0))
        abort();
    if (conf)
        read_group(conf, uw_conf_root(conf), 0);
    uw_conf_free(conf);
    return 0;
}
