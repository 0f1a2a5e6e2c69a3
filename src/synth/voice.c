/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * One burst as one receiver samples it
 *
 * A waveform is asked for in pieces of at most PIECE samples at unit power, then scaled by level,
 * passband and fading (interpolated across the piece) and added to the block.
 */

#include "synth-impl.h"

#include <math.h>
#include <string.h>

#include "uw/base/util.h"

#define LANES 8

/* The vectors of GCC and Clang: the same arithmetic on every processor, in as many steps as its
 * registers ask for. */
typedef float lanes __attribute__((vector_size(LANES * sizeof(float)), may_alias));
typedef float any_lanes
    __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias)); /* anywhere */

static double frac(double x) {
    return x - floor(x);
}

struct dz {
    double re, im;
};

static struct dz dz_cis(double cycles) {
    if (cycles == 0)
        return (struct dz){1, 0};
    double a = 2 * UW_PI * frac(cycles);
    return (struct dz){cos(a), sin(a)};
}

static struct dz dz_mul(struct dz a, struct dz b) {
    return (struct dz){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

/*
 * Phase is quadratic in k, so z(k+8)/z(k) turns by a constant for every step of 8: eight
 * independent recurrences of two complex products. Started in double precision for every piece, 32
 * steps of single precision drift by less than 1e-4 radian.
 */
UW_CLONES void chirp_run(double phase, double freq, double accel, float *re, float *im, int len) {
    lanes zr, zi, wr, wi;
    struct dz z[2 * LANES];
    struct dz step = dz_cis(freq + 0.5 * accel), turn = dz_cis(accel);
    z[0] = dz_cis(phase);
    for (int i = 1; i < 2 * LANES; i++) {
        z[i] = dz_mul(z[i - 1], step);
        step = dz_mul(step, turn);
    }
    for (int i = 0; i < LANES; i++) {
        struct dz w = dz_mul(z[i + LANES], (struct dz){z[i].re, -z[i].im});
        zr[i] = (float)z[i].re;
        zi[i] = (float)z[i].im;
        wr[i] = (float)w.re;
        wi[i] = (float)w.im;
    }
    struct dz d = dz_cis(accel * LANES * LANES);
    float dr = (float)d.re, di = (float)d.im;
    int k = 0;
    for (; k + LANES <= len; k += LANES) {
        lanes ar = zr, ai = zi, br = wr, bi = wi;
        *(any_lanes *)(re + k) = ar;
        *(any_lanes *)(im + k) = ai;
        zr = ar * br - ai * bi;
        zi = ar * bi + ai * br;
        wr = br * dr - bi * di;
        wi = br * di + bi * dr;
    }
    for (int i = 0; k < len; i++, k++) {
        re[k] = zr[i];
        im[k] = zi[i];
    }
}

/*
 * A tuner whose oscillator stands at L = centre + IF hears a frequency f and its mirror 2L - f. The
 * mirror's spectrum is turned round, so it is made where f - 2 IF would lie and conjugated.
 */
double voice_offset_hz(const struct rx *rx, const struct burst *b, bool image) {
    return rx_offset_hz(rx, b->freq_hz) - (image ? 2 * rx->r->image_if_hz : 0);
}

int voice_open(struct voice *v, const struct rx *rx, const struct uw_scenario *scenario,
               const struct burst *b, bool image) {
    double rate = rx->r->rate_hz * rx->clock;
    memset(v, 0, sizeof(*v));
    v->b = *b;
    v->faded = UINT64_MAX;
    v->s0 = b->t_s * rate;
    v->s1 = (b->t_s + burst_duration(b)) * rate;
    double off = voice_offset_hz(rx, b, image);
    v->image = image;
    v->cps = off / rx->r->rate_hz;
    v->amp = rx_amplitude(rx, scenario, b);
    if (image)
        v->amp *= pow(10, rx->r->image_db / 20);
    v->gain = rx_gain(rx, off);
    rng_init(&v->rng, b->seed);
    v->phase0 = rng_uniform(&v->rng);
    fade_init(&v->fade, &scenario->emitters[b->emitter],
              rng_hash(scenario->seed, (uint64_t)b->emitter, 9), rx->index, b->freq_hz);
    switch (b->wave.kind) {
    case WAVE_LORA:
        v->gain = 1; /* the chirp meets the passband as it moves */
        voice_lora_open(v, rx);
        return 0;
    case WAVE_FSK:
        voice_fsk_open(v, rx);
        return 0;
    case WAVE_OOK:
        v->fsk.spb = rate / (b->wave.baud * b->clock);
        v->fsk.first = -1;
        return 0;
    case WAVE_LEAK:
        v->gain = 1; /* its density does */
        voice_leak_open(v, rx);
        return 0;
    case WAVE_OFDM:
        v->gain = 1; /* each carrier meets it */
        return voice_ofdm_open(v, rx);
    default:
        return 0;
    }
}

void voice_close(struct voice *v) {
    voice_ofdm_close(v);
}

static void voice_run(struct voice *v, const struct rx *rx, uint64_t n, float *re, float *im,
                      int len) {
    switch (v->b.wave.kind) {
    case WAVE_LORA:
        voice_lora_run(v, rx, n, re, im, len);
        break;
    case WAVE_FSK:
        voice_fsk_run(v, n, re, im, len);
        break;
    case WAVE_OOK:
        voice_ook_run(v, n, re, im, len);
        break;
    case WAVE_OFDM:
        voice_ofdm_run(v, rx, n, re, im, len);
        break;
    case WAVE_LEAK:
        voice_leak_run(v, n, re, im, len);
        break;
    case WAVE_IMPULSE:
        voice_impulse_run(v, n, re, im, len);
        break;
    default:
        chirp_run(v->phase0 + v->cps * ((double)n - v->s0), v->cps, 0, re, im, len);
        break;
    }
}

void voice_add(struct voice *v, const struct rx *rx, uint64_t n0, float *re, float *im, size_t n) {
    float sre[PIECE], sim[PIECE];
    double rate = rx->r->rate_hz * rx->clock, scale = v->amp * v->gain;
    uint64_t from = (uint64_t)ceil(v->s0), to = (uint64_t)ceil(fmin(v->s1, 0x1p62));
    if (from < n0)
        from = n0;
    if (to > n0 + n)
        to = n0 + n;
    while (from < to) {
        int len = to - from < PIECE ? (int)(to - from) : PIECE;
        /* a piece begins where the last one ended */
        struct cgain g0 = from == v->faded ? v->faded_gain : fade_at(&v->fade, (double)from / rate);
        struct cgain g1 = g0;
        if (!v->fade.flat)
            g1 = fade_at(&v->fade, (double)(from + (uint64_t)len) / rate);
        v->faded = from + (uint64_t)len;
        v->faded_gain = g1;
        g0 = (struct cgain){g0.re * scale, g0.im * scale};
        g1 = (struct cgain){g1.re * scale, g1.im * scale};
        voice_run(v, rx, from, sre, sim, len);
        if (v->image) {
            g0.im = -g0.im;
            g1.im = -g1.im;
            for (int k = 0; k < len; k++)
                sim[k] = -sim[k];
        }
        mix_run(sre, sim, g0, g1, re + (from - n0), im + (from - n0), len);
        from += (uint64_t)len;
    }
}
