/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_MSG_WRITER_IMPL_H
#define UW_MSG_WRITER_IMPL_H

/*
 * Compact JSON text, built up in memory
 *
 * The first failure sticks: later calls do nothing, and uw_writer_steal() reports it. Numbers are
 * printed from integers, so neither locale nor C library has a say in the bytes.
 *
 * Threads: one. Ownership: uw_writer_deinit() frees what uw_writer_steal() has not handed out.
 */

#include <stddef.h>
#include <stdint.h>

struct uw_writer {
    char *buf;
    size_t len, size;
    int r; /* 0 or -ENOMEM */
};

void uw_writer_deinit(struct uw_writer *w);
/* The text, terminated; the caller frees it. 0 or -ENOMEM. */
int uw_writer_steal(struct uw_writer *w, char **ret_text);

/* Back to an earlier length. */
void uw_writer_cut(struct uw_writer *w, size_t len);
/* As it is. */
void uw_writer_raw(struct uw_writer *w, const char *text);
/* In quotation marks, escaped; each byte that is no part of valid UTF-8 becomes '?'. */
void uw_writer_string(struct uw_writer *w, const char *s);
void uw_writer_uint(struct uw_writer *w, uint64_t value);
/* Rounded to `decimals` (0..7); |value| * 10^decimals must be below 2^62. Never "-0.0". */
void uw_writer_real(struct uw_writer *w, double value, int decimals);

/* Length of the valid UTF-8 sequence at s (terminated), 0 if there is none. */
size_t uw_utf8_sequence(const unsigned char *s);

#endif
