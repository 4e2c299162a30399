/* Derivatives that the compiler makes, of every op's cases and of small networks: in f64 against dual numbers (reliability 3.4,
   oracle A) and central differences with Richardson's extrapolation (oracle B), in f32 against the evaluator. */
#include "ensemble.h"
#include "fill.h"
#include "net_file.h"
#include "networks.h"
#include "ops.h"
#include "random_graph.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const EngineRow engines[] = {
    {"interp", "x86-64-v3", true}, {"interp", "x86-64-v3", false}, {"llvm", "x86-64-v3", false}};
enum { ENGINES = sizeof engines / sizeof *engines, REFERENCE = 0, FIRST_F32 = 1 };
enum {
    BATCH = 3,
    MOST_VARIABLES = 192,
    DIRECTIONS = 6,
    RANDOM_GRAPHS = 200,
    MOST_ELEMENTS = 1 << 15,
    MOST_DEFINES = 4
};

static struct {
    double dual, differences;       /* relative errors */
    double bound;                   /* of f32 errors over what is allowed */
    int problems, directions, flat; /* flat: the derivative is 0 along it */
} worst;

typedef struct Example { /* a file of examples/, made small by -D */
    const char *path, *define[MOST_DEFINES];
} Example;

static const Example examples[] = {
    {NETC_SOURCE "/examples/cifar_quick.net", {"size=16", "width=2", "classes=4"}},
    {NETC_SOURCE "/examples/resnet18.net", {"size=32", "width=2", "classes=4"}},
    {NETC_SOURCE "/examples/mobilenet_v2.net", {"size=32", "width=0.1", "last=16", "classes=4"}},
    {NETC_SOURCE "/examples/squeezenet.net", {"size=32", "width=1", "classes=4"}},
};

/* What is differentiated: one case of an op, its result weighed by the fixed "weights"; a network; an example's loss; or a
   random graph. */
typedef struct Problem {
    const OpCase *c;
    const Network *network;
    const Example *example;
    uint64_t seed;
    bool gradients; /* with the results "d NAME" */
} Problem;

static bool is_network(const Problem *p) { return p->network || p->example; }

static bool is_wanted(const Variable *v)
{
    return dtype_is_float(v->type.dtype) && v->kind != VARIABLE_SCALAR && strcmp(v->name, "weights") != 0;
}

static const char *result_name(Arena *arena, const Variable *v)
{
    return arena_printf(arena, "d %s", v->name);
}

static Node *weighed_sum(Model *model, Node *y)
{
    Graph *graph = model->phase[PHASE_PREDICT];
    Ints all = {.count = y->type.rank, .at = {0, 1, 2, 3, 4, 5, 6, 7}};
    Node *weights = graph_variable(graph, model_variable(model, VARIABLE_INPUT, "weights", y->type));
    return graph_reduce(graph, OP_SUM, graph_binary(graph, OP_MUL, y, weights), all);
}

/* The sum of all results' elements. */
static Node *sum_of_results(Model *model)
{
    Graph *graph = model->phase[PHASE_PREDICT];
    Node *loss = graph_number(graph, DTYPE_F32, 0);
    for (int i = 0; i < graph->result.count; i++) {
        Node *y = graph->result.at[i].node;
        Ints all = {.count = y->type.rank, .at = {0, 1, 2, 3, 4, 5, 6, 7}};
        loss = graph_binary(graph, OP_ADD, loss, graph_reduce(graph, OP_SUM, y, all));
    }
    return loss;
}

static Node *loss_of(Model *model, const Problem *p)
{
    if (p->c)
        return weighed_sum(model, op_case_build(p->c, model));
    if (p->network)
        return p->network->loss(model);
    if (p->example) {
        int defines = 0;
        while (defines < MOST_DEFINES && p->example->define[defines])
            defines++;
        return net_file_loss(model, p->example->path, p->example->define, defines);
    }
    random_graph(model, PHASE_PREDICT, p->seed, p->seed % 2);
    return sum_of_results(model);
}

