/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The rtl_tcp client against servers that behave, hang, lie and die
 *
 * The server is a thread of this test. What it does with the next client is set beforehand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../../src/iq/rtltcp-impl.h"
#include "uw/base/err.h"
#include "uw/base/time.h"
#include "uw/iq/source.h"

#define RATE  1000000
#define CHUNK 8192 /* bytes */

enum mode { SERVE, MUTE, HALF, MAGIC, HANG_UP, RESET, STALL, NO_SAMPLES, MODE_N };

struct server {
    int listen_fd, port;
    pthread_t thread;
    atomic_bool stop;
    _Atomic int mode;
    _Atomic double speed; /* of the samples, against what was asked for */
    _Atomic unsigned freq, rate, gain, ppm, bias, n_clients;
    unsigned char samples[CHUNK];
};

static void obey(struct server *s, const unsigned char *c) {
    unsigned v = (unsigned)c[1] << 24 | (unsigned)c[2] << 16 | (unsigned)c[3] << 8 | c[4];

    if (c[0] == 1)
        s->freq = v;
    if (c[0] == 2)
        s->rate = v;
    if (c[0] == 4)
        s->gain = v;
    if (c[0] == 5)
        s->ppm = v;
    if (c[0] == 14)
        s->bias = v;
}

/* Samples in time with the clock; noise whose mean tells the frequency that was set. */
static void serve(struct server *s, int fd) {
    unsigned char command[5];
    int64_t begun = uw_clock_mono_ns();
    double sent = 0;

    while (!s->stop && s->mode == SERVE) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        double due = (double)(uw_clock_mono_ns() - begun) / 1e9 * RATE * 2 * s->speed;

        while (poll(&p, 1, due >= sent + CHUNK ? 0 : 2) > 0) {
            if (recv(fd, command, 5, MSG_WAITALL) != 5)
                return;
            obey(s, command);
        }
        if (due >= sent + CHUNK) {
            if (send(fd, s->samples, CHUNK, MSG_NOSIGNAL) < 0)
                return;
            sent += CHUNK;
        }
    }
}

static void wait_while(const struct server *s, int mode) {
    while (!s->stop && s->mode == mode)
        usleep(5000);
}

static void client(struct server *s, int fd) {
    static const unsigned char header[] = "RTL0\0\0\0\5\0\0\0\35";
    static const unsigned char wrong[] = "HTTP/1.1 400";
    int mode = s->mode;

    s->n_clients++;
    if (mode == MAGIC)
        (void)!send(fd, wrong, 12, MSG_NOSIGNAL);
    if (mode == HALF)
        (void)!send(fd, header, 7, MSG_NOSIGNAL);
    if (mode == RESET) {
        const struct linger hard = {.l_onoff = 1};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    }
    if (mode == SERVE || mode == NO_SAMPLES || mode == STALL)
        (void)!send(fd, header, 12, MSG_NOSIGNAL);
    if (mode == SERVE)
        serve(s, fd);
    mode = s->mode;
    if (mode == MUTE || mode == HALF || mode == STALL || mode == NO_SAMPLES)
        wait_while(s, mode);
    close(fd);
}

static void *server_main(void *userdata) {
    struct server *s = userdata;

    while (!s->stop) {
        struct pollfd p = {.fd = s->listen_fd, .events = POLLIN};
        if (poll(&p, 1, 10) > 0)
            client(s, accept(s->listen_fd, NULL, NULL));
    }
    return NULL;
}

static struct server *start_server(int mode) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct server *s = calloc(1, sizeof(*s));
    socklen_t len = sizeof(a);
    unsigned random = 1;

    assert_non_null(s);
    for (int i = 0; i < CHUNK; i++) { /* a bell of sorts */
        unsigned sum = 0;
        for (int k = 0; k < 4; k++) {
            random = random * 1664525u + 1013904223u;
            sum += random >> 24 & 31;
        }
        s->samples[i] = (unsigned char)(128 + sum - 62);
    }
    s->mode = mode;
    s->speed = 1;
    s->listen_fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(s->listen_fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(s->listen_fd, 4), 0);
    getsockname(s->listen_fd, (struct sockaddr *)&a, &len);
    s->port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, server_main, s), 0);
    return s;
}

