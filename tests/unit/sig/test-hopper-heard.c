/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Hoppers of unknown make, several and others beside them: bursts and packets by hand, straight to
 * the matcher. */

#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hopper-draws.h"
#include "hopper-impl.h"
#include "matcher-impl.h"
#include "trial.h"

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
    double x = ((const struct packet_at *)a)->start_s;
    double y = ((const struct packet_at *)b)->start_s;

    return (x > y) - (x < y);
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
 * it: it is taken apart, whatever the draws. */
static void test_beside_one_that_stays(void **unused) {
    struct uw_sigdb *db = trial_db(UW_SIGNATURES);

    (void)unused;
    for (uint64_t seed = 1; seed <= 8; ++seed) {
        struct numbers numbers = {0};
        struct listener l;
        double other_s = 0.0;

        state = seed;
        listener_open(&l, db, 1, count_emit, &numbers);
        for (int k = 0; k < 2400; ++k) {
            double at_s = 0.1 + 8e-3 * k;
            double late_s = 60e-6 * (2.0 * uniform() - 1.0);
            double channel_hz = any_channel();

            for (; other_s < at_s; other_s += 20.3e-3) {
                double off_hz = 1e3 * normal();

                listener_burst(&l, other_s, 2.1e-3, 310e3 + off_hz, -30.0 + 0.2 * normal());
            }
            channel_hz += 1e3 * normal();
            listener_burst(&l, at_s + late_s, 2.1e-3, channel_hz, -30.0 + 0.2 * normal());
        }
        listener_close(&l);
        assert_int_equal(numbers.n, 1);
        assert_true(fabs(numbers.period_s[0] / 8e-3 - 1.0) < 1e-3);
        assert_true(numbers.last_s[0] > 17.0);
    }
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several_packets_a_hop),
        cmocka_unit_test(test_others_rise),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_image),
        cmocka_unit_test(test_beside_one_that_stays),
        cmocka_unit_test(test_poor_name),
        cmocka_unit_test(test_lossy_hops),
        cmocka_unit_test(test_leave_and_return),
        cmocka_unit_test(test_walk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
