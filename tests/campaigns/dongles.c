/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Dongles that fail at random, under a clock that waits for nobody
 *
 * Some dongles of the stand-in are read, each by its own thread, while faults befall them: pulled
 * out for a second to ten minutes and put back at any place, stalled, losing samples, refusing
 * settings, taken by others, clipping, without antenna, without lock, retuned all the time. Each
 * fault must be in health within TOLD_S seconds of signal, with the right problem, and be over
 * within BACK_S of its end; what was given and lost must add up to the time that has passed; and no
 * receiver may be touched by what befalls another.
 *
 *   dongles [--faults N] [--seed N] [--longest SECONDS] [--verbose]
 *
 * Ends with 1 if anything was wrong. Runs with LD_LIBRARY_PATH at the stand-in.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>

#include "../standin/clock.h"
#include "uw/base/err.h"
#include "uw/iq/source.h"

#define N      4
#define RATE   0.25e6
#define TOLD_S 2.0
#define BACK_S 8.0 /* five of them the longest back-off */
#define ADDS_S 0.6 /* what is held back until it is known to be late or lost, and a block */

enum kind {
    PULLED,
    STALLED,
    LOST_ONCE,
    LOSING,
    LATE,
    REFUSES_RATE,
    REFUSES_FREQ,
    REFUSES_GAIN,
    TAKEN,
    FORBIDDEN,
    CLIPPING,
    CUT_OFF,
    UNLOCKED,
    SLIPPED,
    KINDS
};

static const struct {
    const char *name, *begin, *end;
    bool at_opening;                /* is only noticed when the dongle is opened */
    enum uw_source_problem problem; /* NONE: must not be noticed */
} kinds[KINDS] = {
    [PULLED] = {"pulled out", "unplug", "plug", false, UW_SOURCE_PROBLEM_ABSENT},
    [STALLED] = {"stalled", "stall", "flow", false, UW_SOURCE_PROBLEM_STALLED},
    [LOST_ONCE] = {"lost once", "lose 25000", "lose 0", false, UW_SOURCE_PROBLEM_LOSING},
    [LOSING] = {"losing", "loss 0.3", "loss 0", false, UW_SOURCE_PROBLEM_LOSING},
    [LATE] = {"late", "hiccup 0.12", "hiccup 0", false, UW_SOURCE_PROBLEM_NONE},
    [REFUSES_RATE] = {"refuses rate", "rate refuse", "rate ok", true, UW_SOURCE_PROBLEM_REFUSED},
    [REFUSES_FREQ] = {"refuses frequency", "freq refuse", "freq ok", true,
                      UW_SOURCE_PROBLEM_REFUSED},
    [REFUSES_GAIN] = {"refuses gain", "gain refuse", "gain ok", true, UW_SOURCE_PROBLEM_REFUSED},
    [TAKEN] = {"taken by others", "busy on", "busy off", true, UW_SOURCE_PROBLEM_ABSENT},
    [FORBIDDEN] = {"forbidden", "access off", "access on", true, UW_SOURCE_PROBLEM_ABSENT},
    [CLIPPING] = {"clipping", "clip 6", "clip off", false, UW_SOURCE_PROBLEM_CLIPPING},
    [CUT_OFF] = {"antenna off", "antenna off", "antenna on", false, UW_SOURCE_PROBLEM_DEAF},
    [UNLOCKED] = {"no lock", "unlock 1", "unlock 0", false, UW_SOURCE_PROBLEM_DEAF},
    [SLIPPED] = {"lock slipped", "slip", "lose 0", false,
                 UW_SOURCE_PROBLEM_UNLOCKED}, /* and cured by the probe */
};

/* Frequencies: one receiver is retuned all the time, one is where warm tuners lose their lock. */
static const double freqs_hz[N] = {868e6, 915e6, 433.9e6, 1600e6};
#define RETUNED 1
#define WARM    3

struct receiver {
    int number;
    struct uw_source *source;
    pthread_t thread;
    int64_t began_ns;
    _Atomic uint64_t n, lost;
    _Atomic int64_t last_ns;  /* when samples last came */
    _Atomic double worst_s;   /* by which samples and time have differed */
    _Atomic double longest_s; /* that a read took */
    _Atomic int n_wrong;      /* blocks that cannot be */
    enum kind kind;           /* main thread's */
    bool faulty, told;
    int64_t since_ns, until_ns, next_ns;
};

static struct receiver receivers[N];
static char script_path[64];
static int n_bad;
static bool verbose;
static uint64_t state = 1;

static double draw(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) / 9007199254740992.0;
}

static int64_t now(void) {
    return test_clock_mono(NULL);
}

static int64_t ns(double s) {
    return (int64_t)(s * (double)UW_NS_PER_S);
}

static double since(int64_t then) {
    return (double)(now() - then) / (double)UW_NS_PER_S;
}

static void say(int device, const char *what) {
    FILE *f = fopen(script_path, "a");

    if (!f || fprintf(f, "now %d %s\n", device, what) < 0 || fclose(f) != 0)
        abort();
}

