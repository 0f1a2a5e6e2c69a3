/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Parts of health: hysteresis, coverage, words, the self-test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../../src/engine/engine-impl.h"
#include "uw/base/time.h"

static const char *signatures;

#define S UW_NS_PER_S

static void test_hysteresis(void **state) {
    struct uw_condition c = {0};

    (void)state;
    assert_int_equal(uw_condition_step(&c, false, 0, 10 * S, 3 * S), UW_CONDITION_QUIET);
    assert_int_equal(uw_condition_step(&c, true, 1 * S, 10 * S, 3 * S), UW_CONDITION_QUIET);
    assert_int_equal(uw_condition_step(&c, true, 10 * S, 10 * S, 3 * S), UW_CONDITION_QUIET);
    /* a break begins the count anew */
    assert_int_equal(uw_condition_step(&c, false, 10 * S + 1, 10 * S, 3 * S), UW_CONDITION_QUIET);
    assert_int_equal(uw_condition_step(&c, true, 11 * S, 10 * S, 3 * S), UW_CONDITION_QUIET);
    assert_int_equal(uw_condition_step(&c, true, 21 * S - 1, 10 * S, 3 * S), UW_CONDITION_QUIET);
    assert_int_equal(uw_condition_step(&c, true, 21 * S, 10 * S, 3 * S), UW_CONDITION_BAD);
    assert_int_equal(uw_condition_step(&c, false, 22 * S, 10 * S, 3 * S),
                     UW_CONDITION_GETTING_BETTER);
    /* bad again before it was over: still the same alert */
    assert_int_equal(uw_condition_step(&c, true, 24 * S, 10 * S, 3 * S), UW_CONDITION_BAD);
    assert_int_equal(uw_condition_step(&c, false, 30 * S, 10 * S, 3 * S),
                     UW_CONDITION_GETTING_BETTER);
    assert_int_equal(uw_condition_step(&c, false, 33 * S, 10 * S, 3 * S), UW_CONDITION_OVER);
    assert_int_equal(uw_condition_step(&c, false, 34 * S, 10 * S, 3 * S), UW_CONDITION_QUIET);
    /* at once from the first look */
    c = (struct uw_condition){0};
    assert_int_equal(uw_condition_step(&c, true, 0, 0, 0), UW_CONDITION_BAD);
    assert_int_equal(uw_condition_step(&c, false, 0, 0, 0), UW_CONDITION_OVER);
}

static struct uw_coverage *coverage_of(const char *const *ids, size_t n, const char *region) {
    struct uw_coverage *c = calloc(1, sizeof(*c));
    struct uw_sigdb *db = NULL;
    struct uw_diag diag = {0};

    assert_non_null(c);
    assert_int_equal(uw_sigdb_load(signatures, &diag, &db), 0);
    if (n > 0)
        assert_int_equal(uw_sigdb_enable(db, ids, n, &diag), 0);
    uw_coverage_init(c, db, region);
    uw_sigdb_free(db);
    return c;
}

static struct uw_coverage *coverage(const char *const *ids, size_t n) {
    return coverage_of(ids, n, "");
}

static struct uw_band *band(struct uw_coverage *c, const char *name) {
    for (int i = 0; i < c->n; i++)
        if (strncmp(c->bands[i].name, name, strlen(name)) == 0)
            return &c->bands[i];
    fail_msg("no band %s", name);
    return NULL;
}

static void test_bands_of_signatures(void **state) {
    static const char *const only[] = {"expresslrs-900"};
    struct uw_coverage *c = coverage(only, 1);

    (void)state;
    assert_string_equal(band(c, "FCC915")->name, "FCC915 903.5-926.9 MHz");
    assert_int_equal(band(c, "FCC915")->n_channels, 40);
    for (int i = 0; i < c->n; i++)
        assert_true(c->bands[i].low_hz > 400e6 && c->bands[i].high_hz < 930e6);
    free(c);
    c = coverage(NULL, 0);
    assert_true(c->n > 10 && c->n < UW_BANDS_MAX);
    for (int i = 0; i < c->n; i++) /* names are what alerts are told apart by */
        for (int k = 0; k < i; k++)
            assert_string_not_equal(c->bands[i].name, c->bands[k].name);
    free(c);
}

static bool has_band(const struct uw_coverage *c, const char *name) {
    for (int i = 0; i < c->n; i++)
        if (strncmp(c->bands[i].name, name, strlen(name)) == 0)
            return true;
    return false;
}

/* What is not used here need not be listened to. */
static void test_bands_of_a_region(void **state) {
    struct uw_coverage *c = coverage_of(NULL, 0, "FCC");

    (void)state;
    assert_true(has_band(c, "FCC915") && !has_band(c, "AU915") && !has_band(c, "EU868"));
    free(c);
    c = coverage_of(NULL, 0, "EU868");
    assert_true(has_band(c, "EU868 ") && !has_band(c, "FCC915"));
    free(c);
}

