/* Programs → models: what parameters are called, what is decided at compile time, which phase has what; and every item
   of the prelude through all passes. */
#include "frontend.h"
#include "graph.h"
#include "passes.h"
#include "read_source.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static Arena *arena;

static void set_up(void) { arena = arena_new(); }
static void tear_down(void) { arena_free(arena); }

static Model *load_defined(const char *text, const char *define)
{
    Diagnostics diag = {.out = stderr};
    Model *model = frontend_text(arena, &diag, "test.net", text, strlen(text), &define, define != NULL);
    ck_assert_msg(model != NULL, "refused:\n%s", text);
    const char *fault = model_fault(model);
    ck_assert_msg(!fault, "%s in:\n%s", fault, text);
    return model;
}

static Model *load(const char *text) { return load_defined(text, NULL); }

/* A net of one input, x: f32[batch, 6]. */
static Model *load_body(const char *body)
{
    return load(arena_printf(arena, "net n(x: f32[batch, 6]) {\n%s\n}\n", body));
}

/* A net on images of 1 x 2 x 3 with two classes, trained. `items` stand before it, `body` makes logits of x: f32[batch, 6],
   `fields` end the train block. */
static Model *load_trained(const char *items, const char *body, const char *fields)
{
    static const char format[] =
        "%s\nnet n(image: f32[batch, 1, 2, 3]) {\n    x = flatten(image);\n    %s\n    return class = "
        "softmax(logits);\n}\n"
        "train n {\n"
        "    data mnist(\"d\") as (pixels: u8[batch, 1, 2, 3], label: i32[batch]);\n"
        "    image = f32(pixels) / 255;\n    loss cross_entropy(logits, label);\n    batch 4;\n    %s\n}\n";
    return load(arena_printf(arena, format, items, body, fields));
}

/* What the command's user would read. */
static const char *refused(const char *text, const char *define)
{
    char *messages = NULL;
    size_t size = 0;
    Diagnostics diag = {.out = open_memstream(&messages, &size)};
    ck_assert_ptr_null(frontend_text(arena, &diag, "test.net", text, strlen(text), &define, define != NULL));
    fclose(diag.out);
    ck_assert_int_gt(diag.errors, 0);
    const char *copy = arena_string(arena, messages);
    free(messages);
    return copy;
}

/* The names of one kind of variable in the order of declaration, with a blank between. */
static const char *names(const Model *model, VariableKind kind)
{
    const char *text = "";
    for (int i = 0; i < model->variable.count; i++)
        if (model->variable.at[i]->kind == kind)
            text = arena_printf(arena, "%s%s%s", text, *text ? " " : "", model->variable.at[i]->name);
    return text;
}

static int count_kind(const Model *model, VariableKind kind)
{
    int count = 0;
    for (int i = 0; i < model->variable.count; i++)
        count += model->variable.at[i]->kind == kind;
    return count;
}

static int count_op(const Model *model, Phase phase, OpKind op)
{
    int count = 0;
    for (int i = 0; i < model->phase[phase]->node.count; i++)
        count += model->phase[phase]->node.at[i]->op == op;
    return count;
}

/* "f32[batch, 6]" of the only result of predict. */
static const char *result_type(const Model *model)
{
    ck_assert_int_eq(model->phase[PHASE_PREDICT]->result.count, 1);
    Text text = {0};
    type_print(&text, &model->phase[PHASE_PREDICT]->result.at[0].node->type);
    const char *copy = arena_string(arena, text_string(&text));
    text_free(&text);
    return copy;
}

/* ---- names ---- */

