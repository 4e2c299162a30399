/* Identities of arithmetic and of views; dead nodes go. It may change the last bit (x + 0 of a negative
   zero), so it runs before trees are stamped, and sees neither target nor -O. */
#include "simplify.h"
#include "expr.h"
#include "passes.h"
#include "rewrite.h"

#include <math.h>
#include <string.h>

/* The one value that all elements have, if that is known. */
static bool is_splat(const Node *n, double *value)
{
    while (n->op == OP_BROADCAST || n->op == OP_RESHAPE || n->op == OP_TRANSPOSE)
        n = n->in[0];
    *value = n->value;
    return n->op == OP_CONST;
}

static bool is_number(const Node *n, double value)
{
    double splat;
    return is_splat(n, &splat) && splat == value;
}

static bool is_power_of_two(double value)
{
    int exponent;
    return isfinite(value) && fabs(frexp(value, &exponent)) == 0.5 && exponent > -100 && exponent < 100;
}

static Node *add(Rewrite *r, Node node) { return graph_add(r->graph, node); }

/* ---- arithmetic ---------------------------------------------------------------------------------------- */

static Node *simplify_pow(Rewrite *r, Node n)
{
    double exponent;
    if (!is_splat(n.in[1], &exponent))
        return add(r, n);
    if (exponent == 1)
        return n.in[0];
    if (exponent == 2)
        return graph_binary(r->graph, OP_MUL, n.in[0], n.in[0]);
    if (exponent == 3)
        return graph_binary(r->graph, OP_MUL, graph_binary(r->graph, OP_MUL, n.in[0], n.in[0]), n.in[0]);
    if (exponent == 0.5)
        return graph_unary(r->graph, OP_SQRT, n.in[0]);
    return exponent == 0 ? graph_const(r->graph, n.type, 1) : add(r, n);
}

static Node *simplify_div(Rewrite *r, Node n)
{
    double divisor;
    if (!is_splat(n.in[1], &divisor) || !dtype_is_float(n.type.dtype))
        return add(r, n);
    if (divisor == 1)
        return n.in[0];
    if (is_power_of_two(divisor)) /* exact */
        return graph_binary(r->graph, OP_MUL, n.in[0], graph_const(r->graph, n.type, 1 / divisor));
    return add(r, n);
}

static Node *simplify_add(Rewrite *r, Node n)
{
    if (is_number(n.in[0], 0))
        return n.in[1];
    if (is_number(n.in[1], 0))
        return n.in[0];
    Node *joined = simplify_sum_of_pads(r->graph, &n);
    return joined ? joined : add(r, n);
}

static Node *simplify_map(Rewrite *r, Node n)
{
    switch (n.op) {
    case OP_ADD:
        return simplify_add(r, n);
    case OP_SUB:
        return is_number(n.in[1], 0) ? n.in[0] : add(r, n);
    case OP_MUL:
        if (is_number(n.in[0], 1))
            return n.in[1];
        return is_number(n.in[1], 1) ? n.in[0] : add(r, n);
    case OP_DIV:
        return simplify_div(r, n);
    case OP_POW:
        return simplify_pow(r, n);
    case OP_NEG:
        return n.in[0]->op == OP_NEG ? n.in[0]->in[0] : add(r, n);
    case OP_CAST:
        return n.in[0]->type.dtype == n.type.dtype ? n.in[0] : add(r, n);
    case OP_STOP_GRADIENT:
        return n.in[0]; /* gradients are resolved by now, or this runs before them: see pass_simplify */
    case OP_SELECT:
        if (is_number(n.in[0], 0))
            return n.in[2];
        return is_number(n.in[0], 1) ? n.in[1] : add(r, n);
    default:
        return add(r, n);
    }
}

/* ---- views --------------------------------------------------------------------------------------------- */

