/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The picture: title, plot with axes, colour bar, legend
 *
 * Colours run through D. A. Green's cubehelix (Bull. Astr. Soc. India 39, 289, 2011): brightness
 * grows evenly with power, also in grey and for the colour-blind, while the hue turns. The scale
 * goes from the 5 % to the 99.9 % quantile of all cells, at least 20 dB: one carrier or one silent
 * row does not spoil it.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canvas-impl.h"
#include "spectrogram-impl.h"
#include "uw/base/err.h"
#include "uw/base/time.h"
#include "uw/base/util.h"

#define PLOT_WIDTH    1024
#define PLOT_MIN      480 /* rows are drawn thicker until the plot is this high */
#define MARGIN_LEFT   112
#define MARGIN_RIGHT  128
#define MARGIN_TOP    80
#define MARGIN_BOTTOM 64
#define LEGEND_LINE   24
#define TICK          6
#define SCALE         2 /* of letters */
#define BAR_WIDTH     20
#define MIN_SPAN_DB   20
#define QUANTILE_MAX  ((size_t)1 << 17)

static const struct uw_colour paper = {250, 250, 250}, ink = {20, 20, 20}, grey = {100, 100, 100};

struct plot {
    const struct uw_spectrogram *s;
    struct uw_canvas *canvas;
    struct uw_rect area;
    float low_db, high_db;
};

static uint8_t level(double x) {
    return (uint8_t)(x <= 0 ? 0 : x >= 1 ? 255 : lround(255 * x));
}

static struct uw_colour cubehelix(double x) {
    const double start = 0.6, turns = -1.1, hue = 1.15;
    double phi = 2 * UW_PI * (start / 3 + 1 + turns * x);
    double amp = hue * x * (1 - x) / 2;

    return (struct uw_colour){
        level(x + amp * (-0.14861 * cos(phi) + 1.78277 * sin(phi))),
        level(x + amp * (-0.29227 * cos(phi) - 0.90649 * sin(phi))),
        level(x + amp * 1.97294 * cos(phi)),
    };
}

/* "12.50" whatever the locale; at most six decimals. */
static void format_fixed(char *buf, size_t size, double value, int decimals) {
    const int64_t million = 1000000;
    int64_t cut = 1, x;
    size_t n;

    for (int i = decimals; i < 6; i++)
        cut *= 10;
    x = (int64_t)llround(fabs(value) * (double)(million / cut)) * cut;
    snprintf(buf, size, "%s%" PRId64 ".%06" PRId64, value < 0 && x > 0 ? "-" : "", x / million,
             x % million);
    n = strlen(buf);
    buf[n - (size_t)(decimals > 0 ? 6 - decimals : 7)] = '\0';
}

/* 1, 2 or 5 times a power of ten: at most n_max steps in the span. */
static double nice_step(double span, int n_max) {
    double raw = span / n_max, decade = pow(10, floor(log10(raw)));
    double m = raw / decade;

    return decade * (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10);
}

static int decimals_of(double step) {
    int n = (int)ceil(-log10(step) - 1e-9);

    return n < 0 ? 0 : n > 6 ? 6 : n;
}

static void draw_centred(struct uw_canvas *canvas, int x, int y, const char *text) {
    uw_canvas_text(canvas, x - uw_text_width(text, SCALE) / 2, y, SCALE, ink, text);
}

static void draw_right(struct uw_canvas *canvas, int x, int y, const char *text) {
    uw_canvas_text(canvas, x - uw_text_width(text, SCALE), y - uw_text_height(SCALE) / 2, SCALE,
                   ink, text);
}

static int compare_float(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;

    return x < y ? -1 : x > y;
}

static int find_range(struct plot *p) {
    size_t n = uw_spec_rows(p->s) * p->s->n_cols, step = n / QUANTILE_MAX + 1, m = 0;
    float *values = malloc((n / step + 1) * sizeof(values[0]));

    if (!values)
        return uw_err(-ENOMEM);
    /* An even step would look at the same columns of each row only. */
    if (step > 1 && step % 2 == 0)
        step++;
    for (size_t i = 0; i < n; i += step)
        values[m++] = p->s->cells[i];
    qsort(values, m, sizeof(values[0]), compare_float);
    p->low_db = values[(size_t)(0.05 * (double)(m - 1))];
    p->high_db = values[(size_t)(0.999 * (double)(m - 1))];
    if (p->high_db - p->low_db < MIN_SPAN_DB)
        p->high_db = p->low_db + MIN_SPAN_DB;
    free(values);
    return 0;
}

