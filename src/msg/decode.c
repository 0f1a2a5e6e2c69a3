/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "field-impl.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/time.h"
#include "uw/base/util.h"
#include "uw/msg/json.h"

/* The years 1678 to 2261: what int64_t nanoseconds hold, less a margin for rounding. */
#define TIME_MAX INT64_C(9200000000000000000)

/* Where we are, for the text of an error. */
struct place {
    const struct place *up;
    const char *key;
    int index; /* -1: none */
};

static void place_print(const struct place *place, char *buf, size_t size) {
    size_t len;

    if (place->up)
        place_print(place->up, buf, size);
    else
        buf[0] = '\0';
    len = strlen(buf);
    if (place->index >= 0)
        (void)snprintf(buf + len, size - len, "%s%s[%d]", len ? "." : "", place->key, place->index);
    else
        (void)snprintf(buf + len, size - len, "%s%s", len ? "." : "", place->key);
}

static int complain(struct uw_diag *diag, const struct place *place, const char *what) {
    char buf[128];

    place_print(place, buf, sizeof(buf));
    return uw_diag_add(diag, "%s: %s", buf, what);
}

static int get_fields(const struct uw_field *fields, const json_t *object, const struct place *up,
                      struct uw_diag *diag, char *record);

static bool is_id(const char *s) {
    for (; *s; s++)
        if (*s < 0x21 || *s > 0x7e || *s == '"' || *s == '\\')
            return false;
    return true;
}

static int get_string(const struct uw_field *f, const json_t *value, const struct place *place,
                      struct uw_diag *diag, char *at) {
    const char *s = json_string_value(value);

    if (!s || !*s)
        return complain(diag, place, "must be a string that is not empty");
    if (json_string_length(value) >= f->size)
        return complain(diag, place, "is too long");
    if (f->kind == UW_FIELD_ID && !is_id(s))
        return complain(diag, place, "must be printable ASCII without spaces");
    if ((f->kind == UW_FIELD_NAME || f->kind == UW_FIELD_NAMES) && !uw_str_is_name(s))
        return complain(diag, place, "must be 1 to 31 of A-Z a-z 0-9 _ -");
    memcpy(at, s, strlen(s) + 1);
    return 0;
}

static int get_word(const struct uw_field *f, const json_t *value, const struct place *place,
                    struct uw_diag *diag, char *at) {
    const char *s = json_string_value(value);

    for (unsigned i = 0; s && i < f->n_words; i++) {
        if (!f->words[i] || strcmp(s, f->words[i]) != 0)
            continue;
        if (f->kind == UW_FIELD_STATE)
            *(bool *)at = i == 1;
        else
            memcpy(at, &i, sizeof(i));
        return 0;
    }
    return complain(diag, place, "is none of the words that are allowed here");
}

static int get_integer(const struct uw_field *f, const json_t *value, const struct place *place,
                       struct uw_diag *diag, char *at) {
    int64_t n;

    if (!json_is_integer(value))
        return complain(diag, place, "must be an integer");
    n = json_integer_value(value);
    if (n < (int64_t)f->min || n > (int64_t)f->max)
        return complain(diag, place, "is out of range");
    memcpy(at, &n, sizeof(n)); /* the same bytes as uint64_t: never negative */
    return 0;
}

static int get_real(const struct uw_field *f, const json_t *value, const struct place *place,
                    struct uw_diag *diag, char *at) {
    double x;

    if (!json_is_number(value))
        return complain(diag, place, "must be a number");
    x = json_number_value(value);
    if (!(x >= f->min && x <= f->max))
        return complain(diag, place, "is out of range");
    memcpy(at, &x, sizeof(x));
    return 0;
}

static int get_time(const json_t *value, const struct place *place, struct uw_diag *diag,
                    char *at) {
    const char *s = json_string_value(value);
    int64_t time_ns;

    if (!s || uw_time_parse(s, &time_ns) != 0)
        return complain(diag, place, "must be a time like 2026-11-23T18:02:36.120000Z");
    if (time_ns < -TIME_MAX || time_ns > TIME_MAX)
        return complain(diag, place, "is out of range");
    memcpy(at, &time_ns, sizeof(time_ns));
    return 0;
}

static int get_list(const struct uw_field *f, const json_t *value, const struct place *place,
                    struct uw_diag *diag, char *record) {
    size_t n = json_array_size(value);
    char *at = record + f->offset;
    int count = (int)n, r;

    if (!json_is_array(value))
        return complain(diag, place, "must be an array");
    if (n > (size_t)f->max_count)
        return complain(diag, place, "has too many elements");
    for (int i = 0; i < count; i++) {
        const json_t *element = json_array_get(value, (size_t)i);
        struct place here = {.up = place->up, .key = place->key, .index = i};

        if (f->kind == UW_FIELD_NAMES)
            r = get_string(f, element, &here, diag, at + (size_t)i * f->size);
        else
            r = get_fields(f->members, element, &here, diag, at + (size_t)i * f->size);
        if (r != 0)
            return r;
    }
    memcpy(record + f->count_offset, &count, sizeof(count));
    return 0;
}

static int get_value(const struct uw_field *f, const json_t *value, const struct place *place,
                     struct uw_diag *diag, char *record) {
    char *at = record + f->offset;

    switch (f->kind) {
    case UW_FIELD_NAME:
    case UW_FIELD_ID:
    case UW_FIELD_TEXT:
        return get_string(f, value, place, diag, at);
    case UW_FIELD_WORD:
    case UW_FIELD_STATE:
        return get_word(f, value, place, diag, at);
    case UW_FIELD_BOOL:
        if (!json_is_boolean(value))
            return complain(diag, place, "must be true or false");
        *(bool *)at = json_is_true(value);
        return 0;
    case UW_FIELD_INT:
    case UW_FIELD_UINT:
        return get_integer(f, value, place, diag, at);
    case UW_FIELD_REAL:
        return get_real(f, value, place, diag, at);
    case UW_FIELD_TIME:
        return get_time(value, place, diag, at);
    case UW_FIELD_OBJECT:
        return get_fields(f->members, value, place, diag, at);
    case UW_FIELD_LIST:
    case UW_FIELD_NAMES:
        return get_list(f, value, place, diag, record);
    }
    return complain(diag, place, "is of no known kind");
}

