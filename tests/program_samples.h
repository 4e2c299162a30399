/* A planned program made by hand: y = x · w, its sum as the loss, w -= sum; for the tests of texts and verifiers. */
#ifndef NETC_PROGRAM_SAMPLES_H
#define NETC_PROGRAM_SAMPLES_H

#include "graph_samples.h"
#include "kernel_samples.h"
#include "program.h"

/* x<to>[i] = value for each item i of `size`; buffer 0 is f32, written; the others are f32, read. */
static inline Kernel *elementwise_kernel(Arena *arena, const char *name, Exprs *pool, int buffers, Size size,
                                         Expr *value)
{
    Kernel *k = arena_alloc(arena, sizeof *k);
    *k = (Kernel){.name = name,
                  .pool = pool,
                  .axes = 1,
                  .arguments = 1,
                  .items = {1, size, 1},
                  .item_axis = 0,
                  .flops = 100,
                  .bytes = 800};
    for (int i = 0; i < buffers; i++)
        list_add(arena, &k->buffer, ((KernelBuffer){DTYPE_F32, i > 0, i == 0, false}));
    k->body =
        stmt_new(arena, (Stmt){.kind = STMT_STORE, .index = 0, .at = expr_axis(pool, 0), .value = value});
    return k;
}

static inline void add_call(Program *p, int kernel, const char *name, int buffers, const int *buffer)
{
    Call call = {.kernel = kernel, .name = name};
    call.buffer = arena_copy(p->arena, buffer, (size_t)buffers * sizeof *buffer);
    list_add(p->arena, &p->call, call);
}
#define CALL(program, kernel, name, ...)                                                                     \
    add_call(program, kernel, name, (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), (int[]){__VA_ARGS__})

static inline Model *sample_net(Arena *arena)
{
    Model *m = model_new(arena, "net");
    m->batch = 10;
    Variable *w = model_variable(m, VARIABLE_PARAM, "head.w", TYPE(F32, {1, 0}, {3, 0}));
    Variable *slot = model_variable(m, VARIABLE_SLOT, "optim.m.head.w", w->type);
    slot->of = w;
    Variable *x = model_variable(m, VARIABLE_INPUT, "x", TYPE(F32, BATCH, {3, 0}));
    model_variable(m, VARIABLE_SCALAR, "option.lr", type_scalar(DTYPE_F32));
    Graph *g = m->phase[PHASE_PREDICT];
    g->scope = "head";
    Node *wide = graph_broadcast(g, graph_variable(g, w), x->type);
    list_add(arena, &g->result,
             ((Result){RESULT_OUTPUT, "y", graph_binary(g, OP_MUL, graph_variable(g, x), wide)}));
    g->scope = NULL;

    Training *t = m->training = arena_alloc(arena, sizeof *t);
    *t = (Training){.name = "net", .batch = 10, .epochs = 3, .seed = 7, .patience = 2};
    DataSource source = {.split = "train", .source = "csv"};
    list_add(arena, &source.argument, ((Argument){"path", "a \"b\".csv", 0}));
    list_add(arena, &source.argument, ((Argument){"limit", NULL, 0.1}));
    list_add(arena, &t->source, source);
    list_add(arena, &t->field, (Field){x});
    list_add(arena, &t->option, (Option){"lr"});
    return m;
}

static inline Program *sample_program(Arena *arena)
{
    Program *p = arena_alloc(arena, sizeof *p);
    *p = (Program){.arena = arena,
                   .model = sample_net(arena),
                   .target = target_find("x86-64"),
                   .batch = 10,
                   .arena_bytes = 576,
                   .bound_bytes = 576,
                   .bound_call = 2};
    const Model *m = p->model;
    enum { W, SLOT, X, LR, HIDDEN, LOSS, Y };
    Type rows = m->variable.at[X]->type, number = type_scalar(DTYPE_F32);
    const Buffer buffer[] = {
        {BUFFER_VARIABLE, "head.w", m->variable.at[W]->type, {1, 0}, 0, m->variable.at[W], 0, 5, 0},
        {BUFFER_VARIABLE,
         "optim.m.head.w",
         m->variable.at[W]->type,
         {1, 0},
         0,
         m->variable.at[SLOT],
         0,
         5,
         64},
        {BUFFER_VARIABLE, "x", rows, {0, 1}, 0, m->variable.at[X], 0, 5, 128},
        {BUFFER_VARIABLE, "option.lr", number, {0}, 0, m->variable.at[LR], 0, 5, 256},
        {BUFFER_TRANSIENT, "head", rows, {0, 1}, 0, NULL, 2, 4, 320},
        {BUFFER_RESULT, "loss", number, {0}, 0, NULL, 3, 4, 448},
        {BUFFER_RESULT, "head", rows, {0, 1}, 0, NULL, 5, 5, 320},
    };
    for (size_t i = 0; i < sizeof buffer / sizeof *buffer; i++)
        list_add(arena, &p->buffer, buffer[i]);

    Exprs *pool = exprs_new(arena);
    Expr *i0 = expr_axis(pool, 0), *a = expr_load(pool, DTYPE_F32, 1, i0, NULL, NULL);
    Expr *w_at = expr_mod(pool, i0, expr_int(pool, DTYPE_I64, 3));
    Expr *scaled = expr_apply(pool, SCALAR_MUL, a, expr_load(pool, DTYPE_F32, 2, w_at, NULL, NULL), NULL);
    Kernel *fill = elementwise_kernel(arena, "fill_1", pool, 1, size_of(3), expr_real(pool, DTYPE_F32, 0.5));
    Kernel *scale = elementwise_kernel(arena, "scale_2", pool, 3, (Size){3, 1}, scaled);
    Kernel *sum = elementwise_kernel(arena, "sum_3", pool, 2, size_of(1), a);
    Kernel *update = elementwise_kernel(arena, "update_4", pool, 2, size_of(3), a);
    fill->arguments = 2;
    list_add(arena, &p->kernel, fill);
    list_add(arena, &p->kernel, scale);
    list_add(arena, &p->kernel, sum);
    list_add(arena, &p->kernel, update);

    static int64_t argument[] = {7};
    CALL(p, 0, NULL, W);
    CALL(p, 0, NULL, SLOT);
    p->call.at[0].argument = p->call.at[1].argument = argument;
    CALL(p, 1, "head mul", HIDDEN, X, W);
    CALL(p, 2, "loss sum", LOSS, HIDDEN);
    CALL(p, 3, "head sub", W, HIDDEN);
    CALL(p, 1, "head mul", Y, X, W);
    const int count[PHASE_COUNT] = {[PHASE_INIT] = 2, [PHASE_STEP] = 3, [PHASE_PREDICT] = 1};
    for (int i = 0, first = 0; i < PHASE_COUNT; first += count[i++]) {
        p->phase[i].first = first;
        p->phase[i].count = count[i];
    }
    list_add(arena, &p->phase[PHASE_STEP].result, ((ProgramResult){RESULT_LOSS, "loss", LOSS}));
    list_add(arena, &p->phase[PHASE_PREDICT].result, ((ProgramResult){RESULT_OUTPUT, "y", Y}));
    return p;
}

#endif
