/* A file as IDX, packed or not: it is read or refused; what was read is as long as its sizes say. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "source_idx.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char path[40];
    int file = memfd_create("fuzz", 0);
    if (file < 0 || write(file, bytes, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    for (int rank = 1; rank <= 3; rank += 2) {
        Fault fault = {0};
        IdxFile idx;
        DataSet set = {0};
        unsigned sum = 0;
        bool read = idx_read(&idx, path, rank, &set, &fault);
        for (int64_t i = 0; read && i < idx.bytes; i++)
            sum += idx.value[i];
        if (read == (fault.status != 0) || sum > 255 * (uint64_t)idx.bytes)
            abort();
        dataset_close(&set);
    }
    close(file);
    return 0;
}
