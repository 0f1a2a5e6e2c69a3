/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_IQ_SOURCE_IMPL_H
#define UW_IQ_SOURCE_IMPL_H

/*
 * Inside src/iq: kinds of source, kinds of file, the clock of paced sources
 *
 * A source (source-*.c) is what the caller of uw_source_open() asked for: a file, a file as a live
 * receiver, later a dongle. A reader (reader-*.c) is one kind of file. File sources are made of
 * readers; both are const descriptors in a table.
 *
 * Threads: as uw/iq/source.h says; only the stop flag and its eventfd are shared.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uw/base/iq-format.h"
#include "uw/iq/source.h"

struct uw_diag;

/* How a paced source knows the time, so that tests can bring their own. */
struct uw_iq_clock {
    int64_t (*mono_ns)(void *userdata);
    int64_t (*real_ns)(void *userdata);
    /* Returns at `until`, or as soon as stop_fd can be read. */
    void (*wait)(void *userdata, int stop_fd, int64_t until_mono_ns);
    void *userdata;
};

/* What a file says about itself, before the caller's parameters override it. */
struct uw_iq_facts {
    enum uw_iq_format format;
    bool big_endian;
    double rate_hz;     /* NAN: not said */
    double freq_hz;     /* NAN: not said */
    int64_t start_ns;   /* UW_TIME_NONE: not said */
    uint64_t n_samples; /* 0: unknown */
};

#define UW_IQ_PATH_LEN 4096

struct uw_reader;

struct uw_reader_ops {
    const char *name; /* for people: "WAV" */
    /* Up to n whole samples as they are stored; *ret_n == 0: end, or stopped. */
    int (*read)(struct uw_reader *reader, void *buf, size_t n, struct uw_diag *diag, size_t *ret_n);
    /* Goes to a sample before the end. NULL: cannot. */
    int (*seek)(struct uw_reader *reader, uint64_t sample, struct uw_diag *diag);
    void (*free)(struct uw_reader *reader);
};

/* First member of every reader's own struct. */
struct uw_reader {
    const struct uw_reader_ops *ops;
    char path[UW_IQ_PATH_LEN]; /* what messages name */
    struct uw_iq_facts facts;
    int stop_fd;       /* borrowed; readable once the source is stopped */
    uint64_t position; /* sample that comes next; kept by reader.c */
};

/* What is known of a path before it is opened. */
struct uw_iq_probe {
    const char *path;
    const struct uw_source_params *params;
    bool exists;
    unsigned char head[12];
    size_t head_len;
};

struct uw_reader_kind {
    bool (*match)(const struct uw_iq_probe *probe);
    int (*open)(const struct uw_iq_probe *probe, int stop_fd, struct uw_diag *diag,
                struct uw_reader **ret_reader);
};

extern const struct uw_reader_kind uw_reader_raw;
extern const struct uw_reader_kind uw_reader_stdin;
extern const struct uw_reader_kind uw_reader_wav;
extern const struct uw_reader_kind uw_reader_sigmf;
extern const struct uw_reader_kind uw_reader_archive;

/* Chooses the kind; facts are complete and checked, the parameters have been applied. */
int uw_reader_open(const struct uw_source_params *params, int stop_fd, struct uw_diag *diag,
                   struct uw_reader **ret_reader);
/* In the host's byte order; refuses what is not finite. */
int uw_reader_read(struct uw_reader *reader, void *buf, size_t n, struct uw_diag *diag,
                   size_t *ret_n);
int uw_reader_seek(struct uw_reader *reader, uint64_t sample, struct uw_diag *diag);
struct uw_reader *uw_reader_free(struct uw_reader *reader);
void uw_reader_freep(struct uw_reader **reader);

enum uw_reader_file_kind { UW_READER_FILE_RAW, UW_READER_FILE_SIGMF };
/* A reader of plain samples from byte `skip` on, `bytes` long, of an open regular file (taken, also
 * on failure). Fills in n_samples. */
int uw_reader_file_new(enum uw_reader_file_kind kind, const char *path, int fd, uint64_t skip,
                       uint64_t bytes, const struct uw_iq_facts *facts, int stop_fd,
                       struct uw_diag *diag, struct uw_reader **ret_reader);
/* Opens a regular file for reading; a message names it if that cannot be. */
int uw_iq_open_file(const char *path, struct uw_diag *diag, int *ret_fd, uint64_t *ret_size);
/* Empty, or ends within a sample: UW_E_INPUT with the number of bytes. */
int uw_iq_check_bytes(const char *path, uint64_t bytes, enum uw_iq_format format,
                      struct uw_diag *diag);

/* What a file's name says. *ret_format is left alone if it says nothing. */
void uw_iq_name_parse(const char *path, int *ret_format, double *ret_rate_hz, double *ret_freq_hz);
bool uw_iq_name_has_suffix(const char *path, const char *suffix); /* whatever the case */

struct uw_source_ops {
    const char *name;
    /* What can be said of the parameters without touching device, network or file; open() says the
     * same. NULL: nothing. */
    int (*check)(const struct uw_source_params *params, struct uw_diag *diag);
    int (*open)(struct uw_source *source, const struct uw_source_params *params,
                struct uw_diag *diag);
    /* The block comes with the centre of info, no gain, and otherwise empty. The descriptor need
     * not care for `end` after a stop. */
    int (*read)(struct uw_source *source, void *buf, size_t n, struct uw_diag *diag,
                struct uw_source_block *block);
    void (*close)(struct uw_source *source);
    int (*tune)(struct uw_source *source, double freq_hz); /* NULL: cannot */
    /* From any thread. The health comes as "ok". NULL: always ok. */
    void (*health)(struct uw_source *source, struct uw_source_health *health);
    void (*stop)(struct uw_source *source); /* any thread, after the flag is set; NULL: nothing */
};

extern const struct uw_source_ops uw_source_file;
extern const struct uw_source_ops uw_source_loop;
extern const struct uw_source_ops uw_source_pipe;
extern const struct uw_source_ops uw_source_rtlsdr;
extern const struct uw_source_ops uw_source_rtltcp;
extern const struct uw_source_ops uw_source_soapy;

struct uw_source {
    const struct uw_source_ops *ops;
    struct uw_iq_clock clock;
    struct uw_source_info info;
    atomic_bool stopped;
    int stop_fd;
    void *live; /* a device's own state */
    struct uw_reader *reader;
    bool paced;
    bool started;
    int64_t start_mono_ns; /* of sample 0, from the first read */
    uint64_t position;     /* samples since then, lost ones included */
};

/* uw_source_open() with a clock of the caller's. */
int uw_source_open_clock(const struct uw_source_params *params, const struct uw_iq_clock *clock,
                         struct uw_diag *diag, struct uw_source **ret_source);
/* Fills info from the reader. */
void uw_source_describe(struct uw_source *source, const char *kind);
/* Waits until sample `index` has been "received". False: stopped. */
bool uw_source_wait(struct uw_source *source, uint64_t index);

/* A loop that is called later than this drops samples, down to half of it. */
#define UW_LOOP_LATE_S 0.5

#endif
