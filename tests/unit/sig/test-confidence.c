/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What must hold for any tables that are fitted: whatever speaks for a link never makes it less
 * sure, nothing is surer than the calibration was long, plain cases are in their order, and the
 * gate of the alert rule asks for the score alone. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "signal.h"
#include "uw/base/util.h"
#include "uw/sig/confidence.h"

/* ExpressLRS 200 Hz at 915 MHz, well heard for two seconds. */
static const struct uw_link_seen plain = {.nats = 35.0,
                                          .packets = 28,
                                          .dwells = 8,
                                          .weak = 0,
                                          .channels = 3,
                                          .visible = 3,
                                          .packets_per_hop = 4,
                                          .hops = 8.5,
                                          .grid_error_hz = 400.0,
                                          .snr_db = 12.0,
                                          .named = true,
                                          .placed = true,
                                          .ruled = true};

/* Three hops, by their preambles below the noise. */
static const struct uw_link_seen faint = {.nats = 15.0,
                                          .packets = 5,
                                          .dwells = 3,
                                          .weak = 5,
                                          .channels = 2,
                                          .visible = 3,
                                          .packets_per_hop = 4,
                                          .hops = 5.0,
                                          .grid_error_hz = 6000.0,
                                          .snr_db = -13.0,
                                          .placed = true,
                                          .ruled = true};

static void test_plain_cases(void **state) {
    struct uw_link_seen hollow = faint, odd = plain, begun = plain;

    (void)state;
    assert_true(uw_link_confidence(&plain) > 0.95);
    assert_true(uw_link_confidence(&faint) < uw_link_confidence(&plain));
    /* "faint" packets that are strong, elsewhere on the raster, in few of the hops */
    hollow.snr_db = 8.0;
    hollow.grid_error_hz = 14000.0;
    hollow.hops = 20.0;
    assert_true(uw_link_confidence(&hollow) < uw_link_confidence(&faint));
    assert_false(uw_link_is_likely(&hollow)); /* it raises no alert, ... */
    hollow.ruled = false;
    assert_true(uw_link_confidence(&hollow) < 0.8); /* ... and is not said to be a link */
    /* more channels than there are, more hops than there were */
    odd.channels = 6;
    odd.hops = 2.0;
    assert_true(uw_link_confidence(&odd) <= uw_link_confidence(&plain));
    /* before the rule is met */
    begun = (struct uw_link_seen){.nats = 7.0,
                                  .packets = 2,
                                  .dwells = 2,
                                  .weak = 2,
                                  .channels = 1,
                                  .visible = 3,
                                  .packets_per_hop = 4,
                                  .hops = NAN,
                                  .grid_error_hz = NAN,
                                  .snr_db = NAN};
    assert_true(uw_link_confidence(&begun) < 0.7);
}

static struct uw_link_seen any(uint64_t *seed) {
    struct uw_link_seen s = {.nats = 60.0 * signal_uniform(seed) - 10.0,
                             .packets = 1 + (int64_t)(100.0 * signal_uniform(seed)),
                             .visible = (int64_t)(6.0 * signal_uniform(seed)) - 1,
                             .packets_per_hop = 1 + (int)(7.0 * signal_uniform(seed)),
                             .hops = 40.0 * signal_uniform(seed),
                             .grid_error_hz = 2e4 * signal_uniform(seed),
                             .snr_db = 60.0 * signal_uniform(seed) - 25.0};

    s.dwells = 1 + (int64_t)((double)s.packets * signal_uniform(seed));
    s.weak = (int64_t)((double)s.packets * signal_uniform(seed));
    s.channels = 1 + (int64_t)((double)s.dwells * signal_uniform(seed));
    return s;
}

static void test_monotonic_and_bounded(void **state) {
    uint64_t seed = 1;

    (void)state;
    assert_true(uw_link_confidence_most() > 0.9 && uw_link_confidence_most() < 1.0);
    for (int i = 0; i < 2000; ++i) {
        struct uw_link_seen s = any(&seed);
        struct uw_link_seen better[] = {s, s, s, s, s, s};
        double c = uw_link_confidence(&s);

        assert_true(c >= 0.0 && c <= uw_link_confidence_most());
        better[0].nats += 5.0;
        better[1].weak = 0;
        better[2].grid_error_hz *= 0.5;
        better[3].named = true;
        better[4].placed = true;
        better[5].ruled = true;
        for (size_t k = 0; k < UW_ARRAY_SIZE(better); ++k)
            assert_true(uw_link_confidence(&better[k]) >= c);
    }
}

/* What met the rule is another population than what is followed; the gate does not know of it. */
static void test_gate_is_a_score(void **state) {
    double lowest = INFINITY, highest = -INFINITY;
    uint64_t seed = 2;

    (void)state;
    assert_true(uw_link_is_likely(&plain) && uw_link_is_likely(&faint));
    for (int i = 0; i < 2000; ++i) {
        struct uw_link_seen s = any(&seed), ruled = s;
        double score = uw_link_score(&s);

        ruled.ruled = true;
        assert_true(uw_link_score(&ruled) == score);
        assert_true(uw_link_is_likely(&ruled) == uw_link_is_likely(&s));
        if (uw_link_is_likely(&s))
            lowest = fmin(lowest, score);
        else
            highest = fmax(highest, score);
        /* what may raise an alert, and has: likelier right than wrong */
        if (uw_link_is_likely(&s))
            assert_true(uw_link_confidence(&ruled) > 0.5);
    }
    assert_true(highest < lowest && isfinite(highest) && isfinite(lowest));
}

static void test_alerts_are_surer(void **state) {
    struct uw_link_seen begun = faint, known = plain;

    (void)state;
    begun.ruled = false;
    known.ruled = false;
    assert_true(uw_link_confidence(&faint) > uw_link_confidence(&begun) + 0.05);
    assert_true(uw_link_confidence(&plain) >= uw_link_confidence(&known));
    assert_true(uw_unnamed_confidence_most() > 0.9 && uw_unnamed_confidence_most() < 1.0);
}

static void assert_near(double x, double wanted) {
    assert_true(fabs(x - wanted) < 1e-12);
}

static void test_features(void **state) {
    static const struct uw_link_seen nothing = {.hops = NAN, .grid_error_hz = NAN, .snr_db = NAN};
    double x[UW_LINK_FEATURES];
    int n = 0;

    (void)state;
    while (uw_link_feature_name(n))
        ++n;
    assert_int_equal(n, UW_LINK_FEATURES);
    uw_link_features(&nothing, x);
    for (int i = 0; i < n; ++i)
        assert_true(isfinite(x[i]));
    assert_true(uw_link_confidence(&nothing) < 0.5);
    uw_link_features(&plain, x);
    assert_near(x[0], log(35.0));   /* nats */
    assert_near(x[2], 1.0);         /* all that is visible */
    assert_near(x[4], 28.0 / 32.0); /* of the packets in these hops */
    assert_near(x[5], 8.0 / 8.5);   /* of the hops */
    assert_near(x[6], 0.0);         /* not more than there were */
    assert_near(x[7], 1.0);         /* none below the noise */
    assert_near(x[8], -0.04);       /* off the raster */
    uw_link_features(&faint, x);
    assert_near(x[2], 2.0 / 3.0);
    assert_near(x[9], 0.0); /* weak, and faint */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_cases),     cmocka_unit_test(test_monotonic_and_bounded),
        cmocka_unit_test(test_gate_is_a_score), cmocka_unit_test(test_alerts_are_surer),
        cmocka_unit_test(test_features),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
