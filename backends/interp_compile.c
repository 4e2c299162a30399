#include "interp_code.h"

#include <assert.h>
#include <string.h>

/* Where a value lies, and how far out it can be computed: level 0 is once a call, 1 once an item, then one
   level a loop; DEEPEST is where it stands. Values that only depend on loops are computed at the begin of the
   innermost of those. */
typedef struct Value {
    int place, level;
} Value;

enum { DEEPEST = 1 << 20, SCRATCH = 1 << 30, NOWHERE = -1, LEAST_FRAME = 1024 };

/* Steps of one level; `head` holds what was moved out of deeper ones. */
typedef struct Level {
    LIST(Step) head, body;
    int serial;
} Level;

typedef struct Known { /* the value of an expression, as long as the statement or level that owns it is open
                        */
    Value value;
    int owner; /* serial */
} Known;

typedef struct LocalState {
    int place, marks; /* of its elements; of their marks, NOWHERE if it has none */
    bool checked;     /* some read must ask the marks */
    bool *set;        /* elements certainly set here; NULL: too many to follow */
} LocalState;

enum { MOST_FOLLOWED = 1 << 16 };

typedef struct Certain {
    int local;
    int64_t element;
} Certain;

typedef struct Compiler {
    Arena *arena;
    const Kernel *kernel;
    LIST(Level) level;
    Known *known; /* by expression id */
    int known_size;
    int serials, statement; /* the last serial, the open statement's */
    const Stmt *stmt;
    Value *temp;
    int *axis_place, *axis_level;
    int first_argument;
    LocalState *local;
    LIST(Certain) certain; /* in order, to be taken back at the end of what may not run */
    LIST(char) constant;
    int permanent; /* bytes, after the constants' */
    int scratch, most_scratch;
    bool again; /* some local turned out to need marks */
} Compiler;

/* Places in three regions, whose sizes are known at the end: constants, permanent, scratch. */
enum { REGION_PERMANENT = 1 << 29 };

static int align_up(int bytes) { return (bytes + 15) / 16 * 16; }

static int allocate(Compiler *c, bool scratch, int64_t bytes)
{
    int *used = scratch ? &c->scratch : &c->permanent;
    assert(bytes >= 0 && bytes < REGION_PERMANENT - *used - 16);
    int place = *used;
    *used += align_up((int)bytes);
    if (c->scratch > c->most_scratch)
        c->most_scratch = c->scratch;
    return place + (scratch ? SCRATCH : REGION_PERMANENT);
}

static int value_bytes(const Expr *e) { return e->lanes * dtype_info[e->dtype].bytes; }

/* At its level's begin, or where the compiler stands. */
static void emit(Compiler *c, int level, Step step)
{
    step.stmt = c->stmt;
    if (level < c->level.count)
        list_add(c->arena, &c->level.at[level].head, step);
    else
        list_add(c->arena, &c->level.at[c->level.count - 1].body, step);
}

/* ---- constants ------------------------------------------------------------------------------------- */

static void constant_bytes(const Expr *e, char *bytes)
{
    float single = (float)e->real;
    uint8_t narrow = (uint8_t)e->integer;
    uint32_t word = (uint32_t)e->integer;
    switch (dtype_info[e->dtype].bytes) {
    case 1:
        memcpy(bytes, &narrow, 1);
        break;
    case 4:
        memcpy(bytes, e->dtype == DTYPE_F32 ? (const void *)&single : &word, 4);
        break;
    default:
        memcpy(bytes, e->dtype == DTYPE_F64 ? (const void *)&e->real : &e->integer, 8);
    }
}

static int constant_place(Compiler *c, const Expr *e, int lanes)
{
    char bytes[8];
    int place = c->constant.count, size = dtype_info[e->dtype].bytes;
    constant_bytes(e, bytes);
    for (int i = 0; i < align_up(lanes * size); i++)
        list_add(c->arena, &c->constant, bytes[i % size]);
    return place;
}

/* ---- expressions ----------------------------------------------------------------------------------- */

static Value value_of(Compiler *c, const Expr *e, int wanted);

static bool is_open(const Compiler *c, const Known *known)
{
    if (known->owner == c->statement)
        return true;
    int level = known->value.level;
    return level < c->level.count && c->level.at[level].serial == known->owner;
}

