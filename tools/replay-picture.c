/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Annotations and pictures of "uaswatch replay"
 *
 * The chain keeps no samples, so both are made after it has run: the recording is opened a second
 * time, for what it says about itself and, for the picture, for its spectra. These are of the
 * tool's own, coarse and evenly spaced; nothing is detected on them.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "replay-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/dsp/convert.h"
#include "uw/dsp/fft.h"
#include "uw/iq/source.h"
#include "uw/sink/annotate.h"
#include "uw/sink/spectrogram.h"

#define N_FFT          1024
#define ROWS_WANTED    1000 /* at least, by overlapping frames of short recordings */
#define ROWS_ENOUGH    4000 /* from here on frames are averaged */
#define FRAMES_ROW_MAX 16   /* so many at most, or short bursts drown */

void uw_marks_add(struct uw_marks *marks, const struct uw_detection *d) {
    if (marks->n == marks->size) {
        size_t size = marks->size ? 2 * marks->size : 256;
        struct uw_detection *list = realloc(marks->list, size * sizeof(*list));

        if (!list) {
            marks->failed = true;
            return;
        }
        marks->list = list;
        marks->size = size;
    }
    marks->list[marks->n++] = *d;
}

void uw_marks_deinit(struct uw_marks *marks) {
    free(marks->list);
    memset(marks, 0, sizeof(*marks));
}

static int open_again(const struct uw_engine_receiver *receiver, struct uw_diag *diag,
                      struct uw_source **ret_source) {
    struct uw_source_params params = receiver->source;

    params.path = receiver->path;
    params.paced = false;
    return uw_source_open(&params, diag, ret_source);
}

static void source_closep(struct uw_source **source) {
    uw_source_close(*source);
}

static void annotate_freep(struct uw_annotate **annotate) {
    uw_annotate_free(*annotate);
}

int uw_replay_annotate(const struct uw_engine_receiver *receiver, const struct uw_marks *marks,
                       const char *path, struct uw_diag *diag) {
    UW_CLEANUP(source_closep) struct uw_source *source = NULL;
    UW_CLEANUP(annotate_freep) struct uw_annotate *annotate = NULL;
    int r = open_again(receiver, diag, &source);

    if (r != 0)
        return r;
    r = uw_annotate_new(path, receiver->path, uw_source_info(source), diag, &annotate);
    for (size_t i = 0; i < marks->n && r == 0; i++)
        r = uw_annotate_add(annotate, &marks->list[i]);
    return r != 0 ? r : uw_annotate_finish(annotate, diag);
}

/* Frames every `hop` samples; `frames` of them make a row. */
struct painter {
    struct uw_source *source;
    struct uw_spectrogram *picture;
    struct uw_fft *fft;
    size_t hop, frames;
    void *raw;
    float complex *samples; /* the last N_FFT, oldest first */
    float window[N_FFT];
    float sum[N_FFT]; /* of the row that is being made */
    size_t n_summed;
};

static void painter_deinit(struct painter *p) {
    uw_source_close(p->source);
    uw_spectrogram_free(p->picture);
    uw_fft_free(p->fft);
    free(p->raw);
    free(p->samples);
}

static void plan_rows(struct painter *p, uint64_t n_samples) {
    uint64_t frames = n_samples / N_FFT;

    p->hop = N_FFT;
    p->frames = n_samples == 0 ? 4 : 1;
    if (n_samples > 0 && frames < ROWS_WANTED) {
        p->hop = (size_t)(n_samples / ROWS_WANTED);
        p->hop = p->hop < N_FFT / 8 ? N_FFT / 8 : p->hop;
    }
    if (frames > ROWS_ENOUGH)
        p->frames = (size_t)(frames / ROWS_ENOUGH) + 1;
    if (p->frames > FRAMES_ROW_MAX)
        p->frames = FRAMES_ROW_MAX;
}

