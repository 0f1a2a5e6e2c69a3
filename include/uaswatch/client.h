/* SPDX-License-Identifier: MIT */
#ifndef UASWATCH_CLIENT_H
#define UASWATCH_CLIENT_H

/*
 * Client of the uaswatch feed, for integrators
 *
 * Connects, subscribes, receives; tells what was lost, what is a repetition, and for how long the
 * feed has been silent. What is in a message: docs/feed.md and docs/schema/.
 *
 *   struct uaswatch_client *client;
 *   struct uaswatch_message message;
 *
 *   if (uaswatch_client_new("tcp://127.0.0.1:5580", &client) < 0 ||
 *       uaswatch_client_subscribe(client, "v1.alert.") < 0)
 *       return 1;
 *   for (;;) {
 *       int r = uaswatch_client_receive(client, 1000, &message);
 *       if (r < 0)
 *           break;
 *       if (r == 1)
 *           puts(message.json);
 *       if (uaswatch_client_silent_s(client) > 3.0)
 *           puts("the feed has stopped");
 *   }
 *   uaswatch_client_free(client);
 *
 * Threads: a client belongs to one thread at a time.
 * Ownership: what a message points to is valid until the next call with the same client.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UASWATCH_API __attribute__((visibility("default")))

struct uaswatch_client;

struct uaswatch_message {
    const char *topic; /* "v1.alert.arena.roof-1.a7." */
    const char *type;  /* "alert" */
    const char *json;  /* the body, terminated */
    size_t json_len;
    const void *extra; /* third frame (spectrum), or NULL */
    size_t extra_len;
    const char *site, *node, *run;
    uint64_t seq;
    /* Messages of this type, site, node and run that were missed just before this one. Only if what
     * is subscribed to includes the whole of "v1.<type>.<site>.<node>."; else 0. */
    uint64_t lost;
    bool repeated; /* sent again for somebody who came late: state, no event */
    bool new_run;  /* the node was restarted since its previous message of this type */
};

/* Never waits: a feed that is not there yet is waited for in the background. 0 or -errno (of
 * libzmq, too). */
UASWATCH_API int uaswatch_client_new(const char *endpoint, struct uaswatch_client **ret_client);
/* NULL is fine. Returns NULL. */
UASWATCH_API struct uaswatch_client *uaswatch_client_free(struct uaswatch_client *client);
/* All topics that start with `prefix`; may be called several times. 0 or -errno. */
UASWATCH_API int uaswatch_client_subscribe(struct uaswatch_client *client, const char *prefix);
/* Waits at most timeout_ms (-1: for ever). 1: a message; 0: none; -errno (-EINTR: a signal came).
 */
UASWATCH_API int uaswatch_client_receive(struct uaswatch_client *client, int timeout_ms,
                                         struct uaswatch_message *ret_message);
/* Seconds since anything was received, or since uaswatch_client_new(). A node speaks each second,
 * and the client listens to that whatever you subscribe to: more than 3 s means that the feed has
 * stopped. Messages are taken by uaswatch_client_receive() only: call it at least each second. */
UASWATCH_API double uaswatch_client_silent_s(const struct uaswatch_client *client);
/* Sum of all `lost`. */
UASWATCH_API uint64_t uaswatch_client_lost(const struct uaswatch_client *client);
/* Messages that were none of uaswatch's, and were ignored. */
UASWATCH_API uint64_t uaswatch_client_refused(const struct uaswatch_client *client);

#ifdef __cplusplus
}
#endif

#endif
