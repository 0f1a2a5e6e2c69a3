/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A SigMF archive: a tar file with NAME/NAME.sigmf-meta and NAME/NAME.sigmf-data
 *
 * The order of the members is open, so the file is walked twice: once for the meta member and the
 * data member's size, once to give the samples straight from the archive. Nothing is unpacked.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sigmf-impl.h"
#include "source-impl.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/util.h"
#include "uw/iq/sigmf.h"

#define META       ".sigmf-meta"
#define DATA       ".sigmf-data"
#define BLOCK_SIZE ((size_t)1 << 18)

struct archive_reader {
    struct uw_reader base;
    struct archive *archive; /* stands in the data member */
    int fd;
    uint64_t header_bytes;
    uint64_t bytes; /* of samples */
    uint64_t done;
};

/* What the first walk finds. */
struct contents {
    char *meta;
    size_t meta_len;
    char name[UW_IQ_PATH_LEN]; /* of the meta member, without its suffix */
    char data_name[UW_IQ_PATH_LEN];
    uint64_t data_size;
    unsigned n_meta, n_data;
};

static const char *entry_name(struct archive_entry *entry) {
    const char *name = archive_entry_pathname_utf8(entry);

    return name ? name : archive_entry_pathname(entry);
}

static int archive_mistake(struct uw_reader *reader, struct archive *archive,
                           struct uw_diag *diag) {
    const char *text = archive_error_string(archive);

    return uw_diag_add(diag, "%s: not a whole tar archive: %s", reader->path,
                       text ? text : "it cannot be read");
}

static void archive_close_walk(struct archive_reader *self) {
    if (self->archive)
        archive_read_free(self->archive);
    self->archive = NULL;
}

static int archive_open_walk(struct archive_reader *self, struct uw_diag *diag) {
    archive_close_walk(self);
    if (lseek(self->fd, 0, SEEK_SET) < 0)
        return uw_diag_add(diag, "%s: %s", self->base.path, strerror(errno));
    self->archive = archive_read_new();
    if (!self->archive)
        return uw_err(-ENOMEM);
    archive_read_support_format_tar(self->archive);
    if (archive_read_open_fd(self->archive, self->fd, BLOCK_SIZE) != ARCHIVE_OK)
        return archive_mistake(&self->base, self->archive, diag);
    return 0;
}

/* 1: the next member, 0: the end, else an error in *ret_error. */
static int next_member(struct archive_reader *self, struct uw_diag *diag,
                       struct archive_entry **ret_entry, int *ret_error) {
    int r = archive_read_next_header(self->archive, ret_entry);

    *ret_error = 0;
    if (r == ARCHIVE_EOF)
        return 0;
    if (r != ARCHIVE_OK && r != ARCHIVE_WARN) {
        *ret_error = archive_mistake(&self->base, self->archive, diag);
        return 0;
    }
    return 1;
}

static int read_meta_member(struct archive_reader *self, struct archive_entry *entry,
                            struct contents *c, struct uw_diag *diag) {
    int64_t size = archive_entry_size(entry);

    if (c->meta)
        return 0; /* counted; two are refused afterwards */
    if (size <= 0 || (uint64_t)size > UW_SIGMF_META_MAX)
        return uw_diag_add(diag, "%s: the meta member has %" PRId64 " bytes", self->base.path,
                           size);
    c->meta = malloc((size_t)size);
    if (!c->meta)
        return uw_err(-ENOMEM);
    while (c->meta_len < (size_t)size) {
        la_ssize_t got =
            archive_read_data(self->archive, c->meta + c->meta_len, (size_t)size - c->meta_len);

        if (got < 0)
            return archive_mistake(&self->base, self->archive, diag);
        if (got == 0)
            return uw_diag_add(diag, "%s: truncated in the meta member", self->base.path);
        c->meta_len += (size_t)got;
    }
    return 0;
}

static int look_at_member(struct archive_reader *self, struct archive_entry *entry,
                          uint64_t file_size, struct contents *c, struct uw_diag *diag) {
    const char *name = entry_name(entry);
    uint64_t position = (uint64_t)archive_read_header_position(self->archive);
    int64_t size = archive_entry_size(entry);

    if (!name || archive_entry_filetype(entry) != AE_IFREG)
        return 0;
    if (uw_str_ends_with(name, META)) {
        c->n_meta++;
        uw_str_copy(c->name, sizeof(c->name), name);
        c->name[strlen(c->name) - strlen(META)] = '\0';
        return read_meta_member(self, entry, c, diag);
    }
    if (!uw_str_ends_with(name, DATA))
        return 0;
    c->n_data++;
    uw_str_copy(c->data_name, sizeof(c->data_name), name);
    c->data_size = size > 0 ? (uint64_t)size : 0;
    /* Skipping over it would not notice that the archive ends within. */
    if (file_size < position || file_size - position < c->data_size)
        return uw_diag_add(diag,
                           "%s: truncated: %" PRIu64 " bytes, but its data member has %" PRIu64,
                           self->base.path, file_size, c->data_size);
    return 0;
}

static int walk(struct archive_reader *self, uint64_t file_size, struct contents *c,
                struct uw_diag *diag) {
    struct archive_entry *entry;
    int r;

    r = archive_open_walk(self, diag);
    while (!r && next_member(self, diag, &entry, &r))
        r = look_at_member(self, entry, file_size, c, diag);
    if (r)
        return r;
    if (c->n_meta == 0 || c->n_data == 0)
        return uw_diag_add(diag, "%s: no " META " and " DATA " in it", self->base.path);
    if (c->n_meta > 1 || c->n_data > 1)
        return uw_diag_add(diag, "%s: holds several recordings; unpack it and give one",
                           self->base.path);
    if (strncmp(c->name, c->data_name, strlen(c->name)) != 0 ||
        strlen(c->data_name) != strlen(c->name) + strlen(DATA))
        return uw_diag_add(diag, "%s: the names of its meta and data member differ",
                           self->base.path);
    return 0;
}

