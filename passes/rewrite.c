#include "rewrite.h"

#include <assert.h>

bool *graph_live(const Graph *graph)
{
    bool *live = arena_alloc(graph->arena, (size_t)graph->node.count + 1);
    for (int i = 0; i < graph->result.count; i++)
        live[graph->result.at[i].node->id] = true;
    for (int i = 0; i < graph->assign.count; i++)
        live[graph->assign.at[i].node->id] = true;
    for (bool again = true; again;) { /* a state that lives needs its next value, which is made after it */
        again = false;
        for (int i = graph->node.count - 1; i >= 0; i--)
            for (int j = 0; live[i] && j < op_info[graph->node.at[i]->op].inputs; j++)
                live[graph->node.at[i]->in[j]->id] = true;
        for (int i = 0; i < graph->carry.count; i++)
            if (live[graph->carry.at[i].state->id] && !live[graph->carry.at[i].next->id])
                again = live[graph->carry.at[i].next->id] = true;
    }
    return live;
}

Graph *graph_rewrite(const Graph *old, bool live_only, Maker *make, void *context)
{
    Rewrite r = {.old = old, .graph = graph_new(old->model, old->name), .context = context};
    r.copy = arena_alloc(old->arena, ((size_t)old->node.count + 1) * sizeof *r.copy);
    r.graph->loops = old->loops;
    const bool *live = live_only ? graph_live(old) : NULL;
    for (int i = 0; i < old->node.count; i++) {
        if (live && !live[i])
            continue;
        Node node = *old->node.at[i];
        for (int j = 0; j < op_info[node.op].inputs; j++)
            node.in[j] = r.copy[node.in[j]->id];
        r.graph->scope = node.name;
        r.graph->span = node.span;
        r.copy[i] = make(&r, old->node.at[i], node);
        assert(r.copy[i]);
    }
    for (int i = 0; i < old->carry.count; i++) {
        Carry carry = {r.copy[old->carry.at[i].state->id], r.copy[old->carry.at[i].next->id]};
        if (carry.state)
            list_add(r.graph->arena, &r.graph->carry, carry);
    }
    for (int i = 0; i < old->result.count; i++) {
        Result result = old->result.at[i];
        result.node = r.copy[result.node->id];
        list_add(r.graph->arena, &r.graph->result, result);
    }
    for (int i = 0; i < old->assign.count; i++) {
        Assign assign = old->assign.at[i];
        assign.node = r.copy[assign.node->id];
        list_add(r.graph->arena, &r.graph->assign, assign);
    }
    return r.graph;
}

void graph_replace(Model *model, int phase, Graph *graph)
{
    graph_free(model->phase[phase]);
    model->phase[phase] = graph;
}
