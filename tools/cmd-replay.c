/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * uaswatch replay: recordings through the very chain that the daemon runs
 */

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "cmd.h"
#include "replay-impl.h"
#include "uw/base/build-info.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/time.h"
#include "uw/base/util.h"
#include "uw/rx/rx.h"

#define WAIT_MS      50  /* between looks at the progress */
#define STOP_MS      800 /* for what is inside the chain after Ctrl-C */
#define RUN_LEN      16  /* of a run that the engine names */
#define RUN_EACH_MAX 20  /* of --each, which puts "-NNNNN" behind it */
#define NAME_MIN     7

enum {
    OPT_START = 256,
    OPT_EACH,
    OPT_REALTIME,
    OPT_FEED,
    OPT_RUN,
    OPT_JSON,
    OPT_ANNOTATE,
    OPT_SPECTROGRAM,
    OPT_ABOVE_NOISE,
    OPT_EXERCISE,
    OPT_BLOCK,
    OPT_DELAY_SEED,
};

static const struct uw_cli_option options[] = {
    {'c', "config", "FILE", "settings from this file (without: all signatures, defaults)"},
    {'s', "signature", "ID", "only this signature; may be repeated, or a list with commas"},
    {'f', "format", "F", "samples of a raw file: cu8, ci8, ci16 or cf32"},
    {'r', "rate", "HZ", "its sample rate, such as 2.4M"},
    {'q', "freq", "HZ",
     "its centre frequency, such as 915M; without it waveforms\n"
     "are matched at any place"},
    {OPT_START, "start", "RFC3339", "when the recording began (default: from the file, else 1970)"},
    {OPT_EACH, "each", NULL,
     "one recording after the other, each for itself, instead of\n"
     "all of them as receivers of one site"},
    {OPT_REALTIME, "realtime", NULL, "at the speed of the signal"},
    {OPT_FEED, "feed", "[ENDPOINT]", "publish on the feed too (default tcp://127.0.0.1:5580)"},
    {OPT_RUN, "run", "ID", "fix the identifier of the run: equal input, equal output"},
    {OPT_EXERCISE, "exercise", NULL, "mark everything as an exercise"},
    {OPT_ABOVE_NOISE, "above-noise", NULL,
     "only bursts that stand out of the noise (below_noise = false)"},
    {'j', "json", NULL, "the bodies of the feed, one a line, then a summary"},
    {OPT_ANNOTATE, "annotate", "OUT", "write the detections as SigMF annotations"},
    {OPT_SPECTROGRAM, "spectrogram", "OUT.png", "draw the recording with its detections"},
    {OPT_BLOCK, "block", "N", NULL},           /* for tests: samples in a block */
    {OPT_DELAY_SEED, "delay-seed", "N", NULL}, /* for tests: random delays of the threads */
};

static const struct uw_cli cli = {
    .usage = "uaswatch replay [OPTION]... [NAME=]RECORDING...",
    .summary =
        "Runs recordings through the whole chain, as fast as possible, and prints what was\n"
        "heard. Takes SigMF (.sigmf-meta, .sigmf-data, .sigmf), WAV with I and Q, raw samples,\n"
        "and \"-\" for raw samples on standard input. Names like x_915M_2400k.cu8 say the\n"
        "format, frequency and rate of a raw file.",
    .options = options,
    .n_options = UW_ARRAY_SIZE(options),
    .epilogue = "Examples:\n"
                "  uaswatch replay capture.sigmf-meta\n"
                "  uaswatch replay --json north=a.sigmf-meta south=b.sigmf-meta\n"
                "  rtl_sdr -f 915000000 -s 2400000 - | uaswatch replay -f cu8 -r 2.4M -q 915M -",
};

struct replay {
    struct uw_engine_config config; /* the receivers are filled in for each run */
    struct uw_source_params source; /* what the options say about all recordings */
    const char *annotate, *spectrogram;
    bool each, json, stopped;
    int signal_fd;
    struct uw_report *report;
    struct uw_marks marks;
    struct uw_diag diag;
};

static int add_signatures(struct replay *replay, const char *list) {
    struct uw_engine_config *config = &replay->config;

    while (*list) {
        size_t len = strcspn(list, ",");
        char *to = config->signatures[config->n_signatures];

        if (config->n_signatures == UW_SIGNATURES_MAX || len == 0 || len >= UW_NAME_LEN)
            return uw_cli_usage_error("replay", "--signature: \"%s\" is no signature", list);
        memcpy(to, list, len);
        to[len] = '\0';
        config->n_signatures++;
        list += len + (list[len] == ',');
    }
    return 0;
}

static int bad_value(const char *option, const char *arg, const char *wanted) {
    return uw_cli_usage_error("replay", "--%s: \"%s\" is not %s", option, arg, wanted);
}

