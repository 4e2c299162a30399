#include "graph_eval.h"
#include "graph_eval_winograd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- tensors and their indices -------------------------------------------------------------------------- */

typedef struct Index {
    int64_t at[MAX_RANK];
} Index;

int64_t type_count(const Type *type, int64_t batch)
{
    int64_t count = 1;
    for (int d = 0; d < type->rank; d++)
        count *= size_at(type->dim[d], batch);
    return count;
}

static Tensor *tensor_new(const Evaluation *e, const Type *type)
{
    Tensor *t = arena_alloc(e->arena, sizeof *t);
    t->dtype = e->reference && type->dtype == DTYPE_F32 ? DTYPE_F64 : type->dtype;
    t->rank = type->rank;
    for (int d = 0; d < type->rank; d++)
        t->extent[d] = size_at(type->dim[d], e->batch);
    t->count = type_count(type, e->batch);
    t->at = arena_alloc(e->arena, (size_t)t->count * sizeof *t->at);
    return t;
}

/* The next index in row-major order; false after the last. */
static bool index_next(int rank, const int64_t *extent, Index *index)
{
    for (int d = rank - 1; d >= 0; d--) {
        if (++index->at[d] < extent[d])
            return true;
        index->at[d] = 0;
    }
    return false;
}

static Number *element(const Tensor *t, const Index *index)
{
    int64_t place = 0;
    for (int d = 0; d < t->rank; d++) {
        if (index->at[d] < 0 || index->at[d] >= t->extent[d])
            abort();
        place = place * t->extent[d] + index->at[d];
    }
    return &t->at[place];
}

static void fill(Tensor *y, double value)
{
    for (int64_t i = 0; i < y->count; i++)
        y->at[i] = number_exact(dtype_is_float(y->dtype) ? number_round(y->dtype, value) : value);
}

/* ---- leaves --------------------------------------------------------------------------------------------- */

static void eval_iota(const Node *n, Tensor *y)
{
    Index index = {0};
    int64_t i = 0;
    do
        y->at[i++] = number_exact((double)index.at[n->attr[0].at[0]]);
    while (index_next(y->rank, y->extent, &index));
}

/* Philox 4x32-10 of Salmon et al. 2011. */
static void philox(uint32_t counter[4], uint32_t key0, uint32_t key1)
{
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)counter[0] * 0xD2511F53u, b = (uint64_t)counter[2] * 0xCD9E8D57u;
        uint32_t next[4] = {(uint32_t)(b >> 32) ^ counter[1] ^ key0, (uint32_t)b,
                            (uint32_t)(a >> 32) ^ counter[3] ^ key1, (uint32_t)a};
        memcpy(counter, next, sizeof next);
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

/* Counter: element within its sample, sample, step, place. The first axis that grows with the batch holds samples, each of
   as many rows as there are for a batch of 1. */
static void eval_random(const Node *n, const Tensor *seed, const Tensor *step, Tensor *y)
{
    Index at = {0};
    int64_t i = 0;
    do {
        int64_t sample = 0, element = 0;
        bool found = false;
        for (int d = 0; d < y->rank; d++) {
            bool samples = !found && n->type.dim[d].power == 1;
            int64_t extent = samples ? n->type.dim[d].count : y->extent[d];
            sample = samples ? at.at[d] / extent : sample;
            found |= samples;
            element = element * extent + (samples ? at.at[d] % extent : at.at[d]);
        }
        uint32_t counter[4] = {(uint32_t)element, (uint32_t)sample, (uint32_t)step->at[0].value,
                               (uint32_t)n->attr[0].at[0]};
        philox(counter, (uint32_t)seed->at[0].value, (uint32_t)seed->at[1].value);
        y->at[i++] = number_exact(counter[n->attr[1].at[0]]);
    } while (index_next(y->rank, y->extent, &at));
}

static void eval_size(const Evaluation *e, const Node *n, Tensor *y)
{
    double value = (double)n->attr[0].at[0];
    for (int64_t i = 0; i < n->attr[1].at[0]; i++)
        value *= (double)e->batch;
    fill(y, value);
}

/* ---- maps ----------------------------------------------------------------------------------------------- */

