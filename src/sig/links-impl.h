/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SRC_SIG_LINKS_IMPL_H
#define UW_SRC_SIG_LINKS_IMPL_H

/*
 * Private to src/sig: hopping links from single packets
 *
 * Threads: one.
 */

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "links-alike-impl.h"
#include "matcher-impl.h"
#include "uw/dsp/faint.h"

#define LINK_CRYSTALS       100e-6 /* transmitter and receiver together, worst case */
#define LINK_CRYSTALS_SIGMA 40e-6

/* Nats that the first n up-chirps before the sync word, and the first n data symbols behind the
 * delimiter, are there; of weak LoRa packets. */
struct uw_extent {
    int n_preamble, n_data;
    float preamble[UW_FAINT_PREAMBLE_MAX + 1], data[UW_FAINT_DATA_MAX + 1];
};

/* Where a weak packet may lie: its carrier and its begin go together. */
struct uw_place {
    double start; /* samples */
    double offset_hz;
    double nats; /* for it, to compare */
    struct uw_extent extent;
};

/* One packet on the air, whatever its modulation. Times in samples of the receiver. */
struct uw_packet {
    enum uw_sig_modulation modulation;
    int sf;       /* LoRa */
    bool down;    /* LoRa: inverted chirp */
    int sync;     /* LoRa: sync word, -1: not read */
    int preamble; /* LoRa: up-chirps, 0: not counted */
    double bandwidth_hz;
    double start, stop;   /* samples */
    double start_error_s; /* one sigma */
    double stop_error_s;
    double offset_hz; /* carrier from the receiver's centre */
    double offset_error_hz;
    double snr_db;
    double power_dbfs;
    int same;       /* the waveform of the packet that began at same_as again: 1, another: 0, not
                       compared: -1 */
    double same_as; /* samples */
    /* Heard below the noise: stop is not known, start and offset_hz are the likeliest of several
     * places, and noise makes such packets, false_rate_hz of them a second on each channel. */
    bool weak;
    bool follows; /* ... and too often to begin a link with one */
    double false_rate_hz;
    int n_places;
    struct uw_place places[UW_FAINT_PLACES]; /* the likeliest first */
};

#define LINK_EMITTERS_MAX 192
#define LINK_CHANNELS_MAX 256
#define LINK_NONE         (-1)
#define LINK_CHANNEL_HZ   60e3 /* of one channel: both ends of a link, each with its own crystal */
#define LINK_DWELLS_MIN   3    /* before an alert */
#define LINK_END_PACKETS  2
#define LINK_LEVEL_DB     6.0  /* one link, heard twice, is as strong within this */
#define LINK_IMAGE_DB     20.0 /* the worst tuners reject so much of an image */
#define LINK_SURE_NATS    15.0 /* it is spoken of at one false alert a month */
#define LINK_TORN_S       5.0  /* lattices are not relied upon behind a loss */
#define LINK_PLACE_RIGHT  0.7  /* share of weak packets of which the likeliest place is right */

/* What is kept of a hypothesis about the air rate. */
struct variant_score {
    bool possible;
    double log_likelihood;
    int64_t origin; /* slot that began a whole dwell, or LINK_NO_SLOT */
};

/* ... about the channel plan. */
struct domain_score {
    bool possible;
    int visible;      /* channels wholly inside the receiver's band */
    int most_visible; /* ... at any centre so far */
    /* what could be heard: visible channels times slots, up to the last change of centre, at the
     * slot `listening_since` */
    double heard_slots, listening_since;
    double offset_hz; /* common to all channels */
    double log_likelihood;
    double nats;            /* the same, of each dwell only so much as is believed */
    double square_sum;      /* of residuals, Hz^2 */
    int dwells;             /* that agree with the offset */
    int close;              /* of these, behind the first: within a channel's own error */
    int misses;             /* that do not */
    int64_t last_sync_slot; /* or LINK_NO_SLOT */
    double sync_score;
};

