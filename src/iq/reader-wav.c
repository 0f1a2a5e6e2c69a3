/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * WAV, RIFX and RF64 with I in the left and Q in the right channel
 *
 * 8 and 16 bit stay what they are; 24 and 32 bit and floating point become cf32.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <sndfile.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "source-impl.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/time.h"
#include "uw/base/util.h"
#include "wav-impl.h"

struct wav_reader {
    struct uw_reader base;
    int fd;
    SNDFILE *file;
};

static const struct {
    int subtype;
    enum uw_iq_format format;
    unsigned bytes; /* of I or Q in the file */
} subtypes[] = {
    {SF_FORMAT_PCM_U8, UW_IQ_CU8, 1},  {SF_FORMAT_PCM_16, UW_IQ_CI16, 2},
    {SF_FORMAT_PCM_24, UW_IQ_CF32, 3}, {SF_FORMAT_PCM_32, UW_IQ_CF32, 4},
    {SF_FORMAT_FLOAT, UW_IQ_CF32, 4},  {SF_FORMAT_DOUBLE, UW_IQ_CF32, 8},
};

static int wav_read(struct uw_reader *reader, void *buf, size_t n, struct uw_diag *diag,
                    size_t *ret_n) {
    struct wav_reader *wav = (struct wav_reader *)reader;
    uint64_t left = reader->facts.n_samples - reader->position;
    sf_count_t want, got;

    if (left < n)
        n = (size_t)left;
    want = (sf_count_t)n;
    switch (reader->facts.format) {
    case UW_IQ_CU8:
        got = sf_read_raw(wav->file, buf, 2 * want) / 2;
        break;
    case UW_IQ_CI16:
        got = sf_readf_short(wav->file, buf, want);
        break;
    default:
        got = sf_readf_float(wav->file, buf, want);
        break;
    }
    if (got != want)
        return uw_diag_add(diag, "%s: truncated: it ends before sample %" PRIu64, reader->path,
                           reader->facts.n_samples);
    *ret_n = n;
    return 0;
}

static int wav_seek(struct uw_reader *reader, uint64_t sample, struct uw_diag *diag) {
    struct wav_reader *wav = (struct wav_reader *)reader;

    if (sf_seek(wav->file, (sf_count_t)sample, SEEK_SET) < 0)
        return uw_diag_add(diag, "%s: %s", reader->path, sf_strerror(wav->file));
    return 0;
}

static void wav_free(struct uw_reader *reader) {
    struct wav_reader *wav = (struct wav_reader *)reader;

    if (wav->file)
        sf_close(wav->file);
    if (wav->fd >= 0)
        close(wav->fd);
    free(wav);
}

static const struct uw_reader_ops wav_ops = {
    .name = "WAV file",
    .read = wav_read,
    .seek = wav_seek,
    .free = wav_free,
};

static bool is_wav(const struct uw_iq_probe *probe) {
    return probe->head_len == sizeof(probe->head) && memcmp(probe->head + 8, "WAVE", 4) == 0 &&
           (memcmp(probe->head, "RIFF", 4) == 0 || memcmp(probe->head, "RIFX", 4) == 0 ||
            memcmp(probe->head, "RF64", 4) == 0);
}

/* A file that is called WAV and is none is a mistake, not raw samples. */
static bool wav_match(const struct uw_iq_probe *probe) {
    return is_wav(probe) || (probe->exists && (uw_iq_name_has_suffix(probe->path, ".wav") ||
                                               uw_iq_name_has_suffix(probe->path, ".rf64")));
}

static int use_format(struct uw_reader *reader, const SF_INFO *info,
                      const struct uw_wav_chunks *chunks, struct uw_diag *diag) {
    struct uw_iq_facts *f = &reader->facts;

    if (info->channels != 2)
        return uw_diag_add(diag, "%s: %d channel%s; IQ needs two, I left and Q right", reader->path,
                           info->channels, info->channels == 1 ? "" : "s");
    for (size_t i = 0; i < UW_ARRAY_SIZE(subtypes); i++) {
        unsigned size = 2 * subtypes[i].bytes;

        if ((info->format & SF_FORMAT_SUBMASK) != subtypes[i].subtype)
            continue;
        if (chunks->data_size == 0 || info->frames <= 0)
            return uw_diag_add(diag, "%s: empty: no samples", reader->path);
        if (!chunks->data_open && chunks->data_size % size != 0)
            return uw_diag_add(diag,
                               "%s: truncated: %" PRIu64
                               " bytes are not a whole number of samples of %u bytes",
                               reader->path, chunks->data_size, size);
        f->format = subtypes[i].format;
        f->n_samples = (uint64_t)info->frames;
        if (f->n_samples > chunks->data_size / size)
            f->n_samples = chunks->data_size / size;
        return 0;
    }
    return uw_diag_add(diag,
                       "%s: compressed or unknown WAV coding (0x%x); 8, 16, 24 or 32 bit PCM or "
                       "floating point is needed",
                       reader->path, (unsigned)info->format);
}

static int open_file(struct wav_reader *wav, const struct uw_iq_probe *probe,
                     struct uw_diag *diag) {
    struct uw_reader *reader = &wav->base;
    struct uw_wav_chunks chunks;
    SF_INFO info = {0};
    double name_rate_hz = NAN;
    int name_format = -1;
    uint64_t size;
    int r;

    r = uw_iq_open_file(probe->path, diag, &wav->fd, &size);
    if (r)
        return r;
    if (size == 0)
        return uw_diag_add(diag, "%s: empty", probe->path);
    if (!is_wav(probe))
        return uw_diag_add(diag, "%s: not a WAV file (no RIFF header)", probe->path);
    r = uw_wav_walk(probe->path, wav->fd, size, diag, &chunks);
    if (r)
        return r;
    if (lseek(wav->fd, 0, SEEK_SET) < 0)
        return uw_diag_add(diag, "%s: %s", probe->path, strerror(errno));
    wav->file = sf_open_fd(wav->fd, SFM_READ, &info, 0);
    if (!wav->file)
        return uw_diag_add(diag, "%s: %s", probe->path, sf_strerror(NULL));
    r = use_format(reader, &info, &chunks, diag);
    if (r)
        return r;
    reader->facts.rate_hz = (double)info.samplerate;
    reader->facts.freq_hz = chunks.freq_hz;
    reader->facts.start_ns = chunks.start_ns;
    if (isnan(chunks.freq_hz))
        uw_iq_name_parse(probe->path, &name_format, &name_rate_hz, &reader->facts.freq_hz);
    return 0;
}

static int wav_open(const struct uw_iq_probe *probe, int stop_fd, struct uw_diag *diag,
                    struct uw_reader **ret_reader) {
    struct wav_reader *wav = calloc(1, sizeof(*wav));
    int r;

    if (!wav)
        return uw_err(-ENOMEM);
    wav->base.ops = &wav_ops;
    wav->base.stop_fd = stop_fd;
    wav->fd = -1;
    uw_str_copy(wav->base.path, sizeof(wav->base.path), probe->path);
    r = open_file(wav, probe, diag);
    if (r) {
        wav_free(&wav->base);
        return r;
    }
    *ret_reader = &wav->base;
    return 0;
}

const struct uw_reader_kind uw_reader_wav = {.match = wav_match, .open = wav_open};
