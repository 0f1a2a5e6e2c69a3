/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "uw/base/util.h"

#if UW_HAS_CLONES

const char *uw_kernels(void) {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v4"))
        return "x86-64-v4";
    return __builtin_cpu_supports("x86-64-v3") ? "x86-64-v3" : "plain";
}

#else

const char *uw_kernels(void) {
    return "plain";
}

#endif
