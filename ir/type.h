/* Element types, sizes and tensor types. A size is count · batch^power: batch is the one run-time size. */
#ifndef NETC_TYPE_H
#define NETC_TYPE_H

#include "text.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum { CLASS_BOOL, CLASS_SIGNED, CLASS_UNSIGNED, CLASS_FLOAT } DTypeClass;

typedef enum DType {
#define DTYPE(kind, name, bytes, class, ctype) DTYPE_##kind,
#include "type.def"
#undef DTYPE
    DTYPE_COUNT
} DType;

typedef struct {
    const char *name;  /* in the language: "f32" */
    const char *ctype; /* in C: "float" */
    int bytes;
    DTypeClass class;
} DTypeInfo;

extern const DTypeInfo dtype_info[DTYPE_COUNT];
bool dtype_is_float(DType dtype);
DType dtype_find(const char *name); /* DTYPE_COUNT if there is none */

typedef struct Size {
    int64_t count;
    int power; /* of batch: 0 or 1, rarely 2 */
} Size;

enum { MAX_RANK = 8 };
/* Reliability rule S2: no dimension above 2^40, no tensor above 2^48 elements (at batch 1). */
#define MAX_DIM ((int64_t)1 << 40)
#define MAX_ELEMENTS ((int64_t)1 << 48)

typedef struct Type {
    DType dtype;
    int rank;
    Size dim[MAX_RANK];
} Type;

Size size_of(int64_t count); /* a compile-time size */
bool size_equal(Size a, Size b);
bool size_is_one(Size a);
bool size_multiply(Size a, Size b, Size *product); /* false on overflow */
int64_t size_at(Size size, int64_t batch);         /* its value, saturating at INT64_MAX */

Type type_scalar(DType dtype);
Type type_like(DType dtype, const Type *shape); /* same dimensions, another element */
bool type_equal(const Type *a, const Type *b);
bool type_same_shape(const Type *a, const Type *b);
bool type_elements(const Type *type, Size *elements); /* false where S2 is broken */
int64_t type_bytes(const Type *type, int64_t batch);

/* "f32[batch, 1, 28, 28]", "f32[]"; a size is "28", "batch", "4*batch", "2*batch^2". */
void type_print(Text *text, const Type *type);
void size_print(Text *text, Size size);
/* Reads what type_print writes; returns the first byte after it, NULL if it is none. */
const char *type_parse(const char *at, Type *type);
const char *size_parse(const char *at, Size *size);

#endif