/* Keys that no field has are ignored: a newer minor version may have added them. */
static int get_fields(const struct uw_field *fields, const json_t *object, const struct place *up,
                      struct uw_diag *diag, char *record) {
    if (!json_is_object(object))
        return complain(diag, up, "must be an object");
    for (const struct uw_field *f = fields; f->key; f++) {
        const json_t *value = json_object_get(object, f->key);
        struct place here = {.up = up, .key = f->key, .index = -1};
        int r;

        if (!value && f->required)
            return complain(diag, &here, "is missing");
        if (!value)
            continue;
        r = get_value(f, value, &here, diag, record);
        if (r != 0)
            return r;
    }
    return 0;
}

/* Jansson's own limit on nesting (2048) is for larger stacks than ours. */
static bool too_deep(const char *json, size_t len) {
    bool in_string = false;
    int depth = 0;

    for (size_t i = 0; i < len; i++) {
        if (in_string && json[i] == '\\')
            i++;
        else if (json[i] == '"')
            in_string = !in_string;
        else if (!in_string && (json[i] == '{' || json[i] == '['))
            depth++;
        else if (!in_string && (json[i] == '}' || json[i] == ']'))
            depth--;
        if (depth > UW_MSG_MAX_DEPTH)
            return true;
    }
    return false;
}

static void json_freep(json_t **json) {
    json_decref(*json);
}

static int load(const char *json, size_t len, struct uw_diag *diag, json_t **ret) {
    json_error_t error;
    json_t *body;

    if (len > UW_MSG_MAX_LEN)
        return uw_diag_add(diag, "message: longer than %d bytes", UW_MSG_MAX_LEN);
    if (too_deep(json, len))
        return uw_diag_add(diag, "message: nested more than %d deep", UW_MSG_MAX_DEPTH);
    body = json_loadb(json, len, JSON_REJECT_DUPLICATES, &error);
    if (!body) {
        if (json_error_code(&error) == json_error_out_of_memory)
            return uw_err(-ENOMEM);
        /* Jansson's text quotes the input, which may hold anything. */
        return uw_diag_add(diag, "message: is not JSON, or has a key twice (line %d, column %d)",
                           error.line, error.column);
    }
    *ret = body;
    return 0;
}

static int get_type(const json_t *body, struct uw_diag *diag, enum uw_msg_type *ret) {
    const char *s;

    if (!json_is_object(body))
        return uw_diag_add(diag, "message: must be an object");
    s = json_string_value(json_object_get(body, "type"));
    if (!s)
        return uw_diag_add(diag, "type: is missing or no string");
    for (int i = 0; i < UW_MSG_TYPE_N; i++) {
        if (strcmp(s, uw_msg_words[i]) == 0) {
            *ret = (enum uw_msg_type)i;
            return 0;
        }
    }
    return uw_diag_add(diag, "type: is not known");
}

/* "detection/1.<number>": any minor of our major. */
static int check_schema(const json_t *body, enum uw_msg_type type, struct uw_diag *diag) {
    const char *s = json_string_value(json_object_get(body, "schema"));
    const char *ours = uw_msg_schema(type);
    size_t n = (size_t)(strrchr(ours, '.') - ours) + 1;
    int64_t minor;

    if (!s)
        return uw_diag_add(diag, "schema: is missing or no string");
    if (strncmp(s, ours, n) != 0 || uw_str_to_int64(s + n, 0, 9999, &minor) != 0)
        return uw_diag_add(diag, "schema: must be %.*s and a number", (int)n, ours);
    return 0;
}

int uw_msg_peek_type(const char *json, size_t len, struct uw_diag *diag, enum uw_msg_type *ret) {
    UW_CLEANUP(json_freep) json_t *body = NULL;
    int r;

    r = load(json, len, diag, &body);
    if (r != 0)
        return r;
    return get_type(body, diag, ret);
}

static int decode(enum uw_msg_type type, const json_t *body, struct uw_diag *diag, char *record) {
    const struct uw_table *table = &uw_msg_tables[type];
    enum uw_msg_type found;
    int r;

    r = get_type(body, diag, &found);
    if (r != 0)
        return r;
    if (found != type)
        return uw_diag_add(diag, "type: must be %s", uw_msg_words[type]);
    r = check_schema(body, type, diag);
    if (r != 0)
        return r;
    r = get_fields(table->fields, body, NULL, diag, record);
    if (r != 0)
        return r;
    return table->check ? table->check(record, body, diag) : 0;
}

int uw_record_decode(enum uw_msg_type type, const char *json, size_t len, struct uw_diag *diag,
                     void *record) {
    const struct uw_table *table = &uw_msg_tables[type];
    UW_CLEANUP(json_freep) json_t *body = NULL;
    char *copy;
    int r;

    r = load(json, len, diag, &body);
    if (r != 0)
        return r;
    /* The caller's record is touched on success only. */
    copy = malloc(table->size);
    if (!copy)
        return uw_err(-ENOMEM);
    table->init(copy);
    r = decode(type, body, diag, copy);
    if (r == 0)
        memcpy(record, copy, table->size);
    free(copy);
    return r;
}
