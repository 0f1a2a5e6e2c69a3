/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The whole detector: order of findings and progress, equality whatever the blocks, and that every
 * ExpressLRS LoRa rate is alerted under its own name while its look-alikes are not
 */

#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trial.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/util.h"

#define ALERT_LLR 14.8
#define FINDINGS  4096

struct written {
    size_t n;
    struct uw_finding findings[FINDINGS];
    uint64_t progress;
    size_t n_progress;
};

static struct uw_sigdb *db;
static struct written one, two;

static int load(void **state) {
    (void)state;
    db = trial_db(UW_SIGNATURES);
    return 0;
}

static int unload(void **state) {
    (void)state;
    db = uw_sigdb_free(db);
    return 0;
}

static struct uw_scenario *scenario(double seconds, double freq_hz, uint64_t seed) {
    struct uw_scenario *s = NULL;

    assert_int_equal(uw_scenario_new(&s), 0);
    s->duration_s = seconds;
    s->seed = seed;
    s->n_receivers = 1;
    uw_synth_receiver_init(&s->receivers[0]);
    assert_true(uw_str_copy(s->receivers[0].name, sizeof(s->receivers[0].name), "rx0"));
    s->receivers[0].rate_hz = 2.4e6;
    s->receivers[0].freq_hz = freq_hz;
    s->receivers[0].format = UW_IQ_CU8;
    s->receivers[0].noise_dbfs = -30.0;
    s->receivers[0].ppm = 60.0 * sin(12.9898 * (double)seed + 1.0);
    return s;
}

static struct uw_synth_emitter *add(struct uw_scenario *s, enum uw_synth_link link,
                                    const char *variant, const char *domain, double snr_db) {
    struct uw_synth_emitter *e = &s->emitters[s->n_emitters++];

    uw_synth_emitter_init(e, link);
    (void)snprintf(e->name, sizeof(e->name), "e%d", s->n_emitters);
    (void)snprintf(e->variant, sizeof(e->variant), "%s", variant);
    (void)snprintf(e->domain, sizeof(e->domain), "%s", domain);
    e->level_db = snr_db;
    return e;
}

static void on_finding(void *userdata, const struct uw_finding *f) {
    struct written *w = userdata;

    assert_true(w->n < FINDINGS);
    assert_true(f->start <= f->stop && f->stop >= w->progress); /* never behind a progress */
    if (w->n > 0)
        assert_true(f->stop >= w->findings[w->n - 1].stop);
    assert_true(isfinite(f->llr) && isfinite(f->freq_hz) && isfinite(f->power_dbfs));
    assert_true(f->confidence >= 0.0 && f->confidence <= 1.0 && f->emitter > 0);
    assert_true(!f->alertable || f->signature->drone);
    w->findings[w->n++] = *f;
}

static void on_progress(void *userdata, uint64_t sample) {
    struct written *w = userdata;

    assert_true(sample >= w->progress);
    w->progress = sample;
    ++w->n_progress;
}

/* All samples of a scenario, in blocks of `block`; 0: of any size. */
static uint64_t listen(const struct uw_scenario *s, size_t block, struct written *w) {
    static const struct uw_detector_ops ops = {.finding = on_finding, .progress = on_progress};
    const struct uw_detector_config config = {
        .rate_hz = s->receivers[0].rate_hz,
        .freq_hz = s->receivers[0].freq_hz,
        .format = UW_IQ_CU8,
        .db = db,
    };
    struct uw_detector *d = NULL;
    struct uw_synth *synth = NULL;
    struct uw_diag diag = {0};
    unsigned char *buf = malloc(2 * 100000);
    uint64_t total = 0;
    size_t got = 1;

    memset(w, 0, sizeof(*w));
    assert_non_null(buf);
    assert_int_equal(uw_synth_new(s, 0, &diag, &synth), 0);
    assert_int_equal(uw_detector_new(&config, &ops, w, &d), 0);
    for (int i = 0; got > 0; ++i) {
        const size_t n = block ? block : (size_t)(1 + 7919 * i % 99991);

        assert_int_equal(uw_synth_read(synth, buf, n, &got), 0);
        uw_detector_push(d, buf, got);
        total += got;
        assert_true(w->progress <= total);
    }
    uw_detector_flush(d);
    assert_true(w->progress == total);
    uw_detector_free(d);
    uw_synth_free(synth);
    free(buf);
    return total;
}

static bool same_double(double a, double b) {
    return a == b || (isnan(a) && isnan(b));
}

