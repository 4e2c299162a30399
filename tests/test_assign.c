/* State changes at a phase's end: whatever is done in place, every variable gets what its node has from the old values. Each
   model runs several steps on each engine and is compared with the evaluator, bit for bit where that knows the bits. */
#include "ensemble.h"
#include "fill.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const EngineRow engines[] = {
    {"interp", "x86-64-v3", true}, {"interp", "x86-64-v3", false}, {"interp", "x86-64-v4", false},
    {"llvm", "x86-64-v3", false},  {"llvm", "x86-64", false},
};
enum {
    ENGINES = sizeof engines / sizeof *engines,
    BATCH = 6,
    ROWS = 5,
    COLUMNS = 5,
    STEPS = 3,
    MOST_VARIABLES = 8
};

typedef struct State { /* what every model starts with: square matrices, so that any may be assigned to any */
    Graph *graph;
    Variable *a, *b, *c, *x; /* x: an input of BATCH rows */
} State;

static Node *of(const State *s, Variable *v) { return graph_variable(s->graph, v); }

static Node *number(const State *s, double value) { return graph_const(s->graph, s->a->type, value); }

static Node *add(const State *s, Node *a, Node *b) { return graph_binary(s->graph, OP_ADD, a, b); }
static Node *sub(const State *s, Node *a, Node *b) { return graph_binary(s->graph, OP_SUB, a, b); }
static Node *mul(const State *s, Node *a, Node *b) { return graph_binary(s->graph, OP_MUL, a, b); }
static Node *divide(const State *s, Node *a, Node *b) { return graph_binary(s->graph, OP_DIV, a, b); }
static Node *negate(const State *s, Node *a) { return graph_unary(s->graph, OP_NEG, a); }
static Node *turned(const State *s, Node *a) { return graph_transpose(s->graph, a, (Ints){2, {1, 0}}); }

static void assign(const State *s, Variable *variable, Node *node)
{
    list_add(s->graph->arena, &s->graph->assign, ((Assign){variable, node}));
}

static void result(const State *s, const char *name, Node *node)
{
    list_add(s->graph->arena, &s->graph->result, ((Result){RESULT_OUTPUT, name, node}));
}

/* A gradient as training has it: a contraction over the batch. */
static Node *gradient(const State *s)
{
    Node *x = of(s, s->x);
    return graph_binary(s->graph, OP_MATMUL, turned(s, x), graph_unary(s->graph, OP_TANH, x));
}

/* ---- the models ----------------------------------------------------------------------------------------- */

static void sgd(State *s) { assign(s, s->a, sub(s, of(s, s->a), mul(s, number(s, 0.25), gradient(s)))); }

static void momentum(State *s)
{
    Node *v = add(s, mul(s, number(s, 0.875), of(s, s->b)), gradient(s));
    assign(s, s->b, v);
    assign(s, s->a, sub(s, of(s, s->a), mul(s, number(s, 0.25), v)));
}

static void adam(State *s)
{
    Node *g = gradient(s);
    Node *m = add(s, mul(s, number(s, 0.875), of(s, s->b)), mul(s, number(s, 0.125), g));
    Node *v = add(s, mul(s, number(s, 0.75), of(s, s->c)), mul(s, number(s, 0.25), mul(s, g, g)));
    Node *root = add(s, graph_unary(s->graph, OP_SQRT, graph_unary(s->graph, OP_ABS, v)), number(s, 0.0625));
    assign(s, s->a, sub(s, of(s, s->a), divide(s, m, root)));
    assign(s, s->b, m);
    assign(s, s->c, v);
}

static void swap(State *s)
{
    assign(s, s->a, of(s, s->b));
    assign(s, s->b, of(s, s->a));
}

static void rotation(State *s)
{
    assign(s, s->a, of(s, s->b));
    assign(s, s->b, of(s, s->c));
    assign(s, s->c, of(s, s->a));
}

static void crossed(State *s)
{
    assign(s, s->a, negate(s, of(s, s->b)));
    assign(s, s->b, add(s, of(s, s->a), number(s, 1)));
}

static void ring(State *s)
{
    assign(s, s->a, negate(s, of(s, s->b)));
    assign(s, s->b, add(s, of(s, s->c), number(s, 1)));
    assign(s, s->c, mul(s, of(s, s->a), number(s, 3)));
}

static void half_swap(State *s)
{
    assign(s, s->a, of(s, s->b));
    assign(s, s->b, add(s, of(s, s->b), of(s, s->a)));
}