#define LINK_NO_SLOT INT64_MIN

/* The end of a link that sends most of its packets, by its crystal. */
struct link_end {
    /* of its latest packets that were measured whole: two, as one may be cut by the band's edge and
     * kHz off */
    double offset_hz[LINK_END_PACKETS];
    int n;
    int64_t other_slot; /* of the latest whole packet from elsewhere */
};

/* What tells an emitter from one of the same air rate, plan, crystal and level (links-jump.c). */
enum link_apart {
    LINK_NOT_APART,
    LINK_RETURNED, /* the other's lattice came back: so it does behind some losses */
    LINK_TOGETHER, /* both were on the air at a time */
};

struct emitter {
    bool used;
    uint64_t number;
    const struct uw_signature *signature;
    double period_s; /* of a slot: the least packet period of the variants that fit */
    /* Kalman filter of the lattice: when slot `reference_slot` began, the ratio of the emitter's
     * slot to the nominal one less 1, and their covariance */
    double reference; /* samples */
    double clock;
    double var_reference, var_clock, covariance;
    int64_t reference_slot;
    double left, var_left; /* a slot of the lattice that it has jumped from */
    int n_jumps;
    double last_jumps[2];  /* samples, the latest first */
    int returns;           /* of its latest jumps, back to where it came from */
    int64_t jump_packets;  /* n_packets before the latest */
    double debt;           /* nats that jumps have cost and that may be paid back */
    enum link_apart apart; /* from others that are alike */
    int64_t n_packets, n_dwells;
    struct variant_score variants[UW_SIG_VARIANTS_MAX];
    struct domain_score domains[UW_SIG_DOMAINS_MAX];

    /* the dwell that is going on */
    int64_t dwell_first, dwell_last; /* slots */
    int dwell_packets;
    bool dwell_cut;     /* the receiver came or went during it: packets may be missing */
    int64_t blind_slot; /* the receiver could not hear it before this slot */
    double silent_from; /* sample from which silence speaks against the link */
    double dwell_offset_hz;
    int dwell_channel; /* in channels_hz */
    bool dwell_open;
    uint64_t taken;     /* bit i: slot dwell_last - i had a packet */
    int64_t first_slot; /* of all */

    struct link_end end;
    int n_channels; /* distinct offsets heard */
    double channels_hz[LINK_CHANNELS_MAX];
    int channel_packets[LINK_CHANNELS_MAX];
    int channel_judged[LINK_CHANNELS_MAX]; /* dwells that are not kept any more, and the latest */
    int64_t channel_slots[LINK_CHANNELS_MAX];
    int n_kept; /* the latest dwells */
    struct link_dwell kept[LINK_DWELLS_KEPT];
    int64_t n_weak;    /* of n_packets */
    int64_t n_cut;     /* ... on channels that the edge of the band cuts */
    double random_llr; /* against packets that come at any time, or are noise */
    struct link_alike alike;
    int64_t slots[LINK_SLOTS_KEPT]; /* of its latest packets, a ring */
    int64_t n_slots;                /* since it began, or jumped */
    double llr;                     /* the least of it and the sums of `alike` */
    double new_llr;                 /* not yet given out */
    bool was_alertable;
    bool alerted; /* was alertable at any time */
    bool never_hops, is_image;
    double first_start, last_start, last_stop; /* samples */
    double run_start;                          /* of the packets since its last long silence */
    int64_t run_packets;
    int whole_run;   /* of its latest packets, measured whole */
    double reported; /* sample of the last finding */
    double level_db; /* SNR of its latest packet that was measured whole, if any was */
    double snr_db, power_dbfs, offset_hz, bandwidth_hz, airtime_s;
    struct uw_packet first_packet;
};

/* Slots of the emitter's lattice from packet to packet of the air rate. */
static inline int64_t uw_link_slots_per_packet(const struct emitter *e,
                                               const struct uw_sig_variant *v) {
    return llround(v->period_s / e->period_s);
}

