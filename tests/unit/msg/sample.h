/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_TEST_SAMPLE_H
#define UW_TEST_SAMPLE_H

/* One record with every field known and one with as few as possible, per type of message. */

#include <stddef.h>

#include "uw/msg/record.h"

union any_record {
    struct uw_detection detection;
    struct uw_track track;
    struct uw_alert alert;
    struct uw_health health;
    struct uw_spectrum spectrum;
    struct uw_audit audit;
    struct uw_progress progress;
};

struct sample {
    const char *name; /* of the golden file, without .json */
    enum uw_msg_type type;
    void (*fill)(union any_record *record);
};

extern const struct sample samples[];
extern const size_t n_samples;

#endif
