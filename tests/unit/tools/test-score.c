/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The scorer's numbers against published ones, and its judgement on scripted runs. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "score-impl.h"
#include "uw/base/err.h"

#define RATE 1000000

static void assert_near(double x, double expected, double tolerance) {
    if (!(fabs(x - expected) <= tolerance))
        fail_msg("%.9g is not %.9g +- %g", x, expected, tolerance);
}

/* Newcombe, Statistics in Medicine 17 (1998), table I: method 3 for 81/263, 15/148, 0/20, 1/29. */
static void test_wilson(void **state) {
    static const struct {
        size_t k, n;
        double low, high;
    } table[] = {{81, 263, 0.2553, 0.3662},
                 {15, 148, 0.0624, 0.1605},
                 {0, 20, 0.0000, 0.1611},
                 {1, 29, 0.0061, 0.1718}};
    double low, high;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        uw_score_wilson(table[i].k, table[i].n, &low, &high);
        assert_near(low, table[i].low, 5e-5);
        assert_near(high, table[i].high, 5e-5);
        uw_score_wilson(table[i].n - table[i].k, table[i].n, &low, &high);
        assert_near(1 - high, table[i].low, 5e-5);
        assert_near(1 - low, table[i].high, 5e-5);
    }
    uw_score_wilson(0, 0, &low, &high);
    assert_true(low == 0 && high == 1);
}

/* Half the chi-square quantile at 0.95 with 2k+2 degrees of freedom. */
static void test_poisson(void **state) {
    (void)state;
    assert_near(uw_score_poisson_upper(0), -log(0.05), 1e-9);
    assert_near(uw_score_poisson_upper(1), 9.487729037 / 2, 1e-8);
    assert_near(uw_score_poisson_upper(4), 18.307038053 / 2, 1e-8);
    assert_near(uw_score_poisson_upper(49), 124.342113404 / 2, 1e-7);
    assert_near(uw_score_poisson_upper(100000), 100000 + 1.645 * sqrt(100000) + 1, 2);
}

static void test_percentile(void **state) {
    double x[] = {4, 1, 3, 2};

    (void)state;
    assert_near(uw_score_percentile(x, 4, 0.5), 2.5, 1e-12);
    assert_near(uw_score_percentile(x, 4, 0.95), 3.85, 1e-12);
    assert_near(uw_score_percentile(x, 4, 1), 4, 1e-12);
    assert_near(uw_score_percentile(x, 1, 0.95), 1, 1e-12);
    assert_true(isnan(uw_score_percentile(x, 0, 0.5)));
}

/* A growing text. */
struct text {
    char buf[65536];
    size_t len;
};

static void add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *t, const char *format, ...) {
    va_list args;

    va_start(args, format);
    t->len += (size_t)vsnprintf(t->buf + t->len, sizeof(t->buf) - t->len, format, args);
    va_end(args);
    assert_true(t->len < sizeof(t->buf));
}

struct link {
    const char *name, *link, *variant, *domain;
    double freq_hz, width_hz, from_s, every_s, length_s;
    int n;
};

static void make_truth(struct text *t, const struct link *links, size_t n_links) {
    bool any = false;

    t->len = 0;
    add(t, "{\"global\": {\"core:sample_rate\": %d, \"uaswatch:receiver\": \"rx\"},\n", RATE);
    add(t, "\"captures\": [{\"core:datetime\": \"2026-06-01T12:00:00Z\"}], \"annotations\": [");
    for (size_t i = 0; i < n_links; i++) {
        const struct link *l = &links[i];
        for (int k = 0; k < l->n; k++) {
            add(t, "%s\n{\"core:sample_start\": %.0f, \"core:sample_count\": %.0f,", any ? "," : "",
                (l->from_s + k * l->every_s) * RATE, l->length_s * RATE);
            add(t, "\"core:freq_lower_edge\": %f, \"core:freq_upper_edge\": %f,",
                l->freq_hz - l->width_hz / 2, l->freq_hz + l->width_hz / 2);
            add(t, "\"uaswatch:emitter\": \"%s\", \"uaswatch:link\": \"%s\",", l->name, l->link);
            if (l->variant)
                add(t, "\"uaswatch:variant\": \"%s\",", l->variant);
            if (l->domain)
                add(t, "\"uaswatch:domain\": \"%s\",", l->domain);
            add(t, "\"uaswatch:in_band\": 1.0}");
            any = true;
        }
    }
    add(t, "]}");
}

static void add_head(struct text *t, const char *type, double time_s) {
    static int seq;

    add(t, "{\"type\":\"%s\",\"schema\":\"%s/1.0\",\"site\":\"s\",\"node\":\"n\",\"run\":\"r\",",
        type, type);
    add(t, "\"seq\":%d,\"time\":\"2026-06-01T12:00:%09.6fZ\",\"exercise\":false,", ++seq, time_s);
}

