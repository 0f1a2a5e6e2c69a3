/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The DroneID matcher inside a whole detector: generated bursts of known time, centre and layout,
 * look-alikes, and the recording of a real aircraft if it is there
 */

#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "droneid-burst.h"
#include "uw/base/err.h"
#include "uw/sig/detector.h"

#define RATE_HZ   20e6
#define LEAD_S    30e-3 /* noise before the first burst */
#define SLOT_S    3e-3
#define NOISE     1e-4
#define FOUND_MAX 256

struct heard {
    struct uw_sigdb *db;
    int n;
    struct uw_finding findings[FOUND_MAX];
    uint64_t progress;
};

static void on_finding(void *userdata, const struct uw_finding *finding) {
    struct heard *heard = userdata;

    assert_true(heard->n < FOUND_MAX);
    if (heard->n > 0)
        assert_true(finding->stop >= heard->findings[heard->n - 1].stop);
    heard->findings[heard->n++] = *finding;
}

static void on_progress(void *userdata, uint64_t sample) {
    struct heard *heard = userdata;

    assert_true(sample >= heard->progress);
    heard->progress = sample;
}

static void listen(struct heard *heard, const float complex *x, size_t n, double rate_hz,
                   double freq_hz, size_t block) {
    static const struct uw_detector_ops ops = {.finding = on_finding, .progress = on_progress};
    const struct uw_detector_config config = {
        .rate_hz = rate_hz, .freq_hz = freq_hz, .format = UW_IQ_CF32, .db = heard->db};
    struct uw_detector *detector = NULL;

    heard->n = 0;
    heard->progress = 0;
    assert_int_equal(uw_detector_new(&config, &ops, heard, &detector), 0);
    for (size_t i = 0; i < n; i += block)
        uw_detector_push(detector, x + i, n - i < block ? n - i : block);
    uw_detector_flush(detector);
    uw_detector_free(detector);
}

static int set_up(void **state) {
    static struct uw_diag diag;
    static const char *const only[] = {"dji-droneid"};
    struct heard *heard = calloc(1, sizeof(*heard));

    assert_non_null(heard);
    if (uw_sigdb_load(UW_SIGNATURES, &diag, &heard->db) != 0) {
        uw_diag_print(&diag, stderr);
        return -1;
    }
    assert_int_equal(uw_sigdb_enable(heard->db, only, 1, &diag), 0);
    *state = heard;
    return 0;
}

static int tear_down(void **state) {
    struct heard *heard = *state;

    uw_sigdb_free(heard->db);
    free(heard);
    return 0;
}

static size_t n_samples(int n_slots) {
    return (size_t)((LEAD_S + n_slots * SLOT_S) * RATE_HZ);
}

static float complex *new_noise(int n_slots, uint64_t *random) {
    float complex *x = calloc(n_samples(n_slots), sizeof(*x));

    assert_non_null(x);
    burst_noise(x, n_samples(n_slots), NOISE, random);
    return x;
}

static double stop_of(const struct burst_spec *spec) {
    return spec->start + (spec->n_symbols == 9 ? 9880 : 8784) / 15.36e6 * spec->rate_hz;
}

static struct burst_spec spec_at(int slot, double snr_db, double offset_hz, uint64_t *random) {
    return (struct burst_spec){
        .n_symbols = slot & 1 ? 8 : 9,
        .root_a = 600,
        .root_b = 147,
        .rate_hz = RATE_HZ,
        .start = (LEAD_S + (slot + 0.2 + 0.4 * burst_uniform(random)) * SLOT_S) * RATE_HZ,
        .offset_hz = offset_hz,
        .power = NOISE * 9e6 / RATE_HZ * pow(10, snr_db / 10),
    };
}

