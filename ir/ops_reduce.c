/* Reductions: sum, max, min over axes, and fold, the transpose of window. */
#include "ops.h"

#include <string.h>

static bool is_reduced(const Node *node, int axis) { return ints_have(&node->attr[0], axis); }

bool infer_reduce(const Node *node, Type *type)
{
    const Type *x = &node->in[0]->type;
    if (!node->attr[0].count || !axes_valid(&node->attr[0], x->rank))
        return refuse("%s: axes are not axes of %s", op_info[node->op].name, shape_text(x));
    if (x->dtype == DTYPE_BOOL)
        return refuse("%s: of numbers, not of %s", op_info[node->op].name, shape_text(x));
    *type = type_scalar(x->dtype);
    for (int d = 0; d < x->rank; d++)
        if (!is_reduced(node, d))
            type->dim[type->rank++] = x->dim[d];
    return true;
}

/* The tree, from the logical shape alone. Along the last axis only: lanes. Of a whole tensor: leaves, each
   the last axis by lanes. Else: leaves, each a chain along the last reduced axis; but where there is one
   reduced axis, a chain, unless it grows with the batch: then each of its terms is a leaf. */
static void choose_tree(Reduction *r, const Node *node)
{
    const Type *x = &node->in[0]->type;
    bool last = is_reduced(node, x->rank - 1) && !size_is_one(x->dim[x->rank - 1]);
    int growing = 0;
    for (int d = 0; d < x->rank; d++)
        growing += is_reduced(node, d) && x->dim[d].power;
    r->tree = TREE_LEAVES;
    r->inner = TREE_CHAIN;
    r->leaf = r->axes - 1;
    if (r->axes == 0)
        r->tree = TREE_CHAIN;
    else if (r->axes == 1 && growing)
        r->leaf = 1;
    else if (r->axes == 1)
        r->tree = last ? TREE_LANES : TREE_CHAIN;
    else if (last && node->type.rank == 0)
        r->inner = TREE_LANES;
}

static Expr *define_reduce(Definer *d, const Node *node, Expr *const *at, ScalarOp op)
{
    const Type *x = &node->in[0]->type;
    Reduction r = {.op = op};
    Expr *index[MAX_RANK];
    for (int i = 0, kept = 0; i < x->rank; i++) {
        index[i] = is_reduced(node, i) ? reduce_axis(d, x->dim[i]) : at[kept++];
        if (is_reduced(node, i))
            reduction_add(&r, index[i]);
    }
    Expr *term = d->read(d, node->in[0], index);
    choose_tree(&r, node);
    return r.axes ? expr_reduce(d->pool, term, &r) : term;
}

Expr *define_sum(Definer *d, const Node *node, Expr *const *at)
{
    return define_reduce(d, node, at, SCALAR_ADD);
}
Expr *define_reduce_max(Definer *d, const Node *node, Expr *const *at)
{
    return define_reduce(d, node, at, SCALAR_MAX);
}
Expr *define_reduce_min(Definer *d, const Node *node, Expr *const *at)
{
    return define_reduce(d, node, at, SCALAR_MIN);
}

/* A result of a reduction with its axes back, as 1, then stretched to x's shape. */
static Node *stretch(Graph *g, const Node *n, Node *value)
{
    Type kept = n->in[0]->type;
    for (int i = 0; i < n->attr[0].count; i++)
        kept.dim[n->attr[0].at[i]] = size_of(1);
    return graph_broadcast(g, graph_reshape(g, value, kept), n->in[0]->type);
}

void grad_sum(Graph *g, Node *n, Node *dy, Node **dx) { dx[0] = stretch(g, n, dy); }

/* All of dy goes to the first extreme in row-major order of the reduced axes. */
void grad_reduce_extreme(Graph *g, Node *n, Node *dy, Node **dx)
{
    Node *x = n->in[0];
    Type places = type_like(DTYPE_I32, &x->type);
    Node *place = graph_const(g, places, 0);
    Size stride = size_of(1);
    for (int i = n->attr[0].count - 1; i >= 0; i--) {
        int axis = (int)n->attr[0].at[i];
        Node *step = graph_broadcast(g, graph_size(g, DTYPE_I32, stride), places);
        Node *along = graph_iota(g, places, axis);
        Node *scaled = size_is_one(stride) ? along : graph_binary(g, OP_MUL, along, step);
        place = i == n->attr[0].count - 1 ? scaled : graph_binary(g, OP_ADD, place, scaled);
        size_multiply(stride, x->type.dim[axis], &stride);
    }
    Node *extreme = graph_binary(g, OP_EQ, x, stretch(g, n, n));
    Node *beyond = graph_const(g, places, 2147483647);
    Node *first = graph_reduce(g, OP_REDUCE_MIN, graph_select(g, extreme, place, beyond), n->attr[0]);
    Node *chosen = graph_binary(g, OP_EQ, place, stretch(g, n, first));
    dx[0] = graph_select(g, chosen, stretch(g, n, dy), graph_const(g, x->type, 0));
}

/* y[…, i, …] = sum(k) x[…, (i − k·dilation)/stride, …, k] where that is a window: the transpose of window.
   Its result's type is given: windows may leave a rest of the axis uncovered. */
bool infer_fold(const Node *node, Type *type)
{
    Type window;
    Node source = {.type = *type}, probe = {.op = OP_WINDOW, .in = {&source}};
    source.type.dtype = type->dtype = node->in[0]->type.dtype;
    memcpy(probe.attr, node->attr, sizeof probe.attr);
    if (!infer_window(&probe, &window))
        return false;
    return type_equal(&window, &node->in[0]->type) ||
           refuse("fold: %s are not the windows of %s", shape_text(&node->in[0]->type), shape_text(type));
}

Expr *define_fold(Definer *d, const Node *node, Expr *const *at)
{
    Exprs *pool = d->pool;
    const Type *windows = &node->in[0]->type;
    Expr *index[MAX_RANK], *where = NULL, *zero = expr_int(pool, DTYPE_I64, 0);
    Reduction r = {.op = SCALAR_ADD, .tree = TREE_CHAIN};
    memcpy(index, at, sizeof *at * (size_t)node->type.rank);
    for (int i = 0; i < node->attr[0].count; i++) {
        int64_t axis = node->attr[0].at[i];
        Expr *stride = expr_int(pool, DTYPE_I64, node->attr[2].at[i]);
        Expr *dilation = expr_int(pool, DTYPE_I64, node->attr[3].at[i]);
        Expr *place = reduce_axis(d, size_of(node->attr[1].at[i]));
        Expr *start = expr_sub(pool, at[axis], expr_mul(pool, place, dilation));
        reduction_add(&r, place);
        index[node->type.rank + i] = place;
        index[axis] = expr_div(pool, start, stride);
        Expr *aligned =
            expr_apply(pool, SCALAR_EQ, expr_apply(pool, SCALAR_MOD, start, stride, NULL), zero, NULL);
        where = expr_and(pool, where, expr_less(pool, expr_int(pool, DTYPE_I64, -1), start));
        where = expr_and(pool, where, aligned);
        where = expr_and(pool, where, expr_less(pool, index[axis], expr_size(pool, windows->dim[axis])));
    }
    Expr *term = read_where(d, node->in[0], index, where, expr_real(pool, node->type.dtype, 0));
    return r.axes ? expr_reduce(pool, term, &r) : term;
}

void grad_fold(Graph *g, Node *n, Node *dy, Node **dx)
{
    Node window = {.op = OP_WINDOW, .in = {dy}};
    memcpy(window.attr, n->attr, sizeof window.attr);
    dx[0] = graph_add(g, window);
}
