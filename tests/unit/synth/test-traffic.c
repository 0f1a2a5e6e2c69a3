/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Traffic of the links that are no control links: periods, slots, repeats, polling, lengths. */

#include "synth-testing.h"

static struct uw_synth_emitter *add_traffic(struct uw_scenario *s, double interval_s, int nodes) {
    struct uw_synth_emitter *e = add_emitter(s, UW_SYNTH_LORA);
    use_channel(e, 868.1e6);
    e->sf = 7;
    e->bandwidth_hz = 500e3;
    e->level_is_dbfs = false;
    e->level_db = 10;
    e->interval_s = interval_s;
    e->nodes = nodes;
    e->spread_db = 6;
    s->receivers[0].noise_dbfs = -30;
    return e;
}

static double start_s(const struct truth *t, size_t i) {
    return t->bursts[i].start / 1e6;
}

/* Nodes with a period keep it, each its own level, in places that are no even comb. */
static void test_periodic_nodes(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(1e6, 868e6, 30);
    add_traffic(s, 2, 7);
    struct truth t = read_truth(s, 0);
    assert_true(t.n == 105);
    double gap_min = 9, gap_max = 0;
    for (size_t i = 0; i + 7 < t.n; i++) {
        assert_true(fabs(start_s(&t, i + 7) - start_s(&t, i) - 2) < 1e-9);
        assert_true(fabs(t.bursts[i + 7].snr_db - t.bursts[i].snr_db) < 1e-9);
        gap_min = fmin(gap_min, start_s(&t, i + 1) - start_s(&t, i));
        gap_max = fmax(gap_max, start_s(&t, i + 1) - start_s(&t, i));
        assert_true(fabs(t.bursts[i + 1].snr_db - t.bursts[i].snr_db) > 1e-6);
    }
    assert_true(gap_min > 0 && gap_max > 1.5 * gap_min);
    free(t.bursts);
    uw_scenario_free(s);
}

/* Random arrivals: their number, and gaps whose standard deviation is their mean. */
static void test_poisson(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(1e6, 868e6, 2000);
    add_traffic(s, 10, 20)->poisson = true;
    struct truth t = read_truth(s, 0);
    double mean = 0, square = 0, n = (double)t.n - 1;
    assert_true(fabs((double)t.n - 4000) < 5 * sqrt(4000));
    for (size_t i = 0; i + 1 < t.n; i++) {
        double gap = start_s(&t, i + 1) - start_s(&t, i);
        mean += gap / n;
        square += gap * gap / n;
    }
    assert_true(fabs(sqrt(square - mean * mean) / mean - 1) < 0.08);
    free(t.bursts);
    uw_scenario_free(s);
}

static void test_slots(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(1e6, 868e6, 60);
    struct uw_synth_emitter *e = add_traffic(s, 5, 10);
    e->poisson = true;
    e->slot_s = 0.25;
    e->ppm = 100;
    struct truth t = read_truth(s, 0);
    assert_true(t.n > 70);
    for (size_t i = 0; i < t.n; i++) {
        double slot = start_s(&t, i) * (1 + 100e-6) / 0.25;
        assert_true(fabs(slot - nearbyint(slot)) < 1e-6);
        assert_true(i == 0 || t.bursts[i].start >= t.bursts[i - 1].start);
    }
    free(t.bursts);
    uw_scenario_free(s);
}

/* Repeats follow each other as asked, carry the same symbols and mix with other arrivals in order;
 * a poll has the master's level first and another node's after it. */
static void test_repeats(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(1e6, 868e6, 10);
    struct uw_synth_emitter *e = add_traffic(s, 1, 1);
    e->repeats = 4;
    e->repeat_s = 0.05;
    e->symbols = 12;
    struct truth t = read_truth(s, 0);
    assert_true(t.n >= 36);
    for (size_t i = 0; i + 4 < t.n; i++)
        assert_true(fabs(start_s(&t, i + 1) - start_s(&t, i) - (i % 4 < 3 ? 0.05 : 0.85)) < 1e-9);
    free(t.bursts);
    e->nodes = 5;
    e->repeats = 2;
    e->polled = true;
    t = read_truth(s, 0);
    for (size_t i = 0; i + 12 < t.n; i += 2) {
        assert_true(fabs(start_s(&t, i + 1) - start_s(&t, i) - 0.05) < 1e-9);
        assert_true(fabs(t.bursts[i].snr_db - t.bursts[0].snr_db) < 1e-9);
        assert_true(fabs(t.bursts[i + 1].snr_db - t.bursts[0].snr_db) > 1e-6);
        assert_true(fabs(t.bursts[i + 1].snr_db - t.bursts[i + 11].snr_db) < 1e-9);
    }
    free(t.bursts);
    e->polled = false;
    e->poisson = true;
    e->repeats = 3;
    e->interval_s = 0.3;
    t = read_truth(s, 0);
    assert_true(t.n > 300);
    for (size_t i = 0; i + 1 < t.n; i++)
        assert_true(t.bursts[i + 1].start >= t.bursts[i].start);
    free(t.bursts);
    uw_scenario_free(s);
}

