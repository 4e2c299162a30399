/* Graph text: print, parse, print is the identity; a broken text gives one error at its place. */
#include "graph.h"
#include "graph_samples.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- helpers ------------------------------------------------------------------------------------------- */

static Arena *arena;

static void set_up(void) { arena = arena_new(); }
static void tear_down(void) { arena_free(arena); }

/* Parses; *messages gets what was reported, in the arena. */
static Model *parse(const char *name, const char *text, size_t length, const char **messages)
{
    char *out = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&out, &size);
    ck_assert_ptr_nonnull(file);
    Diagnostics diag = {.out = file};
    Source *source = arena_alloc(arena, sizeof *source);
    *source = (Source){name, text, length};
    Model *model = model_parse(arena, &diag, source);
    fclose(file);
    *messages = arena_string(arena, out);
    free(out);
    ck_assert_int_eq(diag.errors, model == NULL);
    return model;
}

static const char *print(const Model *model)
{
    Text text = {0};
    model_print(&text, model);
    const char *copy = arena_string(arena, text_string(&text));
    text_free(&text);
    return copy;
}

static Model *check_round_trip(const Model *model)
{
    const char *fault = model_fault(model), *messages;
    ck_assert_msg(!fault, "%s", fault);
    const char *first = print(model);
    Model *back = parse("t.graph", first, strlen(first), &messages);
    ck_assert_msg(back, "%s in\n%s", messages, first);
    ck_assert_str_eq(print(back), first);
    fault = model_fault(back);
    ck_assert_msg(!fault, "%s", fault);
    return back;
}

/* ---- what is printed ----------------------------------------------------------------------------------- */

START_TEST(the_text_reads_like_this)
{
    ck_assert_str_eq(print(sample_model(arena)),
                     "netc-graph 1\n"
                     "model \"tiny\" batch 32\n"
                     "\n"
                     "variable param \"head.weight\" f32[4, 3] decay=false lr_scale=0.1\n"
                     "variable state \"norm.mean\" f32[4]\n"
                     "variable slot \"optim.m.head.weight\" f32[4, 3] of \"head.weight\"\n"
                     "variable metric \"metric.loss\" f32[]\n"
                     "variable input \"x\" u8[batch, 4]\n"
                     "variable scalar \"option.lr\" f32[]\n"
                     "variable scalar \"seed\" u32[2]\n"
                     "variable scalar \"step\" f32[]\n"
                     "variable prepared \"prepared.w\" f32[4, 3]\n"
                     "\n"
                     "training \"tiny\" batch 32 epochs 10 seed 1 patience 2 best \"loss\"\n"
                     "source train csv path=\"data/x \\\"1\\\".csv\" limit=3.0\n"
                     "field \"x\"\n"
                     "option lr\n"
                     "\n"
                     "phase init\n"
                     "    %0 = const 0.5 : f32[]\n"
                     "    %1 = broadcast(%0) : f32[4, 3]\n"
                     "    %2 = const 0.0 : f32[]\n"
                     "    %3 = broadcast(%2) : f32[4]\n"
                     "    assign \"head.weight\" = %1\n"
                     "    assign \"optim.m.head.weight\" = %1\n"
                     "    assign \"norm.mean\" = %3\n"
                     "\n"
                     "phase step\n"
                     "    %0 = variable \"x\" : u8[batch, 4] \"head\"\n"
                     "    %1 = cast(%0) : f32[batch, 4] \"head\"\n"
                     "    %2 = variable \"head.weight\" : f32[4, 3] \"head\"\n"
                     "    %3 = matmul(%1, %2) : f32[batch, 3] \"head\"\n"
                     "    %4 = sum(%3) axes=[0, 1] : f32[]\n"
                     "    %5 = gradient(%4, %2) : f32[4, 3]\n"
                     "    %6 = variable \"option.lr\" : f32[]\n"
                     "    %7 = broadcast(%6) : f32[4, 3]\n"
                     "    %8 = mul(%7, %5) : f32[4, 3]\n"
                     "    %9 = sub(%2, %8) : f32[4, 3]\n"
                     "    result loss \"loss\" = %4\n"
                     "    assign \"head.weight\" = %9\n"
                     "\n"
                     "phase test\n"
                     "    %0 = variable \"metric.loss\" : f32[]\n"
                     "    %1 = const 1.0 : f32[]\n"
                     "    %2 = add(%0, %1) : f32[]\n"
                     "    assign \"metric.loss\" = %2\n"
                     "\n"
                     "phase finish\n"
                     "    %0 = variable \"metric.loss\" : f32[]\n"
                     "    result loss \"loss\" = %0\n"
                     "\n"
                     "phase prepare\n"
                     "    %0 = variable \"head.weight\" : f32[4, 3]\n"
                     "    %1 = const 0.5 : f32[]\n"
                     "    %2 = broadcast(%1) : f32[4, 3]\n"
                     "    %3 = mul(%0, %2) : f32[4, 3]\n"
                     "    assign \"prepared.w\" = %3\n"
                     "\n"
                     "phase predict\n"
                     "    %0 = variable \"x\" : u8[batch, 4]\n"
                     "    %1 = cast(%0) : f32[batch, 4]\n"
                     "    result output \"y\" = %1\n"
                     "\n"
                     "end\n");
}
END_TEST

