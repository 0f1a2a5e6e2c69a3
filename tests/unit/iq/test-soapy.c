/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Receivers of SoapySDR, on a stand-in for the library (tests/standin/soapy). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../../standin/soapy/soapy.h"
#include "uw/base/err.h"
#include "uw/base/iq-format.h"
#include "uw/base/time.h"
#include "uw/iq/source.h"

#define RATE 2000000.0

static struct standin_soapy *standin;

static struct uw_source *open_device(const char *device, double gain_db) {
    struct uw_source_params params;
    struct uw_source *source = NULL;
    struct uw_diag diag = {0};

    uw_source_params_init(&params);
    params.type = UW_SOURCE_SOAPY;
    params.device = device;
    params.rate_hz = RATE;
    params.freq_hz = 2440e6;
    params.gain_db = gain_db;
    params.ppm = 10;
    params.bias_tee = true;
    if (uw_source_open(&params, &diag, &source))
        fail_msg("%s", diag.n ? diag.text[0] : "no reason");
    return source;
}

/* Samples and losses of so many seconds; the last block in *b. */
static double read_for(struct uw_source *source, double seconds, uint64_t *lost,
                       struct uw_source_block *b) {
    static unsigned char buf[8 * 40000];
    int64_t until = uw_clock_mono_ns() + (int64_t)(seconds * 1e9);
    double n = 0;

    *lost = 0;
    while (uw_clock_mono_ns() < until) {
        struct uw_source_block got;

        assert_int_equal(uw_source_read(source, buf, 40000, NULL, &got), 0);
        if (got.n == 0)
            continue;
        *b = got;
        *lost += got.lost;
        n += (double)got.n;
    }
    return n;
}

static void expect_health(struct uw_source *source, enum uw_source_state state,
                          enum uw_source_problem problem, double seconds) {
    int64_t until = uw_clock_mono_ns() + (int64_t)(seconds * 1e9);
    struct uw_source_health h;
    struct uw_source_block b;
    uint64_t lost;

    do {
        read_for(source, 0.05, &lost, &b);
        uw_source_health(source, &h);
    } while (uw_clock_mono_ns() < until && (h.state != state || h.problem != problem));
    if (h.state != state || h.problem != problem)
        fail_msg("%s, %s (%s) instead of %s, %s", uw_source_state_name(h.state),
                 uw_source_problem_name(h.problem), h.advice, uw_source_state_name(state),
                 uw_source_problem_name(problem));
}

/* Samples come. A machine that is busy with other things may lose some of them. */
static void expect_samples(struct uw_source *source, double seconds) {
    int64_t until = uw_clock_mono_ns() + (int64_t)(seconds * 1e9);
    struct uw_source_health h;
    struct uw_source_block b;
    uint64_t lost;

    do {
        bool came = read_for(source, 0.05, &lost, &b) > 0;

        uw_source_health(source, &h);
        if (came && h.state != UW_SOURCE_LOST)
            return;
    } while (uw_clock_mono_ns() < until);
    fail_msg("no samples: %s, %s", uw_source_problem_name(h.problem), h.advice);
}

static void test_samples_and_settings(void **state) {
    struct uw_source *source = open_device("driver=standin, antenna=RX2,channel=1, serial=7", 20.3);
    struct uw_source_block b = {0};
    uint64_t lost;
    double n;

    (void)state;
    assert_int_equal(uw_source_info(source)->format, UW_IQ_CI16);
    expect_samples(source, 8);
    read_for(source, 0.4, &lost, &b);
    n = read_for(source, 0.5, &lost, &b);
    assert_true(n > 0.2 * RATE && n < 0.8 * RATE);
    assert_true(b.freq_hz == 2440e6 && fabs(b.gain_db - 20.5) < 1e-9);
    assert_true(standin->rate == RATE && standin->channel == 1);
    assert_true(standin->antenna_rx2 && standin->bias_tee);
    assert_true(fabs(standin->freq - 2440e6 / (1 + 10e-6)) < 1);
    assert_int_equal(uw_source_tune(source, 2410e6), 0);
    read_for(source, 0.4, &lost, &b);
    assert_true(b.freq_hz == 2410e6);
    assert_true(fabs(standin->freq - 2410e6 / (1 + 10e-6)) < 1);
    uw_source_close(source);
    assert_int_equal(standin->n_open, 0);
    assert_int_equal(standin->n_streams, 0);
}

