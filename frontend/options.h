/* netc's command line: one table of options (options.def) that is parsed, printed as help, and searched for
   what a mistyped option may have meant. */
#ifndef NETC_OPTIONS_H
#define NETC_OPTIONS_H

#include "arena.h"
#include "backend.h"
#include "passes.h"

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

/* What --emit writes: a stage that the driver prints, or what a backend makes of the program. */
typedef enum Stage {
#define STAGE(kind, name, help) STAGE_##kind,
#include "options.def"
    STAGE_COUNT,
    STAGE_BACKEND = STAGE_COUNT
} Stage;

typedef struct NamedRow {
    const char *name, *help;
} NamedRow;
enum { MOST_NAMED_ROWS = 32 };

typedef enum Action {
    ACTION_COMPILE, /* --check, --summary and --emit are ways of it */
    ACTION_RUN,
    ACTION_TUNE,
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
    bool emit;          /* --emit was given */
    Stage stage;
    const Backend *backend; /* of STAGE_BACKEND; at first the one that makes programs */
    bool check, summary;
    int level;                 /* 0 … 3 */
    LIST(const char *) define; /* "name=value" */
    const char *cpu;           /* NULL: native */
    int threads;               /* 0: not given */
    int jobs;                  /* 0: not given */
    const char *tune;          /* the tune file to read, "none": none; NULL: that beside the input */
    int batch, seconds;        /* of `tune`; 0: not given */
    unsigned phases;           /* of `tune`: a set of bits by MeasurePhase */
    const char *cc;            /* NULL: the target's */
    UseWhen winograd, chains;
    const char *dump, *print_after, *stop_after; /* NULL: not given */
    bool print_after_all, verify, time_passes;
    const Engine *engine; /* of `run` */
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
/* --help=TOPIC: the rows of a table of names. */
void options_help_rows(FILE *out, const char *title, const NamedRow *row, int count);
/* What to do instead of a command line that asks for nothing. */
void options_usage(FILE *out);

/* The stages of --emit; the engines of --backend. They fill `row`, and return how many there are. */
int options_stages(NamedRow row[MOST_NAMED_ROWS]);
int options_engines(NamedRow row[MOST_NAMED_ROWS]);

/* Of `count` names, `stride` bytes apart, the nearest to a mistyped one, if it is near enough to suggest;
 * else NULL. */
const char *name_nearest(const char *name, const char *const *names, int count, size_t stride);

#endif
