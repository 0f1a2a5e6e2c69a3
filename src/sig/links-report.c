/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * When a link is spoken of
 *
 * The rule for an alert asks for all kinds of evidence: three dwells and, where two or more
 * channels are visible, two of them; and a score at which followed links are likelier right than
 * wrong (confidence.h).
 */

#include <math.h>

#include "links-impl.h"
#include "links-jump-impl.h"

#define KNOWN_LLR       4.0 /* nats before an emitter is spoken of */
#define WEAK_KNOWN_LLR  12.0
#define REPORT_S        0.1 /* findings of one emitter, unless its state changes */
#define PATIENCE_S      2.4 /* an alert waits so long for the name of the air rate */
#define WEAK_PATIENCE_S 1.5 /* ... of a link whose packets are not all heard */
#define MIN_LLR         6.0

/* Channels that were heard more than by one packet, which noise may have made. */
static int sure_channels(const struct emitter *e) {
    int n = 0;

    for (int i = 0; i < e->n_channels; ++i)
        n += e->channel_packets[i] > 1;
    return n;
}

/* What confidence rests on; ruled: the behaviour rule for an alert is met, or was. */
static struct uw_link_seen seen_of(const struct emitter *e, const struct uw_detector_config *config,
                                   bool ruled) {
    const struct uw_sig_variant *v = uw_link_variant(e, true);
    double age_s = (e->last_start - e->first_start) / config->rate_hz;
    int n_channels;
    double share = uw_link_share(e, config, &n_channels);

    return (struct uw_link_seen){
        .nats = e->llr,
        .packets = e->n_packets,
        .weak = e->n_weak,
        .dwells = e->n_dwells,
        .channels = e->n_channels,
        .visible = uw_link_visible(e, config),
        .packets_per_hop = v ? v->packets_per_hop : 1,
        .hops = v ? 1.0 + age_s * share / (v->period_s * v->packets_per_hop) : NAN,
        .grid_error_hz = uw_link_grid_error(e, &(double){0}),
        .snr_db = e->snr_db,
        .named = uw_link_variant(e, false) != NULL,
        .placed = uw_link_domain(e, config) != NULL,
        .ruled = ruled,
    };
}

/* Evidence is nats against what is known to sound alike; what is not known is in the count of how
 * often such a link was right. */
static bool is_likely(const struct uw_links *links, const struct emitter *e) {
    struct uw_link_seen seen = seen_of(e, links->env.config, true);

    return uw_link_is_likely(&seen);
}

/* Whether it is made of another's packets, or goes nowhere. */
static bool is_no_link(const struct uw_links *links, const struct emitter *e) {
    return e->never_hops || e->is_image || uw_link_is_cast(links, e) ||
           uw_link_is_of_train(links, e);
}

static bool is_alertable(const struct uw_links *links, const struct emitter *e) {
    const struct uw_sig_variant *v = uw_link_variant(e, true);
    int visible = uw_link_visible(e, links->env.config);

    if (!e->signature->drone || !v || e->llr < MIN_LLR || e->n_dwells < LINK_DWELLS_MIN ||
        is_no_link(links, e))
        return false;
    /* it may have had its number before its lattice, or the other's, was known well enough */
    if (!e->was_alertable && (uw_link_is_beside(links->emitters, e, links->env.config->rate_hz) ||
                              uw_link_is_not_apart(links, e) || uw_link_is_of_network(links, e)))
        return false;
    int channels = v->packets_per_hop > 1 ? sure_channels(e) : e->n_channels;
    if (visible == 0 || (visible != 1 && channels < 2))
        return false;
    /* a little patience gives the alert its name; some air rates cannot be told apart by then */
    if (!uw_link_variant(e, false) &&
        e->last_start - e->first_start <
            (e->n_weak > 0 ? WEAK_PATIENCE_S : PATIENCE_S) * links->env.config->rate_hz)
        return false;
    return uw_link_is_train(e) && (e->alerted || is_likely(links, e));
}

void uw_link_report(struct uw_links *links, struct emitter *e) {
    const struct uw_sig_variant *likely = uw_link_variant(e, true);
    const struct uw_sig_variant *variant = uw_link_variant(e, false);
    const struct uw_sig_domain *domain = uw_link_domain(e, links->env.config);

    if (e->number == 0 && !uw_link_give_number(links, e))
        return;
    uw_link_settle_number(links, e);
    bool alertable = is_alertable(links, e);
    struct uw_finding f = {
        .signature = e->signature,
        .variant = variant ? variant->name : NULL,
        .domain = domain ? domain->name : NULL,
        .freq_hz = e->offset_hz,
        .bandwidth_hz = e->bandwidth_hz,
        .snr_db = e->snr_db,
        .power_dbfs = e->power_dbfs,
        .llr = e->new_llr,
        /* what once met the rule stays one of those that did */
        .seen = seen_of(e, links->env.config, alertable || e->alerted),
        .start = (uint64_t)fmax(e->reported, 0.0),
        .stop = (uint64_t)fmax(e->last_stop, 0.0),
        .bursts = e->n_packets,
        .dwells = e->n_dwells,
        .channels = e->n_channels,
        .channels_visible = uw_link_visible(e, links->env.config),
        .period_s = likely ? likely->period_s : NAN,
        .hop_interval_s = likely ? likely->period_s * likely->packets_per_hop : NAN,
        .airtime_s = e->airtime_s,
        .score = NAN,
        .rule = alertable ? "period+dwell+channels" : NULL,
        .alertable = alertable,
    };

    f.confidence = uw_link_confidence(&f.seen);
    f.emitter = e->number;
    f.grid_error_hz = uw_link_grid_error(e, &f.offset_hz);
    e->new_llr = 0.0;
    e->was_alertable = alertable;
    e->alerted |= alertable;
    e->reported = e->last_stop;
    links->env.emit(links->env.userdata, &f);
}

/* Nats before an emitter is spoken of at all: noise makes many more weak packets than whole ones.
 */
static double known_llr(const struct emitter *e) {
    return e->first_packet.weak ? WEAK_KNOWN_LLR : KNOWN_LLR;
}

void uw_link_maybe_report(struct uw_links *links, struct emitter *e) {
    double since = (e->last_stop - e->reported) / links->env.config->rate_hz;

    e->is_image |= uw_link_is_image(links, e);
    if (e->n_dwells < 2 || (e->llr < known_llr(e) && (e->number == 0 || e->first_packet.weak)) ||
        is_no_link(links, e))
        return;
    if (since >= REPORT_S || is_alertable(links, e) != e->was_alertable)
        uw_link_report(links, e);
}
