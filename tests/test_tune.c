/* Tune files: what is written is read again; what is wrong is refused at its place; and a program has the same bits by any
   schedules that a tune file may hold. */
#include "fill.h"
#include "frontend.h"
#include "run_model.h"
#include "tune.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BATCH = 11, STEPS = 2, WALKS = 2, WALK_LENGTH = 4, MOST_NEIGHBOURS = 200 };

/* Convolutions of all kinds, their gradients, reductions over samples and along rows, a loop. */
static const char source_of_net[] =
    "net small(image: f32[batch, 1, 12, 12]) {\n"
    "    a = image |> conv(20, kernel = 3, pad = 1) as first |> batch_norm |> relu |> max_pool(2);\n"
    "    b = a |> conv(18, kernel = 3, pad = 1) as second |> relu;\n"
    "    logits = (a |> flatten |> dense(9) |> tanh |> dense(5) as left)\n"
    "           + (b |> global_avg_pool |> layer_norm |> dense(5) as right);\n"
    "    return class = softmax(logits);\n"
    "}\n"
    "train small {\n"
    "    data      mnist(\"nowhere\") as (pixels: u8[batch, 1, 12, 12], digit: i32[batch]);\n"
    "    image     = f32(pixels) / 255;\n"
    "    loss      cross_entropy(logits, digit) + 1e-4 * l2(parameters);\n"
    "    metric    top1 = accuracy(logits, digit);\n"
    "    optimizer adam(lr = 0.01);\n"
    "    batch     11;\n"
    "    epochs    1;\n"
    "}\n";

static Arena *arena;
static Diagnostics diag;
static char *said;
static size_t said_size;

static void set_up(void)
{
    arena = arena_new();
    diag = (Diagnostics){.out = open_memstream(&said, &said_size)};
}

static void tear_down(void)
{
    fclose(diag.out);
    free(said);
    arena_free(arena);
}

static const char *messages(void)
{
    fflush(diag.out);
    return said;
}

static Source *source_of(const char *text)
{
    Source *source = arena_alloc(arena, sizeof *source);
    *source = (Source){"x.tune", text, strlen(text)};
    return source;
}

static Program *compile(const TuneSection *section, TuneKernels *kernels)
{
    Model *model = frontend_text(arena, &diag, "small.net", source_of_net, sizeof source_of_net - 1, NULL, 0);
    ck_assert_msg(model, "%s", messages());
    PipelineOptions options = {.target = target_find("native"),
                               .verify = true,
                               .dump_to = stderr,
                               .winograd = USE_ALWAYS,
                               .tune = section,
                               .kernels = kernels};
    Program *program = NULL;
    pipeline_run(model, &diag, &options, &program);
    return program;
}

/* A schedule some steps away from the usual one. */
static Schedule wander(Random *random, const TuneKernel *kernel)
{
    Schedule s = kernel->schedule;
    for (int i = 0; i < WALK_LENGTH; i++) {
        TuneSchedules near =
            tune_neighbours(arena, target_find("native"), kernel->compute, BATCH, &s,
                            (TuneStage)random_integer(random, 0, TUNE_STAGES - 1), MOST_NEIGHBOURS);
        if (near.at.count)
            s = near.at.at[random_integer(random, 0, near.at.count - 1)];
        ck_assert_ptr_null(schedule_fault(kernel->compute, &s));
    }
    s.tuned = true;
    return s;
}

static TuneSection odd_section(Random *random, const TuneKernels *kernels)
{
    TuneSection section = {.target = target_find("native")->name, .cpu = "a \"CPU\""};
    for (int k = 0; k < kernels->at.count; k++)
        if (!kernels->at.at[k].chained)
            list_add(arena, &section.entry,
                     ((TuneEntry){.key = kernels->at.at[k].key,
                                  .name = kernels->at.at[k].compute->name,
                                  .usual = 2e-6,
                                  .tuned = 1e-6,
                                  .schedule = wander(random, &kernels->at.at[k])}));
    return section;
}

