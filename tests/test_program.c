/* The Program's texts (kernels, plan, descriptor) and its verifier: each fault planted once, the message compared. */
#include "description.h"
#include "program.h"
#include "program_samples.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Arena *arena;

static void set_up(void) { arena = arena_new(); }
static void tear_down(void) { arena_free(arena); }

static const char *text_of(void (*print)(Text *, const Program *), const Program *program)
{
    Text text = {0};
    print(&text, program);
    const char *copy = arena_string(arena, text_string(&text));
    text_free(&text);
    return copy;
}

/* ---- texts --------------------------------------------------------------------------------------------- */

START_TEST(the_descriptor_is_what_the_runtime_reads)
{
    const char *text = text_of(program_descriptor, sample_program(arena));
    const char *hash = strstr(text, "hash \"");
    ck_assert(hash && strspn(hash + 6, "0123456789abcdef") == 16);
    const char *want =
        arena_printf(arena,
                     "netc-descriptor 1\n"
                     "model \"net\" hash \"%.16s\" version \"%s\" cpu \"x86-64\" needs \"\" batch 10\n"
                     "training \"net\" epochs 3 seed 7 patience 2 best \"\"\n"
                     "source \"train\" \"csv\"\n"
                     "argument \"path\" string \"a \\\"b\\\".csv\"\n"
                     "argument \"limit\" number 0.10000000000000001\n"
                     "field 2\n"
                     "option \"lr\" 3\n"
                     "buffer param \"head.w\" f32 2 1 3 axes 1 0 life 0 5 at 0\n"
                     "buffer slot \"optim.m.head.w\" f32 2 1 3 axes 1 0 life 0 5 at 64 of 0\n"
                     "buffer input \"x\" f32 2 1^1 3 life 0 5 at 128\n"
                     "buffer scalar \"option.lr\" f32 0 life 0 5 at 256\n"
                     "buffer transient \"head\" f32 2 1^1 3 life 2 4 at 320\n"
                     "buffer result \"loss\" f32 0 life 3 4 at 448\n"
                     "buffer result \"head\" f32 2 1^1 3 life 5 5 at 320\n"
                     "kernel \"fill\" items 1 3 1 flops 100 bytes 800\n"
                     "kernel \"scale\" items 1 3^1 1 flops 100 bytes 800\n"
                     "kernel \"sum\" items 1 1 1 flops 100 bytes 800\n"
                     "kernel \"update\" items 1 3 1 flops 100 bytes 800\n"
                     "phase \"init\" 0 2\n"
                     "phase \"step\" 2 3\n"
                     "result loss \"loss\" 5\n"
                     "phase \"test\" 5 0\n"
                     "phase \"finish\" 5 0\n"
                     "phase \"prepare\" 5 0\n"
                     "phase \"predict\" 5 1\n"
                     "result output \"y\" 6\n"
                     "call 0 \"\" buffers 1 0 arguments 1 7\n"
                     "call 0 \"\" buffers 1 1 arguments 1 7\n"
                     "call 1 \"head mul\" buffers 3 4 2 0\n"
                     "call 2 \"loss sum\" buffers 2 5 4\n"
                     "call 3 \"head sub\" buffers 2 0 4\n"
                     "call 1 \"head mul\" buffers 3 6 2 0\n"
                     "end\n",
                     hash + 6, NETC_VERSION);
    ck_assert_str_eq(text, want);
}
END_TEST

START_TEST(the_runtime_reads_it)
{
    const char *text = text_of(program_descriptor, sample_program(arena));
    Description d = {0};
    Fault fault = {0};
    ck_assert_msg(description_parse(&d, text, &fault), "%s", fault.text);
    ck_assert_msg(description_check(&d, &fault), "%s", fault.text);
    ck_assert_str_eq(d.model, "net");
    ck_assert_str_eq(d.source[0].argument[0].string, "a \"b\".csv");
    ck_assert_double_eq(d.source[0].argument[1].number, 0.1);
    ck_assert_int_eq(d.field[0], 2);
    ck_assert_str_eq(d.option[0].name, "lr");
    ck_assert_int_eq(d.buffer[1].of, 0);
    ck_assert_int_eq(d.buffer[0].axis[0], 1);
    ck_assert_int_eq(d.calls, 6);
    ck_assert_int_eq(d.call[0].argument[0], 7);
    ck_assert_int_eq(d.phase[RUN_STEP].first, 2);
    ck_assert_str_eq(d.phase[RUN_PREDICT].result[0].name, "y");
    description_free(&d);
}
END_TEST