/* Whether a carrier so wide lies in the receiver's band; else its edge cuts it. */
static inline bool uw_link_is_inside(double offset_hz, double bandwidth_hz, double rate_hz) {
    return fabs(offset_hz) + 0.5 * bandwidth_hz <= 0.5 * rate_hz;
}

/* Lattice (lattice.c). rate_hz is the receiver's. */
/* How a packet lies on an emitter's lattice. */
struct link_fit {
    double misfit; /* distance to the slot in tolerances: more than 1 is no fit */
    int64_t slot;
    int place;     /* of a weak packet's */
    double window; /* samples that would have fitted */
};

void uw_link_begin_lattice(struct emitter *e, const struct uw_packet *p, double rate_hz);
/* Puts this slot where another emitter's latest is; the clock stays what it was. */
void uw_link_move_lattice(struct emitter *e, const struct emitter *to, int64_t slot);
/* Whether a packet lies on the lattice that the emitter has left last. */
bool uw_link_has_left(const struct emitter *e, double rate_hz, const struct uw_packet *p);
/* Whether another emitter's latest packet and this one are whole slots of the emitter apart. */
bool uw_link_keeps_time(const struct emitter *e, double rate_hz, const struct emitter *other,
                        const struct uw_packet *p);
/* A slot in samples. */
double uw_link_slot(const struct emitter *e, double rate_hz);
struct link_fit uw_link_fit(const struct emitter *e, double rate_hz, const struct uw_packet *p);
/* Of a weak packet, the likeliest place that lies on the lattice and on a channel; where that is
 * not known for sure, on the lattice at least. *ret_time: whether any lies on the lattice. */
struct link_fit uw_link_fit_weak(const struct emitter *e, const struct uw_detector_config *config,
                                 const struct uw_packet *p, bool *ret_time);
/* Whether several dwells agree about the plan and its offset. */
bool uw_link_raster_is_known(const struct emitter *e, const struct uw_detector_config *config);
/* Whether a carrier is on a channel of the likeliest plan with its offset; true without one. */
bool uw_link_on_raster(const struct emitter *e, const struct uw_detector_config *config,
                       double offset_hz, double error_hz);
/* The likeliest plan, by its place in the signature's domains, or LINK_NONE. Not cheap. */
int uw_link_plan(const struct emitter *e);
/* The plan's channel, with its offset, that a carrier is on; LINK_NONE: none, or no plan. weak:
 * measured below the noise, where a wrong place has a wrong carrier. */
int uw_link_plan_channel(const struct emitter *e, int plan, double freq_hz, bool weak,
                         double error_hz);
/* Takes the packet into the state. */
void uw_link_follow(struct emitter *e, double rate_hz, const struct uw_packet *p, int64_t slot);

/* Whether a packet's modulation, and with its length, fits the variant. */
bool uw_link_modulation_fits(const struct uw_signature *s, const struct uw_sig_variant *v,
                             const struct uw_packet *p);
bool uw_link_variant_fits(const struct uw_signature *s, const struct uw_sig_variant *v,
                          const struct uw_packet *p, double rate_hz);
/* Starts the hypotheses of a new emitter from its first packet. */
void uw_link_judge_begin(struct emitter *e, const struct uw_detector_config *config,
                         const struct uw_packet *p);
/* A dwell has ended: what it says of the air rates. Returns nats: below 0 when no air rate could
 * have sent it. */
double uw_link_judge_dwell(struct emitter *e);
/* What it says of the air rates that the packet in the next slot has the waveform of the one
 * before, or has not. */
void uw_link_judge_repeat(struct emitter *e, bool same_dwell, bool same);
/* What uw_links_gap() means for one emitter. */
void uw_link_move(struct emitter *e, const struct uw_detector_config *config, uint64_t sample,
                  uint64_t n, double shift_hz);
/* Evidence of a new dwell that begins with this packet: fit to the channel plans. Returns nats by
 * which the best plan has become better. */
