/* Scalar expressions: what one element is, as a DAG in which equal expressions are one node.
   The same nodes serve a Compute (with REDUCE, logical axes) and a Kernel (with LOCAL and TEMP, loops). */
#ifndef NETC_EXPR_H
#define NETC_EXPR_H

#include "arena.h"
#include "text.h"
#include "type.h"

typedef enum ScalarOp {
#define SCALAR(kind, name, arity, result, c, llvm, value) SCALAR_##kind,
#define EXPAND(kind, name, arity, expand, value) SCALAR_##kind,
#include "scalar.def"
#undef SCALAR
#undef EXPAND
    SCALAR_COUNT
} ScalarOp;

typedef struct Expr Expr;
typedef struct Exprs Exprs; /* the pool in which equal expressions are one */

typedef struct ScalarInfo {
    const char *name;
    const char *c; /* NULL: an expanding row */
    int arity;
    bool boolean;                                 /* the result is bool whatever the operands */
    Expr *(*expand)(Exprs *pool, Expr **operand); /* see scalar_expand.h; NULL: a primitive row */
} ScalarInfo;
extern const ScalarInfo scalar_info[SCALAR_COUNT];
ScalarOp scalar_find(const char *name); /* SCALAR_COUNT if there is none */

typedef enum ExprKind {
    EXPR_CONST,    /* integer or real, by dtype */
    EXPR_AXIS,     /* i64: a loop variable of the kernel, by index */
    EXPR_ARGUMENT, /* i64: argument `index` of the call; 0 is the batch */
    EXPR_APPLY,    /* scalar function op of the operands; of vectors, lane by lane */
    EXPR_CAST, /* value conversion to dtype: integers wrap, float → integer truncates (in range by contract) */
    EXPR_BITCAST, /* same bits as another dtype of the same size */
    EXPR_LOAD, /* buffer `index` at element arg[0] (i64); if arg[1] (bool): only where it holds, else arg[2] */
    EXPR_LOCAL,  /* Kernel: element arg[0] of local `index` */
    EXPR_TEMP,   /* Kernel: the value bound by LET `index` */
    EXPR_REDUCE, /* Compute: see Reduction; arg[0] is the term */
    EXPR_RAMP,   /* vector i64: arg[0] + lane · integer */
    EXPR_SPLAT,  /* vector: arg[0] in every lane */
} ExprKind;

/* The order of additions: part of what is computed.
   chain:  one accumulator, terms in the order of the axes (first outermost), by fma if the term is a product
   lanes:  axes' last: term i goes to lane i mod 16 (chain within a lane), lanes are added 8-4-2-1
   leaves: the last axes from `leaf` on form a leaf (summed by `inner`: chain or lanes); leaves are numbered by the axes
           before and added pairwise: leaf 2i with 2i+1, then pairs, an odd one moves up (the order of a binary counter) */
typedef enum { TREE_CHAIN, TREE_LANES, TREE_LEAVES } Tree;

enum { MAX_REDUCE_AXES = 8, TREE_LANE_COUNT = 16 };

typedef struct Reduction {
    ScalarOp op; /* ADD, MAX, MIN */
    bool fma;    /* ADD of a product: accumulator = fma(a, b, accumulator) */
    int axes, axis[MAX_REDUCE_AXES];
    Tree tree, inner;
    int leaf; /* LEAVES: axis[0 … leaf-1] number the leaves */
} Reduction;

struct Expr {
    ExprKind kind;
    DType dtype;
    int lanes; /* 1, or a vector's */
    ScalarOp op;
    int index;
    int64_t integer;
    double real;
    const Reduction *reduction;
    int count;
    Expr *arg[3];
    int id;        /* in the pool, in the order of making */
    uint64_t axes; /* which it uses: bit (axis mod 64) */
    bool reduces;  /* it holds a REDUCE */
};

Exprs *exprs_new(Arena *arena);
Arena *exprs_arena(Exprs *pool);
int exprs_count(const Exprs *pool); /* ids are below this */
/* A pool of the same expressions under the same ids; (*copies)[id] are the new ones. */
Exprs *exprs_copy(const Exprs *pool, Expr ***copies);

/* Builders fold constants, know x+0, x·1, x·0 of integers, (a·c+b)/c and (a·c+b)%c where 0 ≤ b < c, and put constants
   last; float arithmetic is only folded where the result is exact by contract (both constant). */
