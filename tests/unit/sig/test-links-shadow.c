/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a strong transmitter casts on other channels and at other times is no link of its own */

#undef NDEBUG
#include "links-room.h"

#define SYMBOL_S   (64.0 / 500e3) /* SF6 */
#define NOISE_HITS 12

/* A packet as the search below the noise hands it on. */
static struct uw_packet weak(const struct uw_packet *whole, double offset_hz, double snr_db) {
    struct uw_packet p = *whole;

    p.weak = true;
    p.down = false;
    p.sync = -1;
    p.preamble = 0;
    p.offset_hz = offset_hz;
    p.offset_error_hz = 2344.0;
    p.snr_db = snr_db;
    p.stop = p.start + 13.0 * (double)(1 << p.sf) / p.bandwidth_hz * RATE;
    p.start_error_s = 1e-6;
    p.stop_error_s = 1.0;
    p.power_dbfs = NAN;
    p.false_rate_hz = 1.0;
    p.n_places = 1;
    p.places[0] = (struct uw_place){.start = p.start, .offset_hz = offset_hz};
    p.places[0].extent.n_preamble = 8; /* all of them there */
    for (int i = 0; i < 8; ++i)
        p.places[0].extent.preamble[i + 1] = 2.0f * (float)(i + 1);
    return p;
}

/* As many data symbols as the air rate's packets have. */
static void add_data(struct uw_extent *x, const struct uw_sig_variant *v) {
    const double n = v->airtime_s * v->bandwidth_hz / (double)(1 << v->sf) - v->preamble - 4.25;

    x->n_data = UW_FAINT_DATA_MAX;
    for (int i = 0; i < UW_FAINT_DATA_MAX; ++i)
        x->data[i + 1] = x->data[i] + (i < (int)lround(n) ? 1.0f : -1.0f);
}

static bool in_band(double offset_hz) {
    return fabs(offset_hz) + 250e3 <= 0.5 * RATE;
}

/* Hits that hop like a link, `below_db` under a train that never does and sends all the time. */
static int alerts_beside_a_train(double below_db, uint64_t seed) {
    struct room *room = enter(915.0e6);
    struct link train = make_link("200Hz", "FCC915", seed);
    struct link shadow = make_link("200Hz", "FCC915", seed + 50);
    const struct heard *h;
    struct uw_packet p, q;
    int n;

    train.hops = false;
    train.stays = 19;                        /* 914.9 MHz */
    shadow.begin_s = train.begin_s + 1.1e-3; /* while the train's packet is on the air */
    while (train.next < 1600) {
        (void)next_packet(&train, room, &p);
        (void)uw_links_packet(room->links, &p);
        if (next_packet(&shadow, room, &q)) {
            q = weak(&q, q.offset_hz, p.snr_db - below_db);
            (void)uw_links_packet(room->links, &q);
        }
        uw_links_progress(room->links, (uint64_t)p.stop);
    }
    n = n_alerts(room, &h);
    assert_true(room->n_orphans >= 1); /* the train: told as what it is */
    leave(room);
    return n;
}

static void test_outshone(void **state) {
    int beside = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 6; ++seed) {
        assert_int_equal(alerts_beside_a_train(25.0, seed), 0);
        beside += alerts_beside_a_train(8.0, seed) > 0;
    }
    print_message("beside: %d\n", beside);
    assert_true(beside >= 5); /* what is not so much weaker is heard all the same */
}

/* A train that never hops, SF7 on one channel every 10 ms and no packet of it whole. In some of its
 * slots it is heard as SF6 instead, a little later, on carriers read wrong; or a link that hops all
 * over the band is on the air as well. */
