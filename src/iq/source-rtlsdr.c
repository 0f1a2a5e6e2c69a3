/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A dongle, through librtlsdr
 *
 * The only file that knows the library. What it is distrusted with (librtlsdr 0.6.0):
 *
 *   - a serial number that two dongles share finds the first of them: here it finds none, with
 * words
 *   - setting a rate or a frequency may do something else: what has been set is read back
 *   - rtlsdr_cancel_async() before the first transfer is forgotten: it is repeated by the caller
 *   - rtlsdr_read_async() returns the same for a cancellation and for a dongle that was pulled out
 *   - a synthesiser without lock counts as success: judged from the samples (diagnose.c)
 *   - lost transfers are not told: counted against the clock (stream.c)
 *
 * Corrections are whole ppm there; the rest goes into the frequency.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rtl-sdr.h>

#include "live-impl.h"
#include "source-impl.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/iq/devices.h"

#define BUFFERS     15 /* transfers under way */
#define BUFFER_S    0.014
#define BUFFER_STEP 512 /* bytes: a USB packet */
#define JITTER_S    0.01
#define SETTLE_S    0.01 /* synthesiser and filters after a change */
#define STALL_S     1.5
#define FREQ_MIN_HZ 22e6   /* the R820T's, with something to spare */
#define FREQ_MAX_HZ 2200e6 /* the E4000's */
#define TEXT_LEN    256    /* that librtlsdr may write */
#define NO_ACCESS   (-3)   /* libusb's codes */
#define NOT_THERE   (-4)
#define IS_BUSY     (-6)

struct rtlsdr {
    struct uw_live_driver driver; /* its buffers depend on the rate */
    char want[TEXT_LEN];          /* serial number, "#N" or "" */
    double ppm;
    uint32_t buffer_bytes;
    int n_gains;
    double gains_db[UW_LIVE_GAINS_MAX];
    char what[64];
    rtlsdr_dev_t *dev; /* the supervisor's and the stream thread's */

    pthread_mutex_t mutex;
    rtlsdr_dev_t *streaming; /* that can be cancelled; NULL: none */
};

static bool serial_of(uint32_t index, char serial[TEXT_LEN]) {
    char manufacturer[TEXT_LEN] = "", product[TEXT_LEN] = "";

    serial[0] = 0;
    return rtlsdr_get_device_usb_strings(index, manufacturer, product, serial) == 0;
}

static int find_by_serial(struct uw_live *live, const struct rtlsdr *d, uint32_t n,
                          uint32_t *ret_index) {
    uint32_t n_found = 0, n_closed = 0;

    for (uint32_t i = 0; i < n; i++) {
        char serial[TEXT_LEN];

        if (!serial_of(i, serial)) {
            n_closed++;
        } else if (strcmp(serial, d->want) == 0) {
            *ret_index = i;
            n_found++;
        }
    }
    if (n_found == 1)
        return 0;
    if (n_found > 1)
        return uw_live_trouble(live, UW_SOURCE_PROBLEM_ABSENT,
                               "%u dongles have the serial number %.24s: give each its own "
                               "(rtl_eeprom -d 0 -s NAME) and plug them in again.",
                               n_found, d->want);
    if (n_closed > 0)
        return uw_live_trouble(live, UW_SOURCE_PROBLEM_ABSENT,
                               "No dongle %.24s is found, but %u may not be looked at: install the "
                               "udev rule, or add the user to the group plugdev.",
                               d->want, n_closed);
    return uw_live_trouble(
        live, UW_SOURCE_PROBLEM_ABSENT,
        "The dongle %.24s is not there (others: %u): plug it in, look at its cable "
        "and hub.",
        d->want, n);
}

static int find(struct uw_live *live, const struct rtlsdr *d, uint32_t *ret_index) {
    uint32_t n = rtlsdr_get_device_count();
    int64_t index;

    if (n == 0)
        return uw_live_trouble(live, UW_SOURCE_PROBLEM_ABSENT,
                               "There is no dongle: plug it in, look at its cable and hub.");
    if (d->want[0] == 0 && n > 1)
        return uw_live_trouble(live, UW_SOURCE_PROBLEM_ABSENT,
                               "There are %u dongles: say which one by its serial number (uaswatch "
                               "devices lists them).",
                               n);
    *ret_index = 0;
    if (d->want[0] == 0)
        return 0;
    if (d->want[0] != '#')
        return find_by_serial(live, d, n, ret_index);
    if (uw_str_to_int64(d->want + 1, 0, (int64_t)n - 1, &index))
        return uw_live_trouble(live, UW_SOURCE_PROBLEM_ABSENT,
                               "There is no dongle %.8s: only %u are there (uaswatch devices lists "
                               "them).",
                               d->want, n);
    *ret_index = (uint32_t)index;
    return 0;
}

