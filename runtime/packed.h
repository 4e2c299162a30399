/* A descriptor may lie packed in the program: a PackedHead and then a zlib stream of what the structs of
   description.h hold, so that the program need not read text. Only object files have it so: they are linked with a
   libnetrt.a that has zlib, while a C program may be built without. */
#ifndef NETC_PACKED_H
#define NETC_PACKED_H

#include "cpu.h"
#include "description.h"

typedef struct PackedHead {
    char mark[8]; /* PACKED_MARK with its 0; no text begins so */
    uint64_t list_bytes, plain_bytes, stream_bytes;
} PackedHead;

#define PACKED_MARK "\177packed" /* another one whenever the structs change */

CPU_BASELINE bool descriptor_is_packed(const char *descriptor);

/* The description is freed in either case. */
bool descriptor_unpack(Description *description, const char *descriptor, Fault *fault);

/* To be freed; NULL: no memory, or no zlib. */
char *descriptor_pack(const Description *description, size_t *bytes);

#endif
