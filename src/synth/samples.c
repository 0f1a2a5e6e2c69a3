/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Samples into bytes: rounded to the nearest step, clipped at full scale, as
 * include/uw/base/iq-format.h says. */

#include "synth-impl.h"

#include <string.h>

#include "uw/base/util.h"

/* Rounds by truncating a value that is known to be positive, which vectorises where lrintf() does
 * not. */
static inline int quantise(float x, float scale, float offset, float top) {
    float y = x * scale + offset;
    y = y > 0 ? y : 0;
    y = y < top ? y : top;
    return (int)y;
}

static UW_CLONES void write_cu8(const float *re, const float *im, size_t n, unsigned char *out) {
    for (size_t k = 0; k < n; k++) {
        out[2 * k] = (unsigned char)quantise(re[k], 127.5f, 128.0f, 255.0f);
        out[2 * k + 1] = (unsigned char)quantise(im[k], 127.5f, 128.0f, 255.0f);
    }
}

static UW_CLONES void write_ci8(const float *re, const float *im, size_t n, signed char *out) {
    for (size_t k = 0; k < n; k++) {
        out[2 * k] = (signed char)(quantise(re[k], 127.5f, 128.5f, 255.0f) - 128);
        out[2 * k + 1] = (signed char)(quantise(im[k], 127.5f, 128.5f, 255.0f) - 128);
    }
}

static void put16(unsigned char *out, float x) {
    unsigned v = (unsigned)(quantise(x, 32767.5f, 32768.5f, 65535.0f) - 32768);
    out[0] = (unsigned char)(v & 0xff);
    out[1] = (unsigned char)(v >> 8 & 0xff);
}

static void put32(unsigned char *out, float x) {
    uint32_t v;
    memcpy(&v, &x, sizeof(v));
    for (int i = 0; i < 4; i++)
        out[i] = (unsigned char)(v >> 8 * i & 0xff);
}

void samples_write(enum uw_iq_format format, const float *re, const float *im, size_t n,
                   void *out) {
    unsigned char *bytes = out;
    switch (format) {
    case UW_IQ_CU8:
        write_cu8(re, im, n, out);
        break;
    case UW_IQ_CI8:
        write_ci8(re, im, n, out);
        break;
    case UW_IQ_CI16:
        for (size_t k = 0; k < n; k++) {
            put16(bytes + 4 * k, re[k]);
            put16(bytes + 4 * k + 2, im[k]);
        }
        break;
    default:
        for (size_t k = 0; k < n; k++) {
            put32(bytes + 8 * k, re[k]);
            put32(bytes + 8 * k + 4, im[k]);
        }
        break;
    }
}
