/* Random graphs: fused or with every node in memory, by any engine, for any batch up to the nominal one, the bits are the
   same, and those that the evaluator predicts. NETC_SEED=N runs one seed and prints its graph. */
#include "ensemble.h"
#include "random_graph.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS = 300, SEEDS_A_TEST = 1, MOST_ELEMENTS = 1 << 14, MOST_VARIABLES = 48 };

static const EngineRow engines[] = {
    {"interp", "x86-64-v3", false}, {"llvm", "x86-64-v3", false}, {"interp", "x86-64-v4", false}};
enum { ENGINES = sizeof engines / sizeof *engines };

static struct {
    long graphs, nodes, elements, predicted, unknown, assigns;
    double bound;
} total;

typedef struct Seed {
    uint64_t number;
    bool all_in_memory;
} Seed;

/* ---- the models ----------------------------------------------------------------------------------------- */

static void clean(Model *model)
{
    Diagnostics diag = {.out = stderr};
    PipelineOptions options = {
        .target = target_find("x86-64-v3"), .stop_after = "clean", .dump_to = stderr, .verify = true};
    Program *program;
    ck_assert(pipeline_run(model, &diag, &options, &program));
}

/* Nodes of the simplified graph become results, which only memory holds. */
static void put_all_in_memory(Graph *graph)
{
    for (int i = 0; i < graph->node.count; i++) {
        Node *n = graph->node.at[i];
        if (n->op != OP_VARIABLE)
            list_add(graph->arena, &graph->result,
                     ((Result){RESULT_OUTPUT, arena_printf(graph->model->arena, "node %d", n->id), n}));
    }
}

static void build(Model *model, const void *context)
{
    const Seed *seed = context;
    random_graph(model, PHASE_STEP, seed->number, seed->number % 2);
    clean(model);
    if (seed->all_in_memory)
        put_all_in_memory(model->phase[PHASE_STEP]);
}

/* ---- one run -------------------------------------------------------------------------------------------- */

typedef struct Trial {
    Seed seed;
    Arena *arena;
    Model *model; /* with all in memory */
    double *value[MOST_VARIABLES];
    int64_t batch;
    Evaluation want;
    Model *written; /* not simplified; its results are the model's first ones */
    Evaluation meant;
} Trial;

static void draw_values(Trial *t)
{
    Random random = {t->seed.number * 77 + (uint64_t)t->batch};
    Fill fill = t->seed.number % 4 < 2 ? FILL_SMALL : FILL_REAL;
    t->want = evaluation_new(t->arena, t->model, t->batch, false);
    t->meant = evaluation_new(t->arena, t->written, t->batch, false);
    for (int v = 0; v < t->model->variable.count; v++) {
        const Variable *variable = t->model->variable.at[v];
        int64_t count = type_count(&variable->type, t->batch);
        Range range = variable->type.dtype == DTYPE_I32 ? (Range){-2, 2} : (Range){-4, 4};
        if (variable->kind == VARIABLE_SCALAR)
            range = (Range){0, 1000};
        t->value[v] = arena_alloc(t->arena, (size_t)count * sizeof(double));
        fill_values(&random, fill, variable->type.dtype, 0, range, t->value[v], count);
        evaluation_set(&t->want, variable, t->value[v], NULL);
        evaluation_set(&t->meant, t->written->variable.at[v], t->value[v], NULL);
    }
    graph_evaluate(&t->want, t->model->phase[PHASE_STEP]);
    graph_evaluate(&t->meant, t->written->phase[PHASE_STEP]);
}

static void run(const Trial *t, Ensemble *e, int parts)
{
    ensemble_clear(e, t->batch);
    for (int v = 0; v < t->model->variable.count; v++)
        ensemble_set(e, t->model->variable.at[v]->name, t->value[v]);
    ensemble_run(e, PHASE_STEP, parts);
}

static void compare(const Trial *t, const char *what, const Tensor *want, const double *got, const char *how)
{
    for (int64_t i = 0; i < want->count; i++) {
        Number n = want->at[i];
        total.elements++;
        total.predicted += n.known;
        total.unknown += n.error == INFINITY && !n.known;
        if (n.error > 0 && isfinite(n.error) && isfinite(n.value))
            total.bound = fmax(total.bound, fabs(got[i] - n.value) / n.error);
        if (!number_within(n, got[i]) || !number_predicts(n, got[i]))
            ck_abort_msg("seed %llu, batch %lld, %s: '%s' has %.9g at %lld, not %.9g ± %g (%.9g)",
                         (unsigned long long)t->seed.number, (long long)t->batch, how, what, got[i],
                         (long long)i, n.value, n.error, n.predicted);
    }
}

