/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "uw/base/thread.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#include "uw/base/err.h"
#include "uw/base/str.h"

struct uw_thread {
    pthread_t id;
    uw_thread_fn fn;
    void *userdata;
    char name[16]; /* the kernel's limit */
};

static void *run(void *p) {
    struct uw_thread *thread = p;

    pthread_setname_np(pthread_self(), thread->name);
    thread->fn(thread->userdata);
    return NULL;
}

int uw_thread_start(const char *name, uw_thread_fn fn, void *userdata,
                    struct uw_thread **ret_thread) {
    struct uw_thread *thread;
    sigset_t all, before;
    int r;

    thread = calloc(1, sizeof(*thread));
    if (!thread)
        return uw_err(-ENOMEM);
    thread->fn = fn;
    thread->userdata = userdata;
    uw_str_copy(thread->name, sizeof(thread->name), name);

    /* A thread inherits the mask: this way there is no moment in which it could get a signal. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&thread->id, NULL, run, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0) {
        free(thread);
        return uw_err(-r);
    }
    *ret_thread = thread;
    return 0;
}

struct uw_thread *uw_thread_join(struct uw_thread *thread) {
    if (!thread)
        return NULL;
    pthread_join(thread->id, NULL);
    free(thread);
    return NULL;
}

/* The usual policy lets those who sleep much come first by itself. Less is always allowed, and
 * where a sandbox forbids it all the same, nothing is worse than before. */
void uw_thread_step_back(void) {
    struct sched_param param;
    int policy;

    if (pthread_getschedparam(pthread_self(), &policy, &param) != 0 ||
        (policy != SCHED_FIFO && policy != SCHED_RR) ||
        param.sched_priority <= sched_get_priority_min(policy))
        return;
    param.sched_priority--;
    (void)pthread_setschedparam(pthread_self(), policy, &param);
}
