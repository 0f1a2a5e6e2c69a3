/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "uw/base/iq-format.h"

#include <assert.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/base/util.h"

static const struct {
    const char *name;
    size_t size;
} formats[UW_IQ_FORMAT_N] = {
    [UW_IQ_CU8] = {"cu8", 2},
    [UW_IQ_CI8] = {"ci8", 2},
    [UW_IQ_CI16] = {"ci16", 4},
    [UW_IQ_CF32] = {"cf32", 8},
};

static const struct {
    const char *name;
    enum uw_iq_format format;
} aliases[] = {
    {"cs8", UW_IQ_CI8},
    {"cs16", UW_IQ_CI16},
    {"ci16_le", UW_IQ_CI16},
    {"cf32_le", UW_IQ_CF32},
};

size_t uw_iq_format_size(enum uw_iq_format format) {
    assert((unsigned)format < UW_IQ_FORMAT_N);
    return formats[format].size;
}

const char *uw_iq_format_name(enum uw_iq_format format) {
    assert((unsigned)format < UW_IQ_FORMAT_N);
    return formats[format].name;
}

int uw_iq_format_parse(const char *name, enum uw_iq_format *ret) {
    for (int i = 0; i < UW_IQ_FORMAT_N; i++) {
        if (strcmp(name, formats[i].name) == 0) {
            *ret = (enum uw_iq_format)i;
            return 0;
        }
    }
    for (size_t i = 0; i < UW_ARRAY_SIZE(aliases); i++) {
        if (strcmp(name, aliases[i].name) == 0) {
            *ret = aliases[i].format;
            return 0;
        }
    }
    return UW_E_INPUT;
}
