#include "options.h"

#include "driver_measure.h"

#include <stdlib.h>
#include <string.h>

const OptionRow option_row[OPTION_COUNT] = {
#define OPTION(kind, letter, name, argument, group, help) {letter, name, argument, group, help},
#include "options.def"
};

int options_stages(NamedRow row[MOST_NAMED_ROWS])
{
    static const NamedRow own[STAGE_COUNT] = {
#define STAGE(kind, name, help) {name, help},
#include "options.def"
    };
    memcpy(row, own, sizeof own);
    int count = STAGE_COUNT;
    for (int i = 0; i < backend_count && count < MOST_NAMED_ROWS; i++)
        row[count++] = (NamedRow){backend_list[i].name, backend_list[i].description};
    return count;
}

int options_engines(NamedRow row[MOST_NAMED_ROWS])
{
    int count = 0;
    for (; count < engine_count && count < MOST_NAMED_ROWS; count++)
        row[count] = (NamedRow){engine_list[count].name, engine_list[count].description};
    return count;
}

typedef struct Parser {
    Options *options;
    Arena *arena;
    char **at, **end; /* the arguments not yet read */
    FILE *messages;
} Parser;

static bool complain(const Parser *parser, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool complain(const Parser *parser, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("netc: ", parser->messages);
    vfprintf(parser->messages, format, arguments);
    fputc('\n', parser->messages);
    va_end(arguments);
    return false;
}

/* The place of `value` among the names of a table, or -1 after a message. */
static int find_row(const Parser *parser, const char *what, const char *value, const NamedRow *row, int count)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(row[i].name, value))
            return i;
    const char *near = name_nearest(value, &row[0].name, count, sizeof *row);
    if (near)
        fprintf(parser->messages, "netc: there is no %s '%s'; did you mean '%s'? ", what, value, near);
    else
        fprintf(parser->messages, "netc: there is no %s '%s'. ", what, value);
    fputs("There are", parser->messages);
    for (int i = 0; i < count; i++)
        fprintf(parser->messages, "%s %s", i ? "," : "", row[i].name);
    fputc('\n', parser->messages);
    return -1;
}

static bool parse_count(const Parser *parser, const char *name, const char *value, int low, int high,
                        int *count)
{
    char *end;
    long number = strtol(value, &end, 10);
    if (end == value || *end || number < low || number > high)
        return complain(parser, "%s wants a number from %d to %d, not '%s'", name, low, high, value);
    *count = (int)number;
    return true;
}

/* 0: auto, 1: always, 2: never; -1 after a message. */
static int parse_when(const Parser *parser, const char *of, const char *value)
{
    static const NamedRow when[] = {{"auto", ""}, {"always", ""}, {"never", ""}};
    return find_row(parser, of, value, when, 3);
}

static bool parse_color(const Parser *parser, const char *value)
{
    int found = parse_when(parser, "value of --color", value);
    parser->options->color = (Color)found;
    return found >= 0;
}

static bool parse_use(const Parser *parser, const char *of, const char *value, UseWhen *use)
{
    int found = parse_when(parser, of, value);
    *use = (UseWhen)found;
    return found >= 0;
}

static bool parse_phase(const Parser *parser, const char *value)
{
    NamedRow row[MEASURE_PHASES + 1];
    for (int i = 0; i < MEASURE_PHASES; i++)
        row[i] = (NamedRow){measure_phase_name[i], ""};
    row[MEASURE_PHASES] = (NamedRow){"all", ""};
    int found = find_row(parser, "phase to tune", value, row, MEASURE_PHASES + 1);
    if (found < 0)
        return false;
    parser->options->phases = found < MEASURE_PHASES ? 1u << found : MEASURE_ALL;
    return true;
}

static bool parse_define(const Parser *parser, const char *value)
{
    const char *equals = strchr(value, '=');
    if (!equals || equals == value)
        return complain(parser, "-D wants NAME=VALUE, not '%s'", value);
    list_add(parser->arena, &parser->options->define, value);
    return true;
}

