/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_BASE_IQ_FORMAT_H
#define UW_BASE_IQ_FORMAT_H

/*
 * Sample formats, interleaved I then Q, little endian. Full scale is +-1: cu8 is (x - 127.5) /
 * 127.5, ci8 x / 127.5, ci16 x / 32767.5, cf32 as it stands.
 *
 * Threads: any.
 */

#include <stddef.h>

enum uw_iq_format { UW_IQ_CU8, UW_IQ_CI8, UW_IQ_CI16, UW_IQ_CF32, UW_IQ_FORMAT_N };

/* Bytes of one complex sample. */
size_t uw_iq_format_size(enum uw_iq_format format);
/* "cu8" ... */
const char *uw_iq_format_name(enum uw_iq_format format);
/* Also takes cs8, cs16, and the SigMF spellings ci16_le, cf32_le. 0 or UW_E_INPUT. */
int uw_iq_format_parse(const char *name, enum uw_iq_format *ret);

#endif
