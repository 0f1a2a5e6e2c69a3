/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The reporter: conversion, the limit of five a second, progress that never overtakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <string.h>

#include "../../../src/rx/rx-impl.h"
#include "uw/base/time.h"

#define RATE     1e6
#define SENT_MAX 4000

static const struct uw_signature link_signature = {
    .id = "expresslrs-900", .family = "expresslrs", .role = UW_SIG_CONTROL, .drone = true};
static const struct uw_quality quality = {.noise_dbfs = -50, .clip_ratio = 0};

struct sent {
    int n;
    struct uw_detection d[SENT_MAX];
};

static struct sent sent;

static void on_send(void *userdata, const struct uw_detection *d) {
    (void)userdata;
    assert_true(sent.n < SENT_MAX);
    sent.d[sent.n++] = *d;
}

static void report_init(struct uw_rx_report *report) {
    struct uw_head head = {.site = "s", .node = "n", .run = "run"};

    memset(report, 0, sizeof(*report));
    sent.n = 0;
    assert_int_equal(uw_rx_report_name(report, &head, "rx0"), 0);
    report->tuning = (struct uw_tuning){.centre_hz = 915e6, .rate_hz = RATE, .gain_db = NAN};
    report->start_ns = UW_NS_PER_S;
    report->send = on_send;
}

static struct uw_finding finding(uint64_t emitter, double stop_s, double llr, int64_t dwells) {
    return (struct uw_finding){
        .signature = &link_signature,
        .emitter = emitter,
        .centre_hz = 915e6,
        .freq_hz = -5000,
        .bandwidth_hz = 500e3,
        .llr = llr,
        .confidence = 0.9,
        .start = (uint64_t)llround(stop_s * RATE) - 1000,
        .stop = (uint64_t)llround(stop_s * RATE),
        .dwells = dwells,
        .hop_interval_s = NAN,
        .score = INFINITY,
        .rule = "raster",
    };
}

static void test_conversion(void **state) {
    struct uw_rx_report report;
    struct uw_finding f = finding(7, 0.5, 2.5, 3);

    (void)state;
    report_init(&report);
    uw_rx_report_finding(&report, &f, &quality);
    f.alertable = true;
    f.stop += 300000;
    f.channel_spacing_hz = 200e3;
    uw_rx_report_finding(&report, &f, &quality);
    assert_int_equal(sent.n, 2);
    assert_true(isnan(sent.d[0].evidence.channel_spacing_hz)); /* none is not a spacing of 0 */
    assert_true(sent.d[1].evidence.channel_spacing_hz == 200e3);
    assert_string_equal(sent.d[0].detection, "run-rx0-d1");
    assert_string_equal(sent.d[1].detection, "run-rx0-d2");
    assert_string_equal(sent.d[0].emitter, "rx0-e7");
    assert_string_equal(sent.d[0].signature, "expresslrs-900");
    assert_true(sent.d[0].freq_hz == 915e6 - 5000);
    assert_int_equal(sent.d[0].t_start_ns, INT64_C(1499000000));
    assert_int_equal(sent.d[0].t_end_ns, INT64_C(1500000000));
    assert_int_equal(sent.d[0].head.time_ns, sent.d[0].t_end_ns);
    assert_true(isnan(sent.d[0].evidence.score));     /* infinity is not a figure */
    assert_string_equal(sent.d[0].evidence.rule, ""); /* not alertable: no rule */
    assert_string_equal(sent.d[1].evidence.rule, "raster");
    assert_string_equal(sent.d[0].variant, "");
}

static void test_unknown_centre(void **state) {
    struct uw_rx_report report;
    struct uw_finding f = finding(1, 0.5, 1, 3);

    (void)state;
    report_init(&report);
    f.centre_hz = NAN;
    uw_rx_report_finding(&report, &f, &quality);
    assert_true(sent.d[0].freq_hz == -5000);
}

/* What was found before a retune is told after it. */
static void test_moved_receiver(void **state) {
    struct uw_rx_report report;
    struct uw_finding f = finding(1, 0.5, 1, 3);

    (void)state;
    report_init(&report);
    report.tuning.centre_hz = 434e6;
    uw_rx_report_finding(&report, &f, &quality);
    assert_true(sent.d[0].freq_hz == 915e6 - 5000);
    assert_true(sent.d[0].tuning.centre_hz == 915e6);
}

