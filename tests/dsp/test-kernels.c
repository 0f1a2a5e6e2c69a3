/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The kernels as this processor gets them against their plain form, bit by bit (but for one)
 *
 * The library is there twice: linked, with clones for several instruction sets, and as a module
 * that is built of the same files without them. Both do the same work on the same numbers.
 */

#undef NDEBUG
#include <dlfcn.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "signal.h"
#include "uw/base/util.h"
#include "uw/dsp/channel.h"
#include "uw/dsp/convert.h"
#include "uw/dsp/faint.h"
#include "uw/dsp/floor.h"
#include "uw/dsp/front.h"
#include "uw/dsp/lines.h"
#include "uw/dsp/lora.h"
#include "uw/dsp/resample.h"
#include "uw/dsp/sweep.h"

#define FUNCTIONS(_)                                                                               \
    _(uw_channel_chips)                                                                            \
    _(uw_channel_cut)                                                                              \
    _(uw_channel_free)                                                                             \
    _(uw_channel_new)                                                                              \
    _(uw_channel_run)                                                                              \
    _(uw_convert)                                                                                  \
    _(uw_faint_extent)                                                                             \
    _(uw_faint_follow)                                                                             \
    _(uw_faint_free)                                                                               \
    _(uw_faint_new)                                                                                \
    _(uw_faint_run)                                                                                \
    _(uw_floor_free)                                                                               \
    _(uw_floor_inverse)                                                                            \
    _(uw_floor_learn)                                                                              \
    _(uw_floor_new)                                                                                \
    _(uw_floor_update)                                                                             \
    _(uw_front_config_init)                                                                        \
    _(uw_front_cut)                                                                                \
    _(uw_front_flush)                                                                              \
    _(uw_front_free)                                                                               \
    _(uw_front_new)                                                                                \
    _(uw_front_parts)                                                                              \
    _(uw_front_push)                                                                               \
    _(uw_lines_amplitudes)                                                                         \
    _(uw_lines_chirp)                                                                              \
    _(uw_lines_free)                                                                               \
    _(uw_lines_new)                                                                                \
    _(uw_lines_run)                                                                                \
    _(uw_lora_free)                                                                                \
    _(uw_lora_measure)                                                                             \
    _(uw_lora_mirror)                                                                              \
    _(uw_lora_new)                                                                                 \
    _(uw_lora_preamble)                                                                            \
    _(uw_resample)                                                                                 \
    _(uw_resampler_free)                                                                           \
    _(uw_resampler_new)                                                                            \
    _(uw_sweep_block)                                                                              \
    _(uw_sweep_free)                                                                               \
    _(uw_sweep_new)

#define MEMBER(name) __typeof__(name) *name;

struct library {
    FUNCTIONS(MEMBER)
};

#define RATE  2.4e6
#define N     240000
#define N_LOG (1 << 21)

/* Everything that has come out, in order. */
struct log {
    size_t n;
    unsigned char bytes[N_LOG];
};

static struct library libraries[2]; /* linked, plain */
static struct log logs[2];
static float complex x[N];
static float complex y[N];
static unsigned char raw[8 * N];

static void note(struct log *log, const void *data, size_t n) {
    assert_true(n <= N_LOG - log->n);
    memcpy(log->bytes + log->n, data, n);
    log->n += n;
}

#define NOTE(log, value)                                                                           \
    do {                                                                                           \
        __typeof__(value) noted_ = (value);                                                        \
        note(log, &noted_, sizeof(noted_));                                                        \
    } while (0)

