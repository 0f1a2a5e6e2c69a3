/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The hop law, packet timing, clocks, and that receivers agree. */

#include "synth-testing.h"

struct law {
    const char *variant, *domain;
    int n_channels, sequence;
    double sync_hz, lowest_hz, step_hz, period_s, toa_s;
    int per_hop;
};

static const struct law laws[] = {
    {"200Hz", "FCC915", 40, 240, 915.5e6, 903.5e6, 600e3, 5e-3, 4380e-6, 4},
    {"100HzFull", "AU915", 20, 240, 921.5e6, 915.5e6, 600e3, 10e-3, 6690e-6, 4},
    {"100Hz", "EU868", 13, 247, 866.425e6, 863.275e6, 525e3, 10e-3, 8770e-6, 4},
    {"50Hz", "EU868-3.x", 13, 247, 867.425e6, 865.275e6, 4.3e6 / 12, 20e-3, 18560e-6, 4},
    {"25Hz", "IN866", 4, 256, 866.425e6, 865.375e6, 525e3, 40e-3, 29950e-6, 2},
    {"D50", "TH920", 8, 256, 922.9e6, 920.5e6, 600e3, 5e-3, 4380e-6, 2},
    {"250Hz", "EU433", 3, 255, 433.775e6, 433.1e6, 675e3, 4e-3, 3216e-6, 4},
    {"200HzFull", "AU433", 3, 255, 433.92e6, 433.42e6, 500e3, 5e-3, 4240e-6, 4},
    {"X100Full", "US433", 8, 256, 435.964286e6, 433.25e6, 4.75e6 / 7, 10e-3, 7456e-6, 4},
    {"X150", "US433W", 20, 240, 431.131579e6, 423.5e6, 14.5e6 / 19, 6666e-6, 5871e-6, 4},
    {"K1000Full", "FCC915", 40, 240, 915.5e6, 903.5e6, 600e3, 1e-3, 658e-6, 2},
    {"500Hz", "ISM2G4", 80, 240, 2440.4e6, 2400.4e6, 1e6, 2e-3, 1507e-6, 4},
    {"333HzFull", "ISM2G4", 80, 240, 2440.4e6, 2400.4e6, 1e6, 3003e-6, 2374e-6, 4},
    {"250Hz", "ISM2G4", 80, 240, 2440.4e6, 2400.4e6, 1e6, 4e-3, 3300e-6, 4},
    {"150Hz", "ISM2G4", 80, 240, 2440.4e6, 2400.4e6, 1e6, 6666e-6, 5871e-6, 4},
    {"100HzFull", "ISM2G4", 80, 240, 2440.4e6, 2400.4e6, 1e6, 10e-3, 7605e-6, 4},
    {"50Hz", "ISM2G4", 80, 240, 2440.4e6, 2400.4e6, 1e6, 20e-3, 10798e-6, 2},
    {"F1000", "ISM2G4", 80, 240, 2440.4e6, 2400.4e6, 1e6, 1e-3, 389e-6, 2},
    {"F500", "ISM2G4", 80, 240, 2440.4e6, 2400.4e6, 1e6, 2e-3, 389e-6, 2},
    {"D500", "ISM2G4", 80, 240, 2440.4e6, 2400.4e6, 1e6, 1e-3, 389e-6, 2},
    {"D250", "ISM2G4", 80, 240, 2440.4e6, 2400.4e6, 1e6, 1e-3, 389e-6, 2},
    {"K1000", "ISM2G4", 80, 240, 2440.4e6, 2400.4e6, 1e6, 1e-3, 690e-6, 2},
};

