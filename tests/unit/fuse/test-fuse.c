/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fusion: scripted detections in, expected tracks and alerts out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/base/time.h"
#include "uw/base/util.h"
#include "uw/fuse/fuse.h"

#define LOG_MAX 4000

/* Everything that came out, one line an event, and the last records. */
struct world {
    struct uw_fuse *fuse;
    int n_tracks, n_alerts;
    struct uw_track tracks[LOG_MAX];
    struct uw_alert alerts[LOG_MAX];
    int n_ids;
};

static void on_track(void *userdata, const struct uw_track *t) {
    struct world *w = userdata;

    assert_true(w->n_tracks < LOG_MAX);
    w->tracks[w->n_tracks++] = *t;
}

static void on_alert(void *userdata, const struct uw_alert *a) {
    struct world *w = userdata;

    assert_true(w->n_alerts < LOG_MAX);
    w->alerts[w->n_alerts++] = *a;
}

static const struct uw_fuse_ops ops = {.track = on_track, .alert = on_alert};

static struct world *world_new(const struct uw_fuse_config *config) {
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    assert_int_equal(uw_fuse_new(config, &ops, w, &w->fuse), 0);
    return w;
}

static void world_free(struct world *w) {
    uw_fuse_free(w->fuse);
    free(w);
}

static int64_t at(double seconds) {
    return INT64_C(1700000000) * UW_NS_PER_S + (int64_t)llround(seconds * 1e9);
}

/* An ExpressLRS hopper as rx sends it. */
static struct uw_detection hopper(const char *receiver, const char *emitter, double t, double llr) {
    struct uw_detection d;

    uw_detection_init(&d);
    snprintf(d.receiver, sizeof(d.receiver), "%s", receiver);
    snprintf(d.emitter, sizeof(d.emitter), "%s", emitter);
    snprintf(d.detection, sizeof(d.detection), "%s@%d", emitter, (int)llround(t * 1000));
    strcpy(d.signature, "expresslrs-900");
    strcpy(d.family, "expresslrs");
    d.role = UW_ROLE_CONTROL;
    d.drone = true;
    d.freq_hz = 915.5e6;
    d.tuning.centre_hz = 915e6;
    d.power_dbfs = -40;
    d.llr = llr;
    d.confidence = 0.99;
    d.t_start_ns = at(t - 0.2);
    d.t_end_ns = at(t);
    d.head.time_ns = d.t_end_ns;
    d.evidence.bursts = 12;
    d.evidence.dwells = 3;
    d.evidence.channels = 2;
    d.evidence.channels_visible = 3;
    d.evidence.offset_hz = 1000;
    strcpy(d.evidence.rule, "period+dwell+grid");
    return d;
}

static void feed(struct world *w, struct uw_detection d) {
    assert_int_equal(uw_fuse_detection(w->fuse, &d), 0);
}

static int n_events(const struct world *w, enum uw_alert_event event) {
    int n = 0;

    for (int i = 0; i < w->n_alerts; i++)
        n += w->alerts[i].event == event;
    return n;
}

static const struct uw_alert *first_event(const struct world *w, enum uw_alert_event event) {
    for (int i = 0; i < w->n_alerts; i++)
        if (w->alerts[i].event == event)
            return &w->alerts[i];
    return NULL;
}

/* What is known of a link without a name is in the reason. */
static void test_unknown_link_is_described(void **state) {
    struct uw_fuse_config config;
    struct uw_detection d = hopper("rx0", "rx0-e1", 1, 20);
    struct world *w;

    (void)state;
    uw_fuse_config_init(&config);
    w = world_new(&config);
    strcpy(d.signature, "unknown-fhss");
    strcpy(d.family, "unknown-fhss");
    d.evidence.hop_interval_s = 13.3333e-3;
    d.evidence.period_s = 6.6667e-3;
    d.evidence.airtime_s = 2.9e-3;
    d.evidence.channel_spacing_hz = 200.04e3;
    d.evidence.grid_error_hz = 1.2e3;
    feed(w, d);
    assert_int_equal(w->n_alerts, 1);
    assert_int_equal(w->alerts[0].severity, UW_SEVERITY_ADVISORY);
    assert_non_null(strstr(w->alerts[0].reason,
                           ", one every 6.7 ms, each 2.9 ms long, a hop every 13.3 ms, channels "
                           "200.0 kHz apart, within 1.2 kHz of the channel raster"));
    world_free(w);
}

