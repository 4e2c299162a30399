/* A convolution whose shape makes it worth while becomes Winograd's transforms and a stack of matrix products. By the shapes of
   one sample alone, never by batch or target: it changes bits. After autodiff, so that gradients of inputs, which are
   convolutions, are taken too. */
#include "passes.h"
#include "rewrite.h"
#include "winograd_matrices.h"

enum { AXIS_H = 3, AXIS_W = 4 };

/* Costs are counted in products of a convolution. */
enum {
    TRANSFORM_COST = 24,   /* of one element of a tile: loading, a few additions, storing */
    FETCH_COST = 25,       /* of a weight that no near cache holds, */
    NEAR_WEIGHTS = 1 << 18 /* which are as many; */
};
#define SAMPLES 4.0 /* share it: between one at a time and many */
#define WORTH_WHILE 1.3
enum {
    MOST_TILE = 4,        /* the error grows with the tile */
    FEWEST_CHANNELS = 24, /* thinner matrices are not worth the code of the transforms */
};

static bool all_ones(const Ints *ints)
{
    for (int i = 0; i < ints->count; i++)
        if (ints->at[i] != 1)
            return false;
    return true;
}

static int64_t tiles_along(const Node *conv, int axis, int tile)
{
    return (conv->type.dim[axis].count + tile - 1) / tile;
}

static double fetch_cost(double weights)
{
    return weights > NEAR_WEIGHTS ? weights * FETCH_COST / SAMPLES : 0;
}

/* For one sample. */
static double direct_cost(const Node *conv)
{
    const Type *y = &conv->type, *w = &conv->in[1]->type;
    double weights =
        (double)(w->dim[1].count * w->dim[2].count * w->dim[AXIS_H].count * w->dim[AXIS_W].count);
    return (double)(y->dim[AXIS_H].count * y->dim[AXIS_W].count) * weights + fetch_cost(weights);
}

static double winograd_cost(const Node *conv, const Winograd *w)
{
    double outputs = (double)conv->in[1]->type.dim[1].count,
           channels = (double)conv->in[1]->type.dim[2].count;
    double tiles = (double)(tiles_along(conv, AXIS_H, w->tile) * tiles_along(conv, AXIS_W, w->tile));
    double matrices = w->size * w->size;
    return tiles * matrices * (outputs * channels + TRANSFORM_COST * (outputs + channels)) +
           fetch_cost(matrices * outputs * channels);
}

/* The cheapest tile, if one is right for the shape. */
static bool choose_tile(const Compilation *c, const Node *conv, Winograd *best)
{
    if (conv->op != OP_CONV)
        return false;
    const Type *x = &conv->in[0]->type, *w = &conv->in[1]->type;
    if (x->dtype != DTYPE_F32 || !size_is_one(x->dim[1]) || !all_ones(&conv->attr[0]) ||
        !all_ones(&conv->attr[1]) || !size_equal(w->dim[AXIS_H], w->dim[AXIS_W]))
        return false;
    double least = 0;
    for (int size = 4; size <= WINOGRAD_MOST; size += 2) {
        Winograd matrices;
        if (size - w->dim[AXIS_H].count + 1 > MOST_TILE ||
            !winograd_matrices(size - w->dim[AXIS_H].count + 1, w->dim[AXIS_H].count, &matrices))
            continue;
        double cost = winograd_cost(conv, &matrices);
        if (least && cost >= least)
            continue;
        least = cost;
        *best = matrices;
    }
    bool thin = w->dim[1].count < FEWEST_CHANNELS || w->dim[2].count < FEWEST_CHANNELS;
    return least && (c->winograd == WINOGRAD_ALWAYS || (!thin && least * WORTH_WHILE < direct_cost(conv)));
}

/* [n, c, h, w] with a border, then with a group axis: the border's operand with that axis, the border in low and high. */
static Node *below_border(Graph *g, Node *x, Ints *low, Ints *high)
{
    Node *pad = x->op == OP_RESHAPE ? x->in[0] : x;
    if (pad->op != OP_PAD || pad->value != 0 || (pad != x && pad->type.rank != 4))
        return x;
    Ints inner[2] = {pad->attr[0], pad->attr[1]};
    if (pad == x) {
        *low = inner[0];
        *high = inner[1];
        return pad->in[0];
    }
    *low = (Ints){5, {inner[0].at[0], 0, inner[0].at[1], inner[0].at[2], inner[0].at[3]}};
    *high = (Ints){5, {inner[1].at[0], 0, inner[1].at[1], inner[1].at[2], inner[1].at[3]}};
    Type type = pad->in[0]->type;
    return graph_reshape(
        g, pad->in[0],
        (Type){type.dtype, 5, {type.dim[0], size_of(1), type.dim[1], type.dim[2], type.dim[3]}});
}

/* x with zeros behind it, up to whole tiles; a border that it has grows. */
static Node *whole_tiles(Graph *g, Node *x, const int64_t *more)
{
    Ints low = {5, {0}}, high = {5, {0}};
    x = below_border(g, x, &low, &high);
    high.at[AXIS_H] += more[0];
    high.at[AXIS_W] += more[1];
    return graph_add(g, (Node){.op = OP_PAD, .in = {x}, .attr = {low, high}});
}

static Node *rewrite_convolution(Graph *g, Node conv, const Winograd *w)
{
    Ints tile = {2, {w->tile, w->kernel}};
    int64_t more[2];
    for (int i = 0; i < 2; i++)
        more[i] = tiles_along(&conv, AXIS_H + i, w->tile) * w->tile - conv.type.dim[AXIS_H + i].count;
    Node *x = more[0] || more[1] ? whole_tiles(g, conv.in[0], more) : conv.in[0];
    Node *input = graph_add(g, (Node){.op = OP_WINOGRAD_INPUT, .in = {x}, .attr = {tile}});
    Node *weight = graph_add(g, (Node){.op = OP_WINOGRAD_WEIGHT, .in = {conv.in[1]}, .attr = {tile}});
    Node *product = graph_binary(g, OP_MATMUL, input, weight);
    return graph_add(g, (Node){.op = OP_WINOGRAD_OUTPUT, .in = {product}, .attr = {tile}, .type = conv.type});
}

static Node *make(Rewrite *r, const Node *old, Node node)
{
    Winograd w = {0};
    node.type = old->type;
    return choose_tile(r->context, &node, &w) ? rewrite_convolution(r->graph, node, &w)
                                              : graph_add(r->graph, node);
}

bool pass_winograd(Compilation *c)
{
    for (int p = 0; !c->reference && c->winograd != WINOGRAD_NEVER && p < PHASE_COUNT; p++)
        graph_replace(c->model, p, graph_rewrite(c->model->phase[p], false, make, c));
    return true;
}
