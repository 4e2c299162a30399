/* Views: index arithmetic only. y[at] = x[f(at)], somewhere a fixed value. */
#include "ops.h"

#include <string.h>

static bool ints_in(const Ints *ints, int count, int64_t least, int64_t most)
{
    for (int i = 0; i < ints->count; i++)
        if (ints->at[i] < least || ints->at[i] > most)
            return false;
    return ints->count == count;
}

/* Distinct axes of a type. */
bool axes_valid(const Ints *axes, int rank)
{
    unsigned seen = 0;
    for (int i = 0; i < axes->count; i++) {
        if (axes->at[i] < 0 || axes->at[i] >= rank || seen & 1u << axes->at[i])
            return false;
        seen |= 1u << axes->at[i];
    }
    return true;
}

/* ---- reshape ------------------------------------------------------------------------------------------- */

bool infer_reshape(const Node *node, Type *type)
{
    Size have, want;
    type->dtype = node->in[0]->type.dtype;
    if (!type_elements(type, &want) || !type_elements(&node->in[0]->type, &have) || !size_equal(have, want))
        return refuse("reshape: %s has not as many elements as %s", shape_text(&node->in[0]->type),
                      shape_text(type));
    return true;
}

/* The axes that are not of size 1; returns how many. */
static int real_axes(const Type *type, int *axis)
{
    int count = 0;
    for (int d = 0; d < type->rank; d++)
        if (!size_is_one(type->dim[d]))
            axis[count++] = d;
    return count;
}

/* Row-major order is kept: at → linear index → index. Axes of size 1 do not count; equal leading and trailing axes pass
   through untouched. */
void reshape_index(Exprs *pool, const Type *y, Expr *const *at, const Type *x, Expr **index)
{
    int from[MAX_RANK], to[MAX_RANK], head = 0, tail = 0;
    int m = real_axes(y, from), n = real_axes(x, to), least = m < n ? m : n;
    for (int d = 0; d < x->rank; d++)
        index[d] = expr_int(pool, DTYPE_I64, 0);
    for (; head < least && size_equal(x->dim[to[head]], y->dim[from[head]]); head++)
        index[to[head]] = at[from[head]];
    for (; tail < least - head && size_equal(x->dim[to[n - 1 - tail]], y->dim[from[m - 1 - tail]]); tail++)
        index[to[n - 1 - tail]] = at[from[m - 1 - tail]];

    Expr *linear = expr_int(pool, DTYPE_I64, 0);
    for (int i = head; i < m - tail; i++)
        linear = expr_add(pool, expr_mul(pool, linear, expr_size(pool, y->dim[from[i]])), at[from[i]]);
    Size stride = size_of(1);
    for (int i = n - 1 - tail; i >= head; i--) {
        Size extent = x->dim[to[i]];
        Expr *part = expr_div(pool, linear, expr_size(pool, stride));
        index[to[i]] = i > head ? expr_mod(pool, part, expr_size(pool, extent)) : part;
        size_multiply(stride, extent, &stride);
    }
}

Expr *define_reshape(Definer *d, const Node *node, Expr *const *at)
{
    Expr *index[MAX_RANK];
    reshape_index(d->pool, &node->type, at, &node->in[0]->type, index);
    return d->read(d, node->in[0], index);
}

void grad_reshape(Graph *g, Node *n, Node *dy, Node **dx) { dx[0] = graph_reshape(g, dy, n->in[0]->type); }

/* ---- broadcast, transpose, reverse --------------------------------------------------------------------- */

bool infer_broadcast(const Node *node, Type *type)
{
    const Type *x = &node->in[0]->type;
    type->dtype = x->dtype;
    int lead = type->rank - x->rank;
    for (int d = 0; lead >= 0 && d < x->rank; d++)
        if (!size_is_one(x->dim[d]) && !size_equal(x->dim[d], type->dim[d + lead]))
            return refuse("broadcast: %s does not stretch to %s", shape_text(x), shape_text(type));
    return lead >= 0 || refuse("broadcast: %s has more axes than %s", shape_text(x), shape_text(type));
}

Expr *define_broadcast(Definer *d, const Node *node, Expr *const *at)
{
    const Type *x = &node->in[0]->type;
    Expr *index[MAX_RANK];
    for (int i = 0; i < x->rank; i++)
        index[i] =
            size_is_one(x->dim[i]) ? expr_int(d->pool, DTYPE_I64, 0) : at[i + node->type.rank - x->rank];
    return d->read(d, node->in[0], index);
}