static int alerts_of_train(const char *link, uint64_t seed, int *ret_spoken) {
    struct room *room = enter(915.0e6);
    struct link train = make_link("100Hz", "FCC915", seed);
    struct link l = make_link(link ? link : "200Hz", "FCC915", seed + 50);
    uint64_t random = seed;
    const struct heard *h;
    struct uw_packet p, q;
    int n;

    train.hops = false;
    train.stays = 20;
    l.begin_s = train.begin_s + 1.4e-3;
    while (train.next < 5000) {
        (void)next_packet(&train, room, &p);
        struct uw_packet seen = weak(&p, p.offset_hz, -11.5);
        struct uw_packet again =
            bare_packet(variant_of(elrs(), "200Hz"), p.start / RATE + 1.4e-3, p.offset_hz, &random);

        const double error = signal_uniform(&random) < 0.8 ? 8e3 : 65e3;
        again.offset_hz += error * (2.0 * signal_uniform(&random) - 1.0);
        if (signal_uniform(&random) < 0.05) /* noise, elsewhere */
            again.offset_hz -= 600e3;
        again = weak(&again, again.offset_hz, -16.0);
        add_data(&again.places[0].extent, variant_of(elrs(), "200Hz"));
        if (signal_uniform(&random) < 0.9)
            (void)uw_links_packet(room->links, &seen);
        else if (!link && signal_uniform(&random) < 0.6)
            (void)uw_links_packet(room->links, &again);
        while (link && (double)l.next * l.variant->period_s < (double)train.next * 10e-3) {
            if (next_packet(&l, room, &q) && signal_uniform(&random) < 0.4) {
                q = weak(&q, q.offset_hz, -16.0);
                (void)uw_links_packet(room->links, &q);
            }
        }
        uw_links_progress(room->links, (uint64_t)p.stop);
    }
    n = n_alerts(room, &h);
    *ret_spoken = room->n_heard;
    leave(room);
    return n;
}

static void test_train(void **state) {
    static const char *const rates[] = {"200Hz", "50Hz", "25Hz"};
    int spoken;

    (void)state;
    for (uint64_t seed = 1; seed <= 6; ++seed) {
        assert_int_equal(alerts_of_train(NULL, seed, &spoken), 0);
        assert_int_equal(spoken, 0);
        for (int i = 0; i < 3; ++i)
            assert_int_equal(alerts_of_train(rates[i], seed, &spoken), 1);
    }
}

/* What clipping makes of an FSK packet has its very time. */
static void test_products(void **state) {
    struct room *room = enter(915.0e6);
    struct link l = make_link("K1000Full", "FCC915", 1);
    struct uw_packet p, q;

    (void)state;
    while (!next_packet(&l, room, &p)) {
    }
    p.snr_db = 40.0;
    uw_links_heard(room->links, &p);
    assert_false(uw_links_is_harmonic(room->links, &p));
    q = p;
    q.offset_hz += 900e3;
    q.start += 5e-6 * RATE;
    q.snr_db = 25.0;
    assert_true(uw_links_is_harmonic(room->links, &q));
    q.snr_db = 32.0; /* another link, that meets it */
    assert_false(uw_links_is_harmonic(room->links, &q));
    q.snr_db = 25.0;
    q.start += 100e-6 * RATE;
    q.stop += 100e-6 * RATE;
    assert_false(uw_links_is_harmonic(room->links, &q));
    leave(room);
}

/* A link of the other direction, whose channels outside the band show in it, mirrored. */
static struct room *hear_image(double rejection_db, double apart_s, uint64_t seed) {
    struct room *room = enter(915.0e6);
    struct link l = make_link("200Hz", "FCC915", seed);

    l.clock_ppm = 15.0;
    while (l.next < 1600) {
        struct uw_packet p;

        if (next_packet(&l, room, &p)) {
            p.down = true;
            p.snr_db = 35.0;
            (void)uw_links_packet(room->links, &p);
        } else {
            /* 12 channels away lies what the tuner takes for it */
            const double offset = p.offset_hz + 12.0 * 600e3;
            struct uw_packet q = weak(&p, offset, 35.0 - rejection_db);

            q.start += apart_s * RATE;
            q.places[0].start = q.start;
            if (in_band(offset))
                (void)uw_links_packet(room->links, &q);
        }
        uw_links_progress(room->links, (uint64_t)p.stop);
    }
    return room;
}

