/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A dongle elsewhere, through a server of the rtl_tcp protocol
 *
 * The server may be anything: rtl_tcp on a dongle that has just been pulled out, another program, a
 * port that was forwarded to nowhere. It never says what it has done with a command, so everything
 * is judged from what comes: nothing, too little, another rate, nonsense. Each wait has a limit and
 * ends at once when the source is stopped.
 *
 * The server answers one client at a time; a second one is accepted by the kernel and never hears
 * anything. That is by far the commonest reason for a header that does not come.
 *
 * A command has taken effect a round trip after it was sent: tune() waits for so long, and what
 * arrives meanwhile is of neither centre.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "live-impl.h"
#include "rtltcp-impl.h"
#include "source-impl.h"
#include "stream-impl.h"
#include "uw/base/err.h"
#include "uw/base/iq-format.h"
#include "uw/base/str.h"
#include "uw/base/time.h"

#define CONNECT_MS    700 /* each step of opening */
#define PROOF_S       1.5
#define GATHER_MS     16
#define RTT_MAX_S     0.5
#define BUFFER_S      0.02
#define CHUNK_SAMPLES 131072.0 /* rtl_tcp sends as librtlsdr gives: 256 KiB */
#define STALL_S       3.0
#define SETTLE_S      0.06 /* setting the tuner over USB, and its synthesiser */
#define TRICKLE       0.02 /* less than this share of the rate is nothing */
#define TRICKLE_S     1.0
#define FREQ_MIN_HZ   1e6
#define FREQ_MAX_HZ   4294967295.0 /* of 32 bits */

struct rtltcp {
    struct uw_live_driver driver; /* with figures that depend on the rate */
    struct uw_resolver *resolver;
    char host[UW_RTLTCP_HOST_LEN], port[UW_RTLTCP_PORT_LEN];
    const struct uw_iq_clock *clock;
    double rate_hz, ppm;
    int fd;
    int wake_fd;
    bool distrusted; /* it sent at a wrong rate, or next to nothing */
    double chunk_s;  /* samples come so many at once */
    int n_gains;
    double gains_db[UW_RTLTCP_GAINS_MAX];
    unsigned char buf[1 << 18];
};

static int64_t now_ns(const struct rtltcp *t) {
    return t->clock->mono_ns(t->clock->userdata);
}

/* True if fd is ready before the deadline and nobody has interrupted. */
static bool wait_for(const struct rtltcp *t, short events, int64_t deadline_ns) {
    struct pollfd p[2] = {{.fd = t->wake_fd, .events = POLLIN}, {.fd = t->fd, .events = events}};

    for (;;) {
        int64_t left = deadline_ns - now_ns(t);
        int r;

        if (left <= 0)
            return false;
        r = poll(p, 2, (int)(left / 1000000) + 1);
        if (p[0].revents & POLLIN)
            return false;
        if (r > 0)
            return true;
    }
}

static int unreachable(struct uw_live *live, const struct rtltcp *t, const char *what) {
    return uw_live_trouble(live, UW_SOURCE_PROBLEM_UNREACHABLE, "The server at %.80s port %s %s.",
                           t->host, t->port, what);
}

static int resolve(struct uw_live *live, struct rtltcp *t, struct uw_resolved *ret) {
    int r = uw_resolver_run(t->resolver, t->wake_fd, CONNECT_MS, ret);

    if (r == 0)
        return 0;
    if (r == -ETIMEDOUT)
        return uw_live_trouble(live, UW_SOURCE_PROBLEM_UNREACHABLE,
                               "No name server answers for \"%.80s\": check the network.", t->host);
    if (r < 0)
        return unreachable(live, t, "was not looked for");
    return uw_live_trouble(live, UW_SOURCE_PROBLEM_UNREACHABLE,
                           "There is no host \"%.80s\" (%s): check its name and the network.",
                           t->host, gai_strerror(-r));
}

static void hang_up(struct rtltcp *t) {
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
}

/* Who connects to a free port of his own host again and again will one day be given that very port,
 * and talk to himself. */
