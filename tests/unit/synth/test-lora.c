/* SPDX-License-Identifier: GPL-3.0-or-later */

/* LoRa packets against the closed form of their chirps. */

#include "synth-testing.h"

static struct uw_synth_emitter *add_lora(struct uw_scenario *s, int sf, double bw_hz,
                                         double freq_hz) {
    struct uw_synth_emitter *e = add_emitter(s, UW_SYNTH_LORA);
    e->sf = sf;
    e->bandwidth_hz = bw_hz;
    e->symbols = 20;
    e->interval_s = 0.1;
    use_channel(e, freq_hz);
    return e;
}

/* Every preamble chirp: phase of a reference made in double from the truth stands still. */
static void check_preamble(int sf, double bw_hz, double rate_hz, bool down) {
    double packet_s = (8 + 4.25 + 20) * ldexp(1, sf) / bw_hz;
    struct uw_scenario *s = make_scenario(rate_hz, 433.0e6, 2.2 * packet_s);
    struct uw_synth_emitter *e = add_lora(s, sf, bw_hz, 433.1e6);
    e->interval_s = 1.2 * packet_s;
    e->invert = down;
    size_t n;
    float complex *x = read_all(s, 0, 1234, &n);
    struct truth t = read_truth(s, 0);
    double sps = ldexp(1, sf) / bw_hz * rate_hz, start = t.bursts[0].start;
    double sign = down ? -1 : 1, c = sign * bw_hz / rate_hz / sps;
    double complex first = 0;
    assert_true(fabs(t.bursts[0].count - (8 + 4.25 + 20) * sps) < 1e-6);
    for (int k = 0; k < 8; k++) {
        size_t from = (size_t)ceil(start + k * sps), to = (size_t)ceil(start + (k + 1) * sps);
        double late = (double)from - (start + k * sps),
               f0 = 0.1e6 / rate_hz - sign * bw_hz / rate_hz / 2;
        /* phase at `from` by the closed form, from the symbol's start */
        double chirp = -sign * bw_hz / rate_hz / 2 * late + 0.5 * c * late * late;
        double carrier = 0.1e6 / rate_hz * ((double)from - start);
        double complex z = correlate(x + from, to - from, chirp + carrier, f0 + c * late, c);
        assert_true(cabs(z) / (double)(to - from) > 0.99999);
        if (k == 0)
            first = z / cabs(z);
        assert_true(cabs(z / cabs(z) - first) < 1e-3); /* continuous, exact over the packet */
    }
    free(t.bursts);
    free(x);
    uw_scenario_free(s);
}

static void test_preamble(void **state) {
    (void)state;
    check_preamble(6, 500e3, 2.4e6, false);
    check_preamble(9, 500e3, 2.4e6, false);
    check_preamble(12, 125e3, 1e6, false);
    check_preamble(5, 812.5e3, 10e6, true);
    check_preamble(7, 500e3, 2.048e6, true);
}

/* Dechirped payload symbols: one DFT bin holds the energy; sync symbols stand at 8 and 16. */
static void test_symbols(void **state) {
    (void)state;
    const double rate = 2e6, bw = 500e3;
    struct uw_scenario *s = make_scenario(rate, 433.0e6, 0.2);
    add_lora(s, 7, bw, 433.0e6);
    size_t n;
    float complex *x = read_all(s, 0, 4096, &n);
    struct truth t = read_truth(s, 0);
    double sps = 128 / bw * rate;
    bool differ = false;
    int last = -1;
    for (int k = 8; k < 30; k++) {
        if (k >= 10 && k < 13)
            continue;
        double start = t.bursts[0].start + (k < 10 ? k : k - 0.75) * sps;
        size_t from = (size_t)ceil(start), len = (size_t)(floor(start + sps) - ceil(start));
        double late = (double)from - start, c = bw / rate / sps;
        int best = -1;
        double best_power = 0;
        for (int bin = 0; bin < 128; bin++) {
            double f = bin * bw / 128 / rate - bw / rate / 2;
            double folded = f - bw / rate; /* after the wrap the tone stands BW lower */
            double p = cabs(correlate(x + from, len, 0, f + c * late, c)) +
                       cabs(correlate(x + from, len, 0, folded + c * late, c));
            if (p > best_power)
                best_power = p, best = bin;
        }
        assert_true(best_power / (double)len > 0.95);
        if (k < 10)
            assert_int_equal(best, k == 8 ? 8 : 16);
        differ |= last >= 0 && best != last;
        last = best;
    }
    assert_true(differ);
    free(t.bursts);
    free(x);
    uw_scenario_free(s);
}

