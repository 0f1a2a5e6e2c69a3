/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The look-alikes of tests/campaigns/lookalikes: each is what its name says, by truth and samples.
 */

#include "synth-testing.h"

#include <dirent.h>
#include <stdio.h>

#define DIR_PATH UW_SOURCE_DIR "/tests/campaigns/lookalikes"
#define MANY     64

static struct uw_scenario *load(const char *name) {
    char path[512];
    struct uw_scenario *s = NULL;
    struct uw_diag diag = {0};
    snprintf(path, sizeof(path), "%s/%s.conf", DIR_PATH, name);
    if (uw_scenario_load(path, &diag, &s) != 0)
        fail_msg("%s", diag.text[0]);
    return s;
}

/* Whole bursts inside the receiver's band only. */
static struct truth heard(const struct uw_scenario *s) {
    struct truth t = read_truth(s, 0);
    size_t n = 0;
    for (size_t i = 0; i < t.n; i++)
        if (t.bursts[i].in_band > 0.5)
            t.bursts[n++] = t.bursts[i];
    t.n = n;
    return t;
}

static int n_channels(const struct truth *t) {
    bool seen[UW_SYNTH_MAX_CHANNELS] = {false};
    int n = 0;
    for (size_t i = 0; i < t->n; i++) {
        n += !seen[t->bursts[i].channel];
        seen[t->bursts[i].channel] = true;
    }
    return n;
}

static double mid_hz(const struct uw_synth_burst *b) {
    return 0.5 * (b->lower_hz + b->upper_hz);
}

/* All files: one emitter, no drone, heard within the first minute, the level a program's to set. */
static void test_all(void **state) {
    (void)state;
    DIR *dir = opendir(DIR_PATH);
    int n = 0;
    assert_non_null(dir);
    for (struct dirent *d; (d = readdir(dir));) {
        char name[256];
        snprintf(name, sizeof(name), "%s", d->d_name);
        char *dot = strstr(name, ".conf");
        if (!dot)
            continue;
        *dot = 0;
        n++;
        struct uw_scenario *s = load(name);
        assert_int_equal(s->n_emitters, 1);
        assert_string_equal(s->emitters[0].name, "lookalike");
        assert_true(s->emitters[0].link != UW_SYNTH_EXPRESSLRS);
        assert_non_null(strstr(s->description, "expected: silent"));
        struct truth a = heard(s);
        assert_true(a.n >= 20);
        s->emitters[0].level_db -= 27.5;
        struct truth b = heard(s);
        assert_int_equal(a.n, b.n);
        for (size_t i = 0; i < a.n; i++)
            assert_true(fabs(a.bursts[i].snr_db - b.bursts[i].snr_db - 27.5) < 1e-6);
        free(a.bursts);
        free(b.bursts);
        uw_scenario_free(s);
    }
    closedir(dir);
    assert_true(n >= 30 && n < MANY);
}

/* Period and packet of ExpressLRS to within a symbol, on one channel of its grid. */
static void test_no_hop(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double period_s, toa_s, first_hz, step_hz;
    } cases[] = {
        {"elrs-no-hop-200", 5e-3, 4.380e-3, 903.5e6, 600e3},
        {"elrs-no-hop-100", 10e-3, 8.770e-3, 903.5e6, 600e3},
        {"elrs-no-hop-50", 20e-3, 18.560e-3, 863.275e6, 525e3},
        {"elrs-no-hop-25", 40e-3, 29.950e-3, 903.5e6, 600e3},
    };
    for (size_t i = 0; i < UW_ARRAY_SIZE(cases); i++) {
        struct uw_scenario *s = load(cases[i].name);
        struct truth t = heard(s);
        double rate = s->receivers[0].rate_hz;
        double k = (mid_hz(&t.bursts[0]) - cases[i].first_hz) / cases[i].step_hz;
        assert_int_equal(n_channels(&t), 1);
        assert_true(fabs(k - nearbyint(k)) < 1e-6);
        assert_true(fabs(t.bursts[0].count / rate / cases[i].toa_s - 1) < 0.02);
        for (size_t j = 0; j + 1 < t.n; j++)
            assert_true(fabs((t.bursts[j + 1].start - t.bursts[j].start) / rate -
                             cases[i].period_s) < 1e-9);
        free(t.bursts);
        uw_scenario_free(s);
    }
}

/* Polls and slots are regular, and keep to few channels. */
static void test_regular(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double slot_s, answer_s;
        int channels;
    } cases[] = {
        {"polled-sf6-500", 50e-3, 10e-3, 1},  {"polled-sf7-500", 100e-3, 20e-3, 1},
        {"polled-sf8-500", 250e-3, 40e-3, 2}, {"polled-sf7-125", 300e-3, 0.12, 1},
        {"slotted-sf6-500", 10e-3, 0, 3},     {"slotted-sf7-500", 20e-3, 0, 3},
        {"slotted-sf8-500", 0.1, 0, 2},       {"slotted-sf9-125", 0.5, 0, 3},
        {"tdma-sf7-500", 20e-3, 0, 1},
    };
    for (size_t i = 0; i < UW_ARRAY_SIZE(cases); i++) {
        struct uw_scenario *s = load(cases[i].name);
        struct truth t = heard(s);
        double rate = s->receivers[0].rate_hz, slot = cases[i].slot_s, first = t.bursts[0].start;
        assert_int_equal(n_channels(&t), cases[i].channels);
        for (size_t j = 0; j + 1 < t.n; j++) {
            bool answer = cases[i].answer_s > 0 && j % 2 == 1;
            double at = (t.bursts[j].start - first) / rate - (answer ? cases[i].answer_s : 0);
            assert_true(fabs(at / slot - nearbyint(at / slot)) < 1e-3);
        }
        free(t.bursts);
        uw_scenario_free(s);
    }
}