/* Checkpoints go by the hash: it is of what is computed, not of how it is trained or where the data lie. */
START_TEST(the_hash_is_of_the_graphs)
{
    Program *program = sample_program(arena);
    const char *text = text_of(program_descriptor, program);
    const char *hash = arena_printf(arena, "%.16s", strstr(text, "hash \"") + 6);
    program->model->training->epochs = 100;
    program->model->training->source.at[0].argument.at[0].string = "elsewhere.csv";
    text = text_of(program_descriptor, program);
    ck_assert_ptr_nonnull(strstr(text, hash));
    program->model->phase[PHASE_PREDICT]->node.at[0]->name = "tail";
    ck_assert_ptr_null(strstr(text_of(program_descriptor, program), hash));
}
END_TEST

START_TEST(a_program_reads_like_this)
{
    const char *text = text_of(program_print, sample_program(arena));
    static const char head[] = "// net: 4 kernels, 6 calls\n\n"
                               "kernel fill_1\n"
                               "    item i0 < 3\n"
                               "    arguments a1\n"
                               "    buffer x0: f32 written\n"
                               "    x0[i0] = 0.5f\n\n"
                               "kernel scale_2\n"
                               "    item i0 < 3*batch\n"
                               "    buffer x0: f32 written\n"
                               "    buffer x1: f32 read\n"
                               "    buffer x2: f32 read\n"
                               "    x0[i0] = x1[i0]*x2[i0%3]\n\n";
    static const char tail[] = "\n\nphase init\n"
                               "    0 fill_1(head.w) a1=7\n"
                               "    1 fill_1(optim.m.head.w) a1=7\n\n"
                               "phase step\n"
                               "    2 scale_2(head, x, head.w) // head mul\n"
                               "    3 sum_3(loss, head) // loss sum\n"
                               "    4 update_4(head.w, head) // head sub\n"
                               "    result loss = loss\n\n"
                               "phase predict\n"
                               "    5 scale_2(head, x, head.w) // head mul\n"
                               "    result y = head\n";
    ck_assert_msg(!strncmp(text, head, strlen(head)), "%s", text);
    ck_assert_str_eq(text + strlen(text) - strlen(tail), tail);
}
END_TEST

START_TEST(a_plan_reads_like_this)
{
    Program *program = sample_program(arena);
    program->arena_bytes = 720;
    ck_assert_str_eq(
        text_of(program_print_plan, program),
        "Memory of net for batches up to 10, calls 0 to 5; 'as' gives the axes from the outermost in "
        "memory.\n\n"
        "      offset        bytes  first   last  kind       buffer                           type\n"
        "           0           12      0      5  variable   head.w                           f32[1, 3] as 1 "
        "0\n"
        "          64           12      0      5  variable   optim.m.head.w                   f32[1, 3] as 1 "
        "0\n"
        "         128          120      0      5  variable   x                                f32[batch, 3]\n"
        "         256            4      0      5  variable   option.lr                        f32[]\n"
        "         320          120      2      4  transient  head                             f32[batch, 3]\n"
        "         320          120      5      5  result     head                             f32[batch, 3]\n"
        "         448            4      3      4  result     loss                             f32[]\n"
        "\n"
        "arena                720 bytes\n"
        "lower bound          576 bytes, alive at call 2 of step: scale_2 for head mul\n"
        "excess             25.00 %\n");
}
END_TEST

/* ---- faults -------------------------------------------------------------------------------------------- */

typedef struct Plant {
    const char *message;
    void (*plant)(Program *p);
} Plant;

enum { W, SLOT, X, LR, HIDDEN, LOSS, Y };

static void no_target(Program *p) { p->target = NULL; }
static void below_the_bound(Program *p) { p->bound_bytes = 600; }
static void gap_between_phases(Program *p) { p->phase[PHASE_STEP].first = 3; }
static void fewer_calls(Program *p) { p->call.count = 5; }
static void broken_kernel(Program *p) { p->kernel.at[1]->item_axis = 4; }
static void two_kernels(Program *p) { p->kernel.at[2]->name = "fill_1"; }