static void eval_map(const Node *n, Tensor *const *in, Tensor *y)
{
    for (int64_t i = 0; i < y->count; i++) {
        Number operand[MAX_INPUTS] = {{0}};
        for (int k = 0; k < op_info[n->op].inputs; k++)
            operand[k] = in[k]->at[i];
        y->at[i] = number_map(n->op, in[0]->dtype, y->dtype, operand);
    }
}

/* ---- views ---------------------------------------------------------------------------------------------- */

static void eval_broadcast(const Tensor *x, Tensor *y)
{
    Index to = {0};
    do {
        Index from = {0};
        for (int d = 0; d < x->rank; d++)
            from.at[d] = x->extent[d] == 1 ? 0 : to.at[d + y->rank - x->rank];
        *element(y, &to) = *element(x, &from);
    } while (index_next(y->rank, y->extent, &to));
}

static void eval_transpose(const Node *n, const Tensor *x, Tensor *y)
{
    Index from = {0};
    do {
        Index to = {0};
        for (int d = 0; d < y->rank; d++)
            to.at[d] = from.at[n->attr[0].at[d]];
        *element(y, &to) = *element(x, &from);
    } while (index_next(x->rank, x->extent, &from));
}

static void eval_slice(const Node *n, const Tensor *x, Tensor *y)
{
    Index to = {0};
    do {
        Index from = {0};
        for (int d = 0; d < y->rank; d++)
            from.at[d] = n->attr[0].at[d] + to.at[d] * n->attr[1].at[d];
        *element(y, &to) = *element(x, &from);
    } while (index_next(y->rank, y->extent, &to));
}

static void eval_pad(const Node *n, const Tensor *x, Tensor *y)
{
    fill(y, n->value);
    Index from = {0};
    do {
        Index to = {0};
        for (int d = 0; d < y->rank; d++)
            to.at[d] = n->attr[0].at[d] + from.at[d];
        *element(y, &to) = *element(x, &from);
    } while (index_next(x->rank, x->extent, &from));
}

static void eval_reverse(const Node *n, const Tensor *x, Tensor *y)
{
    Index from = {0};
    do {
        Index to = from;
        for (int i = 0; i < n->attr[0].count; i++)
            to.at[n->attr[0].at[i]] = x->extent[n->attr[0].at[i]] - 1 - from.at[n->attr[0].at[i]];
        *element(y, &to) = *element(x, &from);
    } while (index_next(x->rank, x->extent, &from));
}

static void eval_dilate(const Node *n, const Tensor *x, Tensor *y)
{
    fill(y, 0);
    Index from = {0};
    do {
        Index to = {0};
        for (int d = 0; d < x->rank; d++)
            to.at[d] = from.at[d] * n->attr[0].at[d];
        *element(y, &to) = *element(x, &from);
    } while (index_next(x->rank, x->extent, &from));
}

/* The element of the windowed tensor that `place`, an index of the windows, shows. */
static Index window_source(const Node *n, int rank, const Index *place)
{
    Index source = *place;
    for (int i = 0; i < n->attr[0].count; i++) {
        int64_t axis = n->attr[0].at[i], stride = n->attr[2].at[i], dilation = n->attr[3].at[i];
        source.at[axis] = place->at[axis] * stride + place->at[rank + i] * dilation;
    }
    return source;
}

static void eval_window(const Node *n, const Tensor *x, Tensor *y)
{
    Index to = {0};
    do {
        Index from = window_source(n, x->rank, &to);
        *element(y, &to) = *element(x, &from);
    } while (index_next(y->rank, y->extent, &to));
}

static void eval_shift(const Node *n, const Tensor *x, const Tensor *offset, Tensor *y)
{
    int64_t axis = n->attr[0].at[0];
    Index to = {0};
    do {
        Index from = to;
        from.at[axis] += (int64_t)offset->at[to.at[0]].value;
        bool inside = from.at[axis] >= 0 && from.at[axis] < x->extent[axis];
        *element(y, &to) = inside ? *element(x, &from) : number_exact(0);
    } while (index_next(y->rank, y->extent, &to));
}

static void eval_gather(const Tensor *table, const Tensor *index, Tensor *y)
{
    int64_t size = table->count / table->extent[0];
    for (int64_t i = 0; i < index->count; i++) {
        double row = index->at[i].value;
        bool found = row >= 0 && row < (double)table->extent[0];
        for (int64_t d = 0; d < size; d++)
            y->at[i * size + d] = found                      ? table->at[(int64_t)row * size + d]
                                  : dtype_is_float(y->dtype) ? number_exact(NAN)
                                                             : number_exact(0);
    }
}

