#include "system.h"

#include "checked.h"
#include "npy.h"
#include "text_out.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NPY_MOST_BYTES = 1 << 30, NPY_MAGIC = 6, NPY_ALIGNMENT = 64 };
static const char npy_magic[] = "\x93NUMPY";

/* The header is a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } */
typedef struct NpyHeader {
    const char *at, *end;
    const char *path;
    Fault *fault;
} NpyHeader;

static bool npy_fault(NpyHeader *header, const char *what)
{
    return fault_set(header->fault, STATUS_INPUT, "%s: %s in the .npy header", header->path, what);
}

static bool npy_take(NpyHeader *header, const char *token)
{
    while (header->at < header->end && (*header->at == ' ' || *header->at == '\n'))
        header->at++;
    size_t length = strlen(token);
    if ((size_t)(header->end - header->at) < length || memcmp(header->at, token, length) != 0)
        return false;
    header->at += length;
    return true;
}

static bool read_descr(NpyHeader *header, NpyArray *array)
{
    if (!npy_take(header, "'"))
        return npy_fault(header, "a type that is no plain number");
    for (int i = 0; i < ELEMENT_COUNT; i++)
        if (npy_take(header, element_row[i].npy)) {
            array->element = (Element)i;
            return npy_take(header, "'") || npy_fault(header, "an unknown type");
        }
    return npy_fault(header, "an unknown type (known: f4 f8 i1 i4 i8 u1 u4 b1, little-endian)");
}

static bool read_npy_shape(NpyHeader *header, NpyArray *array)
{
    if (!npy_take(header, "("))
        return npy_fault(header, "no shape");
    while (!npy_take(header, ")")) {
        int64_t size = 0;
        const char *begin = header->at;
        for (; header->at < header->end && *header->at >= '0' && *header->at <= '9'; header->at++)
            if (!checked_multiply(size, 10, &size) || !checked_add(size, *header->at - '0', &size))
                return npy_fault(header, "a size too large");
        if (header->at == begin || array->rank == NPY_RANK)
            return npy_fault(header, "a bad shape");
        array->dim[array->rank++] = size;
        if (!npy_take(header, ",") && (header->at == header->end || *header->at != ')'))
            return npy_fault(header, "a bad shape");
    }
    return true;
}

static bool read_dictionary(NpyHeader *header, NpyArray *array, bool *fortran)
{
    enum { DESCR = 1, ORDER = 2, SHAPE = 4, ALL = 7 };
    int has = 0;
    if (!npy_take(header, "{"))
        return npy_fault(header, "no dictionary");
    while (!npy_take(header, "}")) {
        int key = npy_take(header, "'descr':")           ? DESCR
                  : npy_take(header, "'fortran_order':") ? ORDER
                  : npy_take(header, "'shape':")         ? SHAPE
                                                         : 0;
        if (!key || (has & key))
            return npy_fault(header, "an unknown or repeated key");
        has |= key;
        if (key == DESCR ? !read_descr(header, array) : key == SHAPE && !read_npy_shape(header, array))
            return false;
        if (key == ORDER) {
            *fortran = npy_take(header, "True");
            if (!*fortran && !npy_take(header, "False"))
                return npy_fault(header, "a bad fortran_order");
        }
        npy_take(header, ",");
    }
    return has == ALL || npy_fault(header, "a key missing");
}

/* Fortran order holds the first axis innermost. */
static bool to_c_order(NpyArray *array, const unsigned char *from, Fault *fault, const char *path)
{
    size_t size = (size_t)element_row[array->element].bytes;
    unsigned char *out = array->value = malloc((size_t)array->elements * size + 1);
    if (!out)
        return fault_memory(fault, array->elements * (int64_t)size, path);
    int64_t index[NPY_RANK] = {0};
    for (int64_t i = 0; i < array->elements; i++, out += size) {
        int64_t at = 0;
        for (int r = array->rank - 1; r >= 0; r--)
            at = at * array->dim[r] + index[r];
        memcpy(out, from + (size_t)at * size, size);
        for (int r = array->rank - 1; r >= 0 && ++index[r] == array->dim[r]; r--)
            index[r] = 0;
    }
    return true;
}

