/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/util.h"

#define LINE 64 /* bytes of the cache */

void *uw_alloc_zeroed(size_t n, size_t size) {
    size_t bytes;
    void *memory;

    if (n == 0 || size == 0 || n > (SIZE_MAX - LINE) / size)
        return NULL;
    bytes = (n * size + LINE - 1) / LINE * LINE;
    memory = aligned_alloc(LINE, bytes);
    if (memory)
        memset(memory, 0, bytes);
    return memory;
}
