/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The nine background environments: what is in them, how much of it, and that no drone is. */

#include "synth-testing.h"

#include <stdio.h>

#define LONG_S 600

struct counts {
    int n[UW_SYNTH_MAX_EMITTERS];
    int all;
};

static bool count(const struct uw_synth_burst *b, void *userdata) {
    struct counts *c = userdata;
    c->n[b->emitter]++;
    c->all++;
    return true;
}

static struct uw_scenario *make_environment(const char *name, double level_db, double density) {
    struct uw_scenario *s = make_scenario(2.4e6, 915e6, LONG_S);
    struct uw_diag diag = {0};
    s->receivers[0].noise_dbfs = -30;
    s->receivers[0].format = UW_IQ_CU8;
    if (strstr(name, "433"))
        s->receivers[0].freq_hz = 433.92e6;
    else if (strstr(name, "868"))
        s->receivers[0].freq_hz = 866.4e6;
    uw_synth_receiver_set_tuner(&s->receivers[0], UW_SYNTH_R820T);
    if (uw_scenario_add_environment(s, name, level_db, density, &diag) != 0)
        fail_msg("%s", diag.text[0]);
    return s;
}

static struct counts count_all(const struct uw_scenario *s) {
    struct counts c = {0};
    struct uw_diag diag = {0};
    if (uw_synth_truth(s, 0, &diag, count, &c) != 0)
        fail_msg("%s", diag.text[0]);
    return c;
}

/* Bursts of ten minutes against devices, intervals and repeats, within five standard deviations. */
static void check_rates(const struct uw_scenario *s) {
    struct counts c = count_all(s);
    for (int i = 0; i < s->n_emitters; i++) {
        const struct uw_synth_emitter *e = &s->emitters[i];
        double arrivals = e->nodes / e->interval_s * LONG_S, each = e->repeats;
        assert_true(e->link != UW_SYNTH_EXPRESSLRS && e->link != UW_SYNTH_DRONEID);
        if (e->link == UW_SYNTH_CW || e->link == UW_SYNTH_LEAKAGE) {
            assert_int_equal(c.n[i], 1);
            continue;
        }
        if (e->link == UW_SYNTH_LORAWAN)
            each = 1 + e->downlinks;
        double off = e->poisson ? 5 * sqrt(arrivals) : e->nodes;
        if (fabs(c.n[i] - arrivals * each) > (off + 1) * each + 1)
            fail_msg("%s: %d bursts, expected %.0f", e->name, c.n[i], arrivals * each);
    }
}

static void test_rates(void **state) {
    (void)state;
    int n = 0, all[9];
    for (const char *name; (name = uw_synth_environment_name(n)); n++) {
        struct uw_scenario *s = make_environment(name, 0, 1);
        check_rates(s);
        all[n] = count_all(s).all;
        uw_scenario_free(s);
    }
    assert_int_equal(n, 9);
    for (int i = 0; i < 6; i++) /* more of everything towards the city */
        assert_true(all[i + 3] > 2 * all[i]);
}

/* Periods, slots and polls are among the traffic. */
static void test_kinds(void **state) {
    (void)state;
    for (int i = 0; i < 9; i++) {
        struct uw_scenario *s = make_environment(uw_synth_environment_name(i), 0, 1);
        int periodic = 0, slotted = 0, polled = 0, leaking = 0, lora = 0;
        for (int k = 0; k < s->n_emitters; k++) {
            const struct uw_synth_emitter *e = &s->emitters[k];
            bool train = e->link != UW_SYNTH_CW && e->link != UW_SYNTH_LEAKAGE;
            periodic += train && !e->poisson && e->interval_s < 60;
            slotted += train && e->slot_s > 0;
            polled += e->polled;
            leaking += e->link == UW_SYNTH_LEAKAGE;
            lora += e->link == UW_SYNTH_LORA || e->link == UW_SYNTH_LORAWAN ||
                    e->link == UW_SYNTH_MESHTASTIC;
        }
        assert_true(periodic >= 2 && polled >= 1 && lora >= 3);
        assert_true(i < 3 || (slotted >= 1 && leaking >= 1));
        uw_scenario_free(s);
    }
}

/* "5 / 60 / 300", a dash for none. */
static void read_devices(const char *text, int devices[3]) {
    for (int i = 0; i < 3; i++) {
        devices[i] = atoi(text);
        text = strchr(text, '/');
        assert_true(text || i == 2);
        text = text ? text + 2 : "";
    }
}