static void stop_server(struct server *s) {
    s->stop = true;
    pthread_join(s->thread, NULL);
    close(s->listen_fd);
    free(s);
}

static struct uw_source *open_client(const struct server *s) {
    static char device[64];
    struct uw_source_params params;
    struct uw_source *source = NULL;

    snprintf(device, sizeof(device), "127.0.0.1:%d", s->port);
    uw_source_params_init(&params);
    params.type = UW_SOURCE_RTLTCP;
    params.device = device;
    params.rate_hz = RATE;
    params.freq_hz = 868e6;
    params.gain_db = 30;
    params.ppm = 12.4;
    params.bias_tee = true;
    assert_int_equal(uw_source_open(&params, NULL, &source), 0);
    memset(device, 'x', sizeof(device)); /* it has its own copy */
    return source;
}

static struct uw_source_health health_of(struct uw_source *source) {
    struct uw_source_health h;

    uw_source_health(source, &h);
    return h;
}

/* A machine may stand still for a moment; a source that waits would do so each time. */
#define CALL_MAX_NS (UW_NS_PER_S / 2)
#define STANDSTILLS 3

static int n_calls, n_long;

static void count_call(int64_t began_ns) {
    ++n_calls;
    n_long += uw_clock_mono_ns() - began_ns >= CALL_MAX_NS;
}

/* Reads for so long; returns the samples, with what the last block said. */
static size_t read_for(struct uw_source *source, double seconds, struct uw_source_block *ret_last) {
    static unsigned char buf[2 * 20000];
    int64_t until = uw_clock_mono_ns() + (int64_t)(seconds * 1e9);
    size_t n = 0;

    while (uw_clock_mono_ns() < until) {
        int64_t began = uw_clock_mono_ns();
        struct uw_source_block b;

        assert_int_equal(uw_source_read(source, buf, 20000, NULL, &b), 0);
        count_call(began);
        assert_false(b.end);
        if (b.n)
            *ret_last = b;
        n += b.n;
    }
    return n;
}

/* Reads until the health is as said; fails after `seconds`. */
static void expect_health(struct uw_source *source, enum uw_source_state state,
                          enum uw_source_problem problem, double seconds) {
    int64_t until = uw_clock_mono_ns() + (int64_t)(seconds * 1e9);
    struct uw_source_health h = health_of(source);
    struct uw_source_block b;

    while (uw_clock_mono_ns() < until && (h.state != state || h.problem != problem)) {
        read_for(source, 0.05, &b);
        h = health_of(source);
    }
    if (h.state != state || h.problem != problem)
        fail_msg("%s, %s (%s) instead of %s, %s", uw_source_state_name(h.state),
                 uw_source_problem_name(h.problem), h.advice, uw_source_state_name(state),
                 uw_source_problem_name(problem));
    assert_true((h.state == UW_SOURCE_OK) == (h.advice[0] == 0));
}

/* Samples come. A machine that is busy with other things may lose some of them. */
static void expect_samples(struct uw_source *source, double seconds) {
    int64_t until = uw_clock_mono_ns() + (int64_t)(seconds * 1e9);
    struct uw_source_health h;
    struct uw_source_block b;

    do {
        bool came = read_for(source, 0.05, &b) > 0;

        uw_source_health(source, &h);
        if (came && h.state != UW_SOURCE_LOST)
            return;
    } while (uw_clock_mono_ns() < until);
    fail_msg("no samples: %s, %s", uw_source_problem_name(h.problem), h.advice);
}

static void close_quickly(struct uw_source *source) {
    int64_t began = uw_clock_mono_ns();

    uw_source_close(source);
    count_call(began);
}

