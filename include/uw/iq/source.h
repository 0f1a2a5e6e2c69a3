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
 * Threads: one thread reads; uw_source_stop() may come from any other and makes a waiting read
 * return 0 samples soon. Ownership: uw_source_open() copies its parameters.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uw/base/iq-format.h"

struct uw_diag;
struct uw_source;

enum uw_source_type {
    UW_SOURCE_FILE, /* by content and name: SigMF pair or archive, WAV/RF64, raw; "-" is standard
                       input (raw) */
    UW_SOURCE_LOOP, /* the same file over and over as a live receiver, paced by the clock */
    UW_SOURCE_TYPE_N
};

struct uw_source_params {
    enum uw_source_type type;
    const char *path;
    int format;       /* enum uw_iq_format, or -1: from the file or its name */
    double rate_hz;   /* NAN: from the file or its name */
    double freq_hz;   /* NAN: from the file or its name; may stay unknown */
    int64_t start_ns; /* UW_TIME_NONE: from the file, else 1970 (a loop: now) */
    bool paced;       /* a file at the speed of the signal (replay --realtime); it still never loses
                         samples */
};

struct uw_source_info {
    enum uw_iq_format format;
    double rate_hz;
    double freq_hz; /* NAN: unknown */
    int64_t start_ns;
    uint64_t n_samples; /* 0: unknown (standard input, live) */
    bool live;
    char description[128];
};

#define UW_RATE_MIN_HZ 250e3
#define UW_RATE_MAX_HZ 50e6

void uw_source_params_init(struct uw_source_params *params);
/* 0, -errno, or UW_E_INPUT with "PATH: what, and what to do" in diag. */
int uw_source_open(const struct uw_source_params *params, struct uw_diag *diag,
                   struct uw_source **ret_source);
struct uw_source *uw_source_close(struct uw_source *source);
const struct uw_source_info *uw_source_info(const struct uw_source *source);
/* Up to n samples into buf (n * uw_iq_format_size bytes). *ret_n == 0: end. *ret_lost: samples lost
 * since the previous block (live only). cf32 that is not finite is UW_E_INPUT, with the sample's
 * index. */
int uw_source_read(struct uw_source *source, void *buf, size_t n, struct uw_diag *diag,
                   size_t *ret_n, uint64_t *ret_lost);
void uw_source_stop(struct uw_source *source);

#endif
