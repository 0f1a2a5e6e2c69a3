/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The time, and what goes wrong when
 *
 * A script has a line for each event: TIME DEVICE WHAT [VALUE]. TIME is in seconds of signal since
 * the library was first used, or "now": as soon as the line is seen, for lines that a test adds
 * while the program runs. DEVICE counts from 0 in the order of UW_STANDIN_DEVICES, wherever it is
 * plugged in; "*" is all of them. "#" begins a comment.
 *
 *   unplug              the dongle is pulled out
 *   plug [INDEX]        ... and comes back, as the INDEX-th to be found (last)
 *   stall, flow         no samples come, without an error; they do again
 *   short N             the next N transfers are short
 *   lose N              N samples are lost now
 *   loss SHARE          that share of the transfers loses some; 0 ends it
 *   hiccup SECONDS      transfers wait for so long, then come all at once
 *   rate refuse|wrong|ok   freq refuse|ok   gain refuse|ok   setting it
 *   busy on|off         another program has it
 *   access on|off       this user may not open it (off)
 *   unlock HZ           the oscillator does not lock above that frequency; 0: it does
 *   slip                it loses its lock, and finds it when it is tuned by 1 MHz or more
 *   clip DBFS|off       a carrier of that power; above 0 it clips
 *   antenna off|on
 *   error PPM           of the crystal
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "api.h"
#include "standin.h"

#define EVENTS 4096
#define LOOK_S 0.02 /* at the script, while waiting */

struct event {
    double at;  /* below 0: now */
    int device; /* -1: all */
    char what[16], value[32];
    bool done;
};

static struct {
    double start_s, speed;
    const char *path;
    off_t read_to;
    struct standin_clock clock; /* all NULL: the system's */
    int n_events;
    struct event events[EVENTS];
} script;