static int explain_open(struct uw_live *live, const struct rtlsdr *d, int r) {
    const char *name = d->want[0] ? d->want : "(the only one)";

    switch (r) {
    case NO_ACCESS:
        return uw_live_trouble(live, UW_SOURCE_PROBLEM_ABSENT,
                               "The dongle %.24s may not be opened: install the udev rule, or add "
                               "the user to the group plugdev.",
                               name);
    case IS_BUSY:
        return uw_live_trouble(live, UW_SOURCE_PROBLEM_ABSENT,
                               "The dongle %.24s is in use: end the other program, or keep the "
                               "kernel's driver dvb_usb_rtl28xxu away.",
                               name);
    default:
        return uw_live_trouble(live, UW_SOURCE_PROBLEM_ABSENT,
                               "The dongle %.24s cannot be opened (error %d): pull it out and put "
                               "it back, try another port.",
                               name, r);
    }
}

static int refused(struct uw_live *live, const struct rtlsdr *d, const char *what, double value,
                   const char *unit) {
    return uw_live_trouble(live, UW_SOURCE_PROBLEM_REFUSED,
                           "%.48s does not take the %s %.6g %s: choose another one, or another "
                           "dongle.",
                           d->what, what, value, unit);
}

static int set_rate(struct uw_live *live, const struct rtlsdr *d, double rate_hz) {
    uint32_t want = (uint32_t)lround(rate_hz), got;

    if (rtlsdr_set_sample_rate(d->dev, want) < 0)
        return refused(live, d, "sample rate", rate_hz / 1e6, "MHz");
    got = rtlsdr_get_sample_rate(d->dev);
    /* its divider is fine enough for a hertz or two */
    if (fabs(got - rate_hz) > 10e-6 * rate_hz)
        return refused(live, d, "sample rate", rate_hz / 1e6, "MHz");
    return 0;
}

static int set_freq(struct uw_live *live, const struct rtlsdr *d, double freq_hz) {
    double rest = d->ppm - round(d->ppm);
    uint32_t hz = (uint32_t)lround(freq_hz * (1 - rest * 1e-6));

    if (rtlsdr_set_center_freq(d->dev, hz) < 0 || rtlsdr_get_center_freq(d->dev) != hz)
        return refused(live, d, "frequency", freq_hz / 1e6, "MHz");
    return 0;
}

static double nearest_gain(const struct rtlsdr *d, double gain_db) {
    double best = gain_db;

    for (int i = 0; i < d->n_gains; i++)
        if (i == 0 || fabs(d->gains_db[i] - gain_db) < fabs(best - gain_db))
            best = d->gains_db[i];
    return best;
}

static int set_gain(struct uw_live *live, const struct rtlsdr *d, double *gain_db) {
    double db = nearest_gain(d, *gain_db);

    if (rtlsdr_set_tuner_gain(d->dev, (int)lround(db * 10)) < 0)
        return refused(live, d, "gain", db, "dB");
    *gain_db = db;
    return 0;
}

static void read_gains(struct rtlsdr *d) {
    int tenths[UW_LIVE_GAINS_MAX];
    int n = rtlsdr_get_tuner_gains(d->dev, NULL);

    d->n_gains = 0;
    if (n <= 0 || n > UW_LIVE_GAINS_MAX || rtlsdr_get_tuner_gains(d->dev, tenths) != n)
        return;
    for (; d->n_gains < n; d->n_gains++)
        d->gains_db[d->n_gains] = tenths[d->n_gains] / 10.0;
}

static const char *tuner_name(rtlsdr_dev_t *dev) {
    switch (rtlsdr_get_tuner_type(dev)) {
    case RTLSDR_TUNER_E4000:
        return "E4000";
    case RTLSDR_TUNER_FC0012:
        return "FC0012";
    case RTLSDR_TUNER_FC0013:
        return "FC0013";
    case RTLSDR_TUNER_FC2580:
        return "FC2580";
    case RTLSDR_TUNER_R820T:
        return "R820T";
    case RTLSDR_TUNER_R828D:
        return "R828D";
    default:
        return "unknown tuner";
    }
}

