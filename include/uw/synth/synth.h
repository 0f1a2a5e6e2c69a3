/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SYNTH_SYNTH_H
#define UW_SYNTH_SYNTH_H

/*
 * Signal generator: a scenario (emitters, receivers) becomes samples with known truth
 *
 * Who transmits what, when and where follows from the scenario and its seed alone, so several
 * receivers of one scenario hear the same emissions, each with its own level, noise and clock.
 * docs/scenarios.md describes the file and every unit; the structs below are the same thing for
 * programs. The generator shares no code and no table with the detector it is meant to test.
 *
 * Levels: full scale is a magnitude of 1 (0 dBFS). noise_dbfs is the whole noise power in the
 * receiver's rate. An SNR is the power while the burst is on, over the noise in the signal's own
 * bandwidth, before fading.
 *
 * Threads: objects belong to one thread at a time; different objects are independent.
 * Ownership: the caller frees what it made; a synth copies what it needs of the scenario.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uw/base/iq-format.h"

struct uw_diag;

#define UW_SYNTH_NAME_LEN      32
#define UW_SYNTH_WORD_LEN      24
#define UW_SYNTH_MAX_RECEIVERS 16
#define UW_SYNTH_MAX_EMITTERS  64
#define UW_SYNTH_MAX_CHANNELS  128
#define UW_SYNTH_MAX_EVENTS    64
#define UW_SYNTH_MAX_REPEATS   32

enum uw_synth_link {
    UW_SYNTH_EXPRESSLRS,
    UW_SYNTH_LORAWAN,
    UW_SYNTH_MESHTASTIC,
    UW_SYNTH_LORA,
    UW_SYNTH_DRONEID,
    UW_SYNTH_FSK,
    UW_SYNTH_OOK,
    UW_SYNTH_WMBUS,
    UW_SYNTH_CW,
    UW_SYNTH_LTE,
    UW_SYNTH_IMPULSES,
    UW_SYNTH_LEAKAGE,
    UW_SYNTH_LINK_N
};

enum uw_synth_end { UW_SYNTH_HANDSET, UW_SYNTH_AIRCRAFT, UW_SYNTH_OTHER };
enum uw_synth_fading_kind {
    UW_SYNTH_FADING_NONE,
    UW_SYNTH_FADING_RAYLEIGH,
    UW_SYNTH_FADING_RICIAN
};
enum uw_synth_hop { UW_SYNTH_HOP_ROUND, UW_SYNTH_HOP_RANDOM };

struct uw_synth_fading {
    enum uw_synth_fading_kind kind;
    double doppler_hz;   /* largest Doppler shift */
    double k_db;         /* Rician: direct over scattered power */
    double coherence_hz; /* carriers further apart than this fade independently */
    double shadow_db;    /* standard deviation of the slow level change; 0: none */
    double shadow_s;     /* its time scale */
};

struct uw_synth_emitter {
    char name[UW_SYNTH_NAME_LEN];
    enum uw_synth_link link;
    char variant[UW_SYNTH_WORD_LEN]; /* expresslrs rate, meshtastic preset, droneid layout, wmbus
                                        mode */
    char domain[UW_SYNTH_WORD_LEN];  /* expresslrs domain, lorawan region */
    bool level_is_dbfs;              /* level_db is dBFS, else SNR in dB */
    double level_db;
    double start_s, stop_s; /* stop_s may lie after the end of the scenario */
    uint64_t hop_seed;      /* 0: from the scenario's seed and the emitter's place */
    double phase;           /* expresslrs: hop index at start; negative: random */
    double ppm;             /* of the emitter's crystal: carrier and clock */
    double freq_offset_hz;
    double ramp_db_per_s; /* level change from start_s on */
    struct uw_synth_fading fading;

    /* expresslrs */
    int telemetry_ratio; /* one packet in so many comes from the aircraft; 0: none; -1: as the rate
                          */
    double telemetry_db; /* aircraft's level over the handset's */
    double telemetry_ppm;
    bool gemini; /* second carrier half the channels away */
    int invert;  /* chirp direction: 0 up, 1 down, -1 as the system (2.4 GHz: from the hop seed) */

    /* traffic of everything but expresslrs */
    double interval_s;    /* period, or mean time between bursts */
    bool poisson;         /* random arrivals, else periodic */
    int nodes;            /* lorawan, meshtastic: devices that share the traffic */
    double spread_db;     /* level differences between them: standard deviation */
    double spread_ppm;    /* crystal differences: largest */
    double downlinks;     /* lorawan: share of uplinks that are answered */
    double wide_share;    /* lorawan US915, AU915: share of 500 kHz uplinks */
    int sf_min, sf_max;   /* lorawan */
    double burst_s;       /* fsk, ook, wmbus: burst length; impulses: width */
    double length_spread; /* lengths differ by up to this part of themselves */
    double slot_s;   /* arrivals wait for the next slot; leakage: length of its slots; 0: none */
    int repeats;     /* bursts at each arrival */
    double repeat_s; /* from one's start to the next one's */
    bool polled;     /* the first is the master's, the others the polled node's */
    int packets_per_hop; /* lora, fsk, droneid: bursts before the channel changes */
    enum uw_synth_hop hop;
    double channels_hz[UW_SYNTH_MAX_CHANNELS];
    int n_channels;

    /* lora */
    int sf, preamble, symbols; /* symbols: of the payload */
    unsigned sync_word;
    double bandwidth_hz; /* also lte, leakage */
    double duty;         /* leakage: share of its slots that are on */
    /* fsk, ook */
    double baud, deviation_hz, bt; /* bt 0: no shaping */
    double depth;                  /* ook: part of the amplitude that is keyed */
    int frame_bits, keyed_bits;    /* ook: only the first so many of each frame are keyed; 0: all */
};

