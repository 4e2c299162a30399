/* The verifiers of Graph and Model: each fault planted once into a sound model, the whole message compared.
 */
#include "graph.h"
#include "graph_samples.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Plant {
    const char *message;
    void (*plant)(Model *model);
} Plant;

static Graph *step_of(Model *model) { return model->phase[PHASE_STEP]; }
static Node *matmul_of(Model *model) { return step_of(model)->node.at[3]; }

/* ---- nodes --------------------------------------------------------------------------------------------- */

static void wrong_id(Model *m) { matmul_of(m)->id = 5; }
static void no_op(Model *m) { matmul_of(m)->op = OP_COUNT; }
static void too_many_inputs(Model *m) { matmul_of(m)->in[2] = matmul_of(m)->in[0]; }
static void too_few_inputs(Model *m) { matmul_of(m)->in[1] = NULL; }
static void foreign_input(Model *m) { matmul_of(m)->in[1] = m->phase[PHASE_INIT]->node.at[1]; }
static void later_input(Model *m) { matmul_of(m)->in[0] = step_of(m)->node.at[4]; }
static void own_input(Model *m) { matmul_of(m)->in[0] = matmul_of(m); }
static void too_many_attributes(Model *m) { step_of(m)->node.at[4]->attr[1].count = 1; }
static void too_many_values(Model *m) { step_of(m)->node.at[4]->attr[0].count = 9; }
static void useless_value(Model *m) { matmul_of(m)->value = 2; }
static void useless_variable(Model *m) { matmul_of(m)->variable = m->variable.at[0]; }
static void wrong_type(Model *m) { matmul_of(m)->type.dim[1] = size_of(4); }
static void wrong_element(Model *m) { matmul_of(m)->type.dtype = DTYPE_F64; }
static void no_element(Model *m) { matmul_of(m)->type.dtype = DTYPE_COUNT; }
static void deep_type(Model *m) { matmul_of(m)->type.rank = 9; }
static void huge_type(Model *m) { matmul_of(m)->type.dim[1] = size_of(MAX_DIM + 1); }
static void negative_power(Model *m) { matmul_of(m)->type.dim[0].power = -1; }
static void refused(Model *m) { step_of(m)->node.at[4]->attr[0].at[1] = 0; }
static void wrong_variable_type(Model *m) { m->variable.at[4]->type.dtype = DTYPE_I8; }
static void foreign_variable(Model *m)
{
    Variable *copy = arena_copy(m->arena, m->variable.at[4], sizeof *copy);
    step_of(m)->node.at[0]->variable = copy;
}
static void wrong_gradient(Model *m) { step_of(m)->node.at[5]->variable = m->variable.at[1]; }
static void growing_finish(Model *m)
{
    Graph *g = m->phase[PHASE_FINISH];
    Node *total = g->node.at[0];
    graph_broadcast(g, total, TYPE(F32, BATCH));
}
static void equal_nodes(Model *m)
{
    Graph *g = step_of(m);
    Node *copy = arena_copy(m->arena, matmul_of(m), sizeof *copy);
    copy->id = g->node.count;
    list_add(m->arena, &g->node, copy);
}

/* ---- results and assigns ------------------------------------------------------------------------------- */

static void unnamed_result(Model *m) { step_of(m)->result.at[0].name = ""; }
static void kindless_result(Model *m) { step_of(m)->result.at[0].kind = (ResultKind)3; }
static void foreign_result(Model *m) { step_of(m)->result.at[0].node = m->phase[PHASE_TEST]->node.at[2]; }
static void wide_result(Model *m) { step_of(m)->result.at[0].node = matmul_of(m); }
static void two_results(Model *m)
{
    Graph *g = step_of(m);
    list_add(m->arena, &g->result, ((Result){RESULT_OUTPUT, "loss", matmul_of(m)}));
}
static void foreign_assign(Model *m) { step_of(m)->assign.at[0].node = m->phase[PHASE_TEST]->node.at[2]; }
static void wrong_assign(Model *m) { step_of(m)->assign.at[0].node = matmul_of(m); }
static void unknown_assign(Model *m)
{
    step_of(m)->assign.at[0].variable = arena_copy(m->arena, m->variable.at[0], sizeof(Variable));
}
static void two_assigns(Model *m)
{
    Graph *g = step_of(m);
    list_add(m->arena, &g->assign, g->assign.at[0]);
}
static void assigned_input(Model *m)
{
    Graph *g = step_of(m);
    list_add(m->arena, &g->assign, ((Assign){m->variable.at[4], g->node.at[0]}));
}
static void test_sets_state(Model *m)
{
    Graph *g = m->phase[PHASE_TEST];
    Variable *mean = m->variable.at[1];
    list_add(m->arena, &g->assign, ((Assign){mean, graph_const(g, mean->type, 0)}));
}

/* ---- model --------------------------------------------------------------------------------------------- */

