/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Dongles that are not there (tests/standin): found, set, read, and failing in every way that the
 * stand-in knows. Under a clock of the tests' own, so that all times are exact on any machine.
 */
#include "iq-test.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>

#include "../../standin/clock.h"

#define RATE 1.024e6

static void say(const char *what) {
    FILE *f = fopen(path_of("script"), "a");

    assert_non_null(f);
    fprintf(f, "now %s\n", what);
    assert_int_equal(fclose(f), 0);
}

/* All faults are over, each dongle is in its place. */
static int mend(void **state) {
    static const char *const lines[] = {
        "* unplug",     "* plug",     "* flow",      "* rate ok",  "* freq ok",
        "* gain ok",    "* busy off", "* access on", "* unlock 0", "* clip off",
        "* antenna on", "* error 0",  "* loss 0",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        say(lines[i]);
    return 0;
}

static struct uw_source *open_dongle_at(const char *serial, double freq_hz, double gain_db) {
    struct uw_source_params params;
    struct uw_source *source;

    uw_source_params_init(&params);
    params.type = UW_SOURCE_RTLSDR;
    params.device = serial;
    params.rate_hz = RATE;
    params.freq_hz = freq_hz;
    params.gain_db = gain_db;
    assert_int_equal(uw_source_open_clock(&params, &test_clock_source, NULL, &source), 0);
    return source;
}

static struct uw_source *open_dongle(const char *serial) {
    return open_dongle_at(serial, 868e6, 29.7);
}

struct seen {
    uint64_t n, lost, longest_loss;
    int fresh;
    struct uw_source_block last;
    double longest_s; /* that a read took */
};

/* Reads for so many seconds of signal. */
static void listen(struct uw_source *source, double seconds, struct seen *seen) {
    static unsigned char buf[2 * 40000];
    int64_t until = test_clock_mono(NULL) + (int64_t)(seconds * (double)UW_NS_PER_S);

    while (test_clock_mono(NULL) < until) {
        int64_t began = test_clock_mono(NULL);
        struct uw_source_block b;

        assert_int_equal(uw_source_read(source, buf, 40000, NULL, &b), 0);
        assert_false(b.end);
        seen->longest_s =
            fmax(seen->longest_s, (double)(test_clock_mono(NULL) - began) / (double)UW_NS_PER_S);
        if (b.n == 0)
            continue;
        seen->n += b.n;
        seen->lost += b.lost;
        if (b.lost > seen->longest_loss)
            seen->longest_loss = b.lost;
        seen->fresh += b.fresh;
        seen->last = b;
    }
}

/* Seconds of signal until health says so; fails after `limit`. */
static double wait_for(struct uw_source *source, enum uw_source_state state,
                       enum uw_source_problem problem, double limit, struct seen *seen) {
    int64_t began = test_clock_mono(NULL);
    struct uw_source_health h;
    double spent;

    do {
        listen(source, 0.05, seen);
        uw_source_health(source, &h);
        spent = (double)(test_clock_mono(NULL) - began) / (double)UW_NS_PER_S;
        if (h.state == state && h.problem == problem) {
            assert_true((h.state == UW_SOURCE_OK) == (h.advice[0] == 0));
            return spent;
        }
    } while (spent < limit);
    fail_msg("%s is not seen within %.1f s: %s, %s, \"%s\"", uw_source_problem_name(problem), limit,
             uw_source_state_name(h.state), uw_source_problem_name(h.problem), h.advice);
    return NAN;
}

static void expect_well(struct uw_source *source, double limit, struct seen *seen) {
    wait_for(source, UW_SOURCE_OK, UW_SOURCE_PROBLEM_NONE, limit, seen);
}

static struct uw_source_health health_of(struct uw_source *source) {
    struct uw_source_health h;

    uw_source_health(source, &h);
    return h;
}

static void test_gives_samples_in_time(void **state) {
    struct uw_source *source = open_dongle("north");
    int64_t began = test_clock_mono(NULL);
    const struct uw_source_info *info = uw_source_info(source);
    struct seen seen = {0};
    double passed;

    (void)state;
    assert_true(info->live && info->tunable);
    assert_int_equal(info->start_ns, INT64_C(1700000000) * UW_NS_PER_S);
    expect_well(source, 2, &seen);
    listen(source, 3, &seen);
    passed = (double)(test_clock_mono(NULL) - began) / (double)UW_NS_PER_S;
    /* what was given and lost is the time that has passed, but for what is under way */
    assert_true(fabs((double)(seen.n + seen.lost) / RATE - passed) < 0.15);
    assert_true(seen.lost < (uint64_t)(0.6 * RATE)); /* opening, and the first samples */
    assert_true(seen.last.freq_hz == 868e6 && seen.last.gain_db == 29.7);
    assert_int_equal(seen.fresh, 1);
    assert_true(seen.longest_s < 0.25);
    uw_source_close(source);
}

static void test_choice(void **state) {
    static const struct {
        const char *device, *words;
    } bad[] = {
        {"00000001", "2 dongles have the serial number 00000001"},
        {"south", "dongle south is not there (others: 3)"},
        {"", "There are 3 dongles"},
        {"#7", "There is no dongle #7"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct uw_source *source = open_dongle(bad[i].device);
        struct seen seen = {0};

        wait_for(source, UW_SOURCE_LOST, UW_SOURCE_PROBLEM_ABSENT, 2, &seen);
        if (!strstr(health_of(source).advice, bad[i].words))
            fail_msg("%s: %s", bad[i].device, health_of(source).advice);
        uw_source_close(source);
    }
    for (int i = 0; i < 3; i++) {
        struct uw_source *source = open_dongle((const char *[]){"#0", "#1", "#2"}[i]);
        struct seen seen = {0};

        expect_well(source, 2, &seen);
        uw_source_close(source);
    }
}

static void test_wrong_parameters(void **state) {
    static const struct {
        double rate_hz, freq_hz;
        const char *words, *device;
    } bad[] = {
        {2.4e6, NAN, "freq_hz", ""},     {NAN, 868e6, "rate_hz", ""},
        {500e3, 868e6, "rate_hz", ""},   {4e6, 868e6, "3.2e6", ""},
        {2.4e6, 5.8e9, "freq_hz", ""},   {2.4e6, 868e6, "a number", "#x"},
        {2.4e6, 868e6, "a number", "#"}, {2.4e6, 868e6, "a number", "#-1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct uw_source_params params;
        struct uw_source *source;
        struct uw_diag diag = {0};

        uw_source_params_init(&params);
        params.type = UW_SOURCE_RTLSDR;
        params.rate_hz = bad[i].rate_hz;
        params.freq_hz = bad[i].freq_hz;
        params.device = bad[i].device;
        assert_int_equal(uw_source_check(&params, &diag), UW_E_INPUT);
        assert_int_equal(diag.n, 1);
        diag.n = 0;
        assert_int_equal(uw_source_open(&params, &diag, &source), UW_E_INPUT);
        assert_int_equal(diag.n, 1);
        assert_non_null(strstr(diag.text[0], bad[i].words));
    }
}

static void test_settings_arrive(void **state) {
    struct uw_source_params params;
    struct uw_source *source;
    struct seen seen = {0};
    char text[4096] = "";
    FILE *f;

    (void)state;
    remove(getenv("UW_STANDIN_LOG"));
    uw_source_params_init(&params);
    params.type = UW_SOURCE_RTLSDR;
    params.device = "north";
    params.rate_hz = RATE;
    params.freq_hz = 915e6;
    params.gain_db = 38;
    params.ppm = 12.25;
    params.bias_tee = true;
    assert_int_equal(uw_source_open_clock(&params, &test_clock_source, NULL, &source), 0);
    expect_well(source, 2, &seen);
    assert_true(seen.last.gain_db == 38.6 && seen.last.freq_hz == 915e6);
    uw_source_close(source);
    f = fopen(getenv("UW_STANDIN_LOG"), "r");
    assert_non_null(f);
    assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
    fclose(f);
    assert_non_null(strstr(text, "north ppm 12\n"));
    assert_non_null(strstr(text, "north freq 914999771\n")); /* the quarter of a ppm */
    assert_non_null(strstr(text, "north rate 1024000\n"));
    assert_non_null(strstr(text, "north manual_gain 1\n"));
    assert_non_null(strstr(text, "north gain 386\n"));
    assert_non_null(strstr(text, "north agc 0\n"));
    assert_non_null(strstr(text, "north bias_tee 1\n"));
}

static void test_unplugged_and_back(void **state) {
    struct uw_source *source = open_dongle("north");
    int64_t began = test_clock_mono(NULL);
    struct seen seen = {0};
    double spent;

    (void)state;
    expect_well(source, 2, &seen);
    say("2 unplug");
    spent = wait_for(source, UW_SOURCE_LOST, UW_SOURCE_PROBLEM_ABSENT, 2, &seen);
    assert_true(spent < 2);
    assert_non_null(strstr(health_of(source).advice, "north"));
    listen(source, 5, &seen);
    say("2 plug 0"); /* another port: now it is found first */
    expect_well(source, 7, &seen);
    listen(source, 1, &seen);
    assert_int_equal(health_of(source).reopened, 1);
    assert_int_equal(seen.fresh, 2);
    assert_true(seen.longest_loss > (uint64_t)(4.5 * RATE));
    spent = (double)(test_clock_mono(NULL) - began) / (double)UW_NS_PER_S;
    assert_true(fabs((double)(seen.n + seen.lost) / RATE - spent) < 0.15);
    uw_source_close(source);
}

static void test_order_swapped(void **state) {
    struct uw_source *a = open_dongle("north"), *b = open_dongle("#0");
    struct seen seen_a = {0}, seen_b = {0};

    (void)state;
    expect_well(a, 2, &seen_a);
    expect_well(b, 2, &seen_b);
    say("0 unplug");
    wait_for(b, UW_SOURCE_LOST, UW_SOURCE_PROBLEM_ABSENT, 2, &seen_b);
    expect_well(a, 2, &seen_a); /* it is another one now that is found first */
    say("0 plug");
    listen(a, 1, &seen_a);
    assert_int_equal(health_of(a).state, UW_SOURCE_OK);
    assert_int_equal(health_of(a).reopened, 0);
    uw_source_close(a);
    uw_source_close(b);
}

static void test_stall(void **state) {
    struct uw_source *source = open_dongle("north");
    struct seen seen = {0};

    (void)state;
    expect_well(source, 2, &seen);
    say("2 stall");
    assert_true(wait_for(source, UW_SOURCE_LOST, UW_SOURCE_PROBLEM_STALLED, 2, &seen) < 2);
    listen(source, 3, &seen);
    assert_int_equal(health_of(source).state, UW_SOURCE_LOST);
    say("2 flow");
    expect_well(source, 8, &seen);
    assert_true(health_of(source).reopened > 0);
    uw_source_close(source);
}

static void test_faults_at_opening(void **state) {
    static const struct {
        const char *bad, *good, *words;
        enum uw_source_problem problem;
    } faults[] = {
        {"2 busy on", "2 busy off", "in use", UW_SOURCE_PROBLEM_ABSENT},
        {"2 access off", "2 access on", "udev", UW_SOURCE_PROBLEM_ABSENT},
        {"2 rate refuse", "2 rate ok", "sample rate", UW_SOURCE_PROBLEM_REFUSED},
        {"2 rate wrong", "2 rate ok", "sample rate", UW_SOURCE_PROBLEM_REFUSED},
        {"2 freq refuse", "2 freq ok", "frequency", UW_SOURCE_PROBLEM_REFUSED},
        {"2 gain refuse", "2 gain ok", "gain", UW_SOURCE_PROBLEM_REFUSED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct uw_source *source;
        struct seen seen = {0};

        say(faults[i].bad);
        source = open_dongle("north");
        wait_for(source, UW_SOURCE_LOST, faults[i].problem, 2, &seen);
        if (!strstr(health_of(source).advice, faults[i].words))
            fail_msg("%s: %s", faults[i].bad, health_of(source).advice);
        say(faults[i].good);
        expect_well(source, 4, &seen);
        uw_source_close(source);
    }
}

static void test_loss_and_delay(void **state) {
    struct uw_source *source = open_dongle("north");
    struct seen seen = {0};
    uint64_t before;

    (void)state;
    expect_well(source, 2, &seen);
    listen(source, 1, &seen);
    /* late, but nothing is lost: a hundred milliseconds in the queue */
    before = seen.lost;
    say("2 hiccup 0.1");
    listen(source, 2, &seen);
    assert_int_equal(health_of(source).problem, UW_SOURCE_PROBLEM_NONE);
    assert_true(seen.lost - before < (uint64_t)(0.005 * RATE));
    /* lost without a word: 102400 samples are a tenth of a second */
    before = seen.lost;
    say("2 lose 102400");
    wait_for(source, UW_SOURCE_DEGRADED, UW_SOURCE_PROBLEM_LOSING, 2, &seen);
    listen(source, 0.5, &seen);
    assert_true(fabs((double)(seen.lost - before) - 102400) < 0.01 * RATE);
    assert_true(health_of(source).lost >= 100000);
    expect_well(source, 8, &seen);
    say("2 short 3"); /* so much is missing as did not come */
    listen(source, 1, &seen);
    uw_source_close(source);
}

/* At 868.0 MHz there is a carrier of 12.7 steps, at 869.0 MHz noise of 2: not a hundred samples go
 * under the wrong name. */
static void check_carrier(const unsigned char *buf, size_t n, bool there) {
    for (size_t at = 0; at + 100 <= n; at += 100) {
        double level = 0;

        for (size_t i = 2 * at; i < 2 * at + 200; i++)
            level += abs(buf[i] - 127) / 200.0;
        if ((level > 5) != there)
            fail_msg("level %.1f at %zu of %zu where a carrier is %d", level, at, n, there);
    }
}

/* Also while transfers come late, which have samples of the old centre, and while some are lost,
 * after which the time of the others is not known at once. */
static void test_retune(void **state) {
    static const char *const faults[] = {NULL, "2 hiccup 0.1", "2 lose 30000", "2 short 2"};
    struct uw_source *source = open_dongle("north");
    static unsigned char buf[2 * 20000];
    struct seen seen = {0};
    int changes = 0;
    double now = 868e6;

    (void)state;
    expect_well(source, 2, &seen);
    assert_int_equal(uw_source_tune(source, 1e3), -ERANGE);
    for (int i = 0; i < 24; i++) {
        double want = i % 2 ? 868e6 : 869e6;
        int64_t until = test_clock_mono(NULL) + UW_NS_PER_S;
        double count = 0;

        if (i % 3 == 0 && faults[i / 3 % 4])
            say(faults[i / 3 % 4]); /* just before ... */
        assert_int_equal(uw_source_tune(source, want), 0);
        if (i % 3 == 1 && faults[i / 3 % 4])
            say(faults[i / 3 % 4]); /* ... or just after */
        while (test_clock_mono(NULL) < until) {
            struct uw_source_block b;

            assert_int_equal(uw_source_read(source, buf, 20000, NULL, &b), 0);
            if (b.n == 0)
                continue;
            changes += b.freq_hz != now;
            assert_true(b.freq_hz == now || b.fresh);
            now = b.freq_hz;
            check_carrier(buf, b.n, now == 868e6);
            count += now == want ? (double)b.n : 0;
        }
        assert_true(now == want);
        assert_true(count > 0.3 * RATE);
    }
    assert_int_equal(changes, 24);
    assert_true(health_of(source).discarded < (uint64_t)(0.3 * RATE + 24 * 0.1 * RATE));
    uw_source_close(source);
}

static void test_unlocked(void **state) {
    struct uw_source *source;
    struct seen seen = {0};

    (void)state;
    say("2 unlock 1500e6");
    source = open_dongle_at("north", 1600e6, NAN);
    wait_for(source, UW_SOURCE_LOST, UW_SOURCE_PROBLEM_UNLOCKED, 8, &seen);
    assert_non_null(strstr(health_of(source).advice, "1600"));
    uw_source_close(source);

    /* one that has just lost its way is sent there and back, and all is well */
    say("2 unlock 0");
    source = open_dongle_at("north", 1600e6, 29.7);
    expect_well(source, 2, &seen);
    listen(source, 3, &seen);
    say("2 slip");
    listen(source, 3, &seen);
    expect_well(source, 2, &seen);
    assert_int_equal(health_of(source).reopened, 0);
    uw_source_close(source);
}

/* A receiver that walks and does not lock at one of its two frequencies is good for the other. */
static void test_unlocked_walk(void **state) {
    struct uw_source *source;
    struct uw_source_health h;
    struct seen seen = {0};

    (void)state;
    source = open_dongle_at("north", 868e6, 29.7);
    for (int i = 0; i < 20; i++) { /* it learns how both sound */
        assert_int_equal(uw_source_tune(source, i % 2 ? 868e6 : 1600e6), 0);
        listen(source, 0.5, &seen);
    }
    assert_int_equal(health_of(source).state, UW_SOURCE_OK);
    say("2 unlock 1500e6");
    for (int i = 0; i < 20; i++) {
        assert_int_equal(uw_source_tune(source, i % 2 ? 868e6 : 1600e6), 0);
        listen(source, 0.5, &seen);
    }
    h = health_of(source);
    assert_int_equal(h.problem, UW_SOURCE_PROBLEM_UNLOCKED);
    assert_int_equal(h.state, UW_SOURCE_DEGRADED);
    assert_non_null(strstr(h.advice, "1600.000 MHz, elsewhere it hears"));
    /* it stays at the bad one: now it hears nothing */
    assert_int_equal(uw_source_tune(source, 1600e6), 0);
    wait_for(source, UW_SOURCE_LOST, UW_SOURCE_PROBLEM_UNLOCKED, 70, &seen);
    uw_source_close(source);
}

static void test_antenna(void **state) {
    struct uw_source *source = open_dongle_at("north", 868e6, 29.7);
    struct seen seen = {0};

    (void)state;
    expect_well(source, 2, &seen);
    listen(source, 3, &seen);
    say("2 antenna off");
    assert_true(wait_for(source, UW_SOURCE_LOST, UW_SOURCE_PROBLEM_DEAF, 2, &seen) < 2);
    listen(source, 1, &seen);
    assert_true(seen.last.freq_hz == 868e6); /* the probe is not for the caller */
    say("2 antenna on");
    expect_well(source, 2, &seen);
    uw_source_close(source);
}

static void listen_both(struct uw_source *a, struct seen *seen_a, struct uw_source *b,
                        struct seen *seen_b, double seconds) {
    for (double t = 0; t < seconds; t += 0.04) {
        listen(a, 0.02, seen_a);
        listen(b, 0.02, seen_b);
    }
}

static void test_clipping(void **state) {
    struct uw_source *fixed, *automatic;
    struct seen seen = {0}, seen_auto = {0};

    (void)state;
    fixed = open_dongle_at("north", 868e6, 29.7);
    automatic = open_dongle_at("#0", 868e6, NAN);
    listen_both(fixed, &seen, automatic, &seen_auto, 5);
    assert_int_equal(health_of(fixed).problem, UW_SOURCE_PROBLEM_NONE);
    assert_true(seen_auto.last.gain_db > 28);
    say("* clip 6");
    listen_both(fixed, &seen, automatic, &seen_auto, 1);
    assert_int_equal(health_of(fixed).state, UW_SOURCE_DEGRADED);
    assert_int_equal(health_of(fixed).problem, UW_SOURCE_PROBLEM_CLIPPING);
    listen_both(fixed, &seen, automatic, &seen_auto, 5);
    /* with automatic gain the carrier has come out of clipping */
    assert_int_equal(health_of(automatic).problem, UW_SOURCE_PROBLEM_NONE);
    assert_true(seen_auto.last.gain_db < 25);
    say("* clip off");
    listen_both(fixed, &seen, automatic, &seen_auto, 1);
    assert_int_equal(health_of(fixed).problem, UW_SOURCE_PROBLEM_NONE);
    uw_source_close(fixed);
    uw_source_close(automatic);
}

/* A crystal that is off by 300 ppm: told, and the samples' times stay true to a twentieth of a
 * second. */
static void test_drift(void **state) {
    static const char *const errors[] = {"2 error 300", "2 error -300"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct uw_source_params params;
        struct uw_source *source;
        struct seen seen = {0};
        int64_t began;

        say(errors[i]);
        uw_source_params_init(&params);
        params.type = UW_SOURCE_RTLSDR;
        params.device = "north";
        params.rate_hz = 250e3;
        params.freq_hz = 868e6;
        params.gain_db = 29.7;
        began = test_clock_mono(NULL);
        assert_int_equal(uw_source_open_clock(&params, &test_clock_source, NULL, &source), 0);
        wait_for(source, UW_SOURCE_DEGRADED, UW_SOURCE_PROBLEM_DRIFTING, 90, &seen);
        listen(source, 300, &seen);
        assert_true(fabs(health_of(source).drift_ppm - (i ? -300 : 300)) < 10);
        assert_true(fabs((double)(seen.n + seen.lost) / 250e3 -
                         (double)(test_clock_mono(NULL) - began) / (double)UW_NS_PER_S) < 0.1);
        /* a clock that is slow loses nothing */
        assert_int_equal(health_of(source).problem, UW_SOURCE_PROBLEM_DRIFTING);
        uw_source_close(source);
    }
}

static void *stop_later(void *source) {
    usleep(20000);
    uw_source_stop(source);
    return NULL;
}

static void test_stop(void **state) {
    static unsigned char buf[2000];
    struct uw_source *source = open_dongle("none");
    struct uw_source_block b;
    int64_t began = uw_clock_mono_ns();
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, stop_later, source), 0);
    do
        assert_int_equal(uw_source_read(source, buf, 1000, NULL, &b), 0);
    while (!b.end);
    pthread_join(thread, NULL);
    uw_source_close(source);
    assert_true(uw_clock_mono_ns() - began < UW_NS_PER_S);
}

static int begin(void **state) {
    if (make_dir(state))
        return -1;
    write_text("script", "");
    setenv("UW_STANDIN_DEVICES", "00000001,00000001,north", 1);
    setenv("UW_STANDIN_SCRIPT", path_of("script"), 1);
    setenv("UW_STANDIN_LOG", path_of("log"), 1);
    setenv("UW_STANDIN_TONES", "868.0e6:-20", 1);
    return test_clock_begin() ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gives_samples_in_time),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_wrong_parameters),
        cmocka_unit_test(test_settings_arrive),
        cmocka_unit_test_teardown(test_unplugged_and_back, mend),
        cmocka_unit_test_teardown(test_order_swapped, mend),
        cmocka_unit_test_teardown(test_stall, mend),
        cmocka_unit_test_teardown(test_faults_at_opening, mend),
        cmocka_unit_test_teardown(test_loss_and_delay, mend),
        cmocka_unit_test_teardown(test_retune, mend),
        cmocka_unit_test_teardown(test_unlocked, mend),
        cmocka_unit_test_teardown(test_unlocked_walk, mend),
        cmocka_unit_test_teardown(test_antenna, mend),
        cmocka_unit_test_teardown(test_clipping, mend),
        cmocka_unit_test_teardown(test_drift, mend),
        cmocka_unit_test(test_stop),
    };

    return cmocka_run_group_tests(tests, begin, remove_dir);
}
