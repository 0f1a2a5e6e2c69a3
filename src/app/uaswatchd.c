/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * uaswatchd: the daemon, in the foreground
 *
 * The main thread owns signals and the service manager: SIGTERM, SIGINT and SIGHUP are read from a
 * signalfd, the engine's threads have them blocked. It ends when SIGTERM or SIGINT comes or when
 * every receiver has ended (recordings do); either way what is inside the chain is flushed first.
 * The watchdog is told that all is well only as long as every thread of the engine shows signs of
 * life.
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

#include "notify.h"
#include "uw/base/build-info.h"
#include "uw/base/err.h"
#include "uw/base/log.h"
#include "uw/base/str.h"
#include "uw/base/time.h"
#include "uw/base/util.h"
#include "uw/engine/engine.h"

enum {
    EXIT_DONE = 0,
    EXIT_INPUT = 1,
    EXIT_USAGE = 2,
};

#define POLL_MS       100 /* for the end of the receivers; signals wake at once */
#define STOP_FLUSH_MS 800 /* what a stop waits for the chain before it joins the threads */
#define TICK_NS       UW_NS_PER_S
#define ALIVE_S       5.0 /* a thread without a sign of life for this long is stuck */

struct arguments {
    char config[UW_PATH_LEN];
    bool config_given, check, self_test;
};

struct daemon {
    const struct arguments *args;
    struct uw_engine *engine;
    struct uw_engine_config *config; /* the latest that was read */
    struct uw_diag *diag;
    int signal_fd;
    int64_t watchdog_ns; /* 0: none */
    int64_t tick_mono_ns, watchdog_mono_ns;
};

static void print_help(FILE *f) {
    fprintf(f,
            "Usage: uaswatchd [-c FILE] [--check-config | --self-test]\n\n"
            "Listens to the receivers of its configuration and publishes detections, tracks and\n"
            "alerts on its feed. Runs in the foreground until SIGTERM or SIGINT; SIGHUP reads the\n"
            "configuration again and changes what has changed.\n\n"
            "Options:\n"
            "  -c, --config FILE       configuration (default: %s/uaswatch.conf)\n"
            "      --check-config      only say what is wrong with the configuration\n"
            "      --self-test         only say whether this machine computes as it should\n"
            "  -h, --help              this text\n"
            "      --version           print the version\n\n"
            "Exit status: 0 stopped or all recordings done, 1 configuration, receiver or machine\n"
            "unusable, 2 wrong command line.\n",
            uw_system_config_dir());
}

