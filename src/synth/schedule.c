/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Who sends when: the bursts of all emitters in time order
 *
 * Each emitter is a source that knows its next burst; the schedule takes the earliest. Nothing here
 * knows a receiver, so all receivers of a scenario hear the same.
 */

#include "synth-impl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/err.h"

void source_stamp(const struct source *s, struct burst *b, double freq_hz, double ppm) {
    b->emitter = s->index;
    b->clock = 1 + ppm * 1e-6;
    b->freq_hz = (freq_hz + s->e->freq_offset_hz) * b->clock;
}

double wave_lora_duration(const struct wave *w) {
    return (w->preamble + LORA_EXTRA + w->payload) * ldexp(1, w->sf) / w->bw_hz;
}

void wave_lora_fit(struct wave *w, double duration_s) {
    double symbols = duration_s * w->bw_hz / ldexp(1, w->sf);
    w->payload = (int)lround(symbols - w->preamble - LORA_EXTRA);
    if (w->payload < 1)
        w->payload = 1;
    w->duration_s = wave_lora_duration(w);
}

static int pending_first(const struct source *s) {
    int first = -1;
    for (int i = 0; i < s->n_pending; i++)
        if (first < 0 || s->pending[i].t_s < s->pending[first].t_s)
            first = i;
    return first;
}

const struct burst *source_pending(const struct source *s) {
    int first = pending_first(s);
    return first < 0 ? NULL : &s->pending[first];
}

void source_pending_take(struct source *s, struct burst *ret) {
    int first = pending_first(s);
    *ret = s->pending[first];
    s->pending[first] = s->pending[--s->n_pending];
}

static void source_next(struct source *s) {
    switch (s->e->link) {
    case UW_SYNTH_EXPRESSLRS:
        source_elrs_next(s);
        break;
    case UW_SYNTH_LORAWAN:
        source_lorawan_next(s);
        break;
    default:
        source_train_next(s);
        break;
    }
}

static void source_init(struct source *s, const struct uw_scenario *scenario, int index) {
    s->e = &scenario->emitters[index];
    s->index = index;
    s->seed = s->e->hop_seed ? rng_hash(s->e->hop_seed, 0, 1)
                             : rng_hash(scenario->seed, (uint64_t)index, 2);
    rng_init(&s->rng, s->seed);
    switch (s->e->link) {
    case UW_SYNTH_EXPRESSLRS:
        source_elrs_init(s);
        break;
    case UW_SYNTH_LORAWAN:
        source_lorawan_init(s);
        break;
    default:
        source_train_init(s);
        break;
    }
    source_next(s);
}

int schedule_new(const struct uw_scenario *scenario, struct schedule **ret) {
    size_t n = (size_t)scenario->n_emitters;
    struct schedule *schedule = calloc(1, sizeof(*schedule) + n * sizeof(schedule->sources[0]));
    if (!schedule)
        return uw_err(-ENOMEM);
    schedule->scenario = scenario;
    schedule->n = scenario->n_emitters;
    for (int i = 0; i < schedule->n; i++)
        source_init(&schedule->sources[i], scenario, i);
    *ret = schedule;
    return 0;
}

double schedule_peek(const struct schedule *schedule, int *ret_source) {
    double best = INFINITY;
    for (int i = 0; i < schedule->n; i++) {
        const struct source *s = &schedule->sources[i];
        if (s->ended || s->next.t_s >= best)
            continue;
        best = s->next.t_s;
        *ret_source = i;
    }
    return best < schedule->scenario->duration_s ? best : INFINITY;
}

void schedule_pop(struct schedule *schedule, int source, struct burst *ret) {
    struct source *s = &schedule->sources[source];
    *ret = s->next;
    source_next(s);
}