static Node *simplify_transpose(Rewrite *r, Node n)
{
    if (n.in[0]->op == OP_TRANSPOSE) {
        Ints inner = n.in[0]->attr[0];
        for (int i = 0; i < n.attr[0].count; i++)
            n.attr[0].at[i] = inner.at[n.attr[0].at[i]];
        n.in[0] = n.in[0]->in[0];
    }
    for (int i = 0; i < n.attr[0].count; i++)
        if (n.attr[0].at[i] != i)
            return add(r, n);
    return n.in[0];
}

static Node *simplify_view(Rewrite *r, Node n)
{
    double value;
    bool no_border = n.op == OP_PAD && ints_are_all(&n.attr[0], 0) && ints_are_all(&n.attr[1], 0);
    switch (n.op) {
    case OP_RESHAPE:
        while (n.in[0]->op == OP_RESHAPE)
            n.in[0] = n.in[0]->in[0];
        return type_equal(&n.in[0]->type, &n.type) ? n.in[0] : add(r, n);
    case OP_BROADCAST:
        while (n.in[0]->op == OP_BROADCAST)
            n.in[0] = n.in[0]->in[0];
        return type_equal(&n.in[0]->type, &n.type) ? n.in[0] : add(r, n);
    case OP_TRANSPOSE:
        return simplify_transpose(r, n);
    case OP_PAD:
        return no_border ? n.in[0] : add(r, n);
    case OP_SLICE: {
        if (ints_are_all(&n.attr[0], 0) && ints_are_all(&n.attr[1], 1) && type_equal(&n.in[0]->type, &n.type))
            return n.in[0];
        Node *smaller = simplify_slice_of_convolution(r->graph, &n);
        return smaller ? smaller : add(r, n);
    }
    case OP_STEP:
        return is_splat(n.in[0], &value) ? graph_const(r->graph, n.type, value) : add(r, n);
    case OP_DILATE:
        return ints_are_all(&n.attr[0], 1) ? n.in[0] : add(r, n);
    case OP_REVERSE:
        return n.attr[0].count == 0 ? n.in[0] : add(r, n);
    default:
        return add(r, n);
    }
}

/* ---- loops ---------------------------------------------------------------------------------------------- */

static bool is_step_of(const Node *n, const Node *stack)
{
    return n->op == OP_STEP && n->attr[0].at[0] == stack->attr[0].at[0] &&
           n->attr[1].at[0] == stack->attr[1].at[0];
}

/* Axes of x as axes of its stack: one further on. */
static Ints axes_of_stack(const Ints *axes)
{
    Ints all = {.count = axes->count + 1};
    for (int i = 0; i < axes->count; i++)
        all.at[i + 1] = axes->at[i] + 1;
    return all;
}

static Type stacked(const Type *type, const Node *stack)
{
    Type all = {type->dtype, type->rank + 1, {size_of(stack->attr[0].at[1])}};
    memcpy(all.dim + 1, type->dim, sizeof type->dim[0] * (size_t)type->rank);
    return all;
}

/* What is stacked step by step, if it is there without a loop: a sequence that was taken apart, seen in another shape. NULL
   if it is not. */
static Node *stack_of(Rewrite *r, const Node *n, const Node *stack)
{
    if (is_step_of(n, stack))
        return n->in[0];
    if (n->op != OP_TRANSPOSE && n->op != OP_RESHAPE)
        return NULL;
    Node *all = stack_of(r, n->in[0], stack);
    if (!all)
        return NULL;
    if (n->op == OP_RESHAPE)
        return graph_reshape(r->graph, all, stacked(&n->type, stack));
    return graph_transpose(r->graph, all, axes_of_stack(&n->attr[0]));
}

static Node *simplify_loop(Rewrite *r, Node n)
{
    double value;
    Node *all = NULL;
    if (n.op == OP_STACK && is_splat(n.in[0], &value))
        return graph_const(r->graph, n.type, value);
    if (n.op == OP_STACK)
        all = stack_of(r, n.in[0], &n);
    return all ? all : add(r, n);
}

/* ---- products ------------------------------------------------------------------------------------------- */

