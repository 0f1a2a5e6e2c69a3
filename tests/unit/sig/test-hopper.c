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

#include "hopper-impl.h"
#include "matcher-impl.h"
#include "trial.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/util.h"

#define ALERT_LLR 14.8

static uint64_t state;

static double uniform(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) / 9007199254740992.0;
}

/* Of 50 that are 200 kHz apart; ten lie in the band. */
static double any_channel(void) {
    return -4.9e6 + 200e3 * floor(50.0 * uniform());
}

static double normal(void) {
    return sqrt(-2.0 * log(uniform() + 1e-300)) * cos(6.283185307179586 * uniform());
}

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

static void on_finding(void *unused, const struct uw_finding *f) {
    (void)unused;
    (void)f;
}

static void on_progress(void *unused, uint64_t sample) {
    (void)unused;
    (void)sample;
}

/* The emitters of findings. */
#define NUMBERS_MAX 8

struct numbers {
    size_t n;
    uint64_t number[NUMBERS_MAX];
    double last_s[NUMBERS_MAX], period_s[NUMBERS_MAX];
};

static void count_emit(void *userdata, struct uw_finding *f) {
    struct numbers *numbers = userdata;
    size_t i = 0;

    while (i < numbers->n && numbers->number[i] != f->emitter)
        ++i;
    assert_true(i < NUMBERS_MAX);
    numbers->n += i == numbers->n;
    numbers->number[i] = f->emitter;
    numbers->last_s[i] = (double)f->stop / 2.4e6;
    numbers->period_s[i] = f->hop_interval_s;
}

/* A transmitter on 10 of 50 channels of 200 kHz. */
struct sender {
    double hop_s, packet_s; /* packets that fit into a hop */
    double phase_s, power_db;
    double from_s, to_s;
};

struct packet_at {
    double start_s, offset_hz, power_db;
};

static int by_start(const void *a, const void *b) {
    return by_time(&((const struct packet_at *)a)->start_s,
                   &((const struct packet_at *)b)->start_s);
}

/* The matcher alone, that is given bursts by hand. */
struct listener {
    struct uw_detector_config config;
    struct uw_detector *detector;
    struct uw_hopper *hopper;
};

static void listener_open(struct listener *l, const struct uw_sigdb *db, size_t n_centres,
                          void (*emit)(void *userdata, struct uw_finding *f), void *userdata) {
    static const struct uw_detector_ops ops = {.finding = on_finding, .progress = on_progress};

    l->config = (struct uw_detector_config){
        .rate_hz = 2.4e6, .freq_hz = 915e6, .format = UW_IQ_CU8, .n_centres = n_centres, .db = db};
    assert_int_equal(uw_detector_new(&l->config, &ops, NULL, &l->detector), 0);
    struct uw_matcher_env env = {.config = &l->config,
                                 .front = (struct uw_front *)uw_detector_front(l->detector),
                                 .emit = emit,
                                 .userdata = userdata};
    assert_int_equal(uw_hopper_new(&env, &l->hopper), 0);
}

static void listener_close(struct listener *l) {
    uw_hopper_free(l->hopper);
    uw_detector_free(l->detector);
}

/* A burst 120 kHz wide, if it lies in the band. */
static void listener_burst(struct listener *l, double start_s, double length_s, double offset_hz,
                           double power_db) {
    struct uw_burst b = {.start = (uint64_t)(start_s * 2.4e6),
                         .stop = (uint64_t)((start_s + length_s) * 2.4e6),
                         .lower_hz = offset_hz - 60e3,
                         .upper_hz = offset_hz + 60e3,
                         .centre_hz = offset_hz,
                         .snr_db = 20.0,
                         .power_dbfs = power_db};

    if (fabs(offset_hz) < 1e6)
        (void)uw_matcher_hopper.burst(l->hopper, &b);
    uw_matcher_hopper.progress(l->hopper, b.stop + 6000);
}

