/* A descriptor may lie packed in the program: the line "netc-descriptor packed TEXT-BYTES PACKED-BYTES" and then the
   text as a zlib stream. Only object files have it so: they are linked with a libnetrt.a that has
   zlib, while a C program may be built without. */
#ifndef NETC_PACKED_H
#define NETC_PACKED_H

#include "cpu.h"
#include "fault.h"

#define DESCRIPTOR_PACKED "netc-descriptor packed "

CPU_BASELINE bool descriptor_is_packed(const char *descriptor);

/* The text, to be freed; NULL after a fault. */
char *descriptor_unpack(const char *descriptor, Fault *fault);

#endif