static int set_source_option(struct replay *replay, int c, const char *arg) {
    struct uw_source_params *source = &replay->source;
    enum uw_iq_format format;

    switch (c) {
    case 'f':
        if (uw_iq_format_parse(arg, &format) != 0)
            return bad_value("format", arg, "cu8, ci8, ci16 or cf32");
        source->format = (int)format;
        return 0;
    case 'r':
        if (uw_str_to_double(arg, UW_RATE_MIN_HZ, UW_RATE_MAX_HZ, &source->rate_hz) != 0)
            return bad_value("rate", arg, "a rate from 250k to 50M");
        return 0;
    case 'q':
        if (uw_str_to_double(arg, 0, 300e9, &source->freq_hz) != 0)
            return bad_value("freq", arg, "a frequency in Hz");
        return 0;
    default:
        if (uw_time_parse(arg, &source->start_ns) != 0)
            return bad_value("start", arg, "a time such as 2026-05-01T18:00:00Z");
        return 0;
    }
}

static int set_test_option(struct replay *replay, int c, const char *arg) {
    int64_t value;

    if (uw_str_to_int64(arg, 1, 1 << 24, &value) != 0)
        return bad_value(c == OPT_BLOCK ? "block" : "delay-seed", arg, "a number from 1");
    if (c == OPT_BLOCK)
        replay->config.block_samples = (size_t)value;
    else
        replay->config.delay_seed = (unsigned)value;
    return 0;
}

static int set_run(struct replay *replay, const char *arg) {
    if (!uw_str_is_name(arg))
        return bad_value("run", arg, "1 to 31 of the characters A-Z a-z 0-9 _ -");
    uw_str_copy(replay->config.run, sizeof(replay->config.run), arg);
    return 0;
}

static int set_option(struct replay *replay, int c, const char *arg) {
    struct uw_engine_config *config = &replay->config;

    switch (c) {
    case 'c': /* read before all others */
        return 0;
    case 's':
        return add_signatures(replay, arg);
    case OPT_EACH:
        replay->each = true;
        return 0;
    case OPT_REALTIME:
        replay->source.paced = true;
        return 0;
    case OPT_FEED:
        config->feed = true;
        if (arg)
            uw_str_copy(config->feed_endpoint, sizeof(config->feed_endpoint), arg);
        return 0;
    case OPT_RUN:
        return set_run(replay, arg);
    case OPT_ABOVE_NOISE:
        config->below_noise = false;
        return 0;
    case OPT_EXERCISE:
        config->exercise = true;
        return 0;
    case 'j':
        replay->json = true;
        return 0;
    case OPT_ANNOTATE:
        replay->annotate = arg;
        return 0;
    case OPT_SPECTROGRAM:
        replay->spectrogram = arg;
        return 0;
    case OPT_BLOCK:
    case OPT_DELAY_SEED:
        return set_test_option(replay, c, arg);
    default:
        return set_source_option(replay, c, arg);
    }
}

/* Identifiers hold the names of run and receiver, and have their limit; three for make_unique(). */
static size_t name_room(const struct uw_engine_config *config) {
    size_t run = config->run[0] ? strlen(config->run) : RUN_LEN;

    return run + 3 + NAME_MIN > UW_RX_NAMES_LEN ? NAME_MIN : UW_RX_NAMES_LEN - 3 - run;
}

/* "NAME=FILE" unless a file of the whole name exists; else a name made from that of the file. */
static void name_receiver(const char *operand, size_t room, struct uw_engine_receiver *receiver) {
    const char *equals = strchr(operand, '=');
    const char *base;
    size_t n = 0;

    if (equals && (size_t)(equals - operand) < sizeof(receiver->name) &&
        access(operand, F_OK) != 0) {
        memcpy(receiver->name, operand, (size_t)(equals - operand));
        receiver->name[equals - operand] = '\0';
        if (uw_str_is_name(receiver->name)) {
            uw_str_copy(receiver->path, sizeof(receiver->path), equals + 1);
            return;
        }
    }
    uw_str_copy(receiver->path, sizeof(receiver->path), operand);
    base = strrchr(operand, '/');
    base = base ? base + 1 : operand;
    if (strcmp(operand, "-") == 0)
        base = "stdin";
    for (; *base && n < room; base++) {
        if (strcmp(base, ".sigmf") == 0 || strncmp(base, ".sigmf-", 7) == 0)
            break;
        receiver->name[n++] = *base;
        if (!isascii((unsigned char)*base) ||
            (!isalnum((unsigned char)*base) && *base != '_' && *base != '-'))
            receiver->name[n - 1] = '-';
    }
    receiver->name[n] = '\0';
    if (n == 0)
        uw_str_copy(receiver->name, sizeof(receiver->name), "recording");
}

