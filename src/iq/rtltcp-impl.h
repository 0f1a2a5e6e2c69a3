/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_IQ_RTLTCP_IMPL_H
#define UW_IQ_RTLTCP_IMPL_H

/*
 * The parts of the rtl_tcp client
 *
 *   source-rtltcp.c    the driver: connect, set, receive
 *   rtltcp-protocol.c  what goes over the line
 *   rtltcp-resolve.c   names to addresses, without waiting for a resolver that hangs
 *
 * Threads: one at a time for each object.
 */

#include <netdb.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* --- rtltcp-protocol.c --- */

#define UW_RTLTCP_HEADER_LEN  12
#define UW_RTLTCP_COMMAND_LEN 5
#define UW_RTLTCP_GAINS_MAX   32
#define UW_RTLTCP_HOST_LEN    256
#define UW_RTLTCP_PORT_LEN    8
#define UW_RTLTCP_PORT        "1234"

/* Commands, each with one number (rtl_tcp.c of librtlsdr 0.6). */
enum uw_rtltcp_command {
    UW_RTLTCP_FREQ = 0x01,      /* Hz */
    UW_RTLTCP_RATE = 0x02,      /* Hz */
    UW_RTLTCP_GAIN_MODE = 0x03, /* 1: manual */
    UW_RTLTCP_GAIN = 0x04,      /* tenths of a dB */
    UW_RTLTCP_PPM = 0x05,       /* whole ppm */
    UW_RTLTCP_AGC = 0x08,       /* of the RTL2832 */
    UW_RTLTCP_DIRECT = 0x09,    /* direct sampling */
    UW_RTLTCP_OFFSET = 0x0a,    /* offset tuning */
    UW_RTLTCP_BIAS_TEE = 0x0e,
};

void uw_rtltcp_encode(enum uw_rtltcp_command command, int64_t value,
                      unsigned char bytes[UW_RTLTCP_COMMAND_LEN]);
/* 0, or -EPROTO if it is no header of rtl_tcp. */
int uw_rtltcp_parse_header(const unsigned char bytes[UW_RTLTCP_HEADER_LEN], uint32_t *ret_tuner,
                           uint32_t *ret_n_gains);
const char *uw_rtltcp_tuner_name(uint32_t tuner);
/* Ascending, in dB; returns how many: 0 for a tuner that is not known. */
int uw_rtltcp_gains(uint32_t tuner, double gains_db[UW_RTLTCP_GAINS_MAX]);
/* "HOST:PORT", "[ADDRESS]:PORT" or "HOST". 0 or -EINVAL. */
int uw_rtltcp_parse_address(const char *text, char host[UW_RTLTCP_HOST_LEN],
                            char port[UW_RTLTCP_PORT_LEN]);

/* --- rtltcp-resolve.c --- */

#define UW_RESOLVED_MAX 8

struct uw_resolved {
    int n;
    struct {
        int family;
        socklen_t len;
        struct sockaddr_storage address;
    } at[UW_RESOLVED_MAX];
};

struct uw_resolver;

int uw_resolver_new(const char *host, const char *port, struct uw_resolver **ret_resolver);
struct uw_resolver *uw_resolver_free(struct uw_resolver *resolver);
/* Waits up to timeout_ms, or until wake_fd can be read. 0; -ETIMEDOUT; -ECANCELED; an EAI_ code of
 * getaddrinfo() as a positive number (its sign is turned round). */
int uw_resolver_run(struct uw_resolver *resolver, int wake_fd, int timeout_ms,
                    struct uw_resolved *ret);

#endif