struct uw_synth_gain_step {
    double at_s, gain_db; /* gain from then on; 0 dB before the first */
};

struct uw_synth_loss {
    double at_s;
    uint64_t samples; /* that never arrive */
};

struct uw_synth_birdie {
    double freq_hz, dbfs;
};

/* Presets of what the tuner does to the signal. */
enum uw_synth_tuner { UW_SYNTH_IDEAL, UW_SYNTH_R820T, UW_SYNTH_ZERO_IF, UW_SYNTH_TUNER_N };

struct uw_synth_receiver {
    char name[UW_SYNTH_NAME_LEN];
    double rate_hz, freq_hz;
    enum uw_iq_format format;
    double noise_dbfs; /* below -190: no noise */
    double ppm;        /* of the receiver's crystal: tuning and sample clock */
    double dc_i, dc_q;
    double iq_gain_db, iq_phase_deg;
    double
        passband; /* part of the rate that is flat; the gain falls to nothing at the rate's edge */
    double level_db;                         /* of every emitter here, beside its own level */
    double levels_db[UW_SYNTH_MAX_EMITTERS]; /* the same for one emitter */
    struct uw_synth_gain_step gains[UW_SYNTH_MAX_EVENTS];
    int n_gains;
    struct uw_synth_loss losses[UW_SYNTH_MAX_EVENTS];
    int n_losses;
    struct uw_synth_birdie birdies[UW_SYNTH_MAX_EVENTS];
    int n_birdies;
    double image_db;     /* low-IF: level of the image; 0: none */
    double image_if_hz;  /* the image is mirrored about freq_hz plus this */
    double clock_dbfs;   /* harmonics of 28.8 MHz that fall into the band; 0: none */
    double if_flat_hz;   /* IF filter, on noise too: flat so far from the centre; 0: no filter */
    double if_edge_db;   /* its gain at half the rate */
    double ip3_dbfs;     /* third-order intercept; above 190: linear */
    double lost_share;   /* part of the samples that is lost at random */
    int64_t lost_length; /* samples that are then lost at once */
};

struct uw_scenario {
    char description[256];
    double duration_s;
    uint64_t seed;
    int64_t start_ns; /* UW_TIME_NONE: not given */
    struct uw_synth_receiver receivers[UW_SYNTH_MAX_RECEIVERS];
    int n_receivers;
    struct uw_synth_emitter emitters[UW_SYNTH_MAX_EMITTERS];
    int n_emitters;
};

/* One burst as one receiver meets it. Strings live as long as the call. */
struct uw_synth_burst {
    int emitter; /* index in the scenario */
    const char *emitter_name, *link, *variant, *domain;
    int channel;               /* index in the emitter's channel plan */
    double start, count;       /* samples of the receiver's file, fractional */
    double lower_hz, upper_hz; /* edges as the receiver's scale shows them */
    double snr_db;             /* with fading, mean over the burst; before the passband */
    double in_band;            /* part of the width that lies inside the receiver's rate, 0..1 */
    enum uw_synth_end end;
};

/* Return false to stop. */
typedef bool (*uw_synth_burst_fn)(const struct uw_synth_burst *burst, void *userdata);

/* 0, -ENOMEM, or UW_E_INPUT with the mistakes (FILE:LINE: key: ...) in diag. */
int uw_scenario_load(const char *path, struct uw_diag *diag, struct uw_scenario **ret_scenario);
int uw_scenario_parse(const char *name, const char *text, size_t len, struct uw_diag *diag,
                      struct uw_scenario **ret_scenario);
/* An empty one with defaults, for programs: fill it in, then uw_synth_new() checks it. */
int uw_scenario_new(struct uw_scenario **ret_scenario);
struct uw_scenario *uw_scenario_free(struct uw_scenario *scenario);
void uw_scenario_freep(struct uw_scenario **scenario);
/* Defaults of docs/scenarios.md. */
void uw_synth_emitter_init(struct uw_synth_emitter *emitter, enum uw_synth_link link);
void uw_synth_receiver_init(struct uw_synth_receiver *receiver);
/* Sets the members that a tuner decides; what is set afterwards overrides. */
void uw_synth_receiver_set_tuner(struct uw_synth_receiver *receiver, enum uw_synth_tuner tuner);
/* Adds the emitters of a background environment ("urban-915"; docs/scenarios.md has the table),
 * named env-...: level_db over the table's levels, density times its number of devices. 0, or
 * UW_E_INPUT with text in diag and nothing added. */
int uw_scenario_add_environment(struct uw_scenario *scenario, const char *name, double level_db,
                                double density, struct uw_diag *diag);
/* Names of the environments from 0 on; NULL after the last. */
const char *uw_synth_environment_name(int index);
const char *uw_synth_link_name(enum uw_synth_link link);

struct uw_synth;

/* 0, -ENOMEM, or UW_E_INPUT with text in diag when the scenario makes no sense. */
int uw_synth_new(const struct uw_scenario *scenario, int receiver, struct uw_diag *diag,
                 struct uw_synth **ret_synth);
struct uw_synth *uw_synth_free(struct uw_synth *synth);
void uw_synth_freep(struct uw_synth **synth);
/* The next n samples, in the receiver's format (little endian). *ret_n < n only at the end. The
 * samples do not depend on how they are asked for. 0 or -ENOMEM. */
int uw_synth_read(struct uw_synth *synth, void *out, size_t n, size_t *ret_n);
/* Every burst of the scenario in time order, out of band ones too. 0, -ENOMEM or UW_E_INPUT. */
int uw_synth_truth(const struct uw_scenario *scenario, int receiver, struct uw_diag *diag,
                   uw_synth_burst_fn fn, void *userdata);

#endif
