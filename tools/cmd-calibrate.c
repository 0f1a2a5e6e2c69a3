/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * uaswatch calibrate: the error of a receiver's oscillator, from a carrier of known frequency
 *
 * One crystal makes the tuner's frequency and the sample rate. Is it fast by p, a receiver that
 * believes to listen at f_c listens at f_c (1 + p), and a second of its samples is 1 / (1 + p)
 * long: an emitter at f_e appears at
 *
 *     f = (f_e - f_c (1 + p)) / (1 + p) = f_e / (1 + p) - f_c
 *
 * from the centre, so p = f_e / (f_c + f) - 1. If the receiver already corrects c of it, the rest q
 * is what is measured, and 1 + p = (1 + c) (1 + q).
 *
 * The receiver's own lines are not the emitter: the centre (DC), and the harmonics of the 28.8 MHz
 * crystal of RTL2832U dongles, which stand still whatever p is.
 */

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "cmd.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/time.h"
#include "uw/base/util.h"
#include "uw/dsp/carrier.h"
#include "uw/dsp/convert.h"
#include "uw/dsp/fcch.h"
#include "uw/engine/engine.h"
#include "uw/iq/source.h"

#define CRYSTAL_HZ   28.8e6
#define AVOID_HZ     300.0
#define DC_HZ        1000.0
#define BLOCK        65536
#define LIVE_SKIP_S  1.0 /* until gain and oscillator have settled */
#define LIVE_WAIT_S  10.0
#define DRIFT_MAX    1.0 /* ppm a minute */
#define SIGMAS       2.0
#define SPAN_PPM     120.0
#define GSM_SPAN_HZ  95e3
#define OFFSET_SHARE 0.125 /* of the rate: the emitter's place beside the centre */

enum {
    OPT_SECONDS = 256,
    OPT_SPAN,
    OPT_PPM,
    OPT_EMITTER_ERROR,
    OPT_DEVICE,
    OPT_GAIN,
    OPT_GSM,
};

static const struct uw_cli_option options[] = {
    {'e', "emitter-hz", "HZ", "true frequency of the carrier, such as 868.3M (required)"},
    {OPT_GSM, "gsm", NULL, "it is the broadcast channel of a GSM base station"},
    {OPT_EMITTER_ERROR, "emitter-error-ppm", "PPM", "how far off the emitter itself may be (0)"},
    {OPT_SECONDS, "seconds", "S", "listen for so long (10)"},
    {OPT_SPAN, "span-ppm", "PPM", "how far off the receiver may be (120)"},
    {OPT_PPM, "ppm", "PPM", "what the receiver already corrects (from the configuration, or 0)"},
    {'c', "config", "FILE", "configuration that has the receiver"},
    {'n', "receiver", "NAME", "the receiver of that name in the configuration"},
    {OPT_DEVICE, "device", "TYPE:DEVICE",
     "a receiver: rtlsdr:SERIAL, rtl_tcp:HOST:PORT, soapy:ARGS"},
    {OPT_GAIN, "gain", "DB", "gain of a device (automatic)"},
    {'f', "format", "F", "samples of a raw file: cu8, ci8, ci16 or cf32"},
    {'r', "rate", "HZ", "its sample rate, or the device's (2.4M)"},
    {'q', "freq", "HZ", "its centre frequency"},
    {'j', "json", NULL, "the result as one JSON object"},
};

static const struct uw_cli cli = {
    .usage = "uaswatch calibrate --emitter-hz HZ [OPTION]... [RECORDING]",
    .summary =
        "Measures how far a receiver's oscillator is off, from a steady carrier whose frequency\n"
        "is known: a beacon, a signal generator, the carrier of an AM station. Works on a\n"
        "recording, on a receiver of the configuration that no daemon is using, or on a device.\n"
        "Refuses, and says why, when the line is not steady or another is nearly as strong.",
    .options = options,
    .n_options = UW_ARRAY_SIZE(options),
    .epilogue = "Examples:\n"
                "  uaswatch calibrate --emitter-hz 868.3M recording.sigmf-meta\n"
                "  uaswatch calibrate --emitter-hz 446.00625M --device rtl_tcp:192.0.2.7:1234\n"
                "  uaswatch calibrate --gsm --emitter-hz 947.4M --device rtlsdr:north\n"
                "  uaswatch calibrate --emitter-hz 868.3M -c /etc/uaswatch/uaswatch.conf -n mast",
};

