/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Scenario files: the top level and the receivers. Emitters are read in scenario-emitter.c. */

#include "scenario-impl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/time.h"
#include "uw/base/util.h"

#define FREQ_MIN 1e6
#define FREQ_MAX 20e9

int uw_scenario_new(struct uw_scenario **ret_scenario) {
    struct uw_scenario *scenario = calloc(1, sizeof(*scenario));
    if (!scenario)
        return uw_err(-ENOMEM);
    scenario->duration_s = 10;
    scenario->seed = 1;
    scenario->start_ns = UW_TIME_NONE;
    *ret_scenario = scenario;
    return 0;
}

struct uw_scenario *uw_scenario_free(struct uw_scenario *scenario) {
    free(scenario);
    return NULL;
}

void uw_scenario_freep(struct uw_scenario **scenario) {
    *scenario = uw_scenario_free(*scenario);
}

void uw_synth_receiver_init(struct uw_synth_receiver *receiver) {
    *receiver = (struct uw_synth_receiver){
        .rate_hz = 2.4e6, .format = UW_IQ_CU8, .noise_dbfs = -30, .passband = 0.84};
    receiver->image_if_hz = 3.57e6;
    receiver->if_edge_db = -6;
    receiver->ip3_dbfs = 200;
    receiver->lost_length = 16384;
    uw_str_copy(receiver->name, sizeof(receiver->name), "rx");
}

void uw_synth_receiver_set_tuner(struct uw_synth_receiver *r, enum uw_synth_tuner tuner) {
    switch (tuner) {
    case UW_SYNTH_R820T:
        r->passband = 0.96;
        r->image_db = -45;
        r->clock_dbfs = -52;
        r->if_flat_hz = 1e6;
        r->if_edge_db = -6;
        r->ip3_dbfs = 10;
        break;
    case UW_SYNTH_ZERO_IF:
        r->iq_gain_db = 0.15;
        r->iq_phase_deg = 0.8;
        r->dc_i = 0.01;
        r->dc_q = -0.006;
        r->ip3_dbfs = 10;
        break;
    default:
        break;
    }
}

void scenario_name(struct reader *in, const struct uw_conf_node *node,
                   char name[UW_SYNTH_NAME_LEN]) {
    const char *text;
    if (!uw_conf_get_string(in->conf, node, "name", false, UW_SYNTH_NAME_LEN - 1, &text))
        return;
    if (!uw_str_is_name(text))
        uw_conf_mistake(in->conf, node, "name: only letters, digits, '-' and '_'");
    else
        uw_str_copy(name, UW_SYNTH_NAME_LEN, text);
}

static void read_format(struct reader *in, const struct uw_conf_node *node,
                        enum uw_iq_format *format) {
    static const char *const words[] = {"cu8", "ci8", "ci16", "cf32", NULL};
    static const enum uw_iq_format formats[] = {UW_IQ_CU8, UW_IQ_CI8, UW_IQ_CI16, UW_IQ_CF32};
    int i = 0;
    if (uw_conf_get_enum(in->conf, node, "format", false, words, &i))
        *format = formats[i];
}

static void read_gains(struct reader *in, const struct uw_conf_node *node,
                       struct uw_synth_receiver *r) {
    const struct uw_conf_node *list =
        uw_conf_get_list(in->conf, node, "gain_steps", false, 0, UW_SYNTH_MAX_EVENTS);
    for (size_t i = 0; list && i < uw_conf_list_len(list); i++) {
        const struct uw_conf_node *g = uw_conf_list_group(in->conf, list, i);
        if (!g)
            continue;
        struct uw_synth_gain_step *step = &r->gains[r->n_gains++];
        uw_conf_get_double(in->conf, g, "at_s", true, 0, SCENARIO_MAX_S, &step->at_s);
        uw_conf_get_double(in->conf, g, "gain_db", true, -100, 100, &step->gain_db);
        uw_conf_end(in->conf, g);
        if (i > 0 && step->at_s <= step[-1].at_s)
            uw_conf_mistake(in->conf, g, "at_s: not after the step before");
    }
}

static void read_losses(struct reader *in, const struct uw_conf_node *node,
                        struct uw_synth_receiver *r) {
    const struct uw_conf_node *list =
        uw_conf_get_list(in->conf, node, "lost", false, 0, UW_SYNTH_MAX_EVENTS);
    for (size_t i = 0; list && i < uw_conf_list_len(list); i++) {
        const struct uw_conf_node *g = uw_conf_list_group(in->conf, list, i);
        if (!g)
            continue;
        struct uw_synth_loss *loss = &r->losses[r->n_losses++];
        int64_t samples = 0;
        uw_conf_get_double(in->conf, g, "at_s", true, 0, SCENARIO_MAX_S, &loss->at_s);
        uw_conf_get_int(in->conf, g, "samples", true, 1, INT64_C(1000000000), &samples);
        loss->samples = (uint64_t)samples;
        uw_conf_end(in->conf, g);
        if (i > 0 && loss->at_s < loss[-1].at_s + (double)loss[-1].samples / r->rate_hz)
            uw_conf_mistake(in->conf, g, "at_s: not after the loss before");
    }
}

