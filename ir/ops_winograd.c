/* The transforms of a convolution by Winograd's minimal filtering (winograd_matrices.h): of the input, of the weights, and
   back. Between them stands a stack of matrix products. The gradient of the weights is such a convolution too, of the input
   by the result's gradient, of as many outputs as the kernel has elements: F(r, m) instead of F(m, r), summed over all tiles
   before it is transformed back. A transform's element is one row of a matrix times a column, twice; which row
   is a choice by the index, and vanishes where the index is constant: schedules make it so. */
#include "ops.h"
#include "winograd_matrices.h"

#include <string.h>

enum { AXIS_O = 2, AXIS_H = 3, AXIS_W = 4 };

/* ---- a row of a matrix times a column ------------------------------------------------------------------- */

typedef struct Column {
    int count;
    Expr *at[WINOGRAD_MOST];
} Column;

typedef Expr *RowTimes(Exprs *pool, const Winograd *w, int row, const Column *x);

static Expr *times(Exprs *pool, double coefficient, Expr *x)
{
    if (coefficient == 1)
        return x;
    if (coefficient == -1)
        return expr_apply(pool, SCALAR_NEG, x, NULL, NULL);
    return expr_apply(pool, SCALAR_MUL, expr_real(pool, x->dtype, coefficient), x, NULL);
}

/* The sum of sign · coefficient · x over first, first + step, …; NULL if all coefficients are 0. */
static Expr *weighted(Exprs *pool, const double *coefficient, double sign, const Column *x, int first,
                      int step)
{
    Expr *sum = NULL;
    for (int i = first; i < x->count; i += step) {
        double c = sign * coefficient[i];
        if (c == 0)
            continue;
        if (!sum)
            sum = times(pool, c, x->at[i]);
        else if (c == 1 || c == -1)
            sum = expr_apply(pool, c > 0 ? SCALAR_ADD : SCALAR_SUB, sum, x->at[i], NULL);
        else
            sum = expr_apply(pool, SCALAR_FMA, expr_real(pool, sum->dtype, c), x->at[i], sum);
    }
    return sum;
}

/* Rows of the points p and −p differ in the sign of every other coefficient only: they share both halves of their sums. */
static Expr *row_times(Exprs *pool, const double *row, const Column *x)
{
    double sign = 0;
    for (int i = 1; i < x->count && !sign; i += 2)
        sign = row[i] < 0 ? -1 : row[i] > 0;
    Expr *even = weighted(pool, row, 1, x, 0, 2), *odd = sign ? weighted(pool, row, sign, x, 1, 2) : NULL;
    if (!odd)
        return even;
    if (!even)
        return times(pool, sign, odd);
    return expr_apply(pool, sign > 0 ? SCALAR_ADD : SCALAR_SUB, even, odd, NULL);
}

static Expr *input_row(Exprs *pool, const Winograd *w, int row, const Column *x)
{
    return row_times(pool, w->input[row], x);
}

static Expr *weight_row(Exprs *pool, const Winograd *w, int row, const Column *x)
{
    return times(pool, w->scale[row], row_times(pool, w->weight[row], x));
}

/* Columns of the points p and −p are equal, or each other's negative: rows share their sums and differences. */
static Expr *output_row(Exprs *pool, const Winograd *w, int row, const Column *x)
{
    Column pairs = {.count = w->size / 2 + 1};
    double coefficient[WINOGRAD_MOST];
    coefficient[0] = w->output[row][0];
    pairs.at[0] = x->at[0];
    for (int i = 1; i + 1 < w->size; i += 2) {
        ScalarOp op = row % 2 ? SCALAR_SUB : SCALAR_ADD;
        coefficient[(i + 1) / 2] = w->output[row][i];
        pairs.at[(i + 1) / 2] = expr_apply(pool, op, x->at[i], x->at[i + 1], NULL);
    }
    coefficient[w->size / 2] = w->output[row][w->size - 1];
    pairs.at[w->size / 2] = x->at[w->size - 1];
    return weighted(pool, coefficient, 1, &pairs, 0, 1);
}

