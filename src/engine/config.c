/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The configuration file: every key, its range and its default (docs/configuration.md)
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine-impl.h"
#include "uw/base/build-info.h"
#include "uw/base/log.h"
#include "uw/base/str.h"
#include "uw/base/util.h"
#include "uw/conf/conf.h"

#define FREQ_MIN_HZ 1e6
#define FREQ_MAX_HZ 100e9

void uw_engine_config_init(struct uw_engine_config *config) {
    *config = (struct uw_engine_config){
        .site = "site",
        .node = "node",
        .bus_endpoint = "inproc://fusion",
        .feed_endpoint = "tcp://127.0.0.1:5580",
        .lag_s = 2,
        .below_noise = true,
        .log_level = UW_LOG_INFO,
        .health =
            {
                .silent_s = 1.5,
                .degraded_s = 10,
                .clear_s = 3,
                .blind_s = 5,
                .clock_step_s = 0.5,
                .disk_free_bytes = 256e6,
            },
    };
    uw_fuse_config_init(&config->fuse);
    for (int i = 0; i < UW_RX_MAX; i++)
        uw_source_params_init(&config->receivers[i].source);
}

struct reader {
    struct uw_conf *conf;
    struct uw_engine_config *config;
    char directory[UW_PATH_LEN]; /* of the file, with its slash, or "" */
};

/* At the line of the key if it is there. */
#define mistake(r, node, key, ...) uw_conf_mistake((r)->conf, node_of(node, key), __VA_ARGS__)

static const struct uw_conf_node *node_of(const struct uw_conf_node *group, const char *key) {
    const struct uw_conf_node *node = uw_conf_find(group, key);

    return node ? node : group;
}

static void read_name(struct reader *r, const struct uw_conf_node *node, const char *key,
                      bool required, char dst[UW_NAME_LEN]) {
    const char *value = "";

    if (!uw_conf_get_string(r->conf, node, key, required, UW_NAME_LEN - 1, &value))
        return;
    if (!uw_str_is_name(value))
        mistake(r, node, key, "\"%s\": 1 to 31 of A-Z a-z 0-9 _ - are needed", value);
    else
        uw_str_copy(dst, UW_NAME_LEN, value);
}

static void take_path(struct reader *r, const struct uw_conf_node *node, const char *key,
                      const char *value, char dst[UW_PATH_LEN]) {
    bool as_it_is = value[0] == '/' || strcmp(value, "-") == 0;
    int n = snprintf(dst, UW_PATH_LEN, "%s%s", as_it_is ? "" : r->directory, value);

    if (n >= UW_PATH_LEN || value[0] == 0)
        mistake(r, node, key, "the path is %s", value[0] ? "too long" : "empty");
}

static void read_path(struct reader *r, const struct uw_conf_node *node, const char *key,
                      bool required, char dst[UW_PATH_LEN]) {
    const char *value = "";

    if (uw_conf_get_string(r->conf, node, key, required, UW_PATH_LEN - 1, &value))
        take_path(r, node, key, value, dst);
}

/* Only the form; what the bus makes of it is seen when it is opened. */
static void read_endpoint(struct reader *r, const struct uw_conf_node *node, bool inproc,
                          char dst[UW_PATH_LEN]) {
    const char *value = "";

    if (!uw_conf_get_string(r->conf, node, "endpoint", false, 200, &value))
        return;
    if (strncmp(value, "tcp://", 6) == 0 || strncmp(value, "ipc://", 6) == 0 ||
        (inproc && strncmp(value, "inproc://", 9) == 0))
        uw_str_copy(dst, UW_PATH_LEN, value);
    else
        mistake(r, node, "endpoint", "\"%s\": must begin with %stcp:// or ipc://", value,
                inproc ? "inproc://, " : "");
}

static void read_signatures(struct reader *r, const struct uw_conf_node *root) {
    const struct uw_conf_node *group = uw_conf_get_group(r->conf, root, "signatures", false);
    const struct uw_conf_node *list;
    struct uw_engine_config *c = r->config;
    const char *value = "";

    take_path(r, root, "signatures", "signatures", c->signature_dir);
    if (!group)
        return;
    read_path(r, group, "directory", false, c->signature_dir);
    list = uw_conf_get_list(r->conf, group, "enabled", false, 0, UW_SIGNATURES_MAX);
    c->n_signatures = 0;
    for (size_t i = 0; list && i < uw_conf_list_len(list); i++)
        if (uw_conf_list_string(r->conf, list, i, UW_NAME_LEN - 1, &value))
            uw_str_copy(c->signatures[c->n_signatures++], UW_NAME_LEN, value);
    uw_conf_end(r->conf, group);
}

