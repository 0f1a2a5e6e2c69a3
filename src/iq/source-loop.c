/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A file over and over, as a live receiver
 *
 * Sample k of the endless stream is received at the first read's time + k / rate. A caller that
 * comes for it more than UW_LOOP_LATE_S later has lost samples, as with a dongle whose buffers have
 * run over: the stream goes on half of that behind the clock (not all of it, or a caller that is a
 * little too slow would lose a few samples in every block), and the number of samples left out
 * comes with the next block.
 */
#include <errno.h>

#include "source-impl.h"
#include "uw/base/err.h"
#include "uw/base/iq-format.h"
#include "uw/base/time.h"

static int loop_open(struct uw_source *source, const struct uw_source_params *params,
                     struct uw_diag *diag) {
    struct uw_iq_facts *f;
    int r;

    r = uw_reader_open(params, source->stop_fd, diag, &source->reader);
    if (r)
        return r;
    f = &source->reader->facts;
    if (!source->reader->ops->seek || f->n_samples == 0)
        return uw_diag_add(diag, "%s: cannot be looped: only a file that can be read again can",
                           source->reader->path);
    /* A live receiver hears today's signal, whenever the recording was made. */
    f->start_ns = params->start_ns != UW_TIME_NONE ? params->start_ns
                                                   : source->clock.real_ns(source->clock.userdata);
    uw_source_describe(source, "loop of ");
    source->info.live = true;
    source->info.n_samples = 0;
    return 0;
}

/* How many samples the caller has come too late for. */
static uint64_t samples_too_late(const struct uw_source *source) {
    int64_t now = source->clock.mono_ns(source->clock.userdata);
    int64_t due = uw_time_of_sample(source->start_mono_ns, source->position, source->info.rate_hz);
    double late_s = (double)(now - due) / (double)UW_NS_PER_S;

    if (late_s <= UW_LOOP_LATE_S)
        return 0;
    return (uint64_t)((late_s - UW_LOOP_LATE_S / 2) * source->info.rate_hz);
}

static int skip(struct uw_source *source, uint64_t n, struct uw_diag *diag) {
    struct uw_reader *reader = source->reader;
    uint64_t total = reader->facts.n_samples;

    source->position += n;
    return uw_reader_seek(reader, (reader->position + n % total) % total, diag);
}

/* Fills the block across the seam. *ret_n is less than n only if the source was stopped. */
static int read_around(struct uw_source *source, unsigned char *buf, size_t n, struct uw_diag *diag,
                       size_t *ret_n) {
    const size_t size = uw_iq_format_size(source->info.format);
    size_t have = 0;

    while (have < n) {
        size_t got;
        int r;

        if (source->reader->position == source->reader->facts.n_samples) {
            r = uw_reader_seek(source->reader, 0, diag);
            if (r)
                return r;
        }
        r = uw_reader_read(source->reader, buf + have * size, n - have, diag, &got);
        if (r)
            return r;
        if (got == 0)
            break;
        have += got;
    }
    *ret_n = have;
    return 0;
}

static int loop_read(struct uw_source *source, void *buf, size_t n, struct uw_diag *diag,
                     struct uw_source_block *block) {
    uint64_t lost;
    size_t n_read;
    int r;

    if (!source->started) {
        source->start_mono_ns = source->clock.mono_ns(source->clock.userdata);
        source->started = true;
    }
    lost = samples_too_late(source);
    if (lost > 0) {
        r = skip(source, lost, diag);
        if (r)
            return r;
    }
    r = read_around(source, buf, n, diag, &n_read);
    if (r)
        return r;
    source->position += n_read;
    if (!uw_source_wait(source, source->position))
        n_read = 0;
    block->n = n_read;
    block->lost = n_read ? lost : 0;
    return 0;
}

static void loop_close(struct uw_source *source) {
    source->reader = uw_reader_free(source->reader);
}

const struct uw_source_ops uw_source_loop = {
    .name = "loop",
    .open = loop_open,
    .read = loop_read,
    .close = loop_close,
};
