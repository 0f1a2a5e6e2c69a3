/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A line is put together on the stack and written at once. The limit works on a small table of the
 * latest messages, found by a hash of what makes two messages the same; when the table is full, the
 * one whose window began first makes room.
 */
#include "uw/base/log.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "uw/base/str.h"
#include "uw/base/time.h"

#define LINE_MAX_LEN 2048 /* under PIPE_BUF, so that lines of several threads do not mix */
#define ENTRIES      64
#define NAME_LEN     120

static _Atomic int log_level = UW_LOG_INFO;
static pthread_once_t journal_once = PTHREAD_ONCE_INIT;
static bool is_journal;

struct entry {
    uint64_t hash; /* 0: free */
    int64_t begin_mono_ns;
    unsigned n, n_suppressed;
    enum uw_log_level level;
    char name[NAME_LEN]; /* part and text, as far as they fit */
};

static pthread_mutex_t entries_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct entry entries[ENTRIES];

struct line {
    char text[LINE_MAX_LEN];
    size_t n;     /* characters so far */
    size_t begin; /* of the event's own text, after level and part */
};

static const struct {
    const char *name;
    int priority; /* of syslog(3) */
} levels[] = {
    [UW_LOG_ERROR] = {"error", 3},
    [UW_LOG_WARNING] = {"warning", 4},
    [UW_LOG_INFO] = {"info", 6},
    [UW_LOG_DEBUG] = {"debug", 7},
};

/* JOURNAL_STREAM names the device and inode of the journal's socket: a program whose standard
 * error was redirected inherits the variable, but does not write to the journal. */
static void look_for_journal(void) {
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long dev, ino;
    struct stat st;

    if (stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0)
        is_journal = st.st_dev == dev && st.st_ino == ino;
}

