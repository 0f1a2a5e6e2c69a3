/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SINK_SPECTROGRAM_H
#define UW_SINK_SPECTROGRAM_H

/*
 * A recording as a picture (PNG): frequency across, time down, detections as boxes
 *
 * The caller streams power spectra of any length of recording; neighbours are merged (the larger
 * value is kept, so that a short burst stays visible) when there are more than a picture can show.
 *
 * Threads: one at a time. Ownership: everything given is copied.
 */

#include <stddef.h>
#include <stdint.h>

struct uw_detection;
struct uw_diag;
struct uw_spectrogram;

struct uw_spectrogram_params {
    const char *title;
    double rate_hz;   /* the rows span freq_hz - rate_hz / 2 to freq_hz + rate_hz / 2 */
    double freq_hz;   /* NAN: unknown, the axis shows offsets */
    int64_t start_ns; /* of the first row: what detections' times are measured from */
    double row_s;     /* time from one row to the next */
    size_t n_bins;    /* of a row, lowest frequency first; 2 .. 2^20 */
};

/* 0, -ENOMEM, or -EINVAL for parameters out of range. */
int uw_spectrogram_new(const struct uw_spectrogram_params *params,
                       struct uw_spectrogram **ret_spectrogram);
/* n must be n_bins; what is not finite counts as very low. */
int uw_spectrogram_row(struct uw_spectrogram *spectrogram, const float *power_db, size_t n);
/* At most a few thousand are kept; further ones are counted in the legend only. */
int uw_spectrogram_mark(struct uw_spectrogram *spectrogram, const struct uw_detection *d);
/* 0, -ENOMEM, or UW_E_INPUT (no rows, or the file cannot be written). */
int uw_spectrogram_write(struct uw_spectrogram *spectrogram, const char *path,
                         struct uw_diag *diag);
struct uw_spectrogram *uw_spectrogram_free(struct uw_spectrogram *spectrogram);

#endif
