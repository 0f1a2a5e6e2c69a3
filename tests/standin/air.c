/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is on the air
 *
 * A recording, mixed to the device's frequency and resampled to its rate by a windowed sinc (taken
 * from a table of phases), or noise with carriers. Both are functions of the time on the air alone,
 * so that several devices, and one that has come back, hear the same. Then the device's gain, and
 * the rounding and clipping of its converter.
 */
#include <complex.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "standin.h"

#define TAU       6.283185307179586
#define NOISE_LEN 65536 /* a power of two */
#define TONES     16
#define PHASES    64
#define REACH     8 /* taps on each side, in samples of the lower rate */
#define TAPS_MAX  1024
#define PIECE     4096    /* samples made at once */
#define FALL_DB   10.0    /* of the noise, without the amplifier at the antenna */
#define BACK_DBFS (-45.0) /* noise of what follows the mixer */
#define ADC_LSB   0.3     /* noise of the converter itself, in steps */

enum format { CU8, CI8, CI16, CF32, FORMATS };

struct tone {
    double freq_hz, amplitude, on_s, period_s;
};

static struct {
    const unsigned char *data;
    enum format format;
    double rate_hz, freq_hz;
    size_t n;
    double noise;
    int n_tones;
    struct tone tones[TONES];
    float gauss[NOISE_LEN];
} air;

static double amplitude(double dbfs) {
    return pow(10, dbfs / 20);
}

static void make_gauss(void) {
    unsigned x = 12345;

    for (int i = 0; i < NOISE_LEN; i++) {
        double u[2];

        for (int k = 0; k < 2; k++) {
            x = x * 1664525u + 1013904223u;
            u[k] = ((x >> 8) + 0.5) / 16777216.0;
        }
        air.gauss[i] = (float)(sqrt(-2 * log(u[0])) * cos(TAU * u[1]));
    }
}

static void give_up(const char *what, const char *text) {
    fprintf(stderr, "stand-in: %s: \"%s\"\n", what, text);
    abort();
}

static void open_recording(const char *text) {
    static const char *const names[FORMATS] = {"cu8", "ci8", "ci16", "cf32"};
    static const size_t sizes[FORMATS] = {2, 2, 4, 8};
    char path[1024], format[8];
    struct stat st;
    int fd;

    if (sscanf(text, "%1023[^:]:%7[^:]:%lf:%lf", path, format, &air.rate_hz, &air.freq_hz) != 4)
        give_up("UW_STANDIN_AIR needs PATH:FORMAT:RATE:FREQ", text);
    while (air.format < FORMATS && strcmp(names[air.format], format) != 0)
        air.format++;
    fd = open(path, O_RDONLY);
    if (air.format == FORMATS || fd < 0 || fstat(fd, &st) < 0 || st.st_size < 16)
        give_up("UW_STANDIN_AIR cannot be read", text);
    air.n = (size_t)st.st_size / sizes[air.format];
    air.data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (air.data == MAP_FAILED)
        give_up("UW_STANDIN_AIR cannot be read", text);
}

static void read_tones(const char *text) {
    while (text && *text && air.n_tones < TONES) {
        struct tone *t = &air.tones[air.n_tones++];
        double dbfs = 0;

        *t = (struct tone){0};
        if (sscanf(text, "%lf:%lf:%lf:%lf", &t->freq_hz, &dbfs, &t->on_s, &t->period_s) < 2)
            give_up("UW_STANDIN_TONES", text);
        t->amplitude = amplitude(dbfs);
        text = strchr(text, ',');
        text = text ? text + 1 : NULL;
    }
}

void standin_air_init(void) {
    const char *recording = getenv("UW_STANDIN_AIR"), *noise = getenv("UW_STANDIN_NOISE");

    make_gauss();
    if (recording)
        open_recording(recording);
    read_tones(getenv("UW_STANDIN_TONES"));
    air.noise = amplitude(noise ? atof(noise) : -30);
}

