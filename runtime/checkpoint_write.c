#include "system.h"

#include "checked.h"
#include "checkpoint.h"
#include "checksum.h"
#include "tensor_view.h"
#include "text_out.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_FIELD = 8, HEADER_ALIGNMENT = 8, WRITE_BLOCK = 1 << 16, LONGEST_VALUE = 40 };
static const char zero_checksum[] = "0000000000000000";

/* The reference writer's order: the wider elements first, so that all are aligned; then by name. */
static int compare_saved(const DescribedBuffer *a, const DescribedBuffer *b)
{
    int a_bytes = element_row[a->element].bytes, b_bytes = element_row[b->element].bytes;
    return a_bytes != b_bytes ? b_bytes - a_bytes : strcmp(a->name, b->name);
}

typedef struct SavedBuffer {
    const DescribedBuffer *buffer;
    int id;
} SavedBuffer;

static int compare_saved_order(const void *x, const void *y)
{
    return compare_saved(((const SavedBuffer *)x)->buffer, ((const SavedBuffer *)y)->buffer);
}

static bool order_tensors(CheckpointWriter *writer)
{
    const Description *d = writer->machine->description;
    SavedBuffer *saved = calloc((size_t)d->buffers + 1, sizeof *saved);
    writer->buffer = calloc((size_t)d->buffers + 1, sizeof *writer->buffer);
    bool done = saved && writer->buffer;
    for (int i = 0; i < d->buffers && done; i++)
        if (d->buffer[i].role <= ROLE_SLOT)
            saved[writer->tensors++] = (SavedBuffer){&d->buffer[i], i};
    if (done)
        qsort(saved, (size_t)writer->tensors, sizeof *saved, compare_saved_order);
    for (int i = 0; i < writer->tensors; i++)
        writer->buffer[i] = saved[i].id;
    free(saved);
    return done;
}

/* ,"NAME":{"dtype":"F32","shape":[…],"data_offsets":[…]} for each. */
static void put_tensors(CheckpointWriter *writer, TextOut *out)
{
    writer->data_bytes = 0;
    for (int i = 0; i < writer->tensors; i++) {
        TensorView view = tensor_view(writer->machine, writer->buffer[i], writer->machine->batch);
        int64_t end = writer->data_bytes + view.elements * element_row[view.element].bytes;
        text_out_bytes(out, ",", 1);
        text_out_quoted(out, writer->machine->description->buffer[writer->buffer[i]].name);
        text_out(out, ":{\"dtype\":\"%s\",\"shape\":[", element_row[view.element].safetensors);
        for (int r = 0; r < view.rank; r++)
            text_out(out, "%s%" PRId64, r ? "," : "", view.dim[r]);
        text_out(out, "],\"data_offsets\":[%" PRId64 ",%" PRId64 "]}", writer->data_bytes, end);
        writer->data_bytes = end;
    }
}

static void put_pair(TextOut *out, const char *key, const char *value)
{
    text_out(out, ",\"netc.%s\":", key);
    text_out_quoted(out, value);
}

static void put_count(TextOut *out, const char *key, int64_t value)
{
    text_out(out, ",\"netc.%s\":\"%" PRId64 "\"", key, value);
}

/* Hexadecimal: exactly the same number comes back. */
static void put_real(TextOut *out, const char *key, double value)
{
    if (isnan(value))
        text_out(out, ",\"netc.%s\":\"nan\"", key);
    else
        text_out(out, ",\"netc.%s\":\"%a\"", key, value);
}

/* The keys ascend. Returns the checksum's place in the header. */
static size_t put_metadata(TextOut *out, const Description *d, const TrainingState *state)
{
    text_out(out, "{\"__metadata__\":{\"format\":\"pt\"");
    put_count(out, "batch", state->batch);
    put_real(out, "best", state->best);
    put_count(out, "best_epoch", state->best_epoch);
    put_pair(out, "checksum", zero_checksum);
    size_t checksum_at = out->length - strlen(zero_checksum) - 1;
    put_count(out, "epoch", state->epoch);
    put_count(out, "epochs", state->epochs);
    put_pair(out, "graph_hash", d->hash);
    put_real(out, "loss_sum", state->loss_sum);
    put_pair(out, "model", d->model);
    for (int i = 0; i < state->options; i++) {
        char key[200];
        text_format(key, sizeof key, "option.%s", d->option[i].name);
        put_real(out, key, state->option[i]);
    }
    put_count(out, "samples", state->samples);
    text_out(out, ",\"netc.seed\":\"%" PRIu64 "\"", state->seed);
    put_count(out, "step", state->step);
    put_pair(out, "version", d->version);
    text_out(out, "}");
    return checksum_at;
}