START_TEST(everything_but_places_comes_back)
{
    Model *model = sample_model(arena), *back = check_round_trip(model);
    ck_assert_str_eq(back->name, "tiny");
    ck_assert_int_eq(back->batch, 32);
    const Variable *w = back->variable.at[0], *slot = back->variable.at[2];
    ck_assert(w->trainable && !w->decay && w->lr_scale == 0.1);
    ck_assert_ptr_eq(slot->of, w);
    const Training *t = back->training;
    ck_assert_str_eq(t->source.at[0].argument.at[0].string, "data/x \"1\".csv");
    ck_assert_ptr_eq(t->field.at[0].input, back->variable.at[4]);
    ck_assert_str_eq(t->best, "loss");
    ck_assert_int_eq(t->patience, 2);

    /* A message about a parsed graph points into its own text. */
    const Node *matmul = back->phase[PHASE_STEP]->node.at[3];
    int line, column;
    source_position(matmul->span.source, matmul->span.begin, &line, &column);
    ck_assert_str_eq(matmul->span.source->name, "t.graph");
    ck_assert_int_eq(line, 32);
    ck_assert_int_eq(column, 5);
    ck_assert_int_eq(matmul->span.end - matmul->span.begin,
                     (int)strlen("%3 = matmul(%1, %2) : f32[batch, 3] \"head\""));
    ck_assert_ptr_eq(back->phase[PHASE_STEP]->scope, NULL);

    /* The reader leaves the table of equal nodes as the builder does. */
    Node *again = graph_binary(back->phase[PHASE_STEP], OP_MATMUL, matmul->in[0], matmul->in[1]);
    ck_assert_ptr_eq(again, matmul);
}
END_TEST

START_TEST(training_and_variables_may_be_absent)
{
    Model *model = model_new(arena, "strange \\ \"name\"\n\xc3\xa9\x7f");
    Graph *predict = model->phase[PHASE_PREDICT];
    list_add(arena, &predict->result, ((Result){RESULT_OUTPUT, "one", graph_number(predict, DTYPE_F32, 1)}));
    graph_number(predict, DTYPE_F32, 2); /* dead, and printed all the same */
    ck_assert_str_eq(print(model), "netc-graph 1\n"
                                   "model \"strange \\\\ \\\"name\\\"\\012\\303\\251\\177\" batch 1\n"
                                   "\n"
                                   "phase predict\n"
                                   "    %0 = const 1.0 : f32[]\n"
                                   "    %1 = const 2.0 : f32[]\n"
                                   "    result output \"one\" = %0\n"
                                   "\n"
                                   "end\n");
    ck_assert_str_eq(check_round_trip(model)->name, model->name);
}
END_TEST

/* The file shown in ir/README.md: its lines without the four blanks before them. */
START_TEST(the_guide_shows_a_true_file)
{
    FILE *guide = fopen("ir/README.md", "r");
    ck_assert_ptr_nonnull(guide);
    Text text = {0};
    char line[400];
    bool inside = false;
    while (fgets(line, sizeof line, guide)) {
        bool indented = !strncmp(line, "    ", 4);
        inside |= !strcmp(line, "    netc-graph 1\n");
        if (inside && !indented && strcmp(line, "\n"))
            break;
        if (inside)
            text_add(&text, indented ? line + 4 : line);
    }
    fclose(guide);
    ck_assert_uint_gt(text.length, 2);
    text.at[--text.length] = 0; /* the empty line after the block */
    const char *messages;
    Model *model = parse("README.md", text_string(&text), text.length, &messages);
    ck_assert_msg(model, "%s", messages);
    ck_assert_str_eq(print(model), text_string(&text));
    text_free(&text);
}
END_TEST

START_TEST(blanks_and_comments_may_stand_between)
{
    static const char text[] = "netc-graph 1\n// CHECK: nothing\n\n model  \"m\"\tbatch 1 // one\r\n\n"
                               "phase predict\n%0=const 1:f32[]\n\n  // the result\n"
                               "result output\"y\"=%0\nend // of it\n\n";
    const char *messages;
    Model *model = parse("t.graph", text, sizeof text - 1, &messages);
    ck_assert_msg(model, "%s", messages);
    ck_assert_str_eq(print(model), "netc-graph 1\nmodel \"m\" batch 1\n\nphase predict\n"
                                   "    %0 = const 1.0 : f32[]\n    result output \"y\" = %0\n\nend\n");
}
END_TEST

/* ---- every op, every number ---------------------------------------------------------------------------- */

