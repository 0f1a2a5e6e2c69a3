/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_SYNTH_IMPL_H
#define UW_SYNTH_IMPL_H

/*
 * Inside of src/synth
 *
 * schedule: emitter -> bursts in true time (seconds from the start of the scenario), the same for
 * every receiver. voice: one burst as one receiver samples it. synth: voices, noise and the
 * receiver's faults in blocks.
 */

#include "uw/synth/synth.h"

/* ---- random numbers (rand.c): xoshiro256++, seeded through splitmix64 ---- */

struct rng {
    uint64_t s[4];
};

#define ZIG_N 256

/* Ziggurat tables: x[i] edges of the layers, f[i] = exp(-x[i]^2/2). */
struct zig {
    float x[ZIG_N + 1], f[ZIG_N + 1];
};

uint64_t rng_hash(uint64_t a, uint64_t b, uint64_t c);
void rng_init(struct rng *rng, uint64_t seed);
/* [0, 1) */
double rng_uniform(struct rng *rng);
/* 0 .. n-1 */
unsigned rng_below(struct rng *rng, unsigned n);
double rng_normal(struct rng *rng);
/* Exponential with mean 1. */
double rng_exponential(struct rng *rng);
void zig_init(struct zig *zig);
/* out[i] = sigma times a standard normal number. */
void zig_fill(const struct zig *zig, struct rng *rng, float sigma, float *re, float *im, size_t n);

static inline uint64_t rng_next(struct rng *rng) {
    uint64_t *s = rng->s;
    uint64_t sum = s[0] + s[3], t = s[1] << 17;
    uint64_t r = ((sum << 23) | (sum >> 41)) + s[0];
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 45) | (s[3] >> 19);
    return r;
}

/* ---- waveforms ---- */

enum wave_kind { WAVE_LORA, WAVE_FSK, WAVE_OOK, WAVE_OFDM, WAVE_CW, WAVE_IMPULSE, WAVE_LEAK };
enum ofdm_layout { OFDM_DRONEID, OFDM_DRONEID_LEGACY, OFDM_LTE };

struct wave {
    enum wave_kind kind;
    double bw_hz; /* for level and edges */
    double duration_s;
    /* lora */
    int sf, preamble, payload;
    unsigned sync;
    bool down; /* chirps run downwards */
    /* fsk, ook */
    double baud, deviation_hz, bt;
    double depth;
    int frame_bits, keyed_bits;
    /* leakage */
    double slot_s, duty;
    /* ofdm */
    enum ofdm_layout layout;
    int carriers; /* without DC */
};

#define LORA_SYNC_SYMBOLS 2
#define LORA_SFD_SYMBOLS  2.25
#define LORA_EXTRA        (LORA_SYNC_SYMBOLS + LORA_SFD_SYMBOLS)

/* A LoRa packet's duration from its numbers. */
double wave_lora_duration(const struct wave *wave);
/* Sets the payload so that the packet lasts duration_s within half a symbol. */
void wave_lora_fit(struct wave *wave, double duration_s);

/* One burst in true time. */
struct burst {
    int emitter;
    double t_s;     /* start */
    double freq_hz; /* true carrier */
    double clock;   /* 1 + ppm of the sender's clock */
    double gain_db; /* over the emitter's level */
    uint64_t seed;  /* of its symbols */
    int channel;
    enum uw_synth_end end;
    const char *variant; /* static text */
    struct wave wave;
};

static inline double burst_duration(const struct burst *b) {
    return b->wave.duration_s / b->clock;
}

/* ---- link tables (tables.c) ---- */

struct elrs_rate {
    const char *name;
    bool is_24;
    bool gfsk;
    int sf, preamble, same_pkts; /* same_pkts: equal payloads in a row */
    double period_us, toa_us;
    int pkts_per_hop;
    double baud, deviation_hz, bt;
    double bw_hz;
    int telemetry_ratio;
};

struct elrs_domain {
    const char *name;
    bool is_24;
    double start_hz, stop_hz;
    int n_channels, sequence_len;
};

struct lorawan_region {
    const char *name;
    double up_hz, up_step_hz;
    int n_up;
    double wide_hz, wide_step_hz;
    int n_wide;
    double down_hz, down_step_hz;
    int n_down; /* 0: answered on the uplink's channel, 125 kHz */
    int sf_max;
};

struct meshtastic_preset {
    const char *name;
    int sf;
    double bw_hz;
};

struct wmbus_mode {
    const char *name;
    double freq_hz, baud, deviation_hz, burst_s;
};

