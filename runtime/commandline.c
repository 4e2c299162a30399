#include "system.h"

#include "checked.h"
#include "commandline_table.h"
#include "said.h"
#include "text_out.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* No pointers: they would need relocations. */
typedef struct CommandRow {
    char name[8];
    Command command;
} CommandRow;

#define COMMAND_ROW(name, command, help) {name, command},
static const CommandRow command_row[] = {COMMANDLINE_COMMANDS(COMMAND_ROW)};
enum { COMMAND_ROWS = sizeof command_row / sizeof *command_row };

typedef enum OptionTake { TAKE_NOTHING, TAKE_TEXT, TAKE_COUNT, TAKE_SEED, TAKE_INPUT } OptionTake;

typedef struct RuntimeOption {
    char name[10], letter;
    unsigned char take /* an OptionTake */, commands;
    unsigned short place; /* in the CommandLine */
} RuntimeOption;

#define OPTION_ROW(name, argument, help, letter, take, commands, place)                                      \
    {name, letter, take, commands, offsetof(CommandLine, place)},
static const RuntimeOption option_table[] = {COMMANDLINE_OPTIONS(OPTION_ROW)};
enum { OPTION_ROWS = sizeof option_table / sizeof *option_table };

/* -- did you mean ------------------------------------------------------------------------------ */

/* Levenshtein's distance; names beyond the size of the row are far from everything. */
static size_t edit_distance(const char *a, const char *b)
{
    enum { LONGEST = 40 };
    size_t row[LONGEST + 1], m = strlen(a), n = strlen(b);
    if (m > LONGEST || n > LONGEST)
        return LONGEST;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; i <= m; i++) {
        size_t diagonal = row[0]++;
        for (size_t j = 1; j <= n; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]), up = row[j] + 1, left = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = up < left ? up : left;
            row[j] = change < row[j] ? change : row[j];
        }
    }
    return row[n];
}

typedef struct Nearest {
    const char *word, *name;
    size_t distance;
} Nearest;

static void consider(Nearest *nearest, const char *name)
{
    size_t distance = edit_distance(nearest->word, name);
    if (distance < nearest->distance)
        *nearest = (Nearest){nearest->word, name, distance};
}

static bool unknown_option(const char *word, Command command, const Description *d, Fault *fault)
{
    Nearest nearest = {word, NULL, 1 + (strlen(word) + 1) / 3};
    for (int i = 0; i < OPTION_ROWS; i++)
        if (option_table[i].commands & (unsigned)command)
            consider(&nearest, option_table[i].name);
    for (int i = 0; i < d->options && command == COMMAND_TRAIN; i++)
        consider(&nearest, d->option[i].name);
    if (nearest.name)
        return fault_set(fault, STATUS_USAGE, "unknown option --%s; did you mean --%s?", word, nearest.name);
    return fault_set(fault, STATUS_USAGE, "unknown option --%s; --help lists them", word);
}

static bool unknown_command(const char *word, Fault *fault)
{
    Nearest nearest = {word, NULL, 1 + (strlen(word) + 1) / 3};
    for (int i = 0; i < COMMAND_ROWS; i++)
        consider(&nearest, command_row[i].name);
    if (nearest.name)
        return fault_set(fault, STATUS_USAGE, "unknown command '%s'; did you mean '%s'?", word, nearest.name);
    return fault_set(fault, STATUS_USAGE, "unknown command '%s'; --help lists them", word);
}

/* -- parsing ----------------------------------------------------------------------------------- */

static bool parse_count(const char *text, int64_t *count)
{
    *count = 0;
    for (const char *c = text; *c; c++)
        if (*c < '0' || *c > '9' || !checked_multiply(*count, 10, count) ||
            !checked_add(*count, *c - '0', count))
            return false;
    return *count >= 1;
}

static bool parse_seed(const char *text, uint64_t *seed)
{
    char *end;
    errno = 0;
    *seed = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0;
}

static bool store_value(CommandLine *line, const RuntimeOption *option, const char *value, Fault *fault)
{
    void *place = (char *)line + option->place;
    switch (option->take) {
    case TAKE_NOTHING:
        *(bool *)place = true;
        return true;
    case TAKE_TEXT:
        *(const char **)place = value;
        return *value || fault_set(fault, STATUS_USAGE, "--%s: the name is empty", option->name);
    case TAKE_COUNT:
        return parse_count(value, place) ||
               fault_set(fault, STATUS_USAGE, "--%s wants a count from 1 on, not '%s'", option->name, value);
    case TAKE_SEED:
        line->seed_text = value;
        return parse_seed(value, place) ||
               fault_set(fault, STATUS_USAGE, "--%s wants a whole number from 0 on, not '%s'", option->name,
                         value);
    case TAKE_INPUT:
        if (line->inputs == COMMANDLINE_INPUTS || !strchr(value, '='))
            return fault_set(fault, STATUS_USAGE, "--%s wants NAME=FILE.npy, at most %d times", option->name,
                             COMMANDLINE_INPUTS);
        line->input[line->inputs++] = value;
        return true;
    }
    return false;
}

