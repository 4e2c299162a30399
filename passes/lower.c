/* Each kernel's nodes become one Compute: the root's definition, with inline nodes in it, over axes in the
   order in which the result lies in memory. */
#include "ops.h"
#include "passes.h"
#include "reader.h"

#include <string.h>

/* ---- the program's buffers ----------------------------------------------------------------------------- */

static int add_buffer(Compilation *c, BufferKind kind, const char *name, Type type, const int *axes,
                      Variable *variable)
{
    Buffer b = {.kind = kind, .name = name, .type = type, .variable = variable, .first = -1, .last = -1};
    memcpy(b.axes, axes, sizeof b.axes);
    list_add(c->arena, &c->program->buffer, b);
    return c->program->buffer.count - 1;
}

static void add_variables(Compilation *c)
{
    int axes[MAX_RANK];
    for (int i = 0; i < MAX_RANK; i++)
        axes[i] = i;
    c->buffer_of_variable = arena_alloc(c->arena, ((size_t)c->model->variable.count + 1) * sizeof(int));
    for (int i = 0; i < c->model->variable.count; i++) {
        Variable *v = c->model->variable.at[i];
        c->buffer_of_variable[i] = add_buffer(c, BUFFER_VARIABLE, v->name, v->type, axes, v);
    }
    for (int p = 0; p < PHASE_COUNT; p++)
        for (int i = 0; i < c->model->phase[p]->node.count; i++) {
            const Node *n = c->model->phase[p]->node.at[i];
            NodePlace *place = &c->place[p][i];
            if (n->op != OP_VARIABLE || !place->live)
                continue;
            place->buffer = c->buffer_of_variable[n->variable->id];
            memcpy(c->program->buffer.at[place->buffer].axes, place->axes, sizeof place->axes);
        }
}

/* Variables that a phase only assigns take the layout that pass_layout gave them through the assigned node.
 */
static void adopt_layouts(Compilation *c, const Graph *graph, const NodePlace *place)
{
    for (int i = 0; i < graph->assign.count; i++) {
        const Assign *a = &graph->assign.at[i];
        Buffer *b = &c->program->buffer.at[c->buffer_of_variable[a->variable->id]];
        if (a->node->op != OP_VARIABLE)
            memcpy(b->axes, place[a->node->id].axes, sizeof b->axes);
    }
}

/* ---- one kernel ---------------------------------------------------------------------------------------- */

static const char *kernel_name(const Compilation *c, const Node *root, const Node *reducer)
{
    const Node *n = reducer ? reducer : root;
    return arena_printf(c->arena, "%s %s", n->name ? n->name : (root->name ? root->name : ""),
                        op_info[n->op].name);
}

static double expr_flops(const Expr *e, bool *seen, int size)
{
    if (e->id >= size || seen[e->id] || e->kind == EXPR_REDUCE)
        return 0;
    seen[e->id] = true;
    double flops = e->kind == EXPR_APPLY && dtype_is_float(e->dtype) ? 1 : 0;
    for (int i = 0; i < e->count && e->kind != EXPR_LOAD; i++)
        flops += expr_flops(e->arg[i], seen, size);
    return flops;
}

static double count_flops(const Compilation *c, const Expr *e)
{
    bool *seen = arena_alloc(c->arena, (size_t)e->id + 1);
    return expr_flops(e, seen, e->id + 1);
}

static void estimate(const Compilation *c, Compute *compute)
{
    double outer = 1, inner = 1;
    for (int a = 0; a < compute->axis.count; a++) {
        double extent = (double)size_at(compute->axis.at[a].extent, c->model->batch);
        if (compute->axis.at[a].dynamic) /* a shard's share */
            extent /= (double)size_at(compute->axis.at[a - 1].extent, 1);
        *(a < compute->outputs ? &outer : &inner) *= extent;
    }
    for (int i = 0; i < compute->store.count; i++)
        compute->flops += outer * count_flops(c, compute->store.at[i].value);
    if (compute->reduce)
        compute->flops += outer * inner * (1 + count_flops(c, compute->reduce->arg[0]));
    for (int i = 0; i < compute->buffer.count; i++)
        compute->bytes +=
            (double)type_bytes(&c->program->buffer.at[compute->buffer.at[i].id].type, c->model->batch);
}

static void lower_root(Compilation *c, int phase, const Node *root)
{
    const NodePlace *place = &c->place[phase][root->id];
    const Node *shape = place->reducer ? place->reducer : root;
    const int *order = place->axes;
    Compute *compute = arena_alloc(c->arena, sizeof *compute);
    *compute =
        (Compute){.name = kernel_name(c, root, place->reducer), .pool = exprs_new(c->arena), .phase = phase};
    Reader reader = reader_new(c, phase, compute);
    int natural[MAX_RANK];
    if (shape != root) {
        layout_natural(shape, natural);
        order = natural;
    }
    Expr *at[MAX_RANK], *index[MAX_RANK];
    for (int i = 0; i < shape->type.rank; i++)
        at[order[i]] = reduce_axis(&reader.definer, shape->type.dim[order[i]]);
    compute->outputs = compute->axis.count;
    memcpy(index, at, sizeof index);
    if (shape != root)
        index_upwards(compute->pool, c, phase, root, shape, at, index);
    Expr *value = reader_define(&reader, root, index);
    int buffer = compute_buffer(c, compute, place->buffer, root->type.dtype);
    compute->buffer.at[buffer].written = true;
    Expr *address = layout_address(compute->pool, &root->type, place->axes, index);
    list_add(c->arena, &compute->store, ((ComputeStore){buffer, address, value}));
    compute->reduce = expr_find_reduce(value);
    estimate(c, compute);
    list_add(c->arena, &c->compute, compute);
}

static void lower_phase(Compilation *c, int phase)
{
    const Graph *graph = c->model->phase[phase];
    ProgramPhase *out = &c->program->phase[phase];
    out->first = c->compute.count;
    adopt_layouts(c, graph, c->place[phase]);
    for (int i = 0; i < graph->node.count; i++) {
        const Node *n = graph->node.at[i];
        NodePlace *place = &c->place[phase][i];
        if (!place->live || place->place != PLACE_MEMORY || n->op == OP_VARIABLE)
            continue;
        place->buffer = add_buffer(c, BUFFER_TRANSIENT, n->name ? n->name : op_info[n->op].name, n->type,
                                   place->axes, NULL);
        lower_root(c, phase, n);
    }
    out->count = c->compute.count - out->first;
    for (int i = 0; i < graph->result.count; i++) {
        const Result *r = &graph->result.at[i];
        int buffer = c->place[phase][r->node->id].buffer;
        if (c->program->buffer.at[buffer].kind == BUFFER_TRANSIENT)
            c->program->buffer.at[buffer].kind = BUFFER_RESULT;
        list_add(c->arena, &out->result, ((ProgramResult){r->kind, r->name, buffer}));
    }
}

bool pass_lower(Compilation *c)
{
    c->program = arena_alloc(c->arena, sizeof *c->program);
    c->program->arena = c->arena;
    c->program->model = c->model;
    c->program->target = c->target;
    add_variables(c);
    for (int p = 0; p < PHASE_COUNT; p++)
        lower_phase(c, p);
    return true;
}
