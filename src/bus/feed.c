/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The feed
 *
 * XPUB without "no drop": when one subscriber's queue is full, libzmq leaves out that subscriber
 * for that message and goes on with the others. It does not say so; the subscriber sees the gap in
 * `seq`. What can be counted here is only a message that libzmq did not take at all.
 *
 * What is published has still to be sent by a thread of libzmq's. So the feed is a subscriber of
 * its own, of health messages: if they do not come back, nobody gets anything.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "socket-impl.h"
#include "uw/base/err.h"
#include "uw/bus/bus.h"

/* Messages per subscriber: half a minute of a busy site at about 1 KiB each. libzmq learns what a
 * subscriber has taken in steps of half of it, so between 1000 and 2000 may wait. */
#define FEED_HWM 2000
/* A subscription is a topic prefix and one byte. */
#define SUBSCRIPTION_MAX 256
/* What a subscriber of our own asks for: one message a second, and on change. */
#define ECHO_TOPIC "v1.health."
#define ECHO_MAX   (64 << 10)
/* Served per call, so that somebody who subscribes in a loop does not hold up the feed. */
#define SERVE_MAX 64

struct uw_feed {
    void *socket, *echo;
    bool echo_subscribed;
    uint64_t dropped;
    char endpoint[UW_ENDPOINT_LEN];
};

static int subscribe_to_itself(struct uw_bus *bus, struct uw_diag *diag, struct uw_feed *feed) {
    const struct uw_socket_params params = {
        .what = "feed",
        .type = ZMQ_SUB,
        .send_hwm = FEED_HWM,
        .recv_hwm = FEED_HWM,
        .max_len = ECHO_MAX,
    };
    int r = uw_socket_open(bus, &params, feed->endpoint, diag, &feed->echo);

    if (r == 0 && zmq_setsockopt(feed->echo, ZMQ_SUBSCRIBE, ECHO_TOPIC, sizeof(ECHO_TOPIC) - 1) < 0)
        r = uw_err(-errno);
    return r;
}

int uw_feed_new(struct uw_bus *bus, const char *endpoint, struct uw_diag *diag,
                struct uw_feed **ret_feed) {
    const struct uw_socket_params params = {
        .what = "feed",
        .type = ZMQ_XPUB,
        .bind = true,
        .send_hwm = FEED_HWM,
        .recv_hwm = FEED_HWM,
        .max_len = SUBSCRIPTION_MAX,
        .verbose = true,
    };
    struct uw_feed *feed = calloc(1, sizeof(*feed));
    int r;

    if (!feed)
        return uw_err(-ENOMEM);
    r = uw_socket_open(bus, &params, endpoint, diag, &feed->socket);
    if (r == 0)
        r = uw_socket_endpoint(feed->socket, feed->endpoint);
    if (r == 0)
        r = subscribe_to_itself(bus, diag, feed);
    if (r != 0) {
        (void)uw_feed_free(feed, 0);
        return r;
    }
    *ret_feed = feed;
    return 0;
}

struct uw_feed *uw_feed_free(struct uw_feed *feed, int linger_ms) {
    if (!feed)
        return NULL;
    uw_socket_close(feed->echo, 0);
    uw_socket_close(feed->socket, linger_ms);
    free(feed);
    return NULL;
}

const char *uw_feed_endpoint(const struct uw_feed *feed) {
    return feed->endpoint;
}

int uw_feed_publish(struct uw_feed *feed, const char *topic, const char *json, const void *extra,
                    size_t extra_len) {
    int r;

    r = uw_socket_send(feed->socket, topic, strlen(topic), ZMQ_DONTWAIT | ZMQ_SNDMORE);
    if (r == 0)
        r = uw_socket_send(feed->socket, json, strlen(json),
                           ZMQ_DONTWAIT | (extra ? ZMQ_SNDMORE : 0));
    if (r == 0 && extra)
        r = uw_socket_send(feed->socket, extra, extra_len, ZMQ_DONTWAIT);
    if (r == UW_E_AGAIN)
        feed->dropped++;
    return r == UW_E_AGAIN ? 0 : r;
}

/* The first such one: if another was quicker, what is repeated for ours reaches him, too. */
static bool is_own(struct uw_feed *feed, const char *prefix, size_t len) {
    if (feed->echo_subscribed || len != sizeof(ECHO_TOPIC) - 1 ||
        memcmp(prefix, ECHO_TOPIC, len) != 0)
        return false;
    feed->echo_subscribed = true;
    return true;
}

int uw_feed_serve(struct uw_feed *feed, uw_feed_subscribed_fn cached, void *userdata) {
    char frame[SUBSCRIPTION_MAX];
    size_t len;
    int r;

    for (int i = 0; i < SERVE_MAX; i++) {
        r = uw_socket_recv(feed->socket, frame, sizeof(frame), ZMQ_DONTWAIT, &len);
        if (r == UW_E_AGAIN)
            return 0;
        if (r != 0)
            return r;
        /* 1: subscribe, 0: unsubscribe, anything else: an upstream message, which the feed has no
         * use for */
        if (len >= 1 && len <= sizeof(frame) && frame[0] == 1 && cached &&
            !is_own(feed, frame + 1, len - 1))
            cached(userdata, frame + 1, len - 1);
    }
    return 0;
}

uint64_t uw_feed_dropped(const struct uw_feed *feed) {
    return feed->dropped;
}

bool uw_feed_came_back(struct uw_feed *feed) {
    bool came = false;
    size_t len;
    char byte;

    /* frames are cut to nothing: that they come is all */
    for (int i = 0;
         i < SERVE_MAX && uw_socket_recv(feed->echo, &byte, sizeof(byte), ZMQ_DONTWAIT, &len) == 0;
         i++)
        came = true;
    return came;
}
