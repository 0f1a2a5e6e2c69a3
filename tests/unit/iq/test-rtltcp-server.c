/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The client against Debian's rtl_tcp, on a stand-in dongle that hears two carriers
 *
 * 868.3 MHz is 300 kHz above the centre 868.0, 914.6 is 400 kHz below 915.0: so each piece of what
 * comes says by itself where it was taken, and what a block says can be held against it.
 *
 * The client cannot see when the server has obeyed; it allows SETTLE_S. A server that the machine
 * did not let run for longer is no fault of the client's: the stand-in writes down when it tuned.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <complex.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "uw/base/time.h"
#include "uw/base/util.h"
#include "uw/iq/source.h"

#define RATE  2400000.0
#define PIECE 4800 /* samples: 2 ms */
#define LOW   868e6
#define HIGH  915e6

#define SETTLE_S  0.06
#define TUNES_MAX 64

static pid_t server;
static int port;
static const char *standin_dir;
static char log_path[64];

static int free_port(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) ||
        getsockname(fd, (struct sockaddr *)&a, &len))
        return 0;
    close(fd);
    return ntohs(a.sin_port);
}

static int begin_server(void **state) {
    char number[16];

    (void)state;
    port = free_port();
    snprintf(number, sizeof(number), "%d", port);
    snprintf(log_path, sizeof(log_path), "/tmp/rtltcp-server-XXXXXX");
    close(mkstemp(log_path));
    server = fork();
    if (server == 0) {
        setenv("LD_LIBRARY_PATH", standin_dir, 1);
        setenv("UW_STANDIN_TONES", "868.3e6:-20,914.6e6:-20", 1);
        setenv("UW_STANDIN_NOISE", "-40", 1);
        setenv("UW_STANDIN_LOG", log_path, 1);
        if (freopen("/dev/null", "w", stdout) && freopen("/dev/null", "w", stderr))
            execlp("rtl_tcp", "rtl_tcp", "-a", "127.0.0.1", "-p", number, (char *)NULL);
        _exit(127);
    }
    return server > 0 ? 0 : -1;
}

static int end_server(void **state) {
    (void)state;
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    unlink(log_path);
    return 0;
}

static double power_at(const unsigned char *v, size_t n, double freq_hz) {
    double complex turn = cexp(-2 * I * 3.14159265358979 * freq_hz / RATE), phase = 1, sum = 0;

    for (size_t i = 0; i < n; i++) {
        sum += phase * ((v[2 * i] - 127.5) + I * (v[2 * i + 1] - 127.5));
        phase *= turn;
    }
    return creal(sum * conj(sum));
}

struct count {
    unsigned low, high, wrong;
};

static void check(const unsigned char *v, const struct uw_source_block *b, struct count *c) {
    for (size_t at = 0; at + PIECE <= b->n; at += PIECE) {
        double is_low = power_at(v + 2 * at, PIECE, 300e3);
        double is_high = power_at(v + 2 * at, PIECE, -400e3);

        if (b->freq_hz == LOW) {
            c->low++;
            c->wrong += !(is_low > 100 * is_high);
        } else {
            c->high++;
            c->wrong += !(is_high > 100 * is_low);
        }
    }
}

/* Pieces that the server spoilt by tuning later than it may: of the last n orders, at sent_ns. */
static unsigned spoilt(const int64_t *sent_ns, unsigned n) {
    double tuned[TUNES_MAX + 16];
    unsigned n_tuned = 0, pieces = 0;
    FILE *f = fopen(log_path, "r");
    char line[128];

    assert_non_null(f);
    while (fgets(line, sizeof(line), f))
        if (n_tuned < UW_ARRAY_SIZE(tuned) &&
            sscanf(line, "%*s tuned at %lf", &tuned[n_tuned]) == 1)
            n_tuned++;
    fclose(f);
    assert_true(n_tuned >= n);
    for (unsigned i = 0; i < n; i++) {
        double late = tuned[n_tuned - n + i] - 1e-9 * (double)sent_ns[i] - SETTLE_S;

        pieces += late > 0 ? 2 + (unsigned)(late * RATE / PIECE) : 0;
    }
    return pieces;
}

static void test_retunes(void **state) {
    static unsigned char buf[2 * 48000];
    struct uw_source_params params;
    struct uw_source *source = NULL;
    struct uw_source_health health;
    struct count c = {0};
    int64_t sent_ns[TUNES_MAX];
    char device[32];
    unsigned random = 1, n_sent = 0, late;
    int64_t began = uw_clock_mono_ns(), next = began + UW_NS_PER_S;
    bool high = false;

    (void)state;
    snprintf(device, sizeof(device), "127.0.0.1:%d", port);
    uw_source_params_init(&params);
    params.type = UW_SOURCE_RTLTCP;
    params.device = device;
    params.rate_hz = RATE;
    params.freq_hz = LOW;
    params.gain_db = 29.7;
    assert_int_equal(uw_source_open(&params, NULL, &source), 0);
    while (uw_clock_mono_ns() - began < 5 * UW_NS_PER_S) {
        struct uw_source_block b;

        assert_int_equal(uw_source_read(source, buf, 48000, NULL, &b), 0);
        if (b.n)
            check(buf, &b, &c);
        if (uw_clock_mono_ns() < next || next > began + 4500000000)
            continue; /* the last order is obeyed before the end */
        high = !high;
        assert_true(n_sent < TUNES_MAX);
        sent_ns[n_sent++] = uw_clock_mono_ns();
        assert_int_equal(uw_source_tune(source, high ? HIGH : LOW), 0);
        random = random * 1664525u + 1013904223u;
        next = uw_clock_mono_ns() + 150000000 + (int64_t)(random >> 24) * 1000000;
    }
    uw_source_health(source, &health);
    uw_source_close(source);
    late = spoilt(sent_ns, n_sent);
    if (c.wrong > late)
        fail_msg("%u pieces of %u say another centre; the server spoilt %u", c.wrong,
                 c.low + c.high, late);
    assert_true(c.low > 50 && c.high > 50);
    assert_true(health.discarded > 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_retunes, begin_server, end_server),
    };

    if (argc != 2 || access("/usr/bin/rtl_tcp", X_OK) != 0)
        return 77;
    standin_dir = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
