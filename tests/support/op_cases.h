/* For tests: at least one row for every op (op_cases.def): operands, attributes, and, for tiny ones, values by hand. The same
   rows serve the tests of values and of derivatives. */
#ifndef NETC_TESTS_OP_CASES_H
#define NETC_TESTS_OP_CASES_H

#include "graph.h"

typedef struct Values {
    int count;
    const double *at;
} Values;

typedef struct Range {
    double low, high;
} Range;

typedef struct OpCase {
    OpKind op;
    const char *what;
    Type in[MAX_INPUTS];
    Ints attr[MAX_ATTRS];
    Type type;                      /* of the result, where the op cannot infer it */
    double value;                   /* CONST, PAD: the node's */
    Range range[MAX_INPUTS];        /* of the operands' values; 0 … 0: as the fill likes */
    Values given[MAX_INPUTS], want; /* by hand; want.count 0: no values by hand */
} OpCase;

extern const OpCase op_case[];
extern const int op_case_count;

extern const OpCase op_refused[]; /* op_refused.def: what op_case_build gives NULL for */
extern const int op_refused_count;

/* A model whose phase `predict` has the result "y" of the case; operands are the variables "a", "b", "c". GRADIENT stands for
   the gradient of the sum of a · a. Returns the result's node. */
Node *op_case_build(const OpCase *c, Model *model);

const char *op_case_name(int operand);

/* Whether a size of the case is the batch. */
bool op_case_grows(const OpCase *c);

#endif
