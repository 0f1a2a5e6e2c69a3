/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_DSP_CUT_IMPL_H
#define UW_SRC_DSP_CUT_IMPL_H

/*
 * Private to src/dsp: channels cut out of the history of spectra (uw_front_cut())
 *
 * Threads: one. Ownership: the history must outlive the cutter.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "history-impl.h"
#include "uw/dsp/front.h"

struct uw_cutter;

/* What of the history may be used: frames [first, end); the first one's first sample. */
struct uw_cut_range {
    uint64_t first, end;
    uint64_t origin;
};

/* Frames of n bins (a multiple of 8) with a hop of 3/4 n. */
int uw_cutter_new(const struct uw_history *history, size_t n, double rate_hz,
                  struct uw_cutter **ret_cutter);
struct uw_cutter *uw_cutter_free(struct uw_cutter *cutter);
/* As uw_front_cut_rate(), uw_front_cut_begin(), uw_front_cut_read(). */
double uw_cutter_rate(const struct uw_cutter *cutter, double bandwidth_hz, double min_rate_hz);
bool uw_cutter_begin(struct uw_cutter *cutter, const struct uw_cut_range *range, uint64_t start,
                     uint64_t stop, double centre_hz, double bandwidth_hz, double min_rate_hz,
                     struct uw_front_cut *ret_cut);
size_t uw_cutter_read(struct uw_cutter *cutter, struct uw_front_cut *cut, float complex *out,
                      size_t max);

#endif