static const struct {
    const char *body, *names;
} named[] = {
    {"y = dense(x, 3); return y = y;", "y.weight y.b"},
    {"y = x |> dense(3) |> relu; return y = y;", "y.weight y.b"},
    {"return class = dense(x, 3);", "class.weight class.b"},
    {"return dense(x, 3);", "dense.weight dense.b"},
    {"y = dense(x, 3, bias = false) as head; return y = y;", "head.weight"},
    {"y = x |> dense(3, bias = false) |> layer_norm; return y = y;",
     "y.dense.weight y.layer_norm.scale y.layer_norm.shift"},
    {"y = x |> dense(3) as a |> dense(4) as b; return y = y;", "a.weight a.b b.weight b.b"},
    {"param w: f32[6] = zeros(); x = x * w; return y = x;", "w"},
    {"repeat 2 as i { x = dense(x, 6, bias = false); } return y = x;", "x.0.weight x.1.weight"},
    {"repeat 2 as i { x = dense(x, 6, bias = false) as block; } return y = x;",
     "block.0.weight block.1.weight"},
    {"repeat 2 as i { repeat 2 as j { x = dense(x, 6, bias = false); } } return y = x;",
     "x.0.0.weight x.0.1.weight x.1.0.weight x.1.1.weight"},
    {"repeat 2 as i { param w: f32[6] = zeros(); x = x + w; } return y = x;", "w.0 w.1"},
    {"a = dense(x, 6, bias = false) as enc; b = enc(a); c = b |> enc; return y = c;", "enc.weight"},
    {"if (batch == batch) { y = dense(x, 2, bias = false); } else { y = dense(x, 3) as other; } return y = "
     "y;",
     "y.weight"},
};

START_TEST(parameters_are_named_by_their_paths)
{
    ck_assert_str_eq(names(load_body(named[_i].body), VARIABLE_PARAM), named[_i].names);
}
END_TEST

START_TEST(paths_go_through_layers)
{
    const Model *model =
        load("layer inner(x: f32[batch, n]) { param w: f32[n] = ones(); return x * w; }\n"
             "layer block(x) { repeat 2 as i { x = inner(x); } y = inner(x) as last; return y; }\n"
             "net n(x: f32[batch, 6]) { a = block(x); b = block(a) as second; return y = b; }\n");
    ck_assert_str_eq(names(model, VARIABLE_PARAM),
                     "a.x.0.w a.x.1.w a.last.w second.x.0.w second.x.1.w second.last.w");
}
END_TEST

START_TEST(resnet_has_its_names)
{
    Diagnostics diag = {.out = stderr};
    const char *define = "n=2";
    const Model *model = frontend_load(arena, &diag, NETC_SOURCE "/examples/resnet.net", &define, 1);
    ck_assert_ptr_nonnull(model);
    ck_assert_int_eq(count_kind(model, VARIABLE_PARAM), 3 + 6 * 6 + 2 * 3 + 2);
    static const char *const some[] = {
        "stem.weight",         "stem_norm.scale",      "stage1.0.conv1.weight", "stage2.0.project.weight",
        "stage2.0.norm.shift", "stage3.1.norm2.scale", "head.weight",           "head.b"};
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        const Variable *v = model_find(model, some[i]);
        ck_assert_msg(v && v->kind == VARIABLE_PARAM, "no parameter '%s'", some[i]);
    }
    ck_assert_ptr_null(model_find(model, "stage2.1.project.weight"));
    ck_assert_int_eq((int)model_find(model, "stage3.1.norm2.mean")->kind, VARIABLE_STATE);
    ck_assert_ptr_nonnull(model_find(model, "optim.m.stage1.0.conv1.weight"));
}
END_TEST

/* The sizes that are known of these networks. */
START_TEST(examples_have_their_parameters)
{
    static const struct {
        const char *file;
        int64_t parameters;
    } known[] = {
        {"cifar_quick", 145578}, {"resnet18", 11689512}, {"mobilenet_v2", 3504872}, {"squeezenet", 1235496}};
    Diagnostics diag = {.out = stderr};
    const char *path = arena_printf(arena, NETC_SOURCE "/examples/%s.net", known[_i].file);
    const Model *model = frontend_load(arena, &diag, path, NULL, 0);
    ck_assert_ptr_nonnull(model);
    int64_t count = 0;
    for (int v = 0; v < model->variable.count; v++) {
        const Variable *variable = model->variable.at[v];
        int64_t elements = variable->kind == VARIABLE_PARAM;
        for (int d = 0; d < variable->type.rank; d++)
            elements *= variable->type.dim[d].count;
        count += elements;
    }
    ck_assert_int_eq(count, known[_i].parameters);
}
END_TEST

