/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A live device: its life, and the way of its bytes
 *
 * Two rings of pointers hold the pool together: `empty` from the reader to the stream thread,
 * `full` back. Neither side waits for the other. A callback that finds no empty buffer drops what
 * it has and counts it: the reader has slept for half a second then, and what is missing is told by
 * the clock, in its place. Nobody sleeps on the rings: an eventfd wakes the reader, which can so
 * wait for samples, orders, a stop and a time at once.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "live-core-impl.h"
#include "uw/base/err.h"
#include "uw/base/ring.h"
#include "uw/base/str.h"
#include "uw/base/thread.h"
#include "uw/base/time.h"
#include "uw/base/util.h"

#define POOL_S     0.5 /* the reader may sleep for so long */
#define POOL_LEAST 16
#define POOL_MOST  128

int64_t uw_live_now(const struct uw_live *live) {
    return live->source->clock.mono_ns(live->source->clock.userdata);
}

void uw_live_wake(int fd) {
    const uint64_t one = 1;
    ssize_t n = write(fd, &one, sizeof(one));

    (void)n; /* fails only when the counter is full, and then it can be read all the same */
}

void uw_live_calm(int fd) {
    uint64_t count;
    ssize_t n = read(fd, &count, sizeof(count));

    (void)n;
}

void uw_live_give(struct uw_live *live, const void *bytes, size_t n_bytes) {
    int64_t now = uw_live_now(live);
    const unsigned char *from = bytes;

    atomic_store_explicit(&live->came_ns, now, memory_order_relaxed);
    while (n_bytes > 0) {
        size_t n = n_bytes < live->buffer_bytes ? n_bytes : live->buffer_bytes;
        struct uw_live_buffer *b = uw_ring_pop(live->empty);

        if (!b) {
            atomic_fetch_add_explicit(&live->n_dropped_bytes, n_bytes, memory_order_relaxed);
            break;
        }
        b->came_ns = now;
        b->stream = live->stream;
        b->n_bytes = n;
        memcpy(b->data, from, n);
        /* There are not more buffers than places. */
        (void)uw_ring_push(live->full, b);
        from += n;
        n_bytes -= n;
    }
    uw_live_wake(live->reader_fd);
}

bool uw_live_interrupted(const struct uw_live *live) {
    return atomic_load_explicit(&live->interrupted, memory_order_relaxed) ||
           atomic_load_explicit(&live->source->stopped, memory_order_relaxed);
}

int uw_live_trouble(struct uw_live *live, enum uw_source_problem problem, const char *format, ...) {
    char advice[UW_SOURCE_ADVICE_LEN];
    va_list ap;

    va_start(ap, format);
    vsnprintf(advice, sizeof(advice), format, ap);
    va_end(ap);
    pthread_mutex_lock(&live->mutex);
    live->trouble = problem;
    live->trouble_stream = live->stream;
    memcpy(live->advice, advice, sizeof(advice));
    pthread_mutex_unlock(&live->mutex);
    return UW_E_INPUT;
}

int uw_live_tune(struct uw_source *source, double freq_hz) {
    struct uw_live *live = source->live;

    atomic_store_explicit(&live->want_freq_hz, freq_hz, memory_order_relaxed);
    uw_live_wake(live->control_fd);
    return 0;
}

void uw_live_stop(struct uw_source *source) {
    struct uw_live *live = source->live;

    if (!live)
        return;
    uw_live_wake(live->control_fd);
    uw_live_wake(live->reader_fd);
    live->driver->interrupt(live->device);
}

static int make_pool(struct uw_live *live) {
    double n = ceil(POOL_S / live->driver->buffer_s);
    int r;

    live->n_buffers = (int)fmin(fmax(n, POOL_LEAST), POOL_MOST);
    live->buffers = calloc((size_t)live->n_buffers, sizeof(*live->buffers));
    live->data = malloc((size_t)live->n_buffers * live->buffer_bytes);
    if (!live->buffers || !live->data)
        return uw_err(-ENOMEM);
    uw_touch(live->data, (size_t)live->n_buffers * live->buffer_bytes);
    r = uw_ring_new((size_t)live->n_buffers, &live->full);
    if (r == 0)
        r = uw_ring_new((size_t)live->n_buffers, &live->empty);
    if (r == 0)
        r = uw_ring_new(UW_LIVE_ORDERS, &live->orders);
    if (r == 0)
        r = uw_ring_new(UW_LIVE_ORDERS, &live->orders_free);
    if (r)
        return r;
    for (int i = 0; i < live->n_buffers; i++) {
        live->buffers[i].data = live->data + (size_t)i * live->buffer_bytes;
        (void)uw_ring_push(live->empty, &live->buffers[i]);
    }
    for (int i = 0; i < UW_LIVE_ORDERS; i++)
        (void)uw_ring_push(live->orders_free, &live->order_pool[i]);
    return 0;
}

