/* For tests: a Graph run node by node with plain loops, its meaning written by hand from the descriptions of the ops and
   never through their definitions, so that it can find errors in them. Every element is a Number (number.h). */
#ifndef NETC_TESTS_GRAPH_EVAL_H
#define NETC_TESTS_GRAPH_EVAL_H

#include "number.h"

typedef struct Tensor {
    DType dtype; /* f64 for f32 in the reference */
    int rank;
    int64_t extent[MAX_RANK], count;
    Number *at;   /* row-major */
    double depth; /* of the tree of additions behind an element; 0: not a sum */
} Tensor;

typedef struct Evaluation {
    Arena *arena;
    int64_t batch;
    int64_t nominal;   /* batch that fixes the trees of additions: the model's */
    bool reference;    /* f32 stands for f64 */
    Tensor **variable; /* by variable id, given by the caller: see evaluation_set */
    Tensor **node;     /* by node id, once graph_evaluate ran */
} Evaluation;

Evaluation evaluation_new(Arena *arena, const Model *model, int64_t batch, bool reference);

/* Values in logical order, as the element type rounds them; tangent may be NULL. */
void evaluation_set(Evaluation *e, const Variable *variable, const double *value, const double *tangent);

/* All nodes but GRADIENT, whose meaning is the derivative's: it must be expanded before. */
void graph_evaluate(Evaluation *e, const Graph *graph);

int64_t type_count(const Type *type, int64_t batch);

#endif
