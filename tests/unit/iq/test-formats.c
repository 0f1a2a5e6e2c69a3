/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every kind of file gives exactly the samples and facts that were put into it. */
#include "iq-test.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <pthread.h>
#include <sndfile.h>

#define N 501 /* samples */

static unsigned char bytes[N * 8];

static void fill_bytes(void) {
    uint32_t x = 12345;

    for (size_t i = 0; i < sizeof(bytes); i++) {
        x = x * 1664525u + 1013904223u;
        bytes[i] = (unsigned char)(x >> 24);
    }
}

static void fill_floats(float *v) {
    for (int i = 0; i < 2 * N; i++)
        v[i] = (float)(i - N) / 1024.0f;
}

static const struct uw_source_info want_cu8 = {
    .format = UW_IQ_CU8, .rate_hz = 2.4e6, .freq_hz = 915e6};

static void test_raw(void **state) {
    struct uw_source_info want = want_cu8;
    float v[2 * N];

    (void)state;
    fill_bytes();
    fill_floats(v);
    write_bytes("x_915M_2400k.cu8", bytes, 2 * N);
    expect_samples("x_915M_2400k.cu8", &want, bytes, 2 * N);
    want = (struct uw_source_info){.format = UW_IQ_CI8, .rate_hz = 250e3, .freq_hz = 433.92e6};
    write_bytes("g001_433.92M_250k.cs8", bytes, 2 * N);
    expect_samples("g001_433.92M_250k.cs8", &want, bytes, 2 * N);
    want = (struct uw_source_info){.format = UW_IQ_CI16, .rate_hz = 2.4e6, .freq_hz = 868.3e6};
    write_bytes("x_868.3M_2.4M.cs16", bytes, 4 * N);
    expect_samples("x_868.3M_2.4M.cs16", &want, bytes, 4 * N);
    want = (struct uw_source_info){.format = UW_IQ_CF32, .rate_hz = 1e6, .freq_hz = NAN};
    write_bytes("x_1M.cf32", v, sizeof(v));
    expect_samples("x_1M.cf32", &want, v, sizeof(v));
}

static void test_params_override(void **state) {
    struct uw_source_params params;
    struct uw_source *source;
    const struct uw_source_info *info;

    (void)state;
    write_bytes("y_915M_2400k.cu8", bytes, 2 * N);
    uw_source_params_init(&params);
    params.path = path_of("y_915M_2400k.cu8");
    params.rate_hz = 1e6;
    params.freq_hz = 868e6;
    params.start_ns = 5 * UW_NS_PER_S;
    params.format = UW_IQ_CU8;
    source = open_good(&params);
    info = uw_source_info(source);
    assert_true(info->rate_hz == 1e6 && info->freq_hz == 868e6);
    assert_int_equal(info->start_ns, 5 * UW_NS_PER_S);
    uw_source_close(source);
}

static void write_wav(const char *name, int format, int rate, const short *v16, const float *v32) {
    SF_INFO info = {.samplerate = rate, .channels = 2, .format = format};
    SNDFILE *file = sf_open(path_of(name), SFM_WRITE, &info);

    assert_non_null(file);
    assert_int_equal(v16 ? sf_writef_short(file, v16, N) : sf_writef_float(file, v32, N), N);
    assert_int_equal(sf_close(file), 0);
}

