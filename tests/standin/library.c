/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Finding, opening and setting devices, with the return values of librtlsdr 0.6.0 (librtlsdr.c and
 * tuner_r82xx.c at that version): -1 without a device, libusb's codes from opening, -EINVAL for a
 * rate that cannot be, -2 for a correction that is set already, and 0 with "PLL not locked!" on
 * standard error from an oscillator that has not locked.
 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api.h"
#include "standin.h"

#define NO_DEVICE   (-4) /* libusb's codes */
#define NO_ACCESS   (-3)
#define IS_BUSY     (-6)
#define XTAL_HZ     28800000u
#define MIN_XTAL_HZ (XTAL_HZ - 1000)
#define MAX_XTAL_HZ (XTAL_HZ + 1000)
#define TUNE_S      0.02
#define TUNER_MAX   1766e6 /* above this the R820T's synthesiser has no divider */

static struct standin all = {
    .mutex = PTHREAD_MUTEX_INITIALIZER,
    .cond = PTHREAD_COND_INITIALIZER,
};
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The steps of the R820T, in tenths of a decibel. */
static const int gains[] = {0,   9,   14,  27,  37,  77,  87,  125, 144, 157,
                            166, 197, 207, 229, 254, 280, 297, 328, 338, 364,
                            372, 386, 402, 421, 434, 439, 445, 480, 496};
#define N_GAINS ((int)(sizeof(gains) / sizeof(gains[0])))

static void set_up(void) {
    const char *list = getenv("UW_STANDIN_DEVICES");
    char copy[1024], *save = NULL;

    snprintf(copy, sizeof(copy), "%s", list ? list : "00000001");
    for (char *s = strtok_r(copy, ",", &save); s && all.n_devices < STANDIN_DEVICES;
         s = strtok_r(NULL, ",", &save)) {
        struct standin_device *d = &all.devices[all.n_devices];

        snprintf(d->serial, sizeof(d->serial), "%s", s);
        d->plugged = true;
        d->clip_dbfs = STANDIN_NO_POWER;
        all.order[all.n_devices] = all.n_devices;
        all.n_devices++;
    }
    standin_script_init();
    standin_air_init();
}

struct standin *standin_lock(void) {
    pthread_once(&once, set_up);
    pthread_mutex_lock(&all.mutex);
    standin_script_run(&all);
    return &all;
}

void standin_unlock(void) {
    pthread_mutex_unlock(&all.mutex);
}

void standin_log(const struct rtlsdr_dev *dev, const char *format, ...) {
    const char *path = getenv("UW_STANDIN_LOG");
    FILE *f = path ? fopen(path, "a") : NULL;
    va_list ap;

    if (!f)
        return;
    fprintf(f, "%s ", dev->device->serial);
    va_start(ap, format);
    vfprintf(f, format, ap);
    va_end(ap);
    fputc('\n', f);
    fclose(f);
}

bool standin_is_lost(const struct rtlsdr_dev *dev) {
    return !dev->device->plugged || dev->device->generation != dev->generation;
}

double standin_true_rate(const struct rtlsdr_dev *dev) {
    return dev->rate * (1 + (dev->device->error_ppm - dev->ppm) * 1e-6);
}

uint64_t standin_sample_now(const struct rtlsdr_dev *dev) {
    double s = (standin_now() - dev->base_s) * standin_true_rate(dev);

    return dev->base + (uint64_t)(s > 0 ? s : 0);
}

void standin_rebase(struct rtlsdr_dev *dev) {
    double now = standin_now();

    dev->base += (uint64_t)((now - dev->base_s) * standin_true_rate(dev));
    dev->base_s = now;
}

/* Settings that no sample still to be read was taken with are forgotten. */
static void forget_changes(struct rtlsdr_dev *dev) {
    int old = 0;

    while (old + 1 < dev->n_changes && dev->changes[old + 1].from <= dev->next)
        old++;
    if (old == 0 && dev->n_changes == STANDIN_CHANGES)
        old = 1;
    dev->n_changes -= old;
    memmove(dev->changes, dev->changes + old, (size_t)dev->n_changes * sizeof(dev->changes[0]));
}

/* The library takes the first step that is not below. Left to itself the tuner finds a good one. */
static double gain_of(const struct rtlsdr_dev *dev) {
    int step = 0;

    if (!dev->manual_gain)
        return STANDIN_GAIN;
    while (step < N_GAINS - 1 && gains[step] < dev->gain)
        step++;
    return gains[step] / 10.0;
}

