/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Detections as SigMF annotations
 *
 * The recording is described from what the source said (which includes what the user corrected on
 * the command line) and, for a SigMF pair, from its own meta file: byte order and headers are
 * nothing that the source tells.
 */
#include "uw/sink/annotate.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/time.h"
#include "uw/base/util.h"
#include "uw/iq/sigmf.h"
#include "uw/iq/source.h"
#include "uw/msg/record.h"

#define META ".sigmf-meta"
#define DATA ".sigmf-data"

struct uw_annotate {
    struct uw_sigmf_writer *writer;
    int64_t start_ns;
    double rate_hz;
    uint64_t n_samples; /* 0: unknown */
};

static void annotate_freep(struct uw_annotate **annotate) {
    uw_annotate_free(*annotate);
}

static void freep(char **p) {
    free(*p);
}

static void decrefp(json_t **json) {
    json_decref(*json);
}

static bool has_suffix(const char *path, const char *suffix) {
    size_t n = strlen(path), m = strlen(suffix);

    return n > m && strcasecmp(path + n - m, suffix) == 0;
}

static bool same_file(const char *a, const char *b) {
    struct stat sa, sb;

    return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
           sa.st_ino == sb.st_ino;
}

/* PATH without a SigMF suffix, with META. */
static int meta_path(const char *path, char **ret) {
    size_t n = strlen(path);

    if (uw_str_ends_with(path, META) || uw_str_ends_with(path, DATA))
        n -= strlen(META);
    if (asprintf(ret, "%.*s" META, (int)n, path) < 0) {
        *ret = NULL;
        return uw_err(-ENOMEM);
    }
    return 0;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* The name of the samples' file, or "" if they are no plain samples in a file. */
static void data_name(const char *recording, bool pair, char *name, size_t size) {
    const char *base = base_name(recording);
    size_t n = strlen(base);

    name[0] = '\0';
    if (pair) {
        if (uw_str_ends_with(base, META) || uw_str_ends_with(base, DATA))
            n -= strlen(META);
        snprintf(name, size, "%.*s" DATA, (int)n, base);
    } else if (strcmp(recording, "-") != 0 && !has_suffix(recording, ".wav") &&
               !has_suffix(recording, ".rf64") && !has_suffix(recording, ".sigmf")) {
        uw_str_copy(name, size, base);
    }
}

/* Byte order, headers and the data file's name of a pair. */
static int use_original(const char *path, struct uw_diag *diag, struct uw_sigmf_meta *meta) {
    UW_CLEANUP(freep) char *text = NULL;
    struct uw_sigmf_meta original;
    size_t len;
    int r;

    r = uw_file_read(path, UW_SIGMF_META_MAX, diag, &text, &len);
    if (!r)
        r = uw_sigmf_parse(path, text, len, diag, &original);
    if (r)
        return r;
    meta->big_endian = original.big_endian;
    meta->header_bytes = original.header_bytes;
    meta->trailing_bytes = original.trailing_bytes;
    uw_str_copy(meta->dataset, sizeof(meta->dataset), original.dataset);
    return 0;
}

/* Fills in what says where the samples are. */
static int point_to_data(const char *out, const char *recording, struct uw_diag *diag,
                         struct uw_sigmf_meta *meta) {
    UW_CLEANUP(freep) char *original = NULL;
    char name[UW_SIGMF_NAME_LEN], own[UW_SIGMF_NAME_LEN];
    struct stat st;
    bool pair;
    int r;

    r = meta_path(recording, &original);
    if (r)
        return r;
    if (same_file(out, original) || same_file(out, recording))
        return uw_diag_add(diag, "%s: would overwrite the recording; give another name", out);
    pair = uw_str_ends_with(recording, META) || uw_str_ends_with(recording, DATA) ||
           (stat(recording, &st) < 0 && stat(original, &st) == 0);
    if (pair) {
        r = use_original(original, diag, meta);
        if (r)
            return r;
    }
    data_name(recording, pair, name, sizeof(name));
    data_name(out, true, own, sizeof(own));
    if (!meta->dataset[0] && strcmp(name, own) != 0)
        uw_str_copy(meta->dataset, sizeof(meta->dataset), name);
    meta->metadata_only = name[0] == '\0';
    return 0;
}

static int add_globals(struct uw_sigmf_writer *writer, const char *recording) {
    UW_CLEANUP(decrefp) json_t *name = json_string(base_name(recording));
    UW_CLEANUP(freep) char *text = name ? json_dumps(name, JSON_ENCODE_ANY) : NULL;

    /* A name that is no UTF-8 cannot be said in JSON. */
    if (!text)
        return 0;
    return uw_sigmf_writer_global(writer, "recording", text);
}

int uw_annotate_new(const char *out, const char *recording, const struct uw_source_info *info,
                    struct uw_diag *diag, struct uw_annotate **ret_annotate) {
    UW_CLEANUP(annotate_freep) struct uw_annotate *annotate = NULL;
    UW_CLEANUP(freep) char *path = NULL;
    struct uw_sigmf_meta meta = {
        .format = info->format,
        .rate_hz = info->rate_hz,
        .freq_hz = info->freq_hz,
        /* 1970 stands for a recording without a time. */
        .start_ns = info->start_ns == 0 ? UW_TIME_NONE : info->start_ns,
    };
    int r;

    r = meta_path(out, &path);
    if (!r)
        r = point_to_data(path, recording, diag, &meta);
    if (r)
        return r;
    annotate = calloc(1, sizeof(*annotate));
    if (!annotate)
        return uw_err(-ENOMEM);
    annotate->start_ns = info->start_ns;
    annotate->rate_hz = info->rate_hz;
    annotate->n_samples = info->n_samples;
    r = uw_sigmf_writer_new(path, &meta, "Detections of uaswatch", &annotate->writer);
    if (!r)
        r = add_globals(annotate->writer, recording);
    if (r)
        return r;
    *ret_annotate = annotate;
    annotate = NULL;
    return 0;
}

struct uw_annotate *uw_annotate_free(struct uw_annotate *annotate) {
    if (!annotate)
        return NULL;
    uw_sigmf_writer_free(annotate->writer);
    free(annotate);
    return NULL;
}

static uint64_t sample_of(const struct uw_annotate *annotate, int64_t time_ns) {
    double s = (double)(time_ns - annotate->start_ns) / (double)UW_NS_PER_S;
    double index = round(s * annotate->rate_hz);

    if (!(index > 0))
        return 0;
    if (annotate->n_samples > 0 && index > (double)annotate->n_samples)
        return annotate->n_samples;
    return (uint64_t)index;
}

static void set_string(json_t *object, const char *key, const char *text) {
    if (text[0])
        json_object_set_new(object, key, json_string(text));
}

/* Rounded, so that the text does not show the last bit of an addition. */
static void set_number(json_t *object, const char *key, double value, double scale) {
    if (isfinite(value))
        json_object_set_new(object, key, json_real(round(value * scale) / scale));
}

static char *extra_members(const struct uw_detection *d) {
    UW_CLEANUP(decrefp) json_t *o = json_object();

    if (!o)
        return NULL;
    set_string(o, "detection", d->detection);
    set_string(o, "receiver", d->receiver);
    set_string(o, "emitter", d->emitter);
    set_string(o, "family", d->family);
    set_string(o, "variant", d->variant);
    set_string(o, "domain", d->domain);
    json_object_set_new(o, "drone", json_boolean(d->drone));
    set_number(o, "snr_db", d->snr_db, 1e2);
    set_number(o, "power_dbfs", d->power_dbfs, 1e2);
    set_number(o, "llr", d->llr, 1e3);
    set_number(o, "confidence", d->confidence, 1e4);
    if (d->evidence.bursts >= 0)
        json_object_set_new(o, "bursts", json_integer(d->evidence.bursts));
    return json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(12));
}

