/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * uaswatch watch: status line and alerts of a node, for the person on duty
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "cmd.h"
#include "uaswatch/client.h"
#include "uw/base/err.h"
#include "uw/base/time.h"
#include "uw/base/util.h"
#include "watch-view.h"

#define DEFAULT_ENDPOINT "tcp://127.0.0.1:5580"
#define WAIT_MS          100

enum { OPT_PLAIN = 256 };

static const struct uw_cli_option options[] = {
    {OPT_PLAIN, "plain", NULL, "as lines of text"},
    {'e', "endpoint", "E", "the feed to watch (default " DEFAULT_ENDPOINT ")"},
};

static const struct uw_cli cli = {
    .usage = "uaswatch watch --plain [OPTION]...",
    .summary =
        "Watches a running uaswatchd until Ctrl-C: alerts as text, and one line that says how\n"
        "things are. Says within three seconds when nothing comes any more, for then the\n"
        "system may be deaf.",
    .options = options,
    .n_options = UW_ARRAY_SIZE(options),
    .epilogue =
        "The left column is the time of day of this computer (time zone: TZ). Colours are used\n"
        "on a terminal unless NO_COLOR is set.",
};

static int subscribe(struct uaswatch_client *client) {
    /* not detections: they are many, and tracks and alerts say the same */
    static const char *const topics[] = {"v1.health.", "v1.alert.", "v1.track."};

    for (size_t i = 0; i < UW_ARRAY_SIZE(topics); i++) {
        int r = uaswatch_client_subscribe(client, topics[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

static int watch(struct uaswatch_client *client, struct uw_view *view, int signal_fd) {
    struct signalfd_siginfo info;
    struct uaswatch_message message;

    for (;;) {
        int r = uaswatch_client_receive(client, WAIT_MS, &message);

        if (read(signal_fd, &info, sizeof(info)) == sizeof(info))
            return 0;
        if (r < 0 && r != -EINTR)
            return r;
        if (r == 1)
            uw_view_message(view, message.json, message.json_len, uw_clock_mono_ns(),
                            uw_clock_real_ns());
        uw_view_tick(view, uw_clock_mono_ns(), uw_clock_real_ns());
        if (ferror(stdout))
            return 0; /* nobody reads on */
    }
}

static int run(const char *endpoint) {
    struct uw_view_config config = {
        .out = stdout,
        .colour = uw_cli_colour(stdout),
        .columns = uw_cli_columns(stdout),
        .endpoint = endpoint,
    };
    struct uaswatch_client *client = NULL;
    struct uw_view *view = NULL;
    int signal_fd = uw_cli_signal_fd();
    int r = signal_fd < 0 ? signal_fd : uaswatch_client_new(endpoint, &client);

    if (r < 0) {
        fprintf(stderr, "error: %s: %s\n", endpoint, strerror(-r));
        return UW_EXIT_INPUT;
    }
    r = subscribe(client);
    if (r == 0)
        r = uw_view_new(&config, uw_clock_mono_ns(), &view);
    if (r == 0)
        r = watch(client, view, signal_fd);
    if (view)
        uw_view_end(view);
    uw_view_free(view);
    uaswatch_client_free(client);
    if (r < 0)
        return uw_cli_report(r, NULL);
    return uw_cli_flush() ? UW_EXIT_OK : UW_EXIT_INPUT;
}

int uw_cmd_watch(int argc, char **argv) {
    const char *endpoint = DEFAULT_ENDPOINT;
    const char *arg = NULL;
    bool plain = false;
    int first = argc;
    int c;

    while ((c = uw_cli_next(&cli, argc, argv, &arg, &first)) > 0) {
        if (c == 'e')
            endpoint = arg;
        plain = plain || c == OPT_PLAIN;
    }
    if (c != UW_CLI_END)
        return c == UW_CLI_HELP ? UW_EXIT_OK : UW_EXIT_USAGE;
    if (first < argc)
        return uw_cli_usage_error("watch", "\"%s\" is not an option", argv[first]);
    if (!plain)
        fprintf(stderr, "There is no full-screen console: this is \"watch --plain\".\n");
    tzset();
    setvbuf(stdout, NULL, _IOLBF, 0);
    return run(endpoint);
}
