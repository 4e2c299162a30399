/* Loops: a scan's body is computed once a step. A node is in a loop if it reads, directly or not, one of the loop's CARRY or
   STEP nodes; STACK and LAST lead out of it. attr[0] of all four is the loop's number and its length. */
#include "ops.h"

#include <string.h>

static bool loop_valid(const Node *node)
{
    const Ints *loop = &node->attr[0];
    return (loop->count == 2 && loop->at[0] >= 1 && loop->at[0] <= INT32_MAX && loop->at[1] >= 1 &&
            loop->at[1] <= MAX_DIM) ||
           refuse("%s: a loop has a number and a length", op_info[node->op].name);
}

/* `reverse`: the steps run from the last element to the first. */
static bool reverse_valid(const Node *node)
{
    const Ints *reverse = &node->attr[1];
    return (reverse->count == 1 && reverse->at[0] >= 0 && reverse->at[0] <= 1) ||
           refuse("%s: reverse is 0 or 1", op_info[node->op].name);
}

/* The state at a step's begin: at first the operand, then what the graph's carry pair says. */
bool infer_carry(const Node *node, Type *type)
{
    *type = node->in[0]->type;
    return loop_valid(node) &&
           (node->attr[1].count == 1 || refuse("carry: index tells the states of a loop apart"));
}

/* y[at] = x[step, at] */
bool infer_step(const Node *node, Type *type)
{
    const Type *x = &node->in[0]->type;
    if (!loop_valid(node) || !reverse_valid(node))
        return false;
    if (x->rank < 1 || !size_equal(x->dim[0], size_of(node->attr[0].at[1])))
        return refuse("step: %s has not %lld elements along axis 0", shape_text(x),
                      (long long)node->attr[0].at[1]);
    *type = *x;
    type->rank--;
    memmove(type->dim, type->dim + 1, sizeof type->dim[0] * (size_t)type->rank);
    return true;
}

Expr *step_index(Definer *d, const Node *node)
{
    Expr *step = d->argument(d, ARGUMENT_STEP);
    Expr *last = expr_int(d->pool, DTYPE_I64, node->attr[0].at[1] - 1);
    return node->attr[1].at[0] ? expr_sub(d->pool, last, step) : step;
}

Expr *define_step(Definer *d, const Node *node, Expr *const *at)
{
    Expr *index[MAX_RANK];
    index[0] = step_index(d, node);
    memcpy(index + 1, at, sizeof *at * (size_t)node->type.rank);
    return d->read(d, node->in[0], index);
}

/* y[step, at] = what the operand is in that step */
bool infer_stack(const Node *node, Type *type)
{
    const Type *x = &node->in[0]->type;
    if (!loop_valid(node) || !reverse_valid(node))
        return false;
    if (x->rank == MAX_RANK)
        return refuse("stack: %s has %d axes already", shape_text(x), MAX_RANK);
    *type = *x;
    memmove(type->dim + 1, type->dim, sizeof type->dim[0] * (size_t)type->rank);
    type->dim[0] = size_of(node->attr[0].at[1]);
    type->rank++;
    return true;
}

/* What a state is after the last step. */
bool infer_last(const Node *node, Type *type)
{
    *type = node->in[0]->type;
    return loop_valid(node) && (node->in[0]->op == OP_CARRY ||
                                refuse("last: of a carry, not of %s", op_info[node->in[0]->op].name));
}

/* Of CARRY, its first value; and of STACK, one step's. LAST is its state's buffer. */
Expr *define_copy(Definer *d, const Node *node, Expr *const *at)
{
    return d->read(d, node->in[0], node->op == OP_STACK ? at + 1 : at);
}

bool node_enters_loop(const Node *node) { return node->op == OP_CARRY || node->op == OP_STEP; }
bool node_leaves_loop(const Node *node) { return node->op == OP_STACK || node->op == OP_LAST; }

int *graph_loops(const Graph *graph)
{
    int *loop = arena_alloc(graph->arena, ((size_t)graph->node.count + 1) * sizeof *loop);
    for (int i = 0; i < graph->node.count; i++) {
        const Node *n = graph->node.at[i];
        if (node_enters_loop(n))
            loop[i] = (int)n->attr[0].at[0];
        for (int j = 0; !loop[i] && !node_leaves_loop(n) && j < op_info[n->op].inputs; j++)
            loop[i] = loop[n->in[j]->id];
    }
    return loop;
}

int64_t *graph_loop_lengths(const Graph *graph)
{
    int64_t *length = arena_alloc(graph->arena, ((size_t)graph->loops + 1) * sizeof *length);
    for (int i = 0; i < graph->node.count; i++) {
        const Node *n = graph->node.at[i];
        if (node_enters_loop(n) || node_leaves_loop(n))
            length[n->attr[0].at[0]] = n->attr[0].at[1];
    }
    return length;
}
