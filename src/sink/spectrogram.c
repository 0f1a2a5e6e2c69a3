/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Collecting the rows of a picture
 *
 * Neither the length of the recording nor the size of the transform is known to the picture: bins
 * are merged to at most UW_SPEC_COLS_MAX columns as they come, and when all rows are used up,
 * neighbours are merged two by two and from then on twice as many rows go into one. Merging keeps
 * the larger value, so that a burst of a millisecond does not fade in a picture of a minute.
 */
#include "uw/sink/spectrogram.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canvas-impl.h"
#include "spectrogram-impl.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/time.h"
#include "uw/base/util.h"
#include "uw/msg/record.h"

#define BINS_MAX ((size_t)1 << 20)
#define LOW_DB   (-300.0f)

static void spectrogram_freep(struct uw_spectrogram **s) {
    uw_spectrogram_free(*s);
}

int uw_spectrogram_new(const struct uw_spectrogram_params *params,
                       struct uw_spectrogram **ret_spectrogram) {
    UW_CLEANUP(spectrogram_freep) struct uw_spectrogram *s = NULL;

    if (params->n_bins < 2 || params->n_bins > BINS_MAX || !(params->rate_hz > 0) ||
        !(params->row_s > 0))
        return uw_err(-EINVAL);
    s = calloc(1, sizeof(*s));
    if (!s)
        return uw_err(-ENOMEM);
    uw_str_copy(s->title, sizeof(s->title), params->title ? params->title : "");
    s->rate_hz = params->rate_hz;
    s->freq_hz = params->freq_hz;
    s->row_s = params->row_s;
    s->start_ns = params->start_ns;
    s->n_bins = params->n_bins;
    s->n_cols = params->n_bins < UW_SPEC_COLS_MAX ? params->n_bins : UW_SPEC_COLS_MAX;
    s->merge = 1;
    s->cells = malloc(UW_SPEC_ROWS_MAX * s->n_cols * sizeof(s->cells[0]));
    s->marks = calloc(UW_SPEC_MARKS_MAX, sizeof(s->marks[0]));
    if (!s->cells || !s->marks)
        return uw_err(-ENOMEM);
    *ret_spectrogram = s;
    s = NULL;
    return 0;
}

struct uw_spectrogram *uw_spectrogram_free(struct uw_spectrogram *s) {
    if (!s)
        return NULL;
    free(s->cells);
    free(s->marks);
    free(s);
    return NULL;
}

/* All rows are used up: two become one. */
static void halve(struct uw_spectrogram *s) {
    size_t n = s->n_cols;

    for (size_t i = 0; i < s->n_rows / 2; i++) {
        const float *a = s->cells + 2 * i * n, *b = a + n;
        float *to = s->cells + i * n;

        for (size_t k = 0; k < n; k++)
            to[k] = a[k] > b[k] ? a[k] : b[k];
    }
    s->n_rows /= 2;
    s->merge *= 2;
}

static float column_of(const struct uw_spectrogram *s, const float *power_db, size_t col) {
    size_t from = col * s->n_bins / s->n_cols, to = (col + 1) * s->n_bins / s->n_cols;
    float value = LOW_DB;

    for (size_t i = from; i < to; i++) {
        if (isfinite(power_db[i]) && power_db[i] > value)
            value = power_db[i];
    }
    return value;
}

int uw_spectrogram_row(struct uw_spectrogram *s, const float *power_db, size_t n) {
    float *row;

    if (n != s->n_bins)
        return uw_err(-EINVAL);
    if (s->n_rows == UW_SPEC_ROWS_MAX)
        halve(s);
    row = s->cells + s->n_rows * s->n_cols;
    for (size_t col = 0; col < s->n_cols; col++) {
        float value = column_of(s, power_db, col);

        if (s->n_open == 0 || value > row[col])
            row[col] = value;
    }
    s->n_given++;
    if (++s->n_open == s->merge) {
        s->n_open = 0;
        s->n_rows++;
    }
    return 0;
}

size_t uw_spec_rows(const struct uw_spectrogram *s) {
    return s->n_rows + (s->n_open > 0 ? 1 : 0);
}

static int kind_of(struct uw_spectrogram *s, const struct uw_detection *d) {
    char label[UW_SPEC_LABEL_LEN];

    snprintf(label, sizeof(label), "%.40s%s%.20s", d->signature, d->variant[0] ? " " : "",
             d->variant);
    for (size_t i = 0; i < s->n_kinds; i++) {
        if (strcmp(s->kinds[i].label, label) == 0)
            return (int)i;
    }
    if (s->n_kinds == UW_SPEC_KINDS_MAX) {
        uw_str_copy(s->kinds[UW_SPEC_KINDS_MAX].label, UW_SPEC_LABEL_LEN, "others");
        return UW_SPEC_KINDS_MAX;
    }
    uw_str_copy(s->kinds[s->n_kinds].label, UW_SPEC_LABEL_LEN, label);
    return (int)s->n_kinds++;
}

int uw_spectrogram_mark(struct uw_spectrogram *s, const struct uw_detection *d) {
    double offset_hz = d->freq_hz;
    double half_hz = isfinite(d->bandwidth_hz) ? d->bandwidth_hz / 2 : 0;
    int kind = kind_of(s, d);

    s->kinds[kind].count++;
    if (s->n_marks == UW_SPEC_MARKS_MAX)
        return 0;
    if (isfinite(d->tuning.centre_hz))
        offset_hz -= d->tuning.centre_hz;
    /* Without a frequency it is the whole band that it was heard in. */
    if (!isfinite(offset_hz)) {
        offset_hz = 0;
        half_hz = s->rate_hz / 2;
    }
    s->marks[s->n_marks++] = (struct uw_spec_mark){
        .t0_s = (double)(d->t_start_ns - s->start_ns) / (double)UW_NS_PER_S,
        .t1_s = (double)(d->t_end_ns - s->start_ns) / (double)UW_NS_PER_S,
        .lower_hz = offset_hz - half_hz,
        .upper_hz = offset_hz + half_hz,
        .kind = kind,
    };
    return 0;
}

int uw_spectrogram_write(struct uw_spectrogram *s, const char *path, struct uw_diag *diag) {
    struct uw_canvas *canvas;
    int r;

    if (uw_spec_rows(s) == 0)
        return uw_diag_add(diag, "%s: the recording is too short for a picture", path);
    r = uw_spec_draw(s, &canvas);
    if (r)
        return r;
    r = uw_canvas_write(canvas, path, diag);
    uw_canvas_free(canvas);
    return r;
}
