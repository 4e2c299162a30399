/* Kernels of one form are made once: the passes' work does not grow with depth; and what differs in anything but buffers and
   constants of calls is of another form. */
#include "backend.h"
#include "form.h"
#include "frontend.h"
#include "run_model.h"

#include <stdio.h>

/* ---- depth ---------------------------------------------------------------------------------------------- */

typedef struct Counts {
    int forms, kernels, functions;
} Counts;

/* Loops, one behind the other. */
static const char recurrent[] =
    "const depth = 1;\n"
    "net deep(x: f32[batch, 28, 28]) {\n"
    "    y = x;\n"
    "    repeat depth as i { memory = y |> lstm(28) as recurrent; y = memory.all; }\n"
    "    z = flatten(y);\n"
    "    return class = softmax(z);\n"
    "}\n"
    "train deep {\n"
    "    data      mnist(\"mnist\") as (pixels: u8[batch, 1, 28, 28], digit: i32[batch]);\n"
    "    x         = reshape(f32(pixels), [batch, 28, 28]);\n"
    "    loss      mean(z * z);\n"
    "    optimizer sgd(lr = 1e-3);\n"
    "    batch     64;\n"
    "    epochs    2;\n"
    "}\n";

static Counts count(const char *path, const char *define)
{
    Arena *arena = arena_new();
    Diagnostics diag = {.out = stderr};
    Model *model = path ? frontend_load(arena, &diag, path, &define, 1)
                        : frontend_text(arena, &diag, "recurrent", recurrent, strlen(recurrent), &define, 1);
    ck_assert_ptr_nonnull(model);
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    PipelineOptions options = {.target = target_find("x86-64-v3"), .dump_to = out, .time = true};
    Program *program;
    ck_assert(pipeline_run(model, &diag, &options, &program));
    fclose(out);
    Counts counts = {.functions = program->kernel.count};
    const char *line = strstr(text, "passes ");
    ck_assert_ptr_nonnull(line);
    ck_assert_int_eq(sscanf(strchr(line, '\n'), "%d forms of %d", &counts.forms, &counts.kernels), 2);
    ck_assert_int_ge(counts.kernels, program->call.count); /* some are chained */
    free(text);
    arena_free(arena);
    return counts;
}

/* Not at all but for a few at borders: where a sum over all parameters is cut because its kernel is full. */
enum { FEW = 8 };

START_TEST(work_does_not_grow_with_depth)
{
    static const struct {
        const char *path, *shallow, *deep;
        int more; /* kernels, at least */
    } net[] = {
        {NETC_SOURCE "/examples/resnet.net", "n=12", "n=18", 1000},
        {NETC_SOURCE "/examples/gpt.net", "depth=4", "depth=8", 500},
        {NULL, "depth=4", "depth=8", 120},
    };
    Counts shallow = count(net[_i].path, net[_i].shallow), deep = count(net[_i].path, net[_i].deep);
    ck_assert_int_ge(deep.kernels, shallow.kernels + net[_i].more);
    ck_assert_int_le(deep.forms, shallow.forms + FEW);
    ck_assert_int_le(deep.functions, shallow.functions + FEW);
}
END_TEST

/* ---- alike, but not equal ------------------------------------------------------------------------------- */

enum { LENGTH = 5, SHORT = 3 };

static Node *pad(Graph *g, Node *x, int64_t low, int64_t high, double value)
{
    return graph_add(g, (Node){.op = OP_PAD, .in = {x}, .attr = {{1, {low}}, {1, {high}}}, .value = value});
}

static Node *slice(Graph *g, Node *x, int64_t begin)
{
    Type type = {DTYPE_F32, 1, {size_of(SHORT)}};
    return graph_add(g, (Node){.op = OP_SLICE, .in = {x}, .type = type, .attr = {{1, {begin}}, {1, {1}}}});
}

static Node *number(Graph *g, const Node *like, double value) { return graph_const(g, like->type, value); }

static void check(Run *run, const char *name, int length, const double *want)
{
    double got[LENGTH + 1];
    int buffer = run_buffer(run, PHASE_PREDICT, name);
    ck_assert_int_eq((int)run_count(run, buffer), length);
    run_get(run, buffer, got);
    for (int i = 0; i < length; i++)
        ck_assert_msg(got[i] == want[i], "%s[%d] is %g, not %g", name, i, got[i], want[i]);
}

static int kernel_of(const Run *run, const char *name)
{
    int buffer = run_buffer(run, PHASE_PREDICT, name);
    for (int i = 0; i < run->program->call.count; i++) {
        const Call *call = &run->program->call.at[i];
        const Kernel *kernel = run->program->kernel.at[call->kernel];
        for (int k = 0; k < kernel->buffer.count; k++)
            if (kernel->buffer.at[k].written && call->buffer[k] == buffer)
                return call->kernel;
    }
    ck_abort_msg("nothing writes '%s'", name);
    return -1;
}

