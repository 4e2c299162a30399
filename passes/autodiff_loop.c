/* Reverse mode through a loop (Griewank and Walther 2008, chapter 3): a second loop runs over the steps backwards. What
   it needs of the forward steps it computes again from the states, which are kept in stacks, as are the results of
   contractions and reductions. What all steps give to a node outside is one sum over the stacked steps, and where that
   is a product of matrices, one product of longer ones. */
#include "autodiff.h"
#include "ops.h"

#include <string.h>

typedef struct Outside {
    const Node *to;
    Node *adjoint; /* in the backward loop */
} Outside;

typedef struct Reverse {
    Graph *graph;
    Backward *b;
    int loop, back; /* the forward loop's number, and this one's */
    int64_t length;
    Node **mirror;       /* by forward id: the same value in the backward loop */
    const int *readers;  /* by forward id */
    LIST(bool) in_back;  /* by id, of the nodes asked for so far: it is in the backward loop */
    LIST(Outside) given; /* to be summed over the steps once the loop is complete */
} Reverse;

static Node *add(Reverse *r, Node node) { return graph_add(r->graph, node); }

/* ---- values of the forward steps ------------------------------------------------------------------------ */

static bool is_reducing(const Node *n)
{
    OpClass class = op_info[n->op].class;
    return class == OP_CLASS_REDUCE || class == OP_CLASS_CONTRACT;
}

/* Contractions and reductions are kept; but a sum that one of them is only made for is kept in its place. */
static bool is_kept(const Reverse *r, const Node *n)
{
    bool sum = n->op == OP_ADD || n->op == OP_SUB;
    for (int i = 0; sum && i < 2; i++)
        if (r->b->loop[n->in[i]->id] == r->loop && r->readers[n->in[i]->id] == 1 && is_kept(r, n->in[i]))
            return true;
    return is_reducing(n);
}

static Node *mirror(Reverse *r, Node *n)
{
    if (r->b->loop[n->id] != r->loop)
        return n;
    if (r->mirror[n->id])
        return r->mirror[n->id];
    Node copy = *n;
    if (n->op == OP_STEP) {
        copy = *graph_step(r->graph, n->in[0], r->back, !n->attr[1].at[0]);
    } else if (n->op == OP_CARRY) {
        Node *states = graph_stack(r->graph, n, r->loop, r->length, false);
        copy = *graph_step(r->graph, states, r->back, true);
    } else {
        for (int i = 0; i < op_info[n->op].inputs; i++)
            copy.in[i] = mirror(r, n->in[i]);
    }
    Node *made = add(r, copy);
    if (is_kept(r, n)) {
        Again again = {n, made, r->loop, r->back, r->length};
        list_add(r->graph->arena, &r->b->again, again);
    }
    return r->mirror[n->id] = made;
}

static bool in_back(Reverse *r, const Node *n)
{
    for (int i = r->in_back.count; i <= n->id; i++) {
        const Node *node = r->graph->node.at[i];
        bool in = node_enters_loop(node) && node->attr[0].at[0] == r->back;
        for (int j = 0; !in && !node_leaves_loop(node) && j < op_info[node->op].inputs; j++)
            in = r->in_back.at[node->in[j]->id];
        list_add(r->graph->arena, &r->in_back, in);
    }
    return r->in_back.at[n->id];
}

/* ---- sums over all steps -------------------------------------------------------------------------------- */

/* In the order of the forward steps. */
static Node *stack(Reverse *r, Node *n) { return graph_stack(r->graph, n, r->back, r->length, true); }

static Node *matrix_of_steps(Reverse *r, Node *n, bool side_by_side)
{
    Node *all = stack(r, n);
    Type flat = {n->type.dtype, 2, {n->type.dim[0], n->type.dim[1]}};
    if (side_by_side) /* [t, m, k] → [m, t·k] */
        all = graph_transpose(r->graph, all, (Ints){3, {1, 0, 2}});
    size_multiply(flat.dim[side_by_side], size_of(r->length), &flat.dim[side_by_side]);
    return graph_reshape(r->graph, all, flat);
}

static Node *sum_of_steps(Reverse *r, Node *n);

static Node *sum_of_products(Reverse *r, Node *n)
{
    Graph *g = r->graph;
    Node *a = n->in[0], *b = n->in[1];
    if (!in_back(r, a))
        return graph_binary(g, OP_MATMUL, a, sum_of_steps(r, b));
    if (!in_back(r, b))
        return graph_binary(g, OP_MATMUL, sum_of_steps(r, a), b);
    if (n->type.rank > 2)
        return graph_reduce(g, OP_SUM, stack(r, n), (Ints){1, {0}});
    Node *left = matrix_of_steps(r, a, true), *right = matrix_of_steps(r, b, false);
    return graph_binary(g, OP_MATMUL, left, right);
}

static Node *sum_of_steps(Reverse *r, Node *n)
{
    Graph *g = r->graph;
    if (!in_back(r, n))
        return graph_binary(g, OP_MUL, n, graph_const(g, n->type, (double)r->length));
    Ints axes = {1, {0}};
    switch (n->op) {
    case OP_RESHAPE:
        return graph_reshape(g, sum_of_steps(r, n->in[0]), n->type);
    case OP_TRANSPOSE:
        return graph_transpose(g, sum_of_steps(r, n->in[0]), n->attr[0]);
    case OP_MATMUL:
        return sum_of_products(r, n);
    case OP_SUM:
        for (int i = 0; i < n->attr[0].count; i++)
            axes.at[axes.count++] = n->attr[0].at[i] + 1;
        return graph_reduce(g, OP_SUM, stack(r, n->in[0]), axes);
    default:
        return graph_reduce(g, OP_SUM, stack(r, n), axes);
    }
}