static void test_lengths(void **state) {
    (void)state;
    for (int lora = 0; lora < 2; lora++) {
        struct uw_scenario *s = make_scenario(1e6, 868e6, 100);
        struct uw_synth_emitter *e = add_traffic(s, 1, 10);
        double middle = (8 + 4.25 + 30) * 128 / 500e3, fixed = 12.25 * 128 / 500e3;
        if (!lora) {
            e->link = UW_SYNTH_FSK;
            e->baud = 50e3;
            e->deviation_hz = 25e3;
            e->burst_s = middle = 20e-3;
            fixed = 0;
        }
        e->length_spread = 0.5;
        struct truth t = read_truth(s, 0);
        double sum = 0, low = 1, high = 0;
        for (size_t i = 0; i < t.n; i++) {
            double len = t.bursts[i].count / 1e6;
            sum += len / (double)t.n;
            low = fmin(low, len);
            high = fmax(high, len);
        }
        double half = 0.5 * (middle - fixed);
        assert_true(fabs(sum - middle) < 0.1 * half);
        assert_true(low >= middle - half - 1e-6 && low < middle - 0.9 * half);
        assert_true(high <= middle + half + 1e-6 && high > middle + 0.9 * half);
        free(t.bursts);
        uw_scenario_free(s);
    }
}

/* A reader's carrier stays on, dips by the depth asked for, and only while it commands. */
static void test_frames(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(2e6, 915e6, 1);
    struct uw_synth_emitter *e = add_emitter(s, UW_SYNTH_OOK);
    use_channel(e, 915.25e6);
    e->poisson = false;
    e->interval_s = 0.8;
    e->burst_s = 0.4;
    e->baud = 80e3;
    e->depth = 0.9;
    e->frame_bits = 400;
    e->keyed_bits = 100;
    size_t n, dips[4] = {0};
    float complex *x = read_all(s, 0, 10000, &n);
    struct truth t = read_truth(s, 0);
    size_t from = (size_t)ceil(t.bursts[0].start), to = from + 800000 - 10;
    assert_true(to < n || t.bursts[0].start + 800000 > (double)n);
    for (size_t i = from; i < to && i < n; i++) {
        float a = cabsf(x[i]);
        assert_true(fabsf(a - 1) < 1e-3f || fabsf(a - 0.1f) < 1e-3f);
        dips[(size_t)(((double)i - t.bursts[0].start) / 2500) % 4] += a < 0.5f;
    }
    assert_true(dips[0] > 20000 && dips[1] == 0 && dips[2] == 0 && dips[3] == 0);
    free(t.bursts);
    free(x);
    uw_scenario_free(s);
}

/* Leakage: density over the noise at its middle as asked for, half of it half a width away, in its
 * share of the slots and not within one. */
static void test_leakage(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(2.4e6, 868e6, 1);
    struct uw_synth_emitter *e = add_emitter(s, UW_SYNTH_LEAKAGE);
    use_channel(e, 868.5e6);
    e->bandwidth_hz = 0.8e6;
    e->level_is_dbfs = false;
    e->level_db = 10;
    s->receivers[0].noise_dbfs = -30;
    for (int pass = 0; pass < 2; pass++) {
        e->duty = pass ? 0.3 : 1;
        s->receivers[0].noise_dbfs = -30;
        double psd = 1e-3 / 2.4e6;
        size_t n, on = 0, slots = 0;
        float complex *x = read_all(s, 0, 10000, &n);
        if (pass == 0) {
            static const double hz[] = {0.5e6, 0.1e6, 0.9e6};
            for (size_t i = 0; i < 3; i++) {
                double sum = 0, blocks = 0;
                for (size_t k = 0; k + 2000 < n; k += 2000, blocks++)
                    sum += pow(cabs(correlate(x + k, 2000, 0, hz[i] / 2.4e6, 0)), 2);
                double over = sum / blocks / 2000 / 2.4e6 / psd;
                assert_true(fabs(to_db(over) - to_db(i == 0 ? 11 : 6)) < 0.9);
            }
        }
        for (size_t k = 0; k + 1 < n / 2400; k++, slots++) {
            double p = mean_power(x, k * 2400 + 1, k * 2400 + 1199) / 1e-3;
            double q = mean_power(x, k * 2400 + 1201, k * 2400 + 2399) / 1e-3;
            assert_true((p > 2) == (q > 2));
            on += p > 2;
        }
        double share = (double)on / (double)slots;
        assert_true(fabs(share - e->duty) < 0.06);
        free(x);
    }
    uw_scenario_free(s);
}

/* The American down-links of an SF8/500 up-link are SF7/500 with their chirps turned round, on the
 * grid of ExpressLRS. */
static void test_lorawan_answers(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(2.4e6, 925.1e6, 400);
    struct uw_synth_emitter *e = add_emitter(s, UW_SYNTH_LORAWAN);
    snprintf(e->domain, sizeof(e->domain), "US915");
    e->wide_share = 1;
    e->downlinks = 1;
    struct truth t = read_truth(s, 0);
    int up = 0, down = 0;
    for (size_t i = 0; i < t.n; i++) {
        const struct uw_synth_burst *b = &t.bursts[i];
        double mid = 0.5 * (b->lower_hz + b->upper_hz);
        bool high = mid > 923e6;
        assert_string_equal(b->variant, high ? "SF7/500" : "SF8/500");
        double grid = high ? (mid - 903.5e6) / 600e3 : (mid - 903e6) / 1.6e6;
        assert_true(fabs(grid - nearbyint(grid)) < 0.03);
        up += !high;
        down += high;
    }
    assert_true(up > 80 && down > 80 && abs(up - down) < 3);
    free(t.bursts);
    uw_scenario_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_periodic_nodes), cmocka_unit_test(test_poisson),
        cmocka_unit_test(test_slots),          cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_lengths),        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_leakage),        cmocka_unit_test(test_lorawan_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