/* NULL if there is none. */
const struct elrs_rate *elrs_rate_find(const char *name, bool is_24);
const struct elrs_domain *elrs_domain_find(const char *name);
const struct lorawan_region *lorawan_region_find(const char *name);
const struct meshtastic_preset *meshtastic_preset_find(const char *name);
const struct wmbus_mode *wmbus_mode_find(const char *name);
/* Text for messages: what an emitter's variant or domain lacks, or NULL when all is well. */
const char *emitter_fault(const struct uw_synth_emitter *e);

/* ---- schedule ---- */

#define SCHED_PENDING  64
#define SCHED_HOPS     256
#define SCHED_CHANNELS 80

/* State of one emitter's generator of bursts. */
struct source {
    const struct uw_synth_emitter *e;
    int index;
    uint64_t seed;
    struct rng rng;
    uint64_t count; /* packets, events */
    uint64_t arrivals;
    bool ended;
    struct burst next; /* valid unless ended */
    /* expresslrs */
    const struct elrs_rate *rate;
    const struct elrs_domain *dom;
    uint8_t hops[SCHED_HOPS];
    uint64_t first_packet;
    double t0_s;
    bool second; /* gemini: the next burst is the second carrier */
    bool inverted;
    int telemetry_ratio;
    /* traffic */
    double t_s;
    double interval_s;
    int channel, left_on_channel;
    int n_channels;
    struct wave wave; /* what a train repeats */
    struct burst pending[SCHED_PENDING];
    int n_pending;
};

struct schedule {
    const struct uw_scenario *scenario;
    int n;
    struct source sources[];
};

int schedule_new(const struct uw_scenario *scenario, struct schedule **ret);
/* Start time of the next burst; INFINITY at the end. */
double schedule_peek(const struct schedule *schedule, int *ret_source);
void schedule_pop(struct schedule *schedule, int source, struct burst *ret);

/* Each sets up / advances one source (sched-*.c). */
void source_elrs_init(struct source *s);
void source_elrs_next(struct source *s);
void source_lorawan_init(struct source *s);
void source_lorawan_next(struct source *s);
void source_train_init(struct source *s);
void source_train_next(struct source *s);
/* The waveform of a link that repeats one. */
void wave_of_emitter(struct wave *wave, const struct uw_synth_emitter *e);
/* The earliest of those that wait, or NULL; taking it out. */
const struct burst *source_pending(const struct source *s);
void source_pending_take(struct source *s, struct burst *ret);
/* Fields every burst of an emitter has: sender's clock and carrier from channel frequency and ppm.
 */
void source_stamp(const struct source *s, struct burst *b, double freq_hz, double ppm);

/* ---- fading (fading.c) ---- */

#define FADE_PATHS   12
#define SHADOW_PATHS 8

struct fade {
    enum uw_synth_fading_kind kind;
    double direct, scatter; /* amplitudes */
    double direct_hz, direct_phase;
    double hz[FADE_PATHS], phase[FADE_PATHS];
    double shadow_db, shadow_hz[SHADOW_PATHS], shadow_phase[SHADOW_PATHS];
    double t0_s, level_db, ramp_db_per_s;
    bool flat; /* the gain is 1 for ever */
};

struct cgain {
    double re, im;
};

void fade_init(struct fade *f, const struct uw_synth_emitter *e, uint64_t seed, int receiver,
               double freq_hz);
struct cgain fade_at(const struct fade *f, double t_s);

/* ---- receiver and voices ---- */

#define PIECE 256 /* samples in one step of a voice */

/* What a voice must know of the receiver. */
struct rx {
    const struct uw_synth_receiver *r;
    int index;
    uint64_t seed;
    double clock;   /* 1 + ppm */
    double flat_hz; /* passband edge, from the centre */
    double edge_hz; /* nothing beyond */
    double noise_psd;
    uint64_t loss_slot; /* one random loss in so many samples; 0: none */
};

void rx_init(struct rx *rx, const struct uw_scenario *scenario, int receiver);
bool rx_has_noise(const struct rx *rx);
/* Amplitude response at a frequency from the centre. */
double rx_gain(const struct rx *rx, double hz);
double rx_offset_hz(const struct rx *rx, double freq_hz);
/* Where random losses begin in a slot of loss_slot samples. */
uint64_t rx_loss_at(const struct rx *rx, uint64_t slot);
/* Amplitude of a burst, before fading. */
double rx_amplitude(const struct rx *rx, const struct uw_scenario *scenario, const struct burst *b);
void rx_truth(const struct rx *rx, const struct uw_scenario *scenario, const struct burst *b,
              struct uw_synth_burst *ret);

#define FSK_SPAN 6  /* symbols that a shaped pulse reaches over */
#define FSK_GRID 64 /* table points in a symbol */

struct voice_lora {
    int symbol; /* index in the packet */
    int value;
    double sps; /* samples in a symbol */
    bool at_edge;
};