struct calibrate {
    struct uw_source_params source;
    double emitter_hz, emitter_error_ppm, seconds, span_ppm, ppm;
    const char *config, *receiver, *recording;
    struct uw_engine_config *engine;
    bool json, gsm;
    int signal_fd;
    struct uw_diag diag;
    struct uw_carrier *carrier; /* one of the two */
    struct uw_fcch *fcch;
};

static int bad_value(const char *option, const char *arg, const char *wanted) {
    return uw_cli_usage_error("calibrate", "--%s: \"%s\" is not %s", option, arg, wanted);
}

static int set_device(struct calibrate *cal, const char *arg) {
    static const struct {
        const char *name;
        enum uw_source_type type;
    } types[] = {
        {"rtlsdr", UW_SOURCE_RTLSDR}, {"rtl_tcp", UW_SOURCE_RTLTCP}, {"soapy", UW_SOURCE_SOAPY}};
    size_t len = strcspn(arg, ":");

    for (size_t i = 0; i < UW_ARRAY_SIZE(types); i++)
        if (strlen(types[i].name) == len && memcmp(types[i].name, arg, len) == 0) {
            cal->source.type = types[i].type;
            cal->source.device = arg[len] ? arg + len + 1 : "";
            return 0;
        }
    return bad_value("device", arg, "rtlsdr:SERIAL, rtl_tcp:HOST:PORT or soapy:ARGS");
}

static int set_number(const char *option, const char *arg, double min, double max, double *ret) {
    if (uw_str_to_double(arg, min, max, ret) == 0)
        return 0;
    return uw_cli_usage_error("calibrate", "--%s: \"%s\" is not a number from %g to %g", option,
                              arg, min, max);
}

static int set_option(struct calibrate *cal, int c, const char *arg) {
    enum uw_iq_format format;

    switch (c) {
    case 'e':
        return set_number("emitter-hz", arg, 1e6, 100e9, &cal->emitter_hz);
    case OPT_EMITTER_ERROR:
        return set_number("emitter-error-ppm", arg, 0, 100, &cal->emitter_error_ppm);
    case OPT_SECONDS:
        return set_number("seconds", arg, 1, 300, &cal->seconds);
    case OPT_SPAN:
        return set_number("span-ppm", arg, 0.1, 1000, &cal->span_ppm);
    case OPT_PPM:
        return set_number("ppm", arg, -1000, 1000, &cal->ppm);
    case OPT_GAIN:
        return set_number("gain", arg, -20, 120, &cal->source.gain_db);
    case 'r':
        return set_number("rate", arg, UW_RATE_MIN_HZ, UW_RATE_MAX_HZ, &cal->source.rate_hz);
    case 'q':
        return set_number("freq", arg, 0, 300e9, &cal->source.freq_hz);
    case OPT_DEVICE:
        return set_device(cal, arg);
    case 'c':
        cal->config = arg;
        return 0;
    case 'n':
        cal->receiver = arg;
        return 0;
    case 'j':
        cal->json = true;
        return 0;
    case OPT_GSM:
        cal->gsm = true;
        return 0;
    default:
        if (uw_iq_format_parse(arg, &format) != 0)
            return bad_value("format", arg, "cu8, ci8, ci16 or cf32");
        cal->source.format = (int)format;
        return 0;
    }
}

static bool is_device(const struct calibrate *cal) {
    return cal->source.type > UW_SOURCE_LOOP;
}

static int check_options(struct calibrate *cal, int n_operands) {
    if (isnan(cal->emitter_hz))
        return uw_cli_usage_error("calibrate", "which frequency has the carrier? (--emitter-hz)");
    if ((cal->receiver != NULL) != (cal->config != NULL))
        return uw_cli_usage_error("calibrate", "--config and --receiver go together");
    if ((n_operands > 0) + (cal->receiver != NULL) + is_device(cal) != 1 || n_operands > 1)
        return uw_cli_usage_error("calibrate",
                                  "one recording, or --device, or --receiver is needed");
    return 0;
}

