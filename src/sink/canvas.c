/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "canvas-impl.h"

#include <errno.h>
#include <png.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "uw/base/err.h"

struct uw_canvas {
    int width, height;
    uint8_t *pixels; /* rows of r, g, b */
};

int uw_canvas_new(int width, int height, struct uw_colour background, struct uw_canvas **ret) {
    struct uw_canvas *canvas = calloc(1, sizeof(*canvas));

    if (!canvas)
        return uw_err(-ENOMEM);
    canvas->width = width;
    canvas->height = height;
    canvas->pixels = malloc((size_t)width * (size_t)height * 3);
    if (!canvas->pixels) {
        free(canvas);
        return uw_err(-ENOMEM);
    }
    uw_canvas_fill(canvas, (struct uw_rect){0, 0, width, height}, background);
    *ret = canvas;
    return 0;
}

struct uw_canvas *uw_canvas_free(struct uw_canvas *canvas) {
    if (canvas)
        free(canvas->pixels);
    free(canvas);
    return NULL;
}

void uw_canvas_pixel(struct uw_canvas *canvas, int x, int y, struct uw_colour colour) {
    uint8_t *p;

    if (x < 0 || y < 0 || x >= canvas->width || y >= canvas->height)
        return;
    p = canvas->pixels + 3 * ((size_t)y * (size_t)canvas->width + (size_t)x);
    p[0] = colour.r;
    p[1] = colour.g;
    p[2] = colour.b;
}

void uw_canvas_fill(struct uw_canvas *canvas, struct uw_rect rect, struct uw_colour colour) {
    for (int y = rect.y; y < rect.y + rect.h; y++) {
        for (int x = rect.x; x < rect.x + rect.w; x++)
            uw_canvas_pixel(canvas, x, y, colour);
    }
}

void uw_canvas_outline(struct uw_canvas *canvas, struct uw_rect rect, struct uw_colour colour) {
    uw_canvas_fill(canvas, (struct uw_rect){rect.x, rect.y, rect.w, 1}, colour);
    uw_canvas_fill(canvas, (struct uw_rect){rect.x, rect.y + rect.h - 1, rect.w, 1}, colour);
    uw_canvas_fill(canvas, (struct uw_rect){rect.x, rect.y, 1, rect.h}, colour);
    uw_canvas_fill(canvas, (struct uw_rect){rect.x + rect.w - 1, rect.y, 1, rect.h}, colour);
}

int uw_text_width(const char *text, int scale) {
    int n = (int)strlen(text);

    return n > 0 ? (n * (UW_FONT_WIDTH + 1) - 1) * scale : 0;
}

int uw_text_height(int scale) {
    return UW_FONT_HEIGHT * scale;
}

void uw_canvas_text(struct uw_canvas *canvas, int x, int y, int scale, struct uw_colour colour,
                    const char *text) {
    for (; *text; text++, x += (UW_FONT_WIDTH + 1) * scale) {
        const uint8_t *glyph = uw_font_glyph(*text);
        int drop = uw_font_drop(*text);

        for (int k = 0; k < UW_FONT_WIDTH * UW_FONT_HEIGHT; k++) {
            int row = k / UW_FONT_WIDTH, col = k % UW_FONT_WIDTH;
            int top = y + (row + drop) * scale;

            if (glyph[row] >> (UW_FONT_WIDTH - 1 - col) & 1)
                uw_canvas_fill(canvas, (struct uw_rect){x + col * scale, top, scale, scale},
                               colour);
        }
    }
}

/* libpng reports errors by a long jump: nothing here may change after setjmp() and be used later.
 */
static bool write_png(const struct uw_canvas *canvas, FILE *f) {
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png ? png_create_info_struct(png) : NULL;

    if (!info) {
        png_destroy_write_struct(&png, NULL);
        return false;
    }
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_write_struct(&png, &info);
        return false;
    }
    png_init_io(png, f);
    png_set_IHDR(png, info, (png_uint_32)canvas->width, (png_uint_32)canvas->height, 8,
                 PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (int y = 0; y < canvas->height; y++)
        png_write_row(png, canvas->pixels + 3 * (size_t)y * (size_t)canvas->width);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    return true;
}

int uw_canvas_write(const struct uw_canvas *canvas, const char *path, struct uw_diag *diag) {
    char *temporary;
    FILE *f;
    bool ok;
    int r = 0;

    if (asprintf(&temporary, "%s.%ld.tmp", path, (long)getpid()) < 0)
        return uw_err(-ENOMEM);
    f = fopen(temporary, "we");
    if (!f) {
        r = uw_diag_add(diag, "%s: %s", path, strerror(errno));
        free(temporary);
        return r;
    }
    errno = 0;
    ok = write_png(canvas, f);
    ok = fclose(f) == 0 && ok;
    if (!ok || rename(temporary, path) < 0) {
        r = uw_diag_add(diag, "%s: cannot be written: %s", path, strerror(errno ? errno : EIO));
        unlink(temporary);
    }
    free(temporary);
    return r;
}
