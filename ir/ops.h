/* What an op is made of: the three functions its row names. Included by the op families (ops_*.c), autodiff and lower. */
#ifndef NETC_OPS_H
#define NETC_OPS_H

#include "expr.h"
#include "graph.h"

/* A definition asks for the operands' elements and for reduced axes. Whether an operand's element is loaded or computed
   on the spot is the reader's business (passes/lower.c), not the op's. */
typedef struct Definer Definer;
struct Definer {
    Exprs *pool;
    const Model *model;
    Expr *(*read)(Definer *d, const Node *node, Expr *const *at);
    int (*axis)(Definer *d, Size extent, Expr *dynamic);
    Expr *(*argument)(Definer *d, int64_t value); /* a constant of the call, not of the kernel */
    Expr *where;                                  /* loads happen only where this holds; NULL: always */
};

/* The argument of a call that is the step of the loop it is in. */
#define ARGUMENT_STEP INT64_MIN

typedef struct OpRule {
    bool (*infer)(const Node *node, Type *type);
    Expr *(*define)(Definer *d, const Node *node, Expr *const *at);
    void (*gradient)(Graph *graph, Node *node, Node *dy, Node **dx);
} OpRule;
extern const OpRule op_rule[OP_COUNT];

/* What the definition makes of a number of an attribute: part of what is computed, a constant of the call, or nothing: the
   numbers of loops and states. */
typedef enum { ATTR_COMPUTED, ATTR_ARGUMENT, ATTR_NUMBER } AttrUse;
AttrUse op_attr_use(OpKind op, int attr, int place);

bool axes_valid(const Ints *axes, int rank); /* distinct axes of a tensor of that rank */

/* infer functions end in `return refuse("conv: kernel …", …)`. */
bool refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *shape_text(const Type *type); /* for such messages; valid until the eighth call after */

/* Reads an operand where `where` holds, else gives `otherwise`. */
Expr *read_where(Definer *d, const Node *node, Expr *const *at, Expr *where, Expr *otherwise);

/* Where operand k of a PAD or CONCAT begins within it, along each axis. */
Ints part_begin(const Node *node, int k);

/* The index into shape x of what stands at `at` in shape y: the same row-major order, another cut. */
void reshape_index(Exprs *pool, const Type *y, Expr *const *at, const Type *x, Expr **index);

/* The element of axis 0 that a STEP reads, or a STACK writes, in the present step. */
Expr *step_index(Definer *d, const Node *node);

/* A new reduced axis as an index; extent 1 has none: its index is 0. */
Expr *reduce_axis(Definer *d, Size extent);
void reduction_add(Reduction *reduction, const Expr *index);

/* How many places of the input a kernel of that many elements covers; saturating, for attributes may be anything. */
int64_t conv_reach(int64_t kernel, int64_t dilation);

/* Whether a convolution leaves out what it would multiply with rows of zeros: its input is padded above by `low` of them, and of
   so many rows itself. */
bool conv_border(const Node *node, int64_t *low, int64_t *rows);

/* The contraction's sum of a·b over axes (expressions of reduce_axis), in that order, by fma; axes[0] is cut into shards
   if it grows with the batch. */
enum { MAX_SHARDS = 8, SHARD_TERMS = 128 };

typedef struct ContractAxes {
    int count;
    Size extent[MAX_REDUCE_AXES];
    Expr *at[MAX_REDUCE_AXES]; /* set by contract_axes: the index along each */
    Reduction reduction;
} ContractAxes;
void contract_axes(Definer *d, ContractAxes *axes);

/* Every function that a row of ops.def names. no_gradient and no_derivative do nothing; the latter is no zero, but refused
   where it is asked for. */
#define OP(kind, name, inputs, class, attrs, infer_, define_, gradient_)                                     \
    bool infer_(const Node *node, Type *type);                                                               \
    Expr *define_(Definer *d, const Node *node, Expr *const *at);                                            \
    void gradient_(Graph *graph, Node *node, Node *dy, Node **dx);
#define MAP(kind, name, inputs, gradient_) void gradient_(Graph *graph, Node *node, Node *dy, Node **dx);
#include "ops.def"
#undef OP
#undef MAP
bool infer_map(const Node *node, Type *type);
Expr *define_map(Definer *d, const Node *node, Expr *const *at);

#endif
