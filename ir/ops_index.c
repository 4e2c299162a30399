/* Ops whose indices come from data, and the one that joins tensors: gather, its transpose, and concat. */
#include "ops.h"

#include <math.h>
#include <string.h>

/* ---- gather -------------------------------------------------------------------------------------------- */

/* y[i…, d…] = table[index[i…], d…]: index's axes, then the table's but its first. */
bool infer_gather(const Node *node, Type *type)
{
    const Type *table = &node->in[0]->type, *index = &node->in[1]->type;
    if (index->dtype != DTYPE_I32 || table->rank < 1 || table->dim[0].power)
        return refuse("gather: %s is no table of rows, or %s are no i32 indices", shape_text(table),
                      shape_text(index));
    if (index->rank + table->rank - 1 > MAX_RANK)
        return refuse("gather: %s by %s has more than %d axes", shape_text(table), shape_text(index),
                      MAX_RANK);
    *type = type_like(table->dtype, index);
    for (int d = 1; d < table->rank; d++)
        type->dim[type->rank++] = table->dim[d];
    return true;
}

/* An index without a row gives NaN (0 of integers): it shows, and reads nothing beyond the table. */
Expr *define_gather(Definer *d, const Node *node, Expr *const *at)
{
    Exprs *pool = d->pool;
    const Node *table = node->in[0], *index = node->in[1];
    Expr *row[MAX_RANK];
    row[0] = expr_cast(pool, d->read(d, index, at), DTYPE_I64);
    memcpy(row + 1, at + index->type.rank, sizeof *at * (size_t)(table->type.rank - 1));
    Expr *above = expr_less(pool, expr_int(pool, DTYPE_I64, -1), row[0]);
    Expr *where = expr_and(pool, above, expr_less(pool, row[0], expr_size(pool, table->type.dim[0])));
    bool real = dtype_is_float(node->type.dtype);
    Expr *otherwise = real ? expr_real(pool, node->type.dtype, NAN) : expr_int(pool, node->type.dtype, 0);
    return read_where(d, table, row, where, otherwise);
}

void grad_gather(Graph *g, Node *n, Node *dy, Node **dx)
{
    const Type *table = &n->in[0]->type;
    dx[0] = graph_add(
        g, (Node){.op = OP_SCATTER_ADD, .in = {dy, n->in[1]}, .attr = {{1, {table->dim[0].count}}}});
}

/* y[v, d…] = sum(i…) dy[i…, d…] where index[i…] = v, i in row-major order. An index without a row adds nothing. */
bool infer_scatter_add(const Node *node, Type *type)
{
    const Type *dy = &node->in[0]->type, *index = &node->in[1]->type;
    const Ints *rows = &node->attr[0];
    bool fits = index->dtype == DTYPE_I32 && dy->rank >= index->rank && dy->rank - index->rank < MAX_RANK;
    for (int i = 0; fits && i < index->rank; i++)
        fits = size_equal(dy->dim[i], index->dim[i]);
    if (!fits || !dtype_is_float(dy->dtype))
        return refuse("scatter_add: %s are no floats with a row for each of the indices %s", shape_text(dy),
                      shape_text(index));
    if (rows->count != 1 || rows->at[0] < 1 || rows->at[0] > MAX_DIM)
        return refuse("scatter_add: rows is one number ≥ 1");
    *type = type_scalar(dy->dtype);
    type->dim[type->rank++] = size_of(rows->at[0]);
    for (int i = index->rank; i < dy->rank; i++)
        type->dim[type->rank++] = dy->dim[i];
    return true;
}