/* An edit elsewhere changes neither a name nor a random number's place. */
START_TEST(names_survive_edits)
{
    const Model *before = load_body("a = dense(x, 6); b = dense(a, 6); return y = b;");
    const Model *after = load_body("z = dense(x, 6); a = dense(z, 6); b = dense(a, 6); return y = b;");
    int64_t place[2][8] = {{0}};
    for (int m = 0; m < 2; m++) {
        const Graph *init = (m ? after : before)->phase[PHASE_INIT];
        int count = 0;
        for (int i = 0; i < init->node.count; i++)
            if (init->node.at[i]->op == OP_RANDOM && init->node.at[i]->attr[1].at[0] == 0)
                place[m][count++] = init->node.at[i]->attr[0].at[0];
        ck_assert_int_eq(count, m + 2);
    }
    ck_assert(place[0][0] == place[1][1] && place[0][1] == place[1][2]);
    ck_assert(place[1][0] != place[1][1] && place[1][1] != place[1][2]);
}
END_TEST

/* ---- sizes and what is known ---- */

static const struct {
    const char *items, *expression, *type;
} typed[] = {
    {"layer f(x: f32[a, ..., n]) { return reshape(x, [a, size(x) / a]); }", "f(reshape(x, [batch, 1, 2, 3]))",
     "f32[batch, 6]"},
    {"layer f(x: f32[a, ..., n]) { return reshape(x, [n, a]); }", "f(x)", "f32[6, batch]"},
    {"layer f(x: f32[...]) { return sum(x); }", "f(x)", "f32[]"},
    {"layer f(x: f32[a, 2 * 3]) { return broadcast(x, [4, a, 6]); }", "f(x)", "f32[4, batch, 6]"},
    {"layer f(x: f32[a, n], y: f32[n, k]) { return x @ y; }", "f(x, broadcast(1.0, [6, 7]))",
     "f32[batch, 7]"},
    {"layer f(x: f32[a, n], k: int = n + 1) { return broadcast(x, [k, a, n]); }", "f(x)", "f32[7, batch, 6]"},
    {"layer f(x: any[a, n]) { return x; }", "f(i32(x))", "i32[batch, 6]"},
    {"", "dense(x, ceil_div(7, 2) * floor_div(7, 2))", "f32[batch, 12]"},
    {"", "dense(x, if (2 ^ 3 == 8 && 7 % 4 == 3) len([1, 2, 3]) else 1)", "f32[batch, 3]"},
    {"", "dense(x, [4, 5, 6][1] + max(2, 3) - min(2, 3))", "f32[batch, 6]"},
    {"", "dense(x, int(sqrt(50.0)))", "f32[batch, 7]"},
    {"", "broadcast(1.0, [3, 4, 5])[2]", "f32[4, 5]"},
    {"", "broadcast(1.0, [3, 4, 5])[-3, 1]", "f32[5]"},
    {"", "broadcast(1.0, [3, 4])[0, 0]", "f32[]"},
    {"", "slice(x, 1, 1, 2, step = 3)", "f32[batch, 2]"},
    {"", "pad(x, [0, 1], [0, 2])", "f32[batch, 9]"},
    {"", "window(x, [1], size = [2], stride = [2], dilation = [1])", "f32[batch, 3, 2]"},
    {"", "max(x, axis = -1, keep = true)", "f32[batch, 1]"},
    {"", "transpose(x)", "f32[6, batch]"},
    {"", "x > 0", "bool[batch, 6]"},
    {"", "iota([3, 2], axis = 1)", "i32[3, 2]"},
    {"", "x @ broadcast(1.0, [6])", "f32[batch]"},
    {"", "reshape(x, [batch, 2, 3]) @ broadcast(1.0, [3, 5])", "f32[batch, 2, 5]"},
};

START_TEST(types_follow_from_the_program)
{
    const char *text = arena_printf(arena, "%s\nnet n(x: f32[batch, 6]) { return y = %s; }", typed[_i].items,
                                    typed[_i].expression);
    ck_assert_str_eq(result_type(load(text)), typed[_i].type);
}
END_TEST

