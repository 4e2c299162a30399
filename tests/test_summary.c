/* netc --summary of a program made by hand. */
#include "program_samples.h"
#include "summary.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static Arena *arena;

static void set_up(void) { arena = arena_new(); }
static void tear_down(void) { arena_free(arena); }

static const char *summary_of(const Program *program)
{
    Text text = {0};
    summary_print(&text, program, NULL);
    const char *copy = arena_string(arena, text_string(&text));
    text_free(&text);
    return copy;
}

static void ck_assert_line(const char *text, const char *line)
{
    const char *at = strstr(text, line);
    ck_assert_msg(at && (at == text || at[-1] == '\n') && at[strlen(line)] == '\n', "no line '%s' in\n%s",
                  line, text);
}

START_TEST(a_summary_reads_like_this)
{
    Program *program = sample_program(arena);
    program->arena_bytes = 640;
    program->kernel.at[1]->flops = 1234567;
    ck_assert_str_eq(
        summary_of(program),
        "net: prediction at batch 10, for x86-64\n"
        "\n"
        "layer  output         parameters  weight bytes  activation bytes      FLOPs\n"
        "head   f32[batch, 3]           3            12               120  1,234,567\n"
        "total                          3            12               120  1,234,567\n"
        "\n"
        "training net: batch 10, 3 epochs, seed 7, stops after 2 epochs without a better value, best by the "
        "first metric on valid, else by the training loss\n"
        "    train = csv(path = \"a \"b\".csv\", limit = 0.1)\n"
        "    options: --lr\n"
        "\n"
        "FLOPs of a training step 1,234,767, of a prediction 1,234,567\n"
        "weights 12 bytes, states 0, optimizer 12\n"
        "peak memory      bytes  lower bound   excess    most alive at\n"
        "training step      512          512   0.00 %    call 3: loss sum\n"
        "prediction         448          448   0.00 %    call 5: head mul\n"
        "whole program      640          576  11.11 %    call 2: head mul\n");
}
END_TEST

START_TEST(what_differs_from_the_defaults_is_said)
{
    Program *program = sample_program(arena);
    Model *model = program->model;
    Variable *w = model->variable.at[0];
    Variable *b = model_variable(model, VARIABLE_PARAM, "head.b", TYPE(F32, {1, 0}));
    static const char head[] = "head   f32[batch, 3]           4            16               120    100";
    w->decay = false;
    w->lr_scale = 0.1;
    ck_assert_line(summary_of(program), arena_printf(arena, "%s  no decay: w, learning rate: w x0.1", head));
    b->decay = false;
    ck_assert_line(summary_of(program), arena_printf(arena, "%s  no decay, learning rate: w x0.1", head));
    w->trainable = false;
    ck_assert_line(summary_of(program), arena_printf(arena, "%s  frozen: w, no decay: b", head));
    b->trainable = false;
    ck_assert_line(summary_of(program), arena_printf(arena, "%s  frozen", head));

    model->training->best = "top1";
    model->training->patience = 0;
    ck_assert_line(summary_of(program),
                   "training net: batch 10, 3 epochs, seed 7, never stops early, best by top1");
    model->training = NULL;
    ck_assert_line(summary_of(program), "no training: batch 10 by default");
}
END_TEST

/* A parameter belongs to the layer with the longest path before it; without one it is a layer of its own. */
START_TEST(parameters_belong_to_their_layers)
{
    Program *program = sample_program(arena);
    Model *model = program->model;
    model_variable(model, VARIABLE_PARAM, "head.norm.gain", TYPE(F32, {1000, 0}));
    model_variable(model, VARIABLE_PARAM, "header.bias", TYPE(F32, {7, 0}));
    model_variable(model, VARIABLE_PARAM, "alone", TYPE(F32, {5, 0}));
    const char *text = summary_of(program);
    ck_assert_line(text, "head    f32[batch, 3]       1,003         4,012               120    100");
    ck_assert_line(text, "header                          7            28                 0      0");
    ck_assert_line(text, "alone                           5            20                 0      0");
    ck_assert_line(text, "total                       1,015         4,060               120    100");
}
END_TEST

START_TEST(winograds_convolutions_are_named)
{
    Program *program = sample_program(arena);
    Graph *g = program->model->phase[PHASE_PREDICT];
    ck_assert_msg(!strstr(summary_of(program), "Winograd"), "there is none");
    for (int i = 1; i <= 2; i++) {
        g->scope = arena_printf(arena, "conv%d", i);
        Node *product = graph_const(g, TYPE(F32, {6, 0}, {6, 0}, {2, 0}, {i, 0}), 1);
        graph_add(g, (Node){.op = OP_WINOGRAD_OUTPUT,
                            .in = {product},
                            .type = TYPE(F32, {1, 0}, {1, 0}, {i, 0}, {4, 0}, {8, 0}),
                            .attr = {SIZES(4, 3)}});
    }
    ck_assert_line(summary_of(program), "by Winograd's method: conv1 4x4, conv2 4x4");
}
END_TEST

START_TEST(without_prediction_the_training_step_is_listed)
{
    Program *program = sample_program(arena);
    program->phase[PHASE_PREDICT].count = 0;
    program->model->phase[PHASE_STEP]->scope = "loss";
    program->call.count = 5;
    const char *text = summary_of(program);
    ck_assert_line(text, "net: a training step at batch 10, for x86-64");
    ck_assert_line(text, "loss                    0             0                 4    100");
    ck_assert_msg(!strstr(text, "prediction   "), "%s", text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("summary");
    TCase *cases = tcase_create("summary");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, a_summary_reads_like_this);
    tcase_add_test(cases, what_differs_from_the_defaults_is_said);
    tcase_add_test(cases, parameters_belong_to_their_layers);
    tcase_add_test(cases, winograds_convolutions_are_named);
    tcase_add_test(cases, without_prediction_the_training_step_is_listed);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