static int set_all(struct uw_live *live, struct rtlsdr *d, struct uw_live_setup *setup) {
    int ppm = (int)lround(setup->ppm);
    int r;

    d->ppm = setup->ppm;
    read_gains(d);
    if (rtlsdr_get_direct_sampling(d->dev) != 0 && rtlsdr_set_direct_sampling(d->dev, 0) < 0)
        return refused(live, d, "direct sampling", 0, "(off)");
    /* -2: it is what it was */
    r = rtlsdr_set_freq_correction(d->dev, ppm);
    if (r < 0 && r != -2)
        return refused(live, d, "correction", ppm, "ppm");
    r = set_rate(live, d, setup->rate_hz);
    if (r == 0)
        r = set_freq(live, d, setup->freq_hz);
    if (r)
        return r;
    if (rtlsdr_set_agc_mode(d->dev, 0) < 0 || rtlsdr_set_tuner_gain_mode(d->dev, 1) < 0)
        return refused(live, d, "gain mode", 1, "(manual)");
    setup->got_gain_db = setup->gain_db;
    r = set_gain(live, d, &setup->got_gain_db);
    if (r)
        return r;
    if (rtlsdr_set_bias_tee(d->dev, setup->bias_tee) < 0 && setup->bias_tee)
        return refused(live, d, "bias tee", 1, "(on)");
    if (rtlsdr_reset_buffer(d->dev) < 0)
        return refused(live, d, "reset", 0, "");
    return 0;
}

static void dongle_close(void *device) {
    struct rtlsdr *d = device;

    if (d->dev)
        rtlsdr_close(d->dev);
    d->dev = NULL;
}

static int dongle_open(struct uw_live *live, void *device, struct uw_live_setup *setup) {
    struct rtlsdr *d = device;
    char serial[TEXT_LEN] = "";
    uint32_t index = 0;
    int r;

    r = find(live, d, &index);
    if (r)
        return r;
    (void)serial_of(index, serial);
    r = rtlsdr_open(&d->dev, index);
    if (r < 0) {
        d->dev = NULL;
        return explain_open(live, d, r);
    }
    snprintf(d->what, sizeof(d->what), "The dongle %.24s (%s)", serial, tuner_name(d->dev));
    r = set_all(live, d, setup);
    if (r) {
        dongle_close(d);
        return r;
    }
    setup->got_freq_hz = setup->freq_hz;
    setup->n_gains = d->n_gains;
    memcpy(setup->gains_db, d->gains_db, sizeof(d->gains_db));
    uw_str_copy(setup->what, sizeof(setup->what), d->what);
    return 0;
}

static void on_samples(unsigned char *buf, uint32_t len, void *live) {
    uw_live_give(live, buf, len);
}

static void set_streaming(struct rtlsdr *d, rtlsdr_dev_t *dev) {
    pthread_mutex_lock(&d->mutex);
    d->streaming = dev;
    pthread_mutex_unlock(&d->mutex);
}

static int dongle_stream(struct uw_live *live, void *device) {
    struct rtlsdr *d = device;
    int r;

    set_streaming(d, d->dev);
    r = uw_live_interrupted(live)
            ? 0
            : rtlsdr_read_async(d->dev, on_samples, live, BUFFERS, d->buffer_bytes);
    set_streaming(d, NULL);
    if (uw_live_interrupted(live))
        return 0;
    return uw_live_trouble(
        live, UW_SOURCE_PROBLEM_ABSENT,
        "%.48s has gone (error %d): plug it in again, look at its cable and hub.", d->what, r);
}

static void dongle_interrupt(void *device) {
    struct rtlsdr *d = device;

    pthread_mutex_lock(&d->mutex);
    if (d->streaming)
        rtlsdr_cancel_async(d->streaming);
    pthread_mutex_unlock(&d->mutex);
}

static int dongle_tune(struct uw_live *live, void *device, double *freq_hz) {
    return set_freq(live, device, *freq_hz);
}

static int dongle_gain(struct uw_live *live, void *device, double *gain_db) {
    return set_gain(live, device, gain_db);
}

static void dongle_free(void *device) {
    struct rtlsdr *d = device;

    pthread_mutex_destroy(&d->mutex);
    free(d);
}

