/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_IQ_DEVICES_H
#define UW_IQ_DEVICES_H

/*
 * What receivers are plugged in
 *
 * Threads: any, one at a time. Each dongle is opened and closed again, which takes a moment; one
 * that is in use is not disturbed.
 */

enum uw_device_kind { UW_DEVICE_RTLSDR, UW_DEVICE_SOAPY };

enum uw_device_state {
    UW_DEVICE_FREE,
    UW_DEVICE_BUSY,      /* another program, or the kernel's television driver, has it */
    UW_DEVICE_FORBIDDEN, /* this user may not open it */
    UW_DEVICE_BROKEN,    /* opening fails for another reason */
    UW_DEVICE_GONE,      /* pulled out meanwhile */
    UW_DEVICE_UNTRIED,   /* it is there; it has not been opened */
};

#define UW_DEVICES_MAX 32

struct uw_device {
    enum uw_device_kind kind;
    int index;        /* among its kind, in the order in which they are found now */
    char serial[64];  /* "": it could not be asked */
    char name[64];    /* maker and product */
    char tuner[16];   /* "": not known; soapy: the driver */
    char device[128]; /* soapy: what a configuration calls it */
    enum uw_device_state state;
};

/* Dongles that librtlsdr finds. 0; -EOPNOTSUPP: built without it. The library writes to standard
 * error. */
int uw_devices_rtlsdr(struct uw_device *devices, int max, int *ret_n);
/* What SoapySDR's drivers find, but for dongles and sound cards. Nothing is opened. The same. */
int uw_devices_soapy(struct uw_device *devices, int max, int *ret_n);

#endif
