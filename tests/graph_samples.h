/* Models made by hand, for the tests of graph text and of its verifiers. */
#ifndef NETC_GRAPH_SAMPLES_H
#define NETC_GRAPH_SAMPLES_H

#include "graph.h"

#define SIZES(...) ((Ints){(int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), {__VA_ARGS__}})

static inline Type type_of(DType dtype, int rank, const Size *dim)
{
    Type type = {.dtype = dtype, .rank = rank};
    for (int d = 0; d < rank; d++)
        type.dim[d] = dim[d];
    return type;
}
#define BATCH ((Size){1, 1})
#define TYPE(dtype, ...)                                                                                     \
    type_of(DTYPE_##dtype, (int)(sizeof((Size[]){__VA_ARGS__}) / sizeof(Size)), (Size[]){__VA_ARGS__})

/* A model with variables of all kinds, a training block and all phases; see test_graph_text.c for its text.
 */
static inline Model *sample_model(Arena *arena)
{
    Model *m = model_new(arena, "tiny");
    m->batch = 32;
    Variable *w = model_variable(m, VARIABLE_PARAM, "head.weight", TYPE(F32, {4, 0}, {3, 0}));
    Variable *mean = model_variable(m, VARIABLE_STATE, "norm.mean", TYPE(F32, {4, 0}));
    Variable *slot = model_variable(m, VARIABLE_SLOT, "optim.m.head.weight", w->type);
    slot->of = w;
    Variable *total = model_variable(m, VARIABLE_METRIC, "metric.loss", type_scalar(DTYPE_F32));
    Variable *x = model_variable(m, VARIABLE_INPUT, "x", TYPE(U8, BATCH, {4, 0}));
    Variable *rate = model_variable(m, VARIABLE_SCALAR, "option.lr", type_scalar(DTYPE_F32));
    model_variable(m, VARIABLE_SCALAR, "seed", TYPE(U32, {2, 0}));
    model_variable(m, VARIABLE_SCALAR, "step", type_scalar(DTYPE_F32));
    w->decay = false;
    w->lr_scale = 0.1;

    Training *t = m->training = arena_alloc(arena, sizeof *t);
    *t = (Training){.name = "tiny", .batch = 32, .epochs = 10, .seed = 1, .best = "loss", .patience = 2};
    DataSource source = {.split = "train", .source = "csv"};
    list_add(arena, &source.argument, ((Argument){"path", "data/x \"1\".csv", 0}));
    list_add(arena, &source.argument, ((Argument){"limit", NULL, 3}));
    list_add(arena, &t->source, source);
    list_add(arena, &t->field, (Field){x});
    list_add(arena, &t->option, (Option){"lr"});

    Graph *init = m->phase[PHASE_INIT], *step = m->phase[PHASE_STEP], *test = m->phase[PHASE_TEST];
    Graph *finish = m->phase[PHASE_FINISH], *predict = m->phase[PHASE_PREDICT];
    Node *zero = graph_const(init, w->type, 0.5);
    list_add(arena, &init->assign, ((Assign){w, zero}));
    list_add(arena, &init->assign, ((Assign){slot, zero}));
    list_add(arena, &init->assign, ((Assign){mean, graph_const(init, mean->type, 0)}));

    step->scope = "head";
    Node *in = graph_cast(step, graph_variable(step, x), DTYPE_F32);
    Node *y = graph_binary(step, OP_MATMUL, in, graph_variable(step, w));
    step->scope = NULL;
    Node *loss = graph_reduce(step, OP_SUM, y, SIZES(0, 1));
    Node *dw = graph_gradient(step, loss, graph_variable(step, w));
    Node *lr = graph_broadcast(step, graph_variable(step, rate), w->type);
    list_add(arena, &step->result, ((Result){RESULT_LOSS, "loss", loss}));
    list_add(arena, &step->assign,
             ((Assign){w, graph_binary(step, OP_SUB, graph_variable(step, w),
                                       graph_binary(step, OP_MUL, lr, dw))}));

    Node *sum = graph_variable(test, total);
    list_add(arena, &test->assign,
             ((Assign){total, graph_binary(test, OP_ADD, sum, graph_number(test, DTYPE_F32, 1))}));
    list_add(arena, &finish->result, ((Result){RESULT_LOSS, "loss", graph_variable(finish, total)}));
    Graph *prepare = m->phase[PHASE_PREPARE];
    Node *whole = graph_variable(prepare, w), *factor = graph_const(prepare, w->type, 0.5);
    Node *half = graph_binary(prepare, OP_MUL, whole, factor);
    list_add(arena, &prepare->assign,
             ((Assign){model_variable(m, VARIABLE_PREPARED, "prepared.w", w->type), half}));
    Node *out = graph_cast(predict, graph_variable(predict, x), DTYPE_F32);
    list_add(arena, &predict->result, ((Result){RESULT_OUTPUT, "y", out}));
    return m;
}

#endif
