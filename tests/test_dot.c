/* Graphviz text: one small graph whole; hostile names stay within their quotes; every model's text is balanced. */
#include "dot.h"
#include "graph_samples.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static Arena *arena;

static void set_up(void) { arena = arena_new(); }
static void tear_down(void) { arena_free(arena); }

static const char *dot_of(const Model *model)
{
    Text text = {0};
    model_dot(&text, model);
    const char *copy = arena_string(arena, text_string(&text));
    text_free(&text);
    return copy;
}

START_TEST(a_graph_is_drawn_like_this)
{
    Model *model = model_new(arena, "net");
    Graph *g = model->phase[PHASE_TEST];
    Variable *total = model_variable(model, VARIABLE_METRIC, "metric.\"loss\"", TYPE(F32, {2, 0}));
    Node *old = graph_variable(g, total);
    g->scope = "head\n";
    Node *sum = graph_reduce(g, OP_SUM, old, SIZES(0));
    Node *more = graph_binary(g, OP_ADD, old, graph_broadcast(g, graph_number(g, DTYPE_F32, 0.5), old->type));
    list_add(arena, &g->result, ((Result){RESULT_LOSS, "loss", sum}));
    list_add(arena, &g->assign, ((Assign){total, more}));
    static const char want[] =
        "digraph \"net\" {\n"
        "    node [fontname=\"sans-serif\", fontsize=10];\n"
        "    subgraph cluster_test {\n"
        "        label=\"test\";\n"
        "        test_0 [shape=ellipse, label=\"metric.\\\"loss\\\"\\nf32[2]\"];\n"
        "        test_1 [shape=box, label=\"sum\\naxes 0\\nf32[]\\nhead?\"];\n"
        "        test_0 -> test_1;\n"
        "        test_2 [shape=box, label=\"const 0.5\\nf32[]\\nhead?\"];\n"
        "        test_3 [shape=box, label=\"broadcast\\nf32[2]\\nhead?\"];\n"
        "        test_2 -> test_3;\n"
        "        test_4 [shape=box, label=\"add\\nf32[2]\\nhead?\"];\n"
        "        test_0 -> test_4;\n"
        "        test_3 -> test_4;\n"
        "        test_result0 [shape=box, peripheries=2, label=\"loss\"];\n"
        "        test_1 -> test_result0;\n"
        "        test_assign0 [shape=ellipse, peripheries=2, label=\"metric.\\\"loss\\\"\"];\n"
        "        test_4 -> test_assign0 [style=dashed];\n"
        "    }\n"
        "}\n";
    ck_assert_str_eq(dot_of(model), want);
    Text text = {0};
    graph_dot(&text, g);
    ck_assert_str_eq(text_string(&text), want);
    text_free(&text);
}
END_TEST

START_TEST(each_phase_is_a_cluster)
{
    const char *text = dot_of(sample_model(arena));
    for (int p = 0; p < PHASE_COUNT; p++)
        ck_assert_ptr_nonnull(strstr(text, arena_printf(arena, "subgraph cluster_%s {", phase_name[p])));
    int depth = 0;
    bool inside = false;
    for (const char *c = text; *c; c++) {
        if (*c == '\\')
            c++;
        else if (*c == '"')
            inside = !inside;
        else if (!inside)
            depth += (*c == '{') - (*c == '}');
        ck_assert(depth >= 0 && (*c != '\n' || !inside));
    }
    ck_assert_int_eq(depth, 0);
    ck_assert(!inside);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dot");
    TCase *cases = tcase_create("dot");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, a_graph_is_drawn_like_this);
    tcase_add_test(cases, each_phase_is_a_cluster);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
