#include "system.h"

#include "checked.h"
#include "image_png.h"
#include "npy.h"
#include "session.h"
#include "tensor_view.h"
#include "text_out.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PREDICT_MOST_FILE = 256 << 20, PREDICT_TOP = 5 };

/* One input of the network: the samples that wait for their batch. */
typedef struct PredictInput {
    int buffer;
    bool by_batch;    /* its first dimension is the batch; else it is given once, whole */
    int64_t elements; /* of a sample, or of the whole */
    char *waiting;    /* of the buffer's element type */
} PredictInput;

typedef struct PredictOutput {
    const DescribedResult *result;
    int64_t elements; /* of a sample */
    char *collected;  /* for -o */
} PredictOutput;

typedef struct SampleLabel {
    const char *path;
    int64_t number; /* in a file of many; -1: it is the only one */
} SampleLabel;

typedef struct Predictor {
    const Session *session;
    const Description *description;
    Fault *fault;
    Machine machine;
    int inputs, outputs;
    PredictInput input[COMMANDLINE_INPUTS];
    PredictOutput *output;
    int64_t waiting, done; /* samples */
    SampleLabel *label;    /* of those that wait */
} Predictor;

/* -- results ----------------------------------------------------------------------------------- */

static double output_value(const char *values, Element element, int64_t i)
{
    return element_read(values + i * element_row[element].bytes, element);
}

/* The best classes first, equal ones in their order; not-a-number comes last. */
static void print_classes(const char *values, Element element, int64_t classes, int64_t top)
{
    double last = INFINITY;
    int64_t last_class = -1;
    for (int64_t n = 0; n < top && n < classes; n++) {
        int64_t best = -1;
        for (int64_t i = 0; i < classes; i++) {
            double value = output_value(values, element, i);
            bool after = value < last || (value == last && i > last_class);
            if (after && (best < 0 || value > output_value(values, element, best)))
                best = i;
        }
        if (best < 0)
            return;
        last = output_value(values, element, best);
        last_class = best;
        printf(" %" PRId64 " %.4f", best, last);
    }
}

static void print_sample(const Predictor *predictor, const PredictOutput *output, SampleLabel label,
                         const char *values)
{
    const DescribedBuffer *b = &predictor->description->buffer[output->result->buffer];
    int64_t top = predictor->session->line->top ? predictor->session->line->top : PREDICT_TOP;
    printf("%s", label.path);
    if (label.number >= 0)
        printf(":%" PRId64, label.number);
    if (predictor->outputs > 1)
        printf(" %s", output->result->name);
    if (b->rank == 2 && output->elements > 1 && element_row[b->element].is_float)
        print_classes(values, b->element, output->elements, top);
    else
        for (int64_t i = 0; i < output->elements; i++)
            printf(" %.9g", output_value(values, b->element, i));
    fputc('\n', stdout);
}

static bool collect_output(Predictor *predictor, PredictOutput *output, const TensorView *view, int64_t count)
{
    int64_t size = element_row[view->element].bytes, bytes;
    if (!checked_multiply(predictor->done + count, output->elements * size, &bytes))
        return fault_memory(predictor->fault, INT64_MAX, "the outputs");
    char *larger = realloc(output->collected, (size_t)bytes + 1);
    if (!larger)
        return fault_memory(predictor->fault, bytes, "the outputs");
    output->collected = larger;
    view_read(view, 0, count * output->elements, larger + predictor->done * output->elements * size);
    return true;
}

static bool print_output(Predictor *predictor, const PredictOutput *output, const TensorView *view,
                         int64_t count)
{
    int64_t bytes = output->elements * element_row[view->element].bytes;
    char *values = malloc((size_t)bytes + 1);
    if (!values)
        return fault_memory(predictor->fault, bytes, "the outputs");
    for (int64_t i = 0; i < count; i++) {
        view_read(view, i * output->elements, output->elements, values);
        print_sample(predictor, output, predictor->label[i], values);
    }
    free(values);
    return true;
}

