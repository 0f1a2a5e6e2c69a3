/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_TOOLS_WATCH_VIEW_H
#define UW_TOOLS_WATCH_VIEW_H

/*
 * What "uaswatch watch --plain" shows: alerts as text, and one line that says how things are
 *
 * On a terminal the status line stays at the bottom and is drawn again each second; elsewhere it is
 * printed when it changes in meaning, and once a minute as a sign of life. Knows no socket and no
 * clock: the caller hands in bodies and times, so that it can be tested.
 *
 * Threads: one. Ownership: the config's strings and file are borrowed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct uw_view;

struct uw_view_config {
    FILE *out;
    bool colour;
    int columns; /* of the terminal; 0: it is none */
    const char *endpoint;
};

/* Silence for so long means that the feed has stopped: health comes every second, and three seconds
 * after the last sign of life it must have been said. */
#define UW_VIEW_SILENCE_NS INT64_C(2600000000)

/* now_* are the monotonic and the real clock. */
int uw_view_new(const struct uw_view_config *config, int64_t now_mono_ns,
                struct uw_view **ret_view);
struct uw_view *uw_view_free(struct uw_view *view);
/* One body of the feed; what cannot be read is counted. */
void uw_view_message(struct uw_view *view, const char *json, size_t len, int64_t now_mono_ns,
                     int64_t now_real_ns);
/* To be called some ten times a second. */
void uw_view_tick(struct uw_view *view, int64_t now_mono_ns, int64_t now_real_ns);
/* Takes the status line away. */
void uw_view_end(struct uw_view *view);

#endif