static void draw_cells(const struct plot *p) {
    const struct uw_spectrogram *s = p->s;
    size_t rows = uw_spec_rows(s);
    struct uw_colour colours[256];

    for (int i = 0; i < 256; i++)
        colours[i] = cubehelix(0.03 + 0.95 * i / 255.0);
    for (int y = 0; y < p->area.h; y++) {
        const float *row = s->cells + (size_t)y * rows / (size_t)p->area.h * s->n_cols;

        for (int x = 0; x < p->area.w; x++) {
            float db = row[(size_t)x * s->n_cols / (size_t)p->area.w];
            double v = (double)(db - p->low_db) / (double)(p->high_db - p->low_db);

            uw_canvas_pixel(p->canvas, p->area.x + x, p->area.y + y, colours[level(v)]);
        }
    }
    uw_canvas_outline(p->canvas,
                      (struct uw_rect){p->area.x - 1, p->area.y - 1, p->area.w + 2, p->area.h + 2},
                      ink);
}

static void draw_frequency_axis(const struct plot *p) {
    bool known = isfinite(p->s->freq_hz);
    double centre = known ? p->s->freq_hz / 1e6 : 0, span = p->s->rate_hz / 1e6;
    double lower = centre - span / 2, step = nice_step(span, 8);
    int bottom = p->area.y + p->area.h;
    char text[40];

    for (double i = ceil(lower / step); i * step <= lower + span; i++) {
        int x = p->area.x + (int)lround((i * step - lower) / span * p->area.w);

        uw_canvas_fill(p->canvas, (struct uw_rect){x, bottom + 1, 2, TICK}, ink);
        format_fixed(text, sizeof(text), i * step, decimals_of(step));
        draw_centred(p->canvas, x, bottom + TICK + 6, text);
    }
    draw_centred(p->canvas, p->area.x + p->area.w / 2, bottom + TICK + 30,
                 known ? "frequency, MHz" : "offset from the centre (frequency unknown), MHz");
}

static void time_unit(double span_s, double *ret_unit, const char **ret_name) {
    *ret_unit = span_s < 2e-3 ? 1e-6 : span_s < 2 ? 1e-3 : 1;
    *ret_name = span_s < 2e-3 ? "us" : span_s < 2 ? "ms" : "s";
}

static double plot_span_s(const struct uw_spectrogram *s) {
    return (double)(uw_spec_rows(s) * s->merge) * s->row_s;
}

static void draw_time_axis(const struct plot *p) {
    double unit, span_s = plot_span_s(p->s), step;
    const char *name;
    char text[40];

    time_unit(span_s, &unit, &name);
    step = nice_step(span_s / unit, p->area.h / 60);
    for (double i = 0; i * step * unit <= span_s; i++) {
        int y = p->area.y + (int)lround(i * step * unit / span_s * p->area.h);

        uw_canvas_fill(p->canvas, (struct uw_rect){p->area.x - 1 - TICK, y, TICK, 2}, ink);
        format_fixed(text, sizeof(text), i * step, decimals_of(step));
        draw_right(p->canvas, p->area.x - TICK - 8, y, text);
    }
    snprintf(text, sizeof(text), "time, %s", name);
    uw_canvas_text(p->canvas, p->area.x - 8 - uw_text_width(text, SCALE),
                   p->area.y - 16 - uw_text_height(SCALE), SCALE, ink, text);
}

