/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * uaswatch feed: the messages of a node as they come, one JSON object a line
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli.h"
#include "cmd.h"
#include "uaswatch/client.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/time.h"
#include "uw/base/util.h"

#define DEFAULT_ENDPOINT  "tcp://127.0.0.1:5580"
#define DEFAULT_TIMEOUT_S 5.0
#define WAIT_MS           100

static const struct uw_cli_option options[] = {
    {'e', "endpoint", "E", "the feed (default " DEFAULT_ENDPOINT ")"},
    {'t', "timeout", "SECONDS",
     "give up when nothing at all has come for so long after the\n"
     "start (default 5; health alone comes each second)"},
};

static const struct uw_cli cli = {
    .usage = "uaswatch feed [OPTION]... [TOPIC]...",
    .summary = "Prints the messages of a running uaswatchd, one JSON object a line, until Ctrl-C.\n"
               "A TOPIC is the beginning of a topic, such as v1.alert. or v1.track.SITE.; without\n"
               "any, everything is printed. docs/feed.md describes every field.",
    .options = options,
    .n_options = UW_ARRAY_SIZE(options),
    .epilogue = "Examples:\n"
                "  uaswatch feed v1.alert.\n"
                "  uaswatch feed | jq .headline",
};

struct feed {
    struct uaswatch_client *client;
    const char *endpoint;
    double timeout_s;
    int64_t begin_ns;
    bool any;    /* something has come */
    bool silent; /* it has been said that nothing comes any more */
};

/* The node's signs of life count, too, which the client hears whatever is subscribed to. */
static bool was_heard(const struct feed *feed) {
    double elapsed_s = (double)(uw_clock_mono_ns() - feed->begin_ns) / 1e9;

    return uaswatch_client_silent_s(feed->client) < elapsed_s - 0.01;
}

static void note_silence(struct feed *feed) {
    double silent_s = uaswatch_client_silent_s(feed->client);

    if (feed->any && !feed->silent && silent_s > 3.0)
        fprintf(stderr, "warning: nothing from %s for 3 s\n", feed->endpoint);
    feed->silent = feed->any && silent_s > 3.0;
}

/* 0 at a signal, -errno, or UW_E_AGAIN when there is nobody. */
static int print_messages(struct feed *feed, int signal_fd) {
    struct uaswatch_message message;
    struct signalfd_siginfo info;

    for (;;) {
        int r = uaswatch_client_receive(feed->client, WAIT_MS, &message);

        if (read(signal_fd, &info, sizeof(info)) == sizeof(info))
            return 0;
        if (r < 0 && r != -EINTR)
            return r;
        if (r == 1) {
            fwrite(message.json, 1, message.json_len, stdout);
            putchar('\n');
            if (message.lost > 0)
                fprintf(stderr, "warning: %" PRIu64 " messages of type %s were lost\n",
                        message.lost, message.type);
        }
        feed->any = feed->any || r == 1 || was_heard(feed);
        if (!feed->any && uaswatch_client_silent_s(feed->client) > feed->timeout_s)
            return UW_E_AGAIN;
        note_silence(feed);
        if (ferror(stdout))
            return 0;
    }
}

static int run(struct feed *feed, char **topics, int n) {
    char *all[] = {(char[]){"v1."}};
    int signal_fd = uw_cli_signal_fd();
    int r = signal_fd < 0 ? signal_fd : uaswatch_client_new(feed->endpoint, &feed->client);

    if (r < 0) {
        fprintf(stderr, "error: %s: %s\n", feed->endpoint, strerror(-r));
        return UW_EXIT_INPUT;
    }
    feed->begin_ns = uw_clock_mono_ns();
    if (n == 0) {
        topics = all;
        n = 1;
    }
    for (int i = 0; i < n && r == 0; i++)
        r = uaswatch_client_subscribe(feed->client, topics[i]);
    if (r == 0)
        r = print_messages(feed, signal_fd);
    uaswatch_client_free(feed->client);
    if (r == UW_E_AGAIN) {
        fprintf(stderr, "error: %s: nothing came within %g s; does uaswatchd run there?\n",
                feed->endpoint, feed->timeout_s);
        return UW_EXIT_UNREACHABLE;
    }
    return r < 0 ? uw_cli_report(r, NULL) : UW_EXIT_OK;
}

int uw_cmd_feed(int argc, char **argv) {
    struct feed feed = {.endpoint = DEFAULT_ENDPOINT, .timeout_s = DEFAULT_TIMEOUT_S};
    const char *arg = NULL;
    int first = argc;
    int c, status;

    while ((c = uw_cli_next(&cli, argc, argv, &arg, &first)) > 0) {
        if (c == 'e')
            feed.endpoint = arg;
        if (c == 't' && uw_str_to_double(arg, 0.1, 86400, &feed.timeout_s) != 0)
            return uw_cli_usage_error("feed", "--timeout: \"%s\" is no number of seconds", arg);
    }
    if (c != UW_CLI_END)
        return c == UW_CLI_HELP ? UW_EXIT_OK : UW_EXIT_USAGE;
    setvbuf(stdout, NULL, _IOLBF, 0);
    status = run(&feed, argv + first, argc - first);
    return uw_cli_flush() ? status : UW_EXIT_INPUT;
}
