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

const char checkpoint_best[] = "best.safetensors", checkpoint_last[] = "last.safetensors";
static const char checksum_key[] = "netc.checksum", slot_prefix[] = "optim.";
enum { CHECKSUM_DIGITS = 16, CHECKPOINT_BLOCK = 1 << 16 };

/* -- checking a whole file
 * -------------------------------------------------------------------------------------------- */

static const SafeText *find_checksum(const SafeHeader *header, bool *of_netc)
{
    const SafeText *found = NULL;
    for (int i = 0; i < header->texts; i++) {
        *of_netc = *of_netc || text_after(header->text[i].key, "netc.");
        if (strcmp(header->text[i].key, checksum_key) == 0)
            found = &header->text[i];
    }
    return found;
}

/* The sum is over the file with zeros in the sum's own place. */
static bool add_file(Checksum *sum, const InputFile *file, int64_t sum_at, char *block, Fault *fault)
{
    for (int64_t at = 0; at < file->bytes; at += CHECKPOINT_BLOCK) {
        int64_t count = file->bytes - at < CHECKPOINT_BLOCK ? file->bytes - at : CHECKPOINT_BLOCK;
        if (!input_read(file, block, count, at, fault))
            return false;
        for (int64_t i = sum_at; i < sum_at + CHECKSUM_DIGITS; i++)
            if (i >= at && i < at + count)
                block[i - at] = '0';
        checksum_add(sum, block, count);
    }
    return true;
}

/* A file that other software wrote needs none. */
static bool verify_checksum(const Checkpoint *checkpoint, Fault *fault)
{
    const InputFile *file = &checkpoint->file;
    bool of_netc = false;
    const SafeText *stored = find_checksum(&checkpoint->header, &of_netc);
    if (!of_netc)
        return true;
    Checksum sum = {0};
    char digits[CHECKSUM_DIGITS + 1], *block = malloc(CHECKPOINT_BLOCK);
    if (!block)
        return fault_memory(fault, CHECKPOINT_BLOCK, file->path);
    bool read = stored && add_file(&sum, file, stored->at, block, fault);
    free(block);
    if (stored && !read)
        return false;
    text_format(digits, sizeof digits, "%016" PRIx64, checksum_value(&sum));
    if (!stored || strcmp(digits, stored->value) != 0)
        return fault_set(fault, STATUS_INPUT, "%s is damaged: its checksum does not match its bytes",
                         file->path);
    return true;
}

bool checkpoint_open(Checkpoint *checkpoint, const char *path, Fault *fault)
{
    *checkpoint = (Checkpoint){.file.handle = -1};
    return input_open(&checkpoint->file, path, fault) &&
           safetensors_open(&checkpoint->header, &checkpoint->file, fault) &&
           verify_checksum(checkpoint, fault);
}

void checkpoint_close(Checkpoint *checkpoint)
{
    safetensors_free(&checkpoint->header);
    input_close(&checkpoint->file);
}

/* -- the state of training
 * ------------------------------------------------------------------------------------------- */

static bool state_fault(const Checkpoint *checkpoint, const char *key, Fault *fault)
{
    return fault_set(fault, STATUS_INPUT,
                     "%s: metadata '%s' is missing or wrong: training cannot go on from this file",
                     checkpoint->file.path, key);
}

static bool read_count(const Checkpoint *checkpoint, const char *key, int64_t least, int64_t *value,
                       Fault *fault)
{
    const char *text = safetensors_text(&checkpoint->header, key);
    char *end = NULL;
    *value = text && *text >= '0' && *text <= '9' ? (int64_t)strtoull(text, &end, 10) : -1;
    return (end && *end == '\0' && *value >= least && *value < INT64_MAX / 2) ||
           state_fault(checkpoint, key, fault);
}

static bool read_number(const Checkpoint *checkpoint, const char *key, double *value, Fault *fault)
{
    const char *text = safetensors_text(&checkpoint->header, key);
    char *end = NULL;
    *value = text ? strtod(text, &end) : NAN;
    return (end && end != text && *end == '\0') || state_fault(checkpoint, key, fault);
}

uint64_t checkpoint_seed(const Checkpoint *checkpoint)
{
    const char *text = safetensors_text(&checkpoint->header, "netc.seed");
    return text ? strtoull(text, NULL, 10) : 0;
}

static void option_key(char *key, size_t size, const Description *d, int option)
{
    text_format(key, size, "netc.option.%s", d->option[option].name);
}

