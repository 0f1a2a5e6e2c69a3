/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_MSG_FIELD_IMPL_H
#define UW_MSG_FIELD_IMPL_H

/*
 * One table per record says everything about its JSON: keys, their order, kinds, units' decimals
 * and ranges. The encoder and the decoder are two loops over the same table, so that they cannot
 * disagree.
 *
 * A value outside [min, max] is unknown when it is encoded (left out) and an error when it is
 * decoded.
 *
 * Threads: constant tables, any.
 */

#include <stdbool.h>
#include <stddef.h>

#include "uw/msg/record.h"

struct json_t;
struct uw_diag;

enum uw_field_kind {
    UW_FIELD_NAME,   /* char[size]: a name as of uw_str_is_name(), it may go into a topic */
    UW_FIELD_ID,     /* char[size]: printable ASCII without space, quotation mark, backslash */
    UW_FIELD_TEXT,   /* char[size]: any */
    UW_FIELD_WORD,   /* enum: one of words[]; a NULL word is "unknown" */
    UW_FIELD_BOOL,   /* bool */
    UW_FIELD_STATE,  /* bool, as words[0] or words[1] */
    UW_FIELD_INT,    /* int64_t */
    UW_FIELD_UINT,   /* uint64_t */
    UW_FIELD_REAL,   /* double */
    UW_FIELD_TIME,   /* int64_t ns */
    UW_FIELD_OBJECT, /* members[] relative to offset (0: they lie flat in the record) */
    UW_FIELD_LIST,   /* int count at count_offset, structs of `size` bytes with members[] */
    UW_FIELD_NAMES,  /* int count at count_offset, names of `size` bytes */
};

struct uw_field {
    const char *key;
    enum uw_field_kind kind;
    bool required;
    size_t offset;
    size_t size;
    int decimals;
    double min, max;
    const char *const *words;
    size_t n_words;
    const struct uw_field *members; /* ended by a NULL key */
    size_t count_offset;
    int max_count;
    /* True: not in this record (which is the struct that `offset` counts from). */
    bool (*left_out)(const void *record);
};

struct uw_table {
    const struct uw_field *fields; /* ended by a NULL key */
    size_t size;                   /* of the record */
    void (*init)(void *record);    /* everything unknown */
    /* What no single field can say. NULL: nothing. 0 or UW_E_INPUT. */
    int (*check)(const void *record, const struct json_t *body, struct uw_diag *diag);
};

/* Indexed by enum uw_msg_type. */
extern const struct uw_table uw_msg_tables[UW_MSG_TYPE_N];
/* "detection" ... , indexed by enum uw_msg_type. */
extern const char *const uw_msg_words[UW_MSG_TYPE_N];

#define UW_MSG_MAX_LEN   65536
#define UW_MSG_MAX_DEPTH 8

int uw_record_encode(enum uw_msg_type type, const void *record, char **ret_json);
int uw_record_decode(enum uw_msg_type type, const char *json, size_t len, struct uw_diag *diag,
                     void *record);

#endif
