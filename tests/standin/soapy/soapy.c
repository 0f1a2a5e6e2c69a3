/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <SoapySDR/Device.h>
#include <SoapySDR/Errors.h>
#include <SoapySDR/Formats.h>
#include <SoapySDR/Logger.h>

#include "soapy.h"

#define TABLE 65536

struct SoapySDRStream {
    bool is_float, active;
    struct timespec start;
    uint64_t given; /* samples of time, lost ones included */
};

static struct standin_soapy state;
static struct SoapySDRStream the_stream;
static int16_t table[2 * TABLE];

__attribute__((visibility("default"))) struct standin_soapy *standin_soapy(void) {
    return &state;
}

static SoapySDRDevice *handle(void) {
    return (SoapySDRDevice *)&state;
}

static void fill_table(void) {
    unsigned random = 1;

    for (int i = 0; i < 2 * TABLE; i++) {
        int sum = 0;
        for (int k = 0; k < 4; k++) {
            random = random * 1664525u + 1013904223u;
            sum += (int)(random >> 20 & 1023) - 512;
        }
        table[i] = (int16_t)sum;
    }
}

const char *SoapySDRDevice_lastError(void) {
    return "";
}

const char *SoapySDR_errToStr(const int code) {
    return code == SOAPY_SDR_STREAM_ERROR ? "STREAM_ERROR" : "UNKNOWN";
}

void SoapySDR_setLogLevel(const SoapySDRLogLevel level) {
    (void)level;
}

void SoapySDR_free(void *p) {
    free(p);
}

void SoapySDRArgInfoList_clear(SoapySDRArgInfo *info, const size_t n) {
    (void)n;
    free(info);
}

SoapySDRDevice *SoapySDRDevice_makeStrArgs(const char *args) {
    if (state.absent || strcmp(args, "driver=standin,serial=7") != 0)
        return NULL;
    if (!table[0])
        fill_table();
    state.n_made++;
    state.n_open++;
    return handle();
}

int SoapySDRDevice_unmake(SoapySDRDevice *device) {
    (void)device;
    state.n_open--;
    return 0;
}

char *SoapySDRDevice_getHardwareKey(const SoapySDRDevice *device) {
    (void)device;
    return strdup("Stand-in 1");
}

size_t SoapySDRDevice_getNumChannels(const SoapySDRDevice *device, const int direction) {
    (void)device;
    return direction == SOAPY_SDR_RX ? 2 : 1;
}

int SoapySDRDevice_setAntenna(SoapySDRDevice *device, const int direction, const size_t channel,
                              const char *name) {
    (void)device, (void)direction, (void)channel;
    state.antenna_rx2 = strcmp(name, "RX2") == 0;
    return state.antenna_rx2 ? 0 : SOAPY_SDR_NOT_SUPPORTED;
}

int SoapySDRDevice_setSampleRate(SoapySDRDevice *device, const int direction, const size_t channel,
                                 const double rate) {
    (void)device, (void)direction;
    state.channel = (int)channel;
    state.rate = rate;
    return 0;
}

double SoapySDRDevice_getSampleRate(const SoapySDRDevice *device, const int direction,
                                    const size_t channel) {
    (void)device, (void)direction, (void)channel;
    return state.rate * (1 + state.rate_error);
}

bool SoapySDRDevice_hasFrequencyCorrection(const SoapySDRDevice *device, const int direction,
                                           const size_t channel) {
    (void)device, (void)direction, (void)channel;
    return false;
}

int SoapySDRDevice_setFrequencyCorrection(SoapySDRDevice *device, const int direction,
                                          const size_t channel, const double value) {
    (void)device, (void)direction, (void)channel;
    state.ppm = value;
    return 0;
}

int SoapySDRDevice_setFrequency(SoapySDRDevice *device, const int direction, const size_t channel,
                                const double frequency, const SoapySDRKwargs *args) {
    (void)device, (void)direction, (void)channel, (void)args;
    if (!state.refuse_freq)
        state.freq = frequency;
    return 0; /* like drivers that stop at the end of their range */
}

double SoapySDRDevice_getFrequency(const SoapySDRDevice *device, const int direction,
                                   const size_t channel) {
    (void)device, (void)direction, (void)channel;
    return state.freq;
}

SoapySDRRange SoapySDRDevice_getGainRange(const SoapySDRDevice *device, const int direction,
                                          const size_t channel) {
    (void)device, (void)direction, (void)channel;
    return (SoapySDRRange){.minimum = -5, .maximum = 60, .step = 0.5};
}

bool SoapySDRDevice_hasGainMode(const SoapySDRDevice *device, const int direction,
                                const size_t channel) {
    (void)device, (void)direction, (void)channel;
    return true;
}

int SoapySDRDevice_setGainMode(SoapySDRDevice *device, const int direction, const size_t channel,
                               const bool automatic) {
    (void)device, (void)direction, (void)channel, (void)automatic;
    return 0;
}

int SoapySDRDevice_setGain(SoapySDRDevice *device, const int direction, const size_t channel,
                           const double value) {
    (void)device, (void)direction, (void)channel;
    state.gain = round(value * 2) / 2;
    return 0;
}

double SoapySDRDevice_getGain(const SoapySDRDevice *device, const int direction,
                              const size_t channel) {
    (void)device, (void)direction, (void)channel;
    return state.gain;
}

