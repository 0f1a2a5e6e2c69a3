/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Plain samples: a file, a pipe, standard input, the data file of a SigMF pair
 *
 * A regular file has the length it had when it was opened: if it shrinks while it is read, that is
 * an error; what is appended later is not read. A stream fills a block before it gives it, and is
 * waited for together with the stop flag.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source-impl.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/time.h"

#define READ_MAX ((size_t)1 << 30)

struct raw_reader {
    struct uw_reader base;
    int fd;
    uint64_t skip;  /* bytes before the first sample */
    uint64_t bytes; /* of samples; UINT64_MAX: a stream */
    uint64_t done;  /* bytes */
};

/* Reads until the buffer is full or the file ends. */
static int read_all(struct raw_reader *raw, unsigned char *buf, size_t n, struct uw_diag *diag,
                    size_t *ret_n) {
    size_t have = 0;

    while (have < n) {
        size_t want = n - have < READ_MAX ? n - have : READ_MAX;
        ssize_t got = read(raw->fd, buf + have, want);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return uw_diag_add(diag, "%s: %s", raw->base.path, strerror(errno));
        if (got == 0)
            break;
        have += (size_t)got;
    }
    *ret_n = have;
    return 0;
}

static int raw_read(struct uw_reader *reader, void *buf, size_t n, struct uw_diag *diag,
                    size_t *ret_n) {
    struct raw_reader *raw = (struct raw_reader *)reader;
    const size_t size = uw_iq_format_size(reader->facts.format);
    uint64_t left = raw->bytes - raw->done;
    size_t want = n, got = 0;
    int r;

    if (left / size < want)
        want = (size_t)(left / size);
    r = read_all(raw, buf, want * size, diag, &got);
    if (r)
        return r;
    if (got < want * size)
        return uw_diag_add(diag,
                           "%s: truncated while it was read: %" PRIu64 " bytes instead of %" PRIu64,
                           reader->path, raw->done + got, raw->bytes);
    raw->done += got;
    *ret_n = want;
    return 0;
}

static int raw_seek(struct uw_reader *reader, uint64_t sample, struct uw_diag *diag) {
    struct raw_reader *raw = (struct raw_reader *)reader;
    uint64_t done = sample * uw_iq_format_size(reader->facts.format);

    if (lseek(raw->fd, (off_t)(raw->skip + done), SEEK_SET) < 0)
        return uw_diag_add(diag, "%s: %s", reader->path, strerror(errno));
    raw->done = done;
    return 0;
}

static void raw_free(struct uw_reader *reader) {
    struct raw_reader *raw = (struct raw_reader *)reader;

    if (raw->fd > STDIN_FILENO)
        close(raw->fd);
    free(raw);
}

/* Waits for data or the stop. 1: data (or end), 0: stopped. */
static int stream_wait(const struct raw_reader *raw) {
    struct pollfd p[2] = {
        {.fd = raw->base.stop_fd, .events = POLLIN},
        {.fd = raw->fd, .events = POLLIN},
    };

    for (;;) {
        if (poll(p, 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            return uw_err(-errno);
        }
        return p[0].revents ? 0 : 1;
    }
}

/* 1: the buffer is full or the stream has ended; 0: stopped; else an error is returned negative, or
 * in *ret_input as UW_E_INPUT. */
static int stream_fill(struct raw_reader *raw, unsigned char *buf, size_t n, struct uw_diag *diag,
                       size_t *have, int *ret_input) {
    while (*have < n) {
        size_t want = n - *have < READ_MAX ? n - *have : READ_MAX;
        ssize_t got;
        int r = stream_wait(raw);

        if (r <= 0)
            return r;
        got = read(raw->fd, buf + *have, want);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got < 0) {
            *ret_input = uw_diag_add(diag, "%s: %s", raw->base.path, strerror(errno));
            return 0;
        }
        if (got == 0)
            break;
        *have += (size_t)got;
    }
    return 1;
}

static int stream_read(struct uw_reader *reader, void *buf, size_t n, struct uw_diag *diag,
                       size_t *ret_n) {
    struct raw_reader *raw = (struct raw_reader *)reader;
    const size_t size = uw_iq_format_size(reader->facts.format);
    size_t have = 0;
    int input = 0, r;

    r = stream_fill(raw, buf, n * size, diag, &have, &input);
    if (r < 0 || input)
        return r < 0 ? r : input;
    raw->done += have;
    /* Only at the end a block is not full, so a rest of a sample is a rest for good. */
    if (r == 0 || (have == 0 && raw->done > 0)) {
        *ret_n = 0;
        return 0;
    }
    if (raw->done == 0 || have % size != 0)
        return uw_iq_check_bytes(reader->path, raw->done, reader->facts.format, diag);
    *ret_n = have / size;
    return 0;
}

static const struct uw_reader_ops raw_ops = {
    .name = "raw file", .read = raw_read, .seek = raw_seek, .free = raw_free};
static const struct uw_reader_ops sigmf_ops = {
    .name = "SigMF recording", .read = raw_read, .seek = raw_seek, .free = raw_free};
