/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SINK_ANNOTATE_H
#define UW_SINK_ANNOTATE_H

/*
 * Detections as annotations of the recording they were found in (a .sigmf-meta file)
 *
 * Threads: one at a time. Ownership: everything given is copied.
 */

struct uw_annotate;
struct uw_detection;
struct uw_diag;
struct uw_source_info;

/*
 * `out` is a .sigmf-meta path or its base name, `recording` what was given to the source ("-" for
 * standard input), `info` what the source said. The file names the recording's data in core:dataset
 * unless it lies beside it under the same name; for WAV, archives and standard input it is marked
 * metadata-only. UW_E_INPUT if `out` would overwrite the recording's own meta file.
 */
int uw_annotate_new(const char *out, const char *recording, const struct uw_source_info *info,
                    struct uw_diag *diag, struct uw_annotate **ret_annotate);
int uw_annotate_add(struct uw_annotate *annotate, const struct uw_detection *d);
/* Writes the file, to a temporary name first. */
int uw_annotate_finish(struct uw_annotate *annotate, struct uw_diag *diag);
struct uw_annotate *uw_annotate_free(struct uw_annotate *annotate);

#endif
