/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Emitters: defaults and keys. */

#include "scenario-impl.h"

#include <string.h>

#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/util.h"

#define FREQ_MIN       1e6
#define FREQ_MAX       20e9
#define INTERVAL_MIN_S 1e-5

static const char *const link_names[UW_SYNTH_LINK_N + 1] = {
    "expresslrs", "lorawan", "meshtastic", "lora",     "dji-droneid", "fsk", "ook",
    "wmbus",      "cw",      "lte",        "impulses", "leakage",     NULL};

const char *uw_synth_link_name(enum uw_synth_link link) {
    return link_names[link];
}

static const struct uw_synth_emitter defaults[UW_SYNTH_LINK_N] = {
    [UW_SYNTH_EXPRESSLRS] = {.variant = "200Hz", .domain = "FCC915", .interval_s = 1},
    [UW_SYNTH_LORAWAN] = {.domain = "EU868",
                          .interval_s = 60,
                          .poisson = true,
                          .nodes = 20,
                          .spread_db = 6,
                          .spread_ppm = 10,
                          .downlinks = 0.2,
                          .wide_share = 0.1},
    [UW_SYNTH_MESHTASTIC] = {.variant = "LONG_FAST",
                             .interval_s = 60,
                             .poisson = true,
                             .nodes = 5,
                             .spread_db = 6,
                             .spread_ppm = 10},
    [UW_SYNTH_LORA] = {.interval_s = 1},
    [UW_SYNTH_DRONEID] = {.variant = "o2", .interval_s = 0.64, .packets_per_hop = 13},
    [UW_SYNTH_FSK] = {.interval_s = 1, .baud = 50e3, .deviation_hz = 25e3, .burst_s = 5e-3},
    [UW_SYNTH_OOK] = {.interval_s = 10, .poisson = true, .baud = 2e3, .burst_s = 50e-3},
    [UW_SYNTH_WMBUS] = {.variant = "T",
                        .interval_s = 60,
                        .poisson = true,
                        .nodes = 20,
                        .spread_db = 6,
                        .spread_ppm = 20},
    [UW_SYNTH_CW] = {.interval_s = 1},
    [UW_SYNTH_LTE] = {.interval_s = 1, .bandwidth_hz = 10e6},
    [UW_SYNTH_IMPULSES] = {.interval_s = 0.1, .poisson = true, .burst_s = 1e-6},
    [UW_SYNTH_LEAKAGE] = {.interval_s = 1, .bandwidth_hz = 1e6, .slot_s = 1e-3, .duty = 0.3},
};

void uw_synth_emitter_init(struct uw_synth_emitter *e, enum uw_synth_link link) {
    *e = defaults[link];
    e->link = link;
    uw_str_copy(e->name, sizeof(e->name), link_names[link]);
    e->stop_s = SCENARIO_MAX_S;
    e->phase = -1;
    e->telemetry_ratio = -1;
    e->invert = -1;
    e->sf_min = 7;
    e->sf_max = 12;
    e->sf = 7;
    e->preamble = 8;
    e->symbols = 30;
    e->sync_word = 0x12;
    if (!(e->bandwidth_hz > 0))
        e->bandwidth_hz = 125e3;
    e->repeats = 1;
    e->repeat_s = 0.1;
    e->depth = 1;
    if (e->packets_per_hop == 0)
        e->packets_per_hop = 1;
    if (e->nodes == 0)
        e->nodes = 1;
    e->fading =
        (struct uw_synth_fading){.doppler_hz = 5, .k_db = 6, .coherence_hz = 1e6, .shadow_s = 5};
}

static void read_word(struct reader *in, const struct uw_conf_node *node, const char *key,
                      char word[UW_SYNTH_WORD_LEN]) {
    const char *text;
    if (uw_conf_get_string(in->conf, node, key, false, UW_SYNTH_WORD_LEN - 1, &text))
        uw_str_copy(word, UW_SYNTH_WORD_LEN, text);
}

