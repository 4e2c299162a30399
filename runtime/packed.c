#include "system.h"

#include "packed.h"

#include <stdlib.h>
#include <string.h>
#if NETC_HAVE_ZLIB
#include <zlib.h>
#endif

CPU_BASELINE bool descriptor_is_packed(const char *descriptor)
{
    return !strncmp(descriptor, DESCRIPTOR_PACKED, strlen(DESCRIPTOR_PACKED));
}

char *descriptor_unpack(const char *descriptor, Fault *fault)
{
#if NETC_HAVE_ZLIB
    char *end;
    size_t bytes = strtoull(descriptor + strlen(DESCRIPTOR_PACKED), &end, 10);
    size_t packed = strtoull(end, &end, 10);
    unsigned long unpacked = bytes;
    char *text = bytes < SIZE_MAX ? malloc(bytes + 1) : NULL;
    if (!text) {
        fault_memory(fault, (int64_t)bytes, "the program's description");
        return NULL;
    }
    if (*end == '\n' && uncompress((Bytef *)text, &unpacked, (const Bytef *)end + 1, packed) == Z_OK &&
        unpacked == bytes) {
        text[bytes] = '\0';
        return text;
    }
    free(text);
#else
    (void)descriptor;
#endif
    fault_set(fault, STATUS_INTERNAL, "broken descriptor: it cannot be unpacked");
    return NULL;
}