/* Bursts of senders straight to the matcher. */
static void hear(const struct uw_sigdb *db, const struct sender *senders, size_t n, double seconds,
                 uint64_t seed, struct numbers *ret) {
    struct packet_at *packets = calloc(100000, sizeof(*packets));
    struct listener l;
    size_t n_packets = 0;

    assert_non_null(packets);
    state = seed;
    *ret = (struct numbers){0};
    for (size_t i = 0; i < n; ++i) {
        const struct sender *s = &senders[i];

        for (double hop = s->from_s + s->phase_s; hop < s->to_s; hop += s->hop_s) {
            double offset = any_channel();

            for (int k = 0; k < (int)round(s->hop_s / s->packet_s); ++k) {
                if (fabs(offset) < 1e6)
                    packets[n_packets++] =
                        (struct packet_at){hop + k * s->packet_s + 60e-6 * (2.0 * uniform() - 1.0),
                                           offset + 1e3 * normal(), s->power_db + 0.2 * normal()};
                assert_true(n_packets < 100000);
            }
        }
    }
    qsort(packets, n_packets, sizeof(*packets), by_start);
    listener_open(&l, db, 1, count_emit, ret);
    for (size_t i = 0; i < n_packets && packets[i].start_s < seconds; ++i)
        listener_burst(&l, packets[i].start_s, 2.1e-3, packets[i].offset_hz, packets[i].power_db);
    listener_close(&l);
    free(packets);
}

/* Links of several packets a hop are one each, for as long as they are there. */
static void test_several_packets_a_hop(void **unused) {
    struct uw_sigdb *db = trial_db(UW_SIGNATURES);
    int heard = 0;

    (void)unused;
    for (uint64_t seed = 1; seed <= 8; ++seed) {
        /* crystals 6 ppm apart: 0.1 ms in 20 s */
        const struct sender senders[] = {
            {21.0e-3, 7.0e-3, 3.0e-3, -30.0, 0.0, 20.0},
            {21.000126e-3, 7.000042e-3, 4.2e-3 + 0.9e-3 * (double)(seed % 4), -31.5, 0.0, 20.0}};
        struct numbers numbers;

        hear(db, senders, 2, 20.0, seed, &numbers);
        for (size_t i = 0; i < numbers.n; ++i) {
            assert_true(fabs(numbers.period_s[i] / 21.0e-3 - 1.0) < 1e-3);
            assert_true(numbers.last_s[i] > 18.5);
        }
        assert_true(numbers.n <= 2);
        heard += (int)numbers.n;
    }
    print_message("two of one make, three packets a hop: %d of 16 heard\n", heard);
    assert_true(heard >= 12);
    uw_sigdb_free(db);
}

/* Bursts of like length at any time, which become stronger until they are within 4 dB of a link, do
 * not silence it. */
static void test_others_rise(void **unused) {
    struct uw_sigdb *db = trial_db(UW_SIGNATURES);
    struct numbers numbers = {0};
    struct listener l;
    double other_s = 0.0;

    (void)unused;
    state = 1;
    listener_open(&l, db, 1, count_emit, &numbers);
    for (int k = 0; k < 9000; ++k) {
        double at_s = 0.1 + 6.6667e-3 * k;
        double offset = any_channel();

        for (; other_s < at_s; other_s -= log(uniform() + 1e-12) / 160.0)
            listener_burst(&l, other_s, 2.1e-3, -900e3 + 200e3 * floor(10.0 * uniform()),
                           -38.0 + 4.5 * fmin(fmax((at_s - 20.0) / 10.0, 0.0), 1.0) +
                               0.2 * normal());
        listener_burst(&l, at_s + 60e-6 * (2.0 * uniform() - 1.0), 2.1e-3, offset + 1e3 * normal(),
                       -30.0 + 0.2 * normal());
    }
    listener_close(&l);
    assert_int_equal(numbers.n, 1);
    assert_true(numbers.last_s[0] > 58.0);
    uw_sigdb_free(db);
}

/* One sender, of whose weak bursts many are heard in part only, is one, for as long as it is there.
 */
static void test_pieces(void **unused) {
    struct uw_sigdb *db = trial_db(UW_SIGNATURES);

    (void)unused;
    for (uint64_t seed = 1; seed <= 8; ++seed) {
        /* up to more than half a period late */
        double piece_s = seed % 2 ? 2.5e-3 : 5.5e-3;
        struct numbers numbers = {0};
        struct listener l;

        state = seed;
        listener_open(&l, db, 1, count_emit, &numbers);
        for (int k = 0; k < 4000; ++k) {
            double offset = any_channel();
            double late_s = (uniform() < 0.4 ? piece_s : 0.0) + 0.05e-3 * normal();

            listener_burst(&l, 0.1 + 10e-3 * k + late_s, piece_s + 4e-3 - late_s,
                           offset + 5e3 * normal(), -43.0 + 0.4 * normal());
        }
        listener_close(&l);
        assert_int_equal(numbers.n, 1);
        assert_true(numbers.last_s[0] > 37.0);
    }
    uw_sigdb_free(db);
}

