/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Noise floor, gain and diagnosis, from samples and windows whose truth is known. */
#include "iq-test.h"

#include "../../../src/iq/judge-impl.h"

static uint32_t seed = 1;

static double uniform(void) {
    seed = seed * 1664525u + 1013904223u;
    return ((double)(seed >> 8) + 0.5) / 16777216.0;
}

static double gauss(void) {
    return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

/* A window of noise of a power, with an offset and bursts in a share of the time, in a format. */
static struct uw_judge_window window_of(enum uw_iq_format format, double noise_dbfs, double offset,
                                        double burst_db, double share) {
    const size_t n = 100000;
    const double sigma = pow(10, noise_dbfs / 20) / sqrt(2), strong = pow(10, burst_db / 20);
    size_t size = uw_iq_format_size(format), taken = 0;
    unsigned char *data = calloc(n, size);
    struct uw_judge_window w = {0};
    struct uw_judge judge;
    bool full = false;

    for (size_t i = 0; i < 2 * n; i++) {
        /* bursts of 5 ms */
        bool burst = fmod((double)(i / 2), 10000) < share * 10000;
        double v = gauss() * sigma * (burst ? strong : 1) + offset;

        v = fmin(fmax(v, -1), 1);
        if (format == UW_IQ_CU8)
            data[i] = (unsigned char)lrint(v * 127.5 + 127.5);
        else if (format == UW_IQ_CI8)
            ((signed char *)data)[i] = (signed char)lrint(v * 127);
        else if (format == UW_IQ_CI16)
            ((short *)data)[i] = (short)lrint(v * 32767);
        else
            ((float *)data)[i] = (float)v;
    }
    uw_judge_init(&judge, format, 1e6);
    while (taken < n && !full) { /* odd pieces, across slices */
        size_t part = n - taken < 777 ? n - taken : 777;

        taken += uw_judge_feed(&judge, data + taken * size, part, &full, &w);
    }
    assert_true(full && taken == n);
    free(data);
    return w;
}

static void test_floor(void **state) {
    (void)state;
    for (int format = 0; format < UW_IQ_FORMAT_N; format++)
        for (double noise = -36; noise <= -12; noise += 12) {
            struct uw_judge_window w = window_of(format, noise, 0.05, 0, 0);

            if (fabs(w.floor_dbfs - noise) > 0.4 || w.peak_db > 1.0 || w.clip_ratio > 1e-3)
                fail_msg("format %d, noise %.0f: floor %.2f, peak %.2f, clipped %.2g", format,
                         noise, w.floor_dbfs, w.peak_db, w.clip_ratio);
        }
}

static void test_bursts(void **state) {
    struct uw_judge_window w = window_of(UW_IQ_CU8, -30, 0, 20, 0.5);

    (void)state;
    assert_true(fabs(w.floor_dbfs + 30) < 0.4); /* half of the time on the air: still the floor */
    assert_true(fabs(w.peak_db - 20) < 1.5);
}

static void test_clipping(void **state) {
    (void)state;
    for (int format = 0; format < UW_IQ_FORMAT_N; format++) {
        struct uw_judge_window w = window_of(format, 0, 0, 0, 0);

        /* sigma is 0.707 for each part: |x| > 1 has a chance of 0.157, either of two 0.29 */
        if (fabs(w.clip_ratio - 0.29) > 0.02)
            fail_msg("format %d: %.3f", format, w.clip_ratio);
    }
}

static const double steps[] = {0, 5, 10, 15, 20, 25, 30, 35, 40, 45};
#define N_STEPS 10

/* The receiver's noise is `noise` at 30 dB; a signal is on for some windows. Returns the gain. */
struct world {
    struct uw_gain gain;
    double gain_db, noise_at_30, clip_above_db;
    int moves;
};

static void begin_world(struct world *w, double noise_at_30) {
    *w = (struct world){.gain_db = 30, .noise_at_30 = noise_at_30, .clip_above_db = 99};
    uw_gain_init(&w->gain, steps, N_STEPS, 30);
}

static bool live_on(struct world *w, double burst_db, double fill_db) {
    struct uw_judge_window window = {
        .floor_dbfs = w->noise_at_30 + w->gain_db - 30 + fill_db,
        .peak_db = burst_db,
        .clip_ratio = w->gain_db > w->clip_above_db ? 0.02 : 0,
    };
    double db;

    if (!uw_gain_window(&w->gain, &window, &db))
        return false;
    w->gain_db = db;
    w->moves++;
    return true;
}

static void test_gain_settles(void **state) {
    (void)state;
    for (double noise = -50; noise <= -12; noise += 2) {
        struct world w;
        int moves;

        begin_world(&w, noise);
        for (int i = 0; i < 300; i++)
            live_on(&w, 1, 0);
        if (noise + w.gain_db - 30 > -27 || (noise + w.gain_db - 30 < -36 && w.gain_db < 45))
            fail_msg("noise %.0f ends at %.0f dB", noise, w.gain_db);
        moves = w.moves;
        for (int i = 0; i < 3000; i++)
            live_on(&w, 1, 0);
        assert_int_equal(w.moves, moves); /* once it is right it stays */
    }
}

static void test_gain_waits_for_bursts(void **state) {
    struct world w;

    (void)state;
    begin_world(&w, -30);
    for (int i = 0; i < 100; i++)
        live_on(&w, 1, 0);
    assert_int_equal(w.moves, 0);
    w.noise_at_30 = -20; /* it has become noisy: the gain is too high */
    for (int i = 0; i < 60; i++)
        assert_false(live_on(&w, 15, 0)); /* but there are bursts */
    assert_false(live_on(&w, 1, 0));
    assert_true(live_on(&w, 1, 0)); /* the second quiet window */
    /* what never pauses is no burst */
    begin_world(&w, -30);
    for (int i = 0; i < 100; i++)
        live_on(&w, 15, 0);
    w.noise_at_30 = -20;
    for (int i = 0; i < 200 && w.moves == 0; i++)
        live_on(&w, 15, 0);
    assert_int_equal(w.moves, 1);
}

static void test_gain_ignores_long_bursts(void **state) {
    struct world w;

    (void)state;
    begin_world(&w, -32);
    for (int i = 0; i < 3000; i++)
        live_on(&w, 1, i % 100 >= 75 ? 20 : 0); /* fills windows for 2.5 s of ten */
    assert_int_equal(w.moves, 0);
}

static void test_gain_comes_out_of_clipping(void **state) {
    struct world w;
    int moves;

    (void)state;
    begin_world(&w, -33);
    for (int i = 0; i < 100; i++)
        live_on(&w, 1, 0);
    w.clip_above_db = 26;
    for (int i = 0; i < 100; i++)
        live_on(&w, 1, 0);
    assert_true(w.gain_db == 25);
    moves = w.moves;
    for (int i = 0; i < 36000; i++) /* an hour: it tries to rise, ever less often */
        live_on(&w, 1, 0);
    assert_true(w.moves - moves < 20);
    /* but never so far that rounding drowns the noise */
    begin_world(&w, -40);
    w.clip_above_db = -1;
    for (int i = 0; i < 1000; i++)
        live_on(&w, 1, 0);
    assert_true(w.gain_db >= 30);
}

static bool hear(struct uw_diagnose *d, double floor_dbfs, double freq_hz, double gain_db, int n,
                 double *ret_probe_hz) {
    bool asked = false;

    for (int i = 0; i < n; i++) {
        const struct uw_judge_window w = {.floor_dbfs = floor_dbfs};
        asked |= uw_diagnose_window(d, &w, freq_hz, gain_db, ret_probe_hz);
    }
    return asked;
}

static enum uw_diagnosis probe(struct uw_diagnose *d, double floor_dbfs) {
    const struct uw_judge_window w = {.floor_dbfs = floor_dbfs};
    double freq;

    while (!uw_diagnose_probe(d, &w))
        continue;
    return uw_diagnose_now(d, &freq);
}

static void test_diagnosis(void **state) {
    struct uw_diagnose d;
    double probe_hz = 0, freq = 0;

    (void)state;
    uw_diagnose_init(&d, UW_IQ_CU8);
    assert_false(hear(&d, -30, 915e6, 30, 100, &probe_hz));
    assert_false(hear(&d, -20, 915e6, 30, 20, &probe_hz));  /* louder is no fault */
    assert_false(hear(&d, -33, 915e6, 30, 100, &probe_hz)); /* nor a little less */
    assert_false(hear(&d, -42, 915e6, 30, 2, &probe_hz));   /* nor for a moment */
    assert_false(hear(&d, -10, 915e6, 30, 600, &probe_hz)); /* nor when a minute's signal ends */
    assert_false(hear(&d, -31, 915e6, 30, 50, &probe_hz));
    assert_true(hear(&d, -42, 915e6, 30, 5, &probe_hz)); /* half a second of ten decibels less */
    assert_true(fabs(probe_hz - 915e6) > 50e6);
    assert_true(uw_diagnose_doubts(&d, 915e6));
    assert_int_equal(probe(&d, -42.5), UW_DIAGNOSIS_DEAF);
    assert_false(hear(&d, -42, 915e6, 30, 100, &probe_hz)); /* asks seldom */
    hear(&d, -30, 915e6, 30, 5, &probe_hz);
    assert_int_equal(uw_diagnose_now(&d, &freq), UW_DIAGNOSIS_WELL);

    assert_false(hear(&d, -30, 1280e6, 30, 100, &probe_hz)); /* another place */
    assert_true(hear(&d, -45, 1280e6, 30, 5, &probe_hz));
    assert_true(probe_hz < 1e9);
    assert_int_equal(probe(&d, -31), UW_DIAGNOSIS_UNLOCKED);
    assert_int_equal(uw_diagnose_now(&d, &freq), UW_DIAGNOSIS_UNLOCKED);
    assert_true(freq == 1280e6);
    hear(&d, -30, 1280e6, 30, 5, &probe_hz);
    assert_int_equal(uw_diagnose_now(&d, &freq), UW_DIAGNOSIS_WELL);
}

static void test_deaf_everywhere(void **state) {
    struct uw_diagnose d;
    double probe_hz = 0, freq = 0;

    (void)state;
    uw_diagnose_init(&d, UW_IQ_CU8);
    hear(&d, -30, 915e6, 30, 50, &probe_hz);
    hear(&d, -30, 868e6, 30, 50, &probe_hz);
    assert_true(hear(&d, -42, 915e6, 30, 5, &probe_hz));
    assert_int_equal(probe(&d, -42), UW_DIAGNOSIS_DEAF);
    /* a walk: well at the one, deaf at the other, and back soon */
    hear(&d, -30, 868e6, 30, 10, &probe_hz);
    assert_int_equal(uw_diagnose_now(&d, &freq), UW_DIAGNOSIS_DEAF);
    /* well for seconds: it has come back unseen */
    hear(&d, -30, 868e6, 30, 60, &probe_hz);
    assert_int_equal(uw_diagnose_now(&d, &freq), UW_DIAGNOSIS_WELL);
    assert_true(hear(&d, -42, 915e6, 30, 5, &probe_hz)); /* or it has not */
}

static void test_diagnosis_and_gain(void **state) {
    struct uw_diagnose d;
    double probe_hz = 0;

    (void)state;
    uw_diagnose_init(&d, UW_IQ_CU8);
    d.gain_max_db = 49.6;
    hear(&d, -30, 915e6, 40, 100, &probe_hz);
    assert_false(hear(&d, -40, 915e6, 30, 100, &probe_hz)); /* ten decibels less gain */
    assert_false(hear(&d, -36, 915e6, 40, 100, &probe_hz)); /* noise need not follow the gain */
    /* at the highest gain the noise must be above the converter's, also if it never was */
    uw_diagnose_init(&d, UW_IQ_CU8);
    d.gain_max_db = 49.6;
    assert_false(hear(&d, -45, 1600e6, 29.7, 100, &probe_hz));
    assert_true(hear(&d, -45, 1600e6, 48, 10, &probe_hz));
    uw_diagnose_init(&d, UW_IQ_CF32);
    assert_false(hear(&d, -58, 1600e6, 48, 10, &probe_hz));
    assert_true(hear(&d, -110, 1600e6, 48, 10, &probe_hz)); /* nothing at all */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floor),
        cmocka_unit_test(test_bursts),
        cmocka_unit_test(test_clipping),
        cmocka_unit_test(test_gain_settles),
        cmocka_unit_test(test_gain_waits_for_bursts),
        cmocka_unit_test(test_gain_ignores_long_bursts),
        cmocka_unit_test(test_gain_comes_out_of_clipping),
        cmocka_unit_test(test_diagnosis),
        cmocka_unit_test(test_deaf_everywhere),
        cmocka_unit_test(test_diagnosis_and_gain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
