#include "system.h"

#include "checked.h"
#include "cpu.h"
#include "description.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char *const role_word[ROLE_COUNT] = {"param", "state",  "slot",   "metric",
                                                  "input", "scalar", "result", "transient"};
static const char *const result_word[RESULT_ROLES] = {"loss", "metric", "output"};

/* Reads the text from line to line. After the first fault every read gives a harmless value, and `fault` is
 * set. */
typedef struct DescriptorReader {
    const char *at;
    int line;
    Fault *fault;
    char *string, *array; /* what is left of the memory for strings and for arrays */
} DescriptorReader;

static bool broken(DescriptorReader *reader, const char *what)
{
    return fault_set(reader->fault, STATUS_INTERNAL, "broken descriptor, line %d: %s", reader->line, what);
}

static bool intact(const DescriptorReader *reader) { return reader->fault->status == STATUS_OK; }

static void skip_blanks(DescriptorReader *reader)
{
    while (*reader->at == ' ')
        reader->at++;
}

static size_t word_length(const char *at) { return strcspn(at, " \n"); }

static bool next_is(DescriptorReader *reader, const char *word)
{
    skip_blanks(reader);
    return word_length(reader->at) == strlen(word) && memcmp(reader->at, word, strlen(word)) == 0;
}

/* For what may be left out. */
static bool take_word(DescriptorReader *reader, const char *word)
{
    bool taken = intact(reader) && next_is(reader, word);
    if (taken)
        reader->at += strlen(word);
    return taken;
}

static void read_word(DescriptorReader *reader, const char *word)
{
    if (intact(reader) && !take_word(reader, word))
        fault_set(reader->fault, STATUS_INTERNAL, "broken descriptor, line %d: expected '%s'", reader->line,
                  word);
}

static void read_line_end(DescriptorReader *reader)
{
    skip_blanks(reader);
    if (!intact(reader))
        return;
    if (*reader->at != '\n') {
        broken(reader, "expected the line's end");
        return;
    }
    reader->at++;
    reader->line++;
}

static int64_t read_integer(DescriptorReader *reader, int64_t least, int64_t most)
{
    skip_blanks(reader);
    const char *at = reader->at;
    bool negative = *at == '-';
    int64_t value = 0;
    at += negative;
    bool fits = *at >= '0' && *at <= '9';
    for (; *at >= '0' && *at <= '9'; at++)
        fits = fits && checked_multiply(value, 10, &value) && checked_add(value, *at - '0', &value);
    value = negative ? -value : value;
    if (!fits || value < least || value > most) {
        broken(reader, "expected a number in range");
        return least;
    }
    reader->at = at;
    return value;
}

static int read_id(DescriptorReader *reader, int count)
{
    if (count < 1) {
        broken(reader, "there is nothing that this number could name");
        return 0;
    }
    return (int)read_integer(reader, 0, count - 1);
}

static double read_real(DescriptorReader *reader)
{
    skip_blanks(reader);
    char *end;
    double value = strtod(reader->at, &end);
    if (end == reader->at || (*end != ' ' && *end != '\n')) {
        broken(reader, "expected a number");
        return 0;
    }
    reader->at = end;
    return value;
}

static Extent read_extent(DescriptorReader *reader)
{
    Extent extent = {read_integer(reader, 0, INT64_MAX), 0};
    if (intact(reader) && *reader->at == '^') {
        reader->at++;
        extent.power = (int)read_integer(reader, 0, 4);
    }
    return extent;
}

static char read_escape(DescriptorReader *reader)
{
    static const char letter[] = "ntrabfv\\\"'?", meaning[] = "\n\t\r\a\b\f\v\\\"'?";
    const char *found = *reader->at ? strchr(letter, *reader->at) : NULL;
    if (found) {
        reader->at++;
        return meaning[found - letter];
    }
    int value = 0, digits = 0;
    for (; digits < 3 && *reader->at >= '0' && *reader->at <= '7'; digits++)
        value = value * 8 + *reader->at++ - '0';
    if (digits == 0 || value == 0 || value > UCHAR_MAX)
        broken(reader, "bad escape in a string");
    return (char)value;
}

