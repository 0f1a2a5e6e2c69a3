/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Hoppers of unknown make: the lattice and the raster against closed forms, what a train is not,
 * and the whole detector on links that no signature describes. */

#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hopper-draws.h"
#include "hopper-impl.h"
#include "trial.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/util.h"

#define ALERT_LLR 14.8

/* n times on a lattice, a share of the slots each, jitter +-jitter_s. */
static size_t make_times(double *t, size_t n, double period_s, double share, double jitter_s) {
    size_t have = 0;

    for (long k = 0; have < n; ++k) {
        if (uniform() < share)
            t[have++] = 0.0123 + (double)k * period_s + jitter_s * (2.0 * uniform() - 1.0);
    }
    return have;
}

static void test_lattice(void **unused) {
    static const double periods[] = {4e-3, 6.6667e-3, 14e-3, 53e-3, 118.4e-3};
    double t[HOP_EVENTS_MAX];

    (void)unused;
    for (size_t i = 0; i < 5; ++i) {
        for (state = 1; state < 20;) {
            uint64_t seed = state;
            struct hop_lattice l;
            size_t n = make_times(t, 24, periods[i], 0.2, 60e-6);

            assert_true(uw_hop_lattice(t, n, 60e-6, &l));
            assert_true(fabs(l.period_s / periods[i] - 1.0) < 2e-4);
            assert_true(l.nats > 20.0 && l.inside >= n - 1);
            /* the nearest slot to the first time lies there */
            assert_true(fabs(remainder(l.begin_s - 0.0123, periods[i])) < 0.2e-3);
            state = seed + 1;
        }
    }
}

/* Of a lattice and its divisors the widest: what is slow is not taken for something faster. */
static void test_slow_lattice(void **unused) {
    double t[HOP_EVENTS_MAX];
    struct hop_lattice l;

    (void)unused;
    state = 7;
    assert_true(uw_hop_lattice(t, make_times(t, 20, 0.4, 0.6, 60e-6), 60e-6, &l));
    assert_true(fabs(l.period_s - 0.4) < 1e-3);
}

/* Strays are let lie: a third of the times come from anywhere. */
static void test_strays(void **unused) {
    double t[HOP_EVENTS_MAX];
    struct hop_lattice l;

    (void)unused;
    state = 11;
    size_t n = make_times(t, 45, 10e-3, 0.2, 60e-6);
    for (size_t i = 1; i + 1 < n; i += 3)
        t[i] = t[i - 1] + uniform() * (t[i + 1] - t[i - 1]);
    assert_true(uw_hop_lattice(t, n, 60e-6, &l));
    assert_true(fabs(l.period_s - 10e-3) < 2e-6);
    assert_true(l.inside >= 30 && l.inside < n);
}

/* Times at random reach x nats in a share of exp(-x), or less. */
static void test_chance(void **unused) {
    int over[3] = {0};
    const int trials = 400;

    (void)unused;
    state = 3;
    for (int i = 0; i < trials; ++i) {
        double t[HOP_EVENTS_MAX];
        struct hop_lattice l;
        double at = 0.0;

        for (size_t k = 0; k < 30; ++k)
            t[k] = at -= 0.15 * log(uniform() + 1e-12);
        (void)uw_hop_lattice(t, 30, 60e-6, &l);
        for (int x = 0; x < 3; ++x)
            over[x] += l.nats > 1.0 + 2.0 * x;
    }
    /* 0.37, 0.050, 0.0067 of them, and three sigma */
    assert_true(over[0] < 177 && over[1] < 33 && over[2] < 8);
}

