/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whatever SoapySDR has a driver for
 *
 * The library is 0.8, its C interface. The device is given as SoapySDR's
 * own arguments, "driver=lime,serial=...", of which three are ours and not handed on:
 *
 *   antenna=NAME   port of the antenna; else the driver's
 *   channel=N      receive channel, from 0
 *   format=CF32    samples in floating point instead of 16 bits, for drivers that have no other
 *
 * Drivers differ in what they tell: an overflow may come as a code, as a gap in their times, or not
 * at all. So nothing of that is counted; what is missing is missing by the clock (stream.c). Codes
 * only say that the stream is not continuous, or that it has ended.
 *
 * A call into a driver may take as long as it likes. Only the threads of the live part wait for it.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <SoapySDR/Device.h>
#include <SoapySDR/Errors.h>
#include <SoapySDR/Formats.h>
#include <SoapySDR/Logger.h>

#include "live-impl.h"
#include "source-impl.h"
#include "uw/base/err.h"
#include "uw/base/iq-format.h"
#include "uw/base/str.h"

#define BUFFER_S    0.01
#define HOLD_S      0.3
#define SETTLE_S    0.02 /* synthesisers and filters differ; the slowest of common ones */
#define STALL_S     3.0
#define READ_US     100000
#define ERRORS_MAX  50 /* readings in a row that give nothing but an error */
#define ARGS_LEN    512
#define NAME_LEN    64
#define FREQ_MIN_HZ 1e6
#define FREQ_MAX_HZ 100e9
#define RATE_OFF    1e-4 /* a driver rounds to what its dividers can do; more is another rate */

struct soapy {
    struct uw_live_driver driver;
    char args[ARGS_LEN], antenna[NAME_LEN];
    size_t channel;
    enum uw_iq_format format;
    double rate_hz, ppm;
    bool corrects; /* the driver knows of ppm; else it is put into the frequency */
    int n_gains;
    double gains_db[UW_LIVE_GAINS_MAX];
    size_t n_buf; /* samples */
    unsigned char *buf;
    SoapySDRDevice *device;
    SoapySDRStream *stream;
};

/* A driver's own words, cut to what a sentence can bear. */
static const char *words(int code) {
    const char *text = SoapySDRDevice_lastError();

    return text && text[0] ? text : SoapySDR_errToStr(code);
}

static int refused(struct uw_live *live, const char *what, int code) {
    return uw_live_trouble(live, UW_SOURCE_PROBLEM_REFUSED,
                           "The receiver refuses its %s (%.60s): choose another.", what,
                           words(code));
}

static int set_rate(struct uw_live *live, struct soapy *s) {
    int r = SoapySDRDevice_setSampleRate(s->device, SOAPY_SDR_RX, s->channel, s->rate_hz);
    double got = SoapySDRDevice_getSampleRate(s->device, SOAPY_SDR_RX, s->channel);

    if (r)
        return refused(live, "sample rate", r);
    if (!(fabs(got / s->rate_hz - 1) < RATE_OFF))
        return uw_live_trouble(live, UW_SOURCE_PROBLEM_REFUSED,
                               "The receiver takes %.6f million samples a second instead of %.6f: "
                               "set rate_hz to what it can do.",
                               got / 1e6, s->rate_hz / 1e6);
    return 0;
}

static int set_freq(struct uw_live *live, struct soapy *s, double freq_hz) {
    double hz = s->corrects ? freq_hz : freq_hz / (1 + s->ppm * 1e-6);
    int r = SoapySDRDevice_setFrequency(s->device, SOAPY_SDR_RX, s->channel, hz, NULL);
    double got = SoapySDRDevice_getFrequency(s->device, SOAPY_SDR_RX, s->channel);

    if (r)
        return refused(live, "frequency", r);
    /* as far off as no oscillator is: it has gone to the end of its range */
    if (!(fabs(got - hz) < 1e-5 * hz))
        return uw_live_trouble(live, UW_SOURCE_PROBLEM_REFUSED,
                               "The receiver goes to %.3f MHz instead of %.3f: choose a frequency "
                               "in its range.",
                               got / 1e6, freq_hz / 1e6);
    return 0;
}

