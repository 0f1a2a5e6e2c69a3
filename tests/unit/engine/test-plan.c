/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The planner: who listens where, and what it promises where the answer is known */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "uw/base/err.h"
#include "uw/engine/plan.h"
#include "uw/sig/signature.h"

static const char *directory;
static struct uw_sigdb *db;

static int load(void **state) {
    static struct uw_diag diag;

    (void)state;
    return uw_sigdb_load(directory, &diag, &db);
}

static int unload(void **state) {
    (void)state;
    db = uw_sigdb_free(db);
    return 0;
}

static struct uw_plan_receiver dongle(int i) {
    struct uw_plan_receiver r = {
        .rate_hz = 2.4e6,
        .usable_hz = 2.16e6,
        .freq_min_hz = 24e6,
        .freq_max_hz = 1766e6,
        .alive = true,
    };

    snprintf(r.name, sizeof(r.name), "d%d", i);
    return r;
}

static struct uw_plan_config dongles(const char *region, int n) {
    struct uw_plan_config config;

    uw_plan_config_init(&config);
    config.db = db;
    config.region = region;
    config.n_receivers = n;
    for (int i = 0; i < n; i++)
        config.receivers[i] = dongle(i);
    return config;
}

static struct uw_plan *make(const struct uw_plan_config *config) {
    struct uw_plan *plan = NULL;

    assert_int_equal(uw_plan_new(config, &plan), 0);
    return plan;
}

static const struct uw_plan_link *find(const struct uw_plan *plan, const char *domain,
                                       const char *variant) {
    for (int i = 0; i < plan->n_links; i++)
        if (plan->links[i].domain && strcmp(plan->links[i].domain->name, domain) == 0 &&
            strcmp(plan->links[i].variant->name, variant) == 0)
            return &plan->links[i];
    return NULL;
}

static void assert_near(double a, double b, double tolerance) {
    if (!(fabs(a - b) <= tolerance))
        print_error("%g is not %g +- %g\n", a, b, tolerance);
    assert_true(fabs(a - b) <= tolerance);
}

/* All three channels are in view: hop two is the second dwell, hop three the third. */
static void test_everything_visible(void **state) {
    struct uw_plan_config config = dongles("EU433", 1);
    struct uw_plan *plan = make(&config);
    const struct uw_plan_link *l = find(plan, "EU433", "200Hz");

    (void)state;
    assert_int_equal(plan->walks[0].n, 1);
    assert_int_equal(l->channels, 3);
    assert_near(l->detection_mean_s, 0.02 + 0.00438, 1e-3);
    assert_near(l->alert_mean_s, 0.04 + 0.00438, 1e-3);
    assert_near(l->alert_worst_s, 0.04 + 0.00438, 1e-3);
    /* two packets a hop: three more packets than dwells are there with the sixth packet */
    l = find(plan, "EU433", "25Hz");
    assert_near(l->alert_mean_s, 0.16 + 0.04 + 0.02995, 4e-3);
    /* as 200Hz, which would send four: named after six dwells */
    l = find(plan, "EU433", "D50");
    assert_near(l->alert_mean_s, 0.05 + 0.00438, 1e-3);
    uw_plan_free(plan);
}

/* Only the sync channel is in view: it comes every 40 hops exactly, the first time anywhere. */
static void test_sync_alone(void **state) {
    struct uw_plan_config config = dongles("FCC915", 1);
    struct uw_plan *plan;
    const struct uw_plan_link *l;
    double block = 40 * 0.02;

    (void)state;
    config.receivers[0].usable_hz = 0.6e6;
    config.receivers[0].n_fixed = 1;
    config.receivers[0].fixed[0] = (struct uw_plan_stop){915.5e6, 1.0};
    plan = make(&config);
    l = find(plan, "FCC915", "200Hz");
    assert_int_equal(l->channels, 1);
    assert_near(l->detection_mean_s, block + (block - 0.02) / 2 + 0.00438, 0.01);
    assert_near(l->alert_mean_s, 2 * block + (block - 0.02) / 2 + 0.00438, 0.01);
    assert_near(l->alert_worst_s, 3 * block - 0.02 + 0.00438, 0.01);
    uw_plan_free(plan);
}

