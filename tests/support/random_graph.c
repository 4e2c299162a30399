#include "random_graph.h"

#include <math.h>

enum { MOST_VALUES = 48, MOST_ELEMENTS = 1500, MOST_TERMS = 4000, MOST_RESULTS = 5 };

typedef struct Value {
    Node *node;   /* f32 */
    double bound; /* no element is larger */
    bool used;
} Value;

typedef struct Grower {
    Random random;
    Model *model;
    Graph *graph;
    bool exact;
    int count, variables;
    Value value[MOST_VALUES];
} Grower;

/* ---- choices -------------------------------------------------------------------------------------------- */

static int64_t pick(Grower *g, int64_t low, int64_t high) { return random_integer(&g->random, low, high); }

static bool chance(Grower *g, int percent) { return pick(g, 1, 100) <= percent; }

/* Any value, the newer the likelier. */
static Value *pick_value(Grower *g)
{
    int64_t back = pick(g, 0, g->count - 1);
    if (chance(g, 60) && back > 4)
        back = pick(g, 0, 4);
    Value *v = &g->value[g->count - 1 - back];
    return v;
}

static int64_t elements(const Grower *g, const Type *type)
{
    double count = 1;
    for (int d = 0; d < type->rank; d++)
        count *= (double)size_at(type->dim[d], g->model->batch);
    return count > 1e9 ? (int64_t)1e9 : (int64_t)count;
}

static Type tensor(int rank, Size a, Size b, Size c, Size d) { return (Type){DTYPE_F32, rank, {a, b, c, d}}; }

static Node *constant(const Grower *g, const Node *like, double value)
{
    return graph_const(g->graph, like->type, value);
}

/* A value is added with what keeps it moderate. */
static void add_value(Grower *g, Node *node, double bound)
{
    if (bound > 4096) {
        int exponent;
        frexp(bound / 32, &exponent);
        node = graph_binary(g->graph, OP_MUL, node, constant(g, node, ldexp(1, -exponent)));
        bound = ldexp(bound, -exponent);
    }
    if (g->count < MOST_VALUES)
        g->value[g->count++] = (Value){node, bound, false};
}

static Node *variable(Grower *g, VariableKind kind, Type type)
{
    static const char *const name[] = {"in", "p", "s", "", "", "", ""};
    const char *unique =
        arena_printf(g->model->arena, "%s%d", kind == VARIABLE_INPUT ? name[0] : name[1], g->variables++);
    return graph_variable(g->graph, model_variable(g->model, kind, unique, type));
}

static Ints identity(int rank)
{
    Ints axes = {.count = rank};
    for (int d = 0; d < rank; d++)
        axes.at[d] = d;
    return axes;
}

static void shuffle(Grower *g, Ints *axes)
{
    for (int i = axes->count - 1; i > 0; i--) {
        int64_t j = pick(g, 0, i), other = axes->at[j];
        axes->at[j] = axes->at[i];
        axes->at[i] = other;
    }
}

/* Some axes, at least one; `fixed`: none that grows with the batch. */
static Ints some_axes(Grower *g, const Type *type, bool fixed)
{
    Ints axes = {0};
    for (int d = 0; d < type->rank; d++)
        if (chance(g, 50) && !(fixed && type->dim[d].power))
            axes.at[axes.count++] = d;
    return axes;
}

static bool is_axis(const Ints *axes, int axis)
{
    for (int i = 0; i < axes->count; i++)
        if (axes->at[i] == axis)
            return true;
    return false;
}

/* ---- maps ----------------------------------------------------------------------------------------------- */

/* Each of these adds a value, or none where what it drew does not fit. */

static void grow_unary(Grower *g)
{
    static const OpKind exact[] = {OP_NEG, OP_ABS, OP_RELU, OP_FLOOR, OP_SQRT},
                        smooth[] = {OP_TANH, OP_EXP, OP_ERF, OP_SIN, OP_COS, OP_LOG};
    Value *x = pick_value(g);
    x->used = true;
    OpKind op = g->exact || chance(g, 60) ? exact[pick(g, 0, 4)] : smooth[pick(g, 0, 5)];
    Node *node = x->node;
    double bound = x->bound;
    if (op == OP_SQRT || op == OP_LOG)
        node = graph_binary(g->graph, OP_ADD, graph_unary(g->graph, OP_ABS, node), constant(g, node, 1));
    if (op == OP_EXP) {
        node = graph_binary(g->graph, OP_MIN, node, constant(g, node, 2));
        bound = 8;
    }
    add_value(g, graph_unary(g->graph, op, node), bound + 1);
}

