/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A receiver that walks, or loses samples: what it follows stays one link */

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
#include "trial.h"
#include "uw/base/err.h"
#include "uw/sig/detector.h"
#include "uw/synth/synth.h"

#define RATE      2.4e6
#define BLOCK     4800 /* 2 ms */
#define N_MAX     4
#define THRESHOLD 14.8
#define SILENT    4 /* 8 ms: no multiple of a slot */

static struct uw_sigdb *db;

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

/* A tuner: the same emissions as every centre hears them; the one it is tuned to is heard. */
struct tuner {
    struct uw_scenario *scenario;
    struct uw_synth *synths[N_MAX];
    int n, at;
    uint64_t dwell, settle; /* samples */
    double loss;            /* share of the blocks that is lost */
    size_t hole;            /* not 0: the size of blocks, samples */
    uint64_t silent_from;   /* from this sample on SILENT blocks vanish without a word; 0: none */
    uint64_t seed;
    bool below; /* the noise is searched, too */
};

struct heard {
    uint64_t number;
    const struct uw_signature *signature;
    double llr, alert_s, offset_hz, first_offset_hz;
    const char *variant, *domain;
    int64_t channels, dwells;
    bool at_centre[N_MAX];
};

struct room {
    const struct tuner *tuner;
    int n;
    struct heard heard[64];
    uint64_t progress;
    double centre_hz; /* test_cut_dwells() */
};

static struct heard *find(struct room *room, uint64_t number) {
    for (int i = 0; i < room->n; ++i) {
        if (room->heard[i].number == number)
            return &room->heard[i];
    }
    assert_true(room->n < 64);
    room->heard[room->n] = (struct heard){.number = number, .alert_s = NAN, .offset_hz = NAN};
    return &room->heard[room->n++];
}

static void on_finding(void *userdata, const struct uw_finding *f) {
    struct room *room = userdata;
    struct heard *h = find(room, f->emitter);
    double freq = f->centre_hz + f->freq_hz;
    double channel = round((freq - 903.5e6) / 600e3);

    h->signature = f->signature;
    h->llr += f->llr;
    h->variant = f->variant;
    h->domain = f->domain;
    h->channels = f->channels;
    h->dwells = f->dwells;
    for (int i = 0; i < room->tuner->n; ++i)
        h->at_centre[i] |= room->tuner->scenario->receivers[i].freq_hz == f->centre_hz;
    if (f->signature->drone) {
        /* the carrier is absolute, whatever the centre is by now */
        assert_true(fabs(freq - 903.5e6 - channel * 600e3) < 40e3);
        assert_true(f->dwells < 3 || isnan(f->offset_hz) || fabs(f->offset_hz) < 40e3);
        if (isnan(h->offset_hz))
            h->first_offset_hz = f->offset_hz;
        h->offset_hz = f->offset_hz;
    }
    if (isnan(h->alert_s) && f->alertable && h->llr >= THRESHOLD)
        h->alert_s = (double)f->stop / RATE;
}

static void on_progress(void *userdata, uint64_t sample) {
    struct room *room = userdata;

    assert_true(sample >= room->progress);
    room->progress = sample;
}

static void tuner_open_at(struct tuner *t, const char *variant, const double *centres, int n,
                          double duration_s, double level_db) {
    struct uw_synth_emitter *e;

    *t = (struct tuner){.n = n, .seed = 7};
    assert_int_equal(uw_scenario_new(&t->scenario), 0);
    t->scenario->duration_s = duration_s;
    t->scenario->seed = 41;
    t->scenario->n_receivers = n;
    for (int i = 0; i < n; ++i) {
        struct uw_synth_receiver *r = &t->scenario->receivers[i];

        uw_synth_receiver_init(r);
        snprintf(r->name, sizeof(r->name), "at%d", i);
        r->rate_hz = RATE;
        r->freq_hz = centres[i];
        r->format = UW_IQ_CU8;
        r->ppm = 20.0;
    }
    t->scenario->n_emitters = 1;
    e = &t->scenario->emitters[0];
    uw_synth_emitter_init(e, UW_SYNTH_EXPRESSLRS);
    strcpy(e->name, "pilot");
    strcpy(e->variant, variant);
    strcpy(e->domain, "FCC915");
    e->level_db = level_db;
    e->ppm = -6.0;
    for (int i = 0; i < n; ++i) {
        static struct uw_diag diag;

        assert_int_equal(uw_synth_new(t->scenario, i, &diag, &t->synths[i]), 0);
    }
}