void uw_log_set_level(enum uw_log_level level) {
    atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

static bool is_wanted(enum uw_log_level level) {
    return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

__attribute__((format(printf, 2, 0))) static void add_va(struct line *line, const char *format,
                                                         va_list ap) {
    size_t room = sizeof(line->text) - 1 - line->n; /* one is left for the newline */
    int n = vsnprintf(line->text + line->n, room, format, ap);

    if (n > 0)
        line->n += (size_t)n < room ? (size_t)n : room - 1;
}

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...) {
    va_list ap;

    va_start(ap, format);
    add_va(line, format, ap);
    va_end(ap);
}

static void begin(struct line *line, enum uw_log_level level, const char *part) {
    pthread_once(&journal_once, look_for_journal);
    line->n = 0;
    line->text[0] = 0;
    if (is_journal)
        add(line, "<%d>", levels[level].priority);
    add(line, "%s %s: ", levels[level].name, part);
    line->begin = line->n;
}

/* One event, one line, whatever a peer's text contains. */
static void write_out(struct line *line) {
    for (size_t i = line->begin; i < line->n; i++) {
        if ((unsigned char)line->text[i] < 0x20 || line->text[i] == 0x7f)
            line->text[i] = '?';
    }
    line->text[line->n++] = '\n';
    if (write(STDERR_FILENO, line->text, line->n) < 0)
        return; /* nowhere left to say so */
}

/* FNV-1a (G. Fowler, L. Noll, K.-P. Vo), with the end of each string in it. */
static uint64_t hash_string(uint64_t hash, const char *s) {
    do {
        hash ^= (unsigned char)*s;
        hash *= UINT64_C(1099511628211);
    } while (*s++);
    return hash;
}

static uint64_t hash_of(const char *part, const char *what, const char *of) {
    uint64_t hash = hash_string(UINT64_C(14695981039346656037), part);

    hash = hash_string(hash, what);
    hash = hash_string(hash, of);
    return hash ? hash : 1;
}

static void say_suppressed(struct entry *e) {
    struct line line;

    if (e->n_suppressed == 0)
        return;
    begin(&line, e->level, "log");
    add(&line, "%u more suppressed: %s", e->n_suppressed, e->name);
    write_out(&line);
    e->n_suppressed = 0;
}

static bool is_over(const struct entry *e, int64_t now) {
    return now - e->begin_mono_ns >= UW_LOG_WINDOW_S * UW_NS_PER_S;
}

static struct entry *entry_of(uint64_t hash, const struct line *line, enum uw_log_level level,
                              int64_t now) {
    struct entry *oldest = &entries[0];

    for (size_t i = 0; i < ENTRIES; i++) {
        if (entries[i].hash == hash)
            return &entries[i];
        if (entries[i].hash == 0 || entries[i].begin_mono_ns < oldest->begin_mono_ns)
            oldest = &entries[i];
        if (oldest->hash == 0)
            break;
    }
    say_suppressed(oldest);
    *oldest = (struct entry){.hash = hash, .begin_mono_ns = now, .level = level};
    uw_str_copy(oldest->name, sizeof(oldest->name), line->text + line->begin);
    return oldest;
}

/* Whether this one may still be written. */
static bool admit(uint64_t hash, const struct line *line, enum uw_log_level level) {
    int64_t now = uw_clock_mono_ns();
    struct entry *e;
    bool good;

    pthread_mutex_lock(&entries_mutex);
    e = entry_of(hash, line, level, now);
    if (is_over(e, now)) {
        say_suppressed(e);
        e->begin_mono_ns = now;
        e->n = 0;
    }
    good = e->n < UW_LOG_BURST;
    e->n += good;
    e->n_suppressed += !good;
    pthread_mutex_unlock(&entries_mutex);
    return good;
}

void uw_log(enum uw_log_level level, const char *part, const char *format, ...) {
    bool generic = strcmp(format, "%s") == 0;
    struct line line;
    va_list ap;

    if (!is_wanted(level))
        return;
    begin(&line, level, part);
    va_start(ap, format);
    add_va(&line, format, ap);
    va_end(ap);
    if (admit(hash_of(part, generic ? line.text + line.begin : format, ""), &line, level))
        write_out(&line);
}

static bool is_secret(const char *key) {
    return strstr(key, "secret") || strstr(key, "password") || strstr(key, "private");
}

static void add_text(struct line *line, const char *text) {
    bool plain = text[0] != 0;

    for (const char *p = text; *p; p++)
        plain = plain && (unsigned char)*p > 0x20 && *p != '"' && *p != '=' && *p != '\\';
    if (plain) {
        add(line, "%s", text);
        return;
    }
    add(line, "\"");
    for (const char *p = text; *p; p++)
        add(line, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
    add(line, "\"");
}

static void add_field(struct line *line, const struct uw_log_field *f) {
    if ((f->kind == UW_LOG_KIND_TEXT && !f->text) ||
        (f->kind == UW_LOG_KIND_REAL && !isfinite(f->real)))
        return;
    add(line, " %s=", f->key);
    if (is_secret(f->key))
        add(line, "(not written)");
    else if (f->kind == UW_LOG_KIND_TEXT)
        add_text(line, f->text);
    else if (f->kind == UW_LOG_KIND_INT)
        add(line, "%lld", f->integer);
    else
        add(line, "%.9g", f->real);
}

void uw_log_fields(enum uw_log_level level, const char *part, const char *text,
                   const struct uw_log_field *fields, size_t n) {
    const char *of = n > 0 && fields[0].kind == UW_LOG_KIND_TEXT ? fields[0].text : NULL;
    struct line line;

    if (!is_wanted(level))
        return;
    begin(&line, level, part);
    add(&line, "%s", text);
    for (size_t i = 0; i < n; i++)
        add_field(&line, &fields[i]);
    if (admit(hash_of(part, text, of ? of : ""), &line, level))
        write_out(&line);
}

void uw_log_origin(const char *func, const char *file, int number, const char *what) {
    struct line line = {.n = 0};

    pthread_once(&journal_once, look_for_journal);
    if (is_journal)
        add(&line, "<%d>", levels[UW_LOG_ERROR].priority);
    line.begin = line.n;
    add(&line, "error: %s @ %s:%d: %s", func, file, number, what);
    if (admit(hash_of(file, func, what), &line, UW_LOG_ERROR))
        write_out(&line);
}

static void say_all(bool all, int64_t now) {
    pthread_mutex_lock(&entries_mutex);
    for (size_t i = 0; i < ENTRIES; i++) {
        if (entries[i].hash == 0 || !(all || is_over(&entries[i], now)))
            continue;
        say_suppressed(&entries[i]);
        entries[i] = (struct entry){0};
    }
    pthread_mutex_unlock(&entries_mutex);
}

void uw_log_tick(int64_t now_mono_ns) {
    say_all(false, now_mono_ns);
}

void uw_log_flush(void) {
    say_all(true, 0);
}
