/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the benchmark listens to
 *
 * Quiet places hold noise alone. Busy ones hold the traffic of a crowded band, most of it stronger
 * than on the air, and one drone link, so that the whole way to an alert is gone. The samples lie
 * in a file that exists in memory only: the receivers of an engine read it like any recording.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench-impl.h"
#include "uw/base/err.h"
#include "uw/base/util.h"
#include "uw/synth/synth.h"

#define BUSY_915                                                                                   \
    "{ name = \"pilot\"; link = \"expresslrs\"; variant = \"200Hz\"; domain = \"FCC915\";"         \
    "  snr_db = 10.0; ppm = -3.0; },"                                                              \
    "{ name = \"sensors\"; link = \"lorawan\"; domain = \"US915\"; snr_db = 12.0; nodes = 400;"    \
    "  interval_s = 10.0; downlinks = 0.5; wide_share = 0.3; },"                                   \
    "{ name = \"mesh\"; link = \"meshtastic\"; variant = \"SHORT_TURBO\"; freq_hz = 914.6e6;"      \
    "  snr_db = 18.0; nodes = 6; interval_s = 6.0; },"                                             \
    "{ name = \"remote\"; link = \"ook\"; freq_hz = 915.3e6; snr_db = 25.0; interval_s = 2.0; },"  \
    "{ name = \"meters\"; link = \"fsk\"; freq_hz = 914.2e6; snr_db = 20.0; baud = 100e3;"         \
    "  deviation_hz = 50e3; bt = 0.5; burst_s = 0.012; interval_s = 0.1; poisson = true; },"       \
    "{ name = \"sparks\"; link = \"impulses\"; snr_db = 10.0; interval_s = 0.05; }"

#define BUSY_866                                                                                   \
    "{ name = \"pilot\"; link = \"expresslrs\"; variant = \"100Hz\"; domain = \"EU868-3.x\";"      \
    "  snr_db = 10.0; ppm = 2.0; },"                                                               \
    "{ name = \"sensors\"; link = \"lorawan\"; domain = \"IN865\"; snr_db = 12.0; nodes = 60;"     \
    "  interval_s = 20.0; },"                                                                      \
    "{ name = \"mesh\"; link = \"meshtastic\"; variant = \"SHORT_FAST\"; freq_hz = 866.2e6;"       \
    "  snr_db = 18.0; nodes = 6; interval_s = 6.0; },"                                             \
    "{ name = \"remote\"; link = \"ook\"; freq_hz = 866.9e6; snr_db = 25.0; interval_s = 2.0; },"  \
    "{ name = \"meters\"; link = \"fsk\"; freq_hz = 865.8e6; snr_db = 20.0; baud = 100e3;"         \
    "  deviation_hz = 50e3; bt = 0.5; burst_s = 0.012; interval_s = 0.1; poisson = true; }"

/* The hopper has the symbols, slots and channels of Bluetooth. */
#define BUSY_2440                                                                                  \
    "{ name = \"pilot\"; link = \"expresslrs\"; variant = \"250Hz\"; domain = \"ISM2G4\";"         \
    "  snr_db = 10.0; ppm = 4.0; },"                                                               \
    "{ name = \"headset\"; link = \"fsk\"; baud = 1e6; deviation_hz = 160e3; bt = 0.5;"            \
    "  burst_s = 0.37e-3; interval_s = 1.25e-3; hop = \"random\"; snr_db = 18.0; channels_hz = ["  \
    "  2432e6, 2434e6, 2436e6, 2438e6, 2440e6, 2442e6, 2444e6, 2446e6, 2450e6, 2454e6, 2458e6,"    \
    "  2462e6, 2466e6, 2470e6, 2474e6, 2478e6, 2406e6, 2410e6, 2414e6, 2418e6, 2422e6, 2426e6 ];"  \
    "},"                                                                                           \
    "{ name = \"beacon\"; link = \"dji-droneid\"; freq_hz = 2440.5e6; snr_db = 6.0; }"

const struct uw_bench_place uw_bench_places[UW_BENCH_INPUTS] = {
    {"noise-915", 915.0e6, 2.4e6, false, ""},    {"busy-915", 915.0e6, 2.4e6, true, BUSY_915},
    {"noise-866.4", 866.4e6, 2.4e6, false, ""},  {"busy-866.4", 866.4e6, 2.4e6, true, BUSY_866},
    {"noise-2440", 2440.0e6, 10.0e6, false, ""}, {"busy-2440", 2440.0e6, 10.0e6, true, BUSY_2440},
};

static int make_file(struct uw_bench_input *input, size_t bytes) {
    input->fd = memfd_create("uaswatch-bench", 0);
    if (input->fd < 0 || ftruncate(input->fd, (off_t)bytes) != 0)
        return uw_err(-errno);
    input->samples = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, input->fd, 0);
    if (input->samples == MAP_FAILED) {
        input->samples = NULL;
        return uw_err(-errno);
    }
    input->n = bytes / uw_iq_format_size(UW_IQ_CU8);
    snprintf(input->path, sizeof(input->path), "/proc/self/fd/%d", input->fd);
    return 0;
}

int uw_bench_input_text(const char *text, size_t n_max, struct uw_diag *diag,
                        struct uw_bench_input *ret) {
    UW_CLEANUP(uw_scenario_freep) struct uw_scenario *scenario = NULL;
    UW_CLEANUP(uw_synth_freep) struct uw_synth *synth = NULL;
    size_t n = 0;
    int r;

    *ret = (struct uw_bench_input){.fd = -1};
    r = uw_scenario_parse("bench", text, strlen(text), diag, &scenario);
    if (r == 0)
        r = uw_synth_new(scenario, 0, diag, &synth);
    if (r == 0)
        r = make_file(ret, n_max * uw_iq_format_size(UW_IQ_CU8));
    if (r == 0)
        r = uw_synth_read(synth, ret->samples, n_max, &n);
    if (r == 0 && n != n_max)
        r = uw_diag_add(diag, "bench: the scenario is too short");
    if (r != 0)
        uw_bench_input_deinit(ret);
    return r;
}

int uw_bench_input_new(const struct uw_bench_place *place, double seconds, struct uw_diag *diag,
                       struct uw_bench_input *ret) {
    char text[4096];
    int r;

    snprintf(text, sizeof(text),
             "duration_s = %.3f; seed = 33; receivers = ( { rate_hz = %.1f; freq_hz = %.1f;"
             " format = \"cu8\"; ppm = 1.5; } ); emitters = ( %s );",
             seconds + 0.1, place->rate_hz, place->freq_hz, place->emitters);
    r = uw_bench_input_text(text, (size_t)(seconds * place->rate_hz), diag, ret);
    ret->place = place;
    return r;
}

void uw_bench_input_deinit(struct uw_bench_input *input) {
    if (input->samples)
        munmap(input->samples, input->n * uw_iq_format_size(UW_IQ_CU8));
    if (input->fd >= 0)
        close(input->fd);
    *input = (struct uw_bench_input){.fd = -1};
}
