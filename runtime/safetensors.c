#include "system.h"

#include "checked.h"
#include "json.h"
#include "safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8 };

/* The element types of the format, with their bits: what netc does not compute with may still stand in a
 * file. */
static const struct {
    char name[12];
    unsigned char bits;
} dtype_row[] = {
    {"BOOL", 8},    {"F4", 4},          {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},   {"I8", 8},
    {"F8_E5M2", 8}, {"F8_E4M3", 8},     {"F8_E8M0", 8}, {"I16", 16},    {"U16", 16}, {"F8_E4M3FNUZ", 8},
    {"F16", 16},    {"F8_E5M2FNUZ", 8}, {"BF16", 16},   {"I32", 32},    {"U32", 32}, {"F32", 32},
    {"C64", 64},    {"F64", 64},        {"I64", 64},    {"U64", 64},
};

static bool tensor_fault(JsonReader *reader, const SafeTensor *tensor, const char *what)
{
    return fault_set(reader->fault, STATUS_INPUT, "%s: tensor '%s' %s", reader->path, tensor->name, what);
}

/* Room for one more in an array that doubles: what is taken follows what the header really holds. */
static bool make_room(JsonReader *reader, void **array, int count, size_t size)
{
    if (count & (count - 1)) /* room is made at 0, 1, 2, 4, 8, … */
        return true;
    size_t bytes = (count ? 2 * (size_t)count : 1) * size;
    void *larger = realloc(*array, bytes);
    if (!larger)
        return fault_memory(reader->fault, (int64_t)bytes, reader->path);
    *array = larger;
    return true;
}

static bool read_metadata(JsonReader *reader, SafeHeader *header)
{
    if (!json_expect(reader, '{'))
        return false;
    if (json_take(reader, '}'))
        return true;
    do {
        char *key, *value;
        if (!make_room(reader, (void **)&header->text, header->texts, sizeof *header->text) ||
            !json_string(reader, &key) || !json_expect(reader, ':') || !json_string(reader, &value))
            return false;
        header->text[header->texts++] = (SafeText){key, value, reader->origin + (value - reader->text)};
    } while (json_take(reader, ','));
    return json_expect(reader, '}');
}

static bool read_shape(JsonReader *reader, SafeTensor *tensor)
{
    if (!json_expect(reader, '['))
        return false;
    if (json_take(reader, ']'))
        return true;
    do {
        if (tensor->rank == SAFETENSORS_RANK)
            return tensor_fault(reader, tensor, "has too many dimensions");
        if (!json_count(reader, &tensor->dim[tensor->rank++]))
            return false;
    } while (json_take(reader, ','));
    return json_expect(reader, ']');
}

static bool read_offsets(JsonReader *reader, SafeTensor *tensor)
{
    return json_expect(reader, '[') && json_count(reader, &tensor->begin) && json_expect(reader, ',') &&
           json_count(reader, &tensor->end) && json_expect(reader, ']');
}

static bool check_tensor_bytes(JsonReader *reader, const SafeTensor *tensor, int bits)
{
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++)
        if (!checked_multiply(count, tensor->dim[i], &count))
            return tensor_fault(reader, tensor, "has a shape too large");
    if (!checked_multiply(count, bits, &count))
        return tensor_fault(reader, tensor, "has a shape too large");
    if (tensor->begin > tensor->end || count % 8 != 0 || count / 8 != tensor->end - tensor->begin)
        return tensor_fault(reader, tensor, "has other bytes than its shape says");
    return true;
}

static bool read_tensor(JsonReader *reader, SafeTensor *tensor)
{
    enum { HAS_DTYPE = 1, HAS_SHAPE = 2, HAS_OFFSETS = 4, HAS_ALL = 7 };
    int has = 0, bits = 0;
    if (!json_expect(reader, '{'))
        return false;
    do {
        char *key, *dtype;
        if (!json_string(reader, &key) || !json_expect(reader, ':'))
            return false;
        int bit = strcmp(key, "dtype") == 0          ? HAS_DTYPE
                  : strcmp(key, "shape") == 0        ? HAS_SHAPE
                  : strcmp(key, "data_offsets") == 0 ? HAS_OFFSETS
                                                     : 0;
        if (!bit || (has & bit))
            return tensor_fault(reader, tensor, bit ? "has a key twice" : "has an unknown key");
        has |= bit;
        if (bit == HAS_SHAPE ? !read_shape(reader, tensor)
                             : bit == HAS_OFFSETS && !read_offsets(reader, tensor))
            return false;
        if (bit == HAS_DTYPE) {
            if (!json_string(reader, &dtype))
                return false;
            for (size_t i = 0; i < sizeof dtype_row / sizeof *dtype_row; i++)
                if (strcmp(dtype, dtype_row[i].name) == 0)
                    bits = dtype_row[i].bits;
            tensor->dtype = dtype;
            if (!bits)
                return tensor_fault(reader, tensor, "has an unknown dtype");
        }
    } while (json_take(reader, ','));
    if (!json_expect(reader, '}'))
        return false;
    if (has != HAS_ALL)
        return tensor_fault(reader, tensor, "lacks dtype, shape or data_offsets");
    return check_tensor_bytes(reader, tensor, bits);
}

