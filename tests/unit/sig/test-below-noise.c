/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The detector asked to look below the noise: hears what it does not hear otherwise, makes nothing
 * up in noise, and says the same whatever the blocks
 */

#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "listen.h"
#include "matcher-sweep-impl.h"
#include "signal.h"
#include "trial.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/dsp/front.h"

#define ALERT_LLR 14.8
#define RATE      2.4e6
#define WEAK_DB   (-9.0)
#define N_SEEDS   4
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

/* An ExpressLRS link of 200 Hz in the noise of one receiver, both off their frequencies. */
static struct uw_scenario *weak_link(double seconds, uint64_t seed) {
    struct uw_scenario *s = NULL;

    assert_int_equal(uw_scenario_new(&s), 0);
    s->duration_s = seconds;
    s->seed = seed;
    s->n_receivers = 1;
    uw_synth_receiver_init(&s->receivers[0]);
    assert_true(uw_str_copy(s->receivers[0].name, sizeof(s->receivers[0].name), "rx0"));
    s->receivers[0].rate_hz = RATE;
    s->receivers[0].freq_hz = 915.0e6;
    s->receivers[0].format = UW_IQ_CU8;
    s->receivers[0].noise_dbfs = -30.0;
    s->receivers[0].ppm = 60.0 * sin(12.9898 * (double)seed + 1.0);
    struct uw_synth_emitter *e = &s->emitters[s->n_emitters++];
    uw_synth_emitter_init(e, UW_SYNTH_EXPRESSLRS);
    (void)snprintf(e->name, sizeof(e->name), "e1");
    (void)snprintf(e->variant, sizeof(e->variant), "200Hz");
    (void)snprintf(e->domain, sizeof(e->domain), "FCC915");
    e->level_db = WEAK_DB;
    e->ppm = 15.0;
    return s;
}

/* 9 dB under the noise of its own bandwidth, where no burst stands out: alerted within 3 s. */
static void test_heard(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= N_SEEDS; ++seed) {
        struct uw_scenario *s = weak_link(3.0, seed);
        struct trial t;

        trial_run_below(s, db, ALERT_LLR, true, &t);
        const struct trial_emitter *a = trial_alert(&t);
        print_message("seed %d: alert after %.2f s, %s\n", (int)seed, a ? a->alert_s : NAN,
                      a && a->variant ? a->variant : "-");
        assert_non_null(a);
        assert_string_equal(a->signature->id, "expresslrs-900");
        assert_true(a->alert_s > 0.0 && a->alert_s <= 3.0);
        if (a->variant)
            assert_string_equal(a->variant, "200Hz");
        if (a->domain)
            assert_string_equal(a->domain, "FCC915");
        uw_scenario_free(s);
    }
}

/* Rates of receivers and recordings: what is said of one is what is heard at it. The frames of some
 * have chips at every second sample, or a factor of seven. */
static void test_rates(void **state) {
    static const struct {
        double rate_hz, freq_hz;
        bool can_sweep;
        double listen_s; /* 0: no time is spent on it */
    } cases[] = {
        {1.4e6, 915.0e6, true, 3.0},    {1.44e6, 915.0e6, true, 3.0},
        {1.92e6, 915.0e6, true, 3.0},   {2.8e6, 915.0e6, true, 3.0},
        {2.88e6, 915.0e6, true, 0.0},   {1.024e6, 915.0e6, false, 0.0},
        {2.048e6, 915.0e6, false, 3.0}, {0.96e6, 915.0e6, false, 3.0}, /* no room for two chips */
        {2.048e6, 315.0e6, true, 0.0}, /* no link that is swept for */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        const struct uw_detector_config config = {
            .rate_hz = cases[i].rate_hz, .freq_hz = cases[i].freq_hz, .db = db};

        assert_true(uw_detector_can_sweep(&config) == cases[i].can_sweep);
        if (cases[i].listen_s == 0.0)
            continue;
        struct uw_scenario *s = weak_link(cases[i].listen_s, 1);
        struct trial t;
        s->receivers[0].rate_hz = cases[i].rate_hz;
        trial_run_below(s, db, ALERT_LLR, true, &t);
        print_message("%.3f MS/s: alert after %.2f s\n", cases[i].rate_hz / 1e6,
                      trial_alert(&t) ? trial_alert(&t)->alert_s : NAN);
        assert_true((trial_alert(&t) != NULL) == cases[i].can_sweep);
        uw_scenario_free(s);
    }
}

