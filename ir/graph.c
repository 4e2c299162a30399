#include "graph.h"

#include <assert.h>
#include <string.h>

struct NodeSlot {
    uint64_t hash;
    Node *node; /* NULL: empty */
};

const char *const phase_name[PHASE_COUNT] = {"init", "step", "test", "finish", "prepare", "predict"};

Model *model_new(Arena *arena, const char *name)
{
    Model *model = arena_alloc(arena, sizeof *model);
    model->arena = arena;
    model->name = arena_string(arena, name);
    model->batch = 1;
    for (int p = 0; p < PHASE_COUNT; p++)
        model->phase[p] = graph_new(model, phase_name[p]);
    return model;
}

/* Where the first variable of that name is, or would be. */
static Variable **variable_slot(const Model *model, const char *name)
{
    uint64_t at = text_hash(name, strlen(name));
    Variable **slot;
    do {
        slot = &model->table[at++ & (uint64_t)(model->table_size - 1)];
    } while (*slot && strcmp((*slot)->name, name));
    return slot;
}

static void variables_grow(Model *model)
{
    model->table_size = model->table_size ? 2 * model->table_size : 64;
    model->table = arena_alloc(model->arena, (size_t)model->table_size * sizeof(Variable *));
    for (int i = 0; i < model->variable.count; i++) {
        Variable **slot = variable_slot(model, model->variable.at[i]->name);
        *slot = *slot ? *slot : model->variable.at[i];
    }
}

Variable *model_find(const Model *model, const char *name)
{
    return model->table_size ? *variable_slot(model, name) : NULL;
}

Variable *model_variable(Model *model, VariableKind kind, const char *name, Type type)
{
    Variable *v = arena_alloc(model->arena, sizeof *v);
    *v = (Variable){.kind = kind, .name = arena_string(model->arena, name), .type = type, .lr_scale = 1};
    v->trainable = v->decay = kind == VARIABLE_PARAM;
    v->id = model->variable.count;
    list_add(model->arena, &model->variable, v);
    if (2 * model->variable.count > model->table_size)
        variables_grow(model);
    Variable **slot = variable_slot(model, name);
    *slot = *slot ? *slot : v;
    return v;
}

Graph *graph_new(Model *model, const char *name)
{
    Arena *arena = arena_part(model->arena);
    Graph *graph = arena_alloc(arena, sizeof *graph);
    graph->arena = arena;
    graph->model = model;
    graph->name = name;
    graph->table_size = 64;
    graph->table = arena_alloc(graph->arena, (size_t)graph->table_size * sizeof *graph->table);
    return graph;
}

void graph_free(Graph *graph) { arena_free(graph->arena); }

