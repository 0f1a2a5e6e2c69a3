/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_STANDIN_CLOCK_H
#define UW_STANDIN_CLOCK_H

/*
 * A clock that runs when nobody has anything to do
 *
 * The source under test and the stand-in wait for times of this clock. When all threads of the
 * process wait, it goes on to the earliest of those times at once. So a test of minutes takes
 * moments, and a busy machine changes nothing: a thread that is not run stops the clock. A thread
 * that waits for another one (joins it) is not seen as waiting; if nothing happens for STUCK_MS the
 * clock goes on all the same.
 *
 * One clock a process. Threads: any.
 */

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "../../src/iq/source-impl.h"
#include "api.h"
#include "uw/base/time.h"

#define TEST_CLOCK_WAITERS  64
#define TEST_CLOCK_STUCK_MS 250

static struct {
    pthread_mutex_t mutex;
    _Atomic int64_t now;
    int status_fd;
    int n_foreign;    /* threads that never wait: the helper below, a sanitizer's */
    uint64_t n_waits; /* so that standing still can be seen */
    struct test_waiter {
        bool used, waiting;
        int fd, wake_fd; /* fd: -1 if only for time */
        int64_t until;
    } waiters[TEST_CLOCK_WAITERS];
} test_clock = {.mutex = PTHREAD_MUTEX_INITIALIZER, .now = 1000 * UW_NS_PER_S};

/* num_threads of /proc/self/stat: the 18th word after the name's bracket. */
static inline int test_clock_threads(void) {
    char text[1024];
    ssize_t n = pread(test_clock.status_fd, text, sizeof(text) - 1, 0);
    const char *p;

    text[n > 0 ? n : 0] = 0;
    p = strrchr(text, ')');
    for (int i = 0; p && i < 18; i++)
        p = strchr(p + 1, ' ');
    return p ? atoi(p) : 0;
}

static inline bool test_clock_readable(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return fd >= 0 && poll(&p, 1, 0) > 0;
}

/* Under the mutex. */
static inline void test_clock_advance(bool whatever) {
    int64_t first = INT64_MAX;
    int n = 0;

    for (int i = 0; i < TEST_CLOCK_WAITERS; i++) {
        const struct test_waiter *w = &test_clock.waiters[i];

        if (!w->used || !w->waiting)
            continue;
        if (test_clock_readable(w->fd))
            return;
        n++;
        if (w->until < first)
            first = w->until;
    }
    if (n == 0 || (!whatever && n < test_clock_threads() - test_clock.n_foreign))
        return;
    if (first > test_clock.now)
        test_clock.now = first;
    for (int i = 0; i < TEST_CLOCK_WAITERS; i++) {
        struct test_waiter *w = &test_clock.waiters[i];
        const uint64_t one = 1;

        if (w->used && w->waiting && w->until <= test_clock.now) {
            w->waiting = false;
            if (write(w->wake_fd, &one, sizeof(one)) < 0)
                abort();
        }
    }
}

static inline struct test_waiter *test_clock_waiter(void) {
    for (int i = 0; i < TEST_CLOCK_WAITERS; i++)
        if (!test_clock.waiters[i].used)
            return &test_clock.waiters[i];
    abort();
}

/* fd: -1 if nothing but time ends it, and then test_clock_wake() does, too. */
static inline void test_clock_wait(void *userdata, int fd, int64_t until) {
    struct test_waiter *w;
    struct pollfd p[2];
    uint64_t count;

    (void)userdata;
    pthread_mutex_lock(&test_clock.mutex);
    if (until <= test_clock.now) {
        pthread_mutex_unlock(&test_clock.mutex);
        return;
    }
    w = test_clock_waiter();
    if (w->wake_fd == 0)
        w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->used = w->waiting = true;
    w->fd = fd;
    w->until = until;
    test_clock.n_waits++;
    test_clock_advance(false);
    pthread_mutex_unlock(&test_clock.mutex);
    p[0] = (struct pollfd){.fd = w->wake_fd, .events = POLLIN};
    p[1] = (struct pollfd){.fd = fd, .events = POLLIN};
    while (poll(p, 2, -1) < 0)
        continue;
    pthread_mutex_lock(&test_clock.mutex);
    if (read(w->wake_fd, &count, sizeof(count)) < 0)
        count = 0;
    w->used = w->waiting = false;
    pthread_mutex_unlock(&test_clock.mutex);
}

static inline int64_t test_clock_mono(void *userdata) {
    (void)userdata;
    return test_clock.now;
}

static inline int64_t test_clock_real(void *userdata) {
    (void)userdata;
    return INT64_C(1700000000) * UW_NS_PER_S;
}

static inline double test_clock_standin_now(void *userdata) {
    return (double)(test_clock_mono(userdata) - 1000 * UW_NS_PER_S) / (double)UW_NS_PER_S;
}

static inline void test_clock_standin_wait(void *userdata, double until_s) {
    test_clock_wait(userdata, -1, 1000 * UW_NS_PER_S + (int64_t)(until_s * 1e9) + 1);
}

static inline void test_clock_wake(void *userdata) {
    (void)userdata;
    pthread_mutex_lock(&test_clock.mutex);
    for (int i = 0; i < TEST_CLOCK_WAITERS; i++) {
        struct test_waiter *w = &test_clock.waiters[i];
        const uint64_t one = 1;

        if (w->used && w->waiting && w->fd < 0) {
            w->waiting = false;
            if (write(w->wake_fd, &one, sizeof(one)) < 0)
                abort();
        }
    }
    pthread_mutex_unlock(&test_clock.mutex);
}

static inline void *test_clock_help(void *userdata) {
    uint64_t before = 0;

    for (;;) {
        struct timespec t = {.tv_nsec = TEST_CLOCK_STUCK_MS * 1000000L};

        nanosleep(&t, NULL);
        pthread_mutex_lock(&test_clock.mutex);
        test_clock_advance(test_clock.n_waits == before);
        before = test_clock.n_waits;
        pthread_mutex_unlock(&test_clock.mutex);
    }
    return userdata;
}

static const struct uw_iq_clock test_clock_source = {test_clock_mono, test_clock_real,
                                                     test_clock_wait, NULL};

/* Before the first call of the stand-in, by the only thread. False: the library in use is not the
 * stand-in. */
static inline bool test_clock_begin(void) {
    const struct standin_clock clock = {
        .now_s = test_clock_standin_now, .wait = test_clock_standin_wait, .wake = test_clock_wake};
    void (*use)(const struct standin_clock *);
    pthread_t helper;

    *(void **)&use = dlsym(RTLD_DEFAULT, "standin_use_clock");
    if (!use)
        return false;
    use(&clock);
    test_clock.status_fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    if (pthread_create(&helper, NULL, test_clock_help, NULL))
        return false;
    test_clock.n_foreign = test_clock_threads() - 1;
    return true;
}

#endif
