/* gradient(loss, x) becomes the nodes that compute it: reverse mode (Griewank and Walther 2008, chapter 3).
   The rules are the ops' own; here is only the walk backwards and the sum over uses. */
#include "ops.h"
#include "passes.h"
#include "rewrite.h"

#include <string.h>

typedef struct Backward {
    const Node *loss; /* of the old graph */
    Node **adjoint;   /* by the new graph's ids below `count`, once walked */
    int count;
} Backward;

/* Nodes that depend on a wanted one: only through these must a gradient flow. */
static bool *mark_dependent(const Rewrite *r, const Backward *b)
{
    bool *dependent = arena_alloc(r->graph->arena, (size_t)b->count);
    for (int i = 0; i < r->old->node.count; i++) {
        const Node *n = r->old->node.at[i];
        const Node *wanted = n->op == OP_GRADIENT && n->in[0] == b->loss ? r->copy[n->in[1]->id] : NULL;
        if (wanted && wanted->id < b->count)
            dependent[wanted->id] = true;
    }
    for (int i = 0; i < b->count; i++) {
        const Node *n = r->graph->node.at[i];
        for (int j = 0; n->op != OP_STOP_GRADIENT && j < op_info[n->op].inputs; j++)
            dependent[i] = dependent[i] || (dependent[n->in[j]->id] && dtype_is_float(n->in[j]->type.dtype));
    }
    return dependent;
}

static void walk_back(Rewrite *r, Backward *b)
{
    Graph *graph = r->graph;
    Node *loss = r->copy[b->loss->id];
    b->count = loss->id + 1;
    b->adjoint = arena_alloc(graph->arena, (size_t)b->count * sizeof *b->adjoint);
    const bool *dependent = mark_dependent(r, b);
    b->adjoint[loss->id] = graph_number(graph, loss->type.dtype, 1);
    for (int i = loss->id; i >= 0; i--) {
        Node *n = graph->node.at[i], *dx[MAX_INPUTS] = {0};
        if (!b->adjoint[i] || !dependent[i])
            continue;
        graph->scope = n->name;
        graph->span = n->span;
        op_rule[n->op].gradient(graph, n, b->adjoint[i], dx);
        for (int j = 0; j < op_info[n->op].inputs; j++) {
            if (!dx[j] || !dependent[n->in[j]->id])
                continue;
            Node **sum = &b->adjoint[n->in[j]->id];
            *sum = *sum ? graph_binary(graph, OP_ADD, *sum, dx[j]) : dx[j];
        }
    }
}

static Node *make(Rewrite *r, const Node *old, Node node)
{
    Backward *b = r->context;
    if (old->op != OP_GRADIENT || old->in[0] != b->loss)
        return graph_add(r->graph, node);
    if (!b->adjoint)
        walk_back(r, b);
    Node *found = node.in[1]->id < b->count ? b->adjoint[node.in[1]->id] : NULL;
    return found ? found : graph_const(r->graph, old->type, 0);
}

/* The first gradient in order: its loss holds no other, so gradients of gradients are resolved inside out. */
static const Node *first_loss(const Graph *graph)
{
    for (int i = 0; i < graph->node.count; i++)
        if (graph->node.at[i]->op == OP_GRADIENT)
            return graph->node.at[i]->in[0];
    return NULL;
}

bool pass_autodiff(Compilation *c)
{
    for (int p = 0; p < PHASE_COUNT; p++)
        for (Backward b = {0}; (b = (Backward){first_loss(c->model->phase[p]), NULL, 0}).loss;)
            c->model->phase[p] = graph_rewrite(c->model->phase[p], false, make, &b);
    return true;
}
