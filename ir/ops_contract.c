/* Contractions: matrix product, convolution, and the convolution's weight gradient. Sums of products by fma.
 */
#include "ops.h"

#include <string.h>

static Expr *sum_of_products(Definer *d, const ContractAxes *axes, Expr *a, Expr *b)
{
    Expr *product = expr_apply(d->pool, SCALAR_MUL, a, b, NULL);
    return axes->reduction.axes ? expr_reduce(d->pool, product, &axes->reduction) : product;
}

static bool both_float(const Node *node)
{
    const Type *a = &node->in[0]->type, *b = &node->in[1]->type;
    return (a->dtype == b->dtype && dtype_is_float(a->dtype)) ||
           refuse("%s: operands are floats of one type, not %s and %s", op_info[node->op].name, shape_text(a),
                  shape_text(b));
}

/* ---- matmul -------------------------------------------------------------------------------------------- */

bool infer_matmul(const Node *node, Type *type)
{
    const Type *a = &node->in[0]->type, *b = &node->in[1]->type;
    if (!both_float(node))
        return false;
    if (a->rank < 2 || b->rank != a->rank)
        return refuse("matmul: %s and %s are not matrices, or stacks of as many axes", shape_text(a),
                      shape_text(b));
    *type = *a;
    int r = a->rank;
    for (int d = 0; d < r - 2; d++)
        if (!size_equal(a->dim[d], b->dim[d]))
            return refuse("matmul: %s and %s are stacks of different shape", shape_text(a), shape_text(b));
    if (!size_equal(a->dim[r - 1], b->dim[r - 2]))
        return refuse("matmul: %s has rows that do not fit the columns of %s", shape_text(a), shape_text(b));
    type->dim[r - 1] = b->dim[r - 1];
    return true;
}

/* y[…, i, j] = sum(k) a[…, i, k] · b[…, k, j] */
Expr *define_matmul(Definer *d, const Node *node, Expr *const *at)
{
    int r = node->type.rank;
    ContractAxes axes = {1, {node->in[0]->type.dim[r - 1]}, {0}, {0}};
    contract_axes(d, &axes);
    Expr *left[MAX_RANK], *right[MAX_RANK];
    memcpy(left, at, sizeof *at * (size_t)r);
    memcpy(right, at, sizeof *at * (size_t)r);
    left[r - 1] = axes.at[0];
    right[r - 2] = axes.at[0];
    Expr *a = d->read(d, node->in[0], left);
    Expr *b = d->read(d, node->in[1], right);
    return sum_of_products(d, &axes, a, b);
}

static Node *matrix_transpose(Graph *g, Node *a)
{
    int r = a->type.rank;
    Ints axes = {.count = r};
    for (int i = 0; i < r; i++)
        axes.at[i] = i;
    axes.at[r - 2] = r - 1;
    axes.at[r - 1] = r - 2;
    return graph_transpose(g, a, axes);
}

void grad_matmul(Graph *g, Node *n, Node *dy, Node **dx)
{
    dx[0] = graph_binary(g, OP_MATMUL, dy, matrix_transpose(g, n->in[1]));
    dx[1] = graph_binary(g, OP_MATMUL, matrix_transpose(g, n->in[0]), dy);
}

/* ---- convolution --------------------------------------------------------------------------------------- */

/* Axes of x, y: N G C H W; of w: G O C KH KW. */
enum { AXIS_H = 3, AXIS_W = 4 };

static bool pair_valid(const Ints *pair) { return pair->count == 2 && pair->at[0] >= 1 && pair->at[1] >= 1; }

/* steps · stride + 1: how far equal steps reach; saturating, for attributes may be anything. */
static int64_t span(int64_t steps, int64_t stride)
{
    int64_t last;
    return __builtin_mul_overflow(steps, stride, &last) || last > MAX_DIM ? MAX_DIM + 1 : last + 1;
}

int64_t conv_reach(int64_t kernel, int64_t dilation) { return span(kernel - 1, dilation); }

