/* SPDX-License-Identifier: GPL-3.0-or-later */

/* DroneID and LTE numerology, FSK and keying: what a textbook receiver finds where the truth says.
 */

#include "synth-testing.h"

#define N_ZC 601

/* Correlation of the useful part of one symbol with a Zadoff-Chu sequence, 1 for a perfect match:
 * carriers by direct evaluation of a Fourier sum at the receiver's own rate. */
static double zc_score(const float complex *x, double start, double rate, double offset_hz,
                       int root) {
    double useful = rate / 15e3;
    size_t from = (size_t)ceil(start), len = (size_t)useful;
    double late = (double)from - start;
    double complex sum = 0;
    double power = 0;
    for (int n = 0; n < N_ZC; n++) {
        int k = n - N_ZC / 2;
        if (k == 0)
            continue;
        double f = (offset_hz + k * 15e3) / rate;
        double complex got = correlate(x + from, len, k * 15e3 / rate * late, f, 0);
        double angle = -UW_PI * fmod((double)root * n * (n + 1), 2.0 * N_ZC) / N_ZC;
        sum += got * cexp(-I * angle);
        power += creal(got) * creal(got) + cimag(got) * cimag(got);
    }
    return cabs(sum) / sqrt(power * 600);
}

static void check_droneid(const char *layout, double rate, int first_zc) {
    struct uw_scenario *s = make_scenario(rate, 2430e6, 0.7);
    struct uw_synth_emitter *e = add_emitter(s, UW_SYNTH_DRONEID);
    snprintf(e->variant, sizeof(e->variant), "%s", layout);
    use_channel(e, 2429.0e6);
    e->start_s = 0.01;
    e->interval_s = 0.02;
    s->duration_s = 0.035;
    size_t n;
    float complex *x = read_all(s, 0, 10000, &n);
    struct truth t = read_truth(s, 0);
    const struct uw_synth_burst *b = &t.bursts[0];
    double chip = rate / 15.36e6;
    assert_true(t.n >= 1 && b->start + b->count < (double)n);
    assert_true(fabs(b->count / rate - (first_zc == 3 ? 643.2e-6 : 572.9e-6)) < 2e-6);
    double zc600 = b->start + (80 + first_zc * 1096) * chip, zc147 = zc600 + 2 * 1096 * chip;
    assert_true(zc_score(x, zc600, rate, -1e6, 600) > 0.999);
    assert_true(zc_score(x, zc147, rate, -1e6, 147) > 0.999);
    assert_true(zc_score(x, zc600, rate, -1e6, 147) < 0.3);
    assert_true(zc_score(x, zc600 + 1096 * chip, rate, -1e6, 600) < 0.3);
    /* unit power while on, silence elsewhere, and the prefix repeats the symbol's end */
    size_t from = (size_t)ceil(b->start), to = (size_t)(b->start + b->count);
    assert_true(fabs(to_db(mean_power(x, from, to))) < 0.3);
    assert_true(mean_power(x, from - 1000, from) < 1e-9 && mean_power(x, to + 1, to + 1000) < 1e-9);
    free(t.bursts);
    free(x);
    uw_scenario_free(s);
}

static void test_droneid(void **state) {
    (void)state;
    check_droneid("o2", 15.36e6, 3);
    check_droneid("o2", 20e6, 3); /* a useful time of 1333.33 samples */
    check_droneid("legacy", 30.72e6, 2);
}

/* Cyclic prefix of the LTE-like downlink, heard through a narrow receiver. */
static void test_lte(void **state) {
    (void)state;
    const double rate = 1.92e6;
    struct uw_scenario *s = make_scenario(rate, 800e6, 0.05);
    struct uw_synth_emitter *e = add_emitter(s, UW_SYNTH_LTE);
    use_channel(e, 801e6);
    size_t n;
    float complex *x = read_all(s, 0, 10000, &n);
    double complex prefix = 0;
    double other = 0;
    for (size_t slot = 0; slot < 90; slot++) {
        size_t start = slot * 960; /* 0.5 ms; the first prefix has 10 samples, the symbol 128 */
        for (size_t i = 0; i < 10; i++) {
            prefix += (double complex)(x[start + i] * conjf(x[start + i + 128]));
            other += pow(cabsf(x[start + i]), 2);
        }
    }
    assert_true(cabs(prefix) / other > 0.95);
    /* 10 MHz wide at 0 dBFS: this receiver sees a sixth of it or so */
    assert_true(fabs(to_db(mean_power(x, 0, n)) + 7.3) < 1);
    free(x);
    uw_scenario_free(s);
}

