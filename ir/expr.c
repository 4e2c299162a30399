#include "expr_index.h"

#include <assert.h>
#include <string.h>

/* What one rewriting has made of expressions, by id. The next one uses it again, as most are of few expressions among
   many. */
typedef struct Memo {
    struct Memo *next;
    struct {
        Expr *made;
        int64_t round; /* in which it was made */
    } *at;
    int size;
    int64_t round;
} Memo;

struct Exprs {
    Arena *arena;
    Expr **table; /* open addressing; a power of two */
    int table_size;
    int count;
    LIST(Size) extent; /* of axes; count < 0: unknown */
    Memo *memo;        /* those not in use: there are as many as rewritings within rewritings */
};

Exprs *exprs_new(Arena *arena)
{
    Exprs *pool = arena_alloc(arena, sizeof *pool);
    pool->arena = arena;
    pool->table_size = 256;
    pool->table = arena_alloc(arena, (size_t)pool->table_size * sizeof *pool->table);
    return pool;
}

Arena *exprs_arena(Exprs *pool) { return pool->arena; }
int exprs_count(const Exprs *pool) { return pool->count; }

void expr_set_extent(Exprs *pool, int axis, Size extent)
{
    while (pool->extent.count <= axis)
        list_add(pool->arena, &pool->extent, ((Size){-1, 0}));
    pool->extent.at[axis] = extent;
}

Size expr_extent(const Exprs *pool, int axis)
{
    return axis < pool->extent.count ? pool->extent.at[axis] : (Size){-1, 0};
}

/* ---- equal expressions are one ------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 32;
}

static uint64_t real_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint64_t expr_hash(const Expr *e)
{
    uint64_t hash = mix(e->kind, e->dtype);
    hash = mix(mix(hash, (uint64_t)e->lanes), e->op);
    hash = mix(mix(hash, (uint64_t)e->index), (uint64_t)e->integer);
    hash = mix(hash, real_bits(e->real));
    for (int i = 0; i < e->count; i++)
        hash = mix(hash, e->arg[i] ? (uint64_t)e->arg[i]->id : UINT64_MAX);
    return hash;
}

static bool expr_equal(const Expr *a, const Expr *b)
{
    return a->kind == b->kind && a->dtype == b->dtype && a->lanes == b->lanes && a->op == b->op &&
           a->index == b->index && a->integer == b->integer && real_bits(a->real) == real_bits(b->real) &&
           a->reduction == b->reduction && a->count == b->count && !memcmp(a->arg, b->arg, sizeof a->arg);
}

static void table_insert(Exprs *pool, Expr *e)
{
    uint64_t at = expr_hash(e);
    while (pool->table[at & (uint64_t)(pool->table_size - 1)])
        at++;
    pool->table[at & (uint64_t)(pool->table_size - 1)] = e;
}

static void table_grow(Exprs *pool)
{
    Expr **old = pool->table;
    int size = pool->table_size;
    pool->table_size = 2 * size;
    pool->table = arena_alloc(pool->arena, (size_t)pool->table_size * sizeof *pool->table);
    for (int i = 0; i < size; i++)
        if (old[i])
            table_insert(pool, old[i]);
}

static Expr *intern(Exprs *pool, Expr key)
{
    for (uint64_t at = expr_hash(&key);; at++) {
        Expr *found = pool->table[at & (uint64_t)(pool->table_size - 1)];
        if (!found)
            break;
        if (expr_equal(found, &key))
            return found;
    }
    Expr *e = arena_copy(pool->arena, &key, sizeof key);
    e->id = pool->count++;
    e->axes = e->kind == EXPR_AXIS ? (uint64_t)1 << e->index % 64 : 0;
    e->reduces = e->kind == EXPR_REDUCE;
    for (int i = 0; i < e->count; i++)
        if (e->arg[i]) {
            e->axes |= e->arg[i]->axes;
            e->reduces |= e->arg[i]->reduces;
        }
    if (2 * pool->count > pool->table_size)
        table_grow(pool);
    table_insert(pool, e);
    return e;
}

Exprs *exprs_copy(const Exprs *pool, Expr ***copies)
{
    Exprs *copy = arena_copy(pool->arena, pool, sizeof *pool);
    copy->memo = NULL;
    Expr **of = arena_alloc(pool->arena, ((size_t)pool->count + 1) * sizeof *of);
    for (int i = 0; i < pool->table_size; i++)
        if (pool->table[i])
            of[pool->table[i]->id] = pool->table[i];
    copy->table = arena_alloc(pool->arena, (size_t)pool->table_size * sizeof *copy->table);
    for (int id = 0; id < pool->count; id++) { /* operands have smaller ids */
        of[id] = arena_copy(pool->arena, of[id], sizeof *of[id]);
        for (int i = 0; i < of[id]->count; i++)
            if (of[id]->arg[i])
                of[id]->arg[i] = of[of[id]->arg[i]->id];
        table_insert(copy, of[id]);
    }
    copy->extent.at =
        arena_copy(pool->arena, pool->extent.at, (size_t)pool->extent.count * sizeof *pool->extent.at);
    copy->extent.capacity = pool->extent.count;
    *copies = of;
    return copy;
}