static void eval_concat(const Node *n, const Tensor *a, const Tensor *b, Tensor *y)
{
    int64_t axis = n->attr[0].at[0];
    Index to = {0};
    do {
        Index from = to;
        bool second = to.at[axis] >= a->extent[axis];
        from.at[axis] -= second ? a->extent[axis] : 0;
        *element(y, &to) = *element(second ? b : a, &from);
    } while (index_next(y->rank, y->extent, &to));
}

/* ---- sums ----------------------------------------------------------------------------------------------- */

/* The terms of one sum; b: the second factors of a contraction. */
typedef struct Terms {
    Number *a, *b;
    int64_t count;
    Order order;
} Terms;

static Terms terms_new(const Evaluation *e, int64_t most, Order order)
{
    size_t bytes = (size_t)most * sizeof(Number);
    return (Terms){arena_alloc(e->arena, bytes), arena_alloc(e->arena, bytes), 0, order};
}

static void terms_add(Terms *t, const Number *a, const Number *b)
{
    t->a[t->count] = *a;
    if (b)
        t->b[t->count] = *b;
    t->count++;
}

static Number terms_sum(Terms *t, DType dtype, bool products)
{
    Number sum = number_sum(dtype, t->order, t->a, products ? t->b : NULL, t->count);
    t->count = 0;
    return sum;
}

/* Along the last axis only: lanes. Along several: leaves, each along the last reduced one; of a whole tensor by lanes. Along
   one that grows with the batch: each term a leaf. Else a chain. Axes of size 1 do not count. */
static Order reduce_order(const Node *n, const Tensor *x)
{
    const Type *type = &n->in[0]->type;
    int axes = 0, innermost = -1;
    bool grows = false;
    int64_t terms = 1;
    for (int d = 0; d < x->rank; d++)
        if (ints_have(&n->attr[0], d) && !size_is_one(type->dim[d])) {
            axes++;
            innermost = d;
            grows |= type->dim[d].power > 0;
            terms *= x->extent[d];
        }
    bool last = innermost == x->rank - 1;
    if (axes < 2)
        return grows ? (Order){terms, 1, false} : (Order){1, terms, axes && last};
    int64_t leaf = x->extent[innermost];
    return (Order){terms / leaf, leaf, last && n->type.rank == 0};
}

static void eval_reduce(const Evaluation *e, const Node *n, const Tensor *x, Tensor *y)
{
    Order order = reduce_order(n, x);
    Terms t = terms_new(e, x->count / y->count, order);
    int64_t reduced[MAX_RANK];
    for (int d = 0; d < x->rank; d++)
        reduced[d] = ints_have(&n->attr[0], d) ? x->extent[d] : 1;
    Index to = {0};
    do {
        Index step = {0};
        do {
            Index from = step;
            for (int d = 0, kept = 0; d < x->rank; d++)
                if (!ints_have(&n->attr[0], d))
                    from.at[d] = to.at[kept++];
            terms_add(&t, element(x, &from), NULL);
        } while (index_next(x->rank, reduced, &step));
        if (n->op != OP_SUM)
            *element(y, &to) = number_extreme(y->dtype, t.a, t.count, n->op == OP_REDUCE_MAX);
        else
            *element(y, &to) = number_sum(y->dtype, order, t.a, NULL, t.count);
        t.count = 0;
    } while (index_next(y->rank, y->extent, &to));
    y->depth = n->op == OP_SUM ? order_depth(order) : 0;
}

/* Every element of every window is added back to where it was seen; places in a window in row-major order. */
static void eval_fold(const Evaluation *e, const Node *n, const Tensor *x, Tensor *y)
{
    int64_t places = 1;
    for (int i = 0; i < n->attr[1].count; i++)
        places *= n->attr[1].at[i];
    Number *term = arena_alloc(e->arena, (size_t)(y->count * places) * sizeof *term);
    for (int64_t i = 0; i < y->count * places; i++)
        term[i] = number_exact(0);
    Index from = {0};
    do {
        Index to = window_source(n, y->rank, &from);
        int64_t place = 0;
        for (int i = 0; i < n->attr[1].count; i++)
            place = place * n->attr[1].at[i] + from.at[y->rank + i];
        term[(element(y, &to) - y->at) * places + place] = *element(x, &from);
    } while (index_next(x->rank, x->extent, &from));
    Order order = {1, places, false};
    for (int64_t i = 0; i < y->count; i++)
        y->at[i] = number_sum(y->dtype, order, term + i * places, NULL, places);
    y->depth = order_depth(order);
}

