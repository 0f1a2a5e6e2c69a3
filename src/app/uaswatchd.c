/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * uaswatchd: the daemon, in the foreground
 *
 * The main thread owns signals and nothing else: SIGTERM and SIGINT are read from a signalfd, the
 * engine's threads have them blocked. It ends when a signal comes or when every receiver has ended
 * (recordings do); either way what is inside the chain is flushed first.
 */

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "uw/base/build-info.h"
#include "uw/base/err.h"
#include "uw/base/log.h"
#include "uw/base/util.h"
#include "uw/engine/engine.h"

enum {
    EXIT_DONE = 0,
    EXIT_INPUT = 1,
    EXIT_USAGE = 2,
};

#define POLL_MS       100 /* for the end of the receivers; signals wake at once */
#define STOP_FLUSH_MS 800 /* what a stop waits for the chain before it joins the threads */

struct arguments {
    char config[UW_PATH_LEN];
    bool check;
};

static void print_help(FILE *f) {
    fprintf(f,
            "Usage: uaswatchd [-c FILE] [--check-config]\n\n"
            "Listens to the receivers of its configuration and publishes detections, tracks and\n"
            "alerts on its feed. Runs in the foreground until SIGTERM or SIGINT.\n\n"
            "Options:\n"
            "  -c, --config FILE       configuration (default: %s/uaswatch.conf)\n"
            "      --check-config      only say what is wrong with the configuration\n"
            "  -h, --help              this text\n"
            "      --version           print the version\n\n"
            "Exit status: 0 stopped or all recordings done, 1 configuration or receiver unusable,\n"
            "2 wrong command line.\n",
            uw_system_config_dir());
}

/* 0: go on; else *ret_status is the exit status. */
static int parse_arguments(int argc, char **argv, struct arguments *args, int *ret_status) {
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'},
        {"check-config", no_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    int c;

    snprintf(args->config, sizeof(args->config), "%s/uaswatch.conf", uw_system_config_dir());
    while ((c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1) {
        *ret_status = c == '?' ? EXIT_USAGE : EXIT_DONE;
        switch (c) {
        case 'c':
            snprintf(args->config, sizeof(args->config), "%s", optarg);
            break;
        case 'k':
            args->check = true;
            break;
        case 'h':
            print_help(stdout);
            return 1;
        case 'V':
            printf("uaswatchd %s\n", uw_version());
            return 1;
        default:
            return 1; /* getopt has said why */
        }
    }
    if (optind < argc) {
        fprintf(stderr, "error: uaswatchd takes no operands, got \"%s\" (see --help)\n",
                argv[optind]);
        *ret_status = EXIT_USAGE;
        return 1;
    }
    return 0;
}

static int open_signals(void) {
    sigset_t set;
    int fd;

    signal(SIGPIPE, SIG_IGN); /* a log reader that goes away is no reason to be deaf */
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return uw_err(-errno);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? uw_err(-errno) : fd;
}

static int report(int r, const struct uw_diag *diag) {
    for (int i = 0; i < diag->n; i++)
        uw_log(UW_LOG_ERROR, "uaswatchd", "%s", diag->text[i]);
    if (diag->n_dropped > 0)
        uw_log(UW_LOG_ERROR, "uaswatchd", "... and %d more", diag->n_dropped);
    if (diag->n == 0)
        uw_log(UW_LOG_ERROR, "uaswatchd", "%s", r < 0 ? strerror(-r) : "cannot go on");
    return EXIT_INPUT;
}

static void wait_for_the_end(struct uw_engine *engine, int signal_fd) {
    struct pollfd p = {.fd = signal_fd, .events = POLLIN};
    struct signalfd_siginfo info;

    for (;;) {
        int n = poll(&p, 1, POLL_MS);

        if (n > 0 && read(signal_fd, &info, sizeof(info)) == sizeof(info)) {
            uw_log(UW_LOG_INFO, "uaswatchd", "%s: stopping", strsignal((int)info.ssi_signo));
            uw_engine_stop(engine);
            uw_engine_wait(engine, STOP_FLUSH_MS);
            return;
        }
        if (uw_engine_wait(engine, 0)) {
            uw_log(UW_LOG_INFO, "uaswatchd", "all receivers have ended");
            return;
        }
    }
}

static int run(const struct uw_engine_config *config, struct uw_diag *diag) {
    struct uw_engine_summary summary = {0};
    struct uw_engine *engine = NULL;
    int signal_fd = open_signals();
    int r;

    if (signal_fd < 0)
        return report(signal_fd, diag);
    r = uw_engine_new(config, diag, NULL, NULL, NULL, &engine);
    if (r == 0)
        r = uw_engine_start(engine, diag);
    if (r == 0) {
        wait_for_the_end(engine, signal_fd);
        r = uw_engine_finish(engine, diag, &summary);
    }
    uw_engine_free(engine);
    close(signal_fd);
    if (r != 0)
        return report(r, diag);
    uw_log(UW_LOG_INFO, "uaswatchd", "stopped: %.1f s heard, %llu alerts", summary.seconds,
           (unsigned long long)summary.alerts);
    return EXIT_DONE;
}

/* The whole set-up but for starting: it also finds signatures that do not exist and recordings that
 * cannot be read. */
static int check(const struct arguments *args, int r, struct uw_diag *diag) {
    if (r != 0) {
        if (diag->n == 0)
            uw_diag_add(diag, "%s: %s", args->config, strerror(-r));
        uw_diag_print(diag, stderr);
        return EXIT_INPUT;
    }
    printf("%s: OK\n", args->config);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_INPUT;
}

int main(int argc, char **argv) {
    static struct uw_engine_config config; /* large: not for the stack */
    static struct uw_diag diag;
    struct arguments args = {0};
    int status = EXIT_DONE;
    int r;

    if (parse_arguments(argc, argv, &args, &status))
        return status;
    uw_engine_config_init(&config);
    r = uw_engine_config_load(args.config, true, &diag, &config);
    uw_find_signatures(args.config, config.signature_dir, sizeof(config.signature_dir));
    if (r == 0)
        uw_log_set_level((enum uw_log_level)config.log_level);
    if (args.check)
        return check(&args, r, &diag);
    if (r != 0)
        return report(r, &diag);
    return run(&config, &diag);
}
