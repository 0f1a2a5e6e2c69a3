/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Air interfaces as their firmware has them
 *
 * ExpressLRS: github.com/ExpressLRS/ExpressLRS src/lib/FHSS/FHSS.cpp (domains) and
 * src/src/common.cpp (rates; toa_us is the firmware's own figure). LoRaWAN: Lora-net/LoRaMac-node
 * Region*.h. Meshtastic: meshtastic/firmware MeshRadio.h. wM-Bus: xaelsouth/rtl-wmbus and EN
 * 13757-4 chip rates.
 */

#include "synth-impl.h"

#include <string.h>

#include "uw/base/util.h"

#define LORA9(n, s, pre, same, period, toa, hop, tlm)                                              \
    {                                                                                              \
        .name = n, .sf = s, .preamble = pre, .same_pkts = same, .period_us = period,               \
        .toa_us = toa, .pkts_per_hop = hop, .bw_hz = 500e3, .telemetry_ratio = tlm                 \
    }
#define LORA24(n, s, pre, period, toa, hop, tlm)                                                   \
    {                                                                                              \
        .name = n, .is_24 = true, .sf = s, .preamble = pre, .same_pkts = 1, .period_us = period,   \
        .toa_us = toa, .pkts_per_hop = hop, .bw_hz = 812.5e3, .telemetry_ratio = tlm               \
    }
#define GFSK300(n, band, toa)                                                                      \
    {                                                                                              \
        .name = n, .is_24 = band, .gfsk = true, .same_pkts = 1, .period_us = 1000, .toa_us = toa,  \
        .pkts_per_hop = 2, .baud = 300e3, .deviation_hz = 100e3, .bw_hz = 476e3,                   \
        .telemetry_ratio = 128                                                                     \
    }
/* FLRC: GMSK-like, 650 kb/s, h = 0.5, BT 1. */
#define FLRC(n, same, period)                                                                      \
    {                                                                                              \
        .name = n, .is_24 = true, .gfsk = true, .same_pkts = same, .period_us = period,            \
        .toa_us = 389, .pkts_per_hop = 2, .baud = 650e3, .deviation_hz = 162.5e3, .bt = 1.0,       \
        .bw_hz = 600e3, .telemetry_ratio = 128                                                     \
    }

static const struct elrs_rate elrs_rates[] = {
    LORA9("200Hz", 6, 8, 1, 5000, 4380, 4, 64),
    LORA9("100HzFull", 6, 8, 1, 10000, 6690, 4, 32),
    LORA9("100Hz", 7, 8, 1, 10000, 8770, 4, 32),
    LORA9("50Hz", 8, 10, 1, 20000, 18560, 4, 16),
    LORA9("25Hz", 9, 10, 1, 40000, 29950, 2, 8),
    LORA9("D50", 6, 8, 4, 5000, 4380, 2, 64),
    LORA9("250Hz", 5, 8, 1, 4000, 3216, 4, 64),
    LORA9("200HzFull", 5, 8, 1, 5000, 4240, 4, 64),
    LORA9("X100Full", 6, 18, 1, 10000, 7456, 4, 32),
    LORA9("X150", 6, 12, 1, 6666, 5871, 4, 32),
    GFSK300("K1000Full", false, 658),
    LORA24("500Hz", 5, 12, 2000, 1507, 4, 128),
    LORA24("333HzFull", 5, 12, 3003, 2374, 4, 128),
    LORA24("250Hz", 6, 14, 4000, 3300, 4, 64),
    LORA24("150Hz", 7, 12, 6666, 5871, 4, 32),
    LORA24("100HzFull", 7, 12, 10000, 7605, 4, 32),
    LORA24("50Hz", 8, 12, 20000, 10798, 2, 16),
    FLRC("F1000", 1, 1000),
    FLRC("F500", 1, 2000),
    FLRC("D500", 2, 1000),
    FLRC("D250", 4, 1000),
    GFSK300("K1000", true, 690),
};

static const struct elrs_domain elrs_domains[] = {
    {"FCC915", false, 903.5e6, 926.9e6, 40, 240},
    {"AU915", false, 915.5e6, 926.9e6, 20, 240},
    {"EU868", false, 863.275e6, 869.575e6, 13, 247},
    {"EU868-3.x", false, 865.275e6, 869.575e6, 13, 247},
    {"IN866", false, 865.375e6, 866.950e6, 4, 256},
    {"TH920", false, 920.5e6, 924.7e6, 8, 256},
    {"AU433", false, 433.42e6, 434.42e6, 3, 255},
    {"EU433", false, 433.10e6, 434.45e6, 3, 255},
    {"US433", false, 433.25e6, 438.0e6, 8, 256},
    {"US433W", false, 423.5e6, 438.0e6, 20, 240},
    {"ISM2G4", true, 2400.4e6, 2479.4e6, 80, 240},
};

static const struct lorawan_region lorawan_regions[] = {
    {.name = "EU868", .up_hz = 868.1e6, .up_step_hz = 200e3, .n_up = 3, .sf_max = 12},
    {.name = "EU433", .up_hz = 433.175e6, .up_step_hz = 200e3, .n_up = 3, .sf_max = 12},
    {.name = "IN865", .up_hz = 865.0625e6, .up_step_hz = 340e3, .n_up = 2, .sf_max = 12},
    {.name = "US915",
     .up_hz = 902.3e6,
     .up_step_hz = 200e3,
     .n_up = 64,
     .wide_hz = 903.0e6,
     .wide_step_hz = 1.6e6,
     .n_wide = 8,
     .down_hz = 923.3e6,
     .down_step_hz = 600e3,
     .n_down = 8,
     .sf_max = 10},
    {.name = "AU915",
     .up_hz = 915.2e6,
     .up_step_hz = 200e3,
     .n_up = 64,
     .wide_hz = 915.9e6,
     .wide_step_hz = 1.6e6,
     .n_wide = 8,
     .down_hz = 923.3e6,
     .down_step_hz = 600e3,
     .n_down = 8,
     .sf_max = 12},
};

static const struct meshtastic_preset meshtastic_presets[] = {
    {"SHORT_TURBO", 7, 500e3},  {"MEDIUM_TURBO", 9, 500e3}, {"LONG_TURBO", 11, 500e3},
    {"SHORT_FAST", 7, 250e3},   {"SHORT_SLOW", 8, 250e3},   {"MEDIUM_FAST", 9, 250e3},
    {"MEDIUM_SLOW", 10, 250e3}, {"LONG_FAST", 11, 250e3},   {"LONG_MOD", 11, 125e3},
    {"LONG_SLOW", 12, 125e3},
};

/* Chip rates of EN 13757-4; S is Manchester, which the doubled chip rate stands for. */
static const struct wmbus_mode wmbus_modes[] = {
    {"S", 868.3e6, 32768, 50e3, 12e-3},
    {"T", 868.95e6, 100e3, 50e3, 6.7e-3},
    {"C", 868.95e6, 100e3, 45e3, 6.7e-3},
};

const struct elrs_rate *elrs_rate_find(const char *name, bool is_24) {
    for (size_t i = 0; i < UW_ARRAY_SIZE(elrs_rates); i++)
        if (elrs_rates[i].is_24 == is_24 && strcmp(elrs_rates[i].name, name) == 0)
            return &elrs_rates[i];
    return NULL;
}

#define FIND(table)                                                                                \
    for (size_t i = 0; i < UW_ARRAY_SIZE(table); i++)                                              \
        if (strcmp((table)[i].name, name) == 0)                                                    \
            return &(table)[i];                                                                    \
    return NULL

const struct elrs_domain *elrs_domain_find(const char *name) {
    FIND(elrs_domains);
}

const struct lorawan_region *lorawan_region_find(const char *name) {
    FIND(lorawan_regions);
}

const struct meshtastic_preset *meshtastic_preset_find(const char *name) {
    FIND(meshtastic_presets);
}

const struct wmbus_mode *wmbus_mode_find(const char *name) {
    FIND(wmbus_modes);
}
