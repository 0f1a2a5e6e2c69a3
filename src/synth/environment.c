/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What is on the air where no drone is
 *
 * One row a kind of device and band: its air interface as the systems' documents and decoders have
 * it, and how many are in earshot of a field, a suburb and a city. docs/scenarios.md quotes the
 * table with the source of every figure; numbers of devices and levels are chosen.
 */

#include "synth-impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/util.h"

enum band { B433, B868, B915, BAND_N };
enum place { RURAL, SUBURBAN, URBAN, PLACE_N };

static const char *const names[PLACE_N * BAND_N] = {"rural-433",    "rural-868",    "rural-915",
                                                    "suburban-433", "suburban-868", "suburban-915",
                                                    "urban-433",    "urban-868",    "urban-915"};

struct row {
    enum band band;
    const char *name;
    enum uw_synth_link link;
    int nodes[PLACE_N]; /* 0: not there */
    double snr_db, spread_db, spread_ppm;
    double interval_s;
    bool poisson;
    double first_hz, step_hz; /* 0: from variant or domain */
    int n_channels;
    const char *text; /* variant or domain */
    enum uw_synth_hop hop;
    double burst_s, length_spread;
    double baud, deviation_hz, bt;
    int repeats;
    double repeat_s, slot_s;
    bool polled;
    int sf, symbols;
    double bandwidth_hz;
    double downlinks, wide_share, duty;
    double depth;
    int frame_bits, keyed_bits;
};

#define NODES(rural, suburban, urban) .nodes = {rural, suburban, urban}
#define ONE(hz)                       .first_hz = (hz), .n_channels = 1
#define RASTER(first, step, n)        .first_hz = (first), .step_hz = (step), .n_channels = (n)
/* An RFID reader: 5 ms of 80 kBd frames, of which a quarter is command, the rest bare carrier. */
#define READER                                                                                     \
    .link = UW_SYNTH_OOK, .baud = 80e3, .depth = 0.9, .frame_bits = 400, .keyed_bits = 100