/* The range in steps: what the controller can choose from. */
static void read_gains(struct soapy *s) {
    SoapySDRRange range = SoapySDRDevice_getGainRange(s->device, SOAPY_SDR_RX, s->channel);
    double step = range.step > 0 ? range.step : 1;

    s->n_gains = 0;
    if (!(range.maximum > range.minimum) || !isfinite(range.maximum - range.minimum))
        return;
    step = fmax(step, (range.maximum - range.minimum) / (UW_LIVE_GAINS_MAX - 1));
    while (s->n_gains < UW_LIVE_GAINS_MAX &&
           range.minimum + s->n_gains * step <= range.maximum + 1e-9) {
        s->gains_db[s->n_gains] = range.minimum + s->n_gains * step;
        s->n_gains++;
    }
}

static int set_gain(struct uw_live *live, struct soapy *s, double *gain_db) {
    double low = s->n_gains ? s->gains_db[0] : *gain_db;
    double high = s->n_gains ? s->gains_db[s->n_gains - 1] : *gain_db;
    double gain = fmin(fmax(*gain_db, low), high);
    int r = SoapySDRDevice_setGain(s->device, SOAPY_SDR_RX, s->channel, gain);

    if (r)
        return refused(live, "gain", r);
    *gain_db = SoapySDRDevice_getGain(s->device, SOAPY_SDR_RX, s->channel);
    return 0;
}

static int set_bias_tee(struct uw_live *live, struct soapy *s) {
    static const char *const keys[] = {"biastee", "biasT_ctrl", "bias_tee"};
    size_t n = 0;
    SoapySDRArgInfo *known = SoapySDRDevice_getSettingInfo(s->device, &n);
    int r = SOAPY_SDR_NOT_SUPPORTED;

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
            if (known[i].key && strcmp(known[i].key, keys[k]) == 0)
                r = SoapySDRDevice_writeSetting(s->device, keys[k], SOAPY_SDR_TRUE);
    SoapySDRArgInfoList_clear(known, n);
    return r ? uw_live_trouble(live, UW_SOURCE_PROBLEM_REFUSED,
                               "The receiver has no supply for an amplifier that could be switched "
                               "on: leave bias_tee out.")
             : 0;
}

static int set_all(struct uw_live *live, struct soapy *s, struct uw_live_setup *setup) {
    int r;

    if (SoapySDRDevice_getNumChannels(s->device, SOAPY_SDR_RX) <= s->channel)
        return uw_live_trouble(live, UW_SOURCE_PROBLEM_REFUSED,
                               "The receiver has no receive channel %zu.", s->channel);
    if (s->antenna[0]) {
        r = SoapySDRDevice_setAntenna(s->device, SOAPY_SDR_RX, s->channel, s->antenna);
        if (r)
            return refused(live, "antenna", r);
    }
    r = set_rate(live, s);
    if (r)
        return r;
    s->ppm = setup->ppm;
    s->corrects =
        s->ppm != 0 && SoapySDRDevice_hasFrequencyCorrection(s->device, SOAPY_SDR_RX, s->channel) &&
        SoapySDRDevice_setFrequencyCorrection(s->device, SOAPY_SDR_RX, s->channel, s->ppm) == 0;
    r = set_freq(live, s, setup->freq_hz);
    if (r)
        return r;
    if (SoapySDRDevice_hasGainMode(s->device, SOAPY_SDR_RX, s->channel))
        SoapySDRDevice_setGainMode(s->device, SOAPY_SDR_RX, s->channel, false);
    read_gains(s);
    setup->got_freq_hz = setup->freq_hz;
    setup->got_gain_db = setup->gain_db;
    setup->n_gains = s->n_gains;
    memcpy(setup->gains_db, s->gains_db, (size_t)s->n_gains * sizeof(s->gains_db[0]));
    r = set_gain(live, s, &setup->got_gain_db);
    return r || !setup->bias_tee ? r : set_bias_tee(live, s);
}