static void test_blindness(void **state) {
    struct uw_coverage *c = coverage(NULL, 0);
    struct uw_listener l[] = {
        {.name = "a", .freq_hz = 915e6, .rate_hz = 2.4e6, .hears = true},
        {.name = "b", .freq_hz = 905e6, .rate_hz = 2.4e6, .hears = true},
        {.name = "c", .freq_hz = 868e6, .rate_hz = 2.4e6, .hears = true},
        {.name = "d", .freq_hz = NAN, .rate_hz = 2.4e6, .hears = true},
    };
    struct uw_band *fcc = band(c, "FCC915"), *eu = band(c, "EU868 ");

    (void)state;
    uw_coverage_update(c, l, 4, 10 * S);
    for (int i = 0; i < c->n; i++)
        assert_true(c->bands[i].since_ns == UW_TIME_NONE);
    assert_true(fcc->wanted && fcc->covered && eu->wanted && eu->covered);
    assert_false(band(c, "AU433")->wanted);
    l[0].hears = l[2].hears = false;
    l[2].why_not = "It is gone.";
    uw_coverage_update(c, l, 4, 20 * S);
    assert_true(fcc->covered); /* by b */
    assert_true(eu->wanted && !eu->covered && eu->since_ns == 20 * S);
    assert_string_equal(eu->why, "Receiver c is lost: It is gone.");
    l[1].hears = false;
    uw_coverage_update(c, l, 4, 30 * S);
    assert_true(fcc->since_ns == 30 * S && eu->since_ns == 20 * S);
    l[0].hears = true;
    uw_coverage_update(c, l, 4, 40 * S);
    assert_true(fcc->since_ns == UW_TIME_NONE);
    /* what nobody is set to any more is no longer wanted */
    uw_coverage_update(c, l, 2, 50 * S);
    assert_true(!eu->wanted && eu->since_ns == UW_TIME_NONE);
    free(c);
}

/* What is dropped by this computer is not blamed on cables, and what is wrong besides is told. */
static void test_whose_fault_losses_are(void **state) {
    struct uw_source_health s = {.state = UW_SOURCE_OK};

    (void)state;
    assert_int_equal(uw_engine_lessened_by(&s, false, false, 0), UW_RX_PROBLEM_NONE);
    assert_int_equal(uw_engine_lessened_by(&s, false, false, NAN), UW_RX_PROBLEM_NONE);
    assert_int_equal(uw_engine_lessened_by(&s, true, false, 0.5), UW_RX_PROBLEM_OVERLOADED);
    assert_int_equal(uw_engine_lessened_by(&s, false, true, 0.5), UW_RX_PROBLEM_LOSING);
    assert_int_equal(uw_engine_lessened_by(&s, false, false, 0.5), UW_RX_PROBLEM_CLIPPING);
    s.state = UW_SOURCE_DEGRADED;
    s.problem = UW_SOURCE_PROBLEM_LOSING;
    assert_int_equal(uw_engine_lessened_by(&s, false, false, 0), UW_RX_PROBLEM_LOSING);
    assert_int_equal(uw_engine_lessened_by(&s, true, false, 0), UW_RX_PROBLEM_OVERLOADED);
    s.problem = UW_SOURCE_PROBLEM_UNLOCKED;
    assert_int_equal(uw_engine_lessened_by(&s, true, true, 0), UW_RX_PROBLEM_UNLOCKED);
}

static void test_words(void **state) {
    (void)state;
    for (int state_of = UW_RX_OK; state_of < UW_RX_STATE_N; state_of++)
        for (int p = 0; p < UW_RX_PROBLEM_N; p++) {
            struct uw_health_receiver h = {.receiver = "a-receiver-of-31-characters-name",
                                           .state = (enum uw_rx_state)state_of,
                                           .problem = (enum uw_rx_problem)p};
            struct uw_words w = {0};
            uw_words_receiver(&h, &w);
            assert_true(strlen(w.headline) > 20 && strlen(w.reason) > 10);
            assert_int_equal(w.reason[strlen(w.reason) - 1], '.');
            if (state_of == UW_RX_OK)
                continue;
            assert_int_equal(w.advice[strlen(w.advice) - 1], '.'); /* a whole sentence */
            memset(h.advice, 'x', 190);
            h.advice[190] = '.';
            uw_words_receiver(&h, &w);
            assert_int_equal(w.advice[strlen(w.advice) - 1], '.');
        }
}