/* One node of each op; returns how many ops there are in the graph. */
static void add_every_op(Graph *g)
{
    Model *m = g->model;
    Variable *image =
        model_variable(m, VARIABLE_INPUT, "image", TYPE(F32, BATCH, {2, 0}, {3, 0}, {8, 0}, {9, 0}));
    Variable *kernel =
        model_variable(m, VARIABLE_PARAM, "kernel", TYPE(F32, {2, 0}, {5, 0}, {3, 0}, {3, 0}, {2, 0}));
    Variable *shift = model_variable(m, VARIABLE_INPUT, "shift", TYPE(I32, BATCH));
    Node *x = graph_variable(g, image), *w = graph_variable(g, kernel);
    for (int op = 0; op < OP_COUNT; op++) /* the elementwise ones that take floats */
        if (op >= OP_NEG && op < OP_CAST && op != OP_AND && op != OP_OR && op != OP_SELECT)
            ck_assert_ptr_nonnull(
                graph_add(g, (Node){.op = (OpKind)op, .in = {x, op_info[op].inputs > 1 ? x : NULL}}));
    Node *less = graph_binary(g, OP_LT, x, graph_unary(g, OP_NEG, x));
    graph_binary(g, OP_AND, less, less);
    graph_binary(g, OP_OR, less, less);
    graph_select(g, less, x, x);
    graph_cast(g, x, DTYPE_F64);
    graph_unary(g, OP_STOP_GRADIENT, x);
    graph_add(g, (Node){.op = OP_AGAIN, .in = {x}, .attr = {{1, {1}}}});
    graph_size(g, DTYPE_F32, (Size){3, 2});
    graph_iota(g, x->type, 4);
    graph_random(g, x->type, INT64_C(1) << 60, 3);
    graph_reshape(g, x, TYPE(F32, BATCH, {6 * 72, 0}));
    graph_const(g, x->type, -0.0);
    graph_transpose(g, x, SIZES(1, 0, 2, 3, 4));
    Node ops[] = {
        {.op = OP_SLICE,
         .in = {x},
         .attr = {SIZES(0, 1, 0, 0, 0), SIZES(1, 1, 1, 3, 1)},
         .type = TYPE(F32, BATCH, {1, 0}, {3, 0}, {2, 0}, {9, 0})},
        {.op = OP_PAD, .in = {x}, .attr = {SIZES(0, 0, 0, 1, 1), SIZES(0, 0, 0, 1, 2)}, .value = -INFINITY},
        {.op = OP_REVERSE, .in = {x}, .attr = {SIZES(4)}},
        {.op = OP_DILATE, .in = {x}, .attr = {SIZES(1, 1, 1, 2, 1)}},
        {.op = OP_WINDOW,
         .in = {x},
         .attr = {SIZES(3, 4), SIZES(2, 3), SIZES(2, 1), SIZES(1, 2)},
         .value = 0.5},
        {.op = OP_SHIFT, .in = {x, graph_variable(g, shift)}, .attr = {SIZES(4)}},
        {.op = OP_SUM, .in = {x}, .attr = {SIZES(0, 3, 4)}},
        {.op = OP_REDUCE_MAX, .in = {x}, .attr = {SIZES(1)}},
        {.op = OP_REDUCE_MIN, .in = {x}, .attr = {SIZES(1)}},
        {.op = OP_MATMUL, .in = {x, graph_transpose(g, x, SIZES(0, 1, 2, 4, 3))}},
        {.op = OP_CONV, .in = {x, w}, .attr = {SIZES(2, 1), SIZES(1, 3)}},
        {.op = OP_GATHER, .in = {w, graph_variable(g, shift)}},
        {.op = OP_SCATTER_ADD, .in = {x, graph_variable(g, shift)}, .attr = {SIZES(7)}},
        {.op = OP_CONCAT, .in = {x, x}, .attr = {SIZES(3)}},
    };
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        ck_assert_msg(graph_add(g, ops[i]), "%s", graph_why());
    Node *window = graph_add(g, ops[4]), *conv = graph_add(g, ops[10]);
    ck_assert_msg(graph_add(g, (Node){.op = OP_FOLD,
                                      .in = {window},
                                      .type = x->type,
                                      .attr = {SIZES(3, 4), SIZES(2, 3), SIZES(2, 1), SIZES(1, 2)}}),
                  "%s", graph_why());
    ck_assert_msg(graph_add(g, (Node){.op = OP_CONV_WEIGHT_GRADIENT,
                                      .in = {x, conv},
                                      .attr = {SIZES(2, 1), SIZES(1, 3), SIZES(3, 2)}}),
                  "%s", graph_why());
    Type tiles = TYPE(F32, BATCH, {1, 0}, {3, 0}, {6, 0}, {6, 0}),
         square = TYPE(F32, {1, 0}, {2, 0}, {3, 0}, {3, 0}, {3, 0});
    Type result = TYPE(F32, BATCH, {1, 0}, {2, 0}, {4, 0}, {3, 0});
    Ints tile = SIZES(4, 3);
    Node *input =
        graph_add(g, (Node){.op = OP_WINOGRAD_INPUT, .in = {graph_const(g, tiles, 1)}, .attr = {tile}});
    Node *weight =
        graph_add(g, (Node){.op = OP_WINOGRAD_WEIGHT, .in = {graph_const(g, square, 1)}, .attr = {tile}});
    Node *dy =
        graph_add(g, (Node){.op = OP_WINOGRAD_RESULT,
                            .in = {graph_const(g, TYPE(F32, BATCH, {1, 0}, {2, 0}, {4, 0}, {4, 0}), 1)},
                            .attr = {tile}});
    Node *turned = graph_transpose(g, input, SIZES(0, 1, 3, 2));
    graph_add(g, (Node){.op = OP_WINOGRAD_WEIGHT_GRADIENT,
                        .in = {graph_binary(g, OP_MATMUL, turned, dy)},
                        .attr = {tile}});
    graph_add(g, (Node){.op = OP_WINOGRAD_OUTPUT,
                        .in = {graph_binary(g, OP_MATMUL, input, weight)},
                        .type = result,
                        .attr = {tile}});
    graph_gradient(g, graph_reduce(g, OP_SUM, x, SIZES(0, 1, 2, 3, 4)), w);
    Node *element = graph_step(g, w, 1, true),
         *state = graph_carry(g, graph_const(g, element->type, 0), 1, 2, 0);
    list_add(g->arena, &g->carry, ((Carry){state, graph_binary(g, OP_ADD, state, element)}));
    graph_stack(g, state, 1, 2, false);
    graph_last(g, state);
}