static bool store_number(CommandLine *line, const Description *d, int option, const char *value, Fault *fault)
{
    char *end;
    line->option[option] = strtod(value, &end);
    if (end == value || *end || !isfinite(line->option[option]))
        return fault_set(fault, STATUS_USAGE, "--%s wants a number, not '%s'", d->option[option].name, value);
    return true;
}

static const RuntimeOption *find_option(Command command, const char *name, char letter)
{
    for (int i = 0; i < OPTION_ROWS; i++)
        if ((option_table[i].commands & (unsigned)command) &&
            (name ? strcmp(option_table[i].name, name) == 0 : option_table[i].letter == letter))
            return &option_table[i];
    return NULL;
}

/* Where the options stand while argv is read. */
typedef struct ArgumentReader {
    int next, count;
    char **argument;
} ArgumentReader;

/* The value after `=`, else the next argument; NULL after a fault. */
static const char *option_value(ArgumentReader *reader, const char *inside, const char *name, Fault *fault)
{
    if (inside)
        return inside;
    if (reader->next < reader->count)
        return reader->argument[reader->next++];
    fault_set(fault, STATUS_USAGE, "%s wants a value", name);
    return NULL;
}

static bool parse_long(CommandLine *line, const Description *d, ArgumentReader *reader, const char *word,
                       Fault *fault)
{
    char name[80];
    const char *equals = strchr(word, '=');
    size_t length = equals ? (size_t)(equals - word) : strlen(word);
    if (length >= sizeof name)
        return fault_set(fault, STATUS_USAGE, "unknown option --%.40s…", word);
    memcpy(name, word, length);
    name[length] = '\0';
    const char *inside = equals ? equals + 1 : NULL;
    const RuntimeOption *option = find_option(line->command, name, 0);
    if (option && option->take == TAKE_NOTHING)
        return inside ? fault_set(fault, STATUS_USAGE, "--%s takes no value", name)
                      : store_value(line, option, NULL, fault);
    for (int i = 0; i < d->options && !option && line->command == COMMAND_TRAIN; i++)
        if (strcmp(d->option[i].name, name) == 0) {
            const char *number = option_value(reader, inside, reader->argument[reader->next - 1], fault);
            return number && store_number(line, d, i, number, fault);
        }
    if (!option)
        return unknown_option(name, line->command, d, fault);
    const char *value = option_value(reader, inside, reader->argument[reader->next - 1], fault);
    return value && store_value(line, option, value, fault);
}

/* -w FILE, -wFILE, -q */
static bool parse_short(CommandLine *line, ArgumentReader *reader, const char *word, Fault *fault)
{
    const RuntimeOption *option = find_option(line->command, NULL, word[1]);
    if (!option || (option->take == TAKE_NOTHING && word[2]))
        return fault_set(fault, STATUS_USAGE, "unknown option %s; --help lists them", word);
    const char *value =
        option->take == TAKE_NOTHING ? NULL : option_value(reader, word[2] ? word + 2 : NULL, word, fault);
    return (value || option->take == TAKE_NOTHING) && store_value(line, option, value, fault);
}

static bool parse_command(CommandLine *line, const char *word, Fault *fault)
{
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        line->help = true;
        return true;
    }
    for (int i = 0; i < COMMAND_ROWS; i++)
        if (strcmp(command_row[i].name, word) == 0)
            line->command = command_row[i].command;
    return line->command != COMMAND_NONE || unknown_command(word, fault);
}

bool commandline_parse(CommandLine *line, const Description *description, int argc, char **argv, Fault *fault)
{
    *line = (CommandLine){.program = argc > 0 ? argv[0] : description->model, .file = argv + 1};
    for (int i = 0; i < DESCRIPTION_OPTIONS; i++)
        line->option[i] = NAN;
    if (argc < 2)
        return true;
    if (!parse_command(line, argv[1], fault))
        return false;
    ArgumentReader reader = {2, line->help ? 2 : argc, argv};
    bool options = true;
    while (reader.next < reader.count) {
        char *word = argv[reader.next++];
        if (options && strcmp(word, "--") == 0)
            options = false;
        else if (options && text_after(word, "--")) {
            if (!parse_long(line, description, &reader, word + 2, fault))
                return false;
        } else if (options && word[0] == '-' && word[1]) {
            if (!parse_short(line, &reader, word, fault))
                return false;
        } else if (line->command == COMMAND_PREDICT)
            line->file[line->files++] = word; /* at or before the place that was read */
        else
            return fault_set(fault, STATUS_USAGE, "unexpected argument '%s'", word);
    }
    return true;
}

/* -- what is said ------------------------------------------------------------------------------ */

void said_print(FILE *out, const Description *description, int which, const char *program)
{
    const char *c = description->said;
    for (; which > 0; which--)
        c = strchr(c, SAID_END) + 1;
    for (; *c != SAID_END; c++)
        if (*c == SAID_PROGRAM)
            fputs(program, out);
        else
            fputc(*c, out);
}

void commandline_help(FILE *out, const CommandLine *line, const Description *description)
{
    int which = 0;
    while (line->command >> which)
        which++;
    said_print(out, description, which, line->program);
}
