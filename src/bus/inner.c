/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inner bus
 *
 * PUSH waits when the queue is full, and the order of one sender is kept: that is all that fusion
 * needs, because it sorts by event time itself. The queue is short on purpose: a file source is
 * slowed down to what fusion takes, a live one drops before it ages. Over inproc libzmq adds up
 * both ends' limits.
 *
 * Frames: type name, JSON. Nothing that arrives is believed: number of frames, lengths, type and
 * every field are checked; what fails is refused, counted and described.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "socket-impl.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/util.h"
#include "uw/bus/bus.h"
#include "uw/msg/json.h"

#define INNER_HWM       256
#define INNER_LINGER_MS 1000
/* Over ipc and tcp the receiver's end is long. libzmq (4.3.4) stops reading at the limit; when the
 * peer then closes, it takes the hang-up for an error and loses what the kernel still holds: with a
 * short queue the end of every recording. Memory stays bounded, at about a kilobyte a message. */
#define INNER_REMOTE_HWM 16384
#define BODY_MAX         65536
/* Twice the limit of a body: what is a little too long is refused with a text and counted, what is
 * far too long costs the peer its connection. */
#define FRAME_MAX (2 * BODY_MAX)

struct uw_bus_sender {
    void *socket;
};

struct uw_bus_receiver {
    void *socket;
    uint64_t refused;
    char endpoint[UW_ENDPOINT_LEN];
    struct uw_diag reason; /* of the latest refusal, before it gets its prefix */
    char type[16];
    char body[BODY_MAX];
};

int uw_bus_sender_new(struct uw_bus *bus, const char *endpoint, struct uw_diag *diag,
                      struct uw_bus_sender **ret) {
    const struct uw_socket_params params = {
        .what = "inner bus",
        .type = ZMQ_PUSH,
        .send_hwm = INNER_HWM,
        .recv_hwm = INNER_HWM,
        .max_len = FRAME_MAX,
    };
    struct uw_bus_sender *sender = calloc(1, sizeof(*sender));
    int r;

    if (!sender)
        return uw_err(-ENOMEM);
    r = uw_socket_open(bus, &params, endpoint, diag, &sender->socket);
    if (r != 0) {
        free(sender);
        return r;
    }
    *ret = sender;
    return 0;
}

struct uw_bus_sender *uw_bus_sender_free(struct uw_bus_sender *sender) {
    if (!sender)
        return NULL;
    uw_socket_close(sender->socket, INNER_LINGER_MS);
    free(sender);
    return NULL;
}

/* libzmq sends a message whole or not at all: once the first frame is taken, the second does not
 * wait. */
static int send_body(struct uw_bus_sender *sender, enum uw_msg_type type, char *json, bool wait) {
    const char *name = uw_msg_type_name(type);
    int r, flags = wait ? 0 : ZMQ_DONTWAIT;

    r = uw_socket_send(sender->socket, name, strlen(name), flags | ZMQ_SNDMORE);
    if (r == 0)
        r = uw_socket_send(sender->socket, json, strlen(json), flags);
    free(json);
    return r;
}

int uw_bus_send_detection(struct uw_bus_sender *sender, const struct uw_detection *d, bool wait) {
    char *json;
    int r;

    r = uw_detection_encode(d, &json);
    if (r != 0)
        return r;
    return send_body(sender, UW_MSG_DETECTION, json, wait);
}

int uw_bus_send_progress(struct uw_bus_sender *sender, const struct uw_progress *p, bool wait) {
    char *json;
    int r;

    r = uw_progress_encode(p, &json);
    if (r != 0)
        return r;
    return send_body(sender, UW_MSG_PROGRESS, json, wait);
}