START_TEST(every_op_comes_back)
{
    Model *model = model_new(arena, "ops");
    Graph *step = model->phase[PHASE_STEP];
    add_every_op(step);
    bool present[OP_COUNT] = {false};
    for (int i = 0; i < step->node.count; i++)
        present[step->node.at[i]->op] = true;
    for (int op = 0; op < OP_COUNT; op++)
        ck_assert_msg(present[op], "%s is missing: add it to add_every_op", op_info[op].name);
    check_round_trip(model);
}
END_TEST

static uint64_t random_bits(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state ^ *state >> 33;
}

START_TEST(numbers_come_back_to_the_bit)
{
    Model *model = model_new(arena, "numbers");
    Graph *g = model->phase[PHASE_PREDICT];
    double values[2000] = {0.0, -0.0, INFINITY, -INFINITY, NAN, 0x1p-1074, 0x1.fffffffffffffp1023,
                           0.1, 1e22, 123456789};
    uint64_t state = 1;
    for (int i = 10; i < 2000; i++) {
        uint64_t bits = random_bits(&state) << 32 ^ random_bits(&state);
        memcpy(&values[i], &bits, sizeof bits);
        values[i] = isnan(values[i]) ? 1 : values[i];
    }
    for (int i = 0; i < 2000; i++)
        graph_number(g, i % 2 ? DTYPE_F32 : DTYPE_F64, values[i]);
    Graph *back = check_round_trip(model)->phase[PHASE_PREDICT];
    ck_assert_int_eq(back->node.count, g->node.count);
    for (int i = 0; i < g->node.count; i++)
        ck_assert_msg(!memcmp(&back->node.at[i]->value, &g->node.at[i]->value, sizeof(double)) ||
                          isnan(g->node.at[i]->value),
                      "%a became %a", g->node.at[i]->value, back->node.at[i]->value);
}
END_TEST

/* ---- random graphs ------------------------------------------------------------------------------------- */

static Ints random_ints(uint64_t *state)
{
    Ints ints = {.count = (int)(random_bits(state) % 6)};
    for (int i = 0; i < ints.count; i++)
        ints.at[i] = (int64_t)(random_bits(state) % 5);
    return ints;
}

static Type random_type(uint64_t *state)
{
    Type type = {.dtype = random_bits(state) % 3 ? DTYPE_F32 : (DType)(random_bits(state) % DTYPE_COUNT),
                 .rank = (int)(random_bits(state) % 5)};
    for (int d = 0; d < type.rank; d++)
        type.dim[d] = (Size){1 + (int64_t)(random_bits(state) % 4), random_bits(state) % 4 == 0};
    return type;
}

/* Offers the graph nodes at random; the ops refuse most of them. */
static void add_random_nodes(Graph *g, int tries, uint64_t *state)
{
    static const char *const paths[] = {"conv1", "stage2.3.norm1", NULL};
    for (int i = 0; i < tries; i++) {
        Node node = {.op = (OpKind)(random_bits(state) % OP_COUNT), .type = random_type(state)};
        if (node.op == OP_VARIABLE) {
            node.variable = g->model->variable.at[random_bits(state) % (uint64_t)g->model->variable.count];
            node.type = node.variable->type;
        } else if (g->node.count < op_info[node.op].inputs || node_enters_loop(&node) ||
                   node_leaves_loop(&node)) {
            continue;
        }
        for (int k = 0; k < op_info[node.op].inputs; k++)
            node.in[k] = g->node.at[random_bits(state) % (uint64_t)g->node.count];
        for (int k = 0; k < op_attrs(node.op); k++)
            node.attr[k] = random_ints(state);
        if (node.op == OP_CONST || node.op == OP_PAD || node.op == OP_WINDOW)
            node.value = (double)(random_bits(state) % 1000) / 7;
        g->scope = paths[random_bits(state) % 3];
        graph_add(g, node);
    }
}

START_TEST(random_graphs_come_back)
{
    int nodes = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        uint64_t state = seed;
        Model *model = model_new(arena, "random");
        for (int i = 0; i < 6; i++) {
            Variable *v =
                model_variable(model, VARIABLE_INPUT, arena_printf(arena, "v%d", i), random_type(&state));
            v->span = (Span){0};
        }
        Graph *step = model->phase[PHASE_STEP];
        add_random_nodes(step, 3000, &state);
        nodes += step->node.count;
        check_round_trip(model);
    }
    ck_assert_int_gt(nodes, 100 * 100);
}
END_TEST

