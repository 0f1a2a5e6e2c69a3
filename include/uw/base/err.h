/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_BASE_ERR_H
#define UW_BASE_ERR_H

/*
 * Errors
 *
 * A function that can fail returns 0, a negative errno (fatal: forward it unchanged) or a positive
 * code. UW_E_INPUT is the positive code for everything that comes from outside (a file, a
 * configuration, a message, a device): the text for the person who can mend it is in the struct
 * uw_diag that the caller passed. Any further positive code belongs to one module and is documented
 * where it is returned.
 *
 * uw_err() reports the origin of a fatal error once, on standard error, and returns it.
 *
 * Threads: uw_err() any; a struct uw_diag belongs to one thread at a time.
 */

#include <stdio.h>

enum {
    UW_E_INPUT = 1,   /* outside input is unusable; see the diag */
    UW_E_REFUSED = 2, /* understood, but not permitted */
    UW_E_AGAIN = 3,   /* not now */
};

#define UW_DIAG_MAX 64
#define UW_DIAG_LEN 512

/* Messages for people, in order; what does not fit any more is counted. Empty is all zero. */
struct uw_diag {
    int n;
    int n_dropped;
    char text[UW_DIAG_MAX][UW_DIAG_LEN];
};

int uw_err_report(int r, const char *func, const char *file, int line);
#define uw_err(r) uw_err_report((r), __func__, __FILE__, __LINE__)

/* Adds one message and returns UW_E_INPUT, so that "return uw_diag_add(...)" reads well.
 * diag may be NULL: then only the code is returned. */
int uw_diag_add(struct uw_diag *diag, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Prints "error: text" lines. */
void uw_diag_print(const struct uw_diag *diag, FILE *f);

#endif