static void build(Model *model, const void *context)
{
    const Problem *p = context;
    model->batch = BATCH;
    Node *loss = loss_of(model, p);
    model->batch = BATCH;
    Graph *graph = model->phase[PHASE_PREDICT];
    list_add(graph->arena, &graph->result, ((Result){RESULT_OUTPUT, "loss", loss}));
    for (int v = 0; p->gradients && v < model->variable.count; v++) {
        Variable *variable = model->variable.at[v];
        if (!is_wanted(variable))
            continue;
        Node *d = graph_gradient(graph, loss, graph_variable(graph, variable));
        list_add(graph->arena, &graph->result,
                 ((Result){RESULT_OUTPUT, result_name(model->arena, variable), d}));
    }
}

/* ---- one problem ---------------------------------------------------------------------------------------- */

typedef struct Checker {
    Problem problem;
    char label[120];
    Arena *arena;
    Ensemble ensemble;
    Model *forward; /* without gradients of the loss */
    double *value[MOST_VARIABLES], *direction[MOST_VARIABLES], *gradient[MOST_VARIABLES];
    double step; /* of differences */
} Checker;

static void expand_gradients(Model *model)
{
    Diagnostics diag = {.out = stderr};
    PipelineOptions options = {
        .target = target_native(), .stop_after = "clean", .dump_to = stderr, .verify = true};
    Program *program;
    ck_assert(pipeline_run(model, &diag, &options, &program));
}

static Model *model_of(Checker *k, bool gradients)
{
    Problem p = k->problem;
    p.gradients = gradients;
    Model *model = model_new(k->arena, "gradients");
    build(model, &p);
    expand_gradients(model);
    return model;
}

static int64_t count_of(const Checker *k, int v)
{
    return type_count(&k->forward->variable.at[v]->type, BATCH);
}

static Range range_of(const Checker *k, int v)
{
    const Variable *variable = k->forward->variable.at[v];
    if (k->problem.c)
        return strcmp(variable->name, "weights") ? k->problem.c->range[v] : (Range){0};
    if (variable->kind == VARIABLE_SCALAR)
        return (Range){0, 1000};
    if (variable->type.dtype == DTYPE_I32)
        return is_network(&k->problem) ? (Range){0, NETWORK_CLASSES - 1} : (Range){-2, 2};
    if (variable->type.dtype == DTYPE_U8)
        return (Range){0, 255};
    return is_network(&k->problem) ? (Range){-1, 1} : (Range){-4, 4};
}

/* Of ops all different and away from kinks; of half of the random graphs integers, so that nothing is rounded. */
static Fill fill_of(const Problem *p)
{
    if (p->c)
        return FILL_SPREAD;
    return is_network(p) || p->seed % 4 >= 2 ? FILL_REAL : FILL_SMALL;
}

static void draw_values(Checker *k, Random *random)
{
    k->step = k->problem.example ? 1e-7 : 1e-3; /* a deep network has many kinks, and none may lie between */
    for (int v = 0; v < k->forward->variable.count; v++) {
        const Variable *variable = k->forward->variable.at[v];
        int64_t count = count_of(k, v);
        k->value[v] = arena_alloc(k->arena, (size_t)count * sizeof(double));
        k->direction[v] = arena_alloc(k->arena, (size_t)count * sizeof(double));
        fill_values(random, fill_of(&k->problem), variable->type.dtype, v, range_of(k, v), k->value[v],
                    count);
        if (is_wanted(variable))
            k->step = fmin(k->step, 0.02 / (double)count);
    }
}

/* What stop_gradient holds fast has no derivative, and differences along it would see one. */
static bool is_held(const Variable *v) { return !strcmp(v->name, "fixed"); }

static void draw_direction(Checker *k, Random *random)
{
    for (int v = 0; v < k->forward->variable.count; v++)
        for (int64_t i = 0; is_wanted(k->forward->variable.at[v]) && i < count_of(k, v); i++)
            k->direction[v][i] = is_held(k->forward->variable.at[v]) ? 0 : random_real(random, -1, 1);
}