struct voice_fsk {
    double spb;
    int64_t first; /* symbol of bits[0] */
    double base;   /* phase of all older symbols, cycles */
    float bits[FSK_SPAN];
    float q[FSK_SPAN * FSK_GRID + 2];
};

struct voice_ofdm;

#define LEAK_HALF 6
#define LEAK_TAPS (2 * LEAK_HALF + 1)
#define LEAK_ROOM 32 /* readable floats behind the input of leak_filter() */

struct voice_leak {
    double slot_len; /* samples; 0: always on */
    int64_t slot;
    bool on;
    float hr[LEAK_TAPS], hi[LEAK_TAPS];         /* the filter that gives the noise its shape */
    float wr[LEAK_TAPS - 1], wi[LEAK_TAPS - 1]; /* its last inputs */
};

struct voice {
    struct burst b;
    struct fade fade;
    uint64_t faded; /* sample up to which it is made: where the fading is faded_gain */
    struct cgain faded_gain;
    struct rng rng;
    double s0, s1; /* first and last place, in samples of the receiver's clock */
    double cps;    /* carrier, cycles in a sample */
    double phase0;
    double amp;
    double gain; /* passband at the carrier */
    bool image;  /* mirrored by a low-IF tuner */
    struct voice_lora lora;
    struct voice_fsk fsk;
    struct voice_leak leak;
    struct voice_ofdm *ofdm;
};

/* image: what a low-IF tuner lets through from the other side of its oscillator. */
int voice_open(struct voice *v, const struct rx *rx, const struct uw_scenario *scenario,
               const struct burst *b, bool image);
/* Carrier's place for the voice, before an image is mirrored. */
double voice_offset_hz(const struct rx *rx, const struct burst *b, bool image);
void voice_close(struct voice *v);
/* Adds the samples n0 .. n0+n-1. Calls must move forward. */
void voice_add(struct voice *v, const struct rx *rx, uint64_t n0, float *re, float *im, size_t n);

/* Each writes len <= PIECE samples of unit power from sample n on (voice-*.c). */
void voice_lora_open(struct voice *v, const struct rx *rx);
void voice_lora_run(struct voice *v, const struct rx *rx, uint64_t n, float *re, float *im,
                    int len);
void voice_fsk_open(struct voice *v, const struct rx *rx);
void voice_fsk_run(struct voice *v, uint64_t n, float *re, float *im, int len);
void voice_ook_run(struct voice *v, uint64_t n, float *re, float *im, int len);
void voice_impulse_run(struct voice *v, uint64_t n, float *re, float *im, int len);
void voice_leak_open(struct voice *v, const struct rx *rx);
void voice_leak_run(struct voice *v, uint64_t n, float *re, float *im, int len);
int voice_ofdm_open(struct voice *v, const struct rx *rx);
void voice_ofdm_close(struct voice *v);
void voice_ofdm_run(struct voice *v, const struct rx *rx, uint64_t n, float *re, float *im,
                    int len);

/* re + j im = exp(2 pi j (phase + freq k + accel k^2/2)), k = 0 .. len-1, len <= PIECE. */
void chirp_run(double phase, double freq, double accel, float *re, float *im, int len);
/* re + j im = exp(2 pi j cycles) */
void cis_run(const float *cycles, float *re, float *im, size_t n);

/* ---- what the analogue side does to the whole band (filter.c) ---- */

#define FIR_HALF 12
#define FIR_ROOM 64

struct fir {
    float h[FIR_HALF + 1]; /* h[0] in the middle */
};

/* False if the receiver has no such filter. */
bool fir_init(struct fir *fir, const struct uw_synth_receiver *r);
/* y[k] from x[k] .. x[k + 2 FIR_HALF]; x has room for FIR_ROOM more, whose values do not matter. */
void fir_run(const struct fir *fir, const float *x, float *y, size_t n);
/* y[k] = sum of h[i] x[k + LEAK_TAPS - 1 - i] */
void leak_filter(const struct voice_leak *l, const float *xr, const float *xi, float *yr, float *yi,
                 size_t n);
/* re, im += s times a gain that goes from g0 to g1. */
void mix_run(const float *sre, const float *sim, struct cgain g0, struct cgain g1, float *re,
             float *im, int len);
/* y = x (1 - |x|^2/a^2), held where that would turn back; a: the intercept's amplitude. */
void cubic_run(float a, float *restrict re, float *restrict im, size_t n);

/* ---- scenario and samples ---- */

/* Whether a scenario (from a file or built by a program) makes sense. 0 or UW_E_INPUT. */
int scenario_check(const struct uw_scenario *scenario, int receiver, struct uw_diag *diag);
void samples_write(enum uw_iq_format format, const float *re, const float *im, size_t n, void *out);

#endif
