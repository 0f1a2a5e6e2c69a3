/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_TESTS_UNIT_SIG_LINKS_ROOM_H
#define UW_TESTS_UNIT_SIG_LINKS_ROOM_H

/*
 * A tracker of links alone in a room: packets as a script says, and what is heard of them
 *
 * Threads: one. Include it in one test program only: it has the signatures' database.
 */

#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "links-impl.h"
#include "signal.h"
#include "uw/base/err.h"

#define RATE       2.4e6
#define ALERT_LLR  14.8 /* a false alert a month at one decision a second */
#define HEARD_MAX  1024
#define TIME_SIGMA 2e-6

struct heard {
    uint64_t emitter;
    const struct uw_signature *signature;
    double llr;
    double alert_s; /* NAN: none */
    bool ever_alertable;
    const char *variant, *domain; /* latest */
    const char *alert_variant;
};

struct room {
    struct uw_detector_config config;
    struct uw_matcher_env env;
    struct uw_links *links;
    int n_heard, n_findings, n_orphans;
    struct heard heard[HEARD_MAX];
};

static struct uw_sigdb *db;

static inline int load(void **state) {
    static struct uw_diag diag;

    (void)state;
    return uw_sigdb_load(UW_SIGNATURES, &diag, &db);
}

static inline int unload(void **state) {
    (void)state;
    db = uw_sigdb_free(db);
    return 0;
}

static inline void on_emit(void *userdata, struct uw_finding *f) {
    struct room *room = userdata;
    struct heard *h = room->heard;

    while (h < room->heard + room->n_heard && h->emitter != f->emitter)
        ++h;
    assert_true(h < room->heard + HEARD_MAX);
    if (h == room->heard + room->n_heard) {
        *h = (struct heard){.emitter = f->emitter, .signature = f->signature, .alert_s = NAN};
        ++room->n_heard;
    }
    assert_true(h->signature == f->signature && f->stop >= f->start);
    assert_true(isfinite(f->llr) && f->confidence >= 0.0 && f->confidence <= 1.0);
    assert_true(f->dwells >= 1 && f->bursts >= f->dwells && f->channels >= 1);
    /* what a drone alert must rest on */
    if (f->alertable)
        assert_true(f->dwells >= 3 && (f->channels_visible == 1 || f->channels >= 2) && f->rule);
    h->llr += f->llr;
    h->variant = f->variant;
    h->domain = f->domain;
    h->ever_alertable |= f->alertable;
    if (f->alertable && h->llr >= ALERT_LLR && isnan(h->alert_s)) {
        h->alert_s = (double)f->stop / RATE;
        h->alert_variant = f->variant;
    }
    ++room->n_findings;
}

static inline void on_orphan(void *userdata, const struct uw_packet *packet) {
    struct room *room = userdata;

    assert_true(packet->stop > packet->start);
    ++room->n_orphans;
}

static inline struct room *enter(double freq_hz) {
    struct room *room = calloc(1, sizeof(*room));

    assert_non_null(room);
    room->config = (struct uw_detector_config){.rate_hz = RATE, .freq_hz = freq_hz, .db = db};
    room->env = (struct uw_matcher_env){
        .config = &room->config,
        .emit = on_emit,
        .userdata = room,
    };
    assert_int_equal(uw_links_new(&room->env, &room->links), 0);
    uw_links_on_orphan(room->links, on_orphan, room);
    return room;
}

static inline void leave(struct room *room) {
    room->links = uw_links_free(room->links);
    free(room);
}

static inline const struct uw_signature *elrs(void) {
    return uw_sigdb_find(db, "expresslrs-900");
}

static inline const struct uw_sig_variant *variant_of(const struct uw_signature *s,
                                                      const char *name) {
    for (int i = 0; i < s->n_variants; ++i) {
        if (strcmp(s->variants[i].name, name) == 0)
            return &s->variants[i];
    }
    fail();
    return NULL;
}

static inline const struct uw_sig_domain *domain_of(const struct uw_signature *s,
                                                    const char *name) {
    for (int i = 0; i < s->n_domains; ++i) {
        if (strcmp(s->domains[i].name, name) == 0)
            return &s->domains[i];
    }
    fail();
    return NULL;
}

struct link {
    const struct uw_sig_variant *variant;
    const struct uw_sig_domain *domain;
    double begin_s;
    double clock_ppm, carrier_ppm;
    double heard_share;
    bool hops;
    int stays; /* index of the only channel, if it does not hop */
    uint64_t random;
    int order[UW_SIG_CHANNELS_MAX]; /* of one block */
    int64_t next;                   /* packet */
};