static void test_wav(void **state) {
    struct uw_source_info want = {.format = UW_IQ_CI16, .rate_hz = 2e6, .freq_hz = 433.92e6};
    const int types[] = {SF_FORMAT_WAV, SF_FORMAT_WAVEX, SF_FORMAT_RF64};
    const int wide[] = {SF_FORMAT_PCM_24, SF_FORMAT_PCM_32, SF_FORMAT_FLOAT, SF_FORMAT_DOUBLE};
    short v16[2 * N];
    unsigned char v8[2 * N];
    float v32[2 * N];

    (void)state;
    fill_floats(v32);
    for (int i = 0; i < 2 * N; i++) {
        v16[i] = (short)(i * 61 - 30000);
        v8[i] = (unsigned char)((v16[i] >> 8) + 128);
    }
    for (int t = 0; t < 3; t++) {
        want.format = UW_IQ_CI16;
        write_wav("a_433920kHz_IQ.wav", types[t] | SF_FORMAT_PCM_16, 2000000, v16, NULL);
        expect_samples("a_433920kHz_IQ.wav", &want, v16, sizeof(v16));
        want.format = UW_IQ_CU8;
        write_wav("a_433920kHz_IQ.wav", types[t] | SF_FORMAT_PCM_U8, 2000000, v16, NULL);
        expect_samples("a_433920kHz_IQ.wav", &want, v8, sizeof(v8));
        want.format = UW_IQ_CF32;
        for (int w = 0; w < 4; w++) {
            write_wav("a_433920kHz_IQ.wav", types[t] | wide[w], 2000000, NULL, v32);
            expect_samples("a_433920kHz_IQ.wav", &want, v32, sizeof(v32));
        }
    }
}

static void put32(unsigned char *p, uint32_t x) {
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(x >> 8 * i);
}

/* A header by hand: with the chunk of SDR programs, and a length that was never filled in. */
static void test_wav_auxi(void **state) {
    struct uw_source_info want = {.format = UW_IQ_CI16, .rate_hz = 2.4e6, .freq_hz = 868.5e6};
    unsigned char w[12 + 24 + 8 + 36 + 8 + 4 * N] = "RIFF....WAVEfmt ";
    unsigned char *p = w + 16;
    const unsigned time[8] = {2024, 5, 3, 15, 12, 34, 56, 789};

    (void)state;
    put32(w + 4, sizeof(w) - 8);
    put32(p, 16);
    memcpy(p + 4, "\1\0\2\0", 4);
    put32(p + 8, 2400000);
    put32(p + 12, 9600000);
    memcpy(p + 16, "\4\0\20\0auxi", 8);
    put32(p + 24, 36);
    for (int i = 0; i < 8; i++) {
        p[28 + 2 * i] = (unsigned char)(time[i] & 255);
        p[29 + 2 * i] = (unsigned char)(time[i] >> 8);
    }
    put32(p + 28 + 32, 868500000);
    memcpy(p + 64, "data", 4);
    put32(p + 68, 4 * N);
    memcpy(p + 72, bytes, 4 * N);
    assert_int_equal(uw_time_parse("2024-05-15T12:34:56.789Z", &want.start_ns), 0);
    write_bytes("aux.wav", w, sizeof(w));
    expect_samples("aux.wav", &want, bytes, 4 * N);
    put32(p + 68, 0xffffffff);
    write_bytes("aux.wav", w, sizeof(w));
    expect_samples("aux.wav", &want, bytes, 4 * N);
}

#define META(type)                                                                                 \
    "{\"global\":{\"core:datatype\":\"" type "\",\"core:sample_rate\":2400000,"                    \
    "\"core:version\":\"1.2.0\"},\"captures\":[{\"core:sample_start\":0,"                          \
    "\"core:frequency\":9.15e8,\"core:datetime\":\"2024-01-02T03:04:05.000000006Z\"}],"            \
    "\"annotations\":[]}"

static void test_sigmf_pair(void **state) {
    static const char *const names[] = {"p.sigmf-meta", "p.sigmf-data", "p"};
    struct uw_source_info want = want_cu8;
    unsigned char swapped[4 * N];

    (void)state;
    assert_int_equal(uw_time_parse("2024-01-02T03:04:05.000000006Z", &want.start_ns), 0);
    write_text("p.sigmf-meta", META("cu8"));
    write_bytes("p.sigmf-data", bytes, 2 * N);
    for (int i = 0; i < 3; i++)
        expect_samples(names[i], &want, bytes, 2 * N);
    want.format = UW_IQ_CI16;
    write_text("p.sigmf-meta", META("ci16_be"));
    write_bytes("p.sigmf-data", bytes, 4 * N);
    for (size_t i = 0; i < sizeof(swapped); i++)
        swapped[i] = bytes[i ^ 1];
    expect_samples("p", &want, swapped, sizeof(swapped));
}

