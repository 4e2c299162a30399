#include "system.h"

#include "available.h"
#include "checked.h"
#include "file.h"
#include "source.h"
#include "tensor_view.h"
#include "text_out.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const SourceRow source_row[] = {
    {"mnist", 1, false, source_mnist},
    {"cifar10", 1, false, source_cifar10},
    {"bytes", 1, true, source_bytes},
};
enum { SOURCE_ROWS = sizeof source_row / sizeof *source_row };

void *dataset_allocate(DataSet *set, int64_t bytes, const char *file, Fault *fault)
{
    void *memory = bytes <= memory_available() ? malloc((size_t)bytes + 1) : NULL;
    if (memory)
        set->memory[set->memories++] = memory;
    else
        fault_memory(fault, bytes, file);
    return memory;
}

const char *dataset_string(DataSet *set, const char *string, Fault *fault)
{
    size_t size = strlen(string) + 1;
    char *copy = dataset_allocate(set, (int64_t)size, "a name", fault);
    return copy ? memcpy(copy, string, size) : NULL;
}

void dataset_close(DataSet *set)
{
    for (int i = 0; i < set->memories; i++)
        free(set->memory[i]);
    *set = (DataSet){0};
}

/* -- does the data fit the program?
 * -------------------------------------------------------------------------------- */

static void print_shape(TextOut *out, const int64_t *dim, int rank)
{
    for (int i = 0; i < rank; i++)
        text_out(out, "%s%" PRId64, i ? "x" : "", dim[i]);
    if (rank == 0)
        text_out(out, "single numbers");
}

/* Axes of size 1 do not count: 28x28 is 1x28x28. */
static bool same_shape(const int64_t *a, int a_rank, const int64_t *b, int b_rank)
{
    for (int i = 0, j = 0;; i++, j++) {
        while (i < a_rank && a[i] == 1)
            i++;
        while (j < b_rank && b[j] == 1)
            j++;
        if (i == a_rank || j == b_rank)
            return i == a_rank && j == b_rank;
        if (a[i] != b[j])
            return false;
    }
}

static const char *field_file(const DataSet *set, int field)
{
    return set->field[field].file ? set->field[field].file : set->folder;
}

static bool check_field(const DataSet *set, const Description *d, int field, Fault *fault)
{
    const SourceField *f = &set->field[field];
    const DescribedBuffer *b = &d->buffer[d->field[field]];
    int64_t dim[DESCRIPTION_RANK];
    for (int i = 1; i < b->rank; i++)
        dim[i - 1] = b->dim[i].count;
    if (!same_shape(f->dim, f->rank, dim, b->rank - 1)) {
        char text[200];
        TextOut out = {text, sizeof text - 1, 0};
        print_shape(&out, f->dim, f->rank);
        text_out(&out, ", the program's '%s' is ", b->name);
        print_shape(&out, dim, b->rank - 1);
        text[out.length < sizeof text - 1 ? out.length : sizeof text - 1] = '\0';
        return fault_set(fault, STATUS_INPUT, "%s: its samples are %s", field_file(set, field), text);
    }
    const ElementRow *from = &element_row[f->element], *to = &element_row[b->element];
    if (f->element != b->element && !to->is_float &&
        (from->is_float || from->least < to->least || from->most > to->most))
        return fault_set(fault, STATUS_INPUT, "%s holds %s, the program's '%s' is %s", field_file(set, field),
                         from->name, b->name, to->name);
    return true;
}

/* The last axis of the first output, which the labels do not have, tells how many classes there are; 0 where there is
   none. */
static int64_t count_classes(const Description *d, const SourceField *labels)
{
    const DescribedPhase *predict = &d->phase[RUN_PREDICT];
    if (predict->results == 0)
        return 0;
    const DescribedBuffer *output = &d->buffer[predict->result[0].buffer];
    int last = labels->rank + 1;
    bool by_class = output->rank == last + 1 && output->dim[0].power == 1 && output->dim[last].power == 0;
    for (int i = 0; by_class && i < labels->rank; i++)
        by_class = output->dim[i + 1].count == labels->dim[i] && output->dim[i + 1].power == 0;
    return by_class ? output->dim[last].count : 0;
}