/* The loss of the reference at value + t · direction. */
static double loss_along(Checker *k, double t)
{
    Run *run = &k->ensemble.run[REFERENCE];
    double loss;
    for (int v = 0; v < k->forward->variable.count; v++) {
        int64_t count = count_of(k, v);
        double *moved = arena_alloc(k->arena, (size_t)count * sizeof *moved);
        for (int64_t i = 0; i < count; i++)
            moved[i] = k->value[v][i] + t * k->direction[v][i];
        run_set(run, run_buffer(run, PHASE_PREDICT, k->forward->variable.at[v]->name), moved);
    }
    run_phase(run, PHASE_PREDICT, 1);
    run_get(run, run_buffer(run, PHASE_PREDICT, "loss"), &loss);
    return loss;
}

static double central(Checker *k, double h) { return (loss_along(k, h) - loss_along(k, -h)) / (2 * h); }

static double dual(Checker *k)
{
    Evaluation e = evaluation_new(k->arena, k->forward, BATCH, true);
    const Graph *graph = k->forward->phase[PHASE_PREDICT];
    for (int v = 0; v < k->forward->variable.count; v++)
        evaluation_set(&e, k->forward->variable.at[v], k->value[v], k->direction[v]);
    graph_evaluate(&e, graph);
    for (int r = 0; r < graph->result.count; r++)
        if (!strcmp(graph->result.at[r].name, "loss"))
            return e.node[graph->result.at[r].node->id]->at[0].tangent;
    ck_abort_msg("no loss");
    return NAN;
}

/* ⟨gradient, direction⟩ three ways. Both differences are relative to the sum of absolute values. */
static void check_direction(Checker *k)
{
    double along = 0, size = 0;
    for (int v = 0; v < k->forward->variable.count; v++)
        for (int64_t i = 0; k->gradient[v] && i < count_of(k, v); i++) {
            along += k->gradient[v][i] * k->direction[v][i];
            size += fabs(k->gradient[v][i] * k->direction[v][i]);
        }
    double exact = dual(k);
    worst.directions++;
    worst.flat += size == 0;
    double rounding = k->problem.example ? 1e-10 : 1e-12; /* through a hundred layers, or a few */
    ck_assert_msg(fabs(along - exact) <= rounding * size,
                  "%s: derivative %.17g, by dual numbers %.17g, of %g", k->label, along, exact, size);
    worst.dual = fmax(worst.dual, size > 0 ? fabs(along - exact) / size : 0);
    if (!k->problem.c && !is_network(&k->problem))
        return; /* nobody knows where its kinks are */
    double coarse = central(k, k->step), fine = central(k, k->step / 2), limit = (4 * fine - coarse) / 3;
    ck_assert_msg(fabs(along - limit) <= 1e-7 * size, "%s: derivative %.17g, by differences %.17g, of %g",
                  k->label, along, limit, size);
    worst.differences = fmax(worst.differences, size > 0 ? fabs(along - limit) / size : 0);
}

/* All results in f32, against the evaluator on the graph with gradients spelled out. */
static void check_f32(Checker *k, const Model *expanded)
{
    static double got[ENGINES][MOST_ELEMENTS];
    const Graph *graph = expanded->phase[PHASE_PREDICT];
    Evaluation e = evaluation_new(k->arena, expanded, BATCH, false);
    for (int v = 0; v < expanded->variable.count; v++)
        evaluation_set(&e, expanded->variable.at[v], k->value[v], NULL);
    graph_evaluate(&e, graph);
    for (int r = 0; r < graph->result.count; r++) {
        const Tensor *want = e.node[graph->result.at[r].node->id];
        const char *name = graph->result.at[r].name;
        ck_assert_int_le(want->count, MOST_ELEMENTS);
        for (int i = FIRST_F32; i < k->ensemble.count; i++) {
            ck_assert_int_eq(ensemble_get(&k->ensemble, i, PHASE_PREDICT, name, got[i]), want->count);
            ck_assert_msg(!memcmp(got[i], got[FIRST_F32], (size_t)want->count * sizeof(double)),
                          "%s, '%s': engines differ", k->label, name);
        }
        for (int64_t i = 0; i < want->count; i++) {
            Number n = want->at[i];
            double value = got[FIRST_F32][i];
            if (!number_within(n, value) || !number_predicts(n, value))
                ck_abort_msg("%s: element %lld of '%s' is %.9g, not %.9g ± %g (%.9g)", k->label, (long long)i,
                             name, value, n.value, n.error, n.predicted);
            if (n.error > 0 && n.error < INFINITY)
                worst.bound = fmax(worst.bound, fabs(value - n.value) / n.error);
        }
    }
}

