/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What can be wrong with a configuration beyond its form: everything that a start would find, but
 * all of it at once, each at its line, and without touching a device, a port or a pipe
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine-impl.h"
#include "uw/base/build-info.h"
#include "uw/base/util.h"
#include "uw/conf/conf.h"
#include "uw/engine/plan.h"

#define RUN_LEN      16    /* "r20261123T201500" */
#define GOOD_RATE_HZ 2.4e6 /* to every device */
#define GOOD_FREQ_HZ 915e6

struct check {
    struct uw_conf *conf;
    const struct uw_engine_config *config;
    const struct uw_conf_node *root;
    struct uw_diag *diag, *remarks;
    double rate_hz[UW_RX_MAX], freq_hz[UW_RX_MAX]; /* of the file, or of its recording */
};

/* The key's place, or its group's. */
static const struct uw_conf_node *place(const struct uw_conf_node *group, const char *key) {
    const struct uw_conf_node *node = group ? uw_conf_find(group, key) : NULL;

    return node ? node : group;
}

static void pass_on(struct check *c, const struct uw_conf_node *node, const struct uw_diag *found) {
    for (int i = 0; i < found->n; i++)
        uw_conf_mistake(c->conf, node, "%s", found->text[i]);
}

static void check_enabled(struct check *c, const struct uw_sigdb *db) {
    const struct uw_conf_node *group = uw_conf_find(c->root, "signatures");
    const struct uw_conf_node *list = group ? uw_conf_find(group, "enabled") : NULL;

    for (int i = 0; i < c->config->n_signatures; i++) {
        const struct uw_conf_node *at = list ? uw_conf_list_at(list, (size_t)i) : NULL;
        if (!uw_sigdb_find(db, c->config->signatures[i]))
            uw_conf_mistake(c->conf, at ? at : place(c->root, "signatures"),
                            "there is no signature \"%s\" in %s", c->config->signatures[i],
                            c->config->signature_dir);
    }
}

/* Where a receiver is to listen; the plan is of all. */
static int centres_of(const struct check *c, int i, const struct uw_plan *plan,
                      double centre_hz[UW_PLAN_STOPS_MAX]) {
    const struct uw_engine_receiver *receiver = &c->config->receivers[i];
    int n = 0;

    if (receiver->plan) {
        for (; n < plan->walks[i].n; n++)
            centre_hz[n] = plan->walks[i].stops[n].centre_hz;
        return n;
    }
    for (; n < receiver->n_stops; n++)
        centre_hz[n] = receiver->centre_hz[n];
    if (n == 0)
        centre_hz[n++] = c->freq_hz[i];
    return n;
}

/* Where there is no mistake: rates that are as good as any to the device, but not to us. */
static void check_sweep(struct check *c, struct uw_sigdb *db) {
    UW_CLEANUP(uw_plan_freep) struct uw_plan *plan = NULL;
    const struct uw_conf_node *list = uw_conf_find(c->root, "receivers");
    struct uw_plan_config config;

    if (c->diag->n > 0 || !c->config->below_noise || !list ||
        uw_engine_enable_signatures(c->config, db, NULL) != 0)
        return;
    uw_plan_config_from(c->config, db, &config);
    config.skip_times = true;
    if (uw_plan_new(&config, &plan) != 0)
        return;
    for (int i = 0; i < c->config->n_receivers; i++) {
        const struct uw_conf_node *node = uw_conf_list_at(list, (size_t)i);
        double centre_hz[UW_PLAN_STOPS_MAX];
        int n = centres_of(c, i, plan, centre_hz);
        char text[UW_TEXT_LEN];

        if (node && !isnan(c->rate_hz[i]) &&
            uw_engine_sweep_limit(db, c->rate_hz[i], centre_hz, n, text, sizeof(text)))
            uw_conf_remark(c->conf, place(node, "rate_hz"), c->remarks, "%s", text);
    }
}

/* Mistakes inside the files carry their own names and lines. */
static void check_signatures(struct check *c) {
    UW_CLEANUP(uw_sigdb_freep) struct uw_sigdb *db = NULL;
    const struct uw_conf_node *group = uw_conf_find(c->root, "signatures");
    const char *dir = c->config->signature_dir;
    int before = c->diag->n, r;

    if (access(dir, R_OK | X_OK) < 0) {
        uw_conf_mistake(c->conf, group ? place(group, "directory") : NULL, "%s: %s", dir,
                        strerror(errno));
        return;
    }
    r = uw_sigdb_load(dir, c->diag, &db);

    if (r == 0) {
        check_enabled(c, db);
        if (!uw_plan_knows_region(db, c->config->region))
            uw_conf_mistake(c->conf, place(c->root, "region"), UW_NO_REGION, c->config->region);
        check_sweep(c, db);
    } else if (c->diag->n == before) {
        uw_conf_mistake(c->conf, place(c->root, "signatures"), "%s: %s", dir,
                        strerror(r < 0 ? -r : EIO));
    }
}