/* 0: go on; else *ret_status is the exit status. */
static int parse_arguments(int argc, char **argv, struct arguments *args, int *ret_status) {
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'}, {"check-config", no_argument, NULL, 'k'},
        {"self-test", no_argument, NULL, 't'},    {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},      {NULL, 0, NULL, 0},
    };
    int c;

    snprintf(args->config, sizeof(args->config), "%s/uaswatch.conf", uw_system_config_dir());
    while ((c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1) {
        *ret_status = c == '?' ? EXIT_USAGE : EXIT_DONE;
        switch (c) {
        case 'c':
            snprintf(args->config, sizeof(args->config), "%s", optarg);
            args->config_given = true;
            break;
        case 'k':
            args->check = true;
            break;
        case 't':
            args->self_test = true;
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
    sigaddset(&set, SIGHUP);
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

/* From the file, with what is found at run time. */
static int load(const struct arguments *args, struct uw_diag *diag,
                struct uw_engine_config *config) {
    const char *state = getenv("STATE_DIRECTORY"); /* of systemd: one path, or several with : */
    int r;

    uw_engine_config_init(config);
    r = uw_engine_config_load(args->config, true, diag, config);
    uw_find_signatures(args->config, config->signature_dir, sizeof(config->signature_dir));
    if (r == 0 && !config->state_dir[0] && state)
        snprintf(config->state_dir, sizeof(config->state_dir), "%.*s", (int)strcspn(state, ":"),
                 state);
    return r;
}

static void reload(struct daemon *d) {
    int r;

    uw_notify_reloading();
    d->diag->n = d->diag->n_dropped = 0;
    uw_log_kv(UW_LOG_INFO, "uaswatchd", "reading the configuration again",
              uw_log_s("file", d->args->config));
    r = load(d->args, d->diag, d->config);
    if (r == 0)
        r = uw_engine_reload(d->engine, d->config, "SIGHUP", d->args->config, d->diag);
    else
        (void)uw_engine_audit(d->engine, "SIGHUP", "reload-refused", d->args->config,
                              d->diag->n ? d->diag->text[0] : strerror(-r));
    if (r == 0) {
        uw_log_set_level((enum uw_log_level)d->config->log_level);
        uw_log(UW_LOG_INFO, "uaswatchd", "the new configuration holds");
    } else {
        (void)report(r, d->diag);
        uw_log(UW_LOG_ERROR, "uaswatchd", "the old configuration goes on");
    }
    uw_notify("READY=1");
}

/* False: it ends. */
static bool take_signal(struct daemon *d, int number) {
    if (number == SIGHUP) {
        reload(d);
        return true;
    }
    uw_log(UW_LOG_INFO, "uaswatchd", "%s: stopping", strsignal(number));
    uw_notify("STOPPING=1");
    uw_engine_stop(d->engine);
    uw_engine_wait(d->engine, STOP_FLUSH_MS);
    return false;
}

static void tick(struct daemon *d) {
    int64_t now = uw_clock_mono_ns();
    char who[UW_ENGINE_WHO_LEN];

    if (now - d->tick_mono_ns >= TICK_NS) {
        d->tick_mono_ns = now;
        uw_engine_tick(d->engine);
        uw_log_tick(now);
    }
    if (now - d->watchdog_mono_ns < (d->watchdog_ns ? d->watchdog_ns / 4 : TICK_NS))
        return;
    d->watchdog_mono_ns = now;
    if (uw_engine_is_alive(d->engine, ALIVE_S, who))
        uw_notify("WATCHDOG=1");
    else
        uw_log_kv(UW_LOG_ERROR, "uaswatchd", "a thread shows no sign of life",
                  uw_log_s("thread", who), uw_log_s("watchdog", d->watchdog_ns ? "on" : "off"));
}

static void wait_for_the_end(struct daemon *d) {
    struct pollfd p = {.fd = d->signal_fd, .events = POLLIN};
    struct signalfd_siginfo info;

    for (;;) {
        int n = poll(&p, 1, POLL_MS);

        if (n > 0 && read(d->signal_fd, &info, sizeof(info)) == sizeof(info) &&
            !take_signal(d, (int)info.ssi_signo))
            return;
        if (uw_engine_wait(d->engine, 0)) {
            uw_log(UW_LOG_INFO, "uaswatchd", "all receivers have ended");
            uw_notify("STOPPING=1");
            return;
        }
        tick(d);
    }
}

static void log_self_test(void *userdata, const char *name, bool good, const char *detail) {
    (void)userdata;
    uw_log_kv(good ? UW_LOG_DEBUG : UW_LOG_ERROR, "self-test", good ? "good" : "failed",
              uw_log_s("test", name), uw_log_s("detail", detail));
}

static void print_self_test(void *userdata, const char *name, bool good, const char *detail) {
    (void)userdata;
    printf("%-5s %s: %s\n", name, good ? "good" : "FAILED", detail);
}

static int start(struct daemon *d) {
    int r;

    r = uw_engine_self_test(d->config, d->diag, log_self_test, NULL);
    if (r == 0)
        r = uw_engine_new(d->config, d->diag, NULL, NULL, NULL, &d->engine);
    if (r == 0)
        r = uw_engine_start(d->engine, d->diag);
    if (r == 0)
        uw_log_kv(UW_LOG_INFO, "uaswatchd", "listening", uw_log_s("version", uw_version()),
                  uw_log_s("site", d->config->site), uw_log_s("node", d->config->node),
                  uw_log_i("receivers", d->config->n_receivers),
                  uw_log_s("feed", uw_engine_feed_endpoint(d->engine)));
    return r;
}

static int run(const struct arguments *args, struct uw_engine_config *config,
               struct uw_diag *diag) {
    struct daemon d = {.args = args, .config = config, .diag = diag};
    struct uw_engine_summary summary = {0};
    int r;

    uw_log_take_stdio();
    d.signal_fd = open_signals();
    if (d.signal_fd < 0)
        return report(d.signal_fd, diag);
    d.watchdog_ns = uw_notify_watchdog_ns();
    r = start(&d);
    if (r == 0) {
        uw_notify("READY=1");
        wait_for_the_end(&d);
        diag->n = diag->n_dropped = 0;
        r = uw_engine_finish(d.engine, diag, &summary);
    }
    uw_engine_free(d.engine);
    close(d.signal_fd);
    if (r != 0)
        (void)report(r, diag);
    else
        uw_log_kv(UW_LOG_INFO, "uaswatchd", "stopped", uw_log_r("heard_s", summary.seconds),
                  uw_log_i("alerts", summary.alerts), uw_log_i("samples_lost", summary.dropped));
    uw_log_flush();
    return r == 0 ? EXIT_DONE : EXIT_INPUT;
}

static int self_test(const struct uw_engine_config *config, struct uw_diag *diag) {
    int r = uw_engine_self_test(config, diag, print_self_test, NULL);

    return fflush(stdout) == 0 && r == 0 ? EXIT_DONE : EXIT_INPUT;
}

/* Everything that a start would find, at once. */
static int check(const struct arguments *args, struct uw_diag *diag) {
    static struct uw_diag remarks;
    int r = uw_engine_config_check(args->config, diag, &remarks);

    for (int i = 0; i < remarks.n; i++)
        fprintf(stderr, "warning: %s\n", remarks.text[i]);
    if (r != 0) {
        if (diag->n == 0)
            uw_diag_add(diag, "%s: %s", args->config, strerror(r < 0 ? -r : EIO));
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
    if (args.check)
        return check(&args, &diag);
    r = load(&args, &diag, &config);
    if (r == 0)
        uw_log_set_level((enum uw_log_level)config.log_level);
    if (r != 0 && args.self_test && !args.config_given)
        uw_engine_config_init(&config); /* a machine can be tested before it is set up */
    else if (r != 0)
        return report(r, &diag);
    if (args.self_test)
        return self_test(&config, &diag);
    return run(&args, &config, &diag);
}
