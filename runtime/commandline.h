/* The command line of a compiled program: one table of commands, one of options, from which parsing, --help
   and the suggestion after a slip are made. The program's own options (--lr) join them. */
#ifndef NETC_COMMANDLINE_H
#define NETC_COMMANDLINE_H

#include "description.h"

#include <stdio.h>

typedef enum Command {
    COMMAND_NONE,
    COMMAND_TRAIN = 1,
    COMMAND_TEST = 2,
    COMMAND_PREDICT = 4,
    COMMAND_INFO = 8,
    COMMAND_BENCH = 16
} Command;

enum { COMMANDLINE_INPUTS = 16 };

typedef struct CommandLine { /* 0 and NULL: not given */
    const char *program;     /* as it was called */
    Command command;
    bool help;
    int64_t epochs, steps, batch, threads, log_every, top, iterations;
    const char *seed_text;
    uint64_t seed;
    const char *out, *data, *device, *weights, *output;
    bool resume, force, quiet, json, train, layers;
    int inputs;
    const char *input[COMMANDLINE_INPUTS]; /* NAME=FILE */
    double option[DESCRIPTION_OPTIONS];    /* NaN: not given */
    int files;
    char **file;
} CommandLine;

/* Reorders argv. False after a fault of status 2 that names the argument. */
bool commandline_parse(CommandLine *line, const Description *description, int argc, char **argv,
                       Fault *fault);

/* The options of line->command, or, where that is COMMAND_NONE, what the program is and does. */
void commandline_help(FILE *out, const CommandLine *line, const Description *description);

#endif
