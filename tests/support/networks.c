#include "networks.h"

#define BATCH ((Size){1, 1})
#define SIZES(...) ((Ints){(int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), {__VA_ARGS__}})

typedef struct Builder {
    Model *model;
    Graph *graph;
} Builder;

static Builder builder(Model *model) { return (Builder){model, model->phase[PHASE_PREDICT]}; }

/* ---- variables and shorthands --------------------------------------------------------------------------- */

static Type shape(int rank, const int64_t *size, bool grows)
{
    Type type = {.dtype = DTYPE_F32, .rank = rank};
    for (int d = 0; d < rank; d++)
        type.dim[d] = d == 0 && grows ? BATCH : size_of(size[d]);
    return type;
}

static Node *variable(const Builder *b, VariableKind kind, const char *name, Type type)
{
    Variable *v = model_find(b->model, name);
    return graph_variable(b->graph, v ? v : model_variable(b->model, kind, name, type));
}

static Node *param(const Builder *b, const char *name, Ints size)
{
    return variable(b, VARIABLE_PARAM, name, shape(size.count, size.at, false));
}

/* size[0] stands for the batch. */
static Node *input(const Builder *b, const char *name, Ints size)
{
    return variable(b, VARIABLE_INPUT, name, shape(size.count, size.at, true));
}

static Node *unary(const Builder *b, OpKind op, Node *a) { return graph_unary(b->graph, op, a); }

/* Operands of one shape, or of shapes that stretch to one. */
static Node *binary(const Builder *b, OpKind op, Node *x, Node *y)
{
    Type type = x->type;
    type_broadcast(&x->type, &y->type, &type);
    return graph_binary(b->graph, op, graph_broadcast(b->graph, x, type), graph_broadcast(b->graph, y, type));
}

static Node *number(const Builder *b, double value) { return graph_number(b->graph, DTYPE_F32, value); }

/* A reduction whose axes stay, as 1. */
static Node *reduce(const Builder *b, OpKind op, Node *x, Ints axes)
{
    Type kept = x->type;
    for (int i = 0; i < axes.count; i++)
        kept.dim[axes.at[i]] = size_of(1);
    return graph_reshape(b->graph, graph_reduce(b->graph, op, x, axes), kept);
}

static Node *mean(const Builder *b, Node *x, Ints axes)
{
    Size count = size_of(1);
    for (int i = 0; i < axes.count; i++)
        size_multiply(count, x->type.dim[axes.at[i]], &count);
    return binary(b, OP_DIV, reduce(b, OP_SUM, x, axes), graph_size(b->graph, DTYPE_F32, count));
}

static Node *mean_of_all(const Builder *b, Node *x)
{
    Ints axes = {.count = x->type.rank, .at = {0, 1, 2, 3, 4, 5, 6, 7}};
    return graph_reshape(b->graph, mean(b, x, axes), type_scalar(DTYPE_F32));
}

static Node *dense(const Builder *b, Node *x, const char *weight, const char *bias, int64_t out)
{
    int64_t in = x->type.dim[1].count;
    Node *y = graph_binary(b->graph, OP_MATMUL, x, param(b, weight, SIZES(in, out)));
    return binary(b, OP_ADD, y, param(b, bias, SIZES(out)));
}

static Node *conv(const Builder *b, Node *x, const char *weight, Ints size, int64_t stride, int64_t dilation)
{
    Node node = {.op = OP_CONV, .in = {x, param(b, weight, size)}};
    node.attr[0] = SIZES(stride, stride);
    node.attr[1] = SIZES(dilation, dilation);
    return graph_add(b->graph, node);
}

static Node *pool(const Builder *b, OpKind op, Node *x, int64_t size, int64_t stride)
{
    Node window = {.op = OP_WINDOW, .in = {x}};
    window.attr[0] = SIZES(3, 4);
    window.attr[1] = SIZES(size, size);
    window.attr[2] = SIZES(stride, stride);
    window.attr[3] = SIZES(1, 1);
    return graph_reduce(b->graph, op, graph_add(b->graph, window), SIZES(5, 6));
}

static Node *pad(const Builder *b, Node *x, int64_t border)
{
    Ints around = SIZES(0, 0, 0, border, border);
    return graph_add(b->graph, (Node){.op = OP_PAD, .in = {x}, .attr = {around, around}});
}

static Node *flatten(const Builder *b, Node *x)
{
    Type flat = {DTYPE_F32, 2, {BATCH, size_of(1)}};
    for (int d = 1; d < x->type.rank; d++)
        flat.dim[1].count *= x->type.dim[d].count;
    return graph_reshape(b->graph, x, flat);
}