/* ---- contractions --------------------------------------------------------------------------------------- */

/* A contraction whose first summed axis grows with the batch is cut into V shards along it, V being the largest power of two
   up to 8 that leaves at least 128 terms a shard at the nominal batch. `others`: terms for each step along that axis. */
static Order contract_order(const Evaluation *e, Size first, int64_t others)
{
    int64_t extent = size_at(first, e->batch), nominal = size_at(first, e->nominal), shards = 1;
    while (first.power && shards < 8 && nominal * others / (2 * shards) >= 128 && 2 * shards <= nominal)
        shards *= 2;
    return (Order){shards, (extent + shards - 1) / shards * others, false};
}

static void eval_matmul(const Evaluation *e, const Node *n, const Tensor *a, const Tensor *b, Tensor *y)
{
    int rank = y->rank;
    int64_t rows = y->extent[rank - 2], columns = y->extent[rank - 1], depth = a->extent[rank - 1];
    Terms t = terms_new(e, depth, contract_order(e, n->in[0]->type.dim[rank - 1], 1));
    for (int64_t i = 0; i < y->count; i++) {
        int64_t matrix = i / (rows * columns), row = i / columns % rows, column = i % columns;
        for (int64_t k = 0; k < depth; k++)
            terms_add(&t, &a->at[(matrix * rows + row) * depth + k],
                      &b->at[(matrix * depth + k) * columns + column]);
        y->at[i] = terms_sum(&t, y->dtype, true);
    }
    y->depth = order_depth(t.order);
}

/* Where one product of a convolution comes from and where it goes. */
typedef struct ConvProduct {
    int64_t sample, group, in, out, row, column, kernel_row, kernel_column;
} ConvProduct;

static const Number *conv_image(const Node *n, const Tensor *x, const ConvProduct *p)
{
    Index at = {{p->sample, p->group, p->in, p->row * n->attr[0].at[0] + p->kernel_row * n->attr[1].at[0],
                 p->column * n->attr[0].at[1] + p->kernel_column * n->attr[1].at[1]}};
    return element(x, &at);
}

static const Number *conv_weight(const Tensor *w, const ConvProduct *p)
{
    return element(w, &(Index){{p->group, p->out, p->in, p->kernel_row, p->kernel_column}});
}

static const Number *conv_result(const Tensor *y, const ConvProduct *p)
{
    return element(y, &(Index){{p->sample, p->group, p->out, p->row, p->column}});
}

/* A chain over the rows that there are, in their order; those of other indices count as 0. */
static void eval_scatter_add(const Evaluation *e, const Tensor *dy, const Tensor *index, Tensor *y)
{
    int64_t size = dy->count / index->count;
    Terms t = terms_new(e, index->count, (Order){1, index->count, false});
    Number nothing = number_exact(0);
    for (int64_t v = 0; v < y->extent[0]; v++)
        for (int64_t d = 0; d < size; d++) {
            for (int64_t i = 0; i < index->count; i++)
                terms_add(&t, index->at[i].value == (double)v ? &dy->at[i * size + d] : &nothing, NULL);
            y->at[v * size + d] = terms_sum(&t, y->dtype, false);
        }
    y->depth = order_depth(t.order);
}

/* A chain over kernel row, kernel column, channel. */
static void eval_conv(const Evaluation *e, const Node *n, const Tensor *x, const Tensor *w, Tensor *y)
{
    int64_t depth = w->extent[2] * w->extent[3] * w->extent[4];
    Terms t = terms_new(e, depth, (Order){1, depth, false});
    Index to = {0};
    do {
        ConvProduct p = {to.at[0], to.at[1], 0, to.at[2], to.at[3], to.at[4], 0, 0};
        for (p.kernel_row = 0; p.kernel_row < w->extent[3]; p.kernel_row++)
            for (p.kernel_column = 0; p.kernel_column < w->extent[4]; p.kernel_column++)
                for (p.in = 0; p.in < w->extent[2]; p.in++)
                    terms_add(&t, conv_image(n, x, &p), conv_weight(w, &p));
        *element(y, &to) = terms_sum(&t, y->dtype, true);
    } while (index_next(y->rank, y->extent, &to));
    y->depth = order_depth(t.order);
}