static int by_time(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Times of two links of one period are taken apart, whatever their phases. */
static void test_part(void **unused) {
    static const double phases_s[] = {0.8e-3, 2.2e-3, 4.0e-3, 5.9e-3};
    double t[240];
    struct hop_lattice l;

    (void)unused;
    for (size_t i = 0; i < 4; ++i) {
        state = 41 + i;
        (void)make_times(t, 100, 6.6667e-3, 0.25, 60e-6);
        (void)make_times(t + 100, 100, 6.6667e-3, 0.25, 60e-6);
        for (size_t k = 100; k < 200; ++k)
            t[k] += phases_s[i];
        qsort(t, 200, sizeof(t[0]), by_time);
        assert_true(uw_hop_part(t, 200, 60e-6, 4e-3, 0.15, &l));
        assert_true(fabs(l.period_s / 6.6667e-3 - 1.0) < 2e-4);
        assert_true(l.nats > 60.0 && l.inside >= 90 && l.inside <= 120);
        double phase = remainder(l.begin_s - 0.0123, 6.6667e-3);
        assert_true(fabs(phase) < 0.3e-3 ||
                    fabs(remainder(phase - phases_s[i], 6.6667e-3)) < 0.3e-3);
    }
    assert_false(uw_hop_part(t, 30, 60e-6, 4e-3, 0.15, &l));
}

/* Parts of times at random reach x nats in a share of exp(-x), or less. */
static void test_chance_of_a_part(void **unused) {
    int over[2] = {0};
    const int trials = 300;

    (void)unused;
    state = 5;
    for (int i = 0; i < trials; ++i) {
        double t[96];
        struct hop_lattice l;
        double at = 0.0;

        for (size_t k = 0; k < 96; ++k)
            t[k] = at -= 0.02 * log(uniform() + 1e-12);
        (void)uw_hop_part(t, 96, 60e-6, 4e-3, 0.15, &l);
        over[0] += l.nats > 1.0;
        over[1] += l.nats > 5.0;
    }
    print_message("parts by chance: over 1 nat %d of %d, over 5 nats %d\n", over[0], trials,
                  over[1]);
    /* 0.37, 0.0067 of them, and three sigma */
    assert_true(over[0] < 136 && over[1] < 7);
}

static void test_raster(void **unused) {
    static const double regular[] = {-866e3, -433e3, 0.0, 433e3, 866e3};
    static const double gaps[] = {-700e3, -500e3, 100e3, 300e3, 900e3};
    double f[8];
    struct hop_raster r;
    int found = 0;

    (void)unused;
    state = 5;
    for (size_t i = 0; i < 5; ++i)
        f[i] = regular[i] + 1e3 * normal();
    assert_true(uw_hop_raster(f, 5, 1e3, &r));
    assert_true(fabs(r.step_hz - 433e3) < 2e3 && r.error_hz < 4e3 && r.nats > 6.0);
    for (size_t i = 0; i < 5; ++i)
        f[i] = gaps[i] + 2e3 * normal();
    assert_true(uw_hop_raster(f, 5, 3e3, &r));
    assert_true(fabs(r.step_hz - 200e3) < 3e3);
    for (int i = 0; i < 200; ++i) {
        f[0] = -1e6;
        for (size_t k = 1; k < 8; ++k)
            f[k] = f[k - 1] + 80e3 + 300e3 * uniform();
        found += uw_hop_raster(f, 8, 3e3, &r) && r.nats > 3.0;
    }
    assert_true(found < 20);
}

/* A train of seconds: packets every `period_s` on one of n channels of 200 kHz at random. */
static void make_train(struct hop_train *t, double seconds, double period_s, int n_channels,
                       double jitter_s, double spread_db) {
    double begin = 1.0;

    memset(t, 0, sizeof(*t));
    t->used = true;
    t->bandwidth_hz = 150e3;
    t->length_s = 0.4 * period_s;
    t->time_error_s = 60e-6;
    for (int k = 0; k * period_s < seconds; ++k) {
        int c = (int)(uniform() * n_channels);

        if (c >= 10)
            continue; /* out of the band */
        t->bursts[t->next] = (struct hop_burst){
            .start_s = begin + k * period_s + jitter_s * (uniform() - 0.5),
            .offset_hz = -900e3 + 200e3 * c + 2e3 * normal(),
            .length_s = (float)t->length_s,
            .power_db = (float)(-30.0 + spread_db * normal()),
        };
        t->next = (t->next + 1) % HOP_BURSTS_MAX;
        t->n += t->n < HOP_BURSTS_MAX;
    }
    t->last_s = begin + seconds;
}

static const char *judged(const struct hop_train *t, struct hop_verdict *v) {
    static const struct hop_band band = {
        .centre_hz = 915e6, .usable_hz = 1.008e6, .limit_dbfs = -1.0};

    uw_hop_judge(t, t->last_s, &band, v);
    return v->reason ? v->reason : "";
}

static void test_judge(void **unused) {
    static struct hop_train t;
    struct hop_verdict v;

    (void)unused;
    state = 17;
    make_train(&t, 5.0, 12e-3, 50, 60e-6, 0.2);
    assert_string_equal(judged(&t, &v), "");
    assert_true(fabs(v.lattice.period_s - 12e-3) < 3e-6);
    assert_true(fabs(v.raster.step_hz - 200e3) < 2e3 && v.n_channels >= 9);
    assert_true(v.llr > ALERT_LLR && v.llr <= 20.0);
    make_train(&t, 5.0, 12e-3, 50, 12e-3, 0.2);
    assert_string_equal(judged(&t, &v), "no period");
    make_train(&t, 5.0, 12e-3, 50, 60e-6, 3.0);
    assert_string_equal(judged(&t, &v), "levels or carriers differ");
    /* so strong that the receiver shows all levels alike: the carriers are left */
    make_train(&t, 5.0, 12e-3, 50, 60e-6, 0.2);
    for (size_t i = 0; i < t.n; ++i)
        t.bursts[i].power_db = 0.3f;
    assert_string_equal(judged(&t, &v), "");
    for (size_t i = 0; i < t.n; ++i)
        t.bursts[i].offset_hz += 5e3 * normal();
    assert_string_equal(judged(&t, &v), "levels or carriers differ");
    make_train(&t, 1.5, 12e-3, 50, 60e-6, 0.2);
    assert_string_equal(judged(&t, &v), "too short");
    make_train(&t, 5.0, 12e-3, 2, 60e-6, 0.2);
    assert_string_equal(judged(&t, &v), "few channels");
    make_train(&t, 5.0, 60.0 / 13e3, 40, 60e-6, 0.2);
    assert_string_equal(judged(&t, &v), "telephones");
    make_train(&t, 5.9, 160e-3, 10, 60e-6, 0.2);
    assert_string_equal(judged(&t, &v), "another period than a link's");
    make_train(&t, 5.0, 12e-3, 50, 60e-6, 0.2);
    for (size_t i = 0; i < t.n; ++i)
        t.bursts[i].offset_hz = -900e3 + 1.8e6 * uniform();
    assert_string_not_equal(judged(&t, &v), "");
    make_train(&t, 5.0, 40e-3, 9, 60e-6, 0.2);
    for (size_t i = 0; i < t.n; ++i)
        t.bursts[i].offset_hz = -600e3 + 400e3 * (double)(i % 4);
    assert_string_equal(judged(&t, &v), "takes turns");
    for (size_t i = 0; i < t.n; ++i)
        t.bursts[i].offset_hz = -900e3 + 200e3 * (double)(i % 9);
    assert_string_equal(judged(&t, &v), "sweeps");
    /* two readers of tags at a time, each on its channel for seconds */
    make_train(&t, 5.5, 10e-3, 9, 60e-6, 0.2);
    for (size_t i = 0; i < t.n; ++i) {
        int c = i % 2 ? (t.bursts[i].start_s < 4.4 ? 3 : 0) : (t.bursts[i].start_s < 2.8 ? 1 : 2);

        t.bursts[i].offset_hz = -900e3 + 600e3 * c + 2e3 * normal();
    }
    assert_string_equal(judged(&t, &v), "stays too long");
    /* several at a time whose commands, 5 ms apart and heard now and then, are as regular as hops
     */
    make_train(&t, 5.5, 5e-3, 9, 60e-6, 0.2);
    size_t n = 0;
    for (size_t i = 0; i < t.n; ++i) {
        if (uniform() < 0.2)
            t.bursts[n++] = t.bursts[i];
    }
    t.n = t.next = n;
    int on = 0;
    for (size_t i = 0; i < t.n; ++i) {
        on = uniform() < 0.5 ? (int)(4.0 * uniform()) : on;
        t.bursts[i].offset_hz = -900e3 + 600e3 * on + 1e3 * normal();
    }
    assert_string_equal(judged(&t, &v), "stays too long");
    for (size_t i = 0; i < t.n; ++i)
        t.bursts[i].offset_hz = -900e3 + 600e3 * floor(4.0 * uniform()) + 1e3 * normal();
    assert_string_not_equal(judged(&t, &v), "stays too long");
    /* levels that differ a little are one sender's, if the carriers do not */
    make_train(&t, 5.0, 12e-3, 50, 60e-6, 0.8);
    t.bandwidth_hz = 30e3;
    assert_string_equal(judged(&t, &v), "");
    for (size_t i = 0; i < t.n; ++i)
        t.bursts[i].offset_hz += 9e3 * (2.0 * uniform() - 1.0);
    assert_string_equal(judged(&t, &v), "levels or carriers differ");
}

/* Commands of readers 5 ms apart, heard in clumps, on four channels: each is kept for a while, two
 * at a time, so that none is left long enough by itself to tell. A link that is heard as rarely
 * leaves none for longer than chance does. */
static void test_left_channels(void **unused) {
    static const double from_s[] = {0.0, 2.8, 4.3, 0.0};
    static const double to_s[] = {2.9, 5.1, 5.6, 3.0};
    static struct hop_train t;
    struct hop_verdict v;
    int kept = 0;
    int links_kept = 0;
    int alerts = 0;

    (void)unused;
    state = 31;
    for (int draw = 0; draw < 400; ++draw) {
        bool is_link = draw >= 40;
        size_t n = 0;

        make_train(&t, 0.0, 5e-3, 9, 60e-6, 0.2);
        for (double at = 0.0; at < 5.6; at += 5e-3) {
            int c = (int)(4.0 * uniform());

            while (!is_link && !(at >= from_s[c] && at <= to_s[c]))
                c = (int)(4.0 * uniform());
            if (fmod(at, 0.35) < 0.1 && uniform() < 0.25)
                t.bursts[n++] = (struct hop_burst){
                    .start_s = 1.0 + at + 60e-6 * (uniform() - 0.5),
                    .offset_hz = -900e3 + 600e3 * c + 1e3 * normal(),
                    .length_s = (float)t.length_s,
                    .power_db = (float)(-30.0 + 0.2 * normal()),
                };
        }
        t.last_s = 6.6;
        t.n = t.next = n;
        const char *reason = judged(&t, &v);
        bool stays = strcmp(reason, "stays too long") == 0;
        alerts += !is_link && !*reason;
        kept += !is_link && stays;
        links_kept += is_link && stays;
    }
    print_message("kept: %d of 40, a link %d times; of links %d of 360\n", kept, alerts,
                  links_kept);
    assert_true(kept >= 30 && alerts == 0 && links_kept <= 10);
}

/* Channels that are none, few, or cut by the band's edge. */
static void test_channels(void **unused) {
    static struct hop_train t;
    struct hop_verdict v;

    (void)unused;
    state = 17;
    /* three in turns, of which weak bursts show one twice, and now and then something else */
    make_train(&t, 5.0, 40e-3, 9, 60e-6, 0.2);
    t.bandwidth_hz = 75e3;
    for (size_t i = 0; i < t.n; ++i) {
        t.bursts[i].offset_hz = -500e3 + 500e3 * (double)(i % 3) + 1e3 * normal();
        if (i % 15 == 2)
            t.bursts[i].offset_hz -= 12e3;
        if (i % 60 == 7)
            t.bursts[i].offset_hz = 900e3 * (2.0 * uniform() - 1.0);
    }
    assert_string_not_equal(judged(&t, &v), "");
    /* three in turns, one slot in ten of which is heard, none of them a cycle behind another */
    static const int slots[] = {0, 16, 23, 33, 47, 60, 73, 89, 100, 115, 128, 140};
    make_train(&t, 5.9, 40e-3, 9, 60e-6, 0.2);
    t.lora = true;
    t.n = t.next = UW_ARRAY_SIZE(slots);
    for (size_t i = 0; i < t.n; ++i) {
        t.bursts[i].start_s = 1.0 + 40e-3 * slots[i];
        t.bursts[i].offset_hz = -500e3 + 500e3 * (double)(slots[i] % 3);
    }
    assert_string_equal(judged(&t, &v), "takes turns");
    /* five of a fine raster, and one that the edge of the band cuts */
    static const double fine_hz[] = {-1081e3, -650e3, -500e3, 100e3, 450e3, 850e3};
    make_train(&t, 5.0, 14e-3, 9, 60e-6, 0.2);
    t.bandwidth_hz = 80e3;
    for (size_t i = 0; i < t.n; ++i)
        t.bursts[i].offset_hz = fine_hz[(int)(6.0 * uniform())] + 2e3 * normal();
    assert_string_equal(judged(&t, &v), "");
    assert_true(fabs(v.raster.step_hz - 50e3) < 500.0 && v.n_channels == 5);
}

struct clipped {
    bool lora;
    double centre_hz, bandwidth_hz, length_s;
    double sigma_hz; /* of what is measured of one sender */
    double ppm;      /* crystals of many are within +- so much; 0: one sender */
    int strays;      /* visits of something 40 kHz away */
};

/* Visits whose levels are all at the receiver's limit. */
static bool is_one(const struct clipped *c) {
    static struct hop_burst bursts[300];
    const struct hop_burst *first[300];
    int where[300];
    const struct hop_band band = {.centre_hz = c->centre_hz, .usable_hz = 1e6, .limit_dbfs = -1.0};
    const struct hop_train t = {
        .lora = c->lora, .bandwidth_hz = c->bandwidth_hz, .length_s = c->length_s};
    double nats;

    for (int i = 0; i < 300; ++i) {
        bursts[i] = (struct hop_burst){
            .offset_hz =
                c->sigma_hz * normal() + 1e-6 * c->ppm * c->centre_hz * (2.0 * uniform() - 1.0),
            .power_db = 0.5f,
        };
        if (i % 50 < c->strays)
            bursts[i].offset_hz += 40e3;
        first[i] = &bursts[i];
        where[i] = (int)(8.0 * uniform());
    }
    bool one = uw_hop_is_one_sender(&t, first, where, 300, &band, &nats);
    assert_true(isfinite(nats));
    return one;
}

static void test_carriers(void **unused) {
    static const struct clipped one[] = {
        {false, 915e6, 140e3, 2.9e-3, 2710.0, 0.0, 0}, /* 85 kBd, index 1 */
        {false, 434e6, 140e3, 2.9e-3, 2710.0, 0.0, 0},
        {false, 915e6, 150e3, 2.9e-3, 4150.0, 0.0, 0}, /* index 2 */
        {false, 915e6, 79e3, 9.5e-3, 2220.0, 0.0, 0},  /* 19.2 kBd, index 3 */
        {false, 915e6, 375e3, 2.5e-3, 2500.0, 0.0, 0}, /* 250 kBd, index 1/2 */
        {true, 868e6, 500e3, 10e-3, 300.0, 0.0, 0},
    };
    static const struct clipped many[] = {
        {false, 915e6, 98e3, 12e-3, 1020.0, 10.0, 0}, /* 50 kBd, index 1 */
        {false, 434e6, 60e3, 20e-3, 600.0, 10.0, 0},
        {true, 433e6, 125e3, 40e-3, 100.0, 10.0, 3},
        {true, 169e6, 125e3, 40e-3, 100.0, 10.0, 3},
    };

    (void)unused;
    state = 23;
    for (size_t i = 0; i < UW_ARRAY_SIZE(one); ++i) {
        int n = 0;

        for (int k = 0; k < 100; ++k)
            n += is_one(&one[i]);
        print_message("one sender %zu: %d of 100\n", i, n);
        assert_true(n >= 97);
    }
    for (size_t i = 0; i < UW_ARRAY_SIZE(many); ++i) {
        int n = 0;

        for (int k = 0; k < 100; ++k)
            n += is_one(&many[i]);
        print_message("many senders %zu: %d of 100\n", i, n);
        assert_true(n <= 3);
    }
}

static struct uw_scenario *scenario(const char *emitter, double seconds, uint64_t seed) {
    struct uw_scenario *s = NULL;
    struct uw_diag diag = {0};
    char text[2048];

    (void)snprintf(
        text, sizeof(text),
        "duration_s = %f; seed = %d; receivers = ( { rate_hz = 2.4e6; freq_hz = 915.0e6; "
        "tuner = \"r820t\"; } ); emitters = ( { %s } );",
        seconds, (int)seed, emitter);
    assert_int_equal(uw_scenario_parse("test", text, strlen(text), &diag, &s), 0);
    return s;
}

/* Seconds to the one alert of family unknown-fhss; NAN: none. */
static double time_to_alert(const struct uw_sigdb *db, const char *emitter, double snr_db,
                            double seconds, uint64_t seed, const char *variant) {
    struct uw_scenario *s = scenario(emitter, seconds, seed);
    struct trial t;

    s->emitters[0].level_db = snr_db;
    trial_run(s, db, ALERT_LLR, false, &t);
    uw_scenario_free(s);
    const struct trial_emitter *e = trial_alert(&t);
    assert_true(trial_n_alerts(&t) <= 1);
    if (!e)
        return NAN;
    assert_string_equal(e->signature->family, "unknown-fhss");
    assert_true(variant ? e->variant && strcmp(e->variant, variant) == 0 : !e->variant);
    return e->alert_s;
}

#define GFSK                                                                                       \
    "link = \"fsk\"; raster = { first_hz = 910.1e6; step_hz = 200e3; n = 50; }; hop = "            \
    "\"random\"; "                                                                                 \
    "baud = 85e3; deviation_hz = 42.5e3; bt = 0.5; burst_s = 2.9e-3; snr_db = 0.0; "
#define ELRS "link = \"expresslrs\"; variant = \"200Hz\"; snr_db = 15.0; "
#define LORA                                                                                       \
    "link = \"lora\"; raster = { first_hz = 903.5e6; step_hz = 300e3; n = 77; }; hop = "           \
    "\"random\"; "                                                                                 \
    "sf = 7; bandwidth_hz = 250e3; symbols = 15; interval_s = 16e-3; snr_db = 0.0;"

static void test_detector(void **unused) {
    struct uw_sigdb *db = trial_db(UW_SIGNATURES);
    int in_time = 0;

    (void)unused;
    for (uint64_t seed = 1; seed <= 6; ++seed)
        in_time += time_to_alert(db, GFSK "interval_s = 6.6667e-3;", 0.0, 5.2, seed, NULL) < 5.0;
    print_message("GFSK at 0 dB: %d of 6 within 5 s\n", in_time);
    assert_true(in_time >= 5);
    assert_true(time_to_alert(db, GFSK "interval_s = 6.6667e-3;", 30.0, 5.2, 9, NULL) < 4.0);
    /* beyond what the receiver can show */
    assert_true(time_to_alert(db, GFSK "interval_s = 6.6667e-3;", 50.0, 5.2, 9, NULL) < 5.0);
    assert_true(time_to_alert(db, LORA, 6.0, 5.2, 9, "LoRa SF7/250") < 5.0);
    /* the same packets at random times */
    assert_true(isnan(
        time_to_alert(db, GFSK "interval_s = 6.6667e-3; poisson = true;", 20.0, 6.0, 9, NULL)));
    uw_sigdb_free(db);
}

/* Links of one make, about as strong as each other, are each alerted, and one alone once; but for
 * pairs half a period apart, which could be one network's. */
static void test_several_of_one_make(void **unused) {
    static const double levels_db[] = {14.0, 12.0, 13.0};
    static const double ppm[] = {3.0, -4.0, 8.0};
    struct uw_sigdb *db = trial_db(UW_SIGNATURES);

    (void)unused;
    for (int n = 1; n <= 3; ++n) {
        int heard = 0;

        for (uint64_t seed = 1; seed <= 3; ++seed) {
            char text[1024];
            struct trial t;
            int at = 0;

            for (int i = 0; i < n; ++i)
                at += snprintf(text + at, sizeof(text) - (size_t)at,
                               "%s" GFSK "interval_s = 6.6667e-3; ppm = %.1f;",
                               i > 0 ? "}, { " : "", ppm[i]);
            struct uw_scenario *s = scenario(text, 7.0, seed);
            for (int i = 0; i < n; ++i)
                s->emitters[i].level_db = levels_db[i];
            trial_run(s, db, ALERT_LLR, false, &t);
            uw_scenario_free(s);
            assert_true(trial_n_alerts(&t) <= n);
            heard += trial_n_alerts(&t);
        }
        print_message("%d of one make: %d of %d alerts\n", n, heard, 3 * n);
        assert_true(heard >= n + 2); /* of fixed seeds */
    }
    uw_sigdb_free(db);
}

/* A link with a name does not hide another whose packets come three times in one of its hops. */
static void test_beside_a_name(void **unused) {
    struct uw_sigdb *db = trial_db(UW_SIGNATURES);
    struct trial t;
    int unknown = 0;
    int named = 0;

    (void)unused;
    struct uw_scenario *s =
        scenario("link = \"expresslrs\"; variant = \"200Hz\"; snr_db = 15.0; }, { " GFSK
                 "interval_s = 6.6667e-3;",
                 7.0, 4);
    s->emitters[1].level_db = 20.0;
    trial_run(s, db, ALERT_LLR, false, &t);
    uw_scenario_free(s);
    for (int i = 0; i < t.n_emitters; ++i) {
        if (isnan(t.emitters[i].alert_s))
            continue;
        unknown += strcmp(t.emitters[i].signature->family, "unknown-fhss") == 0;
        named += strcmp(t.emitters[i].signature->family, "expresslrs") == 0;
    }
    assert_int_equal(named, 1);
    assert_int_equal(unknown, 1);
    uw_sigdb_free(db);
}

/* Of the packets of several links with a name no train of another period is made. */
static void test_several_names(void **unused) {
    static const double levels_db[] = {16.0, 3.0, 23.0, 9.5};
    struct uw_sigdb *db = trial_db(UW_SIGNATURES);
    struct trial t;

    (void)unused;
    struct uw_scenario *s = scenario(ELRS "ppm = -17.0; }, { " ELRS "ppm = 4.0; }, { " ELRS
                                          "ppm = 11.0; }, { " ELRS "ppm = -6.0;",
                                     8.0, 63);
    for (int i = 0; i < s->n_emitters; ++i)
        s->emitters[i].level_db = levels_db[i];
    trial_run(s, db, ALERT_LLR, false, &t);
    uw_scenario_free(s);
    for (int i = 0; i < t.n_emitters; ++i)
        assert_true(isnan(t.emitters[i].alert_s) ||
                    strcmp(t.emitters[i].signature->family, "expresslrs") == 0);
    assert_true(trial_n_alerts(&t) >= 3);
    uw_sigdb_free(db);
}

/* Bursts that all begin together, as of an impulse, are no train. */
static void test_impulse(void **unused) {
    static struct hop_train t;
    struct hop_verdict v;

    (void)unused;
    state = 29;
    make_train(&t, 5.0, 12e-3, 50, 60e-6, 0.2);
    for (size_t i = 0; i < t.n; ++i)
        t.bursts[i].start_s = t.last_s - 1.0;
    assert_string_equal(judged(&t, &v), "too short");
}

/* Without its signature there is none; a link with a name is not doubled. */
static void test_yields(void **unused) {
    static const char *const others[] = {"expresslrs-900", "lora"};
    struct uw_sigdb *db = trial_db(UW_SIGNATURES);
    struct uw_diag diag = {0};
    struct trial t;

    (void)unused;
    struct uw_scenario *s =
        scenario("link = \"expresslrs\"; variant = \"100Hz\"; snr_db = 12.0;", 7.0, 4);
    trial_run(s, db, ALERT_LLR, false, &t);
    assert_int_equal(trial_n_alerts(&t), 1);
    assert_string_equal(trial_alert(&t)->signature->family, "expresslrs");
    uw_scenario_free(s);
    assert_int_equal(uw_sigdb_enable(db, others, 2, &diag), 0);
    assert_true(isnan(time_to_alert(db, GFSK "interval_s = 6.6667e-3;", 20.0, 4.0, 9, NULL)));
    uw_sigdb_free(db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lattice),
        cmocka_unit_test(test_slow_lattice),
        cmocka_unit_test(test_strays),
        cmocka_unit_test(test_chance),
        cmocka_unit_test(test_part),
        cmocka_unit_test(test_chance_of_a_part),
        cmocka_unit_test(test_several_of_one_make),
        cmocka_unit_test(test_raster),
        cmocka_unit_test(test_judge),
        cmocka_unit_test(test_left_channels),
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_carriers),
        cmocka_unit_test(test_detector),
        cmocka_unit_test(test_yields),
        cmocka_unit_test(test_beside_a_name),
        cmocka_unit_test(test_several_names),
        cmocka_unit_test(test_impulse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
