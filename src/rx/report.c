/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From findings to detections
 *
 * An emitter whose bursts each stand for themselves (no dwells are counted: DroneID) may send five
 * at once, so that a group of bursts keeps its single times; then it has to wait until the first is
 * a second old. One whose evidence grows dwell by dwell is heard from every fifth of a second,
 * evenly.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "rx-impl.h"
#include "uw/base/err.h"
#include "uw/base/str.h"
#include "uw/base/time.h"

int uw_rx_report_name(struct uw_rx_report *report, const struct uw_head *head,
                      const char *receiver) {
    int n;

    report->head = *head;
    uw_str_copy(report->receiver, sizeof(report->receiver), receiver);
    n = snprintf(report->id_prefix, sizeof(report->id_prefix), "%s-%s-d", head->run, receiver);
    return n < (int)sizeof(report->id_prefix) ? 0 : uw_err(-ENAMETOOLONG);
}

static double finite_or_nan(double x) {
    return isfinite(x) ? x : NAN;
}

static enum uw_role role_of(enum uw_sig_role role) {
    switch (role) {
    case UW_SIG_CONTROL:
        return UW_ROLE_CONTROL;
    case UW_SIG_TELEMETRY:
        return UW_ROLE_TELEMETRY;
    case UW_SIG_VIDEO:
        return UW_ROLE_VIDEO;
    case UW_SIG_REMOTE_ID:
        return UW_ROLE_REMOTE_ID;
    default:
        return UW_ROLE_BACKGROUND;
    }
}

static void copy_name(char dst[UW_NAME_LEN], const char *src) {
    uw_str_copy(dst, UW_NAME_LEN, src ? src : "");
}

static void fill_evidence(struct uw_evidence *e, const struct uw_finding *f) {
    e->bursts = f->bursts;
    e->dwells = f->dwells;
    e->channels = f->channels;
    e->channels_visible = f->channels_visible;
    e->hop_interval_s = finite_or_nan(f->hop_interval_s);
    e->period_s = finite_or_nan(f->period_s);
    e->airtime_s = finite_or_nan(f->airtime_s);
    e->channel_spacing_hz =
        f->channel_spacing_hz > 0.0 ? finite_or_nan(f->channel_spacing_hz) : NAN;
    e->grid_error_hz = finite_or_nan(f->grid_error_hz);
    e->offset_hz = finite_or_nan(f->offset_hz);
    e->score = finite_or_nan(f->score);
    /* fusion takes a rule as leave to alert */
    copy_name(e->rule, f->alertable ? (f->rule ? f->rule : "met") : NULL);
}

/* Everything but identifier, number and evidence that was held back. */
static void convert(const struct uw_rx_report *report, const struct uw_finding *f,
                    const struct uw_quality *quality, struct uw_detection *d) {
    const struct uw_signature *s = f->signature;
    double rate = report->tuning.rate_hz;

    uw_detection_init(d);
    d->head = report->head;
    copy_name(d->receiver, report->receiver);
    snprintf(d->emitter, sizeof(d->emitter), "%s-e%llu", report->receiver,
             (unsigned long long)(report->emitter_base + f->emitter) % 1000000000000ULL);
    copy_name(d->signature, s->id);
    copy_name(d->family, s->family);
    d->role = role_of(s->role);
    d->drone = s->drone;
    copy_name(d->variant, f->variant);
    copy_name(d->domain, f->domain);
    d->freq_hz = f->freq_hz;
    if (!isnan(f->centre_hz))
        d->freq_hz += f->centre_hz;
    d->bandwidth_hz = finite_or_nan(f->bandwidth_hz);
    d->snr_db = finite_or_nan(f->snr_db);
    d->power_dbfs = finite_or_nan(f->power_dbfs);
    d->llr = isfinite(f->llr) ? f->llr : 0;
    d->confidence = finite_or_nan(f->confidence);
    d->t_start_ns = uw_time_of_sample(report->start_ns, report->base + f->start, rate);
    d->t_end_ns = uw_time_of_sample(report->start_ns, report->base + f->stop, rate);
    d->head.time_ns = d->t_end_ns;
    fill_evidence(&d->evidence, f);
    d->tuning = report->tuning;
    d->tuning.centre_hz = f->centre_hz; /* it may have been retuned since */
    d->quality = *quality;
}