/* "" is everywhere. Whether there is such a region or channel plan is known with the signatures. */
static void read_region(struct reader *r, const struct uw_conf_node *root,
                        char region[UW_NAME_LEN]) {
    const char *value = "";

    if (!uw_conf_get_string(r->conf, root, "region", false, UW_NAME_LEN - 1, &value))
        return;
    uw_str_copy(region, UW_NAME_LEN, value);
}

/* Where a receiver that can be tuned listens. */
static void read_walk(struct reader *r, const struct uw_conf_node *node,
                      struct uw_engine_receiver *receiver) {
    static const char *const plans[] = {"auto", NULL};
    const struct uw_conf_node *list =
        uw_conf_get_list(r->conf, node, "centres_hz", false, 1, UW_STOPS_MAX);
    bool tunable = receiver->source.type != UW_SOURCE_FILE &&
                   receiver->source.type != UW_SOURCE_LOOP &&
                   receiver->source.type != UW_SOURCE_PIPE;
    int plan = 0;

    receiver->n_stops = 0;
    receiver->plan = uw_conf_get_enum(r->conf, node, "plan", false, plans, &plan);
    for (size_t i = 0; list && i < uw_conf_list_len(list) && i < UW_STOPS_MAX; i++)
        if (uw_conf_list_double(r->conf, list, i, FREQ_MIN_HZ, FREQ_MAX_HZ,
                                &receiver->centre_hz[receiver->n_stops]))
            receiver->n_stops++;
    receiver->dwell_s = 0.5;
    uw_conf_get_double(r->conf, node, "dwell_s", false, 0.1, 60, &receiver->dwell_s);
    if (!tunable && (list || receiver->plan))
        mistake(r, node, list ? "centres_hz" : "plan", "a recording cannot be tuned");
    if (list && receiver->plan)
        mistake(r, node, "plan", "plan = \"auto\" chooses the centres: leave centres_hz out");
    if (!list && uw_conf_find(node, "dwell_s"))
        mistake(r, node, "dwell_s", "dwell_s belongs to centres_hz, which is missing");
}

/* A recording is read to its end; what another program gives is live. So a daemon that is told to
 * read a "file" from a pipe does not wait for it, and nobody is held back. */
static bool is_pipe(const char *path) {
    struct stat st;

    return strcmp(path, "-") == 0 ||
           (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode));
}

static void refuse_keys(struct reader *r, const struct uw_conf_node *node, const char *const *keys,
                        const char *why) {
    for (; *keys; keys++)
        if (uw_conf_find(node, *keys))
            mistake(r, node, *keys, "%s %s", *keys, why);
}

static void read_recording(struct reader *r, const struct uw_conf_node *node,
                           struct uw_engine_receiver *receiver) {
    static const char *const formats[] = {"cu8", "ci8", "ci16", "cf32", NULL};
    static const char *const others[] = {"device", "gain_db", "ppm", "bias_tee", NULL};

    read_path(r, node, "path", true, receiver->path);
    if (receiver->source.type == UW_SOURCE_FILE && is_pipe(receiver->path))
        receiver->source.type = UW_SOURCE_PIPE;
    uw_conf_get_enum(r->conf, node, "format", false, formats, &receiver->source.format);
    refuse_keys(r, node, others, "belongs to a device: this is a recording");
}

static void read_device(struct reader *r, const struct uw_conf_node *node,
                        struct uw_engine_receiver *receiver) {
    static const char *const others[] = {"path", "format", NULL};
    const char *device = "";

    /* librtlsdr's only dongle need not be named */
    uw_conf_get_string(r->conf, node, "device", receiver->source.type != UW_SOURCE_RTLSDR,
                       UW_PATH_LEN - 1, &device);
    uw_str_copy(receiver->device, sizeof(receiver->device), device);
    uw_conf_get_double(r->conf, node, "gain_db", false, -20, 120, &receiver->source.gain_db);
    uw_conf_get_double(r->conf, node, "ppm", false, -1000, 1000, &receiver->source.ppm);
    uw_conf_get_bool(r->conf, node, "bias_tee", false, &receiver->source.bias_tee);
    refuse_keys(r, node, others, "belongs to a recording: this is a device");
}

