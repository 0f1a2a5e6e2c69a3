/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A file, as fast as it is wanted or at the speed of the signal
 *
 * Paced, a block is given when a receiver would have had its last sample. The reference is the
 * first read: a caller that was late gets the following blocks at once until it has caught up, and
 * loses nothing.
 */
#include "source-impl.h"
#include "uw/base/time.h"

static int file_open(struct uw_source *source, const struct uw_source_params *params,
                     struct uw_diag *diag) {
    int r;

    r = uw_reader_open(params, source->stop_fd, diag, &source->reader);
    if (r)
        return r;
    source->paced = params->paced;
    if (source->reader->facts.start_ns == UW_TIME_NONE)
        source->reader->facts.start_ns = 0;
    uw_source_describe(source, "");
    return 0;
}

static int file_read(struct uw_source *source, void *buf, size_t n, struct uw_diag *diag,
                     struct uw_source_block *block) {
    size_t n_read;
    int r;

    if (!source->started) {
        source->start_mono_ns = source->clock.mono_ns(source->clock.userdata);
        source->started = true;
    }
    r = uw_reader_read(source->reader, buf, n, diag, &n_read);
    if (r)
        return r;
    source->position += n_read;
    if (source->paced && n_read > 0 && !uw_source_wait(source, source->position))
        n_read = 0;
    block->n = n_read;
    block->end = n_read == 0;
    return 0;
}

static void file_close(struct uw_source *source) {
    source->reader = uw_reader_free(source->reader);
}

const struct uw_source_ops uw_source_file = {
    .name = "file",
    .open = file_open,
    .read = file_read,
    .close = file_close,
};
