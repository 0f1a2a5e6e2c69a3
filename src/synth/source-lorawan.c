/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * LoRaWAN traffic: many nodes, each with its own spreading factor, level and crystal, that send now
 * and then on a random channel; a share of the uplinks is answered one second after its end (RX1)
 * with inverted chirps, in the American plans on a 500 kHz channel.
 */

#include "synth-impl.h"

#include <math.h>
#include <string.h>

#define RX1_S 1.0

struct node {
    int sf;
    double gain_db, ppm;
    bool wide;
};

static struct node node_of(const struct source *s, unsigned index) {
    const struct uw_synth_emitter *e = s->e;
    const struct lorawan_region *region = lorawan_region_find(e->domain);
    struct rng rng;
    rng_init(&rng, rng_hash(s->seed, index, 4));
    int top = e->sf_max < region->sf_max ? e->sf_max : region->sf_max;
    int low = e->sf_min < top ? e->sf_min : top;
    struct node node = {.sf = low + (int)rng_below(&rng, (unsigned)(top - low + 1))};
    node.gain_db = e->spread_db * rng_normal(&rng);
    node.ppm = e->ppm + e->spread_ppm * (2 * rng_uniform(&rng) - 1);
    node.wide = region->n_wide > 0 && rng_uniform(&rng) < e->wide_share;
    return node;
}

static const char *sf_name(int sf, bool wide) {
    static const char *const narrow[] = {"SF5/125", "SF6/125",  "SF7/125",  "SF8/125",
                                         "SF9/125", "SF10/125", "SF11/125", "SF12/125"};
    static const char *const broad[] = {"SF5/500", "SF6/500",  "SF7/500",  "SF8/500",
                                        "SF9/500", "SF10/500", "SF11/500", "SF12/500"};
    return wide ? broad[sf - 5] : narrow[sf - 5];
}

static void wave_set(struct burst *b, int sf, bool wide, bool down, int bytes) {
    struct wave *w = &b->wave;
    w->kind = WAVE_LORA;
    w->bw_hz = wide ? 500e3 : 125e3;
    w->sf = sf;
    w->preamble = 8;
    w->sync = 0x34;
    w->down = down;
    int de = ldexp(1, sf) / w->bw_hz > 16e-3;
    double coded = ceil((8.0 * bytes - 4 * sf + 44) / (4.0 * (sf - 2 * de)));
    w->payload = 8 + (int)(coded > 0 ? coded : 0) * 5;
    w->duration_s = wave_lora_duration(w);
    b->variant = sf_name(sf, wide);
}

static void answer(struct source *s, const struct lorawan_region *region, const struct burst *up) {
    if (s->n_pending == SCHED_PENDING)
        return;
    struct burst *b = &s->pending[s->n_pending++];
    *b = *up;
    bool wide = region->n_down > 0;
    int bytes = 13 + (int)rng_below(&s->rng, 20);
    /* the American plans answer DR4 (SF8/500) with SF7 */
    bool fast = wide && up->wave.bw_hz > 125e3;
    wave_set(b, fast ? 7 : up->wave.sf, wide, true, bytes);
    b->t_s = up->t_s + burst_duration(up) + RX1_S;
    b->seed = rng_hash(s->seed, s->count, 6);
    b->end = UW_SYNTH_OTHER;
    double hz = up->freq_hz / up->clock - s->e->freq_offset_hz;
    if (wide) {
        b->channel = up->channel % region->n_down;
        hz = region->down_hz + b->channel * region->down_step_hz;
    }
    source_stamp(s, b, hz, s->e->ppm); /* the gateway's crystal */
    b->gain_db = 0;
}

static void uplink(struct source *s, struct burst *b) {
    const struct uw_synth_emitter *e = s->e;
    const struct lorawan_region *region = lorawan_region_find(e->domain);
    memset(b, 0, sizeof(*b));
    struct node node = node_of(s, rng_below(&s->rng, (unsigned)e->nodes));
    int bytes = 13 + (int)rng_below(&s->rng, 39);
    wave_set(b, node.wide ? 8 : node.sf, node.wide, false, bytes);
    b->t_s = s->t_s;
    b->gain_db = node.gain_db;
    b->seed = rng_hash(s->seed, s->count, 5);
    b->end = UW_SYNTH_OTHER;
    b->channel = (int)rng_below(&s->rng, (unsigned)(node.wide ? region->n_wide : region->n_up));
    double hz = node.wide ? region->wide_hz + b->channel * region->wide_step_hz
                          : region->up_hz + b->channel * region->up_step_hz;
    source_stamp(s, b, hz, node.ppm);
    if (rng_uniform(&s->rng) < e->downlinks)
        answer(s, region, b);
    double wait = e->poisson ? rng_exponential(&s->rng) : 1;
    s->t_s += wait * s->interval_s;
    s->count++;
}

void source_lorawan_init(struct source *s) {
    s->interval_s = s->e->interval_s / s->e->nodes;
    double wait = s->e->poisson ? rng_exponential(&s->rng) : rng_uniform(&s->rng);
    s->t_s = s->e->start_s + wait * s->interval_s;
}

void source_lorawan_next(struct source *s) {
    const struct burst *waiting = source_pending(s);
    if (waiting && waiting->t_s <= s->t_s)
        source_pending_take(s, &s->next);
    else
        uplink(s, &s->next);
    s->ended = s->next.t_s >= s->e->stop_s;
}
