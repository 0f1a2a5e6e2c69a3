/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_IQ_WAV_IMPL_H
#define UW_IQ_WAV_IMPL_H

/* What libsndfile does not tell about a WAV file. Threads: any. */

#include <stdbool.h>
#include <stdint.h>

struct uw_diag;

struct uw_wav_chunks {
    bool data_open;     /* the writer did not come to fill in the length (or streamed) */
    uint64_t data_size; /* bytes */
    double freq_hz;     /* from "auxi"; NAN: not given */
    int64_t start_ns;   /* from "auxi"; UW_TIME_NONE: not given */
};

/* Walks the chunks of an open RIFF, RIFX or RF64 file of `size` bytes; UW_E_INPUT if there is no
 * data chunk or less data than it says. The file's position is changed. */
int uw_wav_walk(const char *path, int fd, uint64_t size, struct uw_diag *diag,
                struct uw_wav_chunks *ret);

#endif