static void test_self_test_can_fail(void **state) {
    char detail[UW_SELF_TEST_LEN];

    (void)state;
    assert_true(uw_self_test_fft(0, detail));
    assert_false(uw_self_test_fft(1e-4, detail));
    if (!uw_self_test_lora(false, detail))
        fail_msg("%s", detail);
    assert_false(uw_self_test_lora(true, detail));
    assert_true(uw_self_test_clock(uw_clock_real_ns(), detail));
    assert_false(uw_self_test_clock(INT64_C(1000000000) * S, detail));
    assert_non_null(strstr(detail, "not set"));
    assert_true(uw_self_test_disk("", detail));
    assert_true(uw_self_test_disk(".", detail));
    assert_false(uw_self_test_disk("/nonexistent/directory", detail));
    assert_non_null(strstr(detail, "/nonexistent/directory"));
}

/* A walk: the band is wanted while the receiver is elsewhere, and blind when no samples come. */
static void test_blind_time_is_counted(void **state) {
    struct uw_coverage *c = coverage(NULL, 0);
    struct uw_band *fcc = band(c, "FCC915 903.5-926.9 MHz");
    struct uw_rx_walk walk = {.n = 2, .centre_hz = {434e6, 915e6}, .dwell_s = {0.5, 0.5}};
    struct uw_listener l = {
        .name = "rx", .freq_hz = 434e6, .rate_hz = 2.4e6, .walk = &walk, .hears = true};

    (void)state;
    c->mono_ns = 100 * S;
    uw_coverage_heard(c, 915e6, 2.4e6, S / 2, 100 * S);
    uw_coverage_heard(c, 915e6, 2.4e6, S / 4, 100 * S);
    uw_coverage_heard(c, NAN, 2.4e6, S, 100 * S); /* nobody knows where: nowhere */
    assert_true(fcc->listened_ns == 3 * S / 4);
    uw_coverage_update(c, &l, 1, 10 * S);
    assert_true(fcc->wanted && fcc->covered && fcc->since_ns == UW_TIME_NONE);

    /* the device says it is well, and is never there: blind since it was last heard */
    c->mono_ns = 104 * S;
    uw_coverage_heard(c, 434e6, 2.4e6, 4 * S, 104 * S);
    uw_coverage_update(c, &l, 1, 14 * S);
    assert_true(fcc->wanted && !fcc->covered);
    assert_true(fcc->since_ns == 10 * S);

    uw_coverage_heard(c, 915e6, 2.4e6, S / 2, 106 * S);
    c->mono_ns = 106 * S;
    uw_coverage_update(c, &l, 1, 16 * S);
    assert_true(fcc->covered && fcc->since_ns == UW_TIME_NONE);
    assert_true(fcc->was_blind_ns == 6 * S && fcc->blind_ns == 6 * S);

    l.hears = false; /* lost: at once */
    uw_coverage_update(c, &l, 1, 17 * S);
    assert_false(fcc->covered);
    l.hears = true;
    uw_coverage_update(c, &l, 1, 19 * S);
    assert_true(fcc->was_blind_ns >= 2 * S && fcc->blind_ns >= 8 * S);
    free(c);
}

static void test_previous_run(void **state) {
    char good[] = "uaswatch-run 1\nrun r20261123T180000\nalert 12\nhealth 345\n";
    static const char *const bad[] = {
        "",
        "uaswatch-run 2\nrun r1\n",
        "uaswatch-run 1\nalert 12\n",
        "uaswatch-run 1\nrun a b\n",
        "uaswatch-run 1\nrun r1\nalert -1\n",
        "uaswatch-run 1\nrun r1\nalert 1e3\n",
        "uaswatch-run 1\nrun r1\nprogress 1\n",
        "uaswatch-run 1\nrun r1\nnonsense\n",
    };
    struct uw_previous p = {0};

    (void)state;
    assert_int_equal(uw_previous_parse(good, &p), 0);
    assert_string_equal(p.run, "r20261123T180000");
    assert_true(p.seq[UW_MSG_ALERT] == 12 && p.seq[UW_MSG_HEALTH] == 345);
    assert_true(p.seq[UW_MSG_TRACK] == 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[100];
        strcpy(text, bad[i]);
        assert_int_equal(uw_previous_parse(text, &p), UW_E_INPUT);
        assert_string_equal(p.run, "r20261123T180000");
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hysteresis),
        cmocka_unit_test(test_bands_of_signatures),
        cmocka_unit_test(test_blindness),
        cmocka_unit_test(test_bands_of_a_region),
        cmocka_unit_test(test_whose_fault_losses_are),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_self_test_can_fail),
        cmocka_unit_test(test_previous_run),
        cmocka_unit_test(test_blind_time_is_counted),
    };

    if (argc != 2)
        return 2;
    signatures = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
