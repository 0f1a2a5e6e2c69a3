/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * ExpressLRS on air
 *
 * Channels lie evenly from start to stop of the domain; the sync channel is number N/2. The hop
 * sequence is built in blocks of N: the sync channel, then every other channel once in random
 * order, and repeats after its length. One packet every period, a hop every few packets. One packet
 * in telemetry_ratio comes from the aircraft, on the channel of its slot. At 2.4 GHz half of all
 * links turn their chirps round.
 */

#include "synth-impl.h"

#include <string.h>

static void hops_fill(struct source *s) {
    int n = s->dom->n_channels, sync = n / 2;
    for (int block = 0; block < s->dom->sequence_len; block += n) {
        uint8_t order[SCHED_CHANNELS];
        int m = 0;
        for (int c = 0; c < n; c++)
            if (c != sync)
                order[m++] = (uint8_t)c;
        for (int i = m - 1; i > 0; i--) {
            int j = (int)rng_below(&s->rng, (unsigned)i + 1);
            uint8_t swap = order[i];
            order[i] = order[j];
            order[j] = swap;
        }
        s->hops[block] = (uint8_t)sync;
        for (int i = 0; i < m && block + 1 + i < s->dom->sequence_len; i++)
            s->hops[block + 1 + i] = order[i];
    }
}

static void wave_fill(struct source *s) {
    const struct elrs_rate *rate = s->rate;
    struct wave *w = &s->wave;
    w->bw_hz = rate->bw_hz;
    w->duration_s = rate->toa_us * 1e-6;
    if (rate->gfsk) {
        w->kind = WAVE_FSK;
        w->baud = rate->baud;
        w->deviation_hz = rate->deviation_hz;
        w->bt = rate->bt;
        return;
    }
    w->kind = WAVE_LORA;
    w->sf = rate->sf;
    w->preamble = rate->preamble;
    w->sync = 0x12;
    w->down = s->inverted;
    wave_lora_fit(w, w->duration_s);
}

void source_elrs_init(struct source *s) {
    const struct uw_synth_emitter *e = s->e;
    s->dom = elrs_domain_find(e->domain);
    s->rate = elrs_rate_find(e->variant, s->dom->is_24);
    hops_fill(s);
    double start = rng_uniform(&s->rng), fraction = rng_uniform(&s->rng);
    bool flip = rng_next(&s->rng) >> 63;
    s->inverted = e->invert < 0 ? s->dom->is_24 && flip : e->invert != 0;
    double hop = e->phase >= 0 ? e->phase : start * s->dom->sequence_len;
    s->first_packet = (uint64_t)(hop * s->rate->pkts_per_hop);
    if (e->phase >= 0)
        fraction = 0;
    s->t0_s = e->start_s + fraction * s->rate->period_us * 1e-6;
    s->telemetry_ratio = e->telemetry_ratio < 0 ? s->rate->telemetry_ratio : e->telemetry_ratio;
    wave_fill(s);
}

static double channel_hz(const struct elrs_domain *dom, int channel) {
    return dom->start_hz + channel * (dom->stop_hz - dom->start_hz) / (dom->n_channels - 1);
}

void source_elrs_next(struct source *s) {
    const struct uw_synth_emitter *e = s->e;
    struct burst *b = &s->next;
    double clock = 1 + e->ppm * 1e-6;
    uint64_t packet = s->first_packet + s->count;
    double t = s->t0_s + (double)s->count * s->rate->period_us * 1e-6 / clock;
    if (t >= e->stop_s) {
        s->ended = true;
        return;
    }
    memset(b, 0, sizeof(*b));
    uint64_t hop = packet / (uint64_t)s->rate->pkts_per_hop;
    b->channel = s->hops[hop % (uint64_t)s->dom->sequence_len];
    if (s->second)
        b->channel = (b->channel + s->dom->n_channels / 2) % s->dom->n_channels;
    int ratio = s->telemetry_ratio;
    bool telemetry = ratio > 0 && packet % (uint64_t)ratio == (uint64_t)ratio - 1;
    source_stamp(s, b, channel_hz(s->dom, b->channel), telemetry ? e->telemetry_ppm : e->ppm);
    b->t_s = t;
    b->end = telemetry ? UW_SYNTH_AIRCRAFT : UW_SYNTH_HANDSET;
    b->gain_db = telemetry ? e->telemetry_db : 0;
    b->seed = rng_hash(s->seed, packet / (uint64_t)s->rate->same_pkts, 3);
    b->variant = s->rate->name;
    b->wave = s->wave;
    if (e->gemini)
        s->second = !s->second;
    if (!s->second)
        s->count++;
}
