/* Parts made within what they are padded or joined to: the same bits as of separate tensors. A squeeze of channels by 1x1, then
   what that gives is joined to itself convolved, nested, padded, read by others beside; see tests/golden/embed.graph. */
#include "run_model.h"

#include "backend.h"
#include "passes.h"

enum { BATCH = 5, CHANNELS = 24, SIDE = 7 };

static const char *const engines[] = {"interp", "llvm"};

static Type images(int64_t channels, int64_t side)
{
    return (Type){DTYPE_F32, 4, {{1, 1}, {channels, 0}, {side, 0}, {side, 0}}};
}

/* tanh of a convolution of one group, or of as many as there are channels, of an image that has room for it. */
static Node *convolution(Graph *g, Node *x, const char *name, int64_t channels, int64_t kernel,
                         bool depthwise)
{
    const Size *have = x->type.dim;
    int64_t groups = depthwise ? channels : 1;
    Type in = {DTYPE_F32, 5, {{1, 1}, {groups, 0}, {have[1].count / groups, 0}, have[2], have[3]}};
    Type type = {DTYPE_F32, 5, {{groups, 0}, {channels / groups, 0}, in.dim[2], {kernel, 0}, {kernel, 0}}};
    Node *w = graph_variable(g, model_variable(g->model, VARIABLE_PARAM, name, type));
    Ints one = {2, {1, 1}};
    Node *y = graph_add(g, (Node){.op = OP_CONV, .in = {graph_reshape(g, x, in), w}, .attr = {one, one}});
    return graph_unary(g, OP_TANH, graph_reshape(g, y, images(channels, have[2].count - kernel + 1)));
}

static Node *pad(Graph *g, Node *x, int64_t low, int64_t high, double value)
{
    Ints below = {4, {0, 0, low, low}}, above = {4, {0, 0, high, high}};
    return graph_add(g, (Node){.op = OP_PAD, .in = {x}, .attr = {below, above}, .value = value});
}

static Node *join(Graph *g, Node *a, Node *b)
{
    return graph_add(g, (Node){.op = OP_CONCAT, .in = {a, b}, .attr = {{1, {1}}}});
}

/* apart: every node is a result, which lies in memory of its own. */
static Model *network(Arena *arena, bool apart)
{
    Model *model = model_new(arena, "embed");
    Graph *g = model->phase[PHASE_PREDICT];
    model->batch = BATCH;
    Node *x = graph_variable(g, model_variable(model, VARIABLE_INPUT, "x", images(CHANNELS, SIDE)));
    Node *a = convolution(g, x, "a", CHANNELS, 1, false), *b = convolution(g, a, "b", CHANNELS, 1, false);
    Node *two = join(g, a, b), *c = convolution(g, two, "c", CHANNELS, 1, false);
    Node *wide = pad(g, join(g, two, c), 1, 2, 0.25);
    Node *y = convolution(g, wide, "w", 3 * CHANNELS, 3, true);
    Node *beside = graph_binary(g, OP_MUL, a, graph_binary(g, OP_ADD, b, c));
    list_add(arena, &g->result, ((Result){RESULT_OUTPUT, "y", y}));
    list_add(arena, &g->result, ((Result){RESULT_OUTPUT, "beside", beside}));
    for (int i = 0; apart && i < g->node.count; i++)
        if (g->node.at[i]->op != OP_VARIABLE)
            list_add(arena, &g->result,
                     ((Result){RESULT_OUTPUT, arena_printf(arena, "node %d", i), g->node.at[i]}));
    return model;
}

static void predict(Run *run)
{
    static const char *const given[] = {"x", "a", "b", "c", "w"};
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        run_fill(run, PHASE_PREDICT, given[i]);
    run_phase(run, PHASE_PREDICT, 2);
}

START_TEST(embedded_is_apart)
{
    Arena *arena = arena_new();
    Run embedded = run_start(network(arena, false), engines[_i], "x86-64-v3", false);
    Run apart = run_start(network(arena, true), engines[_i], "x86-64-v3", false);
    /* convolutions, what is beside them, and the border's four sides */
    ck_assert_int_eq(embedded.program->phase[PHASE_PREDICT].count, 5 + 4);
    predict(&embedded);
    predict(&apart);
    run_compare(&embedded, &apart, PHASE_PREDICT, "y");
    run_compare(&embedded, &apart, PHASE_PREDICT, "beside");
    run_stop(&embedded);
    run_stop(&apart);
    arena_free(arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("embed");
    TCase *cases = tcase_create("embed");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, embedded_is_apart, 0, 2);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