/* Each band has its own bandwidth; one without such links has nothing to miss, and without a centre
 * no channel is known. */
static void test_rates_of_bands(void **state) {
    static const char *const none[] = {"dji-droneid"};
    static const struct {
        double rate_hz, freq_hz;
        bool can_sweep;
    } cases[] = {
        {2.4e6, 2440e6, false}, /* 812.5 kHz is 130 of its 384 bins */
        {10e6, 2440e6, true},   {15.36e6, 2440e6, false}, {15.36e6, 915e6, true},
        {2.4e6, 928.0e6, true}, /* the last channel is cut by the band's edge */
        {250e3, 915e6, true},   /* there is no channel in it */
        {2.4e6, NAN, false},
    };
    struct uw_detector_config config = {.rate_hz = 2.048e6, .freq_hz = NAN};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        config = (struct uw_detector_config){
            .rate_hz = cases[i].rate_hz, .freq_hz = cases[i].freq_hz, .db = db};
        if (uw_detector_can_sweep(&config) != cases[i].can_sweep)
            print_message("%g MS/s at %g MHz\n", cases[i].rate_hz / 1e6, cases[i].freq_hz / 1e6);
        assert_true(uw_detector_can_sweep(&config) == cases[i].can_sweep);
    }
    struct uw_sigdb *other = trial_db(UW_SIGNATURES);
    config.db = other;
    assert_int_equal(uw_sigdb_enable(other, none, 1, NULL), 0);
    assert_true(uw_detector_can_sweep(&config));
    uw_sigdb_free(other);
}

static int n_drones(const struct trial *t) {
    int n = 0;

    for (int i = 0; i < t->n_emitters; ++i)
        n += t->emitters[i].signature->drone;
    return n;
}

/* One link is one alert, also where its packets are heard twice, by preamble and whole. */
static void test_one_alert(void **state) {
    static const uint64_t seeds[] = {5, 13};

    (void)state;
    for (int i = 0; i < 3; ++i) {
        struct uw_scenario *s = weak_link(2.0, seeds[i % 2]);
        struct trial t;

        s->emitters[0].level_db = i < 2 ? WEAK_DB : -3.0;
        trial_run_below(s, db, ALERT_LLR, false, &t);
        print_message("seed %d: %d emitters, %d alerts\n", (int)seeds[i % 2], t.n_emitters,
                      trial_n_alerts(&t));
        assert_int_equal(trial_n_alerts(&t), 1);
        uw_scenario_free(s);
    }
}

/* Three links whose packets meet on channels side by side, where no burst of one alone stands out:
 * half a channel beside the strong one its chirps look like a weak one's. Three alerts, none of
 * that. */
static void test_neighbours(void **state) {
    static const double levels_db[] = {23.0, 13.0, 3.0};
    static const uint64_t seeds[] = {13};

    (void)state;
    for (size_t k = 0; k < sizeof(seeds) / sizeof(seeds[0]); ++k) {
        struct uw_scenario *s = weak_link(3.0, seeds[k]);
        struct trial t;

        s->receivers[0].freq_hz = 866.4e6;
        s->n_emitters = 0;
        for (int i = 0; i < 3; ++i) {
            struct uw_synth_emitter *e = &s->emitters[s->n_emitters++];

            uw_synth_emitter_init(e, UW_SYNTH_EXPRESSLRS);
            (void)snprintf(e->name, sizeof(e->name), "e%d", i);
            (void)snprintf(e->variant, sizeof(e->variant), "200Hz");
            (void)snprintf(e->domain, sizeof(e->domain), "EU868");
            e->level_db = levels_db[i];
            e->ppm = 15.0 * (i - 1);
        }
        trial_run_below(s, db, ALERT_LLR, false, &t);
        print_message("seed %d: %d emitters, %d alerts\n", (int)seeds[k], t.n_emitters,
                      trial_n_alerts(&t));
        assert_int_equal(trial_n_alerts(&t), 3);
        uw_scenario_free(s);
    }
}