SoapySDRArgInfo *SoapySDRDevice_getSettingInfo(const SoapySDRDevice *device, size_t *length) {
    static char key[] = "biastee";
    SoapySDRArgInfo *info = calloc(1, sizeof(*info));

    (void)device;
    if (info)
        info->key = key;
    *length = info ? 1 : 0;
    return info;
}

int SoapySDRDevice_writeSetting(SoapySDRDevice *device, const char *key, const char *value) {
    (void)device;
    state.bias_tee = strcmp(key, "biastee") == 0 && strcmp(value, "true") == 0;
    return 0;
}

SoapySDRStream *SoapySDRDevice_setupStream(SoapySDRDevice *device, const int direction,
                                           const char *format, const size_t *channels,
                                           const size_t n, const SoapySDRKwargs *args) {
    (void)device, (void)channels, (void)args;
    if (direction != SOAPY_SDR_RX || n != 1 ||
        (state.refuse_cs16 && strcmp(format, SOAPY_SDR_CS16) == 0))
        return NULL;
    the_stream = (struct SoapySDRStream){.is_float = strcmp(format, SOAPY_SDR_CF32) == 0};
    state.n_streams++;
    return &the_stream;
}

int SoapySDRDevice_closeStream(SoapySDRDevice *device, SoapySDRStream *stream) {
    (void)device, (void)stream;
    state.n_streams--;
    return 0;
}

int SoapySDRDevice_activateStream(SoapySDRDevice *device, SoapySDRStream *stream, const int flags,
                                  const long long time_ns, const size_t n) {
    (void)device, (void)flags, (void)time_ns, (void)n;
    clock_gettime(CLOCK_MONOTONIC, &stream->start);
    stream->active = true;
    return 0;
}

int SoapySDRDevice_deactivateStream(SoapySDRDevice *device, SoapySDRStream *stream, const int flags,
                                    const long long time_ns) {
    (void)device, (void)flags, (void)time_ns;
    stream->active = false;
    return 0;
}

static uint64_t due(const SoapySDRStream *stream) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)(((double)(t.tv_sec - stream->start.tv_sec) +
                       (double)(t.tv_nsec - stream->start.tv_nsec) * 1e-9) *
                      state.rate);
}

static void give(SoapySDRStream *stream, void *buf, size_t n) {
    for (size_t i = 0; i < 2 * n; i++) {
        int16_t v = table[(2 * stream->given + i) % (2 * TABLE)];

        v = state.deaf ? (int16_t)(v / 256) : v;
        if (stream->is_float)
            ((float *)buf)[i] = (float)v / 32768;
        else
            ((int16_t *)buf)[i] = v;
    }
    stream->given += n;
}

int SoapySDRDevice_readStream(SoapySDRDevice *device, SoapySDRStream *stream, void *const *bufs,
                              const size_t n, int *flags, long long *time_ns,
                              const long timeout_us) {
    const struct timespec nap = {.tv_nsec = 2000000};
    long waited_us = 0;
    long lose = atomic_exchange(&state.lose, 0);

    (void)device;
    *flags = 0;
    *time_ns = 0;
    if (lose) {
        stream->given += (uint64_t)lose;
        if (!state.silent_loss)
            return SOAPY_SDR_OVERFLOW;
    }
    while (state.error || state.stalled || due(stream) < stream->given + n) {
        nanosleep(&nap, NULL);
        waited_us += 2000;
        if (state.error)
            return state.error;
        if (state.stalled)
            stream->given = due(stream);
        if (waited_us >= timeout_us)
            return SOAPY_SDR_TIMEOUT;
    }
    give(stream, bufs[0], n);
    return (int)n;
}

/* What UW_STANDIN_SOAPY says is plugged in: "key=value;key=value|key=value", nothing without it. */
SoapySDRKwargs *SoapySDRDevice_enumerateStrArgs(const char *args, size_t *length) {
    const char *text = getenv("UW_STANDIN_SOAPY");
    char copy[512], *rest = NULL, *save = NULL;
    SoapySDRKwargs *list = calloc(8, sizeof(*list));

    (void)args;
    *length = 0;
    strncpy(copy, text ? text : "", sizeof(copy) - 1);
    copy[sizeof(copy) - 1] = 0;
    for (char *one = strtok_r(copy, "|", &rest); one && list && *length < 8;
         one = strtok_r(NULL, "|", &rest)) {
        SoapySDRKwargs *k = &list[(*length)++];

        k->keys = calloc(8, sizeof(*k->keys));
        k->vals = calloc(8, sizeof(*k->vals));
        for (char *pair = strtok_r(one, ";", &save); pair && k->size < 8;
             pair = strtok_r(NULL, ";", &save)) {
            char *value = strchr(pair, '=');

            if (!value)
                continue;
            *value = 0;
            k->keys[k->size] = strdup(pair);
            k->vals[k->size++] = strdup(value + 1);
        }
    }
    return list;
}

void SoapySDRKwargsList_clear(SoapySDRKwargs *args, const size_t length) {
    for (size_t i = 0; i < length; i++) {
        for (size_t k = 0; k < args[i].size; k++) {
            free(args[i].keys[k]);
            free(args[i].vals[k]);
        }
        free(args[i].keys);
        free(args[i].vals);
    }
    free(args);
}