void standin_change(struct rtlsdr_dev *dev) {
    const struct standin_device *d = dev->device;

    forget_changes(dev);
    dev->changes[dev->n_changes++] = (struct standin_setting){
        .from = standin_sample_now(dev),
        .freq_hz = dev->freq * (1 + (d->error_ppm - dev->ppm) * 1e-6),
        .gain_db = gain_of(dev),
        .locked =
            !dev->tuning && !d->slipped && !(d->unlocked_hz > 0 && dev->freq > d->unlocked_hz),
    };
}

static struct standin_device *found(uint32_t index) {
    struct standin_device *d = NULL;

    if (index < (uint32_t)all.n_devices)
        d = &all.devices[all.order[index]];
    return d && d->plugged ? d : NULL;
}

uint32_t rtlsdr_get_device_count(void) {
    uint32_t n = 0;

    standin_lock();
    while (found(n))
        n++;
    standin_unlock();
    return n;
}

const char *rtlsdr_get_device_name(uint32_t index) {
    const char *name;

    standin_lock();
    name = found(index) ? "Generic RTL2832U OEM" : "";
    standin_unlock();
    return name;
}

static void say_strings(const struct standin_device *d, char *manufact, char *product,
                        char *serial) {
    if (manufact)
        strcpy(manufact, "Realtek");
    if (product)
        strcpy(product, "RTL2838UHIDIR");
    if (serial)
        strcpy(serial, d->serial);
}

int rtlsdr_get_device_usb_strings(uint32_t index, char *manufact, char *product, char *serial) {
    const struct standin_device *d;
    int r = -2;

    standin_lock();
    d = found(index);
    if (d && d->forbidden)
        r = NO_ACCESS;
    else if (d) {
        say_strings(d, manufact, product, serial);
        r = 0;
    }
    standin_unlock();
    return r;
}

int rtlsdr_get_index_by_serial(const char *serial) {
    int r = -3;

    if (!serial)
        return -1;
    standin_lock();
    if (!found(0))
        r = -2;
    for (uint32_t i = 0; r == -3 && found(i); i++)
        if (strcmp(found(i)->serial, serial) == 0)
            r = (int)i;
    standin_unlock();
    return r;
}

static int open_locked(struct rtlsdr_dev *dev, uint32_t index) {
    struct standin_device *d = found(index);

    if (!d)
        return -1;
    if (d->forbidden) {
        fprintf(stderr,
                "usb_open error %d\nPlease fix the device permissions, e.g. by installing "
                "the udev rules file rtl-sdr.rules\n",
                NO_ACCESS);
        return NO_ACCESS;
    }
    if (d->busy || d->handle) {
        fprintf(stderr, "usb_claim_interface error %d\n", IS_BUSY);
        return IS_BUSY;
    }
    d->handle = dev;
    *dev = (struct rtlsdr_dev){
        .device = d,
        .generation = d->generation,
        .rate = 2048000,
        .base_s = standin_now(),
        .rtl_xtal = XTAL_HZ,
        .tuner_xtal = XTAL_HZ,
        .random = index + 1,
    };
    standin_change(dev);
    return 0;
}

int rtlsdr_open(rtlsdr_dev_t **out_dev, uint32_t index) {
    struct rtlsdr_dev *dev = calloc(1, sizeof(*dev));
    int r;

    if (!dev)
        return -ENOMEM;
    standin_lock();
    r = open_locked(dev, index);
    standin_unlock();
    if (r < 0) {
        free(dev);
        return r;
    }
    fprintf(stderr, "Found Rafael Micro R820T tuner\n");
    *out_dev = dev;
    return 0;
}

int rtlsdr_close(rtlsdr_dev_t *dev) {
    struct standin *s;

    if (!dev)
        return -1;
    s = standin_lock();
    if (!standin_is_lost(dev))
        while (dev->status != 0)
            pthread_cond_wait(&s->cond, &s->mutex);
    if (dev->device->handle == dev)
        dev->device->handle = NULL;
    standin_unlock();
    free(dev);
    return 0;
}