/* Along the last axis. */
static Node *softmax(const Builder *b, Node *x)
{
    Ints last = SIZES(x->type.rank - 1);
    Node *e =
        unary(b, OP_EXP, binary(b, OP_SUB, x, unary(b, OP_STOP_GRADIENT, reduce(b, OP_REDUCE_MAX, x, last))));
    return binary(b, OP_DIV, e, reduce(b, OP_SUM, e, last));
}

/* Mean of log(sum(exp(z))) − z[label]. */
static Node *cross_entropy(const Builder *b, Node *z)
{
    Type labels = {DTYPE_I32, 2, {BATCH, size_of(1)}};
    Node *label = graph_broadcast(b->graph, variable(b, VARIABLE_INPUT, "label", labels), z->type);
    Node *chosen = graph_binary(b->graph, OP_EQ, label, graph_iota(b->graph, z->type, 1));
    Node *greatest = reduce(b, OP_REDUCE_MAX, z, SIZES(1));
    Node *sum = reduce(b, OP_SUM, unary(b, OP_EXP, binary(b, OP_SUB, z, greatest)), SIZES(1));
    Node *zero = graph_const(b->graph, z->type, 0);
    Node *own = reduce(b, OP_SUM, graph_select(b->graph, chosen, z, zero), SIZES(1));
    return mean_of_all(b, binary(b, OP_SUB, binary(b, OP_ADD, unary(b, OP_LOG, sum), greatest), own));
}

/* (x − mean) / √(variance + 0.001) · scale + shift; scale and shift have x's rank. */
static Node *normalize(const Builder *b, Node *x, Ints axes, Ints channels)
{
    Node *centred = binary(b, OP_SUB, x, mean(b, x, axes));
    Node *variance = mean(b, binary(b, OP_MUL, centred, centred), axes);
    Node *deviation = unary(b, OP_SQRT, binary(b, OP_ADD, variance, number(b, 0.001)));
    Node *scaled = binary(b, OP_MUL, binary(b, OP_DIV, centred, deviation), param(b, "scale", channels));
    return binary(b, OP_ADD, scaled, param(b, "shift", channels));
}

/* ---- the networks --------------------------------------------------------------------------------------- */

static Node *perceptron(Model *model)
{
    Builder b = builder(model);
    Node *h = unary(&b, OP_TANH, dense(&b, input(&b, "x", SIZES(0, 7)), "w1", "b1", 5));
    return cross_entropy(&b, dense(&b, h, "w2", "b2", NETWORK_CLASSES));
}

static Node *convolutional(Model *model)
{
    Builder b = builder(model);
    Node *x = input(&b, "x", SIZES(0, 1, 2, 9, 9));
    Node *h = conv(&b, pad(&b, x, 1), "w1", SIZES(1, 3, 2, 3, 3), 1, 1);
    h = unary(&b, OP_RELU, binary(&b, OP_ADD, h, param(&b, "b1", SIZES(3, 1, 1))));
    h = pool(&b, OP_REDUCE_MAX, h, 2, 2);
    h = unary(&b, OP_TANH, conv(&b, h, "w2", SIZES(1, 5, 3, 2, 2), 2, 1));
    return cross_entropy(&b, dense(&b, flatten(&b, h), "w3", "b3", NETWORK_CLASSES));
}

/* Overlapping mean pools, groups, dilation. */
static Node *grouped(Model *model)
{
    Builder b = builder(model);
    Node *x = input(&b, "x", SIZES(0, 2, 2, 9, 8));
    Node *h = unary(&b, OP_TANH, conv(&b, x, "w1", SIZES(2, 3, 2, 2, 2), 1, 2));
    h = binary(&b, OP_DIV, pool(&b, OP_SUM, h, 3, 2), number(&b, 9));
    return cross_entropy(&b, dense(&b, flatten(&b, h), "w2", "b2", NETWORK_CLASSES));
}

static Node *layer_norm(Model *model)
{
    Builder b = builder(model);
    Node *h = dense(&b, input(&b, "x", SIZES(0, 5)), "w1", "b1", 9);
    h = unary(&b, OP_RELU, normalize(&b, h, SIZES(1), SIZES(9)));
    return cross_entropy(&b, dense(&b, h, "w2", "b2", NETWORK_CLASSES));
}

static Node *batch_norm(Model *model)
{
    Builder b = builder(model);
    Node *h = conv(&b, input(&b, "x", SIZES(0, 1, 2, 6, 6)), "w1", SIZES(1, 3, 2, 3, 3), 1, 1);
    h = unary(&b, OP_TANH, normalize(&b, h, SIZES(0, 3, 4), SIZES(3, 1, 1)));
    return cross_entropy(&b, dense(&b, flatten(&b, h), "w2", "b2", NETWORK_CLASSES));
}