static bool parse_stage(const Parser *parser, const char *value)
{
    NamedRow row[MOST_NAMED_ROWS];
    int found = find_row(parser, "stage", value, row, options_stages(row));
    if (found < 0)
        return false;
    parser->options->emit = true;
    parser->options->stage = found < STAGE_BACKEND ? (Stage)found : STAGE_BACKEND;
    if (found >= STAGE_BACKEND)
        parser->options->backend = &backend_list[found - STAGE_BACKEND];
    return true;
}

static bool parse_engine(const Parser *parser, const char *value)
{
    NamedRow row[MOST_NAMED_ROWS];
    int found = find_row(parser, "backend", value, row, options_engines(row));
    if (found >= 0)
        parser->options->engine = &engine_list[found];
    return found >= 0;
}

static bool apply_option(Parser *parser, OptionKind kind, const char *value)
{
    Options *options = parser->options;
    switch (kind) {
    case OPTION_OUTPUT:
        options->output = value;
        break;
    case OPTION_EMIT:
        return parse_stage(parser, value);
    case OPTION_CHECK:
        options->check = true;
        break;
    case OPTION_SUMMARY:
        options->summary = true;
        break;
    case OPTION_LEVEL:
        return parse_count(parser, "-O", value, 0, 3, &options->level);
    case OPTION_DEFINE:
        return parse_define(parser, value);
    case OPTION_CPU:
        options->cpu = value;
        break;
    case OPTION_THREADS:
        return parse_count(parser, "--threads", value, 1, 1024, &options->threads);
    case OPTION_JOBS:
        return parse_count(parser, "--jobs", value, 1, 1024, &options->jobs);
    case OPTION_TUNE:
        options->tune = value;
        break;
    case OPTION_SECONDS:
        return parse_count(parser, "--seconds", value, 1, 1 << 20, &options->seconds);
    case OPTION_BATCH:
        return parse_count(parser, "--batch", value, 1, 1 << 20, &options->batch);
    case OPTION_PHASE:
        return parse_phase(parser, value);
    case OPTION_CC:
        options->cc = value;
        break;
    case OPTION_DUMP:
        options->dump = value;
        break;
    case OPTION_PRINT_AFTER_ALL:
        options->print_after_all = true;
        break;
    case OPTION_PRINT_AFTER:
        options->print_after = value;
        break;
    case OPTION_STOP_AFTER:
        options->stop_after = value;
        break;
    case OPTION_VERIFY:
        options->verify = true;
        break;
    case OPTION_TIME_PASSES:
        options->time_passes = true;
        break;
    case OPTION_OPS:
        options->action = ACTION_OPS;
        break;
    case OPTION_LIST_TARGETS:
        options->action = ACTION_LIST_TARGETS;
        break;
    case OPTION_BACKEND:
        return parse_engine(parser, value);
    case OPTION_WINOGRAD:
        return parse_use(parser, "value of --winograd", value, &parser->options->winograd);
    case OPTION_CHAINS:
        return parse_use(parser, "value of --chains", value, &parser->options->chains);
    case OPTION_COLOR:
        return parse_color(parser, value);
    case OPTION_VERBOSE:
        options->verbose = true;
        break;
    case OPTION_HELP:
        options->action = ACTION_HELP;
        options->topic = value;
        break;
    case OPTION_VERSION:
        options->action = ACTION_VERSION;
        break;
    case OPTION_COUNT:
        break;
    }
    return true;
}

/* The value of an option that wants one: `joined` if the argument held it, else the next argument. */
static bool take_value(Parser *parser, OptionKind kind, const char *shown, const char *joined)
{
    const char *wanted = option_row[kind].argument;
    if (!wanted && joined)
        return complain(parser, "%s takes no value, but got '%s'", shown, joined);
    if (!wanted || joined || *wanted == '[')
        return apply_option(parser, kind, joined);
    if (parser->at == parser->end)
        return complain(parser, "%s wants a value: %s %s", shown, shown, wanted);
    return apply_option(parser, kind, *parser->at++);
}