/* Another value that stretches to x's shape, or a number. */
static Node *partner(Grower *g, const Value *x, double *bound)
{
    for (int attempt = 0; attempt < 12; attempt++) {
        Value *y = pick_value(g);
        Type both;
        if (!type_broadcast(&x->node->type, &y->node->type, &both) || !type_same_shape(&both, &x->node->type))
            continue;
        y->used = true;
        *bound = y->bound;
        return graph_broadcast(g->graph, y->node, x->node->type);
    }
    double value = (double)pick(g, -8, 8) / 4;
    *bound = fabs(value);
    return constant(g, x->node, value);
}

static void grow_binary(Grower *g)
{
    static const OpKind ops[] = {OP_ADD, OP_SUB, OP_MUL, OP_MAX, OP_MIN, OP_DIV, OP_MUL};
    Value *x = pick_value(g);
    x->used = true;
    OpKind op = ops[pick(g, 0, 6)];
    double other;
    Node *a = x->node, *b = partner(g, x, &other);
    double bound = op == OP_MUL ? x->bound * other : x->bound + other;
    if (op == OP_DIV)
        b = graph_binary(g->graph, OP_ADD, graph_unary(g->graph, OP_ABS, b), constant(g, b, 1));
    add_value(g,
              chance(g, 50) && op != OP_DIV ? graph_binary(g->graph, op, b, a)
                                            : graph_binary(g->graph, op, a, b),
              bound);
}

/* By numbers that a simplifier knows rules for. */
static void grow_by_constant(Grower *g)
{
    static const OpKind ops[] = {OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_DIV, OP_POW};
    static const double numbers[] = {0, 1, -1, 2, 0.5, 3, 4, 0.25, 1.5};
    Value *x = pick_value(g);
    x->used = true;
    OpKind op = ops[pick(g, 0, g->exact ? 4 : 5)];
    Node *a = x->node;
    double number = numbers[pick(g, op == OP_DIV ? 1 : 0, 8)], bound = 4 * x->bound + 4;
    if (op == OP_POW) {
        a = graph_binary(g->graph, OP_ADD, graph_unary(g->graph, OP_ABS, a), constant(g, a, 0.5));
        a = graph_binary(g->graph, OP_MIN, a, constant(g, a, 8));
        bound = 4096;
    }
    Node *b = constant(g, a, number);
    bool exchanged = op != OP_DIV && op != OP_POW && chance(g, 50);
    add_value(g, exchanged ? graph_binary(g->graph, op, b, a) : graph_binary(g->graph, op, a, b), bound);
}

/* A value and the same turned around: two places of one tensor in one element. */
static void grow_with_itself(Grower *g)
{
    static const OpKind ops[] = {OP_ADD, OP_MAX, OP_SUB};
    Value *x = pick_value(g);
    const Type *type = &x->node->type;
    if (!type->rank)
        return;
    Ints axes = identity(type->rank);
    axes.at[0] = type->rank - 1;
    axes.at[type->rank - 1] = 0;
    Node *other = x->node;
    if (size_equal(type->dim[0], type->dim[type->rank - 1]))
        other = graph_transpose(g->graph, other, axes);
    else
        other = graph_add(
            g->graph, (Node){.op = OP_REVERSE, .in = {other}, .attr = {{1, {pick(g, 0, type->rank - 1)}}}});
    x->used = true;
    add_value(g, graph_binary(g->graph, ops[pick(g, 0, 2)], x->node, other), 2 * x->bound);
}