static void read_int(struct reader *in, const struct uw_conf_node *node, const char *key, int min,
                     int max, int *value) {
    int64_t wide = *value;
    if (uw_conf_get_int(in->conf, node, key, false, min, max, &wide))
        *value = (int)wide;
}

static void read_double(struct reader *in, const struct uw_conf_node *node, const char *key,
                        double min, double max, double *value) {
    uw_conf_get_double(in->conf, node, key, false, min, max, value);
}

static void read_level(struct reader *in, const struct uw_conf_node *node,
                       struct uw_synth_emitter *e) {
    double snr = 0, power = 0;
    bool has_snr = uw_conf_get_double(in->conf, node, "snr_db", false, -100, 150, &snr);
    bool has_power = uw_conf_get_double(in->conf, node, "power_dbfs", false, -250, 50, &power);
    if (has_snr == has_power)
        uw_conf_mistake(in->conf, node, "snr_db: exactly one of snr_db and power_dbfs is needed");
    e->level_is_dbfs = has_power;
    e->level_db = has_power ? power : snr;
}

static void read_fading(struct reader *in, const struct uw_conf_node *node,
                        struct uw_synth_fading *f) {
    static const char *const words[] = {"none", "rayleigh", "rician", NULL};
    const struct uw_conf_node *g = uw_conf_get_group(in->conf, node, "fading", false);
    int kind = 0;
    if (!g)
        return;
    if (uw_conf_get_enum(in->conf, g, "kind", false, words, &kind))
        f->kind = (enum uw_synth_fading_kind)kind;
    read_double(in, g, "doppler_hz", 0, 10e3, &f->doppler_hz);
    read_double(in, g, "k_db", -40, 60, &f->k_db);
    read_double(in, g, "coherence_hz", 1e3, 1e9, &f->coherence_hz);
    read_double(in, g, "shadow_db", 0, 40, &f->shadow_db);
    read_double(in, g, "shadow_s", 1e-3, 1e6, &f->shadow_s);
    uw_conf_end(in->conf, g);
}

static void read_raster(struct reader *in, const struct uw_conf_node *node,
                        struct uw_synth_emitter *e) {
    double first = 0, step = 0;
    int64_t n = 0;
    if (!uw_conf_get_double(in->conf, node, "first_hz", true, FREQ_MIN, FREQ_MAX, &first) ||
        !uw_conf_get_double(in->conf, node, "step_hz", true, 1, 1e9, &step) ||
        !uw_conf_get_int(in->conf, node, "n", true, 1, UW_SYNTH_MAX_CHANNELS, &n))
        return;
    uw_conf_end(in->conf, node);
    e->n_channels = (int)n;
    for (int i = 0; i < e->n_channels; i++)
        e->channels_hz[i] = first + i * step;
}

static void read_channels(struct reader *in, const struct uw_conf_node *node,
                          struct uw_synth_emitter *e) {
    double freq = 0;
    bool has_one = uw_conf_get_double(in->conf, node, "freq_hz", false, FREQ_MIN, FREQ_MAX, &freq);
    const struct uw_conf_node *list =
        uw_conf_get_list(in->conf, node, "channels_hz", false, 1, UW_SYNTH_MAX_CHANNELS);
    if (has_one && list)
        uw_conf_mistake(in->conf, node, "freq_hz: only one of freq_hz and channels_hz");
    if (has_one) {
        e->channels_hz[0] = freq;
        e->n_channels = 1;
    }
    for (size_t i = 0; list && i < uw_conf_list_len(list); i++)
        if (uw_conf_list_double(in->conf, list, i, FREQ_MIN, FREQ_MAX, &freq))
            e->channels_hz[e->n_channels++] = freq;
    const struct uw_conf_node *raster = uw_conf_get_group(in->conf, node, "raster", false);
    if (raster && e->n_channels > 0)
        uw_conf_mistake(in->conf, raster, "raster: only one of freq_hz, channels_hz and raster");
    else if (raster)
        read_raster(in, raster, e);
}