bool infer_conv(const Node *node, Type *type)
{
    const Type *x = &node->in[0]->type, *w = &node->in[1]->type;
    if (!both_float(node))
        return false;
    if (x->rank != 5 || w->rank != 5 || !pair_valid(&node->attr[0]) || !pair_valid(&node->attr[1]))
        return refuse("conv: %s and %s are not [n, g, c, h, w] and [g, o, c, kh, kw]", shape_text(x),
                      shape_text(w));
    if (!size_equal(x->dim[1], w->dim[0]) || !size_equal(x->dim[2], w->dim[2]))
        return refuse("conv: groups or channels of %s and %s differ", shape_text(x), shape_text(w));
    *type = *x;
    type->dim[2] = w->dim[1];
    for (int i = 0; i < 2; i++) {
        int64_t size = x->dim[AXIS_H + i].count,
                kernel = conv_reach(w->dim[AXIS_H + i].count, node->attr[1].at[i]);
        if (x->dim[AXIS_H + i].power || w->dim[AXIS_H + i].power || kernel > size)
            return refuse("conv: kernel %lld is larger than the input, %s",
                          (long long)w->dim[AXIS_H + i].count, shape_text(x));
        type->dim[AXIS_H + i] = size_of((size - kernel) / node->attr[0].at[i] + 1);
    }
    return true;
}

/* The input index of output o and kernel place k. */
static Expr *conv_index(Exprs *pool, const Node *node, int i, Expr *o, Expr *k)
{
    Expr *start = expr_mul(pool, o, expr_int(pool, DTYPE_I64, node->attr[0].at[i]));
    return expr_add(pool, start, expr_mul(pool, k, expr_int(pool, DTYPE_I64, node->attr[1].at[i])));
}

/* Of a convolution's products with rows of zeros above and below its image, this share is worth leaving out. */
enum { LEFT_OUT_SHARE = 4 };

bool conv_border(const Node *node, int64_t *low, int64_t *rows)
{
    const Node *x = node->in[0];
    int64_t kernel = node->in[1]->type.dim[AXIS_H].count, left_out = 0;
    if (node->op != OP_CONV || x->op != OP_PAD || x->value != 0 || node->attr[0].at[0] != 1 ||
        node->attr[1].at[0] != 1)
        return false;
    *low = x->attr[0].at[AXIS_H];
    *rows = x->in[0]->type.dim[AXIS_H].count;
    if (*low >= kernel || x->attr[1].at[AXIS_H] >= kernel)
        return false;
    for (int64_t y = 0; y < node->type.dim[AXIS_H].count; y++) {
        int64_t above = *low - y, below = y + kernel - *low - *rows;
        left_out += (above > 0 ? above : 0) + (below > 0 ? below : 0);
    }
    return left_out * LEFT_OUT_SHARE >= kernel * node->type.dim[AXIS_H].count;
}

static Expr *select_less(Exprs *pool, Expr *a, Expr *b, Expr *then, Expr *otherwise)
{
    return expr_apply(pool, SCALAR_SELECT, expr_less(pool, a, b), then, otherwise);
}

/* The kernel's row of a term, of those alone that meet the image in output row `y`; it goes first in the reduction. */
static Expr *rows_of_image(Definer *d, const Node *node, Expr *y, int64_t low, int64_t rows, Reduction *r)
{
    Exprs *pool = d->pool;
    Size kernel = node->in[1]->type.dim[AXIS_H];
    Expr *zero = expr_int(pool, DTYPE_I64, 0), *all = expr_size(pool, kernel);
    Expr *border = expr_int(pool, DTYPE_I64, low);
    Expr *first = select_less(pool, y, border, expr_sub(pool, border, y), zero);
    Expr *left = expr_sub(pool, expr_int(pool, DTYPE_I64, low + rows), y);
    Expr *end = select_less(pool, left, all, left, all);
    Expr *term = expr_axis(pool, d->axis(d, kernel, expr_sub(pool, end, first)));
    memmove(&r->axis[1], &r->axis[0], sizeof r->axis[0] * (size_t)r->axes++);
    r->axis[0] = term->index;
    return expr_add(pool, first, term);
}