void grad_broadcast(Graph *g, Node *n, Node *dy, Node **dx) { dx[0] = graph_sum_to(g, dy, &n->in[0]->type); }

bool infer_transpose(const Node *node, Type *type)
{
    const Type *x = &node->in[0]->type;
    if (node->attr[0].count != x->rank || !axes_valid(&node->attr[0], x->rank))
        return refuse("transpose: the axes are no permutation of the %d axes of %s", x->rank, shape_text(x));
    *type = *x;
    for (int i = 0; i < x->rank; i++)
        type->dim[i] = x->dim[node->attr[0].at[i]];
    return true;
}

Expr *define_transpose(Definer *d, const Node *node, Expr *const *at)
{
    Expr *index[MAX_RANK];
    for (int i = 0; i < node->type.rank; i++)
        index[node->attr[0].at[i]] = at[i];
    return d->read(d, node->in[0], index);
}

void grad_transpose(Graph *g, Node *n, Node *dy, Node **dx)
{
    Ints inverse = {.count = n->type.rank};
    for (int i = 0; i < n->type.rank; i++)
        inverse.at[n->attr[0].at[i]] = i;
    dx[0] = graph_transpose(g, dy, inverse);
}

bool infer_reverse(const Node *node, Type *type)
{
    *type = node->in[0]->type;
    return axes_valid(&node->attr[0], type->rank) ||
           refuse("reverse: axes are not axes of %s", shape_text(type));
}

Expr *define_reverse(Definer *d, const Node *node, Expr *const *at)
{
    Exprs *pool = d->pool;
    Expr *index[MAX_RANK];
    memcpy(index, at, sizeof *at * (size_t)node->type.rank);
    for (int i = 0; i < node->attr[0].count; i++) {
        int64_t axis = node->attr[0].at[i];
        Expr *last = expr_sub(pool, expr_size(pool, node->type.dim[axis]), expr_int(pool, DTYPE_I64, 1));
        index[axis] = expr_sub(pool, last, at[axis]);
    }
    return d->read(d, node->in[0], index);
}

void grad_reverse(Graph *g, Node *n, Node *dy, Node **dx)
{
    dx[0] = graph_add(g, (Node){.op = OP_REVERSE, .in = {dy}, .attr = {n->attr[0]}});
}

/* ---- slice, pad, dilate: each other's transposes ------------------------------------------------------- */

/* y[i] = x[begin + i·step]; the result's sizes are given by the type (an axis with batch is taken whole). */
bool infer_slice(const Node *node, Type *type)
{
    const Type *x = &node->in[0]->type;
    type->dtype = x->dtype;
    if (type->rank != x->rank || !ints_in(&node->attr[0], x->rank, 0, MAX_DIM) ||
        !ints_in(&node->attr[1], x->rank, 1, MAX_DIM))
        return refuse("slice: begin and step are one number an axis of %s", shape_text(x));
    for (int d = 0; d < x->rank; d++) {
        int64_t begin = node->attr[0].at[d], step = node->attr[1].at[d];
        bool whole = begin == 0 && step == 1 && size_equal(type->dim[d], x->dim[d]);
        int64_t last = 0;
        bool beyond = __builtin_mul_overflow(type->dim[d].count - 1, step, &last) ||
                      __builtin_add_overflow(last, begin, &last) || last >= x->dim[d].count;
        if (!whole && (x->dim[d].power || type->dim[d].power || type->dim[d].count < 1 || beyond))
            return refuse("slice: %s from %lld by %lld is not within axis %d of %s", shape_text(type),
                          (long long)begin, (long long)step, d, shape_text(x));
    }
    return true;
}

Expr *define_slice(Definer *d, const Node *node, Expr *const *at)
{
    Exprs *pool = d->pool;
    Expr *index[MAX_RANK];
    for (int i = 0; i < node->type.rank; i++) {
        Expr *scaled = expr_mul(pool, at[i], expr_int(pool, DTYPE_I64, node->attr[1].at[i]));
        index[i] = expr_add(pool, scaled, expr_int(pool, DTYPE_I64, node->attr[0].at[i]));
    }
    return d->read(d, node->in[0], index);
}

/* Back into the zeros that it was cut from: dilate by the step, then pad. */
void grad_slice(Graph *g, Node *n, Node *dy, Node **dx)
{
    Node pad = {.op = OP_PAD};
    Ints factor = n->attr[1];
    pad.in[0] = graph_add(g, (Node){.op = OP_DILATE, .in = {dy}, .attr = {factor}});
    pad.attr[0] = pad.attr[1] = n->attr[0];
    for (int d = 0; d < n->type.rank; d++)
        pad.attr[1].at[d] = n->in[0]->type.dim[d].count - n->attr[0].at[d] - pad.in[0]->type.dim[d].count;
    dx[0] = graph_add(g, pad);
}