ScalarOp scalar_find(const char *name)
{
    int op = 0;
    while (op < SCALAR_COUNT && strcmp(scalar_info[op].name, name))
        op++;
    return (ScalarOp)op;
}

/* ---- leaves -------------------------------------------------------------------------------------------- */

Expr *expr_int(Exprs *pool, DType dtype, int64_t value)
{
    if (dtype_is_float(dtype))
        return expr_real(pool, dtype, (double)value);
    Cell cell = cell_convert((Cell){.i64 = value}, DTYPE_I64, dtype);
    return intern(pool, (Expr){.kind = EXPR_CONST, .dtype = dtype, .lanes = 1, .integer = cell.i64});
}

Expr *expr_real(Exprs *pool, DType dtype, double value)
{
    if (!dtype_is_float(dtype))
        return expr_int(pool, dtype, (int64_t)value);
    if (dtype == DTYPE_F32)
        value = (double)(float)value;
    return intern(pool, (Expr){.kind = EXPR_CONST, .dtype = dtype, .lanes = 1, .real = value});
}

Expr *expr_axis(Exprs *pool, int axis)
{
    return intern(pool, (Expr){.kind = EXPR_AXIS, .dtype = DTYPE_I64, .lanes = 1, .index = axis});
}

Expr *expr_argument(Exprs *pool, int argument)
{
    return intern(pool, (Expr){.kind = EXPR_ARGUMENT, .dtype = DTYPE_I64, .lanes = 1, .index = argument});
}

Expr *expr_temp(Exprs *pool, DType dtype, int lanes, int temp)
{
    return intern(pool, (Expr){.kind = EXPR_TEMP, .dtype = dtype, .lanes = lanes, .index = temp});
}

bool expr_is_int(const Expr *e, int64_t *value)
{
    if (e->kind != EXPR_CONST || dtype_is_float(e->dtype))
        return false;
    *value = e->integer;
    return true;
}

Expr *expr_size(Exprs *pool, Size size)
{
    Expr *e = expr_int(pool, DTYPE_I64, size.count);
    for (int i = 0; i < size.power; i++)
        e = expr_mul(pool, e, expr_argument(pool, 0));
    return e;
}

/* ---- scalar functions ---------------------------------------------------------------------------------- */

static Cell const_cell(const Expr *e)
{
    if (e->dtype == DTYPE_F32)
        return (Cell){.f32 = (float)e->real};
    return e->dtype == DTYPE_F64 ? (Cell){.f64 = e->real} : (Cell){.i64 = e->integer};
}

static Expr *cell_expr(Exprs *pool, DType dtype, Cell cell)
{
    if (dtype == DTYPE_F32)
        return expr_real(pool, dtype, (double)cell.f32);
    return dtype == DTYPE_F64 ? expr_real(pool, dtype, cell.f64) : expr_int(pool, dtype, cell.i64);
}

static bool is_const(const Expr *e) { return !e || e->kind == EXPR_CONST; }

static bool is_value(const Expr *e, double value)
{
    return e->kind == EXPR_CONST &&
           (dtype_is_float(e->dtype) ? real_bits(e->real) == real_bits(value) : (double)e->integer == value);
}