START_TEST(consts_are_overridden)
{
    static const char text[] =
        "const width = 2 * 3;\nconst sizes = [width, 4];\nconst kind = \"deep\";\n"
        "net n(x: f32[batch, 6]) {\n    x = dense(x, sizes[0]);\n"
        "    if (kind == \"deep\") {\n        x = dense(x, sizes[1]) as second;\n    }\n"
        "    return y = x;\n}\n";
    ck_assert_str_eq(result_type(load(text)), "f32[batch, 4]");
    ck_assert_str_eq(result_type(load_defined(text, "sizes=[7, 2 + 3]")), "f32[batch, 5]");
    ck_assert_str_eq(result_type(load_defined(text, "kind=flat")), "f32[batch, 6]");
    ck_assert_str_eq(result_type(load_defined(text, "kind=\"flat\"")), "f32[batch, 6]");
    ck_assert_int_eq((int)model_find(load_defined(text, "width=9"), "x.weight")->type.dim[1].count, 9);
    ck_assert_ptr_nonnull(strstr(refused(text, "width"), "-D width: expected NAME=VALUE"));
    ck_assert_ptr_nonnull(strstr(refused(text, "=3"), "-D =3: expected NAME=VALUE"));
}
END_TEST

START_TEST(several_results_are_a_record)
{
    const Model *model =
        load("layer halves(x: f32[batch, n]) {\n"
             "    return low = slice(x, 1, 0, n / 2), high = slice(x, 1, n / 2, n / 2);\n}\n"
             "net n(x: f32[batch, 6]) { h = halves(x); return a = h.high, b = h.low, c = x; }\n");
    const Graph *g = model->phase[PHASE_PREDICT];
    ck_assert_int_eq(g->result.count, 3);
    ck_assert_str_eq(g->result.at[0].name, "a");
    ck_assert_str_eq(g->result.at[1].name, "b");
    ck_assert_int_eq((int)g->result.at[0].node->attr[0].at[1], 3);
    ck_assert_int_eq((int)g->result.at[1].node->attr[0].at[1], 0);
}
END_TEST

START_TEST(values_flow_through_rounds)
{
    const Model *model = load_body("k = 1; repeat 5 as i { k = k + i; z = k; } return y = dense(x, k);");
    ck_assert_str_eq(result_type(model), "f32[batch, 11]");
    ck_assert_ptr_nonnull(
        strstr(refused("net n(x: f32[batch, 6]) { repeat 2 as i { z = x; } return y = z; }", NULL),
               "nothing is named 'z' here"));
}
END_TEST

/* ---- training ---- */

START_TEST(only_training_is_random)
{
    const Model *model = load_trained("", "logits = x |> dropout(0.5) |> dense(2);",
                                      "augment pixels = pixels |> flip_left_right; optimizer sgd(lr = 0.1);");
    ck_assert_int_eq(count_op(model, PHASE_STEP, OP_RANDOM), 2);
    ck_assert_int_eq(count_op(model, PHASE_STEP, OP_REVERSE), 1);
    for (Phase phase = PHASE_TEST; phase <= PHASE_PREDICT; phase++)
        ck_assert_int_eq(count_op(model, phase, OP_RANDOM) + count_op(model, phase, OP_REVERSE), 0);
}
END_TEST

START_TEST(phases_have_their_parts)
{
    const Model *model = load_trained("", "logits = dense(x, 2);",
                                      "metric top1 = accuracy(logits, label), size = sqrt(mean(logits * "
                                      "logits)); optimizer sgd(lr = 0.1);");
    const Graph *finish = model->phase[PHASE_FINISH], *predict = model->phase[PHASE_PREDICT];
    ck_assert_str_eq(names(model, VARIABLE_METRIC), "metric.loss metric.top1 metric.size");
    ck_assert_int_eq(finish->result.count, 3);
    ck_assert_int_eq((int)finish->result.at[0].kind, RESULT_LOSS);
    ck_assert_str_eq(finish->result.at[2].name, "size");
    ck_assert_int_eq(model->phase[PHASE_TEST]->assign.count, 3);
    ck_assert_int_eq(model->phase[PHASE_STEP]->assign.count, 2);
    ck_assert_int_eq(model->phase[PHASE_INIT]->assign.count, 2);
    ck_assert_int_eq(predict->result.count, 1);
    ck_assert_str_eq(predict->result.at[0].name, "class");
    ck_assert_int_eq((int)model->batch, 4);
    ck_assert_int_eq(model->training->field.count, 2);
}
END_TEST