static int make_reader(struct uw_live *live, enum uw_iq_format format) {
    /* a device whose samples come in lumps says so by what it may hold back */
    double lump_s = fmax(live->driver->buffer_s,
                         live->driver->hold_s / 1.2 > 0.26 ? live->driver->hold_s / 1.2 : 0);
    struct uw_stream_config config = {
        .rate_hz = live->rate_hz,
        .sample_bytes = live->sample_bytes,
        .quantum = (size_t)(lump_s * live->rate_hz),
        .base_ns = live->base_ns,
    };

    live->r.freq_hz = NAN;
    live->r.gain_db = NAN;
    uw_judge_init(&live->r.judge, format, live->rate_hz);
    uw_diagnose_init(&live->r.diagnose, format);
    return uw_stream_new(&config, &live->r.stream);
}

static void describe(struct uw_source *source, const struct uw_live *live) {
    struct uw_source_info *info = &source->info;

    snprintf(info->description, sizeof(info->description),
             "%s %.48s, %s, %" PRId64 " S/s at %" PRId64 " Hz", live->driver->name,
             live->device_text[0] ? live->device_text : "(the only one)",
             uw_iq_format_name(info->format), (int64_t)llround(info->rate_hz),
             (int64_t)llround(info->freq_hz));
}

int uw_live_check(const struct uw_source_params *params, const char *name, double freq_hz_min,
                  double freq_hz_max, struct uw_diag *diag) {
    const char *device = params->device ? params->device : "";
    int r = 0;

    if (!(params->rate_hz >= UW_RATE_MIN_HZ && params->rate_hz <= UW_RATE_MAX_HZ))
        r = uw_diag_add(diag, "%s \"%.80s\": rate_hz is needed, from 250e3 to 50e6", name, device);
    if (!(params->freq_hz >= freq_hz_min && params->freq_hz <= freq_hz_max))
        r = uw_diag_add(diag, "%s \"%.80s\": freq_hz is needed, from %.0f to %.0f", name, device,
                        freq_hz_min, freq_hz_max);
    if (!(fabs(params->ppm) <= 1000))
        r = uw_diag_add(diag, "%s \"%.80s\": ppm must be from -1000 to 1000", name, device);
    if (strlen(device) >= UW_LIVE_DEVICE_LEN)
        r = uw_diag_add(diag, "%s \"%.80s...\": the name of the device is too long", name, device);
    return r;
}

static void fill(struct uw_live *live, struct uw_source *source,
                 const struct uw_source_params *params, const struct uw_live_config *config) {
    live->source = source;
    live->driver = config->driver;
    live->device = config->device;
    uw_str_copy(live->device_text, sizeof(live->device_text), params->device ? params->device : "");
    live->rate_hz = params->rate_hz;
    live->ppm = params->ppm;
    live->fixed_gain_db = params->gain_db;
    live->bias_tee = params->bias_tee;
    live->sample_bytes = uw_iq_format_size(config->format);
    live->buffer_bytes =
        (size_t)ceil(config->driver->buffer_s * params->rate_hz) * live->sample_bytes;
    live->base_ns = uw_live_now(live);
    atomic_init(&live->pulse_ns, live->base_ns);
    live->trouble = UW_SOURCE_PROBLEM_STALLED;
    uw_str_copy(live->advice, sizeof(live->advice), "The device is being opened.");
    live->last_state = UW_SOURCE_DEGRADED;
    live->since_ns = live->base_ns;
    live->want_freq_hz = live->freq_hz = params->freq_hz;
    live->want_gain_db = NAN;
    live->clip_ratio = live->drift_ppm = live->now_gain_db = NAN;
    source->info = (struct uw_source_info){
        .format = config->format,
        .rate_hz = params->rate_hz,
        .freq_hz = params->freq_hz,
        .start_ns = params->start_ns,
        .live = true,
        .tunable = config->driver->tune != NULL,
        .freq_hz_min = config->freq_hz_min,
        .freq_hz_max = config->freq_hz_max,
    };
    if (params->start_ns == UW_TIME_NONE)
        source->info.start_ns = source->clock.real_ns(source->clock.userdata);
    describe(source, live);
}

int uw_live_open(struct uw_source *source, const struct uw_source_params *params,
                 const struct uw_live_config *config) {
    struct uw_live *live = calloc(1, sizeof(*live));
    int r;

    if (!live) {
        config->driver->free(config->device);
        return uw_err(-ENOMEM);
    }
    pthread_mutex_init(&live->mutex, NULL);
    live->control_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    live->reader_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    fill(live, source, params, config);
    source->live = live; /* closed with the source from here on */
    if (live->control_fd < 0 || live->reader_fd < 0)
        return uw_err(-errno);
    r = make_pool(live);
    if (r == 0)
        r = make_reader(live, config->format);
    if (r == 0)
        r = uw_thread_start("uw-device", uw_live_supervise, live, &live->supervisor);
    return r;
}

void uw_live_close(struct uw_source *source) {
    struct uw_live *live = source->live;

    if (!live)
        return;
    if (live->supervisor) {
        uw_source_stop(source);
        uw_thread_join(live->supervisor);
    }
    live->driver->free(live->device);
    uw_stream_free(live->r.stream);
    uw_ring_free(live->full);
    uw_ring_free(live->empty);
    uw_ring_free(live->orders);
    uw_ring_free(live->orders_free);
    free(live->buffers);
    free(live->data);
    if (live->control_fd >= 0)
        close(live->control_fd);
    if (live->reader_fd >= 0)
        close(live->reader_fd);
    pthread_mutex_destroy(&live->mutex);
    free(live);
    source->live = NULL;
}