static void read_receiver(struct reader *r, const struct uw_conf_node *node,
                          struct uw_engine_receiver *receiver) {
    static const char *const types[] = {"file", "loop", "pipe", "rtlsdr", "rtl_tcp", "soapy", NULL};
    static const enum uw_source_type type_of[] = {UW_SOURCE_FILE,   UW_SOURCE_LOOP,
                                                  UW_SOURCE_PIPE,   UW_SOURCE_RTLSDR,
                                                  UW_SOURCE_RTLTCP, UW_SOURCE_SOAPY};
    bool is_device, is_sent;
    int type = 0;

    uw_source_params_init(&receiver->source);
    read_name(r, node, "name", true, receiver->name);
    uw_conf_get_enum(r->conf, node, "type", true, types, &type);
    receiver->source.type = type_of[type];
    is_device = type >= 3;
    if (is_device)
        read_device(r, node, receiver);
    else
        read_recording(r, node, receiver);
    uw_conf_get_double(r->conf, node, "rate_hz", is_device, UW_RATE_MIN_HZ, UW_RATE_MAX_HZ,
                       &receiver->source.rate_hz);
    is_sent = uw_conf_find(node, "plan") || uw_conf_find(node, "centres_hz");
    uw_conf_get_double(r->conf, node, "freq_hz", is_device && !is_sent, FREQ_MIN_HZ, FREQ_MAX_HZ,
                       &receiver->source.freq_hz);
    read_walk(r, node, receiver);
    uw_conf_end(r->conf, node);
}

static bool has_receiver(const struct uw_engine_config *config, const char *name) {
    for (int i = 0; i < config->n_receivers; i++)
        if (strcmp(config->receivers[i].name, name) == 0)
            return true;
    return false;
}

/* Only one receiver can have a dongle, and a dongle does not make every rate. */
static void check_device(struct reader *r, const struct uw_conf_node *node,
                         const struct uw_engine_receiver *receiver) {
    const struct uw_engine_config *c = r->config;
    const char *fault = uw_source_rate_fault(receiver->source.type, receiver->source.rate_hz);

    if (fault)
        mistake(r, node, "rate_hz", "%s", fault);
    for (int i = 0; i < c->n_receivers && receiver->source.type == UW_SOURCE_RTLSDR; i++)
        if (c->receivers[i].source.type == UW_SOURCE_RTLSDR &&
            strcmp(c->receivers[i].device, receiver->device) == 0)
            mistake(r, node, "device", "receiver %s has this dongle already", c->receivers[i].name);
}

static void read_receivers(struct reader *r, const struct uw_conf_node *root, bool required) {
    const struct uw_conf_node *list =
        uw_conf_get_list(r->conf, root, "receivers", required, required ? 1 : 0, UW_RX_MAX);
    struct uw_engine_config *c = r->config;

    if (!list)
        return;
    c->n_receivers = 0;
    for (size_t i = 0; i < uw_conf_list_len(list) && i < UW_RX_MAX; i++) {
        const struct uw_conf_node *node = uw_conf_list_group(r->conf, list, i);
        struct uw_engine_receiver *receiver = &c->receivers[c->n_receivers];
        if (!node)
            continue;
        read_receiver(r, node, receiver);
        if (receiver->name[0] && has_receiver(c, receiver->name))
            mistake(r, node, "name", "there are two receivers of that name");
        check_device(r, node, receiver);
        c->n_receivers++;
    }
}

static void read_bus(struct reader *r, const struct uw_conf_node *root) {
    const struct uw_conf_node *group = uw_conf_get_group(r->conf, root, "bus", false);

    if (!group)
        return;
    read_endpoint(r, group, true, r->config->bus_endpoint);
    uw_conf_end(r->conf, group);
}

static void read_feed(struct reader *r, const struct uw_conf_node *root) {
    const struct uw_conf_node *group = uw_conf_get_group(r->conf, root, "feed", false);

    r->config->feed = true;
    if (!group)
        return;
    uw_conf_get_bool(r->conf, group, "enabled", false, &r->config->feed);
    read_endpoint(r, group, false, r->config->feed_endpoint);
    uw_conf_end(r->conf, group);
}

