/* netc's command line: one table of options (options.def) that is parsed, printed as help, and searched for
   what a mistyped option may have meant. */
#ifndef NETC_OPTIONS_H
#define NETC_OPTIONS_H

#include "arena.h"

#include <stdbool.h>
#include <stdio.h>

typedef enum OptionKind {
#define OPTION(kind, letter, name, argument, group, help) OPTION_##kind,
#include "options.def"
    OPTION_COUNT
} OptionKind;

typedef struct OptionRow {
    char letter;          /* 0: it has none */
    const char *name;     /* without the dashes */
    const char *argument; /* NULL: none; "[X]": only after `=`, and may be absent */
    const char *group, *help;
} OptionRow;
extern const OptionRow option_row[OPTION_COUNT];

typedef enum Stage {
#define STAGE(kind, name, help) STAGE_##kind,
#include "options.def"
    STAGE_COUNT,
    STAGE_PROGRAM = STAGE_COUNT /* an executable */
} Stage;

typedef enum Runner {
#define RUNNER(kind, name, help) RUNNER_##kind,
#include "options.def"
    RUNNER_COUNT
} Runner;

typedef struct NamedRow {
    const char *name, *help;
} NamedRow;
extern const NamedRow stage_row[STAGE_COUNT], runner_row[RUNNER_COUNT];

typedef enum Action {
    ACTION_COMPILE, /* --check, --summary and --emit are ways of it */
    ACTION_RUN,
    ACTION_DOC,
    ACTION_OPS,
    ACTION_LIST_TARGETS,
    ACTION_HELP,
    ACTION_VERSION,
} Action;

typedef enum Color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER } Color;

typedef struct Options {
    Action action;
    const char *input;  /* "-": standard input; of `doc`: the name; NULL: none */
    const char *output; /* NULL: not given */
    Stage stage;
    bool check, summary;
    int level;                 /* 0 … 3 */
    LIST(const char *) define; /* "name=value" */
    const char *cpu;           /* NULL: native */
    int threads;               /* 0: not given */
    const char *cc;
    const char *dump, *print_after, *stop_after; /* NULL: not given */
    bool print_after_all, verify, time_passes;
    Runner runner;
    Color color;
    bool verbose;
    const char *topic;   /* of --help; NULL: not given */
    int run_count;       /* of `run`: the program's own arguments, the first after the file */
    char **run_argument; /* ends in NULL */
} Options;

/* Reads a command line. False after a message on `messages` that names the argument (exit status 2). */
bool options_parse(Options *options, Arena *arena, int count, char **argument, FILE *messages);

/* --help. */
void options_help(FILE *out);
/* A table of names, one a line. */
void options_help_rows(FILE *out, const char *title, const NamedRow *row, int count);
/* What to do instead of a command line that asks for nothing. */
void options_usage(FILE *out);

/* Of `count` names, `stride` bytes apart, the nearest to a mistyped one, if it is near enough to suggest;
 * else NULL. */
const char *name_nearest(const char *name, const char *const *names, int count, size_t stride);

#endif