static void add_track(struct text *t, const char *id, const char *family, double time_s,
                      double freq_hz) {
    add_head(t, "track", time_s);
    add(t, "\"track\":\"%s\",\"state\":\"confirmed\",\"family\":\"%s\",\"signature\":\"x\",", id,
        family);
    add(t, "\"drone\":true,\"role\":\"control\",\"confidence\":0.9,\"llr\":20.0,\"freq_hz\":%.1f,",
        freq_hz);
    add(t, "\"first_seen\":\"2026-06-01T12:00:%09.6fZ\",", time_s);
    add(t, "\"last_seen\":\"2026-06-01T12:00:%09.6fZ\",\"receivers\":[\"rx\"],", time_s);
    add(t, "\"authorised\":{\"state\":\"none\"}}\n");
}

static void add_alert(struct text *t, const char *id, const char *track, const char *family,
                      const char *variant, const char *domain, double time_s) {
    add_head(t, "alert", time_s);
    add(t, "\"alert\":\"%s\",\"kind\":\"uas\",\"event\":\"raised\",\"state\":\"active\",", id);
    add(t, "\"severity\":\"warning\",\"track\":\"%s\",\"family\":\"%s\",\"signature\":\"x\",",
        track, family);
    if (variant)
        add(t, "\"variant\":\"%s\",", variant);
    if (domain)
        add(t, "\"domain\":\"%s\",", domain);
    add(t, "\"authorised\":{\"state\":\"none\"},\"confidence\":0.99,\"headline\":\"h\",");
    add(t, "\"reason\":\"r\",\"advice\":\"a\",");
    add(t, "\"first_seen\":\"2026-06-01T12:00:00.000000Z\",");
    add(t, "\"last_seen\":\"2026-06-01T12:00:%09.6fZ\"}\n", time_s);
}

static void add_summary(struct text *t, double seconds) {
    add(t, "{\"type\":\"summary\",\"seconds\":%.1f}\n", seconds);
}

static int read_results(struct uw_score_results *results, int64_t start_ns, struct text *t,
                        struct uw_diag *diag) {
    FILE *f = fmemopen(t->buf, t->len, "r");
    int r;

    assert_non_null(f);
    r = uw_score_results_read(results, start_ns, "results", f, diag);
    fclose(f);
    return r;
}

static void score_run(struct uw_score *score, struct text *truth_text, struct text *results_text) {
    static struct uw_diag diag;
    struct uw_score_truth truth = {0};
    struct uw_score_results results = {0};
    int r;

    memset(&diag, 0, sizeof(diag));
    r = uw_score_truth_parse(&truth, "truth", truth_text->buf, truth_text->len, &diag);
    if (r == 0)
        r = read_results(&results, truth.start_ns, results_text, &diag);
    if (r != 0)
        fail_msg("%s", diag.text[0]);
    assert_int_equal(uw_score_add(score, &truth, &results), 0);
    uw_score_truth_deinit(&truth);
    uw_score_results_deinit(&results);
}

static const struct link pilot = {"pilot", "expresslrs", "200Hz", "FCC915", 915e6,
                                  5e5,     1.0,          0.1,     0.004,    20};
static const struct link other = {"other", "expresslrs", "100Hz", "FCC915", 915e6,
                                  5e5,     1.52,         0.1,     0.008,    20};
static const struct link sensor = {"sensor", "lorawan", "SF9/125", "US915", 914.5e6,
                                   125e3,    0.5,       0.5,       0.1,     4};

static struct text truth_text, results_text;

static size_t cell(const struct uw_score *s, enum uw_score_field field, const char *truth,
                   const char *said) {
    for (size_t i = 0; i < s->n_cells; i++)
        if (s->cells[i].field == field && strcmp(s->cells[i].truth, truth) == 0 &&
            strcmp(s->cells[i].said, said) == 0)
            return s->cells[i].n;
    return 0;
}

static void test_detected(void **state) {
    struct uw_score s = {.within_s = INFINITY};
    struct link links[] = {pilot, sensor};

    (void)state;
    make_truth(&truth_text, links, 2);
    results_text.len = 0;
    add_track(&results_text, "t1", "expresslrs", 1.204, 915.01e6);
    add_track(&results_text, "t1", "expresslrs", 1.404, 915.01e6);
    add_alert(&results_text, "a1", "t1", "expresslrs", "200Hz", NULL, 1.404);
    add_summary(&results_text, 4);
    score_run(&s, &truth_text, &results_text);
    assert_int_equal(s.all.presented, 1);
    assert_int_equal(s.all.detected, 1);
    assert_int_equal(s.background, 1);
    assert_int_equal(s.false_alerts, 0);
    assert_int_equal(s.all.extra, 0);
    assert_near(s.all.detect_s[0], 0.204, 1e-6);
    assert_near(s.all.alert_s[0], 0.404, 1e-6);
    assert_int_equal(s.verdict[UW_SCORE_FAMILY].right, 1);
    assert_int_equal(s.verdict[UW_SCORE_VARIANT].right, 1);
    assert_int_equal(s.verdict[UW_SCORE_DOMAIN].unknown, 1);
    assert_int_equal(s.verdict[UW_SCORE_DOMAIN].wrong, 0);
    assert_int_equal(cell(&s, UW_SCORE_DOMAIN, "FCC915", "(open)"), 1);
    assert_int_equal(cell(&s, UW_SCORE_FAMILY, "lorawan", "(no alert)"), 1);
    uw_score_deinit(&s);
}