static void read_birdies(struct reader *in, const struct uw_conf_node *node,
                         struct uw_synth_receiver *r) {
    const struct uw_conf_node *list =
        uw_conf_get_list(in->conf, node, "birdies", false, 0, UW_SYNTH_MAX_EVENTS);
    for (size_t i = 0; list && i < uw_conf_list_len(list); i++) {
        const struct uw_conf_node *g = uw_conf_list_group(in->conf, list, i);
        if (!g)
            continue;
        struct uw_synth_birdie *birdie = &r->birdies[r->n_birdies++];
        uw_conf_get_double(in->conf, g, "freq_hz", true, FREQ_MIN, FREQ_MAX, &birdie->freq_hz);
        uw_conf_get_double(in->conf, g, "dbfs", true, -200, 20, &birdie->dbfs);
        uw_conf_end(in->conf, g);
        if (fabs(birdie->freq_hz - r->freq_hz) > 0.5 * r->rate_hz)
            uw_conf_mistake(in->conf, g, "freq_hz: outside the receiver's band");
    }
}

/* Levels name emitters, so they are read after them. */
static void read_levels(struct reader *in, const struct uw_conf_node *node,
                        struct uw_synth_receiver *r) {
    const struct uw_conf_node *list =
        uw_conf_get_list(in->conf, node, "levels", false, 0, UW_SYNTH_MAX_EMITTERS);
    for (size_t i = 0; list && i < uw_conf_list_len(list); i++) {
        const struct uw_conf_node *g = uw_conf_list_group(in->conf, list, i);
        const char *name = "";
        double db = 0;
        if (!g)
            continue;
        uw_conf_get_string(in->conf, g, "emitter", true, UW_SYNTH_NAME_LEN - 1, &name);
        uw_conf_get_double(in->conf, g, "level_db", true, -200, 200, &db);
        uw_conf_end(in->conf, g);
        int k = 0;
        while (k < in->scenario->n_emitters && strcmp(in->scenario->emitters[k].name, name) != 0)
            k++;
        if (k < in->scenario->n_emitters)
            r->levels_db[k] = db;
        else
            uw_conf_mistake(in->conf, g, "emitter: no emitter has this name");
    }
}

static void read_tuner(struct reader *in, const struct uw_conf_node *node,
                       struct uw_synth_receiver *r) {
    static const char *const words[] = {"ideal", "r820t", "zero-if", NULL};
    struct uw_conf *c = in->conf;
    int tuner = 0;
    if (uw_conf_get_enum(c, node, "tuner", false, words, &tuner))
        uw_synth_receiver_set_tuner(r, (enum uw_synth_tuner)tuner);
    uw_conf_get_double(c, node, "dc_i", false, -1, 1, &r->dc_i);
    uw_conf_get_double(c, node, "dc_q", false, -1, 1, &r->dc_q);
    uw_conf_get_double(c, node, "iq_gain_db", false, -20, 20, &r->iq_gain_db);
    uw_conf_get_double(c, node, "iq_phase_deg", false, -45, 45, &r->iq_phase_deg);
    uw_conf_get_double(c, node, "passband", false, 0.1, 0.999, &r->passband);
    uw_conf_get_double(c, node, "image_db", false, -150, 0, &r->image_db);
    uw_conf_get_double(c, node, "image_if_hz", false, -1e9, 1e9, &r->image_if_hz);
    uw_conf_get_double(c, node, "clock_dbfs", false, -150, 0, &r->clock_dbfs);
    uw_conf_get_double(c, node, "if_flat_hz", false, 0, SCENARIO_RATE_MAX, &r->if_flat_hz);
    uw_conf_get_double(c, node, "if_edge_db", false, -60, 0, &r->if_edge_db);
    uw_conf_get_double(c, node, "ip3_dbfs", false, -60, 200, &r->ip3_dbfs);
}