static bool is_self(int fd) {
    struct sockaddr_storage own = {0}, peer = {0};
    socklen_t own_len = sizeof(own), peer_len = sizeof(peer);

    return getsockname(fd, (struct sockaddr *)&own, &own_len) == 0 &&
           getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 && own_len == peer_len &&
           memcmp(&own, &peer, own_len) == 0;
}

static int connect_to(struct rtltcp *t, const struct uw_resolved *to, int i, int64_t deadline_ns) {
    const int one = 1;
    socklen_t len = sizeof(int);
    int error = 0;

    t->fd = socket(to->at[i].family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (t->fd < 0)
        return errno;
    setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(t->fd, (const struct sockaddr *)&to->at[i].address, to->at[i].len) < 0)
        error = errno;
    if (error == EINPROGRESS) {
        error = ETIMEDOUT;
        if (wait_for(t, POLLOUT, deadline_ns) &&
            getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
            error = errno;
    }
    if (!error && is_self(t->fd))
        error = ECONNREFUSED;
    if (error)
        hang_up(t);
    return error;
}

static int connect_any(struct uw_live *live, struct rtltcp *t, const struct uw_resolved *to) {
    int64_t deadline = now_ns(t) + CONNECT_MS * INT64_C(1000000);
    int error = 0;

    for (int i = 0; i < to->n; i++) {
        error = connect_to(t, to, i, deadline);
        if (!error)
            return 0;
    }
    return uw_live_trouble(live, UW_SOURCE_PROBLEM_UNREACHABLE,
                           "No server answers at %.80s port %s (%s): start rtl_tcp there, or check "
                           "the network.",
                           t->host, t->port, strerror(error));
}

static int read_header(struct uw_live *live, struct rtltcp *t, uint32_t *ret_tuner) {
    int64_t deadline = now_ns(t) + CONNECT_MS * INT64_C(1000000);
    unsigned char header[UW_RTLTCP_HEADER_LEN];
    size_t have = 0;
    uint32_t n_gains;

    while (have < sizeof(header)) {
        ssize_t n;

        if (!wait_for(t, POLLIN, deadline))
            return unreachable(live, t,
                               have ? "stops in the middle of its greeting"
                                    : "says nothing: perhaps it serves another client already");
        n = recv(t->fd, header + have, sizeof(header) - have, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n <= 0)
            return unreachable(live, t, "hangs up: look whether its dongle is there");
        have += (size_t)n;
    }
    if (uw_rtltcp_parse_header(header, ret_tuner, &n_gains))
        return unreachable(live, t, "is no rtl_tcp: check the port");
    return 0;
}

/* All or nothing; a peer that does not read for so long is not served. */
static int send_all(struct uw_live *live, struct rtltcp *t, const unsigned char *bytes, size_t n) {
    int64_t deadline = now_ns(t) + CONNECT_MS * INT64_C(1000000);

    while (n) {
        ssize_t sent = send(t->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent > 0) {
            bytes += sent;
            n -= (size_t)sent;
        } else if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            return unreachable(live, t, "has hung up");
        } else if (!wait_for(t, POLLOUT, deadline)) {
            return unreachable(live, t, "does not take commands");
        }
    }
    return 0;
}

/* The server corrects whole ppm only; the rest is put into the frequency. */
static uint32_t freq_command(const struct rtltcp *t, double freq_hz) {
    double rest = t->ppm - round(t->ppm);
    double hz = round(freq_hz * (1 - rest * 1e-6));

    return (uint32_t)fmin(fmax(hz, 0), FREQ_MAX_HZ);
}

static double nearest_gain(const struct rtltcp *t, double gain_db) {
    double best = gain_db;

    for (int i = 0; i < t->n_gains; i++)
        if (i == 0 || fabs(t->gains_db[i] - gain_db) < fabs(best - gain_db))
            best = t->gains_db[i];
    return best;
}

