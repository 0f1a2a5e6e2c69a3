/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_TOOLS_CLI_H
#define UW_TOOLS_CLI_H

/*
 * What every sub-command needs: options, terminal, progress, signals
 *
 * One table of options serves getopt_long() and the help text, so that they cannot differ.
 *
 * Threads: the main one, except where it says any. Ownership: strings are borrowed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct uw_diag;

struct uw_cli_option {
    int id;           /* the short letter, or a number from 256 if there is none */
    const char *name; /* long name */
    const char
        *arg; /* name of its argument, "[X]" if it may be left out ("--name=X"), NULL: none */
    const char *help; /* NULL: hidden; lines are broken at '\n' */
};

struct uw_cli {
    const char *usage;   /* "uaswatch replay [OPTION]... RECORDING..." */
    const char *summary; /* a sentence or two */
    const struct uw_cli_option *options;
    size_t n_options;
    const char *epilogue; /* examples, or NULL */
};

enum {
    UW_CLI_END = 0,
    UW_CLI_HELP = -1, /* --help was given and has been answered */
    UW_CLI_BAD = -2,  /* usage error, already reported */
};

/* The id of the next option, with its argument, or one of the above. At the end *ret_first is the
 * index of the first operand. Options and operands may be mixed. */
int uw_cli_next(const struct uw_cli *cli, int argc, char **argv, const char **ret_arg,
                int *ret_first);
/* The next uw_cli_next() begins again at the first option. */
void uw_cli_rewind(void);
void uw_cli_print_help(const struct uw_cli *cli, FILE *f);
/* Prints "uaswatch CMD: text" and how to get help; returns the exit status for usage errors. */
int uw_cli_usage_error(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Prints the diag and returns the exit status that belongs to r (an error of the kind of err.h). */
int uw_cli_report(int r, const struct uw_diag *diag);
/* Flushes standard output; false (and one line on standard error) if not everything was written. */
bool uw_cli_flush(void);

/* True if colours may be used: a terminal that can, and NO_COLOR is not set. */
bool uw_cli_colour(FILE *f);
/* Columns of the terminal behind f; 0 if it is none. */
int uw_cli_columns(FILE *f);

/* SIGINT and SIGTERM become readable on the returned descriptor instead of ending the process: to
 * be called before any thread is made. Negative errno on failure. */
int uw_cli_signal_fd(void);

/* The nearest of n words to `word`, or NULL if none is near. */
const char *uw_cli_nearest(const char *word, const char *const *words, size_t n);

/* Characters on the screen of a UTF-8 string, taking every code point as one column. Any thread. */
size_t uw_cli_width(const char *s);
/* Prints s, cut or padded to `width` columns; bytes that could move the cursor come out as '?'. */
void uw_cli_print_cell(FILE *f, const char *s, size_t width);

/* The same without padding. */
void uw_cli_print_cut(FILE *f, const char *s, size_t width);

#endif