static void draw_colour_bar(const struct plot *p) {
    struct uw_rect bar = {p->area.x + p->area.w + 24, p->area.y, BAR_WIDTH, p->area.h};
    double low = (double)p->low_db, span = (double)(p->high_db - p->low_db);
    double step = nice_step(span, 8);
    char text[40];

    for (int y = 0; y < bar.h; y++) {
        double v = 1 - (double)y / (bar.h - 1);

        uw_canvas_fill(p->canvas, (struct uw_rect){bar.x, bar.y + y, bar.w, 1},
                       cubehelix(0.03 + 0.95 * v));
    }
    uw_canvas_outline(p->canvas, (struct uw_rect){bar.x - 1, bar.y - 1, bar.w + 2, bar.h + 2}, ink);
    for (double i = ceil(low / step); i * step <= low + span; i++) {
        int y = bar.y + bar.h - 1 - (int)lround((i * step - low) / span * (bar.h - 1));

        uw_canvas_fill(p->canvas, (struct uw_rect){bar.x + bar.w + 1, y, TICK, 2}, ink);
        format_fixed(text, sizeof(text), i * step, decimals_of(step));
        uw_canvas_text(p->canvas, bar.x + bar.w + TICK + 5, y - uw_text_height(SCALE) / 2, SCALE,
                       ink, text);
    }
    uw_canvas_text(p->canvas, bar.x, bar.y - 16 - uw_text_height(SCALE), SCALE, ink, "dB");
}

static void draw_title(const struct plot *p) {
    const struct uw_spectrogram *s = p->s;
    char line[160], start[UW_TIME_LEN + 8] = "", row[24];
    double unit, row_s = s->row_s * (double)s->merge;
    const char *name;
    char rate[24];

    uw_canvas_text(p->canvas, p->area.x, 10, SCALE, ink, s->title);
    if (s->start_ns != 0) {
        char time[UW_TIME_LEN];

        snprintf(start, sizeof(start), "from %s, ", uw_time_format(s->start_ns, time));
    }
    time_unit(row_s, &unit, &name);
    format_fixed(row, sizeof(row), row_s / unit, row_s / unit < 10 ? 2 : 1);
    format_fixed(rate, sizeof(rate), s->rate_hz / 1e6, 3);
    snprintf(line, sizeof(line), "%s%s MS/s, %s %s a line, largest value of each cell", start, rate,
             row, name);
    uw_canvas_text(p->canvas, p->area.x, 34, SCALE, grey, line);
}

static void draw_legend(const struct plot *p) {
    int y = p->area.y + p->area.h + MARGIN_BOTTOM;
    char line[UW_SPEC_LABEL_LEN + 48];

    for (size_t i = 0; i <= UW_SPEC_KINDS_MAX; i++) {
        const struct uw_spec_kind *kind = &p->s->kinds[i];

        if (kind->count == 0)
            continue;
        uw_canvas_fill(p->canvas, (struct uw_rect){p->area.x, y, 28, 16}, ink);
        uw_canvas_outline(p->canvas, (struct uw_rect){p->area.x + 2, y + 2, 24, 12},
                          uw_spec_kind_colour((int)i));
        uw_canvas_outline(p->canvas, (struct uw_rect){p->area.x + 3, y + 3, 22, 10},
                          uw_spec_kind_colour((int)i));
        snprintf(line, sizeof(line), "%s: %zu detection%s", kind->label, kind->count,
                 kind->count == 1 ? "" : "s");
        uw_canvas_text(p->canvas, p->area.x + 40, y + 1, SCALE, ink, line);
        y += LEGEND_LINE;
    }
}

static int legend_lines(const struct uw_spectrogram *s) {
    int n = 0;

    for (size_t i = 0; i <= UW_SPEC_KINDS_MAX; i++)
        n += s->kinds[i].count > 0;
    return n;
}

int uw_spec_draw(const struct uw_spectrogram *s, struct uw_canvas **ret_canvas) {
    int rows = (int)uw_spec_rows(s), lines = legend_lines(s);
    struct plot p = {.s = s};
    int r;

    p.area = (struct uw_rect){MARGIN_LEFT, MARGIN_TOP, PLOT_WIDTH,
                              rows < PLOT_MIN ? (PLOT_MIN + rows - 1) / rows * rows : rows};
    r = find_range(&p);
    if (r)
        return r;
    r = uw_canvas_new(MARGIN_LEFT + PLOT_WIDTH + MARGIN_RIGHT,
                      MARGIN_TOP + p.area.h + MARGIN_BOTTOM + lines * LEGEND_LINE + 8, paper,
                      &p.canvas);
    if (r)
        return r;
    draw_title(&p);
    draw_cells(&p);
    draw_frequency_axis(&p);
    draw_time_axis(&p);
    draw_colour_bar(&p);
    uw_spec_draw_marks(s, p.canvas, p.area, plot_span_s(s));
    draw_legend(&p);
    *ret_canvas = p.canvas;
    return 0;
}