static void test_life_of_a_link(void **state) {
    struct uw_fuse_config config;
    struct world *w;
    const struct uw_alert *raised, *cleared;

    (void)state;
    uw_fuse_config_init(&config);
    w = world_new(&config);
    /* ln(3600 * 720) */
    assert_true(fabs(uw_fuse_threshold(w->fuse) - 14.768) < 1e-3);
    for (int i = 0; i < 5; i++)
        feed(w, hopper("rx0", "rx0-e1", 1 + 0.2 * i, 4));
    assert_int_equal(w->n_alerts, 1);
    raised = first_event(w, UW_ALERT_RAISED);
    assert_non_null(raised);
    /* 4, 8, 12, 16: the fourth passes it */
    assert_int_equal(raised->head.time_ns, at(1.6));
    assert_string_equal(raised->alert, "run-a1");
    assert_string_equal(raised->track, "run-t1");
    assert_int_equal(raised->severity, UW_SEVERITY_WARNING);
    assert_int_equal(raised->state, UW_ALERT_ACTIVE);
    assert_string_equal(raised->headline, "Drone control link: ExpressLRS");
    assert_non_null(strstr(raised->reason, "12 packets in 3 hops on 2 of 3 visible channels"));
    assert_non_null(strstr(raised->advice, "position unknown"));
    assert_int_equal(uw_fuse_advance(w->fuse, at(60)), 0);
    cleared = first_event(w, UW_ALERT_CLEARED);
    assert_non_null(cleared);
    assert_int_equal(cleared->state, UW_ALERT_ENDED);
    /* last heard at 1.8, 10 s later, at the next quarter of a second */
    assert_int_equal(cleared->head.time_ns, at(12));
    assert_int_equal(w->tracks[w->n_tracks - 1].state, UW_TRACK_ENDED);
    assert_int_equal(uw_fuse_n_tracks(w->fuse), 1);
    assert_int_equal(uw_fuse_n_alerts(w->fuse), 1);
    world_free(w);
}

static void test_track_records_each_second(void **state) {
    struct uw_fuse_config config;
    struct world *w;
    int n_on_second = 0;

    (void)state;
    uw_fuse_config_init(&config);
    w = world_new(&config);
    for (int i = 0; i < 25; i++)
        feed(w, hopper("rx0", "rx0-e1", 1.1 + 0.2 * i, 1));
    for (int i = 0; i < w->n_tracks; i++)
        n_on_second += w->tracks[i].head.time_ns % UW_NS_PER_S == 0;
    assert_int_equal(n_on_second, 4);     /* 2, 3, 4, 5 s; the last detection is at 5.9 */
    assert_int_equal(w->n_tracks, 4 + 2); /* and: appeared, confirmed */
    uw_fuse_advance(w->fuse, at(9.5));
    /* 6, 7, 8, 9 s, and coasting at 9.0, which is one of them */
    assert_int_equal(w->n_tracks, 4 + 2 + 4);
    assert_int_equal(w->tracks[w->n_tracks - 1].state, UW_TRACK_COASTING);
    assert_int_equal(w->tracks[w->n_tracks - 2].state, UW_TRACK_CONFIRMED);
    world_free(w);
}

static double time_to_alert(double false_alerts_per_hour) {
    struct uw_fuse_config config;
    struct world *w;
    const struct uw_alert *raised;
    double t;

    uw_fuse_config_init(&config);
    config.false_alerts_per_hour = false_alerts_per_hour;
    w = world_new(&config);
    for (int i = 0; i < 25; i++)
        feed(w, hopper("rx0", "rx0-e1", 0.2 * i, 1));
    raised = first_event(w, UW_ALERT_RAISED);
    t = raised ? (double)(raised->head.time_ns - at(0)) * 1e-9 : INFINITY;
    world_free(w);
    return t;
}

static void test_setting_moves_alert(void **state) {
    (void)state;
    /* ln(3600 / 1) = 8.19: ninth; ln(3600 * 720) = 14.77: fifteenth; 1e-9 an hour: 28.9 of 25 */
    assert_true(fabs(time_to_alert(1) - 1.6) < 1e-6);
    assert_true(fabs(time_to_alert(1.0 / 720) - 2.8) < 1e-6);
    assert_true(isinf(time_to_alert(1e-9)));
}

static void test_no_alert_without_rule(void **state) {
    struct uw_fuse_config config;
    struct world *w;

    (void)state;
    uw_fuse_config_init(&config);
    w = world_new(&config);
    for (int i = 0; i < 20; i++) {
        struct uw_detection d = hopper("rx0", "rx0-e1", 1 + 0.2 * i, 50);
        d.evidence.rule[0] = 0;
        feed(w, d);
    }
    assert_int_equal(w->n_alerts, 0);
    assert_int_equal(w->tracks[w->n_tracks - 1].state, UW_TRACK_TENTATIVE);
    feed(w, hopper("rx0", "rx0-e1", 5.2, 0));
    assert_int_equal(n_events(w, UW_ALERT_RAISED), 1);
    world_free(w);
}

static void test_no_alert_for_background(void **state) {
    struct uw_fuse_config config;
    struct world *w;

    (void)state;
    uw_fuse_config_init(&config);
    w = world_new(&config);
    for (int i = 0; i < 20; i++) {
        struct uw_detection d = hopper("rx0", "rx0-e1", 1 + 0.2 * i, 50);
        d.role = UW_ROLE_BACKGROUND;
        d.drone = false;
        strcpy(d.family, "lorawan");
        strcpy(d.signature, "lorawan");
        feed(w, d);
    }
    assert_int_equal(w->n_alerts, 0);
    assert_int_equal(w->tracks[w->n_tracks - 1].state, UW_TRACK_CONFIRMED);
    world_free(w);
}

