/* Every op on its cases (op_cases.def) by every engine: values by hand; the evaluator's prediction, bit for bit, where there is
   one; the bound of reliability 3.3; all engines and cuts of the work alike. */
#include "ensemble.h"
#include "fill.h"
#include "op_cases.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The interpreter also runs the loops made for targets that this machine may not have. */
static const EngineRow engines[] = {
    {"interp", "x86-64-v3", true}, {"interp", "x86-64-v3", false}, {"interp", "x86-64-v4", false},
    {"llvm", "x86-64-v3", false},  {"llvm", "x86-64", false},      {"llvm", "x86-64-v4", false},
};
enum {
    ENGINES = sizeof engines / sizeof *engines,
    FIRST_F32 = 1,
    NOMINAL_BATCH = 64,
    MOST_ELEMENTS = 1 << 17
};

typedef struct Worst {
    double bound, rms; /* error over what is allowed */
    long elements, predicted;
} Worst;
static Worst worst;

static void build(Model *model, const void *context)
{
    model->batch = op_case_grows(context) ? NOMINAL_BATCH : 1;
    ck_assert_ptr_nonnull(op_case_build(context, model));
}

/* ---- one operand set ------------------------------------------------------------------------------------ */

typedef struct Trial {
    const OpCase *c;
    Ensemble *ensemble;
    Arena *arena; /* of one operand set */
    Model *model; /* as written, or, for GRADIENT, with the gradient spelled out */
    int64_t batch;
    char label[160];
    double *operand[MAX_INPUTS];
} Trial;

static const Tensor *evaluate(const Trial *t, bool reference)
{
    Evaluation e = evaluation_new(t->arena, t->model, t->batch, reference);
    for (int i = 0; i < t->model->variable.count; i++)
        evaluation_set(&e, t->model->variable.at[i], t->operand[i], NULL);
    graph_evaluate(&e, t->model->phase[PHASE_PREDICT]);
    return e.node[t->model->phase[PHASE_PREDICT]->result.at[0].node->id];
}

/* Rule 2: what is quietly computed with fewer bits shows in the mean. */
static void check_rms(const Trial *t, const Tensor *want, const double *got)
{
    double sum = 0, limit = 0.5 * sqrt(want->depth) + 1;
    if (want->count < 256 || want->depth == 0 || !dtype_is_float(want->dtype))
        return;
    for (int64_t i = 0; i < want->count; i++) {
        double unit = number_unit(want->dtype) * want->at[i].size;
        double error = unit > 0 ? (got[i] - want->at[i].value) / unit : 0;
        sum += error * error;
    }
    double rms = sqrt(sum / (double)want->count);
    worst.rms = fmax(worst.rms, rms / limit);
    ck_assert_msg(rms <= limit, "%s: root mean square %g of the unit, not %g", t->label, rms, limit);
}

static void check_values(const Trial *t, const char *engine, const Tensor *want, const double *got)
{
    for (int64_t i = 0; i < want->count; i++) { /* not ck_assert: it writes a file each time */
        Number n = want->at[i];
        if (!number_within(n, got[i]))
            ck_abort_msg("%s, %s: element %lld is %.17g, not %.17g ± %g", t->label, engine, (long long)i,
                         got[i], n.value, n.error);
        if (!number_predicts(n, got[i]))
            ck_abort_msg("%s, %s: element %lld is %.17g, not exactly %.17g", t->label, engine, (long long)i,
                         got[i], n.predicted);
        if (isfinite(n.value) && n.error > 0)
            worst.bound = fmax(worst.bound, fabs(got[i] - n.value) / n.error);
        worst.elements++;
        worst.predicted += n.known;
    }
    check_rms(t, want, got);
}

/* A test whose results are mostly zeros, or unknown, says little. */
static void check_trust(const Trial *t, const Tensor *want)
{
    int64_t telling = 0;
    for (int64_t i = 0; i < want->count; i++)
        telling += want->at[i].value != 0 && want->at[i].error < INFINITY;
    ck_assert_msg(10 * telling >= 3 * want->count, "%s: only %lld of %lld results are not zero", t->label,
                  (long long)telling, (long long)want->count);
    for (int64_t i = 0; i < want->count; i++)
        if (!isfinite(want->at[i].value) && !isinf(t->c->value))
            ck_abort_msg("%s: a result is not finite", t->label);
}

static void run_all(const Trial *t, const Tensor *const want[2], int parts)
{
    static double got[MAX_ENGINES][MOST_ELEMENTS];
    ensemble_clear(t->ensemble, t->batch);
    for (int i = 0; i < t->model->variable.count; i++)
        ensemble_set(t->ensemble, t->model->variable.at[i]->name, t->operand[i]);
    ensemble_run(t->ensemble, PHASE_PREDICT, parts);
    ck_assert_int_le(want[0]->count, MOST_ELEMENTS);
    for (int e = 0; e < t->ensemble->count; e++) {
        const EngineRow *row = &t->ensemble->row[e];
        int64_t count = ensemble_get(t->ensemble, e, PHASE_PREDICT, "y", got[e]);
        ck_assert_int_eq(count, want[0]->count);
        if (row->reference || e == FIRST_F32)
            check_values(t, row->reference ? "reference" : row->engine, want[row->reference], got[e]);
        else
            ck_assert_msg(!memcmp(got[e], got[FIRST_F32], (size_t)count * sizeof got[e][0]),
                          "%s, %s for %s in %d parts: not the interpreter's bits", t->label, row->engine,
                          row->target, parts);
    }
}

/* ---- a case --------------------------------------------------------------------------------------------- */