/* Order and progress are checked as they come; and blocks change nothing. */
static void test_order_and_blocks(void **state) {
    struct uw_scenario *s = scenario(1.2, 915.0e6, 3);

    (void)state;
    add(s, UW_SYNTH_EXPRESSLRS, "200Hz", "FCC915", 10.0);
    add(s, UW_SYNTH_EXPRESSLRS, "100Hz", "FCC915", 15.0);
    add(s, UW_SYNTH_EXPRESSLRS, "K1000Full", "FCC915", 25.0); /* FSK: another matcher */
    add(s, UW_SYNTH_LORAWAN, "", "US915", 15.0)->interval_s = 0.3;
    (void)listen(s, 65536, &one);
    (void)listen(s, 0, &two);
    print_message("%zu findings, %zu times progress\n", one.n, one.n_progress);
    assert_true(one.n >= 4 && one.n_progress >= 5);
    assert_int_equal(one.n, two.n);
    assert_int_equal(one.n_progress, two.n_progress);
    for (size_t i = 0; i < one.n; ++i) {
        const struct uw_finding *a = &one.findings[i];
        const struct uw_finding *b = &two.findings[i];

        assert_true(a->signature == b->signature && a->emitter == b->emitter);
        assert_true(a->variant == b->variant && a->domain == b->domain && a->rule == b->rule);
        assert_true(a->start == b->start && a->stop == b->stop && a->llr == b->llr);
        assert_true(a->freq_hz == b->freq_hz && a->snr_db == b->snr_db);
        assert_true(a->power_dbfs == b->power_dbfs && a->confidence == b->confidence);
        assert_true(a->bursts == b->bursts && a->dwells == b->dwells);
        assert_true(same_double(a->period_s, b->period_s) && same_double(a->score, b->score));
        assert_true(same_double(a->grid_error_hz, b->grid_error_hz) &&
                    a->alertable == b->alertable);
    }
    uw_scenario_free(s);
}

/* Nothing in, nothing out; and gaps keep the numbers. */
static void test_gap(void **state) {
    static const struct uw_detector_ops ops = {.finding = on_finding, .progress = on_progress};
    const struct uw_detector_config config = {
        .rate_hz = 2.4e6, .freq_hz = NAN, .format = UW_IQ_CU8, .db = db};
    static unsigned char silence[200000];
    struct uw_detector *d = NULL;

    (void)state;
    memset(silence, 127, sizeof(silence));
    memset(&one, 0, sizeof(one));
    assert_int_equal(uw_detector_new(&config, &ops, &one, &d), 0);
    uw_detector_flush(d);
    uw_detector_gap(d, 1000000);
    for (int i = 0; i < 10; ++i)
        uw_detector_push(d, silence, 100000);
    uw_detector_gap(d, 5);
    uw_detector_push(d, silence, 100000);
    uw_detector_flush(d);
    assert_int_equal(one.progress, 1000000 + 1000000 + 5 + 100000);
    assert_int_equal(one.n, 0);
    uw_detector_free(d);
}

struct rate {
    const char *name;
    double seconds;
};

/* Each air rate at +3 dB in 500 kHz, on 4 of the plan's 40 channels: alerted under its name. */
static void test_every_rate(void **state) {
    static const struct rate rates[] = {
        {"200Hz", 3.0}, {"100HzFull", 3.0}, {"100Hz", 3.0}, {"50Hz", 6.0},      {"25Hz", 8.0},
        {"D50", 3.0},   {"250Hz", 3.0},     {"X150", 3.0},  {"200HzFull", 3.0}, {"X100Full", 3.0},
    };
    const int n_rates = sizeof(rates) / sizeof(rates[0]);
    int n_alerts = 0;
    int n_named = 0;

    (void)state;
    for (int i = 0; i < 3 * n_rates; ++i) {
        const struct rate *rate = &rates[i % n_rates];
        struct uw_scenario *s = scenario(rate->seconds, 915.0e6, 1 + (uint64_t)i);
        struct trial t;

        add(s, UW_SYNTH_EXPRESSLRS, rate->name, "FCC915", 3.0)->ppm = 15.0;
        trial_run(s, db, ALERT_LLR, true, &t);
        const struct trial_emitter *a = trial_alert(&t);
        print_message("%s: alert after %.2f s, %s\n", rate->name, a ? a->alert_s : NAN,
                      a && a->variant ? a->variant : "-");
        if (a) {
            assert_string_equal(a->signature->id, "expresslrs-900");
            if (a->variant)
                assert_string_equal(a->variant, rate->name);
            if (a->domain)
                assert_string_equal(a->domain, "FCC915");
            ++n_alerts;
            n_named += a->variant != NULL;
        }
        uw_scenario_free(s);
    }
    /* some may be late: hops out of the band */
    assert_true(n_alerts >= 3 * n_rates - 2 && n_named >= 3 * n_rates - 3);
}

struct near {
    const char *rate, *domain, *id;
    double seconds, rate_hz, freq_hz;
};

/* A drone beside the receiver, which shows no more than full scale (some +37 dB at 2.4 MS/s): as
 * harmonics of its packets fill the band, they are heard all the same, as one link. */
