/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a scenario must keep to, whether it was read from a file or filled in by a program. */

#include "scenario-impl.h"

#include <string.h>

#include "uw/base/err.h"

/* Bounds memory and time: bursts of one emitter at once, and in a second. */
#define MAX_OVERLAP 200
#define MAX_RATE_HZ 100e3
#define SLOT_MIN_S  1e-5
/* The longest LoRaWAN packet that is made */
#define LORAWAN_LONGEST_S 3.0

static bool in_range(double x, double min, double max) {
    return x >= min && x <= max; /* false for NaN */
}

static const char *elrs_fault(const struct uw_synth_emitter *e) {
    const struct elrs_domain *dom = elrs_domain_find(e->domain);
    if (!dom)
        return "domain: unknown ExpressLRS domain";
    if (!elrs_rate_find(e->variant, dom->is_24))
        return "variant: no such ExpressLRS rate in this domain";
    return NULL;
}

static const char *load_fault(const struct uw_synth_emitter *e) {
    double rate = e->nodes / e->interval_s, longest = LORAWAN_LONGEST_S;
    if (e->link == UW_SYNTH_CW || e->link == UW_SYNTH_LTE || e->link == UW_SYNTH_LEAKAGE)
        return NULL;
    if (e->link != UW_SYNTH_LORAWAN)
        rate *= e->repeats;
    if (rate > MAX_RATE_HZ)
        return "interval_s: more than 100000 bursts a second";
    if (e->link != UW_SYNTH_LORAWAN) {
        struct wave wave = {0};
        wave_of_emitter(&wave, e);
        longest = wave.duration_s * (1 + e->length_spread);
    }
    return rate * longest > MAX_OVERLAP ? "interval_s: more than 200 bursts at once" : NULL;
}

static const char *train_fault(const struct uw_synth_emitter *e) {
    switch (e->link) {
    case UW_SYNTH_LORAWAN:
        return lorawan_region_find(e->domain) ? NULL : "domain: unknown LoRaWAN region";
    case UW_SYNTH_MESHTASTIC:
        if (!meshtastic_preset_find(e->variant))
            return "variant: unknown Meshtastic preset";
        break;
    case UW_SYNTH_DRONEID:
        if (strcmp(e->variant, "o2") != 0 && strcmp(e->variant, "legacy") != 0)
            return "variant: \"o2\" or \"legacy\" is needed";
        break;
    case UW_SYNTH_WMBUS:
        return wmbus_mode_find(e->variant) ? NULL : "variant: \"S\", \"T\" or \"C\" is needed";
    case UW_SYNTH_IMPULSES:
        return NULL;
    default:
        break;
    }
    return e->n_channels > 0 ? NULL : "freq_hz: missing";
}

const char *emitter_fault(const struct uw_synth_emitter *e) {
    if (e->link == UW_SYNTH_EXPRESSLRS)
        return elrs_fault(e);
    if (e->slot_s > 0 && e->slot_s < SLOT_MIN_S)
        return "slot_s: shorter than 10 us";
    const char *fault = train_fault(e);
    return fault ? fault : load_fault(e);
}