static void read_elrs(struct reader *in, const struct uw_conf_node *node,
                      struct uw_synth_emitter *e) {
    read_word(in, node, "variant", e->variant);
    read_word(in, node, "domain", e->domain);
    read_double(in, node, "phase", 0, 255, &e->phase);
    read_int(in, node, "telemetry_ratio", 0, 1024, &e->telemetry_ratio);
    read_double(in, node, "telemetry_db", -100, 100, &e->telemetry_db);
    read_double(in, node, "telemetry_ppm", -200, 200, &e->telemetry_ppm);
    uw_conf_get_bool(in->conf, node, "gemini", false, &e->gemini);
    read_int(in, node, "invert", 0, 1, &e->invert);
}

static void read_nodes(struct reader *in, const struct uw_conf_node *node,
                       struct uw_synth_emitter *e) {
    read_int(in, node, "nodes", 1, 10000, &e->nodes);
    read_double(in, node, "spread_db", 0, 40, &e->spread_db);
    read_double(in, node, "spread_ppm", 0, 200, &e->spread_ppm);
    read_double(in, node, "interval_s", INTERVAL_MIN_S, SCENARIO_MAX_S, &e->interval_s);
    uw_conf_get_bool(in->conf, node, "poisson", false, &e->poisson);
}

/* What trains have beside: slots, repeats, questions and answers. */
static void read_train(struct reader *in, const struct uw_conf_node *node,
                       struct uw_synth_emitter *e) {
    read_nodes(in, node, e);
    read_double(in, node, "slot_s", 0, 1e4, &e->slot_s);
    read_int(in, node, "repeats", 1, UW_SYNTH_MAX_REPEATS, &e->repeats);
    read_double(in, node, "repeat_s", INTERVAL_MIN_S, 1e3, &e->repeat_s);
    uw_conf_get_bool(in->conf, node, "polled", false, &e->polled);
    if (e->link != UW_SYNTH_DRONEID && e->link != UW_SYNTH_IMPULSES)
        read_double(in, node, "length_spread", 0, 0.9, &e->length_spread);
}

static void read_hopping(struct reader *in, const struct uw_conf_node *node,
                         struct uw_synth_emitter *e) {
    static const char *const words[] = {"round", "random", NULL};
    int hop = 0;
    read_channels(in, node, e);
    read_int(in, node, "packets_per_hop", 1, 100000, &e->packets_per_hop);
    if (uw_conf_get_enum(in->conf, node, "hop", false, words, &hop))
        e->hop = (enum uw_synth_hop)hop;
}

static void read_lorawan(struct reader *in, const struct uw_conf_node *node,
                         struct uw_synth_emitter *e) {
    read_word(in, node, "domain", e->domain);
    read_nodes(in, node, e);
    read_double(in, node, "downlinks", 0, 1, &e->downlinks);
    read_double(in, node, "wide_share", 0, 1, &e->wide_share);
    read_int(in, node, "sf_min", 7, 12, &e->sf_min);
    read_int(in, node, "sf_max", 7, 12, &e->sf_max);
}

static void read_lora(struct reader *in, const struct uw_conf_node *node,
                      struct uw_synth_emitter *e) {
    int sync = (int)e->sync_word;
    read_hopping(in, node, e);
    read_train(in, node, e);
    read_int(in, node, "sf", 5, 12, &e->sf);
    read_double(in, node, "bandwidth_hz", 5e3, 2e6, &e->bandwidth_hz);
    read_int(in, node, "preamble", 2, 1000, &e->preamble);
    read_int(in, node, "symbols", 1, 5000, &e->symbols);
    read_int(in, node, "sync_word", 0, 255, &sync);
    read_int(in, node, "invert", 0, 1, &e->invert);
    e->sync_word = (unsigned)sync;
}