static void test_one_link_two_receivers(void **state) {
    struct uw_fuse_config config;
    struct world *w;
    const struct uw_track *t;

    (void)state;
    uw_fuse_config_init(&config);
    w = world_new(&config);
    for (int i = 0; i < 5; i++) {
        struct uw_detection b = hopper("rx1", "rx1-e7", 1.01 + 0.2 * i, 2);
        b.evidence.offset_hz = -40e3; /* its own crystal */
        feed(w, hopper("rx0", "rx0-e1", 1 + 0.2 * i, 2));
        feed(w, b);
    }
    assert_int_equal(uw_fuse_n_tracks(w->fuse), 1);
    assert_int_equal(n_events(w, UW_ALERT_RAISED), 1);
    /* 2 nats each: the eighth detection, that is the fourth of rx1 */
    assert_int_equal(first_event(w, UW_ALERT_RAISED)->head.time_ns, at(1.61));
    t = &w->tracks[w->n_tracks - 1];
    assert_int_equal(t->n_receivers, 2);
    assert_string_equal(t->receivers[0], "rx0");
    assert_string_equal(t->receivers[1], "rx1");
    assert_true(fabs(t->llr - 16) < 1e-9 || fabs(t->llr - 20) < 1e-9);
    world_free(w);
}

static void test_two_links_one_receiver(void **state) {
    struct uw_fuse_config config;
    struct world *w;

    (void)state;
    uw_fuse_config_init(&config);
    w = world_new(&config);
    for (int i = 0; i < 10; i++) {
        feed(w, hopper("rx0", "rx0-e1", 1 + 0.2 * i, 3));
        feed(w, hopper("rx0", "rx0-e2", 1.05 + 0.2 * i, 3));
        feed(w, hopper("rx1", "rx1-e1", 1.06 + 0.2 * i, 3));
        feed(w, hopper("rx1", "rx1-e2", 1.07 + 0.2 * i, 3));
    }
    assert_int_equal(uw_fuse_n_tracks(w->fuse), 2);
    assert_int_equal(uw_fuse_n_alerts(w->fuse), 2);
    world_free(w);
}

static void test_contradicting_names_are_two_links(void **state) {
    struct uw_fuse_config config;
    struct world *w;

    (void)state;
    uw_fuse_config_init(&config);
    w = world_new(&config);
    for (int i = 0; i < 10; i++) {
        struct uw_detection a = hopper("rx0", "rx0-e1", 1 + 0.2 * i, 3);
        struct uw_detection b = hopper("rx1", "rx1-e1", 1.05 + 0.2 * i, 3);
        strcpy(a.variant, "200Hz");
        strcpy(b.variant, "100Hz");
        feed(w, a);
        feed(w, b);
    }
    assert_int_equal(uw_fuse_n_tracks(w->fuse), 2);
    world_free(w);
}

static void test_same_link_again(void **state) {
    struct uw_fuse_config config;
    struct world *w;
    struct uw_detection other;

    (void)state;
    uw_fuse_config_init(&config);
    w = world_new(&config);
    for (int i = 0; i < 5; i++)
        feed(w, hopper("rx0", "rx0-e1", 1 + 0.2 * i, 5));
    /* 5 s of silence, then a new emitter: like the old one (same track), and one whose carrier is
     * off */
    feed(w, hopper("rx0", "rx0-e2", 7, 5));
    other = hopper("rx0", "rx0-e3", 7.1, 5);
    other.evidence.offset_hz = 20e3;
    feed(w, other);
    assert_int_equal(uw_fuse_n_tracks(w->fuse), 2);
    assert_int_equal(n_events(w, UW_ALERT_RAISED), 1);
    assert_string_equal(w->tracks[w->n_tracks - 2].track, "run-t1");
    assert_int_equal(w->tracks[w->n_tracks - 2].state, UW_TRACK_CONFIRMED);
    world_free(w);
}

/* 0.1 s after the last of it the detector finds the link again under another name; at the same time
 * there is another one whose carrier is 3 kHz off. */
static void test_link_found_again_at_once(void **state) {
    struct uw_fuse_config config;
    struct world *w;

    (void)state;
    uw_fuse_config_init(&config);
    w = world_new(&config);
    for (int i = 0; i < 10; i++) {
        struct uw_detection d = hopper("rx0", i < 5 ? "rx0-e1" : "rx0-e2", 1 + 0.3 * i, 5);
        struct uw_detection other = hopper("rx0", "rx0-e3", 1.05 + 0.3 * i, 5);
        strcpy(d.variant, "200Hz");
        strcpy(other.variant, "200Hz");
        other.evidence.offset_hz = 4000;
        feed(w, d);
        if (i > 2)
            feed(w, other);
    }
    assert_int_equal(uw_fuse_n_tracks(w->fuse), 2);
    assert_int_equal(n_events(w, UW_ALERT_RAISED), 2);
    world_free(w);
}

/* Two crystals that agree by chance: another link, 20 dB weaker, is found where one just was. */
static void test_another_link_beside(void **state) {
    (void)state;
    for (int weaker = 0; weaker < 2; weaker++) {
        struct uw_fuse_config config;
        struct world *w;

        uw_fuse_config_init(&config);
        w = world_new(&config);
        for (int i = 0; i < 10; i++) {
            struct uw_detection d = hopper("rx0", i < 5 ? "rx0-e1" : "rx0-e2", 1 + 0.3 * i, 5);
            strcpy(d.variant, "200Hz");
            d.snr_db = weaker && i >= 5 ? 3 : 23;
            d.power_dbfs = NAN; /* below the noise it is not known */
            feed(w, d);
        }
        assert_int_equal(uw_fuse_n_tracks(w->fuse), 1 + weaker);
        world_free(w);
    }
}

static struct uw_detection twin(int receiver, bool later, double t, double llr) {
    char name[16], emitter[32];
    struct uw_detection d;

