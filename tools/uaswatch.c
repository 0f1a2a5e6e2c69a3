/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * uaswatch: the tool for people. Finds the sub-command in a table and hands over.
 */

#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "cmd.h"
#include "uw/base/build-info.h"
#include "uw/base/util.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    {"replay", uw_cmd_replay, "run recordings through the whole chain and print what was heard"},
    {"watch", uw_cmd_watch, "status line and alerts of a running uaswatchd"},
    {"feed", uw_cmd_feed, "print the message feed, one JSON object a line"},
    {"plan", uw_cmd_plan, "which receiver listens where, and how soon each link is known"},
    {"devices", uw_cmd_devices, "the receivers that are plugged in, and what to do about them"},
    {"signatures", uw_cmd_signatures, "the links that can be recognised"},
    {"synth", uw_cmd_synth, "make recordings with known content from a scenario"},
    {"score", uw_cmd_score, "compare what was on the air with what was said about it"},
    {"calibrate", uw_cmd_calibrate, "how far a receiver's oscillator is off, from a known carrier"},
    {"bench", uw_cmd_bench, "how fast each stage and the whole chain are on this machine"},
};

static void overview(FILE *f) {
    fprintf(f, "uaswatch hears the radio links of drones. It only receives.\n\n"
               "Usage: uaswatch COMMAND [OPTION]...\n\nCommands:\n");
    for (size_t i = 0; i < UW_ARRAY_SIZE(commands); i++)
        fprintf(f, "  %-12s %s\n", commands[i].name, commands[i].help);
    fprintf(f, "  %-12s %s\n\n", "help COMMAND", "what a command does, with its options");
    fprintf(f, "To begin with:\n"
               "  uaswatch replay RECORDING.sigmf-meta       any recording, as fast as possible\n"
               "  uaswatch replay x_915M_2400k.cu8           raw samples; the name says the rest\n"
               "  uaswatch watch --plain                     watch a uaswatchd that runs here\n");
}

static const struct command *find_command(const char *name) {
    for (size_t i = 0; i < UW_ARRAY_SIZE(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int unknown_command(const char *name) {
    const char *names[UW_ARRAY_SIZE(commands)];
    const char *near;

    for (size_t i = 0; i < UW_ARRAY_SIZE(commands); i++)
        names[i] = commands[i].name;
    near = uw_cli_nearest(name, names, UW_ARRAY_SIZE(commands));
    if (near)
        fprintf(stderr, "error: there is no command \"%s\"; did you mean \"%s\"?\n", name, near);
    else
        fprintf(stderr, "error: there is no command \"%s\" (\"uaswatch help\" lists them)\n", name);
    return UW_EXIT_USAGE;
}

static int help(int argc, char **argv) {
    char *args[] = {argc > 1 ? argv[1] : NULL, (char[]){"--help"}, NULL};
    const struct command *command;

    if (argc < 2) {
        overview(stdout);
        return UW_EXIT_OK;
    }
    command = find_command(argv[1]);
    return command ? command->run(2, args) : unknown_command(argv[1]);
}

int main(int argc, char **argv) {
    const struct command *command;

    if (argc < 2) {
        overview(stdout);
        return UW_EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("uaswatch %s\n", uw_version());
        return UW_EXIT_OK;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0)
        return help(argc - 1, argv + 1);
    command = find_command(argv[1]);
    if (!command)
        return unknown_command(argv[1]);
    return command->run(argc - 1, argv + 1);
}
