/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "uw/base/ring.h"
#include "uw/base/thread.h"
#include "uw/base/time.h"
#include "uw/base/util.h"

#define N_ITEMS 50000

static void test_full_and_empty(void **state) {
    UW_CLEANUP(uw_ring_freep) struct uw_ring *ring = NULL;
    int item[3];

    (void)state;
    assert_int_equal(uw_ring_new(2, &ring), 0);
    assert_null(uw_ring_try_pop(ring));
    assert_int_equal(uw_ring_try_push(ring, &item[0]), 0);
    assert_int_equal(uw_ring_try_push(ring, &item[1]), 0);
    assert_int_equal(uw_ring_try_push(ring, &item[2]), UW_RING_E_FULL);
    assert_int_equal(uw_ring_used(ring), 2);
    assert_ptr_equal(uw_ring_try_pop(ring), &item[0]);
    assert_int_equal(uw_ring_try_push(ring, &item[2]), 0);
    assert_ptr_equal(uw_ring_pop(ring), &item[1]);
    assert_ptr_equal(uw_ring_pop(ring), &item[2]);
    assert_null(uw_ring_try_pop(ring));
    assert_int_equal(uw_ring_used(ring), 0);
}

static void test_close_drains(void **state) {
    UW_CLEANUP(uw_ring_freep) struct uw_ring *ring = NULL;
    int item[2];

    (void)state;
    assert_int_equal(uw_ring_new(4, &ring), 0);
    assert_int_equal(uw_ring_push(ring, &item[0]), 0);
    assert_int_equal(uw_ring_push(ring, &item[1]), 0);
    uw_ring_close(ring);
    uw_ring_close(ring);
    assert_int_equal(uw_ring_push(ring, &item[0]), UW_RING_E_CLOSED);
    assert_int_equal(uw_ring_try_push(ring, &item[0]), UW_RING_E_CLOSED);
    assert_int_equal(uw_ring_used(ring), 2);
    assert_ptr_equal(uw_ring_pop(ring), &item[0]);
    assert_ptr_equal(uw_ring_try_pop(ring), &item[1]);
    for (int i = 0; i < 3; i++) {
        assert_null(uw_ring_pop(ring));
        assert_null(uw_ring_try_pop(ring));
    }
}

/* A full ring says that it is closed, not that it is full: who retries must not retry for ever. */
static void test_close_when_full(void **state) {
    UW_CLEANUP(uw_ring_freep) struct uw_ring *ring = NULL;
    int item;

    (void)state;
    assert_int_equal(uw_ring_new(2, &ring), 0);
    assert_int_equal(uw_ring_push(ring, &item), 0);
    assert_int_equal(uw_ring_push(ring, &item), 0);
    uw_ring_close(ring);
    assert_int_equal(uw_ring_try_push(ring, &item), UW_RING_E_CLOSED);
    assert_int_equal(uw_ring_push(ring, &item), UW_RING_E_CLOSED);
}

struct pair {
    struct uw_ring *ring;
    unsigned numbers[N_ITEMS]; /* written before the push, read after the pop */
    _Atomic int n_pushed;
    int n_popped;
    bool in_order;
};

static void produce(void *p) {
    struct pair *pair = p;

    for (unsigned i = 0; i < N_ITEMS; i++) {
        pair->numbers[i] = i * 7 + 1;
        if (uw_ring_push(pair->ring, &pair->numbers[i]) != 0)
            return;
        atomic_fetch_add_explicit(&pair->n_pushed, 1, memory_order_relaxed);
    }
    uw_ring_close(pair->ring);
}

static void consume(void *p) {
    struct pair *pair = p;
    unsigned *number;

    pair->in_order = true;
    while ((number = uw_ring_pop(pair->ring))) {
        if (*number != (unsigned)pair->n_popped * 7 + 1)
            pair->in_order = false;
        pair->n_popped++;
    }
}

static struct pair pair;

static void run_pair(size_t capacity, int close_after_us) {
    struct uw_thread *producer = NULL, *consumer = NULL;
    struct timespec pause = {.tv_nsec = close_after_us * 1000L};

    pair.n_popped = 0;
    atomic_store(&pair.n_pushed, 0);
    assert_int_equal(uw_ring_new(capacity, &pair.ring), 0);
    assert_int_equal(uw_thread_start("consumer", consume, &pair, &consumer), 0);
    assert_int_equal(uw_thread_start("producer", produce, &pair, &producer), 0);
    if (close_after_us >= 0) {
        nanosleep(&pause, NULL);
        uw_ring_close(pair.ring);
    }
    uw_thread_join(producer);
    uw_thread_join(consumer);
    assert_true(pair.in_order);
    /* every push that succeeded was popped, however late the close came */
    assert_int_equal(pair.n_popped, atomic_load(&pair.n_pushed));
    if (close_after_us < 0)
        assert_int_equal(pair.n_popped, N_ITEMS);
    pair.ring = uw_ring_free(pair.ring);
}

static void test_two_threads(void **state) {
    (void)state;
    run_pair(1, -1);
    run_pair(64, -1);
}

static void test_close_from_a_third_thread(void **state) {
    (void)state;
    for (int us = 0; us < 600; us += 7)
        run_pair(4, us);
}

static void wait_in_pop(void *p) {
    int *popped = uw_ring_pop(p);

    assert_null(popped);
}

static void test_close_wakes_a_sleeper(void **state) {
    struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    UW_CLEANUP(uw_ring_freep) struct uw_ring *ring = NULL;
    struct uw_thread *thread = NULL;
    int64_t start;

    (void)state;
    assert_int_equal(uw_ring_new(4, &ring), 0);
    assert_int_equal(uw_thread_start("sleeper", wait_in_pop, ring, &thread), 0);
    nanosleep(&pause, NULL);
    start = uw_clock_mono_ns();
    uw_ring_close(ring);
    uw_thread_join(thread);
    assert_true(uw_clock_mono_ns() - start < 5 * UW_NS_PER_S);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_and_empty),
        cmocka_unit_test(test_close_drains),
        cmocka_unit_test(test_close_when_full),
        cmocka_unit_test(test_two_threads),
        cmocka_unit_test(test_close_from_a_third_thread),
        cmocka_unit_test(test_close_wakes_a_sleeper),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
