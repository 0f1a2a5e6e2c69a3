/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is written is known to the byte, can be read back, and appears whole. */
#include "iq-test.h"

#include <dirent.h>

#include "uw/base/str.h"
#include "uw/iq/sigmf.h"

static const struct uw_sigmf_meta meta = {
    .format = UW_IQ_CI16,
    .rate_hz = 2400000.125,
    .freq_hz = 915e6,
    .start_ns = INT64_C(1704164645000000006),
};

static void write_one(const char *name) {
    const struct uw_sigmf_annotation late = {.start = 500,
                                             .count = 20,
                                             .lower_hz = 914.75e6,
                                             .upper_hz = 915.25e6,
                                             .label = "burst \"x\"",
                                             .comment = "SNR 3.0 dB",
                                             .extra_json = "{\"snr_db\":3.1,\"hop\":[1,2]}"};
    const struct uw_sigmf_annotation early = {
        .start = 10, .count = 5, .lower_hz = NAN, .upper_hz = NAN, .label = "first"};
    struct uw_sigmf_writer *writer;

    assert_int_equal(uw_sigmf_writer_new(path_of(name), &meta, "a test", &writer), 0);
    assert_int_equal(uw_sigmf_writer_annotate(writer, &late), 0);
    assert_int_equal(uw_sigmf_writer_annotate(writer, &early), 0);
    assert_int_equal(uw_sigmf_writer_global(writer, "seed", "42"), 0);
    assert_int_equal(access(path_of(name), F_OK), -1); /* nothing before the end */
    assert_int_equal(uw_sigmf_writer_finish(writer, NULL), 0);
    uw_sigmf_writer_free(writer);
}

static const char expected[] = "\"core:datatype\": \"ci16_le\",\n"
                               "  \"core:sample_rate\": 2400000.125,\n"
                               "  \"core:description\": \"a test\",\n";
static const char expected_tail[] = " \"captures\": [\n"
                                    "  {\n"
                                    "   \"core:sample_start\": 0,\n"
                                    "   \"core:frequency\": 915000000.000,\n"
                                    "   \"core:datetime\": \"2024-01-02T03:04:05.000000006Z\"\n"
                                    "  }\n"
                                    " ],\n"
                                    " \"annotations\": [\n"
                                    "  {\n"
                                    "   \"core:sample_start\": 10,\n"
                                    "   \"core:sample_count\": 5,\n"
                                    "   \"core:label\": \"first\"\n"
                                    "  },\n"
                                    "  {\n"
                                    "   \"core:sample_start\": 500,\n"
                                    "   \"core:sample_count\": 20,\n"
                                    "   \"core:freq_lower_edge\": 914750000.000,\n"
                                    "   \"core:freq_upper_edge\": 915250000.000,\n"
                                    "   \"core:label\": \"burst \\\"x\\\"\",\n"
                                    "   \"core:comment\": \"SNR 3.0 dB\",\n"
                                    "   \"uaswatch:snr_db\": 3.1,\n"
                                    "   \"uaswatch:hop\": [1,2]\n"
                                    "  }\n"
                                    " ]\n"
                                    "}\n";

static void test_text(void **state) {
    struct uw_sigmf_meta back;
    char *a, *b;
    size_t len, len_b;
    DIR *dir;
    int n = 0;

    (void)state;
    write_one("a.sigmf-meta");
    write_one("b.sigmf-meta");
    assert_int_equal(uw_file_read(path_of("a.sigmf-meta"), 65536, NULL, &a, &len), 0);
    assert_int_equal(uw_file_read(path_of("b.sigmf-meta"), 65536, NULL, &b, &len_b), 0);
    assert_int_equal(len, len_b);
    assert_memory_equal(a, b, len);
    assert_non_null(strstr(a, expected));
    assert_non_null(strstr(a, "\"core:version\": \"1.0.0\""));
    assert_non_null(strstr(a, "\"core:recorder\": \"uaswatch "));
    assert_non_null(strstr(a, "\"core:extensions\": [{\"name\": \"uaswatch\""));
    assert_non_null(strstr(a, "\"uaswatch:seed\": 42"));
    assert_true(len > sizeof(expected_tail));
    assert_string_equal(a + len - strlen(expected_tail), expected_tail);
    assert_int_equal(uw_sigmf_parse("a", a, len, NULL, &back), 0);
    assert_int_equal(back.format, UW_IQ_CI16);
    assert_true(back.rate_hz == meta.rate_hz && back.freq_hz == meta.freq_hz);
    assert_int_equal(back.start_ns, meta.start_ns);
    free(a);
    free(b);
    dir = opendir(test_dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    assert_int_equal(n, 4); /* ".", ".." and the two: no temporary file is left */
}

static void test_mistakes(void **state) {
    const struct uw_sigmf_annotation bad = {.label = "x", .extra_json = "[1]"};
    struct uw_sigmf_writer *writer;
    struct uw_diag diag = {0};

    (void)state;
    assert_int_equal(uw_sigmf_writer_new(path_of("no/such.sigmf-meta"), &meta, NULL, &writer), 0);
    assert_true(uw_sigmf_writer_annotate(writer, &bad) < 0);
    assert_int_equal(uw_sigmf_writer_finish(writer, &diag), UW_E_INPUT);
    assert_int_equal(diag.n, 1);
    assert_non_null(strstr(diag.text[0], "such.sigmf-meta"));
    assert_null(uw_sigmf_writer_free(writer));
    assert_null(uw_sigmf_writer_free(NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text),
                                       cmocka_unit_test(test_mistakes)};

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
