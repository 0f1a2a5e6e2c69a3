/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_IQ_SOURCE_H
#define UW_IQ_SOURCE_H

/*
 * Where samples come from
 *
 * A source gives blocks of samples in its own format. A file source is read as fast as the caller
 * wants and never loses any; a live one (struct uw_source_info.live) keeps to the clock: it never
 * waits for the caller, and what was lost before a block is counted in it.
 *
 * A live source of a device or a network (rtlsdr, rtl_tcp, soapy) never ends by itself. When its
 * device is gone it keeps trying to open it again, with back-off, for ever; its reads go on and
 * give no samples meanwhile, and uw_source_health() says what is the matter. Sample 0 is at
 * info.start_ns; n and lost of all blocks add up to the samples that the clock says have passed, so
 * that the time of a sample, start_ns + index / rate, stays true through any loss or absence.
 *
 * Threads: one thread reads; uw_source_stop(), uw_source_tune() and uw_source_health() may come
 * from any other. Stopping makes a waiting read return soon. Ownership: uw_source_open() copies its
 * parameters, strings too.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uw/base/iq-format.h"

struct uw_diag;
struct uw_source;

enum uw_source_type {
    UW_SOURCE_FILE,   /* by content and name: SigMF pair or archive, WAV/RF64, raw; "-" is standard
                         input (raw) */
    UW_SOURCE_LOOP,   /* the same file over and over as a live receiver, paced by the clock */
    UW_SOURCE_RTLSDR, /* a dongle, through librtlsdr */
    UW_SOURCE_RTLTCP, /* a dongle elsewhere, through a server of the rtl_tcp protocol */
    UW_SOURCE_SOAPY,  /* whatever SoapySDR has a driver for */
    UW_SOURCE_PIPE,   /* raw samples that another program writes to a pipe or, "-", to standard
                         input: live, it may end and come back; rate and format are required */
    UW_SOURCE_TYPE_N
};

struct uw_source_params {
    enum uw_source_type type;
    const char *path;   /* file, loop */
    const char *device; /* rtlsdr: its serial number, "#N" for an index (which changes from one
                           start to the next), NULL or "" for the only one; rtl_tcp: "HOST:PORT";
                           soapy: device arguments, "driver=..." */
    int format;         /* enum uw_iq_format, or -1: from the file or its name; file, loop */
    double rate_hz;     /* NAN: from the file or its name; devices: required */
    double freq_hz;     /* NAN: from the file or its name, may stay unknown; devices: required */
    int64_t start_ns;   /* UW_TIME_NONE: from the file, else 1970 (live: now) */
    bool paced;         /* a file at the speed of the signal (replay --realtime); it still never
                           loses samples */
    double gain_db;     /* devices; NAN: chosen by a slow controller. The nearest step is taken */
    double ppm;         /* devices: error of the oscillator that is corrected, -1000 to 1000;
                           positive: it is fast. Default 0 */
    bool bias_tee;      /* devices: supply of an antenna's amplifier. Default off */
};

struct uw_source_info {
    enum uw_iq_format format;
    double rate_hz;
    double freq_hz; /* NAN: unknown */
    int64_t start_ns;
    uint64_t n_samples; /* 0: unknown (standard input, live) */
    bool live;
    bool tunable;                    /* uw_source_tune() works */
    double freq_hz_min, freq_hz_max; /* that a tunable source can be asked for */
    char description[128];
};

/* What one read gave. `end` comes with n == 0. When a live source has no samples (n == 0, not end)
 * the rest says nothing: loss and freshness are told with the next samples. */
struct uw_source_block {
    size_t n;       /* samples, all of them taken with the oscillator at freq_hz */
    uint64_t lost;  /* samples missing before it, by the clock; never for files */
    double freq_hz; /* centre; NAN: unknown */
    double gain_db; /* the tuner's; NAN: unknown. Constant within a block */
    bool fresh;     /* the oscillator, its gain or the stream started anew before this block: phase,
                       amplitude and (with `lost`) time do not continue from the last one */
    bool torn;      /* the clock has found samples missing in the stream: by how much is known to
                       a millisecond or so, since when to a fraction of a second */
    bool end;       /* no more will come: the end of a file, or stopped */
};

enum uw_source_state {
    UW_SOURCE_OK,
    UW_SOURCE_DEGRADED, /* it hears, but less than it should */
    UW_SOURCE_LOST,     /* it hears nothing, or what it hears cannot be believed */
    UW_SOURCE_STATE_N
};

