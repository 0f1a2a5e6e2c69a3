/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Everything that repeats one waveform: at a fixed period or at random, on one channel or several.
 * A continuous signal is one burst from start to stop.
 */

#include "synth-impl.h"

#include <math.h>
#include <string.h>

#define DRONEID_RATE_HZ 15.36e6

static void lora_set(struct wave *w, int sf, double bw_hz, int preamble, unsigned sync, bool down,
                     int symbols) {
    w->kind = WAVE_LORA;
    w->sf = sf;
    w->bw_hz = bw_hz;
    w->preamble = preamble;
    w->sync = sync;
    w->down = down;
    w->payload = symbols;
    w->duration_s = wave_lora_duration(w);
}

static void meshtastic_set(struct wave *w, const struct uw_synth_emitter *e) {
    const struct meshtastic_preset *p = meshtastic_preset_find(e->variant);
    double symbol_s = ldexp(1, p->sf) / p->bw_hz;
    /* 40 bytes at 4/5, explicit header and CRC */
    double coded = ceil((8.0 * 40 - 4 * p->sf + 44) / (4.0 * (p->sf - (symbol_s > 16e-3 ? 2 : 0))));
    lora_set(w, p->sf, p->bw_hz, 16, 0x2b, e->invert > 0, 8 + 5 * (int)coded);
}

static void fsk_set(struct wave *w, double baud, double deviation_hz, double bt, double burst_s) {
    w->kind = WAVE_FSK;
    w->baud = baud;
    w->deviation_hz = deviation_hz;
    w->bt = bt;
    w->bw_hz = 2 * deviation_hz + baud;
    w->duration_s = burst_s;
}

static void droneid_set(struct wave *w, bool legacy) {
    w->kind = WAVE_OFDM;
    w->layout = legacy ? OFDM_DRONEID_LEGACY : OFDM_DRONEID;
    w->carriers = 600;
    w->bw_hz = 601 * 15e3;
    w->duration_s =
        (legacy ? 8 * 1024 + 2 * 80 + 6 * 72 : 9 * 1024 + 2 * 80 + 7 * 72) / DRONEID_RATE_HZ;
}

void wave_of_emitter(struct wave *w, const struct uw_synth_emitter *e) {
    double span = e->stop_s - e->start_s;
    switch (e->link) {
    case UW_SYNTH_MESHTASTIC:
        meshtastic_set(w, e);
        break;
    case UW_SYNTH_LORA:
        lora_set(w, e->sf, e->bandwidth_hz, e->preamble, e->sync_word, e->invert > 0, e->symbols);
        break;
    case UW_SYNTH_DRONEID:
        droneid_set(w, strcmp(e->variant, "legacy") == 0);
        break;
    case UW_SYNTH_WMBUS: {
        const struct wmbus_mode *m = wmbus_mode_find(e->variant);
        fsk_set(w, m->baud, m->deviation_hz, 0, m->burst_s);
        break;
    }
    case UW_SYNTH_OOK:
        *w = (struct wave){
            .kind = WAVE_OOK, .baud = e->baud, .bw_hz = 2 * e->baud, .duration_s = e->burst_s};
        break;
    case UW_SYNTH_LTE:
        *w = (struct wave){.kind = WAVE_OFDM, .layout = OFDM_LTE, .duration_s = span};
        w->carriers = 12 * (int)(0.9 * e->bandwidth_hz / 180e3 + 1e-6);
        w->bw_hz = w->carriers * 15e3;
        break;
    case UW_SYNTH_CW:
        *w = (struct wave){.kind = WAVE_CW, .bw_hz = 1e3, .duration_s = span};
        break;
    case UW_SYNTH_IMPULSES:
        *w = (struct wave){
            .kind = WAVE_IMPULSE, .bw_hz = 1 / e->burst_s, .duration_s = 2 * e->burst_s};
        break;
    default:
        fsk_set(w, e->baud, e->deviation_hz, e->bt, e->burst_s);
        break;
    }
}

static bool is_continuous(const struct source *s) {
    return s->e->link == UW_SYNTH_CW || s->e->link == UW_SYNTH_LTE;
}

void source_train_init(struct source *s) {
    const struct uw_synth_emitter *e = s->e;
    wave_of_emitter(&s->wave, e);
    s->n_channels = e->n_channels > 0 ? e->n_channels : 1;
    s->interval_s = e->interval_s / (e->nodes > 0 ? e->nodes : 1);
    s->channel =
        e->hop == UW_SYNTH_HOP_RANDOM ? (int)rng_below(&s->rng, (unsigned)s->n_channels) : 0;
    s->left_on_channel = e->packets_per_hop;
    double wait = e->poisson ? rng_exponential(&s->rng) : rng_uniform(&s->rng);
    s->t_s = e->start_s + (is_continuous(s) ? 0 : wait * s->interval_s);
}

static double train_hz(const struct source *s) {
    if (s->e->n_channels > 0)
        return s->e->channels_hz[s->channel];
    if (s->e->link == UW_SYNTH_WMBUS)
        return wmbus_mode_find(s->e->variant)->freq_hz;
    return NAN; /* impulses are everywhere */
}

static void train_hop(struct source *s) {
    if (--s->left_on_channel > 0)
        return;
    s->left_on_channel = s->e->packets_per_hop;
    if (s->n_channels == 1)
        return;
    int step = 1;
    if (s->e->hop == UW_SYNTH_HOP_RANDOM)
        step = 1 + (int)rng_below(&s->rng, (unsigned)s->n_channels - 1);
    s->channel = (s->channel + step) % s->n_channels;
}

void source_train_next(struct source *s) {
    const struct uw_synth_emitter *e = s->e;
    struct burst *b = &s->next;
    if (s->t_s >= e->stop_s || (is_continuous(s) && s->count > 0)) {
        s->ended = true;
        return;
    }
    struct rng node;
    unsigned who = e->nodes > 1 ? rng_below(&s->rng, (unsigned)e->nodes) : 0;
    rng_init(&node, rng_hash(s->seed, who, 7));
    memset(b, 0, sizeof(*b));
    b->t_s = s->t_s;
    b->channel = s->channel;
    b->gain_db = e->spread_db * rng_normal(&node);
    source_stamp(s, b, train_hz(s), e->ppm + e->spread_ppm * (2 * rng_uniform(&node) - 1));
    b->seed = rng_hash(s->seed, s->count, 8);
    b->end = e->link == UW_SYNTH_DRONEID ? UW_SYNTH_AIRCRAFT : UW_SYNTH_OTHER;
    b->variant = e->variant;
    b->wave = s->wave;
    double wait = e->poisson ? rng_exponential(&s->rng) : 1;
    s->t_s += wait * s->interval_s / (1 + e->ppm * 1e-6);
    s->count++;
    train_hop(s);
}