static const char *printed(const TuneSection *section)
{
    TuneFile file = {{NULL, 0, 0}};
    list_add(arena, &file.section, *section);
    Text text = {0};
    tune_print(&text, &file);
    const char *copy = arena_string(arena, text_string(&text));
    text_free(&text);
    return copy;
}

static TuneSection *read_again(const char *text)
{
    TuneFile *file = arena_alloc(arena, sizeof *file);
    ck_assert_msg(tune_read(arena, &diag, source_of(text), file), "%s", messages());
    TuneSection *section = tune_find(file, target_find("native")->name);
    ck_assert_ptr_nonnull(section);
    return section;
}

START_TEST(what_is_written_is_read_again)
{
    Random random = {1};
    TuneKernels kernels = {{NULL, 0, 0}};
    ck_assert_ptr_nonnull(compile(NULL, &kernels));
    ck_assert_int_gt(kernels.at.count, 20);
    TuneSection section = odd_section(&random, &kernels);
    const char *text = printed(&section);
    TuneSection *again = read_again(text);
    ck_assert_int_eq(again->entry.count, section.entry.count);
    ck_assert_str_eq(printed(again), text);
}
END_TEST

START_TEST(neighbours_are_legal_different_and_at_most_so_many)
{
    TuneKernels kernels = {{NULL, 0, 0}};
    ck_assert_ptr_nonnull(compile(NULL, &kernels));
    int contractions = 0;
    for (int k = 0; k < kernels.at.count; k++)
        for (int stage = 0; stage < TUNE_STAGES; stage++) {
            const TuneKernel *kernel = &kernels.at.at[k];
            TuneSchedules near = tune_neighbours(arena, target_find("native"), kernel->compute, BATCH,
                                                 &kernel->schedule, (TuneStage)stage, 10);
            ck_assert_int_le(near.at.count, 10);
            contractions += kernel->compute->reduce && kernel->compute->reduce->reduction->fma &&
                            near.at.count == 10 && stage == TUNE_TILES;
            LIST(const char *) seen = {NULL, 0, 0};
            for (int i = -1; i < near.at.count; i++) {
                const Schedule *s = i < 0 ? &kernel->schedule : &near.at.at[i];
                Text text = {0};
                ck_assert_ptr_null(schedule_fault(kernel->compute, s));
                schedule_print(&text, kernel->compute, s);
                for (int j = 0; j < seen.count; j++)
                    ck_assert_str_ne(seen.at[j], text_string(&text));
                list_add(arena, &seen, arena_string(arena, text_string(&text)));
                text_free(&text);
            }
        }
    ck_assert_int_gt(contractions, 5);
}
END_TEST

/* ---- bits ------------------------------------------------------------------------------------------------ */

static void set_variables(Run *run)
{
    Random random = {7};
    for (int b = 0; b < run->program->buffer.count; b++) {
        const Buffer *buffer = &run->program->buffer.at[b];
        if (buffer->kind != BUFFER_VARIABLE ||
            (buffer->variable->kind != VARIABLE_INPUT && buffer->variable->kind != VARIABLE_SCALAR))
            continue;
        bool option = !strncmp(buffer->name, "option.", strlen("option."));
        int64_t count = run_count(run, b);
        double *value = arena_alloc(arena, (size_t)count * sizeof *value);
        for (int64_t i = 0; i < count; i++)
            value[i] = option                               ? NAN
                       : dtype_is_float(buffer->type.dtype) ? (double)random_integer(&random, 1, 1000) / 1000
                                                            : (double)random_integer(&random, 0, 4);
        run_set(run, b, value);
    }
}

/* All of memory after some steps of training and a prediction. */
static char *memory_after(Program *program)
{
    Run run = run_open(program, "llvm", BATCH);
    set_variables(&run);
    run_phase(&run, PHASE_INIT, 1);
    for (int step = 0; step < STEPS; step++)
        run_phase(&run, PHASE_STEP, 1 + step);
    run_phase(&run, PHASE_PREDICT, 1);
    char *memory = arena_copy(arena, run.arena, (size_t)program->arena_bytes);
    run_stop(&run);
    return memory;
}

