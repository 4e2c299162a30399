/* What autodiff.c (the walk backwards) and autodiff_loop.c (through loops) share. */
#ifndef NETC_AUTODIFF_H
#define NETC_AUTODIFF_H

#include "rewrite.h"

typedef struct Again { /* of a loop: computed anew in the backward loop, what it was in the forward one */
    const Node *forward, *again;
    int loop, back;
    int64_t length;
} Again;

typedef struct Backward {
    const Node *loss; /* of the old graph */
    Node **adjoint;   /* by the new graph's ids below `count`, once walked */
    int count;
    const bool *dependent; /* by id: a gradient must flow through it */
    const int *loop;       /* by id: the loop it is in; 0: none */
    Node **next;           /* by id, of a loop's state: its next value */
    LIST(Again) again;
    const char *without; /* an op without a derivative through which one must flow, at */
    Span span;
} Backward;

/* The op's rule: dx of a node whose adjoint is dy. */
void backward_rule(Graph *graph, Backward *b, Node *node, Node *dy, Node **dx);

void backward_add(Graph *graph, Backward *b, const Node *to, Node *adjoint);

/* Through a whole loop, once the adjoints of all that leaves it are known: a loop over the same steps from the last to the
   first. */
void backward_loop(Graph *graph, Backward *b, int loop);

/* Reductions and contractions of the forward loop are not computed again: the rewritten graph keeps them in a stack. */
Graph *backward_loop_keep(Graph *graph, Backward *b);

#endif
