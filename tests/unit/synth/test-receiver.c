/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a real receiver does: image, IF filter, birdies, intermodulation, lost samples, clock error.
 */

#include "synth-testing.h"

#define N_FIT 65536

static double tone(const float complex *x, size_t n, double f) {
    return to_db(pow(cabs(correlate(x, n, 0, f, 0)) / (double)n, 2));
}

static struct uw_synth_emitter *add_cw(struct uw_scenario *s, double freq_hz, double dbfs) {
    struct uw_synth_emitter *e = add_emitter(s, UW_SYNTH_CW);
    use_channel(e, freq_hz);
    e->level_db = dbfs;
    return e;
}

/* An emitter 7.14 MHz up shows itself weakly, mirrored; one in the band has no mirror about DC. */
static void test_image(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(2.4e6, 915e6, N_FIT / 2.4e6);
    struct uw_synth_receiver *r = &s->receivers[0];
    uw_synth_receiver_set_tuner(r, UW_SYNTH_R820T);
    r->ip3_dbfs = 200;
    r->if_flat_hz = 0;
    add_cw(s, 915e6 + 7.14e6 + 0.3e6, -10);
    add_cw(s, 915e6 + 0.5e6, -30);
    size_t n;
    float complex *x = read_all(s, 0, 5000, &n);
    assert_true(fabs(tone(x, n, -0.3 / 2.4) + 55) < 0.05);
    assert_true(tone(x, n, 0.3 / 2.4) < -100);
    assert_true(fabs(tone(x, n, 0.5 / 2.4) + 30) < 0.05);
    assert_true(tone(x, n, -0.5 / 2.4) < -100);
    free(x);
    /* the image lies below noise that the emitter itself would clear */
    r->noise_dbfs = 0;
    x = read_all(s, 0, 5000, &n);
    assert_true(tone(x, n, -0.3 / 2.4) < -35);
    free(x);
    uw_scenario_free(s);
}

/* The image of an up-chirp runs downwards, with the same slope. */
static void test_image_chirp(void **state) {
    (void)state;
    const double rate = 2e6, bw = 500e3, sps = 256 / bw * rate;
    struct uw_scenario *s = make_scenario(rate, 868e6, 0.1);
    s->receivers[0].image_db = -20;
    struct uw_synth_emitter *e = add_emitter(s, UW_SYNTH_LORA);
    use_channel(e, 868e6 + 7.14e6);
    e->sf = 8;
    e->bandwidth_hz = bw;
    e->interval_s = 0.05;
    size_t n;
    float complex *x = read_all(s, 0, 4096, &n);
    struct truth t = read_truth(s, 0);
    size_t from = (size_t)ceil(t.bursts[0].start);
    double c = bw / rate / sps, len = floor(sps) - 1, late = (double)from - t.bursts[0].start;
    double down = cabs(correlate(x + from, (size_t)len, 0, bw / rate / 2 - c * late, -c)) / len;
    double up = cabs(correlate(x + from, (size_t)len, 0, -bw / rate / 2 + c * late, c)) / len;
    assert_true(fabs(down - 0.1) < 1e-3 && up < 0.02);
    assert_true(t.bursts[0].in_band == 0);
    free(t.bursts);
    free(x);
    uw_scenario_free(s);
}