START_TEST(train_fields_are_kept)
{
    const Model *model = load_trained("", "logits = dense(x, 2);",
                                      "metric a = accuracy(logits, label), b = mean(logits); optimizer "
                                      "sgd(lr = 0.1); epochs 7; seed 3; keep best(b), last; "
                                      "stop patience = 5 on b;");
    const Training *t = model->training;
    ck_assert_str_eq(t->name, "n");
    ck_assert_int_eq((int)t->epochs, 7);
    ck_assert_int_eq((int)t->seed, 3);
    ck_assert_int_eq((int)t->patience, 5);
    ck_assert_str_eq(t->best, "b");
    ck_assert_str_eq(t->source.at[0].source, "mnist");
    ck_assert_str_eq(t->source.at[0].argument.at[0].string, "d");
}
END_TEST

static const struct {
    const char *optimizer, *slots, *options;
} rules[] = {
    {"sgd(lr = 0.1)", "", "option.lr"},
    {"sgd(lr = 0.1, momentum = 0)", "", "option.lr"},
    {"sgd(lr = 0.1, momentum = 0.9)", "optim.m.w", "option.momentum option.lr"},
    {"sgd(lr = 0.1 * cosine(progress), momentum = 0.5 * warmup(step, 10))", "optim.m.w",
     "option.momentum option.lr"},
    {"adam(0.1)", "optim.m.w optim.v.w", "option.beta1 option.beta2 option.lr option.eps"},
};

START_TEST(optimizers_have_the_slots_they_need)
{
    const Model *model = load_trained("", "param w: f32[6, 2] = zeros(); logits = x @ w;",
                                      arena_printf(arena, "optimizer %s;", rules[_i].optimizer));
    ck_assert_str_eq(names(model, VARIABLE_SLOT), rules[_i].slots);
    const char *options = "";
    for (int i = 0; i < model->variable.count; i++)
        if (!strncmp(model->variable.at[i]->name, "option.", 7))
            options =
                arena_printf(arena, "%s%s%s", options, *options ? " " : "", model->variable.at[i]->name);
    ck_assert_str_eq(options, rules[_i].options);
}
END_TEST

static bool is_assigned(const Model *model, const char *name)
{
    const Graph *g = model->phase[PHASE_STEP];
    for (int i = 0; i < g->assign.count; i++)
        if (!strcmp(g->assign.at[i].variable->name, name))
            return true;
    return false;
}

START_TEST(what_is_frozen_stays)
{
    const Model *model = load_trained(
        "",
        "a = dense(x, 4); b = dense(a, 4); param w: f32[4, 2] = ones(), trainable = false; logits = b @ w;",
        "freeze \"a*\"; optimizer sgd(lr = 0.1, momentum = 0.9);");
    ck_assert(is_assigned(model, "b.weight") && is_assigned(model, "b.b"));
    ck_assert(!is_assigned(model, "a.weight") && !is_assigned(model, "a.b") && !is_assigned(model, "w"));
    ck_assert_str_eq(names(model, VARIABLE_SLOT), "optim.m.b.weight optim.m.b.b");
}
END_TEST

/* l2(parameters) is of those that have decay. */
START_TEST(decay_is_for_some)
{
    Model *model =
        load("net n(image: f32[batch, 1, 2, 3]) {\n    logits = image |> flatten |> dense(2) |> layer_norm;\n"
             "    return class = logits;\n}\n"
             "train n {\n    data mnist(\"d\") as (pixels: u8[batch, 1, 2, 3], label: i32[batch]);\n"
             "    image = f32(pixels);\n    loss l2(parameters) + 0 * mean(logits);\n    batch 4;\n"
             "    optimizer adamw(0.1);\n}\n");
    ck_assert_str_eq(names(model, VARIABLE_PARAM),
                     "logits.dense.weight logits.dense.b logits.layer_norm.scale logits.layer_norm.shift");
    ck_assert(model_find(model, "logits.dense.weight")->decay);
    ck_assert(!model_find(model, "logits.dense.b")->decay);
    const Graph *finish = model->phase[PHASE_FINISH];
    for (int i = 0; i < finish->node.count; i++)
        if (finish->node.at[i]->op == OP_VARIABLE && finish->node.at[i]->variable->kind == VARIABLE_PARAM)
            ck_assert_str_eq(finish->node.at[i]->variable->name, "logits.dense.weight");
}
END_TEST

