/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The latest samples of a stream, and packets that wait for stronger ones */

#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "held-impl.h"
#include "ring-impl.h"

/* Sample number i is i, whatever the sizes they come in; what the ring holds is given back, and
 * blocks lie in one piece. */
static void test_ring(void **state) {
    enum { ROOM = 5000, FRAME = 120, FRAMES = 700 };
    static float complex frame[FRAME];
    float complex *scratch = calloc(ROOM + UW_RING_BLOCK, sizeof(*scratch));
    struct uw_ring ring;
    int wrapped = 0;

    (void)state;
    assert_non_null(scratch);
    assert_int_equal(uw_ring_init(&ring, ROOM), 0);
    assert_true(ring.room >= ROOM && ring.room % UW_RING_BLOCK == 0);
    for (int f = 0; f < FRAMES; ++f) {
        float complex *to = uw_ring_next(&ring, FRAME);

        wrapped += !to;
        to = to ? to : frame;
        for (int i = 0; i < FRAME; ++i)
            to[i] = (float)(f * FRAME + i);
        uw_ring_add(&ring, to, FRAME);
        assert_true(ring.n == (uint64_t)(f + 1) * FRAME);
        const size_t n = ring.n < ring.room ? (size_t)ring.n : ring.room;
        const float complex *got = uw_ring_get(&ring, ring.n - n, n, scratch);
        for (size_t i = 0; i < n; ++i)
            assert_true(crealf(got[i]) == (float)(ring.n - n + i));
        if (ring.n >= UW_RING_BLOCK) {
            const uint64_t from = (ring.n / UW_RING_BLOCK - 1) * UW_RING_BLOCK;
            const float complex *block = uw_ring_block(&ring, from);

            assert_true(crealf(block[0]) == (float)from);
            assert_true(crealf(block[UW_RING_BLOCK - 1]) == (float)(from + UW_RING_BLOCK - 1));
        }
    }
    assert_true(wrapped > 5);
    uw_ring_deinit(&ring);
    assert_null(ring.samples);
    free(scratch);
}

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
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