static void *read_on(void *userdata) {
    struct receiver *r = userdata;
    static _Thread_local unsigned char buf[2 * 8192];
    double freq = 0;

    for (;;) {
        int64_t began = now();
        struct uw_source_block b;
        double off;

        if (uw_source_read(r->source, buf, 8192, NULL, &b) != 0 || b.end)
            return NULL;
        r->longest_s = fmax(r->longest_s, since(began));
        if (b.n == 0)
            continue;
        r->n += b.n;
        r->lost += b.lost;
        r->last_ns = now();
        off = (double)(r->n + r->lost) / RATE - since(r->began_ns);
        r->worst_s = fmax(r->worst_s, fabs(off));
        r->n_wrong += (b.freq_hz != freq && !b.fresh) || isnan(b.gain_db) ||
                      fabs(b.freq_hz - freqs_hz[r->number]) > 1.1e6;
        freq = b.freq_hz;
    }
}

static void complain(const struct receiver *r, const char *what, double seconds) {
    struct uw_source_health h;

    uw_source_health(r->source, &h);
    n_bad++;
    printf("%9.2f  receiver %d, %s: %s (%.2f s): %s, %s, %s\n", since(receivers[0].began_ns),
           r->number, kinds[r->kind].name, what, seconds, uw_source_state_name(h.state),
           uw_source_problem_name(h.problem), h.advice);
}

static int counts[KINDS];
static double slowest_told[KINDS], slowest_back[KINDS];

static enum kind choose(const struct receiver *r) {
    for (;;) {
        enum kind kind = (enum kind)(draw() * KINDS);

        if ((kind == UNLOCKED || kind == SLIPPED) && r->number != WARM)
            continue;
        return kind;
    }
}

static void begin_fault(struct receiver *r, double longest_s) {
    double lasts = kinds[r->kind = choose(r)].problem == UW_SOURCE_PROBLEM_NONE
                       ? 3
                       : 2.5 + exp(draw() * log(fmax(longest_s - 2.5, 1)));
    char line[64];

    if (r->kind == PULLED && draw() < 0.3)
        lasts = 1 + draw(); /* hardly gone before it is back */
    r->faulty = true;
    r->told = false;
    r->since_ns = now();
    r->until_ns = r->since_ns + ns(lasts);
    counts[r->kind]++;
    if (verbose)
        printf("%9.2f  receiver %d: %s for %.1f s\n", since(receivers[0].began_ns), r->number,
               kinds[r->kind].name, lasts);
    if (r->kind == UNLOCKED)
        snprintf(line, sizeof(line), "unlock 1500e6");
    else
        snprintf(line, sizeof(line), "%s", kinds[r->kind].begin);
    say(r->number, line);
    if (kinds[r->kind].at_opening) { /* somebody pulls it out and puts it back at once */
        say(r->number, "unplug");
        say(r->number, "plug");
    }
}

static enum uw_source_problem expected(const struct receiver *r) {
    return r->kind == UNLOCKED ? UW_SOURCE_PROBLEM_UNLOCKED : kinds[r->kind].problem;
}

static void look_at_fault(struct receiver *r) {
    struct uw_source_health h;

    uw_source_health(r->source, &h);
    if (expected(r) == UW_SOURCE_PROBLEM_NONE) {
        if (h.state != UW_SOURCE_OK && !r->told) {
            complain(r, "is noticed", since(r->since_ns));
            r->told = true;
        }
        return;
    }
    if (r->told || h.state == UW_SOURCE_OK || h.problem != expected(r))
        return;
    r->told = true;
    slowest_told[r->kind] = fmax(slowest_told[r->kind], since(r->since_ns));
    if (since(r->since_ns) > TOLD_S)
        complain(r, "is told late", since(r->since_ns));
}

static void end_fault(struct receiver *r) {
    char line[64];

    if (!r->told && expected(r) != UW_SOURCE_PROBLEM_NONE)
        complain(r, "is not told", since(r->since_ns));
    snprintf(line, sizeof(line), "%s", kinds[r->kind].end);
    if (r->kind == PULLED && draw() < 0.7)
        snprintf(line, sizeof(line), "plug %d", (int)(draw() * N));
    say(r->number, line);
    r->faulty = false;
    r->since_ns = now();
}

/* No fault any more: it must come back, and then stay. True: it is well. */
static bool look_at_rest(struct receiver *r) {
    struct uw_source_health h;

    uw_source_health(r->source, &h);
    if (r->told) { /* what was told must be taken back */
        if (h.state != UW_SOURCE_OK) {
            if (since(r->since_ns) > BACK_S && r->next_ns != INT64_MAX) {
                complain(r, "does not end", since(r->since_ns));
                r->next_ns = INT64_MAX;
            }
            return false;
        }
        slowest_back[r->kind] = fmax(slowest_back[r->kind], since(r->since_ns));
        r->told = false;
        r->next_ns = now() + ns(4 + 6 * draw());
        return true;
    }
    if (h.state != UW_SOURCE_OK) {
        complain(r, "well, and yet", since(r->since_ns));
        r->told = true;
    }
    return true;
}

