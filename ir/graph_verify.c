#include "graph_verify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool in_graph(const Graph *graph, const Node *node)
{
    return node && node->id >= 0 && node->id < graph->node.count && graph->node.at[node->id] == node;
}

static bool in_model(const Model *model, const Variable *variable)
{
    return variable && variable->id >= 0 && variable->id < model->variable.count &&
           model->variable.at[variable->id] == variable;
}

static const char *type_text(Arena *arena, const Type *type)
{
    Text text = {0};
    type_print(&text, type);
    const char *copy = arena_string(arena, text_string(&text));
    text_free(&text);
    return copy;
}

static const char *type_limit_fault(const Model *model, const Type *type)
{
    Arena *arena = model->arena;
    Size elements;
    if ((unsigned)type->dtype >= DTYPE_COUNT)
        return "the element type is none";
    if (type->rank < 0 || type->rank > MAX_RANK)
        return arena_printf(arena, "rank %d is not 0 to %d", type->rank, MAX_RANK);
    for (int d = 0; d < type->rank; d++)
        if (type->dim[d].power < 0)
            return arena_printf(arena, "size %d is a negative power of batch", d);
    if (!type_elements(type, &elements))
        return arena_printf(arena, "%s is too large: no size may exceed 2^40, no tensor 2^48 elements",
                            type_text(arena, type));
    if (type_bytes(type, model->batch) == INT64_MAX)
        return arena_printf(arena, "%s is too large for a batch of %lld", type_text(arena, type),
                            (long long)model->batch);
    return NULL;
}

bool name_is_word(const char *name)
{
    if (!name || !*name || (*name >= '0' && *name <= '9'))
        return false;
    for (; *name; name++)
        if (!(*name >= '0' && *name <= '9') && !(*name >= 'a' && *name <= 'z') &&
            !(*name >= 'A' && *name <= 'Z') && *name != '_')
            return false;
    return true;
}

/* ---- variables ----------------------------------------------------------------------------------------- */

/* A number: f32, or f64 in the reference. */
static bool is_number(const Type *type) { return type->rank == 0 && dtype_is_float(type->dtype); }

/* What the runtime sets has a name and a type of its own. */
static const char *scalar_fault(Arena *arena, const Variable *v)
{
    static const char *const numbers[] = {"step", "epoch", "epochs", "progress"};
    bool is_seed = !strcmp(v->name, "seed"),
         known = is_seed || (!strncmp(v->name, "option.", 7) && v->name[7]);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        known |= !strcmp(v->name, numbers[i]);
    if (!known)
        return arena_printf(arena, "variable '%s': the runtime sets no scalar of that name", v->name);
    Type seed = {DTYPE_U32, 1, {{2, 0}}};
    if (is_seed ? !type_equal(&v->type, &seed) : !is_number(&v->type))
        return arena_printf(arena, "variable '%s' is %s, not %s", v->name, type_text(arena, &v->type),
                            is_seed ? "u32[2]" : "f32[]");
    return NULL;
}

static const char *slot_fault(const Model *model, const Variable *v)
{
    const Variable *of = v->of;
    if (!of)
        return arena_printf(model->arena, "slot '%s' belongs to no parameter", v->name);
    if (!in_model(model, of) || of->kind != VARIABLE_PARAM || of->id >= v->id)
        return arena_printf(model->arena, "slot '%s' belongs to no parameter before it", v->name);
    return NULL;
}

