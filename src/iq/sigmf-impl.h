/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_IQ_SIGMF_IMPL_H
#define UW_IQ_SIGMF_IMPL_H

/* What the pair and the archive share. Threads: any. */

#include <stdint.h>

struct uw_diag;
struct uw_iq_facts;
struct uw_sigmf_meta;
struct uw_source_params;

/* `name` is the meta file's, for messages. */
int uw_sigmf_facts(const char *name, const struct uw_sigmf_meta *meta,
                   const struct uw_source_params *params, struct uw_diag *diag,
                   struct uw_iq_facts *ret);
/* Bytes of samples in a data file of `size` bytes, whole and enough for the captures. */
int uw_sigmf_data_bytes(const char *name, const struct uw_sigmf_meta *meta, uint64_t size,
                        struct uw_diag *diag, uint64_t *ret_bytes);

#endif
