/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The noise is normal, white and of the level asked for; formats quantise and clip as documented.
 */

#include "synth-testing.h"

#define N_NOISE 4000000

static float complex *noise(double level_db, size_t *ret_n) {
    struct uw_scenario *s = make_scenario(1e6, 915e6, N_NOISE / 1e6);
    s->receivers[0].noise_dbfs = level_db;
    float complex *x = read_all(s, 0, 65536, ret_n);
    uw_scenario_free(s);
    return x;
}

static void test_moments(void **state) {
    (void)state;
    size_t n;
    float complex *x = noise(-30, &n);
    double sigma = sqrt(0.5e-3), m[5] = {0}, cross = 0, lag[3] = {0};
    assert_int_equal(n, N_NOISE);
    for (size_t i = 0; i < n; i++) {
        double a = (double)crealf(x[i]) / sigma, b = (double)cimagf(x[i]) / sigma;
        for (int k = 1; k <= 4; k++)
            m[k] += pow(a, k) + pow(b, k);
        cross += a * b;
        for (size_t k = 1; k <= 2 && i >= k; k++)
            lag[k] += a * (double)crealf(x[i - k]) / sigma;
    }
    double all = 2.0 * (double)n, limit = 5 / sqrt(all);
    assert_true(fabs(m[1] / all) < limit);
    assert_true(fabs(m[2] / all - 1) < limit * sqrt(2));
    assert_true(fabs(m[3] / all) < limit * sqrt(15));
    assert_true(fabs(m[4] / all - 3) < limit * sqrt(96));
    assert_true(fabs(cross / (double)n) < 5 / sqrt((double)n));
    assert_true(fabs(lag[1] / (double)n) < 5 / sqrt((double)n));
    assert_true(fabs(lag[2] / (double)n) < 5 / sqrt((double)n));
    free(x);
}

/* Counts beyond k sigma against the normal law, out to 5 sigma. */
static void test_tails(void **state) {
    (void)state;
    size_t n;
    float complex *x = noise(0, &n);
    double edges[] = {0.25, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 3.7, 4, 4.5, 5};
    double counts[UW_ARRAY_SIZE(edges)] = {0};
    for (size_t i = 0; i < n; i++) {
        double a = fabs((double)crealf(x[i])), b = fabs((double)cimagf(x[i]));
        for (size_t k = 0; k < UW_ARRAY_SIZE(edges); k++) {
            double edge = edges[k] * sqrt(0.5);
            counts[k] += (a > edge) + (b > edge);
        }
    }
    for (size_t k = 0; k < UW_ARRAY_SIZE(edges); k++) {
        double expected = 2.0 * (double)n * erfc(edges[k] / sqrt(2));
        assert_true(fabs(counts[k] - expected) < 5 * sqrt(expected) + 1);
    }
    free(x);
}

/* A tone of 3 dB too much fills every level up to the stops, and no further. */
static void test_formats(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(1e6, 100e6, 0.05);
    struct uw_synth_receiver *r = &s->receivers[0];
    r->birdies[0] = (struct uw_synth_birdie){.freq_hz = 100e6 + 12345.678, .dbfs = 3};
    r->n_birdies = 1;
    size_t n, m;
    float complex *x = read_all(s, 0, 1000, &n);
    r->format = UW_IQ_CU8;
    unsigned char *u8 = read_all(s, 0, 1000, &m);
    r->format = UW_IQ_CI8;
    signed char *i8 = read_all(s, 0, 1000, &m);
    r->format = UW_IQ_CI16;
    unsigned char *i16 = read_all(s, 0, 1000, &m);
    assert_int_equal(n, m);
    int low = 0, high = 0;
    for (size_t i = 0; i < n; i++) {
        double a = fmax(-1, fmin(1, (double)cimagf(x[i])));
        assert_true(fabs(u8[2 * i + 1] - (a * 127.5 + 127.5)) < 0.501);
        assert_true(fabs(i8[2 * i + 1] - fmin(127, a * 127.5)) < 0.501);
        int16_t v = (int16_t)(i16[4 * i + 2] | i16[4 * i + 3] << 8);
        assert_true(fabs(v - fmax(-32768, fmin(32767, a * 32767.5))) < 0.51);
        low += u8[2 * i + 1] == 0;
        high += u8[2 * i + 1] == 255;
    }
    assert_true(low > 1000 && high > 1000);
    free(x);
    free(u8);
    free(i8);
    free(i16);
    uw_scenario_free(s);
}

/* DC and imbalance are the ones asked for: the image of a tone has the textbook level. */
static void test_faults(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(1e6, 100e6, 0.1);
    struct uw_synth_receiver *r = &s->receivers[0];
    r->birdies[0] = (struct uw_synth_birdie){.freq_hz = 100e6 + 100e3, .dbfs = -6};
    r->n_birdies = 1;
    r->dc_i = 0.02;
    r->dc_q = -0.01;
    r->iq_gain_db = 0.5;
    r->iq_phase_deg = 2;
    size_t n;
    float complex *x = read_all(s, 0, 4096, &n);
    double complex dc = correlate(x, n, 0, 0, 0) / (double)n;
    double tone = cabs(correlate(x, n, 0, 0.1, 0)), image = cabs(correlate(x, n, 0, -0.1, 0));
    assert_true(fabs(creal(dc) - 0.02) < 1e-5 && fabs(cimag(dc) + 0.01) < 1e-5);
    double complex g = pow(10, 0.5 / 20) * cexp(I * 2 * UW_PI / 180);
    double expected = cabs(1 - conj(g)) / cabs(1 + g);
    assert_true(fabs(image / tone - expected) < 0.01 * expected);
    free(x);
    uw_scenario_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_tails),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
