/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "socket-impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zmq.h>

#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/bus/bus.h"

_Static_assert(UW_BUS_ETERM == ETERM, "libzmq has changed its code for a context that ends");

/* A peer on tcp that is silent for that long is given up, and connected anew. */
#define HEARTBEAT_MS         2000
#define HEARTBEAT_TIMEOUT_MS 6000
#define HANDSHAKE_MS         5000
#define RECONNECT_MS         100
#define RECONNECT_MAX_MS     2000

struct uw_bus {
    void *context;
};

int uw_bus_new(struct uw_bus **ret_bus) {
    struct uw_bus *bus = calloc(1, sizeof(*bus));

    if (!bus)
        return uw_err(-ENOMEM);
    bus->context = zmq_ctx_new();
    if (!bus->context) {
        int r = -errno;

        free(bus);
        return uw_err(r);
    }
    *ret_bus = bus;
    return 0;
}

void uw_bus_shutdown(struct uw_bus *bus) {
    (void)zmq_ctx_shutdown(bus->context);
}

struct uw_bus *uw_bus_free(struct uw_bus *bus) {
    if (!bus)
        return NULL;
    while (zmq_ctx_term(bus->context) < 0 && errno == EINTR)
        ;
    free(bus);
    return NULL;
}

struct option {
    int name, value;
};

static int set_options(void *socket, const struct option *options, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (zmq_setsockopt(socket, options[i].name, &options[i].value, sizeof(int)) < 0)
            return uw_err(-errno);
    return 0;
}

static int configure(void *socket, const struct uw_socket_params *params,
                     const struct uw_endpoint *endpoint) {
    const struct option common[] = {
        {ZMQ_SNDHWM, params->send_hwm},
        {ZMQ_RCVHWM, params->recv_hwm},
        {ZMQ_LINGER, 0}, /* for error paths; uw_socket_close() sets the real one */
        {ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS},
        {ZMQ_RECONNECT_IVL, RECONNECT_MS},
        {ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS},
    };
    const struct option tcp[] = {
        {ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS},
        {ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS},
        {ZMQ_HEARTBEAT_TTL, HEARTBEAT_TIMEOUT_MS},
        {ZMQ_IPV6, endpoint->ipv6 ? 1 : 0},
    };
    const struct option verbose[] = {{ZMQ_XPUB_VERBOSE, 1}};
    int64_t max_len = params->max_len; /* the only option of 64 bits */
    int r;

    r = set_options(socket, common, UW_ARRAY_SIZE(common));
    if (r == 0 && endpoint->tcp)
        r = set_options(socket, tcp, UW_ARRAY_SIZE(tcp));
    if (r == 0 && params->verbose)
        r = set_options(socket, verbose, UW_ARRAY_SIZE(verbose));
    if (r == 0 && zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max_len, sizeof(max_len)) < 0)
        r = uw_err(-errno);
    return r;
}

static int attach(void *socket, const struct uw_socket_params *params, const char *given,
                  const struct uw_endpoint *endpoint, struct uw_diag *diag) {
    int r = params->bind ? zmq_bind(socket, endpoint->text) : zmq_connect(socket, endpoint->text);

    if (r < 0 && errno == ETERM)
        return -UW_BUS_ETERM;
    if (r < 0)
        return uw_diag_add(diag, "%s: %s: %s", params->what, given, zmq_strerror(errno));
    /* Whatever the umask: our user and group, nobody else. */
    if (params->bind && endpoint->ipc_path && chmod(endpoint->ipc_path, 0660) < 0)
        return uw_diag_add(diag, "%s: %s: %s", params->what, given, zmq_strerror(errno));
    return 0;
}

int uw_bus_check_endpoint(const char *what, const char *endpoint, struct uw_diag *diag) {
    bool ipc = endpoint && strncmp(endpoint, "ipc:", 4) == 0;
    struct uw_endpoint parsed;

    return uw_endpoint_parse(what, endpoint, !ipc, diag, &parsed);
}

int uw_socket_open(struct uw_bus *bus, const struct uw_socket_params *params, const char *endpoint,
                   struct uw_diag *diag, void **ret_socket) {
    struct uw_endpoint parsed;
    void *socket;
    int r;

    r = uw_endpoint_parse(params->what, endpoint, params->bind, diag, &parsed);
    if (r != 0)
        return r;
    socket = zmq_socket(bus->context, params->type);
    if (!socket)
        return errno == ETERM ? -UW_BUS_ETERM : uw_err(-errno);
    r = configure(socket, params, &parsed);
    if (r == 0)
        r = attach(socket, params, endpoint, &parsed, diag);
    if (r != 0) {
        (void)zmq_close(socket);
        return r;
    }
    *ret_socket = socket;
    return 0;
}

void uw_socket_close(void *socket, int linger_ms) {
    if (!socket)
        return;
    (void)zmq_setsockopt(socket, ZMQ_LINGER, &linger_ms, sizeof(linger_ms));
    (void)zmq_close(socket);
}

static int failure(void) {
    if (errno == EAGAIN)
        return UW_E_AGAIN;
    if (errno == ETERM)
        return -UW_BUS_ETERM;
    return uw_err(-errno);
}

int uw_socket_send(void *socket, const void *data, size_t len, int flags) {
    while (zmq_send(socket, data, len, flags) < 0)
        if (errno != EINTR)
            return failure();
    return 0;
}

int uw_socket_recv(void *socket, void *buf, size_t size, int flags, size_t *ret_len) {
    int n;

    while ((n = zmq_recv(socket, buf, size, flags)) < 0)
        if (errno != EINTR)
            return failure();
    *ret_len = (size_t)n;
    return 0;
}

bool uw_socket_more(void *socket) {
    int more = 0;
    size_t size = sizeof(more);

    return zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) == 0 && more;
}

int uw_socket_endpoint(void *socket, char endpoint[UW_ENDPOINT_LEN]) {
    size_t size = UW_ENDPOINT_LEN;

    if (zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size) < 0)
        return uw_err(-errno);
    return 0;
}
