/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One receiver: two threads
 *
 *   capture:  source -> free block -> queue          (waits for the source, and for files on the
 * queue) producer: queue -> detector -> reporter -> bus   (waits for the queue and the bus)
 *
 * The end of the source closes the queue; the producer drains it, flushes the detector and sends
 * the progress that says `end`: a shutdown needs no more than stopping the source. If the bus is
 * gone the producer gives up, aborts the queue and stops the source, so that neither thread is left
 * waiting.
 */
#include "uw/rx/rx.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rx-impl.h"
#include "uw/base/err.h"
#include "uw/base/iq-format.h"
#include "uw/base/str.h"
#include "uw/base/thread.h"
#include "uw/base/time.h"
#include "uw/bus/bus.h"
#include "uw/dsp/front.h"
#include "uw/iq/source.h"

#define BLOCK_S         0.02 /* a fraction of the quarter of a second that an alert may take */
#define BLOCK_MIN       2048
#define BLOCK_MAX_BYTES (1 << 20)
#define FILE_BLOCKS     8
#define LIVE_BLOCKS     32
#define LIVE_MAX_BYTES  (8 << 20)
#define CLIP_S          0.5

struct uw_rx {
    struct uw_source *source;
    const struct uw_source_info *info;
    struct uw_bus *bus;
    char *endpoint;
    size_t block_samples;
    unsigned delay_seed;
    struct uw_rx_queue *queue;
    struct uw_rx_walker *walker;
    struct uw_detector *detector;
    struct uw_rx_report report;
    struct uw_thread *capture, *producer;

    /* capture's, read when it has been joined; `failed` is set before the queue is closed */
    int capture_error;
    struct uw_diag capture_diag;

    /* producer's, read when it has been joined */
    struct uw_bus_sender *sender;
    int producer_error;
    struct uw_diag producer_diag;
    uint64_t lost, pushed;
    double clipped_before, heard_before; /* samples, when the clip ratio was last taken */

    _Atomic uint64_t n_samples, n_lost, n_detections;
    _Atomic int64_t last_sample_mono_ns;
    _Atomic double clip_ratio, noise_dbfs, freq_hz;
    _Atomic bool ended, failed;
    _Atomic int64_t capture_pulse_ns, producer_pulse_ns;
    _Atomic(struct uw_detector *) next_detector; /* NULL: the present one stays */
    _Atomic bool renewing;
    void (*wait_turn)(void *userdata, int64_t time_ns);
    void *userdata;
};

