/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "uw/base/util.h"

#define PAGE 4096 /* or more: then some are touched twice */

void uw_touch(void *memory, size_t bytes) {
    volatile unsigned char *p = memory;

    for (size_t i = 0; i < bytes; i += PAGE)
        p[i] = 0;
}
