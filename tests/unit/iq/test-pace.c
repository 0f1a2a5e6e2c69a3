/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pacing under a clock of the test's own, and what the names of files say. */
#include "iq-test.h"

#include <pthread.h>

#include "../../../src/iq/source-impl.h"

#define RATE 1000000
#define N    1000 /* samples of the file: its bytes tell which sample it is */

struct fake {
    int64_t now;
    int64_t waited_ns;
    struct uw_source *stop_on_wait;
};

static int64_t fake_mono(void *userdata) {
    return ((struct fake *)userdata)->now;
}

static int64_t fake_real(void *userdata) {
    (void)userdata;
    return INT64_C(1700000000) * UW_NS_PER_S;
}

static void fake_wait(void *userdata, int stop_fd, int64_t until) {
    struct fake *fake = userdata;

    (void)stop_fd;
    fake->waited_ns += until - fake->now;
    fake->now = until;
    if (fake->stop_on_wait)
        uw_source_stop(fake->stop_on_wait);
}

static struct uw_source *open_fake(struct fake *fake, enum uw_source_type type, bool paced) {
    const struct uw_iq_clock clock = {fake_mono, fake_real, fake_wait, fake};
    struct uw_source_params params;
    struct uw_source *source;
    unsigned char v[2 * N];

    for (int i = 0; i < N; i++) {
        v[2 * i] = (unsigned char)(i & 255);
        v[2 * i + 1] = (unsigned char)(i >> 8);
    }
    write_bytes("l_915M_1M.cu8", v, sizeof(v));
    uw_source_params_init(&params);
    params.type = type;
    params.path = path_of("l_915M_1M.cu8");
    params.paced = paced;
    fake->now = 77 * UW_NS_PER_S;
    assert_int_equal(uw_source_open_clock(&params, &clock, NULL, &source), 0);
    return source;
}

/* Reads n samples, checks that they are the stream's samples from `first` on; returns the loss. */
static uint64_t read_from(struct uw_source *source, size_t n, uint64_t first) {
    static unsigned char buf[2 * 300000];
    struct uw_source_block got;

    assert_true(2 * n <= sizeof(buf));
    assert_int_equal(uw_source_read(source, buf, n, NULL, &got), 0);
    assert_int_equal(got.n, n);
    assert_false(got.end);
    assert_true(got.freq_hz == 915e6 && isnan(got.gain_db));
    for (size_t i = 0; i < n; i++) {
        unsigned want = (unsigned)((first + got.lost + i) % N);

        if ((buf[2 * i] | (unsigned)buf[2 * i + 1] << 8) != want)
            fail_msg("sample %zu is not %u of the file", i, want);
    }
    return got.lost;
}

static void test_paced_file(void **state) {
    struct fake fake = {0};
    struct uw_source *source = open_fake(&fake, UW_SOURCE_FILE, true);

    (void)state;
    assert_int_equal(read_from(source, 100, 0), 0);
    assert_int_equal(fake.waited_ns, 100000); /* 100 samples of 1 us */
    fake.now += 3 * UW_NS_PER_S;              /* the caller sleeps: nothing is lost */
    assert_int_equal(read_from(source, 100, 100), 0);
    assert_int_equal(read_from(source, 800, 200), 0);
    assert_int_equal(fake.waited_ns, 100000);
    uw_source_close(source);
}

static void test_file_does_not_wait(void **state) {
    struct fake fake = {0};
    struct uw_source *source = open_fake(&fake, UW_SOURCE_FILE, false);

    (void)state;
    assert_int_equal(read_from(source, 1000, 0), 0);
    assert_int_equal(fake.waited_ns, 0);
    uw_source_close(source);
}

static void test_loop(void **state) {
    struct fake fake = {0};
    struct uw_source *source = open_fake(&fake, UW_SOURCE_LOOP, false);
    const struct uw_source_info *info = uw_source_info(source);

    (void)state;
    assert_true(info->live);
    assert_int_equal(info->n_samples, 0);
    assert_int_equal(info->start_ns, INT64_C(1700000000) * UW_NS_PER_S);
    /* Across the seam, more than once, at the speed of the signal. */
    assert_int_equal(read_from(source, 700, 0), 0);
    assert_int_equal(read_from(source, 700, 700), 0);
    assert_int_equal(read_from(source, 3600, 1400), 0);
    assert_int_equal(fake.waited_ns, 5000 * 1000);
    /* Late by less than the limit: nothing is lost, and it catches up without waiting. */
    fake.now += UW_NS_PER_S / 2;
    assert_int_equal(read_from(source, 1000, 5000), 0);
    assert_int_equal(fake.waited_ns, 5000 * 1000);
    uw_source_close(source);
}