bool npy_parse(NpyArray *array, unsigned char *bytes, int64_t size, const char *path, Fault *fault)
{
    *array = (NpyArray){.elements = 1};
    if (size < 12 || memcmp(bytes, npy_magic, NPY_MAGIC) != 0 || bytes[6] < 1 || bytes[6] > 3)
        return fault_set(fault, STATUS_INPUT, "%s is no .npy file", path);
    int64_t begin = bytes[6] == 1 ? 10 : 12, length = bytes[8] | bytes[9] << 8;
    if (bytes[6] > 1)
        length |= (int64_t)bytes[10] << 16 | (int64_t)bytes[11] << 24;
    if (length > size - begin)
        return fault_set(fault, STATUS_INPUT, "%s: cut off in the header", path);

    NpyHeader header = {(char *)bytes + begin, (char *)bytes + begin + length, path, fault};
    bool fortran = false;
    if (!read_dictionary(&header, array, &fortran))
        return false;
    npy_take(&header, "");
    if (header.at != header.end)
        return npy_fault(&header, "text after the dictionary");
    int64_t data = size - begin - length, wanted = 0;
    for (int i = 0; i < array->rank; i++)
        if (!checked_multiply(array->elements, array->dim[i], &array->elements))
            return npy_fault(&header, "a shape too large");
    if (!checked_multiply(array->elements, element_row[array->element].bytes, &wanted) || wanted != data)
        return fault_set(fault, STATUS_INPUT,
                         "%s: byte %" PRId64 ": %" PRId64 " bytes of data, the shape needs %" PRId64, path,
                         begin + length, data, wanted);
    if (fortran)
        return to_c_order(array, bytes + begin + length, fault, path);
    array->value = malloc((size_t)data + 1);
    if (!array->value)
        return fault_memory(fault, data, path);
    memcpy(array->value, bytes + begin + length, (size_t)data);
    return true;
}

bool npy_read(NpyArray *array, const char *path, Fault *fault)
{
    InputFile file;
    if (!input_open(&file, path, fault))
        return false;
    unsigned char *bytes = input_load(&file, NPY_MOST_BYTES, fault);
    bool done = bytes && npy_parse(array, bytes, file.bytes, path, fault);
    free(bytes);
    input_close(&file);
    return done;
}

bool npy_begin(OutputFile *file, const OutputFolder *folder, const char *name, Element element, int rank,
               const int64_t *dim, Fault *fault)
{
    char head[512];
    TextOut out = {head, sizeof head, 0};
    int64_t bytes = element_row[element].bytes;
    text_out_bytes(&out, npy_magic, NPY_MAGIC);
    text_out_bytes(&out, "\1\0\0\0", 4);
    text_out(&out, "{'descr': '%s', 'fortran_order': False, 'shape': (", element_row[element].npy);
    for (int i = 0; i < rank; i++) {
        text_out(&out, "%s%" PRId64, i ? ", " : "", dim[i]);
        if (!checked_multiply(bytes, dim[i], &bytes))
            return fault_set(fault, STATUS_INPUT, "%s: too many values", name);
    }
    text_out(&out, rank == 1 ? ",), }" : "), }");
    while (out.length % NPY_ALIGNMENT != NPY_ALIGNMENT - 1)
        text_out_bytes(&out, " ", 1);
    text_out_bytes(&out, "\n", 1);
    head[8] = (char)((out.length - 10) & 0xff);
    head[9] = (char)((out.length - 10) >> 8);
    return output_begin(file, folder, name, (int64_t)out.length + bytes, fault) &&
           output_write(file, head, (int64_t)out.length, fault);
}
