/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The stream against a sender whose truth is known
 *
 * Each sample says when it was taken (low 24 bits, counted in true sample periods) and at which
 * centre (top 8 bits). So whatever the way does to them, every sample that comes out can be
 * compared with the time and the centre that the block claims.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../../src/iq/stream-impl.h"
#include "uw/base/time.h"
#include "uw/iq/source.h"

#define RATE   100000.0
#define STEP   1000000 /* ns */
#define CHUNKS 4096

struct chunk {
    int64_t arrives_ns;
    uint32_t first; /* true time of its first sample */
    uint32_t n;
    uint32_t switch_at; /* samples from this true time on are of the new centre */
};

struct world {
    struct uw_stream *stream;
    int64_t base_ns, now_ns;
    double true_rate; /* of the sender's clock */
    uint32_t quantum;
    double taken; /* true samples so far */
    double sent;
    uint32_t drop_chunks;
    int64_t delay_ns, last_arrival_ns;
    double backlog_speed; /* how much faster than real time a backlog comes */
    uint32_t switch_at;
    struct chunk queue[CHUNKS];
    size_t head, tail;
    /* what came out */
    uint64_t index, n, lost, discontinuities, worst_ahead_samples;
    double worst_s;
    uint64_t wrong_centre;
    double seen_freq;
    bool check_time;
    bool no_take;
    unsigned random;
};

static unsigned next_random(struct world *w) {
    w->random = w->random * 1664525u + 1013904223u;
    return w->random >> 8;
}

static void world_init(struct world *w, uint32_t quantum) {
    struct uw_stream_config c = {.rate_hz = RATE, .sample_bytes = 4, .quantum = quantum};

    memset(w, 0, sizeof(*w));
    w->base_ns = w->now_ns = 5 * UW_NS_PER_S;
    c.base_ns = w->base_ns;
    w->true_rate = RATE;
    w->quantum = quantum;
    w->switch_at = UINT32_MAX;
    w->backlog_speed = 20;
    w->check_time = true;
    w->random = 1;
    assert_int_equal(uw_stream_new(&c, &w->stream), 0);
    uw_stream_begin(w->stream, 100, 1);
}

static void check_block(struct world *w, const uint32_t *v, const struct uw_source_block *b) {
    double true_s = (double)(v[0] & 0xffffff) / w->true_rate;
    double stamp_s;

    w->index += b->lost;
    w->lost += b->lost;
    stamp_s = (double)w->index / RATE;
    if (w->check_time && fabs(stamp_s - true_s) > w->worst_s)
        w->worst_s = fabs(stamp_s - true_s);
    for (size_t i = 0; i < b->n; i++) {
        w->wrong_centre += (v[i] >> 24) != (b->freq_hz == 200 ? 1u : 0u);
        if (i && ((v[i] - v[i - 1]) & 0xffffff) != 1)
            w->discontinuities++;
    }
    w->index += b->n;
    w->n += b->n;
    w->seen_freq = b->freq_hz;
}

static void take_all(struct world *w) {
    static uint32_t buf[3000];
    struct uw_source_block b;

    if (w->no_take)
        return;
    do {
        size_t n = 1 + next_random(w) % 3000;
        memset(&b, 0, sizeof(b));
        uw_stream_take(w->stream, buf, n, &b);
        assert_true(b.n <= n);
        if (b.n)
            check_block(w, buf, &b);
    } while (b.n);
}

static void produce(struct world *w) {
    w->taken = (double)(w->now_ns - w->base_ns) / 1e9 * w->true_rate;
    while (w->taken - w->sent >= w->quantum) {
        struct chunk *c = &w->queue[w->head % CHUNKS];
        int64_t spacing = (int64_t)(w->quantum / RATE * 1e9 / w->backlog_speed);
        int64_t arrives = w->now_ns + w->delay_ns;

        w->sent += w->quantum;
        if (w->drop_chunks) {
            w->drop_chunks--;
            continue;
        }
        if (arrives < w->last_arrival_ns + spacing)
            arrives = w->last_arrival_ns + spacing;
        w->last_arrival_ns = arrives;
        *c = (struct chunk){arrives, (uint32_t)(w->sent - w->quantum), w->quantum, w->switch_at};
        assert_true(w->head - w->tail < CHUNKS);
        w->head++;
    }
}

