/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What tells a link from traffic of its own waveform: each piece of evidence by itself */

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
#include "uw/base/err.h"

#define RATE    2.4e6
#define CENTRE  915.0e6
#define VISIBLE 3 /* channels of 600 kHz, each 500 kHz wide, in 2.4 MHz */

static struct uw_sigdb *db;
static struct emitter emitter;
static struct uw_detector_config config;

static int load(void **state) {
    static struct uw_diag diag;

    (void)state;
    return uw_sigdb_load(UW_SIGNATURES, &diag, &db);
}

static int unload(void **state) {
    (void)state;
    db = uw_sigdb_free(db);
    return 0;
}

/* An emitter of one air rate and one plan, of which nothing was heard. */
static const struct uw_sig_variant *begin(const char *variant, bool only) {
    const struct uw_signature *s = uw_sigdb_find(db, "expresslrs-900");
    const struct uw_sig_variant *v = NULL;

    assert_non_null(s);
    for (int i = 0; i < s->n_variants; ++i)
        v = strcmp(s->variants[i].name, variant) == 0 ? &s->variants[i] : v;
    assert_non_null(v);
    const struct uw_packet p = {
        .modulation = v->modulation,
        .sf = v->sf,
        .sync = -1,
        .bandwidth_hz = v->bandwidth_hz,
        .stop = v->airtime_s * RATE,
        .weak = true,
    };

    config = (struct uw_detector_config){.rate_hz = RATE, .freq_hz = CENTRE, .db = db};
    memset(&emitter, 0, sizeof(emitter));
    emitter.signature = s;
    emitter.period_s = v->period_s;
    emitter.first_packet = p;
    uw_link_judge_begin(&emitter, &config, &p);
    for (int i = 0; i < s->n_variants; ++i)
        emitter.variants[i].possible &= !only || &s->variants[i] == v;
    for (int i = 0; i < s->n_domains; ++i)
        emitter.domains[i].possible = i == 0;
    assert_string_equal(s->domains[0].name, "FCC915");
    assert_int_equal(uw_link_visible(&emitter, &config), VISIBLE);
    return v;
}

/* The k-th channel that lies in the band as a whole. */
static double visible_hz(const struct uw_sig_domain *d, int k) {
    for (int i = 0; i < d->n_channels; ++i) {
        if (fabs(d->channel_hz[i] - CENTRE) < 0.5 * RATE - 250e3 && k-- == 0)
            return d->channel_hz[i];
    }
    fail();
    return NAN;
}

static double hops(void) {
    return emitter.alike.hops + emitter.alike.kept_hops;
}

/* A dwell on this one of the visible channels, or so far beside it, as the tracker counts it. */
static double dwell_beside(int channel, double beside_hz, int64_t slot) {
    const struct uw_sig_domain *d = &emitter.signature->domains[0];
    const struct uw_packet p = {.weak = true,
                                .offset_hz = visible_hz(d, channel) - config.freq_hz + beside_hz};
    const double before = hops();

    ++emitter.n_dwells;
    emitter.dwell_first = slot;
    emitter.dwell_last = slot;
    emitter.dwell_channel = channel + (beside_hz != 0.0 ? VISIBLE : 0);
    emitter.channels_hz[emitter.dwell_channel] = p.offset_hz;
    if (emitter.dwell_channel >= emitter.n_channels)
        emitter.n_channels = emitter.dwell_channel + 1;
    uw_link_judge_hop(&emitter, &config, &p, slot);
    assert_true(isfinite(hops()));
    return hops() - before;
}

static double dwell(int channel, int64_t slot) {
    return dwell_beside(channel, 0.0, slot);
}