static void read_keyed(struct reader *in, const struct uw_conf_node *node,
                       struct uw_synth_emitter *e) {
    read_hopping(in, node, e);
    read_train(in, node, e);
    read_double(in, node, "baud", 10, 10e6, &e->baud);
    read_double(in, node, "burst_s", 1e-6, 100, &e->burst_s);
    if (e->link == UW_SYNTH_FSK) {
        read_double(in, node, "deviation_hz", 1, 10e6, &e->deviation_hz);
        read_double(in, node, "bt", 0, 10, &e->bt);
    } else {
        read_double(in, node, "depth", 0, 1, &e->depth);
        read_int(in, node, "frame_bits", 0, 1000000, &e->frame_bits);
        read_int(in, node, "keyed_bits", 0, 1000000, &e->keyed_bits);
    }
}

static void read_link(struct reader *in, const struct uw_conf_node *node,
                      struct uw_synth_emitter *e) {
    switch (e->link) {
    case UW_SYNTH_EXPRESSLRS:
        read_elrs(in, node, e);
        break;
    case UW_SYNTH_LORAWAN:
        read_lorawan(in, node, e);
        break;
    case UW_SYNTH_LORA:
        read_lora(in, node, e);
        break;
    case UW_SYNTH_FSK:
    case UW_SYNTH_OOK:
        read_keyed(in, node, e);
        break;
    case UW_SYNTH_CW:
        read_channels(in, node, e);
        break;
    case UW_SYNTH_LTE:
        read_channels(in, node, e);
        read_double(in, node, "bandwidth_hz", 1.4e6, 20e6, &e->bandwidth_hz);
        break;
    case UW_SYNTH_LEAKAGE:
        read_channels(in, node, e);
        read_double(in, node, "bandwidth_hz", 10e3, 100e6, &e->bandwidth_hz);
        read_double(in, node, "slot_s", 0, 10, &e->slot_s);
        read_double(in, node, "duty", 0, 1, &e->duty);
        break;
    case UW_SYNTH_IMPULSES:
        read_train(in, node, e);
        read_double(in, node, "burst_s", 1e-8, 1e-2, &e->burst_s);
        break;
    default:
        read_word(in, node, "variant", e->variant);
        read_hopping(in, node, e);
        read_train(in, node, e);
        break;
    }
}

void scenario_read_emitter(struct reader *in, const struct uw_conf_node *node) {
    struct uw_scenario *s = in->scenario;
    struct uw_conf *c = in->conf;
    int link = 0;
    int64_t hop_seed = 0;
    if (!uw_conf_get_enum(c, node, "link", true, link_names, &link))
        return;
    struct uw_synth_emitter *e = &s->emitters[s->n_emitters++];
    uw_synth_emitter_init(e, (enum uw_synth_link)link);
    if (s->n_emitters > 1)
        snprintf(e->name, sizeof(e->name), "%s-%d", link_names[link], s->n_emitters);
    scenario_name(in, node, e->name);
    read_level(in, node, e);
    read_double(in, node, "start_s", 0, SCENARIO_MAX_S, &e->start_s);
    read_double(in, node, "stop_s", 0, SCENARIO_MAX_S, &e->stop_s);
    uw_conf_get_int(c, node, "hop_seed", false, 0, INT64_MAX, &hop_seed);
    e->hop_seed = (uint64_t)hop_seed;
    read_double(in, node, "ppm", -200, 200, &e->ppm);
    read_double(in, node, "freq_offset_hz", -1e9, 1e9, &e->freq_offset_hz);
    read_double(in, node, "ramp_db_per_s", -100, 100, &e->ramp_db_per_s);
    e->telemetry_ppm = e->ppm;
    read_fading(in, node, &e->fading);
    read_link(in, node, e);
    uw_conf_end(c, node);
    const char *fault = emitter_fault(e);
    if (fault)
        uw_conf_mistake(c, node, "%s", fault);
    if (e->stop_s <= e->start_s)
        uw_conf_mistake(c, node, "stop_s: not after start_s");
    for (int i = 0; i < s->n_emitters - 1; i++)
        if (strcmp(s->emitters[i].name, e->name) == 0)
            uw_conf_mistake(c, node, "name: used by another emitter");
}
