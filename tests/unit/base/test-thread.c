/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "uw/base/thread.h"

struct seen {
    int policy, priority;
};

static void step_back(void *userdata) {
    struct seen *seen = userdata;
    struct sched_param param;

    uw_thread_step_back();
    assert_int_equal(pthread_getschedparam(pthread_self(), &seen->policy, &param), 0);
    seen->priority = param.sched_priority;
}

static struct seen of_a_thread(void) {
    struct seen seen = {-1, -1};
    struct uw_thread *thread;

    assert_int_equal(uw_thread_start("back", step_back, &seen, &thread), 0);
    assert_null(uw_thread_join(thread));
    return seen;
}

/* Where it is not allowed the test is skipped; everybody may step back from what root has given. */
static void under(int policy, int priority, int expected) {
    struct sched_param param = {.sched_priority = priority}, before, after;
    int policy_before, policy_after, r;
    struct seen seen;

    assert_int_equal(pthread_getschedparam(pthread_self(), &policy_before, &before), 0);
    r = pthread_setschedparam(pthread_self(), policy, &param);
    if (r == EPERM)
        skip();
    assert_int_equal(r, 0);
    seen = of_a_thread();
    assert_int_equal(pthread_getschedparam(pthread_self(), &policy_after, &after), 0);
    assert_int_equal(pthread_setschedparam(pthread_self(), policy_before, &before), 0);
    assert_int_equal(seen.policy, policy);
    assert_int_equal(seen.priority, expected);
    assert_int_equal(policy_after, policy); /* the others stay where they are */
    assert_int_equal(after.sched_priority, priority);
}

static void usual_policy_stays(void **state) {
    (void)state;
    under(SCHED_OTHER, 0, 0);
}

static void one_less(void **state) {
    (void)state;
    under(SCHED_RR, 5, 4);
    under(SCHED_FIFO, 2, 1);
}

static void nothing_below_the_least(void **state) {
    (void)state;
    under(SCHED_RR, sched_get_priority_min(SCHED_RR), sched_get_priority_min(SCHED_RR));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usual_policy_stays),
        cmocka_unit_test(one_less),
        cmocka_unit_test(nothing_below_the_least),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
