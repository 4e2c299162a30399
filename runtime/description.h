/* The descriptor (descriptor.h) as structs. Its text comes from the compiler, which has asked description_check() whether
   it holds together; no later code checks that again. */
#ifndef NETC_DESCRIPTION_H
#define NETC_DESCRIPTION_H

#include "element.h"
#include "fault.h"

#include <stdio.h>

enum { DESCRIPTION_RANK = 8, DESCRIPTION_OPTIONS = 32 /* at most */ };

typedef struct Extent { /* count · batch^power */
    int64_t count;
    int power;
} Extent;

typedef enum BufferRole {
    ROLE_PARAM,
    ROLE_STATE,
    ROLE_SLOT,
    ROLE_METRIC,
    ROLE_INPUT,
    ROLE_SCALAR,
    ROLE_RESULT,
    ROLE_TRANSIENT,
    ROLE_COUNT
} BufferRole;

typedef struct DescribedBuffer {
    BufferRole role;
    const char *name;
    Element element;
    int rank;
    Extent dim[DESCRIPTION_RANK];
    int axis[DESCRIPTION_RANK]; /* from the outermost in memory to the innermost */
    int first, last;            /* calls */
    int64_t offset;             /* bytes in the arena, for batches up to the description's */
    int of;                     /* a slot's parameter; -1: none */
} DescribedBuffer;

typedef struct DescribedKernel {
    const char *name;
    int64_t outer, divisor; /* items = outer · ceil(extent / divisor) */
    Extent extent;
    double flops, bytes; /* at the description's batch */
} DescribedKernel;

typedef enum ResultRole { RESULT_IS_LOSS, RESULT_IS_METRIC, RESULT_IS_OUTPUT, RESULT_ROLES } ResultRole;

typedef struct DescribedResult {
    ResultRole role;
    const char *name;
    int buffer;
} DescribedResult;

typedef enum RunPhase {
    RUN_INIT,
    RUN_STEP,
    RUN_TEST,
    RUN_FINISH,
    RUN_PREPARE,
    RUN_PREDICT,
    RUN_PHASES
} RunPhase;

typedef struct DescribedPhase {
    int first, count; /* calls; none: the phase is absent */
    int64_t slice;    /* it is run for so many samples at a time; 0: for all */
    int results;
    DescribedResult *result;
} DescribedPhase;

typedef struct DescribedCall {
    int kernel;
    const char *name;
    int buffers, arguments; /* arguments without the batch */
    int *buffer;
    int64_t *argument;
    int step;       /* the argument, from 1, that is the number of the loop's step; 0: none */
    int loop_calls; /* a loop begins: so many calls, from this on, … */
    int64_t steps;  /* … are made so many times; of every call in it: how many times it is made */
} DescribedCall;

typedef struct SourceArgument {
    const char *name;
    const char *string; /* NULL: a number */
    double number;
} SourceArgument;

typedef struct DescribedSource {
    const char *split, *source; /* "train", "valid", "test"; "mnist" */
    int arguments;
    SourceArgument *argument;
} DescribedSource;

typedef struct DescribedOption {
    const char *name;
    int buffer;
} DescribedOption;

typedef struct Description {
    const char *model, *hash, *version, *cpu, *needs;
    int64_t batch;
    const char *training; /* NULL: the program does not train */
    int64_t epochs, patience;
    uint64_t seed;
    const char *best; /* metric; "": the first one, else the training loss */
    int sources, fields, options, buffers, kernels, calls;
    DescribedSource *source;
    int *field; /* buffers, in the order of the source's fields */
    DescribedOption *option;
    DescribedBuffer *buffer;
    DescribedKernel *kernel;
    DescribedPhase phase[RUN_PHASES];
    DescribedCall *call;
    void *memory;     /* all of the above */
    const char *said; /* see said.h; a descriptor that is text has none */
} Description;

NETC_ENTRY extern const char *const run_phase_name[RUN_PHASES];

/* False, with status 3 and the line, where the text is none or an id names nothing. The result is freed in either case. */
bool description_parse(Description *description, const char *text, Fault *fault);

/* Whether lives, sizes and kinds fit each other, too: false with status 3. */
bool description_check(const Description *description, Fault *fault);

/* "broken descriptor: WHAT: 'NAME'". Returns false. */
bool description_fault(Fault *fault, const char *what, const char *name);
void description_free(Description *description);

/* The value of the text's needs "…" without parsing the rest, for the check that must come before all else:
   points into `text`, `length` bytes; NULL if there is none. */
const char *description_needs(const char *text, size_t *length);

/* The following take a valid description and a batch ≥ 1; they are false where the value exceeds int64_t. */
bool extent_at(Extent extent, int64_t batch, int64_t *value);
NETC_ENTRY bool buffer_elements(const DescribedBuffer *buffer, int64_t batch, int64_t *elements);
NETC_ENTRY bool buffer_bytes(const DescribedBuffer *buffer, int64_t batch, int64_t *bytes);
bool kernel_items(const DescribedKernel *kernel, int64_t batch, int64_t *items);

/* How much of a call's work there is at a batch, as a share of that at the description's: the work grows with
   the batch if one of the call's buffers does. */
double call_share(const Description *description, int call, int64_t batch);

/* The buffer of that role and name, -1 if there is none. */
int description_find(const Description *description, BufferRole role, const char *name);

/* "u8[batch, 1, 28, 28]" */
NETC_ENTRY void buffer_print_type(FILE *out, const DescribedBuffer *buffer);

/* Whether one of the phase's calls names the buffer. */
NETC_ENTRY bool phase_touches(const Description *description, RunPhase phase, int buffer);

#endif
