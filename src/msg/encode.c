/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <string.h>

#include "field-impl.h"
#include "uw/base/time.h"
#include "uw/base/util.h"
#include "uw/msg/json.h"
#include "writer-impl.h"

static bool known_int(const struct uw_field *f, const char *at) {
    int64_t value;

    memcpy(&value, at, sizeof(value));
    return value >= (int64_t)f->min && value <= (int64_t)f->max;
}

static bool known_uint(const struct uw_field *f, const char *at) {
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return value >= (uint64_t)f->min && value <= (uint64_t)f->max;
}

static bool known_real(const struct uw_field *f, const char *at) {
    double value;

    memcpy(&value, at, sizeof(value));
    return isfinite(value) && value >= f->min && value <= f->max;
}

static bool known_time(const char *at) {
    int64_t value;

    memcpy(&value, at, sizeof(value));
    return value != UW_TIME_NONE;
}

static const char *word_of(const struct uw_field *f, const char *at) {
    unsigned value;

    if (f->kind == UW_FIELD_STATE)
        return f->words[*(const bool *)at ? 1 : 0];
    memcpy(&value, at, sizeof(value)); /* no enum of ours is wider or narrower: see the assertion */
    return value < f->n_words ? f->words[value] : NULL;
}
_Static_assert(sizeof(enum uw_role) == sizeof(unsigned), "enums are as wide as unsigned");

/* Of the members of a structure and of lists, put_fields() and put_list() know. */
static bool known(const struct uw_field *f, const char *at) {
    switch (f->kind) {
    case UW_FIELD_NAME:
    case UW_FIELD_ID:
    case UW_FIELD_TEXT:
        return *at != '\0';
    case UW_FIELD_WORD:
    case UW_FIELD_STATE:
        return word_of(f, at) != NULL;
    case UW_FIELD_INT:
        return known_int(f, at);
    case UW_FIELD_UINT:
        return known_uint(f, at);
    case UW_FIELD_REAL:
        return known_real(f, at);
    case UW_FIELD_TIME:
        return known_time(at);
    case UW_FIELD_BOOL:
    case UW_FIELD_OBJECT:
    case UW_FIELD_LIST:
    case UW_FIELD_NAMES:
        return true;
    }
    return false;
}

static void put_time(struct uw_writer *w, const char *at) {
    char text[UW_TIME_LEN];
    int64_t value;

    memcpy(&value, at, sizeof(value));
    uw_writer_string(w, uw_time_format(value, text));
}

static void put_real(struct uw_writer *w, const struct uw_field *f, const char *at) {
    double value;

    memcpy(&value, at, sizeof(value));
    uw_writer_real(w, value, f->decimals);
}

static void put_uint(struct uw_writer *w, const char *at) {
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    uw_writer_uint(w, value);
}

static void put_scalar(struct uw_writer *w, const struct uw_field *f, const char *at) {
    switch (f->kind) {
    case UW_FIELD_WORD:
    case UW_FIELD_STATE:
        uw_writer_string(w, word_of(f, at));
        return;
    case UW_FIELD_BOOL:
        uw_writer_raw(w, *(const bool *)at ? "true" : "false");
        return;
    case UW_FIELD_INT: /* never negative: known_int() */
    case UW_FIELD_UINT:
        put_uint(w, at);
        return;
    case UW_FIELD_REAL:
        put_real(w, f, at);
        return;
    case UW_FIELD_TIME:
        put_time(w, at);
        return;
    default:
        uw_writer_string(w, at);
    }
}

static bool put_fields(struct uw_writer *w, const struct uw_field *fields, const char *record,
                       bool first, bool nested);

static void put_list(struct uw_writer *w, const struct uw_field *f, const char *record) {
    const char *at = record + f->offset;
    int n;

    memcpy(&n, record + f->count_offset, sizeof(n));
    uw_writer_raw(w, "[");
    for (int i = 0; i < n && i < f->max_count; i++) {
        if (i > 0)
            uw_writer_raw(w, ",");
        if (f->kind == UW_FIELD_NAMES) {
            uw_writer_string(w, at + (size_t)i * f->size);
            continue;
        }
        uw_writer_raw(w, "{");
        (void)put_fields(w, f->members, at + (size_t)i * f->size, true, false);
        uw_writer_raw(w, "}");
    }
    uw_writer_raw(w, "]");
}

/* False if there was nothing to write, or a member that must be there is unknown. */
static bool put_value(struct uw_writer *w, const struct uw_field *f, const char *record) {
    bool whole = true;

    if (f->kind == UW_FIELD_LIST || f->kind == UW_FIELD_NAMES) {
        put_list(w, f, record);
    } else if (f->kind == UW_FIELD_OBJECT) {
        uw_writer_raw(w, "{");
        whole = put_fields(w, f->members, record + f->offset, true, true);
        uw_writer_raw(w, "}");
    } else {
        put_scalar(w, f, record + f->offset);
    }
    return whole;
}

static bool put_fields(struct uw_writer *w, const struct uw_field *fields, const char *record,
                       bool first, bool nested) {
    bool any = false;

    for (const struct uw_field *f = fields; f->key; f++) {
        size_t mark = w->len;

        if ((f->left_out && f->left_out(record)) || !known(f, record + f->offset)) {
            if (nested && f->required)
                return false;
            continue;
        }
        if (!first || any)
            uw_writer_raw(w, ",");
        uw_writer_string(w, f->key);
        uw_writer_raw(w, ":");
        if (put_value(w, f, record))
            any = true;
        else
            uw_writer_cut(w, mark);
    }
    return any;
}

int uw_record_encode(enum uw_msg_type type, const void *record, char **ret_json) {
    UW_CLEANUP(uw_writer_deinit) struct uw_writer w = {0};

    uw_writer_raw(&w, "{\"type\":");
    uw_writer_string(&w, uw_msg_words[type]);
    uw_writer_raw(&w, ",\"schema\":");
    uw_writer_string(&w, uw_msg_schema(type));
    (void)put_fields(&w, uw_msg_tables[type].fields, record, false, false);
    uw_writer_raw(&w, "}");
    return uw_writer_steal(&w, ret_json);
}