/* Header, trailer, and a data file of another name. */
static void test_sigmf_dataset(void **state) {
    const struct uw_source_info want = {
        .format = UW_IQ_CI8, .rate_hz = 1e6, .freq_hz = NAN, .start_ns = 0};

    (void)state;
    write_text("q.sigmf-meta", "{\"global\":{\"core:datatype\":\"ci8\",\"core:sample_rate\":1e6,"
                               "\"core:version\":\"1.0.0\",\"core:dataset\":\"other.bin\","
                               "\"core:trailing_bytes\":3},\"captures\":[{\"core:sample_start\":0,"
                               "\"core:frequency\":0,\"core:header_bytes\":10}]}");
    write_bytes("other.bin", bytes, 10 + 2 * 400 + 3);
    expect_samples("q.sigmf-meta", &want, bytes + 10, 2 * 400);
}

static void add_member(struct archive *a, const char *name, const void *data, size_t n) {
    struct archive_entry *entry = archive_entry_new();

    archive_entry_set_pathname(entry, name);
    archive_entry_set_size(entry, (la_int64_t)n);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
    assert_int_equal(archive_write_data(a, data, n), (la_ssize_t)n);
    archive_entry_free(entry);
}

/* A copy for test_loops(). */
static int copy_for_loop(void) {
    char command[256];

    snprintf(command, sizeof(command), "cp %s/r.sigmf %s/loop.sigmf", test_dir, test_dir);
    return system(command);
}

static void test_sigmf_archive(void **state) {
    static const char meta[] = META("cu8");
    struct uw_source_info want = want_cu8;

    (void)state;
    assert_int_equal(uw_time_parse("2024-01-02T03:04:05.000000006Z", &want.start_ns), 0);
    for (int data_first = 0; data_first < 2; data_first++) {
        struct archive *a = archive_write_new();

        archive_write_set_format_pax_restricted(a);
        assert_int_equal(archive_write_open_filename(a, path_of("r.sigmf")), ARCHIVE_OK);
        if (!data_first)
            add_member(a, "r/r.sigmf-meta", meta, sizeof(meta) - 1);
        add_member(a, "r/r.sigmf-data", bytes, 2 * N);
        if (data_first)
            add_member(a, "r/r.sigmf-meta", meta, sizeof(meta) - 1);
        archive_write_free(a);
        expect_samples("r.sigmf", &want, bytes, 2 * N);
    }
    assert_int_equal(copy_for_loop(), 0);
    assert_int_equal(truncate(path_of("r.sigmf"), 900), 0);
    expect_error("r.sigmf", "truncated");
    write_text("n.sigmf", "this is no archive");
    expect_error("n.sigmf", "tar");
}

/* Over and over through each kind of file; what lies around the samples stays out. The real clock,
 * but at 50 MS/s it is not felt. */
static void expect_loop(const char *name, const unsigned char *want, size_t n_samples) {
    struct uw_source_params params;
    struct uw_source *source;
    unsigned char buf[2 * 100];
    struct uw_source_block got;
    uint64_t position = 0;

    uw_source_params_init(&params);
    params.type = UW_SOURCE_LOOP;
    params.path = path_of(name);
    params.rate_hz = UW_RATE_MAX_HZ;
    source = open_good(&params);
    while (position < 5 * n_samples) {
        assert_int_equal(uw_source_read(source, buf, 100, NULL, &got), 0);
        assert_int_equal(got.n, 100);
        position += got.lost;
        for (size_t i = 0; i < got.n; i++, position++)
            assert_memory_equal(buf + 2 * i, want + 2 * (position % n_samples), 2);
    }
    uw_source_close(source);
}