int uw_bus_receiver_new(struct uw_bus *bus, const char *endpoint, struct uw_diag *diag,
                        struct uw_bus_receiver **ret) {
    bool inproc = endpoint && strncmp(endpoint, "inproc:", 7) == 0;
    const struct uw_socket_params params = {
        .what = "inner bus",
        .type = ZMQ_PULL,
        .bind = true,
        .send_hwm = INNER_HWM,
        .recv_hwm = inproc ? INNER_HWM : INNER_REMOTE_HWM,
        .max_len = FRAME_MAX,
    };
    struct uw_bus_receiver *receiver = calloc(1, sizeof(*receiver));
    int r;

    if (!receiver)
        return uw_err(-ENOMEM);
    r = uw_socket_open(bus, &params, endpoint, diag, &receiver->socket);
    if (r == 0)
        r = uw_socket_endpoint(receiver->socket, receiver->endpoint);
    if (r != 0) {
        (void)uw_bus_receiver_free(receiver);
        return r;
    }
    *ret = receiver;
    return 0;
}

struct uw_bus_receiver *uw_bus_receiver_free(struct uw_bus_receiver *receiver) {
    if (!receiver)
        return NULL;
    uw_socket_close(receiver->socket, 0);
    free(receiver);
    return NULL;
}

const char *uw_bus_receiver_endpoint(const struct uw_bus_receiver *receiver) {
    return receiver->endpoint;
}

uint64_t uw_bus_receiver_refused(const struct uw_bus_receiver *receiver) {
    return receiver->refused;
}

static int refuse(struct uw_bus_receiver *receiver, struct uw_diag *diag, const char *why) {
    receiver->refused++;
    return uw_diag_add(diag, "inner bus: message refused: %s", why);
}

/* All frames of one message; those after the second are counted and thrown away. */
static int recv_frames(struct uw_bus_receiver *receiver, size_t *ret_type_len, size_t *ret_body_len,
                       int *ret_n) {
    size_t ignored;
    char rest[16];
    int r, n = 1;

    *ret_body_len = 0;
    r = uw_socket_recv(receiver->socket, receiver->type, sizeof(receiver->type) - 1, 0,
                       ret_type_len);
    while (r == 0 && uw_socket_more(receiver->socket)) {
        n++;
        if (n == 2)
            r = uw_socket_recv(receiver->socket, receiver->body, sizeof(receiver->body), 0,
                               ret_body_len);
        else
            r = uw_socket_recv(receiver->socket, rest, sizeof(rest), 0, &ignored);
    }
    *ret_n = n;
    return r;
}

static int decode(struct uw_bus_receiver *receiver, size_t type_len, size_t body_len,
                  struct uw_diag *diag, struct uw_bus_item *item) {
    enum uw_msg_type type;
    int r;

    receiver->type[type_len] = '\0';
    receiver->reason.n = 0;
    if (strcmp(receiver->type, uw_msg_type_name(UW_MSG_DETECTION)) == 0) {
        type = UW_MSG_DETECTION;
        r = uw_detection_decode(receiver->body, body_len, &receiver->reason, &item->detection);
    } else if (strcmp(receiver->type, uw_msg_type_name(UW_MSG_PROGRESS)) == 0) {
        type = UW_MSG_PROGRESS;
        r = uw_progress_decode(receiver->body, body_len, &receiver->reason, &item->progress);
    } else {
        return refuse(receiver, diag, "the first frame is neither detection nor progress");
    }
    if (r == UW_E_INPUT)
        return refuse(receiver, diag, receiver->reason.text[0]);
    if (r == 0)
        item->type = type;
    return r;
}

int uw_bus_receive(struct uw_bus_receiver *receiver, int timeout_ms, struct uw_diag *diag,
                   struct uw_bus_item *ret_item) {
    size_t type_len, body_len;
    int r, n;

    if (zmq_setsockopt(receiver->socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof(timeout_ms)) < 0)
        return errno == ETERM ? -UW_BUS_ETERM : uw_err(-errno);
    r = recv_frames(receiver, &type_len, &body_len, &n);
    if (r != 0)
        return r;
    if (n != 2)
        return refuse(receiver, diag, "it has not two frames");
    if (type_len >= sizeof(receiver->type))
        return refuse(receiver, diag, "the first frame is too long");
    if (body_len > sizeof(receiver->body))
        return refuse(receiver, diag, "it is longer than 65536 bytes");
    return decode(receiver, type_len, body_len, diag, ret_item);
}
