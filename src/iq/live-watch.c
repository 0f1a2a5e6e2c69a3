/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The supervisor: a device that is always being opened, watched, or waited for
 *
 *   open ──fails──► wait, each time twice as long ──► open
 *     │ works
 *     ▼
 *   stream thread; every TICK_S: requests for another centre or gain, a probe, is anything coming?
 *     │ the stream ends by itself, nothing comes for stall_s, or a setting is refused
 *     ▼
 *   interrupt (again and again: librtlsdr forgets a cancellation that comes too early), join, close
 *
 * What nobody can help is a driver that does not come back from a call. Health does not depend on
 * the supervisor for that: live-health.c sees by the clock that nothing comes. The supervisor shows
 * signs of life while it is in no such call and waits for no stream to end: without them for long,
 * only a new process helps, and the daemon's watchdog sees to that.
 *
 * An order for the reader goes out twice: before the driver is told, without an end, so that
 * nothing taken from then on is believed, and when it has been done, with one.
 */
#include <math.h>

#include "live-core-impl.h"
#include "uw/base/ring.h"
#include "uw/base/thread.h"
#include "uw/base/time.h"

#define TICK_S        0.05
#define BACK_OFF_S    0.25
#define BACK_OFF_MAX  5.0
#define WELL_S        1.0 /* a stream that has lasted so long starts the back-off anew */
#define ENDLESS_S     30.0
#define PROBE_MOST_S  1.0
#define FIRST_GAIN_DB 30.0

static int64_t ns(double seconds) {
    return (int64_t)(seconds * (double)UW_NS_PER_S);
}

static bool stopped(const struct uw_live *live) {
    return atomic_load_explicit(&live->source->stopped, memory_order_relaxed);
}

static void wait_until(struct uw_live *live, int64_t until_ns) {
    struct uw_iq_clock *clock = &live->source->clock;

    clock->wait(clock->userdata, live->control_fd, until_ns);
    uw_live_calm(live->control_fd);
}

static void show_life(struct uw_live *live) {
    atomic_store_explicit(&live->pulse_ns, uw_live_now(live), memory_order_relaxed);
}

static void stream_main(void *userdata) {
    struct uw_live *live = userdata;

    (void)live->driver->stream(live, live->device);
    atomic_store_explicit(&live->stream_done, true, memory_order_release);
    uw_live_wake(live->control_fd);
}

static void share(struct uw_live *live) {
    pthread_mutex_lock(&live->mutex);
    live->shared.freq_hz = live->freq_hz;
    live->shared.gain_db = live->gain_db;
    live->shared.n_gains = live->setup.n_gains;
    for (int i = 0; i < live->shared.n_gains; i++)
        live->shared.gains_db[i] = live->setup.gains_db[i];
    live->shared.n_reopened = live->n_opened - 1;
    live->shared.begun_ns = uw_live_now(live);
    pthread_mutex_unlock(&live->mutex);
}

static int open_device(struct uw_live *live) {
    double gain = live->fixed_gain_db;
    int r;

    if (isnan(gain)) /* what the controller had come to, if the device has been away */
        gain = live->n_opened > 0 && !isnan(live->gain_db) ? live->gain_db : FIRST_GAIN_DB;
    live->setup = (struct uw_live_setup){
        .device = live->device_text,
        .rate_hz = live->rate_hz,
        .freq_hz = atomic_load_explicit(&live->want_freq_hz, memory_order_relaxed),
        .gain_db = gain,
        .auto_gain = isnan(live->fixed_gain_db),
        .ppm = live->ppm,
        .bias_tee = live->bias_tee,
        .got_freq_hz = NAN,
        .got_gain_db = NAN,
    };
    r = live->driver->open(live, live->device, &live->setup);
    if (r)
        return r;
    live->freq_hz = live->setup.freq_hz;
    live->gain_db = live->setup.got_gain_db;
    live->n_opened++;
    return 0;
}

static int start_stream(struct uw_live *live) {
    int64_t now = uw_live_now(live);

    live->stream++;
    live->opened_ns = now;
    live->probe_ns = 0;
    atomic_store(&live->interrupted, false);
    atomic_store(&live->stream_done, false);
    atomic_store(&live->probe_hz, 0.0);
    atomic_store(&live->want_probe_hz, 0.0);
    atomic_store(&live->want_gain_db, NAN);
    atomic_store_explicit(&live->came_ns, now, memory_order_relaxed);
    share(live);
    return uw_thread_start("uw-stream", stream_main, live, &live->stream_thread);
}

static void end_stream(struct uw_live *live) {
    atomic_store(&live->interrupted, true);
    while (!atomic_load_explicit(&live->stream_done, memory_order_acquire)) {
        live->driver->interrupt(live->device);
        wait_until(live, uw_live_now(live) + ns(TICK_S));
    }
    live->stream_thread = uw_thread_join(live->stream_thread);
    atomic_store(&live->probe_hz, 0.0);
}

