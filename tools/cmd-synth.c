/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * uaswatch synth: samples with known truth from a scenario
 *
 * One SigMF pair a receiver. The data go to a temporary name that is renamed once they are whole;
 * the meta file, which makes the pair complete, comes last.
 */

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "cmd.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/time.h"
#include "uw/base/util.h"
#include "uw/iq/sigmf.h"
#include "uw/synth/synth.h"

#define CHUNK    65536 /* samples at a time */
#define PATH_LEN 4096

static const struct uw_cli_option options[] = {
    {'o', "output", "OUT",
     "write OUT.sigmf-data and OUT.sigmf-meta (needed); with several\n"
     "receivers OUT-RECEIVER.sigmf-data and so on"},
    {'s', "seed", "N", "use this seed instead of the scenario's"},
    {'d', "duration", "SECONDS", "use this duration instead of the scenario's"},
};

static const struct uw_cli cli = {
    .usage = "uaswatch synth [OPTION]... SCENARIO -o OUT",
    .summary =
        "Makes the samples that receivers would record of the emitters in SCENARIO. The truth\n"
        "stands burst by burst in the annotations. Existing files are replaced.",
    .options = options,
    .n_options = UW_ARRAY_SIZE(options),
    .epilogue = "Example: uaswatch synth config/scenarios/quickstart.conf -o sample\n"
                "         uaswatch replay sample.sigmf-meta\n",
};

struct job {
    const struct uw_scenario *scenario;
    int receiver;
    struct uw_diag *diag;
    struct uw_sigmf_writer *writer;
    int error;
    char data[PATH_LEN], part[PATH_LEN + 8], meta[PATH_LEN];
    int signal_fd;
    int64_t started_ns, shown_ns;
};

static void closep(FILE **f) {
    if (*f)
        fclose(*f);
}

static void show_progress(struct job *job, double done) {
    int64_t now = uw_clock_mono_ns();
    if (!isatty(STDERR_FILENO) || now - job->started_ns < UW_NS_PER_S ||
        now - job->shown_ns < UW_NS_PER_S / 5)
        return;
    job->shown_ns = now;
    fprintf(stderr, "\r%s: %3.0f %%", job->scenario->receivers[job->receiver].name, 100 * done);
    fflush(stderr);
}

static bool is_interrupted(const struct job *job) {
    struct pollfd p = {.fd = job->signal_fd, .events = POLLIN};
    return job->signal_fd >= 0 && poll(&p, 1, 0) > 0;
}

static int write_samples(struct job *job, FILE *f) {
    UW_CLEANUP(uw_synth_freep) struct uw_synth *synth = NULL;
    const struct uw_synth_receiver *receiver = &job->scenario->receivers[job->receiver];
    static unsigned char buffer[CHUNK * 8];
    double total = job->scenario->duration_s * receiver->rate_hz, done = 0;
    size_t n, size = uw_iq_format_size(receiver->format);
    int r = uw_synth_new(job->scenario, job->receiver, job->diag, &synth);

    if (r != 0)
        return r;
    do {
        r = uw_synth_read(synth, buffer, CHUNK, &n);
        if (r < 0)
            return r;
        if (fwrite(buffer, size, n, f) != n)
            return uw_diag_add(job->diag, "%s: %s", job->part, strerror(errno));
        if (is_interrupted(job))
            return uw_diag_add(job->diag, "%s: interrupted", job->data);
        done += (double)n;
        show_progress(job, done / total);
    } while (n == CHUNK);
    return 0;
}

static int write_data(struct job *job) {
    UW_CLEANUP(closep) FILE *f = fopen(job->part, "wb");
    int r;

    if (!f)
        return uw_diag_add(job->diag, "%s: %s", job->part, strerror(errno));
    r = write_samples(job, f);
    if (r == 0 && fflush(f) != 0)
        r = uw_diag_add(job->diag, "%s: %s", job->part, strerror(errno));
    if (job->shown_ns > 0)
        fprintf(stderr, "\r%-40s\r", "");
    return r;
}

static const char *end_name(enum uw_synth_end end) {
    if (end == UW_SYNTH_OTHER)
        return NULL;
    return end == UW_SYNTH_AIRCRAFT ? "aircraft" : "handset";
}

/* The extension members of one burst. */
static char *extra_text(const struct uw_synth_burst *b) {
    json_t *o =
        json_pack("{s:s, s:s, s:s*, s:s*, s:i, s:f, s:f, s:f, s:s*}", "emitter", b->emitter_name,
                  "link", b->link, "variant", b->variant[0] ? b->variant : NULL, "domain",
                  b->domain[0] ? b->domain : NULL, "channel", b->channel, "start", b->start,
                  "count", b->count, "in_band", b->in_band, "end", end_name(b->end));
    char *text = NULL;

    if (o && isfinite(b->snr_db))
        json_object_set_new(o, "snr_db", json_real(round(b->snr_db * 1000) / 1000));
    if (o)
        text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(12));
    json_decref(o);
    return text;
}

static bool annotate(const struct uw_synth_burst *b, void *userdata) {
    struct job *job = userdata;
    const struct uw_synth_receiver *receiver = &job->scenario->receivers[job->receiver];
    double last = job->scenario->duration_s * receiver->rate_hz;
    double from = ceil(b->start), to = fmin(ceil(b->start + b->count), last);
    char label[100];

    if (!(b->in_band > 0) || to <= from)
        return true;
    snprintf(label, sizeof(label), "%s%s%s%s%s", b->link, b->variant[0] ? " " : "", b->variant,
             b->domain[0] ? " " : "", b->domain);
    char *extra = extra_text(b);
    struct uw_sigmf_annotation a = {
        .start = (uint64_t)from,
        .count = (uint64_t)(to - from),
        .lower_hz = fmax(b->lower_hz, receiver->freq_hz - 0.5 * receiver->rate_hz),
        .upper_hz = fmin(b->upper_hz, receiver->freq_hz + 0.5 * receiver->rate_hz),
        .label = label,
        .extra_json = extra,
    };
    job->error = extra ? uw_sigmf_writer_annotate(job->writer, &a) : uw_err(-ENOMEM);
    free(extra);
    return job->error == 0;
}

