/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A pipe as a live receiver: never waited for, paced, comes back, stays aligned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "uw/base/err.h"
#include "uw/base/iq-format.h"
#include "uw/base/time.h"
#include "uw/iq/source.h"

#define RATE  250e3
#define BLOCK 5000

static const char fifo[] = "uw-test-pipe.fifo";
static const char regular[] = "uw-test-pipe.ci16";

static int make(void **state) {
    FILE *f = fopen(regular, "wb");

    (void)state;
    unlink(fifo);
    signal(SIGPIPE, SIG_IGN);
    if (!f || fputs("abcdefgh", f) < 0 || fclose(f))
        return -1;
    return mkfifo(fifo, 0600);
}

static int clean(void **state) {
    (void)state;
    return unlink(fifo) || unlink(regular);
}

static struct uw_source_params params(const char *path) {
    struct uw_source_params p;

    uw_source_params_init(&p);
    p.type = UW_SOURCE_PIPE;
    p.path = path;
    p.format = UW_IQ_CI16;
    p.rate_hz = RATE;
    p.freq_hz = 915e6;
    return p;
}

static void refused(const struct uw_source_params *p, const char *words) {
    struct uw_source *source = NULL;
    struct uw_diag diag = {0};

    assert_int_equal(uw_source_open(p, &diag, &source), UW_E_INPUT);
    if (!strstr(diag.text[0], words))
        fail_msg("\"%s\" is not in \"%s\"", words, diag.text[0]);
}

static void test_refused(void **state) {
    struct uw_source_params p = params(regular);

    (void)state;
    refused(&p, "is no pipe");
    p = params("no-such.fifo");
    refused(&p, "no-such.fifo: No such file");
    p = params(fifo);
    p.rate_hz = NAN;
    refused(&p, "rate");
    p = params(fifo);
    p.format = -1;
    refused(&p, "format");
}

/* Sample k is (k & 0x7fff, ~that), so that any slip or shift shows. */
struct writer {
    pthread_t thread;
    size_t n;     /* samples */
    size_t extra; /* bytes behind them: the writer ends inside a sample */
    int64_t took_ns;
};

static void *write_samples(void *userdata) {
    struct writer *w = userdata;
    int64_t begin = uw_clock_mono_ns();
    int16_t *data = malloc(w->n * 4 + 4);
    int fd = open(fifo, O_WRONLY);
    size_t done = 0, total = w->n * 4 + w->extra;

    for (size_t k = 0; k <= w->n; k++) {
        data[2 * k] = (int16_t)(k & 0x7fff);
        data[2 * k + 1] = (int16_t) ~(k & 0x7fff);
        if (k == w->n)
            break;
    }
    while (done < total) {
        ssize_t n = write(fd, (char *)data + done, total - done);
        if (n < 0)
            break;
        done += (size_t)n;
    }
    close(fd);
    free(data);
    w->took_ns = uw_clock_mono_ns() - begin;
    return NULL;
}

static void start(struct writer *w, size_t n, size_t extra) {
    *w = (struct writer){.n = n, .extra = extra};
    assert_int_equal(pthread_create(&w->thread, NULL, write_samples, w), 0);
}

struct heard {
    uint64_t n, lost, breaks;
    int fresh;
    bool slipped;
    int next; /* the value expected; -1: any */
};

/* A machine may stand still for a moment; a source that waits would do so each time. */
#define READ_MAX_NS 400000000
#define STANDSTILLS 2

static int n_reads, n_long;

static void hear(struct uw_source *source, struct heard *h) {
    static int16_t buf[2 * BLOCK];
    struct uw_source_block block;
    struct uw_diag diag = {0};
    int64_t begin = uw_clock_mono_ns();

    assert_int_equal(uw_source_read(source, buf, BLOCK, &diag, &block), 0);
    ++n_reads;
    n_long += uw_clock_mono_ns() - begin >= READ_MAX_NS; /* 0.25 s, on a busy machine */
    assert_false(block.end);
    if (block.n == 0)
        return;
    h->n += block.n;
    h->lost += block.lost;
    h->fresh += block.fresh;
    if (block.lost || block.fresh) {
        h->breaks++;
        h->next = -1;
    }
    for (size_t i = 0; i < block.n; i++) {
        h->slipped |= buf[2 * i] != ~buf[2 * i + 1];
        h->slipped |= h->next >= 0 && buf[2 * i] != h->next;
        h->next = (buf[2 * i] + 1) & 0x7fff;
    }
}

