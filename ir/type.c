#include "type.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const DTypeInfo dtype_info[DTYPE_COUNT] = {
#define DTYPE(kind, name, bytes, class, ctype) [DTYPE_##kind] = {name, #ctype, bytes, class},
#include "type.def"
#undef DTYPE
};

bool dtype_is_float(DType dtype) { return dtype_info[dtype].class == CLASS_FLOAT; }

DType dtype_find(const char *name)
{
    int d = 0;
    while (d < DTYPE_COUNT && strcmp(dtype_info[d].name, name))
        d++;
    return (DType)d;
}

Size size_of(int64_t count) { return (Size){count, 0}; }
bool size_equal(Size a, Size b) { return a.count == b.count && (a.power == b.power || a.count == 0); }
bool size_is_one(Size a) { return a.count == 1 && a.power == 0; }

bool size_multiply(Size a, Size b, Size *product)
{
    product->power = a.power + b.power;
    return !__builtin_mul_overflow(a.count, b.count, &product->count);
}

int64_t size_at(Size size, int64_t batch)
{
    int64_t value = size.count;
    for (int i = 0; i < size.power; i++)
        if (__builtin_mul_overflow(value, batch, &value))
            return INT64_MAX;
    return value;
}

Type type_scalar(DType dtype) { return (Type){.dtype = dtype}; }

Type type_like(DType dtype, const Type *shape)
{
    Type type = *shape;
    type.dtype = dtype;
    return type;
}

bool type_same_shape(const Type *a, const Type *b)
{
    if (a->rank != b->rank)
        return false;
    for (int d = 0; d < a->rank; d++)
        if (!size_equal(a->dim[d], b->dim[d]))
            return false;
    return true;
}

bool type_equal(const Type *a, const Type *b) { return a->dtype == b->dtype && type_same_shape(a, b); }

bool type_elements(const Type *type, Size *elements)
{
    *elements = size_of(1);
    for (int d = 0; d < type->rank; d++)
        if (type->dim[d].count < 0 || type->dim[d].count > MAX_DIM ||
            !size_multiply(*elements, type->dim[d], elements) || elements->count > MAX_ELEMENTS)
            return false;
    return true;
}

int64_t type_bytes(const Type *type, int64_t batch)
{
    Size elements;
    int64_t bytes;
    if (!type_elements(type, &elements) ||
        __builtin_mul_overflow(size_at(elements, batch), dtype_info[type->dtype].bytes, &bytes))
        return INT64_MAX;
    return bytes;
}

void size_print(Text *text, Size size)
{
    if (size.power == 0) {
        text_printf(text, "%lld", (long long)size.count);
        return;
    }
    if (size.count != 1)
        text_printf(text, "%lld*", (long long)size.count);
    text_add(text, "batch");
    if (size.power > 1)
        text_printf(text, "^%d", size.power);
}

void type_print(Text *text, const Type *type)
{
    text_printf(text, "%s[", dtype_info[type->dtype].name);
    for (int d = 0; d < type->rank; d++) {
        text_add(text, d ? ", " : "");
        size_print(text, type->dim[d]);
    }
    text_add(text, "]");
}

const char *size_parse(const char *at, Size *size)
{
    *size = size_of(1);
    if (*at >= '0' && *at <= '9') {
        char *end;
        errno = 0;
        size->count = strtoll(at, &end, 10);
        if (errno)
            return NULL;
        at = end;
        if (*at != '*')
            return at;
        at++;
    }
    if (strncmp(at, "batch", 5))
        return NULL;
    at += 5;
    size->power = 1;
    if (*at == '^') {
        if (at[1] < '2' || at[1] > '8')
            return NULL;
        size->power = at[1] - '0';
        at += 2;
    }
    return at;
}

const char *type_parse(const char *at, Type *type)
{
    char name[8];
    size_t length = strcspn(at, "[");
    if (length >= sizeof name || !at[length])
        return NULL;
    memcpy(name, at, length);
    name[length] = 0;
    *type = type_scalar(dtype_find(name));
    if (type->dtype == DTYPE_COUNT)
        return NULL;
    at += length + 1;
    while (*at != ']') {
        if (type->rank == MAX_RANK || (type->rank && strncmp(at, ", ", 2)))
            return NULL;
        at = size_parse(type->rank ? at + 2 : at, &type->dim[type->rank]);
        if (!at)
            return NULL;
        type->rank++;
    }
    return at + 1;
}