static double *copy_given(Arena *arena, const Values *given)
{
    return arena_copy(arena, given->at, (size_t)given->count * sizeof(double));
}

static void try_by_hand(Trial *t)
{
    const OpCase *c = t->c;
    static double got[MOST_ELEMENTS];
    t->batch = 2;
    t->arena = arena_new();
    snprintf(t->label, sizeof t->label, "%s, %s", op_info[c->op].name, c->what);
    for (int i = 0; i < t->model->variable.count; i++) {
        ck_assert_int_eq(c->given[i].count, type_count(&c->in[i], t->batch));
        t->operand[i] = copy_given(t->arena, &c->given[i]);
    }
    run_all(t, (const Tensor *const[2]){evaluate(t, false), evaluate(t, true)}, 1);
    for (int e = 0; e < t->ensemble->count; e++) {
        int64_t count = ensemble_get(t->ensemble, e, PHASE_PREDICT, "y", got);
        ck_assert_int_eq(count, c->want.count);
        for (int64_t i = 0; i < count; i++)
            ck_assert_msg(got[i] == c->want.at[i] || (isnan(got[i]) && isnan(c->want.at[i])),
                          "%s, %s: element %lld is %.9g, by hand %.9g", t->label, t->ensemble->row[e].engine,
                          (long long)i, got[i], c->want.at[i]);
    }
    arena_free(t->arena);
}

static void try_fill(Trial *t, Fill fill, int64_t batch)
{
    static const char *const name[FILL_COUNT] = {"small integers", "wide integers", "reals", "spread"};
    static const int parts[] = {3, 1, 2, 7};
    Random random = {(uint64_t)(t->c - op_case) * 1000003u + (uint64_t)batch * 10 + fill};
    t->batch = batch;
    t->arena = arena_new();
    snprintf(t->label, sizeof t->label, "%s, %s, batch %lld, %s", op_info[t->c->op].name, t->c->what,
             (long long)batch, name[fill]);
    for (int i = 0; i < t->model->variable.count; i++) {
        const Type *type = &t->c->in[i];
        int64_t count = type_count(type, batch);
        t->operand[i] = arena_alloc(t->arena, (size_t)count * sizeof(double));
        fill_values(&random, fill, type->dtype, i, t->c->range[i], t->operand[i], count);
    }
    const Tensor *const want[2] = {evaluate(t, false), evaluate(t, true)}; /* by `reference` */
    if (batch == NOMINAL_BATCH || !op_case_grows(t->c))
        check_trust(t, want[0]);
    bool all = batch == 5 || batch == NOMINAL_BATCH || !op_case_grows(t->c);
    for (int p = 0; p < (all ? 4 : 1); p++)
        run_all(t, want, parts[p]);
    arena_free(t->arena);
}

static void expand_gradients(Model *model)
{
    Diagnostics diag = {.out = stderr};
    PipelineOptions options = {
        .target = target_native(), .stop_after = "clean", .dump_to = stderr, .verify = true};
    Program *program;
    ck_assert(pipeline_run(model, &diag, &options, &program));
}

START_TEST(case_holds)
{
    static const int64_t batches[] = {1, 5, 13, NOMINAL_BATCH};
    const OpCase *c = &op_case[_i];
    bool grows = op_case_grows(c),
         sums = op_info[c->op].class == OP_CLASS_CONTRACT || c->op == OP_SUM || c->op == OP_SCATTER_ADD;
    Ensemble ensemble = ensemble_start(engines, ENGINES, build, c);
    Arena *arena = arena_new();
    Trial t = {.c = c, .ensemble = &ensemble, .model = model_new(arena, "case")};
    build(t.model, c);
    if (c->op == OP_GRADIENT)
        expand_gradients(t.model);
    if (c->want.count)
        try_by_hand(&t);
    for (int b = grows ? 0 : 3; b < 4 && !c->given[0].count; b++)
        for (Fill fill = FILL_SMALL; fill <= FILL_REAL; fill++)
            if (fill != FILL_WIDE || sums)
                try_fill(&t, fill, grows ? batches[b] : 1);
    ensemble_stop(&ensemble);
    arena_free(arena);
}
END_TEST

START_TEST(misuse_is_refused)
{
    const OpCase *c = &op_refused[_i];
    Arena *arena = arena_new();
    Node *y = op_case_build(c, model_new(arena, "refused"));
    ck_assert_msg(!y, "%s accepts %s", op_info[c->op].name, c->what);
    ck_assert_msg(strstr(graph_why(), op_info[c->op].name), "%s, %s: '%s' does not name the op",
                  op_info[c->op].name, c->what, graph_why());
    arena_free(arena);
}
END_TEST

START_TEST(every_op_has_a_case)
{
    for (int op = 0; op < OP_COUNT; op++) {
        int by_hand = 0;
        for (int i = 0; i < op_case_count; i++)
            by_hand += (int)op_case[i].op == op && op_case[i].want.count > 0;
        ck_assert_msg(by_hand > 0, "op %s has no case by hand in op_cases.def", op_info[op].name);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ops");
    TCase *cases = tcase_create("cases");
    tcase_add_test(cases, every_op_has_a_case);
    tcase_add_loop_test(cases, misuse_is_refused, 0, op_refused_count);
    tcase_add_loop_test(cases, case_holds, 0, op_case_count);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    if (srunner_fork_status(runner) == CK_NOFORK)
        printf("%d cases, %ld elements, %ld predicted; worst error %.3f of the bound, worst mean %.3f\n",
               op_case_count, worst.elements, worst.predicted, worst.bound, worst.rms);
    srunner_free(runner);
    return failed != 0;
}