static const struct uw_reader_ops stream_ops = {
    .name = "stream", .read = stream_read, .free = raw_free};

static int raw_new(const struct uw_reader_ops *ops, const char *path, int fd,
                   const struct uw_iq_facts *facts, int stop_fd, struct raw_reader **ret) {
    struct raw_reader *raw = calloc(1, sizeof(*raw));

    if (!raw) {
        if (fd > STDIN_FILENO)
            close(fd);
        return uw_err(-ENOMEM);
    }
    raw->base.ops = ops;
    uw_str_copy(raw->base.path, sizeof(raw->base.path), path);
    raw->base.facts = *facts;
    raw->base.stop_fd = stop_fd;
    raw->fd = fd;
    *ret = raw;
    return 0;
}

int uw_reader_file_new(enum uw_reader_file_kind kind, const char *path, int fd, uint64_t skip,
                       uint64_t bytes, const struct uw_iq_facts *facts, int stop_fd,
                       struct uw_diag *diag, struct uw_reader **ret_reader) {
    struct raw_reader *raw = NULL;
    int r;

    r = raw_new(kind == UW_READER_FILE_SIGMF ? &sigmf_ops : &raw_ops, path, fd, facts, stop_fd,
                &raw);
    if (r)
        return r;
    r = uw_iq_check_bytes(path, bytes, facts->format, diag);
    if (!r && skip > 0 && lseek(fd, (off_t)skip, SEEK_SET) < 0)
        r = uw_diag_add(diag, "%s: %s", path, strerror(errno));
    if (r) {
        raw_free(&raw->base);
        return r;
    }
    raw->skip = skip;
    raw->bytes = bytes;
    raw->base.facts.n_samples = bytes / uw_iq_format_size(facts->format);
    *ret_reader = &raw->base;
    return 0;
}

/* The parameters and the name are all that is known about plain samples. */
static int raw_facts(const struct uw_iq_probe *probe, const char *name, struct uw_diag *diag,
                     struct uw_iq_facts *ret) {
    int format = -1;

    *ret = (struct uw_iq_facts){.rate_hz = NAN, .freq_hz = NAN, .start_ns = UW_TIME_NONE};
    uw_iq_name_parse(probe->path, &format, &ret->rate_hz, &ret->freq_hz);
    if (probe->params->format >= 0)
        format = probe->params->format;
    if (format < 0)
        return uw_diag_add(diag,
                           "%s: sample format not known; give --format cu8|ci8|ci16|cf32 or put it "
                           "into the name, like x_915M_2400k.cu8",
                           name);
    ret->format = (enum uw_iq_format)format;
    return 0;
}

static int stream_new(const struct uw_iq_probe *probe, const char *name, int fd, int stop_fd,
                      struct uw_diag *diag, struct uw_reader **ret_reader) {
    struct raw_reader *raw = NULL;
    struct uw_iq_facts facts;
    int r;

    r = raw_facts(probe, name, diag, &facts);
    if (r) {
        if (fd > STDIN_FILENO)
            close(fd);
        return r;
    }
    r = raw_new(&stream_ops, name, fd, &facts, stop_fd, &raw);
    if (r)
        return r;
    raw->bytes = UINT64_MAX;
    *ret_reader = &raw->base;
    return 0;
}

static bool raw_match(const struct uw_iq_probe *probe) {
    (void)probe;
    return true;
}

static int raw_open(const struct uw_iq_probe *probe, int stop_fd, struct uw_diag *diag,
                    struct uw_reader **ret_reader) {
    struct uw_iq_facts facts;
    struct stat st;
    uint64_t size;
    int fd, r;

    if (stat(probe->path, &st) < 0)
        return uw_diag_add(diag, "%s: %s", probe->path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return uw_diag_add(diag, "%s: is a directory", probe->path);
    if (!S_ISREG(st.st_mode)) {
        fd = open(probe->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
            return uw_diag_add(diag, "%s: %s", probe->path, strerror(errno));
        return stream_new(probe, probe->path, fd, stop_fd, diag, ret_reader);
    }
    r = raw_facts(probe, probe->path, diag, &facts);
    if (r)
        return r;
    r = uw_iq_open_file(probe->path, diag, &fd, &size);
    if (r)
        return r;
    return uw_reader_file_new(UW_READER_FILE_RAW, probe->path, fd, 0, size, &facts, stop_fd, diag,
                              ret_reader);
}

const struct uw_reader_kind uw_reader_raw = {.match = raw_match, .open = raw_open};

static bool stdin_match(const struct uw_iq_probe *probe) {
    return strcmp(probe->path, "-") == 0;
}

static int stdin_open(const struct uw_iq_probe *probe, int stop_fd, struct uw_diag *diag,
                      struct uw_reader **ret_reader) {
    if (isatty(STDIN_FILENO))
        return uw_diag_add(diag, "standard input: is a terminal; pipe samples into it");
    return stream_new(probe, "standard input", STDIN_FILENO, stop_fd, diag, ret_reader);
}

const struct uw_reader_kind uw_reader_stdin = {.match = stdin_match, .open = stdin_open};
