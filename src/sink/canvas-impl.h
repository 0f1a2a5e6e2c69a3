/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SINK_CANVAS_IMPL_H
#define UW_SINK_CANVAS_IMPL_H

/* A picture in memory: pixels, boxes, text, PNG. What lies outside is cut off. Threads: one. */

#include <stdint.h>

struct uw_canvas;
struct uw_diag;

struct uw_colour {
    uint8_t r, g, b;
};

struct uw_rect {
    int x, y, w, h;
};

#define UW_FONT_WIDTH  5
#define UW_FONT_HEIGHT 7
/* Seven rows, the leftmost pixel in bit 4; unknown characters are a box. */
const uint8_t *uw_font_glyph(char c);
/* Rows that a glyph stands lower than the others. */
int uw_font_drop(char c);

int uw_canvas_new(int width, int height, struct uw_colour background, struct uw_canvas **ret);
struct uw_canvas *uw_canvas_free(struct uw_canvas *canvas);
void uw_canvas_pixel(struct uw_canvas *canvas, int x, int y, struct uw_colour colour);
void uw_canvas_fill(struct uw_canvas *canvas, struct uw_rect rect, struct uw_colour colour);
void uw_canvas_outline(struct uw_canvas *canvas, struct uw_rect rect, struct uw_colour colour);
int uw_text_width(const char *text, int scale);
int uw_text_height(int scale);
void uw_canvas_text(struct uw_canvas *canvas, int x, int y, int scale, struct uw_colour colour,
                    const char *text);
/* To a temporary name, then renamed. */
int uw_canvas_write(const struct uw_canvas *canvas, const char *path, struct uw_diag *diag);

#endif