/* Compares a line of the manual's table with what a program gets; false if it is none. */
static bool check_line(char *line, int band) {
    char *field[6] = {NULL}, *save = NULL;
    int n = 0, devices[3];
    for (char *f = strtok_r(line, "|", &save); f && n < 6; f = strtok_r(NULL, "|", &save))
        field[n++] = f;
    char *end = n >= 5 ? strchr(field[0] + 2, '`') : NULL;
    if (!end || field[0][1] != '`' || strchr(end, ','))
        return false; /* several emitters in one line are left to the reader */
    *end = 0;
    read_devices(field[2] + 1, devices);
    char *every = strstr(field[3], "every "), *spread = strstr(field[4], "\xc2\xb1");
    for (int place = 0; place < 3; place++) {
        struct uw_scenario *s = make_environment(uw_synth_environment_name(3 * place + band), 0, 1);
        const struct uw_synth_emitter *e = NULL;
        for (int i = 0; i < s->n_emitters; i++)
            if (strcmp(s->emitters[i].name + 4, field[0] + 2) == 0)
                e = &s->emitters[i];
        if ((e ? e->nodes : 0) != devices[place])
            fail_msg("%s: the manual says %d devices", field[0] + 2, devices[place]);
        double interval = atof(every ? every + 6 : field[3] + 1);
        if (e && interval > 0)
            assert_true(fabs(e->interval_s - interval) < 1e-9 && e->poisson == !every);
        if (e && (fabs(e->level_db - atof(field[4])) > 1e-9 ||
                  fabs(e->spread_db - (spread ? atof(spread + 2) : 0)) > 1e-9))
            fail_msg("%s: the manual says %s dB", field[0] + 2, field[4]);
        uw_scenario_free(s);
    }
    return true;
}

/* The manual's tables are the generator's. */
static void test_manual(void **state) {
    (void)state;
    static const char *const heads[] = {"433 MHz:", "868 MHz:", "915 MHz:"};
    FILE *f = fopen(UW_SOURCE_DIR "/docs/scenarios.md", "r");
    char line[2048];
    int band = -1, lines = 0;
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        for (int i = 0; i < 3; i++)
            if (strncmp(line, heads[i], strlen(heads[i])) == 0)
                band = i;
        if (line[0] == '#')
            band = -1;
        if (band >= 0 && line[0] == '|')
            lines += check_line(line, band);
    }
    fclose(f);
    assert_true(lines >= 38);
}

static void test_scale(void **state) {
    (void)state;
    struct uw_scenario *a = make_environment("urban-915", 0, 1);
    struct uw_scenario *b = make_environment("urban-915", 7, 3);
    struct uw_scenario *none = make_environment("urban-915", 0, 0);
    assert_int_equal(none->n_emitters, 0);
    assert_int_equal(a->n_emitters, b->n_emitters);
    for (int i = 0; i < a->n_emitters; i++) {
        assert_int_equal(b->emitters[i].nodes, 3 * a->emitters[i].nodes);
        assert_true(fabs(b->emitters[i].level_db - a->emitters[i].level_db - 7) < 1e-9);
    }
    double ratio = (double)count_all(b).all / count_all(a).all;
    assert_true(fabs(ratio - 3) < 0.1);
    /* another seed, another course of events */
    struct truth t = {0}, u = {0};
    a->duration_s = b->duration_s = 1;
    t = read_truth(a, 0);
    a->seed = 2;
    u = read_truth(a, 0);
    size_t equal = 0;
    for (size_t i = 0; i < t.n && i < u.n; i++)
        equal += fabs(t.bursts[i].start - u.bursts[i].start) < 1e-6;
    assert_true(t.n > 50 && equal < 8); /* what is always on starts at 0 in both */
    free(t.bursts);
    free(u.bursts);
    uw_scenario_free(a);
    uw_scenario_free(b);
    uw_scenario_free(none);
}

static void test_refusals(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(2.4e6, 915e6, 1);
    struct uw_diag diag = {0};
    assert_int_equal(uw_scenario_add_environment(s, "urban-2400", 0, 1, &diag), UW_E_INPUT);
    assert_int_equal(uw_scenario_add_environment(s, "urban-915", NAN, 1, &diag), UW_E_INPUT);
    assert_int_equal(uw_scenario_add_environment(s, "urban-915", 0, -1, &diag), UW_E_INPUT);
    assert_int_equal(diag.n, 3);
    int n = 0;
    while (uw_scenario_add_environment(s, "urban-915", 0, 1, &diag) == 0)
        n++;
    assert_true(n >= 1 && s->n_emitters % n == 0 && s->n_emitters <= UW_SYNTH_MAX_EMITTERS);
    uw_scenario_free(s);
}

static double power_of(const unsigned char *x, size_t n) {
    double sum = 0;
    for (size_t k = 0; k < 2 * n; k++)
        sum += pow((x[k] - 127.5) / 127.5, 2);
    return sum / (double)n;
}

/* The samples of every environment do not depend on how they are read, and are louder than noise
 * alone. */
static void test_samples(void **state) {
    (void)state;
    for (int i = 0; i < 9; i++) {
        struct uw_scenario *s = make_environment(uw_synth_environment_name(i), 0, 1);
        s->duration_s = 0.1;
        s->receivers[0].lost_share = 0.01;
        s->receivers[0].lost_length = 1000;
        size_t n, m;
        unsigned char *a = read_all(s, 0, 10000, &n), *b = read_all(s, 0, 331, &m);
        assert_int_equal(n, m);
        assert_memory_equal(a, b, 2 * n);
        s->n_emitters = 0;
        unsigned char *quiet = read_all(s, 0, 10000, &m);
        assert_true(power_of(a, n) > power_of(quiet, m));
        free(quiet);
        free(a);
        free(b);
        uw_scenario_free(s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates),    cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_manual),   cmocka_unit_test(test_scale),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