/* A train that is on the air nearly all the time and clips the receiver: burst finder and shadow
 * take it for noise, and what clipping makes of it on other channels keeps its lattice. */
static void test_overload(void **state) {
    static const char text[] =
        "duration_s = 2.0; seed = 2; receivers = ( { rate_hz = 2.4e6; freq_hz = 866.4e6; format = "
        "\"cu8\"; tuner = \"r820t\"; } ); emitters = ( { name = \"train\"; snr_db = 49.0; link = "
        "\"lora\"; freq_hz = 866.425e6; sf = 8; bandwidth_hz = 500e3; preamble = 10; symbols = 22; "
        "interval_s = 20e-3; } );";
    struct uw_scenario *s = NULL;
    struct uw_diag diag = {0};
    struct trial t;

    (void)state;
    assert_int_equal(uw_scenario_parse("test", text, strlen(text), &diag, &s), 0);
    trial_run_below(s, db, ALERT_LLR, false, &t);
    print_message("overload: %d emitters, %d of drones\n", t.n_emitters, n_drones(&t));
    assert_int_equal(n_drones(&t), 0);
    uw_scenario_free(s);
}

/* The same link without being asked: not heard, which is what the option is for. */
/* Of two links in step the strong one's packets begin where all of the weak one's preambles have
 * been: it is heard all the same. */
static void test_behind_its_preamble(void **state) {
    struct uw_scenario *s = weak_link(4.0, 3);
    struct trial t;

    (void)state;
    s->receivers[0].freq_hz = 433.8e6;
    s->receivers[0].ppm = 0.0;
    for (int i = 0; i < 2; ++i) {
        struct uw_synth_emitter *e = &s->emitters[i];

        uw_synth_emitter_init(e, UW_SYNTH_EXPRESSLRS);
        (void)snprintf(e->name, sizeof(e->name), "e%d", i);
        (void)snprintf(e->variant, sizeof(e->variant), "25Hz");
        (void)snprintf(e->domain, sizeof(e->domain), "EU433");
        e->level_db = i == 0 ? 12.0 : -14.0;
        e->ppm = 2.0;
        e->start_s = i == 0 ? 0.5 : 0.5287;
        e->phase = i == 0 ? 0 : 7;
    }
    s->n_emitters = 2;
    trial_run_below(s, db, ALERT_LLR, false, &t);
    uw_scenario_free(s);
    assert_int_equal(trial_n_alerts(&t), 2);
}

static void test_not_heard(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= N_SEEDS; ++seed) {
        struct uw_scenario *s = weak_link(3.0, seed);
        struct trial t;

        trial_run(s, db, ALERT_LLR, false, &t);
        assert_int_equal(trial_n_alerts(&t), 0);
        assert_int_equal(n_drones(&t), 0);
        uw_scenario_free(s);
    }
}

static void on_finding(void *userdata, const struct uw_finding *f) {
    struct written *to = userdata;

    assert_true(to->n < FINDINGS);
    assert_true(f->start <= f->stop && f->stop >= to->progress);
    if (to->n > 0)
        assert_true(f->stop >= to->findings[to->n - 1].stop);
    assert_true(isfinite(f->llr) && isfinite(f->freq_hz));
    assert_true(f->confidence >= 0.0 && f->confidence <= 1.0 && f->emitter > 0);
    to->findings[to->n++] = *f;
}

static void on_progress(void *userdata, uint64_t sample) {
    struct written *to = userdata;

    assert_true(sample >= to->progress);
    to->progress = sample;
    ++to->n_progress;
}

static struct uw_detector *new_detector(enum uw_iq_format format, struct written *to) {
    static const struct uw_detector_ops ops = {.finding = on_finding, .progress = on_progress};
    const struct uw_detector_config config = {
        .rate_hz = RATE,
        .freq_hz = 915.0e6,
        .format = format,
        .db = db,
        .below_noise = true,
    };
    struct uw_detector *d = NULL;

