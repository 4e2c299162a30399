/* How a definition's operands become expressions: a node in memory is loaded, any other is computed on the
   spot. Fusion is the absence of a buffer: here is where that happens. */
#ifndef NETC_READER_H
#define NETC_READER_H

#include "ops.h"
#include "passes.h"

typedef struct Reader {
    Definer definer; /* first: a Definer of this kind is a Reader */
    const Compilation *c;
    int phase;
    Compute *compute; /* gets axes, buffers and arguments */
    const Node *root; /* computed here although it is in memory */
    ReaderMemos *memos;
    int generation; /* of the memos: those of earlier readers do not count */
} Reader;

Reader reader_new(Compilation *c, int phase, Compute *compute);

/* The element of `node` at logical indices, as the kernel of `root` computes it (NULL: a kernel that reads what is in
   memory). */
Expr *reader_define(Reader *r, const Node *root, const Node *node, Expr *const *at);

/* The address of an element in a buffer of that type and layout: order of axes, and panels, as in Buffer. */
Expr *layout_address(Exprs *pool, const Type *type, const int *axes, int panel, Expr *const *at);

/* A compute's loops in the order of a layout: where at[axis] is NULL, the index along that axis, made of a new output axis,
   or of two where the layout has panels. */
void layout_loops(Arena *arena, Compute *compute, const Type *type, const int *axes, int panel, Expr **at);

/* The same as layout_address of a node in memory; places by node id. */
Expr *place_address(Definer *d, const NodePlace *places, const Node *node, Expr *const *at);

/* A kernel of a loop: a node in memory, as of the present step, goes to a buffer. lower.c */
Compute *lower_step_copy(Compilation *c, int phase, int loop, const Node *node, int to);

/* Index of a program buffer in the compute's list, adding it if need be. */
int compute_buffer(Compilation const *c, Compute *compute, int id, DType dtype);

/* The index of `root` at the place where `reducer`, inlined into it, is at `at`. */
void index_upwards(Exprs *pool, const Compilation *c, int phase, const Node *root, const Node *reducer,
                   Expr *const *at, Expr **index);

/* Whether root's element is made of reducer's through maps and bijective views only. */
bool is_transparent(const Node *node);

#endif
