/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A pipe as a live receiver: another program gives the samples, and may end and come back
 *
 * Nothing is waited for. What the clock says should have come and has not is lost, and counted
 * (stream.c). A program that could give more than the clock allows, as one that plays a file, is
 * held back by the pipe itself, and nothing of it is lost. When the program ends, the pipe stays
 * open: the next one that writes to it goes on. Where it left off inside a sample is forgotten.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source-impl.h"
#include "stream-impl.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/time.h"
#include "uw/base/util.h"

#define READ_S    0.2  /* the longest that a read takes */
#define AHEAD_S   0.02 /* what may come before its time */
#define QUANTUM_S 0.02
#define STALLED_S 1.0
#define RETRY_MS  50 /* nobody writes: poll() would return at once */
#define AWAY_S    0.5

struct pipe {
    int fd;
    char path[UW_IQ_PATH_LEN];
    struct uw_stream *stream;
    bool begun, ever;
    int64_t begin_ns;  /* of this writer's stream */
    uint64_t received; /* bytes of it */

    /* for uw_source_health() */
    _Atomic bool has_writer;
    _Atomic int64_t data_ns, since_ns;
    _Atomic int state; /* enum uw_source_state of the last look */
    _Atomic uint64_t lost, discarded, reopened;
};

static int check_params(const struct uw_source_params *p, int format, double rate_hz,
                        struct uw_diag *diag) {
    if (format < 0)
        return uw_diag_add(diag, "%s: the format of its samples is needed", p->path);
    if (!(rate_hz >= UW_RATE_MIN_HZ && rate_hz <= UW_RATE_MAX_HZ))
        return uw_diag_add(diag, "%s: its rate is needed, 250e3 to 50e6 samples a second", p->path);
    return 0;
}