static int send_settings(struct uw_live *live, struct rtltcp *t, struct uw_live_setup *setup) {
    const struct {
        enum uw_rtltcp_command command;
        int64_t value;
    } settings[] = {
        {UW_RTLTCP_RATE, (int64_t)llround(setup->rate_hz)},
        {UW_RTLTCP_PPM, (int64_t)lround(setup->ppm)},
        {UW_RTLTCP_DIRECT, 0},
        {UW_RTLTCP_OFFSET, 0},
        {UW_RTLTCP_FREQ, freq_command(t, setup->freq_hz)},
        {UW_RTLTCP_AGC, 0},
        {UW_RTLTCP_GAIN_MODE, 1},
        {UW_RTLTCP_GAIN, lround(setup->got_gain_db * 10)},
        {UW_RTLTCP_BIAS_TEE, setup->bias_tee},
    };
    unsigned char bytes[sizeof(settings) / sizeof(settings[0])][UW_RTLTCP_COMMAND_LEN];

    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        uw_rtltcp_encode(settings[i].command, settings[i].value, bytes[i]);
    return send_all(live, t, bytes[0], sizeof(bytes));
}

/* A wake-up that was for the stream must not end what comes after it. Here and not when opening:
 * one that comes later is a stop. */
static void rtltcp_close(void *device) {
    struct rtltcp *t = device;
    uint64_t count;
    ssize_t n = read(t->wake_fd, &count, sizeof(count));

    (void)n;
    hang_up(t);
}

/* How much comes, and whether it is what was asked for. */
struct watch {
    struct uw_stream_rate rate;
    uint64_t received; /* samples */
    int64_t since_ns;  /* of the present period */
    uint64_t before;   /* received when it began */
    size_t most;       /* bytes at once */
    bool more;         /* there were more */
};

static struct watch begin_watch(const struct rtltcp *t) {
    struct watch w = {.since_ns = now_ns(t),
                      .most = (size_t)ceil(t->driver.buffer_s * t->rate_hz) * 2};

    if (w.most > sizeof(t->buf))
        w.most = sizeof(t->buf);
    w.rate =
        (struct uw_stream_rate){.nominal_hz = t->rate_hz, .quantum_s = t->chunk_s, .rate_hz = NAN};
    uw_stream_rate_restart(&w.rate, 0, w.since_ns);
    return w;
}

/* Waits for bytes, but not long: *ret_n may be 0. */
static int receive(struct uw_live *live, struct rtltcp *t, struct watch *w, size_t *ret_n) {
    struct pollfd p = {.fd = t->wake_fd, .events = POLLIN};
    ssize_t n;

    *ret_n = 0;
    if (!wait_for(t, POLLIN, now_ns(t) + UW_NS_PER_S / 10))
        return 0;
    /* segments of a network are small: let some more come, unless there was more already */
    if (!w->more)
        poll(&p, 1, GATHER_MS);
    n = recv(t->fd, t->buf, w->most, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0)
        return uw_live_trouble(live, UW_SOURCE_PROBLEM_UNREACHABLE,
                               "The connection to %.80s port %s is broken (%s).", t->host, t->port,
                               strerror(errno));
    if (n == 0)
        return unreachable(live, t, "hangs up: look whether its dongle is there");
    *ret_n = (size_t)n;
    w->more = *ret_n == w->most;
    w->received += (uint64_t)n / 2;
    uw_stream_rate_note(&w->rate, w->received, now_ns(t), !w->more);
    return 0;
}

static int wrong_rate(struct uw_live *live, struct rtltcp *t, const struct watch *w) {
    t->distrusted = true;
    return uw_live_trouble(live, UW_SOURCE_PROBLEM_REFUSED,
                           "%.60s sends %.3f million samples a second instead of %.3f: choose a "
                           "rate that its dongle and the network can do.",
                           t->host, w->rate.rate_hz / 1e6, t->rate_hz / 1e6);
}

static int silent(struct uw_live *live, struct rtltcp *t) {
    t->distrusted = true;
    return uw_live_trouble(live, UW_SOURCE_PROBLEM_STALLED,
                           "The server at %.80s sends next to nothing: look at its dongle and at "
                           "the network.",
                           t->host);
}

static bool trickles(const struct rtltcp *t, const struct watch *w, int64_t now) {
    double spent = (double)(now - w->since_ns) / (double)UW_NS_PER_S;

    return (double)(w->received - w->before) < TRICKLE * spent * t->rate_hz;
}