/* ---- equal nodes are one ------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

static uint64_t value_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint64_t node_hash(const Node *n)
{
    uint64_t hash = mix(n->op, value_bits(n->value));
    hash = mix(mix(hash, n->type.dtype), (uint64_t)n->type.rank);
    for (int d = 0; d < n->type.rank; d++)
        hash = mix(hash, (uint64_t)n->type.dim[d].count * 4 + (uint64_t)n->type.dim[d].power);
    for (int i = 0; i < op_info[n->op].inputs; i++)
        hash = mix(hash, (uint64_t)n->in[i]->id);
    for (int a = 0; a < MAX_ATTRS; a++)
        for (int i = 0; i < n->attr[a].count; i++)
            hash = mix(hash, (uint64_t)n->attr[a].at[i]);
    return mix(hash, n->variable ? (uint64_t)n->variable->id + 1 : 0);
}

bool ints_have(const Ints *ints, int64_t value)
{
    for (int i = 0; i < ints->count; i++)
        if (ints->at[i] == value)
            return true;
    return false;
}

bool ints_are_all(const Ints *ints, int64_t value)
{
    for (int i = 0; i < ints->count; i++)
        if (ints->at[i] != value)
            return false;
    return true;
}

static bool ints_equal(const Ints *a, const Ints *b)
{
    return a->count == b->count && !memcmp(a->at, b->at, (size_t)a->count * sizeof a->at[0]);
}

static bool node_equal(const Node *a, const Node *b)
{
    if (a->op != b->op || value_bits(a->value) != value_bits(b->value) || a->variable != b->variable ||
        !type_equal(&a->type, &b->type))
        return false;
    for (int i = 0; i < op_info[a->op].inputs; i++)
        if (a->in[i] != b->in[i])
            return false;
    for (int i = 0; i < MAX_ATTRS; i++)
        if (!ints_equal(&a->attr[i], &b->attr[i]))
            return false;
    return true;
}

static struct NodeSlot *table_slot(Graph *graph, uint64_t hash, const Node *key)
{
    uint64_t at = hash;
    struct NodeSlot *slot;
    do {
        slot = &graph->table[at++ & (uint64_t)(graph->table_size - 1)];
    } while (slot->node && (slot->hash != hash || !node_equal(slot->node, key)));
    return slot;
}

static void table_grow(Graph *graph)
{
    struct NodeSlot *old = graph->table;
    int size = graph->table_size;
    graph->table_size *= 2;
    graph->table = arena_alloc(graph->arena, (size_t)graph->table_size * sizeof *graph->table);
    for (int i = 0; i < size; i++)
        if (old[i].node)
            *table_slot(graph, old[i].hash, old[i].node) = old[i];
}

Node *graph_add(Graph *graph, Node node)
{
    Type type = node.type;
    if (!graph_infer(&node, &type))
        return NULL;
    node.type = type;
    uint64_t hash = node_hash(&node);
    struct NodeSlot *slot = table_slot(graph, hash, &node);
    if (slot->node)
        return slot->node;
    Node *made = arena_copy(graph->arena, &node, sizeof node);
    if ((node_enters_loop(made) || node_leaves_loop(made)) && made->attr[0].at[0] > graph->loops)
        graph->loops = (int)made->attr[0].at[0];
    made->id = graph->node.count;
    if (!made->name)
        made->name = graph->scope;
    if (!made->span.source)
        made->span = graph->span;
    list_add(graph->arena, &graph->node, made);
    *slot = (struct NodeSlot){hash, made};
    if (2 * graph->node.count > graph->table_size)
        table_grow(graph);
    return made;
}

/* ---- shorthands ---------------------------------------------------------------------------------------- */

static Node *sure(Node *node)
{
    assert(node);
    return node;
}

Node *graph_const(Graph *graph, Type type, double value)
{
    Node *scalar = graph_number(graph, type.dtype, value);
    return type.rank ? graph_broadcast(graph, scalar, type) : scalar;
}

Node *graph_number(Graph *graph, DType dtype, double value)
{
    return sure(graph_add(graph, (Node){.op = OP_CONST, .type = type_scalar(dtype), .value = value}));
}

Node *graph_size(Graph *graph, DType dtype, Size size)
{
    if (size.power == 0)
        return graph_number(graph, dtype, (double)size.count);
    return sure(graph_add(
        graph,
        (Node){.op = OP_SIZE, .type = type_scalar(dtype), .attr = {{1, {size.count}}, {1, {size.power}}}}));
}

Node *graph_variable(Graph *graph, Variable *variable)
{
    return sure(graph_add(graph, (Node){.op = OP_VARIABLE, .type = variable->type, .variable = variable}));
}

Node *graph_iota(Graph *graph, Type type, int axis)
{
    type.dtype = DTYPE_I32;
    return sure(graph_add(graph, (Node){.op = OP_IOTA, .type = type, .attr = {{1, {axis}}}}));
}

static Node *scalar_variable(Graph *graph, const char *name, Type type)
{
    Variable *v = model_find(graph->model, name);
    return graph_variable(graph, v ? v : model_variable(graph->model, VARIABLE_SCALAR, name, type));
}

Node *graph_random(Graph *graph, Type shape, int64_t place, int word)
{
    shape.dtype = DTYPE_U32;
    Node *seed = scalar_variable(graph, "seed", (Type){DTYPE_U32, 1, {size_of(2)}});
    Node *step = scalar_variable(graph, "step", type_scalar(DTYPE_F32));
    return sure(graph_add(
        graph,
        (Node){.op = OP_RANDOM, .type = shape, .in = {seed, step}, .attr = {{1, {place}}, {1, {word}}}}));
}

