/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_IQ_SIGMF_H
#define UW_IQ_SIGMF_H

/*
 * SigMF (github.com/sigmf/SigMF, 1.x) reading and writing
 *
 * Threads: any, one object at a time. Ownership: as each call says.
 */

#include <stddef.h>
#include <stdint.h>

#include "uw/base/iq-format.h"

struct uw_diag;

#define UW_SIGMF_NAME_LEN 256
#define UW_SIGMF_META_MAX ((size_t)16 << 20) /* bytes of a meta file */

struct uw_sigmf_meta {
    enum uw_iq_format format;
    int big_endian;
    double rate_hz;   /* NAN: not given */
    double freq_hz;   /* of the first capture; NAN: not given */
    int64_t start_ns; /* of sample 0, from the first capture; UW_TIME_NONE: not given */
    char dataset[UW_SIGMF_NAME_LEN]; /* data file beside the meta file; "": of the same name */
    int metadata_only;               /* writing: there is no data file; reading: refused */
    uint64_t header_bytes, trailing_bytes; /* in the data file, before and after the samples */
    uint64_t n_samples_min; /* the data must be at least this long for the captures to make sense */
};

/* Parses the text of a .sigmf-meta file. `name` stands for it in messages. 0, -ENOMEM or
 * UW_E_INPUT. */
int uw_sigmf_parse(const char *name, const char *json, size_t len, struct uw_diag *diag,
                   struct uw_sigmf_meta *ret_meta);

struct uw_sigmf_annotation {
    uint64_t start, count;     /* samples */
    double lower_hz, upper_hz; /* edges; NAN: none */
    const char *label;         /* short */
    const char *comment;       /* or NULL */
    const char
        *extra_json; /* object whose members are added with the prefix "uaswatch:", or NULL */
};

struct uw_sigmf_writer;
/* Collects captures and annotations; the meta file is written last, to a temporary name and
 * renamed. */
int uw_sigmf_writer_new(const char *meta_path, const struct uw_sigmf_meta *meta,
                        const char *description, struct uw_sigmf_writer **ret);
int uw_sigmf_writer_annotate(struct uw_sigmf_writer *writer, const struct uw_sigmf_annotation *a);
/* Adds one member "uaswatch:KEY" to the global object; value is JSON text. */
int uw_sigmf_writer_global(struct uw_sigmf_writer *writer, const char *key, const char *value_json);
int uw_sigmf_writer_finish(struct uw_sigmf_writer *writer,
                           struct uw_diag *diag); /* sorts by start */
struct uw_sigmf_writer *uw_sigmf_writer_free(struct uw_sigmf_writer *writer);

#endif
