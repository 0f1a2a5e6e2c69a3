/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_BUS_SOCKET_IMPL_H
#define UW_BUS_SOCKET_IMPL_H

/*
 * What all our ZeroMQ sockets share
 *
 * Data goes in and out by copy (zmq_send, zmq_recv), never as a zmq_msg_t whose bytes two threads
 * see: bodies are a kilobyte, and ThreadSanitizer cannot look into libzmq.
 *
 * Threads: a socket belongs to the thread that made it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "endpoint-impl.h"

struct uw_bus;
struct uw_diag;

struct uw_socket_params {
    const char *what; /* for error texts */
    int type;         /* ZMQ_PUSH ... */
    bool bind;
    int send_hwm, recv_hwm; /* messages */
    int max_len;            /* of one received frame: whoever sends more is disconnected */
    bool verbose;           /* XPUB: every subscription is told, also a repeated one */
};

/* Made, options set and checked, then bound or connected. 0, -errno, UW_E_INPUT, UW_E_REFUSED. */
int uw_socket_open(struct uw_bus *bus, const struct uw_socket_params *params, const char *endpoint,
                   struct uw_diag *diag, void **ret_socket);
void uw_socket_close(void *socket, int linger_ms);
/* One frame; flags as zmq_send(). 0, UW_E_AGAIN, -UW_BUS_ETERM, -errno. */
int uw_socket_send(void *socket, const void *data, size_t len, int flags);
/* One frame into buf; *ret_len may be more than size: then the frame was cut. Returns as
 * uw_socket_send(). */
int uw_socket_recv(void *socket, void *buf, size_t size, int flags, size_t *ret_len);
/* Is there another frame of this message? */
bool uw_socket_more(void *socket);
/* With the port that the system chose for "tcp://127.0.0.1:*". */
int uw_socket_endpoint(void *socket, char endpoint[UW_ENDPOINT_LEN]);

#endif