static Expr *choose_row(Exprs *pool, const Winograd *w, RowTimes *times_row, Expr *row, int rows,
                        const Column *x)
{
    int64_t known;
    if (expr_is_int(row, &known))
        return times_row(pool, w, (int)known, x);
    Expr *chosen = times_row(pool, w, rows - 1, x);
    for (int i = rows - 2; i >= 0; i--) {
        Expr *is = expr_apply(pool, SCALAR_EQ, row, expr_int(pool, DTYPE_I64, i), NULL);
        chosen = expr_apply(pool, SCALAR_SELECT, is, times_row(pool, w, i, x), chosen);
    }
    return chosen;
}

/* Element (i, j) of M x Mᵀ, of `rows` rows; x[a] is column a of x, transposed: x[a][b] = x(b, a). */
static Expr *transform(Exprs *pool, const Winograd *w, RowTimes *times_row, int rows, const Column *x,
                       int columns, Expr *i, Expr *j)
{
    Column once = {.count = columns};
    for (int a = 0; a < columns; a++)
        once.at[a] = choose_row(pool, w, times_row, i, rows, &x[a]);
    return choose_row(pool, w, times_row, j, rows, &once);
}

static bool take_matrices(const Node *node, Winograd *w)
{
    return (node->attr[0].count == 2 && winograd_matrices(node->attr[0].at[0], node->attr[0].at[1], w)) ||
           refuse("%s: tile is [m, r] where m + r − 1 is 4, 6 or 8", op_info[node->op].name);
}

static Size tiles_along(Size size, const Winograd *w)
{
    return size_of((size.count + w->tile - 1) / w->tile);
}

/* The columns of a square in the last two axes of a tensor of rank 5, from `corner` on. */
static void read_square(Definer *d, const Node *from, Expr *const lead[3], Expr *const corner[2], int size,
                        Column *square)
{
    for (int b = 0; b < size; b++) {
        square[b].count = size;
        for (int a = 0; a < size; a++) {
            Expr *y = expr_add(d->pool, corner[0], expr_int(d->pool, DTYPE_I64, a));
            Expr *x = expr_add(d->pool, corner[1], expr_int(d->pool, DTYPE_I64, b));
            Expr *const index[] = {lead[0], lead[1], lead[2], y, x};
            square[b].at[a] = d->read(d, from, index);
        }
    }
}

/* The columns of a square of [a, a, row, column] over its first axes. */
static void read_products(Definer *d, const Node *products, Expr *row, Expr *column, int size, Column *square)
{
    for (int b = 0; b < size; b++) {
        square[b].count = size;
        for (int a = 0; a < size; a++) {
            Expr *const index[] = {expr_int(d->pool, DTYPE_I64, a), expr_int(d->pool, DTYPE_I64, b), row,
                                   column};
            square[b].at[a] = d->read(d, products, index);
        }
    }
}

/* ---- tiles of images ------------------------------------------------------------------------------------ */

/* Squares of an image, `stride` from each other. */
typedef struct Tiles {
    int size, stride;
    int64_t down, across; /* of a sample */
} Tiles;

/* An image [n, 1, c, h, w], h and w of whole tiles → [a, a, n·tiles, c] */
static bool infer_tiles(const Node *node, const Winograd *w, Tiles *t, Type *type)
{
    const Type *x = &node->in[0]->type;
    const char *name = op_info[node->op].name;
    if (x->rank != 5 || !dtype_is_float(x->dtype) || !size_is_one(x->dim[1]) || x->dim[AXIS_H].power ||
        x->dim[AXIS_W].power)
        return refuse("%s: %s is not [n, 1, c, h, w] of floats", name, shape_text(x));
    int64_t high = x->dim[AXIS_H].count - t->size + t->stride,
            wide = x->dim[AXIS_W].count - t->size + t->stride;
    t->down = high / t->stride;
    t->across = wide / t->stride;
    Size tiles = x->dim[0];
    if (high < t->stride || wide < t->stride || high % t->stride || wide % t->stride ||
        !size_multiply(tiles, size_of(t->down), &tiles) || !size_multiply(tiles, size_of(t->across), &tiles))
        return refuse("%s: %s does not hold whole tiles of %d", name, shape_text(x), w->tile);
    *type = (Type){x->dtype, 4, {size_of(w->size), size_of(w->size), tiles, x->dim[2]}};
    return true;
}