/* y[n, g, o, i, j] = sum(kh, kw, c) x[n, g, c, i·s + kh·d, j·s + kw·d] · w[g, o, c, kh, kw] */
Expr *define_conv(Definer *d, const Node *node, Expr *const *at)
{
    const Type *w = &node->in[1]->type;
    int64_t low, rows;
    bool border = conv_border(node, &low, &rows);
    ContractAxes axes = {3, {border ? size_of(1) : w->dim[3], w->dim[4], w->dim[2]}, {0}, {0}};
    contract_axes(d, &axes);
    Expr *kh = axes.at[0], *kw = axes.at[1], *c = axes.at[2];
    if (border)
        kh = rows_of_image(d, node, at[AXIS_H], low, rows, &axes.reduction);
    Expr *image[] = {at[0], at[1], c, conv_index(d->pool, node, 0, at[AXIS_H], kh),
                     conv_index(d->pool, node, 1, at[AXIS_W], kw)};
    Expr *weight[] = {at[1], at[2], c, kh, kw};
    Expr *a = d->read(d, node->in[0], image);
    Expr *b = d->read(d, node->in[1], weight);
    return sum_of_products(d, &axes, a, b);
}

/* conv(dy with a border, w turned around with o and c exchanged): `size` elements along h and w. */
static Node *turned_convolution(Graph *g, Node *dy, Node *w, const int64_t *size, Ints dilation)
{
    Ints low = {5, {0}}, high = {5, {0}};
    for (int i = 0; i < 2; i++) {
        low.at[AXIS_H + i] = conv_reach(w->type.dim[AXIS_H + i].count, dilation.at[i]) - 1;
        high.at[AXIS_H + i] = size[i] - dy->type.dim[AXIS_H + i].count;
    }
    Node *border = graph_add(g, (Node){.op = OP_PAD, .in = {dy}, .attr = {low, high}});
    Node *turned = graph_add(g, (Node){.op = OP_REVERSE, .in = {w}, .attr = {{2, {3, 4}}}});
    Node *exchanged = graph_transpose(g, turned, (Ints){5, {0, 2, 1, 3, 4}});
    return graph_add(g, (Node){.op = OP_CONV, .in = {border, exchanged}, .attr = {{2, {1, 1}}, dilation}});
}

static Ints along_image(int64_t others, int64_t h, int64_t w)
{
    return (Ints){5, {others, others, others, h, w}};
}

/* Every stride-th element of w, from `first`; then what begins there in x, one in stride. */
static Node *gradient_of_phase(Graph *g, const Node *conv, Node *dy, Node *w, const int64_t *first)
{
    Ints stride = conv->attr[0], high = {5, {0}};
    Type part = w->type;
    int64_t size[2];
    for (int i = 0; i < 2; i++) {
        int64_t step = stride.at[i];
        part.dim[AXIS_H + i] = size_of((w->type.dim[AXIS_H + i].count - first[i] + step - 1) / step);
        size[i] = (conv->in[0]->type.dim[AXIS_H + i].count - first[i] + step - 1) / step;
        high.at[AXIS_H + i] = conv->in[0]->type.dim[AXIS_H + i].count - first[i] - span(size[i] - 1, step);
    }
    Ints begin = along_image(0, first[0], first[1]), step = along_image(1, stride.at[0], stride.at[1]);
    Node *weights = graph_add(g, (Node){.op = OP_SLICE, .in = {w}, .type = part, .attr = {begin, step}});
    Node *dx = turned_convolution(g, dy, weights, size, (Ints){2, {1, 1}});
    Node *spread = graph_add(g, (Node){.op = OP_DILATE, .in = {dx}, .attr = {step}});
    return graph_add(g, (Node){.op = OP_PAD, .in = {spread}, .attr = {begin, high}});
}

enum { MOST_PHASES = 16 }; /* more convolutions than that are not worth their kernels */

/* Where the stride is 1, dx = turned_convolution(dy). Else elements of x that are a stride apart belong to the same weights, and
   those to no others: a convolution for each phase. Where weights are dilated, or phases many, dy is spread, with zeros
   between. */
static Node *input_gradient(Graph *g, const Node *conv, Node *dy, Node *w)
{
    const Type *x = &conv->in[0]->type;
    Ints stride = conv->attr[0], dilation = conv->attr[1];
    bool dilated = dilation.at[0] > 1 || dilation.at[1] > 1, plain = stride.at[0] == 1 && stride.at[1] == 1;
    if (dilated || plain || stride.at[0] > MOST_PHASES / stride.at[1]) {
        Ints factor = along_image(1, stride.at[0], stride.at[1]);
        int64_t size[2] = {x->dim[AXIS_H].count, x->dim[AXIS_W].count};
        Node *spread = graph_add(g, (Node){.op = OP_DILATE, .in = {dy}, .attr = {factor}});
        return turned_convolution(g, spread, w, size, dilation);
    }
    Node *sum = NULL;
    for (int64_t p = 0; p < stride.at[0] && p < w->type.dim[AXIS_H].count; p++)
        for (int64_t q = 0; q < stride.at[1] && q < w->type.dim[AXIS_W].count; q++) {
            Node *dx = gradient_of_phase(g, conv, dy, w, (const int64_t[]){p, q});
            sum = sum ? graph_binary(g, OP_ADD, sum, dx) : dx;
        }
    return sum;
}

