/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_STANDIN_H
#define UW_STANDIN_H

/*
 * A library that stands in for librtlsdr in tests: dongles that need no dongle, and fail when told
 *
 *   library.c  finding, opening and setting devices
 *   stream.c   reading them
 *   air.c      what they hear
 *   script.c   the time, and what goes wrong when
 *
 * Environment, read when the library is first used:
 *
 *   UW_STANDIN_DEVICES  serial numbers, separated by commas; default "00000001"
 *   UW_STANDIN_AIR      PATH:FORMAT:RATE:FREQ of a recording without header (cu8, ci8, ci16, cf32),
 *                       heard over and over; without it noise, and ...
 *   UW_STANDIN_TONES    FREQ:DBFS[:ON_S:PERIOD_S],...: carriers, pulsed if so said
 *   UW_STANDIN_NOISE    power of that noise in dBFS per 2.4 MHz; default -30; with a recording it
 * says how loud the recording's noise is, for the time without an antenna UW_STANDIN_SPEED    times
 * faster than the clock; default 1 UW_STANDIN_SCRIPT   file of faults, see script.c UW_STANDIN_LOG
 * file to which each set call is added: "SERIAL what value"
 *
 * Levels are at a gain of STANDIN_GAIN dB, at which a recording in cu8 comes out as it is.
 *
 * Threads: any, as with librtlsdr; one mutex guards everything. While samples are made it is not
 * held.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STANDIN_GAIN     29.7
#define STANDIN_DEVICES  16
#define STANDIN_CHANGES  64 /* settings remembered until their samples have been read */
#define STANDIN_NO_POWER (-999.0)

/* How a device hears at some time. */
struct standin_setting {
    uint64_t from; /* the device's sample, since it was opened */
    double freq_hz, gain_db;
    bool locked;
};

/* A dongle, plugged in or not. */
struct standin_device {
    char serial[64];
    bool plugged;
    unsigned generation;       /* counts the times it was plugged in: old handles stay dead */
    struct rtlsdr_dev *handle; /* NULL: not open */

    /* faults */
    bool stalled, busy, forbidden, refuse_rate, wrong_rate, refuse_freq, refuse_gain;
    bool antenna_off;
    double clip_dbfs;    /* a carrier that is too strong; STANDIN_NO_POWER: none */
    double unlocked_hz;  /* the oscillator does not lock above; 0: it always does */
    bool slipped;        /* it has lost its lock, and finds it when it is tuned far away */
    double error_ppm;    /* of its crystal */
    double lose_share;   /* of the transfers that lose some samples */
    uint64_t lose_once;  /* samples that are lost now */
    unsigned n_short;    /* transfers that come short */
    double hiccup_until; /* nothing is handed out before */
};

struct rtlsdr_dev {
    struct standin_device *device;
    unsigned generation;
    uint32_t rate, freq, bandwidth;
    int gain, ppm;
    bool tuning; /* between two frequencies */
    bool manual_gain, testmode, bias_tee, agc;
    int direct;
    uint32_t rtl_xtal, tuner_xtal;

    /* sample `base` was taken at base_s; from there on at true_rate() */
    double base_s;
    uint64_t base, next; /* next: to be handed out */
    int status;
    bool cancel;
    int n_changes;
    struct standin_setting changes[STANDIN_CHANGES];
    unsigned random;
};

struct standin {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    int n_devices;
    struct standin_device devices[STANDIN_DEVICES];
    int order[STANDIN_DEVICES]; /* devices in the order in which they are found */
};

/* --- library.c --- */
struct standin *standin_lock(void); /* first use sets up; runs the script; take no other lock */
void standin_unlock(void);
bool standin_is_lost(const struct rtlsdr_dev *dev); /* unplugged since it was opened */
double standin_true_rate(const struct rtlsdr_dev *dev);
/* The device's sample that is being taken now. */
uint64_t standin_sample_now(const struct rtlsdr_dev *dev);
/* The clock of samples goes on from here: rate or error have changed, or reading begins. */
void standin_rebase(struct rtlsdr_dev *dev);
/* How it hears has changed now. */
void standin_change(struct rtlsdr_dev *dev);
void standin_log(const struct rtlsdr_dev *dev, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* --- script.c --- */
double standin_now(void); /* seconds of signal since the first use */
/* Waits for up to so many seconds of signal, and not long before it looks at the script. The mutex
 * is held, and given up meanwhile. */
void standin_wait(struct standin *all, double seconds);
void standin_wake(struct standin *all); /* all who wait; the mutex is held */
void standin_script_init(void);
void standin_script_run(struct standin *all); /* what is due */

/* --- air.c --- */
struct standin_hearing {
    double start_s; /* time on the air of the first sample */
    double rate_hz, freq_hz, gain_db;
    bool cut_off;  /* no antenna, nor its amplifier: FALL_DB less noise, nothing else */
    bool unlocked; /* only what the stages behind the mixer add, whatever the gain */
    double clip_dbfs;
    unsigned random;
};
void standin_air_init(void);
/* n samples as cu8 */
void standin_air_hear(const struct standin_hearing *hearing, unsigned char *buf, size_t n);

#endif