START_TEST(many_nodes_take_linear_time)
{
    Model *model = model_new(arena, "long");
    Graph *g = model->phase[PHASE_PREDICT];
    Node *x = graph_number(g, DTYPE_F32, 1);
    for (int i = 0; i < 100000; i++)
        x = graph_unary(g, OP_NEG, x);
    for (int i = 0; i < 20000; i++)
        model_variable(model, VARIABLE_INPUT, arena_printf(arena, "stage%d.weight", i),
                       type_scalar(DTYPE_F32));
    check_round_trip(model);
}
END_TEST

/* ---- broken texts -------------------------------------------------------------------------------------- */

#define HEAD "netc-graph 1\nmodel \"m\" batch 1\n"
#define VARIABLES                                                                                            \
    "variable param \"w\" f32[2]\nvariable input \"x\" f32[batch, 2]\nvariable scalar \"option.lr\" f32[]\n"
#define STEP HEAD VARIABLES "phase step\n" /* the nodes begin in line 7 */
#define TRAINING HEAD VARIABLES "training \"t\" batch 1 epochs 1 seed 0 patience 0"

#define LOOP                                                                                                 \
    HEAD "variable input \"x\" f32[3, 2]\nphase step\n%0 = variable \"x\" : f32[3, 2]\n"                     \
         "%1 = const 0.0 : f32[]\n%2 = broadcast(%1) : f32[2]\n" /* the next node is in line 8 */
#define CARRY_0 LOOP "%3 = carry(%2) loop=[1, 3] index=[0] : f32[2]\n"
#define CARRIED CARRY_0 "%4 = step(%0) loop=[1, 3] reverse=[0] : f32[2]\n%5 = add(%3, %4) : f32[2]\n"

#define CONV                                                                                                 \
    HEAD "variable input \"x\" f32[batch, 2, 3, 8, 9]\nvariable input \"s\" f32[]\nphase step\n"             \
         "%0 = variable \"x\" : f32[batch, 2, 3, 8, 9]\n%1 = conv_weight_gradient(%0, %0) "
#define GIVES " : f32[2, 3, 3, 3, 2]\n"

