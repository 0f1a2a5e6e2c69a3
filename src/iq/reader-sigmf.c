/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A SigMF pair: NAME.sigmf-meta says what NAME.sigmf-data (or the file it names) holds
 *
 * Either file may be given, or NAME alone.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sigmf-impl.h"
#include "source-impl.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/iq/sigmf.h"

#define META ".sigmf-meta"
#define DATA ".sigmf-data"

static bool has_meta(const char *base) {
    char path[UW_IQ_PATH_LEN];

    snprintf(path, sizeof(path), "%s" META, base);
    return access(path, F_OK) == 0;
}

static bool sigmf_match(const struct uw_iq_probe *probe) {
    return uw_str_ends_with(probe->path, META) || uw_str_ends_with(probe->path, DATA) ||
           (!probe->exists && has_meta(probe->path));
}

int uw_sigmf_facts(const char *name, const struct uw_sigmf_meta *meta,
                   const struct uw_source_params *params, struct uw_diag *diag,
                   struct uw_iq_facts *ret) {
    if (isnan(meta->rate_hz) && isnan(params->rate_hz))
        return uw_diag_add(diag, "%s: global.core:sample_rate: missing; give --rate HZ", name);
    if (isnan(params->rate_hz) &&
        !(meta->rate_hz >= UW_RATE_MIN_HZ && meta->rate_hz <= UW_RATE_MAX_HZ))
        return uw_diag_add(diag, "%s: global.core:sample_rate: %.10g Hz is outside %.0f..%.0f Hz",
                           name, meta->rate_hz, UW_RATE_MIN_HZ, UW_RATE_MAX_HZ);
    *ret = (struct uw_iq_facts){
        .format = meta->format,
        .big_endian = meta->big_endian,
        .rate_hz = meta->rate_hz,
        .freq_hz = meta->freq_hz,
        .start_ns = meta->start_ns,
    };
    return 0;
}

int uw_sigmf_data_bytes(const char *name, const struct uw_sigmf_meta *meta, uint64_t size,
                        struct uw_diag *diag, uint64_t *ret_bytes) {
    uint64_t other = meta->header_bytes + meta->trailing_bytes;
    uint64_t bytes = size > other ? size - other : 0;
    int r;

    r = uw_iq_check_bytes(name, bytes, meta->format, diag);
    if (r)
        return r;
    if (bytes / uw_iq_format_size(meta->format) < meta->n_samples_min)
        return uw_diag_add(diag,
                           "%s: truncated: %" PRIu64 " bytes, but the last capture begins at "
                           "sample %" PRIu64,
                           name, size, meta->n_samples_min - 1);
    *ret_bytes = bytes;
    return 0;
}

static void data_path(const char *base, const char *dataset, char *path, size_t size) {
    const char *slash = strrchr(base, '/');

    if (!dataset[0])
        snprintf(path, size, "%s" DATA, base);
    else
        snprintf(path, size, "%.*s%s", slash ? (int)(slash + 1 - base) : 0, base, dataset);
}

static int read_meta(const char *path, struct uw_diag *diag, struct uw_sigmf_meta *ret) {
    char *text;
    size_t len;
    int r;

    r = uw_file_read(path, UW_SIGMF_META_MAX, diag, &text, &len);
    if (r)
        return r;
    r = uw_sigmf_parse(path, text, len, diag, ret);
    free(text);
    return r;
}

static int sigmf_open(const struct uw_iq_probe *probe, int stop_fd, struct uw_diag *diag,
                      struct uw_reader **ret_reader) {
    char base[UW_IQ_PATH_LEN], path[UW_IQ_PATH_LEN + UW_SIGMF_NAME_LEN];
    struct uw_sigmf_meta meta;
    struct uw_iq_facts facts;
    uint64_t size = 0, bytes = 0;
    int fd, r;

    uw_str_copy(base, sizeof(base), probe->path);
    if (uw_str_ends_with(base, META) || uw_str_ends_with(base, DATA))
        base[strlen(base) - strlen(META)] = '\0';
    snprintf(path, sizeof(path), "%s" META, base);
    r = read_meta(path, diag, &meta);
    if (!r)
        r = uw_sigmf_facts(path, &meta, probe->params, diag, &facts);
    if (r)
        return r;
    data_path(base, meta.dataset, path, sizeof(path));
    r = uw_iq_open_file(path, diag, &fd, &size);
    if (r)
        return r;
    r = uw_sigmf_data_bytes(path, &meta, size, diag, &bytes);
    if (r) {
        close(fd);
        return r;
    }
    return uw_reader_file_new(UW_READER_FILE_SIGMF, path, fd, meta.header_bytes, bytes, &facts,
                              stop_fd, diag, ret_reader);
}

const struct uw_reader_kind uw_reader_sigmf = {.match = sigmf_match, .open = sigmf_open};