static void send(struct uw_rx_report *report, struct uw_rx_emitter *e, uint64_t sample) {
    struct uw_detection *d = &e->merged;

    d->head.seq = ++report->n_detections;
    snprintf(d->detection, sizeof(d->detection), "%s%llu", report->id_prefix,
             (unsigned long long)report->n_detections % 100000000000ULL);
    report->send(report->userdata, d);
    e->sent[e->n_sent % UW_RX_PER_SECOND] = sample;
    e->n_sent++;
    e->pending = false;
}

static bool may_send(const struct uw_rx_report *report, const struct uw_rx_emitter *e,
                     uint64_t sample) {
    double rate = report->tuning.rate_hz;
    uint64_t oldest, latest;

    if (e->n_sent == 0)
        return true;
    oldest = e->sent[e->n_sent % UW_RX_PER_SECOND];
    latest = e->sent[(e->n_sent - 1) % UW_RX_PER_SECOND];
    if (e->n_sent >= UW_RX_PER_SECOND && (double)sample < (double)oldest + rate)
        return false;
    return !e->spaced || (double)sample >= (double)latest + rate / UW_RX_PER_SECOND;
}

/* The one that has been silent longest gives its place; if everyone holds something back, that is
 * sent. */
static struct uw_rx_emitter *replace_emitter(struct uw_rx_report *report, uint64_t sample) {
    struct uw_rx_emitter *best = &report->emitters[0];

    for (size_t i = 1; i < UW_RX_EMITTERS; i++) {
        struct uw_rx_emitter *e = &report->emitters[i];
        if (e->pending != best->pending ? best->pending : e->stop < best->stop)
            best = e;
    }
    if (best->pending)
        send(report, best, sample);
    return best;
}

static struct uw_rx_emitter *find_emitter(struct uw_rx_report *report, const struct uw_finding *f) {
    struct uw_rx_emitter *empty = NULL;

    for (size_t i = 0; i < UW_RX_EMITTERS; i++) {
        if (report->emitters[i].number == f->emitter)
            return &report->emitters[i];
        if (!empty && report->emitters[i].number == 0)
            empty = &report->emitters[i];
    }
    if (!empty)
        empty = replace_emitter(report, f->stop);
    empty->number = f->emitter;
    empty->n_sent = 0;
    return empty;
}

void uw_rx_report_finding(struct uw_rx_report *report, const struct uw_finding *finding,
                          const struct uw_quality *quality) {
    struct uw_rx_emitter *e = find_emitter(report, finding);
    double llr = e->pending ? e->merged.llr : 0;
    int64_t start_ns = e->pending ? e->merged.t_start_ns : INT64_MAX;

    convert(report, finding, quality, &e->merged);
    e->merged.llr += llr;
    if (start_ns < e->merged.t_start_ns)
        e->merged.t_start_ns = start_ns;
    if (finding->emitter > report->emitter_max)
        report->emitter_max = finding->emitter;
    e->stop = finding->stop;
    e->spaced = finding->dwells > 0;
    e->pending = true;
    if (may_send(report, e, finding->stop))
        send(report, e, finding->stop);
}

/* The earliest that waits, with those first that the detector named first. */
static struct uw_rx_emitter *earliest_pending(struct uw_rx_report *report, uint64_t sample,
                                              bool due_only) {
    struct uw_rx_emitter *best = NULL;

    for (size_t i = 0; i < UW_RX_EMITTERS; i++) {
        struct uw_rx_emitter *e = &report->emitters[i];
        if (!e->pending || (due_only && !may_send(report, e, sample)))
            continue;
        if (!best || e->stop < best->stop || (e->stop == best->stop && e->number < best->number))
            best = e;
    }
    return best;
}

uint64_t uw_rx_report_progress(struct uw_rx_report *report, uint64_t sample) {
    struct uw_rx_emitter *e;

    while ((e = earliest_pending(report, sample, true)))
        send(report, e, sample);
    /* what is still held back will be sent with its present stop or a later one */
    e = earliest_pending(report, sample, false);
    return e && e->stop < sample ? e->stop : sample;
}

void uw_rx_report_flush(struct uw_rx_report *report) {
    struct uw_rx_emitter *e;

    while ((e = earliest_pending(report, 0, false)))
        send(report, e, e->stop);
}

void uw_rx_report_restart(struct uw_rx_report *report, uint64_t sample) {
    report->base = sample;
    report->emitter_base += report->emitter_max;
    report->emitter_max = 0;
    for (size_t i = 0; i < UW_RX_EMITTERS; i++)
        report->emitters[i] = (struct uw_rx_emitter){0};
}