static const struct {
    const char *text, *message; /* the message without "t.graph:" */
} broken[] = {
    {"", "1:1: error: a graph's text begins with the line 'netc-graph 1'"},
    {"netc-graph 2\n", "1:1: error: a graph's text begins with the line 'netc-graph 1'"},
    {"netc-graph 1\n", "2:1: error: expected 'model'"},
    {"netc-graph 1\nmodel m", "2:7: error: expected a name in quotes"},
    {"netc-graph 1\nmodel \"\" batch 1\n", "2:7: error: expected a name, not an empty string"},
    {"netc-graph 1\nmodel \"m\n", "2:7: error: the string does not end, or holds an unknown escape"},
    {"netc-graph 1\nmodel \"\\n\" batch 1\n",
     "2:7: error: the string does not end, or holds an unknown escape"},
    {"netc-graph 1\nmodel \"\\000\" batch 1\n",
     "2:7: error: the string does not end, or holds an unknown escape"},
    {"netc-graph 1\nmodel \"\\777\" batch 1\n",
     "2:7: error: the string does not end, or holds an unknown escape"},
    {"netc-graph 1\nmodel \"m\" batch 0\n", "2:17: error: the integer is not in the range 1 to 2147483647"},
    {"netc-graph 1\nmodel \"m\" batch 99999999999999999999\n",
     "2:17: error: the integer is not in the range 1 to 2147483647"},
    {"netc-graph 1\nmodel \"m\" batch many\n", "2:17: error: expected an integer"},
    {"netc-graph 1\nmodel \"m\" batch 1 2\n", "2:19: error: expected the end of the line"},
    {HEAD, "3:1: error: expected 'variable', 'training', 'phase' or 'end'"},
    {HEAD "end", "3:4: error: expected the end of the line"},
    {HEAD "end\nend\n", "4:1: error: expected nothing after 'end'"},

    {HEAD "variable parameter \"w\" f32[]\n", "3:10: error: expected the kind of a variable"},
    {HEAD "variable param w f32[]\n", "3:16: error: expected a variable's name in quotes"},
    {HEAD "variable param \"w\" f31[]\n", "3:20: error: expected a type such as f32[batch, 10]"},
    {HEAD "variable param \"w\" f32[1,2]\n", "3:20: error: expected a type such as f32[batch, 10]"},
    {HEAD "variable param \"w\" f32[1, 1, 1, 1, 1, 1, 1, 1, 1]\n",
     "3:20: error: expected a type such as f32[batch, 10]"},
    {HEAD "variable param \"w\" f32[1099511627777]\n",
     "3:20: error: no size may exceed 2^40, no tensor 2^48 elements"},
    {HEAD "variable param \"w\" f32[1099511627776, 257]\n",
     "3:20: error: no size may exceed 2^40, no tensor 2^48 elements"},
    {"netc-graph 1\nmodel \"m\" batch 2147483647\nvariable param \"w\" f32[batch, 1099511627776]\n",
     "3:1: error: variable 'w': f32[batch, 1099511627776] is too large for a batch of 2147483647"},
    {HEAD VARIABLES "variable input \"w\" f32[]\n", "6:1: error: two variables are named 'w'"},
    {HEAD VARIABLES "variable slot \"s\" f32[2]\n", "6:25: error: expected 'of'"},
    {HEAD VARIABLES "variable slot \"s\" f32[2] of \"v\"\n", "6:29: error: no variable is named 'v'"},
    {HEAD VARIABLES "variable slot \"s\" f32[2] of \"s\"\n",
     "6:1: error: slot 's' belongs to no parameter before it"},
    {HEAD VARIABLES "variable slot \"s\" f32[2] of \"x\"\n",
     "6:1: error: slot 's' belongs to no parameter before it"},
    {HEAD "variable param \"w\" f32[] trainable=no\n", "3:36: error: expected 'false'"},
    {HEAD "variable param \"w\" f32[] decay false\n", "3:32: error: expected '='"},
    {HEAD "variable param \"w\" f32[] lr_scale=0x1\n", "3:35: error: expected a number"},
    {HEAD "variable param \"w\" f32[] lr_scale=-1\n",
     "3:1: error: variable 'w': lr_scale is negative or not finite"},
    {HEAD "variable input \"w\" f32[] decay=false\n", "3:26: error: expected the end of the line"},
    {HEAD "variable scalar \"time\" f32[]\n",
     "3:1: error: variable 'time': the runtime sets no scalar of that name"},
    {HEAD "variable scalar \"seed\" f32[]\n", "3:1: error: variable 'seed' is f32[], not u32[2]"},
    {HEAD "variable scalar \"step\" i32[]\n", "3:1: error: variable 'step' is i32[], not f32[]"},

    {HEAD "training \"t\" epochs 1\n", "3:14: error: expected 'batch'"},
    {HEAD "training \"t\" batch 1 epochs 0\n",
     "3:29: error: the integer is not in the range 1 to 2147483647"},
    {HEAD "training \"t\" batch 1 epochs 1 seed -1\n",
     "3:36: error: the integer is not in the range 0 to 9223372036854775807"},
    {TRAINING "\n", "7:1: error: expected 'variable', 'training', 'phase' or 'end'"},
    {TRAINING "\nsource train 1\n", "7:14: error: expected a source"},
    {TRAINING "\nsource train csv path=data\n", "7:23: error: expected a number"},
    {TRAINING "\nsource train csv path \"data\"\n", "7:23: error: expected '='"},
    {TRAINING "\nsource other csv\nend\n", "6:1: error: source 0 is of no split"},
    {TRAINING "\nsource test csv\nsource test csv\nend\n", "6:1: error: two sources are for 'test'"},
    {TRAINING "\nfield \"y\"\n", "7:7: error: no variable is named 'y'"},
    {TRAINING "\nfield \"w\"\nend\n", "6:1: error: field 0 is no input"},
    {TRAINING "\noption 1\n", "7:8: error: expected an option's name"},
    {TRAINING "\noption size\nend\n", "6:1: error: option 'size' has no scalar 'option.size'"},
    {TRAINING "\noption lr\noption lr\nend\n", "6:1: error: two options are named 'lr'"},
    {TRAINING " best \"top1\"\nend\n", "6:1: error: best goes by 'top1', which finish does not give"},

    {HEAD "phase\n", "3:6: error: expected the name of a phase"},
    {HEAD "phase train\n", "3:7: error: expected the name of a phase"},
    {HEAD "phase step\nphase step\n", "4:1: error: phase step comes after phase step"},
    {HEAD "phase step\nphase init\n", "4:1: error: phase step comes after phase init"},
    {LOOP "carry %2 = %1\nend\n", "8:1: error: %2 is no carry"},
    {LOOP "carry %3 = %1\nend\n", "8:7: error: %3 is no node before this one"},
    {CARRY_0 "carry %3 %1\nend\n", "9:10: error: expected '='"},
    {CARRY_0 "carry %3 = %1\nend\n", "9:1: error: carry %3 and its next value %1 have different types"},
    {CARRY_0 "carry %3 = %3\ncarry %3 = %3\nend\n", "10:1: error: carry %3 has two next values"},
    {CARRY_0 "end\n", "1:1: error: step: carry %3 has no next value"},
    {LOOP "%3 = carry(%2) loop=[0, 3] index=[0] : f32[2]\n",
     "8:1: error: carry: a loop has a number and a length"},
    {LOOP "%3 = carry(%2) loop=[1] index=[0] : f32[2]\n",
     "8:1: error: carry: a loop has a number and a length"},
    {LOOP "%3 = last(%2) loop=[1, 3] : f32[2]\n", "8:1: error: last: of a carry, not of broadcast"},
    {LOOP "%3 = carry(%2) loop=[2000000000, 3] index=[0] : f32[2]\ncarry %3 = %3\nend\n",
     "1:1: error: step: loop 2000000000 has too high a number: there are only 4 nodes"},
    {CARRIED "carry %3 = %5\nresult output \"y\" = %5\nend\n",
     "1:1: error: step: result 'y' is inside a loop"},
    {CARRIED "%6 = carry(%5) loop=[1, 3] index=[1] : f32[2]\ncarry %3 = %5\ncarry %6 = %6\nend\n",
     "1:1: error: step: %6 is outside of loops, but reads %5 of loop 1"},
    {CARRIED "%6 = carry(%2) loop=[2, 3] index=[0] : f32[2]\n%7 = add(%5, %6) : f32[2]\n"
             "carry %3 = %5\ncarry %6 = %6\nend\n",
     "1:1: error: step: %7 reads %6 of loop 2, and is not in it"},
    {CARRIED "%6 = carry(%2) loop=[2, 3] index=[0] : f32[2]\ncarry %3 = %5\ncarry %6 = %5\nend\n",
     "1:1: error: step: carry %6: its next value %5 is in another loop"},
    {CARRIED "%6 = stack(%5) loop=[2, 3] reverse=[0] : f32[3, 2]\ncarry %3 = %5\nend\n",
     "1:1: error: step: %6 reads %5 of loop 1, and is not in it"},
    {CARRIED "%6 = last(%3) loop=[1, 3] : f32[2]\n%7 = neg(%5) : f32[2]\ncarry %3 = %7\nend\n",
     "1:1: error: step: %7 is in loop 1, after what leaves it"},
    {HEAD "variable input \"x\" f32[3, 2]\nvariable metric \"m\" f32[2]\nphase step\n%0 = variable \"x\" : "
          "f32[3, 2]\n"
          "%1 = step(%0) loop=[1, 3] reverse=[0] : f32[2]\nassign \"m\" = %1\nend\n",
     "1:1: error: step: 'm' is set inside a loop"},
    {CARRIED "%6 = stack(%5) loop=[1, 4] reverse=[0] : f32[4, 2]\ncarry %3 = %5\nend\n",
     "1:1: error: step: %6 gives loop 1 another length"},
    {STEP "node\n", "7:1: error: expected a node, 'carry', 'result', 'assign', 'phase' or 'end'"},
    {STEP "%1 = const 1 : f32[]\n", "7:1: error: the next node is %0"},
    {STEP "%x = const 1 : f32[]\n", "7:2: error: expected an integer"},
    {STEP "%0 const 1 : f32[]\n", "7:4: error: expected '='"},
    {STEP "%0 = 1\n", "7:6: error: expected an op"},
    {STEP "%0 = constant 1 : f32[]\n", "7:6: error: no op is named 'constant'"},
    {STEP "%0 = const x : f32[]\n", "7:12: error: expected a number"},
    {STEP "%0 = const 1 f32[]\n", "7:14: error: expected ':'"},
    {STEP "%0 = const 1 : f32[] w\n", "7:22: error: expected the end of the line"},
    {STEP "%0 = const 1 : f32[2]\n", "7:1: error: const: it is a scalar, not f32[2]"},
    {STEP "%0 = neg %0 : f32[]\n", "7:10: error: expected '('"},
    {STEP "%0 = neg(%0) : f32[]\n", "7:10: error: %0 is no node before this one"},
    {STEP "%0 = neg(0) : f32[]\n", "7:10: error: expected '%'"},
    {STEP "%0 = const 1 : f32[]\n%1 = add(%0) : f32[]\n", "8:12: error: expected ','"},
    {STEP "%0 = const 1 : f32[]\n%1 = neg(%0, %0) : f32[]\n", "8:12: error: expected ')'"},
    {STEP "%0 = variable : f32[]\n", "7:15: error: expected a variable's name in quotes"},
    {STEP "%0 = variable \"v\" : f32[]\n", "7:15: error: no variable is named 'v'"},
    {STEP "%0 = variable \"w\" : f32[3]\n", "7:1: error: variable: its type is not the variable's"},
    {STEP "%0 = variable \"w\" : f32[2]\n%1 = sum(%0) axis=[0] : f32[]\n", "8:14: error: expected 'axes'"},
    {STEP "%0 = variable \"w\" : f32[2]\n%1 = sum(%0) axes [0] : f32[]\n", "8:19: error: expected '='"},
    {STEP "%0 = variable \"w\" : f32[2]\n%1 = sum(%0) axes=0 : f32[]\n", "8:19: error: expected '['"},
    {STEP "%0 = variable \"w\" : f32[2]\n%1 = sum(%0) axes=[0 1] : f32[]\n", "8:22: error: expected ','"},
    {STEP "%0 = variable \"w\" : f32[2]\n%1 = sum(%0) axes=[0, 1, 2, 3, 4, 5, 6, 7, 8] : f32[]\n",
     "8:42: error: more than 8 values"},
    {STEP "%0 = variable \"w\" : f32[2]\n%1 = sum(%0) axes=[1] : f32[]\n",
     "8:1: error: sum: axes are not axes of f32[2]"},
    {STEP "%0 = variable \"w\" : f32[2]\n%1 = neg(%0) : f32[3]\n", "8:16: error: neg gives f32[2]"},
    {STEP "%0 = const 1 : f32[]\n%1 = const 1 : f32[] \"one\"\n",
     "8:1: error: %0 and %1 are equal, but two nodes"},
    {STEP "%0 = variable \"w\" : f32[2]\n%1 = pad(%0) low=[0] high=[1] : f32[3]\n",
     "8:31: error: expected 'value'"},

    {STEP "%0 = size count=[1] power=[9] : f32[]\n", "7:1: error: size: count or power is out of range"},
    {STEP "%0 = size count=[] power=[] : f32[]\n", "7:1: error: size: count or power is out of range"},
    {CONV "stride=[9223372036854775807, 1] dilation=[1, 3] kernel=[3, 2]" GIVES,
     "7:1: error: conv_weight_gradient: f32[batch, 2, 3, 8, 9] is too small for f32[batch, 2, 3, 8, 9]"},
    {CONV "stride=[1, 1] dilation=[9223372036854775807, 3] kernel=[2, 2]" GIVES,
     "7:1: error: conv_weight_gradient: f32[batch, 2, 3, 8, 9] is too small for f32[batch, 2, 3, 8, 9]"},

    {STEP "result total \"l\" = %0\n", "7:8: error: expected the kind of a result"},
    {STEP "result loss \"l\" = %0\n", "7:19: error: %0 is no node before this one"},
    {STEP "%0 = variable \"w\" : f32[2]\nresult loss \"l\" = %0\n",
     "8:1: error: result 'l' is f32[2], but a loss or metric is f32[]"},
    {STEP "%0 = const 1 : f32[]\nresult loss \"l\" = %0\nresult metric \"l\" = %0\n",
     "9:1: error: two results are named 'l'"},
    {STEP "assign \"v\" = %0\n", "7:8: error: no variable is named 'v'"},
    {STEP "%0 = const 1 : f32[]\nassign \"w\" = %0\n", "8:1: error: 'w' is f32[2], but %0 is f32[]"},
    {STEP "%0 = variable \"x\" : f32[batch, 2]\nassign \"x\" = %0\n",
     "8:1: error: 'x' may not be set in this phase"},
    {STEP "%0 = variable \"w\" : f32[2]\nassign \"w\" = %0\nassign \"w\" = %0\n",
     "9:1: error: 'w' is set twice"},
    {HEAD VARIABLES "phase init\n%0 = const 1 : f32[]\nend\n", "1:1: error: init: 'w' is not set"},
    {HEAD VARIABLES "phase init\n%0 = variable \"w\" : f32[2]\nassign \"w\" = %0\nend\n",
     "1:1: error: init: 'w' is read before it is set"},
};