static void test_limits(void **state) {
    const struct link_alike nothing = {0};
    const struct link_alike hops = {.hops = 1.0};
    const struct link_alike sure = {.lattice = 1e3, .raster = 1e3, .length = 1e3};
    const struct link_alike surer = {.lattice = 1e9, .raster = INFINITY, .length = 1e9};
    const double none = uw_link_alike_nats(&nothing);
    const double most = uw_link_alike_nats(&sure);

    (void)state;
    assert_true(isfinite(most) && most > none);
    /* however often it is seen */
    assert_true(fabs(uw_link_alike_nats(&surer) - most) < 1e-9);
    /* rarity alone is no alert: a false alert a month at one decision a second is 14.8 nats, and
     * hops bring the rest of at least as much as the limits leave */
    assert_true(none < 14.8 && most < 20.0);
    assert_true(fabs(uw_link_alike_nats(&hops) - none - 1.0) < 1e-9);
    /* each alone, and to the contrary each counts in full */
    for (int i = 0; i < 3; ++i) {
        struct link_alike one = {0};
        double *field = i == 0 ? &one.lattice : i == 1 ? &one.raster : &one.length;

        *field = 0.5;
        assert_true(fabs(uw_link_alike_nats(&one) - none - 0.5) < 1e-9);
        *field = 1e3;
        assert_true(uw_link_alike_nats(&one) > none + 2.0);
        assert_true(uw_link_alike_nats(&one) < none + 6.0);
        *field = -50.0;
        assert_true(fabs(uw_link_alike_nats(&one) - none + 50.0) < 1e-9);
    }
    const struct link_alike against = {
        .lattice = 1e3, .raster = 1e3, .length = 1e3, .hops = -100.0};
    assert_true(uw_link_alike_nats(&against) < 0.0);
}

/* The same channel at times that a link could come back: it is the channel that speaks. */
static void test_one_channel(void **state) {
    const struct uw_sig_variant *v = begin("25Hz", true);
    const int64_t block = (int64_t)v->packets_per_hop * 40;
    double sum = 0.0;

    (void)state;
    assert_true(dwell(0, 0) == 0.0); /* the first tells nothing */
    for (int i = 1; i <= 200; ++i) { /* more than are kept: what was judged for good still counts */
        const double nats = dwell(0, i * block);
        /* the urn's: (i + 1/V) / (i + 1) against 1 / V; a block apart is twice as likely of a link
         */
        const double urn = log((1.0 / VISIBLE) * (i + 1.0) / (i + 1.0 / VISIBLE));

        assert_true(nats >= urn && nats <= urn + log(2.0) + 1e-9);
        assert_true(nats < 0.0);
        sum += nats;
    }
    print_message("one channel, a block apart: %.1f nats in 200 dwells\n", sum);
    assert_true(sum < -10.0);
    /* long afterwards only the channel counts */
    const double late = dwell(0, 400 * block);
    assert_true(fabs(late - log((1.0 / VISIBLE) * 202.0 / (201.0 + 1.0 / VISIBLE))) < 1e-9);
}

/* A channel not heard before speaks for a link, the more the more was heard. */
static void test_new_channels(void **state) {
    (void)begin("25Hz", true);
    double before = 0.0;

    (void)state;
    assert_true(dwell(0, 0) == 0.0);
    for (int i = 1; i < VISIBLE; ++i) {
        const double nats = dwell(i, i * 20);

        assert_true(fabs(nats - log(i + 1.0)) < 1e-9);
        assert_true(nats > before);
        before = nats;
    }
}

/* Two visits of a channel are seldom close in a link. */
static void test_return(void **state) {
    const struct uw_sig_variant *v = begin("25Hz", true);
    const int64_t hop = v->packets_per_hop;
    double before = -INFINITY;

    (void)state;
    for (int hops = 1; hops <= 40; ++hops) {
        (void)begin("25Hz", true);
        for (int i = 0; i < 3; ++i)
            (void)dwell(i, i * hop);
        const double nats = dwell(2, 2 * hop + hops * hop);
        const double urn = log((1.0 / VISIBLE) * 4.0 / (1.0 + 1.0 / VISIBLE));

        /* of the triangle's rise, 2 d / n against uniform */
        if (hops < 40)
            assert_true(fabs(nats - urn - log(2.0 * hops / 40.0)) < 1e-9);
        if (hops <= 4)
            assert_true(nats < -1.5);
        if (hops < 40)
            assert_true(nats >= before);
        before = nats;
    }
    assert_true(before > 0.0); /* a block apart */
    (void)begin("25Hz", true);
    (void)dwell(0, 0);
    const double next = dwell(0, hop); /* the hop behind: heavily against it */
    print_message("back in the next hop: %.1f nats\n", next);
    assert_true(next < -3.0 && next >= -6.0);
    assert_true(dwell(0, hop) >= -6.0); /* bounded, whatever comes */
}