/* There must be one free: if the reader has fallen far behind, later, then. */
static void order(struct uw_live *live, double guard_s) {
    struct uw_live_order *o = uw_ring_pop(live->orders_free);

    *o = (struct uw_live_order){
        .stream = live->stream,
        .from_ns = uw_live_now(live),
        .guard_ns = ns(guard_s),
        .freq_hz = live->freq_hz,
        .gain_db = live->gain_db,
    };
    (void)uw_ring_push(live->orders, o);
    uw_live_wake(live->reader_fd);
}

/* Says so to the reader, before and after. 0, also when it must wait for its turn. */
static int tune_to(struct uw_live *live, double freq_hz) {
    double got = freq_hz;
    int r;

    if (uw_ring_used(live->orders_free) < 2)
        return 0;
    live->freq_hz = freq_hz;
    order(live, ENDLESS_S);
    r = live->driver->tune(live, live->device, &got);
    if (r == 0)
        order(live, live->driver->settle_s);
    return r;
}

static int change_gain(struct uw_live *live, double gain_db) {
    double got = gain_db;
    int r;

    if (uw_ring_used(live->orders_free) < 2)
        return 0;
    order(live, ENDLESS_S);
    r = live->driver->gain(live, live->device, &got);
    if (r)
        return r;
    live->gain_db = got;
    order(live, live->driver->settle_s);
    return 0;
}

static int begin_probe(struct uw_live *live, double probe_hz, int64_t now) {
    int r;

    atomic_store(&live->want_probe_hz, 0.0);
    atomic_store(&live->probe_done, false);
    atomic_store(&live->probe_hz, probe_hz);
    live->probe_ns = now;
    r = probe_hz >= live->source->info.freq_hz_min && probe_hz <= live->source->info.freq_hz_max
            ? tune_to(live, probe_hz)
            : 0;
    return r;
}

/* Over, or too long: back to where one should be, always by setting it anew. */
static int end_probe(struct uw_live *live) {
    int r;

    if (!atomic_load(&live->probe_done))
        atomic_store(&live->probe_failed, true);
    r = tune_to(live, atomic_load_explicit(&live->want_freq_hz, memory_order_relaxed));
    atomic_store(&live->probe_hz, 0.0);
    live->probe_ns = 0;
    uw_live_wake(live->reader_fd);
    return r;
}

static int do_requests(struct uw_live *live, int64_t now) {
    double freq = atomic_load_explicit(&live->want_freq_hz, memory_order_relaxed);
    double probe = atomic_load(&live->want_probe_hz);
    double gain;

    if (live->probe_ns) {
        if (!atomic_load(&live->probe_done) && now - live->probe_ns < ns(PROBE_MOST_S))
            return 0;
        return end_probe(live);
    }
    if (live->driver->tune && freq != live->freq_hz)
        return tune_to(live, freq);
    if (live->driver->tune && probe > 0)
        return begin_probe(live, probe, now);
    gain = atomic_exchange(&live->want_gain_db, NAN);
    if (live->driver->gain && !isnan(gain))
        return change_gain(live, gain);
    return 0;
}

static bool nothing_comes(struct uw_live *live, int64_t now) {
    int64_t since = atomic_load_explicit(&live->came_ns, memory_order_relaxed);

    if (now - since < ns(live->driver->stall_s))
        return false;
    uw_live_trouble(live, UW_SOURCE_PROBLEM_STALLED,
                    "%.64s gives no samples although it is open: pull it out and put it back, or "
                    "try another port.",
                    live->setup.what[0] ? live->setup.what : "The device");
    return true;
}

static void watch_stream(struct uw_live *live) {
    int64_t now;

    do {
        show_life(live);
        wait_until(live, uw_live_now(live) + ns(TICK_S));
        now = uw_live_now(live);
    } while (!stopped(live) && !atomic_load_explicit(&live->stream_done, memory_order_acquire) &&
             !nothing_comes(live, now) && do_requests(live, now) == 0);
    if (now - live->opened_ns > ns(WELL_S))
        live->back_off_ns = 0;
}

/* A stream that ended without a word. */
static void explain_end(struct uw_live *live) {
    bool explained;

    pthread_mutex_lock(&live->mutex);
    explained = live->trouble != UW_SOURCE_PROBLEM_NONE && live->trouble_stream == live->stream;
    pthread_mutex_unlock(&live->mutex);
    if (!explained && !stopped(live))
        uw_live_trouble(live, UW_SOURCE_PROBLEM_ABSENT,
                        "%.64s has gone: check that it is plugged in.",
                        live->setup.what[0] ? live->setup.what : "The device");
}

void uw_live_supervise(void *userdata) {
    struct uw_live *live = userdata;

    while (!stopped(live)) {
        if (open_device(live) == 0) {
            if (start_stream(live) == 0) {
                watch_stream(live);
                end_stream(live);
            }
            live->driver->close(live->device);
            explain_end(live);
        }
        live->back_off_ns = live->back_off_ns ? live->back_off_ns * 2 : ns(BACK_OFF_S);
        if (live->back_off_ns > ns(BACK_OFF_MAX))
            live->back_off_ns = ns(BACK_OFF_MAX);
        for (int64_t until = uw_live_now(live) + live->back_off_ns;
             !stopped(live) && uw_live_now(live) < until;) {
            show_life(live);
            wait_until(live, until);
        }
    }
}