START_TEST(a_broken_text_has_one_error_at_its_place)
{
    const char *messages;
    const char *text = broken[_i].text;
    ck_assert_msg(!parse("t.graph", text, strlen(text), &messages), "accepted:\n%s", text);
    const char *want = arena_printf(arena, "t.graph:%s\n", broken[_i].message);
    ck_assert_msg(!strncmp(messages, want, strlen(want)), "want %s got %s", want, messages);
}
END_TEST

START_TEST(the_error_shows_its_line)
{
    static const char text[] = HEAD "phase step\n    %0 = const 1 : f32[2, 3] \"one\"\n";
    const char *messages;
    ck_assert_ptr_null(parse("dir/t.graph", text, sizeof text - 1, &messages));
    ck_assert_str_eq(messages, "dir/t.graph:4:5: error: const: it is a scalar, not f32[2, 3]\n"
                               "        %0 = const 1 : f32[2, 3] \"one\"\n"
                               "        ^~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\n");
}
END_TEST

START_TEST(a_nul_ends_nothing)
{
    static const char text[] = HEAD "\0end\n", after[] = HEAD "end\n\0";
    const char *messages;
    ck_assert_ptr_null(parse("t", text, sizeof text - 1, &messages));
    ck_assert(!strncmp(messages, "t:3:1: error: expected 'variable'", 30));
    ck_assert_ptr_null(parse("t", after, sizeof after - 1, &messages));
    ck_assert(!strncmp(messages, "t:4:1: error: expected nothing after 'end'", 40));
}
END_TEST