static int open_fd(struct pipe *pipe, struct uw_diag *diag) {
    struct stat st;

    if (strcmp(pipe->path, "-") == 0)
        pipe->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    else
        pipe->fd = open(pipe->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (pipe->fd < 0 || fstat(pipe->fd, &st) < 0)
        return uw_diag_add(diag, "%s: %s", pipe->path, strerror(errno));
    if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
        return uw_diag_add(diag, "%s: is no pipe: \"file\" reads a recording, \"loop\" plays it",
                           pipe->path);
    if (fcntl(pipe->fd, F_SETFL, fcntl(pipe->fd, F_GETFL) | O_NONBLOCK) < 0)
        return uw_err(-errno);
    return 0;
}

static void pipe_close(struct uw_source *source) {
    struct pipe *pipe = source->live;

    if (!pipe)
        return;
    if (pipe->fd >= 0)
        close(pipe->fd);
    uw_stream_free(pipe->stream);
    free(pipe);
    source->live = NULL;
}

static void describe(struct uw_source *source, const struct pipe *pipe) {
    struct uw_source_info *info = &source->info;

    info->live = true;
    snprintf(info->description, sizeof(info->description), "pipe %.56s, %s, %" PRId64 " S/s",
             pipe->path, uw_iq_format_name(info->format), (int64_t)llround(info->rate_hz));
}

static int pipe_open(struct uw_source *source, const struct uw_source_params *params,
                     struct uw_diag *diag) {
    struct uw_stream_config config = {.base_ns = source->clock.mono_ns(source->clock.userdata)};
    struct uw_source_info *info = &source->info;
    struct pipe *pipe = calloc(1, sizeof(*pipe));
    int format = -1, r;

    if (!pipe)
        return uw_err(-ENOMEM);
    source->live = pipe;
    pipe->fd = -1;
    pipe->since_ns = pipe->data_ns = config.base_ns;
    info->rate_hz = info->freq_hz = NAN;
    if (!uw_str_copy(pipe->path, sizeof(pipe->path), params->path))
        return uw_diag_add(diag, "the path is too long");
    uw_iq_name_parse(params->path, &format, &info->rate_hz, &info->freq_hz);
    format = params->format >= 0 ? params->format : format;
    info->rate_hz = isnan(params->rate_hz) ? info->rate_hz : params->rate_hz;
    info->freq_hz = isnan(params->freq_hz) ? info->freq_hz : params->freq_hz;
    r = check_params(params, format, info->rate_hz, diag);
    if (r == 0)
        r = open_fd(pipe, diag);
    if (r)
        return r;
    info->format = (enum uw_iq_format)format;
    info->start_ns = params->start_ns != UW_TIME_NONE
                         ? params->start_ns
                         : source->clock.real_ns(source->clock.userdata);
    describe(source, pipe);
    config.rate_hz = info->rate_hz;
    config.sample_bytes = uw_iq_format_size(info->format);
    config.quantum = (size_t)(QUANTUM_S * info->rate_hz);
    return uw_stream_new(&config, &pipe->stream);
}

static void writer_gone(struct pipe *pipe) {
    if (pipe->begun)
        uw_stream_end(pipe->stream);
    pipe->begun = false;
    atomic_store_explicit(&pipe->has_writer, false, memory_order_relaxed);
}

static void writer_there(struct uw_source *source, struct pipe *pipe, int64_t now) {
    if (pipe->begun)
        return;
    pipe->begun = true;
    pipe->begin_ns = now;
    pipe->received = 0;
    uw_stream_begin(pipe->stream, source->info.freq_hz, NAN);
    if (pipe->ever)
        atomic_fetch_add_explicit(&pipe->reopened, 1, memory_order_relaxed);
    pipe->ever = true;
    atomic_store_explicit(&pipe->has_writer, true, memory_order_relaxed);
}

/* Bytes that may come by now. */
static size_t allowance(const struct uw_source *source, const struct pipe *pipe, int64_t now) {
    double size = (double)uw_iq_format_size(source->info.format);
    double due = ((double)(now - pipe->begin_ns) / 1e9 + AHEAD_S) * source->info.rate_hz * size;

    if (!pipe->begun)
        return (size_t)(AHEAD_S * source->info.rate_hz * size);
    return due > (double)pipe->received ? (size_t)(due - (double)pipe->received) : 0;
}

/* Not a number would spoil everything that is computed from it. */
static void mend_floats(unsigned char *data, size_t n) {
    for (size_t i = 0; i + sizeof(float) <= n; i += sizeof(float)) {
        float x;
        memcpy(&x, data + i, sizeof(x));
        if (!isfinite(x))
            memset(data + i, 0, sizeof(x));
    }
}

/* One read(2). False: there is nothing more for now. */
static bool fetch(struct uw_source *source, struct pipe *pipe, int64_t now) {
    struct pollfd p = {.fd = pipe->fd, .events = POLLIN};
    size_t room = 0, most;
    unsigned char *to;
    bool limited;
    ssize_t got;

    if (poll(&p, 1, 0) > 0 && (p.revents & POLLIN))
        writer_there(source, pipe, now); /* before the first byte: it may be inside a sample */
    most = allowance(source, pipe, now);
    to = uw_stream_space(pipe->stream, &room);
    if (room == 0 || most == 0)
        return false;
    limited = most < room;
    got = read(pipe->fd, to, limited ? most : room);
    if (got < 0) /* EAGAIN: a writer that is quiet */
        return false;
    if (got == 0) {
        writer_gone(pipe);
        return false;
    }
    pipe->received += (uint64_t)got;
    atomic_store_explicit(&pipe->data_ns, now, memory_order_relaxed);
    /* all that was due by now has been taken, whatever the writer still has */
    uw_stream_received(pipe->stream, (size_t)got, now, limited || (size_t)got < room);
    return true;
}

static void count(struct pipe *pipe) {
    struct uw_stream_counts counts;

    uw_stream_counts(pipe->stream, &counts);
    atomic_store_explicit(&pipe->lost, counts.lost, memory_order_relaxed);
    atomic_store_explicit(&pipe->discarded, counts.discarded, memory_order_relaxed);
}

/* Until there may be something to read, or a stop. */
static void wait_for_data(struct uw_source *source, struct pipe *pipe, int64_t now) {
    bool paced = pipe->begun && allowance(source, pipe, now) == 0;
    struct pollfd p[2] = {
        {.fd = source->stop_fd, .events = POLLIN},
        {.fd = pipe->fd, .events = POLLIN},
    };

    if (!pipe->begun && poll(&p[1], 1, 0) > 0 && !(p[1].revents & POLLIN))
        (void)poll(p, 1, RETRY_MS); /* only POLLHUP: nobody writes */
    else
        (void)poll(p, paced ? 1 : 2, paced ? 5 : RETRY_MS);
}

static int pipe_read(struct uw_source *source, void *buf, size_t n, struct uw_diag *diag,
                     struct uw_source_block *block) {
    struct pipe *pipe = source->live;
    int64_t begin = source->clock.mono_ns(source->clock.userdata), now = begin;

    (void)diag;
    while (uw_stream_ready(pipe->stream) < n && (double)(now - begin) < READ_S * 1e9) {
        if (atomic_load_explicit(&source->stopped, memory_order_relaxed))
            return 0;
        if (!fetch(source, pipe, now))
            wait_for_data(source, pipe, now);
        now = source->clock.mono_ns(source->clock.userdata);
    }
    uw_stream_take(pipe->stream, buf, n, block);
    if (source->info.format == UW_IQ_CF32)
        mend_floats(buf, block->n * uw_iq_format_size(UW_IQ_CF32));
    count(pipe);
    return 0;
}

static void say(struct uw_source_health *h, enum uw_source_state state,
                enum uw_source_problem problem, const char *advice) {
    h->state = state;
    h->problem = problem;
    uw_str_copy(h->advice, sizeof(h->advice), advice);
}

static void pipe_health(struct uw_source *source, struct uw_source_health *h) {
    struct pipe *pipe = source->live;
    int64_t now = source->clock.mono_ns(source->clock.userdata);
    double quiet_s =
        (double)(now - atomic_load_explicit(&pipe->data_ns, memory_order_relaxed)) / 1e9;
    bool has_writer = atomic_load_explicit(&pipe->has_writer, memory_order_relaxed);

    if (!has_writer && quiet_s > AWAY_S)
        say(h, UW_SOURCE_LOST, UW_SOURCE_PROBLEM_ABSENT,
            "Start the program that gives its samples to the pipe.");
    else if (quiet_s > STALLED_S)
        say(h, UW_SOURCE_LOST, UW_SOURCE_PROBLEM_STALLED,
            "The program that gives the samples is there and quiet: look at it, or restart it.");
    if (atomic_exchange_explicit(&pipe->state, (int)h->state, memory_order_relaxed) !=
        (int)h->state)
        atomic_store_explicit(&pipe->since_ns, now, memory_order_relaxed);
    h->since_mono_ns = atomic_load_explicit(&pipe->since_ns, memory_order_relaxed);
    h->lost = atomic_load_explicit(&pipe->lost, memory_order_relaxed);
    h->discarded = atomic_load_explicit(&pipe->discarded, memory_order_relaxed);
    h->reopened = atomic_load_explicit(&pipe->reopened, memory_order_relaxed);
}

const struct uw_source_ops uw_source_pipe = {
    .name = "pipe",
    .open = pipe_open,
    .read = pipe_read,
    .close = pipe_close,
    .health = pipe_health,
};