static int alerts_of_image(double rejection_db, double apart_s, uint64_t seed) {
    struct room *room = hear_image(rejection_db, apart_s, seed);
    const struct heard *h;
    int n = n_alerts(room, &h);

    leave(room);
    return n;
}

/* Of few weak packets the clock may come out wrong: what was on the air long before or after then
 * lies beside the lattice. */
static void test_image_of_wrong_clock(void **state) {
    int images = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 10; ++seed) {
        for (int other = 0; other < 2; ++other) {
            struct room *room = hear_image(42.0, other ? 2.1e-3 : 0.0, seed);

            for (int i = 0; i < LINK_EMITTERS_MAX; ++i) {
                struct emitter *e = &room->links->emitters[i];

                if (!e->used || e->first_packet.down || e->n_packets < 20)
                    continue;
                e->clock += 80e-6;
                images += !other && uw_link_is_image(room->links, e);
                assert_false(other && uw_link_is_image(room->links, e));
            }
            leave(room);
        }
    }
    print_message("images of a wrong clock: %d of 10\n", images);
    assert_true(images >= 8);
}

static void test_image(void **state) {
    int others = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 10; ++seed) {
        assert_int_equal(alerts_of_image(42.0, 0.0, seed), 0);
        /* in other slots, or as strong, it is a link of its own */
        others += alerts_of_image(42.0, 2.1e-3, seed) == 1;
        others += alerts_of_image(10.0, 0.0, seed) == 1;
    }
    assert_true(others >= 18);
}

/* An image shows a link's own packets mirrored: their delimiter looks like up-chirps, ten symbols
 * behind the begin. Elsewhere in the slot such hits would be a link. */
static int alerts_of_weak(bool losing, double apart_s, double below_db, uint64_t seed) {
    struct room *room = enter(915.0e6);
    struct link l = make_link("200Hz", "FCC915", seed);
    const struct heard *h;
    int n;

    while (l.next < 2400) {
        struct uw_packet p;

        if (next_packet(&l, room, &p)) {
            p.snr_db = 37.0;
            (void)uw_links_packet(room->links, &p);
        } else {
            const double offset = p.offset_hz + 12.0 * 600e3;
            struct uw_packet q = weak(&p, offset, 37.0 - below_db);

            q.start += apart_s * RATE;
            q.places[0].start = q.start;
            if (in_band(offset) && l.next > 400)
                (void)uw_links_packet(room->links, &q);
        }
        if (losing && l.next % 100 == 1)
            uw_links_torn(room->links, (uint64_t)p.stop);
        uw_links_progress(room->links, (uint64_t)p.stop);
    }
    n = n_alerts(room, &h);
    leave(room);
    return n;
}

static void test_delimiter(void **state) {
    int others = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 10; ++seed) {
        assert_int_equal(alerts_of_weak(false, 10.0 * SYMBOL_S, 48.0, seed), 1);
        others += alerts_of_weak(false, 16.0 * SYMBOL_S, 48.0, seed) == 2;
        others += alerts_of_weak(false, 10.0 * SYMBOL_S, 15.0, seed) == 2;
    }
    print_message("others: %d\n", others);
    assert_true(others >= 18);
}

/* What a tuner makes of a link's channels outside the band, in slots of its own: the link's, before
 * samples were lost that the clock has not told of. */
static void test_cast_while_losing(void **state) {
    int others = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 10; ++seed) {
        assert_int_equal(alerts_of_weak(true, 2.1e-3, 30.0, seed), 1);
        /* nothing lost, or not so much weaker: a link of its own */
        others += alerts_of_weak(false, 2.1e-3, 30.0, seed) == 2;
        others += alerts_of_weak(true, 2.1e-3, 17.0, seed) == 2;
    }
    print_message("others: %d\n", others);
    assert_true(others >= 18);
}

