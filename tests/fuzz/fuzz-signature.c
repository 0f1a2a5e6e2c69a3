/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "uw/base/err.h"
#include "uw/sig/signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool holds) {
    if (!holds)
        abort();
}

/* What the matchers take for granted. */
static void check_variant(const struct uw_signature *s, const struct uw_sig_variant *v) {
    must(memchr(v->name, 0, sizeof(v->name)) != NULL);
    must(v->modulation < UW_SIG_MODULATION_N);
    must(isfinite(v->bandwidth_hz) && v->bandwidth_hz > 0.0);
    must(isfinite(v->airtime_s) && v->airtime_s >= 0.0);
    must(isfinite(v->period_s) && v->period_s >= 0.0);
    if (v->modulation == UW_SIG_LORA)
        must(v->sf >= 5 && v->sf <= 12);
    if (s->matcher == UW_SIG_MATCH_LINK)
        must(v->period_s > 0.0 && v->airtime_s > 0.0 && v->packets_per_hop >= 1);
}

static void check_domain(const struct uw_sig_domain *d) {
    must(memchr(d->name, 0, sizeof(d->name)) != NULL);
    must(d->n_channels >= 1 && d->n_channels <= UW_SIG_CHANNELS_MAX);
    must(d->sync >= -1 && d->sync < d->n_channels);
    for (int i = 0; i < d->n_channels; ++i)
        must(isfinite(d->channel_hz[i]) && d->channel_hz[i] > 0.0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    static struct uw_diag diag;
    static struct uw_signature s;
    int r;

    diag.n = 0;
    diag.n_dropped = 0;
    r = uw_signature_parse("fuzz.conf", (const char *)data, len, &diag, &s);
    must(r == 0 || (r == UW_E_INPUT && diag.n > 0));
    for (int i = 0; i < diag.n; ++i)
        must(strncmp(diag.text[i], "fuzz.conf", 9) == 0);
    if (r)
        return 0;
    must(s.id[0] && s.family[0] && s.n_variants >= 1 && s.n_variants <= UW_SIG_VARIANTS_MAX);
    must(s.n_domains >= 0 && s.n_domains <= UW_SIG_DOMAINS_MAX);
    must(s.role < UW_SIG_ROLE_N && s.matcher < UW_SIG_MATCHER_N);
    must(s.sync_word >= -1 && s.sync_word <= 255);
    for (int i = 0; i < s.n_variants; ++i)
        check_variant(&s, &s.variants[i]);
    for (int i = 0; i < s.n_domains; ++i)
        check_domain(&s.domains[i]);
    return 0;
}