/* The same alert, but too late. */
static void test_late(void **state) {
    struct uw_score s = {.within_s = 0.3};
    struct link links[] = {pilot};

    (void)state;
    make_truth(&truth_text, links, 1);
    results_text.len = 0;
    add_track(&results_text, "t1", "expresslrs", 1.404, 915.01e6);
    add_alert(&results_text, "a1", "t1", "expresslrs", "200Hz", "FCC915", 1.404);
    add_summary(&results_text, 4);
    score_run(&s, &truth_text, &results_text);
    assert_int_equal(s.all.presented, 1);
    assert_int_equal(s.all.detected, 0);
    assert_int_equal(s.late, 1);
    assert_int_equal(s.false_alerts, 0);
    uw_score_deinit(&s);
}

/* A look-alike taken for a drone, and an alert where nothing was: both false; the drone is missed
 * although there were alerts. */
static void test_false(void **state) {
    struct uw_score s = {.within_s = INFINITY};
    struct link links[] = {pilot, sensor};

    (void)state;
    make_truth(&truth_text, links, 2);
    results_text.len = 0;
    add_track(&results_text, "t1", "expresslrs", 0.6, 914.5e6);
    add_alert(&results_text, "a1", "t1", "expresslrs", NULL, NULL, 0.7);
    add_track(&results_text, "t2", "crossfire", 3.5, 915e6);
    add_alert(&results_text, "a2", "t2", "crossfire", NULL, NULL, 3.6);
    /* the right instant, but a megahertz away */
    add_track(&results_text, "t3", "expresslrs", 1.204, 916e6);
    add_alert(&results_text, "a3", "t3", "expresslrs", NULL, NULL, 1.3);
    add_summary(&results_text, 7200);
    score_run(&s, &truth_text, &results_text);
    assert_int_equal(s.all.presented, 1);
    assert_int_equal(s.all.detected, 0);
    assert_int_equal(s.false_alerts, 3);
    assert_int_equal(cell(&s, UW_SCORE_FAMILY, "lorawan", "expresslrs"), 1);
    assert_int_equal(cell(&s, UW_SCORE_FAMILY, "(nothing)", "crossfire"), 1);
    assert_int_equal(cell(&s, UW_SCORE_FAMILY, "(nothing)", "expresslrs"), 1);
    assert_int_equal(cell(&s, UW_SCORE_FAMILY, "expresslrs", "(no alert)"), 1);
    assert_near(s.seconds, 7200, 1e-9);
    uw_score_deinit(&s);
}

/* Two links on one channel are told apart by when their bursts end; a third alert is an extra one,
 * and a wrong name is wrong, an unknown one is not. Runs add up. */
static void test_two_links(void **state) {
    struct uw_score s = {.within_s = INFINITY};
    struct link links[] = {pilot, other};

    (void)state;
    make_truth(&truth_text, links, 2);
    results_text.len = 0;
    add_track(&results_text, "t1", "expresslrs", 1.604, 915e6);
    add_track(&results_text, "t2", "unknown-fhss", 1.628, 915e6);
    add_alert(&results_text, "a1", "t1", "crossfire", "50Hz", "FCC915", 1.7);
    add_alert(&results_text, "a2", "t2", "unknown-fhss", NULL, NULL, 1.8);
    add_track(&results_text, "t3", "expresslrs", 2.228, 915e6);
    add_alert(&results_text, "a3", "t3", "expresslrs", "100Hz", "FCC915", 2.3);
    add_summary(&results_text, 4);
    for (int i = 0; i < 2; i++)
        score_run(&s, &truth_text, &results_text);
    assert_int_equal(s.runs, 2);
    assert_int_equal(s.n_rows, 2);
    assert_int_equal(s.all.presented, 4);
    assert_int_equal(s.all.detected, 4);
    assert_int_equal(s.all.tracks, 6);
    assert_int_equal(s.all.extra, 2);
    assert_int_equal(s.rows[1].extra, 2); /* the second link's */
    assert_near(s.rows[1].alert_s[0], 1.8 - 1.52, 1e-6);
    assert_int_equal(s.verdict[UW_SCORE_FAMILY].wrong, 2);
    assert_int_equal(s.verdict[UW_SCORE_FAMILY].unknown, 2);
    assert_int_equal(s.verdict[UW_SCORE_FAMILY].right, 0);
    assert_int_equal(cell(&s, UW_SCORE_VARIANT, "200Hz", "50Hz"), 2);
    uw_score_deinit(&s);
}