/* Runs the samples that wait. */
static bool run_waiting(Predictor *predictor)
{
    int64_t count = predictor->waiting;
    bool done = true;
    if (count == 0)
        return true;
    for (int i = 0; i < predictor->inputs; i++) {
        TensorView view = tensor_view(&predictor->machine, predictor->input[i].buffer, count);
        view_write(&view, 0, view.elements, predictor->input[i].waiting);
    }
    machine_run(&predictor->machine, RUN_PREDICT, count);
    for (int i = 0; i < predictor->outputs && done; i++) {
        PredictOutput *output = &predictor->output[i];
        TensorView view = tensor_view(&predictor->machine, output->result->buffer, count);
        done = predictor->session->line->output ? collect_output(predictor, output, &view, count)
                                                : print_output(predictor, output, &view, count);
    }
    predictor->done += count;
    predictor->waiting = 0;
    return done;
}

/* -- inputs ------------------------------------------------------------------------------------ */

static bool refuse_shape(const Predictor *predictor, const PredictInput *input, const char *path)
{
    const DescribedBuffer *b = &predictor->description->buffer[input->buffer];
    return fault_set(predictor->fault, STATUS_INPUT,
                     "%s: its shape or type does not fit input '%s' (%s; %" PRId64
                     " values %s); info shows the shapes",
                     path, b->name, element_row[b->element].name, input->elements,
                     input->by_batch ? "a sample" : "in all");
}

/* How many samples an array holds for an input: its shape is a sample's, or a list of such; -1 if neither. */
static int64_t samples_in(const Predictor *predictor, const PredictInput *input, const NpyArray *array)
{
    const DescribedBuffer *b = &predictor->description->buffer[input->buffer];
    int skipped = input->by_batch, rank = b->rank - skipped, extra = array->rank - rank;
    if (extra < 0 || extra > skipped)
        return -1;
    for (int i = 0; i < rank; i++)
        if (array->dim[extra + i] != b->dim[skipped + i].count)
            return -1;
    return extra ? array->dim[0] : 1;
}

static bool stage(const Predictor *predictor, const PredictInput *input, const NpyArray *array,
                  int64_t sample, const char *path)
{
    Element element = predictor->description->buffer[input->buffer].element;
    int64_t place = input->by_batch ? predictor->waiting : 0;
    const unsigned char *from = array->value + sample * input->elements * element_row[array->element].bytes;
    char *to = input->waiting + place * input->elements * element_row[element].bytes;
    return element_convert(to, element, from, array->element, input->elements) ||
           refuse_shape(predictor, input, path);
}

/* The sample is complete: it waits under its label. */
static bool sample_waits(Predictor *predictor, const char *path, int64_t number)
{
    predictor->label[predictor->waiting++] = (SampleLabel){path, number};
    return predictor->waiting < predictor->machine.batch || run_waiting(predictor);
}

static bool take_samples(Predictor *predictor, const NpyArray *array, const char *path)
{
    const PredictInput *input = &predictor->input[0];
    int64_t samples = samples_in(predictor, input, array);
    if (samples < 0)
        return refuse_shape(predictor, input, path);
    for (int64_t i = 0; i < samples; i++)
        if (!stage(predictor, input, array, i, path) || !sample_waits(predictor, path, samples > 1 ? i : -1))
            return false;
    return true;
}

static bool take_npy(Predictor *predictor, const char *path)
{
    NpyArray array;
    bool done = npy_read(&array, path, predictor->fault);
    if (!done)
        return false;
    done = take_samples(predictor, &array, path);
    free(array.value);
    return done;
}

static bool image_shape(const Predictor *predictor, ImageShape *shape)
{
    const DescribedBuffer *b = &predictor->description->buffer[predictor->input[0].buffer];
    bool image = b->element == ELEMENT_U8 && predictor->input[0].by_batch && (b->rank == 3 || b->rank == 4);
    if (image)
        *shape = (ImageShape){b->rank == 4 ? b->dim[1].count : 1, b->dim[b->rank - 2].count,
                              b->dim[b->rank - 1].count};
    return image;
}

static bool take_png(Predictor *predictor, const char *path)
{
    ImageShape shape;
    InputFile file;
    if (!image_shape(predictor, &shape))
        return fault_set(predictor->fault, STATUS_INPUT,
                         "%s: this network does not read images of bytes; give its input as .npy", path);
    if (!input_open(&file, path, predictor->fault))
        return false;
    unsigned char *bytes = input_load(&file, PREDICT_MOST_FILE, predictor->fault);
    const PredictInput *input = &predictor->input[0];
    unsigned char *to = (unsigned char *)input->waiting + predictor->waiting * input->elements;
    bool done = bytes && png_decode(bytes, (size_t)file.bytes, path, shape, to, predictor->fault);
    free(bytes);
    input_close(&file);
    return done && sample_waits(predictor, path, -1);
}

