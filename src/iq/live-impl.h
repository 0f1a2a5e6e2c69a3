/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_IQ_LIVE_IMPL_H
#define UW_IQ_LIVE_IMPL_H

/*
 * Inside src/iq: what all live devices have in common
 *
 * A driver (source-rtlsdr.c, source-rtltcp.c, source-soapy.c) knows how to open one kind of device,
 * set it, make it give bytes, and close it. Everything else is here: two threads, the pool of
 * buffers, the count of lost samples, retuning, gain, health, back-off.
 *
 *   stream thread      driver->stream(): bytes -> uw_live_give(): a copy into a free buffer
 *        | full ring          ^ free ring
 *   reader (caller)    uw_live_read(): counts by the clock and cuts at retunes (stream-impl.h: a
 *                      struct uw_stream does both, ready and tested), measures, gives out
 *        | atomics            ^ settings ring
 *   supervisor         opens, starts, sets, watches, closes, waits, opens again; writes the health
 *
 * Time is source->clock. A sample's time is when it was taken, less the least delay of the path; a
 * change of setting therefore finds its sample by the clock, however many buffers are under way.
 *
 * Threads: as said; a driver's stream() runs in the stream thread, interrupt() in any, everything
 * else of a driver in the supervisor. Ownership: the live part owns the driver's state (device) and
 * frees it through driver->free().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "source-impl.h"

#define UW_LIVE_GAINS_MAX 128

struct uw_live;

/* What is asked for, and what has become of it. The driver's open() fills in the second half. */
struct uw_live_setup {
    const char *device; /* never NULL */
    double rate_hz, freq_hz;
    double gain_db; /* never NAN: with automatic gain what the controller thinks */
    bool auto_gain;
    double ppm;
    bool bias_tee;

    double got_freq_hz, got_gain_db;
    int n_gains;                        /* 0: the gain cannot be chosen */
    double gains_db[UW_LIVE_GAINS_MAX]; /* ascending */
    char what[64];                      /* the device for people: "R820T, serial 00000001" */
};

struct uw_live_driver {
    const char *name;
    double buffer_s; /* what one call of uw_live_give() brings, at most; buffers have this size */
    double jitter_s; /* a buffer that is later than this may mean that samples are missing ... */
    double hold_s;   /* ... unless the delay has been made good after so long */
    double settle_s; /* after a change of frequency samples are worthless for so long */
    double stall_s;  /* without any sample for so long, the device is closed and opened anew */

    /* 0, or uw_live_trouble(). Leaves nothing open on failure. Must not block for more than 2 s. */
    int (*open)(struct uw_live *live, void *device, struct uw_live_setup *setup);
    /* Gives bytes until interrupted (0) or the device fails (uw_live_trouble()). */
    int (*stream)(struct uw_live *live, void *device);
    /* Makes stream() return soon, also if it has not begun yet. */
    void (*interrupt)(void *device);
    /* While streaming. 0, or uw_live_trouble(). What was really set is written back. */
    int (*tune)(struct uw_live *live, void *device, double *freq_hz);
    int (*gain)(struct uw_live *live, void *device, double *gain_db);
    void (*close)(void *device); /* after stream() has returned */
    void (*free)(void *device);
};

struct uw_live_config {
    const struct uw_live_driver *driver;
    void *device; /* the driver's state; taken, also on failure */
    enum uw_iq_format format;
    double freq_hz_min, freq_hz_max;
};

/* What all devices ask of their parameters, for struct uw_source_ops.check: 0, or UW_E_INPUT with a
 * text for each. */
int uw_live_check(const struct uw_source_params *params, const char *name, double freq_hz_min,
                  double freq_hz_max, struct uw_diag *diag);
/* Parameters that have been checked: fills source->info, and starts the supervisor. */
int uw_live_open(struct uw_source *source, const struct uw_source_params *params,
                 const struct uw_live_config *config);
/* These go into struct uw_source_ops as they are. */
int uw_live_read(struct uw_source *source, void *buf, size_t n, struct uw_diag *diag,
                 struct uw_source_block *block);
int uw_live_tune(struct uw_source *source, double freq_hz);
void uw_live_health(struct uw_source *source, struct uw_source_health *health);
void uw_live_stop(struct uw_source *source);
void uw_live_close(struct uw_source *source);

/* From the stream thread: bytes as they came from the device, any number. Copies them and returns;
 * if the reader has left no buffer free they are dropped, which the clock will tell. */
void uw_live_give(struct uw_live *live, const void *bytes, size_t n_bytes);
/* True when stream() has to return. */
bool uw_live_interrupted(const struct uw_live *live);
/* Says what is wrong, in a sentence for a person on duty. Returns UW_E_INPUT, so that
 * "return uw_live_trouble(...)" reads well. From the stream thread and the supervisor. */
int uw_live_trouble(struct uw_live *live, enum uw_source_problem problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
