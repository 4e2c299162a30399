/* A schedule changes how a Compute loops and nothing of what it computes: random legal schedules of every contraction and
   reduction, alone and with a tail, give the bits of the default. */
#include "ensemble.h"
#include "fill.h"
#include "op_cases.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NOMINAL_BATCH = 13,
    TRIALS = 8,
    MOST_ELEMENTS = 1 << 15,
    MOST_TILE = 96,
    MOST_LEAVES = 24,
    LLVM_EVERY = 4
};

static struct {
    long schedules, blocked, strips, staged, both, chunks, grains, vectors, prefetches;
} total;

/* ---- random schedules ----------------------------------------------------------------------------------- */

static bool is_const(const Compute *c, int axis) { return c->axis.at[axis].extent.power == 0; }

static bool by_lanes(const Reduction *r)
{
    return r->tree == TREE_LANES || (r->tree == TREE_LEAVES && r->inner == TREE_LANES);
}

/* Tiles of moderate size, so that what is written out stays short; a reduction by lanes has none. */
static void draw_tiles(Random *random, const Compute *c, Schedule *s)
{
    int64_t leaves = 1;
    s->vector =
        c->outputs && random_integer(random, 0, 3) ? (int)random_integer(random, 0, c->outputs - 1) : -1;
    s->lanes = s->vector >= 0 ? 1 << random_integer(random, 1, 4) : 1;
    int first = s->vector < 0 ? 0 : s->vector;
    for (int n = 0; n < c->outputs; n++) {
        int a = (first + n) % c->outputs;
        int64_t extent = is_const(c, a) ? c->axis.at[a].extent.count : 6;
        int64_t unit = a == s->vector ? s->lanes : 1, most = MOST_LEAVES / leaves * unit;
        most = most < extent ? most : extent;
        s->tile[a] = most < 1 || random_integer(random, 0, 2) == 0
                         ? 1
                         : random_integer(random, 1, most < MOST_TILE ? most : MOST_TILE);
        leaves *= (s->tile[a] + unit - 1) / unit + (s->tile[a] % unit > 0) * 3;
        leaves = leaves > MOST_LEAVES ? MOST_LEAVES : leaves;
    }
}

static void draw_order(Random *random, Schedule *s)
{
    for (int i = s->outputs - 1; i > 0; i--) {
        int j = (int)random_integer(random, 0, i), other = s->order[j];
        s->order[j] = s->order[i];
        s->order[i] = other;
    }
}

static void draw_items(Random *random, const Compute *c, Schedule *s)
{
    int most = (int)random_integer(random, 0, s->outputs);
    while (s->items < most && (s->items == 0 || is_const(c, s->order[s->items])))
        s->items++;
    if (s->items && random_integer(random, 0, 2) == 0)
        s->grain = random_integer(random, 2, 5);
}

/* Loops inside the first reduced ones, or taking turns on strips of terms; of those that grow with the batch at most one, which
   is cut into chunks, and the rows of the others are single ones. */
static void draw_blocks(Random *random, const Compute *c, Schedule *s)
{
    const Reduction *r = c->reduce->reduction;
    int chain = r->axes - (r->tree == TREE_LEAVES ? r->leaf : 0), inner = 0, growing = -1;
    if (s->items == s->outputs || chain < 1 || random_integer(random, 0, 1))
        return;
    Schedule drawn = *s;
    drawn.inner = (int)random_integer(random, 1, s->outputs - s->items);
    for (; inner < drawn.inner; inner++) {
        int axis = s->order[s->outputs - 1 - inner];
        growing = is_const(c, axis) ? growing : axis;
    }
    if (growing >= 0 || random_integer(random, 0, 2) == 0) {
        drawn.chunk_axis = growing >= 0 ? growing : s->order[s->outputs - 1];
        drawn.chunk = random_integer(random, 1, 3);
    }
    for (int a = 0; a < s->outputs; a++)
        drawn.tile[a] = is_const(c, a) || (drawn.chunk && a == growing) ? drawn.tile[a] : 1;
    drawn.blocked = (int)random_integer(random, 0, chain - 1);
    drawn.strip = random_integer(random, 0, 3) ? random_integer(random, 1, 5) : 0;
    drawn.stage = drawn.strip && random_integer(random, 0, 2);
    if (drawn.stage && schedule_fault(c, &drawn))
        drawn.stage = false;
    drawn.stage_rows = drawn.stage && random_integer(random, 0, 3);
    if (drawn.stage_rows && schedule_fault(c, &drawn))
        drawn.stage_rows = false;
    if (!schedule_fault(c, &drawn))
        *s = drawn;
}