static void test_clipped(void **state) {
    static const struct near links[] = {
        {"200Hz", "FCC915", "expresslrs-900", 3.0, 2.4e6, 915e6},
        {"25Hz", "FCC915", "expresslrs-900", 8.0, 2.4e6, 915e6},
        {"D50", "FCC915", "expresslrs-900", 3.0, 2.4e6, 915e6},
        {"K1000Full", "FCC915", "expresslrs-900", 2.0, 2.4e6, 915e6},
        {"F500", "ISM2G4", "expresslrs-2g4", 1.5, 10e6, 2440e6},
    };

    (void)state;
    for (size_t i = 0; i < 2 * UW_ARRAY_SIZE(links); ++i) {
        const struct near *l = &links[i / 2];
        const double snr_db = i % 2 ? 54.0 : 44.0;
        struct uw_scenario *s = scenario(l->seconds, l->freq_hz, 40 + (uint64_t)i);
        struct trial t;

        s->receivers[0].rate_hz = l->rate_hz;
        add(s, UW_SYNTH_EXPRESSLRS, l->rate, l->domain, snr_db)->ppm = 15.0;
        trial_run(s, db, ALERT_LLR, false, &t);
        const struct trial_emitter *a = trial_alert(&t);
        print_message("%s at %.0f dB: alert after %.2f s, %s\n", l->rate, snr_db,
                      a ? a->alert_s : NAN, a && a->variant ? a->variant : "-");
        assert_int_equal(trial_n_alerts(&t), 1);
        assert_string_equal(a->signature->id, l->id);
        assert_true(!a->variant || strcmp(a->variant, l->rate) == 0);
        uw_scenario_free(s);
    }
}

static void expect_silence(struct uw_scenario *s, const char *what) {
    struct trial t;

    trial_run(s, db, ALERT_LLR, false, &t);
    print_message("%s: %lld findings, %d alerts\n", what, (long long)t.n_findings,
                  trial_n_alerts(&t));
    assert_int_equal(trial_n_alerts(&t), 0);
    assert_true(t.n_findings > 0); /* it was heard */
    uw_scenario_free(s);
}

static void test_look_alikes(void **state) {
    struct uw_scenario *s = scenario(4.0, 924.5e6, 7);

    (void)state;
    struct uw_synth_emitter *e = add(s, UW_SYNTH_LORAWAN, "", "US915", 12.0);
    e->interval_s = 0.25;
    e->wide_share = 0.8;
    e->downlinks = 1.0; /* 500 kHz, on ExpressLRS channels */
    e->nodes = 8;
    expect_silence(s, "lorawan US915");
    s = scenario(4.0, 867.8e6, 8);
    e = add(s, UW_SYNTH_LORAWAN, "", "EU868", 12.0);
    e->nodes = 8;
    e->interval_s = 1.0;
    e->sf_min = 7;
    e->sf_max = 9;
    expect_silence(s, "lorawan EU868");
    s = scenario(4.0, 915.0e6, 9);
    e = add(s, UW_SYNTH_MESHTASTIC, "SHORT_TURBO", "", 12.0);
    e->nodes = 3;
    e->interval_s = 0.4;
    e->channels_hz[0] = 915.25e6;
    e->n_channels = 1;
    expect_silence(s, "meshtastic ShortTurbo");
}

/* Findings of ExpressLRS on a train with the times and channels of an FSK link's packets. */
static int findings_on_train(enum uw_synth_link link) {
    struct uw_scenario *s = scenario(3.0, 915.0e6, 11);
    struct uw_synth_emitter *e = add(s, link, "", "", 20.0);
    struct trial t;
    int n = 0;

    e->baud = link == UW_SYNTH_OOK ? 80e3 : 300e3;
    e->depth = 0.9;
    e->deviation_hz = 100e3;
    e->bt = 0.5;
    e->burst_s = 658e-6;
    e->interval_s = 1e-3;
    e->packets_per_hop = 2;
    e->poisson = false;
    for (int i = 0; i < 4; ++i)
        e->channels_hz[i] = 914.3e6 + 600e3 * i; /* of FCC915 */
    e->n_channels = 4;
    trial_run(s, db, ALERT_LLR, false, &t);
    for (int i = 0; i < t.n_emitters; ++i)
        n += strcmp(t.emitters[i].signature->family, "expresslrs") == 0;
    uw_scenario_free(s);
    return n;
}

/* Keyed carriers, as they can be cut from those of readers of tags, are no FSK. */
static void test_keyed(void **state) {
    (void)state;
    assert_int_equal(findings_on_train(UW_SYNTH_OOK), 0);
    assert_true(findings_on_train(UW_SYNTH_FSK) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_blocks), cmocka_unit_test(test_gap),
        cmocka_unit_test(test_every_rate),       cmocka_unit_test(test_clipped),
        cmocka_unit_test(test_look_alikes),      cmocka_unit_test(test_keyed),
    };

    return cmocka_run_group_tests_name("detector", tests, load, unload);
}