/* ---- the walk ------------------------------------------------------------------------------------------- */

/* To a node of the forward loop, in its step; or, later, to one outside. */
static void give(Reverse *r, const Node *to, Node *adjoint)
{
    if (!r->b->dependent[to->id])
        return;
    if (r->b->loop[to->id] == r->loop)
        backward_add(r->graph, r->b, to, adjoint);
    else
        list_add(r->graph->arena, &r->given, ((Outside){to, adjoint}));
}

/* Adjoints of what leaves the loop, and the backward states: the adjoint of each forward state after a step. */
static void enter(Reverse *r, Node **state)
{
    Graph *g = r->graph;
    int index = 0;
    for (int i = 0; i < r->b->count; i++) {
        Node *n = g->node.at[i], *adjoint = r->b->adjoint[i];
        bool of = node_leaves_loop(n) && n->attr[0].at[0] == r->loop;
        if (of && n->op == OP_STACK && adjoint)
            give(r, n->in[0], graph_step(g, adjoint, r->back, !n->attr[1].at[0]));
        if (of && n->op == OP_LAST && adjoint)
            state[n->in[0]->id] = adjoint;
    }
    for (int i = 0; i < r->b->count; i++) {
        Node *n = g->node.at[i];
        if (n->op != OP_CARRY || n->attr[0].at[0] != r->loop || !r->b->dependent[i])
            continue;
        Node *last = state[i] ? state[i] : graph_const(g, n->type, 0);
        state[i] = graph_carry(g, last, r->back, r->length, index++);
        give(r, r->b->next[i], state[i]);
    }
}

static void walk(Reverse *r, Node **state)
{
    Graph *g = r->graph;
    for (int i = r->b->count - 1; i >= 0; i--) {
        Node *n = g->node.at[i], *dx[MAX_INPUTS] = {0}, *adjoint = r->b->adjoint[i];
        if (r->b->loop[i] != r->loop || !r->b->dependent[i])
            continue;
        if (n->op == OP_CARRY) {
            Carry carry = {state[i], adjoint ? adjoint : graph_const(g, n->type, 0)};
            list_add(g->arena, &g->carry, carry);
            continue;
        }
        if (!adjoint)
            continue;
        g->scope = n->name;
        g->span = n->span;
        if (n->op == OP_STEP)
            continue;
        backward_rule(g, r->b, mirror(r, n), adjoint, dx);
        for (int j = 0; j < op_info[n->op].inputs; j++)
            if (dx[j])
                give(r, n->in[j], dx[j]);
    }
}

/* What leaves the backward loop, once it is complete. */
static void leave(Reverse *r, Node **state)
{
    Graph *g = r->graph;
    for (int i = 0; i < r->given.count; i++)
        backward_add(g, r->b, r->given.at[i].to, sum_of_steps(r, r->given.at[i].adjoint));
    for (int i = r->b->count - 1; i >= 0; i--) {
        const Node *n = g->node.at[i];
        if (r->b->loop[i] != r->loop || !node_enters_loop(n) || !r->b->dependent[n->in[0]->id])
            continue;
        if (n->op == OP_CARRY && state[i])
            backward_add(g, r->b, n->in[0], graph_last(g, state[i]));
        if (n->op == OP_STEP && r->b->adjoint[i])
            backward_add(g, r->b, n->in[0],
                         graph_stack(g, r->b->adjoint[i], r->back, r->length, !n->attr[1].at[0]));
    }
}

static const int *count_readers(const Graph *graph, int count)
{
    int *readers = arena_alloc(graph->arena, ((size_t)count + 1) * sizeof *readers);
    for (int i = 0; i < count; i++)
        for (int k = 0; k < op_info[graph->node.at[i]->op].inputs; k++)
            readers[graph->node.at[i]->in[k]->id]++;
    return readers;
}

void backward_loop(Graph *graph, Backward *b, int loop)
{
    Reverse r = {.graph = graph, .b = b, .loop = loop, .back = graph->loops + 1};
    r.readers = count_readers(graph, b->count);
    r.mirror = arena_alloc(graph->arena, (size_t)b->count * sizeof *r.mirror);
    Node **state = arena_alloc(graph->arena, (size_t)b->count * sizeof *state);
    bool reached = false;
    for (int i = 0; i < b->count; i++) {
        const Node *n = graph->node.at[i];
        if (!node_leaves_loop(n) || n->attr[0].at[0] != loop)
            continue;
        r.length = n->attr[0].at[1];
        reached |= b->adjoint[i] && b->dependent[i];
    }
    if (!reached)
        return;
    graph->loops = r.back;
    enter(&r, state);
    walk(&r, state);
    leave(&r, state);
}

/* ---- what is kept --------------------------------------------------------------------------------------- */

static Node *keep(Rewrite *r, const Node *old, Node node)
{
    const Backward *b = r->context;
    const Again *again = NULL;
    for (int i = 0; i < b->again.count; i++)
        if (b->again.at[i].again == old)
            again = &b->again.at[i];
    if (!again)
        return graph_add(r->graph, node);
    Node *forward = r->copy[again->forward->id];
    Node *all = graph_stack(r->graph, forward, again->loop, again->length, false);
    return graph_step(r->graph, all, again->back, true);
}

Graph *backward_loop_keep(Graph *graph, Backward *b)
{
    if (!b->again.count)
        return graph;
    Graph *kept = graph_rewrite(graph, false, keep, b);
    graph_free(graph);
    return kept;
}
