/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_DSP_CONVERT_H
#define UW_DSP_CONVERT_H

/* Raw samples to float. Threads: any. */

#include <complex.h>
#include <stddef.h>

#include "uw/base/iq-format.h"

/* n samples, scaled as uw/base/iq-format.h says. Returns how many had I or Q at full scale. */
size_t uw_convert(enum uw_iq_format format, const void *in, size_t n, float complex *out);

#endif