bool checkpoint_writer_make(CheckpointWriter *writer, const Machine *machine, Fault *fault)
{
    const Description *d = machine->description;
    *writer = (CheckpointWriter){.machine = machine};
    if (!order_tensors(writer))
        return fault_memory(fault, d->buffers, "checkpoints");
    TextOut measure = {0}, metadata = {0};
    TrainingState state = {.options = d->options};
    put_tensors(writer, &measure);
    put_metadata(&metadata, d, &state);
    writer->tensor_bytes = measure.length;
    writer->header_size = LENGTH_FIELD + measure.length + metadata.length + HEADER_ALIGNMENT + 1 +
                          (size_t)(16 + d->options) * LONGEST_VALUE;
    writer->tensor_json = malloc(writer->tensor_bytes + 1);
    writer->header = malloc(writer->header_size);
    writer->block = malloc(WRITE_BLOCK);
    if (!writer->tensor_json || !writer->header || !writer->block)
        return fault_memory(fault, (int64_t)(writer->header_size + writer->tensor_bytes), "checkpoints");
    TextOut tensors = {writer->tensor_json, writer->tensor_bytes, 0};
    put_tensors(writer, &tensors);
    return true;
}

void checkpoint_writer_free(CheckpointWriter *writer)
{
    free(writer->buffer);
    free(writer->tensor_json);
    free(writer->header);
    free(writer->block);
    *writer = (CheckpointWriter){0};
}

static bool write_summed(OutputFile *file, Checksum *sum, const void *bytes, int64_t count, Fault *fault)
{
    checksum_add(sum, bytes, count);
    return output_write(file, bytes, count, fault);
}

static bool write_tensor(CheckpointWriter *writer, OutputFile *file, Checksum *sum, int buffer, Fault *fault)
{
    TensorView view = tensor_view(writer->machine, buffer, writer->machine->batch);
    int64_t size = element_row[view.element].bytes, most = WRITE_BLOCK / size;
    if (view.plain)
        return write_summed(file, sum, view.at, view.elements * size, fault);
    for (int64_t first = 0; first < view.elements; first += most) {
        int64_t count = view.elements - first < most ? view.elements - first : most;
        view_read(&view, first, count, writer->block);
        if (!write_summed(file, sum, writer->block, count * size, fault))
            return false;
    }
    return true;
}

bool checkpoint_save(CheckpointWriter *writer, const OutputFolder *folder, const char *name,
                     const TrainingState *state, Fault *fault)
{
    OutputFile file;
    Checksum sum = {0};
    TextOut out = {writer->header, writer->header_size, LENGTH_FIELD};
    size_t checksum_at = put_metadata(&out, writer->machine->description, state);
    text_out_bytes(&out, writer->tensor_json, writer->tensor_bytes);
    text_out_bytes(&out, "}", 1);
    while (out.length % HEADER_ALIGNMENT)
        text_out_bytes(&out, " ", 1);
    uint64_t length = out.length - LENGTH_FIELD;
    memcpy(writer->header, &length, LENGTH_FIELD);

    if (!output_begin(&file, folder, name, (int64_t)out.length + writer->data_bytes, fault) ||
        !write_summed(&file, &sum, writer->header, (int64_t)out.length, fault))
        return false;
    for (int i = 0; i < writer->tensors; i++)
        if (!write_tensor(writer, &file, &sum, writer->buffer[i], fault))
            return false;
    char digits[sizeof zero_checksum];
    text_format(digits, sizeof digits, "%016" PRIx64, checksum_value(&sum));
    return output_patch(&file, digits, (int64_t)strlen(digits), (int64_t)checksum_at, fault) &&
           output_finish(&file, fault);
}
