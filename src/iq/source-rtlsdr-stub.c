/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Dongles, in a build without librtlsdr: says so. */
#include <errno.h>

#include "source-impl.h"
#include "uw/base/err.h"
#include "uw/iq/devices.h"

static int source_check(const struct uw_source_params *params, struct uw_diag *diag) {
    return uw_diag_add(diag,
                       "dongle \"%.64s\": this uaswatch was built without librtlsdr; install "
                       "librtlsdr-dev and build it again, or use a server (type \"rtl_tcp\")",
                       params->device ? params->device : "");
}

static int source_open(struct uw_source *source, const struct uw_source_params *params,
                       struct uw_diag *diag) {
    (void)source, (void)params, (void)diag;
    return uw_err(-EOPNOTSUPP); /* has been checked */
}

static int source_read(struct uw_source *source, void *buf, size_t n, struct uw_diag *diag,
                       struct uw_source_block *block) {
    (void)source, (void)buf, (void)n, (void)diag, (void)block;
    return uw_err(-EOPNOTSUPP);
}

static void source_close(struct uw_source *source) {
    (void)source;
}

const struct uw_source_ops uw_source_rtlsdr = {
    .name = "rtlsdr",
    .check = source_check,
    .open = source_open,
    .read = source_read,
    .close = source_close,
};

int uw_devices_rtlsdr(struct uw_device *devices, int max, int *ret_n) {
    (void)devices, (void)max;
    *ret_n = 0;
    return -EOPNOTSUPP;
}