/* Strips that are copied, for an axis of rows that runs last: few of draw_blocks's can be. */
static void draw_copies(Random *random, const Compute *c, Schedule *s)
{
    const Reduction *r = c->reduce->reduction;
    int chain = r->axes - (r->tree == TREE_LEAVES ? r->leaf : 0),
        rows = (int)random_integer(random, 0, s->outputs);
    for (int n = 0; n < s->outputs && s->vector >= 0 && !s->stage; n++) {
        Schedule drawn = *s;
        int row = (rows + n) % s->outputs, last = s->outputs - 1;
        for (int i = 0; i < s->outputs; i++)
            if (s->order[i] == row) {
                drawn.order[i] = s->order[last];
                drawn.order[last] = row;
            }
        for (int a = 0; a < s->outputs; a++)
            drawn.tile[a] = a == s->vector ? s->tile[a] : 1;
        if (row != s->vector && is_const(c, row))
            for (int64_t most = random_integer(random, 1, 8);
                 2 * drawn.tile[row] <= most && c->axis.at[row].extent.count % (2 * drawn.tile[row]) == 0;)
                drawn.tile[row] *= 2;
        drawn.inner = (int)random_integer(random, 1, s->outputs < 3 ? s->outputs : 3);
        drawn.items = s->items < s->outputs - drawn.inner ? s->items : s->outputs - drawn.inner;
        drawn.blocked = (int)random_integer(random, 0, chain - 1);
        drawn.strip = random_integer(random, 1, 5);
        drawn.chunk_axis = row;
        drawn.chunk = random_integer(random, 0, 2);
        drawn.stage = drawn.stage_rows = true;
        drawn.prefetch = false;
        if (schedule_fault(c, &drawn))
            drawn.stage_rows = false;
        if (!schedule_fault(c, &drawn))
            *s = drawn;
    }
}

static Schedule draw_schedule(Random *random, const Compute *c, const Schedule *given)
{
    bool lanes = c->reduce && by_lanes(c->reduce->reduction);
    Schedule s = {.outputs = c->outputs, .vector = -1, .lanes = 1};
    for (int a = 0; a < c->outputs; a++) {
        s.tile[a] = 1;
        s.order[a] = a;
    }
    if (lanes)
        s.lanes_reduce = given->lanes_reduce && random_integer(random, 0, 1);
    else
        draw_tiles(random, c, &s);
    draw_order(random, &s);
    draw_items(random, c, &s);
    s.prefetch = random_integer(random, 0, 1);
    s.prefetch = s.prefetch && !schedule_fault(c, &s);
    if (c->reduce && !lanes)
        draw_blocks(random, c, &s);
    if (c->reduce && c->reduce->reduction->fma && !lanes && !s.inner)
        draw_copies(random, c, &s);
    total.schedules++;
    total.blocked += s.blocked > 0;
    total.strips += s.strip > 0;
    total.staged += s.stage;
    total.both += s.stage_rows;
    total.chunks += s.chunk > 0;
    total.grains += s.grain > 0;
    total.vectors += s.vector >= 0;
    total.prefetches += s.prefetch;
    return s;
}

/* ---- a model by other schedules ------------------------------------------------------------------------- */

/* A case; with_tail: relu(y · 0.375 + 1) of it. */
typedef struct Subject {
    const OpCase *c;
    bool with_tail;
} Subject;

static void build(Model *model, const Subject *subject)
{
    model->batch = op_case_grows(subject->c) ? NOMINAL_BATCH : 1;
    Node *y = op_case_build(subject->c, model);
    ck_assert_ptr_nonnull(y);
    if (!subject->with_tail)
        return;
    Graph *graph = model->phase[PHASE_PREDICT];
    Node *scaled = graph_binary(graph, OP_MUL, y, graph_const(graph, y->type, 0.375));
    Node *tail =
        graph_unary(graph, OP_RELU, graph_binary(graph, OP_ADD, scaled, graph_const(graph, y->type, 1)));
    graph->result.at[0].node = tail;
}

/* Through all passes; random: not by the schedules that the target suggests. */
static Program *compile(Model *model, Random *random, const char *label)
{
    static Diagnostics diag;
    diag = (Diagnostics){.out = stderr};
    Compilation c = {
        .arena = model->arena, .diag = &diag, .model = model, .target = target_find("x86-64-v3")};
    for (int i = 0; i < pass_count; i++) {
        ck_assert(pass_list[i].run(&c));
        for (int k = 0; !strcmp(pass_list[i].name, "schedule") && random && k < c.compute.count; k++) {
            c.schedule.at[k] = draw_schedule(random, c.compute.at[k], &c.schedule.at[k]);
            ck_assert_ptr_null(schedule_fault(c.compute.at[k], &c.schedule.at[k]));
        }
    }
    for (int k = 0; k < c.program->kernel.count; k++)
        ck_assert_msg(!kernel_fault(c.program->kernel.at[k]), "%s: %s", label,
                      kernel_fault(c.program->kernel.at[k]));
    ck_assert_msg(!program_fault(c.program), "%s: %s", label, program_fault(c.program));
    return c.program;
}