static const struct uw_finding *finding_of(const struct heard *heard,
                                           const struct burst_spec *spec) {
    for (int i = 0; i < heard->n; ++i) {
        const struct uw_finding *f = &heard->findings[i];

        if (fabs((double)f->stop - stop_of(spec)) < 10e-6 * spec->rate_hz &&
            fabs(f->freq_hz - spec->offset_hz) < 20e3)
            return f;
    }
    return NULL;
}

static void test_strong(void **state) {
    enum { N_BURSTS = 6 };
    static const double offsets_hz[N_BURSTS] = {-0.5e6, 4.62e6, 4.4e6, -0.4e6, 3e6, -5e6};
    struct heard *heard = *state;
    struct burst_spec specs[N_BURSTS];
    uint64_t random = 2;
    float complex *x = new_noise(N_BURSTS, &random);

    for (int i = 0; i < N_BURSTS; ++i) {
        specs[i] = spec_at(i, 12, offsets_hz[i], &random);
        burst_add(&specs[i], x, n_samples(N_BURSTS), &random);
    }
    listen(heard, x, n_samples(N_BURSTS), RATE_HZ, 2430e6, 100000);
    assert_int_equal(heard->n, N_BURSTS);
    for (int i = 0; i < N_BURSTS; ++i) {
        const struct uw_finding *f = finding_of(heard, &specs[i]);

        assert_non_null(f);
        print_message("start off by %.2f us, centre by %.0f Hz, %.1f dB, score %.3f\n",
                      ((double)f->start - specs[i].start) / RATE_HZ * 1e6,
                      f->freq_hz - specs[i].offset_hz, f->snr_db, f->score);
        assert_true(fabs((double)f->start - specs[i].start) < 1e-6 * RATE_HZ);
        assert_true(fabs(f->freq_hz - specs[i].offset_hz) < 5e3);
        assert_true(fabs(f->snr_db - 12) < 1.5);
        assert_true(f->score > 0.9 && f->score <= 1);
        assert_true(f->llr > 20 && f->llr <= 40 && f->confidence > 0.99);
        assert_true(f->alertable);
        assert_string_equal(f->variant, i & 1 ? "legacy" : "O2/O3");
        assert_string_equal(f->signature->family, "dji-droneid");
        assert_int_equal(f->emitter, heard->findings[0].emitter);
        if (i < 4) {
            assert_string_equal(f->domain, "2.4GHz");
            assert_true(fabs(f->grid_error_hz) < 150e3);
        } else {
            assert_null(f->domain); /* on no known centre: not guessed */
        }
    }
    free(x);
}

static void test_weak(void **state) {
    enum { N_BURSTS = 30 };
    struct heard *heard = *state;
    struct burst_spec specs[N_BURSTS];
    uint64_t random = 8;
    float complex *x = new_noise(N_BURSTS, &random);
    int n_found = 0;

    for (int i = 0; i < N_BURSTS; ++i) {
        specs[i] = spec_at(i, -9, 10e6 * (burst_uniform(&random) - 0.5), &random);
        burst_add(&specs[i], x, n_samples(N_BURSTS), &random);
    }
    listen(heard, x, n_samples(N_BURSTS), RATE_HZ, NAN, 100000);
    for (int i = 0; i < N_BURSTS; ++i)
        n_found += finding_of(heard, &specs[i]) != NULL;
    print_message("%d of %d at -9 dB\n", n_found, N_BURSTS);
    assert_true(n_found >= 27);
    assert_int_equal(heard->n, n_found); /* and nothing else */
    free(x);
}

