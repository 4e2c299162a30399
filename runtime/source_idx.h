/* IDX files, the format of MNIST: 0, 0, type, rank; rank sizes as big-endian u32; the values. Gzipped or not.
 */
#ifndef NETC_SOURCE_IDX_H
#define NETC_SOURCE_IDX_H

#include "source.h"

enum { IDX_RANK = 4 };

typedef struct IdxFile {
    int rank;
    int64_t dim[IDX_RANK];
    int64_t bytes;  /* of all values, unsigned bytes */
    int64_t origin; /* of the first value, unpacked */
    const unsigned char *value;
} IdxFile;

/* Reads a file of that rank into memory of the set. False after a fault that names the file and the place. */
bool idx_read(IdxFile *idx, const char *path, int rank, DataSet *set, Fault *fault);

#endif
