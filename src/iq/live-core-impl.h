/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_IQ_LIVE_CORE_IMPL_H
#define UW_IQ_LIVE_CORE_IMPL_H

/*
 * Inside the live part only: what its threads share
 *
 *   live.c         life, the stream thread's side, requests from any thread
 *   live-watch.c   the supervisor
 *   live-read.c    the reader
 *   live-health.c  what all this means for a person on duty
 *
 * Each member says whose it is. What two threads use is atomic, in a ring, or under the mutex,
 * which nobody holds for longer than a copy takes; the reader takes it when a stream begins, and
 * never for a block.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "judge-impl.h"
#include "live-impl.h"
#include "stream-impl.h"

#define UW_LIVE_ORDERS     32
#define UW_LIVE_DEVICE_LEN 512

struct uw_ring;
struct uw_thread;

/* Bytes on their way from the stream thread to the reader. */
struct uw_live_buffer {
    int64_t came_ns;
    unsigned stream; /* number of the stream that it belongs to */
    size_t n_bytes;
    unsigned char *data;
};

/* A change of setting on its way from the supervisor to the reader. */
struct uw_live_order {
    unsigned stream;
    int64_t from_ns, guard_ns;
    double freq_hz, gain_db;
};

struct uw_live {
    /* constant */
    struct uw_source *source;
    const struct uw_live_driver *driver;
    void *device;
    char device_text[UW_LIVE_DEVICE_LEN];
    double rate_hz, ppm, fixed_gain_db; /* NAN: automatic */
    bool bias_tee;
    size_t sample_bytes, buffer_bytes;
    int64_t base_ns;
    int control_fd, reader_fd; /* eventfds that wake the supervisor and the reader */
    struct uw_thread *supervisor;

    /* stream thread <-> reader */
    struct uw_ring *full, *empty;
    int n_buffers;
    struct uw_live_buffer *buffers;
    unsigned char *data;
    _Atomic uint64_t n_dropped_bytes;
    _Atomic int64_t came_ns; /* when the latest bytes came */

    /* supervisor <-> stream thread */
    atomic_bool interrupted, stream_done;
    unsigned stream; /* number; written while there is no stream thread */

    /* supervisor -> reader */
    struct uw_ring *orders, *orders_free;
    struct uw_live_order order_pool[UW_LIVE_ORDERS];
    _Atomic double probe_hz; /* what comes at this centre is for the diagnosis; 0: nothing */
    atomic_bool probe_failed;

    /* anybody -> supervisor */
    _Atomic double want_freq_hz;
    /* reader -> supervisor */
    _Atomic double want_gain_db, want_probe_hz; /* NAN, 0: nothing wanted */
    atomic_bool probe_done;
    /* reader -> health; `flowing` is the number of the stream of which samples have been given */
    _Atomic unsigned flowing;
    _Atomic int64_t gave_ns; /* when it last had samples for the caller */
    _Atomic uint64_t n_lost, n_discarded;
    _Atomic int64_t
        losing_ns; /* when samples were last missing in the middle of a stream; 0: never */
    _Atomic double loss_share; /* of the latest seconds */
    _Atomic double clip_ratio, drift_ppm, now_gain_db, bad_freq_hz;
    _Atomic int diagnosis;
    atomic_bool hears; /* at other frequencies */

    _Atomic int64_t pulse_ns; /* the supervisor's sign of life */

    /* supervisor's */
    struct uw_live_setup setup; /* the reader copies the gains under the mutex */
    double freq_hz, gain_db;    /* as set */
    struct uw_thread *stream_thread;
    int64_t opened_ns, back_off_ns, probe_ns;
    double back_hz; /* where to go after the probe */
    uint64_t n_reopened, n_opened;

    /* under the mutex */
    pthread_mutex_t mutex;
    enum uw_source_problem trouble; /* NONE while samples flow */
    unsigned trouble_stream;        /* the latest one when it was said */
    char advice[UW_SOURCE_ADVICE_LEN];
    enum uw_source_state last_state;
    int64_t since_ns;
    struct {
        double freq_hz, gain_db; /* at the beginning of the stream */
        int n_gains;
        double gains_db[UW_LIVE_GAINS_MAX];
        uint64_t n_reopened;
        int64_t begun_ns;
    } shared;

    /* reader's */
    struct {
        struct uw_stream *stream;
        unsigned number; /* of the stream that it is in */
        struct uw_live_buffer *buffer;
        size_t taken; /* bytes of it */
        bool have_gain;
        struct uw_gain gain;
        struct uw_judge judge;
        struct uw_diagnose diagnose;
        double freq_hz, gain_db; /* of the latest block */
        uint64_t owed;           /* samples of a probe, lost to the caller */
        bool owed_fresh;
        double probe_hz;  /* of the latest probe */
        bool measured;    /* the probe is over for the reader */
        uint64_t missing; /* samples, of the stream's counts */
        double window_lost, window_n;
    } r;
    _Atomic uint64_t n_late;
};

int64_t uw_live_now(const struct uw_live *live);
void uw_live_wake(int fd);
void uw_live_calm(int fd); /* what has woken it is taken note of */
/* The supervisor, until the source is stopped. */
void uw_live_supervise(void *live);

#endif