static const struct row rows[] = {
    /* 433 MHz */
    {B433, "remotes", UW_SYNTH_OOK, NODES(5, 60, 300), 14, 8, 150, 3600, true, ONE(433.92e6),
     .baud = 3e3, .burst_s = 40e-3, .repeats = 5, .repeat_s = 52e-3},
    {B433, "weather", UW_SYNTH_OOK, NODES(3, 25, 60), 10, 8, 60, 48, false, ONE(433.92e6),
     .baud = 2e3, .burst_s = 60e-3, .repeats = 3, .repeat_s = 90e-3},
    {B433, "tyres", UW_SYNTH_FSK, NODES(2, 60, 300), 8, 8, 40, 60, true, ONE(433.92e6),
     .baud = 20e3, .deviation_hz = 35e3, .burst_s = 8e-3, .repeats = 2, .repeat_s = 60e-3},
    {B433, "alarm", UW_SYNTH_FSK, NODES(2, 20, 80), 12, 8, 20, 300, false, ONE(433.42e6),
     .baud = 9.6e3, .deviation_hz = 20e3, .burst_s = 25e-3, .repeats = 2, .repeat_s = 45e-3},
    {B433, "meters", UW_SYNTH_FSK, NODES(4, 60, 200), 8, 8, 20, 60, true, ONE(433.82e6),
     .baud = 32768, .deviation_hz = 40e3, .burst_s = 12e-3, .length_spread = 0.4},
    {B433, "lorawan", UW_SYNTH_LORAWAN, NODES(4, 15, 40), 8, 8, 15, 600, true, .text = "EU433",
     .downlinks = 0.1},
    {B433, "mesh", UW_SYNTH_MESHTASTIC, NODES(2, 5, 12), 10, 8, 10, 180, true, ONE(433.875e6),
     .text = "LONG_FAST", .length_spread = 0.5},
    {B433, "polled", UW_SYNTH_LORA, NODES(2, 3, 6), 12, 6, 10, 15, false, ONE(433.175e6), .sf = 9,
     .bandwidth_hz = 125e3, .symbols = 33, .repeats = 2, .repeat_s = 0.35, .polled = true},
    {B433, "slotted", UW_SYNTH_LORA, NODES(0, 4, 12), 12, 6, 10, 8, true, RASTER(433.3e6, 0.6e6, 3),
     .hop = UW_SYNTH_HOP_ROUND, .sf = 8, .bandwidth_hz = 500e3, .symbols = 38, .slot_s = 0.1,
     .length_spread = 0.4},
    {B433, "trunked", UW_SYNTH_LEAKAGE, NODES(0, 1, 1), 4, ONE(426e6), .bandwidth_hz = 8e6,
     .slot_s = 14.167e-3, .duty = 0.3},
    {B433, "birdie-a", UW_SYNTH_CW, NODES(1, 1, 1), 12, ONE(433.617e6)},
    {B433, "birdie-b", UW_SYNTH_CW, NODES(0, 1, 1), 18, ONE(434.304e6)},
    {B433, "sparks", UW_SYNTH_IMPULSES, NODES(1, 4, 20), 12, 6, 0, 1, true, .burst_s = 2e-6},

    /* 868 MHz */
    {B868, "lorawan", UW_SYNTH_LORAWAN, NODES(20, 150, 500), 8, 8, 15, 600, true, .text = "EU868",
     .downlinks = 0.1},
    {B868, "lorawan-dr6", UW_SYNTH_LORA, NODES(1, 10, 30), 8, 8, 15, 300, true,
     RASTER(867.1e6, 0.2e6, 5), .hop = UW_SYNTH_HOP_RANDOM, .sf = 7, .bandwidth_hz = 250e3,
     .symbols = 48, .length_spread = 0.4},
    {B868, "meters-t", UW_SYNTH_WMBUS, NODES(6, 150, 800), 8, 8, 20, 120, true, .text = "T",
     .length_spread = 0.4},
    {B868, "meters-c", UW_SYNTH_WMBUS, NODES(3, 80, 400), 8, 8, 20, 60, true, .text = "C",
     .length_spread = 0.4},
    {B868, "meters-s", UW_SYNTH_WMBUS, NODES(3, 40, 150), 8, 8, 20, 600, true, .text = "S",
     .length_spread = 0.3},
    {B868, "z-wave", UW_SYNTH_FSK, NODES(2, 15, 60), 10, 8, 20, 30, false, ONE(868.42e6),
     .baud = 40e3, .deviation_hz = 20e3, .bt = 0.6, .burst_s = 6e-3, .repeats = 2, .repeat_s = 9e-3,
     .polled = true, .length_spread = 0.3},
    {B868, "alarm", UW_SYNTH_FSK, NODES(2, 30, 120), 12, 8, 20, 240, false,
     RASTER(868.65e6, 0.3e6, 3), .baud = 38.4e3, .deviation_hz = 20e3, .burst_s = 12e-3,
     .repeats = 3, .repeat_s = 30e-3},
    {B868, "weather", UW_SYNTH_FSK, NODES(2, 10, 30), 10, 8, 40, 29, false, ONE(868.3e6),
     .baud = 17.24e3, .deviation_hz = 45e3, .burst_s = 6e-3},
    {B868, "mesh", UW_SYNTH_MESHTASTIC, NODES(3, 8, 25), 10, 8, 10, 180, true, ONE(869.525e6),
     .text = "LONG_FAST", .length_spread = 0.5},
    {B868, "mesh-fast", UW_SYNTH_MESHTASTIC, NODES(0, 3, 8), 10, 8, 10, 60, true, ONE(866.1e6),
     .text = "SHORT_FAST", .length_spread = 0.5},
    {B868, "polled", UW_SYNTH_LORA, NODES(1, 3, 6), 12, 6, 10, 12, false, ONE(865.8e6), .sf = 7,
     .bandwidth_hz = 125e3, .symbols = 38, .repeats = 2, .repeat_s = 0.12, .polled = true},
    {B868, "slotted", UW_SYNTH_LORA, NODES(0, 4, 12), 12, 6, 10, 8, true, RASTER(865.2e6, 0.7e6, 3),
     .hop = UW_SYNTH_HOP_ROUND, .sf = 8, .bandwidth_hz = 500e3, .symbols = 38, .slot_s = 0.1,
     .length_spread = 0.4},
    {B868, "readers", READER, NODES(0, 1, 2), 20, 6, 5, 4, false, RASTER(865.7e6, 0.6e6, 4),
     .hop = UW_SYNTH_HOP_RANDOM, .burst_s = 3.6},
    {B868, "microphone", UW_SYNTH_FSK, NODES(0, 1, 1), 15, 0, 20, 61, false, ONE(864.5e6),
     .baud = 8e3, .deviation_hz = 30e3, .bt = 0.5, .burst_s = 60},
    {B868, "phones", UW_SYNTH_LEAKAGE, NODES(1, 1, 1), 6, ONE(861.5e6), .bandwidth_hz = 6e6,
     .slot_s = 1e-3, .duty = 0.25},
    {B868, "gsm", UW_SYNTH_LEAKAGE, NODES(0, 1, 1), 5, ONE(876e6), .bandwidth_hz = 8e6,
     .slot_s = 0.577e-3, .duty = 0.125},
    {B868, "birdie-a", UW_SYNTH_CW, NODES(1, 1, 1), 12, ONE(866.731e6)},
    {B868, "birdie-b", UW_SYNTH_CW, NODES(0, 1, 1), 20, ONE(868.004e6)},
    {B868, "sparks", UW_SYNTH_IMPULSES, NODES(1, 4, 20), 12, 6, 0, 1, true, .burst_s = 2e-6},

    /* 915 MHz */
    {B915, "lorawan", UW_SYNTH_LORAWAN, NODES(20, 150, 500), 8, 8, 15, 300, true, .text = "US915",
     .downlinks = 0.1, .wide_share = 0.05},
    {B915, "meter-mesh", UW_SYNTH_FSK, NODES(20, 150, 600), 8, 8, 10, 10, true,
     RASTER(902.4e6, 0.4e6, 64), .hop = UW_SYNTH_HOP_RANDOM, .baud = 50e3, .deviation_hz = 25e3,
     .burst_s = 15e-3, .length_spread = 0.8},
    {B915, "meters", UW_SYNTH_OOK, NODES(10, 200, 800), 8, 8, 30, 30, true,
     RASTER(909.6e6, 0.2e6, 56), .hop = UW_SYNTH_HOP_RANDOM, .baud = 32768, .burst_s = 5.9e-3},
    {B915, "neighbours", UW_SYNTH_FSK, NODES(0, 40, 120), 8, 8, 10, 20, true,
     RASTER(902.2e6, 0.2e6, 128), .hop = UW_SYNTH_HOP_RANDOM, .baud = 50e3, .deviation_hz = 25e3,
     .bt = 0.5, .burst_s = 20e-3, .length_spread = 0.6},
    {B915, "weather", UW_SYNTH_FSK, NODES(1, 3, 4), 12, 8, 10, 2.5625, false,
     RASTER(902.4e6, 0.5e6, 51), .hop = UW_SYNTH_HOP_ROUND, .baud = 19.2e3, .deviation_hz = 9.6e3,
     .bt = 0.5, .burst_s = 6.7e-3},
    {B915, "z-wave", UW_SYNTH_FSK, NODES(2, 15, 60), 10, 8, 20, 30, false,
     RASTER(908.4e6, 7.6e6, 2), .baud = 100e3, .deviation_hz = 29e3, .bt = 0.6, .burst_s = 5e-3,
     .repeats = 2, .repeat_s = 7e-3, .polled = true, .length_spread = 0.3},
    {B915, "alarm", UW_SYNTH_FSK, NODES(1, 20, 80), 12, 8, 20, 240, false,
     RASTER(912.75e6, 1.5e6, 4), .baud = 38.4e3, .deviation_hz = 20e3, .burst_s = 12e-3,
     .repeats = 3, .repeat_s = 30e-3},
    {B915, "mesh", UW_SYNTH_MESHTASTIC, NODES(3, 10, 30), 10, 8, 10, 180, true, ONE(906.875e6),
     .text = "LONG_FAST", .length_spread = 0.5},
    {B915, "mesh-turbo", UW_SYNTH_MESHTASTIC, NODES(0, 3, 8), 10, 8, 10, 60, true, ONE(914.75e6),
     .text = "SHORT_TURBO", .length_spread = 0.5},
    {B915, "polled", UW_SYNTH_LORA, NODES(2, 3, 6), 12, 6, 10, 12, false, ONE(915.0e6), .sf = 7,
     .bandwidth_hz = 125e3, .symbols = 38, .repeats = 2, .repeat_s = 0.12, .polled = true},
    {B915, "slotted", UW_SYNTH_LORA, NODES(0, 4, 12), 12, 6, 10, 8, true, RASTER(914.3e6, 0.7e6, 3),
     .hop = UW_SYNTH_HOP_ROUND, .sf = 8, .bandwidth_hz = 500e3, .symbols = 38, .slot_s = 0.1,
     .length_spread = 0.4},
    {B915, "readers", READER, NODES(0, 1, 3), 20, 6, 5, 0.4, false, RASTER(902.75e6, 0.5e6, 50),
     .hop = UW_SYNTH_HOP_RANDOM, .burst_s = 0.396},
    {B915, "paging", UW_SYNTH_LEAKAGE, NODES(1, 1, 1), 5, ONE(930e6), .bandwidth_hz = 8e6,
     .slot_s = 0.16, .duty = 0.5},
    {B915, "phones", UW_SYNTH_LEAKAGE, NODES(0, 1, 1), 5, ONE(899e6), .bandwidth_hz = 12e6,
     .slot_s = 1e-3, .duty = 0.25},
    {B915, "birdie-a", UW_SYNTH_CW, NODES(1, 1, 1), 12, ONE(914.688e6)},
    {B915, "birdie-b", UW_SYNTH_CW, NODES(0, 1, 1), 20, ONE(915.84e6)},
    {B915, "sparks", UW_SYNTH_IMPULSES, NODES(1, 4, 20), 12, 6, 0, 1, true, .burst_s = 2e-6},
};

