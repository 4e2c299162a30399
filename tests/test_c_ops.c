/* The kernels that the passes make of every op's cases, as C: each compiler's function leaves the interpreter's bytes in the
   whole arena. All cases are one C file, as the kernels of a large program are. */
#include "c.h"
#include "compile_c.h"
#include "fill.h"
#include "interp.h"
#include "op_cases.h"
#include "run_model.h"

enum { BATCH = 24, SMALLER = 5, MOST_BYTES = 1 << 24 };

typedef struct Case {
    const OpCase *op;
    Program *program;
    Interp *interp;
    int first; /* its kernels, in the common table */
} Case;

typedef LIST(Kernel *) Kernels;

static Program *make_program(Arena *arena, const OpCase *op, const Target *target)
{
    Model *model = model_new(arena, "case");
    model->batch = op_case_grows(op) ? BATCH : 1;
    ck_assert_ptr_nonnull(op_case_build(op, model));
    Diagnostics diag = {.out = stderr};
    PipelineOptions options = {.target = target, .verify = true, .dump_to = stderr};
    Program *program;
    ck_assert(pipeline_run(model, &diag, &options, &program));
    return program;
}

/* Names are unique in a program only. */
static Case make_case(Arena *arena, const OpCase *op, const Target *target, Kernels *kernels)
{
    Case c = {.op = op, .program = make_program(arena, op, target), .first = kernels->count};
    for (int k = 0; k < c.program->kernel.count; k++) {
        Kernel *kernel = c.program->kernel.at[k];
        kernel->name = arena_printf(arena, "case%d_%s", (int)(op - op_case), kernel->name);
        list_add(arena, kernels, kernel);
    }
    c.interp = interp_start(c.program, NULL);
    return c;
}

/* ---- running -------------------------------------------------------------------------------------------- */

typedef struct CaseEngine {
    const Case *c;
    NetcKernel *const *table;
} CaseEngine;

static void call_case(void *state, int kernel, void *const *buffer, const int64_t *argument, int64_t begin,
                      int64_t end)
{
    const CaseEngine *e = state;
    if (e->table)
        e->table[e->c->first + kernel](buffer, argument, begin, end);
    else
        interp_call(e->c->interp, kernel, buffer, argument, begin, end);
}

static const Engine case_engine = {.call = call_case};

/* The bytes after the phase, run by the table's functions, or, if that is NULL, by the interpreter. */
static void run_case(const Case *c, NetcKernel *const *table, int64_t batch, char *bytes)
{
    memset(bytes, 0xff, (size_t)c->program->arena_bytes);
    Run run = {.program = c->program, .arena = bytes, .batch = batch};
    Random random = {(uint64_t)(c->op - op_case) + 1};
    for (int b = 0, operand = 0; b < c->program->buffer.count; b++) {
        const Buffer *buffer = &c->program->buffer.at[b];
        if (buffer->kind != BUFFER_VARIABLE)
            continue;
        int64_t count = run_count(&run, b);
        double *value = calloc((size_t)count + 1, sizeof *value);
        ck_assert_ptr_nonnull(value);
        fill_values(&random, FILL_REAL, buffer->type.dtype, operand, c->op->range[operand], value, count);
        run_set(&run, b, value);
        free(value);
        operand++;
    }
    CaseEngine state = {c, table};
    run.state = &state;
    run.engine = &case_engine;
    run_phase(&run, PHASE_PREDICT, 1);
}

static void compare_case(const Case *c, NetcKernel *const *table, int64_t batch, const char *how)
{
    static char want[MOST_BYTES] __attribute__((aligned(64))), got[MOST_BYTES] __attribute__((aligned(64)));
    ck_assert_int_le(c->program->arena_bytes, MOST_BYTES);
    run_case(c, NULL, batch, want);
    run_case(c, table, batch, got);
    for (int64_t i = 0; i < c->program->arena_bytes; i++)
        ck_assert_msg(got[i] == want[i], "%s, %s, batch %lld: byte %lld of the arena differs by %s",
                      op_info[c->op->op].name, c->op->what, (long long)batch, (long long)i, how);
}

static const CompileRow builds[] = {
    {"gcc", "-O1", "native"},
    {"clang-22", "-O1", "native"},
    {"gcc", "-O1", "x86-64"},
};

START_TEST(every_ops_kernels_give_the_interpreters_bytes)
{
    const CompileRow *build = &builds[_i];
    const Target *target = target_find(build->target);
    if (!compile_can(build))
        return;
    Arena *arena = arena_new();
    Case *cases = arena_alloc(arena, (size_t)op_case_count * sizeof *cases);
    Kernels kernels = {0};
    for (int i = 0; i < op_case_count; i++)
        cases[i] = make_case(arena, &op_case[i], target, &kernels);
    Text text = {0};
    c_print_kernels(&text, arena, kernels.at, kernels.count);
    NetcKernel *const *table = compile_load(arena, build, &text);
    for (int i = 0; i < op_case_count; i++) {
        compare_case(&cases[i], table, op_case_grows(cases[i].op) ? BATCH : 1, build->compiler);
        if (op_case_grows(cases[i].op))
            compare_case(&cases[i], table, SMALLER, build->compiler);
        interp_stop(cases[i].interp);
    }
    text_free(&text);
    arena_free(arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("c_ops");
    TCase *cases = tcase_create("c_ops");
    tcase_set_timeout(cases, 300);
    tcase_add_unchecked_fixture(cases, compile_open, compile_close);
    tcase_add_loop_test(cases, every_ops_kernels_give_the_interpreters_bytes, 0,
                        sizeof builds / sizeof *builds);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