/* A chain over sample, row, column, in shards of samples. */
static void eval_conv_weight_gradient(const Evaluation *e, const Node *n, const Tensor *x, const Tensor *dy,
                                      Tensor *dw)
{
    int64_t image = dy->extent[3] * dy->extent[4];
    Terms t = terms_new(e, dy->extent[0] * image, contract_order(e, n->in[1]->type.dim[0], image));
    Index to = {0};
    do {
        ConvProduct p = {0, to.at[0], to.at[2], to.at[1], 0, 0, to.at[3], to.at[4]};
        for (p.sample = 0; p.sample < dy->extent[0]; p.sample++)
            for (p.row = 0; p.row < dy->extent[3]; p.row++)
                for (p.column = 0; p.column < dy->extent[4]; p.column++)
                    terms_add(&t, conv_image(n, x, &p), conv_result(dy, &p));
        *element(dw, &to) = terms_sum(&t, dw->dtype, true);
    } while (index_next(dw->rank, dw->extent, &to));
    dw->depth = order_depth(t.order);
}

/* ---- a graph -------------------------------------------------------------------------------------------- */

static void eval_view(const Node *n, Tensor *const *in, Tensor *y)
{
    switch (n->op) {
    case OP_RESHAPE:
        memcpy(y->at, in[0]->at, (size_t)y->count * sizeof *y->at);
        return;
    case OP_BROADCAST:
        eval_broadcast(in[0], y);
        return;
    case OP_TRANSPOSE:
        eval_transpose(n, in[0], y);
        return;
    case OP_SLICE:
        eval_slice(n, in[0], y);
        return;
    case OP_PAD:
        eval_pad(n, in[0], y);
        return;
    case OP_REVERSE:
        eval_reverse(n, in[0], y);
        return;
    case OP_DILATE:
        eval_dilate(n, in[0], y);
        return;
    case OP_WINDOW:
        eval_window(n, in[0], y);
        return;
    case OP_SHIFT:
        eval_shift(n, in[0], in[1], y);
        return;
    case OP_GATHER:
        eval_gather(in[0], in[1], y);
        return;
    case OP_CONCAT:
        eval_concat(n, in[0], in[1], y);
        return;
    default:
        abort();
    }
}

static void eval_node(const Evaluation *e, const Node *n, Tensor *const *in, Tensor *y)
{
    switch (n->op) {
    case OP_CONST:
        fill(y, n->value);
        return;
    case OP_SIZE:
        eval_size(e, n, y);
        return;
    case OP_IOTA:
        eval_iota(n, y);
        return;
    case OP_RANDOM:
        eval_random(n, in[0], in[1], y);
        return;
    case OP_SUM:
    case OP_REDUCE_MAX:
    case OP_REDUCE_MIN:
        eval_reduce(e, n, in[0], y);
        return;
    case OP_FOLD:
        eval_fold(e, n, in[0], y);
        return;
    case OP_SCATTER_ADD:
        eval_scatter_add(e, in[0], in[1], y);
        return;
    case OP_MATMUL:
        eval_matmul(e, n, in[0], in[1], y);
        return;
    case OP_CONV:
        eval_conv(e, n, in[0], in[1], y);
        return;
    case OP_CONV_WEIGHT_GRADIENT:
        eval_conv_weight_gradient(e, n, in[0], in[1], y);
        return;
    case OP_WINOGRAD_INPUT:
    case OP_WINOGRAD_WEIGHT:
    case OP_WINOGRAD_OUTPUT:
    case OP_WINOGRAD_RESULT:
    case OP_WINOGRAD_WEIGHT_GRADIENT:
        eval_winograd(n, in[0], y);
        return;
    default:
        if (op_info[n->op].class == OP_CLASS_MAP)
            eval_map(n, in, y);
        else
            eval_view(n, in, y);
    }
}

Evaluation evaluation_new(Arena *arena, const Model *model, int64_t batch, bool reference)
{
    Evaluation e = {.arena = arena, .batch = batch, .nominal = model->batch, .reference = reference};
    e.variable = arena_alloc(arena, ((size_t)model->variable.count + 1) * sizeof *e.variable);
    return e;
}

