/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Kinds of file: which one it is, what is known about it, and the checks that all share
 *
 * Order of knowledge: the caller's parameters, then what the file says of itself, then (raw and
 * WAV) its name. A format is never overridden where the file itself states one, because then one of
 * the two is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source-impl.h"
#include "uw/base/err.h"
#include "uw/base/time.h"
#include "uw/base/util.h"

/* Frequencies above this are typing errors; SigMF has the same limit. */
#define FREQ_MAX_HZ 1e12

/* The first that matches; raw takes the rest. */
static const struct uw_reader_kind *const reader_table[] = {
    &uw_reader_stdin, &uw_reader_archive, &uw_reader_sigmf, &uw_reader_wav, &uw_reader_raw,
};

static void probe_file(struct uw_iq_probe *probe) {
    struct stat st;
    int fd;

    /* A pipe must not be opened twice, and what is read from it is gone: only files are looked
     * into. */
    if (stat(probe->path, &st) < 0)
        return;
    probe->exists = true;
    if (!S_ISREG(st.st_mode))
        return;
    fd = open(probe->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    for (;;) {
        ssize_t n = read(fd, probe->head + probe->head_len, sizeof(probe->head) - probe->head_len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        probe->head_len += (size_t)n;
    }
    close(fd);
}

static int check_facts(const struct uw_reader *reader, struct uw_diag *diag) {
    const struct uw_iq_facts *f = &reader->facts;

    if (isnan(f->rate_hz))
        return uw_diag_add(
            diag,
            "%s: sample rate not known; give --rate HZ or put it into the name, like "
            "x_915M_2400k.cu8",
            reader->path);
    if (!(f->rate_hz >= UW_RATE_MIN_HZ && f->rate_hz <= UW_RATE_MAX_HZ))
        return uw_diag_add(diag, "%s: sample rate %.10g Hz is outside %.0f..%.0f Hz", reader->path,
                           f->rate_hz, UW_RATE_MIN_HZ, UW_RATE_MAX_HZ);
    if (!isnan(f->freq_hz) && !(f->freq_hz > 0 && f->freq_hz <= FREQ_MAX_HZ))
        return uw_diag_add(diag, "%s: centre frequency %.10g Hz is outside 0..%.0f Hz",
                           reader->path, f->freq_hz, FREQ_MAX_HZ);
    return 0;
}

static int apply_params(struct uw_reader *reader, const struct uw_source_params *params,
                        struct uw_diag *diag) {
    struct uw_iq_facts *f = &reader->facts;

    if (params->format >= 0 && params->format != (int)f->format)
        return uw_diag_add(diag, "%s: format %s was asked for, but the file holds %s", reader->path,
                           uw_iq_format_name((enum uw_iq_format)params->format),
                           uw_iq_format_name(f->format));
    if (!isnan(params->rate_hz))
        f->rate_hz = params->rate_hz;
    if (!isnan(params->freq_hz))
        f->freq_hz = params->freq_hz;
    if (params->start_ns != UW_TIME_NONE)
        f->start_ns = params->start_ns;
    return check_facts(reader, diag);
}

int uw_reader_open(const struct uw_source_params *params, int stop_fd, struct uw_diag *diag,
                   struct uw_reader **ret_reader) {
    UW_CLEANUP(uw_reader_freep) struct uw_reader *reader = NULL;
    struct uw_iq_probe probe = {.path = params->path, .params = params};
    int r = 0;

    if (strlen(params->path) >= UW_IQ_PATH_LEN - 16)
        return uw_diag_add(diag, "%.60s...: the path is too long", params->path);
    if (params->format >= UW_IQ_FORMAT_N)
        return uw_err(-EINVAL);
    probe_file(&probe);
    for (size_t i = 0; i < UW_ARRAY_SIZE(reader_table); i++) {
        if (!reader_table[i]->match(&probe))
            continue;
        r = reader_table[i]->open(&probe, stop_fd, diag, &reader);
        break;
    }
    if (r)
        return r;
    r = apply_params(reader, params, diag);
    if (r)
        return r;
    *ret_reader = reader;
    reader = NULL;
    return 0;
}

static void swap_bytes(void *buf, size_t n, enum uw_iq_format format) {
    if (format == UW_IQ_CI16) {
        uint16_t *x = buf;

        for (size_t i = 0; i < 2 * n; i++)
            x[i] = __builtin_bswap16(x[i]);
    } else if (format == UW_IQ_CF32) {
        uint32_t *x = buf;

        for (size_t i = 0; i < 2 * n; i++)
            x[i] = __builtin_bswap32(x[i]);
    }
}

/* By the bits: NaN and infinity have an exponent of all ones; one of 2^30 and more is no sample
 * either, and its square would overflow. Buffers need not be aligned. */
static bool is_usable(const unsigned char *p) {
    const uint32_t limit = (127u + 30u) << 23;
    uint32_t x;

    memcpy(&x, p, sizeof(x));
    return (x & 0x7f800000u) < limit;
}

static int check_finite(const struct uw_reader *reader, const void *buf, size_t n,
                        struct uw_diag *diag) {
    const unsigned char *p = buf;
    unsigned bad = 0;

    for (size_t i = 0; i < 2 * n; i++)
        bad |= (unsigned)!is_usable(p + 4 * i);
    if (!bad)
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (is_usable(p + 8 * i) && is_usable(p + 8 * i + 4))
            continue;
        return uw_diag_add(
            diag, "%s: sample %" PRIu64 " is not a finite number (NaN, infinity, or beyond 2^30)",
            reader->path, reader->position + i);
    }
    return 0;
}

int uw_reader_read(struct uw_reader *reader, void *buf, size_t n, struct uw_diag *diag,
                   size_t *ret_n) {
    size_t n_read;
    int r;

    r = reader->ops->read(reader, buf, n, diag, &n_read);
    if (r)
        return r;
    if (reader->facts.big_endian)
        swap_bytes(buf, n_read, reader->facts.format);
    if (reader->facts.format == UW_IQ_CF32) {
        r = check_finite(reader, buf, n_read, diag);
        if (r)
            return r;
    }
    reader->position += n_read;
    *ret_n = n_read;
    return 0;
}

int uw_reader_seek(struct uw_reader *reader, uint64_t sample, struct uw_diag *diag) {
    int r;

    if (sample == reader->position)
        return 0;
    r = reader->ops->seek(reader, sample, diag);
    if (r)
        return r;
    reader->position = sample;
    return 0;
}

struct uw_reader *uw_reader_free(struct uw_reader *reader) {
    if (reader)
        reader->ops->free(reader);
    return NULL;
}

void uw_reader_freep(struct uw_reader **reader) {
    uw_reader_free(*reader);
}

int uw_iq_open_file(const char *path, struct uw_diag *diag, int *ret_fd, uint64_t *ret_size) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return uw_diag_add(diag, "%s: %s", path, strerror(errno));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return uw_diag_add(diag, "%s: not a regular file", path);
    }
    *ret_fd = fd;
    *ret_size = (uint64_t)st.st_size;
    return 0;
}

int uw_iq_check_bytes(const char *path, uint64_t bytes, enum uw_iq_format format,
                      struct uw_diag *diag) {
    size_t size = uw_iq_format_size(format);

    if (bytes == 0)
        return uw_diag_add(diag, "%s: empty: no samples", path);
    if (bytes % size != 0)
        return uw_diag_add(diag,
                           "%s: truncated: %" PRIu64
                           " bytes are not a whole number of %s samples of %zu bytes",
                           path, bytes, uw_iq_format_name(format), size);
    return 0;
}
