/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SINK_SPECTROGRAM_IMPL_H
#define UW_SINK_SPECTROGRAM_IMPL_H

/* What the collector (spectrogram.c) hands to the drawing (spectrogram-draw.c). Threads: one. */

#include <stddef.h>
#include <stdint.h>

#include "canvas-impl.h"

#define UW_SPEC_COLS_MAX  1024
#define UW_SPEC_ROWS_MAX  1200
#define UW_SPEC_MARKS_MAX 4096
#define UW_SPEC_LABEL_LEN 64
#define UW_SPEC_KINDS_MAX 8 /* signatures with a colour of their own */

struct uw_spec_mark {
    double t0_s, t1_s;         /* since the first row */
    double lower_hz, upper_hz; /* offsets from the centre */
    int kind;
};

struct uw_spec_kind {
    char label[UW_SPEC_LABEL_LEN];
    size_t count;
};

struct uw_spectrogram {
    char title[96];
    double rate_hz, freq_hz, row_s;
    int64_t start_ns;
    size_t n_bins, n_cols;
    float *cells;  /* UW_SPEC_ROWS_MAX rows of n_cols, dB */
    size_t n_rows; /* complete rows of cells */
    size_t merge;  /* rows given per row kept: a power of two */
    size_t n_open; /* rows given that are merged in cells[n_rows] so far */
    uint64_t n_given;
    size_t n_marks, n_kinds;
    struct uw_spec_mark *marks;
    struct uw_spec_kind kinds[UW_SPEC_KINDS_MAX + 1]; /* the last: all others */
};

/* Rows that can be drawn: complete ones and the one begun. */
size_t uw_spec_rows(const struct uw_spectrogram *s);
int uw_spec_draw(const struct uw_spectrogram *s, struct uw_canvas **ret_canvas);
/* Boxes and labels of the detections in the plot's area, which spans span_s. */
void uw_spec_draw_marks(const struct uw_spectrogram *s, struct uw_canvas *canvas,
                        struct uw_rect area, double span_s);
struct uw_colour uw_spec_kind_colour(int kind);

#endif
