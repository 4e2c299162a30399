/* A file as safetensors: its header is read or refused; what was read is within the file. */
#include "safetensors.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    Fault fault = {0};
    SafeHeader header;
    uint64_t length;
    if (size < 8)
        return 0;
    memcpy(&length, bytes, 8);
    length = length < size - 8 ? length
                               : size - 8; /* most guesses at the length would be refused before the parser */
    char *json = malloc(length + 1);
    memcpy(json, bytes + 8, length);
    if (safetensors_parse(&header, json, (int64_t)length, (int64_t)size, "fuzz", &fault)) {
        for (int i = 0; i < header.tensors; i++)
            if (header.tensor[i].begin < 8 || header.tensor[i].end > (int64_t)size ||
                safetensors_find(&header, header.tensor[i].name) != &header.tensor[i])
                abort();
    } else if (!fault.status)
        abort();
    safetensors_free(&header);
    return 0;
}