static void test_samples_and_settings(void **state) {
    struct server *s = start_server(SERVE);
    struct uw_source *source = open_client(s);
    const struct uw_source_info *info = uw_source_info(source);
    struct uw_source_block b = {0};
    size_t n;

    (void)state;
    assert_true(info->live && info->tunable);
    assert_int_equal(info->format, UW_IQ_CU8);
    expect_samples(source, 2);
    read_for(source, 0.5, &b);
    n = read_for(source, 0.5, &b);
    assert_true(n > 0.1 * RATE && n < 0.9 * RATE); /* a busy machine is late */
    assert_true(b.freq_hz == 868e6);
    assert_true(fabs(b.gain_db - 29.7) < 0.01); /* the nearest step */
    assert_int_equal(s->rate, RATE);
    assert_int_equal(s->gain, 297);
    assert_int_equal(s->ppm, 12);
    assert_int_equal(s->freq, 868000000 - 347); /* 0.4 ppm that are no whole ppm */
    assert_int_equal(s->bias, 1);
    assert_int_equal(uw_source_tune(source, 915e6), 0);
    read_for(source, 0.5, &b);
    assert_true(b.freq_hz == 915e6);
    assert_int_equal(s->freq, 915000000 - 366);
    assert_true(health_of(source).discarded > 0);
    assert_int_equal(uw_source_tune(source, 9e9), -ERANGE);
    close_quickly(source);
    stop_server(s);
}

struct pair {
    struct server *server;
    struct uw_source *source;
};

static struct pair open_pair(enum mode mode, double speed) {
    struct pair p = {.server = start_server(mode)};

    p.server->speed = speed;
    p.source = open_client(p.server);
    return p;
}

static void close_pair(struct pair *p) {
    close_quickly(p->source);
    stop_server(p->server);
}

static void expect_words(struct uw_source *source, const char *words) {
    if (!strstr(health_of(source).advice, words))
        fail_msg("\"%s\" does not say \"%s\"", health_of(source).advice, words);
}

/* Each way to be no server, or to cease to be one, is told, never ends in a wait, and is over when
 * the server is well. All at once, for the sake of time. */
static void test_bad_servers(void **state) {
    static const struct {
        enum mode mode;
        double speed;
        enum mode later;
        enum uw_source_problem problem;
        const char *words;
        bool returns;
    } cases[] = {
        {MUTE, 1, MUTE, UW_SOURCE_PROBLEM_UNREACHABLE, "another client", true},
        {HALF, 1, HALF, UW_SOURCE_PROBLEM_UNREACHABLE, "middle", false},
        {MAGIC, 1, MAGIC, UW_SOURCE_PROBLEM_UNREACHABLE, "no rtl_tcp", false},
        {HANG_UP, 1, HANG_UP, UW_SOURCE_PROBLEM_UNREACHABLE, "hangs up", false},
        {RESET, 1, RESET, UW_SOURCE_PROBLEM_UNREACHABLE, "server", false},
        {NO_SAMPLES, 1, NO_SAMPLES, UW_SOURCE_PROBLEM_STALLED, "next to nothing", false},
        {SERVE, 1, HANG_UP, UW_SOURCE_PROBLEM_UNREACHABLE, "hangs up", false},
        {SERVE, 1, STALL, UW_SOURCE_PROBLEM_STALLED, "", true},
        {SERVE, 0.8, SERVE, UW_SOURCE_PROBLEM_REFUSED, "instead of", false},
        {SERVE, 1.2, SERVE, UW_SOURCE_PROBLEM_REFUSED, "instead of", false},
    };
    enum { N = sizeof(cases) / sizeof(cases[0]) };
    struct pair p[N];

    (void)state;
    for (size_t i = 0; i < N; i++)
        p[i] = open_pair(cases[i].mode, cases[i].speed);
    expect_samples(p[6].source, 2);
    expect_samples(p[7].source, 2);
    for (size_t i = 0; i < N; i++)
        p[i].server->mode = cases[i].later;
    for (size_t i = 0; i < N; i++) {
        expect_health(p[i].source, UW_SOURCE_LOST, cases[i].problem, 3);
        expect_words(p[i].source, cases[i].words);
    }
    for (size_t i = 0; i < N; i++) {
        p[i].server->speed = 1;
        p[i].server->mode = SERVE;
    }
    for (size_t i = 0; i < N; i++) {
        if (cases[i].returns)
            expect_samples(p[i].source, 8);
        close_pair(&p[i]);
    }
}