static void check_problem(Problem problem, const char *label)
{
    Checker k = {.problem = problem, .arena = arena_new()};
    k.problem.gradients = true;
    snprintf(k.label, sizeof k.label, "%s", label);
    k.forward = model_of(&k, false);
    ck_assert_int_le(k.forward->variable.count, MOST_VARIABLES);
    k.ensemble = ensemble_start(engines, ENGINES, build, &k.problem);
    Random random = {1000003u * strlen(label) + (unsigned char)label[0]};
    draw_values(&k, &random);
    ensemble_clear(&k.ensemble, BATCH);
    for (int v = 0; v < k.forward->variable.count; v++)
        ensemble_set(&k.ensemble, k.forward->variable.at[v]->name, k.value[v]);
    ensemble_run(&k.ensemble, PHASE_PREDICT, 2);
    check_f32(&k, model_of(&k, true));
    for (int v = 0; v < k.forward->variable.count; v++)
        if (is_wanted(k.forward->variable.at[v])) {
            k.gradient[v] = arena_alloc(k.arena, (size_t)count_of(&k, v) * sizeof(double));
            ensemble_get(&k.ensemble, REFERENCE, PHASE_PREDICT,
                         result_name(k.arena, k.forward->variable.at[v]), k.gradient[v]);
            for (int64_t i = 0; is_held(k.forward->variable.at[v]) && i < count_of(&k, v); i++)
                ck_assert_double_eq(k.gradient[v][i], 0);
        }
    for (int d = 0; d < DIRECTIONS; d++) {
        draw_direction(&k, &random);
        check_direction(&k);
    }
    worst.problems++;
    ensemble_stop(&k.ensemble);
    arena_free(k.arena);
}

/* ---- tests ---------------------------------------------------------------------------------------------- */

static bool has_derivative(OpKind op)
{
    return op_rule[op].gradient != no_gradient && op_rule[op].gradient != no_derivative;
}

/* Values by hand hold kinks and infinities; their shapes are tested by the other cases. */
static bool is_differentiable(const OpCase *c)
{
    return has_derivative(c->op) && dtype_is_float(c->in[c->op == OP_SELECT].dtype) && !c->want.count &&
           isfinite(c->value) && (c->op != OP_CAST || dtype_is_float(c->type.dtype));
}

START_TEST(op_has_its_derivative)
{
    const OpCase *c = &op_case[_i];
    char label[120];
    snprintf(label, sizeof label, "%s, %s", op_info[c->op].name, c->what);
    if (is_differentiable(c))
        check_problem((Problem){.c = c}, label);
}
END_TEST

START_TEST(network_has_its_derivatives)
{
    check_problem((Problem){.network = &network_list[_i]}, network_list[_i].name);
}
END_TEST

START_TEST(example_has_its_derivatives)
{
    check_problem((Problem){.example = &examples[_i]}, strrchr(examples[_i].path, '/') + 1);
}
END_TEST

START_TEST(random_graph_has_its_derivatives)
{
    char label[40];
    snprintf(label, sizeof label, "random graph %d", _i);
    check_problem((Problem){.seed = (uint64_t)_i}, label);
}
END_TEST

/* Where a function has a kink, the rules say which side counts: given a (and b), the gradient of the sum of the result. */
typedef struct Kink {
    OpKind op;
    double a[4], b[4], da[4], db[4];
} Kink;

static const Kink kinks[] = {
    {OP_RELU, {0, -0.0, 1, -1}, {0}, {0, 0, 1, 0}, {0}},
    {OP_ABS, {0, -0.0, 1, -1}, {0}, {1, 1, 1, -1}, {0}},
    {OP_MAX, {1, 2, 3, -0.0}, {1, 3, 2, 0}, {1, 0, 1, 1}, {0, 1, 0, 0}},
    {OP_MIN, {1, 2, 3, -0.0}, {1, 3, 2, 0}, {1, 1, 0, 1}, {0, 0, 1, 0}},
    {OP_POW, {2, -2, 0, 0}, {2, 3, 2, 1}, {4, 12, 0, 1}, {2.77258872, 0, 0, 0}},
    {OP_REDUCE_MAX, {3, 1, 3, 3}, {0}, {1, 0, 0, 0}, {0}},
    {OP_REDUCE_MIN, {3, 1, 1, 3}, {0}, {0, 1, 0, 0}, {0}},
};