static void put_bytes(struct world *w, const unsigned char *bytes, size_t len, bool last) {
    while (len) {
        size_t room, n = 1 + next_random(w) % 5000;
        void *to = uw_stream_space(w->stream, &room);

        if (room == 0) {
            take_all(w);
            to = uw_stream_space(w->stream, &room);
            if (room ==
                0) /* nobody takes: the kernel's buffers would fill, and drop at the far end */
                return;
        }
        n = n < len ? n : len;
        n = n < room ? n : room;
        memcpy(to, bytes, n);
        bytes += n;
        len -= n;
        uw_stream_received(w->stream, n, w->now_ns, last && len == 0);
    }
}

static void deliver(struct world *w) {
    static uint32_t v[100000];

    while (w->tail < w->head && w->queue[w->tail % CHUNKS].arrives_ns <= w->now_ns) {
        const struct chunk *c = &w->queue[w->tail++ % CHUNKS];
        bool more = w->tail < w->head && w->queue[w->tail % CHUNKS].arrives_ns <= w->now_ns;

        for (uint32_t i = 0; i < c->n; i++) {
            uint32_t t = c->first + i;
            v[i] = (t & 0xffffff) | (t >= w->switch_at ? 1u << 24 : 0);
        }
        put_bytes(w, (const unsigned char *)v, c->n * 4, !more);
    }
    take_all(w);
}

static void run(struct world *w, double seconds) {
    int64_t until = w->now_ns + (int64_t)(seconds * 1e9);

    while (w->now_ns < until) {
        w->now_ns += STEP;
        produce(w);
        deliver(w);
    }
}

static void finish(struct world *w) {
    struct uw_stream_counts c;

    take_all(w);
    uw_stream_counts(w->stream, &c);
    assert_true(w->index == w->n + w->lost);
    w->stream = uw_stream_free(w->stream);
}

static struct uw_stream_counts counts(struct world *w) {
    struct uw_stream_counts c;

    uw_stream_counts(w->stream, &c);
    return c;
}

static void test_steady(void **state) {
    static const uint32_t quanta[] = {100, 777, 5000, 50000};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct world w;
        uint64_t before;

        world_init(&w, quanta[i]);
        run(&w, 3);
        assert_true(counts(&w).flowing);
        before = counts(&w).lost;
        run(&w, 15);
        assert_int_equal(counts(&w).lost, before);
        assert_true(before < (uint64_t)(RATE * (0.3 + 3.5 * quanta[i] / RATE)));
        assert_int_equal(w.discontinuities, 0);
        assert_true(w.worst_s < 0.0021); /* the step of this test's time */
        assert_false(counts(&w).wrong_rate);
        assert_true(fabs(counts(&w).rate_hz / RATE - 1) < 0.005);
        finish(&w);
    }
}

static void test_loss_is_counted_where_it_is(void **state) {
    (void)state;
    for (uint32_t k = 1; k < 40; k += 6) {
        struct world w;
        uint64_t before;

        world_init(&w, 2000); /* 20 ms */
        run(&w, 2);
        before = w.lost;
        w.drop_chunks = k;
        run(&w, 2);
        /* the times before and after are right: so the loss stands in its place, and is all */
        assert_true(llabs((long long)(w.lost - before) - (long long)k * 2000) < 300);
        assert_true(w.worst_s < 0.0021);
        assert_int_equal(w.discontinuities, 0);
        finish(&w);
    }
}

static void test_delay_is_no_loss(void **state) {
    struct world w;
    uint64_t before;

    (void)state;
    world_init(&w, 1000);
    run(&w, 2);
    before = counts(&w).lost;
    for (int i = 0; i < 20; i++) {
        w.delay_ns = (int64_t)(next_random(&w) % 250) * 1000000;
        run(&w, 0.05);
        w.delay_ns = 0;
        run(&w, 0.5);
    }
    assert_int_equal(counts(&w).lost, before);
    assert_int_equal(w.discontinuities, 0);
    assert_true(w.worst_s < 0.0021);
    finish(&w);
}

