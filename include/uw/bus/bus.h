/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_BUS_BUS_H
#define UW_BUS_BUS_H

/*
 * ZeroMQ: the inner bus from producers to fusion, and the feed
 *
 * The inner bus is PUSH (one per producer) to PULL (fusion), two frames: type name, JSON body. Its
 * endpoint is inproc by default; ipc and tcp by configuration. A non-loopback tcp endpoint is
 * refused (UW_E_REFUSED) as long as no keys are configured. An ipc path must be absolute and not be
 * a file. Options are set and checked before bind or connect. Messages over 64 KiB are refused on
 * receipt.
 *
 * The feed is XPUB, two frames: topic, JSON. It never blocks: a subscriber that does not keep up
 * loses messages, which it can see from `seq`; drops are counted where libzmq tells.
 *
 * Threads: a socket is made, used and closed in one thread; struct uw_bus (the context) is shared.
 * Ownership: free every socket before the bus.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uw/msg/record.h"

struct uw_diag;
struct uw_bus;
struct uw_bus_sender;
struct uw_bus_receiver;
struct uw_feed;

/* libzmq's ETERM, for those who do not see zmq.h: the bus was shut down. */
#define UW_BUS_ETERM 156384765

int uw_bus_new(struct uw_bus **ret_bus);
/* Waits until every socket is freed and has sent what is queued, or its linger time is over. NULL
 * is fine. */
struct uw_bus *uw_bus_free(struct uw_bus *bus);
/* Wakes whoever waits in a receiver or sender: they return -UW_BUS_ETERM. From any thread. */
void uw_bus_shutdown(struct uw_bus *bus);

/* Whether it can be bound, as far as its text says: `what` names it in the diag. 0, UW_E_INPUT or
 * UW_E_REFUSED. Whether somebody has it is not looked at. */
int uw_bus_check_endpoint(const char *what, const char *endpoint, struct uw_diag *diag);

/* Producer's end. 0, -errno, or UW_E_INPUT / UW_E_REFUSED with text in diag. */
int uw_bus_sender_new(struct uw_bus *bus, const char *endpoint, struct uw_diag *diag,
                      struct uw_bus_sender **ret);
struct uw_bus_sender *uw_bus_sender_free(struct uw_bus_sender *sender);
/* Waits while the queue is full (or, over ipc and tcp, while nobody has ever been there) if `wait`,
 * else returns UW_E_AGAIN (the caller counts the drop). -UW_BUS_ETERM when the bus was shut down.
 */
int uw_bus_send_detection(struct uw_bus_sender *sender, const struct uw_detection *d, bool wait);
int uw_bus_send_progress(struct uw_bus_sender *sender, const struct uw_progress *p, bool wait);

/* Fusion's end; binds. */
int uw_bus_receiver_new(struct uw_bus *bus, const char *endpoint, struct uw_diag *diag,
                        struct uw_bus_receiver **ret);
struct uw_bus_receiver *uw_bus_receiver_free(struct uw_bus_receiver *receiver);
struct uw_bus_item {
    enum uw_msg_type type; /* UW_MSG_DETECTION or UW_MSG_PROGRESS */
    union {
        struct uw_detection detection;
        struct uw_progress progress;
    };
};
/* 0; UW_E_AGAIN after timeout_ms (-1: wait for ever); UW_E_INPUT for a message that was refused
 * (text in diag); -UW_BUS_ETERM when the bus was shut down. ret_item is written on success only. */
int uw_bus_receive(struct uw_bus_receiver *receiver, int timeout_ms, struct uw_diag *diag,
                   struct uw_bus_item *ret_item);
/* Messages refused so far. */
uint64_t uw_bus_receiver_refused(const struct uw_bus_receiver *receiver);
/* What was bound, with the port that the system chose for "tcp://127.0.0.1:*". */
const char *uw_bus_receiver_endpoint(const struct uw_bus_receiver *receiver);

/* Binds XPUB. */
int uw_feed_new(struct uw_bus *bus, const char *endpoint, struct uw_diag *diag,
                struct uw_feed **ret_feed);
/* What is queued has linger_ms to leave; uw_bus_free() waits for that. */
struct uw_feed *uw_feed_free(struct uw_feed *feed, int linger_ms);
/* What was bound, with the port that the system chose for "tcp://127.0.0.1:*". */
const char *uw_feed_endpoint(const struct uw_feed *feed);
/* Never waits. `extra` is an optional third, binary frame. */
int uw_feed_publish(struct uw_feed *feed, const char *topic, const char *json, const void *extra,
                    size_t extra_len);
/* Serves new subscriptions (call it now and then from the feed's thread): `cached(userdata, prefix,
 * len)` is called for each new subscription so that the owner can repeat the last alerts, tracks
 * and health, unchanged, by uw_feed_publish(). Per type the newest (highest seq) goes first: then
 * no subscriber takes the holes between repeated messages for losses (docs/feed.md). Other
 * subscribers see the repetition, too. */
typedef void (*uw_feed_subscribed_fn)(void *userdata, const char *prefix, size_t len);
int uw_feed_serve(struct uw_feed *feed, uw_feed_subscribed_fn cached, void *userdata);
uint64_t uw_feed_dropped(const struct uw_feed *feed);
/* The feed hears itself: whether a health message has come back by the way that subscribers take
 * since this was last asked. */
bool uw_feed_came_back(struct uw_feed *feed);

#endif