/* Instantaneous frequency of unshaped FSK is plus or minus the deviation; GFSK glides between. */
static void test_fsk(void **state) {
    (void)state;
    const double rate = 4e6;
    for (int shaped = 0; shaped < 2; shaped++) {
        struct uw_scenario *s = make_scenario(rate, 868e6, 0.2);
        struct uw_synth_emitter *e = add_emitter(s, UW_SYNTH_FSK);
        use_channel(e, 868.2e6);
        e->baud = 100e3;
        e->deviation_hz = 50e3;
        e->bt = shaped ? 0.5 : 0;
        e->interval_s = 0.1;
        size_t n, ends = 0, between = 0;
        float complex *x = read_all(s, 0, 10000, &n);
        struct truth t = read_truth(s, 0);
        size_t from = (size_t)ceil(t.bursts[0].start + 200);
        size_t to = (size_t)(t.bursts[0].start + t.bursts[0].count) - 200;
        for (size_t i = from; i < to; i++) {
            double hz = (double)cargf(x[i + 1] * conjf(x[i])) / (2 * UW_PI) * rate - 200e3;
            assert_true(fabs(hz) < 50.5e3);
            ends += fabs(fabs(hz) - 50e3) < 500;
            between += fabs(hz) < 45e3;
        }
        double share = (double)ends / (double)(to - from),
               mid = (double)between / (double)(to - from);
        assert_true(shaped ? mid > 0.2 : share > 0.97);
        assert_true(fabs(t.bursts[0].count - 5e-3 * rate) < 1e-6);
        free(t.bursts);
        free(x);
        uw_scenario_free(s);
    }
}

/* MSK (FLRC): the phase moves by a quarter turn a bit, so the fourth power of every second symbol's
 * rotation is one. */
static void test_flrc(void **state) {
    (void)state;
    const double rate = 6.5e6;
    struct uw_scenario *s = make_scenario(rate, 2440.4e6, 0.4);
    struct uw_synth_emitter *e = add_elrs(s, "F1000", "ISM2G4");
    e->phase = 0; /* first packet on the sync channel, at sample 0 */
    size_t n;
    float complex *x = read_all(s, 0, 10000, &n);
    double off = 0;
    int bits = 0;
    for (size_t k = 200; k < 2300; k += 10, bits++) {
        double turn = (double)cargf(x[k + 40] * conjf(x[k])) / (UW_PI / 2);
        off += fabs(turn - nearbyint(turn));
    }
    assert_true(off / bits < 0.1);
    free(x);
    uw_scenario_free(s);
}

/* A keyed carrier is either there or not, about half the time each. */
static void test_ook(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(1e6, 433.9e6, 2);
    struct uw_synth_emitter *e = add_emitter(s, UW_SYNTH_OOK);
    use_channel(e, 433.92e6);
    e->poisson = false;
    e->interval_s = 1;
    size_t n, on = 0, off = 0;
    float complex *x = read_all(s, 0, 10000, &n);
    struct truth t = read_truth(s, 0);
    size_t from = (size_t)ceil(t.bursts[0].start), to = (size_t)(t.bursts[0].start + 50e3);
    assert_true(cabsf(x[from]) > 0.99f);
    for (size_t i = from; i < to; i++) {
        float a = cabsf(x[i]);
        on += a > 0.99f && a < 1.01f;
        off += a == 0;
    }
    assert_int_equal(on + off, to - from);
    assert_true(on > 15000 && off > 15000);
    free(t.bursts);
    free(x);
    uw_scenario_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_droneid), cmocka_unit_test(test_lte), cmocka_unit_test(test_fsk),
        cmocka_unit_test(test_flrc),    cmocka_unit_test(test_ook),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