    memset(to, 0, sizeof(*to));
    assert_int_equal(uw_detector_new(&config, &ops, to, &d), 0);
    return d;
}

/* Gaussian noise in ci8 out of a table of its quantiles: quick enough to draw 20 s afresh. */
static void draw_noise(signed char *noise, size_t n, uint64_t *random) {
    static signed char quantiles[65536];
    const double sigma = 4.2;

    if (quantiles[0] == 0) {
        int value = -40;

        for (int i = 0; i < 65536; ++i) {
            while (0.5 * erfc(-(value + 0.5) / sigma / sqrt(2.0)) < (i + 0.5) / 65536.0)
                ++value;
            quantiles[i] = (signed char)value;
        }
    }
    for (size_t i = 0; i < n; i += 4) {
        const uint64_t r = signal_random(random);

        for (size_t k = 0; k < 4; ++k)
            noise[i + k] = quantiles[r >> (16 * k) & 65535];
    }
}

/* 20 s of noise: no word of a drone. */
static void test_noise(void **state) {
    enum { N = 200000 };
    static signed char noise[2 * N];
    struct uw_detector *d = new_detector(UW_IQ_CI8, &one);
    uint64_t random = 81;
    int n_drone = 0;

    (void)state;
    for (uint64_t given = 0; given < (uint64_t)(20.0 * RATE); given += N) {
        draw_noise(noise, sizeof(noise), &random);
        uw_detector_push(d, noise, N);
    }
    uw_detector_flush(d);
    for (size_t i = 0; i < one.n; ++i)
        n_drone += one.findings[i].signature->drone;
    print_message("noise: %zu findings, %d of drones\n", one.n, n_drone);
    assert_int_equal(n_drone, 0);
    assert_true(one.n_progress >= 40);
    uw_detector_free(d);
}

/* Digital silence, whose only power is rounding, and gaps in it. */
static void test_silence(void **state) {
    static unsigned char silence[200000];
    struct uw_detector *d = new_detector(UW_IQ_CU8, &one);

    (void)state;
    uw_detector_gap(d, 777);
    for (int i = 0; i < 24; ++i) {
        memset(silence, i < 12 ? 127 : 128, sizeof(silence));
        uw_detector_push(d, silence, 100000);
        if (i % 5 == 4)
            uw_detector_gap(d, 12345);
    }
    uw_detector_flush(d);
    assert_int_equal(one.progress, 777 + 24 * 100000 + 4 * 12345);
    assert_int_equal(one.n, 0);
    uw_detector_free(d);
}

/* Blocks of `block` samples; 0: of any size. */
static void listen(const unsigned char *samples, size_t n, size_t block, struct written *to) {
    struct uw_detector *d = new_detector(UW_IQ_CU8, to);

    for (size_t i = 0, at = 0; at < n; ++i) {
        size_t size = block ? block : 1 + 7919 * i % 99991;

        size = size < n - at ? size : n - at;
        uw_detector_push(d, samples + 2 * at, size);
        at += size;
        assert_true(to->progress <= at);
    }
    uw_detector_flush(d);
    assert_true(to->progress == n);
    uw_detector_free(d);
}

static bool same(double a, double b) {
    return a == b || (isnan(a) && isnan(b));
}

