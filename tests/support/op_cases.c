#include "op_cases.h"

#include <math.h>

#define B {1, 1}
#define BATCHES(count) {count, 1}
#define N(count) {count, 0}
#define T(dtype, ...)                                                                                        \
    {                                                                                                        \
        DTYPE_##dtype, sizeof((Size[]){__VA_ARGS__}) / sizeof(Size), { __VA_ARGS__ }                         \
    }
#define SCALAR(dtype)                                                                                        \
    {                                                                                                        \
        DTYPE_##dtype, 0, {{0, 0} } }
#define I(...)                                                                                               \
    {                                                                                                        \
        sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), { __VA_ARGS__ }                                  \
    }
#define V(...)                                                                                               \
    {                                                                                                        \
        sizeof((double[]){__VA_ARGS__}) / sizeof(double), (const double[]) { __VA_ARGS__ }                   \
    }
#define CASE(op, what, ...) {OP_##op, what, __VA_ARGS__},

const OpCase op_case[] = {
#include "op_cases.def"
};
const int op_case_count = sizeof op_case / sizeof *op_case;

const OpCase op_refused[] = {
#include "op_refused.def"
};
const int op_refused_count = sizeof op_refused / sizeof *op_refused;

const char *op_case_name(int operand)
{
    static const char *const name[MAX_INPUTS] = {"a", "b", "c"};
    return name[operand];
}

static bool type_grows(const Type *type)
{
    for (int d = 0; d < type->rank; d++)
        if (type->dim[d].power)
            return true;
    return false;
}

/* SIZE has the batch in its attributes. */
bool op_case_grows(const OpCase *c)
{
    bool grows = type_grows(&c->type) || c->op == OP_SIZE;
    for (int i = 0; i < MAX_INPUTS; i++)
        grows |= type_grows(&c->in[i]);
    return grows;
}

static int operands(const OpCase *c)
{
    return c->op == OP_VARIABLE || c->op == OP_GRADIENT ? 1 : op_info[c->op].inputs;
}

/* Of a loop over the first axis of `a`: state := state / 2 + element. CARRY and STEP are shown as stacks. */
static Node *build_loop(const OpCase *c, Graph *graph, Node node)
{
    int loop = (int)c->attr[0].at[0];
    int64_t length = c->attr[0].at[1];
    Node *element = c->op == OP_STEP ? graph_add(graph, node) : graph_step(graph, node.in[0], loop, false);
    if (!element)
        return NULL;
    Node *state = graph_carry(graph, graph_const(graph, element->type, 0), loop, length, 0);
    Node *half = graph_binary(graph, OP_MUL, state, graph_const(graph, element->type, 0.5));
    Node *next = graph_binary(graph, OP_ADD, half, element);
    list_add(graph->arena, &graph->carry, ((Carry){state, next}));
    if (c->op == OP_STEP || c->op == OP_CARRY)
        return graph_stack(graph, c->op == OP_STEP ? element : state, loop, length, false);
    node.in[0] = c->op == OP_STACK ? next : state;
    return graph_add(graph, node);
}

Node *op_case_build(const OpCase *c, Model *model)
{
    Graph *graph = model->phase[PHASE_PREDICT];
    Node node = {.op = c->op, .type = c->type, .value = c->value}, *y;
    for (int i = 0; i < MAX_ATTRS; i++)
        node.attr[i] = c->attr[i];
    for (int i = 0; i < operands(c); i++) {
        VariableKind kind = type_grows(&c->in[i]) ? VARIABLE_INPUT : VARIABLE_PARAM;
        node.in[i] = graph_variable(graph, model_variable(model, kind, op_case_name(i), c->in[i]));
    }
    if (c->op == OP_VARIABLE) {
        y = node.in[0];
    } else if (c->op == OP_GRADIENT) {
        Ints all = {.count = c->in[0].rank, .at = {0, 1, 2, 3, 4, 5, 6, 7}};
        Node *square = graph_binary(graph, OP_MUL, node.in[0], node.in[0]);
        y = graph_gradient(graph, graph_reduce(graph, OP_SUM, square, all), node.in[0]);
    } else if (node_enters_loop(&node) || node_leaves_loop(&node)) {
        y = build_loop(c, graph, node);
    } else {
        y = graph_add(graph, node);
    }
    if (y)
        list_add(graph->arena, &graph->result, ((Result){RESULT_OUTPUT, "y", y}));
    return y;
}