    snprintf(name, sizeof(name), "rx%d", receiver);
    snprintf(emitter, sizeof(emitter), "rx%d-e%d", receiver, later ? 2 : 1);
    d = hopper(name, emitter, t, llr);
    strcpy(d.variant, "200Hz");
    d.evidence.offset_hz += 30e3 * receiver; /* its own crystal's */
    return d;
}

/* Two links whose crystals and levels agree by chance: the one is taken for the other, until that
 * is heard again, by one receiver or by each of two. */
static void test_two_taken_for_one(void **state) {
    static const double evidence[][2] = {{5, 4}, {4, 9}};

    (void)state;
    for (int k = 0; k < 4; k++) {
        const double *llr = evidence[k % 2];
        int n_receivers = 1 + k / 2;
        struct uw_fuse_config config;
        struct world *w;
        const struct uw_track *first = NULL, *second = NULL;

        uw_fuse_config_init(&config);
        w = world_new(&config);
        for (int i = 0; i < 18; i++) {
            /* 5 times the one, 5 times the other, then in turn; once could be what came late */
            bool later = i < 10 ? i >= 5 : i % 2;

            for (int r = 0; r < n_receivers; r++)
                feed(w, twin(r, later, 1 + 0.3 * i + 0.02 * r, llr[later]));
            if (i == 12)
                assert_int_equal(uw_fuse_n_tracks(w->fuse), 1);
        }
        assert_int_equal(uw_fuse_advance(w->fuse, at(7)), 0); /* records are due */
        assert_int_equal(uw_fuse_n_tracks(w->fuse), 2);
        assert_int_equal(n_events(w, UW_ALERT_RAISED), 2);
        assert_int_equal(n_events(w, UW_ALERT_CLEARED), 0);
        for (int i = 0; i < w->n_tracks; i++)
            *(strcmp(w->tracks[i].track, "run-t1") == 0 ? &first : &second) = &w->tracks[i];
        assert_int_equal(first->state, UW_TRACK_CONFIRMED);
        assert_int_equal(second->state, UW_TRACK_CONFIRMED);
        assert_string_equal(second->variant, "200Hz");
        assert_int_equal(first->n_receivers, n_receivers);
        assert_int_equal(second->n_receivers, n_receivers);
        /* what each has brought, and no more */
        assert_true(fabs(first->llr - 9 * llr[0] * n_receivers) < 1e-9);
        assert_true(fabs(second->llr - 9 * llr[1] * n_receivers) < 1e-9);
        assert_true(second->first_seen_ns == at(2.3));
        world_free(w);
    }
}

/* No room for a second track: both stay in one, until there is. */
static void test_no_room_to_separate(void **state) {
    struct uw_fuse_config config;
    struct world *w;

    (void)state;
    uw_fuse_config_init(&config);
    config.max_tracks = 1;
    w = world_new(&config);
    for (int i = 0; i < 20; i++)
        feed(w, twin(0, i < 10 ? i >= 5 : i % 2, 1 + 0.3 * i, 5));
    assert_int_equal(uw_fuse_n_tracks(w->fuse), 1);
    config.max_tracks = 2;
    assert_int_equal(uw_fuse_configure(w->fuse, &config), 0);
    for (int i = 20; i < 26; i++)
        feed(w, twin(0, i % 2, 1 + 0.3 * i, 5));
    assert_int_equal(uw_fuse_n_tracks(w->fuse), 2);
    world_free(w);
}

static void test_name_does_not_flicker(void **state) {
    struct uw_fuse_config config;
    struct world *w;

    (void)state;
    uw_fuse_config_init(&config);
    w = world_new(&config);
    for (int i = 0; i < 30; i++) {
        struct uw_detection d = hopper("rx0", "rx0-e1", 1 + 0.2 * i, 5);
        strcpy(d.variant, i >= 10 && i < 15 ? "D50" : "200Hz");
        feed(w, d);
    }
    for (int i = 0; i < w->n_tracks; i++)
        assert_string_equal(w->tracks[i].variant, "200Hz");
    assert_int_equal(n_events(w, UW_ALERT_UPDATED), 0);
    world_free(w);
}

static void test_evidence_counts_once_and_has_floor(void **state) {
    struct uw_fuse_config config;
    struct world *w;
    struct uw_detection d;

    (void)state;
    uw_fuse_config_init(&config);
    w = world_new(&config);
    d = hopper("rx0", "rx0-e1", 1, 10);
    feed(w, d);
    feed(w, d);
    feed(w, d);
    assert_int_equal(w->n_alerts, 0);
    /* a thousand nats against, then 21 for: floor -5 + 21 > 14.77 */
    feed(w, hopper("rx0", "rx0-e1", 1.2, -1000));
    feed(w, hopper("rx0", "rx0-e1", 1.4, 21));
    assert_int_equal(n_events(w, UW_ALERT_RAISED), 1);
    world_free(w);
}

static void test_doubt_clears(void **state) {
    struct uw_fuse_config config;
    struct world *w;

    (void)state;
    uw_fuse_config_init(&config);
    w = world_new(&config);
    feed(w, hopper("rx0", "rx0-e1", 1.0, 16));
    feed(w, hopper("rx0", "rx0-e1", 1.2, -4)); /* below the threshold, above half: stays */
    assert_int_equal(n_events(w, UW_ALERT_CLEARED), 0);
    feed(w, hopper("rx0", "rx0-e1", 1.4, -6));
    assert_int_equal(n_events(w, UW_ALERT_CLEARED), 1);
    assert_int_equal(w->tracks[w->n_tracks - 1].state, UW_TRACK_TENTATIVE);
    world_free(w);
}

