/* Predictions in slices: the same bits as of all samples at once, also where the last slice is short. */
#include "run_model.h"

#include "backend.h"
#include "passes.h"

enum { BATCH = 13, CHANNELS = 24, SIDE = 16 };

static const char *const engines[] = {"interp", "llvm"};

static Node *convolution(Graph *g, Node *x, const char *name)
{
    Type type = {DTYPE_F32, 5, {{1, 0}, {CHANNELS, 0}, {CHANNELS, 0}, {3, 0}, {3, 0}}};
    Node *w = graph_variable(g, model_variable(g->model, VARIABLE_PARAM, name, type));
    Ints border = {5, {0, 0, 0, 1, 1}}, one = {2, {1, 1}};
    Node *padded = graph_add(g, (Node){.op = OP_PAD, .in = {x}, .attr = {border, border}});
    return graph_unary(g, OP_RELU,
                       graph_add(g, (Node){.op = OP_CONV, .in = {padded, w}, .attr = {one, one}}));
}

/* Several kernels, so that what one slice left could be overwritten by the next; `together`: with a result that is of all
   samples, which forbids slices. */
static Model *network(Arena *arena, bool together)
{
    Model *model = model_new(arena, "slice");
    Graph *g = model->phase[PHASE_PREDICT];
    Type type = {DTYPE_F32, 5, {{1, 1}, {1, 0}, {CHANNELS, 0}, {SIDE, 0}, {SIDE, 0}}};
    model->batch = BATCH;
    Node *x = graph_variable(g, model_variable(model, VARIABLE_INPUT, "x", type));
    Node *a = convolution(g, x, "a"), *b = convolution(g, a, "b"), *c = convolution(g, b, "c");
    list_add(arena, &g->result, ((Result){RESULT_OUTPUT, "early", a}));
    list_add(arena, &g->result, ((Result){RESULT_OUTPUT, "y", graph_binary(g, OP_ADD, a, c)}));
    if (together)
        list_add(arena, &g->result,
                 ((Result){RESULT_OUTPUT, "all", graph_reduce(g, OP_SUM, x, (Ints){1, {0}})}));
    return model;
}

static void predict(Run *run)
{
    static const char *const given[] = {"x", "a", "b", "c"};
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        run_fill(run, PHASE_PREDICT, given[i]);
    run_phase(run, PHASE_PREDICT, 2);
}

START_TEST(slices_are_the_whole)
{
    Arena *arena = arena_new();
    Run slices = run_start(network(arena, false), engines[_i], "x86-64-v3", false);
    Run all = run_start(network(arena, true), engines[_i], "x86-64-v3", false);
    ck_assert_int_eq(all.program->slice, 0);
    ck_assert_int_gt(slices.program->slice, 0);
    ck_assert_int_lt(slices.program->slice, BATCH);
    ck_assert_int_ne(BATCH % slices.program->slice, 0);
    ck_assert_int_lt(slices.program->arena_bytes, all.program->arena_bytes);
    predict(&slices);
    predict(&all);
    run_compare(&slices, &all, PHASE_PREDICT, "early");
    run_compare(&slices, &all, PHASE_PREDICT, "y");
    run_stop(&slices);
    run_stop(&all);
    arena_free(arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slice");
    TCase *cases = tcase_create("slice");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, slices_are_the_whole, 0, 2);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