static void tuner_open(struct tuner *t, const char *variant, const double *centres, int n,
                       double duration_s) {
    tuner_open_at(t, variant, centres, n, duration_s, 10.0);
}

static void tuner_close(struct tuner *t) {
    for (int i = 0; i < t->n; ++i)
        uw_synth_free(t->synths[i]);
    uw_scenario_free(t->scenario);
}

/* Time goes on at every centre. */
static size_t tuner_read(struct tuner *t, unsigned char *out) {
    static unsigned char other[2 * BLOCK];
    size_t n = 0;

    for (int i = 0; i < t->n; ++i)
        assert_int_equal(
            uw_synth_read(t->synths[i], i == t->at ? out : other, t->hole ? t->hole : BLOCK, &n),
            0);
    return n;
}

static void run(struct tuner *t, struct room *room) {
    static const struct uw_detector_ops ops = {.finding = on_finding, .progress = on_progress};
    struct uw_detector_config config = {
        .rate_hz = RATE,
        .freq_hz = t->scenario->receivers[0].freq_hz,
        .format = UW_IQ_CU8,
        .db = db,
        .n_centres = (size_t)t->n,
        .below_noise = t->below,
    };
    static unsigned char block[2 * BLOCK];
    struct uw_detector *d = NULL;
    uint64_t listened = 0;
    uint64_t lost = 0;
    uint64_t read = 0;
    bool moved = false;

    *room = (struct room){.tuner = t};
    assert_int_equal(uw_detector_new(&config, &ops, room, &d), 0);
    for (size_t n; (n = tuner_read(t, block)) > 0;) {
        read += n;
        if (t->silent_from && read > t->silent_from && read <= t->silent_from + SILENT * BLOCK)
            continue;
        if ((moved && lost < t->settle) || signal_uniform(&t->seed) < t->loss) {
            lost += n;
            continue;
        }
        if (moved)
            assert_int_equal(uw_detector_retune(d, t->scenario->receivers[t->at].freq_hz, lost), 0);
        else if (lost)
            uw_detector_gap(d, lost);
        uw_detector_push(d, block, n);
        listened += n;
        lost = 0;
        moved = t->n > 1 && listened >= t->dwell;
        if (moved) {
            t->at = (t->at + 1) % t->n;
            listened = 0;
        }
    }
    uw_detector_flush(d);
    uw_detector_free(d);
}

/* The one link there is, and nothing else that would be an alert. */
static const struct heard *only_link(const struct room *room) {
    const struct heard *link = NULL;

    for (int i = 0; i < room->n; ++i) {
        const struct heard *h = &room->heard[i];

        if (!h->signature->drone)
            continue;
        if (link)
            print_error("second link: %lld dwells, %.1f nats\n", (long long)h->dwells, h->llr);
        assert_null(link);
        link = h;
    }
    assert_non_null(link);
    assert_string_equal(link->signature->id, "expresslrs-900");
    return link;
}

static const double two[] = {905.9e6, 915.5e6};
static const double four[] = {904.1e6, 910.1e6, 917.9e6, 925.1e6};

static void test_walk(const char *variant, const double *centres, int n, double dwell_s,
                      double duration_s) {
    struct tuner t;
    struct room room;
    const struct heard *h;

    tuner_open(&t, variant, centres, n, duration_s);
    t.dwell = (uint64_t)(dwell_s * RATE);
    t.settle = (uint64_t)(0.02 * RATE);
    run(&t, &room);
    h = only_link(&room);
    assert_false(isnan(h->alert_s));
    assert_non_null(h->variant);
    assert_string_equal(h->variant, variant);
    assert_non_null(h->domain);
    assert_string_equal(h->domain, "FCC915");
    assert_true(h->channels > 4);
    for (int i = 0; i < n; ++i)
        assert_true(h->at_centre[i]);
    /* one crystal, one offset: (20 ppm + 6 ppm) of 915 MHz */
    assert_true(fabs(fabs(h->offset_hz) - 26e-6 * 915e6) < 4e3);
    tuner_close(&t);
}

