/* SPDX-License-Identifier: MIT */
/*
 * The client uses libzmq and Jansson and nothing else of uaswatch, so that its licence holds for
 * whoever links it.
 */
#include "uaswatch/client.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#include "stream-impl.h"

#define TOPIC_MAX         256
#define BODY_MAX          65536
#define EXTRA_MAX         (1 << 20)
#define RECEIVE_HWM       4000
#define HEARTBEAT_MS      2000
#define HEARTBEAT_TIMEOUT 6000
#define RECONNECT_MS      100
#define RECONNECT_MAX_MS  1000
/* The node's sign of life; subscribed to in any case. */
#define LIFE "v1.health."

struct uaswatch_client {
    void *context, *socket;
    char **prefixes; /* the user's */
    size_t n_prefixes;
    int64_t heard_ns;
    uint64_t lost, refused;
    size_t topic_len, json_len, extra_len;
    bool has_extra;
    char type[STREAM_NAME_LEN], site[STREAM_NAME_LEN], node[STREAM_NAME_LEN], run[STREAM_NAME_LEN];
    struct streams streams;
    char topic[TOPIC_MAX];
    char json[BODY_MAX + 1];
    unsigned char extra[EXTRA_MAX];
};

static int64_t now_ns(void) {
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int configure(void *socket) {
    static const struct {
        int name, value;
    } options[] = {
        {ZMQ_RCVHWM, RECEIVE_HWM},
        {ZMQ_LINGER, 0},
        {ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS},
        {ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT},
        {ZMQ_RECONNECT_IVL, RECONNECT_MS},
        {ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS},
        {ZMQ_IPV6, 1},
    };
    int64_t max_len = EXTRA_MAX;

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        if (zmq_setsockopt(socket, options[i].name, &options[i].value, sizeof(int)) < 0)
            return -errno;
    if (zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max_len, sizeof(max_len)) < 0 ||
        zmq_setsockopt(socket, ZMQ_SUBSCRIBE, LIFE, strlen(LIFE)) < 0)
        return -errno;
    return 0;
}

static int open_socket(struct uaswatch_client *client, const char *endpoint) {
    int r;

    client->context = zmq_ctx_new();
    if (!client->context)
        return -errno;
    client->socket = zmq_socket(client->context, ZMQ_SUB);
    if (!client->socket)
        return -errno;
    r = configure(client->socket);
    if (r < 0)
        return r;
    return zmq_connect(client->socket, endpoint) < 0 ? -errno : 0;
}

int uaswatch_client_new(const char *endpoint, struct uaswatch_client **ret_client) {
    struct uaswatch_client *client = calloc(1, sizeof(*client));
    int r;

    if (!client)
        return -ENOMEM;
    client->heard_ns = now_ns();
    r = open_socket(client, endpoint);
    if (r < 0) {
        (void)uaswatch_client_free(client);
        return r;
    }
    *ret_client = client;
    return 0;
}

struct uaswatch_client *uaswatch_client_free(struct uaswatch_client *client) {
    if (!client)
        return NULL;
    if (client->socket)
        (void)zmq_close(client->socket);
    while (client->context && zmq_ctx_term(client->context) < 0 && errno == EINTR)
        ;
    for (size_t i = 0; i < client->n_prefixes; i++)
        free(client->prefixes[i]);
    free(client->prefixes);
    free(client);
    return NULL;
}

int uaswatch_client_subscribe(struct uaswatch_client *client, const char *prefix) {
    char **prefixes = realloc(client->prefixes, (client->n_prefixes + 1) * sizeof(*prefixes));

    if (!prefixes)
        return -ENOMEM;
    client->prefixes = prefixes;
    prefixes[client->n_prefixes] = strdup(prefix);
    if (!prefixes[client->n_prefixes])
        return -ENOMEM;
    client->n_prefixes++;
    if (zmq_setsockopt(client->socket, ZMQ_SUBSCRIBE, prefix, strlen(prefix)) < 0)
        return -errno;
    return 0;
}

/* Did the user ask for something that begins like this? */
static bool subscribed(const struct uaswatch_client *client, const char *topic) {
    for (size_t i = 0; i < client->n_prefixes; i++)
        if (strncmp(topic, client->prefixes[i], strlen(client->prefixes[i])) == 0)
            return true;
    return false;
}

static bool more(struct uaswatch_client *client) {
    int value = 0;
    size_t size = sizeof(value);

    return zmq_getsockopt(client->socket, ZMQ_RCVMORE, &value, &size) == 0 && value;
}

/* One frame; what does not fit is cut, and *len says so by being larger than size. */
static int frame(struct uaswatch_client *client, void *buf, size_t size, size_t *len) {
    int n = zmq_recv(client->socket, buf, size, ZMQ_DONTWAIT);

    if (n < 0)
        return -errno;
    *len = (size_t)n;
    return 0;
}