/* There is a byte for each of the text's, and a string is shorter than its text with the quotes: there is
 * always room. */
static const char *read_string(DescriptorReader *reader)
{
    skip_blanks(reader);
    if (!intact(reader) || *reader->at != '"') {
        broken(reader, "expected a string");
        return "";
    }
    reader->at++;
    char *string = reader->string;
    while (*reader->at != '"' && intact(reader)) {
        if (*reader->at == '\0' || *reader->at == '\n') {
            broken(reader, "a string without its end");
            break;
        }
        char c = *reader->at++;
        *reader->string++ = c == '\\' ? read_escape(reader) : c;
    }
    reader->at += intact(reader);
    *reader->string++ = '\0';
    return string;
}

static const char *string_after(DescriptorReader *reader, const char *word)
{
    read_word(reader, word);
    return read_string(reader);
}

static int64_t integer_after(DescriptorReader *reader, const char *word, int64_t least, int64_t most)
{
    read_word(reader, word);
    return read_integer(reader, least, most);
}

static double real_after(DescriptorReader *reader, const char *word)
{
    read_word(reader, word);
    return read_real(reader);
}

static int read_choice(DescriptorReader *reader, const char *const *word, int count)
{
    for (int i = 0; i < count; i++)
        if (take_word(reader, word[i]))
            return i;
    broken(reader, "unknown kind");
    return 0;
}

static void read_model(DescriptorReader *reader, Description *d)
{
    read_word(reader, "netc-descriptor");
    read_integer(reader, 1, 1);
    read_line_end(reader);
    d->model = string_after(reader, "model");
    d->hash = string_after(reader, "hash");
    d->version = string_after(reader, "version");
    d->cpu = string_after(reader, "cpu");
    d->needs = string_after(reader, "needs");
    d->batch = integer_after(reader, "batch", 1, INT64_MAX);
    read_line_end(reader);
}

static void read_training(DescriptorReader *reader, Description *d)
{
    if (!take_word(reader, "training"))
        return;
    d->training = read_string(reader);
    d->epochs = integer_after(reader, "epochs", 1, INT32_MAX);
    d->seed = (uint64_t)integer_after(reader, "seed", 0, INT64_MAX);
    d->patience = integer_after(reader, "patience", 0, INT32_MAX);
    d->best = string_after(reader, "best");
    read_line_end(reader);
}

static void read_argument(DescriptorReader *reader, SourceArgument *argument)
{
    argument->name = string_after(reader, "argument");
    if (take_word(reader, "number"))
        argument->number = read_real(reader);
    else
        argument->string = string_after(reader, "string");
    read_line_end(reader);
}

static void read_sources(DescriptorReader *reader, Description *d, SourceArgument *argument)
{
    for (int i = 0; i < d->sources && intact(reader); i++) {
        d->source[i].split = string_after(reader, "source");
        d->source[i].source = read_string(reader);
        read_line_end(reader);
        d->source[i].argument = argument;
        for (; intact(reader) && next_is(reader, "argument"); d->source[i].arguments++)
            read_argument(reader, argument++);
    }
}

static void read_axes(DescriptorReader *reader, DescribedBuffer *b)
{
    bool given = take_word(reader, "axes");
    for (int i = 0; i < b->rank; i++)
        b->axis[i] = given ? read_id(reader, b->rank) : i;
}

static void read_buffer(DescriptorReader *reader, Description *d, DescribedBuffer *b)
{
    read_word(reader, "buffer");
    b->role = (BufferRole)read_choice(reader, role_word, ROLE_COUNT);
    b->name = read_string(reader);
    skip_blanks(reader);
    b->element = element_find(reader->at, word_length(reader->at));
    if (b->element == ELEMENT_COUNT) {
        b->element = ELEMENT_U8;
        broken(reader, "unknown element type");
    }
    reader->at += word_length(reader->at);
    b->rank = (int)read_integer(reader, 0, DESCRIPTION_RANK);
    for (int i = 0; i < b->rank; i++)
        b->dim[i] = read_extent(reader);
    read_axes(reader, b);
    b->first = (int)integer_after(reader, "life", 0, d->calls);
    b->last = (int)read_integer(reader, b->first, d->calls);
    b->offset = integer_after(reader, "at", 0, INT64_MAX);
    b->of = take_word(reader, "of") ? read_id(reader, d->buffers) : -1;
    read_line_end(reader);
}