static void read_alerts(struct reader *r, const struct uw_conf_node *root) {
    const struct uw_conf_node *group = uw_conf_get_group(r->conf, root, "alerts", false);
    struct uw_fuse_config *f = &r->config->fuse;

    if (!group)
        return;
    uw_conf_get_double(r->conf, group, "false_alerts_per_hour", false, 1e-9, 3600,
                       &f->false_alerts_per_hour);
    uw_conf_get_double(r->conf, group, "trials_per_hour", false, 1, 1e9, &f->trials_per_hour);
    uw_conf_get_double(r->conf, group, "coast_s", false, 0.25, 3600, &f->coast_s);
    uw_conf_get_double(r->conf, group, "clear_s", false, 0.25, 86400, &f->clear_s);
    uw_conf_get_double(r->conf, group, "update_s", false, 0, 3600, &f->update_s);
    uw_conf_get_int(r->conf, group, "max_tracks", false, 1, 10000, &f->max_tracks);
    if (f->clear_s < f->coast_s)
        mistake(r, group, "clear_s", "clear_s must not be less than coast_s");
    if (f->false_alerts_per_hour >= f->trials_per_hour)
        mistake(r, group, "false_alerts_per_hour",
                "false_alerts_per_hour must be less than trials_per_hour");
    uw_conf_end(r->conf, group);
}

static void read_health(struct reader *r, const struct uw_conf_node *root) {
    const struct uw_conf_node *group = uw_conf_get_group(r->conf, root, "health", false);
    struct uw_engine_health_config *h = &r->config->health;

    if (!group)
        return;
    uw_conf_get_double(r->conf, group, "silent_s", false, 0.5, 60, &h->silent_s);
    uw_conf_get_double(r->conf, group, "degraded_s", false, 1, 3600, &h->degraded_s);
    uw_conf_get_double(r->conf, group, "clear_s", false, 0, 3600, &h->clear_s);
    uw_conf_get_double(r->conf, group, "blind_s", false, 0, 86400, &h->blind_s);
    uw_conf_get_double(r->conf, group, "clock_step_s", false, 0.01, 3600, &h->clock_step_s);
    uw_conf_get_double(r->conf, group, "disk_free_bytes", false, 0, 1e15, &h->disk_free_bytes);
    uw_conf_end(r->conf, group);
}

static void read_root(struct reader *r, bool need_receivers) {
    static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
    const struct uw_conf_node *root = uw_conf_root(r->conf);
    struct uw_engine_config *c = r->config;

    read_name(r, root, "site", false, c->site);
    read_name(r, root, "node", false, c->node);
    read_region(r, root, c->region);
    uw_conf_get_bool(r->conf, root, "exercise", false, &c->exercise);
    uw_conf_get_bool(r->conf, root, "below_noise", false, &c->below_noise);
    uw_conf_get_enum(r->conf, root, "log_level", false, levels, &c->log_level);
    uw_conf_get_double(r->conf, root, "lag_s", false, 0.1, 60, &c->lag_s);
    read_path(r, root, "state_directory", false, c->state_dir);
    read_signatures(r, root);
    read_receivers(r, root, need_receivers);
    read_bus(r, root);
    read_feed(r, root);
    read_alerts(r, root);
    read_health(r, root);
    uw_conf_end(r->conf, root);
}

static void find_directory(const char *path, char directory[UW_PATH_LEN]) {
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) + 1 : 0;

    if (len >= UW_PATH_LEN)
        len = 0;
    memcpy(directory, path, len);
    directory[len] = 0;
}

/* With `remarks` everything is looked at that a start would find. */
static int load(const char *path, bool need_receivers, struct uw_diag *remarks,
                struct uw_diag *diag, struct uw_engine_config *config) {
    UW_CLEANUP(uw_conf_freep) struct uw_conf *conf = NULL;
    struct uw_engine_config read = *config;
    struct reader reader = {.config = &read};
    int r;

    r = uw_conf_load_all(path, diag, &conf);
    if (r)
        return r;
    reader.conf = conf;
    find_directory(path, reader.directory);
    read_root(&reader, need_receivers);
    if (remarks) {
        uw_find_signatures(path, read.signature_dir, sizeof(read.signature_dir));
        uw_engine_check_file(conf, &read, diag, remarks);
    }
    /* mistakes in signature files are not the configuration's */
    if (uw_conf_failed(conf) || (remarks && diag->n > 0))
        return UW_E_INPUT;
    *config = read;
    return 0;
}

int uw_engine_config_load(const char *path, bool need_receivers, struct uw_diag *diag,
                          struct uw_engine_config *config) {
    return load(path, need_receivers, NULL, diag, config);
}

int uw_engine_config_check(const char *path, struct uw_diag *diag, struct uw_diag *remarks) {
    struct uw_engine_config *config = malloc(sizeof(*config));
    int r;

    if (!config)
        return uw_err(-ENOMEM);
    uw_engine_config_init(config);
    r = load(path, true, remarks, diag, config);
    free(config);
    return r;
}
