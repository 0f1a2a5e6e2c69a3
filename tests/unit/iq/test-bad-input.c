/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bad files get one message that names the file and what is wrong. */
#include "iq-test.h"

#include <sndfile.h>

static void test_raw(void **state) {
    static const unsigned char odd[7] = {0};
    const float bad[] = {0, 1, 2, NAN, 4, 5}, inf[] = {0, 1, -INFINITY, 3, 4, 5};
    struct uw_source_params params;

    (void)state;
    write_bytes("empty_915M_1M.cu8", "", 0);
    expect_error("empty_915M_1M.cu8", "empty");
    write_bytes("odd_915M_1M.cu8", odd, 7);
    expect_error("odd_915M_1M.cu8", "truncated: 7 bytes");
    write_bytes("odd_915M_1M.cf32", odd, 7);
    expect_error("odd_915M_1M.cf32", "8 bytes");
    write_bytes("nan_1M.cf32", bad, sizeof(bad));
    expect_error("nan_1M.cf32", "sample 1 is not a finite number");
    write_bytes("inf_1M.cf32", inf, sizeof(inf));
    expect_error("inf_1M.cf32", "sample 1 is not");
    write_bytes("x.bin", odd, 6);
    expect_error("x.bin", "--format");
    write_bytes("x.cu8", odd, 6);
    expect_error("x.cu8", "--rate");
    write_bytes("x_915M_249999sps.cu8", odd, 6);
    expect_error("x_915M_249999sps.cu8", "249999 Hz");
    write_bytes("x_2450M_51Msps.cu8", odd, 6);
    expect_error("x_2450M_51Msps.cu8", "51000000 Hz");
    expect_error("missing_915M_1M.cu8", "No such file");
    uw_source_params_init(&params);
    params.path = test_dir;
    expect_error_params(&params, test_dir, "directory");
    params.path = path_of("x.cu8");
    params.rate_hz = 1e6;
    params.freq_hz = -5;
    expect_error_params(&params, "x.cu8", "-5 Hz");
}

#define G    "\"core:datatype\":\"cu8\",\"core:sample_rate\":1000000,\"core:version\":\"1.0.0\""
#define CAPS ",\"captures\":[{\"core:sample_start\":0}]}"

static void test_sigmf_text(void **state) {
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"", "m.sigmf-meta"},
        {"{\n\"global\":\n  nonsense}", "m.sigmf-meta:3:"},
        {"[]", "object"},
        {"{\"captures\":[]}", "global: missing"},
        {"{\"global\":[]}", "global: must be an object"},
        {"{\"global\":{" G "}}", "captures: missing"},
        {"{\"global\":{" G "},\"captures\":{}}", "captures: must be an array"},
        {"{\"global\":{" G "},\"captures\":[1]}", "captures[0]: must be an object"},
        {"{\"global\":{" G "},\"captures\":[{}]}", "core:sample_start: missing"},
        {"{\"global\":{" G "},\"captures\":[{\"core:sample_start\":-1}]}", "core:sample_start"},
        {"{\"global\":{" G "},\"captures\":[{\"core:sample_start\":0.5}]}", "core:sample_start"},
        {"{\"global\":{" G "},\"captures\":[{\"core:sample_start\":9e99}]}", "core:sample_start"},
        {"{\"global\":{" G "},\"captures\":[{\"core:sample_start\":99999999999999999999}]}",
         "m.sigmf-meta:1: too big integer"},
        {"{\"global\":{" G "},\"captures\":[{\"core:sample_start\":0,\"core:frequency\":\"9\"}]}",
         "captures[0].core:frequency: must be a number"},
        {"{\"global\":{" G "},\"captures\":[{\"core:sample_start\":0,\"core:frequency\":-1}]}",
         "core:frequency: -1 is outside"},
        {"{\"global\":{" G "},\"captures\":[{\"core:sample_start\":0,\"core:datetime\":\"now\"}]}",
         "core:datetime"},
        {"{\"global\":{" G "},\"captures\":[{\"core:sample_start\":0,\"core:frequency\":1e9},"
         "{\"core:sample_start\":1,\"core:frequency\":2e9}]}",
         "captures[1].core:frequency"},
        {"{\"global\":{" G "},\"captures\":[{\"core:sample_start\":2},{\"core:sample_start\":1}]}",
         "out of order"},
        {"{\"global\":{\"core:version\":\"1.0.0\",\"core:sample_rate\":1e6}" CAPS,
         "core:datatype: missing"},
        {"{\"global\":{\"core:datatype\":\"cu8\",\"core:sample_rate\":1e6}" CAPS,
         "core:version: missing"},
        {"{\"global\":{\"core:version\":\"1.0.0\",\"core:datatype\":\"cu8\"}" CAPS,
         "core:sample_rate: missing"},
        {"{\"global\":{\"core:version\":\"1.0.0\",\"core:datatype\":\"ru8\","
         "\"core:sample_rate\":1e6}" CAPS,
         "\"ru8\" holds real samples"},
        {"{\"global\":{\"core:version\":\"1.0.0\",\"core:datatype\":\"cf64_le\","
         "\"core:sample_rate\":1e6}" CAPS,
         "\"cf64_le\" is not supported"},
        {"{\"global\":{\"core:version\":\"1.0.0\",\"core:datatype\":8,"
         "\"core:sample_rate\":1e6}" CAPS,
         "core:datatype: must be a string"},
        {"{\"global\":{\"core:version\":\"1.0.0\",\"core:datatype\":\"cu8\","
         "\"core:sample_rate\":\"1e6\"}" CAPS,
         "core:sample_rate: must be a number"},
        {"{\"global\":{\"core:version\":\"1.0.0\",\"core:datatype\":\"cu8\","
         "\"core:sample_rate\":1e999}" CAPS,
         "m.sigmf-meta:1:"},
        {"{\"global\":{\"core:version\":\"1.0.0\",\"core:datatype\":\"cu8\","
         "\"core:sample_rate\":1e15}" CAPS,
         "core:sample_rate: 1e+15 is outside"},
        {"{\"global\":{\"core:version\":\"1.0.0\",\"core:datatype\":\"cu8\","
         "\"core:sample_rate\":8000}" CAPS,
         "8000 Hz is outside"},
        {"{\"global\":{" G ",\"core:num_channels\":2}" CAPS, "core:num_channels"},
        {"{\"global\":{" G ",\"core:metadata_only\":true}" CAPS, "core:metadata_only"},
        {"{\"global\":{" G ",\"core:dataset\":\"../m.sigmf-data\"}" CAPS, "core:dataset"},
        {"{\"global\":{" G ",\"core:version\":\"1.0.0\"}" CAPS, "duplicate"},
    };

    (void)state;
    write_bytes("m.sigmf-data", "abcd", 4);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_text("m.sigmf-meta", cases[i].text);
        expect_error("m.sigmf-meta", cases[i].word);
    }
}