static void test_names_known_later(void **state) {
    struct uw_fuse_config config;
    struct world *w;
    const struct uw_alert *updated;

    (void)state;
    uw_fuse_config_init(&config);
    w = world_new(&config);
    for (int i = 0; i < 20; i++) {
        struct uw_detection d = hopper("rx0", "rx0-e1", 1.1 + 0.1 * i, 16);
        if (i >= 2)
            strcpy(d.variant, "200Hz");
        if (i >= 4)
            strcpy(d.domain, "FCC915");
        feed(w, d);
    }
    /* both became known within update_s of the raise: one update, a second after it */
    assert_int_equal(n_events(w, UW_ALERT_UPDATED), 1);
    updated = first_event(w, UW_ALERT_UPDATED);
    assert_true(updated->head.time_ns >= at(2.1));
    assert_true(updated->head.time_ns <= at(2.25));
    assert_string_equal(updated->headline, "Drone control link: ExpressLRS 200Hz (FCC915)");
    assert_string_equal(updated->variant, "200Hz");
    assert_string_equal(updated->domain, "FCC915");
    world_free(w);
}

static void test_updates_are_limited(void **state) {
    struct uw_fuse_config config;
    struct world *w;
    int64_t last = 0;

    (void)state;
    uw_fuse_config_init(&config);
    config.update_s = 2;
    w = world_new(&config);
    for (int i = 0; i < 100; i++) {
        struct uw_detection d = hopper("rx0", "rx0-e1", 1 + 0.1 * i, 16 * (i + 1));
        snprintf(d.variant, sizeof(d.variant), "v%d", i);
        feed(w, d);
    }
    assert_true(n_events(w, UW_ALERT_UPDATED) >= 4);
    for (int i = 0; i < w->n_alerts; i++) {
        if (i > 0)
            assert_true(w->alerts[i].head.time_ns - last >= 2 * UW_NS_PER_S);
        last = w->alerts[i].head.time_ns;
    }
    world_free(w);
}

static void test_end_of_input(void **state) {
    struct uw_fuse_config config;
    struct world *w;

    (void)state;
    uw_fuse_config_init(&config);
    for (int ended = 0; ended < 2; ended++) {
        w = world_new(&config);
        feed(w, hopper("rx0", "rx0-e1", 1, 16));
        uw_fuse_advance(w->fuse, at(1.5));
        assert_int_equal(uw_fuse_finish(w->fuse, ended), 0);
        assert_int_equal(n_events(w, UW_ALERT_CLEARED), ended);
        if (ended) {
            assert_string_equal(first_event(w, UW_ALERT_CLEARED)->reason, "end of input");
            assert_int_equal(w->tracks[w->n_tracks - 1].state, UW_TRACK_ENDED);
        }
        world_free(w);
    }
}

static void test_limit_on_tracks(void **state) {
    struct uw_fuse_config config;
    struct world *w;
    char name[32];

    (void)state;
    uw_fuse_config_init(&config);
    config.max_tracks = 4;
    w = world_new(&config);
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "rx0-e%d", i);
        feed(w, hopper("rx0", name, 1 + 0.01 * i, i == 0 ? 20 : 1 + i));
    }
    for (int i = 0; i < 3; i++) {
        struct uw_detection d;
        snprintf(name, sizeof(name), "rx0-b%d", i);
        d = hopper("rx0", name, 1.1 + 0.01 * i, 100);
        d.role = UW_ROLE_BACKGROUND;
        d.drone = false;
        feed(w, d);
    }
    assert_int_equal(uw_fuse_n_tracks(w->fuse), 4);
    assert_int_equal(uw_fuse_n_dropped(w->fuse), 2);
    /* a drone takes the place of the background, another that of the weakest */
    feed(w, hopper("rx0", "rx0-e8", 1.3, 20));
    feed(w, hopper("rx0", "rx0-e9", 1.4, 20));
    assert_int_equal(uw_fuse_n_tracks(w->fuse), 6);
    assert_int_equal(n_events(w, UW_ALERT_RAISED), 3);
    world_free(w);
}

static struct uw_fuse_condition lost(const char *receiver) {
    return (struct uw_fuse_condition){
        .kind = UW_ALERT_RECEIVER,
        .subject = receiver,
        .severity = UW_SEVERITY_WARNING,
        .problem = UW_RX_PROBLEM_ABSENT,
        .headline = "Receiver is deaf",
        .reason = "The dongle is gone.",
        .advice = "Plug it in again.",
        .since_ns = UW_TIME_NONE,
    };
}