/* A call that sets `what`: fails when the device has gone. The caller unlocks. */
static int begin_set(rtlsdr_dev_t *dev, const char *what, double value) {
    standin_lock();
    standin_log(dev, "%s %.0f", what, value);
    if (!standin_is_lost(dev))
        return 0;
    fprintf(stderr, "rtlsdr_write_reg failed with %d\n", NO_DEVICE);
    return -1;
}

int rtlsdr_set_xtal_freq(rtlsdr_dev_t *dev, uint32_t rtl_freq, uint32_t tuner_freq) {
    if (!dev)
        return -1;
    if (rtl_freq > 0 && (rtl_freq < MIN_XTAL_HZ || rtl_freq > MAX_XTAL_HZ))
        return -2;
    standin_lock();
    dev->rtl_xtal = rtl_freq ? rtl_freq : dev->rtl_xtal;
    dev->tuner_xtal = tuner_freq ? tuner_freq : dev->rtl_xtal;
    standin_unlock();
    return 0;
}

int rtlsdr_get_xtal_freq(rtlsdr_dev_t *dev, uint32_t *rtl_freq, uint32_t *tuner_freq) {
    if (!dev)
        return -1;
    standin_lock();
    if (rtl_freq)
        *rtl_freq = dev->rtl_xtal;
    if (tuner_freq)
        *tuner_freq = dev->tuner_xtal;
    standin_unlock();
    return 0;
}

int rtlsdr_get_usb_strings(rtlsdr_dev_t *dev, char *manufact, char *product, char *serial) {
    if (!dev)
        return -1;
    standin_lock();
    say_strings(dev->device, manufact, product, serial);
    standin_unlock();
    return 0;
}

/* There is none: what rtl_eeprom does is not needed by any test. */
int rtlsdr_write_eeprom(rtlsdr_dev_t *dev, uint8_t *data, uint8_t offset, uint16_t len) {
    (void)data, (void)offset, (void)len;
    return dev ? -3 : -1;
}

int rtlsdr_read_eeprom(rtlsdr_dev_t *dev, uint8_t *data, uint8_t offset, uint16_t len) {
    (void)data, (void)offset, (void)len;
    return dev ? -3 : -1;
}

int rtlsdr_set_center_freq(rtlsdr_dev_t *dev, uint32_t freq) {
    struct standin_device *d;
    struct timespec now;
    int r;

    if (!dev)
        return -1;
    r = begin_set(dev, "freq", freq);
    d = dev->device;
    if (r == 0 && (d->refuse_freq || freq > TUNER_MAX)) {
        fprintf(stderr, "[R82XX] No valid PLL values for %u Hz!\n", freq);
        r = -1;
    }
    if (r == 0) { /* a few dozen bytes over a slow bus */
        double until = standin_now() + TUNE_S;

        dev->tuning = true;
        standin_change(dev);
        while (standin_now() < until && !standin_is_lost(dev))
            standin_wait(&all, until - standin_now());
        dev->tuning = false;
        r = standin_is_lost(dev) ? -1 : 0;
    }
    if (r == 0 && fabs((double)freq - dev->freq) >= 1e6)
        d->slipped = false;
    dev->freq = r == 0 ? freq : 0;
    if (r == 0) {
        standin_change(dev);
        clock_gettime(CLOCK_MONOTONIC, &now);
        standin_log(dev, "tuned at %lld.%06ld", (long long)now.tv_sec, now.tv_nsec / 1000);
        if (!dev->changes[dev->n_changes - 1].locked)
            fprintf(stderr, "[R82XX] PLL not locked!\n");
    }
    standin_unlock();
    return r;
}

uint32_t rtlsdr_get_center_freq(rtlsdr_dev_t *dev) {
    return dev ? dev->freq : 0;
}

int rtlsdr_set_freq_correction(rtlsdr_dev_t *dev, int ppm) {
    int r;

    if (!dev)
        return -1;
    if (dev->ppm == ppm)
        return -2;
    r = begin_set(dev, "ppm", ppm);
    if (r == 0) {
        standin_rebase(dev);
        dev->ppm = ppm;
        standin_change(dev);
    }
    standin_unlock();
    return r;
}

int rtlsdr_get_freq_correction(rtlsdr_dev_t *dev) {
    return dev ? dev->ppm : 0;
}

int rtlsdr_get_tuner_type(rtlsdr_dev_t *dev) {
    return dev ? 5 : 0; /* R820T */
}

