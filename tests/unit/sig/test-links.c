/* SPDX-License-Identifier: GPL-3.0-or-later */

/* From packets to links, with packets as a script says: no signal, no noise */

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

static int load(void **state) {
    static struct uw_diag diag;

    (void)state;
    return uw_sigdb_load(UW_SIGNATURES, &diag, &db);
}

static int unload(void **state) {
    (void)state;
    db = uw_sigdb_free(db);
    return 0;
}

static void on_emit(void *userdata, struct uw_finding *f) {
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

static void on_orphan(void *userdata, const struct uw_packet *packet) {
    struct room *room = userdata;

    assert_true(packet->stop > packet->start);
    ++room->n_orphans;
}

static struct room *enter(double freq_hz) {
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

static void leave(struct room *room) {
    room->links = uw_links_free(room->links);
    free(room);
}

static const struct uw_signature *elrs(void) {
    return uw_sigdb_find(db, "expresslrs-900");
}

static const struct uw_sig_variant *variant_of(const struct uw_signature *s, const char *name) {
    for (int i = 0; i < s->n_variants; ++i) {
        if (strcmp(s->variants[i].name, name) == 0)
            return &s->variants[i];
    }
    fail();
    return NULL;
}

static const struct uw_sig_domain *domain_of(const struct uw_signature *s, const char *name) {
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

static struct link make_link(const char *variant, const char *domain, uint64_t seed) {
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
static void shuffle(struct link *l) {
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

static struct uw_packet bare_packet(const struct uw_sig_variant *v, double start_s,
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
static bool next_packet(struct link *l, const struct room *room, struct uw_packet *ret) {
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
static void run(struct room *room, struct link *links, int n_links, double seconds) {
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

static int n_alerts(const struct room *room, const struct heard **ret_first) {
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

struct wanted {
    const char *variant, *domain;
    double freq_hz, seconds;
};

static const struct wanted wanted[] = {
    {"200Hz", "FCC915", 915.0e6, 3.0},     {"D50", "FCC915", 915.0e6, 3.0},
    {"100HzFull", "FCC915", 915.0e6, 4.0}, {"100Hz", "FCC915", 915.0e6, 4.0},
    {"50Hz", "FCC915", 915.0e6, 10.0},     {"25Hz", "FCC915", 915.0e6, 12.0},
    {"250Hz", "FCC915", 915.0e6, 3.0},     {"200HzFull", "FCC915", 915.0e6, 3.0},
    {"X100Full", "FCC915", 915.0e6, 4.0},  {"X150", "FCC915", 915.0e6, 4.0},
    {"200Hz", "AU915", 921.5e6, 3.0},      {"200Hz", "EU868", 866.4e6, 3.0},
    {"100Hz", "EU868-3.x", 866.4e6, 3.0},  {"50Hz", "EU868", 866.4e6, 8.0},
    {"200Hz", "EU433", 433.8e6, 3.0},      {"D50", "EU868-3.x", 866.4e6, 3.0},
    {"F500", "ISM2G4", 2439.9e6, 9.0},     {"K1000", "ISM2G4", 2439.9e6, 9.0},
    {"500Hz", "ISM2G4", 2439.9e6, 9.0},    {"150Hz", "ISM2G4", 2439.9e6, 16.0},
};
#define N_WANTED (sizeof(wanted) / sizeof(wanted[0]))

/* One alert, in time, of the right air rate; the plan right or open. */
static void expect_one(const struct room *room, const struct wanted *w, const char *what) {
    const struct heard *h;
    const int n = n_alerts(room, &h);

    if (n != 1 || !h->alert_variant || strcmp(h->alert_variant, w->variant) != 0 ||
        (h->domain && strcmp(h->domain, w->domain) != 0))
        print_message("%s %s %s: %d alerts, %s %s\n", what, w->domain, w->variant, n,
                      h && h->variant ? h->variant : "-", h && h->domain ? h->domain : "-");
    assert_int_equal(n, 1);
    assert_string_equal(h->signature->family, "expresslrs");
    assert_non_null(h->alert_variant);
    assert_string_equal(h->alert_variant, w->variant);
    if (h->domain)
        assert_string_equal(h->domain, w->domain);
}

static void test_variants(void **state) {
    int n_domains = 0;

    (void)state;
    for (size_t i = 0; i < N_WANTED; ++i) {
        for (uint64_t seed = 1; seed <= 4; ++seed) {
            struct room *room = enter(wanted[i].freq_hz);
            struct link l = make_link(wanted[i].variant, wanted[i].domain, seed);
            const struct heard *h;

            run(room, &l, 1, wanted[i].seconds);
            expect_one(room, &wanted[i], "plain");
            (void)n_alerts(room, &h);
            n_domains += h->domain != NULL;
            leave(room);
        }
    }
    print_message("plan decided in %d of %zu\n", n_domains, 4 * N_WANTED);
}

/* Crystals: timing and carrier off together, as one clock has it. */
static void test_clock_errors(void **state) {
    static const double ppm[] = {-95.0, -50.0, 50.0, 95.0};

    (void)state;
    for (size_t i = 0; i < N_WANTED; ++i) {
        for (int k = 0; k < 4; ++k) {
            struct room *room = enter(wanted[i].freq_hz);
            struct link l = make_link(wanted[i].variant, wanted[i].domain, 10 + (uint64_t)k);

            l.clock_ppm = ppm[k];
            l.carrier_ppm = ppm[k];
            run(room, &l, 1, wanted[i].seconds);
            expect_one(room, &wanted[i], "off");
            leave(room);
        }
    }
}

/* A fifth of the packets unheard: later, but the same. */
static void test_missed_packets(void **state) {
    int n_right = 0;
    int n_alerted = 0;

    (void)state;
    for (size_t i = 0; i < N_WANTED; ++i) {
        for (uint64_t seed = 20; seed < 22; ++seed) {
            struct room *room = enter(wanted[i].freq_hz);
            struct link l = make_link(wanted[i].variant, wanted[i].domain, seed);
            const struct heard *h;

            l.heard_share = 0.8;
            run(room, &l, 1, 2.0 * wanted[i].seconds);
            n_alerted += n_alerts(room, &h) > 0;
            if (h && h->alert_variant) {
                assert_string_equal(h->alert_variant, wanted[i].variant);
                ++n_right;
            }
            leave(room);
        }
    }
    print_message("a fifth missed: %d alerts and %d names of %zu\n", n_alerted, n_right,
                  2 * N_WANTED);
    assert_true(n_alerted >= (int)(2 * N_WANTED) - 1 && n_right >= (int)(2 * N_WANTED) - 3);
}

/* Two links of one kind: two emitters, each with its own count. */
static void test_two_links(void **state) {
    (void)state;
    for (uint64_t seed = 30; seed < 36; ++seed) {
        struct room *room = enter(915.0e6);
        struct link l[2] = {make_link("100Hz", "FCC915", seed),
                            make_link("100Hz", "FCC915", seed + 100)};
        const struct heard *first;

        l[1].begin_s = l[0].begin_s + 3.7e-3;
        l[1].clock_ppm = 12.0;
        run(room, l, 2, 6.0);
        assert_int_equal(n_alerts(room, &first), 2);
        leave(room);
    }
}

/* Different kinds at once, one of them a look-alike that differs only in packets a hop. */
static void test_mixed_links(void **state) {
    struct room *room = enter(915.0e6);
    struct link l[2] = {make_link("200Hz", "FCC915", 40), make_link("50Hz", "FCC915", 41)};
    const struct heard *first;
    bool is_200 = false;
    bool is_50 = false;

    (void)state;
    l[1].begin_s += 0.02;
    run(room, l, 2, 10.0);
    assert_int_equal(n_alerts(room, &first), 2);
    for (int i = 0; i < room->n_heard; ++i) {
        const char *v = room->heard[i].alert_variant;

        is_200 |= v && strcmp(v, "200Hz") == 0;
        is_50 |= v && strcmp(v, "50Hz") == 0;
    }
    assert_true(is_200 && is_50);
    leave(room);
}

/* The same packets at the same times on one channel: whatever it is, it is no hopping link. */
static void test_no_hops(void **state) {
    (void)state;
    for (size_t i = 0; i < N_WANTED; ++i) {
        struct room *room = enter(wanted[i].freq_hz);
        struct link l = make_link(wanted[i].variant, wanted[i].domain, 50);

        l.hops = false;
        /* the sync channel may lie outside: sit in the middle instead */
        room->config.freq_hz = l.domain->channel_hz[l.domain->sync] + 100e3;
        run(room, &l, 1, 20.0);
        for (int k = 0; k < room->n_heard; ++k)
            assert_false(room->heard[k].ever_alertable);
        leave(room);
    }
}

/* Where one channel alone can be heard, hopping shows in the pauses: a link is alerted, a train
 * that goes on is not. */
static void test_one_channel(void **state) {
    (void)state;
    for (int hops = 0; hops < 2; ++hops) {
        struct room *room = enter(902.9e6);
        struct link l = make_link("200Hz", "FCC915", 55);
        const struct heard *h;

        l.hops = hops;
        l.stays = 0; /* 903.5 MHz */
        run(room, &l, 1, 20.0);
        assert_int_equal(n_alerts(room, &h), hops);
        leave(room);
    }
}

/* The very waveform and length, on the very channels, at random times: LoRaWAN and its like. */
static void test_sporadic(void **state) {
    static const char *const variants[] = {"100Hz", "50Hz", "25Hz", "200Hz"};
    int n_findings = 0;
    int n_alertable = 0;

    (void)state;
    for (int v = 0; v < 4; ++v) {
        for (uint64_t seed = 60; seed < 63; ++seed) {
            struct room *room = enter(915.0e6);
            const struct uw_sig_domain *d = domain_of(elrs(), "FCC915");
            uint64_t random = seed;
            double t = 0.0;

            while (t < 120.0) {
                const struct uw_sig_variant *x = variant_of(elrs(), variants[v]);
                struct uw_packet p;

                t += x->airtime_s - 0.3 * log(signal_uniform(&random));
                p = bare_packet(x, t, d->channel_hz[18 + signal_random(&random) % 4] - 915.0e6,
                                &random);
                if (fabs(p.offset_hz) + 250e3 > 0.5 * RATE)
                    continue;
                p.sync = seed & 1 ? 0x12 : 0x34;
                (void)uw_links_packet(room->links, &p);
                uw_links_progress(room->links, (uint64_t)p.stop);
            }
            for (int k = 0; k < room->n_heard; ++k)
                n_alertable += room->heard[k].ever_alertable;
            const struct heard *h;
            assert_int_equal(n_alerts(room, &h), 0);
            n_findings += room->n_findings;
            leave(room);
        }
    }
    print_message("sporadic: %d findings in 24 minutes, %d emitters meet the rule, no alert\n",
                  n_findings, n_alertable);
}

/* Not ours: another direction, spreading factor, bandwidth or length. */
static void test_foreign(void **state) {
    struct room *room = enter(915.0e6);
    const struct uw_sig_variant *v = variant_of(elrs(), "200Hz");
    uint64_t random = 70;
    struct uw_packet p = bare_packet(v, 1.0, 0.5e6, &random);

    (void)state;
    assert_true(uw_links_waveform(room->links, &p));
    p.down = true;
    assert_false(uw_links_waveform(room->links, &p) || uw_links_packet(room->links, &p));
    p.down = false;
    p.sf = 10;
    assert_false(uw_links_waveform(room->links, &p) || uw_links_packet(room->links, &p));
    p.sf = 6;
    p.bandwidth_hz = 250e3;
    assert_false(uw_links_waveform(room->links, &p) || uw_links_packet(room->links, &p));
    p.bandwidth_hz = 500e3;
    p.stop = p.start + 20e-3 * RATE;
    assert_true(uw_links_waveform(room->links, &p));
    assert_false(uw_links_packet(room->links, &p));
    assert_int_equal(room->n_findings, 0);
    leave(room);
    /* nor where none of its channels can be heard */
    room = enter(2440.0e6);
    p = bare_packet(v, 1.0, 0.5e6, &random);
    assert_false(uw_links_packet(room->links, &p));
    leave(room);
}

/* A single packet comes back once when nothing has followed it. */
static void test_orphan(void **state) {
    struct room *room = enter(915.0e6);
    uint64_t random = 80;
    const struct uw_packet p = bare_packet(variant_of(elrs(), "25Hz"), 1.0, 0.5e6, &random);

    (void)state;
    assert_true(uw_links_packet(room->links, &p));
    uw_links_progress(room->links, (uint64_t)(3.0 * RATE));
    assert_int_equal(room->n_orphans, 0);
    uw_links_progress(room->links, (uint64_t)(30.0 * RATE));
    assert_int_equal(room->n_orphans, 1);
    uw_links_progress(room->links, (uint64_t)(60.0 * RATE));
    assert_int_equal(room->n_orphans, 1);
    assert_int_equal(room->n_findings, 0);
    leave(room);
}

/* A recording of unknown centre: waveform and timing still alert, no plan is named. */
static void test_unknown_centre(void **state) {
    struct room *room = enter(915.0e6);
    struct link l = make_link("200Hz", "FCC915", 90);
    const struct heard *h;
    struct uw_packet p;

    (void)state;
    while (l.next < 1500) {
        const bool heard = next_packet(&l, room, &p);
        const double known = room->config.freq_hz;

        room->config.freq_hz = NAN;
        if (heard)
            (void)uw_links_packet(room->links, &p);
        uw_links_progress(room->links, (uint64_t)p.stop);
        room->config.freq_hz = known;
    }
    assert_int_equal(n_alerts(room, &h), 1);
    assert_string_equal(h->alert_variant, "200Hz");
    assert_null(h->domain);
    leave(room);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variants),       cmocka_unit_test(test_clock_errors),
        cmocka_unit_test(test_missed_packets), cmocka_unit_test(test_two_links),
        cmocka_unit_test(test_mixed_links),    cmocka_unit_test(test_no_hops),
        cmocka_unit_test(test_one_channel),    cmocka_unit_test(test_sporadic),
        cmocka_unit_test(test_foreign),        cmocka_unit_test(test_orphan),
        cmocka_unit_test(test_unknown_centre),
    };

    return cmocka_run_group_tests_name("links", tests, load, unload);
}