double uw_link_judge_carrier(struct emitter *e, const struct uw_detector_config *config,
                             const struct uw_packet *p);
/* The variant or domain that is decided, or NULL. best: the likeliest in any case. */
const struct uw_sig_variant *uw_link_variant(const struct emitter *e, bool best);
const struct uw_sig_domain *uw_link_domain(const struct emitter *e,
                                           const struct uw_detector_config *config);
/* A train of packets, not single ones that happen to fit. */
bool uw_link_is_train(const struct emitter *e);
/* Whether it has the slots of a link that is spoken of, and is therefore that link. */
bool uw_link_is_beside(const struct emitter *emitters, const struct emitter *e, double rate_hz);
/* Whether it shares its slots with many more packets of the same waveform that are known to be no
 * link's: it is one node of a network that keeps time. A link would be so by chance in one of
 * fifty. */
bool uw_link_is_of_network(const struct uw_links *links, const struct emitter *e);
/* Whether `e`, about which little is known, could be what is known of `old`: air rate, plan and the
 * crystals' common offset, to error_hz if that is more than what is measured to. */
bool uw_link_agrees(const struct emitter *old, const struct emitter *e, double error_hz);
/* Whether a whole packet fits what is known of the emitter: air rate, plan and the crystals' common
 * offset. */
bool uw_link_is_its_crystal(const struct emitter *e, const struct uw_detector_config *config,
                            const struct uw_packet *p);
/* Whether a whole packet's carrier lies elsewhere between the channels of every likely plan than
 * those of the emitter's end, which is known well enough. */
bool uw_link_is_other_end(const struct emitter *e, const struct uw_detector_config *config,
                          const struct uw_packet *p);
/* Whether it is one of several such packets in a row, and so of another link: a link's ends take
 * turns, and one of them sends most packets. */
bool uw_link_is_stranger(const struct emitter *e, const struct link_fit *fit);
/* Share of its hops that the likeliest plan makes inside the receiver's band, and its number of
 * channels. */
double uw_link_share(const struct emitter *e, const struct uw_detector_config *config,
                     int *ret_n_channels);
/* Channels of the likeliest plan inside the receiver's band; -1 without a centre frequency. */
int uw_link_visible(const struct emitter *e, const struct uw_detector_config *config);
double uw_link_grid_error(const struct emitter *e, double *ret_offset_hz);

#define LINK_STRETCHES 64

/* A whole packet, and the time that it may have been on the air. */
struct stretch {
    struct uw_packet packet;
    double stop; /* samples */
};

struct uw_links {
    struct uw_matcher_env env;
    size_t n_stretches;
    struct stretch stretches[LINK_STRETCHES];
    void (*orphan)(void *userdata, const struct uw_packet *packet);
    void *orphan_userdata;
    uint64_t next_number;
    double torn; /* sample at which some were last found missing; -INFINITY: never */
    struct emitter emitters[LINK_EMITTERS_MAX];
};

/* What a packet says of its emitter (links-join.c): it begins one in this place, or joins one. */
void uw_link_begin(struct uw_links *links, struct emitter *e, const struct uw_signature *s,
                   double period_s, const struct uw_packet *p);
void uw_link_join(struct uw_links *links, struct emitter *e, const struct uw_packet *packet,
                  const struct link_fit *fit);
void uw_link_end_dwell(struct emitter *e);
/* Samples are missing before this slot, nobody knows how many: what counts slots from packet to
 * packet does not count across it. What that costs, in nats. */
void uw_link_tear(struct emitter *e, int64_t slot, double nats);
/* The emitter has taken this packet on its lattice: it may pay for an earlier jump. */
void uw_link_repay(struct emitter *e, const struct uw_packet *p);
/* Whether a packet in this slot goes on with the dwell. */
bool uw_link_same_dwell(const struct emitter *e, const struct uw_packet *p, int64_t slot);
/* Longest dwell, in slots from the first to the last packet, that any possible variant makes. */
int64_t uw_link_longest_dwell(const struct emitter *e);

