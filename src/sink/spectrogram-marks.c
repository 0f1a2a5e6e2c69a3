/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Boxes around detections, and their labels
 *
 * A box stands just outside of what it marks. A label goes above, below or beside its box, where it
 * covers neither another label nor another box; where there is no such place the box's colour and
 * the legend must do. So a picture of one burst is labelled and one of a thousand stays readable.
 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "canvas-impl.h"
#include "spectrogram-impl.h"
#include "uw/base/util.h"

#define SCALE       2
#define BOX_MIN     7 /* pixels */
#define THICK_MIN   16
#define GAP         3  /* between a box and its label */
#define LABELS_MAX  96 /* of one picture */
#define LABELS_KIND 12 /* of one kind */

static const struct uw_colour black = {0, 0, 0};

struct layout {
    struct uw_rect area;
    const struct uw_rect *boxes;
    size_t n_boxes;
    struct uw_rect labels[LABELS_MAX];
    size_t n_labels;
    unsigned n_of_kind[UW_SPEC_KINDS_MAX + 1];
};

struct uw_colour uw_spec_kind_colour(int kind) {
    static const struct uw_colour colours[UW_SPEC_KINDS_MAX + 1] = {
        {255, 90, 70},  {90, 230, 255},  {255, 225, 60}, {255, 140, 255}, {130, 255, 110},
        {255, 170, 60}, {150, 170, 255}, {60, 255, 200}, {225, 225, 225},
    };

    return colours[kind];
}

static bool overlap(struct uw_rect a, struct uw_rect b) {
    return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

static bool inside(struct uw_rect a, struct uw_rect b) {
    return a.x >= b.x && a.y >= b.y && a.x + a.w <= b.x + b.w && a.y + a.h <= b.y + b.h;
}

/* From `from` to `to` of 0..1, in pixels, at least BOX_MIN of them. */
static void place(double from, double to, int offset, int length, int *ret_at, int *ret_len) {
    double scale = length, low = floor(from * scale) - 2, high = ceil(to * scale) + 2;

    low = low < 0 ? 0 : low;
    high = high > scale ? scale : high;
    if (high - low < BOX_MIN) {
        low = (low + high - BOX_MIN) / 2;
        low = low < 0 ? 0 : low > scale - BOX_MIN ? scale - BOX_MIN : low;
        high = low + BOX_MIN;
    }
    *ret_at = offset + (int)low;
    *ret_len = (int)(high - low);
}

/* False if it lies outside of the picture. */
static bool box_of(const struct uw_spectrogram *s, const struct uw_spec_mark *m,
                   struct uw_rect area, double span_s, struct uw_rect *ret) {
    double x0 = m->lower_hz / s->rate_hz + 0.5, x1 = m->upper_hz / s->rate_hz + 0.5;
    double y0 = m->t0_s / span_s, y1 = m->t1_s / span_s;

    if (!(x1 > 0 && x0 < 1 && y1 >= 0 && y0 <= 1 && y1 >= y0))
        return false;
    place(x0, x1, area.x, area.w, &ret->x, &ret->w);
    place(y0, y1, area.y, area.h, &ret->y, &ret->h);
    return true;
}

static void draw_box(struct uw_canvas *canvas, struct uw_rect box, struct uw_colour colour) {
    struct uw_rect outer = {box.x - 1, box.y - 1, box.w + 2, box.h + 2};
    struct uw_rect second = {box.x + 1, box.y + 1, box.w - 2, box.h - 2};

    uw_canvas_outline(canvas, outer, black);
    uw_canvas_outline(canvas, box, colour);
    /* A second line would fill a thin box. */
    if (box.w >= THICK_MIN && box.h >= THICK_MIN)
        uw_canvas_outline(canvas, second, colour);
}

/* `own`: the box that may be touched. */
static bool is_free(const struct layout *l, struct uw_rect rect, size_t own) {
    if (!inside(rect, l->area))
        return false;
    for (size_t i = 0; i < l->n_labels; i++) {
        if (overlap(rect, l->labels[i]))
            return false;
    }
    for (size_t i = 0; i < l->n_boxes; i++) {
        if (i != own && overlap(rect, l->boxes[i]))
            return false;
    }
    return true;
}

static bool find_place(const struct layout *l, size_t own, int w, int h, struct uw_rect *ret) {
    struct uw_rect b = l->boxes[own];
    int right = l->area.x + l->area.w - w;
    /* Over a narrow box at the edge the label is moved inwards. */
    int x = b.x > right ? right : b.x;
    const struct uw_rect places[] = {
        {x, b.y - GAP - h, w, h},
        {x, b.y + b.h + GAP, w, h},
        {b.x + b.w + GAP, b.y + b.h / 2 - h / 2, w, h},
        {b.x - GAP - w, b.y + b.h / 2 - h / 2, w, h},
        {b.x + b.w + GAP, b.y, w, h},
        {b.x - GAP - w, b.y, w, h},
        {b.x + b.w - w, b.y - GAP - h, w, h},
        {b.x + b.w - w, b.y + b.h + GAP, w, h},
    };

    for (size_t i = 0; i < UW_ARRAY_SIZE(places); i++) {
        if (!is_free(l, places[i], own))
            continue;
        *ret = places[i];
        return true;
    }
    return false;
}

static void draw_label(const struct uw_spectrogram *s, struct uw_canvas *canvas, struct layout *l,
                       size_t own, int kind) {
    const char *text = s->kinds[kind].label;
    int w = uw_text_width(text, SCALE) + 8, h = uw_text_height(SCALE) + 10;
    struct uw_rect rect;

    if (l->n_labels == LABELS_MAX || l->n_of_kind[kind] == LABELS_KIND ||
        !find_place(l, own, w, h, &rect))
        return;
    uw_canvas_fill(canvas, rect, black);
    uw_canvas_text(canvas, rect.x + 4, rect.y + 3, SCALE, uw_spec_kind_colour(kind), text);
    l->labels[l->n_labels++] = rect;
    l->n_of_kind[kind]++;
}

void uw_spec_draw_marks(const struct uw_spectrogram *s, struct uw_canvas *canvas,
                        struct uw_rect area, double span_s) {
    struct layout l = {.area = area};
    struct uw_rect *boxes = calloc(s->n_marks + 1, sizeof(*boxes));
    int *kinds = calloc(s->n_marks + 1, sizeof(*kinds));

    /* Without memory for them the picture is still worth having. */
    for (size_t i = 0; boxes && kinds && i < s->n_marks; i++) {
        if (!box_of(s, &s->marks[i], area, span_s, &boxes[l.n_boxes]))
            continue;
        kinds[l.n_boxes] = s->marks[i].kind;
        draw_box(canvas, boxes[l.n_boxes], uw_spec_kind_colour(s->marks[i].kind));
        l.n_boxes++;
    }
    l.boxes = boxes;
    for (size_t i = 0; i < l.n_boxes; i++)
        draw_label(s, canvas, &l, i, kinds[i]);
    free(boxes);
    free(kinds);
}
