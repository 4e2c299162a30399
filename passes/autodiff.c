/* gradient(loss, x) becomes the nodes that compute it: reverse mode (Griewank and Walther 2008, chapter 3).
   The rules are the ops' own; here is only the walk backwards and the sum over uses. */
#include "autodiff.h"
#include "ops.h"
#include "passes.h"

#include <string.h>

/* The next values of states, of the loops that the loss is made with. */
static void find_next(const Rewrite *r, Backward *b)
{
    b->next = arena_alloc(r->graph->arena, (size_t)b->count * sizeof *b->next);
    for (int i = 0; i < r->old->carry.count; i++) {
        const Node *state = r->copy[r->old->carry.at[i].state->id];
        Node *next = r->copy[r->old->carry.at[i].next->id];
        if (state && next && state->id < b->count && next->id < b->count)
            b->next[state->id] = next;
    }
}

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
    for (bool again = true; again;) { /* a state depends on its next value, which is made after it */
        again = false;
        for (int i = 0; i < b->count; i++) {
            const Node *n = r->graph->node.at[i];
            for (int j = 0; n->op != OP_STOP_GRADIENT && j < op_info[n->op].inputs; j++)
                dependent[i] =
                    dependent[i] || (dependent[n->in[j]->id] && dtype_is_float(n->in[j]->type.dtype));
        }
        for (int i = 0; i < b->count; i++)
            if (b->next[i] && dependent[b->next[i]->id] && !dependent[i])
                again = dependent[i] = true;
    }
    return dependent;
}

void backward_add(Graph *graph, Backward *b, const Node *to, Node *adjoint)
{
    Node **sum = &b->adjoint[to->id];
    *sum = *sum ? graph_binary(graph, OP_ADD, *sum, adjoint) : adjoint;
}

void backward_rule(Graph *graph, Backward *b, Node *node, Node *dy, Node **dx)
{
    if (op_rule[node->op].gradient == no_derivative) {
        b->without = op_info[node->op].name;
        b->span = node->span;
    }
    op_rule[node->op].gradient(graph, node, dy, dx);
}

/* Whether n is the first of what leaves its loop: behind it the walk backwards has all of the loop's adjoints. */
static bool leaves_first(const Graph *graph, const Node *n)
{
    for (int i = 0; i < n->id; i++)
        if (node_leaves_loop(graph->node.at[i]) && graph->node.at[i]->attr[0].at[0] == n->attr[0].at[0])
            return false;
    return true;
}

static void walk_back(Rewrite *r, Backward *b)
{
    Graph *graph = r->graph;
    Node *loss = r->copy[b->loss->id];
    b->count = loss->id + 1;
    b->adjoint = arena_alloc(graph->arena, (size_t)b->count * sizeof *b->adjoint);
    find_next(r, b);
    const bool *dependent = b->dependent = mark_dependent(r, b);
    b->loop = graph_loops(graph);
    b->adjoint[loss->id] = graph_number(graph, loss->type.dtype, 1);
    for (int i = loss->id; i >= 0; i--) {
        Node *n = graph->node.at[i], *dx[MAX_INPUTS] = {0};
        if (node_leaves_loop(n) && leaves_first(graph, n))
            backward_loop(graph, b, (int)n->attr[0].at[0]);
        if (!b->adjoint[i] || !dependent[i] || b->loop[i])
            continue;
        graph->scope = n->name;
        graph->span = n->span;
        backward_rule(graph, b, n, b->adjoint[i], dx);
        for (int j = 0; j < op_info[n->op].inputs; j++) {
            if (!dx[j] || !dependent[n->in[j]->id])
                continue;
            backward_add(graph, b, n->in[j], dx[j]);
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
        for (Backward b; (b = (Backward){.loss = first_loss(c->model->phase[p])}).loss;) {
            graph_replace(c->model, p,
                          backward_loop_keep(graph_rewrite(c->model->phase[p], false, make, &b), &b));
            if (b.without) {
                diag_report(c->diag, DIAG_ERROR, b.span,
                            "%s has no derivative: it is made after the gradients", b.without);
                return false;
            }
        }
    return true;
}