void evaluation_set(Evaluation *e, const Variable *variable, const double *value, const double *tangent)
{
    Tensor *t = e->variable[variable->id] = tensor_new(e, &variable->type);
    for (int64_t i = 0; i < t->count; i++) {
        t->at[i] = number_exact(dtype_is_float(t->dtype) ? number_round(t->dtype, value[i]) : value[i]);
        t->at[i].tangent = tangent ? tangent[i] : 0;
    }
}

static void evaluate_node(Evaluation *e, const Node *n)
{
    Tensor *in[MAX_INPUTS] = {0};
    for (int k = 0; k < op_info[n->op].inputs; k++)
        in[k] = e->node[n->in[k]->id];
    e->node[n->id] = tensor_new(e, &n->type);
    eval_node(e, n, in, e->node[n->id]);
}

/* The element of axis 0 that belongs to a step. */
static int64_t place_of(const Node *n, int64_t step)
{
    return n->attr[1].at[0] ? n->attr[0].at[1] - 1 - step : step;
}

static void copy_elements(Tensor *to, int64_t at, const Tensor *from, int64_t begin, int64_t count)
{
    memcpy(to->at + at, from->at + begin, (size_t)count * sizeof *to->at);
}

/* One step: what is in the loop in order, what is stacked, then all states at once. */
static void evaluate_step(Evaluation *e, const Graph *graph, const int *loop, int which, int64_t step)
{
    for (int i = 0; i < graph->node.count; i++) {
        const Node *n = graph->node.at[i];
        bool stacks = n->op == OP_STACK && n->attr[0].at[0] == which;
        if (loop[i] == which && n->op == OP_STEP) {
            const Tensor *x = e->node[n->in[0]->id];
            e->node[i] = tensor_new(e, &n->type);
            copy_elements(e->node[i], 0, x, place_of(n, step) * e->node[i]->count, e->node[i]->count);
        } else if (loop[i] == which && n->op != OP_CARRY) {
            evaluate_node(e, n);
        }
        if (stacks && step == 0)
            e->node[i] = tensor_new(e, &n->type);
        if (stacks) {
            const Tensor *x = e->node[n->in[0]->id];
            copy_elements(e->node[i], place_of(n, step) * x->count, x, 0, x->count);
            e->node[i]->depth = x->depth;
        }
    }
    Tensor **next = arena_alloc(e->arena, ((size_t)graph->carry.count + 1) * sizeof *next);
    for (int i = 0; i < graph->carry.count; i++)
        next[i] = e->node[graph->carry.at[i].next->id];
    for (int i = 0; i < graph->carry.count; i++)
        if (loop[graph->carry.at[i].state->id] == which)
            e->node[graph->carry.at[i].state->id] = next[i];
}

static void evaluate_loop(Evaluation *e, const Graph *graph, const int *loop, int which)
{
    int64_t length = 0;
    for (int i = 0; i < graph->node.count; i++) {
        const Node *n = graph->node.at[i];
        bool names = node_enters_loop(n) || node_leaves_loop(n);
        if (names && n->attr[0].at[0] == which)
            length = n->attr[0].at[1];
        if (n->op == OP_CARRY && loop[i] == which)
            e->node[i] = e->node[n->in[0]->id];
    }
    for (int64_t step = 0; step < length; step++)
        evaluate_step(e, graph, loop, which, step);
}

/* What leaves a loop stands after all that is in it: the first of them runs it. */
void graph_evaluate(Evaluation *e, const Graph *graph)
{
    const int *loop = graph_loops(graph);
    bool *done = arena_alloc(e->arena, (size_t)graph->loops + 1);
    e->node = arena_alloc(e->arena, ((size_t)graph->node.count + 1) * sizeof *e->node);
    for (int i = 0; i < graph->node.count; i++) {
        const Node *n = graph->node.at[i];
        if (n->op == OP_VARIABLE) {
            e->node[i] = e->variable[n->variable->id];
            if (!e->node[i])
                abort();
            continue;
        }
        if (loop[i])
            continue;
        if (!node_leaves_loop(n)) {
            evaluate_node(e, n);
            continue;
        }
        int which = (int)n->attr[0].at[0];
        if (!done[which])
            evaluate_loop(e, graph, loop, which);
        done[which] = true;
        if (n->op == OP_LAST)
            e->node[i] = e->node[n->in[0]->id];
    }
}