/* Half the time elsewhere: never sooner than always here, by about that factor for slow links. */
static void test_walk_takes_longer(void **state) {
    struct uw_plan_config config = dongles("EU868", 1);
    struct uw_plan *stare, *walk;
    double ratio;

    (void)state;
    config.receivers[0].n_fixed = 1;
    config.receivers[0].fixed[0] = (struct uw_plan_stop){866.6e6, 0.5};
    stare = make(&config);
    config.receivers[0].n_fixed = 2;
    config.receivers[0].fixed[1] = (struct uw_plan_stop){434.0e6, 0.4};
    walk = make(&config);
    ratio = find(walk, "EU868", "50Hz")->alert_mean_s / find(stare, "EU868", "50Hz")->alert_mean_s;
    assert_true(ratio > 1.6 && ratio < 2.4);
    assert_near(walk->bands[0].absent_s, 0.5, 1e-9);
    assert_near(stare->bands[0].absent_s, 0.0, 1e-9);
    uw_plan_free(stare);
    uw_plan_free(walk);
}

static void test_regions(void **state) {
    struct uw_plan_config config = dongles("EU", 1);
    struct uw_plan *plan = make(&config);

    (void)state;
    assert_non_null(find(plan, "EU868-3.x", "50Hz"));
    assert_null(find(plan, "FCC915", "50Hz"));
    assert_non_null(find(plan, "ISM2G4", "F500")); /* everywhere */
    assert_true(uw_plan_knows_region(db, "EU"));
    assert_true(uw_plan_knows_region(db, "FCC915"));
    assert_true(uw_plan_knows_region(db, ""));
    assert_false(uw_plan_knows_region(db, "fcc"));
    uw_plan_free(plan);
}

static void test_why_blind(void **state) {
    struct uw_plan_config config = dongles("", 1);
    struct uw_plan *plan = make(&config);

    (void)state;
    assert_int_equal(find(plan, "ISM2G4", "F500")->why, UW_PLAN_UNREACHABLE);
    assert_true(isinf(find(plan, "ISM2G4", "F500")->alert_worst_s));
    assert_int_equal(find(plan, "FCC915", "25Hz")->why, UW_PLAN_COVERED);
    uw_plan_free(plan);

    config.receivers[0].freq_max_hz = 6e9;
    plan = make(&config);
    assert_int_equal(find(plan, "2.4GHz", "O2/O3")->why, UW_PLAN_TOO_WIDE);
    assert_int_equal(find(plan, "ISM2G4", "F500")->why, UW_PLAN_COVERED);
    uw_plan_free(plan);

    config.receivers[0].alive = false;
    plan = make(&config);
    assert_int_equal(plan->walks[0].n, 0);
    assert_int_equal(find(plan, "FCC915", "25Hz")->why, UW_PLAN_NO_RECEIVER);
    for (int b = 0; b < plan->n_bands; b++)
        assert_int_equal(plan->bands[b].receivers, 0);
    uw_plan_free(plan);
}

/* Whoever is left takes over every band that somebody can be tuned to. */
static void test_one_dies(void **state) {
    struct uw_plan_config config = dongles("FCC", 3);

    (void)state;
    for (int dead = -1; dead < 3; dead++) {
        struct uw_plan *plan;

        for (int i = 0; i < 3; i++)
            config.receivers[i].alive = i != dead;
        plan = make(&config);
        for (int i = 0; i < plan->n_links; i++) {
            const struct uw_plan_link *l = &plan->links[i];

            if (l->why == UW_PLAN_UNREACHABLE)
                continue;
            assert_int_equal(l->why, UW_PLAN_COVERED);
            assert_true(isfinite(l->alert_worst_s));
            assert_true(dead < 0 || !(l->receivers >> dead & 1u));
        }
        uw_plan_free(plan);
    }
}

