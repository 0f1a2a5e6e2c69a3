/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The stream: the same whatever the size of reads; losses, gain steps, fading. */

#include "synth-testing.h"

static struct uw_scenario *busy(void) {
    struct uw_scenario *s = make_scenario(2.4e6, 868e6, 0.25);
    s->receivers[0].noise_dbfs = -30;
    s->receivers[0].format = UW_IQ_CU8;
    s->receivers[0].ppm = 31;
    struct uw_synth_emitter *e = add_elrs(s, "250Hz", "EU868");
    e->level_is_dbfs = false;
    e->level_db = 8;
    e->fading.kind = UW_SYNTH_FADING_RAYLEIGH;
    e->fading.shadow_db = 3;
    e = add_emitter(s, UW_SYNTH_WMBUS);
    e->level_db = -20;
    e->interval_s = 1;
    e = add_emitter(s, UW_SYNTH_IMPULSES);
    e->interval_s = 0.01;
    e = add_emitter(s, UW_SYNTH_LTE);
    use_channel(e, 867e6);
    e->level_db = -30;
    return s;
}

static void test_read_sizes(void **state) {
    (void)state;
    static const size_t steps[] = {1, 97, 4096, 65537};
    struct uw_scenario *s = busy();
    size_t n, m;
    unsigned char *a = read_all(s, 0, 10000, &n);
    assert_int_equal(n, 600000);
    for (size_t i = 0; i < UW_ARRAY_SIZE(steps); i++) {
        s->duration_s = steps[i] == 1 ? 0.02 : 0.25;
        unsigned char *b = read_all(s, 0, steps[i], &m);
        assert_memory_equal(a, b, 2 * m);
        free(b);
    }
    s->seed = 2;
    unsigned char *c = read_all(s, 0, 10000, &m);
    assert_memory_not_equal(a, c, 2 * n);
    free(a);
    free(c);
    uw_scenario_free(s);
}

/* Lost samples vanish from the file, and the truth counts in the file's samples. */
static void test_losses(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(1e6, 915.5e6, 4);
    add_elrs(s, "200Hz", "FCC915")->phase = 0;
    size_t n, m;
    float complex *x = read_all(s, 0, 5000, &n);
    struct truth a = read_truth(s, 0);
    s->receivers[0].losses[0] = (struct uw_synth_loss){.at_s = 0.1, .samples = 12345};
    s->receivers[0].losses[1] = (struct uw_synth_loss){.at_s = 1.0, .samples = 1};
    s->receivers[0].n_losses = 2;
    float complex *y = read_all(s, 0, 5000, &m);
    struct truth b = read_truth(s, 0);
    assert_int_equal(m, n - 12346);
    assert_memory_equal(x, y, 100000 * sizeof(*x));
    assert_memory_equal(x + 112345, y + 100000, 800000 * sizeof(*x));
    assert_memory_equal(x + 1000001, y + 987655, 100000 * sizeof(*x));
    assert_int_equal(a.n, b.n);
    assert_true(fabs(a.bursts[5].start - b.bursts[5].start) < 1e-9);
    assert_true(fabs(a.bursts[100].start - 12345 - b.bursts[100].start) < 1e-9);
    assert_true(fabs(a.bursts[300].start - 12346 - b.bursts[300].start) < 1e-9);
    free(a.bursts);
    free(b.bursts);
    free(x);
    free(y);
    uw_scenario_free(s);
}

static void test_gain_steps(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(1e6, 915.5e6, 0.3);
    struct uw_synth_receiver *r = &s->receivers[0];
    r->noise_dbfs = -30;
    r->gains[0] = (struct uw_synth_gain_step){.at_s = 0.1, .gain_db = 6};
    r->gains[1] = (struct uw_synth_gain_step){.at_s = 0.2, .gain_db = -4};
    r->n_gains = 2;
    size_t n;
    float complex *x = read_all(s, 0, 5000, &n);
    assert_true(fabs(to_db(mean_power(x, 0, 100000)) + 30) < 0.1);
    assert_true(fabs(to_db(mean_power(x, 100000, 200000)) + 24) < 0.1);
    assert_true(fabs(to_db(mean_power(x, 200000, 300000)) + 34) < 0.1);
    assert_true(fabs(to_db(mean_power(x, 99000, 100000)) + 30) < 0.8);
    free(x);
    uw_scenario_free(s);
}

/* Mean power of Rayleigh fading is the level, its depth that of an exponential law, and the truth
 * follows what is in the samples. */
static void test_fading(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(1e6, 866.425e6, 30);
    struct uw_synth_emitter *e = add_elrs(s, "50Hz", "EU868");
    e->level_is_dbfs = false;
    e->level_db = 0;
    e->telemetry_ratio = 0;
    e->fading.kind = UW_SYNTH_FADING_RAYLEIGH;
    e->fading.doppler_hz = 8;
    s->receivers[0].noise_dbfs = -30;
    struct truth t = read_truth(s, 0);
    double sum = 0;
    int deep = 0;
    for (size_t i = 0; i < t.n; i++) {
        sum += pow(10, t.bursts[i].snr_db / 10);
        deep += t.bursts[i].snr_db < -3;
    }
    assert_true(fabs(to_db(sum / (double)t.n)) < 1.2);
    assert_true(deep > 0.25 * (double)t.n && deep < 0.55 * (double)t.n); /* 0.39 by the law */
    e->level_is_dbfs = true;
    s->receivers[0].noise_dbfs = NO_NOISE;
    s->duration_s = 3;
    free(t.bursts);
    t = read_truth(s, 0);
    size_t n;
    float complex *x = read_all(s, 0, 65536, &n);
    double psd = pow(10, NO_NOISE / 10) / 1e6 * 500e3;
    int compared = 0;
    for (size_t i = 0; i < t.n; i++) {
        const struct uw_synth_burst *b = &t.bursts[i];
        if (b->channel != 6 || b->start + b->count > (double)n)
            continue;
        double power = mean_power(x, (size_t)ceil(b->start), (size_t)(b->start + b->count));
        assert_true(fabs(to_db(power / psd) - b->snr_db) < 0.3);
        compared++;
    }
    assert_true(compared >= 8);
    free(t.bursts);
    free(x);
    uw_scenario_free(s);
}

static void test_ramp(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(1e6, 866.425e6, 10);
    struct uw_synth_emitter *e = add_elrs(s, "50Hz", "EU868");
    s->receivers[0].noise_dbfs = -30;
    e->level_is_dbfs = false;
    e->level_db = 5;
    e->start_s = 2;
    e->ramp_db_per_s = 2;
    struct truth t = read_truth(s, 0);
    for (size_t i = 0; i < t.n; i++) {
        double at = t.bursts[i].start / 1e6 + 0.0093 - 2;
        assert_true(fabs(t.bursts[i].snr_db - 5 - 2 * at) < 0.05);
    }
    free(t.bursts);
    uw_scenario_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_sizes), cmocka_unit_test(test_losses),
        cmocka_unit_test(test_gain_steps), cmocka_unit_test(test_fading),
        cmocka_unit_test(test_ramp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