static void grow_choice(Grower *g)
{
    static const OpKind ops[] = {OP_LT, OP_LE, OP_EQ};
    Value *x = pick_value(g);
    x->used = true;
    double other;
    Node *a = x->node, *b = partner(g, x, &other),
         *condition = graph_binary(g->graph, ops[pick(g, 0, 2)], a, b);
    if (chance(g, 30))
        condition = graph_binary(g->graph, chance(g, 50) ? OP_AND : OP_OR, condition,
                                 graph_binary(g->graph, OP_LT, b, a));
    if (chance(g, 30))
        add_value(g, graph_cast(g->graph, condition, DTYPE_F32), 1);
    else
        add_value(g, graph_select(g->graph, condition, b, a), fmax(x->bound, other));
}

static void grow_cast(Grower *g)
{
    Value *x = pick_value(g);
    x->used = true;
    add_value(g, graph_cast(g->graph, graph_cast(g->graph, x->node, DTYPE_I32), DTYPE_F32), x->bound);
}

/* ---- leaves --------------------------------------------------------------------------------------------- */

static void grow_leaf(Grower *g)
{
    const Type *like = &pick_value(g)->node->type;
    if (like->rank && chance(g, 40)) {
        Node *along = graph_iota(g->graph, *like, (int)pick(g, 0, like->rank - 1));
        add_value(g, graph_cast(g->graph, along, DTYPE_F32), MOST_ELEMENTS);
    } else if (chance(g, 50)) {
        Node *bits = graph_random(g->graph, *like, pick(g, 0, 9), (int)pick(g, 0, 3));
        Node *real = graph_cast(g->graph, bits, DTYPE_F32);
        add_value(g, graph_binary(g->graph, OP_MUL, real, constant(g, real, 0x1p-32)), 1);
    } else {
        Node *size = graph_size(g->graph, DTYPE_F32, (Size){pick(g, 1, 3), 1});
        add_value(g, graph_broadcast(g->graph, size, *like), 64);
    }
}

static void grow_variable(Grower *g)
{
    Size batch = {1, 1}, size[4];
    for (int d = 0; d < 4; d++)
        size[d] = size_of((int64_t[]){1, 2, 3, 4, 5, 7, 8, 17}[pick(g, 0, d == 3 ? 7 : 6)]);
    int rank = (int)pick(g, 1, 4);
    bool grows = chance(g, 60);
    if (grows)
        size[0] = batch;
    add_value(g,
              variable(g, grows ? VARIABLE_INPUT : VARIABLE_PARAM,
                       tensor(rank, size[0], size[1], size[2], size[3])),
              4);
}

/* ---- views ---------------------------------------------------------------------------------------------- */

static void grow_transpose(Grower *g)
{
    Value *x = pick_value(g);
    Ints axes = identity(x->node->type.rank);
    shuffle(g, &axes);
    x->used = true;
    add_value(g, graph_transpose(g->graph, x->node, axes), x->bound);
}

/* Two neighbours become one axis, one axis two, or an axis of size 1 comes. */
static void grow_reshape(Grower *g)
{
    Value *x = pick_value(g);
    Type type = x->node->type;
    int axis = (int)pick(g, 0, type.rank > 0 ? type.rank - 1 : 0);
    if (chance(g, 50) && axis + 1 < type.rank) {
        if (!size_multiply(type.dim[axis], type.dim[axis + 1], &type.dim[axis]) || type.dim[axis].power > 1)
            return;
        for (int d = axis + 1; d + 1 < type.rank; d++)
            type.dim[d] = type.dim[d + 1];
        type.rank--;
    } else if (type.rank < 5) {
        int64_t factor = type.rank && chance(g, 70) ? pick(g, 2, 4) : 1;
        if (factor > 1 && type.dim[axis].count % factor)
            return;
        for (int d = type.rank; d > axis; d--)
            type.dim[d] = type.dim[d - 1];
        if (factor > 1)
            type.dim[axis].count /= factor;
        type.dim[axis + (factor > 1)] = size_of(factor);
        type.rank++;
    }
    x->used = true;
    add_value(g, graph_reshape(g->graph, x->node, type), x->bound);
}