Expr *define_scatter_add(Definer *d, const Node *node, Expr *const *at)
{
    Exprs *pool = d->pool;
    const Type *index = &node->in[1]->type;
    Reduction r = {.op = SCALAR_ADD, .tree = TREE_CHAIN};
    Expr *from[MAX_RANK];
    for (int i = 0; i < index->rank; i++) {
        from[i] = reduce_axis(d, index->dim[i]);
        reduction_add(&r, from[i]);
    }
    memcpy(from + index->rank, at + 1, sizeof *at * (size_t)(node->type.rank - 1));
    Expr *row = expr_cast(pool, d->read(d, node->in[1], from), DTYPE_I64);
    Expr *hit = expr_apply(pool, SCALAR_EQ, row, at[0], NULL);
    Expr *term = d->read(d, node->in[0], from);
    term = expr_apply(pool, SCALAR_SELECT, hit, term, expr_real(pool, node->type.dtype, 0));
    return r.axes ? expr_reduce(pool, term, &r) : term;
}

void grad_scatter_add(Graph *g, Node *n, Node *dy, Node **dx)
{
    Node *gathered = graph_add(g, (Node){.op = OP_GATHER, .in = {dy, n->in[1]}});
    Size rows = n->type.dim[0];
    Type shape = type_like(DTYPE_I32, &n->in[1]->type); /* an index without a row adds nothing: no gradient */
    Node *zero = graph_const(g, shape, 0);
    Node *valid = graph_binary(g, OP_AND, graph_binary(g, OP_LE, zero, n->in[1]),
                               graph_binary(g, OP_LT, n->in[1], graph_const(g, shape, (double)rows.count)));
    Type wide = type_like(DTYPE_BOOL, &shape);
    for (; wide.rank < gathered->type.rank; wide.rank++)
        wide.dim[wide.rank] = size_of(1);
    valid = graph_broadcast(g, graph_reshape(g, valid, wide), gathered->type);
    dx[0] = graph_select(g, valid, gathered, graph_const(g, gathered->type, 0));
}

/* ---- concat -------------------------------------------------------------------------------------------- */

/* y[…, i, …] = a[…, i, …] where i is within a, else b[…, i − a's, …]. */
bool infer_concat(const Node *node, Type *type)
{
    const Type *a = &node->in[0]->type, *b = &node->in[1]->type;
    const Ints *axis = &node->attr[0];
    if (axis->count != 1 || axis->at[0] < 0 || axis->at[0] >= a->rank || a->rank != b->rank ||
        a->dtype != b->dtype)
        return refuse("concat: %s and %s have no such axis in common", shape_text(a), shape_text(b));
    for (int d = 0; d < a->rank; d++) {
        bool joined = d == axis->at[0];
        if (joined && (a->dim[d].power || b->dim[d].power))
            return refuse("concat: %s and %s cannot be joined along the axis that grows with the batch",
                          shape_text(a), shape_text(b));
        if (!joined && !size_equal(a->dim[d], b->dim[d]))
            return refuse("concat: %s and %s differ in axis %d, too", shape_text(a), shape_text(b), d);
    }
    *type = *a;
    type->dim[axis->at[0]].count += b->dim[axis->at[0]].count;
    return true;
}

Expr *define_concat(Definer *d, const Node *node, Expr *const *at)
{
    Exprs *pool = d->pool;
    int64_t axis = node->attr[0].at[0];
    Expr *cut = expr_int(pool, DTYPE_I64, part_begin(node, 1).at[axis]), *index[MAX_RANK];
    memcpy(index, at, sizeof *at * (size_t)node->type.rank);
    Expr *first = expr_less(pool, at[axis], cut);
    Expr *zero = expr_real(pool, node->type.dtype, 0);
    Expr *a = read_where(d, node->in[0], index, first, zero);
    index[axis] = expr_sub(pool, at[axis], cut);
    Expr *second = expr_less(pool, expr_int(pool, DTYPE_I64, -1), index[axis]);
    Expr *b = read_where(d, node->in[1], index, second, zero);
    return expr_apply(pool, SCALAR_SELECT, first, a, b);
}

void grad_concat(Graph *g, Node *n, Node *dy, Node **dx)
{
    Ints step = {.count = n->type.rank};
    for (int d = 0; d < n->type.rank; d++)
        step.at[d] = 1;
    for (int i = 0; i < 2; i++)
        dx[i] = graph_add(
            g, (Node){.op = OP_SLICE, .in = {dy}, .type = n->in[i]->type, .attr = {part_begin(n, i), step}});
}