static int take_receiver(struct calibrate *cal) {
    int r;

    cal->engine = calloc(1, sizeof(*cal->engine));
    if (!cal->engine)
        return uw_err(-ENOMEM);
    uw_engine_config_init(cal->engine);
    r = uw_engine_config_load(cal->config, true, &cal->diag, cal->engine);
    if (r)
        return r;
    for (int i = 0; i < cal->engine->n_receivers; i++) {
        const struct uw_engine_receiver *receiver = &cal->engine->receivers[i];
        if (strcmp(receiver->name, cal->receiver) != 0)
            continue;
        cal->source = receiver->source;
        cal->source.path = receiver->path;
        cal->source.device = receiver->device;
        return 0;
    }
    return uw_diag_add(&cal->diag, "%s: there is no receiver \"%s\"", cal->config, cal->receiver);
}

/* The emitter a little beside the centre, where the DC line is not in the span. */
static void place(struct calibrate *cal) {
    if (!is_device(cal))
        return;
    if (isnan(cal->source.rate_hz))
        cal->source.rate_hz = 2.4e6;
    cal->source.freq_hz = round(cal->emitter_hz - OFFSET_SHARE * cal->source.rate_hz);
}

static void avoid(struct uw_carrier_config *config, double freq_hz, double width_hz) {
    if (fabs(freq_hz - config->freq_hz) > config->span_hz + width_hz)
        return;
    config->avoid[config->n_avoid].freq_hz = freq_hz;
    config->avoid[config->n_avoid].width_hz = width_hz;
    config->n_avoid++;
}

static int make_fcch(struct calibrate *cal, const struct uw_source_info *info) {
    const struct uw_fcch_config config = {
        .rate_hz = info->rate_hz,
        .freq_hz = cal->emitter_hz - info->freq_hz,
        .span_hz = cal->span_ppm * 1e-6 * cal->emitter_hz,
    };
    int r;

    if (config.span_hz > GSM_SPAN_HZ)
        return uw_diag_add(&cal->diag,
                           "--span-ppm %g reaches into the next channel: with --gsm at most %.0f "
                           "here",
                           cal->span_ppm, floor(GSM_SPAN_HZ / cal->emitter_hz * 1e6));
    r = uw_fcch_new(&config, &cal->fcch);
    if (r == -EINVAL)
        return uw_diag_add(&cal->diag, "the channel at %.6f MHz is not within %.6f MHz +- %.3f MHz",
                           cal->emitter_hz / 1e6, info->freq_hz / 1e6, 0.5e-6 * info->rate_hz);
    return r;
}

static int make_carrier(struct calibrate *cal, const struct uw_source_info *info) {
    double harmonic = round(cal->emitter_hz / CRYSTAL_HZ) * CRYSTAL_HZ;
    struct uw_carrier_config config = {
        .rate_hz = info->rate_hz,
        .freq_hz = cal->emitter_hz - info->freq_hz,
        .span_hz = cal->span_ppm * 1e-6 * cal->emitter_hz,
    };

    if (isnan(info->freq_hz))
        return uw_diag_add(&cal->diag, "%s: its centre frequency is not known: give --freq",
                           info->description);
    if (cal->gsm)
        return make_fcch(cal, info);
    if (fabs(config.freq_hz) + config.span_hz > 0.45 * info->rate_hz)
        return uw_diag_add(
            &cal->diag, "%.6f MHz with %g ppm to either side is not within %.6f MHz +- %.3f MHz",
            cal->emitter_hz / 1e6, cal->span_ppm, info->freq_hz / 1e6, 0.45 * info->rate_hz / 1e6);
    avoid(&config, 0, DC_HZ);
    avoid(&config, harmonic * (1 + cal->source.ppm * 1e-6) - info->freq_hz, AVOID_HZ);
    return uw_carrier_new(&config, &cal->carrier);
}

static bool interrupted(const struct calibrate *cal) {
    struct pollfd p = {.fd = cal->signal_fd, .events = POLLIN};

    return poll(&p, 1, 0) > 0;
}

struct listening {
    double rate_hz;
    double skip;  /* samples, before what counts */
    double heard; /* samples that count */
    bool begun;
    int64_t since_ns; /* of the latest samples */
};

