/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Any text: a scenario is refused with a message, or it can be generated. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "uw/base/err.h"
#include "uw/synth/synth.h"

#define N_SAMPLES 2048
#define N_BURSTS  200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool count(const struct uw_synth_burst *burst, void *userdata) {
    int *left = userdata;
    if (!(burst->count >= 0) || burst->in_band < 0 || burst->in_band > 1.000001)
        abort();
    return --*left > 0;
}

static void generate(const struct uw_scenario *s, int receiver) {
    static unsigned char out[N_SAMPLES * 8];
    struct uw_synth *synth = NULL;
    size_t n;
    int left = N_BURSTS;

    /* a parsed scenario is a good one */
    if (uw_synth_new(s, receiver, NULL, &synth) != 0)
        abort();
    if (uw_synth_read(synth, out, N_SAMPLES, &n) != 0 || n > N_SAMPLES)
        abort();
    uw_synth_free(synth);
    if (uw_synth_truth(s, receiver, NULL, count, &left) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    static struct uw_diag diag;
    struct uw_scenario *s = NULL;

    diag.n = diag.n_dropped = 0;
    int r = uw_scenario_parse("fuzz", (const char *)data, len, &diag, &s);
    if (r == UW_E_INPUT && diag.n == 0)
        abort(); /* refused without a word */
    if (r != 0)
        return 0;
    for (int i = 0; i < s->n_receivers && i < 2; i++)
        generate(s, i);
    uw_scenario_free(s);
    return 0;
}