START_TEST(odd_schedules_give_the_same_bits)
{
    TuneKernels kernels = {{NULL, 0, 0}};
    Program *usual = compile(NULL, &kernels);
    ck_assert_ptr_nonnull(usual);
    const char *want = memory_after(usual);
    for (unsigned walk = 0; walk < WALKS; walk++) {
        Random random = {100 + walk};
        TuneSection drawn = odd_section(&random, &kernels), *section = read_again(printed(&drawn));
        Program *odd = compile(section, NULL);
        ck_assert_msg(odd, "%s", messages());
        ck_assert_int_eq(odd->arena_bytes, usual->arena_bytes);
        ck_assert_int_eq(odd->kernel.count, usual->kernel.count);
        for (int k = 0; k < odd->kernel.count; k++)
            ck_assert(odd->kernel.at[k]->tuned && strstr(odd->kernel.at[k]->comment, ", tuned"));
        ck_assert_msg(!memcmp(want, memory_after(odd), (size_t)odd->arena_bytes), "walk %u: other bits by %s",
                      walk, printed(section));
    }
}
END_TEST

/* ---- faults ---------------------------------------------------------------------------------------------- */

#define HEAD "netc-tune 1\n"
#define KERNEL HEAD "target \"t\" cpu \"c\"\nkernel 0123456789abcdef \"k\" from 2 to 1.5 us\n"

static const struct {
    const char *text, *message;
} broken[] = {
    {"", "x.tune:1:1: error: this is no tune file: its first line is not 'netc-tune 1'"},
    {"netc-tune 2\nend\n", "x.tune:1:1: error: this is no tune file"},
    {HEAD, "x.tune:2:1: error: expected 'target', 'kernel' or 'end'"},
    {HEAD "end\nmore", "x.tune:3:1: error: nothing may follow the end"},
    {HEAD "target t\n", "x.tune:2:8: error: expected a target's name in quotes"},
    {HEAD "target \"t\" cpu \"c\"\ntarget \"t\" cpu \"c\"\nend\n",
     "x.tune:3:1: error: target 't' has a section already"},
    {HEAD "target \"t\" cpu \"c\"\nkernel 12 \"k\"\n",
     "x.tune:3:8: error: expected a kernel's key: 16 hexadecimal digits"},
    {HEAD "target \"t\" cpu \"c\"\nkernel 0123456789abcdef \"k\" from -1 to 1 us\n",
     "x.tune:3:34: error: a time is a finite number of microseconds"},
    {KERNEL "schedule items i0/8 tile i0:8(x8)\nkernel 0123456789abcdef \"k\" from 2 to 1.5 us\n"
            "schedule items i0 tile\nend\n",
     "x.tune:6:1: error: kernel 0123456789abcdef has a schedule already"},
    {KERNEL "end\n", "x.tune:4:1: error: expected 'schedule'"},
    {KERNEL "schedule items i0 i0 tile\n", "x.tune:4:19: error: axis i0 has two loops"},
    {KERNEL "schedule items i16 tile\n", "x.tune:4:17: error: the integer is not in the range 0 to 15"},
    {KERNEL "schedule items i0/99999999 tile\n",
     "x.tune:4:19: error: the integer is not in the range 2 to 1048576"},
    {KERNEL "schedule items i0 | block i1 tile\n", "x.tune:4:27: error: expected ':'"},
    {KERNEL "schedule items i0/4 tile i0:4 i0:4\n", "x.tune:4:31: error: axis i0 has two tiles"},
    {KERNEL "schedule items i0/4 tile i0:4(8)\n", "x.tune:4:31: error: expected 'x'"},
    {KERNEL "schedule items i0/4 i1/4 tile i0:4(x4) i1:4(x4)\n",
     "x.tune:4:44: error: only one axis can be in vectors"},
    {KERNEL "schedule items i0/4 tile i0:8\n",
     "x.tune:4:1: error: the loop of axis i0 is not over its tiles"},
    {KERNEL "schedule items i0 tile i0:8\n", "x.tune:4:1: error: the loop of axis i0 is not over its tiles"},
    {KERNEL "schedule items i1 tile\n", "x.tune:4:1: error: axis i0 has no loop"},
    {KERNEL "schedule items i0 tile i1:4\n", "x.tune:4:1: error: axis i1 has a tile and no loop"},
    {KERNEL "schedule items i0 | tile , \n", "x.tune:4:26: error: expected the end of the line"},
};