static void unnamed_buffer(Program *p) { p->buffer.at[HIDDEN].name = NULL; }
static void kindless_buffer(Program *p) { p->buffer.at[HIDDEN].kind = (BufferKind)4; }
static void typeless_buffer(Program *p) { p->buffer.at[HIDDEN].type.rank = 9; }
static void wrong_layout(Program *p) { p->buffer.at[HIDDEN].axes[0] = 1; }
static void layout_beyond(Program *p) { p->buffer.at[HIDDEN].axes[1] = 33; }
static void owned_transient(Program *p) { p->buffer.at[HIDDEN].variable = p->model->variable.at[X]; }
static void lone_variable(Program *p) { p->buffer.at[X].variable = NULL; }
static void wrong_shape(Program *p) { p->buffer.at[X].type.dim[1] = size_of(4); }
static void two_buffers(Program *p) { p->buffer.at[SLOT].variable = p->model->variable.at[W]; }
static void option_without_buffer(Program *p)
{
    p->buffer.at[LR].variable = NULL;
    p->buffer.at[LR].kind = BUFFER_TRANSIENT;
}
static void life_beyond(Program *p) { p->buffer.at[HIDDEN].last = 6; }
static void life_backwards(Program *p) { p->buffer.at[HIDDEN].first = 5; }
static void short_variable(Program *p) { p->buffer.at[X].last = 4; }
static void outside(Program *p) { p->buffer.at[LOSS].offset = 573; }
static void before(Program *p) { p->buffer.at[LOSS].offset = -64; }

static void unknown_kernel(Program *p) { p->call.at[2].kernel = 4; }
static void no_buffers(Program *p) { p->call.at[2].buffer = NULL; }
static void no_arguments(Program *p) { p->call.at[0].argument = NULL; }
static void unknown_buffer(Program *p) { p->call.at[2].buffer[1] = 7; }
static void wrong_element(Program *p) { p->kernel.at[2]->buffer.at[1].dtype = DTYPE_I32; }
static void dead_buffer(Program *p) { p->buffer.at[HIDDEN].last = 3; }
static void alias(Program *p) { p->call.at[4].buffer[1] = W; }
static void alias_of_result(Program *p) { p->call.at[2].buffer[1] = HIDDEN; }
static void integer_buffer(Program *p) { p->buffer.at[HIDDEN].type.dtype = DTYPE_I32; }
static void read_before_written(Program *p)
{
    p->call.at[2].buffer[1] = LOSS;
    p->buffer.at[LOSS].first = 2;
}
static void written_input(Program *p) { p->call.at[3].buffer[0] = X; }
static void predict_writes(Program *p) { p->call.at[5].buffer[0] = SLOT; }

static void add_loop(Program *p, int first, int count, int64_t length)
{
    list_add(p->arena, &p->loop, ((ProgramLoop){first, count, length}));
}
static void loop_over_phases(Program *p) { add_loop(p, 1, 2, 3); }
static void loop_of_nothing(Program *p) { add_loop(p, 2, 0, 3); }
static void loop_of_no_steps(Program *p) { add_loop(p, 2, 2, 0); }
static void loops_in_loops(Program *p)
{
    add_loop(p, 2, 3, 3);
    add_loop(p, 3, 1, 3);
}
static void life_cut_by_loop(Program *p) { add_loop(p, 2, 2, 5); }
static void no_such_step(Program *p) { p->call.at[2].step = 7; }

/* Another call before that which makes the result. */
static void result_cut_by_slices(Program *p)
{
    Call before = p->call.at[5];
    before.buffer = arena_copy(p->arena, before.buffer, 3 * sizeof *before.buffer);
    before.buffer[0] = HIDDEN;
    list_add(p->arena, &p->call, p->call.at[5]);
    p->call.at[5] = before;
    p->phase[PHASE_PREDICT].count = 2;
    for (int i = 0; i < HIDDEN; i++)
        p->buffer.at[i].last = 6;
    p->buffer.at[HIDDEN].last = 5;
    p->buffer.at[Y].first = p->buffer.at[Y].last = 6;
    p->slice = 1;
}
static void negative_slice(Program *p) { p->slice = -1; }
static void unnamed_result(Program *p) { p->phase[PHASE_STEP].result.at[0].name = NULL; }
static void result_without_buffer(Program *p) { p->phase[PHASE_STEP].result.at[0].buffer = -1; }
static void transient_result(Program *p) { p->phase[PHASE_STEP].result.at[0].buffer = HIDDEN; }
static void foreign_result(Program *p) { p->phase[PHASE_STEP].result.at[0].buffer = Y; }
static void short_result(Program *p) { p->buffer.at[LOSS].last = 3; }

