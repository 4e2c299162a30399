/* Winograd's transforms as two matrix products, element by element. The matrices are the compiler's: that they are right is
   shown by values by hand, and by comparing with the direct convolution. */
#include "graph_eval_winograd.h"
#include "winograd_matrices.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Square {
    Number at[WINOGRAD_MOST][WINOGRAD_MOST];
} Square;

static Number coefficient(DType dtype, double value)
{
    Number n = number_exact(value);
    n.predicted = number_round(dtype, value);
    n.error = fabs(n.predicted - value);
    return n;
}

/* A chain by fma over first, first + step, … of what is not 0; false if there is none. */
static bool chain(DType dtype, const double *row, const Number *x, int count, int first, int step,
                  Number *sum)
{
    Number a[WINOGRAD_MOST], b[WINOGRAD_MOST];
    int terms = 0;
    for (int i = first; i < count; i += step)
        if (row[i] != 0) {
            a[terms] = coefficient(dtype, row[i]);
            b[terms++] = x[i];
        }
    if (!terms)
        return false;
    *sum = number_sum(dtype, (Order){1, terms, false}, a, b, terms);
    sum->size = 0; /* of all that was added before, too */
    for (int i = 0; i < terms; i++)
        sum->size += fabs(a[i].value) * b[i].size;
    return true;
}

static Number added(OpKind op, DType dtype, Number a, Number b)
{
    const Number pair[] = {a, b};
    Number sum = number_map(op, dtype, dtype, pair);
    sum.size = a.size + b.size;
    return sum;
}

static Number scaled(DType dtype, double scale, Number n)
{
    const Number pair[] = {coefficient(dtype, scale), n};
    Number product = number_map(OP_MUL, dtype, dtype, pair);
    product.size = fabs(scale) * n.size;
    return product;
}

/* Even terms and odd ones by themselves. */
static Number by_halves(DType dtype, const double *row, const Number *x, int count)
{
    Number even, odd;
    bool some = chain(dtype, row, x, count, 0, 2, &even), others = chain(dtype, row, x, count, 1, 2, &odd);
    return some && others ? added(OP_ADD, dtype, even, odd) : some ? even : odd;
}

/* Sums, or differences in odd rows, of neighbours from the second on. */
static Number by_pairs(DType dtype, const double *row, int index, const Number *x, int count)
{
    Number pair[WINOGRAD_MOST], sum;
    double factor[WINOGRAD_MOST];
    int pairs = 0;
    factor[pairs] = row[0];
    pair[pairs++] = x[0];
    for (int i = 1; i + 1 < count; i += 2) {
        factor[pairs] = row[i];
        pair[pairs++] = added(index % 2 ? OP_SUB : OP_ADD, dtype, x[i], x[i + 1]);
    }
    factor[pairs] = row[count - 1];
    pair[pairs++] = x[count - 1];
    return chain(dtype, factor, pair, pairs, 0, 1, &sum) ? sum : number_exact(0);
}

typedef enum { INPUT, WEIGHT, OUTPUT } Matrix;

/* M x Mᵀ of an x of `count` rows and columns. */
static Square transform(Matrix op, DType dtype, const Winograd *w, const Square *x)
{
    int count = op == WEIGHT ? w->kernel : w->size;
    int rows = op == OUTPUT ? w->tile : w->size;
    Square half, y;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < (pass ? rows : count); j++) {
                Number line[WINOGRAD_MOST];
                for (int k = 0; k < count; k++)
                    line[k] = pass ? half.at[j][k] : x->at[k][j];
                const double *row = op == INPUT ? w->input[i] : op == WEIGHT ? w->weight[i] : w->output[i];
                Number n =
                    op == OUTPUT ? by_pairs(dtype, row, i, line, count) : by_halves(dtype, row, line, count);
                if (op == WEIGHT)
                    n = scaled(dtype, w->scale[i], n);
                *(pass ? &y.at[j][i] : &half.at[i][j]) = n;
            }
    return y;
}

static Winograd matrices(int64_t tile, int64_t kernel)
{
    Winograd w;
    if (!winograd_matrices(tile, kernel, &w))
        abort();
    return w;
}