/* A result or variable of all engines of an ensemble. */
static void compare_all(const Trial *t, const Ensemble *e, const char *name, const Node *node,
                        const char *how, double *first)
{
    static double got[MOST_ELEMENTS];
    for (int i = 0; i < e->count; i++) {
        ck_assert_int_le(t->want.node[node->id]->count, MOST_ELEMENTS);
        int64_t count = ensemble_get(e, i, PHASE_STEP, name, i ? got : first);
        ck_assert_int_eq(count, t->want.node[node->id]->count);
        if (i == 0)
            compare(t, name, t->want.node[node->id], first, how);
        else if (memcmp(first, got, (size_t)count * sizeof *got))
            ck_abort_msg("seed %llu, batch %lld, %s: '%s' differs between %s and %s for %s",
                         (unsigned long long)t->seed.number, (long long)t->batch, how, name, e->row[0].engine,
                         e->row[i].engine, e->row[i].target);
    }
}

static const Tensor *meaning(const Trial *t, const Node *node) { return t->meant.node[node->id]; }

static void compare_ensembles(const Trial *t, const Ensemble *fused, const Ensemble *memory)
{
    static double a[MOST_ELEMENTS], b[MOST_ELEMENTS];
    const Graph *graph = t->model->phase[PHASE_STEP], *written = t->written->phase[PHASE_STEP];
    for (int r = 0; r < graph->result.count; r++) {
        const Result *result = &graph->result.at[r];
        size_t bytes = (size_t)t->want.node[result->node->id]->count * sizeof *a;
        compare_all(t, memory, result->name, result->node, "in memory", a);
        if (!strncmp(result->name, "node", 4))
            continue;
        compare_all(t, fused, result->name, result->node, "fused", b);
        ck_assert_msg(!memcmp(a, b, bytes), "seed %llu: '%s' is other bits if fused",
                      (unsigned long long)t->seed.number, result->name);
        compare(t, result->name, meaning(t, written->result.at[r].node), b, "as written");
    }
    for (int i = 0; i < graph->assign.count; i++) {
        const Assign *assign = &graph->assign.at[i];
        compare_all(t, memory, assign->variable->name, assign->node, "in memory", a);
        compare_all(t, fused, assign->variable->name, assign->node, "fused", b);
        compare(t, assign->variable->name, meaning(t, written->assign.at[i].node), b, "as written");
    }
}

static void check_seed(uint64_t number, bool show)
{
    Trial t = {.seed = {number, true}, .arena = arena_new()};
    t.written = model_new(t.arena, "random");
    random_graph(t.written, PHASE_STEP, number, number % 2);
    t.model = model_new(t.arena, "random");
    build(t.model, &t.seed);
    if (show) {
        Text text = {0};
        model_print(&text, t.model);
        printf("%s", text_string(&text));
        text_free(&text);
    }
    ck_assert_int_le(t.model->variable.count, MOST_VARIABLES);
    Ensemble fused = ensemble_start(engines, ENGINES, build, &(Seed){number, false});
    Ensemble memory = ensemble_start(engines, 1, build, &t.seed);
    int64_t batches[] = {t.model->batch, 1 + (int64_t)number % t.model->batch};
    for (int b = 0; b < 2; b++) {
        t.batch = batches[b];
        draw_values(&t);
        run(&t, &fused, 1 + b);
        run(&t, &memory, 3);
        compare_ensembles(&t, &fused, &memory);
    }
    total.graphs++;
    total.nodes += t.model->phase[PHASE_STEP]->node.count;
    total.assigns += t.model->phase[PHASE_STEP]->assign.count;
    ensemble_stop(&fused);
    ensemble_stop(&memory);
    arena_free(t.arena);
}

START_TEST(random_graphs_fused_and_not)
{
    const char *one = getenv("NETC_SEED");
    for (int i = 0; i < SEEDS_A_TEST && !one; i++)
        check_seed((uint64_t)(_i * SEEDS_A_TEST + i), false);
    if (one && _i == 0)
        check_seed(strtoull(one, NULL, 10), true);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fusion");
    TCase *cases = tcase_create("random graphs");
    tcase_add_loop_test(cases, random_graphs_fused_and_not, 0, SEEDS / SEEDS_A_TEST);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    if (srunner_fork_status(runner) == CK_NOFORK)
        printf("%ld graphs, %ld nodes, %ld assigns, %ld elements: %ld predicted, %ld unknown; worst error "
               "%.3f of the bound\n",
               total.graphs, total.nodes, total.assigns, total.elements, total.predicted, total.unknown,
               total.bound);
    srunner_free(runner);
    return failed != 0;
}