static void copy_of_an_updated(State *s)
{
    Node *next = add(s, of(s, s->b), number(s, 1));
    assign(s, s->b, next);
    assign(s, s->a, of(s, s->b));
    assign(s, s->c, next);
}

static void old_value_read_later(State *s)
{
    Node *a = of(s, s->a), *next = add(s, a, number(s, 1));
    assign(s, s->a, next);
    result(s, "y", graph_binary(s->graph, OP_MATMUL, a, next));
    assign(s, s->b, graph_binary(s->graph, OP_MATMUL, a, of(s, s->b)));
}

static void old_and_new_value_in_one(State *s)
{
    Node *a = of(s, s->a), *next = graph_unary(s->graph, OP_RELU, sub(s, a, number(s, 1)));
    assign(s, s->a, next);
    assign(s, s->b, sub(s, mul(s, next, next), a));
    result(s, "y", next);
}

static void old_value_is_a_result(State *s)
{
    assign(s, s->a, add(s, of(s, s->a), number(s, 1)));
    result(s, "y", of(s, s->a));
    result(s, "z", of(s, s->b));
}

static void one_value_twice(State *s)
{
    Node *sum = add(s, of(s, s->a), of(s, s->b));
    assign(s, s->a, sum);
    assign(s, s->b, sum);
    assign(s, s->c, sum);
}

static void turned_in_place(State *s) { assign(s, s->a, turned(s, of(s, s->a))); }

static void turned_and_added(State *s) { assign(s, s->a, add(s, of(s, s->a), turned(s, of(s, s->a)))); }

static void reversed(State *s)
{
    Node *reverse = graph_add(s->graph, (Node){.op = OP_REVERSE, .in = {of(s, s->a)}, .attr = {{1, {0}}}});
    assign(s, s->a, add(s, reverse, number(s, 1)));
}

static void product_with_itself(State *s)
{
    Node *a = of(s, s->a);
    assign(s, s->a, graph_unary(s->graph, OP_RELU, graph_binary(s->graph, OP_MATMUL, a, a)));
}

static void minus_its_product(State *s)
{
    Node *a = of(s, s->a), *product = graph_binary(s->graph, OP_MATMUL, a, of(s, s->b));
    assign(s, s->a, sub(s, a, mul(s, product, number(s, 0.5))));
    assign(s, s->b, sub(s, of(s, s->b), product));
}

static void sum_of_rows(State *s)
{
    Node *a = of(s, s->a), *sum = graph_reduce(s->graph, OP_SUM, a, (Ints){1, {1}});
    assign(s, s->a, sub(s, a, graph_broadcast(s->graph, sum, s->a->type)));
}

static void constant(State *s)
{
    assign(s, s->a, number(s, 4));
    assign(s, s->b, of(s, s->a));
}

static void itself(State *s)
{
    assign(s, s->a, of(s, s->a));
    assign(s, s->b, of(s, s->a));
}

static void chain_of_new_values(State *s)
{
    Node *a = add(s, of(s, s->a), number(s, 1)), *b = mul(s, a, of(s, s->b));
    assign(s, s->c, sub(s, b, of(s, s->c)));
    assign(s, s->b, b);
    assign(s, s->a, a);
}

static void new_value_where_the_old_is_read(State *s)
{
    Node *a = of(s, s->a), *b = of(s, s->b);
    Node *next_a = graph_binary(s->graph, OP_MATMUL, b, b),
         *next_b = graph_binary(s->graph, OP_MATMUL, next_a, a);
    assign(s, s->a, next_a);
    assign(s, s->b, next_b);
}

typedef struct Sample {
    const char *name;
    void (*build)(State *s);
} Sample;

static const Sample samples[] = {
    {"sgd", sgd},
    {"momentum", momentum},
    {"adam", adam},
    {"swap", swap},
    {"rotation", rotation},
    {"crossed", crossed},
    {"ring", ring},
    {"half swap", half_swap},
    {"copy of an updated", copy_of_an_updated},
    {"old value read later", old_value_read_later},
    {"old and new value in one", old_and_new_value_in_one},
    {"old value is a result", old_value_is_a_result},
    {"one value twice", one_value_twice},
    {"turned in place", turned_in_place},
    {"turned and added", turned_and_added},
    {"reversed", reversed},
    {"product with itself", product_with_itself},
    {"minus its product", minus_its_product},
    {"sum of rows", sum_of_rows},
    {"constant", constant},
    {"itself", itself},
    {"chain of new values", chain_of_new_values},
    {"new value where the old is read", new_value_where_the_old_is_read},
};
enum { SAMPLES = sizeof samples / sizeof *samples };