/* Of squares of images, `stride` from each other. */
static void eval_tiles(Matrix matrix, const Winograd *w, int size, int stride, const Tensor *x, Tensor *y)
{
    int64_t across = (x->extent[4] - size) / stride + 1, down = (x->extent[3] - size) / stride + 1;
    for (int64_t tile = 0; tile < y->extent[2]; tile++)
        for (int64_t c = 0; c < y->extent[3]; c++) {
            Square s;
            int64_t sample = tile / (across * down);
            for (int a = 0; a < size; a++)
                for (int b = 0; b < size; b++) {
                    int64_t row = tile / across % down * stride + a, column = tile % across * stride + b;
                    s.at[a][b] =
                        x->at[((sample * x->extent[2] + c) * x->extent[3] + row) * x->extent[4] + column];
                }
            s = transform(matrix, y->dtype, w, &s);
            for (int i = 0; i < w->size; i++)
                for (int j = 0; j < w->size; j++)
                    y->at[((i * w->size + j) * y->extent[2] + tile) * y->extent[3] + c] = s.at[i][j];
        }
}

static void eval_weight(const Winograd *w, const Tensor *x, Tensor *y)
{
    for (int64_t o = 0; o < x->extent[1]; o++)
        for (int64_t c = 0; c < x->extent[2]; c++) {
            Square s;
            for (int a = 0; a < w->kernel; a++)
                for (int b = 0; b < w->kernel; b++)
                    s.at[a][b] = x->at[((o * x->extent[2] + c) * w->kernel + a) * w->kernel + b];
            s = transform(WEIGHT, y->dtype, w, &s);
            for (int i = 0; i < w->size; i++)
                for (int j = 0; j < w->size; j++)
                    y->at[((i * w->size + j) * y->extent[2] + c) * y->extent[3] + o] = s.at[i][j];
        }
}

static void eval_output(const Winograd *w, const Tensor *x, Tensor *y)
{
    int64_t down = (y->extent[3] + w->tile - 1) / w->tile, across = (y->extent[4] + w->tile - 1) / w->tile;
    for (int64_t tile = 0; tile < x->extent[2]; tile++)
        for (int64_t o = 0; o < x->extent[3]; o++) {
            Square s;
            for (int i = 0; i < w->size; i++)
                for (int j = 0; j < w->size; j++)
                    s.at[i][j] = x->at[((i * w->size + j) * x->extent[2] + tile) * x->extent[3] + o];
            s = transform(OUTPUT, y->dtype, w, &s);
            int64_t sample = tile / (across * down);
            for (int a = 0; a < w->tile; a++)
                for (int b = 0; b < w->tile; b++) {
                    int64_t row = tile / across % down * w->tile + a, column = tile % across * w->tile + b;
                    if (row < y->extent[3] && column < y->extent[4])
                        y->at[((sample * y->extent[2] + o) * y->extent[3] + row) * y->extent[4] + column] =
                            s.at[a][b];
                }
        }
}

/* w: of the exchanged sizes. */
static void eval_weight_gradient(const Winograd *w, const Tensor *x, Tensor *y)
{
    for (int64_t c = 0; c < x->extent[2]; c++)
        for (int64_t o = 0; o < x->extent[3]; o++) {
            Square s;
            for (int i = 0; i < w->size; i++)
                for (int j = 0; j < w->size; j++)
                    s.at[i][j] = x->at[((i * w->size + j) * x->extent[2] + c) * x->extent[3] + o];
            s = transform(OUTPUT, y->dtype, w, &s);
            for (int a = 0; a < w->tile; a++)
                for (int b = 0; b < w->tile; b++)
                    y->at[((o * x->extent[2] + c) * w->tile + a) * w->tile + b] = s.at[a][b];
        }
}

void eval_winograd(const Node *n, const Tensor *x, Tensor *y)
{
    int64_t tile = n->attr[0].at[0], kernel = n->attr[0].at[1];
    Winograd w = matrices(tile, kernel), exchanged = matrices(kernel, tile);
    switch (n->op) {
    case OP_WINOGRAD_INPUT:
        eval_tiles(INPUT, &w, w.size, w.tile, x, y);
        break;
    case OP_WINOGRAD_WEIGHT:
        eval_weight(&w, x, y);
        break;
    case OP_WINOGRAD_OUTPUT:
        eval_output(&w, x, y);
        break;
    case OP_WINOGRAD_RESULT:
        eval_tiles(WEIGHT, &exchanged, w.tile, w.tile, x, y);
        break;
    case OP_WINOGRAD_WEIGHT_GRADIENT:
        eval_weight_gradient(&exchanged, x, y);
        break;
    default:
        abort();
    }
    y->depth = 2 * w.size;
}
