#include "system.h"

#include "checked.h"
#include "commandline.h"
#include "text_out.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct CommandRow {
    const char *name;
    Command command;
    const char *help;
} CommandRow;

static const CommandRow command_row[] = {
    {"train", COMMAND_TRAIN, "learn from the data; writes best.safetensors, last.safetensors, log.csv"},
    {"test", COMMAND_TEST, "measure what was learnt on the test data"},
    {"predict", COMMAND_PREDICT, "FILE…: what the network says of images (.png) or arrays (.npy)"},
    {"info", COMMAND_INFO, "what this program is: inputs, outputs, parameters, memory"},
    {"bench", COMMAND_BENCH, "how fast it is, on random data"},
};
enum { COMMAND_ROWS = sizeof command_row / sizeof *command_row };

typedef enum OptionTake { TAKE_NOTHING, TAKE_TEXT, TAKE_COUNT, TAKE_SEED, TAKE_INPUT } OptionTake;

/* Texts that belong together lie one behind the other, for pointers need relocations. */
typedef struct RuntimeOption {
    const char *name; /* behind it the argument, empty if there is none, and behind that the help */
    char letter;      /* 0: none */
    unsigned char take /* an OptionTake */, commands;
    unsigned short place; /* in the CommandLine */
} RuntimeOption;

#define PLACE(field) offsetof(CommandLine, field)
enum {
    ON_DATA = COMMAND_TRAIN | COMMAND_TEST,
    ON_WEIGHTS = COMMAND_TEST | COMMAND_PREDICT,
    ON_ALL_RUNS = COMMAND_TRAIN | COMMAND_TEST | COMMAND_PREDICT | COMMAND_BENCH,
    ON_JSON = COMMAND_TEST | COMMAND_INFO | COMMAND_BENCH,
    ON_ALL = ON_ALL_RUNS | COMMAND_INFO,
};

static const RuntimeOption option_table[] = {
    {"data\0FOLDER\0"
     "read the data from there",
     0, TAKE_TEXT, ON_DATA, PLACE(data)},
    {"out\0FOLDER\0"
     "write there (default: runs/ and the network's name)",
     0, TAKE_TEXT, COMMAND_TRAIN, PLACE(out)},
    {"epochs\0N\0"
     "train for N epochs",
     0, TAKE_COUNT, COMMAND_TRAIN, PLACE(epochs)},
    {"steps\0N\0"
     "stop after N steps, counted from the very start",
     0, TAKE_COUNT, COMMAND_TRAIN, PLACE(steps)},
    {"seed\0N\0"
     "fix all that is random",
     0, TAKE_SEED, COMMAND_TRAIN, PLACE(seed)},
    {"resume\0\0"
     "go on from last.safetensors, with its settings",
     0, TAKE_NOTHING, COMMAND_TRAIN, PLACE(resume)},
    {"force\0\0"
     "begin anew even where a checkpoint is",
     0, TAKE_NOTHING, COMMAND_TRAIN, PLACE(force)},
    {"log-every\0N\0"
     "a line of progress every N steps",
     0, TAKE_COUNT, COMMAND_TRAIN, PLACE(log_every)},
    {"quiet\0\0"
     "say nothing but errors",
     'q', TAKE_NOTHING, COMMAND_TRAIN, PLACE(quiet)},
    {"weights\0FILE\0"
     "a checkpoint (default: the best of runs/)",
     'w', TAKE_TEXT, ON_WEIGHTS, PLACE(weights)},
    {"top\0K\0"
     "the K best classes (default 5)",
     0, TAKE_COUNT, COMMAND_PREDICT, PLACE(top)},
    {"output\0FILE.npy\0"
     "write the outputs there",
     'o', TAKE_TEXT, COMMAND_PREDICT, PLACE(output)},
    {"input\0NAME=FILE.npy\0"
     "give an input by name",
     0, TAKE_INPUT, COMMAND_PREDICT, PLACE(input)},
    {"train\0\0"
     "measure a step of training",
     0, TAKE_NOTHING, COMMAND_BENCH, PLACE(train)},
    {"layers\0\0"
     "measure each kernel call too",
     0, TAKE_NOTHING, COMMAND_BENCH, PLACE(layers)},
    {"iters\0N\0"
     "repeat N times (default: about two seconds)",
     0, TAKE_COUNT, COMMAND_BENCH, PLACE(iterations)},
    {"batch\0N\0"
     "samples at a time",
     0, TAKE_COUNT, ON_ALL_RUNS, PLACE(batch)},
    {"threads\0N\0"
     "threads (default: all CPUs); never changes results",
     0, TAKE_COUNT, ON_ALL_RUNS, PLACE(threads)},
    {"device\0cpu\0"
     "where to compute",
     0, TAKE_TEXT, ON_ALL_RUNS, PLACE(device)},
    {"json\0\0"
     "print JSON",
     0, TAKE_NOTHING, ON_JSON, PLACE(json)},
    {"help\0\0"
     "print this",
     'h', TAKE_NOTHING, ON_ALL, PLACE(help)},
};
enum { OPTION_ROWS = sizeof option_table / sizeof *option_table };

static const char *text_behind(const char *text) { return text + strlen(text) + 1; }

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

/* -- help -------------------------------------------------------------------------------------- */

static void print_option(FILE *out, char letter, const char *name, const char *argument, const char *help)
{
    char left[60], shorter[6] = "    ";
    if (letter)
        text_format(shorter, sizeof shorter, "-%c, ", letter);
    text_format(left, sizeof left, "%s--%s%s%s", shorter, name, *argument ? " " : "", argument);
    fprintf(out, "  %-28s %s\n", left, help);
}

static void print_program_tensor(FILE *out, const Description *d, const char *label, const char *name,
                                 int buffer)
{
    fprintf(out, "%s %s ", label, name);
    buffer_print_type(out, &d->buffer[buffer]);
    fputc('\n', out);
}

static void print_program(FILE *out, const CommandLine *line, const Description *d)
{
    fprintf(out, "%s: a network compiled by netc %s for %s\n", d->model, d->version, d->cpu);
    fprintf(out, "usage: %s COMMAND [OPTION]…\n", line->program);
    for (int i = 0; i < COMMAND_ROWS; i++)
        fprintf(out, "  %-9s %s\n", command_row[i].name, command_row[i].help);
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
    fprintf(out, "%s COMMAND --help lists a command's options.\n", line->program);
}

void commandline_help(FILE *out, const CommandLine *line, const Description *description)
{
    if (line->command == COMMAND_NONE) {
        print_program(out, line, description);
        return;
    }
    for (int i = 0; i < COMMAND_ROWS; i++)
        if (command_row[i].command == line->command)
            fprintf(out, "usage: %s %s [OPTION]…%s\n%s\n", line->program, command_row[i].name,
                    line->command == COMMAND_PREDICT ? " FILE…" : "", command_row[i].help);
    for (int i = 0; i < OPTION_ROWS; i++)
        if (option_table[i].commands & (unsigned)line->command) {
            const char *name = option_table[i].name, *argument = text_behind(name);
            print_option(out, option_table[i].letter, name, argument, text_behind(argument));
        }
    for (int i = 0; i < description->options && line->command == COMMAND_TRAIN; i++)
        print_option(out, 0, description->option[i].name, "X", "instead of the value in the .net file");
}
