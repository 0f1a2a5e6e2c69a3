/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sources: the table, and what they have in common
 *
 * Stopping works by a flag, which every read looks at first, and an eventfd, which every wait
 * includes: so a stop from another thread (or a signal handler's loop) ends a wait at once.
 */
#include "uw/iq/source.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "source-impl.h"
#include "uw/base/err.h"
#include "uw/base/time.h"
#include "uw/base/util.h"

static const struct uw_source_ops *const source_table[UW_SOURCE_TYPE_N] = {
    [UW_SOURCE_FILE] = &uw_source_file,     [UW_SOURCE_LOOP] = &uw_source_loop,
    [UW_SOURCE_PIPE] = &uw_source_pipe,     [UW_SOURCE_RTLSDR] = &uw_source_rtlsdr,
    [UW_SOURCE_RTLTCP] = &uw_source_rtltcp, [UW_SOURCE_SOAPY] = &uw_source_soapy,
};

static int64_t clock_mono(void *userdata) {
    (void)userdata;
    return uw_clock_mono_ns();
}

static int64_t clock_real(void *userdata) {
    (void)userdata;
    return uw_clock_real_ns();
}

static void clock_wait(void *userdata, int stop_fd, int64_t until_mono_ns) {
    struct pollfd p = {.fd = stop_fd, .events = POLLIN};

    (void)userdata;
    for (;;) {
        int64_t left = until_mono_ns - uw_clock_mono_ns();
        struct timespec ts;

        if (left <= 0)
            return;
        ts.tv_sec = (time_t)(left / UW_NS_PER_S);
        ts.tv_nsec = (long)(left % UW_NS_PER_S);
        if (ppoll(&p, 1, &ts, NULL) > 0)
            return;
    }
}

static const struct uw_iq_clock system_clock = {
    .mono_ns = clock_mono,
    .real_ns = clock_real,
    .wait = clock_wait,
};

void uw_source_params_init(struct uw_source_params *params) {
    *params = (struct uw_source_params){
        .type = UW_SOURCE_FILE,
        .format = -1,
        .rate_hz = NAN,
        .freq_hz = NAN,
        .start_ns = UW_TIME_NONE,
        .gain_db = NAN,
    };
}

static void source_closep(struct uw_source **source) {
    uw_source_close(*source);
}

int uw_source_check(const struct uw_source_params *params, struct uw_diag *diag) {
    const struct uw_source_ops *ops;

    if ((unsigned)params->type >= UW_SOURCE_TYPE_N)
        return uw_err(-EINVAL);
    ops = source_table[params->type];
    return ops->check ? ops->check(params, diag) : 0;
}

int uw_source_open_clock(const struct uw_source_params *params, const struct uw_iq_clock *clock,
                         struct uw_diag *diag, struct uw_source **ret_source) {
    UW_CLEANUP(source_closep) struct uw_source *source = NULL;
    int r;

    if ((unsigned)params->type >= UW_SOURCE_TYPE_N)
        return uw_err(-EINVAL);
    if (params->type <= UW_SOURCE_LOOP && (!params->path || !params->path[0]))
        return uw_diag_add(diag, "no file given");
    r = uw_source_check(params, diag);
    if (r)
        return r;
    source = calloc(1, sizeof(*source));
    if (!source)
        return uw_err(-ENOMEM);
    source->ops = source_table[params->type];
    source->clock = *clock;
    atomic_init(&source->stopped, false);
    source->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (source->stop_fd < 0)
        return uw_err(-errno);
    r = source->ops->open(source, params, diag);
    if (r)
        return r;
    *ret_source = source;
    source = NULL;
    return 0;
}

int uw_source_open(const struct uw_source_params *params, struct uw_diag *diag,
                   struct uw_source **ret_source) {
    return uw_source_open_clock(params, &system_clock, diag, ret_source);
}

struct uw_source *uw_source_close(struct uw_source *source) {
    if (!source)
        return NULL;
    source->ops->close(source);
    if (source->stop_fd >= 0)
        close(source->stop_fd);
    free(source);
    return NULL;
}

const struct uw_source_info *uw_source_info(const struct uw_source *source) {
    return &source->info;
}

int uw_source_read(struct uw_source *source, void *buf, size_t n, struct uw_diag *diag,
                   struct uw_source_block *ret_block) {
    struct uw_source_block block = {.freq_hz = source->info.freq_hz, .gain_db = NAN};

    if (n > 0 && !atomic_load_explicit(&source->stopped, memory_order_relaxed)) {
        int r = source->ops->read(source, buf, n, diag, &block);

        if (r)
            return r;
    }
    if (block.n == 0 && atomic_load_explicit(&source->stopped, memory_order_relaxed))
        block.end = true;
    *ret_block = block;
    return 0;
}

int uw_source_tune(struct uw_source *source, double freq_hz) {
    if (!source->ops->tune)
        return -EOPNOTSUPP;
    if (!(freq_hz >= source->info.freq_hz_min && freq_hz <= source->info.freq_hz_max))
        return -ERANGE;
    return source->ops->tune(source, freq_hz);
}

void uw_source_health(struct uw_source *source, struct uw_source_health *ret_health) {
    struct uw_source_health health = {.gain_db = NAN, .drift_ppm = NAN};

    if (source->ops->health)
        source->ops->health(source, &health);
    *ret_health = health;
}

/* What the RTL2832's resampler can make (rtlsdr_set_sample_rate() in librtlsdr.c). */
const char *uw_source_rate_fault(enum uw_source_type type, double rate_hz) {
    if (type != UW_SOURCE_RTLSDR || isnan(rate_hz) || (rate_hz > 225e3 && rate_hz <= 300e3) ||
        (rate_hz > 900e3 && rate_hz <= 3.2e6))
        return NULL;
    return "a dongle makes rates from 250e3 to 300e3 and from 900.001e3 to 3.2e6 (2.4e6 is good; "
           "more loses samples on most hosts)";
}

const char *uw_source_state_name(enum uw_source_state state) {
    static const char *const names[UW_SOURCE_STATE_N] = {
        [UW_SOURCE_OK] = "ok",
        [UW_SOURCE_DEGRADED] = "degraded",
        [UW_SOURCE_LOST] = "lost",
    };

    return (unsigned)state < UW_SOURCE_STATE_N ? names[state] : "?";
}

const char *uw_source_problem_name(enum uw_source_problem problem) {
    static const char *const names[UW_SOURCE_PROBLEM_N] = {
        [UW_SOURCE_PROBLEM_NONE] = "none",         [UW_SOURCE_PROBLEM_ABSENT] = "absent",
        [UW_SOURCE_PROBLEM_STALLED] = "stalled",   [UW_SOURCE_PROBLEM_LOSING] = "losing",
        [UW_SOURCE_PROBLEM_CLIPPING] = "clipping", [UW_SOURCE_PROBLEM_DEAF] = "deaf",
        [UW_SOURCE_PROBLEM_UNLOCKED] = "unlocked", [UW_SOURCE_PROBLEM_DRIFTING] = "drifting",
        [UW_SOURCE_PROBLEM_REFUSED] = "refused",   [UW_SOURCE_PROBLEM_UNREACHABLE] = "unreachable",
    };

    return (unsigned)problem < UW_SOURCE_PROBLEM_N ? names[problem] : "?";
}

void uw_source_stop(struct uw_source *source) {
    const uint64_t one = 1;
    ssize_t done;

    atomic_store_explicit(&source->stopped, true, memory_order_relaxed);
    /* Fails only when the counter is full, and then it can be read all the same. */
    done = write(source->stop_fd, &one, sizeof(one));
    (void)done;
    if (source->ops->stop)
        source->ops->stop(source);
}

void uw_source_describe(struct uw_source *source, const char *kind) {
    const struct uw_iq_facts *f = &source->reader->facts;
    struct uw_source_info *info = &source->info;
    const char *slash = strrchr(source->reader->path, '/');
    const char *file = slash ? slash + 1 : source->reader->path;
    char freq[40] = "";

    info->format = f->format;
    info->rate_hz = f->rate_hz;
    info->freq_hz = f->freq_hz;
    info->start_ns = f->start_ns;
    info->n_samples = f->n_samples;
    if (!isnan(f->freq_hz))
        snprintf(freq, sizeof(freq), " at %" PRId64 " Hz", (int64_t)llround(f->freq_hz));
    snprintf(info->description, sizeof(info->description), "%s%s %.56s, %s, %" PRId64 " S/s%s",
             kind, source->reader->ops->name, file, uw_iq_format_name(f->format),
             (int64_t)llround(f->rate_hz), freq);
}

bool uw_source_wait(struct uw_source *source, uint64_t index) {
    int64_t due = uw_time_of_sample(source->start_mono_ns, index, source->info.rate_hz);

    if (source->clock.mono_ns(source->clock.userdata) < due)
        source->clock.wait(source->clock.userdata, source->stop_fd, due);
    return !atomic_load_explicit(&source->stopped, memory_order_relaxed);
}
