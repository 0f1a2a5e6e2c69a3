/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Every value of every format, and what counts as full scale */

#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "uw/dsp/convert.h"

#define ULP 1.2e-7 /* of a float near 1 */

static void check(float complex got, double re, double im) {
    assert_true(fabs((double)crealf(got) - re) <= ULP);
    assert_true(fabs((double)cimagf(got) - im) <= ULP);
}

static void test_cu8(void **state) {
    uint8_t in[512];
    float complex out[256];

    (void)state;
    for (int i = 0; i < 256; ++i) {
        in[2 * i] = (uint8_t)i;
        in[2 * i + 1] = (uint8_t)(255 - i);
    }
    /* 0 and 255, each once as I with the other as Q */
    assert_int_equal(uw_convert(UW_IQ_CU8, in, 256, out), 2);
    for (int i = 0; i < 256; ++i)
        check(out[i], (i - 127.5) / 127.5, (127.5 - i) / 127.5);
    assert_true(crealf(out[0]) == -1.0f && crealf(out[255]) == 1.0f);
}

static void test_ci8(void **state) {
    int8_t in[512];
    float complex out[256];

    (void)state;
    for (int i = 0; i < 256; ++i) {
        in[2 * i] = (int8_t)(i - 128);
        in[2 * i + 1] = 5;
    }
    assert_int_equal(uw_convert(UW_IQ_CI8, in, 256, out), 2);
    for (int i = 0; i < 256; ++i)
        check(out[i], (i - 128) / 127.5, 5 / 127.5);
}

static void test_ci16(void **state) {
    enum { N = 65536 };
    unsigned char *in = malloc(4 * N + 1);
    float complex *out = malloc(N * sizeof(*out));

    (void)state;
    assert_true(in && out);
    /* at an odd address, as a file may have it */
    for (int i = 0; i < N; ++i) {
        const int16_t v[2] = {(int16_t)(i - 32768), -7};

        memcpy(in + 1 + 4 * i, v, sizeof(v));
    }
    assert_int_equal(uw_convert(UW_IQ_CI16, in + 1, N, out), 2);
    for (int i = 0; i < N; ++i)
        check(out[i], (i - 32768) / 32767.5, -7 / 32767.5);
    free(in);
    free(out);
}

static void test_cf32(void **state) {
    static const float in[] = {0.25f, -0.5f, 1.0f,  0.0f,    0.0f,   -1.0f,
                               3.0f,  2.0f,  0.99f, 0.9999f, -1e-6f, 1e-30f};
    unsigned char bytes[sizeof(in) + 1];
    float complex out[6];

    (void)state;
    memcpy(bytes + 1, in, sizeof(in));
    assert_int_equal(uw_convert(UW_IQ_CF32, bytes + 1, 6, out), 3);
    for (int i = 0; i < 6; ++i)
        assert_true(crealf(out[i]) == in[2 * i] && cimagf(out[i]) == in[2 * i + 1]);
}

/* A sample counts once, whether one or both of its parts are at full scale. */
static void test_clip_counts_samples(void **state) {
    static const uint8_t in[] = {255, 255, 255, 100, 100, 0, 254, 1, 128, 127};
    static const int8_t in8[] = {127, -128, 0, 127, 126, -127, -128, 0};
    float complex out[5];

    (void)state;
    assert_int_equal(uw_convert(UW_IQ_CU8, in, 5, out), 3);
    assert_int_equal(uw_convert(UW_IQ_CI8, in8, 4, out), 3);
    assert_int_equal(uw_convert(UW_IQ_CU8, in, 0, out), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cu8),
        cmocka_unit_test(test_ci8),
        cmocka_unit_test(test_ci16),
        cmocka_unit_test(test_cf32),
        cmocka_unit_test(test_clip_counts_samples),
    };

    return cmocka_run_group_tests_name("convert", tests, NULL, NULL);
}