/* "6.3 dB" whatever the locale. */
static void put_decimal(FILE *f, double value, int decimals) {
    int64_t scale = decimals == 1 ? 10 : 100;
    int64_t x = (int64_t)llround(value * (double)scale);
    int64_t size = x < 0 ? -x : x;

    fprintf(f, "%s%lld.%0*lld", x < 0 ? "-" : "", (long long)(size / scale), decimals,
            (long long)(size % scale));
}

static char *comment_text(const struct uw_detection *d) {
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    if (!f)
        return NULL;
    fprintf(f, "%s%s%s", d->family, d->domain[0] ? " " : "", d->domain);
    if (isfinite(d->snr_db)) {
        fprintf(f, ", SNR ");
        put_decimal(f, d->snr_db, 1);
        fprintf(f, " dB");
    }
    if (isfinite(d->confidence)) {
        fprintf(f, ", confidence ");
        put_decimal(f, d->confidence, 2);
    }
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

int uw_annotate_add(struct uw_annotate *annotate, const struct uw_detection *d) {
    UW_CLEANUP(freep) char *extra = extra_members(d);
    UW_CLEANUP(freep) char *comment = comment_text(d);
    double half_hz = isfinite(d->bandwidth_hz) ? d->bandwidth_hz / 2 : 0;
    /* a signal may be heard in part: its annotation ends with the recording's band */
    double centre_hz = isfinite(d->tuning.centre_hz) ? d->tuning.centre_hz : 0;
    double band_hz = annotate->rate_hz / 2;
    uint64_t start = sample_of(annotate, d->t_start_ns), stop = sample_of(annotate, d->t_end_ns);
    char label[2 * UW_NAME_LEN];
    struct uw_sigmf_annotation a = {
        .start = start,
        .count = stop > start ? stop - start : 0,
        .lower_hz = fmax(d->freq_hz - half_hz, centre_hz - band_hz),
        .upper_hz = fmin(d->freq_hz + half_hz, centre_hz + band_hz),
        .label = label,
        .comment = comment,
        .extra_json = extra,
    };

    if (!extra || !comment)
        return uw_err(-ENOMEM);
    snprintf(label, sizeof(label), "%s%s%s", d->signature, d->variant[0] ? " " : "", d->variant);
    return uw_sigmf_writer_annotate(annotate->writer, &a);
}

int uw_annotate_finish(struct uw_annotate *annotate, struct uw_diag *diag) {
    return uw_sigmf_writer_finish(annotate->writer, diag);
}