/* x·1, x/1, x−0 are x in floats, too; the rest needs integers. NULL: nothing is known. */
static Expr *identity(Exprs *pool, ScalarOp op, Expr *a, Expr *b, Expr *c)
{
    bool integer = !dtype_is_float(a->dtype);
    switch (op) {
    case SCALAR_MUL:
        if (is_value(b, 1))
            return a;
        if (is_value(a, 1))
            return b;
        return integer && (is_value(a, 0) || is_value(b, 0)) ? expr_int(pool, a->dtype, 0) : NULL;
    case SCALAR_DIV:
        return is_value(b, 1) ? a : NULL;
    case SCALAR_SUB:
        return is_value(b, 0) ? a : NULL;
    case SCALAR_ADD:
        if (integer && is_value(a, 0))
            return b;
        return integer && is_value(b, 0) ? a : NULL;
    case SCALAR_SHL:
    case SCALAR_SHR:
        return is_value(b, 0) ? a : NULL;
    case SCALAR_AND:
        if (a->dtype == DTYPE_BOOL && (is_value(a, 1) || is_value(b, 0)))
            return b;
        return a->dtype == DTYPE_BOOL && (is_value(b, 1) || is_value(a, 0)) ? a : NULL;
    case SCALAR_SELECT:
        if (a->kind == EXPR_CONST)
            return a->integer ? b : c;
        return b == c ? b : NULL;
    default:
        return NULL;
    }
}

static Expr *apply(Exprs *pool, ScalarOp op, Expr *a, Expr *b, Expr *c)
{
    const ScalarInfo *info = &scalar_info[op];
    DType operands = op == SCALAR_SELECT ? b->dtype : a->dtype;
    Expr e = {
        .kind = EXPR_APPLY, .dtype = info->boolean ? DTYPE_BOOL : operands, .op = op, .count = info->arity};
    e.arg[0] = a;
    e.arg[1] = info->arity > 1 ? b : NULL;
    e.arg[2] = info->arity > 2 ? c : NULL;
    for (int i = 0; i < e.count; i++)
        e.lanes = e.arg[i]->lanes > e.lanes ? e.arg[i]->lanes : e.lanes;
    for (int i = 0; i < e.count; i++) /* vectors and scalars meet as vectors */
        if (e.arg[i]->lanes < e.lanes)
            e.arg[i] = expr_splat(pool, e.arg[i], e.lanes);
    return intern(pool, e);
}

Expr *expr_apply(Exprs *pool, ScalarOp op, Expr *a, Expr *b, Expr *c)
{
    int arity = scalar_info[op].arity;
    if (a->dtype == DTYPE_I64 && a->lanes == 1 && arity == 2 && b->lanes == 1) {
        switch (op) {
        case SCALAR_ADD:
            return expr_add(pool, a, b);
        case SCALAR_SUB:
            return expr_sub(pool, a, b);
        case SCALAR_MUL:
            return expr_mul(pool, a, b);
        case SCALAR_DIV:
            return expr_div(pool, a, b);
        case SCALAR_MOD:
            return expr_mod(pool, a, b);
        case SCALAR_LT:
            return expr_less(pool, a, b);
        default:
            break;
        }
    }
    if (is_const(a) && (arity < 2 || is_const(b)) && (arity < 3 || is_const(c)) && !scalar_info[op].expand) {
        DType operands = op == SCALAR_SELECT ? b->dtype : a->dtype;
        bool divides = op == SCALAR_DIV || op == SCALAR_MOD;
        if (!divides || dtype_is_float(operands) || b->integer != 0) {
            Cell value = scalar_value(op, operands, const_cell(a), arity > 1 ? const_cell(b) : (Cell){0},
                                      arity > 2 ? const_cell(c) : (Cell){0});
            return cell_expr(pool, scalar_info[op].boolean ? DTYPE_BOOL : operands, value);
        }
    }
    Expr *same = identity(pool, op, a, b, c);
    return same ? same : apply(pool, op, a, b, c);
}

/* Node without further simplification: for expr_index.c, which has done its own. */
Expr *expr_node(Exprs *pool, ScalarOp op, Expr *a, Expr *b) { return apply(pool, op, a, b, NULL); }

Expr *expr_cast(Exprs *pool, Expr *a, DType dtype)
{
    if (a->dtype == dtype)
        return a;
    if (a->kind == EXPR_CONST)
        return cell_expr(pool, dtype, cell_convert(const_cell(a), a->dtype, dtype));
    if (a->kind == EXPR_SPLAT)
        return expr_splat(pool, expr_cast(pool, a->arg[0], dtype), a->lanes);
    return intern(pool, (Expr){.kind = EXPR_CAST, .dtype = dtype, .lanes = a->lanes, .count = 1, .arg = {a}});
}