static void test_receiver_alerts(void **state) {
    struct uw_fuse_config config;
    struct uw_fuse_condition c = lost("rx0"), other = lost("rx1");
    struct world *w;

    (void)state;
    uw_fuse_config_init(&config);
    w = world_new(&config);
    uw_fuse_condition_clear(w->fuse, UW_ALERT_RECEIVER, "rx0", "works", NULL, at(1));
    assert_int_equal(w->n_alerts, 0);
    assert_int_equal(uw_fuse_condition_set(w->fuse, &c, at(2)), 0);
    assert_int_equal(uw_fuse_condition_set(w->fuse, &c, at(3)), 0);
    assert_int_equal(w->n_alerts, 1);
    assert_int_equal(w->alerts[0].kind, UW_ALERT_RECEIVER);
    assert_int_equal(w->alerts[0].event, UW_ALERT_RAISED);
    assert_int_equal(w->alerts[0].severity, UW_SEVERITY_WARNING);
    assert_int_equal(w->alerts[0].problem, UW_RX_PROBLEM_ABSENT);
    assert_true(w->alerts[0].head.time_ns == at(2) && w->alerts[0].first_seen_ns == at(2));
    assert_string_equal(w->alerts[0].receiver, "rx0");
    assert_string_equal(w->alerts[0].reason, "The dongle is gone.");
    /* texts wait for update_s, what matters does not */
    c.reason = "It is still gone.";
    uw_fuse_condition_set(w->fuse, &c, at(2.5));
    assert_int_equal(w->n_alerts, 1);
    uw_fuse_condition_set(w->fuse, &c, at(3.5));
    assert_int_equal(w->n_alerts, 2);
    assert_int_equal(w->alerts[1].event, UW_ALERT_UPDATED);
    c.severity = UW_SEVERITY_ADVISORY;
    uw_fuse_condition_set(w->fuse, &c, at(3.6));
    assert_int_equal(w->n_alerts, 3);
    assert_string_equal(w->alerts[2].reason, "It is still gone.");
    /* another subject and another kind are other alerts */
    uw_fuse_condition_set(w->fuse, &other, at(4));
    other.kind = UW_ALERT_COVERAGE;
    uw_fuse_condition_set(w->fuse, &other, at(4));
    assert_int_equal(w->n_alerts, 5);
    assert_string_equal(w->alerts[4].band, "rx1");
    uw_fuse_condition_clear(w->fuse, UW_ALERT_RECEIVER, "rx0", "Receiver rx0 works again", NULL,
                            at(5));
    assert_int_equal(w->alerts[5].event, UW_ALERT_CLEARED);
    assert_int_equal(w->alerts[5].state, UW_ALERT_ENDED);
    assert_string_equal(w->alerts[5].alert, "run-a1");
    assert_string_equal(w->alerts[5].headline, "Receiver rx0 works again");
    uw_fuse_condition_set(w->fuse, &c, at(6));
    assert_string_equal(w->alerts[6].alert, "run-a4");
    assert_int_equal(w->n_alerts, 7);
    assert_int_equal(uw_fuse_n_alerts(w->fuse), 0); /* of kind uas */
    world_free(w);
}

static void test_conditions_are_bounded(void **state) {
    struct uw_fuse_config config;
    struct uw_fuse_condition c;
    struct world *w;
    char name[16];

    (void)state;
    uw_fuse_config_init(&config);
    w = world_new(&config);
    for (int i = 0; i <= UW_FUSE_CONDITIONS_MAX; i++) {
        snprintf(name, sizeof(name), "rx%d", i);
        c = lost(name);
        assert_int_equal(uw_fuse_condition_set(w->fuse, &c, at(1)),
                         i < UW_FUSE_CONDITIONS_MAX ? 0 : UW_E_AGAIN);
    }
    uw_fuse_condition_clear(w->fuse, UW_ALERT_RECEIVER, "rx7", "again", NULL, at(2));
    assert_int_equal(uw_fuse_condition_set(w->fuse, &c, at(3)), 0);
    world_free(w);
}

/* A stricter limit counts from now on, and takes no alert away. */
static void test_configure(void **state) {
    struct uw_fuse_config config;
    struct uw_detection d;
    struct world *w;

    (void)state;
    uw_fuse_config_init(&config);
    w = world_new(&config);
    d = hopper("rx0", "rx0-e1", 1, 20);
    assert_int_equal(uw_fuse_detection(w->fuse, &d), 0);
    assert_int_equal(w->n_alerts, 1);
    config.false_alerts_per_hour = 1e-9;
    config.exercise = true;
    config.max_tracks = 1;
    strcpy(config.site, "elsewhere");
    assert_int_equal(uw_fuse_configure(w->fuse, &config), 0);
    assert_true(uw_fuse_threshold(w->fuse) > 28);
    d = hopper("rx0", "rx0-e2", 1.1, 20);
    assert_int_equal(uw_fuse_detection(w->fuse, &d), 0); /* max_tracks: no room */
    config.max_tracks = 9;
    assert_int_equal(uw_fuse_configure(w->fuse, &config), 0);
    d = hopper("rx0", "rx0-e3", 1.2, 20);
    assert_int_equal(uw_fuse_detection(w->fuse, &d), 0);
    assert_int_equal(w->n_alerts, 1); /* 20 nats do not suffice any more */
    assert_string_equal(w->tracks[w->n_tracks - 1].head.site, "site");
    assert_true(w->tracks[w->n_tracks - 1].head.exercise);
    config.clear_s = 0;
    assert_int_equal(uw_fuse_configure(w->fuse, &config), -22);
    world_free(w);
}

