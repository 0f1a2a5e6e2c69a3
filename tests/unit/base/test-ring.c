/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>

#include "uw/base/ring.h"
#include "uw/base/thread.h"
#include "uw/base/util.h"

#define N_ITEMS 200000

static void test_full_and_empty(void **state) {
    UW_CLEANUP(uw_ring_freep) struct uw_ring *ring = NULL;
    int item[3];

    (void)state;
    assert_int_equal(uw_ring_new(2, &ring), 0);
    for (int round = 0; round < 5; round++) { /* across the end of the slots */
        assert_null(uw_ring_pop(ring));
        assert_true(uw_ring_push(ring, &item[0]));
        assert_true(uw_ring_push(ring, &item[1]));
        assert_false(uw_ring_push(ring, &item[2]));
        assert_int_equal(uw_ring_used(ring), 2);
        assert_ptr_equal(uw_ring_pop(ring), &item[0]);
        assert_true(uw_ring_push(ring, &item[2]));
        assert_ptr_equal(uw_ring_pop(ring), &item[1]);
        assert_ptr_equal(uw_ring_pop(ring), &item[2]);
        assert_null(uw_ring_pop(ring));
        assert_int_equal(uw_ring_used(ring), 0);
        assert_true(uw_ring_push(ring, &item[0])); /* an odd number each round */
        assert_ptr_equal(uw_ring_pop(ring), &item[0]);
    }
}

static void test_capacity(void **state) {
    (void)state;
    for (size_t capacity = 1; capacity < 40; capacity++) {
        UW_CLEANUP(uw_ring_freep) struct uw_ring *ring = NULL;
        size_t n = 0;
        int item;

        assert_int_equal(uw_ring_new(capacity, &ring), 0);
        while (uw_ring_push(ring, &item))
            n++;
        assert_true(n >= capacity && n < 2 * capacity);
        assert_int_equal(uw_ring_used(ring), n);
    }
}

struct pair {
    struct uw_ring *there, *back;
    unsigned numbers[8]; /* a pool that goes round, as a live source uses it */
    bool in_order;
};

static struct pair pair;

static void produce(void *p) {
    struct pair *pair_ = p;

    for (unsigned i = 0; i < N_ITEMS; i++) {
        unsigned *number;

        while (!(number = uw_ring_pop(pair_->back)))
            sched_yield();
        *number = i * 7 + 1;
        if (!uw_ring_push(pair_->there, number))
            return; /* there are not more numbers than places */
    }
}

static void consume(void *p) {
    struct pair *pair_ = p;

    pair_->in_order = true;
    for (unsigned i = 0; i < N_ITEMS; i++) {
        unsigned *number;

        while (!(number = uw_ring_pop(pair_->there)))
            sched_yield();
        if (*number != i * 7 + 1 || uw_ring_used(pair_->there) > 8)
            pair_->in_order = false;
        *number = 0;
        if (!uw_ring_push(pair_->back, number))
            pair_->in_order = false;
    }
}

static void test_two_threads(void **state) {
    struct uw_thread *producer = NULL, *consumer = NULL;

    (void)state;
    assert_int_equal(uw_ring_new(8, &pair.there), 0);
    assert_int_equal(uw_ring_new(8, &pair.back), 0);
    for (int i = 0; i < 8; i++)
        assert_true(uw_ring_push(pair.back, &pair.numbers[i]));
    assert_int_equal(uw_thread_start("consumer", consume, &pair, &consumer), 0);
    assert_int_equal(uw_thread_start("producer", produce, &pair, &producer), 0);
    uw_thread_join(producer);
    uw_thread_join(consumer);
    assert_true(pair.in_order);
    assert_int_equal(uw_ring_used(pair.back), 8);
    uw_ring_freep(&pair.there);
    uw_ring_freep(&pair.back);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_and_empty),
        cmocka_unit_test(test_capacity),
        cmocka_unit_test(test_two_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
