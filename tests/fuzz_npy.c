/* A file as .npy: it is read or refused. */
#include "npy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    Fault fault = {0};
    NpyArray array;
    unsigned char *copy = malloc(size + 1);
    memcpy(copy, bytes, size);
    bool read = npy_parse(&array, copy, (int64_t)size, "fuzz", &fault);
    if (read == (fault.status != 0))
        abort();
    if (read)
        free(array.value);
    free(copy);
    return 0;
}
