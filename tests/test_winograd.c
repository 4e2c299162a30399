/* Convolutions by Winograd's method: as mathematics, the direct convolution; by any engine and target the same bits, within
   the bound of the rewritten graph; and exact where all numbers on the way are. */
#include "ensemble.h"
#include "rewrite.h"

#include <check.h>
#include <math.h>
#include <stdio.h>

enum { MOST_ELEMENTS = 1 << 15 };

static const EngineRow engines[] = {{"interp", "x86-64-v3", false},
                                    {"llvm", "x86-64-v3", false},
                                    {"interp", "x86-64-v4", false},
                                    {"llvm", "x86-64-v4", false}};

typedef struct Shape {
    int64_t channels, outputs, height, width, kernel, border;
} Shape;

static const Shape shapes[] = {{1, 1, 4, 4, 3, 0},   {3, 5, 8, 8, 3, 1},  {16, 17, 14, 14, 3, 1},
                               {8, 32, 7, 7, 3, 1},  {5, 4, 9, 6, 3, 0},  {2, 3, 10, 13, 3, 2},
                               {4, 6, 16, 16, 5, 2}, {17, 9, 8, 8, 5, 2}, {3, 16, 11, 12, 5, 0},
                               {40, 24, 5, 5, 3, 1}, {6, 6, 1, 9, 3, 1},  {2, 2, 6, 6, 7, 3}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void add_convolution(Model *model, const Shape *s)
{
    Graph *g = model->phase[PHASE_PREDICT];
    model->batch = 3;
    Type image = {DTYPE_F32, 5, {{1, 1}, {1, 0}, {s->channels, 0}, {s->height, 0}, {s->width, 0}}};
    Type kernel = {DTYPE_F32, 5, {{1, 0}, {s->outputs, 0}, {s->channels, 0}, {s->kernel, 0}, {s->kernel, 0}}};
    Node *x = graph_variable(g, model_variable(model, VARIABLE_INPUT, "x", image));
    Node *w = graph_variable(g, model_variable(model, VARIABLE_PARAM, "w", kernel));
    Ints border = {5, {0, 0, 0, s->border, s->border}}, one = {2, {1, 1}};
    Node *padded = graph_add(g, (Node){.op = OP_PAD, .in = {x}, .attr = {border, border}});
    Node *y = graph_add(g, (Node){.op = OP_CONV, .in = {padded, w}, .attr = {one, one}});
    list_add(g->arena, &g->result, ((Result){RESULT_OUTPUT, "y", graph_unary(g, OP_RELU, y)}));
    Node *dy = graph_variable(g, model_variable(model, VARIABLE_INPUT, "dy", y->type));
    Ints sizes = {2, {s->kernel, s->kernel}};
    Node *dw =
        graph_add(g, (Node){.op = OP_CONV_WEIGHT_GRADIENT, .in = {padded, dy}, .attr = {one, one, sizes}});
    list_add(g->arena, &g->result, ((Result){RESULT_OUTPUT, "dw", dw}));
}

static void rewrite(Model *model, UseWhen use)
{
    Diagnostics diag = {.out = stderr};
    PipelineOptions options = {.target = target_find("x86-64-v3"),
                               .stop_after = "winograd",
                               .winograd = use,
                               .dump_to = stderr,
                               .verify = true};
    Program *program;
    ck_assert(pipeline_run(model, &diag, &options, &program));
}

static void build(Model *model, const void *shape)
{
    add_convolution(model, shape);
    rewrite(model, USE_ALWAYS);
}

static int count_op(const Graph *graph, OpKind op)
{
    int count = 0;
    const bool *live = graph_live(graph);
    for (int i = 0; i < graph->node.count; i++)
        count += live[i] && graph->node.at[i]->op == op;
    return count;
}

typedef struct Values {
    double x[MOST_ELEMENTS], w[MOST_ELEMENTS], dy[MOST_ELEMENTS];
} Values;

static double draw(uint64_t *state, bool integers, double scale)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    int64_t bits = (int64_t)(*state >> 40);
    return integers ? (double)(bits % (2 * (int64_t)scale + 1) - (int64_t)scale)
                    : ((double)bits / 8388608 - 1) * scale;
}

static void fill(Values *v, uint64_t seed, bool integers)
{
    uint64_t state = seed;
    for (int i = 0; i < MOST_ELEMENTS; i++)
        v->x[i] = draw(&state, integers, integers ? 8 : 2);
    for (int i = 0; i < MOST_ELEMENTS; i++)
        v->w[i] = integers ? 576 * draw(&state, true, 1) : draw(&state, false, 1);
    for (int i = 0; i < MOST_ELEMENTS; i++)
        v->dy[i] = integers ? 576 * draw(&state, true, 1) : draw(&state, false, 1);
}

enum { RESULTS = 2 }; /* y and dw */