static int begin_stream(struct uw_live *live, struct soapy *s) {
    const char *format = s->format == UW_IQ_CF32 ? SOAPY_SDR_CF32 : SOAPY_SDR_CS16;
    int r;

    s->stream = SoapySDRDevice_setupStream(s->device, SOAPY_SDR_RX, format, &s->channel, 1, NULL);
    if (!s->stream)
        return uw_live_trouble(live, UW_SOURCE_PROBLEM_REFUSED,
                               "The receiver gives no samples in %s (%.60s): add %s to its "
                               "arguments.",
                               format, words(SOAPY_SDR_NOT_SUPPORTED),
                               s->format == UW_IQ_CF32 ? "format=CS16" : "format=CF32");
    r = SoapySDRDevice_activateStream(s->device, s->stream, 0, 0, 0);
    if (r)
        return uw_live_trouble(live, UW_SOURCE_PROBLEM_STALLED,
                               "The receiver does not begin (%.80s): look at its supply and cable.",
                               words(r));
    return 0;
}

static void soapy_close(void *device) {
    struct soapy *s = device;

    if (s->stream) {
        SoapySDRDevice_deactivateStream(s->device, s->stream, 0, 0);
        SoapySDRDevice_closeStream(s->device, s->stream);
    }
    if (s->device)
        SoapySDRDevice_unmake(s->device);
    s->stream = NULL;
    s->device = NULL;
}

static int soapy_open(struct uw_live *live, void *device, struct uw_live_setup *setup) {
    struct soapy *s = device;
    char *hardware;
    int r;

    s->device = SoapySDRDevice_makeStrArgs(s->args);
    if (!s->device)
        return uw_live_trouble(
            live, UW_SOURCE_PROBLEM_ABSENT,
            "SoapySDR finds no receiver \"%.48s\" (%.60s): plug it in, or look at "
            "what SoapySDRUtil --find says.",
            s->args, words(SOAPY_SDR_NOT_SUPPORTED));
    hardware = SoapySDRDevice_getHardwareKey(s->device);
    snprintf(setup->what, sizeof(setup->what), "%.60s", hardware ? hardware : "receiver");
    SoapySDR_free(hardware);
    r = set_all(live, s, setup);
    if (r == 0)
        r = begin_stream(live, s);
    if (r)
        soapy_close(s);
    return r;
}

static int soapy_stream(struct uw_live *live, void *device) {
    struct soapy *s = device;
    size_t sample_bytes = uw_iq_format_size(s->format);
    int n_errors = 0;

    while (!uw_live_interrupted(live)) {
        void *bufs[] = {s->buf};
        long long time_ns = 0;
        int flags = 0;
        int n = SoapySDRDevice_readStream(s->device, s->stream, bufs, s->n_buf, &flags, &time_ns,
                                          READ_US);

        if (n > 0) {
            n_errors = 0;
            uw_live_give(live, s->buf, (size_t)n * sample_bytes);
        } else if (n != 0 && n != SOAPY_SDR_TIMEOUT && n != SOAPY_SDR_OVERFLOW) {
            n_errors++;
        }
        if (n_errors == ERRORS_MAX || n == SOAPY_SDR_NOT_SUPPORTED)
            return uw_live_trouble(live, UW_SOURCE_PROBLEM_STALLED,
                                   "The receiver gives errors instead of samples (%.80s): look at "
                                   "its cable and supply.",
                                   SoapySDR_errToStr(n));
    }
    return 0;
}

/* readStream() returns within READ_US by itself. */
static void soapy_interrupt(void *device) {
    (void)device;
}

static int soapy_tune(struct uw_live *live, void *device, double *freq_hz) {
    return set_freq(live, device, *freq_hz);
}

static int soapy_gain(struct uw_live *live, void *device, double *gain_db) {
    return set_gain(live, device, gain_db);
}

static void soapy_free(void *device) {
    struct soapy *s = device;

    soapy_close(s);
    free(s->buf);
    free(s);
}

static const struct uw_live_driver driver = {
    .name = "soapy",
    .buffer_s = BUFFER_S,
    .jitter_s = BUFFER_S,
    .hold_s = HOLD_S,
    .settle_s = SETTLE_S,
    .stall_s = STALL_S,
    .open = soapy_open,
    .stream = soapy_stream,
    .interrupt = soapy_interrupt,
    .tune = soapy_tune,
    .gain = soapy_gain,
    .close = soapy_close,
    .free = soapy_free,
};