/* Weak hits of noise on a lattice of their own, before a strong link on the same slots comes: they
 * must not lead it by the nose. */
static void test_noise_first(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 8; ++seed) {
        struct room *room = enter(915.0e6);
        struct link l = make_link("200Hz", "FCC915", seed);
        const struct heard *h;
        struct uw_packet p;

        l.begin_s += 1.0;
        for (int i = 0; i < NOISE_HITS; ++i) {
            const double offset = l.domain->channel_hz[18 + i % 3] - 915.0e6;
            struct uw_packet q =
                bare_packet(l.variant, l.begin_s + 0.055 * (i - NOISE_HITS), offset, &l.random);

            q = weak(&q, offset, -14.0);
            (void)uw_links_packet(room->links, &q);
        }
        while (l.next < 400) {
            if (next_packet(&l, room, &p))
                (void)uw_links_packet(room->links, &p);
            uw_links_progress(room->links, (uint64_t)p.stop);
        }
        assert_int_equal(n_alerts(room, &h), 1);
        assert_string_equal(h->alert_variant, "200Hz");
        assert_true(h->alert_s < l.begin_s + 2.0);
        leave(room);
    }
}

/* Weak packets of a link are held until they must have ended; a whole one of the next slot may
 * overtake them. They are the link's all the same: no food for what began with a few of its packets
 * that were measured a symbol late. */
static int64_t most_beside(uint64_t seed) {
    struct room *room = enter(915.0e6);
    struct link l = make_link("200Hz", "FCC915", seed);
    struct uw_packet p;
    int n_heard = 0;
    int64_t most = 0;
    int64_t second = 0;

    while (l.next < 2400) {
        if (!next_packet(&l, room, &p))
            continue;
        struct uw_packet q = weak(&p, p.offset_hz, p.snr_db - 4.0);
        bool late = n_heard == 30 || n_heard == 50;

        if (late) {
            p.start += SYMBOL_S * RATE;
            p.stop += SYMBOL_S * RATE;
        }
        if (++n_heard % 4 != 1 || n_heard < 52) {
            (void)uw_links_packet(room->links, &p);
        } else {
            if (next_packet(&l, room, &p))
                (void)uw_links_packet(room->links, &p);
            (void)uw_links_packet(room->links, &q);
        }
        uw_links_progress(room->links, (uint64_t)p.stop);
    }
    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        const struct emitter *e = &room->links->emitters[i];
        int64_t n = e->used ? e->n_packets : 0;

        second = n > most ? most : n > second ? n : second;
        most = n > most ? n : most;
    }
    assert_true(most > 60);
    leave(room);
    return second;
}

static void test_overtaken(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 6; ++seed)
        assert_true(most_beside(seed) <= 2);
}

/* Two carriers in the same slots are one link (Gemini); in other slots they are two. */
static int alerts_of_two(const char *variant, const char *domain, double apart_s, double ppm,
                         uint64_t seed) {
    struct room *room = enter(strcmp(domain, "EU868") == 0 ? 866.4e6 : 915.0e6);
    struct link l[2] = {make_link(variant, domain, seed), make_link(variant, domain, seed + 9)};
    const struct heard *h;
    int n;

    l[1].begin_s = l[0].begin_s + apart_s;
    l[1].clock_ppm = l[1].carrier_ppm = ppm;
    run(room, l, 2, l[0].variant->period_s > 0.01 ? 18.0 : 8.0);
    n = n_alerts(room, &h);
    leave(room);
    return n;
}

static void test_gemini(void **state) {
    int one = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 10; ++seed) {
        one += alerts_of_two("200Hz", "FCC915", 0.0, 0.0, seed) == 1;
        assert_int_equal(alerts_of_two("200Hz", "FCC915", 1.7e-3, 0.0, seed), 2);
    }
    assert_true(one >= 9);
}