static void check_law(const struct law *law) {
    struct uw_scenario *s =
        make_scenario(2e6, 915e6, 2.05 * law->sequence * law->per_hop * law->period_s);
    struct uw_synth_emitter *e = add_elrs(s, law->variant, law->domain);
    e->phase = 0;
    struct truth t = read_truth(s, 0);
    size_t n_hops = t.n / (size_t)law->per_hop;
    assert_true(n_hops >= 2 * (size_t)law->sequence);
    double longest = law->period_s < 4e-3 ? 0.16e-3 : 1.05e-3; /* a symbol */
    int counts[80] = {0};
    for (size_t i = 0; i < n_hops * (size_t)law->per_hop; i++) {
        const struct uw_synth_burst *b = &t.bursts[i],
                                    *first = &t.bursts[i - i % (size_t)law->per_hop];
        double hz = 0.5 * (b->lower_hz + b->upper_hz);
        assert_int_equal(b->channel, first->channel);
        assert_true(fabs(b->start - (double)i * law->period_s * 2e6) < 1e-3);
        assert_true(fabs(b->count / 2e6 - law->toa_s) < longest);
        assert_true(fabs(hz - law->lowest_hz - b->channel * law->step_hz) < 0.5);
    }
    for (size_t hop = 0; hop < n_hops; hop++) {
        const struct uw_synth_burst *b = &t.bursts[hop * (size_t)law->per_hop];
        size_t place = hop % (size_t)law->sequence, n = (size_t)law->n_channels;
        if (place % n == 0) {
            assert_true(fabs(0.5 * (b->lower_hz + b->upper_hz) - law->sync_hz) < 1);
            memset(counts, 0, sizeof(counts));
        }
        assert_int_equal(counts[b->channel]++, 0); /* once in a block */
        if (hop > 0)
            assert_int_not_equal(b->channel, b[-law->per_hop].channel);
        if (hop >= (size_t)law->sequence)
            assert_int_equal(b->channel, b[-law->per_hop * law->sequence].channel);
    }
    free(t.bursts);
    uw_scenario_free(s);
}

static void test_laws(void **state) {
    (void)state;
    for (size_t i = 0; i < UW_ARRAY_SIZE(laws); i++)
        check_law(&laws[i]);
}

/* Blocks are in random order, and the seed decides. */
static void test_seeds(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(2e6, 915e6, 5);
    struct uw_synth_emitter *e = add_elrs(s, "200Hz", "FCC915");
    e->phase = 0;
    struct truth a = read_truth(s, 0), again = read_truth(s, 0);
    s->seed = 2;
    struct truth b = read_truth(s, 0);
    e->hop_seed = 77;
    struct truth c = read_truth(s, 0);
    s->seed = 3;
    struct truth d = read_truth(s, 0);
    int ab = 0, within = 0;
    for (size_t i = 0; i < 160 * 4; i++) {
        assert_int_equal(a.bursts[i].channel, again.bursts[i].channel);
        assert_int_equal(c.bursts[i].channel, d.bursts[i].channel);
        ab += a.bursts[i].channel == b.bursts[i].channel;
        within += a.bursts[i].channel == a.bursts[i + 160].channel;
    }
    assert_true(ab < 100 && within < 100); /* by chance one in 39, and the sync channel */
    struct truth all[] = {a, again, b, c, d};
    for (size_t i = 0; i < UW_ARRAY_SIZE(all); i++)
        free(all[i].bursts);
    uw_scenario_free(s);
}

/* One packet in 64 from the aircraft, with its own level and crystal, in the link's timing. */
static void test_telemetry(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(2e6, 915e6, 10);
    struct uw_synth_emitter *e = add_elrs(s, "200Hz", "FCC915");
    e->level_is_dbfs = false;
    e->level_db = 10;
    e->telemetry_db = -7;
    e->telemetry_ppm = 20;
    struct truth t = read_truth(s, 0);
    int aircraft = 0;
    for (size_t i = 0; i < t.n; i++) {
        const struct uw_synth_burst *b = &t.bursts[i];
        bool down = b->end == UW_SYNTH_AIRCRAFT;
        double hz = 903.5e6 + b->channel * 600e3,
               ppm = (0.5 * (b->lower_hz + b->upper_hz) / hz - 1) * 1e6;
        aircraft += down;
        assert_true(fabs(b->snr_db - (down ? 3 : 10)) < 1e-6);
        assert_true(fabs(ppm - (down ? 20 : 0)) < 0.01);
        assert_true(i == 0 || fabs(b->start - b[-1].start - 10000) < 1e-3);
    }
    assert_int_equal(aircraft, (int)(t.n / 64));
    e->telemetry_ratio = 0;
    struct truth none = read_truth(s, 0);
    for (size_t i = 0; i < none.n; i++)
        assert_int_equal(none.bursts[i].end, UW_SYNTH_HANDSET);
    free(t.bursts);
    free(none.bursts);
    uw_scenario_free(s);
}

