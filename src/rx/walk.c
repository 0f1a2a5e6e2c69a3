/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A walk over centres
 *
 * A dwell is counted in samples of the centre asked for, so the time that the tuner takes is not
 * part of it, and it does not depend on a clock. Lost samples count as listened to: a receiver that
 * loses samples must not stay for ever. If the source does not come to a centre (it has been opened
 * anew, or its request was lost), it is asked again.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "rx-impl.h"
#include "uw/base/err.h"

#define SAME_HZ     1e3 /* synthesizers have steps */
#define IMPATIENT_S 0.5

struct uw_rx_walker {
    double rate_hz;
    pthread_mutex_t mutex;
    struct uw_rx_walk next; /* under the mutex */
    _Atomic bool changed;

    /* capture thread's */
    struct uw_rx_walk walk;
    int at;
    double listened, waited; /* samples */
};

int uw_rx_walker_new(double rate_hz, struct uw_rx_walker **ret_walker) {
    struct uw_rx_walker *walker = calloc(1, sizeof(*walker));

    if (!walker)
        return uw_err(-ENOMEM);
    walker->rate_hz = rate_hz;
    pthread_mutex_init(&walker->mutex, NULL);
    *ret_walker = walker;
    return 0;
}

struct uw_rx_walker *uw_rx_walker_free(struct uw_rx_walker *walker) {
    if (!walker)
        return NULL;
    pthread_mutex_destroy(&walker->mutex);
    free(walker);
    return NULL;
}

void uw_rx_walker_set(struct uw_rx_walker *walker, const struct uw_rx_walk *walk) {
    pthread_mutex_lock(&walker->mutex);
    walker->next = *walk;
    pthread_mutex_unlock(&walker->mutex);
    atomic_store_explicit(&walker->changed, true, memory_order_release);
}

/* Goes on from the same centre if the new walk has it. */
static bool take(struct uw_rx_walker *walker, double freq_hz) {
    if (!atomic_exchange_explicit(&walker->changed, false, memory_order_acquire))
        return false;
    pthread_mutex_lock(&walker->mutex);
    walker->walk = walker->next;
    pthread_mutex_unlock(&walker->mutex);
    walker->at = 0;
    for (int i = 0; i < walker->walk.n; i++)
        if (fabs(walker->walk.centre_hz[i] - freq_hz) <= SAME_HZ)
            walker->at = i;
    walker->listened = 0;
    walker->waited = 0;
    return walker->walk.n > 0;
}

bool uw_rx_walker_next(struct uw_rx_walker *walker, uint64_t n, uint64_t n_lost, double freq_hz,
                       double *ret_freq_hz) {
    const struct uw_rx_walk *walk = &walker->walk;
    bool ask = take(walker, freq_hz);

    if (walk->n == 0)
        return false;
    if (fabs(walk->centre_hz[walker->at] - freq_hz) <= SAME_HZ) {
        walker->listened += (double)n + (double)n_lost;
        walker->waited = 0;
        ask = false;
        if (walk->n > 1 && walker->listened >= walk->dwell_s[walker->at] * walker->rate_hz) {
            walker->at = (walker->at + 1) % walk->n;
            walker->listened = 0;
            ask = true;
        }
    } else {
        walker->waited += (double)n;
        if (walker->waited >= IMPATIENT_S * walker->rate_hz) {
            walker->waited = 0;
            ask = true;
        }
    }
    *ret_freq_hz = walk->centre_hz[walker->at];
    return ask;
}