static void unnamed_model(Model *m) { m->name = ""; }
static void no_batch(Model *m) { m->batch = 0; }
static void unnamed_variable(Model *m) { m->variable.at[1]->name = NULL; }
static void wrong_variable_id(Model *m) { m->variable.at[1]->id = 0; }
static void kindless_variable(Model *m) { m->variable.at[1]->kind = (VariableKind)7; }
static void unset_preparation(Model *m) { m->phase[PHASE_PREPARE]->assign.count = 0; }
static void early_preparation(Model *m) { graph_variable(m->phase[PHASE_TEST], model_find(m, "prepared.w")); }
static void huge_variable(Model *m) { m->variable.at[1]->type = TYPE(F32, {MAX_DIM, 0}, {MAX_DIM, 0}); }
static void two_variables(Model *m) { m->variable.at[1]->name = "x"; }
static void lone_slot(Model *m) { m->variable.at[2]->of = NULL; }
static void slot_of_state(Model *m) { m->variable.at[2]->of = m->variable.at[1]; }
static void owned_state(Model *m) { m->variable.at[1]->of = m->variable.at[0]; }
static void infinite_rate(Model *m) { m->variable.at[0]->lr_scale = INFINITY; }
static void unknown_scalar(Model *m) { m->variable.at[7]->name = "steps"; }
static void wrong_scalar(Model *m) { m->variable.at[7]->type.dtype = DTYPE_I32; }
static void wrong_seed(Model *m) { m->variable.at[6]->type.dim[0] = size_of(4); }
static void foreign_phase(Model *m) { m->phase[PHASE_TEST] = sample_model(m->arena)->phase[PHASE_TEST]; }
static void unset_state(Model *m) { m->phase[PHASE_INIT]->assign.count = 2; }
static void early_read(Model *m)
{
    Graph *init = m->phase[PHASE_INIT];
    init->assign.at[1].node = graph_variable(init, m->variable.at[0]);
}

/* ---- training ------------------------------------------------------------------------------------------ */

static void unnamed_training(Model *m) { m->training->name = ""; }
static void no_training_batch(Model *m) { m->training->batch = 0; }
static void no_epochs(Model *m) { m->training->epochs = 0; }
static void many_epochs(Model *m) { m->training->epochs = (int64_t)INT32_MAX + 1; }
static void negative_seed(Model *m) { m->training->seed = -1; }
static void endless_patience(Model *m) { m->training->patience = INT64_MAX; }
static void unknown_split(Model *m) { m->training->source.at[0].split = "trial"; }
static void unnamed_source(Model *m) { m->training->source.at[0].source = "my source"; }
static void unnamed_argument(Model *m) { m->training->source.at[0].argument.at[0].name = "1st"; }
static void two_sources(Model *m)
{
    DataSource copy = m->training->source.at[0];
    list_add(m->arena, &m->training->source, copy);
}
static void field_of_param(Model *m) { m->training->field.at[0].input = m->variable.at[0]; }
static void unnamed_option(Model *m) { m->training->option.at[0].name = "learning rate"; }
static void unknown_option(Model *m) { m->training->option.at[0].name = "rate"; }
static void two_options(Model *m) { list_add(m->arena, &m->training->option, (Option){"lr"}); }
static void many_options(Model *m)
{
    for (int i = 0; i < 32; i++)
        list_add(m->arena, &m->training->option, (Option){"lr"});
}
static void unknown_metric(Model *m) { m->training->best = "top1"; }