static void test_blocks(void **state) {
    struct uw_scenario *s = weak_link(2.0, 1);
    const size_t n = (size_t)(2.0 * RATE);
    unsigned char *samples = malloc(2 * n);
    struct uw_synth *synth = NULL;
    struct uw_diag diag = {0};
    size_t got = 0;

    (void)state;
    assert_non_null(samples);
    assert_int_equal(uw_synth_new(s, 0, &diag, &synth), 0);
    assert_int_equal(uw_synth_read(synth, samples, n, &got), 0);
    assert_int_equal(got, n);
    listen(samples, n, 65536, &one);
    listen(samples, n, 0, &two);
    print_message("%zu findings, %zu times progress\n", one.n, one.n_progress);
    assert_true(one.n >= 2);
    assert_int_equal(one.n, two.n);
    assert_int_equal(one.n_progress, two.n_progress);
    for (size_t i = 0; i < one.n; ++i) {
        const struct uw_finding *a = &one.findings[i];
        const struct uw_finding *b = &two.findings[i];

        assert_true(a->signature == b->signature && a->emitter == b->emitter);
        assert_true(a->variant == b->variant && a->domain == b->domain && a->rule == b->rule);
        assert_true(a->start == b->start && a->stop == b->stop && a->llr == b->llr);
        assert_true(a->freq_hz == b->freq_hz && a->bandwidth_hz == b->bandwidth_hz);
        assert_true(same(a->snr_db, b->snr_db) && same(a->power_dbfs, b->power_dbfs));
        assert_true(a->bursts == b->bursts && a->dwells == b->dwells);
        assert_true(a->channels == b->channels && a->confidence == b->confidence);
        assert_true(same(a->period_s, b->period_s) && same(a->offset_hz, b->offset_hz));
        assert_true(same(a->grid_error_hz, b->grid_error_hz) && a->alertable == b->alertable);
    }
    free(samples);
    uw_synth_free(synth);
    uw_scenario_free(s);
}

/* Samples are lost in the middle of a weak link: the count goes on, and the link is heard on the
 * lattice that it had before. */
static void test_gap(void **state) {
    struct uw_scenario *s = weak_link(2.0, 2);
    const size_t n = (size_t)(2.0 * RATE);
    const size_t lost_at = 2600001;
    const size_t lost = 123457;
    unsigned char *samples = malloc(2 * n);
    struct uw_detector *d = new_detector(UW_IQ_CU8, &one);
    struct uw_synth *synth = NULL;
    struct uw_diag diag = {0};
    uint64_t emitter = 0;
    size_t got = 0;
    int n_before = 0;
    int n_behind = 0;

    (void)state;
    assert_non_null(samples);
    assert_int_equal(uw_synth_new(s, 0, &diag, &synth), 0);
    assert_int_equal(uw_synth_read(synth, samples, n, &got), 0);
    assert_int_equal(got, n);
    uw_detector_push(d, samples, lost_at);
    uw_detector_gap(d, lost);
    uw_detector_push(d, samples + 2 * (lost_at + lost), n - lost_at - lost);
    uw_detector_flush(d);
    assert_int_equal(one.progress, n);
    for (size_t i = 0; i < one.n; ++i) {
        const struct uw_finding *f = &one.findings[i];

        if (!f->alertable)
            continue;
        assert_true(emitter == 0 || emitter == f->emitter); /* one link */
        emitter = f->emitter;
        n_before += f->stop <= lost_at;
        n_behind += f->start > lost_at + lost;
    }
    print_message("%zu findings, %d before the gap, %d behind\n", one.n, n_before, n_behind);
    assert_true(n_before > 0 && n_behind > 0);
    uw_detector_free(d);
    uw_synth_free(synth);
    uw_scenario_free(s);
    free(samples);
}

/* The longest packet that is swept for, 25 Hz, lasts 30 ms and is looked at some 70 ms from its
 * begin: so long spectra are kept also of a receiver whose band is too wide for the usual memory.
 */
static void test_history(void **state) {
    static const struct uw_front_ops ops = {.burst = listen_burst, .progress = listen_progress};
    const double history_s = uw_sweep_history_s(db);

    (void)state;
    print_message("history: %.3f s\n", history_s);
    assert_true(history_s > 0.05 && history_s < 0.1);
    for (int i = 0; i < 2; ++i) {
        struct uw_front_config config;
        struct uw_front *front = NULL;

        uw_front_config_init(&config);
        config.rate_hz = 50e6;
        config.history_min_s = i * history_s;
        assert_int_equal(uw_front_new(&config, &ops, NULL, &front), 0);
        assert_true((uw_front_history_s(front) >= history_s) == (i == 1));
        uw_front_free(front);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_overload),
        cmocka_unit_test(test_behind_its_preamble),
        cmocka_unit_test(test_heard),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_rates_of_bands),
        cmocka_unit_test(test_one_alert),
        cmocka_unit_test(test_not_heard),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_gap),
        cmocka_unit_test(test_history),
    };

    return cmocka_run_group_tests_name("below-noise", tests, load, unload);
}