static void test_loops(void **state) {
    short v16[2 * N];
    unsigned char v8[2 * N];

    (void)state;
    for (int i = 0; i < 2 * N; i++) {
        v16[i] = (short)(i * 61 - 30000);
        v8[i] = (unsigned char)((v16[i] >> 8) + 128);
    }
    write_wav("a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_U8, 2000000, v16, NULL);
    expect_loop("a.wav", v8, N);
    expect_loop("x_915M_2400k.cu8", bytes, N);
    expect_loop("q.sigmf-meta", bytes + 10, 400);
    expect_loop("loop.sigmf", bytes, N);
}

/* Sparse, so it takes no room: byte counts and seeks beyond 32 bits. */
static void test_large(void **state) {
    const uint64_t size = (uint64_t)5 << 30;
    struct uw_source_params params;
    struct uw_source *source;

    (void)state;
    write_bytes("big_915M_50M.cf32", "", 0);
    if (truncate(path_of("big_915M_50M.cf32"), (off_t)size) < 0)
        skip();
    uw_source_params_init(&params);
    params.path = path_of("big_915M_50M.cf32");
    source = open_good(&params);
    assert_int_equal(uw_source_info(source)->n_samples, size / 8);
    uw_source_close(source);
}

/* A pipe stands for standard input: samples torn apart, then the end. */
static void test_stdin(void **state) {
    struct uw_source_params params;
    struct uw_source *source;
    struct uw_diag diag = {0};
    unsigned char buf[8192];
    size_t n;
    int fd[2], saved = dup(STDIN_FILENO);

    (void)state;
    uw_source_params_init(&params);
    params.path = "-";
    params.format = UW_IQ_CU8;
    params.rate_hz = 1e6;
    for (int torn = 0; torn < 2; torn++) {
        assert_int_equal(pipe(fd), 0);
        assert_int_equal(dup2(fd[0], STDIN_FILENO), STDIN_FILENO);
        source = open_good(&params);
        assert_int_equal(uw_source_info(source)->n_samples, 0);
        assert_int_equal(write(fd[1], bytes, (size_t)(2 * N + torn)), 2 * N + torn);
        close(fd[1]);
        close(fd[0]);
        assert_int_equal(read_whole(source, 100, buf, sizeof(buf), &diag, &n),
                         torn ? UW_E_INPUT : 0);
        assert_true(n >= N - 100 && n <= N);
        assert_memory_equal(buf, bytes, 2 * n);
        uw_source_close(source);
    }
    assert_non_null(strstr(diag.text[0], "standard input: truncated: 1003 bytes"));
    assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
    close(saved);
}

static void *stop_later(void *source) {
    usleep(20000);
    uw_source_stop(source);
    return NULL;
}

/* Nothing comes: only the stop ends the read. (Were it not to, the test would hang.) */
static void test_stop_wakes_stdin(void **state) {
    struct uw_source_params params;
    struct uw_source *source;
    pthread_t thread;
    unsigned char buf[64];
    struct uw_source_block got;
    int fd[2], saved = dup(STDIN_FILENO);

    (void)state;
    assert_int_equal(pipe(fd), 0);
    assert_int_equal(dup2(fd[0], STDIN_FILENO), STDIN_FILENO);
    uw_source_params_init(&params);
    params.path = "-";
    params.format = UW_IQ_CU8;
    params.rate_hz = 1e6;
    source = open_good(&params);
    assert_int_equal(pthread_create(&thread, NULL, stop_later, source), 0);
    assert_int_equal(uw_source_read(source, buf, 32, NULL, &got), 0);
    assert_int_equal(got.n, 0);
    assert_true(got.end);
    pthread_join(thread, NULL);
    uw_source_close(source);
    assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
    close(saved);
    close(fd[0]);
    close(fd[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_raw),
        cmocka_unit_test(test_params_override),
        cmocka_unit_test(test_wav),
        cmocka_unit_test(test_wav_auxi),
        cmocka_unit_test(test_sigmf_pair),
        cmocka_unit_test(test_sigmf_dataset),
        cmocka_unit_test(test_sigmf_archive),
        cmocka_unit_test(test_loops),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_stdin),
        cmocka_unit_test(test_stop_wakes_stdin),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