static void test_offered_names(void **state) {
    struct uw_score s = {.within_s = INFINITY};
    struct link links[] = {{"a", "dji-droneid", "o2", NULL, 915e6, 9e6, 1.0, 0.64, 0.0006, 2}};

    (void)state;
    make_truth(&truth_text, links, 1);
    results_text.len = 0;
    add_track(&results_text, "t1", "dji-droneid", 1.0006, 915e6);
    add_alert(&results_text, "a1", "t1", "dji-droneid", "O2/O3", NULL, 1.01);
    add_summary(&results_text, 2);
    score_run(&s, &truth_text, &results_text);
    assert_int_equal(s.verdict[UW_SCORE_VARIANT].right, 1);
    uw_score_deinit(&s);
}

static void refuse_truth(const char *text, const char *words) {
    static struct uw_diag diag;
    struct uw_score_truth truth = {0};

    memset(&diag, 0, sizeof(diag));
    assert_int_equal(uw_score_truth_parse(&truth, "T", text, strlen(text), &diag), UW_E_INPUT);
    assert_int_equal(diag.n, 1);
    if (!strstr(diag.text[0], words))
        fail_msg("\"%s\" does not say \"%s\"", diag.text[0], words);
    uw_score_truth_deinit(&truth);
}

#define GLOBAL "{\"global\":{\"core:sample_rate\":1e6,\"uaswatch:receiver\":\"rx\"},"

static void test_bad_truth(void **state) {
    (void)state;
    refuse_truth("", "T:");
    refuse_truth("[1]", "not written by uaswatch synth");
    refuse_truth("{\"global\":{\"core:sample_rate\":1e6},\"annotations\":[]}",
                 "not written by uaswatch synth");
    refuse_truth("{\"global\":{\"core:sample_rate\":-1,\"uaswatch:receiver\":\"r\"},"
                 "\"annotations\":[]}",
                 "core:sample_rate");
    refuse_truth(GLOBAL "\"annotations\":[{}]}", "annotations[0]");
    refuse_truth(GLOBAL "\"annotations\":[{\"uaswatch:emitter\":\"a\",\"uaswatch:link\":\"b\"}]}",
                 "core:sample_start");
    refuse_truth(GLOBAL "\"captures\":[{\"core:datetime\":\"x\"}],\"annotations\":[]}",
                 "core:datetime");
}

static void refuse_results(const char *text, const char *words) {
    static struct uw_diag diag;
    static struct text t;
    struct uw_score_results results = {0};

    memset(&diag, 0, sizeof(diag));
    t.len = 0;
    add(&t, "%s", text);
    assert_int_equal(read_results(&results, 0, &t, &diag), UW_E_INPUT);
    assert_int_equal(diag.n, 1);
    if (!strstr(diag.text[0], words))
        fail_msg("\"%s\" does not say \"%s\"", diag.text[0], words);
    uw_score_results_deinit(&results);
}

static void test_bad_results(void **state) {
    (void)state;
    refuse_results("\n", "results:1: ");
    refuse_results("hello\n", "results:1: not a line");
    refuse_results("{\"type\":\"later\"}\n", "no summary");
    refuse_results("{\"type\":\"summary\"}\n", "seconds");
    refuse_results("{\"type\":\"summary\",\"seconds\":1}\n{\"type\":\"summary\",\"seconds\":1}\n",
                   "results:2: something follows");
    refuse_results("{\"type\":\"track\",\"schema\":\"track/1.0\"}\n", "results:1: ");
    refuse_results("{\"type\":\"recording\",\"seconds\":1}\n", "--each");
}

/* What is not known counts as a drone's, so that a new link cannot be left out unseen. */
static void test_who_flies(void **state) {
    (void)state;
    assert_true(uw_score_is_drone("expresslrs"));
    assert_true(uw_score_is_drone("dji-droneid"));
    assert_true(uw_score_is_drone("something-new"));
    assert_false(uw_score_is_drone("lorawan"));
    assert_false(uw_score_is_drone("leakage"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wilson),     cmocka_unit_test(test_poisson),
        cmocka_unit_test(test_percentile), cmocka_unit_test(test_detected),
        cmocka_unit_test(test_late),       cmocka_unit_test(test_false),
        cmocka_unit_test(test_two_links),  cmocka_unit_test(test_offered_names),
        cmocka_unit_test(test_bad_truth),  cmocka_unit_test(test_bad_results),
        cmocka_unit_test(test_who_flies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