/* With a code or without one, what is missing is missing by the clock. */
static void test_losses(void **state) {
    struct uw_source *source = open_device("driver=standin,serial=7,format=CF32", 20);

    (void)state;
    assert_int_equal(uw_source_info(source)->format, UW_IQ_CF32);
    expect_samples(source, 8);
    for (int i = 0; i < 2; i++) {
        struct uw_source_health before, after;
        struct uw_source_block b;
        uint64_t lost;

        read_for(source, 0.3, &lost, &b);
        uw_source_health(source, &before);
        standin->silent_loss = i == 1;
        standin->lose = 300000;
        read_for(source, 0.9, &lost, &b);
        uw_source_health(source, &after);
        assert_true(lost > 250000 && (double)lost < 1.2 * RATE);
        assert_true(after.lost - before.lost >= lost);
        assert_int_equal(after.problem, UW_SOURCE_PROBLEM_LOSING);
    }
    uw_source_close(source);
}

static void test_faults(void **state) {
    struct uw_source *source;

    (void)state;
    standin->absent = true;
    source = open_device("driver=standin,serial=7", 20);
    expect_health(source, UW_SOURCE_LOST, UW_SOURCE_PROBLEM_ABSENT, 2);
    standin->absent = false;
    expect_samples(source, 4);
    standin->stalled = true;
    expect_health(source, UW_SOURCE_LOST, UW_SOURCE_PROBLEM_STALLED, 2);
    standin->stalled = false;
    expect_samples(source, 8);
    standin->error = -2;
    expect_health(source, UW_SOURCE_LOST, UW_SOURCE_PROBLEM_STALLED, 2);
    standin->error = 0;
    expect_samples(source, 4);
    uw_source_close(source);
    assert_int_equal(standin->n_open, 0);
}

static void test_refusals(void **state) {
    struct uw_source *source;

    (void)state;
    standin->rate_error = 0.01;
    source = open_device("driver=standin,serial=7", 20);
    expect_health(source, UW_SOURCE_LOST, UW_SOURCE_PROBLEM_REFUSED, 2);
    uw_source_close(source);
    standin->rate_error = 0;
    standin->refuse_freq = true;
    standin->freq = 1e9;
    source = open_device("driver=standin,serial=7", 20);
    expect_health(source, UW_SOURCE_LOST, UW_SOURCE_PROBLEM_REFUSED, 2);
    uw_source_close(source);
    standin->refuse_freq = false;
    standin->refuse_cs16 = true;
    source = open_device("driver=standin,serial=7", 20);
    expect_health(source, UW_SOURCE_LOST, UW_SOURCE_PROBLEM_REFUSED, 2);
    uw_source_close(source);
    standin->refuse_cs16 = false;
    source = open_device("driver=standin,serial=7,antenna=TX", 20);
    expect_health(source, UW_SOURCE_LOST, UW_SOURCE_PROBLEM_REFUSED, 2);
    uw_source_close(source);
    source = open_device("driver=standin,serial=7,channel=2", 20);
    expect_health(source, UW_SOURCE_LOST, UW_SOURCE_PROBLEM_REFUSED, 2);
    uw_source_close(source);
    assert_int_equal(standin->n_open, 0);
}

static void test_wrong_arguments(void **state) {
    static const char *const bad[] = {"channel=64", "channel=x", "driver=a,format=CU8", "format="};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct uw_source_params params;
        struct uw_source *source = NULL;
        struct uw_diag diag = {0};

        uw_source_params_init(&params);
        params.type = UW_SOURCE_SOAPY;
        params.device = bad[i];
        params.rate_hz = RATE;
        params.freq_hz = 1e9;
        assert_int_equal(uw_source_open(&params, &diag, &source), UW_E_INPUT);
        assert_non_null(strstr(diag.text[0], bad[i]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_arguments), cmocka_unit_test(test_samples_and_settings),
        cmocka_unit_test(test_losses),          cmocka_unit_test(test_faults),
        cmocka_unit_test(test_refusals),
    };
    struct standin_soapy *(*find)(void);

    *(void **)&find = dlsym(RTLD_DEFAULT, "standin_soapy");
    if (!find) {
        fprintf(stderr, "this is SoapySDR itself and not the stand-in for it\n");
        return 77;
    }
    standin = find();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