/* ---- the prelude ---- */

/* Every layer of x: f32[batch, 6], image: f32[batch, 4, 6, 6] and label: i32[batch], t: i32[batch]. */
static const char *const layers[] = {
    "abs(x)",
    "exp(x)",
    "log(abs(x) + 1)",
    "sqrt(abs(x))",
    "tanh(x)",
    "erf(x)",
    "sin(x)",
    "cos(x)",
    "floor(x)",
    "relu(x)",
    "max(x, 1)",
    "max(x, axis = 1)",
    "min(x, x * 2)",
    "min(x)",
    "sum(x, axis = [0, 1])",
    "where(x < 0, x, 1)",
    "f32(label)",
    "f64(x)",
    "i32(x)",
    "i64(x)",
    "u32(abs(x))",
    "i8(x)",
    "u8(abs(x))",
    "reshape(x, [batch, 2, 3])",
    "broadcast(x, [2, batch, 6])",
    "transpose(image, [0, 2, 3, 1])",
    "slice(x, 1, 1, 3)",
    "pad(x, [0, 1], [0, 1], value = 2)",
    "reverse(x, 1)",
    "window(x, [1], size = [2], stride = [1], dilation = [2])",
    "convolve(reshape(image, [batch, 1, 4, 6, 6]), broadcast(1.0, [1, 2, 4, 3, 3]))",
    "shift(image, label, axis = 2)",
    "iota([6], axis = 0) + 0",
    "gather(broadcast(1.0, [3, 5]), i32(x) * 0)",
    "concat([x, x + 1], axis = 1)",
    "stack([x, x + 1], axis = -1)",
    "gelu_tanh(x)",
    "lstm(reshape(x, [batch, 2, 3]), 5).last",
    "mask_future(x @ transpose(x)) + 1",
    "embedding(i32(x) * 0, 3, 5)",
    "x + position(1, 6)",
    "attend(reshape(x, [batch, 2, 3]), reshape(x, [batch, 2, 3]), reshape(x, [batch, 2, 3]), causal = true)",
    "stop_gradient(x)",
    "random_uniform(shape(x))",
    "random_normal(shape(x))",
    "x * rank(x) * size(x) * len(shape(x)) * floor_div(7, 2) * ceil_div(7, 2) * int(2.5)",
    "if (known(3.0)) x else -x",
    "mean(x, axis = 0)",
    "sigmoid(x)",
    "gelu(x)",
    "softplus(x)",
    "silu(x)",
    "fade(x)",
    "relu6(x)",
    "leaky_relu(x)",
    "softmax(x)",
    "log_softmax(x)",
    "bernoulli(sigmoid(x))",
    "one_hot(label, 3)",
    "zeros([3])",
    "ones([3])",
    "constant([3], 2)",
    "normal([3], std = 2)",
    "uniform([3], low = -1)",
    "he_normal([3, 4], fan_in = 3)",
    "xavier_uniform([3, 4], fan_in = 3, fan_out = 4)",
    "forget_bias([12], 3)",
    "orthogonal([3, 4])",
    "orthogonal([4, 2, 1], gain = 2)",
    "dense(x, 5)",
    "dense(x, 5, bias = false)",
    "conv(image, 8, kernel = 3, stride = 2, pad = 1, dilation = 2, groups = 2)",
    "max_pool(image, 3, stride = 2, pad = 1)",
    "avg_pool(image, 3, stride = 2, ceil = true)",
    "upsample(image, 2)",
    "(pool_windows(image, 3, value = 1).windows)",
    "avg_pool(image, 2, pad = 1)",
    "global_avg_pool(image)",
    "flatten(image)",
    "batch_norm(image)",
    "batch_norm(x)",
    "layer_norm(x)",
    "dropout(x, 0.25)",
    "cross_entropy(x, label)",
    "binary_cross_entropy(x, sigmoid(x))",
    "mse(x, x * 2)",
    "l2([x, image])",
    "accuracy(x, label, k = 2)",
    "cosine(0.5)",
    "warmup(3.0, 10)",
    "step_decay(3.0, 2)",
    "exp_decay(0.5)",
    "poly_decay(0.5, power = 2)",
    "pad_crop(image, 2)",
    "flip_left_right(image)",
};
enum { LAYERS = sizeof layers / sizeof layers[0] };