START_TEST(what_is_wrong_is_refused_at_its_place)
{
    TuneFile file;
    ck_assert(!tune_read(arena, &diag, source_of(broken[_i].text), &file));
    ck_assert_msg(!strncmp(messages(), broken[_i].message, strlen(broken[_i].message)), "wanted %s\nsaid %s",
                  broken[_i].message, messages());
    ck_assert_int_eq(diag.errors, 1);
}
END_TEST

static const TuneKernel *contraction_of(const TuneKernels *kernels)
{
    const TuneKernel *found = NULL;
    for (int k = 0; k < kernels->at.count; k++) {
        const Compute *c = kernels->at.at[k].compute;
        if (c->reduce && c->reduce->reduction->fma && c->outputs >= 2 &&
            !c->axis.at[c->outputs - 1].extent.power)
            found = &kernels->at.at[k];
    }
    ck_assert_ptr_nonnull(found);
    return found;
}

typedef void Spoil(const Compute *c, Schedule *s);

static void one_axis_more(const Compute *c, Schedule *s)
{
    (void)c;
    s->order[s->outputs] = s->outputs;
    s->tile[s->outputs++] = 1;
}

static void large_tile(const Compute *c, Schedule *s)
{
    s->tile[s->outputs - 1] = c->axis.at[s->outputs - 1].extent.count + 1;
}

static void all_blocked(const Compute *c, Schedule *s)
{
    (void)c;
    s->items = 0;
    s->inner = 1;
    s->blocked = MAX_OUTPUT_AXES;
}

static void all_staged(const Compute *c, Schedule *s)
{
    (void)c;
    s->items = 0;
    s->inner = s->outputs;
    s->strip = 1;
    s->stage = true;
}

static const struct {
    Spoil *spoil;
    const char *message;
} illegal[] = {
    {one_axis_more, "output axes, it has"},
    {large_tile, "elements, its tiles"},
    {all_blocked, "reduced axes around"},
    {all_staged, "stages what differs between tiles"},
};

START_TEST(a_schedule_that_does_not_fit_its_kernel_is_refused)
{
    TuneKernels kernels = {{NULL, 0, 0}};
    compile(NULL, &kernels);
    const TuneKernel *kernel = contraction_of(&kernels);
    TuneSection section = {.target = target_find("native")->name, .cpu = "c"};
    TuneEntry e = {.key = kernel->key, .name = "k", .schedule = kernel->schedule};
    illegal[_i].spoil(kernel->compute, &e.schedule);
    list_add(arena, &section.entry, e);
    TuneSection *read = read_again(printed(&section));
    ck_assert_ptr_null(compile(read, NULL));
    ck_assert_msg(strstr(messages(), "x.tune:6:5: error: schedule of '") &&
                      strstr(messages(), illegal[_i].message),
                  "%s", messages());
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tune");
    TCase *cases = tcase_create("tune");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, what_is_written_is_read_again);
    tcase_add_test(cases, neighbours_are_legal_different_and_at_most_so_many);
    tcase_add_test(cases, odd_schedules_give_the_same_bits);
    tcase_add_loop_test(cases, what_is_wrong_is_refused_at_its_place, 0, sizeof broken / sizeof *broken);
    tcase_add_loop_test(cases, a_schedule_that_does_not_fit_its_kernel_is_refused, 0,
                        sizeof illegal / sizeof *illegal);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