static void grow_broadcast(Grower *g)
{
    Value *x = pick_value(g);
    Type type = x->node->type;
    for (int d = 0; d < type.rank; d++)
        if (size_is_one(type.dim[d]) && chance(g, 70))
            type.dim[d] = chance(g, 20) ? (Size){1, 1} : size_of(pick(g, 2, 5));
    if (type.rank < 4 && chance(g, 50)) {
        for (int d = type.rank++; d > 0; d--)
            type.dim[d] = type.dim[d - 1];
        type.dim[0] = size_of(pick(g, 1, 4));
    }
    if (elements(g, &type) > MOST_ELEMENTS)
        return;
    x->used = true;
    add_value(g, graph_broadcast(g->graph, x->node, type), x->bound);
}

/* SLICE, PAD, REVERSE or DILATE with fitting attributes. */
static void grow_cut(Grower *g)
{
    static const OpKind ops[] = {OP_SLICE, OP_PAD, OP_REVERSE, OP_DILATE};
    Value *x = pick_value(g);
    const Type *type = &x->node->type;
    Node node = {.op = ops[pick(g, 0, 3)], .in = {x->node}, .type = *type};
    Ints some = some_axes(g, type, node.op != OP_REVERSE);
    for (int d = 0; d < type->rank; d++) {
        bool cut = is_axis(&some, d);
        int64_t extent = type->dim[d].count, begin = cut ? pick(g, 0, extent - 1) : 0,
                step = cut ? pick(g, 1, 3) : 1;
        if (node.op == OP_SLICE) {
            node.attr[0].at[d] = begin;
            node.attr[1].at[d] = step;
            if (cut)
                node.type.dim[d] = size_of((extent - begin - 1) / step + 1);
        } else if (node.op == OP_PAD) {
            node.attr[0].at[d] = cut ? pick(g, 0, 2) : 0;
            node.attr[1].at[d] = cut ? pick(g, 0, 2) : 0;
        } else {
            node.attr[0].at[d] = step;
        }
    }
    node.attr[0].count = type->rank;
    node.attr[1].count = node.op == OP_SLICE || node.op == OP_PAD ? type->rank : 0;
    if (node.op == OP_REVERSE)
        node.attr[0] = some;
    if (node.op == OP_PAD)
        node.value = (double)pick(g, -1, 1);
    Type result;
    if (!graph_infer(&node, &result) || elements(g, &result) > MOST_ELEMENTS)
        return;
    x->used = true;
    add_value(g, graph_add(g->graph, node), x->bound + 1);
}

/* Windows, and often what is done with them: a sum, an extreme, or folded back. */
static void grow_window(Grower *g)
{
    static const OpKind ops[] = {OP_SUM, OP_REDUCE_MAX, OP_REDUCE_MIN};
    Value *x = pick_value(g);
    const Type *type = &x->node->type;
    Node node = {.op = OP_WINDOW, .in = {x->node}};
    node.attr[0] = some_axes(g, type, true);
    int count = node.attr[0].count > 2 ? 2 : node.attr[0].count;
    double places = 1;
    for (int a = 0; a < 4; a++)
        node.attr[a].count = count;
    for (int i = 0; i < count; i++) {
        node.attr[1].at[i] = pick(g, 1, 3);
        node.attr[2].at[i] = pick(g, 1, 3);
        node.attr[3].at[i] = pick(g, 1, 2);
        places *= (double)node.attr[1].at[i];
    }
    Type result;
    if (!count || !graph_infer(&node, &result) || elements(g, &result) > 2 * MOST_ELEMENTS)
        return;
    x->used = true;
    Node *windows = graph_add(g->graph, node);
    int then = (int)pick(g, 0, 4);
    if (then < 3) {
        Ints appended = identity(count);
        for (int i = 0; i < count; i++)
            appended.at[i] += type->rank;
        add_value(g, graph_reduce(g->graph, ops[then], windows, appended), x->bound * places);
    } else if (then == 3) {
        node.op = OP_FOLD;
        node.in[0] = graph_binary(g->graph, OP_MUL, windows, constant(g, windows, 0.5));
        node.type = *type;
        add_value(g, graph_add(g->graph, node), x->bound * places);
    } else if (elements(g, &result) <= MOST_ELEMENTS) {
        add_value(g, windows, x->bound);
    }
}