static Known *known_of(Compiler *c, const Expr *e)
{
    if (e->id >= c->known_size) {
        int size = 2 * e->id + 64;
        Known *grown = arena_alloc(c->arena, (size_t)size * sizeof *grown);
        if (c->known_size)
            memcpy(grown, c->known, (size_t)c->known_size * sizeof *grown);
        c->known = grown;
        c->known_size = size;
    }
    return &c->known[e->id];
}

static int deeper(int a, int b) { return a > b ? a : b; }

/* The place of a result that is computed at `level`; `wanted` if it may be there. */
static int result_place(Compiler *c, const Expr *e, int level, int wanted)
{
    if (level < c->level.count)
        return allocate(c, false, value_bytes(e));
    return wanted != NOWHERE ? wanted : allocate(c, true, value_bytes(e));
}

static Value apply_value(Compiler *c, const Expr *e, int wanted)
{
    Value arg[3] = {{0}};
    int level = 0;
    for (int i = 0; i < e->count; i++) {
        arg[i] = value_of(c, e->arg[i], NOWHERE);
        level = deeper(level, arg[i].level);
    }
    DType operands = e->arg[e->op == SCALAR_SELECT ? 1 : 0]->dtype;
    int to = result_place(c, e, level, wanted);
    emit(c, level,
         (Step){.run = step_scalar(e->op, operands),
                .to = to,
                .a = arg[0].place,
                .b = arg[1].place,
                .c = arg[2].place,
                .lanes = e->lanes});
    return (Value){to, level};
}

/* One operand a, whatever the step. */
static Value unary_value(Compiler *c, const Expr *e, Run *run, int64_t number, int wanted)
{
    Value a = value_of(c, e->arg[0], NOWHERE);
    int to = result_place(c, e, a.level, wanted);
    emit(c, a.level, (Step){.run = run, .to = to, .a = a.place, .lanes = e->lanes, .number = number});
    return (Value){to, a.level};
}

/* How an index addresses: by its first lane and a stride, or lane by lane. */
typedef struct Address {
    const Expr *at;
    bool row;
    int64_t stride;
} Address;

static Address address_of(const Expr *at)
{
    if (at->kind == EXPR_RAMP)
        return (Address){at->arg[0], true, at->integer};
    return (Address){at, false, 0};
}

static Value load_value(Compiler *c, const Expr *e, int wanted)
{
    Address address = address_of(e->arg[0]);
    bool where = e->count == 3;
    Value at = value_of(c, address.at, NOWHERE), condition = {0}, otherwise = {0};
    if (where) {
        condition = value_of(c, e->arg[1], NOWHERE);
        otherwise = value_of(c, e->arg[2], NOWHERE);
    }
    Access access = address.row ? (where ? ACCESS_ROW_WHERE : ACCESS_ROW)
                    : where     ? ACCESS_ANY_WHERE
                                : ACCESS_ANY;
    int to = result_place(c, e, DEEPEST, wanted);
    emit(c, DEEPEST,
         (Step){.run = step_load(access, dtype_info[e->dtype].bytes),
                .to = to,
                .a = at.place,
                .b = condition.place,
                .c = otherwise.place,
                .lanes = e->lanes,
                .index = e->index,
                .number = address.stride});
    return (Value){to, DEEPEST};
}

static Value value_made(Compiler *c, const Expr *e, int wanted);

/* The value of e, computed into `wanted` if it can be. */
static Value value_of(Compiler *c, const Expr *e, int wanted)
{
    Known *known = known_of(c, e);
    if (known->owner && is_open(c, known))
        return known->value;
    Value value = value_made(c, e, wanted);
    int owner = value.level < c->level.count ? c->level.at[value.level].serial : c->statement;
    *known_of(c, e) = (Known){value, owner};
    return value;
}

static void value_into(Compiler *c, const Expr *e, int place)
{
    Value value = value_of(c, e, place);
    if (value.place != place)
        emit(c, DEEPEST, (Step){.run = step_copy, .to = place, .a = value.place, .number = value_bytes(e)});
}

/* ---- locals ---------------------------------------------------------------------------------------- */

/* Elements of a local that an access means: `count` from `first` on, if that is known and they are in a row.
 */
typedef struct Elements {
    bool known;
    int64_t first, count;
} Elements;

static Elements local_elements(const Local *local, const Expr *at, int lanes)
{
    Elements span = {.count = local->lanes > 1 ? 1 : lanes};
    if (at->kind == EXPR_RAMP && at->integer != 1)
        return span;
    bool base = at->kind == EXPR_RAMP || (local->lanes > 1 && at->kind == EXPR_SPLAT);
    span.known = expr_is_int(base ? at->arg[0] : at, &span.first) && (base || at->lanes == 1);
    return span;
}