static int take_own(struct soapy *s, const char *key, size_t key_len, const char *value,
                    size_t value_len, bool *ret_own) {
    char text[NAME_LEN];
    int64_t channel;

    *ret_own = true;
    if (value_len >= sizeof(text))
        return -EINVAL;
    memcpy(text, value, value_len);
    text[value_len] = 0;
    if (key_len == 7 && memcmp(key, "antenna", 7) == 0)
        return uw_str_copy(s->antenna, sizeof(s->antenna), text) ? 0 : -EINVAL;
    if (key_len == 7 && memcmp(key, "channel", 7) == 0) {
        if (uw_str_to_int64(text, 0, 63, &channel))
            return -EINVAL;
        s->channel = (size_t)channel;
        return 0;
    }
    s->format = strcmp(text, "CF32") == 0 ? UW_IQ_CF32 : UW_IQ_CI16;
    return strcmp(text, "CF32") == 0 || strcmp(text, "CS16") == 0 ? 0 : -EINVAL;
}

/* "key=value, key=value": what is ours is taken out. */
static int parse_args(struct soapy *s, const char *text) {
    size_t len = 0;

    while (*text) {
        size_t n = strcspn(text, ","), key_len;
        const char *end = text + n, *key = text + strspn(text, " ");
        bool own = false;

        key_len = strcspn(key, "= ,");
        if (key + key_len < end && key[key_len] == '=' && key_len > 5 &&
            (strncmp(key, "antenna=", 8) == 0 || strncmp(key, "channel=", 8) == 0 ||
             strncmp(key, "format=", 7) == 0)) {
            const char *value = key + key_len + 1;
            int r = take_own(s, key, key_len, value, (size_t)(end - value), &own);
            if (r)
                return r;
        }
        if (!own && end > key) {
            if (len + (size_t)(end - key) + 2 > sizeof(s->args))
                return -EINVAL;
            if (len)
                s->args[len++] = ',';
            memcpy(s->args + len, key, (size_t)(end - key));
            len += (size_t)(end - key);
        }
        text = *end ? end + 1 : end;
    }
    s->args[len] = 0;
    return 0;
}

static int source_check(const struct uw_source_params *params, struct uw_diag *diag) {
    const char *device = params->device ? params->device : "";
    struct soapy *s = calloc(1, sizeof(*s));
    int r;

    if (!s)
        return uw_err(-ENOMEM);
    r = uw_live_check(params, "soapy", FREQ_MIN_HZ, FREQ_MAX_HZ, diag);
    if (parse_args(s, device))
        r = uw_diag_add(diag,
                        "soapy \"%.80s\": must be SoapySDR's arguments, \"driver=NAME\", with "
                        "antenna=NAME, channel=0 to 63, format=CS16 or CF32 if need be",
                        device);
    free(s);
    return r;
}

static int source_open(struct uw_source *source, const struct uw_source_params *params,
                       struct uw_diag *diag) {
    const char *device = params->device ? params->device : "";
    struct uw_live_config config = {.freq_hz_min = FREQ_MIN_HZ, .freq_hz_max = FREQ_MAX_HZ};
    struct soapy *s;

    (void)diag;
    s = calloc(1, sizeof(*s));
    if (!s)
        return uw_err(-ENOMEM);
    s->format = UW_IQ_CI16;
    s->rate_hz = params->rate_hz;
    if (parse_args(s, device)) {
        free(s);
        return uw_err(-EINVAL); /* has been checked */
    }
    s->n_buf = (size_t)(BUFFER_S * s->rate_hz);
    s->buf = malloc(s->n_buf * uw_iq_format_size(s->format));
    if (!s->buf) {
        free(s);
        return uw_err(-ENOMEM);
    }
    SoapySDR_setLogLevel(SOAPY_SDR_FATAL); /* what there is to say is in the health */
    s->driver = driver;
    config.driver = &s->driver;
    config.device = s;
    config.format = s->format;
    return uw_live_open(source, params, &config);
}

const struct uw_source_ops uw_source_soapy = {
    .name = "soapy",
    .check = source_check,
    .open = source_open,
    .read = uw_live_read,
    .close = uw_live_close,
    .tune = uw_live_tune,
    .health = uw_live_health,
    .stop = uw_live_stop,
};