static const struct uw_live_driver driver = {
    .name = "rtlsdr",
    .jitter_s = JITTER_S,
    .settle_s = SETTLE_S,
    .stall_s = STALL_S,
    .open = dongle_open,
    .stream = dongle_stream,
    .interrupt = dongle_interrupt,
    .tune = dongle_tune,
    .gain = dongle_gain,
    .close = dongle_close,
    .free = dongle_free,
};

static int source_check(const struct uw_source_params *params, struct uw_diag *diag) {
    const char *device = params->device ? params->device : "";
    int64_t index;
    int r = uw_live_check(params, "dongle", FREQ_MIN_HZ, FREQ_MAX_HZ, diag);

    if (uw_source_rate_fault(UW_SOURCE_RTLSDR, params->rate_hz))
        r = uw_diag_add(diag, "dongle \"%.64s\": rate_hz: %s", device,
                        uw_source_rate_fault(UW_SOURCE_RTLSDR, params->rate_hz));
    if (strlen(device) >= TEXT_LEN)
        r = uw_diag_add(diag, "dongle \"%.64s...\": no serial number is as long", device);
    if (device[0] == '#' && uw_str_to_int64(device + 1, 0, 255, &index))
        r = uw_diag_add(diag,
                        "dongle \"%.64s\": after # comes a number, from 0; without it, a serial "
                        "number",
                        device);
    return r;
}

static int source_open(struct uw_source *source, const struct uw_source_params *params,
                       struct uw_diag *diag) {
    const char *device = params->device ? params->device : "";
    struct uw_live_config config = {
        .format = UW_IQ_CU8, .freq_hz_min = FREQ_MIN_HZ, .freq_hz_max = FREQ_MAX_HZ};
    struct rtlsdr *d;

    (void)diag;
    d = calloc(1, sizeof(*d));
    if (!d)
        return uw_err(-ENOMEM);
    pthread_mutex_init(&d->mutex, NULL);
    uw_str_copy(d->want, sizeof(d->want), device);
    d->buffer_bytes =
        (uint32_t)(params->rate_hz * 2 * BUFFER_S / BUFFER_STEP) * (uint32_t)BUFFER_STEP;
    d->driver = driver;
    d->driver.buffer_s = d->buffer_bytes / 2 / params->rate_hz;
    config.driver = &d->driver;
    config.device = d;
    return uw_live_open(source, params, &config);
}

const struct uw_source_ops uw_source_rtlsdr = {
    .name = "rtlsdr",
    .check = source_check,
    .open = source_open,
    .read = uw_live_read,
    .close = uw_live_close,
    .tune = uw_live_tune,
    .health = uw_live_health,
    .stop = uw_live_stop,
};

/* Opening is the only way to know; it is done as seldom as somebody asks. */
static enum uw_device_state try_device(uint32_t index, char *tuner, size_t len) {
    rtlsdr_dev_t *dev = NULL;
    int r = rtlsdr_open(&dev, index);

    if (r < 0)
        return r == NO_ACCESS   ? UW_DEVICE_FORBIDDEN
               : r == IS_BUSY   ? UW_DEVICE_BUSY
               : r == NOT_THERE ? UW_DEVICE_GONE
                                : UW_DEVICE_BROKEN;
    uw_str_copy(tuner, len, tuner_name(dev));
    rtlsdr_close(dev);
    return UW_DEVICE_FREE;
}

int uw_devices_rtlsdr(struct uw_device *devices, int max, int *ret_n) {
    uint32_t n = rtlsdr_get_device_count();

    *ret_n = 0;
    for (uint32_t i = 0; i < n && *ret_n < max; i++) {
        char manufacturer[TEXT_LEN] = "", product[TEXT_LEN] = "", serial[TEXT_LEN];
        struct uw_device *d = &devices[(*ret_n)++];

        *d = (struct uw_device){.index = (int)i};
        if (rtlsdr_get_device_usb_strings(i, manufacturer, product, serial) == 0) {
            uw_str_copy(d->serial, sizeof(d->serial), serial);
            snprintf(d->name, sizeof(d->name), "%.30s %.30s", manufacturer, product);
        } else {
            uw_str_copy(d->name, sizeof(d->name), rtlsdr_get_device_name(i));
        }
        d->state = try_device(i, d->tuner, sizeof(d->tuner));
    }
    return 0;
}
