/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_STANDIN_SOAPY_H
#define UW_STANDIN_SOAPY_H

/*
 * A library that stands in for libSoapySDR in tests: one receiver "driver=standin", 16 bits or
 * float, that gives noise at the rate and fails as it is told
 *
 * A test finds standin_soapy() by dlsym(). Threads: any; the members are atomic.
 */

#include <stdatomic.h>
#include <stdbool.h>

struct standin_soapy {
    /* what goes wrong */
    atomic_bool absent, stalled, refuse_freq, refuse_cs16, deaf;
    _Atomic int error;         /* readStream() returns it; 0: none */
    _Atomic long lose;         /* samples to be lost now */
    _Atomic bool silent_loss;  /* ... without a code */
    _Atomic double rate_error; /* the rate that is told is off by this */
    /* what was asked for */
    _Atomic double rate, freq, gain, ppm;
    _Atomic int channel, antenna_rx2, bias_tee, n_made, n_open, n_streams;
};

struct standin_soapy *standin_soapy(void);

#endif
