/* A sum of tensors that are padded with zeros to their places along one axis, as the gradient of what was sliced is: they are
   joined instead. */
#include "simplify.h"

#include <stdlib.h>

enum { MOST_PARTS = 8 };

typedef struct Part {
    Node *node;
    int64_t begin, end;
} Part;

typedef struct Parts {
    int axis; /* -1: not known yet */
    int count;
    Part part[MOST_PARTS];
} Parts;

/* A part is padded along that axis only. */
static bool add_part(Parts *p, const Node *pad)
{
    if (pad->value != 0 || p->count == MOST_PARTS)
        return false;
    for (int d = 0; d < pad->type.rank; d++) {
        if (!pad->attr[0].at[d] && !pad->attr[1].at[d])
            continue;
        if ((p->axis >= 0 && d != p->axis) || pad->type.dim[d].power)
            return false;
        p->axis = d;
    }
    if (p->axis < 0)
        return false;
    int64_t begin = pad->attr[0].at[p->axis];
    p->part[p->count++] = (Part){pad->in[0], begin, begin + pad->in[0]->type.dim[p->axis].count};
    return true;
}

static bool find_parts(Parts *p, const Node *n)
{
    if (n->op == OP_ADD)
        return find_parts(p, n->in[0]) && find_parts(p, n->in[1]);
    return n->op == OP_PAD && add_part(p, n);
}

static int compare_parts(const void *x, const void *y)
{
    const Part *a = x, *b = y;
    return (a->begin > b->begin) - (a->begin < b->begin);
}

Node *simplify_sum_of_pads(Graph *g, const Node *sum)
{
    Parts p = {.axis = -1};
    if (!find_parts(&p, sum))
        return NULL;
    qsort(p.part, (size_t)p.count, sizeof p.part[0], compare_parts);
    for (int i = 1; i < p.count; i++)
        if (p.part[i].begin != p.part[i - 1].end)
            return NULL;
    Node *joined = p.part[0].node;
    for (int i = 1; i < p.count; i++)
        joined =
            graph_add(g, (Node){.op = OP_CONCAT, .in = {joined, p.part[i].node}, .attr = {{1, {p.axis}}}});
    Ints low = {.count = sum->type.rank}, high = low;
    low.at[p.axis] = p.part[0].begin;
    high.at[p.axis] = sum->type.dim[p.axis].count - p.part[p.count - 1].end;
    if (!low.at[p.axis] && !high.at[p.axis])
        return joined;
    return graph_add(g, (Node){.op = OP_PAD, .in = {joined}, .attr = {low, high}});
}