/* How late samples are, by the clock and by what was lost. */
static double least_late_s(void) {
    struct server *s = start_server(SERVE);
    int64_t began = uw_clock_mono_ns();
    struct uw_source *source = open_client(s);
    static unsigned char buf[2 * 20000];
    double least_late = HUGE_VAL;
    uint64_t index = 0;

    while (uw_clock_mono_ns() - began < 2 * UW_NS_PER_S) {
        double at = (double)(uw_clock_mono_ns() - began) / 1e9;
        struct uw_source_block b;

        s->mode = at > 0.6 && at < 0.8 ? HANG_UP : SERVE;
        assert_int_equal(uw_source_read(source, buf, 20000, NULL, &b), 0);
        index += b.n > 0 ? b.lost + b.n : 0;
        at = (double)(uw_clock_mono_ns() - began) / 1e9;
        if (b.n > 0 && at > 1.2)
            least_late = fmin(least_late, at - (double)index / RATE);
    }
    close_quickly(source);
    stop_server(s);
    return least_late;
}

/* Samples that are lost and time that passes without a server add up to the clock. What is read is
 * late by what lies in buffers, on a busy machine by more: the least of it counts, of the second
 * try if the machine stood still in the first. Never is it early. */
static void test_time_is_kept(void **state) {
    double late_s = least_late_s();

    (void)state;
    assert_true(late_s > -0.06);
    if (late_s >= 0.1)
        late_s = least_late_s();
    assert_true(late_s > -0.06 && late_s < 0.1);
}

/* Of all reads and closes above. */
static void test_no_call_waits(void **state) {
    (void)state;
    assert_true(n_calls > 10 * STANDSTILLS);
    assert_true(n_long <= STANDSTILLS);
}

static void test_nobody_there(void **state) {
    struct server *s = start_server(SERVE);
    struct uw_source *source;

    (void)state;
    shutdown(s->listen_fd, SHUT_RDWR);
    source = open_client(s);
    expect_health(source, UW_SOURCE_LOST, UW_SOURCE_PROBLEM_UNREACHABLE, 2);
    assert_non_null(strstr(health_of(source).advice, "refused"));
    close_quickly(source);
    stop_server(s);
}

static void test_protocol(void **state) {
    unsigned char c[UW_RTLTCP_COMMAND_LEN];
    double gains[UW_RTLTCP_GAINS_MAX];
    uint32_t tuner, n;

    (void)state;
    uw_rtltcp_encode(UW_RTLTCP_FREQ, 915000000, c);
    assert_memory_equal(c, "\x01\x36\x89\xca\xc0", 5);
    uw_rtltcp_encode(UW_RTLTCP_PPM, -2, c);
    assert_memory_equal(c, "\x05\xff\xff\xff\xfe", 5);
    assert_int_equal(
        uw_rtltcp_parse_header((const unsigned char *)"RTL0\0\0\0\5\0\0\0\35", &tuner, &n), 0);
    assert_int_equal(tuner, 5);
    assert_int_equal(n, 29);
    assert_int_equal(
        uw_rtltcp_parse_header((const unsigned char *)"RTL1\0\0\0\5\0\0\0\35", &tuner, &n),
        -EPROTO);
    for (uint32_t t = 0; t < 9; t++) {
        int k = uw_rtltcp_gains(t, gains);
        assert_true(k >= 0 && k <= UW_RTLTCP_GAINS_MAX);
        for (int i = 1; i < k; i++)
            assert_true(gains[i] > gains[i - 1]);
    }
    assert_int_equal(uw_rtltcp_gains(5, gains), 29);
    assert_int_equal(uw_rtltcp_gains(4000000000u, gains), 0);
}

