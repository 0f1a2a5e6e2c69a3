/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "uw/dsp/convert.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "uw/base/util.h"

/* Clipped samples are counted only where there are any: to look for one is a pass over bytes, to
 * count them is one over numbers eight times as wide.
 *
 * The loops work on the 2n components, which a compiler turns into vector code; the input of the
 * 16-bit and float forms may be unaligned, hence memcpy. */

/* Whether any of the 8-bit numbers is the least or the greatest, which are 0 and 255 once `sign` is
 * turned. */
static inline bool any_clipped(const uint8_t *in, size_t n, uint8_t sign) {
    uint8_t any = 0;

    for (size_t i = 0; i < n; ++i)
        any |= (uint8_t)((in[i] ^ sign) + 1) < 2;
    return any != 0;
}

static size_t count_clipped(const uint8_t *in, size_t n, uint8_t sign) {
    size_t clipped = 0;

    for (size_t i = 0; i < n; ++i)
        clipped +=
            ((uint8_t)((in[2 * i] ^ sign) + 1) < 2) | ((uint8_t)((in[2 * i + 1] ^ sign) + 1) < 2);
    return clipped;
}

UW_CLONES
static size_t convert_cu8(const uint8_t *restrict in, size_t n, float *restrict out) {
    for (size_t i = 0; i < 2 * n; ++i)
        out[i] = ((float)in[i] - 127.5f) * (1.0f / 127.5f);
    return any_clipped(in, 2 * n, 0) ? count_clipped(in, n, 0) : 0;
}

UW_CLONES
static size_t convert_ci8(const int8_t *restrict in, size_t n, float *restrict out) {
    for (size_t i = 0; i < 2 * n; ++i)
        out[i] = (float)in[i] * (1.0f / 127.5f);
    return any_clipped((const uint8_t *)in, 2 * n, 0x80)
               ? count_clipped((const uint8_t *)in, n, 0x80)
               : 0;
}

UW_CLONES
static size_t convert_ci16(const uint8_t *in, size_t n, float *out) {
    size_t clipped = 0;

    for (size_t i = 0; i < n; ++i) {
        int16_t v[2];

        memcpy(v, in + 4 * i, sizeof(v));
        out[2 * i] = (float)v[0] * (1.0f / 32767.5f);
        out[2 * i + 1] = (float)v[1] * (1.0f / 32767.5f);
        clipped +=
            (v[0] == INT16_MIN) | (v[0] == INT16_MAX) | (v[1] == INT16_MIN) | (v[1] == INT16_MAX);
    }
    return clipped;
}

UW_CLONES
static size_t convert_cf32(const uint8_t *in, size_t n, float *out) {
    size_t clipped = 0;

    memcpy(out, in, 8 * n);
    for (size_t i = 0; i < n; ++i)
        clipped += (fabsf(out[2 * i]) >= 1.0f) | (fabsf(out[2 * i + 1]) >= 1.0f);
    return clipped;
}

size_t uw_convert(enum uw_iq_format format, const void *in, size_t n, float complex *out) {
    switch (format) {
    case UW_IQ_CU8:
        return convert_cu8(in, n, (float *)out);
    case UW_IQ_CI8:
        return convert_ci8(in, n, (float *)out);
    case UW_IQ_CI16:
        return convert_ci16(in, n, (float *)out);
    case UW_IQ_CF32:
    case UW_IQ_FORMAT_N:
        break;
    }
    return convert_cf32(in, n, (float *)out);
}
