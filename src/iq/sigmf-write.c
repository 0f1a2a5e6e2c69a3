/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writing the meta file of a SigMF recording
 *
 * The text is put together by hand, in a fixed order and with fixed decimals (rates and frequencies
 * to the millihertz), so that equal input gives equal bytes whatever the locale. Strings and
 * foreign JSON go through Jansson, which checks and escapes them. The file appears whole or not at
 * all.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "uw/base/build-info.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/time.h"
#include "uw/base/util.h"
#include "uw/iq/sigmf.h"

#define DUMP_FLAGS (JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(12))
#define EXTENSION  "uaswatch:"

struct annotation {
    uint64_t start;
    size_t number; /* in the order of the calls */
    char *text;
};

struct uw_sigmf_writer {
    char *path;
    struct uw_sigmf_meta meta;
    char *description; /* JSON, or NULL */
    char *globals;     /* further members of the global object */
    size_t n_annotations, n_allocated;
    struct annotation *annotations;
};

static void decrefp(json_t **json) {
    json_decref(*json);
}

static void writer_freep(struct uw_sigmf_writer **writer) {
    uw_sigmf_writer_free(*writer);
}

/* The value to the millihertz, in the C locale's form. */
static void put_hz(FILE *f, double hz) {
    int64_t milli = (int64_t)llround(hz * 1e3);
    uint64_t size = milli < 0 ? -(uint64_t)milli : (uint64_t)milli;

    fprintf(f, "%s%" PRIu64 ".%03" PRIu64, milli < 0 ? "-" : "", size / 1000, size % 1000);
}

/* JSON text of a string, to be freed; what is not UTF-8 is left out altogether. */
static int string_json(const char *text, char **ret) {
    UW_CLEANUP(decrefp) json_t *json = json_string(text);
    char *dump;

    if (!json)
        json = json_string("");
    dump = json ? json_dumps(json, DUMP_FLAGS) : NULL;
    if (!dump)
        return uw_err(-ENOMEM);
    *ret = dump;
    return 0;
}

static int put_string(FILE *f, const char *key, const char *text) {
    char *dump;
    int r;

    if (!text)
        return 0;
    r = string_json(text, &dump);
    if (r)
        return r;
    fprintf(f, ",\n   \"%s\": %s", key, dump);
    free(dump);
    return 0;
}

int uw_sigmf_writer_new(const char *meta_path, const struct uw_sigmf_meta *meta,
                        const char *description, struct uw_sigmf_writer **ret) {
    UW_CLEANUP(writer_freep) struct uw_sigmf_writer *writer = calloc(1, sizeof(*writer));
    int r;

    if (!writer)
        return uw_err(-ENOMEM);
    writer->meta = *meta;
    writer->path = strdup(meta_path);
    if (!writer->path)
        return uw_err(-ENOMEM);
    if (description) {
        r = string_json(description, &writer->description);
        if (r)
            return r;
    }
    *ret = writer;
    writer = NULL;
    return 0;
}

struct uw_sigmf_writer *uw_sigmf_writer_free(struct uw_sigmf_writer *writer) {
    if (!writer)
        return NULL;
    for (size_t i = 0; i < writer->n_annotations; i++)
        free(writer->annotations[i].text);
    free(writer->annotations);
    free(writer->globals);
    free(writer->description);
    free(writer->path);
    free(writer);
    return NULL;
}

/* Adds the members of an object, each under the extension's name. */
static int put_extra(FILE *f, const char *extra_json) {
    UW_CLEANUP(decrefp) json_t *extra = NULL;
    const char *key;
    json_t *value;

    if (!extra_json)
        return 0;
    extra = json_loads(extra_json, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(extra))
        return uw_err(-EINVAL);
    json_object_foreach(extra, key, value) {
        char *dump = json_dumps(value, DUMP_FLAGS);
        char name[64];
        char *quoted;
        int r;

        if (!dump)
            return uw_err(-ENOMEM);
        snprintf(name, sizeof(name), EXTENSION "%s", key);
        r = string_json(name, &quoted);
        if (!r) {
            fprintf(f, ",\n   %s: %s", quoted, dump);
            free(quoted);
        }
        free(dump);
        if (r)
            return r;
    }
    return 0;
}

static int put_annotation(FILE *f, const struct uw_sigmf_annotation *a) {
    int r;

    fprintf(f, "  {\n   \"core:sample_start\": %" PRIu64 ",\n   \"core:sample_count\": %" PRIu64,
            a->start, a->count);
    if (isfinite(a->lower_hz) && isfinite(a->upper_hz)) {
        fprintf(f, ",\n   \"core:freq_lower_edge\": ");
        put_hz(f, a->lower_hz);
        fprintf(f, ",\n   \"core:freq_upper_edge\": ");
        put_hz(f, a->upper_hz);
    }
    r = put_string(f, "core:label", a->label);
    if (!r)
        r = put_string(f, "core:comment", a->comment);
    if (!r)
        r = put_extra(f, a->extra_json);
    fprintf(f, "\n  }");
    return r;
}

static int append(struct uw_sigmf_writer *writer, uint64_t start, char *text) {
    if (writer->n_annotations == writer->n_allocated) {
        size_t n = writer->n_allocated ? 2 * writer->n_allocated : 64;
        void *more = realloc(writer->annotations, n * sizeof(writer->annotations[0]));

        if (!more)
            return uw_err(-ENOMEM);
        writer->annotations = more;
        writer->n_allocated = n;
    }
    writer->annotations[writer->n_annotations] =
        (struct annotation){.start = start, .number = writer->n_annotations, .text = text};
    writer->n_annotations++;
    return 0;
}