static int open_all(void) {
    static const char *const serials[N] = {"north", "south", "east", "west"};
    struct uw_diag diag = {0};

    for (int i = 0; i < N; i++) {
        struct receiver *r = &receivers[i];
        struct uw_source_params params;

        uw_source_params_init(&params);
        params.type = UW_SOURCE_RTLSDR;
        params.device = serials[i];
        params.rate_hz = RATE;
        params.freq_hz = freqs_hz[i];
        params.gain_db = 29.7;
        r->number = i;
        r->began_ns = now();
        if (uw_source_open_clock(&params, &test_clock_source, &diag, &r->source)) {
            uw_diag_print(&diag, stderr);
            return -1;
        }
        r->next_ns = now() + ns(8 + 4 * i);
        if (pthread_create(&r->thread, NULL, read_on, r))
            return -1;
    }
    return 0;
}

static void close_all(void) {
    for (int i = 0; i < N; i++) {
        struct receiver *r = &receivers[i];

        uw_source_stop(r->source);
        pthread_join(r->thread, NULL);
        if (r->worst_s > ADDS_S) {
            printf("receiver %d: samples and time differ by %.2f s\n", i, r->worst_s);
            n_bad++;
        }
        if (r->n_wrong) {
            printf("receiver %d: %d blocks of a wrong frequency or gain\n", i, r->n_wrong);
            n_bad++;
        }
        uw_source_close(r->source);
    }
}

static void one_tick(struct receiver *r, int *left, double longest_s) {
    if (r->faulty) {
        look_at_fault(r);
        if (now() >= r->until_ns)
            end_fault(r);
        return;
    }
    if (look_at_rest(r) && *left > 0 && now() >= r->next_ns && !r->told) {
        (*left)--;
        begin_fault(r, longest_s);
    }
}

static bool any_faulty(void) {
    for (int i = 0; i < N; i++)
        if (receivers[i].faulty || (receivers[i].told && receivers[i].next_ns != INT64_MAX))
            return true;
    return false;
}

static void run(int n_faults, double longest_s) {
    int64_t settled = now() + ns(3), retune = settled;
    int left = n_faults;

    while (left > 0 || any_faulty()) {
        test_clock_wait(NULL, -1, now() + ns(0.02));
        if (now() < settled)
            continue;
        for (int i = 0; i < N; i++)
            one_tick(&receivers[i], &left, longest_s);
        if (now() >= retune) {
            retune = now() + ns(0.3 + draw());
            uw_source_tune(receivers[RETUNED].source, freqs_hz[RETUNED] + (draw() < 0.5) * 1e6);
        }
        if (n_bad > 20)
            break;
    }
}

static void report(double seconds) {
    double longest = 0;

    printf("%-18s %6s %10s %10s\n", "FAULT", "TIMES", "TOLD s", "OVER s");
    for (int k = 0; k < KINDS; k++)
        if (counts[k] && kinds[k].problem == UW_SOURCE_PROBLEM_NONE)
            printf("%-18s %6d %10s %10s\n", kinds[k].name, counts[k], "-", "-");
        else if (counts[k])
            printf("%-18s %6d %10.2f %10.2f\n", kinds[k].name, counts[k], slowest_told[k],
                   slowest_back[k]);
    for (int i = 0; i < N; i++)
        longest = fmax(longest, receivers[i].longest_s);
    printf("%.0f s of signal, longest read %.3f s: %s\n", seconds, longest,
           n_bad ? "WRONG" : "all well");
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"faults", required_argument, NULL, 'n'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"longest", required_argument, NULL, 'l'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {NULL, 0, NULL, 0}};
    int n_faults = 100, c, fd;
    double longest_s = 30, seconds;

    while ((c = getopt_long(argc, argv, "n:s:l:v", options, NULL)) != -1)
        if (c == 'n')
            n_faults = atoi(optarg);
        else if (c == 's')
            state = strtoull(optarg, NULL, 10) * 2 + 1;
        else if (c == 'l')
            longest_s = atof(optarg);
        else if (c == 'v')
            verbose = true;
        else
            return 2;
    strcpy(script_path, "/tmp/uw-dongles-XXXXXX");
    fd = mkstemp(script_path);
    if (fd < 0)
        return 2;
    close(fd);
    setenv("UW_STANDIN_DEVICES", "north,south,east,west", 1);
    setenv("UW_STANDIN_SCRIPT", script_path, 1);
    /* as loud as a floor at 2.4 MHz, in a tenth of the band */
    setenv("UW_STANDIN_NOISE", "-20", 1);
    if (!test_clock_begin()) {
        fprintf(stderr, "LD_LIBRARY_PATH must name the directory of the stand-in\n");
        return 2;
    }
    if (open_all())
        return 2;
    run(n_faults, longest_s);
    seconds = since(receivers[0].began_ns);
    close_all();
    report(seconds);
    unlink(script_path);
    return n_bad ? 1 : 0;
}