static bool certainly_set(const Compiler *c, int local, Elements span)
{
    const bool *set = c->local[local].set;
    for (int64_t i = 0; set && i < span.count; i++)
        if (!set[span.first + i])
            return false;
    return set;
}

static int element_place(const Compiler *c, int index, int64_t element)
{
    const Local *local = &c->kernel->local.at[index];
    return c->local[index].place + (int)element * local->lanes * dtype_info[local->dtype].bytes;
}

/* A step that reads, writes, checks or marks elements of a local like a buffer's: all but what it does. */
typedef struct LocalAccess {
    Step step;
    bool row;
} LocalAccess;

static LocalAccess local_access(Compiler *c, int index, const Expr *at, int lanes)
{
    const Local *local = &c->kernel->local.at[index];
    bool vectors = local->lanes > 1;
    Address address = address_of(at);
    if (vectors)
        address = (Address){at->kind == EXPR_SPLAT ? at->arg[0] : at, false,
                            (int64_t)local->lanes * dtype_info[local->dtype].bytes};
    else if (at->lanes == 1 && lanes > 1)
        address = (Address){at, true, 1};
    return (LocalAccess){{.a = value_of(c, address.at, NOWHERE).place,
                          .lanes = vectors ? 1 : lanes,
                          .index = c->kernel->buffer.count + index,
                          .number = address.stride},
                         address.row};
}

static void emit_access(Compiler *c, LocalAccess access, Run *run, int to, int b)
{
    access.step.run = run;
    access.step.to = to;
    access.step.b = b;
    emit(c, DEEPEST, access.step);
}

static Value local_value(Compiler *c, const Expr *e, int wanted)
{
    const Local *local = &c->kernel->local.at[e->index];
    LocalState *state = &c->local[e->index];
    Elements span = local_elements(local, e->arg[0], e->lanes);
    if (span.known && certainly_set(c, e->index, span))
        return (Value){element_place(c, e->index, span.first), DEEPEST};
    if (!state->checked)
        state->checked = c->again = true;
    LocalAccess access = local_access(c, e->index, e->arg[0], e->lanes);
    emit_access(c, access, access.row ? step_check_row : step_check_any, state->marks, 0);
    int to = result_place(c, e, DEEPEST, wanted);
    Run *load = step_load(access.row ? ACCESS_ROW : ACCESS_ANY, dtype_info[e->dtype].bytes);
    emit_access(c, access, local->lanes > 1 ? step_load_vector : load, to, 0);
    return (Value){to, DEEPEST};
}

static void compile_set(Compiler *c, const Stmt *s)
{
    const Local *local = &c->kernel->local.at[s->index];
    LocalState *state = &c->local[s->index];
    int lanes = s->value->lanes;
    Elements span = local_elements(local, s->at, lanes);
    bool direct = span.known && local->lanes == lanes; /* else what is written may overlap what is read */
    LocalAccess access = {0};
    if (direct)
        value_into(c, s->value, element_place(c, s->index, span.first));
    if (!direct || state->checked)
        access = local_access(c, s->index, s->at, lanes);
    if (!direct) {
        Run *store = step_store(access.row ? ACCESS_ROW : ACCESS_ANY, dtype_info[local->dtype].bytes);
        int value = value_of(c, s->value, NOWHERE).place;
        emit_access(c, access, local->lanes > 1 ? step_store_vector : store, 0, value);
    }
    if (state->checked)
        emit_access(c, access, access.row ? step_mark_row : step_mark_any, state->marks, 0);
    for (int64_t i = 0; span.known && state->set && i < span.count; i++)
        if (!state->set[span.first + i]) {
            state->set[span.first + i] = true;
            list_add(c->arena, &c->certain, ((Certain){s->index, span.first + i}));
        }
}

static void forget_certain(Compiler *c, int count)
{
    for (; c->certain.count > count; c->certain.count--) {
        Certain last = c->certain.at[c->certain.count - 1];
        c->local[last.local].set[last.element] = false;
    }
}

/* ---- */