static bool read_entries(JsonReader *reader, SafeHeader *header)
{
    bool metadata = false;
    if (!json_expect(reader, '{'))
        return false;
    if (json_take(reader, '}'))
        return true;
    do {
        char *name;
        if (!json_string(reader, &name) || !json_expect(reader, ':'))
            return false;
        if (strcmp(name, "__metadata__") == 0) {
            if (metadata)
                return json_fault(reader, "__metadata__ stands twice");
            metadata = true;
            if (!read_metadata(reader, header))
                return false;
            continue;
        }
        if (!make_room(reader, (void **)&header->tensor, header->tensors, sizeof *header->tensor))
            return false;
        SafeTensor *tensor = &header->tensor[header->tensors++];
        *tensor = (SafeTensor){.name = name};
        if (!read_tensor(reader, tensor))
            return false;
    } while (json_take(reader, ','));
    return json_expect(reader, '}');
}

static int compare_offsets(const void *x, const void *y)
{
    const SafeTensor *a = x, *b = y;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    return (a->end > b->end) - (a->end < b->end);
}

static int compare_names(const void *x, const void *y)
{
    return strcmp(((const SafeTensor *)x)->name, ((const SafeTensor *)y)->name);
}

static int compare_keys(const void *x, const void *y)
{
    return strcmp(((const SafeText *)x)->key, ((const SafeText *)y)->key);
}

/* Without holes and without overlap, from the first byte after the header to the file's last. */
static bool check_cover(JsonReader *reader, SafeHeader *header, int64_t data_bytes)
{
    int64_t end = 0;
    if (header->tensors)
        qsort(header->tensor, (size_t)header->tensors, sizeof *header->tensor, compare_offsets);
    for (int i = 0; i < header->tensors; i++) {
        const SafeTensor *tensor = &header->tensor[i];
        if (tensor->begin != end)
            return tensor_fault(reader, tensor,
                                tensor->begin < end ? "overlaps another" : "leaves a hole before it");
        end = tensor->end;
    }
    if (end != data_bytes)
        return fault_set(reader->fault, STATUS_INPUT,
                         "%s: the tensors take %" PRId64 " bytes, the file has %" PRId64 " for them",
                         reader->path, end, data_bytes);
    return true;
}

static bool check_names(JsonReader *reader, SafeHeader *header)
{
    if (header->tensors)
        qsort(header->tensor, (size_t)header->tensors, sizeof *header->tensor, compare_names);
    for (int i = 1; i < header->tensors; i++)
        if (compare_names(&header->tensor[i - 1], &header->tensor[i]) == 0)
            return tensor_fault(reader, &header->tensor[i], "stands twice");
    if (header->texts)
        qsort(header->text, (size_t)header->texts, sizeof *header->text, compare_keys);
    for (int i = 1; i < header->texts; i++)
        if (compare_keys(&header->text[i - 1], &header->text[i]) == 0)
            return fault_set(reader->fault, STATUS_INPUT, "%s: metadata '%s' stands twice", reader->path,
                             header->text[i].key);
    return true;
}

bool safetensors_parse(SafeHeader *header, char *json, int64_t bytes, int64_t file_bytes, const char *path,
                       Fault *fault)
{
    *header = (SafeHeader){.json = json};
    JsonReader reader = {json, bytes, 0, LENGTH_BYTES, path, fault};
    if (bytes < 1 || json[0] != '{')
        return json_fault(&reader, "the header does not begin with '{'");
    if (!json_check_encoding(&reader) || !read_entries(&reader, header))
        return false;
    for (; reader.at < bytes; reader.at++)
        if (json[reader.at] != ' ')
            return json_fault(&reader, "text after the header's end");
    int64_t data = LENGTH_BYTES + bytes;
    if (!check_cover(&reader, header, file_bytes - data) || !check_names(&reader, header))
        return false;
    for (int i = 0; i < header->tensors; i++) {
        header->tensor[i].begin += data;
        header->tensor[i].end += data;
    }
    return true;
}

bool safetensors_open(SafeHeader *header, const InputFile *file, Fault *fault)
{
    uint64_t bytes;
    *header = (SafeHeader){0};
    if (file->bytes < LENGTH_BYTES)
        return fault_set(fault, STATUS_INPUT, "%s is no safetensors file: it has only %" PRId64 " bytes",
                         file->path, file->bytes);
    if (!input_read(file, &bytes, LENGTH_BYTES, 0, fault))
        return false;
    if (bytes > SAFETENSORS_MOST_HEADER || (int64_t)bytes > file->bytes - LENGTH_BYTES)
        return fault_set(fault, STATUS_INPUT,
                         "%s is no safetensors file, or cut off: byte 0: a header of %" PRIu64
                         " bytes in a file of %" PRId64,
                         file->path, bytes, file->bytes);
    char *json = malloc((size_t)bytes + 1);
    if (!json)
        return fault_memory(fault, (int64_t)bytes, file->path);
    header->json = json;
    return input_read(file, json, (int64_t)bytes, LENGTH_BYTES, fault) &&
           safetensors_parse(header, json, (int64_t)bytes, file->bytes, file->path, fault);
}

void safetensors_free(SafeHeader *header)
{
    free(header->tensor);
    free(header->text);
    free(header->json);
    *header = (SafeHeader){0};
}

const SafeTensor *safetensors_find(const SafeHeader *header, const char *name)
{
    SafeTensor key = {.name = name};
    return header->tensors ? bsearch(&key, header->tensor, (size_t)header->tensors, sizeof key, compare_names)
                           : NULL;
}

const char *safetensors_text(const SafeHeader *header, const char *key)
{
    SafeText wanted = {.key = key};
    const SafeText *found =
        header->texts ? bsearch(&wanted, header->text, (size_t)header->texts, sizeof wanted, compare_keys)
                      : NULL;
    return found ? found->value : NULL;
}
