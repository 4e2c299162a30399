/* The Kernel: the loops that every backend prints or runs. All expressions are trees by now (shared values are bound by
   LET), scalar functions are primitive rows, and vectors are explicit.
   A kernel's work is `items` independent items; every backend makes of it
       void NAME(void *const *buffer, const int64_t *argument, int64_t begin, int64_t end)
   which does the items [begin, end): buffer[i] is the first element of buffer i, argument[0] the batch. A buffer that a
   kernel writes shares no byte with another of the same call: what is changed in place is one buffer, read and written. */
#ifndef NETC_KERNEL_H
#define NETC_KERNEL_H

#include "expr.h"

typedef struct Stmt Stmt;

typedef enum StmtKind {
    STMT_FOR, /* axis `index` from 0 below `extent` (i64), body */
    STMT_IF,  /* condition in `value`, body */
    STMT_LET, /* temp `index` := value; once, before its uses, in their block or one around */
    STMT_SET, /* local `index`, element `at` := value (a vector: lanes consecutive elements) */
    STMT_STORE, /* buffer `index`, element `at` := value; a vector's `at` is a RAMP (stride 1: contiguous) or any vector */
    STMT_PREFETCH, /* buffer `index`: the element `at` is used soon; changes nothing */
} StmtKind;

typedef enum LoopKind { LOOP_SERIAL, LOOP_UNROLL, LOOP_VECTOR } LoopKind;

struct Stmt {
    StmtKind kind;
    LoopKind loop;
    int index;
    Expr *extent, *at, *value;
    Stmt *body, *next;
};

typedef struct Local { /* a small array of the item's own */
    DType dtype;
    int64_t count; /* elements; of lanes each */
    int lanes;     /* 1: SET and LOCAL address scalars; else: whole vectors, `at` counts vectors */
    const char *name;
} Local;

typedef struct KernelBuffer {
    DType dtype;
    bool read, written;
    bool made; /* every element that is read was written before, by the same item */
} KernelBuffer;

/* items = outer · ceil(size / divisor), at the call's batch. */
typedef struct Items {
    int64_t outer;
    Size size;
    int64_t divisor;
} Items;

typedef struct Kernel {
    const char *name;    /* an identifier, unique in the program */
    const char *comment; /* what it computes and by which schedule, for people */
    Exprs *pool;
    LIST(KernelBuffer) buffer;
    LIST(Local) local;
    LIST(DType) temp; /* element type of each temp */
    LIST(int) temp_lanes;
    int axes;      /* loop variables are 0 … axes-1 */
    int arguments; /* ≥ 1 */
    Items items;
    int item_axis; /* the axis that takes the values begin … end-1; -1: there is one item */
    Stmt *body;
    bool once;           /* it runs when a program starts, and had better be small than fast */
    bool tuned;          /* by a schedule that was measured, from a tune file */
    double flops, bytes; /* at the nominal batch: for summary, bench and the choice whether to use threads */
} Kernel;

int64_t items_at(Items items, int64_t batch);
void kernel_print(Text *text, const Kernel *kernel);
const char *kernel_fault(const Kernel *kernel); /* the first broken rule in words, or NULL */

#endif