/* Exactly n bytes. */
static int read_exactly(struct archive_reader *self, unsigned char *buf, size_t n,
                        struct uw_diag *diag) {
    size_t have = 0;

    while (have < n) {
        la_ssize_t got = archive_read_data(self->archive, buf + have, n - have);

        if (got < 0)
            return archive_mistake(&self->base, self->archive, diag);
        if (got == 0)
            return uw_diag_add(diag, "%s: truncated in the data member", self->base.path);
        have += (size_t)got;
    }
    return 0;
}

static int pass_over(struct archive_reader *self, uint64_t n, struct uw_diag *diag) {
    unsigned char buf[16384];
    int r = 0;

    while (!r && n > 0) {
        size_t want = n < sizeof(buf) ? (size_t)n : sizeof(buf);

        r = read_exactly(self, buf, want, diag);
        n -= want;
    }
    return r;
}

/* To the first sample. */
static int enter_data(struct archive_reader *self, struct uw_diag *diag) {
    struct archive_entry *entry;
    const char *name;
    int r;

    r = archive_open_walk(self, diag);
    while (!r && next_member(self, diag, &entry, &r)) {
        name = entry_name(entry);
        if (name && archive_entry_filetype(entry) == AE_IFREG && uw_str_ends_with(name, DATA)) {
            self->done = 0;
            return pass_over(self, self->header_bytes, diag);
        }
    }
    return r ? r : uw_diag_add(diag, "%s: changed while it was read", self->base.path);
}

static int reader_read(struct uw_reader *reader, void *buf, size_t n, struct uw_diag *diag,
                       size_t *ret_n) {
    struct archive_reader *self = (struct archive_reader *)reader;
    const size_t size = uw_iq_format_size(reader->facts.format);
    uint64_t left = (self->bytes - self->done) / size;
    int r;

    if (left < n)
        n = (size_t)left;
    r = read_exactly(self, buf, n * size, diag);
    if (r)
        return r;
    self->done += n * size;
    *ret_n = n;
    return 0;
}

static int reader_seek(struct uw_reader *reader, uint64_t sample, struct uw_diag *diag) {
    struct archive_reader *self = (struct archive_reader *)reader;
    uint64_t to = sample * uw_iq_format_size(reader->facts.format);
    int r = 0;

    if (to < self->done)
        r = enter_data(self, diag);
    if (!r)
        r = pass_over(self, to - self->done, diag);
    self->done = to;
    return r;
}

static void reader_free(struct uw_reader *reader) {
    struct archive_reader *self = (struct archive_reader *)reader;

    archive_close_walk(self);
    if (self->fd >= 0)
        close(self->fd);
    free(self);
}

static const struct uw_reader_ops archive_ops = {
    .name = "SigMF archive",
    .read = reader_read,
    .seek = reader_seek,
    .free = reader_free,
};

static bool archive_match(const struct uw_iq_probe *probe) {
    return uw_str_ends_with(probe->path, ".sigmf");
}

/* The meta member is called ARCHIVE(MEMBER) in messages. */
static int use_contents(struct archive_reader *self, const struct contents *c,
                        const struct uw_source_params *params, struct uw_diag *diag) {
    char name[2 * UW_IQ_PATH_LEN + 16];
    struct uw_sigmf_meta meta;
    int r;

    snprintf(name, sizeof(name), "%s(%s" META ")", self->base.path, c->name);
    r = uw_sigmf_parse(name, c->meta, c->meta_len, diag, &meta);
    if (!r)
        r = uw_sigmf_facts(name, &meta, params, diag, &self->base.facts);
    if (r)
        return r;
    r = uw_sigmf_data_bytes(self->base.path, &meta, c->data_size, diag, &self->bytes);
    if (r)
        return r;
    self->header_bytes = meta.header_bytes;
    self->base.facts.n_samples = self->bytes / uw_iq_format_size(meta.format);
    return enter_data(self, diag);
}

static int reader_open(const struct uw_iq_probe *probe, int stop_fd, struct uw_diag *diag,
                       struct uw_reader **ret_reader) {
    struct archive_reader *self;
    struct contents *c;
    uint64_t size;
    int r;

    self = calloc(1, sizeof(*self));
    c = calloc(1, sizeof(*c));
    if (!self || !c) {
        free(self);
        free(c);
        return uw_err(-ENOMEM);
    }
    self->base.ops = &archive_ops;
    self->base.stop_fd = stop_fd;
    self->fd = -1;
    uw_str_copy(self->base.path, sizeof(self->base.path), probe->path);
    r = uw_iq_open_file(probe->path, diag, &self->fd, &size);
    if (!r && size == 0)
        r = uw_diag_add(diag, "%s: empty", probe->path);
    if (!r)
        r = walk(self, size, c, diag);
    if (!r)
        r = use_contents(self, c, probe->params, diag);
    free(c->meta);
    free(c);
    if (r) {
        reader_free(&self->base);
        return r;
    }
    *ret_reader = &self->base;
    return 0;
}

const struct uw_reader_kind uw_reader_archive = {.match = archive_match, .open = reader_open};