static void read_kernel(DescriptorReader *reader, DescribedKernel *k)
{
    k->name = string_after(reader, "kernel");
    k->outer = integer_after(reader, "items", 0, INT64_MAX);
    k->extent = read_extent(reader);
    k->divisor = read_integer(reader, 1, INT64_MAX);
    k->flops = real_after(reader, "flops");
    k->bytes = real_after(reader, "bytes");
    read_line_end(reader);
}

static void read_phases(DescriptorReader *reader, Description *d, DescribedResult *result)
{
    for (int i = 0; i < RUN_PHASES; i++) {
        DescribedPhase *p = &d->phase[i];
        read_word(reader, "phase");
        if (strcmp(read_string(reader), run_phase_name[i]) != 0)
            broken(reader, "the phases are init, step, test, finish, prepare, predict");
        p->first = (int)read_integer(reader, 0, d->calls);
        p->count = (int)read_integer(reader, 0, d->calls - p->first);
        p->slice = take_word(reader, "slice") ? read_integer(reader, 1, INT32_MAX) : 0;
        read_line_end(reader);
        p->result = result;
        for (; take_word(reader, "result"); p->results++, result++) {
            result->role = (ResultRole)read_choice(reader, result_word, RESULT_ROLES);
            result->name = read_string(reader);
            result->buffer = read_id(reader, d->buffers);
            read_line_end(reader);
        }
    }
}

static void *take_array(DescriptorReader *reader, int64_t count, size_t size)
{
    void *array = reader->array;
    reader->array += ((size_t)count * size + 7) & ~(size_t)7;
    return array;
}

static void read_call(DescriptorReader *reader, Description *d, DescribedCall *call)
{
    int words = (int)strcspn(reader->at, "\n") / 2; /* no more values than blanks before them */
    read_word(reader, "call");
    call->kernel = read_id(reader, d->kernels);
    call->name = read_string(reader);
    call->buffers = (int)integer_after(reader, "buffers", 0, words);
    call->buffer = take_array(reader, call->buffers, sizeof *call->buffer);
    for (int i = 0; i < call->buffers && intact(reader); i++)
        call->buffer[i] = read_id(reader, d->buffers);
    if (take_word(reader, "arguments"))
        call->arguments = (int)read_integer(reader, 0, words);
    call->argument = take_array(reader, call->arguments, sizeof *call->argument);
    for (int i = 0; i < call->arguments && intact(reader); i++)
        call->argument[i] = read_integer(reader, -INT64_MAX, INT64_MAX);
    call->step = take_word(reader, "step") ? (int)read_integer(reader, 1, call->arguments) : 0;
    call->steps = 1;
    if (take_word(reader, "loop")) {
        call->loop_calls = (int)read_integer(reader, 1, d->calls);
        call->steps = read_integer(reader, 1, INT64_MAX);
    }
    read_line_end(reader);
}

static void read_lines(DescriptorReader *reader, Description *d, SourceArgument *argument,
                       DescribedResult *result)
{
    read_model(reader, d);
    read_training(reader, d);
    read_sources(reader, d, argument);
    for (int i = 0; i < d->fields && intact(reader); i++) {
        read_word(reader, "field");
        d->field[i] = read_id(reader, d->buffers);
        read_line_end(reader);
    }
    for (int i = 0; i < d->options && intact(reader); i++) {
        d->option[i].name = string_after(reader, "option");
        d->option[i].buffer = read_id(reader, d->buffers);
        read_line_end(reader);
    }
    for (int i = 0; i < d->buffers && intact(reader); i++)
        read_buffer(reader, d, &d->buffer[i]);
    for (int i = 0; i < d->kernels && intact(reader); i++)
        read_kernel(reader, &d->kernel[i]);
    read_phases(reader, d, result);
    for (int i = 0; i < d->calls && intact(reader); i++)
        read_call(reader, d, &d->call[i]);
    read_word(reader, "end");
    read_line_end(reader);
    if (intact(reader) && *reader->at)
        broken(reader, "text after the end");
}