/* Down-chirps of the SFD, and nothing outside the packet. */
static void test_sfd_and_silence(void **state) {
    (void)state;
    const double rate = 2e6, bw = 500e3;
    struct uw_scenario *s = make_scenario(rate, 433.0e6, 0.2);
    add_lora(s, 8, bw, 433.0e6);
    size_t n;
    float complex *x = read_all(s, 0, 4096, &n);
    struct truth t = read_truth(s, 0);
    double sps = 256 / bw * rate, start = t.bursts[0].start + 10 * sps;
    size_t from = (size_t)ceil(start), len = (size_t)sps;
    double late = (double)from - start, c = -bw / rate / sps;
    double z = cabs(correlate(x + from, len - 1, 0, bw / rate / 2 + c * late, c));
    assert_true(z / (double)(len - 1) > 0.999);
    size_t first = (size_t)ceil(t.bursts[0].start);
    size_t last = (size_t)ceil(t.bursts[0].start + t.bursts[0].count);
    assert_true(cabsf(x[first - 1]) == 0 && cabsf(x[first]) > 0.99f);
    assert_true(cabsf(x[last - 1]) > 0.99f && cabsf(x[last]) == 0);
    free(t.bursts);
    free(x);
    uw_scenario_free(s);
}

/* Power while on, over the noise in the signal's own width. */
static void test_snr(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        double snr = 6.0 - 6 * i;
        struct uw_scenario *s = make_scenario(2.4e6, 915.5e6, 4.0);
        s->receivers[0].noise_dbfs = -30;
        struct uw_synth_emitter *e = add_elrs(s, "200Hz", "FCC915");
        e->level_is_dbfs = false;
        e->level_db = snr;
        size_t n;
        float complex *x = read_all(s, 0, 65536, &n);
        struct truth t = read_truth(s, 0);
        double on = 0, n_on = 0;
        for (size_t k = 0; k < t.n; k++) {
            const struct uw_synth_burst *b = &t.bursts[k];
            if (fabs(b->lower_hz + b->upper_hz - 2 * 915.5e6) > 1e6 ||
                b->start + b->count > (double)n)
                continue;
            size_t from = (size_t)ceil(b->start), to = (size_t)(b->start + b->count);
            on += mean_power(x, from, to) * (double)(to - from);
            n_on += (double)(to - from);
            assert_true(fabs(b->snr_db - snr) < 1e-9);
        }
        assert_true(n_on > 100e3);
        double signal = on / n_on - 1e-3, noise = 1e-3 * 500e3 / 2.4e6;
        assert_true(fabs(to_db(signal / noise) - snr) < 0.2);
        free(t.bursts);
        free(x);
        uw_scenario_free(s);
    }
}

/* A channel across the edge of the band is attenuated there and does not come back folded. */
static void test_edge(void **state) {
    (void)state;
    const double rate = 2.4e6;
    struct uw_scenario *s = make_scenario(rate, 915e6, 0.2);
    struct uw_synth_emitter *e = add_lora(s, 9, 500e3, 916.2e6);
    e->symbols = 100;
    size_t n;
    float complex *x = read_all(s, 0, 4096, &n);
    struct truth t = read_truth(s, 0);
    assert_true(fabs(t.bursts[0].in_band - 0.5) < 1e-9);
    size_t from = (size_t)t.bursts[0].start, len = 65536;
    double folded = 0, inside = 0;
    for (int k = 0; k < 400; k++) { /* -1.2 .. -0.95 MHz must be empty, 0.95 .. 1.2 is not */
        double f = (0.95e6 + 0.25e6 * k / 400) / rate;
        inside += pow(cabs(correlate(x + from, len / 4, 0, f, 0)), 2);
        folded += pow(cabs(correlate(x + from, len / 4, 0, -f, 0)), 2);
    }
    assert_true(to_db(folded / inside) < -35);
    free(t.bursts);
    free(x);
    uw_scenario_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_preamble),
        cmocka_unit_test(test_symbols),
        cmocka_unit_test(test_sfd_and_silence),
        cmocka_unit_test(test_snr),
        cmocka_unit_test(test_edge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