static void test_two_centres(void **state) {
    (void)state;
    test_walk("200Hz", two, 2, 0.3, 4.0);
}

/* 80 ms a channel: many a visit begins within a stay of the link. */
static void test_slow_hops(void **state) {
    (void)state;
    test_walk("50Hz", four, 4, 0.4, 9.0);
}

/* 1.6 s away from each centre. */
static void test_far_between(void **state) {
    (void)state;
    test_walk("100Hz", four, 4, 0.5, 6.0);
}

/* Below the noise each centre is searched, not the first alone, and all of it is one link. */
static void test_below_noise(void **state) {
    const double centres[] = {905.9e6, 924.5e6};

    (void)state;
    for (int first = 0; first < 2; ++first) {
        const double order[] = {centres[first], centres[1 - first]};
        struct tuner t;
        struct room room;
        const struct heard *h;

        tuner_open_at(&t, "200Hz", order, 2, 5.0, -9.0);
        t.below = true;
        t.dwell = (uint64_t)(0.4 * RATE);
        t.settle = (uint64_t)(0.02 * RATE);
        run(&t, &room);
        h = only_link(&room);
        print_message("alert after %.2f s, %.1f nats, %lld dwells\n", h->alert_s, h->llr,
                      (long long)h->dwells);
        assert_false(isnan(h->alert_s));
        assert_true(h->at_centre[0] && h->at_centre[1]);
        tuner_close(&t);
    }
}

/* Blocks of 2 ms are lost at random, 1 % of all. */
static void test_random_loss(void **state) {
    struct tuner t;
    struct room room;
    const struct heard *h;

    (void)state;
    tuner_open(&t, "200Hz", two + 1, 1, 6.0);
    t.loss = 0.01;
    run(&t, &room);
    h = only_link(&room);
    assert_string_equal(h->variant, "200Hz");
    assert_string_equal(h->domain, "FCC915");
    tuner_close(&t);
}

/* A recording does not tell where samples are missing: the link is found again, off its lattice. */
static void test_silent_loss(void **state) {
    const double at_s[] = {2.0, 2.3, 2.6, 2.9};

    (void)state;
    for (size_t i = 0; i < sizeof(at_s) / sizeof(at_s[0]); ++i) {
        struct tuner t;
        struct room room;

        tuner_open(&t, "200Hz", two + 1, 1, 5.0);
        t.silent_from = (uint64_t)(at_s[i] * RATE);
        run(&t, &room);
        assert_true(only_link(&room)->dwells > 4);
        tuner_close(&t);
    }
}

/* Two links with crystals that agree are two, also when one of them is there first. */
static void test_twins(void **state) {
    struct tuner t;
    struct room room;
    int n = 0;

    (void)state;
    tuner_open(&t, "200Hz", two + 1, 1, 5.0);
    uw_synth_free(t.synths[0]);
    t.scenario->n_emitters = 2;
    t.scenario->emitters[1] = t.scenario->emitters[0];
    strcpy(t.scenario->emitters[1].name, "other");
    t.scenario->emitters[1].hop_seed = 99;
    t.scenario->emitters[1].start_s = 1.5017;
    static struct uw_diag diag;
    assert_int_equal(uw_synth_new(t.scenario, 0, &diag, &t.synths[0]), 0);
    run(&t, &room);
    for (int i = 0; i < room.n; ++i)
        n += !isnan(room.heard[i].alert_s);
    assert_int_equal(n, 2);
    tuner_close(&t);
}

/* 0.2 ms every 20 ms in the mean: most packets of a slow air rate have a hole, and are heard. */
static void test_short_holes(void **state) {
    static const char *const variants[] = {"25Hz", "200Hz"};

    (void)state;
    for (size_t i = 0; i < 2; ++i) {
        struct tuner t;
        struct room room;
        const struct heard *h;

        tuner_open(&t, variants[i], two + 1, 1, 6.0);
        t.loss = 0.01;
        t.hole = 480;
        run(&t, &room);
        h = only_link(&room);
        assert_false(isnan(h->alert_s));
        assert_string_equal(h->variant, variants[i]);
        tuner_close(&t);
    }
}