/* A recording is opened as a start would; a pipe would be taken from who reads it. */
static void check_source(struct check *c, const struct uw_conf_node *node, int i) {
    const struct uw_engine_receiver *receiver = &c->config->receivers[i];
    struct uw_source_params params = receiver->source;
    struct uw_source *source = NULL;
    struct uw_diag found = {0};
    struct stat st;

    params.path = receiver->path;
    if (params.type == UW_SOURCE_PIPE && strcmp(receiver->path, "-") != 0 &&
        (stat(receiver->path, &st) < 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
        uw_diag_add(&found, "%s: is no pipe", receiver->path);
    if ((params.type == UW_SOURCE_FILE || params.type == UW_SOURCE_LOOP) && receiver->path[0] &&
        uw_source_open(&params, &found, &source) == 0) {
        c->rate_hz[i] = uw_source_info(source)->rate_hz;
        c->freq_hz[i] = uw_source_info(source)->freq_hz;
        uw_source_close(source);
    }
    pass_on(c, place(node, "path"), &found);
}

/* Devices know limits of their own: of their names, and of each place where they are to listen.
 * What the reading of the file has found missing or out of range already is not told again. */
static void check_device(struct check *c, const struct uw_conf_node *node,
                         const struct uw_engine_receiver *receiver) {
    const struct uw_conf_node *list = uw_conf_find(node, "centres_hz");
    struct uw_source_params params = receiver->source;
    struct uw_diag found = {0};

    if (!receiver->device[0] && !uw_conf_find(node, "device") && params.type != UW_SOURCE_RTLSDR)
        return;
    params.device = receiver->device;
    if (isnan(params.rate_hz) || uw_source_rate_fault(params.type, params.rate_hz))
        params.rate_hz = GOOD_RATE_HZ;
    params.freq_hz = GOOD_FREQ_HZ;
    if (uw_source_check(&params, &found)) {
        pass_on(c, place(node, "device"), &found);
        return;
    }
    for (int i = 0; i < receiver->n_stops; i++) {
        params.freq_hz = receiver->centre_hz[i];
        found.n = found.n_dropped = 0;
        if (uw_source_check(&params, &found))
            pass_on(c, list ? uw_conf_list_at(list, (size_t)i) : node, &found);
    }
    params.freq_hz = receiver->source.freq_hz;
    found.n = found.n_dropped = 0;
    if (receiver->n_stops == 0 && !isnan(params.freq_hz) && uw_source_check(&params, &found))
        pass_on(c, place(node, "freq_hz"), &found);
}

static bool is_live(const struct uw_engine_receiver *receiver) {
    return receiver->source.type != UW_SOURCE_FILE;
}

static void check_receiver(struct check *c, const struct uw_conf_node *node, int i) {
    const struct uw_engine_receiver *receiver = &c->config->receivers[i];

    c->rate_hz[i] = receiver->source.rate_hz;
    c->freq_hz[i] = receiver->source.freq_hz;
    if (strlen(receiver->name) + RUN_LEN > UW_RX_NAMES_LEN)
        uw_conf_mistake(c->conf, place(node, "name"),
                        "\"%s\": longer than %d characters, which identifiers leave for it",
                        receiver->name, UW_RX_NAMES_LEN - RUN_LEN);
    if (is_live(receiver) != is_live(&c->config->receivers[0]))
        uw_conf_mistake(c->conf, place(node, "type"),
                        "recordings and live receivers cannot be in one configuration; \"loop\" "
                        "plays a recording as if it were live");
    if (receiver->source.type == UW_SOURCE_FILE || receiver->source.type == UW_SOURCE_LOOP ||
        receiver->source.type == UW_SOURCE_PIPE)
        check_source(c, node, i);
    else
        check_device(c, node, receiver);
}

static void check_receivers(struct check *c) {
    const struct uw_conf_node *list = uw_conf_find(c->root, "receivers");

    for (int i = 0; list && i < c->config->n_receivers; i++) {
        const struct uw_conf_node *node = uw_conf_list_at(list, (size_t)i);
        if (node)
            check_receiver(c, node, i);
    }
}

static void check_endpoint(struct check *c, const char *key, const char *endpoint) {
    const struct uw_conf_node *group = uw_conf_find(c->root, key);
    struct uw_diag found = {0};

    if (uw_bus_check_endpoint(key, endpoint, &found))
        pass_on(c, place(group ? group : c->root, "endpoint"), &found);
}

static void check_state(struct check *c) {
    const char *dir = c->config->state_dir;

    if (dir[0] && access(dir, W_OK | X_OK) < 0)
        uw_conf_mistake(c->conf, place(c->root, "state_directory"), "%s: %s", dir, strerror(errno));
}

void uw_engine_check_file(struct uw_conf *conf, const struct uw_engine_config *config,
                          struct uw_diag *diag, struct uw_diag *remarks) {
    struct check c = {
        .conf = conf,
        .config = config,
        .root = uw_conf_root(conf),
        .diag = diag,
        .remarks = remarks,
    };

    for (int i = 0; i < UW_RX_MAX; i++)
        c.rate_hz[i] = c.freq_hz[i] = NAN;
    check_state(&c);
    check_receivers(&c);
    check_endpoint(&c, "bus", config->bus_endpoint);
    if (config->feed)
        check_endpoint(&c, "feed", config->feed_endpoint);
    check_signatures(&c);
}