static void test_addresses(void **state) {
    static const struct {
        const char *text, *host, *port;
    } cases[] = {
        {"192.0.2.7:1234", "192.0.2.7", "1234"},
        {"mast.example", "mast.example", "1234"},
        {"[2001:db8::7]:99", "2001:db8::7", "99"},
        {"[::1]", "::1", "1234"},
        {"", NULL, NULL},
        {":1234", NULL, NULL},
        {"x:", NULL, NULL},
        {"x:0", NULL, NULL},
        {"x:65536", NULL, NULL},
        {"x:12a", NULL, NULL},
        {"2001:db8::7", NULL, NULL},
        {"[::1", NULL, NULL},
        {"[::1]x", NULL, NULL},
        {"x:-1", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char host[UW_RTLTCP_HOST_LEN], port[UW_RTLTCP_PORT_LEN];
        int r = uw_rtltcp_parse_address(cases[i].text, host, port);

        if (r != (cases[i].host ? 0 : -EINVAL))
            fail_msg("\"%s\": %d", cases[i].text, r);
        if (cases[i].host) {
            assert_string_equal(host, cases[i].host);
            assert_string_equal(port, cases[i].port);
        }
    }
}

static void test_resolver(void **state) {
    struct uw_resolver *resolver = NULL;
    struct addrinfo *list = NULL;
    struct uw_resolved found;
    int wake = eventfd(0, 0);

    (void)state;
    assert_int_equal(uw_resolver_new("127.0.0.1", "1234", &resolver), 0);
    assert_int_equal(uw_resolver_run(resolver, wake, 0, &found), 0);
    assert_int_equal(found.n, 1);
    resolver = uw_resolver_free(resolver);
    /* A name as the system knows it: a bare one has no file of hosts, and not even this. */
    assert_int_equal(uw_resolver_new("localhost", "1234", &resolver), 0);
    if (getaddrinfo("localhost", "1234", &(struct addrinfo){.ai_socktype = SOCK_STREAM}, &list) ==
        0) {
        freeaddrinfo(list);
        assert_int_equal(uw_resolver_run(resolver, wake, 2000, &found), 0);
        assert_true(found.n >= 1);
    } else {
        assert_int_not_equal(uw_resolver_run(resolver, wake, 2000, &found), 0);
    }
    resolver = uw_resolver_free(resolver);
    /* RFC 2606: there is never a host of that name. Freed while the thread may still look. */
    assert_int_equal(uw_resolver_new("nobody.invalid", "1234", &resolver), 0);
    assert_int_not_equal(uw_resolver_run(resolver, wake, 1000, &found), 0);
    uw_resolver_free(resolver);
    close(wake);
}

static void test_wrong_parameters(void **state) {
    static const struct {
        const char *device;
        double rate, freq;
        const char *words;
    } cases[] = {{"", 1e6, 868e6, "HOST:PORT"},
                 {"x:y", 1e6, 868e6, "HOST:PORT"},
                 {"x:1", NAN, 868e6, "rate_hz"},
                 {"x:1", 1e6, NAN, "freq_hz"},
                 {"x:1", 1e6, 5e9, "freq_hz"}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct uw_source_params params;
        struct uw_source *source = NULL;
        struct uw_diag diag = {0};

        uw_source_params_init(&params);
        params.type = UW_SOURCE_RTLTCP;
        params.device = cases[i].device;
        params.rate_hz = cases[i].rate;
        params.freq_hz = cases[i].freq;
        assert_int_equal(uw_source_open(&params, &diag, &source), UW_E_INPUT);
        assert_int_equal(diag.n, 1);
        assert_non_null(strstr(diag.text[0], cases[i].words));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_protocol),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_resolver),
        cmocka_unit_test(test_wrong_parameters),
        cmocka_unit_test(test_samples_and_settings),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_bad_servers),
        cmocka_unit_test(test_time_is_kept),
        cmocka_unit_test(test_no_call_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