/* Links that hop as they do gain, traffic on two channels at random times loses. */
static void test_mean(void **state) {
    enum { BLOCKS = 60, CHANNELS = 40 };
    const struct uw_sig_variant *v = begin("25Hz", true);
    uint64_t random = 21;
    double link = 0.0;
    double traffic = 0.0;
    int visits = 0;

    (void)state;
    for (int64_t b = 0; b < BLOCKS; ++b) {
        int order[CHANNELS];

        for (int i = 0; i < CHANNELS; ++i)
            order[i] = i;
        for (int i = CHANNELS - 1; i > 0; --i) {
            const int j = (int)(signal_random(&random) % (uint64_t)(i + 1));
            const int t = order[i];

            order[i] = order[j];
            order[j] = t;
        }
        for (int i = 0; i < CHANNELS; ++i) {
            /* some are not heard */
            if (order[i] >= VISIBLE || signal_uniform(&random) < 0.3)
                continue;
            link += dwell(order[i], (b * CHANNELS + i) * v->packets_per_hop);
            ++visits;
        }
    }
    v = begin("25Hz", true);
    for (int64_t slot = 0, i = 0; i < visits; ++i) {
        slot += 1 + (int64_t)(-25.0 * log(signal_uniform(&random)));
        traffic += dwell((int)(signal_random(&random) % 2), slot);
    }
    print_message("%d dwells: %.1f nats for a link, %.1f for traffic on two channels\n", visits,
                  link, traffic);
    assert_true(link > 5.0);
    assert_true(traffic < -20.0);
}

/* What lies between the channels tells nothing, and neither takes nor gives. */
static void test_between(void **state) {
    const struct uw_sig_variant *v = begin("25Hz", true);
    const int64_t block = (int64_t)v->packets_per_hop * 40;

    (void)state;
    (void)dwell(0, 0);
    const double alone = dwell(0, block);
    (void)begin("25Hz", true);
    (void)dwell(0, 0);
    for (int i = 1; i < 20; ++i)
        assert_true(dwell_beside(i % VISIBLE, 50e3 + 10e3 * i, 20 * i) == 0.0);
    assert_true(fabs(dwell(0, block) - alone) < 1e-9);
    assert_true(alone < 0.0);
}

/* The plan's offset gets known with time: what seemed to lie beside it is judged again. */
static void test_offset_comes_late(void **state) {
    (void)state;
    (void)begin("25Hz", true);
    for (int i = 0; i < VISIBLE; ++i)
        assert_true(dwell_beside(i, 30e3, 20 * i) == 0.0);
    emitter.domains[0].offset_hz = 30e3;
    const double late = dwell_beside(0, 30e3, 4000);
    const double at_last = hops();
    (void)begin("25Hz", true);
    for (int i = 0; i < VISIBLE; ++i)
        (void)dwell(i, 20 * i);
    (void)dwell(0, 4000);
    assert_true(fabs(at_last - hops()) < 1e-9);
    assert_true(late > 1.0);
}

/* Nodes of a network, each with its crystal, the first heard the farthest off: however long it is
 * heard, where they hop tells nothing for a link. */