static int look(struct uw_live *live, struct rtltcp *t, struct watch *w) {
    int64_t now = now_ns(t);

    if (w->rate.wrong)
        return wrong_rate(live, t, w);
    if ((double)(now - w->since_ns) < fmax(TRICKLE_S, UW_STREAM_QUANTA * t->chunk_s) * 1e9)
        return 0;
    if (trickles(t, w, now))
        return silent(live, t);
    w->since_ns = now;
    w->before = w->received;
    return 0;
}

/* A server that has been found out must first show that it does what it should; of any other the
 * first samples are enough. So a receiver does not seem to be back, again and again, when it is
 * not. */
static int prove(struct uw_live *live, struct rtltcp *t) {
    struct watch w = begin_watch(t);
    int64_t until = w.since_ns + (int64_t)(fmax(PROOF_S, 1.5 * t->chunk_s) * 1e9);
    struct pollfd p = {.fd = t->wake_fd, .events = POLLIN};
    size_t n;
    int r = 0;

    while (r == 0 && now_ns(t) < until && poll(&p, 1, 0) == 0) {
        r = receive(live, t, &w, &n);
        if (r == 0 && (t->distrusted ? !isnan(w.rate.rate_hz) : n > 0))
            break;
    }
    if (r)
        return r;
    if (w.rate.wrong)
        return wrong_rate(live, t, &w);
    if (w.received == 0 || (t->distrusted && trickles(t, &w, now_ns(t))))
        return silent(live, t);
    t->distrusted = false;
    return 0;
}

static int rtltcp_open(struct uw_live *live, void *device, struct uw_live_setup *setup) {
    struct rtltcp *t = device;
    struct uw_resolved to;
    uint32_t tuner = 0;
    int r;

    r = resolve(live, t, &to);
    if (r == 0)
        r = connect_any(live, t, &to);
    if (r == 0)
        r = read_header(live, t, &tuner);
    if (r == 0) {
        t->ppm = setup->ppm;
        t->n_gains = setup->n_gains = uw_rtltcp_gains(tuner, t->gains_db);
        memcpy(setup->gains_db, t->gains_db, sizeof(t->gains_db));
        setup->got_freq_hz = setup->freq_hz;
        setup->got_gain_db = nearest_gain(t, setup->gain_db);
        snprintf(setup->what, sizeof(setup->what), "%s at %.40s", uw_rtltcp_tuner_name(tuner),
                 t->host);
        r = send_settings(live, t, setup);
    }
    if (r == 0)
        r = prove(live, t);
    if (r)
        hang_up(t);
    return r;
}

static int rtltcp_stream(struct uw_live *live, void *device) {
    struct rtltcp *t = device;
    struct watch w = begin_watch(t);
    int r = 0;

    while (r == 0 && !uw_live_interrupted(live)) {
        size_t n;

        r = receive(live, t, &w, &n);
        if (n > 0)
            uw_live_give(live, t->buf, n);
        if (r == 0)
            r = look(live, t, &w);
    }
    return r;
}

static void rtltcp_interrupt(void *device) {
    const struct rtltcp *t = device;
    const uint64_t one = 1;
    ssize_t n = write(t->wake_fd, &one, sizeof(one));

    (void)n;
}

/* Until the server has surely done what it was told. */
static void wait_round_trip(const struct rtltcp *t) {
    struct pollfd p = {.fd = t->wake_fd, .events = POLLIN};
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);
    double rtt_s = RTT_MAX_S;

    if (getsockopt(t->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0)
        rtt_s = fmin(info.tcpi_rtt * 1e-6, RTT_MAX_S);
    poll(&p, 1, (int)ceil(rtt_s * 1e3));
}

static int rtltcp_tune(struct uw_live *live, void *device, double *freq_hz) {
    struct rtltcp *t = device;
    unsigned char bytes[UW_RTLTCP_COMMAND_LEN];
    int r;

    uw_rtltcp_encode(UW_RTLTCP_FREQ, freq_command(t, *freq_hz), bytes);
    r = send_all(live, t, bytes, sizeof(bytes));
    if (r == 0)
        wait_round_trip(t);
    return r;
}