static bool ends_in(const char *path, const char *ending)
{
    size_t length = strlen(path), end = strlen(ending);
    return length >= end && strcmp(path + length - end, ending) == 0;
}

static bool take_files(Predictor *predictor)
{
    const CommandLine *line = predictor->session->line;
    if (predictor->inputs != 1)
        return fault_set(predictor->fault, STATUS_USAGE,
                         "this network has %d inputs: name them by --input NAME=FILE.npy", predictor->inputs);
    for (int i = 0; i < line->files; i++)
        if (ends_in(line->file[i], ".npy") ? !take_npy(predictor, line->file[i])
                                           : !take_png(predictor, line->file[i]))
            return false;
    return run_waiting(predictor);
}

/* -- inputs by name ---------------------------------------------------------------------------- */

static const char *file_of_input(const Predictor *predictor, const char *name)
{
    const CommandLine *line = predictor->session->line;
    for (int i = 0; i < line->inputs; i++) {
        const char *rest = text_after(line->input[i], name);
        if (rest && *rest == '=')
            return rest + 1;
    }
    return NULL;
}

static bool take_named_samples(Predictor *predictor, const NpyArray *array, int64_t samples)
{
    for (int64_t s = 0; s < samples; s++) {
        for (int i = 0; i < predictor->inputs; i++) {
            const PredictInput *input = &predictor->input[i];
            if (!stage(predictor, input, &array[i], input->by_batch ? s : 0, "--input"))
                return false;
        }
        if (!sample_waits(predictor, "sample", s))
            return false;
    }
    return run_waiting(predictor);
}

static bool take_named(Predictor *predictor)
{
    NpyArray array[COMMANDLINE_INPUTS] = {0};
    int64_t samples = -1;
    bool done = true;
    for (int i = 0; i < predictor->inputs && done; i++) {
        const PredictInput *input = &predictor->input[i];
        const char *name = predictor->description->buffer[input->buffer].name,
                   *path = file_of_input(predictor, name);
        if (!path)
            done = fault_set(predictor->fault, STATUS_USAGE, "input '%s' is missing: --input %s=FILE.npy",
                             name, name);
        done = done && npy_read(&array[i], path, predictor->fault);
        if (!done)
            break;
        int64_t count = samples_in(predictor, input, &array[i]);
        if (count < 0 || (input->by_batch && samples >= 0 && count != samples))
            done = refuse_shape(predictor, input, path);
        samples = input->by_batch ? count : samples;
    }
    done = done && take_named_samples(predictor, array, samples < 0 ? 1 : samples);
    for (int i = 0; i < predictor->inputs; i++)
        free(array[i].value);
    return done;
}

/* -- the command ------------------------------------------------------------------------------- */

static bool make_inputs(Predictor *predictor)
{
    const Description *d = predictor->description;
    for (int i = 0; i < d->buffers; i++) {
        const DescribedBuffer *b = &d->buffer[i];
        if (b->role != ROLE_INPUT || !phase_touches(d, RUN_PREDICT, i))
            continue;
        if (predictor->inputs == COMMANDLINE_INPUTS)
            return fault_set(predictor->fault, STATUS_INTERNAL, "more than %d inputs", COMMANDLINE_INPUTS);
        PredictInput *input = &predictor->input[predictor->inputs++];
        int64_t bytes = 0;
        *input = (PredictInput){i, b->rank > 0 && b->dim[0].power == 1 && b->dim[0].count == 1, 0, NULL};
        if (!buffer_elements(b, 1, &input->elements) || !buffer_bytes(b, predictor->machine.batch, &bytes) ||
            !(input->waiting = malloc((size_t)bytes + 1)))
            return fault_memory(predictor->fault, bytes, b->name);
    }
    return true;
}