static void build_kink(Model *model, const void *context)
{
    const Kink *k = context;
    Graph *graph = model->phase[PHASE_PREDICT];
    Type four = {DTYPE_F32, 1, {size_of(4)}};
    Node *a = graph_variable(graph, model_variable(model, VARIABLE_PARAM, "a", four));
    Node *b = graph_variable(graph, model_variable(model, VARIABLE_PARAM, "b", four)), *loss = a;
    Ints axis = {1, {0}};
    if (op_info[k->op].class == OP_CLASS_REDUCE) {
        loss = graph_reduce(graph, k->op, a, axis);
    } else {
        loss = op_info[k->op].inputs == 2 ? graph_binary(graph, k->op, a, b) : graph_unary(graph, k->op, a);
        loss = graph_reduce(graph, OP_SUM, loss, axis);
    }
    list_add(graph->arena, &graph->result, ((Result){RESULT_OUTPUT, "da", graph_gradient(graph, loss, a)}));
    list_add(graph->arena, &graph->result, ((Result){RESULT_OUTPUT, "db", graph_gradient(graph, loss, b)}));
}

START_TEST(kinks_have_one_side)
{
    const Kink *k = &kinks[_i];
    Ensemble ensemble = ensemble_start(engines, ENGINES, build_kink, k);
    ensemble_clear(&ensemble, 1);
    ensemble_set(&ensemble, "a", k->a);
    ensemble_set(&ensemble, "b", k->b);
    ensemble_run(&ensemble, PHASE_PREDICT, 1);
    for (int e = 0; e < ensemble.count; e++) {
        double da[4], db[4];
        ensemble_get(&ensemble, e, PHASE_PREDICT, "da", da);
        ensemble_get(&ensemble, e, PHASE_PREDICT, "db", db);
        for (int i = 0; i < 4; i++) {
            ck_assert_msg(fabs(da[i] - k->da[i]) <= 1e-6, "%s at %g, %g: da is %g, not %g",
                          op_info[k->op].name, k->a[i], k->b[i], da[i], k->da[i]);
            ck_assert_msg(fabs(db[i] - k->db[i]) <= 1e-6, "%s at %g, %g: db is %g, not %g",
                          op_info[k->op].name, k->a[i], k->b[i], db[i], k->db[i]);
        }
    }
    ensemble_stop(&ensemble);
}
END_TEST

START_TEST(every_differentiable_op_has_a_case)
{
    for (int op = 0; op < OP_COUNT; op++) {
        int cases = !has_derivative((OpKind)op);
        for (int i = 0; i < op_case_count; i++)
            cases += (int)op_case[i].op == op && is_differentiable(&op_case[i]);
        ck_assert_msg(cases > 0, "the derivative of %s has no case", op_info[op].name);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gradients");
    TCase *cases = tcase_create("derivatives");
    tcase_add_test(cases, every_differentiable_op_has_a_case);
    tcase_add_loop_test(cases, op_has_its_derivative, 0, op_case_count);
    tcase_add_loop_test(cases, kinks_have_one_side, 0, sizeof kinks / sizeof *kinks);
    tcase_add_loop_test(cases, network_has_its_derivatives, 0, network_count);
    tcase_add_loop_test(cases, random_graph_has_its_derivatives, 0, RANDOM_GRAPHS);
    suite_add_tcase(suite, cases);
    TCase *files = tcase_create("examples");
    tcase_add_loop_test(files, example_has_its_derivatives, 0, sizeof examples / sizeof *examples);
    suite_add_tcase(suite, files);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    if (srunner_fork_status(runner) == CK_NOFORK)
        printf("%d problems, %d directions (%d flat); worst: %.2g by dual numbers, %.2g by differences; f32 "
               "%.3f of the bound\n",
               worst.problems, worst.directions, worst.flat, worst.dual, worst.differences, worst.bound);
    srunner_free(runner);
    return failed != 0;
}