static void test_sigmf_bomb(void **state) {
    const size_t n = 3000000;
    char *text = malloc(n + 1);

    (void)state;
    assert_non_null(text);
    memset(text, '[', n);
    text[n] = '\0';
    write_text("bomb.sigmf-meta", text);
    expect_error("bomb.sigmf-meta", "bomb.sigmf-meta:1: maximum parsing depth");
    free(text);
}

static void test_sigmf_data(void **state) {
    struct uw_source_params params;

    (void)state;
    uw_source_params_init(&params);
    params.path = path_of("d.sigmf-meta");
    write_text("d.sigmf-meta", "{\"global\":{" G "}" CAPS);
    expect_error_params(&params, "d.sigmf-data", "No such file");
    write_bytes("d.sigmf-data", "", 0);
    expect_error_params(&params, "d.sigmf-data", "empty");
    write_bytes("d.sigmf-data", "abc", 3);
    expect_error_params(&params, "d.sigmf-data", "truncated: 3 bytes");
    write_bytes("d.sigmf-data", "abcd", 4);
    write_text("d.sigmf-meta", "{\"global\":{" G "},\"captures\":[{\"core:sample_start\":0},"
                               "{\"core:sample_start\":2}]}");
    expect_error_params(&params, "d.sigmf-data", "capture begins at sample 2");
    write_text("d.sigmf-meta", "{\"global\":{" G "},\"captures\":[{\"core:sample_start\":0,"
                               "\"core:header_bytes\":5}]}");
    expect_error_params(&params, "d.sigmf-data", "empty");
    write_text("d.sigmf-meta", "{\"global\":{" G "}" CAPS);
    params.path = path_of("d.sigmf-meta");
    params.format = UW_IQ_CI16;
    expect_error_params(&params, "d.sigmf-data", "ci16 was asked for");
    write_bytes("alone.sigmf-data", "abcd", 4);
    uw_source_params_init(&params);
    params.path = path_of("alone.sigmf-data");
    expect_error_params(&params, "alone.sigmf-meta", "No such file");
}

static void write_wav(const char *name, int format, int channels, int rate) {
    SF_INFO info = {.samplerate = rate, .channels = channels, .format = format};
    SNDFILE *file = sf_open(path_of(name), SFM_WRITE, &info);
    short v[64] = {0};

    assert_non_null(file);
    assert_int_equal(sf_write_short(file, v, 64), 64);
    assert_int_equal(sf_close(file), 0);
}

static void test_wav(void **state) {
    (void)state;
    write_wav("mono.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1, 1000000);
    expect_error("mono.wav", "1 channel;");
    write_wav("four.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 4, 1000000);
    expect_error("four.wav", "4 channels;");
    write_wav("slow.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 2, 48000);
    expect_error("slow.wav", "48000 Hz");
    write_wav("ulaw.wav", SF_FORMAT_WAV | SF_FORMAT_ULAW, 2, 1000000);
    expect_error("ulaw.wav", "compressed");
    write_wav("adpcm.wav", SF_FORMAT_WAV | SF_FORMAT_MS_ADPCM, 2, 1000000);
    expect_error("adpcm.wav", "compressed");
    write_wav("aiff.wav", SF_FORMAT_AIFF | SF_FORMAT_PCM_16, 2, 1000000);
    expect_error("aiff.wav", "not a WAV file");
    write_wav("cut.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 2, 1000000);
    assert_int_equal(truncate(path_of("cut.wav"), 44 + 30), 0);
    expect_error("cut.wav", "truncated: 30 bytes of samples, but the header promises 128");
    assert_int_equal(truncate(path_of("cut.wav"), 30), 0);
    expect_error("cut.wav", "cut.wav: ");
    assert_int_equal(truncate(path_of("cut.wav"), 0), 0);
    expect_error("cut.wav", "empty");
}

static void test_loop_of_pipe(void **state) {
    struct uw_source_params params;

    (void)state;
    uw_source_params_init(&params);
    params.type = UW_SOURCE_LOOP;
    params.path = "-";
    params.format = UW_IQ_CU8;
    params.rate_hz = 1e6;
    if (isatty(STDIN_FILENO))
        skip();
    expect_error_params(&params, "standard input", "cannot be looped");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_raw),        cmocka_unit_test(test_sigmf_text),
        cmocka_unit_test(test_sigmf_bomb), cmocka_unit_test(test_sigmf_data),
        cmocka_unit_test(test_wav),        cmocka_unit_test(test_loop_of_pipe),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