/* Only tests ask for delays: they shake the order in which threads run. */
static void random_delay(unsigned *state) {
    struct timespec t = {0};

    if (*state == 0)
        return;
    *state = *state * 1664525u + 1013904223u;
    if (*state >> 29)
        return;
    *state = *state * 1664525u + 1013904223u;
    if (*state == 0)
        *state = 1;
    t.tv_nsec = (long)(*state >> 11); /* up to 2 ms */
    clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

static void walk_on(struct uw_rx *rx, const struct uw_source_block *got) {
    double at_hz = got->n > 0 ? got->freq_hz : NAN;
    double freq_hz;

    /* a source that refuses now is asked again when the walk gets impatient */
    if (rx->info->tunable && uw_rx_walker_next(rx->walker, got->n, got->lost, at_hz, &freq_hz))
        (void)uw_source_tune(rx->source, freq_hz);
}

static void capture_main(void *userdata) {
    struct uw_rx *rx = userdata;
    unsigned delay = rx->delay_seed;
    int r = 0;

    for (;;) {
        struct uw_rx_block *block = uw_rx_queue_free_take(rx->queue, rx->info->live);
        struct uw_source_block got;
        int64_t now;

        if (!block)
            break;
        random_delay(&delay);
        r = uw_source_read(rx->source, block->data, rx->block_samples, &rx->capture_diag, &got);
        if (r || got.end)
            break;
        walk_on(rx, &got);
        /* without samples, too: it is the producer's sign of life */
        block->n = got.n;
        block->lost = got.n > 0 ? got.lost : 0;
        block->freq_hz = got.freq_hz;
        block->gain_db = got.gain_db;
        block->fresh = got.fresh;
        block->torn = got.torn;
        now = uw_clock_mono_ns();
        atomic_store_explicit(&rx->capture_pulse_ns, now, memory_order_relaxed);
        if (got.n > 0)
            atomic_store_explicit(&rx->last_sample_mono_ns, now, memory_order_relaxed);
        uw_rx_queue_push(rx->queue, block);
    }
    rx->capture_error = r;
    if (r)
        atomic_store_explicit(&rx->failed, true, memory_order_relaxed);
    uw_rx_queue_close(rx->queue);
}

static void give_up(struct uw_rx *rx, int r) {
    if (!rx->producer_error)
        rx->producer_error = r;
    uw_rx_queue_abort(rx->queue);
    uw_source_stop(rx->source);
}

static struct uw_quality quality_now(struct uw_rx *rx) {
    const struct uw_front *front = uw_detector_front(rx->detector);
    struct uw_quality q = {
        .lost_samples = (int64_t)rx->lost,
        .clip_ratio = uw_front_clip_ratio(front),
        .noise_dbfs = uw_front_noise_dbfs(front),
    };

    if (!isfinite(q.noise_dbfs))
        q.noise_dbfs = NAN; /* nothing but zeros: no noise to speak of */
    if (!isfinite(q.clip_ratio))
        q.clip_ratio = NAN;
    return q;
}

static void send_detection(void *userdata, const struct uw_detection *d) {
    struct uw_rx *rx = userdata;
    int r;

    if (rx->producer_error)
        return;
    r = uw_bus_send_detection(rx->sender, d, true);
    if (r)
        give_up(rx, r);
    else
        atomic_fetch_add_explicit(&rx->n_detections, 1, memory_order_relaxed);
}

/* What clips now: the front end counts from the beginning, and would never forget a strong
 * signal. */
static void note_clipping(struct uw_rx *rx) {
    const struct uw_front *front = uw_detector_front(rx->detector);
    double heard = (double)uw_front_samples(front);
    double clipped = uw_front_clip_ratio(front) * heard;

    if (heard < rx->heard_before) /* another detector */
        rx->heard_before = rx->clipped_before = 0;
    if (heard - rx->heard_before < CLIP_S * rx->info->rate_hz)
        return;
    atomic_store_explicit(&rx->clip_ratio,
                          (clipped - rx->clipped_before) / (heard - rx->heard_before),
                          memory_order_relaxed);
    rx->heard_before = heard;
    rx->clipped_before = clipped;
}

static void send_progress(struct uw_rx *rx, uint64_t sample, bool end) {
    struct uw_progress p;
    int r;

    if (rx->producer_error)
        return;
    uw_progress_init(&p);
    uw_str_copy(p.receiver, sizeof(p.receiver), rx->report.receiver);
    p.time_ns = uw_time_of_sample(rx->info->start_ns, sample, rx->info->rate_hz);
    p.number = rx->report.n_detections;
    p.tuning = rx->report.tuning;
    p.quality = quality_now(rx);
    p.samples = sample;
    p.end = end;
    p.failed = end && atomic_load_explicit(&rx->failed, memory_order_relaxed);
    note_clipping(rx);
    atomic_store_explicit(&rx->noise_dbfs, p.quality.noise_dbfs, memory_order_relaxed);
    if (rx->wait_turn && !rx->info->live && !end)
        rx->wait_turn(rx->userdata, p.time_ns);
    r = uw_bus_send_progress(rx->sender, &p, true);
    if (r)
        give_up(rx, r);
}

static void on_finding(void *userdata, const struct uw_finding *finding) {
    struct uw_rx *rx = userdata;
    struct uw_quality quality = quality_now(rx);

    uw_rx_report_finding(&rx->report, finding, &quality);
}

static void on_progress(void *userdata, uint64_t sample) {
    struct uw_rx *rx = userdata;

    send_progress(rx, rx->report.base + uw_rx_report_progress(&rx->report, sample), false);
}

static void process(struct uw_rx *rx, const struct uw_rx_block *block) {
    bool moved = rx->info->tunable && block->freq_hz != rx->report.tuning.centre_hz;

    rx->lost += block->lost;
    if (block->torn)
        uw_detector_torn(rx->detector);
    atomic_store_explicit(&rx->n_lost, rx->lost, memory_order_relaxed);
    if (moved && uw_detector_retune(rx->detector, block->freq_hz, block->lost) == 0) {
        rx->report.tuning.centre_hz = block->freq_hz;
        atomic_store_explicit(&rx->freq_hz, block->freq_hz, memory_order_relaxed);
    } else if (block->lost || block->fresh) {
        uw_detector_gap(rx->detector, block->lost);
    }
    rx->report.tuning.gain_db = block->gain_db;
    uw_detector_push(rx->detector, block->data, block->n);
    rx->pushed += block->n;
    atomic_store_explicit(&rx->n_samples, rx->pushed, memory_order_relaxed);
}

static void renew(struct uw_rx *rx, struct uw_detector *next) {
    uw_detector_flush(rx->detector);
    uw_rx_report_flush(&rx->report);
    uw_detector_free(rx->detector);
    rx->detector = next;
    uw_rx_report_restart(&rx->report, rx->pushed + rx->lost);
    if (rx->info->tunable)
        (void)uw_detector_retune(next, rx->report.tuning.centre_hz, 0);
    atomic_store_explicit(&rx->renewing, false, memory_order_release);
}

/* The detector may be another from here on. */
static void between_blocks(struct uw_rx *rx) {
    struct uw_detector *next = NULL;

    atomic_store_explicit(&rx->producer_pulse_ns, uw_clock_mono_ns(), memory_order_relaxed);
    if (atomic_load_explicit(&rx->next_detector, memory_order_relaxed))
        next = atomic_exchange_explicit(&rx->next_detector, NULL, memory_order_acquire);
    if (next)
        renew(rx, next);
}

static void producer_main(void *userdata) {
    struct uw_rx *rx = userdata;
    unsigned delay = rx->delay_seed ? rx->delay_seed ^ 0x5bd1e995u : 0;
    struct uw_rx_block *block;
    uint64_t owed = 0; /* lost before a block without samples */
    int r;

    /* Before libzmq could start a thread from here. What producers do not get is dropped and
     * counted; what fusion and the feed do not get is lost in the queues of subscribers, where
     * nobody counts it. */
    uw_thread_step_back();
    r = uw_bus_sender_new(rx->bus, rx->endpoint, &rx->producer_diag, &rx->sender);
    if (r) {
        give_up(rx, r);
        /* nobody would ever hear of this receiver's end: the whole chain has to stop */
        uw_bus_shutdown(rx->bus);
    }
    while ((block = uw_rx_queue_pop(rx->queue))) {
        random_delay(&delay);
        between_blocks(rx);
        block->lost += owed;
        owed = block->n > 0 ? 0 : block->lost;
        if (block->n > 0)
            process(rx, block);
        uw_rx_queue_free_give(rx->queue, block);
    }
    if (!rx->producer_error) {
        uw_detector_flush(rx->detector);
        uw_rx_report_flush(&rx->report);
        send_progress(rx, rx->pushed + rx->lost, true);
    }
    rx->sender = uw_bus_sender_free(rx->sender);
    if (rx->producer_error)
        atomic_store_explicit(&rx->failed, true, memory_order_relaxed);
    atomic_store_explicit(&rx->ended, true, memory_order_release);
}

static size_t choose_block(const struct uw_source_info *info) {
    size_t n = (size_t)(info->rate_hz * BLOCK_S);
    size_t most = BLOCK_MAX_BYTES / uw_iq_format_size(info->format);

    if (n < BLOCK_MIN)
        n = BLOCK_MIN;
    return n < most ? n : most;
}

static size_t choose_n_blocks(const struct uw_source_info *info, size_t block_bytes) {
    size_t n = LIVE_BLOCKS;

    if (!info->live)
        return FILE_BLOCKS;
    if (n * block_bytes > LIVE_MAX_BYTES)
        n = LIVE_MAX_BYTES / block_bytes;
    return n < 4 ? 4 : n;
}

static int make_detector(const struct uw_rx *rx, const struct uw_sigdb *db, bool below_noise,
                         struct uw_detector **ret_detector) {
    const struct uw_detector_ops ops = {.finding = on_finding, .progress = on_progress};
    struct uw_detector_config dc = {
        .rate_hz = rx->info->rate_hz,
        .freq_hz = rx->info->freq_hz,
        .format = rx->info->format,
        .db = db,
        .below_noise = below_noise,
        .n_centres = rx->info->tunable ? UW_RX_CENTRES_MAX : 0,
    };

    return uw_detector_new(&dc, &ops, (void *)rx, ret_detector);
}

static int make_parts(struct uw_rx *rx, const struct uw_rx_config *config) {
    size_t bytes = rx->block_samples * uw_iq_format_size(rx->info->format);
    int r;

    r = uw_rx_report_name(&rx->report, &config->head, config->name);
    if (r)
        return r;
    rx->endpoint = strdup(config->endpoint);
    if (!rx->endpoint)
        return uw_err(-ENOMEM);
    r = uw_rx_queue_new(choose_n_blocks(rx->info, bytes), bytes, &rx->queue);
    if (r)
        return r;
    r = uw_rx_walker_new(rx->info->rate_hz, &rx->walker);
    if (r)
        return r;
    return make_detector(rx, config->db, config->below_noise, &rx->detector);
}

int uw_rx_new(const struct uw_rx_config *config, struct uw_rx **ret_rx) {
    struct uw_rx *rx = calloc(1, sizeof(*rx));
    int r;

    if (!rx)
        return uw_err(-ENOMEM);
    rx->info = uw_source_info(config->source);
    rx->bus = config->bus;
    rx->delay_seed = config->delay_seed;
    rx->wait_turn = config->wait_turn;
    rx->userdata = config->userdata;
    rx->block_samples = config->block_samples ? config->block_samples : choose_block(rx->info);
    rx->report.start_ns = rx->info->start_ns;
    rx->report.tuning = (struct uw_tuning){
        .centre_hz = rx->info->freq_hz, .rate_hz = rx->info->rate_hz, .gain_db = NAN};
    rx->report.send = send_detection;
    rx->report.userdata = rx;
    rx->clip_ratio = NAN;
    rx->noise_dbfs = NAN;
    rx->freq_hz = rx->info->freq_hz;
    r = make_parts(rx, config);
    if (r) {
        uw_rx_free(rx);
        return r;
    }
    rx->source = config->source; /* last: on failure it stays with the caller */
    *ret_rx = rx;
    return 0;
}

int uw_rx_set_walk(struct uw_rx *rx, const struct uw_rx_walk *walk) {
    if (!rx->info->tunable)
        return -EOPNOTSUPP;
    if (walk->n < 0 || walk->n > UW_RX_CENTRES_MAX)
        return uw_err(-EINVAL);
    uw_rx_walker_set(rx->walker, walk);
    return 0;
}

void uw_rx_set_counts(struct uw_rx *rx, const struct uw_rx_counts *counts) {
    rx->report.n_detections = counts->detections;
    rx->report.emitter_base = counts->emitters;
}

void uw_rx_counts(const struct uw_rx *rx, struct uw_rx_counts *ret) {
    *ret = (struct uw_rx_counts){
        .detections = rx->report.n_detections,
        .emitters = rx->report.emitter_base + rx->report.emitter_max,
    };
}

int uw_rx_start(struct uw_rx *rx) {
    int r;

    r = uw_thread_start("uw-producer", producer_main, rx, &rx->producer);
    if (r)
        return r;
    r = uw_thread_start("uw-capture", capture_main, rx, &rx->capture);
    if (r)
        uw_rx_queue_close(rx->queue);
    return r;
}

void uw_rx_stop(struct uw_rx *rx) {
    uw_source_stop(rx->source);
}

/* The first that went wrong. */
static int report_error(int r, const struct uw_diag *from, struct uw_diag *diag) {
    for (int i = 0; i < from->n; i++)
        uw_diag_add(diag, "%s", from->text[i]);
    return r;
}

int uw_rx_join(struct uw_rx *rx, struct uw_diag *diag) {
    rx->capture = uw_thread_join(rx->capture);
    rx->producer = uw_thread_join(rx->producer);
    if (rx->capture_error)
        return report_error(rx->capture_error, &rx->capture_diag, diag);
    if (rx->producer_error && rx->producer_error != -UW_BUS_ETERM)
        return report_error(rx->producer_error, &rx->producer_diag, diag);
    return 0;
}

struct uw_rx *uw_rx_free(struct uw_rx *rx) {
    if (!rx)
        return NULL;
    if (rx->capture || rx->producer) {
        uw_rx_stop(rx);
        uw_rx_queue_abort(rx->queue);
        uw_rx_join(rx, NULL);
    }
    uw_detector_free(rx->detector);
    uw_detector_free(atomic_load_explicit(&rx->next_detector, memory_order_acquire));
    uw_rx_queue_free(rx->queue);
    uw_rx_walker_free(rx->walker);
    uw_source_close(rx->source);
    free(rx->endpoint);
    free(rx);
    return NULL;
}

int uw_rx_renew_prepare(const struct uw_rx *rx, const struct uw_sigdb *db, bool below_noise,
                        struct uw_detector **ret_detector) {
    return make_detector(rx, db, below_noise, ret_detector);
}

void uw_rx_renew(struct uw_rx *rx, struct uw_detector *detector) {
    atomic_store_explicit(&rx->renewing, true, memory_order_relaxed);
    uw_detector_free(atomic_exchange_explicit(&rx->next_detector, detector, memory_order_acq_rel));
}

bool uw_rx_renewed(const struct uw_rx *rx) {
    return !atomic_load_explicit(&rx->renewing, memory_order_acquire) ||
           atomic_load_explicit(&rx->ended, memory_order_acquire);
}

void uw_rx_source_health(const struct uw_rx *rx, struct uw_source_health *ret) {
    uw_source_health(rx->source, ret);
}

const struct uw_source_info *uw_rx_source_info(const struct uw_rx *rx) {
    return rx->info;
}

void uw_rx_stats(const struct uw_rx *rx, struct uw_rx_stats *ret) {
    size_t queue_blocks;
    uint64_t dropped;

    uw_rx_queue_count(rx->queue, &queue_blocks, &dropped);
    *ret = (struct uw_rx_stats){
        .samples = atomic_load_explicit(&rx->n_samples, memory_order_relaxed),
        .lost = atomic_load_explicit(&rx->n_lost, memory_order_relaxed),
        .detections = atomic_load_explicit(&rx->n_detections, memory_order_relaxed),
        .last_sample_mono_ns = atomic_load_explicit(&rx->last_sample_mono_ns, memory_order_relaxed),
        .clip_ratio = atomic_load_explicit(&rx->clip_ratio, memory_order_relaxed),
        .noise_dbfs = atomic_load_explicit(&rx->noise_dbfs, memory_order_relaxed),
        .freq_hz = atomic_load_explicit(&rx->freq_hz, memory_order_relaxed),
        .dropped = dropped,
        .queue_blocks = queue_blocks,
        .capture_pulse_ns = atomic_load_explicit(&rx->capture_pulse_ns, memory_order_relaxed),
        .producer_pulse_ns = atomic_load_explicit(&rx->producer_pulse_ns, memory_order_relaxed),
        .ended = atomic_load_explicit(&rx->ended, memory_order_acquire),
        .failed = atomic_load_explicit(&rx->failed, memory_order_relaxed),
    };
}