int rtlsdr_get_tuner_gains(rtlsdr_dev_t *dev, int *ret) {
    if (!dev)
        return -1;
    if (ret)
        memcpy(ret, gains, sizeof(gains));
    return N_GAINS;
}

int rtlsdr_set_tuner_gain(rtlsdr_dev_t *dev, int gain) {
    int r;

    if (!dev)
        return -1;
    r = begin_set(dev, "gain", gain);
    if (r == 0 && dev->device->refuse_gain)
        r = -1;
    dev->gain = r == 0 ? gain : 0;
    if (r == 0)
        standin_change(dev);
    standin_unlock();
    return r;
}

int rtlsdr_get_tuner_gain(rtlsdr_dev_t *dev) {
    return dev ? dev->gain : 0;
}

int rtlsdr_set_tuner_bandwidth(rtlsdr_dev_t *dev, uint32_t bw) {
    int r;

    if (!dev)
        return -1;
    r = begin_set(dev, "bandwidth", bw);
    dev->bandwidth = bw;
    standin_unlock();
    return r;
}

int rtlsdr_set_tuner_if_gain(rtlsdr_dev_t *dev, int stage, int gain) {
    (void)stage, (void)gain;
    return dev ? 0 : -1;
}

int rtlsdr_set_tuner_gain_mode(rtlsdr_dev_t *dev, int manual) {
    int r;

    if (!dev)
        return -1;
    r = begin_set(dev, "manual_gain", manual);
    dev->manual_gain = manual;
    standin_change(dev);
    standin_unlock();
    return r;
}

int rtlsdr_set_sample_rate(rtlsdr_dev_t *dev, uint32_t rate) {
    uint32_t ratio;
    double real;
    int r;

    if (!dev)
        return -1;
    if (rate <= 225000 || rate > 3200000 || (rate > 300000 && rate <= 900000)) {
        fprintf(stderr, "Invalid sample rate: %u Hz\n", rate);
        return -EINVAL;
    }
    ratio = (uint32_t)(dev->rtl_xtal * 4194304.0 / rate) & 0x0ffffffc;
    real = dev->rtl_xtal * 4194304.0 / (ratio | (ratio & 0x08000000) << 1);
    if (real != (double)rate)
        fprintf(stderr, "Exact sample rate is: %f Hz\n", real);
    r = begin_set(dev, "rate", rate);
    if (r == 0 && dev->device->refuse_rate)
        r = -9; /* the device does not take it */
    if (r == 0) {
        standin_rebase(dev);
        dev->rate = (uint32_t)(dev->device->wrong_rate ? real / 2 : real);
        standin_change(dev);
    }
    standin_unlock();
    return r;
}

uint32_t rtlsdr_get_sample_rate(rtlsdr_dev_t *dev) {
    return dev ? dev->rate : 0;
}

int rtlsdr_set_testmode(rtlsdr_dev_t *dev, int on) {
    int r;

    if (!dev)
        return -1;
    r = begin_set(dev, "testmode", on);
    dev->testmode = on;
    standin_unlock();
    return r;
}

int rtlsdr_set_agc_mode(rtlsdr_dev_t *dev, int on) {
    int r;

    if (!dev)
        return -1;
    r = begin_set(dev, "agc", on);
    dev->agc = on;
    standin_unlock();
    return r;
}

int rtlsdr_set_direct_sampling(rtlsdr_dev_t *dev, int on) {
    int r;

    if (!dev)
        return -1;
    r = begin_set(dev, "direct", on);
    dev->direct = on;
    standin_unlock();
    return r;
}

int rtlsdr_get_direct_sampling(rtlsdr_dev_t *dev) {
    return dev ? dev->direct : -1;
}

int rtlsdr_set_offset_tuning(rtlsdr_dev_t *dev, int on) {
    (void)on;
    return dev ? -2 : -1; /* not for this tuner */
}

int rtlsdr_get_offset_tuning(rtlsdr_dev_t *dev) {
    return dev ? 0 : -1;
}

int rtlsdr_set_bias_tee_gpio(rtlsdr_dev_t *dev, int gpio, int on) {
    int r;

    (void)gpio;
    if (!dev)
        return -1;
    r = begin_set(dev, "bias_tee", on);
    dev->bias_tee = on;
    standin_unlock();
    return r;
}

int rtlsdr_set_bias_tee(rtlsdr_dev_t *dev, int on) {
    return rtlsdr_set_bias_tee_gpio(dev, 0, on);
}
