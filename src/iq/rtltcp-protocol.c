/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What goes over the line of rtl_tcp
 *
 * The server begins with "RTL0", the tuner's type and the number of its gains; then samples in cu8
 * without an end. The client may send commands at any time and never gets an answer. Numbers are
 * big endian. (librtlsdr 0.6: src/rtl_tcp.c; tables of gains: src/librtlsdr.c,
 * rtlsdr_get_tuner_gains().)
 */
#include <errno.h>
#include <string.h>

#include "rtltcp-impl.h"
#include "uw/base/str.h"
#include "uw/base/util.h"

static const int e4000[] = {-10, 15, 40, 65, 90, 115, 140, 165, 190, 215, 240, 290, 340, 420};
static const int fc0012[] = {-99, -40, 71, 179, 192};
static const int fc0013[] = {-99, -73, -65, -63, -60, -58, -54, 58,  61,  63,  65, 67,
                             68,  70,  71,  179, 181, 182, 184, 186, 188, 191, 197};
static const int r82xx[] = {0,   9,   14,  27,  37,  77,  87,  125, 144, 157,
                            166, 197, 207, 229, 254, 280, 297, 328, 338, 364,
                            372, 386, 402, 421, 434, 439, 445, 480, 496};

static const struct {
    const char *name;
    const int *gains; /* tenths of a dB */
    size_t n_gains;
} tuners[] = {
    {"unknown tuner", NULL, 0},
    {"E4000", e4000, UW_ARRAY_SIZE(e4000)},
    {"FC0012", fc0012, UW_ARRAY_SIZE(fc0012)},
    {"FC0013", fc0013, UW_ARRAY_SIZE(fc0013)},
    {"FC2580", NULL, 0},
    {"R820T", r82xx, UW_ARRAY_SIZE(r82xx)},
    {"R828D", r82xx, UW_ARRAY_SIZE(r82xx)},
};

static void put_be32(unsigned char *to, uint32_t v) {
    to[0] = (unsigned char)(v >> 24);
    to[1] = (unsigned char)(v >> 16);
    to[2] = (unsigned char)(v >> 8);
    to[3] = (unsigned char)v;
}

static uint32_t get_be32(const unsigned char *from) {
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

void uw_rtltcp_encode(enum uw_rtltcp_command command, int64_t value,
                      unsigned char bytes[UW_RTLTCP_COMMAND_LEN]) {
    bytes[0] = (unsigned char)command;
    put_be32(bytes + 1, (uint32_t)value);
}

int uw_rtltcp_parse_header(const unsigned char bytes[UW_RTLTCP_HEADER_LEN], uint32_t *ret_tuner,
                           uint32_t *ret_n_gains) {
    if (memcmp(bytes, "RTL0", 4) != 0)
        return -EPROTO;
    *ret_tuner = get_be32(bytes + 4);
    *ret_n_gains = get_be32(bytes + 8);
    return 0;
}

const char *uw_rtltcp_tuner_name(uint32_t tuner) {
    return tuners[tuner < UW_ARRAY_SIZE(tuners) ? tuner : 0].name;
}

int uw_rtltcp_gains(uint32_t tuner, double gains_db[UW_RTLTCP_GAINS_MAX]) {
    size_t n = tuner < UW_ARRAY_SIZE(tuners) ? tuners[tuner].n_gains : 0;

    for (size_t i = 0; i < n; i++)
        gains_db[i] = tuners[tuner].gains[i] / 10.0;
    return (int)n;
}

static int take_port(const char *text, char port[UW_RTLTCP_PORT_LEN]) {
    int64_t number;

    if (uw_str_to_int64(text, 1, 65535, &number))
        return -EINVAL;
    return uw_str_copy(port, UW_RTLTCP_PORT_LEN, text) ? 0 : -EINVAL;
}

int uw_rtltcp_parse_address(const char *text, char host[UW_RTLTCP_HOST_LEN],
                            char port[UW_RTLTCP_PORT_LEN]) {
    const char *end, *rest;

    strcpy(port, UW_RTLTCP_PORT);
    if (text[0] == '[') {
        text++;
        end = strchr(text, ']');
        if (!end || (end[1] && end[1] != ':'))
            return -EINVAL;
        rest = end[1] ? end + 2 : NULL;
    } else {
        end = strchr(text, ':');
        rest = end ? end + 1 : NULL;
        if (!end)
            end = text + strlen(text);
    }
    if (end == text || (size_t)(end - text) >= UW_RTLTCP_HOST_LEN)
        return -EINVAL;
    memcpy(host, text, (size_t)(end - text));
    host[end - text] = 0;
    return rest ? take_port(rest, port) : 0;
}