static inline struct link make_link(const char *variant, const char *domain, uint64_t seed) {
    const struct uw_signature *s =
        strcmp(domain, "ISM2G4") == 0 ? uw_sigdb_find(db, "expresslrs-2g4") : elrs();
    struct link l = {
        .variant = variant_of(s, variant),
        .domain = domain_of(s, domain),
        .heard_share = 1.0,
        .hops = true,
        .random = seed,
    };

    l.stays = l.domain->sync;
    l.begin_s = 0.1 * signal_uniform(&l.random);
    return l;
}

/* A block of hops: the sync channel first, then each other once, in any order. */
static inline void shuffle(struct link *l) {
    const int n = l->domain->n_channels;
    int sync_at = 0;

    for (int i = 0; i < n; ++i)
        l->order[i] = i;
    for (int i = n - 1; i > 0; --i) {
        const int j = (int)(signal_random(&l->random) % (uint64_t)(i + 1));
        const int t = l->order[i];

        l->order[i] = l->order[j];
        l->order[j] = t;
    }
    while (l->order[sync_at] != l->domain->sync)
        ++sync_at;
    l->order[sync_at] = l->order[0];
    l->order[0] = l->domain->sync;
}

static inline struct uw_packet bare_packet(const struct uw_sig_variant *v, double start_s,
                                           double offset_hz, uint64_t *random) {
    const double jitter = TIME_SIGMA * (2.0 * signal_uniform(random) - 1.0);

    return (struct uw_packet){
        .modulation = v->modulation,
        .sf = v->sf,
        .sync = v->modulation == UW_SIG_LORA ? 0x12 : -1,
        .preamble = v->preamble,
        .bandwidth_hz = v->bandwidth_hz,
        .start = (start_s + jitter) * RATE,
        .stop = (start_s + v->airtime_s) * RATE,
        .start_error_s = TIME_SIGMA,
        .stop_error_s = TIME_SIGMA,
        .offset_hz = offset_hz + 200.0 * (2.0 * signal_uniform(random) - 1.0),
        .offset_error_hz = 200.0,
        .snr_db = 10.0,
        .power_dbfs = -30.0,
    };
}

/* The link's next packet; false if it is out of the receiver's band, or missed. */
static inline bool next_packet(struct link *l, const struct room *room, struct uw_packet *ret) {
    const int64_t per_block = (int64_t)l->variant->packets_per_hop * l->domain->n_channels;
    const int64_t in_block = l->next % per_block;

    if (in_block == 0)
        shuffle(l);
    const int channel = l->hops ? l->order[in_block / l->variant->packets_per_hop] : l->stays;
    const double start =
        l->begin_s + (double)l->next * l->variant->period_s * (1.0 + 1e-6 * l->clock_ppm);
    const double freq = l->domain->channel_hz[channel];
    const double offset = freq * (1.0 + 1e-6 * l->carrier_ppm) - room->config.freq_hz;

    ++l->next;
    *ret = bare_packet(l->variant, start, offset, &l->random);
    return fabs(offset) + 0.5 * l->variant->bandwidth_hz <= 0.5 * RATE &&
           signal_uniform(&l->random) < l->heard_share;
}

/* All links until the time is over, packets in the order of their end. */
static inline void run(struct room *room, struct link *links, int n_links, double seconds) {
    struct uw_packet packet[4];
    bool in_band[4];

    for (int i = 0; i < n_links; ++i)
        in_band[i] = next_packet(&links[i], room, &packet[i]);
    for (;;) {
        int first = 0;

        for (int i = 1; i < n_links; ++i) {
            if (packet[i].stop < packet[first].stop)
                first = i;
        }
        if (packet[first].stop > seconds * RATE)
            return;
        if (in_band[first])
            assert_true(uw_links_packet(room->links, &packet[first]));
        uw_links_progress(room->links, (uint64_t)packet[first].stop);
        in_band[first] = next_packet(&links[first], room, &packet[first]);
    }
}

static inline int n_alerts(const struct room *room, const struct heard **ret_first) {
    int n = 0;

    *ret_first = NULL;
    for (int i = 0; i < room->n_heard; ++i) {
        const struct heard *h = &room->heard[i];

        if (isnan(h->alert_s))
            continue;
        ++n;
        if (!*ret_first || h->alert_s < (*ret_first)->alert_s)
            *ret_first = h;
    }
    return n;
}

#endif