Expr *expr_int(Exprs *pool, DType dtype, int64_t value);
Expr *expr_real(Exprs *pool, DType dtype, double value); /* any dtype: integers take the truncated value */
Expr *expr_axis(Exprs *pool, int axis);
Expr *expr_argument(Exprs *pool, int argument);
Expr *expr_apply(Exprs *pool, ScalarOp op, Expr *a, Expr *b, Expr *c);
Expr *expr_cast(Exprs *pool, Expr *a, DType dtype);
Expr *expr_bitcast(Exprs *pool, Expr *a, DType dtype);
Expr *expr_load(Exprs *pool, DType dtype, int buffer, Expr *at, Expr *where, Expr *otherwise);
Expr *expr_local(Exprs *pool, DType dtype, int local, Expr *at);
Expr *expr_local_vector(Exprs *pool, DType dtype, int lanes, int local, Expr *at); /* of a local of vectors */
Expr *expr_temp(Exprs *pool, DType dtype, int lanes, int temp);
Expr *expr_reduce(Exprs *pool, Expr *term, const Reduction *reduction);
Expr *expr_ramp(Exprs *pool, Expr *base, int64_t stride, int lanes);
Expr *expr_splat(Exprs *pool, Expr *a, int lanes);
Expr *expr_size(Exprs *pool, Size size); /* i64: count · batch^power */

/* Index arithmetic, i64. */
Expr *expr_add(Exprs *pool, Expr *a, Expr *b);
Expr *expr_sub(Exprs *pool, Expr *a, Expr *b);
Expr *expr_mul(Exprs *pool, Expr *a, Expr *b);
Expr *expr_div(Exprs *pool, Expr *a, Expr *b);
Expr *expr_mod(Exprs *pool, Expr *a, Expr *b);
Expr *expr_less(Exprs *pool, Expr *a, Expr *b);
Expr *expr_and(Exprs *pool, Expr *a, Expr *b); /* bool; NULL means true, also as the result */

bool expr_is_int(const Expr *e, int64_t *value);

/* The extent of an axis tells ranges: 0 ≤ axis < extent. Unknown axes are only known to be ≥ 0. */
void expr_set_extent(Exprs *pool, int axis, Size extent);

/* The constant s with e(axis + 1) - e(axis) = s for every value; false if there is none that can be proven. */
bool expr_stride(const Expr *e, int axis, int64_t *stride);
/* Whether e(axis + 1) - e(axis) is known to be the same everywhere, be it only at run time. */
bool expr_is_affine(const Expr *e, int axis);
bool expr_uses_axis(const Expr *e, int axis);

/* Visits e and what it is made of, each expression once; the visitor says how to go on. Returns whether it was not stopped. */
typedef enum { VISIT_DEEPER, VISIT_PAST, VISIT_STOP } Visit;
typedef Visit ExprVisitor(Expr *e, void *context);
bool expr_visit(Exprs *pool, Expr *e, ExprVisitor *visitor, void *context);

/* Bottom-up rewriting: leaf() gets every expression once its operands are rewritten, and gives what stands for it. A
   shared part is rewritten once. */
typedef Expr *ExprLeaf(Exprs *pool, Expr *e, void *context);
Expr *expr_rewrite(Exprs *pool, Expr *e, ExprLeaf *leaf, void *context);

/* e with axes replaced: with[axis] for axis < count where not NULL. Shared parts stay shared. */
Expr *expr_substitute(Exprs *pool, Expr *e, Expr *const *with, int count);

/* The same with no simplification: what is already bound or chosen stays. */
Expr *expr_copy_with(Exprs *pool, const Expr *e, Expr *const *arg);

/* e made again, by the builders, from new operands. */
Expr *expr_rebuild(Exprs *pool, const Expr *e, Expr *const *arg);

/* e with every expanding scalar function spelled by primitive rows; but exp and its like stay in f64: see scalar_expand.h. */
Expr *expr_expand(Exprs *pool, Expr *e);

void expr_print(Text *text, const Expr *e);

/* The value of a scalar function in a dtype's own arithmetic: f32 in float, f64 in double, integers in their width.
   Cell holds any of them. */
typedef union Cell {
    float f32;
    double f64;
    int64_t i64; /* all integers and bool, sign- or zero-extended */
} Cell;
Cell scalar_value(ScalarOp op, DType operands, Cell a, Cell b, Cell c);
Cell cell_convert(Cell a, DType from, DType to);
Cell cell_bits(Cell a, DType from, DType to);

#endif
