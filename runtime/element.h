/* Element types: one row each, with its name in descriptors, in safetensors and in .npy files. */
#ifndef NETC_ELEMENT_H
#define NETC_ELEMENT_H

#include "system.h"

typedef enum Element {
    ELEMENT_BOOL,
    ELEMENT_I8,
    ELEMENT_U8,
    ELEMENT_I32,
    ELEMENT_U32,
    ELEMENT_I64,
    ELEMENT_F32,
    ELEMENT_F64,
    ELEMENT_COUNT
} Element;

typedef struct ElementRow {
    char name[5], safetensors[5], npy[4]; /* no pointers: they would need relocations */
    unsigned char bytes;
    bool is_float;
    int64_t least, most; /* of an integer */
} ElementRow;
NETC_ENTRY extern const ElementRow element_row[ELEMENT_COUNT];

NETC_ENTRY Element element_find(const char *name, size_t length); /* ELEMENT_COUNT if there is none */

/* One value; an i64 beyond 2^53 is rounded. */
double element_read(const void *at, Element element);
/* Stores a value, an integer's towards zero; the caller keeps it in range. */
void element_write(void *at, Element element, double value);

/* Copies `count` values from one type to another. False, at the first value that the target cannot hold;
   floats do not become integers. */
bool element_convert(void *to, Element target, const void *from, Element source, int64_t count);

#endif
