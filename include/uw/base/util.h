/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_BASE_UTIL_H
#define UW_BASE_UTIL_H

/* Small things that every directory needs. Threads: any. */

#include <stddef.h>

#define UW_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The variable is handed to `fn` (which takes its address) when it leaves scope. */
#define UW_CLEANUP(fn) __attribute__((cleanup(fn)))

#define UW_PI 3.14159265358979323846

/* On a kernel in plain C: compiled for several instruction sets, the best one is taken when the
 * program starts. The plain form is what the tests check and what sanitizers and other compilers
 * build. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__gnu_linux__) &&   \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define UW_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define UW_CLONES
#endif

#endif