/* Density of noise, and tones, follow the filter's curve; without one the noise is white. */
static void test_roll_off(void **state) {
    (void)state;
    static const double hz[] = {-1.15e6, -1.1e6, -0.9e6, 0, 0.5e6, 0.9e6, 1.1e6, 1.15e6};
    for (int filtered = 0; filtered < 2; filtered++) {
        struct uw_scenario *s = make_scenario(2.4e6, 915e6, 0.5);
        s->receivers[0].noise_dbfs = 0;
        s->receivers[0].passband = 0.999;
        s->receivers[0].if_flat_hz = filtered ? 1e6 : 0;
        s->receivers[0].if_edge_db = -10;
        size_t n;
        float complex *x = read_all(s, 0, 65536, &n);
        double db[UW_ARRAY_SIZE(hz)];
        for (size_t i = 0; i < UW_ARRAY_SIZE(hz); i++) {
            double sum = 0;
            for (size_t k = 0; k < 600; k++) {
                double f = (hz[i] + 20e3 * ((double)k / 600 - 0.5)) / 2.4e6;
                sum += pow(cabs(correlate(x + 1000 * k, 1000, 0, f, 0)), 2);
            }
            db[i] = to_db(sum / 600 / 1000);
        }
        for (size_t i = 0; i < UW_ARRAY_SIZE(hz); i++) {
            double a = fabs(hz[i]), g = 1, e = pow(10, -0.5);
            if (filtered && a > 1e6)
                g = e + (1 - e) * (0.5 + 0.5 * cos(UW_PI * (a - 1e6) / 0.2e6));
            assert_true(fabs(db[i] - 2 * to_db(g)) < (a > 1e6 ? 1.2 : 0.7));
        }
        free(x);
        s->receivers[0].noise_dbfs = NO_NOISE;
        s->duration_s = N_FIT / 2.4e6;
        add_cw(s, 916.15e6, 0);
        x = read_all(s, 0, 65536, &n);
        assert_true(fabs(tone(x, n, 1.15 / 2.4) - (filtered ? db[7] : 0)) < 0.9);
        /* the filter's delay is made up for: phase is the one without a filter */
        double late = carg(correlate(x, n, 0, 1.15 / 2.4, 0));
        s->receivers[0].if_flat_hz = 0;
        free(x);
        x = read_all(s, 0, 65536, &n);
        assert_true(fabs(carg(correlate(x, n, 0, 1.15 / 2.4, 0)) - late) < 1e-3);
        free(x);
        uw_scenario_free(s);
    }
}

/* Harmonics of 28.8 MHz, at the nominal place whatever the crystal does. */
static void test_clock(void **state) {
    (void)state;
    static const double centre[] = {432.3e6, 864.4e6, 921.0e6, 915e6};
    static const double harmonic[] = {432e6, 864e6, 921.6e6, 921.6e6};
    for (size_t i = 0; i < UW_ARRAY_SIZE(centre); i++) {
        struct uw_scenario *s = make_scenario(2.4e6, centre[i], N_FIT / 2.4e6);
        s->receivers[0].clock_dbfs = -40;
        s->receivers[0].ppm = 55;
        size_t n;
        float complex *x = read_all(s, 0, 5000, &n);
        if (i < 3)
            assert_true(fabs(tone(x, n, (harmonic[i] - centre[i]) / 2.4e6) + 40) < 0.01);
        else
            assert_true(mean_power(x, 0, n) == 0);
        free(x);
        uw_scenario_free(s);
    }
}

/* Two tones at -20 dBFS under an intercept of 0 dBFS: products at -60; a tone is compressed by the
 * textbook's amount, and far beyond the law its level stands still. */
static void test_intermodulation(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(2e6, 915e6, N_FIT / 2e6);
    s->receivers[0].ip3_dbfs = 0;
    add_cw(s, 915e6 + 2e6 / 16, -20);
    add_cw(s, 915e6 + 2e6 / 8, -20);
    size_t n;
    float complex *x = read_all(s, 0, 5000, &n);
    assert_true(fabs(tone(x, n, 0.0) + 60) < 0.1);
    assert_true(fabs(tone(x, n, 3.0 / 16) + 60) < 0.1);
    /* 1 - A^2 - 2 A^2 with A = 0.1 */
    assert_true(fabs(tone(x, n, 1.0 / 16) + 20 - 20 * log10(0.97)) < 0.01);
    assert_true(tone(x, n, -1.0 / 16) < -90);
    free(x);
    s->n_emitters = 1;
    double last = 0;
    for (int dbfs = -20; dbfs <= 20; dbfs += 4) {
        s->emitters[0].level_db = dbfs;
        x = read_all(s, 0, 5000, &n);
        double p = mean_power(x, 0, n);
        assert_true(p >= last * 0.9999);
        last = p;
        free(x);
    }
    assert_true(fabs(sqrt(last) - 2.0 / 3 / sqrt(3)) < 1e-3);
    uw_scenario_free(s);
}

/* The share asked for is lost in pieces of the length asked for, at irregular places, the truth
 * counts in what is left, and nothing depends on how it is read. */