static const Plant plants[] = {
    {"the program has no model or no target", no_target},
    {"an arena of 576 bytes for batches up to 10 is less than the bound of 600", below_the_bound},
    {"phase step begins at call 3, not 2", gap_between_phases},
    {"the phases have 6 calls, the program 5", fewer_calls},
    {"kernel scale_2: its items run along i4, which is no axis", broken_kernel},
    {"two kernels are named 'fill_1'", two_kernels},
    {"loop 0, of calls 1 to 2, is no run within a phase", loop_over_phases},
    {"loop 0, of calls 2 to 1, is no run within a phase", loop_of_nothing},
    {"loop 0, of calls 2 to 3, is no run within a phase", loop_of_no_steps},
    {"loop 1, of calls 3 to 3, is no run within a phase", loops_in_loops},
    {"buffer 'loss' lives from call 3 to 4, which cuts the loop of calls 2 to 3", life_cut_by_loop},
    {"call 2 of scale_2: there is no argument 7 for the step", no_such_step},
    {"buffer 4 has no name", unnamed_buffer},
    {"buffer 'head' has no kind", kindless_buffer},
    {"buffer 'head' has no type, or one that is too large", typeless_buffer},
    {"buffer 'head': its layout is no permutation of 2 axes", wrong_layout},
    {"buffer 'head': its layout is no permutation of 2 axes", layout_beyond},
    {"buffer 'head' is no variable's, but has one", owned_transient},
    {"buffer 'x' belongs to no variable of the model", lone_variable},
    {"buffer 'x' has not its variable's shape", wrong_shape},
    {"variable 'head.w' has 2 buffers", two_buffers},
    {"variable 'option.lr' has 0 buffers", option_without_buffer},
    {"buffer 'head' lives from call 2 to 6, but the calls are 0 to 5", life_beyond},
    {"buffer 'head' lives from call 5 to 4, but the calls are 0 to 5", life_backwards},
    {"variable 'x' lives from call 0 to 4 only", short_variable},
    {"buffer 'loss' at 573+4 is outside the arena of 576", outside},
    {"buffer 'loss' at -64+4 is outside the arena of 576", before},
    {"call 2: there is no kernel 4", unknown_kernel},
    {"call 2 of scale_2 lacks its buffers or arguments", no_buffers},
    {"call 0 of fill_1 lacks its buffers or arguments", no_arguments},
    {"call 2 of scale_2: there is no buffer 7", unknown_buffer},
    {"kernel sum_3: store x0: 'x1[i0]' is f32, not i32", wrong_element},
    {"call 4 of update_4 uses 'head', which lives from call 2 to 3", dead_buffer},
    {"call 4 of update_4 writes 'head.w', which is both x0 and x1", alias},
    {"call 2 of scale_2 writes 'head', which is both x0 and x1", alias_of_result},
    {"call 2 of scale_2: buffer 'head' is i32, but x0 is f32", integer_buffer},
    {"call 2 of scale_2 reads 'loss' before it is written", read_before_written},
    {"call 3 of sum_3 writes 'x', which phase step may not", written_input},
    {"call 5 of scale_2 writes 'optim.m.head.w', which phase predict may not", predict_writes},
    {"phase step: result 0 has no name or kind", unnamed_result},
    {"phase step: result 'loss' has no buffer", result_without_buffer},
    {"phase step: result 'loss' is in 'head', which is transient", transient_result},
    {"phase step: result 'loss' is never written", foreign_result},
    {"phase step: result 'loss' is gone after call 3", short_result},
    {"phase predict: result 'y' does not live through all slices", result_cut_by_slices},
    {"predictions are made of fewer than no samples at a time", negative_slice},
};

START_TEST(a_planted_fault_is_found)
{
    Program *program = sample_program(arena);
    const char *fault = program_fault(program);
    ck_assert_msg(!fault, "%s", fault);
    plants[_i].plant(program);
    fault = program_fault(program);
    ck_assert_msg(fault, "not found: %s", plants[_i].message);
    ck_assert_str_eq(fault, plants[_i].message);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("program");
    TCase *cases = tcase_create("program");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, the_descriptor_is_what_the_runtime_reads);
    tcase_add_test(cases, the_runtime_reads_it);
    tcase_add_test(cases, the_hash_is_of_the_graphs);
    tcase_add_test(cases, a_program_reads_like_this);
    tcase_add_test(cases, a_plan_reads_like_this);
    tcase_add_loop_test(cases, a_planted_fault_is_found, 0, (int)(sizeof plants / sizeof *plants));
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