static void use_block(struct calibrate *cal, struct listening *l, float complex *x,
                      const struct uw_source_block *block) {
    float scale = isnan(block->gain_db) ? 1 : (float)pow(10, -block->gain_db / 20);

    if (l->skip > 0) {
        l->skip -= (double)block->n;
        return;
    }
    if (l->begun && (block->lost || block->fresh)) {
        if (cal->gsm)
            uw_fcch_gap(cal->fcch, (double)block->lost / l->rate_hz);
        else
            uw_carrier_gap(cal->carrier, (double)block->lost / l->rate_hz);
    }
    l->begun = true;
    for (size_t i = 0; i < block->n; i++)
        x[i] *= scale;
    if (cal->gsm)
        uw_fcch_push(cal->fcch, x, block->n);
    else
        uw_carrier_push(cal->carrier, x, block->n);
    l->heard += (double)block->n;
}

static int silent(struct calibrate *cal, struct uw_source *source) {
    struct uw_source_health health;

    uw_source_health(source, &health);
    return uw_diag_add(&cal->diag, "no samples for %.0f s: %s", LIVE_WAIT_S,
                       health.advice[0] ? health.advice : "look at the receiver.");
}

static int listen_to(struct calibrate *cal, struct uw_source *source) {
    const struct uw_source_info *info = uw_source_info(source);
    struct listening l = {.rate_hz = info->rate_hz,
                          .skip = info->live ? LIVE_SKIP_S * info->rate_hz : 0,
                          .since_ns = uw_clock_mono_ns()};
    unsigned char *raw = malloc(BLOCK * uw_iq_format_size(info->format));
    float complex *x = malloc(BLOCK * sizeof(*x));
    int r = raw && x ? 0 : uw_err(-ENOMEM);

    while (r == 0 && l.heard < cal->seconds * l.rate_hz && !interrupted(cal)) {
        struct uw_source_block block;

        r = uw_source_read(source, raw, BLOCK, &cal->diag, &block);
        if (r || block.end)
            break;
        if (block.n) {
            uw_convert(info->format, raw, block.n, x);
            use_block(cal, &l, x, &block);
            l.since_ns = uw_clock_mono_ns();
        } else if ((double)(uw_clock_mono_ns() - l.since_ns) > LIVE_WAIT_S * 1e9) {
            r = silent(cal, source);
        }
    }
    free(raw);
    free(x);
    return r;
}

static const char *reason_of(const struct calibrate *cal, enum uw_carrier_verdict verdict) {
    static const char *const reasons[UW_CARRIER_VERDICT_N] = {
        [UW_CARRIER_SHORT] = "too little was heard: a second at least is needed",
        [UW_CARRIER_NONE] = "there is no line: check frequency, antenna and gain, or widen "
                            "--span-ppm",
        [UW_CARRIER_WIDE] = "the signal is modulated: most of its power is beside the line",
        [UW_CARRIER_FADING] = "the line is not there all the time, or changes its strength",
        [UW_CARRIER_UNSTEADY] = "the line's frequency is not steady",
        [UW_CARRIER_EDGE] = "the line is at the end of what was searched: widen --span-ppm",
    };

    if (cal->gsm && verdict == UW_CARRIER_NONE)
        return "there are no frequency bursts: this is no broadcast channel of a GSM base station "
               "in reach; try another channel";
    if (cal->gsm && verdict == UW_CARRIER_UNSTEADY)
        return "there are tones, but not in the rhythm of a GSM base station, or of changing "
               "frequency";
    return reasons[verdict];
}

static int refuse(struct calibrate *cal, const struct uw_carrier_result *c, double centre_hz) {
    if (c->verdict == UW_CARRIER_AMBIGUOUS)
        return uw_diag_add(&cal->diag,
                           "refused: there is more than one line, at %.6f and %.6f MHz: which is "
                           "the emitter? Narrow --span-ppm",
                           (centre_hz + c->freq_hz) / 1e6, (centre_hz + c->other_hz) / 1e6);
    return uw_diag_add(&cal->diag, "refused: %s", reason_of(cal, c->verdict));
}