static void test_many_nodes(void **state) {
    uint64_t seed = 5;
    int64_t slot = 0;

    (void)state;
    (void)begin("D50", true);
    emitter.n_channels = VISIBLE;
    for (int k = 0; k < 600; ++k) {
        const int c = k < VISIBLE ? k : (int)(signal_uniform(&seed) * VISIBLE);
        const double node_hz = k < VISIBLE ? 16e3 : 4e3 * (k % 5 - 2);
        const struct uw_packet p = {.weak = true,
                                    .offset_hz = visible_hz(&emitter.signature->domains[0], c) -
                                                 CENTRE + node_hz};

        if (k < VISIBLE)
            emitter.channels_hz[c] = p.offset_hz;
        ++emitter.n_dwells;
        slot += 4 + (int64_t)(signal_uniform(&seed) * 23.0);
        ++emitter.n_weak;
        emitter.dwell_channel = c;
        uw_link_judge_hop(&emitter, &config, &p, slot);
    }
    const double where = hops() - emitter.alike.returns - emitter.alike.kept_returns;
    print_message("many nodes: %.1f nats for a link\n", where);
    assert_true(where < 10.0); /* what the urn learns: ln(dwells), for three channels */
}

/* n packets, each in a slot that is `step` times any number, but for the strays. */
static double slots_nats(int n, int step, int strays) {
    uint64_t seed = 9;
    int64_t slot = 1000;

    emitter.n_slots = 0;
    for (int i = 0; i < n; ++i) {
        slot += step * (1 + (int64_t)(signal_uniform(&seed) * 20.0));
        emitter.slots[emitter.n_slots++ % LINK_SLOTS_KEPT] = slot + (i % n < strays ? 1 : 0);
    }
    return uw_link_judge_slots(&emitter);
}

/* A link is heard in any of its slots; a network whose slots are several of a link's in one of so
 * many. */
static void test_slots(void **state) {
    static const char *const rates[] = {"D50", "200Hz", "100HzFull", "X150", "25Hz"};

    (void)state;
    for (size_t i = 0; i < 5; ++i) {
        const struct uw_sig_variant *v = begin(rates[i], true);

        /* slots of the air rate are several of a lattice that suits others, too */
        emitter.period_s = v->period_s / (double)(1 + i % 3);
        int one = 1 + (int)(i % 3);
        for (int n = 0; n <= 200; n += n < 10 ? 1 : 19)
            assert_true(slots_nats(n, one, 0) > -1.0 && slots_nats(n, one, 0) <= 0.0);
        assert_true(slots_nats(2, 2 * one, 0) > -1.0);
        /* the other end may have every second slot */
        assert_true(slots_nats(30, 2 * one, 0) == -2.5 && slots_nats(200, 2 * one, 0) == -2.5);
        for (int of = 3; of <= 8; ++of)
            assert_true(slots_nats(40, of * one, 0) == -10.0 && slots_nats(40, of * one, 2) < -5.0);
    }
}

/* One carrier that was measured badly, where the band's edge cuts a channel, does not make another
 * end of a link of all packets behind it. */
static void test_a_carrier_cut(void **state) {
    const struct uw_sig_variant *v = begin("25Hz", true);
    const struct uw_sig_domain *d = &emitter.signature->domains[0];
    struct uw_packet p = {.modulation = v->modulation, .sf = v->sf, .offset_error_hz = 100.0};

    (void)state;
    emitter.domains[0].dwells = 4;
    emitter.end.n = 4;
    for (int last = 0; last < 2; ++last) {
        emitter.end.offset_hz[last] = visible_hz(d, 0) - CENTRE + 5.4e3;
        emitter.end.offset_hz[1 - last] = visible_hz(d, 1) - CENTRE;
        for (int c = 0; c < VISIBLE; ++c) {
            p.offset_hz = visible_hz(d, c) - CENTRE + 200.0;
            assert_false(uw_link_is_other_end(&emitter, &config, &p));
            p.offset_hz = visible_hz(d, c) - CENTRE - 9e3;
            assert_true(uw_link_is_other_end(&emitter, &config, &p));
        }
    }
}