static void test_random_losses(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(1e6, 866.425e6, 4);
    struct uw_synth_receiver *r = &s->receivers[0];
    add_elrs(s, "50Hz", "EU868");
    size_t n, m, same;
    float complex *x = read_all(s, 0, 5000, &n);
    struct truth before = read_truth(s, 0);
    r->losses[0] = (struct uw_synth_loss){.at_s = 1.5, .samples = 20000};
    r->n_losses = 1;
    r->lost_share = 0.01;
    r->lost_length = 1000;
    float complex *y = read_all(s, 0, 5000, &m), *z = read_all(s, 0, 77, &same);
    struct truth after = read_truth(s, 0);
    assert_int_equal(same, m);
    assert_memory_equal(y, z, m * sizeof(*y));
    assert_true(fabs((double)(n - 20000 - m) - 0.01 * (double)(n - 20000)) < 1001);
    assert_int_equal(before.n, after.n);
    int jumps = 0, checked = 0;
    double last = 0, last_jump = 0, gap_min = 1e9, gap_max = 0;
    for (size_t i = 0; i < before.n; i++) {
        double lost = before.bursts[i].start - after.bursts[i].start;
        assert_true(lost >= last - 1e-6);
        jumps += lost > last + 1;
        if (lost > last + 1) {
            gap_min = fmin(gap_min, before.bursts[i].start - last_jump);
            gap_max = fmax(gap_max, before.bursts[i].start - last_jump);
            last_jump = before.bursts[i].start;
        }
        last = lost;
        /* a burst that nothing was taken from is there, sample by sample */
        if (fabs(lost - nearbyint(lost)) > 1e-6 ||
            fabs(before.bursts[i].count - after.bursts[i].count) > 1e-6)
            continue;
        size_t from = (size_t)ceil(before.bursts[i].start), shift = (size_t)nearbyint(lost);
        size_t len = (size_t)before.bursts[i].count - 1;
        if (from + len < n) {
            assert_memory_equal(x + from, y + from - shift, len * sizeof(*x));
            checked++;
        }
    }
    assert_true(checked > 100 && jumps > 25 && gap_max > 2 * gap_min);
    free(before.bursts);
    free(after.bursts);
    free(x);
    free(y);
    free(z);
    uw_scenario_free(s);
}

/* Where the losses lie, seen by the jumps in a tone's phase: at random in their stretches. */
static void test_loss_places(void **state) {
    (void)state;
    struct uw_scenario *s = make_scenario(1e6, 915e6, 20);
    struct uw_synth_receiver *r = &s->receivers[0];
    r->birdies[0] = (struct uw_synth_birdie){.freq_hz = 915e6 + 123450, .dbfs = 0};
    r->n_birdies = 1;
    r->lost_share = 0.01;
    r->lost_length = 1001;
    size_t n, jumps = 0, last = 0;
    float complex *x = read_all(s, 0, 65536, &n);
    double mean = 0, square = 0;
    for (size_t k = 1; k < n; k++) {
        double turn = (double)cargf(x[k] * conjf(x[k - 1])) / (2 * UW_PI);
        if (fabs(turn - 0.12345) < 0.01)
            continue;
        /* 1001 samples more: 123.57345 turns */
        assert_true(fabs(turn - 0.12345 - 0.57345 + 1) < 1e-3);
        if (jumps++ > 0) {
            double gap = (double)(k - last) / 99099; /* between two stretches, less what is lost */
            mean += gap;
            square += gap * gap;
        }
        last = k;
    }
    double gaps = (double)jumps - 1;
    assert_true(jumps >= 198 && jumps <= 201 && fabs(mean / gaps - 1) < 0.02);
    /* the difference of two even places varies by 1/sqrt(6) of a stretch */
    assert_true(fabs(sqrt(square / gaps - mean * mean / gaps / gaps) - 0.408) < 0.06);
    free(x);
    uw_scenario_free(s);
}

/* Carrier, symbols and bursts of everything run on the sender's crystal and are sampled by the
 * receiver's. */