static int write_meta(struct job *job) {
    const struct uw_scenario *s = job->scenario;
    const struct uw_synth_receiver *receiver = &s->receivers[job->receiver];
    struct uw_sigmf_meta meta = {
        .format = receiver->format,
        .rate_hz = receiver->rate_hz,
        .freq_hz = receiver->freq_hz,
        .start_ns = s->start_ns,
    };
    char text[64];
    int r = uw_sigmf_writer_new(job->meta, &meta, s->description[0] ? s->description : NULL,
                                &job->writer);

    if (r != 0)
        return r;
    snprintf(text, sizeof(text), "%llu", (unsigned long long)s->seed);
    r = uw_sigmf_writer_global(job->writer, "seed", text);
    if (r == 0) {
        snprintf(text, sizeof(text), "\"%s\"", receiver->name);
        r = uw_sigmf_writer_global(job->writer, "receiver", text);
    }
    if (r == 0)
        r = uw_synth_truth(s, job->receiver, job->diag, annotate, job);
    if (r == 0)
        r = job->error;
    if (r == 0 && rename(job->part, job->data) != 0)
        r = uw_diag_add(job->diag, "%s: %s", job->data, strerror(errno));
    return r == 0 ? uw_sigmf_writer_finish(job->writer, job->diag) : r;
}

/* OUT without a SigMF ending, so that any of the pair's names may be given. */
static void base_name(const char *out, char base[PATH_LEN - 64]) {
    static const char *const endings[] = {".sigmf-data", ".sigmf-meta", ".sigmf"};

    uw_str_copy(base, PATH_LEN - 64, out);
    for (size_t i = 0; i < UW_ARRAY_SIZE(endings); i++)
        if (uw_str_ends_with(base, endings[i])) {
            base[strlen(base) - strlen(endings[i])] = 0;
            return;
        }
}

static int run_receiver(struct job *job, const char *out) {
    const struct uw_scenario *s = job->scenario;
    const char *name = s->receivers[job->receiver].name;
    char base[PATH_LEN - 64];
    int r;

    base_name(out, base);
    const char *dash = s->n_receivers > 1 ? "-" : "", *tail = s->n_receivers > 1 ? name : "";
    snprintf(job->data, sizeof(job->data), "%s%s%s.sigmf-data", base, dash, tail);
    snprintf(job->meta, sizeof(job->meta), "%s%s%s.sigmf-meta", base, dash, tail);
    snprintf(job->part, sizeof(job->part), "%s.part", job->data);
    r = write_data(job);
    if (r == 0)
        r = write_meta(job);
    job->writer = uw_sigmf_writer_free(job->writer);
    if (r != 0)
        unlink(job->part);
    else
        printf("%s\n", job->meta);
    return r;
}

static int run(struct uw_scenario *scenario, const char *out, struct uw_diag *diag) {
    int fd = uw_cli_signal_fd(), r = 0;

    for (int i = 0; i < scenario->n_receivers && r == 0; i++) {
        struct job *job = calloc(1, sizeof(*job));
        if (!job)
            return uw_err(-ENOMEM);
        job->scenario = scenario;
        job->receiver = i;
        job->diag = diag;
        job->signal_fd = fd;
        job->started_ns = uw_clock_mono_ns();
        r = run_receiver(job, out);
        free(job);
    }
    return r;
}

int uw_cmd_synth(int argc, char **argv) {
    UW_CLEANUP(uw_scenario_freep) struct uw_scenario *scenario = NULL;
    static struct uw_diag diag;
    const char *arg = NULL, *out = NULL;
    double duration = NAN;
    int64_t seed = -1;
    int first = argc, c, r;

    while ((c = uw_cli_next(&cli, argc, argv, &arg, &first)) > 0) {
        if (c == 'o')
            out = arg;
        if (c == 's' && uw_str_to_int64(arg, 0, INT64_MAX, &seed) != 0)
            return uw_cli_usage_error("synth", "--seed %s: a number from 0 is needed", arg);
        if (c == 'd' && uw_str_to_double(arg, 1e-6, 1e7, &duration) != 0)
            return uw_cli_usage_error("synth", "--duration %s: seconds are needed", arg);
    }
    if (c != UW_CLI_END)
        return c == UW_CLI_HELP ? UW_EXIT_OK : UW_EXIT_USAGE;
    if (argc - first != 1)
        return uw_cli_usage_error("synth", "one SCENARIO is needed");
    if (!out || !out[0] || strlen(out) > PATH_LEN - 128)
        return uw_cli_usage_error("synth", "-o OUT is needed");
    r = uw_scenario_load(argv[first], &diag, &scenario);
    if (r != 0)
        return uw_cli_report(r, &diag);
    if (seed >= 0)
        scenario->seed = (uint64_t)seed;
    if (!isnan(duration))
        scenario->duration_s = duration;
    r = run(scenario, out, &diag);
    if (r != 0)
        return uw_cli_report(r, &diag);
    return uw_cli_flush() ? UW_EXIT_OK : UW_EXIT_INPUT;
}
