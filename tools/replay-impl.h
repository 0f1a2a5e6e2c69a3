/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_TOOLS_REPLAY_IMPL_H
#define UW_TOOLS_REPLAY_IMPL_H

/*
 * Private to "uaswatch replay": what it prints, and what it draws
 */

#include <stdbool.h>
#include <stddef.h>

#include "uw/engine/engine.h"
#include "uw/msg/record.h"

struct uw_diag;

/*
 * The report: a table for people, or the bodies of the feed
 *
 * Threads: message and detection come from the fusion thread, the rest from the main one; a lock
 * inside keeps lines and the progress line apart.
 */
struct uw_report;

int uw_report_new(bool json, struct uw_report **ret_report);
struct uw_report *uw_report_free(struct uw_report *report);
/* A new recording of "replay --each": what was heard so far is forgotten. */
void uw_report_begin(struct uw_report *report, const char *recording);
void uw_report_message(struct uw_report *report, enum uw_msg_type type, const char *json);
void uw_report_detection(struct uw_report *report, const struct uw_detection *d);
/* fraction 0..1 or NAN. Draws on standard error if that is a terminal. */
void uw_report_progress(struct uw_report *report, double fraction, double elapsed_s);
void uw_report_progress_end(struct uw_report *report);
/* What one recording gave, in "replay --each". */
void uw_report_recording(struct uw_report *report, const struct uw_engine_summary *summary);
/* The last line. */
void uw_report_summary(struct uw_report *report, const struct uw_engine_summary *summary,
                       bool stopped);

/*
 * Copies of the detections, for annotations and pictures. Threads: one at a time.
 */
struct uw_marks {
    struct uw_detection *list;
    size_t n, size;
    bool failed; /* no memory: reported at the end */
};

void uw_marks_add(struct uw_marks *marks, const struct uw_detection *d);
void uw_marks_deinit(struct uw_marks *marks);
/* Both read the recording of `receiver` again. 0, -errno or UW_E_INPUT with text in diag. */
int uw_replay_annotate(const struct uw_engine_receiver *receiver, const struct uw_marks *marks,
                       const char *path, struct uw_diag *diag);
int uw_replay_spectrogram(const struct uw_engine_receiver *receiver, const struct uw_marks *marks,
                          const char *path, struct uw_diag *diag);

#endif
