/* What went wrong, in words and as an exit status. Set once, where it is noticed; callers only return false.
 */
#ifndef NETC_FAULT_H
#define NETC_FAULT_H

#include "system.h"

typedef enum Status {
    STATUS_OK = 0,
    STATUS_INPUT = 1,    /* data, checkpoint, disk or folder at fault; memory short */
    STATUS_USAGE = 2,    /* the command line */
    STATUS_INTERNAL = 3, /* the compiler or the runtime */
    STATUS_MISSING = 4,  /* a library, a driver or a CPU feature */
    STATUS_NAN = 5,
    STATUS_INTERRUPTED = 128, /* plus the signal's number */
} Status;

typedef struct Fault {
    int status; /* STATUS_OK: none */
    char text[1000];
} Fault;

/* Sets the fault unless there is one already, for the first is the cause. Returns false. */
NETC_ENTRY bool fault_set(Fault *fault, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "DOING PATH: what errno says", status 1. Returns false. */
bool fault_errno(Fault *fault, const char *doing, const char *path);

NETC_ENTRY bool fault_memory(Fault *fault, int64_t bytes, const char *what);

#endif