static Value value_made(Compiler *c, const Expr *e, int wanted)
{
    switch (e->kind) {
    case EXPR_CONST:
        return (Value){constant_place(c, e, 1), 0};
    case EXPR_AXIS:
        return (Value){c->axis_place[e->index], c->axis_level[e->index]};
    case EXPR_ARGUMENT:
        return (Value){c->first_argument + 8 * e->index, 0};
    case EXPR_TEMP:
        return c->temp[e->index];
    case EXPR_APPLY:
        return apply_value(c, e, wanted);
    case EXPR_CAST:
        return unary_value(c, e, step_cast(e->arg[0]->dtype, e->dtype), 0, wanted);
    case EXPR_BITCAST:
        return value_of(c, e->arg[0], wanted);
    case EXPR_LOAD:
        return load_value(c, e, wanted);
    case EXPR_LOCAL:
        return local_value(c, e, wanted);
    case EXPR_RAMP:
        return unary_value(c, e, step_ramp, e->integer, wanted);
    case EXPR_SPLAT:
        if (e->arg[0]->kind == EXPR_CONST)
            return (Value){constant_place(c, e->arg[0], e->lanes), 0};
        return unary_value(c, e, step_splat(dtype_info[e->dtype].bytes), 0, wanted);
    case EXPR_REDUCE:
        break;
    }
    assert(!"a reduction reached the interpreter");
    return (Value){0};
}

/* ---- statements ------------------------------------------------------------------------------------ */

static void compile_block(Compiler *c, const Stmt *s);

static void level_open(Compiler *c) { list_add(c->arena, &c->level, ((Level){.serial = ++c->serials})); }

static void compile_for(Compiler *c, const Stmt *s)
{
    int64_t extent;
    Value most = value_of(c, s->extent, NOWHERE);
    if (most.place >= SCRATCH) { /* must outlive this statement */
        int kept = allocate(c, false, sizeof(int64_t));
        emit(c, DEEPEST, (Step){.run = step_copy, .to = kept, .a = most.place, .number = sizeof(int64_t)});
        most.place = kept;
    }
    c->axis_place[s->index] = allocate(c, false, sizeof(int64_t));
    c->axis_level[s->index] = c->level.count;
    int certain = c->certain.count;
    level_open(c);
    compile_block(c, s->body);
    Level body = c->level.at[--c->level.count];
    c->stmt = s;
    if (!expr_is_int(s->extent, &extent) || extent < 1)
        forget_certain(c, certain);

    int steps = body.head.count + body.body.count, axis = c->axis_place[s->index];
    emit(c, DEEPEST, (Step){.run = step_loop_begin, .to = axis, .a = most.place, .index = steps + 2});
    Level *outer = &c->level.at[c->level.count - 1];
    for (int i = 0; i < body.head.count; i++)
        list_add(c->arena, &outer->body, body.head.at[i]);
    for (int i = 0; i < body.body.count; i++)
        list_add(c->arena, &outer->body, body.body.at[i]);
    emit(c, DEEPEST, (Step){.run = step_loop_next, .to = axis, .a = most.place, .index = -steps});
}

static void compile_if(Compiler *c, const Stmt *s)
{
    Value condition = value_of(c, s->value, NOWHERE);
    int level = c->level.count - 1, certain = c->certain.count;
    emit(c, DEEPEST, (Step){.run = step_jump_unless, .a = condition.place});
    int jump = c->level.at[level].body.count - 1;
    compile_block(c, s->body);
    c->level.at[level].body.at[jump].index = c->level.at[level].body.count - jump;
    forget_certain(c, certain);
}

static void compile_store(Compiler *c, const Stmt *s)
{
    Address address = address_of(s->at);
    Value at = value_of(c, address.at, NOWHERE), value = value_of(c, s->value, NOWHERE);
    emit(c, DEEPEST,
         (Step){.run = step_store(address.row ? ACCESS_ROW : ACCESS_ANY, dtype_info[s->value->dtype].bytes),
                .a = at.place,
                .b = value.place,
                .lanes = s->value->lanes,
                .index = s->index,
                .number = address.stride});
}

static void compile_statement(Compiler *c, const Stmt *s)
{
    c->stmt = s;
    c->statement = ++c->serials;
    c->scratch = 0;
    switch (s->kind) {
    case STMT_FOR:
        compile_for(c, s);
        break;
    case STMT_IF:
        compile_if(c, s);
        break;
    case STMT_LET:
        c->temp[s->index] = (Value){allocate(c, false, value_bytes(s->value)), DEEPEST};
        value_into(c, s->value, c->temp[s->index].place);
        break;
    case STMT_SET:
        compile_set(c, s);
        break;
    case STMT_STORE:
        compile_store(c, s);
        break;
    case STMT_PREFETCH:
        break;
    }
}