/* From the worst to the least is not implied; one is told at a time, the one to mend first. */
enum uw_source_problem {
    UW_SOURCE_PROBLEM_NONE,
    UW_SOURCE_PROBLEM_ABSENT,      /* the device is not there, or somebody else has it */
    UW_SOURCE_PROBLEM_STALLED,     /* it is open and gives no samples */
    UW_SOURCE_PROBLEM_LOSING,      /* samples are missing by the clock */
    UW_SOURCE_PROBLEM_CLIPPING,    /* strong signals overload the converter */
    UW_SOURCE_PROBLEM_DEAF,        /* the noise of an open input is missing: antenna, tuner */
    UW_SOURCE_PROBLEM_UNLOCKED,    /* the oscillator is not at the frequency asked for */
    UW_SOURCE_PROBLEM_DRIFTING,    /* its clock runs off against the host's */
    UW_SOURCE_PROBLEM_REFUSED,     /* a setting is refused: rate, frequency, gain */
    UW_SOURCE_PROBLEM_UNREACHABLE, /* the server does not answer, or nonsense */
    UW_SOURCE_PROBLEM_N
};

#define UW_SOURCE_ADVICE_LEN 192

struct uw_source_health {
    enum uw_source_state state;
    enum uw_source_problem problem;
    char advice[UW_SOURCE_ADVICE_LEN]; /* one sentence for a person on duty; "" when ok */
    int64_t since_mono_ns;             /* when the state began */
    uint64_t lost;      /* samples missing by the clock, while the device was there or not */
    uint64_t discarded; /* samples that came and were thrown away: stale after a retune, overrun */
    uint64_t reopened;  /* times that the device was opened again */
    uint64_t late;    /* callbacks (reads of a socket) that came too late for the device's buffer */
    double gain_db;   /* NAN: unknown */
    double drift_ppm; /* of the device's sample clock against the host's; NAN: not known yet */
    /* Last sign of life of the thread that opens, sets and closes the device, and waits for the one
     * that reads it; 0: there is none. A call of the device's library may take seconds. */
    int64_t pulse_mono_ns;
};

#define UW_RATE_MIN_HZ 250e3
#define UW_RATE_MAX_HZ 50e6

void uw_source_params_init(struct uw_source_params *params);
/* What a device's parameters alone have wrong, before anything is touched: 0, or UW_E_INPUT with a
 * text. uw_source_open() refuses the same. Recordings have to be opened to know. */
int uw_source_check(const struct uw_source_params *params, struct uw_diag *diag);
/* 0, -errno, or UW_E_INPUT with "PATH: what, and what to do" in diag. */
int uw_source_open(const struct uw_source_params *params, struct uw_diag *diag,
                   struct uw_source **ret_source);
struct uw_source *uw_source_close(struct uw_source *source);
const struct uw_source_info *uw_source_info(const struct uw_source *source);
/* Up to n samples into buf (n * uw_iq_format_size bytes). A live source of a device returns within
 * 0.25 s, also without samples; a loop gives whole blocks at the signal's speed. cf32 that is not
 * finite is UW_E_INPUT, with the sample's index. */
int uw_source_read(struct uw_source *source, void *buf, size_t n, struct uw_diag *diag,
                   struct uw_source_block *ret_block);
void uw_source_stop(struct uw_source *source);
/* Asks for another centre frequency, Hz. Does not wait: the block that has the new freq_hz is the
 * first at the new centre. Samples of the old one that still arrive are given with the old freq_hz,
 * or discarded and counted (then `lost` too: time goes on). Of several requests in flight the last
 * counts. 0; -EOPNOTSUPP: not tunable; -ERANGE: outside of the limits in info. Any thread. */
int uw_source_tune(struct uw_source *source, double freq_hz);
/* Any thread; does not wait. Files and loops are always ok. */
void uw_source_health(struct uw_source *source, struct uw_source_health *ret_health);
/* What is wrong with a rate for this type, or NULL: devices do not make every rate. NAN is not
 * judged. */
const char *uw_source_rate_fault(enum uw_source_type type, double rate_hz);
const char *uw_source_state_name(enum uw_source_state state);       /* "ok" */
const char *uw_source_problem_name(enum uw_source_problem problem); /* "none", "absent" */

#endif