static void print_result(const struct calibrate *cal, const struct uw_carrier_result *c, double ppm,
                         double error, double drift) {
    if (cal->json) {
        json_t *o =
            json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:i}", "ppm", ppm, "error_ppm", error,
                      "emitter_hz", cal->emitter_hz, "offset_hz", c->freq_hz, "drift_ppm_min",
                      drift, "snr_db", c->snr_db, "seconds", c->seconds, "segments", c->n_segments);
        json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
        printf("\n");
        json_decref(o);
        return;
    }
    printf("The oscillator is %s by %.3f ppm +- %.3f ppm (95 %%).\n", ppm < 0 ? "slow" : "fast",
           fabs(ppm), error);
    printf(
        "Line %.1f dB over the noise of the band, %d pieces of %.1f s, drift %.3f ppm a minute.\n",
        c->snr_db, c->n_segments, c->seconds, drift);
    if (cal->ppm != 0)
        printf("Of this %.3f ppm were corrected already.\n", cal->ppm);
    printf("In the receiver's group of the configuration:\n\n    ppm = %.2f;\n", ppm);
}

static int conclude(struct calibrate *cal, double centre_hz) {
    struct uw_carrier_result c;
    double tone = cal->gsm ? UW_FCCH_TONE_HZ : 0;
    double q, ppm, error, drift;

    if (cal->gsm)
        uw_fcch_result(cal->fcch, &c);
    else
        uw_carrier_result(cal->carrier, &c);
    if (c.verdict != UW_CARRIER_GOOD)
        return refuse(cal, &c, centre_hz);
    q = (cal->emitter_hz + tone) / (centre_hz + c.freq_hz + tone) - 1;
    ppm = ((1 + cal->ppm * 1e-6) * (1 + q) - 1) * 1e6;
    error = hypot(SIGMAS * c.error_hz / cal->emitter_hz * 1e6, cal->emitter_error_ppm);
    drift = -c.drift_hz_s * 60 / cal->emitter_hz * 1e6;
    if (fabs(drift) > DRIFT_MAX && fabs(drift) * c.seconds / 60 > 2 * error)
        return uw_diag_add(&cal->diag,
                           "refused: the oscillator drifts by %.1f ppm a minute: let the receiver "
                           "warm up, and repeat",
                           drift);
    print_result(cal, &c, ppm, error, drift);
    return 0;
}

static int run(struct calibrate *cal) {
    struct uw_source *source = NULL;
    double ppm = cal->ppm;
    int r = cal->receiver ? take_receiver(cal) : 0;

    if (r)
        return r;
    place(cal);
    /* what a device corrects is what it is told to correct */
    cal->ppm = isnan(ppm) ? cal->source.ppm : ppm;
    if (is_device(cal))
        cal->source.ppm = cal->ppm;
    r = uw_source_open(&cal->source, &cal->diag, &source);
    if (r == 0)
        r = make_carrier(cal, uw_source_info(source));
    if (r == 0)
        r = listen_to(cal, source);
    if (r == 0)
        r = conclude(cal, uw_source_info(source)->freq_hz);
    uw_source_close(source);
    cal->carrier = uw_carrier_free(cal->carrier);
    cal->fcch = uw_fcch_free(cal->fcch);
    return r;
}

int uw_cmd_calibrate(int argc, char **argv) {
    static struct calibrate cal;
    const char *arg = NULL;
    int first = argc;
    int c, r;

    cal = (struct calibrate){.emitter_hz = NAN, .seconds = 10, .span_ppm = NAN, .ppm = NAN};
    uw_source_params_init(&cal.source);
    while ((c = uw_cli_next(&cli, argc, argv, &arg, &first)) > 0) {
        r = set_option(&cal, c, arg);
        if (r)
            return r;
    }
    if (c != UW_CLI_END)
        return c == UW_CLI_HELP ? UW_EXIT_OK : UW_EXIT_USAGE;
    r = check_options(&cal, argc - first);
    if (r)
        return r;
    if (isnan(cal.span_ppm))
        cal.span_ppm =
            cal.gsm ? fmin(SPAN_PPM, floor(GSM_SPAN_HZ / cal.emitter_hz * 1e6)) : SPAN_PPM;
    if (first < argc)
        cal.source.path = argv[first];
    cal.signal_fd = uw_cli_signal_fd();
    r = run(&cal);
    free(cal.engine);
    if (cal.signal_fd >= 0)
        close(cal.signal_fd);
    if (r)
        return uw_cli_report(r, &cal.diag);
    return uw_cli_flush() ? UW_EXIT_OK : UW_EXIT_INPUT;
}