const char *variable_fault(const Model *model, int place)
{
    Arena *arena = model->arena;
    const Variable *v = model->variable.at[place];
    if (!v->name || !*v->name)
        return arena_printf(arena, "variable %d has no name", place);
    if (v->id != place)
        return arena_printf(arena, "variable '%s' has id %d at place %d", v->name, v->id, place);
    if ((unsigned)v->kind > VARIABLE_PREPARED)
        return arena_printf(arena, "variable '%s' has no kind", v->name);
    const char *limit = type_limit_fault(model, &v->type);
    if (limit)
        return arena_printf(arena, "variable '%s': %s", v->name, limit);
    if (v->kind == VARIABLE_SLOT)
        return slot_fault(model, v);
    if (v->of)
        return arena_printf(arena, "variable '%s' is no slot and belongs to '%s'", v->name, v->of->name);
    if (v->kind == VARIABLE_PARAM && !(isfinite(v->lr_scale) && v->lr_scale >= 0))
        return arena_printf(arena, "variable '%s': lr_scale is negative or not finite", v->name);
    return v->kind == VARIABLE_SCALAR ? scalar_fault(arena, v) : NULL;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A name that occurs twice, or NULL. */
static const char *repeated_name(const char **name, int count)
{
    qsort(name, (size_t)count, sizeof *name, compare_names);
    for (int i = 1; i < count; i++)
        if (!strcmp(name[i - 1], name[i]))
            return name[i];
    return NULL;
}

/* An array for the duration of one check; never NULL. */
static void *scratch(int count, size_t size)
{
    void *at = calloc((size_t)count + 1, size);
    if (!at)
        abort();
    return at;
}

static const char *variable_names_fault(const Model *model)
{
    const char **name = scratch(model->variable.count, sizeof *name);
    for (int i = 0; i < model->variable.count; i++)
        name[i] = model->variable.at[i]->name;
    const char *twice = repeated_name(name, model->variable.count);
    free(name);
    return twice ? arena_printf(model->arena, "two variables are named '%s'", twice) : NULL;
}

/* ---- nodes --------------------------------------------------------------------------------------------- */

static const char *at_node(const Graph *graph, const Node *node, const char *reason)
{
    Arena *arena = graph->arena;
    const char *name = node->name ? arena_printf(arena, " '%s'", node->name) : "";
    return arena_printf(arena, "%%%d %s%s: %s", node->id, op_info[node->op].name, name, reason);
}

static const char *inputs_fault(const Graph *graph, const Node *node)
{
    Arena *arena = graph->arena;
    const OpInfo *info = &op_info[node->op];
    for (int i = 0; i < MAX_INPUTS; i++) {
        if (i >= info->inputs && node->in[i])
            return arena_printf(arena, "takes %d inputs, but input %d is set", info->inputs, i);
        if (i >= info->inputs)
            continue;
        if (!in_graph(graph, node->in[i]))
            return arena_printf(arena, "input %d is no node of this graph", i);
        if (node->in[i]->id >= node->id)
            return arena_printf(arena, "input %d is %%%d, which is not made before it", i, node->in[i]->id);
    }
    return NULL;
}

static const char *attributes_fault(const Graph *graph, const Node *node)
{
    int attrs = op_attrs(node->op);
    for (int i = 0; i < MAX_ATTRS; i++) {
        int count = node->attr[i].count;
        if (i >= attrs && count)
            return arena_printf(graph->arena, "has %d attributes, but attribute %d is set", attrs, i);
        if (count < 0 || count > MAX_RANK)
            return arena_printf(graph->arena, "attribute %d has %d values, not 0 to %d", i, count, MAX_RANK);
    }
    bool valued = node->op == OP_CONST || node->op == OP_PAD || node->op == OP_WINDOW;
    return valued || node->value == 0 ? NULL : "has a value, which its op does not know";
}

static const char *node_variable_fault(const Graph *graph, const Node *node)
{
    const Variable *variable = node->variable;
    if (node->op == OP_GRADIENT)
        return !variable || variable == node->in[1]->variable ? NULL : "its variable is not its input's";
    if (node->op != OP_VARIABLE)
        return variable ? "has a variable, which its op does not know" : NULL;
    if (!in_model(graph->model, variable))
        return "its variable is none of the model";
    if (type_equal(&node->type, &variable->type))
        return NULL;
    return arena_printf(graph->arena, "is %s, but '%s' is %s", type_text(graph->arena, &node->type),
                        variable->name, type_text(graph->arena, &variable->type));
}

static int phase_of(const Graph *graph)
{
    for (int p = 0; p < PHASE_COUNT; p++)
        if (graph->model->phase[p] == graph)
            return p;
    return PHASE_COUNT;
}

/* An evaluation's end runs with the number of samples as its batch, for which no memory is planned. */
static const char *growth_fault(const Graph *graph, const Node *node)
{
    for (int d = 0; d < node->type.rank; d++)
        if (node->type.dim[d].power && phase_of(graph) == PHASE_FINISH)
            return arena_printf(graph->arena, "%s grows with the batch, which finish may not",
                                type_text(graph->arena, &node->type));
    return NULL;
}

const char *node_fault(const Graph *graph, int place)
{
    Arena *arena = graph->arena;
    const Node *node = graph->node.at[place];
    if (node->id != place)
        return arena_printf(arena, "a node has id %d at place %d", node->id, place);
    if ((unsigned)node->op >= OP_COUNT)
        return arena_printf(arena, "%%%d has no op", place);
    const char *reason = type_limit_fault(graph->model, &node->type);
    if (!reason)
        reason = inputs_fault(graph, node);
    if (!reason)
        reason = attributes_fault(graph, node);
    if (!reason)
        reason = node_variable_fault(graph, node);
    if (!reason)
        reason = growth_fault(graph, node);
    if (reason)
        return at_node(graph, node, reason);

    Type type = node->type; /* what the op cannot infer, it takes from here */
    if (!graph_infer(node, &type))
        return at_node(graph, node, graph_why());
    if (!type_equal(&type, &node->type))
        return at_node(graph, node,
                       arena_printf(arena, "gives %s, but is marked %s", type_text(arena, &type),
                                    type_text(arena, &node->type)));
    return NULL;
}

static int variable_id(const Node *node) { return node->variable ? node->variable->id : -1; }

/* An order of nodes by what they compute; 0 where that is equal. */
static int compare_nodes(const void *x, const void *y)
{
    const Node *a = *(const Node *const *)x, *b = *(const Node *const *)y;
    if (a->op != b->op)
        return a->op < b->op ? -1 : 1;
    for (int i = 0; i < op_info[a->op].inputs; i++)
        if (a->in[i] != b->in[i])
            return a->in[i]->id < b->in[i]->id ? -1 : 1;
    if (a->variable != b->variable)
        return variable_id(a) < variable_id(b) ? -1 : 1;
    for (int i = 0; i < MAX_ATTRS; i++) {
        if (a->attr[i].count != b->attr[i].count)
            return a->attr[i].count < b->attr[i].count ? -1 : 1;
        for (int k = 0; k < a->attr[i].count; k++)
            if (a->attr[i].at[k] != b->attr[i].at[k])
                return a->attr[i].at[k] < b->attr[i].at[k] ? -1 : 1;
    }
    if (a->type.dtype != b->type.dtype || a->type.rank != b->type.rank)
        return a->type.dtype != b->type.dtype ? (a->type.dtype < b->type.dtype ? -1 : 1)
                                              : (a->type.rank < b->type.rank ? -1 : 1);
    for (int d = 0; d < a->type.rank; d++) {
        if (a->type.dim[d].count != b->type.dim[d].count)
            return a->type.dim[d].count < b->type.dim[d].count ? -1 : 1;
        if (a->type.dim[d].power != b->type.dim[d].power)
            return a->type.dim[d].power < b->type.dim[d].power ? -1 : 1;
    }
    return memcmp(&a->value, &b->value, sizeof a->value);
}

static const char *equal_nodes_fault(const Graph *graph)
{
    int count = graph->node.count;
    const Node **order = scratch(count, sizeof *order);
    const char *fault = NULL;
    for (int i = 0; i < count; i++)
        order[i] = graph->node.at[i];
    qsort(order, (size_t)count, sizeof *order, compare_nodes);
    for (int i = 1; i < count && !fault; i++)
        if (compare_nodes(&order[i - 1], &order[i]) == 0) {
            int a = order[i - 1]->id, b = order[i]->id;
            fault = arena_printf(graph->arena, "%%%d and %%%d are equal, but two nodes", a < b ? a : b,
                                 a < b ? b : a);
        }
    free(order);
    return fault;
}

/* ---- results and assigns ------------------------------------------------------------------------------- */

const char *result_fault(const Graph *graph, int place)
{
    Arena *arena = graph->arena;
    const Result *result = &graph->result.at[place];
    if (!result->name || !*result->name)
        return arena_printf(arena, "result %d has no name", place);
    if ((unsigned)result->kind > RESULT_METRIC)
        return arena_printf(arena, "result '%s' has no kind", result->name);
    if (!in_graph(graph, result->node))
        return arena_printf(arena, "result '%s' is no node of this graph", result->name);
    if (result->kind != RESULT_OUTPUT && !is_number(&result->node->type))
        return arena_printf(arena, "result '%s' is %s, but a loss or metric is f32[]", result->name,
                            type_text(arena, &result->node->type));
    return NULL;
}

bool phase_sets(int phase, VariableKind kind)
{
    bool saved = kind == VARIABLE_PARAM || kind == VARIABLE_STATE || kind == VARIABLE_SLOT;
    switch (phase) {
    case PHASE_INIT:
        return saved;
    case PHASE_STEP:
        return saved || kind == VARIABLE_METRIC;
    case PHASE_TEST:
        return kind == VARIABLE_METRIC;
    case PHASE_PREPARE:
        return kind == VARIABLE_PREPARED;
    case PHASE_FINISH:
    case PHASE_PREDICT:
        return false;
    default:
        return true;
    }
}

const char *assign_fault(const Graph *graph, int place)
{
    Arena *arena = graph->arena;
    const Variable *variable = graph->assign.at[place].variable;
    const Node *node = graph->assign.at[place].node;
    if (!in_model(graph->model, variable))
        return arena_printf(arena, "assign %d sets no variable of the model", place);
    if (!in_graph(graph, node))
        return arena_printf(arena, "'%s' is set to no node of this graph", variable->name);
    if (!type_equal(&variable->type, &node->type))
        return arena_printf(arena, "'%s' is %s, but %%%d is %s", variable->name,
                            type_text(arena, &variable->type), node->id, type_text(arena, &node->type));
    if (!phase_sets(phase_of(graph), variable->kind))
        return arena_printf(arena, "'%s' may not be set in this phase", variable->name);
    return NULL;
}

static const char *results_fault(const Graph *graph)
{
    const char **name = scratch(graph->result.count, sizeof *name), *fault = NULL;
    for (int i = 0; i < graph->result.count && !fault; i++) {
        fault = result_fault(graph, i);
        name[i] = graph->result.at[i].name;
    }
    const char *twice = fault ? NULL : repeated_name(name, graph->result.count);
    free(name);
    return twice ? arena_printf(graph->arena, "two results are named '%s'", twice) : fault;
}

static const char *assigns_fault(const Graph *graph)
{
    bool *set = scratch(graph->model->variable.count, sizeof *set);
    const char *fault = NULL;
    for (int i = 0; i < graph->assign.count && !fault; i++) {
        fault = assign_fault(graph, i);
        const Variable *variable = graph->assign.at[i].variable;
        if (!fault && set[variable->id])
            fault = arena_printf(graph->arena, "'%s' is set twice", variable->name);
        if (!fault)
            set[variable->id] = true;
    }
    free(set);
    return fault;
}

const char *graph_fault(const Graph *graph)
{
    const char *fault = NULL;
    for (int i = 0; i < graph->node.count && !fault; i++)
        fault = node_fault(graph, i);
    if (!fault)
        fault = equal_nodes_fault(graph);
    if (!fault)
        fault = results_fault(graph);
    if (!fault)
        fault = assigns_fault(graph);
    if (!fault)
        fault = loops_fault(graph);
    return fault ? arena_printf(graph->arena, "%s: %s", graph->name, fault) : NULL;
}

/* ---- the whole model ----------------------------------------------------------------------------------- */

static const char *source_fault(Arena *arena, const Training *training, int place)
{
    const DataSource *source = &training->source.at[place];
    if (!source->split ||
        (strcmp(source->split, "train") && strcmp(source->split, "valid") && strcmp(source->split, "test")))
        return arena_printf(arena, "source %d is of no split", place);
    if (!name_is_word(source->source))
        return arena_printf(arena, "source %d has no name", place);
    for (int i = 0; i < place; i++)
        if (!strcmp(training->source.at[i].split, source->split))
            return arena_printf(arena, "two sources are for '%s'", source->split);
    for (int i = 0; i < source->argument.count; i++)
        if (!name_is_word(source->argument.at[i].name))
            return arena_printf(arena, "source %d: argument %d has no name", place, i);
    return NULL;
}

/* A metric that `best` may go by: the evaluation's end computes it. */
static bool is_metric(const Model *model, const char *name)
{
    const Graph *finish = model->phase[PHASE_FINISH];
    for (int i = 0; finish && i < finish->result.count; i++)
        if (!strcmp(finish->result.at[i].name, name))
            return true;
    return false;
}

static bool has_option(const Model *model, const char *name)
{
    for (int i = 0; i < model->variable.count; i++) {
        const Variable *v = model->variable.at[i];
        if (v->kind == VARIABLE_SCALAR && !strncmp(v->name, "option.", 7) && !strcmp(v->name + 7, name))
            return true;
    }
    return false;
}

enum { MAX_OPTIONS = 32 }; /* as the runtime's command line has room for */

static const char *option_fault(const Model *model, int place)
{
    const char *name = model->training->option.at[place].name;
    if (!name_is_word(name))
        return arena_printf(model->arena, "option %d has no name", place);
    for (int i = 0; i < place; i++)
        if (!strcmp(model->training->option.at[i].name, name))
            return arena_printf(model->arena, "two options are named '%s'", name);
    return has_option(model, name)
               ? NULL
               : arena_printf(model->arena, "option '%s' has no scalar 'option.%s'", name, name);
}

const char *training_fault(const Model *model)
{
    Arena *arena = model->arena;
    const Training *training = model->training;
    if (!training->name || !*training->name)
        return "the training has no name";
    if (training->batch < 1 || training->batch > INT32_MAX || training->epochs < 1 ||
        training->epochs > INT32_MAX || training->patience < 0 || training->patience > INT32_MAX ||
        training->seed < 0)
        return "the training's batch, epochs, seed or patience is out of range";
    for (int i = 0; i < training->source.count; i++) {
        const char *fault = source_fault(arena, training, i);
        if (fault)
            return fault;
    }
    for (int i = 0; i < training->field.count; i++) {
        const Variable *input = training->field.at[i].input;
        if (!in_model(model, input) || input->kind != VARIABLE_INPUT)
            return arena_printf(arena, "field %d is no input", i);
    }
    if (training->option.count > MAX_OPTIONS)
        return arena_printf(arena, "%d options are more than %d", training->option.count, MAX_OPTIONS);
    for (int i = 0; i < training->option.count; i++) {
        const char *fault = option_fault(model, i);
        if (fault)
            return fault;
    }
    if (training->best && !is_metric(model, training->best))
        return arena_printf(arena, "best goes by '%s', which finish does not give", training->best);
    return NULL;
}

/* Whatever a checkpoint holds has a first value, which nothing but the runtime's scalars decides. */
static const char *init_fault(const Model *model)
{
    const Graph *init = model->phase[PHASE_INIT];
    if (!init || init->node.count == 0)
        return NULL;
    for (int i = 0; i < init->node.count; i++) {
        const Node *node = init->node.at[i];
        if (node->op == OP_VARIABLE && node->variable->kind != VARIABLE_SCALAR)
            return arena_printf(model->arena, "init: '%s' is read before it is set", node->variable->name);
    }
    bool *set = scratch(model->variable.count, sizeof *set);
    const char *fault = NULL;
    for (int i = 0; i < init->assign.count; i++)
        set[init->assign.at[i].variable->id] = true;
    for (int i = 0; i < model->variable.count && !fault; i++)
        if (!set[i] && phase_sets(PHASE_INIT, model->variable.at[i]->kind))
            fault = arena_printf(model->arena, "init: '%s' is not set", model->variable.at[i]->name);
    free(set);
    return fault;
}

/* What is prepared is set by one phase, all of it, and read by one. */
static const char *prepare_fault(const Model *model)
{
    const Graph *prepare = model->phase[PHASE_PREPARE];
    bool *set = scratch(model->variable.count, sizeof *set);
    const char *fault = NULL;
    for (int i = 0; prepare && i < prepare->assign.count; i++)
        set[prepare->assign.at[i].variable->id] = true;
    for (int i = 0; i < model->variable.count && !fault; i++)
        if (model->variable.at[i]->kind == VARIABLE_PREPARED && !set[i])
            fault = arena_printf(model->arena, "prepare: '%s' is not set", model->variable.at[i]->name);
    free(set);
    for (int p = 0; p < PHASE_COUNT && !fault; p++)
        for (int i = 0; model->phase[p] && p != PHASE_PREDICT && i < model->phase[p]->node.count && !fault;
             i++) {
            const Node *n = model->phase[p]->node.at[i];
            if (n->op == OP_VARIABLE && n->variable->kind == VARIABLE_PREPARED)
                fault = arena_printf(model->arena, "%s: '%s' is for predictions", phase_name[p],
                                     n->variable->name);
        }
    return fault;
}

const char *model_fault(const Model *model)
{
    Arena *arena = model->arena;
    const char *fault = NULL;
    if (!model->name || !*model->name)
        return "the model has no name";
    if (model->batch < 1 || model->batch > INT32_MAX)
        return "the model's batch is not 1 to 2147483647";
    for (int i = 0; i < model->variable.count && !fault; i++)
        fault = variable_fault(model, i);
    if (!fault)
        fault = variable_names_fault(model);
    for (int p = 0; p < PHASE_COUNT && !fault; p++) {
        const Graph *graph = model->phase[p];
        if (graph && graph->model != model)
            return arena_printf(arena, "phase %s belongs to another model", phase_name[p]);
        fault = graph ? graph_fault(graph) : NULL;
    }
    if (!fault && model->training)
        fault = training_fault(model);
    if (!fault)
        fault = init_fault(model);
    return fault ? fault : prepare_fault(model);
}
