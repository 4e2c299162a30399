/* The Program: kernels in order, buffers with their offsets in one arena. */
#ifndef NETC_PROGRAM_H
#define NETC_PROGRAM_H

#include "graph.h"
#include "kernel.h"
#include "target.h"

typedef enum {
    BUFFER_VARIABLE,
    BUFFER_PREPARED, /* made by phase `prepare`, lives to the end of `predict` */
    BUFFER_RESULT,
    BUFFER_TRANSIENT
} BufferKind;

enum { PANEL = 16 }; /* elements, on every CPU: layouts never depend on the target */

typedef struct Buffer {
    BufferKind kind;
    const char *name;
    Type type;          /* logical */
    int axes[MAX_RANK]; /* layout: logical axes from the outermost in memory to the innermost */
    int panel;          /* if not 0, the innermost axis is cut into panels of PANEL elements, whose number stands at place
                           panel - 1 of the order; its extent is whole panels */
    Variable *variable; /* VARIABLE, PREPARED */
    int first, last;    /* calls, in the program's order of all phases */
    int64_t offset;     /* bytes in the arena, at the planned batch */
} Buffer;

typedef struct Call {
    int kernel;        /* in program->kernel */
    int *buffer;       /* program->buffer ids, one a kernel buffer */
    int64_t *argument; /* kernel->arguments - 1 of them: without the batch */
    int step;          /* the kernel's argument, from 1, that is the number of the loop's step; 0: none */
    const char *name;  /* for people: the node's path */
} Call;

typedef struct ProgramResult {
    ResultKind kind;
    const char *name;
    int buffer;
} ProgramResult;

typedef struct ProgramLoop { /* calls that are made `length` times, one after the other */
    int first, count;
    int64_t length;
} ProgramLoop;

typedef struct ProgramPhase {
    int first, count; /* calls */
    LIST(ProgramResult) result;
} ProgramPhase;

typedef struct Program {
    Arena *arena;
    Model *model;
    const Target *target;  /* the CPU that the kernels are made for */
    LIST(Kernel *) kernel; /* different ones only */
    LIST(Buffer) buffer;
    LIST(Call) call;
    LIST(ProgramLoop) loop; /* in the order of calls; they do not overlap */
    ProgramPhase phase[PHASE_COUNT];
    int64_t slice; /* predictions are made of so many samples at a time; 0: of all */
    int64_t batch; /* planned for batches up to this */
    int64_t arena_bytes, bound_bytes;
    int bound_call;
} Program;

/* What a buffer takes at the planned batch: what predictions do not leave behind, for a slice only. */
int64_t program_buffer_bytes(const Program *program, const Buffer *buffer);
int64_t program_steps(const Program *program, int call); /* how often a phase makes the call */
void program_print(Text *text, const Program *program);  /* kernels and calls, for people: --emit=kernels */
void program_print_plan(Text *text, const Program *program); /* --emit=plan */
const char *program_fault(const Program *program);

/* The descriptor that the runtime reads: see runtime/descriptor.h. */
void program_descriptor(Text *text, const Program *program);

#endif