START_TEST(what_differs_is_not_shared)
{
    Arena *arena = arena_new();
    Model *model = model_new(arena, "alike");
    Graph *g = model->phase[PHASE_PREDICT];
    Type type = {DTYPE_F32, 1, {size_of(LENGTH)}};
    Node *x = graph_variable(g, model_variable(model, VARIABLE_INPUT, "x", type));
    Node *w = graph_variable(g, model_variable(model, VARIABLE_PARAM, "w", type));
    const struct {
        const char *name;
        Node *node;
        int length;
        double want[LENGTH + 1];
    } result[] = {
        /* of x = 1 … 5, w = 10, 20 … 50 */
        {"x + w", graph_binary(g, OP_ADD, x, w), 5, {11, 22, 33, 44, 55}},
        {"w + x", graph_binary(g, OP_ADD, w, x), 5, {11, 22, 33, 44, 55}},
        {"x + x", graph_binary(g, OP_ADD, x, x), 5, {2, 4, 6, 8, 10}},
        {"w - x", graph_binary(g, OP_SUB, w, x), 5, {9, 18, 27, 36, 45}},
        {"2 x", graph_binary(g, OP_MUL, x, number(g, x, 2)), 5, {2, 4, 6, 8, 10}},
        {"3 x", graph_binary(g, OP_MUL, x, number(g, x, 3)), 5, {3, 6, 9, 12, 15}},
        {"3 w", graph_binary(g, OP_MUL, w, number(g, x, 3)), 5, {30, 60, 90, 120, 150}},
        {"x from 0", slice(g, x, 0), 3, {1, 2, 3}},
        {"x from 2", slice(g, x, 2), 3, {3, 4, 5}},
        {"w from 2", slice(g, w, 2), 3, {30, 40, 50}},
        {"x behind 0", pad(g, x, 1, 0, 0), 6, {0, 1, 2, 3, 4, 5}},
        {"x behind 7", pad(g, x, 1, 0, 7), 6, {7, 1, 2, 3, 4, 5}},
        {"x before 7", pad(g, x, 0, 1, 7), 6, {1, 2, 3, 4, 5, 7}},
    };
    enum { COUNT = sizeof result / sizeof result[0] };
    for (int i = 0; i < COUNT; i++)
        list_add(arena, &g->result, ((Result){RESULT_OUTPUT, result[i].name, result[i].node}));
    Run run = run_start(model, "interp", "x86-64-v3", false);
    run_set(&run, run_buffer(&run, PHASE_PREDICT, "x"), (const double[]){1, 2, 3, 4, 5});
    run_set(&run, run_buffer(&run, PHASE_PREDICT, "w"), (const double[]){10, 20, 30, 40, 50});
    run_phase(&run, PHASE_PREDICT, 1);
    for (int i = 0; i < COUNT; i++)
        check(&run, result[i].name, result[i].length, result[i].want);

    ck_assert_int_eq(kernel_of(&run, "x + w"), kernel_of(&run, "w + x"));
    ck_assert_int_eq(kernel_of(&run, "3 x"), kernel_of(&run, "3 w"));
    ck_assert_int_eq(kernel_of(&run, "x from 2"), kernel_of(&run, "w from 2"));
    ck_assert_int_eq(run.program->kernel.count, COUNT - 3);
    run_stop(&run);
    arena_free(arena);
}
END_TEST

/* ---- copies --------------------------------------------------------------------------------------------- */

START_TEST(a_copy_is_its_own)
{
    Arena *arena = arena_new();
    Exprs *pool = exprs_new(arena);
    expr_set_extent(pool, 0, size_of(100));
    Expr *at = expr_mul(pool, expr_axis(pool, 0), expr_int(pool, DTYPE_I64, 3));
    Compute old = {.name = "old", .pool = pool, .outputs = 1, .form = 7};
    list_add(arena, &old.axis, ((ComputeAxis){size_of(100), NULL}));
    list_add(arena, &old.buffer, ((ComputeBuffer){4, DTYPE_F32, true, true}));
    list_add(arena, &old.store, ((ComputeStore){0, at, expr_load(pool, DTYPE_F32, 0, at, NULL, NULL)}));
    int before = exprs_count(pool);

    Compute *copy = compute_copy(&old);
    Text a = {0}, b = {0};
    compute_print(&a, &old);
    compute_print(&b, copy);
    ck_assert_str_eq(text_string(&a), text_string(&b));
    ck_assert_int_eq(copy->form, 0);
    ck_assert_int_eq(exprs_count(copy->pool), before);
    ck_assert_ptr_ne(copy->store.at[0].at, at);
    /* equal expressions are one in the copy's pool, too */
    Expr *again = expr_mul(copy->pool, expr_axis(copy->pool, 0), expr_int(copy->pool, DTYPE_I64, 3));
    ck_assert_ptr_eq(copy->store.at[0].at, again);

    copy->buffer.at[0].id = 5;
    copy->store.at[0].at = expr_axis(copy->pool, 0);
    expr_axis(copy->pool, 1);
    expr_set_extent(copy->pool, 0, size_of(2));
    ck_assert_int_eq(old.buffer.at[0].id, 4);
    ck_assert_ptr_eq(old.store.at[0].at, at);
    ck_assert_int_eq(exprs_count(pool), before);
    ck_assert(expr_mod(pool, expr_axis(pool, 0), expr_int(pool, DTYPE_I64, 50))->kind == EXPR_APPLY);
    text_free(&a);
    text_free(&b);
    arena_free(arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("forms");
    TCase *cases = tcase_create("forms");
    tcase_add_loop_test(cases, work_does_not_grow_with_depth, 0, 3);
    tcase_add_test(cases, what_differs_is_not_shared);
    tcase_add_test(cases, a_copy_is_its_own);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
