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

/* A convolution, or the gradient of its weights, by its sizes. */
typedef struct Shape {
    int64_t height, width, outputs, channels, kernel; /* height and width: of the result */
} Shape;

static bool take_shape(const Node *n, Shape *s)
{
    if (n->op != OP_CONV && n->op != OP_CONV_WEIGHT_GRADIENT)
        return false;
    const Type *x = &n->in[0]->type, *y = n->op == OP_CONV ? &n->type : &n->in[1]->type;
    const Type *w = n->op == OP_CONV ? &n->in[1]->type : &n->type;
    *s = (Shape){y->dim[AXIS_H].count, y->dim[AXIS_W].count, w->dim[1].count, w->dim[2].count,
                 w->dim[AXIS_H].count};
    return x->dtype == DTYPE_F32 && size_is_one(x->dim[1]) && ints_are_all(&n->attr[0], 1) &&
           ints_are_all(&n->attr[1], 1) && size_equal(w->dim[AXIS_H], w->dim[AXIS_W]);
}

static int64_t tiles_along(int64_t extent, int tile) { return (extent + tile - 1) / tile; }

static double fetch_cost(double weights)
{
    return weights > NEAR_WEIGHTS ? weights * FETCH_COST / SAMPLES : 0;
}

/* For one sample. */
static double direct_cost(const Shape *s)
{
    double weights = (double)(s->outputs * s->channels * s->kernel * s->kernel);
    return (double)(s->height * s->width) * weights + fetch_cost(weights);
}

static double winograd_cost(const Shape *s, const Winograd *w)
{
    double outputs = (double)s->outputs, channels = (double)s->channels, matrices = w->size * w->size;
    double tiles = (double)(tiles_along(s->height, w->tile) * tiles_along(s->width, w->tile));
    return tiles * matrices * (outputs * channels + TRANSFORM_COST * (outputs + channels)) +
           fetch_cost(matrices * outputs * channels);
}

/* The cheapest tile, if one is right for the shape. */
static bool choose_tile(const Compilation *c, const Shape *s, Winograd *best)
{
    double least = 0;
    for (int size = 4; size <= WINOGRAD_MOST; size += 2) {
        Winograd matrices;
        if (size - s->kernel + 1 > MOST_TILE ||
            !winograd_matrices(size - s->kernel + 1, s->kernel, &matrices))
            continue;
        double cost = winograd_cost(s, &matrices);
        if (least && cost >= least)
            continue;
        least = cost;
        *best = matrices;
    }
    bool thin = s->outputs < FEWEST_CHANNELS || s->channels < FEWEST_CHANNELS;
    return least && (c->winograd == USE_ALWAYS || (!thin && least * WORTH_WHILE < direct_cost(s)));
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
static Node *whole_tiles(Graph *g, Node *x, const Shape *s, const Winograd *w)
{
    Ints low = {5, {0}}, high = {5, {0}};
    int64_t more[] = {tiles_along(s->height, w->tile) * w->tile - s->height,
                      tiles_along(s->width, w->tile) * w->tile - s->width};
    if (!more[0] && !more[1])
        return x;
    x = below_border(g, x, &low, &high);
    high.at[AXIS_H] += more[0];
    high.at[AXIS_W] += more[1];
    return graph_add(g, (Node){.op = OP_PAD, .in = {x}, .attr = {low, high}});
}

static Node *transform(Graph *g, OpKind op, Node *x, const Winograd *w)
{
    return graph_add(g, (Node){.op = op, .in = {x}, .attr = {{2, {w->tile, w->kernel}}}});
}

static Node *rewrite_convolution(Graph *g, const Node *conv, const Shape *s, const Winograd *w)
{
    Node *input = transform(g, OP_WINOGRAD_INPUT, whole_tiles(g, conv->in[0], s, w), w);
    Node *weight = transform(g, OP_WINOGRAD_WEIGHT, conv->in[1], w);
    Node *product = graph_binary(g, OP_MATMUL, input, weight);
    return graph_add(g, (Node){.op = OP_WINOGRAD_OUTPUT,
                               .in = {product},
                               .attr = {{2, {w->tile, w->kernel}}},
                               .type = conv->type});
}

static Node *rewrite_gradient(Graph *g, const Node *gradient, const Shape *s, const Winograd *w)
{
    Node *input = transform(g, OP_WINOGRAD_INPUT, whole_tiles(g, gradient->in[0], s, w), w);
    Node *result = transform(g, OP_WINOGRAD_RESULT, whole_tiles(g, gradient->in[1], s, w), w);
    Node *turned = graph_transpose(g, input, (Ints){4, {0, 1, 3, 2}});
    return transform(g, OP_WINOGRAD_WEIGHT_GRADIENT, graph_binary(g, OP_MATMUL, turned, result), w);
}

static Node *make(Rewrite *r, const Node *old, Node node)
{
    Winograd w = {0};
    Shape s;
    node.type = old->type;
    if (!take_shape(&node, &s) || !choose_tile(r->context, &s, &w))
        return graph_add(r->graph, node);
    return node.op == OP_CONV ? rewrite_convolution(r->graph, &node, &s, &w)
                              : rewrite_gradient(r->graph, &node, &s, &w);
}

bool pass_winograd(Compilation *c)
{
    for (int p = 0; !c->reference && c->winograd != USE_NEVER && p < PHASE_COUNT; p++)
        graph_replace(c->model, p, graph_rewrite(c->model->phase[p], false, make, c));
    return true;
}
