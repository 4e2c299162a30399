/* Small models through all passes, by the interpreter and LLVM, against plain loops. */
#include "run_model.h"

#include "backend.h"
#include "passes.h"

#include <math.h>

static const char *const engines[] = {"interp", "llvm"};

static double draw(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (double)((int)(*state >> 16) % 9 - 4);
}

static Type f32(int rank, Size a, Size b, Size c, Size d) { return (Type){DTYPE_F32, rank, {a, b, c, d}}; }

static const Size batch = {1, 1};

/* y = relu(x·w + b), integers: exact whatever the tiles */
START_TEST(dense_layer)
{
    enum { BATCH = 13, IN = 37, OUT = 45 };
    for (int e = 0; e < 2; e++) {
        Arena *arena = arena_new();
        Model *model = model_new(arena, "dense");
        model->batch = BATCH;
        Graph *g = model->phase[PHASE_PREDICT];
        Type wide = f32(2, batch, size_of(OUT), size_of(0), size_of(0));
        Node *x = graph_variable(g, model_variable(model, VARIABLE_INPUT, "x",
                                                   f32(2, batch, size_of(IN), size_of(0), size_of(0))));
        Node *w =
            graph_variable(g, model_variable(model, VARIABLE_PARAM, "w",
                                             f32(2, size_of(IN), size_of(OUT), size_of(0), size_of(0))));
        Node *b = graph_variable(g, model_variable(model, VARIABLE_PARAM, "b",
                                                   f32(1, size_of(OUT), size_of(0), size_of(0), size_of(0))));
        Node *sum = graph_binary(g, OP_ADD, graph_binary(g, OP_MATMUL, x, w), graph_broadcast(g, b, wide));
        list_add(arena, &g->result, ((Result){RESULT_OUTPUT, "y", graph_unary(g, OP_RELU, sum)}));
        Run run = run_start(model, engines[e], "native", false);
        static double vx[BATCH * IN], vw[IN * OUT], vb[OUT], y[BATCH * OUT];
        unsigned state = 1;
        for (int i = 0; i < BATCH * IN; i++)
            vx[i] = draw(&state);
        for (int i = 0; i < IN * OUT; i++)
            vw[i] = draw(&state);
        for (int i = 0; i < OUT; i++)
            vb[i] = draw(&state);
        run_set(&run, run_buffer(&run, PHASE_PREDICT, "x"), vx);
        run_set(&run, run_buffer(&run, PHASE_PREDICT, "w"), vw);
        run_set(&run, run_buffer(&run, PHASE_PREDICT, "b"), vb);
        run_phase(&run, PHASE_PREDICT, 3);
        run_get(&run, run_buffer(&run, PHASE_PREDICT, "y"), y);
        for (int i = 0; i < BATCH; i++)
            for (int j = 0; j < OUT; j++) {
                double want = vb[j];
                for (int k = 0; k < IN; k++)
                    want += vx[i * IN + k] * vw[k * OUT + j];
                ck_assert_double_eq(y[i * OUT + j], want > 0 ? want : 0);
            }
        run_stop(&run);
        arena_free(arena);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("passes");
    TCase *cases = tcase_create("models");
    tcase_add_test(cases, dense_layer);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