static void compile_block(Compiler *c, const Stmt *s)
{
    for (; s; s = s->next)
        compile_statement(c, s);
}

/* ---- the kernel ------------------------------------------------------------------------------------ */

static void place_locals(Compiler *c)
{
    for (int i = 0; i < c->kernel->local.count; i++) {
        const Local *local = &c->kernel->local.at[i];
        LocalState *state = &c->local[i];
        state->place = allocate(c, false, local->count * local->lanes * dtype_info[local->dtype].bytes);
        if (local->count <= MOST_FOLLOWED)
            state->set = arena_alloc(c->arena, (size_t)local->count * sizeof *state->set);
    }
}

/* The marks lie together, so that an item clears them at once. Returns their bytes. */
static int place_marks(Compiler *c)
{
    int first = c->permanent;
    for (int i = 0; i < c->kernel->local.count; i++)
        c->local[i].marks = c->local[i].checked ? allocate(c, false, c->kernel->local.at[i].count) : NOWHERE;
    return c->permanent - first;
}

/* From regions to bytes of the frame. */
static int final_place(const Compiler *c, int place)
{
    int constants = align_up(c->constant.count);
    if (place >= SCRATCH)
        return constants + c->permanent + place - SCRATCH;
    return place >= REGION_PERMANENT ? constants + place - REGION_PERMANENT : place;
}

static Step *final_steps(Compiler *c, const Level *level)
{
    int count = level->head.count + level->body.count;
    Step *steps = arena_alloc(c->arena, (size_t)(count + 1) * sizeof *steps);
    for (int i = 0; i < count; i++) {
        Step step = i < level->head.count ? level->head.at[i] : level->body.at[i - level->head.count];
        step.to = final_place(c, step.to);
        step.a = final_place(c, step.a);
        step.b = final_place(c, step.b);
        step.c = final_place(c, step.c);
        steps[i] = step;
    }
    return steps;
}

/* Compiles with marks for the locals that `checked` names, and adds to it those that turn out to need them.
 */
static Code *compile_once(Arena *arena, const Kernel *kernel, bool *checked, bool *again)
{
    Compiler c = {.arena = arena, .kernel = kernel};
    size_t locals = (size_t)kernel->local.count;
    c.temp = arena_alloc(arena, (size_t)kernel->temp.count * sizeof *c.temp);
    c.axis_place = arena_alloc(arena, (size_t)kernel->axes * sizeof *c.axis_place);
    c.axis_level = arena_alloc(arena, (size_t)kernel->axes * sizeof *c.axis_level);
    c.local = arena_alloc(arena, locals * sizeof *c.local);
    for (size_t i = 0; i < locals; i++)
        c.local[i].checked = checked[i];
    c.first_argument = allocate(&c, false, (int64_t)sizeof(int64_t) * kernel->arguments);
    int axis = allocate(&c, false, sizeof(int64_t));
    place_locals(&c);
    int marks = c.permanent, mark_bytes = place_marks(&c);

    level_open(&c);
    level_open(&c);
    if (kernel->item_axis >= 0) {
        c.axis_place[kernel->item_axis] = axis;
        c.axis_level[kernel->item_axis] = 1;
    }
    compile_block(&c, kernel->body);

    for (size_t i = 0; i < locals; i++)
        checked[i] = c.local[i].checked;
    *again = c.again;
    Code *code = arena_alloc(arena, sizeof *code);
    *code = (Code){.kernel = kernel,
                   .once = final_steps(&c, &c.level.at[0]),
                   .item = final_steps(&c, &c.level.at[1]),
                   .constants = c.constant.at,
                   .constant_bytes = c.constant.count,
                   .frame_bytes = final_place(&c, SCRATCH + c.most_scratch) + LEAST_FRAME,
                   .first_argument = final_place(&c, c.first_argument),
                   .item_axis = kernel->item_axis >= 0 ? final_place(&c, axis) : -1,
                   .local = arena_alloc(arena, locals * sizeof *code->local),
                   .marks = final_place(&c, marks + REGION_PERMANENT),
                   .mark_bytes = mark_bytes};
    for (size_t i = 0; i < locals; i++)
        code->local[i] = final_place(&c, c.local[i].place);
    return code;
}

Code *interp_compile(Arena *arena, const Kernel *kernel)
{
    bool *checked = arena_alloc(arena, (size_t)kernel->local.count * sizeof *checked), again;
    Code *code = compile_once(arena, kernel, checked, &again);
    return again ? compile_once(arena, kernel, checked, &again) : code;
}