static void test_loss_and_walk(void **state) {
    struct tuner t;
    struct room room;

    (void)state;
    tuner_open(&t, "100Hz", two, 2, 6.0);
    t.dwell = (uint64_t)(0.4 * RATE);
    t.settle = (uint64_t)(0.02 * RATE);
    t.loss = 0.01;
    run(&t, &room);
    assert_false(isnan(only_link(&room)->alert_s));
    tuner_close(&t);
}

/* What the tracker makes of packets when each visit hears the last two of a dwell of four. */
static void on_emit(void *userdata, struct uw_finding *f) {
    f->centre_hz = ((struct room *)userdata)->centre_hz; /* as the detector does */
    on_finding(userdata, f);
}

static void test_cut_dwells(void **state) {
    const struct uw_signature *elrs = uw_sigdb_find(db, "expresslrs-900");
    struct uw_detector_config config = {.rate_hz = RATE, .freq_hz = 905.9e6, .db = db};
    struct tuner t;
    struct room room = {.tuner = &t};
    struct uw_matcher_env env = {.config = &config, .emit = on_emit, .userdata = &room};
    struct uw_links *links = NULL;
    double slot = 5e-3 * RATE;

    (void)state;
    tuner_open(&t, "200Hz", two, 2, 0.1);
    assert_int_equal(uw_links_new(&env, &links), 0);
    for (int hop = 0; hop < 60; hop += 5) {
        double begin = 2.4e6 + hop * 4 * slot;
        uint64_t arrival = (uint64_t)(begin + 1.5 * slot);
        double centre = two[hop / 5 % 2];

        uw_links_progress(links, arrival);
        config.freq_hz = room.centre_hz = centre;
        if (hop > 0)
            uw_links_gap(links, arrival, 1000, two[hop / 5 % 2] - two[(hop / 5 + 1) % 2]);
        for (int i = 2; i < 4; ++i) {
            double start = begin + i * slot;
            struct uw_packet p = {
                .modulation = UW_SIG_LORA,
                .sf = 6,
                .sync = -1,
                .preamble = 8,
                .same = -1,
                .bandwidth_hz = 500e3,
                .start = start,
                .stop = start + 4.38e-3 * RATE,
                .start_error_s = 2e-6,
                .stop_error_s = 2e-6,
                .offset_hz = (hop % 3 - 1) * 600e3,
                .offset_error_hz = 500.0,
                .snr_db = 10.0,
            };

            assert_true(uw_links_packet(links, &p));
        }
    }
    uw_links_flush(links);
    assert_true(room.n == 1 && room.heard[0].signature == elrs && room.heard[0].dwells == 12);
    /* two packets a hop would be D50 */
    assert_true(!room.heard[0].variant || strcmp(room.heard[0].variant, "200Hz") == 0);
    uw_links_free(links);
    tuner_close(&t);
}

static void test_refusals(void **state) {
    static const struct uw_detector_ops ops = {.finding = on_finding, .progress = on_progress};
    struct uw_detector_config config = {
        .rate_hz = RATE, .freq_hz = 915e6, .format = UW_IQ_CU8, .db = db};
    struct uw_detector *d = NULL;

    (void)state;
    assert_int_equal(uw_detector_new(&config, &ops, NULL, &d), 0);
    assert_true(uw_detector_retune(d, 434e6, 0) < 0); /* was not made for it */
    uw_detector_free(d);
    config.n_centres = 2;
    assert_int_equal(uw_detector_new(&config, &ops, NULL, &d), 0);
    assert_true(uw_detector_retune(d, NAN, 0) < 0);
    uw_detector_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_centres), cmocka_unit_test(test_slow_hops),
        cmocka_unit_test(test_far_between), cmocka_unit_test(test_random_loss),
        cmocka_unit_test(test_silent_loss), cmocka_unit_test(test_twins),
        cmocka_unit_test(test_short_holes), cmocka_unit_test(test_loss_and_walk),
        cmocka_unit_test(test_refusals),    cmocka_unit_test(test_cut_dwells),
        cmocka_unit_test(test_below_noise),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