static void test_backlog_is_dropped(void **state) {
    struct world w;
    uint64_t before;

    (void)state;
    world_init(&w, 1000);
    w.backlog_speed = 4;
    run(&w, 2);
    before = w.lost;
    w.delay_ns = 6 * UW_NS_PER_S; /* cut for six seconds, then everything comes */
    run(&w, 0.02);
    w.delay_ns = 0;
    run(&w, 12);
    assert_true(counts(&w).discarded > 5 * (uint64_t)RATE);
    assert_true(w.lost - before > 5 * (uint64_t)RATE && w.lost - before < 10 * (uint64_t)RATE);
    assert_true(w.worst_s < 0.02);
    before = w.lost;
    run(&w, 3);
    assert_int_equal(w.lost, before);
    finish(&w);
}

static void test_absence(void **state) {
    struct world w;
    uint64_t before;

    (void)state;
    world_init(&w, 1000);
    run(&w, 2);
    before = w.lost;
    uw_stream_end(w.stream);
    w.now_ns += 100 * UW_NS_PER_S;
    w.sent = (double)(w.now_ns - w.base_ns) / 1e9 * RATE; /* nothing was sent meanwhile */
    uw_stream_begin(w.stream, 100, 1);
    run(&w, 2);
    assert_true(fabs((double)(w.lost - before) / RATE - 100.25) < 0.05);
    assert_true(w.worst_s < 0.0021);
    finish(&w);
}

static void test_drift(void **state) {
    static const double ppm[] = {-100, 0, 60};

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct world w;

        world_init(&w, 10000);
        w.check_time = false; /* 24 bits are not enough for this long */
        w.true_rate = RATE * (1 + ppm[i] * 1e-6);
        run(&w, 1200);
        assert_true(fabs(counts(&w).drift_ppm - ppm[i]) < 5);
        assert_true(fabs((double)w.index / RATE - 1200) < 0.2);
        assert_false(counts(&w).wrong_rate);
        finish(&w);
    }
}

/* What comes is not what was asked for; nothing of what is given may be wrong by seconds. */
static void test_wrong_rate(void **state) {
    static const double factor[] = {0.5, 0.85, 0.97, 1.05, 2};

    (void)state;
    for (int i = 0; i < 5; i++) {
        struct world w;

        world_init(&w, 2000);
        w.check_time = false;
        run(&w, 2);
        assert_false(counts(&w).wrong_rate);
        w.true_rate = RATE * factor[i];
        w.sent = w.sent * factor[i];
        run(&w, 1.9);
        assert_true(counts(&w).wrong_rate);
        assert_true(fabs(counts(&w).rate_hz / w.true_rate - 1) < 0.02);
        assert_true(fabs((double)w.index / RATE - 3.9) < 0.6);
        finish(&w);
    }
}

static void test_random_loss_is_no_wrong_rate(void **state) {
    struct world w;

    (void)state;
    world_init(&w, 5000);
    for (int i = 0; i < 400; i++) {
        w.drop_chunks = next_random(&w) % 10 == 0;
        run(&w, 0.05);
        assert_false(counts(&w).wrong_rate);
    }
    assert_true(w.worst_s < 0.0021);
    finish(&w);
}

/* Something is missing at all times: what does come is given, from the start and after a retune. */
static void test_lossy_all_along(void **state) {
    struct world w;
    uint64_t before;

    (void)state;
    world_init(&w, 2000);
    w.check_time = false;
    w.true_rate = RATE * 0.85;
    run(&w, 3);
    assert_true((double)w.n > 1.5 * w.true_rate);
    uw_stream_retune(w.stream, w.now_ns, 90 * 1000000, 200, 2);
    w.switch_at = (uint32_t)((double)(w.now_ns - w.base_ns) / 1e9 * w.true_rate);
    before = w.n;
    run(&w, 3);
    assert_true((double)(w.n - before) > 1.5 * w.true_rate);
    assert_true(w.seen_freq == 200);
    finish(&w);
}