static void build(Model *model, const void *context)
{
    const Sample *sample = context;
    Type square = {DTYPE_F32, 2, {size_of(ROWS), size_of(COLUMNS)}},
         tall = {DTYPE_F32, 2, {{1, 1}, size_of(COLUMNS)}};
    model->batch = BATCH;
    State s = {model->phase[PHASE_STEP], model_variable(model, VARIABLE_PARAM, "a", square),
               model_variable(model, VARIABLE_PARAM, "b", square),
               model_variable(model, VARIABLE_PARAM, "c", square),
               model_variable(model, VARIABLE_INPUT, "x", tall)};
    sample->build(&s);
}

/* ---- runs ----------------------------------------------------------------------------------------------- */

enum { MOST = BATCH * COLUMNS };

static void compare(const Ensemble *ensemble, const char *name, const char *what, const Tensor *want,
                    const Tensor *exact)
{
    double got[MOST], first[MOST] = {0};
    for (int e = 0; e < ensemble->count; e++) {
        const EngineRow *row = &ensemble->row[e];
        int64_t count = ensemble_get(ensemble, e, PHASE_STEP, what, got);
        ck_assert_int_eq(count, want->count);
        for (int64_t i = 0; i < count; i++) {
            Number n = (row->reference ? exact : want)->at[i];
            if (!number_within(n, got[i]) || !number_predicts(n, got[i]))
                ck_abort_msg("%s, %s for %s%s: '%s' has %.9g at %lld, not %.9g ± %g", name, row->engine,
                             row->target, row->reference ? " (f64)" : "", what, got[i], (long long)i, n.value,
                             n.error);
        }
        if (e == 1)
            memcpy(first, got, sizeof got);
        ck_assert_msg(e < 2 || !memcmp(first, got, (size_t)count * sizeof *got), "%s, %s for %s: other bits",
                      name, row->engine, row->target);
    }
}

static Evaluation evaluate(Arena *arena, const Model *model, double (*value)[MOST], bool reference)
{
    Evaluation e = evaluation_new(arena, model, BATCH, reference);
    for (int v = 0; v < model->variable.count; v++)
        evaluation_set(&e, model->variable.at[v], value[v], NULL);
    graph_evaluate(&e, model->phase[PHASE_STEP]);
    return e;
}

START_TEST(variables_get_what_the_old_values_say)
{
    const Sample *sample = &samples[_i];
    Arena *arena = arena_new();
    Model *model = model_new(arena, "assign");
    build(model, sample);
    const Graph *step = model->phase[PHASE_STEP];
    Ensemble ensemble = ensemble_start(engines, ENGINES, build, sample);
    double value[MOST_VARIABLES][MOST];
    Random random = {(uint64_t)_i};
    for (int s = 0; s < STEPS; s++) { /* each from new values: in f32 and f64 they would part */
        for (int v = 0; v < model->variable.count; v++) {
            const Variable *variable = model->variable.at[v];
            fill_values(&random, FILL_REAL, DTYPE_F32, 0, (Range){0}, value[v],
                        type_count(&variable->type, BATCH));
        }
        ensemble_clear(&ensemble, BATCH);
        for (int v = 0; v < model->variable.count; v++)
            ensemble_set(&ensemble, model->variable.at[v]->name, value[v]);
        ensemble_run(&ensemble, PHASE_STEP, 1 + s);
        Evaluation want = evaluate(arena, model, value, false), exact = evaluate(arena, model, value, true);
        for (int i = 0; i < step->result.count; i++) {
            int node = step->result.at[i].node->id;
            compare(&ensemble, sample->name, step->result.at[i].name, want.node[node], exact.node[node]);
        }
        bool assigned[MOST_VARIABLES] = {0};
        for (int i = 0; i < step->assign.count; i++) {
            const Assign *a = &step->assign.at[i];
            assigned[a->variable->id] = true;
            compare(&ensemble, sample->name, a->variable->name, want.node[a->node->id],
                    exact.node[a->node->id]);
        }
        for (int v = 0; v < model->variable.count; v++)
            if (!assigned[v])
                compare(&ensemble, sample->name, model->variable.at[v]->name, want.variable[v],
                        exact.variable[v]);
    }
    ensemble_stop(&ensemble);
    arena_free(arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("assign");
    TCase *cases = tcase_create("steps");
    tcase_add_loop_test(cases, variables_get_what_the_old_values_say, 0, SAMPLES);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
