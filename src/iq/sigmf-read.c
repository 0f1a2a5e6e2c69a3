/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The meta file of a SigMF recording
 *
 * What says how the samples are to be read must be there and be right; what only describes them
 * (annotations, licences, hashes) is not looked at. The first capture's frequency and time hold for
 * the whole recording: one that is retuned on the way is refused, because its time line would be
 * right and every frequency after the retune wrong.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/time.h"
#include "uw/base/util.h"
#include "uw/iq/sigmf.h"

#define NUMBER_MAX  1e12 /* the specification's limit for rates and frequencies */
#define SAMPLES_MAX ((json_int_t)1 << 53)

struct context {
    const char *name;
    struct uw_diag *diag;
};

static void decrefp(json_t **json) {
    json_decref(*json);
}

static int parse_datatype(const struct context *c, const char *text, struct uw_sigmf_meta *m) {
    static const struct {
        const char *name;
        enum uw_iq_format format;
        int big_endian;
    } types[] = {
        {"cu8", UW_IQ_CU8, 0},      {"ci8", UW_IQ_CI8, 0},      {"ci16_le", UW_IQ_CI16, 0},
        {"ci16_be", UW_IQ_CI16, 1}, {"cf32_le", UW_IQ_CF32, 0}, {"cf32_be", UW_IQ_CF32, 1},
    };

    for (size_t i = 0; i < UW_ARRAY_SIZE(types); i++) {
        if (strcmp(text, types[i].name) != 0)
            continue;
        m->format = types[i].format;
        m->big_endian = types[i].big_endian;
        return 0;
    }
    return uw_diag_add(c->diag,
                       "%s: global.core:datatype: \"%.40s\" %s; it must be cu8, ci8, ci16_le, "
                       "ci16_be, cf32_le or cf32_be",
                       c->name, text,
                       text[0] == 'r' ? "holds real samples, not IQ" : "is not supported");
}

/* 0 with NAN if the key is not there. */
static int get_number(const struct context *c, const json_t *object, const char *where,
                      const char *key, double min, double *ret) {
    const json_t *value = json_object_get(object, key);
    double x;

    *ret = NAN;
    if (!value)
        return 0;
    if (!json_is_number(value))
        return uw_diag_add(c->diag, "%s: %s.%s: must be a number", c->name, where, key);
    x = json_number_value(value);
    if (!(x >= min && x <= NUMBER_MAX))
        return uw_diag_add(c->diag, "%s: %s.%s: %.10g is outside %.10g..%.10g", c->name, where, key,
                           x, min, NUMBER_MAX);
    *ret = x;
    return 0;
}

/* 0 with the value as it was if the key is not there. */
static int get_count(const struct context *c, const json_t *object, const char *where,
                     const char *key, uint64_t *value) {
    const json_t *json = json_object_get(object, key);

    if (!json)
        return 0;
    if (!json_is_integer(json) || json_integer_value(json) < 0 ||
        json_integer_value(json) > SAMPLES_MAX)
        return uw_diag_add(c->diag, "%s: %s.%s: must be a whole number from 0 to 2^53", c->name,
                           where, key);
    *value = (uint64_t)json_integer_value(json);
    return 0;
}

/* 0 with NULL if the key is not there (and need not be). */
static int get_string(const struct context *c, const json_t *object, const char *where,
                      const char *key, bool required, const char **ret) {
    const json_t *value = json_object_get(object, key);

    *ret = NULL;
    if (!value && !required)
        return 0;
    if (!value)
        return uw_diag_add(c->diag, "%s: %s.%s: missing", c->name, where, key);
    if (!json_is_string(value))
        return uw_diag_add(c->diag, "%s: %s.%s: must be a string", c->name, where, key);
    *ret = json_string_value(value);
    return 0;
}

static int parse_dataset(const struct context *c, const json_t *global, struct uw_sigmf_meta *m) {
    const char *text;
    int r;

    r = get_string(c, global, "global", "core:dataset", false, &text);
    if (r || !text)
        return r;
    /* Only a file beside the meta file: a recording from elsewhere must not point into the system.
     */
    if (!text[0] || strchr(text, '/') || strcmp(text, ".") == 0 || strcmp(text, "..") == 0 ||
        strlen(text) >= sizeof(m->dataset))
        return uw_diag_add(c->diag,
                           "%s: global.core:dataset: must be the name of a file in the same "
                           "directory",
                           c->name);
    uw_str_copy(m->dataset, sizeof(m->dataset), text);
    return 0;
}

static int parse_version(const struct context *c, const json_t *global) {
    const char *text;
    int r;

    r = get_string(c, global, "global", "core:version", true, &text);
    if (r)
        return r;
    if (strncmp(text, "0.", 2) != 0 && strncmp(text, "1.", 2) != 0)
        return uw_diag_add(c->diag, "%s: global.core:version: \"%.20s\" is not supported, 1.x is",
                           c->name, text);
    return 0;
}