static void hear_for(struct uw_source *source, struct heard *h, double seconds) {
    int64_t end = uw_clock_mono_ns() + (int64_t)(seconds * 1e9);

    while (uw_clock_mono_ns() < end)
        hear(source, h);
}

static void test_comes_and_goes(void **state) {
    struct uw_source_params p = params(fifo);
    struct heard h = {.next = -1};
    struct uw_source *source = NULL;
    struct uw_source_health health;
    struct uw_diag diag = {0};
    struct writer w;
    int64_t begin = uw_clock_mono_ns();
    double elapsed;

    (void)state;
    assert_int_equal(uw_source_open(&p, &diag, &source), 0); /* nobody writes yet */
    assert_true(uw_source_info(source)->live);
    assert_true(llabs(uw_source_info(source)->start_ns - uw_clock_real_ns()) < UW_NS_PER_S);
    hear_for(source, &h, 0.6);
    assert_int_equal(h.n, 0);
    uw_source_health(source, &health);
    assert_int_equal(health.state, UW_SOURCE_LOST);
    assert_int_equal(health.problem, UW_SOURCE_PROBLEM_ABSENT);
    assert_true(strlen(health.advice) > 20);

    /* as fast as it may: it is held back to the signal's speed, and nothing is lost of it */
    start(&w, (size_t)(0.8 * RATE), 3);
    hear_for(source, &h, 0.7);
    uw_source_health(source, &health);
    assert_int_equal(health.state, UW_SOURCE_OK);
    hear_for(source, &h, 0.3);
    pthread_join(w.thread, NULL);
    assert_true(w.took_ns > 600000000);
    assert_true(h.n > 0.3 * RATE && h.n < 0.8 * RATE); /* the start of a stream is discarded */
    assert_int_equal(h.breaks, 1);
    assert_false(h.slipped);
    assert_true(h.lost > 0.6 * RATE);

    /* another comes: aligned, though the first ended inside a sample; the time between is lost */
    start(&w, (size_t)(0.7 * RATE), 0);
    hear_for(source, &h, 0.6);
    assert_false(h.slipped);
    assert_int_equal(h.fresh, 2);
    uw_source_health(source, &health);
    assert_int_equal(health.reopened, 1);
    elapsed = (double)(uw_clock_mono_ns() - begin) / 1e9;
    assert_true(fabs((double)(h.n + h.lost) / RATE - elapsed) < 0.1);
    uw_source_stop(source);
    uw_source_close(source); /* the writer gets SIGPIPE */
    pthread_join(w.thread, NULL);
}

static void test_quiet_writer_is_stalled(void **state) {
    struct uw_source_params p = params(fifo);
    struct heard h = {.next = -1};
    struct uw_source *source = NULL;
    struct uw_source_health health;
    struct uw_diag diag = {0};
    struct writer w;
    int fd;

    (void)state;
    assert_int_equal(uw_source_open(&p, &diag, &source), 0);
    fd = open(fifo, O_WRONLY); /* stays, and is quiet */
    assert_true(fd >= 0);
    start(&w, 5000, 0);
    hear_for(source, &h, 0.2);
    uw_source_health(source, &health);
    assert_int_equal(health.state, UW_SOURCE_OK);
    hear_for(source, &h, 1.0);
    uw_source_health(source, &health);
    assert_int_equal(health.problem, UW_SOURCE_PROBLEM_STALLED);
    uw_source_stop(source);
    uw_source_close(source);
    close(fd);
    pthread_join(w.thread, NULL);
}

/* Of all reads above. */
static void test_no_read_waits(void **state) {
    (void)state;
    assert_true(n_reads > 5 * STANDSTILLS);
    assert_true(n_long <= STANDSTILLS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_comes_and_goes),
        cmocka_unit_test(test_quiet_writer_is_stalled),
        cmocka_unit_test(test_no_read_waits),
    };

    return cmocka_run_group_tests(tests, make, clean);
}
