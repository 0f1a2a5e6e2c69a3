/* SPDX-License-Identifier: GPL-3.0-or-later */

/* From packets to links, with packets as a script says: no signal, no noise */

#undef NDEBUG
#include "links-room.h"

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

/* Two links whose slots meet: each has its own crystal, and so its own place between the channels.
 * A symbol apart, where one measured badly would be, too. */
static void test_meeting_slots(void **state) {
    static const double apart_s[] = {60e-6, 95e-6, 128e-6};

    (void)state;
    for (size_t k = 0; k < sizeof(apart_s) / sizeof(apart_s[0]); ++k) {
        for (uint64_t seed = 50; seed < 56; ++seed) {
            struct room *room = enter(915.0e6);
            struct link l[2] = {make_link("200Hz", "FCC915", seed),
                                make_link("200Hz", "FCC915", seed + 100)};
            const struct heard *first;

            l[0].carrier_ppm = -9.0;
            l[1].carrier_ppm = 8.0;
            l[1].begin_s = l[0].begin_s + apart_s[k];
            run(room, l, 2, 8.0);
            assert_int_equal(n_alerts(room, &first), 2);
            leave(room);
        }
    }
}

/* The aircraft's packets, every `every`th, have a crystal and a level of their own, and may come a
 * little late: one link. */
static void test_other_end(void **state) {
    static const struct {
        const char *variant;
        int every;
        double late_s;
    } ends[] = {{"200Hz", 2, 0.0}, {"200Hz", 4, 0.0},  {"200Hz", 64, 0.0},
                {"50Hz", 2, 0.0},  {"50Hz", 2, 60e-6}, {"50Hz", 4, 150e-6}};

    (void)state;
    for (size_t k = 0; k < sizeof(ends) / sizeof(ends[0]); ++k) {
        for (uint64_t seed = 60; seed < 64; ++seed) {
            struct room *room = enter(915.0e6);
            struct link l = make_link(ends[k].variant, "FCC915", seed);
            const struct heard *first;
            struct uw_packet p;

            while ((double)l.next * l.variant->period_s <
                   (l.variant->period_s > 0.01 ? 18.0 : 8.0)) {
                if (next_packet(&l, room, &p)) {
                    bool telemetry = l.next % ends[k].every == 0;

                    p.offset_hz += telemetry ? 14e3 : 0.0;
                    p.snr_db += telemetry ? 7.0 : 0.0;
                    p.start += telemetry ? ends[k].late_s * RATE : 0.0;
                    p.stop += telemetry ? ends[k].late_s * RATE : 0.0;
                    (void)uw_links_packet(room->links, &p);
                }
                uw_links_progress(room->links, (uint64_t)p.stop);
            }
            assert_int_equal(n_alerts(room, &first), 1);
            assert_true(first->alert_s < 600.0 * l.variant->period_s);
            leave(room);
        }
    }
}

/* Samples are lost every quarter of a second and found missing: the link has two lattices that take
 * turns. It is one where the tracker is told, and mostly where it is not. */
static int n_links_of_torn(bool told, double other_hz, double other_db, uint64_t seed) {
    struct room *room = enter(915.0e6);
    struct link l = make_link("200Hz", "FCC915", seed);
    const struct heard *h;
    int n;

    while (l.next < 3200) {
        const bool other = l.next / 50 % 2;
        struct uw_packet p;

        if (told && l.next % 50 == 0)
            uw_links_torn(room->links, (uint64_t)(l.begin_s * RATE) + (uint64_t)l.next * 12000);
        if (next_packet(&l, room, &p)) {
            p.start += other ? 1.9e-3 * RATE : 0.0;
            p.stop += other ? 1.9e-3 * RATE : 0.0;
            p.offset_hz += other ? other_hz : 0.0;
            p.snr_db += other ? other_db : 0.0;
            (void)uw_links_packet(room->links, &p);
        }
        uw_links_progress(room->links, (uint64_t)p.stop);
    }
    n = n_alerts(room, &h);
    leave(room);
    return n;
}

static void test_torn(void **state) {
    int one = 0;
    int two = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 8; ++seed) {
        assert_int_equal(n_links_of_torn(true, 0.0, 0.0, seed), 1);
        /* not told: no more dwells than of one link */
        one += n_links_of_torn(false, 0.0, 0.0, seed) == 1;
        /* another crystal, another level: two links */
        two += n_links_of_torn(true, 9e3, 0.0, seed) == 2;
        two += n_links_of_torn(true, 0.0, 12.0, seed) == 2;
    }
    print_message("one: %d of 8, two: %d of 16\n", one, two);
    assert_true(one >= 6 && two >= 15);
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
        cmocka_unit_test(test_meeting_slots),  cmocka_unit_test(test_other_end),
        cmocka_unit_test(test_torn),           cmocka_unit_test(test_mixed_links),
        cmocka_unit_test(test_no_hops),        cmocka_unit_test(test_one_channel),
        cmocka_unit_test(test_sporadic),       cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_orphan),         cmocka_unit_test(test_unknown_centre),
    };

    return cmocka_run_group_tests_name("links", tests, load, unload);
}
