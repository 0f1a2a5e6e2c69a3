/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What a receiver makes of a burst: level, place, passband
 *
 * A receiver whose crystal is off by ppm tunes to freq (1+ppm) and samples at rate (1+ppm), and
 * reports both as nominal.
 */

#include "synth-impl.h"

#include <math.h>
#include <string.h>

#include "uw/base/util.h"

#define NO_NOISE_DBFS (-190)

void rx_init(struct rx *rx, const struct uw_scenario *scenario, int receiver) {
    const struct uw_synth_receiver *r = &scenario->receivers[receiver];
    *rx = (struct rx){.r = r, .index = receiver, .clock = 1 + r->ppm * 1e-6};
    rx->seed = rng_hash(scenario->seed, (uint64_t)receiver, 20);
    rx->flat_hz = 0.5 * r->passband * r->rate_hz;
    rx->edge_hz = 0.5 * r->rate_hz;
    rx->noise_psd = pow(10, r->noise_dbfs / 10) / r->rate_hz;
    if (r->lost_share > 0)
        rx->loss_slot = (uint64_t)llround((double)r->lost_length / r->lost_share);
}

bool rx_has_noise(const struct rx *rx) {
    return rx->r->noise_dbfs > NO_NOISE_DBFS;
}

double rx_gain(const struct rx *rx, double hz) {
    double a = fabs(hz);
    if (a <= rx->flat_hz)
        return 1;
    if (a >= rx->edge_hz)
        return 0;
    return 0.5 + 0.5 * cos(UW_PI * (a - rx->flat_hz) / (rx->edge_hz - rx->flat_hz));
}

double rx_offset_hz(const struct rx *rx, double freq_hz) {
    if (isnan(freq_hz))
        return 0;
    return (freq_hz - rx->r->freq_hz * rx->clock) / rx->clock;
}

double rx_amplitude(const struct rx *rx, const struct uw_scenario *scenario,
                    const struct burst *b) {
    const struct uw_synth_emitter *e = &scenario->emitters[b->emitter];
    double db = e->level_db + b->gain_db + rx->r->level_db + rx->r->levels_db[b->emitter];
    double power = pow(10, db / 10);
    if (!e->level_is_dbfs)
        power *= rx->noise_psd * b->wave.bw_hz;
    return sqrt(power);
}

/* Mean power of the fading over the burst. */
static double fade_mean(const struct fade *f, double t_s, double duration_s) {
    if (f->flat)
        return 1;
    double sum = 0;
    for (int i = 0; i < 8; i++) {
        struct cgain g = fade_at(f, t_s + duration_s * (i + 0.5) / 8);
        sum += g.re * g.re + g.im * g.im;
    }
    return sum / 8;
}

uint64_t rx_loss_at(const struct rx *rx, uint64_t slot) {
    uint64_t room = rx->loss_slot - (uint64_t)rx->r->lost_length + 1;
    return rng_hash(rx->seed, slot, 21) % room;
}

/* Random losses: one in every slot, at a random place, of samples that the listed losses left. */
static double after_random_losses(const struct rx *rx, double s) {
    double slot_len = (double)rx->loss_slot, length = (double)rx->r->lost_length;
    if (rx->loss_slot == 0 || s <= 0)
        return s;
    double slot = floor(s / slot_len);
    double over = s - slot * slot_len - (double)rx_loss_at(rx, (uint64_t)slot);
    return s - slot * length - fmin(fmax(over, 0), length);
}

/* Sample of the file at a place on the receiver's clock: what was lost before does not count. */
static double file_sample(const struct rx *rx, double s) {
    double lost = 0;
    for (int i = 0; i < rx->r->n_losses; i++) {
        double at = floor(rx->r->losses[i].at_s * rx->r->rate_hz);
        double over = s - at;
        if (over > 0)
            lost += fmin(over, (double)rx->r->losses[i].samples);
    }
    return after_random_losses(rx, s - lost);
}

void rx_truth(const struct rx *rx, const struct uw_scenario *scenario, const struct burst *b,
              struct uw_synth_burst *ret) {
    const struct uw_synth_emitter *e = &scenario->emitters[b->emitter];
    struct fade fade;
    fade_init(&fade, e, rng_hash(scenario->seed, (uint64_t)b->emitter, 9), rx->index, b->freq_hz);
    double rate = rx->r->rate_hz * rx->clock;
    double start = file_sample(rx, b->t_s * rate);
    double stop = file_sample(rx, (b->t_s + burst_duration(b)) * rate);
    double half = 0.5 * b->wave.bw_hz, off = rx_offset_hz(rx, b->freq_hz);
    double low = fmax(off - half, -rx->edge_hz), high = fmin(off + half, rx->edge_hz);
    double amp = rx_amplitude(rx, scenario, b);
    double power = amp * amp * fade_mean(&fade, b->t_s, burst_duration(b));
    *ret = (struct uw_synth_burst){
        .emitter = b->emitter,
        .emitter_name = e->name,
        .link = uw_synth_link_name(e->link),
        .variant = b->variant,
        .domain = e->domain,
        .channel = b->channel,
        .start = start,
        .count = stop - start,
        .lower_hz = rx->r->freq_hz + off - half,
        .upper_hz = rx->r->freq_hz + off + half,
        .snr_db = 10 * log10(power / (rx->noise_psd * b->wave.bw_hz)),
        .in_band = high > low ? (high - low) / (2 * half) : 0,
        .end = b->end,
    };
}