static const char *schedules_of(const Program *program)
{
    static char text[400];
    text[0] = 0;
    for (int k = 0; k < program->kernel.count; k++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s; ", program->kernel.at[k]->comment);
    return text;
}

typedef struct Operands {
    double *at[MAX_INPUTS];
} Operands;

static Operands draw_operands(Arena *arena, const OpCase *c, int64_t batch)
{
    Operands o = {{0}};
    Random random = {(uint64_t)(c - op_case) + (uint64_t)batch * 1000};
    for (int i = 0; i < op_info[c->op].inputs; i++) {
        int64_t count = type_count(&c->in[i], batch);
        o.at[i] = arena_alloc(arena, (size_t)count * sizeof(double));
        fill_values(&random, FILL_REAL, c->in[i].dtype, i, c->range[i], o.at[i], count);
    }
    return o;
}

static int64_t run(Program *program, const OpCase *c, const Operands *o, const char *engine, int64_t batch,
                   int parts, double *y)
{
    Run r = run_open(program, engine, batch);
    for (int i = 0; i < op_info[c->op].inputs; i++)
        run_set(&r, run_buffer(&r, PHASE_PREDICT, op_case_name(i)), o->at[i]);
    run_phase(&r, PHASE_PREDICT, parts);
    int buffer = run_buffer(&r, PHASE_PREDICT, "y");
    int64_t count = run_count(&r, buffer);
    ck_assert_int_le(count, MOST_ELEMENTS);
    run_get(&r, buffer, y);
    run_stop(&r);
    return count;
}

static void check_subject(Subject subject)
{
    static double want[2][MOST_ELEMENTS], got[MOST_ELEMENTS];
    const OpCase *c = subject.c;
    Arena *arena = arena_new();
    int64_t batches[2] = {op_case_grows(c) ? NOMINAL_BATCH : 1, op_case_grows(c) ? 4 : 1};
    char label[160];
    snprintf(label, sizeof label, "%s, %s%s", op_info[c->op].name, c->what,
             subject.with_tail ? ", with a tail" : "");
    Operands operands[2];
    Model *plain = model_new(arena, "case");
    build(plain, &subject);
    Program *program = compile(plain, NULL, label);
    for (int b = 0; b < 2; b++) {
        operands[b] = draw_operands(arena, c, batches[b]);
        run(program, c, &operands[b], "interp", batches[b], 1, want[b]);
    }
    for (int t = 0; t < TRIALS; t++) {
        Random random = {(uint64_t)(c - op_case) * 1000 + (uint64_t)t * 2 + subject.with_tail};
        Model *model = model_new(arena, "case");
        build(model, &subject);
        program = compile(model, &random, label);
        for (int b = 0; b < 2; b++) {
            const char *engine = t % LLVM_EVERY == 0 ? "llvm" : "interp";
            int64_t count = run(program, c, &operands[b], engine, batches[b], 1 + t % 3, got);
            ck_assert_msg(!memcmp(want[b], got, (size_t)count * sizeof *got),
                          "%s, batch %lld, by %s: other bits by %s", label, (long long)batches[b], engine,
                          schedules_of(program));
        }
    }
    arena_free(arena);
}

START_TEST(random_schedules_give_the_same_bits)
{
    const OpCase *c = &op_case[_i];
    OpClass class = op_info[c->op].class;
    if (c->want.count || (class != OP_CLASS_CONTRACT && class != OP_CLASS_REDUCE && c->op != OP_TRANSPOSE &&
                          c->op != OP_WINDOW && c->op != OP_PAD && c->op != OP_EXP))
        return;
    check_subject((Subject){c, false});
    if (c->in[0].dtype == DTYPE_F32)
        check_subject((Subject){c, true});
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schedule");
    TCase *cases = tcase_create("random schedules");
    tcase_add_loop_test(cases, random_schedules_give_the_same_bits, 0, op_case_count);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    if (srunner_fork_status(runner) == CK_NOFORK)
        printf("%ld schedules, %ld with vectors, %ld in blocks, %ld in strips, %ld of them staged, %ld with "
               "rows, "
               "%ld in chunks, %ld in grains, %ld prefetch\n",
               total.schedules, total.vectors, total.blocked, total.strips, total.staged, total.both,
               total.chunks, total.grains, total.prefetches);
    srunner_free(runner);
    return failed != 0;
}