/* Rasters that are not those of ExpressLRS, or chirps that are not: hops over many channels. */
static void test_other_rasters(void **state) {
    (void)state;
    static const char *const names[] = {"rc-250k-sf6", "rc-odd-sf7", "rc-odd-868", "rc-sf7-250"};
    for (size_t i = 0; i < UW_ARRAY_SIZE(names); i++) {
        struct uw_scenario *s = load(names[i]);
        struct truth t = heard(s);
        static const struct {
            double first_hz, step_hz;
            int n;
        } grids[] = {{903.5e6, 600e3, 40}, {863.275e6, 525e3, 13}, {865.275e6, 4.3e6 / 12, 13}};
        assert_true(n_channels(&t) >= 4);
        for (size_t g = 0; g < UW_ARRAY_SIZE(grids); g++) {
            int on = 0, all = 0;
            for (size_t j = 0; j < t.n; j++) {
                double k = (mid_hz(&t.bursts[j]) - grids[g].first_hz) / grids[g].step_hz;
                on += fabs(k - nearbyint(k)) * grids[g].step_hz < 20e3 && k > -1 && k < grids[g].n;
                all++;
            }
            assert_true(on < 0.5 * all);
        }
        free(t.bursts);
        uw_scenario_free(s);
    }
}

/* Which way the chirps of the first burst run, by the energy that a reference of each kind finds.
 */
static int direction(struct uw_scenario *s, int sf, double bw_hz) {
    size_t n;
    struct truth t = heard(s);
    struct uw_synth_receiver *r = &s->receivers[0];
    double rate = r->rate_hz, sps = ldexp(1, sf) / bw_hz * rate, both[2], c = bw_hz / rate / sps;
    const struct uw_synth_burst *b = &t.bursts[0];
    uw_synth_receiver_init(r);
    r->rate_hz = rate;
    r->freq_hz = mid_hz(b);
    r->format = UW_IQ_CF32;
    r->noise_dbfs = -100;
    s->duration_s = (b->start + b->count) / rate + 0.01;
    float complex *x = read_all(s, 0, 65536, &n);
    size_t from = (size_t)ceil(b->start + sps);
    double late = (double)from - b->start - sps;
    for (int k = 0; k < 2; k++) {
        double sign = k ? -1 : 1, best = 0;
        for (int bin = -8; bin <= 8; bin++) /* crystals differ */
            best = fmax(best, cabs(correlate(x + from, (size_t)sps - 1, 0,
                                             sign * (c * late - bw_hz / rate / 2) +
                                                 bin * bw_hz / ldexp(1, sf) / rate,
                                             sign * c)));
        both[k] = best;
    }
    free(x);
    free(t.bursts);
    assert_true(both[0] > 5 * both[1] || both[1] > 5 * both[0]);
    return both[0] > both[1] ? 1 : -1;
}

static void test_direction(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int sf;
        double bw_hz;
        int way;
    } cases[] = {
        {"lorawan-multicast", 8, 500e3, -1},     {"rc-inverted", 6, 500e3, -1},
        {"lorawan-us915-dr4", 8, 500e3, 1},      {"lorawan-au915-dr6", 8, 500e3, 1},
        {"meshtastic-short-turbo", 7, 500e3, 1}, {"meshtastic-medium-turbo", 9, 500e3, 1},
        {"meshtastic-long-turbo", 11, 500e3, 1}, {"sf7-250-915", 7, 250e3, 1},
        {"elrs-no-hop-200", 6, 500e3, 1},
    };
    for (size_t i = 0; i < UW_ARRAY_SIZE(cases); i++) {
        struct uw_scenario *s = load(cases[i].name);
        assert_int_equal(direction(s, cases[i].sf, cases[i].bw_hz), cases[i].way);
        uw_scenario_free(s);
    }
    /* down-links of every factor lie on 923.3 + 0.6 k MHz */
    struct uw_scenario *s = load("lorawan-us915-down");
    struct truth t = heard(s);
    for (size_t i = 0; i < t.n; i++) {
        double k = (mid_hz(&t.bursts[i]) - 923.3e6) / 600e3;
        assert_true(fabs(k - nearbyint(k)) < 1e-6);
        assert_non_null(strstr(t.bursts[i].variant, "/500"));
    }
    int sf = atoi(t.bursts[0].variant + 2);
    free(t.bursts);
    assert_int_equal(direction(s, sf, 500e3), -1);
    uw_scenario_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),       cmocka_unit_test(test_no_hop),
        cmocka_unit_test(test_regular),   cmocka_unit_test(test_other_rasters),
        cmocka_unit_test(test_direction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
