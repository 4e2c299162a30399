/* Each kernel's nodes become one Compute: the root's definition, with inline nodes in it, over axes in the
   order in which the result lies in memory. */
#include "embed.h"
#include "form.h"
#include "ops.h"
#include "passes.h"
#include "reader.h"

#include <assert.h>
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
        BufferKind kind = v->kind == VARIABLE_PREPARED ? BUFFER_PREPARED : BUFFER_VARIABLE;
        c->buffer_of_variable[i] = add_buffer(c, kind, v->name, v->type, axes, v);
    }
    for (int p = 0; p < PHASE_COUNT; p++)
        for (int i = 0; i < c->model->phase[p]->node.count; i++) {
            const Node *n = c->model->phase[p]->node.at[i];
            NodePlace *place = &c->place[p][i];
            if (n->op != OP_VARIABLE || !place->live)
                continue;
            place->buffer = c->buffer_of_variable[n->variable->id];
            memcpy(c->program->buffer.at[place->buffer].axes, place->axes, sizeof place->axes);
            c->program->buffer.at[place->buffer].panel = place->panel;
        }
}

/* Variables that a phase only assigns take the layout that pass_layout gave them through the assigned node.
 */
static void adopt_layouts(Compilation *c, const Graph *graph, const NodePlace *place)
{
    for (int i = 0; i < graph->assign.count; i++) {
        const Assign *a = &graph->assign.at[i];
        Buffer *b = &c->program->buffer.at[c->buffer_of_variable[a->variable->id]];
        if (a->node->op == OP_VARIABLE)
            continue;
        memcpy(b->axes, place[a->node->id].axes, sizeof b->axes);
        b->panel = place[a->node->id].panel;
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

/* Of one element, on average over the places that it chooses between: what those have in common is computed once. */
static double choice_flops(const Compilation *c, const Compute *compute, Expr *value, const int64_t *period)
{
    Exprs *pool = compute->pool;
    Expr *with[MAX_OUTPUT_AXES] = {0};
    LIST(Expr *) each = {0};
    int64_t places = 1;
    int highest = 0;
    for (int a = 0; a < compute->outputs; a++)
        places *= period[a];
    for (int64_t i = 0; i < places; i++) {
        int64_t rest = i;
        for (int a = 0; a < compute->outputs; rest /= period[a], a++)
            if (period[a] > 1)
                with[a] =
                    expr_add(pool, expr_mul(pool, expr_axis(pool, a), expr_int(pool, DTYPE_I64, period[a])),
                             expr_int(pool, DTYPE_I64, rest % period[a]));
        Expr *e = expr_substitute(pool, value, with, compute->outputs);
        highest = e->id > highest ? e->id : highest;
        list_add(c->arena, &each, e);
    }
    double flops = 0;
    bool *seen = arena_alloc(c->arena, (size_t)highest + 1);
    for (int i = 0; i < each.count; i++)
        flops += expr_flops(each.at[i], seen, highest + 1);
    return flops / (double)places;
}

typedef struct StepAccess {
    const Compute *compute;
    int buffer;
} StepAccess;

static Visit step_visitor(Expr *e, void *context)
{
    const Compute *compute = context;
    bool is_step =
        e->kind == EXPR_ARGUMENT && e->index && compute->argument.at[e->index - 1] == ARGUMENT_STEP;
    return is_step ? VISIT_STOP : VISIT_DEEPER;
}

static Visit access_visitor(Expr *e, void *context)
{
    const StepAccess *a = context;
    bool stepped = e->kind == EXPR_LOAD && e->index == a->buffer &&
                   !expr_visit(a->compute->pool, e->arg[0], step_visitor, (void *)a->compute);
    return stepped ? VISIT_STOP : VISIT_DEEPER;
}

/* Whether a kernel of a loop sees only the present step's element of a buffer. */
static bool is_stepped(const Compute *c, int buffer)
{
    StepAccess access = {c, buffer};
    for (int i = 0; i < c->store.count; i++) {
        const ComputeStore *s = &c->store.at[i];
        if ((s->buffer == buffer && !expr_visit(c->pool, s->at, step_visitor, (void *)c)) ||
            !expr_visit(c->pool, s->value, access_visitor, &access))
            return true;
    }
    return false;
}

static void estimate(const Compilation *c, Compute *compute)
{
    double outer = 1, inner = 1;
    int64_t steps = c->steps[compute->phase][compute->loop];
    for (int a = 0; a < compute->axis.count; a++) {
        double extent = (double)size_at(compute->axis.at[a].extent, c->model->batch);
        if (compute_is_shard(compute, a)) /* its share */
            extent /= (double)size_at(compute->axis.at[a - 1].extent, 1);
        *(a < compute->outputs ? &outer : &inner) *= extent;
    }
    int64_t period[MAX_OUTPUT_AXES];
    bool chooses = compute_choices(compute, period);
    for (int i = 0; i < compute->store.count; i++) {
        Expr *value = compute->store.at[i].value;
        compute->flops += outer * (chooses ? choice_flops(c, compute, value, period) : count_flops(c, value));
    }
    if (compute->reduce)
        compute->flops += outer * inner * (1 + count_flops(c, compute->reduce->arg[0]));
    for (int i = 0; i < compute->buffer.count; i++) {
        const ComputeBuffer *b = &compute->buffer.at[i];
        double bytes = (double)type_bytes(&c->program->buffer.at[b->id].type, c->model->batch);
        double stored = outer * dtype_info[b->dtype].bytes; /* less than all, of a part of a buffer */
        bytes = compute->loop && is_stepped(compute, i) ? bytes / (double)steps : bytes;
        compute->bytes += b->written && !b->read && stored < bytes ? stored : bytes;
    }
}

/* The node in whose loops a root is computed. */
static const Node *shape_of(const NodePlace *place, const Node *root)
{
    return place->reducer ? place->reducer : root;
}

static Compute *lower_form(Compilation *c, int phase, const Node *root, int loop)
{
    const NodePlace *place = &c->place[phase][root->id];
    const Node *shape = shape_of(place, root);
    const int *order = c->place[phase][shape->id].axes;
    Compute *compute = arena_alloc(c->arena, sizeof *compute);
    *compute = (Compute){.pool = exprs_new(c->arena), .phase = phase, .loop = loop};
    Reader reader = reader_new(c, phase, compute);
    Expr *at[MAX_RANK] = {0}, *index[MAX_RANK];
    if (root->op == OP_STACK) /* one element of it */
        at[0] = step_index(&reader.definer, root);
    layout_loops(c->arena, compute, &shape->type, order, shape == root ? place->panel : 0, at);
    memcpy(index, at, sizeof index);
    if (shape != root)
        index_upwards(compute->pool, c, phase, root, shape, at, index);
    Expr *value = reader_define(&reader, root, root, index);
    int buffer = compute_buffer(c, compute, place->buffer, root->type.dtype);
    compute->buffer.at[buffer].written = true;
    Expr *address = place_address(&reader.definer, c->place[phase], root, index);
    list_add(c->arena, &compute->store, ((ComputeStore){buffer, address, value}));
    compute->reduce = expr_find_reduce(value);
    estimate(c, compute);
    return compute;
}

/* Of which estimate() takes the bytes. */
static void key_buffer_types(const Compilation *c, Key *key)
{
    for (int i = 0; i < key->buffer.count; i++)
        key_type(key, &c->program->buffer.at[key->buffer.at[i]].type);
}

/* All that lower_form reads. */
static Key *root_key(Compilation *c, int phase, const Node *root, int loop)
{
    const NodePlace *place = &c->place[phase][root->id];
    const Node *shape = shape_of(place, root);
    Key *key = key_new(c, KEY_LOWER);
    key_add(key, phase);
    key_add(key, loop ? c->steps[phase][loop] : 0);
    key_region(c, key, phase, root, root, place->reducer);
    for (int i = 0; i < shape->type.rank; i++)
        key_add(key, c->place[phase][shape->id].axes[i]);
    key_buffer_types(c, key);
    return key;
}

static void lower_root(Compilation *c, int phase, const Node *root, int loop)
{
    const Key *key = root_key(c, phase, root, loop);
    void **form = made_of(c, key);
    if (!*form)
        *form = form_new(c, key, lower_form(c, phase, root, loop));
    const char *name = kernel_name(c, root, c->place[phase][root->id].reducer);
    Compute *compute = form_instance(c, *form, key, name, loop);
    assert(!c->verify || compute_equal(compute, lower_form(c, phase, root, loop)));
    list_add(c->arena, &c->compute, compute);
}

/* ---- what a tensor is around its parts ----------------------------------------------------------------------- */

static Compute *gap_form(Compilation *c, int phase, const Node *host, const Box *gap)
{
    const NodePlace *place = &c->place[phase][host->id];
    Compute *compute = arena_alloc(c->arena, sizeof *compute);
    *compute = (Compute){.pool = exprs_new(c->arena), .phase = phase};
    Reader reader = reader_new(c, phase, compute);
    Expr *at[MAX_RANK] = {0};
    layout_loops(c->arena, compute, &gap->type, place->axes, 0, at);
    for (int d = 0; d < host->type.rank; d++)
        at[d] = expr_add(compute->pool, at[d], expr_int(compute->pool, DTYPE_I64, gap->begin[d]));
    Expr *value = reader_define(&reader, host, host, at);
    int buffer = compute_buffer(c, compute, place->buffer, host->type.dtype);
    compute->buffer.at[buffer].written = true;
    Expr *address = place_address(&reader.definer, c->place[phase], host, at);
    list_add(c->arena, &compute->store, ((ComputeStore){buffer, address, value}));
    estimate(c, compute);
    return compute;
}

static void lower_gaps(Compilation *c, int phase, const Node *host, int loop)
{
    Box gap[2 * MAX_RANK];
    int count = embed_gaps(host, gap);
    for (int i = 0; i < count; i++) {
        Key *key = key_new(c, KEY_GAP);
        key_add(key, phase);
        key_add(key, i);
        key_region(c, key, phase, host, host, NULL);
        key_buffer_types(c, key);
        void **form = made_of(c, key);
        if (!*form)
            *form = form_new(c, key, gap_form(c, phase, host, &gap[i]));
        list_add(c->arena, &c->compute, form_instance(c, *form, key, kernel_name(c, host, NULL), loop));
    }
}

static Compute *step_copy_form(Compilation *c, int phase, int loop, const Node *node, int to)
{
    const Buffer *target = &c->program->buffer.at[to];
    Compute *compute = arena_alloc(c->arena, sizeof *compute);
    *compute = (Compute){.pool = exprs_new(c->arena), .phase = phase, .loop = loop};
    Reader reader = reader_new(c, phase, compute);
    Expr *at[MAX_RANK] = {0};
    layout_loops(c->arena, compute, &node->type, target->axes, target->panel, at);
    Expr *value = reader_define(&reader, NULL, node, at);
    int buffer = compute_buffer(c, compute, to, node->type.dtype);
    compute->buffer.at[buffer].written = true;
    Expr *address = layout_address(compute->pool, &node->type, target->axes, target->panel, at);
    list_add(c->arena, &compute->store, ((ComputeStore){buffer, address, value}));
    estimate(c, compute);
    return compute;
}

Compute *lower_step_copy(Compilation *c, int phase, int loop, const Node *node, int to)
{
    const Buffer *target = &c->program->buffer.at[to];
    Key *key = key_new(c, KEY_STEP_COPY);
    key_add(key, phase);
    key_add(key, c->steps[phase][loop]);
    key_region(c, key, phase, NULL, node, NULL);
    for (int i = 0; i < node->type.rank; i++)
        key_add(key, target->axes[i]);
    key_add(key, target->panel);
    key_buffer(key, to);
    key_buffer_types(c, key);
    void **form = made_of(c, key);
    if (!*form)
        *form = form_new(c, key, step_copy_form(c, phase, loop, node, to));
    return form_instance(c, *form, key, arena_printf(c->arena, "%s copy", target->name), loop);
}

typedef LIST(const Node *) Nodes;

/* By node id: its STACKs. */
static const Nodes *find_stacks(Compilation *c, const Graph *graph, const NodePlace *place)
{
    Nodes *stacks = arena_alloc(c->arena, ((size_t)graph->node.count + 1) * sizeof *stacks);
    for (int i = 0; i < graph->node.count; i++)
        if (graph->node.at[i]->op == OP_STACK && place[i].live)
            list_add(c->arena, &stacks[graph->node.at[i]->in[0]->id], graph->node.at[i]);
    return stacks;
}

/* The buffer of a node, and whether a kernel must fill it. */
static bool take_buffer(Compilation *c, int phase, const Node *n)
{
    NodePlace *place = &c->place[phase][n->id], *of = n->in[0] ? &c->place[phase][n->in[0]->id] : NULL;
    if (place->inside)
        return true; /* it has it already */
    if (n->op == OP_LAST || (n->op == OP_STACK && of->stack == n)) {
        place->buffer = of->buffer;
        return false;
    }
    const Node *whole = place->stack ? place->stack : n;
    const NodePlace *layout = &c->place[phase][whole->id];
    place->buffer = add_buffer(c, BUFFER_TRANSIENT, n->name ? n->name : op_info[n->op].name, whole->type,
                               layout->axes, NULL);
    c->program->buffer.at[place->buffer].panel = layout->panel;
    return true;
}

/* Tensors that hold others have a buffer before these are made. */
static void take_hosts_buffers(Compilation *c, int phase)
{
    const Graph *graph = c->model->phase[phase];
    NodePlace *places = c->place[phase];
    for (int i = graph->node.count - 1; i >= 0; i--) {
        const Node *n = graph->node.at[i];
        NodePlace *p = &places[i];
        if (p->inside)
            p->buffer = places[p->inside->id].buffer;
        else if (p->holds)
            p->buffer = add_buffer(c, BUFFER_TRANSIENT, n->name ? n->name : op_info[n->op].name, n->type,
                                   p->axes, NULL);
    }
}

static void lower_phase(Compilation *c, int phase)
{
    const Graph *graph = c->model->phase[phase];
    ProgramPhase *out = &c->program->phase[phase];
    out->first = c->compute.count;
    adopt_layouts(c, graph, c->place[phase]);
    const int *loop = graph_loops(graph);
    const Nodes *stacks = find_stacks(c, graph, c->place[phase]);
    take_hosts_buffers(c, phase);
    for (int i = 0; i < graph->node.count; i++) {
        const Node *n = graph->node.at[i];
        const NodePlace *place = &c->place[phase][i];
        bool made = place->live && place->place == PLACE_MEMORY && n->op != OP_VARIABLE && n->op != OP_STACK;
        if (made && place->holds)
            lower_gaps(c, phase, n, loop[i]);
        else if (made && take_buffer(c, phase, n)) /* a state's kernel gives it its first value, before */
            lower_root(c, phase, n, n->op == OP_CARRY ? 0 : loop[i]);
        for (int k = 0; k < stacks[i].count; k++) /* within the loop: nothing that needs it may come before */
            if (take_buffer(c, phase, stacks[i].at[k]))
                lower_root(c, phase, stacks[i].at[k], (int)stacks[i].at[k]->attr[0].at[0]);
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