/* The centre changes 30 ms after the command at the far end, whatever the way does meanwhile. */
static void test_retune(void **state) {
    (void)state;
    for (unsigned seed = 1; seed <= 60; seed++) {
        struct world w;
        int64_t t;
        double at;

        world_init(&w, 500 + seed * 40);
        w.random = seed;
        run(&w, 1.5);
        w.delay_ns = (int64_t)(next_random(&w) % 150) * 1000000;
        run(&w, 0.2);
        t = w.now_ns;
        uw_stream_retune(w.stream, t, 90 * 1000000, 200, 2);
        at = (double)(t - w.base_ns) / 1e9 + 0.03;
        w.switch_at = (uint32_t)(at * RATE);
        if (seed % 3 == 0)
            w.drop_chunks = 1 + next_random(&w) % 8;
        run(&w, 0.05);
        w.delay_ns = 0;
        run(&w, 2);
        if (w.wrong_centre)
            fail_msg("seed %u: %llu samples of the wrong centre", seed,
                     (unsigned long long)w.wrong_centre);
        assert_true(w.seen_freq == 200);
        assert_true(w.worst_s < 0.0021 + 0.15);
        assert_true(counts(&w).stale > 0 || seed % 3 == 0);
        finish(&w);
    }
}

/* A retune in the middle of delays that stay, losses, and a caller that sleeps: nothing is of the
 * wrong centre, and the new one comes through. */
static void retune_in_a_storm(struct world *w, unsigned seed) {
    unsigned kind = seed % 4, driver_ms;

    world_init(w, 500 + seed % 40 * 40);
    w->random = seed * 2654435761u;
    w->check_time = false;
    run(w, 1.5);
    w->delay_ns = kind >= 1 ? (int64_t)(next_random(w) % 200) * 1000000 : 0;
    run(w, next_random(w) % 300 / 1e3);
    w->drop_chunks = kind >= 2 ? next_random(w) % 30 : 0;
    w->no_take = kind == 3 && next_random(w) % 2;
    run(w, next_random(w) % 300 / 1e3);
    /* the driver is told, takes its time, and has done it */
    uw_stream_retune(w->stream, w->now_ns, 30 * UW_NS_PER_S, 200, 2);
    driver_ms = next_random(w) % 60;
    w->switch_at = (uint32_t)(((double)(w->now_ns - w->base_ns) / 1e9 + driver_ms / 1e3) * RATE);
    w->drop_chunks += kind >= 2 ? next_random(w) % 30 : 0;
    run(w, (driver_ms + next_random(w) % 10) / 1e3);
    uw_stream_retune(w->stream, w->now_ns, 90 * 1000000, 200, 2);
    run(w, next_random(w) % 400 / 1e3);
    w->delay_ns = 0;
    w->no_take = false;
    run(w, 2.5);
}

static void test_retune_in_a_storm(void **state) {
    (void)state;
    for (unsigned seed = 1; seed <= 400; seed++) {
        struct world w;

        retune_in_a_storm(&w, seed);
        if (w.wrong_centre || w.seen_freq != 200)
            fail_msg("seed %u: %llu samples of the wrong centre, %g at the end", seed,
                     (unsigned long long)w.wrong_centre, w.seen_freq);
        finish(&w);
    }
}

/* Nobody takes for a while, the marks and the ring run over: no time is lost on the way. */
static void test_nobody_takes(void **state) {
    struct world w;

    (void)state;
    world_init(&w, 500);
    run(&w, 2);
    w.no_take = true;
    for (int i = 0; i < 60; i++) {
        w.drop_chunks = i % 3 == 0 ? 12 : 0;
        run(&w, 0.45);
    }
    w.no_take = false;
    w.drop_chunks = 0;
    run(&w, 3);
    w.worst_s = 0;
    run(&w, 1);
    assert_true(w.worst_s < 0.02);
    finish(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steady),
        cmocka_unit_test(test_loss_is_counted_where_it_is),
        cmocka_unit_test(test_delay_is_no_loss),
        cmocka_unit_test(test_backlog_is_dropped),
        cmocka_unit_test(test_absence),
        cmocka_unit_test(test_drift),
        cmocka_unit_test(test_wrong_rate),
        cmocka_unit_test(test_random_loss_is_no_wrong_rate),
        cmocka_unit_test(test_lossy_all_along),
        cmocka_unit_test(test_retune),
        cmocka_unit_test(test_retune_in_a_storm),
        cmocka_unit_test(test_nobody_takes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