static int parse_global(const struct context *c, const json_t *global, struct uw_sigmf_meta *m,
                        uint64_t *ret_offset) {
    uint64_t n_channels = 1;
    const char *text;
    int r;

    if (!json_is_object(global))
        return uw_diag_add(c->diag, "%s: global: %s", c->name,
                           global ? "must be an object" : "missing");
    r = parse_version(c, global);
    if (!r)
        r = get_string(c, global, "global", "core:datatype", true, &text);
    if (!r)
        r = parse_datatype(c, text, m);
    if (!r)
        r = get_number(c, global, "global", "core:sample_rate", 0, &m->rate_hz);
    if (!r)
        r = get_count(c, global, "global", "core:num_channels", &n_channels);
    if (!r)
        r = get_count(c, global, "global", "core:trailing_bytes", &m->trailing_bytes);
    if (!r)
        r = get_count(c, global, "global", "core:offset", ret_offset);
    if (!r)
        r = parse_dataset(c, global, m);
    if (r)
        return r;
    if (n_channels != 1)
        return uw_diag_add(c->diag,
                           "%s: global.core:num_channels: %" PRIu64
                           " channels; one file per channel is needed",
                           c->name, n_channels);
    if (json_is_true(json_object_get(global, "core:metadata_only")))
        return uw_diag_add(c->diag, "%s: global.core:metadata_only: there are no samples", c->name);
    return 0;
}

struct capture {
    uint64_t start;
    uint64_t header_bytes;
    double freq_hz;
    int64_t time_ns;
};

static int parse_capture(const struct context *c, const json_t *json, size_t index,
                         struct capture *ret) {
    char where[40];
    const char *text;
    int r;

    snprintf(where, sizeof(where), "captures[%zu]", index);
    *ret = (struct capture){.start = UINT64_MAX, .time_ns = UW_TIME_NONE};
    if (!json_is_object(json))
        return uw_diag_add(c->diag, "%s: %s: must be an object", c->name, where);
    r = get_count(c, json, where, "core:sample_start", &ret->start);
    if (!r && ret->start == UINT64_MAX)
        r = uw_diag_add(c->diag, "%s: %s.core:sample_start: missing", c->name, where);
    if (!r)
        r = get_count(c, json, where, "core:header_bytes", &ret->header_bytes);
    if (!r)
        r = get_number(c, json, where, "core:frequency", 0, &ret->freq_hz);
    if (!r)
        r = get_string(c, json, where, "core:datetime", false, &text);
    if (r)
        return r;
    if (text && uw_time_parse(text, &ret->time_ns) != 0)
        return uw_diag_add(c->diag, "%s: %s.core:datetime: \"%.40s\" is no RFC 3339 time", c->name,
                           where, text);
    /* Recorders that do not know the frequency often write 0. */
    if (ret->freq_hz <= 0)
        ret->freq_hz = NAN;
    return 0;
}

static int check_later_capture(const struct context *c, size_t index, const struct capture *before,
                               const struct capture *capture, double freq_hz) {
    if (capture->start < before->start)
        return uw_diag_add(c->diag, "%s: captures[%zu].core:sample_start: out of order", c->name,
                           index);
    if (capture->header_bytes > 0)
        return uw_diag_add(c->diag,
                           "%s: captures[%zu].core:header_bytes: only the first capture may have "
                           "a header",
                           c->name, index);
    if (!isnan(capture->freq_hz) && !(capture->freq_hz == freq_hz))
        return uw_diag_add(c->diag,
                           "%s: captures[%zu].core:frequency: the receiver is retuned to %.10g Hz "
                           "on the way; split the recording there",
                           c->name, index, capture->freq_hz);
    return 0;
}

static int parse_captures(const struct context *c, const json_t *captures, uint64_t offset,
                          struct uw_sigmf_meta *m) {
    struct capture first = {.freq_hz = NAN, .time_ns = UW_TIME_NONE}, before = {0}, capture;
    const json_t *json;
    size_t i;

    if (!json_is_array(captures))
        return uw_diag_add(c->diag, "%s: captures: %s", c->name,
                           captures ? "must be an array" : "missing");
    json_array_foreach(captures, i, json) {
        int r = parse_capture(c, json, i, &capture);

        if (!r && i > 0)
            r = check_later_capture(c, i, &before, &capture, first.freq_hz);
        if (r)
            return r;
        if (i == 0)
            first = capture;
        before = capture;
    }
    m->freq_hz = first.freq_hz;
    m->header_bytes = first.header_bytes;
    m->start_ns = first.time_ns;
    m->n_samples_min = before.start > offset ? before.start - offset + 1 : 1;
    /* The time of a first capture that begins later than the data. */
    if (first.time_ns != UW_TIME_NONE && first.start > offset && m->rate_hz > 0)
        m->start_ns -= uw_time_of_sample(0, first.start - offset, m->rate_hz);
    return 0;
}

int uw_sigmf_parse(const char *name, const char *json, size_t len, struct uw_diag *diag,
                   struct uw_sigmf_meta *ret_meta) {
    const struct context c = {.name = name, .diag = diag};
    struct uw_sigmf_meta m = {.rate_hz = NAN, .freq_hz = NAN, .start_ns = UW_TIME_NONE};
    UW_CLEANUP(decrefp) json_t *root = NULL;
    json_error_t error;
    uint64_t offset = 0;
    int r;

    if (len > UW_SIGMF_META_MAX)
        return uw_diag_add(diag, "%s: larger than %zu bytes", name, UW_SIGMF_META_MAX);
    root = json_loadb(json, len, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return uw_diag_add(diag, "%s:%d: %s", name, error.line, error.text);
    if (!json_is_object(root))
        return uw_diag_add(diag, "%s:1: must be a JSON object", name);
    r = parse_global(&c, json_object_get(root, "global"), &m, &offset);
    if (r)
        return r;
    r = parse_captures(&c, json_object_get(root, "captures"), offset, &m);
    if (r)
        return r;
    *ret_meta = m;
    return 0;
}