/* A stack of matrices times one matrix, stretched over the stack, is one product of taller matrices: its
   weight gradient then is one contraction, too. */
static Node *simplify_matmul(Rewrite *r, Node n)
{
    const Node *b = n.in[1];
    int rank = n.type.rank;
    if (rank < 3 || b->op != OP_BROADCAST)
        return add(r, n);
    Node *matrix = b->in[0];
    int lead = matrix->type.rank - 2;
    if (lead < 0 || !size_equal(matrix->type.dim[lead], b->type.dim[rank - 2]) ||
        !size_equal(matrix->type.dim[lead + 1], b->type.dim[rank - 1]))
        return add(r, n); /* stretched within the matrix, too */
    for (int d = 0; d < lead; d++)
        if (!size_is_one(matrix->type.dim[d]))
            return add(r, n);
    Type tall = {n.type.dtype, 2, {size_of(1), n.in[0]->type.dim[rank - 1]}};
    for (int d = 0; d < rank - 1; d++)
        if (!size_multiply(tall.dim[0], n.type.dim[d], &tall.dim[0]))
            return add(r, n);
    Type flat = {n.type.dtype, 2, {b->type.dim[rank - 2], b->type.dim[rank - 1]}};
    Node *product = graph_binary(r->graph, OP_MATMUL, graph_reshape(r->graph, n.in[0], tall),
                                 graph_reshape(r->graph, matrix, flat));
    return graph_reshape(r->graph, product, n.type);
}

/* ---- the pass ------------------------------------------------------------------------------------------ */

/* A map of splats is a splat. */
static Node *fold(Rewrite *r, const Node *n)
{
    double value[MAX_INPUTS] = {0};
    int count = op_info[n->op].inputs;
    for (int i = 0; i < count; i++)
        if (!is_splat(n->in[i], &value[i]))
            return NULL;
    if (count == 0 || n->op == OP_STOP_GRADIENT || n->op == OP_AGAIN)
        return NULL;
    Exprs *pool = exprs_new(r->graph->arena);
    Expr *operand[MAX_INPUTS] = {0};
    for (int i = 0; i < count; i++)
        operand[i] = expr_real(pool, n->in[i]->type.dtype, value[i]);
    ScalarOp scalar = scalar_find(op_info[n->op].name);
    Expr *e = n->op == OP_CAST ? expr_cast(pool, operand[0], n->type.dtype)
                               : expr_apply(pool, scalar, operand[0], operand[1], operand[2]);
    if (e->kind != EXPR_CONST)
        return NULL;
    return graph_const(r->graph, n->type, dtype_is_float(e->dtype) ? e->real : (double)e->integer);
}

static Node *make(Rewrite *r, const Node *old, Node node)
{
    const bool *before_gradients = r->context;
    (void)old;
    if (node.op == OP_STOP_GRADIENT && *before_gradients)
        return graph_add(r->graph, node);
    switch (op_info[node.op].class) {
    case OP_CLASS_MAP: {
        Node *folded = fold(r, &node);
        return folded ? folded : simplify_map(r, node);
    }
    case OP_CLASS_VIEW:
        return simplify_view(r, node);
    case OP_CLASS_LOOP:
        return simplify_loop(r, node);
    default:
        return node.op == OP_MATMUL ? simplify_matmul(r, node) : graph_add(r->graph, node);
    }
}

static bool has_gradients(const Model *model)
{
    for (int p = 0; p < PHASE_COUNT; p++)
        for (int i = 0; i < model->phase[p]->node.count; i++)
            if (model->phase[p]->node.at[i]->op == OP_GRADIENT)
                return true;
    return false;
}

/* Twice: an identity that one rule makes may be what another waits for. */
bool pass_simplify(Compilation *c)
{
    bool before_gradients = has_gradients(c->model);
    for (int round = 0; round < 2; round++)
        for (int p = 0; p < PHASE_COUNT; p++)
            graph_replace(c->model, p, graph_rewrite(c->model->phase[p], true, make, &before_gradients));
    return true;
}