static Expr *define_tiles(Definer *d, const Node *node, const Winograd *w, Tiles t, RowTimes *row,
                          Expr *const *at)
{
    Exprs *pool = d->pool;
    Type type;
    infer_tiles(node, w, &t, &type); /* holds for every node */
    Expr *stride = expr_int(pool, DTYPE_I64, t.stride);
    Expr *across = expr_int(pool, DTYPE_I64, t.across), *down = expr_int(pool, DTYPE_I64, t.down);
    Expr *line = expr_div(pool, at[2], across);
    Expr *const lead[] = {expr_div(pool, line, down), expr_int(pool, DTYPE_I64, 0), at[3]};
    Expr *const corner[] = {expr_mul(pool, expr_mod(pool, line, down), stride),
                            expr_mul(pool, expr_mod(pool, at[2], across), stride)};
    Column tile[WINOGRAD_MOST];
    read_square(d, node->in[0], lead, corner, t.size, tile);
    return transform(pool, w, row, w->size, tile, t.size, at[0], at[1]);
}

/* x with the border that its last tiles reach over. */
bool infer_winograd_input(const Node *node, Type *type)
{
    Winograd w;
    return take_matrices(node, &w) && infer_tiles(node, &w, &(Tiles){w.size, w.tile, 0, 0}, type);
}

Expr *define_winograd_input(Definer *d, const Node *node, Expr *const *at)
{
    Winograd w;
    winograd_matrices(node->attr[0].at[0], node->attr[0].at[1], &w);
    return define_tiles(d, node, &w, (Tiles){w.size, w.tile, 0, 0}, input_row, at);
}

/* ---- the weights ---------------------------------------------------------------------------------------- */

/* w [1, o, c, r, r] → [a, a, c, o] */
bool infer_winograd_weight(const Node *node, Type *type)
{
    const Type *x = &node->in[0]->type;
    Winograd w;
    if (!take_matrices(node, &w))
        return false;
    Size r = size_of(w.kernel);
    if (x->rank != 5 || !dtype_is_float(x->dtype) || !size_is_one(x->dim[0]) ||
        !size_equal(x->dim[AXIS_H], r) || !size_equal(x->dim[AXIS_W], r))
        return refuse("winograd_weight: %s is not [1, o, c, %d, %d] of floats", shape_text(x), w.kernel,
                      w.kernel);
    *type = (Type){x->dtype, 4, {size_of(w.size), size_of(w.size), x->dim[2], x->dim[1]}};
    return true;
}

Expr *define_winograd_weight(Definer *d, const Node *node, Expr *const *at)
{
    Exprs *pool = d->pool;
    Winograd w;
    winograd_matrices(node->attr[0].at[0], node->attr[0].at[1], &w);
    Expr *zero = expr_int(pool, DTYPE_I64, 0);
    Expr *const lead[] = {zero, at[3], at[2]}, *const corner[] = {zero, zero};
    Column kernel[WINOGRAD_MOST];
    read_square(d, node->in[0], lead, corner, w.kernel, kernel);
    return transform(pool, &w, weight_row, w.size, kernel, w.kernel, at[0], at[1]);
}

/* ---- back ----------------------------------------------------------------------------------------------- */

