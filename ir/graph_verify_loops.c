/* The rules of loops in a Graph. */
#include "graph_verify.h"

const char *carry_fault(const Graph *graph, int place)
{
    const Carry *c = &graph->carry.at[place];
    if (c->state->op != OP_CARRY)
        return arena_printf(graph->arena, "%%%d is no carry", c->state->id);
    for (int i = 0; i < place; i++)
        if (graph->carry.at[i].state == c->state)
            return arena_printf(graph->arena, "carry %%%d has two next values", c->state->id);
    if (!type_equal(&c->state->type, &c->next->type))
        return arena_printf(graph->arena, "carry %%%d and its next value %%%d have different types",
                            c->state->id, c->next->id);
    return NULL;
}

/* Of one node, given the loop that each node is in. */
static const char *membership_fault(const Graph *graph, const int *loop, const Node *n)
{
    bool enters = node_enters_loop(n), leaves = node_leaves_loop(n);
    for (int i = 0; i < op_info[n->op].inputs; i++) {
        int of = loop[n->in[i]->id];
        if (of && (enters || n->op == OP_GRADIENT))
            return arena_printf(graph->arena, "%%%d is outside of loops, but reads %%%d of loop %d", n->id,
                                n->in[i]->id, of);
        if (of && of != (leaves ? (int)n->attr[0].at[0] : loop[n->id]))
            return arena_printf(graph->arena, "%%%d reads %%%d of loop %d, and is not in it", n->id,
                                n->in[i]->id, of);
    }
    return NULL;
}

/* What leaves a loop comes after all that is in it, and all agree on its length. */
static const char *extent_fault(const Graph *graph, const int *loop)
{
    int64_t *length = arena_alloc(graph->arena, ((size_t)graph->loops + 1) * sizeof *length);
    bool *left = arena_alloc(graph->arena, (size_t)graph->loops + 1);
    for (int i = 0; i < graph->node.count; i++) {
        const Node *n = graph->node.at[i];
        bool names = node_enters_loop(n) || node_leaves_loop(n);
        if (loop[i] && left[loop[i]])
            return arena_printf(graph->arena, "%%%d is in loop %d, after what leaves it", i, loop[i]);
        if (!names)
            continue;
        int of = (int)n->attr[0].at[0];
        left[of] |= node_leaves_loop(n);
        if (length[of] && length[of] != n->attr[0].at[1])
            return arena_printf(graph->arena, "%%%d gives loop %d another length", i, of);
        length[of] = n->attr[0].at[1];
    }
    return NULL;
}

const char *loops_fault(const Graph *graph)
{
    if (graph->loops > graph->node.count)
        return arena_printf(graph->arena, "loop %d has too high a number: there are only %d nodes",
                            graph->loops, graph->node.count);
    bool *next = arena_alloc(graph->arena, (size_t)graph->node.count + 1);
    const int *loop = graph_loops(graph);
    const char *fault = NULL;
    for (int i = 0; !fault && i < graph->carry.count; i++) {
        const Carry *c = &graph->carry.at[i];
        fault = carry_fault(graph, i);
        next[c->state->id] = true;
        if (!fault && loop[c->next->id] && loop[c->next->id] != loop[c->state->id])
            fault = arena_printf(graph->arena, "carry %%%d: its next value %%%d is in another loop",
                                 c->state->id, c->next->id);
    }
    for (int i = 0; !fault && i < graph->node.count; i++) {
        fault = membership_fault(graph, loop, graph->node.at[i]);
        if (!fault && graph->node.at[i]->op == OP_CARRY && !next[i])
            fault = arena_printf(graph->arena, "carry %%%d has no next value", i);
    }
    for (int i = 0; !fault && i < graph->result.count; i++)
        if (loop[graph->result.at[i].node->id])
            fault = arena_printf(graph->arena, "result '%s' is inside a loop", graph->result.at[i].name);
    for (int i = 0; !fault && i < graph->assign.count; i++)
        if (loop[graph->assign.at[i].node->id])
            fault =
                arena_printf(graph->arena, "'%s' is set inside a loop", graph->assign.at[i].variable->name);
    return fault ? fault : extent_fault(graph, loop);
}