int uw_sigmf_writer_annotate(struct uw_sigmf_writer *writer, const struct uw_sigmf_annotation *a) {
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    int r;

    if (!f)
        return uw_err(-ENOMEM);
    r = put_annotation(f, a);
    if (fclose(f) != 0 && !r)
        r = uw_err(-ENOMEM);
    if (!r)
        r = append(writer, a->start, text);
    if (r)
        free(text);
    return r;
}

int uw_sigmf_writer_global(struct uw_sigmf_writer *writer, const char *key,
                           const char *value_json) {
    UW_CLEANUP(decrefp)
    json_t *value = json_loads(value_json, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    char *dump, *globals;
    int n;

    if (!value)
        return uw_err(-EINVAL);
    dump = json_dumps(value, DUMP_FLAGS);
    if (!dump)
        return uw_err(-ENOMEM);
    n = asprintf(&globals, "%s,\n  \"" EXTENSION "%s\": %s", writer->globals ? writer->globals : "",
                 key, dump);
    free(dump);
    if (n < 0)
        return uw_err(-ENOMEM);
    free(writer->globals);
    writer->globals = globals;
    return 0;
}

static int by_start(const void *a, const void *b) {
    const struct annotation *x = a, *y = b;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static const char *datatype(const struct uw_sigmf_meta *m) {
    switch (m->format) {
    case UW_IQ_CI16:
        return m->big_endian ? "ci16_be" : "ci16_le";
    case UW_IQ_CF32:
        return m->big_endian ? "cf32_be" : "cf32_le";
    default:
        return uw_iq_format_name(m->format);
    }
}

static int put_global(FILE *f, const struct uw_sigmf_writer *writer) {
    const struct uw_sigmf_meta *m = &writer->meta;

    fprintf(f, " \"global\": {\n  \"core:version\": \"1.0.0\",\n  \"core:datatype\": \"%s\"",
            datatype(m));
    if (!isnan(m->rate_hz)) {
        fprintf(f, ",\n  \"core:sample_rate\": ");
        put_hz(f, m->rate_hz);
    }
    if (m->dataset[0]) {
        char *quoted;
        int r = string_json(m->dataset, &quoted);

        if (r)
            return r;
        fprintf(f, ",\n  \"core:dataset\": %s", quoted);
        free(quoted);
    }
    if (m->metadata_only)
        fprintf(f, ",\n  \"core:metadata_only\": true");
    if (m->trailing_bytes > 0)
        fprintf(f, ",\n  \"core:trailing_bytes\": %" PRIu64, m->trailing_bytes);
    if (writer->description)
        fprintf(f, ",\n  \"core:description\": %s", writer->description);
    fprintf(f, ",\n  \"core:recorder\": \"uaswatch %s\"", uw_version());
    fprintf(f, ",\n  \"core:extensions\": [{\"name\": \"uaswatch\", \"version\": \"1.0.0\", "
               "\"optional\": true}]");
    fprintf(f, "%s\n },\n", writer->globals ? writer->globals : "");
    return 0;
}

/* Nanoseconds, so that a recording's start comes back as it was. */
static void put_time(FILE *f, int64_t time_ns) {
    char text[UW_TIME_LEN];
    int64_t rest = time_ns % UW_NS_PER_S;
    const char *dot;

    if (rest < 0)
        rest += UW_NS_PER_S;
    uw_time_format(time_ns, text);
    dot = strchr(text, '.');
    fprintf(f, ",\n   \"core:datetime\": \"%.*s.%09" PRId64 "Z\"", dot ? (int)(dot - text) : 0,
            text, rest);
}

static void put_capture(FILE *f, const struct uw_sigmf_meta *m) {
    fprintf(f, " \"captures\": [\n  {\n   \"core:sample_start\": 0");
    if (!isnan(m->freq_hz)) {
        fprintf(f, ",\n   \"core:frequency\": ");
        put_hz(f, m->freq_hz);
    }
    if (m->start_ns != UW_TIME_NONE)
        put_time(f, m->start_ns);
    if (m->header_bytes > 0)
        fprintf(f, ",\n   \"core:header_bytes\": %" PRIu64, m->header_bytes);
    fprintf(f, "\n  }\n ],\n");
}

static int put_all(FILE *f, struct uw_sigmf_writer *writer) {
    int r;

    fprintf(f, "{\n");
    r = put_global(f, writer);
    if (r)
        return r;
    put_capture(f, &writer->meta);
    if (writer->n_annotations > 1)
        qsort(writer->annotations, writer->n_annotations, sizeof(writer->annotations[0]), by_start);
    fprintf(f, " \"annotations\": [");
    for (size_t i = 0; i < writer->n_annotations; i++)
        fprintf(f, "%s\n%s", i > 0 ? "," : "", writer->annotations[i].text);
    fprintf(f, "%s]\n}\n", writer->n_annotations > 0 ? "\n " : "");
    return 0;
}

int uw_sigmf_writer_finish(struct uw_sigmf_writer *writer, struct uw_diag *diag) {
    char *temporary;
    FILE *f;
    int r, error = 0;

    if (asprintf(&temporary, "%s.%ld.tmp", writer->path, (long)getpid()) < 0)
        return uw_err(-ENOMEM);
    f = fopen(temporary, "we");
    if (!f) {
        r = uw_diag_add(diag, "%s: %s", temporary, strerror(errno));
        free(temporary);
        return r;
    }
    r = put_all(f, writer);
    if (fflush(f) != 0 || ferror(f))
        error = errno;
    if (fclose(f) != 0 && !error)
        error = errno;
    if (!r && !error && rename(temporary, writer->path) < 0)
        error = errno;
    if (!r && error)
        r = uw_diag_add(diag, "%s: %s", writer->path, strerror(error));
    if (r)
        unlink(temporary);
    free(temporary);
    return r;
}