/* -- loops ----------------------------------------------------------------------------------------- */

/* Loops lie side by side; their calls learn how often they are made. */
static void spread_loops(const Description *d)
{
    for (int c = 0, end = 0; c < d->calls; c++) {
        if (d->call[c].loop_calls)
            end = c + d->call[c].loop_calls;
        else if (c < end)
            d->call[c].steps = d->call[c - 1].steps;
    }
}

/* -- memory: counted by the first words of the lines
 * --------------------------------------------------------------- */

typedef struct LineCounts {
    int64_t source, argument, field, option, buffer, kernel, result, call;
    int64_t call_bytes; /* text of the calls */
} LineCounts;

static LineCounts count_lines(const char *text)
{
    LineCounts counts = {0};
    struct {
        const char *word;
        int64_t *count;
    } row[] = {{"source", &counts.source}, {"argument", &counts.argument}, {"field", &counts.field},
               {"option", &counts.option}, {"buffer", &counts.buffer},     {"kernel", &counts.kernel},
               {"result", &counts.result}, {"call", &counts.call}};
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n"), word = word_length(line);
        for (size_t i = 0; i < sizeof row / sizeof *row; i++)
            if (strlen(row[i].word) == word && memcmp(row[i].word, line, word) == 0)
                ++*row[i].count;
        if (*line == 'c' && word == 4)
            counts.call_bytes += (int64_t)length;
        line += length + (line[length] == '\n');
    }
    return counts;
}

bool description_parse(Description *d, const char *text, Fault *fault)
{
    *d = (Description){0};
    size_t length = strlen(text);
    if (length > INT_MAX)
        return fault_set(fault, STATUS_INTERNAL, "broken descriptor: a text of over 2 GiB");
    LineCounts n = count_lines(text);
    size_t arrays = (size_t)n.source * sizeof *d->source + (size_t)n.argument * sizeof(SourceArgument) +
                    (size_t)n.field * sizeof *d->field + (size_t)n.option * sizeof *d->option +
                    (size_t)n.buffer * sizeof *d->buffer + (size_t)n.kernel * sizeof *d->kernel +
                    (size_t)n.result * sizeof(DescribedResult) + (size_t)n.call * sizeof *d->call +
                    (size_t)n.call_bytes / 2 * (sizeof(int) + sizeof(int64_t)) + 16 * (size_t)(n.call + 8);
    d->memory = calloc(1, arrays + length + 1);
    if (!d->memory)
        return fault_memory(fault, (int64_t)(arrays + length), "the program's description");

    DescriptorReader reader = {text, 1, fault, (char *)d->memory + arrays, d->memory};
    d->source = take_array(&reader, n.source, sizeof *d->source);
    SourceArgument *argument = take_array(&reader, n.argument, sizeof *argument);
    d->field = take_array(&reader, n.field, sizeof *d->field);
    d->option = take_array(&reader, n.option, sizeof *d->option);
    d->buffer = take_array(&reader, n.buffer, sizeof *d->buffer);
    d->kernel = take_array(&reader, n.kernel, sizeof *d->kernel);
    DescribedResult *result = take_array(&reader, n.result, sizeof *result);
    d->call = take_array(&reader, n.call, sizeof *d->call);
    d->sources = (int)n.source, d->fields = (int)n.field, d->options = (int)n.option;
    d->buffers = (int)n.buffer, d->kernels = (int)n.kernel, d->calls = (int)n.call;

    read_lines(&reader, d, argument, result);
    spread_loops(d);
    return intact(&reader);
}

CPU_BASELINE const char *description_needs(const char *text, size_t *length)
{
    const char *at = strstr(text, " needs \"");
    if (!at)
        return NULL;
    at += strlen(" needs \"");
    *length = strcspn(at, "\"\n");
    return at;
}
