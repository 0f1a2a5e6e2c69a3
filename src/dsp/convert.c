/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "uw/dsp/convert.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "uw/base/util.h"

/* The loops work on the 2n components, which a compiler turns into vector code; the input of the
 * 16-bit and float forms may be unaligned, hence memcpy. */

UW_CLONES
static size_t convert_cu8(const uint8_t *in, size_t n, float *out) {
    size_t clipped = 0;

    for (size_t i = 0; i < 2 * n; ++i)
        out[i] = ((float)in[i] - 127.5f) * (1.0f / 127.5f);
    for (size_t i = 0; i < n; ++i) {
        uint8_t re = in[2 * i];
        uint8_t im = in[2 * i + 1];

        clipped += (re == 0) | (re == 255) | (im == 0) | (im == 255);
    }
    return clipped;
}

UW_CLONES
static size_t convert_ci8(const int8_t *in, size_t n, float *out) {
    size_t clipped = 0;

    for (size_t i = 0; i < 2 * n; ++i)
        out[i] = (float)in[i] * (1.0f / 127.5f);
    for (size_t i = 0; i < n; ++i) {
        int8_t re = in[2 * i];
        int8_t im = in[2 * i + 1];

        clipped += (re == -128) | (re == 127) | (im == -128) | (im == 127);
    }
    return clipped;
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