/* Equal names get a number; the caller's order decides which. */
static void make_unique(struct uw_engine_config *config, int index) {
    char *name = config->receivers[index].name;
    char stem[UW_NAME_LEN - 4];
    unsigned number = 2;

    uw_str_copy(stem, sizeof(stem), name);
    for (int i = 0; i < index; i++)
        if (strcmp(config->receivers[i].name, name) == 0) {
            snprintf(name, UW_NAME_LEN, "%s-%u", stem, number++ % 100u);
            i = -1; /* it must differ from all of them */
        }
}

static int add_receiver(struct replay *replay, const char *operand) {
    struct uw_engine_config *config = &replay->config;
    struct uw_engine_receiver *receiver = &config->receivers[config->n_receivers];

    if (strlen(operand) >= UW_PATH_LEN)
        return uw_diag_add(&replay->diag, "%.60s...: the name is too long", operand);
    memset(receiver, 0, sizeof(*receiver));
    name_receiver(operand, name_room(config), receiver);
    receiver->source = replay->source;
    make_unique(config, config->n_receivers);
    config->n_receivers++;
    return 0;
}

static void on_message(void *userdata, enum uw_msg_type type, const char *topic, const char *json) {
    struct replay *replay = userdata;

    (void)topic;
    uw_report_message(replay->report, type, json);
}

static void on_detection(void *userdata, const struct uw_detection *d) {
    struct replay *replay = userdata;

    uw_report_detection(replay->report, d);
    if (replay->annotate || replay->spectrogram)
        uw_marks_add(&replay->marks, d);
}

static void wait_for_the_end(struct replay *replay, struct uw_engine *engine) {
    int64_t begin_ns = uw_clock_mono_ns();
    struct signalfd_siginfo info;

    while (!uw_engine_wait(engine, WAIT_MS)) {
        double elapsed_s = (double)(uw_clock_mono_ns() - begin_ns) / 1e9;

        if (read(replay->signal_fd, &info, sizeof(info)) == sizeof(info)) {
            replay->stopped = true;
            uw_engine_stop(engine);
            uw_engine_wait(engine, STOP_MS);
            break;
        }
        uw_report_progress(replay->report, uw_engine_fraction(engine), elapsed_s);
    }
    uw_report_progress_end(replay->report);
}

/* One engine, from its making to its end. */
static int run_engine(struct replay *replay, struct uw_engine_summary *summary) {
    struct uw_engine *engine = NULL;
    int r;

    r = uw_engine_new(&replay->config, &replay->diag, on_message, on_detection, replay, &engine);
    if (r == 0)
        r = uw_engine_start(engine, &replay->diag);
    if (r == 0) {
        wait_for_the_end(replay, engine);
        r = uw_engine_finish(engine, &replay->diag, summary);
    }
    uw_engine_free(engine);
    return r;
}

static int write_pictures(struct replay *replay) {
    const struct uw_engine_receiver *receiver = &replay->config.receivers[0];
    int r = 0;

    if (replay->marks.failed)
        return -ENOMEM;
    if (replay->annotate)
        r = uw_replay_annotate(receiver, &replay->marks, replay->annotate, &replay->diag);
    if (r == 0 && replay->spectrogram)
        r = uw_replay_spectrogram(receiver, &replay->marks, replay->spectrogram, &replay->diag);
    return r;
}

static int replay_together(struct replay *replay, char **operands, int n) {
    struct uw_engine_summary summary = {0};
    int r = 0;

    replay->config.n_receivers = 0;
    for (int i = 0; i < n && r == 0; i++)
        r = add_receiver(replay, operands[i]);
    if (r == 0)
        r = run_engine(replay, &summary);
    if (r == 0)
        r = write_pictures(replay);
    if (r != 0)
        return uw_cli_report(r, &replay->diag);
    uw_report_summary(replay->report, &summary, replay->stopped);
    return UW_EXIT_OK;
}

static void add_summary(struct uw_engine_summary *sum, const struct uw_engine_summary *s) {
    sum->seconds += s->seconds;
    sum->samples += s->samples;
    sum->detections += s->detections;
    sum->tracks += s->tracks;
    sum->alerts += s->alerts;
    sum->dropped += s->dropped;
    sum->wall_s += s->wall_s;
}

/* Each recording has identifiers of its own, also when several are done within a second. */
static void name_run(const char *given, char run[UW_NAME_LEN]) {
    time_t now = (time_t)(uw_clock_real_ns() / UW_NS_PER_S);
    struct tm tm = {0};

    gmtime_r(&now, &tm);
    strftime(run, UW_NAME_LEN, "r%Y%m%dT%H%M%S", &tm);
    if (given[0])
        uw_str_copy(run, UW_NAME_LEN, given);
}

