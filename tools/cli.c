/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cmd.h"
#include "uw/base/err.h"

#define OPTIONS_MAX 32
#define HELP_COLUMN 26

static const struct uw_cli_option *find_option(const struct uw_cli *cli, int id) {
    for (size_t i = 0; i < cli->n_options; i++)
        if (cli->options[i].id == id)
            return &cli->options[i];
    return NULL;
}

static int has_arg_of(const char *arg) {
    if (!arg)
        return no_argument;
    return arg[0] == '[' ? optional_argument : required_argument;
}

static int option_error(const struct uw_cli *cli, char **argv, int c) {
    /* getopt leaves the culprit in optopt (a short one, or the id of a known long one) or behind it
     */
    const struct uw_cli_option *known = find_option(cli, optopt);
    const char *word = argv[optind - 1];

    if (c == ':')
        uw_cli_usage_error(argv[0], "--%s needs an argument (%s)", known ? known->name : "?",
                           known && known->arg ? known->arg : "VALUE");
    else if (optopt && !known)
        uw_cli_usage_error(argv[0], "there is no option -%c", optopt);
    else if (known)
        uw_cli_usage_error(argv[0], "--%s takes no argument", known->name);
    else
        uw_cli_usage_error(argv[0], "there is no option %s, or it could mean several", word);
    return UW_CLI_BAD;
}

int uw_cli_next(const struct uw_cli *cli, int argc, char **argv, const char **ret_arg,
                int *ret_first) {
    struct option longs[OPTIONS_MAX + 2] = {0};
    char shorts[2 * OPTIONS_MAX + 4] = ":";
    size_t n_short = 1;
    int c;

    for (size_t i = 0; i < cli->n_options && i < OPTIONS_MAX; i++) {
        const struct uw_cli_option *o = &cli->options[i];

        longs[i] = (struct option){o->name, has_arg_of(o->arg), NULL, o->id};
        if (o->id < 256) {
            shorts[n_short++] = (char)o->id;
            if (has_arg_of(o->arg) == required_argument)
                shorts[n_short++] = ':';
        }
    }
    shorts[n_short++] = 'h';
    longs[cli->n_options] = (struct option){"help", no_argument, NULL, 'h'};

    opterr = 0;
    c = getopt_long(argc, argv, shorts, longs, NULL);
    if (c == -1) {
        *ret_first = optind;
        return UW_CLI_END;
    }
    if (c == 'h') {
        uw_cli_print_help(cli, stdout);
        return UW_CLI_HELP;
    }
    if (c == '?' || c == ':')
        return option_error(cli, argv, c);
    *ret_arg = optarg;
    return c;
}

void uw_cli_rewind(void) {
    optind = 0; /* glibc: begin again, from scratch */
}

static void print_option(const struct uw_cli_option *o, FILE *f) {
    char left[80];
    const char *text = o->help;
    const char *join = !o->arg || o->arg[0] == '[' ? "" : " ";
    char arg[32] = "";

    if (o->arg && o->arg[0] == '[')
        snprintf(arg, sizeof(arg), "[=%s", o->arg + 1);
    else if (o->arg)
        snprintf(arg, sizeof(arg), "%s", o->arg);
    if (o->id < 256)
        snprintf(left, sizeof(left), "  -%c, --%s%s%s", o->id, o->name, join, arg);
    else
        snprintf(left, sizeof(left), "      --%s%s%s", o->name, join, arg);
    fprintf(f, "%-*s", HELP_COLUMN, left);
    if (strlen(left) >= HELP_COLUMN)
        fprintf(f, "\n%*s", HELP_COLUMN, "");
    for (const char *nl; (nl = strchr(text, '\n')); text = nl + 1)
        fprintf(f, "%.*s\n%*s", (int)(nl - text), text, HELP_COLUMN, "");
    fprintf(f, "%s\n", text);
}

void uw_cli_print_help(const struct uw_cli *cli, FILE *f) {
    static const struct uw_cli_option help = {'h', "help", NULL, "this text"};

    fprintf(f, "Usage: %s\n\n%s\n\nOptions:\n", cli->usage, cli->summary);
    for (size_t i = 0; i < cli->n_options; i++)
        if (cli->options[i].help)
            print_option(&cli->options[i], f);
    print_option(&help, f);
    if (cli->epilogue)
        fprintf(f, "\n%s\n", cli->epilogue);
}

int uw_cli_usage_error(const char *command, const char *format, ...) {
    char text[512];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    fprintf(stderr, "error: %s: %s (see \"uaswatch help %s\")\n", command, text, command);
    return UW_EXIT_USAGE;
}

int uw_cli_report(int r, const struct uw_diag *diag) {
    if (r == 0)
        return UW_EXIT_OK;
    if (diag && diag->n > 0)
        uw_diag_print(diag, stderr);
    else
        fprintf(stderr, "error: %s\n", r < 0 ? strerror(-r) : "input not usable");
    return UW_EXIT_INPUT;
}

bool uw_cli_flush(void) {
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    fprintf(stderr, "error: standard output: %s\n", strerror(errno));
    return false;
}

bool uw_cli_colour(FILE *f) {
    const char *no = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    return !(no && no[0]) && term && strcmp(term, "dumb") != 0 && isatty(fileno(f));
}

int uw_cli_columns(FILE *f) {
    struct winsize size = {0};

    if (!isatty(fileno(f)))
        return 0;
    if (ioctl(fileno(f), TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

int uw_cli_signal_fd(void) {
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return uw_err(-errno);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? uw_err(-errno) : fd;
}

#define WORD_MAX 32

/* Levenshtein's edit distance, for words short enough; else "far". */
static size_t distance(const char *a, const char *b) {
    size_t row[WORD_MAX + 1];
    size_t la = strlen(a), lb = strlen(b);

    if (la > WORD_MAX || lb > WORD_MAX)
        return WORD_MAX;
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t above = row[j];
            size_t best = diagonal + (a[i - 1] != b[j - 1]);

            best = above + 1 < best ? above + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            row[j] = best;
            diagonal = above;
        }
    }
    return row[lb];
}

const char *uw_cli_nearest(const char *word, const char *const *words, size_t n) {
    const char *best = NULL;
    size_t best_d = 3;

    for (size_t i = 0; i < n; i++) {
        size_t d = distance(word, words[i]);

        if (strlen(word) >= 2 && strncmp(word, words[i], strlen(word)) == 0)
            d = 0; /* what it begins is what it means */
        if (d < best_d && d < strlen(words[i]) - 1) {
            best = words[i];
            best_d = d;
        }
    }
    return best;
}

size_t uw_cli_width(const char *s) {
    size_t n = 0;

    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static size_t print_at_most(FILE *f, const char *s, size_t width) {
    size_t total = uw_cli_width(s);
    size_t n = 0;

    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        bool begins = (c & 0xc0) != 0x80;

        if (begins && total > width && n + 1 >= width) {
            fputs("…", f);
            return n + 1;
        }
        n += begins;
        fputc(c < 0x20 || c == 0x7f ? '?' : c, f);
    }
    return n;
}

void uw_cli_print_cut(FILE *f, const char *s, size_t width) {
    print_at_most(f, s, width);
}

void uw_cli_print_cell(FILE *f, const char *s, size_t width) {
    for (size_t n = print_at_most(f, s, width); n < width; n++)
        fputc(' ', f);
}
