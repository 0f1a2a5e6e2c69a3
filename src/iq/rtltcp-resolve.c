/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names to addresses, without waiting for a resolver that hangs
 *
 * getaddrinfo() cannot be interrupted and waits for name servers for half a minute and longer; a
 * receiver must be able to stop at once. So it runs in a detached thread that shares one job with
 * whoever waits for it; who is last frees it. There is at most one such thread for each resolver:
 * who comes back while it still waits, waits for the same.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "rtltcp-impl.h"
#include "uw/base/err.h"
#include "uw/base/str.h"

struct job {
    pthread_mutex_t mutex;
    int n_users; /* the resolver and the thread */
    bool done;
    int done_fd;
    int error; /* EAI_... */
    struct uw_resolved resolved;
    char host[UW_RTLTCP_HOST_LEN], port[UW_RTLTCP_PORT_LEN];
};

struct uw_resolver {
    char host[UW_RTLTCP_HOST_LEN], port[UW_RTLTCP_PORT_LEN];
    struct job *job; /* NULL: none is under way */
};

int uw_resolver_new(const char *host, const char *port, struct uw_resolver **ret_resolver) {
    struct uw_resolver *r = calloc(1, sizeof(*r));

    if (!r)
        return uw_err(-ENOMEM);
    uw_str_copy(r->host, sizeof(r->host), host);
    uw_str_copy(r->port, sizeof(r->port), port);
    *ret_resolver = r;
    return 0;
}

static void job_unref(struct job *job) {
    bool last;

    pthread_mutex_lock(&job->mutex);
    last = --job->n_users == 0;
    pthread_mutex_unlock(&job->mutex);
    if (!last)
        return;
    close(job->done_fd);
    pthread_mutex_destroy(&job->mutex);
    free(job);
}

struct uw_resolver *uw_resolver_free(struct uw_resolver *resolver) {
    if (!resolver)
        return NULL;
    if (resolver->job)
        job_unref(resolver->job);
    free(resolver);
    return NULL;
}

static int look_up(const char *host, const char *port, int flags, struct uw_resolved *ret) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *list = NULL;
    int error = getaddrinfo(host, port, &hints, &list);

    ret->n = 0;
    if (error)
        return error;
    for (struct addrinfo *a = list; a && ret->n < UW_RESOLVED_MAX; a = a->ai_next) {
        if (a->ai_addrlen > sizeof(ret->at[0].address))
            continue;
        ret->at[ret->n].family = a->ai_family;
        ret->at[ret->n].len = a->ai_addrlen;
        memcpy(&ret->at[ret->n].address, a->ai_addr, a->ai_addrlen);
        ret->n++;
    }
    freeaddrinfo(list);
    return ret->n ? 0 : EAI_NONAME;
}

static void *job_main(void *userdata) {
    const uint64_t one = 1;
    struct job *job = userdata;
    struct uw_resolved resolved;
    int error = look_up(job->host, job->port, AI_ADDRCONFIG, &resolved);
    ssize_t written;

    pthread_mutex_lock(&job->mutex);
    job->error = error;
    job->resolved = resolved;
    job->done = true;
    pthread_mutex_unlock(&job->mutex);
    written = write(job->done_fd, &one, sizeof(one));
    (void)written;
    job_unref(job);
    return NULL;
}

static int start_thread(struct job *job) {
    pthread_attr_t attr;
    sigset_t all, before;
    pthread_t id;
    int r;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&id, &attr, job_main, job);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return -r;
}

static int start_job(struct uw_resolver *resolver) {
    struct job *job = calloc(1, sizeof(*job));
    int r;

    if (!job)
        return uw_err(-ENOMEM);
    job->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (job->done_fd < 0) {
        r = -errno;
        free(job);
        return uw_err(r);
    }
    pthread_mutex_init(&job->mutex, NULL);
    job->n_users = 2;
    memcpy(job->host, resolver->host, sizeof(job->host));
    memcpy(job->port, resolver->port, sizeof(job->port));
    r = start_thread(job);
    if (r) {
        job->n_users = 1;
        job_unref(job);
        return uw_err(r);
    }
    resolver->job = job;
    return 0;
}

int uw_resolver_run(struct uw_resolver *resolver, int wake_fd, int timeout_ms,
                    struct uw_resolved *ret) {
    struct pollfd p[2] = {{.fd = wake_fd, .events = POLLIN}, {.events = POLLIN}};
    bool done;
    int r;

    if (look_up(resolver->host, resolver->port, AI_NUMERICHOST | AI_NUMERICSERV, ret) == 0)
        return 0;
    r = resolver->job ? 0 : start_job(resolver);
    if (r)
        return r;
    p[1].fd = resolver->job->done_fd;
    do
        r = poll(p, 2, timeout_ms);
    while (r < 0 && errno == EINTR);
    pthread_mutex_lock(&resolver->job->mutex);
    done = resolver->job->done;
    if (done) {
        *ret = resolver->job->resolved;
        r = resolver->job->error < 0 ? -resolver->job->error : resolver->job->error;
    }
    pthread_mutex_unlock(&resolver->job->mutex);
    if (!done)
        return p[0].revents ? -ECANCELED : -ETIMEDOUT;
    job_unref(resolver->job);
    resolver->job = NULL;
    return r;
}