/* A bad recording does not stop the others, but it is seen in the exit status. */
static int replay_each(struct replay *replay, char **operands, int n) {
    struct uw_engine_summary sum = {0};
    char run[UW_NAME_LEN];
    int status = UW_EXIT_OK;

    name_run(replay->config.run, run);
    for (int i = 0; i < n && !replay->stopped; i++) {
        struct uw_engine_summary summary = {0};
        int r;

        replay->config.n_receivers = 0;
        memset(&replay->diag, 0, sizeof(replay->diag));
        snprintf(replay->config.run, sizeof(replay->config.run), "%.20s-%u", run,
                 (unsigned)(i + 1) % 100000u);
        uw_report_begin(replay->report, operands[i]);
        r = add_receiver(replay, operands[i]);
        if (r == 0)
            r = run_engine(replay, &summary);
        if (r != 0) {
            status = uw_cli_report(r, &replay->diag);
            continue;
        }
        uw_report_recording(replay->report, &summary);
        add_summary(&sum, &summary);
    }
    uw_report_summary(replay->report, &sum, replay->stopped);
    return status;
}

static int check_operands(const struct replay *replay, char **operands, int n) {
    bool pictures = replay->annotate || replay->spectrogram;

    if (n == 0)
        return uw_cli_usage_error("replay", "which recording?");
    if (!replay->each && n > UW_RX_MAX)
        return uw_cli_usage_error("replay", "at most %d receivers (--each takes more)", UW_RX_MAX);
    if (pictures && (n > 1 || strcmp(operands[0], "-") == 0))
        return uw_cli_usage_error("replay",
                                  "--annotate and --spectrogram take one recording, from a file");
    if (replay->each && strlen(replay->config.run) > RUN_EACH_MAX)
        return uw_cli_usage_error("replay", "--each takes a --run of at most %d characters",
                                  RUN_EACH_MAX);
    return 0;
}

/* The file first, whatever the order, so that the command line overrides it. False: *ret_status. */
static bool load_config(struct replay *replay, int argc, char **argv, int *ret_status) {
    struct uw_engine_config *config = &replay->config;
    const char *arg = NULL, *path = NULL;
    int first, c, r;

    uw_engine_config_init(config);
    while ((c = uw_cli_next(&cli, argc, argv, &arg, &first)) > 0)
        if (c == 'c')
            path = arg;
    if (c != UW_CLI_END) {
        *ret_status = c == UW_CLI_HELP ? UW_EXIT_OK : UW_EXIT_USAGE;
        return false;
    }
    r = path ? uw_engine_config_load(path, false, &replay->diag, config) : 0;
    uw_find_signatures(path, config->signature_dir, sizeof(config->signature_dir));
    config->n_receivers = 0;
    config->feed = false; /* a replay is on the feed only when that is asked for */
    *ret_status = uw_cli_report(r, &replay->diag);
    return r == 0;
}

/* False: it is over, with *ret_status. */
static bool parse(struct replay *replay, int argc, char **argv, int *ret_first, int *ret_status) {
    const char *arg = NULL;
    bool signatures = false;
    int c;

    uw_source_params_init(&replay->source);
    if (!load_config(replay, argc, argv, ret_status))
        return false;
    uw_cli_rewind();
    while ((c = uw_cli_next(&cli, argc, argv, &arg, ret_first)) > 0) {
        if (c == 's' && !signatures)
            replay->config.n_signatures = 0;
        signatures |= c == 's';
        *ret_status = set_option(replay, c, arg);
        if (*ret_status != 0)
            return false;
    }
    *ret_status = check_operands(replay, argv + *ret_first, argc - *ret_first);
    return *ret_status == 0;
}

static int run(struct replay *replay, char **operands, int n) {
    int r = uw_report_new(replay->json, &replay->report);

    if (r == 0)
        r = replay->signal_fd = uw_cli_signal_fd();
    if (r < 0)
        return uw_cli_report(r, &replay->diag);
    return replay->each ? replay_each(replay, operands, n) : replay_together(replay, operands, n);
}

int uw_cmd_replay(int argc, char **argv) {
    struct replay *replay = calloc(1, sizeof(*replay));
    int status = UW_EXIT_OK;
    int first = argc;

    if (!replay)
        return uw_cli_report(uw_err(-ENOMEM), NULL);
    if (parse(replay, argc, argv, &first, &status))
        status = run(replay, argv + first, argc - first);
    if (!uw_cli_flush() && status == UW_EXIT_OK)
        status = UW_EXIT_INPUT;
    uw_report_free(replay->report);
    uw_marks_deinit(&replay->marks);
    free(replay);
    return status;
}