static void test_gemini(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(2e6, 915e6, 2);
    add_elrs(s, "200Hz", "FCC915")->gemini = true;
    struct truth t = read_truth(s, 0);
    assert_true(t.n > 700);
    for (size_t i = 0; i + 1 < t.n; i += 2) {
        const struct uw_synth_burst *b = &t.bursts[i];
        assert_true(fabs(b[0].start - b[1].start) < 1e-9);
        assert_int_equal((b[0].channel + 20) % 40, b[1].channel);
    }
    free(t.bursts);
    uw_scenario_free(s);
}

/* A crystal moves carrier and clock, the sender's as well as the receiver's. */
static void test_ppm(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(2e6, 915e6, 4);
    struct uw_synth_emitter *e = add_elrs(s, "200Hz", "FCC915");
    e->phase = 0;
    struct truth ideal = read_truth(s, 0);
    s->receivers[0].ppm = 50;
    e->ppm = -20;
    struct truth t = read_truth(s, 0);
    for (size_t i = 0; i < 700; i++) {
        const struct uw_synth_burst *a = &ideal.bursts[i], *b = &t.bursts[i];
        double up = 1 + 50e-6, down = 1 - 20e-6;
        assert_true(fabs(b->start - a->start * up / down) < 1e-3);
        if (b->end == UW_SYNTH_HANDSET) /* the aircraft's crystal is right */
            assert_true(fabs(b->count - a->count * up / down) < 1e-3);
        double fa = 0.5 * (a->lower_hz + a->upper_hz), fb = 0.5 * (b->lower_hz + b->upper_hz);
        double sent = b->end == UW_SYNTH_HANDSET ? fa * down : fa;
        assert_true(fabs(fb - (915e6 + (sent - 915e6 * up) / up)) < 1e-3);
    }
    free(ideal.bursts);
    free(t.bursts);
    uw_scenario_free(s);
}

/* Two receivers: one schedule, each with its own level. */
static void test_receivers_agree(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(2e6, 915e6, 8);
    s->receivers[1] = s->receivers[0];
    s->n_receivers = 2;
    s->receivers[1].rate_hz = 4e6;
    s->receivers[1].levels_db[1] = -9;
    s->receivers[0].noise_dbfs = s->receivers[1].noise_dbfs = -30;
    add_elrs(s, "100Hz", "FCC915")->level_is_dbfs = false;
    struct uw_synth_emitter *e = add_emitter(s, UW_SYNTH_LORAWAN);
    e->level_is_dbfs = false;
    e->interval_s = 5;
    snprintf(e->domain, sizeof(e->domain), "US915");
    struct truth a = read_truth(s, 0), b = read_truth(s, 1);
    assert_int_equal(a.n, b.n);
    int sensors = 0;
    for (size_t i = 0; i < a.n; i++) {
        const struct uw_synth_burst *p = &a.bursts[i], *q = &b.bursts[i];
        assert_int_equal(p->emitter, q->emitter);
        assert_int_equal(p->channel, q->channel);
        assert_true(fabs(2 * p->start - q->start) < 1e-6);
        assert_true(fabs(p->snr_db - q->snr_db - (p->emitter == 1 ? 9 : 0)) < 1e-6);
        assert_true(i == 0 || p->start >= p[-1].start); /* in time order */
        sensors += p->emitter;
    }
    assert_true(sensors > 20 && sensors < 80); /* 20 nodes, 8 s, 5 s apart, a fifth answered */
    free(a.bursts);
    free(b.bursts);
    uw_scenario_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_laws),      cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_telemetry), cmocka_unit_test(test_gemini),
        cmocka_unit_test(test_ppm),       cmocka_unit_test(test_receivers_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