Ints part_begin(const Node *node, int k)
{
    if (node->op == OP_PAD)
        return node->attr[0];
    int64_t axis = node->attr[0].at[0];
    Ints begin = {.count = node->type.rank};
    begin.at[axis] = k ? node->in[0]->type.dim[axis].count : 0;
    return begin;
}

/* y[i] = x[i − low] inside, else the node's value. */
bool infer_pad(const Node *node, Type *type)
{
    const Type *x = &node->in[0]->type;
    *type = *x;
    if (!ints_in(&node->attr[0], x->rank, 0, MAX_DIM) || !ints_in(&node->attr[1], x->rank, 0, MAX_DIM))
        return refuse("pad: low and high are one number ≥ 0 an axis of %s", shape_text(x));
    for (int d = 0; d < x->rank; d++) {
        int64_t more = node->attr[0].at[d] + node->attr[1].at[d];
        if (more && x->dim[d].power)
            return refuse("pad: the axis that grows with the batch of %s cannot be padded", shape_text(x));
        type->dim[d].count += more;
    }
    return true;
}

static Expr *within(Exprs *pool, Expr *index, Expr *extent)
{
    Expr *low = expr_less(pool, expr_int(pool, DTYPE_I64, -1), index);
    return expr_apply(pool, SCALAR_AND, low, expr_less(pool, index, extent), NULL);
}

Expr *define_pad(Definer *d, const Node *node, Expr *const *at)
{
    Exprs *pool = d->pool;
    Expr *index[MAX_RANK], *where = NULL;
    Ints begin = part_begin(node, 0);
    for (int i = 0; i < node->type.rank; i++) {
        index[i] = expr_sub(pool, at[i], expr_int(pool, DTYPE_I64, begin.at[i]));
        if (node->attr[0].at[i] || node->attr[1].at[i])
            where = expr_and(pool, where, within(pool, index[i], expr_size(pool, node->in[0]->type.dim[i])));
    }
    return read_where(d, node->in[0], index, where, expr_real(pool, node->type.dtype, node->value));
}

void grad_pad(Graph *g, Node *n, Node *dy, Node **dx)
{
    Ints step = {.count = n->type.rank};
    for (int i = 0; i < step.count; i++)
        step.at[i] = 1;
    dx[0] = graph_add(
        g, (Node){.op = OP_SLICE, .in = {dy}, .type = n->in[0]->type, .attr = {part_begin(n, 0), step}});
}

/* y[i·factor] = x[i], 0 between. */
bool infer_dilate(const Node *node, Type *type)
{
    const Type *x = &node->in[0]->type;
    *type = *x;
    if (!ints_in(&node->attr[0], x->rank, 1, MAX_DIM))
        return refuse("dilate: factor is one number ≥ 1 an axis of %s", shape_text(x));
    for (int d = 0; d < x->rank; d++) {
        int64_t factor = node->attr[0].at[d];
        if (factor > 1 && (x->dim[d].power || x->dim[d].count < 1))
            return refuse("dilate: the axis that grows with the batch of %s cannot be dilated",
                          shape_text(x));
        if (factor > 1 && __builtin_mul_overflow(x->dim[d].count - 1, factor, &type->dim[d].count))
            return refuse("dilate: factor %lld is too large", (long long)factor);
        type->dim[d].count += factor > 1;
    }
    return true;
}

Expr *define_dilate(Definer *d, const Node *node, Expr *const *at)
{
    Exprs *pool = d->pool;
    Expr *index[MAX_RANK], *where = NULL, *zero = expr_int(pool, DTYPE_I64, 0);
    for (int i = 0; i < node->type.rank; i++) {
        Expr *factor = expr_int(pool, DTYPE_I64, node->attr[0].at[i]);
        index[i] = expr_div(pool, at[i], factor);
        if (node->attr[0].at[i] > 1)
            where =
                expr_and(pool, where, expr_apply(pool, SCALAR_EQ, expr_mod(pool, at[i], factor), zero, NULL));
    }
    return read_where(d, node->in[0], index, where, expr_real(pool, node->type.dtype, 0));
}

void grad_dilate(Graph *g, Node *n, Node *dy, Node **dx)
{
    Ints begin = {.count = n->type.rank};
    dx[0] =
        graph_add(g, (Node){.op = OP_SLICE, .in = {dy}, .type = n->in[0]->type, .attr = {begin, n->attr[0]}});
}