static void grow_shift(Grower *g)
{
    Value *x = pick_value(g);
    const Type *type = &x->node->type;
    if (type->rank < 2)
        return;
    Type samples = {DTYPE_I32, 1, {type->dim[0]}};
    VariableKind kind = type->dim[0].power ? VARIABLE_INPUT : VARIABLE_PARAM;
    Node node = {.op = OP_SHIFT, .in = {x->node, NULL}};
    node.attr[0] = (Ints){1, {pick(g, 1, type->rank - 1)}};
    if (type->dim[node.attr[0].at[0]].power)
        return;
    node.in[1] = variable(g, kind, samples);
    x->used = true;
    add_value(g, graph_add(g->graph, node), x->bound);
}

/* ---- reductions and contractions ------------------------------------------------------------------------ */

static void grow_reduce(Grower *g)
{
    static const OpKind ops[] = {OP_SUM, OP_SUM, OP_REDUCE_MAX, OP_REDUCE_MIN};
    Value *x = pick_value(g);
    Ints axes = some_axes(g, &x->node->type, false);
    if (!axes.count)
        return;
    OpKind op = ops[pick(g, 0, 3)];
    double terms = op == OP_SUM ? (double)elements(g, &x->node->type) : 1;
    x->used = true;
    add_value(g, graph_reduce(g->graph, op, x->node, axes), x->bound * terms);
}

/* x · w, x · xᵀ or xᵀ · x. */
static void grow_matmul(Grower *g)
{
    Value *x = pick_value(g);
    const Type *type = &x->node->type;
    int rank = type->rank;
    if (rank < 2)
        return;
    Size terms = type->dim[rank - 1];
    Ints turn = identity(rank);
    turn.at[rank - 2] = rank - 1;
    turn.at[rank - 1] = rank - 2;
    Node *a = x->node, *b = graph_transpose(g->graph, a, turn);
    double other = x->bound;
    int how = (int)pick(g, 0, 3);
    if (how == 0) {
        Node *turned = b;
        b = a;
        a = turned;
        terms = type->dim[rank - 2];
    } else if (how > 1 && !terms.power) {
        Type weight = tensor(2, terms, size_of(pick(g, 1, 20)), size_of(0), size_of(0)), stack = *type;
        stack.dim[rank - 2] = weight.dim[0];
        stack.dim[rank - 1] = weight.dim[1];
        b = graph_broadcast(g->graph, variable(g, VARIABLE_PARAM, weight), stack);
        other = 4;
    }
    Node node = {.op = OP_MATMUL, .in = {a, b}};
    Type result;
    if (!graph_infer(&node, &result) || elements(g, &result) > MOST_ELEMENTS ||
        elements(g, &b->type) > 8 * MOST_ELEMENTS)
        return;
    double count = (double)size_at(terms, g->model->batch);
    if (count > MOST_TERMS)
        return;
    x->used = true;
    add_value(g, graph_add(g->graph, node), x->bound * other * count);
}

/* A value as n g c h w: axes of size 1 where it has fewer. */
static Node *as_images(Grower *g, const Value *x)
{
    Type type = x->node->type;
    if (!type.rank || type.rank > 5)
        return NULL;
    while (type.rank < 5) {
        int at = (int)pick(g, 1, 2) <= type.rank ? 1 : type.rank;
        for (int d = type.rank++; d > at; d--)
            type.dim[d] = type.dim[d - 1];
        type.dim[at] = size_of(1);
    }
    for (int d = 1; d < 5; d++)
        if (type.dim[d].power)
            return NULL;
    return graph_reshape(g->graph, x->node, type);
}