static float complex sample_of(size_t i) {
    const unsigned char *b = air.data;
    const int16_t *s = (const void *)air.data;
    const float *f = (const void *)air.data;

    switch (air.format) {
    case CU8:
        return (b[2 * i] - 127.5f) / 127.5f + I * ((b[2 * i + 1] - 127.5f) / 127.5f);
    case CI8:
        return (int8_t)b[2 * i] / 127.5f + I * ((int8_t)b[2 * i + 1] / 127.5f);
    case CI16:
        return s[2 * i] / 32767.5f + I * (s[2 * i + 1] / 32767.5f);
    default:
        return f[2 * i] + I * f[2 * i + 1];
    }
}

static size_t wrap(int64_t i) {
    int64_t n = (int64_t)air.n, k = i % n;

    return (size_t)(k < 0 ? k + n : k);
}

static void add_noise(float complex *x, size_t n, double sigma, unsigned random) {
    size_t at = random, step = 2 * ((random >> 7 & 15) + 1) + 1;
    const float s = (float)(sigma * M_SQRT1_2);

    for (size_t i = 0; i < n; i++, at += 2 * step)
        x[i] += s * (air.gauss[at % NOISE_LEN] + I * air.gauss[(at + step) % NOISE_LEN]);
}

static void add_carrier(float complex *x, size_t n, double phase, double step, double amp) {
    double complex z = amp * cexp(I * phase), turn = cexp(I * step);

    for (size_t i = 0; i < n; i++, z *= turn)
        x[i] += (float complex)z;
}

static void add_tone(const struct standin_hearing *h, const struct tone *t, float complex *x,
                     size_t n) {
    double offset = t->freq_hz - h->freq_hz;
    size_t from = 0, to = n;

    if (fabs(offset) > h->rate_hz / 2)
        return;
    if (t->period_s > 0) { /* a piece is short, so a pulse is cut to the piece at most once */
        double into = fmod(h->start_s, t->period_s), end = into + (double)n / h->rate_hz;

        if (into >= t->on_s && end < t->period_s)
            return;
        if (into >= t->on_s)
            from = (size_t)((t->period_s - into) * h->rate_hz);
        else if (end > t->on_s)
            to = (size_t)((t->on_s - into) * h->rate_hz);
    }
    add_carrier(x + from, to - from,
                TAU * fmod(offset * h->start_s, 1) + TAU * offset / h->rate_hz * (double)from,
                TAU * offset / h->rate_hz, t->amplitude);
}

/* Windowed sinc, PHASES rows of n_taps; made anew for each ratio, which seldom changes. */
struct filter {
    double ratio;
    int n_taps;
    float taps[PHASES][TAPS_MAX];
};

static void make_filter(struct filter *f, double ratio) {
    double wide = ratio > 1 ? ratio : 1;
    int half = (int)ceil(REACH * wide);

    f->ratio = ratio;
    f->n_taps = 2 * half < TAPS_MAX ? 2 * half : TAPS_MAX;
    for (int p = 0; p < PHASES; p++)
        for (int k = 0; k < f->n_taps; k++) {
            double t = (k - f->n_taps / 2 + 1 - (double)p / PHASES) / wide;
            double window = 0.5 + 0.5 * cos(TAU / 2 * t / REACH);
            double sinc = fabs(t) < 1e-9 ? 1 : sin(TAU / 2 * t) / (TAU / 2 * t);

            f->taps[p][k] = fabs(t) < REACH ? (float)(sinc * window / wide) : 0;
        }
}