static double clock_s(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void standin_use_clock(const struct standin_clock *clock) {
    script.clock = *clock;
}

void standin_wake(struct standin *all) {
    pthread_cond_broadcast(&all->cond);
    if (script.clock.wake)
        script.clock.wake(script.clock.userdata);
}

double standin_now(void) {
    if (script.clock.now_s)
        return script.clock.now_s(script.clock.userdata);
    return (clock_s() - script.start_s) * script.speed;
}

void standin_wait(struct standin *all, double seconds) {
    double until = standin_now() + (seconds < LOOK_S ? seconds : LOOK_S);
    double ns = seconds / script.speed * 1e9;
    struct timespec t;

    if (script.clock.wait) {
        standin_unlock();
        script.clock.wait(script.clock.userdata, until);
        pthread_mutex_lock(&all->mutex);
    } else {
        clock_gettime(CLOCK_REALTIME, &t); /* of a condition made without attributes */
        t.tv_nsec += ns < LOOK_S * 1e9 ? (long)ns : (long)(LOOK_S * 1e9);
        if (t.tv_nsec >= 1000000000L) {
            t.tv_sec++;
            t.tv_nsec -= 1000000000L;
        }
        pthread_cond_timedwait(&all->cond, &all->mutex, &t);
    }
    standin_script_run(all);
}

void standin_script_init(void) {
    const char *speed = getenv("UW_STANDIN_SPEED");

    script.speed = speed ? atof(speed) : 1;
    if (!(script.speed > 0))
        script.speed = 1;
    script.start_s = clock_s();
    script.path = getenv("UW_STANDIN_SCRIPT");
}

static void parse_line(char *line) {
    struct event e = {0};
    char at[32], device[16];
    int n;

    line[strcspn(line, "#\r\n")] = 0;
    n = sscanf(line, "%31s %15s %15s %31s", at, device, e.what, e.value);
    if (n <= 0)
        return;
    if (n < 3 || script.n_events == EVENTS) {
        fprintf(stderr, "stand-in: %s: \"%s\" is not understood\n", script.path, line);
        abort();
    }
    e.at = strcmp(at, "now") == 0 ? -1 : atof(at);
    e.device = strcmp(device, "*") == 0 ? -1 : atoi(device);
    script.events[script.n_events++] = e;
}

/* Whole lines that have been added since the last time. */
static void read_more(void) {
    struct stat st;
    char line[256];
    FILE *f;

    if (!script.path || stat(script.path, &st) < 0 || st.st_size <= script.read_to)
        return;
    f = fopen(script.path, "r");
    if (!f)
        return;
    fseeko(f, script.read_to, SEEK_SET);
    while (fgets(line, sizeof(line), f) && strchr(line, '\n')) {
        script.read_to = ftello(f);
        parse_line(line);
    }
    fclose(f);
}

static void unplug(struct standin *all, int d) {
    int n = 0;

    all->devices[d].plugged = false;
    for (int i = 0; i < all->n_devices; i++)
        if (all->order[i] != d)
            all->order[n++] = all->order[i];
    all->order[n] = d;
}

static void plug(struct standin *all, int d, const char *value) {
    int n = 0, at;

    if (all->devices[d].plugged)
        return;
    unplug(all, d);
    for (int i = 0; i < all->n_devices; i++)
        n += all->devices[i].plugged;
    at = value[0] ? atoi(value) : n;
    if (at > n)
        at = n;
    memmove(all->order + at + 1, all->order + at,
            (size_t)(all->n_devices - 1 - at) * sizeof(all->order[0]));
    all->order[at] = d;
    all->devices[d].plugged = true;
    all->devices[d].generation++;
    all->devices[d].handle = NULL;
}

static bool set_flag(const struct event *e, struct standin_device *d) {
    const struct {
        const char *what, *on;
        bool *flag;
    } flags[] = {
        {"busy", "on", &d->busy},
        {"access", "off", &d->forbidden},
        {"rate", "refuse", &d->refuse_rate},
        {"rate", "wrong", &d->wrong_rate},
        {"freq", "refuse", &d->refuse_freq},
        {"gain", "refuse", &d->refuse_gain},
        {"antenna", "off", &d->antenna_off},
    };
    bool found = false;

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        if (strcmp(e->what, flags[i].what) == 0) {
            *flags[i].flag = strcmp(e->value, flags[i].on) == 0;
            found = true;
        }
    return found;
}

static bool set_number(const struct event *e, struct standin_device *d) {
    double x = atof(e->value);

    if (strcmp(e->what, "short") == 0)
        d->n_short = (unsigned)x;
    else if (strcmp(e->what, "lose") == 0)
        d->lose_once += (uint64_t)x;
    else if (strcmp(e->what, "loss") == 0)
        d->lose_share = x;
    else if (strcmp(e->what, "hiccup") == 0)
        d->hiccup_until = standin_now() + x;
    else if (strcmp(e->what, "unlock") == 0)
        d->unlocked_hz = x;
    else if (strcmp(e->what, "clip") == 0)
        d->clip_dbfs = strcmp(e->value, "off") == 0 ? STANDIN_NO_POWER : x;
    else if (strcmp(e->what, "slip") == 0)
        d->slipped = true;
    else if (strcmp(e->what, "error") == 0)
        d->error_ppm = x;
    else
        return false;
    return true;
}

static void happen(struct standin *all, const struct event *e, int d) {
    struct standin_device *device = &all->devices[d];

    if (device->handle) /* the clock of its samples, as it was until now */
        standin_rebase(device->handle);
    if (strcmp(e->what, "unplug") == 0)
        unplug(all, d);
    else if (strcmp(e->what, "plug") == 0)
        plug(all, d, e->value);
    else if (strcmp(e->what, "stall") == 0)
        device->stalled = true;
    else if (strcmp(e->what, "flow") == 0)
        device->stalled = false;
    else if (!set_flag(e, device) && !set_number(e, device)) {
        fprintf(stderr, "stand-in: \"%s\" cannot happen\n", e->what);
        abort();
    }
    if (device->handle)
        standin_change(device->handle);
}

void standin_script_run(struct standin *all) {
    double now = standin_now();

    read_more();
    for (int i = 0; i < script.n_events; i++) {
        struct event *e = &script.events[i];

        if (e->done || e->at > now)
            continue;
        e->done = true;
        for (int d = 0; d < all->n_devices; d++)
            if (e->device == d || e->device < 0)
                happen(all, e, d);
    }
}