static void test_nothing_known(void **state) {
    (void)state;
    (void)begin("25Hz", true);
    (void)dwell(0, 0);
    config.freq_hz = NAN; /* no centre, no plan */
    assert_true(dwell(0, 2) == 0.0);
    (void)begin("25Hz", true);
    (void)dwell(0, 0);
    for (int i = 0; i < emitter.signature->n_variants; ++i)
        emitter.variants[i].possible = false;
    assert_true(dwell(0, 2) == 0.0);
}

/* A packet with so many chirps and data symbols, each of which tells `nats`. */
static struct uw_packet packet_of(const struct uw_sig_variant *v, int preamble, int data,
                                  double nats) {
    struct uw_packet p = {
        .modulation = v->modulation,
        .sf = v->sf,
        .bandwidth_hz = v->bandwidth_hz,
        .weak = true,
        .n_places = 1,
    };
    struct uw_extent *x = &p.places[0].extent;

    x->n_preamble = 14;
    for (int i = 0; i < x->n_preamble; ++i)
        x->preamble[i + 1] = x->preamble[i] + (float)(i < preamble ? 2.0 : -2.0);
    x->n_data = 30;
    for (int i = 0; i < x->n_data; ++i)
        x->data[i + 1] = x->data[i] + (float)(i < data ? nats : -nats);
    return p;
}

static int data_symbols(const struct uw_sig_variant *v) {
    return (int)lround(v->airtime_s * v->bandwidth_hz / (double)(1 << v->sf) - v->preamble - 4.25);
}

static void test_length(void **state) {
    const struct uw_sig_variant *v = begin("25Hz", true);
    const int right = data_symbols(v);
    struct uw_packet p = packet_of(v, v->preamble, right, 1.5);

    (void)state;
    const double good = uw_link_judge_length(&emitter, &p);
    assert_true(good > 1.0 && good <= 2.0);
    for (int data = 5; data <= 24; ++data) {
        p = packet_of(v, v->preamble, data, 1.5);
        const double nats = uw_link_judge_length(&emitter, &p);

        if (abs(data - right) >= 4)
            assert_true(nats < -1.0 && nats >= -2.0);
        if (abs(data - right) <= 1)
            assert_true(nats > 0.0);
        assert_true(nats <= good + 1e-9);
    }
    /* half the preamble of that air rate */
    p = packet_of(v, 6, right, 1.5);
    assert_true(uw_link_judge_length(&emitter, &p) < 0.0);
}

/* Symbols that tell nothing, or a place that is not sure: no evidence either way. */
static void test_length_unknown(void **state) {
    const struct uw_sig_variant *v = begin("25Hz", true);
    struct uw_packet p = packet_of(v, v->preamble, 24, 0.0);

    (void)state;
    assert_true(fabs(uw_link_judge_length(&emitter, &p)) < 1.5);
    p = packet_of(v, v->preamble, 24, 1.5);
    p.places[0].extent.n_data = 3;
    assert_true(uw_link_judge_length(&emitter, &p) == 0.0);
    p = packet_of(v, 5, 24, 1.5); /* 10 - 6 nats of the first eight chirps */
    assert_true(uw_link_judge_length(&emitter, &p) == 0.0);
}

/* Air rates of one waveform differ in length: 200 Hz and 100 Hz with long packets, both SF 6. */
static void test_length_tells_variants(void **state) {
    static const char *const names[] = {"200Hz", "100HzFull"};

    (void)state;
    for (int k = 0; k < 2; ++k) {
        const struct uw_sig_variant *other = begin(names[1 - k], true);
        const struct uw_sig_variant *v = begin(names[k], false);
        const struct uw_signature *s = emitter.signature;

        emitter.period_s = 10e-3;
        for (int i = 0; i < s->n_variants; ++i)
            emitter.variants[i].possible = &s->variants[i] == v || &s->variants[i] == other;
        for (int n = 0; n < 4; ++n) {
            const struct uw_packet p = packet_of(v, v->preamble, data_symbols(v), 1.0);

            (void)uw_link_judge_length(&emitter, &p);
        }
        assert_ptr_equal(uw_link_variant(&emitter, false), v);
        /* one packet never decides alone */
        assert_true(emitter.variants[other - s->variants].log_likelihood >= -6.0 - 1e-9);
    }
}

