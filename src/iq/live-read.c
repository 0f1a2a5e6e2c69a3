/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The reader: buffers that came, in order, against the clock
 *
 * Runs in the caller's thread. Buffers go through the stream, which knows what is missing and where
 * a retune cuts. What comes out is measured on its way to the caller; once in a tenth of a second
 * the measurement goes to the gain's controller and to the diagnosis, and what they want to the
 * supervisor. What was heard at a probe's frequency is kept from the caller, as lost.
 */
#include <math.h>
#include <string.h>

#include "live-core-impl.h"
#include "uw/base/ring.h"
#include "uw/base/time.h"

#define WAIT_S  0.2 /* without samples; the contract says 0.25 */
#define LATE_S  0.1 /* a buffer that waited for so long in this process */
#define SHARE_S 2.0
#define SAME_HZ 0.5

static bool same(double a, double b) {
    return fabs(a - b) < SAME_HZ;
}

static void begin_stream(struct uw_live *live, unsigned number) {
    double gains[UW_LIVE_GAINS_MAX], freq, gain;
    int n;

    pthread_mutex_lock(&live->mutex);
    freq = live->shared.freq_hz;
    gain = live->shared.gain_db;
    n = live->shared.n_gains;
    memcpy(gains, live->shared.gains_db, (size_t)n * sizeof(gains[0]));
    pthread_mutex_unlock(&live->mutex);
    live->r.number = number;
    uw_stream_begin(live->r.stream, freq, gain);
    live->r.have_gain = n > 1 && isnan(live->fixed_gain_db);
    uw_gain_init(&live->r.gain, gains, n, gain);
    live->r.diagnose.gain_max_db = n > 1 ? gains[n - 1] : NAN;
    live->r.diagnose.probed_hz = 0;
    live->r.measured = false;
}

/* Samples of this stream have come through: whatever was wrong before it is over. */
static void begin_flow(struct uw_live *live) {
    pthread_mutex_lock(&live->mutex);
    if (live->r.number > live->trouble_stream)
        live->trouble = UW_SOURCE_PROBLEM_NONE;
    pthread_mutex_unlock(&live->mutex);
    atomic_store_explicit(&live->flowing, live->r.number, memory_order_relaxed);
}

static void take_orders(struct uw_live *live) {
    struct uw_live_order *o;

    while ((o = uw_ring_pop(live->orders))) {
        if (o->stream == live->r.number)
            uw_stream_retune(live->r.stream, o->from_ns, o->guard_ns, o->freq_hz, o->gain_db);
        (void)uw_ring_push(live->orders_free, o);
    }
}

static void give_back(struct uw_live *live) {
    (void)uw_ring_push(live->empty, live->r.buffer);
    live->r.buffer = NULL;
    live->r.taken = 0;
}

/* False: there is nothing. */
static bool next_buffer(struct uw_live *live) {
    struct uw_live_buffer *b;

    if (live->r.buffer)
        return true;
    b = uw_ring_pop(live->full);
    if (!b)
        return false;
    live->r.buffer = b;
    if (b->stream != live->r.number)
        begin_stream(live, b->stream);
    if (uw_live_now(live) - b->came_ns > (int64_t)(LATE_S * (double)UW_NS_PER_S))
        atomic_fetch_add_explicit(&live->n_late, 1, memory_order_relaxed);
    return true;
}

/* As much of the buffer as there is room for. False: no room, the caller must take some. */
static bool feed_buffer(struct uw_live *live) {
    struct uw_live_buffer *b = live->r.buffer;
    size_t left = b->n_bytes - live->r.taken, n;
    void *space = uw_stream_space(live->r.stream, &n);

    if (n == 0)
        return false;
    if (n > left)
        n = left;
    memcpy(space, b->data + live->r.taken, n);
    live->r.taken += n;
    uw_stream_received(live->r.stream, n, b->came_ns, live->r.taken == b->n_bytes);
    if (live->r.taken == b->n_bytes)
        give_back(live);
    return true;
}

static void publish(struct uw_live *live) {
    struct uw_stream_counts counts;
    double freq = NAN;

    uw_stream_counts(live->r.stream, &counts);
    atomic_store_explicit(&live->n_lost, counts.lost, memory_order_relaxed);
    atomic_store_explicit(&live->n_discarded, counts.discarded, memory_order_relaxed);
    atomic_store_explicit(&live->drift_ppm, counts.drift_ppm, memory_order_relaxed);
    atomic_store_explicit(&live->diagnosis, uw_diagnose_now(&live->r.diagnose, &freq),
                          memory_order_relaxed);
    atomic_store_explicit(&live->bad_freq_hz, freq, memory_order_relaxed);
    atomic_store_explicit(&live->hears, uw_diagnose_hears(&live->r.diagnose), memory_order_relaxed);
}

static void want_probe(struct uw_live *live, double probe_hz) {
    const struct uw_judge_window nothing = {.floor_dbfs = -HUGE_VAL};

    live->r.measured = false;
    if (live->source->info.tunable) {
        atomic_store(&live->want_probe_hz, probe_hz);
        uw_live_wake(live->control_fd);
        return;
    }
    while (!uw_diagnose_probe(&live->r.diagnose, &nothing))
        continue;
}

static void probe_window(struct uw_live *live, const struct uw_judge_window *w) {
    if (live->r.measured || !uw_diagnose_probe(&live->r.diagnose, w))
        return;
    live->r.measured = true;
    atomic_store(&live->probe_done, true);
    uw_live_wake(live->control_fd);
}