/* What a strong packet casts elsewhere (links-shadow.c). Remembers one that was measured whole. */
void uw_link_remember(struct uw_links *links, const struct uw_packet *p);
/* Whether a weak packet is so much weaker than a whole one at the same time that it is not
 * believed. */
bool uw_link_is_outshone(const struct uw_links *links, const struct uw_packet *p);
/* Whether a packet is the chirps of a link that is spoken of, heard beside their channel: a weak
 * one, or one of a channel that the edge of the band cuts. */
bool uw_link_is_aside(const struct uw_links *links, const struct uw_packet *p);
/* Whether what was heard below the noise keeps to the channel and the time of a train that never
 * hops: it is made of that train's packets. */
bool uw_link_is_of_train(const struct uw_links *links, const struct emitter *e);
/* Whether the emitter is the mirrored image of packets that are much stronger. */
bool uw_link_is_image(const struct uw_links *links, const struct emitter *e);
/* Whether it was heard below the noise, beside much stronger packets of its waveform, while samples
 * were being lost. */
bool uw_link_is_cast(const struct uw_links *links, const struct emitter *e);

/* Numbers an emitter that is to be spoken of (links-name.c). False: it is too soon to tell which it
 * is. */
bool uw_link_give_number(struct uw_links *links, struct emitter *e);
/* Of one that has its number, but no alert: whether it is another's lattice is seen by now. */
void uw_link_settle_number(const struct uw_links *links, struct emitter *e);
/* Whether samples were found missing within LINK_TORN_S before the emitter's latest packet. */
bool uw_link_is_torn(const struct uw_links *links, const struct emitter *e);

/* Speaks of an emitter (links-report.c): now, or if it is time to. */
void uw_link_report(struct uw_links *links, struct emitter *e);
void uw_link_maybe_report(struct uw_links *links, struct emitter *e);

/* Whether the receiver can hear any channel of the signature. */
bool uw_link_in_band(const struct uw_signature *s, const struct uw_detector_config *config);
int uw_links_new(const struct uw_matcher_env *env, struct uw_links **ret_links);
struct uw_links *uw_links_free(struct uw_links *links);
/* Returns whether a link signature has this waveform (the packet is then being followed). */
bool uw_links_packet(struct uw_links *links, const struct uw_packet *packet);
/* One that is too badly measured to be followed, or held: it is on the air all the same. */
void uw_links_heard(struct uw_links *links, const struct uw_packet *packet);
/* Whether any enabled link has the packet's modulation (its length apart). */
bool uw_links_waveform(const struct uw_links *links, const struct uw_packet *packet);
/* Whether a link that has been alerted took this packet, of uw_links_packet(): it is explained. */
bool uw_links_explain(const struct uw_links *links, const struct uw_packet *packet);
/* Whether a packet measured whole lies over this stretch of samples within a bandwidth of this
 * carrier. */
bool uw_links_covers(const struct uw_links *links, double start, double stop, double offset_hz);
/* Whether a much stronger packet that was measured whole has this one's very time. */
bool uw_links_is_harmonic(const struct uw_links *links, const struct uw_packet *packet);
void uw_links_progress(struct uw_links *links, uint64_t sample);
/* n samples are missing before `sample`, and from there on the receiver listens shift_hz further up
 * (the configuration has the new centre by now); 0: where it was. */
void uw_links_gap(struct uw_links *links, uint64_t sample, uint64_t n, double shift_hz);
/* Samples before this one were found missing, nobody knows just where. */
void uw_links_torn(struct uw_links *links, uint64_t sample);
/* End of the stream: what is known is given, what belongs to nothing is orphaned. */
void uw_links_flush(struct uw_links *links);
/* Called for a packet that was followed but turned out to belong to no link. */
void uw_links_on_orphan(struct uw_links *links,
                        void (*orphan)(void *userdata, const struct uw_packet *packet),
                        void *userdata);

#endif