/* What visits that come too soon say is believed up to a limit (a link on two carriers makes such),
 * and alone it raises no alert; which channels are visited counts without one. */
static void test_two_carriers(void **state) {
    struct link_alike a = {.lattice = 100.0, .raster = 100.0, .length = 100.0};
    const double best = uw_link_alike_nats(&a);

    (void)state;
    a.hops = a.returns = -3.0;
    assert_true(fabs(uw_link_alike_nats(&a) - (best - 3.0)) < 1e-9);
    a.hops = a.returns = -50.0;
    const double least = uw_link_alike_nats(&a);
    print_message("two carriers: %.1f nats\n", least);
    assert_true(least > 8.0 && least < 12.0 && least < best - 4.0);
    a.hops = -60.0;
    assert_true(fabs(uw_link_alike_nats(&a) - (least - 10.0)) < 1e-9);
}

/* Two chirps and a quarter somewhere among the windows where a preamble should be. */
static struct uw_packet delimiter_of(const struct uw_sig_variant *v, int at, double nats) {
    struct uw_packet p = packet_of(v, 0, 0, 1.0);
    struct uw_extent *x = &p.places[0].extent;

    for (int i = 0; i < x->n_preamble; ++i)
        x->preamble[i + 1] = x->preamble[i] + (float)(i >= at && i < at + 2 ? nats
                                                      : i == at + 2         ? -0.5
                                                                            : -0.6);
    return p;
}

/* Up-chirps of which no more stand together than an inverted packet's delimiter has. */
static void test_way_up(void **state) {
    const struct uw_sig_variant *v = begin("200Hz", true);
    struct link_alike link = {.raster = 10.0};
    struct link_alike inverted = {.raster = 10.0};
    struct uw_packet p = packet_of(v, v->preamble, 20, 1.0);

    (void)state;
    assert_true(uw_link_judge_preamble(&emitter, &p) > 3.0);
    for (int i = 0; i < 8; ++i)
        link.preamble += uw_link_judge_preamble(&emitter, &p);
    for (int at = 0; at < 11; ++at) {
        p = delimiter_of(v, at, 8.0);
        const double nats = uw_link_judge_preamble(&emitter, &p);

        /* its place may be wrong: never more than that */
        assert_true(nats < 0.0 && nats >= log(0.3) - 1e-6);
        inverted.preamble += nats;
    }
    print_message("way up: %.1f nats for a link, %.1f for delimiters\n",
                  uw_link_upright_nats(&link), uw_link_upright_nats(&inverted));
    assert_true(uw_link_upright_nats(&link) > 25.0);
    assert_true(uw_link_upright_nats(&inverted) < 3.0);
    /* another air rate of the waveform has so long a preamble that a delimiter lies inside */
    (void)begin("200Hz", false);
    p.places[0].extent.n_preamble = 18;
    for (int i = 0; i < 18; ++i)
        p.places[0].extent.preamble[i + 1] =
            p.places[0].extent.preamble[i] + (i == 12 || i == 13 ? 3.0f : -0.1f);
    assert_true(uw_link_judge_preamble(&emitter, &p) < -0.5);
    (void)begin("200Hz", true);
    /* weak chirps, but all of them */
    p = packet_of(v, v->preamble, 20, 1.0);
    for (int i = 0; i <= 14; ++i)
        p.places[0].extent.preamble[i] = (float)(0.8 * (i < v->preamble ? i : v->preamble));
    assert_true(uw_link_judge_preamble(&emitter, &p) > 1.0);
    /* nothing to look at, and one that was measured */
    p.places[0].extent.n_preamble = 0;
    assert_true(uw_link_judge_preamble(&emitter, &p) == 0.0);
    p.weak = false;
    assert_true(uw_link_judge_preamble(&emitter, &p) == 5.0);
    /* a raster counts to its limit, and to the contrary in full */
    link.raster = INFINITY;
    inverted = link;
    inverted.raster = -20.0;
    assert_true(uw_link_upright_nats(&inverted) < uw_link_upright_nats(&link) - 20.0);
}

