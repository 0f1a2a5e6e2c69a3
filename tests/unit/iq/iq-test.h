/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_TEST_IQ_H
#define UW_TEST_IQ_H

/* Files in a directory of the test's own, and what opening or reading them says. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "uw/base/err.h"
#include "uw/base/time.h"
#include "uw/iq/source.h"

static char test_dir[64];

static inline int make_dir(void **state) {
    (void)state;
    strcpy(test_dir, "/tmp/uw-iq-XXXXXX");
    return mkdtemp(test_dir) ? 0 : -1;
}

static inline int remove_dir(void **state) {
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", test_dir);
    return system(command);
}

/* Path in the test's directory; one at a time. */
static inline const char *path_of(const char *name) {
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", test_dir, name);
    return path;
}

static inline void write_bytes(const char *name, const void *bytes, size_t n) {
    FILE *f = fopen(path_of(name), "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static inline void write_text(const char *name, const char *text) {
    write_bytes(name, text, strlen(text));
}

/* A whole file in blocks of `block` samples; returns what the last call said. */
static inline int read_whole(struct uw_source *source, size_t block, unsigned char *buf,
                             size_t buf_len, struct uw_diag *diag, size_t *ret_n) {
    size_t size = uw_iq_format_size(uw_source_info(source)->format), n = 0;

    for (;;) {
        struct uw_source_block got;
        int r;

        assert_true((n + block) * size <= buf_len);
        memset(&got, 99, sizeof(got));
        r = uw_source_read(source, buf + n * size, block, diag, &got);
        if (r || got.end) {
            assert_true(r || got.n == 0);
            *ret_n = n;
            return r;
        }
        assert_int_equal(got.lost, 0);
        assert_false(got.fresh);
        assert_true(isnan(got.gain_db));
        assert_memory_equal(&got.freq_hz, &uw_source_info(source)->freq_hz, sizeof(double));
        assert_true(got.n > 0 && got.n <= block);
        n += got.n;
    }
}

static inline struct uw_source *open_good(const struct uw_source_params *params) {
    static struct uw_diag diag;
    struct uw_source *source = NULL;
    int r;

    memset(&diag, 0, sizeof(diag));
    r = uw_source_open(params, &diag, &source);
    if (r)
        fail_msg("%s: %d %s", params->path, r, diag.n ? diag.text[0] : "");
    assert_int_equal(diag.n, 0);
    return source;
}

/* The file must yield exactly these bytes, whatever the block size. */
static inline void expect_samples(const char *name, const struct uw_source_info *want,
                                  const void *bytes, size_t n_bytes) {
    static const size_t blocks[] = {1, 3, 7, 1000};
    struct uw_source_params params;

    uw_source_params_init(&params);
    params.path = path_of(name);
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        struct uw_source *source = open_good(&params);
        const struct uw_source_info *info = uw_source_info(source);
        unsigned char buf[65536];
        size_t n;

        assert_int_equal(info->format, want->format);
        assert_true(info->rate_hz == want->rate_hz);
        if (isnan(want->freq_hz))
            assert_true(isnan(info->freq_hz));
        else
            assert_true(info->freq_hz == want->freq_hz);
        assert_int_equal(info->start_ns, want->start_ns);
        assert_int_equal(info->n_samples, n_bytes / uw_iq_format_size(want->format));
        assert_false(info->live);
        assert_int_equal(read_whole(source, blocks[i], buf, sizeof(buf), NULL, &n), 0);
        assert_int_equal(n, info->n_samples);
        assert_memory_equal(buf, bytes, n_bytes);
        uw_source_close(source);
    }
}

/* Opening or reading must fail with one message that names the file and has `word`. */
static inline void expect_error_params(const struct uw_source_params *params, const char *name,
                                       const char *word) {
    struct uw_source *source = NULL;
    struct uw_diag diag = {0};
    unsigned char buf[65536];
    size_t n;
    int r;

    r = uw_source_open(params, &diag, &source);
    if (!r)
        r = read_whole(source, 100, buf, sizeof(buf), &diag, &n);
    if (r != UW_E_INPUT || diag.n != 1 || !strstr(diag.text[0], name) ||
        !strstr(diag.text[0], word))
        fail_msg("%s: %d, %d messages: \"%s\" should say \"%s\"", name, r, diag.n,
                 diag.n ? diag.text[0] : "", word);
    uw_source_close(source);
}

static inline void expect_error(const char *name, const char *word) {
    struct uw_source_params params;

    uw_source_params_init(&params);
    params.path = path_of(name);
    expect_error_params(&params, name, word);
}

#endif
