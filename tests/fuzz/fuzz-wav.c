/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A WAV file in memory: opened by its content and read to the end. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "uw/base/err.h"
#include "uw/iq/source.h"

#define BLOCK 777

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Until the end or the first mistake; a file cannot hold more samples than it has bytes. */
static void read_all(struct uw_source *source, size_t size) {
    static float buf[2 * BLOCK];
    struct uw_source_block block;
    uint64_t total = 0;

    do {
        if (uw_source_read(source, buf, BLOCK, NULL, &block) != 0)
            return;
        total += block.n;
    } while (!block.end);
    if (total > size || total != uw_source_info(source)->n_samples)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct uw_diag diag;
    struct uw_source_params params;
    struct uw_source *source;
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC), r;

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    uw_source_params_init(&params);
    params.path = path;
    diag.n = 0;
    diag.n_dropped = 0;
    r = uw_source_open(&params, &diag, &source);
    if (r == 0) {
        read_all(source, size);
        uw_source_close(source);
    } else if (r != UW_E_INPUT || diag.n != 1) {
        abort();
    }
    close(fd);
    return 0;
}