static void read_receiver(struct reader *in, const struct uw_conf_node *node) {
    struct uw_scenario *s = in->scenario;
    struct uw_synth_receiver *r = &s->receivers[s->n_receivers++];
    struct uw_conf *c = in->conf;
    uw_synth_receiver_init(r);
    if (s->n_receivers > 1)
        snprintf(r->name, sizeof(r->name), "rx%d", s->n_receivers);
    scenario_name(in, node, r->name);
    uw_conf_get_double(c, node, "rate_hz", true, SCENARIO_RATE_MIN, SCENARIO_RATE_MAX, &r->rate_hz);
    uw_conf_get_double(c, node, "freq_hz", true, FREQ_MIN, FREQ_MAX, &r->freq_hz);
    read_format(in, node, &r->format);
    uw_conf_get_double(c, node, "noise_dbfs", false, -200, 20, &r->noise_dbfs);
    uw_conf_get_double(c, node, "ppm", false, -1000, 1000, &r->ppm);
    read_tuner(in, node, r);
    uw_conf_get_double(c, node, "lost_share", false, 0, 0.5, &r->lost_share);
    if (r->lost_share > 0 && r->lost_share < SCENARIO_SHARE_MIN)
        uw_conf_mistake(c, node, "lost_share: neither 0 nor at least 1e-9");
    uw_conf_get_int(c, node, "lost_length", false, 1, INT64_C(1000000000), &r->lost_length);
    uw_conf_get_double(c, node, "level_db", false, -200, 200, &r->level_db);
    read_gains(in, node, r);
    read_losses(in, node, r);
    read_birdies(in, node, r);
    read_levels(in, node, r);
    uw_conf_end(c, node);
    for (int i = 0; i < s->n_receivers - 1; i++)
        if (strcmp(s->receivers[i].name, r->name) == 0)
            uw_conf_mistake(c, node, "name: used by another receiver");
}

static void read_top(struct reader *in, const struct uw_conf_node *root) {
    struct uw_scenario *s = in->scenario;
    const char *text;
    int64_t seed = 1;
    if (uw_conf_get_string(in->conf, root, "description", false, sizeof(s->description) - 1, &text))
        uw_str_copy(s->description, sizeof(s->description), text);
    uw_conf_get_double(in->conf, root, "duration_s", false, 1e-6, SCENARIO_MAX_S, &s->duration_s);
    uw_conf_get_int(in->conf, root, "seed", false, 0, INT64_MAX, &seed);
    s->seed = (uint64_t)seed;
    if (uw_conf_get_string(in->conf, root, "start", false, 40, &text))
        if (uw_time_parse(text, &s->start_ns) != 0)
            uw_conf_mistake(in->conf, root, "start: not an RFC 3339 time");
}

static void read_environment(struct reader *in, const struct uw_conf_node *root) {
    double level = 0, density = 1;
    const char *name;
    bool more =
        uw_conf_get_double(in->conf, root, "environment_level_db", false, -100, 100, &level);
    more |= uw_conf_get_double(in->conf, root, "environment_density", false, 0, 100, &density);
    if (!uw_conf_get_string(in->conf, root, "environment", false, 40, &name)) {
        if (more)
            uw_conf_mistake(in->conf, root,
                            "environment: missing, but its level or density is set");
        return;
    }
    int n = in->scenario->n_emitters;
    if (uw_scenario_add_environment(in->scenario, name, level, density, NULL) != 0)
        uw_conf_mistake(in->conf, uw_conf_find(root, "environment"),
                        "environment: unknown, or too many emitters with it");
    for (int i = n; i < in->scenario->n_emitters; i++) {
        const char *fault = emitter_fault(&in->scenario->emitters[i]);
        if (fault)
            uw_conf_mistake(in->conf, root, "environment_density: too high: %s", fault);
    }
}

static void read_all(struct reader *in) {
    const struct uw_conf_node *root = uw_conf_root(in->conf), *list, *node;
    read_top(in, root);
    list = uw_conf_get_list(in->conf, root, "emitters", false, 0, UW_SYNTH_MAX_EMITTERS);
    for (size_t i = 0; list && i < uw_conf_list_len(list); i++)
        if ((node = uw_conf_list_group(in->conf, list, i)))
            scenario_read_emitter(in, node);
    read_environment(in, root);
    list = uw_conf_get_list(in->conf, root, "receivers", true, 1, UW_SYNTH_MAX_RECEIVERS);
    for (size_t i = 0; list && i < uw_conf_list_len(list); i++)
        if ((node = uw_conf_list_group(in->conf, list, i)))
            read_receiver(in, node);
    uw_conf_end(in->conf, root);
}

static int scenario_from(struct uw_conf *conf, struct uw_scenario **ret_scenario) {
    UW_CLEANUP(uw_scenario_freep) struct uw_scenario *scenario = NULL;
    int r = uw_scenario_new(&scenario);
    if (r < 0)
        return r;
    struct reader in = {.conf = conf, .scenario = scenario};
    read_all(&in);
    if (uw_conf_failed(conf))
        return UW_E_INPUT;
    *ret_scenario = scenario;
    scenario = NULL;
    return 0;
}

int uw_scenario_load(const char *path, struct uw_diag *diag, struct uw_scenario **ret_scenario) {
    UW_CLEANUP(uw_conf_freep) struct uw_conf *conf = NULL;
    int r = uw_conf_load(path, diag, &conf);
    return r != 0 ? r : scenario_from(conf, ret_scenario);
}

int uw_scenario_parse(const char *name, const char *text, size_t len, struct uw_diag *diag,
                      struct uw_scenario **ret_scenario) {
    UW_CLEANUP(uw_conf_freep) struct uw_conf *conf = NULL;
    int r = uw_conf_parse(name, text, len, diag, &conf);
    return r != 0 ? r : scenario_from(conf, ret_scenario);
}