static void evaluate(Arena *arena, const Shape *shape, UseWhen use, const Values *v, int64_t batch,
                     const Tensor *result[RESULTS])
{
    Model *model = model_new(arena, "case");
    add_convolution(model, shape);
    rewrite(model, use);
    const Graph *g = model->phase[PHASE_PREDICT];
    ck_assert_int_eq(count_op(g, OP_CONV), use == USE_NEVER);
    ck_assert_int_eq(count_op(g, OP_CONV_WEIGHT_GRADIENT), use == USE_NEVER);
    Evaluation e = evaluation_new(arena, model, batch, false);
    evaluation_set(&e, model->variable.at[0], v->x, NULL);
    evaluation_set(&e, model->variable.at[1], v->w, NULL);
    evaluation_set(&e, model->variable.at[2], v->dy, NULL);
    graph_evaluate(&e, g);
    for (int r = 0; r < RESULTS; r++)
        result[r] = e.node[g->result.at[r].node->id];
}

static void check_values(const Tensor *direct, const Tensor *want, const double *got, bool exact)
{
    ck_assert_int_eq(direct->count, want->count);
    for (int64_t i = 0; i < want->count; i++) {
        Number d = direct->at[i], n = want->at[i];
        if (fabs(d.value - n.value) > 1e-11 * (1 + d.size))
            ck_abort_msg("element %lld is %.17g, directly %.17g", (long long)i, n.value, d.value);
        if (!number_within(n, got[i]) || !number_predicts(n, got[i]))
            ck_abort_msg("element %lld is %.9g, not %.9g ± %g", (long long)i, got[i], n.predicted, n.error);
        if (exact && got[i] != d.value)
            ck_abort_msg("element %lld is %.9g, exactly %.9g", (long long)i, got[i], d.value);
    }
}

/* exact: y is. */
static void check_shape(const Shape *shape, const Values *v, bool exact)
{
    static const char *const name[RESULTS] = {"y", "dw"};
    static double got[MOST_ELEMENTS], first[MOST_ELEMENTS];
    Ensemble ensemble = ensemble_start(engines, sizeof engines / sizeof *engines, build, shape);
    for (int64_t batch = 1; batch <= 3; batch += 2) {
        Arena *arena = arena_new();
        const Tensor *direct[RESULTS], *want[RESULTS];
        evaluate(arena, shape, USE_NEVER, v, batch, direct);
        evaluate(arena, shape, USE_ALWAYS, v, batch, want);
        ensemble_clear(&ensemble, batch);
        ensemble_set(&ensemble, "x", v->x);
        ensemble_set(&ensemble, "w", v->w);
        ensemble_set(&ensemble, "dy", v->dy);
        ensemble_run(&ensemble, PHASE_PREDICT, 2);
        for (int r = 0; r < RESULTS; r++)
            for (int e = 0; e < ensemble.count; e++) {
                int64_t count = ensemble_get(&ensemble, e, PHASE_PREDICT, name[r], e ? got : first);
                ck_assert_int_eq(count, want[r]->count);
                if (!e)
                    check_values(direct[r], want[r], first, exact && r == 0);
                ck_assert_msg(!e || !memcmp(got, first, (size_t)count * sizeof *got),
                              "%s, %s for %s: other bits", name[r], ensemble.row[e].engine,
                              ensemble.row[e].target);
            }
        arena_free(arena);
    }
    ensemble_stop(&ensemble);
}

START_TEST(reals)
{
    static Values v;
    fill(&v, (uint64_t)_i + 1, false);
    ck_assert_int_le(3 * shapes[_i].channels * shapes[_i].height * shapes[_i].width, MOST_ELEMENTS);
    check_shape(&shapes[_i], &v, false);
}
END_TEST

/* 24² = 576 makes 4×4 tiles' weights integers. */
START_TEST(integers_are_exact)
{
    static Values v;
    fill(&v, (uint64_t)_i + 1, true);
    if (shapes[_i].kernel == 3)
        check_shape(&shapes[_i], &v, true);
}
END_TEST

START_TEST(shapes_decide)
{
    static const struct {
        Shape shape;
        bool winograd;
    } rows[] = {
        {{64, 64, 56, 56, 3, 1}, true}, {{512, 512, 7, 7, 3, 1}, true},  {{32, 32, 16, 16, 3, 1}, true},
        {{32, 32, 16, 16, 5, 2}, true}, {{3, 64, 56, 56, 3, 1}, false},  {{64, 64, 56, 56, 1, 0}, false},
        {{64, 64, 14, 14, 7, 3}, true}, {{16, 64, 56, 56, 3, 1}, false}, {{64, 64, 1, 1, 3, 1}, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Arena *arena = arena_new();
        Model *model = model_new(arena, "case");
        add_convolution(model, &rows[i].shape);
        rewrite(model, USE_AUTO);
        int left = count_op(model->phase[PHASE_PREDICT], OP_CONV);
        ck_assert_msg(left == !rows[i].winograd, "row %d", (int)i);
        arena_free(arena);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("winograd");
    TCase *cases = tcase_create("winograd");
    tcase_set_timeout(cases, 120);
    tcase_add_loop_test(cases, reals, 0, SHAPES);
    tcase_add_loop_test(cases, integers_are_exact, 0, SHAPES);
    tcase_add_test(cases, shapes_decide);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