/* Carriers of which each fits one plan or another, and no plan fits all. */
static void test_one_plan(void **state) {
    double sum[2] = {0.0, 0.0};
    double most[2];

    (void)state;
    for (int mixed = 0; mixed < 2; ++mixed) {
        (void)begin("200Hz", true);
        const struct uw_signature *s = emitter.signature;
        const struct uw_sig_domain *plans[2] = {NULL, NULL};

        config.freq_hz = 866.4e6;
        for (int i = 0; i < s->n_domains; ++i) {
            const bool eu = strcmp(s->domains[i].name, "EU868") == 0;
            const bool old = strcmp(s->domains[i].name, "EU868-3.x") == 0;

            emitter.domains[i].possible = eu || old;
            if (eu || old)
                plans[old] = &s->domains[i];
        }
        assert_true(plans[0] && plans[1]);
        /* both explain the first, half-way between their 865.375 and 865.275 MHz */
        for (int i = 0; i < 12; ++i) {
            const struct uw_sig_domain *d = plans[mixed && i % 2];
            struct uw_packet p = {.modulation = UW_SIG_LORA, .offset_error_hz = 200.0};
            const double common = 865.325e6 - (d == plans[0] ? 865.375e6 : 865.275e6);

            p.offset_hz = d->channel_hz[i / 2 % 3] + common - config.freq_hz;
            if (i == 0)
                p.offset_hz = 865.325e6 - config.freq_hz;
            sum[mixed] += uw_link_judge_carrier(&emitter, &config, &p);
        }
        most[mixed] = -INFINITY;
        for (int i = 0; i < s->n_domains; ++i)
            most[mixed] = emitter.domains[i].possible ? fmax(most[mixed], emitter.domains[i].nats)
                                                      : most[mixed];
        assert_true(fabs(sum[mixed] - most[mixed]) < 1e-9);
    }
    print_message("one plan: %.1f nats, of two in turn: %.1f\n", sum[0], sum[1]);
    assert_true(sum[0] > 20.0);
    assert_true(sum[1] < 12.0);
}

static double crowd(int64_t dwells, int64_t packets, int64_t weak) {
    (void)begin("200Hz", true);
    emitter.dwell_last = 1000; /* 5 s: 250 hops, 3 of 40 channels */
    emitter.n_dwells = dwells;
    emitter.n_packets = packets;
    emitter.n_weak = weak;
    return uw_link_judge_crowd(&emitter);
}

/* A slotted network's packets come one by one, more often than a link's hops could bring them. */
static void test_crowd(void **state) {
    (void)state;
    print_message("crowd: %.1f nats for a network\n", crowd(84, 84, 84));
    assert_true(crowd(84, 84, 84) < -20.0);
    assert_true(crowd(168, 168, 168) < crowd(84, 84, 84));
    assert_true(crowd(18, 45, 45) > -0.1);   /* a link */
    assert_true(crowd(9, 11, 11) > -0.1);    /* ... of which little is heard */
    assert_true(crowd(36, 110, 110) > -0.1); /* ... on two carriers */
    assert_true(crowd(84, 84, 0) == 0.0);    /* packets measured whole: judged by their dwells */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_way_up),
        cmocka_unit_test(test_one_plan),
        cmocka_unit_test(test_two_carriers),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_one_channel),
        cmocka_unit_test(test_new_channels),
        cmocka_unit_test(test_return),
        cmocka_unit_test(test_mean),
        cmocka_unit_test(test_between),
        cmocka_unit_test(test_offset_comes_late),
        cmocka_unit_test(test_many_nodes),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_a_carrier_cut),
        cmocka_unit_test(test_nothing_known),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_length_unknown),
        cmocka_unit_test(test_length_tells_variants),
    };

    return cmocka_run_group_tests_name("links-alike", tests, load, unload);
}