/* Weak ones soon behind half a second of digital silence, and behind a step of the gain. */
static void test_behind_silence(void **state) {
    enum { N_BURSTS = 12, BLOCK = 100000 };
    static const struct uw_detector_ops ops = {.finding = on_finding, .progress = on_progress};
    static const float gains[] = {1.0f, 0.1f};
    static float complex silence[BLOCK];
    struct heard *heard = *state;
    const struct uw_detector_config config = {
        .rate_hz = RATE_HZ, .freq_hz = NAN, .format = UW_IQ_CF32, .db = heard->db};
    uint64_t random = 12;

    for (int g = 0; g < 2; ++g) {
        struct burst_spec specs[N_BURSTS];
        struct uw_detector *detector = NULL;
        float complex *x = new_noise(N_BURSTS, &random);
        const size_t n = n_samples(N_BURSTS);
        size_t before = 0;
        int n_found = 0;

        heard->n = 0;
        heard->progress = 0;
        assert_int_equal(uw_detector_new(&config, &ops, heard, &detector), 0);
        for (; before < 2 * n; before += n)
            uw_detector_push(detector, x, n);
        for (int i = 0; g == 0 && i < 100; ++i, before += BLOCK)
            uw_detector_push(detector, silence, BLOCK);
        for (size_t i = 0; i < n; ++i)
            x[i] *= gains[g];
        uw_detector_push(detector, x, n);
        before += n;
        for (int i = 0; i < N_BURSTS; ++i) {
            specs[i] = spec_at(i, -8, 10e6 * (burst_uniform(&random) - 0.5), &random);
            specs[i].power *= (double)(gains[g] * gains[g]);
            burst_add(&specs[i], x, n, &random);
            specs[i].start += (double)before;
        }
        uw_detector_push(detector, x, n);
        uw_detector_flush(detector);
        for (int i = 0; i < N_BURSTS; ++i)
            n_found += finding_of(heard, &specs[i]) != NULL;
        print_message("%d of %d\n", n_found, N_BURSTS);
        assert_true(n_found >= N_BURSTS - 1);
        assert_int_equal(heard->n, n_found);
        uw_detector_free(detector);
        free(x);
    }
}

/* In the middle of other energy as strong, with which it makes one long and wide burst; and block
 * sizes. */
static void test_merged(void **state) {
    enum { N_SLOTS = 8 };
    struct heard *heard = *state;
    uint64_t random = 4;
    float complex *x = new_noise(N_SLOTS, &random);
    struct burst_spec spec = spec_at(4, 15, -1.234e6, &random);
    const size_t first = (size_t)((LEAD_S + 0.5 * SLOT_S) * RATE_HZ);
    static struct uw_finding whole;

    burst_add(&spec, x, n_samples(N_SLOTS), &random);
    for (size_t i = first; i < first + (size_t)(6 * SLOT_S * RATE_HZ); ++i)
        x[i] += (float)sqrt(10 * NOISE) * burst_gauss(&random);
    listen(heard, x, n_samples(N_SLOTS), RATE_HZ, NAN, 1 << 20);
    assert_int_equal(heard->n, 1);
    assert_non_null(finding_of(heard, &spec));
    whole = heard->findings[0];
    listen(heard, x, n_samples(N_SLOTS), RATE_HZ, NAN, 7777);
    assert_int_equal(heard->n, 1);
    const struct uw_finding *odd = &heard->findings[0];
    assert_true(odd->start == whole.start && odd->stop == whole.stop);
    assert_memory_equal(&odd->freq_hz, &whole.freq_hz, sizeof(double));
    assert_memory_equal(&odd->snr_db, &whole.snr_db, sizeof(double));
    assert_memory_equal(&odd->llr, &whole.llr, sizeof(double));
    assert_memory_equal(&odd->score, &whole.score, sizeof(double));
    free(x);
}

/* Two at once are two emitters. */
static void test_two(void **state) {
    struct heard *heard = *state;
    uint64_t random = 6;
    float complex *x = new_noise(4, &random);
    struct burst_spec a = spec_at(0, 10, -5e6, &random), b = spec_at(0, 10, 5e6, &random);
    struct burst_spec c = spec_at(2, 10, 5e6, &random);

    b.start = a.start + 250e-6 * RATE_HZ;
    burst_add(&a, x, n_samples(4), &random);
    burst_add(&b, x, n_samples(4), &random);
    burst_add(&c, x, n_samples(4), &random);
    listen(heard, x, n_samples(4), RATE_HZ, NAN, 100000);
    assert_int_equal(heard->n, 3);
    assert_non_null(finding_of(heard, &a));
    assert_non_null(finding_of(heard, &b));
    assert_non_null(finding_of(heard, &c));
    assert_int_not_equal(finding_of(heard, &a)->emitter, finding_of(heard, &b)->emitter);
    free(x);
}