Expr *expr_bitcast(Exprs *pool, Expr *a, DType dtype)
{
    assert(dtype_info[a->dtype].bytes == dtype_info[dtype].bytes);
    if (a->dtype == dtype)
        return a;
    if (a->kind == EXPR_CONST)
        return cell_expr(pool, dtype, cell_bits(const_cell(a), a->dtype, dtype));
    return intern(pool,
                  (Expr){.kind = EXPR_BITCAST, .dtype = dtype, .lanes = a->lanes, .count = 1, .arg = {a}});
}

/* ---- memory, reductions, vectors ----------------------------------------------------------------------- */

static Expr *widen(Exprs *pool, Expr *e, int lanes)
{
    return e->lanes < lanes ? expr_splat(pool, e, lanes) : e;
}

Expr *expr_load(Exprs *pool, DType dtype, int buffer, Expr *at, Expr *where, Expr *otherwise)
{
    int64_t always;
    if (where && expr_is_int(where, &always)) {
        if (!always)
            return widen(pool, otherwise, at->lanes);
        where = NULL;
    }
    int lanes = where && where->lanes > at->lanes ? where->lanes : at->lanes;
    Expr e = {.kind = EXPR_LOAD, .dtype = dtype, .lanes = lanes, .index = buffer, .count = where ? 3 : 1};
    e.arg[0] = widen(pool, at, lanes);
    if (where) {
        e.arg[1] = widen(pool, where, lanes);
        e.arg[2] = widen(pool, otherwise, lanes);
    }
    return intern(pool, e);
}

Expr *expr_local(Exprs *pool, DType dtype, int local, Expr *at)
{
    return intern(
        pool,
        (Expr){
            .kind = EXPR_LOCAL, .dtype = dtype, .lanes = at->lanes, .index = local, .count = 1, .arg = {at}});
}

Expr *expr_local_vector(Exprs *pool, DType dtype, int lanes, int local, Expr *at)
{
    return intern(
        pool,
        (Expr){.kind = EXPR_LOCAL, .dtype = dtype, .lanes = lanes, .index = local, .count = 1, .arg = {at}});
}

/* Reductions are compared by content, so that equal ones are one node. */
Expr *expr_reduce(Exprs *pool, Expr *term, const Reduction *reduction)
{
    for (int i = 0; i < pool->table_size; i++) {
        Expr *e = pool->table[i];
        if (e && e->kind == EXPR_REDUCE && e->arg[0] == term &&
            !memcmp(e->reduction, reduction, sizeof *reduction))
            return e;
    }
    const Reduction *copy = arena_copy(pool->arena, reduction, sizeof *reduction);
    return intern(pool, (Expr){.kind = EXPR_REDUCE,
                               .dtype = term->dtype,
                               .lanes = 1,
                               .reduction = copy,
                               .count = 1,
                               .arg = {term}});
}

Expr *expr_ramp(Exprs *pool, Expr *base, int64_t stride, int lanes)
{
    if (stride == 0)
        return expr_splat(pool, base, lanes);
    return intern(pool, (Expr){.kind = EXPR_RAMP,
                               .dtype = DTYPE_I64,
                               .lanes = lanes,
                               .integer = stride,
                               .count = 1,
                               .arg = {base}});
}

Expr *expr_splat(Exprs *pool, Expr *a, int lanes)
{
    assert(a->lanes == 1);
    if (lanes == 1)
        return a;
    return intern(pool,
                  (Expr){.kind = EXPR_SPLAT, .dtype = a->dtype, .lanes = lanes, .count = 1, .arg = {a}});
}

/* ---- walking ------------------------------------------------------------------------------------------- */

bool expr_uses_axis(const Expr *e, int axis)
{
    if (!(e->axes >> axis % 64 & 1))
        return false;
    if (e->kind == EXPR_AXIS)
        return e->index == axis;
    for (int i = 0; i < e->count; i++)
        if (e->arg[i] && expr_uses_axis(e->arg[i], axis))
            return true;
    return false;
}

static bool visit(Expr *e, ExprVisitor *visitor, void *context, bool *seen)
{
    if (seen[e->id])
        return true;
    seen[e->id] = true;
    Visit how = visitor(e, context);
    for (int i = 0; how == VISIT_DEEPER && i < e->count; i++)
        if (e->arg[i] && !visit(e->arg[i], visitor, context, seen))
            return false;
    return how != VISIT_STOP;
}