static int load(void **state) {
    void *module = dlopen(UW_DSP_PLAIN, RTLD_NOW | RTLD_LOCAL);

    (void)state;
    if (!module) {
        print_error("%s\n", dlerror());
        return -1;
    }
#define LINKED(name) libraries[0].name = name;
    FUNCTIONS(LINKED)
#define LOADED(name)                                                                               \
    *(void **)&libraries[1].name = dlsym(module, #name);                                           \
    if (!libraries[1].name || libraries[1].name == libraries[0].name)                              \
        return -1;
    FUNCTIONS(LOADED)
    print_message("kernels for %s\n", uw_kernels());
    return 0;
}

/* Runs it with both libraries; they must say the same, and something. */
static void compare(void (*work)(const struct library *lib, struct log *log), size_t at_least) {
    for (int i = 0; i < 2; ++i) {
        logs[i].n = 0;
        work(&libraries[i], &logs[i]);
    }
    assert_int_equal(logs[0].n, logs[1].n);
    assert_true(logs[0].n >= at_least);
    assert_memory_equal(logs[0].bytes, logs[1].bytes, logs[0].n);
}

/* Chirps of every spreading factor, tones that come and go, and noise. */
static void make_signal(void) {
    uint64_t random = 61;

    signal_noise(x, N, 1e-3, &random);
    for (size_t k = 0; k < N; ++k) {
        const double t = (double)k / RATE;

        if (k % 30000 > 9000)
            x[k] += 0.2f * signal_turn(0.31 * (double)k);
        if (k % 50000 > 44000)
            x[k] += 0.5f * signal_turn(-0.12 * (double)k + 0.04 * sin(t * 1e5));
        if (k > 60000 && k < 200000) {
            const double chip = fmod(t * 500e3, 128.0); /* SF7, 500 kHz */

            x[k] += 0.3f * signal_turn(fmod(0.5 * chip * chip / 128.0 - 0.5 * chip, 1.0));
        }
    }
}

static void work_convert(const struct library *lib, struct log *log) {
    static const enum uw_iq_format formats[] = {UW_IQ_CU8, UW_IQ_CI8, UW_IQ_CI16, UW_IQ_CF32};

    for (size_t f = 0; f < UW_ARRAY_SIZE(formats); ++f) {
        const void *in = formats[f] == UW_IQ_CF32 ? (const void *)x : raw;

        for (size_t n = 0; n < 100; ++n) {
            NOTE(log, lib->uw_convert(formats[f], in, n, y));
            note(log, y, n * sizeof(*y));
        }
        NOTE(log, lib->uw_convert(formats[f], in, 20000, y));
        note(log, y, 20000 * sizeof(*y));
    }
}

static void test_convert(void **state) {
    uint64_t random = 62;

    (void)state;
    for (size_t i = 0; i < sizeof(raw); ++i)
        raw[i] = (unsigned char)signal_random(&random);
    compare(work_convert, 100000);
}

static void work_floor(const struct library *lib, struct log *log) {
    static float power[200 * 384];
    struct uw_floor *floor;
    uint64_t random = 63;

    for (size_t i = 0; i < UW_ARRAY_SIZE(power); ++i)
        power[i] = -logf((float)signal_uniform(&random));
    assert_int_equal(lib->uw_floor_new(384, 600.0, &floor), 0);
    lib->uw_floor_learn(floor, 0, 384, power, 100);
    for (size_t i = 100; i < 3000; ++i) {
        NOTE(log, lib->uw_floor_update(floor, power + (i % 200) * 384));
        if (i == 1500) /* a step of gain */
            for (size_t k = 0; k < UW_ARRAY_SIZE(power); ++k)
                power[k] *= 10.0f;
        if (i % 100 == 0)
            note(log, lib->uw_floor_inverse(floor), 384 * sizeof(float));
    }
    lib->uw_floor_free(floor);
}

static void test_floor(void **state) {
    (void)state;
    compare(work_floor, 30000);
}

static void on_burst(void *userdata, const struct uw_burst *burst) {
    NOTE(userdata, burst->start);
    NOTE(userdata, burst->stop);
    NOTE(userdata, burst->lower_hz);
    NOTE(userdata, burst->upper_hz);
    NOTE(userdata, burst->centre_hz);
    NOTE(userdata, burst->snr_db);
    NOTE(userdata, burst->power_dbfs);
}

static void on_progress(void *userdata, uint64_t sample) {
    NOTE(userdata, sample);
}

static void on_frame(void *userdata, const float complex *spectrum, uint64_t sample, bool begins) {
    (void)begins;
    if (sample % 5 == 0)
        note(userdata, spectrum, 64 * sizeof(*spectrum));
}

/* Conversion, spectrum, floor, burst finder, history and cuts, all in one. */
static void work_front(const struct library *lib, struct log *log) {
    static const struct uw_front_ops ops = {
        .burst = on_burst, .progress = on_progress, .frame = on_frame};
    static const double cuts[][2] = {{-612345.0, 500e3}, {300e3, 125e3}, {0.0, 812.5e3}};
    struct uw_front_config config;
    struct uw_front *front;
    double parts[7];
    uint64_t sample = 100001;

    lib->uw_front_config_init(&config);
    config.rate_hz = RATE;
    config.format = UW_IQ_CF32;
    assert_int_equal(lib->uw_front_new(&config, &ops, log, &front), 0);
    lib->uw_front_push(front, x, N);
    for (size_t i = 0; i < UW_ARRAY_SIZE(cuts); ++i) {
        double first, rate;
        const size_t n = lib->uw_front_cut(front, 50000, 90000, cuts[i][0], 1.2 * cuts[i][1],
                                           2.0 * cuts[i][1], y, N, &first, &rate);

        NOTE(log, first);
        NOTE(log, rate);
        note(log, y, n * sizeof(*y));
    }
    assert_true(lib->uw_front_parts(front, &sample, UW_ARRAY_SIZE(parts), parts));
    note(log, parts, sizeof(parts));
    lib->uw_front_flush(front);
    lib->uw_front_free(front);
}

static void test_front(void **state) {
    (void)state;
    compare(work_front, 200000);
}

static void work_resample(const struct library *lib, struct log *log) {
    struct uw_resampler *r;

    assert_int_equal(lib->uw_resampler_new(&r), 0);
    for (int i = 0; i < 8; ++i) {
        lib->uw_resample(r, x, 5000, 3.7 * i - 10.0, 0.9 + 0.07 * i, y, 5000);
        note(log, y, 5000 * sizeof(*y));
    }
    lib->uw_resampler_free(r);
}

static void test_resample(void **state) {
    (void)state;
    compare(work_resample, 300000);
}

/* x is taken for any two samples a chip. */
static void work_lora(const struct library *lib, struct log *log) {
    struct uw_lora *lora;

    assert_int_equal(lib->uw_lora_new(&lora), 0);
    for (int sf = UW_LORA_SF_MIN; sf <= UW_LORA_SF_MAX; ++sf) {
        for (size_t i = 0; i < 40000; ++i) {
            const double n = (double)(1 << sf);
            const double chip = fmod(0.5 * (double)i, n);

            y[i] = 0.5f * signal_turn(fmod(0.5 * chip * chip / n - 0.5 * chip, 1.0)) + x[i];
        }
        for (int mirror = 0; mirror < 2; ++mirror) {
            struct uw_lora_packet packet = {0};
            size_t at = 0;

            lib->uw_lora_mirror(lora, mirror == 1);
            NOTE(log, lib->uw_lora_preamble(lora, sf, y, 40000, 77, &at));
            NOTE(log, at);
            if (at > 0 && lib->uw_lora_measure(lora, sf, y, 40000, at, &packet)) {
                NOTE(log, packet.start);
                NOTE(log, packet.score);
            }
        }
    }
    lib->uw_lora_free(lora);
}

static void test_lora(void **state) {
    (void)state;
    compare(work_lora, 300);
}

/* Each size, with the chirp and without. */
static void work_lines(const struct library *lib, struct log *log) {
    const float *samples = (const float *)x;
    const float *re, *im;
    struct uw_lines *lines;
    float power[512], line_re[768], line_im[768];

    assert_int_equal(lib->uw_lines_new(&lines), 0);
    for (int sf = UW_LINES_SF_MIN; sf <= UW_LINES_SF_MAX; ++sf) {
        const size_t len = (512U >> sf) * uw_lines_stride(sf);

        for (size_t i = 0; i < 20000; i += 1999) {
            lib->uw_lines_chirp(lines, sf, i % 2 == 1, &re, &im);
            lib->uw_lines_run(lines, sf, samples + i, samples + i + 512, re, im, power);
            note(log, power, uw_lines_unit(sf) * sizeof(float));
            lib->uw_lines_run(lines, sf, samples + i, samples + i + 512, NULL, NULL, power);
            note(log, power, uw_lines_unit(sf) * sizeof(float));
            lib->uw_lines_amplitudes(lines, sf, 512, samples + i, samples + i + 512, re, im,
                                     line_re, line_im);
            for (size_t at = 0; at < len; at += uw_lines_stride(sf)) {
                note(log, line_re + at, ((1U << sf) + UW_LINES_LANES) * sizeof(float));
                note(log, line_im + at, ((1U << sf) + UW_LINES_LANES) * sizeof(float));
            }
        }
    }
    lib->uw_lines_free(lines);
}

static void test_lines(void **state) {
    (void)state;
    compare(work_lines, 100000);
}

struct hits {
    size_t n;
    struct uw_sweep_hit hits[1000];
};

static void on_hit(void *userdata, const struct uw_sweep_hit *hit) {
    struct hits *h = userdata;

    assert_true(h->n < UW_ARRAY_SIZE(h->hits));
    h->hits[h->n++] = *hit;
}

static void sweep(const struct library *lib, struct hits *hits) {
    struct uw_sweep_config config = {.false_rate_hz = 0.01, .bandwidth_hz = 500e3};
    struct uw_lines *lines;
    struct uw_sweep *sweep;

    assert_int_equal(lib->uw_lines_new(&lines), 0);
    config.lines = lines;
    for (int sf = UW_SWEEP_SF_MIN; sf <= UW_SWEEP_SF_MAX; ++sf)
        config.run[sf] = 7;
    assert_int_equal(lib->uw_sweep_new(&config, on_hit, hits, &sweep), 0);
    for (size_t i = 0; i + 4 * UW_SWEEP_BLOCK < N; i += 2 * UW_SWEEP_BLOCK) {
        float re[UW_SWEEP_BLOCK], im[UW_SWEEP_BLOCK];

        for (size_t k = 0; k < UW_SWEEP_BLOCK; ++k) {
            re[k] = crealf(y[i + 2 * k]);
            im[k] = cimagf(y[i + 2 * k]);
        }
        lib->uw_sweep_block(sweep, re, im);
    }
    lib->uw_sweep_free(sweep);
    lib->uw_lines_free(lines);
}

/* Its complex products may be fused where the processor can: as good, but not to the last bit. */
static void test_sweep(void **state) {
    static struct hits hits[2];

    (void)state;
    for (size_t i = 0; i < N; ++i) { /* up-chirps of each spreading factor for a while */
        const double n = (double)(1 << (UW_SWEEP_SF_MIN + (int)(i * 5 / N)));
        const double chip = fmod(0.5 * (double)i, n);

        y[i] =
            x[i] + (i % 30000 < 15000 ? 0.3f * signal_turn(0.5 * chip * (chip / n - 1.0)) : 0.0f);
    }
    sweep(&libraries[0], &hits[0]);
    sweep(&libraries[1], &hits[1]);
    assert_int_equal(hits[0].n, hits[1].n);
    assert_true(hits[0].n >= 5);
    for (size_t i = 0; i < hits[0].n; ++i) {
        const struct uw_sweep_hit *a = &hits[0].hits[i];
        const struct uw_sweep_hit *b = &hits[1].hits[i];

        assert_true(a->sf == b->sf && a->chip == b->chip && a->run == b->run);
        assert_true(fabs(a->line - b->line) < 1e-3 && fabs(a->sum / b->sum - 1.0) < 1e-4);
    }
}

/* A preamble and its like, and noise: whatever comes out. */
static void work_faint(const struct library *lib, struct log *log) {
    struct uw_faint *faint;
    struct uw_lines *lines;

    assert_int_equal(lib->uw_lines_new(&lines), 0);
    assert_int_equal(lib->uw_faint_new(lines, &faint), 0);
    for (int i = 0; i < 24; ++i) {
        const int sf = UW_FAINT_SF_MIN + i % (UW_FAINT_SF_MAX - UW_FAINT_SF_MIN + 1);
        const double chips = (double)(1 << sf);
        const struct uw_faint_suspect s = {
            .sf = sf,
            .down = i % 2 == 1,
            .at = uw_faint_before(sf) + 1000,
            .run = 7,
            .line = 0.3 * i,
            .density = 1.3,
            .offset_max = 0.1,
            .offset_bias = 0.01 * i - 0.1,
            .offset_sigma = 0.04,
            .clock_share = 5e-4,
            .preamble_min = 8,
            .preamble_max = 10,
            .sync_word = 0x12,
        };
        struct uw_faint_packet places[UW_FAINT_PLACES];

        for (size_t k = 0; k < 60000; ++k) {
            const double chip = fmod(0.5 * (double)k, chips);

            y[k] = x[k] + (i < 12 ? 0.1f : 0.0f) * signal_turn(0.5 * chip * (chip / chips - 1.0));
        }
        NOTE(log, lib->uw_faint_run(faint, y, &s));
        NOTE(log, lib->uw_faint_follow(faint, y, &s, places));
        for (int k = 0; k < UW_FAINT_PLACES; ++k) {
            if (places[k].sum <= 0.0)
                continue;
            lib->uw_faint_extent(faint, y, 60000, &s, &places[k]);
            NOTE(log, places[k].sum);
            NOTE(log, places[k].sync);
            NOTE(log, places[k].offset);
            NOTE(log, places[k].known);
            NOTE(log, places[k].told);
            NOTE(log, places[k].n_data);
        }
    }
    lib->uw_faint_free(faint);
    lib->uw_lines_free(lines);
}

static void test_faint(void **state) {
    (void)state;
    compare(work_faint, 1500);
}

static void work_channel(const struct library *lib, struct log *log) {
    static const struct uw_front_ops ops = {.burst = on_burst, .progress = on_progress};
    /* one sample a chip and every second of two; over the band's middle, and its end */
    static const double layouts[][2] = {
        {313e3, 500e3}, {-12.5e3, 500e3}, {333e3, 125e3}, {-1.1e6, 250e3}};
    struct uw_front_config config;
    struct uw_front *front;
    float re[384], im[384];

    lib->uw_front_config_init(&config);
    config.rate_hz = RATE;
    config.format = UW_IQ_CF32;
    assert_int_equal(lib->uw_front_new(&config, &ops, log, &front), 0);
    lib->uw_front_push(front, x, 20000);
    for (size_t i = 0; i < UW_ARRAY_SIZE(layouts); ++i) {
        struct uw_channel *channel;
        size_t chips;

        assert_int_equal(lib->uw_channel_new(384, RATE, layouts[i][0], layouts[i][1],
                                             0.06 * layouts[i][1], layouts[i][1], &channel),
                         0);
        chips = lib->uw_channel_chips(channel);
        for (uint64_t f = 0; f < 100; ++f) {
            lib->uw_channel_run(channel, x + 384 * f, f, re, im);
            note(log, re, chips * sizeof(*re));
            note(log, im, chips * sizeof(*im));
        }
        assert_true(lib->uw_channel_cut(channel, front, 288, 50, y));
        note(log, y, 50 * 2 * chips * sizeof(*y));
        lib->uw_channel_free(channel);
    }
    lib->uw_front_free(front);
}

static void test_channel(void **state) {
    (void)state;
    compare(work_channel, 200000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convert), cmocka_unit_test(test_floor),
        cmocka_unit_test(test_front),   cmocka_unit_test(test_resample),
        cmocka_unit_test(test_lora),    cmocka_unit_test(test_lines),
        cmocka_unit_test(test_sweep),   cmocka_unit_test(test_channel),
        cmocka_unit_test(test_faint),
    };

    make_signal();
    return cmocka_run_group_tests_name("kernels", tests, load, NULL);
}