static void compile(Model *model, const char *what)
{
    Diagnostics diag = {.out = stderr};
    PipelineOptions options = {.target = target_find("x86-64-v3"), .verify = true, .dump_to = stderr};
    Program *program;
    ck_assert_msg(pipeline_run(model, &diag, &options, &program), "%s does not compile", what);
}

START_TEST(prelude_compiles)
{
    Model *model = load(arena_printf(
        arena,
        "net n(x: f32[batch, 6], image: f32[batch, 4, 6, 6], label: i32[batch]) {\n    return y = %s;\n}\n",
        layers[_i]));
    compile(model, layers[_i]);
}
END_TEST

static const char *const optimizers[] = {"sgd(0.1)", "sgd(0.1, momentum = 0.9, nesterov = true)",
                                         "adam(1e-3)", "adamw(1e-3 * exp_decay(progress) * warmup(step, 5))"};

START_TEST(optimizers_compile)
{
    compile(load_trained("",
                         "logits = x |> dense(4) |> batch_norm |> dropout(0.1) |> relu |> dense(2) as last;",
                         arena_printf(arena, "clip norm = 1.0; optimizer %s;", optimizers[_i])),
            optimizers[_i]);
}
END_TEST

START_TEST(nothing_of_the_prelude_is_left_out)
{
    Text list = {0};
    frontend_doc_list(&list);
    int count = 0;
    for (const char *at = text_string(&list); *at; at = strchr(at, '\n') + 1) {
        int length = (int)strcspn(at, " ");
        if (strstr(arena_printf(arena, "%.*s", (int)strcspn(at, "\n"), at), " data: "))
            continue;
        const char *call = arena_printf(arena, "%.*s(", length, at);
        bool found = false;
        for (int i = 0; i < LAYERS; i++)
            found |= strstr(layers[i], call) != NULL;
        for (size_t i = 0; i < sizeof optimizers / sizeof optimizers[0]; i++)
            found |= strstr(optimizers[i], call) != NULL;
        ck_assert_msg(found, "%.*s is not tested", length, at);
        count++;
    }
    ck_assert_int_ge(count, 70);
    text_free(&list);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("elaborate");
    TCase *cases = tcase_create("models");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_loop_test(cases, parameters_are_named_by_their_paths, 0, (int)(sizeof named / sizeof named[0]));
    tcase_add_test(cases, paths_go_through_layers);
    tcase_add_test(cases, resnet_has_its_names);
    tcase_add_loop_test(cases, examples_have_their_parameters, 0, 4);
    tcase_add_test(cases, names_survive_edits);
    tcase_add_loop_test(cases, types_follow_from_the_program, 0, (int)(sizeof typed / sizeof typed[0]));
    tcase_add_test(cases, consts_are_overridden);
    tcase_add_test(cases, several_results_are_a_record);
    tcase_add_test(cases, values_flow_through_rounds);
    tcase_add_test(cases, only_training_is_random);
    tcase_add_test(cases, phases_have_their_parts);
    tcase_add_test(cases, train_fields_are_kept);
    tcase_add_loop_test(cases, optimizers_have_the_slots_they_need, 0, (int)(sizeof rules / sizeof rules[0]));
    tcase_add_test(cases, what_is_frozen_stays);
    tcase_add_test(cases, decay_is_for_some);
    tcase_add_loop_test(cases, prelude_compiles, 0, LAYERS);
    tcase_add_loop_test(cases, optimizers_compile, 0, (int)(sizeof optimizers / sizeof optimizers[0]));
    tcase_add_test(cases, nothing_of_the_prelude_is_left_out);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