static void resample(const struct standin_hearing *h, float complex *x, size_t n) {
    static _Thread_local struct filter f;
    static _Thread_local float complex in[PIECE * 32 + TAPS_MAX];
    const double ratio = air.rate_hz / h->rate_hz, at = h->start_s * air.rate_hz;
    const double offset = (air.freq_hz - h->freq_hz) / air.rate_hz;
    int64_t first;
    double complex z, turn = cexp(I * TAU * offset);
    size_t n_in;

    if (f.ratio != ratio)
        make_filter(&f, ratio);
    first = (int64_t)floor(at) - f.n_taps / 2 + 1;
    n_in = (size_t)((double)n * ratio) + (size_t)f.n_taps + 2;
    z = cexp(I * TAU * fmod((double)first * offset, 1));
    for (size_t i = 0; i < n_in; i++, z *= turn)
        in[i] = sample_of(wrap(first + (int64_t)i)) * (float complex)z;
    for (size_t k = 0; k < n; k++) {
        double position = at - floor(at) + (double)k * ratio;
        size_t whole = (size_t)position;
        const float *taps = f.taps[(int)((position - (double)whole) * PHASES)];
        float complex sum = 0;

        for (int i = 0; i < f.n_taps; i++)
            sum += taps[i] * in[whole + (size_t)i];
        x[k] += sum;
    }
}

static void hear_recording(const struct standin_hearing *h, float complex *x, size_t n) {
    if (fabs(air.rate_hz - h->rate_hz) < 1e-3 && fabs(air.freq_hz - h->freq_hz) < 1) {
        int64_t first = llround(h->start_s * air.rate_hz);

        for (size_t i = 0; i < n; i++)
            x[i] += sample_of(wrap(first + (int64_t)i));
    } else if (air.rate_hz / h->rate_hz < 32 &&
               fabs(air.freq_hz - h->freq_hz) < (air.rate_hz + h->rate_hz) / 2) {
        resample(h, x, n);
    }
}

static unsigned char convert(float v) {
    float y = v * 127.5f + 127.5f;

    return (unsigned char)(y < 0 ? 0 : y > 255 ? 255 : lrintf(y));
}

static void hear_air(const struct standin_hearing *h, float complex *x, size_t n) {
    if (air.data)
        hear_recording(h, x, n);
    else
        add_noise(x, n, air.noise * sqrt(h->rate_hz / 2.4e6), h->random);
    for (int i = 0; i < air.n_tones; i++)
        add_tone(h, &air.tones[i], x, n);
    if (h->clip_dbfs > STANDIN_NO_POWER)
        add_carrier(x, n, TAU * fmod(h->start_s * 1e5, 1), TAU * 1e5 / h->rate_hz,
                    amplitude(h->clip_dbfs));
}

static void hear_piece(const struct standin_hearing *h, unsigned char *buf, size_t n) {
    float complex x[PIECE] = {0};
    const float gain = (float)amplitude(h->gain_db - STANDIN_GAIN);
    const bool deaf = h->cut_off || h->unlocked;

    if (!deaf)
        hear_air(h, x, n);
    else if (!h->unlocked)
        add_noise(x, n, air.noise * sqrt(h->rate_hz / 2.4e6) * amplitude(-FALL_DB), h->random);
    for (size_t i = 0; i < n; i++)
        x[i] *= gain;
    if (h->unlocked)
        add_noise(x, n, amplitude(BACK_DBFS), h->random);
    if (!air.data || deaf || gain != 1) /* a recording has had a converter's noise once */
        add_noise(x, n, ADC_LSB / 127.5 * M_SQRT2, h->random >> 3);
    for (size_t i = 0; i < n; i++) {
        buf[2 * i] = convert(crealf(x[i]));
        buf[2 * i + 1] = convert(cimagf(x[i]));
    }
}

void standin_air_hear(const struct standin_hearing *hearing, unsigned char *buf, size_t n) {
    struct standin_hearing h = *hearing;

    for (size_t i = 0; i < n; i += PIECE) {
        size_t part = n - i < PIECE ? n - i : PIECE;

        h.start_s = hearing->start_s + (double)i / h.rate_hz;
        h.random = hearing->random + (unsigned)(i * 7919);
        hear_piece(&h, buf + 2 * i, part);
    }
}