static void test_state_table(void **state) {
    static const struct {
        enum uw_track_state from;
        enum uw_track_state to[UW_FUSE_EVENT_N]; /* heard, proven, doubted, quiet, gone */
    } rows[] = {
        {UW_TRACK_TENTATIVE,
         {UW_TRACK_TENTATIVE, UW_TRACK_CONFIRMED, UW_TRACK_TENTATIVE, UW_TRACK_TENTATIVE,
          UW_TRACK_ENDED}},
        {UW_TRACK_CONFIRMED,
         {UW_TRACK_CONFIRMED, UW_TRACK_CONFIRMED, UW_TRACK_TENTATIVE, UW_TRACK_COASTING,
          UW_TRACK_ENDED}},
        {UW_TRACK_COASTING,
         {UW_TRACK_CONFIRMED, UW_TRACK_CONFIRMED, UW_TRACK_TENTATIVE, UW_TRACK_COASTING,
          UW_TRACK_ENDED}},
        {UW_TRACK_ENDED,
         {UW_TRACK_ENDED, UW_TRACK_ENDED, UW_TRACK_ENDED, UW_TRACK_ENDED, UW_TRACK_ENDED}},
    };

    (void)state;
    assert_int_equal(UW_ARRAY_SIZE(rows), UW_TRACK_STATE_N);
    for (size_t i = 0; i < UW_ARRAY_SIZE(rows); i++)
        for (int e = 0; e < UW_FUSE_EVENT_N; e++)
            assert_int_equal(uw_fuse_next_state(rows[i].from, (enum uw_fuse_event)e),
                             rows[i].to[e]);
}

/* What is the same in two worlds up to the names of things. */
static void assert_same(const struct world *a, const struct world *b) {
    assert_int_equal(a->n_tracks, b->n_tracks);
    assert_int_equal(a->n_alerts, b->n_alerts);
    assert_memory_equal(a->tracks, b->tracks, (size_t)a->n_tracks * sizeof(a->tracks[0]));
    assert_memory_equal(a->alerts, b->alerts, (size_t)a->n_alerts * sizeof(a->alerts[0]));
}