/* One weight in three places. */
static Node *recurrent(Model *model)
{
    Builder b = builder(model);
    Node *x = input(&b, "x", SIZES(0, 6)), *h = x;
    for (int step = 0; step < 3; step++)
        h = unary(&b, OP_TANH,
                  binary(&b, OP_ADD, graph_binary(b.graph, OP_MATMUL, h, param(&b, "w", SIZES(6, 6))), x));
    return cross_entropy(&b, dense(&b, h, "w2", "b2", NETWORK_CLASSES));
}

/* One head over 5 places of 6 numbers, then a residual. */
static Node *attention(Model *model)
{
    Builder b = builder(model);
    Node *x = input(&b, "x", SIZES(0, 5, 6)), *part[3];
    static const char *const name[3] = {"query", "key", "value"};
    Type stack = x->type, square = {DTYPE_F32, 3, {BATCH, size_of(6), size_of(6)}};
    for (int i = 0; i < 3; i++)
        part[i] = graph_binary(b.graph, OP_MATMUL, x,
                               graph_broadcast(b.graph, param(&b, name[i], SIZES(6, 6)), square));
    Node *scores =
        graph_binary(b.graph, OP_MATMUL, part[0], graph_transpose(b.graph, part[1], SIZES(0, 2, 1)));
    Node *weights = softmax(&b, binary(&b, OP_DIV, scores, number(&b, 2.5)));
    Node *y = binary(&b, OP_ADD, x, graph_binary(b.graph, OP_MATMUL, weights, part[2]));
    return cross_entropy(
        &b, dense(&b, flatten(&b, graph_reshape(b.graph, y, stack)), "w2", "b2", NETWORK_CLASSES));
}

/* Losses of gelu, powers and distances; a value used twice, one that is not used, and one held fast. */
static Node *odds_and_ends(Model *model)
{
    Builder b = builder(model);
    Node *x = input(&b, "x", SIZES(0, 7)), *w = param(&b, "w", SIZES(7)),
         *fixed = param(&b, "fixed", SIZES(7));
    param(&b, "unused", SIZES(3));
    Node *y = binary(&b, OP_MUL, x, w);
    Node *gelu = binary(&b, OP_MUL, y, binary(&b, OP_ADD, unary(&b, OP_ERF, y), number(&b, 1)));
    Node *power =
        binary(&b, OP_POW, binary(&b, OP_ADD, unary(&b, OP_ABS, y), number(&b, 1)), number(&b, 1.5));
    Node *wave = binary(&b, OP_MUL, unary(&b, OP_SIN, y), unary(&b, OP_COS, x));
    Node *held = binary(&b, OP_MUL, unary(&b, OP_STOP_GRADIENT, fixed), binary(&b, OP_MAX, y, x));
    Node *sum = binary(&b, OP_ADD, binary(&b, OP_ADD, gelu, power), binary(&b, OP_ADD, wave, held));
    return mean_of_all(&b, binary(&b, OP_MUL, sum, sum));
}

/* The gradient of a gradient: ‖d/dx sum(tanh(conv(x, w)))‖². */
static Node *conv_second_order(Model *model)
{
    Builder b = builder(model);
    Node *x = input(&b, "x", SIZES(0, 2, 2, 5, 6));
    Node *y = unary(&b, OP_TANH, conv(&b, x, "w", SIZES(2, 3, 2, 2, 2), 2, 1));
    Node *inner = mean_of_all(&b, binary(&b, OP_MUL, y, y));
    Node *dx = graph_gradient(b.graph, inner, x),
         *dw = graph_gradient(b.graph, inner, param(&b, "w", SIZES(2, 3, 2, 2, 2)));
    return binary(&b, OP_ADD, mean_of_all(&b, binary(&b, OP_MUL, dx, dx)),
                  mean_of_all(&b, binary(&b, OP_MUL, dw, dw)));
}

static Node *matmul_second_order(Model *model)
{
    Builder b = builder(model);
    Node *x = input(&b, "x", SIZES(0, 5)), *w = param(&b, "w", SIZES(5, 4));
    Node *y = unary(&b, OP_TANH, graph_binary(b.graph, OP_MATMUL, x, w));
    Node *inner = mean_of_all(&b, binary(&b, OP_MUL, y, unary(&b, OP_EXP, y)));
    Node *dx = graph_gradient(b.graph, inner, x), *dw = graph_gradient(b.graph, inner, w);
    return binary(&b, OP_ADD, mean_of_all(&b, binary(&b, OP_MUL, dx, dx)),
                  mean_of_all(&b, binary(&b, OP_MUL, dw, dw)));
}

const Network network_list[] = {
    {"perceptron", perceptron},
    {"convolutional", convolutional},
    {"grouped", grouped},
    {"layer norm", layer_norm},
    {"batch norm", batch_norm},
    {"recurrent", recurrent},
    {"attention", attention},
    {"odds and ends", odds_and_ends},
    {"conv, second order", conv_second_order},
    {"matmul, second order", matmul_second_order},
};
const int network_count = sizeof network_list / sizeof *network_list;