/* ---- windows ------------------------------------------------------------------------------------------- */

/* The number of windows along an axis; 0 if none fits. Shared with fold. */
static int64_t window_count(int64_t extent, int64_t size, int64_t stride, int64_t dilation)
{
    int64_t reach;
    if (__builtin_mul_overflow(size - 1, dilation, &reach) || reach >= extent)
        return 0;
    return (extent - reach - 1) / stride + 1;
}

/* y[…, o, …, k…] = x[…, o·stride + k·dilation, …]: the windowed axes count windows, the places in a window
   are appended in the order of `axes`. */
bool infer_window(const Node *node, Type *type)
{
    const Type *x = &node->in[0]->type;
    const Ints *axes = &node->attr[0];
    *type = *x;
    if (!axes_valid(axes, x->rank) || x->rank + axes->count > MAX_RANK)
        return refuse("window: axes are not axes of %s, or too many", shape_text(x));
    for (int a = 1; a < 4; a++)
        if (!ints_in(&node->attr[a], axes->count, 1, MAX_DIM))
            return refuse("window: size, stride and dilation are one number ≥ 1 an axis");
    for (int i = 0; i < axes->count; i++) {
        Size *dim = &type->dim[axes->at[i]];
        int64_t size = node->attr[1].at[i];
        int64_t count =
            dim->power ? 0 : window_count(dim->count, size, node->attr[2].at[i], node->attr[3].at[i]);
        if (!count)
            return refuse("window: a window of %lld does not fit into axis %lld of %s", (long long)size,
                          (long long)axes->at[i], shape_text(x));
        *dim = size_of(count);
        type->dim[type->rank++] = size_of(size);
    }
    return true;
}

Expr *define_window(Definer *d, const Node *node, Expr *const *at)
{
    Exprs *pool = d->pool;
    const Type *x = &node->in[0]->type;
    Expr *index[MAX_RANK];
    memcpy(index, at, sizeof *at * (size_t)x->rank);
    for (int i = 0; i < node->attr[0].count; i++) {
        int64_t axis = node->attr[0].at[i];
        Expr *start = expr_mul(pool, at[axis], expr_int(pool, DTYPE_I64, node->attr[2].at[i]));
        Expr *place = expr_mul(pool, at[x->rank + i], expr_int(pool, DTYPE_I64, node->attr[3].at[i]));
        index[axis] = expr_add(pool, start, place);
    }
    return d->read(d, node->in[0], index);
}

void grad_window(Graph *g, Node *n, Node *dy, Node **dx)
{
    Node fold = {.op = OP_FOLD, .in = {dy}, .type = n->in[0]->type};
    memcpy(fold.attr, n->attr, sizeof fold.attr);
    dx[0] = graph_add(g, fold);
}

/* y[s, …, i, …] = x[s, …, i + offset[s], …], 0 outside. */
bool infer_shift(const Node *node, Type *type)
{
    const Type *x = &node->in[0]->type, *offset = &node->in[1]->type;
    *type = *x;
    const Ints *axis = &node->attr[0];
    if (offset->dtype != DTYPE_I32 || offset->rank != 1 || x->rank < 1 ||
        !size_equal(offset->dim[0], x->dim[0]))
        return refuse("shift: the offset is one i32 a sample of %s, not %s", shape_text(x),
                      shape_text(offset));
    return (axis->count == 1 && axis->at[0] > 0 && axis->at[0] < x->rank) ||
           refuse("shift: axis is not an inner axis of %s", shape_text(x));
}

Expr *define_shift(Definer *d, const Node *node, Expr *const *at)
{
    Exprs *pool = d->pool;
    Expr *index[MAX_RANK];
    int64_t axis = node->attr[0].at[0];
    memcpy(index, at, sizeof *at * (size_t)node->type.rank);
    Expr *offset = d->read(d, node->in[1], at);
    index[axis] = expr_add(pool, at[axis], expr_cast(pool, offset, DTYPE_I64));
    Expr *where = within(pool, index[axis], expr_size(pool, node->type.dim[axis]));
    return read_where(d, node->in[0], index, where, expr_real(pool, node->type.dtype, 0));
}

void grad_shift(Graph *g, Node *n, Node *dy, Node **dx)
{
    Node *back = graph_unary(g, OP_NEG, n->in[1]);
    dx[0] = graph_add(g, (Node){.op = OP_SHIFT, .in = {dy, back}, .attr = {n->attr[0]}});
}
