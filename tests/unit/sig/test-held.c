/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Packets that wait for stronger ones */

#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "held-impl.h"

static struct uw_held held;

static void add(double start, double offset_hz, double sum) {
    const struct uw_held_hit hit = {
        .packet = {.start = start,
                   .stop = start + 100.0,
                   .offset_hz = offset_hz,
                   .bandwidth_hz = 500e3},
        .sum = sum,
        .until = start + 50.0,
    };

    uw_held_add(&held, &hit);
}

/* The strongest of a packet, alone and in its time; others in the order of time. */
static void test_held(void **state) {
    struct uw_packet p;

    (void)state;
    memset(&held, 0, sizeof(held));
    add(1000.0, 0.0, 20.0);
    add(400.0, 0.0, 20.0);
    add(420.0, 100e3, 30.0); /* the same, better measured */
    add(430.0, 700e3, 10.0); /* another channel */
    assert_false(uw_held_next(&held, 450.0, &p));
    assert_true(uw_held_next(&held, 500.0, &p) && p.start == 420.0);
    assert_true(uw_held_next(&held, 500.0, &p) && p.start == 430.0);
    assert_false(uw_held_next(&held, 500.0, &p));
    assert_true(uw_held_next(&held, 1e9, &p) && p.start == 1000.0);
    assert_int_equal(held.n, 0);
}

/* What is too much costs the weakest. */
static void test_full(void **state) {
    struct uw_packet p;
    double least = 0.0;
    int n = 0;

    (void)state;
    memset(&held, 0, sizeof(held));
    for (int i = 0; i <= UW_HELD_MAX; ++i)
        add(1000.0 * (i + 1), 0.0, i == 7 ? 1.0 : 5.0 + i);
    for (; uw_held_next(&held, 1e9, &p); ++n) {
        assert_true(p.start > least && p.start != 8000.0);
        least = p.start;
    }
    assert_int_equal(n, UW_HELD_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