/* Two links in each other's slots, a part of a symbol apart: where a badly measured carrier of one
 * would be. Each is measured well. Those of FCC915 have a crystal each, and are seldom in the
 * band at the same time. */
static void test_out_of_step(void **state) {
    int one = 0, two = 0, slow = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        one += alerts_of_two("100Hz", "EU868", 10e-6, 0.0, seed) == 1;
        two += alerts_of_two("100Hz", "EU868", 50e-6, 0.0, seed) == 2;
        /* in step in the middle of the run */
        slow += alerts_of_two("50Hz", "FCC915", -60e-6, 6.0, seed) == 2;
    }
    print_message("two carriers: %d of 20 one link in step, %d two out of step, %d slow ones\n",
                  one, two, slow);
    assert_true(one >= 18);
    assert_true(two >= 18);
    assert_true(slow >= 18);
}

/* In a small plan one carrier often goes to the channel that the other leaves: two dwells in a row,
 * of more packets than any air rate sends. */
static bool is_gemini_heard(uint64_t seed) {
    struct room *room = enter(866.4e6);
    struct link l = make_link("100Hz", "EU868", seed);
    const int n = l.domain->n_channels;
    const int per_hop = l.variant->packets_per_hop;
    const struct heard *h;
    uint64_t random = seed;
    int n_heard;

    for (int k = 0; k < 800; ++k) {
        const int in_block = k % (n * per_hop);

        if (in_block == 0)
            shuffle(&l);
        for (int carrier = 0; carrier < 2; ++carrier) {
            const int channel = (l.order[in_block / per_hop] + carrier * n / 2) % n;
            const double offset = l.domain->channel_hz[channel] - room->config.freq_hz;
            const struct uw_packet p =
                bare_packet(l.variant, 0.3 + k * l.variant->period_s, offset, &random);

            if (fabs(offset) + 0.5 * l.variant->bandwidth_hz <= 0.5 * RATE)
                (void)uw_links_packet(room->links, &p);
            uw_links_progress(room->links, (uint64_t)p.stop);
        }
    }
    n_heard = n_alerts(room, &h);
    assert_true(n_heard <= 1);
    leave(room);
    return n_heard == 1;
}

static void test_gemini_in_row(void **state) {
    int n = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 100; ++seed)
        n += is_gemini_heard(seed);
    print_message("gemini: %d of 100 heard\n", n);
    assert_int_equal(n, 100);
}

/* A link keeps its slots while it is heard, though its evidence has sunk: an emitter there that has
 * more by now is its second carrier. */
static void test_sunken(void **state) {
    static struct emitter emitters[LINK_EMITTERS_MAX];
    const double slot = 10e-3 * RATE;
    const double symbol = 128.0 / 500e3 * RATE;
    struct emitter *old = &emitters[3];
    struct emitter *e = &emitters[7];

    (void)state;
    *old = (struct emitter){
        .used = true,
        .number = 2,
        .signature = elrs(),
        .period_s = 10e-3,
        .reference = 1e6,
        .last_start = 1e6,
        .bandwidth_hz = 500e3,
        .llr = 2.0,
        .alerted = true,
        .first_packet = {.modulation = UW_SIG_LORA, .sf = 7},
    };
    *e = *old;
    e->number = 0;
    e->alerted = false;
    e->llr = 19.0;
    e->reference = e->last_start = old->reference + 100.0 * slot + 0.2 * symbol;
    assert_true(uw_link_is_beside(emitters, e, RATE));
    e->reference += symbol;
    assert_false(uw_link_is_beside(emitters, e, RATE));
    e->reference -= symbol;
    /* never alerted: whichever has more evidence is the link */
    old->alerted = false;
    assert_false(uw_link_is_beside(emitters, e, RATE));
    /* long silent: its lattice is not known any more */
    old->alerted = true;
    old->last_start -= 300.0 * slot;
    assert_false(uw_link_is_beside(emitters, e, RATE));
}

