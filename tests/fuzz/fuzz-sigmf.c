/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The meta file of a SigMF recording: refused with a message, or with values that make sense. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "uw/base/err.h"
#include "uw/iq/sigmf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct uw_diag diag;
    struct uw_sigmf_meta meta;
    int r;

    diag.n = 0;
    diag.n_dropped = 0;
    r = uw_sigmf_parse("fuzz", (const char *)data, size, &diag, &meta);
    if (r != 0 && (r != UW_E_INPUT || diag.n != 1))
        abort();
    if (r == 0 && (isinf(meta.rate_hz) || isinf(meta.freq_hz) ||
                   (unsigned)meta.format >= UW_IQ_FORMAT_N || meta.n_samples_min == 0))
        abort();
    return 0;
}
