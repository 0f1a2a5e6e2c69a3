/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SYNTH_SCENARIO_IMPL_H
#define UW_SYNTH_SCENARIO_IMPL_H

/* What the two files that read scenarios share. */

#include <stdio.h>

#include "synth-impl.h"
#include "uw/conf/conf.h"

#define SCENARIO_MAX_S     1e7
#define SCENARIO_SHARE_MIN 1e-9 /* of lost samples, unless none */
#define SCENARIO_RATE_MIN  10e3
#define SCENARIO_RATE_MAX  250e6

struct reader {
    struct uw_conf *conf;
    struct uw_scenario *scenario;
};

/* Reads "name" if it is there. */
void scenario_name(struct reader *in, const struct uw_conf_node *node,
                   char name[UW_SYNTH_NAME_LEN]);
void scenario_read_emitter(struct reader *in, const struct uw_conf_node *node);

#endif
