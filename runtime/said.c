#include "system.h"

#include "commandline_table.h"
#include "said.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    Command command;
    const char *help;
} command_help[] = {
#define COMMAND_HELP(name, command, help) {name, command, help},
    COMMANDLINE_COMMANDS(COMMAND_HELP)};
enum { COMMANDS = sizeof command_help / sizeof *command_help };
_Static_assert(SAID_INFO == COMMANDS + 1, "a text for no command, and one for each, come first");

static const struct {
    const char *name, *argument, *help;
    char letter;
    unsigned commands;
} option_help[] = {
#define OPTION_HELP(name, argument, help, letter, take, commands, place)                                     \
    {name, argument, help, letter, commands},
    COMMANDLINE_OPTIONS(OPTION_HELP)};
enum { OPTIONS = sizeof option_help / sizeof *option_help };

static void print_option(FILE *out, char letter, const char *name, const char *argument, const char *help)
{
    char left[60], shorter[6] = "    ";
    if (letter)
        snprintf(shorter, sizeof shorter, "-%c, ", letter);
    snprintf(left, sizeof left, "%s--%s%s%s", shorter, name, *argument ? " " : "", argument);
    fprintf(out, "  %-28s %s\n", left, help);
}

static void print_program_tensor(FILE *out, const Description *d, const char *label, const char *name,
                                 int buffer)
{
    fprintf(out, "%s %s ", label, name);
    buffer_print_type(out, &d->buffer[buffer]);
    fputc('\n', out);
}

static void print_program(FILE *out, const Description *d)
{
    fprintf(out, "%s: a network compiled by netc %s for %s\n", d->model, d->version, d->cpu);
    fprintf(out, "usage: %c COMMAND [OPTION]…\n", SAID_PROGRAM);
    for (int i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-9s %s\n", command_help[i].name, command_help[i].help);
    for (int i = 0; i < d->buffers; i++)
        if (d->buffer[i].role == ROLE_INPUT && phase_touches(d, RUN_PREDICT, i))
            print_program_tensor(out, d, "input: ", d->buffer[i].name, i);
    for (int i = 0; i < d->phase[RUN_PREDICT].results; i++)
        print_program_tensor(out, d, "output:", d->phase[RUN_PREDICT].result[i].name,
                             d->phase[RUN_PREDICT].result[i].buffer);
    const char *label = "metrics:";
    for (int i = 0; i < d->phase[RUN_FINISH].results; i++, label = ",")
        fprintf(out, "%s %s", label, d->phase[RUN_FINISH].result[i].name);
    if (d->phase[RUN_FINISH].results)
        fputc('\n', out);
    fprintf(out, "%c COMMAND --help lists a command's options.\n", SAID_PROGRAM);
}

static void print_command(FILE *out, const Description *d, int i)
{
    Command command = command_help[i].command;
    fprintf(out, "usage: %c %s [OPTION]…%s\n%s\n", SAID_PROGRAM, command_help[i].name,
            command == COMMAND_PREDICT ? " FILE…" : "", command_help[i].help);
    for (int o = 0; o < OPTIONS; o++)
        if (option_help[o].commands & (unsigned)command)
            print_option(out, option_help[o].letter, option_help[o].name, option_help[o].argument,
                         option_help[o].help);
    for (int o = 0; o < d->options && command == COMMAND_TRAIN; o++)
        print_option(out, 0, d->option[o].name, "X", "instead of the value in the .net file");
}

char *said_text(const Description *description)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return NULL;
    print_program(out, description);
    fputc(SAID_END, out);
    for (int i = 0; i < COMMANDS; i++) {
        print_command(out, description, i);
        fputc(SAID_END, out);
    }
    for (int json = 0; json <= 1; json++) {
        info_print(out, description, json);
        fputc(SAID_END, out);
    }
    bool whole = !ferror(out);
    if (fclose(out) == 0 && whole)
        return text;
    free(text);
    return NULL;
}