/* What the reader's ranges have made sure of already. */
static const char *range_fault(const struct uw_synth_emitter *e) {
    if ((unsigned)e->link >= UW_SYNTH_LINK_N)
        return "link: unknown";
    if (!in_range(e->interval_s, 1e-5, SCENARIO_MAX_S) || e->nodes < 1)
        return "interval_s, nodes: out of range";
    if (!in_range(e->sf_min, 7, 12) || !in_range(e->sf_max, 7, 12) || !in_range(e->sf, 5, 12))
        return "sf: out of range";
    if (!in_range(e->bandwidth_hz, 5e3, 100e6) || e->preamble < 2 || e->symbols < 1)
        return "bandwidth_hz, preamble, symbols: out of range";
    if ((e->link == UW_SYNTH_FSK || e->link == UW_SYNTH_OOK) &&
        (!in_range(e->baud, 10, 10e6) || !in_range(e->burst_s, 1e-6, 100)))
        return "baud, burst_s: out of range";
    if (e->link == UW_SYNTH_IMPULSES && !in_range(e->burst_s, 1e-8, 1e-2))
        return "burst_s: out of range";
    if (!in_range(e->start_s, 0, SCENARIO_MAX_S) || !(e->stop_s > e->start_s))
        return "start_s, stop_s: out of range";
    if (!in_range(e->ppm, -200, 200) || e->n_channels < 0 || e->n_channels > UW_SYNTH_MAX_CHANNELS)
        return "ppm, channels: out of range";
    if (!in_range(e->level_db, -250, 150) || e->packets_per_hop < 1)
        return "level_db, packets_per_hop: out of range";
    if (!in_range(e->repeats, 1, UW_SYNTH_MAX_REPEATS) || !in_range(e->repeat_s, 1e-5, 1e3) ||
        !in_range(e->slot_s, 0, 1e4) || !in_range(e->length_spread, 0, 0.9))
        return "repeats, repeat_s, slot_s, length_spread: out of range";
    if (!in_range(e->depth, 0, 1) || !in_range(e->duty, 0, 1) ||
        !in_range(e->frame_bits, 0, 1000000) || !in_range(e->keyed_bits, 0, 1000000))
        return "depth, duty, frame_bits, keyed_bits: out of range";
    return NULL;
}

static const char *receiver_fault(const struct uw_synth_receiver *r) {
    if (!in_range(r->rate_hz, SCENARIO_RATE_MIN, SCENARIO_RATE_MAX) ||
        !in_range(r->freq_hz, 0, 1e12))
        return "rate_hz, freq_hz: out of range";
    if (!in_range(r->passband, 0.1, 0.999) || !in_range(r->noise_dbfs, -200, 20))
        return "passband, noise_dbfs: out of range";
    if (!in_range(r->ppm, -1000, 1000) || (unsigned)r->format >= UW_IQ_FORMAT_N)
        return "ppm, format: out of range";
    if (!in_range(r->if_flat_hz, 0, SCENARIO_RATE_MAX) || !in_range(r->if_edge_db, -60, 0))
        return "if_flat_hz, if_edge_db: out of range";
    if (!in_range(r->image_db, -150, 0) || !in_range(r->image_if_hz, -1e9, 1e9))
        return "image_db, image_if_hz: out of range";
    if (!in_range(r->clock_dbfs, -150, 0) || !in_range(r->ip3_dbfs, -60, 200))
        return "clock_dbfs, ip3_dbfs: out of range";
    if ((r->lost_share != 0 && !in_range(r->lost_share, SCENARIO_SHARE_MIN, 0.5)) ||
        r->lost_length < 1 || r->lost_length > 1000000000)
        return "lost_share, lost_length: out of range";
    return NULL;
}

int scenario_check(const struct uw_scenario *s, int receiver, struct uw_diag *diag) {
    if (receiver < 0 || receiver >= s->n_receivers || s->n_receivers > UW_SYNTH_MAX_RECEIVERS)
        return uw_diag_add(diag, "scenario: no receiver %d", receiver);
    if (!in_range(s->duration_s, 0, SCENARIO_MAX_S))
        return uw_diag_add(diag, "scenario: duration_s: out of range");
    const char *fault = receiver_fault(&s->receivers[receiver]);
    if (fault)
        return uw_diag_add(diag, "scenario: receiver %s: %s", s->receivers[receiver].name, fault);
    if (s->n_emitters < 0 || s->n_emitters > UW_SYNTH_MAX_EMITTERS)
        return uw_diag_add(diag, "scenario: emitters: out of range");
    for (int i = 0; i < s->n_emitters; i++) {
        fault = range_fault(&s->emitters[i]);
        if (!fault)
            fault = emitter_fault(&s->emitters[i]);
        if (fault)
            return uw_diag_add(diag, "scenario: emitter %s: %s", s->emitters[i].name, fault);
    }
    return 0;
}
