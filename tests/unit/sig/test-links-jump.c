/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Links across samples that were lost without a word, with packets as a script says */

#undef NDEBUG
#include "links-room.h"

/* Holes in the stream, of which nobody tells. */
struct holes {
    double a_second;
    double piece_s; /* 0: any up to 10 ms */
    uint64_t random;
    double at_s, gone_s; /* the next, and what the ones before it have taken */
};

#define N_NODES 8

static double exponential(double a_second, uint64_t *random) {
    return -log(1.0 - signal_uniform(random)) / a_second;
}

static struct holes make_holes(double a_second, double piece_s, uint64_t seed) {
    struct holes h = {.a_second = a_second, .piece_s = piece_s, .random = seed};

    h.at_s = exponential(a_second, &h.random);
    return h;
}

/* Moves the packet to where it is in what is left; false: a hole took a part of it. */
static bool fall(struct holes *h, struct uw_packet *p) {
    while (h->at_s < p->start / RATE) {
        h->gone_s += h->piece_s > 0.0 ? h->piece_s : 10e-3 * signal_uniform(&h->random);
        h->at_s += exponential(h->a_second, &h->random);
    }
    bool whole = h->at_s > p->stop / RATE;
    p->start -= h->gone_s * RATE;
    p->stop -= h->gone_s * RATE;
    return whole;
}

/* The packets of all links, in the order of their begin, fall through the holes. */
static void run_torn(struct room *room, struct link *links, int n_links, struct holes *holes,
                     double seconds, const double *more_db) {
    struct uw_packet packet[2];
    bool in_band[2];

    for (int i = 0; i < n_links; ++i)
        in_band[i] = next_packet(&links[i], room, &packet[i]);
    for (;;) {
        const int first = n_links > 1 && packet[1].start < packet[0].start;
        struct uw_packet p = packet[first];

        if (p.stop > seconds * RATE)
            return;
        if (more_db)
            p.snr_db += more_db[first];
        if (fall(holes, &p) && in_band[first])
            (void)uw_links_packet(room->links, &p);
        uw_links_progress(room->links, (uint64_t)fmax(p.stop, 0.0));
        in_band[first] = next_packet(&links[first], room, &packet[first]);
    }
}

static const struct plan {
    const char *variant, *domain;
    double freq_hz, seconds;
} plans[] = {
    {"200Hz", "FCC915", 915.0e6, 5.0},  {"200Hz", "EU868", 866.4e6, 5.0},
    {"100Hz", "FCC915", 915.0e6, 10.0}, {"100Hz", "EU868", 866.4e6, 8.0},
    {"50Hz", "FCC915", 915.0e6, 16.0},  {"50Hz", "EU868", 866.4e6, 12.0},
    {"25Hz", "EU868", 866.4e6, 24.0},
};
#define N_PLANS (sizeof(plans) / sizeof(plans[0]))

/* As many as five holes a second, each of which moves the lattice: one link, and it is heard. */
static void test_one_link(void **state) {
    static const struct {
        double a_second, piece_s;
    } holes[] = {{0.4, 27.3e-3}, {1.5, 6.83e-3}, {5.0, 2e-3}, {2.0, 0.0}};
    int n_alerts_in_all = 0;
    int n_runs = 0;

    (void)state;
    for (size_t i = 0; i < N_PLANS; ++i) {
        for (size_t k = 0; k < sizeof(holes) / sizeof(holes[0]); ++k) {
            for (uint64_t seed = 1; seed <= 4; ++seed) {
                struct room *room = enter(plans[i].freq_hz);
                struct link l = make_link(plans[i].variant, plans[i].domain, seed);
                struct holes h = make_holes(holes[k].a_second, holes[k].piece_s, 100 + seed);
                const struct heard *first;

                run_torn(room, &l, 1, &h, plans[i].seconds, NULL);
                const int n = n_alerts(room, &first);

                if (n != 1)
                    print_message("%s %s, holes of %.1f ms: %d alerts\n", plans[i].domain,
                                  plans[i].variant, 1e3 * holes[k].piece_s, n);
                assert_true(n <= 1);
                n_alerts_in_all += n;
                ++n_runs;
                leave(room);
            }
        }
    }
    print_message("torn: %d alerts in %d runs\n", n_alerts_in_all, n_runs);
    assert_true(n_alerts_in_all >= n_runs - 2);
}

