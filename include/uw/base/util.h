/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_BASE_UTIL_H
#define UW_BASE_UTIL_H

/* Small things that every directory needs. Threads: any. */

#include <stddef.h>

#define UW_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The variable is handed to `fn` (which takes its address) when it leaves scope. */
#define UW_CLEANUP(fn) __attribute__((cleanup(fn)))

#define UW_PI 3.14159265358979323846

/* n objects of `size` bytes, all zero, from the begin of a line of the cache on, which vectors that
 * are as long as such a line are quicker with. NULL: there is no memory. free() takes it back. */
void *uw_alloc_zeroed(size_t n, size_t size);

/* Writes to each page of memory that holds nothing yet: the kernel gives it now, and not on the
 * sample path when a queue runs full for the first time. */
void uw_touch(void *memory, size_t bytes);

/* On a kernel in plain C: compiled for several instruction sets, the best one is taken when the
 * program starts. The plain form is the reference that tests/dsp/test-kernels.c holds the others
 * against. Sanitizers, other compilers and -DUW_PLAIN have the plain form alone. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__gnu_linux__) &&   \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(UW_PLAIN)
#define UW_CLONES     __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define UW_HAS_CLONES 1
#else
#define UW_CLONES
#define UW_HAS_CLONES 0
#endif

/* The form of the kernels that this processor gets: "x86-64-v4", "x86-64-v3" or "plain". */
const char *uw_kernels(void);

#endif