bool expr_visit(Exprs *pool, Expr *e, ExprVisitor *visitor, void *context)
{
    return visit(e, visitor, context, arena_alloc(pool->arena, (size_t)e->id + 1));
}

/* e made again, by the builders, from new operands. */
Expr *expr_rebuild(Exprs *pool, const Expr *e, Expr *const *arg)
{
    switch (e->kind) {
    case EXPR_APPLY:
        return expr_apply(pool, e->op, arg[0], arg[1], arg[2]);
    case EXPR_CAST:
        return expr_cast(pool, arg[0], e->dtype);
    case EXPR_BITCAST:
        return expr_bitcast(pool, arg[0], e->dtype);
    case EXPR_LOAD:
        return expr_load(pool, e->dtype, e->index, arg[0], arg[1], arg[2]);
    case EXPR_LOCAL:
        return expr_local(pool, e->dtype, e->index, arg[0]);
    case EXPR_REDUCE:
        return expr_reduce(pool, arg[0], e->reduction);
    case EXPR_RAMP:
        return expr_ramp(pool, arg[0], e->integer, e->lanes);
    case EXPR_SPLAT:
        return expr_splat(pool, arg[0], e->lanes);
    default:
        return (Expr *)e;
    }
}

Expr *expr_copy_with(Exprs *pool, const Expr *e, Expr *const *arg)
{
    Expr copy = *e;
    memcpy(copy.arg, arg, sizeof copy.arg);
    return intern(pool, copy);
}

static Memo *memo_take(Exprs *pool, int size)
{
    Memo *memo = pool->memo ? pool->memo : arena_alloc(pool->arena, sizeof *memo);
    pool->memo = memo->next;
    memo->round++;
    if (memo->size < size) {
        memo->size = 2 * size;
        memo->at = arena_alloc(pool->arena, (size_t)memo->size * sizeof *memo->at);
    }
    return memo;
}

static void memo_give_back(Exprs *pool, Memo *memo)
{
    memo->next = pool->memo;
    pool->memo = memo;
}

/* Bottom-up rewriting with a memo, so that a shared part is rewritten once. */
static Expr *rewrite(Exprs *pool, Expr *e, Memo *memo, ExprLeaf *leaf, void *context)
{
    if (memo->at[e->id].round == memo->round)
        return memo->at[e->id].made;
    Expr *arg[3] = {0};
    for (int i = 0; i < e->count; i++)
        arg[i] = e->arg[i] ? rewrite(pool, e->arg[i], memo, leaf, context) : NULL;
    Expr *made = memcmp(arg, e->arg, sizeof arg) ? expr_rebuild(pool, e, arg) : e;
    if (made->kind == e->kind) /* else simplified to a part, which has been rewritten already */
        made = leaf(pool, made, context);
    memo->at[e->id].made = made;
    memo->at[e->id].round = memo->round;
    return made;
}

Expr *expr_rewrite(Exprs *pool, Expr *e, ExprLeaf *leaf, void *context)
{
    Memo *memo = memo_take(pool, e->id + 1);
    Expr *made = rewrite(pool, e, memo, leaf, context);
    memo_give_back(pool, memo);
    return made;
}

typedef struct Substitution {
    Expr *const *with;
    int count;
} Substitution;

static Expr *substitute_leaf(Exprs *pool, Expr *e, void *context)
{
    (void)pool;
    const Substitution *s = context;
    return e->kind == EXPR_AXIS && e->index < s->count && s->with[e->index] ? s->with[e->index] : e;
}

Expr *expr_substitute(Exprs *pool, Expr *e, Expr *const *with, int count)
{
    Substitution s = {with, count};
    return expr_rewrite(pool, e, substitute_leaf, &s);
}

static Expr *expand_leaf(Exprs *pool, Expr *e, void *context)
{
    (void)context;
    if (e->kind != EXPR_APPLY || !scalar_info[e->op].expand)
        return e;
    Expr *made = scalar_info[e->op].expand(pool, e->arg);
    return made ? made : e;
}

Expr *expr_expand(Exprs *pool, Expr *e) { return expr_rewrite(pool, e, expand_leaf, NULL); }