/* How many emitters have ten packets and more. */
static int n_emitters(const struct room *room) {
    int n = 0;

    for (size_t i = 0; i < LINK_EMITTERS_MAX; ++i) {
        const struct emitter *e = &room->links->emitters[i];

        n += e->used && e->n_packets >= 10;
    }
    return n;
}

/* Packets that the search below the noise hears of a link in its slots, each `aside` of a bandwidth
 * beside its channel and so much of a symbol later. */
static int emitters_beside(double aside, double later, uint64_t seed) {
    struct room *room = enter(915.0e6);
    struct link l = make_link("200Hz", "FCC915", seed);
    struct uw_packet p;
    int n_heard = 0, n;

    while (l.next < 2400) {
        if (!next_packet(&l, room, &p))
            continue;
        /* what is found is no packet of the link's own: that collided with another's */
        if (++n_heard % 3 || n_heard < 60) {
            (void)uw_links_packet(room->links, &p);
        } else {
            p = weak(&p, p.offset_hz + aside * p.bandwidth_hz, p.snr_db - 4.0);
            p.start += later * SYMBOL_S * RATE;
            p.stop += later * SYMBOL_S * RATE;
            p.places[0].start = p.start;
            (void)uw_links_packet(room->links, &p);
        }
        uw_links_progress(room->links, (uint64_t)p.stop);
    }
    n = n_emitters(room);
    leave(room);
    return n;
}

/* Whole ones that lie so beside one channel, in slots in which the link is out of the band. */
static int emitters_beside_channel(double channel_hz, double aside, double later, uint64_t seed) {
    struct room *room = enter(915.0e6);
    struct link l = make_link("200Hz", "FCC915", seed);
    struct uw_packet p;
    int n;

    while (l.next < 2400) {
        const bool in_band = next_packet(&l, room, &p);

        if (!in_band && (l.next < 800 || l.next / 4 % 8))
            continue;
        if (!in_band) {
            p.offset_hz = channel_hz - room->config.freq_hz + aside * p.bandwidth_hz;
            p.start += later * SYMBOL_S * RATE;
            p.stop += later * SYMBOL_S * RATE;
        }
        (void)uw_links_packet(room->links, &p);
        uw_links_progress(room->links, (uint64_t)p.stop);
    }
    n = n_emitters(room);
    leave(room);
    return n;
}

static void test_aside(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 6; ++seed) {
        assert_int_equal(emitters_beside(0.5, 0.5, seed), 1);
        assert_int_equal(emitters_beside(-0.4, -0.4, seed), 1);
        /* off the line of the chirp: another's */
        assert_int_equal(emitters_beside(0.5, -0.5, seed), 2);
        assert_int_equal(emitters_beside(0.0, 0.5, seed), 2);
        assert_int_equal(emitters_beside(0.5, 2.5, seed), 2);
        /* the band ends at 916.2 MHz */
        assert_int_equal(emitters_beside_channel(916.1e6, -0.5, -0.5, seed), 1);
        assert_int_equal(emitters_beside_channel(916.1e6, -0.5, 0.5, seed), 2);
        assert_int_equal(emitters_beside_channel(914.9e6, -0.5, -0.5, seed), 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overtaken),
        cmocka_unit_test(test_outshone),
        cmocka_unit_test(test_train),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_image),
        cmocka_unit_test(test_image_of_wrong_clock),
        cmocka_unit_test(test_cast_while_losing),
        cmocka_unit_test(test_noise_first),
        cmocka_unit_test(test_gemini),
        cmocka_unit_test(test_out_of_step),
        cmocka_unit_test(test_gemini_in_row),
        cmocka_unit_test(test_delimiter),
        cmocka_unit_test(test_sunken),
        cmocka_unit_test(test_aside),
    };

    return cmocka_run_group_tests_name("links-shadow", tests, load, unload);
}
