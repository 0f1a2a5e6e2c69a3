/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * LoRa packets from first principles
 *
 * A symbol of value m of M = 2^SF lasts Ts = M/BW. With u = t/Ts its frequency is
 * BW (u + m/M - 1/2), less BW once it has passed the upper edge. The phase in cycles from the
 * symbol's start is M ((m/M - 1/2) u + u^2/2), less M (u - 1 + m/M) after the wrap: a whole number
 * at the symbol's end, so that phase is continuous and known in closed form without summing
 * anything. (A quarter down-chirp ends at 3M/32, whole as well from SF5 on.) A packet is preamble,
 * two sync symbols (each nibble of the sync word times eight), 2.25 down-chirps, payload; inverted
 * links turn all chirps round.
 */

#include "synth-impl.h"

#include <math.h>
#include <string.h>

#define EDGE_PIECE 32 /* samples over which the passband's gain is interpolated */

void voice_lora_open(struct voice *v, const struct rx *rx) {
    const struct wave *w = &v->b.wave;
    double rate = rx->r->rate_hz * rx->clock;
    v->lora.symbol = -1;
    v->lora.sps = ldexp(1, w->sf) / w->bw_hz * rate / v->b.clock;
    double reach = fabs(v->cps) * rx->r->rate_hz + 0.51 * w->bw_hz;
    v->lora.at_edge = reach > rx->flat_hz;
}

static double symbol_start(const struct wave *w, int k) {
    int sfd_end = w->preamble + LORA_SYNC_SYMBOLS + 3;
    return k < sfd_end ? k : k - 0.75;
}

static bool symbol_is_down(const struct wave *w, int k) {
    int sfd = w->preamble + LORA_SYNC_SYMBOLS;
    return k >= sfd && k < sfd + 3;
}

/* Moves to the symbol that holds place x (in symbols); values are drawn in order. */
static void symbol_seek(struct voice *v, double x) {
    const struct wave *w = &v->b.wave;
    struct voice_lora *l = &v->lora;
    int sfd_end = w->preamble + LORA_SYNC_SYMBOLS + 3;
    while (l->symbol < 0 || x >= symbol_start(w, l->symbol + 1)) {
        int k = ++l->symbol;
        unsigned mask = (1u << w->sf) - 1;
        l->value = 0;
        if (k == w->preamble)
            l->value = (int)((w->sync >> 4 << 3) & mask);
        else if (k == w->preamble + 1)
            l->value = (int)(((w->sync & 15u) << 3) & mask);
        else if (k >= sfd_end)
            l->value = (int)rng_below(&v->rng, mask + 1);
    }
}

/* Applies the passband where the chirp's frequency takes it. f: cycles per sample at re[0]. */
static void edge_gain(const struct rx *rx, double f, double accel, float *re, float *im, int len) {
    double rate = rx->r->rate_hz;
    for (int k = 0; k < len; k += EDGE_PIECE) {
        int n = len - k < EDGE_PIECE ? len - k : EDGE_PIECE;
        double g0 = rx_gain(rx, (f + accel * k) * rate);
        double g1 = rx_gain(rx, (f + accel * (k + n)) * rate);
        float g = (float)g0, step = (float)((g1 - g0) / n);
        for (int i = 0; i < n; i++) {
            re[k + i] *= g + step * (float)i;
            im[k + i] *= g + step * (float)i;
        }
    }
}

/* Writes up to len samples of one straight run of the chirp; returns how many. */
static int lora_segment(struct voice *v, const struct rx *rx, uint64_t n, float *re, float *im,
                        int len) {
    const struct wave *w = &v->b.wave;
    const struct voice_lora *l = &v->lora;
    double since = (double)n - v->s0, x = since / l->sps;
    symbol_seek(v, x);
    double start = symbol_start(w, l->symbol), u = x - start;
    double m = ldexp(1, w->sf), a = l->value / m, du = 1 / l->sps;
    bool wrapped = u >= 1 - a;
    double stop = wrapped || l->value == 0 ? symbol_start(w, l->symbol + 1) : start + 1 - a;
    double phase = m * ((a - 0.5) * u + 0.5 * u * u) - (wrapped ? m * (u - 1 + a) : 0);
    double f = du * m * (a - 0.5 + u - (wrapped ? 1 : 0)), accel = m * du * du;
    double sign = symbol_is_down(w, l->symbol) != w->down ? -1 : 1;
    double left = ceil(v->s0 + stop * l->sps - (double)n);
    if (left < len)
        len = left < 1 ? 1 : (int)left;
    f = sign * f + v->cps;
    chirp_run(sign * phase + v->phase0 + v->cps * since, f, sign * accel, re, im, len);
    if (l->at_edge)
        edge_gain(rx, f, sign * accel, re, im, len);
    return len;
}

void voice_lora_run(struct voice *v, const struct rx *rx, uint64_t n, float *re, float *im,
                    int len) {
    for (int k = 0; k < len;)
        k += lora_segment(v, rx, n + (uint64_t)k, re + k, im + k, len - k);
}