/* A packet of the sender, or its image. */
static struct uw_packet make_mirrored(bool is_image, double start_s, double offset_hz,
                                      double power_db) {
    return (struct uw_packet){
        .modulation = UW_SIG_LORA,
        .sf = 7,
        .down = is_image,
        .bandwidth_hz = 250e3,
        .start = start_s * 2.4e6,
        .stop = (start_s + 5e-3) * 2.4e6,
        .start_error_s = 5e-6,
        .offset_hz = offset_hz + 200.0 * normal(),
        .power_dbfs = power_db,
    };
}

/* A tuner's image goes on for its sender where the sender's own bursts make no train for a while,
 * here as their levels vary, after ten seconds or always: one number. On a lattice of its own it is
 * another sender. */
static void test_image(void **unused) {
    static const double varies_s[] = {10.0, 0.0, 1e3};
    static const size_t senders[] = {1, 1, 2};
    struct uw_sigdb *db = trial_db(UW_SIGNATURES);

    (void)unused;
    for (int i = 0; i < 3; ++i) {
        struct numbers numbers = {0};
        struct listener l;

        state = 7;
        listener_open(&l, db, 1, count_emit, &numbers);
        for (int k = 0; k < 2800; ++k) {
            double start = 0.1 + 14e-3 * k;
            double offset = any_channel();
            double spread_db = start > varies_s[i] ? 3.0 : 0.3;
            bool is_image = fabs(offset) > 1e6;

            if (is_image && i == 2)
                start += 4e-3 + 3e-6 * k;
            struct uw_packet p = make_mirrored(
                is_image, start, is_image ? offset - 3e6 * copysign(1.0, offset) : offset,
                is_image ? -36.0 + 0.3 * normal() : -6.0 + spread_db * normal());
            if (fabs(p.offset_hz) < 1e6)
                uw_hopper_packet(l.hopper, &p);
            uw_matcher_hopper.progress(l.hopper, (uint64_t)p.stop + 6000);
        }
        listener_close(&l);
        assert_int_equal(numbers.n, senders[i]);
        for (size_t k = 0; k < numbers.n; ++k)
            assert_true(numbers.last_s[k] > 35.0);
    }
    uw_sigdb_free(db);
}

/* A hopper whose train has most of its bursts from another that stays on a channel, as strong as
 * it: it is taken apart. */
static void test_beside_one_that_stays(void **unused) {
    struct uw_sigdb *db = trial_db(UW_SIGNATURES);
    struct numbers numbers = {0};
    struct listener l;
    double other_s = 0.0;

    (void)unused;
    state = 3;
    listener_open(&l, db, 1, count_emit, &numbers);
    for (int k = 0; k < 2400; ++k) {
        double at_s = 0.1 + 8e-3 * k;

        for (; other_s < at_s; other_s += 20.3e-3)
            listener_burst(&l, other_s, 2.1e-3, 310e3 + 1e3 * normal(), -30.0 + 0.2 * normal());
        listener_burst(&l, at_s + 60e-6 * (2.0 * uniform() - 1.0), 2.1e-3,
                       any_channel() + 1e3 * normal(), -30.0 + 0.2 * normal());
    }
    listener_close(&l);
    assert_int_equal(numbers.n, 1);
    assert_true(fabs(numbers.period_s[0] / 8e-3 - 1.0) < 1e-3);
    assert_true(numbers.last_s[0] > 17.0);
    uw_sigdb_free(db);
}