/* Nothing is lost, and two links have one crystal and one level: they are told apart when both are
 * on the air at a time, or take turns. */
static void test_twins(void **state) {
    int n_two = 0;
    int n_runs = 0;

    (void)state;
    for (size_t i = 0; i < N_PLANS; ++i) {
        for (uint64_t seed = 1; seed <= 6; ++seed) {
            struct room *room = enter(plans[i].freq_hz);
            struct link l[2] = {make_link(plans[i].variant, plans[i].domain, seed),
                                make_link(plans[i].variant, plans[i].domain, seed + 100)};
            struct holes none = {.at_s = INFINITY};
            const struct heard *first;

            l[1].begin_s = l[0].begin_s + 1.0 + (0.2 + 0.1 * (double)seed) * l[0].variant->period_s;
            run_torn(room, l, 2, &none, 2.0 * plans[i].seconds, NULL);
            const int n = n_alerts(room, &first);

            assert_true(n == 1 || n == 2);
            assert_true(first->alert_s < plans[i].seconds);
            n_two += n == 2;
            ++n_runs;
            leave(room);
        }
    }
    print_message("twins: two alerts in %d of %d runs\n", n_two, n_runs);
    assert_true(n_two >= n_runs - n_runs / 10);
}

/* Two links of other crystals, or levels, behind holes: two. */
static void test_others(void **state) {
    static const double more_db[] = {0.0, 12.0};
    int n_two = 0;

    (void)state;
    for (int level = 0; level < 2; ++level) {
        for (uint64_t seed = 1; seed <= 6; ++seed) {
            struct room *room = enter(866.4e6);
            struct link l[2] = {make_link("200Hz", "EU868", seed),
                                make_link("200Hz", "EU868", seed + 100)};
            struct holes h = make_holes(1.5, 6.83e-3, 100 + seed);
            const struct heard *first;

            l[1].begin_s += 2.3e-3;
            l[1].carrier_ppm = level ? 0.0 : 7.0;
            run_torn(room, l, 2, &h, 10.0, level ? more_db : NULL);
            const int n = n_alerts(room, &first);

            assert_in_range(n, 1, 2);
            n_two += n == 2;
            leave(room);
        }
    }
    print_message("others: two alerts in %d of 12 runs\n", n_two);
    assert_true(n_two >= 11);
}

/* A network of eight nodes, each with its crystal, that send a link's waveform in pairs, a period
 * apart, on four channels of its plan at any time: each pair would be a jump. */
static void test_pairs(void **state) {
    static const char *const variants[] = {"200Hz", "100Hz", "50Hz"};

    (void)state;
    for (size_t v = 0; v < sizeof(variants) / sizeof(variants[0]); ++v) {
        for (uint64_t seed = 1; seed <= 6; ++seed) {
            const struct uw_sig_variant *x = variant_of(elrs(), variants[v]);
            const struct uw_sig_domain *d = domain_of(elrs(), "FCC915");
            struct room *room = enter(915.0e6);
            const struct heard *first;
            uint64_t random = seed;

            for (double t = 0.5; t < 600.0; t += 0.1 + exponential(0.2, &random)) {
                const double offset = d->channel_hz[18 + signal_random(&random) % 4] -
                                      room->config.freq_hz +
                                      5e3 * (double)(signal_random(&random) % N_NODES) - 17.5e3;

                for (int i = 0; i < 2; ++i) {
                    const struct uw_packet p = bare_packet(x, t + i * x->period_s, offset, &random);

                    (void)uw_links_packet(room->links, &p);
                    uw_links_progress(room->links, (uint64_t)p.stop);
                }
            }
            assert_int_equal(n_alerts(room, &first), 0);
            leave(room);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_link),
        cmocka_unit_test(test_twins),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_pairs),
    };

    return cmocka_run_group_tests_name("links-jump", tests, load, unload);
}