const char *uw_synth_environment_name(int index) {
    return index >= 0 && index < PLACE_N * BAND_N ? names[index] : NULL;
}

static void channels_fill(struct uw_synth_emitter *e, const struct row *row) {
    e->n_channels = row->n_channels;
    for (int i = 0; i < row->n_channels; i++)
        e->channels_hz[i] = row->first_hz + i * row->step_hz;
}

/* Takes what the row says; what it leaves at 0 stays as the link's default. */
static void emitter_fill(struct uw_synth_emitter *e, const struct row *row) {
    uw_synth_emitter_init(e, row->link);
    snprintf(e->name, sizeof(e->name), "env-%s", row->name);
    if (row->text && row->link == UW_SYNTH_LORAWAN)
        uw_str_copy(e->domain, sizeof(e->domain), row->text);
    else if (row->text)
        uw_str_copy(e->variant, sizeof(e->variant), row->text);
    channels_fill(e, row);
    e->spread_db = row->spread_db;
    e->spread_ppm = row->spread_ppm;
    e->poisson = row->poisson;
    e->hop = row->hop;
    e->length_spread = row->length_spread;
    e->polled = row->polled;
    e->frame_bits = row->frame_bits;
    e->keyed_bits = row->keyed_bits;
    e->downlinks = row->downlinks;
    e->wide_share = row->wide_share;
    const struct {
        double value, *to;
    } given[] = {
        {row->interval_s, &e->interval_s},
        {row->burst_s, &e->burst_s},
        {row->baud, &e->baud},
        {row->deviation_hz, &e->deviation_hz},
        {row->bt, &e->bt},
        {row->repeat_s, &e->repeat_s},
        {row->slot_s, &e->slot_s},
        {row->bandwidth_hz, &e->bandwidth_hz},
        {row->duty, &e->duty},
        {row->depth, &e->depth},
    };
    for (size_t i = 0; i < UW_ARRAY_SIZE(given); i++)
        if (given[i].value > 0)
            *given[i].to = given[i].value;
    e->repeats = row->repeats > 0 ? row->repeats : e->repeats;
    e->sf = row->sf > 0 ? row->sf : e->sf;
    e->symbols = row->symbols > 0 ? row->symbols : e->symbols;
}