/* All frames of one message. 1: it has the shape of ours; 0: it has not; -errno. */
static int frames(struct uaswatch_client *client) {
    char rest[1];
    size_t ignored;
    int r, n = 1;

    client->json_len = client->extra_len = 0;
    r = frame(client, client->topic, sizeof(client->topic) - 1, &client->topic_len);
    while (r == 0 && more(client)) {
        n++;
        if (n == 2)
            r = frame(client, client->json, BODY_MAX, &client->json_len);
        else if (n == 3)
            r = frame(client, client->extra, EXTRA_MAX, &client->extra_len);
        else
            r = frame(client, rest, sizeof(rest), &ignored);
    }
    if (r < 0)
        return r;
    if (n < 2 || n > 3 || client->topic_len >= sizeof(client->topic) ||
        client->json_len > BODY_MAX || client->extra_len > EXTRA_MAX)
        return 0;
    client->has_extra = n == 3;
    client->topic[client->topic_len] = '\0';
    client->json[client->json_len] = '\0';
    return strlen(client->topic) == client->topic_len && strncmp(client->topic, "v1.", 3) == 0;
}

static bool take(const json_t *body, const char *key, char out[STREAM_NAME_LEN]) {
    const char *s = json_string_value(json_object_get(body, key));

    if (!s || strlen(s) >= STREAM_NAME_LEN)
        return false;
    (void)snprintf(out, STREAM_NAME_LEN, "%s", s);
    return true;
}

static bool read_head(struct uaswatch_client *client, uint64_t *ret_seq) {
    json_t *body = json_loadb(client->json, client->json_len, JSON_REJECT_DUPLICATES, NULL);
    json_int_t seq = json_integer_value(json_object_get(body, "seq"));
    bool whole = seq >= 1 && take(body, "type", client->type) && take(body, "site", client->site) &&
                 take(body, "node", client->node) && take(body, "run", client->run);

    json_decref(body);
    *ret_seq = (uint64_t)seq;
    return whole;
}

static void fill(struct uaswatch_client *client, uint64_t seq, struct uaswatch_message *message) {
    char key[4 * STREAM_NAME_LEN];
    struct stream_verdict v;

    (void)snprintf(key, sizeof(key), "v1.%s.%s.%s.", client->type, client->site, client->node);
    v = streams_judge(&client->streams, key, client->run, seq, subscribed(client, key));
    client->lost += v.lost;
    *message = (struct uaswatch_message){
        .topic = client->topic,
        .type = client->type,
        .json = client->json,
        .json_len = client->json_len,
        .extra = client->has_extra ? client->extra : NULL,
        .extra_len = client->has_extra ? client->extra_len : 0,
        .site = client->site,
        .node = client->node,
        .run = client->run,
        .seq = seq,
        .lost = v.lost,
        .repeated = v.repeated,
        .new_run = v.new_run,
    };
}

/* One message, if there is one: 1 for the user, 0 not for him, -errno. */
static int receive_one(struct uaswatch_client *client, struct uaswatch_message *message) {
    uint64_t seq;
    int r = frames(client);

    if (r < 0)
        return r;
    if (r == 0 || !read_head(client, &seq)) {
        client->refused++;
        return 0;
    }
    client->heard_ns = now_ns();
    if (!subscribed(client, client->topic))
        return 0;
    fill(client, seq, message);
    return 1;
}

int uaswatch_client_receive(struct uaswatch_client *client, int timeout_ms,
                            struct uaswatch_message *ret_message) {
    int64_t end = now_ns() + (int64_t)timeout_ms * 1000000;

    for (;;) {
        zmq_pollitem_t item = {.socket = client->socket, .events = ZMQ_POLLIN};
        int64_t left = (end - now_ns() + 999999) / 1000000;
        int r = receive_one(client, ret_message);

        if (r == 1 || (r < 0 && r != -EAGAIN))
            return r;
        if (timeout_ms >= 0 && left <= 0)
            return 0;
        /* a message that was not for the user: there may be another one, do not wait */
        if (r == -EAGAIN && zmq_poll(&item, 1, timeout_ms < 0 ? -1 : (long)left) < 0)
            return -errno;
    }
}

double uaswatch_client_silent_s(const struct uaswatch_client *client) {
    return (double)(now_ns() - client->heard_ns) * 1e-9;
}

uint64_t uaswatch_client_lost(const struct uaswatch_client *client) {
    return client->lost;
}

uint64_t uaswatch_client_refused(const struct uaswatch_client *client) {
    return client->refused;
}