static uint32_t random_next(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* A script with three links, two receivers and gaps; advanced in random steps between. */
static struct world *play(uint32_t seed) {
    struct uw_fuse_config config;
    struct world *w;

    uw_fuse_config_init(&config);
    w = world_new(&config);
    for (int i = 0; i < 300; i++) {
        double t = 0.1 * i + 0.03;
        char emitter[32];
        const char *receiver = i % 2 ? "rx1" : "rx0";
        if (i % 100 > 60)
            continue;
        if (seed) {
            double step = (random_next(&seed) % 1000) * 1e-4;
            uw_fuse_advance(w->fuse, at(t - 0.1 + step));
            uw_fuse_advance(w->fuse, at(t - 0.1 + step / 2));
        }
        snprintf(emitter, sizeof(emitter), "%s-e%d", receiver, i % 3);
        feed(w, hopper(receiver, emitter, t, 1.5));
    }
    uw_fuse_advance(w->fuse, at(60));
    uw_fuse_finish(w->fuse, true);
    return w;
}

static void test_steps_of_time_do_not_matter(void **state) {
    struct world *plain = play(0);

    (void)state;
    assert_true(plain->n_alerts > 4);
    for (uint32_t seed = 1; seed < 6; seed++) {
        struct world *w = play(seed);
        assert_same(plain, w);
        world_free(w);
    }
    world_free(plain);
}

/* With the names of two receivers exchanged the same links, evidence and times come out. */
static void test_names_of_receivers_do_not_matter(void **state) {
    static const char *const names[2][2] = {{"east", "west"}, {"west", "east"}};
    struct world *worlds[2];
    struct uw_fuse_config config;

    (void)state;
    uw_fuse_config_init(&config);
    for (int k = 0; k < 2; k++) {
        worlds[k] = world_new(&config);
        for (int i = 0; i < 40; i++) {
            feed(worlds[k], hopper(names[k][0], "a-e1", 1 + 0.2 * i, 1));
            feed(worlds[k], hopper(names[k][1], "b-e1", 1.05 + 0.2 * i, 1));
        }
        uw_fuse_finish(worlds[k]->fuse, true);
    }
    assert_int_equal(worlds[0]->n_tracks, worlds[1]->n_tracks);
    assert_int_equal(worlds[0]->n_alerts, worlds[1]->n_alerts);
    for (int i = 0; i < worlds[0]->n_alerts; i++) {
        assert_int_equal(worlds[0]->alerts[i].head.time_ns, worlds[1]->alerts[i].head.time_ns);
        assert_string_equal(worlds[0]->alerts[i].headline, worlds[1]->alerts[i].headline);
    }
    world_free(worlds[0]);
    world_free(worlds[1]);
}

static double said(const struct world *w) {
    return w->tracks[w->n_tracks - 1].confidence;
}

static void feed_said(struct world *w, const char *receiver, double t, double confidence) {
    char emitter[16];
    struct uw_detection d;

    snprintf(emitter, sizeof(emitter), "%s-e1", receiver);
    d = hopper(receiver, emitter, t, 20);
    d.confidence = confidence;
    feed(w, d);
    assert_int_equal(uw_fuse_advance(w->fuse, at(ceil(t))), 0); /* a record each second */
}

static void test_confidence_is_the_present_one(void **state) {
    struct uw_fuse_config config;
    struct world *w;

    (void)state;
    uw_fuse_config_init(&config);
    w = world_new(&config);
    feed_said(w, "rx0", 0.9, 0.8);
    assert_float_equal(said(w), 0.8, 1e-9);
    feed_said(w, "rx0", 1.9, 0.95);
    assert_float_equal(said(w), 0.95, 1e-9);
    feed_said(w, "rx0", 2.9, 0.6); /* not what it once was */
    assert_float_equal(said(w), 0.6, 1e-9);
    feed_said(w, "rx1", 3.9, 0.5); /* a second receiver takes nothing away, and adds nothing */
    assert_float_equal(said(w), 0.6, 1e-9);
    feed_said(w, "rx1", 4.9, 0.7);
    assert_float_equal(said(w), 0.7, 1e-9);
    feed_said(w, "rx1", 5.5, 0.4); /* rx0 was heard within coast_s */
    assert_float_equal(said(w), 0.6, 1e-9);
    feed_said(w, "rx1", 6.5, 0.4); /* ... and now is silent */
    assert_float_equal(said(w), 0.4, 1e-9);
    feed_said(w, "rx1", 7.5, NAN); /* no word is no news */
    assert_float_equal(said(w), 0.4, 1e-9);
    assert_int_equal(n_events(w, UW_ALERT_RAISED), 1);
    assert_float_equal(first_event(w, UW_ALERT_RAISED)->confidence, 0.8, 1e-9);
    assert_true(n_events(w, UW_ALERT_UPDATED) >= 4);
    world_free(w);
}

/* What is counted by the detector holds at any sum and any setting. Only where nobody has said
 * anything the sum has to do. */
static void test_confidence_is_what_was_said(void **state) {
    struct uw_fuse_config config;
    struct uw_detection d;
    struct world *w;

    (void)state;
    uw_fuse_config_init(&config);
    config.false_alerts_per_hour = 10; /* 5.9 nats */
    w = world_new(&config);
    d = hopper("rx0", "rx0-e1", 1, 6.5);
    d.confidence = 0.97;
    feed(w, d);
    assert_int_equal(n_events(w, UW_ALERT_RAISED), 1);
    assert_float_equal(first_event(w, UW_ALERT_RAISED)->confidence, 0.97, 1e-9);
    world_free(w);

    w = world_new(&config);
    d.confidence = NAN;
    feed(w, d);
    assert_int_equal(n_events(w, UW_ALERT_RAISED), 1);
    assert_float_equal(first_event(w, UW_ALERT_RAISED)->confidence,
                       (float)(1 / (1 + 3600 * exp(-6.5))), 1e-9);
    world_free(w);
}

static void test_hostile_records(void **state) {
    struct uw_fuse_config config;
    struct world *w;
    struct uw_detection d;

    (void)state;
    uw_fuse_config_init(&config);
    w = world_new(&config);
    uw_detection_init(&d);
    assert_int_equal(uw_fuse_detection(w->fuse, &d), 0); /* nothing known at all */
    d = hopper("rx0", "rx0-e1", 1, NAN);
    d.confidence = NAN;
    feed(w, d);
    d = hopper("rx0", "rx0-e1", 2, INFINITY);
    feed(w, d);
    assert_int_equal(w->n_alerts, 0);
    /* eighty years later, then a late one */
    feed(w, hopper("rx0", "rx0-e2", 2.5e9, 20));
    feed(w, hopper("rx0", "rx0-e3", 1, 20));
    for (int i = 1; i < w->n_tracks; i++)
        assert_true(w->tracks[i].head.time_ns >= w->tracks[i - 1].head.time_ns);
    world_free(w);
    config.clear_s = config.coast_s / 2;
    assert_true(uw_fuse_new(&config, &ops, NULL, &(struct uw_fuse *){NULL}) < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_of_a_link),
        cmocka_unit_test(test_unknown_link_is_described),
        cmocka_unit_test(test_track_records_each_second),
        cmocka_unit_test(test_setting_moves_alert),
        cmocka_unit_test(test_no_alert_without_rule),
        cmocka_unit_test(test_no_alert_for_background),
        cmocka_unit_test(test_one_link_two_receivers),
        cmocka_unit_test(test_two_links_one_receiver),
        cmocka_unit_test(test_contradicting_names_are_two_links),
        cmocka_unit_test(test_same_link_again),
        cmocka_unit_test(test_link_found_again_at_once),
        cmocka_unit_test(test_another_link_beside),
        cmocka_unit_test(test_two_taken_for_one),
        cmocka_unit_test(test_no_room_to_separate),
        cmocka_unit_test(test_name_does_not_flicker),
        cmocka_unit_test(test_evidence_counts_once_and_has_floor),
        cmocka_unit_test(test_doubt_clears),
        cmocka_unit_test(test_names_known_later),
        cmocka_unit_test(test_updates_are_limited),
        cmocka_unit_test(test_end_of_input),
        cmocka_unit_test(test_limit_on_tracks),
        cmocka_unit_test(test_receiver_alerts),
        cmocka_unit_test(test_conditions_are_bounded),
        cmocka_unit_test(test_configure),
        cmocka_unit_test(test_state_table),
        cmocka_unit_test(test_steps_of_time_do_not_matter),
        cmocka_unit_test(test_names_of_receivers_do_not_matter),
        cmocka_unit_test(test_confidence_is_the_present_one),
        cmocka_unit_test(test_confidence_is_what_was_said),
        cmocka_unit_test(test_hostile_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