static void test_lookalikes(void **state) {
    static const int roots[][2] = {{600, 385}, {385, 147}, {600, 600}, {147, 600}};
    struct heard *heard = *state;
    uint64_t random = 12;
    float complex *x = new_noise(8, &random);
    const double slope = 601 * 15e3 / 66.6667e-6;

    for (int i = 0; i < 4; ++i) {
        struct burst_spec spec = spec_at(i, 15, 1e6 * i, &random);

        spec.root_a = roots[i][0];
        spec.root_b = roots[i][1];
        burst_add(&spec, x, n_samples(8), &random);
    }
    /* a sweep with the slope of root 600 in every symbol's place, and a burst of noise */
    const size_t n = (size_t)(640e-6 * RATE_HZ);
    float complex *chirp = x + (size_t)((LEAD_S + 4.3 * SLOT_S) * RATE_HZ);
    float complex *white = x + (size_t)((LEAD_S + 6.3 * SLOT_S) * RATE_HZ);
    for (size_t i = 0; i < n; ++i) {
        const double t = fmod((double)i / RATE_HZ, 1096 / 15.36e6);

        chirp[i] +=
            0.05f * (float complex)cexp(I * 2 * BURST_PI * (4.5e6 * t - 0.5 * slope * t * t));
        white[i] += 0.05f * burst_gauss(&random);
    }
    listen(heard, x, n_samples(8), RATE_HZ, 2430e6, 100000);
    assert_int_equal(heard->n, 0);
    /* a receiver that is too narrow for the signal is no mistake, it hears nothing */
    listen(heard, x, n_samples(8), 2.4e6, 2430e6, 100000);
    assert_int_equal(heard->n, 0);
    free(x);
}

static void test_recording(void **state) {
    static const double starts_ms[] = {1.859, 2.570, 3.308, 4.019};
    static const double offsets_hz[] = {2.0e6, 2.0e6, -12.46e6, -12.46e6};
    enum { N_MAX = 300000 };
    struct heard *heard = *state;
    const char *dir = getenv("UW_IQ_DIR");
    char path[4096];
    float complex *x;
    size_t n;
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/dji-droneid-mavic-air-2.sigmf-data",
                   dir ? dir : UW_IQ_BESIDE);
    f = fopen(path, "rb");
    if (!f) {
        print_message("skipped: no recording at %s\n", path);
        skip();
    }
    x = calloc(N_MAX, sizeof(*x));
    assert_non_null(x);
    n = fread(x, sizeof(*x), N_MAX, f);
    (void)fclose(f);
    listen(heard, x, n, 50e6, NAN, 65536);
    assert_int_equal(heard->n, 4);
    for (int i = 0; i < 4; ++i) {
        const struct uw_finding *found = &heard->findings[i];

        assert_true(fabs((double)found->start / 50e3 - starts_ms[i]) < 0.05);
        assert_true(fabs(found->freq_hz - offsets_hz[i]) < 0.1e6);
        assert_string_equal(found->variant, "O2/O3");
        assert_true(found->score > 0.9);
        assert_null(found->domain); /* its centre frequency is not known */
        assert_int_equal(found->emitter, heard->findings[0].emitter);
    }
    free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strong),         cmocka_unit_test(test_weak),
        cmocka_unit_test(test_merged),         cmocka_unit_test(test_two),
        cmocka_unit_test(test_lookalikes),     cmocka_unit_test(test_recording),
        cmocka_unit_test(test_behind_silence),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
