#include "system.h"

#include "element.h"

#include <string.h>

const ElementRow element_row[ELEMENT_COUNT] = {
    [ELEMENT_BOOL] = {"bool", "BOOL", "|b1", 1, false, 0, 1},
    [ELEMENT_I8] = {"i8", "I8", "|i1", 1, false, INT8_MIN, INT8_MAX},
    [ELEMENT_U8] = {"u8", "U8", "|u1", 1, false, 0, UINT8_MAX},
    [ELEMENT_I32] = {"i32", "I32", "<i4", 4, false, INT32_MIN, INT32_MAX},
    [ELEMENT_U32] = {"u32", "U32", "<u4", 4, false, 0, UINT32_MAX},
    [ELEMENT_I64] = {"i64", "I64", "<i8", 8, false, INT64_MIN, INT64_MAX},
    [ELEMENT_F32] = {"f32", "F32", "<f4", 4, true, 0, 0},
    [ELEMENT_F64] = {"f64", "F64", "<f8", 8, true, 0, 0},
};

Element element_find(const char *name, size_t length)
{
    int element = 0;
    while (element < ELEMENT_COUNT && (strlen(element_row[element].name) != length ||
                                       memcmp(element_row[element].name, name, length) != 0))
        element++;
    return (Element)element;
}

/* Any unaligned place will do: files hold values wherever they fall. */
static int64_t read_integer_at(const void *at, Element element)
{
    union {
        uint8_t u8;
        int8_t i8;
        int32_t i32;
        uint32_t u32;
        int64_t i64;
    } value;
    memcpy(&value, at, (size_t)element_row[element].bytes);
    switch (element) {
    case ELEMENT_I8:
        return value.i8;
    case ELEMENT_I32:
        return value.i32;
    case ELEMENT_U32:
        return value.u32;
    case ELEMENT_I64:
        return value.i64;
    default:
        return value.u8;
    }
}

static void write_integer_at(void *at, Element element, int64_t value)
{
    memcpy(at, &value, (size_t)element_row[element].bytes); /* little-endian: the low bytes come first */
}

double element_read(const void *at, Element element)
{
    float single;
    double value;
    switch (element) {
    case ELEMENT_F32:
        memcpy(&single, at, sizeof single);
        return (double)single;
    case ELEMENT_F64:
        memcpy(&value, at, sizeof value);
        return value;
    default:
        return (double)read_integer_at(at, element);
    }
}

void element_write(void *at, Element element, double value)
{
    float single = (float)value;
    if (element == ELEMENT_F32)
        memcpy(at, &single, sizeof single);
    else if (element == ELEMENT_F64)
        memcpy(at, &value, sizeof value);
    else
        write_integer_at(at, element, (int64_t)value);
}

bool element_convert(void *to, Element target, const void *from, Element source, int64_t count)
{
    const ElementRow *t = &element_row[target], *s = &element_row[source];
    char *out = to;
    const char *in = from;
    if (target == source) {
        if (count)
            memcpy(out, in, (size_t)count * (size_t)t->bytes);
        return true;
    }
    if (s->is_float && !t->is_float)
        return count == 0;
    for (int64_t i = 0; i < count; i++, in += s->bytes, out += t->bytes) {
        if (t->is_float) {
            element_write(out, target, element_read(in, source));
            continue;
        }
        int64_t value = read_integer_at(in, source);
        if (value < t->least || value > t->most)
            return false;
        write_integer_at(out, target, value);
    }
    return true;
}