Node *graph_gradient(Graph *graph, Node *loss, Node *variable)
{
    return sure(graph_add(graph, (Node){.op = OP_GRADIENT, .in = {loss, variable}}));
}

Node *graph_step(Graph *graph, Node *x, int loop, bool reverse)
{
    return sure(graph_add(
        graph,
        (Node){.op = OP_STEP, .in = {x}, .attr = {{2, {loop, x->type.dim[0].count}}, {1, {reverse}}}}));
}

Node *graph_stack(Graph *graph, Node *x, int loop, int64_t length, bool reverse)
{
    return sure(
        graph_add(graph, (Node){.op = OP_STACK, .in = {x}, .attr = {{2, {loop, length}}, {1, {reverse}}}}));
}

Node *graph_carry(Graph *graph, Node *init, int loop, int64_t length, int index)
{
    return sure(
        graph_add(graph, (Node){.op = OP_CARRY, .in = {init}, .attr = {{2, {loop, length}}, {1, {index}}}}));
}

Node *graph_last(Graph *graph, Node *carry)
{
    return sure(graph_add(graph, (Node){.op = OP_LAST, .in = {carry}, .attr = {carry->attr[0]}}));
}

Node *graph_unary(Graph *graph, OpKind op, Node *a)
{
    return sure(graph_add(graph, (Node){.op = op, .in = {a}}));
}

Node *graph_binary(Graph *graph, OpKind op, Node *a, Node *b)
{
    return sure(graph_add(graph, (Node){.op = op, .in = {a, b}}));
}

Node *graph_select(Graph *graph, Node *condition, Node *a, Node *b)
{
    return sure(graph_add(graph, (Node){.op = OP_SELECT, .in = {condition, a, b}}));
}

Node *graph_cast(Graph *graph, Node *a, DType dtype)
{
    if (a->type.dtype == dtype)
        return a;
    return sure(graph_add(graph, (Node){.op = OP_CAST, .in = {a}, .type = type_like(dtype, &a->type)}));
}

Node *graph_reshape(Graph *graph, Node *a, Type type)
{
    type.dtype = a->type.dtype;
    if (type_equal(&a->type, &type))
        return a;
    return sure(graph_add(graph, (Node){.op = OP_RESHAPE, .in = {a}, .type = type}));
}

Node *graph_broadcast(Graph *graph, Node *a, Type type)
{
    type.dtype = a->type.dtype;
    if (type_equal(&a->type, &type))
        return a;
    return sure(graph_add(graph, (Node){.op = OP_BROADCAST, .in = {a}, .type = type}));
}

Node *graph_transpose(Graph *graph, Node *a, Ints axes)
{
    return sure(graph_add(graph, (Node){.op = OP_TRANSPOSE, .in = {a}, .attr = {axes}}));
}

Node *graph_reduce(Graph *graph, OpKind op, Node *a, Ints axes)
{
    return axes.count ? sure(graph_add(graph, (Node){.op = op, .in = {a}, .attr = {axes}})) : a;
}

Node *graph_sum_to(Graph *graph, Node *a, const Type *type)
{
    Ints axes = {0};
    int lead = a->type.rank - type->rank;
    for (int d = 0; d < a->type.rank; d++)
        if (d < lead || !size_equal(a->type.dim[d], type->dim[d - lead]))
            axes.at[axes.count++] = d;
    return graph_reshape(graph, graph_reduce(graph, OP_SUM, a, axes), *type);
}

bool type_broadcast(const Type *a, const Type *b, Type *result)
{
    *result = a->rank >= b->rank ? *a : *b;
    for (int d = 1; d <= result->rank; d++) {
        Size x = d <= a->rank ? a->dim[a->rank - d] : size_of(1);
        Size y = d <= b->rank ? b->dim[b->rank - d] : size_of(1);
        if (!size_equal(x, y) && !size_is_one(x) && !size_is_one(y))
            return false;
        result->dim[result->rank - d] = size_is_one(x) ? y : x;
    }
    return true;
}