static bool check_labels(const DataSet *set, const Description *d, int label, Fault *fault)
{
    if (label < 0 || label >= d->fields)
        return true;
    const SourceField *f = &set->field[label];
    int64_t classes = count_classes(d, f), elements = 1;
    for (int i = 0; i < f->rank; i++)
        elements *= f->dim[i];
    for (int64_t i = 0; classes >= 2 && i < set->samples * elements; i++) {
        int64_t at = i / elements * f->stride + i % elements * element_row[f->element].bytes;
        double value = element_read(f->value + at, f->element);
        if (value < 0 || value >= (double)classes)
            return fault_set(fault, STATUS_INPUT,
                             "%s: byte %" PRId64 ": label %.0f, the program knows %" PRId64 " classes",
                             field_file(set, label), f->origin + at, value, classes);
    }
    return true;
}

static bool check_set(const DataSet *set, const Description *d, const SourceRow *row, Fault *fault)
{
    if (set->samples < 1)
        return fault_set(fault, STATUS_INPUT, "%s: there are no samples", set->folder);
    if (d->fields > set->fields)
        return fault_set(fault, STATUS_INPUT, "%s has %d fields, the program wants %d", row->name,
                         set->fields, d->fields);
    for (int i = 0; i < d->fields; i++)
        if (!check_field(set, d, i, fault))
            return false;
    return check_labels(set, d, row->label, fault);
}

/* -- arguments
 * ------------------------------------------------------------------------------------------------------ */

typedef struct SourceOptions {
    const char *folder;
    bool test;
    int64_t limit, window;
} SourceOptions;

static bool read_split(const char *split, SourceOptions *options, const char *source, Fault *fault)
{
    if (split && (strcmp(split, "train") == 0 || strcmp(split, "test") == 0)) {
        options->test = strcmp(split, "test") == 0;
        return true;
    }
    return fault_set(fault, STATUS_INPUT, "%s: split is \"train\" or \"test\"", source);
}

static bool read_options(const DescribedSource *source, SourceOptions *options, Fault *fault)
{
    for (int i = 0; i < source->arguments; i++) {
        const SourceArgument *a = &source->argument[i];
        if (strcmp(a->name, "path") == 0 && a->string)
            options->folder = a->string;
        else if (strcmp(a->name, "window") == 0 && !a->string && a->number >= 1 && a->number < 1e12)
            options->window = (int64_t)a->number;
        else if (strcmp(a->name, "split") == 0) {
            if (!read_split(a->string, options, source->source, fault))
                return false;
        } else if (strcmp(a->name, "limit") == 0 && !a->string && a->number >= 1 && a->number < 1e15)
            options->limit = (int64_t)a->number;
        else
            return fault_set(fault, STATUS_INPUT, "%s: argument '%s' is unknown or of the wrong kind",
                             source->source, a->name);
    }
    return true;
}

bool dataset_open(DataSet *set, const Description *description, const DescribedSource *source,
                  const char *folder, bool test, Fault *fault)
{
    const SourceRow *row = NULL;
    *set = (DataSet){0};
    for (int i = 0; i < SOURCE_ROWS; i++)
        if (source_row[i].open && strcmp(source_row[i].name, source->source) == 0)
            row = &source_row[i];
    if (!row)
        return fault_set(fault, STATUS_MISSING, "this program's runtime has no data source '%s'",
                         source->source);

    SourceOptions options = {".", strcmp(source->split, "train") != 0, INT64_MAX, 1};
    if (!read_options(source, &options, fault))
        return false;
    set->source = row->name;
    set->folder = folder ? folder : options.folder;
    SourceRequest request = {set->folder, test || options.test, options.window};
    if (!row->file && !path_is_folder(set->folder))
        return fault_set(fault, STATUS_INPUT, "there is no data folder %s%s", set->folder,
                         folder ? "" : "; --data names another");
    if (!row->open(set, &request, fault) || !check_set(set, description, row, fault))
        return false;
    if (set->samples > options.limit)
        set->samples = options.limit;
    return true;
}

void dataset_load(const DataSet *set, const Machine *machine, const SampleOrder *order, int64_t first,
                  int64_t batch)
{
    const Description *d = machine->description;
    TensorView view[SOURCE_MOST_FIELDS];
    for (int i = 0; i < d->fields; i++)
        view[i] = tensor_view(machine, d->field[i], batch);
    for (int64_t place = 0; place < batch; place++) {
        int64_t sample = order ? sample_at(order, first + place) : first + place;
        for (int i = 0; i < d->fields; i++) {
            const SourceField *f = &set->field[i];
            int64_t elements = view[i].elements / batch;
            view_write_from(&view[i], place * elements, elements, f->value + sample * f->stride, f->element);
        }
    }
}