static void test_long_names_are_refused(void **state) {
    struct uw_rx_report report;
    struct uw_head head = {.run = "a-run-with-31-characters-in-it-"};

    (void)state;
    assert_int_equal(uw_rx_report_name(&report, &head, "rx"), 0);
    assert_int_equal(uw_rx_report_name(&report, &head, "rx0"), -ENAMETOOLONG);
}

/* 100 findings a second for three seconds, progress every 0.1 s: all evidence arrives, at most five
 * a second, and nothing arrives that ends before a progress already given. */
static void run_limit(int64_t dwells) {
    struct uw_rx_report report;
    double llr = 0;
    int64_t progress_ns = 0;

    report_init(&report);
    for (int i = 1; i <= 300; i++) {
        struct uw_finding f = finding(1, 0.01 * i, 0.5, dwells);
        int n = sent.n;
        uw_rx_report_finding(&report, &f, &quality);
        if (i % 10 == 0)
            progress_ns = uw_time_of_sample(report.start_ns,
                                            uw_rx_report_progress(&report, f.stop + 1), RATE);
        for (; n < sent.n; n++)
            assert_true(i % 10 == 0 || sent.d[n].t_end_ns >= progress_ns);
    }
    uw_rx_report_flush(&report);
    for (int i = 0; i < sent.n; i++)
        llr += sent.d[i].llr;
    assert_true(fabs(llr - 150) < 1e-9);
    for (int i = 5; i < sent.n - 1; i++) /* the last was flushed */
        assert_true(sent.d[i].t_end_ns - sent.d[i - 5].t_end_ns >= UW_NS_PER_S);
    assert_in_range(sent.n, 14, 17);
}

static void test_limit(void **state) {
    (void)state;
    run_limit(3);
    run_limit(-1);
}

static void test_hopper_is_spaced(void **state) {
    struct uw_rx_report report;

    (void)state;
    report_init(&report);
    for (int i = 1; i <= 10; i++) {
        struct uw_finding f = finding(1, 0.05 * i, 1, i);
        uw_rx_report_finding(&report, &f, &quality);
    }
    /* at 0.05, 0.25 and 0.45 s; the evidence of four, and the start of the first of them */
    assert_int_equal(sent.n, 3);
    assert_true(sent.d[1].llr == 4);
    assert_int_equal(sent.d[1].t_start_ns, UW_NS_PER_S + 99 * INT64_C(1000000));
    assert_int_equal(sent.d[1].t_end_ns, UW_NS_PER_S + 250 * INT64_C(1000000));
}

static void test_group_of_bursts_stays_single(void **state) {
    struct uw_rx_report report;

    (void)state;
    report_init(&report);
    for (int i = 1; i <= 6; i++) {
        struct uw_finding f = finding(1, 0.002 * i, 1, -1);
        uw_rx_report_finding(&report, &f, &quality);
    }
    assert_int_equal(sent.n, 5);
    /* the sixth waits until the first is a second old, and holds progress back */
    assert_int_equal(uw_rx_report_progress(&report, 500000), 12000);
    assert_int_equal(uw_rx_report_progress(&report, 1002000), 1002000);
    assert_int_equal(sent.n, 6);
}

static void test_more_emitters_than_places(void **state) {
    struct uw_rx_report report;
    double llr = 0;

    (void)state;
    report_init(&report);
    for (int i = 1; i <= 1000; i++) {
        struct uw_finding f = finding((uint64_t)(i % 200) + 1, 0.001 * i, 1, 3);
        uw_rx_report_finding(&report, &f, &quality);
    }
    uw_rx_report_flush(&report);
    for (int i = 0; i < sent.n; i++)
        llr += sent.d[i].llr;
    assert_true(llr == 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversion),
        cmocka_unit_test(test_unknown_centre),
        cmocka_unit_test(test_moved_receiver),
        cmocka_unit_test(test_long_names_are_refused),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_hopper_is_spaced),
        cmocka_unit_test(test_group_of_bursts_stays_single),
        cmocka_unit_test(test_more_emitters_than_places),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
