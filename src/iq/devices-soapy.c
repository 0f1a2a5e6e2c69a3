/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What SoapySDR's drivers find
 *
 * Nothing is opened: with some drivers that takes seconds and loads firmware. Left out is what is
 * no radio (sound cards) and what librtlsdr lists better.
 */
#include <stdio.h>
#include <string.h>

#include <SoapySDR/Device.h>
#include <SoapySDR/Logger.h>
#include <SoapySDR/Types.h>

#include "uw/base/str.h"
#include "uw/iq/devices.h"

static const char *value_of(const SoapySDRKwargs *args, const char *key) {
    for (size_t i = 0; i < args->size; i++)
        if (strcmp(args->keys[i], key) == 0)
            return args->vals[i];
    return "";
}

static void fill(struct uw_device *d, const SoapySDRKwargs *args) {
    const char *driver = value_of(args, "driver"), *serial = value_of(args, "serial");
    const char *label = value_of(args, "label");

    uw_str_copy(d->serial, sizeof(d->serial), serial);
    uw_str_copy(d->name, sizeof(d->name), label[0] ? label : driver);
    uw_str_copy(d->tuner, sizeof(d->tuner), driver);
    if (serial[0])
        snprintf(d->device, sizeof(d->device), "driver=%.40s,serial=%.63s", driver, serial);
    else
        snprintf(d->device, sizeof(d->device), "driver=%.40s", driver);
}

int uw_devices_soapy(struct uw_device *devices, int max, int *ret_n) {
    SoapySDRKwargs *list;
    size_t n = 0;

    SoapySDR_setLogLevel(SOAPY_SDR_FATAL);
    list = SoapySDRDevice_enumerateStrArgs("", &n);
    *ret_n = 0;
    for (size_t i = 0; list && i < n && *ret_n < max; i++) {
        const char *driver = value_of(&list[i], "driver");

        if (strcmp(driver, "audio") == 0 || strcmp(driver, "rtlsdr") == 0)
            continue;
        devices[*ret_n] = (struct uw_device){
            .kind = UW_DEVICE_SOAPY, .index = *ret_n, .state = UW_DEVICE_UNTRIED};
        fill(&devices[(*ret_n)++], &list[i]);
    }
    SoapySDRKwargsList_clear(list, n);
    return 0;
}
