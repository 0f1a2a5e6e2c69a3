/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef UW_TOOLS_CMD_H
#define UW_TOOLS_CMD_H

/*
 * The sub-commands of "uaswatch"
 *
 * argv[0] is the name of the sub-command; the return value is the exit status. Messages of errors
 * go to standard error, one line each.
 *
 * Threads: the main one.
 */

enum uw_exit {
    UW_EXIT_OK = 0,
    UW_EXIT_INPUT = 1,       /* input or configuration unusable */
    UW_EXIT_USAGE = 2,       /* wrong command line */
    UW_EXIT_UNREACHABLE = 3, /* no daemon there */
    UW_EXIT_REFUSED = 4,     /* the daemon said no */
};

int uw_cmd_bench(int argc, char **argv);
int uw_cmd_calibrate(int argc, char **argv);
int uw_cmd_devices(int argc, char **argv);
int uw_cmd_feed(int argc, char **argv);
int uw_cmd_plan(int argc, char **argv);
int uw_cmd_replay(int argc, char **argv);
int uw_cmd_score(int argc, char **argv);
int uw_cmd_signatures(int argc, char **argv);
int uw_cmd_synth(int argc, char **argv);
int uw_cmd_watch(int argc, char **argv);

#endif
