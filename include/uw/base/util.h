/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_BASE_UTIL_H
#define UW_BASE_UTIL_H

/* Small things that every directory needs. Threads: any. */

#include <stddef.h>

#define UW_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The variable is handed to `fn` (which takes its address) when it leaves scope. */
#define UW_CLEANUP(fn) __attribute__((cleanup(fn)))

#define UW_PI 3.14159265358979323846

#endif
