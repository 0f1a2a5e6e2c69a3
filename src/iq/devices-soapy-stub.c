/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What SoapySDR's drivers find, in a build without SoapySDR: nobody knows. */
#include <errno.h>

#include "uw/iq/devices.h"

int uw_devices_soapy(struct uw_device *devices, int max, int *ret_n) {
    (void)devices, (void)max;
    *ret_n = 0;
    return -EOPNOTSUPP;
}