int uw_scenario_add_environment(struct uw_scenario *s, const char *name, double level_db,
                                double density, struct uw_diag *diag) {
    int which = 0, before = s->n_emitters;
    while (which < PLACE_N * BAND_N && strcmp(names[which], name) != 0)
        which++;
    if (which == PLACE_N * BAND_N)
        return uw_diag_add(diag, "scenario: environment: no \"%s\"", name);
    if (!(density >= 0 && density <= 100) || !(fabs(level_db) <= 100))
        return uw_diag_add(diag, "scenario: environment: level or density out of range");
    for (size_t i = 0; i < UW_ARRAY_SIZE(rows); i++) {
        int nodes = rows[i].nodes[which / BAND_N];
        double wanted = nodes == 0 ? 0 : nodes * density;
        if ((int)rows[i].band != which % BAND_N || !(wanted > 0))
            continue;
        if (s->n_emitters >= UW_SYNTH_MAX_EMITTERS) {
            s->n_emitters = before;
            return uw_diag_add(diag, "scenario: environment: too many emitters");
        }
        struct uw_synth_emitter *e = &s->emitters[s->n_emitters++];
        emitter_fill(e, &rows[i]);
        e->level_db = rows[i].snr_db + level_db;
        e->nodes = (int)fmin(fmax(1, round(wanted)), 10000);
    }
    return 0;
}