/* One more receiver makes the longest wait no longer. */
static void test_more_is_better(void **state) {
    static const char *const regions[] = {"FCC", "EU"};

    (void)state;
    for (size_t i = 0; i < sizeof(regions) / sizeof(regions[0]); i++) {
        double before = INFINITY;

        for (int n = 1; n <= 8; n *= 2) {
            struct uw_plan_config config = dongles(regions[i], n);
            struct uw_plan *plan = make(&config);
            double worst = 0.0;

            for (int l = 0; l < plan->n_links; l++)
                if (plan->links[l].why == UW_PLAN_COVERED)
                    worst = fmax(worst, plan->links[l].alert_worst_s);
            assert_true(worst <= before * 1.01);
            before = worst;
            uw_plan_free(plan);
        }
        assert_true(before < 3.0);
    }
}

static void test_shape_of_plans(void **state) {
    (void)state;
    for (int n = 0; n <= UW_RX_MAX; n++) {
        struct uw_plan_config config = dongles("", n);
        struct uw_plan *plan, *again;

        config.skip_times = true;
        plan = make(&config);
        again = make(&config);
        assert_memory_equal(plan, again, sizeof(*plan));
        for (int r = 0; r < n; r++) {
            double cycle = 0.0;

            assert_true(plan->walks[r].n >= 1);
            for (int i = 0; i < plan->walks[r].n; i++) {
                const struct uw_plan_stop *s = &plan->walks[r].stops[i];
                bool any = false;

                for (int b = 0; b < plan->n_bands; b++)
                    any |= uw_plan_hears(&config, plan, r, s->centre_hz, b);
                assert_true(any); /* nobody listens to nothing */
                assert_true(s->dwell_s >= UW_PLAN_DWELL_MIN_S);
                cycle += s->dwell_s + config.settle_s;
            }
            assert_true(plan->walks[r].n == 1 || cycle < 2.5);
        }
        uw_plan_free(plan);
        uw_plan_free(again);
    }
}

/* Each receiver gets what it can do; what the owner has set stays. */
static void test_unequal_receivers(void **state) {
    struct uw_plan_config config = dongles("FCC", 3);
    struct uw_plan *plan;

    (void)state;
    config.receivers[0].freq_max_hz = 500e6; /* cannot hear 915 MHz */
    config.receivers[2].n_fixed = 1;
    config.receivers[2].fixed[0] = (struct uw_plan_stop){906e6, 1.0};
    plan = make(&config);
    assert_true(plan->walks[0].n == 1 && plan->walks[0].stops[0].centre_hz < 500e6);
    assert_true(plan->walks[1].n == 1 && plan->walks[1].stops[0].centre_hz > 900e6);
    assert_true(plan->walks[2].stops[0].centre_hz == 906e6);
    uw_plan_free(plan);
}

static void test_nonsense(void **state) {
    struct uw_plan_config config = dongles("FCC", 1);
    struct uw_plan *plan = NULL;

    (void)state;
    config.receivers[0].usable_hz = 3e6; /* more than the rate */
    assert_true(uw_plan_new(&config, &plan) < 0);
    config = dongles("FCC", 1);
    config.receivers[0].rate_hz = NAN;
    assert_true(uw_plan_new(&config, &plan) < 0);
    assert_null(plan);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_visible), cmocka_unit_test(test_sync_alone),
        cmocka_unit_test(test_walk_takes_longer),  cmocka_unit_test(test_regions),
        cmocka_unit_test(test_why_blind),          cmocka_unit_test(test_one_dies),
        cmocka_unit_test(test_more_is_better),     cmocka_unit_test(test_shape_of_plans),
        cmocka_unit_test(test_unequal_receivers),  cmocka_unit_test(test_nonsense),
    };

    if (argc != 2)
        return 2;
    directory = argv[1];
    return cmocka_run_group_tests(tests, load, unload);
}