static const Plant plants[] = {
    {"step: a node has id 5 at place 3", wrong_id},
    {"step: %3 has no op", no_op},
    {"step: %3 matmul 'head': takes 2 inputs, but input 2 is set", too_many_inputs},
    {"step: %3 matmul 'head': input 1 is no node of this graph", too_few_inputs},
    {"step: %3 matmul 'head': input 1 is no node of this graph", foreign_input},
    {"step: %3 matmul 'head': input 0 is %4, which is not made before it", later_input},
    {"step: %3 matmul 'head': input 0 is %3, which is not made before it", own_input},
    {"step: %4 sum: has 1 attributes, but attribute 1 is set", too_many_attributes},
    {"step: %4 sum: attribute 0 has 9 values, not 0 to 8", too_many_values},
    {"step: %3 matmul 'head': has a value, which its op does not know", useless_value},
    {"step: %3 matmul 'head': has a variable, which its op does not know", useless_variable},
    {"step: %3 matmul 'head': gives f32[batch, 3], but is marked f32[batch, 4]", wrong_type},
    {"step: %3 matmul 'head': gives f32[batch, 3], but is marked f64[batch, 3]", wrong_element},
    {"step: %3 matmul 'head': the element type is none", no_element},
    {"step: %3 matmul 'head': rank 9 is not 0 to 8", deep_type},
    {"step: %3 matmul 'head': f32[batch, 1099511627777] is too large: no size may exceed 2^40, no tensor "
     "2^48 "
     "elements",
     huge_type},
    {"step: %3 matmul 'head': size 0 is a negative power of batch", negative_power},
    {"step: %4 sum: sum: axes are not axes of f32[batch, 3]", refused},
    {"step: %0 variable 'head': is u8[batch, 4], but 'x' is i8[batch, 4]", wrong_variable_type},
    {"step: %0 variable 'head': its variable is none of the model", foreign_variable},
    {"step: %5 gradient: its variable is not its input's", wrong_gradient},
    {"finish: %1 broadcast: f32[batch] grows with the batch, which finish may not", growing_finish},
    {"step: %3 and %10 are equal, but two nodes", equal_nodes},

    {"step: result 0 has no name", unnamed_result},
    {"step: result 'loss' has no kind", kindless_result},
    {"step: result 'loss' is no node of this graph", foreign_result},
    {"step: result 'loss' is f32[batch, 3], but a loss or metric is f32[]", wide_result},
    {"step: two results are named 'loss'", two_results},
    {"step: 'head.weight' is set to no node of this graph", foreign_assign},
    {"step: 'head.weight' is f32[4, 3], but %3 is f32[batch, 3]", wrong_assign},
    {"step: assign 0 sets no variable of the model", unknown_assign},
    {"step: 'head.weight' is set twice", two_assigns},
    {"step: 'x' may not be set in this phase", assigned_input},
    {"test: 'norm.mean' may not be set in this phase", test_sets_state},

    {"the model has no name", unnamed_model},
    {"the model's batch is not 1 to 2147483647", no_batch},
    {"variable 1 has no name", unnamed_variable},
    {"variable 'norm.mean' has id 0 at place 1", wrong_variable_id},
    {"variable 'norm.mean' has no kind", kindless_variable},
    {"prepare: 'prepared.w' is not set", unset_preparation},
    {"test: 'prepared.w' is for predictions", early_preparation},
    {"variable 'norm.mean': f32[1099511627776, 1099511627776] is too large: no size may exceed 2^40, no "
     "tensor 2^48 "
     "elements",
     huge_variable},
    {"two variables are named 'x'", two_variables},
    {"slot 'optim.m.head.weight' belongs to no parameter", lone_slot},
    {"slot 'optim.m.head.weight' belongs to no parameter before it", slot_of_state},
    {"variable 'norm.mean' is no slot and belongs to 'head.weight'", owned_state},
    {"variable 'head.weight': lr_scale is negative or not finite", infinite_rate},
    {"variable 'steps': the runtime sets no scalar of that name", unknown_scalar},
    {"variable 'step' is i32[], not f32[]", wrong_scalar},
    {"variable 'seed' is u32[4], not u32[2]", wrong_seed},
    {"phase test belongs to another model", foreign_phase},
    {"init: 'norm.mean' is not set", unset_state},
    {"init: 'head.weight' is read before it is set", early_read},

    {"the training has no name", unnamed_training},
    {"the training's batch, epochs, seed or patience is out of range", no_training_batch},
    {"the training's batch, epochs, seed or patience is out of range", no_epochs},
    {"the training's batch, epochs, seed or patience is out of range", many_epochs},
    {"the training's batch, epochs, seed or patience is out of range", negative_seed},
    {"the training's batch, epochs, seed or patience is out of range", endless_patience},
    {"source 0 is of no split", unknown_split},
    {"source 0 has no name", unnamed_source},
    {"source 0: argument 0 has no name", unnamed_argument},
    {"two sources are for 'train'", two_sources},
    {"field 0 is no input", field_of_param},
    {"option 0 has no name", unnamed_option},
    {"option 'rate' has no scalar 'option.rate'", unknown_option},
    {"two options are named 'lr'", two_options},
    {"33 options are more than 32", many_options},
    {"best goes by 'top1', which finish does not give", unknown_metric},
};

START_TEST(a_planted_fault_is_found)
{
    Arena *arena = arena_new();
    Model *model = sample_model(arena);
    ck_assert_ptr_null(model_fault(model));
    plants[_i].plant(model);
    const char *fault = model_fault(model);
    ck_assert_msg(fault, "not found: %s", plants[_i].message);
    ck_assert_str_eq(fault, plants[_i].message);
    arena_free(arena);
}
END_TEST

START_TEST(the_reference_has_losses_and_scalars_in_f64)
{
    Arena *arena = arena_new();
    Model *model = model_new(arena, "reference");
    Variable *step = model_variable(model, VARIABLE_SCALAR, "step", type_scalar(DTYPE_F64));
    Graph *predict = model->phase[PHASE_PREDICT];
    list_add(arena, &predict->result, ((Result){RESULT_METRIC, "m", graph_variable(predict, step)}));
    ck_assert_ptr_null(model_fault(model));
    arena_free(arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("graph_verify");
    TCase *cases = tcase_create("faults");
    tcase_add_loop_test(cases, a_planted_fault_is_found, 0, (int)(sizeof plants / sizeof *plants));
    tcase_add_test(cases, the_reference_has_losses_and_scalars_in_f64);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