/* [a, a, n·tiles, o] → [n, 1, o, h, w]: the type is given, for the last tiles may reach beyond it. */
bool infer_winograd_output(const Node *node, Type *type)
{
    const Type *x = &node->in[0]->type;
    Winograd w;
    if (!take_matrices(node, &w))
        return false;
    type->dtype = x->dtype;
    Size a = size_of(w.size), tiles = type->dim[0];
    bool fits = x->rank == 4 && dtype_is_float(x->dtype) && size_equal(x->dim[0], a) &&
                size_equal(x->dim[1], a) && type->rank == 5 && size_is_one(type->dim[1]) &&
                size_equal(type->dim[AXIS_O], x->dim[3]);
    for (int d = AXIS_H; fits && d <= AXIS_W; d++)
        fits = !type->dim[d].power && size_multiply(tiles, tiles_along(type->dim[d], &w), &tiles);
    return (fits && size_equal(tiles, x->dim[2])) ||
           refuse("winograd_output: %s are not the tiles of %s", shape_text(x), shape_text(type));
}

Expr *define_winograd_output(Definer *d, const Node *node, Expr *const *at)
{
    Exprs *pool = d->pool;
    Winograd w;
    winograd_matrices(node->attr[0].at[0], node->attr[0].at[1], &w);
    Expr *m = expr_int(pool, DTYPE_I64, w.tile);
    Expr *tile = at[0], *inside[2];
    for (int i = 0; i < 2; i++) {
        Expr *along = at[AXIS_H + i], *tiles = expr_size(pool, tiles_along(node->type.dim[AXIS_H + i], &w));
        tile = expr_add(pool, expr_mul(pool, tile, tiles), expr_div(pool, along, m));
        inside[i] = expr_mod(pool, along, m);
    }
    Column product[WINOGRAD_MOST];
    read_products(d, node->in[0], tile, at[AXIS_O], w.size, product);
    return transform(pool, &w, output_row, w.tile, product, w.size, inside[0], inside[1]);
}

/* ---- the gradient of the weights ------------------------------------------------------------------------- */

/* The matrices of F(r, m). */
static void exchanged_matrices(const Node *node, Winograd *w)
{
    winograd_matrices(node->attr[0].at[1], node->attr[0].at[0], w);
}

/* dy, in tiles that do not overlap */
bool infer_winograd_result(const Node *node, Type *type)
{
    Winograd w;
    return take_matrices(node, &w) && infer_tiles(node, &w, &(Tiles){w.tile, w.tile, 0, 0}, type);
}

Expr *define_winograd_result(Definer *d, const Node *node, Expr *const *at)
{
    Winograd w;
    exchanged_matrices(node, &w);
    return define_tiles(d, node, &w, (Tiles){w.kernel, w.kernel, 0, 0}, weight_row, at);
}

/* [a, a, c, o] → dw [1, o, c, r, r] */
bool infer_winograd_weight_gradient(const Node *node, Type *type)
{
    const Type *x = &node->in[0]->type;
    Winograd w;
    if (!take_matrices(node, &w))
        return false;
    Size a = size_of(w.size), r = size_of(w.kernel);
    if (x->rank != 4 || !dtype_is_float(x->dtype) || !size_equal(x->dim[0], a) || !size_equal(x->dim[1], a))
        return refuse("winograd_weight_gradient: %s is not [%d, %d, c, o] of floats", shape_text(x), w.size,
                      w.size);
    *type = (Type){x->dtype, 5, {size_of(1), x->dim[3], x->dim[2], r, r}};
    return true;
}

Expr *define_winograd_weight_gradient(Definer *d, const Node *node, Expr *const *at)
{
    Exprs *pool = d->pool;
    Winograd w;
    exchanged_matrices(node, &w);
    Column product[WINOGRAD_MOST];
    read_products(d, node->in[0], at[2], at[1], w.size, product);
    return transform(pool, &w, output_row, w.tile, product, w.size, at[3], at[4]);
}