static bool parse_long(Parser *parser, const char *argument)
{
    const char *name = argument + 2, *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    char *word = arena_copy(parser->arena, name, length + 1);
    word[length] = '\0';
    for (int i = 0; i < OPTION_COUNT; i++)
        if (!strcmp(option_row[i].name, word))
            return take_value(parser, (OptionKind)i, arena_printf(parser->arena, "--%s", word),
                              equals ? equals + 1 : NULL);
    const char *near = name_nearest(word, &option_row[0].name, OPTION_COUNT, sizeof *option_row);
    if (near)
        return complain(parser, "there is no option '--%s'; did you mean '--%s'?", word, near);
    return complain(parser, "there is no option '--%s'; netc --help lists them", word);
}

static bool parse_letter(Parser *parser, const char *argument)
{
    for (int i = 0; i < OPTION_COUNT; i++)
        if (option_row[i].letter && option_row[i].letter == argument[1])
            return take_value(parser, (OptionKind)i, arena_printf(parser->arena, "-%c", argument[1]),
                              argument[2] ? argument + 2 : NULL);
    for (int i = 0; i < OPTION_COUNT; i++)
        if (!strcmp(option_row[i].name, argument + 1))
            return complain(parser, "there is no option '%s'; did you mean '-%s'?", argument, argument);
    return complain(parser, "there is no option '%s'; netc --help lists them", argument);
}

/* Words that are no options: `run`, `tune` or `doc` first, then the file or name. */
static bool parse_word(Parser *parser, char *word, int *words)
{
    Options *options = parser->options;
    bool first = !(*words)++;
    if (first && !strcmp(word, "run"))
        options->action = ACTION_RUN;
    else if (first && !strcmp(word, "tune"))
        options->action = ACTION_TUNE;
    else if (first && !strcmp(word, "doc"))
        options->action = ACTION_DOC;
    else if (options->input)
        return complain(parser, "one input at a time: '%s', then '%s'", options->input, word);
    else
        options->input = word;
    if (options->action == ACTION_RUN && options->input) { /* all that follows is the program's */
        options->run_argument = parser->at;
        options->run_count = (int)(parser->end - parser->at);
        parser->at = parser->end;
    }
    return true;
}

static bool parse_arguments(Parser *parser)
{
    bool only_words = false;
    int words = 0;
    while (parser->at < parser->end) {
        char *argument = *parser->at++;
        bool good;
        if (only_words || argument[0] != '-' || !argument[1])
            good = parse_word(parser, argument, &words);
        else if (!strcmp(argument, "--"))
            good = only_words = true;
        else
            good = argument[1] == '-' ? parse_long(parser, argument) : parse_letter(parser, argument);
        if (!good)
            return false;
    }
    return true;
}

static bool check_combination(const Parser *parser)
{
    const Options *options = parser->options;
    bool needs_input =
        options->action == ACTION_COMPILE || options->action == ACTION_RUN || options->action == ACTION_TUNE;
    if (needs_input && !options->input)
        return complain(parser, "no input file; netc --help says what netc does");
    if (options->action == ACTION_COMPILE && (options->check + options->summary + options->emit) > 1)
        return complain(parser, "--check, --summary and --emit exclude each other");
    if (options->check && options->output)
        return complain(parser, "--check writes nothing, so -o '%s' makes no sense", options->output);
    if (options->action != ACTION_TUNE &&
        (options->batch || options->seconds || options->phases != MEASURE_ALL))
        return complain(parser, "--batch, --phase and --seconds are for netc tune");
    return true;
}

bool options_parse(Options *options, Arena *arena, int count, char **argument, FILE *messages)
{
    *options = (Options){.stage = STAGE_BACKEND,
                         .backend = backend_find("exe"),
                         .engine = engine_find("llvm"),
                         .level = 2,
                         .phases = MEASURE_ALL};
    Parser parser = {options, arena, argument + (count > 0), argument + count, messages};
    return parse_arguments(&parser) && check_combination(&parser);
}