static Node *weight_gradient(Graph *g, const Node *conv, Node *x, Node *dy)
{
    const Type *w = &conv->in[1]->type;
    Ints kernel = {2, {w->dim[3].count, w->dim[4].count}};
    return graph_add(
        g,
        (Node){.op = OP_CONV_WEIGHT_GRADIENT, .in = {x, dy}, .attr = {conv->attr[0], conv->attr[1], kernel}});
}

void grad_conv(Graph *g, Node *n, Node *dy, Node **dx)
{
    dx[0] = input_gradient(g, n, dy, n->in[1]);
    dx[1] = weight_gradient(g, n, n->in[0], dy);
}

/* ---- its weight gradient ------------------------------------------------------------------------------- */

bool infer_conv_weight_gradient(const Node *node, Type *type)
{
    const Type *x = &node->in[0]->type, *dy = &node->in[1]->type;
    if (!both_float(node))
        return false;
    if (x->rank != 5 || dy->rank != 5 || !pair_valid(&node->attr[0]) || !pair_valid(&node->attr[1]) ||
        !pair_valid(&node->attr[2]) || !size_equal(x->dim[0], dy->dim[0]) ||
        !size_equal(x->dim[1], dy->dim[1]))
        return refuse("conv_weight_gradient: %s and %s do not fit", shape_text(x), shape_text(dy));
    *type = (Type){
        x->dtype,
        5,
        {x->dim[1], dy->dim[2], x->dim[2], size_of(node->attr[2].at[0]), size_of(node->attr[2].at[1])}};
    for (int i = 0; i < 2; i++) {
        int64_t rows = span(dy->dim[AXIS_H + i].count - 1, node->attr[0].at[i]) - 1 +
                       conv_reach(node->attr[2].at[i], node->attr[1].at[i]);
        if (x->dim[AXIS_H + i].power || dy->dim[AXIS_H + i].power || rows > x->dim[AXIS_H + i].count)
            return refuse("conv_weight_gradient: %s is too small for %s", shape_text(x), shape_text(dy));
    }
    return true;
}

/* dw[g, o, c, kh, kw] = sum(n, i, j) x[n, g, c, i·s + kh·d, j·s + kw·d] · dy[n, g, o, i, j] */
Expr *define_conv_weight_gradient(Definer *d, const Node *node, Expr *const *at)
{
    const Type *dy = &node->in[1]->type;
    ContractAxes axes = {3, {dy->dim[0], dy->dim[AXIS_H], dy->dim[AXIS_W]}, {0}, {0}};
    contract_axes(d, &axes);
    Expr *n = axes.at[0], *i = axes.at[1], *j = axes.at[2];
    Expr *image[] = {n, at[0], at[2], conv_index(d->pool, node, 0, i, at[3]),
                     conv_index(d->pool, node, 1, j, at[4])};
    Expr *result[] = {n, at[0], at[1], i, j};
    Expr *a = d->read(d, node->in[0], image);
    Expr *b = d->read(d, node->in[1], result);
    return sum_of_products(d, &axes, a, b);
}

/* It is linear in both: a gradient dw' flows to x as an input gradient with weights dw', to dy as a
 * convolution. */
void grad_conv_weight_gradient(Graph *g, Node *n, Node *dw, Node **dx)
{
    Node conv = {.op = OP_CONV, .in = {n->in[0], dw}, .attr = {n->attr[0], n->attr[1]}};
    dx[0] = input_gradient(g, &conv, n->in[1], dw);
    Node *y = graph_add(g, conv);
    Ints none = {5, {0}}, ones = {5, {1, 1, 1, 1, 1}};
    dx[1] = graph_add(g, (Node){.op = OP_SLICE, .in = {y}, .type = n->in[1]->type, .attr = {none, ones}});
}
