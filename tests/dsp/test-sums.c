/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Sums against sums in double precision, of all lengths that end anywhere in a vector */

#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "signal.h"
#include "uw/dsp/sums.h"

#define N_MAX 700

static void test_lengths(void **state) {
    static float complex x[N_MAX];
    uint64_t random = 7;

    (void)state;
    signal_noise(x, N_MAX, 2.0, &random);
    for (size_t n = 0; n <= N_MAX; ++n) {
        double sum = 0.0;
        double energy = 0.0;

        for (size_t i = 0; i < n; ++i) {
            sum += (double)(crealf(x[i]) + cimagf(x[i]));
            energy += (double)(crealf(x[i]) * crealf(x[i]) + cimagf(x[i]) * cimagf(x[i]));
        }
        assert_true(fabs((double)uw_sum((const float *)x, 2 * n) - sum) < 1e-3);
        assert_true(fabs((double)uw_energy(x, n) - energy) <= 1e-5 * energy);
    }
}

/* None is lost, none is counted twice. */
static void test_each(void **state) {
    static float complex x[N_MAX];

    (void)state;
    for (size_t n = 1; n <= N_MAX; n += 13) {
        for (size_t i = 0; i < n; ++i) {
            x[i] = 3.0f + 4.0f * I;
            assert_true(uw_energy(x, n) == 25.0f && uw_sum((const float *)x, 2 * n) == 7.0f);
            x[i] = 0.0f;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_each),
    };

    return cmocka_run_group_tests_name("sums", tests, NULL, NULL);
}
