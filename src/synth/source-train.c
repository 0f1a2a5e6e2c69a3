/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Everything that repeats one waveform: at a fixed period or at random, on one channel or several.
 * A continuous signal is one burst from start to stop.
 *
 * Random arrivals of many nodes are one Poisson process, each arrival some node's. Nodes with a
 * period have each its own place in it, one in every stretch of interval/nodes, and send in that
 * order for ever; polled ones are asked at even distances. What an arrival brings beside its first
 * burst (repeats, answers) waits in the source's pending bursts.
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
        w->depth = e->depth;
        w->frame_bits = e->frame_bits;
        w->keyed_bits = e->keyed_bits;
        break;
    case UW_SYNTH_LEAKAGE:
        *w = (struct wave){.kind = WAVE_LEAK, .bw_hz = e->bandwidth_hz, .duration_s = span};
        w->slot_s = e->slot_s;
        w->duty = e->duty;
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
    return s->e->link == UW_SYNTH_CW || s->e->link == UW_SYNTH_LTE ||
           s->e->link == UW_SYNTH_LEAKAGE;
}

/* Time of the next arrival, before slots. */
static void train_advance(struct source *s) {
    const struct uw_synth_emitter *e = s->e;
    double nodes = e->nodes > 0 ? e->nodes : 1, clock = 1 + e->ppm * 1e-6;
    if (e->poisson) {
        s->t_s += rng_exponential(&s->rng) * s->interval_s / clock;
        return;
    }
    uint64_t node = s->arrivals % (uint64_t)nodes, round = s->arrivals / (uint64_t)nodes;
    struct rng place;
    rng_init(&place, rng_hash(s->seed, e->polled ? 0 : node, 13)); /* a master asks evenly */
    double phase = ((double)node + rng_uniform(&place)) / nodes;
    s->t_s = e->start_s + ((double)round / clock + phase) * e->interval_s;
}

void source_train_init(struct source *s) {
    const struct uw_synth_emitter *e = s->e;
    wave_of_emitter(&s->wave, e);
    s->n_channels = e->n_channels > 0 ? e->n_channels : 1;
    s->interval_s = e->interval_s / (e->nodes > 0 ? e->nodes : 1);
    s->channel =
        e->hop == UW_SYNTH_HOP_RANDOM ? (int)rng_below(&s->rng, (unsigned)s->n_channels) : 0;
    s->left_on_channel = e->packets_per_hop;
    s->t_s = e->start_s;
    if (!is_continuous(s))
        train_advance(s);
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

static double slotted(const struct source *s) {
    const struct uw_synth_emitter *e = s->e;
    if (!(e->slot_s > 0) || is_continuous(s))
        return s->t_s;
    double slot = e->slot_s / (1 + e->ppm * 1e-6);
    return e->start_s + ceil((s->t_s - e->start_s) / slot) * slot;
}

static void length_vary(struct burst *b, double spread, uint64_t seed) {
    struct rng rng;
    struct wave *w = &b->wave;
    if (!(spread > 0))
        return;
    rng_init(&rng, rng_hash(seed, 0, 12));
    double part = 1 + spread * (2 * rng_uniform(&rng) - 1);
    if (w->kind == WAVE_LORA) {
        w->payload = (int)fmax(1, round(w->payload * part));
        w->duration_s = wave_lora_duration(w);
    } else {
        w->duration_s *= part;
    }
}

/* Burst number k of an arrival at t_s. */
static void train_burst(const struct source *s, double t_s, unsigned who, int k, struct burst *b) {
    const struct uw_synth_emitter *e = s->e;
    struct rng node;
    rng_init(&node, rng_hash(s->seed, e->polled && k == 0 ? UINT32_MAX : who, 7));
    memset(b, 0, sizeof(*b));
    b->channel = s->channel;
    b->gain_db = e->spread_db * rng_normal(&node);
    source_stamp(s, b, train_hz(s), e->ppm + e->spread_ppm * (2 * rng_uniform(&node) - 1));
    b->t_s = t_s + k * e->repeat_s / b->clock;
    /* repeated telegrams are equal, questions and answers are not */
    b->seed = rng_hash(s->seed, s->count, 8) + (e->polled ? (uint64_t)k : 0);
    b->end = e->link == UW_SYNTH_DRONEID ? UW_SYNTH_AIRCRAFT : UW_SYNTH_OTHER;
    b->variant = e->variant;
    b->wave = s->wave;
    length_vary(b, e->length_spread, b->seed);
}

static void train_arrival(struct source *s, struct burst *ret) {
    const struct uw_synth_emitter *e = s->e;
    double t_s = slotted(s);
    unsigned who = 0;
    if (e->nodes > 1)
        who = e->poisson ? rng_below(&s->rng, (unsigned)e->nodes)
                         : (unsigned)(s->arrivals % (uint64_t)e->nodes);
    train_burst(s, t_s, who, 0, ret);
    for (int k = 1; k < e->repeats && s->n_pending < SCHED_PENDING; k++)
        train_burst(s, t_s, who, k, &s->pending[s->n_pending++]);
    s->arrivals++;
    s->count++;
    train_advance(s);
    train_hop(s);
}

void source_train_next(struct source *s) {
    const struct burst *waiting = source_pending(s);
    double arrival = slotted(s);
    bool over = arrival >= s->e->stop_s || (is_continuous(s) && s->count > 0);
    if (waiting && (over || waiting->t_s <= arrival)) {
        source_pending_take(s, &s->next);
        s->ended = s->next.t_s >= s->e->stop_s;
    } else if (over) {
        s->ended = true;
    } else {
        train_arrival(s, &s->next);
    }
}