/* Every prefix of a good text is an error, and none makes the reader go astray. */
START_TEST(a_cut_text_is_an_error)
{
    const char *text = print(sample_model(arena)), *messages;
    size_t length = strlen(text);
    for (size_t cut = 0; cut < length; cut++) {
        char *part = arena_copy(arena, text, cut + 1);
        part[cut] = 0;
        ck_assert_msg(!parse("t.graph", part, cut, &messages), "%zu bytes of %zu are accepted", cut, length);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("graph_text");
    TCase *cases = tcase_create("text");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, the_text_reads_like_this);
    tcase_add_test(cases, everything_but_places_comes_back);
    tcase_add_test(cases, training_and_variables_may_be_absent);
    tcase_add_test(cases, the_guide_shows_a_true_file);
    tcase_add_test(cases, blanks_and_comments_may_stand_between);
    tcase_add_test(cases, every_op_comes_back);
    tcase_add_test(cases, numbers_come_back_to_the_bit);
    tcase_add_test(cases, random_graphs_come_back);
    tcase_add_test(cases, many_nodes_take_linear_time);
    tcase_add_loop_test(cases, a_broken_text_has_one_error_at_its_place, 0,
                        (int)(sizeof broken / sizeof *broken));
    tcase_add_test(cases, the_error_shows_its_line);
    tcase_add_test(cases, a_nul_ends_nothing);
    tcase_add_test(cases, a_cut_text_is_an_error);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
