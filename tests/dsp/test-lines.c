/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Lines of short windows against the sum that defines them
 */

#undef NDEBUG
#include <complex.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "signal.h"
#include "uw/base/util.h"
#include "uw/dsp/lines.h"

#define UNIT_MAX   512
#define AMPLITUDES (UNIT_MAX + UNIT_MAX / 32 * UW_LINES_PAD)

static struct uw_lines *lines;
static float re[UNIT_MAX], im[UNIT_MAX], power[UNIT_MAX + 1];

static int set_up(void **state) {
    (void)state;
    return uw_lines_new(&lines);
}

static int tear_down(void **state) {
    (void)state;
    lines = uw_lines_free(lines);
    return 0;
}

static void make_noise(uint64_t seed) {
    static float complex x[UNIT_MAX];

    signal_noise(x, UNIT_MAX, 1.0, &seed);
    for (size_t i = 0; i < UNIT_MAX; ++i) {
        re[i] = crealf(x[i]);
        im[i] = cimagf(x[i]);
    }
}

/* One line of the window at `at`, times the chirp. */
static double complex line_of(int sf, size_t at, size_t line, const float *c, const float *s) {
    const size_t n = (size_t)1 << sf;
    double complex sum = 0.0;

    for (size_t i = 0; i < n; ++i) {
        double complex v = (double)re[at + i] + I * (double)im[at + i];

        if (c)
            v *= (double)c[at + i] + I * (double)s[at + i];
        sum += v * cexp(-2.0 * UW_PI * I * (double)(i * line % n) / (double)n);
    }
    return sum;
}

static double square(double complex x) {
    return creal(x * conj(x));
}

static void check_unit(int sf, const float *c, const float *s) {
    const size_t n = (size_t)1 << sf;

    power[uw_lines_unit(sf)] = -7.0f;
    uw_lines_run(lines, sf, re, im, c, s, power);
    assert_true(power[uw_lines_unit(sf)] == -7.0f);
    for (size_t at = 0; at < uw_lines_unit(sf); at += n) {
        for (size_t b = 0; b < n; ++b) {
            const double is = (double)power[at + uw_lines_place(sf, b)];

            /* the mean power is n */
            assert_true(fabs(is - square(line_of(sf, at, b, c, s))) < 2e-6 * (double)n);
        }
    }
}

static void test_definition(void **state) {
    (void)state;
    for (int sf = UW_LINES_SF_MIN; sf <= UW_LINES_SF_MAX; ++sf) {
        const float *c, *s;

        make_noise(70 + (uint64_t)sf);
        check_unit(sf, NULL, NULL);
        for (int down = 0; down < 2; ++down) {
            uw_lines_chirp(lines, sf, down == 1, &c, &s);
            check_unit(sf, c, s);
        }
    }
}

/* The amplitudes themselves; what stands above a line is the amplitude of the next one. */
static void test_amplitudes(void **state) {
    static float line_re[AMPLITUDES + 1], line_im[AMPLITUDES + 1];

    (void)state;
    for (int sf = UW_LINES_SF_MIN; sf <= UW_LINES_SF_MAX; ++sf) {
        const size_t n = (size_t)1 << sf;
        const size_t len = UNIT_MAX / n * uw_lines_stride(sf);
        const float *c, *s;

        make_noise(80 + (uint64_t)sf);
        uw_lines_chirp(lines, sf, sf % 2 == 1, &c, &s);
        line_re[len] = line_im[len] = -7.0f;
        uw_lines_amplitudes(lines, sf, UNIT_MAX, re, im, c, s, line_re, line_im);
        assert_true(line_re[len] == -7.0f && line_im[len] == -7.0f);
        for (size_t at = 0; at < UNIT_MAX; at += n) {
            const size_t from = at / n * uw_lines_stride(sf);

            for (size_t b = 0; b < n; ++b) {
                assert_int_equal(uw_lines_line(sf, uw_lines_place(sf, b)), b);

                const size_t place = from + uw_lines_place(sf, b);
                const size_t above = from + uw_lines_above(sf, uw_lines_place(sf, b));
                const double complex is = (double)line_re[place] + I * (double)line_im[place];
                const double complex next = (double)line_re[above] + I * (double)line_im[above];

                assert_true(cabs(is - line_of(sf, at, b, c, s)) < 1e-6 * (double)n);
                assert_true(cabs(next - line_of(sf, at, (b + 1) % n, c, s)) < 1e-6 * (double)n);
            }
        }
    }
}

/* Half-way between two lines a tone is there with 8 / pi^2 of its power, 0.9 dB less, as half the
 * power of both lines' difference. */
static void test_half_way(void **state) {
    static float line_re[AMPLITUDES], line_im[AMPLITUDES];

    (void)state;
    for (int sf = UW_LINES_SF_MIN; sf <= UW_LINES_SF_MAX; ++sf) {
        const double n = (double)(1 << sf);
        const double line = n - 0.5; /* the wrap, too */
        const size_t place = uw_lines_place(sf, (size_t)n - 1);
        const size_t above = uw_lines_above(sf, place);
        const float *c, *s;

        uw_lines_chirp(lines, sf, false, &c, &s);
        for (size_t i = 0; i < UNIT_MAX; ++i) {
            const double phase = 2.0 * UW_PI * line * fmod((double)i, n) / n;
            const double complex x =
                (cos(phase) + I * sin(phase)) / ((double)c[i] + I * (double)s[i]);

            re[i] = (float)creal(x);
            im[i] = (float)cimag(x);
        }
        uw_lines_amplitudes(lines, sf, UNIT_MAX, re, im, c, s, line_re, line_im);
        const double complex apart = (double)(line_re[place] - line_re[above]) +
                                     I * (double)(line_im[place] - line_im[above]);
        assert_true(fabs(0.5 * square(apart) / (n * n) - 8.0 / (UW_PI * UW_PI)) < 2e-3);
    }
}

/* Each line has a place of its own. */
static void test_places(void **state) {
    (void)state;
    for (int sf = UW_LINES_SF_MIN; sf <= UW_LINES_SF_MAX; ++sf) {
        bool taken[UNIT_MAX] = {false};

        for (size_t b = 0; b < (size_t)1 << sf; ++b) {
            const size_t place = uw_lines_place(sf, b);

            assert_true(place < (size_t)1 << sf && !taken[place]);
            taken[place] = true;
        }
    }
}

/* A chirp that begins `line` chips late is one line with all its power. */
static void test_chirps(void **state) {
    (void)state;
    for (int sf = UW_LINES_SF_MIN; sf <= UW_LINES_SF_MAX; ++sf) {
        const size_t n = (size_t)1 << sf;

        for (int down = 0; down < 2; ++down) {
            const size_t line = 3 * n / 8 + (size_t)down;
            const float *c, *s;

            for (size_t i = 0; i < UNIT_MAX; ++i) {
                const double t = (double)((i + line) % n);
                const double phase = UW_PI * (t * t / (double)n - t) * (down ? -1.0 : 1.0);

                re[i] = (float)cos(phase);
                im[i] = (float)sin(phase);
            }
            uw_lines_chirp(lines, sf, down == 1, &c, &s);
            uw_lines_run(lines, sf, re, im, c, s, power);
            for (size_t at = 0; at < uw_lines_unit(sf); at += n) {
                const size_t expected = down ? n - line : line;

                assert_true(power[at + uw_lines_place(sf, expected)] >
                            0.999f * (float)n * (float)n);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition), cmocka_unit_test(test_amplitudes),
        cmocka_unit_test(test_half_way),   cmocka_unit_test(test_places),
        cmocka_unit_test(test_chirps),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