static void window(struct uw_live *live, const struct uw_judge_window *w, bool probing) {
    double freq = live->r.freq_hz, wish;

    if (probing) {
        probe_window(live, w);
        return;
    }
    atomic_store_explicit(&live->clip_ratio, w->clip_ratio, memory_order_relaxed);
    if (uw_diagnose_window(&live->r.diagnose, w, freq, live->r.gain_db, &wish))
        want_probe(live, wish);
    publish(live);
    if (!live->r.have_gain || uw_diagnose_doubts(&live->r.diagnose, freq))
        return;
    if (uw_gain_window(&live->r.gain, w, &wish)) {
        atomic_store(&live->want_gain_db, wish);
        uw_live_wake(live->control_fd);
    }
}

/* What is missing in the middle of a stream: not what a retune takes, nor time given to a slow
 * clock. */
static void count_losses(struct uw_live *live, struct uw_source_block *block) {
    struct uw_stream_counts c;
    uint64_t missing;
    double lost;

    uw_stream_counts(live->r.stream, &c);
    missing = c.lost - c.stale - c.slipped;
    bool begins = atomic_load_explicit(&live->flowing, memory_order_relaxed) != live->r.number;
    if (begins)
        live->r.missing = missing;
    lost = (double)(missing - live->r.missing);
    live->r.missing = missing;
    /* of its first second the clock knows least */
    block->torn = lost > 0 || begins;
    live->r.window_n += (double)block->n + lost;
    live->r.window_lost += lost;
    if (lost > 0)
        atomic_store_explicit(&live->losing_ns, uw_live_now(live), memory_order_relaxed);
    else if (live->r.window_n < SHARE_S * live->rate_hz)
        return;
    atomic_store_explicit(&live->loss_share, live->r.window_lost / live->r.window_n,
                          memory_order_relaxed);
    if (live->r.window_n >= SHARE_S * live->rate_hz)
        live->r.window_lost = live->r.window_n = 0;
}

static void measure(struct uw_live *live, const unsigned char *samples, size_t n, bool probing) {
    size_t done = 0;

    while (done < n) {
        struct uw_judge_window w;
        bool full;

        done +=
            uw_judge_feed(&live->r.judge, samples + done * live->sample_bytes, n - done, &full, &w);
        if (full)
            window(live, &w, probing);
    }
}

/* The probe's samples may come out after it is over; what the caller asked for is always his. */
static bool is_probe(struct uw_live *live, double freq_hz) {
    double probe_hz = atomic_load(&live->probe_hz);

    if (probe_hz > 0)
        live->r.probe_hz = probe_hz;
    return live->r.probe_hz > 0 && same(freq_hz, live->r.probe_hz) &&
           !same(freq_hz, atomic_load_explicit(&live->want_freq_hz, memory_order_relaxed));
}

/* True: the block is for the caller. */
static bool look_at(struct uw_live *live, const void *buf, struct uw_source_block *block) {
    bool probing = is_probe(live, block->freq_hz);

    if (block->fresh || !same(block->freq_hz, live->r.freq_hz))
        uw_judge_restart(&live->r.judge);
    live->r.freq_hz = block->freq_hz;
    live->r.gain_db = block->gain_db;
    atomic_store_explicit(&live->gave_ns, uw_live_now(live), memory_order_relaxed);
    count_losses(live, block);
    measure(live, buf, block->n, probing);
    atomic_store_explicit(&live->now_gain_db, block->gain_db, memory_order_relaxed);
    if (atomic_load_explicit(&live->flowing, memory_order_relaxed) != live->r.number)
        begin_flow(live);
    if (probing) {
        live->r.owed += block->lost + block->n;
        live->r.owed_fresh = true;
        return false;
    }
    block->lost += live->r.owed;
    block->fresh |= live->r.owed_fresh;
    live->r.owed = 0;
    live->r.owed_fresh = false;
    return true;
}

static void give_up_probe(struct uw_live *live) {
    const struct uw_judge_window nothing = {.floor_dbfs = -HUGE_VAL};

    while (!uw_diagnose_probe(&live->r.diagnose, &nothing))
        continue;
}

static bool stopped(const struct uw_live *live) {
    return atomic_load_explicit(&live->source->stopped, memory_order_relaxed);
}

int uw_live_read(struct uw_source *source, void *buf, size_t n, struct uw_diag *diag,
                 struct uw_source_block *block) {
    struct uw_live *live = source->live;
    int64_t until = uw_live_now(live) + (int64_t)(WAIT_S * (double)UW_NS_PER_S);

    (void)diag;
    while (!stopped(live)) {
        take_orders(live);
        if (atomic_exchange(&live->probe_failed, false))
            give_up_probe(live);
        *block = (struct uw_source_block){0};
        uw_stream_take(live->r.stream, buf, n, block);
        if (block->n > 0) {
            if (look_at(live, buf, block))
                return 0;
        } else if (next_buffer(live) && feed_buffer(live)) {
            continue;
        }
        if (uw_live_now(live) >= until)
            break;
        if (block->n > 0) /* a probe's */
            continue;
        source->clock.wait(source->clock.userdata, live->reader_fd, until);
        uw_live_calm(live->reader_fd);
    }
    *block = (struct uw_source_block){.freq_hz = live->r.freq_hz, .gain_db = live->r.gain_db};
    return 0;
}