static int painter_init(struct painter *p, const struct uw_engine_receiver *receiver,
                        struct uw_diag *diag) {
    const char *slash = strrchr(receiver->path, '/');
    struct uw_spectrogram_params params = {.title = slash ? slash + 1 : receiver->path,
                                           .n_bins = N_FFT};
    const struct uw_source_info *info;
    int r = open_again(receiver, diag, &p->source);

    if (r != 0)
        return r;
    info = uw_source_info(p->source);
    plan_rows(p, info->n_samples);
    params.rate_hz = info->rate_hz;
    params.freq_hz = info->freq_hz;
    params.start_ns = info->start_ns;
    params.row_s = (double)(p->hop * p->frames) / info->rate_hz;
    r = uw_spectrogram_new(&params, &p->picture);
    if (r == 0)
        r = uw_fft_new(N_FFT, &p->fft);
    if (r != 0)
        return r;
    p->raw = malloc(N_FFT * uw_iq_format_size(info->format));
    p->samples = calloc(N_FFT, sizeof(*p->samples));
    if (!p->raw || !p->samples)
        return uw_err(-ENOMEM);
    for (size_t i = 0; i < N_FFT; i++) /* Hann, of unit power gain for noise */
        p->window[i] =
            (float)(sqrt(2.0 / 3.0) * (1 - cos(2 * UW_PI * ((double)i + 0.5) / N_FFT)) / N_FFT);
    return 0;
}

static int paint_frame(struct painter *p) {
    float complex *x = uw_fft_buffer(p->fft);
    float row[N_FFT];

    for (size_t i = 0; i < N_FFT; i++)
        x[i] = p->samples[i] * p->window[i];
    uw_fft_run(p->fft);
    for (size_t i = 0; i < N_FFT; i++)
        p->sum[i] += crealf(x[i]) * crealf(x[i]) + cimagf(x[i]) * cimagf(x[i]);
    if (++p->n_summed < p->frames)
        return 0;
    for (size_t i = 0; i < N_FFT; i++) /* lowest frequency first */
        row[i] = 10 * log10f(p->sum[(i + N_FFT / 2) % N_FFT] / (float)p->frames + 1e-20f);
    memset(p->sum, 0, sizeof(p->sum));
    p->n_summed = 0;
    return uw_spectrogram_row(p->picture, row, N_FFT);
}

/* Reads n new samples behind the last ones. False in *ret_more at the end of the recording. */
static int read_frame(struct painter *p, size_t n, struct uw_diag *diag, bool *ret_more) {
    const struct uw_source_info *info = uw_source_info(p->source);
    size_t have = 0;

    memmove(p->samples, p->samples + n, (N_FFT - n) * sizeof(*p->samples));
    *ret_more = false;
    while (have < n) {
        struct uw_source_block got;
        int r = uw_source_read(p->source, p->raw, n - have, diag, &got);

        if (r != 0 || got.end)
            return r;
        uw_convert(info->format, p->raw, got.n, p->samples + N_FFT - n + have);
        have += got.n;
    }
    *ret_more = true;
    return 0;
}

static int paint(struct painter *p, struct uw_diag *diag) {
    size_t n = N_FFT;
    bool more = true;
    int r;

    for (;;) {
        r = read_frame(p, n, diag, &more);
        if (r != 0 || !more)
            return r;
        r = paint_frame(p);
        if (r != 0)
            return r;
        n = p->hop;
    }
}

int uw_replay_spectrogram(const struct uw_engine_receiver *receiver, const struct uw_marks *marks,
                          const char *path, struct uw_diag *diag) {
    UW_CLEANUP(painter_deinit) struct painter p = {0};
    int r = painter_init(&p, receiver, diag);

    if (r == 0)
        r = paint(&p, diag);
    for (size_t i = 0; i < marks->n && r == 0; i++)
        r = uw_spectrogram_mark(p.picture, &marks->list[i]);
    return r != 0 ? r : uw_spectrogram_write(p.picture, path, diag);
}