bool checkpoint_state(const Checkpoint *checkpoint, const Description *description, TrainingState *state,
                      Fault *fault)
{
    const char *hash = safetensors_text(&checkpoint->header, "netc.graph_hash");
    if (!hash || strcmp(hash, description->hash) != 0)
        return fault_set(fault, STATUS_INPUT, "%s is of another program: graph hash %s, this program's is %s",
                         checkpoint->file.path, hash ? hash : "absent", description->hash);
    *state = (TrainingState){.seed = checkpoint_seed(checkpoint), .options = description->options};
    bool read = read_count(checkpoint, "netc.batch", 1, &state->batch, fault) &&
                read_count(checkpoint, "netc.epochs", 1, &state->epochs, fault) &&
                read_count(checkpoint, "netc.samples", 1, &state->samples, fault) &&
                read_count(checkpoint, "netc.step", 0, &state->step, fault) &&
                read_count(checkpoint, "netc.epoch", 0, &state->epoch, fault) &&
                read_count(checkpoint, "netc.best_epoch", 0, &state->best_epoch, fault) &&
                read_number(checkpoint, "netc.best", &state->best, fault) &&
                read_number(checkpoint, "netc.loss_sum", &state->loss_sum, fault);
    for (int i = 0; i < state->options && read; i++) {
        char key[200];
        option_key(key, sizeof key, description, i);
        read = read_number(checkpoint, key, &state->option[i], fault);
    }
    return read;
}

/* -- tensors into the machine
 * ------------------------------------------------------------------------------------------- */

static bool refuse_tensor(const Checkpoint *checkpoint, const Description *d, const char *name,
                          const char *why, Fault *fault)
{
    const char *hash = safetensors_text(&checkpoint->header, "netc.graph_hash");
    bool other = hash && strcmp(hash, d->hash) != 0;
    return fault_set(fault, STATUS_INPUT, "%s: tensor '%s' %s%s", checkpoint->file.path, name, why,
                     other ? "; this is a checkpoint of another network" : "");
}

static bool check_tensor(const Checkpoint *checkpoint, const Machine *machine, int buffer, Fault *fault)
{
    const Description *d = machine->description;
    const DescribedBuffer *b = &d->buffer[buffer];
    const SafeTensor *tensor = safetensors_find(&checkpoint->header, b->name);
    TensorView view = tensor_view(machine, buffer, machine->batch);
    if (!tensor)
        return refuse_tensor(checkpoint, d, b->name, "is missing", fault);
    if (strcmp(tensor->dtype, element_row[b->element].safetensors) != 0)
        return refuse_tensor(checkpoint, d, b->name, "has another element type", fault);
    if (tensor->rank != view.rank || memcmp(tensor->dim, view.dim, (size_t)view.rank * sizeof *view.dim) != 0)
        return refuse_tensor(checkpoint, d, b->name, "has another shape", fault);
    return true;
}

static bool is_slot(const char *name) { return text_after(name, slot_prefix); }

/* What the program has no place for makes it no checkpoint of this program. All that has one was found
   before, so counting tells. */
static bool check_rest(const Checkpoint *checkpoint, const Machine *machine, Fault *fault)
{
    const Description *d = machine->description;
    int places = 0, found = 0;
    for (int i = 0; i < d->buffers; i++)
        places += d->buffer[i].role <= ROLE_STATE;
    for (int i = 0; i < checkpoint->header.tensors; i++)
        found += !is_slot(checkpoint->header.tensor[i].name);
    for (int i = 0; i < checkpoint->header.tensors && found > places; i++) {
        const char *name = checkpoint->header.tensor[i].name;
        if (!is_slot(name) && description_find(d, ROLE_PARAM, name) < 0 &&
            description_find(d, ROLE_STATE, name) < 0)
            return refuse_tensor(checkpoint, d, name, "is none of this program's", fault);
    }
    return true;
}

static bool copy_tensor(const Checkpoint *checkpoint, const Machine *machine, int buffer, char *block,
                        Fault *fault)
{
    const SafeTensor *tensor =
        safetensors_find(&checkpoint->header, machine->description->buffer[buffer].name);
    TensorView view = tensor_view(machine, buffer, machine->batch);
    int64_t size = element_row[view.element].bytes, most = CHECKPOINT_BLOCK / size;
    for (int64_t first = 0; first < view.elements; first += most) {
        int64_t count = view.elements - first < most ? view.elements - first : most;
        if (!input_read(&checkpoint->file, block, count * size, tensor->begin + first * size, fault))
            return false;
        view_write(&view, first, count, block);
    }
    return true;
}

bool checkpoint_load(const Checkpoint *checkpoint, Machine *machine, bool slots, Fault *fault)
{
    const Description *d = machine->description;
    int last = slots ? ROLE_SLOT : ROLE_STATE;
    for (int i = 0; i < d->buffers; i++)
        if ((int)d->buffer[i].role <= last && !check_tensor(checkpoint, machine, i, fault))
            return false;
    if (!check_rest(checkpoint, machine, fault))
        return false;
    char *block = malloc(CHECKPOINT_BLOCK);
    bool done = block || fault_memory(fault, CHECKPOINT_BLOCK, checkpoint->file.path);
    for (int i = 0; i < d->buffers && done; i++)
        if ((int)d->buffer[i].role <= last)
            done = copy_tensor(checkpoint, machine, i, block, fault);
    free(block);
    return done;
}
