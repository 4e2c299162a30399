/* A slice of a convolution's result, as the gradient of a padded input is: only that is computed. */
#include "simplify.h"

#include "ops.h"

enum { AXIS_H = 3, AXIS_W = 4 };

/* All but the last two axes are whole, and the steps are 1. */
static bool is_window_of_images(const Node *slice)
{
    const Type *x = &slice->in[0]->type;
    for (int d = 0; d < x->rank; d++)
        if (slice->attr[1].at[d] != 1 || (d < x->rank - 2 && !size_equal(x->dim[d], slice->type.dim[d])))
            return false;
    return true;
}

/* x from `begin` on, `extent` long, in height and width: of zeros around it, fewer. */
static Node *part_of(Graph *g, Node *x, const int64_t *begin, const int64_t *extent)
{
    Ints first = {5, {0}}, ones = {5, {1, 1, 1, 1, 1}};
    Type type = x->type;
    bool fewer = x->op == OP_PAD && x->value == 0;
    Ints low = x->attr[0], high = x->attr[1];
    for (int i = 0; i < 2; i++) {
        int d = AXIS_H + i;
        first.at[d] = begin[i];
        type.dim[d] = size_of(extent[i]);
        if (fewer) {
            low.at[d] -= begin[i];
            high.at[d] = extent[i] - low.at[d] - x->in[0]->type.dim[d].count;
            fewer = low.at[d] >= 0 && high.at[d] >= 0;
        }
    }
    if (fewer)
        return graph_add(g, (Node){.op = OP_PAD, .in = {x->in[0]}, .attr = {low, high}});
    return graph_add(g, (Node){.op = OP_SLICE, .in = {x}, .attr = {first, ones}, .type = type});
}

Node *simplify_slice_of_convolution(Graph *g, const Node *slice)
{
    Node *flat = slice->in[0], *conv = flat->op == OP_RESHAPE ? flat->in[0] : flat;
    int rank = flat->type.rank;
    if (conv->op != OP_CONV || rank < 2 || !is_window_of_images(slice) ||
        !size_equal(flat->type.dim[rank - 2], conv->type.dim[AXIS_H]) ||
        !size_equal(flat->type.dim[rank - 1], conv->type.dim[AXIS_W]))
        return NULL;
    int64_t begin[2], extent[2];
    for (int i = 0; i < 2; i++) {
        begin[i] = slice->attr[0].at[rank - 2 + i] * conv->attr[0].at[i];
        extent[i] = (slice->type.dim[rank - 2 + i].count - 1) * conv->attr[0].at[i] +
                    conv_reach(conv->in[1]->type.dim[AXIS_H + i].count, conv->attr[1].at[i]);
    }
    Node *part = part_of(g, conv->in[0], begin, extent);
    Node smaller = {.op = OP_CONV, .in = {part, conv->in[1]}, .attr = {conv->attr[0], conv->attr[1]}};
    return graph_reshape(g, graph_add(g, smaller), slice->type);
}