static void grow_conv(Grower *g)
{
    Value *x = pick_value(g);
    Node *images = as_images(g, x);
    if (!images)
        return;
    const Size *dim = images->type.dim;
    Type weight = {DTYPE_F32,
                   5,
                   {dim[1], size_of(pick(g, 1, 9)), dim[2], size_of(pick(g, 1, 3)), size_of(pick(g, 1, 3))}};
    Node conv = {.op = OP_CONV, .in = {images, NULL}};
    conv.attr[0] = (Ints){2, {pick(g, 1, 2), pick(g, 1, 3)}};
    conv.attr[1] = (Ints){2, {pick(g, 1, 2), 1}};
    double terms = (double)(dim[2].count * weight.dim[3].count * weight.dim[4].count);
    Type given = weight, result;
    if (weight.dim[0].count == 1 && chance(g, 60)) /* as a parameter lies: o c kh kw */
        given = (Type){DTYPE_F32, 4, {weight.dim[1], weight.dim[2], weight.dim[3], weight.dim[4]}};
    conv.in[1] = graph_reshape(g->graph, variable(g, VARIABLE_PARAM, given), weight);
    if (!graph_infer(&conv, &result) || elements(g, &result) > MOST_ELEMENTS || terms > MOST_TERMS)
        return;
    x->used = true;
    Node *y = graph_add(g->graph, conv);
    add_value(g, y, x->bound * 4 * terms);
    if (!chance(g, 40))
        return;
    Value *last = &g->value[g->count - 1];
    Node gradient = {.op = OP_CONV_WEIGHT_GRADIENT, .in = {images, last->node}};
    gradient.attr[0] = conv.attr[0];
    gradient.attr[1] = conv.attr[1];
    gradient.attr[2] = (Ints){2, {weight.dim[3].count, weight.dim[4].count}};
    last->used = true;
    add_value(g, graph_add(g->graph, gradient), x->bound * last->bound * (double)elements(g, &y->type));
}

/* ---- the graph ------------------------------------------------------------------------------------------ */

static void grow(Grower *g)
{
    static void (*const ways[])(Grower *) = {
        grow_unary,     grow_unary,  grow_binary,   grow_binary,    grow_binary,      grow_choice,
        grow_cast,      grow_leaf,   grow_variable, grow_transpose, grow_reshape,     grow_reshape,
        grow_broadcast, grow_cut,    grow_cut,      grow_window,    grow_shift,       grow_reduce,
        grow_reduce,    grow_matmul, grow_matmul,   grow_conv,      grow_by_constant, grow_with_itself,
    };
    ways[pick(g, 0, sizeof ways / sizeof *ways - 1)](g);
}

/* What nothing uses is a result, up to a few. */
static void add_results(Grower *g)
{
    int count = 0;
    for (int i = g->count - 1; i >= 0 && count < MOST_RESULTS; i--) {
        if (g->value[i].used || g->value[i].node->op == OP_VARIABLE)
            continue;
        const char *name = arena_printf(g->model->arena, "y%d", count++);
        list_add(g->graph->arena, &g->graph->result, ((Result){RESULT_OUTPUT, name, g->value[i].node}));
    }
}

static Node *of_type(Grower *g, const Type *type)
{
    for (int attempt = 0; attempt < 20; attempt++) {
        Value *v = pick_value(g);
        if (type_equal(&v->node->type, type))
            return v->node;
    }
    return NULL;
}

/* Some parameters get values of their type, or one made of the old. */
static void add_assigns(Grower *g)
{
    for (int i = 0; i < g->model->variable.count; i++) {
        Variable *v = g->model->variable.at[i];
        if (v->kind != VARIABLE_PARAM || v->type.dtype != DTYPE_F32 || !chance(g, 60))
            continue;
        Node *old = graph_variable(g->graph, v), *next = of_type(g, &v->type);
        if (!next || chance(g, 30)) {
            Value *scale = pick_value(g);
            Type both;
            Node *change = constant(g, old, 0.5);
            if (type_broadcast(&scale->node->type, &v->type, &both) && type_same_shape(&both, &v->type))
                change = graph_broadcast(g->graph, scale->node, v->type);
            next = graph_binary(g->graph, OP_SUB, old,
                                graph_binary(g->graph, OP_MUL, next ? next : old, change));
        }
        list_add(g->graph->arena, &g->graph->assign, ((Assign){v, next}));
    }
}

void random_graph(Model *model, Phase phase, uint64_t seed, bool exact)
{
    Grower g = {
        .random = {seed * 0x2545f4914f6cdd1du}, .model = model, .graph = model->phase[phase], .exact = exact};
    model->batch = pick(&g, 2, 9);
    for (int i = 0; i < 3; i++)
        grow_variable(&g);
    int size = (int)pick(&g, 6, 30);
    for (int attempt = 0; attempt < 200 && g.count < size; attempt++)
        grow(&g);
    add_results(&g);
    if (phase == PHASE_STEP)
        add_assigns(&g);
}