static bool make_outputs(Predictor *predictor)
{
    const Description *d = predictor->description;
    const DescribedPhase *predict = &d->phase[RUN_PREDICT];
    predictor->output = calloc((size_t)predict->results + 1, sizeof *predictor->output);
    predictor->label = calloc((size_t)predictor->machine.batch, sizeof *predictor->label);
    if (!predictor->output || !predictor->label)
        return fault_memory(predictor->fault, predictor->machine.batch * (int64_t)sizeof(SampleLabel),
                            "the samples' names");
    for (int i = 0; i < predict->results; i++) {
        const DescribedBuffer *b = &d->buffer[predict->result[i].buffer];
        if (b->rank < 1 || b->dim[0].power != 1 || b->dim[0].count != 1)
            return fault_set(predictor->fault, STATUS_INPUT,
                             "output '%s' is no list of samples: its first dimension is not the batch",
                             predict->result[i].name);
        predictor->output[i].result = &predict->result[i];
        buffer_elements(b, 1, &predictor->output[i].elements);
        predictor->outputs++;
    }
    return true;
}

/* FILE.npy, or with several outputs FILE.NAME.npy. */
static bool write_output(const Predictor *predictor, const PredictOutput *output)
{
    const char *path = predictor->session->line->output, *slash = strrchr(path, '/');
    const DescribedBuffer *b = &predictor->description->buffer[output->result->buffer];
    char folder_path[4096] = ".", name[OUTPUT_NAME], suffix[60] = "";
    if (slash)
        text_format(folder_path, sizeof folder_path, "%.*s", (int)(slash - path) + (slash == path), path);
    const char *file_name = slash ? slash + 1 : path;
    if (predictor->outputs > 1)
        text_format(suffix, sizeof suffix, ".%.50s.npy", output->result->name);
    size_t stem = strlen(file_name) - (*suffix && ends_in(file_name, ".npy") ? 4 : 0);
    if (stem + strlen(suffix) >= sizeof name)
        return fault_set(predictor->fault, STATUS_USAGE, "--output: the name is too long");
    text_format(name, sizeof name, "%.*s%s", (int)stem, file_name, suffix);

    int64_t dim[DESCRIPTION_RANK] = {predictor->done};
    for (int i = 1; i < b->rank; i++)
        dim[i] = b->dim[i].count;
    OutputFolder folder;
    OutputFile file;
    if (!folder_open(&folder, folder_path, predictor->fault))
        return false;
    int64_t bytes = predictor->done * output->elements * element_row[b->element].bytes;
    bool done = npy_begin(&file, &folder, name, b->element, b->rank, dim, predictor->fault) &&
                output_write(&file, output->collected, bytes, predictor->fault) &&
                output_finish(&file, predictor->fault);
    folder_close(&folder);
    return done;
}

static bool predict_with(Predictor *predictor)
{
    const CommandLine *line = predictor->session->line;
    bool done = session_load_weights(predictor->session, &predictor->machine, predictor->fault) &&
                make_inputs(predictor) && make_outputs(predictor);
    done = done && (line->inputs ? take_named(predictor) : take_files(predictor));
    for (int i = 0; i < predictor->outputs && done && line->output; i++)
        done = write_output(predictor, &predictor->output[i]);
    return done;
}

bool command_predict(const Session *session, Fault *fault)
{
    const CommandLine *line = session->line;
    const Description *d = session->description;
    Predictor predictor = {.session = session, .description = d, .fault = fault};
    if (!d->phase[RUN_PREDICT].count)
        return fault_set(fault, STATUS_USAGE, "this program has nothing to predict");
    if ((line->files > 0) == (line->inputs > 0))
        return fault_set(fault, STATUS_USAGE, "predict wants files, or --input NAME=FILE.npy for each input");
    int64_t batch = line->batch ? line->batch : d->batch;
    bool images = line->files > 0;
    for (int i = 0; i < line->files; i++)
        images = images && !ends_in(line->file[i], ".npy");
    if (images && batch > line->files)
        batch = line->files;
    if (!session_start(session, &predictor.machine, PHASES_PREDICT, batch, fault))
        return false;
    bool done = predict_with(&predictor);
    for (int i = 0; i < predictor.inputs; i++)
        free(predictor.input[i].waiting);
    for (int i = 0; i < predictor.outputs; i++)
        free(predictor.output[i].collected);
    free(predictor.output);
    free(predictor.label);
    machine_stop(&predictor.machine);
    return done;
}
