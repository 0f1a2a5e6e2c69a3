/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The chunks of a WAV file
 *
 * libsndfile shortens a truncated file to what is there without a word, and knows nothing of the
 * "auxi" chunk in which SDR programs keep centre frequency and start time: two Windows SYSTEMTIMEs
 * (start, stop; UTC), then the frequency in Hz as a 32-bit number. Some programs keep XML there;
 * what does not look like a time is ignored.
 */
#include "wav-impl.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "uw/base/err.h"
#include "uw/base/time.h"

#define CHUNKS_MAX 4096
#define AUXI_LEN   36
#define OPEN_SIZE  0xffffffffu

struct walker {
    const char *path;
    int fd;
    uint64_t size;
    bool big_endian;
};

static uint32_t get_u32(const struct walker *w, const unsigned char *p) {
    if (w->big_endian)
        return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static unsigned get_u16le(const unsigned char *p) {
    return (unsigned)p[1] << 8 | p[0];
}

static bool read_at(const struct walker *w, uint64_t offset, unsigned char *buf, size_t n) {
    size_t have = 0;

    while (have < n) {
        ssize_t got = pread(w->fd, buf + have, n - have, (off_t)(offset + have));

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        have += (size_t)got;
    }
    return true;
}

static void parse_auxi(const struct walker *w, uint64_t offset, uint64_t len,
                       struct uw_wav_chunks *ret) {
    unsigned char b[AUXI_LEN];
    char text[64];
    uint32_t freq;
    int64_t start;

    if (len < AUXI_LEN || !read_at(w, offset, b, sizeof(b)))
        return;
    snprintf(text, sizeof(text), "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", get_u16le(b),
             get_u16le(b + 2), get_u16le(b + 6), get_u16le(b + 8), get_u16le(b + 10),
             get_u16le(b + 12), get_u16le(b + 14));
    if (get_u16le(b) < 1980 || get_u16le(b) > 2199 || uw_time_parse(text, &start) != 0)
        return;
    ret->start_ns = start;
    freq = get_u32(w, b + 32);
    if (freq > 0)
        ret->freq_hz = (double)freq;
}

/* Length of the data chunk, from itself or (RF64) from "ds64". */
static int use_data(const struct walker *w, uint64_t offset, uint32_t len32, uint64_t len64,
                    struct uw_diag *diag, struct uw_wav_chunks *ret) {
    uint64_t left = w->size - offset;

    ret->data_size = len32;
    if (len32 == OPEN_SIZE && len64 != UINT64_MAX)
        ret->data_size = len64;
    else if (len32 == OPEN_SIZE || len32 == 0)
        ret->data_open = true;
    if (ret->data_open)
        ret->data_size = left;
    if (ret->data_size > left)
        return uw_diag_add(diag,
                           "%s: truncated: %" PRIu64 " bytes of samples, but the header promises "
                           "%" PRIu64,
                           w->path, left, ret->data_size);
    return 0;
}

int uw_wav_walk(const char *path, int fd, uint64_t size, struct uw_diag *diag,
                struct uw_wav_chunks *ret) {
    struct walker w = {.path = path, .fd = fd, .size = size};
    uint64_t offset = 12, len64 = UINT64_MAX;
    unsigned char head[16];
    bool have_data = false;

    *ret = (struct uw_wav_chunks){.freq_hz = NAN, .start_ns = UW_TIME_NONE};
    if (!read_at(&w, 0, head, 12))
        return uw_diag_add(diag, "%s: truncated: %" PRIu64 " bytes", path, size);
    w.big_endian = memcmp(head, "RIFX", 4) == 0;
    for (int i = 0; i < CHUNKS_MAX && offset < size && read_at(&w, offset, head, 8); i++) {
        uint64_t len = get_u32(&w, head + 4);

        offset += 8;
        if (memcmp(head, "ds64", 4) == 0 && len >= 16 && read_at(&w, offset, head, 16)) {
            len64 = get_u32(&w, head + 8) | (uint64_t)get_u32(&w, head + 12) << 32;
        } else if (memcmp(head, "auxi", 4) == 0) {
            parse_auxi(&w, offset, len, ret);
        } else if (memcmp(head, "data", 4) == 0 && !have_data) {
            int r = use_data(&w, offset, (uint32_t)len, len64, diag, ret);

            if (r)
                return r;
            have_data = true;
            len = ret->data_size;
        }
        if (len > size - offset)
            break;
        offset += len + (len & 1);
    }
    if (!have_data)
        return uw_diag_add(diag, "%s: truncated: a WAV header without samples", path);
    return 0;
}
