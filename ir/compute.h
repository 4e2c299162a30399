/* The Compute: WHAT one kernel computes: axes, and for each store an address and a scalar expression over the axes.
   At most one reduction stands in it; nothing says how it loops. */
#ifndef NETC_COMPUTE_H
#define NETC_COMPUTE_H

#include "kernel.h"

enum { MAX_OUTPUT_AXES = 2 * MAX_RANK };

typedef struct ComputeAxis {
    Size extent;   /* or an upper bound, if `dynamic` */
    Expr *dynamic; /* the extent as an expression of earlier axes; NULL: `extent` */
} ComputeAxis;

typedef struct ComputeBuffer {
    int id; /* in program->buffer */
    DType dtype;
    bool read, written;
} ComputeBuffer;

typedef struct ComputeStore {
    int buffer; /* in compute->buffer */
    Expr *at, *value;
} ComputeStore;

typedef struct Compute {
    const char *name; /* path of what it computes, and the op: "conv1 conv" */
    Exprs *pool;
    LIST(ComputeAxis)
    axis; /* the first `outputs` are output axes, outermost in memory first; then reduced ones */
    int outputs;
    LIST(ComputeBuffer) buffer;
    LIST(int64_t) argument; /* constants of the call; EXPR_ARGUMENT i + 1 is argument.at[i] */
    LIST(ComputeStore) store;
    Expr *reduce; /* the REDUCE in the stores' values, or NULL */
    int phase;
    int loop;            /* of the phase's graph: computed once a step; 0: none */
    double flops, bytes; /* at the nominal batch */
    int chain; /* with its neighbours of the same number it becomes one kernel (passes/chain.c); 0: alone */
    int rows;  /* then so many leading axes number the chain's rows */
    int form; /* those of one form share all but names, buffers' ids and arguments' values; 0: none does (passes/form.h) */
} Compute;

void compute_print(Text *text, const Compute *compute);
const char *compute_fault(const Compute *compute); /* the first broken rule in words, or NULL */

/* Where the buffer of that id stands in compute->buffer; -1: nowhere. */
int compute_find_buffer(const Compute *compute, int id);

/* With expressions, axes, stores and buffers of its own. */
Compute *compute_copy(const Compute *compute);

/* Buffers that are neither read nor written leave the list; the others move up. */
void compute_drop_buffers(Compute *compute);

/* Whether the reduced axis runs over a shard: its length depends on the shard's number, but not on what is computed. */
bool compute_is_shard(const Compute *compute, int axis);

/* Whether the length of a reduced axis depends on the axis: then it is one row at a time. */
bool compute_bounds_terms(const Compute *compute, int axis);

bool compute_updates(const Compute *compute); /* whether it changes a buffer in place */

/* By output axis: after how many steps along it a choice of a stored value repeats itself, where `axis == constant` or
   `axis % constant == constant` decides it, and it is of few; else 1. False if that is so nowhere. */
bool compute_choices(const Compute *compute, int64_t period[MAX_OUTPUT_AXES]);

/* The REDUCE that an expression holds, NULL if it holds none. */
Expr *expr_find_reduce(Expr *e);
Expr *compute_find_reduce(const Compute *compute); /* in any of its stores */

#endif