static int rtltcp_gain(struct uw_live *live, void *device, double *gain_db) {
    struct rtltcp *t = device;
    unsigned char bytes[UW_RTLTCP_COMMAND_LEN];
    double nearest = nearest_gain(t, *gain_db);
    int r;

    uw_rtltcp_encode(UW_RTLTCP_GAIN, lround(nearest * 10), bytes);
    r = send_all(live, t, bytes, sizeof(bytes));
    if (r)
        return r;
    wait_round_trip(t);
    *gain_db = nearest;
    return 0;
}

static void rtltcp_free(void *device) {
    struct rtltcp *t = device;

    hang_up(t);
    if (t->wake_fd >= 0)
        close(t->wake_fd);
    uw_resolver_free(t->resolver);
    free(t);
}

static const struct uw_live_driver driver = {
    .name = "rtl_tcp",
    .buffer_s = BUFFER_S,
    .hold_s = 0.3,
    .settle_s = SETTLE_S,
    .stall_s = STALL_S,
    .open = rtltcp_open,
    .stream = rtltcp_stream,
    .interrupt = rtltcp_interrupt,
    .tune = rtltcp_tune,
    .gain = rtltcp_gain,
    .close = rtltcp_close,
    .free = rtltcp_free,
};

static int make_device(struct uw_source *source, const struct uw_source_params *params,
                       struct rtltcp **ret_device) {
    struct rtltcp *t = calloc(1, sizeof(*t));
    int r;

    if (!t)
        return uw_err(-ENOMEM);
    t->fd = -1;
    t->clock = &source->clock;
    t->rate_hz = params->rate_hz;
    t->driver = driver;
    /* samples come a chunk at a time: half a second of them at the lowest rate */
    t->chunk_s = CHUNK_SAMPLES / params->rate_hz;
    t->driver.buffer_s = fmax(BUFFER_S, t->chunk_s);
    t->driver.jitter_s = 1.2 * t->chunk_s + 0.02;
    t->driver.hold_s = fmax(driver.hold_s, 1.2 * t->chunk_s);
    t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r = t->wake_fd < 0 ? uw_err(-errno) : 0;
    *ret_device = t;
    return r;
}

static int source_check(const struct uw_source_params *params, struct uw_diag *diag) {
    const char *device = params->device ? params->device : "";
    char host[UW_RTLTCP_HOST_LEN], port[UW_RTLTCP_PORT_LEN];
    int r = uw_live_check(params, "rtl_tcp", FREQ_MIN_HZ, FREQ_MAX_HZ, diag);

    if (uw_rtltcp_parse_address(device, host, port))
        r = uw_diag_add(diag,
                        "\"%.80s\": the server must be given as HOST:PORT, such as "
                        "\"192.0.2.7:1234\" or \"[2001:db8::7]:1234\"",
                        device);
    return r;
}

static int source_open(struct uw_source *source, const struct uw_source_params *params,
                       struct uw_diag *diag) {
    const char *device = params->device ? params->device : "";
    char host[UW_RTLTCP_HOST_LEN], port[UW_RTLTCP_PORT_LEN];
    struct uw_live_config config = {
        .format = UW_IQ_CU8, .freq_hz_min = FREQ_MIN_HZ, .freq_hz_max = FREQ_MAX_HZ};
    struct rtltcp *t = NULL;
    int r;

    (void)diag;
    if (uw_rtltcp_parse_address(device, host, port))
        return uw_err(-EINVAL); /* has been checked */
    r = make_device(source, params, &t);
    if (r == 0)
        r = uw_resolver_new(host, port, &t->resolver);
    if (r) {
        if (t)
            rtltcp_free(t);
        return r;
    }
    uw_str_copy(t->host, sizeof(t->host), host);
    uw_str_copy(t->port, sizeof(t->port), port);
    config.driver = &t->driver;
    config.device = t;
    return uw_live_open(source, params, &config);
}

const struct uw_source_ops uw_source_rtltcp = {
    .name = "rtl_tcp",
    .check = source_check,
    .open = source_open,
    .read = uw_live_read,
    .close = uw_live_close,
    .tune = uw_live_tune,
    .health = uw_live_health,
    .stop = uw_live_stop,
};
