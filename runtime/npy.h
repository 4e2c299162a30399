/* .npy files: arrays as NumPy writes them. Reads versions 1.0 to 3.0, both orders; writes 1.0, in C order. */
#ifndef NETC_NPY_H
#define NETC_NPY_H

#include "element.h"
#include "file.h"

enum { NPY_RANK = 8 };

typedef struct NpyArray {
    Element element;
    int rank;
    int64_t dim[NPY_RANK];
    int64_t elements;
    unsigned char *value; /* C order; of malloc */
} NpyArray;

/* Free array->value where it is true. */
bool npy_read(NpyArray *array, const char *path, Fault *fault);

/* The same from the bytes of a file, which are changed. */
bool npy_parse(NpyArray *array, unsigned char *bytes, int64_t size, const char *path, Fault *fault);

/* Begins a new file of that shape; the values follow by output_write() and output_finish(). */
bool npy_begin(OutputFile *file, const OutputFolder *folder, const char *name, Element element, int rank,
               const int64_t *dim, Fault *fault);

#endif
