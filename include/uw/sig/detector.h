/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SIG_DETECTOR_H
#define UW_SIG_DETECTOR_H

/*
 * Everything that one receiver does with its samples: front end, matchers, findings
 *
 * Deterministic: findings and progress depend on the samples and their order alone, never on block
 * sizes or time. No allocation, lock, print or wait after uw_detector_new().
 *
 * Threads: one. Ownership: the database must outlive the detector; a finding is valid during the
 * call.
 */

#include <stdbool.h>
#include <stdint.h>

#include "uw/base/iq-format.h"
#include "uw/sig/confidence.h"
#include "uw/sig/signature.h"

struct uw_detector;
struct uw_front;

struct uw_finding {
    const struct uw_signature *signature;
    uint64_t emitter;    /* the detector's own number for the link it follows, from 1 */
    const char *variant; /* or NULL: not decided */
    const char *domain;  /* or NULL: not decided */
    double centre_hz;    /* of the receiver then; NAN: not known */
    double freq_hz;      /* offset from the centre */
    double bandwidth_hz;
    double snr_db;
    double power_dbfs;
    double llr; /* nats, new since this emitter's previous finding */
    double confidence;
    uint64_t start, stop;                               /* samples */
    int64_t bursts, dwells, channels, channels_visible; /* so far; -1: not meant */
    double hop_interval_s, period_s, airtime_s, grid_error_hz, offset_hz,
        score;                 /* NAN: not known */
    double channel_spacing_hz; /* estimated, where no plan tells it; 0 or NAN: not known */
    const char *rule;          /* what decided, or NULL */
    bool alertable;            /* the behaviour rule for an alert is met (background: never) */
    struct uw_link_seen seen;  /* of hopping links: what the confidence rests on */
};

struct uw_detector_config {
    double rate_hz;
    double freq_hz; /* NAN: unknown, matched on waveform alone */
    enum uw_iq_format format;
    const struct uw_sigdb *db;
    bool below_noise; /* also look for LoRa links below the noise, on their channels */
    size_t n_centres; /* it will be retuned among so many centres; 0 or 1: never */
};

struct uw_detector_ops {
    /* In the order of `stop`. */
    void (*finding)(void *userdata, const struct uw_finding *finding);
    /* Every finding that stops before `sample` has been given; several times a second of signal. */
    void (*progress)(void *userdata, uint64_t sample);
};

int uw_detector_new(const struct uw_detector_config *config, const struct uw_detector_ops *ops,
                    void *userdata, struct uw_detector **ret_detector);
struct uw_detector *uw_detector_free(struct uw_detector *detector);
void uw_detector_push(struct uw_detector *detector, const void *samples, size_t n);
void uw_detector_gap(struct uw_detector *detector, uint64_t n_lost);
/* The clock has found samples missing of late, somewhere: for a few seconds lattices are not relied
 * upon, and crystals tell links apart. What is known to be missing uw_detector_gap() says. */
void uw_detector_torn(struct uw_detector *detector);
/*
 * The receiver listens at another centre from here on; n_lost samples are missing before that. The
 * links that are followed keep their lattice, phase and carrier offset: a link that is heard again
 * later, at this centre or another, is the same one. The noise floors of the n_centres latest
 * centres are remembered; a new one is learned from its first tenth of a second, and nothing is
 * heard there in less. The first visit of a centre allocates what searches it below the noise.
 * 0; -EINVAL if either centre is unknown or n_centres does not allow it.
 */
int uw_detector_retune(struct uw_detector *detector, double freq_hz, uint64_t n_lost);
void uw_detector_flush(struct uw_detector *detector);
/*
 * Whether below_noise can do its work at config's rate and centre: false if channels of links of
 * config->db that are looked for so are in the band, but none can be cut out of the spectra; and
 * if the centre is not known, and with it no channel. Any thread.
 */
bool uw_detector_can_sweep(const struct uw_detector_config *config);
/* For noise floor and clipping. */
const struct uw_front *uw_detector_front(const struct uw_detector *detector);

#endif