static void test_loop_late(void **state) {
    struct fake fake = {0};
    struct uw_source *source = open_fake(&fake, UW_SOURCE_LOOP, false);

    (void)state;
    assert_int_equal(read_from(source, 500, 0), 0);
    fake.now += 2 * UW_NS_PER_S; /* 2,000,000 samples late: down to 250,000 */
    assert_int_equal(read_from(source, 100, 500), 1750000);
    /* What is left is given at once, then it waits again. */
    fake.waited_ns = 0;
    assert_int_equal(read_from(source, 249900, 1750600), 0);
    assert_int_equal(fake.waited_ns, 0);
    assert_int_equal(read_from(source, 50, 2000500), 0);
    assert_int_equal(fake.waited_ns, 50000);
    uw_source_close(source);
}

static void test_stop_ends_wait(void **state) {
    static const enum uw_source_type types[] = {UW_SOURCE_FILE, UW_SOURCE_LOOP};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fake fake = {0};
        struct uw_source *source = open_fake(&fake, types[i], true);
        struct uw_source_block got;
        unsigned char buf[200];

        fake.stop_on_wait = source;
        assert_int_equal(uw_source_read(source, buf, 100, NULL, &got), 0);
        assert_int_equal(got.n, 0);
        assert_true(got.end);
        assert_int_equal(uw_source_read(source, buf, 100, NULL, &got), 0);
        assert_int_equal(got.n, 0);
        assert_true(got.end);
        uw_source_close(source);
    }
}

static void *stop_later(void *source) {
    usleep(20000);
    uw_source_stop(source);
    return NULL;
}

/* The same with the system's clock: a block of eight seconds is given up long before. */
static void test_stop_ends_real_wait(void **state) {
    static unsigned char buf[2 * 2000000];
    struct uw_source_params params;
    struct uw_source *source;
    int64_t began = uw_clock_mono_ns();
    struct uw_source_block got;
    pthread_t thread;

    (void)state;
    write_bytes("w_915M_250k.cu8", buf, 2000);
    uw_source_params_init(&params);
    params.type = UW_SOURCE_LOOP;
    params.path = path_of("w_915M_250k.cu8");
    source = open_good(&params);
    assert_int_equal(pthread_create(&thread, NULL, stop_later, source), 0);
    assert_int_equal(uw_source_read(source, buf, 2000000, NULL, &got), 0);
    assert_int_equal(got.n, 0);
    assert_true(got.end);
    assert_true(uw_clock_mono_ns() - began < 4 * UW_NS_PER_S);
    pthread_join(thread, NULL);
    uw_source_close(source);
}

static void test_names(void **state) {
    static const struct {
        const char *name;
        int format;
        double rate_hz, freq_hz;
    } cases[] = {
        {"x_915M_2400k.cu8", UW_IQ_CU8, 2.4e6, 915e6},
        {"/a_433M/x_868.3M_2.4M.cs16", UW_IQ_CI16, 2.4e6, 868.3e6},
        {"g001_433.92M_250k.cu8", UW_IQ_CU8, 250e3, 433.92e6},
        {"x_2.4G_10Msps.CF32", UW_IQ_CF32, 10e6, 2.4e9},
        {"x_2437MHz_20M.cfile", UW_IQ_CF32, 20e6, 2437e6},
        {"SDRSharp_20160101_231914Z_145000kHz_IQ.wav", -1, NAN, 145e6},
        {"baseband_433920000Hz_19-30-22_01-01-2021.wav", -1, NAN, 433.92e6},
        {"x_915M.cu8", UW_IQ_CU8, NAN, 915e6},
        {"x_2400k.ci8", UW_IQ_CI8, 2.4e6, NAN},
        {"noise.bin", -1, NAN, NAN},
        {"20240101_120000.cu8", UW_IQ_CU8, NAN, NAN},
        {"", -1, NAN, NAN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        double rate = NAN, freq = NAN;
        int format = -1;

        uw_iq_name_parse(cases[i].name, &format, &rate, &freq);
        if (format != cases[i].format || !(rate == cases[i].rate_hz || isnan(cases[i].rate_hz)) ||
            isnan(rate) != isnan(cases[i].rate_hz) ||
            !(freq == cases[i].freq_hz || isnan(cases[i].freq_hz)) ||
            isnan(freq) != isnan(cases[i].freq_hz))
            fail_msg("%s: %d %g %g", cases[i].name, format, rate, freq);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paced_file),     cmocka_unit_test(test_file_does_not_wait),
        cmocka_unit_test(test_loop),           cmocka_unit_test(test_loop_late),
        cmocka_unit_test(test_names),          cmocka_unit_test(test_stop_ends_real_wait),
        cmocka_unit_test(test_stop_ends_wait),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