/* A link's name that is hardly likelier than noise does not silence what hops beside it. */
static void test_poor_name(void **unused) {
    struct uw_sigdb *db = trial_db(UW_SIGNATURES);
    const struct uw_signature *named = uw_sigdb_find(db, "expresslrs-900");

    (void)unused;
    for (int good = 0; good < 2; ++good) {
        struct numbers numbers = {0};
        struct listener l;

        state = 9;
        listener_open(&l, db, 1, count_emit, &numbers);
        for (int k = 0; k < 800; ++k) {
            double start = 0.1 + 14e-3 * k;
            struct uw_finding f = {
                .signature = named,
                .stop = (uint64_t)(start * 2.4e6),
                .period_s = 1e-3,
                .hop_interval_s = 2e-3,
                .confidence = good ? 0.6 : 0.05,
            };

            uw_hopper_named(l.hopper, &f);
            listener_burst(&l, start + 60e-6 * (2.0 * uniform() - 1.0), 2.1e-3,
                           any_channel() + 1e3 * normal(), -30.0 + 0.2 * normal());
        }
        listener_close(&l);
        assert_int_equal(numbers.n, !good);
    }
    uw_sigdb_free(db);
}

/* A link of several packets a hop of which a third is lost: what is regular is then its packets,
 * and those of a hop are on one channel. */
static void test_lossy_hops(void **unused) {
    struct uw_sigdb *db = trial_db(UW_SIGNATURES);

    (void)unused;
    for (int packets = 2; packets <= 4; ++packets) {
        struct numbers numbers = {0};
        struct listener l;

        state = 3;
        listener_open(&l, db, 1, count_emit, &numbers);
        for (double hop_s = 0.1; hop_s < 30.0; hop_s += 7e-3 * packets) {
            double offset = any_channel();

            for (int k = 0; k < packets; ++k) {
                double start_s = hop_s + 7e-3 * k + 60e-6 * (2.0 * uniform() - 1.0);

                if (uniform() < 0.7)
                    listener_burst(&l, start_s, 2.1e-3, offset + 1e3 * normal(),
                                   -30.0 + 0.2 * normal());
            }
        }
        listener_close(&l);
        assert_int_equal(numbers.n, 1);
        assert_true(numbers.last_s[0] > 27.0);
    }
    uw_sigdb_free(db);
}

/* They go and others come, again and again: each is heard. */
static void test_leave_and_return(void **unused) {
    struct uw_sigdb *db = trial_db(UW_SIGNATURES);
    struct sender senders[8];
    struct numbers numbers;

    (void)unused;
    for (int i = 0; i < 8; ++i)
        senders[i] = (struct sender){6.6667e-3,     6.6667e-3,      2.3e-3 * (i % 2),
                                     -30.0 - i % 2, 20.0 * (i / 2), 20.0 * (i / 2) + 8.0};
    hear(db, senders, 8, 80.0, 5, &numbers);
    assert_int_equal(numbers.n, 8);
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

struct heard {
    int n_findings;
    uint64_t emitter;
};

static void on_emit(void *userdata, struct uw_finding *f) {
    struct heard *heard = userdata;

    assert_true(heard->n_findings == 0 || f->emitter == heard->emitter);
    heard->emitter = f->emitter;
    ++heard->n_findings;
}

/* A receiver that goes round three centres hears one link as one, at any of them. */
static void test_walk(void **unused) {
    struct uw_sigdb *db = trial_db(UW_SIGNATURES);
    struct heard heard = {0};
    struct listener l;
    double centre = 0.0;

    (void)unused;
    listener_open(&l, db, 3, on_emit, &heard);
    state = 23;
    for (int k = 0; k < 1500; ++k) {
        double start = 0.01 + 6.6667e-3 * k;
        double now_centre = 1.07e6 * ((k / 90) % 3); /* 0.6 s each; no multiple of the raster */
        double offset = any_channel() + 1e3 * normal() - now_centre;

        if (now_centre != centre)
            uw_matcher_hopper.retune(l.hopper, now_centre - centre);
        centre = now_centre;
        l.config.freq_hz = 915e6 + centre;
        listener_burst(&l, start, 2.9e-3, offset, -30.0 + 0.2 * normal());
    }
    assert_true(heard.n_findings >= 8);
    listener_close(&l);
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
        cmocka_unit_test(test_several_packets_a_hop),
        cmocka_unit_test(test_others_rise),
        cmocka_unit_test(test_lossy_hops),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_image),
        cmocka_unit_test(test_beside_one_that_stays),
        cmocka_unit_test(test_poor_name),
        cmocka_unit_test(test_leave_and_return),
        cmocka_unit_test(test_raster),
        cmocka_unit_test(test_judge),
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_carriers),
        cmocka_unit_test(test_detector),
        cmocka_unit_test(test_yields),
        cmocka_unit_test(test_beside_a_name),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_several_names),
        cmocka_unit_test(test_impulse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
