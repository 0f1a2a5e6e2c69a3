/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_BUS_ENDPOINT_IMPL_H
#define UW_BUS_ENDPOINT_IMPL_H

/*
 * Endpoint strings from configuration, checked before libzmq sees them
 *
 * libzmq takes much more than we want: any host name (looked up in the DNS), interface names, "*"
 * for all interfaces, paths of files that it would remove to make room for its socket.
 *
 * Threads: any.
 */

#include <stdbool.h>

struct uw_diag;

#define UW_ENDPOINT_LEN 256

struct uw_endpoint {
    char text[UW_ENDPOINT_LEN]; /* for libzmq */
    bool tcp;
    bool ipv6;
    const char *ipc_path; /* into text, or NULL */
};

/* `what` names the socket in error texts ("feed"). 0, UW_E_INPUT or UW_E_REFUSED with text in diag.
 */
int uw_endpoint_parse(const char *what, const char *text, bool bind, struct uw_diag *diag,
                      struct uw_endpoint *ret);

#endif