static void test_clock_error(void **state) {
    (void)state;
    static const enum uw_synth_link links[] = {
        UW_SYNTH_FSK,     UW_SYNTH_OOK,        UW_SYNTH_WMBUS,   UW_SYNTH_LORA,
        UW_SYNTH_DRONEID, UW_SYNTH_MESHTASTIC, UW_SYNTH_IMPULSES};
    for (size_t i = 0; i < UW_ARRAY_SIZE(links); i++) {
        struct uw_scenario *s = make_scenario(12e6, 868e6, 0.3);
        struct uw_synth_emitter *e = add_emitter(s, links[i]);
        use_channel(e, 868e6);
        e->poisson = false;
        e->interval_s = 0.11;
        e->nodes = 1;
        e->spread_ppm = e->spread_db = 0;
        if (links[i] == UW_SYNTH_MESHTASTIC)
            snprintf(e->variant, sizeof(e->variant), "SHORT_TURBO");
        struct truth a = read_truth(s, 0);
        e->ppm = -200;
        s->receivers[0].ppm = 1000;
        struct truth b = read_truth(s, 0);
        assert_true(a.n >= 2 && b.n >= 2);
        double scale = 1.001 / (1 - 200e-6);
        assert_true(fabs(b.bursts[0].count - a.bursts[0].count * scale) < 1e-3);
        double step_a = a.bursts[1].start - a.bursts[0].start;
        assert_true(fabs(b.bursts[1].start - b.bursts[0].start - step_a * scale) < 1e-2);
        /* there, and nowhere else */
        size_t n;
        float complex *x = read_all(s, 0, 65536, &n);
        size_t from = (size_t)ceil(b.bursts[0].start);
        size_t to = (size_t)ceil(b.bursts[0].start + b.bursts[0].count);
        assert_true(mean_power(x, from > 2000 ? from - 2000 : 0, from) == 0 || from == 0);
        assert_true(mean_power(x, to, to + 2000) == 0);
        assert_true(mean_power(x, from, from + 600) > 1e-9);
        if (links[i] != UW_SYNTH_OOK && links[i] != UW_SYNTH_IMPULSES)
            assert_true(mean_power(x, to - 600, to) > 0.1);
        free(x);
        free(a.bursts);
        free(b.bursts);
        uw_scenario_free(s);
    }
}

/* Every change of an FSK or keyed signal lies on the grid of the sender's bits. */
static void test_bit_clock(void **state) {
    (void)state;
    const double rate = 2.4e6;
    for (int keyed = 0; keyed < 2; keyed++) {
        struct uw_scenario *s = make_scenario(rate, 868e6, 0.2);
        struct uw_synth_emitter *e = add_emitter(s, keyed ? UW_SYNTH_OOK : UW_SYNTH_FSK);
        use_channel(e, 868e6);
        e->poisson = false;
        e->interval_s = 0.1;
        e->burst_s = 40e-3;
        e->baud = 60e3;
        e->ppm = 180;
        s->receivers[0].ppm = -900;
        size_t n, changes = 0;
        float complex *x = read_all(s, 0, 65536, &n);
        struct truth t = read_truth(s, 0);
        double spb = rate * (1 - 900e-6) / (60e3 * (1 + 180e-6)), start = t.bursts[0].start;
        size_t from = (size_t)ceil(start) + 2, to = (size_t)(start + t.bursts[0].count) - 2;
        double last = 0, tilt = (868e6 * (1 + 180e-6) - 868e6 * (1 - 900e-6)) / (1 - 900e-6) / rate;
        for (size_t k = from; k < to; k++) {
            double turn = (double)cargf(x[k + 1] * conjf(x[k])) / (2 * UW_PI) - tilt;
            turn -= floor(turn + 0.5);
            double now = keyed ? (cabsf(x[k]) > 0.5f ? 1 : -1) : turn > 0 ? 1 : -1;
            if (k > from && now != last) {
                double bit = ((double)k - start) / spb;
                assert_true(fabs(bit - nearbyint(bit)) * spb < 1.01);
                changes++;
            }
            last = now;
        }
        assert_true(changes > 800);
        free(t.bursts);
        free(x);
        uw_scenario_free(s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image),           cmocka_unit_test(test_image_chirp),
        cmocka_unit_test(test_roll_off),        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_intermodulation), cmocka_unit_test(test_random_losses),
        cmocka_unit_test(test_clock_error),     cmocka_unit_test(test_loss_places),
        cmocka_unit_test(test_bit_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
